/* SPDX-License-Identifier: Apache-2.0 */
/* endpoint.h: "host:port" as configurations write it, turned into socket addresses. Startup only. */
#ifndef WEFT_CORE_ENDPOINT_H
#define WEFT_CORE_ENDPOINT_H

#include <stdbool.h>
#include <sys/socket.h>

/* "127.0.0.1:4317", "localhost:4317", "[::1]:4317", ":4317" (every address), "0.0.0.0:0". 0 or a negative code
 * (UV_EINVAL: not that form; UV_EAI_*: cannot resolve). */
int weft_endpoint_parse(const char *text, struct sockaddr_storage *ret_address, socklen_t *ret_len);

/* Whether `text` has that form; nobody is asked what the host's name means. */
bool weft_endpoint_well_formed(const char *text);

/* A listening, non-blocking, close-on-exec TCP socket. The descriptor or a negative code. */
int weft_endpoint_listen(const char *text, bool reuse_port, int backlog);

/* The port a socket is bound to, or a negative code. */
int weft_endpoint_port(int fd);

#endif

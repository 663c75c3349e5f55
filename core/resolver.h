/* SPDX-License-Identifier: Apache-2.0 */
/* resolver.h: a host's addresses without stopping the loop, and without libuv's pool of threads: that is one for the
 * whole process, so that one dead name server would hold up every lane (and a host program's own work in it).
 *
 * Each question has a short-lived thread of its own, which is asked seldom: once for a new connection to a name. A
 * thread cannot be called back from inside getaddrinfo; one that nobody waits for any more frees what it has when it
 * returns. The caller's side belongs to the loop's thread.
 */
#ifndef WEFT_CORE_RESOLVER_H
#define WEFT_CORE_RESOLVER_H

#include <netdb.h>
#include <uv.h>

struct weft_resolver;

/* Asks for TCP addresses of `host`, `port` in digits. `done` runs once, on the loop, never from inside this call:
 * err is 0, and the list is the callee's (freeaddrinfo), or a UV_EAI_* code. 0, or a negative code. */
int weft_resolver_ask(struct weft_resolver **ret_resolver, uv_loop_t *loop, const char *host, const char *port, void *ctx,
                      void (*done)(void *ctx, int err, struct addrinfo *addresses));

/* Nobody waits any more: done does not run. Only before it has run. */
void weft_resolver_cancel(struct weft_resolver *r);

/* The libuv code for a failure of getaddrinfo. */
int weft_resolver_err(int code);

#endif

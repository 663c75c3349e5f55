/* SPDX-License-Identifier: Apache-2.0 */
/* http_message.h: the least that the bench's own programs need of HTTP/1.1: a request or an answer with
 * Content-Length in one growing buffer. Peers are our own tools, so anything else is a fatal error. */
#ifndef WEFT_BENCH_HTTP_MESSAGE_H
#define WEFT_BENCH_HTTP_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct message {
    uint8_t *data;
    size_t len, cap;
    size_t head; /* bytes up to and including the empty line; 0: not there yet */
    size_t body; /* Content-Length */
    bool gzip;
};

/* One read(2) into the buffer. False: the peer closed or failed. */
bool message_read(struct message *m, int fd);

/* True when head and body are whole. */
bool message_whole(struct message *m);

/* Drops the first message; what came behind it stays. */
void message_shift(struct message *m);

/* Writes everything, waiting as long as it takes. */
bool message_write(int fd, const void *data, size_t len);

/* A listening socket on 127.0.0.1:port, or a connected one. Exits on failure. */
int message_listen(int port);
int message_connect(int port);

#endif

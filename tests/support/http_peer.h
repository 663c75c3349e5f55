/* SPDX-License-Identifier: Apache-2.0 */
/* http_peer.h: an HTTP/1.1 server inside the test's own loop that does what the test tells it: answer, answer and
 * close, cut the connection, or say nothing. Bodies with Content-Length only. For tests. */
#ifndef WEFT_TESTS_HTTP_PEER_H
#define WEFT_TESTS_HTTP_PEER_H

#include "core/buf.h"

#include <uv.h>

/* PEER_BREAK sends half of the answer and closes; PEER_DRIP sends it a byte every 20 ms. */
enum http_peer_act { PEER_ANSWER, PEER_ANSWER_AND_CLOSE, PEER_CUT, PEER_HANG, PEER_BREAK, PEER_DRIP };

struct http_peer_request {
    const char *head;         /* request line and header lines */
    struct weft_slice body;
    unsigned number;          /* from 0, over all connections */
    unsigned connection;      /* from 0 */
};

struct http_peer_conn;

struct http_peer {
    uv_tcp_t listener;
    int port;
    unsigned n_requests, n_connections;
    struct http_peer_conn *conns;
    void *ctx;
    /* Writes the whole answer, head and body, into `answer`. */
    enum http_peer_act (*on_request)(void *ctx, const struct http_peer_request *request, struct weft_buf *answer);
};

/* Listens on 127.0.0.1, any port. 0 or a negative code. The callback is set by the caller. */
int http_peer_open(struct http_peer *p, uv_loop_t *loop);

/* Closes every handle; run the loop on. */
void http_peer_close(struct http_peer *p);

/* An answer with Content-Length. `headers`: further lines, each with its CRLF, or "". */
void http_peer_say(struct weft_buf *answer, unsigned status, const char *headers, struct weft_slice body);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* grpc_peer.h: a gRPC server (HTTP/2 with prior knowledge) inside the test's own loop that answers each unary call
 * as the test tells it. For tests. */
#ifndef WEFT_TESTS_GRPC_PEER_H
#define WEFT_TESTS_GRPC_PEER_H

#include "core/buf.h"

#include <uv.h>

/* GRPC_REFUSE resets the stream as not processed; GRPC_GOAWAY answers it and takes no more on this connection. */
enum grpc_peer_act { GRPC_ANSWER, GRPC_CUT, GRPC_HANG, GRPC_REFUSE, GRPC_GOAWAY };

struct grpc_peer_request {
    const char *head;         /* "name: value\n" lines, pseudo headers too */
    struct weft_slice body;   /* with the five-byte prefix */
    unsigned number;
};

/* Filled with zeroes before the call; strings must outlive it. */
struct grpc_peer_answer {
    const char *http_status;  /* NULL: 200 */
    const char *status;       /* grpc-status; NULL: none, the stream just ends */
    const char *message, *details;
    bool trailers_only;       /* grpc-status in the one and only header block */
    struct weft_slice body;   /* sent as it is, prefix and all */
};

struct grpc_peer_conn;

struct grpc_peer {
    uv_tcp_t listener;
    int port;
    unsigned n_requests, n_connections;
    uint32_t max_frame;       /* offered to clients that connect from now on; 0: the default */
    bool answer_early;        /* answer the head, without waiting for the body */
    size_t largest_frame;     /* of DATA that came in */
    struct grpc_peer_conn *conns;
    void *ctx;
    enum grpc_peer_act (*on_request)(void *ctx, const struct grpc_peer_request *request,
                                     struct grpc_peer_answer *answer);
};

int grpc_peer_open(struct grpc_peer *p, uv_loop_t *loop);
void grpc_peer_close(struct grpc_peer *p);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* grpc_server.h: a gRPC server inside a libuv loop; nghttp2 and GnuTLS behind one seam.
 *
 * One server belongs to one loop and runs no thread of its own. A unary call is handled to completion by one call of the
 * handler, or answered later (core/grpc_service.h says how); the server itself answers health checks, GET /, and everything that
 * is not gRPC.
 *
 *   (1) Message bytes over all connections stay under max_inflight; what would pass it is refused with UNAVAILABLE.
 *   (2) A peer that does not read is not read from; it is cut after request_timeout. Output of a connection
 *       that waits is at most one write of about 80 KiB, and what nghttp2 has queued.
 *   (3) At most max_connections at once; one more is closed at accept. An idle one costs under 1 KiB before its first
 *       byte and about 11 KiB with an open session; sessions together hold at most max_session_bytes.
 */
#ifndef WEFT_CORE_GRPC_SERVER_H
#define WEFT_CORE_GRPC_SERVER_H

#include "core/grpc_service.h"
#include "core/tls.h"

#include <uv.h>

struct weft_grpc_server;

struct weft_grpc_server_options {
    const char *endpoint;            /* "127.0.0.1:4317", "[::1]:0", ":8080", "localhost:4317" */
    bool reuse_port;                 /* several loops share the port */
    unsigned max_connections;        /* 0: 10,000 */
    struct weft_grpc_limits limits;
    struct weft_grpc_handlers handlers;
    const struct weft_tls_files *tls; /* NULL: cleartext */
};

/* Opens, binds and listens on `loop`. UV_EADDRINUSE and friends. The options are copied, strings are not.
 * `*ret_error`: static words on what failed ("cannot listen", "no certificate in client_ca_file"); may be NULL. */
int weft_grpc_server_open(struct weft_grpc_server **ret_server, uv_loop_t *loop,
                          const struct weft_grpc_server_options *options, const char **ret_error);

/* The port that was bound (when the endpoint said 0). */
int weft_grpc_server_port(const struct weft_grpc_server *s);

/* Open connections. */
unsigned weft_grpc_server_connections(const struct weft_grpc_server *s);

/* Answers a call that waits (core/grpc_service.h); answers given in one turn of the loop go out together. */
void weft_grpc_server_answer(struct weft_grpc_server *s, void *handle, const struct weft_grpc_answer *answer);

/* Calls whose answer has not been taken yet. */
unsigned weft_grpc_server_in_hand(const struct weft_grpc_server *s);

const struct weft_grpc_stats *weft_grpc_server_stats(const struct weft_grpc_server *s);

/* Stops listening and tells every client to go; calls under way may finish. Health checks say NOT_SERVING. */
void weft_grpc_server_quiesce(struct weft_grpc_server *s);

/* Closes everything, after on_gone for every call that waits; the memory goes when the loop has closed the handles (run the loop on). Accepts NULL. */
void weft_grpc_server_close(struct weft_grpc_server *s);

#endif

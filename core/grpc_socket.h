/* SPDX-License-Identifier: Apache-2.0 */
/* grpc_socket.h: one accepted TCP connection of a gRPC server: carries bytes between the socket, TLS and the HTTP/2
 * connection. For grpc_server.c alone.
 *
 *   OPEN -> LINGERING (our side is finished and shut down; what still comes is thrown away) -> CLOSING
 *     \-----------------------------------------------------------------------------------------^ errors
 */
#ifndef WEFT_CORE_GRPC_SOCKET_H
#define WEFT_CORE_GRPC_SOCKET_H

#include "core/grpc_connection.h"
#include "core/tls.h"

#include <uv.h>

enum { WEFT_GRPC_READ = 64 * 1024 };

/* What the sockets of one server share: buffers that are empty between two calls. */
struct weft_grpc_sockets {
    struct weft_grpc_service service;
    struct weft_tls_context *tls;
    struct weft_grpc_socket *first;
    struct weft_grpc_socket *dirty;   /* have answers that came from outside */
    unsigned n;                       /* those that are not closing */
    uint8_t *read;                    /* WEFT_GRPC_READ bytes */
    struct weft_buf out, plain, cipher;
    void *owner;
    void (*on_closed)(void *owner);   /* a socket's handle is closed and its memory free */
    void (*on_dirty)(void *owner);    /* call weft_grpc_sockets_flush before the loop sleeps */
};

enum weft_grpc_socket_state { WEFT_GRPC_SOCKET_OPEN, WEFT_GRPC_SOCKET_LINGERING, WEFT_GRPC_SOCKET_CLOSING };

struct weft_grpc_socket {
    uv_tcp_t tcp;
    uv_write_t write;
    struct weft_grpc_sockets *all;
    struct weft_grpc_socket *prev, *next, *next_dirty;
    enum weft_grpc_socket_state state;
    bool reading, writing, dirty;
    struct weft_grpc_connection http;
    struct weft_tls *tls;
    uint8_t *pending;                 /* bytes of the write that is under way */
    size_t n_pending;
    uint64_t since_ms;                /* of that write, or of the lingering */
};

/* Takes over a connection that `listener` holds ready. 0, or a negative code: with UV_ENOMEM it is still waiting there,
 * with others it is closed. `full`: accept it only to close it. */
int weft_grpc_socket_accept(struct weft_grpc_sockets *all, uv_stream_t *listener, bool full);

/* Sends the answers that came from outside, a connection's all at once. */
void weft_grpc_sockets_flush(struct weft_grpc_sockets *all);

/* Looks at deadlines and sends what they bring about. */
void weft_grpc_socket_tick(struct weft_grpc_socket *s, uint64_t now_ms);

void weft_grpc_socket_quiesce(struct weft_grpc_socket *s, uint64_t now_ms);

/* Idempotent; the memory goes with the handle. */
void weft_grpc_socket_close(struct weft_grpc_socket *s);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* grpc_stream.h: one call, from its first header to its answer: what the headers asked for, the message so far, and the
 * bytes of the reply that wait for the client's flow control. Knows nothing of HTTP/2's framing. On its connection's loop. */
#ifndef WEFT_CORE_GRPC_STREAM_H
#define WEFT_CORE_GRPC_STREAM_H

#include "core/grpc_frame.h"
#include "core/grpc_service.h"
#include "core/slice.h"

enum { WEFT_GRPC_HEADER_LIST = 16 * 1024 }; /* bytes of request headers, counted as HPACK does */

/*   HEADERS -> MESSAGE (all headers are in) -> ANSWERED (the reply was handed to nghttp2) -> closed
 *              MESSAGE -> WAITING (the handler answers later) -> ANSWERED */
enum weft_grpc_stream_state { WEFT_GRPC_HEADERS, WEFT_GRPC_MESSAGE, WEFT_GRPC_WAITING, WEFT_GRPC_ANSWERED };

struct weft_grpc_connection;

struct weft_grpc_stream {
    struct weft_grpc_stream *prev, *next; /* the connection's open streams */
    struct weft_grpc_connection *connection;
    void *waiter;                   /* WAITING: to be handed back */
    int32_t id;
    enum weft_grpc_stream_state state;
    int method;
    bool post, get, head;
    bool grpc;                      /* the content type is gRPC's */
    bool gzip, unknown_encoding, bad_timeout, has_timeout;
    size_t header_bytes;
    uint64_t timeout_ms;            /* what grpc-timeout says */
    uint64_t deadline_ms;           /* when patience ends with the state it is in */
    struct weft_grpc_frame frame;
    uint8_t *reply;                 /* small, or its own allocation */
    size_t reply_len, reply_at;
    bool trailers;                  /* grpc-status goes out behind the reply */
    uint8_t small[64];
};

/* A new stream, or NULL. */
struct weft_grpc_stream *weft_grpc_stream_new(int32_t id, uint64_t deadline_ms);

/* Accepts NULL. The block of its message goes back to `pool`. */
void weft_grpc_stream_free(struct weft_grpc_stream *s, struct weft_grpc_pool *pool);

/* Takes one request header; nothing of it is kept but what it means. */
void weft_grpc_stream_header(struct weft_grpc_stream *s, const struct weft_grpc_service *service, struct weft_slice name,
                             struct weft_slice value);

/* Room for a reply of `len` bytes: s->reply. 0 or UV_ENOMEM. */
int weft_grpc_stream_reply(struct weft_grpc_stream *s, size_t len);

#endif

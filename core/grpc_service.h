/* SPDX-License-Identifier: Apache-2.0 */
/* grpc_service.h: what all connections of a gRPC server share: its methods, its limits, its memory.
 *
 * Only unary methods exist. grpc.health.v1.Health/Check is answered here: "" and the service of each method are SERVING
 * until the service drains.
 *
 *   (1) Message bytes held at once by all connections never exceed max_inflight; a call that would is refused
 *       with a retryable status.
 *   (2) A handler runs to completion inside one call; what it was lent is gone when it returns. One that has to wait (for the
 *       disk) leaves a `waiter` and answers later through the call's handle.
 *   (3) Each waiter is handed back exactly once: by weft_grpc_connection_answer, or by on_gone when the client has given up, the
 *       connection is lost, or request_timeout is over.
 *
 * No I/O here; belongs to one loop.
 */
#ifndef WEFT_CORE_GRPC_SERVICE_H
#define WEFT_CORE_GRPC_SERVICE_H

#include "core/buf.h"
#include "core/grpc_memory.h"
#include "core/grpc_pool.h"
#include "core/grpc_status.h"
#include "core/slice.h"

#include <nghttp2/nghttp2.h>

struct weft_gunzip;

/* Special values of a call's method: not one of the table. */
enum { WEFT_GRPC_METHOD_UNKNOWN = -1, WEFT_GRPC_METHOD_HEALTH = -2, WEFT_GRPC_METHOD_ROOT = -3 };

struct weft_grpc_call {
    int method;                  /* index into the table, or WEFT_GRPC_METHOD_UNKNOWN in a refusal */
    struct weft_slice message;   /* decompressed; empty in a refusal */
    void *handle;                /* to answer later; NULL in a refusal */
};

/* What the client is told. Filled with zeroes before the call; everything is copied when the handler returns. */
struct weft_grpc_answer {
    enum weft_grpc_status status;
    const char *message;         /* with a status that is not OK: words for people; any bytes */
    struct weft_slice body;      /* with OK: the response message */
    struct weft_slice details;   /* with another: google.rpc.Status for grpc-status-details-bin; may be empty */
    void *waiter;                /* from on_call alone: the answer comes later, nothing else is looked at */
};

struct weft_grpc_limits {
    uint64_t max_message_size;       /* bytes of one message, compressed and decompressed */
    uint64_t max_inflight;           /* bytes of messages over all connections; 0: no limit of its own */
    uint64_t max_session_bytes;      /* what HTTP/2 itself may hold over all connections; 0: no limit of its own */
    struct weft_account *account;    /* all of that takes from it; NULL: from nobody */
    unsigned max_concurrent_streams; /* of a connection; 0: 256 */
    uint64_t request_timeout_ms;     /* a call must be whole, and its answer taken, within this; 0: 60 s */
    uint64_t handshake_timeout_ms;   /* preface, SETTINGS and their acknowledgement; 0: 10 s */
    uint64_t max_idle_ms;            /* a connection without calls is told to go after this; 0: never */
    uint64_t max_age_ms, max_age_grace_ms; /* the same for any connection, then cut; 0: never */
    uint64_t keepalive_ms, keepalive_timeout_ms; /* PING after silence, cut when unanswered; 0: never, 20 s */
};

struct weft_grpc_handlers {
    void *ctx;
    const char *const *methods;  /* "/package.Service/Method", NULL-terminated; lives as long as the service */
    /* A call is whole. Must set at least the status. */
    void (*on_call)(void *ctx, const struct weft_grpc_call *call, struct weft_grpc_answer *answer);
    /* The service refuses a call by itself because of `err` (WEFT_ERR_TOO_LARGE, _LIMIT, _MALFORMED, _UNSUPPORTED, _TIMEOUT,
     * UV_ENOMEM), in these words. The answer holds the status and the words; details may be added. NULL: it stays so. */
    void (*on_refusal)(void *ctx, const struct weft_grpc_call *call, int err, const char *words,
                       struct weft_grpc_answer *answer);
    /* Takes back the waiter of a call that will not be answered by its handler any more. NULL: no handler ever waits. */
    void (*on_gone)(void *ctx, void *waiter);
};

struct weft_grpc_stats {
    uint64_t calls, refused, resets, floods, protocol_errors, no_room; /* no_room: sessions and streams turned away */
};

struct weft_grpc_service {
    struct weft_grpc_handlers handlers;
    struct weft_grpc_limits limits;
    struct weft_grpc_pool pool;
    struct weft_grpc_memory memory;      /* of the HTTP/2 sessions */
    struct weft_gunzip *gunzip;          /* made at the first compressed message */
    struct weft_buf plain;               /* where it is decompressed */
    struct weft_buf text;                /* header values of the answer in hand */
    nghttp2_session_callbacks *callbacks;
    nghttp2_option *option;
    bool draining;
    struct weft_grpc_stats stats;
};

/* `handlers` and `limits` are copied. 0 or UV_ENOMEM. */
int weft_grpc_service_init(struct weft_grpc_service *s, const struct weft_grpc_handlers *handlers,
                           const struct weft_grpc_limits *limits);

/* All connections must be gone. Accepts a zeroed or half-made service. */
void weft_grpc_service_release(struct weft_grpc_service *s);

/* Gives back what is kept for speed. */
void weft_grpc_service_trim(struct weft_grpc_service *s);

/* The method that `path` names: an index or one of the special values. */
int weft_grpc_service_method(const struct weft_grpc_service *s, struct weft_slice path);

/* Handles one whole message: decompresses it if needed and calls the handler, or refuses. */
void weft_grpc_service_call(struct weft_grpc_service *s, const struct weft_grpc_call *call, bool compressed,
                            struct weft_grpc_answer *ret_answer);

/* Refuses one call. `words` is a literal. */
void weft_grpc_service_refuse(struct weft_grpc_service *s, int method, int err, const char *words,
                              struct weft_grpc_answer *ret_answer);

#endif

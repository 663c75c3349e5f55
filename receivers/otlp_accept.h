/* SPDX-License-Identifier: Apache-2.0 */
/* otlp_accept.h: one OTLP request, whatever carried it: is it well formed, does a pipeline want it, was it
 * committed, and what is the client told. The rules are those of opentelemetry-proto docs/specification.md 1.11.
 *
 * Each accept or refuse counts through the sink exactly once and writes log lines through the receiver's gates.
 * On the receiver's loop.
 */
#ifndef WEFT_RECEIVERS_OTLP_ACCEPT_H
#define WEFT_RECEIVERS_OTLP_ACCEPT_H

#include "core/buf.h"
#include "core/otlp.h"
#include "receivers/otlp.h"

/* The values of google.rpc.Code that we answer; the gRPC status codes are the same. */
enum weft_otlp_code {
    WEFT_OTLP_OK = 0,
    WEFT_OTLP_INVALID_ARGUMENT = 3,
    WEFT_OTLP_DEADLINE_EXCEEDED = 4,
    WEFT_OTLP_NOT_FOUND = 5,          /* HTTP alone: gRPC says UNIMPLEMENTED */
    WEFT_OTLP_RESOURCE_EXHAUSTED = 8, /* never with RetryInfo here: it says "too large", not "later" */
    WEFT_OTLP_UNIMPLEMENTED = 12,
    WEFT_OTLP_INTERNAL = 13,
    WEFT_OTLP_UNAVAILABLE = 14,       /* with RetryInfo */
};

/* What the client is told. */
struct weft_otlp_verdict {
    enum weft_otlp_code code;
    unsigned http_status;
    uint32_t retry_after_s;  /* 0: the client must not try the same again */
    uint64_t rejected;       /* with OK: items that were not taken (partial success) */
    char message[256];       /* with OK and not empty: a warning, or why items were rejected */
};

/* A request that is committed but whose yes has to wait: it is not durable yet, or a journal fills up. Its transport keeps it until
 * settle or abandon. */
struct weft_otlp_waiter {
    struct weft_commit commit;
    struct weft_otlp *receiver;
    enum weft_signal signal;
    bool done;
    int err;
    void *handle;                    /* the transport's, set by it, as is: */
    void (*ready)(struct weft_otlp_waiter *w); /* the verdict is there. On the loop, once */
    struct weft_otlp_waiter *next;
};

/* The verdict on a request that waited; one that still waits for the disk gets a retryable no. Takes the waiter back. */
void weft_otlp_settle(struct weft_otlp_waiter *w, struct weft_otlp_verdict *ret_verdict);

/* Nobody is there to hear the verdict. Takes the waiter back. */
void weft_otlp_abandon(struct weft_otlp_waiter *w);

/* Frees the waiters that are kept to be used again. */
void weft_otlp_waiters_release(struct weft_otlp *r);

/* Checks, counts and commits one whole request body in protobuf form; an empty one succeeds without a commit.
 * `payload` is borrowed for the call. NULL: *ret_verdict is what the client is told. Else it is told what
 * weft_otlp_settle says, once the waiter is ready. */
struct weft_otlp_waiter *weft_otlp_accept(struct weft_otlp *r, enum weft_signal signal, struct weft_slice payload,
                                          struct weft_otlp_verdict *ret_verdict);

/* The same verdict and bookkeeping for what failed before it was a payload. `err`: WEFT_ERR_NOT_FOUND (no such path, or no
 * pipeline wants the signal), _UNSUPPORTED, _MALFORMED, _TOO_DEEP, _TOO_LARGE, _FULL, _LIMIT, _DRAINING, _TIMEOUT, UV_ENOMEM;
 * the words (may be NULL: the code's own) go to the client and to the log. `signal` may be WEFT_SIGNALS when it is
 * not known which was meant. */
void weft_otlp_refuse(struct weft_otlp *r, enum weft_signal signal, int err, struct weft_otlp_verdict *ret_verdict,
                      const char *format, ...) __attribute__((format(printf, 5, 6)));

#endif

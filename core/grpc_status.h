/* SPDX-License-Identifier: Apache-2.0 */
/* grpc_status.h: gRPC's status codes and the text forms its headers use.
 *
 * Format: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
 * Stateless; any thread.
 */
#ifndef WEFT_CORE_GRPC_STATUS_H
#define WEFT_CORE_GRPC_STATUS_H

#include "core/buf.h"
#include "core/slice.h"

enum weft_grpc_status {
    WEFT_GRPC_OK = 0,
    WEFT_GRPC_CANCELLED = 1,
    WEFT_GRPC_UNKNOWN = 2,
    WEFT_GRPC_INVALID_ARGUMENT = 3,
    WEFT_GRPC_DEADLINE_EXCEEDED = 4,
    WEFT_GRPC_NOT_FOUND = 5,
    WEFT_GRPC_ALREADY_EXISTS = 6,
    WEFT_GRPC_PERMISSION_DENIED = 7,
    WEFT_GRPC_RESOURCE_EXHAUSTED = 8,
    WEFT_GRPC_FAILED_PRECONDITION = 9,
    WEFT_GRPC_ABORTED = 10,
    WEFT_GRPC_OUT_OF_RANGE = 11,
    WEFT_GRPC_UNIMPLEMENTED = 12,
    WEFT_GRPC_INTERNAL = 13,
    WEFT_GRPC_UNAVAILABLE = 14,
    WEFT_GRPC_DATA_LOSS = 15,
    WEFT_GRPC_UNAUTHENTICATED = 16,
};

/* The status that says what a code of core/err.h says. */
enum weft_grpc_status weft_grpc_status_of(int err);

/* Appends `text` as grpc-message wants it: bytes outside of printable ASCII, and '%', become %XX. */
void weft_grpc_put_message(struct weft_buf *out, const char *text);

/* Appends `bytes` as a "-bin" header wants them: base64 without padding. */
void weft_grpc_put_binary(struct weft_buf *out, struct weft_slice bytes);

/* Reads a grpc-timeout value ("9985m", "10S"). 0, or WEFT_ERR_MALFORMED. Parts of a millisecond count as a whole one. */
int weft_grpc_read_timeout(struct weft_slice text, uint64_t *ret_ms);

#endif

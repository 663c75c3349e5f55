/* SPDX-License-Identifier: Apache-2.0 */
/* otlp_status.h: the messages inside an OTLP answer: google.rpc.Status with RetryInfo, and Export*ServiceResponse
 * with its partial success, as protobuf and as JSON. Bytes in, fields out; malformed input is a false. Any thread. */
#ifndef WEFT_EXPORTERS_OTLP_STATUS_H
#define WEFT_EXPORTERS_OTLP_STATUS_H

#include "core/buf.h"
#include "core/slice.h"

struct weft_otlp_status {
    struct weft_slice message; /* into the input */
    bool has_retry;
    uint64_t retry_ms;         /* of RetryInfo, at most an hour */
};

bool weft_otlp_status_read(struct weft_slice bytes, struct weft_otlp_status *ret_status);

struct weft_otlp_partial {
    uint64_t rejected;
    struct weft_slice message; /* into the input */
};

bool weft_otlp_partial_read(struct weft_slice bytes, struct weft_otlp_partial *ret_partial);

/* Either of the two in JSON. The message is decoded into `plain` and its slice points there. */
bool weft_otlp_json_answer_read(struct weft_slice text, struct weft_buf *plain, struct weft_otlp_partial *ret_partial);

/* Standard or URL-safe base64, padded or not; ends at the first foreign character or when `out` is full. The number
 * of bytes written. */
size_t weft_otlp_base64_read(const char *text, uint8_t *out, size_t size);

/* %XX decoded; what is not well formed stays as it is. The number of bytes written. */
size_t weft_otlp_percent_read(const char *text, uint8_t *out, size_t size);

#endif

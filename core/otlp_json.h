/* SPDX-License-Identifier: Apache-2.0 */
/* otlp_json.h: OTLP's JSON encoding, translated to and from its protobuf encoding.
 *
 * Reading is one streaming pass over the text, without a tree. Rules: opentelemetry-proto
 * docs/specification.md, "JSON Protobuf Encoding": ids are hex of any case, keys lowerCamelCase,
 * enums integers, 64-bit integers strings or numbers, unknown fields ignored.
 * Stateless; any thread.
 */
#ifndef WEFT_CORE_OTLP_JSON_H
#define WEFT_CORE_OTLP_JSON_H

#include "core/buf.h"
#include "core/otlp.h"

/* Where and why a text was refused. */
struct weft_json_error {
    size_t offset;      /* byte offset in the input */
    const char *reason; /* static words, e.g. "expected a hex string of 32 digits" */
};

/* Appends the protobuf form of an Export*ServiceRequest in JSON to `out`. 0; WEFT_ERR_MALFORMED with
 * *ret_error set; WEFT_ERR_TOO_DEEP; or the buffer's own error. */
int weft_otlp_json_read(enum weft_signal signal, struct weft_slice text, struct weft_buf *out,
                        struct weft_json_error *ret_error);

/* Appends the JSON form of a request to `out`, on one line, without a newline.
 * 0, WEFT_ERR_MALFORMED, or the buffer's own error. */
int weft_otlp_json_write(enum weft_signal signal, struct weft_slice payload, struct weft_buf *out);

#endif

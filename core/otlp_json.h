/* SPDX-License-Identifier: Apache-2.0 */
/* otlp_json.h: OTLP's JSON encoding, translated to and from its protobuf encoding.
 *
 * Reading is one streaming pass over the text, without a tree. Rules: opentelemetry-proto
 * docs/specification.md, "JSON Protobuf Encoding": ids are hex of any case, keys lowerCamelCase,
 * enums integers (names are refused, as the specification has it), 64-bit integers strings or numbers, unknown fields
 * ignored, null the same as nothing. What only profiles use (string indexes) is not translated.
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

/* Appends the protobuf form of an Export*ServiceRequest in JSON to `out`. 0; or, with *ret_error set and the length of
 * `out` as it was, WEFT_ERR_MALFORMED, WEFT_ERR_TOO_DEEP or the buffer's own error. A resource given twice in one group is
 * left to weft_otlp_count to refuse. */
int weft_otlp_json_read(enum weft_signal signal, struct weft_slice text, struct weft_buf *out,
                        struct weft_json_error *ret_error);

/* Appends the JSON form of a request to `out`, on one line, without a newline. Of a field that comes twice the last is
 * written; strings that are not UTF-8 get U+FFFD. 0, or with the length of `out` as it was WEFT_ERR_MALFORMED or the buffer's
 * own error. */
int weft_otlp_json_write(enum weft_signal signal, struct weft_slice payload, struct weft_buf *out);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* wire.h: protobuf's wire format, read by a pull cursor and written into a buffer.
 *
 * Reading allocates nothing, calls nobody back and does not recurse; slices point into the
 * input and live as long as it does. Every bounds check on a payload is in wire_inline.h and wire.c.
 * Format: https://protobuf.dev/programming-guides/encoding/
 * Stateless; any thread.
 */
#ifndef WEFT_CORE_WIRE_H
#define WEFT_CORE_WIRE_H

#include "core/buf.h"
#include "core/slice.h"

enum weft_wire_type { WEFT_VARINT = 0, WEFT_FIXED64 = 1, WEFT_LENGTH = 2, WEFT_FIXED32 = 5 };

struct weft_field {
    uint32_t number;
    enum weft_wire_type type;
    uint64_t scalar;         /* varint, fixed32 and fixed64 fields */
    struct weft_slice bytes; /* strings, bytes, sub-messages, packed arrays */
};

/* 1: *ret_field is the next field, *rest is behind it. 0: clean end. WEFT_ERR_MALFORMED: give up.
 * *ret_field is untouched unless the result is 1. Groups (wire types 3 and 4) are malformed, and so are keys and
 * lengths of more than five bytes and lengths over 2^31 - 1, as in protobuf's own parsers. */
int weft_wire_next(struct weft_slice *rest, struct weft_field *ret_field);

/* The next sub-message, string or bytes field with this number; others are skipped. 1: *ret_bytes is set. 0: no more.
 * WEFT_ERR_MALFORMED. */
int weft_wire_next_bytes(struct weft_slice *rest, uint32_t number, struct weft_slice *ret_bytes);

/* One bare varint from a packed array: 1, 0 at the end, or WEFT_ERR_MALFORMED. */
int weft_wire_next_varint(struct weft_slice *rest, uint64_t *ret_value);

/* Bytes that `value` takes as a varint: 1 to 10. */
size_t weft_wire_varint_size(uint64_t value);

/* ---- writing: each appends one field; errors stick in the buffer ---- */
void weft_wire_put_varint(struct weft_buf *b, uint32_t number, uint64_t value);
void weft_wire_put_fixed64(struct weft_buf *b, uint32_t number, uint64_t value);
void weft_wire_put_fixed32(struct weft_buf *b, uint32_t number, uint32_t value);
void weft_wire_put_double(struct weft_buf *b, uint32_t number, double value);
void weft_wire_put_bytes(struct weft_buf *b, uint32_t number, struct weft_slice value);
void weft_wire_put_raw_varint(struct weft_buf *b, uint64_t value); /* no key: packed arrays */

/* A sub-message: begin, append its fields, end with the mark that begin returned. Marks nest and
 * close in reverse order. The length is written minimally (the content moves when it needs room). */
size_t weft_wire_begin(struct weft_buf *b, uint32_t number);
void weft_wire_end(struct weft_buf *b, size_t mark);

/* The same for a message that may grow large: the length takes a fixed five bytes (legal, not
 * minimal), so nothing moves. */
size_t weft_wire_begin_wide(struct weft_buf *b, uint32_t number);
void weft_wire_end_wide(struct weft_buf *b, size_t mark);

#endif

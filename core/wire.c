/* SPDX-License-Identifier: Apache-2.0 */
/* wire.c: protobuf's wire format, in and out. See wire.h for the contract; the reading of the common cases is in
 * wire_inline.h. Stateless; any thread. */
#include "core/wire.h"

#include "core/wire_inline.h"

#include <assert.h>

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "fixed fields are copied as they are");

enum { WIDE_LENGTH = 5 };

struct weft_long_varint weft_wire_long_varint(const uint8_t *data, size_t len, size_t max_bytes)
{
    const size_t n = len < max_bytes ? len : max_bytes;
    uint64_t value = 0;

    for (size_t i = 0; i < n; i++) {
        value |= (uint64_t)(data[i] & 0x7f) << (7 * i); /* bits over 64 fall off, as in protobuf */
        if (data[i] < 0x80)
            return (struct weft_long_varint){ value, i + 1 };
    }
    return (struct weft_long_varint){ 0, 0 };
}

int weft_wire_next(struct weft_slice *rest, struct weft_field *ret_field)
{
    struct weft_field field = { 0 };
    uint32_t key = 0;
    int result = weft_scan_field(rest, &key, &field.scalar, &field.bytes);

    if (result <= 0)
        return result;
    field.number = key >> 3;
    field.type = (enum weft_wire_type)(key & 7);
    *ret_field = field;
    return 1;
}

int weft_wire_next_bytes(struct weft_slice *rest, uint32_t number, struct weft_slice *ret_bytes)
{
    const uint32_t wanted = WEFT_KEY(number, WEFT_LENGTH);
    struct weft_slice bytes = { 0 };
    uint64_t scalar;
    uint32_t key;
    int result;

    while ((result = weft_scan_field(rest, &key, &scalar, &bytes)) > 0) {
        if (key == wanted) {
            *ret_bytes = bytes;
            return 1;
        }
    }
    return result;
}

int weft_wire_next_varint(struct weft_slice *rest, uint64_t *ret_value)
{
    if (rest->len == 0)
        return 0;
    return weft_scan_varint(rest, WEFT_VARINT_MAX, ret_value) ? 1 : WEFT_ERR_MALFORMED;
}

size_t weft_wire_varint_size(uint64_t value)
{
    const unsigned bits = 64 - (unsigned)__builtin_clzll(value | 1);

    return (bits + 6) / 7;
}

/* ---- writing ---- */

/* A key of `number` and `type` followed by room for `extra` bytes; NULL when the buffer has failed. The caller
 * moves b->len behind what it has written. */
static uint8_t *put_key(struct weft_buf *b, uint32_t number, enum weft_wire_type type, size_t extra)
{
    assert(number > 0 && number <= WEFT_FIELD_NUMBER_MAX);
    if (extra > SIZE_MAX - WEFT_KEY_MAX) {
        b->err = WEFT_ERR_TOO_LARGE;
        return NULL;
    }
    uint8_t *at = weft_buf_reserve(b, WEFT_KEY_MAX + extra);

    return at ? weft_store_varint(at, WEFT_KEY(number, type)) : NULL;
}

static void written_to(struct weft_buf *b, const uint8_t *at)
{
    b->len = (size_t)(at - b->data);
}

void weft_wire_put_varint(struct weft_buf *b, uint32_t number, uint64_t value)
{
    uint8_t *at = put_key(b, number, WEFT_VARINT, WEFT_VARINT_MAX);

    if (at)
        written_to(b, weft_store_varint(at, value));
}

void weft_wire_put_fixed64(struct weft_buf *b, uint32_t number, uint64_t value)
{
    uint8_t *at = put_key(b, number, WEFT_FIXED64, sizeof value);

    if (at) {
        memcpy(at, &value, sizeof value);
        written_to(b, at + sizeof value);
    }
}

void weft_wire_put_fixed32(struct weft_buf *b, uint32_t number, uint32_t value)
{
    uint8_t *at = put_key(b, number, WEFT_FIXED32, sizeof value);

    if (at) {
        memcpy(at, &value, sizeof value);
        written_to(b, at + sizeof value);
    }
}

void weft_wire_put_double(struct weft_buf *b, uint32_t number, double value)
{
    uint64_t bits;

    memcpy(&bits, &value, sizeof bits);
    weft_wire_put_fixed64(b, number, bits);
}

void weft_wire_put_bytes(struct weft_buf *b, uint32_t number, struct weft_slice value)
{
    if (value.len > INT32_MAX) {
        b->err = b->err ? b->err : WEFT_ERR_TOO_LARGE;
        return;
    }
    uint8_t *at = put_key(b, number, WEFT_LENGTH, WEFT_KEY_MAX + value.len);
    if (!at)
        return;
    at = weft_store_varint(at, value.len);
    if (value.len > 0)
        memcpy(at, value.data, value.len);
    written_to(b, at + value.len);
}

void weft_wire_put_raw_varint(struct weft_buf *b, uint64_t value)
{
    uint8_t *at = weft_buf_reserve(b, WEFT_VARINT_MAX);

    if (at)
        written_to(b, weft_store_varint(at, value));
}

/* A mark is where the content begins; before it lie the bytes of the length: one, or five. */
static size_t begin(struct weft_buf *b, uint32_t number, size_t length_bytes)
{
    uint8_t *at = put_key(b, number, WEFT_LENGTH, length_bytes);

    if (!at)
        return 0;
    written_to(b, at + length_bytes);
    return b->len;
}

size_t weft_wire_begin(struct weft_buf *b, uint32_t number)
{
    return begin(b, number, 1);
}

void weft_wire_end(struct weft_buf *b, size_t mark)
{
    if (b->err)
        return;
    assert(mark > 0 && mark <= b->len);

    const size_t len = b->len - mark;
    const size_t more = weft_wire_varint_size(len) - 1;
    if (len > INT32_MAX) {
        b->err = WEFT_ERR_TOO_LARGE;
        return;
    }
    if (more > 0) {
        if (!weft_buf_reserve(b, more))
            return;
        memmove(b->data + mark + more, b->data + mark, len);
        b->len += more;
    }
    weft_store_varint(b->data + mark - 1, len);
}

size_t weft_wire_begin_wide(struct weft_buf *b, uint32_t number)
{
    return begin(b, number, WIDE_LENGTH);
}

void weft_wire_end_wide(struct weft_buf *b, size_t mark)
{
    if (b->err)
        return;
    assert(mark >= WIDE_LENGTH && mark <= b->len);

    size_t len = b->len - mark;
    if (len > INT32_MAX) {
        b->err = WEFT_ERR_TOO_LARGE;
        return;
    }
    uint8_t *at = b->data + mark - WIDE_LENGTH;
    for (int i = 0; i < WIDE_LENGTH - 1; i++, len >>= 7)
        at[i] = (uint8_t)(len | 0x80);
    at[WIDE_LENGTH - 1] = (uint8_t)len;
}

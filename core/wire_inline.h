/* SPDX-License-Identifier: Apache-2.0 */
/* wire_inline.h: the body of the cursor of wire.h, inline, for the few files of core/ that read every field of
 * every span. All others include wire.h.
 *
 *   (1) No byte at or behind `end` is ever read.
 *   (2) After a result other than 1 the place of `rest` means nothing.
 *
 * A key or a length is one byte in nearly every field of OTLP, so that case is first and a longer varint is a call.
 * Stateless; any thread.
 */
#ifndef WEFT_CORE_WIRE_INLINE_H
#define WEFT_CORE_WIRE_INLINE_H

#include "core/err.h"
#include "core/wire.h"

enum { WEFT_VARINT_MAX = 10, WEFT_KEY_MAX = 5, WEFT_FIELD_NUMBER_MAX = 0x1fffffff };

/* Always inlined, for the same reason as in weft_long_varint. */
#define WEFT_SCAN static inline __attribute__((always_inline))

/* What a key looks like on the wire: a switch over it checks number and type at once. */
#define WEFT_KEY(number, type) ((uint32_t)(number) << 3 | (uint32_t)(type))

/* The rest of weft_scan_varint: any length up to `max_bytes`. All by value, because a cursor whose address is handed out
 * lives in memory instead of in registers: 152 against 93 ns for the fields of a span. n_bytes 0: truncated or longer. */
struct weft_long_varint {
    uint64_t value;
    size_t n_bytes;
};
struct weft_long_varint weft_wire_long_varint(const uint8_t *data, size_t len, size_t max_bytes);

/* A varint of at most `max_bytes`. false: truncated or longer. */
WEFT_SCAN bool weft_scan_varint(struct weft_slice *rest, size_t max_bytes, uint64_t *ret_value)
{
    if (__builtin_expect(rest->len > 0 && rest->data[0] < 0x80, 1)) {
        *ret_value = rest->data[0];
        rest->data++;
        rest->len--;
        return true;
    }
    const struct weft_long_varint v = weft_wire_long_varint(rest->data, rest->len, max_bytes);

    *ret_value = v.value;
    rest->data += v.n_bytes;
    rest->len -= v.n_bytes;
    return v.n_bytes > 0;
}

WEFT_SCAN bool weft_scan_fixed64(struct weft_slice *rest, uint64_t *ret_value)
{
    if (rest->len < 8)
        return false;
    memcpy(ret_value, rest->data, 8); /* little endian, like the wire: see the check in wire.c */
    rest->data += 8;
    rest->len -= 8;
    return true;
}

WEFT_SCAN bool weft_scan_fixed32(struct weft_slice *rest, uint64_t *ret_value)
{
    uint32_t value;

    if (rest->len < 4)
        return false;
    memcpy(&value, rest->data, 4);
    *ret_value = value;
    rest->data += 4;
    rest->len -= 4;
    return true;
}

WEFT_SCAN bool weft_scan_bytes(struct weft_slice *rest, struct weft_slice *ret_bytes)
{
    uint64_t len;

    if (__builtin_expect(rest->len > 0 && rest->data[0] < 0x80, 1)) {
        len = rest->data[0];
        if (len >= rest->len)
            return false;
        *ret_bytes = weft_slice_of(rest->data + 1, (size_t)len);
        rest->data += len + 1;
        rest->len -= (size_t)len + 1;
        return true;
    }
    if (!weft_scan_varint(rest, WEFT_KEY_MAX, &len) || len > rest->len || len > INT32_MAX)
        return false;
    *ret_bytes = weft_slice_of(rest->data, (size_t)len);
    rest->data += len;
    rest->len -= (size_t)len;
    return true;
}

WEFT_SCAN bool weft_scan_key(struct weft_slice *rest, uint32_t *ret_key)
{
    uint64_t key;

    if (__builtin_expect(rest->len > 0 && rest->data[0] < 0x80, 1)) {
        *ret_key = rest->data[0];
        rest->data++;
        rest->len--;
        return *ret_key >= WEFT_KEY(1, 0);
    }
    if (!weft_scan_varint(rest, WEFT_KEY_MAX, &key) || key >> 3 == 0 || key >> 3 > WEFT_FIELD_NUMBER_MAX)
        return false;
    *ret_key = (uint32_t)key;
    return true;
}

/* weft_wire_next with the key as it stood on the wire. Of *scalar and *bytes the one of the type is set. */
WEFT_SCAN int weft_scan_field(struct weft_slice *rest, uint32_t *ret_key, uint64_t *ret_scalar,
                                  struct weft_slice *ret_bytes)
{
    if (rest->len == 0)
        return 0;
    if (!weft_scan_key(rest, ret_key))
        return WEFT_ERR_MALFORMED;

    /* Ifs in the order of frequency: a jump table here costs 20 ns a span. */
    const uint32_t type = *ret_key & 7;
    bool ok = false;
    if (type == WEFT_LENGTH)
        ok = weft_scan_bytes(rest, ret_bytes);
    else if (type == WEFT_FIXED64)
        ok = weft_scan_fixed64(rest, ret_scalar);
    else if (type == WEFT_VARINT)
        ok = weft_scan_varint(rest, WEFT_VARINT_MAX, ret_scalar);
    else if (type == WEFT_FIXED32)
        ok = weft_scan_fixed32(rest, ret_scalar);
    return ok ? 1 : WEFT_ERR_MALFORMED;
}

/* Steps over fields of one byte of key and one of length that follow each other, as attributes do. How many. */
WEFT_SCAN uint32_t weft_scan_run(struct weft_slice *rest, uint32_t key)
{
    const uint8_t *at = rest->data, *end = at + rest->len;
    uint32_t n = 0;

    while (end - at >= 2 && at[0] == key && at[1] < 0x80 && end - at - 2 >= at[1]) {
        at += 2 + at[1];
        n++;
    }
    *rest = weft_slice_of(at, (size_t)(end - at));
    return n;
}

/* Writes `value` at `at`, which has room for it; where it ends. */
WEFT_SCAN uint8_t *weft_store_varint(uint8_t *at, uint64_t value)
{
    while (value >= 0x80) {
        *at++ = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    *at++ = (uint8_t)value;
    return at;
}

/* Bytes of a field's key and length with the value behind them. */
WEFT_SCAN size_t weft_length_field_size(uint32_t number, size_t len)
{
    return weft_wire_varint_size(WEFT_KEY(number, WEFT_LENGTH)) + weft_wire_varint_size(len) + len;
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* hex.c: trace and span ids as text. Declared in otlp.h. Stateless; any thread. */
#include "core/otlp.h"

#include <assert.h>

enum { ID_MAX = 16 };

void weft_hex_write(struct weft_slice id, char *out)
{
    static const char digits[] = "0123456789abcdef";

    assert(id.len <= ID_MAX);
    for (size_t i = 0; i < id.len; i++) {
        *out++ = digits[id.data[i] >> 4];
        *out++ = digits[id.data[i] & 15];
    }
    *out = '\0';
}

/* Digits of random ids cannot be foretold, so nothing here branches on one: whether it is a digit is gathered, and the
 * value of what is none is nonsense. */
static bool is_digit(uint8_t c)
{
    return ((uint8_t)(c - '0') < 10) | ((uint8_t)((c | 0x20) - 'a') < 6);
}

static unsigned value_of(uint8_t c)
{
    return (c & 15u) + 9u * (c >> 6);
}

bool weft_hex_read(struct weft_slice text, uint8_t *out, size_t n)
{
    bool good = true;

    if (text.len != 2 * n)
        return false;
    for (size_t i = 0; i < n; i++) {
        const uint8_t high = text.data[2 * i], low = text.data[2 * i + 1];

        good &= is_digit(high) & is_digit(low);
        out[i] = (uint8_t)(value_of(high) << 4 | value_of(low));
    }
    return good;
}

bool weft_id_valid(struct weft_slice id, size_t n)
{
    uint8_t any = 0;

    if (id.len != n)
        return false;
    for (size_t i = 0; i < n; i++)
        any |= id.data[i];
    return any != 0;
}

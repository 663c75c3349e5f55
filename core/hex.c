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

static int digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool weft_hex_read(struct weft_slice text, uint8_t *out, size_t n)
{
    if (text.len != 2 * n)
        return false;
    for (size_t i = 0; i < n; i++) {
        const int high = digit(text.data[2 * i]), low = digit(text.data[2 * i + 1]);

        if (high < 0 || low < 0)
            return false;
        out[i] = (uint8_t)(high << 4 | low);
    }
    return true;
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

/* SPDX-License-Identifier: Apache-2.0 */
/* utf8.h: the well-formed byte sequences of UTF-8 (Unicode 15, table 3-7): no overlong forms, no
 * surrogates, nothing above U+10FFFF. Stateless; any thread.
 */
#ifndef WEFT_CORE_UTF8_H
#define WEFT_CORE_UTF8_H

#include "core/slice.h"

/* U+FFFD, which stands in for what was not UTF-8. */
#define WEFT_UTF8_REPLACEMENT "\xef\xbf\xbd"

/* Bytes (1 to 4) of the well-formed sequence at `at`, or 0 when there is none; at < end. */
static inline size_t weft_utf8_sequence(const uint8_t *at, const uint8_t *end)
{
    uint8_t lead = at[0];
    size_t left = (size_t)(end - at);

    if (lead < 0x80)
        return 1;
    if (lead < 0xc2 || lead > 0xf4 || left < 2)
        return 0;
    if (lead < 0xe0)
        return (at[1] & 0xc0) == 0x80 ? 2 : 0;

    uint8_t low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    uint8_t high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    if (at[1] < low || at[1] > high || left < 3 || (at[2] & 0xc0) != 0x80)
        return 0;
    if (lead < 0xf0)
        return 3;
    return left >= 4 && (at[3] & 0xc0) == 0x80 ? 4 : 0;
}

/* Writes the code point (below 0x110000, not a surrogate) and returns its length, 1 to 4. */
static inline size_t weft_utf8_encode(uint32_t point, uint8_t out[4])
{
    if (point < 0x80) {
        out[0] = (uint8_t)point;
        return 1;
    }
    if (point < 0x800) {
        out[0] = (uint8_t)(0xc0 | point >> 6);
        out[1] = (uint8_t)(0x80 | (point & 0x3f));
        return 2;
    }
    if (point < 0x10000) {
        out[0] = (uint8_t)(0xe0 | point >> 12);
        out[1] = (uint8_t)(0x80 | (point >> 6 & 0x3f));
        out[2] = (uint8_t)(0x80 | (point & 0x3f));
        return 3;
    }
    out[0] = (uint8_t)(0xf0 | point >> 18);
    out[1] = (uint8_t)(0x80 | (point >> 12 & 0x3f));
    out[2] = (uint8_t)(0x80 | (point >> 6 & 0x3f));
    out[3] = (uint8_t)(0x80 | (point & 0x3f));
    return 4;
}

#endif

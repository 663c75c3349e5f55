/* SPDX-License-Identifier: Apache-2.0 */
/* json_scan.h: the inner loops of JSON, shared by the files json*.c and private to them.
 *
 * All are pure functions over [at, end) and never read beyond it. Strings are looked at 16 or 64 bytes at once
 * with SSE2, which every x86-64 has; other machines take the byte loops.
 */
#ifndef WEFT_CORE_JSON_SCAN_H
#define WEFT_CORE_JSON_SCAN_H

#include "core/slice.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* True for what stands for itself inside a JSON string: printable ASCII but the quote and the backslash, and DEL. */
static inline bool weft_json_is_plain(uint8_t c)
{
    return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

#ifdef __SSE2__
/* One bit for each of 16 bytes: set when it is not plain. */
static inline unsigned weft_json_stops_of(__m128i x)
{
    __m128i quote = _mm_cmpeq_epi8(x, _mm_set1_epi8('"')), slash = _mm_cmpeq_epi8(x, _mm_set1_epi8('\\'));
    /* compared as signed bytes: below the space are the controls and all that is not ASCII */
    __m128i other = _mm_cmplt_epi8(x, _mm_set1_epi8(0x20));

    return (unsigned)_mm_movemask_epi8(_mm_or_si128(other, _mm_or_si128(quote, slash)));
}

static inline unsigned weft_json_stops16(const uint8_t *at)
{
    return weft_json_stops_of(_mm_loadu_si128((const __m128i *)(const void *)at));
}
#endif

/* The same for 64 bytes. */
static inline uint64_t weft_json_stops64(const uint8_t *at)
{
#ifdef __SSE2__
    return (uint64_t)weft_json_stops16(at) | (uint64_t)weft_json_stops16(at + 16) << 16 |
           (uint64_t)weft_json_stops16(at + 32) << 32 | (uint64_t)weft_json_stops16(at + 48) << 48;
#else
    uint64_t stops = 0;

    for (unsigned i = 0; i < 64; i++)
        stops |= (uint64_t)!weft_json_is_plain(at[i]) << i;
    return stops;
#endif
}

/* The first byte that is not plain, or `end`. */
static inline const uint8_t *weft_json_plain_end(const uint8_t *at, const uint8_t *end)
{
#ifdef __SSE2__
    for (; end - at >= 16; at += 16) {
        unsigned stops = weft_json_stops16(at);
        if (stops)
            return at + __builtin_ctz(stops);
    }
#endif
    while (at < end && weft_json_is_plain(*at))
        at++;
    return at;
}

static inline const uint8_t *weft_json_digits_end(const uint8_t *at, const uint8_t *end)
{
    while (at < end && (uint8_t)(*at - '0') < 10)
        at++;
    return at;
}

/* Behind the longest number of RFC 8259's grammar that begins at `at`; NULL when there is none. */
static inline const uint8_t *weft_json_number_end(const uint8_t *at, const uint8_t *end)
{
    const uint8_t *digits = at + (at < end && *at == '-');

    at = weft_json_digits_end(digits, end);
    if (at == digits || (*digits == '0' && at - digits > 1))
        return NULL;
    if (at < end && *at == '.') {
        digits = at + 1;
        at = weft_json_digits_end(digits, end);
        if (at == digits)
            return NULL;
    }
    if (at < end && (*at | 0x20) == 'e') {
        digits = at + 1;
        if (digits < end && (*digits == '+' || *digits == '-'))
            digits++;
        at = weft_json_digits_end(digits, end);
        if (at == digits)
            return NULL;
    }
    return at;
}

#endif

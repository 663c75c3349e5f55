/* SPDX-License-Identifier: Apache-2.0 */
/* hex.c: trace and span ids as text. Declared in otlp.h. Stateless; any thread. */
#include "core/otlp.h"

#include <assert.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

enum { ID_MAX = 16, BLOCK = 8 /* bytes of an id that are read or written at once */ };

/* Digits of random ids cannot be foretold, so nothing here branches on one: whether it is a digit is gathered, and the
 * value of what is none is nonsense. */
#ifdef __SSE2__
static void write_block(const uint8_t *id, char *out)
{
    const __m128i x = _mm_loadl_epi64((const __m128i *)(const void *)id), low_bits = _mm_set1_epi8(15);
    const __m128i high = _mm_and_si128(_mm_srli_epi16(x, 4), low_bits), low = _mm_and_si128(x, low_bits);
    const __m128i value = _mm_unpacklo_epi8(high, low);
    const __m128i letter = _mm_and_si128(_mm_cmpgt_epi8(value, _mm_set1_epi8(9)), _mm_set1_epi8('a' - 10 - '0'));

    _mm_storeu_si128((__m128i *)(void *)out, _mm_add_epi8(_mm_add_epi8(value, letter), _mm_set1_epi8('0')));
}

/* One bit for each byte that lies within [from, to]; both are ASCII, and so bytes that are not compare as too small. */
static __m128i within(__m128i x, char from, char to)
{
    return _mm_and_si128(_mm_cmpgt_epi8(x, _mm_set1_epi8((char)(from - 1))),
                         _mm_cmplt_epi8(x, _mm_set1_epi8((char)(to + 1))));
}

static bool read_block(const uint8_t *text, uint8_t *out)
{
    const __m128i x = _mm_loadu_si128((const __m128i *)(const void *)text);
    const __m128i digit = within(x, '0', '9'), letter = within(_mm_or_si128(x, _mm_set1_epi8(0x20)), 'a', 'f');
    const __m128i value = _mm_add_epi8(_mm_and_si128(x, _mm_set1_epi8(15)), _mm_and_si128(letter, _mm_set1_epi8(9)));
    /* of each pair, the first is the low byte of a word and has the high digit */
    const __m128i pair = _mm_or_si128(_mm_slli_epi16(value, 4), _mm_srli_epi16(value, 8));
    const __m128i bytes = _mm_and_si128(pair, _mm_set1_epi16(0xff));

    _mm_storel_epi64((__m128i *)(void *)out, _mm_packus_epi16(bytes, bytes));
    return _mm_movemask_epi8(_mm_or_si128(digit, letter)) == 0xffff;
}
#endif

static char digit_of(unsigned value)
{
    static const char digits[] = "0123456789abcdef";

    return digits[value];
}

void weft_hex_write(struct weft_slice id, char *out)
{
    size_t i = 0;

    assert(id.len <= ID_MAX);
#ifdef __SSE2__
    for (; i + BLOCK <= id.len; i += BLOCK)
        write_block(id.data + i, out + 2 * i);
#endif
    for (; i < id.len; i++) {
        out[2 * i] = digit_of(id.data[i] >> 4);
        out[2 * i + 1] = digit_of(id.data[i] & 15);
    }
    out[2 * i] = '\0';
}

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
    size_t i = 0;

    if (text.len != 2 * n)
        return false;
#ifdef __SSE2__
    for (; i + BLOCK <= n; i += BLOCK)
        good &= read_block(text.data + 2 * i, out + i);
#endif
    for (; i < n; i++) {
        const uint8_t high = text.data[2 * i], low = text.data[2 * i + 1];

        good &= (int)is_digit(high) & (int)is_digit(low);
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

/* SPDX-License-Identifier: Apache-2.0 */
/* json_number.c: numbers of JSON, between text and machine words, whatever the locale of the process.
 *
 * A number is taken apart into mantissa * 10^exponent. When both are small the result is one exact
 * multiplication or division (Clinger's fast path); the rest goes through the C library in the C locale.
 * Stateless; any thread.
 */
#include "core/json.h"
#include "core/json_scan.h"

#include <float.h>
#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    EXPONENT_MAX = 100000000, /* far outside any double; keeps sums from overflowing */
    DIGITS_MAX = 780,         /* more than the 768 that can decide how a double rounds */
    EXACT_POWER = 22,         /* 10^22 is the last power of ten that is a double */
};

static const double powers[EXACT_POWER + 1] = { 1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                                1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22 };

struct decimal {
    bool negative;
    bool inexact;      /* digits that are not zero were left out of the mantissa */
    uint64_t mantissa;
    int64_t exponent;
};

/* The exponent part behind `at` ('e' or the end), cut to what can matter. */
static int64_t read_exponent(const uint8_t *at, const uint8_t *end)
{
    int64_t value = 0;
    bool negative = false;

    if (at == end)
        return 0;
    at++;
    if (*at == '+' || *at == '-')
        negative = *at++ == '-';
    for (; at < end; at++)
        if (value < EXPONENT_MAX)
            value = value * 10 + (*at - '0');
    return negative ? -value : value;
}

/* False when the text is not a number of JSON. */
static bool take_apart(struct weft_slice number, struct decimal *ret_decimal)
{
    const uint8_t *at = number.data, *end = at + number.len;
    struct decimal d = { 0 };
    bool full = false, fraction = false;

    if (number.len == 0 || weft_json_number_end(at, end) != end)
        return false;
    if (*at == '-') {
        d.negative = true;
        at++;
    }
    for (; at < end && (*at | 0x20) != 'e'; at++) {
        if (*at == '.') {
            fraction = true;
            continue;
        }
        unsigned digit = *at - '0';
        full = full || d.mantissa > (UINT64_MAX - digit) / 10;
        if (!full)
            d.mantissa = d.mantissa * 10 + digit;
        else if (digit)
            d.inexact = true;
        d.exponent += (int)full - (int)fraction;
    }
    d.exponent += read_exponent(at, end);
    *ret_decimal = d;
    return true;
}

/* The decimal without its sign as an integer; false when it is not whole or does not fit. */
static bool whole(struct decimal d, uint64_t *ret_value)
{
    if (d.mantissa == 0)
        d.exponent = 0;
    for (; d.exponent < 0; d.exponent++) {
        if (d.mantissa % 10 != 0)
            return false;
        d.mantissa /= 10;
    }
    for (; d.exponent > 0; d.exponent--)
        if (__builtin_mul_overflow(d.mantissa, 10u, &d.mantissa))
            return false;
    *ret_value = d.mantissa;
    return !d.inexact;
}

bool weft_json_uint64(struct weft_slice number, uint64_t *ret_value)
{
    struct decimal d;
    uint64_t value;

    if (!take_apart(number, &d) || !whole(d, &value) || (d.negative && value != 0))
        return false;
    *ret_value = value;
    return true;
}

bool weft_json_int64(struct weft_slice number, int64_t *ret_value)
{
    struct decimal d;
    uint64_t value;

    if (!take_apart(number, &d) || !whole(d, &value) || value > (uint64_t)INT64_MAX + d.negative)
        return false;
    *ret_value = d.negative ? (int64_t)(0 - value) : (int64_t)value;
    return true;
}

static locale_t c_locale;

static void make_c_locale(void)
{
    c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
}

/* Through strtod: the digits that matter, without a point, and an exponent. */
static bool slow_double(struct weft_slice number, double *ret_value)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    char text[DIGITS_MAX + 40];
    size_t n = 0, digits = 0;
    int64_t exponent = 0;
    bool fraction = false;
    const uint8_t *at = number.data, *end = at + number.len;

    for (; at < end && (*at | 0x20) != 'e'; at++) {
        if (*at == '-') {
            text[n++] = '-';
        } else if (*at == '.') {
            fraction = true;
        } else if (digits < DIGITS_MAX) {
            text[n++] = (char)*at;
            digits += digits > 0 || *at != '0';
            n -= digits == 0; /* leading zeroes are not kept */
            exponent -= fraction;
        } else {
            if (*at != '0')
                text[n - 1] = '1'; /* beyond what decides, it is enough to know that something follows */
            exponent += !fraction;
        }
    }
    exponent += read_exponent(at, end);
    (void)snprintf(text + n, sizeof text - n, "%se%lld", digits == 0 ? "0" : "", (long long)exponent);
    if (pthread_once(&once, make_c_locale) != 0 || !c_locale)
        return false;
    double value = strtod_l(text, NULL, c_locale);
    if (isinf(value))
        return false;
    *ret_value = value;
    return true;
}

bool weft_json_double(struct weft_slice number, double *ret_value)
{
    struct decimal d;

    if (!take_apart(number, &d))
        return false;
    if (d.inexact || d.mantissa > (uint64_t)1 << 53 || d.exponent < -EXACT_POWER || d.exponent > EXACT_POWER)
        return slow_double(number, ret_value);

    double value = (double)d.mantissa;
    value = d.exponent < 0 ? value / powers[-d.exponent] : value * powers[d.exponent];
    *ret_value = d.negative ? -value : value;
    return true;
}

/* ---- writing ---- */

/* The digits of `value`, right-aligned in a buffer of 20. Where they begin. */
static char *digits_of(uint64_t value, char text[20])
{
    char *at = text + 20;

    do {
        *--at = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    return at;
}

void weft_json_put_uint(struct weft_buf *b, uint64_t value)
{
    char text[20], *at = digits_of(value, text);

    weft_buf_append(b, at, (size_t)(text + 20 - at));
}

void weft_json_put_int(struct weft_buf *b, int64_t value)
{
    if (value < 0)
        weft_buf_append_byte(b, '-');
    weft_json_put_uint(b, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
}

/* Writes `value` (finite, not negative) as a decimal with few digits behind the point, when it is one:
 * most numbers that people write are. */
static bool put_short_decimal(struct weft_buf *b, double value)
{
    enum { PLACES = 9 };
    char text[20];

    for (int places = 0; places <= PLACES; places++) {
        double scaled = nearbyint(value * powers[places]);
        if (scaled > 1e15)
            return false;
        if (scaled / powers[places] != value)
            continue;
        char *at = digits_of((uint64_t)scaled, text), *end = text + 20;
        while (end - at <= places)
            *--at = '0';
        weft_buf_append(b, at, (size_t)(end - at - places));
        if (places > 0) {
            weft_buf_append_byte(b, '.');
            weft_buf_append(b, end - places, (size_t)places);
        }
        return true;
    }
    return false;
}

/* printf's text with a point where the locale has something else. */
static size_t without_locale(char *text)
{
    size_t n = 0;
    bool point = false;

    for (const char *at = text; *at; at++) {
        if ((*at >= '0' && *at <= '9') || *at == 'e' || *at == '-' || *at == '+') {
            text[n++] = *at;
        } else if (!point) {
            text[n++] = '.';
            point = true;
        }
    }
    return n;
}

void weft_json_put_double(struct weft_buf *b, double value)
{
    if (isnan(value) || isinf(value)) {
        weft_buf_append_str(b, isnan(value) ? "\"NaN\"" : value > 0 ? "\"Infinity\"" : "\"-Infinity\"");
        return;
    }
    if (signbit(value)) {
        weft_buf_append_byte(b, '-');
        value = -value;
    }
    if (put_short_decimal(b, value))
        return;
    /* 15 digits always survive the way there and back, but for subnormals, which have fewer to give */
    for (int precision = value < DBL_MIN ? 1 : 15; precision <= 17; precision++) {
        char text[40];
        double back;
        (void)snprintf(text, sizeof text, "%.*g", precision, value);
        size_t len = without_locale(text);
        if (precision == 17 || (weft_json_double(weft_slice_of(text, len), &back) && back == value)) {
            weft_buf_append(b, text, len);
            return;
        }
    }
}

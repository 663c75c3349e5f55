/* SPDX-License-Identifier: Apache-2.0 */
/* exposition.c: see exposition.h. Formats: https://prometheus.io/docs/instrumenting/exposition_formats/ and
 * https://prometheus.io/docs/specs/om/open_metrics_spec/
 *
 * Numbers are most of a page. A value that has at most 15 digits, whole or with a fraction, is written from an
 * integer: v * 10^k is looked for as a whole number r < 2^53, and r / 10^k, a correctly rounded division of two
 * exact numbers, must give v back, which is just what reading the text does. The smallest such k is the shortest
 * text. What is left (1/3) goes through printf with 15, 16 or 17 digits, the first that reads back. */
#include "core/exposition.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { NUMBER_ROOM = 32, MAX_DECIMALS = 15 };

static const double powers[MAX_DECIMALS + 1] = { 1e0, 1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                                 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15 };
static const double WHOLE_MAX = 1e15; /* below it every whole double has at most 15 digits */

/* ---- numbers ---- */

/* The digits of `value`, written backwards from `end`; a pointer to the first. */
static char *digits_before(char *end, uint64_t value)
{
    static const char pairs[201] = "00010203040506070809101112131415161718192021222324252627282930313233343536373839"
                                   "40414243444546474849505152535455565758596061626364656667686970717273747576777879"
                                   "8081828384858687888990919293949596979899";
    while (value >= 100) {
        end -= 2;
        memcpy(end, pairs + 2 * (value % 100), 2);
        value /= 100;
    }
    if (value >= 10) {
        end -= 2;
        memcpy(end, pairs + 2 * value, 2);
        return end;
    }
    *--end = (char)('0' + value);
    return end;
}

void weft_exposition_uint(struct weft_buf *b, uint64_t value)
{
    char room[NUMBER_ROOM], *end = room + sizeof room, *first = digits_before(end, value);

    weft_buf_append(b, first, (size_t)(end - first));
}

/* True when `value` (positive, below WHOLE_MAX) is r / 10^k for the smallest k that gives at most 15 digits. */
static bool decimal(double value, uint64_t *ret_digits, unsigned *ret_k)
{
    for (unsigned k = 0; k <= MAX_DECIMALS; k++) {
        double scaled = value * powers[k];
        if (scaled >= WHOLE_MAX)
            return false;
        uint64_t r = (uint64_t)(scaled + 0.5);
        if ((double)r / powers[k] == value) {
            *ret_digits = r;
            *ret_k = k;
            return true;
        }
    }
    return false;
}

/* Writes r / 10^k with its point, backwards from `end`. */
static char *fraction_before(char *end, uint64_t r, unsigned k)
{
    char *first = digits_before(end, r), *need = end - (k + 1);

    while (first > need)
        *--first = '0'; /* 0.05: at least one digit stands before the point */
    if (k == 0)
        return first;
    memmove(first - 1, first, (size_t)(end - first) - k);
    end[-(long)k - 1] = '.';
    return first - 1;
}

static void put_printed(struct weft_buf *b, double value)
{
    char room[NUMBER_ROOM];

    for (int digits = 15; digits <= 17; digits++) {
        int len = snprintf(room, sizeof room, "%.*g", digits, value);
        if (digits == 17 || strtod(room, NULL) == value) {
            weft_buf_append(b, room, (size_t)len);
            return;
        }
    }
}

/* True when `value` was one of those that have a name. */
static bool put_named(struct weft_buf *b, double value)
{
    if (isnan(value))
        weft_buf_append_str(b, "NaN");
    else if (isinf(value))
        weft_buf_append_str(b, value > 0 ? "+Inf" : "-Inf");
    else
        return false;
    return true;
}

void weft_exposition_number(struct weft_buf *b, double value)
{
    char room[NUMBER_ROOM], *end = room + sizeof room;
    double size = fabs(value);
    uint64_t r;
    unsigned k;

    if (put_named(b, value))
        return;
    if (size >= WHOLE_MAX || (size < 1e-6 && size > 0) || !decimal(size, &r, &k)) {
        put_printed(b, value);
        return;
    }
    char *first = fraction_before(end, r, k);
    if (signbit(value))
        *--first = '-';
    weft_buf_append(b, first, (size_t)(end - first));
}

void weft_exposition_bound(struct weft_buf *b, double value)
{
    double size = fabs(value);

    if (put_named(b, value))
        return;
    if (size >= 1e6 || (size < 1e-4 && size > 0)) { /* exponent form: the shortest %e that reads back */
        char room[NUMBER_ROOM];
        for (int digits = 0; digits <= 16; digits++) {
            int len = snprintf(room, sizeof room, "%.*e", digits, value);
            if (digits == 16 || strtod(room, NULL) == value) {
                weft_buf_append(b, room, (size_t)len);
                return;
            }
        }
    }
    size_t from = b->len;
    weft_exposition_number(b, value);
    if (!b->err && !memchr(b->data + from, '.', b->len - from))
        weft_buf_append(b, ".0", 2);
}

void weft_exposition_seconds(struct weft_buf *b, uint64_t ns)
{
    uint64_t fraction = ns % 1000000000;
    unsigned k = 9;

    weft_exposition_uint(b, ns / 1000000000);
    if (fraction == 0)
        return;
    while (fraction % 10 == 0) {
        fraction /= 10;
        k--;
    }
    char room[NUMBER_ROOM], *end = room + sizeof room, *first = digits_before(end, fraction);
    while (first > end - k)
        *--first = '0';
    *--first = '.';
    weft_buf_append(b, first, (size_t)(end - first));
}

/* ---- text ---- */

/* Length of the UTF-8 sequence at `p` (RFC 3629: no surrogates, nothing overlong), 0 when there is none. A NUL counts
 * as none: Prometheus' lexer takes it for the end of the page. */
static size_t sequence(const uint8_t *p, size_t len)
{
    static const uint8_t low[5] = { 0xa0, 0x80, 0x80, 0x90, 0x80 }; /* second byte after e0, ed, others, f0, f4 */
    static const uint8_t high[5] = { 0xbf, 0x9f, 0xbf, 0xbf, 0x8f };
    size_t n = p[0] < 0x80 ? 1 : p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : p[0] < 0xf5 ? 4 : 0;
    unsigned row = p[0] == 0xe0 ? 0 : p[0] == 0xed ? 1 : p[0] == 0xf0 ? 3 : p[0] == 0xf4 ? 4 : 2;

    if (n > len || p[0] == 0)
        return 0;
    if (n > 1 && (p[1] < low[row] || p[1] > high[row]))
        return 0;
    for (size_t i = 2; i < n; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    return n;
}

/* Length of the run at `p` that goes out as it is. */
static size_t plain_run(const uint8_t *p, size_t len, bool quotes)
{
    size_t i = 0;

    while (i < len && p[i] >= ' ' && p[i] < 0x80 && p[i] != '\\' && !(quotes && p[i] == '"'))
        i++;
    return i;
}

/* One character that is not plain. Returns the bytes it took. */
static size_t put_odd(struct weft_buf *b, const uint8_t *p, size_t len, bool quotes)
{
    if (*p == '\\')
        weft_buf_append(b, "\\\\", 2);
    else if (*p == '\n')
        weft_buf_append(b, "\\n", 2);
    else if (*p == '"' && quotes)
        weft_buf_append(b, "\\\"", 2);
    else {
        size_t n = sequence(p, len);
        if (n == 0) {
            weft_buf_append_str(b, "\xef\xbf\xbd");
            return 1;
        }
        weft_buf_append(b, p, n);
        return n;
    }
    return 1;
}

static void put_escaped(struct weft_buf *b, struct weft_slice text, bool quotes)
{
    for (size_t i = 0; i < text.len;) {
        size_t run = plain_run(text.data + i, text.len - i, quotes);
        weft_buf_append(b, text.data + i, run);
        i += run;
        if (i < text.len)
            i += put_odd(b, text.data + i, text.len - i, quotes);
    }
}

void weft_exposition_label_value(struct weft_buf *b, struct weft_slice value)
{
    put_escaped(b, value, true);
}

static void put_slice(struct weft_buf *b, struct weft_slice s)
{
    weft_buf_append(b, s.data, s.len);
}

static bool ends_with_unit(struct weft_slice name, struct weft_slice unit)
{
    return unit.len > 0 && name.len > unit.len + 1 && name.data[name.len - unit.len - 1] == '_' &&
           memcmp(name.data + name.len - unit.len, unit.data, unit.len) == 0;
}

static void put_comment(struct weft_buf *b, const char *keyword, struct weft_slice name, const char *suffix)
{
    weft_buf_append_str(b, keyword);
    if (weft_exposition_name_plain(name)) {
        put_slice(b, name);
        weft_buf_append_str(b, suffix);
    } else {
        weft_buf_append_byte(b, '"');
        put_escaped(b, name, true);
        weft_buf_append_str(b, suffix);
        weft_buf_append_byte(b, '"');
    }
    weft_buf_append_byte(b, ' ');
}

void weft_exposition_announce(struct weft_buf *b, enum weft_exposition format, struct weft_slice name,
                              const char *suffix, const char *type, struct weft_slice help, struct weft_slice unit)
{
    bool open = format == WEFT_EXPOSITION_OPENMETRICS;

    if (help.len > 0) {
        put_comment(b, "# HELP ", name, suffix);
        put_escaped(b, help, open);
        weft_buf_append_byte(b, '\n');
    }
    put_comment(b, "# TYPE ", name, suffix);
    weft_buf_append_str(b, type);
    weft_buf_append_byte(b, '\n');
    if (open && ends_with_unit(name, unit)) {
        put_comment(b, "# UNIT ", name, suffix);
        put_slice(b, unit);
        weft_buf_append_byte(b, '\n');
    }
}

void weft_exposition_family(struct weft_buf *b, enum weft_exposition format, struct weft_slice name,
                            const char *type, struct weft_slice help, struct weft_slice unit)
{
    bool text = format != WEFT_EXPOSITION_OPENMETRICS;

    if (text && strcmp(type, "counter") == 0)
        weft_exposition_announce(b, format, name, "_total", "counter", help, unit);
    else if (text && strcmp(type, "info") == 0)
        weft_exposition_announce(b, format, name, "_info", "gauge", help, unit);
    else if (text && strcmp(type, "unknown") == 0)
        weft_exposition_announce(b, format, name, "", "untyped", help, unit);
    else
        weft_exposition_announce(b, format, name, "", type, help, unit);
}

static void put_head(struct weft_buf *b, struct weft_slice name, const char *suffix, const struct weft_label *labels,
                     size_t n_labels)
{
    put_slice(b, name);
    weft_buf_append_str(b, suffix);
    for (size_t i = 0; i < n_labels; i++) {
        weft_buf_append_byte(b, i ? ',' : '{');
        put_slice(b, labels[i].name);
        weft_buf_append(b, "=\"", 2);
        weft_exposition_label_value(b, labels[i].value);
        weft_buf_append_byte(b, '"');
    }
    if (n_labels > 0)
        weft_buf_append_byte(b, '}');
    weft_buf_append_byte(b, ' ');
}

void weft_exposition_sample(struct weft_buf *b, struct weft_slice name, const char *suffix,
                            const struct weft_label *labels, size_t n_labels, double value)
{
    put_head(b, name, suffix, labels, n_labels);
    weft_exposition_number(b, value);
}

void weft_exposition_sample_uint(struct weft_buf *b, struct weft_slice name, const char *suffix,
                                 const struct weft_label *labels, size_t n_labels, uint64_t value)
{
    put_head(b, name, suffix, labels, n_labels);
    weft_exposition_uint(b, value);
}

void weft_exposition_newline(struct weft_buf *b)
{
    weft_buf_append_byte(b, '\n');
}

void weft_exposition_end(struct weft_buf *b, enum weft_exposition format)
{
    if (format == WEFT_EXPOSITION_OPENMETRICS)
        weft_buf_append_str(b, "# EOF\n");
}

/* ---- names ---- */

static bool name_byte(uint8_t c, bool first)
{
    bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == ':';

    return letter || (!first && c >= '0' && c <= '9');
}

bool weft_exposition_name_plain(struct weft_slice name)
{
    for (size_t i = 0; i < name.len; i++)
        if (!name_byte(name.data[i], i == 0))
            return false;
    return name.len > 0;
}

/* The code point of a valid sequence of `n` bytes. */
static uint32_t code_point(const uint8_t *p, size_t n)
{
    uint32_t c = n == 1 ? p[0] : p[0] & (0x7fu >> n);

    for (size_t i = 1; i < n; i++)
        c = c << 6 | (p[i] & 0x3fu);
    return c;
}

static void put_name_odd(struct weft_buf *b, const uint8_t *p, size_t n, enum weft_escaping escaping)
{
    if (escaping == WEFT_ESCAPE_VALUES)
        weft_buf_printf(b, "_%X_", n ? code_point(p, n) : 0xfffdu);
    else if (escaping == WEFT_ESCAPE_DOTS && *p == '.')
        weft_buf_append_str(b, "_dot_");
    else
        weft_buf_append_byte(b, '_');
}

void weft_exposition_name(struct weft_buf *b, struct weft_slice name, enum weft_escaping escaping)
{
    bool plain = weft_exposition_name_plain(name);

    if (escaping == WEFT_ESCAPE_NONE || (plain && escaping != WEFT_ESCAPE_DOTS)) {
        put_slice(b, name);
        return;
    }
    if (escaping == WEFT_ESCAPE_VALUES)
        weft_buf_append_str(b, "U__");
    for (size_t i = 0; i < name.len;) {
        uint8_t c = name.data[i];
        size_t n = sequence(name.data + i, name.len - i);
        if (c == '_' && escaping != WEFT_ESCAPE_UNDERSCORES)
            weft_buf_append(b, "__", 2);
        else if (name_byte(c, i == 0))
            weft_buf_append_byte(b, c);
        else
            put_name_odd(b, name.data + i, n, escaping);
        i += n ? n : 1;
    }
}

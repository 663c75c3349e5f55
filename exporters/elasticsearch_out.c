/* SPDX-License-Identifier: Apache-2.0 */
/* elasticsearch_out.c: see elasticsearch_out.h. Little endian, as is wire.c. */
#include "exporters/elasticsearch_out.h"

#include "core/json.h"
#include "core/json_scan.h"
#include "core/utf8.h"

#include <math.h>

enum { DEPTH_MAX = 64, NUMBER_MAX = 64 };

void weft_es_put_long(struct weft_es_out *o, struct weft_slice bytes)
{
    if (bytes.len > 0 && weft_es_room(o, bytes.len))
        weft_es_put(o, bytes);
}

/* ---- text ---- */
static void put_escape(struct weft_es_out *o, uint8_t c)
{
    static const char names[] = "\b\f\n\r\t\"\\", letters[] = "bfnrt\"\\", hex[] = "0123456789abcdef";
    const char *found = c ? strchr(names, c) : NULL;

    weft_es_put_byte(o, '\\');
    if (found) {
        weft_es_put_byte(o, letters[found - names]);
        return;
    }
    weft_es_put(o, WEFT_SLICE("u00"));
    weft_es_put_byte(o, hex[c >> 4]);
    weft_es_put_byte(o, hex[c & 15]);
}

/* What is not plain at `at`. Behind it. */
static const uint8_t *put_special(struct weft_es_out *o, const uint8_t *at, const uint8_t *end)
{
    size_t len = *at < 0x80 ? 0 : weft_utf8_sequence(at, end);

    if (*at < 0x80)
        put_escape(o, *at);
    else if (len == 0)
        weft_es_put(o, WEFT_SLICE(WEFT_UTF8_REPLACEMENT));
    else
        weft_es_put(o, weft_slice_of(at, len));
    return at + (len ? len : 1);
}

#ifdef __SSE2__
/* Copies 16 bytes; a bit is set for each that does not stand for itself. */
static inline unsigned copy16(uint8_t *to, const uint8_t *from)
{
    _mm_storeu_si128((__m128i *)(void *)to, _mm_loadu_si128((const __m128i *)(const void *)from));
    return weft_json_stops16(from);
}

/* Fewer than 16 bytes, put together from halves that overlap: in a register, since a load of 16 bytes that were stored as two
 * times 8 a moment ago has to wait for both of them. */
static inline unsigned copy_short(uint8_t *to, const uint8_t *from, size_t len)
{
    uint64_t head = 0x2020202020202020u, tail = head; /* blanks where there is nothing: a zero would be a control */

    if (len >= 8) {
        memcpy(&head, from, 8);
        memcpy(&tail, from + len - 8, 8);
        memcpy(to, &head, 8);
        memcpy(to + len - 8, &tail, 8);
    } else if (len >= 4) {
        memcpy(&head, from, 4);
        memcpy(&tail, from + len - 4, 4);
        memcpy(to, &head, 4);
        memcpy(to + len - 4, &tail, 4);
    } else {
        for (size_t i = 0; i < len; i++) {
            head = head << 8 | from[i];
            to[i] = from[i];
        }
    }
    return weft_json_stops_of(_mm_set_epi64x((long long)tail, (long long)head));
}

/* Copies text that stands for itself; most does. False: it does not, and what was written behind o->at means nothing. The
 * last bytes are copied together with some before them, so that there is no loop over single ones. */
static inline bool put_plain(struct weft_es_out *o, struct weft_slice text)
{
    const uint8_t *at = text.data, *last = at + text.len - 16;
    uint8_t *to = o->at;
    unsigned stops;

    if (text.len < 16) {
        stops = copy_short(to, at, text.len);
    } else {
        stops = copy16(to + text.len - 16, last);
        for (; !stops && at < last; at += 16, to += 16)
            stops = copy16(to, at);
    }
    if (stops)
        return false;
    o->at += text.len;
    return true;
}
#else
static inline bool put_plain(struct weft_es_out *o, struct weft_slice text)
{
    if (weft_json_plain_end(text.data, text.data + text.len) != text.data + text.len)
        return false;
    weft_es_put(o, text);
    return true;
}
#endif

size_t weft_es_text_len(struct weft_slice text)
{
    const uint8_t *at = text.data, *end = at + text.len;
    size_t len = 0;

    for (;;) {
        const uint8_t *stop = weft_json_plain_end(at, end);
        len += (size_t)(stop - at);
        if (stop == end)
            return len;
        uint8_t room[16];
        struct weft_es_out o = { room, room + sizeof room, false, 0 };
        at = put_special(&o, stop, end);
        len += (size_t)(o.at - room);
    }
}

/* How much it is exactly is asked only when there is no room for the most that it could be. */
static bool has_room_for_text(struct weft_es_out *o, struct weft_slice text)
{
    return (size_t)(o->end - o->at) >= text.len * 6 + WEFT_ES_SLACK || weft_es_room(o, weft_es_text_len(text));
}

void weft_es_put_text(struct weft_es_out *o, struct weft_slice text)
{
    if (text.len == 0 || !has_room_for_text(o, text) || put_plain(o, text))
        return;
    for (const uint8_t *at = text.data, *end = at + text.len;;) {
        const uint8_t *stop = weft_json_plain_end(at, end);
        weft_es_put(o, weft_slice_of(at, (size_t)(stop - at)));
        if (stop == end)
            return;
        at = put_special(o, stop, end);
    }
}

void weft_es_put_string(struct weft_es_out *o, struct weft_slice text)
{
    weft_es_put_byte(o, '"');
    weft_es_put_text(o, text);
    weft_es_put_byte(o, '"');
}

/* Eight digits of four bytes at once: a nibble a byte, then '0' and, above nine, the way to 'a' added. */
static uint64_t hex_of(uint32_t bytes)
{
    uint64_t x = bytes;

    x = (x << 16 | x) & 0x0000ffff0000ffffu;
    x = (x << 8 | x) & 0x00ff00ff00ff00ffu;
    x = (x >> 4 & 0x000f000f000f000fu) | (x & 0x000f000f000f000fu) << 8;
    uint64_t letters = (x + 0x0606060606060606u) >> 4 & 0x0101010101010101u;
    return x + 0x3030303030303030u + letters * ('a' - '0' - 10);
}

void weft_es_put_hex(struct weft_es_out *o, struct weft_slice id)
{
    uint8_t padded[16] = { 0 };
    size_t n = id.len < 16 ? id.len : 16;

    if (n > 0)
        memcpy(padded, id.data, n);
    weft_es_put_byte(o, '"');
    for (size_t i = 0; i < n; i += 4) {
        uint32_t bytes;
        memcpy(&bytes, padded + i, 4);
        uint64_t digits = hex_of(bytes);
        memcpy(o->at + 2 * i, &digits, 8);
    }
    o->at += 2 * n;
    weft_es_put_byte(o, '"');
}

/* ---- numbers ---- */
static const char pairs[] = "00010203040506070809101112131415161718192021222324252627282930313233343536373839404142434445464748"
                            "4950515253545556575859606162636465666768697071727374757677787980818283848586878889909192939495969798"
                            "99";

/* Exactly `digits` digits of `value`, with leading zeroes. */
static void put_digits(struct weft_es_out *o, uint64_t value, unsigned digits)
{
    uint8_t *at = o->at + digits;

    o->at = at;
    for (; digits >= 2; digits -= 2, value /= 100) {
        at -= 2;
        memcpy(at, pairs + 2 * (value % 100), 2);
    }
    if (digits)
        at[-1] = (uint8_t)('0' + value % 10);
}

static unsigned digits_of(uint64_t value)
{
    unsigned n = 1;

    for (; value >= 10000; value /= 10000)
        n += 4;
    return n + (value >= 10) + (value >= 100) + (value >= 1000);
}

void weft_es_put_uint(struct weft_es_out *o, uint64_t value)
{
    put_digits(o, value, digits_of(value));
}

void weft_es_put_int(struct weft_es_out *o, int64_t value)
{
    if (value < 0)
        weft_es_put_byte(o, '-');
    weft_es_put_uint(o, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
}

void weft_es_put_double(struct weft_es_out *o, double value)
{
    uint8_t text[NUMBER_MAX];
    struct weft_buf b = { .data = text, .cap = sizeof text, .limit = sizeof text };

    if (!isfinite(value)) {
        weft_es_put(o, WEFT_SLICE("null"));
        return;
    }
    weft_json_put_double(&b, value);
    weft_es_put(o, weft_buf_slice(&b));
    for (size_t i = 0; i < b.len; i++)
        if (text[i] == '.' || text[i] == 'e')
            return;
    weft_es_put(o, WEFT_SLICE(".0"));
}

/* ---- values ---- */
static void put_value(struct weft_es_out *o, const struct weft_any *value, unsigned depth);

static void put_array(struct weft_es_out *o, struct weft_slice rest, unsigned depth)
{
    struct weft_any value;
    char before = '[';

    while (weft_any_array_next(&rest, &value) == 1 && weft_es_room(o, 0)) {
        weft_es_put_byte(o, before);
        put_value(o, &value, depth);
        before = ',';
    }
    if (before == '[')
        weft_es_put_byte(o, '[');
    weft_es_put_byte(o, ']');
}

static void put_map(struct weft_es_out *o, struct weft_slice map, unsigned depth)
{
    struct weft_attributes it = weft_attributes_of(map, WEFT_KVLIST_VALUES);
    struct weft_attribute a;
    char before = '{';

    while (weft_attributes_next(&it, &a) == 1 && weft_es_room(o, 0)) {
        weft_es_put_byte(o, before);
        weft_es_put_string(o, a.key);
        weft_es_put_byte(o, ':');
        put_value(o, &a.value, depth);
        before = ',';
    }
    if (before == '{')
        weft_es_put_byte(o, '{');
    weft_es_put_byte(o, '}');
}

static void put_bytes(struct weft_es_out *o, struct weft_slice bytes)
{
    size_t need = bytes.len / 3 * 4 + 8;

    if (!weft_es_room(o, need))
        return;
    struct weft_buf b = { .data = o->at, .cap = need, .limit = need };
    weft_json_put_base64(&b, bytes);
    o->at += b.len;
}

static void put_value(struct weft_es_out *o, const struct weft_any *value, unsigned depth)
{
    if (!weft_es_room(o, 0))
        return;
    switch (depth < DEPTH_MAX ? value->kind : WEFT_ANY_EMPTY) {
    case WEFT_ANY_STRING:
        weft_es_put_string(o, value->bytes);
        break;
    case WEFT_ANY_BOOL:
        weft_es_put(o, value->integer ? WEFT_SLICE("true") : WEFT_SLICE("false"));
        break;
    case WEFT_ANY_INT:
        weft_es_put_int(o, value->integer);
        break;
    case WEFT_ANY_DOUBLE:
        weft_es_put_double(o, value->real);
        break;
    case WEFT_ANY_ARRAY:
        put_array(o, value->bytes, depth + 1);
        break;
    case WEFT_ANY_KVLIST:
        put_map(o, value->bytes, depth + 1);
        break;
    case WEFT_ANY_BYTES:
        put_bytes(o, value->bytes);
        break;
    case WEFT_ANY_EMPTY:
        weft_es_put(o, WEFT_SLICE("null"));
        break;
    }
}

void weft_es_put_any(struct weft_es_out *o, const struct weft_any *value)
{
    put_value(o, value, 0);
}

void weft_es_put_any_text(struct weft_es_out *o, const struct weft_any *value)
{
    if (value->kind == WEFT_ANY_STRING)
        weft_es_put_text(o, value->bytes);
    else if (value->kind == WEFT_ANY_BOOL || value->kind == WEFT_ANY_INT || value->kind == WEFT_ANY_DOUBLE)
        put_value(o, value, 0);
}

/* ---- times ---- */
void weft_es_put_epoch(struct weft_es_out *o, uint64_t ns)
{
    weft_es_put_byte(o, '"');
    weft_es_put_uint(o, ns / 1000000);
    weft_es_put_byte(o, '.');
    if (ns % 1000000 == 0)
        weft_es_put_byte(o, '0');
    else
        put_digits(o, ns % 1000000, 6);
    weft_es_put_byte(o, '"');
}

/* Days since 1970-01-01 as a date of the proleptic Gregorian calendar, by counting in years that begin in March. */
static void put_day(struct weft_es_out *o, uint64_t days)
{
    uint64_t z = days + 719468, era = z / 146097, day_of_era = z % 146097;
    uint64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    uint64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    uint64_t month_from_march = (5 * day_of_year + 2) / 153;
    uint64_t month = month_from_march < 10 ? month_from_march + 3 : month_from_march - 9;

    put_digits(o, year_of_era + era * 400 + (month <= 2), 4);
    weft_es_put_byte(o, '-');
    put_digits(o, month, 2);
    weft_es_put_byte(o, '-');
    put_digits(o, day_of_year - (153 * month_from_march + 2) / 5 + 1, 2);
}

void weft_es_put_date(struct weft_es_out *o, uint64_t ns)
{
    uint64_t s = ns / 1000000000;

    weft_es_put_byte(o, '"');
    put_day(o, s / 86400);
    weft_es_put_byte(o, 'T');
    put_digits(o, s / 3600 % 24, 2);
    weft_es_put_byte(o, ':');
    put_digits(o, s / 60 % 60, 2);
    weft_es_put_byte(o, ':');
    put_digits(o, s % 60, 2);
    weft_es_put_byte(o, '.');
    put_digits(o, ns % 1000000000, 9);
    weft_es_put(o, WEFT_SLICE("Z\""));
}

/* ---- keys ---- */
/* Length, first and last bytes: different for nearly all keys that are different. */
static uint64_t mark_of(struct weft_slice key)
{
    uint64_t head = 0, tail = 0;

    if (key.len >= 8) {
        memcpy(&head, key.data, 8);
        memcpy(&tail, key.data + key.len - 8, 8);
    } else if (key.len >= 4) {
        memcpy(&head, key.data, 4);
        memcpy(&tail, key.data + key.len - 4, 4);
    } else {
        for (size_t i = 0; i < key.len; i++)
            head = head << 8 | key.data[i];
    }
    return head * 0x9e3779b97f4a7c15u ^ tail ^ key.len << 56;
}

static bool has_key(const struct weft_es_keys *k, struct weft_slice key, uint64_t mark)
{
    for (unsigned i = 0; i < k->n; i++)
        if (__builtin_expect(k->marks[i] == mark, 0) && weft_slice_equal(k->keys[i], key))
            return true;
    return false;
}

bool weft_es_keys_add(struct weft_es_keys *k, struct weft_slice key)
{
    const uint64_t mark = mark_of(key), bit = (uint64_t)1 << (mark * 0x9e3779b97f4a7c15u >> 58);

    if (k->n == 0)
        k->seen = 0;
    if (k->seen & bit && has_key(k, key, mark))
        return false;
    if (k->n == WEFT_ES_KEYS)
        return true;
    k->seen |= bit;
    k->marks[k->n] = mark;
    k->keys[k->n++] = key;
    return true;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* json_text.c: the text of JSON strings, out of their escapes and into them. Stateless; any thread. */
#include "core/json.h"
#include "core/json_scan.h"
#include "core/utf8.h"

static uint32_t hex4(const uint8_t *at)
{
    uint32_t value = 0;

    for (int i = 0; i < 4; i++) {
        uint8_t c = at[i];
        value = value << 4 | (uint32_t)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
    }
    return value;
}

/* Decodes the \u escape at `at` (and the second half of a pair). Behind it. */
static const uint8_t *decode_unicode(const uint8_t *at, const uint8_t *end, uint8_t out[4], size_t *ret_len)
{
    uint32_t point = hex4(at + 2);

    at += 6;
    if (point >= 0xd800 && point < 0xdc00 && end - at >= 6 && at[0] == '\\' && at[1] == 'u') {
        uint32_t low = hex4(at + 2);
        if (low >= 0xdc00 && low < 0xe000) {
            point = 0x10000 + ((point - 0xd800) << 10) + (low - 0xdc00);
            at += 6;
        }
    }
    if (point >= 0xd800 && point < 0xe000)
        point = 0xfffd; /* half a pair */
    *ret_len = weft_utf8_encode(point, out);
    return at;
}

/* Decodes the escape at `at`, which the reader has checked. Behind it. */
static const uint8_t *decode_escape(const uint8_t *at, const uint8_t *end, uint8_t out[4], size_t *ret_len)
{
    static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";

    if (at[1] == 'u')
        return decode_unicode(at, end, out, ret_len);
    const char *found = strchr(from, at[1]);
    out[0] = found ? (uint8_t)to[found - from] : at[1];
    *ret_len = 1;
    return at + 2;
}

int weft_json_unescape(struct weft_slice text, struct weft_buf *out)
{
    const uint8_t *at = text.data ? text.data : (const uint8_t *)"", *end = at + text.len;

    /* no escape is shorter than what it stands for, so this is all the room there need be */
    uint8_t *to = weft_buf_reserve(out, text.len);
    if (!to)
        return out->err;
    while (at < end) {
        const uint8_t *slash = memchr(at, '\\', (size_t)(end - at));
        size_t plain = (size_t)((slash ? slash : end) - at), len;

        memcpy(to, at, plain);
        to += plain;
        if (!slash)
            break;
        uint8_t bytes[4];
        at = decode_escape(slash, end, bytes, &len);
        memcpy(to, bytes, len);
        to += len;
    }
    out->len = (size_t)(to - out->data);
    return 0;
}

bool weft_json_text_is(const struct weft_json *j, const char *plain)
{
    const uint8_t *at = j->text.data, *end = at + j->text.len;

    if (!j->escaped)
        return weft_slice_is(j->text, plain);
    while (at < end && *plain) {
        uint8_t bytes[4] = { *at };
        size_t len = 1;
        if (*at == '\\')
            at = decode_escape(at, end, bytes, &len);
        else
            at++;
        if (strncmp(plain, (const char *)bytes, len) != 0 || bytes[0] == 0)
            return false;
        plain += len;
    }
    return at == end && !*plain;
}

static void put_escape(struct weft_buf *b, uint8_t c)
{
    static const char names[] = "\b\f\n\r\t\"\\", letters[] = "bfnrt\"\\", hex[] = "0123456789abcdef";
    const char *found = c ? strchr(names, c) : NULL;

    if (found) {
        uint8_t two[] = { '\\', (uint8_t)letters[found - names] };
        weft_buf_append(b, two, sizeof two);
    } else {
        uint8_t six[] = { '\\', 'u', '0', '0', (uint8_t)hex[c >> 4], (uint8_t)hex[c & 15] };
        weft_buf_append(b, six, sizeof six);
    }
}

/* Behind the plain bytes and well-formed sequences at `at`. */
static const uint8_t *printable_end(const uint8_t *at, const uint8_t *end)
{
    for (;;) {
        at = weft_json_plain_end(at, end);
        if (at == end || *at < 0x80)
            return at;
        size_t len = weft_utf8_sequence(at, end);
        if (len == 0)
            return at;
        at += len;
    }
}

void weft_json_put_string(struct weft_buf *b, struct weft_slice text)
{
    const uint8_t *at = text.data ? text.data : (const uint8_t *)"", *end = at + text.len;

    if (!weft_buf_reserve(b, text.len + 2))
        return;
    weft_buf_append_byte(b, '"');
    while (at < end) {
        const uint8_t *stop = printable_end(at, end);
        weft_buf_append(b, at, (size_t)(stop - at));
        at = stop;
        if (at == end)
            break;
        if (*at < 0x80)
            put_escape(b, *at);
        else
            weft_buf_append_str(b, WEFT_UTF8_REPLACEMENT);
        at++;
    }
    weft_buf_append_byte(b, '"');
}

void weft_json_put_base64(struct weft_buf *b, struct weft_slice bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t groups = bytes.len / 3 + (bytes.len % 3 != 0);
    uint8_t *to = groups > (SIZE_MAX - 2) / 4 ? NULL : weft_buf_reserve(b, groups * 4 + 2);

    if (!to)
        return;
    *to++ = '"';
    for (size_t i = 0; i < bytes.len; i += 3) {
        size_t left = bytes.len - i;
        uint32_t group = (uint32_t)bytes.data[i] << 16 | (left > 1 ? (uint32_t)bytes.data[i + 1] << 8 : 0) |
                         (left > 2 ? bytes.data[i + 2] : 0);
        *to++ = (uint8_t)digits[group >> 18];
        *to++ = (uint8_t)digits[group >> 12 & 63];
        *to++ = left > 1 ? (uint8_t)digits[group >> 6 & 63] : '=';
        *to++ = left > 2 ? (uint8_t)digits[group & 63] : '=';
    }
    *to++ = '"';
    b->len = (size_t)(to - b->data);
}

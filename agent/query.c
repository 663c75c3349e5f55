/* SPDX-License-Identifier: Apache-2.0 */
/* query.c: see query.h. */
#include "agent/query.h"

#include "core/err.h"

#include <ctype.h>

static int digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10 : -1;
}

/* The byte that begins at *at; -1: none. */
static int take_byte(const char **at, const char *end)
{
    char c = *(*at)++;

    if (c == '+')
        return ' ';
    if (c != '%')
        return (unsigned char)c;
    if (end - *at < 2 || digit((*at)[0]) < 0 || digit((*at)[1]) < 0)
        return -1;
    int byte = digit((*at)[0]) << 4 | digit((*at)[1]);
    *at += 2;
    return byte ? byte : -1;
}

static int decode(const char *at, const char *end, char *out, size_t size)
{
    size_t n = 0;

    while (at < end) {
        int byte = take_byte(&at, end);
        if (byte < 0 || n + 1 >= size)
            return WEFT_ERR_MALFORMED;
        out[n++] = (char)byte;
    }
    out[n] = 0;
    return 1;
}

int weft_query_get(const char *query, const char *key, char *out, size_t size)
{
    size_t len = strlen(key);

    while (*query) {
        const char *end = query + strcspn(query, "&");
        if (strncmp(query, key, len) == 0 && query[len] == '=')
            return decode(query + len + 1, end, out, size);
        query = *end ? end + 1 : end;
    }
    return 0;
}

void weft_query_put(struct weft_buf *b, const char *text)
{
    static const char hex[] = "0123456789ABCDEF";

    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (isalnum(c) || strchr("-._~", c)) {
            weft_buf_append_byte(b, c);
            continue;
        }
        const char code[3] = { '%', hex[c >> 4], hex[c & 15] };
        weft_buf_append(b, code, 3);
    }
}

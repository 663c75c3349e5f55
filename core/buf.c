/* SPDX-License-Identifier: Apache-2.0 */
/* buf.c: see buf.h. Grows by doubling up to the limit, by just what is needed when the account has no room for more. */
#include "core/buf.h"

#include "core/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

enum { FIRST_SIZE = 256 };

void weft_buf_init(struct weft_buf *b, size_t limit)
{
    *b = (struct weft_buf){ .limit = limit };
}

void weft_buf_release(struct weft_buf *b)
{
    free(b->data);
    weft_account_give(b->account, b->cap);
    *b = (struct weft_buf){ .limit = b->limit, .account = b->account };
}

void weft_buf_reset(struct weft_buf *b)
{
    b->len = 0;
    b->err = 0;
}

static size_t doubled(const struct weft_buf *b, size_t need)
{
    size_t cap = b->cap ? b->cap : FIRST_SIZE;

    while (cap < need)
        cap = cap > b->limit / 2 ? b->limit : cap * 2;
    return cap > b->limit ? b->limit : cap;
}

/* To `cap`, or to `need` where the account has no room for that. */
static int grow(struct weft_buf *b, size_t need, size_t cap)
{
    if (!weft_account_take(b->account, cap - b->cap)) {
        cap = need;
        if (!weft_account_take(b->account, cap - b->cap))
            return WEFT_ERR_LIMIT;
    }
    uint8_t *data = realloc(b->data, cap);
    if (!data) {
        weft_account_give(b->account, cap - b->cap);
        return UV_ENOMEM;
    }
    b->data = data;
    b->cap = cap;
    return 0;
}

static uint8_t *reserve(struct weft_buf *b, size_t extra, bool exactly)
{
    if (b->err)
        return NULL;
    if (extra > b->limit - b->len) {
        b->err = WEFT_ERR_TOO_LARGE;
        return NULL;
    }
    if (extra > b->cap - b->len || !b->data) {
        size_t need = b->len + extra;
        b->err = grow(b, need, exactly ? need : doubled(b, need));
        if (b->err)
            return NULL;
    }
    return b->data + b->len;
}

uint8_t *weft_buf_grow(struct weft_buf *b, size_t extra)
{
    return reserve(b, extra, false);
}

uint8_t *weft_buf_reserve_exactly(struct weft_buf *b, size_t extra)
{
    return reserve(b, extra, true);
}

void weft_buf_append(struct weft_buf *b, const void *data, size_t len)
{
    uint8_t *at = weft_buf_reserve(b, len);

    if (!at || len == 0)
        return;
    memcpy(at, data, len);
    b->len += len;
}

void weft_buf_append_str(struct weft_buf *b, const char *text)
{
    weft_buf_append(b, text, strlen(text));
}

void weft_buf_append_byte(struct weft_buf *b, uint8_t byte)
{
    weft_buf_append(b, &byte, 1);
}

void weft_buf_printf(struct weft_buf *b, const char *format, ...)
{
    va_list args, again;

    va_start(args, format);
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);

    uint8_t *at = len < 0 ? NULL : weft_buf_reserve(b, (size_t)len + 1);
    if (at) {
        (void)vsnprintf((char *)at, (size_t)len + 1, format, again);
        b->len += (size_t)len;
    }
    va_end(again);
}

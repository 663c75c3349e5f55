/* SPDX-License-Identifier: Apache-2.0 */
/* api_put.h: the few pieces that answers of the API are written with: `"key":value`, with a comma before it when something
 * stands before it. The buffer ends in what was put last; who opens an object or a list closes it. */
#ifndef WEFT_AGENT_API_PUT_H
#define WEFT_AGENT_API_PUT_H

#include "core/buf.h"
#include "core/json.h"

#include <stdbool.h>

static inline void put_key(struct weft_buf *b, const char *key)
{
    uint8_t last = b->len ? b->data[b->len - 1] : '{';

    if (last != '{' && last != '[')
        weft_buf_append_byte(b, ',');
    weft_json_put_string(b, weft_slice_str(key));
    weft_buf_append_byte(b, ':');
}

static inline void put_text(struct weft_buf *b, const char *key, const char *text)
{
    put_key(b, key);
    if (text)
        weft_json_put_string(b, weft_slice_str(text));
    else
        weft_buf_append_str(b, "null");
}

static inline void put_number(struct weft_buf *b, const char *key, uint64_t value)
{
    put_key(b, key);
    weft_json_put_uint(b, value);
}

/* null when it is 0. */
static inline void put_number_if(struct weft_buf *b, const char *key, uint64_t value)
{
    put_key(b, key);
    if (value)
        weft_json_put_uint(b, value);
    else
        weft_buf_append_str(b, "null");
}

static inline void put_bool(struct weft_buf *b, const char *key, bool value)
{
    put_key(b, key);
    weft_buf_append_str(b, value ? "true" : "false");
}

static inline void begin_item(struct weft_buf *b)
{
    if (b->len && b->data[b->len - 1] != '[')
        weft_buf_append_byte(b, ',');
    weft_buf_append_byte(b, '{');
}

#endif

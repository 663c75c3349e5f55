/* SPDX-License-Identifier: Apache-2.0 */
/* json_find.c: see json_find.h. */
#include "agent/json_find.h"

struct weft_slice weft_json_find(struct weft_slice object, const char *key)
{
    const struct weft_slice none = { 0 };
    struct weft_slice raw;
    struct weft_json j;

    weft_json_init(&j, object);
    if (weft_json_next(&j) != WEFT_JSON_OBJECT_BEGIN)
        return none;
    while (weft_json_next(&j) == WEFT_JSON_KEY) {
        bool found = weft_json_text_is(&j, key);
        if (weft_json_skip(&j, &raw))
            return none;
        if (found)
            return weft_slice_is(raw, "null") ? none : raw;
    }
    return none;
}

uint64_t weft_json_find_uint(struct weft_slice object, const char *key)
{
    uint64_t value;

    return weft_json_uint64(weft_json_find(object, key), &value) ? value : 0;
}

static void decode(struct weft_slice raw, struct weft_buf *b)
{
    if (raw.len >= 2 && raw.data[0] == '"')
        (void)weft_json_unescape(weft_slice_of(raw.data + 1, raw.len - 2), b);
    else if (raw.len)
        weft_buf_append(b, raw.data, raw.len);
}

const char *weft_json_find_text(struct weft_slice object, const char *key, char *out, size_t size)
{
    struct weft_slice raw = weft_json_find(object, key);
    struct weft_buf b;
    size_t n;

    weft_buf_init(&b, raw.len + 16);
    decode(raw, &b);
    n = b.len < size ? b.len : size - 1;
    while (n < b.len && n > 0 && (b.data[n] & 0xc0) == 0x80)
        n--; /* not within a character */
    for (size_t i = 0; i < n; i++)
        out[i] = b.data[i] < 0x20 || b.data[i] == 0x7f ? ' ' : (char)b.data[i];
    out[n] = 0;
    weft_buf_release(&b);
    return out;
}

void weft_json_list_init(struct weft_json_list *l, struct weft_slice array)
{
    weft_json_init(&l->json, array);
    l->open = weft_json_next(&l->json) == WEFT_JSON_ARRAY_BEGIN;
}

bool weft_json_list_next(struct weft_json_list *l, struct weft_slice *ret_value)
{
    int token = l->open ? weft_json_next(&l->json) : WEFT_JSON_END;

    if (token <= WEFT_JSON_END || token == WEFT_JSON_ARRAY_END || weft_json_skip(&l->json, ret_value)) {
        l->open = false;
        return false;
    }
    return true;
}

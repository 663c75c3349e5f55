/* SPDX-License-Identifier: Apache-2.0 */
/* filelog_value.c: see filelog_value.h. */
#include "receivers/filelog_value.h"

#include "core/otlp.h"
#include "core/utf8.h"

/* A number: an integer when it is written as one and fits, else a double; text when it is neither. */
enum number_kind { IS_INT, IS_DOUBLE, IS_TEXT };

static enum number_kind read_number(struct weft_slice text, int64_t *ret_int, double *ret_double)
{
    enum { SAFE_DIGITS = 18 };
    size_t i = text.data[0] == '-';
    int64_t value = 0;

    if (text.len <= SAFE_DIGITS) {
        while (i < text.len && (uint8_t)(text.data[i] - '0') < 10)
            value = value * 10 + (text.data[i++] - '0');
        if (i == text.len) {
            *ret_int = text.data[0] == '-' ? -value : value;
            return IS_INT;
        }
    } else if (!memchr(text.data, '.', text.len) && !memchr(text.data, 'e', text.len) && !memchr(text.data, 'E', text.len) &&
               weft_json_int64(text, ret_int)) {
        return IS_INT;
    }
    return weft_json_double(text, ret_double) ? IS_DOUBLE : IS_TEXT;
}

static int put_text(struct weft_buf *out, uint32_t number, struct weft_slice text, bool escaped)
{
    if (!escaped) {
        weft_any_put_string(out, number, text);
        return out->err;
    }
    size_t any = weft_wire_begin(out, number), string = weft_wire_begin(out, WEFT_VALUE_STRING);
    if (!out->err)
        (void)weft_json_unescape(text, out);
    weft_wire_end(out, string);
    weft_wire_end(out, any);
    return out->err;
}

static int put_number(struct weft_buf *out, uint32_t number, struct weft_slice text)
{
    int64_t integer;
    double real;

    switch (read_number(text, &integer, &real)) {
    case IS_INT:    weft_any_put_int(out, number, integer); break;
    case IS_DOUBLE: weft_any_put_double(out, number, real); break;
    case IS_TEXT:   weft_any_put_string(out, number, text); break;
    }
    return out->err;
}

/* The rest of an object whose '{' was read, as the AnyValue `number`. */
static int put_object(struct weft_buf *out, uint32_t number, struct weft_json *j, unsigned depth)
{
    size_t any = weft_wire_begin(out, number), list = weft_wire_begin(out, WEFT_VALUE_KVLIST);
    int token;

    while ((token = weft_json_next(j)) == WEFT_JSON_KEY) {
        size_t pair = weft_wire_begin(out, WEFT_KVLIST_VALUES);
        if (j->escaped) {
            size_t key = weft_wire_begin(out, WEFT_KEYVALUE_KEY);
            if (!out->err)
                (void)weft_json_unescape(j->text, out);
            weft_wire_end(out, key);
        } else {
            weft_wire_put_bytes(out, WEFT_KEYVALUE_KEY, j->text);
        }
        token = weft_json_next(j);
        int err = token < 0 ? token : weft_filelog_put_value(out, WEFT_KEYVALUE_VALUE, j, token, depth + 1);
        if (err)
            return err;
        weft_wire_end(out, pair);
    }
    weft_wire_end(out, list);
    weft_wire_end(out, any);
    return token < 0 ? token : out->err;
}

static int put_array(struct weft_buf *out, uint32_t number, struct weft_json *j, unsigned depth)
{
    size_t any = weft_wire_begin(out, number), array = weft_wire_begin(out, WEFT_VALUE_ARRAY);
    int token;

    while ((token = weft_json_next(j)) >= 0 && token != WEFT_JSON_ARRAY_END) {
        int err = weft_filelog_put_value(out, WEFT_ARRAY_VALUES, j, token, depth + 1);
        if (err)
            return err;
    }
    weft_wire_end(out, array);
    weft_wire_end(out, any);
    return token < 0 ? token : out->err;
}

int weft_filelog_put_value(struct weft_buf *out, uint32_t number, struct weft_json *j, int token, unsigned depth)
{
    struct weft_slice raw;

    switch (token) {
    case WEFT_JSON_STRING:
        return put_text(out, number, j->text, j->escaped);
    case WEFT_JSON_NUMBER:
        return put_number(out, number, j->text);
    case WEFT_JSON_TRUE:
    case WEFT_JSON_FALSE:
        weft_any_put_bool(out, number, token == WEFT_JSON_TRUE);
        return out->err;
    case WEFT_JSON_OBJECT_BEGIN:
    case WEFT_JSON_ARRAY_BEGIN:
        if (depth < WEFT_FILELOG_DEPTH)
            return (token == WEFT_JSON_OBJECT_BEGIN ? put_object : put_array)(out, number, j, depth);
        int err = weft_json_skip(j, &raw);
        if (err)
            return err;
        weft_any_put_string(out, number, raw);
        return out->err;
    default:
        weft_wire_put_bytes(out, number, weft_slice_of(NULL, 0)); /* null: a value that is empty */
        return out->err;
    }
}

int weft_filelog_put_attribute(struct weft_buf *out, uint32_t number, struct weft_slice key, struct weft_json *j, int token)
{
    int64_t integer;
    double real;

    if (token == WEFT_JSON_STRING && !j->escaped) {
        weft_attribute_put_string(out, number, key, j->text);
        return out->err;
    }
    if (token == WEFT_JSON_NUMBER) {
        switch (read_number(j->text, &integer, &real)) {
        case IS_INT:    weft_attribute_put_int(out, number, key, integer); break;
        case IS_DOUBLE: weft_attribute_put_double(out, number, key, real); break;
        case IS_TEXT:   weft_attribute_put_string(out, number, key, j->text); break;
        }
        return out->err;
    }
    size_t pair = weft_wire_begin(out, number);
    weft_wire_put_bytes(out, WEFT_KEYVALUE_KEY, key);
    int err = weft_filelog_put_value(out, WEFT_KEYVALUE_VALUE, j, token, 0);
    if (err)
        return err;
    weft_wire_end(out, pair);
    return out->err;
}

void weft_filelog_put_utf8(struct weft_buf *out, struct weft_slice text)
{
    const uint8_t *at = text.data, *end = at + text.len, *good = at;

    while (at < end) {
        size_t len = *at < 0x80 ? 1 : weft_utf8_sequence(at, end);
        if (len == 0) {
            weft_buf_append(out, good, (size_t)(at - good));
            weft_buf_append_str(out, WEFT_UTF8_REPLACEMENT);
            good = ++at;
            continue;
        }
        at += len;
    }
    weft_buf_append(out, good, (size_t)(at - good));
}

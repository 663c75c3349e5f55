/* SPDX-License-Identifier: Apache-2.0 */
/* otlp_json_read.c: OTLP from JSON into protobuf, in one pass over the text.
 *
 * A stack of levels takes the place of recursion. A level is an object (a message being written; its fields come in any
 * order) or an array of messages. What the table of otlp_json_schema.h does not know is skipped, null is nothing.
 *
 *   (1) The stack is as deep as the JSON that is open, so the reader's limit on depth is the limit here.
 *   (2) Marks of open messages nest, so they close in reverse order.
 *
 * Stateless; any thread.
 */
#include "core/base64.h"
#include "core/err.h"
#include "core/json.h"
#include "core/otlp_json.h"
#include "core/otlp_json_schema.h"

#include <math.h>

struct level {
    const struct weft_oj_field *fields;  /* of the message; for an array, of its elements */
    const struct weft_oj_field *element; /* an array: the field that it is the value of; an object: NULL */
    size_t mark;                         /* of the message; 0 for an array and the request itself */
    uint8_t number;                      /* an array: of the field */
    uint8_t hint;                        /* an object: the number that the last key had */
    bool wide;
};

struct reader {
    struct weft_json json;
    struct weft_buf *out;
    const char *reason; /* ours; the reader's own is in json */
    unsigned depth;
    struct level levels[WEFT_JSON_MAX_DEPTH + 1];
};

static int refuse(struct reader *r, const char *reason)
{
    r->reason = reason;
    r->json.at = r->json.value;
    return WEFT_ERR_MALFORMED;
}

/* ---- scalars ---- */

/* The last string without its escapes. They are decoded behind the end of the output, so the slice is good until the next
 * write. */
static int plain_text(struct reader *r, struct weft_slice *ret_text)
{
    size_t before = r->out->len;

    *ret_text = r->json.text;
    if (!r->json.escaped)
        return 0;
    int err = weft_json_unescape(r->json.text, r->out);
    if (err)
        return err;
    *ret_text = weft_slice_of(r->out->data + before, r->out->len - before);
    r->out->len = before;
    return 0;
}

static int put_string(struct reader *r, uint32_t number, bool always)
{
    struct weft_buf *out = r->out;

    if (r->json.text.len == 0 && !always)
        return 0;
    if (!r->json.escaped) {
        weft_wire_put_bytes(out, number, r->json.text);
        return out->err;
    }
    size_t mark = weft_wire_begin(out, number);
    if (!out->err)
        (void)weft_json_unescape(r->json.text, out);
    weft_wire_end(out, mark);
    return out->err;
}

static int put_id(struct reader *r, uint32_t number, size_t n)
{
    struct weft_slice text = { 0 };
    uint8_t id[16];
    int err = plain_text(r, &text);

    if (err || text.len == 0) /* an empty parent span id is how some encoders say that there is none */
        return err;
    if (!weft_hex_read(text, id, n))
        return refuse(r, n == 16 ? "expected a hex string of 32 digits" : "expected a hex string of 16 digits");
    weft_wire_put_bytes(r->out, number, weft_slice_of(id, n));
    return r->out->err;
}

/* Appends the bytes of `text`, which may lie behind the end of `out` itself: what is written never overtakes what is read,
 * four digits being three bytes. False: not base64. */
static bool decode_base64(struct weft_slice text, struct weft_buf *out)
{
    uint32_t bits = 0;
    unsigned have = 0;

    while (text.len > 0 && text.data[text.len - 1] == '=')
        text.len--;
    if (text.len % 4 == 1)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        unsigned digit = weft_base64_digit(text.data[i]);
        if (digit == 64)
            return false;
        bits = bits << 6 | digit;
        have += 6;
        if (have >= 8) {
            have -= 8;
            weft_buf_append_byte(out, (uint8_t)(bits >> have));
        }
    }
    return true;
}

static int put_base64(struct reader *r, uint32_t number)
{
    struct weft_slice text = r->json.text;
    size_t mark = weft_wire_begin(r->out, number);
    int err = r->out->err ? r->out->err : plain_text(r, &text);

    if (err)
        return err;
    if (!weft_buf_reserve(r->out, text.len)) /* nothing moves while `text` may point into the buffer */
        return r->out->err;
    if (r->json.escaped)
        text.data = r->out->data + r->out->len;
    if (!decode_base64(text, r->out))
        return refuse(r, "expected a base64 string");
    weft_wire_end(r->out, mark);
    return r->out->err;
}

/* Integers as numbers or strings; `bits` 32 or 64. The result is what the wire holds, sign-extended. */
static int read_integer(struct reader *r, bool is_signed, unsigned bits, uint64_t *ret_value)
{
    struct weft_slice text = { 0 };
    int64_t integer = 0;
    uint64_t natural = 0;
    int err = plain_text(r, &text);

    if (err)
        return err;
    if (is_signed) {
        if (!weft_json_int64(text, &integer) || (bits == 32 && (integer < INT32_MIN || integer > INT32_MAX)))
            return refuse(r, bits == 32 ? "expected an integer of 32 bits" : "expected an integer of 64 bits");
        *ret_value = (uint64_t)integer;
        return 0;
    }
    if (!weft_json_uint64(text, &natural) || (bits == 32 && natural > UINT32_MAX))
        return refuse(r, bits == 32 ? "expected a natural number of 32 bits" : "expected a natural number of 64 bits");
    *ret_value = natural;
    return 0;
}

static int read_double(struct reader *r, int token, double *ret_value)
{
    struct weft_slice text = { 0 };
    int err = plain_text(r, &text);

    if (err)
        return err;
    if (weft_json_double(text, ret_value))
        return 0;
    if (token == WEFT_JSON_STRING && weft_slice_is(text, "NaN"))
        *ret_value = NAN;
    else if (token == WEFT_JSON_STRING && weft_slice_is(text, "Infinity"))
        *ret_value = INFINITY;
    else if (token == WEFT_JSON_STRING && weft_slice_is(text, "-Infinity"))
        *ret_value = -INFINITY;
    else
        return refuse(r, "expected a double");
    return 0;
}

static uint64_t zigzag(int64_t value)
{
    return (uint64_t)value << 1 ^ (value < 0 ? UINT64_MAX : 0);
}

/* What a number of JSON is on the wire: *ret_value holds the varint, or the bits of the fixed field. */
static int read_number(struct reader *r, const struct weft_oj_field *field, int token, uint64_t *ret_value)
{
    double real;
    int err;

    switch (field->kind) {
    case WEFT_OJ_DOUBLE:
        err = read_double(r, token, &real);
        if (!err)
            memcpy(ret_value, &real, sizeof real);
        return err;
    case WEFT_OJ_SINT32:
        err = read_integer(r, true, 32, ret_value);
        if (!err)
            *ret_value = zigzag((int64_t)*ret_value);
        return err;
    case WEFT_OJ_INT32:
        return read_integer(r, true, 32, ret_value);
    case WEFT_OJ_INT64:
    case WEFT_OJ_SFIXED64:
        return read_integer(r, true, 64, ret_value);
    case WEFT_OJ_UINT32:
    case WEFT_OJ_FIXED32:
        return read_integer(r, false, 32, ret_value);
    default:
        return read_integer(r, false, 64, ret_value);
    }
}

static bool is_fixed64(uint8_t kind)
{
    return kind == WEFT_OJ_FIXED64 || kind == WEFT_OJ_SFIXED64 || kind == WEFT_OJ_DOUBLE;
}

static int put_number(struct reader *r, const struct weft_oj_field *field, uint32_t number, int token)
{
    uint64_t value;

    if (token != WEFT_JSON_NUMBER && token != WEFT_JSON_STRING)
        return refuse(r, "expected a number");
    int err = read_number(r, field, token, &value);
    if (err || (value == 0 && !(field->flags & WEFT_OJ_PRESENCE)))
        return err;
    if (is_fixed64(field->kind))
        weft_wire_put_fixed64(r->out, number, value);
    else if (field->kind == WEFT_OJ_FIXED32)
        weft_wire_put_fixed32(r->out, number, (uint32_t)value);
    else
        weft_wire_put_varint(r->out, number, value);
    return r->out->err;
}

static int put_scalar(struct reader *r, const struct weft_oj_field *field, uint32_t number, int token)
{
    bool always = field->flags & (WEFT_OJ_PRESENCE | WEFT_OJ_REPEATED);

    switch (field->kind) {
    case WEFT_OJ_STRING:
    case WEFT_OJ_TRACE_ID:
    case WEFT_OJ_SPAN_ID:
    case WEFT_OJ_BYTES:
        if (token != WEFT_JSON_STRING)
            return refuse(r, "expected a string");
        return field->kind == WEFT_OJ_STRING     ? put_string(r, number, always)
               : field->kind == WEFT_OJ_TRACE_ID ? put_id(r, number, 16)
               : field->kind == WEFT_OJ_SPAN_ID  ? put_id(r, number, 8)
                                                 : put_base64(r, number);
    case WEFT_OJ_BOOL:
        if (token != WEFT_JSON_TRUE && token != WEFT_JSON_FALSE)
            return refuse(r, "expected true or false");
        if (token == WEFT_JSON_TRUE || always)
            weft_wire_put_varint(r->out, number, token == WEFT_JSON_TRUE);
        return r->out->err;
    default:
        return put_number(r, field, number, token);
    }
}

/* An array of numbers, packed. */
static int put_packed(struct reader *r, const struct weft_oj_field *field, uint32_t number)
{
    size_t mark = weft_wire_begin(r->out, number);
    uint64_t value;

    for (;;) {
        int token = weft_json_next(&r->json);
        if (token < 0)
            return token;
        if (token == WEFT_JSON_ARRAY_END)
            break;
        if (token != WEFT_JSON_NUMBER && token != WEFT_JSON_STRING)
            return refuse(r, "expected a number");
        int err = read_number(r, field, token, &value);
        if (err)
            return err;
        if (is_fixed64(field->kind))
            weft_buf_append(r->out, &value, sizeof value);
        else
            weft_wire_put_raw_varint(r->out, value);
        if (r->out->err)
            return r->out->err;
    }
    weft_wire_end(r->out, mark);
    return r->out->err;
}

static int put_strings(struct reader *r, const struct weft_oj_field *field, uint32_t number)
{
    for (;;) {
        int token = weft_json_next(&r->json);
        if (token < 0 || token == WEFT_JSON_ARRAY_END)
            return token < 0 ? token : 0;
        int err = put_scalar(r, field, number, token);
        if (err)
            return err;
    }
}

/* ---- messages ---- */

static void open_object(struct reader *r, const struct weft_oj_field *field, uint8_t number)
{
    bool wide = field->flags & WEFT_OJ_WIDE & ~WEFT_OJ_REPEATED;
    size_t mark = wide ? weft_wire_begin_wide(r->out, number) : weft_wire_begin(r->out, number);

    r->levels[r->depth++] = (struct level){ .fields = weft_oj_fields[field->message], .mark = mark, .wide = wide };
}

static void close_object(struct reader *r)
{
    const struct level *level = &r->levels[--r->depth];

    if (level->mark == 0) /* the request itself, or a failed buffer */
        return;
    if (level->wide)
        weft_wire_end_wide(r->out, level->mark);
    else
        weft_wire_end(r->out, level->mark);
}

static int read_array(struct reader *r, const struct weft_oj_field *field, uint8_t number)
{
    if (field->kind == WEFT_OJ_STRING)
        return put_strings(r, field, number);
    if (field->kind != WEFT_OJ_CHILD)
        return put_packed(r, field, number);
    r->levels[r->depth++] = (struct level){ .element = field, .number = number };
    return 0;
}

/* The number of the field that the last key names, or 0. Encoders write fields in order, mostly. */
static uint8_t find_field(struct reader *r, struct level *level)
{
    struct weft_slice key = r->json.text;

    for (unsigned i = 1; i <= WEFT_OJ_FIELD_MAX; i++) {
        unsigned number = (level->hint + i - 1) % WEFT_OJ_FIELD_MAX + 1;
        const struct weft_oj_field *field = &level->fields[number];
        if (field->kind == WEFT_OJ_NONE)
            continue;
        if (r->json.escaped ? weft_json_text_is(&r->json, field->key)
                            : key.len == field->key_len && memcmp(key.data, field->key, key.len) == 0) {
            level->hint = (uint8_t)number;
            return (uint8_t)number;
        }
    }
    return 0;
}

/* Behind a key: its value, or the opening of it. */
static int read_field(struct reader *r, struct level *level)
{
    uint8_t number = find_field(r, level);

    if (number == 0)
        return weft_json_skip(&r->json, NULL);

    const struct weft_oj_field *field = &level->fields[number];
    int token = weft_json_next(&r->json);
    if (token < 0 || token == WEFT_JSON_NULL)
        return token < 0 ? token : 0;
    if (field->flags & WEFT_OJ_REPEATED)
        return token == WEFT_JSON_ARRAY_BEGIN ? read_array(r, field, number) : refuse(r, "expected an array");
    if (field->kind != WEFT_OJ_CHILD)
        return put_scalar(r, field, number, token);
    if (token != WEFT_JSON_OBJECT_BEGIN)
        return refuse(r, "expected an object");
    open_object(r, field, number);
    return r->out->err;
}

static int read_tokens(struct reader *r)
{
    int token = weft_json_next(&r->json);

    if (token < 0)
        return token;
    if (token != WEFT_JSON_OBJECT_BEGIN)
        return refuse(r, "expected an object");
    while (r->depth > 0) {
        struct level *level = &r->levels[r->depth - 1];
        int err = 0;
        token = weft_json_next(&r->json);
        if (token < 0)
            return token;
        if (token == WEFT_JSON_KEY)
            err = read_field(r, level);
        else if (token == WEFT_JSON_OBJECT_END || token == WEFT_JSON_ARRAY_END)
            close_object(r);
        else if (token == WEFT_JSON_OBJECT_BEGIN)
            open_object(r, level->element, level->number);
        else
            err = refuse(r, "expected an object");
        if (err || r->out->err)
            return err ? err : r->out->err;
    }
    return weft_json_next(&r->json);
}

int weft_otlp_json_read(enum weft_signal signal, struct weft_slice text, struct weft_buf *out,
                        struct weft_json_error *ret_error)
{
    struct reader r;
    size_t before = out->len;

    r.out = out;
    r.reason = NULL;
    r.depth = 1;
    r.levels[0] = (struct level){ .fields = weft_oj_fields[WEFT_OJ_TRACES + signal] };
    weft_json_init(&r.json, text);
    int err = out->err ? out->err : read_tokens(&r);
    if (err) {
        out->len = before;
        const char *reason = r.reason ? r.reason : r.json.reason;
        ret_error->offset = (size_t)(r.json.at - r.json.start);
        ret_error->reason = reason ? reason : weft_err_text(err);
    }
    return err;
}

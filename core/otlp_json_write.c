/* SPDX-License-Identifier: Apache-2.0 */
/* otlp_json_write.c: OTLP from protobuf into JSON.
 *
 * Each message is looked through once to see which fields it has and where each begins, then written in the order of the
 * table. Fields may come in any order and repeated ones in pieces; of a scalar, a sub-message or a oneof that comes twice
 * the last is written. Recursion goes as deep as messages may nest, WEFT_OTLP_MAX_DEPTH.
 *
 * Stateless; any thread.
 */
#include "core/err.h"
#include "core/json.h"
#include "core/otlp_json.h"
#include "core/otlp_json_schema.h"

/* Where a field was found: the rest of the message from its (first, when repeated, else last) occurrence on. */
struct found {
    struct weft_slice at[WEFT_OJ_FIELD_MAX + 1]; /* data NULL: not there */
};

struct writer {
    struct weft_buf *out;
    unsigned depth;
};

static int write_message(struct writer *w, const struct weft_oj_field *fields, struct weft_slice message);

static enum weft_wire_type wire_type(uint8_t kind)
{
    switch (kind) {
    case WEFT_OJ_STRING: case WEFT_OJ_TRACE_ID: case WEFT_OJ_SPAN_ID: case WEFT_OJ_BYTES: case WEFT_OJ_CHILD:
        return WEFT_LENGTH;
    case WEFT_OJ_FIXED64: case WEFT_OJ_SFIXED64: case WEFT_OJ_DOUBLE:
        return WEFT_FIXED64;
    case WEFT_OJ_FIXED32:
        return WEFT_FIXED32;
    default:
        return WEFT_VARINT;
    }
}

static bool is_packed(const struct weft_oj_field *field, const struct weft_field *f)
{
    return field->flags & WEFT_OJ_REPEATED && f->type == WEFT_LENGTH && wire_type(field->kind) != WEFT_LENGTH;
}

/* The row of a wire field; NULL when it is unknown. A known field of another type than its own is malformed. */
static int row_of(const struct weft_oj_field *fields, const struct weft_field *f, const struct weft_oj_field **ret_row)
{
    const struct weft_oj_field *row = f->number <= WEFT_OJ_FIELD_MAX ? &fields[f->number] : NULL;

    if (row && row->kind == WEFT_OJ_NONE)
        row = NULL;
    if (row && f->type != wire_type(row->kind) && !is_packed(row, f))
        return WEFT_ERR_MALFORMED;
    *ret_row = row;
    return 0;
}

static int look_through(const struct weft_oj_field *fields, struct weft_slice message, struct found *ret_found)
{
    struct found found = { 0 };
    struct weft_slice rest = message;
    unsigned chosen = 0; /* the member of the oneof */

    for (;;) {
        struct weft_slice here = rest;
        struct weft_field f;
        const struct weft_oj_field *row;
        int more = weft_wire_next(&rest, &f);
        if (more <= 0) {
            *ret_found = found;
            return more;
        }
        int err = row_of(fields, &f, &row);
        if (err)
            return err;
        if (!row || (row->flags & WEFT_OJ_REPEATED && found.at[f.number].data))
            continue;
        if (row->flags & WEFT_OJ_ONEOF) {
            found.at[chosen] = weft_slice_of(NULL, 0);
            chosen = f.number;
        }
        found.at[f.number] = here;
    }
}

/* ---- values ---- */

static void put_hex(struct weft_buf *out, struct weft_slice id)
{
    static const char digits[] = "0123456789abcdef";
    uint8_t *to = weft_buf_reserve(out, 2 * id.len + 2);

    if (!to)
        return;
    *to++ = '"';
    for (size_t i = 0; i < id.len; i++) {
        *to++ = (uint8_t)digits[id.data[i] >> 4];
        *to++ = (uint8_t)digits[id.data[i] & 15];
    }
    *to = '"';
    out->len += 2 * id.len + 2;
}

static void put_double(struct weft_buf *out, uint64_t bits)
{
    double value;

    memcpy(&value, &bits, sizeof value);
    weft_json_put_double(out, value);
}

/* 64-bit integers are strings, for readers whose numbers are doubles. */
static void put_number(struct weft_buf *out, uint8_t kind, uint64_t value)
{
    bool quoted = kind == WEFT_OJ_INT64 || kind == WEFT_OJ_UINT64 || kind == WEFT_OJ_FIXED64 || kind == WEFT_OJ_SFIXED64;

    if (quoted)
        weft_buf_append_byte(out, '"');
    switch (kind) {
    case WEFT_OJ_BOOL:
        weft_buf_append_str(out, value ? "true" : "false");
        break;
    case WEFT_OJ_DOUBLE:
        put_double(out, value);
        break;
    case WEFT_OJ_INT32:
        weft_json_put_int(out, (int32_t)(uint32_t)value);
        break;
    case WEFT_OJ_SINT32:
        weft_json_put_int(out, (int32_t)((uint32_t)value >> 1 ^ (value & 1 ? UINT32_MAX : 0)));
        break;
    case WEFT_OJ_UINT32: case WEFT_OJ_FIXED32:
        weft_json_put_uint(out, (uint32_t)value);
        break;
    case WEFT_OJ_INT64: case WEFT_OJ_SFIXED64:
        weft_json_put_int(out, (int64_t)value);
        break;
    default:
        weft_json_put_uint(out, value);
    }
    if (quoted)
        weft_buf_append_byte(out, '"');
}

static int put_value(struct writer *w, const struct weft_oj_field *row, const struct weft_field *f)
{
    switch (row->kind) {
    case WEFT_OJ_STRING:
        weft_json_put_string(w->out, f->bytes);
        break;
    case WEFT_OJ_TRACE_ID: case WEFT_OJ_SPAN_ID:
        put_hex(w->out, f->bytes);
        break;
    case WEFT_OJ_BYTES:
        weft_json_put_base64(w->out, f->bytes);
        break;
    case WEFT_OJ_CHILD:
        return write_message(w, weft_oj_fields[row->message], f->bytes);
    default:
        put_number(w->out, row->kind, f->scalar);
    }
    return w->out->err;
}

static void put_comma(struct weft_buf *out, bool *first)
{
    if (!*first)
        weft_buf_append_byte(out, ',');
    *first = false;
}

static int put_packed(struct weft_buf *out, uint8_t kind, struct weft_slice packed, bool *first)
{
    uint64_t value;
    int more;

    if (wire_type(kind) == WEFT_VARINT) {
        while ((more = weft_wire_next_varint(&packed, &value)) > 0) {
            put_comma(out, first);
            put_number(out, kind, value);
        }
        return more;
    }
    if (packed.len % sizeof value != 0)
        return WEFT_ERR_MALFORMED;
    for (size_t i = 0; i < packed.len; i += sizeof value) {
        memcpy(&value, packed.data + i, sizeof value);
        put_comma(out, first);
        put_number(out, kind, value);
    }
    return out->err;
}

/* All occurrences of a repeated field, the first of which is at the front of `rest`. */
static int put_array(struct writer *w, const struct weft_oj_field *row, uint32_t number, struct weft_slice rest)
{
    struct weft_field f;
    bool first = true;
    int more;

    weft_buf_append_byte(w->out, '[');
    while ((more = weft_wire_next(&rest, &f)) > 0) {
        int err;
        if (f.number != number)
            continue;
        if (is_packed(row, &f)) {
            err = put_packed(w->out, row->kind, f.bytes, &first);
        } else {
            put_comma(w->out, &first);
            err = put_value(w, row, &f);
        }
        if (err)
            return err;
    }
    weft_buf_append_byte(w->out, ']');
    return more;
}

static int put_field(struct writer *w, const struct weft_oj_field *row, uint32_t number, struct weft_slice at)
{
    struct weft_field f;

    weft_buf_append_byte(w->out, '"');
    weft_buf_append(w->out, row->key, row->key_len);
    weft_buf_append(w->out, "\":", 2);
    if (row->flags & WEFT_OJ_REPEATED)
        return put_array(w, row, number, at);
    if (weft_wire_next(&at, &f) != 1)
        return WEFT_ERR_MALFORMED;
    return put_value(w, row, &f);
}

static int write_message(struct writer *w, const struct weft_oj_field *fields, struct weft_slice message)
{
    struct found found;
    bool first = true;
    int err;

    if (w->depth == WEFT_OTLP_MAX_DEPTH)
        return WEFT_ERR_MALFORMED;
    err = look_through(fields, message, &found);
    if (err)
        return err;
    w->depth++;
    weft_buf_append_byte(w->out, '{');
    for (uint32_t number = 1; number <= WEFT_OJ_FIELD_MAX && !err; number++) {
        if (!found.at[number].data)
            continue;
        put_comma(w->out, &first);
        err = put_field(w, &fields[number], number, found.at[number]);
    }
    weft_buf_append_byte(w->out, '}');
    w->depth--;
    return err ? err : w->out->err;
}

int weft_otlp_json_write(enum weft_signal signal, struct weft_slice payload, struct weft_buf *out)
{
    struct writer w = { .out = out };
    size_t before = out->len;

    int err = out->err ? out->err : write_message(&w, weft_oj_fields[WEFT_OJ_TRACES + signal], payload);
    if (err)
        out->len = before;
    return err;
}

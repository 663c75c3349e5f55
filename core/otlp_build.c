/* SPDX-License-Identifier: Apache-2.0 */
/* otlp_build.c: what translators use to write OTLP. See otlp.h.
 *
 * An attribute's lengths are known before it is written, so each is written once, forwards. Stateless; any thread. */
#include "core/otlp.h"

#include "core/wire_inline.h"

enum {
    SCALAR_MAX = 1 + WEFT_VARINT_MAX,
    SHORT_MAX = 127, /* a length of one byte */
};

/* An AnyValue's own bytes are `head` (all of it for scalars; key and length for strings) and then `text`. */
struct value {
    uint8_t head[SCALAR_MAX];
    size_t head_len;
    struct weft_slice text;
};

static struct value scalar_value(uint32_t number, enum weft_wire_type type, uint64_t scalar)
{
    struct value v = { .head = { (uint8_t)WEFT_KEY(number, type) } };

    if (type == WEFT_FIXED64) {
        memcpy(v.head + 1, &scalar, sizeof scalar);
        v.head_len = 1 + sizeof scalar;
    } else {
        v.head_len = (size_t)(weft_store_varint(v.head + 1, scalar) - v.head);
    }
    return v;
}

static struct value text_value(uint32_t number, struct weft_slice text)
{
    struct value v = scalar_value(number, WEFT_LENGTH, text.len);

    v.text = text;
    return v;
}

static struct value double_value(double real)
{
    uint64_t bits;

    memcpy(&bits, &real, sizeof bits);
    return scalar_value(WEFT_VALUE_DOUBLE, WEFT_FIXED64, bits);
}

static uint8_t *store(uint8_t *at, struct weft_slice bytes)
{
    if (bytes.len > 0)
        memcpy(at, bytes.data, bytes.len);
    return at + bytes.len;
}

static uint8_t *store_value(uint8_t *at, uint32_t number, const struct value *v)
{
    at = weft_store_varint(at, WEFT_KEY(number, WEFT_LENGTH));
    at = weft_store_varint(at, v->head_len + v->text.len);
    memcpy(at, v->head, v->head_len);
    return store(at + v->head_len, v->text);
}

/* False, with the buffer's error set, when `text` can be in no message. */
static bool fits(struct weft_buf *b, struct weft_slice text)
{
    if (text.len > INT32_MAX / 4 && !b->err)
        b->err = WEFT_ERR_TOO_LARGE;
    return !b->err;
}

static void put_any(struct weft_buf *b, uint32_t number, struct value v)
{
    if (!fits(b, v.text))
        return;

    const size_t size = weft_length_field_size(number, v.head_len + v.text.len);
    uint8_t *at = weft_buf_reserve(b, size);
    if (!at)
        return;
    store_value(at, number, &v);
    b->len += size;
}

static bool is_short(uint32_t number, struct weft_slice key, size_t value_len)
{
    return number < 16 && key.len <= SHORT_MAX && value_len <= SHORT_MAX && 4 + key.len + value_len <= SHORT_MAX;
}

/* Begins an attribute of which every length is one byte, as nearly all are. Where the value's own bytes go; NULL: no room. */
static uint8_t *begin_short(struct weft_buf *b, uint32_t number, struct weft_slice key, size_t value_len)
{
    const size_t inner = 4 + key.len + value_len;
    uint8_t *at = weft_buf_reserve(b, 2 + inner);

    if (!at)
        return NULL;
    at[0] = (uint8_t)WEFT_KEY(number, WEFT_LENGTH);
    at[1] = (uint8_t)inner;
    at[2] = WEFT_KEY(WEFT_KEYVALUE_KEY, WEFT_LENGTH);
    at[3] = (uint8_t)key.len;
    at = store(at + 4, key);
    at[0] = WEFT_KEY(WEFT_KEYVALUE_VALUE, WEFT_LENGTH);
    at[1] = (uint8_t)value_len;
    b->len += 2 + inner;
    return at + 2;
}

static void put_long(struct weft_buf *b, uint32_t number, struct weft_slice key, const struct value *v)
{
    if (!fits(b, v->text) || !fits(b, key))
        return;

    const size_t inner = weft_length_field_size(WEFT_KEYVALUE_KEY, key.len) +
                         weft_length_field_size(WEFT_KEYVALUE_VALUE, v->head_len + v->text.len);
    const size_t size = weft_length_field_size(number, inner);
    uint8_t *at = weft_buf_reserve(b, size);
    if (!at)
        return;
    at = weft_store_varint(at, WEFT_KEY(number, WEFT_LENGTH));
    at = weft_store_varint(at, inner);
    at = weft_store_varint(at, WEFT_KEY(WEFT_KEYVALUE_KEY, WEFT_LENGTH));
    at = store(weft_store_varint(at, key.len), key);
    store_value(at, WEFT_KEYVALUE_VALUE, v);
    b->len += size;
}

void weft_any_put_string(struct weft_buf *b, uint32_t number, struct weft_slice value)
{
    put_any(b, number, text_value(WEFT_VALUE_STRING, value));
}

void weft_any_put_bytes(struct weft_buf *b, uint32_t number, struct weft_slice value)
{
    put_any(b, number, text_value(WEFT_VALUE_BYTES, value));
}

void weft_any_put_int(struct weft_buf *b, uint32_t number, int64_t value)
{
    put_any(b, number, scalar_value(WEFT_VALUE_INT, WEFT_VARINT, (uint64_t)value));
}

void weft_any_put_double(struct weft_buf *b, uint32_t number, double value)
{
    put_any(b, number, double_value(value));
}

void weft_any_put_bool(struct weft_buf *b, uint32_t number, bool value)
{
    put_any(b, number, scalar_value(WEFT_VALUE_BOOL, WEFT_VARINT, value));
}

/* Short attributes are written straight away, with no struct value that would be stored in pieces and then copied whole, which
 * has to wait for the pieces. */
void weft_attribute_put_string(struct weft_buf *b, uint32_t number, struct weft_slice key, struct weft_slice value)
{
    if (value.len > SHORT_MAX || !is_short(number, key, 2 + value.len)) {
        const struct value v = text_value(WEFT_VALUE_STRING, value);
        put_long(b, number, key, &v);
        return;
    }
    uint8_t *at = begin_short(b, number, key, 2 + value.len);
    if (!at)
        return;
    at[0] = WEFT_KEY(WEFT_VALUE_STRING, WEFT_LENGTH);
    at[1] = (uint8_t)value.len;
    (void)store(at + 2, value);
}

static void put_varint_attribute(struct weft_buf *b, uint32_t number, struct weft_slice key, uint32_t kind, uint64_t scalar)
{
    const size_t len = 1 + weft_wire_varint_size(scalar);

    if (!is_short(number, key, len)) {
        const struct value v = scalar_value(kind, WEFT_VARINT, scalar);
        put_long(b, number, key, &v);
        return;
    }
    uint8_t *at = begin_short(b, number, key, len);
    if (!at)
        return;
    at[0] = (uint8_t)WEFT_KEY(kind, WEFT_VARINT);
    (void)weft_store_varint(at + 1, scalar);
}

void weft_attribute_put_int(struct weft_buf *b, uint32_t number, struct weft_slice key, int64_t value)
{
    put_varint_attribute(b, number, key, WEFT_VALUE_INT, (uint64_t)value);
}

void weft_attribute_put_bool(struct weft_buf *b, uint32_t number, struct weft_slice key, bool value)
{
    put_varint_attribute(b, number, key, WEFT_VALUE_BOOL, value);
}

void weft_attribute_put_double(struct weft_buf *b, uint32_t number, struct weft_slice key, double value)
{
    const struct value v = double_value(value);

    put_long(b, number, key, &v);
}

struct weft_otlp_group weft_otlp_group_open(struct weft_buf *b, struct weft_slice resource, struct weft_slice scope)
{
    struct weft_otlp_group group;

    group.resource_mark = weft_wire_begin_wide(b, WEFT_REQUEST_GROUPS);
    if (resource.len > 0)
        weft_wire_put_bytes(b, WEFT_RESOURCE_GROUP_RESOURCE, resource);
    group.scope_mark = weft_wire_begin_wide(b, WEFT_RESOURCE_GROUP_SCOPES);
    if (scope.len > 0)
        weft_wire_put_bytes(b, WEFT_SCOPE_GROUP_SCOPE, scope);
    return group;
}

void weft_otlp_group_close(struct weft_buf *b, struct weft_otlp_group group)
{
    weft_wire_end_wide(b, group.scope_mark);
    weft_wire_end_wide(b, group.resource_mark);
}

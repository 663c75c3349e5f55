/* SPDX-License-Identifier: Apache-2.0 */
/* correlation_splice.c: the tags put into a request's bytes.
 *
 *   (1) Tags stand at the end of their item; every other byte keeps its value and its order, but for the lengths
 *       of what encloses a tag.
 *   (2) A length keeps the number of bytes that it had unless the new one needs more, so taking the tags out
 *       again and correcting the lengths gives the old request, to the byte.
 *
 * One request, one thread. */
#include "processors/correlation_parts.h"

#include "core/err.h"
#include "core/wire_inline.h"

#include <assert.h>

static const struct weft_slice id_key = { (const uint8_t *)"correlation.id", sizeof "correlation.id" - 1 };
static const struct weft_slice inferred_key = { (const uint8_t *)"correlation.inferred",
                                                sizeof "correlation.inferred" - 1 };

static uint32_t attributes_of(enum weft_signal signal)
{
    static const uint8_t numbers[WEFT_SIGNALS] = { WEFT_SPAN_ATTRIBUTES, WEFT_LOG_ATTRIBUTES,
                                                   WEFT_EXEMPLAR_ATTRIBUTES };

    return numbers[signal];
}

/* Bytes of the KeyValue field for a key and an AnyValue message of these lengths; both fit one-byte keys. */
static size_t attribute_size(uint32_t number, size_t key_len, size_t any_len)
{
    return weft_length_field_size(number, weft_length_field_size(WEFT_KEYVALUE_KEY, key_len) +
                                              weft_length_field_size(WEFT_KEYVALUE_VALUE, any_len));
}

static size_t tags_size(enum weft_signal signal, const struct node *leaf)
{
    const uint32_t number = attributes_of(signal);
    size_t size;

    if (leaf->tag.len == 0)
        return 0;
    size = attribute_size(number, id_key.len, weft_length_field_size(WEFT_VALUE_STRING, leaf->tag.len));
    if (leaf->inferred)
        size += attribute_size(number, inferred_key.len, 2);
    if (leaf->give_trace)
        size += weft_length_field_size(WEFT_LOG_TRACE_ID, TRACE_ID_LEN);
    return size;
}

static void put_tags(struct weft_buf *b, enum weft_signal signal, const struct node *leaf)
{
    const uint32_t number = attributes_of(signal);
    char hex[2 * TRACE_ID_LEN + 1];
    struct weft_slice id = leaf->tag;

    if (id.len == 0)
        return;
    if (!id.data) {
        weft_hex_write(weft_slice_of(leaf->trace_id, TRACE_ID_LEN), hex);
        id = weft_slice_of(hex, 2 * TRACE_ID_LEN);
    }
    weft_attribute_put_string(b, number, id_key, id);
    if (leaf->inferred)
        weft_attribute_put_bool(b, number, inferred_key, true);
    if (leaf->give_trace)
        weft_wire_put_bytes(b, WEFT_LOG_TRACE_ID, weft_slice_of(leaf->give_trace, TRACE_ID_LEN));
}

static size_t width_of_length(const struct node *node)
{
    return (size_t)(node->content.data - node->length_at);
}

static size_t new_width(const struct node *node)
{
    const size_t least = weft_wire_varint_size(node->content.len + node->growth);

    return least > width_of_length(node) ? least : width_of_length(node);
}

/* From the last node to the first, so that a parent's growth is whole before it is handed on. */
static void sum_growth(struct work *w)
{
    for (size_t i = w->n_nodes - 1; i > 0; i--) {
        struct node *node = &w->nodes[i];

        if (node->leaf)
            node->growth = tags_size(w->signal, node);
        if (node->growth > 0)
            w->nodes[node->parent].growth += node->growth + new_width(node) - width_of_length(node);
    }
}

/* `value` as a varint of exactly `width` bytes. */
static void put_length(struct weft_buf *b, size_t value, size_t width)
{
    for (; width > 1; width--, value >>= 7)
        b->data[b->len++] = (uint8_t)(value | 0x80);
    b->data[b->len++] = (uint8_t)value;
}

/* The bytes of the old request up to `until`. */
static void copy_until(struct weft_buf *b, const uint8_t **from, const uint8_t *until)
{
    const size_t len = (size_t)(until - *from);

    memcpy(b->data + b->len, *from, len);
    b->len += len;
    *from = until;
}

static void write_request(struct work *w, struct weft_buf *b)
{
    const uint8_t *from = w->payload.data;

    for (size_t i = 1; i < w->n_nodes; i++) {
        const struct node *node = &w->nodes[i];

        if (node->growth == 0)
            continue;
        copy_until(b, &from, node->length_at);
        put_length(b, node->content.len + node->growth, new_width(node));
        from = node->content.data;
        if (node->leaf) {
            copy_until(b, &from, node->content.data + node->content.len);
            put_tags(b, w->signal, node);
        }
    }
    copy_until(b, &from, w->payload.data + w->payload.len);
}

int weft_correlation_splice(struct work *w, struct weft_slice *ret_payload)
{
    sum_growth(w);

    const size_t growth = w->nodes[0].growth;
    /* The writers of core reserve for the longest varint before they write; 32 covers it. */
    struct weft_buf b = { .limit = w->payload.len + growth + 32 };
    if (growth == 0) {
        *ret_payload = w->payload;
        return 0;
    }
    if (w->payload.len + growth > INT32_MAX)
        return WEFT_ERR_TOO_LARGE;
    b.cap = b.limit;
    b.data = weft_arena_alloc(w->scratch, b.cap);
    if (!b.data)
        return WEFT_ERR_LIMIT;
    write_request(w, &b);
    assert(!b.err && b.len == w->payload.len + growth);
    *ret_payload = weft_buf_slice(&b);
    return 0;
}

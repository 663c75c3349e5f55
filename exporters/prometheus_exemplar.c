/* SPDX-License-Identifier: Apache-2.0 */
/* prometheus_exemplar.c: see prometheus_exemplar.h. Labels are rendered when an exemplar arrives, since it is shown
 * by every scrape until a newer one comes. Characters count by code points, of names and values as they are
 * before escaping. */
#include "exporters/prometheus_exemplar.h"

#include "core/exposition.h"

static size_t characters(struct weft_slice text)
{
    size_t n = 0;

    for (size_t i = 0; i < text.len; i++)
        n += (text.data[i] & 0xc0) != 0x80 || i == 0;
    return n;
}

/* Adds a label if it fits into what is left of the 128 characters. */
static void put(struct weft_buf *b, size_t *left, struct weft_slice name, struct weft_slice value)
{
    size_t need = characters(name) + characters(value);

    if (value.len == 0 || need > *left)
        return;
    *left -= need;
    if (b->len > 0)
        weft_buf_append_byte(b, ',');
    weft_buf_append(b, name.data, name.len);
    weft_buf_append(b, "=\"", 2);
    weft_exposition_label_value(b, value);
    weft_buf_append_byte(b, '"');
}

static void put_id(struct weft_buf *b, size_t *left, struct weft_slice name, struct weft_slice id, size_t size)
{
    char text[2 * 16 + 1];

    if (!weft_id_valid(id, size))
        return;
    weft_hex_write(id, text);
    put(b, left, name, weft_slice_str(text));
}

static bool is_correlation(struct weft_slice key)
{
    return weft_slice_is(key, "correlation.id") || weft_slice_is(key, "correlation_id");
}

static bool has_name(struct weft_slice text, struct weft_slice name)
{
    struct weft_slice other, value;

    while (weft_prom_labels_next(&text, &other, &value) > 0)
        if (weft_slice_equal(other, name))
            return true;
    return false;
}

static void put_attributes(struct weft_prom_store *s, struct weft_buf *b, size_t *left, const struct weft_exemplar *e,
                           bool correlation)
{
    struct weft_attributes it = weft_attributes_of(e->message, WEFT_EXEMPLAR_ATTRIBUTES);
    struct weft_attribute a;
    struct weft_buf name;

    weft_buf_init(&name, WEFT_PROM_NAME_MAX);
    while (weft_attributes_next(&it, &a) > 0) {
        if (is_correlation(a.key) != correlation)
            continue;
        weft_buf_reset(&name);
        weft_prom_label_name(&name, WEFT_PROM_UNDERSCORES, a.key);
        if (!name.err && name.len > 0 && !has_name(weft_buf_slice(b), weft_buf_slice(&name)))
            put(b, left, weft_buf_slice(&name), weft_prom_value_text(&s->scratch, &a.value));
    }
    weft_buf_release(&name);
}

/* Label text into s->text. */
static void render(struct weft_prom_store *s, const struct weft_exemplar *e)
{
    size_t left = WEFT_PROM_EXEMPLAR_CHARS;

    weft_arena_reset(&s->scratch);
    weft_buf_reset(&s->text);
    put_id(&s->text, &left, WEFT_SLICE("trace_id"), e->trace_id, 16);
    put_id(&s->text, &left, WEFT_SLICE("span_id"), e->span_id, 8);
    put_attributes(s, &s->text, &left, e, true);
    put_attributes(s, &s->text, &left, e, false);
}

static struct weft_prom_exemplar *room_for(struct weft_prom_store *s, struct weft_prom_exemplar *old, size_t len)
{
    if (old && old->cap >= len)
        return old;
    struct weft_prom_exemplar *e = weft_prom_alloc(&s->ledger, sizeof *e + len);
    if (!e)
        return NULL;
    e->cap = (uint32_t)len;
    if (old)
        weft_prom_free(&s->ledger, old, sizeof *old + old->cap);
    return e;
}

void weft_prom_exemplar_keep(struct weft_prom_store *s, struct weft_prom_exemplar **at, const struct weft_exemplar *from)
{
    if (!from->has_value || (*at && (*at)->time_ns > from->time_ns))
        return;
    render(s, from);
    struct weft_prom_exemplar *e = s->text.err ? NULL : room_for(s, *at, s->text.len);
    if (!e)
        return;
    e->value = weft_prom_exemplar_value(from);
    e->time_ns = from->time_ns;
    e->len = (uint32_t)s->text.len;
    if (s->text.len > 0)
        memcpy(e->labels, s->text.data, s->text.len);
    *at = e;
}

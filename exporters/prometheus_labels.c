/* SPDX-License-Identifier: Apache-2.0 */
/* prometheus_labels.c: see prometheus_labels.h. */
#include "exporters/prometheus_labels.h"

#include "core/exposition.h"
#include "core/json.h"

#include <xxhash.h>

enum { VALUE_MAX = 64 << 10, VALUE_DEPTH = 8 };

/* ---- values ---- */

static void put_json(struct weft_buf *b, const struct weft_any *v, unsigned depth);

static void put_json_list(struct weft_buf *b, struct weft_slice rest, unsigned depth)
{
    struct weft_any item;
    bool first = true;

    weft_buf_append_byte(b, '[');
    while (weft_any_array_next(&rest, &item) > 0) {
        if (!first)
            weft_buf_append_byte(b, ',');
        first = false;
        put_json(b, &item, depth + 1);
    }
    weft_buf_append_byte(b, ']');
}

static void put_json_map(struct weft_buf *b, struct weft_slice message, unsigned depth)
{
    struct weft_attributes it = weft_attributes_of(message, WEFT_KVLIST_VALUES);
    struct weft_attribute a;
    bool first = true;

    weft_buf_append_byte(b, '{');
    while (weft_attributes_next(&it, &a) > 0) {
        if (!first)
            weft_buf_append_byte(b, ',');
        first = false;
        weft_json_put_string(b, a.key);
        weft_buf_append_byte(b, ':');
        put_json(b, &a.value, depth + 1);
    }
    weft_buf_append_byte(b, '}');
}

static void put_json(struct weft_buf *b, const struct weft_any *v, unsigned depth)
{
    if (depth > VALUE_DEPTH) {
        weft_buf_append_str(b, "null");
        return;
    }
    switch (v->kind) {
    case WEFT_ANY_STRING: weft_json_put_string(b, v->bytes); break;
    case WEFT_ANY_BOOL:   weft_buf_append_str(b, v->integer ? "true" : "false"); break;
    case WEFT_ANY_INT:    weft_json_put_int(b, v->integer); break;
    case WEFT_ANY_DOUBLE: weft_json_put_double(b, v->real); break;
    case WEFT_ANY_ARRAY:  put_json_list(b, v->bytes, depth); break;
    case WEFT_ANY_KVLIST: put_json_map(b, v->bytes, depth); break;
    case WEFT_ANY_BYTES:  weft_json_put_base64(b, v->bytes); break;
    case WEFT_ANY_EMPTY:  weft_buf_append_str(b, "null"); break;
    }
}

struct weft_slice weft_prom_value_text(struct weft_arena *scratch, const struct weft_any *value)
{
    struct weft_slice text = WEFT_SLICE("");
    struct weft_buf b;

    if (value->kind == WEFT_ANY_STRING)
        return value->bytes.data ? value->bytes : text;
    if (value->kind == WEFT_ANY_EMPTY)
        return text;
    weft_buf_init(&b, VALUE_MAX);
    put_json(&b, value, 0);
    text = weft_buf_slice(&b);
    if (value->kind == WEFT_ANY_BYTES && text.len >= 2)
        text = weft_slice_of(text.data + 1, text.len - 2); /* bare: the quotes are JSON's */
    text = b.err ? weft_slice_of(NULL, 0) : weft_arena_copy(scratch, text);
    weft_buf_release(&b);
    return text;
}

/* ---- collecting ---- */

void weft_prom_labels_begin(struct weft_prom_labels *l, struct weft_arena *scratch, enum weft_prom_strategy strategy)
{
    weft_arena_reset(scratch);
    l->scratch = scratch;
    l->strategy = strategy;
    l->n = 0;
    l->full = false;
    l->odd = false;
}

static void add(struct weft_prom_labels *l, struct weft_slice key, struct weft_slice name, struct weft_slice value)
{
    if (!value.data || !name.data || l->n == WEFT_PROM_LABELS_MAX) {
        l->full = true;
        return;
    }
    if (value.len > 0 && name.len > 0)
        l->items[l->n++] = (struct weft_prom_label){ key, name, value };
}

void weft_prom_labels_add(struct weft_prom_labels *l, struct weft_slice name, struct weft_slice value)
{
    if (value.len > 0)
        add(l, name, name, value);
}

static struct weft_slice translated(struct weft_prom_labels *l, const char *prefix, struct weft_slice key)
{
    struct weft_slice name = weft_slice_of(NULL, 0);
    struct weft_buf b, whole;

    weft_buf_init(&whole, WEFT_PROM_NAME_MAX);
    weft_buf_init(&b, WEFT_PROM_NAME_MAX + 8);
    weft_buf_append_str(&whole, prefix);
    weft_buf_append(&whole, key.data, key.len);
    weft_prom_label_name(&b, l->strategy, weft_buf_slice(&whole));
    if (!whole.err && !b.err)
        name = weft_arena_copy(l->scratch, weft_buf_slice(&b));
    weft_buf_release(&whole);
    weft_buf_release(&b);
    return name;
}

void weft_prom_labels_add_attribute(struct weft_prom_labels *l, const char *prefix, const struct weft_attribute *a)
{
    bool plain = !*prefix && weft_exposition_name_plain(a->key) && !memchr(a->key.data, ':', a->key.len) &&
                 !memchr(a->key.data, '_', a->key.len);

    if (a->key.len == 0)
        return;
    add(l, a->key, plain ? a->key : translated(l, prefix, a->key), weft_prom_value_text(l->scratch, &a->value));
}

int weft_prom_labels_add_all(struct weft_prom_labels *l, const char *prefix, struct weft_slice message, uint32_t number)
{
    struct weft_attributes it = weft_attributes_of(message, number);
    struct weft_attribute a;
    int verdict;

    while ((verdict = weft_attributes_next(&it, &a)) > 0)
        weft_prom_labels_add_attribute(l, prefix, &a);
    return verdict;
}

/* ---- writing ---- */

static int compare(struct weft_slice a, struct weft_slice b)
{
    size_t least = a.len < b.len ? a.len : b.len;
    int order = least ? memcmp(a.data, b.data, least) : 0;

    return order ? order : (a.len > b.len) - (a.len < b.len);
}

static bool before(const struct weft_prom_label *a, const struct weft_prom_label *b)
{
    int order = compare(a->name, b->name);

    return order < 0 || (order == 0 && compare(a->key, b->key) < 0);
}

/* Insertion: the few labels of a series come sorted more often than not. */
static void sort(struct weft_prom_labels *l)
{
    for (size_t i = 1; i < l->n; i++) {
        struct weft_prom_label item = l->items[i];
        size_t at = i;
        for (; at > 0 && before(&item, &l->items[at - 1]); at--)
            l->items[at] = l->items[at - 1];
        l->items[at] = item;
    }
}

static bool taken_name(struct weft_slice taken, struct weft_slice name)
{
    struct weft_slice other, value;

    while (weft_prom_labels_next(&taken, &other, &value) > 0)
        if (weft_slice_equal(other, name))
            return true;
    return false;
}

static struct weft_slice exported(struct weft_prom_labels *l, struct weft_slice name)
{
    uint8_t *room = weft_arena_alloc(l->scratch, name.len + 9);

    if (!room) {
        l->full = true;
        return name;
    }
    memcpy(room, "exported_", 9);
    memcpy(room + 9, name.data, name.len);
    return weft_slice_of(room, name.len + 9);
}

/* Before sorting, so that what was sent as exported_job and what became exported_job are joined. */
static void rename_taken(struct weft_prom_labels *l, struct weft_slice taken, const char *reserved)
{
    for (size_t i = 0; i < l->n; i++) {
        struct weft_slice *name = &l->items[i].name;
        while (!l->full && (weft_slice_is(*name, "__name__") || (*reserved && weft_slice_is(*name, reserved)) ||
                            taken_name(taken, *name)))
            *name = exported(l, *name);
    }
}

/* One label with the values of `n` items, which share a name. Returns its hash. */
static uint64_t put_label(struct weft_prom_labels *l, const struct weft_prom_label *items, size_t n, uint64_t seed,
                          struct weft_buf *out)
{
    size_t start = out->len;
    bool plain = weft_exposition_name_plain(items[0].name) && !memchr(items[0].name.data, ':', items[0].name.len);

    l->odd |= !plain;
    if (plain) {
        weft_buf_append(out, items[0].name.data, items[0].name.len);
    } else {
        weft_buf_append_byte(out, '"');
        weft_exposition_label_value(out, items[0].name);
        weft_buf_append_byte(out, '"');
    }
    weft_buf_append(out, "=\"", 2);
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            weft_buf_append_byte(out, ';');
        weft_exposition_label_value(out, items[i].value);
    }
    weft_buf_append_byte(out, '"');
    return out->err ? 0 : XXH3_64bits_withSeed(out->data + start, out->len - start, seed);
}

uint64_t weft_prom_labels_end(struct weft_prom_labels *l, struct weft_slice taken, const char *reserved, uint64_t seed,
                              struct weft_buf *out)
{
    uint64_t key = 0;
    size_t start = out->len;

    rename_taken(l, taken, reserved);
    sort(l);
    for (size_t i = 0, n; i < l->n; i += n) {
        for (n = 1; i + n < l->n && weft_slice_equal(l->items[i + n].name, l->items[i].name); n++)
            ;
        if (out->len > start)
            weft_buf_append_byte(out, ',');
        key += put_label(l, &l->items[i], n, seed, out);
    }
    return key;
}

/* ---- reading back ---- */

/* Takes what stands before the next quote that is not escaped. */
static struct weft_slice quoted(struct weft_slice *rest)
{
    size_t i = 0;

    while (i < rest->len && rest->data[i] != '"')
        i += rest->data[i] == '\\' ? 2 : 1;
    struct weft_slice inside = weft_slice_of(rest->data, i < rest->len ? i : rest->len);
    *rest = weft_slice_from(*rest, i + 1);
    return inside;
}

int weft_prom_labels_next(struct weft_slice *rest, struct weft_slice *ret_name, struct weft_slice *ret_value)
{
    struct weft_slice name;

    if (rest->len > 0 && rest->data[0] == ',')
        *rest = weft_slice_from(*rest, 1);
    if (rest->len == 0)
        return 0;
    if (rest->data[0] == '"') {
        *rest = weft_slice_from(*rest, 1);
        name = quoted(rest);
        *rest = weft_slice_from(*rest, 2); /* =" */
    } else {
        const uint8_t *equals = memchr(rest->data, '=', rest->len);
        size_t len = equals ? (size_t)(equals - rest->data) : rest->len;
        name = weft_slice_of(rest->data, len);
        *rest = weft_slice_from(*rest, len + 2);
    }
    *ret_name = name;
    *ret_value = quoted(rest);
    return 1;
}

void weft_prom_unescape(struct weft_buf *out, struct weft_slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] != '\\' || i + 1 == text.len) {
            weft_buf_append_byte(out, text.data[i]);
            continue;
        }
        i++;
        weft_buf_append_byte(out, text.data[i] == 'n' ? '\n' : text.data[i]);
    }
}

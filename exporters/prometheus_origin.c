/* SPDX-License-Identifier: Apache-2.0 */
/* prometheus_origin.c: where series come from: the labels of a resource and a scope, and target_info.
 *
 * job is service.namespace/service.name, instance is service.instance.id. An origin's labels are rendered once and
 * shared by its series. There is one target_info for a job and instance, of the resource seen last: two processes that
 * claim to be the same instance must not become two samples that a join would trip over. */
#include "core/err.h"
#include "exporters/prometheus_store.h"

#include <fnmatch.h>
#include <xxhash.h>

enum { PATTERN_KEY_MAX = 256 };

struct identity { struct weft_slice space, name, instance, job; };

static uint64_t hash(const struct weft_prom_store *s, struct weft_slice bytes, unsigned salt)
{
    return XXH3_64bits_withSeed(bytes.data, bytes.len, s->settings.seed + salt);
}

static uint64_t origin_key(const struct weft_prom_store *s, const struct weft_otlp_walk *w)
{
    uint64_t key = hash(s, w->resource, 1);

    key = key * 31 + hash(s, w->scope, 2);
    return key * 31 + hash(s, w->scope_schema_url, 3);
}

/* ---- job and instance ---- */

static struct weft_slice resource_text(struct weft_prom_store *s, struct weft_slice resource, struct weft_slice key)
{
    struct weft_any value;

    if (weft_attribute_find(resource, WEFT_RESOURCE_ATTRIBUTES, key, &value) <= 0)
        return weft_slice_of(NULL, 0);
    return weft_prom_value_text(&s->scratch, &value);
}

/* In the scratch arena. */
static struct identity identify(struct weft_prom_store *s, struct weft_slice resource)
{
    struct identity id = {
        .space = resource_text(s, resource, WEFT_SLICE("service.namespace")),
        .name = resource_text(s, resource, WEFT_SLICE("service.name")),
        .instance = resource_text(s, resource, WEFT_SLICE("service.instance.id")),
    };
    id.job = id.name;
    if (id.name.len > 0 && id.space.len > 0) {
        uint8_t *room = weft_arena_alloc(&s->scratch, id.space.len + 1 + id.name.len);
        if (room) {
            memcpy(room, id.space.data, id.space.len);
            room[id.space.len] = '/';
            memcpy(room + id.space.len + 1, id.name.data, id.name.len);
            id.job = weft_slice_of(room, id.space.len + 1 + id.name.len);
        }
    }
    return id;
}

static void add_const_labels(struct weft_prom_store *s)
{
    for (size_t i = 0; i < s->settings.const_labels.n; i++) {
        const struct weft_pair *pair = &s->settings.const_labels.items[i];
        struct weft_attribute a = { .key = weft_slice_str(pair->key) };
        a.value = (struct weft_any){ .kind = WEFT_ANY_STRING, .bytes = weft_slice_str(pair->value) };
        weft_prom_labels_add_attribute(&s->labels, "", &a);
    }
}

/* const_labels, job and instance: the names that nothing else may have. Appended to `out`. */
static uint64_t put_identity(struct weft_prom_store *s, struct weft_slice resource, struct identity *ret_id,
                             struct weft_buf *out)
{
    weft_prom_labels_begin(&s->labels, &s->scratch, s->settings.strategy);
    *ret_id = identify(s, resource);
    weft_prom_labels_add(&s->labels, WEFT_SLICE("job"), ret_id->job);
    weft_prom_labels_add(&s->labels, WEFT_SLICE("instance"), ret_id->instance);
    add_const_labels(s);
    return weft_prom_labels_end(&s->labels, weft_slice_of(NULL, 0), "", s->settings.seed, out);
}

/* ---- resource attributes as labels ---- */

static bool matches(const struct weft_strings *patterns, struct weft_slice key)
{
    char name[PATTERN_KEY_MAX];

    if (key.len >= sizeof name)
        return false;
    memcpy(name, key.data, key.len);
    name[key.len] = 0;
    for (size_t i = 0; i < patterns->n; i++)
        if (fnmatch(patterns->items[i], name, 0) == 0)
            return true;
    return false;
}

static bool becomes_label(const struct weft_prom_settings *settings, struct weft_slice key)
{
    bool in = settings->included.n ? matches(&settings->included, key) : settings->excluded.n > 0;

    return in && !matches(&settings->excluded, key);
}

static int add_resource(struct weft_prom_store *s, struct weft_slice resource)
{
    struct weft_attributes it = weft_attributes_of(resource, WEFT_RESOURCE_ATTRIBUTES);
    struct weft_attribute a;
    int verdict;

    if (s->settings.included.n + s->settings.excluded.n == 0)
        return 0;
    while ((verdict = weft_attributes_next(&it, &a)) > 0)
        if (becomes_label(&s->settings, a.key))
            weft_prom_labels_add_attribute(&s->labels, "", &a);
    return verdict;
}

static int add_scope(struct weft_prom_store *s, const struct weft_otlp_walk *w)
{
    struct weft_scope_view scope;

    if (!s->settings.scope_labels)
        return 0;
    if (weft_scope_read(w->scope, &scope) < 0)
        return WEFT_ERR_MALFORMED;
    weft_prom_labels_add(&s->labels, WEFT_SLICE("otel_scope_name"), scope.name);
    weft_prom_labels_add(&s->labels, WEFT_SLICE("otel_scope_version"), scope.version);
    weft_prom_labels_add(&s->labels, WEFT_SLICE("otel_scope_schema_url"), w->scope_schema_url);
    return weft_prom_labels_add_all(&s->labels, "otel_scope_", w->scope, WEFT_SCOPE_ATTRIBUTES);
}

/* ---- targets ---- */

/* Label text of target_info into s->text: job, instance and every resource attribute. */
static bool target_text(struct weft_prom_store *s, struct weft_slice resource)
{
    struct identity id;

    weft_buf_reset(&s->text);
    (void)put_identity(s, resource, &id, &s->text);
    size_t own = s->text.len;
    weft_prom_labels_begin(&s->labels, &s->scratch, s->settings.strategy);
    if (weft_prom_labels_add_all(&s->labels, "", resource, WEFT_RESOURCE_ATTRIBUTES) < 0)
        return false;
    struct weft_buf rest;
    weft_buf_init(&rest, s->text.limit);
    (void)weft_prom_labels_end(&s->labels, weft_buf_slice(&s->text), "", s->settings.seed, &rest);
    if (own > 0 && rest.len > 0)
        weft_buf_append_byte(&s->text, ',');
    weft_buf_append(&s->text, rest.data, rest.len);
    bool ok = !rest.err && !s->text.err && !s->labels.full;
    weft_buf_release(&rest);
    return ok;
}

/* A target whose text cannot be kept stays as it was: target_info is about data points, it is none. */
static void target_describe(struct weft_prom_store *s, struct weft_prom_target *t, struct weft_slice resource)
{
    uint64_t key = hash(s, resource, 4);

    if (t->resource_key == key || !target_text(s, resource))
        return;
    uint8_t *labels = weft_prom_alloc(&s->ledger, s->text.len);
    if (!labels)
        return;
    memcpy(labels, s->text.data, s->text.len);
    weft_prom_free(&s->ledger, t->labels, t->labels_len);
    t->labels = labels;
    t->labels_len = (uint32_t)s->text.len;
    t->odd_labels = s->labels.odd;
    t->resource_key = key;
}

static struct weft_prom_target *target_new(struct weft_prom_store *s, uint64_t key)
{
    if (s->lines >= s->settings.max_lines ||
        !weft_prom_list_room(&s->ledger, (void ***)&s->targets, s->n_targets, &s->targets_cap))
        return NULL;
    struct weft_prom_target *t = weft_prom_alloc(&s->ledger, sizeof *t);
    if (!t)
        return NULL;
    t->key = key;
    if (!weft_prom_index_put(&s->targets_by_key, &s->ledger, key, t)) {
        weft_prom_free(&s->ledger, t, sizeof *t);
        return NULL;
    }
    s->targets[s->n_targets++] = t;
    s->lines++;
    return t;
}

static struct weft_prom_target *target_of(struct weft_prom_store *s, const struct identity *id)
{
    if (id->job.len + id->instance.len == 0)
        return NULL;
    uint64_t key = hash(s, id->job, 5) * 31 + hash(s, id->instance, 6);
    struct weft_prom_target *t = weft_prom_index_get(&s->targets_by_key, key);
    return t ? t : target_new(s, key);
}

/* ---- origins ---- */

/* The two parts of an origin's label text, joined in s->text. *ret_key: the key of all of it. */
static int origin_text(struct weft_prom_store *s, const struct weft_otlp_walk *w, struct weft_prom_target **ret_target,
                       bool *ret_odd, uint64_t *ret_key)
{
    struct identity id;
    struct weft_buf rest;

    weft_buf_reset(&s->text);
    uint64_t key = put_identity(s, w->resource, &id, &s->text);
    bool odd = s->labels.odd;
    *ret_target = target_of(s, &id);
    weft_prom_labels_begin(&s->labels, &s->scratch, s->settings.strategy);
    if (add_resource(s, w->resource) < 0 || add_scope(s, w) < 0)
        return WEFT_ERR_MALFORMED;
    weft_buf_init(&rest, s->text.limit);
    key += weft_prom_labels_end(&s->labels, weft_buf_slice(&s->text), "", s->settings.seed, &rest);
    if (s->text.len > 0 && rest.len > 0)
        weft_buf_append_byte(&s->text, ',');
    weft_buf_append(&s->text, rest.data, rest.len);
    bool fits = !rest.err && !s->text.err && !s->labels.full;
    weft_buf_release(&rest);
    *ret_odd = odd || s->labels.odd;
    *ret_key = key;
    return fits ? 0 : WEFT_ERR_TOO_LARGE;
}

static struct weft_prom_origin *origin_new(struct weft_prom_store *s, uint64_t key)
{
    struct weft_prom_origin *o = weft_prom_alloc(&s->ledger, sizeof *o + s->text.len);

    if (!o)
        return NULL;
    o->key = key;
    o->labels_len = (uint32_t)s->text.len;
    if (s->text.len > 0)
        memcpy(o->labels, s->text.data, s->text.len);
    if (weft_prom_index_put(&s->origins, &s->ledger, key, o))
        return o;
    weft_prom_free(&s->ledger, o, sizeof *o + o->labels_len);
    return NULL;
}

struct weft_prom_origin *weft_prom_origin_of(struct weft_prom_store *s, const struct weft_otlp_walk *walk,
                                             const char **ret_reason)
{
    uint64_t key = origin_key(s, walk), labels_key;
    struct weft_prom_origin *o = weft_prom_index_get(&s->origins, key);
    struct weft_prom_target *target;
    bool odd;

    if (!o) {
        int err = origin_text(s, walk, &target, &odd, &labels_key);
        *ret_reason = err == WEFT_ERR_MALFORMED ? WEFT_PROM_MALFORMED : err ? WEFT_PROM_POINT : WEFT_PROM_MEMORY;
        o = err ? NULL : origin_new(s, key);
        if (!o)
            return NULL;
        o->labels_key = labels_key;
        o->odd_labels = odd;
        o->target = target;
        if (target)
            target->refs++;
    }
    if (o->target)
        target_describe(s, o->target, walk->resource);
    return o;
}

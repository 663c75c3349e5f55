/* SPDX-License-Identifier: Apache-2.0 */
/* prometheus_store.c: see prometheus_store.h. Families and series; origins and targets are in prometheus_origin.c.
 *
 * Series are never looked for by name: everything a hot update needs is behind one hash lookup. What is removed is
 * removed in one sweep over all series, before a page is written or when there is no room, at most once a second. */
#include "exporters/prometheus_store.h"

#include "core/exposition.h"

#include <assert.h>
#include <xxhash.h>

enum { SCRATCH_MAX = 1 << 20, TEXT_MAX = 64 << 10, HELP_MAX = 4096 };

void weft_prom_store_init(struct weft_prom_store *s, const struct weft_prom_settings *settings)
{
    *s = (struct weft_prom_store){ .settings = *settings, .ledger = { .limit = settings->memory_limit } };
    weft_arena_init(&s->scratch, SCRATCH_MAX);
    weft_buf_init(&s->text, TEXT_MAX);
    weft_prom_name_init(&s->name);
}

/* ---- lists of pointers ---- */

bool weft_prom_list_room(struct weft_prom_ledger *l, void ***items, size_t n, size_t *cap)
{
    if (n < *cap)
        return true;
    size_t bigger = *cap ? *cap * 2 : 4;
    void **room = weft_prom_alloc(l, bigger * sizeof *room);
    if (!room)
        return false;
    if (n > 0)
        memcpy(room, *items, n * sizeof *room);
    weft_prom_free(l, *items, *cap * sizeof *room);
    *items = room;
    *cap = bigger;
    return true;
}

/* ---- families ---- */

struct claim { const char *suffixes[5]; };

/* The sample names that a family of each type writes, in any format. */
static const struct claim claims[] = {
    [WEFT_PROM_COUNTER] = { { "", "_total", "_created", NULL } },
    [WEFT_PROM_GAUGE] = { { "", NULL } },
    [WEFT_PROM_HISTOGRAM] = { { "", "_bucket", "_count", "_sum", NULL } },
    [WEFT_PROM_SUMMARY] = { { "", "_count", "_sum", NULL } },
};

/* A claim is on the whole name: "a" + "_total" and "a_total" + "" must meet. */
static uint64_t claim_key(const struct weft_prom_store *s, struct weft_slice name, const char *suffix)
{
    uint8_t room[WEFT_PROM_NAME_MAX + 16];
    size_t len = strlen(suffix);

    assert(name.len + len <= sizeof room);
    memcpy(room, name.data, name.len);
    memcpy(room + name.len, suffix, len);
    return XXH3_64bits_withSeed(room, name.len + len, s->settings.seed);
}

static void unclaim(struct weft_prom_store *s, struct weft_prom_family *f)
{
    for (const char *const *suffix = claims[f->type].suffixes; *suffix; suffix++)
        weft_prom_index_remove(&s->claims, claim_key(s, f->name, *suffix), f);
}

static bool claim_all(struct weft_prom_store *s, struct weft_prom_family *f, const char **ret_reason)
{
    *ret_reason = WEFT_PROM_TYPE_CONFLICT;
    if (weft_slice_is(f->name, "target_info") || weft_slice_is(f->name, "target"))
        return false;
    for (const char *const *suffix = claims[f->type].suffixes; *suffix; suffix++)
        if (weft_prom_index_get(&s->claims, claim_key(s, f->name, *suffix)))
            return false;
    *ret_reason = WEFT_PROM_MEMORY;
    for (const char *const *suffix = claims[f->type].suffixes; *suffix; suffix++) {
        if (!weft_prom_index_put(&s->claims, &s->ledger, claim_key(s, f->name, *suffix), f)) {
            unclaim(s, f);
            return false;
        }
    }
    return true;
}

static int compare(struct weft_slice a, struct weft_slice b)
{
    int order = memcmp(a.data, b.data, a.len < b.len ? a.len : b.len);

    return order ? order : (a.len > b.len) - (a.len < b.len);
}

static bool insert_by_name(struct weft_prom_store *s, struct weft_prom_family *f)
{
    size_t low = 0, high = s->n_families;

    if (!weft_prom_list_room(&s->ledger, (void ***)&s->families, s->n_families, &s->families_cap))
        return false;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (compare(s->families[middle]->name, f->name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    memmove(&s->families[low + 1], &s->families[low], (s->n_families - low) * sizeof *s->families);
    s->families[low] = f;
    s->n_families++;
    return true;
}

static struct weft_slice keep(uint8_t **at, struct weft_slice text)
{
    uint8_t *to = *at;

    if (text.len > 0)
        memcpy(to, text.data, text.len);
    *at += text.len;
    return weft_slice_of(to, text.len);
}

static struct weft_prom_family *family_new(struct weft_prom_store *s, const struct weft_metric_view *metric,
                                           enum weft_prom_type type, uint64_t raw_key)
{
    struct weft_slice name = weft_buf_slice(&s->name.name), unit = weft_buf_slice(&s->name.unit);
    struct weft_slice help = metric->description;
    if (help.len > HELP_MAX)
        help.len = HELP_MAX;
    size_t size = sizeof(struct weft_prom_family) + name.len + unit.len + help.len;
    struct weft_prom_family *f = weft_prom_alloc(&s->ledger, size);

    if (!f)
        return NULL;
    uint8_t *at = (uint8_t *)(f + 1);
    f->size = size;
    f->raw_key = raw_key;
    f->type = type;
    f->total = s->name.total;
    f->name = keep(&at, name);
    f->unit = keep(&at, unit);
    f->help = keep(&at, help);
    f->plain = weft_exposition_name_plain(name);
    return f;
}

static void family_free(struct weft_prom_store *s, struct weft_prom_family *f)
{
    weft_prom_bounds_unref(s, f->bounds);
    weft_prom_free(&s->ledger, f->series, f->cap * sizeof *f->series);
    weft_prom_free(&s->ledger, f, f->size);
}

static uint64_t metric_key(const struct weft_prom_store *s, const struct weft_metric_view *m, enum weft_prom_type type)
{
    uint64_t seed = s->settings.seed + (uint64_t)type;

    return XXH3_64bits_withSeed(m->name.data, m->name.len, seed) ^
           (XXH3_64bits_withSeed(m->unit.data, m->unit.len, ~seed) * 3);
}

/* The family that has the translated name already, under another name or unit of some sender. */
static struct weft_prom_family *namesake(struct weft_prom_store *s, enum weft_prom_type type)
{
    struct weft_slice name = weft_buf_slice(&s->name.name);
    struct weft_prom_family *f = weft_prom_index_get(&s->claims, claim_key(s, name, ""));

    return f && f->type == type && f->total == s->name.total && weft_slice_equal(f->name, name) ? f : NULL;
}

static struct weft_prom_family *family_make(struct weft_prom_store *s, const struct weft_metric_view *metric,
                                            enum weft_prom_type type, uint64_t raw_key, const char **ret_reason)
{
    *ret_reason = WEFT_PROM_MEMORY;
    struct weft_prom_family *f = family_new(s, metric, type, raw_key);
    if (!f)
        return NULL;
    if (!claim_all(s, f, ret_reason))
        goto fail;
    if (!insert_by_name(s, f))
        goto fail_claims;
    if (weft_prom_index_put(&s->metrics, &s->ledger, raw_key, f))
        return f;
    f->raw_key = 0; /* found by its name from now on */
    return f;

fail_claims:
    unclaim(s, f);
fail:
    family_free(s, f);
    return NULL;
}

struct weft_prom_family *weft_prom_family_of(struct weft_prom_store *s, const struct weft_metric_view *metric,
                                             enum weft_prom_type type, const char **ret_reason)
{
    uint64_t raw_key = metric_key(s, metric, type);
    enum weft_prom_shape shape = type == WEFT_PROM_COUNTER  ? WEFT_PROM_SHAPE_COUNTER
                                 : type == WEFT_PROM_GAUGE ? WEFT_PROM_SHAPE_GAUGE
                                                            : WEFT_PROM_SHAPE_OTHER;
    struct weft_prom_family *f = weft_prom_index_get(&s->metrics, raw_key);

    if (f)
        return f;
    if (!weft_prom_metric_name(&s->name, s->settings.strategy, s->settings.space, metric->name, metric->unit, shape)) {
        *ret_reason = WEFT_PROM_NAME;
        return NULL;
    }
    f = namesake(s, type);
    return f ? f : family_make(s, metric, type, raw_key, ret_reason);
}

/* ---- series ---- */

static void exemplar_free(struct weft_prom_store *s, struct weft_prom_exemplar *e)
{
    if (e)
        weft_prom_free(&s->ledger, e, sizeof *e + e->cap);
}

void weft_prom_bounds_unref(struct weft_prom_store *s, struct weft_prom_bounds *b)
{
    if (b && --b->refs == 0)
        weft_prom_free(&s->ledger, b, b->size);
}

static void buckets_free(struct weft_prom_store *s, struct weft_prom_histogram *h)
{
    size_t n = h->bounds->n + 1u;

    for (size_t i = 0; h->exemplars && i < n; i++)
        exemplar_free(s, h->exemplars[i]);
    weft_prom_free(&s->ledger, h->exemplars, n * sizeof *h->exemplars);
    weft_prom_bounds_unref(s, h->bounds);
    weft_prom_free(&s->ledger, h, sizeof *h + n * sizeof *h->counts);
}

static void exp_free(struct weft_prom_store *s, struct weft_prom_exp *e)
{
    weft_prom_free(&s->ledger, e->positive.counts, WEFT_PROM_EXP_MAX * sizeof(uint64_t));
    weft_prom_free(&s->ledger, e->negative.counts, WEFT_PROM_EXP_MAX * sizeof(uint64_t));
    exemplar_free(s, e->exemplar);
    weft_prom_free(&s->ledger, e, sizeof *e);
}

void weft_prom_series_clear(struct weft_prom_store *s, struct weft_prom_series *series)
{
    if (series->kind == WEFT_PROM_BUCKETS && series->buckets)
        buckets_free(s, series->buckets);
    if (series->kind == WEFT_PROM_EXPONENTIAL && series->exp)
        exp_free(s, series->exp);
    if (series->kind == WEFT_PROM_QUANTILES && series->quantiles)
        weft_prom_free(&s->ledger, series->quantiles,
                       sizeof *series->quantiles + series->quantiles->n * sizeof *series->quantiles->items);
    exemplar_free(s, series->exemplar);
    series->exemplar = NULL;
    series->buckets = NULL;
    series->number = 0;
    series->kind = WEFT_PROM_NUMBER;
}

static void series_free(struct weft_prom_store *s, struct weft_prom_series *series)
{
    weft_prom_index_remove(&s->by_raw, series->raw_key, series);
    weft_prom_index_remove(&s->by_key, series->key, series);
    weft_prom_series_clear(s, series);
    s->lines -= series->lines;
    s->n_series--;
    series->origin->refs--;
    weft_prom_free(&s->ledger, series, sizeof *series + series->labels_len);
}

bool weft_prom_series_resize(struct weft_prom_store *s, struct weft_prom_series *series, uint32_t lines)
{
    if (lines > series->lines && lines - series->lines > s->settings.max_lines - s->lines)
        return false;
    s->lines = s->lines - series->lines + lines;
    series->lines = lines;
    return true;
}

static const char *reserved_label(enum weft_prom_type type)
{
    return type == WEFT_PROM_HISTOGRAM ? "le" : type == WEFT_PROM_SUMMARY ? "quantile" : "";
}

/* Label text into s->text. False: a reason is set. */
static bool translate(struct weft_prom_store *s, const struct weft_prom_family *f, const struct weft_prom_origin *o,
                      struct weft_slice point, uint32_t attributes, uint64_t *ret_key, const char **ret_reason)
{
    struct weft_slice taken = weft_slice_of(o->labels, o->labels_len);

    weft_prom_labels_begin(&s->labels, &s->scratch, s->settings.strategy);
    weft_buf_reset(&s->text);
    *ret_reason = WEFT_PROM_MALFORMED;
    if (weft_prom_labels_add_all(&s->labels, "", point, attributes) < 0)
        return false;
    uint64_t labels = weft_prom_labels_end(&s->labels, taken, reserved_label(f->type), s->settings.seed, &s->text);
    *ret_reason = WEFT_PROM_POINT;
    if (s->labels.full || s->text.err)
        return false;
    struct { uint64_t labels; const void *family; } whole = { labels + o->labels_key, f };
    *ret_key = XXH3_64bits_withSeed(&whole, sizeof whole, s->settings.seed);
    return true;
}

static struct weft_prom_series *series_new(struct weft_prom_store *s, struct weft_prom_family *f,
                                           struct weft_prom_origin *o, uint64_t key)
{
    struct weft_prom_series *series = weft_prom_alloc(&s->ledger, sizeof *series + s->text.len);

    if (!series)
        return NULL;
    series->family = f;
    series->origin = o;
    series->key = key;
    series->labels_len = (uint32_t)s->text.len;
    if (s->text.len > 0)
        memcpy(series->labels, s->text.data, s->text.len);
    if (!weft_prom_list_room(&s->ledger, (void ***)&f->series, f->n, &f->cap) ||
        !weft_prom_index_put(&s->by_key, &s->ledger, key, series)) {
        weft_prom_free(&s->ledger, series, sizeof *series + s->text.len);
        return NULL;
    }
    f->series[f->n++] = series;
    f->odd_labels |= o->odd_labels || s->labels.odd;
    o->refs++;
    s->n_series++;
    return series;
}

struct weft_prom_series *weft_prom_series_make(struct weft_prom_store *s, struct weft_prom_family *f,
                                               struct weft_prom_origin *o, struct weft_slice point, uint32_t attributes,
                                               uint64_t raw_key, const char **ret_reason)
{
    uint64_t key;

    if (!translate(s, f, o, point, attributes, &key, ret_reason))
        return NULL;
    struct weft_prom_series *series = weft_prom_index_get(&s->by_key, key);
    if (!series) {
        *ret_reason = s->lines >= s->settings.max_lines ? WEFT_PROM_MAX_SERIES : WEFT_PROM_MEMORY;
        series = s->lines >= s->settings.max_lines ? NULL : series_new(s, f, o, key);
    }
    if (!series)
        return NULL;
    weft_prom_index_remove(&s->by_raw, series->raw_key, series);
    series->raw_key = weft_prom_index_put(&s->by_raw, &s->ledger, raw_key, series) ? raw_key : 0;
    return series;
}

/* ---- sweeping ---- */

static void sweep_family(struct weft_prom_store *s, struct weft_prom_family *f, uint64_t now_ms)
{
    size_t kept = 0;

    for (size_t i = 0; i < f->n; i++) {
        struct weft_prom_series *series = f->series[i];
        if (series->dead || now_ms - series->seen_ms >= s->settings.expire_ms)
            series_free(s, series);
        else
            f->series[kept++] = series;
    }
    f->n = kept;
}

static void sweep_families(struct weft_prom_store *s, uint64_t now_ms)
{
    size_t kept = 0;

    for (size_t i = 0; i < s->n_families; i++) {
        struct weft_prom_family *f = s->families[i];
        sweep_family(s, f, now_ms);
        if (f->n > 0) {
            s->families[kept++] = f;
            continue;
        }
        unclaim(s, f);
        weft_prom_index_remove(&s->metrics, f->raw_key, f);
        family_free(s, f);
    }
    s->n_families = kept;
}

/* An index shifts its slots when one is removed, so look again at the same place. */
static void sweep_origins(struct weft_prom_store *s)
{
    for (size_t i = 0; i < s->origins.cap;) {
        struct weft_prom_origin *o = s->origins.slots[i].value;
        if (!o || o->refs > 0) {
            i++;
            continue;
        }
        weft_prom_index_remove(&s->origins, o->key, o);
        if (o->target)
            o->target->refs--;
        weft_prom_free(&s->ledger, o, sizeof *o + o->labels_len);
    }
}

static void sweep_targets(struct weft_prom_store *s)
{
    size_t kept = 0;

    for (size_t i = 0; i < s->n_targets; i++) {
        struct weft_prom_target *t = s->targets[i];
        if (t->refs > 0) {
            s->targets[kept++] = t;
            continue;
        }
        weft_prom_index_remove(&s->targets_by_key, t->key, t);
        weft_prom_free(&s->ledger, t->labels, t->labels_len);
        weft_prom_free(&s->ledger, t, sizeof *t);
    }
    s->lines -= s->n_targets - kept;
    s->n_targets = kept;
}

void weft_prom_sweep(struct weft_prom_store *s, uint64_t now_ms)
{
    sweep_families(s, now_ms);
    sweep_origins(s);
    sweep_targets(s);
    s->swept_ms = now_ms;
}

void weft_prom_store_release(struct weft_prom_store *s)
{
    s->settings.expire_ms = 0; /* everything is too old */
    weft_prom_sweep(s, UINT64_MAX);
    weft_prom_free(&s->ledger, s->families, s->families_cap * sizeof *s->families);
    weft_prom_free(&s->ledger, s->targets, s->targets_cap * sizeof *s->targets);
    weft_prom_index_release(&s->by_raw, &s->ledger);
    weft_prom_index_release(&s->by_key, &s->ledger);
    weft_prom_index_release(&s->metrics, &s->ledger);
    weft_prom_index_release(&s->claims, &s->ledger);
    weft_prom_index_release(&s->origins, &s->ledger);
    weft_prom_index_release(&s->targets_by_key, &s->ledger);
    weft_arena_release(&s->scratch);
    weft_buf_release(&s->text);
    weft_prom_name_release(&s->name);
    weft_account_give(s->ledger.account, s->ledger.taken); /* of the last step */
    s->ledger.taken = 0;
}

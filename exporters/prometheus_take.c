/* SPDX-License-Identifier: Apache-2.0 */
/* prometheus_take.c: OTLP data points into the store; see prometheus_store.h.
 *
 * Cumulative points replace what is there. Delta points are added up, and are the reason for the rule on time: a point
 * that is not newer than the last one of its series has been counted already (a retried request, two exports of one
 * collection) and must not be counted again. A cumulative point of the same time is taken: it says the same.
 * Rules: https://opentelemetry.io/docs/specs/otel/metrics/data-model/ */
#include "core/err.h"
#include "core/exposition.h"
#include "exporters/prometheus_exemplar.h"
#include "exporters/prometheus_exp.h"
#include "exporters/prometheus_store.h"

#include <math.h>
#include <xxhash.h>

enum { NO_RECORDED_VALUE = 1, MAX_BOUNDS = 1024, SWEEP_EVERY_MS = 1000 };

struct take {
    struct weft_prom_store *store;
    const struct weft_prom_drops *drops;
    uint64_t now_ms, item, end;
    struct weft_prom_origin *origin;
    const char *origin_reason;      /* why there is no origin */
    struct weft_metric_view metric;
    struct weft_prom_family *family;
    uint64_t metric_key;            /* of origin and family */
};

/* What all kinds of points have. */
struct point {
    struct weft_slice message;
    uint32_t attributes, flags, n_exemplars;
    uint64_t start_ns, time_ns;
};

static void drop(struct take *t, const char *reason)
{
    t->drops->drop(t->drops->ctx, t->item, reason, t->metric.name);
}

/* ---- finding the series ---- */

/* A sum over the attributes, so that their order does not matter. */
static uint64_t attributes_key(const struct weft_prom_store *s, struct weft_slice rest, uint32_t number)
{
    struct weft_field field;
    uint64_t key = 0;

    while (weft_wire_next(&rest, &field) > 0)
        if (field.number == number && field.type == WEFT_LENGTH)
            key += XXH3_64bits_withSeed(field.bytes.data, field.bytes.len, s->settings.seed);
    return key;
}

static struct weft_prom_series *find(struct take *t, const struct point *p, const char **ret_reason)
{
    struct weft_prom_store *s = t->store;
    uint64_t raw_key = attributes_key(s, p->message, p->attributes) * 31 + t->metric_key;
    struct weft_prom_series *series = weft_prom_index_get(&s->by_raw, raw_key);

    if (series)
        return series;
    if (p->flags & NO_RECORDED_VALUE)
        return NULL; /* it is gone and was never here */
    return weft_prom_series_make(s, t->family, t->origin, p->message, p->attributes, raw_key, ret_reason);
}

/* Whether the point may change the series. */
static bool in_time(const struct take *t, const struct weft_prom_series *series, const struct point *p)
{
    if (series->dead || series->lines == 0)
        return true;
    if (t->metric.temporality == WEFT_TEMPORALITY_DELTA)
        return p->time_ns > series->time_ns;
    return p->time_ns >= series->time_ns;
}

/* ---- each kind ---- */

/* Makes the series one of `kind`, empty when it was something else or has to begin anew. True: it begins. */
static bool begin(struct take *t, struct weft_prom_series *series, enum weft_prom_kind kind)
{
    bool delta = t->metric.temporality == WEFT_TEMPORALITY_DELTA;
    bool fresh = series->lines == 0 || series->dead || series->kind != kind || series->delta != delta;

    if (fresh)
        weft_prom_series_clear(t->store, series);
    series->kind = (uint8_t)kind;
    series->delta = delta;
    return fresh;
}

static void keep_number_exemplar(struct take *t, struct weft_prom_series *series, const struct point *p)
{
    struct weft_slice rest = p->message;
    struct weft_exemplar e;

    if (p->n_exemplars == 0 || t->family->type != WEFT_PROM_COUNTER)
        return;
    while (weft_exemplar_next(t->metric.kind, &rest, &e) > 0)
        weft_prom_exemplar_keep(t->store, &series->exemplar, &e);
}

static const char *take_number(struct take *t, struct weft_prom_series *series, const struct point *p, double value)
{
    bool fresh = begin(t, series, WEFT_PROM_NUMBER);

    if (series->delta && !(value >= 0))
        return WEFT_PROM_POINT;
    if (!weft_prom_series_resize(t->store, series, 1))
        return WEFT_PROM_MAX_SERIES;
    series->number = series->delta && !fresh ? series->number + value : value;
    keep_number_exemplar(t, series, p);
    return NULL;
}

/* ---- histograms ---- */

static struct weft_prom_bounds *bounds_new(struct weft_prom_store *s, const double *values, uint32_t n)
{
    struct weft_buf *b = &s->text;

    weft_buf_reset(b);
    for (uint32_t i = 0; i < n; i++) {
        weft_buf_append_str(b, "le=\"");
        weft_exposition_bound(b, values[i]);
        weft_buf_append_byte(b, '"');
    }
    size_t size = sizeof(struct weft_prom_bounds) + n * (sizeof(double) + sizeof(uint32_t)) + b->len;
    struct weft_prom_bounds *bounds = b->err ? NULL : weft_prom_alloc(&s->ledger, size);
    if (!bounds)
        return NULL;
    bounds->refs = 1;
    bounds->n = n;
    bounds->size = (uint32_t)size;
    memcpy(bounds->values, values, n * sizeof *values);
    bounds->ends = (uint32_t *)(bounds->values + n);
    uint8_t *text = (uint8_t *)(bounds->ends + n);
    bounds->text = text;
    if (b->len > 0)
        memcpy(text, b->data, b->len);
    for (uint32_t i = 0, at = 0; i < n; i++) { /* a bound's text ends with its second quote */
        at = (uint32_t)((const uint8_t *)memchr(text + at + 4, '"', b->len - at - 4) - text) + 1;
        bounds->ends[i] = at;
    }
    return bounds;
}

/* The bounds of a point, shared with the family's last when they are equal. One reference for the caller. */
static struct weft_prom_bounds *bounds_of(struct take *t, const double *values, uint32_t n)
{
    struct weft_prom_bounds *last = t->family->bounds;

    if (last && last->n == n && (n == 0 || memcmp(last->values, values, n * sizeof *values) == 0)) {
        last->refs++;
        return last;
    }
    struct weft_prom_bounds *bounds = bounds_new(t->store, values, n);
    if (!bounds)
        return NULL;
    weft_prom_bounds_unref(t->store, last);
    t->family->bounds = bounds;
    bounds->refs++;
    return bounds;
}

/* Bounds in rising order; a last one of +Inf says nothing. False: not that, or too many. */
static bool read_bounds(const struct weft_histogram_point *p, double *values, uint32_t *ret_n)
{
    struct weft_repeated it = p->bounds;
    uint32_t n = 0;
    double value;

    if (p->n_bounds > MAX_BOUNDS)
        return false;
    while (n < MAX_BOUNDS && weft_repeated_next_double(&it, &value) > 0) {
        if (isnan(value) || (n > 0 && value <= values[n - 1]))
            return false;
        values[n++] = value;
    }
    *ret_n = n;
    return n == p->n_bounds && (p->n_bucket_counts == n + 1 || p->n_bucket_counts == 0);
}

static struct weft_prom_histogram *histogram_new(struct weft_prom_store *s, struct weft_prom_bounds *bounds)
{
    struct weft_prom_histogram *h = weft_prom_alloc(&s->ledger, sizeof *h + (bounds->n + 1u) * sizeof *h->counts);

    if (h)
        h->bounds = bounds;
    return h;
}

/* Lets go of the old data when its bounds are others. NULL: no memory. */
static struct weft_prom_histogram *histogram_for(struct take *t, struct weft_prom_series *series,
                                                 const double *values, uint32_t n)
{
    struct weft_prom_histogram *h = series->buckets;

    if (h && h->bounds->n == n && (n == 0 || memcmp(h->bounds->values, values, n * sizeof *values) == 0))
        return h;
    struct weft_prom_bounds *bounds = bounds_of(t, values, n);
    h = bounds ? histogram_new(t->store, bounds) : NULL;
    if (!h) {
        weft_prom_bounds_unref(t->store, bounds);
        return NULL;
    }
    weft_prom_series_clear(t->store, series);
    series->kind = WEFT_PROM_BUCKETS;
    series->buckets = h;
    return h;
}

static void fill_histogram(struct weft_prom_histogram *h, const struct weft_histogram_point *p, bool add)
{
    struct weft_repeated it = p->bucket_counts;
    uint64_t count;

    if (!add)
        memset(h->counts, 0, (h->bounds->n + 1u) * sizeof *h->counts);
    for (uint32_t i = 0; i <= h->bounds->n && weft_repeated_next_fixed64(&it, &count) > 0; i++)
        h->counts[i] += count;
    if (p->n_bucket_counts == 0) /* a count alone lies somewhere below +Inf */
        h->counts[h->bounds->n] += p->count;
    h->has_sum = p->has_sum && (!add || h->has_sum);
    h->sum = add ? h->sum + p->sum : p->sum;
}

static void keep_bucket_exemplars(struct take *t, struct weft_prom_histogram *h, const struct point *p)
{
    struct weft_slice rest = p->message;
    struct weft_exemplar e;
    uint32_t n = h->bounds->n;

    if (p->n_exemplars == 0)
        return;
    if (!h->exemplars)
        h->exemplars = weft_prom_alloc(&t->store->ledger, (n + 1u) * sizeof *h->exemplars);
    while (h->exemplars && weft_exemplar_next(t->metric.kind, &rest, &e) > 0) {
        uint32_t i = 0;
        while (i < n && !(weft_prom_exemplar_value(&e) <= h->bounds->values[i]))
            i++;
        weft_prom_exemplar_keep(t->store, &h->exemplars[i], &e);
    }
}

static const char *take_histogram(struct take *t, struct weft_prom_series *series, const struct point *p,
                                  const struct weft_histogram_point *data)
{
    double values[MAX_BOUNDS];
    uint32_t n;

    if (!read_bounds(data, values, &n))
        return WEFT_PROM_POINT;
    if (n > 0 && isinf(values[n - 1]))
        return WEFT_PROM_POINT;
    bool fresh = begin(t, series, WEFT_PROM_BUCKETS);
    if (!weft_prom_series_resize(t->store, series, n + 3))
        return WEFT_PROM_MAX_SERIES;
    struct weft_prom_histogram *before = series->buckets, *h = histogram_for(t, series, values, n);
    if (!h)
        return WEFT_PROM_MEMORY;
    fill_histogram(h, data, series->delta && !fresh && h == before);
    keep_bucket_exemplars(t, h, p);
    return NULL;
}

/* ---- exponential histograms ---- */

static bool exp_sides(struct weft_prom_store *s, struct weft_prom_exp *e)
{
    const size_t size = WEFT_PROM_EXP_MAX * sizeof(uint64_t);

    if (!e->positive.counts)
        e->positive.counts = weft_prom_alloc(&s->ledger, size);
    if (!e->negative.counts)
        e->negative.counts = weft_prom_alloc(&s->ledger, size);
    return e->positive.counts && e->negative.counts;
}

static struct weft_prom_exp *exp_for(struct take *t, struct weft_prom_series *series)
{
    if (!series->exp)
        series->exp = weft_prom_alloc(&t->store->ledger, sizeof *series->exp);
    if (series->exp && exp_sides(t->store, series->exp))
        return series->exp;
    weft_prom_series_clear(t->store, series);
    return NULL;
}

static void copy_side(struct weft_prom_exp_side *to, const struct weft_prom_exp_side *from)
{
    to->offset = from->offset;
    to->n = from->n;
    memcpy(to->counts, from->counts, from->n * sizeof *from->counts);
}

static void replace_exp(struct weft_prom_exp *e, const struct weft_prom_exp *by)
{
    e->scale = by->scale;
    e->sum = by->sum;
    e->has_sum = by->has_sum;
    e->count = by->count;
    e->zero_count = by->zero_count;
    e->zero_threshold = by->zero_threshold;
    copy_side(&e->positive, &by->positive);
    copy_side(&e->negative, &by->negative);
}

static const char *take_exp(struct take *t, struct weft_prom_series *series, const struct point *p,
                            const struct weft_exp_histogram_point *data)
{
    uint64_t positive[WEFT_PROM_EXP_MAX], negative[WEFT_PROM_EXP_MAX];
    struct weft_prom_exp now = { .positive.counts = positive, .negative.counts = negative };

    if (weft_prom_exp_read(data, &now))
        return WEFT_PROM_POINT;
    bool fresh = begin(t, series, WEFT_PROM_EXPONENTIAL);
    if (!weft_prom_series_resize(t->store, series, WEFT_PROM_CLASSIC_MAX + 3))
        return WEFT_PROM_MAX_SERIES;
    struct weft_prom_exp *e = exp_for(t, series);
    if (!e)
        return WEFT_PROM_MEMORY;
    if (!series->delta || fresh)
        replace_exp(e, &now);
    else if (!weft_prom_exp_add(e, &now))
        return WEFT_PROM_POINT;

    struct weft_slice rest = p->message;
    struct weft_exemplar exemplar;
    while (p->n_exemplars > 0 && weft_exemplar_next(t->metric.kind, &rest, &exemplar) > 0)
        weft_prom_exemplar_keep(t->store, &e->exemplar, &exemplar);
    return NULL;
}

/* ---- summaries ---- */

static const char *take_summary(struct take *t, struct weft_prom_series *series, const struct weft_summary_point *data)
{
    struct weft_slice rest = data->message;
    struct weft_quantile q;
    uint32_t n = 0;

    while (n <= MAX_BOUNDS && weft_quantile_next(&rest, &q) > 0)
        n++;
    if (n > MAX_BOUNDS)
        return WEFT_PROM_POINT;
    begin(t, series, WEFT_PROM_QUANTILES);
    weft_prom_series_clear(t->store, series);
    series->kind = WEFT_PROM_QUANTILES;
    if (!weft_prom_series_resize(t->store, series, n + 2))
        return WEFT_PROM_MAX_SERIES;
    series->quantiles = weft_prom_alloc(&t->store->ledger, sizeof *series->quantiles + n * sizeof q);
    if (!series->quantiles)
        return WEFT_PROM_MEMORY;
    series->quantiles->n = n;
    series->quantiles->count = data->count;
    series->quantiles->sum = data->sum;
    rest = data->message;
    for (uint32_t i = 0; i < n && weft_quantile_next(&rest, &q) > 0; i++)
        series->quantiles->items[i] = q;
    return NULL;
}

/* ---- points ---- */

/* A point whose fields are read, in one of the views. */
struct view {
    struct weft_number_point number;
    struct weft_histogram_point histogram;
    struct weft_exp_histogram_point exp;
    struct weft_summary_point summary;
};

#define COMMON(view_, number_, exemplars_)                                                              \
    (struct point){ .message = (view_).message, .attributes = (number_), .flags = (view_).flags,       \
                    .n_exemplars = (exemplars_), .start_ns = (view_).start_ns, .time_ns = (view_).time_ns }

static int read_point(enum weft_metric_kind kind, struct weft_slice message, struct view *v, struct point *ret_point)
{
    int err;

    switch (kind) {
    case WEFT_METRIC_HISTOGRAM:
        err = weft_histogram_point_read(message, &v->histogram);
        if (!err)
            *ret_point = COMMON(v->histogram, WEFT_HISTOGRAM_POINT_ATTRIBUTES, v->histogram.n_exemplars);
        return err;
    case WEFT_METRIC_EXP_HISTOGRAM:
        err = weft_exp_histogram_point_read(message, &v->exp);
        if (!err)
            *ret_point = COMMON(v->exp, WEFT_EXP_HISTOGRAM_POINT_ATTRIBUTES, v->exp.n_exemplars);
        return err;
    case WEFT_METRIC_SUMMARY:
        err = weft_summary_point_read(message, &v->summary);
        if (!err)
            *ret_point = COMMON(v->summary, WEFT_SUMMARY_POINT_ATTRIBUTES, 0);
        return err;
    default:
        err = weft_number_point_read(message, &v->number);
        if (!err)
            *ret_point = COMMON(v->number, WEFT_NUMBER_POINT_ATTRIBUTES, v->number.n_exemplars);
        return err;
    }
}

static const char *take_data(struct take *t, struct weft_prom_series *series, const struct point *p, const struct view *v)
{
    switch (t->metric.kind) {
    case WEFT_METRIC_HISTOGRAM:     return take_histogram(t, series, p, &v->histogram);
    case WEFT_METRIC_EXP_HISTOGRAM: return take_exp(t, series, p, &v->exp);
    case WEFT_METRIC_SUMMARY:       return take_summary(t, series, &v->summary);
    default:
        if (!v->number.has_value)
            return WEFT_PROM_POINT;
        return take_number(t, series, p, v->number.is_int ? (double)v->number.integer : v->number.real);
    }
}

/* NULL: taken. Else the reason why not. */
static const char *take_point(struct take *t, struct weft_slice message)
{
    const char *reason = NULL;
    struct view v;
    struct point p;

    if (read_point(t->metric.kind, message, &v, &p))
        return WEFT_PROM_MALFORMED;
    struct weft_prom_series *series = find(t, &p, &reason);
    if (!series)
        return reason;
    if (!in_time(t, series, &p))
        return WEFT_PROM_OUT_OF_ORDER;
    if (p.flags & NO_RECORDED_VALUE) {
        series->dead = true;
        return NULL;
    }
    bool first = series->lines == 0 || series->dead || !series->delta;
    reason = take_data(t, series, &p, &v);
    if (reason) {
        series->dead |= series->lines == 0 || (series->kind != WEFT_PROM_NUMBER && !series->buckets);
        return reason;
    }
    series->dead = false;
    series->seen_ms = t->now_ms;
    series->time_ns = p.time_ns;
    if (first || !series->delta)
        series->start_ns = p.start_ns;
    return NULL;
}

/* ---- metrics ---- */

static enum weft_prom_type type_of(const struct weft_metric_view *m)
{
    switch (m->kind) {
    case WEFT_METRIC_SUM:           return m->monotonic ? WEFT_PROM_COUNTER : WEFT_PROM_GAUGE;
    case WEFT_METRIC_HISTOGRAM:
    case WEFT_METRIC_EXP_HISTOGRAM: return WEFT_PROM_HISTOGRAM;
    case WEFT_METRIC_SUMMARY:       return WEFT_PROM_SUMMARY;
    default:                        return WEFT_PROM_GAUGE;
    }
}

/* Gauges and summaries have no temporality; a delta that may fall cannot be told as a counter. */
static bool temporality_fits(const struct weft_metric_view *m)
{
    if (m->kind == WEFT_METRIC_GAUGE || m->kind == WEFT_METRIC_SUMMARY)
        return true;
    if (m->temporality == WEFT_TEMPORALITY_DELTA)
        return m->kind != WEFT_METRIC_SUM || m->monotonic;
    return m->temporality == WEFT_TEMPORALITY_CUMULATIVE;
}

/* NULL: t->family is set. Else the reason why none of the metric's points can be taken. */
static const char *open_metric(struct take *t)
{
    const char *reason = NULL;

    if (!t->origin)
        return t->origin_reason;
    if (!temporality_fits(&t->metric))
        return WEFT_PROM_TEMPORALITY;
    t->family = weft_prom_family_of(t->store, &t->metric, type_of(&t->metric), &reason);
    if (!t->family)
        return reason;
    uint64_t identity[2] = { t->origin->key, (uint64_t)(uintptr_t)t->family };
    t->metric_key = XXH3_64bits_withSeed(identity, sizeof identity, t->store->settings.seed);
    return NULL;
}

static void take_metric(struct take *t, struct weft_slice message)
{
    struct weft_slice rest, point;

    if (weft_metric_read(message, &t->metric) < 0 || t->metric.kind == WEFT_METRIC_EMPTY)
        return; /* no point in it is counted as an item */
    rest = t->metric.data;
    const char *whole = open_metric(t);
    for (; t->item < t->end && weft_metric_point_next(&rest, &point) > 0; t->item++) {
        const char *reason = whole ? whole : take_point(t, point);
        if (reason)
            drop(t, reason);
    }
}

static void make_room(struct weft_prom_store *s, uint64_t now_ms)
{
    bool full = s->lines >= s->settings.max_lines || s->ledger.used > s->ledger.limit - s->ledger.limit / 16;

    if (full && now_ms - s->swept_ms >= SWEEP_EVERY_MS)
        weft_prom_sweep(s, now_ms);
}

void weft_prom_take(struct weft_prom_store *s, struct weft_slice payload, uint64_t now_ms, uint64_t first_item,
                    uint64_t n_items, const struct weft_prom_drops *drops)
{
    struct take t = { .store = s, .drops = drops, .now_ms = now_ms, .item = first_item, .end = first_item + n_items };
    struct weft_otlp_walk walk;
    int verdict;

    make_room(s, now_ms);
    weft_otlp_walk_init(&walk, payload);
    while ((verdict = weft_otlp_walk_next(&walk)) > 0) {
        if (walk.new_resource || walk.new_scope)
            t.origin = weft_prom_origin_of(s, &walk, &t.origin_reason);
        take_metric(&t, walk.item);
    }
    for (t.metric.name = weft_slice_of(NULL, 0); t.item < t.end; t.item++)
        drop(&t, WEFT_PROM_MALFORMED);
}

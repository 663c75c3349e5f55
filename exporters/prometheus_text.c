/* SPDX-License-Identifier: Apache-2.0 */
/* prometheus_text.c: the store in text 0.0.4 and OpenMetrics 1.0; see prometheus_page.h.
 *
 * A line is a reservation, four copies and a number: name and labels lie rendered in the store. Series are reached
 * through a list of pointers, so those ahead are fetched while the current one is written. */
#include "exporters/prometheus_exp.h"
#include "exporters/prometheus_page.h"

enum { AHEAD = 6 };

struct writer {
    struct weft_buf *b;
    const struct weft_prom_page *page;
    bool open, timestamps;             /* open: OpenMetrics */
    bool quoted;                       /* the name goes into the braces */
    struct weft_slice name;            /* of the family, as spelled */
    struct weft_slice origin, own;     /* labels of the series, as spelled */
    struct weft_prom_spelling spelling;
};

static uint8_t *copy(uint8_t *to, struct weft_slice from)
{
    if (from.len > 0)
        memcpy(to, from.data, from.len);
    return to + from.len;
}

/* name{labels} and the space behind. */
static void put_head(struct writer *w, struct weft_slice suffix, struct weft_slice extra)
{
    const struct weft_slice parts[] = { w->origin, w->own, extra };
    uint8_t *start = weft_buf_reserve(w->b, w->name.len + suffix.len + w->origin.len + w->own.len + extra.len + 16);
    uint8_t *to = start;
    uint8_t between = '{';

    if (!start)
        return;
    if (w->quoted)
        to = copy(to, WEFT_SLICE("{\""));
    to = copy(to, w->name);
    to = copy(to, suffix);
    if (w->quoted) {
        *to++ = '"';
        between = ',';
    }
    for (size_t i = 0; i < 3; i++) {
        if (parts[i].len == 0)
            continue;
        *to++ = between;
        between = ',';
        to = copy(to, parts[i]);
    }
    if (between == ',')
        *to++ = '}';
    *to++ = ' ';
    w->b->len += (size_t)(to - start);
}

static void put_exemplar(struct writer *w, const struct weft_prom_exemplar *e)
{
    weft_buf_append(w->b, " # {", 4);
    weft_buf_append(w->b, e->labels, e->len);
    weft_buf_append(w->b, "} ", 2);
    weft_exposition_number(w->b, e->value);
    if (e->time_ns > 0) {
        weft_buf_append_byte(w->b, ' ');
        weft_exposition_seconds(w->b, e->time_ns);
    }
}

/* What stands behind a value. `e` may be NULL. */
static void put_tail(struct writer *w, const struct weft_prom_series *series, const struct weft_prom_exemplar *e)
{
    if (w->timestamps && series->time_ns > 0) {
        weft_buf_append_byte(w->b, ' ');
        if (w->open)
            weft_exposition_seconds(w->b, series->time_ns);
        else
            weft_exposition_uint(w->b, series->time_ns / 1000000);
    }
    if (e && w->open)
        put_exemplar(w, e);
    weft_buf_append_byte(w->b, '\n');
    weft_prom_page_check(w->page, w->b);
}

static void put_uint(struct writer *w, const struct weft_prom_series *series, struct weft_slice suffix,
                     struct weft_slice extra, uint64_t value, const struct weft_prom_exemplar *e)
{
    put_head(w, suffix, extra);
    weft_exposition_uint(w->b, value);
    put_tail(w, series, e);
}

static void put_real(struct writer *w, const struct weft_prom_series *series, struct weft_slice suffix,
                     struct weft_slice extra, double value, const struct weft_prom_exemplar *e)
{
    put_head(w, suffix, extra);
    weft_exposition_number(w->b, value);
    put_tail(w, series, e);
}

/* ---- each kind ---- */

static void put_number(struct writer *w, const struct weft_prom_series *series)
{
    const struct weft_prom_family *f = series->family;
    bool total = f->type == WEFT_PROM_COUNTER && (w->open || f->total);

    put_real(w, series, total ? WEFT_SLICE("_total") : WEFT_SLICE(""), WEFT_SLICE(""), series->number, series->exemplar);
}

static void put_sum_and_count(struct writer *w, const struct weft_prom_series *series, bool has_sum, double sum,
                              uint64_t count)
{
    if (has_sum)
        put_real(w, series, WEFT_SLICE("_sum"), WEFT_SLICE(""), sum, NULL);
    put_uint(w, series, WEFT_SLICE("_count"), WEFT_SLICE(""), count, NULL);
}

static void put_histogram(struct writer *w, const struct weft_prom_series *series)
{
    const struct weft_prom_histogram *h = series->buckets;
    uint64_t total = 0;
    uint32_t from = 0;

    for (uint32_t i = 0; i <= h->bounds->n; i++) {
        struct weft_slice le = WEFT_SLICE("le=\"+Inf\"");
        if (i < h->bounds->n) {
            le = weft_slice_of(h->bounds->text + from, h->bounds->ends[i] - from);
            from = h->bounds->ends[i];
        }
        total += h->counts[i];
        put_uint(w, series, WEFT_SLICE("_bucket"), le, total, h->exemplars ? h->exemplars[i] : NULL);
    }
    put_sum_and_count(w, series, h->has_sum, h->sum, total);
}

static void put_bound(struct writer *w, const struct weft_prom_series *series, const char *label, double bound)
{
    struct weft_buf *text = &w->spelling.part;
    (void)series;

    weft_buf_reset(text);
    weft_buf_append_str(text, label);
    weft_exposition_bound(text, bound);
    weft_buf_append_byte(text, '"');
}

static void put_exponential(struct writer *w, const struct weft_prom_series *series)
{
    const struct weft_prom_exp *e = series->exp;
    const struct weft_prom_exemplar *exemplar = e->exemplar;
    struct weft_prom_classic c;

    weft_prom_exp_classic(e, &c);
    for (size_t i = 0; i < c.n; i++) {
        bool mine = exemplar && exemplar->value <= c.bounds[i];
        put_bound(w, series, "le=\"", c.bounds[i]);
        put_uint(w, series, WEFT_SLICE("_bucket"), weft_buf_slice(&w->spelling.part), c.counts[i], mine ? exemplar : NULL);
        exemplar = mine ? NULL : exemplar;
    }
    put_uint(w, series, WEFT_SLICE("_bucket"), WEFT_SLICE("le=\"+Inf\""), e->count, exemplar);
    put_sum_and_count(w, series, e->has_sum, e->sum, e->count);
}

static void put_summary(struct writer *w, const struct weft_prom_series *series)
{
    const struct weft_prom_quantiles *q = series->quantiles;

    for (uint32_t i = 0; i < q->n; i++) {
        put_bound(w, series, "quantile=\"", q->items[i].quantile);
        put_real(w, series, WEFT_SLICE(""), weft_buf_slice(&w->spelling.part), q->items[i].value, NULL);
    }
    put_sum_and_count(w, series, true, q->sum, q->count);
}

/* ---- families ---- */

static void put_series(struct writer *w, const struct weft_prom_series *series)
{
    switch ((enum weft_prom_kind)series->kind) {
    case WEFT_PROM_NUMBER:      put_number(w, series); break;
    case WEFT_PROM_BUCKETS:     put_histogram(w, series); break;
    case WEFT_PROM_EXPONENTIAL: put_exponential(w, series); break;
    case WEFT_PROM_QUANTILES:   put_summary(w, series); break;
    }
}

static void put_family(struct writer *w, const struct weft_prom_family *f)
{
    static const char *const types[] = { "counter", "gauge", "histogram", "summary" };
    bool respells = weft_prom_respells(&w->spelling, f->odd_labels);
    struct weft_slice spelled = weft_prom_spell_name(&w->spelling, f->name, f->plain);

    weft_exposition_announce(w->b, w->open ? WEFT_EXPOSITION_OPENMETRICS : WEFT_EXPOSITION_TEXT, spelled,
                             !w->open && f->total ? "_total" : "", types[f->type], f->help, f->unit);
    w->quoted = !f->plain && w->spelling.escaping == WEFT_ESCAPE_NONE;
    w->name = spelled;
    if (w->quoted) {
        weft_buf_reset(&w->spelling.name);
        weft_exposition_label_value(&w->spelling.name, f->name);
        w->name = weft_buf_slice(&w->spelling.name);
    }
    for (size_t i = 0; i < f->n; i++) {
        const struct weft_prom_series *series = f->series[i];
        if (i + AHEAD < f->n) {
            __builtin_prefetch(f->series[i + AHEAD]);
            __builtin_prefetch((const uint8_t *)f->series[i + AHEAD] + 64);
        }
        w->origin = weft_slice_of(series->origin->labels, series->origin->labels_len);
        w->own = weft_slice_of(series->labels, series->labels_len);
        if (respells) {
            w->own = weft_prom_spell_labels(&w->spelling, w->origin, w->own);
            w->origin = WEFT_SLICE("");
        }
        put_series(w, series);
    }
}

static void put_targets(struct writer *w, const struct weft_prom_store *s)
{
    if (s->n_targets == 0)
        return;
    weft_exposition_family(w->b, w->open ? WEFT_EXPOSITION_OPENMETRICS : WEFT_EXPOSITION_TEXT, WEFT_SLICE("target"),
                           "info", WEFT_SLICE("Target metadata"), WEFT_SLICE(""));
    w->name = WEFT_SLICE("target_info");
    w->quoted = false;
    w->origin = WEFT_SLICE("");
    for (size_t i = 0; i < s->n_targets; i++) {
        const struct weft_prom_target *t = s->targets[i];
        w->own = weft_slice_of(t->labels, t->labels_len);
        if (weft_prom_respells(&w->spelling, t->odd_labels))
            w->own = weft_prom_spell_labels(&w->spelling, w->own, WEFT_SLICE(""));
        put_head(w, WEFT_SLICE(""), WEFT_SLICE(""));
        weft_buf_append(w->b, "1\n", 2);
        weft_prom_page_check(w->page, w->b);
    }
}

void weft_prom_write_text(const struct weft_prom_store *s, const struct weft_prom_page *page, struct weft_buf *out)
{
    struct writer w = { .b = out, .page = page, .timestamps = page->timestamps };

    w.open = page->choice.format == WEFT_EXPOSITION_OPENMETRICS;
    weft_prom_spelling_init(&w.spelling, page->choice.escaping);
    for (size_t i = 0; i < s->n_families; i++)
        put_family(&w, s->families[i]);
    put_targets(&w, s);
    weft_exposition_end(out, page->choice.format);
    weft_prom_spelling_release(&w.spelling);
}

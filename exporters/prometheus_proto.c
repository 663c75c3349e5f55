/* SPDX-License-Identifier: Apache-2.0 */
/* prometheus_proto.c: the store as delimited io.prometheus.client.MetricFamily messages; see prometheus_page.h.
 *
 * Field numbers are those of Prometheus' client_model. The length before a family takes five bytes always, which any
 * reader of varints accepts, so that a family need not be measured first. A family larger than a chunk goes out as
 * several messages of one name, which a reader of a stream of families takes as one. Exponential histograms go out as native
 * ones: bucket i there ends where ours begins, hence the offset of one. */
#include "core/wire.h"
#include "exporters/prometheus_exp.h"
#include "exporters/prometheus_page.h"

enum { FAMILY_NAME = 1, FAMILY_HELP = 2, FAMILY_TYPE = 3, FAMILY_METRIC = 4, FAMILY_UNIT = 5 };
enum { METRIC_LABEL = 1, METRIC_GAUGE = 2, METRIC_COUNTER = 3, METRIC_SUMMARY = 4, METRIC_TIMESTAMP_MS = 6,
       METRIC_HISTOGRAM = 7 };
enum { LABEL_NAME = 1, LABEL_VALUE = 2 };
enum { NUMBER_VALUE = 1, COUNTER_EXEMPLAR = 2, COUNTER_CREATED = 3 };
enum { SUMMARY_COUNT = 1, SUMMARY_SUM = 2, SUMMARY_QUANTILE = 3, SUMMARY_CREATED = 4 };
enum { QUANTILE_QUANTILE = 1, QUANTILE_VALUE = 2 };
enum {
    HISTOGRAM_COUNT = 1, HISTOGRAM_SUM = 2, HISTOGRAM_BUCKET = 3, HISTOGRAM_SCHEMA = 5, HISTOGRAM_ZERO_THRESHOLD = 6,
    HISTOGRAM_ZERO_COUNT = 7, HISTOGRAM_NEGATIVE_SPAN = 9, HISTOGRAM_NEGATIVE_DELTA = 10, HISTOGRAM_POSITIVE_SPAN = 12,
    HISTOGRAM_POSITIVE_DELTA = 13, HISTOGRAM_CREATED = 15, HISTOGRAM_EXEMPLARS = 16,
};
enum { BUCKET_COUNT = 1, BUCKET_BOUND = 2, BUCKET_EXEMPLAR = 3 };
enum { SPAN_OFFSET = 1, SPAN_LENGTH = 2 };
enum { EXEMPLAR_LABEL = 1, EXEMPLAR_VALUE = 2, EXEMPLAR_TIME = 3 };
enum { TIME_SECONDS = 1, TIME_NANOS = 2 };
enum { TYPE_COUNTER = 0, TYPE_GAUGE = 1, TYPE_SUMMARY = 2, TYPE_HISTOGRAM = 4 };

enum { DELIMITER = 5, GAP_MAX = 2 };

static const double DEFAULT_ZERO_THRESHOLD = 1e-128;

struct writer {
    struct weft_buf *b;
    const struct weft_prom_page *page;
    bool timestamps;
    struct weft_prom_spelling spelling;
    struct weft_buf text;               /* a label's text without escapes */
};

static uint64_t zigzag(int64_t value)
{
    return (uint64_t)value << 1 ^ (uint64_t)(value >> 63);
}

static size_t begin_delimited(struct weft_buf *b)
{
    static const uint8_t room[DELIMITER];

    weft_buf_append(b, room, sizeof room);
    return b->len;
}

static void end_delimited(struct weft_buf *b, size_t mark)
{
    if (b->err)
        return;
    uint64_t len = b->len - mark;
    for (int i = 0; i < DELIMITER; i++, len >>= 7)
        b->data[mark - DELIMITER + (size_t)i] = (uint8_t)((len & 0x7f) | (i < DELIMITER - 1 ? 0x80 : 0));
}

static void put_text(struct writer *w, uint32_t number, struct weft_slice escaped)
{
    if (!memchr(escaped.data, '\\', escaped.len)) {
        weft_wire_put_bytes(w->b, number, escaped);
        return;
    }
    weft_buf_reset(&w->text);
    weft_prom_unescape(&w->text, escaped);
    weft_wire_put_bytes(w->b, number, weft_buf_slice(&w->text));
}

static void put_labels(struct writer *w, uint32_t number, struct weft_slice text)
{
    struct weft_slice name, value;

    while (weft_prom_labels_next(&text, &name, &value) > 0) {
        size_t mark = weft_wire_begin(w->b, number);
        put_text(w, LABEL_NAME, name);
        put_text(w, LABEL_VALUE, value);
        weft_wire_end(w->b, mark);
    }
}

static void put_time(struct writer *w, uint32_t number, uint64_t ns)
{
    if (ns == 0)
        return;
    size_t mark = weft_wire_begin(w->b, number);
    weft_wire_put_varint(w->b, TIME_SECONDS, ns / 1000000000);
    weft_wire_put_varint(w->b, TIME_NANOS, ns % 1000000000);
    weft_wire_end(w->b, mark);
}

static void put_exemplar(struct writer *w, uint32_t number, const struct weft_prom_exemplar *e)
{
    if (!e)
        return;
    size_t mark = weft_wire_begin(w->b, number);
    put_labels(w, EXEMPLAR_LABEL, weft_slice_of(e->labels, e->len));
    weft_wire_put_double(w->b, EXEMPLAR_VALUE, e->value);
    put_time(w, EXEMPLAR_TIME, e->time_ns);
    weft_wire_end(w->b, mark);
}

/* ---- each kind ---- */

static void put_number(struct writer *w, const struct weft_prom_series *series)
{
    bool counter = series->family->type == WEFT_PROM_COUNTER;
    size_t mark = weft_wire_begin(w->b, counter ? METRIC_COUNTER : METRIC_GAUGE);

    weft_wire_put_double(w->b, NUMBER_VALUE, series->number);
    if (counter) {
        put_exemplar(w, COUNTER_EXEMPLAR, series->exemplar);
        put_time(w, COUNTER_CREATED, series->start_ns);
    }
    weft_wire_end(w->b, mark);
}

static void put_bucket(struct writer *w, double bound, uint64_t count, const struct weft_prom_exemplar *e)
{
    size_t mark = weft_wire_begin(w->b, HISTOGRAM_BUCKET);

    weft_wire_put_varint(w->b, BUCKET_COUNT, count);
    weft_wire_put_double(w->b, BUCKET_BOUND, bound);
    put_exemplar(w, BUCKET_EXEMPLAR, e);
    weft_wire_end(w->b, mark);
}

static void put_histogram(struct writer *w, const struct weft_prom_series *series)
{
    const struct weft_prom_histogram *h = series->buckets;
    size_t mark = weft_wire_begin(w->b, METRIC_HISTOGRAM);
    uint64_t total = 0;

    for (uint32_t i = 0; i <= h->bounds->n; i++) {
        total += h->counts[i];
        put_bucket(w, i < h->bounds->n ? h->bounds->values[i] : 1.0 / 0.0, total, h->exemplars ? h->exemplars[i] : NULL);
    }
    weft_wire_put_varint(w->b, HISTOGRAM_COUNT, total);
    if (h->has_sum)
        weft_wire_put_double(w->b, HISTOGRAM_SUM, h->sum);
    put_time(w, HISTOGRAM_CREATED, series->start_ns);
    weft_wire_end(w->b, mark);
}

static void put_span(struct writer *w, uint32_t number, int64_t offset, uint32_t length)
{
    size_t mark = weft_wire_begin(w->b, number);

    weft_wire_put_varint(w->b, SPAN_OFFSET, zigzag(offset));
    weft_wire_put_varint(w->b, SPAN_LENGTH, length);
    weft_wire_end(w->b, mark);
}

/* The end of the run of buckets that starts at `i`: it goes on over at most GAP_MAX empty ones. */
static uint32_t run_end(const struct weft_prom_exp_side *side, uint32_t i)
{
    uint32_t end = i, gap = 0;

    for (; i < side->n && gap <= GAP_MAX; i++) {
        gap = side->counts[i] ? 0 : gap + 1;
        if (gap == 0)
            end = i + 1;
    }
    return end;
}

/* Spans first, then every bucket in them as the difference from the one before. */
static void put_side(struct writer *w, const struct weft_prom_exp_side *side, uint32_t spans, uint32_t deltas)
{
    int64_t next = 0;   /* index, in Prometheus' numbers, behind the last span */
    uint64_t last = 0;

    for (uint32_t i = 0, end; i < side->n; i = end > i ? end : i + 1) {
        end = side->counts[i] ? run_end(side, i) : i;
        if (end == i)
            continue;
        put_span(w, spans, (int64_t)side->offset + i + 1 - next, end - i);
        next = (int64_t)side->offset + end + 1;
    }
    for (uint32_t i = 0, end; i < side->n; i = end > i ? end : i + 1) {
        end = side->counts[i] ? run_end(side, i) : i;
        for (uint32_t k = i; k < end; k++) {
            weft_wire_put_varint(w->b, deltas, zigzag((int64_t)(side->counts[k] - last)));
            last = side->counts[k];
        }
    }
}

static void put_exponential(struct writer *w, const struct weft_prom_series *series)
{
    const struct weft_prom_exp *e = series->exp;
    size_t mark = weft_wire_begin(w->b, METRIC_HISTOGRAM);

    weft_wire_put_varint(w->b, HISTOGRAM_COUNT, e->count);
    weft_wire_put_double(w->b, HISTOGRAM_SUM, e->has_sum ? e->sum : 0);
    weft_wire_put_varint(w->b, HISTOGRAM_SCHEMA, zigzag(e->scale));
    weft_wire_put_double(w->b, HISTOGRAM_ZERO_THRESHOLD,
                         e->zero_threshold > 0 ? e->zero_threshold : DEFAULT_ZERO_THRESHOLD);
    weft_wire_put_varint(w->b, HISTOGRAM_ZERO_COUNT, e->zero_count);
    put_side(w, &e->negative, HISTOGRAM_NEGATIVE_SPAN, HISTOGRAM_NEGATIVE_DELTA);
    put_side(w, &e->positive, HISTOGRAM_POSITIVE_SPAN, HISTOGRAM_POSITIVE_DELTA);
    put_time(w, HISTOGRAM_CREATED, series->start_ns);
    put_exemplar(w, HISTOGRAM_EXEMPLARS, e->exemplar && e->exemplar->time_ns ? e->exemplar : NULL);
    weft_wire_end(w->b, mark);
}

static void put_summary(struct writer *w, const struct weft_prom_series *series)
{
    const struct weft_prom_quantiles *q = series->quantiles;
    size_t mark = weft_wire_begin(w->b, METRIC_SUMMARY);

    weft_wire_put_varint(w->b, SUMMARY_COUNT, q->count);
    weft_wire_put_double(w->b, SUMMARY_SUM, q->sum);
    for (uint32_t i = 0; i < q->n; i++) {
        size_t item = weft_wire_begin(w->b, SUMMARY_QUANTILE);
        weft_wire_put_double(w->b, QUANTILE_QUANTILE, q->items[i].quantile);
        weft_wire_put_double(w->b, QUANTILE_VALUE, q->items[i].value);
        weft_wire_end(w->b, item);
    }
    put_time(w, SUMMARY_CREATED, series->start_ns);
    weft_wire_end(w->b, mark);
}

/* ---- families ---- */

static void put_series(struct writer *w, const struct weft_prom_series *series, bool respells)
{
    struct weft_slice origin = weft_slice_of(series->origin->labels, series->origin->labels_len);
    struct weft_slice own = weft_slice_of(series->labels, series->labels_len);
    size_t mark = weft_wire_begin(w->b, FAMILY_METRIC);

    if (respells) {
        put_labels(w, METRIC_LABEL, weft_prom_spell_labels(&w->spelling, origin, own));
    } else {
        put_labels(w, METRIC_LABEL, origin);
        put_labels(w, METRIC_LABEL, own);
    }
    switch ((enum weft_prom_kind)series->kind) {
    case WEFT_PROM_NUMBER:      put_number(w, series); break;
    case WEFT_PROM_BUCKETS:     put_histogram(w, series); break;
    case WEFT_PROM_EXPONENTIAL: put_exponential(w, series); break;
    case WEFT_PROM_QUANTILES:   put_summary(w, series); break;
    }
    if (w->timestamps && series->time_ns > 0)
        weft_wire_put_varint(w->b, METRIC_TIMESTAMP_MS, series->time_ns / 1000000);
    weft_wire_end(w->b, mark);
}

/* A message begins with what it is a family of. */
static size_t begin_family(struct writer *w, struct weft_slice name, struct weft_slice help, uint64_t type)
{
    size_t mark = begin_delimited(w->b);

    weft_wire_put_bytes(w->b, FAMILY_NAME, name);
    weft_wire_put_bytes(w->b, FAMILY_HELP, help);
    weft_wire_put_varint(w->b, FAMILY_TYPE, type);
    return mark;
}

/* The name lives in `b` while a family is written: it may be needed for a second message. */
static struct weft_slice family_name(struct writer *w, const struct weft_prom_family *f, struct weft_buf *b)
{
    struct weft_slice name = weft_prom_spell_name(&w->spelling, f->name, f->plain);

    weft_buf_init(b, 16 << 10);
    weft_buf_append(b, name.data, name.len);
    if (f->total)
        weft_buf_append_str(b, "_total");
    return weft_buf_slice(b);
}

static void put_family(struct writer *w, const struct weft_prom_family *f)
{
    static const uint64_t types[] = { TYPE_COUNTER, TYPE_GAUGE, TYPE_HISTOGRAM, TYPE_SUMMARY };
    bool respells = weft_prom_respells(&w->spelling, f->odd_labels);
    struct weft_buf room;
    struct weft_slice name = family_name(w, f, &room);
    size_t mark = begin_family(w, name, f->help, types[f->type]);

    if (f->unit.len > 0)
        weft_wire_put_bytes(w->b, FAMILY_UNIT, f->unit);
    for (size_t i = 0; i < f->n; i++) {
        put_series(w, f->series[i], respells);
        if (w->page->take && w->b->len >= WEFT_PROM_CHUNK) {
            end_delimited(w->b, mark);
            weft_prom_page_check(w->page, w->b);
            mark = begin_family(w, name, f->help, types[f->type]);
        }
    }
    end_delimited(w->b, mark);
    weft_buf_release(&room);
}

static void put_target(struct writer *w, const struct weft_prom_target *t)
{
    struct weft_slice labels = weft_slice_of(t->labels, t->labels_len);
    size_t family = begin_family(w, WEFT_SLICE("target_info"), WEFT_SLICE("Target metadata"), TYPE_GAUGE);
    size_t mark = weft_wire_begin(w->b, FAMILY_METRIC);

    if (weft_prom_respells(&w->spelling, t->odd_labels))
        labels = weft_prom_spell_labels(&w->spelling, labels, WEFT_SLICE(""));
    put_labels(w, METRIC_LABEL, labels);
    size_t gauge = weft_wire_begin(w->b, METRIC_GAUGE);
    weft_wire_put_double(w->b, NUMBER_VALUE, 1);
    weft_wire_end(w->b, gauge);
    weft_wire_end(w->b, mark);
    end_delimited(w->b, family);
    weft_prom_page_check(w->page, w->b);
}

void weft_prom_write_protobuf(const struct weft_prom_store *s, const struct weft_prom_page *page, struct weft_buf *out)
{
    struct writer w = { .b = out, .page = page, .timestamps = page->timestamps };

    weft_prom_spelling_init(&w.spelling, page->choice.escaping);
    weft_buf_init(&w.text, 64 << 10);
    for (size_t i = 0; i < s->n_families; i++)
        put_family(&w, s->families[i]);
    for (size_t i = 0; i < s->n_targets; i++)
        put_target(&w, s->targets[i]);
    weft_buf_release(&w.text);
    weft_prom_spelling_release(&w.spelling);
}

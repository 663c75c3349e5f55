/* SPDX-License-Identifier: Apache-2.0 */
/* debug.c: tells what passes through a pipeline, in the agent's own log at level info.
 *
 *   basic     one line a batch with its counts
 *   normal    and one line an item: what it is, its ids, its attributes
 *   detailed  and one line an item with its resource and scope, as OTLP JSON
 *
 * Lines are of at most WEFT_LOG_LINE_MAX bytes. Of the batches of one second the first `sampling_initial` are told, then
 * every `sampling_thereafter`-th; the others are sent all the same. Runs on its lane's thread.
 */
#include "exporters/debug.h"

#include "core/buf.h"
#include "core/clock.h"
#include "core/err.h"
#include "core/json.h"
#include "core/otlp_json.h"

#include <stdlib.h>

enum { BASIC, NORMAL, DETAILED };
enum { LINE_LIMIT = 64 << 10, SECOND_MS = 1000 };

struct debug {
    struct weft_exporter base;
    int verbosity;
    int64_t sampling_initial, sampling_thereafter;

    uint64_t second_began_ms;
    int64_t batches_this_second;
    struct weft_buf line, request;
};

static const char *const verbosities[] = { "basic", "normal", "detailed", NULL };

static const struct weft_option options[] = {
    WEFT_ENUM("verbosity", struct debug, verbosity, .fallback = "basic", .words = verbosities,
              .help = "basic: counts of each batch; normal: a line for each item; detailed: each item as OTLP JSON"),
    WEFT_INT("sampling_initial", struct debug, sampling_initial, .fallback = "2", .min = 0, .max = 1e9,
             .help = "batches told in each second before sampling begins"),
    WEFT_INT("sampling_thereafter", struct debug, sampling_thereafter, .fallback = "1", .min = 0, .max = 1e9,
             .help = "after those, tell every batch of this number; 0 tells none"),
    WEFT_IGNORED("use_internal_logger", .fallback = "true", .warns = true, .help = "lines always go to the log of the agent"),
    { .key = NULL },
};

/* ---- what an item says, in a line ---- */

static void put_text(struct weft_buf *out, const char *before, struct weft_slice text)
{
    if (text.len == 0)
        return;
    weft_buf_append_str(out, before);
    weft_buf_append(out, text.data, text.len);
}

static void put_id(struct weft_buf *out, const char *before, struct weft_slice id)
{
    char hex[33];

    if (id.len == 0 || id.len > 16)
        return;
    weft_hex_write(id, hex);
    put_text(out, before, weft_slice_str(hex));
}

static void put_value(struct weft_buf *out, const struct weft_any *value)
{
    switch (value->kind) {
    case WEFT_ANY_STRING: weft_buf_append(out, value->bytes.data, value->bytes.len); break;
    case WEFT_ANY_BOOL:   weft_buf_append_str(out, value->integer ? "true" : "false"); break;
    case WEFT_ANY_INT:    weft_json_put_int(out, value->integer); break;
    case WEFT_ANY_DOUBLE: weft_json_put_double(out, value->real); break;
    case WEFT_ANY_ARRAY:  weft_buf_append_str(out, "[...]"); break;
    case WEFT_ANY_KVLIST: weft_buf_append_str(out, "{...}"); break;
    case WEFT_ANY_BYTES:  weft_buf_printf(out, "<%zu bytes>", value->bytes.len); break;
    default:              weft_buf_append_str(out, "-");
    }
}

static void put_attributes(struct weft_buf *out, struct weft_slice message, uint32_t number)
{
    struct weft_attributes it = weft_attributes_of(message, number);
    struct weft_attribute a;

    while (weft_attributes_next(&it, &a) > 0) {
        weft_buf_append_byte(out, ' ');
        weft_buf_append(out, a.key.data, a.key.len);
        weft_buf_append_byte(out, '=');
        put_value(out, &a.value);
    }
}

static void put_span(struct weft_buf *out, struct weft_slice item)
{
    struct weft_span_view span;

    if (weft_span_read(item, &span) != 0)
        return;
    put_text(out, "span ", span.name);
    put_id(out, " trace_id=", span.trace_id);
    put_id(out, " span_id=", span.span_id);
    weft_buf_printf(out, " duration_ns=%llu status=%d",
                    (unsigned long long)(span.end_ns > span.start_ns ? span.end_ns - span.start_ns : 0), (int)span.status_code);
    put_attributes(out, item, WEFT_SPAN_ATTRIBUTES);
}

static void put_log(struct weft_buf *out, struct weft_slice item)
{
    struct weft_log_view log;
    struct weft_any body;

    if (weft_log_read(item, &log) != 0)
        return;
    weft_buf_append_str(out, "log");
    put_text(out, " ", log.severity_text);
    if (log.body.data && weft_any_read(log.body, &body) == 0) {
        weft_buf_append_byte(out, ' ');
        put_value(out, &body);
    }
    put_id(out, " trace_id=", log.trace_id);
    put_id(out, " span_id=", log.span_id);
    put_attributes(out, item, WEFT_LOG_ATTRIBUTES);
}

static void put_metric(struct weft_buf *out, struct weft_slice item)
{
    static const char *const kinds[] = {
        [WEFT_METRIC_GAUGE] = "gauge", [WEFT_METRIC_SUM] = "sum", [WEFT_METRIC_HISTOGRAM] = "histogram",
        [WEFT_METRIC_EXP_HISTOGRAM] = "exponential histogram", [WEFT_METRIC_SUMMARY] = "summary",
    };
    struct weft_metric_view metric;

    if (weft_metric_read(item, &metric) != 0)
        return;
    put_text(out, "metric ", metric.name);
    put_text(out, " unit=", metric.unit);
    const char *kind = (size_t)metric.kind < sizeof kinds / sizeof *kinds ? kinds[metric.kind] : NULL;
    weft_buf_printf(out, " kind=%s points=%u", kind ? kind : "none", (unsigned)metric.n_points);
}

/* The item with its resource and scope, as a request of its own. */
static void put_request(struct debug *d, enum weft_signal signal, const struct weft_otlp_walk *walk)
{
    weft_buf_reset(&d->request);
    struct weft_otlp_group group = weft_otlp_group_open(&d->request, walk->resource, walk->scope);
    weft_wire_put_bytes(&d->request, WEFT_OTLP_ITEMS, walk->item);
    weft_otlp_group_close(&d->request, group);
    if (d->request.err || weft_otlp_json_write(signal, weft_buf_slice(&d->request), &d->line) != 0)
        weft_buf_append_str(&d->line, "an item too large to show");
}

static void tell_item(struct debug *d, enum weft_signal signal, const struct weft_otlp_walk *walk)
{
    static void (*const put[])(struct weft_buf *, struct weft_slice) = { put_span, put_log, put_metric };

    weft_buf_reset(&d->line);
    if (d->verbosity == DETAILED)
        put_request(d, signal, walk);
    else
        put[signal](&d->line, walk->item);
    if (d->line.err)
        d->line.err = 0; /* cut, not lost */
    weft_log(d->base.log, WEFT_LOG_INFO, d->base.id, "%.*s", (int)d->line.len, (const char *)d->line.data);
}

/* ---- batches ---- */

struct counts { uint64_t resources, items; };

static struct counts count(const struct weft_batch *batch)
{
    struct counts counts = { 0 };
    struct weft_otlp_walk walk;

    for (size_t i = 0; i < batch->n_records; i++) {
        weft_otlp_walk_init(&walk, batch->records[i].payload);
        while (weft_otlp_walk_next(&walk) > 0) {
            counts.resources += walk.new_resource;
            counts.items++;
        }
    }
    return counts;
}

static void tell_items(struct debug *d, const struct weft_batch *batch)
{
    struct weft_otlp_walk walk;

    for (size_t i = 0; i < batch->n_records; i++) {
        weft_otlp_walk_init(&walk, batch->records[i].payload);
        while (weft_otlp_walk_next(&walk) > 0)
            tell_item(d, batch->signal, &walk);
    }
}

static void tell(struct debug *d, const struct weft_batch *batch)
{
    static const char *const groups[] = { "resource spans", "resource logs", "resource metrics" };
    static const char *const items[] = { "spans", "log records", "metrics" };
    struct counts counts = count(batch);

    weft_buf_reset(&d->line);
    weft_buf_printf(&d->line, "%s %llu, %s %llu", groups[batch->signal], (unsigned long long)counts.resources,
                    items[batch->signal], (unsigned long long)counts.items);
    if (batch->signal == WEFT_METRICS)
        weft_buf_printf(&d->line, ", data points %llu", (unsigned long long)batch->n_items);
    weft_log(d->base.log, WEFT_LOG_INFO, d->base.id, "%s: %.*s", batch->pipeline, (int)d->line.len, (const char *)d->line.data);
    if (d->verbosity != BASIC)
        tell_items(d, batch);
}

/* True when this batch is to be told. */
static bool sampled(struct debug *d, uint64_t now_ms)
{
    if (now_ms - d->second_began_ms >= SECOND_MS) {
        d->second_began_ms = now_ms;
        d->batches_this_second = 0;
    }
    int64_t nth = d->batches_this_second++;
    if (nth < d->sampling_initial)
        return true;
    return d->sampling_thereafter > 0 && (nth - d->sampling_initial + 1) % d->sampling_thereafter == 0;
}

static void send_batch(struct weft_exporter *self, struct weft_batch *batch)
{
    struct debug *d = (struct debug *)self;

    if (sampled(d, weft_clock_mono_ms()))
        tell(d, batch);
    self->host->done(self, batch, WEFT_SENT, NULL, NULL, 0);
}

static int start(struct weft_exporter *self)
{
    struct debug *d = (struct debug *)self;

    weft_buf_init(&d->line, LINE_LIMIT);
    weft_buf_init(&d->request, LINE_LIMIT);
    d->line.account = d->request.account = self->account;
    return 0;
}

static void stop(struct weft_exporter *self)
{
    struct debug *d = (struct debug *)self;

    weft_buf_release(&d->line);
    weft_buf_release(&d->request);
}

const struct weft_exporter_type weft_exporter_debug = {
    .name = "debug",
    .summary = "tells in the log what passes: counts, or each item",
    .size = sizeof(struct debug),
    .signals = 1u << WEFT_TRACES | 1u << WEFT_LOGS | 1u << WEFT_METRICS,
    .options = options,
    .local = true,
    .start = start,
    .send = send_batch,
    .stop = stop,
};

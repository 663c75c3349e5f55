/* SPDX-License-Identifier: Apache-2.0 */
/* demo_otlp.c: the shop's spans and metrics as OTLP (demo.h). Each service is a resource of its own, as if it had sent them
 * itself. The correlation ID stands on the root span and, as services that pass it on have it, in the baggage
 * header of the requests between them. */
#include "agent/demo.h"

#include "core/otlp.h"
#include "core/otlp_fields.h"

#include <string.h>

static const double bounds[WEFT_DEMO_BOUNDS] = { 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5 };

#define KEY(literal) WEFT_SLICE(literal)

static void put_resource(struct weft_buf *b, enum weft_demo_service service)
{
    const char *name = weft_demo_service_name(service);
    char instance[48];

    (void)snprintf(instance, sizeof instance, "%s-0", name);
    weft_attribute_put_string(b, WEFT_RESOURCE_ATTRIBUTES, KEY("service.name"), weft_slice_str(name));
    weft_attribute_put_string(b, WEFT_RESOURCE_ATTRIBUTES, KEY("service.namespace"), KEY("shop"));
    weft_attribute_put_string(b, WEFT_RESOURCE_ATTRIBUTES, KEY("service.version"), KEY(WEFT_VERSION));
    weft_attribute_put_string(b, WEFT_RESOURCE_ATTRIBUTES, KEY("service.instance.id"), weft_slice_str(instance));
    weft_attribute_put_string(b, WEFT_RESOURCE_ATTRIBUTES, KEY("deployment.environment.name"), KEY("demo"));
}

static struct weft_otlp_group open_group(struct weft_buf *b, enum weft_demo_service service)
{
    struct weft_buf resource, scope;

    weft_buf_init(&resource, 1024);
    weft_buf_init(&scope, 128);
    put_resource(&resource, service);
    weft_wire_put_bytes(&scope, WEFT_SCOPE_NAME, KEY("weft.demo"));
    struct weft_otlp_group group = weft_otlp_group_open(b, weft_buf_slice(&resource), weft_buf_slice(&scope));
    weft_buf_release(&resource);
    weft_buf_release(&scope);
    return group;
}

/* ---- spans ---- */
static void put_exception(struct weft_buf *b, const struct weft_demo_span *s)
{
    size_t mark = weft_wire_begin(b, WEFT_SPAN_EVENTS);

    weft_wire_put_fixed64(b, WEFT_SPAN_EVENT_TIME, s->end_ns - 50000);
    weft_wire_put_bytes(b, WEFT_SPAN_EVENT_NAME, KEY("exception"));
    weft_attribute_put_string(b, WEFT_SPAN_EVENT_ATTRIBUTES, KEY("exception.type"), weft_slice_str(s->exception));
    weft_attribute_put_string(b, WEFT_SPAN_EVENT_ATTRIBUTES, KEY("exception.message"), weft_slice_str(s->error));
    weft_wire_end(b, mark);
}

static void put_status(struct weft_buf *b, const struct weft_demo_span *s)
{
    size_t mark = weft_wire_begin(b, WEFT_SPAN_STATUS);

    weft_wire_put_bytes(b, WEFT_STATUS_MESSAGE, weft_slice_str(s->error));
    weft_wire_put_varint(b, WEFT_STATUS_CODE, 2);
    weft_wire_end(b, mark);
}

static void put_correlation(struct weft_buf *b, const struct weft_demo_request *q, const struct weft_demo_span *s)
{
    char baggage[64];

    if (s->parent < 0)
        weft_attribute_put_string(b, WEFT_SPAN_ATTRIBUTES, KEY("correlation.id"), weft_slice_str(q->correlation));
    if (s->kind != 2 || s->parent < 0)
        return;
    (void)snprintf(baggage, sizeof baggage, "correlation.id=%s", q->correlation);
    weft_attribute_put_string(b, WEFT_SPAN_ATTRIBUTES, KEY("http.request.header.baggage"), weft_slice_str(baggage));
}

static void put_span(struct weft_buf *b, const struct weft_demo_request *q, const struct weft_demo_span *s)
{
    size_t mark = weft_wire_begin(b, WEFT_OTLP_ITEMS);

    weft_wire_put_bytes(b, WEFT_SPAN_TRACE_ID, weft_slice_of(q->trace_id, sizeof q->trace_id));
    weft_wire_put_bytes(b, WEFT_SPAN_SPAN_ID, weft_slice_of(s->id, sizeof s->id));
    if (s->parent >= 0)
        weft_wire_put_bytes(b, WEFT_SPAN_PARENT_SPAN_ID, weft_slice_of(q->spans[s->parent].id, sizeof s->id));
    weft_wire_put_bytes(b, WEFT_SPAN_NAME, weft_slice_str(s->name));
    weft_wire_put_varint(b, WEFT_SPAN_KIND, (uint64_t)s->kind);
    weft_wire_put_fixed64(b, WEFT_SPAN_START, s->start_ns);
    weft_wire_put_fixed64(b, WEFT_SPAN_END, s->end_ns);
    for (size_t i = 0; i < s->n_attributes; i++) {
        const struct weft_demo_attribute *a = &s->attributes[i];
        if (a->text)
            weft_attribute_put_string(b, WEFT_SPAN_ATTRIBUTES, weft_slice_str(a->key), weft_slice_str(a->text));
        else
            weft_attribute_put_int(b, WEFT_SPAN_ATTRIBUTES, weft_slice_str(a->key), a->number);
    }
    put_correlation(b, q, s);
    if (s->exception)
        put_exception(b, s);
    if (s->error)
        put_status(b, s);
    weft_wire_put_fixed32(b, WEFT_SPAN_FLAGS, 0x101);
    weft_wire_end(b, mark);
}

bool weft_demo_spans_add(struct weft_demo_spans *s, const struct weft_demo_request *request)
{
    size_t before[WEFT_DEMO_SERVICES];
    bool ok = true;

    for (int i = 0; i < WEFT_DEMO_SERVICES; i++)
        before[i] = s->items[i].len;
    for (size_t i = 0; i < WEFT_DEMO_SPANS; i++)
        put_span(&s->items[request->spans[i].service], request, &request->spans[i]);
    for (int i = 0; i < WEFT_DEMO_SERVICES; i++)
        ok = ok && !s->items[i].err;
    for (int i = 0; i < WEFT_DEMO_SERVICES && !ok; i++) {
        s->items[i].len = before[i];
        s->items[i].err = 0;
    }
    s->n_spans += ok ? WEFT_DEMO_SPANS : 0;
    return ok;
}

void weft_demo_spans_take(struct weft_demo_spans *s, struct weft_buf *out)
{
    for (int i = 0; i < WEFT_DEMO_SERVICES; i++) {
        if (s->items[i].len == 0)
            continue;
        struct weft_otlp_group group = open_group(out, (enum weft_demo_service)i);
        weft_buf_append(out, s->items[i].data, s->items[i].len);
        weft_otlp_group_close(out, group);
        weft_buf_reset(&s->items[i]);
    }
    s->n_spans = 0;
}

/* ---- metrics ---- */
static int status_row(int status)
{
    return status < 400 ? 0 : status < 500 ? 1 : 2;
}

static void remember(struct weft_demo_durations *d, const struct weft_demo_request *q, const struct weft_demo_span *s)
{
    d->last = (double)(s->end_ns - s->start_ns) / 1e9;
    d->last_ns = s->end_ns;
    memcpy(d->trace_id, q->trace_id, sizeof d->trace_id);
    memcpy(d->span_id, s->id, sizeof d->span_id);
    memcpy(d->correlation, q->correlation, sizeof d->correlation);
}

static void count_duration(struct weft_demo_durations *d, const struct weft_demo_request *q, const struct weft_demo_span *s)
{
    size_t bucket = 0;

    remember(d, q, s);
    while (bucket < WEFT_DEMO_BOUNDS && d->last > bounds[bucket])
        bucket++;
    d->buckets[bucket]++;
    d->count++;
    d->sum += d->last;
}

/* The status code that a server span tells. */
static int span_status(const struct weft_demo_span *s)
{
    for (size_t i = 0; i < s->n_attributes; i++)
        if (strcmp(s->attributes[i].key, "http.response.status_code") == 0)
            return (int)s->attributes[i].number;
    return 0;
}

void weft_demo_metrics_add(struct weft_demo_metrics *m, const struct weft_demo_request *request)
{
    int row = status_row(request->status);

    for (size_t i = 0; i < WEFT_DEMO_SPANS; i++) {
        const struct weft_demo_span *s = &request->spans[i];
        if (s->kind == 2)
            count_duration(&m->durations[s->service][status_row(span_status(s))], request, s);
    }
    m->orders[row]++;
    remember(&m->last_order[row], request, &request->spans[2]);
    if (row > 0)
        return;
    m->revenue += (double)request->cents / 100;
    m->stock[request->sku] -= request->pieces;
    if (m->stock[request->sku] < 0)
        m->stock[request->sku] = 500; /* a delivery came in */
}

static size_t begin_metric(struct weft_buf *b, const char *name, const char *unit, const char *description)
{
    size_t mark = weft_wire_begin(b, WEFT_OTLP_ITEMS);

    weft_wire_put_bytes(b, WEFT_METRIC_NAME, weft_slice_str(name));
    weft_wire_put_bytes(b, WEFT_METRIC_DESCRIPTION, weft_slice_str(description));
    weft_wire_put_bytes(b, WEFT_METRIC_UNIT, weft_slice_str(unit));
    return mark;
}

static void put_exemplar(struct weft_buf *b, uint32_t number, const struct weft_demo_durations *d, double value)
{
    size_t mark = weft_wire_begin(b, number);

    weft_wire_put_fixed64(b, WEFT_EXEMPLAR_TIME, d->last_ns);
    weft_wire_put_double(b, WEFT_EXEMPLAR_DOUBLE, value);
    weft_wire_put_bytes(b, WEFT_EXEMPLAR_SPAN_ID, weft_slice_of(d->span_id, sizeof d->span_id));
    weft_wire_put_bytes(b, WEFT_EXEMPLAR_TRACE_ID, weft_slice_of(d->trace_id, sizeof d->trace_id));
    weft_attribute_put_string(b, WEFT_EXEMPLAR_ATTRIBUTES, KEY("correlation.id"), weft_slice_str(d->correlation));
    weft_wire_end(b, mark);
}

static void put_packed_fixed64(struct weft_buf *b, uint32_t number, const void *values, size_t n)
{
    uint8_t bytes[8 * (WEFT_DEMO_BOUNDS + 1)];

    for (size_t i = 0; i < n; i++) {
        uint64_t bits;
        memcpy(&bits, (const uint8_t *)values + 8 * i, sizeof bits);
        for (size_t k = 0; k < 8; k++)
            bytes[8 * i + k] = (uint8_t)(bits >> (8 * k));
    }
    weft_wire_put_bytes(b, number, weft_slice_of(bytes, 8 * n));
}

static void put_duration_point(struct weft_buf *b, const struct weft_demo_metrics *m, enum weft_demo_service service, int row,
                               uint64_t now_ns)
{
    static const char *const routes[] = { "/checkout", "/orders", "/reservations", "/charges" };
    static const int statuses[] = { 200, 402, 500 };
    const struct weft_demo_durations *d = &m->durations[service][row];
    size_t mark = weft_wire_begin(b, WEFT_DATA_POINTS);

    weft_wire_put_fixed64(b, WEFT_HISTOGRAM_POINT_START, m->start_ns);
    weft_wire_put_fixed64(b, WEFT_HISTOGRAM_POINT_TIME, now_ns);
    weft_wire_put_fixed64(b, WEFT_HISTOGRAM_POINT_COUNT, d->count);
    weft_wire_put_double(b, WEFT_HISTOGRAM_POINT_SUM, d->sum);
    put_packed_fixed64(b, WEFT_HISTOGRAM_POINT_BUCKET_COUNTS, d->buckets, WEFT_DEMO_BOUNDS + 1);
    put_packed_fixed64(b, WEFT_HISTOGRAM_POINT_BOUNDS, bounds, WEFT_DEMO_BOUNDS);
    weft_attribute_put_string(b, WEFT_HISTOGRAM_POINT_ATTRIBUTES, KEY("http.request.method"), KEY("POST"));
    weft_attribute_put_string(b, WEFT_HISTOGRAM_POINT_ATTRIBUTES, KEY("http.route"), weft_slice_str(routes[service]));
    weft_attribute_put_int(b, WEFT_HISTOGRAM_POINT_ATTRIBUTES, KEY("http.response.status_code"), statuses[row]);
    put_exemplar(b, WEFT_HISTOGRAM_POINT_EXEMPLARS, d, d->last);
    weft_wire_end(b, mark);
}

static void put_durations(struct weft_buf *b, const struct weft_demo_metrics *m, enum weft_demo_service service, uint64_t now_ns)
{
    size_t metric = begin_metric(b, "http.server.request.duration", "s", "How long requests took that the service answered.");
    size_t data = weft_wire_begin(b, WEFT_METRIC_HISTOGRAM);

    for (int row = 0; row < WEFT_DEMO_STATUSES; row++)
        if (m->durations[service][row].count)
            put_duration_point(b, m, service, row, now_ns);
    weft_wire_put_varint(b, WEFT_DATA_TEMPORALITY, 2);
    weft_wire_end(b, data);
    weft_wire_end(b, metric);
}

static void end_sum(struct weft_buf *b, size_t data, size_t metric)
{
    weft_wire_put_varint(b, WEFT_DATA_TEMPORALITY, 2);
    weft_wire_put_varint(b, WEFT_DATA_MONOTONIC, 1);
    weft_wire_end(b, data);
    weft_wire_end(b, metric);
}

static void put_orders(struct weft_buf *b, const struct weft_demo_metrics *m, uint64_t now_ns)
{
    static const char *const outcomes[] = { "completed", "declined", "failed" };
    size_t metric = begin_metric(b, "shop.orders", "{order}", "Orders by what became of them.");
    size_t data = weft_wire_begin(b, WEFT_METRIC_SUM);

    for (int row = 0; row < WEFT_DEMO_STATUSES; row++) {
        size_t point = weft_wire_begin(b, WEFT_DATA_POINTS);
        weft_wire_put_fixed64(b, WEFT_NUMBER_POINT_START, m->start_ns);
        weft_wire_put_fixed64(b, WEFT_NUMBER_POINT_TIME, now_ns);
        weft_wire_put_fixed64(b, WEFT_NUMBER_POINT_INT, m->orders[row]);
        if (m->orders[row])
            put_exemplar(b, WEFT_NUMBER_POINT_EXEMPLARS, &m->last_order[row], 1);
        weft_attribute_put_string(b, WEFT_NUMBER_POINT_ATTRIBUTES, KEY("shop.outcome"), weft_slice_str(outcomes[row]));
        weft_wire_end(b, point);
    }
    end_sum(b, data, metric);
}

static void put_revenue(struct weft_buf *b, const struct weft_demo_metrics *m, uint64_t now_ns)
{
    size_t metric = begin_metric(b, "shop.revenue", "{dollar}", "What completed orders brought in.");
    size_t data = weft_wire_begin(b, WEFT_METRIC_SUM);
    size_t point = weft_wire_begin(b, WEFT_DATA_POINTS);

    weft_wire_put_fixed64(b, WEFT_NUMBER_POINT_START, m->start_ns);
    weft_wire_put_fixed64(b, WEFT_NUMBER_POINT_TIME, now_ns);
    weft_wire_put_double(b, WEFT_NUMBER_POINT_DOUBLE, m->revenue);
    weft_wire_end(b, point);
    end_sum(b, data, metric);
}

static void put_stock(struct weft_buf *b, const struct weft_demo_metrics *m, uint64_t now_ns)
{
    static const char *const skus[] = { "loom-01", "reed-40", "shuttle-7" };
    size_t metric = begin_metric(b, "shop.inventory.stock", "{piece}", "Pieces on the shelf.");
    size_t data = weft_wire_begin(b, WEFT_METRIC_GAUGE);

    for (int i = 0; i < WEFT_DEMO_SKUS; i++) {
        size_t point = weft_wire_begin(b, WEFT_DATA_POINTS);
        weft_wire_put_fixed64(b, WEFT_NUMBER_POINT_TIME, now_ns);
        weft_wire_put_fixed64(b, WEFT_NUMBER_POINT_INT, (uint64_t)m->stock[i]);
        weft_attribute_put_string(b, WEFT_NUMBER_POINT_ATTRIBUTES, KEY("shop.sku"), weft_slice_str(skus[i]));
        weft_wire_end(b, point);
    }
    weft_wire_end(b, data);
    weft_wire_end(b, metric);
}

void weft_demo_metrics_write(const struct weft_demo_metrics *m, uint64_t now_ns, struct weft_buf *out)
{
    for (int i = 0; i < WEFT_DEMO_SERVICES; i++) {
        struct weft_otlp_group group = open_group(out, (enum weft_demo_service)i);
        put_durations(out, m, (enum weft_demo_service)i, now_ns);
        if (i == WEFT_DEMO_ORDER) {
            put_orders(out, m, now_ns);
            put_revenue(out, m, now_ns);
        }
        if (i == WEFT_DEMO_INVENTORY)
            put_stock(out, m, now_ns);
        weft_otlp_group_close(out, group);
    }
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The first byte chooses the signal, the rest is a request. What the check accepts, protobuf-c parses and every view reads; what it
 * refuses, the views may read in part but never out of bounds. */
#include "core/otlp.h"

#include "otlp_logs_service.pb-c.h"
#include "otlp_metrics_service.pb-c.h"
#include "otlp_trace_service.pb-c.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int read_values(struct weft_any value, unsigned depth);

static int read_attributes(struct weft_slice message, uint32_t number, unsigned depth)
{
    struct weft_attributes it = weft_attributes_of(message, number);
    struct weft_attribute a;
    int result;

    while ((result = weft_attributes_next(&it, &a)) > 0)
        if ((result = read_values(a.value, depth + 1)) < 0)
            return result;
    return result;
}

static int read_values(struct weft_any value, unsigned depth)
{
    struct weft_any element;
    int result = 0;

    if (depth > WEFT_OTLP_MAX_DEPTH)
        return 0;
    if (value.kind == WEFT_ANY_KVLIST)
        return read_attributes(value.bytes, WEFT_KVLIST_VALUES, depth);
    while (value.kind == WEFT_ANY_ARRAY && (result = weft_any_array_next(&value.bytes, &element)) > 0)
        if ((result = read_values(element, depth + 1)) < 0)
            return result;
    return result;
}

static int read_span(struct weft_slice message)
{
    struct weft_span_view span;
    struct weft_span_event event;
    struct weft_span_link link;
    struct weft_slice rest;
    int result = weft_span_read(message, &span);

    for (rest = message; result >= 0 && (result = weft_span_event_next(&rest, &event)) > 0;)
        result = read_attributes(event.message, WEFT_SPAN_EVENT_ATTRIBUTES, 0);
    for (rest = message; result >= 0 && (result = weft_span_link_next(&rest, &link)) > 0;)
        result = read_attributes(link.message, WEFT_SPAN_LINK_ATTRIBUTES, 0);
    return result < 0 ? result : read_attributes(message, WEFT_SPAN_ATTRIBUTES, 0);
}

static int read_log(struct weft_slice message)
{
    struct weft_log_view log;
    struct weft_any body;
    int result = weft_log_read(message, &log);

    if (result == 0 && log.body.data && (result = weft_any_read(log.body, &body)) == 0)
        result = read_values(body, 0);
    return result < 0 ? result : read_attributes(message, WEFT_LOG_ATTRIBUTES, 0);
}

static int count_varints(struct weft_repeated it)
{
    uint64_t value;
    int result;

    while ((result = weft_repeated_next_varint(&it, &value)) > 0)
        continue;
    return result;
}

static int count_doubles(struct weft_repeated it)
{
    double value;
    int result;

    while ((result = weft_repeated_next_double(&it, &value)) > 0)
        continue;
    return result;
}

static int read_point(enum weft_metric_kind kind, struct weft_slice message)
{
    struct weft_number_point number;
    struct weft_histogram_point histogram;
    struct weft_exp_histogram_point exp;
    struct weft_summary_point summary;
    struct weft_exemplar exemplar;
    struct weft_quantile quantile;
    struct weft_slice rest;
    int result = 0;

    if (kind == WEFT_METRIC_GAUGE || kind == WEFT_METRIC_SUM)
        result = weft_number_point_read(message, &number);
    if (kind == WEFT_METRIC_SUMMARY && (result = weft_summary_point_read(message, &summary)) == 0)
        for (rest = message; (result = weft_quantile_next(&rest, &quantile)) > 0;)
            continue;
    if (kind == WEFT_METRIC_HISTOGRAM && (result = weft_histogram_point_read(message, &histogram)) == 0)
        result = count_doubles(histogram.bounds);
    if (kind == WEFT_METRIC_EXP_HISTOGRAM && (result = weft_exp_histogram_point_read(message, &exp)) == 0)
        result = count_varints(exp.positive.counts) | count_varints(exp.negative.counts);
    for (rest = message; result >= 0 && (result = weft_exemplar_next(kind, &rest, &exemplar)) > 0;)
        result = read_attributes(exemplar.message, WEFT_EXEMPLAR_ATTRIBUTES, 0);
    return result;
}

static int read_metric(struct weft_slice message)
{
    struct weft_metric_view metric;
    struct weft_slice point;
    int result = weft_metric_read(message, &metric);

    if (result < 0)
        return result;
    while ((result = weft_metric_point_next(&metric.data, &point)) > 0)
        if ((result = read_point(metric.kind, point)) < 0)
            return result;
    return result;
}

static int read_all(enum weft_signal signal, struct weft_slice payload)
{
    static int (*const readers[])(struct weft_slice) = { read_span, read_log, read_metric };
    struct weft_scope_view scope;
    struct weft_otlp_walk w;
    int result;

    weft_otlp_walk_init(&w, payload);
    while ((result = weft_otlp_walk_next(&w)) > 0) {
        if ((result = read_attributes(w.resource, WEFT_RESOURCE_ATTRIBUTES, 0)) < 0 ||
            (result = weft_scope_read(w.scope, &scope)) < 0 || (result = readers[signal](w.item)) < 0)
            return result;
    }
    return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const ProtobufCMessageDescriptor *const requests[] = {
        &opentelemetry__proto__collector__trace__v1__export_trace_service_request__descriptor,
        &opentelemetry__proto__collector__logs__v1__export_logs_service_request__descriptor,
        &opentelemetry__proto__collector__metrics__v1__export_metrics_service_request__descriptor,
    };
    uint32_t items;

    if (size == 0)
        return 0;
    const enum weft_signal signal = (enum weft_signal)(data[0] % WEFT_SIGNALS);
    const struct weft_slice payload = weft_slice_of(data + 1, size - 1);
    const bool accepted = weft_otlp_count(signal, payload, &items) == 0;
    const int result = read_all(signal, payload);

    if (!accepted)
        return 0;
    if (result < 0)
        abort();
    ProtobufCMessage *m = protobuf_c_message_unpack(requests[signal], NULL, payload.len, payload.data);
    if (!m)
        abort();
    protobuf_c_message_free_unpacked(m, NULL);
    return 0;
}

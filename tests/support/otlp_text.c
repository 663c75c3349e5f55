/* SPDX-License-Identifier: Apache-2.0 */
/* otlp_text.c: see otlp_text.h. Fields come in the order of their numbers, values that proto3 does not send are left out,
 * as protoc does it. One thread. */
#include "tests/support/otlp_text.h"

#include "core/err.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- the form ---- */

static void line(struct text *t, const char *name)
{
    for (int i = 0; i < t->indent; i++)
        weft_buf_append(t->out, "  ", 2);
    weft_buf_append_str(t->out, name);
}

void text_open(struct text *t, const char *name)
{
    line(t, name);
    weft_buf_append_str(t->out, " {\n");
    t->indent++;
}

void text_close(struct text *t)
{
    t->indent--;
    line(t, "}\n");
}

void text_bytes(struct text *t, const char *name, struct weft_slice bytes)
{
    static const char special[] = "\n\r\t\"'\\", letters[] = "nrt\"'\\";

    line(t, name);
    weft_buf_append_str(t->out, ": \"");
    for (size_t i = 0; i < bytes.len; i++) {
        const char *at = bytes.data[i] ? strchr(special, bytes.data[i]) : NULL;

        if (at)
            weft_buf_printf(t->out, "\\%c", letters[at - special]);
        else if (bytes.data[i] < 0x20 || bytes.data[i] >= 0x7f)
            weft_buf_printf(t->out, "\\%03o", bytes.data[i]);
        else
            weft_buf_append_byte(t->out, bytes.data[i]);
    }
    weft_buf_append_str(t->out, "\"\n");
}

void text_string(struct text *t, const char *name, struct weft_slice bytes)
{
    const uint8_t *nul = t->c_strings && bytes.len ? memchr(bytes.data, 0, bytes.len) : NULL;

    text_bytes(t, name, nul ? weft_slice_of(bytes.data, (size_t)(nul - bytes.data)) : bytes);
}

void text_uint(struct text *t, const char *name, uint64_t value)
{
    line(t, name);
    weft_buf_printf(t->out, ": %" PRIu64 "\n", value);
}

void text_int(struct text *t, const char *name, int64_t value)
{
    line(t, name);
    weft_buf_printf(t->out, ": %" PRId64 "\n", value);
}

void text_double(struct text *t, const char *name, double value)
{
    char digits[32];

    (void)snprintf(digits, sizeof digits, "%.15g", value);
    if (strtod(digits, NULL) != value)
        (void)snprintf(digits, sizeof digits, "%.17g", value);
    line(t, name);
    weft_buf_printf(t->out, ": %s\n", isnan(value) ? "nan" : digits);
}

void text_word(struct text *t, const char *name, const char *word)
{
    line(t, name);
    weft_buf_printf(t->out, ": %s\n", word);
}

/* ---- fields that are left out when they hold nothing ---- */

static void some_string(struct text *t, const char *name, struct weft_slice bytes)
{
    if (bytes.len > 0 && !(t->c_strings && bytes.data[0] == 0))
        text_string(t, name, bytes);
}

static void some_bytes(struct text *t, const char *name, struct weft_slice bytes)
{
    if (bytes.len > 0)
        text_bytes(t, name, bytes);
}

static void some_uint(struct text *t, const char *name, uint64_t value)
{
    if (value)
        text_uint(t, name, value);
}

static void some_double(struct text *t, const char *name, double value)
{
    static const double zero;

    if (memcmp(&value, &zero, sizeof value) != 0)
        text_double(t, name, value);
}

static void some_enum(struct text *t, const char *name, int32_t value, const char *prefix, const char *const *words,
                      int32_t n_words)
{
    char word[64];

    if (value == 0)
        return;
    if (value > 0 && value < n_words) {
        (void)snprintf(word, sizeof word, "%s%s", prefix, words[value]);
        text_word(t, name, word);
    } else {
        text_int(t, name, value);
    }
}

/* ---- values ---- */

static int put_attributes(struct text *t, const char *name, struct weft_slice message, uint32_t number);

static int put_array(struct text *t, struct weft_slice array);

static int put_any(struct text *t, const struct weft_any *value)
{
    int err = 0;

    switch (value->kind) {
    case WEFT_ANY_EMPTY:
        break;
    case WEFT_ANY_STRING:
        text_string(t, "string_value", value->bytes);
        break;
    case WEFT_ANY_BOOL:
        text_word(t, "bool_value", value->integer ? "true" : "false");
        break;
    case WEFT_ANY_INT:
        text_int(t, "int_value", value->integer);
        break;
    case WEFT_ANY_DOUBLE:
        text_double(t, "double_value", value->real);
        break;
    case WEFT_ANY_ARRAY:
        text_open(t, "array_value");
        err = put_array(t, value->bytes);
        text_close(t);
        break;
    case WEFT_ANY_KVLIST:
        text_open(t, "kvlist_value");
        err = put_attributes(t, "values", value->bytes, WEFT_KVLIST_VALUES);
        text_close(t);
        break;
    case WEFT_ANY_BYTES:
        text_bytes(t, "bytes_value", value->bytes);
        break;
    }
    return err;
}

static int put_array(struct text *t, struct weft_slice array)
{
    struct weft_any value;
    int result;

    while ((result = weft_any_array_next(&array, &value)) > 0) {
        text_open(t, "values");
        int err = put_any(t, &value);
        text_close(t);
        if (err)
            return err;
    }
    return result;
}

/* A KeyValue's value may be absent, and a view does not tell that from an empty one: whether the message has the field. */
static bool has_value(struct weft_slice key_value)
{
    struct weft_slice value;

    return weft_wire_next_bytes(&key_value, WEFT_KEYVALUE_VALUE, &value) > 0;
}

static int put_attributes(struct text *t, const char *name, struct weft_slice message, uint32_t number)
{
    struct weft_attributes it = weft_attributes_of(message, number);
    struct weft_attribute attribute;
    struct weft_slice key_value;
    int result;

    while ((result = weft_attributes_next(&it, &attribute)) > 0) {
        if (weft_wire_next_bytes(&message, number, &key_value) <= 0)
            return WEFT_ERR_MALFORMED;
        text_open(t, name);
        some_string(t, "key", attribute.key);
        if (has_value(key_value)) {
            text_open(t, "value");
            int err = put_any(t, &attribute.value);
            text_close(t);
            if (err)
                return err;
        }
        text_close(t);
    }
    return result;
}

/* The last value of an unsigned field that has no place in a view. */
static uint32_t last_uint(struct weft_slice message, uint32_t number)
{
    struct weft_field field;
    uint32_t value = 0;

    while (weft_wire_next(&message, &field) > 0)
        if (field.number == number)
            value = (uint32_t)field.scalar;
    return value;
}

static struct weft_slice last_bytes(struct weft_slice message, uint32_t number)
{
    struct weft_slice bytes, value = { 0 };

    while (weft_wire_next_bytes(&message, number, &bytes) > 0)
        value = bytes;
    return value;
}

static void put_entities(struct text *t, struct weft_slice resource)
{
    struct weft_slice entity, key;

    while (weft_wire_next_bytes(&resource, WEFT_RESOURCE_ENTITY_REFS, &entity) > 0) {
        text_open(t, "entity_refs");
        some_string(t, "schema_url", last_bytes(entity, 1));
        some_string(t, "type", last_bytes(entity, 2));
        for (struct weft_slice rest = entity; weft_wire_next_bytes(&rest, 3, &key) > 0;)
            text_string(t, "id_keys", key);
        for (struct weft_slice rest = entity; weft_wire_next_bytes(&rest, 4, &key) > 0;)
            text_string(t, "description_keys", key);
        text_close(t);
    }
}

/* ---- spans and logs ---- */

static const char *const kinds[] = { "UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER" };
static const char *const codes[] = { "UNSET", "OK", "ERROR" };
static const char *const temporalities[] = { "UNSPECIFIED", "DELTA", "CUMULATIVE" };
static const char *const severities[] = {
    "UNSPECIFIED", "TRACE", "TRACE2", "TRACE3", "TRACE4", "DEBUG",  "DEBUG2", "DEBUG3", "DEBUG4",
    "INFO",        "INFO2", "INFO3",  "INFO4",  "WARN",   "WARN2",  "WARN3",  "WARN4",  "ERROR",
    "ERROR2",      "ERROR3", "ERROR4", "FATAL",  "FATAL2", "FATAL3", "FATAL4",
};
#define ENUM(t, name, value, prefix, words) \
    some_enum(t, name, value, prefix, words, (int32_t)(sizeof words / sizeof *words))

static int put_events(struct text *t, struct weft_slice span)
{
    struct weft_span_event event;
    int result;

    while ((result = weft_span_event_next(&span, &event)) > 0) {
        text_open(t, "events");
        some_uint(t, "time_unix_nano", event.time_ns);
        some_string(t, "name", event.name);
        int err = put_attributes(t, "attributes", event.message, WEFT_SPAN_EVENT_ATTRIBUTES);
        if (err)
            return err;
        some_uint(t, "dropped_attributes_count", event.dropped_attributes);
        text_close(t);
    }
    return result;
}

static int put_links(struct text *t, struct weft_slice span)
{
    struct weft_span_link link;
    int result;

    while ((result = weft_span_link_next(&span, &link)) > 0) {
        text_open(t, "links");
        some_bytes(t, "trace_id", link.trace_id);
        some_bytes(t, "span_id", link.span_id);
        some_string(t, "trace_state", link.trace_state);
        int err = put_attributes(t, "attributes", link.message, WEFT_SPAN_LINK_ATTRIBUTES);
        if (err)
            return err;
        some_uint(t, "dropped_attributes_count", link.dropped_attributes);
        some_uint(t, "flags", link.flags);
        text_close(t);
    }
    return result;
}

static bool has_field(struct weft_slice message, uint32_t number)
{
    struct weft_slice bytes;

    return weft_wire_next_bytes(&message, number, &bytes) > 0;
}

static int put_span(struct text *t, struct weft_slice message)
{
    struct weft_span_view span;
    int err = weft_span_read(message, &span);

    if (err)
        return err;
    some_bytes(t, "trace_id", span.trace_id);
    some_bytes(t, "span_id", span.span_id);
    some_string(t, "trace_state", span.trace_state);
    some_bytes(t, "parent_span_id", span.parent_span_id);
    some_string(t, "name", span.name);
    ENUM(t, "kind", span.kind, "SPAN_KIND_", kinds);
    some_uint(t, "start_time_unix_nano", span.start_ns);
    some_uint(t, "end_time_unix_nano", span.end_ns);
    err = put_attributes(t, "attributes", message, WEFT_SPAN_ATTRIBUTES);
    some_uint(t, "dropped_attributes_count", span.dropped_attributes);
    err = err ? err : put_events(t, message);
    some_uint(t, "dropped_events_count", span.dropped_events);
    err = err ? err : put_links(t, message);
    some_uint(t, "dropped_links_count", span.dropped_links);
    if (has_field(message, WEFT_SPAN_STATUS)) {
        text_open(t, "status");
        some_string(t, "message", span.status_message);
        ENUM(t, "code", span.status_code, "STATUS_CODE_", codes);
        text_close(t);
    }
    some_uint(t, "flags", span.flags);
    return err;
}

static int put_body(struct text *t, struct weft_slice body)
{
    struct weft_any value;
    int err = weft_any_read(body, &value);

    if (err)
        return err;
    text_open(t, "body");
    err = put_any(t, &value);
    text_close(t);
    return err;
}

static int put_log(struct text *t, struct weft_slice message)
{
    struct weft_log_view log;
    int err = weft_log_read(message, &log);

    if (err)
        return err;
    some_uint(t, "time_unix_nano", log.time_ns);
    ENUM(t, "severity_number", log.severity_number, "SEVERITY_NUMBER_", severities);
    some_string(t, "severity_text", log.severity_text);
    if (log.body.data)
        err = put_body(t, log.body);
    err = err ? err : put_attributes(t, "attributes", message, WEFT_LOG_ATTRIBUTES);
    some_uint(t, "dropped_attributes_count", log.dropped_attributes);
    some_uint(t, "flags", log.flags);
    some_bytes(t, "trace_id", log.trace_id);
    some_bytes(t, "span_id", log.span_id);
    some_uint(t, "observed_time_unix_nano", log.observed_ns);
    some_string(t, "event_name", log.event_name);
    return err;
}

/* ---- metrics ---- */

static int put_exemplars(struct text *t, enum weft_metric_kind kind, struct weft_slice point)
{
    struct weft_exemplar e;
    int result;

    while ((result = weft_exemplar_next(kind, &point, &e)) > 0) {
        text_open(t, "exemplars");
        some_uint(t, "time_unix_nano", e.time_ns);
        if (e.has_value && !e.is_int)
            text_double(t, "as_double", e.real);
        some_bytes(t, "span_id", e.span_id);
        some_bytes(t, "trace_id", e.trace_id);
        if (e.has_value && e.is_int)
            text_int(t, "as_int", e.integer);
        int err = put_attributes(t, "filtered_attributes", e.message, WEFT_EXEMPLAR_ATTRIBUTES);
        if (err)
            return err;
        text_close(t);
    }
    return result;
}

static int put_number_point(struct text *t, enum weft_metric_kind kind, struct weft_slice message)
{
    struct weft_number_point p;
    int err = weft_number_point_read(message, &p);

    if (err)
        return err;
    some_uint(t, "start_time_unix_nano", p.start_ns);
    some_uint(t, "time_unix_nano", p.time_ns);
    if (p.has_value && !p.is_int)
        text_double(t, "as_double", p.real);
    err = put_exemplars(t, kind, message);
    if (p.has_value && p.is_int)
        text_int(t, "as_int", p.integer);
    err = err ? err : put_attributes(t, "attributes", message, WEFT_NUMBER_POINT_ATTRIBUTES);
    some_uint(t, "flags", p.flags);
    return err;
}

static void optional_double(struct text *t, const char *name, bool has, double value)
{
    if (has)
        text_double(t, name, value);
}

static int put_histogram_point(struct text *t, struct weft_slice message)
{
    struct weft_histogram_point p;
    uint32_t n_counts = 0, n_bounds = 0;
    uint64_t count;
    double bound;
    int result, err = weft_histogram_point_read(message, &p);

    if (err)
        return err;
    some_uint(t, "start_time_unix_nano", p.start_ns);
    some_uint(t, "time_unix_nano", p.time_ns);
    some_uint(t, "count", p.count);
    optional_double(t, "sum", p.has_sum, p.sum);
    for (struct weft_repeated it = p.bucket_counts; (result = weft_repeated_next_fixed64(&it, &count)) > 0; n_counts++)
        text_uint(t, "bucket_counts", count);
    if (result < 0 || n_counts != p.n_bucket_counts)
        return WEFT_ERR_MALFORMED;
    for (struct weft_repeated it = p.bounds; (result = weft_repeated_next_double(&it, &bound)) > 0; n_bounds++)
        text_double(t, "explicit_bounds", bound);
    if (result < 0 || n_bounds != p.n_bounds)
        return WEFT_ERR_MALFORMED;
    err = put_exemplars(t, WEFT_METRIC_HISTOGRAM, message);
    err = err ? err : put_attributes(t, "attributes", message, WEFT_HISTOGRAM_POINT_ATTRIBUTES);
    some_uint(t, "flags", p.flags);
    optional_double(t, "min", p.has_min, p.min);
    optional_double(t, "max", p.has_max, p.max);
    return err;
}

static int put_buckets(struct text *t, const char *name, const struct weft_exp_buckets *buckets)
{
    struct weft_repeated it = buckets->counts;
    uint32_t n = 0;
    uint64_t count;
    int result;

    if (!has_field(it.outer, it.outer_number))
        return 0;
    text_open(t, name);
    if (buckets->offset)
        text_int(t, "offset", buckets->offset);
    for (; (result = weft_repeated_next_varint(&it, &count)) > 0; n++)
        text_uint(t, "bucket_counts", count);
    text_close(t);
    return result < 0 || n != buckets->n_counts ? WEFT_ERR_MALFORMED : 0;
}

static int put_exp_histogram_point(struct text *t, struct weft_slice message)
{
    struct weft_exp_histogram_point p;
    int err = weft_exp_histogram_point_read(message, &p);

    if (err)
        return err;
    err = put_attributes(t, "attributes", message, WEFT_EXP_HISTOGRAM_POINT_ATTRIBUTES);
    some_uint(t, "start_time_unix_nano", p.start_ns);
    some_uint(t, "time_unix_nano", p.time_ns);
    some_uint(t, "count", p.count);
    optional_double(t, "sum", p.has_sum, p.sum);
    if (p.scale)
        text_int(t, "scale", p.scale);
    some_uint(t, "zero_count", p.zero_count);
    err = err ? err : put_buckets(t, "positive", &p.positive);
    err = err ? err : put_buckets(t, "negative", &p.negative);
    some_uint(t, "flags", p.flags);
    err = err ? err : put_exemplars(t, WEFT_METRIC_EXP_HISTOGRAM, message);
    optional_double(t, "min", p.has_min, p.min);
    optional_double(t, "max", p.has_max, p.max);
    some_double(t, "zero_threshold", p.zero_threshold);
    return err;
}

static int put_summary_point(struct text *t, struct weft_slice message)
{
    struct weft_summary_point p;
    struct weft_quantile q;
    int result, err = weft_summary_point_read(message, &p);

    if (err)
        return err;
    some_uint(t, "start_time_unix_nano", p.start_ns);
    some_uint(t, "time_unix_nano", p.time_ns);
    some_uint(t, "count", p.count);
    some_double(t, "sum", p.sum);
    for (struct weft_slice rest = message; (result = weft_quantile_next(&rest, &q)) > 0;) {
        text_open(t, "quantile_values");
        some_double(t, "quantile", q.quantile);
        some_double(t, "value", q.value);
        text_close(t);
    }
    if (result < 0)
        return result;
    err = put_attributes(t, "attributes", message, WEFT_SUMMARY_POINT_ATTRIBUTES);
    some_uint(t, "flags", p.flags);
    return err;
}

static int put_point(struct text *t, enum weft_metric_kind kind, struct weft_slice point)
{
    switch (kind) {
    case WEFT_METRIC_HISTOGRAM:
        return put_histogram_point(t, point);
    case WEFT_METRIC_EXP_HISTOGRAM:
        return put_exp_histogram_point(t, point);
    case WEFT_METRIC_SUMMARY:
        return put_summary_point(t, point);
    default:
        return put_number_point(t, kind, point);
    }
}

static int put_data(struct text *t, const struct weft_metric_view *metric)
{
    static const char *const names[] = {
        [WEFT_METRIC_GAUGE] = "gauge",
        [WEFT_METRIC_SUM] = "sum",
        [WEFT_METRIC_HISTOGRAM] = "histogram",
        [WEFT_METRIC_EXP_HISTOGRAM] = "exponential_histogram",
        [WEFT_METRIC_SUMMARY] = "summary",
    };
    struct weft_slice point;
    uint32_t n = 0;
    int result;

    text_open(t, names[metric->kind]);
    for (struct weft_slice rest = metric->data; (result = weft_metric_point_next(&rest, &point)) > 0; n++) {
        text_open(t, "data_points");
        int err = put_point(t, metric->kind, point);
        text_close(t);
        if (err)
            return err;
    }
    if (result < 0 || n != metric->n_points)
        return WEFT_ERR_MALFORMED;
    if (metric->kind != WEFT_METRIC_GAUGE && metric->kind != WEFT_METRIC_SUMMARY)
        ENUM(t, "aggregation_temporality", (int32_t)metric->temporality, "AGGREGATION_TEMPORALITY_", temporalities);
    if (metric->kind == WEFT_METRIC_SUM && metric->monotonic)
        text_word(t, "is_monotonic", "true");
    text_close(t);
    return 0;
}

static int put_metric(struct text *t, struct weft_slice message)
{
    struct weft_metric_view metric;
    int err = weft_metric_read(message, &metric);

    if (err)
        return err;
    some_string(t, "name", metric.name);
    some_string(t, "description", metric.description);
    some_string(t, "unit", metric.unit);
    if (metric.kind != WEFT_METRIC_EMPTY)
        err = put_data(t, &metric);
    return err ? err : put_attributes(t, "metadata", message, WEFT_METRIC_METADATA);
}

/* ---- groups ---- */

static int put_resource(struct text *t, struct weft_slice resource)
{
    if (!resource.data)
        return 0;
    text_open(t, "resource");
    int err = put_attributes(t, "attributes", resource, WEFT_RESOURCE_ATTRIBUTES);
    some_uint(t, "dropped_attributes_count", last_uint(resource, WEFT_RESOURCE_DROPPED));
    put_entities(t, resource);
    text_close(t);
    return err;
}

static int put_scope(struct text *t, struct weft_slice message)
{
    struct weft_scope_view scope;
    int err = weft_scope_read(message, &scope);

    if (err || !message.data)
        return err;
    text_open(t, "scope");
    some_string(t, "name", scope.name);
    some_string(t, "version", scope.version);
    err = put_attributes(t, "attributes", message, WEFT_SCOPE_ATTRIBUTES);
    some_uint(t, "dropped_attributes_count", scope.dropped_attributes);
    text_close(t);
    return err;
}

int otlp_text(enum weft_signal signal, struct weft_slice payload, bool c_strings, struct weft_buf *out)
{
    static const char *const resources[] = { "resource_spans", "resource_logs", "resource_metrics" };
    static const char *const scopes[] = { "scope_spans", "scope_logs", "scope_metrics" };
    static const char *const items[] = { "spans", "log_records", "metrics" };
    static int (*const put_item[])(struct text *, struct weft_slice) = { put_span, put_log, put_metric };
    struct text t = { out, 0, c_strings };
    struct weft_slice scope_url = { 0 }, resource_url = { 0 };
    struct weft_otlp_walk w;
    int result, err;

    weft_otlp_walk_init(&w, payload);
    while ((result = weft_otlp_walk_next(&w)) > 0) {
        if (w.new_scope && t.indent > 0) {
            some_string(&t, "schema_url", scope_url);
            text_close(&t);
        }
        if (w.new_resource && t.indent > 0) {
            some_string(&t, "schema_url", resource_url);
            text_close(&t);
        }
        if (w.new_resource) {
            text_open(&t, resources[signal]);
            err = put_resource(&t, w.resource);
            if (err)
                return err;
        }
        if (w.new_scope) {
            text_open(&t, scopes[signal]);
            err = put_scope(&t, w.scope);
            if (err)
                return err;
        }
        text_open(&t, items[signal]);
        err = put_item[signal](&t, w.item);
        if (err)
            return err;
        text_close(&t);
        scope_url = w.scope_schema_url;
        resource_url = w.resource_schema_url;
    }
    if (result < 0)
        return result;
    if (t.indent > 0) {
        some_string(&t, "schema_url", scope_url);
        text_close(&t);
        some_string(&t, "schema_url", resource_url);
        text_close(&t);
    }
    return out->err;
}

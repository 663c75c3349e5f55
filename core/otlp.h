/* SPDX-License-Identifier: Apache-2.0 */
/* otlp.h: views of OTLP messages over their own bytes (field numbers: otlp_fields.h).
 *
 * A payload is the body of an Export{Trace,Logs,Metrics}ServiceRequest. The walk visits its
 * items (spans, log records, metrics) in order together with the resource and scope that each
 * belongs to; a view then reads one message's fields into a struct of scalars and slices. Nothing
 * is allocated; slices live as long as the payload. Unknown fields are skipped; malformed
 * bytes give WEFT_ERR_MALFORMED and never a read out of bounds.
 *
 * All three request types have the same shape (field 1 resource groups; in them 1 resource, 2 scope
 * groups, 3 schema_url; in those 1 scope, 2 items, 3 schema_url), which is why there is one walk.
 *
 * Fields may come in any order. A scalar that comes twice: the last wins. A sub-message that comes twice is merged where
 * protobuf-c merges it (status, buckets); of a oneof the last wins. A group with two resources or two scopes is refused by
 * weft_otlp_count: protobuf would merge them, no encoder writes them, and one slice cannot show them.
 * Stateless; any thread.
 */
#ifndef WEFT_CORE_OTLP_H
#define WEFT_CORE_OTLP_H

#include "core/buf.h"
#include "core/otlp_fields.h"
#include "core/slice.h"
#include "core/wire.h"

enum weft_signal { WEFT_TRACES, WEFT_LOGS, WEFT_METRICS, WEFT_SIGNALS };

/* "traces", "logs", "metrics". */
const char *weft_signal_name(enum weft_signal signal);

/* What `n` of its items are called: "spans", "log records", "data points"; "span", ... when it is one. */
const char *weft_signal_items(enum weft_signal signal, uint64_t n);

/* ---- the walk ---- */
struct weft_otlp_walk {
    struct weft_slice resource;            /* Resource message of the current item (may be empty) */
    struct weft_slice resource_schema_url;
    struct weft_slice scope;               /* InstrumentationScope message (may be empty) */
    struct weft_slice scope_schema_url;
    struct weft_slice item;                /* the current Span, LogRecord or Metric */
    bool new_resource, new_scope;          /* this item is the first of its group */
    struct weft_slice request_rest, resource_rest, scope_rest; /* private */
    bool pending_resource, pending_scope;                      /* private */
};

/* Before the first item; `payload` must live as long as the walk. */
void weft_otlp_walk_init(struct weft_otlp_walk *w, struct weft_slice payload);

/* 1: the walk stands on the next item. 0: clean end. WEFT_ERR_MALFORMED. */
int weft_otlp_walk_next(struct weft_otlp_walk *w);

/* Message levels that a payload may nest, like protobuf's own limit; an array value in an array takes two. */
enum { WEFT_OTLP_MAX_DEPTH = 100 };

/* Checks the whole payload, attribute values included, and counts what OTLP's partial success counts: spans,
 * log records, or data points. 0 or WEFT_ERR_MALFORMED. Whatever it accepts, protobuf parses: wrong wire types of known
 * fields are refused, unknown fields are not. UTF-8 of strings is not checked: who writes text (JSON) must. */
int weft_otlp_count(enum weft_signal signal, struct weft_slice payload, uint32_t *ret_items);

/* ---- values and attributes ---- */
enum weft_any_kind {
    WEFT_ANY_EMPTY,  /* no value set */
    WEFT_ANY_STRING, /* bytes */
    WEFT_ANY_BOOL,   /* integer */
    WEFT_ANY_INT,    /* integer */
    WEFT_ANY_DOUBLE, /* real */
    WEFT_ANY_ARRAY,  /* bytes: an ArrayValue message */
    WEFT_ANY_KVLIST, /* bytes: a KeyValueList message */
    WEFT_ANY_BYTES,  /* bytes */
};

struct weft_any {
    enum weft_any_kind kind;
    int64_t integer;
    double real;
    struct weft_slice bytes;
};

struct weft_attribute {
    struct weft_slice key;
    struct weft_any value;
};

/* Reads an AnyValue message. */
int weft_any_read(struct weft_slice message, struct weft_any *ret_value);

/* An iterator over the attributes of a message whose attributes are field `number`. */
struct weft_attributes {
    struct weft_slice rest;
    uint32_t number;
};

static inline struct weft_attributes weft_attributes_of(struct weft_slice message, uint32_t number)
{
    return (struct weft_attributes){ message, number };
}

/* 1: *ret_attribute is the next one. 0: end. WEFT_ERR_MALFORMED. */
int weft_attributes_next(struct weft_attributes *it, struct weft_attribute *ret_attribute);

/* Reads one KeyValue message. 0 or WEFT_ERR_MALFORMED. */
int weft_attribute_read(struct weft_slice message, struct weft_attribute *ret_attribute);

/* The values of an ArrayValue message, one by one: 1, 0, or WEFT_ERR_MALFORMED. */
int weft_any_array_next(struct weft_slice *rest, struct weft_any *ret_value);

/* Finds one attribute by key: 1 found, 0 not there, WEFT_ERR_MALFORMED. The last of equal keys wins. */
int weft_attribute_find(struct weft_slice message, uint32_t number, struct weft_slice key,
                        struct weft_any *ret_value);

/* An InstrumentationScope message (empty: no scope, all fields empty). Attributes: WEFT_SCOPE_ATTRIBUTES. */
struct weft_scope_view {
    struct weft_slice name, version;
    uint32_t n_attributes, dropped_attributes;
};

/* 0 or WEFT_ERR_MALFORMED. */
int weft_scope_read(struct weft_slice message, struct weft_scope_view *ret_scope);

/* ---- spans ---- */
struct weft_span_view {
    struct weft_slice message;
    struct weft_slice trace_id, span_id, parent_span_id; /* 16, 8, 8 bytes when valid, as sent */
    struct weft_slice trace_state, name;
    uint32_t flags;
    int32_t kind;
    uint64_t start_ns, end_ns;
    int32_t status_code;
    struct weft_slice status_message;
    uint32_t n_attributes, n_events, n_links;
    uint32_t dropped_attributes, dropped_events, dropped_links;
};

/* 0 or WEFT_ERR_MALFORMED. */
int weft_span_read(struct weft_slice message, struct weft_span_view *ret_span);

struct weft_span_event { struct weft_slice message, name; uint64_t time_ns; uint32_t dropped_attributes; };
struct weft_span_link {
    struct weft_slice message, trace_id, span_id, trace_state;
    uint32_t flags, dropped_attributes;
};

/* Iterate over the events (links) of a span: start with rest = span->message. 1, 0, or an error. */
int weft_span_event_next(struct weft_slice *rest, struct weft_span_event *ret_event);
int weft_span_link_next(struct weft_slice *rest, struct weft_span_link *ret_link);

/* ---- log records ---- */
struct weft_log_view {
    struct weft_slice message;
    uint64_t time_ns, observed_ns;
    int32_t severity_number;
    struct weft_slice severity_text, body, event_name; /* body: an AnyValue message; data NULL when absent */
    struct weft_slice trace_id, span_id;
    uint32_t flags, n_attributes, dropped_attributes;
};

/* 0 or WEFT_ERR_MALFORMED. */
int weft_log_read(struct weft_slice message, struct weft_log_view *ret_log);

/* ---- metrics ---- */
enum weft_metric_kind {
    WEFT_METRIC_EMPTY = 0,
    WEFT_METRIC_GAUGE = 5, /* the numbers of the oneof in metrics.proto */
    WEFT_METRIC_SUM = 7,
    WEFT_METRIC_HISTOGRAM = 9,
    WEFT_METRIC_EXP_HISTOGRAM = 10,
    WEFT_METRIC_SUMMARY = 11,
};
enum weft_temporality { WEFT_TEMPORALITY_UNSPECIFIED, WEFT_TEMPORALITY_DELTA, WEFT_TEMPORALITY_CUMULATIVE };

struct weft_metric_view {
    struct weft_slice message, name, description, unit;
    enum weft_metric_kind kind;
    struct weft_slice data; /* the Gauge, Sum, ... message */
    enum weft_temporality temporality;
    bool monotonic;
    uint32_t n_points;
};

/* 0 or WEFT_ERR_MALFORMED. */
int weft_metric_read(struct weft_slice message, struct weft_metric_view *ret_metric);

/* The data points of metric->data, one by one (start with rest = metric->data): 1, 0, or an error. */
int weft_metric_point_next(struct weft_slice *rest, struct weft_slice *ret_point);

struct weft_number_point { /* of gauges and sums */
    struct weft_slice message;
    uint64_t start_ns, time_ns;
    bool is_int, has_value;
    int64_t integer;
    double real;
    uint32_t flags; /* bit 0: no recorded value */
    uint32_t n_exemplars;
};

/* Repeated numbers of a message, one by one: packed, not packed, or in several pieces, as protobuf allows. Copy
 * the one that a view holds, then call the `next` of its type until it gives 0. */
struct weft_repeated {
    struct weft_slice outer, rest, packed; /* private */
    uint32_t outer_number, number;         /* private; outer_number 0: the field is in `rest` itself */
};

/* 1: *ret_value is the next one. 0: end. WEFT_ERR_MALFORMED. */
int weft_repeated_next_double(struct weft_repeated *it, double *ret_value);
int weft_repeated_next_fixed64(struct weft_repeated *it, uint64_t *ret_value);
int weft_repeated_next_varint(struct weft_repeated *it, uint64_t *ret_value);

struct weft_histogram_point {
    struct weft_slice message;
    uint64_t start_ns, time_ns, count;
    double sum, min, max;
    bool has_sum, has_min, has_max;
    uint32_t n_bounds, n_bucket_counts;
    struct weft_repeated bounds;        /* next_double */
    struct weft_repeated bucket_counts; /* next_fixed64 */
    uint32_t flags, n_exemplars;
};

struct weft_exp_buckets {
    int32_t offset;
    uint32_t n_counts;
    struct weft_repeated counts; /* next_varint */
};

struct weft_exp_histogram_point {
    struct weft_slice message;
    uint64_t start_ns, time_ns, count, zero_count;
    double sum, min, max, zero_threshold;
    bool has_sum, has_min, has_max;
    int32_t scale;
    struct weft_exp_buckets positive, negative;
    uint32_t flags, n_exemplars;
};

struct weft_summary_point {
    struct weft_slice message;
    uint64_t start_ns, time_ns, count;
    double sum;
    uint32_t flags;
};

struct weft_quantile { double quantile, value; };

struct weft_exemplar {
    struct weft_slice message;
    uint64_t time_ns;
    bool is_int, has_value;
    int64_t integer;
    double real;
    struct weft_slice span_id, trace_id;
};

/* 0 or WEFT_ERR_MALFORMED; the message is of the kind that its metric says. */
int weft_number_point_read(struct weft_slice message, struct weft_number_point *ret_point);
int weft_histogram_point_read(struct weft_slice message, struct weft_histogram_point *ret_point);
int weft_exp_histogram_point_read(struct weft_slice message, struct weft_exp_histogram_point *ret_point);
int weft_summary_point_read(struct weft_slice message, struct weft_summary_point *ret_point);

/* Quantiles of a summary point: start with rest = point->message. */
int weft_quantile_next(struct weft_slice *rest, struct weft_quantile *ret_quantile);

/* Exemplars of a point of a metric of `kind`: start with rest = point->message. */
int weft_exemplar_next(enum weft_metric_kind kind, struct weft_slice *rest, struct weft_exemplar *ret_exemplar);

/* ---- building: what translators use to write OTLP ---- */
void weft_any_put_string(struct weft_buf *b, uint32_t number, struct weft_slice value);
void weft_any_put_int(struct weft_buf *b, uint32_t number, int64_t value);
void weft_any_put_double(struct weft_buf *b, uint32_t number, double value);
void weft_any_put_bool(struct weft_buf *b, uint32_t number, bool value);
void weft_any_put_bytes(struct weft_buf *b, uint32_t number, struct weft_slice value);

/* KeyValue fields with the given field number in the message being written. */
void weft_attribute_put_string(struct weft_buf *b, uint32_t number, struct weft_slice key, struct weft_slice value);
void weft_attribute_put_int(struct weft_buf *b, uint32_t number, struct weft_slice key, int64_t value);
void weft_attribute_put_double(struct weft_buf *b, uint32_t number, struct weft_slice key, double value);
void weft_attribute_put_bool(struct weft_buf *b, uint32_t number, struct weft_slice key, bool value);

/* One request holding one resource and one scope, items appended between open and close:
 *   open; weft_wire_begin(b, WEFT_OTLP_ITEMS) ... weft_wire_end; ...; close
 * `resource` and `scope` are finished Resource / InstrumentationScope messages (may be empty). */
struct weft_otlp_group { size_t resource_mark, scope_mark; };
struct weft_otlp_group weft_otlp_group_open(struct weft_buf *b, struct weft_slice resource, struct weft_slice scope);
void weft_otlp_group_close(struct weft_buf *b, struct weft_otlp_group group);

/* ---- hex ids ---- */
/* Lower-case hex of up to 16 bytes into `out` (2 * id.len + 1 bytes, NUL-terminated). */
void weft_hex_write(struct weft_slice id, char *out);
/* Reads exactly 2 * n hex digits of any case. false: not that. */
bool weft_hex_read(struct weft_slice text, uint8_t *out, size_t n);
/* True when the id has `n` bytes and is not all zeroes. */
bool weft_id_valid(struct weft_slice id, size_t n);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* correlation.c: puts `correlation.id` on every span, log record and exemplar; the rules are told in docs/correlation.md, the
 * steps in correlation_parts.h.
 *
 *   (1) A `correlation.id` that is there already is never changed.
 *   (2) Whatever is put on can be taken off again: nothing else of the request changes.
 *   (3) What a request needs lives in its arena: no allocation per span or line.
 *
 * One instance serves all ingest loops: after start it is const but for its counters. */
#include "processors/correlation.h"

#include "processors/correlation_parts.h"

#include "core/err.h"

#include <stdatomic.h>

struct correlation {
    struct weft_processor base;
    struct weft_strings keys, request_keys, baggage_keys;
    struct keys table;
};

static const struct weft_option options[] = {
    WEFT_LIST("keys", struct correlation, keys,
              .fallback = "correlation.id,correlation_id,correlationId,correlation-id,x-correlation-id,x_correlation_id,"
                          "http.request.header.x-correlation-id,http.request.header.x_correlation_id,"
                          "http.request.header.correlation-id,http.request.header.correlation_id",
              .help = "attributes that hold a correlation ID, best first, in any case"),
    WEFT_LIST("request_keys", struct correlation, request_keys,
              .fallback = "request.id,request_id,requestId,request-id,x-request-id,x_request_id,"
                          "http.request.header.x-request-id,http.request.header.x_request_id,"
                          "http.request.header.request-id,http.request.header.request_id,http.request_id",
              .help = "attributes that hold a request ID, best first, in any case; they come after all of keys"),
    WEFT_LIST("baggage_keys", struct correlation, baggage_keys,
              .fallback = "baggage,http.request.header.baggage",
              .help = "attributes that hold a W3C baggage header, whose members are looked up in the other lists"),
    { .key = NULL },
};

static bool add_all(struct correlation *c, const struct weft_strings *list, enum key_kind kind)
{
    for (size_t i = 0; i < list->n; i++)
        if (!weft_correlation_keys_add(&c->table, list->items[i], kind))
            return false;
    return true;
}

/* False: a key is empty or too long, or there are too many. */
static bool make_table(struct correlation *c)
{
    c->table = (struct keys){ 0 };
    if (!weft_correlation_keys_add(&c->table, "correlation.id", KEY_CORRELATION) ||
        !weft_correlation_keys_add(&c->table, "correlation.inferred", KEY_INFERRED) ||
        !add_all(c, &c->keys, KEY_CORRELATION) || !add_all(c, &c->request_keys, KEY_REQUEST) ||
        !add_all(c, &c->baggage_keys, KEY_BAGGAGE))
        return false;
    weft_correlation_keys_done(&c->table);
    return true;
}

static int check(struct weft_processor *self, const struct weft_node *map, struct weft_problems *problems)
{
    struct correlation *c = (struct correlation *)self;

    if (make_table(c))
        return 0;
    weft_problem(problems, map, "at most %d keys of 1 to %d bytes each",
                 CORRELATION_KEYS_MAX - 2, CORRELATION_KEY_LEN_MAX);
    return WEFT_ERR_CONFIG;
}

static int start(struct weft_processor *self)
{
    return make_table((struct correlation *)self) ? 0 : WEFT_ERR_CONFIG;
}

static void count(struct weft_processor *self, const struct work *w)
{
    for (size_t i = 0; i < COUNTERS; i++)
        if (w->counts[i] > 0 && self->counters)
            atomic_fetch_add_explicit(&self->counters[i * WEFT_SIGNALS + w->signal], w->counts[i],
                                      memory_order_relaxed);
}

static int process(struct weft_processor *self, struct weft_record *record, struct weft_arena *scratch)
{
    const struct correlation *c = (const struct correlation *)self;
    struct work w = { .keys = &c->table, .scratch = scratch, .signal = record->signal, .payload = record->payload,
                      .n_leaves = record->signal == WEFT_METRICS ? 0 : record->n_items };
    int err = weft_correlation_collect(&w);

    if (!err)
        err = weft_correlation_resolve(&w);
    if (!err)
        err = weft_correlation_splice(&w, &record->payload);
    if (err)
        return err;
    count(self, &w);
    return 1;
}

#define TAGGED(source) \
    { "correlation_tagged_records", "source", source, "records that got a correlation.id, by where it came from" }

/* In the order of enum counter. */
static const struct weft_counter counters[] = {
    TAGGED("explicit"), TAGGED("request"), TAGGED("resource"), TAGGED("batch"), TAGGED("link"), TAGGED("trace_id"),
    { "correlation_kept_records", NULL, NULL, "records that came with a correlation.id" },
    { "correlation_untagged_records", NULL, NULL, "records with neither an ID of any kind nor a trace" },
    { "correlation_invalid_values", NULL, NULL, "IDs passed over: empty, over 128 bytes, or not printable" },
    { "correlation_inherited_trace_ids", NULL, NULL, "logs that got the trace ID of their request ID" },
};
_Static_assert(sizeof counters / sizeof *counters == COUNTERS, "one row a counter");

const struct weft_processor_type weft_processor_correlation = {
    .name = "correlation",
    .summary = "ties spans, logs and exemplars together by correlation.id",
    .size = sizeof(struct correlation),
    .signals = 1u << WEFT_TRACES | 1u << WEFT_LOGS | 1u << WEFT_METRICS,
    .options = options,
    .check = check,
    .start = start,
    .process = process,
    .counter_rows = counters,
    .n_counters = COUNTERS,
};

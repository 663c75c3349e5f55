/* SPDX-License-Identifier: Apache-2.0 */
/* elasticsearch_document.h: one document in either mapping mode, written into reserved room.
 *
 *   otel   the shape of the Collector's exporter (its golden files): original names under attributes, resource, scope
 *   ecs    Elastic Common Schema; names stay dotted (Elasticsearch expands them), a name that comes twice is taken
 *          from the record before the scope before the resource
 *
 * Both carry correlation_id at the top, copied from the attribute correlation.id. No state; one thread.
 */
#ifndef WEFT_EXPORTERS_ELASTICSEARCH_DOCUMENT_H
#define WEFT_EXPORTERS_ELASTICSEARCH_DOCUMENT_H

#include "exporters/elasticsearch_out.h"

/* What a document is made of. Exactly one of log, span and event + span. */
struct weft_es_document {
    const struct weft_log_view *log;
    const struct weft_span_view *span;
    const struct weft_span_event *event;   /* of `span`: a document of its own */
    uint64_t arrival_ns;                   /* @timestamp when the data has none */
    struct weft_slice resource, scope;     /* messages; ecs only */
    struct weft_slice group;               /* what weft_es_otel_group wrote; otel only */
    struct weft_slice stream;              /* ,"data_stream":{...} or nothing */
    struct weft_es_keys *keys;             /* scratch */
};

/* What was met on the way and matters to the caller. */
struct weft_es_met {
    bool route;                            /* an attribute that may send this document elsewhere */
    struct weft_any correlation;           /* the attribute correlation.id */
    struct weft_slice event_name;          /* the attribute event.name, when it is text */
};

/* Each writes the whole object, without a newline. A malformed attribute ends its list: OTLP that was counted has none. */
void weft_es_put_otel(struct weft_es_out *o, const struct weft_es_document *d, struct weft_es_met *met);
void weft_es_put_ecs(struct weft_es_out *o, const struct weft_es_document *d, struct weft_es_met *met);

/* ,"resource":{...},"scope":{...}: the same for every document of a group. */
void weft_es_put_otel_group(struct weft_es_out *o, struct weft_slice resource, struct weft_slice resource_schema_url,
                            struct weft_slice scope, struct weft_slice scope_schema_url, struct weft_es_keys *keys);

/* ,"data_stream":{"type":...} */
void weft_es_put_stream(struct weft_es_out *o, const char *type, const char *dataset, const char *name_space);

/* ---- shared by the two modes ---- */
uint64_t weft_es_time(const struct weft_es_document *d);

/* Notes what is special about an attribute. True: it is not part of the document's attributes. */
static inline bool weft_es_meet(struct weft_es_met *met, const struct weft_attribute *a)
{
    if (a->key.len < 14) {
        if (a->key.len == 10 && memcmp(a->key.data, "event.name", 10) == 0 && a->value.kind == WEFT_ANY_STRING)
            met->event_name = a->value.bytes;
        return false;
    }
    if (a->key.data[0] == 'c' && weft_slice_is(a->key, "correlation.id"))
        met->correlation = a->value;
    if ((a->key.data[0] == 'd' && memcmp(a->key.data, "data_stream.", 12) == 0 &&
         (weft_slice_is(a->key, "data_stream.type") || weft_slice_is(a->key, "data_stream.dataset") ||
          weft_slice_is(a->key, "data_stream.namespace"))) ||
        (a->key.data[0] == 'e' && weft_slice_is(a->key, "elasticsearch.index"))) {
        met->route = true;
        return true;
    }
    return false;
}

/* ,"correlation_id":... when there is one that is not empty. */
void weft_es_put_correlation(struct weft_es_out *o, const struct weft_es_met *met);

#endif

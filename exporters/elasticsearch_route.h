/* SPDX-License-Identifier: Apache-2.0 */
/* elasticsearch_route.h: which index or data stream a document goes to, as the Collector's exporter decides it.
 *
 *   1. the attribute elasticsearch.index names it whole;
 *   2. a static index of the configuration;
 *   3. data_stream.dataset and data_stream.namespace, record before scope before resource;
 *   4. else a scope named .../receiver/Xreceiver is its own dataset;
 *   5. else generic and default.
 * 3 to 5 give TYPE-DATASET-NAMESPACE; in OTel mode ".otel" is appended to the dataset.
 * Stateless; any thread.
 */
#ifndef WEFT_EXPORTERS_ELASTICSEARCH_ROUTE_H
#define WEFT_EXPORTERS_ELASTICSEARCH_ROUTE_H

#include "core/otlp.h"

enum { WEFT_ES_FIELD_MAX = 100, WEFT_ES_INDEX_MAX = 255 };

struct weft_es_route {
    char index[WEFT_ES_INDEX_MAX + 1];
    const char *type;                      /* "logs" or "traces" */
    char dataset[WEFT_ES_FIELD_MAX + 1], name_space[WEFT_ES_FIELD_MAX + 1];
    bool stream;                           /* a data stream: the document says which */
};

/* One message that has attributes. */
struct weft_es_source { struct weft_slice message; uint32_t number; };

struct weft_es_route_options {
    const char *type;          /* of the data stream: "logs" or "traces" */
    const char *static_index;  /* NULL: none */
    bool otel;
};

/* `sources` in order of precedence: record, scope, resource (a source may be empty). `scope_name` for 4. */
void weft_es_route(const struct weft_es_route_options *options, const struct weft_es_source *sources, size_t n_sources,
                   struct weft_slice scope_name, struct weft_es_route *ret_route);

/* True when an attribute with this key may change the route. Cheap: it is asked for every attribute. */
static inline bool weft_es_route_key(struct weft_slice key)
{
    return key.len >= 16 && ((key.data[0] == 'd' && memcmp(key.data, "data_stream.", 12) == 0) ||
                             (key.data[0] == 'e' && memcmp(key.data, "elasticsearch.", 14) == 0));
}

#endif

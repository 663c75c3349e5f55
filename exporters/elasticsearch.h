/* SPDX-License-Identifier: Apache-2.0 */
/* elasticsearch.h: logs and spans into Elasticsearch or OpenSearch through `_bulk`.
 *
 * Documents are written straight from the OTLP bytes into one request body: nothing is decoded into a tree, and
 * nothing is allocated for an item. Each has an _id made of the journal's id, the record's sequence and the item's
 * place in it, and is created, never overwritten: sending something twice leaves one document.
 * Everything runs on the lane's thread.
 */
#ifndef WEFT_EXPORTERS_ELASTICSEARCH_H
#define WEFT_EXPORTERS_ELASTICSEARCH_H

#include "core/component.h"

extern const struct weft_exporter_type weft_exporter_elasticsearch;

#endif

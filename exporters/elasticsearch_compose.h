/* SPDX-License-Identifier: Apache-2.0 */
/* elasticsearch_compose.h: a `_bulk` body of the items of a batch that wait.
 *
 *   (1) Documents of one item stand next to each other in one body: a span, then its events.
 *   (2) docs[i] is the batch's item that the i-th document belongs to.
 *   (3) A body ends between two items as soon as it has reached max_bytes, or where memory ends; one item may pass it.
 *   (4) The _id of a document depends on the journal, the record and the item alone, never on how a batch was cut.
 *
 * One thread; one composer may serve many bodies.
 */
#ifndef WEFT_EXPORTERS_ELASTICSEARCH_COMPOSE_H
#define WEFT_EXPORTERS_ELASTICSEARCH_COMPOSE_H

#include "core/component.h"
#include "exporters/elasticsearch_document.h"
#include "exporters/elasticsearch_route.h"

struct weft_es_place { struct weft_slice action, stream; uint8_t room[6 * (WEFT_ES_INDEX_MAX + 2 * WEFT_ES_FIELD_MAX) + 1024]; };

struct weft_es_composer {
    bool otel;                               /* else ECS */
    const char *static_index[WEFT_SIGNALS];  /* NULL: data streams */
    /* of the group that was visited last */
    struct weft_buf group;
    struct weft_es_place place, event_place, own_place;
    struct weft_es_keys keys;
};

/* The options above are set by the caller, everything else by this. */
void weft_es_composer_init(struct weft_es_composer *c);
void weft_es_composer_release(struct weft_es_composer *c);

struct weft_es_body {
    struct weft_buf bytes;
    uint32_t *docs;
    size_t n_docs, docs_cap;
    size_t wanted;           /* bytes that the item for which there was no memory would have needed with what is before it */
};

void weft_es_body_init(struct weft_es_body *b, size_t limit);
void weft_es_body_release(struct weft_es_body *b);
void weft_es_body_reset(struct weft_es_body *b);

/* Appends the waiting items of `batch` from `first` on; *ret_end is the first item that was not looked at. 0, or an
 * error about item *ret_end alone (WEFT_ERR_MALFORMED; WEFT_ERR_TOO_LARGE when it does not fit even into an empty
 * body; WEFT_ERR_LIMIT or UV_ENOMEM when there is no memory even for it alone): what was appended before it is good. */
int weft_es_compose(struct weft_es_composer *c, const struct weft_batch *batch, uint64_t first, size_t max_bytes,
                    struct weft_es_body *body, uint64_t *ret_end);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* filelog_batch.h: LogRecords gathered into one request. Lines that follow each other and name the same service share a
 * resource; order is kept. One thread. */
#ifndef WEFT_RECEIVERS_FILELOG_BATCH_H
#define WEFT_RECEIVERS_FILELOG_BATCH_H

#include "receivers/filelog_line.h"

#include "core/otlp.h"

struct weft_filelog_batch {
    struct weft_buf payload;   /* the request; whole after finish */
    uint32_t n_items;
    struct weft_slice base;    /* attributes of every resource: finished KeyValue fields; borrowed */
    struct weft_buf resource;  /* private, as is all that follows */
    struct weft_otlp_group group;
    bool open;
    size_t service_len;
    uint8_t service[WEFT_FILELOG_SERVICE_MAX];
};

void weft_filelog_batch_init(struct weft_filelog_batch *b, size_t limit, struct weft_slice base);
void weft_filelog_batch_release(struct weft_filelog_batch *b); /* accepts a zeroed one */
void weft_filelog_batch_reset(struct weft_filelog_batch *b);

/* Adds a record of `service` (empty: of nobody in particular). 0, or the buffer's error: then the batch must be reset. */
int weft_filelog_batch_add(struct weft_filelog_batch *b, struct weft_slice service, struct weft_slice record);

/* Completes the payload. 0 or the buffer's error. */
int weft_filelog_batch_finish(struct weft_filelog_batch *b);

#endif

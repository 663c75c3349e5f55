/* SPDX-License-Identifier: Apache-2.0 */
/* filelog_batch.c: see filelog_batch.h. */
#include "receivers/filelog_batch.h"

#include "core/err.h"

void weft_filelog_batch_init(struct weft_filelog_batch *b, size_t limit, struct weft_slice base)
{
    *b = (struct weft_filelog_batch){ .base = base };
    weft_buf_init(&b->payload, limit);
    weft_buf_init(&b->resource, base.len + WEFT_FILELOG_SERVICE_MAX + 64);
}

void weft_filelog_batch_release(struct weft_filelog_batch *b)
{
    weft_buf_release(&b->payload);
    weft_buf_release(&b->resource);
}

void weft_filelog_batch_reset(struct weft_filelog_batch *b)
{
    weft_buf_reset(&b->payload);
    b->n_items = 0;
    b->open = false;
}

static void close_group(struct weft_filelog_batch *b)
{
    if (b->open)
        weft_otlp_group_close(&b->payload, b->group);
    b->open = false;
}

static int open_group(struct weft_filelog_batch *b, struct weft_slice service)
{
    close_group(b);
    weft_buf_reset(&b->resource);
    weft_buf_append(&b->resource, b->base.data, b->base.len);
    if (service.len > 0) {
        weft_attribute_put_string(&b->resource, WEFT_RESOURCE_ATTRIBUTES, WEFT_SLICE("service.name"), service);
        memcpy(b->service, service.data, service.len);
    }
    b->service_len = service.len;
    if (b->resource.err)
        return b->resource.err;
    b->group = weft_otlp_group_open(&b->payload, weft_buf_slice(&b->resource), weft_slice_of(NULL, 0));
    b->open = true;
    return b->payload.err;
}

int weft_filelog_batch_add(struct weft_filelog_batch *b, struct weft_slice service, struct weft_slice record)
{
    if (service.len > WEFT_FILELOG_SERVICE_MAX)
        service.len = WEFT_FILELOG_SERVICE_MAX;
    if (!b->open || !weft_slice_equal(service, weft_slice_of(b->service, b->service_len))) {
        int err = open_group(b, service);
        if (err)
            return err;
    }
    weft_wire_put_bytes(&b->payload, WEFT_OTLP_ITEMS, record);
    b->n_items += !b->payload.err;
    return b->payload.err;
}

int weft_filelog_batch_finish(struct weft_filelog_batch *b)
{
    close_group(b);
    return b->payload.err;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The first byte chooses spans or logs, the rest is a request. Each item that the check accepts is written as documents of
 * both modes into rooms that are too small in every way: nothing may be written behind a room, and a document that fits is
 * JSON. The documents are written through bare pointers, so this is what their slack is held against. */
#include "exporters/elasticsearch_document.h"

#include "core/json.h"
#include "core/otlp.h"

#include <stdint.h>
#include <stdlib.h>

enum { STEP = 61, ROOMS = 200 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct item {
    struct weft_es_document document;
    const struct weft_otlp_walk *walk;
    bool otel, group; /* group: write what documents of one group share, and no document */
};

static void put(struct weft_es_out *o, struct item *item)
{
    struct weft_es_met met = { 0 };

    if (item->group)
        weft_es_put_otel_group(o, item->walk->resource, item->walk->resource_schema_url, item->walk->scope,
                               item->walk->scope_schema_url, item->document.keys);
    else if (item->otel)
        weft_es_put_otel(o, &item->document, &met);
    else
        weft_es_put_ecs(o, &item->document, &met);
}

static bool is_object(struct weft_slice text)
{
    struct weft_json j;

    weft_json_init(&j, text);
    return weft_json_next(&j) == WEFT_JSON_OBJECT_BEGIN && weft_json_skip(&j, NULL) == 0
           && weft_json_next(&j) == WEFT_JSON_END;
}

/* From the least room there may be up to one that is enough. */
static void put_into_rooms(struct item *item)
{
    size_t size = WEFT_ES_SLACK;

    for (int i = 0; i < ROOMS; i++, size += i < ROOMS / 2 ? STEP : size / 8) {
        uint8_t *room = malloc(size);
        struct weft_es_out o = { room, room + size, false, 0 };
        put(&o, item);
        bool full = o.full, good = full || item->group || is_object(weft_slice_of(room, (size_t)(o.at - room)));
        if (o.at > o.end || !good)
            abort();
        free(room);
        if (!full)
            return;
    }
}

static void put_all_ways(struct item item)
{
    item.otel = true;
    put_into_rooms(&item);
    item.otel = false;
    put_into_rooms(&item);
    item.group = true;
    put_into_rooms(&item);
}

static void put_span(struct item item)
{
    struct weft_span_view span;
    struct weft_span_event event;

    if (weft_span_read(item.walk->item, &span) != 0)
        abort();
    item.document.span = &span;
    put_all_ways(item);
    item.document.event = &event;
    for (struct weft_slice rest = span.message; weft_span_event_next(&rest, &event) > 0;)
        put_all_ways(item);
}

static void put_log(struct item item)
{
    struct weft_log_view log;

    if (weft_log_read(item.walk->item, &log) != 0)
        abort();
    item.document.log = &log;
    put_all_ways(item);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct weft_es_keys keys;
    struct weft_otlp_walk walk;
    uint32_t items;

    if (size == 0)
        return 0;
    const enum weft_signal signal = data[0] % 2 ? WEFT_LOGS : WEFT_TRACES;
    const struct weft_slice payload = weft_slice_of(data + 1, size - 1);
    if (weft_otlp_count(signal, payload, &items) != 0)
        return 0;
    weft_otlp_walk_init(&walk, payload);
    for (int n = 0; n < 16 && weft_otlp_walk_next(&walk) > 0; n++) {
        struct item item = { .walk = &walk, .document = { .arrival_ns = 1, .resource = walk.resource, .scope = walk.scope,
                                                         .stream = WEFT_SLICE(""), .keys = &keys } };
        if (signal == WEFT_TRACES)
            put_span(item);
        else
            put_log(item);
    }
    return 0;
}

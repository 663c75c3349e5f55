/* SPDX-License-Identifier: Apache-2.0 */
/* otlp.c: the walk over a request's items. See otlp.h.
 *
 * A group's resource (scope) and schema URL may stand behind its items, so entering a group looks through its own
 * fields once, stepping over the items by their length. Stateless; any thread. */
#include "core/otlp.h"

#include "core/wire_inline.h"

const char *weft_signal_name(enum weft_signal signal)
{
    static const char *const names[WEFT_SIGNALS] = { "traces", "logs", "metrics" };

    return (unsigned)signal < WEFT_SIGNALS ? names[signal] : "unknown";
}

const char *weft_signal_items(enum weft_signal signal, uint64_t n)
{
    static const char *const many[WEFT_SIGNALS] = { "spans", "log records", "data points" };
    static const char *const one[WEFT_SIGNALS] = { "span", "log record", "data point" };

    if ((unsigned)signal >= WEFT_SIGNALS)
        return "items";
    return n == 1 ? one[signal] : many[signal];
}

/* Field 1 and field 3 of a group: its resource or scope, and its schema URL. */
static int read_group(struct weft_slice group, struct weft_slice *ret_head, struct weft_slice *ret_schema_url)
{
    struct weft_slice rest = group, bytes, head = { 0 }, schema_url = { 0 };
    uint64_t scalar;
    uint32_t key;
    int result;

    while ((result = weft_scan_field(&rest, &key, &scalar, &bytes)) > 0) {
        if (key == WEFT_KEY(WEFT_RESOURCE_GROUP_RESOURCE, WEFT_LENGTH))
            head = bytes;
        else if (key == WEFT_KEY(WEFT_RESOURCE_GROUP_SCHEMA_URL, WEFT_LENGTH))
            schema_url = bytes;
    }
    if (result < 0)
        return result;
    *ret_head = head;
    *ret_schema_url = schema_url;
    return 0;
}

void weft_otlp_walk_init(struct weft_otlp_walk *w, struct weft_slice payload)
{
    *w = (struct weft_otlp_walk){ .request_rest = payload };
}

static int enter_resource(struct weft_otlp_walk *w)
{
    int result = weft_wire_next_bytes(&w->request_rest, WEFT_REQUEST_GROUPS, &w->resource_rest);

    if (result <= 0)
        return result;
    w->pending_resource = true;
    result = read_group(w->resource_rest, &w->resource, &w->resource_schema_url);
    return result < 0 ? result : 1;
}

/* 1: in the next scope group, maybe of the next resource. 0: no more. */
static int enter_scope(struct weft_otlp_walk *w)
{
    int result;

    while ((result = weft_wire_next_bytes(&w->resource_rest, WEFT_RESOURCE_GROUP_SCOPES, &w->scope_rest)) == 0) {
        result = enter_resource(w);
        if (result <= 0)
            return result;
    }
    if (result < 0)
        return result;
    w->pending_scope = true;
    result = read_group(w->scope_rest, &w->scope, &w->scope_schema_url);
    return result < 0 ? result : 1;
}

int weft_otlp_walk_next(struct weft_otlp_walk *w)
{
    int result;

    while ((result = weft_wire_next_bytes(&w->scope_rest, WEFT_OTLP_ITEMS, &w->item)) == 0) {
        result = enter_scope(w);
        if (result <= 0)
            return result;
    }
    if (result < 0)
        return result;
    w->new_resource = w->pending_resource;
    w->new_scope = w->pending_scope;
    w->pending_resource = w->pending_scope = false;
    return 1;
}

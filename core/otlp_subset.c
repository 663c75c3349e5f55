/* SPDX-License-Identifier: Apache-2.0 */
/* otlp_subset.c: see otlp_subset.h. Resource and scope groups are opened when the first item of theirs is taken, so
 * that a group without any leaves nothing behind. An item of metrics is a data point: a metric that keeps some of
 * its points is copied field by field without the others. */
#include "core/otlp_subset.h"

#include "core/otlp_fields.h"

/* Field 1 of a Gauge, Sum, Histogram, ExponentialHistogram and Summary alike. */
enum { POINTS = 1 };

struct subset {
    enum weft_signal signal;
    const uint8_t *states; /* NULL: whatever state they are in */
    uint64_t first, end; /* the run */
    uint64_t at;         /* index of the next item */
    uint64_t taken;
    struct weft_buf *out;
    bool resource_open, scope_open;
    size_t resource_mark, scope_mark;
};

static bool wanted(const struct subset *s, uint64_t i)
{
    return i >= s->first && i < s->end && (!s->states || s->states[i] == WEFT_ITEM_WAITING);
}

/* Steps over the next item; true when it is one of ours. */
static bool take(struct subset *s)
{
    bool yes = wanted(s, s->at++);

    s->taken += yes;
    return yes;
}

static void close_scope(struct subset *s)
{
    if (s->scope_open)
        weft_wire_end_wide(s->out, s->scope_mark);
    s->scope_open = false;
}

static void close_resource(struct subset *s)
{
    close_scope(s);
    if (s->resource_open)
        weft_wire_end_wide(s->out, s->resource_mark);
    s->resource_open = false;
}

static void put_present(struct weft_buf *out, uint32_t number, struct weft_slice bytes)
{
    if (bytes.len > 0)
        weft_wire_put_bytes(out, number, bytes);
}

static void open_groups(struct subset *s, const struct weft_otlp_walk *w)
{
    if (!s->resource_open) {
        s->resource_mark = weft_wire_begin_wide(s->out, WEFT_REQUEST_GROUPS);
        put_present(s->out, WEFT_RESOURCE_GROUP_RESOURCE, w->resource);
        put_present(s->out, WEFT_RESOURCE_GROUP_SCHEMA_URL, w->resource_schema_url);
        s->resource_open = true;
    }
    if (!s->scope_open) {
        s->scope_mark = weft_wire_begin_wide(s->out, WEFT_RESOURCE_GROUP_SCOPES);
        put_present(s->out, WEFT_SCOPE_GROUP_SCOPE, w->scope);
        put_present(s->out, WEFT_SCOPE_GROUP_SCHEMA_URL, w->scope_schema_url);
        s->scope_open = true;
    }
}

static void put_field(struct weft_buf *out, const struct weft_field *f)
{
    switch (f->type) {
    case WEFT_VARINT:
        weft_wire_put_varint(out, f->number, f->scalar);
        break;
    case WEFT_FIXED64:
        weft_wire_put_fixed64(out, f->number, f->scalar);
        break;
    case WEFT_FIXED32:
        weft_wire_put_fixed32(out, f->number, (uint32_t)f->scalar);
        break;
    case WEFT_LENGTH:
        weft_wire_put_bytes(out, f->number, f->bytes);
        break;
    }
}

/* The Gauge, Sum, ... message: its points are field 1 in every kind. */
static int put_points(struct subset *s, uint32_t number, struct weft_slice data)
{
    struct weft_field f;
    int more;

    size_t mark = weft_wire_begin_wide(s->out, number);
    while ((more = weft_wire_next(&data, &f)) == 1)
        if (f.number != POINTS || take(s))
            put_field(s->out, &f);
    weft_wire_end_wide(s->out, mark);
    return more;
}

/* Gauge, Sum, ...: what the view calls data, or one that it overrides, since of a oneof the last wins. */
static bool is_data(const struct weft_field *f)
{
    return f->type == WEFT_LENGTH &&
           (f->number == WEFT_METRIC_GAUGE || f->number == WEFT_METRIC_SUM || f->number == WEFT_METRIC_HISTOGRAM ||
            f->number == WEFT_METRIC_EXP_HISTOGRAM || f->number == WEFT_METRIC_SUMMARY);
}

static bool any_wanted(const struct subset *s, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        if (wanted(s, s->at + i))
            return true;
    return false;
}

static int put_metric(struct subset *s, const struct weft_otlp_walk *w)
{
    struct weft_metric_view metric;
    struct weft_field f;
    struct weft_slice rest = w->item;
    int more, err = weft_metric_read(w->item, &metric);

    if (err)
        return err;
    if (!any_wanted(s, metric.n_points)) {
        s->at += metric.n_points;
        return 0;
    }
    open_groups(s, w);
    size_t mark = weft_wire_begin_wide(s->out, WEFT_OTLP_ITEMS);
    while (!err && (more = weft_wire_next(&rest, &f)) != 0) {
        if (more < 0)
            err = more;
        else if (!is_data(&f))
            put_field(s->out, &f);
        else if (f.bytes.data == metric.data.data)
            err = put_points(s, f.number, f.bytes);
    }
    weft_wire_end_wide(s->out, mark);
    return err;
}

static int put_item(struct subset *s, const struct weft_otlp_walk *w)
{
    if (w->new_resource)
        close_resource(s);
    else if (w->new_scope)
        close_scope(s);
    if (s->signal == WEFT_METRICS)
        return put_metric(s, w);
    if (take(s)) {
        open_groups(s, w);
        weft_wire_put_bytes(s->out, WEFT_OTLP_ITEMS, w->item);
    }
    return 0;
}

/* From where the walk stands up to the end of the run. */
static int put_items(struct subset *s, struct weft_otlp_walk *w)
{
    int more, err = 0;

    while (!err && s->at < s->end && (more = weft_otlp_walk_next(w)) != 0)
        err = more < 0 ? more : put_item(s, w);
    close_resource(s);
    return err;
}

static int put_payload(struct subset *s, struct weft_slice payload)
{
    struct weft_otlp_walk w;

    weft_otlp_walk_init(&w, payload);
    return put_items(s, &w);
}

int weft_otlp_subset(const struct weft_batch *batch, uint64_t first, uint64_t end, struct weft_buf *out, uint64_t *ret_n)
{
    struct subset s = { .signal = batch->signal, .states = batch->item_state, .first = first,
                        .end = end < batch->n_items ? end : batch->n_items, .out = out };

    for (size_t i = 0; i < batch->n_records; i++) {
        uint64_t next = s.at + batch->records[i].n_items;
        /* Records that lie before or behind the run are not looked at. */
        if (next > s.first && s.at < s.end) {
            int err = put_payload(&s, batch->records[i].payload);
            if (err)
                return err;
        }
        s.at = next;
    }
    *ret_n = s.taken;
    return out->err;
}

void weft_otlp_cutter_begin(struct weft_otlp_cutter *c, enum weft_signal signal, struct weft_slice payload)
{
    *c = (struct weft_otlp_cutter){ .signal = signal, .payload = payload };
    weft_otlp_walk_init(&c->walk, payload);
}

int weft_otlp_cutter_cut(struct weft_otlp_cutter *c, uint64_t first, uint64_t end, struct weft_buf *out)
{
    if (first < c->at || c->signal == WEFT_METRICS) /* a run may have ended within a metric */
        weft_otlp_cutter_begin(c, c->signal, c->payload);

    struct subset s = { .signal = c->signal, .first = first, .end = end, .at = c->at, .out = out };
    int err = put_items(&s, &c->walk);
    c->at = s.at;
    return err ? err : out->err;
}

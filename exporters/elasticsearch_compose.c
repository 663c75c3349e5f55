/* SPDX-License-Identifier: Apache-2.0 */
/* elasticsearch_compose.c: see elasticsearch_compose.h.
 *
 * Resource, scope and the action line are written once for a group and copied into each document. Only a record that has an
 * attribute of routing gets an action line of its own; it is found out while its attributes are written, and the
 * document is then written a second time.
 */
#include "exporters/elasticsearch_compose.h"

#include "core/err.h"
#include "core/otlp_fields.h"

#include <stdlib.h>

enum {
    GROUP_MAX = 1024 * 1024, /* resource and scope of one group */
    ID_BYTES = 18,           /* journal 8, sequence 6, item 4 */
    LARGE_ITEM = 16 * 1024,  /* from here on room is not reserved for the worst that escapes can do */
    ID_RECORD = 12,          /* bytes that are the same for a record but for the lowest 16 bits of its sequence */
};

/* What the documents of one item have in common. */
struct item {
    struct weft_es_composer *c;
    struct weft_es_body *body;
    const struct weft_otlp_walk *walk;
    const struct weft_record *record;
    char id[24 + 4];           /* text of ID_BYTES, and of an event's number */
    uint32_t index;            /* in the batch */
};

/* ---- life ---- */
void weft_es_composer_init(struct weft_es_composer *c)
{
    weft_buf_init(&c->group, GROUP_MAX);
}

void weft_es_composer_release(struct weft_es_composer *c)
{
    weft_buf_release(&c->group);
}

void weft_es_body_init(struct weft_es_body *b, size_t limit)
{
    *b = (struct weft_es_body){ 0 };
    weft_buf_init(&b->bytes, limit);
}

void weft_es_body_release(struct weft_es_body *b)
{
    weft_buf_release(&b->bytes);
    free(b->docs);
    weft_account_give(b->bytes.account, b->docs_cap * sizeof *b->docs);
    b->docs = NULL;
    b->n_docs = b->docs_cap = 0;
}

void weft_es_body_reset(struct weft_es_body *b)
{
    weft_buf_reset(&b->bytes);
    b->n_docs = 0;
    b->wanted = 0;
}

/* Room for what `len` bytes of protobuf become; a second try is told by the first how much it was. */
static size_t estimate(size_t len)
{
    return len <= LARGE_ITEM ? 6 * len : len + len / 8;
}

static size_t estimate_again(size_t need, const struct weft_es_out *o, const uint8_t *from)
{
    size_t told = (size_t)(o->at - from) + o->missing + 8192, more = need + need / 4;

    return told > more ? told : more;
}

/* A large document that may well be alone takes no more than it needs. What `b` has no memory for is remembered, so that it is known
 * whether it ever could. */
static uint8_t *reserve(struct weft_es_body *b, size_t need)
{
    bool alone = b->bytes.len == 0 && need > 6 * LARGE_ITEM;
    uint8_t *at = alone ? weft_buf_reserve_exactly(&b->bytes, need) : weft_buf_reserve(&b->bytes, need);

    if (!at)
        b->wanted = b->bytes.len + need;
    return at;
}

static int add_doc(struct weft_es_body *b, uint32_t item)
{
    if (b->n_docs == b->docs_cap) {
        size_t cap = b->docs_cap ? b->docs_cap * 2 : 256;
        const uint64_t more = (cap - b->docs_cap) * sizeof *b->docs;
        if (!weft_account_take(b->bytes.account, more))
            return WEFT_ERR_LIMIT;
        uint32_t *docs = realloc(b->docs, cap * sizeof *docs);
        if (!docs) {
            weft_account_give(b->bytes.account, more);
            return UV_ENOMEM;
        }
        b->docs = docs;
        b->docs_cap = cap;
    }
    b->docs[b->n_docs++] = item;
    return 0;
}

/* ---- ids ---- */
/* URL-safe base64 of n bytes, n a multiple of three. */
static void base64(char *to, const uint8_t *from, size_t n)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

    for (size_t i = 0; i < n; i += 3) {
        uint32_t group = (uint32_t)from[i] << 16 | (uint32_t)from[i + 1] << 8 | from[i + 2];
        *to++ = digits[group >> 18];
        *to++ = digits[group >> 12 & 63];
        *to++ = digits[group >> 6 & 63];
        *to++ = digits[group & 63];
    }
}

static void put_big_endian(uint8_t *to, uint64_t value, unsigned bytes)
{
    while (bytes-- > 0) {
        to[bytes] = (uint8_t)value;
        value >>= 8;
    }
}

static void id_of_record(char id[24], uint64_t journal_id, uint64_t sequence)
{
    uint8_t raw[ID_BYTES];

    put_big_endian(raw, journal_id, 8);
    put_big_endian(raw + 8, sequence, 6);
    base64(id, raw, ID_RECORD);
}

static void id_of_item(char id[24], uint64_t sequence, uint32_t item)
{
    uint8_t raw[ID_BYTES - ID_RECORD];

    put_big_endian(raw, sequence, 2);
    put_big_endian(raw + 2, item, 4);
    base64(id + 16, raw, sizeof raw);
}

static void id_of_event(char id[4], uint32_t event)
{
    uint8_t raw[3];

    put_big_endian(raw, event, 3);
    base64(id, raw, 3);
}

/* ---- groups ---- */
static void set_place(struct weft_es_place *p, const struct weft_es_route *r)
{
    struct weft_es_out o = { p->room, p->room + sizeof p->room, false, 0 };

    weft_es_put(&o, WEFT_SLICE("{\"create\":{\"_index\":"));
    weft_es_put_string(&o, weft_slice_str(r->index));
    weft_es_put(&o, WEFT_SLICE(",\"_id\":\""));
    p->action = weft_slice_of(p->room, (size_t)(o.at - p->room));
    if (r->stream)
        weft_es_put_stream(&o, r->type, r->dataset, r->name_space);
    p->stream = weft_slice_of(p->room + p->action.len, (size_t)(o.at - p->room) - p->action.len);
}

static struct weft_slice scope_name(struct weft_slice scope)
{
    struct weft_slice name = { 0 };
    struct weft_field f;

    while (weft_wire_next(&scope, &f) == 1)
        if (f.number == WEFT_SCOPE_NAME && f.type == WEFT_LENGTH)
            name = f.bytes;
    return name;
}

static void find_place(const struct weft_es_composer *c, const struct weft_otlp_walk *w, enum weft_signal stream_of,
                       struct weft_es_source record, struct weft_es_place *place)
{
    const struct weft_es_source sources[] = { record, { w->scope, WEFT_SCOPE_ATTRIBUTES },
                                              { w->resource, WEFT_RESOURCE_ATTRIBUTES } };
    const struct weft_es_route_options options = { .type = stream_of == WEFT_LOGS ? "logs" : "traces",
                                                   .static_index = c->static_index[stream_of], .otel = c->otel };
    struct weft_es_route route;

    weft_es_route(&options, sources, 3, scope_name(w->scope), &route);
    set_place(place, &route);
}

static int enter_group(struct weft_es_composer *c, const struct weft_otlp_walk *w, enum weft_signal signal)
{
    const struct weft_es_source none = { weft_slice_of(NULL, 0), WEFT_LOG_ATTRIBUTES };
    size_t need = estimate(w->resource.len + w->scope.len + w->resource_schema_url.len + w->scope_schema_url.len) + 4096;

    find_place(c, w, signal, none, &c->place);
    if (signal == WEFT_TRACES)
        find_place(c, w, WEFT_LOGS, none, &c->event_place);
    if (!c->otel)
        return 0;
    for (;;) {
        weft_buf_reset(&c->group);
        uint8_t *at = weft_buf_reserve(&c->group, need);
        if (!at)
            return c->group.err;
        struct weft_es_out o = { at, at + need, false, 0 };
        weft_es_put_otel_group(&o, w->resource, w->resource_schema_url, w->scope, w->scope_schema_url, &c->keys);
        if (!o.full) {
            c->group.len = (size_t)(o.at - at);
            return 0;
        }
        need = estimate_again(need, &o, at);
    }
}

/* ---- documents ---- */
static void put_document(struct weft_es_out *o, const struct item *item, const struct weft_es_place *place,
                         size_t id_len, struct weft_es_document *d, struct weft_es_met *met)
{
    *met = (struct weft_es_met){ 0 };
    d->stream = place->stream;
    weft_es_put_long(o, place->action);
    if (!weft_es_room(o, place->stream.len))
        return;
    weft_es_put(o, weft_slice_of(item->id, id_len));
    weft_es_put(o, WEFT_SLICE("\"}}\n"));
    if (item->c->otel)
        weft_es_put_otel(o, d, met);
    else
        weft_es_put_ecs(o, d, met);
    weft_es_put_byte(o, '\n');
}

static struct weft_es_source attributes_of(const struct weft_es_document *d)
{
    if (d->event)
        return (struct weft_es_source){ d->event->message, WEFT_SPAN_EVENT_ATTRIBUTES };
    if (d->span)
        return (struct weft_es_source){ d->span->message, WEFT_SPAN_ATTRIBUTES };
    return (struct weft_es_source){ d->log->message, WEFT_LOG_ATTRIBUTES };
}

static int append_document(const struct item *item, size_t id_len, struct weft_es_document *d)
{
    struct weft_es_composer *c = item->c;
    struct weft_buf *bytes = &item->body->bytes;
    const struct weft_es_place *place = d->event ? &c->event_place : &c->place;
    size_t need = estimate(item->walk->item.len) + c->group.len + 8192;
    struct weft_es_met met;

    d->arrival_ns = item->record->wall_ns;
    d->resource = item->walk->resource;
    d->scope = item->walk->scope;
    d->group = weft_buf_slice(&c->group);
    d->keys = &c->keys;
    for (;;) {
        uint8_t *at = reserve(item->body, need);
        if (!at) {
            int err = bytes->err;
            bytes->err = 0;
            return err;
        }
        struct weft_es_out o = { at, at + need, false, 0 };
        put_document(&o, item, place, id_len, d, &met);
        if (o.full) {
            need = estimate_again(need, &o, at);
        } else if (met.route && place != &c->own_place) {
            find_place(c, item->walk, d->span && !d->event ? WEFT_TRACES : WEFT_LOGS, attributes_of(d), &c->own_place);
            place = &c->own_place;
        } else {
            bytes->len += (size_t)(o.at - at);
            return add_doc(item->body, item->index);
        }
    }
}

static int append_span(struct item *item)
{
    struct weft_span_view span;
    struct weft_span_event event;
    int err = weft_span_read(item->walk->item, &span), more;

    if (err)
        return err;
    struct weft_es_document d = { .span = &span };
    err = append_document(item, 24, &d);
    struct weft_slice rest = span.message;
    for (uint32_t n = 1; !err && (more = weft_span_event_next(&rest, &event)) != 0; n++) {
        if (more < 0)
            return more;
        d = (struct weft_es_document){ .span = &span, .event = &event };
        id_of_event(item->id + 24, n);
        err = append_document(item, 28, &d);
    }
    return err;
}

static int append_log(struct item *item)
{
    struct weft_log_view log;
    int err = weft_log_read(item->walk->item, &log);

    if (err)
        return err;
    struct weft_es_document d = { .log = &log };
    return append_document(item, 24, &d);
}

/* All documents of the item or none of them. */
static int append_item(struct item *item, enum weft_signal signal)
{
    struct weft_es_body *body = item->body;
    size_t len = body->bytes.len, n_docs = body->n_docs;
    int err = signal == WEFT_TRACES ? append_span(item) : append_log(item);

    if (err) {
        body->bytes.len = len;
        body->n_docs = n_docs;
    }
    return err;
}

/* ---- the batch ---- */
struct run {
    struct weft_es_composer *c;
    const struct weft_batch *batch;
    struct weft_es_body *body;
    uint64_t first, at; /* where to begin; where we are */
    size_t max_bytes;
};

static bool wanted(const struct run *r)
{
    return r->at >= r->first && r->batch->item_state[r->at] == WEFT_ITEM_WAITING;
}

/* 1: the record is done. 0: the body is full. */
static int append_record(struct run *r, const struct weft_record *record)
{
    uint64_t base = r->at, end = base + record->n_items;
    struct weft_otlp_walk w;
    struct item item = { .c = r->c, .body = r->body, .walk = &w, .record = record };
    bool fresh = true;
    int more = 0;

    id_of_record(item.id, r->batch->journal_id, record->sequence);
    weft_otlp_walk_init(&w, record->payload);
    for (; r->at < end && (more = weft_otlp_walk_next(&w)) == 1; r->at++) {
        int err = 0;
        fresh = fresh || w.new_resource || w.new_scope;
        if (!wanted(r))
            continue;
        if (r->body->n_docs > 0 && r->body->bytes.len >= r->max_bytes)
            return 0;
        if (fresh)
            err = enter_group(r->c, &w, r->batch->signal);
        fresh = err != 0;
        item.index = (uint32_t)r->at;
        id_of_item(item.id, record->sequence, record->first_item + (uint32_t)(r->at - base));
        if (!err)
            err = append_item(&item, r->batch->signal);
        if (err && err != WEFT_ERR_MALFORMED && r->body->n_docs > 0)
            return 0; /* alone it may fit */
        if (err)
            return err;
    }
    if (more < 0) {
        r->at = r->at > r->first ? r->at : r->first;
        return more;
    }
    r->at = end;
    return 1;
}

int weft_es_compose(struct weft_es_composer *c, const struct weft_batch *batch, uint64_t first, size_t max_bytes,
                    struct weft_es_body *body, uint64_t *ret_end)
{
    struct run r = { .c = c, .batch = batch, .body = body, .first = first, .max_bytes = max_bytes };
    int more = 1;

    for (size_t i = 0; more == 1 && i < batch->n_records; i++) {
        const struct weft_record *record = &batch->records[i];
        if (r.at + record->n_items <= first)
            r.at += record->n_items;
        else
            more = append_record(&r, record);
    }
    *ret_end = r.at;
    return more < 0 ? more : 0;
}

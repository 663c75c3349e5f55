/* SPDX-License-Identifier: Apache-2.0 */
/* elasticsearch_otel.c: documents in OTel mode; see elasticsearch_document.h. */
#include "exporters/elasticsearch_document.h"

#include "core/otlp_fields.h"

/* ---- attributes ---- */
static void put_attribute_list(struct weft_es_out *o, struct weft_slice message, uint32_t number,
                               struct weft_es_keys *keys, struct weft_es_met *met)
{
    struct weft_attributes it = weft_attributes_of(message, number);
    struct weft_attribute a;
    bool first = true;

    keys->n = 0;
    weft_es_put_byte(o, '{');
    while (weft_attributes_next(&it, &a) == 1 && weft_es_room(o, 0)) {
        if (weft_es_meet(met, &a) || !weft_es_keys_add(keys, a.key))
            continue;
        if (!first)
            weft_es_put_byte(o, ',');
        first = false;
        weft_es_put_string(o, a.key);
        weft_es_put_byte(o, ':');
        weft_es_put_any(o, &a.value);
    }
    weft_es_put_byte(o, '}');
}

static void put_dropped(struct weft_es_out *o, struct weft_slice name, uint32_t n)
{
    if (n == 0)
        return;
    weft_es_put(o, name);
    weft_es_put_uint(o, n);
}

static void put_id(struct weft_es_out *o, struct weft_slice name, struct weft_slice id, size_t len)
{
    if (!weft_id_valid(id, len))
        return;
    weft_es_put(o, name);
    weft_es_put_hex(o, id);
}

static void put_named(struct weft_es_out *o, struct weft_slice name, struct weft_slice text)
{
    if (text.len == 0 || !weft_es_room(o, 0))
        return;
    weft_es_put(o, name);
    weft_es_put_string(o, text);
}

/* ---- resource and scope ---- */
static uint32_t dropped_of(struct weft_slice message, uint32_t number)
{
    struct weft_field f;
    uint32_t n = 0;

    while (weft_wire_next(&message, &f) == 1)
        if (f.number == number && f.type == WEFT_VARINT)
            n = (uint32_t)f.scalar;
    return n;
}

static struct weft_slice text_of(struct weft_slice message, uint32_t number)
{
    struct weft_slice text = { 0 };
    struct weft_field f;

    while (weft_wire_next(&message, &f) == 1)
        if (f.number == number && f.type == WEFT_LENGTH)
            text = f.bytes;
    return text;
}

void weft_es_put_otel_group(struct weft_es_out *o, struct weft_slice resource, struct weft_slice resource_schema_url,
                            struct weft_slice scope, struct weft_slice scope_schema_url, struct weft_es_keys *keys)
{
    struct weft_es_met met = { 0 };

    weft_es_put(o, WEFT_SLICE(",\"resource\":{\"attributes\":"));
    put_attribute_list(o, resource, WEFT_RESOURCE_ATTRIBUTES, keys, &met);
    put_dropped(o, WEFT_SLICE(",\"dropped_attributes_count\":"), dropped_of(resource, WEFT_RESOURCE_DROPPED));
    put_named(o, WEFT_SLICE(",\"schema_url\":"), resource_schema_url);
    weft_es_put(o, WEFT_SLICE("},\"scope\":{\"attributes\":"));
    put_attribute_list(o, scope, WEFT_SCOPE_ATTRIBUTES, keys, &met);
    put_named(o, WEFT_SLICE(",\"name\":"), text_of(scope, WEFT_SCOPE_NAME));
    put_named(o, WEFT_SLICE(",\"version\":"), text_of(scope, WEFT_SCOPE_VERSION));
    put_dropped(o, WEFT_SLICE(",\"dropped_attributes_count\":"), dropped_of(scope, WEFT_SCOPE_DROPPED));
    put_named(o, WEFT_SLICE(",\"schema_url\":"), scope_schema_url);
    weft_es_put_byte(o, '}');
    (void)weft_es_room(o, 0);
}

/* ---- shared with the other mode ---- */
void weft_es_put_stream(struct weft_es_out *o, const char *type, const char *dataset, const char *name_space)
{
    weft_es_put(o, WEFT_SLICE(",\"data_stream\":{\"type\":"));
    weft_es_put_string(o, weft_slice_str(type));
    weft_es_put(o, WEFT_SLICE(",\"dataset\":"));
    weft_es_put_string(o, weft_slice_str(dataset));
    weft_es_put(o, WEFT_SLICE(",\"namespace\":"));
    weft_es_put_string(o, weft_slice_str(name_space));
    weft_es_put_byte(o, '}');
}

uint64_t weft_es_time(const struct weft_es_document *d)
{
    uint64_t ns = d->event ? d->event->time_ns : d->span ? d->span->start_ns : d->log->time_ns;

    if (ns == 0 && d->log)
        ns = d->log->observed_ns;
    if (ns == 0 && d->event)
        ns = d->span->start_ns;
    return ns ? ns : d->arrival_ns;
}

void weft_es_put_correlation(struct weft_es_out *o, const struct weft_es_met *met)
{
    const struct weft_any *id = &met->correlation;

    if (id->kind == WEFT_ANY_EMPTY || (id->kind == WEFT_ANY_STRING && id->bytes.len == 0) || !weft_es_room(o, 0))
        return;
    weft_es_put(o, WEFT_SLICE(",\"correlation_id\":\""));
    weft_es_put_any_text(o, id);
    weft_es_put_byte(o, '"');
}

/* ---- logs ---- */
/* Structured bodies of events have a mapping of their own; others may hold anything, which `flattened` takes. */
static void put_body(struct weft_es_out *o, struct weft_slice message, bool event)
{
    struct weft_any body;

    if (!message.data || weft_any_read(message, &body) != 0 || body.kind == WEFT_ANY_EMPTY || !weft_es_room(o, 0))
        return;
    bool list = body.kind == WEFT_ANY_ARRAY;
    if (list || body.kind == WEFT_ANY_KVLIST) {
        weft_es_put(o, event ? WEFT_SLICE(",\"body\":{\"structured\":") : WEFT_SLICE(",\"body\":{\"flattened\":"));
        weft_es_put(o, list ? WEFT_SLICE("{\"value\":") : WEFT_SLICE(""));
        weft_es_put_any(o, &body);
        weft_es_put(o, list ? WEFT_SLICE("}}") : WEFT_SLICE("}"));
        return;
    }
    weft_es_put(o, WEFT_SLICE(",\"body\":{\"text\":"));
    if (body.kind == WEFT_ANY_STRING || body.kind == WEFT_ANY_BYTES) {
        weft_es_put_any(o, &body);
    } else {
        weft_es_put_byte(o, '"');
        weft_es_put_any_text(o, &body);
        weft_es_put_byte(o, '"');
    }
    weft_es_put_byte(o, '}');
}

static void put_log(struct weft_es_out *o, const struct weft_es_document *d, struct weft_es_met *met)
{
    const struct weft_log_view *log = d->log;

    if (log->observed_ns) {
        weft_es_put(o, WEFT_SLICE(",\"observed_timestamp\":"));
        weft_es_put_epoch(o, log->observed_ns);
    }
    put_named(o, WEFT_SLICE(",\"severity_text\":"), log->severity_text);
    if (log->severity_number) {
        weft_es_put(o, WEFT_SLICE(",\"severity_number\":"));
        weft_es_put_int(o, log->severity_number);
    }
    put_id(o, WEFT_SLICE(",\"trace_id\":"), log->trace_id, 16);
    put_id(o, WEFT_SLICE(",\"span_id\":"), log->span_id, 8);
    weft_es_put(o, WEFT_SLICE(",\"attributes\":"));
    put_attribute_list(o, log->message, WEFT_LOG_ATTRIBUTES, d->keys, met);
    put_dropped(o, WEFT_SLICE(",\"dropped_attributes_count\":"), log->dropped_attributes);
    const struct weft_slice event_name = log->event_name.len > 0 ? log->event_name : met->event_name;
    put_named(o, WEFT_SLICE(",\"event_name\":"), event_name);
    put_body(o, log->body, event_name.len > 0);
}

/* ---- spans and their events ---- */
static struct weft_slice kind_name(int32_t kind)
{
    static const char *const names[] = { "Unspecified", "Internal", "Server", "Client", "Producer", "Consumer" };

    return weft_slice_str(kind >= 0 && kind < 6 ? names[kind] : names[0]);
}

static struct weft_slice status_name(int32_t code)
{
    return code == 1 ? WEFT_SLICE("Ok") : code == 2 ? WEFT_SLICE("Error") : WEFT_SLICE("Unset");
}

static void put_links(struct weft_es_out *o, const struct weft_span_view *span, struct weft_es_keys *keys)
{
    struct weft_slice rest = span->message;
    struct weft_span_link link;
    struct weft_es_met met = { 0 };
    char before = '[';

    if (span->n_links == 0)
        return;
    weft_es_put(o, WEFT_SLICE(",\"links\":"));
    while (weft_span_link_next(&rest, &link) == 1 && weft_es_room(o, 0)) {
        weft_es_put_byte(o, before);
        before = ',';
        weft_es_put(o, WEFT_SLICE("{\"trace_id\":"));
        weft_es_put_hex(o, link.trace_id);
        weft_es_put(o, WEFT_SLICE(",\"span_id\":"));
        weft_es_put_hex(o, link.span_id);
        put_named(o, WEFT_SLICE(",\"trace_state\":"), link.trace_state);
        weft_es_put(o, WEFT_SLICE(",\"attributes\":"));
        put_attribute_list(o, link.message, WEFT_SPAN_LINK_ATTRIBUTES, keys, &met);
        put_dropped(o, WEFT_SLICE(",\"dropped_attributes_count\":"), link.dropped_attributes);
        weft_es_put_byte(o, '}');
    }
    if (before == '[')
        weft_es_put_byte(o, '[');
    weft_es_put_byte(o, ']');
}

static void put_span(struct weft_es_out *o, const struct weft_es_document *d, struct weft_es_met *met)
{
    const struct weft_span_view *span = d->span;

    put_id(o, WEFT_SLICE(",\"trace_id\":"), span->trace_id, 16);
    put_id(o, WEFT_SLICE(",\"span_id\":"), span->span_id, 8);
    put_named(o, WEFT_SLICE(",\"trace_state\":"), span->trace_state);
    put_id(o, WEFT_SLICE(",\"parent_span_id\":"), span->parent_span_id, 8);
    put_named(o, WEFT_SLICE(",\"name\":"), span->name);
    weft_es_put(o, WEFT_SLICE(",\"kind\":"));
    weft_es_put_string(o, kind_name(span->kind));
    weft_es_put(o, WEFT_SLICE(",\"duration\":"));
    weft_es_put_uint(o, span->end_ns > span->start_ns ? span->end_ns - span->start_ns : 0);
    weft_es_put(o, WEFT_SLICE(",\"attributes\":"));
    put_attribute_list(o, span->message, WEFT_SPAN_ATTRIBUTES, d->keys, met);
    put_dropped(o, WEFT_SLICE(",\"dropped_attributes_count\":"), span->dropped_attributes);
    put_dropped(o, WEFT_SLICE(",\"dropped_events_count\":"), span->dropped_events);
    put_dropped(o, WEFT_SLICE(",\"dropped_links_count\":"), span->dropped_links);
    put_links(o, span, d->keys);
    weft_es_put(o, WEFT_SLICE(",\"status\":{\"code\":"));
    weft_es_put_string(o, status_name(span->status_code));
    put_named(o, WEFT_SLICE(",\"message\":"), span->status_message);
    weft_es_put_byte(o, '}');
}

/* An event of a span is a log of its own: with its name, and the ids of its span. */
static void put_event(struct weft_es_out *o, const struct weft_es_document *d, struct weft_es_met *met)
{
    const struct weft_span_event *event = d->event;

    put_id(o, WEFT_SLICE(",\"trace_id\":"), d->span->trace_id, 16);
    put_id(o, WEFT_SLICE(",\"span_id\":"), d->span->span_id, 8);
    put_named(o, WEFT_SLICE(",\"event_name\":"), event->name);
    weft_es_put(o, WEFT_SLICE(",\"attributes\":"));
    put_attribute_list(o, event->message, WEFT_SPAN_EVENT_ATTRIBUTES, d->keys, met);
    put_dropped(o, WEFT_SLICE(",\"dropped_attributes_count\":"), event->dropped_attributes);
    if (met->correlation.kind == WEFT_ANY_EMPTY)
        (void)weft_attribute_find(d->span->message, WEFT_SPAN_ATTRIBUTES, WEFT_SLICE("correlation.id"),
                                  &met->correlation);
}

void weft_es_put_otel(struct weft_es_out *o, const struct weft_es_document *d, struct weft_es_met *met)
{
    weft_es_put(o, WEFT_SLICE("{\"@timestamp\":"));
    weft_es_put_epoch(o, weft_es_time(d));
    weft_es_put(o, d->stream);
    if (d->event)
        put_event(o, d, met);
    else if (d->span)
        put_span(o, d, met);
    else
        put_log(o, d, met);
    weft_es_put_correlation(o, met);
    weft_es_put_long(o, d->group);
    weft_es_put_byte(o, '}');
}

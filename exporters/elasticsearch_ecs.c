/* SPDX-License-Identifier: Apache-2.0 */
/* elasticsearch_ecs.c: documents in ECS mode; see elasticsearch_document.h. Everything lies in one object, so the
 * order of writing is the order of precedence: what the record says, its attributes, those of the scope, those of the
 * resource. */
#include "exporters/elasticsearch_document.h"

#include "core/otlp_fields.h"

/* Semantic conventions whose ECS name differs; NULL: not written. Both lists are ECS 8 and the Collector's own choice. */
struct rename { const char *from, *to, *also; };

static const struct rename of_resource[] = {
    { "service.instance.id", "service.node.name", NULL },
    { "deployment.environment", "service.environment", NULL },
    { "deployment.environment.name", "service.environment", NULL },
    { "telemetry.sdk.name", NULL, NULL },
    { "telemetry.sdk.language", "service.language.name", NULL },
    { "telemetry.sdk.version", "service.language.version", NULL },
    { "process.runtime.name", "service.runtime.name", NULL },
    { "process.runtime.version", "service.runtime.version", NULL },
    { "process.executable.path", "process.executable", NULL },
    { "cloud.platform", "cloud.service.name", NULL },
    { "container.image.tags", "container.image.tag", NULL },
    { "host.name", "host.name", "host.hostname" },
    { "host.arch", "host.architecture", NULL },
    { "os.type", "host.os.platform", NULL },
    { "os.name", "host.os.name", NULL },
    { "os.version", "host.os.version", NULL },
    { "os.description", "host.os.full", NULL },
    { "faas.instance", "faas.id", NULL },
    { "faas.trigger", "faas.trigger.type", NULL },
    { "k8s.cluster.name", "orchestrator.cluster.name", NULL },
    { "k8s.container.name", "kubernetes.container.name", NULL },
    { "k8s.deployment.name", "kubernetes.deployment.name", NULL },
    { "k8s.namespace.name", "kubernetes.namespace", NULL },
    { "k8s.node.name", "kubernetes.node.name", NULL },
    { "k8s.pod.name", "kubernetes.pod.name", NULL },
    { "k8s.pod.uid", "kubernetes.pod.uid", NULL },
    { NULL, NULL, NULL },
};

static const struct rename of_record[] = {
    { "event.name", "event.action", NULL },
    { "exception.message", "error.message", NULL },
    { "exception.stacktrace", "error.stack_trace", NULL },
    { "exception.type", "error.type", NULL },
    { "db.system", "span.db.type", NULL },
    { "db.namespace", "span.db.instance", NULL },
    { "db.query.text", "span.db.statement", NULL },
    { NULL, NULL, NULL },
};

static const struct rename *rename_of(const struct rename *table, struct weft_slice key)
{
    for (; table->from; table++)
        if (key.len > 0 && table->from[0] == (char)key.data[0] && weft_slice_is(key, table->from))
            return table;
    return NULL;
}

/* ,"key": unless the document has that key already. */
static bool put_key(struct weft_es_out *o, struct weft_es_keys *keys, struct weft_slice key)
{
    if (!weft_es_room(o, 0) || !weft_es_keys_add(keys, key))
        return false;
    weft_es_put_byte(o, ',');
    weft_es_put_string(o, key);
    weft_es_put_byte(o, ':');
    return true;
}

static void put_text(struct weft_es_out *o, struct weft_es_keys *keys, const char *key, struct weft_slice text)
{
    if (text.len > 0 && put_key(o, keys, weft_slice_str(key)))
        weft_es_put_string(o, text);
}

static void put_id(struct weft_es_out *o, struct weft_es_keys *keys, const char *key, struct weft_slice id, size_t len)
{
    if (weft_id_valid(id, len) && put_key(o, keys, weft_slice_str(key)))
        weft_es_put_hex(o, id);
}

static void put_value(struct weft_es_out *o, struct weft_es_keys *keys, const char *key, const struct weft_any *value)
{
    if (key && put_key(o, keys, weft_slice_str(key)))
        weft_es_put_any(o, value);
}

static void put_attributes(struct weft_es_out *o, struct weft_slice message, uint32_t number,
                           const struct rename *table, struct weft_es_keys *keys, struct weft_es_met *met)
{
    struct weft_attributes it = weft_attributes_of(message, number);
    struct weft_attribute a;

    while (weft_attributes_next(&it, &a) == 1 && weft_es_room(o, 0)) {
        const struct rename *r = rename_of(table, a.key);
        if (weft_es_meet(met, &a))
            continue;
        if (r) {
            put_value(o, keys, r->to, &a.value);
            put_value(o, keys, r->also, &a.value);
        } else if (put_key(o, keys, a.key)) {
            weft_es_put_any(o, &a.value);
        }
    }
}

static void put_message(struct weft_es_out *o, struct weft_es_keys *keys, struct weft_slice body)
{
    struct weft_any value;

    if (!body.data || weft_any_read(body, &value) != 0 || value.kind == WEFT_ANY_EMPTY ||
        !put_key(o, keys, WEFT_SLICE("message")))
        return;
    if (value.kind == WEFT_ANY_STRING || value.kind == WEFT_ANY_BYTES) {
        weft_es_put_any(o, &value);
        return;
    }
    if (value.kind != WEFT_ANY_KVLIST && value.kind != WEFT_ANY_ARRAY) {
        weft_es_put_byte(o, '"');
        weft_es_put_any_text(o, &value);
        weft_es_put_byte(o, '"');
        return;
    }
    /* `message` is text: a structure becomes its own JSON, quoted; written plain first, behind where it will stand */
    struct weft_es_out plain = *o;
    weft_es_put_any(&plain, &value);
    size_t len = (size_t)(plain.at - o->at);
    o->full = plain.full;
    o->missing = plain.missing;
    if (o->full || !weft_es_room(o, len + weft_es_text_len(weft_slice_of(o->at, len)) + 2))
        return;
    uint8_t *moved = o->end - len;
    memmove(moved, o->at, len);
    struct weft_es_out quoted = { o->at, moved, false, 0 };
    weft_es_put_string(&quoted, weft_slice_of(moved, len));
    o->full = quoted.full;
    o->missing += quoted.missing;
    o->at = quoted.at;
}

static void put_log(struct weft_es_out *o, const struct weft_es_document *d, struct weft_es_met *met)
{
    const struct weft_log_view *log = d->log;

    put_message(o, d->keys, log->body);
    put_text(o, d->keys, "log.level", log->severity_text);
    if (log->severity_number && put_key(o, d->keys, WEFT_SLICE("event.severity")))
        weft_es_put_int(o, log->severity_number);
    put_text(o, d->keys, "event.action", log->event_name);
    put_id(o, d->keys, "trace.id", log->trace_id, 16);
    put_id(o, d->keys, "span.id", log->span_id, 8);
    put_attributes(o, log->message, WEFT_LOG_ATTRIBUTES, of_record, d->keys, met);
}

static struct weft_slice kind_name(int32_t kind)
{
    static const char *const names[] = { "UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER" };

    return weft_slice_str(kind >= 0 && kind < 6 ? names[kind] : names[0]);
}

static void put_links(struct weft_es_out *o, const struct weft_span_view *span, struct weft_es_keys *keys)
{
    struct weft_slice rest = span->message;
    struct weft_span_link link;
    char before = '[';

    if (span->n_links == 0 || !put_key(o, keys, WEFT_SLICE("span.links")))
        return;
    while (weft_span_link_next(&rest, &link) == 1 && weft_es_room(o, 0)) {
        weft_es_put_byte(o, before);
        before = ',';
        weft_es_put(o, WEFT_SLICE("{\"trace\":{\"id\":"));
        weft_es_put_hex(o, link.trace_id);
        weft_es_put(o, WEFT_SLICE("},\"span\":{\"id\":"));
        weft_es_put_hex(o, link.span_id);
        weft_es_put(o, WEFT_SLICE("}}"));
    }
    if (before == '[')
        weft_es_put_byte(o, '[');
    weft_es_put_byte(o, ']');
}

static void put_span(struct weft_es_out *o, const struct weft_es_document *d, struct weft_es_met *met)
{
    const struct weft_span_view *span = d->span;

    put_id(o, d->keys, "trace.id", span->trace_id, 16);
    put_id(o, d->keys, "span.id", span->span_id, 8);
    put_id(o, d->keys, "parent.id", span->parent_span_id, 8);
    put_text(o, d->keys, "span.name", span->name);
    put_text(o, d->keys, "span.kind", kind_name(span->kind));
    put_text(o, d->keys, "event.outcome",
             span->status_code == 1 ? WEFT_SLICE("success") : span->status_code == 2 ? WEFT_SLICE("failure")
                                                                                     : WEFT_SLICE("unknown"));
    if (put_key(o, d->keys, WEFT_SLICE("event.duration")))
        weft_es_put_uint(o, span->end_ns > span->start_ns ? span->end_ns - span->start_ns : 0);
    put_links(o, span, d->keys);
    put_attributes(o, span->message, WEFT_SPAN_ATTRIBUTES, of_record, d->keys, met);
}

static void put_event(struct weft_es_out *o, const struct weft_es_document *d, struct weft_es_met *met)
{
    put_id(o, d->keys, "trace.id", d->span->trace_id, 16);
    put_id(o, d->keys, "span.id", d->span->span_id, 8);
    put_text(o, d->keys, "event.action", d->event->name);
    put_attributes(o, d->event->message, WEFT_SPAN_EVENT_ATTRIBUTES, of_record, d->keys, met);
    if (met->correlation.kind == WEFT_ANY_EMPTY)
        (void)weft_attribute_find(d->span->message, WEFT_SPAN_ATTRIBUTES, WEFT_SLICE("correlation.id"),
                                  &met->correlation);
}

void weft_es_put_ecs(struct weft_es_out *o, const struct weft_es_document *d, struct weft_es_met *met)
{
    struct weft_es_met ignored = { 0 };

    d->keys->n = 0;
    (void)weft_es_keys_add(d->keys, WEFT_SLICE("@timestamp"));
    (void)weft_es_keys_add(d->keys, WEFT_SLICE("data_stream"));
    (void)weft_es_keys_add(d->keys, WEFT_SLICE("correlation_id"));
    weft_es_put(o, WEFT_SLICE("{\"@timestamp\":"));
    weft_es_put_date(o, weft_es_time(d));
    weft_es_put(o, d->stream);
    if (d->event)
        put_event(o, d, met);
    else if (d->span)
        put_span(o, d, met);
    else
        put_log(o, d, met);
    weft_es_put_correlation(o, met);
    put_attributes(o, d->scope, WEFT_SCOPE_ATTRIBUTES, of_record, d->keys, &ignored);
    put_attributes(o, d->resource, WEFT_RESOURCE_ATTRIBUTES, of_resource, d->keys, &ignored);
    weft_es_put_byte(o, '}');
}

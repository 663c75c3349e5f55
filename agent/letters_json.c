/* SPDX-License-Identifier: Apache-2.0 */
/* letters_json.c: see letters_json.h. */
#include "agent/letters_json.h"

#include "agent/api_put.h"

#include <stdlib.h>

enum { PREVIEW_ITEMS = 3, PREVIEW_TEXT = 512 };

static void put_slice(struct weft_buf *b, const char *key, struct weft_slice text)
{
    put_key(b, key);
    weft_json_put_string(b, text.len > PREVIEW_TEXT ? weft_slice_of(text.data, PREVIEW_TEXT) : text);
}

/* ---- the summary ---- */
static int by_items(const void *a, const void *b)
{
    const struct weft_letters_reason *x = a, *y = b;

    return x->items < y->items ? 1 : x->items > y->items ? -1 : strcmp(x->word, y->word);
}

void weft_letters_put_summary(struct weft_buf *b, const char *exporter, struct weft_letters *l)
{
    struct weft_letters_stats s;

    weft_letters_stats(l, &s);
    put_text(b, "exporter", exporter);
    put_number(b, "letters", s.letters);
    put_number(b, "items", s.items);
    put_number(b, "bytes", s.bytes);
    put_number(b, "capacity_bytes", s.capacity_bytes);
    put_number_if(b, "oldest_ms", s.oldest_ns / 1000000);
    put_number(b, "written_items", s.written_items);
    put_number(b, "replayed_items", s.replayed_items);
    put_number(b, "purged_items", s.purged_items);
    put_number(b, "evicted_items", s.evicted_items);
    put_number(b, "lost_items", s.lost_items);
    put_bool(b, "unreadable", s.unreadable);
    put_key(b, "reasons");
    weft_buf_append_byte(b, '[');
    qsort(s.reasons, s.n_reasons, sizeof *s.reasons, by_items);
    for (size_t i = 0; i < s.n_reasons; i++) {
        begin_item(b);
        put_text(b, "reason", s.reasons[i].word);
        put_number(b, "letters", s.reasons[i].letters);
        put_number(b, "items", s.reasons[i].items);
        weft_buf_append_byte(b, '}');
    }
    weft_buf_append_byte(b, ']');
}

/* ---- previews ---- */
static void put_id(struct weft_buf *b, const char *key, struct weft_slice id)
{
    char hex[33];

    if (id.len == 0 || id.len > 16)
        return;
    weft_hex_write(id, hex);
    put_text(b, key, hex);
}

static void put_any(struct weft_buf *b, const char *key, const struct weft_any *any)
{
    switch (any->kind) {
    case WEFT_ANY_STRING:
        put_slice(b, key, any->bytes);
        break;
    case WEFT_ANY_BOOL:
        put_bool(b, key, any->integer != 0);
        break;
    case WEFT_ANY_INT:
        put_key(b, key);
        weft_json_put_int(b, any->integer);
        break;
    case WEFT_ANY_DOUBLE:
        put_key(b, key);
        weft_json_put_double(b, any->real);
        break;
    case WEFT_ANY_ARRAY:
        put_text(b, key, "(a list)");
        break;
    case WEFT_ANY_KVLIST:
        put_text(b, key, "(a map)");
        break;
    case WEFT_ANY_BYTES:
        put_text(b, key, "(bytes)");
        break;
    case WEFT_ANY_EMPTY:
        break;
    }
}

/* The name of a range of severity numbers (logs data model, "SeverityNumber"). */
static struct weft_slice severity_word(uint64_t number)
{
    static const char *const words[] = { "TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL" };
    uint64_t range = (number - 1) / 4;

    return weft_slice_str(range < sizeof words / sizeof *words ? words[range] : "unknown");
}

static void put_log(struct weft_buf *b, struct weft_slice item)
{
    struct weft_log_view log;
    struct weft_any body;

    if (weft_log_read(item, &log))
        return;
    uint64_t time_ns = log.time_ns ? log.time_ns : log.observed_ns;
    if (time_ns)
        put_number(b, "time_ms", time_ns / 1000000);
    if (log.severity_text.len)
        put_slice(b, "severity", log.severity_text);
    else if (log.severity_number)
        put_slice(b, "severity", severity_word((uint64_t)log.severity_number));
    if (log.body.data && weft_any_read(log.body, &body) == 0)
        put_any(b, "body", &body);
    put_id(b, "trace_id", log.trace_id);
    put_id(b, "span_id", log.span_id);
}

static void put_span(struct weft_buf *b, struct weft_slice item)
{
    struct weft_span_view span;

    if (weft_span_read(item, &span))
        return;
    put_number(b, "time_ms", span.start_ns / 1000000);
    put_slice(b, "name", span.name);
    put_key(b, "duration_ms");
    weft_json_put_double(b, span.end_ns > span.start_ns ? (double)((span.end_ns - span.start_ns) / 1000) / 1000 : 0);
    put_id(b, "trace_id", span.trace_id);
    put_id(b, "span_id", span.span_id);
}

static void put_metric(struct weft_buf *b, struct weft_slice item)
{
    struct weft_metric_view metric;

    if (weft_metric_read(item, &metric))
        return;
    put_slice(b, "name", metric.name);
    put_number(b, "points", metric.n_points);
}

static void put_preview(struct weft_buf *b, const struct weft_letter *letter)
{
    struct weft_otlp_walk w;
    struct weft_any service;

    put_key(b, "preview");
    weft_buf_append_byte(b, '[');
    weft_otlp_walk_init(&w, letter->body);
    for (int i = 0; i < PREVIEW_ITEMS && weft_otlp_walk_next(&w) == 1; i++) {
        begin_item(b);
        if (weft_attribute_find(w.resource, WEFT_RESOURCE_ATTRIBUTES, WEFT_SLICE("service.name"), &service) == 1)
            put_any(b, "service.name", &service);
        if (letter->signal == WEFT_LOGS)
            put_log(b, w.item);
        else if (letter->signal == WEFT_TRACES)
            put_span(b, w.item);
        else
            put_metric(b, w.item);
        weft_buf_append_byte(b, '}');
    }
    weft_buf_append_byte(b, ']');
}

/* ---- pages ---- */
static void put_letter(struct weft_buf *b, const struct weft_letter *l, uint64_t sequence)
{
    begin_item(b);
    put_number(b, "sequence", sequence);
    put_number(b, "refused_ms", l->refused_ns / 1000000);
    put_number(b, "arrived_ms", l->arrived_ns / 1000000);
    put_text(b, "signal", weft_signal_name(l->signal));
    put_slice(b, "pipeline", l->pipeline);
    put_slice(b, "reason", l->reason);
    put_key(b, "detail");
    weft_json_put_string(b, l->detail);
    if (l->status)
        put_number(b, "status", l->status);
    put_number(b, "items", l->n_items);
    put_number(b, "bytes", l->body.len);
    put_preview(b, l);
    weft_buf_append_byte(b, '}');
}

int weft_letters_put_page(struct weft_buf *b, const char *exporter, struct weft_letters *l, const struct weft_letters_filter *filter,
                          uint64_t after, unsigned limit)
{
    struct weft_letters_reader *r;
    struct weft_letter letter;
    uint64_t sequence, last = after;
    bool more = false;
    unsigned n = 0;
    int found = 0;

    int err = weft_letters_reader_open(l, &r, after);
    if (err)
        return err;
    weft_buf_append_byte(b, '{');
    put_text(b, "exporter", exporter);
    put_key(b, "letters");
    weft_buf_append_byte(b, '[');
    while (!more && (found = weft_letters_reader_next(r, filter, &letter, &sequence)) == 1) {
        more = n++ == limit;
        if (!more) {
            put_letter(b, &letter, sequence);
            weft_letters_reader_settle(r, last = sequence);
        }
    }
    weft_buf_append_byte(b, ']');
    put_bool(b, "unreadable", found < 0);
    put_key(b, "next");
    if (more || found < 0)
        weft_json_put_uint(b, last);
    else
        weft_buf_append_str(b, "null");
    weft_buf_append_byte(b, '}');
    weft_letters_reader_close(r);
    return 0;
}

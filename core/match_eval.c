/* SPDX-License-Identifier: Apache-2.0 */
/* match_eval.c: does an item match? See match.h. Each term fetches its value anew: expressions are short, and most items fail
 * the first term. */
#include "core/json.h"
#include "core/match_state.h"

#include <inttypes.h>
#include <stdio.h>

enum { REGEX_TEXT_MAX = 64 << 10 }; /* a longer text is looked at up to here */

/* What is being looked at. */
struct subject {
    enum weft_signal signal;
    const struct weft_otlp_walk *walk;
    struct weft_span_view span;
    struct weft_log_view log;
    struct weft_metric_view metric;
    struct weft_slice point;      /* of a metric */
    bool readable;
};

struct value {
    enum { ABSENT, TEXT, NUMBER } kind;
    struct weft_slice text;       /* of a number too */
    double number;
    bool is_integer;
    int64_t integer;
    char room[40];
};

static void set_text(struct value *v, struct weft_slice text)
{
    v->kind = TEXT;
    v->text = text;
}

static void set_integer(struct value *v, int64_t integer)
{
    int n = snprintf(v->room, sizeof v->room, "%" PRId64, integer);

    v->kind = NUMBER;
    v->number = (double)integer;
    v->is_integer = true;
    v->integer = integer;
    v->text = weft_slice_of(v->room, (size_t)n);
}

static void set_real(struct value *v, double real)
{
    int n = snprintf(v->room, sizeof v->room, "%.15g", real);

    v->kind = NUMBER;
    v->number = real;
    v->text = weft_slice_of(v->room, (size_t)n);
}

static void set_any(struct value *v, const struct weft_any *any)
{
    switch (any->kind) {
    case WEFT_ANY_STRING: set_text(v, any->bytes); break;
    case WEFT_ANY_BOOL:   set_text(v, any->integer ? WEFT_SLICE("true") : WEFT_SLICE("false")); break;
    case WEFT_ANY_INT:    set_integer(v, any->integer); break;
    case WEFT_ANY_DOUBLE: set_real(v, any->real); break;
    default:              break; /* lists, maps and bytes equal nothing */
    }
}

static void set_id(struct value *v, struct weft_slice id)
{
    if (id.len == 0 || id.len > 16)
        return;
    weft_hex_write(id, v->room);
    set_text(v, weft_slice_of(v->room, 2 * id.len));
}

/* ---- fetching ---- */
static uint32_t point_attributes(enum weft_metric_kind kind)
{
    switch (kind) {
    case WEFT_METRIC_HISTOGRAM:     return WEFT_HISTOGRAM_POINT_ATTRIBUTES;
    case WEFT_METRIC_EXP_HISTOGRAM: return WEFT_EXP_HISTOGRAM_POINT_ATTRIBUTES;
    case WEFT_METRIC_SUMMARY:       return WEFT_SUMMARY_POINT_ATTRIBUTES;
    default:                        return WEFT_NUMBER_POINT_ATTRIBUTES;
    }
}

static bool find_in_item(const struct subject *s, struct weft_slice key, struct weft_any *any)
{
    switch (s->signal) {
    case WEFT_TRACES: return weft_attribute_find(s->walk->item, WEFT_SPAN_ATTRIBUTES, key, any) == 1;
    case WEFT_LOGS:   return weft_attribute_find(s->walk->item, WEFT_LOG_ATTRIBUTES, key, any) == 1;
    default:          return weft_attribute_find(s->point, point_attributes(s->metric.kind), key, any) == 1;
    }
}

static void fetch_attribute(const struct weft_match_term *t, const struct subject *s, struct value *v)
{
    struct weft_any any;

    if ((t->where & WEFT_MATCH_IN_ITEM && find_in_item(s, t->attribute, &any))
        || (t->where & WEFT_MATCH_IN_SCOPE && weft_attribute_find(s->walk->scope, WEFT_SCOPE_ATTRIBUTES, t->attribute, &any) == 1)
        || (t->where & WEFT_MATCH_IN_RESOURCE
            && weft_attribute_find(s->walk->resource, WEFT_RESOURCE_ATTRIBUTES, t->attribute, &any) == 1))
        set_any(v, &any);
}

static void fetch_severity(const struct subject *s, struct value *v)
{
    struct weft_slice text = s->log.severity_text;
    int number = s->log.severity_number > 0 ? s->log.severity_number : weft_match_severity(text);

    if (number == 0 && text.len == 0)
        return;
    set_integer(v, number);
    if (text.len > 0)
        v->text = text;
}

static void fetch_body(const struct subject *s, struct value *v)
{
    struct weft_any any;

    if (s->log.body.data && weft_any_read(s->log.body, &any) == 0)
        set_any(v, &any);
}

static void fetch_of_span(enum weft_match_key key, const struct weft_span_view *span, struct value *v)
{
    static const char *const words[] = { "unset", "ok", "error" };

    switch (key) {
    case WEFT_MATCH_NAME:     set_text(v, span->name); break;
    case WEFT_MATCH_TRACE_ID: set_id(v, span->trace_id); break;
    case WEFT_MATCH_SPAN_ID:  set_id(v, span->span_id); break;
    case WEFT_MATCH_DURATION: set_real(v, span->end_ns > span->start_ns ? (double)(span->end_ns - span->start_ns) : 0); break;
    case WEFT_MATCH_STATUS:
        set_integer(v, span->status_code);
        if (span->status_code >= 0 && span->status_code < 3)
            v->text = weft_slice_str(words[span->status_code]);
        break;
    default: break;
    }
}

static void fetch_of_log(enum weft_match_key key, const struct subject *s, struct value *v)
{
    switch (key) {
    case WEFT_MATCH_SEVERITY: fetch_severity(s, v); break;
    case WEFT_MATCH_BODY:     fetch_body(s, v); break;
    case WEFT_MATCH_NAME:     set_text(v, s->log.event_name); break;
    case WEFT_MATCH_TRACE_ID: set_id(v, s->log.trace_id); break;
    case WEFT_MATCH_SPAN_ID:  set_id(v, s->log.span_id); break;
    default: break;
    }
}

static void fetch(const struct weft_match_term *t, const struct subject *s, struct value *v)
{
    v->kind = ABSENT;
    v->is_integer = false;
    if (t->key == WEFT_MATCH_ATTRIBUTE)
        fetch_attribute(t, s, v);
    else if (s->signal == WEFT_TRACES)
        fetch_of_span(t->key, &s->span, v);
    else if (s->signal == WEFT_LOGS)
        fetch_of_log(t->key, s, v);
    else if (t->key == WEFT_MATCH_NAME)
        set_text(v, s->metric.name);
}

/* ---- comparing ---- */
static bool regex_matches(const struct weft_match_term *t, struct weft_slice text)
{
    /* regexec() wants a NUL at the end, and the sanitizers hold REG_STARTEND to that; this is glibc's own for slices. */
    int len = (int)(text.len < REGEX_TEXT_MAX ? text.len : REGEX_TEXT_MAX);
    regex_t *regex = (regex_t *)(uintptr_t)&t->regex;

    return re_search(regex, text.data ? (const char *)text.data : "", len, 0, len, NULL) >= 0;
}

static bool is_id(const struct weft_match_term *t)
{
    return t->key == WEFT_MATCH_TRACE_ID || t->key == WEFT_MATCH_SPAN_ID;
}

static bool equals(const struct weft_match_term *t, const struct value *v)
{
    if (v->kind == NUMBER && v->is_integer && t->is_integer)
        return v->integer == t->integer;
    if (v->kind == NUMBER && t->is_number)
        return v->number >= t->low && v->number <= t->high;
    if (is_id(t))
        return v->text.len == t->value.len && strncasecmp((const char *)v->text.data, (const char *)t->value.data, v->text.len) == 0;
    return weft_slice_equal(v->text, t->value);
}

/* The sign of value minus what the term says. */
static int order(const struct weft_match_term *t, const struct value *v)
{
    size_t n = v->text.len < t->value.len ? v->text.len : t->value.len;
    int sign = n > 0 ? memcmp(v->text.data, t->value.data, n) : 0;

    return sign ? sign : v->text.len > t->value.len ? 1 : v->text.len < t->value.len ? -1 : 0;
}

static bool compares(const struct weft_match_term *t, const struct value *v)
{
    double number = v->number;
    bool as_numbers = t->is_number && (v->kind == NUMBER || weft_json_double(v->text, &number));
    int sign = as_numbers ? (number > t->high) - (number < t->low) : order(t, v);

    switch (t->op) {
    case WEFT_MATCH_LT: return sign < 0;
    case WEFT_MATCH_LE: return sign <= 0;
    case WEFT_MATCH_GT: return sign > 0;
    default:            return sign >= 0;
    }
}

static bool term_matches(const struct weft_match_term *t, const struct subject *s)
{
    struct value v;

    fetch(t, s, &v);
    switch (t->op) {
    case WEFT_MATCH_EQ:     return v.kind != ABSENT && equals(t, &v);
    case WEFT_MATCH_NE:     return v.kind == ABSENT || !equals(t, &v);
    case WEFT_MATCH_LIKE:   return v.kind != ABSENT && regex_matches(t, v.text);
    case WEFT_MATCH_UNLIKE: return v.kind == ABSENT || !regex_matches(t, v.text);
    default:                return v.kind != ABSENT && compares(t, &v);
    }
}

static bool all_match(const struct weft_match *m, const struct subject *s)
{
    for (size_t i = 0; i < m->n_terms; i++)
        if (!term_matches(&m->terms[i], s))
            return false;
    return true;
}

/* ---- items ---- */
static struct subject subject_of(enum weft_signal signal, const struct weft_otlp_walk *w)
{
    struct subject s = { .signal = signal, .walk = w };

    s.readable = signal == WEFT_TRACES ? weft_span_read(w->item, &s.span) == 0
                 : signal == WEFT_LOGS ? weft_log_read(w->item, &s.log) == 0
                                       : weft_metric_read(w->item, &s.metric) == 0;
    return s;
}

bool weft_match_item(const struct weft_match *m, enum weft_signal signal, const struct weft_otlp_walk *w)
{
    struct subject s = subject_of(signal, w);

    if (!s.readable)
        return false;
    if (signal != WEFT_METRICS)
        return all_match(m, &s);
    struct weft_slice rest = s.metric.data;
    while (weft_metric_point_next(&rest, &s.point) == 1)
        if (all_match(m, &s))
            return true;
    return false;
}

void weft_match_payload(const struct weft_match *m, enum weft_signal signal, struct weft_slice payload,
                        void (*visit)(void *ctx, uint32_t item, bool matches), void *ctx)
{
    struct weft_otlp_walk w;
    uint32_t item = 0;

    weft_otlp_walk_init(&w, payload);
    while (weft_otlp_walk_next(&w) == 1) {
        struct subject s = subject_of(signal, &w);
        if (!s.readable)
            return;
        if (signal != WEFT_METRICS) {
            visit(ctx, item++, all_match(m, &s));
            continue;
        }
        struct weft_slice rest = s.metric.data;
        while (weft_metric_point_next(&rest, &s.point) == 1)
            visit(ctx, item++, all_match(m, &s));
    }
}

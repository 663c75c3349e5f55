/* SPDX-License-Identifier: Apache-2.0 */
/* api_dlq.c: see api_dlq.h. Ids of exporters may hold a slash, so what a path asks for is told by its end. */
#include "agent/api_dlq.h"

#include "agent/api_guard.h"
#include "agent/api_put.h"
#include "agent/lane_replay.h"
#include "agent/letters_json.h"
#include "agent/query.h"
#include "agent/runtime_state.h"
#include "core/clock.h"
#include "core/err.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { LIMIT = 20, LIMIT_MAX = 1000, ID_MAX = 256 };

static const char dlq[] = "/api/v1/dlq", replay[] = "/api/v1/replay/";

/* One request. */
struct ask {
    const struct weft_admin_view *view;
    const char *query;
    bool post;
    struct weft_buf *out;
    struct weft_rt_exporter *exporter; /* the one that is named; NULL: none */
};

bool weft_api_dlq_has(const char *path)
{
    size_t n = sizeof dlq - 1;

    return (strncmp(path, dlq, n) == 0 && (path[n] == 0 || path[n] == '/')) || strncmp(path, replay, sizeof replay - 1) == 0;
}

static unsigned fail(struct weft_buf *out, unsigned status, const char *format, ...) __attribute__((format(printf, 3, 4)));
static unsigned fail(struct weft_buf *out, unsigned status, const char *format, ...)
{
    char text[512];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    weft_buf_reset(out);
    weft_buf_append_byte(out, '{');
    put_text(out, "error", text);
    weft_buf_append_str(out, "}\n");
    return status;
}

/* ---- parameters ---- */
/* 0, or the status of the answer that says what is wrong. */
static unsigned get_number(const struct ask *a, const char *key, uint64_t fallback, uint64_t *ret_value)
{
    char text[32], *end;
    int found = weft_query_get(a->query, key, text, sizeof text);

    *ret_value = fallback;
    if (found == 0)
        return 0;
    if (found == 1 && *text >= '0' && *text <= '9') {
        *ret_value = strtoull(text, &end, 10);
        if (*end == 0)
            return 0;
    }
    return fail(a->out, 400, "%s is not a number", key);
}

/* A duration ago, as a time; 0 when it is not asked for. */
static unsigned get_ago(const struct ask *a, const char *key, uint64_t *ret_wall_ns)
{
    char text[32];
    uint64_t ms;
    int found = weft_query_get(a->query, key, text, sizeof text);

    *ret_wall_ns = 0;
    if (found == 0)
        return 0;
    const char *wrong = found == 1 ? weft_parse_msec(text, &ms) : "too long";
    if (wrong)
        return fail(a->out, 400, "%s: %s (write a duration like 15m or 24h)", key, wrong);
    uint64_t now = weft_clock_wall_ns();
    *ret_wall_ns = ms < now / 1000000 ? now - ms * 1000000 : 1;
    return 0;
}

static unsigned get_filter(const struct ask *a, char reason[WEFT_LETTER_REASON + 1], struct weft_letters_filter *ret_filter)
{
    int found = weft_query_get(a->query, "reason", reason, WEFT_LETTER_REASON + 1);

    if (found < 0)
        return fail(a->out, 400, "reason is not a word of at most %d bytes", WEFT_LETTER_REASON);
    if (found == 1 && !*reason)
        return fail(a->out, 400, "reason is empty; leave it out to mean all letters");
    ret_filter->reason = found == 1 ? reason : NULL;
    return get_ago(a, "older_than", &ret_filter->before_ns);
}

/* ---- answers ---- */
static void put_progress(struct weft_buf *b, const struct weft_replay_progress *p)
{
    weft_buf_append_byte(b, '{');
    put_number(b, "number", p->number);
    put_text(b, "state", weft_replay_state_name(p->state));
    put_text(b, "source", p->letters ? "dead_letters" : "journal");
    put_number(b, "total_items", p->total_items);
    put_number(b, "seen_items", p->seen_items);
    put_number(b, "sent_items", p->sent_items);
    put_number(b, "rejected_items", p->rejected_items);
    put_number(b, "dropped_items", p->dropped_items);
    put_number(b, "expired_items", p->expired_items);
    put_number_if(b, "kept_since_ms", p->kept_since_ns / 1000000);
    put_number(b, "began_ms", p->began_ns / 1000000);
    put_number_if(b, "ended_ms", p->ended_ns / 1000000);
    weft_buf_append_byte(b, '}');
}

/* What the lane is struggling with is what somebody who watches a replay has to know. */
static void put_replay(const struct ask *a, const struct weft_rt_exporter *e, const char *key)
{
    struct weft_replay_progress p;

    put_key(a->out, key);
    weft_lane_replay_progress(e->lane, &p);
    if (p.number)
        put_progress(a->out, &p);
    else
        weft_buf_append_str(a->out, "null");
}

static void put_trouble(const struct ask *a)
{
    const struct weft_runtime *rt = a->view->runtime;
    struct weft_lane_stats *s = calloc(1, sizeof *s);

    if (!s)
        return;
    weft_runtime_lane_stats(rt, (size_t)(a->exporter - rt->exporters), s);
    put_text(a->out, "exporter_error", *s->error ? s->error : NULL);
    free(s);
}

static unsigned answer_list(const struct ask *a)
{
    const struct weft_runtime *rt = a->view->runtime;

    weft_buf_append_str(a->out, "{\"exporters\":[");
    for (size_t i = 0; i < rt->config->n_components[WEFT_KIND_EXPORTER]; i++) {
        const struct weft_rt_exporter *e = &rt->exporters[i];
        if (!e->letters)
            continue;
        begin_item(a->out);
        weft_letters_put_summary(a->out, e->component->id, e->letters);
        put_replay(a, e, "replay");
        weft_buf_append_byte(a->out, '}');
    }
    weft_buf_append_str(a->out, "]}\n");
    return 200;
}

static unsigned answer_page(const struct ask *a)
{
    char reason[WEFT_LETTER_REASON + 1];
    struct weft_letters_filter filter;
    uint64_t limit, after;

    unsigned status = get_filter(a, reason, &filter);
    if (!status)
        status = get_number(a, "limit", LIMIT, &limit);
    if (!status)
        status = get_number(a, "after", 0, &after);
    if (status)
        return status;
    if (limit == 0)
        return fail(a->out, 400, "limit is 1 to %d", LIMIT_MAX);
    limit = limit > LIMIT_MAX ? LIMIT_MAX : limit;
    if (weft_letters_put_page(a->out, a->exporter->component->id, a->exporter->letters, &filter, after, (unsigned)limit))
        return fail(a->out, 503, "out of memory");
    weft_buf_append_byte(a->out, '\n');
    return 200;
}

static unsigned answer_purge(const struct ask *a)
{
    char reason[WEFT_LETTER_REASON + 1];
    struct weft_letters_filter filter;
    uint64_t items;

    unsigned status = get_filter(a, reason, &filter);
    if (status)
        return status;
    int err = weft_letters_purge(a->exporter->letters, &filter, &items);
    weft_log(&a->view->runtime->log, WEFT_LOG_INFO, a->exporter->component->id, "%" PRIu64 " items of dead letters purged on request%s%s",
             items, *reason ? ", reason " : "", reason);
    if (err)
        return fail(a->out, 503, "%" PRIu64 " items were purged, but not all letters can be read at the moment: not enough memory", items);
    weft_buf_append_byte(a->out, '{');
    put_number(a->out, "purged_items", items);
    weft_buf_append_str(a->out, "}\n");
    return 200;
}

static unsigned answer_progress(const struct ask *a, unsigned status)
{
    weft_buf_append_byte(a->out, '{');
    put_text(a->out, "exporter", a->exporter->component->id);
    put_replay(a, a->exporter, "replay");
    put_trouble(a);
    weft_buf_append_str(a->out, "}\n");
    return status;
}

/* ---- replays ---- */
/* A lane is joined by another thread, which holds the lock of the figures meanwhile. */
static int begin(const struct ask *a, const struct weft_replay_setup *setup)
{
    uv_mutex_t *lock = (uv_mutex_t *)(uintptr_t)&a->view->runtime->figures_lock;

    uv_mutex_lock(lock);
    int err = weft_lane_replay_begin(a->exporter->lane, setup);
    uv_mutex_unlock(lock);
    return err;
}

static unsigned begin_replay(const struct ask *a, struct weft_replay_setup *setup)
{
    int err = begin(a, setup);

    if (err)
        weft_match_free(setup->match);
    if (err == UV_EBUSY)
        return fail(a->out, 409, "a replay of this exporter is running; wait for it, or cancel it");
    if (err)
        return fail(a->out, 503, "%s", weft_err_text(err));
    return answer_progress(a, 202);
}

static unsigned answer_replay_letters(const struct ask *a)
{
    struct weft_replay_setup setup = { .letters = true };
    struct weft_letters_filter filter;

    unsigned status = get_filter(a, setup.reason, &filter);
    if (status)
        return status;
    if (!filter.reason)
        setup.reason[0] = 0;
    setup.before_ns = filter.before_ns;
    return begin_replay(a, &setup);
}

static unsigned get_match(const struct ask *a, struct weft_match **ret_match)
{
    char text[WEFT_MATCH_MAX + 2];
    struct weft_match_error error = { 0 };
    int found = weft_query_get(a->query, "match", text, sizeof text);

    if (found < 0)
        return fail(a->out, 400, "match: longer than %d bytes, or badly encoded", WEFT_MATCH_MAX);
    if (found == 0)
        return 0;
    if (!*text)
        return fail(a->out, 400, "match is empty; leave it out to send everything again");
    int err = weft_match_compile(text, ret_match, &error);
    if (err == WEFT_ERR_CONFIG)
        return fail(a->out, 400, "match: column %u: %s", error.column, error.text);
    return err ? fail(a->out, 503, "%s", weft_err_text(err)) : 0;
}

static unsigned answer_replay_records(const struct ask *a)
{
    struct weft_replay_setup setup = { .letters = false };

    unsigned status = get_ago(a, "since", &setup.since_ns);
    if (!status && !setup.since_ns)
        status = fail(a->out, 400, "since is missing: how far to go back, like 15m or 24h");
    if (!status)
        status = get_ago(a, "until", &setup.until_ns);
    if (!status && setup.until_ns && setup.until_ns < setup.since_ns)
        status = fail(a->out, 400, "until is longer ago than since");
    if (!status)
        status = get_match(a, &setup.match);
    return status ? status : begin_replay(a, &setup);
}

/* ---- paths ---- */
static unsigned find_exporter(struct ask *a, const char *id, size_t len)
{
    const struct weft_runtime *rt = a->view->runtime;
    const char *names[64];
    char copy[ID_MAX];
    size_t n = 0;

    if (len == 0 || len >= sizeof copy)
        return fail(a->out, 404, "no exporter is named");
    memcpy(copy, id, len);
    copy[len] = 0;
    for (size_t i = 0; i < rt->config->n_components[WEFT_KIND_EXPORTER]; i++) {
        if (!rt->exporters[i].letters || !rt->exporters[i].lane)
            continue;
        if (strcmp(rt->exporters[i].component->id, copy) == 0) {
            a->exporter = &rt->exporters[i];
            return 0;
        }
        if (n < 63)
            names[n++] = rt->exporters[i].component->id;
    }
    names[n] = NULL;
    const char *near = weft_nearest(copy, names);
    return fail(a->out, 404, "no pipeline has an exporter '%s'%s%s%s", copy, near ? "; did you mean '" : "", near ? near : "",
                near ? "'?" : "");
}

/* Cuts `end` off the path. */
static bool ends_with(const char *path, size_t *len, const char *end)
{
    size_t n = strlen(end);

    if (*len <= n || strcmp(path + *len - n, end) != 0)
        return false;
    *len -= n;
    return true;
}

static unsigned route_dlq(struct ask *a, const char *path)
{
    size_t len = strlen(path);

    if (len == 0)
        return a->post ? fail(a->out, 405, "only GET") : answer_list(a);
    bool purge = a->post && ends_with(path, &len, "/purge"), again = a->post && !purge && ends_with(path, &len, "/replay");
    if (a->post && !purge && !again)
        return fail(a->out, 404, "POST to /api/v1/dlq/EXPORTER/replay or /purge");
    unsigned status = find_exporter(a, path + 1, len - 1);
    if (status)
        return status;
    return purge ? answer_purge(a) : again ? answer_replay_letters(a) : answer_page(a);
}

static unsigned route_replay(struct ask *a, const char *path)
{
    size_t len = strlen(path);
    bool cancel = a->post && ends_with(path, &len, "/cancel");
    unsigned status = find_exporter(a, path, len);

    if (status)
        return status;
    if (cancel)
        weft_lane_replay_cancel(a->exporter->lane);
    return a->post && !cancel ? answer_replay_records(a) : answer_progress(a, 200);
}

unsigned weft_api_dlq(const struct weft_admin_view *view, const char *endpoint, const struct weft_http_request *request,
                      struct weft_buf *out)
{
    struct ask a = { .view = view, .query = request->query, .post = strcmp(request->method, "POST") == 0, .out = out };
    const char *host = weft_http_header(request, "Host");

    if (!weft_guard_host(host, endpoint))
        return fail(out, 403, "ask for this by address or as localhost, not as '%s'", host ? host : "");
    if (a.post && !weft_guard_origin(weft_http_header(request, "Origin"), weft_http_header(request, "Sec-Fetch-Site"), host))
        return fail(out, 403, "a page of another origin may not do this");
    if (!view->runtime)
        return fail(out, 503, "the agent is starting");
    if (strncmp(request->path, replay, sizeof replay - 1) == 0)
        return route_replay(&a, request->path + sizeof replay - 1);
    return route_dlq(&a, request->path + sizeof dlq - 1);
}

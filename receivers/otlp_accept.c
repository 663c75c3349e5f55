/* SPDX-License-Identifier: Apache-2.0 */
/* otlp_accept.c: see otlp_accept.h. What each failure is called in HTTP, in gRPC and in the metrics is one table.
 *
 *   (1) Yes is said only after the sink has committed for good (one that waits for the disk, or holds the yes back, says when),
 *       or when there was nothing to commit.
 *   (2) What the client may send again is told apart from what it must not by retry_after_s alone.
 *   (3) A refusal is counted once: by the sink when it was asked to commit, here when it was not.
 */
#include "receivers/otlp_accept.h"

#include "core/err.h"
#include "core/otlp_fields.h"
#include "core/wire.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { KEEP_WAITERS = 256 };

struct outcome {
    int err;
    enum weft_otlp_code code;
    unsigned http_status;
    uint32_t retry_after_s;
    enum weft_refusal reason;
};

/* The last row stands for every other error. A full journal empties at the pace of its slowest exporter, memory in
 * the time of a request, and a process that stops is back after a restart. */
static const struct outcome outcomes[] = {
    { WEFT_ERR_FULL,        WEFT_OTLP_UNAVAILABLE,        429, 2, WEFT_REFUSAL_FULL },
    { WEFT_ERR_SHED,        WEFT_OTLP_UNAVAILABLE,        429, 2, WEFT_REFUSAL_FULL }, /* which of them, the sink has counted */
    { WEFT_ERR_LIMIT,       WEFT_OTLP_UNAVAILABLE,        503, 1, WEFT_REFUSAL_MEMORY },
    { UV_ENOMEM,            WEFT_OTLP_UNAVAILABLE,        503, 1, WEFT_REFUSAL_MEMORY },
    { WEFT_ERR_DISK,        WEFT_OTLP_UNAVAILABLE,        503, 2, WEFT_REFUSAL_FULL }, /* not counted: it was accepted */
    { WEFT_ERR_DRAINING,    WEFT_OTLP_UNAVAILABLE,        503, 5, WEFT_REFUSAL_DRAINING },
    { WEFT_ERR_TOO_LARGE,   WEFT_OTLP_RESOURCE_EXHAUSTED, 413, 0, WEFT_REFUSAL_TOO_LARGE },
    { WEFT_ERR_MALFORMED,   WEFT_OTLP_INVALID_ARGUMENT,   400, 0, WEFT_REFUSAL_MALFORMED },
    { WEFT_ERR_TOO_DEEP,    WEFT_OTLP_INVALID_ARGUMENT,   400, 0, WEFT_REFUSAL_MALFORMED },
    { WEFT_ERR_UNSUPPORTED, WEFT_OTLP_UNIMPLEMENTED,      415, 0, WEFT_REFUSAL_UNSUPPORTED },
    { WEFT_ERR_NOT_FOUND,   WEFT_OTLP_NOT_FOUND,          404, 0, WEFT_REFUSAL_UNSUPPORTED },
    { WEFT_ERR_TIMEOUT,     WEFT_OTLP_DEADLINE_EXCEEDED,  408, 0, WEFT_REFUSAL_TIMEOUT },
    { 0,                    WEFT_OTLP_INTERNAL,           500, 0, WEFT_REFUSAL_MALFORMED },
};

static const struct outcome *outcome_of(int err)
{
    const struct outcome *o = outcomes;

    while (o->err && o->err != err)
        o++;
    return o;
}

static void fill(struct weft_otlp_verdict *v, const struct outcome *o)
{
    v->code = o->code;
    v->http_status = o->http_status;
    v->retry_after_s = o->retry_after_s;
    v->rejected = 0;
}

/* Why, in more words than the client is told. */
static void put_reason(struct weft_otlp *r, enum weft_signal signal, int err, const struct weft_otlp_verdict *v, char *words, size_t size)
{
    struct weft_sink *sink = signal < WEFT_SIGNALS ? r->base.sinks[signal] : NULL;

    if (sink && sink->explain && (err == WEFT_ERR_FULL || err == WEFT_ERR_SHED))
        sink->explain(sink, err, words, size);
    else
        (void)snprintf(words, size, "%s", v->message);
}

/* One line for what only the sender can mend, another gate for what the operator must. */
static void tell(struct weft_otlp *r, enum weft_signal signal, int err, const struct weft_otlp_verdict *v)
{
    bool later = v->retry_after_s > 0;
    struct weft_log_gate *gate = later ? &r->refused_gate : &r->malformed_gate;
    unsigned untold = 0;
    char others[48] = "", reason[400];

    if (!weft_log_gate_open(gate, uv_now(r->base.loop), &untold))
        return;
    if (untold)
        (void)snprintf(others, sizeof others, " (%u more not shown)", untold);
    put_reason(r, signal, err, v, reason, sizeof reason);
    weft_log(r->base.log, WEFT_LOG_WARN, r->base.id, "refused a %srequest of %s: %s; the client is told %s%s",
             err == WEFT_ERR_SHED ? "less important " : "", signal < WEFT_SIGNALS ? weft_signal_name(signal) : "unknown kind", reason,
             later ? "to send it again later" : "not to send it again", others);
}

static void refuse(struct weft_otlp *r, enum weft_signal signal, int err, struct weft_otlp_verdict *v)
{
    const struct outcome *o = outcome_of(err);
    struct weft_sink *sink = signal < WEFT_SIGNALS ? r->base.sinks[signal] : NULL;

    fill(v, o);
    if (sink)
        sink->refuse(sink, o->reason, 1); /* how many items it held is not known; none would hide the refusal */
    tell(r, signal, err, v);
}

void weft_otlp_refuse(struct weft_otlp *r, enum weft_signal signal, int err, struct weft_otlp_verdict *ret_verdict,
                      const char *format, ...)
{
    va_list args;

    if (format) {
        va_start(args, format);
        (void)vsnprintf(ret_verdict->message, sizeof ret_verdict->message, format, args);
        va_end(args);
    } else {
        (void)snprintf(ret_verdict->message, sizeof ret_verdict->message, "%s", weft_err_text(err));
    }
    refuse(r, signal, err, ret_verdict);
}

/* ---- where a payload is wrong ---- */

/* Is an item well formed? Asked of the one gate there is, as the only item of a request made for it in `scratch`. */
static bool item_ok(enum weft_signal signal, struct weft_slice item, struct weft_buf *scratch)
{
    uint32_t items;

    weft_buf_reset(scratch);
    size_t group = weft_wire_begin_wide(scratch, WEFT_REQUEST_GROUPS);
    size_t scope = weft_wire_begin_wide(scratch, WEFT_RESOURCE_GROUP_SCOPES);
    weft_wire_put_bytes(scratch, WEFT_OTLP_ITEMS, item);
    weft_wire_end_wide(scratch, scope);
    weft_wire_end_wide(scratch, group);
    return scratch->err || weft_otlp_count(signal, weft_buf_slice(scratch), &items) == 0;
}

/* The payload is known to be malformed; finds the item in which, or behind which, it is. Off the hot path. */
static void describe_place(struct weft_account *account, enum weft_signal signal, struct weft_slice payload, char *words,
                           size_t size)
{
    static const char *const names[WEFT_SIGNALS] = { "span", "log record", "metric" };
    struct weft_otlp_walk walk;
    struct weft_slice last = { payload.data, 0 };
    struct weft_buf scratch;
    unsigned n = 0;
    int result;
    bool ok = true;

    weft_buf_init(&scratch, payload.len + 64);
    scratch.account = account;
    weft_otlp_walk_init(&walk, payload);
    while (ok && (result = weft_otlp_walk_next(&walk)) > 0) {
        n++;
        last = walk.item;
        ok = item_ok(signal, walk.item, &scratch);
    }
    weft_buf_release(&scratch);
    size_t behind = (size_t)(last.data + last.len - payload.data);
    if (!ok)
        (void)snprintf(words, size, "%s %u, at byte %zu, is not a valid protobuf message", names[signal], n,
                       (size_t)(last.data - payload.data));
    else if (result < 0)
        (void)snprintf(words, size, "not a valid protobuf message behind byte %zu of %zu (after %u %ss)", behind,
                       payload.len, n, names[signal]);
    else
        (void)snprintf(words, size, "a resource or scope is not a valid protobuf message");
}

/* ---- waiting ---- */
static void on_done(struct weft_commit *commit, int err)
{
    struct weft_otlp_waiter *w = (struct weft_otlp_waiter *)commit; /* its first member */

    w->done = true;
    w->err = err;
    w->ready(w);
}

/* The waiter that the next request will have if it waits: made before its commit, which must not fail afterwards. NULL: out of
 * memory. */
static struct weft_otlp_waiter *waiter_at_hand(struct weft_otlp *r)
{
    struct weft_otlp_waiter *w = r->free_waiters;

    if (w || !(w = malloc(sizeof *w)))
        return w;
    *w = (struct weft_otlp_waiter){ .commit = { .done = on_done }, .receiver = r };
    r->free_waiters = w;
    r->n_free_waiters++;
    return w;
}

static void waiter_take(struct weft_otlp *r, struct weft_otlp_waiter *w, enum weft_signal signal)
{
    r->free_waiters = w->next;
    r->n_free_waiters--;
    w->next = NULL;
    w->signal = signal;
    w->done = false;
    w->err = 0;
}

static void waiter_give_back(struct weft_otlp_waiter *w)
{
    struct weft_otlp *r = w->receiver;

    if (r->n_free_waiters >= KEEP_WAITERS) {
        free(w);
        return;
    }
    w->next = r->free_waiters;
    r->free_waiters = w;
    r->n_free_waiters++;
}

void weft_otlp_waiters_release(struct weft_otlp *r)
{
    while (r->free_waiters) {
        struct weft_otlp_waiter *w = r->free_waiters;
        r->free_waiters = w->next;
        free(w);
    }
    r->n_free_waiters = 0;
}

/* Whether the record is durable. */
static bool forget(struct weft_otlp_waiter *w)
{
    struct weft_sink *sink = w->receiver->base.sinks[w->signal];

    return w->done ? w->err == 0 : sink->forget(sink, &w->commit);
}

void weft_otlp_abandon(struct weft_otlp_waiter *w)
{
    (void)forget(w);
    waiter_give_back(w);
}

/* ---- accepting ---- */

/* What the sink said no to; the sink has counted it. */
static void fill_refused(struct weft_otlp *r, enum weft_signal signal, int err, const char *words,
                         struct weft_otlp_verdict *v)
{
    struct weft_sink *sink = r->base.sinks[signal];

    fill(v, outcome_of(err));
    if (err == WEFT_ERR_SHED)
        v->retry_after_s = sink->retry_after_s;
    if (err == WEFT_ERR_TOO_LARGE && sink->explain)
        sink->explain(sink, err, v->message, sizeof v->message);
    else
        (void)snprintf(v->message, sizeof v->message, "%s", words);
    tell(r, signal, err, v);
}

void weft_otlp_settle(struct weft_otlp_waiter *w, struct weft_otlp_verdict *ret_verdict)
{
    *ret_verdict = (struct weft_otlp_verdict){ .code = WEFT_OTLP_OK, .http_status = 200 };
    if (!forget(w))
        fill_refused(w->receiver, w->signal, WEFT_ERR_DISK,
                     w->done ? "the disk has failed before the data was safe" : "the disk did not confirm the data in time",
                     ret_verdict);
    waiter_give_back(w);
}

/* 0: *ret_waiter is NULL when there is nothing to wait for. */
static int commit_and_wait(struct weft_otlp *r, struct weft_record *record, struct weft_otlp_waiter **ret_waiter)
{
    struct weft_sink *sink = r->base.sinks[record->signal];
    struct weft_otlp_waiter *w = waiter_at_hand(r);

    if (!w) {
        sink->refuse(sink, WEFT_REFUSAL_MEMORY, record->n_items);
        return UV_ENOMEM;
    }
    int err = sink->commit(sink, record);
    bool waits = !err && sink->await(sink, &w->commit);
    if (waits)
        waiter_take(r, w, record->signal);
    *ret_waiter = waits ? w : NULL;
    return err;
}

static int commit(struct weft_otlp *r, enum weft_signal signal, struct weft_slice payload, uint32_t items,
                  struct weft_otlp_waiter **ret_waiter)
{
    struct weft_sink *sink = r->base.sinks[signal];
    struct weft_record record = { .signal = signal, .n_items = items, .payload = payload };

    return sink->await ? commit_and_wait(r, &record, ret_waiter) : sink->commit(sink, &record);
}

struct weft_otlp_waiter *weft_otlp_accept(struct weft_otlp *r, enum weft_signal signal, struct weft_slice payload,
                                          struct weft_otlp_verdict *ret_verdict)
{
    struct weft_otlp_waiter *waiter = NULL;
    struct weft_otlp_verdict v = { .code = WEFT_OTLP_OK, .http_status = 200 };
    uint32_t items = 0;

    if (!r->base.sinks[signal]) {
        (void)snprintf(v.message, sizeof v.message, "no pipeline takes %s from this receiver", weft_signal_name(signal));
        refuse(r, signal, WEFT_ERR_NOT_FOUND, &v);
    } else if (weft_otlp_count(signal, payload, &items) != 0) {
        describe_place(r->base.account, signal, payload, v.message, sizeof v.message);
        refuse(r, signal, WEFT_ERR_MALFORMED, &v);
    } else if (items > 0) {
        int err = commit(r, signal, payload, items, &waiter);
        if (err)
            fill_refused(r, signal, err, weft_err_text(err), &v);
    }
    *ret_verdict = v;
    return waiter;
}

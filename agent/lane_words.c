/* SPDX-License-Identifier: Apache-2.0 */
/* lane_words.c: see lane_words.h. */
#include "agent/lane_state.h"

#include <stdio.h>

enum { INTERVAL_MS = 10000, OUTAGE_INTERVAL_MS = 60000, FAILURES = 3 };

/* ---- parts of lines ---- */

const char *weft_lane_at(const struct weft_lane_endpoint *e, const char *word, char room[200])
{
    room[0] = 0;
    if (*e->name)
        (void)snprintf(room, 200, " %s %s", word, e->name);
    return room;
}

void weft_lane_why(char *to, size_t size, const char *reason, const char *detail)
{
    size_t len = strlen(reason);
    bool twice = detail && strncmp(detail, reason, len) == 0 && (detail[len] == ':' || detail[len] == 0);

    (void)snprintf(to, size, "%s%s%s", twice ? "" : reason, detail && !twice ? ": " : "", detail ? detail : "");
}

/* Items that wait for the lane, what it holds itself included. */
static unsigned long long count_waiting(const struct weft_lane *lane)
{
    uint64_t n = 0;

    for (size_t i = 0; i < lane->n_readers; i++) {
        struct weft_cursor_stats c;
        if (!lane->readers[i].cursor)
            continue;
        weft_cursor_stats(lane->readers[i].cursor, &c);
        uint64_t counted = atomic_load_explicit(&lane->readers[i].counted_items, memory_order_relaxed);
        n += c.waiting_items > counted ? c.waiting_items - counted : 0;
    }
    return n;
}

/* "2 items wait" */
static const char *waiting(const struct weft_lane *lane, char room[48])
{
    unsigned long long n = count_waiting(lane);

    (void)snprintf(room, 48, "%llu %s", n, weft_log_words(n, "item waits", "items wait"));
    return room;
}

static double seconds_since(const struct weft_lane *lane, uint64_t ms)
{
    return ms ? (double)(uv_now(&lane->loop) - ms) / 1000 : 0;
}

/* ---- what was held back ---- */

static void say_failures(struct weft_lane *lane)
{
    unsigned n = lane->words.failures.dropped;
    char wait[48];

    lane->words.failures.dropped = 0;
    if (n > 0) /* the error is this thread's to write */
        weft_log(lane->exporter->log, WEFT_LOG_WARN, lane->id, "%u more %s failed, the last one: %s; %s", n,
                 weft_log_words(n, "export", "exports"), lane->error, waiting(lane, wait));
}

static void write_refused(struct weft_lane *lane)
{
    struct weft_lane_words *w = &lane->words;
    const char *what = w->refused.other_signals ? "items" : weft_signal_items(w->refused.signal, w->refused.items);

    if (w->refused.items == 0)
        return;
    weft_log(lane->exporter->log, WEFT_LOG_WARN, lane->id, "%llu %s refused for good (%s%s), %s%s",
             (unsigned long long)w->refused.items, what, w->refused.why, w->refused.other_reasons ? "; and for other reasons" : "",
             lane->letters ? "kept as dead letters: weft dlq show --exporter " : "not kept: there are no dead letters",
             lane->letters ? lane->id : "");
    w->refused.items = 0;
    w->refused.other_signals = w->refused.other_reasons = false;
}

static void say_what_was_held_back(struct weft_lane *lane)
{
    say_failures(lane);
    write_refused(lane);
    lane->words.refusals.dropped = 0;
}

static void on_timer(uv_timer_t *timer)
{
    say_what_was_held_back(timer->data);
}

/* For `ms` at most. */
static void hold_back(struct weft_lane *lane, uint64_t ms)
{
    uv_timer_t *timer = &lane->words.timer;

    if (lane->closing)
        say_what_was_held_back(lane);
    else if (!uv_is_active((uv_handle_t *)timer) || uv_timer_get_due_in(timer) > ms)
        (void)uv_timer_start(timer, on_timer, ms, 0);
}

void weft_lane_words_open(struct weft_lane *lane)
{
    lane->words = (struct weft_lane_words){ .failures = { .interval_ms = INTERVAL_MS, .burst = FAILURES },
                                            .refusals = { .interval_ms = INTERVAL_MS, .burst = 1 },
                                            .letters = { .interval_ms = INTERVAL_MS, .burst = 1 } };
    (void)uv_timer_init(&lane->loop, &lane->words.timer);
    lane->words.timer.data = lane;
}

void weft_lane_words_close(struct weft_lane *lane)
{
    say_what_was_held_back(lane);
    uv_close((uv_handle_t *)&lane->words.timer, NULL);
}

/* ---- the lines ---- */

/* After a failure: notes whether the endpoint's circuit is open. True: that was known; a probe that fails is no news. */
static bool note_outage(struct weft_lane_endpoint *e)
{
    bool known = e->known_out;

    e->known_out = e->retry.breaker != WEFT_BREAKER_CLOSED;
    return known;
}

void weft_lane_log_failure(struct weft_lane *lane, const struct weft_lane_batch *b, const char *reason, const char *detail,
                           const char *next)
{
    struct weft_lane_endpoint *e = &lane->endpoints[b->base.endpoint];
    uint64_t items = b->base.n_items - b->counted;
    bool sent = strcmp(reason, WEFT_REASON_MEMORY) != 0;
    char why[WEFT_LANE_ERROR_LEN], at[200], wait[48];
    unsigned more = 0;

    if (!e->failing_since_ms)
        e->failing_since_ms = uv_now(&lane->loop);
    if (sent && note_outage(e)) {
        lane->words.failures.dropped++;
        hold_back(lane, OUTAGE_INTERVAL_MS);
        return;
    }
    if (!weft_log_gate_open(&lane->words.failures, uv_now(&lane->loop), &more)) {
        hold_back(lane, INTERVAL_MS);
        return;
    }
    lane->words.failures.dropped = more;
    say_failures(lane);
    e->told = true;
    weft_lane_why(why, sizeof why, reason, detail);
    weft_log(lane->exporter->log, WEFT_LOG_WARN, lane->id, "export of %llu %s%s failed: %s; %s; %s", (unsigned long long)items,
             weft_signal_items(b->base.signal, items), sent ? weft_lane_at(e, "to", at) : "", why, next, waiting(lane, wait));
}

void weft_lane_note_refused(struct weft_lane *lane, const struct weft_lane_batch *b, uint64_t items, const char *reason,
                            const char *detail)
{
    struct weft_lane_words *w = &lane->words;
    char why[sizeof w->refused.why];

    if (items == 0)
        return;
    weft_lane_why(why, sizeof why, reason, detail);
    if (w->refused.items == 0) {
        w->refused.signal = b->base.signal;
        memcpy(w->refused.why, why, sizeof why);
    }
    w->refused.other_signals = w->refused.other_signals || w->refused.signal != b->base.signal;
    w->refused.other_reasons = w->refused.other_reasons || strcmp(w->refused.why, why) != 0;
    w->refused.items += items;
}

void weft_lane_say_refused(struct weft_lane *lane)
{
    unsigned more = 0;

    if (lane->words.refused.items == 0)
        return;
    if (weft_log_gate_open(&lane->words.refusals, uv_now(&lane->loop), &more))
        write_refused(lane);
    else
        hold_back(lane, INTERVAL_MS);
}

void weft_lane_say_recovered(struct weft_lane *lane, struct weft_lane_endpoint *e, bool breaker)
{
    char at[200], wait[48], more[64] = "";
    unsigned n = lane->words.failures.dropped;

    if (n > 0)
        (void)snprintf(more, sizeof more, " (%u %s not shown)", n, weft_log_words(n, "failure", "failures"));
    lane->words.failures.dropped = 0;
    weft_log(lane->exporter->log, WEFT_LOG_INFO, lane->id, "%ssending again%s after %.1f s%s; %s",
             breaker ? "circuit closed; " : "", weft_lane_at(e, "to", at), seconds_since(lane, e->failing_since_ms), more,
             waiting(lane, wait));
    e->told = e->known_out = false;
    e->failing_since_ms = 0;
}

void weft_lane_say_open(struct weft_lane *lane, struct weft_lane_endpoint *e)
{
    uint64_t left = weft_retry_left_ms(&e->retry, uv_now(&lane->loop), weft_lane_is_failing(lane));
    char at[200], wait[48];

    e->told = true;
    weft_log(lane->exporter->log, WEFT_LOG_WARN, lane->id,
             "circuit open%s after %u %s; one request will probe the back end in %.1f s; %s", weft_lane_at(e, "at", at), e->retry.failures,
             weft_log_words(e->retry.failures, "failure", "failures in a row"), (double)left / 1000, waiting(lane, wait));
}

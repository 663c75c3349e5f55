/* SPDX-License-Identifier: Apache-2.0 */
/* lane_endpoints.c: see lane_endpoints.h.
 *
 * A batch is offered to the endpoints in the order of the policy: from the next one in turn (round_robin), or from the first
 * (failover). The first one that is well and has room takes it, or one that failed and whose wait is over, which thereby is
 * probed; the one that has just failed this batch comes last. Failover waits for room at the first that is well: a
 * stand-in is for failure, not for load. */
#include "agent/lane_endpoints.h"

#include "agent/lane_state.h"
#include "core/clock.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

enum {
    LOCAL_RETRY_MS = 100,        /* of exporters without a back end */
    PROBE_TIMEOUT_LEAST_MS = 2000,
    PROBES_WITH_ALL_TIME = 4,    /* every so many probes one has the whole timeout of a request */
    REMOTE_CONCURRENCY_MAX = 256,
};

static uint64_t draw(struct weft_lane *lane) /* xorshift64: only spreads waits */
{
    lane->random ^= lane->random << 13;
    lane->random ^= lane->random >> 7;
    lane->random ^= lane->random << 17;
    return lane->random;
}

static struct weft_lane_endpoint *endpoint_of(const struct weft_lane *lane, const struct weft_lane_batch *b)
{
    return &lane->endpoints[b->base.endpoint];
}

/* ---- opening ---- */

/* "https://user:secret@host" as "https://host": a name goes into logs and labels. */
static char *public_name(const char *name)
{
    const char *scheme = strstr(name, "://");
    const char *host = scheme ? scheme + 3 : name;
    const char *at = memchr(host, '@', strcspn(host, "/?#"));
    size_t before = at ? (size_t)(host - name) : 0, len = strlen(at ? at + 1 : name);
    char *copy = malloc(before + len + 1);

    if (!copy)
        return NULL;
    memcpy(copy, name, before);
    memcpy(copy + before, at ? at + 1 : name, len + 1);
    return copy;
}

static const char *name_at(const struct weft_exporter *exporter, size_t index)
{
    if (exporter->type->endpoint)
        return exporter->type->endpoint(exporter, index);
    return index == 0 ? "" : NULL;
}

static struct weft_retry_options retry_options(const struct weft_lane *lane)
{
    const struct weft_lane_config *c = &lane->config;

    if (lane->exporter->type->local)
        return (struct weft_retry_options){ .initial_ms = LOCAL_RETRY_MS, .max_ms = LOCAL_RETRY_MS };
    return (struct weft_retry_options){ .initial_ms = c->initial_interval, .max_ms = c->max_interval,
                                        .breaker_threshold = (unsigned)c->breaker_threshold,
                                        .breaker_open_ms = c->breaker_open, .probe_ms = c->probe_interval };
}

static struct weft_concurrency_options concurrency_options(const struct weft_lane *lane)
{
    const struct weft_exporter_type *type = lane->exporter->type;
    const struct weft_lane_config *c = &lane->config;
    unsigned most = type->concurrency ? type->concurrency : 1;
    struct weft_concurrency_options o = { .adaptive = c->adaptive && !type->local, .initial = (unsigned)c->concurrency_initial,
                                          .max = most };

    if (type->local)
        return o;
    if (c->num_consumers > 0)
        return (struct weft_concurrency_options){ .max = (unsigned)c->num_consumers };
    if (c->concurrency_max > 0)
        o.max = (unsigned)c->concurrency_max;
    return o;
}

static int open_endpoint(struct weft_lane *lane, const char *name)
{
    struct weft_lane_endpoint *e = &lane->endpoints[lane->n_endpoints];
    struct weft_retry_options retry = retry_options(lane);
    struct weft_concurrency_options concurrency = concurrency_options(lane);

    e->name = public_name(name);
    if (!e->name)
        return UV_ENOMEM;
    weft_retry_init(&e->retry, &retry);
    weft_concurrency_init(&e->concurrency, &concurrency);
    atomic_store_explicit(&e->limit, weft_concurrency_limit(&e->concurrency), memory_order_relaxed);
    lane->n_endpoints++;
    return 0;
}

int weft_lane_endpoints_open(struct weft_lane *lane)
{
    size_t n = 0;
    int err = 0;

    while (n < WEFT_LANE_ENDPOINTS && name_at(lane->exporter, n))
        n++;
    lane->endpoints = calloc(n + 1, sizeof *lane->endpoints);
    if (!lane->endpoints)
        return UV_ENOMEM;
    for (size_t i = 0; i < n && !err; i++)
        err = open_endpoint(lane, name_at(lane->exporter, i));
    if (n == 0) /* the exporter finds its options wanting, and its start will say so */
        err = open_endpoint(lane, "");
    if (err)
        return err;
    lane->concurrency = lane->endpoints[0].concurrency.options.max;
    assert(lane->concurrency <= REMOTE_CONCURRENCY_MAX);
    lane->round_robin = lane->config.balancing == WEFT_BALANCE_ROUND_ROBIN
                        || (lane->config.balancing == WEFT_BALANCE_AUTO && lane->exporter->type->round_robin);
    return 0;
}

void weft_lane_endpoints_free(struct weft_lane *lane)
{
    for (size_t i = 0; i < lane->n_endpoints; i++)
        free(lane->endpoints[i].name);
    free(lane->endpoints);
    lane->endpoints = NULL;
    lane->n_endpoints = 0;
}

/* ---- choosing ---- */

static bool any_is_well(const struct weft_lane *lane, uint64_t now)
{
    for (size_t i = 0; i < lane->n_endpoints; i++)
        if (weft_retry_is_well(&lane->endpoints[i].retry, now))
            return true;
    return false;
}

static bool is_full(const struct weft_lane_endpoint *e)
{
    return e->out >= weft_concurrency_limit(&e->concurrency);
}

/* 0: it takes a batch now. */
static uint64_t wait_for(const struct weft_lane_endpoint *e, uint64_t now, bool early)
{
    if (weft_retry_is_well(&e->retry, now))
        return is_full(e) ? WEFT_LANE_AFTER_OUTCOME : 0;
    return weft_retry_left_ms(&e->retry, now, early);
}

/* Where a batch that failed last at `failed` (or -1) goes; -1: nowhere yet, ask again in *ret_wait. */
static int pick(const struct weft_lane *lane, uint64_t now, int failed, uint64_t *ret_wait)
{
    bool early = !any_is_well(lane, now);
    uint64_t least = WEFT_LANE_AFTER_OUTCOME;
    int last_resort = -1;

    for (size_t n = 0; n < lane->n_endpoints; n++) {
        size_t i = ((lane->round_robin ? lane->next_endpoint : 0) + n) % lane->n_endpoints;
        const struct weft_lane_endpoint *e = &lane->endpoints[i];
        uint64_t wait = wait_for(e, now, early);
        if (wait == 0 && ((int)i != failed || weft_retry_is_well(&e->retry, now)))
            return (int)i;
        if (wait == 0 && !early)
            continue; /* another is well: if it is full, its next outcome makes room, sooner than this one may answer */
        if (wait == 0)
            last_resort = (int)i;
        least = wait < least ? wait : least;
        if (!lane->round_robin && weft_retry_is_well(&e->retry, now))
            break;
    }
    *ret_wait = least;
    return last_resort;
}

/* A server that usually answers in no time is not given all the time of a large request to show that it lives; now and
 * then it is, lest one that has become slow were never tried in earnest. */
static uint64_t probe_timeout_ms(const struct weft_lane_endpoint *e)
{
    uint64_t usual = (uint64_t)((e->round_trip_us + 4 * e->spread_us) / 1000 * 2);

    if (e->round_trip_us <= 0 || e->probes % PROBES_WITH_ALL_TIME == PROBES_WITH_ALL_TIME - 1)
        return 0;
    return usual > PROBE_TIMEOUT_LEAST_MS ? usual : PROBE_TIMEOUT_LEAST_MS;
}

/* ---- figures ---- */

/* A probe that failed has a line of its own. */
static void log_breaker(struct weft_lane *lane, struct weft_lane_endpoint *e, enum weft_breaker was)
{
    if (e->retry.breaker == WEFT_BREAKER_OPEN && was == WEFT_BREAKER_CLOSED)
        weft_lane_say_open(lane, e);
    else if (e->retry.breaker == WEFT_BREAKER_CLOSED)
        weft_lane_say_recovered(lane, e, true);
}

static void show(struct weft_lane *lane, struct weft_lane_endpoint *e)
{
    uint64_t now = uv_now(&lane->loop), left = weft_retry_left_ms(&e->retry, now, weft_lane_is_failing(lane));
    int is = (int)e->retry.breaker, was = atomic_exchange_explicit(&e->breaker, is, memory_order_relaxed);

    atomic_store_explicit(&e->failures, e->retry.failures, memory_order_relaxed);
    atomic_store_explicit(&e->limit, weft_concurrency_limit(&e->concurrency), memory_order_relaxed);
    atomic_store_explicit(&e->in_flight, e->out, memory_order_relaxed);
    atomic_store_explicit(&e->next_attempt_ms, left && left != WEFT_RETRY_AFTER_PROBE ? now + left : 0, memory_order_relaxed);
    if (was != is)
        log_breaker(lane, e, (enum weft_breaker)was);
}

static void set_error(struct weft_lane *lane, struct weft_lane_endpoint *e, const char *reason, const char *detail)
{
    uv_mutex_lock(&lane->error_lock);
    (void)snprintf(e->error, sizeof e->error, "%s%s%s", reason, *reason && detail ? ": " : "", detail ? detail : "");
    uv_mutex_unlock(&lane->error_lock);
}

/* ---- the way of a batch ---- */

uint64_t weft_lane_room(const struct weft_lane *lane)
{
    uint64_t wait = 0;

    return pick(lane, uv_now(&lane->loop), -1, &wait) < 0 ? wait : 0;
}

uint64_t weft_lane_route(struct weft_lane *lane, struct weft_lane_batch *b)
{
    uint64_t now = uv_now(&lane->loop), wait = 0;
    int chosen = pick(lane, now, b->base.attempt ? (int)b->base.endpoint : -1, &wait);

    if (chosen < 0)
        return wait;
    struct weft_lane_endpoint *e = &lane->endpoints[chosen];
    wait = weft_retry_wait_ms(&e->retry, now, true);
    assert(wait == 0); /* pick has just asked */
    b->base.endpoint = (unsigned)chosen;
    b->base.probe = e->retry.probing && e->retry.failures > 0;
    b->base.probe_timeout_ms = b->base.probe ? probe_timeout_ms(e) : 0;
    e->probes += b->base.probe;
    lane->next_endpoint = (size_t)chosen + 1;
    e->out++;
    weft_concurrency_on_send(&e->concurrency, e->out, !b->reader || b->reader->has_ahead);
    show(lane, e);
    return 0;
}

void weft_lane_returned(struct weft_lane *lane, struct weft_lane_batch *b)
{
    struct weft_lane_endpoint *e = endpoint_of(lane, b);

    assert(e->out > 0);
    e->out--;
    if (b->base.probe)
        weft_retry_probe_over(&e->retry);
    b->base.probe = false;
    atomic_store_explicit(&e->in_flight, e->out, memory_order_relaxed); /* the outcome may have nothing to do with the endpoint */
}

void weft_lane_answered(struct weft_lane *lane, const struct weft_lane_batch *b, uint64_t round_trip_ns)
{
    struct weft_lane_endpoint *e = endpoint_of(lane, b);
    double us = (double)round_trip_ns / 1000, share = e->round_trip_us > 0 ? 0.1 : 1;
    bool had_failed = e->retry.failures > 0;

    e->spread_us += share * (fabs(us - e->round_trip_us) - e->spread_us);
    e->round_trip_us += share * (us - e->round_trip_us);
    e->probes = 0;
    weft_retry_on_success(&e->retry, uv_now(&lane->loop));
    weft_concurrency_on_answer(&e->concurrency, round_trip_ns / 1000, b->base.n_bytes);
    show(lane, e);
    if (had_failed)
        set_error(lane, e, "", NULL);
    if (e->told)
        weft_lane_say_recovered(lane, e, false);
    e->failing_since_ms = 0;
}

void weft_lane_refused(struct weft_lane *lane, const struct weft_lane_batch *b, uint64_t retry_after_ms, const char *reason,
                       const char *detail)
{
    struct weft_lane_endpoint *e = endpoint_of(lane, b);

    if (!e->failing_since_ms)
        e->failing_since_ms = uv_now(&lane->loop);
    (void)weft_retry_on_failure(&e->retry, uv_now(&lane->loop), retry_after_ms, draw(lane));
    weft_concurrency_on_push_back(&e->concurrency);
    set_error(lane, e, reason, detail);
    show(lane, e);
}

/* ---- questions ---- */

const char *weft_lane_stand_in(const struct weft_lane *lane, const struct weft_lane_batch *b)
{
    uint64_t wait;
    int other = pick(lane, uv_now(&lane->loop), (int)b->base.endpoint, &wait);

    return other >= 0 && other != (int)b->base.endpoint ? lane->endpoints[other].name : NULL;
}

uint64_t weft_lane_left_ms(const struct weft_lane *lane)
{
    uint64_t wait = weft_lane_room(lane);

    return wait == WEFT_LANE_AFTER_OUTCOME ? 0 : wait;
}

bool weft_lane_is_failing(const struct weft_lane *lane)
{
    return !any_is_well(lane, uv_now(&lane->loop));
}

static void copy_endpoint(const struct weft_lane_endpoint *e, struct weft_lane_endpoint_stats *s, uint64_t now_ms)
{
    uint64_t next = atomic_load_explicit(&e->next_attempt_ms, memory_order_relaxed);

    s->name = e->name;
    s->breaker = (enum weft_breaker)atomic_load_explicit(&e->breaker, memory_order_relaxed);
    s->failures = atomic_load_explicit(&e->failures, memory_order_relaxed);
    s->limit = atomic_load_explicit(&e->limit, memory_order_relaxed);
    s->in_flight = atomic_load_explicit(&e->in_flight, memory_order_relaxed);
    s->next_attempt_ms = next > now_ms ? next - now_ms : 0;
    memcpy(s->error, e->error, sizeof s->error);
}

/* The lane delivers as long as one endpoint does: its breaker is that of the best. */
void weft_lane_endpoint_stats(struct weft_lane *lane, struct weft_lane_stats *stats)
{
    static const int badness[] = { [WEFT_BREAKER_CLOSED] = 0, [WEFT_BREAKER_HALF_OPEN] = 1, [WEFT_BREAKER_OPEN] = 2 };
    uint64_t now_ms = uv_hrtime() / 1000000; /* the loop's clock */

    uv_mutex_lock(&lane->error_lock);
    for (size_t i = 0; i < lane->n_endpoints; i++)
        copy_endpoint(&lane->endpoints[i], &stats->endpoints[i], now_ms);
    uv_mutex_unlock(&lane->error_lock);
    stats->n_endpoints = lane->n_endpoints;
    stats->breaker = stats->endpoints[0].breaker;
    for (size_t i = 1; i < stats->n_endpoints; i++)
        if (badness[stats->endpoints[i].breaker] < badness[stats->breaker])
            stats->breaker = stats->endpoints[i].breaker;
    stats->has_breaker = lane->n_endpoints > 0 && lane->endpoints[0].retry.options.breaker_threshold > 0;
}

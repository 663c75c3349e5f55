/* SPDX-License-Identifier: Apache-2.0 */
/* runtime.c: see runtime.h. The order of starting and stopping; what is started is made in runtime_build.c.
 *
 * NEW -> RUNNING (start) -> STOPPING -> STOPPED (stop)
 */
#include "agent/runtime.h"

#include "agent/runtime_state.h"
#include "core/clock.h"
#include "core/err.h"

#include <stdlib.h>
#include <time.h>

enum { GRACE_STEP_MS = 20, QUIET_MAX_MS = 1000, GRACE_MAX_MS = 5000, PARK_INGEST_MS = 2000 };

int weft_runtime_open(struct weft_runtime **ret_runtime, const struct weft_config *config, struct weft_shelf *shelf,
                      const struct weft_log *log)
{
    struct weft_runtime *rt = calloc(1, sizeof *rt);

    if (!rt)
        return UV_ENOMEM;
    rt->config = config;
    rt->shelf = shelf;
    rt->log = *log;
    if (uv_mutex_init(&rt->figures_lock)) {
        free(rt);
        return UV_ENOMEM;
    }
    int err = weft_runtime_build(rt);
    if (err) {
        weft_runtime_unbuild(rt);
        uv_mutex_destroy(&rt->figures_lock);
        free(rt);
        return err;
    }
    *ret_runtime = rt;
    return 0;
}

/* ---- start ---- */
static int start_processors(struct weft_runtime *rt)
{
    for (size_t i = 0; i < rt->config->n_pipelines; i++) {
        struct weft_rt_pipeline *p = &rt->pipelines[i];
        for (size_t k = 0; k < p->config->n_processors; k++) {
            int err = p->processors[k]->type->start ? p->processors[k]->type->start(p->processors[k]) : 0;
            if (err) {
                weft_log(&rt->log, WEFT_LOG_ERROR, p->processors[k]->id, "the processor cannot start: %s", weft_err_text(err));
                return err;
            }
            p->started[k] = true;
        }
    }
    return 0;
}

static int start_lanes(struct weft_runtime *rt)
{
    for (size_t i = 0; i < rt->config->n_components[WEFT_KIND_EXPORTER]; i++) {
        struct weft_rt_exporter *e = &rt->exporters[i];
        int err = e->lane ? weft_lane_start(e->lane) : 0;
        if (err) {
            weft_log(&rt->log, WEFT_LOG_ERROR, e->component->id, "the exporter cannot start: %s", weft_err_text(err));
            return err;
        }
    }
    return 0;
}

static int start_loop(struct weft_runtime *rt, size_t index)
{
    size_t room = rt->config->n_components[WEFT_KIND_RECEIVER], n = 0;
    struct weft_receiver **receivers = calloc(room + 1, sizeof *receivers), *failed = NULL;

    if (!receivers)
        return UV_ENOMEM;
    for (size_t i = 0; i < room; i++) {
        struct weft_rt_receiver *r = &rt->receivers[i];
        if (r->instances && index >= r->first_loop && index - r->first_loop < r->n_instances)
            receivers[n++] = r->instances[index - r->first_loop];
    }
    int err = weft_loop_start(rt->loops[index], receivers, n, &failed);
    free(receivers);
    if (err)
        weft_log(&rt->log, WEFT_LOG_ERROR, failed ? failed->id : "agent", "%s cannot start: %s",
                 failed ? "the receiver" : "an ingest thread", weft_err_text(err));
    return err;
}

int weft_runtime_start_lanes(struct weft_runtime *rt)
{
    int err = start_processors(rt);

    if (!err)
        err = start_lanes(rt);
    rt->ran = !err;
    return err;
}

int weft_runtime_start(struct weft_runtime *rt)
{
    int err = weft_runtime_start_lanes(rt);

    for (size_t i = 0; i < rt->n_loops && !err; i++)
        err = start_loop(rt, i);
    if (err)
        return err;
    atomic_store(&rt->phase, WEFT_PHASE_RUNNING);
    weft_shelf_tell_absent(rt->shelf);
    return 0;
}

/* ---- extensions ---- */
static bool answer_ready(void *ctx)
{
    return weft_runtime_is_ready(ctx);
}

static int start_extension(struct weft_runtime *rt, struct weft_rt_extension *x, uv_loop_t *loop)
{
    struct weft_problems problems = { .arena = &rt->arena };

    x->instance = weft_config_instance(x->component, &rt->arena, NULL, &problems);
    if (!x->instance)
        return UV_ENOMEM;
    x->instance->type = x->component->type.extension;
    x->instance->id = x->component->id;
    x->instance->log = &rt->log;
    x->instance->loop = loop;
    x->instance->host = &rt->extension_host;
    x->started = true;
    return x->instance->type->start(x->instance);
}

int weft_runtime_start_extensions(struct weft_runtime *rt, uv_loop_t *loop)
{
    rt->extension_host = (struct weft_extension_host){ answer_ready, rt };
    for (size_t i = 0; i < rt->config->n_components[WEFT_KIND_EXTENSION]; i++) {
        struct weft_rt_extension *x = &rt->extensions[i];
        x->component = &rt->config->components[WEFT_KIND_EXTENSION][i];
        int err = x->component->used ? start_extension(rt, x, loop) : 0;
        if (err)
            return err;
    }
    return 0;
}

void weft_runtime_stop_extensions(struct weft_runtime *rt)
{
    for (size_t i = 0; i < rt->config->n_components[WEFT_KIND_EXTENSION]; i++) {
        struct weft_rt_extension *x = &rt->extensions[i];
        if (x->started)
            x->instance->type->stop(x->instance);
        x->started = false;
    }
}

/* ---- stop ---- */
static uint64_t accepted_records(const struct weft_runtime *rt)
{
    struct weft_intake_stats stats;
    uint64_t sum = 0;

    for (size_t i = 0; i < rt->config->n_components[WEFT_KIND_RECEIVER]; i++) {
        for (int s = 0; s < WEFT_SIGNALS; s++) {
            if (!rt->receivers[i].intakes[s])
                continue;
            weft_intake_stats(rt->receivers[i].intakes[s], &stats);
            sum += stats.accepted_records;
        }
    }
    return sum;
}

static unsigned in_hand(const struct weft_runtime *rt)
{
    unsigned n = 0;

    for (size_t i = 0; i < rt->n_loops; i++)
        n += weft_loop_in_hand(rt->loops[i]);
    return n;
}

/* Requests in hand may finish, however slowly their clients send: for a while, and never so long that the lanes lose
 * more than half of their time. What comes in without requests (files) gets a moment for as long as it comes. */
static void wait_for_requests(const struct weft_runtime *rt, uint64_t deadline_ms)
{
    const struct timespec step = { 0, GRACE_STEP_MS * 1000000L };
    uint64_t began = weft_clock_mono_ms(), half = (deadline_ms - began) / 2, now_ms;
    uint64_t grace = half < GRACE_MAX_MS ? half : GRACE_MAX_MS, quiet = half < QUIET_MAX_MS ? half : QUIET_MAX_MS;
    uint64_t before, now = accepted_records(rt);
    bool coming;

    do {
        before = now;
        nanosleep(&step, NULL);
        now = accepted_records(rt);
        now_ms = weft_clock_mono_ms();
        coming = now != before && now_ms - began < quiet;
    } while (coming || (now_ms - began < grace && in_hand(rt) > 0));
}

static void each_intake(const struct weft_runtime *rt, void (*call)(struct weft_intake *in))
{
    for (size_t i = 0; i < rt->config->n_components[WEFT_KIND_RECEIVER]; i++)
        for (int s = 0; s < WEFT_SIGNALS; s++)
            if (rt->receivers[i].intakes[s])
                call(rt->receivers[i].intakes[s]);
}

static void stop_ingest(struct weft_runtime *rt, uint64_t deadline_ms)
{
    each_intake(rt, weft_intake_hurry); /* the next call of each loop rings */
    for (size_t i = 0; i < rt->n_loops; i++)
        weft_loop_quiesce(rt->loops[i]);
    if (weft_clock_mono_ms() < deadline_ms)
        wait_for_requests(rt, deadline_ms);
    each_intake(rt, weft_intake_drain);
    for (size_t i = 0; i < rt->n_loops; i++)
        weft_loop_stop(rt->loops[i]);
}

static void tell_kept(struct weft_runtime *rt, const struct weft_rt_exporter *e, bool parked)
{
    struct weft_lane_left kept = weft_lane_kept(e->lane);

    if (kept.items && rt->ran)
        weft_log(&rt->log, WEFT_LOG_INFO, e->component->id, "%llu items (%llu bytes) %s", (unsigned long long)kept.items,
                 (unsigned long long)kept.bytes,
                 parked ? "wait in the journal, and nothing is out any more" : "stay in the journal for the next start");
}

/* Its figures live until it has nothing more to do; only the join itself, which takes no time then, shuts readers out. */
static int join_lane(struct weft_runtime *rt, struct weft_rt_exporter *e)
{
    struct weft_lane_left left = { 0 };

    weft_lane_wait(e->lane);
    uv_mutex_lock(&rt->figures_lock);
    int err = weft_lane_join(e->lane, &left);
    uv_mutex_unlock(&rt->figures_lock);
    if (err == WEFT_ERR_TIMEOUT)
        weft_log(&rt->log, WEFT_LOG_ERROR, e->component->id,
                 "service.shutdown_timeout has passed with %llu items (%llu bytes) not sent; they are dropped",
                 (unsigned long long)left.items, (unsigned long long)left.bytes);
    return err == WEFT_ERR_TIMEOUT ? err : 0;
}

/* With `park` for the next configuration, else for good. */
static int end_lanes(struct weft_runtime *rt, uint64_t deadline_ms, bool park)
{
    size_t n = rt->config->n_components[WEFT_KIND_EXPORTER];
    int result = 0;

    for (size_t i = 0; i < n; i++)
        if (rt->exporters[i].lane)
            (park ? weft_lane_park : weft_lane_drain)(rt->exporters[i].lane, deadline_ms);
    for (size_t i = 0; i < n; i++) {
        if (!rt->exporters[i].lane)
            continue;
        int err = join_lane(rt, &rt->exporters[i]);
        result = err ? err : result;
        tell_kept(rt, &rt->exporters[i], park);
    }
    return result;
}

/* While the disk fails, records may have been taken in memory (on_disk_error): those end with the process, and their journal says
 * how many when it is closed. */
static bool disk_has_not_all(const struct weft_runtime *rt)
{
    for (const struct weft_shelf_entry *e = weft_shelf_first(rt->shelf); e; e = e->next) {
        struct weft_journal_stats j;
        weft_journal_stats(e->journal, &j);
        if (e->path && j.unsaved_items > 0)
            return true;
    }
    return false;
}

static bool begin_to_stop(struct weft_runtime *rt)
{
    if (atomic_exchange(&rt->phase, WEFT_PHASE_STOPPING) != WEFT_PHASE_STOPPED)
        return true;
    atomic_store(&rt->phase, WEFT_PHASE_STOPPED);
    return false;
}

int weft_runtime_stop(struct weft_runtime *rt, uint64_t deadline_mono_ms)
{
    if (!begin_to_stop(rt))
        return rt->stop_result;
    stop_ingest(rt, deadline_mono_ms);
    bool lost = weft_shelf_tell_lost(rt->shelf);
    lost |= end_lanes(rt, deadline_mono_ms, false) != 0;
    lost |= disk_has_not_all(rt);
    rt->stop_result = lost ? WEFT_ERR_TIMEOUT : 0;
    atomic_store(&rt->phase, WEFT_PHASE_STOPPED);
    return rt->stop_result;
}

/* Lanes first: a back end that hangs costs the time of its last request, and listeners need not be closed for that. */
void weft_runtime_park(struct weft_runtime *rt, uint64_t deadline_mono_ms)
{
    if (!begin_to_stop(rt))
        return;
    (void)end_lanes(rt, deadline_mono_ms, true);
    stop_ingest(rt, deadline_mono_ms ? weft_clock_mono_ms() + PARK_INGEST_MS : 0);
    atomic_store(&rt->phase, WEFT_PHASE_STOPPED);
}

void weft_runtime_free(struct weft_runtime *rt)
{
    if (!rt)
        return;
    weft_runtime_park(rt, 0);
    weft_runtime_unbuild(rt);
    uv_mutex_destroy(&rt->figures_lock);
    free(rt);
}

/* ---- questions ---- */
void weft_runtime_lane_stats(const struct weft_runtime *rt, size_t index, struct weft_lane_stats *ret_stats)
{
    const struct weft_rt_exporter *e = &rt->exporters[index];
    uv_mutex_t *lock = (uv_mutex_t *)(uintptr_t)&rt->figures_lock;

    uv_mutex_lock(lock);
    weft_lane_stats(e->lane, ret_stats);
    uv_mutex_unlock(lock);
}

bool weft_runtime_is_ready(const struct weft_runtime *rt)
{
    return rt && atomic_load(&rt->phase) == WEFT_PHASE_RUNNING;
}

uint64_t weft_runtime_loop_age_ms(const struct weft_runtime *rt, uint64_t now_mono_ms)
{
    uint64_t oldest = 0;

    for (size_t i = 0; rt && i < rt->n_loops; i++) {
        uint64_t age = weft_loop_age_ms(rt->loops[i], now_mono_ms);
        oldest = age > oldest ? age : oldest;
    }
    return oldest;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* journal_sync.c: see journal_sync.h.
 *
 * Pages ahead. The first store into a page of a mapped file costs a fault of about 0.7 us in the thread that appends, and as much
 * again after each sync. While small records come in fast (large ones are written, and fault nothing in), a second thread therefore
 * keeps one empty file ready whose pages are all there (a thread of its own: a sync may take longer than a file takes to fill up).
 * When they come in slowly that would only make the disk write zeros, and with `always` each sync would, so it is left out. */
#include "core/journal_sync.h"

#include "core/clock.h"
#include "core/err.h"
#include "core/journal_state.h"
#include "core/sigbus.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

enum {
    SYNC_BYTES = 64 << 20,
    BUSY_MS = 2000,     /* a segment that fills up in less makes the next one worth preparing */
    SYNC_RETRY_MS = 5000,
};

/* ---- what is confirmed ---- */

bool weft_journal_confirms(const struct weft_journal *j)
{
    return j->sync && j->sync->mode == WEFT_SYNC_ALWAYS;
}

int weft_journal_confirmed(const struct weft_journal *j, uint64_t sequence)
{
    const struct weft_journal_sync *s = j->sync;

    if (!weft_journal_confirms(j))
        return 1;
    uint64_t durable = atomic_load_explicit(&j->durable, memory_order_acquire);
    uint64_t to = atomic_load_explicit(&s->failed_to, memory_order_acquire);
    if (sequence <= to && sequence >= atomic_load_explicit(&s->failed_from, memory_order_relaxed))
        return WEFT_ERR_DISK;
    return sequence <= durable;
}

void weft_journal_watch(struct weft_journal *j, struct weft_journal_watch *w)
{
    if (!j->sync)
        return;
    pthread_mutex_lock(&j->sync->watch_lock);
    w->next = j->sync->watches;
    j->sync->watches = w;
    pthread_mutex_unlock(&j->sync->watch_lock);
}

void weft_journal_unwatch(struct weft_journal *j, struct weft_journal_watch *w)
{
    if (!j->sync)
        return;
    pthread_mutex_lock(&j->sync->watch_lock);
    for (struct weft_journal_watch **link = &j->sync->watches; *link; link = &(*link)->next) {
        if (*link != w)
            continue;
        *link = w->next;
        break;
    }
    pthread_mutex_unlock(&j->sync->watch_lock);
}

static void tell_watchers(struct weft_journal *j)
{
    struct weft_journal_sync *s = j->sync;

    pthread_mutex_lock(&s->watch_lock);
    for (struct weft_journal_watch *w = s->watches, *next; w; w = next) {
        next = w->next;
        w->on_confirmed(w->ctx);
    }
    pthread_mutex_unlock(&s->watch_lock);
    if (j->on_durable)
        j->on_durable(j->durable_ctx);
}

/* ---- a round ---- */

/* The names of new files, too. `saving` keeps the directory from being made anew meanwhile. */
static int sync_names(struct weft_journal *j, const struct weft_dirty *dirty, size_t n)
{
    bool entered = true;

    for (size_t i = 0; i < n; i++)
        entered = entered && dirty[i].segment->entered;
    if (entered)
        return 0;
    pthread_mutex_lock(&j->saving);
    int err = fsync(j->dir.fd) ? -errno : 0;
    pthread_mutex_unlock(&j->saving);
    for (size_t i = 0; i < n && !err; i++)
        dirty[i].segment->entered = true;
    return err;
}

static int sync_files(struct weft_journal_sync *s, const struct weft_dirty *dirty, size_t n)
{
    uint64_t began = weft_clock_mono_ns();
    int err = sync_names(s->journal, dirty, n);

    for (size_t i = 0; i < n && !err; i++) {
        atomic_fetch_add_explicit(&s->syncs, 1, memory_order_relaxed);
        if (s->datasync(dirty[i].fd))
            err = errno ? -errno : UV_EIO;
        if (!err && weft_sigbus_hits(dirty[i].segment->guard) > 0)
            err = UV_EIO; /* part of it was written to pages that stand in for those of the file */
    }
    atomic_fetch_add_explicit(&s->nanoseconds, weft_clock_mono_ns() - began, memory_order_relaxed);
    return err;
}

/* Everything that is reserved and not durable is failed: it lies in the files that could not be synced, or its writer is about to
 * put it there. They take nothing more, and no later round looks at them. */
static void give_up(struct weft_journal *j, int err)
{
    struct weft_journal_sync *s = j->sync;

    pthread_mutex_lock(&j->lock);
    if (atomic_load_explicit(&s->failed_to, memory_order_relaxed) == 0)
        atomic_store_explicit(&s->failed_from, atomic_load_explicit(&j->durable, memory_order_relaxed) + 1, memory_order_relaxed);
    atomic_store_explicit(&s->failed_to, j->next_sequence - 1, memory_order_release);
    for (struct weft_segment *g = j->sync_from; g; g = g->next)
        g->synced = SIZE_MAX;
    j->tail->room = atomic_load_explicit(&j->tail->reserved, memory_order_relaxed);
    weft_journal_disk_failed(j, err);
    j->next_try_ms = weft_clock_mono_ms() + SYNC_RETRY_MS;
    pthread_mutex_unlock(&j->lock);
    atomic_fetch_add_explicit(&s->errors, 1, memory_order_relaxed);
}

int weft_journal_sync_round(struct weft_journal *j)
{
    struct weft_dirty dirty[WEFT_DIRTY_MAX];
    uint64_t sequence;
    size_t n = weft_journal_dirty(j, dirty, WEFT_DIRTY_MAX, &sequence, &j->sync->hole);
    j->sync->reached = sequence;
    int err = sync_files(j->sync, dirty, n);

    bool moved = weft_journal_synced(j, dirty, n, sequence, err);
    if (err)
        give_up(j, err);
    if (!err && n == WEFT_DIRTY_MAX) /* there may be more files, and who asked for the round may wait for them */
        atomic_store_explicit(&j->sync->hurry, true, memory_order_release);
    if (moved || err)
        tell_watchers(j);
    return err ? err : moved || n > 0;
}

/* ---- pages ahead ---- */

static void populate(struct weft_segment *s)
{
    s->populated = madvise(s->base, s->size, MADV_POPULATE_WRITE) == 0;
}

static void prepare(struct weft_journal *j, uint64_t *last_roll_ms)
{
    uint64_t now_ms = weft_clock_mono_ms();
    bool busy = now_ms - *last_roll_ms < BUSY_MS;

    *last_roll_ms = now_ms;
    if (!busy)
        return;
    struct weft_segment *s = weft_journal_prepare(j);
    if (!s)
        return;
    populate(s);
    weft_journal_stock(j, s);
}

static bool rest_until_used(struct weft_journal_sync *s)
{
    pthread_mutex_lock(&s->lock);
    while (!s->stop && !s->used)
        (void)pthread_cond_wait(&s->wake_ahead, &s->lock);
    s->used = false;
    bool go_on = !s->stop;
    pthread_mutex_unlock(&s->lock);
    return go_on;
}

static void *run_ahead(void *arg)
{
    struct weft_journal *j = arg;
    uint64_t last_roll_ms = 0;

    weft_sigbus_block_others();
    (void)pthread_setname_np(pthread_self(), "journal-ahead");
    while (rest_until_used(j->sync))
        prepare(j, &last_roll_ms);
    return NULL;
}

/* ---- the thread ---- */

/* Is there anything that a round would sync, or that it waits for? */
static bool is_dirty(struct weft_journal *j)
{
    pthread_mutex_lock(&j->lock);
    bool dirty = atomic_load_explicit(&j->durable, memory_order_relaxed) + 1 < j->next_sequence;
    pthread_mutex_unlock(&j->lock);
    return dirty;
}

static bool called(const struct weft_journal_sync *s)
{
    return s->stop || atomic_load_explicit(&s->hurry, memory_order_relaxed)
           || atomic_load_explicit(&s->rolled, memory_order_relaxed);
}

/* Sleeps until `until` (NULL: for ever), until somebody calls, or (`published`) until something is published. False: stop. */
static bool rest(struct weft_journal *j, const struct timespec *until, bool published)
{
    struct weft_journal_sync *s = j->sync;
    int result = 0;

    pthread_mutex_lock(&s->lock);
    while (result != ETIMEDOUT && !called(s) && !(published && s->woken))
        result = until ? pthread_cond_timedwait(&s->wake, &s->lock, until) : pthread_cond_wait(&s->wake, &s->lock);
    s->woken = false;
    bool go_on = !s->stop;
    pthread_mutex_unlock(&s->lock);
    return go_on;
}

/* Nothing to do until something is published. The mark and the look are in the opposite order of a publisher's. A call to hurry may
 * come when a round has just covered what it is for: it is forgotten, unless there is something else to sync. */
static bool rest_idle(struct weft_journal *j)
{
    struct weft_journal_sync *s = j->sync;
    bool hurried = atomic_exchange_explicit(&s->hurry, false, memory_order_acq_rel);

    if (s->mode == WEFT_SYNC_NONE)
        return rest(j, NULL, true);
    atomic_store_explicit(&s->asleep, true, memory_order_relaxed);
    weft_fence();
    bool dirty = is_dirty(j), go_on = dirty || rest(j, NULL, true);
    if (dirty && hurried)
        atomic_store_explicit(&s->hurry, true, memory_order_relaxed);
    atomic_store_explicit(&s->asleep, false, memory_order_relaxed);
    return go_on;
}

static bool rest_until(struct weft_journal *j, uint64_t due_ms, bool published)
{
    uint64_t now_ms = weft_clock_mono_ms();
    struct timespec until = weft_clock_mono_in(due_ms > now_ms ? due_ms - now_ms : 0);

    return rest(j, &until, published);
}

/* The last round ended at an open reservation. Whoever had published behind it and asked for the round does not ask again, so the next
 * one begins as soon as something is published. The mark and the look as in rest_idle(). */
static bool rest_at_hole(struct weft_journal *j, uint64_t due_ms)
{
    struct weft_journal_sync *s = j->sync;

    atomic_store_explicit(&s->asleep, true, memory_order_relaxed);
    weft_fence();
    pthread_mutex_lock(&j->lock);
    bool filled = weft_journal_published(j) > s->reached;
    pthread_mutex_unlock(&j->lock);
    bool go_on = filled || rest_until(j, due_ms, true);
    atomic_store_explicit(&s->asleep, false, memory_order_relaxed);
    atomic_store_explicit(&s->hurry, true, memory_order_relaxed);
    return go_on;
}

static uint64_t unsynced_bytes(struct weft_journal *j)
{
    uint64_t bytes = 0;

    pthread_mutex_lock(&j->lock);
    for (const struct weft_segment *s = j->sync_from; s; s = s->next) {
        size_t end = atomic_load_explicit(&s->reserved, memory_order_relaxed);
        bytes += s->synced < end ? end - s->synced : 0;
    }
    pthread_mutex_unlock(&j->lock);
    return bytes;
}

static bool is_due(struct weft_journal *j, uint64_t due_ms, bool rolled)
{
    struct weft_journal_sync *s = j->sync;

    if (s->mode == WEFT_SYNC_NONE)
        return false;
    return atomic_exchange_explicit(&s->hurry, false, memory_order_acquire) || weft_clock_mono_ms() >= due_ms
           || (rolled && unsynced_bytes(j) >= SYNC_BYTES);
}

static void *run(void *arg)
{
    struct weft_journal *j = arg;
    struct weft_journal_sync *s = j->sync;
    uint64_t due_ms = 0;
    bool go_on = true;

    weft_sigbus_block_others();
    (void)pthread_setname_np(pthread_self(), "journal-sync");
    while (go_on) {
        bool idle = s->mode == WEFT_SYNC_NONE || !is_dirty(j);
        if (idle)
            due_ms = 0;
        else if (due_ms == 0)
            due_ms = weft_clock_mono_ms() + s->interval_ms;
        go_on = idle ? rest_idle(j) : s->hole && s->mode == WEFT_SYNC_ALWAYS ? rest_at_hole(j, due_ms) : rest_until(j, due_ms, false);
        bool rolled = atomic_exchange_explicit(&s->rolled, false, memory_order_acquire);
        if (go_on && !idle && is_due(j, due_ms, rolled) && weft_journal_sync_round(j) >= 0)
            due_ms = 0;
    }
    return NULL;
}

static void wake(struct weft_journal_sync *s)
{
    pthread_mutex_lock(&s->lock);
    s->woken = true;
    pthread_cond_signal(&s->wake);
    pthread_mutex_unlock(&s->lock);
}

void weft_journal_hurry(struct weft_journal *j)
{
    struct weft_journal_sync *s = j->sync;

    if (s && !atomic_exchange_explicit(&s->hurry, true, memory_order_acq_rel))
        wake(s);
}

void weft_journal_sync_wake(struct weft_journal *j)
{
    struct weft_journal_sync *s = j->sync;

    if (atomic_exchange_explicit(&s->asleep, false, memory_order_acq_rel))
        wake(s);
}

void weft_journal_sync_rolled(struct weft_journal *j, bool stores)
{
    struct weft_journal_sync *s = j->sync;

    if (!s)
        return;
    atomic_store_explicit(&s->rolled, true, memory_order_release);
    pthread_mutex_lock(&s->lock);
    s->used = stores;
    pthread_cond_signal(&s->wake);
    pthread_cond_signal(&s->wake_ahead);
    pthread_mutex_unlock(&s->lock);
}

void weft_journal_sync_stats(const struct weft_journal *j, struct weft_journal_stats *stats)
{
    const struct weft_journal_sync *s = j->sync;

    if (!s)
        return;
    stats->syncs = atomic_load_explicit(&s->syncs, memory_order_relaxed);
    stats->sync_errors = atomic_load_explicit(&s->errors, memory_order_relaxed);
    stats->sync_ns = atomic_load_explicit(&s->nanoseconds, memory_order_relaxed);
}

/* ---- life ---- */

static int init_locks(struct weft_journal_sync *s)
{
    pthread_condattr_t monotonic;
    int err = -pthread_condattr_init(&monotonic);

    if (err)
        return err;
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    err = -pthread_cond_init(&s->wake, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    if (err)
        return err;
    err = -pthread_cond_init(&s->wake_ahead, NULL);
    if (err)
        goto fail_wake;
    err = -pthread_mutex_init(&s->lock, NULL);
    if (err)
        goto fail_cond;
    err = -pthread_mutex_init(&s->watch_lock, NULL);
    if (err)
        goto fail_lock;
    return 0;

fail_lock:
    pthread_mutex_destroy(&s->lock);
fail_cond:
    pthread_cond_destroy(&s->wake_ahead);
fail_wake:
    pthread_cond_destroy(&s->wake);
    return err;
}

static void release(struct weft_journal *j)
{
    struct weft_journal_sync *s = j->sync;

    j->sync = NULL;
    pthread_mutex_destroy(&s->watch_lock);
    pthread_mutex_destroy(&s->lock);
    pthread_cond_destroy(&s->wake_ahead);
    pthread_cond_destroy(&s->wake);
    free(s);
}

int weft_journal_sync_start(struct weft_journal *j)
{
    struct weft_journal_sync *s = calloc(1, sizeof *s);

    if (!s)
        return UV_ENOMEM;
    s->journal = j;
    s->mode = j->sync_mode;
    s->interval_ms = j->sync_interval_ms;
    s->datasync = fdatasync;
    int err = init_locks(s);
    if (err) {
        free(s);
        return err;
    }
    j->sync = s;
    err = -pthread_create(&s->thread, NULL, run, j);
    if (err) {
        release(j);
        return err;
    }
    s->has_ahead = s->mode != WEFT_SYNC_ALWAYS && pthread_create(&s->ahead, NULL, run_ahead, j) == 0; /* works without */
    return 0;
}

void weft_journal_sync_stop(struct weft_journal *j)
{
    struct weft_journal_sync *s = j->sync;

    if (!s)
        return;
    pthread_mutex_lock(&s->lock);
    s->stop = true;
    pthread_cond_signal(&s->wake);
    pthread_cond_signal(&s->wake_ahead);
    pthread_mutex_unlock(&s->lock);
    (void)pthread_join(s->thread, NULL);
    if (s->has_ahead)
        (void)pthread_join(s->ahead, NULL);
    release(j);
}

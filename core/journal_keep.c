/* SPDX-License-Identifier: Apache-2.0 */
/* journal_keep.c: what a journal on disk does beside its readers and writers, and the thread that does it.
 *
 * Places are saved SAVE_MS after they have moved at the latest, and no more often than that: a kill repeats what was settled since. A
 * new name is saved at once, so that it is never unknown; and so are all of them before a segment is given back from the middle. Sources are saved when a segment has been sealed and before one is given
 * back that the file does not cover (a kill in between finds them in the segments).
 *
 * The thread sleeps until a place moves, and looks after the directory once a second. */
#include "core/clock.h"
#include "core/cursor_store.h"
#include "core/err.h"
#include "core/journal_state.h"
#include "core/log.h"
#include "core/sigbus.h"
#include "core/source_store.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

enum { SAVE_MS = 100, LOOK_MS = 1000, READ_TRIES = 100 };

/* ---- saving ---- */

/* The settled sequence and the sums that go with it; those that went together last when the reader is in the middle of moving
 * them. A cursor that was placed behind open reservations counts them as if they were published: then nothing is said of
 * the sums (segment 0). Under the lock. */
static bool read_place(struct weft_cursor *c, uint64_t published)
{
    for (int i = 0; i < READ_TRIES; i++) {
        unsigned before = atomic_load_explicit(&c->turn, memory_order_acquire);
        uint64_t sequence = atomic_load_explicit(&c->settled_sequence, memory_order_acquire);
        struct weft_totals totals = weft_cursor_accounted(c);
        if (before % 2 == 0 && atomic_load_explicit(&c->turn, memory_order_acquire) == before) {
            c->saved_sequence = sequence;
            c->saved_segment = published < sequence ? 0 : c->settled.segment->number;
            c->saved_totals = weft_totals_minus(totals, c->settled.segment->before);
            return true;
        }
    }
    atomic_store_explicit(&c->journal->unsaved, true, memory_order_relaxed);
    return false;
}

/* Under the lock. Returns the number of this writing; *ret_fresh: every place is the one of this moment. */
static uint64_t put_places(struct weft_journal *j, struct weft_buf *b, bool *ret_fresh)
{
    uint64_t published = weft_journal_published(j);

    *ret_fresh = true;
    atomic_store_explicit(&j->unsaved, false, memory_order_release);
    weft_cursor_store_begin(b, j->dir.journal_id);
    for (struct weft_cursor *c = j->cursors; c; c = c->next) {
        if (c->transient)
            continue;
        *ret_fresh = read_place(c, published) && *ret_fresh;
        weft_cursor_store_put(b, &(struct weft_saved_place){
            .name = weft_slice_of(c->name, strlen(c->name)), .settled_sequence = c->saved_sequence, .segment = c->saved_segment,
            .totals = c->saved_totals, .parked_wall_ns = c->parked ? c->parked_wall_ns : 0, .hold = c->hold });
    }
    weft_cursor_store_end(b);
    return ++j->places_turn;
}

/* What was put together later is not overwritten by what was put together before. */
static int write_places(struct weft_journal *j, const struct weft_buf *b, uint64_t turn, bool sync)
{
    int err = b->err;

    pthread_mutex_lock(&j->saving);
    if (!err && turn > j->places_written) {
        err = weft_journal_dir_write(&j->dir, "cursors", b->data, b->len, sync);
        j->places_written = err ? j->places_written : turn;
    }
    pthread_mutex_unlock(&j->saving);
    if (err)
        atomic_store_explicit(&j->unsaved, true, memory_order_release);
    return err;
}

int weft_journal_save_places(struct weft_journal *j, bool sync)
{
    struct weft_buf b;
    bool fresh;

    weft_buf_init(&b, WEFT_CURSOR_STORE_MAX);
    pthread_mutex_lock(&j->lock);
    uint64_t turn = put_places(j, &b, &fresh);
    pthread_mutex_unlock(&j->lock);
    int err = write_places(j, &b, turn, sync);
    weft_buf_release(&b);
    return err;
}

bool weft_journal_save_places_now(struct weft_journal *j)
{
    struct weft_buf b;
    bool fresh;

    weft_buf_init(&b, WEFT_CURSOR_STORE_MAX);
    uint64_t turn = put_places(j, &b, &fresh);
    int err = write_places(j, &b, turn, false);
    weft_buf_release(&b);
    return fresh && !err;
}

static int write_sources(struct weft_journal *j, uint64_t covered, bool sync)
{
    struct weft_source_row *rows = calloc(WEFT_SOURCES_MAX, sizeof *rows);
    struct weft_buf b;

    if (!rows)
        return UV_ENOMEM;
    weft_buf_init(&b, WEFT_SOURCE_STORE_MAX);
    pthread_mutex_lock(&j->saving_sources);
    size_t n = weft_source_table_snapshot(&j->sources, rows, WEFT_SOURCES_MAX);
    weft_source_store_put(&b, j->dir.journal_id, covered, rows, n);
    int err = b.err ? b.err : weft_journal_dir_write(&j->dir, "sources", b.data, b.len, sync);
    pthread_mutex_unlock(&j->saving_sources);
    weft_buf_release(&b);
    free(rows);
    return err;
}

/* What is covered is read before the rows are: a record's source is noted, and then it is published. */
int weft_journal_save_sources(struct weft_journal *j, bool sync)
{
    pthread_mutex_lock(&j->lock);
    uint64_t covered = weft_journal_published(j);
    j->sources_stale = false;
    pthread_mutex_unlock(&j->lock);
    int err = write_sources(j, covered, sync);
    pthread_mutex_lock(&j->lock);
    if (err)
        j->sources_stale = true;
    else if (covered > j->sources_covered)
        j->sources_covered = covered;
    pthread_mutex_unlock(&j->lock);
    return err;
}

bool weft_journal_cover_sources(struct weft_journal *j, const struct weft_segment *s)
{
    if (!s->numbered || j->sources_covered + 1 >= s->end_sequence || weft_source_table_is_empty(&j->sources))
        return true;
    uint64_t covered = weft_journal_published(j);
    if (covered + 1 < s->end_sequence)
        return false;
    if (write_sources(j, covered, false) == 0)
        j->sources_covered = covered;
    return true;
}

void weft_journal_note_unsaved(struct weft_journal *j)
{
    if (atomic_load_explicit(&j->unsaved, memory_order_relaxed)
        || atomic_exchange_explicit(&j->unsaved, true, memory_order_acq_rel) || !j->keeper.runs)
        return;
    pthread_mutex_lock(&j->keeper.lock);
    pthread_cond_signal(&j->keeper.wake);
    pthread_mutex_unlock(&j->keeper.lock);
}

/* ---- looking after things ---- */

/* What is being written goes into files that still have a name from now on. */
static void look_after_directory(struct weft_journal *j)
{
    pthread_mutex_lock(&j->lock);
    pthread_mutex_lock(&j->saving);
    pthread_mutex_lock(&j->saving_sources);
    if (weft_journal_dir_is_gone(&j->dir) && weft_journal_dir_restore(&j->dir) == 0) {
        weft_log(j->log, WEFT_LOG_WARN, j->name, "the journal's directory %s was removed: made it again; what was in it is still "
                 "being sent, but lost if this process ends first", j->dir.path);
        for (struct weft_segment *s = j->head; s; s = s->next)
            s->nameless = true;
        while (j->cached)
            weft_segment_free(weft_journal_uncache(j, j->cached->size));
        j->tail->room = atomic_load_explicit(&j->tail->reserved, memory_order_relaxed);
        j->sources_stale = true;
        j->next_try_ms = 0;
        atomic_store_explicit(&j->unsaved, true, memory_order_relaxed);
    }
    pthread_mutex_unlock(&j->saving_sources);
    pthread_mutex_unlock(&j->saving);
    pthread_mutex_unlock(&j->lock);
}

static void wake_stuck(struct weft_journal *j)
{
    for (struct weft_cursor *c = j->cursors; c; c = c->next) {
        if (!c->stuck || !c->armed)
            continue;
        c->stuck = false;
        weft_cursor_disarm(c);
        uint64_t one = 1;
        ssize_t written = c->wake_fd >= 0 ? write(c->wake_fd, &one, sizeof one) : 0;
        (void)written;
    }
}

void weft_journal_keep(struct weft_journal *j)
{
    bool sync = j->sync_mode != WEFT_SYNC_NONE;

    look_after_directory(j);
    pthread_mutex_lock(&j->lock);
    weft_journal_rest(j);
    if (j->retain_ns)
        weft_journal_reclaim(j);
    wake_stuck(j);
    bool stale = j->sources_stale;
    pthread_mutex_unlock(&j->lock);
    if (stale)
        (void)weft_journal_save_sources(j, sync);
    if (atomic_load_explicit(&j->unsaved, memory_order_acquire))
        (void)weft_journal_save_places(j, sync);
}

/* ---- the thread ---- */

/* Until `ms` have passed, or a place has moved if `early`. False: stop. */
static bool rest_a_while(struct weft_journal *j, unsigned ms, bool early)
{
    struct weft_keeper *k = &j->keeper;
    struct timespec until = weft_clock_mono_in(ms);
    int result = 0;

    pthread_mutex_lock(&k->lock);
    while (!k->stop && result != ETIMEDOUT && !(early && atomic_load_explicit(&j->unsaved, memory_order_acquire)))
        result = pthread_cond_timedwait(&k->wake, &k->lock, &until);
    bool go_on = !k->stop;
    pthread_mutex_unlock(&k->lock);
    return go_on;
}

static void *run(void *arg)
{
    struct weft_journal *j = arg;

    weft_sigbus_block_others();
    while (rest_a_while(j, LOOK_MS, true)) {
        weft_journal_keep(j);
        if (!rest_a_while(j, SAVE_MS, false))
            break;
    }
    return NULL;
}

int weft_keeper_start(struct weft_journal *j)
{
    struct weft_keeper *k = &j->keeper;
    pthread_condattr_t monotonic;
    sigset_t old;

    int err = -pthread_condattr_init(&monotonic);
    if (err)
        return err;
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    err = -pthread_cond_init(&k->wake, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    if (err)
        return err;
    err = -pthread_mutex_init(&k->lock, NULL);
    if (err)
        goto fail_cond;
    (void)pthread_sigmask(SIG_BLOCK, NULL, &old);
    weft_sigbus_block_others(); /* signals are the main thread's */
    err = -pthread_create(&k->thread, NULL, run, j);
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (err)
        goto fail_lock;
    k->runs = true;
    return 0;

fail_lock:
    pthread_mutex_destroy(&k->lock);
fail_cond:
    pthread_cond_destroy(&k->wake);
    return err;
}

void weft_keeper_stop(struct weft_journal *j)
{
    struct weft_keeper *k = &j->keeper;

    if (!k->runs)
        return;
    pthread_mutex_lock(&k->lock);
    k->stop = true;
    pthread_cond_signal(&k->wake);
    pthread_mutex_unlock(&k->lock);
    (void)pthread_join(k->thread, NULL);
    k->runs = false;
    pthread_mutex_destroy(&k->lock);
    pthread_cond_destroy(&k->wake);
}

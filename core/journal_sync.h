/* SPDX-License-Identifier: Apache-2.0 */
/* journal_sync.h: what makes a journal's files survive power loss, who waits for that, and pages that are there before they are
 * needed.
 *
 * One thread a journal on disk, and a second one for the pages. It looks how far everything is published without a hole, syncs the files that hold it, and only
 * then moves what is durable. Whoever comes while it syncs is covered by the next round, so the number of syncs follows the
 * disk and not the number of requests.
 *
 *   always     a round when somebody waits (weft_journal_hurry), and after interval_ms for what nobody waits for
 *   interval   a round interval_ms after something was written, or SYNC_BYTES, whichever is first
 *   none       no rounds
 *
 *   (1) A record is confirmed only when an fdatasync that began after it was whole has succeeded.
 *   (2) A sync that failed is never made good by another: the system may have dropped the pages and forgotten about them. What it
 *       covered is failed for ever, and appending goes on in another file.
 *   (3) An idle journal costs no wake-ups.
 *
 * Locks: `lock` guards the thread's sleep and may be taken under the journal's; `watch_lock` guards the watches and is held while
 * they are called, with no other.
 * Private to journal*.c and tests.
 */
#ifndef WEFT_CORE_JOURNAL_SYNC_H
#define WEFT_CORE_JOURNAL_SYNC_H

#include "core/journal.h"

#include <pthread.h>
#include <stdatomic.h>

struct weft_journal_sync {
    struct weft_journal *journal;
    enum weft_sync mode;
    uint64_t interval_ms;
    int (*datasync)(int fd);                 /* fdatasync; tests put another in its place before anything is appended */

    pthread_t thread, ahead;                 /* the second one only where it prepares anything */
    bool has_ahead;
    pthread_mutex_t lock;
    pthread_cond_t wake, wake_ahead;
    bool hole;                               /* of the syncing thread: its last round ended at an open reservation, */
    uint64_t reached;                        /* behind this sequence */
    bool stop, woken, used;                  /* under the lock; used: the file that was ready is the tail now */
    _Atomic bool hurry, rolled;              /* somebody waits; the tail is a new one */
    _Atomic bool asleep;                     /* nothing to do: the next publication wakes it */

    _Atomic uint64_t failed_from, failed_to; /* sequences that never become durable; 0: none */
    _Atomic uint64_t syncs, errors, nanoseconds; /* calls of datasync, those that failed, and how long all took */

    pthread_mutex_t watch_lock;
    struct weft_journal_watch *watches;
};

/* Makes j->sync. The threads run from here on. 0 or a negative code. */
int weft_journal_sync_start(struct weft_journal *j);

/* Ends the threads, without a last round, and frees j->sync; no watch may be left. Accepts a journal without. */
void weft_journal_sync_stop(struct weft_journal *j);

/* Something has been published, behind a fence: wakes the thread if it sleeps for want of work. Any thread. */
void weft_journal_sync_wake(struct weft_journal *j);

static inline void weft_journal_sync_published(struct weft_journal *j, struct weft_journal_sync *s)
{
    if (s && atomic_load_explicit(&s->asleep, memory_order_relaxed))
        weft_journal_sync_wake(j);
}

/* The tail is a new one. `stores`: most of the one before went in through its mapping, so the next should be prepared. Under the
 * journal's lock. */
void weft_journal_sync_rolled(struct weft_journal *j, bool stores);

/* Its figures. Any thread. */
void weft_journal_sync_stats(const struct weft_journal *j, struct weft_journal_stats *stats);

/* One round, as the thread does it: 1: something was synced, 0: there was nothing to do, or the error of the disk. */
int weft_journal_sync_round(struct weft_journal *j);

#endif

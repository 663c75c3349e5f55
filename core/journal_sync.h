/* SPDX-License-Identifier: Apache-2.0 */
/* journal_sync.h: what makes a journal's segments survive power loss, and who waits for that.
 *
 * One thread a journal on disk. It looks how far everything is published, without a hole, syncs the files of those segments,
 * and only then moves `durable`. While it syncs, others append: all of them are covered by the next round, so that the
 * number of syncs follows the disk and not the number of requests.
 *
 *   (1) `durable` never covers a record whose bytes were not handed to an fdatasync that succeeded after they were written.
 *   (2) A sync that has failed is never made good by a second one: the system may have dropped the pages and forgotten about it.
 *       What it covered is marked as failed for ever, and appending goes on in another segment.
 *   (3) A segment is pinned while it is synced: its file is neither reused nor closed meanwhile.
 *
 * Locking: what is atomic is read by anybody; `lock` guards what the thread is told; `watch_lock` the list of watches, and
 * is held while they are called. Neither is taken while the journal's own lock is held, and none of theirs with another.
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
    _Atomic uint64_t durable;                /* everything up to here is, but for [failed_from, failed_to] */
    _Atomic uint64_t failed_from, failed_to; /* 0: nothing ever failed. Written before durable passes them */

    pthread_mutex_t watch_lock;
    struct weft_journal_watch *watches;
};

#endif

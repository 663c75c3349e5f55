/* SPDX-License-Identifier: Apache-2.0 */
/* journal_state.h: what journal.c and cursor.c share, and nobody else includes.
 *
 * Locking: `lock` protects the list of segments, the list of cursors, the totals and which segments a
 * cursor stands in. A cursor's offsets and sequences belong to its reader; entries are published by their
 * sequence alone. The fields that are read without the lock are the atomic ones.
 */
#ifndef WEFT_CORE_JOURNAL_STATE_H
#define WEFT_CORE_JOURNAL_STATE_H

#include "core/segment.h"

#include <pthread.h>

struct weft_journal {
    char *name;
    uint64_t id;
    const struct weft_backing *backing;
    size_t max_size, segment_size, retain, max_payload;

    pthread_mutex_t lock;
    struct weft_segment *head, *tail; /* oldest, newest; never NULL */
    struct weft_segment *cached;      /* empty ones kept for reuse, last in first out */
    size_t in_use, cached_bytes;      /* bytes of listed segments; of cached ones */
    unsigned n_segments, n_cursors;
    struct weft_cursor *cursors;
    uint64_t next_sequence;
    struct weft_totals totals;        /* of all that was ever reserved, abandoned ones taken off again */
    uint64_t refused_records, abandoned_records;

    _Atomic unsigned n_armed;         /* cursors that want to be woken */
};

/* A place between two entries. */
struct weft_place {
    struct weft_segment *segment;
    size_t offset;
    uint64_t sequence; /* the one that the entry at offset has, or will get */
};

struct weft_cursor {
    struct weft_journal *journal;
    char *name;
    bool hold;
    int wake_fd;
    struct weft_cursor *next;       /* in the journal's list */
    bool armed;                     /* under the lock */
    uint64_t start_sequence;
    struct weft_totals base;        /* the journal's totals that this cursor never sees; under the lock */
    struct weft_totals skipped;     /* what was retired before it was read; under the lock */
    struct weft_place read;         /* segment: changed under the lock */
    struct weft_place settled;      /* the same */
    _Atomic size_t settled_offset;  /* settled.offset, for others to look at */
    _Atomic uint64_t settled_sequence; /* the last one that is done */
    _Atomic uint64_t done_records, done_items, done_bytes;
};

/* The fence of both sides of the wake-up. gcc warns that TSan does not model fences; nothing here relies on
 * that: what is read is ordered by the acquire of its sequence. */
static inline void weft_journal_fence(void)
{
#if defined(__SANITIZE_THREAD__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wtsan"
#endif
    atomic_thread_fence(memory_order_seq_cst);
#if defined(__SANITIZE_THREAD__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif
}

/* Where an unbroken sequence up to the tail begins. A segment before it is only there because a cursor that does not
 * hold has it pinned. Under the lock. */
static inline struct weft_segment *weft_journal_oldest(const struct weft_journal *j)
{
    struct weft_segment *oldest = j->head;

    for (struct weft_segment *s = j->head; s->next; s = s->next)
        if (s->next->number != s->number + 1)
            oldest = s->next;
    return oldest;
}

/* Gives back segments that nobody needs, but for `retain` bytes of them. Under the lock. */
void weft_journal_reclaim(struct weft_journal *j);

#endif

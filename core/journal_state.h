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
#include "core/source_table.h"

#include <pthread.h>

/* A place between two entries. */
struct weft_place {
    struct weft_segment *segment;
    size_t offset;
    uint64_t sequence; /* the one that the entry at offset has, or will get */
};

struct weft_journal {
    char *name;
    uint64_t id;
    const struct weft_backing *backing;
    size_t max_size, segment_size, retain, max_payload;
    uint64_t retain_ns;
    uint64_t (*wall_clock)(void);
    struct weft_source_table sources; /* has a lock of its own */
    struct weft_journal_sync *sync;   /* NULL: nothing to sync */

    pthread_mutex_t lock;
    struct weft_segment *head, *tail; /* oldest, newest; never NULL */
    struct weft_segment *cached;      /* empty ones kept for reuse, last in first out */
    size_t in_use, cached_bytes;      /* bytes of listed segments; of cached ones */
    unsigned n_segments;
    unsigned n_cursors, n_parked;     /* with a reader; without */
    struct weft_cursor *cursors;      /* both kinds */
    struct weft_place published;      /* nothing before it is unpublished; moved by weft_journal_published() */
    uint64_t next_sequence;
    struct weft_totals totals;        /* of all that was ever reserved, abandoned ones taken off again */
    struct weft_totals opened;        /* what they were when the journal was opened */
    uint64_t refused_records, abandoned_records;

    _Atomic unsigned n_armed;         /* cursors that want to be woken */
};

struct weft_cursor {
    struct weft_journal *journal;
    char *name;
    bool hold, transient;
    bool parked;                    /* no reader; under the lock */
    uint64_t parked_wall_ns;
    int wake_fd;
    struct weft_cursor *next;       /* in the journal's list */
    bool armed;                     /* under the lock */
    uint64_t start_sequence;
    struct weft_totals base;        /* the journal's totals that this cursor never sees; under the lock */
    struct weft_totals skipped;     /* what was retired before it was read; under the lock */
    struct weft_totals lost;        /* what could not be read; under the lock */
    struct weft_place read;         /* segment: changed under the lock; parked: the same as settled */
    struct weft_place settled;      /* the same */
    _Atomic size_t settled_offset;  /* settled.offset, for others to look at */
    _Atomic uint64_t settled_sequence; /* the last one that is done */
    _Atomic uint64_t done_records, done_items, done_bytes;
};

static inline struct weft_place weft_place_start(struct weft_segment *s)
{
    return (struct weft_place){ .segment = s, .offset = s->begin, .sequence = s->first_sequence };
}

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

/* Gives back segments that nobody needs, but for what retention keeps. Under the lock. */
void weft_journal_reclaim(struct weft_journal *j);

/* Reclaims, and gives up retained segments and cached ones until `size` more bytes fit under max_size. False: they cannot. Under
 * the lock. */
bool weft_journal_make_room(struct weft_journal *j, size_t size);

/* The sequence before the first one that is reserved and not published. Under the lock. */
uint64_t weft_journal_published(struct weft_journal *j);

/* Everything that a cursor has no business with any more: settled, skipped, lost, or from before it began. */
struct weft_totals weft_cursor_accounted(const struct weft_cursor *c);

/* A parked cursor that does not hold, in a segment that is going: on to the next one. Under the lock. */
void weft_cursor_push_on(struct weft_cursor *c);

/* Counts the cursor into, or out of, the segments between its settled and read places. Under the lock. */
void weft_cursor_keep(struct weft_cursor *c);
void weft_cursor_let_go(struct weft_cursor *c);

/* Does not want to be woken any more. Under the lock. */
void weft_cursor_disarm(struct weft_cursor *c);

#endif

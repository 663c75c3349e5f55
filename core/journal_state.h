/* SPDX-License-Identifier: Apache-2.0 */
/* journal_state.h: what journal.c and cursor.c share, and nobody else includes.
 *
 * Locking: `lock` protects the list of segments, the list of cursors, the totals and which segments a
 * cursor stands in. A cursor's offsets and sequences belong to its reader; entries are published by their
 * sequence alone. The fields that are read without the lock are the atomic ones.
 */
#ifndef WEFT_CORE_JOURNAL_STATE_H
#define WEFT_CORE_JOURNAL_STATE_H

#include "core/fence.h"
#include "core/segment.h"
#include "core/source_table.h"

#include <pthread.h>

/* A place between two entries. */
struct weft_place {
    struct weft_segment *segment;
    size_t offset;
    uint64_t sequence; /* the one that the entry at offset has, or will get */
};

/* The thread of a journal on disk; see journal_keep.c. */
struct weft_keeper {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool runs, stop;
};

struct weft_journal {
    char *name;
    uint64_t id;
    const struct weft_backing *backing;
    size_t max_size, segment_size, retain, max_payload;
    size_t keep;                      /* bytes of empty segments kept for reuse */
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
    uint64_t next_sequence, next_number;
    struct weft_totals totals;        /* of all that was ever reserved, abandoned ones taken off again */
    struct weft_totals opened;        /* what they were when the journal was opened */
    struct weft_totals found;         /* of those, what was still there */
    uint64_t refused_records, abandoned_records;
    uint64_t gone_wall_ns;            /* the newest of what is not kept any more; 0: nothing has gone since the open */

    _Atomic unsigned n_armed;         /* cursors that want to be woken */

    /* disk mode */
    bool disk;
    struct weft_journal_dir dir;
    const struct weft_log *log;
    enum weft_sync sync_mode;
    uint64_t sync_interval_ms;
    void (*on_durable)(void *ctx);
    void *durable_ctx;
    enum weft_disk_error on_disk_error;
    size_t memory_size, memory_bytes; /* of segments in memory: allowed, in use; under the lock */
    enum weft_disk_state disk_state;  /* the rest of this block is under the lock */
    int disk_error;
    uint64_t disk_errors, next_try_ms;
    struct weft_journal_recovery recovery;
    uint64_t corrupt_records;
    struct weft_segment *unsealed;    /* the oldest one that is not sealed, or the tail */
    struct weft_segment *sync_from;   /* the oldest one that fdatasync has not covered, or the tail */
    uint64_t sources_covered;         /* the saved sources know all up to here */
    bool sources_stale;               /* a segment has been sealed since they were saved */
    _Atomic uint64_t durable;         /* WEFT_SYNC_ALWAYS: see weft_journal_durable() */
    _Atomic bool unsaved;             /* a place has moved since places were saved */
    pthread_mutex_t saving;           /* one writer of places at a time; may be taken under `lock`, not before it */
    pthread_mutex_t saving_sources;   /* the same for sources; taken after `saving` */
    uint64_t places_turn;             /* numbers what is to be written of places; under the lock */
    uint64_t places_written;          /* the newest that has been; under `saving` */
    struct weft_keeper keeper;
};

struct weft_cursor {
    struct weft_journal *journal;
    char *name;
    bool hold, transient;
    bool parked;                    /* no reader; under the lock */
    bool unresolved;                /* found on disk: settled.offset is still to be found out by the next reader */
    bool stuck;                     /* its segment could not be mapped: wake it to try again; under the lock */
    bool unmapped;                  /* the same, of the last look, for the reader */
    uint64_t parked_wall_ns;
    int wake_fd;
    struct weft_cursor *next;       /* in the journal's list */
    bool armed;                     /* under the lock */
    uint64_t start_sequence;
    struct weft_totals base;        /* the journal's totals that this cursor never sees; under the lock */
    struct weft_totals skipped;     /* what was retired before it was read; under the lock */
    struct weft_totals lost;        /* what could not be read; under the lock */
    struct weft_totals found_lost;  /* the same, found out by the journal's open: the next reader's to count */
    struct weft_place read;         /* segment: changed under the lock; parked: the same as settled */
    struct weft_place settled;      /* the same */
    _Atomic size_t settled_offset;  /* settled.offset, for others to look at */
    _Atomic unsigned turn;          /* odd while the sums below are being moved by the reader */
    _Atomic uint64_t settled_sequence; /* the last one that is done */
    _Atomic uint64_t done_records, done_items, done_bytes;
    uint64_t saved_sequence;        /* the last three that went together; under the lock */
    uint64_t saved_segment;
    struct weft_totals saved_totals; /* of what is done of that segment */
};

static inline struct weft_place weft_place_start(struct weft_segment *s)
{
    return (struct weft_place){ .segment = s, .offset = s->begin, .sequence = s->first_sequence };
}

/* Where an unbroken sequence up to the tail begins. A segment before it is only there because a cursor that does not
 * hold has it pinned. Under the lock. */
static inline struct weft_segment *weft_journal_oldest(const struct weft_journal *j)
{
    struct weft_segment *oldest = j->head;

    while (oldest->stranded)
        oldest = oldest->next;
    return oldest;
}

/* Gives back segments that nobody needs, but for what retention keeps. Under the lock. */
void weft_journal_reclaim(struct weft_journal *j);

/* Gives back the oldest segment that nobody needs, retained or not. False: there is none. Under the lock. */
bool weft_journal_retire_oldest(struct weft_journal *j);

/* Takes an empty segment of exactly that size out of the cache; NULL: there is none. Under the lock. */
struct weft_segment *weft_journal_uncache(struct weft_journal *j, size_t size);

/* Reclaims, and gives up retained segments and cached ones until `size` more bytes fit under max_size. False: they cannot. Under
 * the lock. */
bool weft_journal_make_room(struct weft_journal *j, size_t size);

/* The sequence before the first one that is reserved and not published. Under the lock. */
uint64_t weft_journal_published(struct weft_journal *j);

/* ---- disk ---- */

/* A segment of `size` bytes, begun as the one behind the tail: on disk, or in memory when the disk does not take it and the options
 * allow that; there it may be smaller, but holds `need` bytes. Keeps the books of the disk's state. 0, WEFT_ERR_FULL or
 * WEFT_ERR_LIMIT. Under the lock. */
int weft_journal_disk_tail(struct weft_journal *j, size_t size, size_t need, struct weft_segment **ret_segment);

/* The disk has failed, or works again; says so once. Under the lock. */
void weft_journal_disk_failed(struct weft_journal *j, int err);
void weft_journal_disk_works(struct weft_journal *j);

/* Seals the closed segments whose writers are done, and unmaps those that nobody reads. Under the lock. */
void weft_journal_rest(struct weft_journal *j);

/* A reader comes to a segment, or leaves it: files are mapped and unmapped by that. Under the lock. */
void weft_segment_pin(struct weft_segment *s);
void weft_segment_unpin(struct weft_segment *s);

/* Makes the list of segments, the cursors and the sources out of what the directory holds. Nobody else is there yet. 0, or a code of
 * weft_journal_open(); then the directory is as it was, but for quarantined files. */
int weft_journal_recover(struct weft_journal *j);

/* A tail without room, for a directory without segments. 0 or a negative code. */
int weft_journal_begin_empty(struct weft_journal *j);

/* Writes the places of all cursors to the directory, or the positions of all sources. Any thread, without the lock. */
int weft_journal_save_places(struct weft_journal *j, bool sync);
int weft_journal_save_sources(struct weft_journal *j, bool sync);

/* Writes the places under the lock, without waiting for the disk. False: not every place is the one of this moment, or it could not be
 * written. */
bool weft_journal_save_places_now(struct weft_journal *j);

/* The segment is to go: what it says of sources must be in the file before. False: a record before its end is still being written, so
 * that the file could not vouch for what comes behind. Under the lock. */
bool weft_journal_cover_sources(struct weft_journal *j, const struct weft_segment *s);

/* A place has moved: it will be saved soon. Cheap; any thread. */
void weft_journal_note_unsaved(struct weft_journal *j);

/* What its thread does now and then: saves what has moved, seals, lets go of what has become too old, looks after its
 * directory, wakes readers that could not map a segment. Any thread, without the lock. */
void weft_journal_keep(struct weft_journal *j);

/* The thread that does so. 0 or a negative code. */
int weft_keeper_start(struct weft_journal *j);
void weft_keeper_stop(struct weft_journal *j);

/* ---- the seam for who syncs ---- */

enum { WEFT_DIRTY_MAX = 16 };

/* One file with bytes that fdatasync has not covered. */
struct weft_dirty {
    struct weft_segment *segment;
    int fd;
    size_t from, to;
};

/* The oldest files with unsynced bytes, at most `max`; they stay open until weft_journal_synced() is called for them, which must be.
 * *ret_sequence: everything up to it will be durable when they are synced. *ret_hole: it ends there because a reservation is open,
 * behind which others may have published. Any thread, without the lock. */
size_t weft_journal_dirty(struct weft_journal *j, struct weft_dirty *dirty, size_t max, uint64_t *ret_sequence, bool *ret_hole);

/* They have been synced (err 0), or could not be: then they stay dirty and the disk has failed. Moves
 * weft_journal_durable(); true: it has moved. Any thread, without the lock. */
bool weft_journal_synced(struct weft_journal *j, const struct weft_dirty *dirty, size_t n, uint64_t sequence, int err);

/* Puts one empty, mapped segment in the cache when there is none and there is room, so that the next append that needs one
 * finds it; *ret_segment is it, taken by the caller to fault its pages in, or NULL. Hand it back with weft_journal_stock(). */
struct weft_segment *weft_journal_prepare(struct weft_journal *j);
void weft_journal_stock(struct weft_journal *j, struct weft_segment *s);

/* ---- cursors ---- */

/* Everything that a cursor has no business with any more: settled, skipped, lost, or from before it began. */
struct weft_totals weft_cursor_accounted(const struct weft_cursor *c);

/* What waits for it in segments in memory, or in files without a name, of a journal on disk. Under the lock. */
struct weft_totals weft_cursor_in_memory(const struct weft_cursor *c);

/* The most items of these over all holding cursors. Under the lock. */
uint64_t weft_journal_unsaved(const struct weft_journal *j);

/* A parked cursor that does not hold, in a segment that is going: on to the next one. Under the lock. */
void weft_cursor_push_on(struct weft_cursor *c);

/* The cursor of that name, parked or not; NULL: there is none. Under the lock. */
struct weft_cursor *weft_journal_find(const struct weft_journal *j, const char *name);

/* Counts the cursor into, or out of, the segments between its settled and read places. Under the lock. */
void weft_cursor_keep(struct weft_cursor *c);
void weft_cursor_let_go(struct weft_cursor *c);

/* Does not want to be woken any more. Under the lock. */
void weft_cursor_disarm(struct weft_cursor *c);

#endif

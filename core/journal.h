/* SPDX-License-Identifier: Apache-2.0 */
/* journal.h: an append-only sequence of records in segments, read through cursors.
 *
 * It is the only queue of the program: what lies between a cursor and the tail waits for that
 * cursor's reader. Ingest threads append; each reader owns one cursor.
 *
 *   (1) Segments in use never add up to more than max_size; a record that does not fit is
 *       refused whole (WEFT_ERR_FULL), nothing is taken.
 *   (2) A record is seen by cursors only after it is whole, and is const from then on.
 *   (3) A cursor sees every record from where it stands, in sequence order, exactly once a pass;
 *       sequences start at 1 and have no holes but those of abandoned reservations.
 *   (4) A segment is given back when every holding cursor has settled past it and retention allows it.
 *   (5) Nobody who sleeps misses a publication (the fences are in journal.c).
 *
 * Memory mode is the first backing; disk mode is a second one behind the same interface.
 */
#ifndef WEFT_CORE_JOURNAL_H
#define WEFT_CORE_JOURNAL_H

#include "core/otlp.h"
#include "core/slice.h"

/* Where a reader stood when it read this: commits with the data. id 0: nothing to remember. */
struct weft_source {
    uint64_t id, position;
};

/* One record: an OTLP request body and what we know of its arrival.
 *   reserved   only the thread that reserved it may touch it; no cursor sees it
 *   published  const for ever, for everybody; any cursor may read it
 *   retired    every cursor has settled past it and its segment has been given back
 * A slice into a record is good until the settled place of the cursor that handed it out passes it. */
struct weft_record {
    uint64_t sequence;           /* set by the journal */
    uint64_t wall_ns, mono_ns;   /* arrival */
    enum weft_signal signal;
    uint32_t flags;
    uint32_t n_items;            /* spans, log records or data points */
    uint32_t first_item;         /* number of the first item; not 0 only in what is left of a record that is sent again */
    struct weft_source source;
    struct weft_slice payload;   /* the OTLP bytes */
};

struct weft_journal;

enum weft_journal_mode { WEFT_JOURNAL_MEMORY, WEFT_JOURNAL_DISK };

struct weft_journal_options {
    const char *name;            /* the pipeline's id; copied */
    enum weft_journal_mode mode;
    size_t max_size;             /* bytes of all segments together; at least 1 MiB */
    size_t segment_size;         /* 0: chosen from max_size */
    size_t retain;               /* bytes of segments kept, while there is room, after every cursor has passed */
};

/* What a journal holds right now, for metrics and the admin API. A consistent snapshot. */
struct weft_journal_stats {
    uint64_t first_sequence, next_sequence; /* oldest kept; the one the next append gets */
    uint64_t segment_bytes, capacity_bytes; /* memory in use by segments; max_size */
    uint64_t appended_records, appended_items, appended_bytes, refused_records;
    uint64_t abandoned_records;             /* reserved, never published; not among the appended */
    unsigned n_segments, n_cursors;
};

/* Opens a journal. UV_EINVAL for a max_size under 1 MiB; UV_ENOMEM; WEFT_ERR_UNSUPPORTED for disk mode
 * in a build without it. Any thread. */
int weft_journal_open(struct weft_journal **ret_journal, const struct weft_journal_options *options);

/* All cursors must be closed. Accepts NULL. */
void weft_journal_close(struct weft_journal *j);

/* A random number drawn at open; with sequence and item index it names an item for ever. Never 0. */
uint64_t weft_journal_id(const struct weft_journal *j);

/* The largest payload that append can ever take: half of max_size, less a page at most. Two records of any size
 * must fit at once, or a settled one could lock out the next. */
size_t weft_journal_max_payload(const struct weft_journal *j);

/* Appends a copy of *r (sequence is ignored; *ret_sequence, if not NULL, is the one given).
 * WEFT_ERR_FULL: nothing was taken; WEFT_ERR_LIMIT: the same, the system gave no memory. WEFT_ERR_TOO_LARGE: it can
 * never fit. Any thread, never blocks on readers. */
int weft_journal_append(struct weft_journal *j, const struct weft_record *r, uint64_t *ret_sequence);

/* The same in two steps, for who writes the payload in place or commits to several journals at
 * once: reserve room for `len` bytes that hold `n_items` items, fill `payload`, then publish or abandon. Keep it short: every
 * cursor stops at a reserved record until it is published. Never hold one across I/O. */
struct weft_reservation {
    uint8_t *payload;
    size_t len;
    void *entry, *segment; /* private */
    uint64_t sequence;
};

/* The same errors as append. Any thread. */
int weft_journal_reserve(struct weft_journal *j, size_t len, uint32_t n_items,
                         struct weft_reservation *ret_reservation);
/* r->payload and r->n_items are ignored: the reservation has both already. */
void weft_journal_publish(struct weft_journal *j, struct weft_reservation *res, const struct weft_record *r);
void weft_journal_abandon(struct weft_journal *j, struct weft_reservation *res); /* cursors step over it */

/* Any thread. */
void weft_journal_stats(struct weft_journal *j, struct weft_journal_stats *ret_stats);

/* Fill between 0 and 1: bytes that the slowest holding cursor keeps, over max_size. Cheap; any thread. */
double weft_journal_fill(struct weft_journal *j);

/* Gives memory that is kept for reuse back to the system. For who finds that nothing has happened for a while. Any thread. */
void weft_journal_trim(struct weft_journal *j);

/* ---- cursors: one reader's places. One thread, but for the waking of it. ---- */
struct weft_cursor;

enum weft_cursor_start { WEFT_CURSOR_TAIL, WEFT_CURSOR_OLDEST };

struct weft_cursor_options {
    const char *name;            /* the exporter's id; copied; in disk mode the key of its saved place */
    enum weft_cursor_start start;
    bool hold;                   /* false: never keeps a segment back (recorder, connectors); may be skipped ahead */
    int wake_fd;                 /* an eventfd that the reader's loop watches; borrowed; -1: nobody to wake */
};

struct weft_cursor_stats {
    uint64_t settled_sequence;   /* everything up to here is done */
    uint64_t waiting_records, waiting_items, waiting_bytes; /* published, not settled */
    uint64_t skipped_items;      /* lost to a cursor that does not hold */
};

/* Places a new cursor at options->start. 0 or UV_ENOMEM. Any thread. */
int weft_cursor_open(struct weft_cursor **ret_cursor, struct weft_journal *j, const struct weft_cursor_options *options);

/* Lets go of everything that it kept; its records are gone. Accepts NULL. */
void weft_cursor_close(struct weft_cursor *c);

/* 1: *ret_record is the next record and the read place is behind it. 0: nothing published there yet. */
int weft_cursor_next(struct weft_cursor *c, struct weft_record *ret_record);

/* All records up to and including `sequence` are done: their slices are gone after this call. */
void weft_cursor_settle(struct weft_cursor *c, uint64_t sequence);

/* Puts the read place back to the settled place. */
void weft_cursor_rewind(struct weft_cursor *c);

/* The reader is about to sleep. false: there is something to read already, look again. true: from now on a
 * publication writes to wake_fd (once; arm again before the next sleep). */
bool weft_cursor_arm(struct weft_cursor *c);

/* Any thread. */
void weft_cursor_stats(struct weft_cursor *c, struct weft_cursor_stats *ret_stats);

#endif

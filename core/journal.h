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
 *   (4) A segment is given back when every holding cursor, parked ones included, has settled past it and retention
 *       allows it.
 *   (5) Nobody who sleeps misses a publication (the fences are in journal.c).
 *   (6) A cursor's place outlives its reader: closing parks it under its name, opening that name goes on there. Only
 *       weft_journal_release() forgets it.
 *   (7) Items that a cursor could not be given (bytes that rotted, a segment that is gone) are counted as lost; none
 *       vanishes in silence.
 *
 * In memory mode segments are anonymous memory. In disk mode they are mapped files in a directory of the journal's own, which
 * one process at a time may have open; records, cursors, sources and the id are found again by the next open.
 */
#ifndef WEFT_CORE_JOURNAL_H
#define WEFT_CORE_JOURNAL_H

#include "core/otlp.h"
#include "core/slice.h"

struct weft_log;

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
    bool again;                  /* not kept: a journal that has this source's position may have the record already */
    uint32_t n_offered;          /* not kept: so many of its first items were put off before, and counted as refused then */
    struct weft_slice payload;   /* the OTLP bytes */
};

struct weft_journal;

enum weft_journal_mode { WEFT_JOURNAL_MEMORY, WEFT_JOURNAL_DISK };

/* What disk mode promises about power loss (a kill of the process loses nothing in any of them). */
enum weft_sync {
    WEFT_SYNC_NONE,              /* nothing: the system writes when it likes */
    WEFT_SYNC_INTERVAL,          /* all but the last sync_interval_ms */
    WEFT_SYNC_ALWAYS,            /* everything up to weft_journal_durable() */
};

/* What an append gets while the disk does not take any more (full, failing, directory gone). */
enum weft_disk_error {
    WEFT_DISK_ERROR_REFUSE,      /* WEFT_ERR_FULL */
    WEFT_DISK_ERROR_MEMORY,      /* segments in memory, up to memory_size; a kill loses what they hold */
};

struct weft_journal_options {
    const char *name;            /* the pipeline's id; copied */
    enum weft_journal_mode mode;
    const char *directory;       /* disk: this journal's own directory, made with its parents when missing; copied */
    uint64_t max_size;           /* bytes of all segments together; at least 1 MiB */
    size_t segment_size;         /* 0: chosen from max_size */
    uint64_t retain;             /* bytes of segments kept, while there is room, after every cursor has passed */
    uint64_t retain_ms;          /* of those, none whose newest record is older; 0: any age */
    enum weft_sync sync;         /* disk */
    uint64_t sync_interval_ms;   /* disk, WEFT_SYNC_INTERVAL; 0: 500 */
    enum weft_disk_error on_disk_error;
    uint64_t memory_size;        /* disk, WEFT_DISK_ERROR_MEMORY: bytes of segments in memory; 0: 8 MiB */
    const struct weft_log *log;  /* disk: what was recovered, when the disk fails and when it is back; borrowed; may be NULL */
    /* Called after weft_journal_durable() has moved, on a thread of the journal's, without locks held. May be NULL. */
    void (*on_durable)(void *ctx);
    void *durable_ctx;
    uint64_t (*wall_clock)(void); /* for ages; NULL: weft_clock_wall_ns */
};

enum weft_disk_state { WEFT_DISK_OK, WEFT_DISK_REFUSING, WEFT_DISK_MEMORY };

/* What the last open found in the directory that a clean close would not have left. */
struct weft_journal_recovery {
    uint64_t torn_bytes;         /* cut off the end of the last segment: nothing in them had been published */
    uint64_t stepped_over;       /* records reserved and never published, with published ones behind them */
    uint64_t quarantined_segments; /* files with a header that says nothing; renamed to *.corrupt */
    uint64_t lost_records, lost_items; /* in places that cannot be read any more, as far as the totals around them tell */
    bool cursors_lost;           /* their file was missing or garbled: every cursor starts at the oldest record kept */
};

/* What a journal holds right now, for metrics and the admin API. A consistent snapshot. */
struct weft_journal_stats {
    uint64_t first_sequence, next_sequence; /* oldest kept; the one the next append gets */
    uint64_t segment_bytes, capacity_bytes; /* room in use by segments; max_size */
    uint64_t opened_records, opened_items, opened_bytes; /* found in the directory by open */
    uint64_t appended_records, appended_items, appended_bytes, refused_records; /* since open */
    uint64_t abandoned_records;             /* reserved, never published; not among the appended */
    unsigned n_segments, n_cursors;         /* cursors: those with a reader */
    unsigned n_parked;                      /* places without one */
    enum weft_disk_state disk_state;
    int disk_error;                         /* the code behind it; 0 when OK */
    uint64_t disk_errors;                   /* how often it left OK since open */
    uint64_t syncs, sync_errors, sync_ns;   /* files synced since open, those that could not be, and the time that all took */
    uint64_t unsaved_items;                 /* the most that waits for a holding cursor and ends with the process though the mode is disk */
    uint64_t memory_bytes;                  /* of segment_bytes, those that are in memory though the mode is disk */
    uint64_t corrupt_records;               /* read and found rotten since open */
    uint64_t gone_wall_ns;                  /* whatever arrived later is kept; 0: all that open found and all since then is */
    struct weft_journal_recovery recovery;
};

/* Opens a journal, in disk mode with everything its directory holds. UV_EINVAL for a max_size under 1 MiB or no
 * directory; UV_ENOMEM; WEFT_ERR_LOCKED: somebody has the directory open; WEFT_ERR_NEWER: a newer version wrote it (nothing
 * was touched); any code of the file system when the directory cannot be made or written. Damage is never an error, see
 * stats.recovery. Any thread. */
int weft_journal_open(struct weft_journal **ret_journal, const struct weft_journal_options *options);

/* All cursors must be closed. Disk mode writes places and sources; memory mode forgets all, parked places included.
 * Accepts NULL. */
void weft_journal_close(struct weft_journal *j);

/* Deletes the directory of a closed journal with all it holds. 0 also when there is none; WEFT_ERR_LOCKED: it is
 * open; UV_ENOTEMPTY: there are files in it that no journal makes (they stay). Any thread. */
int weft_journal_remove(const char *directory);

/* A random number drawn at the first open, kept with the directory; with sequence and item index it names an item for ever.
 * Never 0. */
uint64_t weft_journal_id(const struct weft_journal *j);

/* What it was opened as. */
enum weft_journal_mode weft_journal_mode(const struct weft_journal *j);

/* The largest payload that append can ever take: half of max_size, less a page at most. Two records of any size
 * must fit at once, or a settled one could lock out the next. */
size_t weft_journal_max_payload(const struct weft_journal *j);

/* Memory mode: another max_size and retention for a journal that nobody appends to meanwhile. WEFT_ERR_FULL: what is kept does not
 * fit, and nothing has changed; UV_EINVAL: less than 1 MiB; WEFT_ERR_UNSUPPORTED: disk mode, where a new open does it. */
int weft_journal_resize(struct weft_journal *j, uint64_t max_size, uint64_t retain, uint64_t retain_ms);

/* Appends a copy of *r (sequence is ignored; *ret_sequence, if not NULL, is the one given).
 * WEFT_ERR_FULL: nothing was taken (in disk mode also while the disk takes nothing); WEFT_ERR_LIMIT: the same, the system gave no memory. WEFT_ERR_TOO_LARGE: it can
 * never fit. Any thread, never blocks on readers. */
int weft_journal_append(struct weft_journal *j, const struct weft_record *r, uint64_t *ret_sequence);

/* The same in two steps, for who writes the payload in place or commits to several journals at
 * once: reserve room for `len` bytes that hold `n_items` items, fill `payload`, then publish or abandon. Keep it short: every
 * cursor stops at a reserved record until it is published. Never hold one across I/O. */
struct weft_reservation {
    uint8_t *payload;
    size_t len;
    void *entry, *segment; /* private */
    const uint8_t *filled; /* private */
    uint64_t sequence;
};

/* The same errors as append. Any thread. */
int weft_journal_reserve(struct weft_journal *j, size_t len, uint32_t n_items,
                         struct weft_reservation *ret_reservation);
/* Copies the payload, which has the length that was reserved and stays where it is until publish (its sum is taken there), the
 * cheapest way there is. Who writes to res->payload piece by piece does without. */
void weft_journal_copy(struct weft_reservation *res, struct weft_slice payload);
/* r->payload and r->n_items are ignored: the reservation has both already. */
void weft_journal_publish(struct weft_journal *j, struct weft_reservation *res, const struct weft_record *r);
void weft_journal_abandon(struct weft_journal *j, struct weft_reservation *res); /* cursors step over it */

/* Any thread. */
void weft_journal_stats(struct weft_journal *j, struct weft_journal_stats *ret_stats);

/* Fill between 0 and 1: bytes that the slowest holding cursor keeps, over max_size. Cheap; any thread. */
double weft_journal_fill(struct weft_journal *j);

/* Gives memory that is kept for reuse back to the system. For who finds that nothing has happened for a while. Any thread. */
void weft_journal_trim(struct weft_journal *j);

/* Who is furthest behind of those whose records are kept for them. False: nobody holds any. Any thread. */
struct weft_slowest {
    char name[128];
    bool parked;                 /* it has no reader */
    uint64_t waiting_items, waiting_bytes;
};
bool weft_journal_slowest(struct weft_journal *j, struct weft_slowest *ret_slowest);

/* The least settled sequence over all holding cursors, parked ones included: everything up to it is done for everybody. The
 * newest published one when no cursor holds. Any thread. */
uint64_t weft_journal_settled(struct weft_journal *j);

/* Every record up to here survives power loss as far as `sync` promises: what fdatasync has covered with
 * WEFT_SYNC_ALWAYS, else the newest published. Any thread. */
uint64_t weft_journal_durable(struct weft_journal *j);

/* *ret_position is the one of the last published record of that source, also of those that have been retired since;
 * disk mode finds it again on open. false: never heard of it, or so long ago that more than 4096 others
 * came after it. Any thread. */
bool weft_journal_source(struct weft_journal *j, uint64_t id, uint64_t *ret_position);

/* Forgets the position of a source (its file is gone). Any thread. */
void weft_journal_forget_source(struct weft_journal *j, uint64_t id);

/* ---- waiting for the disk ---- */

/* Does a publication become durable only some time later, and must a client's yes wait for that? WEFT_SYNC_ALWAYS on disk. Any
 * thread. */
bool weft_journal_confirms(const struct weft_journal *j);

/* What has become of a published record, where yes waits: 1: it is durable. 0: not yet. WEFT_ERR_DISK: the sync that covered it has
 * failed; it may still be read and sent, and is never called durable. Always 1 where yes does not wait. Any thread. */
int weft_journal_confirmed(const struct weft_journal *j, uint64_t sequence);

/* Somebody waits for what has been published so far. One fdatasync serves all who ask while the one before it runs. Any thread. */
void weft_journal_hurry(struct weft_journal *j);

/* Somebody who wants to hear, on a thread of the journal's and without any lock that its owner could hold, that
 * weft_journal_confirmed() may answer anew. The owner's memory, from watch to the return of unwatch. Any thread. */
struct weft_journal_watch {
    void (*on_confirmed)(void *ctx);
    void *ctx;
    struct weft_journal_watch *next; /* private */
};
void weft_journal_watch(struct weft_journal *j, struct weft_journal_watch *w);
void weft_journal_unwatch(struct weft_journal *j, struct weft_journal_watch *w);

/* ---- cursors: one reader's places. One thread, but for the waking of it. ---- */
struct weft_cursor;

/* Where a name that is new starts. TIME: at the first record with wall_ns >= from_wall_ns. */
enum weft_cursor_start { WEFT_CURSOR_TAIL, WEFT_CURSOR_OLDEST, WEFT_CURSOR_TIME };

struct weft_cursor_options {
    const char *name;            /* the exporter's id; copied; the key of its parked or saved place */
    enum weft_cursor_start start;
    uint64_t from_wall_ns;       /* WEFT_CURSOR_TIME */
    bool hold;                   /* false: never keeps a segment back (recorder, connectors); may be skipped ahead */
    bool transient;              /* not parked on close, not saved, and its name means nothing (so it is without a name) */
    int wake_fd;                 /* an eventfd that the reader's loop watches; borrowed; -1: nobody to wake */
};

/* Since its open. */
struct weft_cursor_stats {
    uint64_t settled_sequence;   /* everything up to here is done */
    uint64_t waiting_records, waiting_items, waiting_bytes; /* published, not settled */
    uint64_t memory_records, memory_items, memory_bytes; /* of those, what ends with the process though the journal is on disk */
    uint64_t skipped_items;      /* lost to a cursor that does not hold */
    uint64_t lost_records, lost_items; /* could not be read; known when the cursor has left the segment they were in */
};

/* Places a cursor: where its name is parked (or was saved), else at options->start. 0, UV_ENOMEM, or UV_EEXIST: a cursor of that
 * name has not been closed yet; WEFT_ERR_LIMIT: 1024 places are known already. A name that is NULL or empty makes the cursor
 * transient. Any thread. */
int weft_cursor_open(struct weft_cursor **ret_cursor, struct weft_journal *j, const struct weft_cursor_options *options);

/* Parks the settled place under the cursor's name, holding what it held; a transient one lets go of everything. Its records are
 * gone either way. Accepts NULL. */
void weft_cursor_close(struct weft_cursor *c);

/* A place without a reader. */
struct weft_parked {
    const char *name;            /* good during the call */
    bool hold;
    uint64_t parked_wall_ns;     /* when its reader went; kept over restarts */
    uint64_t settled_sequence;
    uint64_t waiting_records, waiting_items, waiting_bytes;
};

/* Shows every parked place. The visitor runs under the journal's lock and must not call the journal. Any thread. */
void weft_journal_parked(struct weft_journal *j, void (*visit)(void *ctx, const struct weft_parked *parked), void *ctx);

/* The parked place that keeps everything when the readers' places were lost (recovery.cursors_lost): until it is released, names
 * that are new start at the oldest record. Its owner releases it when all readers are open. */
#define WEFT_LOST_PLACES "(lost places)"

/* Forgets a parked place and what it held. WEFT_ERR_NOT_FOUND: no such name is parked. Any thread. */
int weft_journal_release(struct weft_journal *j, const char *name);

/* 1: *ret_record is the next record and the read place is behind it. 0: nothing published there yet. UV_ENOMEM: there is, and it cannot
 * be mapped at the moment; ask again later (a cursor that is armed is woken for it). */
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

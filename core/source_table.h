/* SPDX-License-Identifier: Apache-2.0 */
/* source_table.h: the last committed position of each source, for the journal to keep.
 *
 * A bounded hash table behind a lock of its own, so that records without a source (nearly all) pay nothing. When it is
 * full, the source that has been silent for longest gives way. Private to journal*.c. Any thread.
 */
#ifndef WEFT_CORE_SOURCE_TABLE_H
#define WEFT_CORE_SOURCE_TABLE_H

#include "core/journal.h"

#include <pthread.h>

enum { WEFT_SOURCES_MAX = 4096 };

struct weft_source_row {
    struct weft_source source;  /* id 0: an empty slot */
    uint64_t sequence;          /* of the record that said so; it may not be published yet */
    struct weft_source before;  /* what the record of this source before it said: that one is published */
    uint64_t before_sequence;
    struct weft_source saved;   /* what the last snapshot had: still right when the newest records are not */
    uint64_t saved_sequence;
};

struct weft_source_table {
    pthread_mutex_t lock;
    struct weft_source_row *rows; /* open addressing; a power of two, or NULL */
    size_t n_slots, n_rows;
};

/* 0 or a negative code. */
int weft_source_table_init(struct weft_source_table *t);
void weft_source_table_release(struct weft_source_table *t);

/* Record `sequence` came from there; it is about to be published. Out of memory: it is not remembered. */
void weft_source_table_note(struct weft_source_table *t, struct weft_source source, uint64_t sequence);

/* Puts back a row of a snapshot. */
void weft_source_table_restore(struct weft_source_table *t, const struct weft_source_row *row);

/* What is known of a source; whether anything is known of any; forgetting one, which a later note brings back. */
bool weft_source_table_find(struct weft_source_table *t, uint64_t id, uint64_t *ret_position);
bool weft_source_table_is_empty(struct weft_source_table *t);
void weft_source_table_forget(struct weft_source_table *t, uint64_t id);

/* Copies at most `max` rows to `rows` for a snapshot, each with what the snapshot before had, and returns their number. */
size_t weft_source_table_snapshot(struct weft_source_table *t, struct weft_source_row *rows, size_t max);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* source_store.h: the file of a disk journal that holds the positions of its sources.
 *
 * A snapshot from time to time; what was committed since is found in the segments. After a loss of power the snapshot may know of
 * records that never reached the disk: then the position of the snapshot before counts, which each row carries too, so that
 * nothing is taken for read that is not in the journal. Private to journal*.c. Pure: bytes in, rows out.
 */
#ifndef WEFT_CORE_SOURCE_STORE_H
#define WEFT_CORE_SOURCE_STORE_H

#include "core/buf.h"
#include "core/source_table.h"

enum { WEFT_SOURCE_STORE_MAX = 64 + WEFT_SOURCES_MAX * sizeof(struct weft_source_row) };

/* The whole file into `b`, unless b->err. `covered`: nothing up to that sequence needs to be looked for. */
void weft_source_store_put(struct weft_buf *b, uint64_t journal_id, uint64_t covered, const struct weft_source_row *rows,
                           size_t n);

/* Checks the whole file. WEFT_ERR_MALFORMED, or 0 with the rows for weft_source_store_load(). */
int weft_source_store_check(struct weft_slice bytes, uint64_t journal_id, struct weft_slice *ret_rows, uint64_t *ret_covered);

/* Puts the rows into the table, as far as records up to `last_sequence` bear them out. What they say of records behind `covered` is
 * left out: the snapshot may know of one that was never published, and those that were are looked for. */
void weft_source_store_load(struct weft_slice rows, uint64_t covered, uint64_t last_sequence, struct weft_source_table *t);

#endif

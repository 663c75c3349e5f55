/* SPDX-License-Identifier: Apache-2.0 */
/* cursor_store.h: the file of a disk journal that holds the places of its readers.
 *
 * One row a name: how far all is settled, and how much that is of the segment in which the place is, so that what waits (and what
 * turns out to be lost) can be told exactly after a restart. Written whole and replaced in one step; a file that is not right says nothing
 * at all. Private to journal*.c and cursor*.c. Pure: bytes in, rows out.
 */
#ifndef WEFT_CORE_CURSOR_STORE_H
#define WEFT_CORE_CURSOR_STORE_H

#include "core/buf.h"
#include "core/segment.h"

struct weft_saved_place {
    struct weft_slice name;      /* into the bytes that were decoded */
    uint64_t settled_sequence;
    uint64_t segment;            /* the number of the one it is in; 0: the totals are not known */
    struct weft_totals totals;   /* of what is done of that segment */
    uint64_t parked_wall_ns;     /* 0: it had a reader */
    bool hold;
};

enum { WEFT_CURSOR_STORE_MAX = 1 << 20 };

/* Begins a file, adds rows, ends it; afterwards the bytes are in `b` unless b->err. */
void weft_cursor_store_begin(struct weft_buf *b, uint64_t journal_id);
void weft_cursor_store_put(struct weft_buf *b, const struct weft_saved_place *place);
void weft_cursor_store_end(struct weft_buf *b);

/* Checks the whole file. WEFT_ERR_MALFORMED, or 0 and *ret_rest is to be read with weft_cursor_store_next(). */
int weft_cursor_store_check(struct weft_slice bytes, uint64_t journal_id, struct weft_slice *ret_rest);

/* 1: *ret_place is the next row. 0: that was all. WEFT_ERR_MALFORMED. */
int weft_cursor_store_next(struct weft_slice *rest, struct weft_saved_place *ret_place);

#endif

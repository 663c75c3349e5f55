/* SPDX-License-Identifier: Apache-2.0 */
/* filelog_content.h: telling contents apart: is this the file that we know, the same one cut short, or another? What a file
 * begins with says so (its print, up to fingerprint_size bytes) and what stands right before the place up to which it was read
 * (its tail). Reads few bytes, keeps none. One thread.
 */
#ifndef WEFT_RECEIVERS_FILELOG_CONTENT_H
#define WEFT_RECEIVERS_FILELOG_CONTENT_H

#include "receivers/filelog_known.h"

/* Room for what is read, shared by all files of a receiver, and the longest print that is taken. */
struct weft_filelog_scratch {
    uint8_t *bytes;
    size_t cap, print_size;
};

void weft_filelog_scratch_release(struct weft_filelog_scratch *s); /* accepts a zeroed one */

/* Exactly `len` bytes at `offset`, good until the next call. False: fewer are there, or they cannot be read. */
bool weft_filelog_read_at(struct weft_filelog_scratch *s, int fd, uint64_t offset, size_t len, struct weft_slice *ret_bytes);

uint64_t weft_filelog_hash(struct weft_slice bytes);

/* True when the file begins as `e` does. An entry without a print is like everything. */
bool weft_filelog_begins_like(struct weft_filelog_scratch *s, const struct weft_filelog_entry *e, int fd, uint64_t size);

enum weft_filelog_likeness {
    WEFT_FILELOG_SAME,   /* all that was read of `e` up to `place` stands in the file, as far as print and tail can tell */
    WEFT_FILELOG_CUT,    /* it begins the same and ends before that */
    WEFT_FILELOG_OTHER,
};

enum weft_filelog_likeness weft_filelog_compare(struct weft_filelog_scratch *s, const struct weft_filelog_entry *e,
                                                const struct weft_filelog_place *place, int fd, uint64_t size);

/* What a record's source says of a place: where it is, and 24 bits of the hash over the bytes before it (as many as
 * WEFT_FILELOG_TAIL_MAX), so that a journal alone can tell whether a file is still the one that it was read from. Grows with the
 * offset, which may be up to 1 TiB. */
uint64_t weft_filelog_mark(uint64_t offset, uint64_t tail);
uint64_t weft_filelog_mark_offset(uint64_t mark);

/* True when the file reaches the place and has these bytes before it. */
bool weft_filelog_mark_holds(struct weft_filelog_scratch *s, uint64_t mark, int fd, uint64_t size);

/* Looks whether the file still begins as `e` says, and lengthens the print with what has been added. False: it does not. */
bool weft_filelog_print_grow(struct weft_filelog_scratch *s, struct weft_filelog_entry *e, int fd, uint64_t size);

/* True when the last bytes of file `a`, of a_size, stand in file `b` at the same place. */
bool weft_filelog_ends_within(struct weft_filelog_scratch *s, int a, uint64_t a_size, int b);

#endif

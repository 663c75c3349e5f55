/* SPDX-License-Identifier: Apache-2.0 */
/* segment_scan.h: finding one's way among entries whose bytes cannot be trusted, because they come from a disk.
 *
 * Each entry has two sums: one of its head alone, by which its length and item count can be believed, and one of head
 * and payload. Both begin with a seed of journal id and segment number, so that what a recycled file held before never
 * passes. A chain of entries that is broken is taken up again at the next head that is right. Terminates on any bytes.
 *
 * Private to journal*.c and cursor*.c. Reads the mapping only; whoever calls has the segment pinned or for itself.
 */
#ifndef WEFT_CORE_SEGMENT_SCAN_H
#define WEFT_CORE_SEGMENT_SCAN_H

#include "core/segment.h"

/* What stands at a place where entry `sequence` is expected. */
enum weft_entry_kind {
    WEFT_ENTRY_GOOD,        /* published or abandoned, every byte as it was written */
    WEFT_ENTRY_ROTTEN,      /* its head is right and its payload is not */
    WEFT_ENTRY_UNPUBLISHED, /* reserved by somebody who did not come to publish it; its length is right */
    WEFT_ENTRY_BAD,         /* nothing that makes sense */
};

/* The sum of a head as it will be once `sequence` is stored. */
uint32_t weft_entry_head_crc(const struct weft_entry *e, uint32_t seed, uint64_t sequence);

/* The sum that reserve leaves in head_crc, of all that is known then. */
uint32_t weft_entry_reserve_crc(const struct weft_entry *e, uint32_t seed, uint64_t sequence);

/* Looks at the entry at `offset`; nothing at or behind `end` is touched. */
enum weft_entry_kind weft_entry_check(const struct weft_segment *s, size_t offset, uint64_t sequence, size_t end);

/* From a bad place to the next entry behind it whose head is right. False: there is none. */
bool weft_entry_find(const struct weft_segment *s, size_t *offset, uint64_t *sequence, size_t end);

/* What a scan of a segment has found. */
struct weft_scan {
    size_t end;                  /* behind the last good entry */
    uint64_t end_sequence;
    struct weft_totals good;     /* records */
    struct weft_totals rotten;   /* between good ones: their heads tell */
    uint64_t missing;            /* sequences between good ones of which nothing is left */
    uint64_t unpublished;        /* between good ones */
    uint64_t torn_bytes;         /* of entries behind the last good one */
    uint64_t newest_wall_ns;
};

/* Looks at all entries of a segment that was never sealed, and shows the good records. */
void weft_segment_scan(const struct weft_segment *s, struct weft_scan *ret_scan,
                       void (*visit)(void *ctx, const struct weft_entry *e, uint64_t sequence), void *ctx);

/* Makes abandoned ones of all unpublished entries before s->reserved, so that nobody waits for them. */
void weft_segment_abandon_unpublished(struct weft_segment *s);

/* Moves on to the next entry that can be read, at the place or behind it, and returns it; NULL at the end, and then the
 * place is the end. *ret_bad is set when something was passed that should have been readable. */
struct weft_entry *weft_segment_read(const struct weft_segment *s, size_t *offset, uint64_t *sequence, bool *ret_bad);

#endif

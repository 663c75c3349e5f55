/* SPDX-License-Identifier: Apache-2.0 */
/* segment_file.h: segments that are mapped files.
 *
 *   page 0   head: written before the file gets its number, never changed. Seal: written when the segment is
 *            closed and its last writer is done, in a sector of its own, with sums that make scanning needless
 *   page 1.. entries
 *
 *   (1) Room is allocated on disk before it is mapped: a full disk is an error code here, not a SIGBUS later.
 *   (2) A file with a number has a whole head: it gets its name by rename once the head is written.
 *   (3) A sealed segment that no reader and no writer is in is not mapped; its descriptor stays open, so that it can be read
 *       even when its name is gone.
 *
 * Private to journal*.c and segment*.c; under the journal's lock.
 */
#ifndef WEFT_CORE_SEGMENT_FILE_H
#define WEFT_CORE_SEGMENT_FILE_H

#include "core/segment.h"

enum { WEFT_SEGMENT_HEAD = 4096, WEFT_SEGMENT_SEAL_AT = 1024, WEFT_SEGMENT_NAME = 40 };

struct weft_segment_head {
    char magic[8];
    uint32_t version, crc;       /* of this struct with crc 0 */
    uint64_t journal_id, number, first_sequence, boot;
    struct weft_totals before;
};

struct weft_segment_seal {
    char magic[8];
    uint32_t version, crc;
    uint64_t journal_id, number, end, end_sequence, newest_wall_ns;
    struct weft_totals before, totals;
};

extern const struct weft_backing weft_backing_file;

/* What a file that is found in the directory turns out to be. */
enum weft_segment_found {
    WEFT_SEGMENT_SEALED,   /* complete: everything about it is known */
    WEFT_SEGMENT_OPEN,     /* a head and no seal: its entries must be looked at */
    WEFT_SEGMENT_EMPTY,    /* allocated and never begun, or begun again under another number: nothing is in it */
    WEFT_SEGMENT_CORRUPT,  /* its head says nothing */
    WEFT_SEGMENT_NEWER,    /* another version's */
    WEFT_SEGMENT_FOREIGN,  /* another journal's */
};

/* Opens the file of that number, unmapped, and reads its first page. journal_id 0 in the directory: whatever the head
 * says. *ret_segment is there for SEALED and OPEN only. *ret_boot, *ret_id: from the head. 0 or a negative code. */
int weft_segment_file_find(struct weft_segment **ret_segment, struct weft_journal_dir *dir, uint64_t number,
                           enum weft_segment_found *ret_found, uint64_t *ret_boot, uint64_t *ret_id);

/* Writes the seal, for the sums in `s`. It must be mapped. */
void weft_segment_seal(struct weft_segment *s);

/* Gives the room behind its last entry back to the disk. Unmapped afterwards. */
void weft_segment_cut(struct weft_segment *s);

/* Writes bytes to where `at` (in its mapping) is in the file; the mapping shows them. False, with errno: not all went in. For large pieces: a write brings pages in by the dozen, where stores take a fault for each. Any thread with a reservation. */
bool weft_segment_write(const struct weft_segment *s, const uint8_t *at, struct weft_slice bytes);

/* Maps it (0 when it is already) and unmaps it. */
int weft_segment_attach(struct weft_segment *s);
void weft_segment_detach(struct weft_segment *s);

/* Closes descriptor and mapping and leaves the file where it is. */
void weft_segment_leave(struct weft_segment *s);

/* Moves the file of that number out of the way, for people to look at. */
void weft_segment_file_quarantine(struct weft_journal_dir *dir, uint64_t number);

/* What the file of that number is called in its directory. */
void weft_segment_file_name(char name[static WEFT_SEGMENT_NAME], uint64_t number);

#endif

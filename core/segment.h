/* SPDX-License-Identifier: Apache-2.0 */
/* segment.h: the pieces a journal is made of, and the seam behind which their memory comes from.
 *
 * A segment is one stretch of memory filled front to back with entries. It is open while it is the tail,
 * closed when the next one follows, retired when nobody needs it. Private to journal*.c, segment*.c and cursor*.c.
 *
 *   (1) Bytes [begin, reserved) are entries, one behind the other; `reserved` only grows, under the
 *       journal's lock, and after the new entry's sequence has been set to 0. So recycled memory needs no wiping.
 *   (2) A closed segment has a `next`, and its `reserved` does not change any more.
 *   (3) A segment is given back only when it is not the tail, no holding cursor has its settled place in it or
 *       before it, nobody has it pinned, and no reservation in it is open.
 */
#ifndef WEFT_CORE_SEGMENT_H
#define WEFT_CORE_SEGMENT_H

#include "core/journal.h"
#include "core/journal_dir.h"

#include <stdatomic.h>

/* A record as it lies in a segment; 64 bytes, then the payload. */
struct weft_entry {
    uint32_t length, crc32c;   /* of the payload; the crc (of head and payload) only where the backing asks for one */
    _Atomic uint64_t sequence; /* 0 until published; the last thing written */
    uint64_t wall_ns, mono_ns;
    uint32_t n_items;
    uint16_t signal, abandoned;
    uint32_t flags, head_crc;  /* of these 64 bytes; before publication, of what reserve wrote */
    struct weft_source source;
    uint8_t payload[];
};

enum { WEFT_ENTRY_ALIGN = 16 };

/* What an entry with a payload of `len` bytes takes. */
static inline size_t weft_entry_stride(size_t len)
{
    return (sizeof(struct weft_entry) + len + WEFT_ENTRY_ALIGN - 1) & ~(size_t)(WEFT_ENTRY_ALIGN - 1);
}

struct weft_totals {
    uint64_t records, items, bytes;
};

static inline struct weft_totals weft_totals_plus(struct weft_totals a, struct weft_totals b)
{
    return (struct weft_totals){ a.records + b.records, a.items + b.items, a.bytes + b.bytes };
}

static inline struct weft_totals weft_totals_minus(struct weft_totals a, struct weft_totals b)
{
    return (struct weft_totals){ a.records - b.records, a.items - b.items, a.bytes - b.bytes };
}

struct weft_segment {
    struct weft_segment *next;
    uint8_t *base;             /* NULL: nobody needs it at the moment (files only) */
    size_t size, begin;
    size_t room;               /* where appending ends: size, or less when it is closed to appends for good */
    uint64_t number;           /* counts up along the list */
    uint64_t first_sequence;   /* of the entry at `begin` */
    uint64_t end_sequence;     /* behind the last entry; once the segment is sealed or recovered */
    struct weft_totals before; /* the journal's totals when it began */
    struct weft_totals totals; /* of its entries, abandoned ones left out */
    unsigned holders;          /* holding cursors, parked ones included, whose settled place is here */
    unsigned pins;             /* cursors with a reader that have it between their settled and read places */
    unsigned syncs;            /* threads that are writing it to disk */
    bool stranded;             /* a later one has been given back before it */
    _Atomic uint64_t newest_wall_ns; /* of its published entries */
    _Atomic size_t reserved;
    _Atomic bool closed;
    _Atomic unsigned writers;  /* reservations that are neither published nor abandoned */

    const struct weft_backing *backing;
    /* files only */
    struct weft_journal_dir *dir;
    int fd;
    int guard;                 /* of its mapping (sigbus.h); negative: none */
    bool numbered;             /* its name is its number; else it is a spare */
    bool nameless;             /* its directory was removed: nothing will find it again */
    uint64_t file_number;      /* in its name */
    bool sealed;               /* its totals are on disk */
    bool verify;               /* bytes come from disk: entries must be checked before use. Changed while nobody has it */
    bool recount;              /* what readers had added up in it is not what it has: records of it are gone */
    uint32_t seed;             /* of its entries' crcs: those of a file's former life never match */
    size_t rotten_seen;        /* up to where bad entries have been counted; under the lock */
    size_t synced;             /* up to where fdatasync has covered it; under the lock */
    size_t stored;             /* bytes that went in by stores and not by writes; under the lock */
    bool entered;              /* its name survives power loss, too; of who syncs */
    bool populated;            /* its pages have been faulted in ahead of use */
};

static inline struct weft_entry *weft_entry_at(const struct weft_segment *s, size_t offset)
{
    return (struct weft_entry *)(void *)(s->base + offset);
}

/* Where segments get their memory: anonymous memory, or mapped files. */
struct weft_backing {
    size_t head;   /* bytes at the front of each segment that are the backing's own */
    bool checksum; /* entries outlive the process: compute their crcs */
    /* `size` bytes, page-aligned, into s->base and s->size; not touched. 0 or a negative code. */
    int (*acquire)(struct weft_segment *s, size_t size);
    void (*release)(struct weft_segment *s);
    /* The whole segment is going to be written soon. */
    void (*warm)(struct weft_segment *s);
    /* The bytes before `end` are not needed any more; whole pages may go. NULL: they stay. */
    void (*forget)(struct weft_segment *s, size_t end);
    /* A reset segment becomes the tail. 0 or a negative code. NULL: nothing to do. */
    int (*begin)(struct weft_segment *s);
    /* A segment is kept for reuse: what it held must not be found again. 0 or a negative code. NULL: nothing to do. */
    int (*shelve)(struct weft_segment *s);
};

extern const struct weft_backing weft_backing_memory;

/* A new empty segment with at least `size` bytes, rounded up to pages; `dir` for files only. 0 or a negative code. */
int weft_segment_new(struct weft_segment **ret_segment, const struct weft_backing *backing, struct weft_journal_dir *dir,
                     size_t size);

/* Gives the memory back, and deletes the file if there is one. Accepts NULL. */
void weft_segment_free(struct weft_segment *s);

/* Makes a new or used segment an empty one. */
void weft_segment_reset(struct weft_segment *s, uint64_t number, uint64_t first_sequence, struct weft_totals before);

#endif

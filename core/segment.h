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

#include <stdatomic.h>

/* A record as it lies in a segment; 64 bytes, then the payload. */
struct weft_entry {
    uint32_t length, crc32c;   /* of the payload; the crc only where the backing asks for one */
    _Atomic uint64_t sequence; /* 0 until published; the last thing written */
    uint64_t wall_ns, mono_ns;
    uint32_t n_items;
    uint16_t signal, abandoned;
    uint32_t flags, reserved;
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
    uint8_t *base;
    size_t size, begin;
    uint64_t number;           /* counts up along the list */
    uint64_t first_sequence;   /* of the entry at `begin` */
    struct weft_totals before; /* the journal's totals when it began */
    struct weft_totals totals; /* of its entries, abandoned ones left out */
    unsigned holders;          /* holding cursors, parked ones included, whose settled place is here */
    unsigned pins;             /* cursors with a reader that have it between their settled and read places */
    _Atomic uint64_t newest_wall_ns; /* of its published entries */
    _Atomic size_t reserved;
    _Atomic bool closed;
    _Atomic unsigned writers;  /* reservations that are neither published nor abandoned */
};

static inline struct weft_entry *weft_entry_at(const struct weft_segment *s, size_t offset)
{
    return (struct weft_entry *)(void *)(s->base + offset);
}

/* Where segments get their memory: anonymous memory, or mapped files. */
struct weft_backing {
    /* `size` bytes, page-aligned, into s->base and s->size; not touched. 0 or a negative code. */
    int (*acquire)(struct weft_segment *s, size_t size);
    void (*release)(struct weft_segment *s);
    /* The whole segment is going to be written soon. */
    void (*warm)(struct weft_segment *s);
    /* The bytes before `end` are not needed any more; whole pages may go. */
    void (*forget)(struct weft_segment *s, size_t end);
    bool checksum; /* entries outlive the process: compute their crc */
};

extern const struct weft_backing weft_backing_memory;

/* A new empty segment with at least `size` bytes, rounded up to pages. 0 or a negative code. */
int weft_segment_new(struct weft_segment **ret_segment, const struct weft_backing *backing, size_t size);
void weft_segment_free(struct weft_segment *s, const struct weft_backing *backing);

/* Makes a new or used segment an empty one. */
void weft_segment_reset(struct weft_segment *s, uint64_t number, uint64_t first_sequence, struct weft_totals before);

#endif

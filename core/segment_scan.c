/* SPDX-License-Identifier: Apache-2.0 */
/* segment_scan.c: see the header. */
#include "core/segment_scan.h"

#include "core/hash.h"

#include <string.h>

enum { ABANDONED = 1 };

uint32_t weft_entry_head_crc(const struct weft_entry *e, uint32_t seed, uint64_t sequence)
{
    struct weft_entry head;

    memcpy(&head, e, sizeof head);
    head.crc32c = head.head_crc = 0;
    atomic_store_explicit(&head.sequence, sequence, memory_order_relaxed);
    return weft_crc32c(seed, &head, sizeof head);
}

uint32_t weft_entry_reserve_crc(const struct weft_entry *e, uint32_t seed, uint64_t sequence)
{
    const uint64_t known[2] = { sequence, (uint64_t)e->length << 32 | e->n_items };

    return weft_crc32c(seed, known, sizeof known);
}

/* It and its payload lie before `end`. */
static bool fits(const struct weft_entry *e, size_t offset, size_t end)
{
    return e->length <= end - offset && weft_entry_stride(e->length) <= end - offset;
}

enum weft_entry_kind weft_entry_check(const struct weft_segment *s, size_t offset, uint64_t sequence, size_t end)
{
    if (offset > end || end - offset < sizeof(struct weft_entry))
        return WEFT_ENTRY_BAD;

    const struct weft_entry *e = weft_entry_at(s, offset);
    if (!fits(e, offset, end))
        return WEFT_ENTRY_BAD;
    uint64_t there = atomic_load_explicit(&e->sequence, memory_order_acquire);
    uint32_t head = weft_entry_head_crc(e, s->seed, sequence);
    if (there == 0)
        return e->head_crc == head || e->head_crc == weft_entry_reserve_crc(e, s->seed, sequence) ? WEFT_ENTRY_UNPUBLISHED
                                                                                                  : WEFT_ENTRY_BAD;
    if (there != sequence || e->head_crc != head)
        return WEFT_ENTRY_BAD;
    if (e->abandoned)
        return WEFT_ENTRY_GOOD;
    return weft_crc32c(head, e->payload, e->length) == e->crc32c ? WEFT_ENTRY_GOOD : WEFT_ENTRY_ROTTEN;
}

/* An entry cannot be further on in the sequence than entries fit between. */
bool weft_entry_find(const struct weft_segment *s, size_t *offset, uint64_t *sequence, size_t end)
{
    for (size_t at = *offset + WEFT_ENTRY_ALIGN; at < end && end - at >= sizeof(struct weft_entry); at += WEFT_ENTRY_ALIGN) {
        const struct weft_entry *e = weft_entry_at(s, at);
        uint64_t there = atomic_load_explicit(&e->sequence, memory_order_acquire);
        if (there <= *sequence || there - *sequence > (at - *offset) / sizeof *e || !fits(e, at, end)
            || e->head_crc != weft_entry_head_crc(e, s->seed, there))
            continue;
        *offset = at;
        *sequence = there;
        return true;
    }
    return false;
}

/* ---- a segment that was never sealed ---- */

/* What lies behind the last good entry, until another good one shows that it is not the end. */
struct pending {
    struct weft_totals rotten;
    uint64_t missing, unpublished;
};

static void take_good(struct weft_scan *scan, struct pending *pending, const struct weft_entry *e)
{
    scan->rotten = weft_totals_plus(scan->rotten, pending->rotten);
    scan->missing += pending->missing;
    scan->unpublished += pending->unpublished;
    *pending = (struct pending){ 0 };
    if (e->abandoned)
        return;
    scan->good = weft_totals_plus(scan->good, (struct weft_totals){ 1, e->n_items, e->length });
    scan->newest_wall_ns = e->wall_ns > scan->newest_wall_ns ? e->wall_ns : scan->newest_wall_ns;
}

void weft_segment_scan(const struct weft_segment *s, struct weft_scan *ret_scan,
                       void (*visit)(void *ctx, const struct weft_entry *e, uint64_t sequence), void *ctx)
{
    struct weft_scan scan = { .end = s->begin, .end_sequence = s->first_sequence };
    struct pending pending = { 0 };
    size_t at = s->begin;
    uint64_t sequence = s->first_sequence;

    for (;;) {
        enum weft_entry_kind kind = weft_entry_check(s, at, sequence, s->size);
        if (kind == WEFT_ENTRY_BAD) {
            uint64_t expected = sequence;
            size_t bad = at;
            if (!weft_entry_find(s, &at, &sequence, s->size)) {
                scan.torn_bytes = bad - scan.end;
                break;
            }
            pending.missing += sequence - expected;
            continue;
        }
        const struct weft_entry *e = weft_entry_at(s, at);
        if (kind == WEFT_ENTRY_ROTTEN)
            pending.rotten = weft_totals_plus(pending.rotten, (struct weft_totals){ 1, e->n_items, e->length });
        else if (kind == WEFT_ENTRY_UNPUBLISHED)
            pending.unpublished++;
        else
            take_good(&scan, &pending, e);
        at += weft_entry_stride(e->length);
        sequence++;
        if (kind != WEFT_ENTRY_GOOD)
            continue;
        scan.end = at;
        scan.end_sequence = sequence;
        if (!e->abandoned)
            visit(ctx, e, sequence - 1);
    }
    *ret_scan = scan;
}

void weft_segment_abandon_unpublished(struct weft_segment *s)
{
    size_t at = s->begin, end = atomic_load_explicit(&s->reserved, memory_order_relaxed);
    uint64_t sequence = s->first_sequence;

    while (at < end) {
        enum weft_entry_kind kind = weft_entry_check(s, at, sequence, end);
        if (kind == WEFT_ENTRY_BAD) {
            if (!weft_entry_find(s, &at, &sequence, end))
                return;
            continue;
        }
        struct weft_entry *e = weft_entry_at(s, at);
        if (kind == WEFT_ENTRY_UNPUBLISHED) {
            e->abandoned = ABANDONED;
            e->head_crc = weft_entry_head_crc(e, s->seed, sequence);
            atomic_store_explicit(&e->sequence, sequence, memory_order_release);
        }
        at += weft_entry_stride(e->length);
        sequence++;
    }
}

/* ---- reading ---- */

struct weft_entry *weft_segment_read(const struct weft_segment *s, size_t *offset, uint64_t *sequence, bool *ret_bad)
{
    size_t end = atomic_load_explicit(&s->reserved, memory_order_acquire);

    while (*offset < end) {
        enum weft_entry_kind kind = weft_entry_check(s, *offset, *sequence, end);
        if (kind == WEFT_ENTRY_GOOD)
            return weft_entry_at(s, *offset);
        *ret_bad = true;
        if (kind != WEFT_ENTRY_BAD) {
            *offset += weft_entry_stride(weft_entry_at(s, *offset)->length);
            ++*sequence;
        } else if (!weft_entry_find(s, offset, sequence, end)) {
            *offset = end;
            *sequence = s->end_sequence;
        }
    }
    return NULL;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* cursor.c: reading a journal.
 *
 * A cursor has two places, `settled` <= `read`. Within a segment both move without any lock; stepping into the
 * next segment takes the journal's, because which segments are stood in decides what can be given back:
 *
 *   any cursor         pins the segments from its settled to its read place: what it has in hand stays
 *   a holding one      is counted in `holders` of the segment of its settled place besides: that one and all later ones
 *                      stay. What any other has not read yet may be retired before it comes (counted in `skipped`)
 *
 * So only the reader moves its places, and nothing that it looks at is ever given back under its eyes. Opening, parking
 * and forgetting cursors is in cursor_place.c. */
#include "core/journal_state.h"
#include "core/sigbus.h"
#include "core/segment_file.h"
#include "core/segment_scan.h"

#include <assert.h>
#include <uv.h>

static void publish_settled(struct weft_cursor *c)
{
    atomic_store_explicit(&c->settled_sequence, c->settled.sequence - 1, memory_order_release);
    atomic_store_explicit(&c->settled_offset, c->settled.offset, memory_order_release);
}

/* What came before the settled place was more than this cursor was given: the rest could not be read. */
static void count_lost(struct weft_cursor *c, struct weft_totals before)
{
    struct weft_totals gap = weft_totals_minus(before, weft_cursor_accounted(c));

    if (gap.records <= INT64_MAX && gap.items <= INT64_MAX && gap.bytes <= INT64_MAX)
        c->lost = weft_totals_plus(c->lost, gap);
}

/* The settled place goes on into the next segments as long as it is at the end of its own and the read
 * place is ahead. Under the lock. */
static void follow(struct weft_cursor *c)
{
    bool moved = false;

    while (c->settled.segment != c->read.segment
           && c->settled.offset == atomic_load_explicit(&c->settled.segment->reserved, memory_order_relaxed)) {
        struct weft_segment *old = c->settled.segment;
        if (c->journal->disk)
            count_lost(c, old->next->before);
        weft_segment_unpin(old);
        if (c->hold) {
            old->holders--;
            old->next->holders++;
        }
        c->settled = weft_place_start(old->next);
        moved = true;
    }
    publish_settled(c);
    if (moved)
        weft_journal_reclaim(c->journal);
}

/* At the end of its segment: steps into the next one. False: there is none yet. */
static bool cross(struct weft_cursor *c)
{
    struct weft_segment *s = c->read.segment;

    if (!atomic_load_explicit(&s->closed, memory_order_acquire))
        return false;
    if (c->read.offset < atomic_load_explicit(&s->reserved, memory_order_acquire))
        return true; /* it was filled up and closed since we looked */

    pthread_mutex_lock(&c->journal->lock);
    weft_segment_pin(s->next);
    c->read = weft_place_start(s->next);
    follow(c);
    pthread_mutex_unlock(&c->journal->lock);
    return true;
}

/* Somebody has found bytes that are not what was written. */
static void count_corrupt(struct weft_journal *j, struct weft_segment *s, size_t offset)
{
    pthread_mutex_lock(&j->lock);
    if (offset > s->rotten_seen) {
        s->rotten_seen = offset;
        j->corrupt_records++;
    }
    pthread_mutex_unlock(&j->lock);
}

/* The mapping could not be made when the cursor came here: tries again. */
static bool is_mapped(struct weft_cursor *c, struct weft_segment *s)
{
    if (s->base)
        return true;
    pthread_mutex_lock(&c->journal->lock);
    c->stuck = weft_segment_attach(s) != 0;
    pthread_mutex_unlock(&c->journal->lock);
    return !c->stuck;
}

/* The same as entry_there() where the bytes come from a disk: what cannot be read is passed. */
static struct weft_entry *readable_there(struct weft_cursor *c, struct weft_place *p)
{
    bool bad = false;
    size_t from = p->offset;

    c->unmapped = !is_mapped(c, p->segment);
    if (c->unmapped)
        return NULL;
    struct weft_entry *e = weft_segment_read(p->segment, &p->offset, &p->sequence, &bad);
    if (bad)
        count_corrupt(c->journal, p->segment, from + 1);
    return e;
}

/* Pages of it are zeros in the place of what the file does not give any more, and nobody writes there any more (the next sync sees
 * to that: journal_sync.c). */
static bool has_holes(const struct weft_segment *s)
{
    return s->guard >= 0 && weft_sigbus_hits(s->guard) > 0 && atomic_load_explicit(&s->closed, memory_order_acquire)
           && atomic_load_explicit(&s->writers, memory_order_acquire) == 0;
}

/* Nothing was found at the read place, which is not at the end of its segment. */
static int why_nothing(const struct weft_cursor *c)
{
    return c->read.segment->verify && c->unmapped ? UV_ENOMEM : 0;
}

/* The entry at a place if it is published (or abandoned); NULL otherwise. */
static struct weft_entry *entry_there(struct weft_cursor *c, struct weft_place *p)
{
    if (p->offset >= atomic_load_explicit(&p->segment->reserved, memory_order_acquire))
        return NULL;
    if (p->segment->verify)
        return readable_there(c, p);

    struct weft_entry *e = weft_entry_at(p->segment, p->offset);
    bool published = atomic_load_explicit(&e->sequence, memory_order_acquire) == p->sequence;
    if (has_holes(p->segment)) /* after the look, which may have been the one that found out */
        return readable_there(c, p);
    return published ? e : NULL;
}

static void step(struct weft_place *p, const struct weft_entry *e)
{
    p->offset += weft_entry_stride(e->length);
    p->sequence++;
}

static void view(const struct weft_entry *e, uint64_t sequence, struct weft_record *ret_record)
{
    *ret_record = (struct weft_record){
        .sequence = sequence,
        .wall_ns = e->wall_ns,
        .mono_ns = e->mono_ns,
        .signal = (enum weft_signal)e->signal,
        .flags = e->flags,
        .n_items = e->n_items,
        .source = e->source,
        .payload = weft_slice_of(e->payload, e->length),
    };
}

static bool at_end(const struct weft_place *p)
{
    return p->offset >= atomic_load_explicit(&p->segment->reserved, memory_order_acquire);
}

static bool same_place(const struct weft_place *a, const struct weft_place *b)
{
    return a->segment == b->segment && a->offset == b->offset;
}

/* With nothing in hand, what is passed without being given to anybody is settled by that. */
static void pass(struct weft_cursor *c)
{
    c->settled.offset = c->read.offset;
    c->settled.sequence = c->read.sequence;
    publish_settled(c);
}

int weft_cursor_next(struct weft_cursor *c, struct weft_record *ret_record)
{
    bool empty_handed = same_place(&c->settled, &c->read);

    for (;;) {
        const struct weft_entry *e = entry_there(c, &c->read);
        uint64_t sequence = c->read.sequence;
        if (e && !e->abandoned) {
            if (empty_handed && !same_place(&c->settled, &c->read))
                pass(c);
            step(&c->read, e);
            view(e, sequence, ret_record);
            return 1;
        }
        if (e)
            step(&c->read, e);
        if (empty_handed && !same_place(&c->settled, &c->read))
            pass(c);
        if (!e && !at_end(&c->read))
            return why_nothing(c);
        if (!e && !cross(c))
            return 0;
    }
}

/* Release, so that who sees one of them sees the turn that was begun before it; see read_place() in journal_keep.c. */
static void count_done(struct weft_cursor *c, struct weft_totals *done)
{
    atomic_fetch_add_explicit(&c->done_records, done->records, memory_order_release);
    atomic_fetch_add_explicit(&c->done_items, done->items, memory_order_release);
    atomic_fetch_add_explicit(&c->done_bytes, done->bytes, memory_order_release);
    *done = (struct weft_totals){ 0 };
}

static bool before(const struct weft_place *a, const struct weft_place *b)
{
    return a->sequence < b->sequence || a->segment != b->segment;
}

static void turn(struct weft_cursor *c)
{
    unsigned now = atomic_load_explicit(&c->turn, memory_order_relaxed);

    atomic_store_explicit(&c->turn, now + 1, memory_order_release);
}

/* Leaves the segment that is all settled. */
static void leave(struct weft_cursor *c, struct weft_totals *done)
{
    count_done(c, done);
    publish_settled(c);
    turn(c); /* what is counted fits where it stands, should places be saved meanwhile */
    pthread_mutex_lock(&c->journal->lock);
    follow(c);
    pthread_mutex_unlock(&c->journal->lock);
    turn(c);
}

void weft_cursor_settle(struct weft_cursor *c, uint64_t sequence)
{
    struct weft_totals done = { 0 };

    assert(sequence < c->read.sequence);
    turn(c);
    while (before(&c->settled, &c->read)) {
        if (at_end(&c->settled)) {
            leave(c, &done);
            continue;
        }
        const struct weft_entry *e = entry_there(c, &c->settled);
        if (c->settled.segment == c->read.segment && c->settled.offset > c->read.offset)
            c->settled = c->read; /* what was read has rotted since */
        if (!e && at_end(&c->settled))
            continue;
        if (!e || (c->settled.sequence > sequence && !e->abandoned))
            break;
        if (!e->abandoned) {
            done.records++;
            done.items += e->n_items;
            done.bytes += e->length;
        }
        step(&c->settled, e);
    }
    count_done(c, &done);
    publish_settled(c);
    turn(c);
    if (c->journal->disk && !c->transient)
        weft_journal_note_unsaved(c->journal);
    if (!before(&c->settled, &c->read) && at_end(&c->read))
        (void)cross(c); /* nothing in hand: do not keep a full segment until the next read */
}

void weft_cursor_rewind(struct weft_cursor *c)
{
    if (c->read.segment == c->settled.segment) {
        c->read.offset = c->settled.offset; /* not the segment: others may look at it */
        c->read.sequence = c->settled.sequence;
        return;
    }
    pthread_mutex_lock(&c->journal->lock);
    weft_cursor_let_go(c);
    c->read = c->settled;
    weft_cursor_keep(c);
    pthread_mutex_unlock(&c->journal->lock);
}

/* ---- waking ---- */

static bool is_published(const struct weft_place *p)
{
    const struct weft_entry *e = weft_entry_at(p->segment, p->offset);

    return atomic_load_explicit(&e->sequence, memory_order_acquire) == p->sequence;
}

static bool something_there(const struct weft_cursor *c)
{
    if (!at_end(&c->read))
        return c->read.segment->verify ? c->read.segment->base != NULL : is_published(&c->read);
    return atomic_load_explicit(&c->read.segment->closed, memory_order_acquire);
}

bool weft_cursor_arm(struct weft_cursor *c)
{
    struct weft_journal *j = c->journal;

    pthread_mutex_lock(&j->lock);
    if (!c->armed) {
        c->armed = true;
        atomic_fetch_add_explicit(&j->n_armed, 1, memory_order_relaxed);
    }
    pthread_mutex_unlock(&j->lock);

    weft_fence(); /* our mark before their sequence; pairs with the one in wake() */
    if (!something_there(c))
        return true;

    pthread_mutex_lock(&j->lock);
    weft_cursor_disarm(c);
    pthread_mutex_unlock(&j->lock);
    return false;
}

/* At the tail nothing waits. Under the lock, under which alone the tail moves on. */
static bool is_at_tail(const struct weft_cursor *c)
{
    const struct weft_segment *s = c->settled.segment;

    return !s->next && atomic_load_explicit(&c->settled_offset, memory_order_acquire)
                           == atomic_load_explicit(&s->reserved, memory_order_acquire);
}

void weft_cursor_stats(struct weft_cursor *c, struct weft_cursor_stats *ret_stats)
{
    struct weft_journal *j = c->journal;

    pthread_mutex_lock(&j->lock);
    if (j->disk && is_at_tail(c))
        count_lost(c, j->totals);
    struct weft_totals waiting = weft_totals_minus(j->totals, weft_cursor_accounted(c)), memory = weft_cursor_in_memory(c);
    *ret_stats = (struct weft_cursor_stats){
        .settled_sequence = atomic_load_explicit(&c->settled_sequence, memory_order_relaxed),
        .waiting_records = waiting.records,
        .waiting_items = waiting.items,
        .waiting_bytes = waiting.bytes,
        .memory_records = memory.records,
        .memory_items = memory.items,
        .memory_bytes = memory.bytes,
        .lost_records = c->lost.records,
        .lost_items = c->lost.items,
        .skipped_items = c->skipped.items,
    };
    pthread_mutex_unlock(&j->lock);
}

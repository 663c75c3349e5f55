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

#include <assert.h>

static void publish_settled(struct weft_cursor *c)
{
    atomic_store_explicit(&c->settled_offset, c->settled.offset, memory_order_release);
}

/* The settled place goes on into the next segments as long as it is at the end of its own and the read
 * place is ahead. Under the lock. */
static void follow(struct weft_cursor *c)
{
    bool moved = false;

    while (c->settled.segment != c->read.segment
           && c->settled.offset == atomic_load_explicit(&c->settled.segment->reserved, memory_order_relaxed)) {
        struct weft_segment *old = c->settled.segment;
        old->pins--;
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
    s->next->pins++;
    c->read = weft_place_start(s->next);
    follow(c);
    pthread_mutex_unlock(&c->journal->lock);
    return true;
}

/* The entry at a place if it is published (or abandoned); NULL otherwise. */
static struct weft_entry *entry_there(const struct weft_place *p)
{
    if (p->offset >= atomic_load_explicit(&p->segment->reserved, memory_order_acquire))
        return NULL;

    struct weft_entry *e = weft_entry_at(p->segment, p->offset);
    return atomic_load_explicit(&e->sequence, memory_order_acquire) == p->sequence ? e : NULL;
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

int weft_cursor_next(struct weft_cursor *c, struct weft_record *ret_record)
{
    for (;;) {
        const struct weft_entry *e = entry_there(&c->read);
        if (!e) {
            if (!at_end(&c->read) || !cross(c))
                return 0;
            continue;
        }
        uint64_t sequence = c->read.sequence;
        step(&c->read, e);
        if (e->abandoned)
            continue;
        view(e, sequence, ret_record);
        return 1;
    }
}

static void count_done(struct weft_cursor *c, const struct weft_totals *done)
{
    atomic_fetch_add_explicit(&c->done_records, done->records, memory_order_relaxed);
    atomic_fetch_add_explicit(&c->done_items, done->items, memory_order_relaxed);
    atomic_fetch_add_explicit(&c->done_bytes, done->bytes, memory_order_relaxed);
}

static bool before(const struct weft_place *a, const struct weft_place *b)
{
    return a->sequence < b->sequence || a->segment != b->segment;
}

void weft_cursor_settle(struct weft_cursor *c, uint64_t sequence)
{
    struct weft_totals done = { 0 };

    assert(sequence < c->read.sequence);
    while (before(&c->settled, &c->read)) {
        if (at_end(&c->settled)) {
            pthread_mutex_lock(&c->journal->lock);
            follow(c);
            pthread_mutex_unlock(&c->journal->lock);
            continue;
        }
        const struct weft_entry *e = weft_entry_at(c->settled.segment, c->settled.offset);
        if (c->settled.sequence > sequence && !e->abandoned)
            break;
        if (!e->abandoned) {
            done.records++;
            done.items += e->n_items;
            done.bytes += e->length;
        }
        step(&c->settled, e);
    }
    count_done(c, &done);
    atomic_store_explicit(&c->settled_sequence, c->settled.sequence - 1, memory_order_release);
    publish_settled(c);
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

static bool something_there(const struct weft_cursor *c)
{
    if (!at_end(&c->read))
        return entry_there(&c->read) != NULL;
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

    weft_journal_fence(); /* our mark before their sequence; pairs with the one in wake() */
    if (!something_there(c))
        return true;

    pthread_mutex_lock(&j->lock);
    weft_cursor_disarm(c);
    pthread_mutex_unlock(&j->lock);
    return false;
}

void weft_cursor_stats(struct weft_cursor *c, struct weft_cursor_stats *ret_stats)
{
    struct weft_journal *j = c->journal;

    pthread_mutex_lock(&j->lock);
    struct weft_totals waiting = weft_totals_minus(j->totals, weft_cursor_accounted(c));
    *ret_stats = (struct weft_cursor_stats){
        .settled_sequence = atomic_load_explicit(&c->settled_sequence, memory_order_relaxed),
        .waiting_records = waiting.records,
        .waiting_items = waiting.items,
        .waiting_bytes = waiting.bytes,
        .lost_records = c->lost.records,
        .lost_items = c->lost.items,
        .skipped_items = c->skipped.items,
    };
    pthread_mutex_unlock(&j->lock);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* cursor.c: reading a journal.
 *
 * A cursor has two places, `settled` <= `read`. Within a segment both move without any lock; stepping into the
 * next segment takes the journal's, because which segments are stood in decides what can be given back:
 *
 *   a holding cursor   is counted in `holders` of the segment of its settled place: that one and all later ones stay
 *   any other          pins the segments from its settled to its read place, and no others: what it has in hand stays,
 *                      what it has not read yet may be retired before it comes (counted in `skipped`)
 *
 * So only the reader moves its places, and nothing that it looks at is ever given back under its eyes. */
#include "core/err.h"
#include "core/journal_state.h"

#include <assert.h>
#include <stdlib.h>
#include <uv.h>

static void keep(struct weft_cursor *c, struct weft_segment *s)
{
    if (c->hold)
        s->holders++;
    else
        s->pins++;
}

static void let_go(struct weft_cursor *c, struct weft_segment *s)
{
    if (c->hold)
        s->holders--;
    else
        s->pins--;
}

static struct weft_place start_of(struct weft_segment *s)
{
    return (struct weft_place){ .segment = s, .offset = s->begin, .sequence = s->first_sequence };
}

static struct weft_totals minus(struct weft_totals a, struct weft_totals b)
{
    return (struct weft_totals){ a.records - b.records, a.items - b.items, a.bytes - b.bytes };
}

/* ---- opening and closing ---- */

static void place_at_tail(struct weft_cursor *c, struct weft_journal *j)
{
    c->base = j->totals;
    c->read = (struct weft_place){
        .segment = j->tail,
        .offset = atomic_load_explicit(&j->tail->reserved, memory_order_relaxed),
        .sequence = j->next_sequence,
    };
}

static void place_at_oldest(struct weft_cursor *c, struct weft_journal *j)
{
    struct weft_segment *oldest = weft_journal_oldest(j);

    c->base = j->totals;
    for (const struct weft_segment *s = oldest; s; s = s->next)
        c->base = minus(c->base, s->totals);
    c->read = start_of(oldest);
}

int weft_cursor_open(struct weft_cursor **ret_cursor, struct weft_journal *j, const struct weft_cursor_options *o)
{
    struct weft_cursor *c = calloc(1, sizeof *c);
    char *name = strdup(o->name ? o->name : "");

    if (!c || !name) {
        free(name);
        free(c);
        return UV_ENOMEM;
    }
    c->journal = j;
    c->name = name;
    c->hold = o->hold;
    c->wake_fd = o->wake_fd;

    pthread_mutex_lock(&j->lock);
    if (o->start == WEFT_CURSOR_OLDEST)
        place_at_oldest(c, j);
    else
        place_at_tail(c, j);
    c->settled = c->read;
    c->start_sequence = c->read.sequence;
    atomic_store_explicit(&c->settled_offset, c->settled.offset, memory_order_relaxed);
    atomic_store_explicit(&c->settled_sequence, c->read.sequence - 1, memory_order_relaxed);
    keep(c, c->settled.segment);
    c->next = j->cursors;
    j->cursors = c;
    j->n_cursors++;
    pthread_mutex_unlock(&j->lock);
    *ret_cursor = c;
    return 0;
}

static void disarm(struct weft_cursor *c)
{
    if (!c->armed)
        return;
    c->armed = false;
    atomic_fetch_sub_explicit(&c->journal->n_armed, 1, memory_order_relaxed);
}

static void let_go_of_all(struct weft_cursor *c)
{
    struct weft_segment *s = c->settled.segment;

    let_go(c, s);
    while (!c->hold && s != c->read.segment) {
        s = s->next;
        let_go(c, s);
    }
}

void weft_cursor_close(struct weft_cursor *c)
{
    if (!c)
        return;

    struct weft_journal *j = c->journal;
    pthread_mutex_lock(&j->lock);
    disarm(c);
    let_go_of_all(c);
    struct weft_cursor **link = &j->cursors;
    while (*link != c)
        link = &(*link)->next;
    *link = c->next;
    j->n_cursors--;
    weft_journal_reclaim(j);
    pthread_mutex_unlock(&j->lock);
    free(c->name);
    free(c);
}

/* ---- moving ---- */

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
        if (c->hold)
            keep(c, old->next);
        c->settled = start_of(old->next);
        let_go(c, old);
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
    if (!c->hold)
        keep(c, s->next);
    c->read = start_of(s->next);
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
    atomic_store_explicit(&c->settled_sequence, c->settled.sequence - 1, memory_order_relaxed);
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
    if (!c->hold) {
        let_go_of_all(c);
        keep(c, c->settled.segment);
    }
    c->read = c->settled;
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
    disarm(c);
    pthread_mutex_unlock(&j->lock);
    return false;
}

void weft_cursor_stats(struct weft_cursor *c, struct weft_cursor_stats *ret_stats)
{
    struct weft_journal *j = c->journal;

    pthread_mutex_lock(&j->lock);
    struct weft_totals waiting = minus(minus(j->totals, c->base), c->skipped);
    *ret_stats = (struct weft_cursor_stats){
        .settled_sequence = atomic_load_explicit(&c->settled_sequence, memory_order_relaxed),
        .waiting_records = waiting.records - atomic_load_explicit(&c->done_records, memory_order_relaxed),
        .waiting_items = waiting.items - atomic_load_explicit(&c->done_items, memory_order_relaxed),
        .waiting_bytes = waiting.bytes - atomic_load_explicit(&c->done_bytes, memory_order_relaxed),
        .skipped_items = c->skipped.items,
    };
    pthread_mutex_unlock(&j->lock);
}

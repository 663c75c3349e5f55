/* SPDX-License-Identifier: Apache-2.0 */
/* cursor_place.c: cursors with and without a reader.
 *
 *   (new) --open--> live --close--> parked --open--> live
 *                    |  transient      |
 *                    +---close--> (gone) <--release--+
 *
 * A parked cursor stays in the journal's list with its settled place, which holds as before, and with its sums, so that the
 * next reader of that name finds what waits for it. It pins nothing: it has nothing in hand. All under the journal's lock,
 * but for the walk to a point in time, which is the new reader's own. */
#include "core/err.h"
#include "core/journal_state.h"
#include "core/segment_scan.h"

#include <stdlib.h>
#include <uv.h>

enum { MAX_PLACES = 1024 };

struct weft_totals weft_cursor_accounted(const struct weft_cursor *c)
{
    struct weft_totals done = { atomic_load_explicit(&c->done_records, memory_order_acquire),
                                atomic_load_explicit(&c->done_items, memory_order_acquire),
                                atomic_load_explicit(&c->done_bytes, memory_order_acquire) };

    return weft_totals_plus(weft_totals_plus(c->base, c->skipped), weft_totals_plus(c->lost, done));
}

static bool ends_with_process(const struct weft_segment *s)
{
    return s->fd < 0 || s->nameless;
}

struct weft_totals weft_cursor_in_memory(const struct weft_cursor *c)
{
    const struct weft_segment *first = c->settled.segment;
    struct weft_totals sum = { 0 };

    if (!c->journal->disk)
        return sum;
    for (const struct weft_segment *s = first; s; s = s->next)
        if (ends_with_process(s))
            sum = weft_totals_plus(sum, s->totals);
    return ends_with_process(first) ? weft_totals_minus(sum, weft_totals_minus(weft_cursor_accounted(c), first->before)) : sum;
}

uint64_t weft_journal_unsaved(const struct weft_journal *j)
{
    uint64_t most = 0;

    for (const struct weft_cursor *c = j->cursors; c; c = c->next) {
        uint64_t items = c->hold ? weft_cursor_in_memory(c).items : 0;
        most = items > most ? items : most;
    }
    return most;
}

void weft_cursor_keep(struct weft_cursor *c)
{
    struct weft_segment *s = c->settled.segment;

    if (c->hold)
        s->holders++;
    if (c->parked)
        return;
    for (; s != c->read.segment; s = s->next)
        weft_segment_pin(s);
    weft_segment_pin(s);
}

void weft_cursor_let_go(struct weft_cursor *c)
{
    struct weft_segment *s = c->settled.segment;

    if (c->hold)
        s->holders--;
    if (c->parked)
        return;
    for (; s != c->read.segment; s = s->next)
        weft_segment_unpin(s);
    weft_segment_unpin(s);
}

void weft_cursor_disarm(struct weft_cursor *c)
{
    if (!c->armed)
        return;
    c->armed = false;
    atomic_fetch_sub_explicit(&c->journal->n_armed, 1, memory_order_relaxed);
}

static void put_at(struct weft_cursor *c, struct weft_place place)
{
    c->read = c->settled = place;
    atomic_store_explicit(&c->settled_offset, place.offset, memory_order_relaxed);
    atomic_store_explicit(&c->settled_sequence, place.sequence - 1, memory_order_relaxed);
}

/* What has been accounted for is nothing to the reader that comes now. */
static void begin_sums(struct weft_cursor *c)
{
    c->base = weft_totals_minus(weft_cursor_accounted(c), c->found_lost);
    c->lost = c->found_lost;
    c->skipped = c->found_lost = (struct weft_totals){ 0 };
    c->start_sequence = c->settled.sequence;
    atomic_store_explicit(&c->done_records, 0, memory_order_relaxed);
    atomic_store_explicit(&c->done_items, 0, memory_order_relaxed);
    atomic_store_explicit(&c->done_bytes, 0, memory_order_relaxed);
}

void weft_cursor_push_on(struct weft_cursor *c)
{
    struct weft_segment *next = c->settled.segment->next;

    c->skipped = weft_totals_plus(c->skipped, weft_totals_minus(next->before, weft_cursor_accounted(c)));
    put_at(c, weft_place_start(next));
}

/* ---- opening ---- */

struct weft_cursor *weft_journal_find(const struct weft_journal *j, const char *name)
{
    struct weft_cursor *c = j->cursors;

    while (c && (c->transient || strcmp(c->name, name) != 0))
        c = c->next;
    return c;
}

static void place_at_tail(struct weft_cursor *c, struct weft_journal *j)
{
    c->base = j->totals;
    put_at(c, (struct weft_place){
        .segment = j->tail,
        .offset = atomic_load_explicit(&j->tail->reserved, memory_order_relaxed),
        .sequence = j->next_sequence,
    });
}

static void place_at(struct weft_cursor *c, struct weft_segment *s)
{
    c->base = s->before;
    put_at(c, weft_place_start(s));
}

/* The first segment that may hold something as young as that. */
static struct weft_segment *segment_of_time(const struct weft_journal *j, uint64_t wall_ns)
{
    struct weft_segment *s = weft_journal_oldest(j);

    while (s->next && atomic_load_explicit(&s->newest_wall_ns, memory_order_relaxed) < wall_ns)
        s = s->next;
    return s;
}

static void place_new(struct weft_cursor *c, const struct weft_cursor_options *o)
{
    struct weft_journal *j = c->journal;

    if (o->start == WEFT_CURSOR_OLDEST || weft_journal_find(j, WEFT_LOST_PLACES))
        place_at(c, weft_journal_oldest(j));
    else if (o->start == WEFT_CURSOR_TIME)
        place_at(c, segment_of_time(j, o->from_wall_ns));
    else
        place_at_tail(c, j);
}

/* Passes what is older. The reader's own walk, without the lock. */
static void walk_to_time(struct weft_cursor *c, uint64_t wall_ns)
{
    struct weft_record r;
    uint64_t older = 0;

    while (weft_cursor_next(c, &r) > 0 && r.wall_ns < wall_ns)
        older = r.sequence;
    if (older)
        weft_cursor_settle(c, older);
    weft_cursor_rewind(c);
    pthread_mutex_lock(&c->journal->lock);
    begin_sums(c);
    pthread_mutex_unlock(&c->journal->lock);
}

static void list(struct weft_cursor *c)
{
    c->next = c->journal->cursors;
    c->journal->cursors = c;
    c->journal->n_cursors++;
}

static void unlist(struct weft_cursor *c)
{
    struct weft_cursor **link = &c->journal->cursors;

    while (*link != c)
        link = &(*link)->next;
    *link = c->next;
    if (c->parked)
        c->journal->n_parked--;
    else
        c->journal->n_cursors--;
}

/* A place that was found on disk is known by its sequence. The reader's own walk, without the lock. */
static void resolve(struct weft_cursor *c)
{
    struct weft_place at = weft_place_start(c->settled.segment);
    bool bad = false;

    for (const struct weft_entry *e; at.segment->base
         && (e = weft_segment_read(at.segment, &at.offset, &at.sequence, &bad)) && at.sequence < c->settled.sequence;) {
        at.offset += weft_entry_stride(e->length);
        at.sequence++;
    }
    c->unresolved = !at.segment->base;
    if (c->unresolved)
        return;
    c->read.offset = c->settled.offset = at.offset;
    c->read.sequence = c->settled.sequence = at.sequence;
    atomic_store_explicit(&c->settled_offset, at.offset, memory_order_release);
}

/* Under the lock. `fresh` is used up unless the result is a parked cursor or an error. */
static int open_or_resume(struct weft_journal *j, struct weft_cursor *fresh, const struct weft_cursor_options *o,
                          struct weft_cursor **ret_cursor)
{
    struct weft_cursor *c = fresh->transient ? NULL : weft_journal_find(j, fresh->name);

    if (c && !c->parked)
        return UV_EEXIST;
    if (!c && j->n_cursors + j->n_parked >= MAX_PLACES)
        return WEFT_ERR_LIMIT;
    if (c) {
        weft_cursor_let_go(c);
        j->n_parked--;
        j->n_cursors++;
    } else {
        c = fresh;
        place_new(c, o);
        list(c);
    }
    c->parked = false;
    c->hold = o->hold;
    c->wake_fd = o->wake_fd;
    c->stuck = false;
    begin_sums(c);
    weft_cursor_keep(c);
    *ret_cursor = c;
    return 0;
}

static void free_cursor(struct weft_cursor *c)
{
    if (!c)
        return;
    free(c->name);
    free(c);
}

int weft_cursor_open(struct weft_cursor **ret_cursor, struct weft_journal *j, const struct weft_cursor_options *o)
{
    struct weft_cursor *fresh = calloc(1, sizeof *fresh), *c;

    if (!fresh || !(fresh->name = strdup(o->name ? o->name : ""))) {
        free(fresh);
        return UV_ENOMEM;
    }
    fresh->journal = j;
    fresh->transient = o->transient || !*fresh->name;

    pthread_mutex_lock(&j->lock);
    int err = open_or_resume(j, fresh, o, &c);
    pthread_mutex_unlock(&j->lock);
    if (err || c != fresh)
        free_cursor(fresh);
    if (err)
        return err;
    if (c->unresolved)
        resolve(c);
    if (c->unresolved) {
        weft_cursor_close(c); /* its segment cannot be mapped at the moment */
        return UV_ENOMEM;
    }
    if (c == fresh && j->disk && !c->transient)
        (void)weft_journal_save_places(j, false); /* its name must be known to the next open, whatever happens */
    if (c == fresh && o->start == WEFT_CURSOR_TIME)
        walk_to_time(c, o->from_wall_ns);
    *ret_cursor = c;
    return 0;
}

/* ---- closing, parking, forgetting ---- */

static void park(struct weft_cursor *c)
{
    weft_cursor_let_go(c);
    c->read = c->settled;
    c->parked = true;
    c->parked_wall_ns = c->journal->wall_clock();
    c->journal->n_cursors--;
    c->journal->n_parked++;
    weft_cursor_keep(c);
}

void weft_cursor_close(struct weft_cursor *c)
{
    if (!c)
        return;

    struct weft_journal *j = c->journal;
    bool gone = c->transient;
    pthread_mutex_lock(&j->lock);
    weft_cursor_disarm(c);
    if (gone) {
        weft_cursor_let_go(c);
        unlist(c);
    } else {
        park(c);
    }
    weft_journal_reclaim(j);
    pthread_mutex_unlock(&j->lock);
    if (gone)
        free_cursor(c);
    else if (j->disk)
        weft_journal_note_unsaved(j);
}

int weft_journal_release(struct weft_journal *j, const char *name)
{
    pthread_mutex_lock(&j->lock);
    struct weft_cursor *c = weft_journal_find(j, name);
    if (c && c->parked) {
        weft_cursor_let_go(c);
        unlist(c);
        weft_journal_reclaim(j);
    } else {
        c = NULL;
    }
    pthread_mutex_unlock(&j->lock);
    if (c && j->disk)
        (void)weft_journal_save_places(j, false);
    int err = c ? 0 : WEFT_ERR_NOT_FOUND;
    free_cursor(c);
    return err;
}

void weft_journal_parked(struct weft_journal *j, void (*visit)(void *ctx, const struct weft_parked *parked), void *ctx)
{
    pthread_mutex_lock(&j->lock);
    for (const struct weft_cursor *c = j->cursors; c; c = c->next) {
        if (!c->parked)
            continue;
        struct weft_totals waiting = weft_totals_minus(j->totals, weft_cursor_accounted(c));
        visit(ctx, &(struct weft_parked){
            .name = c->name, .hold = c->hold, .parked_wall_ns = c->parked_wall_ns,
            .settled_sequence = atomic_load_explicit(&c->settled_sequence, memory_order_relaxed),
            .waiting_records = waiting.records, .waiting_items = waiting.items, .waiting_bytes = waiting.bytes,
        });
    }
    pthread_mutex_unlock(&j->lock);
}

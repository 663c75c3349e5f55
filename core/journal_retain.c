/* SPDX-License-Identifier: Apache-2.0 */
/* journal_retain.c: what becomes of segments that everybody has passed.
 *
 * They are kept while `retain` and max_size allow it, oldest out first, and then given back. What only cursors that do not hold
 * have still to read is kept as long as max_size has room for it. Of those that are given back some stay
 * for reuse, last in first out: in a steady state the same few warm segments go round and no page is faulted in,
 * which would cost more than the copy (0.5 us a page and more). A backlog that comes and goes stays warm up to `keep`
 * bytes; weft_journal_trim() gives that back when all is quiet. All of it runs under the journal's lock, by whoever found the
 * tail full or settled the last record of a segment. */
#include "core/journal_state.h"

static void uncache_one(struct weft_journal *j)
{
    struct weft_segment *s = j->cached;

    j->cached = s->next;
    j->cached_bytes -= s->size;
    weft_segment_free(s);
}

struct weft_segment *weft_journal_uncache(struct weft_journal *j, size_t size)
{
    struct weft_segment *s = j->cached;

    if (!s || size != s->size)
        return NULL;
    j->cached = s->next;
    j->cached_bytes -= s->size;
    return s;
}

/* A cursor that does not hold and has not come as far as `s` will never see it; a parked one that stands in it goes on. */
static void count_skipped(struct weft_journal *j, const struct weft_segment *s)
{
    for (struct weft_cursor *c = j->cursors; c; c = c->next) {
        if (c->hold)
            continue;
        if (c->read.segment->number < s->number)
            c->skipped = weft_totals_plus(c->skipped, s->totals);
        else if (c->parked && c->read.segment == s)
            weft_cursor_push_on(c);
    }
}

/* It may be used again. False: it is to go. */
static bool cache(struct weft_journal *j, struct weft_segment *s)
{
    if (s->backing != j->backing || s->size != j->segment_size || j->cached_bytes + s->size > j->keep)
        return false;
    if (s->backing->shelve && s->backing->shelve(s))
        return false;
    struct weft_segment **link = j->cached && j->cached->populated ? &j->cached->next : &j->cached; /* that one goes first */
    s->next = *link;
    *link = s;
    j->cached_bytes += s->size;
    return true;
}

/* Nobody looks at it any more. */
static void move_on(struct weft_journal *j, const struct weft_segment *s)
{
    if (j->published.segment == s)
        j->published = weft_place_start(s->next);
    if (j->unsealed == s)
        j->unsealed = s->next;
    if (j->sync_from == s)
        j->sync_from = s->next;
}

static void note_gone(struct weft_journal *j, const struct weft_segment *s)
{
    uint64_t newest = atomic_load_explicit(&s->newest_wall_ns, memory_order_relaxed);

    if (newest > j->gone_wall_ns)
        j->gone_wall_ns = newest;
}

static void retire(struct weft_journal *j, struct weft_segment **link)
{
    struct weft_segment *s = *link;

    count_skipped(j, s);
    note_gone(j, s);
    move_on(j, s);
    *link = s->next;
    j->in_use -= s->size;
    j->n_segments--;
    if (j->disk && s->backing != j->backing && s->begin < s->size) /* not the one that a journal begins with */
        j->memory_bytes -= s->size;
    if (!cache(j, s))
        weft_segment_free(s);
}

/* Every holding cursor has settled past it (or there is none), whatever else keeps it. */
static bool passed(const struct weft_journal *j, const struct weft_segment *s)
{
    return s != j->tail && s->holders == 0;
}

static bool nobody_writes(const struct weft_segment *s)
{
    return atomic_load_explicit(&s->writers, memory_order_acquire) == 0;
}

static bool idle(const struct weft_segment *s)
{
    return s->pins == 0 && s->syncs == 0 && nobody_writes(s);
}

/* The oldest whose number is less than `end`. A pinned one is stepped over: who pins it does not hold the journal back. */
static bool retire_before(struct weft_journal *j, uint64_t end)
{
    for (struct weft_segment **link = &j->head; passed(j, *link) && (*link)->number < end; link = &(*link)->next) {
        if (!idle(*link))
            continue;
        if (j->disk && *link != j->head && !weft_journal_save_places_now(j))
            return false; /* a saved place that is older would miss it */
        if (j->disk && !weft_journal_cover_sources(j, *link))
            return false;
        for (struct weft_segment *s = j->head; s != *link; s = s->next)
            s->stranded = true;
        retire(j, link);
        return true;
    }
    return false;
}

bool weft_journal_retire_oldest(struct weft_journal *j)
{
    return retire_before(j, UINT64_MAX);
}

/* The number of the oldest segment in which somebody has still to read, hold it or not. */
static uint64_t wanted_from(const struct weft_journal *j)
{
    uint64_t least = j->tail->number;

    for (const struct weft_cursor *c = j->cursors; c; c = c->next)
        if (c->settled.segment->number < least)
            least = c->settled.segment->number;
    return least;
}

/* Too old to be kept for its own sake. */
static bool aged(const struct weft_journal *j, const struct weft_segment *s)
{
    if (j->retain_ns == 0)
        return false;
    uint64_t newest = atomic_load_explicit(&s->newest_wall_ns, memory_order_relaxed), now = j->wall_clock();
    return now > newest && now - newest > j->retain_ns;
}

void weft_journal_reclaim(struct weft_journal *j)
{
    const uint64_t end = wanted_from(j);
    size_t bytes = 0;

    for (const struct weft_segment *s = j->head; passed(j, s) && s->number < end; s = s->next)
        bytes += s->size;
    while (bytes > j->retain || (bytes > 0 && idle(j->head) && aged(j, j->head))) {
        size_t before = j->in_use;
        if (!retire_before(j, end))
            return;
        bytes -= before - j->in_use;
    }
}

/* A cached segment of that size counts already. */
bool weft_journal_make_room(struct weft_journal *j, size_t size)
{
    weft_journal_reclaim(j);
    while (j->in_use + size > j->max_size)
        if (!weft_journal_retire_oldest(j))
            return false;
    size_t new_bytes = j->cached && size == j->segment_size ? 0 : size;
    while (j->cached && j->in_use + j->cached_bytes + new_bytes > j->max_size)
        uncache_one(j);
    return true;
}

static bool everybody_settled_the_tail(const struct weft_journal *j, size_t reserved)
{
    for (const struct weft_cursor *c = j->cursors; c; c = c->next) {
        if (c->settled.segment != j->tail || c->read.segment != j->tail
            || atomic_load_explicit(&c->settled_offset, memory_order_acquire) != reserved)
            return false;
    }
    return true;
}

void weft_journal_trim(struct weft_journal *j)
{
    pthread_mutex_lock(&j->lock);
    while (j->cached)
        uncache_one(j);

    struct weft_segment *s = j->tail;
    size_t reserved = atomic_load_explicit(&s->reserved, memory_order_relaxed);
    if (s->backing->forget && j->retain == 0 && s == j->head && reserved > s->begin && nobody_writes(s)
        && everybody_settled_the_tail(j, reserved)) {
        note_gone(j, s);
        j->published = (struct weft_place){ s, reserved, j->next_sequence };
        s->begin = reserved;
        s->before = j->totals;
        s->first_sequence = j->next_sequence;
        s->totals = (struct weft_totals){ 0 };
        s->backing->forget(s, reserved);
    }
    pthread_mutex_unlock(&j->lock);
}

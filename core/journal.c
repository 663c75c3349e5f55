/* SPDX-License-Identifier: Apache-2.0 */
/* journal.c: appending, and what becomes of segments. Reading is in cursor.c.
 *
 *   reserve   under the lock: room in the tail segment (or in a new one), the next sequence, the totals
 *   fill      outside the lock, by the thread that reserved
 *   publish   the sequence is stored last, with release: from then on cursors see the entry
 *
 * The lock is held for a few instructions, except when a segment is full: then also for giving old ones
 * back and getting a new one. Some retired segments stay for reuse, last in first out: in a steady state the same few
 * warm segments go round and no page is faulted in, which would cost more than the copy (0.5 us a page and more). A backlog
 * that comes and goes stays warm up to a KEEP-th of max_size; weft_journal_trim() gives that back when all is quiet.
 *
 * The wake-up. Publishing stores the sequence and then looks whether a cursor is armed; arming sets the mark and
 * then looks whether something was published. Without a fence between the store and the look, on both sides, each
 * may miss the other and the record sleeps until the next one comes. See wake() here and weft_cursor_arm().
 *
 * Two segments of any size always fit beside each other (see choose_sizes): the tail cannot be given back, so
 * otherwise one large record could lock out the next for ever. */
#include "core/err.h"
#include "core/hash.h"
#include "core/journal_state.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>
#include <uv.h>

enum {
    KEEP = 4,
    MIN_SIZE = 1 << 20,
    MIN_SEGMENT = 64 << 10,
    MAX_SEGMENT = 1 << 20, /* larger ones save nothing and cost cache */
    PAGE = 4096,
};

/* ---- opening and closing ---- */

/* About 32 segments: what is lost at the end of each stays small against max_size, and so does the one
 * segment that an idle journal keeps. */
static void choose_sizes(struct weft_journal *j, const struct weft_journal_options *o)
{
    size_t size = o->segment_size;

    if (size == 0)
        for (size = MIN_SEGMENT; size < MAX_SEGMENT && size * 2 <= o->max_size / 32;)
            size *= 2;
    size = size < PAGE ? PAGE : size;
    size = (size + PAGE - 1) & ~(size_t)(PAGE - 1);
    j->max_size = o->max_size;
    j->segment_size = size < o->max_size / 4 ? size : (o->max_size / 4) & ~(size_t)(PAGE - 1);
    j->retain = o->retain;
    j->max_payload = ((j->max_size / 2) & ~(size_t)(PAGE - 1)) - sizeof(struct weft_entry);
    if (j->max_payload > UINT32_MAX - 2 * PAGE)
        j->max_payload = UINT32_MAX - 2 * PAGE;
}

static uint64_t draw_id(void)
{
    uint64_t id = 0;

    while (id == 0)
        if (getrandom(&id, sizeof id, 0) != (ssize_t)sizeof id)
            id = 0;
    return id;
}

int weft_journal_open(struct weft_journal **ret_journal, const struct weft_journal_options *o)
{
    int err;

    if (o->max_size < MIN_SIZE)
        return UV_EINVAL;
    if (o->mode != WEFT_JOURNAL_MEMORY)
        return WEFT_ERR_UNSUPPORTED;

    struct weft_journal *j = calloc(1, sizeof *j);
    if (!j)
        return UV_ENOMEM;
    choose_sizes(j, o);
    j->id = draw_id();
    j->next_sequence = 1;
    j->backing = &weft_backing_memory;
    j->name = strdup(o->name ? o->name : "");
    err = j->name ? weft_segment_new(&j->tail, j->backing, j->segment_size) : UV_ENOMEM;
    if (err)
        goto fail;
    err = -pthread_mutex_init(&j->lock, NULL);
    if (err)
        goto fail;

    weft_segment_reset(j->tail, 1, 1);
    j->head = j->tail;
    j->in_use = j->tail->size;
    j->n_segments = 1;
    *ret_journal = j;
    return 0;

fail:
    weft_segment_free(j->tail, &weft_backing_memory);
    free(j->name);
    free(j);
    return err;
}

static void free_list(struct weft_journal *j, struct weft_segment *s)
{
    while (s) {
        struct weft_segment *next = s->next;
        weft_segment_free(s, j->backing);
        s = next;
    }
}

void weft_journal_close(struct weft_journal *j)
{
    if (!j)
        return;
    assert(j->n_cursors == 0);
    free_list(j, j->head);
    free_list(j, j->cached);
    pthread_mutex_destroy(&j->lock);
    free(j->name);
    free(j);
}

uint64_t weft_journal_id(const struct weft_journal *j)
{
    return j->id;
}

size_t weft_journal_max_payload(const struct weft_journal *j)
{
    return j->max_payload;
}

/* ---- giving segments back ---- */

static void uncache_one(struct weft_journal *j)
{
    struct weft_segment *s = j->cached;

    j->cached = s->next;
    j->cached_bytes -= s->size;
    weft_segment_free(s, j->backing);
}

/* A cursor that does not hold and has not come as far as `s` will never see it. */
static void count_skipped(struct weft_journal *j, const struct weft_segment *s)
{
    for (struct weft_cursor *c = j->cursors; c; c = c->next) {
        if (c->hold || c->read.segment->number >= s->number)
            continue;
        c->skipped.records += s->totals.records;
        c->skipped.items += s->totals.items;
        c->skipped.bytes += s->totals.bytes;
    }
}

static void retire(struct weft_journal *j, struct weft_segment **link)
{
    struct weft_segment *s = *link;

    count_skipped(j, s);
    *link = s->next;
    j->in_use -= s->size;
    j->n_segments--;
    if (s->size != j->segment_size || j->cached_bytes + s->size > j->max_size / KEEP) {
        weft_segment_free(s, j->backing);
        return;
    }
    s->next = j->cached;
    j->cached = s;
    j->cached_bytes += s->size;
}

/* Every holding cursor has settled past it (or there is none), whatever else keeps it. */
static bool passed(const struct weft_journal *j, const struct weft_segment *s)
{
    return s != j->tail && s->holders == 0;
}

static bool idle(const struct weft_segment *s)
{
    return s->pins == 0 && atomic_load_explicit(&s->writers, memory_order_acquire) == 0;
}

/* Gives back the oldest segment that nobody needs. A pinned one is stepped over: who pins it does not hold the
 * journal back. */
static bool retire_oldest(struct weft_journal *j)
{
    for (struct weft_segment **link = &j->head; passed(j, *link); link = &(*link)->next) {
        if (!idle(*link))
            continue;
        retire(j, link);
        return true;
    }
    return false;
}

void weft_journal_reclaim(struct weft_journal *j)
{
    size_t bytes = 0;

    for (const struct weft_segment *s = j->head; passed(j, s); s = s->next)
        bytes += s->size;
    while (bytes > j->retain) {
        size_t before = j->in_use;
        if (!retire_oldest(j))
            return;
        bytes -= before - j->in_use;
    }
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
    if (j->retain == 0 && s == j->head && reserved > s->begin && idle(s) && everybody_settled_the_tail(j, reserved)) {
        s->begin = reserved;
        s->first_sequence = j->next_sequence;
        s->totals = (struct weft_totals){ 0 };
        j->backing->forget(s, reserved);
    }
    pthread_mutex_unlock(&j->lock);
}

/* ---- appending ---- */

/* Retires and uncaches until `size` more bytes fit under max_size. A cached segment of that size counts already. */
static bool make_room(struct weft_journal *j, size_t size)
{
    weft_journal_reclaim(j);
    while (j->in_use + size > j->max_size)
        if (!retire_oldest(j))
            return false;
    size_t new_bytes = j->cached && size == j->segment_size ? 0 : size;
    while (j->cached && j->in_use + j->cached_bytes + new_bytes > j->max_size)
        uncache_one(j);
    return true;
}

static int get_segment(struct weft_journal *j, size_t size, struct weft_segment **ret_segment)
{
    struct weft_segment *s = j->cached;

    if (s && size == j->segment_size) {
        j->cached = s->next;
        j->cached_bytes -= s->size;
        *ret_segment = s;
        return 0;
    }
    if (weft_segment_new(&s, j->backing, size))
        return WEFT_ERR_LIMIT;
    j->backing->warm(s);
    *ret_segment = s;
    return 0;
}

/* Closes the tail and puts a segment behind it in which `stride` bytes fit. */
static int roll(struct weft_journal *j, size_t stride)
{
    size_t size = stride <= j->segment_size ? j->segment_size : (stride + PAGE - 1) & ~(size_t)(PAGE - 1);
    struct weft_segment *s;

    if (!make_room(j, size))
        return WEFT_ERR_FULL;
    int err = get_segment(j, size, &s);
    if (err)
        return err;

    weft_segment_reset(s, j->tail->number + 1, j->next_sequence);
    j->tail->next = s;
    atomic_store_explicit(&j->tail->closed, true, memory_order_release);
    j->tail = s;
    j->in_use += s->size;
    j->n_segments++;
    weft_journal_reclaim(j); /* without cursors the old tail goes at once */
    return 0;
}

/* Under the lock. The length is written here, so that recovery can step over an entry whose writer died. */
static int reserve(struct weft_journal *j, size_t len, uint32_t n_items, struct weft_reservation *ret)
{
    size_t stride = weft_entry_stride(len);
    size_t at = atomic_load_explicit(&j->tail->reserved, memory_order_relaxed);

    if (stride > j->tail->size - at) {
        int err = roll(j, stride);
        if (err) {
            j->refused_records++;
            return err;
        }
        at = 0;
    }

    struct weft_segment *s = j->tail;
    struct weft_entry *e = weft_entry_at(s, at);
    atomic_store_explicit(&e->sequence, 0, memory_order_relaxed);
    e->length = (uint32_t)len;
    e->n_items = n_items;
    atomic_fetch_add_explicit(&s->writers, 1, memory_order_relaxed);
    atomic_store_explicit(&s->reserved, at + stride, memory_order_release);
    s->totals.records++, j->totals.records++;
    s->totals.items += n_items, j->totals.items += n_items;
    s->totals.bytes += len, j->totals.bytes += len;

    *ret = (struct weft_reservation){ .payload = e->payload, .len = len, .entry = e, .segment = s,
                                      .sequence = j->next_sequence++ };
    return 0;
}

int weft_journal_reserve(struct weft_journal *j, size_t len, uint32_t n_items, struct weft_reservation *ret_reservation)
{
    if (len > j->max_payload)
        return WEFT_ERR_TOO_LARGE;
    pthread_mutex_lock(&j->lock);
    int err = reserve(j, len, n_items, ret_reservation);
    pthread_mutex_unlock(&j->lock);
    return err;
}

/* Tells every cursor whose reader sleeps. The lock keeps a cursor from being closed under our hands; it is
 * taken only when somebody does sleep. */
static void wake(struct weft_journal *j)
{
    weft_journal_fence(); /* our sequence before their mark; pairs with the one in weft_cursor_arm() */
    if (atomic_load_explicit(&j->n_armed, memory_order_relaxed) == 0)
        return;

    pthread_mutex_lock(&j->lock);
    for (struct weft_cursor *c = j->cursors; c; c = c->next) {
        if (!c->armed)
            continue;
        c->armed = false;
        atomic_fetch_sub_explicit(&j->n_armed, 1, memory_order_relaxed);
        uint64_t one = 1;
        ssize_t written = c->wake_fd >= 0 ? write(c->wake_fd, &one, sizeof one) : 0;
        (void)written; /* it can only fail when the counter is at its maximum: then they will wake anyway */
    }
    pthread_mutex_unlock(&j->lock);
}

static void finish(struct weft_journal *j, struct weft_reservation *res)
{
    struct weft_entry *e = res->entry;
    struct weft_segment *s = res->segment;

    atomic_store_explicit(&e->sequence, res->sequence, memory_order_release);
    atomic_fetch_sub_explicit(&s->writers, 1, memory_order_release); /* the last touch of the segment */
    res->entry = NULL;
    wake(j);
}

void weft_journal_publish(struct weft_journal *j, struct weft_reservation *res, const struct weft_record *r)
{
    struct weft_entry *e = res->entry;

    e->crc32c = j->backing->checksum ? weft_crc32c(0, res->payload, res->len) : 0;
    e->wall_ns = r->wall_ns;
    e->mono_ns = r->mono_ns;
    e->signal = (uint16_t)r->signal;
    e->abandoned = 0;
    e->flags = r->flags;
    e->source = r->source;
    finish(j, res);
}

/* Takes what reserve counted off again; a cursor that starts behind the entry had it in its base. */
static void uncount(struct weft_totals *t, uint64_t items, uint64_t bytes)
{
    t->records--;
    t->items -= items;
    t->bytes -= bytes;
}

void weft_journal_abandon(struct weft_journal *j, struct weft_reservation *res)
{
    struct weft_entry *e = res->entry;
    struct weft_segment *s = res->segment;

    pthread_mutex_lock(&j->lock);
    j->abandoned_records++;
    uncount(&j->totals, e->n_items, e->length);
    uncount(&s->totals, e->n_items, e->length);
    for (struct weft_cursor *c = j->cursors; c; c = c->next)
        if (c->start_sequence > res->sequence)
            uncount(&c->base, e->n_items, e->length);
    pthread_mutex_unlock(&j->lock);
    e->abandoned = 1;
    finish(j, res);
}

int weft_journal_append(struct weft_journal *j, const struct weft_record *r, uint64_t *ret_sequence)
{
    struct weft_reservation res;

    int err = weft_journal_reserve(j, r->payload.len, r->n_items, &res);
    if (err)
        return err;
    if (r->payload.len)
        memcpy(res.payload, r->payload.data, r->payload.len);
    weft_journal_publish(j, &res, r);
    if (ret_sequence)
        *ret_sequence = res.sequence;
    return 0;
}

/* ---- figures ---- */

void weft_journal_stats(struct weft_journal *j, struct weft_journal_stats *ret_stats)
{
    pthread_mutex_lock(&j->lock);
    *ret_stats = (struct weft_journal_stats){
        .first_sequence = weft_journal_oldest(j)->first_sequence,
        .next_sequence = j->next_sequence,
        .segment_bytes = j->in_use + j->cached_bytes,
        .capacity_bytes = j->max_size,
        .appended_records = j->totals.records,
        .appended_items = j->totals.items,
        .appended_bytes = j->totals.bytes,
        .refused_records = j->refused_records,
        .abandoned_records = j->abandoned_records,
        .n_segments = j->n_segments,
        .n_cursors = j->n_cursors,
    };
    pthread_mutex_unlock(&j->lock);
}

/* The least settled offset of the holding cursors that stand in `s`. */
static size_t held_from(const struct weft_journal *j, const struct weft_segment *s)
{
    size_t least = s->size;

    for (const struct weft_cursor *c = j->cursors; c; c = c->next) {
        size_t at = atomic_load_explicit(&c->settled_offset, memory_order_relaxed);
        if (c->hold && c->settled.segment == s && at < least)
            least = at;
    }
    return least;
}

double weft_journal_fill(struct weft_journal *j)
{
    size_t held = 0;
    bool inside = false;

    pthread_mutex_lock(&j->lock);
    for (const struct weft_segment *s = j->head; s; s = s->next) {
        if (!inside && s->holders == 0)
            continue;
        size_t end = s == j->tail ? atomic_load_explicit(&s->reserved, memory_order_relaxed) : s->size;
        size_t from = inside ? 0 : held_from(j, s);
        held += end > from ? end - from : 0;
        inside = true;
    }
    pthread_mutex_unlock(&j->lock);
    return (double)held / (double)j->max_size;
}

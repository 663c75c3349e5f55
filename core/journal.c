/* SPDX-License-Identifier: Apache-2.0 */
/* journal.c: opening, appending and figures. What becomes of old segments is in journal_retain.c, reading in cursor.c.
 *
 *   reserve   under the lock: room in the tail segment (or in a new one), the next sequence, the totals
 *   fill      outside the lock, by the thread that reserved
 *   publish   the sequence is stored last, with release: from then on cursors see the entry
 *
 * The lock is held for a few instructions, except when a segment is full: then also for giving old ones
 * back and getting a new one.
 *
 * The wake-up. Publishing stores the sequence and then looks whether a cursor is armed; arming sets the mark and
 * then looks whether something was published. Without a fence between the store and the look, on both sides, each
 * may miss the other and the record sleeps until the next one comes. See wake() here and weft_cursor_arm().
 *
 * Two segments of any size always fit beside each other (see choose_sizes): the tail cannot be given back, so
 * otherwise one large record could lock out the next for ever. */
#include "core/clock.h"
#include "core/err.h"
#include "core/hash.h"
#include "core/journal_state.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>
#include <uv.h>

enum {
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
    j->max_size = (size_t)o->max_size;
    j->segment_size = size < o->max_size / 4 ? size : (o->max_size / 4) & ~(size_t)(PAGE - 1);
    j->retain = o->retain < o->max_size ? (size_t)o->retain : (size_t)o->max_size;
    j->retain_ns = o->retain_ms < UINT64_MAX / 1000000 ? o->retain_ms * 1000000 : UINT64_MAX;
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

    if (o->max_size < MIN_SIZE || (o->mode == WEFT_JOURNAL_DISK && !o->directory))
        return UV_EINVAL;
    if (o->mode != WEFT_JOURNAL_MEMORY)
        return WEFT_ERR_UNSUPPORTED;

    struct weft_journal *j = calloc(1, sizeof *j);
    if (!j)
        return UV_ENOMEM;
    choose_sizes(j, o);
    j->id = draw_id();
    j->next_sequence = 1;
    j->wall_clock = o->wall_clock ? o->wall_clock : weft_clock_wall_ns;
    j->backing = &weft_backing_memory;
    j->name = strdup(o->name ? o->name : "");
    err = j->name ? weft_segment_new(&j->tail, j->backing, j->segment_size) : UV_ENOMEM;
    if (err)
        goto fail;
    err = -pthread_mutex_init(&j->lock, NULL);
    if (err)
        goto fail;
    err = weft_source_table_init(&j->sources);
    if (err)
        goto fail_lock;

    weft_segment_reset(j->tail, 1, 1, (struct weft_totals){ 0 });
    j->published = weft_place_start(j->tail);
    j->head = j->tail;
    j->in_use = j->tail->size;
    j->n_segments = 1;
    *ret_journal = j;
    return 0;

fail_lock:
    pthread_mutex_destroy(&j->lock);
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
    while (j->cursors) {
        struct weft_cursor *parked = j->cursors;
        j->cursors = parked->next;
        free(parked->name);
        free(parked);
    }
    weft_source_table_release(&j->sources);
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

enum weft_journal_mode weft_journal_mode(const struct weft_journal *j)
{
    return j->backing == &weft_backing_memory ? WEFT_JOURNAL_MEMORY : WEFT_JOURNAL_DISK;
}

size_t weft_journal_max_payload(const struct weft_journal *j)
{
    return j->max_payload;
}

/* The tail must leave room for another one of its size, or it could lock that out (see choose_sizes). */
static bool fits(const struct weft_journal *j, uint64_t max_size)
{
    return j->in_use <= max_size && j->tail->size <= max_size / 2;
}

int weft_journal_resize(struct weft_journal *j, uint64_t max_size, uint64_t retain, uint64_t retain_ms)
{
    struct weft_journal_options o = { .max_size = max_size, .retain = retain, .retain_ms = retain_ms };
    int err = 0;

    if (max_size < MIN_SIZE)
        return UV_EINVAL;
    if (j->backing != &weft_backing_memory)
        return WEFT_ERR_UNSUPPORTED;
    pthread_mutex_lock(&j->lock);
    size_t before = j->retain;
    j->retain = 0;
    weft_journal_reclaim(j);
    if (fits(j, max_size))
        choose_sizes(j, &o);
    else
        err = WEFT_ERR_FULL, j->retain = before;
    pthread_mutex_unlock(&j->lock);
    weft_journal_trim(j); /* segments of the old size are of no more use */
    return err;
}

/* ---- appending ---- */

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

    if (!weft_journal_make_room(j, size))
        return WEFT_ERR_FULL;
    int err = get_segment(j, size, &s);
    if (err)
        return err;

    weft_segment_reset(s, j->tail->number + 1, j->next_sequence, j->totals);
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

/* Kept as a maximum, for writers overtake each other. */
static void note_wall(struct weft_segment *s, uint64_t wall_ns)
{
    uint64_t newest = atomic_load_explicit(&s->newest_wall_ns, memory_order_relaxed);

    while (wall_ns > newest
           && !atomic_compare_exchange_weak_explicit(&s->newest_wall_ns, &newest, wall_ns, memory_order_relaxed,
                                                     memory_order_relaxed))
        ;
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
    note_wall(res->segment, r->wall_ns);
    weft_source_table_note(&j->sources, r->source, res->sequence);
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
    for (struct weft_segment *later = s->next; later; later = later->next)
        uncount(&later->before, e->n_items, e->length);
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
        .opened_records = j->opened.records,
        .opened_items = j->opened.items,
        .opened_bytes = j->opened.bytes,
        .appended_records = j->totals.records - j->opened.records,
        .appended_items = j->totals.items - j->opened.items,
        .appended_bytes = j->totals.bytes - j->opened.bytes,
        .refused_records = j->refused_records,
        .abandoned_records = j->abandoned_records,
        .n_segments = j->n_segments,
        .n_cursors = j->n_cursors,
        .n_parked = j->n_parked,
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

/* ---- how far things are ---- */

static bool all_published(const struct weft_segment *s)
{
    return atomic_load_explicit(&s->writers, memory_order_acquire) == 0;
}

/* Reservations are counted in and out of `writers`, so that only a segment with an open one must be walked, and from where the
 * last walk ended. */
uint64_t weft_journal_published(struct weft_journal *j)
{
    struct weft_place *p = &j->published;

    for (;;) {
        size_t reserved = atomic_load_explicit(&p->segment->reserved, memory_order_relaxed);
        if (p->offset == reserved || all_published(p->segment)) {
            if (!p->segment->next) {
                *p = (struct weft_place){ p->segment, reserved, j->next_sequence };
                return p->sequence - 1;
            }
            *p = weft_place_start(p->segment->next);
            continue;
        }
        const struct weft_entry *e = weft_entry_at(p->segment, p->offset);
        if (atomic_load_explicit(&e->sequence, memory_order_acquire) != p->sequence)
            return p->sequence - 1;
        p->offset += weft_entry_stride(e->length);
        p->sequence++;
    }
}

uint64_t weft_journal_settled(struct weft_journal *j)
{
    uint64_t least = UINT64_MAX;

    pthread_mutex_lock(&j->lock);
    for (const struct weft_cursor *c = j->cursors; c; c = c->next) {
        uint64_t settled = atomic_load_explicit(&c->settled_sequence, memory_order_acquire);
        if (c->hold && settled < least)
            least = settled;
    }
    if (least == UINT64_MAX)
        least = weft_journal_published(j);
    pthread_mutex_unlock(&j->lock);
    return least;
}

uint64_t weft_journal_durable(struct weft_journal *j)
{
    pthread_mutex_lock(&j->lock);
    uint64_t published = weft_journal_published(j);
    pthread_mutex_unlock(&j->lock);
    return published;
}

bool weft_journal_source(struct weft_journal *j, uint64_t id, uint64_t *ret_position)
{
    return weft_source_table_find(&j->sources, id, ret_position);
}

void weft_journal_forget_source(struct weft_journal *j, uint64_t id)
{
    weft_source_table_forget(&j->sources, id);
}

int weft_journal_remove(const char *directory)
{
    (void)directory;
    return WEFT_ERR_UNSUPPORTED;
}

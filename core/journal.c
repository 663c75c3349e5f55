/* SPDX-License-Identifier: Apache-2.0 */
/* journal.c: appending and figures. Opening is in journal_open.c, what becomes of old segments in journal_retain.c, reading in
 * cursor.c, and what disk mode needs besides in journal_disk.c, journal_recover.c and journal_keep.c.
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
 * may miss the other and the record sleeps until the next one comes. See wake() here and weft_cursor_arm(). */
#include "core/err.h"
#include "core/hash.h"
#include "core/journal_state.h"
#include "core/journal_sync.h"
#include "core/segment_file.h"
#include "core/segment_scan.h"
#include "core/sigbus.h"

#include <assert.h>
#include <unistd.h>

enum { PAGE = 4096, WRITE_FROM = 8 << 10 };

/* ---- appending ---- */

static int memory_tail(struct weft_journal *j, size_t size, struct weft_segment **ret_segment)
{
    struct weft_segment *s = weft_journal_uncache(j, size);

    if (!s) {
        if (weft_segment_new(&s, j->backing, NULL, size))
            return WEFT_ERR_LIMIT;
        j->backing->warm(s);
    }
    weft_segment_reset(s, j->next_number, j->next_sequence, j->totals);
    *ret_segment = s;
    return 0;
}

/* Closes the tail and puts a segment behind it in which `stride` bytes fit. */
static int roll(struct weft_journal *j, size_t stride)
{
    size_t need = stride + j->backing->head;
    size_t size = need <= j->segment_size ? j->segment_size : (need + PAGE - 1) & ~(size_t)(PAGE - 1);
    bool stores = j->tail->stored > j->tail->size / 2;
    struct weft_segment *s;

    if (!weft_journal_make_room(j, size))
        return WEFT_ERR_FULL;
    int err = j->disk ? weft_journal_disk_tail(j, size, need, &s) : memory_tail(j, size, &s);
    if (err)
        return err;

    j->next_number++;
    j->tail->next = s;
    j->tail->end_sequence = j->next_sequence;
    atomic_store_explicit(&j->tail->closed, true, memory_order_release);
    j->tail = s;
    j->in_use += s->size;
    j->n_segments++;
    if (j->disk) {
        weft_journal_rest(j);
        weft_journal_sync_rolled(j, stores);
    }
    weft_journal_reclaim(j); /* without cursors the old tail goes at once */
    return 0;
}

/* Under the lock. The length is written here, so that recovery can step over an entry whose writer died. */
static int reserve(struct weft_journal *j, size_t len, uint32_t n_items, struct weft_reservation *ret)
{
    size_t stride = weft_entry_stride(len);
    size_t at = atomic_load_explicit(&j->tail->reserved, memory_order_relaxed);

    if (stride > j->tail->room - at) {
        int err = roll(j, stride);
        if (err) {
            j->refused_records++;
            return err;
        }
        at = j->tail->begin;
    }

    struct weft_segment *s = j->tail;
    struct weft_entry *e = weft_entry_at(s, at);
    atomic_store_explicit(&e->sequence, 0, memory_order_relaxed);
    e->length = (uint32_t)len;
    e->n_items = n_items;
    if (s->backing->checksum)
        e->head_crc = weft_entry_reserve_crc(e, s->seed, j->next_sequence);
    atomic_fetch_add_explicit(&s->writers, 1, memory_order_relaxed);
    atomic_store_explicit(&s->reserved, at + stride, memory_order_release);
    s->totals.records++, j->totals.records++;
    s->totals.items += n_items, j->totals.items += n_items;
    s->totals.bytes += len, j->totals.bytes += len;
    s->stored += len < WRITE_FROM ? stride : 0;

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

/* Large ones are written, unless pages stand in for some of the file's: those would not show what is written. */
static bool is_written(const struct weft_segment *s, size_t len)
{
    return s->fd >= 0 && len >= WRITE_FROM && weft_sigbus_hits(s->guard) == 0;
}

void weft_journal_copy(struct weft_reservation *res, struct weft_slice payload)
{
    const struct weft_segment *s = res->segment;

    assert(payload.len == res->len);
    if (payload.len > 0 && !(is_written(s, payload.len) && weft_segment_write(s, res->payload, payload)))
        memcpy(res->payload, payload.data, payload.len); /* all of it: a page that comes to stand in would hide what was written to it */
    res->filled = payload.data;
}

/* Tells every cursor whose reader sleeps. The lock keeps a cursor from being closed under our hands; it is
 * taken only when somebody does sleep. */
static void wake(struct weft_journal *j)
{
    weft_fence(); /* our sequence before their mark; pairs with the one in weft_cursor_arm() */
    weft_journal_sync_published(j, j->sync);
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

/* The sums that recovery goes by; all that is missing then is the sequence. */
static void checksum(struct weft_reservation *res)
{
    struct weft_entry *e = res->entry;
    const struct weft_segment *s = res->segment;

    if (!s->backing->checksum)
        return;
    uint32_t head = weft_entry_head_crc(e, s->seed, res->sequence);
    e->crc32c = e->abandoned ? 0 : weft_crc32c(head, res->filled ? res->filled : res->payload, res->len);
    e->head_crc = head;
}

void weft_journal_publish(struct weft_journal *j, struct weft_reservation *res, const struct weft_record *r)
{
    struct weft_entry *e = res->entry;

    e->wall_ns = r->wall_ns;
    e->mono_ns = r->mono_ns;
    e->signal = (uint16_t)r->signal;
    e->abandoned = 0;
    e->flags = r->flags;
    e->source = r->source;
    checksum(res);
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
    checksum(res);
    finish(j, res);
}

int weft_journal_append(struct weft_journal *j, const struct weft_record *r, uint64_t *ret_sequence)
{
    struct weft_reservation res;

    int err = weft_journal_reserve(j, r->payload.len, r->n_items, &res);
    if (err)
        return err;
    weft_journal_copy(&res, r->payload);
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
        .opened_records = j->found.records,
        .opened_items = j->found.items,
        .opened_bytes = j->found.bytes,
        .appended_records = j->totals.records - j->opened.records,
        .appended_items = j->totals.items - j->opened.items,
        .appended_bytes = j->totals.bytes - j->opened.bytes,
        .refused_records = j->refused_records,
        .abandoned_records = j->abandoned_records,
        .n_segments = j->n_segments,
        .n_cursors = j->n_cursors,
        .n_parked = j->n_parked,
        .disk_state = j->disk_state,
        .disk_error = j->disk_error,
        .disk_errors = j->disk_errors,
        .memory_bytes = j->memory_bytes,
        .unsaved_items = weft_journal_unsaved(j),
        .corrupt_records = j->corrupt_records,
        .gone_wall_ns = j->gone_wall_ns,
        .recovery = j->recovery,
    };
    pthread_mutex_unlock(&j->lock);
    weft_journal_sync_stats(j, ret_stats);
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
    if (j->disk && j->sync_mode == WEFT_SYNC_ALWAYS)
        return atomic_load_explicit(&j->durable, memory_order_acquire);
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

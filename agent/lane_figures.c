/* SPDX-License-Identifier: Apache-2.0 */
/* lane_figures.c: what a lane tells of itself.
 *
 * Counters have one writer, the lane's thread, and any reader: relaxed atomics, no lock. Losses are kept by reason in a
 * table of bounded size; a word that does not fit any more is counted under "other". A slot's name is
 * written before n_slots says that it is there (release), and never again. */
#include "agent/lane_state.h"
#include "core/clock.h"

#include <assert.h>

const double weft_lane_buckets[WEFT_LANE_BUCKETS] = { 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
                                                      0.25,  0.5,    1,     2.5,  5,     10 };

void weft_lane_add(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n, memory_order_relaxed);
}

static uint64_t get(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

static bool has_name(const struct weft_lane_slot *s, enum weft_lane_loss loss, enum weft_signal signal, const char *word)
{
    return s->loss == loss && s->signal == signal && strncmp(s->word, word, sizeof s->word - 1) == 0;
}

/* The slot of that name; a new one while there is room for it and for "other" of each kind; else NULL. */
static struct weft_lane_slot *slot(struct weft_lane *lane, enum weft_lane_loss loss, enum weft_signal signal,
                                   const char *word, size_t room)
{
    size_t n = atomic_load_explicit(&lane->n_slots, memory_order_relaxed);

    for (size_t i = 0; i < n; i++)
        if (has_name(&lane->slots[i], loss, signal, word))
            return &lane->slots[i];
    if (n >= room)
        return NULL;

    struct weft_lane_slot *s = &lane->slots[n];
    s->loss = loss;
    s->signal = signal;
    for (size_t i = 0; i + 1 < sizeof s->word && word[i]; i++)
        s->word[i] = word[i];
    atomic_store_explicit(&lane->n_slots, n + 1, memory_order_release);
    return s;
}

void weft_lane_lose(struct weft_lane *lane, enum weft_lane_loss loss, enum weft_signal signal, const char *reason,
                    uint64_t items)
{
    struct weft_lane_slot *s = slot(lane, loss, signal, reason ? reason : "other", WEFT_LANE_REASONS - 2 * WEFT_SIGNALS);

    if (!s)
        s = slot(lane, loss, signal, "other", WEFT_LANE_REASONS);
    assert(s);
    weft_lane_add(&s->items, items);
}

void weft_lane_figures_init(struct weft_lane *lane)
{
    for (size_t i = 0; i < lane->n_readers; i++) {
        enum weft_signal signal = lane->readers[i].source.signal;
        weft_lane_lose(lane, WEFT_LANE_FAILED, signal, "rejected", 0);
        weft_lane_lose(lane, WEFT_LANE_DROPPED, signal, "shutdown", 0);
        weft_lane_lose(lane, WEFT_LANE_DROPPED, signal, "skipped", 0);
        weft_lane_lose(lane, WEFT_LANE_DROPPED, signal, "corrupt", 0);
        weft_lane_lose(lane, WEFT_LANE_DROPPED, signal, "max_elapsed_time", 0);
    }
}

void weft_lane_time(struct weft_lane *lane, uint64_t duration_ns)
{
    double seconds = (double)duration_ns / 1e9;
    size_t i = 0;

    while (i < WEFT_LANE_BUCKETS && seconds > weft_lane_buckets[i])
        i++;
    weft_lane_add(&lane->duration_buckets[i], 1);
    weft_lane_add(&lane->duration_sum_ns, duration_ns);
    weft_lane_add(&lane->duration_count, 1);
}

void weft_lane_note_error(struct weft_lane *lane, const char *reason, const char *detail)
{
    if (!reason && !atomic_load_explicit(&lane->has_error, memory_order_relaxed))
        return;
    uv_mutex_lock(&lane->error_lock);
    (void)snprintf(lane->error, sizeof lane->error, "%s%s%s", reason ? reason : "", reason && detail ? ": " : "",
                   reason && detail ? detail : "");
    uv_mutex_unlock(&lane->error_lock);
    atomic_store_explicit(&lane->has_error, reason != NULL, memory_order_relaxed);
}

/* ---- reading them ---- */

static void copy_error(struct weft_lane *lane, struct weft_lane_stats *s)
{
    if (!atomic_load_explicit(&lane->has_error, memory_order_relaxed))
        return;
    uv_mutex_lock(&lane->error_lock);
    memcpy(s->error, lane->error, sizeof s->error);
    uv_mutex_unlock(&lane->error_lock);
}

static void add_oldest(const struct weft_lane_reader *reader, struct weft_lane_stats *s, uint64_t now_ns)
{
    uint64_t oldest = atomic_load_explicit(&reader->oldest_wall_ns, memory_order_relaxed);
    uint64_t age_ms = oldest && now_ns > oldest ? (now_ns - oldest) / 1000000 + 1 : 0;

    if (age_ms > s->oldest_ms)
        s->oldest_ms = age_ms;
}

static void copy_counters(const struct weft_lane *lane, struct weft_lane_stats *s)
{
    for (int i = 0; i < WEFT_SIGNALS; i++) {
        s->sent_items[i] = get(&lane->sent_items[i]);
        s->sent_bytes[i] = get(&lane->sent_bytes[i]);
        s->retries[i] = get(&lane->retries[i]);
        for (int k = 0; k < WEFT_REPLAY_OUTCOMES; k++)
            s->replayed_items[i][k] = get(&lane->replayed[i][k]);
    }
    for (size_t i = 0; i <= WEFT_LANE_BUCKETS; i++)
        s->duration_buckets[i] = get(&lane->duration_buckets[i]);
    s->duration_count = get(&lane->duration_count);
    s->duration_sum_ns = get(&lane->duration_sum_ns);
    s->in_flight = atomic_load_explicit(&lane->in_flight, memory_order_relaxed);
}

static void copy_reasons(const struct weft_lane *lane, struct weft_lane_stats *s)
{
    s->n_reasons = atomic_load_explicit(&lane->n_slots, memory_order_acquire);
    for (size_t i = 0; i < s->n_reasons; i++) {
        const struct weft_lane_slot *from = &lane->slots[i];
        s->reasons[i] = (struct weft_lane_reason){ .loss = from->loss, .signal = from->signal, .items = get(&from->items) };
        memcpy(s->reasons[i].word, from->word, sizeof from->word);
    }
}

/* What the cursors know, and no outcome tells. */
static void add_dropped(struct weft_lane_stats *s, enum weft_signal signal, const char *word, uint64_t items)
{
    for (size_t i = 0; i < s->n_reasons; i++)
        if (s->reasons[i].loss == WEFT_LANE_DROPPED && s->reasons[i].signal == signal
            && strcmp(s->reasons[i].word, word) == 0)
            s->reasons[i].items += items;
}

/* What waits, and what was lost while it waited. Read before the outcomes: a sum may then count an item twice that
 * gets its outcome in between, and never misses one. */
static struct weft_cursor_stats add_reader(struct weft_lane *lane, const struct weft_lane_reader *reader,
                                           struct weft_lane_stats *s)
{
    struct weft_cursor_stats c = { 0 };

    s->has_signal[reader->source.signal] = true;
    s->recovered_items[reader->source.signal] += reader->recovered_items;
    uv_mutex_lock(&lane->error_lock);
    if (reader->cursor)
        weft_cursor_stats(reader->cursor, &c);
    else
        c = (struct weft_cursor_stats){ .skipped_items = reader->skipped_items, .lost_items = reader->lost_items };
    uv_mutex_unlock(&lane->error_lock);
    uint64_t counted = atomic_load_explicit(&reader->counted_items, memory_order_acquire);
    s->waiting_records += c.waiting_records;
    s->waiting_bytes += c.waiting_bytes;
    uint64_t items = c.waiting_items > counted ? c.waiting_items - counted : 0;
    s->waiting_items += items;
    if (reader->source.lasting && items > c.memory_items)
        s->lasting_items += items - c.memory_items;
    s->capacity_bytes += reader->capacity_bytes;
    return c;
}

void weft_lane_leave(struct weft_lane *lane, struct weft_lane_reader *reader)
{
    struct weft_cursor_stats c;

    uv_mutex_lock(&lane->error_lock);
    weft_cursor_stats(reader->cursor, &c);
    reader->skipped_items = c.skipped_items;
    reader->lost_items = c.lost_items;
    weft_cursor_close(reader->cursor);
    reader->cursor = NULL;
    uv_mutex_unlock(&lane->error_lock);
}

void weft_lane_stats(struct weft_lane *lane, struct weft_lane_stats *ret_stats)
{
    uint64_t skipped[WEFT_SIGNALS] = { 0 }, lost[WEFT_SIGNALS] = { 0 };

    memset(ret_stats, 0, sizeof *ret_stats);
    for (size_t i = 0; i < lane->n_readers; i++) {
        struct weft_cursor_stats c = add_reader(lane, &lane->readers[i], ret_stats);
        skipped[lane->readers[i].source.signal] += c.skipped_items;
        lost[lane->readers[i].source.signal] += c.lost_items;
    }
    for (size_t i = 0; i < lane->n_readers; i++)
        add_oldest(&lane->readers[i], ret_stats, weft_clock_wall_ns());
    ret_stats->waiting_records += lane->kept.records; /* of cursors that are closed */
    ret_stats->waiting_items += lane->kept.items;
    ret_stats->lasting_items += lane->kept_lasting_items;
    ret_stats->waiting_bytes += lane->kept.bytes;
    copy_error(lane, ret_stats);
    copy_counters(lane, ret_stats);
    copy_reasons(lane, ret_stats);
    for (int signal = 0; signal < WEFT_SIGNALS; signal++) {
        add_dropped(ret_stats, (enum weft_signal)signal, "skipped", skipped[signal]);
        add_dropped(ret_stats, (enum weft_signal)signal, "corrupt", lost[signal]);
    }
    weft_lane_endpoint_stats(lane, ret_stats);
    ret_stats->busy_ms = lane->loop_open && !atomic_load(&lane->thread_ended) ? weft_beat_age_ms(&lane->beat, weft_clock_mono_ms()) : 0;
}

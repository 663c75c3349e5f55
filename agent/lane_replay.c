/* SPDX-License-Identifier: Apache-2.0 */
/* lane_replay.c: see lane_replay.h.
 *
 * Main opens what is to be read and puts the replay into the lane's mailbox; the lane's thread takes it from there, fills one batch
 * at a time, and gives it up when it says so in `state` (release). Main frees it with the next one, or with the lane.
 *
 *   RUNNING --nothing left--> DONE,   --cancel--> CANCELLED,   --the lane stops--> STOPPED
 *
 * Items that the expression does not pick are marked as sent before the exporter sees the batch: it leaves out what does not
 * wait, and the numbers of the others stay what they were. */
#include "agent/lane_state.h"

#include "core/clock.h"
#include "core/err.h"

#include <assert.h>
#include <stdlib.h>

/* What is looked at and not picked costs the loop time and sends nothing, so each of its turns looks at LOOK_A_TURN bytes only: of
 * what an expression is asked of and of records that are passed over, and PASS_OVER more for each of these and for each letter. */
enum { LETTERS_A_BATCH = 256, LOOK_A_TURN = 256 << 10, PASS_OVER = 512 };

struct letter_place {
    struct weft_letter letter;
    uint64_t sequence;
    bool stays;                   /* there was no room for what it would have turned into */
};

/* One journal whose records are sent again. */
struct source {
    struct weft_lane_source source;
    struct weft_cursor *cursor;
    uint64_t last;                /* the lane had settled up to here when the replay began */
    struct weft_record ahead;
    bool has_ahead;
};

struct weft_lane_replay {
    struct weft_replay_setup setup;
    uint64_t number, total_items, began_ns;
    _Atomic uint64_t ended_ns;
    _Atomic int state;            /* enum weft_replay_state */
    atomic_bool cancelled;
    struct weft_lane_batch *batch; /* the one that is held; NULL: none */
    bool marked;                  /* the items of `batch` that are not picked are marked */
    uint64_t passed_over;         /* how many of them there are */
    uint64_t look;                /* what is left of LOOK_A_TURN */
    bool is_stuck;                /* in this turn: what comes next cannot be read or listed at the moment */

    struct weft_letters_reader *letters;
    struct weft_letters_filter filter;
    struct letter_place ahead, *places; /* read and not in a batch; those of the batch */
    bool has_ahead;

    struct source *sources;
    size_t n_sources, at;         /* at: the one that is being read */
    uint64_t kept_since_ns;       /* see weft_replay_progress */

    _Atomic uint64_t seen_items, expired_items, outcomes[WEFT_REPLAY_OUTCOMES];
};

const char *weft_replay_state_name(enum weft_replay_state state)
{
    static const char *const names[] = { "running", "done", "cancelled", "stopped" };
    return names[state];
}

/* ---- the end ---- */
static void close_inputs(struct weft_lane_replay *r)
{
    weft_letters_reader_close(r->letters);
    r->letters = NULL;
    for (size_t i = 0; i < r->n_sources; i++) {
        struct weft_cursor_stats c;
        if (!r->sources[i].cursor)
            continue;
        weft_cursor_stats(r->sources[i].cursor, &c);
        atomic_fetch_add_explicit(&r->expired_items, c.skipped_items, memory_order_relaxed);
        weft_cursor_close(r->sources[i].cursor);
        r->sources[i].cursor = NULL;
    }
}

static void free_replay(struct weft_lane_replay *r)
{
    if (!r)
        return;
    close_inputs(r);
    weft_match_free(r->setup.match);
    free(r->places);
    free(r->sources);
    free(r);
}

static uint64_t count_of(const struct weft_lane_replay *r, enum weft_replay_outcome outcome)
{
    return atomic_load_explicit(&r->outcomes[outcome], memory_order_relaxed);
}

static void tell_end(const struct weft_lane *lane, const struct weft_lane_replay *r, enum weft_replay_state state)
{
    uint64_t sent = count_of(r, WEFT_REPLAY_SENT);

    weft_log(lane->exporter->log, WEFT_LOG_INFO, lane->id, "replay of %s %s: %llu %s sent, %llu refused, %llu given up",
             r->setup.letters ? "dead letters" : "records", weft_replay_state_name(state), (unsigned long long)sent,
             weft_log_words(sent, "item", "items"), (unsigned long long)count_of(r, WEFT_REPLAY_REJECTED),
             (unsigned long long)count_of(r, WEFT_REPLAY_DROPPED));
}

/* Nothing of it is with the exporter. The last thing that the lane's thread does with it. */
static void end(struct weft_lane *lane, enum weft_replay_state state)
{
    struct weft_lane_replay *r = lane->replaying;

    assert(!r->batch || r->batch->place != WEFT_LANE_OUT);
    if (r->batch)
        weft_lane_put_batch(lane, r->batch);
    r->batch = NULL;
    if (r->setup.letters)
        weft_letters_flush(lane->letters);
    if (r->setup.letters && state == WEFT_REPLAY_DONE && r->total_items > r->seen_items)
        atomic_store_explicit(&r->expired_items, r->total_items - r->seen_items, memory_order_relaxed);
    close_inputs(r);
    tell_end(lane, r, state);
    lane->replaying = NULL;
    atomic_store_explicit(&r->ended_ns, weft_clock_wall_ns(), memory_order_relaxed);
    atomic_store_explicit(&r->state, state, memory_order_release);
}

/* ---- turns ---- */
static void begin_turn(struct weft_lane_replay *r)
{
    r->look = LOOK_A_TURN;
    r->is_stuck = false;
}

static void spend(struct weft_lane_replay *r, uint64_t bytes)
{
    r->look -= bytes < r->look ? bytes : r->look;
}

/* There may be more, but not in this turn. */
static bool turn_is_over(const struct weft_lane_replay *r)
{
    return r->look == 0 || r->is_stuck;
}

void weft_lane_replay_look(struct weft_lane *lane, bool stopping)
{
    if (!lane->replaying)
        lane->replaying = atomic_exchange_explicit(&lane->replay_in, NULL, memory_order_acquire);

    struct weft_lane_replay *r = lane->replaying;
    if (r)
        begin_turn(r);
    bool cancelled = r && atomic_load_explicit(&r->cancelled, memory_order_relaxed);
    if (!r || (!stopping && !cancelled) || weft_lane_replay_out(lane))
        return;
    if (r->batch && lane->exporter->type->forget)
        lane->exporter->type->forget(lane->exporter, &r->batch->base);
    end(lane, cancelled ? WEFT_REPLAY_CANCELLED : WEFT_REPLAY_STOPPED);
}

/* ---- filling: dead letters ---- */
static bool next_letter(struct weft_lane_replay *r, struct letter_place *ret_place)
{
    int found;

    if (r->has_ahead) {
        *ret_place = r->ahead;
        r->has_ahead = false;
        return true;
    }
    ret_place->stays = false;
    while (r->look > 0) {
        found = weft_letters_reader_look(r->letters, &r->filter, &ret_place->letter, &ret_place->sequence);
        r->is_stuck = found < 0;
        if (found != WEFT_LETTERS_PASSED_OVER)
            return found == 1;
        spend(r, PASS_OVER);
    }
    return false;
}

/* The lane's own words for the pipeline that a letter names. */
static const char *pipeline_of(const struct weft_lane *lane, struct weft_slice name)
{
    for (size_t i = 0; i < lane->n_readers; i++)
        if (weft_slice_is(name, lane->readers[i].source.pipeline))
            return lane->readers[i].source.pipeline;
    return "dead_letters";
}

/* A letter with a status was refused because of the request that it was in: it goes alone, so that one that is still refused
 * takes no other with it. */
static bool letter_fits(const struct weft_lane *lane, const struct weft_lane_batch *b, const struct weft_letter *l)
{
    const struct weft_batch *batch = &b->base;

    return batch->n_records == 0
           || (batch->n_records < LETTERS_A_BATCH && !l->status && !b->replay->places[0].letter.status && batch->signal == l->signal
               && batch->journal_id == l->journal_id && batch->n_items + l->n_items <= lane->batch_items
               && batch->n_bytes + l->body.len <= lane->batch_bytes);
}

static void add_letter(struct weft_lane *lane, struct weft_lane_batch *b, const struct letter_place *place)
{
    const struct weft_letter *l = &place->letter;
    struct weft_batch *batch = &b->base;

    if (batch->n_records == 0) {
        batch->signal = l->signal;
        batch->journal_id = l->journal_id;
        batch->pipeline = pipeline_of(lane, l->pipeline);
    }
    b->replay->places[batch->n_records] = *place;
    batch->records[batch->n_records++] = (struct weft_record){
        .sequence = l->sequence, .wall_ns = l->arrived_ns, .mono_ns = weft_clock_mono_ns(), .signal = l->signal,
        .n_items = l->n_items, .first_item = l->first_item, .payload = l->body,
    };
    batch->n_items += l->n_items;
    batch->n_bytes += l->body.len;
    b->last_sequence = place->sequence;
}

static void fill_with_letters(struct weft_lane *lane, struct weft_lane_batch *b)
{
    struct weft_lane_replay *r = b->replay;
    struct letter_place place;

    while (next_letter(r, &place)) {
        if (!letter_fits(lane, b, &place.letter)) {
            r->ahead = place;
            r->has_ahead = true;
            return;
        }
        add_letter(lane, b, &place);
    }
}

/* ---- filling: records ---- */
static bool in_range(const struct weft_replay_setup *s, const struct weft_record *record)
{
    return record->wall_ns >= s->since_ns && (!s->until_ns || record->wall_ns <= s->until_ns);
}

/* The next record of the source that is asked for; false also when the turn is over. Others are passed over, but not behind records in
 * hand: they would stay in the journal as long as those do. */
static bool next_record(struct weft_lane_replay *r, struct source *s, bool in_hand, struct weft_record *ret_record)
{
    int found = 0;

    if (s->has_ahead) {
        *ret_record = s->ahead;
        s->has_ahead = false;
        return true;
    }
    while (r->look > 0 && (found = weft_cursor_next(s->cursor, ret_record)) > 0 && ret_record->sequence <= s->last) {
        if (in_range(&r->setup, ret_record))
            return true;
        spend(r, PASS_OVER + ret_record->payload.len); /* which may have been read from a disk for its checksum */
        atomic_fetch_add_explicit(&r->seen_items, ret_record->n_items, memory_order_relaxed);
        if (in_hand)
            return false;
        weft_cursor_settle(s->cursor, ret_record->sequence);
    }
    r->is_stuck = found < 0;
    return false;
}

/* A batch that an expression is asked of is no larger than what a turn may look at. */
static bool record_fits(const struct weft_lane *lane, const struct weft_lane_batch *b, const struct weft_record *record)
{
    const struct weft_batch *batch = &b->base;
    uint64_t most = b->replay->setup.match && lane->batch_bytes > LOOK_A_TURN ? LOOK_A_TURN : lane->batch_bytes;

    return batch->n_records == 0
           || (batch->n_records < WEFT_LANE_RECORDS && batch->n_items + record->n_items <= lane->batch_items
               && batch->n_bytes + record->payload.len <= most);
}

static void fill_from(struct weft_lane *lane, struct weft_lane_batch *b, struct source *s)
{
    struct weft_batch *batch = &b->base;
    struct weft_record record;

    batch->signal = s->source.signal;
    batch->pipeline = s->source.pipeline;
    batch->journal_id = weft_journal_id(s->source.journal);
    while (next_record(b->replay, s, batch->n_records > 0, &record)) {
        if (!record_fits(lane, b, &record)) {
            s->ahead = record;
            s->has_ahead = true;
            return;
        }
        batch->records[batch->n_records++] = record;
        batch->n_items += record.n_items;
        batch->n_bytes += record.payload.len;
        b->last_sequence = record.sequence;
    }
}

static void fill_with_records(struct weft_lane *lane, struct weft_lane_batch *b)
{
    struct weft_lane_replay *r = b->replay;

    for (; r->at < r->n_sources; r->at++) {
        fill_from(lane, b, &r->sources[r->at]);
        if (b->base.n_records > 0 || turn_is_over(r))
            return;
    }
}

/* ---- picking ---- */
struct marks {
    struct weft_lane_replay *replay;
    uint8_t *states;
    uint64_t end;
};

static void mark(void *ctx, uint32_t item, bool matches)
{
    struct marks *m = ctx;

    if (matches || item >= m->end)
        return;
    m->states[item] = WEFT_ITEM_SENT;
    m->replay->passed_over++;
}

/* 0, or UV_ENOMEM: ask again. */
static int mark_what_is_not_picked(struct weft_lane_batch *b)
{
    struct weft_lane_replay *r = b->replay;
    uint64_t base = 0;

    if (r->marked)
        return 0;
    if (weft_lane_prepare(b))
        return UV_ENOMEM;
    r->passed_over = 0;
    for (size_t i = 0; r->setup.match && i < b->base.n_records; i++) {
        const struct weft_record *record = &b->base.records[i];
        struct marks marks = { r, b->base.item_state + base, record->n_items };
        weft_match_payload(r->setup.match, b->base.signal, record->payload, mark, &marks);
        base += record->n_items;
    }
    if (r->setup.match)
        spend(r, b->base.n_bytes);
    b->counted = b->counted_sent = r->passed_over;
    r->marked = true;
    return 0;
}

/* ---- what the lane asks ---- */
size_t weft_lane_replay_out(const struct weft_lane *lane)
{
    const struct weft_lane_replay *r = lane->replaying;

    return r && r->batch && r->batch->place == WEFT_LANE_OUT;
}

bool weft_lane_replay_is_due(const struct weft_lane *lane)
{
    return lane->replaying && lane->live_in_a_row + 1 >= WEFT_LANE_REPLAY_SHARE;
}

/* Fills an empty batch. False: there is nothing left, and the replay is done; or the turn is over. */
static bool fill_anew(struct weft_lane *lane, struct weft_lane_batch *b)
{
    struct weft_lane_replay *r = lane->replaying;

    b->replay = r;
    b->reader = NULL;
    b->place = WEFT_LANE_READY;
    r->batch = b;
    r->marked = false;
    if (r->setup.letters)
        fill_with_letters(lane, b);
    else
        fill_with_records(lane, b);
    if (b->base.n_records > 0)
        return true;
    if (!turn_is_over(r)) {
        end(lane, WEFT_REPLAY_DONE);
        return false;
    }
    weft_lane_put_batch(lane, b);
    r->batch = NULL;
    return false;
}

int weft_lane_replay_read(struct weft_lane *lane, struct weft_lane_batch **ret_batch)
{
    struct weft_lane_replay *r = lane->replaying;

    lane->replay_has_more = lane->replay_waits = false;
    if (!r || weft_lane_replay_out(lane))
        return 0;
    while (!turn_is_over(r)) {
        struct weft_lane_batch *b = r->batch ? r->batch : weft_lane_get_batch(lane);
        if (b && !r->batch && !fill_anew(lane, b))
            break;
        r->is_stuck = !b || mark_what_is_not_picked(b) != 0;
        if (r->is_stuck)
            break;
        if (b->counted < b->base.n_items) {
            lane->live_in_a_row = 0;
            *ret_batch = b;
            return 1;
        }
        weft_lane_replay_settle(lane, b); /* nothing of it is picked */
    }
    if (!lane->replaying)
        return 0; /* it has ended, and is main's now */
    lane->replay_waits = r->is_stuck;
    lane->replay_has_more = !r->is_stuck;
    return 0;
}

void weft_lane_replay_count(struct weft_lane *lane, struct weft_lane_batch *b, enum weft_replay_outcome outcome, uint64_t n)
{
    weft_lane_add(&lane->replayed[b->base.signal][outcome], n);
    weft_lane_add(&b->replay->outcomes[outcome], n);
}

bool weft_lane_replay_has_letters(const struct weft_lane_batch *b)
{
    return b->replay && b->replay->setup.letters;
}

void weft_lane_replay_leave_letter(struct weft_lane_batch *b, size_t record)
{
    b->replay->places[record].stays = true;
}

/* A letter leaves when every item of it was sent, or refused into a new letter. */
static void settle_letters(struct weft_lane *lane, struct weft_lane_batch *b)
{
    const uint8_t *state = b->base.item_state;

    for (size_t i = 0; i < b->base.n_records; i++) {
        const struct letter_place *place = &b->replay->places[i];
        if (!place->stays && !memchr(state, WEFT_ITEM_DROPPED, place->letter.n_items))
            weft_letters_remove(lane->letters, place->sequence, &place->letter, WEFT_LETTERS_REPLAYED);
        state += place->letter.n_items;
    }
    weft_letters_flush(lane->letters);
    weft_letters_reader_settle(b->replay->letters, b->last_sequence);
}

void weft_lane_replay_settle(struct weft_lane *lane, struct weft_lane_batch *b)
{
    struct weft_lane_replay *r = b->replay;

    if (r->setup.letters)
        settle_letters(lane, b);
    else
        weft_cursor_settle(r->sources[r->at].cursor, b->last_sequence);
    weft_lane_add(&r->seen_items, b->base.n_items);
    weft_lane_put_batch(lane, b);
    r->batch = NULL;
}

/* ---- main's side ---- */
static bool is_running(const struct weft_lane_replay *r)
{
    return r && atomic_load_explicit(&r->state, memory_order_acquire) == WEFT_REPLAY_RUNNING;
}

static int count_letters(struct weft_lane_replay *r, struct weft_letters *letters)
{
    struct weft_letters_reader *reader;
    struct weft_letter letter;
    uint64_t sequence;

    int err = weft_letters_reader_open(letters, &reader, 0);
    if (err)
        return err;
    while ((err = weft_letters_reader_next(reader, &r->filter, &letter, &sequence)) == 1) {
        r->total_items += letter.n_items;
        weft_letters_reader_settle(reader, sequence);
    }
    weft_letters_reader_close(reader);
    return err;
}

static int open_letters(struct weft_lane *lane, struct weft_lane_replay *r)
{
    if (!lane->letters)
        return WEFT_ERR_NOT_FOUND;
    r->filter = (struct weft_letters_filter){ *r->setup.reason ? r->setup.reason : NULL, r->setup.before_ns };
    r->places = calloc(LETTERS_A_BATCH, sizeof *r->places);
    if (!r->places)
        return UV_ENOMEM;
    int err = count_letters(r, lane->letters);
    return err ? err : weft_letters_reader_open(lane->letters, &r->letters, 0);
}

/* When the oldest record that is kept arrived; 0: there is none. */
static uint64_t oldest_wall_ns(struct weft_journal *journal)
{
    struct weft_cursor_options o = { .start = WEFT_CURSOR_OLDEST, .transient = true, .wake_fd = -1 };
    struct weft_record record = { .wall_ns = 0 };
    struct weft_cursor *c;

    if (weft_cursor_open(&c, journal, &o))
        return 0;
    int found = weft_cursor_next(c, &record);
    weft_cursor_close(c);
    return found > 0 ? record.wall_ns : 0;
}

/* What has gone before this process came to the journal has left no time behind: it is older than what is there. */
static void note_what_is_gone(struct weft_lane_replay *r, struct weft_journal *journal)
{
    struct weft_journal_stats s;

    weft_journal_stats(journal, &s);
    uint64_t gone = s.gone_wall_ns || s.first_sequence <= 1 ? s.gone_wall_ns : oldest_wall_ns(journal);
    if (gone >= r->setup.since_ns && gone > r->kept_since_ns)
        r->kept_since_ns = gone;
}

static int open_source(struct weft_lane_replay *r, const struct weft_lane_reader *reader)
{
    struct source *s = &r->sources[r->n_sources];
    struct weft_cursor_options o = { .start = WEFT_CURSOR_TIME, .from_wall_ns = r->setup.since_ns, .transient = true, .wake_fd = -1 };
    struct weft_cursor_stats live, mine;

    s->source = reader->source;
    int err = weft_cursor_open(&s->cursor, reader->source.journal, &o);
    if (err)
        return err;
    r->n_sources++;
    note_what_is_gone(r, reader->source.journal);
    weft_cursor_stats(s->cursor, &mine);
    weft_cursor_stats(reader->cursor, &live);
    s->last = live.settled_sequence;
    r->total_items += mine.waiting_items > live.waiting_items ? mine.waiting_items - live.waiting_items : 0;
    return 0;
}

static int open_sources(struct weft_lane *lane, struct weft_lane_replay *r)
{
    int err = 0;

    r->sources = calloc(lane->n_readers + 1, sizeof *r->sources);
    if (!r->sources)
        return UV_ENOMEM;
    for (size_t i = 0; i < lane->n_readers && !err; i++) {
        uv_mutex_lock(&lane->error_lock); /* one that has ended may be left meanwhile */
        err = lane->readers[i].cursor ? open_source(r, &lane->readers[i]) : 0;
        uv_mutex_unlock(&lane->error_lock);
    }
    return err;
}

int weft_lane_replay_begin(struct weft_lane *lane, const struct weft_replay_setup *setup)
{
    if (is_running(lane->replay))
        return UV_EBUSY;
    if (lane->joined || atomic_load_explicit(&lane->drain_until_ms, memory_order_relaxed))
        return WEFT_ERR_DRAINING;
    struct weft_lane_replay *r = calloc(1, sizeof *r);
    if (!r)
        return UV_ENOMEM;
    r->setup = *setup;
    r->number = lane->n_replays + 1;
    r->began_ns = weft_clock_wall_ns();
    int err = setup->letters ? open_letters(lane, r) : open_sources(lane, r);
    if (err) {
        r->setup.match = NULL; /* still the caller's */
        free_replay(r);
        return err;
    }
    free_replay(lane->replay);
    lane->replay = r;
    lane->n_replays++;
    atomic_store_explicit(&lane->replay_in, r, memory_order_release);
    weft_bell_ring(&lane->bell);
    return 0;
}

void weft_lane_replay_progress(const struct weft_lane *lane, struct weft_replay_progress *ret_progress)
{
    const struct weft_lane_replay *r = lane->replay;
    struct weft_replay_progress p = { .number = 0 };

    if (r) {
        p.state = (enum weft_replay_state)atomic_load_explicit(&r->state, memory_order_acquire);
        p.number = r->number;
        p.letters = r->setup.letters;
        p.total_items = r->total_items;
        p.kept_since_ns = r->kept_since_ns;
        p.began_ns = r->began_ns;
        p.ended_ns = atomic_load_explicit(&r->ended_ns, memory_order_relaxed);
        p.seen_items = atomic_load_explicit(&r->seen_items, memory_order_relaxed);
        p.expired_items = atomic_load_explicit(&r->expired_items, memory_order_relaxed);
        p.sent_items = count_of(r, WEFT_REPLAY_SENT);
        p.rejected_items = count_of(r, WEFT_REPLAY_REJECTED);
        p.dropped_items = count_of(r, WEFT_REPLAY_DROPPED);
    }
    *ret_progress = p;
}

void weft_lane_replay_cancel(struct weft_lane *lane)
{
    if (!is_running(lane->replay))
        return;
    atomic_store_explicit(&lane->replay->cancelled, true, memory_order_relaxed);
    weft_bell_ring(&lane->bell);
}

/* ---- closing ---- */
void weft_lane_replay_close(struct weft_lane *lane)
{
    if (!lane->replaying)
        lane->replaying = atomic_exchange_explicit(&lane->replay_in, NULL, memory_order_acquire);
    if (lane->replaying)
        end(lane, WEFT_REPLAY_STOPPED);
}

void weft_lane_replay_free(struct weft_lane *lane)
{
    free_replay(lane->replay);
    lane->replay = NULL;
}

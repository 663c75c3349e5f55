/* SPDX-License-Identifier: Apache-2.0 */
/* lane_batch.c: the life of a batch.
 *
 *   READY --send--> OUT --done(RETRY)--> READY
 *                    |---- any other ---> FINAL --all before it are FINAL--> settled, reused
 *
 * The payloads stay where they are, in the journal; a batch is a list of records and a byte per item. Batches
 * end in any order, but the cursor settles in the order of the records, so a FINAL one may wait in the list.
 * Batches and their arrays are reused: in a steady state nothing is allocated. */
#include "agent/lane_state.h"

#include <assert.h>
#include <stdlib.h>

/* ---- reading ---- */

static bool take_record(struct weft_lane_reader *reader, struct weft_record *ret_record)
{
    if (reader->has_ahead) {
        *ret_record = reader->ahead;
        reader->has_ahead = false;
        return true;
    }
    return weft_cursor_next(reader->cursor, ret_record) > 0;
}

static bool fits(const struct weft_lane *lane, const struct weft_batch *batch, const struct weft_record *r)
{
    return batch->n_records == 0
           || (batch->n_records < WEFT_LANE_RECORDS && batch->n_items + r->n_items <= lane->batch_items
               && batch->n_bytes + r->payload.len <= lane->batch_bytes);
}

static void put_back(struct weft_lane_reader *reader, const struct weft_record *r)
{
    reader->ahead = *r;
    reader->has_ahead = true;
}

static struct weft_lane_batch *last_batch(const struct weft_lane_reader *reader)
{
    struct weft_lane_batch *b = reader->first;

    while (b && b->next)
        b = b->next;
    return b;
}

/* A record without items only says how far a source was read. It is settled with the records before it: those in the batch that
 * is being filled, else those of the batch before, else now. */
static void step_over(struct weft_lane_batch *filling, struct weft_lane_reader *reader, uint64_t sequence)
{
    struct weft_lane_batch *b = filling->base.n_records > 0 ? filling : last_batch(reader);

    if (b)
        b->last_sequence = sequence;
    else
        weft_cursor_settle(reader->cursor, sequence);
}

/* Fills an empty batch. False: there was nothing. */
static bool fill(struct weft_lane *lane, struct weft_lane_batch *b, struct weft_lane_reader *reader)
{
    struct weft_batch *batch = &b->base;
    struct weft_record r;

    while (take_record(reader, &r)) {
        if (r.n_items == 0) {
            step_over(b, reader, r.sequence);
            continue;
        }
        if (!fits(lane, batch, &r)) {
            put_back(reader, &r);
            break;
        }
        batch->records[batch->n_records++] = r;
        batch->n_items += r.n_items;
        batch->n_bytes += r.payload.len;
        b->last_sequence = r.sequence;
        lane->n_read++;
    }
    return batch->n_records > 0;
}

enum { BATCH_BYTES = sizeof(struct weft_lane_batch) + WEFT_LANE_RECORDS * sizeof(struct weft_record) };

static struct weft_lane_batch *new_batch(const struct weft_lane *lane)
{
    if (!weft_account_take(lane->account, BATCH_BYTES))
        return NULL;

    struct weft_lane_batch *b = calloc(1, sizeof *b);
    struct weft_record *records = calloc(WEFT_LANE_RECORDS, sizeof *records);
    if (!b || !records) {
        free(records);
        free(b);
        weft_account_give(lane->account, BATCH_BYTES);
        return NULL;
    }
    b->base.records = records;
    b->account = lane->account;
    return b;
}

struct weft_lane_batch *weft_lane_get_batch(struct weft_lane *lane)
{
    struct weft_lane_batch *b = lane->free_batches;

    if (!b)
        return new_batch(lane);
    lane->free_batches = b->next;
    return b;
}

/* Empties a batch and keeps it for the next time. */
void weft_lane_put_batch(struct weft_lane *lane, struct weft_lane_batch *b)
{
    struct weft_record *records = b->base.records;
    uint8_t *states = b->base.item_state;
    size_t room = b->n_state_room;

    if (room > WEFT_LANE_KEPT_STATES) {
        free(states);
        weft_account_give(b->account, room);
        states = NULL;
        room = 0;
    }
    *b = (struct weft_lane_batch){ .base = { .records = records, .item_state = states }, .n_state_room = room,
                                    .account = lane->account };
    b->next = lane->free_batches;
    lane->free_batches = b;
}

int weft_lane_prepare(struct weft_lane_batch *b)
{
    size_t n = (size_t)b->base.n_items;

    if (b->prepared)
        return 0;
    if (n > b->n_state_room) {
        if (!weft_account_take(b->account, n - b->n_state_room))
            return UV_ENOMEM;
        uint8_t *states = realloc(b->base.item_state, n);
        if (!states) {
            weft_account_give(b->account, n - b->n_state_room);
            return UV_ENOMEM;
        }
        b->base.item_state = states;
        b->n_state_room = n;
    }
    if (n)
        memset(b->base.item_state, WEFT_ITEM_WAITING, n);
    b->prepared = true;
    return 0;
}

static void note_oldest(struct weft_lane_reader *reader)
{
    atomic_store_explicit(&reader->oldest_wall_ns, reader->first ? reader->first->base.records[0].wall_ns : 0,
                          memory_order_relaxed);
}

static void enlist(struct weft_lane *lane, struct weft_lane_batch *b, struct weft_lane_reader *reader)
{
    b->base.signal = reader->source.signal;
    b->base.pipeline = reader->source.pipeline;
    b->base.journal_id = weft_journal_id(reader->source.journal);
    b->reader = reader;
    b->place = WEFT_LANE_READY;
    b->next = NULL;
    *reader->last = b;
    reader->last = &b->next;
    lane->n_held++;
    note_oldest(reader);
}

int weft_lane_read(struct weft_lane *lane, struct weft_lane_batch **ret_batch)
{
    struct weft_lane_batch *b = weft_lane_get_batch(lane);

    if (!b)
        return UV_ENOMEM;
    for (size_t i = 0; i < lane->n_readers; i++) {
        struct weft_lane_reader *reader = &lane->readers[lane->turn];
        lane->turn = (lane->turn + 1) % lane->n_readers;
        if (!reader->cursor || !fill(lane, b, reader))
            continue;
        enlist(lane, b, reader);
        *ret_batch = b;
        return 1;
    }
    weft_lane_put_batch(lane, b);
    return 0;
}

struct weft_lane_batch *weft_lane_ready(const struct weft_lane *lane)
{
    for (size_t i = 0; i < lane->n_readers; i++)
        for (struct weft_lane_batch *b = lane->readers[i].first; b; b = b->next)
            if (b->place == WEFT_LANE_READY)
                return b;
    return NULL;
}

/* ---- outcomes ---- */

/* After the outcome was counted: who sees that these items do not wait any more must see what became of them. */
static void count(struct weft_lane_batch *b, uint64_t n)
{
    b->counted += n;
    if (b->reader)
        atomic_fetch_add_explicit(&b->reader->counted_items, n, memory_order_release);
}

static void count_sent(struct weft_lane *lane, struct weft_lane_batch *b, uint64_t n)
{
    if (b->replay)
        weft_lane_replay_count(lane, b, WEFT_REPLAY_SENT, n);
    else
        weft_lane_add(&lane->sent_items[b->base.signal], n);
    b->counted_sent += n;
    count(b, n);
}

void weft_lane_count_lost(struct weft_lane *lane, struct weft_lane_batch *b, enum weft_item_state state, const char *reason,
                          uint64_t n)
{
    if (n == 0)
        return;
    if (b->replay)
        weft_lane_replay_count(lane, b, state == WEFT_ITEM_REJECTED ? WEFT_REPLAY_REJECTED : WEFT_REPLAY_DROPPED, n);
    else
        weft_lane_lose(lane, state == WEFT_ITEM_REJECTED ? WEFT_LANE_FAILED : WEFT_LANE_DROPPED, b->base.signal, reason, n);
    count(b, n);
}

bool weft_lane_count_marked(struct weft_lane *lane, struct weft_lane_batch *b)
{
    uint64_t sent = 0;

    for (uint64_t i = 0; b->prepared && i < b->base.n_items; i++)
        sent += b->base.item_state[i] == WEFT_ITEM_SENT;
    if (sent > b->counted_sent)
        count_sent(lane, b, sent - b->counted_sent);
    return b->counted == b->base.n_items;
}

void weft_lane_judge(struct weft_lane *lane, struct weft_lane_batch *b, enum weft_item_state state, const char *reason,
                     const char *detail)
{
    if (state == WEFT_ITEM_SENT) {
        count_sent(lane, b, b->base.n_items - b->counted);
        return;
    }
    (void)weft_lane_count_marked(lane, b);
    (void)weft_lane_mark(lane, b, 0, b->base.n_items, state, reason, detail);
    weft_lane_end_letters(lane);
    weft_lane_count_lost(lane, b, state, reason, b->base.n_items - b->counted); /* what the exporter marked without a word */
}

/* A run of items that were waiting and are marked now. */
static void lose(struct weft_lane *lane, struct weft_lane_batch *b, uint64_t first, uint64_t n, enum weft_item_state state,
                 const char *reason, const char *detail)
{
    if (n > 0 && state == WEFT_ITEM_REJECTED && lane->letters)
        weft_lane_refuse(lane, b, first, n, reason, detail);
    else
        weft_lane_count_lost(lane, b, state, reason, n);
}

uint64_t weft_lane_mark(struct weft_lane *lane, struct weft_lane_batch *b, uint64_t first, uint64_t n,
                        enum weft_item_state state, const char *reason, const char *detail)
{
    uint64_t total = b->base.n_items, marked = 0, run = 0;
    uint64_t end = first < total && n < total - first ? first + n : total;

    for (uint64_t i = first; i < end; i++) {
        if (b->base.item_state[i] == WEFT_ITEM_WAITING) {
            b->base.item_state[i] = (uint8_t)state;
            run++;
            continue;
        }
        lose(lane, b, i - run, run, state, reason, detail);
        marked += run;
        run = 0;
    }
    if (run > 0)
        lose(lane, b, end - run, run, state, reason, detail);
    return marked + run;
}

/* ---- the end ---- */

void weft_lane_settle(struct weft_lane *lane, struct weft_lane_batch *b)
{
    struct weft_lane_reader *reader = b->reader;

    assert(b->counted == b->base.n_items);
    assert(b->base.exporter_data == NULL);
    b->place = WEFT_LANE_FINAL;
    if (b->replay) {
        weft_lane_replay_settle(lane, b);
        return;
    }
    lane->n_held--;
    while (reader->first && reader->first->place == WEFT_LANE_FINAL) {
        struct weft_lane_batch *done = reader->first;
        reader->first = done->next;
        if (!reader->first)
            reader->last = &reader->first;
        atomic_fetch_sub_explicit(&reader->counted_items, done->base.n_items, memory_order_relaxed);
        weft_cursor_settle(reader->cursor, done->last_sequence); /* last: figures may count twice, not miss */
        weft_lane_put_batch(lane, done);
    }
    note_oldest(reader);
}

static void free_list(struct weft_lane_batch *b)
{
    while (b) {
        struct weft_lane_batch *next = b->next;
        weft_account_give(b->account, BATCH_BYTES + b->n_state_room);
        free(b->base.records);
        free(b->base.item_state);
        free(b);
        b = next;
    }
}

void weft_lane_free_batches(struct weft_lane *lane)
{
    for (size_t i = 0; i < lane->n_readers; i++) {
        free_list(lane->readers[i].first);
        lane->readers[i].first = NULL;
        lane->readers[i].last = &lane->readers[i].first;
    }
    free_list(lane->free_batches);
    lane->free_batches = NULL;
    lane->n_held = 0;
}

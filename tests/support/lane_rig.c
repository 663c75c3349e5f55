/* SPDX-License-Identifier: Apache-2.0 */
/* lane_rig.c: see lane_rig.h. Each item of a record is its sequence. */
#include "tests/support/lane_rig.h"

#include "tests/support/await.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint64_t waiting_in(const struct weft_batch *b)
{
    uint64_t n = 0;

    for (uint64_t i = 0; i < b->n_items; i++)
        n += b->item_state[i] == WEFT_ITEM_WAITING;
    return n;
}

static void deliver(struct moody *f, struct weft_batch *b)
{
    uint64_t n = waiting_in(b);

    if (b->attempt == 0) {
        if (b->records[0].sequence <= f->last_sequence)
            f->out_of_order = true;
        f->last_sequence = b->records[b->n_records - 1].sequence;
    }
    f->delivered += n;
    b->sent_bytes += b->n_bytes;
    f->base.host->done(&f->base, b, WEFT_SENT, NULL, NULL, 0);
}

static void put_off(struct moody *f, struct weft_batch *b)
{
    f->base.host->done(&f->base, b, WEFT_RETRY, "http_503", "no shards available", 0);
}

static void starve(struct moody *f, struct weft_batch *b)
{
    f->base.host->done(&f->base, b, WEFT_RETRY, WEFT_REASON_MEMORY, "no room", 0);
}

static void hold(struct moody *f, struct weft_batch *b)
{
    assert_true(f->n_held < LANE_RIG_HELD);
    f->held[f->n_held++] = b;
    if (f->n_held > f->max_held)
        f->max_held = (unsigned)f->n_held;
}

static void judge(struct moody *f, struct weft_batch *b)
{
    if (b->attempt > 0) {
        deliver(f, b);
        return;
    }
    for (uint64_t i = 0; i < b->n_items; i++) {
        if (i % 3 == 0) {
            f->base.host->reject(&f->base, b, i, 1, "mapping", "field [x] is not a number");
            f->refused++;
        } else if (i % 3 == 1) {
            b->item_state[i] = WEFT_ITEM_SENT;
            f->delivered++;
        }
    }
    put_off(f, b);
}

static void refuse(struct moody *f, struct weft_batch *b)
{
    f->refused += waiting_in(b);
    f->base.host->done(&f->base, b, WEFT_REJECTED, "http_400", "bad request", 0);
}

static void drop_first(struct moody *f, struct weft_batch *b)
{
    f->left_out += b->item_state[0] == WEFT_ITEM_WAITING;
    f->base.host->drop(&f->base, b, 0, 1, "temporality");
    deliver(f, b);
}

static void be_moody(struct moody *f, struct weft_batch *b)
{
    unsigned mood = (unsigned)rand_r(&f->seed) % 12;

    if (mood == 0)
        refuse(f, b);
    else if (mood == 1)
        drop_first(f, b);
    else if (mood < 5)
        judge(f, b);
    else if (mood < 7)
        put_off(f, b);
    else if (mood < 9)
        hold(f, b);
    else
        deliver(f, b);
}

static void on_timer(uv_timer_t *timer)
{
    struct moody *f = timer->data;

    if (f->n_held == 0 || f->mood == HANGS || (f->mood == FIRST_HANGS && !f->release))
        return;
    /* The newest first: batches end in another order than they began. */
    struct weft_batch *b = f->held[--f->n_held];
    uint64_t n = waiting_in(b);
    f->delivered += n;
    f->base.host->done(&f->base, b, WEFT_SENT, NULL, NULL, 0);
}

static int fake_start(struct weft_exporter *self)
{
    struct moody *f = (struct moody *)self;

    (void)uv_timer_init(self->loop, &f->timer);
    f->timer.data = f;
    f->timer_open = true;
    return f->start_result ? f->start_result : uv_timer_start(&f->timer, on_timer, 1, 1);
}

static void fake_send(struct weft_exporter *self, struct weft_batch *b)
{
    struct moody *f = (struct moody *)self;

    f->n_sends++;
    if (b->n_items > f->largest_items)
        f->largest_items = b->n_items;
    if (b->n_records > f->largest_records)
        f->largest_records = b->n_records;
    switch (atomic_load(&f->mood)) {
    case SENDS:       deliver(f, b); break;
    case SENDS_LATER: hold(f, b); break;
    case HANGS:       hold(f, b); break;
    case FIRST_HANGS: b->records[0].sequence == 1 ? hold(f, b) : deliver(f, b); break;
    case FAILS:       b->exporter_data = f->note; put_off(f, b); break;
    case FAILS_TWICE: b->attempt < 2 ? put_off(f, b) : deliver(f, b); break;
    case STARVES:     starve(f, b); break;
    case REFUSES:     refuse(f, b); break;
    case JUDGES:      judge(f, b); break;
    case DROPS:       drop_first(f, b); break;
    default:          be_moody(f, b); break;
    }
}

static void fake_forget(struct weft_exporter *self, struct weft_batch *b)
{
    struct moody *f = (struct moody *)self;

    f->n_forgotten += b->exporter_data != NULL;
    b->exporter_data = NULL;
}

static void fake_stop(struct weft_exporter *self)
{
    struct moody *f = (struct moody *)self;

    while (f->n_held > 0)
        put_off(f, f->held[--f->n_held]);
    if (f->timer_open)
        uv_close((uv_handle_t *)&f->timer, NULL);
    f->timer_open = false;
    f->stopped = true;
}

const struct weft_exporter_type moody_one_at_a_time = {
    .name = "fake", .size = sizeof(struct moody), .start = fake_start, .send = fake_send, .forget = fake_forget,
    .stop = fake_stop
};
const struct weft_exporter_type moody_four_at_once = {
    .name = "fake", .size = sizeof(struct moody), .start = fake_start, .send = fake_send, .forget = fake_forget,
    .stop = fake_stop, .concurrency = 4
};
const struct weft_exporter_type moody_local = {
    .name = "fake", .size = sizeof(struct moody), .start = fake_start, .send = fake_send, .forget = fake_forget,
    .stop = fake_stop, .local = true
};

/* ---- one journal, one or two lanes ---- */
struct weft_journal *lane_rig_journal(void)
{
    struct weft_journal *j = NULL;

    assert_int_equal(weft_journal_open(&j, &(struct weft_journal_options){ .name = "logs", .max_size = LANE_RIG_SIZE }), 0);
    return j;
}

int lane_rig_append(struct weft_journal *j, size_t len, uint32_t n_items)
{
    uint8_t bytes[4096] = { 0 };
    struct weft_record r = { .signal = WEFT_LOGS, .n_items = n_items, .payload = weft_slice_of(bytes, len) };

    return weft_journal_append(j, &r, NULL);
}

struct weft_lane_config lane_rig_config(void)
{
    return (struct weft_lane_config){ .retry_enabled = true, .initial_interval = 1, .max_interval = 3,
                                      .breaker_threshold = 0, .breaker_open = 1 };
}

struct moody moody_of(const struct weft_exporter_type *type, enum mood mood)
{
    return (struct moody){ .base = { .type = type, .id = "es/fake" }, .mood = mood, .seed = 11 };
}

struct weft_lane *lane_rig_open(struct moody *f, struct weft_journal *j, struct weft_lane_config config)
{
    struct weft_lane_source source = { .pipeline = "logs", .journal = j, .signal = WEFT_LOGS };
    struct weft_lane_setup setup = { .exporter = &f->base, .config = &config, .sources = &source, .n_sources = 1 };
    struct weft_lane *lane = NULL;

    assert_int_equal(weft_lane_open(&lane, &setup), 0);
    return lane;
}

struct weft_lane *lane_rig_start(struct moody *f, struct weft_journal *j, struct weft_lane_config config)
{
    struct weft_lane *lane = lane_rig_open(f, j, config);

    assert_int_equal(weft_lane_start(lane), 0);
    return lane;
}

struct weft_lane_stats lane_rig_stats(struct weft_lane *lane)
{
    struct weft_lane_stats s;

    weft_lane_stats(lane, &s);
    return s;
}

uint64_t lane_rig_lost(const struct weft_lane_stats *s, enum weft_lane_loss loss, const char *word)
{
    uint64_t n = 0;

    for (size_t i = 0; i < s->n_reasons; i++)
        if (s->reasons[i].loss == loss && (!word || strcmp(s->reasons[i].word, word) == 0))
            n += s->reasons[i].items;
    return n;
}

uint64_t lane_rig_accounted(const struct weft_lane_stats *s)
{
    return s->sent_items[WEFT_LOGS] + lane_rig_lost(s, WEFT_LANE_FAILED, NULL) + lane_rig_lost(s, WEFT_LANE_DROPPED, NULL)
           + s->waiting_items;
}

void lane_rig_finish(struct weft_lane *lane, struct weft_lane_left *ret_left, int result)
{
    weft_lane_drain(lane, weft_clock_mono_ms() + (result ? 1 : PATIENCE_MS));
    assert_int_equal(weft_lane_join(lane, ret_left), result);
}

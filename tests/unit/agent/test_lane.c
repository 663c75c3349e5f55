/* SPDX-License-Identifier: Apache-2.0 */
/* Lanes with exporters that are dead, slow, choosy or moody: what they cost whom, and that every item is accounted for. */
#include "agent/lane.h"
#include "core/clock.h"
#include "core/err.h"

#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

enum { MIB = 1 << 20, PATIENCE_MS = 20000, HELD = 64 };

/* ---- a back end that does what it is told; each item of a record is its sequence ---- */
enum mood {
    SENDS,          /* at once */
    SENDS_LATER,    /* from a timer */
    FAILS,          /* every time */
    FAILS_TWICE,    /* then sends */
    HANGS,          /* keeps the batch until it is stopped */
    FIRST_HANGS,    /* keeps the very first batch until it is released */
    REFUSES,        /* for good */
    JUDGES,         /* item by item: refuses, accepts, puts off; the rest is sent at the second attempt */
    DROPS,          /* leaves the first item out */
    STARVES,        /* has no memory for a request */
    MOODY,          /* any of it */
};

struct fake {
    struct weft_exporter base;
    _Atomic int mood;
    int start_result;
    uv_timer_t timer;
    bool timer_open, stopped;
    struct weft_batch *held[HELD];
    size_t n_held;
    unsigned seed;
    _Atomic unsigned n_sends, n_forgotten, max_held;
    _Atomic uint64_t delivered, refused, left_out; /* items, as the back end saw them */
    _Atomic uint64_t largest_items, largest_records;
    _Atomic bool out_of_order;
    uint64_t last_sequence;
    _Atomic bool release;
    char *note;                                    /* exporter_data of any batch */
};

static uint64_t waiting_in(const struct weft_batch *b)
{
    uint64_t n = 0;

    for (uint64_t i = 0; i < b->n_items; i++)
        n += b->item_state[i] == WEFT_ITEM_WAITING;
    return n;
}

static void deliver(struct fake *f, struct weft_batch *b)
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

static void put_off(struct fake *f, struct weft_batch *b)
{
    f->base.host->done(&f->base, b, WEFT_RETRY, "http_503", "no shards available", 0);
}

static void starve(struct fake *f, struct weft_batch *b)
{
    f->base.host->done(&f->base, b, WEFT_RETRY, WEFT_REASON_MEMORY, "no room", 0);
}

static void hold(struct fake *f, struct weft_batch *b)
{
    assert_true(f->n_held < HELD);
    f->held[f->n_held++] = b;
    if (f->n_held > f->max_held)
        f->max_held = (unsigned)f->n_held;
}

static void judge(struct fake *f, struct weft_batch *b)
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

static void refuse(struct fake *f, struct weft_batch *b)
{
    f->refused += waiting_in(b);
    f->base.host->done(&f->base, b, WEFT_REJECTED, "http_400", "bad request", 0);
}

static void drop_first(struct fake *f, struct weft_batch *b)
{
    f->left_out += b->item_state[0] == WEFT_ITEM_WAITING;
    f->base.host->drop(&f->base, b, 0, 1, "temporality");
    deliver(f, b);
}

static void be_moody(struct fake *f, struct weft_batch *b)
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
    struct fake *f = timer->data;

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
    struct fake *f = (struct fake *)self;

    (void)uv_timer_init(self->loop, &f->timer);
    f->timer.data = f;
    f->timer_open = true;
    return f->start_result ? f->start_result : uv_timer_start(&f->timer, on_timer, 1, 1);
}

static void fake_send(struct weft_exporter *self, struct weft_batch *b)
{
    struct fake *f = (struct fake *)self;

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
    struct fake *f = (struct fake *)self;

    f->n_forgotten += b->exporter_data != NULL;
    b->exporter_data = NULL;
}

static void fake_stop(struct weft_exporter *self)
{
    struct fake *f = (struct fake *)self;

    while (f->n_held > 0)
        put_off(f, f->held[--f->n_held]);
    if (f->timer_open)
        uv_close((uv_handle_t *)&f->timer, NULL);
    f->timer_open = false;
    f->stopped = true;
}

static const struct weft_exporter_type one_at_a_time = {
    .name = "fake", .size = sizeof(struct fake), .start = fake_start, .send = fake_send, .forget = fake_forget,
    .stop = fake_stop
};
static const struct weft_exporter_type four_at_once = {
    .name = "fake", .size = sizeof(struct fake), .start = fake_start, .send = fake_send, .forget = fake_forget,
    .stop = fake_stop, .concurrency = 4
};
static const struct weft_exporter_type local_one = {
    .name = "fake", .size = sizeof(struct fake), .start = fake_start, .send = fake_send, .forget = fake_forget,
    .stop = fake_stop, .local = true
};

/* ---- one journal, one or two lanes ---- */
static struct weft_journal *open_journal(void)
{
    struct weft_journal *j = NULL;

    assert_int_equal(weft_journal_open(&j, &(struct weft_journal_options){ .name = "logs", .max_size = MIB }), 0);
    return j;
}

static int append(struct weft_journal *j, size_t len, uint32_t n_items)
{
    uint8_t bytes[4096] = { 0 };
    struct weft_record r = { .signal = WEFT_LOGS, .n_items = n_items, .payload = weft_slice_of(bytes, len) };

    return weft_journal_append(j, &r, NULL);
}

static struct weft_lane_config quick(void)
{
    return (struct weft_lane_config){ .retry_enabled = true, .initial_interval = 1, .max_interval = 3,
                                      .breaker_threshold = 0, .breaker_open = 1 };
}

static struct fake fake_of(const struct weft_exporter_type *type, enum mood mood)
{
    return (struct fake){ .base = { .type = type, .id = "es/fake" }, .mood = mood, .seed = 11 };
}

static struct weft_lane *open_lane(struct fake *f, struct weft_journal *j, struct weft_lane_config config)
{
    struct weft_lane_source source = { .pipeline = "logs", .journal = j, .signal = WEFT_LOGS };
    struct weft_lane_setup setup = { .exporter = &f->base, .config = &config, .sources = &source, .n_sources = 1 };
    struct weft_lane *lane = NULL;

    assert_int_equal(weft_lane_open(&lane, &setup), 0);
    return lane;
}

static struct weft_lane *start_lane(struct fake *f, struct weft_journal *j, struct weft_lane_config config)
{
    struct weft_lane *lane = open_lane(f, j, config);

    assert_int_equal(weft_lane_start(lane), 0);
    return lane;
}

static struct weft_lane_stats stats_of(struct weft_lane *lane)
{
    struct weft_lane_stats s;

    weft_lane_stats(lane, &s);
    return s;
}

static uint64_t lost(const struct weft_lane_stats *s, enum weft_lane_loss loss, const char *word)
{
    uint64_t n = 0;

    for (size_t i = 0; i < s->n_reasons; i++)
        if (s->reasons[i].loss == loss && (!word || strcmp(s->reasons[i].word, word) == 0))
            n += s->reasons[i].items;
    return n;
}

static uint64_t accounted(const struct weft_lane_stats *s)
{
    return s->sent_items[WEFT_LOGS] + lost(s, WEFT_LANE_FAILED, NULL) + lost(s, WEFT_LANE_DROPPED, NULL)
           + s->waiting_items;
}

/* Looks again and again until `what` holds or patience ends. */
#define AWAIT(what)                                                        \
    do {                                                                   \
        uint64_t give_up = weft_clock_mono_ms() + PATIENCE_MS;             \
        while (!(what)) {                                                  \
            if (weft_clock_mono_ms() > give_up)                            \
                fail_msg("waited in vain for: %s", #what);                 \
            sched_yield();                                                 \
        }                                                                  \
    } while (0)

static void finish(struct weft_lane *lane, struct weft_lane_left *ret_left, int result)
{
    weft_lane_drain(lane, weft_clock_mono_ms() + (result ? 1 : PATIENCE_MS));
    assert_int_equal(weft_lane_join(lane, ret_left), result);
}

/* ---- the tests ---- */

static void every_record_is_sent_in_order_and_the_sum_adds_up(void **state)
{
    (void)state;
    struct weft_journal *j = open_journal();
    struct fake f = fake_of(&one_at_a_time, SENDS);
    struct weft_lane *lane = start_lane(&f, j, quick());

    for (int i = 0; i < 5000; i++)
        AWAIT(append(j, 100, 3) == 0);
    finish(lane, NULL, 0);
    struct weft_lane_stats s = stats_of(lane);
    assert_int_equal(f.delivered, 15000);
    assert_false(f.out_of_order);
    assert_int_equal(s.sent_items[WEFT_LOGS], 15000);
    assert_int_equal(s.sent_bytes[WEFT_LOGS], 500000);
    assert_int_equal(s.duration_count, f.n_sends);
    assert_int_equal(s.waiting_items, 0);
    assert_int_equal(accounted(&s), 15000);
    assert_true(f.stopped);
    weft_lane_free(lane);
    weft_journal_close(j);
}

/* They only say how far a source was read, anywhere between, before and behind those that are sent. */
static void records_without_items_are_passed_and_never_sent(void **state)
{
    (void)state;
    struct weft_journal *j = open_journal();
    struct fake f = fake_of(&four_at_once, SENDS);
    uint64_t records = 0, chance = 7;

    struct weft_lane *lane = open_lane(&f, j, quick());
    for (int i = 0; i < 5; i++, records++)
        assert_int_equal(append(j, 0, 0), 0);
    assert_int_equal(weft_lane_start(lane), 0);
    AWAIT(weft_journal_settled(j) == records); /* nothing to send: settled all the same */
    assert_int_equal(f.n_sends, 0);
    for (int i = 0; i < 3000; i++, records++) {
        chance = chance * 6364136223846793005u + 1442695040888963407u;
        const bool empty = chance >> 62 != 0;
        AWAIT(append(j, empty ? 0 : 50, empty ? 0 : 2) == 0);
    }
    AWAIT(weft_journal_settled(j) == records);
    struct weft_lane_stats s = stats_of(lane);
    assert_int_equal(s.waiting_records, 0);
    assert_int_equal(f.delivered, s.sent_items[WEFT_LOGS]);
    assert_true(f.delivered > 1000 && f.delivered < 2000);
    finish(lane, NULL, 0);
    weft_lane_free(lane);
    weft_journal_close(j);
}

static void a_batch_holds_what_is_there_up_to_its_limits(void **state)
{
    const struct { const char *what; int64_t items; uint64_t bytes; uint64_t most_items, most_records; } cases[] = {
        { "by items",                    10, 0,    9,    3 },  /* three records of three items */
        { "by bytes",                    0,  1050, 30,   10 },
        { "one record is over a limit",  2,  0,    3,    1 },
        { "one record is over in bytes", 0,  50,   3,    1 },
        { "all that is there",           0,  0,    3000, 1000 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct weft_journal *j = open_journal();
        struct fake f = fake_of(&one_at_a_time, SENDS);
        struct weft_lane_config config = quick();
        config.batch_items = cases[i].items;
        config.batch_bytes = cases[i].bytes;
        struct weft_lane *lane = open_lane(&f, j, config);
        for (int n = 0; n < 1000; n++)
            assert_int_equal(append(j, 100, 3), 0);
        assert_int_equal(weft_lane_start(lane), 0);
        finish(lane, NULL, 0);
        if (f.largest_items != cases[i].most_items || f.largest_records != cases[i].most_records || f.delivered != 3000)
            fail_msg("%s: %lu items in %lu records", cases[i].what, (unsigned long)f.largest_items,
                     (unsigned long)f.largest_records);
        weft_lane_free(lane);
        weft_journal_close(j);
    }
}

static void a_failure_that_passes_is_tried_again_and_nothing_is_lost_or_sent_twice(void **state)
{
    (void)state;
    struct weft_journal *j = open_journal();
    struct fake f = fake_of(&four_at_once, FAILS_TWICE);
    struct weft_lane_config config = quick();
    config.batch_items = 10;
    struct weft_lane *lane = start_lane(&f, j, config);

    for (int i = 0; i < 50; i++)
        assert_int_equal(append(j, 100, 2), 0);
    finish(lane, NULL, 0);
    struct weft_lane_stats s = stats_of(lane);
    assert_int_equal(f.delivered, 100);
    assert_int_equal(s.sent_items[WEFT_LOGS], 100);
    assert_int_equal(s.retries[WEFT_LOGS] * 3, 2 * f.n_sends);
    weft_lane_free(lane);
    weft_journal_close(j);
}

static void items_are_judged_one_by_one(void **state)
{
    (void)state;
    struct weft_journal *j = open_journal();
    struct fake f = fake_of(&one_at_a_time, JUDGES);
    struct weft_lane *lane = start_lane(&f, j, quick());

    for (int i = 0; i < 100; i++)
        assert_int_equal(append(j, 10, 7), 0);
    finish(lane, NULL, 0);
    struct weft_lane_stats s = stats_of(lane);
    assert_int_equal(f.delivered + f.refused, 700);
    assert_true(f.refused >= 233);
    assert_int_equal(s.sent_items[WEFT_LOGS], f.delivered);
    assert_int_equal(lost(&s, WEFT_LANE_FAILED, "mapping"), f.refused);
    assert_int_equal(accounted(&s), 700);
    weft_lane_free(lane);
    weft_journal_close(j);
}

static void what_is_refused_for_good_or_left_out_is_counted_by_reason_and_passed(void **state)
{
    const struct { enum mood mood; enum weft_lane_loss loss; const char *word; } cases[] = {
        { REFUSES, WEFT_LANE_FAILED, "http_400" },
        { DROPS, WEFT_LANE_DROPPED, "temporality" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct weft_journal *j = open_journal();
        struct fake f = fake_of(&one_at_a_time, cases[i].mood);
        struct weft_lane *lane = start_lane(&f, j, quick());
        for (int n = 0; n < 10; n++)
            assert_int_equal(append(j, 10, 4), 0);
        finish(lane, NULL, 0);
        struct weft_lane_stats s = stats_of(lane);
        assert_int_equal(lost(&s, cases[i].loss, cases[i].word), f.refused + f.left_out);
        assert_true(f.refused + f.left_out > 0);
        assert_int_equal(accounted(&s), 40);
        weft_lane_free(lane);
        weft_journal_close(j);
    }
}

static void a_batch_is_given_up_only_where_the_configuration_says_so(void **state)
{
    struct { const char *word; bool enabled; uint64_t max_elapsed; } cases[] = {
        { "retry_disabled",   false, 0 },
        { "max_elapsed_time", true,  5 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct weft_journal *j = open_journal();
        char note[] = "exporter's own";
        struct fake f = fake_of(&one_at_a_time, FAILS);
        f.note = note;
        struct weft_lane_config config = quick();
        config.retry_enabled = cases[i].enabled;
        config.max_elapsed_time = cases[i].max_elapsed;
        struct weft_lane *lane = start_lane(&f, j, config);
        assert_int_equal(append(j, 10, 4), 0);
        AWAIT(stats_of(lane).waiting_items == 0);
        struct weft_lane_stats s = stats_of(lane);
        if (lost(&s, WEFT_LANE_DROPPED, cases[i].word) != 4 || f.n_forgotten != 1)
            fail_msg("%s: %u forgotten", cases[i].word, f.n_forgotten);
        f.mood = SENDS;
        assert_int_equal(append(j, 10, 5), 0);
        finish(lane, NULL, 0);
        s = stats_of(lane);
        assert_int_equal(s.sent_items[WEFT_LOGS], 5);
        assert_int_equal(accounted(&s), 9);
        weft_lane_free(lane);
        weft_journal_close(j);
    }
}

/* Nothing was sent, so the back end is not blamed and nothing is given up, even where nothing is tried twice. */
static void an_exporter_without_memory_waits_and_no_breaker_hears_of_it(void **state)
{
    (void)state;
    struct weft_journal *j = open_journal();
    struct fake f = fake_of(&one_at_a_time, STARVES);
    struct weft_lane_config config = quick();
    config.retry_enabled = false;
    config.breaker_threshold = 1;
    struct weft_lane *lane = start_lane(&f, j, config);

    assert_int_equal(append(j, 10, 4), 0);
    AWAIT(f.n_sends >= 2);
    struct weft_lane_stats s = stats_of(lane);
    assert_int_equal(s.breaker, WEFT_BREAKER_CLOSED);
    assert_int_equal(s.waiting_items, 4);
    f.mood = SENDS;
    finish(lane, NULL, 0);
    s = stats_of(lane);
    assert_int_equal(s.sent_items[WEFT_LOGS], 4);
    assert_int_equal(lost(&s, WEFT_LANE_DROPPED, NULL), 0);
    weft_lane_free(lane);
    weft_journal_close(j);
}

static void a_dead_lane_does_not_slow_the_other_until_the_journal_is_full(void **state)
{
    (void)state;
    struct weft_journal *j = open_journal();
    struct fake dead = fake_of(&one_at_a_time, FAILS), healthy = fake_of(&one_at_a_time, SENDS);
    struct weft_lane_config config = quick();
    config.breaker_threshold = 5;
    config.breaker_open = 3600000;
    dead.base.id = "es/dead";
    struct weft_lane *dead_lane = start_lane(&dead, j, config), *healthy_lane = start_lane(&healthy, j, quick());
    unsigned n = 1;

    assert_int_equal(append(j, 1000, 1), 0);
    AWAIT(stats_of(dead_lane).breaker == WEFT_BREAKER_OPEN);
    while (append(j, 1000, 1) == 0)
        n++;
    assert_true(n > 800);
    AWAIT(healthy.delivered == n);
    assert_int_equal(dead.n_sends, 5); /* the breaker: not one request more */
    assert_int_equal(stats_of(dead_lane).waiting_items, n);
    AWAIT(stats_of(healthy_lane).waiting_items == 0);

    struct weft_lane_left left;
    finish(dead_lane, &left, WEFT_ERR_TIMEOUT);
    assert_int_equal(left.items, n);
    assert_int_equal(left.records, n);
    struct weft_lane_stats s = stats_of(dead_lane);
    assert_int_equal(lost(&s, WEFT_LANE_DROPPED, "shutdown"), n);
    assert_int_equal(append(j, 1000, 1), WEFT_ERR_FULL); /* its place holds on */
    assert_int_equal(weft_journal_release(j, "es/dead"), 0);
    assert_int_equal(append(j, 1000, 1), 0);
    finish(healthy_lane, NULL, 0);
    assert_int_equal(healthy.delivered, n + 1);
    weft_lane_free(dead_lane);
    weft_lane_free(healthy_lane);
    weft_journal_close(j);
}

static void a_lane_that_skips_never_fills_the_journal_and_counts_what_it_lost(void **state)
{
    (void)state;
    struct weft_journal *j = open_journal();
    struct fake f = fake_of(&one_at_a_time, FAILS);
    struct weft_lane_config config = quick();
    config.on_full = WEFT_ON_FULL_SKIP;
    config.batch_items = 10;
    struct weft_lane *lane = start_lane(&f, j, config);

    assert_int_equal(append(j, 1000, 1), 0);
    AWAIT(f.n_sends > 0);
    for (int i = 0; i < 10000; i++)
        assert_int_equal(append(j, 1000, 1), 0);
    struct weft_lane_stats s = stats_of(lane);
    assert_true(lost(&s, WEFT_LANE_DROPPED, "skipped") > 8000);
    f.mood = SENDS;
    finish(lane, NULL, 0);
    s = stats_of(lane);
    assert_int_equal(s.sent_items[WEFT_LOGS], f.delivered);
    assert_int_equal(accounted(&s), 10001);
    weft_lane_free(lane);
    weft_journal_close(j);
}

static void batches_that_end_in_any_order_are_settled_in_order(void **state)
{
    (void)state;
    struct weft_journal *j = open_journal();
    struct fake f = fake_of(&four_at_once, SENDS_LATER);
    struct weft_lane_config config = quick();
    config.batch_items = 2;
    struct weft_lane *lane = start_lane(&f, j, config);

    for (int i = 0; i < 100; i++)
        assert_int_equal(append(j, 100, 1), 0);
    finish(lane, NULL, 0);
    struct weft_lane_stats s = stats_of(lane);
    assert_int_equal(f.delivered, 100);
    assert_true(f.max_held > 1 && f.max_held <= 4);
    assert_int_equal(accounted(&s), 100);
    weft_lane_free(lane);
    weft_journal_close(j);
}

static void the_cursor_does_not_pass_a_batch_that_is_out(void **state)
{
    (void)state;
    struct weft_journal *j = open_journal();
    struct fake f = fake_of(&four_at_once, FIRST_HANGS);
    struct weft_lane_config config = quick();
    config.batch_items = 2;
    struct weft_lane *lane = start_lane(&f, j, config);

    for (int i = 0; i < 100; i++)
        assert_int_equal(append(j, 100, 1), 0);
    AWAIT(stats_of(lane).sent_items[WEFT_LOGS] >= 98);
    struct weft_lane_stats s = stats_of(lane);
    assert_int_equal(s.waiting_records, 100);
    assert_int_equal(s.waiting_items, 100 - s.sent_items[WEFT_LOGS]);
    f.release = true;
    AWAIT(stats_of(lane).waiting_records == 0);
    finish(lane, NULL, 0);
    assert_int_equal(f.delivered, 100);
    weft_lane_free(lane);
    weft_journal_close(j);
}

static void what_hangs_at_the_deadline_is_counted_and_what_was_sent_is_not(void **state)
{
    (void)state;
    struct weft_journal *j = open_journal();
    struct fake f = fake_of(&four_at_once, HANGS);
    struct weft_lane_config config = quick();
    struct weft_lane_left left = { 0 };
    config.batch_items = 2;
    struct weft_lane *lane = start_lane(&f, j, config);

    for (int i = 0; i < 20; i++)
        assert_int_equal(append(j, 100, 1), 0);
    AWAIT(stats_of(lane).in_flight == 4);
    assert_int_equal(stats_of(lane).waiting_items, 20);
    finish(lane, &left, WEFT_ERR_TIMEOUT);
    struct weft_lane_stats s = stats_of(lane);
    assert_int_equal(left.items, 20);
    assert_int_equal(accounted(&s), 20);
    assert_int_equal(weft_lane_join(lane, &left), WEFT_ERR_TIMEOUT); /* idempotent */
    weft_lane_free(lane);
    weft_journal_close(j);
}

static void ask_until_all_is_sent(void *lane)
{
    while (stats_of(lane).sent_items[WEFT_LOGS] < 100)
        sched_yield();
}

static void figures_live_until_the_drain_is_over(void **state)
{
    (void)state;
    struct weft_journal *j = open_journal();
    struct fake f = fake_of(&four_at_once, SENDS_LATER);
    struct weft_lane_config config = quick();
    uv_thread_t reader;
    config.batch_items = 2;
    struct weft_lane *lane = start_lane(&f, j, config);

    assert_int_equal(uv_thread_create(&reader, ask_until_all_is_sent, lane), 0);
    for (int i = 0; i < 100; i++)
        assert_int_equal(append(j, 100, 1), 0);
    weft_lane_drain(lane, weft_clock_mono_ms() + PATIENCE_MS);
    weft_lane_wait(lane);
    uv_thread_join(&reader); /* it saw the last one go, or would never end */
    weft_lane_wait(lane);
    assert_int_equal(weft_lane_join(lane, NULL), 0);
    struct weft_lane_stats s = stats_of(lane);
    assert_int_equal(s.capacity_bytes, MIB);
    assert_int_equal(s.busy_ms, 0);
    assert_int_equal(accounted(&s), 100);
    weft_lane_free(lane);
    weft_journal_close(j);
}

static void an_exporter_that_cannot_start_hands_its_error_back(void **state)
{
    (void)state;
    struct weft_journal *j = open_journal();
    struct fake f = fake_of(&one_at_a_time, SENDS);
    f.start_result = UV_EADDRINUSE;
    struct weft_lane *lane = open_lane(&f, j, quick());

    assert_int_equal(weft_lane_start(lane), UV_EADDRINUSE);
    assert_true(f.stopped);
    weft_lane_free(lane);
    lane = open_lane(&f, j, quick()); /* never started */
    weft_lane_free(lane);
    weft_lane_free(NULL);
    weft_journal_close(j);
}

static void an_exporter_without_a_back_end_has_no_breaker(void **state)
{
    (void)state;
    struct weft_journal *j = open_journal();
    struct fake f = fake_of(&local_one, FAILS_TWICE);
    struct weft_lane_config config = quick();
    config.breaker_threshold = 1;
    struct weft_lane *lane = start_lane(&f, j, config);

    assert_int_equal(append(j, 100, 1), 0);
    AWAIT(f.delivered == 1);
    assert_false(stats_of(lane).has_breaker);
    finish(lane, NULL, 0);
    weft_lane_free(lane);
    weft_journal_close(j);
}

static uint64_t cpu_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void a_lane_that_waits_uses_no_cpu(void **state)
{
    const struct { const char *what; enum mood mood; const struct weft_exporter_type *type; } cases[] = {
        { "for a batch that is out, with more to read", HANGS, &one_at_a_time },
        { "for batches that are out, with slots free",  FIRST_HANGS, &four_at_once },
        { "for the backoff, with more to read",         FAILS, &one_at_a_time },
        { "for the backoff, with slots free",           FAILS, &four_at_once },
        { "for records",                                SENDS, &one_at_a_time },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct weft_journal *j = open_journal();
        struct fake f = fake_of(cases[i].type, cases[i].mood);
        struct weft_lane_config config = quick();
        config.initial_interval = config.max_interval = 3600000;
        config.batch_items = 2;
        struct weft_lane *lane = start_lane(&f, j, config);
        for (int n = 0; n < 20; n++)
            assert_int_equal(append(j, 100, 1), 0);
        AWAIT(f.n_sends > 0);
        uint64_t before = cpu_ms();
        (void)poll(NULL, 0, 300);
        uint64_t used = cpu_ms() - before; /* the fake's timer ticks each millisecond */
        if (used > 60)
            fail_msg("%s: %lu of 300 ms", cases[i].what, (unsigned long)used);
        weft_lane_free(lane);
        weft_journal_close(j);
    }
}

static void one_lane_reads_several_pipelines_in_turn(void **state)
{
    (void)state;
    struct weft_journal *a = open_journal(), *b = open_journal();
    struct fake f = fake_of(&one_at_a_time, SENDS);
    struct weft_lane_config config = quick();
    struct weft_lane_source sources[] = { { .pipeline = "logs/a", .journal = a, .signal = WEFT_LOGS },
                                          { .pipeline = "traces/b", .journal = b, .signal = WEFT_TRACES } };
    struct weft_lane_setup setup = { .exporter = &f.base, .config = &config, .sources = sources, .n_sources = 2 };
    struct weft_lane *lane = NULL;

    assert_int_equal(weft_lane_open(&lane, &setup), 0);
    assert_int_equal(weft_lane_start(lane), 0);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(append(a, 10, 1), 0);
        assert_int_equal(append(b, 10, 2), 0);
    }
    finish(lane, NULL, 0);
    struct weft_lane_stats s = stats_of(lane);
    assert_int_equal(s.sent_items[WEFT_LOGS], 100);
    assert_int_equal(s.sent_items[WEFT_TRACES], 200);
    assert_true(s.has_signal[WEFT_TRACES] && !s.has_signal[WEFT_METRICS]);
    weft_lane_free(lane);
    weft_journal_close(a);
    weft_journal_close(b);
}

static void whatever_a_moody_back_end_does_the_sum_adds_up(void **state)
{
    (void)state;
    struct weft_journal *j = open_journal();
    struct fake f = fake_of(&four_at_once, MOODY);
    struct weft_lane_config config = quick();
    config.batch_items = 50;
    struct weft_lane *lane = start_lane(&f, j, config);
    uint64_t accepted = 0;

    for (uint32_t i = 0; i < 3000; i++) {
        uint32_t n_items = 1 + i % 17;
        AWAIT(append(j, 200, n_items) == 0);
        accepted += n_items;
    }
    finish(lane, NULL, 0);
    struct weft_lane_stats s = stats_of(lane);
    assert_int_equal(accounted(&s), accepted);
    assert_int_equal(s.sent_items[WEFT_LOGS], f.delivered);
    assert_int_equal(lost(&s, WEFT_LANE_FAILED, NULL), f.refused);
    assert_int_equal(lost(&s, WEFT_LANE_DROPPED, NULL), f.left_out);
    assert_true(s.retries[WEFT_LOGS] > 0);
    weft_lane_free(lane);
    weft_journal_close(j);
}

static void every_series_is_there_from_the_start(void **state)
{
    (void)state;
    struct weft_journal *j = open_journal();
    struct fake f = fake_of(&one_at_a_time, SENDS);
    struct weft_lane *lane = open_lane(&f, j, quick());
    struct weft_lane_stats s = stats_of(lane);

    assert_int_equal(s.n_reasons, 5);
    assert_int_equal(accounted(&s), 0);
    assert_int_equal(s.capacity_bytes, MIB);
    assert_string_equal(weft_lane_id(lane), "es/fake");
    weft_lane_free(lane);
    weft_journal_close(j);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_record_is_sent_in_order_and_the_sum_adds_up),
        cmocka_unit_test(records_without_items_are_passed_and_never_sent),
        cmocka_unit_test(a_batch_holds_what_is_there_up_to_its_limits),
        cmocka_unit_test(a_failure_that_passes_is_tried_again_and_nothing_is_lost_or_sent_twice),
        cmocka_unit_test(items_are_judged_one_by_one),
        cmocka_unit_test(what_is_refused_for_good_or_left_out_is_counted_by_reason_and_passed),
        cmocka_unit_test(a_batch_is_given_up_only_where_the_configuration_says_so),
        cmocka_unit_test(an_exporter_without_memory_waits_and_no_breaker_hears_of_it),
        cmocka_unit_test(a_dead_lane_does_not_slow_the_other_until_the_journal_is_full),
        cmocka_unit_test(a_lane_that_skips_never_fills_the_journal_and_counts_what_it_lost),
        cmocka_unit_test(batches_that_end_in_any_order_are_settled_in_order),
        cmocka_unit_test(the_cursor_does_not_pass_a_batch_that_is_out),
        cmocka_unit_test(what_hangs_at_the_deadline_is_counted_and_what_was_sent_is_not),
        cmocka_unit_test(figures_live_until_the_drain_is_over),
        cmocka_unit_test(an_exporter_that_cannot_start_hands_its_error_back),
        cmocka_unit_test(an_exporter_without_a_back_end_has_no_breaker),
        cmocka_unit_test(a_lane_that_waits_uses_no_cpu),
        cmocka_unit_test(one_lane_reads_several_pipelines_in_turn),
        cmocka_unit_test(whatever_a_moody_back_end_does_the_sum_adds_up),
        cmocka_unit_test(every_series_is_there_from_the_start),
    };

    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Lanes with exporters that are dead, slow or choosy: what they cost whom, and that every item is accounted for. */
#include "core/clock.h"
#include "core/err.h"
#include "tests/support/await.h"
#include "tests/support/lane_rig.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <time.h>

#include <cmocka.h>

static void every_record_is_sent_in_order_and_the_sum_adds_up(void **state)
{
    (void)state;
    struct weft_journal *j = lane_rig_journal();
    struct moody f = moody_of(&moody_one_at_a_time, SENDS);
    struct weft_lane *lane = lane_rig_start(&f, j, lane_rig_config());

    for (int i = 0; i < 5000; i++)
        AWAIT(lane_rig_append(j, 100, 3) == 0);
    lane_rig_finish(lane, NULL, 0);
    struct weft_lane_stats s = lane_rig_stats(lane);
    assert_int_equal(f.delivered, 15000);
    assert_false(f.out_of_order);
    assert_int_equal(s.sent_items[WEFT_LOGS], 15000);
    assert_int_equal(s.sent_bytes[WEFT_LOGS], 500000);
    assert_int_equal(s.duration_count, f.n_sends);
    assert_int_equal(s.waiting_items, 0);
    assert_int_equal(lane_rig_accounted(&s), 15000);
    assert_true(f.stopped);
    weft_lane_free(lane);
    weft_journal_close(j);
}

/* They only say how far a source was read, anywhere between, before and behind those that are sent. */
static void records_without_items_are_passed_and_never_sent(void **state)
{
    (void)state;
    struct weft_journal *j = lane_rig_journal();
    struct moody f = moody_of(&moody_four_at_once, SENDS);
    uint64_t records = 0, chance = 7;

    struct weft_lane *lane = lane_rig_open(&f, j, lane_rig_config());
    for (int i = 0; i < 5; i++, records++)
        assert_int_equal(lane_rig_append(j, 0, 0), 0);
    assert_int_equal(weft_lane_start(lane), 0);
    AWAIT(weft_journal_settled(j) == records); /* nothing to send: settled all the same */
    assert_int_equal(f.n_sends, 0);
    for (int i = 0; i < 3000; i++, records++) {
        chance = chance * 6364136223846793005u + 1442695040888963407u;
        const bool empty = chance >> 62 != 0;
        AWAIT(lane_rig_append(j, empty ? 0 : 50, empty ? 0 : 2) == 0);
    }
    AWAIT(weft_journal_settled(j) == records);
    struct weft_lane_stats s = lane_rig_stats(lane);
    assert_int_equal(s.waiting_records, 0);
    assert_int_equal(f.delivered, s.sent_items[WEFT_LOGS]);
    assert_true(f.delivered > 1000 && f.delivered < 2000);
    lane_rig_finish(lane, NULL, 0);
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
        struct weft_journal *j = lane_rig_journal();
        struct moody f = moody_of(&moody_one_at_a_time, SENDS);
        struct weft_lane_config config = lane_rig_config();
        config.batch_items = cases[i].items;
        config.batch_bytes = cases[i].bytes;
        struct weft_lane *lane = lane_rig_open(&f, j, config);
        for (int n = 0; n < 1000; n++)
            assert_int_equal(lane_rig_append(j, 100, 3), 0);
        assert_int_equal(weft_lane_start(lane), 0);
        lane_rig_finish(lane, NULL, 0);
        if (f.largest_items != cases[i].most_items || f.largest_records != cases[i].most_records || f.delivered != 3000)
            fail_msg("%s: %lu items in %lu records", cases[i].what, (unsigned long)f.largest_items,
                     (unsigned long)f.largest_records);
        weft_lane_free(lane);
        weft_journal_close(j);
    }
}

static void a_dead_lane_does_not_slow_the_other_until_the_journal_is_full(void **state)
{
    (void)state;
    struct weft_journal *j = lane_rig_journal();
    struct moody dead = moody_of(&moody_one_at_a_time, FAILS), healthy = moody_of(&moody_one_at_a_time, SENDS);
    struct weft_lane_config config = lane_rig_config();
    config.breaker_threshold = 5;
    config.breaker_open = 3600000;
    dead.base.id = "es/dead";
    struct weft_lane *dead_lane = lane_rig_start(&dead, j, config), *healthy_lane = lane_rig_start(&healthy, j, lane_rig_config());
    unsigned n = 1;

    assert_int_equal(lane_rig_append(j, 1000, 1), 0);
    AWAIT(lane_rig_stats(dead_lane).breaker == WEFT_BREAKER_OPEN);
    while (lane_rig_append(j, 1000, 1) == 0)
        n++;
    assert_true(n > 800);
    AWAIT(healthy.delivered == n);
    assert_int_equal(dead.n_sends, 5); /* the breaker: not one request more */
    assert_int_equal(lane_rig_stats(dead_lane).waiting_items, n);
    AWAIT(lane_rig_stats(healthy_lane).waiting_items == 0);

    struct weft_lane_left left;
    lane_rig_finish(dead_lane, &left, WEFT_ERR_TIMEOUT);
    assert_int_equal(left.items, n);
    assert_int_equal(left.records, n);
    struct weft_lane_stats s = lane_rig_stats(dead_lane);
    assert_int_equal(lane_rig_lost(&s, WEFT_LANE_DROPPED, "shutdown"), n);
    assert_int_equal(lane_rig_append(j, 1000, 1), WEFT_ERR_FULL); /* its place holds on */
    assert_int_equal(weft_journal_release(j, "es/dead"), 0);
    assert_int_equal(lane_rig_append(j, 1000, 1), 0);
    lane_rig_finish(healthy_lane, NULL, 0);
    assert_int_equal(healthy.delivered, n + 1);
    weft_lane_free(dead_lane);
    weft_lane_free(healthy_lane);
    weft_journal_close(j);
}

static void a_lane_that_skips_never_fills_the_journal_and_counts_what_it_lost(void **state)
{
    (void)state;
    struct weft_journal *j = lane_rig_journal();
    struct moody f = moody_of(&moody_one_at_a_time, FAILS);
    struct weft_lane_config config = lane_rig_config();
    config.on_full = WEFT_ON_FULL_SKIP;
    config.batch_items = 10;
    struct weft_lane *lane = lane_rig_start(&f, j, config);

    assert_int_equal(lane_rig_append(j, 1000, 1), 0);
    AWAIT(f.n_sends > 0);
    for (int i = 0; i < 10000; i++)
        assert_int_equal(lane_rig_append(j, 1000, 1), 0);
    struct weft_lane_stats s = lane_rig_stats(lane);
    assert_true(lane_rig_lost(&s, WEFT_LANE_DROPPED, "skipped") > 8000);
    f.mood = SENDS;
    lane_rig_finish(lane, NULL, 0);
    s = lane_rig_stats(lane);
    assert_int_equal(s.sent_items[WEFT_LOGS], f.delivered);
    assert_int_equal(lane_rig_accounted(&s), 10001);
    weft_lane_free(lane);
    weft_journal_close(j);
}

static void batches_that_end_in_any_order_are_settled_in_order(void **state)
{
    (void)state;
    struct weft_journal *j = lane_rig_journal();
    struct moody f = moody_of(&moody_four_at_once, SENDS_LATER);
    struct weft_lane_config config = lane_rig_config();
    config.batch_items = 2;
    struct weft_lane *lane = lane_rig_start(&f, j, config);

    for (int i = 0; i < 100; i++)
        assert_int_equal(lane_rig_append(j, 100, 1), 0);
    lane_rig_finish(lane, NULL, 0);
    struct weft_lane_stats s = lane_rig_stats(lane);
    assert_int_equal(f.delivered, 100);
    assert_true(f.max_held > 1 && f.max_held <= 4);
    assert_int_equal(lane_rig_accounted(&s), 100);
    weft_lane_free(lane);
    weft_journal_close(j);
}

static void the_cursor_does_not_pass_a_batch_that_is_out(void **state)
{
    (void)state;
    struct weft_journal *j = lane_rig_journal();
    struct moody f = moody_of(&moody_four_at_once, FIRST_HANGS);
    struct weft_lane_config config = lane_rig_config();
    config.batch_items = 2;
    struct weft_lane *lane = lane_rig_start(&f, j, config);

    for (int i = 0; i < 100; i++)
        assert_int_equal(lane_rig_append(j, 100, 1), 0);
    AWAIT(lane_rig_stats(lane).sent_items[WEFT_LOGS] >= 98);
    struct weft_lane_stats s = lane_rig_stats(lane);
    assert_int_equal(s.waiting_records, 100);
    assert_int_equal(s.waiting_items, 100 - s.sent_items[WEFT_LOGS]);
    f.release = true;
    AWAIT(lane_rig_stats(lane).waiting_records == 0);
    lane_rig_finish(lane, NULL, 0);
    assert_int_equal(f.delivered, 100);
    weft_lane_free(lane);
    weft_journal_close(j);
}

static void what_hangs_at_the_deadline_is_counted_and_what_was_sent_is_not(void **state)
{
    (void)state;
    struct weft_journal *j = lane_rig_journal();
    struct moody f = moody_of(&moody_four_at_once, HANGS);
    struct weft_lane_config config = lane_rig_config();
    struct weft_lane_left left = { 0 };
    config.batch_items = 2;
    struct weft_lane *lane = lane_rig_start(&f, j, config);

    for (int i = 0; i < 20; i++)
        assert_int_equal(lane_rig_append(j, 100, 1), 0);
    AWAIT(lane_rig_stats(lane).in_flight == 4);
    assert_int_equal(lane_rig_stats(lane).waiting_items, 20);
    lane_rig_finish(lane, &left, WEFT_ERR_TIMEOUT);
    struct weft_lane_stats s = lane_rig_stats(lane);
    assert_int_equal(left.items, 20);
    assert_int_equal(lane_rig_accounted(&s), 20);
    assert_int_equal(weft_lane_join(lane, &left), WEFT_ERR_TIMEOUT); /* idempotent */
    weft_lane_free(lane);
    weft_journal_close(j);
}

static void ask_until_all_is_sent(void *lane)
{
    while (lane_rig_stats(lane).sent_items[WEFT_LOGS] < 100)
        sched_yield();
}

static void figures_live_until_the_drain_is_over(void **state)
{
    (void)state;
    struct weft_journal *j = lane_rig_journal();
    struct moody f = moody_of(&moody_four_at_once, SENDS_LATER);
    struct weft_lane_config config = lane_rig_config();
    uv_thread_t reader;
    config.batch_items = 2;
    struct weft_lane *lane = lane_rig_start(&f, j, config);

    assert_int_equal(uv_thread_create(&reader, ask_until_all_is_sent, lane), 0);
    for (int i = 0; i < 100; i++)
        assert_int_equal(lane_rig_append(j, 100, 1), 0);
    weft_lane_drain(lane, weft_clock_mono_ms() + PATIENCE_MS);
    weft_lane_wait(lane);
    uv_thread_join(&reader); /* it saw the last one go, or would never end */
    weft_lane_wait(lane);
    assert_int_equal(weft_lane_join(lane, NULL), 0);
    struct weft_lane_stats s = lane_rig_stats(lane);
    assert_int_equal(s.capacity_bytes, LANE_RIG_SIZE);
    assert_int_equal(s.busy_ms, 0);
    assert_int_equal(lane_rig_accounted(&s), 100);
    weft_lane_free(lane);
    weft_journal_close(j);
}

static void an_exporter_that_cannot_start_hands_its_error_back(void **state)
{
    (void)state;
    struct weft_journal *j = lane_rig_journal();
    struct moody f = moody_of(&moody_one_at_a_time, SENDS);
    f.start_result = UV_EADDRINUSE;
    struct weft_lane *lane = lane_rig_open(&f, j, lane_rig_config());

    assert_int_equal(weft_lane_start(lane), UV_EADDRINUSE);
    assert_true(f.stopped);
    weft_lane_free(lane);
    lane = lane_rig_open(&f, j, lane_rig_config()); /* never started */
    weft_lane_free(lane);
    weft_lane_free(NULL);
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
        { "for a batch that is out, with more to read", HANGS, &moody_one_at_a_time },
        { "for batches that are out, with slots free",  FIRST_HANGS, &moody_four_at_once },
        { "for the backoff, with more to read",         FAILS, &moody_one_at_a_time },
        { "for the backoff, with slots free",           FAILS, &moody_four_at_once },
        { "for records",                                SENDS, &moody_one_at_a_time },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct weft_journal *j = lane_rig_journal();
        struct moody f = moody_of(cases[i].type, cases[i].mood);
        struct weft_lane_config config = lane_rig_config();
        config.initial_interval = config.max_interval = 3600000;
        config.batch_items = 2;
        struct weft_lane *lane = lane_rig_start(&f, j, config);
        for (int n = 0; n < 20; n++)
            assert_int_equal(lane_rig_append(j, 100, 1), 0);
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

/* The lane's clock counts whole milliseconds, two from one request to the next. */
static void only_requests_that_have_room_left_keep_a_pace(void **state)
{
    enum { SLOW = 20, FAST = 4000 }; /* at the pace the fast ones would take eight seconds; they take a few hundredths of that */
    (void)state;
    struct weft_journal *j = lane_rig_journal();
    struct moody f = moody_of(&moody_one_at_a_time, SENDS);
    struct weft_lane *lane = lane_rig_start(&f, j, lane_rig_config());
    uint64_t began = weft_clock_mono_ms();
    for (unsigned i = 1; i <= SLOW; i++) {
        assert_int_equal(lane_rig_append(j, 100, 1), 0);
        AWAIT(f.n_sends == i);
    }
    assert_true(weft_clock_mono_ms() - began >= (SLOW - 1) * 2 - 2);
    weft_lane_free(lane);

    struct moody full = moody_of(&moody_one_at_a_time, SENDS);
    struct weft_lane_config config = lane_rig_config();
    config.batch_items = 1;
    config.journal_start = WEFT_CURSOR_TAIL;
    lane = lane_rig_open(&full, j, config);
    for (int i = 0; i < FAST; i++)
        assert_int_equal(lane_rig_append(j, 100, 1), 0);
    began = weft_clock_mono_ms();
    assert_int_equal(weft_lane_start(lane), 0);
    AWAIT(full.n_sends == FAST);
    assert_true(weft_clock_mono_ms() - began < FAST * 2);
    weft_lane_free(lane);
    weft_journal_close(j);
}

static void one_lane_reads_several_pipelines_in_turn(void **state)
{
    (void)state;
    struct weft_journal *a = lane_rig_journal(), *b = lane_rig_journal();
    struct moody f = moody_of(&moody_one_at_a_time, SENDS);
    struct weft_lane_config config = lane_rig_config();
    struct weft_lane_source sources[] = { { .pipeline = "logs/a", .journal = a, .signal = WEFT_LOGS },
                                          { .pipeline = "traces/b", .journal = b, .signal = WEFT_TRACES } };
    struct weft_lane_setup setup = { .exporter = &f.base, .config = &config, .sources = sources, .n_sources = 2 };
    struct weft_lane *lane = NULL;

    assert_int_equal(weft_lane_open(&lane, &setup), 0);
    assert_int_equal(weft_lane_start(lane), 0);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(lane_rig_append(a, 10, 1), 0);
        assert_int_equal(lane_rig_append(b, 10, 2), 0);
    }
    lane_rig_finish(lane, NULL, 0);
    struct weft_lane_stats s = lane_rig_stats(lane);
    assert_int_equal(s.sent_items[WEFT_LOGS], 100);
    assert_int_equal(s.sent_items[WEFT_TRACES], 200);
    assert_true(s.has_signal[WEFT_TRACES] && !s.has_signal[WEFT_METRICS]);
    weft_lane_free(lane);
    weft_journal_close(a);
    weft_journal_close(b);
}

static void every_series_is_there_from_the_start(void **state)
{
    (void)state;
    struct weft_journal *j = lane_rig_journal();
    struct moody f = moody_of(&moody_one_at_a_time, SENDS);
    struct weft_lane *lane = lane_rig_open(&f, j, lane_rig_config());
    struct weft_lane_stats s = lane_rig_stats(lane);

    assert_int_equal(s.n_reasons, 5);
    assert_int_equal(lane_rig_accounted(&s), 0);
    assert_int_equal(s.capacity_bytes, LANE_RIG_SIZE);
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
        cmocka_unit_test(a_dead_lane_does_not_slow_the_other_until_the_journal_is_full),
        cmocka_unit_test(a_lane_that_skips_never_fills_the_journal_and_counts_what_it_lost),
        cmocka_unit_test(batches_that_end_in_any_order_are_settled_in_order),
        cmocka_unit_test(the_cursor_does_not_pass_a_batch_that_is_out),
        cmocka_unit_test(what_hangs_at_the_deadline_is_counted_and_what_was_sent_is_not),
        cmocka_unit_test(figures_live_until_the_drain_is_over),
        cmocka_unit_test(an_exporter_that_cannot_start_hands_its_error_back),
        cmocka_unit_test(a_lane_that_waits_uses_no_cpu),
        cmocka_unit_test(only_requests_that_have_room_left_keep_a_pace),
        cmocka_unit_test(one_lane_reads_several_pipelines_in_turn),
        cmocka_unit_test(every_series_is_there_from_the_start),
    };

    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

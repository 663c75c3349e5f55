/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of a batch: tried again, judged item by item, refused, left out or given up, and every item is accounted for. */
#include "tests/support/await.h"
#include "tests/support/lane_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void a_failure_that_passes_is_tried_again_and_nothing_is_lost_or_sent_twice(void **state)
{
    (void)state;
    struct weft_journal *j = lane_rig_journal();
    struct moody f = moody_of(&moody_four_at_once, FAILS_TWICE);
    struct weft_lane_config config = lane_rig_config();
    config.batch_items = 10;
    struct weft_lane *lane = lane_rig_start(&f, j, config);

    for (int i = 0; i < 50; i++)
        assert_int_equal(lane_rig_append(j, 100, 2), 0);
    lane_rig_finish(lane, NULL, 0);
    struct weft_lane_stats s = lane_rig_stats(lane);
    assert_int_equal(f.delivered, 100);
    assert_int_equal(s.sent_items[WEFT_LOGS], 100);
    assert_int_equal(s.retries[WEFT_LOGS] * 3, 2 * f.n_sends);
    weft_lane_free(lane);
    weft_journal_close(j);
}

static void items_are_judged_one_by_one(void **state)
{
    (void)state;
    struct weft_journal *j = lane_rig_journal();
    struct moody f = moody_of(&moody_one_at_a_time, JUDGES);
    struct weft_lane *lane = lane_rig_start(&f, j, lane_rig_config());

    for (int i = 0; i < 100; i++)
        assert_int_equal(lane_rig_append(j, 10, 7), 0);
    lane_rig_finish(lane, NULL, 0);
    struct weft_lane_stats s = lane_rig_stats(lane);
    assert_int_equal(f.delivered + f.refused, 700);
    assert_true(f.refused >= 233);
    assert_int_equal(s.sent_items[WEFT_LOGS], f.delivered);
    assert_int_equal(lane_rig_lost(&s, WEFT_LANE_FAILED, "mapping"), f.refused);
    assert_int_equal(lane_rig_accounted(&s), 700);
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
        struct weft_journal *j = lane_rig_journal();
        struct moody f = moody_of(&moody_one_at_a_time, cases[i].mood);
        struct weft_lane *lane = lane_rig_start(&f, j, lane_rig_config());
        for (int n = 0; n < 10; n++)
            assert_int_equal(lane_rig_append(j, 10, 4), 0);
        lane_rig_finish(lane, NULL, 0);
        struct weft_lane_stats s = lane_rig_stats(lane);
        assert_int_equal(lane_rig_lost(&s, cases[i].loss, cases[i].word), f.refused + f.left_out);
        assert_true(f.refused + f.left_out > 0);
        assert_int_equal(lane_rig_accounted(&s), 40);
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
        struct weft_journal *j = lane_rig_journal();
        char note[] = "exporter's own";
        struct moody f = moody_of(&moody_one_at_a_time, FAILS);
        f.note = note;
        struct weft_lane_config config = lane_rig_config();
        config.retry_enabled = cases[i].enabled;
        config.max_elapsed_time = cases[i].max_elapsed;
        struct weft_lane *lane = lane_rig_start(&f, j, config);
        assert_int_equal(lane_rig_append(j, 10, 4), 0);
        AWAIT(lane_rig_stats(lane).waiting_items == 0);
        struct weft_lane_stats s = lane_rig_stats(lane);
        if (lane_rig_lost(&s, WEFT_LANE_DROPPED, cases[i].word) != 4 || f.n_forgotten != 1)
            fail_msg("%s: %u forgotten", cases[i].word, f.n_forgotten);
        f.mood = SENDS;
        assert_int_equal(lane_rig_append(j, 10, 5), 0);
        lane_rig_finish(lane, NULL, 0);
        s = lane_rig_stats(lane);
        assert_int_equal(s.sent_items[WEFT_LOGS], 5);
        assert_int_equal(lane_rig_accounted(&s), 9);
        weft_lane_free(lane);
        weft_journal_close(j);
    }
}

/* Nothing was sent, so the back end is not blamed and nothing is given up, even where nothing is tried twice. */
static void an_exporter_without_memory_waits_and_no_breaker_hears_of_it(void **state)
{
    (void)state;
    struct weft_journal *j = lane_rig_journal();
    struct moody f = moody_of(&moody_one_at_a_time, STARVES);
    struct weft_lane_config config = lane_rig_config();
    config.retry_enabled = false;
    config.breaker_threshold = 1;
    struct weft_lane *lane = lane_rig_start(&f, j, config);

    assert_int_equal(lane_rig_append(j, 10, 4), 0);
    AWAIT(f.n_sends >= 2);
    struct weft_lane_stats s = lane_rig_stats(lane);
    assert_int_equal(s.breaker, WEFT_BREAKER_CLOSED);
    assert_int_equal(s.waiting_items, 4);
    f.mood = SENDS;
    lane_rig_finish(lane, NULL, 0);
    s = lane_rig_stats(lane);
    assert_int_equal(s.sent_items[WEFT_LOGS], 4);
    assert_int_equal(lane_rig_lost(&s, WEFT_LANE_DROPPED, NULL), 0);
    weft_lane_free(lane);
    weft_journal_close(j);
}

static void an_exporter_without_a_back_end_has_no_breaker(void **state)
{
    (void)state;
    struct weft_journal *j = lane_rig_journal();
    struct moody f = moody_of(&moody_local, FAILS_TWICE);
    struct weft_lane_config config = lane_rig_config();
    config.breaker_threshold = 1;
    struct weft_lane *lane = lane_rig_start(&f, j, config);

    assert_int_equal(lane_rig_append(j, 100, 1), 0);
    AWAIT(f.delivered == 1);
    assert_false(lane_rig_stats(lane).has_breaker);
    lane_rig_finish(lane, NULL, 0);
    weft_lane_free(lane);
    weft_journal_close(j);
}

static void whatever_a_moody_back_end_does_the_sum_adds_up(void **state)
{
    (void)state;
    struct weft_journal *j = lane_rig_journal();
    struct moody f = moody_of(&moody_four_at_once, MOODY);
    struct weft_lane_config config = lane_rig_config();
    config.batch_items = 50;
    struct weft_lane *lane = lane_rig_start(&f, j, config);
    uint64_t accepted = 0;

    for (uint32_t i = 0; i < 3000; i++) {
        uint32_t n_items = 1 + i % 17;
        AWAIT(lane_rig_append(j, 200, n_items) == 0);
        accepted += n_items;
    }
    lane_rig_finish(lane, NULL, 0);
    struct weft_lane_stats s = lane_rig_stats(lane);
    assert_int_equal(lane_rig_accounted(&s), accepted);
    assert_int_equal(s.sent_items[WEFT_LOGS], f.delivered);
    assert_int_equal(lane_rig_lost(&s, WEFT_LANE_FAILED, NULL), f.refused);
    assert_int_equal(lane_rig_lost(&s, WEFT_LANE_DROPPED, NULL), f.left_out);
    assert_true(s.retries[WEFT_LOGS] > 0);
    weft_lane_free(lane);
    weft_journal_close(j);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failure_that_passes_is_tried_again_and_nothing_is_lost_or_sent_twice),
        cmocka_unit_test(items_are_judged_one_by_one),
        cmocka_unit_test(what_is_refused_for_good_or_left_out_is_counted_by_reason_and_passed),
        cmocka_unit_test(a_batch_is_given_up_only_where_the_configuration_says_so),
        cmocka_unit_test(an_exporter_without_memory_waits_and_no_breaker_hears_of_it),
        cmocka_unit_test(an_exporter_without_a_back_end_has_no_breaker),
        cmocka_unit_test(whatever_a_moody_back_end_does_the_sum_adds_up),
    };

    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

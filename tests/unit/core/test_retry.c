/* SPDX-License-Identifier: Apache-2.0 */
/* Backoff, breaker and Retry-After as tables: time and randomness are numbers here. */
#include "core/retry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct weft_retry_options defaults = {
    .initial_ms = 1000, .max_ms = 30000, .breaker_threshold = 5, .breaker_open_ms = 30000
};

static struct weft_retry machine(struct weft_retry_options options)
{
    struct weft_retry r;

    weft_retry_init(&r, &options);
    return r;
}

static void a_new_machine_sends_at_once(void **state)
{
    (void)state;
    struct weft_retry r = machine(defaults);

    assert_int_equal(weft_retry_wait_ms(&r, 0, false), 0);
    assert_int_equal(weft_retry_wait_ms(&r, 0, false), 0);
    assert_int_equal(r.breaker, WEFT_BREAKER_CLOSED);
}

static void the_wait_is_uniform_up_to_a_ceiling_that_doubles(void **state)
{
    const uint64_t ceilings[] = { 1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000 };
    struct weft_retry_options options = defaults;

    (void)state;
    options.breaker_threshold = 0;
    struct weft_retry longest = machine(options), shortest = machine(options);
    uint64_t now = 1000000;
    for (size_t i = 0; i < sizeof ceilings / sizeof *ceilings; i++) {
        assert_true(weft_retry_on_failure(&longest, now, 0, ceilings[i]));
        if (weft_retry_wait_ms(&longest, now, false) != ceilings[i])
            fail_msg("failure %zu: at most %lu ms", i + 1, (unsigned long)ceilings[i]);
        assert_true(weft_retry_on_failure(&shortest, now, 0, ceilings[i] + 1)); /* 0 modulo ceiling + 1 */
        if (weft_retry_wait_ms(&shortest, now, false) != 0)
            fail_msg("failure %zu: at least 0 ms", i + 1);
        weft_retry_probe_over(&shortest);
        now += ceilings[i];
        assert_int_equal(weft_retry_left_ms(&longest, now, false), 0);
    }
}

static void success_starts_all_over(void **state)
{
    (void)state;
    struct weft_retry r = machine(defaults);

    for (int i = 0; i < 4; i++)
        weft_retry_on_failure(&r, 100, 0, 0);
    weft_retry_on_success(&r, 100);
    assert_int_equal(weft_retry_wait_ms(&r, 100, false), 0);
    weft_retry_on_failure(&r, 100, 0, 1000);
    assert_int_equal(weft_retry_wait_ms(&r, 100, false), 1000);
    assert_int_equal(r.breaker, WEFT_BREAKER_CLOSED);
}

static void what_the_server_asks_for_is_the_least_wait(void **state)
{
    const struct { const char *what; uint64_t random, retry_after, wait; } cases[] = {
        { "longer than the backoff",  10,  7000,  7000 },
        { "shorter than the backoff", 900, 100,   900 },
        { "longer than max_interval", 0,   60000, 60000 },
        { "nothing asked",            500, 0,     500 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct weft_retry r = machine(defaults);
        weft_retry_on_failure(&r, 5000, cases[i].retry_after, cases[i].random);
        if (weft_retry_wait_ms(&r, 5000, false) != cases[i].wait)
            fail_msg("%s", cases[i].what);
    }
}

static void a_second_failure_in_flight_never_shortens_what_the_server_asked_for(void **state)
{
    (void)state;
    struct weft_retry r = machine(defaults);

    weft_retry_on_failure(&r, 0, 20000, 0);
    weft_retry_on_failure(&r, 10, 0, 0);
    assert_int_equal(weft_retry_wait_ms(&r, 10, false), 19990);
}

static void the_breaker_opens_lets_one_probe_through_and_closes_again(void **state)
{
    (void)state;
    struct weft_retry r = machine(defaults);

    for (int i = 0; i < 4; i++)
        weft_retry_on_failure(&r, 1000, 0, 0);
    assert_int_equal(r.breaker, WEFT_BREAKER_CLOSED);
    weft_retry_on_failure(&r, 1000, 0, 0);
    assert_int_equal(r.breaker, WEFT_BREAKER_OPEN);
    assert_int_equal(weft_retry_wait_ms(&r, 1000, false), 30000);
    assert_int_equal(weft_retry_wait_ms(&r, 30999, false), 1);
    assert_int_equal(weft_retry_wait_ms(&r, 31000, false), 0);
    assert_int_equal(r.breaker, WEFT_BREAKER_HALF_OPEN);
    assert_true(weft_retry_wait_ms(&r, 31000, false) == WEFT_RETRY_AFTER_PROBE); /* one probe, not two */

    weft_retry_probe_over(&r);
    weft_retry_on_failure(&r, 32000, 0, 0);
    assert_int_equal(r.breaker, WEFT_BREAKER_OPEN);
    assert_int_equal(weft_retry_wait_ms(&r, 32000, false), 30000);
    assert_int_equal(weft_retry_wait_ms(&r, 62000, false), 0);
    weft_retry_probe_over(&r);
    weft_retry_on_success(&r, 62001);
    assert_int_equal(r.breaker, WEFT_BREAKER_CLOSED);
    assert_int_equal(weft_retry_wait_ms(&r, 62001, false), 0);
    assert_false(r.probing);
    assert_int_equal(weft_retry_wait_ms(&r, 62001, false), 0);
}

static void an_open_breaker_still_honours_a_longer_request_of_the_server(void **state)
{
    (void)state;
    struct weft_retry r = machine(defaults);

    for (int i = 0; i < 5; i++)
        weft_retry_on_failure(&r, 0, 40000, 0);
    assert_int_equal(weft_retry_wait_ms(&r, 0, false), 40000);
    assert_int_equal(weft_retry_wait_ms(&r, 30000, false), 10000);
    assert_int_equal(r.breaker, WEFT_BREAKER_OPEN);
    assert_int_equal(weft_retry_wait_ms(&r, 40000, false), 0);
    assert_int_equal(r.breaker, WEFT_BREAKER_HALF_OPEN);
}

static void failures_of_requests_that_were_out_do_not_keep_the_breaker_open_longer(void **state)
{
    (void)state;
    struct weft_retry r = machine(defaults);

    for (int i = 0; i < 5; i++)
        weft_retry_on_failure(&r, 0, 0, 0);
    weft_retry_on_failure(&r, 9000, 0, 0);
    assert_int_equal(weft_retry_wait_ms(&r, 9000, false), 21000);
}

static void after_a_failure_one_request_is_out_at_a_time(void **state)
{
    (void)state;
    struct weft_retry r = machine(defaults);

    assert_int_equal(weft_retry_wait_ms(&r, 0, false), 0);
    assert_false(r.probing);
    weft_retry_on_failure(&r, 0, 0, 700);
    assert_false(weft_retry_is_well(&r, 0));
    assert_int_equal(weft_retry_wait_ms(&r, 700, false), 0);
    assert_true(r.probing);
    assert_true(weft_retry_wait_ms(&r, 60000, true) == WEFT_RETRY_AFTER_PROBE);
    weft_retry_on_failure(&r, 800, 0, 0); /* of a request from before: the probe is still out */
    assert_true(weft_retry_wait_ms(&r, 60000, true) == WEFT_RETRY_AFTER_PROBE);
    weft_retry_probe_over(&r);
    weft_retry_on_success(&r, 900);
    assert_true(weft_retry_is_well(&r, 900));
    assert_int_equal(weft_retry_wait_ms(&r, 900, false), 0);
    assert_int_equal(weft_retry_wait_ms(&r, 900, false), 0);
}

/* A fixed outage, whatever kind of failure it shows as: how long after its end the next request goes out. */
static void healing_is_noticed_within_the_probe_interval(void **state)
{
    struct weft_retry_options options = defaults;

    (void)state;
    options.probe_ms = 2000;
    srand(7);
    for (int round = 0; round < 2000; round++) {
        struct weft_retry r = machine(options);
        uint64_t healed = 1000 + (uint64_t)rand() % 120000, now = 0;
        unsigned n = 0;
        while (now < healed) {
            n++;
            weft_retry_probe_over(&r);
            weft_retry_on_failure(&r, now, 0, (uint64_t)rand() << 32 | (uint64_t)rand());
            now += weft_retry_left_ms(&r, now, true);
            assert_int_equal(weft_retry_wait_ms(&r, now, true), 0);
        }
        if (now - healed > 2000)
            fail_msg("healed at %lu ms, noticed at %lu ms", (unsigned long)healed, (unsigned long)now);
        if (n > 12 + healed / 1000)
            fail_msg("%u requests in %lu ms", n, (unsigned long)healed);
    }
}

static void an_early_probe_is_for_who_asks_and_never_before_the_server_allows(void **state)
{
    const struct { const char *what; uint64_t retry_after, random; bool early; uint64_t left; } cases[] = {
        { "patient",                    0,     0,                  false, 30000 },
        { "early, no jitter",           0,     0,                  true,  2000 },
        { "early, all of the jitter",   0,     UINT64_C(1000) << 32, true,  1000 },
        { "the server asked for less",  1500,  0,                  true,  2000 },
        { "the server asked for more",  20000, 0,                  true,  20000 },
        { "for more than the breaker",  50000, 0,                  false, 50000 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct weft_retry_options options = defaults;
        options.probe_ms = 2000;
        struct weft_retry r = machine(options);
        for (int n = 0; n < 5; n++)
            weft_retry_on_failure(&r, 100, cases[i].retry_after, cases[i].random);
        uint64_t left = weft_retry_wait_ms(&r, 100, cases[i].early);
        if (left != cases[i].left || r.breaker != WEFT_BREAKER_OPEN)
            fail_msg("%s: %lu ms", cases[i].what, (unsigned long)left);
    }
}

static void what_the_server_asked_for_outlives_an_answer_to_an_older_request(void **state)
{
    (void)state;
    struct weft_retry r = machine(defaults);

    weft_retry_on_failure(&r, 0, 5000, 0);
    weft_retry_on_success(&r, 10);
    assert_false(weft_retry_is_well(&r, 10));
    assert_int_equal(weft_retry_wait_ms(&r, 10, true), 4990);
    assert_int_equal(weft_retry_wait_ms(&r, 5000, true), 0);
    assert_true(weft_retry_is_well(&r, 5000));
}

static void max_elapsed_time_gives_up_counted_from_the_first_failure(void **state)
{
    struct weft_retry_options options = defaults;

    (void)state;
    options.max_elapsed_ms = 300000;
    struct weft_retry r = machine(options);
    assert_true(weft_retry_on_failure(&r, 1000, 0, 0));
    assert_true(weft_retry_on_failure(&r, 300999, 0, 0));
    assert_false(weft_retry_on_failure(&r, 301000, 0, 0));
    weft_retry_on_success(&r, 301001);
    assert_true(weft_retry_on_failure(&r, 400000, 0, 0));

    struct weft_retry for_ever = machine(defaults);
    weft_retry_on_failure(&for_ever, 0, 0, 0);
    assert_true(weft_retry_on_failure(&for_ever, UINT64_MAX / 2, 0, 0));
}

static void without_a_threshold_there_is_no_breaker(void **state)
{
    struct weft_retry_options options = defaults;

    (void)state;
    options.breaker_threshold = 0;
    struct weft_retry r = machine(options);
    for (int i = 0; i < 1000; i++)
        weft_retry_on_failure(&r, 0, 0, 0);
    assert_int_equal(r.breaker, WEFT_BREAKER_CLOSED);
}

static void states_have_the_names_of_the_metric(void **state)
{
    (void)state;
    assert_string_equal(weft_breaker_name(WEFT_BREAKER_CLOSED), "closed");
    assert_string_equal(weft_breaker_name(WEFT_BREAKER_OPEN), "open");
    assert_string_equal(weft_breaker_name(WEFT_BREAKER_HALF_OPEN), "half_open");
}

static void retry_after_is_read_in_both_forms(void **state)
{
    const int64_t now = 784111777; /* Sun, 06 Nov 1994 08:49:37 GMT */
    const struct { const char *value; bool ok; uint64_t ms; } cases[] = {
        { "0",                              true,  0 },
        { "1",                              true,  1000 },
        { "120",                            true,  120000 },
        { "  7 ",                           true,  7000 },
        { "3600",                           true,  3600000 },
        { "3601",                           true,  3600000 },
        { "99999999999999999999999999",     true,  3600000 },
        { "Sun, 06 Nov 1994 08:49:47 GMT",  true,  10000 },
        { "Sun, 06 Nov 1994 08:49:37 GMT",  true,  0 },
        { "Sun, 06 Nov 1994 08:00:00 GMT",  true,  0 },
        { "Mon, 07 Nov 1994 08:49:37 GMT",  true,  3600000 },
        { "Sunday, 06-Nov-94 08:50:37 GMT", true,  60000 },
        { "Sun Nov  6 08:49:38 1994",       true,  1000 },
        { "",                               false, 0 },
        { " ",                              false, 0 },
        { "-1",                             false, 0 },
        { "1.5",                            false, 0 },
        { "soon",                           false, 0 },
        { "12 seconds",                     false, 0 },
        { "Sun, 06 Nov 1994 08:49:37",      false, 0 },
        { "Sun, 06 Nov 1994 08:49:37 GMT+", false, 0 },
        { NULL,                             false, 0 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint64_t ms = 42;
        bool ok = weft_retry_after(cases[i].value, now, &ms);
        if (ok != cases[i].ok || (ok ? ms != cases[i].ms : ms != 42))
            fail_msg("\"%s\": %d, %lu ms", cases[i].value ? cases[i].value : "(none)", ok, (unsigned long)ms);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_machine_sends_at_once),
        cmocka_unit_test(the_wait_is_uniform_up_to_a_ceiling_that_doubles),
        cmocka_unit_test(success_starts_all_over),
        cmocka_unit_test(what_the_server_asks_for_is_the_least_wait),
        cmocka_unit_test(a_second_failure_in_flight_never_shortens_what_the_server_asked_for),
        cmocka_unit_test(the_breaker_opens_lets_one_probe_through_and_closes_again),
        cmocka_unit_test(an_open_breaker_still_honours_a_longer_request_of_the_server),
        cmocka_unit_test(failures_of_requests_that_were_out_do_not_keep_the_breaker_open_longer),
        cmocka_unit_test(after_a_failure_one_request_is_out_at_a_time),
        cmocka_unit_test(healing_is_noticed_within_the_probe_interval),
        cmocka_unit_test(an_early_probe_is_for_who_asks_and_never_before_the_server_allows),
        cmocka_unit_test(what_the_server_asked_for_outlives_an_answer_to_an_older_request),
        cmocka_unit_test(max_elapsed_time_gives_up_counted_from_the_first_failure),
        cmocka_unit_test(without_a_threshold_there_is_no_breaker),
        cmocka_unit_test(states_have_the_names_of_the_metric),
        cmocka_unit_test(retry_after_is_read_in_both_forms),
    };

    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

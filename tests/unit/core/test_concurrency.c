/* SPDX-License-Identifier: Apache-2.0 */
/* The concurrency limit against simulated back ends: no clock, no sockets, every seed fixed. */
#include "core/concurrency.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

enum { SLOTS_MAX = 64, OUT_MAX = 256 };

/* A server with `capacity` workers and a queue: a request waits for the first worker that gets free. */
struct server {
    unsigned capacity;
    unsigned refuses_above;   /* answers 429 at once when so many are in it; 0: it queues whatever comes */
    double service_us, noise; /* a service takes (1 +- noise) of service_us */
    double us_a_kib;          /* and this for each KiB */
    bool down;                /* refuses everything */
    double free_at[SLOTS_MAX];
};

struct world {
    struct server server;
    struct weft_concurrency limit;
    double now;
    struct { double sent, ends; uint64_t bytes; bool refused; } out[OUT_MAX];
    unsigned n_out, most_out;
    uint64_t bytes;           /* of each request; 0: anything from 1 KiB to 1 MiB */
    unsigned seed;
    unsigned long answered, pushed_back;
};

static double uniform(struct world *w)
{
    return (double)rand_r(&w->seed) / (double)RAND_MAX;
}

static unsigned earliest(const struct server *s)
{
    unsigned best = 0;

    for (unsigned i = 1; i < s->capacity; i++)
        if (s->free_at[i] < s->free_at[best])
            best = i;
    return best;
}

static void send_one(struct world *w)
{
    struct server *s = &w->server;
    unsigned i = w->n_out++;

    assert_true(i < OUT_MAX);
    w->out[i].sent = w->now;
    w->out[i].bytes = w->bytes ? w->bytes : (uint64_t)1024 << (unsigned)(uniform(w) * 10.99);
    w->out[i].refused = s->down || (s->refuses_above && w->n_out > s->refuses_above);
    if (w->out[i].refused) {
        w->out[i].ends = w->now + 1000 * (1 + uniform(w));
    } else {
        unsigned slot = earliest(s);
        double begin = s->free_at[slot] > w->now ? s->free_at[slot] : w->now;
        double takes = (s->service_us + s->us_a_kib * (double)(w->out[i].bytes / 1024)) * (1 + s->noise * (2 * uniform(w) - 1));
        s->free_at[slot] = w->out[i].ends = begin + takes;
    }
    weft_concurrency_on_send(&w->limit, w->n_out, true);
}

static void end_one(struct world *w)
{
    unsigned first = 0;

    for (unsigned i = 1; i < w->n_out; i++)
        if (w->out[i].ends < w->out[first].ends)
            first = i;
    w->now = w->out[first].ends;
    if (w->out[first].refused) {
        w->pushed_back++;
        weft_concurrency_on_push_back(&w->limit);
    } else {
        w->answered++;
        weft_concurrency_on_answer(&w->limit, (uint64_t)(w->now - w->out[first].sent), w->out[first].bytes);
    }
    w->out[first] = w->out[--w->n_out];
}

/* Runs until `us` have passed; the mean of the limit over that time. There is always more to send. */
static double run(struct world *w, double us)
{
    double end = w->now + us, sum = 0, began = w->now;

    while (w->now < end) {
        unsigned limit = weft_concurrency_limit(&w->limit);
        if (limit < 1 || limit > w->limit.options.max)
            fail_msg("the limit is %u", limit);
        while (w->n_out < limit)
            send_one(w);
        w->most_out = w->n_out > w->most_out ? w->n_out : w->most_out;
        double before = w->now;
        end_one(w);
        sum += limit * (w->now - before);
    }
    return sum / (w->now - began);
}

static struct world world(struct server server, unsigned max)
{
    struct world w = { .server = server, .seed = 5, .bytes = 65536 };

    weft_concurrency_init(&w.limit, &(struct weft_concurrency_options){ true, 1, max });
    return w;
}

static const double SECOND = 1e6;

static void the_limit_settles_near_what_the_back_end_takes(void **state)
{
    const struct { const char *what; unsigned capacity; double noise; } cases[] = {
        { "one at a time",             1,  0 },    { "one, scattered",        1,  0.3 },
        { "two at a time",             2,  0 },    { "two, scattered",        2,  0.3 },
        { "four at a time",            4,  0 },    { "four, scattered",       4,  0.3 },
        { "eight at a time",           8,  0.05 }, { "eight, scattered",      8,  0.3 },
        { "sixteen at a time",         16, 0.05 }, { "sixteen, scattered",    16, 0.3 },
        { "thirty-two at a time",      32, 0.05 }, { "thirty-two, scattered", 32, 0.3 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct server s = { .capacity = cases[i].capacity, .service_us = 20000, .noise = cases[i].noise };
        struct world w = world(s, 64);
        double c = cases[i].capacity;
        (void)run(&w, 60 * SECOND);
        unsigned long before = w.answered;
        double mean = run(&w, 60 * SECOND), share = (double)(w.answered - before) / (60 * SECOND / 20000 * c);
        if (mean < 0.8 * c || mean > 1.6 * c + 1)
            fail_msg("%s: the limit is about %.1f", cases[i].what, mean);
        if (share < 0.9)
            fail_msg("%s: the back end is used to %.2f", cases[i].what, share);
    }
}

static void it_never_exceeds_the_maximum(void **state)
{
    (void)state;
    for (unsigned max = 1; max < 9; max++) {
        struct world w = world((struct server){ .capacity = 32, .service_us = 20000 }, max);
        double mean = run(&w, 60 * SECOND);
        if (w.most_out != max || mean < 0.9 * max)
            fail_msg("at most %u: %u were out, %.1f on average", max, w.most_out, mean);
    }
}

static void a_back_end_that_pushes_back_is_given_a_little_less_than_it_takes(void **state)
{
    (void)state;
    for (unsigned capacity = 1; capacity <= 16; capacity *= 2) {
        struct world w = world((struct server){ .capacity = capacity, .refuses_above = capacity, .service_us = 20000 }, 64);
        double mean = run(&w, 120 * SECOND);
        unsigned long asked = w.answered + w.pushed_back;
        if (mean > capacity + 1 || mean < 0.6 * capacity || w.pushed_back * 2 > asked)
            fail_msg("%u at a time: the limit is about %.1f, %lu of %lu pushed back", capacity, mean, w.pushed_back, asked);
        assert_true(w.most_out <= capacity + 1);
    }
}

static void an_outage_brings_it_down_to_one_and_it_recovers_after(void **state)
{
    (void)state;
    for (unsigned capacity = 2; capacity <= 32; capacity *= 2) {
        struct world w = world((struct server){ .capacity = capacity, .service_us = 20000, .noise = 0.1 }, 64);
        (void)run(&w, 60 * SECOND);
        w.server.down = true;
        (void)run(&w, 1 * SECOND);
        assert_int_equal(weft_concurrency_limit(&w.limit), 1);
        w.server.down = false;
        (void)run(&w, capacity * 0.1 * SECOND); /* one more a round trip of 20 ms, and then some */
        double mean = run(&w, 20 * SECOND);
        if (mean < 0.8 * capacity)
            fail_msg("%u at a time: only %.1f after the outage", capacity, mean);
    }
}

static void a_back_end_that_has_become_slower_or_faster_is_learned_anew(void **state)
{
    const double changes[] = { 4, 0.25, 10, 0.1 };

    (void)state;
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        struct world w = world((struct server){ .capacity = 8, .service_us = 20000, .noise = 0.1 }, 64);
        (void)run(&w, 60 * SECOND);
        w.server.service_us *= changes[i];
        (void)run(&w, 60 * SECOND * (changes[i] > 1 ? changes[i] : 1));
        double mean = run(&w, 120 * SECOND);
        if (mean < 6 || mean > 14)
            fail_msg("%.2f times as long: the limit is about %.1f", changes[i], mean);
    }
}

static void large_requests_that_take_longer_are_no_congestion(void **state)
{
    (void)state;
    struct server s = { .capacity = 4, .service_us = 2000, .us_a_kib = 100, .noise = 0.1 };
    struct world w = world(s, 4);

    w.bytes = 0;
    (void)run(&w, 60 * SECOND);
    double mean = run(&w, 120 * SECOND);
    if (mean < 3)
        fail_msg("the limit is about %.1f of 4", mean);
}

static void a_limit_that_is_not_used_does_not_grow(void **state)
{
    struct weft_concurrency c;

    (void)state;
    weft_concurrency_init(&c, &(struct weft_concurrency_options){ true, 2, 8 });
    for (int i = 0; i < 1000; i++) {
        weft_concurrency_on_send(&c, 1, true);
        weft_concurrency_on_answer(&c, 5000, 1000);
    }
    assert_int_equal(weft_concurrency_limit(&c), 2);
    for (unsigned i = 0; i < 1000; i++) {
        weft_concurrency_on_send(&c, 1 + i % 2, false); /* used, but that was all */
        weft_concurrency_on_answer(&c, 5000, 1000);
    }
    assert_int_equal(weft_concurrency_limit(&c), 2);
    for (unsigned i = 0; i < 3; i++) {
        weft_concurrency_on_send(&c, 2, true);
        weft_concurrency_on_answer(&c, 5000, 1000);
    }
    assert_int_equal(weft_concurrency_limit(&c), 3);
}

static void one_trouble_cuts_once(void **state)
{
    struct weft_concurrency c;

    (void)state;
    weft_concurrency_init(&c, &(struct weft_concurrency_options){ true, 8, 8 });
    for (unsigned i = 1; i <= 6; i++)
        weft_concurrency_on_send(&c, i, true);
    for (int i = 0; i < 6; i++) /* all that were out when it began */
        weft_concurrency_on_push_back(&c);
    assert_int_equal(weft_concurrency_limit(&c), 4);
    weft_concurrency_on_send(&c, 1, true);
    weft_concurrency_on_push_back(&c);
    assert_int_equal(weft_concurrency_limit(&c), 2);
}

static void a_fixed_limit_stays(void **state)
{
    const struct { unsigned initial, max, limit; } cases[] = { { 1, 7, 7 }, { 0, 0, 1 }, { 9, 3, 3 } };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct weft_concurrency c;
        weft_concurrency_init(&c, &(struct weft_concurrency_options){ false, cases[i].initial, cases[i].max });
        weft_concurrency_on_push_back(&c);
        weft_concurrency_on_answer(&c, 1, 1);
        assert_int_equal(weft_concurrency_limit(&c), cases[i].limit);
        weft_concurrency_init(&c, &(struct weft_concurrency_options){ true, cases[i].initial, cases[i].max });
        assert_true(weft_concurrency_limit(&c) >= 1 && weft_concurrency_limit(&c) <= cases[i].limit);
    }
}

/* Whatever comes in whatever order, the bounds hold. */
static void nothing_makes_it_leave_its_bounds(void **state)
{
    struct weft_concurrency c;
    unsigned seed = 99;

    (void)state;
    weft_concurrency_init(&c, &(struct weft_concurrency_options){ true, 3, 10 });
    for (int i = 0; i < 200000; i++) {
        unsigned what = (unsigned)rand_r(&seed) % 10;
        if (what < 4)
            weft_concurrency_on_send(&c, (unsigned)rand_r(&seed) % 20, what % 2);
        else if (what < 9)
            weft_concurrency_on_answer(&c, (uint64_t)rand_r(&seed) << (unsigned)rand_r(&seed) % 30, (uint64_t)rand_r(&seed));
        else
            weft_concurrency_on_push_back(&c);
        unsigned limit = weft_concurrency_limit(&c);
        if (limit < 1 || limit > 10)
            fail_msg("step %d: the limit is %u", i, limit);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_limit_settles_near_what_the_back_end_takes),
        cmocka_unit_test(it_never_exceeds_the_maximum),
        cmocka_unit_test(a_back_end_that_pushes_back_is_given_a_little_less_than_it_takes),
        cmocka_unit_test(an_outage_brings_it_down_to_one_and_it_recovers_after),
        cmocka_unit_test(a_back_end_that_has_become_slower_or_faster_is_learned_anew),
        cmocka_unit_test(large_requests_that_take_longer_are_no_congestion),
        cmocka_unit_test(a_limit_that_is_not_used_does_not_grow),
        cmocka_unit_test(one_trouble_cuts_once),
        cmocka_unit_test(a_fixed_limit_stays),
        cmocka_unit_test(nothing_makes_it_leave_its_bounds),
    };

    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* A lane whose exporter has several endpoints, each with a mood of its own: who gets what, when, and what it costs the others. */
#include "agent/lane.h"
#include "core/clock.h"
#include "core/err.h"
#include "tests/support/await.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>

#include <cmocka.h>

enum { MIB = 1 << 20, HELD = 64, PLACES = 3, NEVER_MS = 3600000 };

enum mood {
    SENDS,        /* at the next tick */
    FAILS,        /* at the next tick, every time */
    FAILS_AT_ONCE,
    HANGS,        /* fails after HANG_MS */
    LAGS,         /* sends after LAG_MS */
    ASKS_FOR_AN_HOUR,
    REFUSES,      /* for good */
    FLAPS,        /* sends and fails, in turns of FLAP_MS */
};
enum { HANG_MS = 100, LAG_MS = 150, FLAP_MS = 20 };

struct place {
    _Atomic int mood;
    _Atomic unsigned n_sends, n_probes, out, most_out, most_out_while_failing;
    _Atomic uint64_t delivered;
    bool failed;                 /* the last outcome */
};

struct held { struct weft_batch *batch; uint64_t due_ms; };

struct fake {
    struct weft_exporter base;
    size_t n_places;
    struct place places[PLACES];
    uv_timer_t timer;
    bool timer_open;
    struct held held[HELD];
    size_t n_held;
    struct { const struct weft_batch *batch; unsigned place; } failed[HELD];
    size_t n_failed;
    _Atomic unsigned sent_back;    /* to where they had just failed, though another place was well */
    _Atomic uint64_t refused;
    _Atomic unsigned wrong_probes; /* a first send to a place that failed, without the mark */
};

static const char *const names[PLACES] = { "http://ann:secret@a:9200/x", "b:4317", "https://c" };

static const char *fake_endpoint(const struct weft_exporter *self, size_t index)
{
    return index < ((const struct fake *)self)->n_places ? names[index] : NULL;
}

static uint64_t waiting_in(const struct weft_batch *b)
{
    uint64_t n = 0;

    for (uint64_t i = 0; i < b->n_items; i++)
        n += b->item_state[i] == WEFT_ITEM_WAITING;
    return n;
}

static bool answers_well(const struct place *p)
{
    return p->mood == SENDS || p->mood == LAGS || (p->mood == FLAPS && weft_clock_mono_ms() / FLAP_MS % 2);
}

/* Where batches failed, in a ring. */
static void note_failure(struct fake *f, const struct weft_batch *b)
{
    f->failed[f->n_failed % HELD].batch = b;
    f->failed[f->n_failed++ % HELD].place = b->endpoint;
}

static bool has_failed_there(const struct fake *f, const struct weft_batch *b)
{
    for (size_t n = f->n_failed; b->attempt > 0 && n > 0 && n + HELD > f->n_failed; n--)
        if (f->failed[(n - 1) % HELD].batch == b)
            return f->failed[(n - 1) % HELD].place == b->endpoint;
    return false;
}

static bool others_are_well(const struct fake *f, unsigned place)
{
    for (unsigned i = 0; i < f->n_places; i++)
        if (i != place && !f->places[i].failed)
            return true;
    return false;
}

static void end(struct fake *f, struct weft_batch *b)
{
    struct place *p = &f->places[b->endpoint];

    p->out--;
    if (p->mood == REFUSES) {
        p->failed = false;
        f->refused += waiting_in(b);
        f->base.host->done(&f->base, b, WEFT_REJECTED, "http_400", "no", 0);
    } else if (answers_well(p)) {
        p->failed = false;
        p->delivered += waiting_in(b);
        f->base.host->done(&f->base, b, WEFT_SENT, NULL, NULL, 0);
    } else {
        p->failed = true;
        note_failure(f, b);
        f->base.host->done(&f->base, b, WEFT_RETRY, "http_503", "not now", p->mood == ASKS_FOR_AN_HOUR ? NEVER_MS : 0);
    }
}

static void on_timer(uv_timer_t *timer)
{
    struct fake *f = timer->data;
    uint64_t now = weft_clock_mono_ms();

    for (size_t i = 0; i < f->n_held;) {
        if (f->held[i].due_ms > now) {
            i++;
            continue;
        }
        struct weft_batch *b = f->held[i].batch;
        f->held[i] = f->held[--f->n_held];
        end(f, b);
    }
}

static int fake_start(struct weft_exporter *self)
{
    struct fake *f = (struct fake *)self;

    (void)uv_timer_init(self->loop, &f->timer);
    f->timer.data = f;
    f->timer_open = true;
    return uv_timer_start(&f->timer, on_timer, 1, 1);
}

static void fake_send(struct weft_exporter *self, struct weft_batch *b)
{
    struct fake *f = (struct fake *)self;
    struct place *p = &f->places[b->endpoint];

    assert_true(b->endpoint < f->n_places && f->n_held < HELD);
    p->n_sends++;
    p->n_probes += b->probe;
    f->wrong_probes += p->failed && !b->probe;
    f->sent_back += has_failed_there(f, b) && others_are_well(f, b->endpoint);
    unsigned out = ++p->out;
    if (out > p->most_out)
        p->most_out = out;
    if (p->failed && out > p->most_out_while_failing)
        p->most_out_while_failing = out;
    if (p->mood == FAILS_AT_ONCE) {
        end(f, b);
        return;
    }
    f->held[f->n_held++] = (struct held){ b, weft_clock_mono_ms() + (p->mood == HANGS ? HANG_MS : p->mood == LAGS ? LAG_MS : 0) };
}

static void fake_stop(struct weft_exporter *self)
{
    struct fake *f = (struct fake *)self;

    while (f->n_held > 0)
        self->host->done(self, f->held[--f->n_held].batch, WEFT_RETRY, "stopped", NULL, 0);
    if (f->timer_open)
        uv_close((uv_handle_t *)&f->timer, NULL);
    f->timer_open = false;
}

static const struct weft_exporter_type in_order = {
    .name = "fake", .size = sizeof(struct fake), .start = fake_start, .send = fake_send, .stop = fake_stop,
    .endpoint = fake_endpoint, .concurrency = 4,
};
static const struct weft_exporter_type in_turn = {
    .name = "fake", .size = sizeof(struct fake), .start = fake_start, .send = fake_send, .stop = fake_stop,
    .endpoint = fake_endpoint, .concurrency = 4, .round_robin = true,
};

/* ---- a journal and a lane ---- */
struct fixture {
    struct weft_journal *journal;
    struct fake fake;
    struct weft_lane_config config;
    struct weft_lane *lane;
    uint64_t appended;
};

static int setup(void **state)
{
    struct fixture *x = calloc(1, sizeof *x);

    assert_int_equal(weft_journal_open(&x->journal, &(struct weft_journal_options){ .name = "logs", .max_size = MIB }), 0);
    x->fake = (struct fake){ .base = { .type = &in_order, .id = "es/fake" }, .n_places = 2 };
    x->config = (struct weft_lane_config){ .retry_enabled = true, .initial_interval = NEVER_MS, .max_interval = NEVER_MS,
                                           .breaker_threshold = 3, .breaker_open = NEVER_MS, .batch_items = 2 };
    *state = x;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *x = *state;

    weft_lane_free(x->lane);
    weft_journal_close(x->journal);
    free(x);
    return 0;
}

static void open_lane(struct fixture *x)
{
    struct weft_lane_source source = { .pipeline = "logs", .journal = x->journal, .signal = WEFT_LOGS };
    struct weft_lane_setup lane = { .exporter = &x->fake.base, .config = &x->config, .sources = &source, .n_sources = 1 };

    assert_int_equal(weft_lane_open(&x->lane, &lane), 0);
    assert_int_equal(weft_lane_start(x->lane), 0);
}

static struct weft_lane_stats stats_of(struct fixture *x)
{
    struct weft_lane_stats s;

    weft_lane_stats(x->lane, &s);
    return s;
}

static void append(struct fixture *x, unsigned n)
{
    uint8_t bytes[100] = { 0 };
    struct weft_record r = { .signal = WEFT_LOGS, .n_items = 1, .payload = weft_slice_of(bytes, sizeof bytes) };

    for (unsigned i = 0; i < n; i++)
        AWAIT(weft_journal_append(x->journal, &r, NULL) == 0);
    x->appended += n;
}

static uint64_t delivered(const struct fixture *x)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < x->fake.n_places; i++)
        sum += x->fake.places[i].delivered;
    return sum;
}

static void finish(struct fixture *x)
{
    weft_lane_drain(x->lane, weft_clock_mono_ms() + PATIENCE_MS);
    assert_int_equal(weft_lane_join(x->lane, NULL), 0);
    struct weft_lane_stats s = stats_of(x);
    assert_int_equal(s.sent_items[WEFT_LOGS], delivered(x));
    assert_int_equal(delivered(x) + x->fake.refused, x->appended);
    assert_int_equal(x->fake.wrong_probes, 0);
}

/* ---- the tests ---- */

static void what_one_does_not_take_goes_to_another_at_once(void **state)
{
    const struct { const char *what; const struct weft_exporter_type *type; enum mood mood; } cases[] = {
        { "failover",                     &in_order, FAILS },
        { "failover, at once",            &in_order, FAILS_AT_ONCE },
        { "failover, server asks",        &in_order, ASKS_FOR_AN_HOUR },
        { "round robin",                  &in_turn,  FAILS },
        { "round robin, at once",         &in_turn,  FAILS_AT_ONCE },
        { "round robin, server asks",     &in_turn,  ASKS_FOR_AN_HOUR },
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        setup(state);
        struct fixture *x = *state;
        x->fake.base.type = cases[i].type;
        x->fake.places[0].mood = (int)cases[i].mood;
        open_lane(x);
        append(x, 500);
        AWAIT(delivered(x) == 500); /* every backoff and breaker says an hour */
        finish(x);
        if (x->fake.places[0].n_sends > 4)
            fail_msg("%s: %u requests to the one that failed", cases[i].what, x->fake.places[0].n_sends);
        struct weft_lane_stats s = stats_of(x);
        assert_true(s.endpoints[0].failures > 0);
        assert_true(s.endpoints[0].next_attempt_ms > 0 || cases[i].mood != ASKS_FOR_AN_HOUR);
        assert_string_equal(s.endpoints[0].error, "http_503: not now");
        assert_string_equal(s.endpoints[1].error, "");
        assert_int_equal(s.breaker, WEFT_BREAKER_CLOSED); /* the lane delivers */
        teardown(state);
    }
}

static void healthy_endpoints_take_turns_or_stand_in(void **state)
{
    const struct { const char *what; const struct weft_exporter_type *type; int balancing; bool even; } cases[] = {
        { "the type's own: in turn",   &in_turn,  WEFT_BALANCE_AUTO,        true },
        { "the type's own: in order",  &in_order, WEFT_BALANCE_AUTO,        false },
        { "in turn as configured",     &in_order, WEFT_BALANCE_ROUND_ROBIN, true },
        { "in order as configured",    &in_turn,  WEFT_BALANCE_FAILOVER,    false },
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        setup(state);
        struct fixture *x = *state;
        x->fake.base.type = cases[i].type;
        x->fake.n_places = 3;
        x->config.balancing = cases[i].balancing;
        x->config.adaptive = true;
        x->config.concurrency_initial = 1; /* the first is full long before the lane holds all that it may */
        open_lane(x);
        append(x, 600);
        finish(x);
        for (size_t p = 0; p < 3; p++) {
            unsigned n = x->fake.places[p].n_sends, least = cases[i].even ? 60 : p == 0 ? 300 : 0;
            if (n < least || (!cases[i].even && p > 0 && n > 0))
                fail_msg("%s: endpoint %zu got %u requests", cases[i].what, p, n);
        }
        teardown(state);
    }
}

static void one_that_hangs_does_not_hold_up_the_other(void **state)
{
    const struct weft_exporter_type *const types[] = { &in_order, &in_turn };

    for (size_t i = 0; i < 2; i++) {
        setup(state);
        struct fixture *x = *state;
        x->fake.base.type = types[i];
        x->fake.places[0].mood = HANGS;
        x->config.adaptive = true;
        x->config.concurrency_initial = 1;
        x->config.breaker_open = 300;
        x->config.initial_interval = x->config.max_interval = 300;
        open_lane(x);
        append(x, 1);
        AWAIT(x->fake.places[0].n_sends > 0 || types[i] == &in_turn);
        uint64_t began = weft_clock_mono_ms();
        while (weft_clock_mono_ms() < began + 1500)
            append(x, 1);
        AWAIT(x->fake.places[1].delivered > 100);
        struct weft_lane_stats s = stats_of(x);
        unsigned tried = x->fake.places[0].n_sends;
        uint64_t most = (weft_clock_mono_ms() - began) / HANG_MS + 3; /* and each failure earns a pause of up to 300 ms */
        finish(x);
        if (tried > most || x->fake.places[0].most_out > 1)
            fail_msg("%u requests to the one that hangs, %u at once", tried, x->fake.places[0].most_out);
        if (s.oldest_ms > 1400) /* it took turns at the one that hangs */
            fail_msg("an item is %lu ms old", (unsigned long)s.oldest_ms);
        teardown(state);
    }
}

/* The other has as much as it may have when the batch fails, so there is no room "at once"; there will be soon. */
static void what_one_does_not_take_waits_for_another_that_is_full(void **state)
{
    const struct weft_exporter_type *const types[] = { &in_order, &in_turn };

    for (size_t i = 0; i < 2; i++) {
        setup(state);
        struct fixture *x = *state;
        x->fake.base.type = types[i];
        x->fake.places[0].mood = HANGS;
        x->fake.places[1].mood = LAGS;
        x->config.adaptive = true;
        x->config.concurrency_initial = 1;
        x->config.breaker_threshold = 1000;
        x->config.initial_interval = x->config.max_interval = 1;
        open_lane(x);
        append(x, 40);
        finish(x);
        assert_true(x->fake.places[0].n_sends > 1);
        assert_int_equal(x->fake.sent_back, 0);
        teardown(state);
    }
}

static void after_a_failure_each_endpoint_gets_one_request_at_a_time(void **state)
{
    struct fixture *x = *state;

    x->fake.n_places = 3;
    x->fake.base.type = &in_turn;
    for (size_t i = 0; i < 3; i++)
        x->fake.places[i].mood = HANGS;
    x->config.initial_interval = x->config.max_interval = 1;
    x->config.breaker_open = 5;
    open_lane(x);
    append(x, 100);
    AWAIT(x->fake.places[0].n_probes > 3 && x->fake.places[1].n_probes > 3 && x->fake.places[2].n_probes > 3);
    for (size_t i = 0; i < 3; i++)
        assert_true(x->fake.places[i].most_out_while_failing <= 4);
    for (size_t i = 0; i < 3; i++)
        x->fake.places[i].most_out_while_failing = 0; /* those from before the first failure are over by now */
    unsigned before = x->fake.places[0].n_probes;
    AWAIT(x->fake.places[0].n_probes > before + 3);
    for (size_t i = 0; i < 3; i++)
        if (x->fake.places[i].most_out_while_failing > 1)
            fail_msg("endpoint %zu: %u at once", i, x->fake.places[i].most_out_while_failing);
    for (size_t i = 0; i < 3; i++)
        x->fake.places[i].mood = SENDS;
    finish(x);
}

static void healing_is_noticed_soon_however_long_the_waits_have_grown(void **state)
{
    struct fixture *x = *state;

    x->fake.places[0].mood = x->fake.places[1].mood = FAILS;
    x->config.probe_interval = 50;
    open_lane(x);
    append(x, 100);
    AWAIT(stats_of(x).breaker == WEFT_BREAKER_OPEN);
    uint64_t began = weft_clock_mono_ms();
    unsigned before = x->fake.places[0].n_sends + x->fake.places[1].n_sends;
    AWAIT(weft_clock_mono_ms() > began + 400);
    unsigned probes = x->fake.places[0].n_sends + x->fake.places[1].n_sends - before;
    uint64_t ms = weft_clock_mono_ms() - began;
    if (probes > 2 * ms / 25 + 4) /* each endpoint every 25 to 50 ms */
        fail_msg("%u probes in %lu ms", probes, (unsigned long)ms);
    x->fake.places[1].mood = SENDS;
    uint64_t healed = weft_clock_mono_ms();
    AWAIT(delivered(x) == 100);
    assert_true(weft_clock_mono_ms() - healed < 5000);
    assert_int_equal(stats_of(x).endpoints[1].breaker, WEFT_BREAKER_CLOSED);
    finish(x);
}

static void a_pause_that_all_servers_asked_for_is_kept(void **state)
{
    struct fixture *x = *state;

    x->fake.places[0].mood = x->fake.places[1].mood = ASKS_FOR_AN_HOUR;
    x->config.probe_interval = 5;
    open_lane(x);
    append(x, 100);
    AWAIT(x->fake.places[0].n_sends > 0 && x->fake.places[1].n_sends > 0 && stats_of(x).in_flight == 0);
    unsigned before = x->fake.places[0].n_sends + x->fake.places[1].n_sends;
    uint64_t began = weft_clock_mono_ms();
    AWAIT(weft_clock_mono_ms() > began + 100);
    assert_int_equal(x->fake.places[0].n_sends + x->fake.places[1].n_sends, before);
    struct weft_lane_stats s = stats_of(x);
    assert_true(s.endpoints[0].next_attempt_ms > NEVER_MS / 2);
    assert_int_equal(weft_lane_join(x->lane, NULL), WEFT_ERR_TIMEOUT);
}

static void the_first_gets_its_work_back_when_it_is_well_again(void **state)
{
    struct fixture *x = *state;

    x->fake.places[0].mood = FAILS;
    x->config.breaker_open = 20;
    x->config.initial_interval = x->config.max_interval = 20;
    open_lane(x);
    append(x, 100);
    AWAIT(delivered(x) == 100);
    x->fake.places[0].mood = SENDS;
    AWAIT((append(x, 1), x->fake.places[0].delivered > 10));
    uint64_t stand_in = x->fake.places[1].delivered;
    append(x, 100);
    finish(x);
    assert_int_equal(x->fake.places[1].delivered, stand_in);
    assert_int_equal(stats_of(x).endpoints[0].failures, 0);
    assert_string_equal(stats_of(x).endpoints[0].error, "");
}

static void whatever_flaps_the_sum_adds_up(void **state)
{
    struct fixture *x = *state;

    x->fake.n_places = 3;
    x->fake.base.type = &in_turn;
    x->fake.places[0].mood = FLAPS;
    x->fake.places[1].mood = HANGS;
    x->config.initial_interval = 1;
    x->config.max_interval = 10;
    x->config.breaker_open = 10;
    x->config.adaptive = true;
    open_lane(x);
    for (int i = 0; i < 50; i++) {
        append(x, 100);
        if (i == 25)
            x->fake.places[2].mood = FLAPS;
    }
    x->fake.places[1].mood = SENDS;
    finish(x);
}

static void what_is_refused_for_good_is_not_offered_to_another(void **state)
{
    struct fixture *x = *state;

    x->fake.places[0].mood = REFUSES;
    open_lane(x);
    append(x, 50);
    finish(x);
    assert_int_equal(x->fake.refused, 50);
    assert_int_equal(x->fake.places[1].n_sends, 0);
    assert_int_equal(stats_of(x).endpoints[0].failures, 0); /* it answered: it is well */
}

static void no_more_than_the_configured_number_is_out_at_once(void **state)
{
    const struct { const char *what; struct weft_lane_config config; unsigned most; } cases[] = {
        { "the exporter's own",        { .adaptive = false }, 4 },
        { "a maximum",                 { .adaptive = false, .concurrency_max = 2 }, 2 },
        { "adaptive up to a maximum",  { .adaptive = true, .concurrency_initial = 1, .concurrency_max = 3 }, 3 },
        { "as the Collector says it",  { .adaptive = true, .concurrency_max = 3, .num_consumers = 7 }, 7 },
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        setup(state);
        struct fixture *x = *state;
        x->fake.n_places = 1;
        x->fake.places[0].mood = SENDS;
        x->config.adaptive = cases[i].config.adaptive;
        x->config.concurrency_initial = cases[i].config.concurrency_initial;
        x->config.concurrency_max = cases[i].config.concurrency_max;
        x->config.num_consumers = cases[i].config.num_consumers;
        open_lane(x);
        append(x, 1000);
        finish(x);
        if (x->fake.places[0].most_out > cases[i].most || (!cases[i].config.adaptive && x->fake.places[0].most_out < 2))
            fail_msg("%s: %u at once", cases[i].what, x->fake.places[0].most_out);
        assert_int_equal(x->fake.base.concurrency, cases[i].most);
        teardown(state);
    }
}

static void secrets_in_an_endpoint_are_not_shown(void **state)
{
    struct fixture *x = *state;

    x->fake.n_places = 3;
    open_lane(x);
    struct weft_lane_stats s = stats_of(x);
    assert_int_equal(s.n_endpoints, 3);
    assert_string_equal(s.endpoints[0].name, "http://a:9200/x");
    assert_string_equal(s.endpoints[1].name, "b:4317");
    assert_string_equal(s.endpoints[2].name, "https://c");
    finish(x);
}

int main(int argc, char **argv)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_one_does_not_take_goes_to_another_at_once),
        cmocka_unit_test(healthy_endpoints_take_turns_or_stand_in),
        cmocka_unit_test(one_that_hangs_does_not_hold_up_the_other),
        cmocka_unit_test(what_one_does_not_take_waits_for_another_that_is_full),
        TEST(after_a_failure_each_endpoint_gets_one_request_at_a_time),
        TEST(healing_is_noticed_soon_however_long_the_waits_have_grown),
        TEST(a_pause_that_all_servers_asked_for_is_kept),
        TEST(the_first_gets_its_work_back_when_it_is_well_again),
        TEST(whatever_flaps_the_sum_adds_up),
        TEST(what_is_refused_for_good_is_not_offered_to_another),
        cmocka_unit_test(no_more_than_the_configured_number_is_out_at_once),
        TEST(secrets_in_an_endpoint_are_not_shown),
    };

    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

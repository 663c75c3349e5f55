/* SPDX-License-Identifier: Apache-2.0 */
/* How a lane ends when its journal does not end with it: for another lane to go on (park), or for the next start (lasting). */
#include "agent/lane.h"
#include "core/clock.h"
#include "core/err.h"
#include "tests/support/await.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>

#include <cmocka.h>

enum { MIB = 1 << 20, LONG_MS = 60000 };
enum mood { SENDS, FAILS, HANGS };

struct fake {
    struct weft_exporter base;
    enum mood mood;
    struct weft_batch *held;
    _Atomic unsigned n_sends, n_failures;
    _Atomic uint64_t delivered;
};

static void fake_send(struct weft_exporter *self, struct weft_batch *b)
{
    struct fake *f = (struct fake *)self;

    f->n_sends++;
    if (f->mood == HANGS) {
        f->held = b;
    } else if (f->mood == FAILS) {
        self->host->done(self, b, WEFT_RETRY, "http_503", "down", 0);
        f->n_failures++;
    } else {
        f->delivered += b->n_items;
        self->host->done(self, b, WEFT_SENT, NULL, NULL, 0);
    }
}

static void fake_stop(struct weft_exporter *self)
{
    struct fake *f = (struct fake *)self;
    struct weft_batch *held = f->held;

    f->held = NULL;
    if (held)
        self->host->done(self, held, WEFT_RETRY, "stopped", NULL, 0);
}

static const struct weft_exporter_type type = { .name = "fake", .size = sizeof(struct fake), .send = fake_send, .stop = fake_stop };

static struct weft_journal *open_journal(void)
{
    struct weft_journal *j = NULL;

    assert_int_equal(weft_journal_open(&j, &(struct weft_journal_options){ .name = "logs", .max_size = MIB }), 0);
    return j;
}

static void append(struct weft_journal *j, int n)
{
    struct weft_record r = { .signal = WEFT_LOGS, .n_items = 2, .payload = WEFT_SLICE("payload") };

    for (int i = 0; i < n; i++)
        assert_int_equal(weft_journal_append(j, &r, NULL), 0);
}

static struct weft_lane *start_lane(struct fake *f, struct weft_lane_source source)
{
    struct weft_lane_config config = { .retry_enabled = true, .initial_interval = LONG_MS, .max_interval = LONG_MS, .batch_items = 2 };
    struct weft_lane_setup setup = { .exporter = &f->base, .config = &config, .sources = &source, .n_sources = 1 };
    struct weft_lane *lane = NULL;

    source.pipeline = "logs";
    source.signal = WEFT_LOGS;
    assert_int_equal(weft_lane_open(&lane, &setup), 0);
    assert_int_equal(weft_lane_start(lane), 0);
    return lane;
}

static struct fake fake_of(enum mood mood)
{
    return (struct fake){ .base = { .type = &type, .id = "es/fake" }, .mood = mood };
}

/* Its end is in the figures, too: what it kept waits. */
static uint64_t dropped(struct weft_lane *lane)
{
    struct weft_lane_stats s;
    uint64_t n = 0;

    weft_lane_stats(lane, &s);
    for (size_t i = 0; i < s.n_reasons; i++)
        n += s.reasons[i].items;
    assert_int_equal(s.waiting_items, weft_lane_kept(lane).items);
    assert_int_equal(s.sent_items[WEFT_LOGS] + n + s.waiting_items, 20);
    return n;
}

static uint64_t lasting(struct weft_lane *lane)
{
    struct weft_lane_stats s;

    weft_lane_stats(lane, &s);
    return s.lasting_items;
}

static void how_a_lane_ends(void **state)
{
    const struct {
        const char *what;
        enum mood mood;
        bool lasting, park;
        uint64_t until_ms;               /* of the drain */
        uint64_t sent, kept, lost;       /* items of 20 */
    } cases[] = {
        { "a good back end takes all, whatever the journal", SENDS, false, false, LONG_MS, 20, 0, 0 },
        { "a good back end takes all for a journal that lasts", SENDS, true, false, LONG_MS, 20, 0, 0 },
        { "a failing one is not waited for when the journal lasts", FAILS, true, false, LONG_MS, 0, 20, 0 },
        { "a failing one costs what waits when it does not", FAILS, false, false, 1, 0, 0, 20 },
        { "a hanging one is waited for until the deadline", HANGS, true, false, 20, 0, 20, 0 },
        { "a parked lane leaves what a failing back end has not taken", FAILS, false, true, LONG_MS, 0, 20, 0 },
        { "a parked lane gives a hanging request until the deadline", HANGS, false, true, 20, 0, 20, 0 },
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct weft_journal *j = open_journal();
        struct fake f = fake_of(cases[i].mood);
        struct weft_lane *lane = start_lane(&f, (struct weft_lane_source){ .journal = j, .lasting = cases[i].lasting });
        struct weft_lane_left left = { 0 };

        append(j, 10);
        AWAIT(cases[i].mood == SENDS || f.n_sends > 0);
        AWAIT(cases[i].mood != FAILS || f.n_failures > 0);
        uint64_t began = weft_clock_mono_ms();
        (cases[i].park ? weft_lane_park : weft_lane_drain)(lane, began + cases[i].until_ms);
        int err = weft_lane_join(lane, &left);
        struct weft_lane_left kept = weft_lane_kept(lane);
        if (err != (cases[i].lost ? WEFT_ERR_TIMEOUT : 0) || f.delivered != cases[i].sent || kept.items != cases[i].kept
            || left.items != cases[i].lost || dropped(lane) != cases[i].lost
            || lasting(lane) != (cases[i].lasting ? cases[i].kept : 0))
            fail_msg("%s: %d, sent %d, kept %d, lost %d, counted %d", cases[i].what, err, (int)f.delivered, (int)kept.items,
                     (int)left.items, (int)dropped(lane));
        if (weft_clock_mono_ms() - began > LONG_MS / 2)
            fail_msg("%s: took %d ms", cases[i].what, (int)(weft_clock_mono_ms() - began));
        weft_lane_free(lane);
        weft_journal_close(j);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(how_a_lane_ends),
    };

    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

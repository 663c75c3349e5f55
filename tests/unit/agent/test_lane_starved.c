/* SPDX-License-Identifier: Apache-2.0 */
/* A lane whose exporter gets no memory for some of its items: they do not hold up the others for ever. */
#include "agent/lane.h"
#include "agent/lane_replay.h"
#include "core/clock.h"
#include "tests/support/fake_lane.h"

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MIB = 1 << 20, PATIENCE_MS = 20000 };

/* An exporter that sends one item after the other: s is sent, m gets no memory, ever. */
struct fake {
    struct weft_exporter base;
    const char *plan;
    _Atomic unsigned n_starved, in_flight;
};

static void fake_send(struct weft_exporter *self, struct weft_batch *b)
{
    struct fake *f = (struct fake *)self;

    for (uint64_t i = 0; i < b->n_items; i++) {
        if (b->item_state[i] != WEFT_ITEM_WAITING)
            continue;
        if (f->plan[i] == 'm') {
            f->n_starved++;
            self->host->done(self, b, WEFT_RETRY, WEFT_REASON_MEMORY, "memory limit reached", 0);
            return;
        }
        b->item_state[i] = WEFT_ITEM_SENT;
    }
    self->host->done(self, b, WEFT_SENT, NULL, NULL, 0);
}

static void fake_stop(struct weft_exporter *self)
{
    (void)self;
}

static const struct weft_exporter_type type = { .name = "fake", .size = sizeof(struct fake), .send = fake_send, .stop = fake_stop };

struct rig {
    struct fake fake;
    struct weft_journal *journal;
    struct weft_letters *letters;
    struct weft_lane *lane;
    struct weft_ledger *ledger;
    struct weft_account *account;
};

static void rig_open(struct rig *r, const char *plan, uint64_t starve_ms, uint64_t lane_memory)
{
    struct weft_lane_config config = { .retry_enabled = true, .initial_interval = 1, .max_interval = 3 };
    struct weft_buf payload;

    *r = (struct rig){ .fake = { .base = { .type = &type, .id = "es/fake" }, .plan = plan } };
    assert_int_equal(weft_journal_open(&r->journal, &(struct weft_journal_options){ .name = "logs", .max_size = 8 * MIB }), 0);
    assert_int_equal(weft_letters_open(&r->letters, &(struct weft_journal_options){ .name = "es", .max_size = MIB }), 0);
    assert_int_equal(weft_ledger_open(&r->ledger, lane_memory), 0);
    r->account = weft_account_open(r->ledger, NULL, "lane", 0, 0);
    struct weft_lane_source source = { .pipeline = "logs", .journal = r->journal, .signal = WEFT_LOGS };
    struct weft_lane_setup setup = { .exporter = &r->fake.base, .config = &config, .sources = &source, .n_sources = 1,
                                     .letters = r->letters, .starve_ms = starve_ms,
                                     .account = r->account };
    assert_int_equal(weft_lane_open(&r->lane, &setup), 0);
    weft_buf_init(&payload, MIB);
    fake_payload(&payload, WEFT_LOGS, "shop", 0, (unsigned)strlen(plan));
    struct weft_record record = { .signal = WEFT_LOGS, .n_items = (uint32_t)strlen(plan), .payload = weft_buf_slice(&payload) };
    assert_int_equal(weft_journal_append(r->journal, &record, NULL), 0);
    weft_buf_release(&payload);
    assert_int_equal(weft_lane_start(r->lane), 0);
}

static void rig_close(struct rig *r)
{
    weft_lane_free(r->lane);
    weft_letters_close(r->letters);
    weft_journal_close(r->journal);
    assert_int_equal(weft_ledger_used(r->ledger), 0);
    weft_ledger_close(r->ledger);
}

static uint64_t lost(const struct weft_lane_stats *s, enum weft_lane_loss loss)
{
    uint64_t n = 0;

    for (size_t i = 0; i < s->n_reasons; i++)
        if (s->reasons[i].loss == loss && strcmp(s->reasons[i].word, "memory_limit") == 0)
            n += s->reasons[i].items;
    return n;
}

static struct weft_lane_stats settled(struct rig *r)
{
    uint64_t give_up = weft_clock_mono_ms() + PATIENCE_MS;
    struct weft_lane_stats s;

    for (weft_lane_stats(r->lane, &s); s.waiting_items > 0; weft_lane_stats(r->lane, &s)) {
        if (weft_clock_mono_ms() > give_up)
            fail_msg("%s: %d items still wait", r->fake.plan, (int)s.waiting_items);
        sched_yield();
    }
    return s;
}

static void an_item_that_never_gets_memory_becomes_a_dead_letter_and_the_others_pass(void **state)
{
    const struct { const char *plan; unsigned sent, refused; } cases[] = {
        { "m", 0, 1 }, { "sms", 2, 1 }, { "mss", 2, 1 }, { "ssm", 2, 1 }, { "smsm", 2, 2 },
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct rig r;
        struct weft_letters_stats letters;
        rig_open(&r, cases[i].plan, 1, 16 * MIB);
        struct weft_lane_stats s = settled(&r);
        weft_letters_stats(r.letters, &letters);
        if (s.sent_items[WEFT_LOGS] != cases[i].sent || lost(&s, WEFT_LANE_FAILED) != cases[i].refused ||
            letters.items != cases[i].refused)
            fail_msg("%s: %d sent, %d refused, %d kept", cases[i].plan, (int)s.sent_items[WEFT_LOGS],
                     (int)lost(&s, WEFT_LANE_FAILED), (int)letters.items);
        rig_close(&r);
    }
}

static void it_is_waited_for_as_long_as_was_agreed_and_shown_as_not_out(void **state)
{
    (void)state;
    struct rig r;
    struct weft_lane_stats s;

    rig_open(&r, "sm", 3600000, 16 * MIB);
    while (r.fake.n_starved < 2)
        sched_yield();
    weft_lane_stats(r.lane, &s);
    assert_int_equal(s.waiting_items, 1);
    assert_int_equal(s.in_flight, 0);
    assert_int_equal(s.endpoints[0].in_flight, 0);
    rig_close(&r);
}

/* The lane's own account is too small for the states of a record's items. */
static void a_record_that_cannot_be_listed_is_dropped_and_counted(void **state)
{
    (void)state;
    struct rig r;
    static char many[50001];

    memset(many, 's', sizeof many - 1);
    rig_open(&r, many, 1, 128 << 10);
    struct weft_lane_stats s = settled(&r);
    assert_int_equal(lost(&s, WEFT_LANE_DROPPED), 50000);
    rig_close(&r);
}

static void append(struct rig *r, uint32_t n_items)
{
    struct weft_record record = { .signal = WEFT_LOGS, .n_items = n_items, .wall_ns = 1, .payload = WEFT_SLICE("x") };

    assert_int_equal(weft_journal_append(r->journal, &record, NULL), 0);
}

static void a_replay_that_gets_no_memory_holds_up_nothing_that_is_live(void **state)
{
    enum { MANY = MIB, LEFT = 512 << 10 }; /* items of a record that is to be sent again, and bytes to list them in */
    static char plan[MANY + 1];
    struct rig r;
    (void)state;

    memset(plan, 's', MANY);
    rig_open(&r, "s", 0, 4 * MIB);
    (void)settled(&r);
    r.fake.plan = plan;
    append(&r, MANY);
    (void)settled(&r);
    while (weft_account_room(r.account) < 3 * MIB)
        sched_yield(); /* the lane gives the list back a moment after all is settled */
    uint64_t others = weft_account_room(r.account) - LEFT;
    assert_true(weft_account_take(r.account, others));
    assert_int_equal(weft_lane_replay_begin(r.lane, &(struct weft_replay_setup){ .since_ns = 0 }), 0);
    for (int i = 0; i < 3 * WEFT_LANE_REPLAY_SHARE; i++) {
        append(&r, 1);
        (void)settled(&r);
    }
    weft_lane_replay_cancel(r.lane);
    weft_account_give(r.account, others);
    rig_close(&r);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_replay_that_gets_no_memory_holds_up_nothing_that_is_live),
        cmocka_unit_test(an_item_that_never_gets_memory_becomes_a_dead_letter_and_the_others_pass),
        cmocka_unit_test(it_is_waited_for_as_long_as_was_agreed_and_shown_as_not_out),
        cmocka_unit_test(a_record_that_cannot_be_listed_is_dropped_and_counted),
    };

    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What a back end refuses for good: it is kept as dead letters, with its words, before it is counted; and what is sent again, beside
 * live delivery: dead letters, and records that the journal still keeps. */
#include "agent/lane_replay.h"
#include "core/clock.h"
#include "core/err.h"
#include "tests/support/await.h"
#include "tests/support/fake_lane.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>

#include <cmocka.h>

enum { MIB = 1 << 20, SEEN = 16384 };

/* ---- a back end that judges each item by a letter of `plan`, which is used again and again:
 *   s sent    a, b refused, "mapping" with words of its own    h the request as a whole refused (400)    d left out
 *   r the request as a whole put off    p the request as a whole refused when an item of record 2 is in it ---- */
struct fake {
    struct weft_exporter base;
    _Atomic(const char *) plan;
    _Atomic uint64_t n_sends, n_seen;
    _Atomic uint64_t turns;       /* of the lane's loop */
    uv_check_t check;
    struct { uint64_t journal, sequence; uint32_t item; } seen[SEEN]; /* what it took, by the name of each item */
};

static void note_item(struct fake *f, const struct weft_batch *b, uint64_t index)
{
    uint64_t base = 0, n = f->n_seen;
    size_t i = 0;

    while (base + b->records[i].n_items <= index)
        base += b->records[i++].n_items;
    f->seen[n % SEEN].journal = b->journal_id;
    f->seen[n % SEEN].sequence = b->records[i].sequence;
    f->seen[n % SEEN].item = b->records[i].first_item + (uint32_t)(index - base);
    f->n_seen = n + 1;
}

static void fake_send(struct weft_exporter *self, struct weft_batch *b)
{
    struct fake *f = (struct fake *)self;
    const char *plan = f->plan;

    f->n_sends++;
    if (*plan == 'h') {
        self->host->done(self, b, WEFT_REJECTED, "http_400", "no such index", 0);
        return;
    }
    if (*plan == 'r') {
        self->host->done(self, b, WEFT_RETRY, "http_503", "not now", 0);
        return;
    }
    for (size_t i = 0; *plan == 'p' && i < b->n_records; i++) {
        if (b->records[i].sequence != 2)
            continue;
        self->host->done(self, b, WEFT_REJECTED, "http_400", "not that one", 0);
        return;
    }
    for (uint64_t i = 0; i < b->n_items; i++) {
        if (b->item_state[i] != WEFT_ITEM_WAITING)
            continue;
        char c = plan[i % strlen(plan)];
        if (c == 's' || c == 'p')
            note_item(f, b, i);
        else if (c == 'd')
            self->host->drop(self, b, i, 1, "temporality");
        else
            self->host->reject(self, b, i, 1, "mapping", c == 'a' ? "field [a] is not a number" : "field [b] is not a date");
    }
    self->host->done(self, b, WEFT_SENT, NULL, NULL, 0);
}

static void count_turn(uv_check_t *check)
{
    struct fake *f = check->data;

    f->turns++;
}

static int fake_start(struct weft_exporter *self)
{
    struct fake *f = (struct fake *)self;

    f->check.data = f;
    (void)uv_check_init(self->loop, &f->check);
    return uv_check_start(&f->check, count_turn);
}

static void fake_stop(struct weft_exporter *self)
{
    uv_close((uv_handle_t *)&((struct fake *)self)->check, NULL);
}

static const struct weft_exporter_type type = {
    .name = "fake", .size = sizeof(struct fake), .start = fake_start, .send = fake_send, .stop = fake_stop
};

/* ---- one journal, one lane, its dead letters ---- */
struct fixture {
    struct fake fake;
    struct weft_journal *journal;
    struct weft_letters *letters;
    struct weft_lane *lane;
    struct weft_buf payload;
    uint64_t taken;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    f->fake = (struct fake){ .base = { .type = &type, .id = "es/fake" }, .plan = "s" };
    assert_int_equal(weft_journal_open(&f->journal, &(struct weft_journal_options){ .name = "logs", .max_size = 8 * MIB, .retain = 4 * MIB }), 0);
    assert_int_equal(weft_letters_open(&f->letters, &(struct weft_journal_options){ .name = "es", .max_size = MIB }), 0);
    struct weft_lane_config config = { .retry_enabled = true, .initial_interval = 1, .max_interval = 3 };
    struct weft_lane_source source = { .pipeline = "logs", .journal = f->journal, .signal = WEFT_LOGS };
    struct weft_lane_setup lane = { .exporter = &f->fake.base, .config = &config, .sources = &source, .n_sources = 1,
                                    .letters = f->letters };
    assert_int_equal(weft_lane_open(&f->lane, &lane), 0);
    assert_int_equal(weft_lane_start(f->lane), 0);
    weft_buf_init(&f->payload, 4 * MIB);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    weft_lane_free(f->lane);
    weft_letters_close(f->letters);
    weft_journal_close(f->journal);
    weft_buf_release(&f->payload);
    free(f);
    return 0;
}

static void take(struct fixture *f, unsigned from, unsigned n)
{
    weft_buf_reset(&f->payload);
    fake_payload(&f->payload, WEFT_LOGS, "shop", from, n);
    struct weft_record r = { .signal = WEFT_LOGS, .n_items = n, .wall_ns = 1000 + from, .payload = weft_buf_slice(&f->payload) };
    assert_int_equal(weft_journal_append(f->journal, &r, NULL), 0);
    f->taken += n;
}

static uint64_t lost(const struct weft_lane_stats *s, enum weft_lane_loss loss, const char *word)
{
    uint64_t n = 0;

    for (size_t i = 0; i < s->n_reasons; i++)
        if (s->reasons[i].loss == loss && (!word || strcmp(s->reasons[i].word, word) == 0))
            n += s->reasons[i].items;
    return n;
}

/* Waits until nothing waits; the sum must add up then. */
static struct weft_lane_stats settled(struct fixture *f)
{
    struct weft_lane_stats s;

    AWAIT((weft_lane_stats(f->lane, &s), s.waiting_items == 0));
    assert_int_equal(f->taken, s.sent_items[WEFT_LOGS] + lost(&s, WEFT_LANE_FAILED, NULL) + lost(&s, WEFT_LANE_DROPPED, NULL));
    return s;
}

/* "record/first+n reason" of each letter, "; " behind it. */
static const char *letters_of(struct fixture *f)
{
    static char text[2048];
    const struct weft_letters_filter all = { 0 };
    struct weft_letters_reader *r;
    struct weft_letter l;
    uint64_t sequence;
    size_t at = 0;

    text[0] = 0;
    assert_int_equal(weft_letters_reader_open(f->letters, &r, 0), 0);
    while (weft_letters_reader_next(r, &all, &l, &sequence) == 1 && at < sizeof text - 64) {
        assert_int_equal(l.journal_id, weft_journal_id(f->journal));
        at += (size_t)snprintf(text + at, sizeof text - at, "%d/%u+%u %.*s %.9s; ", (int)l.sequence, l.first_item, l.n_items,
                               (int)l.reason.len, (const char *)l.reason.data, (const char *)l.detail.data);
    }
    weft_letters_reader_close(r);
    return text;
}

static void items_that_are_refused_one_by_one_are_kept_with_their_words(void **state)
{
    struct fixture *f = *state;
    const struct { const char *plan, *letters; } cases[] = {
        { "s",      "" },
        { "sas",    "1/1+1 mapping field [a]; " },
        { "aaa",    "1/0+3 mapping field [a]; " },                                   /* neighbours share a letter */
        { "abb",    "1/0+1 mapping field [a]; 1/1+2 mapping field [b]; " },          /* unless the words differ */
        { "asa",    "1/0+1 mapping field [a]; 1/2+1 mapping field [a]; " },
        { "ada",    "1/0+1 mapping field [a]; 1/2+1 mapping field [a]; " },          /* what is left out is not kept */
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (i > 0) {
            (void)teardown(state);
            (void)setup(state);
            f = *state;
        }
        f->fake.plan = cases[i].plan;
        take(f, 0, 3);
        struct weft_lane_stats s = settled(f);
        if (strcmp(letters_of(f), cases[i].letters) != 0)
            fail_msg("%s: %s", cases[i].plan, letters_of(f));
        struct weft_letters_stats l;
        weft_letters_stats(f->letters, &l);
        assert_int_equal(lost(&s, WEFT_LANE_FAILED, "mapping"), l.items);
    }
}

static void a_request_that_is_refused_is_kept_record_by_record(void **state)
{
    struct fixture *f = *state;
    const struct weft_letters_filter all = { 0 };
    struct weft_letters_reader *r;
    struct weft_letter l;
    uint64_t sequence;

    f->fake.plan = "h";
    take(f, 0, 3);
    take(f, 3, 2);
    struct weft_lane_stats s = settled(f);
    assert_int_equal(lost(&s, WEFT_LANE_FAILED, "http_400"), 5);
    assert_string_equal(letters_of(f), "1/0+3 http_400 no such i; 2/0+2 http_400 no such i; ");
    assert_int_equal(weft_letters_reader_open(f->letters, &r, 0), 0);
    assert_int_equal(weft_letters_reader_next(r, &all, &l, &sequence), 1);
    assert_string_equal(fake_payload_names(WEFT_LOGS, l.body), "item-0 item-1 item-2 ");
    assert_int_equal(l.status, 400);
    assert_int_equal(l.arrived_ns, 1000);
    assert_true(weft_slice_is(l.pipeline, "logs"));
    assert_int_equal(weft_letters_reader_next(r, &all, &l, &sequence), 1);
    assert_string_equal(fake_payload_names(WEFT_LOGS, l.body), "item-3 item-4 ");
    weft_letters_reader_close(r);
}

static void a_record_too_large_for_one_letter_makes_several(void **state)
{
    struct fixture *f = *state;
    struct weft_letters_stats l;

    f->fake.plan = "h";
    take(f, 0, 30000);
    assert_true(f->payload.len > weft_letters_max_body(f->letters));
    struct weft_lane_stats s = settled(f);
    weft_letters_stats(f->letters, &l);
    assert_int_equal(lost(&s, WEFT_LANE_FAILED, "http_400"), 30000);
    assert_int_equal(l.items + l.evicted_items, 30000);
    assert_true(l.letters >= 2);
}

static void what_cannot_be_kept_is_dropped_for_a_reason_of_its_own(void **state)
{
    struct fixture *f = *state;
    uint8_t body[400 << 10];

    memset(body, 'x', sizeof body);
    f->fake.plan = "h";
    weft_buf_reset(&f->payload);
    struct weft_otlp_group g = weft_otlp_group_open(&f->payload, weft_slice_of(NULL, 0), weft_slice_of(NULL, 0));
    size_t item = weft_wire_begin_wide(&f->payload, WEFT_OTLP_ITEMS);
    weft_any_put_string(&f->payload, 5, weft_slice_of(body, sizeof body));
    weft_wire_end_wide(&f->payload, item);
    weft_otlp_group_close(&f->payload, g);
    struct weft_record r = { .signal = WEFT_LOGS, .n_items = 1, .payload = weft_buf_slice(&f->payload) };
    assert_int_equal(weft_journal_append(f->journal, &r, NULL), 0);
    f->taken++;
    struct weft_lane_stats s = settled(f);
    assert_int_equal(lost(&s, WEFT_LANE_FAILED, NULL), 0);
    assert_int_equal(lost(&s, WEFT_LANE_DROPPED, "dead_letter_too_large"), 1);
    assert_string_equal(letters_of(f), "");
}

/* ---- sending again ---- */
static struct weft_replay_progress ended(struct fixture *f)
{
    struct weft_replay_progress p;

    AWAIT((weft_lane_replay_progress(f->lane, &p), p.state != WEFT_REPLAY_RUNNING));
    return p;
}

static struct weft_replay_progress replay(struct fixture *f, struct weft_replay_setup setup)
{
    assert_int_equal(weft_lane_replay_begin(f->lane, &setup), 0);
    return ended(f);
}

static bool was_seen(const struct fake *f, uint64_t from, uint64_t journal, uint64_t sequence, uint32_t item)
{
    for (uint64_t i = from; i < f->n_seen; i++)
        if (f->seen[i].journal == journal && f->seen[i].sequence == sequence && f->seen[i].item == item)
            return true;
    return false;
}

static const struct weft_replay_setup all_letters = { .letters = true };

static void letters_that_are_taken_after_all_leave_and_keep_their_names(void **state)
{
    struct fixture *f = *state;
    struct weft_letters_stats l;

    f->fake.plan = "sab";
    take(f, 0, 6);
    take(f, 6, 3);
    (void)settled(f);
    uint64_t before = f->fake.n_seen;
    f->fake.plan = "s";
    struct weft_replay_progress p = replay(f, all_letters);
    assert_int_equal(p.state, WEFT_REPLAY_DONE);
    assert_int_equal(p.total_items, 6);
    assert_int_equal(p.seen_items, 6);
    assert_int_equal(p.sent_items, 6);
    assert_int_equal(p.rejected_items + p.dropped_items + p.expired_items, 0);
    assert_true(p.ended_ns >= p.began_ns);
    assert_int_equal(f->fake.n_seen - before, 6);
    for (uint64_t i = 0; i < 9; i++)
        if (was_seen(&f->fake, before, weft_journal_id(f->journal), i < 6 ? 1 : 2, (uint32_t)(i < 6 ? i : i - 6)) != (i % 3 > 0))
            fail_msg("item %d", (int)i);
    assert_string_equal(letters_of(f), "");
    weft_letters_stats(f->letters, &l);
    assert_int_equal(l.replayed_items, 6);
    struct weft_lane_stats s = settled(f); /* the sum does not know of it */
    assert_int_equal(s.sent_items[WEFT_LOGS], 3);
    assert_int_equal(s.replayed_items[WEFT_LOGS][WEFT_REPLAY_SENT], 6);
}

static void letters_that_are_refused_again_are_written_anew_and_not_tried_twice(void **state)
{
    struct fixture *f = *state;

    f->fake.plan = "h";
    take(f, 0, 4);
    take(f, 4, 2);
    (void)settled(f);
    uint64_t sends = f->fake.n_sends;
    f->fake.plan = "sa";
    struct weft_replay_progress p = replay(f, all_letters);
    assert_int_equal(f->fake.n_sends, sends + 2);
    assert_int_equal(p.sent_items, 3);
    assert_int_equal(p.rejected_items, 3);
    assert_string_equal(letters_of(f), "1/1+1 mapping field [a]; 1/3+1 mapping field [a]; 2/1+1 mapping field [a]; ");
    f->fake.plan = "s";
    p = replay(f, all_letters);
    assert_int_equal(p.number, 2);
    assert_int_equal(p.sent_items, 3);
    assert_string_equal(letters_of(f), "");
}

/* As full as it can be, so that each letter that is written costs another one. */
static void a_replay_costs_no_letters_however_full_their_journal_is(void **state)
{
    static const char *const plans[] = { "h", "a", "ab", "h" };
    struct fixture *f = *state;
    struct weft_letters_stats before, after;

    f->fake.plan = "h";
    for (unsigned i = 0; i < 3000; i++)
        take(f, i * 30, 30);
    (void)settled(f);
    weft_letters_stats(f->letters, &before);
    if (before.evicted_items == 0 || before.items < 1000)
        fail_msg("%lu evicted, %lu there", (unsigned long)before.evicted_items, (unsigned long)before.items);
    for (size_t i = 0; i < sizeof plans / sizeof *plans; i++) {
        f->fake.plan = plans[i];
        struct weft_replay_progress p = replay(f, all_letters);
        weft_letters_stats(f->letters, &after);
        if (p.rejected_items != before.items || p.expired_items || after.items < before.items
            || after.evicted_items != before.evicted_items)
            fail_msg("%s: of %lu items %lu were refused and %lu expired; %lu are there, %lu evicted", plans[i], (unsigned long)before.items,
                     (unsigned long)p.rejected_items, (unsigned long)p.expired_items, (unsigned long)after.items,
                     (unsigned long)(after.evicted_items - before.evicted_items));
        before = after;
    }
    f->fake.plan = "s";
    struct weft_replay_progress p = replay(f, all_letters);
    assert_int_equal(p.sent_items, after.items);
    weft_letters_stats(f->letters, &after);
    assert_int_equal(after.items, 0);
}

static void a_letter_with_an_item_that_was_left_out_stays(void **state)
{
    struct fixture *f = *state;

    f->fake.plan = "a";
    take(f, 0, 2);
    take(f, 2, 2);
    (void)settled(f);
    f->fake.plan = "sssd";
    struct weft_replay_progress p = replay(f, all_letters);
    assert_int_equal(p.dropped_items, 1);
    assert_string_equal(letters_of(f), "2/0+2 mapping field [a]; ");
}

static void one_letter_that_is_still_refused_takes_no_other_with_it(void **state)
{
    struct fixture *f = *state;

    f->fake.plan = "h";
    for (unsigned i = 0; i < 4; i++)
        take(f, i, 1);
    (void)settled(f);
    f->fake.plan = "p";
    struct weft_replay_progress p = replay(f, all_letters);
    assert_int_equal(p.sent_items, 3);
    assert_int_equal(p.rejected_items, 1);
    assert_string_equal(letters_of(f), "2/0+1 http_400 not that ; ");
}

static void only_letters_of_the_reason_are_sent_again(void **state)
{
    struct fixture *f = *state;

    f->fake.plan = "h";
    take(f, 0, 2);
    (void)settled(f);
    f->fake.plan = "a";
    take(f, 2, 3);
    (void)settled(f);
    f->fake.plan = "s";
    struct weft_replay_progress p = replay(f, (struct weft_replay_setup){ .letters = true, .reason = "mapping" });
    assert_int_equal(p.total_items, 3);
    assert_int_equal(p.sent_items, 3);
    assert_string_equal(letters_of(f), "1/0+2 http_400 no such i; ");
}

static void records_that_are_kept_are_sent_again_as_far_as_they_match(void **state)
{
    struct fixture *f = *state;
    struct weft_match_error error;
    struct weft_replay_setup setup = { .since_ns = 1002, .until_ns = 1007 };

    take(f, 0, 2);  /* 1000: too early */
    take(f, 2, 3);
    take(f, 5, 2);
    take(f, 7, 1);
    take(f, 8, 2);  /* 1008: too late */
    (void)settled(f);
    uint64_t before = f->fake.n_seen;
    struct weft_replay_progress p = replay(f, setup);
    assert_int_equal(p.state, WEFT_REPLAY_DONE);
    assert_int_equal(p.sent_items, 6);
    assert_int_equal(f->fake.n_seen - before, 6);
    before = f->fake.n_seen;
    assert_int_equal(weft_match_compile("severity ~ 'item-[367]'", &setup.match, &error), 0);
    p = replay(f, setup);
    assert_int_equal(p.sent_items, 3);
    assert_int_equal(f->fake.n_seen - before, 3);
    uint64_t journal = weft_journal_id(f->journal);
    assert_true(was_seen(&f->fake, before, journal, 2, 1) && was_seen(&f->fake, before, journal, 3, 1)
                && was_seen(&f->fake, before, journal, 4, 0));
    before = f->fake.n_sends;
    assert_int_equal(weft_match_compile("severity ~ nothing", &setup.match, &error), 0);
    p = replay(f, setup);
    assert_int_equal(p.sent_items, 0);
    assert_int_equal(f->fake.n_sends, before);
    struct weft_lane_stats s = settled(f);
    assert_int_equal(s.replayed_items[WEFT_LOGS][WEFT_REPLAY_SENT], 9);
}

static void a_replay_that_picks_nothing_ends_without_a_request(void **state)
{
    struct fixture *f = *state;
    struct weft_match_error error;
    struct weft_replay_setup setup = { .since_ns = 1000 };

    for (unsigned i = 0; i < 12; i++)
        take(f, i, 2500);
    (void)settled(f);
    uint64_t sends = f->fake.n_sends;
    assert_int_equal(weft_match_compile("severity ~ nothing", &setup.match, &error), 0);
    struct weft_replay_progress p = replay(f, setup);
    assert_int_equal(p.state, WEFT_REPLAY_DONE);
    assert_int_equal(p.seen_items, 30000);
    assert_int_equal(p.total_items, 30000);
    assert_int_equal(f->fake.n_sends, sends);
}

static void take_bytes(struct fixture *f, size_t bytes)
{
    for (size_t at = 0; at < bytes; at += f->payload.len)
        take(f, 1, 2000);
}

/* Timers, connections and a stop get their turn while a replay looks at much and picks nothing of it. */
static void a_replay_that_picks_nothing_lets_the_loop_turn(void **state)
{
    struct weft_match_error error;
    const struct { const char *what; struct weft_replay_setup setup; uint64_t least; } cases[] = {
        { "nothing matches",                { .since_ns = 1000 }, 12 },
        { "nothing is in the range",        { .since_ns = 1, .until_ns = 2 }, 12 },
        { "no letter is of the reason",     { .letters = true, .reason = "not this" }, 8 },
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        (void)teardown(state);
        (void)setup(state);
        struct fixture *f = *state;
        struct weft_replay_setup replayed = cases[i].setup;
        f->fake.plan = replayed.letters ? "h" : "s";
        if (replayed.letters)
            for (unsigned n = 0; n < 4500; n++)
                take(f, n, 1);
        else
            take_bytes(f, 9 * MIB / 2);
        (void)settled(f);
        if (i == 0)
            assert_int_equal(weft_match_compile("severity ~ nothing", &replayed.match, &error), 0);
        uint64_t turns = f->fake.turns, sends = f->fake.n_sends;
        struct weft_replay_progress p = replay(f, replayed);
        assert_int_equal(p.state, WEFT_REPLAY_DONE);
        assert_int_equal(f->fake.n_sends, sends);
        if (f->fake.turns - turns < cases[i].least)
            fail_msg("%s: %d turns", cases[i].what, (int)(f->fake.turns - turns));
    }
}

static void a_replay_that_waits_holds_no_records_that_it_passed_over(void **state)
{
    struct fixture *f = *state;
    struct weft_replay_setup setup = { .since_ns = 1000, .until_ns = 1000 };

    take(f, 0, 1);
    take_bytes(f, 7 * MIB / 2); /* too late, and kept */
    (void)settled(f);
    f->fake.plan = "r";
    uint64_t sends = f->fake.n_sends;
    assert_int_equal(weft_lane_replay_begin(f->lane, &setup), 0);
    AWAIT(f->fake.n_sends >= sends + 2);
    take_bytes(f, 6 * MIB); /* the room of those that are only kept is for these */
    f->fake.plan = "s";
    (void)settled(f);
    struct weft_replay_progress p = ended(f);
    assert_int_equal(p.state, WEFT_REPLAY_DONE);
    assert_int_equal(p.sent_items, 1);
}

static void a_replay_that_fails_goes_on_until_it_is_cancelled_and_loses_nothing(void **state)
{
    struct fixture *f = *state;

    f->fake.plan = "h";
    take(f, 0, 5);
    (void)settled(f);
    f->fake.plan = "r";
    uint64_t sends = f->fake.n_sends;
    assert_int_equal(weft_lane_replay_begin(f->lane, &all_letters), 0);
    assert_int_equal(weft_lane_replay_begin(f->lane, &all_letters), UV_EBUSY);
    AWAIT(f->fake.n_sends >= sends + 3);
    weft_lane_replay_cancel(f->lane);
    assert_int_equal(ended(f).state, WEFT_REPLAY_CANCELLED);
    assert_string_equal(letters_of(f), "1/0+5 http_400 no such i; ");
    f->fake.plan = "s";
    assert_int_equal(replay(f, all_letters).sent_items, 5);
}

/* The lane ends while a replay cannot get through: it does not wait for it, and the letters are still there. */
static void stopping_does_not_wait_for_a_replay(void **state)
{
    struct fixture *f = *state;
    struct weft_replay_progress p;

    f->fake.plan = "h";
    take(f, 0, 5);
    (void)settled(f);
    f->fake.plan = "r";
    uint64_t sends = f->fake.n_sends;
    assert_int_equal(weft_lane_replay_begin(f->lane, &all_letters), 0);
    AWAIT(f->fake.n_sends >= sends + 2);
    uint64_t began = weft_clock_mono_ms();
    weft_lane_drain(f->lane, began + PATIENCE_MS);
    assert_int_equal(weft_lane_join(f->lane, NULL), 0);
    assert_true(weft_clock_mono_ms() - began < PATIENCE_MS / 2);
    weft_lane_replay_progress(f->lane, &p);
    assert_int_equal(p.state, WEFT_REPLAY_STOPPED);
    assert_string_equal(letters_of(f), "1/0+5 http_400 no such i; ");
}

/* Live records come in all the time while letters are sent again: both get through, and both sums are right. */
static void live_delivery_and_a_replay_go_on_beside_each_other(void **state)
{
    struct fixture *f = *state;
    struct weft_replay_progress p;
    unsigned from = 0;

    f->fake.plan = "h";
    for (unsigned i = 0; i < 1000; i++)
        take(f, from++, 1);
    (void)settled(f);
    f->fake.plan = "s";
    assert_int_equal(weft_lane_replay_begin(f->lane, &all_letters), 0);
    do {
        take(f, from++, 1);
        (void)settled(f);
        weft_lane_replay_progress(f->lane, &p);
    } while (p.state == WEFT_REPLAY_RUNNING && from < 100000);
    assert_int_equal(p.state, WEFT_REPLAY_DONE);
    assert_int_equal(p.sent_items, 1000);
    assert_int_equal(settled(f).sent_items[WEFT_LOGS], from - 1000);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(items_that_are_refused_one_by_one_are_kept_with_their_words, setup, teardown),
        cmocka_unit_test_setup_teardown(a_request_that_is_refused_is_kept_record_by_record, setup, teardown),
        cmocka_unit_test_setup_teardown(a_record_too_large_for_one_letter_makes_several, setup, teardown),
        cmocka_unit_test_setup_teardown(what_cannot_be_kept_is_dropped_for_a_reason_of_its_own, setup, teardown),
        cmocka_unit_test_setup_teardown(letters_that_are_taken_after_all_leave_and_keep_their_names, setup, teardown),
        cmocka_unit_test_setup_teardown(letters_that_are_refused_again_are_written_anew_and_not_tried_twice, setup, teardown),
        cmocka_unit_test_setup_teardown(a_replay_costs_no_letters_however_full_their_journal_is, setup, teardown),
        cmocka_unit_test_setup_teardown(a_letter_with_an_item_that_was_left_out_stays, setup, teardown),
        cmocka_unit_test_setup_teardown(one_letter_that_is_still_refused_takes_no_other_with_it, setup, teardown),
        cmocka_unit_test_setup_teardown(only_letters_of_the_reason_are_sent_again, setup, teardown),
        cmocka_unit_test_setup_teardown(records_that_are_kept_are_sent_again_as_far_as_they_match, setup, teardown),
        cmocka_unit_test_setup_teardown(a_replay_that_picks_nothing_ends_without_a_request, setup, teardown),
        cmocka_unit_test_setup_teardown(a_replay_that_picks_nothing_lets_the_loop_turn, setup, teardown),
        cmocka_unit_test_setup_teardown(a_replay_that_waits_holds_no_records_that_it_passed_over, setup, teardown),
        cmocka_unit_test_setup_teardown(a_replay_that_fails_goes_on_until_it_is_cancelled_and_loses_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(stopping_does_not_wait_for_a_replay, setup, teardown),
        cmocka_unit_test_setup_teardown(live_delivery_and_a_replay_go_on_beside_each_other, setup, teardown),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

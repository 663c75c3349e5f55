/* SPDX-License-Identifier: Apache-2.0 */
/* A yes that is held back while a journal fills up: the list of those who wait, and sinks over journals in memory that are filled
 * to the permille. Time is a number; durability is moved by hand. */
#include "agent/delay.h"
#include "agent/pipeline.h"
#include "agent/shed.h"
#include "core/err.h"
#include "core/journal_state.h"
#include "core/journal_sync.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const uint64_t SECOND = 1000000000, MS = 1000000;
enum { MIB = 1 << 20, JOURNAL = 16 << 20, MAX_DELAY_MS = 500, DEBUG = 5, INFO = 9, WARN = 13 };

struct waiter {
    struct weft_commit commit;
    unsigned done;
    int err;
    unsigned order;             /* the how many-th that was done */
    struct weft_delay *list;    /* done puts `then` there */
    struct waiter *then;
};

static unsigned n_done;

static void on_done(struct weft_commit *c, int err)
{
    struct waiter *w = (struct waiter *)c;

    w->done++;
    w->err = err;
    w->order = ++n_done;
    if (w->then)
        weft_delay_add(w->list, &w->then->commit);
}

static struct waiter new_waiter(uint64_t due_ns)
{
    return (struct waiter){ .commit = { .done = on_done, .due_ns = due_ns } };
}

/* ---- the list ---- */
static void each_is_ended_when_its_time_comes_whatever_the_order_they_came_in(void **state)
{
    const uint64_t due[] = { 30, 10, 40, 10, 50, 20 };
    const unsigned order[] = { 4, 1, 5, 2, 6, 3 };
    struct waiter w[6];
    struct weft_delay list = { 0 };
    (void)state;

    n_done = 0;
    for (size_t i = 0; i < 6; i++) {
        w[i] = new_waiter(due[i]);
        weft_delay_add(&list, &w[i].commit);
    }
    for (uint64_t now = 0; now <= 60; now++) {
        weft_delay_look(&list, now);
        for (size_t i = 0; i < 6; i++)
            assert_int_equal(w[i].done, now >= due[i]);
    }
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(w[i].order, order[i]);
    assert_int_equal(list.n, 0);
    assert_true(weft_delay_due(&list) == UINT64_MAX);
}

static void who_is_forgotten_is_not_ended_wherever_it_stands(void **state)
{
    (void)state;
    for (size_t gone = 0; gone < 3; gone++) {
        struct waiter w[3];
        struct weft_delay list = { 0 };
        for (size_t i = 0; i < 3; i++) {
            w[i] = new_waiter(10 + i);
            weft_delay_add(&list, &w[i].commit);
        }
        weft_delay_forget(&list, &w[gone].commit);
        assert_true(weft_delay_due(&list) == (gone == 0 ? 11 : 10));
        weft_delay_look(&list, UINT64_MAX);
        for (size_t i = 0; i < 3; i++)
            assert_int_equal(w[i].done, i != gone);
    }
}

static void who_is_ended_may_be_followed_by_another_at_once(void **state)
{
    struct weft_delay list = { 0 };
    struct waiter second = new_waiter(20), first = new_waiter(10);
    (void)state;

    first.then = &second;
    first.list = &list;
    weft_delay_add(&list, &first.commit);
    weft_delay_look(&list, 10);
    assert_int_equal(first.done, 1);
    assert_int_equal(second.done, 0);
    weft_delay_look(&list, 20);
    assert_int_equal(second.done, 1);
}

/* ---- sinks ---- */
struct rig {
    struct weft_shed *shed;
    struct weft_pipeline *pipeline;
    struct weft_journal_sync sync;
    struct weft_intake *intake;
    struct weft_cursor *cursor;
    struct weft_arena scratch;
    struct weft_buf request;
    struct weft_sink *sink;
    uint64_t now_ns, alarm_ms;
    bool confirms;
};

static void ring(void *ctx)
{
    (void)ctx;
}

static void alarm_at(void *ctx, uint64_t at_ms)
{
    ((struct rig *)ctx)->alarm_ms = at_ms;
}

static void make_confirm(struct rig *r)
{
    struct weft_journal *j = weft_pipeline_journal(r->pipeline);

    r->sync = (struct weft_journal_sync){ .journal = j, .mode = WEFT_SYNC_ALWAYS };
    assert_int_equal(pthread_mutex_init(&r->sync.watch_lock, NULL), 0);
    assert_int_equal(pthread_mutex_init(&r->sync.lock, NULL), 0);
    assert_int_equal(pthread_cond_init(&r->sync.wake, NULL), 0);
    j->sync = &r->sync;
    r->confirms = true;
}

static void rig_open(struct rig *r, uint32_t max_delay_ms, bool confirms)
{
    *r = (struct rig){ .now_ns = SECOND };
    assert_int_equal(weft_shed_open(&r->shed), 0);
    struct weft_pipeline_options p = { .id = "logs", .signal = WEFT_LOGS, .journal_size = JOURNAL, .shed = r->shed };
    assert_int_equal(weft_pipeline_open(&r->pipeline, &p), 0);
    if (confirms)
        make_confirm(r);
    struct weft_intake_options in = { .receiver = "otlp", .signal = WEFT_LOGS, .pipelines = &r->pipeline, .n_pipelines = 1, .n_sinks = 1,
                                      .max_delay_ms = max_delay_ms };
    assert_int_equal(weft_intake_open(&r->intake, &in), 0);
    struct weft_cursor_options c = { .name = "es", .hold = true, .wake_fd = -1 };
    assert_int_equal(weft_cursor_open(&r->cursor, weft_pipeline_journal(r->pipeline), &c), 0);
    weft_arena_init(&r->scratch, MIB);
    weft_buf_init(&r->request, MIB);
    r->sink = weft_intake_sink(r->intake, 0, &r->scratch);
    weft_intake_set_ring(r->intake, 0, ring, r);
    weft_intake_set_alarm(r->intake, 0, alarm_at, r);
}

static void rig_close(struct rig *r)
{
    weft_intake_close(r->intake);
    weft_cursor_close(r->cursor);
    if (r->confirms) {
        pthread_mutex_destroy(&r->sync.watch_lock);
        pthread_mutex_destroy(&r->sync.lock);
        pthread_cond_destroy(&r->sync.wake);
        weft_pipeline_journal(r->pipeline)->sync = NULL;
    }
    weft_pipeline_close(r->pipeline);
    weft_arena_release(&r->scratch);
    weft_buf_release(&r->request);
    weft_shed_close(r->shed);
}

/* A log record of that severity, a second after the last. */
static int commit(struct rig *r, uint64_t severity, size_t filler)
{
    static const uint8_t text[32 << 10];
    struct weft_buf *b = &r->request;

    weft_buf_reset(b);
    struct weft_otlp_group group = weft_otlp_group_open(b, WEFT_SLICE(""), WEFT_SLICE(""));
    size_t mark = weft_wire_begin(b, WEFT_OTLP_ITEMS);
    weft_wire_put_varint(b, WEFT_LOG_SEVERITY_NUMBER, severity);
    weft_wire_put_bytes(b, WEFT_LOG_SEVERITY_TEXT, weft_slice_of(text, filler));
    weft_wire_end(b, mark);
    weft_otlp_group_close(b, group);
    r->now_ns += SECOND;
    struct weft_record record = { .n_items = 1, .wall_ns = 1, .mono_ns = r->now_ns, .payload = weft_buf_slice(b) };
    return r->sink->commit(r->sink, &record);
}

static uint32_t permille_of(const struct rig *r)
{
    return (uint32_t)(weft_journal_fill(weft_pipeline_journal(r->pipeline)) * 1000);
}

static void fill_to(struct rig *r, uint32_t permille)
{
    for (size_t filler = 32 << 10; filler >= 512; filler /= 8) /* nearer with smaller ones */
        while (permille_of(r) + filler * 1000 / JOURNAL + 1 < permille)
            assert_int_equal(commit(r, WARN, filler), 0);
    while (permille_of(r) < permille)
        assert_int_equal(commit(r, WARN, 100), 0);
}

static void look(struct rig *r, uint64_t now_ns)
{
    weft_intake_look(r->intake, 0, now_ns);
}

static struct weft_intake_stats stats_of(const struct rig *r)
{
    struct weft_intake_stats stats;

    weft_intake_stats(r->intake, &stats);
    return stats;
}

static void a_request_is_answered_after_exactly_what_its_fill_asks_for(void **state)
{
    const struct { uint32_t permille; uint64_t severity; uint32_t delay_ms; } cases[] = {
        { 500, INFO, 0 },  { 700, INFO, 0 },   { 790, INFO, 0 },   { 800, WARN, 0 },   { 820, INFO, 100 },
        { 850, WARN, 0 },  { 850, INFO, 250 }, { 880, INFO, 400 }, { 899, INFO, 495 }, { 950, WARN, 0 },
    };
    struct rig r;
    uint64_t delayed = 0, sum_ms = 0;
    (void)state;

    rig_open(&r, MAX_DELAY_MS, false);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct waiter w = new_waiter(0);
        fill_to(&r, cases[i].permille);
        assert_int_equal(permille_of(&r), cases[i].permille);
        assert_int_equal(commit(&r, cases[i].severity, 10), 0);
        assert_int_equal(r.sink->delay_ms, cases[i].delay_ms);
        bool waits = r.sink->await(r.sink, &w.commit);
        assert_int_equal(waits, cases[i].delay_ms > 0);
        if (!waits)
            continue;
        uint64_t due_ns = r.now_ns + cases[i].delay_ms * MS;
        assert_true(r.alarm_ms == due_ns / MS);
        look(&r, due_ns - 1);
        assert_int_equal(w.done, 0);
        look(&r, due_ns);
        assert_int_equal(w.done, 1);
        assert_int_equal(w.err, 0);
        delayed++;
        sum_ms += cases[i].delay_ms;
    }
    assert_true(stats_of(&r).delayed_records == delayed && stats_of(&r).delayed_ms == sum_ms);
    rig_close(&r);
}

static void a_yes_is_never_held_back_where_that_is_turned_off(void **state)
{
    struct rig r;
    (void)state;

    rig_open(&r, 0, false);
    assert_null(r.sink->await);
    fill_to(&r, 880);
    assert_int_equal(commit(&r, INFO, 10), 0);
    assert_int_equal(r.sink->delay_ms, 0);
    rig_close(&r);
}

static void what_comes_after_somebody_who_waits_is_answered_before_when_it_is_due_before(void **state)
{
    struct waiter long_one = new_waiter(0), short_one = new_waiter(0);
    struct weft_record record;
    struct rig r;
    (void)state;

    rig_open(&r, MAX_DELAY_MS, false);
    fill_to(&r, 890);
    assert_int_equal(commit(&r, INFO, 10), 0);
    uint64_t long_ns = r.now_ns + 450 * MS;
    assert_true(r.sink->await(r.sink, &long_one.commit));
    while (permille_of(&r) > 820) {
        assert_true(weft_cursor_next(r.cursor, &record) > 0);
        weft_cursor_settle(r.cursor, record.sequence);
    }
    r.now_ns = long_ns - 440 * MS - SECOND; /* commit goes on a second */
    assert_int_equal(commit(&r, INFO, 10), 0);
    assert_in_range(r.sink->delay_ms, 1, 100);
    assert_true(r.sink->await(r.sink, &short_one.commit));
    assert_true(r.alarm_ms == (r.now_ns + r.sink->delay_ms * MS) / MS);
    look(&r, r.now_ns + r.sink->delay_ms * MS);
    assert_int_equal(short_one.done, 1);
    assert_int_equal(long_one.done, 0);
    assert_true(r.alarm_ms == long_ns / MS);
    look(&r, long_ns);
    assert_int_equal(long_one.done, 1);
    rig_close(&r);
}

static void a_client_that_goes_away_is_not_answered(void **state)
{
    struct waiter gone = new_waiter(0), stays = new_waiter(0);
    struct rig r;
    (void)state;

    rig_open(&r, MAX_DELAY_MS, false);
    fill_to(&r, 850);
    assert_int_equal(commit(&r, INFO, 10), 0);
    assert_true(r.sink->await(r.sink, &gone.commit));
    assert_int_equal(commit(&r, INFO, 10), 0);
    assert_true(r.sink->await(r.sink, &stays.commit));
    assert_true(r.sink->forget(r.sink, &gone.commit)); /* its record was committed all the same */
    memset(&gone, 0xa5, sizeof gone);
    look(&r, UINT64_MAX);
    assert_int_equal(stays.done, 1);
    rig_close(&r);
}

static void a_stop_answers_everybody_at_once_and_holds_nobody_back_any_more(void **state)
{
    struct waiter w[3];
    struct rig r;
    (void)state;

    rig_open(&r, MAX_DELAY_MS, false);
    fill_to(&r, 850);
    for (size_t i = 0; i < 3; i++) {
        w[i] = new_waiter(0);
        assert_int_equal(commit(&r, INFO, 10), 0);
        assert_true(r.sink->await(r.sink, &w[i].commit));
    }
    weft_intake_hurry(r.intake);
    look(&r, 0);
    for (size_t i = 0; i < 3; i++)
        assert_true(w[i].done == 1 && w[i].err == 0);
    assert_int_equal(commit(&r, INFO, 10), 0);
    assert_false(r.sink->await(r.sink, &w[0].commit));
    rig_close(&r);
}

static void when_no_more_can_wait_the_next_is_answered_at_once(void **state)
{
    static struct waiter w[WEFT_DELAY_MAX + 1];
    struct rig r;
    (void)state;

    rig_open(&r, MAX_DELAY_MS, false);
    fill_to(&r, 810);
    for (size_t i = 0; i < WEFT_DELAY_MAX; i++) {
        w[i] = new_waiter(0);
        assert_int_equal(commit(&r, INFO, 1), 0);
        assert_true(r.sink->await(r.sink, &w[i].commit));
    }
    struct waiter *last = &w[WEFT_DELAY_MAX];
    assert_int_equal(commit(&r, INFO, 1), 0);
    assert_int_equal(r.sink->delay_ms, 0);
    assert_false(r.sink->await(r.sink, &last->commit));
    assert_int_equal(stats_of(&r).delayed_records, WEFT_DELAY_MAX);
    assert_true(r.sink->forget(r.sink, &w[7].commit));
    *last = new_waiter(0);
    assert_int_equal(commit(&r, INFO, 1), 0);
    assert_true(r.sink->await(r.sink, &last->commit));
    look(&r, UINT64_MAX);
    for (size_t i = 0; i < WEFT_DELAY_MAX + 1; i++)
        assert_int_equal(w[i].done, i != 7);
    rig_close(&r);
}

/* ---- together with the disk ---- */
static void make_durable(struct rig *r)
{
    struct weft_journal *j = weft_pipeline_journal(r->pipeline);
    struct weft_journal_stats stats;

    weft_journal_stats(j, &stats);
    atomic_store(&j->durable, stats.next_sequence - 1);
    for (struct weft_journal_watch *w = r->sync.watches; w; w = w->next)
        w->on_confirmed(w->ctx);
}

static void yes_waits_for_the_later_of_the_disk_and_its_time(void **state)
{
    struct waiter w = new_waiter(0);
    struct rig r;
    (void)state;

    rig_open(&r, MAX_DELAY_MS, true);
    fill_to(&r, 850);
    make_durable(&r);
    for (int disk_first = 0; disk_first < 2; disk_first++) {
        w = new_waiter(0);
        assert_int_equal(commit(&r, INFO, 10), 0);
        assert_true(r.sink->await(r.sink, &w.commit));
        uint64_t due_ns = r.now_ns + r.sink->delay_ms * MS;
        if (disk_first)
            make_durable(&r);
        look(&r, disk_first ? due_ns - 1 : due_ns);
        assert_int_equal(w.done, 0);
        make_durable(&r);
        look(&r, due_ns);
        assert_int_equal(w.done, 1);
        assert_int_equal(w.err, 0);
    }
    rig_close(&r);
}

static void who_is_forgotten_while_both_are_awaited_says_which_of_them_it_waited_for(void **state)
{
    struct waiter disk = new_waiter(0), time = new_waiter(0);
    struct rig r;
    (void)state;

    rig_open(&r, MAX_DELAY_MS, true);
    fill_to(&r, 850);
    assert_int_equal(commit(&r, INFO, 10), 0);
    assert_true(r.sink->await(r.sink, &time.commit));
    make_durable(&r);
    look(&r, r.now_ns);
    assert_int_equal(commit(&r, INFO, 10), 0);
    assert_true(r.sink->await(r.sink, &disk.commit));
    assert_true(r.sink->forget(r.sink, &time.commit));
    assert_false(r.sink->forget(r.sink, &disk.commit));
    make_durable(&r);
    look(&r, UINT64_MAX);
    assert_int_equal(disk.done + time.done, 0);
    rig_close(&r);
}

static void vital_data_does_not_stand_behind_what_is_held_back(void **state)
{
    struct waiter held = new_waiter(0), vital = new_waiter(0);
    struct rig r;
    (void)state;

    rig_open(&r, MAX_DELAY_MS, true);
    fill_to(&r, 850);
    assert_int_equal(commit(&r, INFO, 10), 0);
    assert_true(r.sink->await(r.sink, &held.commit));
    uint64_t due_ns = r.now_ns + r.sink->delay_ms * MS;
    r.now_ns -= SECOND;
    assert_int_equal(commit(&r, WARN, 10), 0);
    assert_true(r.sink->await(r.sink, &vital.commit));
    make_durable(&r);
    look(&r, r.now_ns);
    assert_int_equal(vital.done, 1);
    assert_int_equal(held.done, 0);
    assert_true(r.alarm_ms == due_ns / MS);
    look(&r, due_ns);
    assert_int_equal(held.done, 1);
    rig_close(&r);
}

static void a_failed_sync_is_told_at_once(void **state)
{
    struct waiter w = new_waiter(0);
    struct weft_journal_stats stats;
    struct rig r;
    (void)state;

    rig_open(&r, MAX_DELAY_MS, true);
    fill_to(&r, 850);
    assert_int_equal(commit(&r, INFO, 10), 0);
    assert_true(r.sink->await(r.sink, &w.commit));
    weft_journal_stats(weft_pipeline_journal(r.pipeline), &stats);
    atomic_store(&r.sync.failed_from, stats.next_sequence - 1);
    atomic_store(&r.sync.failed_to, stats.next_sequence - 1);
    make_durable(&r);
    look(&r, r.now_ns);
    assert_int_equal(w.done, 1);
    assert_int_equal(w.err, WEFT_ERR_DISK);
    rig_close(&r);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_is_ended_when_its_time_comes_whatever_the_order_they_came_in),
        cmocka_unit_test(who_is_forgotten_is_not_ended_wherever_it_stands),
        cmocka_unit_test(who_is_ended_may_be_followed_by_another_at_once),
        cmocka_unit_test(a_request_is_answered_after_exactly_what_its_fill_asks_for),
        cmocka_unit_test(a_yes_is_never_held_back_where_that_is_turned_off),
        cmocka_unit_test(what_comes_after_somebody_who_waits_is_answered_before_when_it_is_due_before),
        cmocka_unit_test(a_client_that_goes_away_is_not_answered),
        cmocka_unit_test(a_stop_answers_everybody_at_once_and_holds_nobody_back_any_more),
        cmocka_unit_test(when_no_more_can_wait_the_next_is_answered_at_once),
        cmocka_unit_test(yes_waits_for_the_later_of_the_disk_and_its_time),
        cmocka_unit_test(who_is_forgotten_while_both_are_awaited_says_which_of_them_it_waited_for),
        cmocka_unit_test(vital_data_does_not_stand_behind_what_is_held_back),
        cmocka_unit_test(a_failed_sync_is_told_at_once),
    };

    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

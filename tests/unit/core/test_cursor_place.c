/* SPDX-License-Identifier: Apache-2.0 */
/* Places that outlive their readers: parking, going on, releasing, and where a new name starts; and what a journal says of how
 * far things are: settled, durable, sources, ages. */
#include "core/err.h"
#include "core/journal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

#include <cmocka.h>

enum { MIB = 1 << 20, KIB = 1 << 10 };

static uint64_t now_ns;

static uint64_t clock_of_test(void)
{
    return now_ns;
}

static struct weft_journal *open_journal(uint64_t retain, uint64_t retain_ms)
{
    struct weft_journal *j = NULL;
    struct weft_journal_options o = { .name = "logs", .max_size = MIB, .segment_size = 64 * KIB, .retain = retain,
                                      .retain_ms = retain_ms, .wall_clock = clock_of_test };

    assert_int_equal(weft_journal_open(&j, &o), 0);
    return j;
}

static struct weft_cursor *open_cursor(struct weft_journal *j, const struct weft_cursor_options *o)
{
    struct weft_cursor *c = NULL;

    assert_int_equal(weft_cursor_open(&c, j, o), 0);
    return c;
}

static struct weft_cursor *open_holding(struct weft_journal *j, const char *name)
{
    return open_cursor(j, &(struct weft_cursor_options){ .name = name, .hold = true, .wake_fd = -1 });
}

static int append(struct weft_journal *j, struct weft_source source)
{
    static const uint8_t bytes[1000];
    struct weft_record r = { .wall_ns = now_ns, .n_items = 2, .source = source, .payload = { bytes, sizeof bytes } };

    return weft_journal_append(j, &r, NULL);
}

static void append_many(struct weft_journal *j, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        assert_int_equal(append(j, (struct weft_source){ 0 }), 0);
}

static uint64_t next_sequence(struct weft_cursor *c)
{
    struct weft_record r;

    return weft_cursor_next(c, &r) > 0 ? r.sequence : 0;
}

static unsigned settle_many(struct weft_cursor *c, unsigned n)
{
    unsigned done = 0;
    uint64_t sequence = 0;

    for (; done < n && (sequence = next_sequence(c)) != 0; done++)
        weft_cursor_settle(c, sequence);
    return done;
}

struct seen {
    unsigned n;
    struct weft_parked last;
};

static void see(void *ctx, const struct weft_parked *parked)
{
    struct seen *seen = ctx;

    seen->n++;
    seen->last = *parked;
    seen->last.name = NULL;
}

static struct seen parked_in(struct weft_journal *j)
{
    struct seen seen = { 0 };

    weft_journal_parked(j, see, &seen);
    return seen;
}

static void a_name_that_comes_back_goes_on_where_it_was(void **state)
{
    (void)state;
    struct weft_journal *j = open_journal(0, 0);
    struct weft_cursor *c = open_holding(j, "es");
    struct weft_cursor_stats s;

    append_many(j, 200);
    assert_int_equal(settle_many(c, 70), 70);
    assert_int_equal(next_sequence(c), 71); /* in hand, not settled: comes again */
    weft_cursor_close(c);
    append_many(j, 10);

    c = open_cursor(j, &(struct weft_cursor_options){ .name = "es", .hold = true, .start = WEFT_CURSOR_OLDEST, .wake_fd = -1 });
    weft_cursor_stats(c, &s);
    assert_int_equal(s.settled_sequence, 70);
    assert_int_equal(s.waiting_records, 140);
    assert_int_equal(s.waiting_items, 280);
    assert_int_equal(next_sequence(c), 71);
    weft_cursor_settle(c, 71);
    assert_int_equal(settle_many(c, 1000), 139);
    weft_cursor_stats(c, &s);
    assert_int_equal(s.waiting_bytes, 0);
    weft_cursor_close(c);
    weft_journal_close(j);
}

static void a_parked_place_holds_until_it_is_released(void **state)
{
    (void)state;
    struct weft_journal *j = open_journal(0, 0);
    struct weft_journal_stats s;
    unsigned n = 0;

    now_ns = 5000;
    weft_cursor_close(open_holding(j, "gone"));
    while (append(j, (struct weft_source){ 0 }) == 0)
        n++;
    struct seen seen = parked_in(j);
    assert_int_equal(seen.n, 1);
    assert_true(seen.last.hold);
    assert_int_equal(seen.last.parked_wall_ns, 5000);
    assert_int_equal(seen.last.settled_sequence, 0);
    assert_int_equal(seen.last.waiting_records, n);
    assert_int_equal(seen.last.waiting_items, n * 2);
    assert_int_equal(seen.last.waiting_bytes, n * 1000);
    assert_true(weft_journal_fill(j) > 0.9);
    weft_journal_stats(j, &s);
    assert_int_equal(s.n_parked, 1);
    assert_int_equal(s.n_cursors, 0);

    assert_int_equal(weft_journal_release(j, "another"), WEFT_ERR_NOT_FOUND);
    assert_int_equal(weft_journal_release(j, "gone"), 0);
    assert_int_equal(weft_journal_release(j, "gone"), WEFT_ERR_NOT_FOUND);
    assert_true(weft_journal_fill(j) == 0.0);
    assert_int_equal(parked_in(j).n, 0);
    append_many(j, 5);
    weft_journal_close(j);
}

static void one_name_has_one_reader(void **state)
{
    (void)state;
    struct weft_journal *j = open_journal(0, 0);
    struct weft_cursor *c = open_holding(j, "es"), *second = NULL;
    struct weft_cursor_options o = { .name = "es", .hold = true, .wake_fd = -1 };

    assert_int_equal(weft_cursor_open(&second, j, &o), UV_EEXIST);
    assert_null(second);
    assert_int_equal(weft_journal_release(j, "es"), WEFT_ERR_NOT_FOUND); /* it is not parked */
    o.transient = true;
    assert_int_equal(weft_cursor_open(&second, j, &o), 0);
    weft_cursor_close(second);
    weft_cursor_close(c);
    weft_journal_close(j);
}

static void a_transient_cursor_leaves_nothing_behind(void **state)
{
    const struct { const char *what; struct weft_cursor_options options; } cases[] = {
        { "one that says so",      { .name = "replay", .transient = true, .hold = true, .wake_fd = -1 } },
        { "one without a name",    { .hold = true, .wake_fd = -1 } },
        { "one with an empty name", { .name = "", .hold = true, .wake_fd = -1 } },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct weft_journal *j = open_journal(0, 0);
        struct weft_cursor *c = open_cursor(j, &cases[i].options);
        append_many(j, 500);
        weft_cursor_close(c);
        if (parked_in(j).n != 0 || weft_journal_fill(j) > 0)
            fail_msg("%s is still there", cases[i].what);
        weft_journal_close(j);
    }
}

/* It is moved on when its segment goes, and what it missed is counted when it is back. */
static void a_parked_place_that_does_not_hold_is_skipped_ahead(void **state)
{
    (void)state;
    struct weft_journal *j = open_journal(0, 0);
    struct weft_cursor_options o = { .name = "recorder", .start = WEFT_CURSOR_OLDEST, .wake_fd = -1 };
    struct weft_cursor *c = open_cursor(j, &o);
    struct weft_cursor_stats s;
    struct weft_journal_stats kept;

    append_many(j, 30);
    assert_int_equal(settle_many(c, 10), 10);
    weft_cursor_close(c);
    append_many(j, 5000);
    weft_journal_stats(j, &kept);
    struct seen seen = parked_in(j);
    assert_int_equal(seen.last.settled_sequence, kept.first_sequence - 1);
    assert_int_equal(seen.last.waiting_records, kept.next_sequence - kept.first_sequence);

    c = open_cursor(j, &o);
    weft_cursor_stats(c, &s);
    assert_int_equal(s.waiting_items, 2 * (kept.next_sequence - kept.first_sequence));
    assert_int_equal(next_sequence(c), kept.first_sequence);
    weft_cursor_close(c);
    weft_journal_close(j);
}

static void a_reader_may_come_back_with_another_kind_of_hold(void **state)
{
    (void)state;
    struct weft_journal *j = open_journal(0, 0);
    struct weft_cursor_options o = { .name = "es", .hold = true, .wake_fd = -1 };

    weft_cursor_close(open_cursor(j, &o));
    append_many(j, 500);
    o.hold = false;
    weft_cursor_close(open_cursor(j, &o));
    assert_true(weft_journal_fill(j) == 0.0);
    append_many(j, 5000);
    o.hold = true;
    struct weft_cursor *c = open_cursor(j, &o);
    unsigned n = 0;
    while (append(j, (struct weft_source){ 0 }) == 0)
        n++;
    assert_true(n > 0 && n < 1100);
    weft_cursor_close(c);
    weft_journal_close(j);
}

static void a_cursor_can_start_at_a_point_in_time(void **state)
{
    const struct { const char *what; uint64_t from; uint64_t first; } cases[] = {
        { "before everything",           0,      1 },
        { "exactly the first",           1000,   1 },
        { "between two",                 1001,   2 },
        { "in the middle of a segment",  30000,  30 },
        { "several segments later",      300000, 300 },
        { "the very last",               400000, 400 },
        { "after everything",            400001, 0 },
    };
    struct weft_journal *j = open_journal(0, 0);

    (void)state;
    struct weft_cursor *keep = open_holding(j, "es");
    for (now_ns = 1000; now_ns <= 400000; now_ns += 1000)
        assert_int_equal(append(j, (struct weft_source){ 0 }), 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct weft_cursor_stats s;
        struct weft_cursor *c = open_cursor(j, &(struct weft_cursor_options){
            .transient = true, .hold = i % 2, .start = WEFT_CURSOR_TIME, .from_wall_ns = cases[i].from, .wake_fd = -1 });
        weft_cursor_stats(c, &s);
        uint64_t first = next_sequence(c);
        if (first != cases[i].first || s.waiting_records != (first ? 401 - first : 0))
            fail_msg("%s: starts at %lu with %lu waiting", cases[i].what, (unsigned long)first,
                     (unsigned long)s.waiting_records);
        weft_cursor_close(c);
    }
    weft_cursor_close(keep);
    weft_journal_close(j);
}

static void settled_is_the_least_of_all_that_hold(void **state)
{
    (void)state;
    struct weft_journal *j = open_journal(0, 0);
    struct weft_reservation open;
    struct weft_record r = { 0 };

    assert_int_equal(weft_journal_settled(j), 0);
    append_many(j, 5);
    assert_int_equal(weft_journal_settled(j), 5); /* nobody holds: what is published */
    assert_int_equal(weft_journal_reserve(j, 10, 1, &open), 0);
    append_many(j, 3);
    assert_int_equal(weft_journal_settled(j), 5);
    assert_int_equal(weft_journal_durable(j), 5);
    weft_journal_publish(j, &open, &r);
    assert_int_equal(weft_journal_settled(j), 9);
    assert_int_equal(weft_journal_durable(j), 9);

    struct weft_cursor *fast = open_holding(j, "fast"), *slow = open_holding(j, "slow");
    struct weft_cursor *loose = open_cursor(j, &(struct weft_cursor_options){ .name = "loose", .wake_fd = -1 });
    append_many(j, 300);
    assert_int_equal(settle_many(fast, 200), 200);
    assert_int_equal(settle_many(slow, 100), 100);
    assert_int_equal(weft_journal_settled(j), 109);
    assert_int_equal(weft_journal_durable(j), 309);
    weft_cursor_close(slow);
    assert_int_equal(weft_journal_settled(j), 109);
    assert_int_equal(weft_journal_release(j, "slow"), 0);
    assert_int_equal(weft_journal_settled(j), 209);
    weft_cursor_close(fast);
    weft_cursor_close(loose);
    weft_journal_close(j);
}

static void the_last_position_of_a_source_is_known_even_when_its_records_are_gone(void **state)
{
    (void)state;
    struct weft_journal *j = open_journal(0, 0);
    uint64_t position = 0;

    assert_false(weft_journal_source(j, 7, &position));
    assert_int_equal(append(j, (struct weft_source){ 7, 100 }), 0);
    assert_int_equal(append(j, (struct weft_source){ 8, 5 }), 0);
    assert_int_equal(append(j, (struct weft_source){ 7, 90 }), 0); /* truncated and read anew: the last, not the greatest */
    append_many(j, 3000);
    assert_true(weft_journal_source(j, 7, &position));
    assert_int_equal(position, 90);
    assert_true(weft_journal_source(j, 8, &position));
    assert_int_equal(position, 5);
    weft_journal_forget_source(j, 7);
    assert_false(weft_journal_source(j, 7, &position));
    assert_false(weft_journal_source(j, 0, &position));
    assert_true(weft_journal_source(j, 8, &position));
    weft_journal_close(j);
}

static void the_sources_are_bounded_and_the_most_silent_one_gives_way(void **state)
{
    (void)state;
    struct weft_journal *j = open_journal(0, 0);
    uint64_t position = 0;

    for (uint64_t id = 1; id <= 5000; id++) {
        assert_int_equal(append(j, (struct weft_source){ id, id * 2 }), 0);
        if (id % 100 == 0)
            assert_int_equal(append(j, (struct weft_source){ 1, id }), 0);
    }
    unsigned known = 0;
    for (uint64_t id = 1; id <= 5000; id++)
        known += weft_journal_source(j, id, &position);
    assert_int_equal(known, 4096);
    assert_false(weft_journal_source(j, 2, &position));
    assert_true(weft_journal_source(j, 1, &position));
    assert_int_equal(position, 5000);
    assert_true(weft_journal_source(j, 4999, &position));
    assert_int_equal(position, 9998);
    for (uint64_t id = 1; id <= 5000; id += 2)
        weft_journal_forget_source(j, id);
    for (uint64_t id = 1000; id <= 5000; id += 2)
        if (!weft_journal_source(j, id, &position) || position != id * 2)
            fail_msg("source %lu went with its neighbours", (unsigned long)id);
    weft_journal_close(j);
}

static uint64_t oldest_of(struct weft_journal *j)
{
    struct weft_journal_stats s;

    weft_journal_stats(j, &s);
    return s.first_sequence;
}

static void retained_segments_go_when_they_are_too_old(void **state)
{
    (void)state;
    struct weft_journal *j = open_journal(512 * KIB, 60000);

    now_ns = 1000000000;
    append_many(j, 200);
    assert_int_equal(oldest_of(j), 1);
    now_ns += 59 * 1000000000ull;
    append_many(j, 100);
    assert_int_equal(oldest_of(j), 1);
    now_ns += 2 * 1000000000ull;
    append_many(j, 100); /* fills a segment, which is when it is looked at */
    assert_true(oldest_of(j) > 150 && oldest_of(j) <= 301);
    weft_journal_close(j);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_that_comes_back_goes_on_where_it_was),
        cmocka_unit_test(a_parked_place_holds_until_it_is_released),
        cmocka_unit_test(one_name_has_one_reader),
        cmocka_unit_test(a_transient_cursor_leaves_nothing_behind),
        cmocka_unit_test(a_parked_place_that_does_not_hold_is_skipped_ahead),
        cmocka_unit_test(a_reader_may_come_back_with_another_kind_of_hold),
        cmocka_unit_test(a_cursor_can_start_at_a_point_in_time),
        cmocka_unit_test(settled_is_the_least_of_all_that_hold),
        cmocka_unit_test(the_last_position_of_a_source_is_known_even_when_its_records_are_gone),
        cmocka_unit_test(the_sources_are_bounded_and_the_most_silent_one_gives_way),
        cmocka_unit_test(retained_segments_go_when_they_are_too_old),
    };

    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The journal's promises one by one: the numbered invariants of journal.h, sizes, back-pressure and retention.
 * Random sequences of operations are in test_journal_model.c, threads in test_journal_threads.c. */
#include "core/err.h"
#include "core/journal.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <uv.h>

#include <cmocka.h>

enum { MIB = 1 << 20, KIB = 1 << 10 };

static struct weft_journal *open_journal(size_t max_size, size_t segment_size, size_t retain)
{
    struct weft_journal *j = NULL;
    struct weft_journal_options o = {
        .name = "logs", .max_size = max_size, .segment_size = segment_size, .retain = retain
    };

    assert_int_equal(weft_journal_open(&j, &o), 0);
    return j;
}

/* Transient: most tests ask nothing of what becomes of a place afterwards (test_cursor_place.c does). */
static struct weft_cursor *open_cursor(struct weft_journal *j, bool hold, enum weft_cursor_start start)
{
    struct weft_cursor *c = NULL;
    struct weft_cursor_options o = { .hold = hold, .start = start, .wake_fd = -1 };

    assert_int_equal(weft_cursor_open(&c, j, &o), 0);
    return c;
}

static int append(struct weft_journal *j, size_t len, uint32_t n_items, uint64_t *ret_sequence)
{
    uint8_t *bytes = malloc(len + 1);
    struct weft_record r = { .signal = WEFT_LOGS, .n_items = n_items, .payload = weft_slice_of(bytes, len) };

    memset(bytes, 'x', len);
    int err = weft_journal_append(j, &r, ret_sequence);
    free(bytes);
    return err;
}

static unsigned fill_up(struct weft_journal *j, size_t len)
{
    unsigned n = 0;

    while (append(j, len, 1, NULL) == 0)
        n++;
    return n;
}

static unsigned read_all(struct weft_cursor *c, bool settle)
{
    struct weft_record r;
    unsigned n = 0;

    while (weft_cursor_next(c, &r) > 0) {
        n++;
        if (settle)
            weft_cursor_settle(c, r.sequence);
    }
    return n;
}

static struct weft_journal_stats stats_of(struct weft_journal *j)
{
    struct weft_journal_stats s;

    weft_journal_stats(j, &s);
    return s;
}

static struct weft_cursor_stats cursor_stats_of(struct weft_cursor *c)
{
    struct weft_cursor_stats s;

    weft_cursor_stats(c, &s);
    return s;
}

/* A reader that holds passes everything at once, with nothing retained for its own sake; another one, which does not hold, reads nothing
 * meanwhile. */
static void who_does_not_hold_loses_only_what_there_is_no_room_for(void **state)
{
    (void)state;
    struct weft_journal *j = open_journal(4 * MIB, 64 * KIB, 0);
    struct weft_cursor *fast = open_cursor(j, true, WEFT_CURSOR_TAIL), *slow = open_cursor(j, false, WEFT_CURSOR_TAIL);

    for (unsigned i = 0; i < 3000; i++) {
        assert_int_equal(append(j, 1000, 1, NULL), 0);
        (void)read_all(fast, true);
    }
    assert_int_equal(cursor_stats_of(slow).skipped_items, 0);
    assert_true(weft_journal_fill(j) < 0.05);
    for (unsigned i = 0; i < 3000; i++) {
        assert_int_equal(append(j, 1000, 1, NULL), 0);
        (void)read_all(fast, true);
    }
    unsigned rest = read_all(slow, true);
    assert_in_range(rest, (4 * MIB - 3 * 64 * KIB) / 1100, 4 * MIB / 1000);
    assert_int_equal(cursor_stats_of(slow).skipped_items + rest, 6000);
    assert_true(stats_of(j).segment_bytes <= 4 * MIB);
    assert_int_equal(append(j, 1000, 1, NULL), 0);
    assert_int_equal(read_all(fast, true) + read_all(slow, true), 2);
    assert_in_range(stats_of(j).n_segments, 1, 2); /* everybody has passed them */
    weft_cursor_close(fast);
    weft_cursor_close(slow);
    weft_journal_close(j);
}

static void what_was_appended_is_read_field_by_field(void **state)
{
    (void)state;
    struct weft_journal *j = open_journal(MIB, 0, 0);
    struct weft_cursor *c = open_cursor(j, true, WEFT_CURSOR_TAIL);
    struct weft_record in = { .sequence = 77, .wall_ns = 1, .mono_ns = 2, .signal = WEFT_METRICS, .flags = 3,
                              .n_items = 4, .source = { 5, 6 }, .payload = WEFT_SLICE("payload") };
    struct weft_record out;
    uint64_t sequence;

    assert_int_equal(weft_cursor_next(c, &out), 0);
    assert_int_equal(weft_journal_append(j, &in, &sequence), 0);
    assert_int_equal(sequence, 1);
    assert_int_equal(weft_cursor_next(c, &out), 1);
    assert_int_equal(out.sequence, 1);
    assert_int_equal(out.wall_ns, 1);
    assert_int_equal(out.mono_ns, 2);
    assert_int_equal(out.signal, WEFT_METRICS);
    assert_int_equal(out.flags, 3);
    assert_int_equal(out.n_items, 4);
    assert_int_equal(out.source.id, 5);
    assert_int_equal(out.source.position, 6);
    assert_true(weft_slice_is(out.payload, "payload"));
    assert_int_equal(weft_cursor_next(c, &out), 0);
    weft_cursor_close(c);
    weft_journal_close(j);
}

static void an_empty_payload_is_a_record(void **state)
{
    (void)state;
    struct weft_journal *j = open_journal(MIB, 0, 0);
    struct weft_cursor *c = open_cursor(j, true, WEFT_CURSOR_TAIL);
    struct weft_record r = { .n_items = 1 };

    assert_int_equal(weft_journal_append(j, &r, NULL), 0);
    assert_int_equal(weft_cursor_next(c, &r), 1);
    assert_int_equal(r.payload.len, 0);
    weft_cursor_close(c);
    weft_journal_close(j);
}

static void bad_options_are_refused(void **state)
{
    (void)state;
    struct weft_journal *j = NULL;
    struct weft_journal_options small = { .name = "x", .max_size = MIB - 1 };
    struct weft_journal_options nowhere = { .name = "x", .max_size = MIB, .mode = WEFT_JOURNAL_DISK };

    assert_int_equal(weft_journal_open(&j, &small), UV_EINVAL);
    assert_int_equal(weft_journal_open(&j, &nowhere), UV_EINVAL);
    assert_null(j);
    weft_journal_close(NULL);
    weft_cursor_close(NULL);
}

static void every_journal_has_an_id_of_its_own(void **state)
{
    (void)state;
    struct weft_journal *a = open_journal(MIB, 0, 0), *b = open_journal(MIB, 0, 0);

    assert_int_not_equal(weft_journal_id(a), 0);
    assert_int_not_equal(weft_journal_id(b), 0);
    assert_int_not_equal(weft_journal_id(a), weft_journal_id(b));
    weft_journal_close(a);
    weft_journal_close(b);
}

/* Invariant 1, for many shapes of record and journal. */
static void segments_never_add_up_to_more_than_max_size(void **state)
{
    const struct { const char *what; size_t max, segment, len; } cases[] = {
        { "small records",                    MIB,     0,         100 },
        { "a record is a page",               MIB,     4 * KIB,   4096 },
        { "a segment holds exactly one",      MIB,     64 * KIB,  64 * KIB - 64 },
        { "every record is oversize",         MIB,     16 * KIB,  100 * KIB },
        { "the largest there is",             2 * MIB, 0,         MIB - 64 },
        { "max_size is not a whole multiple", MIB + 12345, 60000, 7000 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct weft_journal *j = open_journal(cases[i].max, cases[i].segment, 0);
        struct weft_cursor *c = open_cursor(j, true, WEFT_CURSOR_TAIL);
        unsigned n = fill_up(j, cases[i].len);

        if (n == 0 || stats_of(j).segment_bytes > cases[i].max)
            fail_msg("%s: %u records in %zu bytes", cases[i].what, n, (size_t)stats_of(j).segment_bytes);
        if (append(j, cases[i].len, 1, NULL) != WEFT_ERR_FULL || stats_of(j).appended_records != n)
            fail_msg("%s: something was taken although it was full", cases[i].what);
        if (read_all(c, true) != n)
            fail_msg("%s: not all could be read", cases[i].what);
        if (append(j, cases[i].len, 1, NULL) != 0)
            fail_msg("%s: no room although all is settled", cases[i].what);
        weft_cursor_close(c);
        weft_journal_close(j);
    }
}

static void a_small_record_fits_less_than_the_waste_of_one_segment_is_lost(void **state)
{
    (void)state;
    struct weft_journal *j = open_journal(4 * MIB, 0, 0);
    struct weft_cursor *c = open_cursor(j, true, WEFT_CURSOR_TAIL);
    unsigned n = fill_up(j, 1000);

    assert_true((uint64_t)n * 1000 > 3.7 * MIB); /* heads of 64 bytes, ends of segments */
    assert_true(weft_journal_fill(j) > 0.95);
    weft_cursor_close(c);
    weft_journal_close(j);
}

static void what_can_never_fit_is_too_large_and_the_largest_fits_again_and_again(void **state)
{
    (void)state;
    struct weft_journal *j = open_journal(MIB, 0, 0);
    struct weft_cursor *c = open_cursor(j, true, WEFT_CURSOR_TAIL);
    size_t most = weft_journal_max_payload(j);

    assert_true(most >= MIB / 2 - 4096);
    assert_int_equal(append(j, most + 1, 1, NULL), WEFT_ERR_TOO_LARGE);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(append(j, most, 1, NULL), 0);
        assert_int_equal(append(j, 10, 1, NULL), 0);
        assert_int_equal(read_all(c, true), 2);
    }
    weft_cursor_close(c);
    weft_journal_close(j);
}

/* Invariant 2. */
static void a_reserved_record_hides_what_comes_after_it_until_it_is_published(void **state)
{
    (void)state;
    struct weft_journal *j = open_journal(MIB, 0, 0);
    struct weft_cursor *c = open_cursor(j, true, WEFT_CURSOR_TAIL);
    struct weft_reservation first;
    struct weft_record r = { 0 };

    assert_int_equal(weft_journal_reserve(j, 5, 1, &first), 0);
    assert_int_equal(append(j, 9, 1, NULL), 0);
    assert_int_equal(weft_cursor_next(c, &r), 0);
    assert_false(!weft_cursor_arm(c));
    memcpy(first.payload, "first", 5);
    weft_journal_publish(j, &first, &r);
    assert_int_equal(weft_cursor_next(c, &r), 1);
    assert_true(weft_slice_is(r.payload, "first"));
    assert_int_equal(weft_cursor_next(c, &r), 1);
    assert_int_equal(r.sequence, 2);
    weft_cursor_close(c);
    weft_journal_close(j);
}

/* Invariant 3. */
static void an_abandoned_reservation_is_stepped_over_and_not_counted(void **state)
{
    (void)state;
    struct weft_journal *j = open_journal(MIB, 0, 0);
    struct weft_reservation gone, early;
    struct weft_record r;

    assert_int_equal(weft_journal_reserve(j, 50, 7, &early), 0);
    struct weft_cursor *c = open_cursor(j, true, WEFT_CURSOR_TAIL);
    assert_int_equal(append(j, 10, 1, NULL), 0);
    assert_int_equal(weft_journal_reserve(j, 100, 9, &gone), 0);
    assert_int_equal(append(j, 10, 1, NULL), 0);
    weft_journal_abandon(j, &gone);
    weft_journal_abandon(j, &early);

    assert_int_equal(cursor_stats_of(c).waiting_items, 2);
    assert_int_equal(weft_cursor_next(c, &r), 1);
    assert_int_equal(r.sequence, 2);
    assert_int_equal(weft_cursor_next(c, &r), 1);
    assert_int_equal(r.sequence, 4);
    weft_cursor_settle(c, 4);
    assert_int_equal(cursor_stats_of(c).waiting_items, 0);
    assert_int_equal(stats_of(j).appended_items, 2);
    assert_int_equal(stats_of(j).abandoned_records, 2);
    weft_cursor_close(c);
    weft_journal_close(j);
}

static void a_rewound_cursor_reads_again_what_is_not_settled(void **state)
{
    (void)state;
    struct weft_journal *j = open_journal(MIB, 4 * KIB, 0);
    struct weft_cursor *c = open_cursor(j, true, WEFT_CURSOR_TAIL);
    struct weft_record r;

    for (int i = 0; i < 20; i++)
        assert_int_equal(append(j, 1000, 1, NULL), 0);
    assert_int_equal(read_all(c, false), 20);
    weft_cursor_settle(c, 5);
    assert_int_equal(cursor_stats_of(c).settled_sequence, 5);
    assert_int_equal(cursor_stats_of(c).waiting_records, 15);
    weft_cursor_rewind(c);
    assert_int_equal(weft_cursor_next(c, &r), 1);
    assert_int_equal(r.sequence, 6);
    assert_int_equal(read_all(c, true), 14);
    assert_int_equal(cursor_stats_of(c).waiting_bytes, 0);
    weft_cursor_close(c);
    weft_journal_close(j);
}

static void a_cursor_starts_at_the_tail_or_at_the_oldest(void **state)
{
    (void)state;
    struct weft_journal *j = open_journal(MIB, 0, 0);
    struct weft_record r;

    for (int i = 0; i < 3; i++)
        assert_int_equal(append(j, 10, 2, NULL), 0);
    struct weft_cursor *tail = open_cursor(j, true, WEFT_CURSOR_TAIL);
    struct weft_cursor *oldest = open_cursor(j, true, WEFT_CURSOR_OLDEST);
    assert_int_equal(cursor_stats_of(tail).waiting_items, 0);
    assert_int_equal(cursor_stats_of(oldest).waiting_items, 6);
    assert_int_equal(weft_cursor_next(tail, &r), 0);
    assert_int_equal(weft_cursor_next(oldest, &r), 1);
    assert_int_equal(r.sequence, 1);
    assert_int_equal(append(j, 10, 2, NULL), 0);
    assert_int_equal(weft_cursor_next(tail, &r), 1);
    assert_int_equal(r.sequence, 4);
    weft_cursor_close(tail);
    weft_cursor_close(oldest);
    weft_journal_close(j);
}

/* Invariant 4. */
static void the_slowest_holding_cursor_decides_what_is_kept(void **state)
{
    (void)state;
    struct weft_journal *j = open_journal(MIB, 0, 0);
    struct weft_cursor *fast = open_cursor(j, true, WEFT_CURSOR_TAIL);
    struct weft_cursor *dead = open_cursor(j, true, WEFT_CURSOR_TAIL);
    unsigned n = fill_up(j, 1000);

    assert_int_equal(read_all(fast, true), n);
    assert_int_equal(append(j, 1000, 1, NULL), WEFT_ERR_FULL);
    assert_true(weft_journal_fill(j) > 0.9);
    assert_int_equal(cursor_stats_of(dead).waiting_records, n);
    assert_int_equal(stats_of(j).refused_records, 2);
    weft_cursor_close(dead);
    assert_true(weft_journal_fill(j) == 0.0);
    assert_int_equal(append(j, 1000, 1, NULL), 0);
    weft_cursor_close(fast);
    weft_journal_close(j);
}

static void without_cursors_nothing_is_kept(void **state)
{
    (void)state;
    struct weft_journal *j = open_journal(MIB, 64 * KIB, 0);

    for (int i = 0; i < 10000; i++)
        assert_int_equal(append(j, 5000, 1, NULL), 0);
    assert_int_equal(stats_of(j).n_segments, 1);
    assert_true(stats_of(j).segment_bytes <= 3 * 64 * KIB);
    assert_int_equal(append(j, weft_journal_max_payload(j), 1, NULL), 0);
    assert_int_equal(append(j, 10, 1, NULL), 0);
    assert_int_equal(stats_of(j).n_segments, 1);
    weft_journal_close(j);
}

static void a_cursor_that_does_not_hold_loses_the_oldest_and_counts_it(void **state)
{
    (void)state;
    struct weft_journal *j = open_journal(MIB, 64 * KIB, 0);
    struct weft_cursor *c = open_cursor(j, false, WEFT_CURSOR_TAIL);
    struct weft_record r;
    uint64_t last = 0, seen_items = 0;

    assert_int_equal(append(j, 1000, 3, NULL), 0);
    assert_int_equal(weft_cursor_next(c, &r), 1); /* in hand: must stay readable whatever comes */
    struct weft_slice in_hand = r.payload;
    for (int i = 0; i < 5000; i++)
        assert_int_equal(append(j, 1000, 3, NULL), 0);
    assert_int_equal(in_hand.data[0], 'x');
    assert_int_equal(in_hand.data[999], 'x');
    seen_items += r.n_items;
    last = r.sequence;
    while (weft_cursor_next(c, &r) > 0) {
        assert_true(r.sequence > last);
        last = r.sequence;
        seen_items += r.n_items;
        weft_cursor_settle(c, r.sequence);
    }
    assert_int_equal(last, 5001);
    assert_true(cursor_stats_of(c).skipped_items > 0);
    assert_int_equal(seen_items + cursor_stats_of(c).skipped_items, 5001 * 3);
    assert_int_equal(cursor_stats_of(c).waiting_items, 0);
    weft_cursor_close(c);
    weft_journal_close(j);
}

static void retained_segments_can_be_looked_up_and_give_way_when_room_is_needed(void **state)
{
    (void)state;
    struct weft_journal *j = open_journal(MIB, 64 * KIB, 512 * KIB);
    struct weft_cursor *c = open_cursor(j, true, WEFT_CURSOR_TAIL);
    struct weft_record r;

    for (int i = 0; i < 2000; i++) {
        assert_int_equal(append(j, 1000, 1, NULL), 0);
        assert_int_equal(weft_cursor_next(c, &r), 1);
        weft_cursor_settle(c, r.sequence);
    }
    struct weft_cursor *look = open_cursor(j, false, WEFT_CURSOR_OLDEST);
    unsigned kept = read_all(look, true);
    assert_in_range(kept, 440, 560); /* 512 KiB of 1064 bytes each, and the tail */
    weft_cursor_close(look);

    unsigned n = fill_up(j, 1000);
    assert_true(n > 850); /* all of max_size but one segment: nothing retained stood in the way */
    weft_cursor_close(c);
    weft_journal_close(j);
}

static void it_says_from_when_on_all_is_kept(void **state)
{
    (void)state;
    struct weft_journal *j = open_journal(MIB, 64 * KIB, 256 * KIB);
    struct weft_cursor *c = open_cursor(j, true, WEFT_CURSOR_TAIL);
    struct weft_record r = { .signal = WEFT_LOGS, .n_items = 1, .payload = weft_slice_str("here") }, first;

    for (r.wall_ns = 1; stats_of(j).gone_wall_ns == 0; r.wall_ns++) {
        assert_true(r.wall_ns < 100000);
        assert_int_equal(weft_journal_append(j, &r, NULL), 0);
        read_all(c, true);
    }
    struct weft_cursor *look = open_cursor(j, false, WEFT_CURSOR_OLDEST);
    assert_int_equal(weft_cursor_next(look, &first), 1);
    assert_int_equal(first.wall_ns, stats_of(j).gone_wall_ns + 1);
    weft_cursor_close(look);
    weft_cursor_close(c);
    weft_journal_close(j);
}

static void trimming_gives_memory_back_and_loses_nothing(void **state)
{
    (void)state;
    struct weft_journal *j = open_journal(MIB, 64 * KIB, 0);
    struct weft_cursor *c = open_cursor(j, true, WEFT_CURSOR_TAIL);
    struct weft_record r;

    fill_up(j, 1000);
    weft_journal_trim(j);
    read_all(c, true);
    assert_true(stats_of(j).segment_bytes >= 2 * 64 * KIB);
    weft_journal_trim(j);
    assert_int_equal(stats_of(j).segment_bytes, 64 * KIB);

    uint64_t sequence;
    assert_int_equal(append(j, 5, 1, &sequence), 0);
    weft_journal_trim(j);
    struct weft_cursor *look = open_cursor(j, false, WEFT_CURSOR_OLDEST);
    for (int i = 0; i < 2; i++) {
        struct weft_cursor *reader = i ? look : c;
        assert_int_equal(weft_cursor_next(reader, &r), 1);
        assert_int_equal(r.sequence, sequence);
        assert_true(weft_slice_is(r.payload, "xxxxx"));
    }
    weft_cursor_close(look);
    weft_cursor_close(c);
    weft_journal_close(j);
}

/* Invariant 5; test_journal_threads.c does it a million times. */
static void only_a_cursor_that_is_armed_is_woken_and_only_once(void **state)
{
    (void)state;
    struct weft_journal *j = open_journal(MIB, 0, 0);
    struct weft_cursor *c = NULL;
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    struct weft_cursor_options o = { .name = "es", .hold = true, .wake_fd = fd };
    uint64_t count = 0;

    assert_int_equal(weft_cursor_open(&c, j, &o), 0);
    assert_int_equal(append(j, 1, 1, NULL), 0);
    assert_int_equal(read(fd, &count, sizeof count), -1); /* not armed */
    assert_false(weft_cursor_arm(c));                     /* there is something */
    assert_int_equal(read_all(c, true), 1);
    assert_true(weft_cursor_arm(c));
    assert_int_equal(append(j, 1, 1, NULL), 0);
    assert_int_equal(append(j, 1, 1, NULL), 0);
    assert_int_equal(read(fd, &count, sizeof count), sizeof count);
    assert_int_equal(count, 1);
    assert_int_equal(read_all(c, true), 2);
    assert_true(weft_cursor_arm(c));
    weft_cursor_close(c);
    assert_int_equal(append(j, 1, 1, NULL), 0); /* nobody is left to wake */
    assert_int_equal(read(fd, &count, sizeof count), -1);
    close(fd);
    weft_journal_close(j);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_appended_is_read_field_by_field),
        cmocka_unit_test(who_does_not_hold_loses_only_what_there_is_no_room_for),
        cmocka_unit_test(an_empty_payload_is_a_record),
        cmocka_unit_test(bad_options_are_refused),
        cmocka_unit_test(every_journal_has_an_id_of_its_own),
        cmocka_unit_test(segments_never_add_up_to_more_than_max_size),
        cmocka_unit_test(a_small_record_fits_less_than_the_waste_of_one_segment_is_lost),
        cmocka_unit_test(what_can_never_fit_is_too_large_and_the_largest_fits_again_and_again),
        cmocka_unit_test(a_reserved_record_hides_what_comes_after_it_until_it_is_published),
        cmocka_unit_test(an_abandoned_reservation_is_stepped_over_and_not_counted),
        cmocka_unit_test(a_rewound_cursor_reads_again_what_is_not_settled),
        cmocka_unit_test(a_cursor_starts_at_the_tail_or_at_the_oldest),
        cmocka_unit_test(the_slowest_holding_cursor_decides_what_is_kept),
        cmocka_unit_test(without_cursors_nothing_is_kept),
        cmocka_unit_test(a_cursor_that_does_not_hold_loses_the_oldest_and_counts_it),
        cmocka_unit_test(retained_segments_can_be_looked_up_and_give_way_when_room_is_needed),
        cmocka_unit_test(it_says_from_when_on_all_is_kept),
        cmocka_unit_test(trimming_gives_memory_back_and_loses_nothing),
        cmocka_unit_test(only_a_cursor_that_is_armed_is_woken_and_only_once),
    };

    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

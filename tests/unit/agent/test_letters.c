/* SPDX-License-Identifier: Apache-2.0 */
/* Dead letters: written, counted, evicted, crossed out, purged, read again. */
#include "agent/letters.h"
#include "core/err.h"
#include "tests/support/fake_lane.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include <cmocka.h>

enum { MIB = 1 << 20 };

struct fixture {
    struct weft_letters *letters;
    struct weft_buf body;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    assert_int_equal(weft_letters_open(&f->letters, &(struct weft_journal_options){ .name = "es", .max_size = MIB }), 0);
    weft_buf_init(&f->body, MIB);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    weft_letters_close(f->letters);
    weft_buf_release(&f->body);
    free(f);
    return 0;
}

static struct weft_letter letter_of(struct fixture *f, unsigned from, unsigned n, const char *reason)
{
    weft_buf_reset(&f->body);
    fake_payload(&f->body, WEFT_LOGS, "shop", from, n);
    return (struct weft_letter){ .body = weft_buf_slice(&f->body), .signal = WEFT_LOGS, .reason = weft_slice_str(reason),
                                 .detail = WEFT_SLICE("failed to parse field [n]"), .pipeline = WEFT_SLICE("logs/shop"),
                                 .journal_id = 77, .sequence = 1000 + from, .first_item = from, .n_items = n,
                                 .arrived_ns = 5, .refused_ns = 100 + from, .status = 400 };
}

static void put(struct fixture *f, unsigned from, unsigned n, const char *reason)
{
    struct weft_letter letter = letter_of(f, from, n, reason);

    assert_int_equal(weft_letters_put(f->letters, &letter), 0);
}

static struct weft_letters_stats stats_of(struct fixture *f)
{
    struct weft_letters_stats s;
    uint64_t by_reason = 0;

    weft_letters_stats(f->letters, &s);
    for (size_t i = 0; i < s.n_reasons; i++)
        by_reason += s.reasons[i].items;
    assert_int_equal(by_reason, s.items);
    assert_int_equal(s.written_items, s.items + s.evicted_items + s.replayed_items + s.purged_items);
    return s;
}

/* The first items' numbers of the letters that a reader finds. */
static const char *list(struct fixture *f, struct weft_letters_filter filter, uint64_t after)
{
    static char text[512];
    struct weft_letters_reader *r;
    struct weft_letter letter;
    uint64_t sequence;
    size_t at = 0;

    text[0] = 0;
    assert_int_equal(weft_letters_reader_open(f->letters, &r, after), 0);
    while (weft_letters_reader_next(r, &filter, &letter, &sequence) == 1)
        if (at < sizeof text - 16)
            at += (size_t)snprintf(text + at, sizeof text - at, "%u ", letter.first_item);
    weft_letters_reader_close(r);
    return text;
}

static void a_letter_comes_back_as_it_was_written(void **state)
{
    struct fixture *f = *state;
    struct weft_letters_filter all = { 0 };
    struct weft_letters_reader *r;
    struct weft_letter out;
    uint64_t sequence;

    put(f, 3, 2, "http_400");
    assert_int_equal(weft_letters_reader_open(f->letters, &r, 0), 0);
    assert_int_equal(weft_letters_reader_next(r, &all, &out, &sequence), 1);
    assert_string_equal(fake_payload_names(WEFT_LOGS, out.body), "item-3 item-4 ");
    assert_true(weft_slice_is(out.reason, "http_400"));
    assert_true(weft_slice_is(out.detail, "failed to parse field [n]"));
    assert_true(weft_slice_is(out.pipeline, "logs/shop"));
    assert_int_equal(out.signal, WEFT_LOGS);
    assert_int_equal(out.journal_id, 77);
    assert_int_equal(out.sequence, 1003);
    assert_int_equal(out.first_item, 3);
    assert_int_equal(out.n_items, 2);
    assert_int_equal(out.arrived_ns, 5);
    assert_int_equal(out.refused_ns, 103);
    assert_int_equal(out.status, 400);
    assert_int_equal(weft_letters_reader_next(r, &all, &out, &sequence), 0);
    weft_letters_reader_close(r);
}

static void letters_are_found_by_reason_age_and_place(void **state)
{
    struct fixture *f = *state;

    put(f, 1, 1, "http_400");
    put(f, 2, 1, "mapping");
    put(f, 3, 1, "http_400");
    put(f, 4, 1, "mapping");
    assert_string_equal(list(f, (struct weft_letters_filter){ 0 }, 0), "1 2 3 4 ");
    assert_string_equal(list(f, (struct weft_letters_filter){ .reason = "mapping" }, 0), "2 4 ");
    assert_string_equal(list(f, (struct weft_letters_filter){ .before_ns = 103 }, 0), "1 2 ");
    assert_string_equal(list(f, (struct weft_letters_filter){ .reason = "http_400", .before_ns = 103 }, 0), "1 ");
    assert_string_equal(list(f, (struct weft_letters_filter){ 0 }, 2), "3 4 ");
    assert_string_equal(list(f, (struct weft_letters_filter){ .reason = "none such" }, 0), "");
    struct weft_letters_stats s = stats_of(f);
    assert_int_equal(s.letters, 4);
    assert_int_equal(s.n_reasons, 2);
    assert_int_equal(s.oldest_ns, 101);
}

static void purging_takes_what_matches_and_leaves_the_rest(void **state)
{
    struct fixture *f = *state;
    uint64_t items;

    for (unsigned i = 1; i <= 6; i++)
        put(f, i, i, i % 2 ? "http_400" : "mapping");
    assert_int_equal(weft_letters_purge(f->letters, &(struct weft_letters_filter){ .reason = "mapping" }, &items), 0);
    assert_int_equal(items, 2 + 4 + 6);
    assert_string_equal(list(f, (struct weft_letters_filter){ 0 }, 0), "1 3 5 ");
    assert_int_equal(weft_letters_purge(f->letters, &(struct weft_letters_filter){ .before_ns = 104 }, &items), 0);
    assert_int_equal(items, 1 + 3);
    assert_int_equal(stats_of(f).items, 5);
    assert_int_equal(weft_letters_purge(f->letters, &(struct weft_letters_filter){ 0 }, &items), 0);
    assert_int_equal(items, 5);
    struct weft_letters_stats s = stats_of(f);
    assert_int_equal(s.letters + s.items + s.bytes + s.n_reasons + s.oldest_ns, 0);
    assert_int_equal(s.purged_items, 21);
    put(f, 9, 1, "http_400");
    assert_string_equal(list(f, (struct weft_letters_filter){ 0 }, 0), "9 ");
}

static void a_full_journal_gives_up_its_oldest_letters(void **state)
{
    struct fixture *f = *state;

    for (unsigned i = 0; i < 6000; i++)
        put(f, i, 20, "http_400");
    struct weft_letters_stats s = stats_of(f);
    assert_true(s.evicted_items > 0);
    assert_true(s.bytes < MIB);
    assert_true(s.bytes > MIB / 2);
    const char *left = list(f, (struct weft_letters_filter){ 0 }, 0);
    assert_int_equal(strtoul(left, NULL, 10), 6000 - s.letters);
}

static void a_letter_that_can_never_fit_is_refused_and_costs_no_other(void **state)
{
    struct fixture *f = *state;

    put(f, 1, 1, "http_400");
    struct weft_letter large = letter_of(f, 2, 20000, "http_400");
    assert_int_equal(weft_letters_put(f->letters, &large), WEFT_ERR_TOO_LARGE);
    assert_string_equal(list(f, (struct weft_letters_filter){ 0 }, 0), "1 ");
    assert_int_equal(stats_of(f).written_items, 1);
}

static void a_reader_does_not_meet_what_came_after_it(void **state)
{
    struct fixture *f = *state;
    struct weft_letters_filter all = { 0 };
    struct weft_letters_reader *r;
    struct weft_letter letter;
    uint64_t sequence, met = 0;

    put(f, 1, 1, "http_400");
    put(f, 2, 1, "http_400");
    assert_int_equal(weft_letters_reader_open(f->letters, &r, 0), 0);
    while (weft_letters_reader_next(r, &all, &letter, &sequence) == 1) {
        struct weft_letter again = letter; /* refused again */
        assert_int_equal(weft_letters_put(f->letters, &again), 0);
        weft_letters_remove(f->letters, sequence, &letter, WEFT_LETTERS_REPLAYED);
        weft_letters_reader_settle(r, sequence);
        assert_true(++met < 10);
    }
    weft_letters_flush(f->letters);
    weft_letters_reader_close(r);
    assert_int_equal(met, 2);
    assert_string_equal(list(f, all, 0), "1 2 ");
    assert_int_equal(stats_of(f).replayed_items, 2);
}

static void reasons_beyond_the_table_are_counted_together(void **state)
{
    struct fixture *f = *state;
    char word[16];
    uint64_t items;

    for (unsigned i = 0; i < 50; i++) {
        (void)snprintf(word, sizeof word, "reason_%u", i);
        put(f, i, 1, word);
    }
    struct weft_letters_stats s = stats_of(f);
    assert_int_equal(s.n_reasons, WEFT_LETTERS_REASONS);
    assert_string_equal(s.reasons[WEFT_LETTERS_REASONS - 1].word, "other");
    assert_int_equal(s.reasons[WEFT_LETTERS_REASONS - 1].items, 50 - WEFT_LETTERS_REASONS + 1);
    assert_int_equal(weft_letters_purge(f->letters, &(struct weft_letters_filter){ .reason = "reason_49" }, &items), 0);
    assert_int_equal(items, 1);
    assert_int_equal(stats_of(f).items, 49);
}

/* Writes, removals, purges and evictions in any order: the sum adds up, and what is left is what was not taken. */
static void whatever_happens_the_sum_adds_up(void **state)
{
    struct fixture *f = *state;
    static const char *const reasons[] = { "http_400", "mapping", "too_large" };
    unsigned seed = 7;

    for (unsigned round = 0; round < 20000; round++) {
        unsigned dice = (unsigned)rand_r(&seed) % 400;
        uint64_t items;
        put(f, round, 1 + dice % 40, reasons[dice % 3]);
        if (dice == 0)
            assert_int_equal(weft_letters_purge(f->letters, &(struct weft_letters_filter){ .reason = reasons[round % 3] }, &items), 0);
        if (dice != 1)
            continue;
        struct weft_letters_filter all = { 0 };
        struct weft_letters_reader *r;
        struct weft_letter letter;
        uint64_t sequence;
        assert_int_equal(weft_letters_reader_open(f->letters, &r, 0), 0);
        while (weft_letters_reader_next(r, &all, &letter, &sequence) == 1)
            if (rand_r(&seed) % 2)
                weft_letters_remove(f->letters, sequence, &letter, WEFT_LETTERS_REPLAYED);
        weft_letters_flush(f->letters);
        weft_letters_reader_close(r);
        (void)stats_of(f);
    }
    assert_true(stats_of(f).evicted_items > 0);
}

/* ---- on disk ---- */
static void open_on_disk(struct fixture *f, const char *directory)
{
    struct weft_journal_options o = { .name = "es", .mode = WEFT_JOURNAL_DISK, .directory = directory, .max_size = MIB };

    assert_int_equal(weft_letters_open(&f->letters, &o), 0);
}

static void reopen_on_disk(struct fixture *f, const char *directory)
{
    weft_letters_close(f->letters);
    f->letters = NULL;
    open_on_disk(f, directory);
}

static uint64_t waiting(struct fixture *f)
{
    struct weft_letters_stats s;

    weft_letters_stats(f->letters, &s);
    return s.items;
}

static void letters_on_disk_are_found_again_and_those_that_left_are_not(void **state)
{
    struct fixture *f = *state;
    char directory[] = "/tmp/weft-letters-XXXXXX";
    struct weft_letters_stats s;
    uint64_t items;

    assert_non_null(mkdtemp(directory));
    weft_letters_close(f->letters);
    open_on_disk(f, directory);
    for (unsigned i = 1; i <= 9; i++)
        put(f, i, 1, i % 3 ? "http_400" : "mapping");
    reopen_on_disk(f, directory);
    assert_string_equal(list(f, (struct weft_letters_filter){ 0 }, 0), "1 2 3 4 5 6 7 8 9 ");
    assert_int_equal(weft_letters_purge(f->letters, &(struct weft_letters_filter){ .reason = "mapping" }, &items), 0);
    reopen_on_disk(f, directory);
    assert_string_equal(list(f, (struct weft_letters_filter){ 0 }, 0), "1 2 4 5 7 8 ");
    weft_letters_stats(f->letters, &s);
    assert_int_equal(s.items, 6);
    assert_int_equal(s.n_reasons, 1);
    assert_int_equal(weft_letters_purge(f->letters, &(struct weft_letters_filter){ .before_ns = 105 }, &items), 0);
    put(f, 10, 1, "mapping");
    reopen_on_disk(f, directory);
    assert_string_equal(list(f, (struct weft_letters_filter){ 0 }, 0), "5 7 8 10 ");
    for (unsigned i = 0; i < 3000; i++) /* over the end: the oldest go, and stay gone */
        put(f, 100 + i, 30, "http_400");
    uint64_t before = waiting(f);
    reopen_on_disk(f, directory);
    assert_int_equal(waiting(f), before);
    assert_int_equal(weft_letters_purge(f->letters, &(struct weft_letters_filter){ 0 }, &items), 0);
    reopen_on_disk(f, directory);
    assert_int_equal(waiting(f), 0);
    weft_letters_close(f->letters);
    f->letters = NULL;
    assert_int_equal(weft_journal_remove(directory), 0);
}

static long most_memory_kib(void)
{
    struct rusage usage;

    assert_int_equal(getrusage(RUSAGE_SELF, &usage), 0);
    return usage.ru_maxrss;
}

/* A file that is put aside makes the numbers go on 2^32 behind. */
static void damage(const char *directory)
{
    static const char garbage[4096] = { 'x' };
    char path[128];

    (void)snprintf(path, sizeof path, "%s/0000000000000fff.seg", directory);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(garbage, sizeof garbage, 1, file), 1);
    assert_int_equal(fclose(file), 0);
}

static void letters_whose_numbers_lie_far_apart_leave_at_no_cost(void **state)
{
    struct fixture *f = *state;
    char directory[] = "/tmp/weft-letters-XXXXXX";
    uint64_t items;

    assert_non_null(mkdtemp(directory));
    weft_letters_close(f->letters);
    open_on_disk(f, directory);
    put(f, 1, 1, "mapping");
    weft_letters_close(f->letters);
    damage(directory);
    open_on_disk(f, directory);
    put(f, 2, 1, "http_400");
    put(f, 3, 1, "mapping");
    put(f, 4, 1, "http_400");
    long before = most_memory_kib();
    assert_int_equal(weft_letters_purge(f->letters, &(struct weft_letters_filter){ .reason = "http_400" }, &items), 0);
    assert_int_equal(items, 2);
    assert_string_equal(list(f, (struct weft_letters_filter){ 0 }, 0), "1 3 ");
    reopen_on_disk(f, directory);
    assert_string_equal(list(f, (struct weft_letters_filter){ 0 }, 0), "1 3 ");
    if (most_memory_kib() - before > 64 << 10)
        fail_msg("crossing out three letters took %ld KiB", most_memory_kib() - before);
    weft_letters_close(f->letters);
    f->letters = NULL;
    assert_int_equal(weft_journal_remove(directory), 0);
}

static void letters_leave_in_any_order(void **state)
{
    struct fixture *f = *state;
    static const unsigned order[] = { 5, 3, 9, 4, 8, 2, 6, 1 }; /* 7 stays */
    char reason[8];
    uint64_t items;

    for (unsigned i = 1; i <= 9; i++) {
        (void)snprintf(reason, sizeof reason, "r%u", i);
        put(f, i, 1, reason);
    }
    for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
        (void)snprintf(reason, sizeof reason, "r%u", order[i]);
        for (int again = 0; again < 2; again++) {
            assert_int_equal(weft_letters_purge(f->letters, &(struct weft_letters_filter){ .reason = reason }, &items), 0);
            assert_int_equal(items, again ? 0 : 1);
        }
        assert_int_equal(stats_of(f).items, 8 - i);
    }
    assert_string_equal(list(f, (struct weft_letters_filter){ 0 }, 0), "7 ");
}

static void broken_messages_are_refused(void **state)
{
    struct fixture *f = *state;
    struct weft_letter letter = letter_of(f, 1, 2, "http_400"), out;
    struct weft_buf b;

    weft_buf_init(&b, MIB);
    weft_letter_write_head(&b, &letter);
    weft_buf_append(&b, letter.body.data, letter.body.len);
    assert_int_equal(weft_letter_read(weft_buf_slice(&b), &out), 0);
    for (size_t len = 0; len < b.len; len++)
        if (weft_letter_read(weft_slice_of(b.data, len), &out) == 0)
            fail_msg("cut at %zu of %zu bytes it still reads", len, b.len);
    letter.n_items = 3;
    weft_buf_reset(&b);
    weft_letter_write_head(&b, &letter);
    weft_buf_append(&b, letter.body.data, letter.body.len);
    assert_int_equal(weft_letter_read(weft_buf_slice(&b), &out), WEFT_ERR_MALFORMED);
    weft_buf_release(&b);
}

static void a_status_is_read_off_the_reason(void **state)
{
    const struct { const char *reason; uint32_t status; } cases[] = {
        { "http_400", 400 }, { "grpc_3", 3 }, { "mapping", 0 }, { "http_", 0 }, { "http_99999", 0 }, { "", 0 },
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (weft_letter_status(cases[i].reason) != cases[i].status)
            fail_msg("%s", cases[i].reason);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_letter_comes_back_as_it_was_written, setup, teardown),
        cmocka_unit_test_setup_teardown(letters_are_found_by_reason_age_and_place, setup, teardown),
        cmocka_unit_test_setup_teardown(purging_takes_what_matches_and_leaves_the_rest, setup, teardown),
        cmocka_unit_test_setup_teardown(a_full_journal_gives_up_its_oldest_letters, setup, teardown),
        cmocka_unit_test_setup_teardown(a_letter_that_can_never_fit_is_refused_and_costs_no_other, setup, teardown),
        cmocka_unit_test_setup_teardown(a_reader_does_not_meet_what_came_after_it, setup, teardown),
        cmocka_unit_test_setup_teardown(reasons_beyond_the_table_are_counted_together, setup, teardown),
        cmocka_unit_test_setup_teardown(whatever_happens_the_sum_adds_up, setup, teardown),
        cmocka_unit_test_setup_teardown(letters_on_disk_are_found_again_and_those_that_left_are_not, setup, teardown),
        cmocka_unit_test_setup_teardown(letters_whose_numbers_lie_far_apart_leave_at_no_cost, setup, teardown),
        cmocka_unit_test_setup_teardown(letters_leave_in_any_order, setup, teardown),
        cmocka_unit_test_setup_teardown(broken_messages_are_refused, setup, teardown),
        cmocka_unit_test(a_status_is_read_off_the_reason),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

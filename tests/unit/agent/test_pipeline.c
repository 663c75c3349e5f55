/* SPDX-License-Identifier: Apache-2.0 */
/* Commits: order of processors, all or nothing over several pipelines, and every item counted once. */
#include "agent/pipeline.h"
#include "core/err.h"
#include "tests/support/fake_lane.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <uv.h>

#include <cmocka.h>

enum { MIB = 1 << 20 };

/* ---- processors: one appends a letter, one takes items out, one fails ---- */
struct fake {
    struct weft_processor base;
    char letter;
    uint32_t takes;
    int result;
};

static int append_letter(struct weft_processor *self, struct weft_record *record, struct weft_arena *scratch)
{
    struct fake *f = (struct fake *)self;
    size_t len = record->payload.len;

    if (f->result != 1)
        return f->result;
    uint8_t *bytes = weft_arena_alloc(scratch, len + 1);
    if (!bytes)
        return UV_ENOMEM;
    memcpy(bytes, record->payload.data, len);
    bytes[len] = (uint8_t)f->letter;
    record->payload = weft_slice_of(bytes, len + 1);
    record->n_items = record->n_items > f->takes ? record->n_items - f->takes : 0;
    return 1;
}

static const struct weft_processor_type letter_type = { .name = "letter", .size = sizeof(struct fake),
                                                        .process = append_letter };

static struct fake letter(char c, uint32_t takes, int result)
{
    return (struct fake){ .base = { .type = &letter_type, .id = "letter" }, .letter = c, .takes = takes,
                          .result = result };
}

static struct weft_pipeline *open_pipeline(struct fake *a, struct fake *b)
{
    struct weft_processor *processors[] = { a ? &a->base : NULL, b ? &b->base : NULL };
    struct weft_pipeline *p = NULL;
    struct weft_pipeline_options o = { .id = "logs/a", .signal = WEFT_LOGS, .processors = processors,
                                       .n_processors = (size_t)(a != NULL) + (b != NULL), .journal_size = MIB };

    assert_int_equal(weft_pipeline_open(&p, &o), 0);
    return p;
}

static struct weft_intake *open_intake(struct weft_pipeline *const *pipelines, size_t n)
{
    struct weft_intake *in = NULL;
    struct weft_intake_options o = { .receiver = "otlp", .signal = WEFT_LOGS, .pipelines = pipelines, .n_pipelines = n,
                                     .n_sinks = 2 };

    assert_int_equal(weft_intake_open(&in, &o), 0);
    return in;
}

static struct weft_cursor *reader_of(struct weft_pipeline *p)
{
    struct weft_cursor *c = NULL;
    struct weft_cursor_options o = { .hold = true, .wake_fd = -1 };

    assert_int_equal(weft_cursor_open(&c, weft_pipeline_journal(p), &o), 0);
    return c;
}

static struct weft_intake_stats stats_of(const struct weft_intake *in)
{
    struct weft_intake_stats s;

    weft_intake_stats(in, &s);
    return s;
}

static int commit(struct weft_sink *sink, const char *text, uint32_t n_items)
{
    struct weft_record r = { .n_items = n_items, .payload = weft_slice_str(text) };

    return sink->commit(sink, &r);
}

static int commit_bytes(struct weft_sink *sink, size_t len)
{
    uint8_t *bytes = calloc(1, len);
    struct weft_record r = { .n_items = 1, .payload = weft_slice_of(bytes, len) };

    int err = sink->commit(sink, &r);
    free(bytes);
    return err;
}

static void processors_run_in_order_and_times_are_set(void **state)
{
    (void)state;
    struct fake x = letter('x', 0, 1), y = letter('y', 0, 1);
    struct weft_pipeline *p = open_pipeline(&x, &y);
    struct weft_intake *in = open_intake(&p, 1);
    struct weft_cursor *c = reader_of(p);
    struct weft_arena scratch;
    struct weft_record r;

    weft_arena_init(&scratch, MIB);
    assert_int_equal(commit(weft_intake_sink(in, 1, &scratch), "in", 3), 0);
    assert_int_equal(weft_cursor_next(c, &r), 1);
    assert_true(weft_slice_is(r.payload, "inxy"));
    assert_int_equal(r.signal, WEFT_LOGS);
    assert_int_equal(r.n_items, 3);
    assert_true(r.wall_ns > 0 && r.mono_ns > 0);
    assert_int_equal(stats_of(in).accepted_items, 3);
    assert_int_equal(stats_of(in).accepted_records, 1);
    assert_int_equal(stats_of(in).accepted_bytes, 2);
    weft_cursor_close(c);
    weft_intake_close(in);
    weft_pipeline_close(p);
    weft_arena_release(&scratch);
}

static void what_processors_take_out_is_counted_where_it_was_taken(void **state)
{
    (void)state;
    struct fake some = letter('x', 2, 1), all = letter('y', 0, 0);
    struct weft_pipeline *p = open_pipeline(&some, &all);
    struct weft_intake *in = open_intake(&p, 1);
    struct weft_cursor *c = reader_of(p);
    struct weft_arena scratch;
    struct weft_record r;

    weft_arena_init(&scratch, MIB);
    assert_int_equal(commit(weft_intake_sink(in, 0, &scratch), "in", 5), 0);
    assert_int_equal(weft_pipeline_dropped_items(p, 0), 2);
    assert_int_equal(weft_pipeline_dropped_items(p, 1), 3);
    assert_int_equal(stats_of(in).accepted_items, 5);
    assert_int_equal(weft_cursor_next(c, &r), 0);
    weft_cursor_close(c);
    weft_intake_close(in);
    weft_pipeline_close(p);
    weft_arena_release(&scratch);
}

static void every_error_is_one_of_the_contract_and_counted_by_reason(void **state)
{
    const struct { const char *what; int processor, verdict; enum weft_refusal reason; } cases[] = {
        { "malformed",            WEFT_ERR_MALFORMED, WEFT_ERR_MALFORMED, WEFT_REFUSAL_MALFORMED },
        { "too deep",             WEFT_ERR_TOO_DEEP,  WEFT_ERR_MALFORMED, WEFT_REFUSAL_MALFORMED },
        { "no memory",            UV_ENOMEM,          WEFT_ERR_LIMIT,     WEFT_REFUSAL_MEMORY },
        { "memory limit",         WEFT_ERR_LIMIT,     WEFT_ERR_LIMIT,     WEFT_REFUSAL_MEMORY },
        { "grown too large",      WEFT_ERR_TOO_LARGE, WEFT_ERR_TOO_LARGE, WEFT_REFUSAL_TOO_LARGE },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fake f = letter('x', 0, cases[i].processor);
        struct weft_pipeline *p = open_pipeline(&f, NULL);
        struct weft_intake *in = open_intake(&p, 1);
        struct weft_arena scratch;

        weft_arena_init(&scratch, MIB);
        int err = commit(weft_intake_sink(in, 0, &scratch), "in", 7);
        if (err != cases[i].verdict || stats_of(in).refused_items[cases[i].reason] != 7
            || stats_of(in).accepted_items != 0 || weft_pipeline_dropped_items(p, 0) != 0)
            fail_msg("%s: %d", cases[i].what, err);
        weft_intake_close(in);
        weft_pipeline_close(p);
        weft_arena_release(&scratch);
    }
}

static void the_scratch_has_a_ceiling_and_is_reused(void **state)
{
    (void)state;
    struct fake f = letter('x', 0, 1);
    struct weft_pipeline *p = open_pipeline(&f, NULL);
    struct weft_intake *in = open_intake(&p, 1);
    struct weft_arena scratch;

    weft_arena_init(&scratch, 1000);
    struct weft_sink *sink = weft_intake_sink(in, 0, &scratch);
    for (int i = 0; i < 100; i++)
        assert_int_equal(commit_bytes(sink, 900), 0);
    assert_int_equal(commit_bytes(sink, 1100), WEFT_ERR_TOO_LARGE); /* to try again would be in vain */
    assert_int_equal(stats_of(in).refused_items[WEFT_REFUSAL_TOO_LARGE], 1);
    weft_intake_close(in);
    weft_pipeline_close(p);
    weft_arena_release(&scratch);
}

static bool read_one(struct weft_cursor *c)
{
    struct weft_record r;

    if (weft_cursor_next(c, &r) <= 0)
        return false;
    weft_cursor_settle(c, r.sequence);
    return true;
}

static void one_full_journal_refuses_for_all_and_nothing_is_taken_anywhere(void **state)
{
    (void)state;
    struct fake x = letter('x', 1, 1);
    struct weft_pipeline *p[] = { open_pipeline(&x, NULL), open_pipeline(NULL, NULL) };
    struct weft_intake *both = open_intake(p, 2);
    struct weft_cursor *healthy = reader_of(p[0]), *dead = reader_of(p[1]);
    struct weft_arena scratch;
    unsigned n = 0, seen = 0;

    weft_arena_init(&scratch, MIB);
    struct weft_sink *sink = weft_intake_sink(both, 0, &scratch);
    struct weft_record two = { .n_items = 2, .payload = weft_slice_str("0123456789") };
    for (struct weft_record copy = two; sink->commit(sink, &copy) == 0; copy = two) {
        n++;
        seen += read_one(healthy);
    }
    assert_true(n > 1000);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(sink->commit(sink, &(struct weft_record){ .n_items = 2, .payload = two.payload }),
                         WEFT_ERR_FULL);
    assert_false(read_one(healthy));
    assert_int_equal(seen, n);
    assert_int_equal(stats_of(both).accepted_items, 2 * n);
    assert_int_equal(stats_of(both).refused_items[WEFT_REFUSAL_FULL], 2 * 1001);
    assert_int_equal(weft_pipeline_dropped_items(p[0], 0), n);

    char words[300];
    sink->explain(sink, WEFT_ERR_FULL, words, sizeof words);
    assert_non_null(strstr(words, "% full: exporter"));
    assert_non_null(strstr(words, " items ("));

    /* The branch that is full is asked first, so the healthy journal is not filled with abandoned room. */
    struct weft_journal_stats j;
    weft_journal_stats(weft_pipeline_journal(p[0]), &j);
    assert_true(j.abandoned_records <= 1);
    while (read_one(dead))
        continue;
    assert_int_equal(commit(sink, "in", 2), 0);
    assert_true(read_one(healthy) && read_one(dead));
    weft_cursor_close(healthy);
    weft_cursor_close(dead);
    weft_intake_close(both);
    weft_pipeline_close(p[0]);
    weft_pipeline_close(p[1]);
    weft_arena_release(&scratch);
}

static void what_can_never_fit_is_too_large(void **state)
{
    (void)state;
    struct weft_pipeline *p = open_pipeline(NULL, NULL);
    struct weft_intake *in = open_intake(&p, 1);
    struct weft_arena scratch;

    weft_arena_init(&scratch, MIB);
    struct weft_sink *sink = weft_intake_sink(in, 0, &scratch);
    assert_int_equal(commit_bytes(sink, MIB), WEFT_ERR_TOO_LARGE);
    assert_int_equal(stats_of(in).refused_items[WEFT_REFUSAL_TOO_LARGE], 1);
    char words[256];
    sink->explain(sink, WEFT_ERR_TOO_LARGE, words, sizeof words);
    assert_string_equal(words, "larger than half of the journal of pipeline logs/a (0.5 MiB): raise service.journal.max_size");
    assert_true(sink->most_bytes > MIB / 4 && sink->most_bytes < MIB / 2);
    weft_intake_close(in);
    weft_pipeline_close(p);
    weft_arena_release(&scratch);
}

/* What no exporter could make a request of would wait in the journal for ever. */
static void what_exporters_could_never_send_is_too_large(void **state)
{
    const struct { const char *what; unsigned n_items; uint64_t item_bytes, items; int result; } cases[] = {
        { "no limit", 100, UINT64_MAX, UINT64_MAX, 0 },
        { "a large record of small items", 100, 64, UINT64_MAX, 0 },
        { "an item that is too large", 1, 16, UINT64_MAX, WEFT_ERR_TOO_LARGE },
        { "as many items as are allowed", 100, UINT64_MAX, 100, 0 },
        { "one more", 101, UINT64_MAX, 100, WEFT_ERR_TOO_LARGE },
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct weft_pipeline *p = open_pipeline(NULL, NULL);
        struct weft_intake *in = open_intake(&p, 1);
        struct weft_arena scratch;
        struct weft_buf payload;
        weft_arena_init(&scratch, 1 << 20);
        weft_buf_init(&payload, 1 << 20);
        weft_pipeline_set_most(p, cases[i].item_bytes, cases[i].items);
        fake_payload(&payload, WEFT_LOGS, "shop", 0, cases[i].n_items);
        struct weft_sink *sink = weft_intake_sink(in, 0, &scratch);
        struct weft_record record = { .n_items = cases[i].n_items, .payload = weft_buf_slice(&payload) };
        if (sink->commit(sink, &record) != cases[i].result ||
            stats_of(in).refused_items[WEFT_REFUSAL_TOO_LARGE] != (cases[i].result ? cases[i].n_items : 0))
            fail_msg("%s", cases[i].what);
        char words[256] = "";
        sink->explain(sink, WEFT_ERR_TOO_LARGE, words, sizeof words);
        if (cases[i].result && !strstr(words, "more than an exporter of pipeline "))
            fail_msg("%s: %s", cases[i].what, words);
        weft_buf_release(&payload);
        weft_intake_close(in);
        weft_pipeline_close(p);
        weft_arena_release(&scratch);
    }
}

static void a_draining_intake_takes_nothing(void **state)
{
    (void)state;
    struct weft_pipeline *p = open_pipeline(NULL, NULL);
    struct weft_intake *in = open_intake(&p, 1);
    struct weft_arena scratch;

    weft_arena_init(&scratch, MIB);
    struct weft_sink *sink = weft_intake_sink(in, 0, &scratch);
    weft_intake_drain(in);
    assert_int_equal(commit(sink, "in", 4), WEFT_ERR_DRAINING);
    assert_int_equal(stats_of(in).refused_items[WEFT_REFUSAL_DRAINING], 4);
    sink->refuse(sink, WEFT_REFUSAL_TIMEOUT, 3);
    assert_int_equal(stats_of(in).refused_items[WEFT_REFUSAL_TIMEOUT], 3);
    weft_intake_close(in);
    weft_pipeline_close(p);
    weft_arena_release(&scratch);
}

static void a_record_without_items_is_accepted_and_not_stored(void **state)
{
    (void)state;
    struct weft_pipeline *p = open_pipeline(NULL, NULL);
    struct weft_intake *in = open_intake(&p, 1);
    struct weft_cursor *c = reader_of(p);
    struct weft_arena scratch;
    struct weft_record r;

    weft_arena_init(&scratch, MIB);
    assert_int_equal(commit(weft_intake_sink(in, 0, &scratch), "", 0), 0);
    assert_int_equal(weft_cursor_next(c, &r), 0);
    weft_cursor_close(c);
    weft_intake_close(in);
    weft_pipeline_close(p);
    weft_arena_release(&scratch);
}

static void every_pipeline_gets_an_equal_share_of_at_least_a_mebibyte(void **state)
{
    const struct { uint64_t max; size_t n, share; } cases[] = {
        { 32u << 20, 1, 32u << 20 }, { 30u << 20, 3, 10u << 20 }, { 1u << 20, 5, 1u << 20 }, { 0, 1, 1u << 20 },
        { 8u << 20, 0, 8u << 20 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (weft_pipeline_share(cases[i].max, cases[i].n) != cases[i].share)
            fail_msg("%lu over %zu", (unsigned long)cases[i].max, cases[i].n);
}

static void reasons_have_the_words_of_the_metric(void **state)
{
    (void)state;
    assert_string_equal(weft_refusal_name(WEFT_REFUSAL_FULL), "journal_full");
    assert_string_equal(weft_refusal_name(WEFT_REFUSAL_TIMEOUT), "timeout");
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(processors_run_in_order_and_times_are_set),
        cmocka_unit_test(what_processors_take_out_is_counted_where_it_was_taken),
        cmocka_unit_test(every_error_is_one_of_the_contract_and_counted_by_reason),
        cmocka_unit_test(the_scratch_has_a_ceiling_and_is_reused),
        cmocka_unit_test(one_full_journal_refuses_for_all_and_nothing_is_taken_anywhere),
        cmocka_unit_test(what_can_never_fit_is_too_large),
        cmocka_unit_test(what_exporters_could_never_send_is_too_large),
        cmocka_unit_test(a_draining_intake_takes_nothing),
        cmocka_unit_test(a_record_without_items_is_accepted_and_not_stored),
        cmocka_unit_test(every_pipeline_gets_an_equal_share_of_at_least_a_mebibyte),
        cmocka_unit_test(reasons_have_the_words_of_the_metric),
    };

    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

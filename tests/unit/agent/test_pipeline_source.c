/* SPDX-License-Identifier: Apache-2.0 */
/* Sources that are read again: each journal has each record once, says how far it is, and says when that is safe. */
#include "agent/pipeline.h"
#include "core/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

#include <cmocka.h>

enum { MIB = 1 << 20, SOURCE = 4711 };

/* ---- a processor that lets nothing through ---- */
static int take_all(struct weft_processor *self, struct weft_record *record, struct weft_arena *scratch)
{
    (void)self, (void)record, (void)scratch;
    return 0;
}

static const struct weft_processor_type nothing_type = { .name = "nothing", .size = sizeof(struct weft_processor), .process = take_all };

/* ---- one receiver into two pipelines ---- */
static struct {
    char directory[64], paths[2][96];
    struct weft_journal *journals[2];
    struct weft_pipeline *pipelines[2];
    struct weft_processor nothing;
    struct weft_intake *intake;
    struct weft_sink *sink;
    struct weft_arena scratch;
    bool disk;
} t;

static struct weft_pipeline *open_pipeline(size_t i, bool empties)
{
    static const char *const ids[] = { "logs/a", "logs/b" };
    struct weft_processor *processors[] = { &t.nothing };
    struct weft_journal_options o = { .name = ids[i], .max_size = MIB, .mode = t.disk ? WEFT_JOURNAL_DISK : WEFT_JOURNAL_MEMORY,
                                      .directory = t.disk ? t.paths[i] : NULL };
    struct weft_pipeline *p = NULL;

    assert_int_equal(weft_journal_open(&t.journals[i], &o), 0);
    struct weft_pipeline_options options = { .id = ids[i], .signal = WEFT_LOGS, .processors = processors, .n_processors = empties,
                                             .journal = t.journals[i], .journal_size = MIB };
    assert_int_equal(weft_pipeline_open(&p, &options), 0);
    return p;
}

/* `empties`: the second pipeline keeps nothing of any record. */
static void open_all(bool disk, bool empties)
{
    t.disk = disk;
    t.nothing = (struct weft_processor){ .type = &nothing_type, .id = "nothing" };
    for (size_t i = 0; i < 2; i++)
        t.pipelines[i] = open_pipeline(i, empties && i == 1);
    struct weft_intake_options o = { .receiver = "filelog", .signal = WEFT_LOGS, .pipelines = t.pipelines, .n_pipelines = 2, .n_sinks = 1 };
    assert_int_equal(weft_intake_open(&t.intake, &o), 0);
    weft_arena_init(&t.scratch, MIB);
    t.sink = weft_intake_sink(t.intake, 0, &t.scratch);
}

static void close_all(void)
{
    weft_intake_close(t.intake);
    for (size_t i = 0; i < 2; i++) {
        weft_pipeline_close(t.pipelines[i]);
        weft_journal_close(t.journals[i]);
    }
    weft_arena_release(&t.scratch);
}

static int set_up(void **state)
{
    (void)state;
    memset(&t, 0, sizeof t);
    (void)snprintf(t.directory, sizeof t.directory, "/tmp/weft-test-source-XXXXXX");
    assert_non_null(mkdtemp(t.directory));
    for (size_t i = 0; i < 2; i++)
        (void)snprintf(t.paths[i], sizeof t.paths[i], "%s/%zu", t.directory, i);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++)
        (void)weft_journal_remove(t.paths[i]);
    return remove(t.directory);
}

static void commit(uint64_t position, bool again)
{
    struct weft_record r = { .n_items = 1, .source = { SOURCE, position }, .again = again, .payload = WEFT_SLICE("line") };

    assert_int_equal(t.sink->commit(t.sink, &r), 0);
}

/* Only into one of them: then the kill came. */
static void append_to(size_t journal, uint64_t position)
{
    struct weft_record r = { .signal = WEFT_LOGS, .n_items = 1, .source = { SOURCE, position }, .payload = WEFT_SLICE("line") };

    assert_int_equal(weft_journal_append(t.journals[journal], &r, NULL), 0);
}

static uint64_t position_in(size_t journal)
{
    uint64_t position = 0;

    return t.sink->position(t.sink, journal, SOURCE, &position) ? position : 0;
}

static uint64_t items_in(size_t journal)
{
    struct weft_journal_stats s;

    weft_journal_stats(t.journals[journal], &s);
    return s.opened_items + s.appended_items;
}

static void a_journal_leaves_out_what_it_has_and_takes_what_it_has_not(void **state)
{
    (void)state;
    for (int disk = 0; disk < 2; disk++) {
        open_all(disk, false);
        assert_int_equal(t.sink->n_journals, 2);
        assert_int_equal(t.sink->on_disk, disk);
        commit(10, false);
        append_to(0, 20);
        append_to(0, 30);
        assert_int_equal(position_in(0), 30);
        assert_int_equal(position_in(1), 10);
        if (disk) { /* over a restart */
            close_all();
            open_all(true, false);
            assert_int_equal(position_in(0), 30);
            assert_int_equal(position_in(1), 10);
        }
        commit(20, true);
        commit(30, true);
        commit(40, true);
        commit(50, false);
        for (size_t i = 0; i < 2; i++) {
            assert_int_equal(items_in(i), 5);
            assert_int_equal(position_in(i), 50);
        }
        commit(50, true); /* all have it: accepted, and nothing happens */
        assert_int_equal(items_in(0) + items_in(1), 10);
        t.sink->forget_source(t.sink, SOURCE);
        assert_int_equal(position_in(0) + position_in(1), 0);
        close_all();
    }
}

static void a_journal_on_disk_keeps_the_place_of_a_record_that_processors_emptied(void **state)
{
    (void)state;
    for (int disk = 0; disk < 2; disk++) {
        open_all(disk, true);
        commit(10, false);
        assert_int_equal(position_in(0), 10);
        assert_int_equal(position_in(1), disk ? 10 : 0);
        assert_int_equal(items_in(1), 0);
        assert_int_equal(weft_pipeline_dropped_items(t.pipelines[1], 0), 1);
        if (disk) {
            close_all();
            open_all(true, true);
            assert_int_equal(position_in(1), 10);
        }
        close_all();
    }
}

/* A client that is refused hears it each time; a file offers the same lines until they are taken, and what is too large in parts. */
static void a_line_of_a_file_is_counted_once_when_it_is_put_off(void **state)
{
    static uint8_t large[MIB];
    const struct { const char *what; uint64_t source; uint32_t n, n_offered; size_t len; int err; enum weft_refusal reason; uint64_t counted; } cases[] = {
        { "a client's request",                   0,      3, 0, 4,   WEFT_ERR_DRAINING,  WEFT_REFUSAL_DRAINING,  3 },
        { "the lines of a file",                  SOURCE, 3, 0, 4,   WEFT_ERR_DRAINING,  WEFT_REFUSAL_DRAINING,  3 },
        { "the same lines again",                 SOURCE, 3, 3, 4,   WEFT_ERR_DRAINING,  WEFT_REFUSAL_DRAINING,  0 },
        { "the same lines and others",            SOURCE, 5, 3, 4,   WEFT_ERR_DRAINING,  WEFT_REFUSAL_DRAINING,  2 },
        { "a client's request that never fits",   0,      3, 0, MIB, WEFT_ERR_TOO_LARGE, WEFT_REFUSAL_TOO_LARGE, 3 },
        { "lines that come in parts",             SOURCE, 3, 0, MIB, WEFT_ERR_TOO_LARGE, WEFT_REFUSAL_TOO_LARGE, 0 },
        { "a line that never fits",               SOURCE, 1, 1, MIB, WEFT_ERR_TOO_LARGE, WEFT_REFUSAL_TOO_LARGE, 1 },
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct weft_record r = { .n_items = cases[i].n, .n_offered = cases[i].n_offered, .source = { cases[i].source, 10 },
                                 .payload = weft_slice_of(large, cases[i].len) };
        struct weft_intake_stats stats;
        open_all(false, false);
        if (cases[i].err == WEFT_ERR_DRAINING)
            weft_intake_drain(t.intake);
        int err = t.sink->commit(t.sink, &r);
        weft_intake_stats(t.intake, &stats);
        if (err != cases[i].err || stats.refused_items[cases[i].reason] != cases[i].counted)
            fail_msg("%s: %d, counted %d", cases[i].what, err, (int)stats.refused_items[cases[i].reason]);
        close_all();
    }
}

static struct weft_cursor *reader_of(size_t journal)
{
    struct weft_cursor *c = NULL;
    struct weft_cursor_options o = { .name = "es", .hold = true, .wake_fd = -1 };

    assert_int_equal(weft_cursor_open(&c, t.journals[journal], &o), 0);
    return c;
}

static void settle_next(struct weft_cursor *c)
{
    struct weft_record r;

    assert_int_equal(weft_cursor_next(c, &r), 1);
    weft_cursor_settle(c, r.sequence);
}

static void a_mark_passes_in_memory_when_every_exporter_of_every_journal_is_done(void **state)
{
    (void)state;
    open_all(false, false);
    struct weft_cursor *a = reader_of(0), *b = reader_of(1);
    assert_true(t.sink->passed(t.sink, 0)); /* nothing was there yet */
    commit(10, false);
    t.sink->mark(t.sink, 0);
    commit(20, false);
    t.sink->mark(t.sink, 1);
    assert_false(t.sink->passed(t.sink, 0));
    settle_next(a);
    assert_false(t.sink->passed(t.sink, 0));
    settle_next(b);
    assert_true(t.sink->passed(t.sink, 0));
    assert_false(t.sink->passed(t.sink, 1));
    weft_cursor_close(a); /* parked: what it has not settled still counts */
    settle_next(b);
    assert_false(t.sink->passed(t.sink, 1));
    a = reader_of(0);
    settle_next(a);
    assert_true(t.sink->passed(t.sink, 1));
    weft_cursor_close(a);
    weft_cursor_close(b);
    close_all();
}

static void a_mark_passes_on_disk_when_the_record_is_there(void **state)
{
    (void)state;
    open_all(true, false);
    struct weft_cursor *a = reader_of(0);
    commit(10, false);
    t.sink->mark(t.sink, 0);
    assert_true(t.sink->passed(t.sink, 0));
    weft_cursor_close(a);
    close_all();
}

int main(int argc, char **argv)
{
#define IN_DIRECTORY(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        IN_DIRECTORY(a_journal_leaves_out_what_it_has_and_takes_what_it_has_not),
        IN_DIRECTORY(a_journal_on_disk_keeps_the_place_of_a_record_that_processors_emptied),
        IN_DIRECTORY(a_line_of_a_file_is_counted_once_when_it_is_put_off),
        IN_DIRECTORY(a_mark_passes_in_memory_when_every_exporter_of_every_journal_is_done),
        IN_DIRECTORY(a_mark_passes_on_disk_when_the_record_is_there),
    };

    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

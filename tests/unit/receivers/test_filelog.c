/* SPDX-License-Identifier: Apache-2.0 */
/* The receiver on a loop of its own: options, events, fairness, stopping, and no allocation for a line. */
#include "receivers/filelog.h"

#include "core/err.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

/* ---- allocations, counted ---- */
static uint64_t allocations;

#if defined(__SANITIZE_ADDRESS__)
int __sanitizer_install_malloc_and_free_hooks(void (*on_malloc)(const volatile void *, size_t), void (*on_free)(const volatile void *));

static void count_malloc(const volatile void *p, size_t size)
{
    (void)p, (void)size;
    allocations++;
}

static void ignore_free(const volatile void *p)
{
    (void)p;
}

static bool counting(void)
{
    return __sanitizer_install_malloc_and_free_hooks(count_malloc, ignore_free) > 0;
}
#elif defined(__SANITIZE_THREAD__)
static bool counting(void)
{
    return false;
}
#else
void *__libc_malloc(size_t size);
void *__libc_realloc(void *p, size_t size);
void *malloc(size_t size);
void *realloc(void *p, size_t size);

void *malloc(size_t size)
{
    allocations++;
    return __libc_malloc(size);
}

void *realloc(void *p, size_t size)
{
    allocations++;
    return __libc_realloc(p, size);
}

static bool counting(void)
{
    return true;
}
#endif

/* ---- a receiver with a sink ---- */
struct sink {
    struct weft_sink base;
    uint64_t items, commits, refuse_next;
    uint64_t delays, delays_left_at_small; /* how many commits of more than 10 items ask for a pause; that at one with fewer */
    uint64_t marks[WEFT_SINK_MARKS], settled; /* items */
    uint64_t allocations_at_first, allocations_at_last;
};

static struct {
    char directory[64], path[128], other[128], pattern[128];
    uv_loop_t loop;
    uv_timer_t deadline;
    bool late;
    struct weft_receiver *receiver;
    struct weft_arena arena;
    struct weft_log log;
    struct sink sink;
} t;

static int on_commit(struct weft_sink *base, struct weft_record *record)
{
    struct sink *s = (struct sink *)base;

    if (s->refuse_next > 0) {
        s->refuse_next--;
        return WEFT_ERR_FULL;
    }
    s->base.delay_ms = s->delays > 0 && record->n_items > 10 ? 30 : 0;
    s->delays -= s->base.delay_ms > 0;
    if (record->n_items <= 10)
        s->delays_left_at_small = s->delays;
    s->allocations_at_last = allocations;
    if (s->commits++ == 2) /* by then the buffers have their size */
        s->allocations_at_first = allocations;
    s->items += record->n_items;
    return 0;
}

static bool on_position(struct weft_sink *base, size_t journal, uint64_t source, uint64_t *ret_position)
{
    (void)base, (void)journal, (void)source, (void)ret_position;
    return false;
}

static void on_forget(struct weft_sink *base, uint64_t source)
{
    (void)base, (void)source;
}

static void on_mark(struct weft_sink *base, unsigned place)
{
    struct sink *s = (struct sink *)base;

    s->marks[place] = s->items;
}

static bool on_passed(struct weft_sink *base, unsigned place)
{
    const struct sink *s = (const struct sink *)base;

    return s->settled >= s->marks[place];
}

static int set_up(void **state)
{
    (void)state;
    memset(&t, 0, sizeof t);
    (void)snprintf(t.directory, sizeof t.directory, "/tmp/weft-test-filelog-XXXXXX");
    assert_non_null(mkdtemp(t.directory));
    (void)snprintf(t.path, sizeof t.path, "%s/app.log", t.directory);
    (void)snprintf(t.other, sizeof t.other, "%s/other.log", t.directory);
    (void)snprintf(t.pattern, sizeof t.pattern, "%s/*.log", t.directory);
    assert_int_equal(uv_loop_init(&t.loop), 0);
    weft_arena_init(&t.arena, 1 << 20);
    t.log = (struct weft_log){ .fd = -1, .level = WEFT_LOG_ERROR };
    t.sink.base = (struct weft_sink){ .commit = on_commit, .n_journals = 1, .position = on_position, .forget_source = on_forget,
                                      .mark = on_mark, .passed = on_passed };
    return 0;
}

static int tear_down(void **state)
{
    DIR *dir = opendir(t.directory);
    (void)state;

    if (t.receiver) {
        weft_receiver_filelog.stop(t.receiver);
        weft_receiver_filelog.stop(t.receiver); /* once more must do no harm */
    }
    (void)uv_run(&t.loop, UV_RUN_DEFAULT);
    if (uv_loop_close(&t.loop) != 0)
        return -1;
    if (t.receiver)
        weft_receiver_filelog.finish(t.receiver);
    free(t.receiver);
    weft_arena_release(&t.arena);
    for (struct dirent *e; (e = readdir(dir));)
        if (e->d_name[0] != '.')
            (void)unlinkat(dirfd(dir), e->d_name, 0);
    closedir(dir);
    return rmdir(t.directory);
}

static int make(const char *const (*pairs)[2], struct weft_problems *problems)
{
    struct weft_node map = { .kind = WEFT_NODE_MAP, .file = "test" }, nodes[16] = { { 0 } };
    struct weft_node **next = &map.child;

    for (size_t i = 0; pairs[i][0]; i++) {
        nodes[i] = (struct weft_node){ .kind = WEFT_NODE_SCALAR, .key = pairs[i][0], .text = pairs[i][1], .file = "test" };
        *next = &nodes[i];
        next = &nodes[i].next;
    }
    t.receiver = calloc(1, weft_receiver_filelog.size);
    assert_non_null(t.receiver);
    *problems = (struct weft_problems){ .arena = &t.arena };
    int err = weft_options_load(weft_receiver_filelog.options, "filelog", &map, t.receiver, &t.arena, problems);
    t.receiver->type = &weft_receiver_filelog;
    t.receiver->id = "filelog";
    t.receiver->log = &t.log;
    t.receiver->loop = &t.loop;
    t.receiver->n_loops = 1;
    t.receiver->sinks[WEFT_LOGS] = &t.sink.base;
    return err ? err : weft_receiver_filelog.check(t.receiver, &map, problems);
}

static void start(const char *start_at, const char *poll_interval)
{
    const char *const pairs[][2] = { { "include", t.pattern }, { "start_at", start_at }, { "poll_interval", poll_interval }, { NULL, NULL } };
    struct weft_problems problems;

    assert_int_equal(make(pairs, &problems), 0);
    assert_int_equal(weft_receiver_filelog.start(t.receiver), 0);
}

static void append(const char *path, const char *text, unsigned times)
{
    FILE *f = fopen(path, "a");

    assert_non_null(f);
    for (unsigned i = 0; i < times; i++)
        assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static void on_deadline(uv_timer_t *timer)
{
    (void)timer;
    t.late = true;
    uv_stop(&t.loop);
}

/* Runs the loop until the sink has `items`; fails after ten seconds. */
static void run_until(uint64_t items)
{
    t.late = false;
    assert_int_equal(uv_timer_init(&t.loop, &t.deadline), 0);
    assert_int_equal(uv_timer_start(&t.deadline, on_deadline, 10000, 0), 0);
    while (t.sink.items < items && !t.late)
        (void)uv_run(&t.loop, UV_RUN_ONCE);
    uv_close((uv_handle_t *)&t.deadline, NULL);
    (void)uv_run(&t.loop, UV_RUN_NOWAIT);
    if (t.sink.items != items)
        fail_msg("%llu items instead of %llu", (unsigned long long)t.sink.items, (unsigned long long)items);
}

static void lines_are_found_by_polling_and_by_events(void **state)
{
    static const char *const intervals[] = { "10ms", "1h" }; /* with the second only inotify can tell */
    (void)state;

    for (size_t i = 0; i < sizeof intervals / sizeof *intervals; i++) {
        append(t.path, "old\n", 1);
        start("end", intervals[i]);
        (void)uv_run(&t.loop, UV_RUN_NOWAIT);
        append(t.path, "new\n", 2);
        run_until(2);
        append(t.other, "in a new file\n", 3);
        run_until(5);
        append(t.path, "more\n", 1);
        run_until(6);
        assert_int_equal(tear_down(NULL), 0);
        assert_int_equal(set_up(NULL), 0);
    }
}

static void a_full_journal_pauses_reading_and_loses_nothing(void **state)
{
    (void)state;
    append(t.path, "line\n", 100);
    t.sink.refuse_next = 3;
    start("beginning", "10ms");
    run_until(100);
    assert_int_equal(t.sink.refuse_next, 0);
}

/* Each of the first large commits asks for a pause behind it. A file whose lines ask for none goes on meanwhile. */
static void while_a_journal_fills_up_each_file_waits_by_itself(void **state)
{
    const uint64_t began = uv_hrtime();
    (void)state;

    append(t.path, "a line of some length, so that the file grows large soon enough for the test\n", 100000); /* 30 chunks */
    append(t.other, "another\n", 10);
    t.sink.delays = 4;
    start("beginning", "10ms");
    run_until(100010);
    assert_int_equal(t.sink.delays, 0);
    assert_true(uv_hrtime() - began >= 4 * 30 * 1000000ull);
    assert_true(t.sink.delays_left_at_small >= 3);
}

static void count_turn(uv_prepare_t *handle)
{
    ++*(unsigned *)handle->data;
}

static void other_work_of_the_loop_gets_its_turns_while_files_are_read(void **state)
{
    unsigned turns = 0;
    uv_prepare_t prepare;
    (void)state;

    append(t.path, "a line of some length, so that the file grows large soon enough for the test\n", 100000);
    append(t.other, "another\n", 10);
    start("beginning", "10ms");
    assert_int_equal(uv_prepare_init(&t.loop, &prepare), 0);
    prepare.data = &turns;
    assert_int_equal(uv_prepare_start(&prepare, count_turn), 0);
    run_until(100010);
    assert_true(turns >= 100010 * 70 / (256 << 10)); /* a turn a chunk, at least */
    uv_close((uv_handle_t *)&prepare, NULL);
    (void)uv_run(&t.loop, UV_RUN_NOWAIT);
}

static void a_line_costs_no_allocation(void **state)
{
    static const char line[] =
        "{\"level\":50,\"time\":1795197134467,\"pid\":4242,\"hostname\":\"host-a\",\"name\":\"order-service\",\"correlation_id\":\"c0ffee00-1234\","
        "\"trace_id\":\"0af7651916cd43dd8448eb211c80319c\",\"err\":{\"type\":\"Error\",\"message\":\"no\",\"stack\":\"a\\nb\"},\"x\":{\"y\":[1,2.5]},\"msg\":\"m \\u2713\"}\n";
    (void)state;

    if (!counting())
        skip();
    append(t.path, line, 20000);
    start("beginning", "1h");
    run_until(20000);
    assert_true(allocations > 0); /* the counter does count */
    const uint64_t during = t.sink.allocations_at_last - t.sink.allocations_at_first;
    if (t.sink.commits < 10 || during > 0)
        fail_msg("%llu allocations in %llu commits", (unsigned long long)during, (unsigned long long)t.sink.commits);
}

static void nothing_is_read_after_quiesce(void **state)
{
    (void)state;
    append(t.path, "line\n", 1);
    start("beginning", "10ms");
    run_until(1);
    weft_receiver_filelog.quiesce(t.receiver);
    append(t.path, "line\n", 1);
    for (int i = 0; i < 20; i++)
        (void)uv_run(&t.loop, UV_RUN_NOWAIT);
    assert_int_equal(t.sink.items, 1);
}

/* ---- what outlives the receiver ---- */

static void start_keeping(const char *keep_path, struct weft_buf *keep)
{
    const char *const pairs[][2] = { { "include", t.pattern }, { "start_at", "beginning" }, { "poll_interval", "10ms" }, { NULL, NULL } };
    struct weft_problems problems;

    assert_int_equal(make(pairs, &problems), 0);
    t.receiver->keep_path = keep_path;
    t.receiver->keep = keep;
    assert_int_equal(weft_receiver_filelog.start(t.receiver), 0);
}

static void end_receiver(void)
{
    weft_receiver_filelog.stop(t.receiver);
    (void)uv_run(&t.loop, UV_RUN_DEFAULT);
    weft_receiver_filelog.finish(t.receiver);
    free(t.receiver);
    t.receiver = NULL;
}

static void positions_outlive_the_receiver_as_far_as_they_are_safe(void **state)
{
    char keep_path[160];
    (void)state;

    (void)snprintf(keep_path, sizeof keep_path, "%s/.positions/filelog", t.directory);
    append(t.path, "a line\n", 100);
    start_keeping(keep_path, NULL);
    run_until(100);
    end_receiver(); /* nothing has been delivered */
    start_keeping(keep_path, NULL);
    run_until(200);
    t.sink.settled = 200; /* all of it has */
    end_receiver();
    append(t.path, "a line\n", 10);
    start_keeping(keep_path, NULL);
    run_until(210);
    t.sink.settled = UINT64_MAX;
    end_receiver();
    (void)unlink(keep_path);
    (void)snprintf(keep_path, sizeof keep_path, "%s/.positions", t.directory);
    assert_int_equal(rmdir(keep_path), 0);
}

static void without_a_file_positions_are_left_to_the_next_receiver(void **state)
{
    struct weft_buf keep;
    (void)state;

    weft_buf_init(&keep, 1 << 20);
    append(t.path, "a line\n", 100);
    start_keeping(NULL, &keep);
    run_until(100);
    end_receiver();
    assert_true(keep.len > 0);
    append(t.path, "a line\n", 10);
    start_keeping(NULL, &keep);
    assert_int_equal(keep.len, 0);
    run_until(110);
    end_receiver();
    weft_buf_release(&keep);
}

static void files_are_read_though_positions_cannot_be_kept(void **state)
{
    (void)state;
    append(t.path, "a line\n", 100);
    start_keeping("/proc/no/such/place", NULL);
    run_until(100);
    end_receiver();
}

static void what_cannot_work_is_refused_by_the_check(void **state)
{
    static const struct { const char *key, *value; } wrong[] = {
        { "encoding", "utf-16le" }, { "start_at", "middle" }, { "max_log_size", "1" }, { "incude", "x" },
    };
    (void)state;

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        const char *const pairs[][2] = { { "include", t.pattern }, { wrong[i].key, wrong[i].value }, { NULL, NULL } };
        struct weft_problems problems;
        if (make(pairs, &problems) != WEFT_ERR_CONFIG || problems.n != 1)
            fail_msg("%s: %s: %zu problems", wrong[i].key, wrong[i].value, problems.n);
        free(t.receiver);
        t.receiver = NULL;
    }
}

int main(int argc, char **argv)
{
#define IN_DIRECTORY(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        IN_DIRECTORY(lines_are_found_by_polling_and_by_events),
        IN_DIRECTORY(a_full_journal_pauses_reading_and_loses_nothing),
        IN_DIRECTORY(while_a_journal_fills_up_each_file_waits_by_itself),
        IN_DIRECTORY(other_work_of_the_loop_gets_its_turns_while_files_are_read),
        IN_DIRECTORY(a_line_costs_no_allocation),
        IN_DIRECTORY(nothing_is_read_after_quiesce),
        IN_DIRECTORY(positions_outlive_the_receiver_as_far_as_they_are_safe),
        IN_DIRECTORY(without_a_file_positions_are_left_to_the_next_receiver),
        IN_DIRECTORY(files_are_read_though_positions_cannot_be_kept),
        IN_DIRECTORY(what_cannot_work_is_refused_by_the_check),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

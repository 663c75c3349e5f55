/* SPDX-License-Identifier: Apache-2.0 */
/* Journals that outlive the configuration that uses them: what goes over, what becomes an orphan, what is let go and when. */
#include "agent/shelf.h"
#include "core/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include <cmocka.h>

enum { MIB = 1 << 20, GRACE_MS = 60000 };

static struct weft_shelf *open_shelf(void)
{
    static const struct weft_log quiet = { .fd = -1, .level = WEFT_LOG_ERROR };
    struct weft_shelf *s = NULL;

    assert_int_equal(weft_shelf_new(&s, &quiet), 0);
    return s;
}

static struct weft_service in_memory(uint64_t max_size)
{
    return (struct weft_service){ .journal_mode = WEFT_SERVICE_MEMORY, .journal_max_size = max_size, .memory_limit = 64 * MIB,
                                  .removed_exporter_grace = GRACE_MS };
}

/* One round with one pipeline. */
static const struct weft_shelf_entry *round_of(struct weft_shelf *s, const struct weft_service *service, const char *id)
{
    const struct weft_shelf_entry *e = NULL;

    assert_int_equal(weft_shelf_begin(s, service, 1), 0);
    assert_int_equal(weft_shelf_take(s, id, WEFT_LOGS, &e), 0);
    weft_shelf_finish(s);
    assert_true(e->claimed && !e->orphan);
    return e;
}

static struct weft_cursor *open_cursor(const struct weft_shelf_entry *e, const char *exporter)
{
    struct weft_cursor_options o = { .name = exporter, .start = WEFT_CURSOR_OLDEST, .hold = true, .wake_fd = -1 };
    struct weft_cursor *c = NULL;

    assert_int_equal(weft_cursor_open(&c, e->journal, &o), 0);
    return c;
}

/* A reader that came and went without reading. */
static void park(const struct weft_shelf_entry *e, const char *exporter)
{
    weft_cursor_close(open_cursor(e, exporter));
}

static void append(const struct weft_shelf_entry *e, int n, size_t size)
{
    static uint8_t bytes[64 << 10];
    struct weft_record r = { .signal = WEFT_LOGS, .n_items = 2, .payload = weft_slice_of(bytes, size) };

    for (int i = 0; i < n; i++)
        assert_int_equal(weft_journal_append(e->journal, &r, NULL), 0);
}

/* Reads and settles everything; how many records there were. */
static int drain(const struct weft_shelf_entry *e, const char *exporter)
{
    struct weft_cursor *c = open_cursor(e, exporter);
    struct weft_record r;
    int n = 0;

    for (; weft_cursor_next(c, &r) > 0; n++)
        weft_cursor_settle(c, r.sequence);
    weft_cursor_close(c);
    return n;
}

static int count(const struct weft_shelf *s)
{
    int n = 0;

    for (const struct weft_shelf_entry *e = weft_shelf_first(s); e; e = e->next)
        n++;
    return n;
}

static void what_waits_goes_over_to_the_next_configuration(void **state)
{
    struct weft_shelf *s = open_shelf();
    struct weft_service service = in_memory(4 * MIB), next = service;
    (void)state;

    const struct weft_shelf_entry *before = round_of(s, &service, "logs/a");
    uint64_t id = weft_journal_id(before->journal);
    park(before, "es");
    append(before, 10, 100);
    const struct weft_shelf_entry *after = round_of(s, &next, "logs/a");
    assert_ptr_equal(after, before);
    assert_int_equal(weft_journal_id(after->journal), id);
    assert_true(weft_shelf_waits_for(after, "es"));
    assert_int_equal(drain(after, "es"), 10);
    assert_false(weft_shelf_waits_for(after, "es"));
    weft_shelf_free(s);
}

static void a_journal_in_memory_changes_its_size_when_what_waits_fits(void **state)
{
    const struct { const char *what; int records; uint64_t size, then; } cases[] = {
        { "larger", 10, 8 * MIB, 8 * MIB },
        { "smaller, and little waits", 1, 2 * MIB, 2 * MIB },
        { "smaller, and too much waits: it stays", 40, 2 * MIB, 4 * MIB },
        { "less than a journal can be is a journal of the least size", 0, MIB / 2, MIB },
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct weft_shelf *s = open_shelf();
        struct weft_service service = in_memory(4 * MIB), next = in_memory(cases[i].size);
        const struct weft_shelf_entry *e = round_of(s, &service, "logs");
        struct weft_journal_stats j;
        park(e, "es");
        append(e, cases[i].records, 60000);
        assert_ptr_equal(round_of(s, &next, "logs"), e);
        weft_journal_stats(e->journal, &j);
        int there = drain(e, "es");
        if (j.capacity_bytes != cases[i].then || there != cases[i].records)
            fail_msg("%s: %llu bytes, %d records", cases[i].what, (unsigned long long)j.capacity_bytes, there);
        append(e, 4, 60000); /* it works on at that size */
        assert_int_equal(drain(e, "es"), 4);
        weft_shelf_free(s);
    }
}

static void a_pipeline_that_is_gone_leaves_an_orphan_until_all_is_settled(void **state)
{
    struct weft_shelf *s = open_shelf();
    struct weft_service service = in_memory(4 * MIB);
    (void)state;

    const struct weft_shelf_entry *old = round_of(s, &service, "logs/old");
    park(old, "es");
    append(old, 3, 100);
    (void)round_of(s, &service, "logs/new");
    assert_true(old->orphan && !old->claimed);
    assert_int_equal(count(s), 2);
    assert_true(weft_shelf_waits_for(old, "es"));

    struct weft_cursor *reading = open_cursor(old, "es");
    weft_shelf_sweep(s, 1000);
    weft_shelf_sweep(s, 2000);
    assert_int_equal(count(s), 2); /* somebody reads it */
    weft_cursor_close(reading);
    assert_int_equal(drain(old, "es"), 3);
    weft_shelf_sweep(s, 3000);
    assert_int_equal(count(s), 2); /* whoever was leaving it may still be doing so */
    weft_shelf_sweep(s, 4000);
    assert_int_equal(count(s), 1);
    weft_shelf_free(s);
}

static void a_pipeline_that_is_back_before_that_goes_on(void **state)
{
    struct weft_shelf *s = open_shelf();
    struct weft_service service = in_memory(4 * MIB);
    (void)state;

    const struct weft_shelf_entry *old = round_of(s, &service, "logs/old");
    park(old, "es");
    append(old, 3, 100);
    (void)round_of(s, &service, "logs/new"); /* which could not start, or lasted a moment */
    assert_ptr_equal(round_of(s, &service, "logs/old"), old);
    assert_int_equal(drain(old, "es"), 3);
    weft_shelf_free(s);
}

static void what_waits_for_a_removed_exporter_is_let_go_after_the_grace_and_counted(void **state)
{
    struct weft_shelf *s = open_shelf();
    struct weft_service service = in_memory(4 * MIB);
    (void)state;

    const struct weft_shelf_entry *e = round_of(s, &service, "logs");
    park(e, "removed");
    park(e, "back in time");
    append(e, 5, 100);
    weft_shelf_sweep(s, 1000);
    weft_shelf_sweep(s, 1000 + GRACE_MS - 1);
    assert_true(weft_shelf_waits_for(e, "removed"));
    assert_int_equal(weft_shelf_n_released(s), 0);

    struct weft_cursor *back = open_cursor(e, "back in time");
    weft_shelf_sweep(s, 1000 + GRACE_MS);
    assert_false(weft_shelf_waits_for(e, "removed"));
    assert_int_equal(weft_shelf_n_released(s), 1);
    assert_string_equal(weft_shelf_released_at(s, 0)->exporter, "removed");
    assert_int_equal(weft_shelf_released_at(s, 0)->items, 10);
    assert_int_equal(weft_shelf_released_at(s, 0)->signal, WEFT_LOGS);

    weft_cursor_close(back); /* goes again: its grace begins anew */
    weft_shelf_sweep(s, 1000 + GRACE_MS + 1);
    weft_shelf_sweep(s, 1000 + 2 * GRACE_MS - 1);
    assert_true(weft_shelf_waits_for(e, "back in time"));
    weft_shelf_sweep(s, 1000 + 2 * GRACE_MS + 1);
    assert_int_equal(weft_shelf_n_released(s), 2);
    weft_shelf_free(s);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_waits_goes_over_to_the_next_configuration),
        cmocka_unit_test(a_journal_in_memory_changes_its_size_when_what_waits_fits),
        cmocka_unit_test(a_pipeline_that_is_gone_leaves_an_orphan_until_all_is_settled),
        cmocka_unit_test(a_pipeline_that_is_back_before_that_goes_on),
        cmocka_unit_test(what_waits_for_a_removed_exporter_is_let_go_after_the_grace_and_counted),
    };

    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

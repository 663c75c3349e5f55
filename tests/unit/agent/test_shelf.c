/* SPDX-License-Identifier: Apache-2.0 */
/* Journals that outlive the configuration that uses them: what goes over, what becomes an orphan, what is let go and when. */
#include "agent/shelf.h"

#include "agent/directory.h"
#include "core/err.h"
#include "core/hash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
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

static void a_removed_exporter_does_not_fill_the_journal_of_the_others(void **state)
{
    struct weft_shelf *s = open_shelf();
    struct weft_service service = in_memory(4 * MIB);
    (void)state;

    const struct weft_shelf_entry *e = round_of(s, &service, "logs");
    park(e, "removed");
    for (int i = 0; i < 4; i++) {
        append(e, 10, 60000);
        (void)drain(e, "there");
        weft_shelf_sweep(s, 1000);
        assert_true(weft_shelf_waits_for(e, "removed"));
    }
    append(e, 10, 60000); /* about 3 MB of 4 MiB now */
    weft_shelf_sweep(s, 1000);
    assert_false(weft_shelf_waits_for(e, "removed"));
    assert_true(weft_shelf_waits_for(e, "there"));
    assert_int_equal(weft_shelf_n_released(s), 1);
    assert_int_equal(weft_shelf_released_at(s, 0)->items, 100);
    weft_shelf_free(s);
}

static void what_waits_for_a_removed_exporter_when_all_ends_is_told_and_counted(void **state)
{
    struct weft_shelf *s = open_shelf();
    struct weft_service service = in_memory(4 * MIB);
    (void)state;

    const struct weft_shelf_entry *e = round_of(s, &service, "logs");
    park(e, "removed");
    append(e, 5, 100); /* 10 items */
    assert_true(weft_shelf_tell_lost(s));
    park(e, "there"); /* lanes end after that, and count for themselves */
    weft_shelf_count_lost(s);
    assert_int_equal(weft_shelf_n_released(s), 1);
    assert_string_equal(weft_shelf_released_at(s, 0)->exporter, "removed");
    assert_int_equal(weft_shelf_released_at(s, 0)->items, 10);
    weft_shelf_free(s);
}

enum { MANY = 1000 }; /* places; a journal may have 1,024 */

static const char *name_of(int i)
{
    static char name[32];

    (void)snprintf(name, sizeof name, "es/%d", i);
    return name;
}

/* A pipeline that is gone, and one of its many exporters has not read yet what waits for it. */
static void an_orphan_is_kept_for_the_one_of_many_places_that_something_waits_for(void **state)
{
    const int waits_for[] = { 0, 63, 64, 500, MANY - 1 };
    (void)state;

    for (size_t k = 0; k < sizeof waits_for / sizeof *waits_for; k++) {
        struct weft_shelf *s = open_shelf();
        struct weft_service service = in_memory(4 * MIB);
        const struct weft_shelf_entry *old = round_of(s, &service, "logs/old");
        for (int i = 0; i < MANY; i++)
            park(old, name_of(i));
        append(old, 3, 100);
        for (int i = 0; i < MANY; i++)
            if (i != waits_for[k])
                assert_int_equal(drain(old, name_of(i)), 3);
        (void)round_of(s, &service, "logs/new");
        weft_shelf_sweep(s, 1000);
        weft_shelf_sweep(s, 2000);
        if (count(s) != 2 || !weft_shelf_waits_for(old, name_of(waits_for[k])))
            fail_msg("what waits for place %d of %d is gone", waits_for[k], MANY);
        assert_true(weft_shelf_tell_lost(s));
        assert_int_equal(drain(old, name_of(waits_for[k])), 3);
        assert_false(weft_shelf_tell_lost(s));
        weft_shelf_sweep(s, 3000);
        weft_shelf_sweep(s, 4000);
        assert_int_equal(count(s), 1);
        weft_shelf_free(s);
    }
}

static void each_of_many_removed_exporters_is_let_go_after_the_grace(void **state)
{
    struct weft_shelf *s = open_shelf();
    struct weft_service service = in_memory(4 * MIB);
    struct weft_journal_stats j;
    uint64_t items = 0;
    (void)state;

    const struct weft_shelf_entry *e = round_of(s, &service, "logs");
    for (int i = 0; i < MANY; i++)
        park(e, name_of(i));
    append(e, 5, 100);
    weft_shelf_sweep(s, 1000);
    weft_journal_stats(e->journal, &j);
    assert_int_equal(j.n_parked, MANY);
    weft_shelf_sweep(s, 1000 + GRACE_MS);
    weft_journal_stats(e->journal, &j);
    assert_int_equal(j.n_parked, 0);
    for (size_t i = 0; i < weft_shelf_n_released(s); i++)
        items += weft_shelf_released_at(s, i)->items;
    assert_string_equal(weft_shelf_released_at(s, weft_shelf_n_released(s) - 1)->exporter, "other"); /* who they were says the log */
    assert_int_equal(items, MANY * 10);
    weft_shelf_free(s);
}

/* ---- on disk ---- */
struct disk {
    char root[64];
    struct weft_service service;
};

static struct disk on_disk(void)
{
    struct disk d = { .root = "/tmp/weft-shelf-XXXXXX" };

    assert_non_null(mkdtemp(d.root));
    d.service = (struct weft_service){ .journal_mode = WEFT_SERVICE_DISK, .journal_max_size = 4 * MIB, .memory_limit = 64 * MIB,
                                       .dead_letters_max_size = MIB, .journal_sync = WEFT_SERVICE_SYNC_NONE };
    return d;
}

static const char *path_in(const struct disk *d, const char *name)
{
    static char path[WEFT_DIRECTORY_PATH];

    (void)snprintf(path, sizeof path, "%s/%s", d->root, name);
    return path;
}

static bool is_there(const struct disk *d, const char *name)
{
    return access(path_in(d, name), F_OK) == 0;
}

static void remove_disk(const struct disk *d)
{
    static const char *const journals[] = { "journal/logs", "journal/logs%2Fold", "journal/logs%2Fnew" };

    for (size_t i = 0; i < sizeof journals / sizeof *journals; i++)
        (void)weft_journal_remove(path_in(d, journals[i]));
    (void)weft_directory_remove(path_in(d, "journal/not an id"));
    assert_int_equal(rmdir(path_in(d, "journal")), 0);
    assert_int_equal(weft_directory_remove(d->root), 0);
}

/* What the process before left: a journal with records that wait for "es". */
static void leave(struct disk *d, const char *id)
{
    struct weft_shelf *s = open_shelf();

    d->service.journal_directory = d->root;
    const struct weft_shelf_entry *e = round_of(s, &d->service, id);
    assert_string_equal(e->id, id);
    park(e, "es");
    append(e, 3, 100);
    weft_shelf_free(s);
}

static void a_start_finds_what_a_pipeline_that_is_gone_has_left(void **state)
{
    struct disk d = on_disk();
    (void)state;

    leave(&d, "logs/old");
    assert_int_equal(mkdir(path_in(&d, "journal/not an id"), 0700), 0);
    struct weft_shelf *s = open_shelf();
    (void)round_of(s, &d.service, "logs/new");
    assert_int_equal(count(s), 2); /* what is not ours is left alone */
    const struct weft_shelf_entry *old = weft_shelf_first(s);
    assert_true(old->orphan && weft_shelf_waits_for(old, "es"));
    assert_string_equal(old->id, "logs/old");
    assert_int_equal(old->signal, WEFT_LOGS);

    weft_shelf_sweep(s, 1000); /* no grace at all, and yet it stays: nobody's orphan on disk is not let go */
    weft_shelf_sweep(s, 2000);
    assert_true(is_there(&d, "journal/logs%2Fold"));
    assert_int_equal(drain(old, "es"), 3);
    weft_shelf_sweep(s, 3000);
    weft_shelf_sweep(s, 4000);
    assert_int_equal(count(s), 1);
    assert_false(is_there(&d, "journal/logs%2Fold"));
    assert_int_equal(weft_shelf_n_released(s), 0);
    weft_shelf_free(s);
    remove_disk(&d);
}

static void an_orphan_whose_places_are_lost_is_kept(void **state)
{
    struct disk d = on_disk();
    (void)state;

    leave(&d, "logs/old");
    assert_int_equal(unlink(path_in(&d, "journal/logs%2Fold/cursors")), 0);
    struct weft_shelf *s = open_shelf();
    (void)round_of(s, &d.service, "logs/new");
    weft_shelf_tell_absent(s);
    for (uint64_t now = 1000; now < 5000; now += 1000)
        weft_shelf_sweep(s, now);
    assert_int_equal(count(s), 2);

    const struct weft_shelf_entry *old = round_of(s, &d.service, "logs/old"); /* back: its exporters begin with the oldest record */
    struct weft_cursor *c = open_cursor(old, "es");
    weft_shelf_tell_absent(s);
    assert_false(weft_shelf_waits_for(old, WEFT_LOST_PLACES));
    weft_cursor_close(c);
    assert_int_equal(drain(old, "es"), 3);
    weft_shelf_free(s);
    remove_disk(&d);
}

static void an_orphan_that_cannot_be_opened_stops_nobody_and_a_pipeline_is_refused(void **state)
{
    struct disk d = on_disk();
    const struct weft_shelf_entry *e;
    (void)state;

    leave(&d, "logs/old");
    const char text[] = "weft journal 999 id 0123456789abcdef crc ";
    FILE *format = fopen(path_in(&d, "journal/logs%2Fold/FORMAT"), "w");
    assert_non_null(format);
    assert_true(fprintf(format, "%s%08x\n", text, weft_crc32c(0, text, sizeof text - 1)) > 0);
    assert_int_equal(fclose(format), 0);
    struct weft_shelf *s = open_shelf();
    (void)round_of(s, &d.service, "logs/new");
    assert_int_equal(count(s), 1);
    assert_int_equal(weft_shelf_begin(s, &d.service, 1), 0);
    assert_int_equal(weft_shelf_take(s, "logs/old", WEFT_LOGS, &e), WEFT_ERR_NEWER);
    weft_shelf_free(s);
    assert_true(is_there(&d, "journal/logs%2Fold/cursors"));
    assert_int_equal(weft_directory_remove(path_in(&d, "journal/logs%2Fold")), 0);
    remove_disk(&d);
}

static void one_shelf_at_a_time_has_a_directory(void **state)
{
    struct disk d = on_disk();
    struct weft_shelf *s = open_shelf(), *other = open_shelf();
    struct weft_service memory = in_memory(4 * MIB);
    (void)state;

    d.service.journal_directory = d.root;
    (void)round_of(s, &d.service, "logs");
    assert_int_equal(weft_shelf_begin(other, &d.service, 1), UV_EBUSY);
    (void)round_of(s, &memory, "logs"); /* the journal on disk is an orphan without records now */
    weft_shelf_sweep(s, 1000);
    assert_int_equal(weft_shelf_begin(other, &d.service, 1), UV_EBUSY);
    weft_shelf_sweep(s, 2000);
    assert_int_equal(weft_shelf_begin(other, &d.service, 1), 0); /* nothing of the directory is in use any more */
    weft_shelf_free(other);
    weft_shelf_free(s);
    remove_disk(&d);
}

/* What a reload from disk to memory, or back, says of the journal before: once with its reader there, once without. */
static void a_pipeline_whose_journal_was_replaced_is_not_said_to_be_missing(void **state)
{
    struct disk d = on_disk();
    struct weft_service memory = in_memory(4 * MIB);
    FILE *file = tmpfile();
    char said[4096] = "";
    (void)state;

    assert_non_null(file);
    d.service.journal_directory = d.root;
    struct weft_log log = { .fd = fileno(file), .level = WEFT_LOG_INFO };
    struct weft_shelf *s = NULL;
    assert_int_equal(weft_shelf_new(&s, &log), 0);
    const struct weft_shelf_entry *disk = round_of(s, &d.service, "logs");
    park(disk, "es");
    append(disk, 3, 100);
    (void)round_of(s, &memory, "logs");
    assert_true(disk->orphan && disk->replaced);
    struct weft_cursor *c = open_cursor(disk, "es");
    weft_shelf_tell_absent(s);
    assert_int_equal(pread(log.fd, said, sizeof said - 1, 0), 0); /* its place is in use: there is nothing to tell */
    weft_cursor_close(c);
    weft_shelf_tell_absent(s);
    assert_true(pread(log.fd, said, sizeof said - 1, 0) > 0);
    assert_non_null(strstr(said, "the pipeline has another journal now, and no exporter 'es': 3 records with 6 items wait for it in"));
    (void)round_of(s, &memory, "logs/b");
    assert_true(disk->orphan && !disk->replaced);
    weft_shelf_free(s);
    assert_int_equal(fclose(file), 0);
    remove_disk(&d);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_waits_goes_over_to_the_next_configuration),
        cmocka_unit_test(a_journal_in_memory_changes_its_size_when_what_waits_fits),
        cmocka_unit_test(a_pipeline_that_is_gone_leaves_an_orphan_until_all_is_settled),
        cmocka_unit_test(a_pipeline_that_is_back_before_that_goes_on),
        cmocka_unit_test(what_waits_for_a_removed_exporter_is_let_go_after_the_grace_and_counted),
        cmocka_unit_test(a_removed_exporter_does_not_fill_the_journal_of_the_others),
        cmocka_unit_test(what_waits_for_a_removed_exporter_when_all_ends_is_told_and_counted),
        cmocka_unit_test(an_orphan_is_kept_for_the_one_of_many_places_that_something_waits_for),
        cmocka_unit_test(each_of_many_removed_exporters_is_let_go_after_the_grace),
        cmocka_unit_test(a_start_finds_what_a_pipeline_that_is_gone_has_left),
        cmocka_unit_test(an_orphan_whose_places_are_lost_is_kept),
        cmocka_unit_test(an_orphan_that_cannot_be_opened_stops_nobody_and_a_pipeline_is_refused),
        cmocka_unit_test(one_shelf_at_a_time_has_a_directory),
        cmocka_unit_test(a_pipeline_whose_journal_was_replaced_is_not_said_to_be_missing),
    };

    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

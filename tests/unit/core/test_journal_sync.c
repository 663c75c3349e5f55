/* SPDX-License-Identifier: Apache-2.0 */
/* What a journal on disk promises about power loss, with an fdatasync that the test counts, holds up and lets fail; and a file that
 * is cut under its reader. */
#include "core/clock.h"
#include "core/err.h"
#include "core/journal_state.h"
#include "core/journal_sync.h"
#include "tests/support/journal_room.h"

#include <dirent.h>
#include <errno.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { MIB = 1 << 20, KIB = 1 << 10, PATH_SIZE = 256, PATIENCE_MS = 10000 };

static char home[PATH_SIZE];

/* ---- the disk ---- */
static _Atomic unsigned calls, fails;   /* fails: how many of the next calls do */
static _Atomic int failed_fd, again;    /* again: calls for a file that had failed */
static _Atomic bool held;
static sem_t entered, go;

static int fake_datasync(int fd)
{
    atomic_fetch_add(&calls, 1);
    if (fd == atomic_load(&failed_fd))
        atomic_fetch_add(&again, 1);
    if (atomic_load(&held)) {
        sem_post(&entered);
        while (sem_wait(&go)) {
        }
    }
    if (atomic_load(&fails) > 0) {
        atomic_fetch_sub(&fails, 1);
        atomic_store(&failed_fd, fd);
        errno = EIO;
        return -1;
    }
    return 0;
}

static int setup(void **state)
{
    (void)state;
    if (journal_room_make(home, sizeof home) || sem_init(&entered, 0, 0) || sem_init(&go, 0, 0))
        return -1;
    calls = fails = 0;
    failed_fd = -1;
    again = 0;
    held = false;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    journal_room_remove(home);
    sem_destroy(&entered);
    sem_destroy(&go);
    return 0;
}

static struct weft_journal *open_journal(enum weft_sync sync, uint64_t interval_ms)
{
    struct weft_journal *j = NULL;
    struct weft_journal_options o = { .name = "logs", .mode = WEFT_JOURNAL_DISK, .directory = home, .max_size = 4 * MIB,
                                      .segment_size = 64 * KIB, .sync = sync, .sync_interval_ms = interval_ms };

    assert_int_equal(weft_journal_open(&j, &o), 0);
    j->sync->datasync = fake_datasync;
    return j;
}

static uint64_t append(struct weft_journal *j, size_t len)
{
    static const uint8_t bytes[4 * KIB];
    struct weft_record r = { .n_items = 1, .wall_ns = 1, .payload = weft_slice_of(bytes, len) };
    uint64_t sequence = 0;

    assert_int_equal(weft_journal_append(j, &r, &sequence), 0);
    return sequence;
}

/* What the record comes to within PATIENCE_MS; 0: nothing. */
static int outcome(struct weft_journal *j, uint64_t sequence)
{
    const struct timespec step = { 0, 1000000 };
    int result;

    for (uint64_t end = weft_clock_mono_ms() + PATIENCE_MS; (result = weft_journal_confirmed(j, sequence)) == 0;) {
        if (weft_clock_mono_ms() > end)
            break;
        nanosleep(&step, NULL);
    }
    return result;
}

static void wait_for_durable(struct weft_journal *j, uint64_t sequence)
{
    const struct timespec step = { 0, 1000000 };
    uint64_t end = weft_clock_mono_ms() + PATIENCE_MS;

    while (atomic_load(&j->durable) < sequence && weft_clock_mono_ms() < end)
        nanosleep(&step, NULL);
    assert_true(atomic_load(&j->durable) >= sequence);
}

static void count_call(void *ctx)
{
    atomic_fetch_add((_Atomic unsigned *)ctx, 1);
}

/* ---- always ---- */
static void one_sync_serves_everybody_who_came_while_another_ran(void **state)
{
    struct weft_journal *j = open_journal(WEFT_SYNC_ALWAYS, 60000);
    _Atomic unsigned told = 0;
    struct weft_journal_watch watch = { .on_confirmed = count_call, .ctx = &told };
    uint64_t last = 0;
    (void)state;

    assert_true(weft_journal_confirms(j));
    weft_journal_watch(j, &watch);
    held = true;
    uint64_t first = append(j, 100);
    weft_journal_hurry(j);
    sem_wait(&entered); /* the sync of the first runs */
    assert_int_equal(weft_journal_confirmed(j, first), 0);
    for (int i = 0; i < 100; i++) {
        last = append(j, 100);
        weft_journal_hurry(j);
    }
    held = false;
    sem_post(&go);
    assert_int_equal(outcome(j, first), 1);
    assert_int_equal(outcome(j, last), 1);
    assert_in_range(calls, 2, 3); /* 64 KiB segments: all lie in one file */
    weft_journal_unwatch(j, &watch);
    assert_in_range(told, 2, 3);
    assert_int_equal(atomic_load(&j->sync->syncs), calls);
    weft_journal_close(j);
}

static void a_record_that_is_still_written_is_not_confirmed_and_nothing_behind_it(void **state)
{
    struct weft_journal *j = open_journal(WEFT_SYNC_ALWAYS, 1);
    struct weft_reservation slow;
    struct weft_record r = { .n_items = 1 };
    (void)state;

    uint64_t before = append(j, 10);
    assert_int_equal(weft_journal_reserve(j, 10, 1, &slow), 0);
    uint64_t behind = append(j, 10);
    weft_journal_hurry(j);
    assert_int_equal(outcome(j, before), 1);
    wait_for_durable(j, before);
    assert_int_equal(weft_journal_confirmed(j, slow.sequence), 0);
    assert_int_equal(weft_journal_confirmed(j, behind), 0);
    memset(slow.payload, 0, slow.len);
    weft_journal_publish(j, &slow, &r);
    weft_journal_hurry(j);
    assert_int_equal(outcome(j, behind), 1);
    weft_journal_close(j);
}

/* The interval is an hour: only what was asked for before the reservation was filled can bring the yes. */
static void who_hurried_behind_an_open_reservation_need_not_ask_again(void **state)
{
    struct weft_journal *j = open_journal(WEFT_SYNC_ALWAYS, 3600000);
    struct weft_reservation slow;
    struct weft_record r = { .n_items = 1 };
    (void)state;

    for (int i = 0; i < 50; i++) {
        uint64_t before = append(j, 10);
        assert_int_equal(weft_journal_reserve(j, 10, 1, &slow), 0);
        uint64_t behind = append(j, 10);
        weft_journal_hurry(j);
        assert_int_equal(outcome(j, before), 1);
        memset(slow.payload, 0, slow.len);
        weft_journal_publish(j, &slow, &r);
        assert_int_equal(outcome(j, behind), 1);
    }
    weft_journal_close(j);
}

static void records_over_many_files_are_confirmed(void **state)
{
    struct weft_journal *j = open_journal(WEFT_SYNC_ALWAYS, 60000);
    struct weft_cursor *c;
    uint64_t last = 0;
    (void)state;

    assert_int_equal(weft_cursor_open(&c, j, &(struct weft_cursor_options){ .name = "es", .hold = true, .wake_fd = -1 }), 0);
    for (int i = 0; i < 500; i++)
        last = append(j, 4 * KIB);
    weft_journal_hurry(j); /* once, for more files than a round syncs */
    assert_int_equal(outcome(j, last), 1);
    weft_cursor_close(c);
    weft_journal_close(j);
}

/* ---- a disk that fails ---- */
static void what_a_failed_sync_covered_is_never_confirmed_and_its_file_is_left(void **state)
{
    struct weft_journal *j = open_journal(WEFT_SYNC_ALWAYS, 60000);
    struct weft_journal_stats stats;
    (void)state;

    uint64_t fine = append(j, 100);
    weft_journal_hurry(j);
    assert_int_equal(outcome(j, fine), 1);
    fails = 1;
    uint64_t lost = append(j, 100);
    weft_journal_hurry(j);
    assert_int_equal(outcome(j, lost), WEFT_ERR_DISK);
    weft_journal_stats(j, &stats);
    assert_int_equal(stats.disk_state, WEFT_DISK_REFUSING);
    struct weft_record r = { .n_items = 1, .payload = WEFT_SLICE("x") };
    assert_int_equal(weft_journal_append(j, &r, NULL), WEFT_ERR_FULL);

    pthread_mutex_lock(&j->lock);
    j->next_try_ms = 0; /* the pause is over */
    pthread_mutex_unlock(&j->lock);
    uint64_t later = append(j, 100);
    weft_journal_hurry(j);
    assert_int_equal(outcome(j, later), 1);
    assert_int_equal(weft_journal_confirmed(j, fine) == 1 || weft_journal_confirmed(j, fine) == WEFT_ERR_DISK, 1);
    assert_int_equal(weft_journal_confirmed(j, lost), WEFT_ERR_DISK);
    assert_int_equal(again, 0);
    weft_journal_stats(j, &stats);
    assert_int_equal(stats.disk_state, WEFT_DISK_OK);
    assert_int_equal(stats.disk_errors, 1);
    weft_journal_close(j);
}

/* ---- interval and none ---- */
static void an_interval_syncs_without_being_asked_and_rests_when_nothing_comes(void **state)
{
    struct weft_journal *j = open_journal(WEFT_SYNC_INTERVAL, 5);
    (void)state;

    assert_false(weft_journal_confirms(j));
    uint64_t first = append(j, 100);
    assert_int_equal(weft_journal_confirmed(j, first), 1); /* yes does not wait for it */
    wait_for_durable(j, first);
    unsigned after_first = calls;
    assert_in_range(after_first, 1, 2);
    uint64_t second = append(j, 100);
    wait_for_durable(j, second);
    assert_in_range(calls, after_first + 1, after_first + 2);
    const struct timespec while_ms = { 0, 50000000 };
    unsigned settled = calls;
    nanosleep(&while_ms, NULL); /* ten intervals in which nothing comes */
    assert_int_equal(calls, settled);
    weft_journal_close(j);
}

static void none_never_syncs(void **state)
{
    struct weft_journal *j = open_journal(WEFT_SYNC_NONE, 1);
    struct weft_cursor *c;
    (void)state;

    assert_int_equal(weft_cursor_open(&c, j, &(struct weft_cursor_options){ .name = "es", .hold = true, .wake_fd = -1 }), 0);
    for (int i = 0; i < 200; i++)
        (void)append(j, 4 * KIB);
    weft_journal_hurry(j);
    weft_cursor_close(c);
    weft_journal_close(j);
    assert_int_equal(calls, 0);
}

/* ---- a file that is cut ---- */

static bool cut_files(off_t size)
{
    char name[PATH_SIZE * 3];
    DIR *dir = opendir(home);
    bool ok = dir != NULL;

    for (const struct dirent *e; dir && (e = readdir(dir)) != NULL;) {
        (void)snprintf(name, sizeof name, "%s/%s", home, e->d_name);
        ok = ok && (!strstr(name, ".seg") || truncate(name, size) == 0);
    }
    if (dir)
        closedir(dir);
    return ok;
}

/* In a process of its own: cmocka puts its own handlers in place around each test. */
static int read_cut_files(void)
{
    struct weft_journal_stats stats;
    struct weft_record r;
    struct weft_cursor *c;
    unsigned n = 0;

    (void)signal(SIGBUS, SIG_DFL);
    struct weft_journal *j = open_journal(WEFT_SYNC_ALWAYS, 60000);
    if (weft_cursor_open(&c, j, &(struct weft_cursor_options){ .name = "es", .hold = true, .wake_fd = -1 }))
        return 2;
    for (int i = 0; i < 12; i++)
        (void)append(j, 4 * KIB); /* less than a segment */
    if (!cut_files(20 * KIB))
        return 3;
    while (n < 100 && weft_cursor_next(c, &r) > 0)
        n++;
    weft_journal_hurry(j);
    if (outcome(j, 12) != WEFT_ERR_DISK)
        return 5;
    pthread_mutex_lock(&j->lock);
    j->next_try_ms = 0; /* the pause is over */
    pthread_mutex_unlock(&j->lock);
    uint64_t behind = append(j, 4 * KIB); /* the file that was cut holds nothing up */
    if (weft_cursor_next(c, &r) != 1 || r.sequence != behind)
        return 6;
    weft_cursor_settle(c, behind);
    weft_journal_stats(j, &stats);
    weft_cursor_close(c);
    weft_journal_close(j);
    return n > 0 && n < 12 && stats.corrupt_records > 0 ? 0 : 4;
}

/* A page that stands in for one that is gone takes a record's head; the rest of the record must be seen behind it. */
static int write_to_cut_files(void)
{
    static uint8_t bytes[32 * KIB];
    struct weft_record large = { .n_items = 1, .wall_ns = 1, .payload = weft_slice_of(bytes, sizeof bytes) }, r;
    struct weft_cursor *c;

    (void)signal(SIGBUS, SIG_DFL);
    memset(bytes, 'x', sizeof bytes);
    struct weft_journal *j = open_journal(WEFT_SYNC_ALWAYS, 60000);
    if (weft_cursor_open(&c, j, &(struct weft_cursor_options){ .name = "es", .hold = true, .wake_fd = -1 }))
        return 2;
    (void)append(j, 4 * KIB);
    if (!cut_files(8 * KIB))
        return 3;
    if (weft_journal_append(j, &large, NULL) || weft_cursor_next(c, &r) != 1 || weft_cursor_next(c, &r) != 1)
        return 4;
    bool same = r.payload.len == sizeof bytes && memcmp(r.payload.data, bytes, sizeof bytes) == 0;
    weft_cursor_close(c);
    weft_journal_close(j);
    return same ? 0 : 5;
}

static void expect_that_it_ends_well(int (*what)(void))
{
    int status = 0;
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        const struct rlimit none = { 0, 0 };
        (void)setrlimit(RLIMIT_CORE, &none);
        _exit(what());
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        fail_msg("the child ended with status %x", (unsigned)status);
}

static void a_file_that_is_cut_under_its_reader_does_not_end_the_process(void **state)
{
    (void)state;
    expect_that_it_ends_well(read_cut_files);
}

static void what_is_written_to_a_file_that_is_cut_is_read_as_it_was_written(void **state)
{
    (void)state;
    expect_that_it_ends_well(write_to_cut_files);
}

static void hurrying_for_what_is_durable_already_does_not_keep_the_thread_awake(void **state)
{
    struct weft_journal *j = open_journal(WEFT_SYNC_ALWAYS, 60000);
    const struct timespec step = { 0, 1000000 };

    (void)state;
    uint64_t sequence = append(j, 100);
    weft_journal_hurry(j);
    assert_int_equal(outcome(j, sequence), 1);
    unsigned before = calls;
    weft_journal_hurry(j);
    for (uint64_t end = weft_clock_mono_ms() + PATIENCE_MS; j->sync->hurry && weft_clock_mono_ms() < end;)
        nanosleep(&step, NULL);
    assert_false(j->sync->hurry); /* as long as it is set, the thread looks again at once */
    assert_int_equal(calls, before);
    sequence = append(j, 100);
    weft_journal_hurry(j);
    assert_int_equal(outcome(j, sequence), 1); /* long before the interval */
    weft_journal_close(j);
}

int main(int argc, char **argv)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(a_file_that_is_cut_under_its_reader_does_not_end_the_process), /* first: no handler is installed yet */
        CASE(what_is_written_to_a_file_that_is_cut_is_read_as_it_was_written),
        CASE(one_sync_serves_everybody_who_came_while_another_ran),
        CASE(a_record_that_is_still_written_is_not_confirmed_and_nothing_behind_it),
        CASE(who_hurried_behind_an_open_reservation_need_not_ask_again),
        CASE(records_over_many_files_are_confirmed),
        CASE(what_a_failed_sync_covered_is_never_confirmed_and_its_file_is_left),
        CASE(an_interval_syncs_without_being_asked_and_rests_when_nothing_comes),
        CASE(none_never_syncs),
        CASE(hurrying_for_what_is_durable_already_does_not_keep_the_thread_awake),
    };

    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

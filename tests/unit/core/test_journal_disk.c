/* SPDX-License-Identifier: Apache-2.0 */
/* A journal on disk, one promise at a time: what is found again after a close, after a crash (a copy of the directory as it is), and
 * after every kind of damage; locks and versions; a disk that takes nothing more. Random crashes are in
 * test_journal_crash.c. */
#include "core/err.h"
#include "core/hash.h"
#include "core/journal_state.h"
#include "core/log.h"
#include "core/segment_file.h"
#include "tests/support/journal_room.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

#include <cmocka.h>

enum { MIB = 1 << 20, KIB = 1 << 10, PATH_SIZE = 512 };

static char room[PATH_SIZE]; /* everything happens in here */
static char home[PATH_SIZE]; /* the journal under test */
static char copy[PATH_SIZE]; /* what a crash leaves of it */

/* ---- the directory ---- */

static void crash(void)
{
    journal_room_remove(copy);
    journal_room_copy(home, copy);
}

static unsigned count_files(const char *path, const char *part)
{
    unsigned n = 0;
    DIR *dir = opendir(path);

    if (!dir)
        return 0;
    for (const struct dirent *e; (e = readdir(dir)) != NULL;)
        n += strstr(e->d_name, part) != NULL;
    closedir(dir);
    return n;
}

static int setup(void **state)
{
    (void)state;
    if (journal_room_make(room, sizeof room))
        return -1;
    (void)snprintf(home, sizeof home, "%.400s/a/logs", room);
    (void)snprintf(copy, sizeof copy, "%.400s/crashed", room);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    journal_room_remove(room);
    return 0;
}

static void overwrite(const char *path, const char *name, off_t at, const void *bytes, size_t len)
{
    char file[PATH_SIZE * 2];

    (void)snprintf(file, sizeof file, "%s/%s", path, name);
    int fd = open(file, O_RDWR | O_CREAT, 0600);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, bytes, len, at), (ssize_t)len);
    close(fd);
}



/* ---- the journal ---- */

static struct weft_journal_options options(const char *path)
{
    return (struct weft_journal_options){ .name = "logs", .mode = WEFT_JOURNAL_DISK, .directory = path, .max_size = 4 * MIB,
                                          .segment_size = 64 * KIB };
}

static struct weft_journal *open_at(const char *path)
{
    struct weft_journal *j = NULL;
    struct weft_journal_options o = options(path);

    int err = weft_journal_open(&j, &o);
    if (err)
        fail_msg("open: %s", weft_err_text(err));
    return j;
}

/* The line that waits in the pipe has these words. */
static void assert_said(int fd, const char *words)
{
    char line[WEFT_LOG_LINE_MAX + 1];
    ssize_t n = read(fd, line, sizeof line - 1);

    line[n > 0 ? n : 0] = '\0';
    if (!strstr(line, words))
        fail_msg("said %s", line);
}

static struct weft_cursor *open_cursor(struct weft_journal *j, const char *name)
{
    struct weft_cursor *c = NULL;
    struct weft_cursor_options o = { .name = name, .hold = true, .wake_fd = -1 };

    assert_int_equal(weft_cursor_open(&c, j, &o), 0);
    return c;
}

static int append(struct weft_journal *j, size_t len, uint32_t n_items, struct weft_source source)
{
    static uint8_t bytes[2 * MIB];
    struct weft_record r = { .wall_ns = 5, .n_items = n_items, .source = source, .signal = WEFT_LOGS, .payload = { bytes, len } };

    memset(bytes, (int)(len % 251), len);
    return weft_journal_append(j, &r, NULL);
}

static void append_many(struct weft_journal *j, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        assert_int_equal(append(j, 1000, 3, (struct weft_source){ 0 }), 0);
}

static uint64_t take(struct weft_cursor *c)
{
    struct weft_record r;

    if (weft_cursor_next(c, &r) <= 0)
        return 0;
    for (size_t i = 0; i < r.payload.len; i++)
        if (r.payload.data[i] != r.payload.len % 251)
            fail_msg("record %lu is not what was written", (unsigned long)r.sequence);
    return r.sequence;
}

static unsigned settle_many(struct weft_cursor *c, unsigned n)
{
    unsigned done = 0;

    for (uint64_t s; done < n && (s = take(c)) != 0; done++)
        weft_cursor_settle(c, s);
    return done;
}

static struct weft_journal_stats stats_of(struct weft_journal *j)
{
    struct weft_journal_stats s;

    weft_journal_stats(j, &s);
    return s;
}

static struct weft_cursor_stats sums_of(struct weft_cursor *c)
{
    struct weft_cursor_stats s;

    weft_cursor_stats(c, &s);
    return s;
}

/* ---- what is found again ---- */

static void a_closed_journal_goes_on_where_it_was(void **state)
{
    (void)state;
    struct weft_journal *j = open_at(home);
    struct weft_cursor *c = open_cursor(j, "es");
    uint64_t id = weft_journal_id(j);

    append_many(j, 300);
    assert_int_equal(settle_many(c, 120), 120);
    weft_cursor_close(c);
    weft_journal_close(j);

    j = open_at(home);
    assert_true(weft_journal_id(j) == id);
    struct weft_journal_stats s = stats_of(j);
    assert_int_equal(s.next_sequence, 301);
    assert_true(s.opened_records >= 180 && s.opened_records < 260);
    assert_int_equal(s.appended_records, 0);
    assert_int_equal(s.recovery.torn_bytes + s.recovery.stepped_over + s.recovery.quarantined_segments, 0);
    assert_int_equal(s.n_parked, 1);
    c = open_cursor(j, "es");
    assert_int_equal(sums_of(c).waiting_records, 180);
    assert_int_equal(sums_of(c).waiting_items, 540);
    assert_int_equal(sums_of(c).waiting_bytes, 180000);
    assert_int_equal(take(c), 121);
    append_many(j, 100);
    weft_cursor_settle(c, 121);
    assert_int_equal(settle_many(c, 1000), 279);
    assert_int_equal(sums_of(c).waiting_items, 0);
    assert_int_equal(sums_of(c).lost_items, 0);
    weft_cursor_close(c);
    weft_journal_close(j);
    assert_true(count_files(home, ".seg") <= 2);
    assert_int_equal(count_files(home, "spare"), 0);
}

static void a_crash_loses_nothing_that_was_published(void **state)
{
    (void)state;
    struct weft_journal *j = open_at(home);
    struct weft_cursor *c = open_cursor(j, "es");
    struct weft_reservation one, two, last;
    struct weft_record r = { 0 };

    append_many(j, 10);
    assert_int_equal(weft_journal_reserve(j, 500, 7, &one), 0);
    append_many(j, 200);
    assert_int_equal(weft_journal_reserve(j, 700, 9, &two), 0);
    append_many(j, 10);
    weft_journal_abandon(j, &two);
    assert_int_equal(weft_journal_reserve(j, 300, 5, &last), 0);
    crash();

    int ends[2];
    assert_int_equal(pipe(ends), 0);
    const struct weft_log log = { .fd = ends[1], .level = WEFT_LOG_INFO };
    struct weft_journal_options o = options(copy);
    o.log = &log;
    struct weft_journal *k = NULL;
    assert_int_equal(weft_journal_open(&k, &o), 0);
    assert_said(ends[0], "/crashed; cut 368 bytes that were being written; stepped over 1 records that were never published\"");
    struct weft_journal_stats s = stats_of(k);
    assert_int_equal(s.recovery.stepped_over, 1);
    assert_int_equal(s.recovery.torn_bytes, 368); /* a head, 300 bytes, and the rest of 16 */
    assert_int_equal(s.recovery.lost_items, 0);
    assert_int_equal(s.opened_records, 220);
    assert_int_equal(s.opened_items, 660);
    struct weft_cursor *d = open_cursor(k, "es");
    assert_int_equal(sums_of(d).waiting_items, 660);
    for (uint64_t expected = 1; expected <= 222; expected++)
        if (expected != 11 && expected != 212)
            assert_int_equal(take(d), expected);
    assert_int_equal(take(d), 0);
    weft_cursor_settle(d, 222);
    assert_int_equal(sums_of(d).waiting_records, 0);
    assert_int_equal(sums_of(d).lost_items, 0);
    append_many(k, 1);
    assert_int_equal(take(d), 223);
    weft_cursor_close(d);
    weft_journal_close(k);
    close(ends[0]);
    close(ends[1]);

    weft_journal_publish(j, &one, &r);
    weft_journal_publish(j, &last, &r);
    weft_cursor_close(c);
    weft_journal_close(j);
}

/* A descriptor that cannot be written: the bytes must go in through the mapping then. */
static void reserve_and_copy(struct weft_journal *j, size_t len, bool refuse_writes, struct weft_reservation *ret)
{
    static uint8_t bytes[2 * MIB];
    struct weft_record r = { .wall_ns = 5, .n_items = 1, .payload = { bytes, len } };

    memset(bytes, (int)(len % 251), len);
    assert_int_equal(weft_journal_reserve(j, len, 1, ret), 0);
    const struct weft_segment *s = ret->segment;
    int real = dup(s->fd), closed = open("/dev/null", O_RDONLY);
    assert_true(real >= 0 && closed >= 0);
    if (refuse_writes)
        assert_int_equal(dup2(closed, s->fd), s->fd);
    weft_journal_copy(ret, r.payload);
    assert_int_equal(dup2(real, s->fd), s->fd);
    weft_journal_publish(j, ret, &r);
    close(real);
    close(closed);
}

static void a_payload_of_any_size_is_there_however_it_went_in(void **state)
{
    static const size_t sizes[] = { 0, 1, 8191, 8192, 8193, 20000, 40000, 300000 };
    (void)state;
    struct weft_journal *j = open_at(home);
    struct weft_cursor *c = open_cursor(j, "es");
    struct weft_reservation res;
    uint64_t expected = 0;

    for (size_t i = 0; i < 2 * sizeof sizes / sizeof *sizes; i++)
        reserve_and_copy(j, sizes[i / 2], i % 2, &res);
    while (take(c))
        expected++;
    assert_int_equal(expected, 2 * sizeof sizes / sizeof *sizes);
    crash();
    weft_cursor_close(c);
    weft_journal_close(j);
    j = open_at(copy);
    c = open_cursor(j, "es");
    assert_int_equal(settle_many(c, 1000), expected);
    assert_int_equal(sums_of(c).lost_items, 0);
    weft_cursor_close(c);
    weft_journal_close(j);
}

static void the_position_of_a_source_survives_with_its_record(void **state)
{
    (void)state;
    uint64_t position = 0;
    struct weft_journal *j = open_at(home);

    for (uint64_t i = 1; i <= 400; i++)
        assert_int_equal(append(j, 1000, 1, (struct weft_source){ 1 + i % 2, i * 10 }), 0);
    crash();
    weft_journal_close(j);

    const char *const places[] = { home, copy };
    for (size_t i = 0; i < 2; i++) {
        j = open_at(places[i]);
        assert_true(weft_journal_source(j, 1, &position));
        assert_int_equal(position, 4000);
        assert_true(weft_journal_source(j, 2, &position));
        assert_int_equal(position, 3990);
        assert_false(weft_journal_source(j, 3, &position));
        weft_journal_forget_source(j, 1);
        weft_journal_close(j);
        j = open_at(places[i]);
        assert_true(weft_journal_source(j, 2, &position));
        weft_journal_close(j);
    }
}

/* Nobody reads, so segments go as soon as they are full; the file of positions vouches for nothing behind the open reservation. */
static void a_position_survives_though_an_older_record_is_still_being_written(void **state)
{
    (void)state;
    struct weft_journal *j = open_at(home);
    struct weft_record nothing = { 0 };
    struct weft_reservation open;
    uint64_t position = 0;

    assert_int_equal(weft_journal_reserve(j, 100, 1, &open), 0);
    append_many(j, 100);
    assert_int_equal(append(j, 1000, 1, (struct weft_source){ 1, 10 }), 0);
    append_many(j, 1000);
    crash();
    memset(open.payload, 0, open.len);
    weft_journal_publish(j, &open, &nothing);
    append_many(j, 1000);
    assert_true(count_files(home, ".seg") < 8);
    weft_journal_close(j);
    j = open_at(copy);
    assert_true(weft_journal_source(j, 1, &position));
    assert_int_equal(position, 10);
    weft_journal_close(j);
}

/* ---- who may have it ---- */

static void a_directory_belongs_to_one_journal_at_a_time(void **state)
{
    (void)state;
    struct weft_journal *j = open_at(home), *second = NULL;
    struct weft_journal_options o = options(home);

    assert_int_equal(weft_journal_open(&second, &o), WEFT_ERR_LOCKED);
    assert_int_equal(weft_journal_remove(home), WEFT_ERR_LOCKED);
    assert_null(second);
    weft_journal_close(j);
    assert_int_equal(weft_journal_open(&second, &o), 0);
    weft_journal_close(second);
}

static void a_directory_of_a_newer_version_is_refused_and_left_alone(void **state)
{
    static const char *const lines[] = { "weft journal 2 id 00000000000000aa crc ", "weft journal 3 id 00000000000000aa of a new kind crc ",
                                         "weft journal 12 sum " };
    struct weft_journal_options o = options(home);
    struct weft_journal *j = open_at(home);

    (void)state;
    append_many(j, 5);
    weft_journal_close(j);
    unsigned files = count_files(home, "");
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        char newer[128], file[PATH_SIZE * 2];
        int len = snprintf(newer, sizeof newer, "%s%08x\n", lines[i], weft_crc32c(0, lines[i], strlen(lines[i])));
        (void)snprintf(file, sizeof file, "%s/FORMAT", home);
        assert_int_equal(truncate(file, 0), 0);
        overwrite(home, "FORMAT", 0, newer, (size_t)len);
        if (weft_journal_open(&j, &o) != WEFT_ERR_NEWER || count_files(home, "") != files || count_files(home, ".seg") != 1)
            fail_msg("%s: not refused, or not left alone", lines[i]);
    }
}

static void a_format_that_is_lost_or_garbled_is_made_again_from_the_segments(void **state)
{
    (void)state;
    struct weft_journal *j = open_at(home);
    struct weft_cursor *c = open_cursor(j, "es");
    uint64_t id = weft_journal_id(j);

    append_many(j, 5);
    weft_cursor_close(c);
    weft_journal_close(j);
    for (int round = 0; round < 2; round++) {
        overwrite(home, "FORMAT", 0, "?????????????????", 17);
        j = open_at(home);
        assert_true(weft_journal_id(j) == id);
        c = open_cursor(j, "es");
        assert_int_equal(sums_of(c).waiting_records, 5);
        weft_cursor_close(c);
        weft_journal_close(j);
    }
}

static void an_empty_directory_is_removed_with_what_is_ours_and_no_more(void **state)
{
    (void)state;
    struct weft_journal *j = open_at(home);

    append_many(j, 5);
    weft_journal_close(j);
    overwrite(home, "precious", 0, "x", 1);
    assert_int_equal(weft_journal_remove(home), UV_ENOTEMPTY);
    assert_int_equal(count_files(home, "precious"), 1);
    assert_int_equal(count_files(home, ".seg"), 0);
    char file[PATH_SIZE * 2];
    (void)snprintf(file, sizeof file, "%s/precious", home);
    (void)unlink(file);
    assert_int_equal(weft_journal_remove(home), 0);
    assert_int_equal(access(home, F_OK), -1);
    assert_int_equal(weft_journal_remove(home), 0);
}

/* ---- damage ---- */

static void put_aside_and_count(const void *damage, off_t at, size_t len)
{
    struct weft_journal *j = open_at(home);
    struct weft_cursor *c = open_cursor(j, "es");
    char name[WEFT_SEGMENT_NAME];

    append_many(j, 200); /* 57 a segment */
    weft_cursor_close(c);
    weft_journal_close(j);
    weft_segment_file_name(name, 3); /* the second: the first number goes to the tail of an empty directory */
    overwrite(home, name, at, damage, len);

    j = open_at(home);
    struct weft_journal_stats s = stats_of(j);
    assert_int_equal(s.recovery.quarantined_segments, 1);
    assert_int_equal(s.recovery.lost_records, 57);
    assert_int_equal(s.recovery.lost_items, 171);
    assert_int_equal(count_files(home, ".corrupt"), 1);
    assert_true(s.next_sequence > 200); /* no sequence is given twice */
    c = open_cursor(j, "es");
    assert_int_equal(sums_of(c).waiting_items, 600);
    assert_int_equal(settle_many(c, 1000), 143);
    assert_int_equal(sums_of(c).lost_items, 171);
    assert_int_equal(sums_of(c).waiting_items, 0);
    weft_cursor_close(c);
    weft_journal_close(j);
}

static void a_head_that_says_nothing_is_put_aside_and_what_it_held_is_counted(void **state)
{
    static const uint8_t zeros[WEFT_SEGMENT_HEAD];

    (void)state;
    put_aside_and_count("?", 8, 1);
    journal_room_remove(home);
    put_aside_and_count(zeros, 0, sizeof zeros); /* as in a file that was never begun, but for what is behind it */
}

static void garbled_places_mean_that_all_is_given_again(void **state)
{
    (void)state;
    struct weft_journal *j = open_at(home);
    struct weft_cursor *c = open_cursor(j, "es");

    append_many(j, 100);
    assert_int_equal(settle_many(c, 80), 80);
    weft_cursor_close(c);
    weft_journal_close(j);
    overwrite(home, "cursors", 20, "?", 1);

    j = open_at(home);
    assert_true(stats_of(j).recovery.cursors_lost);
    c = open_cursor(j, "es");
    uint64_t first = take(c);
    assert_true(first > 0 && first <= 81);
    assert_int_equal(settle_many(c, 1000), 100 - first);
    assert_int_equal(weft_journal_settled(j), first - 1); /* it is kept for readers that have not come yet */
    assert_int_equal(weft_journal_release(j, WEFT_LOST_PLACES), 0);
    assert_int_equal(weft_journal_settled(j), 100);
    weft_cursor_close(c);
    weft_journal_close(j);
}

static void an_open_without_descriptors_fails_and_forgets_nothing(void **state)
{
    struct weft_journal *j = open_at(home);
    struct weft_journal_options o = options(home);
    struct weft_cursor *c = open_cursor(j, "es");
    struct rlimit all, few;
    bool opened = false;
    uint64_t position;

    (void)state;
    assert_int_equal(append(j, 100, 1, (struct weft_source){ 7, 70 }), 0);
    append_many(j, 99);
    assert_int_equal(settle_many(c, 80), 80);
    weft_cursor_close(c);
    weft_journal_close(j);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &all), 0);
    int next = open(room, O_RDONLY | O_DIRECTORY); /* the lowest number that is free */
    assert_true(next >= 0);
    close(next);
    for (rlim_t n = 0; n < 12 && !opened; n++) {
        few = (struct rlimit){ .rlim_cur = (rlim_t)next + n, .rlim_max = all.rlim_max };
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
        int err = weft_journal_open(&j, &o);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &all), 0);
        opened = err == 0;
        if (err && err != UV_EMFILE)
            fail_msg("with %lu descriptors: %s", (unsigned long)n, weft_err_text(err));
        if (opened && (stats_of(j).recovery.cursors_lost || !weft_journal_source(j, 7, &position)))
            fail_msg("with %lu descriptors it was opened without its places or sources", (unsigned long)n);
    }
    assert_true(opened);
    assert_int_equal(weft_journal_settled(j), 80);
    weft_journal_close(j);
}

/* ---- a disk that takes nothing more ---- */

static rlim_t limit_files(rlim_t size)
{
    struct rlimit limit;

    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    rlim_t before = limit.rlim_cur;
    limit.rlim_cur = size;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    return before;
}

static void a_disk_that_takes_nothing_refuses_and_goes_on_by_itself(void **state)
{
    const struct { const char *what; enum weft_disk_error mode; enum weft_disk_state state; unsigned least, most; } cases[] = {
        { "refusing",  WEFT_DISK_ERROR_REFUSE, WEFT_DISK_REFUSING, 0,  60 },
        { "in memory", WEFT_DISK_ERROR_MEMORY, WEFT_DISK_MEMORY,   170, 260 }, /* 3 segments of 64 KiB */
    };

    (void)state;
    (void)signal(SIGXFSZ, SIG_IGN);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct weft_journal *j = NULL;
        struct weft_journal_options o = options(home);
        unsigned n = 0;

        o.on_disk_error = cases[i].mode;
        o.memory_size = 200 * KIB;
        assert_int_equal(weft_journal_open(&j, &o), 0);
        struct weft_cursor *c = open_cursor(j, "es");
        append_many(j, 10);
        rlim_t before = limit_files(16 * KIB);
        while (append(j, 1000, 1, (struct weft_source){ 0 }) == 0)
            n++;
        struct weft_journal_stats s = stats_of(j);
        if (s.disk_state != cases[i].state || s.disk_error != UV_EFBIG || s.disk_errors != 1 || n < cases[i].least
            || n > cases[i].most)
            fail_msg("%s: state %d, error %s, %u records", cases[i].what, (int)s.disk_state, weft_err_text(s.disk_error), n);
        bool memory = cases[i].mode == WEFT_DISK_ERROR_MEMORY;
        if (memory ? sums_of(c).memory_items < n - 60 || sums_of(c).memory_items > n : sums_of(c).memory_items != 0)
            fail_msg("%s: %lu items would go with the process", cases[i].what, (unsigned long)sums_of(c).memory_items);
        (void)limit_files(before);
        j->next_try_ms = 0; /* the second has passed */
        append_many(j, 100);
        assert_int_equal(settle_many(c, n + 10 - 20), n + 10 - 20);
        if (sums_of(c).memory_items != (memory ? 20 : 0))
            fail_msg("%s: of 20 items %lu would go with the process", cases[i].what, (unsigned long)sums_of(c).memory_items);
        s = stats_of(j);
        if (s.disk_state != WEFT_DISK_OK || s.disk_error != 0)
            fail_msg("%s: it did not recover", cases[i].what);
        if (settle_many(c, 10000) != 120 || stats_of(j).memory_bytes != 0)
            fail_msg("%s: not all could be read, or memory is kept", cases[i].what);
        weft_cursor_close(c);
        weft_journal_close(j);
        assert_int_equal(weft_journal_remove(home), 0);
    }
}

static void a_record_larger_than_a_usual_segment_in_memory_has_one_of_its_own(void **state)
{
    struct weft_journal_options o = options(home);
    struct weft_journal *j = NULL;

    (void)state;
    (void)signal(SIGXFSZ, SIG_IGN);
    o.max_size = 16 * MIB;
    o.segment_size = 4 * MIB;
    o.on_disk_error = WEFT_DISK_ERROR_MEMORY;
    assert_int_equal(weft_journal_open(&j, &o), 0);
    struct weft_cursor *c = open_cursor(j, "es");
    rlim_t before = limit_files(16 * KIB);
    assert_int_equal(append(j, 1000, 1, (struct weft_source){ 0 }), 0);
    assert_int_equal(append(j, 3 * MIB / 2, 1, (struct weft_source){ 0 }), 0);
    assert_int_equal(append(j, 1000, 1, (struct weft_source){ 0 }), 0);
    assert_int_equal(stats_of(j).disk_state, WEFT_DISK_MEMORY);
    for (const struct weft_segment *s = j->head; s; s = s->next)
        if (s->reserved > s->size)
            fail_msg("a segment of %zu bytes was given %zu", s->size, (size_t)s->reserved);
    assert_int_equal(settle_many(c, 10), 3);
    (void)limit_files(before);
    weft_cursor_close(c);
    weft_journal_close(j);
}

static void a_directory_that_is_removed_is_made_again(void **state)
{
    (void)state;
    struct weft_journal *j = open_at(home);
    struct weft_cursor *c = open_cursor(j, "es");

    weft_keeper_stop(j); /* what it does is done by hand here */
    append_many(j, 200);
    journal_room_remove(home);
    assert_int_equal(access(home, F_OK), -1);
    weft_journal_keep(j);
    append_many(j, 100);
    assert_int_equal(sums_of(c).waiting_items, 900);
    assert_int_equal(sums_of(c).memory_items, 600); /* it would not outlive the process */
    assert_int_equal(stats_of(j).unsaved_items, 600);
    assert_int_equal(settle_many(c, 1000), 300); /* what was open can still be read */
    assert_int_equal(stats_of(j).unsaved_items, 0);
    append_many(j, 5);
    weft_cursor_close(c);
    weft_journal_close(j);

    j = open_at(home);
    c = open_cursor(j, "es");
    assert_int_equal(sums_of(c).waiting_records, 5);
    assert_int_equal(settle_many(c, 1000), 5);
    assert_int_equal(sums_of(c).lost_items, 0);
    weft_cursor_close(c);
    weft_journal_close(j);
}

/* ---- kill -9 ---- */

enum { KILLS = 20 };

static void append_for_ever(int pipe_fd)
{
    struct weft_journal *j = open_at(home);
    struct weft_cursor *c = open_cursor(j, "es");
    struct weft_record r = { .n_items = 1 };
    static uint8_t bytes[3000];

    for (size_t i = 0;; i++) {
        uint64_t sequence;
        r.payload = (struct weft_slice){ bytes, i * 37 % sizeof bytes };
        memset(bytes, (int)(r.payload.len % 251), r.payload.len);
        if (weft_journal_append(j, &r, &sequence) == 0 && write(pipe_fd, &sequence, sizeof sequence) != (ssize_t)sizeof sequence)
            _exit(1);
        if (i % 3 == 0)
            (void)settle_many(c, 2);
    }
}

/* Waits for `n` acknowledgements, kills, and returns the last that was given. */
static uint64_t kill_after(unsigned n)
{
    int fds[2];
    uint64_t sequence = 0, last = 0;

    assert_int_equal(pipe(fds), 0);
    pid_t child = fork();
    if (child == 0) {
        close(fds[0]);
        append_for_ever(fds[1]);
    }
    close(fds[1]);
    for (unsigned i = 0; read(fds[0], &sequence, sizeof sequence) == (ssize_t)sizeof sequence; i++) {
        if (i == n)
            (void)kill(child, SIGKILL);
        assert_true(sequence > last);
        last = sequence;
    }
    close(fds[0]);
    assert_int_equal(waitpid(child, NULL, 0), child);
    return last;
}

/* Every acknowledged record is there, but for those that the reader had settled: the rest comes without a hole. */
static void what_was_acknowledged_before_a_kill_is_there_after_it(void **state)
{
    (void)state;
    for (unsigned round = 0; round < KILLS; round++) {
        uint64_t last = kill_after(round * 41 % 500);
        struct weft_journal *j = open_at(home);
        struct weft_cursor *c = open_cursor(j, "es");
        struct weft_journal_stats s = stats_of(j);
        uint64_t expected = sums_of(c).settled_sequence + 1, sequence;

        if (s.next_sequence <= last)
            fail_msg("round %u: %lu was acknowledged, the next is %lu", round, (unsigned long)last, (unsigned long)s.next_sequence);
        while ((sequence = take(c)) != 0) {
            assert_int_equal(sequence, expected);
            expected++;
            weft_cursor_settle(c, sequence);
        }
        if (expected <= last)
            fail_msg("round %u: %lu was acknowledged, the last read is %lu", round, (unsigned long)last,
                     (unsigned long)expected - 1);
        assert_int_equal(s.recovery.lost_records + s.recovery.quarantined_segments, 0);
        weft_cursor_close(c);
        weft_journal_close(j);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_closed_journal_goes_on_where_it_was, setup, teardown),
        cmocka_unit_test_setup_teardown(a_crash_loses_nothing_that_was_published, setup, teardown),
        cmocka_unit_test_setup_teardown(a_payload_of_any_size_is_there_however_it_went_in, setup, teardown),
        cmocka_unit_test_setup_teardown(the_position_of_a_source_survives_with_its_record, setup, teardown),
        cmocka_unit_test_setup_teardown(a_position_survives_though_an_older_record_is_still_being_written, setup, teardown),
        cmocka_unit_test_setup_teardown(a_directory_belongs_to_one_journal_at_a_time, setup, teardown),
        cmocka_unit_test_setup_teardown(a_directory_of_a_newer_version_is_refused_and_left_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(a_format_that_is_lost_or_garbled_is_made_again_from_the_segments, setup, teardown),
        cmocka_unit_test_setup_teardown(an_empty_directory_is_removed_with_what_is_ours_and_no_more, setup, teardown),
        cmocka_unit_test_setup_teardown(a_head_that_says_nothing_is_put_aside_and_what_it_held_is_counted, setup, teardown),
        cmocka_unit_test_setup_teardown(garbled_places_mean_that_all_is_given_again, setup, teardown),
        cmocka_unit_test_setup_teardown(an_open_without_descriptors_fails_and_forgets_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(a_disk_that_takes_nothing_refuses_and_goes_on_by_itself, setup, teardown),
        cmocka_unit_test_setup_teardown(a_record_larger_than_a_usual_segment_in_memory_has_one_of_its_own, setup, teardown),
        cmocka_unit_test_setup_teardown(a_directory_that_is_removed_is_made_again, setup, teardown),
        cmocka_unit_test_setup_teardown(what_was_acknowledged_before_a_kill_is_there_after_it, setup, teardown),
    };

    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

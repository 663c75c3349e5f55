/* SPDX-License-Identifier: Apache-2.0 */
/* Dead letters on a disk whose files cannot be mapped for want of memory, or have rotted: what is said of them is true. */
#include "agent/lane_replay.h"
#include "agent/letters_json.h"
#include "core/err.h"
#include "tests/support/await.h"
#include "tests/support/fake_lane.h"

#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

enum { MIB = 1 << 20, LETTERS = 9000, ITEMS = 2 };

/* ---- the system's mapping of files, which fails after so many that succeed ---- */
enum { ALL = 1 << 30 };

static _Atomic int left = ALL;
static _Atomic unsigned n_failures;

void *mmap(void *at, size_t len, int prot, int flags, int fd, off_t offset)
{
    if (fd >= 0 && left-- <= 0) {
        n_failures++;
        errno = ENOMEM;
        return MAP_FAILED;
    }
    return (void *)syscall(SYS_mmap, at, len, prot, flags, fd, offset);
}

/* ---- a journal of several files ---- */
struct fixture {
    char directory[64];
    struct weft_letters *letters;
    struct weft_buf body;
};

static int open_letters(struct fixture *f)
{
    struct weft_journal_options o = { .name = "es", .mode = WEFT_JOURNAL_DISK, .directory = f->directory, .max_size = 4 * MIB };

    return weft_letters_open(&f->letters, &o);
}

static void put(struct fixture *f, unsigned number)
{
    weft_buf_reset(&f->body);
    fake_payload(&f->body, WEFT_LOGS, "shop", number * ITEMS, ITEMS);
    struct weft_letter letter = { .body = weft_buf_slice(&f->body), .signal = WEFT_LOGS, .reason = WEFT_SLICE("mapping"),
                                  .detail = WEFT_SLICE("failed to parse field [n]"), .pipeline = WEFT_SLICE("logs"), .journal_id = 77,
                                  .sequence = number + 1, .n_items = ITEMS, .refused_ns = 100 + number };
    assert_int_equal(weft_letters_put(f->letters, &letter), 0);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    (void)snprintf(f->directory, sizeof f->directory, "/tmp/weft-letters-XXXXXX");
    assert_non_null(mkdtemp(f->directory));
    weft_buf_init(&f->body, MIB);
    assert_int_equal(open_letters(f), 0);
    for (unsigned i = 0; i < LETTERS; i++)
        put(f, i);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    left = ALL;
    weft_letters_close(f->letters);
    assert_int_equal(weft_journal_remove(f->directory), 0);
    weft_buf_release(&f->body);
    free(f);
    return 0;
}

static struct weft_letters_stats stats_of(struct fixture *f)
{
    struct weft_letters_stats s;

    weft_letters_stats(f->letters, &s);
    return s;
}

/* How many letters a reader meets, and what its end is called. */
static unsigned read_all(struct fixture *f, int *ret_end)
{
    const struct weft_letters_filter all = { 0 };
    struct weft_letters_reader *r;
    struct weft_letter letter;
    uint64_t sequence;
    unsigned n = 0;

    assert_int_equal(weft_letters_reader_open(f->letters, &r, 0), 0);
    while ((*ret_end = weft_letters_reader_next(r, &all, &letter, &sequence)) == 1)
        n++;
    weft_letters_reader_close(r);
    return n;
}

static void a_reader_says_that_it_cannot_read_on(void **state)
{
    struct fixture *f = *state;
    struct weft_buf page;
    int end;

    left = 2;
    unsigned n = read_all(f, &end);
    assert_int_equal(end, UV_ENOMEM);
    assert_true(n > 0 && n < LETTERS);
    weft_buf_init(&page, 8 * MIB);
    assert_int_equal(weft_letters_put_page(&page, "es", f->letters, &(struct weft_letters_filter){ 0 }, n, 10), 0);
    weft_buf_append_byte(&page, 0);
    assert_non_null(strstr((const char *)page.data, "\"letters\":[],\"unreadable\":true,\"next\":"));
    left = ALL;
    assert_int_equal(read_all(f, &end), LETTERS);
    assert_int_equal(end, 0);
    weft_buf_release(&page);
}

static void a_purge_says_how_far_it_came(void **state)
{
    struct fixture *f = *state;
    const struct weft_letters_filter all = { 0 };
    uint64_t purged, rest;

    left = 2;
    assert_int_equal(weft_letters_purge(f->letters, &all, &purged), UV_ENOMEM);
    assert_true(purged > 0 && purged < LETTERS * ITEMS);
    assert_int_equal(stats_of(f).items, LETTERS * ITEMS - purged);
    left = ALL;
    assert_int_equal(weft_letters_purge(f->letters, &all, &rest), 0);
    assert_int_equal(purged + rest, LETTERS * ITEMS);
    assert_int_equal(stats_of(f).items, 0);
}

/* The oldest letters have left, and the file of the next ones cannot be mapped. */
static void figures_stay_when_the_oldest_letter_cannot_be_read(void **state)
{
    struct fixture *f = *state;
    uint64_t purged;

    left = 2;
    assert_int_equal(weft_letters_purge(f->letters, &(struct weft_letters_filter){ 0 }, &purged), UV_ENOMEM);
    struct weft_letters_stats s = stats_of(f);
    assert_int_equal(s.items, LETTERS * ITEMS - purged);
    assert_int_equal(s.n_reasons, 1);
    assert_int_equal(s.reasons[0].items, s.items);
    assert_true(s.unreadable);
    assert_int_equal(s.oldest_ns, 0);
    left = ALL;
    s = stats_of(f);
    assert_int_equal(s.items, LETTERS * ITEMS - purged);
    assert_int_equal(s.lost_items, 0);
    assert_false(s.unreadable);
    assert_int_equal(s.oldest_ns, 100 + purged / ITEMS);
}

/* Whichever file it is that cannot be mapped at the opening. */
static void an_opening_counts_all_letters_or_fails(void **state)
{
    struct fixture *f = *state;
    int failed = 0;

    for (int n = 0;; n++) {
        weft_letters_close(f->letters);
        f->letters = NULL;
        left = n;
        int err = open_letters(f);
        bool is_whole = left >= 0;
        left = ALL;
        if (err == 0 && stats_of(f).items != LETTERS * ITEMS)
            fail_msg("after %d mappings: %d items", n, (int)stats_of(f).items);
        assert_true(err == 0 || err == UV_ENOMEM);
        failed += err != 0;
        if (is_whole)
            break;
    }
    assert_true(failed > 3);
}

/* A letter's bytes change in a file that is read again from the disk. */
static void rot(const struct fixture *f, const char *word)
{
    DIR *dir = opendir(f->directory);
    struct dirent *e;
    bool done = false;

    assert_non_null(dir);
    while (!done && (e = readdir(dir)) != NULL) {
        static uint8_t bytes[2 * MIB];
        char path[400];
        (void)snprintf(path, sizeof path, "%s/%s", f->directory, e->d_name);
        FILE *file = fopen(path, "r+");
        size_t n = file && strstr(path, ".seg") ? fread(bytes, 1, sizeof bytes, file) : 0;
        uint8_t *at = n ? memmem(bytes, n, word, strlen(word)) : NULL;
        done = at != NULL;
        if (done) {
            assert_int_equal(fseek(file, at - bytes, SEEK_SET), 0);
            assert_int_equal(fputc('X', file), 'X');
        }
        if (file)
            (void)fclose(file);
    }
    (void)closedir(dir);
    assert_true(done);
}

static void what_has_rotted_is_counted_as_lost(void **state)
{
    struct fixture *f = *state;
    uint64_t items;
    int end;

    rot(f, "item-3000");
    rot(f, "item-4000");
    assert_int_equal(read_all(f, &end), LETTERS - 2);
    assert_int_equal(end, 0);
    struct weft_letters_stats s = stats_of(f);
    assert_int_equal(s.letters, LETTERS - 2);
    assert_int_equal(s.items, (LETTERS - 2) * ITEMS);
    assert_int_equal(s.lost_items, 2 * ITEMS);
    assert_int_equal(weft_letters_purge(f->letters, &(struct weft_letters_filter){ 0 }, &items), 0);
    s = stats_of(f);
    assert_int_equal(s.items + s.letters + s.bytes + s.n_reasons, 0);
    assert_int_equal(s.written_items, s.purged_items + s.lost_items);
}

/* ---- a replay ---- */
struct fake {
    struct weft_exporter base;
    _Atomic bool takes;
    _Atomic unsigned n_sends;
};

static void fake_send(struct weft_exporter *self, struct weft_batch *b)
{
    struct fake *f = (struct fake *)self;

    f->n_sends++;
    if (f->takes)
        self->host->done(self, b, WEFT_SENT, NULL, NULL, 0);
    else
        self->host->done(self, b, WEFT_RETRY, "http_503", "not now", 0);
}

static void fake_stop(struct weft_exporter *self)
{
    (void)self;
}

static const struct weft_exporter_type type = { .name = "fake", .size = sizeof(struct fake), .send = fake_send, .stop = fake_stop };

static struct weft_replay_progress progress(const struct weft_lane *lane)
{
    struct weft_replay_progress p;

    weft_lane_replay_progress(lane, &p);
    return p;
}

static void a_replay_waits_for_what_cannot_be_read(void **state)
{
    struct fixture *f = *state;
    struct fake fake = { .base = { .type = &type, .id = "es/fake" } };
    struct weft_lane_config config = { .retry_enabled = true, .initial_interval = 1, .max_interval = 3 };
    struct weft_lane_source source = { .pipeline = "logs", .signal = WEFT_LOGS };
    struct weft_lane *lane = NULL;

    assert_int_equal(weft_journal_open(&source.journal, &(struct weft_journal_options){ .name = "logs", .max_size = MIB }), 0);
    struct weft_lane_setup lane_setup = { .exporter = &fake.base, .config = &config, .sources = &source, .n_sources = 1, .letters = f->letters };
    assert_int_equal(weft_lane_open(&lane, &lane_setup), 0);
    assert_int_equal(weft_lane_start(lane), 0);
    assert_int_equal(weft_lane_replay_begin(lane, &(struct weft_replay_setup){ .letters = true }), 0);
    AWAIT(fake.n_sends > 1);
    n_failures = 0;
    left = 0;
    fake.takes = true;
    AWAIT(n_failures > 5 || progress(lane).state != WEFT_REPLAY_RUNNING);
    assert_int_equal(progress(lane).state, WEFT_REPLAY_RUNNING);
    left = ALL;
    AWAIT(progress(lane).state != WEFT_REPLAY_RUNNING);
    assert_int_equal(progress(lane).state, WEFT_REPLAY_DONE);
    assert_int_equal(progress(lane).sent_items, LETTERS * ITEMS);
    assert_int_equal(progress(lane).expired_items, 0);
    weft_lane_free(lane);
    weft_journal_close(source.journal);
    assert_int_equal(stats_of(f).items, 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_reader_says_that_it_cannot_read_on, setup, teardown),
        cmocka_unit_test_setup_teardown(a_purge_says_how_far_it_came, setup, teardown),
        cmocka_unit_test_setup_teardown(figures_stay_when_the_oldest_letter_cannot_be_read, setup, teardown),
        cmocka_unit_test_setup_teardown(an_opening_counts_all_letters_or_fails, setup, teardown),
        cmocka_unit_test_setup_teardown(what_has_rotted_is_counted_as_lost, setup, teardown),
        cmocka_unit_test_setup_teardown(a_replay_waits_for_what_cannot_be_read, setup, teardown),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

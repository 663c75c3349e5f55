/* SPDX-License-Identifier: Apache-2.0 */
/* Following files without a loop: time is given, the sink is ours. */
#include "receivers/filelog_set.h"

#include "core/err.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

enum { FLUSH_MS = 500 };

/* A sink that keeps the bodies of what it is given, one a line, and refuses when told to. */
struct sink {
    struct weft_sink base;
    struct weft_buf bodies;
    unsigned refuse_next;     /* so many times WEFT_ERR_FULL */
    size_t too_large;         /* payloads over this are WEFT_ERR_TOO_LARGE; 0: none are */
    unsigned commits, calls, too_large_for_good;
    uint32_t n_offered;       /* of the last record that was refused for now */
    struct weft_source source;
    uint64_t items;
    /* As a set of journals: where each stands, and what it was given. */
    struct place { size_t journal; struct weft_source source; } places[64];
    size_t n_places;
    uint64_t taken[4];
};

static bool on_position(struct weft_sink *base, size_t journal, uint64_t source, uint64_t *ret_position)
{
    const struct sink *s = (const struct sink *)base;

    for (size_t i = 0; i < s->n_places; i++) {
        if (s->places[i].journal != journal || s->places[i].source.id != source)
            continue;
        *ret_position = s->places[i].source.position;
        return true;
    }
    return false;
}

/* What a real journal remembers of a record. False: it has that record already. */
static bool keep_place(struct sink *s, size_t journal, const struct weft_record *record)
{
    size_t i = 0;

    while (i < s->n_places && (s->places[i].journal != journal || s->places[i].source.id != record->source.id))
        i++;
    if (i < s->n_places && record->again && s->places[i].source.position >= record->source.position)
        return false;
    assert_true(i < sizeof s->places / sizeof *s->places);
    s->places[i].journal = journal;
    s->places[i].source = record->source;
    s->n_places += i == s->n_places;
    return true;
}

static int on_commit(struct weft_sink *base, struct weft_record *record)
{
    struct sink *s = (struct sink *)base;
    struct weft_otlp_walk walk;
    uint32_t items = 0;

    for (size_t i = 0; i < base->n_journals; i++)
        s->taken[i] += keep_place(s, i, record) ? record->n_items : 0;
    s->calls++;
    if (s->refuse_next > 0) {
        s->refuse_next--;
        s->n_offered = record->n_offered;
        return WEFT_ERR_FULL;
    }
    if (s->too_large && record->payload.len > s->too_large) {
        s->too_large_for_good += record->n_items == 1;
        return WEFT_ERR_TOO_LARGE;
    }
    assert_int_equal(record->signal, WEFT_LOGS);
    assert_int_equal(weft_otlp_count(WEFT_LOGS, record->payload, &items), 0);
    assert_int_equal(items, record->n_items);
    weft_otlp_walk_init(&walk, record->payload);
    while (weft_otlp_walk_next(&walk) > 0) {
        struct weft_log_view log;
        struct weft_any body;
        assert_int_equal(weft_log_read(walk.item, &log), 0);
        assert_int_equal(weft_any_read(log.body, &body), 0);
        weft_buf_append(&s->bodies, body.bytes.data, body.bytes.len);
        weft_buf_append_byte(&s->bodies, '\n');
    }
    s->items += items;
    s->commits++;
    s->source = record->source;
    return 0;
}

static struct {
    char directory[64], path[128], other[128];
    struct sink sink;
    struct weft_filelog_reader reader;
    uint64_t now;
} t;

static void set_up_reader(size_t max_log_size)
{
    weft_filelog_reader_release(&t.reader);
    assert_int_equal(weft_filelog_reader_init(&t.reader, max_log_size, FLUSH_MS, weft_slice_of(NULL, 0)), 0);
}

static int set_up(void **state)
{
    (void)state;
    memset(&t, 0, sizeof t);
    (void)snprintf(t.directory, sizeof t.directory, "/tmp/weft-test-filelog-XXXXXX");
    assert_non_null(mkdtemp(t.directory));
    (void)snprintf(t.path, sizeof t.path, "%s/app.log", t.directory);
    (void)snprintf(t.other, sizeof t.other, "%s/app.log.1", t.directory);
    t.sink.base.commit = on_commit;
    t.sink.base.position = on_position;
    weft_buf_init(&t.sink.bodies, 256 << 20);
    t.now = 1000000;
    set_up_reader(1 << 20);
    return 0;
}

static int tear_down(void **state)
{
    DIR *dir = opendir(t.directory);
    (void)state;

    for (struct dirent *e; (e = readdir(dir));)
        if (e->d_name[0] != '.' && unlinkat(dirfd(dir), e->d_name, 0) != 0)
            (void)unlinkat(dirfd(dir), e->d_name, AT_REMOVEDIR);
    closedir(dir);
    weft_buf_release(&t.sink.bodies);
    weft_filelog_reader_release(&t.reader);
    return rmdir(t.directory);
}

static void write_to(const char *path, const void *data, size_t len, int flags)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, len), len);
    assert_int_equal(close(fd), 0);
}

static void append(const char *path, const char *text)
{
    write_to(path, text, strlen(text), O_APPEND);
}

static struct weft_filelog_file *open_path(const char *path)
{
    struct weft_filelog_file *f;

    assert_int_equal(weft_filelog_file_open(path, &f), 0);
    return f;
}

/* Polls and reads until nothing is dirty. The last error. */
static int pump(struct weft_filelog_file *f)
{
    int err = 0;

    if (!f->entry)
        (void)weft_filelog_file_poll(f, NULL, t.now, t.reader.flush_ms);
    for (unsigned i = 0; f->dirty && !f->hold && !err; i++) {
        assert_true(i < 10000);
        err = weft_filelog_file_step(f, &t.reader, &t.sink.base, t.now, 1);
    }
    return err;
}

static void assert_bodies(const char *expected)
{
    if (!weft_slice_is(weft_buf_slice(&t.sink.bodies), expected))
        fail_msg("got:\n%.*s\nexpected:\n%s", (int)t.sink.bodies.len, (const char *)t.sink.bodies.data, expected);
}

static void whole_lines_are_committed_and_the_last_one_waits_for_its_newline(void **state)
{
    (void)state;
    append(t.path, "one\ntwo\r\n\nthr");
    struct weft_filelog_file *f = open_path(t.path);
    assert_int_equal(pump(f), 0);
    assert_bodies("one\ntwo\n");
    assert_int_equal(t.sink.commits, 1);
    assert_int_equal(weft_filelog_mark_offset(t.sink.source.position), 10);
    assert_int_equal(t.sink.source.id, f->id);
    append(t.path, "ee\nfour\n");
    assert_int_equal(pump(f), 0);
    assert_bodies("one\ntwo\nthree\nfour\n");
    assert_int_equal(f->position, 10 + 11);
    weft_filelog_file_close(f);
}

static void without_a_period_a_last_line_waits_for_its_newline_until_the_file_is_gone(void **state)
{
    (void)state;
    t.reader.flush_ms = 0;
    append(t.path, "begun");
    struct weft_filelog_file *f = open_path(t.path);
    assert_int_equal(pump(f), 0);
    t.now += 3600000;
    assert_int_equal(pump(f), 0);
    assert_bodies("");
    append(t.path, " and ended\nlast");
    assert_int_equal(pump(f), 0);
    assert_bodies("begun and ended\n");
    assert_int_equal(unlink(t.path), 0);
    assert_int_equal(pump(f), 0);
    assert_bodies("begun and ended\n");
    t.now += WEFT_FILELOG_LINGER_MS;
    assert_int_equal(pump(f), 0);
    assert_bodies("begun and ended\nlast\n");
    weft_filelog_file_close(f);
}

static void a_last_line_is_taken_as_it_is_after_a_while(void **state)
{
    (void)state;
    append(t.path, "begun");
    struct weft_filelog_file *f = open_path(t.path);
    assert_int_equal(pump(f), 0);
    t.now += FLUSH_MS - 1;
    assert_int_equal(pump(f), 0);
    assert_bodies("");
    append(t.path, " and grown"); /* the wait begins anew */
    assert_int_equal(pump(f), 0);
    t.now += FLUSH_MS - 1;
    assert_int_equal(pump(f), 0);
    assert_bodies("");
    t.now += 1;
    assert_int_equal(pump(f), 0);
    assert_bodies("begun and grown\n");
    append(t.path, "\nnext\n");
    assert_int_equal(pump(f), 0);
    assert_bodies("begun and grown\nnext\n");
    weft_filelog_file_close(f);
}

static void a_refused_commit_is_repeated_with_the_same_lines(void **state)
{
    (void)state;
    append(t.path, "one\ntwo\n");
    struct weft_filelog_file *f = open_path(t.path);
    t.sink.refuse_next = 3;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(pump(f), WEFT_ERR_FULL);
        assert_true(f->dirty);
        assert_int_equal(f->position, 0);
    }
    append(t.path, "three\n");
    assert_int_equal(pump(f), 0);
    assert_bodies("one\ntwo\nthree\n");
    weft_filelog_file_close(f);
}

static void lines_that_were_put_off_are_known_when_they_are_offered_again(void **state)
{
    (void)state;
    append(t.path, "one\ntwo\n");
    struct weft_filelog_file *f = open_path(t.path);
    t.sink.refuse_next = 5;
    assert_int_equal(pump(f), WEFT_ERR_FULL);
    assert_int_equal(t.sink.n_offered, 0);
    assert_int_equal(pump(f), WEFT_ERR_FULL);
    assert_int_equal(t.sink.n_offered, 2);
    append(t.path, "three\nno end");
    assert_int_equal(pump(f), WEFT_ERR_FULL);
    assert_int_equal(t.sink.n_offered, 2);
    assert_int_equal(pump(f), WEFT_ERR_FULL);
    assert_int_equal(t.sink.n_offered, 3);
    weft_filelog_file_restart(f, 77, t.now);
    assert_int_equal(pump(f), WEFT_ERR_FULL);
    assert_int_equal(t.sink.n_offered, 0);
    assert_int_equal(pump(f), 0);
    assert_bodies("one\ntwo\nthree\n");
    weft_filelog_file_close(f);
}

static void a_record_that_is_too_large_is_made_of_fewer_lines(void **state)
{
    (void)state;
    for (int i = 0; i < 200; i++) {
        char line[64];
        (void)snprintf(line, sizeof line, "line number %d of a good many\n", i);
        append(t.path, line);
    }
    struct weft_filelog_file *f = open_path(t.path);
    t.sink.too_large = 1000;
    assert_int_equal(pump(f), 0);
    assert_int_equal(t.sink.items, 200);
    assert_true(t.sink.commits >= 10);
    assert_int_equal(t.sink.too_large_for_good, 0);
    assert_memory_equal(t.sink.bodies.data, "line number 0 of a good many\nline number 1 of a good many\n", 58);
    weft_filelog_file_close(f);
}

static void a_line_that_can_never_fit_is_left_to_the_sink_to_count(void **state)
{
    static char line[3000];
    (void)state;

    memset(line, 'x', sizeof line - 1);
    append(t.path, "before\n");
    append(t.path, line);
    append(t.path, "\nafter\n");
    struct weft_filelog_file *f = open_path(t.path);
    t.sink.too_large = 1000;
    assert_int_equal(pump(f), 0);
    assert_bodies("before\nafter\n");
    assert_int_equal(t.sink.too_large_for_good, 1);
    weft_filelog_file_close(f);
}

static void a_long_line_becomes_several_between_characters(void **state)
{
    (void)state;
    set_up_reader(64);
    append(t.path, "short\n");
    for (int i = 0; i < 50; i++)
        append(t.path, "\xe2\x82\xac"); /* 150 bytes; 64 would fall into a character */
    append(t.path, "\nend\n");
    struct weft_filelog_file *f = open_path(t.path);
    assert_int_equal(pump(f), 0);
    assert_int_equal(t.sink.items, 5);
    assert_int_equal(t.reader.split_lines, 2);
    assert_null(memmem(t.sink.bodies.data, t.sink.bodies.len, "\xef\xbf\xbd", 3));
    assert_int_equal(t.sink.bodies.len, 6 + 150 + 3 + 4);
    weft_filelog_file_close(f);
}

static void a_line_longer_than_any_buffer_does_not_stop_the_file(void **state)
{
    static char block[100 << 10];
    (void)state;

    memset(block, 'y', sizeof block);
    for (int i = 0; i < 30; i++) /* 3000 KiB without a newline */
        write_to(t.path, block, sizeof block, O_APPEND);
    append(t.path, "\nafter\n");
    struct weft_filelog_file *f = open_path(t.path);
    assert_int_equal(pump(f), 0);
    assert_int_equal(t.sink.items, 4);
    assert_int_equal(t.reader.split_lines, 2);
    assert_memory_equal(t.sink.bodies.data + t.sink.bodies.len - 7, "\nafter\n", 7);
    weft_filelog_file_close(f);
}

static void a_truncated_file_is_read_from_its_beginning(void **state)
{
    (void)state;
    append(t.path, "one\ntwo\nthr");
    struct weft_filelog_file *f = open_path(t.path);
    assert_int_equal(pump(f), 0);
    write_to(t.path, "new\n", 4, O_TRUNC);
    assert_true(weft_filelog_file_poll(f, NULL, t.now, FLUSH_MS));
    weft_filelog_file_restart(f, f->id + 2, t.now);
    assert_int_equal(pump(f), 0);
    assert_int_equal(t.sink.source.id, f->id);
    assert_bodies("one\ntwo\nnew\n");
    weft_filelog_file_close(f);
}

static uint64_t chance_state = 0x9e3779b97f4a7c15u;

static unsigned pick(unsigned n)
{
    chance_state ^= chance_state << 13, chance_state ^= chance_state >> 7, chance_state ^= chance_state << 17;
    return (unsigned)((chance_state >> 20) % n);
}

/* Lines of all lengths, written in pieces, read at any moment, refused at random: each arrives once, in order. */
static void whatever_the_moment_each_line_arrives_once_and_in_order(void **state)
{
    struct weft_buf written;
    unsigned line = 0;
    (void)state;

    weft_buf_init(&written, 64 << 20);
    append(t.path, "");
    struct weft_filelog_file *f = open_path(t.path);
    t.sink.too_large = 300000;
    for (int round = 0; round < 400; round++) {
        struct weft_buf piece;
        weft_buf_init(&piece, 8 << 20);
        for (unsigned n = pick(pick(10) ? 10 : 2000); n > 0; n--)
            weft_buf_printf(&piece, "%u %0*d\n", line++, (int)pick(pick(50) ? 200 : 100000), 7);
        size_t cut = piece.len ? pick((unsigned)piece.len) : 0;
        if (piece.len > 0) {
            write_to(t.path, piece.data, cut, O_APPEND);
            t.sink.refuse_next = pick(3);
            (void)pump(f);
            write_to(t.path, piece.data + cut, piece.len - cut, O_APPEND);
        }
        weft_buf_append(&written, piece.data, piece.len);
        weft_buf_release(&piece);
        (void)pump(f);
    }
    t.sink.refuse_next = 0;
    assert_int_equal(pump(f), 0);
    assert_int_equal(t.sink.items, line);
    assert_int_equal(t.sink.bodies.len, written.len);
    assert_memory_equal(t.sink.bodies.data, written.data, written.len);
    assert_true(line > 10000);
    weft_buf_release(&written);
    weft_filelog_file_close(f);
}

/* ---- sets ---- */

static unsigned problems;

static void on_problem(void *data, const char *path, int err)
{
    (void)data, (void)path, (void)err;
    problems++;
}

static struct weft_strings strings(char **items)
{
    struct weft_strings s = { 0, items };

    while (items[s.n])
        s.n++;
    return s;
}

static char pattern_rooms[4][160];

static char *in_directory(int i, const char *pattern)
{
    (void)snprintf(pattern_rooms[i], sizeof pattern_rooms[i], "%s/%s", t.directory, pattern);
    return pattern_rooms[i];
}

#define SET(include_list, exclude_list) new_set(include_list, exclude_list)

static struct weft_filelog_set new_set(const struct weft_strings *include, const struct weft_strings *exclude)
{
    struct weft_filelog_set set = { .include = include, .exclude = exclude, .max_files = 100, .sink = &t.sink.base,
                                    .on_problem = on_problem };

    weft_filelog_set_init(&set, 1000);
    return set;
}

static void pump_set(struct weft_filelog_set *set)
{
    for (struct weft_filelog_file *f = set->files; f; f = f->next) {
        (void)weft_filelog_set_poll(set, f, t.now, t.reader.flush_ms);
        assert_int_equal(pump(f), 0);
    }
}

/* A scan that is not the first one. */
static void scan(struct weft_filelog_set *set)
{
    weft_filelog_set_scan(set, false, false, t.now);
}

static void a_renamed_file_is_read_to_its_end_and_the_new_one_from_its_beginning(void **state)
{
    char *patterns[] = { in_directory(0, "app.log"), NULL }, *none[] = { NULL };
    struct weft_strings include = strings(patterns), exclude = strings(none);
    struct weft_filelog_set set = SET(&include, &exclude);
    (void)state;

    append(t.path, "a\n");
    scan(&set);
    pump_set(&set);
    append(t.path, "b\n");
    assert_int_equal(rename(t.path, t.other), 0);
    append(t.other, "c\n");
    append(t.path, "d\n");
    scan(&set);
    pump_set(&set);
    append(t.other, "e\n"); /* the writer has not let go of the old one yet */
    append(t.path, "f\n");
    pump_set(&set);
    assert_bodies("a\nb\nc\nd\ne\nf\n");
    assert_int_equal(set.n_files, 2);
    t.now += WEFT_FILELOG_LINGER_MS;
    weft_filelog_set_sweep(&set, t.now);
    assert_int_equal(set.n_files, 1);
    weft_filelog_set_release(&set);
}

static void a_renamed_file_that_still_matches_is_not_read_twice(void **state)
{
    char *patterns[] = { in_directory(0, "app.log*"), NULL }, *none[] = { NULL };
    struct weft_strings include = strings(patterns), exclude = strings(none);
    struct weft_filelog_set set = SET(&include, &exclude);
    (void)state;

    append(t.path, "a\n");
    scan(&set);
    pump_set(&set);
    assert_int_equal(rename(t.path, t.other), 0);
    append(t.path, "b\n");
    scan(&set);
    pump_set(&set);
    assert_bodies("a\nb\n");
    t.now += 10 * WEFT_FILELOG_LINGER_MS;
    weft_filelog_set_sweep(&set, t.now);
    assert_int_equal(set.n_files, 2);
    assert_string_equal(set.files->path, t.other);
    weft_filelog_set_release(&set);
}

static void what_is_there_at_the_start_is_followed_from_its_end(void **state)
{
    char *patterns[] = { in_directory(0, "app.log*"), NULL }, *none[] = { NULL };
    struct weft_strings include = strings(patterns), exclude = strings(none);
    struct weft_filelog_set set = SET(&include, &exclude);
    (void)state;

    append(t.path, "old\n");
    weft_filelog_set_scan(&set, true, true, t.now);
    pump_set(&set);
    append(t.path, "new\n");
    append(t.other, "a new file\n");
    scan(&set);
    pump_set(&set);
    assert_bodies("new\na new file\n");
    weft_filelog_set_release(&set);
}

static void a_deleted_file_is_closed_when_it_has_been_read(void **state)
{
    char *patterns[] = { in_directory(0, "*.log"), NULL }, *none[] = { NULL };
    struct weft_strings include = strings(patterns), exclude = strings(none);
    struct weft_filelog_set set = SET(&include, &exclude);
    (void)state;

    append(t.path, "a\nlast words");
    scan(&set);
    assert_int_equal(unlink(t.path), 0);
    scan(&set);
    pump_set(&set);
    t.now += WEFT_FILELOG_LINGER_MS;
    weft_filelog_set_sweep(&set, t.now);
    assert_int_equal(set.n_files, 1); /* the line without a newline has not been taken yet */
    pump_set(&set);
    assert_bodies("a\nlast words\n");
    t.now += WEFT_FILELOG_LINGER_MS;
    weft_filelog_set_sweep(&set, t.now);
    assert_int_equal(set.n_files, 0);
    weft_filelog_set_release(&set);
}

static void patterns_take_and_leave_what_they_say(void **state)
{
    static const struct { const char *pattern, *path; bool matches; } cases[] = {
        { "/var/log/*.log", "/var/log/a.log", true },
        { "/var/log/*.log", "/var/log/x/a.log", false },
        { "/var/log/**/*.log", "/var/log/a.log", true },
        { "/var/log/**/*.log", "/var/log/x/a.log", true },
        { "/var/log/**/*.log", "/var/log/x/y/z/a.log", true },
        { "/var/log/**/*.log", "/var/a.log", false },
        { "/var/log/**/*.log", "/var/log/1/2/3/4/5/6/7/8/9/a.log", false },
        { "/var/log/a[0-9].log", "/var/log/a7.log", true },
    };
    char *patterns[] = { in_directory(0, "*.{log,txt}"), in_directory(1, "*"), NULL }, *left_out[] = { in_directory(2, "*.gz"), NULL };
    struct weft_strings include = strings(patterns), exclude = strings(left_out);
    struct weft_filelog_set set = SET(&include, &exclude);
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (weft_filelog_match(cases[i].pattern, cases[i].path) != cases[i].matches)
            fail_msg("%s and %s", cases[i].pattern, cases[i].path);
    append(in_directory(3, "a.log"), "x\n");
    append(in_directory(3, "b.txt"), "x\n");
    append(in_directory(3, "c.gz"), "x\n");
    assert_int_equal(mkdir(in_directory(3, "d.log"), 0700), 0);
    scan(&set);
    assert_int_equal(set.n_files, 2); /* each once, no directory, nothing excluded */
    weft_filelog_set_release(&set);
}

static void files_over_the_limit_wait_and_are_told_of(void **state)
{
    char *patterns[] = { in_directory(0, "*"), NULL }, *none[] = { NULL };
    struct weft_strings include = strings(patterns), exclude = strings(none);
    struct weft_filelog_set set = SET(&include, &exclude);
    (void)state;

    set.max_files = 1;
    problems = 0;
    append(t.path, "a\n");
    append(t.other, "b\n");
    scan(&set);
    assert_int_equal(set.n_files, 1);
    assert_int_equal(problems, 1);
    weft_filelog_set_release(&set);
}

int main(int argc, char **argv)
{
#define IN_DIRECTORY(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        IN_DIRECTORY(whole_lines_are_committed_and_the_last_one_waits_for_its_newline),
        IN_DIRECTORY(without_a_period_a_last_line_waits_for_its_newline_until_the_file_is_gone),
        IN_DIRECTORY(a_last_line_is_taken_as_it_is_after_a_while),
        IN_DIRECTORY(a_refused_commit_is_repeated_with_the_same_lines),
        IN_DIRECTORY(lines_that_were_put_off_are_known_when_they_are_offered_again),
        IN_DIRECTORY(a_record_that_is_too_large_is_made_of_fewer_lines),
        IN_DIRECTORY(a_line_that_can_never_fit_is_left_to_the_sink_to_count),
        IN_DIRECTORY(a_long_line_becomes_several_between_characters),
        IN_DIRECTORY(a_line_longer_than_any_buffer_does_not_stop_the_file),
        IN_DIRECTORY(a_truncated_file_is_read_from_its_beginning),
        IN_DIRECTORY(whatever_the_moment_each_line_arrives_once_and_in_order),
        IN_DIRECTORY(a_renamed_file_is_read_to_its_end_and_the_new_one_from_its_beginning),
        IN_DIRECTORY(a_renamed_file_that_still_matches_is_not_read_twice),
        IN_DIRECTORY(what_is_there_at_the_start_is_followed_from_its_end),
        IN_DIRECTORY(a_deleted_file_is_closed_when_it_has_been_read),
        IN_DIRECTORY(patterns_take_and_leave_what_they_say),
        IN_DIRECTORY(files_over_the_limit_wait_and_are_told_of),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

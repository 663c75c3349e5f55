/* SPDX-License-Identifier: Apache-2.0 */
/* Who is this file? What happens to files while nobody looks, and while somebody does, and which lines come out for it.
 *
 * The sink stands in for journals: it remembers where each of them stands in each source, also over a restart. */
#include "receivers/filelog_positions.h"
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

enum { FLUSH_MS = 500, JOURNALS = 2, PLACES = 64 };

struct sink {
    struct weft_sink base;
    struct weft_buf bodies[JOURNALS];
    struct place { size_t journal; struct weft_source source; } places[PLACES];
    size_t n_places;
};

static struct {
    char directory[64], pattern[4][128];
    struct sink sink;
    struct weft_filelog_reader reader;
    struct weft_filelog_set set;
    struct weft_strings include, exclude;
    char *include_items[1];
    struct weft_buf table;      /* what the last run has kept */
    uint64_t now;
    bool open, saves_at_once;
} t;

/* ---- the sink ---- */

static struct place *place_of(struct sink *s, size_t journal, uint64_t source)
{
    for (size_t i = 0; i < s->n_places; i++)
        if (s->places[i].journal == journal && s->places[i].source.id == source)
            return &s->places[i];
    return NULL;
}

static bool on_position(struct weft_sink *base, size_t journal, uint64_t source, uint64_t *ret_position)
{
    const struct place *p = place_of((struct sink *)base, journal, source);

    if (p)
        *ret_position = p->source.position;
    return p != NULL;
}

static void put_bodies(struct weft_buf *out, const struct weft_record *record)
{
    struct weft_otlp_walk walk;

    weft_otlp_walk_init(&walk, record->payload);
    while (weft_otlp_walk_next(&walk) > 0) {
        struct weft_log_view log;
        struct weft_any body;
        assert_int_equal(weft_log_read(walk.item, &log), 0);
        assert_int_equal(weft_any_read(log.body, &body), 0);
        weft_buf_append(out, body.bytes.data, body.bytes.len);
        weft_buf_append_byte(out, '\n');
    }
}

static int on_commit(struct weft_sink *base, struct weft_record *record)
{
    struct sink *s = (struct sink *)base;

    for (size_t i = 0; i < base->n_journals; i++) {
        struct place *p = place_of(s, i, record->source.id);
        if (p && record->again && p->source.position >= record->source.position)
            continue;
        if (p && p->source.position >= record->source.position)
            fail_msg("a position went from %llu to %llu", (unsigned long long)p->source.position,
                     (unsigned long long)record->source.position);
        if (!p) {
            assert_true(s->n_places < PLACES);
            p = &s->places[s->n_places++];
        }
        *p = (struct place){ i, record->source };
        put_bodies(&s->bodies[i], record);
    }
    return 0;
}

/* ---- a run of the receiver, without its loop ---- */

static void start_run(bool from_end)
{
    bool settled = false;

    t.set = (struct weft_filelog_set){ .include = &t.include, .exclude = &t.exclude, .max_files = 100, .sink = &t.sink.base };
    weft_filelog_set_init(&t.set, 64);
    t.set.wall_s = 1795197134;
    if (t.table.len > 0)
        t.set.loaded = weft_filelog_positions_decode(weft_buf_slice(&t.table), &t.set.known, &settled) == 0;
    t.set.settled = settled;
    t.set.saves = t.saves_at_once;
    t.open = true;
    weft_filelog_set_scan(&t.set, true, from_end && !t.set.loaded, t.now);
}

static void save(void)
{
    weft_buf_reset(&t.table);
    assert_int_equal(weft_filelog_positions_encode(&t.set.known, false, &t.table), 0);
    t.set.unsaved = false;
    for (struct weft_filelog_file *f = t.set.files; f; f = f->next)
        if (f->hold == WEFT_FILELOG_UNSAVED)
            f->hold = WEFT_FILELOG_FREE;
}

/* A checkpoint that has passed. */
static void keep(void)
{
    weft_filelog_set_note(&t.set);
    weft_filelog_set_keep_noted(&t.set);
    save();
}

/* One turn: a scan, and everything that can be read. */
static void turn(void)
{
    weft_filelog_set_sweep(&t.set, t.now);
    weft_filelog_set_scan(&t.set, false, false, t.now);
    for (struct weft_filelog_file *f = t.set.files; f; f = f->next)
        (void)weft_filelog_set_poll(&t.set, f, t.now, FLUSH_MS);
    if (t.saves_at_once && t.set.unsaved)
        save();
    for (struct weft_filelog_file *f = t.set.files; f; f = f->next) {
        for (unsigned i = 0; f->dirty && !f->hold; i++) {
            assert_true(i < 1000);
            assert_int_equal(weft_filelog_file_step(f, &t.reader, &t.sink.base, t.now, 1), 0);
        }
    }
    weft_filelog_set_judge(&t.set, t.now);
}

static void crash(void)
{
    weft_filelog_set_release(&t.set);
    t.open = false;
}

static int set_up(void **state)
{
    (void)state;
    memset(&t, 0, sizeof t);
    (void)snprintf(t.directory, sizeof t.directory, "/tmp/weft-test-meet-XXXXXX");
    assert_non_null(mkdtemp(t.directory));
    (void)snprintf(t.pattern[0], sizeof t.pattern[0], "%s/app.log*", t.directory);
    t.include_items[0] = t.pattern[0];
    t.include = (struct weft_strings){ 1, t.include_items };
    t.sink.base = (struct weft_sink){ .commit = on_commit, .position = on_position, .n_journals = 1 };
    for (size_t i = 0; i < JOURNALS; i++)
        weft_buf_init(&t.sink.bodies[i], 1 << 20);
    weft_buf_init(&t.table, 1 << 20);
    t.now = 1000000;
    assert_int_equal(weft_filelog_reader_init(&t.reader, 1 << 20, FLUSH_MS, weft_slice_of(NULL, 0)), 0);
    t.reader.print_size = 64;
    return 0;
}

static int tear_down(void **state)
{
    DIR *dir = opendir(t.directory);
    (void)state;

    if (t.open)
        crash();
    for (struct dirent *e; (e = readdir(dir));)
        if (e->d_name[0] != '.')
            (void)unlinkat(dirfd(dir), e->d_name, 0);
    closedir(dir);
    for (size_t i = 0; i < JOURNALS; i++)
        weft_buf_release(&t.sink.bodies[i]);
    weft_buf_release(&t.table);
    weft_filelog_reader_release(&t.reader);
    return rmdir(t.directory);
}

/* ---- files ---- */

static const char *at(const char *name)
{
    static char paths[4][160];
    static unsigned i;

    i = (i + 1) % 4;
    (void)snprintf(paths[i], sizeof paths[i], "%s/%s", t.directory, name);
    return paths[i];
}

/* Lines [from, to) of a file that calls itself `who`; each is 17 bytes and more. */
static void put_lines(const char *name, const char *who, unsigned from, unsigned to)
{
    FILE *f = fopen(at(name), "a");

    assert_non_null(f);
    for (unsigned i = from; i < to; i++)
        assert_true(fprintf(f, "%s line number %u\n", who, i) > 0);
    assert_int_equal(fclose(f), 0);
}

static void copy(const char *from, const char *to)
{
    char bytes[65536];
    int in = open(at(from), O_RDONLY | O_CLOEXEC), out = open(at(to), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    ssize_t n = read(in, bytes, sizeof bytes);

    assert_true(in >= 0 && out >= 0 && n >= 0 && (size_t)n < sizeof bytes);
    assert_int_equal(write(out, bytes, (size_t)n), n);
    close(in);
    close(out);
}

static void cut(const char *name)
{
    assert_int_equal(truncate(at(name), 0), 0);
}

static void move(const char *from, const char *to)
{
    assert_int_equal(rename(at(from), at(to)), 0);
}

/* Every line [0, to) of `who` has come out of journal `j` once; they need not be in order over several files. */
static void assert_lines(size_t j, const char *who, unsigned to)
{
    struct weft_buf all;
    unsigned n = 0;
    char line[64];

    weft_buf_init(&all, 2 << 20);
    weft_buf_append_byte(&all, '\n');
    weft_buf_append(&all, t.sink.bodies[j].data, t.sink.bodies[j].len);
    weft_buf_append_byte(&all, 0);
    assert_int_equal(all.err, 0);
    for (unsigned i = 0; i < to + 20; i++) {
        (void)snprintf(line, sizeof line, "\n%s line number %u\n", who, i);
        unsigned times = 0;
        for (const char *p = (const char *)all.data; (p = strstr(p, line)); p++)
            times++;
        if (times != (i < to))
            fail_msg("journal %zu: %s line %u came out %u times", j, who, i, times);
        n += times;
    }
    assert_int_equal(n, to);
    weft_buf_release(&all);
}

/* ---- while nobody looks ---- */

static void grow(void)
{
    put_lines("app.log", "a", 10, 15);
}

static void rotate(void)
{
    put_lines("app.log", "a", 10, 13);
    move("app.log", "app.log.1");
    put_lines("app.log.1", "a", 13, 15); /* the writer had it open still */
    put_lines("app.log", "b", 0, 5);
}

static void rotate_out_of_sight(void)
{
    put_lines("app.log", "a", 10, 13);
    move("app.log", "old-app");
    put_lines("old-app", "a", 13, 15);
    put_lines("app.log", "b", 0, 5);
}

static void rotate_twice(void)
{
    put_lines("app.log", "a", 10, 15);
    move("app.log", "app.log.1");
    put_lines("app.log", "b", 0, 3);
    move("app.log.1", "app.log.2");
    move("app.log", "app.log.1");
    put_lines("app.log.1", "b", 3, 5);
}

static void cut_shorter(void)
{
    cut("app.log");
    put_lines("app.log", "b", 0, 5);
}

static void rewrite_longer(void)
{
    cut("app.log");
    put_lines("app.log", "b", 0, 50);
}

static void replace(void)
{
    assert_int_equal(unlink(at("app.log")), 0); /* the inode may well be given to the next file */
    put_lines("app.log", "b", 0, 50);
}

static void copy_and_cut(void)
{
    put_lines("app.log", "a", 10, 15);
    copy("app.log", "app.log.1");
    cut("app.log");
    put_lines("app.log", "b", 0, 5);
}

static void copy_and_cut_out_of_sight(void)
{
    put_lines("app.log", "a", 10, 15);
    copy("app.log", "app.log.1");
    cut("app.log");
    put_lines("app.log", "b", 0, 50);
}

static void copy_and_cut_and_nothing_more(void)
{
    put_lines("app.log", "a", 10, 15);
    copy("app.log", "app.log.1");
    cut("app.log");
}

static void move_to_another_inode(void)
{
    put_lines("app.log", "a", 10, 15);
    copy("app.log", "app.log.new");
    assert_int_equal(unlink(at("app.log")), 0);
    move("app.log.new", "app.log");
}

static void make_another(void)
{
    put_lines("app.log.other", "b", 0, 5);
}

static const struct happening {
    const char *what;
    void (*happens)(void);
    const char *pattern;
    unsigned a, b;              /* lines that must have come out in the end */
} happenings[] = {
    { "it grows", grow, "app.log*", 15, 0 },
    { "it is renamed within the patterns", rotate, "app.log*", 15, 5 },
    { "it is renamed out of the patterns", rotate_out_of_sight, "app.log", 15, 5 },
    { "it is renamed to a name that says so", rotate, "app.log", 15, 5 },
    { "it is renamed twice, and so is the next one", rotate_twice, "app.log*", 15, 5 },
    { "it is cut and is shorter now", cut_shorter, "app.log*", 10, 5 },
    { "it is cut and is longer now", rewrite_longer, "app.log*", 10, 50 },
    { "another file takes its name", replace, "app.log*", 10, 50 },
    { "it is copied and cut", copy_and_cut, "app.log*", 15, 5 },
    { "it is copied and cut, and the copy matches no pattern", copy_and_cut_out_of_sight, "app.log", 15, 50 },
    { "it is copied and cut to nothing", copy_and_cut_and_nothing_more, "app.log*", 15, 0 },
    { "it comes back as another inode", move_to_another_inode, "app.log*", 15, 0 },
    { "a new file comes, which start_at: end does not keep out", make_another, "app.log*", 10, 5 },
};

static void whatever_happens_to_a_file_while_the_agent_is_down_each_line_comes_once(void **state)
{
    for (size_t i = 0; i < sizeof happenings / sizeof *happenings; i++) {
        const struct happening *h = &happenings[i];
        (void)snprintf(t.pattern[0], sizeof t.pattern[0], "%s/%s", t.directory, h->pattern);
        print_message("    %s\n", h->what);
        start_run(false);
        put_lines("app.log", "a", 0, 10);
        turn();
        keep();
        crash();
        h->happens();
        start_run(true);
        turn();
        t.now += 2 * WEFT_FILELOG_TWIN_MS;
        turn();
        assert_lines(0, "a", h->a);
        assert_lines(0, "b", h->b);
        assert_int_equal(tear_down(state), 0);
        assert_int_equal(set_up(state), 0);
    }
}

/* The journal is ahead of the table: the table knew the file before it was read. */
static void the_journal_knows_better_than_the_table(void **state)
{
    (void)state;
    put_lines("app.log", "a", 0, 10);
    start_run(false);
    keep();
    turn();
    crash();
    put_lines("app.log", "a", 10, 20);
    start_run(false);
    turn();
    assert_lines(0, "a", 20);
}

/* Its entry was saved when there was nothing to know it by; then it was read, copied, cut, and written further than before. */
static void what_the_journal_remembers_tells_contents_apart_that_the_table_cannot(void **state)
{
    (void)state;
    t.saves_at_once = true;
    put_lines("app.log", "a", 0, 0);
    start_run(false);
    turn();
    put_lines("app.log", "a", 0, 10);
    turn();
    crash();
    put_lines("app.log", "a", 10, 12);
    copy("app.log", "app.log.1");
    cut("app.log");
    put_lines("app.log", "b", 0, 30);
    start_run(true);
    turn();
    t.now += 2 * WEFT_FILELOG_TWIN_MS;
    turn();
    assert_lines(0, "a", 12);
    assert_lines(0, "b", 30);
}

static void without_a_table_a_file_is_found_again_by_what_the_journal_knows(void **state)
{
    (void)state;
    put_lines("app.log", "a", 0, 10);
    start_run(false);
    turn();
    if (t.set.files->born_ns == 0)
        skip(); /* this file system does not tell when a file was made */
    cut("app.log");
    put_lines("app.log", "b", 0, 4); /* its second content, under a second id */
    turn();
    crash();
    put_lines("app.log", "b", 4, 8);
    start_run(true);
    turn();
    assert_lines(0, "a", 10);
    assert_lines(0, "b", 8);
}

static void without_a_table_and_a_journal_start_at_decides(void **state)
{
    (void)state;
    for (int from_end = 0; from_end < 2; from_end++) {
        put_lines("app.log", "a", 0, 10);
        start_run(from_end);
        turn();
        put_lines("app.log", "b", 0, 3);
        turn();
        assert_lines(0, "a", from_end ? 0 : 10);
        assert_lines(0, "b", 3);
        assert_int_equal(tear_down(state), 0);
        assert_int_equal(set_up(state), 0);
    }
}

static void journals_at_different_places_each_get_every_line_once(void **state)
{
    static const unsigned ends[][2] = { { 0, 10 }, { 10, 0 }, { 3, 7 }, { 5, 5 }, { 10, 10 } };
    char line[64];
    (void)state;

    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        t.sink.base.n_journals = 2;
        start_run(false);
        put_lines("app.log", "a", 0, 10);
        turn(); /* nothing of it is in the table, as after a kill right behind the first save */
        const uint64_t id = t.set.files->id;
        keep();
        for (size_t j = 0; j < 2; j++) { /* the kill came when journal j had so many lines */
            const uint64_t position = ends[i][j] * strlen("a line number 0\n");
            weft_buf_reset(&t.sink.bodies[j]);
            (void)weft_buf_reserve(&t.sink.bodies[j], 1);
            for (unsigned n = 0; n < ends[i][j]; n++) {
                (void)snprintf(line, sizeof line, "a line number %u\n", n);
                weft_buf_append(&t.sink.bodies[j], line, strlen(line));
            }
            struct place *p = place_of(&t.sink, j, id);
            assert_non_null(p);
            p->source.position = weft_filelog_mark(position, weft_filelog_hash(weft_slice_of(
                t.sink.bodies[j].data + position - (position < 64 ? position : 64), position < 64 ? position : 64)));
        }
        crash();
        put_lines("app.log", "a", 10, 14);
        start_run(false);
        turn();
        for (size_t j = 0; j < 2; j++)
            assert_lines(j, "a", 14);
        assert_int_equal(tear_down(state), 0);
        assert_int_equal(set_up(state), 0);
    }
}

/* ---- while somebody looks ---- */

static void a_copy_is_read_from_where_the_original_was_left(void **state)
{
    (void)state;
    start_run(false);
    put_lines("app.log", "a", 0, 10);
    turn();
    put_lines("app.log", "a", 10, 12); /* not read yet when the rotation comes */
    copy("app.log", "app.log.1");
    cut("app.log");
    put_lines("app.log", "b", 0, 5);
    turn();
    turn();
    assert_lines(0, "a", 12);
    assert_lines(0, "b", 5);
}

static void a_copy_is_held_while_the_original_has_not_been_cut(void **state)
{
    (void)state;
    start_run(false);
    put_lines("app.log", "a", 0, 10);
    turn();
    copy("app.log", "app.log.1");
    turn();
    assert_lines(0, "a", 10);
    put_lines("app.log", "a", 10, 12); /* between the copy and the cut: read in the original */
    turn();
    cut("app.log");
    turn();
    put_lines("app.log", "b", 0, 5);
    turn();
    t.now += 2 * WEFT_FILELOG_TWIN_MS;
    turn();
    assert_lines(0, "a", 12);
    assert_lines(0, "b", 5);
}

static void a_copy_that_matches_no_pattern_is_found_when_the_original_is_cut(void **state)
{
    (void)state;
    (void)snprintf(t.pattern[0], sizeof t.pattern[0], "%s/app.log", t.directory);
    start_run(false);
    put_lines("app.log", "a", 0, 10);
    turn();
    put_lines("app.log", "a", 10, 12);
    copy("app.log", "app.log-20261120");
    cut("app.log");
    put_lines("app.log", "b", 0, 5);
    turn();
    turn();
    assert_lines(0, "a", 12);
    assert_lines(0, "b", 5);
    t.now += 2 * WEFT_FILELOG_LINGER_MS;
    turn();
    assert_int_equal(t.set.n_files, 1); /* and let go of */
}

static void a_copy_whose_original_is_deleted_takes_its_place(void **state)
{
    (void)state;
    start_run(false);
    put_lines("app.log", "a", 0, 10);
    turn();
    copy("app.log", "app.log.1");
    turn();
    assert_int_equal(unlink(at("app.log")), 0);
    turn();
    for (int i = 0; i < 4; i++) {
        t.now += WEFT_FILELOG_LINGER_MS - 1;
        turn();
        put_lines("app.log.1", "a", 10 + (unsigned)i, 11 + (unsigned)i);
        turn();
    }
    assert_int_equal(t.set.n_files, 1);
}

static void what_only_begins_the_same_is_read_at_once(void **state)
{
    (void)state;
    start_run(false);
    put_lines("app.log", "a", 0, 10);
    turn();
    put_lines("app.log.1", "a", 0, 4);
    put_lines("app.log.1", "b", 0, 2); /* 64 bytes are the same */
    turn();
    turn();
    assert_lines(0, "b", 2);
}

static void a_copy_that_nothing_explains_is_a_file_of_its_own_in_the_end(void **state)
{
    (void)state;
    start_run(false);
    put_lines("app.log", "a", 0, 10);
    turn();
    copy("app.log", "app.log.backup");
    turn();
    const size_t before = t.sink.bodies[0].len;
    t.now += WEFT_FILELOG_TWIN_MS;
    turn();
    turn();
    assert_int_equal(t.sink.bodies[0].len, 2 * before);
}

static void a_file_rewritten_in_place_is_read_anew_though_it_is_not_shorter(void **state)
{
    (void)state;
    start_run(false);
    put_lines("app.log", "a", 0, 10);
    turn();
    cut("app.log");
    put_lines("app.log", "b", 0, 10); /* of the same length, between two looks */
    turn();
    assert_lines(0, "a", 10);
    assert_lines(0, "b", 10);
    cut("app.log");
    put_lines("app.log", "c", 0, 30);
    turn();
    assert_lines(0, "c", 30);
}

/* An event may come before any look at the file: it is read when nothing but its inode is known. */
static void what_was_read_before_the_first_look_is_known_by_its_beginning(void **state)
{
    (void)state;
    put_lines("app.log", "a", 0, 0);
    start_run(false);
    turn();
    put_lines("app.log", "a", 0, 10);
    t.set.files->dirty = true;
    assert_int_equal(weft_filelog_file_step(t.set.files, &t.reader, &t.sink.base, t.now, 1), 0);
    assert_lines(0, "a", 10);
    cut("app.log");
    put_lines("app.log", "b", 0, 30);
    turn();
    assert_lines(0, "b", 30);
    cut("app.log"); /* the other way round: it is cut when the beginning is known, and nothing was read */
    turn();
    put_lines("app.log", "c", 0, 1);
    (void)weft_filelog_set_poll(&t.set, t.set.files, t.now, FLUSH_MS);
    cut("app.log");
    put_lines("app.log", "d", 0, 5);
    turn();
    turn();
    assert_lines(0, "d", 5);
}

static void a_file_is_held_until_its_entry_is_saved(void **state)
{
    (void)state;
    start_run(false);
    t.set.saves = true;
    put_lines("app.log", "a", 0, 10);
    turn();
    assert_true(t.set.unsaved);
    assert_int_equal(t.set.files->hold, WEFT_FILELOG_UNSAVED);
    assert_lines(0, "a", 0);
    t.set.files->hold = WEFT_FILELOG_FREE;
    t.set.unsaved = false;
    turn();
    assert_lines(0, "a", 10);
    assert_false(t.set.unsaved);
    cut("app.log"); /* a new content: the same again */
    put_lines("app.log", "b", 0, 3);
    turn();
    assert_true(t.set.unsaved);
    assert_lines(0, "b", 0);
}

/* Rotations of every kind at any moment, and kills that leave the table behind the journal. */
static uint64_t chance_state;

static unsigned pick(unsigned n)
{
    chance_state ^= chance_state << 13, chance_state ^= chance_state >> 7, chance_state ^= chance_state << 17;
    return (unsigned)((chance_state >> 20) % n);
}

static void rotate_somehow(unsigned *generation)
{
    char to[32];

    (void)snprintf(to, sizeof to, "app.log.%u", *generation);
    if (pick(2)) {
        move("app.log", to);
    } else {
        copy("app.log", to);
        if (pick(2))
            turn();
        cut("app.log");
    }
    ++*generation;
}

static void lines_come_once_through_rotations_and_kills_at_any_moment(void **state)
{
    for (unsigned seed = 1; seed <= 30; seed++) {
        unsigned lines = 0, generation = 1;
        chance_state = seed * 0x9e3779b97f4a7c15u;
        t.saves_at_once = true;
        start_run(false);
        for (int step = 0; step < 150; step++) {
            const unsigned n = pick(6);
            put_lines("app.log", "w", lines, lines + n);
            lines += n;
            t.now += pick(400);
            if (pick(3) == 0)
                turn();
            if (pick(12) == 0 && lines > 0 && access(at("app.log"), F_OK) == 0 && generation < 20)
                rotate_somehow(&generation);
            if (pick(10) == 0)
                keep();
            if (pick(15) == 0) { /* what was read since is known to the journal alone */
                crash();
                start_run(false);
            }
        }
        turn();
        turn();
        t.now += 2 * WEFT_FILELOG_TWIN_MS;
        turn();
        turn();
        print_message("    seed %u: %u lines, %u files\n", seed, lines, generation);
        (void)fflush(stdout);
        assert_lines(0, "w", lines);
        assert_int_equal(tear_down(state), 0);
        assert_int_equal(set_up(state), 0);
    }
}

int main(int argc, char **argv)
{
#define IN_DIRECTORY(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        IN_DIRECTORY(whatever_happens_to_a_file_while_the_agent_is_down_each_line_comes_once),
        IN_DIRECTORY(the_journal_knows_better_than_the_table),
        IN_DIRECTORY(what_the_journal_remembers_tells_contents_apart_that_the_table_cannot),
        IN_DIRECTORY(without_a_table_a_file_is_found_again_by_what_the_journal_knows),
        IN_DIRECTORY(without_a_table_and_a_journal_start_at_decides),
        IN_DIRECTORY(journals_at_different_places_each_get_every_line_once),
        IN_DIRECTORY(a_copy_is_read_from_where_the_original_was_left),
        IN_DIRECTORY(a_copy_is_held_while_the_original_has_not_been_cut),
        IN_DIRECTORY(a_copy_that_matches_no_pattern_is_found_when_the_original_is_cut),
        IN_DIRECTORY(a_copy_whose_original_is_deleted_takes_its_place),
        IN_DIRECTORY(what_only_begins_the_same_is_read_at_once),
        IN_DIRECTORY(a_copy_that_nothing_explains_is_a_file_of_its_own_in_the_end),
        IN_DIRECTORY(a_file_rewritten_in_place_is_read_anew_though_it_is_not_shorter),
        IN_DIRECTORY(what_was_read_before_the_first_look_is_known_by_its_beginning),
        IN_DIRECTORY(a_file_is_held_until_its_entry_is_saved),
        IN_DIRECTORY(lines_come_once_through_rotations_and_kills_at_any_moment),
    };

    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The table of known files, and the file that it lives in between two runs. */
#include "receivers/filelog_positions.h"

#include "core/err.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>
#include <cmocka.h>

enum { LIMIT = 1000 };

static struct weft_filelog_entry *put(struct weft_filelog_known *k, uint64_t inode, uint64_t offset)
{
    char path[64];

    (void)snprintf(path, sizeof path, "/var/log/app-%llu.log", (unsigned long long)inode);
    struct weft_filelog_entry *e = weft_filelog_known_add(k, 7, inode, path);
    assert_non_null(e);
    e->id = inode * 1001 | 1;
    e->born_ns = inode * 1000000007;
    e->print = inode * 31;
    e->print_len = 1000;
    e->epoch = (uint32_t)inode % 5;
    e->seen_s = 1795197134 + inode;
    e->safe = (struct weft_filelog_place){ offset, inode * 77, offset < 64 ? (uint32_t)offset : 64 };
    return e;
}

/* A table of `n` entries, each third a former one, as bytes. */
static struct weft_buf table_of(size_t n, bool settled)
{
    struct weft_filelog_known k;
    struct weft_buf bytes;

    weft_filelog_known_init(&k, LIMIT);
    weft_buf_init(&bytes, 1 << 20);
    for (size_t i = 1; i <= n; i++) {
        struct weft_filelog_entry *e = put(&k, i, i * 100);
        if (i % 3 == 0)
            weft_filelog_known_detach(&k, e);
    }
    assert_int_equal(weft_filelog_positions_encode(&k, settled, &bytes), 0);
    weft_filelog_known_release(&k);
    return bytes;
}

static void what_was_written_is_read(void **state)
{
    struct weft_filelog_known k;
    (void)state;

    for (size_t n = 0; n < 40; n += 13) {
        struct weft_buf bytes = table_of(n, n % 2);
        bool settled = !(n % 2);
        weft_filelog_known_init(&k, LIMIT);
        assert_int_equal(weft_filelog_positions_decode(weft_buf_slice(&bytes), &k, &settled), 0);
        assert_int_equal(k.n, n);
        assert_int_equal(settled, n % 2);
        for (size_t i = 0; i < n; i++) {
            const struct weft_filelog_entry *e = k.entries[i];
            const uint64_t inode = i + 1;
            char path[64];
            (void)snprintf(path, sizeof path, "/var/log/app-%llu.log", (unsigned long long)inode);
            assert_string_equal(e->path, path);
            assert_true(e->id == (inode * 1001 | 1) && e->device == 7 && e->inode == inode && e->born_ns == inode * 1000000007);
            assert_true(e->print == inode * 31 && e->print_len == 1000 && e->epoch == inode % 5 && e->seen_s == 1795197134 + inode);
            assert_true(e->now.offset == inode * 100 && e->now.tail == inode * 77);
            assert_memory_equal(&e->now, &e->safe, sizeof e->safe);
            assert_memory_equal(&e->noted, &e->safe, sizeof e->safe);
            assert_int_equal(e->former, inode % 3 == 0);
            assert_ptr_equal(weft_filelog_known_find(&k, 7, inode), e->former ? NULL : e);
        }
        weft_filelog_known_release(&k);
        weft_buf_release(&bytes);
    }
}

/* From a copy of just that length, so that the sanitizer sees a read behind it. */
static int decode(const void *data, size_t len, size_t *ret_n)
{
    struct weft_filelog_known k;
    bool settled = false;
    uint8_t *exact = malloc(len ? len : 1);

    assert_non_null(exact);
    memcpy(exact, data, len);
    weft_filelog_known_init(&k, LIMIT);
    int err = weft_filelog_positions_decode(weft_slice_of(exact, len), &k, &settled);
    *ret_n = k.n;
    weft_filelog_known_release(&k);
    free(exact);
    return err;
}

static void a_table_that_was_cut_anywhere_is_refused_whole(void **state)
{
    struct weft_buf bytes = table_of(5, true);
    size_t n;
    (void)state;

    for (size_t len = 0; len < bytes.len; len++)
        if (decode(bytes.data, len, &n) != WEFT_ERR_MALFORMED || n != 0)
            fail_msg("cut to %zu of %zu bytes: %zu entries", len, bytes.len, n);
    weft_buf_append_byte(&bytes, 0);
    assert_int_equal(decode(bytes.data, bytes.len, &n), WEFT_ERR_MALFORMED);
    weft_buf_release(&bytes);
}

static void a_table_with_one_wrong_bit_is_refused_whole(void **state)
{
    struct weft_buf bytes = table_of(3, false);
    size_t n;
    (void)state;

    for (size_t bit = 0; bit < bytes.len * 8; bit++) {
        bytes.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        int err = decode(bytes.data, bytes.len, &n);
        const int expected = bit / 8 >= 8 && bit / 8 < 12 ? WEFT_ERR_UNSUPPORTED : WEFT_ERR_MALFORMED;
        if (err != expected || n != 0)
            fail_msg("bit %zu: %s, %zu entries", bit, weft_err_text(err), n);
        bytes.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    assert_int_equal(decode(bytes.data, bytes.len, &n), 0);
    weft_buf_release(&bytes);
}

static void more_files_than_are_allowed_now_are_left_out(void **state)
{
    struct weft_buf bytes = table_of(20, false);
    struct weft_filelog_known k;
    bool settled;
    (void)state;

    weft_filelog_known_init(&k, 8);
    assert_int_equal(weft_filelog_positions_decode(weft_buf_slice(&bytes), &k, &settled), 0);
    assert_int_equal(k.n, 8);
    weft_filelog_known_release(&k);
    weft_buf_release(&bytes);
}

static void what_is_provisional_is_not_kept(void **state)
{
    struct weft_filelog_known k;
    struct weft_buf bytes;
    bool settled;
    (void)state;

    weft_filelog_known_init(&k, LIMIT);
    weft_buf_init(&bytes, 1 << 20);
    (void)put(&k, 1, 1);
    put(&k, 2, 2)->provisional = true;
    assert_int_equal(weft_filelog_positions_encode(&k, false, &bytes), 0);
    weft_filelog_known_release(&k);
    weft_filelog_known_init(&k, LIMIT);
    assert_int_equal(weft_filelog_positions_decode(weft_buf_slice(&bytes), &k, &settled), 0);
    assert_int_equal(k.n, 1);
    assert_non_null(weft_filelog_known_find(&k, 7, 1));
    weft_filelog_known_release(&k);
    weft_buf_release(&bytes);
}

/* ---- on disk ---- */

static char directory[64], path[160];

static int set_up(void **state)
{
    (void)state;
    (void)snprintf(directory, sizeof directory, "/tmp/weft-test-positions-XXXXXX");
    assert_non_null(mkdtemp(directory));
    (void)snprintf(path, sizeof path, "%s/a/positions/filelog%%2Fapp", directory);
    return 0;
}

static int tear_down(void **state)
{
    static const char *const names[] = { "a/positions/filelog%2Fapp", "a/positions/filelog%2Fapp.new",
                                         "a/positions/filelog%2Fapp.unreadable", "a/positions", "a" };
    char name[200];
    (void)state;

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        (void)snprintf(name, sizeof name, "%s/%s", directory, names[i]);
        (void)remove(name);
    }
    return rmdir(directory);
}

static void write_file(const char *name, const char *text)
{
    FILE *f = fopen(name, "w");

    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static int load(int dir_fd, const char *name, size_t *ret_n)
{
    struct weft_filelog_known k;
    bool settled;

    weft_filelog_known_init(&k, LIMIT);
    int err = weft_filelog_positions_load(dir_fd, name, &k, &settled);
    *ret_n = k.n;
    weft_filelog_known_release(&k);
    return err;
}

static void a_file_is_replaced_whole_and_what_a_crash_left_beside_it_does_no_harm(void **state)
{
    char beside[200], aside[200];
    const char *name;
    size_t n;
    int dir_fd;
    (void)state;

    assert_int_equal(weft_filelog_positions_open(path, &dir_fd, &name), 0);
    assert_string_equal(name, "filelog%2Fapp");
    assert_int_equal(load(dir_fd, name, &n), UV_ENOENT);
    for (size_t entries = 2; entries < 300; entries += 99) {
        struct weft_buf bytes = table_of(entries, false);
        assert_int_equal(weft_filelog_positions_store(dir_fd, name, weft_buf_slice(&bytes)), 0);
        assert_int_equal(load(dir_fd, name, &n), 0);
        assert_int_equal(n, entries);
        weft_buf_release(&bytes);
        (void)snprintf(beside, sizeof beside, "%s.new", path);
        assert_int_equal(access(beside, F_OK), -1);
        write_file(beside, "half of a table"); /* killed before the rename */
    }
    assert_int_equal(load(dir_fd, name, &n), 0);
    write_file(path, "weftpos\n and nothing that makes sense");
    assert_true(load(dir_fd, name, &n) < 0);
    weft_filelog_positions_put_aside(dir_fd, name);
    (void)snprintf(aside, sizeof aside, "%s.unreadable", path);
    assert_int_equal(access(aside, F_OK), 0);
    assert_int_equal(load(dir_fd, name, &n), UV_ENOENT);
    close(dir_fd);
}

static void what_cannot_be_written_leaves_the_old_one(void **state)
{
    const char *name;
    struct weft_buf bytes = table_of(2, false);
    struct stat st;
    size_t n;
    int dir_fd;
    (void)state;

    assert_int_equal(weft_filelog_positions_open(path, &dir_fd, &name), 0);
    assert_int_equal(weft_filelog_positions_store(dir_fd, name, weft_buf_slice(&bytes)), 0);
    int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    assert_true(full >= 0 && fstat(full, &st) == 0);
    close(full);
    char beside[200];
    (void)snprintf(beside, sizeof beside, "%s.new", path);
    assert_int_equal(symlink("/dev/full", beside), 0);
    assert_int_equal(weft_filelog_positions_store(dir_fd, name, weft_buf_slice(&bytes)), UV_ENOSPC);
    assert_int_equal(load(dir_fd, name, &n), 0);
    assert_int_equal(n, 2);
    weft_buf_release(&bytes);
    close(dir_fd);
}

static void a_path_without_a_name_is_refused(void **state)
{
    static const char *const paths[] = { "", "name", "/name", "/tmp/" };
    const char *name;
    int fd;
    (void)state;

    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        if (weft_filelog_positions_open(paths[i], &fd, &name) >= 0)
            fail_msg("'%s'", paths[i]);
}

/* ---- the table ---- */

static uint64_t forgotten;

static void on_forget(void *data, const struct weft_filelog_entry *e)
{
    (void)data;
    forgotten += e->inode;
}

static void files_are_found_among_many_and_the_one_out_of_sight_longest_goes_first(void **state)
{
    struct weft_filelog_known k;
    struct weft_filelog_file *followed = (struct weft_filelog_file *)&k;
    (void)state;

    weft_filelog_known_init(&k, LIMIT);
    k.on_forget = on_forget;
    forgotten = 0;
    for (uint64_t i = 1; i <= LIMIT; i++)
        put(&k, i, i)->seen_s = 5000 - i;
    for (uint64_t i = 1; i <= LIMIT; i++)
        assert_int_equal(weft_filelog_known_find(&k, 7, i)->inode, i);
    assert_null(weft_filelog_known_find(&k, 7, LIMIT + 1));
    assert_null(weft_filelog_known_find(&k, 8, 1));
    weft_filelog_known_find(&k, 7, LIMIT)->file = followed;
    weft_filelog_known_find(&k, 7, LIMIT - 1)->heirs = 1;
    put(&k, LIMIT + 1, 1)->seen_s = 9000;
    assert_int_equal(k.n, LIMIT);
    assert_int_equal(forgotten, LIMIT - 2); /* the two before it are needed */
    assert_true(weft_filelog_known_forget(&k, 9000));
    assert_int_equal(k.n, 3);
    assert_false(weft_filelog_known_forget(&k, 9000));
    weft_filelog_known_release(&k);
}

static void a_table_full_of_followed_files_takes_no_more(void **state)
{
    struct weft_filelog_known k;
    (void)state;

    weft_filelog_known_init(&k, 3);
    for (uint64_t i = 1; i <= 3; i++)
        put(&k, i, i)->file = (struct weft_filelog_file *)&k;
    assert_null(weft_filelog_known_add(&k, 7, 4, "/x"));
    weft_filelog_known_release(&k);
}

static void content_moves_between_files(void **state)
{
    struct weft_filelog_known k;
    (void)state;

    weft_filelog_known_init(&k, LIMIT);
    struct weft_filelog_entry *e = put(&k, 1, 1);
    weft_filelog_known_detach(&k, e);
    weft_filelog_known_detach(&k, e);
    assert_null(weft_filelog_known_find(&k, 7, 1));
    struct weft_filelog_entry *next = put(&k, 1, 1);
    assert_ptr_equal(weft_filelog_known_find(&k, 7, 1), next);
    weft_filelog_known_attach(&k, e, 7, 2);
    assert_ptr_equal(weft_filelog_known_find(&k, 7, 2), e);
    assert_ptr_equal(weft_filelog_known_find(&k, 7, 1), next);
    assert_true(weft_filelog_known_rename(e, "/elsewhere"));
    assert_string_equal(e->path, "/elsewhere");
    weft_filelog_known_release(&k);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_written_is_read),
        cmocka_unit_test(a_table_that_was_cut_anywhere_is_refused_whole),
        cmocka_unit_test(a_table_with_one_wrong_bit_is_refused_whole),
        cmocka_unit_test(more_files_than_are_allowed_now_are_left_out),
        cmocka_unit_test(what_is_provisional_is_not_kept),
        cmocka_unit_test_setup_teardown(a_file_is_replaced_whole_and_what_a_crash_left_beside_it_does_no_harm, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_cannot_be_written_leaves_the_old_one, set_up, tear_down),
        cmocka_unit_test(a_path_without_a_name_is_refused),
        cmocka_unit_test(files_are_found_among_many_and_the_one_out_of_sight_longest_goes_first),
        cmocka_unit_test(a_table_full_of_followed_files_takes_no_more),
        cmocka_unit_test(content_moves_between_files),
    };

    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

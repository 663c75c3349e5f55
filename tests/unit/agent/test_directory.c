/* SPDX-License-Identifier: Apache-2.0 */
/* Names of ids in the agent's directory, and making, asking, locking and removing there. */
#include "agent/directory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#include <cmocka.h>

static void an_id_becomes_a_name_and_comes_back(void **state)
{
    const struct { const char *id, *name; } cases[] = {
        { "traces", "traces" },
        { "traces/shop", "traces%2Fshop" },
        { "logs/a b%c", "logs%2Fa%20b%25c" },
        { "..", "%2E." },
        { ".hidden", "%2Ehidden" },
        { "logs/v1.2_x-y", "logs%2Fv1.2_x-y" },
        { "logs/\xc3\xa9t\xc3\xa9", "logs%2F\xc3\xa9t\xc3\xa9" },
        { "logs/\n", "logs%2F%0A" },
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char name[WEFT_DIRECTORY_NAME] = "", id[WEFT_DIRECTORY_NAME] = "";
        if (!weft_directory_escape(cases[i].id, name) || strcmp(name, cases[i].name) != 0)
            fail_msg("'%s' became '%s'", cases[i].id, name);
        if (!weft_directory_unescape(name, id) || strcmp(id, cases[i].id) != 0)
            fail_msg("'%s' came back as '%s'", cases[i].name, id);
    }
}

static void what_no_id_is_written_like_is_no_name(void **state)
{
    static const char *const names[] = { "", "a%", "a%2", "a%2f", "a%41", "a b", "a/b", "..", ".x", "a%00", "quarantine (1)" };
    char long_id[200], out[WEFT_DIRECTORY_NAME];
    (void)state;

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (weft_directory_unescape(names[i], out))
            fail_msg("'%s' was taken for '%s'", names[i], out);
    memset(long_id, '/', sizeof long_id - 1);
    long_id[sizeof long_id - 1] = '\0';
    assert_false(weft_directory_escape(long_id, out));
    assert_false(weft_directory_escape("", out));
}

static void a_directory_is_made_locked_once_and_removed(void **state)
{
    char root[] = "/tmp/weft-directory-XXXXXX", path[WEFT_DIRECTORY_PATH], deep[WEFT_DIRECTORY_PATH + 16], at[WEFT_DIRECTORY_PATH] = "";
    int fd = -1, other = -1;
    long holder = 0;
    struct stat st;
    (void)state;

    assert_non_null(mkdtemp(root));
    assert_true(weft_directory_path(root, "journal", "traces/shop", path));
    assert_non_null(strstr(path, "/journal/traces%2Fshop"));
    assert_int_equal(weft_directory_check(path, at), 0); /* it could be made */
    assert_int_not_equal(stat(path, &st), 0);            /* and asking did not make it */
    assert_int_equal(weft_directory_make(path), 0);
    assert_int_equal(weft_directory_make(path), 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07, 0);

    assert_int_equal(weft_directory_lock(path, &fd, &holder), 0);
    assert_int_equal(weft_directory_lock(path, &other, &holder), UV_EBUSY);
    assert_int_equal(holder, getpid());
    assert_int_equal(close(fd), 0);
    assert_int_equal(weft_directory_lock(path, &fd, &holder), 0);
    assert_int_equal(close(fd), 0);

    (void)snprintf(deep, sizeof deep, "%s/LOCK/x", path);
    assert_int_equal(weft_directory_make(deep), UV_ENOTDIR);
    assert_int_equal(weft_directory_check(deep, at), UV_ENOTDIR);
    assert_string_equal(strrchr(at, '/'), "/LOCK"); /* what is in the way */
    *strrchr(deep, '/') = '\0';
    assert_int_equal(weft_directory_check(deep, at), UV_ENOTDIR);
    assert_string_equal(at, deep);
    assert_int_equal(weft_directory_remove(path), 0);
    assert_int_equal(weft_directory_remove(path), UV_ENOENT);
    (void)snprintf(path, sizeof path, "%s/journal", root);
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(rmdir(root), 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_id_becomes_a_name_and_comes_back),
        cmocka_unit_test(what_no_id_is_written_like_is_no_name),
        cmocka_unit_test(a_directory_is_made_locked_once_and_removed),
    };

    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

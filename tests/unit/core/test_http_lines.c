/* SPDX-License-Identifier: Apache-2.0 */
/* Header lines from options: what is none is said where it stands, and no more are made than a request takes. */
#include "core/http_lines.h"

#include "core/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { KIB = 1 << 10 };

static void what_is_no_header_of_one_line_is_a_problem(void **state)
{
    const struct { const char *what; char *key, *value; size_t problems; } cases[] = {
        { "a header",                "X-Scope-OrgID", "a, b: c", 0 },
        { "an empty value",          "X-Empty",       "",        0 },
        { "no name",                 "",              "x",       1 },
        { "a blank in the name",     "X Y",           "x",       1 },
        { "a colon in the name",     "X:",            "x",       1 },
        { "two lines in the name",   "X\nY",          "x",       1 },
        { "two lines in the value",  "X",             "a\r\nb",  1 },
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct weft_pair pair = { cases[i].key, cases[i].value };
        const struct weft_pairs headers = { 1, &pair };
        struct weft_arena arena;
        struct weft_problems problems = { .arena = &arena };
        weft_arena_init(&arena, 64 * KIB);
        weft_http_lines_check(&headers, NULL, &problems);
        if (problems.n != cases[i].problems)
            fail_msg("%s: %zu problems", cases[i].what, problems.n);
        weft_arena_release(&arena);
    }
}

static void lines_are_kept_in_order_until_there_is_no_room_for_the_end(void **state)
{
    const char *lines[WEFT_HTTP_MAX_HEADERS] = { NULL };
    struct weft_pair pairs[2] = { { "A", "1" }, { "B", "2" } };
    const struct weft_pairs headers = { 2, pairs };
    struct weft_arena text;
    struct weft_buf line;
    int n = 2;
    (void)state;

    weft_arena_init(&text, 64 * KIB);
    weft_buf_init(&line, KIB);
    assert_int_equal(weft_http_lines_add_pairs(lines, &text, &line, &headers), 0);
    assert_string_equal(lines[0], "A: 1");
    assert_string_equal(lines[1], "B: 2");
    assert_null(lines[2]);
    for (int err = 0; !err; n += !err) {
        weft_buf_append_str(&line, "C: 3");
        err = weft_http_lines_add(lines, &text, &line);
        assert_true(err == 0 || err == WEFT_ERR_TOO_LARGE);
    }
    assert_int_equal(n, WEFT_HTTP_MAX_HEADERS - 1);
    assert_null(lines[n]);
    weft_buf_release(&line);
    weft_arena_release(&text);
}

static void a_line_that_is_too_long_or_finds_no_memory_is_not_kept(void **state)
{
    const char *lines[WEFT_HTTP_MAX_HEADERS] = { NULL };
    char value[200];
    struct weft_pair pair = { "X", value };
    const struct weft_pairs headers = { 1, &pair };
    const struct { size_t text, line; } limits[] = { { 64, KIB }, { 64 * KIB, 100 } };
    (void)state;

    memset(value, 'v', sizeof value - 1);
    value[sizeof value - 1] = 0;
    for (size_t i = 0; i < 2; i++) {
        struct weft_arena text;
        struct weft_buf line;
        weft_arena_init(&text, limits[i].text);
        weft_buf_init(&line, limits[i].line);
        assert_int_equal(weft_http_lines_add_pairs(lines, &text, &line, &headers), UV_ENOMEM);
        assert_null(lines[0]);
        weft_buf_release(&line);
        weft_arena_release(&text);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_header_of_one_line_is_a_problem),
        cmocka_unit_test(lines_are_kept_in_order_until_there_is_no_room_for_the_end),
        cmocka_unit_test(a_line_that_is_too_long_or_finds_no_memory_is_not_kept),
    };

    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

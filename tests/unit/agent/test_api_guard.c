/* SPDX-License-Identifier: Apache-2.0 */
/* Who may ask the admin server for data or changes, and what a query says. */
#include "agent/api_guard.h"
#include "agent/json_find.h"
#include "agent/query.h"
#include "core/err.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void hosts_that_a_page_can_name_are_refused(void **state)
{
    static const struct { const char *host, *endpoint; bool may; } rows[] = {
        { "127.0.0.1:8888", "127.0.0.1:8888", true }, { "127.0.0.1", "127.0.0.1:8888", true }, { "localhost:8888", "127.0.0.1:8888", true },
        { "LocalHost", "127.0.0.1:8888", true },      { "[::1]:8888", "[::1]:8888", true },    { "10.0.0.7:8888", "0.0.0.0:8888", true },
        { "agent.lan:8888", "agent.lan:8888", true }, { "evil.example:8888", "127.0.0.1:8888", false },
        { "evil.example", ":8888", false },           { "localhost.evil.example", "127.0.0.1:8888", false },
        { "127.0.0.1.evil.example:8888", "127.0.0.1:8888", false }, { "", "127.0.0.1:8888", false }, { NULL, "127.0.0.1:8888", false },
        { ":8888", ":8888", false },                  { "[::1", "[::1]:8888", false },         { "[evil]:1", "127.0.0.1:1", false },
    };
    (void)state;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (weft_guard_host(rows[i].host, rows[i].endpoint) != rows[i].may)
            fail_msg("Host %s at %s", rows[i].host ? rows[i].host : "(none)", rows[i].endpoint);
}

static void only_our_own_page_may_post(void **state)
{
    static const struct { const char *origin, *site, *host; bool may; } rows[] = {
        { NULL, NULL, "127.0.0.1:8888", true }, /* no browser */
        { "http://127.0.0.1:8888", "same-origin", "127.0.0.1:8888", true },
        { NULL, "none", "127.0.0.1:8888", true },
        { "http://127.0.0.1:9999", NULL, "127.0.0.1:8888", false },
        { "http://evil.example", NULL, "127.0.0.1:8888", false },
        { "https://127.0.0.1:8888", NULL, "127.0.0.1:8888", false },
        { "null", NULL, "127.0.0.1:8888", false },
        { "", NULL, "127.0.0.1:8888", false },
        { "http://127.0.0.1:8888", "cross-site", "127.0.0.1:8888", false },
        { NULL, "same-site", "127.0.0.1:8888", false },
    };
    (void)state;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (weft_guard_origin(rows[i].origin, rows[i].site, rows[i].host) != rows[i].may)
            fail_msg("row %zu", i);
}

static void a_query_is_decoded(void **state)
{
    static const struct { const char *query, *key; int found; const char *value; } rows[] = {
        { "a=1&b=2", "b", 1, "2" },          { "a=1&b=2", "c", 0, "" },        { "", "a", 0, "" },
        { "a=x%20y+z", "a", 1, "x y z" },    { "ab=1&a=2", "a", 1, "2" },      { "a=%4", "a", WEFT_ERR_MALFORMED, "" },
        { "a=%zz", "a", WEFT_ERR_MALFORMED, "" }, { "a=x%00y", "a", WEFT_ERR_MALFORMED, "" }, { "a=", "a", 1, "" },
        { "a=123456789", "a", WEFT_ERR_MALFORMED, "" }, { "a", "a", 0, "" }, { "&&a=1", "a", 1, "1" },
    };
    (void)state;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char out[9] = "";
        int found = weft_query_get(rows[i].query, rows[i].key, out, sizeof out);
        if (found != rows[i].found || (found == 1 && strcmp(out, rows[i].value) != 0))
            fail_msg("%s: %d '%s'", rows[i].query, found, out);
    }
}

static void what_is_put_into_a_query_comes_back(void **state)
{
    static const char text[] = "severity >= warn & body ~ 'a+b=%c/ü'";
    char out[100];
    struct weft_buf b;
    (void)state;

    weft_buf_init(&b, 1024);
    weft_buf_append_str(&b, "match=");
    weft_query_put(&b, text);
    weft_buf_append_byte(&b, 0);
    assert_int_equal(weft_query_get((const char *)b.data, "match", out, sizeof out), 1);
    assert_string_equal(out, text);
    weft_buf_release(&b);
}

static void values_are_found_in_json(void **state)
{
    const struct weft_slice text = WEFT_SLICE("{\"a\":{\"b\":7,\"n\":null},\"list\":[1,{\"x\":\"q\\n\\u00fc\"},[2]],\"s\":\"grün\"}");
    struct weft_json_list list;
    struct weft_slice value;
    char out[16];
    size_t n = 0;
    (void)state;

    assert_int_equal(weft_json_find_uint(weft_json_find(text, "a"), "b"), 7);
    assert_int_equal(weft_json_find(weft_json_find(text, "a"), "n").len, 0);
    assert_int_equal(weft_json_find(text, "none").len, 0);
    assert_string_equal(weft_json_find_text(text, "s", out, sizeof out), "grün");
    assert_string_equal(weft_json_find_text(text, "s", out, 4), "gr"); /* not within a character */
    weft_json_list_init(&list, weft_json_find(text, "list"));
    for (; weft_json_list_next(&list, &value); n++)
        if (n == 1)
            assert_string_equal(weft_json_find_text(value, "x", out, sizeof out), "q ü");
    assert_int_equal(n, 3);
    weft_json_list_init(&list, WEFT_SLICE("[1,"));
    assert_true(weft_json_list_next(&list, &value));
    assert_false(weft_json_list_next(&list, &value));
    assert_false(weft_json_list_next(&list, &value));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hosts_that_a_page_can_name_are_refused),
        cmocka_unit_test(only_our_own_page_may_post),
        cmocka_unit_test(a_query_is_decoded),
        cmocka_unit_test(what_is_put_into_a_query_comes_back),
        cmocka_unit_test(values_are_found_in_json),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

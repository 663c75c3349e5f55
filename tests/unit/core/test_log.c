/* SPDX-License-Identifier: Apache-2.0 */
#include "core/log.h"

#include "core/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

/* What one call writes; the same bytes in `line` until the next. */
static struct weft_slice written(enum weft_log_format format, const char *component, const char *message)
{
    static char line[2 * WEFT_LOG_LINE_MAX];
    int ends[2];

    assert_int_equal(pipe(ends), 0);
    const struct weft_log log = { .fd = ends[1], .level = WEFT_LOG_INFO, .format = format };
    weft_log(&log, WEFT_LOG_DEBUG, component, "not this one");
    weft_log(&log, WEFT_LOG_WARN, component, "%s", message);
    close(ends[1]);
    ssize_t n = read(ends[0], line, sizeof line);
    close(ends[0]);
    assert_true(n > 0 && n <= WEFT_LOG_LINE_MAX);
    return weft_slice_of(line, (size_t)n);
}

static void a_message_stands_in_the_line_as_no_peer_can_bend_it(void **state)
{
    const struct { const char *what, *message, *shown; } cases[] = {
        { "plain words",         "no answer",            "msg=\"no answer\"\n" },
        { "a quote",             "say \"a\" \\",         "msg=\"say \\\"a\\\" \\\\\"\n" },
        { "a forged line",       "x\ntime=1",            "msg=\"x\\ntime=1\"\n" },
        { "control characters",  "\x1b[2J\x7f",          "msg=\"\\u001b[2J\\u007f\"\n" },
        { "UTF-8",               "caf\xc3\xa9",          "msg=\"caf\xc3\xa9\"\n" },
        { "not UTF-8",           "a\xff\xc3z",           "msg=\"a\xef\xbf\xbd\xef\xbf\xbdz\"\n" },
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct weft_slice line = written(WEFT_LOG_LOGFMT, "otlp/x", cases[i].message);
        size_t n = strlen(cases[i].shown);
        if (line.len < n || memcmp(line.data + line.len - n, cases[i].shown, n) != 0)
            fail_msg("%s: %.*s", cases[i].what, (int)line.len, (const char *)line.data);
    }
}

static bool is_object(struct weft_slice text)
{
    struct weft_json j;

    weft_json_init(&j, text);
    return weft_json_next(&j) == WEFT_JSON_OBJECT_BEGIN && weft_json_skip(&j, NULL) == 0
           && weft_json_next(&j) == WEFT_JSON_END;
}

/* Every length around the limit, so that every place is cut at. */
static void a_JSON_line_is_JSON_whatever_was_cut_off(void **state)
{
    const struct { const char *what, *filler; } cases[] = {
        { "letters", "a" }, { "quotes", "\"" }, { "escapes", "\x01" }, { "two bytes a character", "\xc3\xa9" },
        { "four bytes a character", "\xf0\x9f\x90\x9b" }, { "not UTF-8", "\xff" },
    };
    static char message[WEFT_LOG_LINE_MAX + 16];
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (size_t before = 0; before < 8; before++) {
            size_t n = before, step = strlen(cases[i].filler);
            memset(message, 'x', n);
            for (; n + step < sizeof message; n += step)
                memcpy(message + n, cases[i].filler, step);
            message[n] = '\0';
            struct weft_slice line = written(WEFT_LOG_JSON, "agent", message);
            if (line.data[line.len - 1] != '\n' || !is_object(weft_slice_of(line.data, line.len - 1)))
                fail_msg("%s behind %zu letters: ...%.*s", cases[i].what, before, 40, (const char *)line.data + line.len - 40);
        }
    }
}

static void a_gate_lets_a_burst_through_and_says_how_many_it_did_not(void **state)
{
    struct weft_log_gate gate = { .interval_ms = 100, .burst = 2 };
    unsigned dropped = 9;
    (void)state;

    assert_true(weft_log_gate_open(&gate, 1000, &dropped) && dropped == 0);
    assert_true(weft_log_gate_open(&gate, 1001, &dropped) && dropped == 0);
    for (int i = 0; i < 5; i++)
        assert_false(weft_log_gate_open(&gate, 1099, &dropped));
    assert_true(weft_log_gate_open(&gate, 1100, &dropped));
    assert_int_equal(dropped, 5);

    char more[WEFT_LOG_MORE_MAX];
    assert_string_equal(weft_log_more(0, more), "");
    assert_string_equal(weft_log_more(1, more), " (1 more such line was left out)");
    assert_string_equal(weft_log_more(5, more), " (5 more such lines were left out)");
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_stands_in_the_line_as_no_peer_can_bend_it),
        cmocka_unit_test(a_JSON_line_is_JSON_whatever_was_cut_off),
        cmocka_unit_test(a_gate_lets_a_burst_through_and_says_how_many_it_did_not),
    };

    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Lines, numbers, names and content negotiation of core/exposition. The page is also given to promtool. */
#include "core/exposition.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

enum { ROOM = 1 << 20 };

static bool is(const struct weft_buf *b, const char *text)
{
    return weft_slice_is(weft_buf_slice(b), text);
}

static void numbers_take_their_shortest_form(void **state)
{
    const struct { double value; const char *text; } cases[] = {
        { 0, "0" }, { -0.0, "-0" }, { 1, "1" }, { -1, "-1" }, { 42, "42" }, { 100, "100" }, { 1e6, "1000000" },
        { 999999999999999, "999999999999999" }, { 1e15, "1e+15" }, { 9007199254740993.0, "9007199254740992" },
        { 0.1, "0.1" }, { 0.5, "0.5" }, { 2.5, "2.5" }, { -2.324, "-2.324" }, { 0.05, "0.05" }, { 0.000125, "0.000125" },
        { 1e-6, "0.000001" }, { 1e-7, "1e-07" }, { 5e-324, "4.94065645841247e-324" }, { 1.0 / 3, "0.3333333333333333" },
        { 0.1 + 0.2, "0.30000000000000004" }, { 1.7976931348623157e308, "1.7976931348623157e+308" },
        { 1234567.891, "1234567.891" }, { INFINITY, "+Inf" }, { -INFINITY, "-Inf" }, { NAN, "NaN" },
    };
    struct weft_buf b;
    (void)state;

    weft_buf_init(&b, ROOM);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        weft_buf_reset(&b);
        weft_exposition_number(&b, cases[i].value);
        if (!is(&b, cases[i].text))
            fail_msg("%s came out as %.*s", cases[i].text, (int)b.len, b.data);
    }
    weft_buf_release(&b);
}

/* xorshift: a fixed sequence, so that a failure can be repeated. */
static uint64_t next_random(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static double some_double(uint64_t *seed, unsigned round)
{
    uint64_t bits = next_random(seed);
    double value;

    if (round % 3 == 0)
        return (double)(bits % 100000000) / 1000.0;
    if (round % 3 == 1)
        return (double)(bits % 1000000007) * 0.1;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static void every_number_reads_back_as_itself(void **state)
{
    uint64_t seed = 88172645463325252u;
    struct weft_buf b;
    (void)state;

    weft_buf_init(&b, ROOM);
    for (unsigned i = 0; i < 200000; i++) {
        double value = some_double(&seed, i);
        if (!isfinite(value))
            continue;
        weft_buf_reset(&b);
        if (i & 1)
            weft_exposition_number(&b, value);
        else
            weft_exposition_bound(&b, value);
        weft_buf_append_byte(&b, 0);
        if (strtod((const char *)b.data, NULL) != value)
            fail_msg("%.17g came out as %s", value, (const char *)b.data);
    }
    weft_buf_release(&b);
}

static void bounds_are_canonical(void **state)
{
    const struct { double value; const char *text; } cases[] = {
        { 0, "0.0" }, { 1, "1.0" }, { 200, "200.0" }, { 100000, "100000.0" }, { 1e6, "1e+06" }, { 1e10, "1e+10" },
        { 0.1, "0.1" }, { 0.0001, "0.0001" }, { 1e-5, "1e-05" }, { 2.5e-5, "2.5e-05" }, { 1500000, "1.5e+06" },
        { -3, "-3.0" }, { 0.99, "0.99" }, { INFINITY, "+Inf" }, { 1234567.5, "1.2345675e+06" },
    };
    struct weft_buf b;
    (void)state;

    weft_buf_init(&b, ROOM);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        weft_buf_reset(&b);
        weft_exposition_bound(&b, cases[i].value);
        if (!is(&b, cases[i].text))
            fail_msg("%s came out as %.*s", cases[i].text, (int)b.len, b.data);
    }
    weft_buf_release(&b);
}

static void whole_numbers_and_times_keep_every_digit(void **state)
{
    const struct { uint64_t ns; const char *text; } times[] = {
        { 0, "0" }, { 1, "0.000000001" }, { 1795196810186000000, "1795196810.186" }, { 1500000000, "1.5" },
        { 60000000000, "60" }, { 1000000010, "1.00000001" },
    };
    struct weft_buf b;
    (void)state;

    weft_buf_init(&b, ROOM);
    weft_exposition_uint(&b, UINT64_MAX);
    assert_true(is(&b, "18446744073709551615"));
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        weft_buf_reset(&b);
        weft_exposition_seconds(&b, times[i].ns);
        if (!is(&b, times[i].text))
            fail_msg("%s came out as %.*s", times[i].text, (int)b.len, b.data);
    }
    weft_buf_release(&b);
}

static void a_label_value_cannot_break_the_page(void **state)
{
    const struct { const char *what; struct weft_slice in; const char *out; } cases[] = {
        { "plain", WEFT_SLICE("GET /x"), "GET /x" },
        { "empty", WEFT_SLICE(""), "" },
        { "quote, backslash, newline", WEFT_SLICE("a\"b\\c\nd"), "a\\\"b\\\\c\\nd" },
        { "two, three and four bytes", WEFT_SLICE("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"),
          "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80" },
        { "a lone continuation", WEFT_SLICE("a\x80z"), "a\xef\xbf\xbdz" },
        { "cut short", WEFT_SLICE("a\xe2\x82"), "a\xef\xbf\xbd\xef\xbf\xbd" },
        { "overlong slash", WEFT_SLICE("\xc0\xaf"), "\xef\xbf\xbd\xef\xbf\xbd" },
        { "overlong in three", WEFT_SLICE("\xe0\x80\xaf"), "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
        { "surrogate", WEFT_SLICE("\xed\xa0\x80"), "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
        { "past the last plane", WEFT_SLICE("\xf4\x90\x80\x80"), "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
        { "NUL ends a lexer", WEFT_SLICE("a\0b"), "a\xef\xbf\xbd" "b" },
    };
    struct weft_buf b;
    (void)state;

    weft_buf_init(&b, ROOM);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        weft_buf_reset(&b);
        weft_exposition_label_value(&b, cases[i].in);
        if (!is(&b, cases[i].out))
            fail_msg("%s: %.*s", cases[i].what, (int)b.len, b.data);
    }
    weft_buf_release(&b);
}

static void families_are_announced_in_each_formats_way(void **state)
{
    const struct { const char *name, *type, *help, *unit, *text, *openmetrics; } cases[] = {
        { "calls", "counter", "All \"calls\".", "",
          "# HELP calls_total All \"calls\".\n# TYPE calls_total counter\n",
          "# HELP calls All \\\"calls\\\".\n# TYPE calls counter\n" },
        { "size_bytes", "gauge", "", "bytes", "# TYPE size_bytes gauge\n",
          "# TYPE size_bytes gauge\n# UNIT size_bytes bytes\n" },
        { "size", "gauge", "", "bytes", "# TYPE size gauge\n", "# TYPE size gauge\n" },
        { "x", "unknown", "a\nb", "", "# HELP x a\\nb\n# TYPE x untyped\n", "# HELP x a\\nb\n# TYPE x unknown\n" },
        { "target", "info", "", "", "# TYPE target_info gauge\n", "# TYPE target info\n" },
        { "a.b", "gauge", "", "", "# TYPE \"a.b\" gauge\n", "# TYPE \"a.b\" gauge\n" },
    };
    struct weft_buf b;
    (void)state;

    weft_buf_init(&b, ROOM);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (int format = WEFT_EXPOSITION_TEXT; format <= WEFT_EXPOSITION_OPENMETRICS; format++) {
            weft_buf_reset(&b);
            weft_exposition_family(&b, (enum weft_exposition)format, weft_slice_str(cases[i].name), cases[i].type,
                                   weft_slice_str(cases[i].help), weft_slice_str(cases[i].unit));
            if (!is(&b, format == WEFT_EXPOSITION_TEXT ? cases[i].text : cases[i].openmetrics))
                fail_msg("%s in format %d: %.*s", cases[i].name, format, (int)b.len, b.data);
        }
    }
    weft_buf_release(&b);
}

static void put_page(struct weft_buf *b, enum weft_exposition format)
{
    const struct weft_label labels[] = { { WEFT_SLICE("receiver"), WEFT_SLICE("otlp/\"a\"") },
                                         { WEFT_SLICE("signal"), WEFT_SLICE("traces") } };

    weft_exposition_family(b, format, WEFT_SLICE("weft_receiver_accepted_items"), "counter",
                           WEFT_SLICE("Items accepted."), WEFT_SLICE(""));
    weft_exposition_sample_uint(b, WEFT_SLICE("weft_receiver_accepted_items"), "_total", labels, 2, 7);
    weft_exposition_newline(b);
    weft_exposition_family(b, format, WEFT_SLICE("weft_memory_bytes"), "gauge", WEFT_SLICE("Memory in use."),
                           WEFT_SLICE("bytes"));
    weft_exposition_sample(b, WEFT_SLICE("weft_memory_bytes"), "", NULL, 0, 1.5);
    weft_exposition_newline(b);
    weft_exposition_end(b, format);
}

static void a_page_has_the_exact_lines(void **state)
{
    struct weft_buf b;
    (void)state;

    weft_buf_init(&b, ROOM);
    put_page(&b, WEFT_EXPOSITION_OPENMETRICS);
    assert_true(is(&b, "# HELP weft_receiver_accepted_items Items accepted.\n"
                       "# TYPE weft_receiver_accepted_items counter\n"
                       "weft_receiver_accepted_items_total{receiver=\"otlp/\\\"a\\\"\",signal=\"traces\"} 7\n"
                       "# HELP weft_memory_bytes Memory in use.\n"
                       "# TYPE weft_memory_bytes gauge\n"
                       "# UNIT weft_memory_bytes bytes\n"
                       "weft_memory_bytes 1.5\n"
                       "# EOF\n"));
    weft_buf_release(&b);
}

static void promtool_finds_nothing_to_say_about_a_page(void **state)
{
    struct weft_buf b;
    (void)state;

    if (access("/usr/bin/promtool", X_OK) != 0) {
        print_message("promtool is not installed\n");
        skip();
    }
    weft_buf_init(&b, ROOM);
    put_page(&b, WEFT_EXPOSITION_TEXT);
    FILE *pipe = popen("/usr/bin/promtool check metrics >&2", "w");
    assert_non_null(pipe);
    assert_int_equal(fwrite(b.data, 1, b.len, pipe), b.len);
    assert_int_equal(WEXITSTATUS(pclose(pipe)), 0);
    weft_buf_release(&b);
}

static void names_are_escaped_as_the_scraper_asked(void **state)
{
    const struct { const char *in; enum weft_escaping how; const char *out; } cases[] = {
        { "http_requests", WEFT_ESCAPE_UNDERSCORES, "http_requests" },
        { "metric.name/with/slashes", WEFT_ESCAPE_UNDERSCORES, "metric_name_with_slashes" },
        { "0day", WEFT_ESCAPE_UNDERSCORES, "_day" },
        { "\xc3\xa9t\xc3\xa9", WEFT_ESCAPE_UNDERSCORES, "_t_" },
        { "metric.name.with.dots", WEFT_ESCAPE_DOTS, "metric_dot_name_dot_with_dot_dots" },
        { "a_b", WEFT_ESCAPE_DOTS, "a__b" },
        { "a/b", WEFT_ESCAPE_DOTS, "a_b" },
        { "metric.name", WEFT_ESCAPE_VALUES, "U__metric_2E_name" },
        { "a_b", WEFT_ESCAPE_VALUES, "a_b" },
        { "a_b.c", WEFT_ESCAPE_VALUES, "U__a__b_2E_c" },
        { "\xe2\x82\xac", WEFT_ESCAPE_VALUES, "U___20AC_" },
        { "a.b", WEFT_ESCAPE_NONE, "a.b" },
    };
    struct weft_buf b;
    (void)state;

    weft_buf_init(&b, ROOM);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        weft_buf_reset(&b);
        weft_exposition_name(&b, weft_slice_str(cases[i].in), cases[i].how);
        if (!is(&b, cases[i].out))
            fail_msg("%s: %.*s, not %s", cases[i].in, (int)b.len, b.data, cases[i].out);
    }
    weft_buf_release(&b);
}

#define TEXT       "text/plain; version=0.0.4; charset=utf-8"
#define TEXT1      "text/plain; version=1.0.0; charset=utf-8; escaping="
#define OM         "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping="
#define OM0        "application/openmetrics-text; version=0.0.1; charset=utf-8"
#define PROTO_TYPE "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
#define PROTO      "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"

static void every_accept_header_gets_the_format_it_asks_for(void **state)
{
    const struct { const char *accept; bool protobuf; const char *content_type; } cases[] = {
        { NULL, true, TEXT },
        { "", true, TEXT },
        { "*/*", true, TEXT },
        { "text/*", true, TEXT },
        { "text/plain", true, TEXT },
        { "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", true, TEXT },
        { "application/json", true, TEXT },
        { "application/openmetrics-text", true, OM "underscores" },
        { "application/openmetrics-text; version=1.0.0", true, OM "underscores" },
        { "application/openmetrics-text; version=0.0.1", true, OM0 },
        { "application/openmetrics-text; version=\"1.0.0\"", true, OM "underscores" },
        { "application/openmetrics-text; version=9.9.9, text/plain;q=0.1", true, TEXT },
        { "APPLICATION/OpenMetrics-Text;Q=0.9,text/plain;q=0.1", true, OM "underscores" },
        { "application/openmetrics-text;q=0.4,text/plain;q=0.5", true, TEXT },
        { "application/openmetrics-text;q=0", true, TEXT },
        { "application/openmetrics-text,text/plain", true, OM "underscores" },
        { "text/plain,application/openmetrics-text", true, TEXT },
        { "text/plain;q=0,*/*", true, OM "underscores" },
        { "application/openmetrics-text;q=junk,text/plain;q=0.1", true, TEXT },
        { "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,text/plain;q=0.2", true,
          OM "allow-utf-8" },
        { "application/openmetrics-text;version=1.0.0;escaping=allow-utf8", true, OM "allow-utf-8" },
        { "application/openmetrics-text;version=1.0.0;escaping=dots", true, OM "dots" },
        { "application/openmetrics-text;version=1.0.0;escaping=values", true, OM "values" },
        { "application/openmetrics-text;version=1.0.0;escaping=\r\nX: y", true, OM "underscores" },
        { "text/plain;version=1.0.0;escaping=allow-utf-8", true, TEXT1 "allow-utf-8" },
        { "text/plain;version=0.0.4;escaping=allow-utf-8", true, TEXT },
        { PROTO_TYPE, true, PROTO },
        { PROTO_TYPE, false, TEXT },
        { "application/vnd.google.protobuf;proto=other.Message;encoding=delimited", true, TEXT },
        { "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=text", true, TEXT },
        /* Prometheus 2.42, without and with native histograms */
        { "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
          "text/plain;version=0.0.4;q=0.5,*/*;q=0.1", true, OM "underscores" },
        { PROTO_TYPE ",application/openmetrics-text;version=1.0.0;q=0.8,application/openmetrics-text;version=0.0.1;"
          "q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1", true, PROTO },
        { PROTO_TYPE ",application/openmetrics-text;version=1.0.0;q=0.8,application/openmetrics-text;version=0.0.1;"
          "q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1", false, OM "underscores" },
        /* Prometheus 3 */
        { "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/openmetrics-text;"
          "version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,"
          "*/*;q=0.1", true, OM "allow-utf-8" },
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct weft_exposition_choice c = weft_exposition_choose(cases[i].accept, cases[i].protobuf);
        if (strcmp(c.content_type, cases[i].content_type) != 0)
            fail_msg("%s: got %s", cases[i].accept ? cases[i].accept : "no Accept", c.content_type);
    }
}

static void the_two_text_formats_are_negotiated_without_protobuf(void **state)
{
    const char *type;
    (void)state;

    assert_int_equal(weft_exposition_negotiate("application/openmetrics-text", &type), WEFT_EXPOSITION_OPENMETRICS);
    assert_string_equal(type, OM "underscores");
    assert_int_equal(weft_exposition_negotiate(NULL, &type), WEFT_EXPOSITION_TEXT);
    assert_string_equal(type, TEXT);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_take_their_shortest_form),
        cmocka_unit_test(every_number_reads_back_as_itself),
        cmocka_unit_test(bounds_are_canonical),
        cmocka_unit_test(whole_numbers_and_times_keep_every_digit),
        cmocka_unit_test(a_label_value_cannot_break_the_page),
        cmocka_unit_test(families_are_announced_in_each_formats_way),
        cmocka_unit_test(a_page_has_the_exact_lines),
        cmocka_unit_test(promtool_finds_nothing_to_say_about_a_page),
        cmocka_unit_test(names_are_escaped_as_the_scraper_asked),
        cmocka_unit_test(every_accept_header_gets_the_format_it_asks_for),
        cmocka_unit_test(the_two_text_formats_are_negotiated_without_protobuf),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "core/err.h"
#include "core/json.h"

#include <dirent.h>
#include <locale.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static const char suite[] = WEFT_SOURCE_DIR "/tests/data/jsontestsuite/test_parsing";

/* Reads the document to its end: 0 or the error. */
static int verdict(struct weft_slice text)
{
    struct weft_json j;

    weft_json_init(&j, text);
    for (;;) {
        int token = weft_json_next(&j);
        if (token < 0)
            assert_non_null(j.reason);
        if (token <= 0)
            return token;
    }
}

static struct weft_slice load(const char *directory, const char *name)
{
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    assert_int_equal(fseek(f, 0, SEEK_END), 0);
    size_t len = (size_t)ftell(f);
    rewind(f);
    uint8_t *data = malloc(len ? len : 1); /* exact, so that the sanitizer sees a byte too far */
    assert_non_null(data);
    assert_int_equal(fread(data, 1, len, f), len);
    fclose(f);
    return weft_slice_of(data, len);
}

static void every_file_of_the_suite_gets_its_verdict(void **state)
{
    DIR *dir = opendir(suite);
    int must_pass = 0, must_fail = 0, free_choice = 0;
    (void)state;

    assert_non_null(dir);
    for (struct dirent *e; (e = readdir(dir));) {
        if (e->d_name[0] == '.')
            continue;
        struct weft_slice text = load(suite, e->d_name);
        int err = verdict(text);
        free((void *)(uintptr_t)text.data);
        if (e->d_name[0] == 'y' && ++must_pass && err)
            fail_msg("%s must be accepted", e->d_name);
        if (e->d_name[0] == 'n' && ++must_fail && !err)
            fail_msg("%s must be refused", e->d_name);
        free_choice += e->d_name[0] == 'i';
    }
    closedir(dir);
    assert_int_equal(must_pass, 95);
    assert_int_equal(must_fail, 188);
    assert_int_equal(free_choice, 35);
}

static void what_the_rfc_leaves_open_is_decided_the_same_way_each_time(void **state)
{
    static const struct { const char *prefix; bool accepted; } rules[] = {
        { "i_number_", true },              /* the grammar has no range */
        { "i_object_key_lone", true },      /* half a surrogate pair becomes U+FFFD */
        { "i_string_1st_", true },
        { "i_string_incomplete_", true },
        { "i_string_invalid_lonely", true },
        { "i_string_invalid_surrogate", true },
        { "i_string_inverted_", true },
        { "i_string_lone_second", true },
        { "i_string_UTF-16", false },       /* bytes that are not UTF-8 */
        { "i_string_UTF-8", false },
        { "i_string_UTF8", false },
        { "i_string_invalid_utf-8", false },
        { "i_string_iso", false },
        { "i_string_lone_utf8", false },
        { "i_string_not_in", false },
        { "i_string_overlong", false },
        { "i_string_truncated", false },
        { "i_string_utf16", false },
        { "i_structure_500", false },       /* deeper than WEFT_JSON_MAX_DEPTH */
        { "i_structure_UTF-8_BOM", false },
    };
    DIR *dir = opendir(suite);
    (void)state;

    assert_non_null(dir);
    for (struct dirent *e; (e = readdir(dir));) {
        if (e->d_name[0] != 'i')
            continue;
        struct weft_slice text = load(suite, e->d_name);
        bool accepted = verdict(text) == 0, found = false;
        free((void *)(uintptr_t)text.data);
        for (size_t i = 0; i < sizeof rules / sizeof *rules && !found; i++) {
            found = strncmp(e->d_name, rules[i].prefix, strlen(rules[i].prefix)) == 0;
            if (found && rules[i].accepted != accepted)
                fail_msg("%s was %s", e->d_name, accepted ? "accepted" : "refused");
        }
        if (!found)
            fail_msg("%s has no rule", e->d_name);
    }
    closedir(dir);
}

static void tokens_come_in_order_with_their_text(void **state)
{
    static const struct { int token; const char *text; } expected[] = {
        { WEFT_JSON_OBJECT_BEGIN, NULL }, { WEFT_JSON_KEY, "a" }, { WEFT_JSON_NUMBER, "-1.5e3" },
        { WEFT_JSON_KEY, "b\\n" }, { WEFT_JSON_ARRAY_BEGIN, NULL }, { WEFT_JSON_TRUE, NULL },
        { WEFT_JSON_FALSE, NULL }, { WEFT_JSON_NULL, NULL }, { WEFT_JSON_STRING, "" },
        { WEFT_JSON_OBJECT_BEGIN, NULL }, { WEFT_JSON_OBJECT_END, NULL }, { WEFT_JSON_ARRAY_END, NULL },
        { WEFT_JSON_KEY, "c" }, { WEFT_JSON_STRING, "na\xc3\xafve, and longer than sixteen bytes" },
        { WEFT_JSON_OBJECT_END, NULL }, { WEFT_JSON_END, NULL },
    };
    struct weft_json j;
    (void)state;

    weft_json_init(&j, WEFT_SLICE(" {\"a\": -1.5e3 ,\"b\\n\":[true,false , null,\"\",{ }],\r\n"
                                  "\t\"c\":\"na\xc3\xafve, and longer than sixteen bytes\"} \n"));
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        int token = weft_json_next(&j);
        if (token != expected[i].token)
            fail_msg("token %zu is %d, not %d", i, token, expected[i].token);
        if (expected[i].text && !weft_slice_is(j.text, expected[i].text))
            fail_msg("text %zu is %.*s", i, (int)j.text.len, (const char *)j.text.data);
    }
}

static void an_error_says_where_and_why(void **state)
{
    static const struct { const char *text; size_t offset; const char *reason; } cases[] = {
        { "", 0, "expected a value" },
        { "{\"a\" 1}", 5, "expected a colon" },
        { "{\"a\":1,}", 7, "expected a key" },
        { "[1 2]", 3, "expected a comma or ']'" },
        { "[\"abc\\q\"]", 5, "bad escape in a string" },
        { "[\"a\nb\"]", 3, "control character in a string" },
        { "[\"long enough for a whole block \xff\"]", 32, "string is not UTF-8" },
        { "[\"abc", 5, "string without an end" },
        { "[01]", 1, "not a number of JSON" },
        { "[-]", 1, "not a number of JSON" },
        { "{} x", 3, "text behind the end" },
        { "{\"a\":1", 6, "object without an end" },
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct weft_json j;
        int token;
        weft_json_init(&j, weft_slice_str(cases[i].text));
        while ((token = weft_json_next(&j)) > 0)
            ;
        if (token != WEFT_ERR_MALFORMED || strcmp(j.reason, cases[i].reason) != 0 ||
            (size_t)(j.at - j.start) != cases[i].offset)
            fail_msg("%s: %s at %zu", cases[i].text, j.reason, (size_t)(j.at - j.start));
    }
}

static void depth_ends_at_the_limit(void **state)
{
    char text[2 * WEFT_JSON_MAX_DEPTH + 2];
    (void)state;

    memset(text, '[', WEFT_JSON_MAX_DEPTH);
    memset(text + WEFT_JSON_MAX_DEPTH, ']', WEFT_JSON_MAX_DEPTH);
    assert_int_equal(verdict(weft_slice_of(text, 2 * WEFT_JSON_MAX_DEPTH)), 0);
    memset(text, '[', WEFT_JSON_MAX_DEPTH + 1);
    assert_int_equal(verdict(weft_slice_of(text, sizeof text)), WEFT_ERR_TOO_DEEP);
}

static void a_skip_passes_over_exactly_one_value(void **state)
{
    struct weft_json j;
    struct weft_slice raw;
    (void)state;

    weft_json_init(&j, WEFT_SLICE("{\"a\":{\"x\":[1,{}]} ,\"b\": \"t\\\"xt\" ,\"c\":[] }"));
    assert_int_equal(weft_json_next(&j), WEFT_JSON_OBJECT_BEGIN);
    assert_int_equal(weft_json_next(&j), WEFT_JSON_KEY);
    assert_int_equal(weft_json_next(&j), WEFT_JSON_OBJECT_BEGIN);
    assert_int_equal(weft_json_skip(&j, &raw), 0);
    assert_true(weft_slice_is(raw, "{\"x\":[1,{}]}"));
    assert_int_equal(weft_json_next(&j), WEFT_JSON_KEY);
    assert_int_equal(weft_json_next(&j), WEFT_JSON_STRING);
    assert_int_equal(weft_json_skip(&j, &raw), 0);
    assert_true(weft_slice_is(raw, "\"t\\\"xt\""));
    assert_int_equal(weft_json_next(&j), WEFT_JSON_KEY);
    assert_int_equal(weft_json_skip(&j, &raw), 0); /* from the key */
    assert_true(weft_slice_is(raw, "[]"));
    assert_int_equal(weft_json_next(&j), WEFT_JSON_OBJECT_END);
    assert_int_equal(weft_json_next(&j), WEFT_JSON_END);

    weft_json_init(&j, WEFT_SLICE("[[1,]]"));
    assert_int_equal(weft_json_next(&j), WEFT_JSON_ARRAY_BEGIN);
    assert_int_equal(weft_json_next(&j), WEFT_JSON_ARRAY_BEGIN);
    assert_int_equal(weft_json_skip(&j, NULL), WEFT_ERR_MALFORMED);
}

static const struct { const char *json, *plain; } strings[] = {
    { "\"\"", "" },
    { "\"plain\"", "plain" },
    { "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t" },
    { "\"\\u0041\\u00e9\\u20ac\"", "A\xc3\xa9\xe2\x82\xac" },
    { "\"\\ud83d\\ude00!\"", "\xf0\x9f\x98\x80!" },
    { "\"\\uD83D\"", "\xef\xbf\xbd" },
    { "\"a\\ude00\\ud83db\"", "a\xef\xbf\xbd\xef\xbf\xbd" "b" },
    { "\"\\ud83d\\u0041\"", "\xef\xbf\xbd" "A" },
};

static void escapes_decode_to_what_they_stand_for(void **state)
{
    (void)state;

    for (size_t i = 0; i < sizeof strings / sizeof *strings; i++) {
        struct weft_json j;
        struct weft_buf out;
        weft_buf_init(&out, 1024);
        weft_json_init(&j, weft_slice_str(strings[i].json));
        assert_int_equal(weft_json_next(&j), WEFT_JSON_STRING);
        assert_int_equal(weft_json_unescape(j.text, &out), 0);
        if (!weft_slice_is(weft_buf_slice(&out), strings[i].plain))
            fail_msg("%s", strings[i].json);
        if (!weft_json_text_is(&j, strings[i].plain))
            fail_msg("%s is not found equal", strings[i].json);
        assert_false(weft_json_text_is(&j, "something else"));
        if (strings[i].plain[0]) {
            assert_false(weft_json_text_is(&j, ""));
        }
        weft_buf_release(&out);
    }
}

static void written_strings_are_json_whatever_the_bytes(void **state)
{
    static const struct { const char *bytes, *json; } cases[] = {
        { "", "\"\"" },
        { "plain text of more than sixteen bytes", "\"plain text of more than sixteen bytes\"" },
        { "\"\\/\b\f\n\r\t\x01\x1f\x7f", "\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u001f\x7f\"" },
        { "na\xc3\xafve \xe2\x9c\x93", "\"na\xc3\xafve \xe2\x9c\x93\"" },
        { "bad \xff\xc0\x80 \xed\xa0\x80 \xe2\x9c", "\"bad \xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd "
          "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd \xef\xbf\xbd\xef\xbf\xbd\"" },
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct weft_buf out;
        weft_buf_init(&out, 1024);
        weft_json_put_string(&out, weft_slice_str(cases[i].bytes));
        if (!weft_slice_is(weft_buf_slice(&out), cases[i].json))
            fail_msg("case %zu: %.*s", i, (int)out.len, (const char *)out.data);
        assert_int_equal(verdict(weft_buf_slice(&out)), 0);
        weft_buf_release(&out);
    }
}

static void integers_are_taken_in_range_and_in_any_form(void **state)
{
    static const struct { const char *text; bool is_int, is_uint; int64_t i; uint64_t u; } cases[] = {
        { "0", true, true, 0, 0 },
        { "-0", true, true, 0, 0 },
        { "42", true, true, 42, 42 },
        { "-7", true, false, -7, 0 },
        { "9223372036854775807", true, true, INT64_MAX, INT64_MAX },
        { "9223372036854775808", false, true, 0, (uint64_t)INT64_MAX + 1 },
        { "-9223372036854775808", true, false, INT64_MIN, 0 },
        { "-9223372036854775809", false, false, 0, 0 },
        { "18446744073709551615", false, true, 0, UINT64_MAX },
        { "18446744073709551616", false, false, 0, 0 },
        { "1e3", true, true, 1000, 1000 },
        { "5.0", true, true, 5, 5 },
        { "1.50e1", true, true, 15, 15 },
        { "1795196810435000000.000", true, true, 1795196810435000000, 1795196810435000000 },
        { "100000000000000000000000e-10", true, true, 10000000000000, 10000000000000 },
        { "0e99999999999", true, true, 0, 0 },
        { "0.0000e-99999999999", true, true, 0, 0 },
        { "1.5", false, false, 0, 0 },
        { "1e-1", false, false, 0, 0 },
        { "1e99999999999999999999", false, false, 0, 0 },
        { "1e-99999999999999999999", false, false, 0, 0 },
        { "", false, false, 0, 0 },
        { "01", false, false, 0, 0 },
        { "+1", false, false, 0, 0 },
        { "1 ", false, false, 0, 0 },
        { "0x10", false, false, 0, 0 },
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t s = 0;
        uint64_t u = 0;
        bool is_int = weft_json_int64(weft_slice_str(cases[i].text), &s);
        bool is_uint = weft_json_uint64(weft_slice_str(cases[i].text), &u);
        if (is_int != cases[i].is_int || s != cases[i].i || is_uint != cases[i].is_uint || u != cases[i].u)
            fail_msg("%s: %d %lld, %d %llu", cases[i].text, is_int, (long long)s, is_uint, (unsigned long long)u);
    }
}

static double double_of(const char *text)
{
    double value = -12345;

    if (!weft_json_double(weft_slice_str(text), &value))
        fail_msg("%s is a double", text);
    return value;
}

static void doubles_round_correctly(void **state)
{
    /* hard cases, and the C library's own constants as the oracle */
    static const struct { const char *text; double value; } cases[] = {
        { "0", 0 }, { "1", 1 }, { "59.9", 59.9 }, { "-0.1", -0.1 }, { "1e22", 1e22 }, { "1e23", 1e23 },
        { "9007199254740993", 9007199254740993.0 }, { "9007199254740993.0000000001", 9007199254740994.0 },
        { "2.2250738585072011e-308", 2.2250738585072011e-308 }, { "4.9e-324", 4.9e-324 }, { "1e-400", 0 },
        { "1.7976931348623157e308", 1.7976931348623157e308 }, { "123456789012345678901234567890", 123456789012345678901234567890.0 },
        { "0.000000000000000000000000000000000000000000001234567890123456789", 1.234567890123456789e-45 },
        { "8.988465674311579e+307", 8.988465674311579e+307 }, { "7.2057594037927933e16", 7.2057594037927933e16 },
    };
    char text[2000];
    double value;
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (double_of(cases[i].text) != cases[i].value)
            fail_msg("%s gave %a, not %a", cases[i].text, double_of(cases[i].text), cases[i].value);
    assert_true(signbit(double_of("-0")));
    assert_false(weft_json_double(WEFT_SLICE("1e309"), &value));
    assert_false(weft_json_double(WEFT_SLICE("NaN"), &value));
    assert_false(weft_json_double(WEFT_SLICE("1."), &value));

    /* halfway between two doubles but for a digit a thousand places on */
    (void)snprintf(text, sizeof text, "9007199254740993.%01000d1", 0);
    assert_true(double_of(text) == 9007199254740994.0);
    (void)snprintf(text, sizeof text, "9007199254740993.%01000d", 0);
    assert_true(double_of(text) == 9007199254740992.0);
    (void)snprintf(text, sizeof text, "0.%0300d123e303", 0);
    assert_true(double_of(text) == 123);
    (void)snprintf(text, sizeof text, "1%01000de-1000", 0);
    assert_true(double_of(text) == 1);
}

static void written_doubles_read_back_and_are_short(void **state)
{
    static const struct { double value; const char *text; } cases[] = {
        { 0, "0" }, { -0.0, "-0" }, { 1, "1" }, { -2.5, "-2.5" }, { 59.9, "59.9" }, { 0.1, "0.1" }, { 0.005, "0.005" },
        { 2.324, "2.324" }, { 0.30000000000000004, "0.30000000000000004" }, { 1e300, "1e+300" }, { 1e-7, "0.0000001" },
        { 123456789.125, "123456789.125" }, { 1e15, "1000000000000000" }, { 5e-324, "5e-324" },
    };
    uint64_t random = 88172645463325252u;
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct weft_buf out;
        weft_buf_init(&out, 100);
        weft_json_put_double(&out, cases[i].value);
        if (!weft_slice_is(weft_buf_slice(&out), cases[i].text))
            fail_msg("%s was written as %.*s", cases[i].text, (int)out.len, (const char *)out.data);
        weft_buf_release(&out);
    }
    for (int i = 0; i < 20000; i++) {
        struct weft_buf out;
        double value, back = 0;
        random ^= random << 13, random ^= random >> 7, random ^= random << 17;
        memcpy(&value, &random, sizeof value);
        if (isnan(value) || isinf(value))
            continue;
        weft_buf_init(&out, 100);
        weft_json_put_double(&out, value);
        if (!weft_json_double(weft_buf_slice(&out), &back) || back != value)
            fail_msg("%a came back as %a", value, back);
        weft_buf_release(&out);
    }
}

static void what_is_no_number_is_written_as_a_word(void **state)
{
    static const struct { double value; const char *text; } cases[] = {
        { NAN, "\"NaN\"" }, { INFINITY, "\"Infinity\"" }, { -INFINITY, "\"-Infinity\"" },
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct weft_buf out;
        weft_buf_init(&out, 100);
        weft_json_put_double(&out, cases[i].value);
        assert_true(weft_slice_is(weft_buf_slice(&out), cases[i].text));
        weft_buf_release(&out);
    }
}

static void written_integers_are_exact(void **state)
{
    struct weft_buf out;
    (void)state;

    weft_buf_init(&out, 200);
    weft_json_put_int(&out, INT64_MIN);
    weft_buf_append_byte(&out, ' ');
    weft_json_put_int(&out, -1);
    weft_buf_append_byte(&out, ' ');
    weft_json_put_uint(&out, UINT64_MAX);
    weft_buf_append_byte(&out, ' ');
    weft_json_put_uint(&out, 0);
    assert_true(weft_slice_is(weft_buf_slice(&out), "-9223372036854775808 -1 18446744073709551615 0"));
    weft_buf_release(&out);
}

static void base64_has_its_padding(void **state)
{
    static const struct { const char *bytes, *text; } cases[] = { /* RFC 4648, section 10 */
        { "", "\"\"" }, { "f", "\"Zg==\"" }, { "fo", "\"Zm8=\"" }, { "foo", "\"Zm9v\"" },
        { "foob", "\"Zm9vYg==\"" }, { "fooba", "\"Zm9vYmE=\"" }, { "foobar", "\"Zm9vYmFy\"" },
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct weft_buf out;
        weft_buf_init(&out, 100);
        weft_json_put_base64(&out, weft_slice_str(cases[i].bytes));
        if (!weft_slice_is(weft_buf_slice(&out), cases[i].text))
            fail_msg("%s", cases[i].bytes);
        weft_buf_release(&out);
    }
}

static void a_full_buffer_is_an_error_and_not_a_crash(void **state)
{
    struct weft_buf out;
    (void)state;

    weft_buf_init(&out, 5);
    weft_json_put_string(&out, WEFT_SLICE("1234567"));
    assert_int_equal(out.err, WEFT_ERR_TOO_LARGE);
    weft_buf_reset(&out);
    weft_json_put_base64(&out, WEFT_SLICE("1234567"));
    assert_int_equal(out.err, WEFT_ERR_TOO_LARGE);
    weft_buf_reset(&out);
    assert_int_equal(weft_json_unescape(WEFT_SLICE("1234567"), &out), WEFT_ERR_TOO_LARGE);
    weft_buf_release(&out);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_file_of_the_suite_gets_its_verdict),
        cmocka_unit_test(what_the_rfc_leaves_open_is_decided_the_same_way_each_time),
        cmocka_unit_test(tokens_come_in_order_with_their_text),
        cmocka_unit_test(an_error_says_where_and_why),
        cmocka_unit_test(depth_ends_at_the_limit),
        cmocka_unit_test(a_skip_passes_over_exactly_one_value),
        cmocka_unit_test(escapes_decode_to_what_they_stand_for),
        cmocka_unit_test(written_strings_are_json_whatever_the_bytes),
        cmocka_unit_test(integers_are_taken_in_range_and_in_any_form),
        cmocka_unit_test(doubles_round_correctly),
        cmocka_unit_test(written_doubles_read_back_and_are_short),
        cmocka_unit_test(what_is_no_number_is_written_as_a_word),
        cmocka_unit_test(written_integers_are_exact),
        cmocka_unit_test(base64_has_its_padding),
        cmocka_unit_test(a_full_buffer_is_an_error_and_not_a_crash),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

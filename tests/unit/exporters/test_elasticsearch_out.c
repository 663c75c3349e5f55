/* SPDX-License-Identifier: Apache-2.0 */
/* Text of every short length, with every kind of byte at every place, against the plain writer of core/json.h. */
#include "core/json.h"
#include "exporters/elasticsearch_out.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

enum { LEN_MAX = 50, ROOM = 6 * LEN_MAX + WEFT_ES_SLACK + 2 };

/* The text stands in a block of its own, so that a sanitizer sees a byte read behind it. */
static void compare(struct weft_slice text)
{
    uint8_t room[ROOM];
    struct weft_es_out out = { room, room + sizeof room, false, 0 };
    struct weft_buf want;

    weft_buf_init(&want, ROOM);
    weft_json_put_string(&want, text);
    weft_es_put_string(&out, text);
    const size_t len = (size_t)(out.at - room);
    assert_int_equal(weft_es_text_len(text) + 2, want.len);
    if (out.full || len != want.len || memcmp(room, want.data, len) != 0)
        fail_msg("%zu bytes: %.*s instead of %.*s", text.len, (int)len, (const char *)room, (int)want.len, (const char *)want.data);
    weft_buf_release(&want);
}

static void text_is_written_as_the_plain_writer_writes_it(void **state)
{
    static const char bytes[] = "a\"\\\n\t\b\f\r\x01\x1f \x7f\x80\xc3\xe2\xf0\xff";

    (void)state;
    for (size_t len = 0; len <= LEN_MAX; len++) {
        uint8_t *text = malloc(len ? len : 1);
        assert_non_null(text);
        for (size_t i = 0; i < len; i++)
            text[i] = (uint8_t)('A' + i);
        compare(weft_slice_of(text, len));
        for (size_t at = 0; at < len; at++) {
            for (size_t b = 0; b < sizeof bytes; b++) { /* the zero at the end too */
                text[at] = (uint8_t)bytes[b];
                compare(weft_slice_of(text, len));
            }
            text[at] = (uint8_t)('A' + at);
        }
        free(text);
    }
}

static void epochs_have_six_digits_behind_the_point_or_a_zero(void **state)
{
    static const struct { uint64_t ns; const char *text; } cases[] = {
        { 0, "\"0.0\"" },
        { 1, "\"0.000001\"" },
        { 999999, "\"0.999999\"" },
        { 1000000, "\"1.0\"" },
        { 1705314600000000001u, "\"1705314600000.000001\"" },
        { 1705314600123000000u, "\"1705314600123.0\"" },
        { UINT64_MAX, "\"18446744073709.551615\"" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char room[64];
        struct weft_es_out out = { (uint8_t *)room, (uint8_t *)room + sizeof room, false, 0 };
        weft_es_put_epoch(&out, cases[i].ns);
        *out.at = 0;
        if (strcmp(room, cases[i].text) != 0)
            fail_msg("%llu: %s instead of %s", (unsigned long long)cases[i].ns, room, cases[i].text);
    }
}

static void numbers_have_all_their_digits(void **state)
{
    (void)state;
    for (uint64_t power = 1, n = 1; n <= 20; n++, power *= 10) {
        const uint64_t values[] = { power - 1, power, power + 1 };
        for (size_t i = 0; i < 3; i++) {
            char room[64], want[64];
            struct weft_es_out out = { (uint8_t *)room, (uint8_t *)room + sizeof room, false, 0 };
            weft_es_put_uint(&out, values[i]);
            *out.at = 0;
            (void)snprintf(want, sizeof want, "%llu", (unsigned long long)values[i]);
            assert_string_equal(room, want);
        }
    }
}

static void a_key_that_comes_twice_is_seen(void **state)
{
    static struct weft_es_keys keys;
    char names[WEFT_ES_KEYS][12];

    (void)state;
    for (unsigned i = 0; i < WEFT_ES_KEYS; i++) {
        (void)snprintf(names[i], sizeof names[i], "key%u", i);
        assert_true(weft_es_keys_add(&keys, weft_slice_str(names[i])));
        for (unsigned k = 0; k <= i; k++)
            assert_false(weft_es_keys_add(&keys, weft_slice_str(names[k])));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_is_written_as_the_plain_writer_writes_it),
        cmocka_unit_test(epochs_have_six_digits_behind_the_point_or_a_zero),
        cmocka_unit_test(numbers_have_all_their_digits),
        cmocka_unit_test(a_key_that_comes_twice_is_seen),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "core/wire.h"

#include "core/err.h"
#include "core/otlp.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#define BYTES(...) { (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }) }

static void every_input_has_one_verdict(void **state)
{
    const struct { const char *what; struct weft_slice in; int fields, verdict; } cases[] = {
        { "empty message", { NULL, 0 }, 0, 0 },
        { "one varint", BYTES(0x08, 0x96, 0x01), 1, 0 },
        { "string then varint", BYTES(0x12, 1, 'a', 0x08, 1), 2, 0 },
        { "fixed64", BYTES(0x11, 1, 2, 3, 4, 5, 6, 7, 8), 1, 0 },
        { "fixed64 cut", BYTES(0x11, 1, 2, 3, 4, 5, 6, 7), 0, WEFT_ERR_MALFORMED },
        { "fixed32", BYTES(0x15, 1, 2, 3, 4), 1, 0 },
        { "fixed32 cut", BYTES(0x15, 1, 2, 3), 0, WEFT_ERR_MALFORMED },
        { "empty string", BYTES(0x0a, 0), 1, 0 },
        { "key without value", BYTES(0x08), 0, WEFT_ERR_MALFORMED },
        { "key cut", BYTES(0x88), 0, WEFT_ERR_MALFORMED },
        { "length past the end", BYTES(0x12, 5, 'a'), 0, WEFT_ERR_MALFORMED },
        { "length of 2^31", BYTES(0x12, 0x80, 0x80, 0x80, 0x80, 0x08, 'a'), 0, WEFT_ERR_MALFORMED },
        { "length of 2^64 - 1", BYTES(0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01), 0,
          WEFT_ERR_MALFORMED },
        { "length in six bytes", BYTES(0x12, 0x81, 0x80, 0x80, 0x80, 0x80, 0x00, 'a'), 0, WEFT_ERR_MALFORMED },
        { "length in five bytes, not minimal", BYTES(0x12, 0x81, 0x80, 0x80, 0x80, 0x00, 'a'), 1, 0 },
        { "varint never ends", BYTES(0x08, 0xff, 0xff), 0, WEFT_ERR_MALFORMED },
        { "varint of ten bytes", BYTES(0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01), 1, 0 },
        { "varint of eleven bytes", BYTES(0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01), 0,
          WEFT_ERR_MALFORMED },
        { "field number zero", BYTES(0x00, 0x01), 0, WEFT_ERR_MALFORMED },
        { "field number zero in two bytes", BYTES(0x80, 0x00, 0x01), 0, WEFT_ERR_MALFORMED },
        { "largest field number", BYTES(0xf8, 0xff, 0xff, 0xff, 0x0f, 0x01), 1, 0 },
        { "field number of 2^29", BYTES(0x80, 0x80, 0x80, 0x80, 0x10, 0x01), 0, WEFT_ERR_MALFORMED },
        { "key in six bytes", BYTES(0x88, 0x80, 0x80, 0x80, 0x80, 0x00, 0x01), 0, WEFT_ERR_MALFORMED },
        { "start of a group", BYTES(0x0b), 0, WEFT_ERR_MALFORMED },
        { "end of a group", BYTES(0x0c), 0, WEFT_ERR_MALFORMED },
        { "wire type 6", BYTES(0x0e, 1), 0, WEFT_ERR_MALFORMED },
        { "wire type 7", BYTES(0x0f, 1), 0, WEFT_ERR_MALFORMED },
        { "good field, then junk", BYTES(0x08, 1, 0xff), 1, WEFT_ERR_MALFORMED },
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint8_t *exact = malloc(cases[i].in.len + 1);
        assert_non_null(exact);
        if (cases[i].in.len > 0)
            memcpy(exact + 1, cases[i].in.data, cases[i].in.len); /* ends where the sanitizer sees it */
        struct weft_slice rest = weft_slice_of(exact + 1, cases[i].in.len);
        struct weft_field field = { .number = 12345 };
        int fields = 0, verdict;

        while ((verdict = weft_wire_next(&rest, &field)) > 0)
            fields++;
        if (fields != cases[i].fields || verdict != cases[i].verdict)
            fail_msg("%s: %d fields, verdict %d", cases[i].what, fields, verdict);
        if (fields == 0 && field.number != 12345)
            fail_msg("%s: wrote a field without success", cases[i].what);
        free(exact);
    }
}

static const uint64_t numbers[] = { 0, 1, 127, 128, 300, 16383, 16384, UINT32_MAX, 1ull << 35, INT64_MAX, UINT64_MAX };
enum { NUMBERS = sizeof numbers / sizeof *numbers };

static void what_is_written_is_read_back(void **state)
{
    struct weft_buf b;
    struct weft_field f;
    (void)state;

    weft_buf_init(&b, 4096);
    for (size_t i = 0; i < NUMBERS; i++) {
        const uint32_t number = i % 2 ? 1 : 0x1fffffff;

        weft_buf_reset(&b);
        weft_wire_put_varint(&b, number, numbers[i]);
        weft_wire_put_fixed64(&b, number, numbers[i]);
        weft_wire_put_fixed32(&b, number, (uint32_t)numbers[i]);
        weft_wire_put_bytes(&b, number, WEFT_SLICE("weft"));

        struct weft_slice rest = weft_buf_slice(&b);
        assert_int_equal(weft_wire_next(&rest, &f), 1);
        assert_true(f.number == number && f.type == WEFT_VARINT && f.scalar == numbers[i]);
        assert_int_equal(weft_wire_next(&rest, &f), 1);
        assert_true(f.number == number && f.type == WEFT_FIXED64 && f.scalar == numbers[i]);
        assert_int_equal(weft_wire_next(&rest, &f), 1);
        assert_true(f.number == number && f.type == WEFT_FIXED32 && f.scalar == (uint32_t)numbers[i]);
        assert_int_equal(weft_wire_next(&rest, &f), 1);
        assert_true(f.number == number && f.type == WEFT_LENGTH && weft_slice_is(f.bytes, "weft"));
        assert_int_equal(weft_wire_next(&rest, &f), 0);
    }
    weft_buf_release(&b);
}

static void a_varint_is_as_long_as_its_size_says(void **state)
{
    struct weft_buf b;
    uint64_t value;
    (void)state;

    weft_buf_init(&b, 64);
    for (size_t i = 0; i < NUMBERS; i++) {
        weft_buf_reset(&b);
        weft_wire_put_raw_varint(&b, numbers[i]);
        assert_int_equal(b.len, weft_wire_varint_size(numbers[i]));

        struct weft_slice rest = weft_buf_slice(&b);
        assert_int_equal(weft_wire_next_varint(&rest, &value), 1);
        assert_true(value == numbers[i]);
        assert_int_equal(weft_wire_next_varint(&rest, &value), 0);
    }
    weft_buf_release(&b);
}

/* Three levels, with contents on both sides of each length of a length. */
static void nested_messages_close_to_the_right_length(void **state)
{
    static const size_t sizes[] = { 0, 1, 120, 125, 127, 128, 129, 16380, 16383, 16384, 20000 };
    static uint8_t content[20000];
    struct weft_buf b;
    (void)state;

    weft_buf_init(&b, 1 << 20);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct weft_slice rest, bytes;

        weft_buf_reset(&b);
        const size_t outer = weft_wire_begin_wide(&b, 1);
        const size_t middle = weft_wire_begin(&b, 2000);
        const size_t inner = weft_wire_begin(&b, 3);
        weft_buf_append(&b, content, sizes[i]);
        weft_wire_end(&b, inner);
        weft_wire_end(&b, middle);
        weft_wire_end_wide(&b, outer);
        weft_wire_put_varint(&b, 9, 1);

        rest = weft_buf_slice(&b);
        assert_int_equal(weft_wire_next_bytes(&rest, 1, &bytes), 1);
        assert_int_equal(weft_wire_next_bytes(&bytes, 2000, &bytes), 1);
        assert_int_equal(weft_wire_next_bytes(&bytes, 3, &bytes), 1);
        if (bytes.len != sizes[i])
            fail_msg("%zu bytes came back as %zu", sizes[i], bytes.len);
        assert_int_equal(rest.len, 2);
    }
    weft_buf_release(&b);
}

static void a_full_buffer_is_an_error_that_sticks(void **state)
{
    (void)state;

    for (size_t limit = 0; limit < 60; limit++) {
        struct weft_buf b;

        weft_buf_init(&b, limit);
        const size_t outer = weft_wire_begin_wide(&b, 1), inner = weft_wire_begin(&b, 2);
        weft_wire_put_bytes(&b, 1, WEFT_SLICE("0123456789"));
        weft_attribute_put_string(&b, 9, WEFT_SLICE("key"), WEFT_SLICE("value"));
        weft_wire_put_double(&b, 3, 0.5);
        weft_wire_end(&b, inner);
        weft_wire_end_wide(&b, outer);
        if (limit < 40 ? b.err != WEFT_ERR_TOO_LARGE : b.len > limit)
            fail_msg("limit %zu: err %d, %zu bytes", limit, b.err, b.len);
        weft_buf_release(&b);
    }
}

static void an_attribute_reads_back_as_it_was_built(void **state)
{
    struct weft_buf b;
    struct weft_any v;
    (void)state;

    weft_buf_init(&b, 4096);
    weft_attribute_put_string(&b, 9, WEFT_SLICE("text"), WEFT_SLICE("twice"));
    weft_attribute_put_string(&b, 9, WEFT_SLICE("text"), WEFT_SLICE("t"));
    weft_attribute_put_int(&b, 9, WEFT_SLICE("int"), INT64_MIN);
    weft_attribute_put_double(&b, 9, WEFT_SLICE("double"), -0.25);
    weft_attribute_put_bool(&b, 9, WEFT_SLICE("bool"), true);
    weft_any_put_bytes(&b, 5, WEFT_SLICE("\x01\x02"));

    const struct weft_slice m = weft_buf_slice(&b);
    assert_int_equal(weft_attribute_find(m, 9, WEFT_SLICE("text"), &v), 1);
    assert_true(v.kind == WEFT_ANY_STRING && weft_slice_is(v.bytes, "t"));
    assert_int_equal(weft_attribute_find(m, 9, WEFT_SLICE("int"), &v), 1);
    assert_true(v.kind == WEFT_ANY_INT && v.integer == INT64_MIN);
    assert_int_equal(weft_attribute_find(m, 9, WEFT_SLICE("double"), &v), 1);
    assert_true(v.kind == WEFT_ANY_DOUBLE && v.real == -0.25);
    assert_int_equal(weft_attribute_find(m, 9, WEFT_SLICE("bool"), &v), 1);
    assert_true(v.kind == WEFT_ANY_BOOL && v.integer == 1);
    assert_int_equal(weft_attribute_find(m, 9, WEFT_SLICE("none"), &v), 0);
    assert_int_equal(weft_attribute_find(m, 8, WEFT_SLICE("text"), &v), 0);
    weft_buf_release(&b);
}

static void hex_is_read_in_any_case_and_written_in_lower(void **state)
{
    uint8_t id[16] = { 0 };
    char text[33];
    (void)state;

    assert_true(weft_hex_read(WEFT_SLICE("0af7651916cd43dd8448EB211C80319C"), id, 16));
    weft_hex_write(weft_slice_of(id, 16), text);
    assert_string_equal(text, "0af7651916cd43dd8448eb211c80319c");
    assert_true(weft_id_valid(weft_slice_of(id, 16), 16));
    assert_false(weft_id_valid(weft_slice_of(id, 15), 16));
    assert_false(weft_id_valid(weft_slice_of((uint8_t[8]){ 0 }, 8), 8));
    assert_false(weft_hex_read(WEFT_SLICE("0af7651916cd43dd8448eb211c80319"), id, 16));
    assert_false(weft_hex_read(WEFT_SLICE("0af7651916cd43dd8448eb211c80319g"), id, 16));
    assert_false(weft_hex_read(WEFT_SLICE("0af7651916cd43dd8448eb211c80319@"), id, 16));
}

/* A whole id, half of one, and what is left over behind blocks of eight bytes. */
static void every_byte_that_is_no_hex_digit_is_refused_wherever_it_stands(void **state)
{
    static const size_t sizes[] = { 1, 7, 8, 15, 16 };
    uint8_t id[16];
    char text[33];

    (void)state;
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        const size_t n = sizes[s], len = 2 * n;
        for (size_t at = 0; at < len; at++) {
            for (int c = 0; c < 256; c++) {
                const char *digits = "0123456789abcdefABCDEF", *found = c ? strchr(digits, c) : NULL;
                memset(text, '7', len);
                text[at] = (char)c;
                bool good = weft_hex_read(weft_slice_of(text, len), id, n);
                if (good != (found != NULL))
                    fail_msg("byte %d at %zu of %zu: %s", c, at, len, good ? "taken" : "refused");
                if (!found)
                    continue;
                const int value = (int)(found - digits) - (found - digits > 15 ? 6 : 0);
                const int whole = id[at / 2], digit = at % 2 ? whole & 15 : whole >> 4, other = at % 2 ? whole >> 4 : whole & 15;
                if (digit != value || other != 7)
                    fail_msg("digit %c at %zu of %zu: 0x%02x", c, at, len, (unsigned)whole);
                weft_hex_write(weft_slice_of(id, n), text);
                assert_int_equal(strlen(text), len);
                assert_int_equal(text[at], digits[value]);
            }
        }
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_input_has_one_verdict),
        cmocka_unit_test(what_is_written_is_read_back),
        cmocka_unit_test(a_varint_is_as_long_as_its_size_says),
        cmocka_unit_test(nested_messages_close_to_the_right_length),
        cmocka_unit_test(a_full_buffer_is_an_error_that_sticks),
        cmocka_unit_test(an_attribute_reads_back_as_it_was_built),
        cmocka_unit_test(hex_is_read_in_any_case_and_written_in_lower),
        cmocka_unit_test(every_byte_that_is_no_hex_digit_is_refused_wherever_it_stands),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

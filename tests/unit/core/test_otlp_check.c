/* SPDX-License-Identifier: Apache-2.0 */
/* Cases of the walk and the check that random messages hit rarely or cannot judge. */
#include "core/otlp.h"

#include "core/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

/* A request of one log record whose body is an array in an array ..., `levels` arrays deep. */
static void put_deep_body(struct weft_buf *b, unsigned levels)
{
    size_t marks[2 * WEFT_OTLP_MAX_DEPTH];
    const struct weft_otlp_group group = weft_otlp_group_open(b, (struct weft_slice){ 0 }, (struct weft_slice){ 0 });
    const size_t item = weft_wire_begin(b, WEFT_OTLP_ITEMS), body = weft_wire_begin(b, WEFT_LOG_BODY);

    for (unsigned i = 0; i < levels; i++) {
        marks[2 * i] = weft_wire_begin(b, WEFT_VALUE_ARRAY);
        marks[2 * i + 1] = weft_wire_begin(b, WEFT_ARRAY_VALUES);
    }
    for (unsigned i = 2 * levels; i > 0; i--)
        weft_wire_end(b, marks[i - 1]);
    weft_wire_end(b, body);
    weft_wire_end(b, item);
    weft_otlp_group_close(b, group);
}

static void nesting_has_a_limit(void **state)
{
    /* request, resource group, scope group, log, body; each array takes itself and the value in it. */
    const unsigned deepest = (WEFT_OTLP_MAX_DEPTH - 5) / 2;
    struct weft_buf b;
    uint32_t items;
    (void)state;

    weft_buf_init(&b, 1 << 20);
    put_deep_body(&b, deepest);
    assert_int_equal(weft_otlp_count(WEFT_LOGS, weft_buf_slice(&b), &items), 0);
    assert_int_equal(items, 1);
    weft_buf_reset(&b);
    put_deep_body(&b, deepest + 1);
    assert_int_equal(weft_otlp_count(WEFT_LOGS, weft_buf_slice(&b), &items), WEFT_ERR_MALFORMED);
    weft_buf_release(&b);
}

#define SPAN(name) "\x12\x03\x2a\x01" name

static void the_walk_finds_what_stands_behind_the_items(void **state)
{
    /* Scope groups before the resource; spans before the scope; an empty scope group; schema URLs first. */
    static const char payload[] = "\x0a\x1c"
                                  "\x12\x0f" "\x1a\x01" "u" SPAN("a") SPAN("b") "\x0a\x00"
                                  "\x12\x00"
                                  "\x1a\x01" "U"
                                  "\x0a\x04" "\x0a\x02\x0a\x00"
                                  "\x0a\x00"
                                  "\x0a\x07" "\x12\x05" SPAN("c");
    static const char names[] = "abc";
    struct weft_otlp_walk w;
    struct weft_span_view span;
    uint32_t items;
    (void)state;

    const struct weft_slice bytes = weft_slice_of(payload, sizeof payload - 1);
    assert_int_equal(weft_otlp_count(WEFT_TRACES, bytes, &items), 0);
    assert_int_equal(items, 3);
    weft_otlp_walk_init(&w, bytes);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(weft_otlp_walk_next(&w), 1);
        assert_int_equal(weft_span_read(w.item, &span), 0);
        assert_int_equal(span.name.data[0], names[i]);
        assert_int_equal(w.new_resource + w.new_scope, i == 1 ? 0 : 2);
        assert_int_equal(w.resource.len, i < 2 ? 4 : 0);
        assert_int_equal(w.resource_schema_url.len, i < 2);
        assert_int_equal(w.scope_schema_url.len, i < 2);
    }
    assert_int_equal(weft_otlp_walk_next(&w), 0);
}

static void known_fields_have_one_wire_type(void **state)
{
    /* Each is one span (log, gauge) with one field in it. */
    const struct { const char *what; enum weft_signal signal; struct weft_slice item; int verdict; } cases[] = {
        { "trace id as varint", WEFT_TRACES, WEFT_SLICE("\x08\x01"), WEFT_ERR_MALFORMED },
        { "kind as string", WEFT_TRACES, WEFT_SLICE("\x32\x00"), WEFT_ERR_MALFORMED },
        { "start as varint", WEFT_TRACES, WEFT_SLICE("\x38\x01"), WEFT_ERR_MALFORMED },
        { "flags as fixed64", WEFT_TRACES, WEFT_SLICE("\x81\x01" "12345678"), WEFT_ERR_MALFORMED },
        { "flags as fixed32", WEFT_TRACES, WEFT_SLICE("\x85\x01" "1234"), 0 },
        { "unknown field 17", WEFT_TRACES, WEFT_SLICE("\x88\x01\x01"), 0 },
        { "attribute whose value is cut", WEFT_TRACES, WEFT_SLICE("\x4a\x04\x12\x02\x0a\x05"), WEFT_ERR_MALFORMED },
        { "attribute whose value is whole", WEFT_TRACES, WEFT_SLICE("\x4a\x04\x12\x02\x0a\x00"), 0 },
        { "reserved field 4 of a log", WEFT_LOGS, WEFT_SLICE("\x20\x01"), 0 },
        { "severity as fixed32", WEFT_LOGS, WEFT_SLICE("\x15" "1234"), WEFT_ERR_MALFORMED },
        { "gauge as varint", WEFT_METRICS, WEFT_SLICE("\x28\x01"), WEFT_ERR_MALFORMED },
        { "bucket counts, packed, nine bytes", WEFT_METRICS,
          WEFT_SLICE("\x4a\x0d\x0a\x0b\x32\x09" "123456789"), WEFT_ERR_MALFORMED },
        { "bucket counts, packed, eight bytes", WEFT_METRICS, WEFT_SLICE("\x4a\x0c\x0a\x0a\x32\x08" "12345678"), 0 },
        { "bucket counts as varint", WEFT_METRICS, WEFT_SLICE("\x4a\x04\x0a\x02\x30\x01"), WEFT_ERR_MALFORMED },
    };
    struct weft_buf b;
    uint32_t items;
    (void)state;

    weft_buf_init(&b, 4096);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        weft_buf_reset(&b);
        const struct weft_otlp_group group = weft_otlp_group_open(&b, (struct weft_slice){ 0 }, (struct weft_slice){ 0 });
        weft_wire_put_bytes(&b, WEFT_OTLP_ITEMS, cases[i].item);
        weft_otlp_group_close(&b, group);
        int verdict = weft_otlp_count(cases[i].signal, weft_buf_slice(&b), &items);
        if (verdict != cases[i].verdict)
            fail_msg("%s: verdict %d", cases[i].what, verdict);
    }
    weft_buf_release(&b);
}

static void two_resources_in_one_group_are_refused(void **state)
{
    uint32_t items;
    (void)state;

    assert_int_equal(weft_otlp_count(WEFT_LOGS, WEFT_SLICE("\x0a\x04\x0a\x00\x0a\x00"), &items), WEFT_ERR_MALFORMED);
    assert_int_equal(weft_otlp_count(WEFT_LOGS, WEFT_SLICE("\x0a\x06\x12\x04\x0a\x00\x0a\x00"), &items),
                     WEFT_ERR_MALFORMED);
    assert_int_equal(weft_otlp_count(WEFT_LOGS, WEFT_SLICE("\x0a\x02\x0a\x00\x0a\x02\x0a\x00"), &items), 0);
    assert_int_equal(items, 0);
}

static void an_empty_request_holds_nothing(void **state)
{
    uint32_t items = 7;
    (void)state;

    assert_int_equal(weft_otlp_count(WEFT_TRACES, (struct weft_slice){ 0 }, &items), 0);
    assert_int_equal(items, 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nesting_has_a_limit),
        cmocka_unit_test(the_walk_finds_what_stands_behind_the_items),
        cmocka_unit_test(known_fields_have_one_wire_type),
        cmocka_unit_test(two_resources_in_one_group_are_refused),
        cmocka_unit_test(an_empty_request_holds_nothing),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

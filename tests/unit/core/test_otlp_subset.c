/* SPDX-License-Identifier: Apache-2.0 */
#include "core/otlp_subset.h"
#include "exporters/otlp.h"
#include "tests/support/fake_lane.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

struct fixture {
    struct weft_buf payloads[3], out;
    struct weft_batch batch;
    struct weft_record records[3];
    uint8_t states[64];
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    weft_buf_init(&f->out, 1u << 20);
    for (size_t i = 0; i < 3; i++)
        weft_buf_init(&f->payloads[i], 1u << 20);
    f->batch = (struct weft_batch){ .records = f->records, .n_records = 3, .item_state = f->states };
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    weft_buf_release(&f->out);
    for (size_t i = 0; i < 3; i++)
        weft_buf_release(&f->payloads[i]);
    free(f);
    return 0;
}

static void use_payloads(struct fixture *f, enum weft_signal signal)
{
    f->batch.signal = signal;
    f->batch.n_items = 0;
    for (size_t i = 0; i < 3; i++) {
        f->records[i].payload = weft_buf_slice(&f->payloads[i]);
        assert_int_equal(weft_otlp_count(signal, f->records[i].payload, &f->records[i].n_items), 0);
        f->batch.n_items += f->records[i].n_items;
    }
}

/* states: one letter an item, 'w' for waiting */
static uint64_t subset(struct fixture *f, const char *states, uint64_t first, uint64_t end)
{
    uint64_t n;

    for (size_t i = 0; states[i]; i++)
        f->states[i] = states[i] == 'w' ? WEFT_ITEM_WAITING : WEFT_ITEM_SENT;
    weft_buf_reset(&f->out);
    assert_int_equal(weft_otlp_subset(&f->batch, first, end, &f->out, &n), 0);
    return n;
}

static void the_items_that_wait_are_taken_and_no_others(void **state)
{
    struct fixture *f = *state;
    const struct { const char *states; uint64_t first, end; const char *names; } cases[] = {
        { "wwwwwwwww", 0, 9, "item-0 item-1 item-2 item-3 item-4 item-5 item-6 item-7 item-8 " },
        { "wwwwwwwww", 2, 5, "item-2 item-3 item-4 " },
        { "wwwwwwwww", 4, 99, "item-4 item-5 item-6 item-7 item-8 " },
        { "wsswwwsss", 0, 9, "item-0 item-3 item-4 item-5 " },
        { "sssswssss", 0, 9, "item-4 " },
        { "sssssssss", 0, 9, "" },
        { "wwwwwwwww", 3, 3, "" },
    };

    for (unsigned i = 0; i < 3; i++)
        fake_payload(&f->payloads[i], WEFT_TRACES, "shop", i * 3, 3);
    use_payloads(f, WEFT_TRACES);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint64_t n = subset(f, cases[i].states, cases[i].first, cases[i].end);
        uint32_t count;
        const char *names = fake_payload_names(WEFT_TRACES, weft_buf_slice(&f->out));
        if (strcmp(names, cases[i].names) != 0)
            fail_msg("%s [%d,%d): %s", cases[i].states, (int)cases[i].first, (int)cases[i].end, names);
        assert_int_equal(weft_otlp_count(WEFT_TRACES, weft_buf_slice(&f->out), &count), 0);
        assert_int_equal(count, n);
    }
}

static void resource_and_scope_stay_with_their_items(void **state)
{
    struct fixture *f = *state;
    struct weft_otlp_walk w;
    struct weft_any name;

    fake_payload(&f->payloads[0], WEFT_TRACES, "cart", 0, 2);
    fake_payload(&f->payloads[0], WEFT_TRACES, "stock", 2, 1); /* a second group in the same request */
    fake_payload(&f->payloads[1], WEFT_TRACES, "pay", 3, 2);
    use_payloads(f, WEFT_TRACES);
    assert_int_equal(subset(f, "wswsw", 0, 5), 3);

    const char *const services[] = { "cart", "stock", "pay" };
    weft_otlp_walk_init(&w, weft_buf_slice(&f->out));
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(weft_otlp_walk_next(&w), 1);
        assert_true(w.new_resource);
        assert_int_equal(weft_attribute_find(w.resource, WEFT_RESOURCE_ATTRIBUTES, WEFT_SLICE("service.name"), &name), 1);
        if (!weft_slice_is(name.bytes, services[i]))
            fail_msg("item %zu has lost its resource", i);
    }
    assert_int_equal(weft_otlp_walk_next(&w), 0);
}

/* One gauge with `n` points of the values from, from + 1, ..., and a metric without any points. */
static void gauge(struct weft_buf *out, const char *name, unsigned from, unsigned n)
{
    struct weft_otlp_group g = weft_otlp_group_open(out, weft_slice_of(NULL, 0), weft_slice_of(NULL, 0));
    size_t metric = weft_wire_begin(out, WEFT_OTLP_ITEMS);

    weft_wire_put_bytes(out, 1, weft_slice_str(name));
    weft_wire_put_bytes(out, 6, WEFT_SLICE("a field of tomorrow"));
    size_t overridden = weft_wire_begin(out, WEFT_METRIC_SUM); /* of a oneof the last wins */
    weft_wire_put_bytes(out, 1, WEFT_SLICE(""));
    weft_wire_end(out, overridden);
    size_t data = weft_wire_begin(out, WEFT_METRIC_GAUGE);
    for (unsigned i = from; i < from + n; i++) {
        size_t point = weft_wire_begin(out, 1);
        weft_wire_put_fixed64(out, 6, i);
        weft_wire_end(out, point);
    }
    weft_wire_end(out, data);
    weft_wire_put_bytes(out, 3, WEFT_SLICE("By"));
    weft_wire_end(out, metric);
    metric = weft_wire_begin(out, WEFT_OTLP_ITEMS);
    weft_wire_put_bytes(out, 1, WEFT_SLICE("empty"));
    weft_wire_end(out, metric);
    weft_otlp_group_close(out, g);
}

static void a_metric_keeps_the_points_that_wait(void **state)
{
    struct fixture *f = *state;
    struct weft_otlp_walk w;
    struct weft_metric_view m;
    char text[256] = "";

    gauge(&f->payloads[0], "a", 0, 3);
    gauge(&f->payloads[1], "b", 3, 1);
    gauge(&f->payloads[2], "c", 4, 2);
    use_payloads(f, WEFT_METRICS);
    assert_int_equal(f->batch.n_items, 6);
    assert_int_equal(subset(f, "wswsww", 0, 6), 4);

    weft_otlp_walk_init(&w, weft_buf_slice(&f->out));
    while (weft_otlp_walk_next(&w) == 1) {
        assert_int_equal(weft_metric_read(w.item, &m), 0);
        size_t at = strlen(text);
        at += (size_t)snprintf(text + at, sizeof text - at, "%.*s/%.*s", (int)m.name.len, (const char *)m.name.data,
                               (int)m.unit.len, (const char *)m.unit.data);
        struct weft_slice rest = m.data, point;
        struct weft_number_point p;
        while (weft_metric_point_next(&rest, &point) == 1) {
            assert_int_equal(weft_number_point_read(point, &p), 0);
            at += (size_t)snprintf(text + at, sizeof text - at, " %d", (int)p.integer);
        }
        (void)snprintf(text + at, sizeof text - at, "; ");
    }
    assert_string_equal(text, "a/By 0 2; c/By 4 5; ");
}

static void a_run_is_cut_out_of_a_payload_whatever_its_state(void **state)
{
    struct fixture *f = *state;
    const struct { uint64_t first, end; const char *names; } cases[] = {
        { 0, 5, "item-0 item-1 item-2 item-3 item-4 " }, { 1, 3, "item-1 item-2 " }, { 4, 9, "item-4 " }, { 2, 2, "" }, { 2, 3, "item-2 " }, { 3, 4, "item-3 " },
    };

    fake_payload(&f->payloads[0], WEFT_LOGS, "shop", 0, 3);
    fake_payload(&f->payloads[0], WEFT_LOGS, "cart", 3, 2);
    struct weft_otlp_cutter c;
    weft_otlp_cutter_begin(&c, WEFT_LOGS, weft_buf_slice(&f->payloads[0]));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        weft_buf_reset(&f->out);
        assert_int_equal(weft_otlp_cutter_cut(&c, cases[i].first, cases[i].end, &f->out), 0);
        const char *names = fake_payload_names(WEFT_LOGS, weft_buf_slice(&f->out));
        if (strcmp(names, cases[i].names) != 0)
            fail_msg("[%d,%d): %s", (int)cases[i].first, (int)cases[i].end, names);
    }
}

static void a_broken_payload_and_a_full_buffer_are_errors(void **state)
{
    struct fixture *f = *state;
    uint64_t n;

    fake_payload(&f->payloads[0], WEFT_LOGS, "shop", 0, 3);
    use_payloads(f, WEFT_LOGS);
    f->payloads[0].data[0] = 0x0b;
    assert_true(weft_otlp_subset(&f->batch, 0, 3, &f->out, &n) < 0);
    f->payloads[0].data[0] = 0x0a;
    weft_buf_release(&f->out);
    weft_buf_init(&f->out, 20);
    assert_true(weft_otlp_subset(&f->batch, 0, 3, &f->out, &n) < 0);
    assert_true(f->out.err < 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_items_that_wait_are_taken_and_no_others, setup, teardown),
        cmocka_unit_test_setup_teardown(resource_and_scope_stay_with_their_items, setup, teardown),
        cmocka_unit_test_setup_teardown(a_metric_keeps_the_points_that_wait, setup, teardown),
        cmocka_unit_test_setup_teardown(a_run_is_cut_out_of_a_payload_whatever_its_state, setup, teardown),
        cmocka_unit_test_setup_teardown(a_broken_payload_and_a_full_buffer_are_errors, setup, teardown),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/demo.h"
#include "core/json.h"
#include "core/otlp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { REQUESTS = 2000 };
static const uint64_t now_ns = 1795204677499122710u;

static void set_up(struct weft_demo_spans *spans)
{
    memset(spans, 0, sizeof *spans);
    for (int i = 0; i < WEFT_DEMO_SERVICES; i++)
        weft_buf_init(&spans->items[i], 16 << 20);
}

static void tear_down(struct weft_demo_spans *spans, struct weft_buf *body)
{
    for (int i = 0; i < WEFT_DEMO_SERVICES; i++)
        weft_buf_release(&spans->items[i]);
    weft_buf_release(body);
}

static void spans_lie_within_their_parents_and_end_now(void **state)
{
    struct weft_demo_random chance = { 1 };
    struct weft_demo_request q;
    (void)state;

    for (int n = 0; n < REQUESTS; n++) {
        weft_demo_request_make(&chance, now_ns, &q);
        assert_int_equal(q.spans[0].end_ns, now_ns);
        for (size_t i = 1; i < WEFT_DEMO_SPANS; i++) {
            const struct weft_demo_span *s = &q.spans[i], *parent = &q.spans[s->parent];
            if (s->start_ns < parent->start_ns || s->end_ns > parent->end_ns || s->start_ns >= s->end_ns)
                fail_msg("request %d: span %zu (%s) sticks out of %s", n, i, s->name, parent->name);
        }
    }
}

static void every_request_touches_all_four_services_in_spans_and_lines(void **state)
{
    struct weft_demo_random chance = { 2 };
    struct weft_demo_request q;
    int outcomes[WEFT_DEMO_OUTCOMES] = { 0 };
    (void)state;

    for (int n = 0; n < REQUESTS; n++) {
        unsigned spans = 0, lines = 0;
        bool error = false, exception = false;
        weft_demo_request_make(&chance, now_ns, &q);
        outcomes[q.outcome]++;
        for (size_t i = 0; i < WEFT_DEMO_SPANS; i++) {
            spans |= 1u << q.spans[i].service;
            exception |= q.spans[i].exception != NULL;
        }
        for (size_t i = 0; i < q.n_lines; i++) {
            lines |= 1u << q.spans[q.lines[i].span].service;
            error |= q.lines[i].level == 50;
        }
        bool failed = q.outcome == WEFT_DEMO_DECLINED || q.outcome == WEFT_DEMO_BROKEN;
        if (spans != 15 || lines != 15 || error != failed || exception != failed || (q.status >= 400) != failed)
            fail_msg("request %d, outcome %d: services %x in spans, %x in lines", n, q.outcome, spans, lines);
    }
    for (int i = 0; i < WEFT_DEMO_OUTCOMES; i++)
        assert_in_range(outcomes[i], REQUESTS / 50, REQUESTS);
}

static void what_is_sent_is_well_formed_OTLP(void **state)
{
    struct weft_demo_random chance = { 3 };
    struct weft_demo_spans spans;
    struct weft_demo_metrics metrics = { .start_ns = 1, .stock = { 500, 500, 500 } };
    struct weft_demo_request q;
    struct weft_buf body;
    uint32_t items;
    (void)state;

    set_up(&spans);
    weft_buf_init(&body, 64 << 20);
    for (int n = 0; n < 100; n++) {
        weft_demo_request_make(&chance, now_ns, &q);
        assert_true(weft_demo_spans_add(&spans, &q));
        weft_demo_metrics_add(&metrics, &q);
    }
    weft_demo_spans_take(&spans, &body);
    assert_int_equal(weft_otlp_count(WEFT_TRACES, weft_buf_slice(&body), &items), 0);
    assert_int_equal(items, 100 * WEFT_DEMO_SPANS);
    assert_int_equal(spans.n_spans, 0);

    struct weft_otlp_walk walk;
    struct weft_any value;
    int resources = 0, roots = 0;
    weft_otlp_walk_init(&walk, weft_buf_slice(&body));
    while (weft_otlp_walk_next(&walk) == 1) {
        struct weft_span_view span;
        assert_int_equal(weft_span_read(walk.item, &span), 0);
        resources += walk.new_resource;
        if (span.parent_span_id.len == 0) {
            roots++;
            assert_int_equal(weft_attribute_find(walk.item, WEFT_SPAN_ATTRIBUTES, WEFT_SLICE("correlation.id"), &value), 1);
            assert_int_equal(value.bytes.len, 36);
        }
    }
    assert_int_equal(resources, WEFT_DEMO_SERVICES);
    assert_int_equal(roots, 100);

    weft_buf_reset(&body);
    weft_demo_metrics_write(&metrics, now_ns, &body);
    assert_int_equal(weft_otlp_count(WEFT_METRICS, weft_buf_slice(&body), &items), 0);
    assert_in_range(items, 4 + 3 + 1 + 3, 12 + 3 + 1 + 3);
    tear_down(&spans, &body);
}

static void a_request_that_does_not_fit_leaves_nothing_behind(void **state)
{
    struct weft_demo_random chance = { 4 };
    struct weft_demo_spans spans;
    struct weft_demo_request q;
    struct weft_buf body;
    uint32_t items;
    size_t taken = 0;
    (void)state;

    memset(&spans, 0, sizeof spans);
    for (int i = 0; i < WEFT_DEMO_SERVICES; i++)
        weft_buf_init(&spans.items[i], 6000);
    weft_buf_init(&body, 1 << 20);
    do {
        weft_demo_request_make(&chance, now_ns, &q);
    } while (weft_demo_spans_add(&spans, &q) && ++taken < 100);
    assert_in_range(taken, 1, 99);
    assert_int_equal(spans.n_spans, taken * WEFT_DEMO_SPANS);
    weft_demo_spans_take(&spans, &body);
    assert_int_equal(weft_otlp_count(WEFT_TRACES, weft_buf_slice(&body), &items), 0);
    assert_int_equal(items, taken * WEFT_DEMO_SPANS);
    tear_down(&spans, &body);
}

static void log_lines_are_JSON_with_the_IDs_of_their_span(void **state)
{
    static const char *const wanted[] = { "level", "time", "pid", "hostname", "name", "correlation_id", "trace_id", "span_id", "msg" };
    struct weft_demo_random chance = { 5 };
    struct weft_demo_request q;
    struct weft_buf line;
    (void)state;

    weft_buf_init(&line, 4096);
    for (int n = 0; n < 200; n++) {
        weft_demo_request_make(&chance, now_ns, &q);
        for (size_t i = 0; i < q.n_lines; i++) {
            unsigned found = 0;
            struct weft_json j;
            int token;
            weft_buf_reset(&line);
            weft_demo_line_write(&q, &q.lines[i], &line);
            assert_int_equal(line.err, 0);
            assert_int_equal(line.data[line.len - 1], '\n');
            weft_json_init(&j, weft_buf_slice(&line));
            while ((token = weft_json_next(&j)) > WEFT_JSON_END)
                for (unsigned k = 0; token == WEFT_JSON_KEY && j.depth == 1 && k < sizeof wanted / sizeof *wanted; k++)
                    found |= weft_json_text_is(&j, wanted[k]) ? 1u << k : 0;
            if (token != WEFT_JSON_END || found != (1u << sizeof wanted / sizeof *wanted) - 1)
                fail_msg("%.*s: keys %x, %s", (int)line.len, (const char *)line.data, found, token < 0 ? j.reason : "whole");
        }
    }
    weft_buf_release(&line);
}

static void IDs_are_UUIDs_and_never_the_same(void **state)
{
    struct weft_demo_random chance = { 6 };
    struct weft_demo_request q;
    char last[37] = "";
    (void)state;

    for (int n = 0; n < REQUESTS; n++) {
        weft_demo_request_make(&chance, now_ns, &q);
        assert_int_equal(strlen(q.correlation), 36);
        assert_int_equal(q.correlation[14], '4');
        assert_non_null(strchr("89ab", q.correlation[19]));
        assert_string_not_equal(q.correlation, last);
        memcpy(last, q.correlation, sizeof last);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spans_lie_within_their_parents_and_end_now),
        cmocka_unit_test(every_request_touches_all_four_services_in_spans_and_lines),
        cmocka_unit_test(what_is_sent_is_well_formed_OTLP),
        cmocka_unit_test(a_request_that_does_not_fit_leaves_nothing_behind),
        cmocka_unit_test(log_lines_are_JSON_with_the_IDs_of_their_span),
        cmocka_unit_test(IDs_are_UUIDs_and_never_the_same),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

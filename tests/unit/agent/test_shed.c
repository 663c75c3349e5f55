/* SPDX-License-Identifier: Apache-2.0 */
/* What a request is worth, as tables over protobuf that is built here, and what is taken at which fill. Time is a number. */
#include "agent/shed.h"

#include "agent/pipeline.h"
#include "core/err.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const uint64_t SECOND = 1000000000;
enum { MIB = 1 << 20 };

/* ---- requests ---- */

/* One item. Numbers that are 0 and texts that are NULL are left out. */
struct item {
    uint64_t severity, status;
    const char *text, *trace, *correlation;
};

static void put_item(struct weft_buf *b, enum weft_signal signal, const struct item *i)
{
    bool log = signal == WEFT_LOGS;
    size_t mark = weft_wire_begin(b, WEFT_OTLP_ITEMS);

    if (signal == WEFT_METRICS)
        weft_wire_put_bytes(b, WEFT_METRIC_NAME, WEFT_SLICE("requests"));
    if (log && i->severity)
        weft_wire_put_varint(b, WEFT_LOG_SEVERITY_NUMBER, i->severity);
    if (log && i->text)
        weft_wire_put_bytes(b, WEFT_LOG_SEVERITY_TEXT, weft_slice_str(i->text));
    if (signal == WEFT_TRACES && i->status) {
        size_t status = weft_wire_begin(b, WEFT_SPAN_STATUS);
        weft_wire_put_varint(b, WEFT_STATUS_CODE, i->status);
        weft_wire_end(b, status);
    }
    if (i->trace)
        weft_wire_put_bytes(b, log ? (uint32_t)WEFT_LOG_TRACE_ID : (uint32_t)WEFT_SPAN_TRACE_ID, weft_slice_str(i->trace));
    if (i->correlation)
        weft_attribute_put_string(b, log ? (uint32_t)WEFT_LOG_ATTRIBUTES : (uint32_t)WEFT_SPAN_ATTRIBUTES,
                                  WEFT_SLICE("correlation.id"), weft_slice_str(i->correlation));
    weft_wire_end(b, mark);
}

static void put_request(struct weft_buf *b, enum weft_signal signal, const struct item *items, size_t n)
{
    weft_buf_reset(b);
    struct weft_otlp_group group = weft_otlp_group_open(b, WEFT_SLICE(""), WEFT_SLICE(""));
    for (size_t i = 0; i < n; i++)
        put_item(b, signal, &items[i]);
    weft_otlp_group_close(b, group);
    assert_int_equal(b->err, 0);
}

static enum weft_worth weigh(struct weft_shed *s, enum weft_signal signal, const struct item *items, size_t n, uint64_t now_ns)
{
    struct weft_buf b;

    weft_buf_init(&b, MIB);
    put_request(&b, signal, items, n);
    enum weft_worth worth = weft_shed_weigh(s, signal, weft_buf_slice(&b), now_ns);
    weft_buf_release(&b);
    return worth;
}

static struct weft_shed *open_shed(void)
{
    struct weft_shed *s = NULL;

    assert_int_equal(weft_shed_open(&s), 0);
    return s;
}

#define DEBUG_LOG { .severity = 5 }
#define INFO_LOG { .severity = 9 }
#define TRACE_A "aaaaaaaaaaaaaaaa"
#define TRACE_B "bbbbbbbbbbbbbbbb"

static void a_request_is_worth_what_its_most_important_item_is_worth(void **state)
{
    const struct {
        const char *what;
        enum weft_signal signal;
        struct item items[3];
        size_t n;
        enum weft_worth worth;
    } cases[] = {
        { "TRACE", WEFT_LOGS, { { .severity = 1 } }, 1, WEFT_WORTH_DEBUG },
        { "DEBUG4", WEFT_LOGS, { { .severity = 8 } }, 1, WEFT_WORTH_DEBUG },
        { "INFO", WEFT_LOGS, { { .severity = 9 } }, 1, WEFT_WORTH_INFO },
        { "INFO4", WEFT_LOGS, { { .severity = 12 } }, 1, WEFT_WORTH_INFO },
        { "WARN", WEFT_LOGS, { { .severity = 13 } }, 1, WEFT_WORTH_VITAL },
        { "ERROR", WEFT_LOGS, { { .severity = 17 } }, 1, WEFT_WORTH_VITAL },
        { "FATAL4", WEFT_LOGS, { { .severity = 24 } }, 1, WEFT_WORTH_VITAL },
        { "no severity at all", WEFT_LOGS, { { 0 } }, 1, WEFT_WORTH_INFO },
        { "only the text debug", WEFT_LOGS, { { .text = "Debug" } }, 1, WEFT_WORTH_DEBUG },
        { "only the text ERROR", WEFT_LOGS, { { .text = "ERROR" } }, 1, WEFT_WORTH_VITAL },
        { "only the text err", WEFT_LOGS, { { .text = "err" } }, 1, WEFT_WORTH_VITAL },
        { "only the text warning", WEFT_LOGS, { { .text = "warning" } }, 1, WEFT_WORTH_VITAL },
        { "a text of its own", WEFT_LOGS, { { .text = "notice" } }, 1, WEFT_WORTH_INFO },
        { "the number overrules the text", WEFT_LOGS, { { .severity = 5, .text = "ERROR" } }, 1, WEFT_WORTH_DEBUG },
        { "DEBUG beside INFO", WEFT_LOGS, { DEBUG_LOG, INFO_LOG, DEBUG_LOG }, 3, WEFT_WORTH_INFO },
        { "one ERROR among DEBUG", WEFT_LOGS, { DEBUG_LOG, { .severity = 17 }, DEBUG_LOG }, 3, WEFT_WORTH_VITAL },
        { "a span without status", WEFT_TRACES, { { 0 } }, 1, WEFT_WORTH_INFO },
        { "a span that is OK", WEFT_TRACES, { { .status = 1 } }, 1, WEFT_WORTH_INFO },
        { "a span that failed", WEFT_TRACES, { { .status = 2 } }, 1, WEFT_WORTH_VITAL },
        { "one that failed among others", WEFT_TRACES, { { .status = 1 }, { 0 }, { .status = 2 } }, 3, WEFT_WORTH_VITAL },
        { "a metric", WEFT_METRICS, { { 0 } }, 1, WEFT_WORTH_VITAL },
        { "a DEBUG log on the trace of an ERROR in the same request", WEFT_LOGS,
          { { .severity = 17, .trace = TRACE_A }, { .severity = 5, .trace = TRACE_A } }, 2, WEFT_WORTH_VITAL },
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct weft_shed *s = open_shed();
        enum weft_worth worth = weigh(s, cases[i].signal, cases[i].items, cases[i].n, SECOND);
        if (worth != cases[i].worth)
            fail_msg("%s: worth %d", cases[i].what, worth);
        weft_shed_close(s);
    }
}

static void what_an_error_was_tied_to_is_worth_as_much_in_every_signal(void **state)
{
    const struct {
        const char *what;
        enum weft_signal first_signal;
        struct item first;
        uint64_t seconds;
        enum weft_signal then_signal;
        struct item then;
        enum weft_worth worth;
    } cases[] = {
        { "a DEBUG log of a trace with a failed span", WEFT_TRACES, { .status = 2, .trace = TRACE_A }, 1, WEFT_LOGS,
          { .severity = 5, .trace = TRACE_A }, WEFT_WORTH_VITAL },
        { "an OK span of a trace with an ERROR log", WEFT_LOGS, { .severity = 17, .trace = TRACE_A }, 1, WEFT_TRACES,
          { .status = 1, .trace = TRACE_A }, WEFT_WORTH_VITAL },
        { "another trace", WEFT_TRACES, { .status = 2, .trace = TRACE_A }, 1, WEFT_LOGS, { .severity = 5, .trace = TRACE_B },
          WEFT_WORTH_DEBUG },
        { "the same correlation.id", WEFT_LOGS, { .severity = 17, .correlation = "order-7" }, 1, WEFT_TRACES,
          { .trace = TRACE_B, .correlation = "order-7" }, WEFT_WORTH_VITAL },
        { "another correlation.id", WEFT_LOGS, { .severity = 17, .correlation = "order-7" }, 1, WEFT_LOGS,
          { .severity = 9, .correlation = "order-8" }, WEFT_WORTH_INFO },
        { "a trace with a warning is not one with an error", WEFT_LOGS, { .severity = 13, .trace = TRACE_A }, 1, WEFT_LOGS,
          { .severity = 5, .trace = TRACE_A }, WEFT_WORTH_DEBUG },
        { "nine minutes later", WEFT_TRACES, { .status = 2, .trace = TRACE_A }, 540, WEFT_LOGS,
          { .severity = 5, .trace = TRACE_A }, WEFT_WORTH_VITAL },
        { "a quarter of an hour later", WEFT_TRACES, { .status = 2, .trace = TRACE_A }, 900, WEFT_LOGS,
          { .severity = 5, .trace = TRACE_A }, WEFT_WORTH_DEBUG },
        { "no ID on either", WEFT_TRACES, { .status = 2 }, 1, WEFT_LOGS, { .severity = 5 }, WEFT_WORTH_DEBUG },
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct weft_shed *s = open_shed();
        assert_int_not_equal(weigh(s, cases[i].then_signal, &cases[i].then, 1, SECOND), WEFT_WORTH_VITAL);
        (void)weigh(s, cases[i].first_signal, &cases[i].first, 1, SECOND);
        enum weft_worth worth = weigh(s, cases[i].then_signal, &cases[i].then, 1, SECOND + cases[i].seconds * SECOND);
        if (worth != cases[i].worth)
            fail_msg("%s: worth %d", cases[i].what, worth);
        weft_shed_close(s);
    }
}

static void bytes_that_are_no_request_are_worth_info(void **state)
{
    struct weft_shed *s = open_shed();
    (void)state;

    assert_int_equal(weft_shed_weigh(s, WEFT_LOGS, WEFT_SLICE("\x0a\x7f"), SECOND), WEFT_WORTH_INFO);
    assert_int_equal(weft_shed_weigh(s, WEFT_TRACES, WEFT_SLICE("\x0a\x05\x12\x03\x12\x09x"), SECOND), WEFT_WORTH_INFO);
    weft_shed_close(s);
}

/* Many errors push old ones out, but the table stays of use: the newest are known. */
static void the_newest_errors_are_known_however_many_there_were(void **state)
{
    struct weft_shed *s = open_shed();
    char trace[32];
    unsigned known = 0;
    (void)state;

    for (int i = 0; i < 50000; i++) {
        (void)snprintf(trace, sizeof trace, "trace-%010u", (unsigned)i);
        (void)weigh(s, WEFT_TRACES, &(struct item){ .status = 2, .trace = trace }, 1, SECOND + (uint64_t)i * SECOND / 250);
    }
    for (int i = 49000; i < 50000; i++) {
        (void)snprintf(trace, sizeof trace, "trace-%010u", (unsigned)i);
        known += weigh(s, WEFT_LOGS, &(struct item){ .severity = 5, .trace = trace }, 1, SECOND * 201) == WEFT_WORTH_VITAL;
    }
    if (known < 950)
        fail_msg("%u of the last 1000 are known", known);
    weft_shed_close(s);
}

static void each_worth_is_refused_from_its_mark_on(void **state)
{
    const struct { enum weft_worth worth; uint32_t permille; bool refused; } cases[] = {
        { WEFT_WORTH_DEBUG, 799, false }, { WEFT_WORTH_DEBUG, 800, true }, { WEFT_WORTH_DEBUG, 1000, true },
        { WEFT_WORTH_INFO, 899, false },  { WEFT_WORTH_INFO, 900, true },  { WEFT_WORTH_VITAL, 1000, false },
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (weft_shed_refuses(cases[i].worth, cases[i].permille) != cases[i].refused)
            fail_msg("worth %d at %u", cases[i].worth, cases[i].permille);
}

static void the_wait_grows_with_the_fill(void **state)
{
    (void)state;
    for (int worth = WEFT_WORTH_DEBUG; worth <= WEFT_WORTH_INFO; worth++) {
        uint32_t before = 0;
        for (uint32_t permille = 700; permille < 1200; permille++) {
            uint32_t wait = weft_shed_wait_s((enum weft_worth)worth, permille);
            assert_true(wait >= before && wait >= 2 && wait <= 10);
            before = wait;
        }
        assert_int_equal(before, 10);
    }
}

static void a_yes_is_held_back_longer_the_nearer_the_step_that_refuses(void **state)
{
    const struct { enum weft_worth worth; uint32_t permille, max_ms, delay_ms; } cases[] = {
        { WEFT_WORTH_INFO, 0, 500, 0 },     { WEFT_WORTH_INFO, 799, 500, 0 },    { WEFT_WORTH_INFO, 800, 500, 0 },
        { WEFT_WORTH_INFO, 801, 500, 5 },   { WEFT_WORTH_INFO, 850, 500, 250 },  { WEFT_WORTH_INFO, 899, 500, 495 },
        { WEFT_WORTH_INFO, 900, 500, 500 }, { WEFT_WORTH_INFO, 1200, 500, 500 }, { WEFT_WORTH_INFO, 850, 0, 0 },
        { WEFT_WORTH_INFO, 899, UINT32_MAX, 4252017622u },
        { WEFT_WORTH_DEBUG, 790, 500, 0 },  { WEFT_WORTH_DEBUG, 850, 500, 0 },
        { WEFT_WORTH_VITAL, 850, 500, 0 },  { WEFT_WORTH_VITAL, 1000, 500, 0 },
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint32_t delay = weft_shed_delay_ms(cases[i].worth, cases[i].permille, cases[i].max_ms);
        if (delay != cases[i].delay_ms)
            fail_msg("worth %d at %u: %u ms", cases[i].worth, cases[i].permille, delay);
    }
}

/* ---- a journal that fills up and is drained ---- */
struct rig {
    struct weft_shed *shed;
    struct weft_pipeline *pipeline;
    struct weft_intake *intake;
    struct weft_cursor *cursor;
    struct weft_arena scratch;
    struct weft_sink *sink;
    struct weft_buf request;
    uint64_t now_ns;
};

static void rig_open(struct rig *r, bool hold)
{
    *r = (struct rig){ .shed = open_shed(), .now_ns = SECOND };
    struct weft_pipeline_options p = { .id = "logs", .signal = WEFT_LOGS, .journal_size = MIB, .shed = r->shed };
    assert_int_equal(weft_pipeline_open(&r->pipeline, &p), 0);
    struct weft_intake_options in = { .receiver = "otlp", .signal = WEFT_LOGS, .pipelines = &r->pipeline, .n_pipelines = 1, .n_sinks = 1 };
    assert_int_equal(weft_intake_open(&r->intake, &in), 0);
    struct weft_cursor_options c = { .name = "es", .hold = hold, .wake_fd = -1 };
    assert_int_equal(weft_cursor_open(&r->cursor, weft_pipeline_journal(r->pipeline), &c), 0);
    weft_arena_init(&r->scratch, MIB);
    weft_buf_init(&r->request, MIB);
    r->sink = weft_intake_sink(r->intake, 0, &r->scratch);
}

static void rig_close(struct rig *r)
{
    weft_cursor_close(r->cursor);
    weft_intake_close(r->intake);
    weft_pipeline_close(r->pipeline);
    weft_arena_release(&r->scratch);
    weft_buf_release(&r->request);
    weft_shed_close(r->shed);
}

/* One log record of that severity, a second after the last. */
static int offer(struct rig *r, uint64_t severity)
{
    const struct item padded = { .severity = severity, .correlation = "a text that makes the record longer, so that the journal fills up sooner" };

    put_request(&r->request, WEFT_LOGS, &padded, 1);
    r->now_ns += SECOND;
    struct weft_record record = { .n_items = 1, .wall_ns = 1, .mono_ns = r->now_ns, .payload = weft_buf_slice(&r->request) };
    r->sink->retry_after_s = 0;
    return r->sink->commit(r->sink, &record);
}

/* What the journal holds decides, to the byte that it says it holds; what was taken is there. */
static void as_the_journal_fills_debug_goes_first_then_info_and_errors_only_at_the_end(void **state)
{
    struct rig r;
    unsigned accepted = 0, seen = 0;
    double first[3] = { 2, 2, 2 }; /* fill at the first refusal */
    struct weft_record record;
    (void)state;

    rig_open(&r, true);
    for (int i = 0; i < 20000; i++) {
        const uint64_t severities[] = { 5, 9, 13 }; /* none of them an error: that would make the others' ID an erring one */
        double fill = weft_journal_fill(weft_pipeline_journal(r.pipeline));
        int err = offer(&r, severities[i % 3]);
        accepted += err == 0;
        if (err && fill < first[i % 3])
            first[i % 3] = fill;
        if (err == WEFT_ERR_SHED && !(i % 3 < 2 && r.sink->retry_after_s >= 2 && r.sink->retry_after_s <= 10))
            fail_msg("offer %d: shed with a wait of %u", i, r.sink->retry_after_s);
        if (err && err != WEFT_ERR_SHED && err != WEFT_ERR_FULL)
            fail_msg("offer %d: %d", i, err);
    }
    if (first[0] < .8 || first[0] > .81 || first[1] < .9 || first[1] > .91 || first[2] < .99)
        fail_msg("first refusals at %f, %f, %f", first[0], first[1], first[2]);

    struct weft_intake_stats stats;
    weft_intake_stats(r.intake, &stats);
    assert_int_equal(stats.accepted_items, accepted);
    assert_int_equal(accepted + stats.refused_items[WEFT_REFUSAL_SHED_DEBUG] + stats.refused_items[WEFT_REFUSAL_SHED_INFO]
                         + stats.refused_items[WEFT_REFUSAL_FULL], 20000);

    while (weft_cursor_next(r.cursor, &record) > 0) {
        seen += record.n_items;
        weft_cursor_settle(r.cursor, record.sequence);
    }
    assert_int_equal(seen, accepted);
    assert_int_equal(offer(&r, 5), 0); /* all is well again */
    rig_close(&r);
}

static void a_reader_that_skips_sheds_nothing(void **state)
{
    struct rig r;
    (void)state;

    rig_open(&r, false);
    for (int i = 0; i < 20000; i++)
        assert_int_equal(offer(&r, 5), 0);
    rig_close(&r);
}

/* ---- many loops at once ---- */
struct hand {
    struct weft_shed *shed;
    unsigned number, wrong;
};

static void *note_and_ask(void *data)
{
    struct hand *h = data;
    char trace[32];

    for (unsigned i = 0; i < 2000; i++) {
        (void)snprintf(trace, sizeof trace, "%06u%010u", h->number, i % 100);
        (void)weigh(h->shed, WEFT_TRACES, &(struct item){ .status = 2, .trace = trace }, 1, SECOND);
        h->wrong += weigh(h->shed, WEFT_LOGS, &(struct item){ .severity = 5, .trace = trace }, 1, SECOND) != WEFT_WORTH_VITAL;
    }
    return NULL;
}

static void loops_share_what_they_know_without_locks(void **state)
{
    struct weft_shed *s = open_shed();
    struct hand hands[3];
    pthread_t threads[3];
    (void)state;

    for (unsigned i = 0; i < 3; i++) {
        hands[i] = (struct hand){ .shed = s, .number = i };
        assert_int_equal(pthread_create(&threads[i], NULL, note_and_ask, &hands[i]), 0);
    }
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    for (unsigned i = 0; i < 3; i++) {
        assert_true(hands[i].wrong < 20); /* two that meet in one place lose one */
        assert_int_equal(weigh(s, WEFT_LOGS, &(struct item){ .severity = 5, .trace = "0000010000000042" }, 1, SECOND), WEFT_WORTH_VITAL);
    }
    weft_shed_close(s);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_worth_what_its_most_important_item_is_worth),
        cmocka_unit_test(what_an_error_was_tied_to_is_worth_as_much_in_every_signal),
        cmocka_unit_test(bytes_that_are_no_request_are_worth_info),
        cmocka_unit_test(the_newest_errors_are_known_however_many_there_were),
        cmocka_unit_test(each_worth_is_refused_from_its_mark_on),
        cmocka_unit_test(the_wait_grows_with_the_fill),
        cmocka_unit_test(a_yes_is_held_back_longer_the_nearer_the_step_that_refuses),
        cmocka_unit_test(as_the_journal_fills_debug_goes_first_then_info_and_errors_only_at_the_end),
        cmocka_unit_test(a_reader_that_skips_sheds_nothing),
        cmocka_unit_test(loops_share_what_they_know_without_locks),
    };

    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

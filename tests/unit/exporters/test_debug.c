/* SPDX-License-Identifier: Apache-2.0 */
#include "exporters/debug.h"

#include "core/otlp_json.h"
#include "tests/support/exporter_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

static const char spans[] =
    "{\"resourceSpans\":[{\"resource\":{\"attributes\":[{\"key\":\"service.name\",\"value\":{\"stringValue\":\"shop\"}}]},"
    "\"scopeSpans\":[{\"spans\":[{\"traceId\":\"0af7651916cd43dd8448eb211c80319c\",\"spanId\":\"b7ad6b7169203331\",\"name\":\"GET /\","
    "\"startTimeUnixNano\":\"1000\",\"endTimeUnixNano\":\"1500\",\"attributes\":[{\"key\":\"n\",\"value\":{\"intValue\":\"7\"}}]},"
    "{\"name\":\"second\"}]}]}]}";
static const char logs[] =
    "{\"resourceLogs\":[{\"scopeLogs\":[{\"logRecords\":[{\"severityText\":\"WARN\",\"body\":{\"stringValue\":\"low stock\"},"
    "\"attributes\":[{\"key\":\"ok\",\"value\":{\"boolValue\":true}}]}]}]}]}";
static const char metrics[] =
    "{\"resourceMetrics\":[{\"scopeMetrics\":[{\"metrics\":[{\"name\":\"queue\",\"unit\":\"1\",\"gauge\":{\"dataPoints\":[{\"asInt\":\"1\"},{\"asInt\":\"2\"}]}}]}]}]}";

/* What the exporter writes into the log for one batch of one record, sent `times` times. */
static void log_of(const struct rig_option *options, enum weft_signal signal, const char *json, uint32_t items, int times,
                   char *out, size_t size)
{
    struct rig rig;
    struct weft_buf payload;
    struct weft_json_error error;
    FILE *log = tmpfile();

    assert_non_null(log);
    weft_buf_init(&payload, 1 << 20);
    assert_int_equal(weft_otlp_json_read(signal, weft_slice_str(json), &payload, &error), 0);
    assert_int_equal(rig_start(&rig, &weft_exporter_debug, options, NULL), 0);
    rig.log = (struct weft_log){ .fd = fileno(log), .level = WEFT_LOG_INFO };
    for (int i = 0; i < times; i++) {
        rig_batch(&rig, signal);
        rig_add(&rig, weft_buf_slice(&payload), items);
        rig_send(&rig);
        assert_int_equal(rig.dones, 1);
        assert_int_equal(rig.outcome, WEFT_SENT);
    }
    rewind(log);
    size_t n = fread(out, 1, size - 1, log);
    out[n] = '\0';
    fclose(log);
    rig_stop(&rig);
    weft_buf_release(&payload);
}

static unsigned lines_in(const char *text)
{
    unsigned n = 0;

    for (; *text; text++)
        n += *text == '\n';
    return n;
}

static void each_verbosity_says_its_part(void **state)
{
    static const struct { const char *verbosity; enum weft_signal signal; const char *json; uint32_t items; unsigned lines; const char *words; } cases[] = {
        { "basic", WEFT_TRACES, spans, 2, 1, "test: resource spans 1, spans 2" },
        { "basic", WEFT_LOGS, logs, 1, 1, "test: resource logs 1, log records 1" },
        { "basic", WEFT_METRICS, metrics, 2, 1, "test: resource metrics 1, metrics 1, data points 2" },
        { "normal", WEFT_TRACES, spans, 2, 3,
          "span GET / trace_id=0af7651916cd43dd8448eb211c80319c span_id=b7ad6b7169203331 duration_ns=500 status=0 n=7" },
        { "normal", WEFT_LOGS, logs, 1, 2, "log WARN low stock ok=true" },
        { "normal", WEFT_METRICS, metrics, 2, 2, "metric queue unit=1 kind=gauge points=2" },
        { "detailed", WEFT_TRACES, spans, 2, 3, "service.name" },
        { "detailed", WEFT_METRICS, metrics, 2, 2, "asInt" },
    };
    static char out[1 << 16];
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct rig_option options[] = { { "verbosity", cases[i].verbosity, NULL }, { 0 } };
        log_of(options, cases[i].signal, cases[i].json, cases[i].items, 1, out, sizeof out);
        if (lines_in(out) != cases[i].lines || !strstr(out, cases[i].words))
            fail_msg("%s case %zu: %s", cases[i].verbosity, i, out);
    }
}

static void sampling_thins_out_the_lines_and_not_the_data(void **state)
{
    static const struct { const char *initial, *thereafter; unsigned at_least, at_most; } cases[] = {
        { "2", "1", 12, 12 },
        { "2", "0", 2, 4 }, /* twice as many when a second turns within the test */
        { "2", "5", 4, 6 },
        { "0", "0", 0, 0 },
    };
    static char out[1 << 16];
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct rig_option options[] = {
            { "sampling_initial", cases[i].initial, NULL }, { "sampling_thereafter", cases[i].thereafter, NULL }, { 0 },
        };
        log_of(options, WEFT_LOGS, logs, 1, 12, out, sizeof out);
        if (lines_in(out) < cases[i].at_least || lines_in(out) > cases[i].at_most)
            fail_msg("case %zu: %u lines", i, lines_in(out));
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_verbosity_says_its_part),
        cmocka_unit_test(sampling_thins_out_the_lines_and_not_the_data),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

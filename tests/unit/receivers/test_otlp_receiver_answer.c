/* SPDX-License-Identifier: Apache-2.0 */
#include "receivers/otlp_answer.h"

#include "otlp_logs_service.pb-c.h"
#include "otlp_metrics_service.pb-c.h"
#include "otlp_trace_service.pb-c.h"
#include "rpc_status.pb-c.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

static struct weft_otlp_verdict verdict(enum weft_otlp_code code, uint64_t rejected, uint32_t retry, const char *words)
{
    struct weft_otlp_verdict v = { .code = code, .rejected = rejected, .retry_after_s = retry };
    (void)snprintf(v.message, sizeof v.message, "%s", words);
    return v;
}

static void json_answers_are_spelled_as_protobuf_json_spells_them(void **state)
{
    const struct { const char *what; bool success; enum weft_signal signal; struct weft_otlp_verdict v; const char *json; } cases[] = {
        { "full success", true, WEFT_TRACES, verdict(WEFT_OTLP_OK, 0, 0, ""), "{}" },
        { "some spans refused", true, WEFT_TRACES, verdict(WEFT_OTLP_OK, 3, 0, "too old"),
          "{\"partialSuccess\":{\"rejectedSpans\":\"3\",\"errorMessage\":\"too old\"}}" },
        { "some logs refused", true, WEFT_LOGS, verdict(WEFT_OTLP_OK, 1, 0, ""),
          "{\"partialSuccess\":{\"rejectedLogRecords\":\"1\"}}" },
        { "points, beyond 53 bits", true, WEFT_METRICS, verdict(WEFT_OTLP_OK, 9007199254740993u, 0, "x"),
          "{\"partialSuccess\":{\"rejectedDataPoints\":\"9007199254740993\",\"errorMessage\":\"x\"}}" },
        { "a warning", true, WEFT_LOGS, verdict(WEFT_OTLP_OK, 0, 0, "say \"less\""),
          "{\"partialSuccess\":{\"errorMessage\":\"say \\\"less\\\"\"}}" },
        { "an error", false, WEFT_LOGS, verdict(WEFT_OTLP_INVALID_ARGUMENT, 0, 0, "bad"), "{\"code\":3,\"message\":\"bad\"}" },
        { "an error to retry", false, WEFT_LOGS, verdict(WEFT_OTLP_UNAVAILABLE, 0, 5, "full"),
          "{\"code\":14,\"message\":\"full\",\"details\":[{\"@type\":\"type.googleapis.com/google.rpc.RetryInfo\","
          "\"retryDelay\":\"5s\"}]}" },
    };
    struct weft_buf out;
    (void)state;

    weft_buf_init(&out, 4096);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        weft_buf_reset(&out);
        if (cases[i].success)
            weft_otlp_answer_success(&out, WEFT_OTLP_JSON, cases[i].signal, &cases[i].v);
        else
            weft_otlp_answer_status(&out, WEFT_OTLP_JSON, &cases[i].v);
        if (out.err || !weft_slice_is(weft_buf_slice(&out), cases[i].json))
            fail_msg("%s: %.*s", cases[i].what, (int)out.len, (const char *)out.data);
    }
    weft_buf_release(&out);
}

static void full_success_is_no_bytes_in_protobuf(void **state)
{
    const struct weft_otlp_verdict ok = verdict(WEFT_OTLP_OK, 0, 0, "");
    struct weft_buf out;
    (void)state;

    weft_buf_init(&out, 64);
    for (int s = 0; s < WEFT_SIGNALS; s++)
        weft_otlp_answer_success(&out, WEFT_OTLP_PROTOBUF, (enum weft_signal)s, &ok);
    assert_int_equal(out.len, 0);
    weft_buf_release(&out);
}

static void protobuf_reads_partial_success_of_each_signal(void **state)
{
    const struct weft_otlp_verdict v = verdict(WEFT_OTLP_OK, 70000, 0, "not these");
    struct weft_buf out;
    (void)state;

    weft_buf_init(&out, 256);
    weft_otlp_answer_success(&out, WEFT_OTLP_PROTOBUF, WEFT_TRACES, &v);

    Opentelemetry__Proto__Collector__Trace__V1__ExportTraceServiceResponse *t =
        opentelemetry__proto__collector__trace__v1__export_trace_service_response__unpack(NULL, out.len, out.data);
    assert_non_null(t);
    assert_int_equal(t->partial_success->rejected_spans, 70000);
    assert_string_equal(t->partial_success->error_message, "not these");
    opentelemetry__proto__collector__trace__v1__export_trace_service_response__free_unpacked(t, NULL);

    Opentelemetry__Proto__Collector__Logs__V1__ExportLogsServiceResponse *l =
        opentelemetry__proto__collector__logs__v1__export_logs_service_response__unpack(NULL, out.len, out.data);
    assert_non_null(l);
    assert_int_equal(l->partial_success->rejected_log_records, 70000);
    opentelemetry__proto__collector__logs__v1__export_logs_service_response__free_unpacked(l, NULL);

    Opentelemetry__Proto__Collector__Metrics__V1__ExportMetricsServiceResponse *m =
        opentelemetry__proto__collector__metrics__v1__export_metrics_service_response__unpack(NULL, out.len, out.data);
    assert_non_null(m);
    assert_int_equal(m->partial_success->rejected_data_points, 70000);
    opentelemetry__proto__collector__metrics__v1__export_metrics_service_response__free_unpacked(m, NULL);
    weft_buf_release(&out);
}

static void protobuf_reads_a_status_and_its_retry_info(void **state)
{
    const struct weft_otlp_verdict v = verdict(WEFT_OTLP_UNAVAILABLE, 0, 300, "journal is full");
    struct weft_buf out;
    (void)state;

    weft_buf_init(&out, 256);
    weft_otlp_answer_status(&out, WEFT_OTLP_PROTOBUF, &v);
    Google__Rpc__Status *s = google__rpc__status__unpack(NULL, out.len, out.data);
    assert_non_null(s);
    assert_int_equal(s->code, 14);
    assert_string_equal(s->message, "journal is full");
    assert_int_equal(s->n_details, 1);
    assert_string_equal(s->details[0]->type_url, "type.googleapis.com/google.rpc.RetryInfo");
    Google__Rpc__RetryInfo *info =
        google__rpc__retry_info__unpack(NULL, s->details[0]->value.len, s->details[0]->value.data);
    assert_non_null(info);
    assert_int_equal(info->retry_delay->seconds, 300);
    google__rpc__retry_info__free_unpacked(info, NULL);
    google__rpc__status__free_unpacked(s, NULL);
    weft_buf_release(&out);
}

static void a_status_without_retry_has_no_details(void **state)
{
    const struct weft_otlp_verdict v = verdict(WEFT_OTLP_RESOURCE_EXHAUSTED, 0, 0, "too large");
    struct weft_buf out;
    (void)state;

    weft_buf_init(&out, 256);
    weft_otlp_answer_status(&out, WEFT_OTLP_PROTOBUF, &v);
    Google__Rpc__Status *s = google__rpc__status__unpack(NULL, out.len, out.data);
    assert_non_null(s);
    assert_int_equal(s->code, 8);
    assert_int_equal(s->n_details, 0);
    google__rpc__status__free_unpacked(s, NULL);
    weft_buf_release(&out);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_answers_are_spelled_as_protobuf_json_spells_them),
        cmocka_unit_test(full_success_is_no_bytes_in_protobuf),
        cmocka_unit_test(protobuf_reads_partial_success_of_each_signal),
        cmocka_unit_test(protobuf_reads_a_status_and_its_retry_info),
        cmocka_unit_test(a_status_without_retry_has_no_details),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

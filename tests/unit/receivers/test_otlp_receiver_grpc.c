/* SPDX-License-Identifier: Apache-2.0 */
/* The gRPC half of the OTLP receiver over real sockets, with a sink that counts. */
#include "core/err.h"
#include "receivers/otlp.h"
#include "tests/support/count_sink.h"
#include "tests/support/grpc_caller.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define TRACES "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
#define LOGS "/opentelemetry.proto.collector.logs.v1.LogsService/Export"
#define METRICS "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"

struct rig {
    uv_loop_t loop;
    struct weft_otlp otlp;
    struct count_sink sinks[WEFT_SIGNALS];
    struct grpc_caller caller;
    struct weft_buf body;
};

static void prepare(struct rig *rig)
{
    static char endpoint[] = "127.0.0.1:0";

    memset(rig, 0, sizeof *rig);
    assert_int_equal(uv_loop_init(&rig->loop), 0);
    rig->otlp.base.id = "otlp";
    rig->otlp.base.loop = &rig->loop;
    rig->otlp.want_grpc = true;
    rig->otlp.grpc_options = (struct weft_otlp_grpc_options){
        .endpoint = endpoint, .max_recv_msg_size_mib = 1, .max_concurrent_streams = 128, .max_connections = 4,
    };
    for (int i = 0; i < WEFT_SIGNALS; i++) {
        count_sink_init(&rig->sinks[i]);
        rig->otlp.base.sinks[i] = &rig->sinks[i].base;
    }
    weft_buf_init(&rig->body, 8 << 20);
}

static void start(struct rig *rig)
{
    assert_int_equal(weft_otlp_grpc_start(&rig->otlp), 0);
    grpc_caller_connect(&rig->caller, &rig->loop, weft_otlp_grpc_port(&rig->otlp));
}

static void finish(struct rig *rig)
{
    grpc_caller_close(&rig->caller);
    weft_otlp_grpc_stop(&rig->otlp);
    weft_otlp_grpc_stop(&rig->otlp);
    assert_int_equal(uv_run(&rig->loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(uv_loop_close(&rig->loop), 0);
    for (int i = 0; i < WEFT_SIGNALS; i++)
        count_sink_release(&rig->sinks[i]);
    weft_buf_release(&rig->body);
}

static struct weft_slice sample(struct rig *rig, const char *name)
{
    char path[512];

    (void)snprintf(path, sizeof path, "%s/tests/samples/otlp-grpc/%s", WEFT_SOURCE_DIR, name);
    FILE *f = fopen(path, "rb");
    if (!f)
        fail_msg("no sample %s", path);
    weft_buf_reset(&rig->body);
    rig->body.len = fread(weft_buf_reserve(&rig->body, 65536), 1, 65536, f);
    fclose(f);
    return weft_buf_slice(&rig->body);
}

static const struct grpc_reply *call(struct rig *rig, struct grpc_request request)
{
    return grpc_caller_wait(&rig->caller, grpc_caller_call(&rig->caller, &request));
}

static void each_signal_goes_to_its_own_pipeline(void **state)
{
    const struct {
        const char *path, *file, *encoding;
        enum weft_signal signal;
    } cases[] = {
        { TRACES, "traces-frontend.grpcframe", NULL, WEFT_TRACES },
        { LOGS, "logs-frontend.grpcframe", NULL, WEFT_LOGS },
        { METRICS, "metrics-frontend.grpcframe", NULL, WEFT_METRICS },
        { TRACES, "traces-frontend.gzip.grpcframe", "gzip", WEFT_TRACES },
        { LOGS, "logs-frontend.gzip.grpcframe", "gzip", WEFT_LOGS },
    };
    static struct rig rig;
    (void)state;

    prepare(&rig);
    start(&rig);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct count_sink *sink = &rig.sinks[cases[i].signal];
        uint64_t before = sink->commits;
        struct weft_slice frame = sample(&rig, cases[i].file);
        const struct grpc_reply *r =
            call(&rig, (struct grpc_request){ .path = cases[i].path, .encoding = cases[i].encoding, .body = frame });
        if (strcmp(r->grpc_status, "0") != 0 || r->body_len != 5 || sink->commits != before + 1 || sink->items == 0)
            fail_msg("%s: status %s, %zu bytes of answer", cases[i].file, r->grpc_status, r->body_len);
        if (!cases[i].encoding)
            assert_true(weft_slice_equal(weft_buf_slice(&sink->last), weft_slice_from(frame, 5)));
    }
    finish(&rig);
}

static void what_the_sink_says_the_client_hears(void **state)
{
    const struct {
        int err;
        const char *grpc_status;
        bool again;
    } cases[] = {
        { 0, "0", false },
        { WEFT_ERR_FULL, "14", true },
        { WEFT_ERR_LIMIT, "14", true },
        { WEFT_ERR_DRAINING, "14", true },
        { WEFT_ERR_TOO_LARGE, "8", false },
        { WEFT_ERR_MALFORMED, "3", false },
    };
    static struct rig rig;
    (void)state;

    prepare(&rig);
    start(&rig);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rig.sinks[WEFT_TRACES].answer = cases[i].err;
        const struct grpc_reply *r =
            call(&rig, (struct grpc_request){ .path = TRACES, .body = sample(&rig, "traces-frontend.grpcframe") });
        /* "google.rpc.RetryInfo" begins so in base64 at one of three offsets; its length alone tells it here. */
        bool again = strlen(r->details) > strlen("CA4SD2pvdXJuYWwgaXMgZnVsbA") + 40;
        if (strcmp(r->grpc_status, cases[i].grpc_status) != 0 || again != cases[i].again ||
            (cases[i].err && *r->message == '\0'))
            fail_msg("%s: status %s, details %s", weft_err_text(cases[i].err), r->grpc_status, r->details);
    }
    finish(&rig);
}

static void what_never_reaches_the_sink_is_refused_and_counted(void **state)
{
    static const uint8_t big[] = { 0, 0, 0x10, 0, 1 };
    const struct {
        const char *what;
        struct grpc_request request;
        const char *grpc_status;
        enum weft_refusal reason;
    } cases[] = {
        { "not protobuf", { .path = TRACES, .body = WEFT_SLICE("\0\0\0\0\3\12\377\377") }, "3", WEFT_REFUSAL_MALFORMED },
        { "cut short", { .path = TRACES, .body = WEFT_SLICE("\0\0\0\0\5ab") }, "3", WEFT_REFUSAL_MALFORMED },
        { "over a megabyte", { .path = TRACES, .body = { big, sizeof big } }, "8", WEFT_REFUSAL_TOO_LARGE },
        { "snappy", { .path = TRACES, .body = { big, sizeof big }, .encoding = "snappy" }, "12", WEFT_REFUSAL_UNSUPPORTED },
        { "no time", { .path = TRACES, .body = WEFT_SLICE("\0\0\0\0\0"), .timeout = "0m" }, "4", WEFT_REFUSAL_TIMEOUT },
    };
    static struct rig rig;
    (void)state;

    prepare(&rig);
    start(&rig);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint64_t before = rig.sinks[WEFT_TRACES].refused[cases[i].reason];
        const struct grpc_reply *r = call(&rig, cases[i].request);
        if (strcmp(r->grpc_status, cases[i].grpc_status) != 0 || *r->details == '\0' ||
            rig.sinks[WEFT_TRACES].refused[cases[i].reason] != before + 1)
            fail_msg("%s: status %s, details %s", cases[i].what, r->grpc_status, r->details);
    }
    assert_int_equal(rig.sinks[WEFT_TRACES].commits, 0);
    finish(&rig);
}

static void a_signal_that_no_pipeline_wants_is_unimplemented(void **state)
{
    static struct rig rig;
    (void)state;

    prepare(&rig);
    rig.otlp.base.sinks[WEFT_METRICS] = NULL;
    start(&rig);
    const struct grpc_reply *r =
        call(&rig, (struct grpc_request){ .path = METRICS, .body = sample(&rig, "metrics-frontend.grpcframe") });
    assert_string_equal(r->grpc_status, "12");
    assert_non_null(strstr(r->message, "traces, logs"));
    r = call(&rig, (struct grpc_request){ .path = LOGS, .body = sample(&rig, "logs-frontend.grpcframe") });
    assert_string_equal(r->grpc_status, "0");
    assert_int_equal(rig.sinks[WEFT_LOGS].commits, 1);
    finish(&rig);
}

static void an_empty_request_succeeds_without_a_commit(void **state)
{
    static struct rig rig;
    (void)state;

    prepare(&rig);
    start(&rig);
    const struct grpc_reply *r = call(&rig, (struct grpc_request){ .path = TRACES, .body = WEFT_SLICE("\0\0\0\0\0") });
    assert_string_equal(r->grpc_status, "0");
    assert_int_equal(rig.sinks[WEFT_TRACES].commits, 0);
    finish(&rig);
}

static void a_taken_port_is_told(void **state)
{
    static struct rig rig, second;
    static char endpoint[32];
    (void)state;

    prepare(&rig);
    start(&rig);
    (void)snprintf(endpoint, sizeof endpoint, "127.0.0.1:%d", weft_otlp_grpc_port(&rig.otlp));
    prepare(&second);
    second.otlp.grpc_options.endpoint = endpoint;
    assert_int_equal(weft_otlp_grpc_start(&second.otlp), UV_EADDRINUSE);
    assert_int_equal(weft_otlp_grpc_port(&second.otlp), UV_ENOTCONN);
    finish(&second);
    finish(&rig);
}

static void quiesce_says_goaway_and_hangs_up(void **state)
{
    static struct rig rig;
    (void)state;

    prepare(&rig);
    start(&rig);
    const struct grpc_reply *r =
        call(&rig, (struct grpc_request){ .path = TRACES, .body = sample(&rig, "traces-frontend.grpcframe") });
    assert_string_equal(r->grpc_status, "0");
    weft_otlp_grpc_quiesce(&rig.otlp);
    assert_true(grpc_caller_wait_hangup(&rig.caller, 10000));
    assert_in_range(rig.caller.goaways, 1, 2);
    assert_int_equal(rig.caller.goaway_code, NGHTTP2_NO_ERROR);
    finish(&rig);
}

static void ok_waits_until_the_sink_says_durable(void **state)
{
    static struct rig rig;
    (void)state;

    prepare(&rig);
    struct count_sink *sink = &rig.sinks[WEFT_TRACES];
    count_sink_make_wait(sink);
    start(&rig);
    struct grpc_request request = { .path = TRACES, .body = sample(&rig, "traces-frontend.grpcframe") };
    int32_t ids[4];
    for (unsigned i = 0; i < 4; i++)
        ids[i] = grpc_caller_call(&rig.caller, &request);
    while (sink->n_waiting < 4)
        (void)grpc_caller_wait_hangup(&rig.caller, 10);
    assert_int_equal(weft_otlp_grpc_in_hand(&rig.otlp), 4);
    for (unsigned i = 0; i < 3; i++)
        count_sink_end(sink, i, i == 1 ? WEFT_ERR_DISK : 0);
    assert_string_equal(grpc_caller_wait(&rig.caller, ids[0])->grpc_status, "0");
    const struct grpc_reply *failed = grpc_caller_wait(&rig.caller, ids[1]);
    assert_string_equal(failed->grpc_status, "14");
    assert_true(failed->details[0] != '\0'); /* RetryInfo */
    assert_string_equal(grpc_caller_wait(&rig.caller, ids[2])->grpc_status, "0");
    assert_int_equal(sink->forgotten, 0);
    weft_otlp_grpc_stop(&rig.otlp);
    assert_int_equal(sink->forgotten, 1);
    weft_receiver_otlp.stop(&rig.otlp.base);
    finish(&rig);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_signal_goes_to_its_own_pipeline),
        cmocka_unit_test(what_the_sink_says_the_client_hears),
        cmocka_unit_test(what_never_reaches_the_sink_is_refused_and_counted),
        cmocka_unit_test(a_signal_that_no_pipeline_wants_is_unimplemented),
        cmocka_unit_test(an_empty_request_succeeds_without_a_commit),
        cmocka_unit_test(a_taken_port_is_told),
        cmocka_unit_test(ok_waits_until_the_sink_says_durable),
        cmocka_unit_test(quiesce_says_goaway_and_hangs_up),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

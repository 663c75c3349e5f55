/* SPDX-License-Identifier: Apache-2.0 */
#include "exporters/otlp.h"
#include "core/gzip.h"
#include "exporters/otlp_exporter.h"
#include "tests/support/fake_lane.h"
#include "tests/support/grpc_peer.h"
#include "tests/support/http_peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

/* A lane with the exporter under test and a back end of each kind that keeps what it got. */
struct fixture {
    struct fake_lane lane;
    struct weft_otlp_exporter *o;
    struct grpc_peer grpc;
    struct http_peer http;
    struct weft_buf payload[3];
    char endpoint[64];
    /* what the back end does: the n-th request gets the n-th answer, later ones the last */
    const struct answer {
        int act;                   /* of enum http_peer_act or grpc_peer_act; both begin with the answer */
        const char *status;        /* HTTP: "200"; gRPC: grpc-status */
        const char *headers;       /* HTTP */
        const char *message, *details;
        struct weft_slice body;
    } *answers;
    unsigned n_answers;
    size_t refuse_above;           /* bytes of a body that get 413; 0: none */
    char head[4096];               /* of the last request */
    struct weft_buf body;          /* the same */
    struct weft_buf arrived;       /* names of all items that were accepted */
    unsigned n_accepted;
};

#define NO_BODY { NULL, 0 }
static const struct answer ok_http[] = { { 0, "200", "Content-Type: application/x-protobuf\r\n", NULL, NULL, NO_BODY } };
static const struct answer ok_grpc[] = { { 0, "0", NULL, NULL, NULL, { (const uint8_t *)"\0\0\0\0\0", 5 } } };

static const struct answer *answer_number(const struct fixture *f, unsigned n)
{
    return &f->answers[n < f->n_answers ? n : f->n_answers - 1];
}

static void keep(struct fixture *f, const char *head, struct weft_slice body)
{
    (void)snprintf(f->head, sizeof f->head, "%s", head);
    weft_buf_reset(&f->body);
    weft_buf_append(&f->body, body.data, body.len);
}

static void accept_items(struct fixture *f, struct weft_slice payload)
{
    if (f->lane.batch.signal != WEFT_METRICS)
        weft_buf_append_str(&f->arrived, fake_payload_names(f->lane.batch.signal, payload));
    f->n_accepted++;
}

static enum http_peer_act on_http(void *ctx, const struct http_peer_request *request, struct weft_buf *answer)
{
    struct fixture *f = ctx;
    const struct answer *a = answer_number(f, request->number);
    unsigned status = (unsigned)strtoul(a->status, NULL, 10);

    keep(f, request->head, request->body);
    if (f->refuse_above && request->body.len > f->refuse_above)
        status = 413;
    else if (status == 200 && a->act <= PEER_ANSWER_AND_CLOSE)
        accept_items(f, request->body);
    http_peer_say(answer, status, a->headers ? a->headers : "", a->body);
    return (enum http_peer_act)a->act;
}

static enum grpc_peer_act on_grpc(void *ctx, const struct grpc_peer_request *request, struct grpc_peer_answer *answer)
{
    struct fixture *f = ctx;
    const struct answer *a = answer_number(f, request->number);

    keep(f, request->head, request->body);
    *answer = (struct grpc_peer_answer){ .status = a->status, .message = a->message, .details = a->details,
                                         .body = a->body, .trailers_only = strcmp(a->status, "0") != 0 };
    if (f->refuse_above && request->body.len > f->refuse_above) {
        answer->status = "8";
        answer->message = "received message larger than max";
        answer->trailers_only = true;
    } else if (strcmp(a->status, "0") == 0 && a->act == GRPC_ANSWER) {
        accept_items(f, weft_slice_from(request->body, 5));
    }
    return (enum grpc_peer_act)a->act;
}

static void open_fixture(struct fixture *f, const struct weft_exporter_type *type)
{
    f->o = (struct weft_otlp_exporter *)fake_lane_open(&f->lane, type, "otlp/test");
    assert_int_equal(grpc_peer_open(&f->grpc, &f->lane.loop), 0);
    assert_int_equal(http_peer_open(&f->http, &f->lane.loop), 0);
    f->grpc.ctx = f->http.ctx = f;
    f->grpc.on_request = on_grpc;
    f->http.on_request = on_http;
    weft_buf_init(&f->body, 64u << 20);
    weft_buf_init(&f->arrived, 64u << 20);
    for (size_t i = 0; i < 3; i++)
        weft_buf_init(&f->payload[i], 64u << 20);
    bool grpc = type != &weft_exporter_otlphttp;
    (void)snprintf(f->endpoint, sizeof f->endpoint, grpc ? "127.0.0.1:%d" : "http://127.0.0.1:%d/",
                   grpc ? f->grpc.port : f->http.port);
    f->answers = grpc ? ok_grpc : ok_http;
    f->n_answers = 1;
    f->o->endpoint = f->endpoint;
    f->o->insecure = true;
    f->o->timeout_ms = 5000;
    f->o->gzip_level = 1;
}

static int setup_grpc(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    open_fixture(f, &weft_exporter_otlp);
    *state = f;
    return 0;
}

static int setup_http(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    open_fixture(f, &weft_exporter_otlphttp);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    grpc_peer_close(&f->grpc);
    http_peer_close(&f->http);
    fake_lane_close(&f->lane);
    weft_buf_release(&f->body);
    weft_buf_release(&f->arrived);
    for (size_t i = 0; i < 3; i++)
        weft_buf_release(&f->payload[i]);
    free(f);
    return 0;
}

static void start(struct fixture *f)
{
    assert_int_equal(f->o->base.type->start(&f->o->base), 0);
}

/* A batch of three records with `n` spans each. */
static void batch_of(struct fixture *f, unsigned n)
{
    struct weft_slice payloads[3];

    for (unsigned i = 0; i < 3; i++) {
        weft_buf_reset(&f->payload[i]);
        fake_payload(&f->payload[i], WEFT_TRACES, "shop", i * n, n);
        payloads[i] = weft_buf_slice(&f->payload[i]);
    }
    fake_lane_batch(&f->lane, WEFT_TRACES, payloads, 3);
}

static void send_batch(struct fixture *f)
{
    fake_lane_send(&f->lane);
}

static const char *arrived(struct fixture *f)
{
    weft_buf_append_byte(&f->arrived, 0);
    f->arrived.len--;
    return (const char *)f->arrived.data;
}

static void script(struct fixture *f, const struct answer *answers, unsigned n)
{
    f->answers = answers;
    f->n_answers = n;
}

static void assert_concatenated(struct fixture *f, size_t skip)
{
    struct weft_slice got = weft_slice_from(weft_buf_slice(&f->body), skip);

    for (size_t i = 0; i < 3; i++) {
        struct weft_slice want = weft_buf_slice(&f->payload[i]);
        assert_true(got.len >= want.len);
        assert_memory_equal(got.data, want.data, want.len);
        got = weft_slice_from(got, want.len);
    }
    assert_int_equal(got.len, 0);
}

static void a_grpc_request_is_the_records_behind_one_prefix(void **state)
{
    struct fixture *f = *state;
    struct weft_pair tenant = { "X-Tenant", "blue" };

    f->o->headers = (struct weft_pairs){ 1, &tenant };
    start(f);
    batch_of(f, 2);
    send_batch(f);
    assert_int_equal(f->lane.outcome, WEFT_SENT);
    assert_string_equal(arrived(f), "item-0 item-1 item-2 item-3 item-4 item-5 ");
    assert_int_equal(f->body.data[0], 0);
    assert_int_equal(f->body.data[3] << 8 | f->body.data[4], f->body.len - 5);
    assert_concatenated(f, 5);
    assert_int_equal(f->lane.batch.sent_bytes, f->body.len);
    assert_non_null(strstr(f->head, ":method: POST\n"));
    assert_non_null(strstr(f->head, ":scheme: http\n"));
    assert_non_null(strstr(f->head, ":path: /opentelemetry.proto.collector.trace.v1.TraceService/Export\n"));
    assert_non_null(strstr(f->head, "content-type: application/grpc\n"));
    assert_non_null(strstr(f->head, "te: trailers\n"));
    assert_non_null(strstr(f->head, "grpc-timeout: 5000m\n"));
    assert_non_null(strstr(f->head, "user-agent: weft/"));
    assert_non_null(strstr(f->head, "x-tenant: blue\n"));
    assert_null(strstr(f->head, "grpc-encoding"));
}

static void an_http_request_is_the_records(void **state)
{
    struct fixture *f = *state;

    start(f);
    batch_of(f, 2);
    send_batch(f);
    assert_int_equal(f->lane.outcome, WEFT_SENT);
    assert_concatenated(f, 0);
    assert_non_null(strstr(f->head, "POST /v1/traces HTTP/1.1\r\n"));
    assert_non_null(strstr(f->head, "Content-Type: application/x-protobuf\r\n"));
    assert_null(strstr(f->head, "Content-Encoding"));
}

static void compressed_requests_say_so_and_unpack_to_the_same(void **state)
{
    struct fixture *f = *state;
    struct weft_gunzip *gunzip;
    struct weft_buf plain;
    bool grpc = f->o->base.type == &weft_exporter_otlp;

    weft_buf_init(&plain, 1u << 20);
    assert_int_equal(weft_gunzip_new(&gunzip), 0);
    f->o->compression = WEFT_OTLP_GZIP;
    start(f);
    batch_of(f, 100);
    send_batch(f);
    assert_int_equal(f->lane.outcome, WEFT_SENT);
    assert_non_null(strstr(f->head, grpc ? "grpc-encoding: gzip\n" : "Content-Encoding: gzip\r\n"));
    if (grpc)
        assert_int_equal(f->body.data[0], 1);
    assert_int_equal(weft_gunzip_run(gunzip, weft_slice_from(weft_buf_slice(&f->body), grpc ? 5 : 0), &plain), 0);
    weft_buf_reset(&f->body);
    weft_buf_append(&f->body, plain.data, plain.len);
    assert_concatenated(f, 0);
    weft_gunzip_free(gunzip);
    weft_buf_release(&plain);
}

static void a_large_batch_arrives_whole(void **state)
{
    struct fixture *f = *state;

    start(f);
    batch_of(f, 60000); /* 3.5 MB: larger than a window, a frame, a socket's buffer */
    for (unsigned i = 0; i < 3; i++) {
        weft_buf_reset(&f->arrived);
        memset(f->lane.batch.item_state, WEFT_ITEM_WAITING, f->lane.batch.n_items);
        f->lane.batch.signal = WEFT_METRICS; /* nobody reads the names of so many */
        f->o->targets[0].urls[WEFT_METRICS] = f->o->targets[0].urls[WEFT_TRACES];
        send_batch(f);
        if (f->lane.outcome != WEFT_SENT)
            fail_msg("%s: %s", f->lane.reason, f->lane.detail);
        assert_concatenated(f, f->o->grpc ? 5 : 0);
    }
}

static void busy_back_ends_are_tried_again_when_they_say(void **state)
{
    struct fixture *f = *state;
    static const struct answer answers[] = {
        { PEER_ANSWER, "503", "Retry-After: 7\r\n", NULL, NULL, NO_BODY },
        { PEER_CUT, "200", NULL, NULL, NULL, NO_BODY }, /* a kept connection that dies is replaced once by itself */
        { PEER_CUT, "200", NULL, NULL, NULL, NO_BODY },
        { PEER_ANSWER, "200", NULL, NULL, NULL, NO_BODY },
    };

    script(f, answers, 4);
    start(f);
    batch_of(f, 1);
    send_batch(f);
    assert_int_equal(f->lane.outcome, WEFT_RETRY);
    assert_string_equal(f->lane.reason, "http_503");
    assert_int_equal(f->lane.retry_after_ms, 7000);
    assert_string_equal(fake_lane_states(&f->lane), "www");
    send_batch(f);
    assert_int_equal(f->lane.outcome, WEFT_RETRY);
    assert_string_equal(f->lane.reason, "connection");
    send_batch(f);
    assert_int_equal(f->lane.outcome, WEFT_SENT);
    assert_string_equal(arrived(f), "item-0 item-1 item-2 ");
}

static void busy_grpc_back_ends_are_tried_again(void **state)
{
    struct fixture *f = *state;
    static const struct answer answers[] = {
        { GRPC_ANSWER, "14", NULL, "draining", NULL, NO_BODY },
        { GRPC_CUT, "0", NULL, NULL, NULL, NO_BODY }, /* a kept connection that dies is replaced once by itself */
        { GRPC_CUT, "0", NULL, NULL, NULL, NO_BODY },
        { GRPC_ANSWER, "3", NULL, "bad%20span", NULL, NO_BODY },
    };

    script(f, answers, 4);
    start(f);
    batch_of(f, 1);
    send_batch(f);
    assert_int_equal(f->lane.outcome, WEFT_RETRY);
    assert_string_equal(f->lane.reason, "grpc_14");
    assert_string_equal(f->lane.detail, "draining");
    send_batch(f);
    assert_int_equal(f->lane.outcome, WEFT_RETRY);
    assert_string_equal(f->lane.reason, "connection");
    send_batch(f);
    assert_int_equal(f->lane.outcome, WEFT_REJECTED);
    assert_string_equal(f->lane.reason, "grpc_3");
    assert_string_equal(f->lane.detail, "bad span");
}

static void a_silent_back_end_times_out(void **state)
{
    struct fixture *f = *state;
    static const struct answer hang = { PEER_HANG, "200", NULL, NULL, NULL, NO_BODY };
    static const struct answer grpc_hang = { GRPC_HANG, "0", NULL, NULL, NULL, NO_BODY };

    script(f, f->o->base.type == &weft_exporter_otlp ? &grpc_hang : &hang, 1);
    f->o->timeout_ms = 100;
    start(f);
    batch_of(f, 1);
    send_batch(f);
    assert_int_equal(f->lane.outcome, WEFT_RETRY);
    assert_string_equal(f->lane.reason, "timeout");
}

static void a_partial_success_rejects_as_many_as_it_says(void **state)
{
    struct fixture *f = *state;
    static const uint8_t body[] = { 0x0a, 7, 0x08, 2, 0x12, 3, 'b', 'a', 'd' };
    static const struct answer partial = { PEER_ANSWER, "200", "Content-Type: application/x-protobuf\r\n", NULL, NULL,
                                           { body, sizeof body } };

    script(f, &partial, 1);
    start(f);
    batch_of(f, 1);
    send_batch(f);
    assert_int_equal(f->lane.outcome, WEFT_SENT);
    assert_string_equal(fake_lane_states(&f->lane), "rrs");
    assert_string_equal(f->lane.rejects, "0+2 partial_success: bad\n");
}

static void a_compressed_answer_is_unpacked(void **state)
{
    struct fixture *f = *state;
    static const uint8_t message[] = { 0x0a, 7, 0x08, 2, 0x12, 3, 'b', 'a', 'd' };
    const struct weft_slice plain = { message, sizeof message };
    struct answer partial = { GRPC_ANSWER, "0", NULL, NULL, NULL, NO_BODY };
    struct weft_gzip *gzip;
    struct weft_buf packed;

    weft_buf_init(&packed, 4096);
    weft_buf_append(&packed, "\1\0\0\0\0", 5);
    assert_int_equal(weft_gzip_new(&gzip, 1), 0);
    assert_int_equal(weft_gzip_run(gzip, &plain, 1, &packed), 0);
    packed.data[4] = (uint8_t)(packed.len - 5);
    partial.body = weft_buf_slice(&packed);
    script(f, &partial, 1);
    f->o->compression = WEFT_OTLP_NONE;
    start(f);
    for (int i = 0; i < 2; i++) {
        batch_of(f, 1);
        send_batch(f);
        assert_int_equal(f->lane.outcome, WEFT_SENT);
        assert_string_equal(f->lane.rejects, "0+2 partial_success: bad\n");
    }
    weft_gzip_free(gzip);
    weft_buf_release(&packed);
}

/* Every item arrives exactly once, whatever the pieces are. */
static void assert_each_once(struct fixture *f, unsigned n)
{
    const char *at = arrived(f);
    char name[32];

    for (unsigned i = 0; i < n; i++) {
        int len = snprintf(name, sizeof name, "item-%u ", i);
        if (strncmp(at, name, (size_t)len) != 0)
            fail_msg("item %u: found '%.20s'", i, at);
        at += len;
    }
    assert_string_equal(at, "");
}

static void what_is_too_large_is_sent_in_pieces(void **state)
{
    struct fixture *f = *state;

    f->refuse_above = 100000;
    start(f);
    batch_of(f, 8000); /* 440 KB in three records */
    send_batch(f);
    assert_int_equal(f->lane.outcome, WEFT_SENT);
    assert_each_once(f, 24000);
    assert_int_equal(f->lane.n_rejects, 0);
    unsigned first = f->grpc.n_requests + f->http.n_requests;
    assert_true(first > f->n_accepted); /* it had to find out */

    weft_buf_reset(&f->arrived);
    f->n_accepted = 0;
    memset(f->lane.batch.item_state, WEFT_ITEM_WAITING, f->lane.batch.n_items);
    send_batch(f);
    assert_each_once(f, 24000);
    assert_int_equal(f->grpc.n_requests + f->http.n_requests - first, f->n_accepted); /* and knows now */
}

static void a_small_request_that_is_too_large_is_refused_at_once(void **state)
{
    struct fixture *f = *state;

    f->refuse_above = 10;
    start(f);
    batch_of(f, 2);
    send_batch(f);
    assert_int_equal(f->lane.outcome, WEFT_REJECTED);
    assert_int_equal(f->grpc.n_requests + f->http.n_requests, 1);
}

static void pieces_that_were_sent_are_left_out_of_a_retry(void **state)
{
    struct fixture *f = *state;
    static const struct answer answers[] = {
        { PEER_ANSWER, "413", NULL, NULL, NULL, NO_BODY }, { PEER_ANSWER, "200", NULL, NULL, NULL, NO_BODY },
        { PEER_ANSWER, "429", NULL, NULL, NULL, NO_BODY }, { PEER_ANSWER, "400", NULL, NULL, NULL, NO_BODY },
        { PEER_ANSWER, "200", NULL, NULL, NULL, NO_BODY },
    };

    script(f, answers, 5);
    start(f);
    batch_of(f, 3000); /* 165 KB */
    send_batch(f);
    assert_int_equal(f->lane.outcome, WEFT_RETRY);
    const uint8_t *states = f->lane.batch.item_state;
    assert_int_equal(states[0], WEFT_ITEM_SENT);
    assert_int_equal(states[8999], WEFT_ITEM_WAITING);
    size_t sent = f->arrived.len;
    assert_true(sent > 0);

    send_batch(f); /* the next piece is refused for good, the one behind it is taken */
    assert_int_equal(f->lane.outcome, WEFT_SENT);
    unsigned n[4] = { 0 };
    for (size_t i = 0; i < 9000; i++)
        n[states[i]]++;
    assert_int_equal(n[WEFT_ITEM_WAITING], 0);
    assert_int_equal(n[WEFT_ITEM_REJECTED], f->lane.n_rejects);
    assert_true(n[WEFT_ITEM_REJECTED] > 0);
    assert_non_null(strstr(f->lane.rejects, "http_400"));
    unsigned names = 0;
    for (const char *p = arrived(f); *p; p++)
        names += *p == ' ';
    assert_int_equal(names, n[WEFT_ITEM_SENT]);
}

static void stopping_gives_back_what_is_out(void **state)
{
    struct fixture *f = *state;
    static const struct answer hang = { PEER_HANG, "200", NULL, NULL, NULL, NO_BODY };

    script(f, &hang, 1);
    start(f);
    batch_of(f, 1);
    f->o->base.type->send(&f->o->base, &f->lane.batch);
    uv_run(&f->lane.loop, UV_RUN_ONCE);
    f->o->base.type->stop(&f->o->base);
    assert_int_equal(f->lane.done, 1);
    assert_int_equal(f->lane.outcome, WEFT_RETRY);
    assert_string_equal(f->lane.reason, "stopped");
}

static void json_is_sent_when_asked_for(void **state)
{
    struct fixture *f = *state;

    f->o->encoding = WEFT_OTLP_JSON;
    start(f);
    batch_of(f, 1);
    send_batch(f);
    assert_int_equal(f->lane.outcome, WEFT_SENT);
    assert_non_null(strstr(f->head, "Content-Type: application/json\r\n"));
    weft_buf_append_byte(&f->body, 0);
    const char *json = (const char *)f->body.data;
    assert_true(strncmp(json, "{\"resourceSpans\":[", 18) == 0);
    for (int i = 0; i < 3; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "\"name\":\"item-%d\"", i);
        assert_non_null(strstr(json, name));
    }
}

static void targets_follow_from_the_options(void **state)
{
    const struct {
        const struct weft_exporter_type *type;
        char *endpoint, *logs_endpoint;
        bool insecure;
        int protocol;
        const char *traces, *logs;
        bool compress;
    } cases[] = {
        { &weft_exporter_otlp, (char *)"tempo:4317", NULL, true, 0,
          "http://tempo:4317/opentelemetry.proto.collector.trace.v1.TraceService/Export",
          "http://tempo:4317/opentelemetry.proto.collector.logs.v1.LogsService/Export", true },
        { &weft_exporter_otlp, (char *)"tempo:4317", NULL, false, 0,
          "https://tempo:4317/opentelemetry.proto.collector.trace.v1.TraceService/Export",
          "https://tempo:4317/opentelemetry.proto.collector.logs.v1.LogsService/Export", true },
        { &weft_exporter_otlp, (char *)"http://[::1]:4317/", NULL, false, 0,
          "http://[::1]:4317/opentelemetry.proto.collector.trace.v1.TraceService/Export",
          "http://[::1]:4317/opentelemetry.proto.collector.logs.v1.LogsService/Export", false },
        { &weft_exporter_otlp, (char *)"dns:///localhost:4317", NULL, true, 0,
          "http://localhost:4317/opentelemetry.proto.collector.trace.v1.TraceService/Export",
          "http://localhost:4317/opentelemetry.proto.collector.logs.v1.LogsService/Export", false },
        { &weft_exporter_otlphttp, (char *)"https://otlp.example.org/otlp/", NULL, false, 0,
          "https://otlp.example.org/otlp/v1/traces", "https://otlp.example.org/otlp/v1/logs", true },
        { &weft_exporter_otlphttp, (char *)"http://127.0.0.1:4318", (char *)"http://loki:3100/otlp/v1/logs", false, 0,
          "http://127.0.0.1:4318/v1/traces", "http://loki:3100/otlp/v1/logs", true },
        { &weft_exporter_otlphttp, NULL, (char *)"http://127.0.0.1:3100/x", false, 0, NULL, "http://127.0.0.1:3100/x",
          false },
        { &weft_exporter_jaeger, (char *)"jaeger:4317", NULL, true, WEFT_OTLP_GRPC_LONG,
          "http://jaeger:4317/opentelemetry.proto.collector.trace.v1.TraceService/Export", NULL, true },
        { &weft_exporter_jaeger, (char *)"jaeger:4318", NULL, true, WEFT_OTLP_HTTP, "http://jaeger:4318/v1/traces",
          NULL, true },
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct weft_otlp_exporter o = { .base = { .type = cases[i].type }, .endpoint = cases[i].endpoint,
                                        .logs_endpoint = cases[i].logs_endpoint, .insecure = cases[i].insecure,
                                        .protocol = cases[i].protocol, .timeout_ms = 10000 };
        assert_int_equal(weft_otlp_target(&o), 0);
        const char *traces = o.targets[0].urls[WEFT_TRACES] ? o.targets[0].urls[WEFT_TRACES] : "none";
        const char *logs = o.targets[0].urls[WEFT_LOGS] ? o.targets[0].urls[WEFT_LOGS] : "none";
        if (strcmp(traces, cases[i].traces ? cases[i].traces : "none") != 0 || o.compress != cases[i].compress ||
            (cases[i].logs && strcmp(logs, cases[i].logs) != 0))
            fail_msg("case %zu: %s %s, compress %d", i, traces, logs, o.compress);
        weft_arena_release(&o.text);
    }
}

static void several_endpoints_have_urls_each(void **state)
{
    char *two[] = { (char *)"a:1", (char *)"https://b:2/" };
    struct weft_otlp_exporter o = { .base = { .type = &weft_exporter_otlp }, .endpoints = { 2, two }, .insecure = true };
    (void)state;

    assert_int_equal(weft_otlp_target(&o), 0);
    assert_int_equal(o.n_targets, 2);
    assert_string_equal(o.targets[0].urls[WEFT_LOGS], "http://a:1/opentelemetry.proto.collector.logs.v1.LogsService/Export");
    assert_string_equal(o.targets[1].urls[WEFT_LOGS], "https://b:2/opentelemetry.proto.collector.logs.v1.LogsService/Export");
    assert_string_equal(weft_otlp_endpoint(&o.base, 1), "https://b:2/");
    assert_null(weft_otlp_endpoint(&o.base, 2));
    weft_arena_release(&o.text);
}

static void an_endpoint_that_is_probed_gets_a_small_piece_first(void **state)
{
    struct fixture *f = *state;
    static const struct answer later[] = { { 0, "503", NULL, NULL, NULL, NO_BODY } };

    start(f);
    fake_payload(&f->payload[0], WEFT_TRACES, "shop", 0, 20000);
    struct weft_slice payload = weft_buf_slice(&f->payload[0]);
    fake_lane_batch(&f->lane, WEFT_TRACES, &payload, 1);
    assert_true(payload.len > 150000);
    f->lane.batch.probe = true;
    f->answers = later;
    send_batch(f);
    assert_int_equal(f->lane.outcome, WEFT_RETRY);
    assert_int_equal(f->http.n_requests, 1);
    assert_in_range(f->body.len, 1, 80 * 1024);
    f->answers = ok_http;
    send_batch(f);
    assert_int_equal(f->lane.outcome, WEFT_SENT);
    assert_int_equal(f->http.n_requests, 3); /* the small one, and the rest in one */
    assert_int_equal(f->n_accepted, 2);
    assert_non_null(strstr((const char *)f->arrived.data, "item-0 "));
    weft_buf_append_byte(&f->arrived, 0);
    assert_non_null(strstr((const char *)f->arrived.data, "item-19999 "));
}

static void mistakes_in_the_configuration_are_reported(void **state)
{
    char *two[] = { (char *)"http://a:1", (char *)"b:1" };
    struct weft_pair split = { (char *)"X-A", (char *)"b\r\nX-C: d" }, named = { (char *)"a b", (char *)"c" };
    const struct {
        const char *what;
        struct weft_otlp_exporter o;
        const char *words; /* NULL: none */
    } cases[] = {
        { "a good one", { .base = { .type = &weft_exporter_otlp }, .endpoint = (char *)"a:1" }, NULL },
        { "no port", { .base = { .type = &weft_exporter_otlp }, .endpoint = (char *)"tempo" }, "not host:port" },
        { "a path", { .base = { .type = &weft_exporter_otlp }, .endpoint = (char *)"tempo:4317/x" }, "not host:port" },
        { "no endpoint at all", { .base = { .type = &weft_exporter_otlphttp } }, "endpoint is missing" },
        { "none", { .base = { .type = &weft_exporter_otlp } }, "endpoint is missing" },
        { "several", { .base = { .type = &weft_exporter_otlp }, .endpoints = { 2, two } }, NULL },
        { "one of several is wrong", { .base = { .type = &weft_exporter_otlphttp }, .endpoints = { 2, two } }, "'b:1' is not a URL" },
        { "one and several", { .base = { .type = &weft_exporter_otlp }, .endpoints = { 2, two }, .endpoint = (char *)"a:1" },
          "both set" },
        { "several, and one of a signal",
          { .base = { .type = &weft_exporter_otlphttp }, .endpoints = { 1, two }, .logs_endpoint = (char *)"http://a/logs" },
          "not with endpoints" },
        { "one signal's is enough",
          { .base = { .type = &weft_exporter_otlphttp }, .traces_endpoint = (char *)"http://a/v1/traces" }, NULL },
        { "no scheme", { .base = { .type = &weft_exporter_otlphttp }, .endpoint = (char *)"a:4318" }, "not a URL" },
        { "thrift", { .base = { .type = &weft_exporter_jaeger }, .endpoint = (char *)"a:1", .protocol = WEFT_OTLP_THRIFT },
          "takes grpc and otlp_http" },
        { "a header of two lines",
          { .base = { .type = &weft_exporter_otlp }, .endpoint = (char *)"a:1", .headers = { 1, &split } },
          "not a header of one line" },
        { "a name with a blank",
          { .base = { .type = &weft_exporter_otlp }, .endpoint = (char *)"a:1", .headers = { 1, &named } },
          "not a header of one line" },
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct weft_arena arena;
        struct weft_otlp_exporter o = cases[i].o;
        weft_arena_init(&arena, 1u << 20);
        struct weft_problems problems = { .arena = &arena };
        int err = weft_otlp_check(&o.base, NULL, &problems);
        const char *words = problems.first ? problems.first->text : "";
        if (cases[i].words ? err == 0 || !strstr(words, cases[i].words) : err != 0)
            fail_msg("%s: %d '%s'", cases[i].what, err, words);
        weft_arena_release(&arena);
    }
}

#define WITH(kind, test) { #test " (" #kind ")", test, setup_##kind, teardown, NULL }

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        WITH(grpc, a_grpc_request_is_the_records_behind_one_prefix),
        WITH(http, an_http_request_is_the_records),
        WITH(grpc, compressed_requests_say_so_and_unpack_to_the_same),
        WITH(http, compressed_requests_say_so_and_unpack_to_the_same),
        WITH(grpc, a_large_batch_arrives_whole),
        WITH(http, a_large_batch_arrives_whole),
        WITH(http, busy_back_ends_are_tried_again_when_they_say),
        WITH(grpc, busy_grpc_back_ends_are_tried_again),
        WITH(grpc, a_silent_back_end_times_out),
        WITH(http, a_silent_back_end_times_out),
        WITH(http, a_partial_success_rejects_as_many_as_it_says),
        WITH(grpc, a_compressed_answer_is_unpacked),
        WITH(grpc, what_is_too_large_is_sent_in_pieces),
        WITH(http, what_is_too_large_is_sent_in_pieces),
        WITH(grpc, a_small_request_that_is_too_large_is_refused_at_once),
        WITH(http, a_small_request_that_is_too_large_is_refused_at_once),
        WITH(http, pieces_that_were_sent_are_left_out_of_a_retry),
        WITH(http, stopping_gives_back_what_is_out),
        WITH(http, json_is_sent_when_asked_for),
        WITH(http, an_endpoint_that_is_probed_gets_a_small_piece_first),
        cmocka_unit_test(several_endpoints_have_urls_each),
        cmocka_unit_test(targets_follow_from_the_options),
        cmocka_unit_test(mistakes_in_the_configuration_are_reported),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

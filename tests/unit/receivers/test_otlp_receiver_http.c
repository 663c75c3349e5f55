/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP half of the OTLP receiver over real sockets, with a sink that counts. */
#include "core/err.h"
#include "core/gzip.h"
#include "core/otlp_json.h"
#include "receivers/otlp.h"
#include "receivers/otlp_cors.h"
#include "tests/support/count_sink.h"
#include "tests/support/raw_peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

struct rig {
    uv_loop_t loop;
    struct weft_otlp otlp;
    struct count_sink sinks[WEFT_SIGNALS];
    struct peer peer;
};

static void rig_prepare(struct rig *rig)
{
    static char endpoint[] = "127.0.0.1:0", traces[] = "/v1/traces", logs[] = "/v1/logs", metrics[] = "/v1/metrics";

    memset(rig, 0, sizeof *rig);
    assert_int_equal(uv_loop_init(&rig->loop), 0);
    rig->otlp.base.id = "otlp";
    rig->otlp.base.loop = &rig->loop;
    rig->otlp.want_http = true;
    rig->otlp.http_options = (struct weft_otlp_http_options){
        .endpoint = endpoint, .max_request_body_size = 1 << 20, .max_connections = 64,
        .paths = { traces, logs, metrics },
    };
    for (int i = 0; i < WEFT_SIGNALS; i++) {
        count_sink_init(&rig->sinks[i]);
        rig->otlp.base.sinks[i] = &rig->sinks[i].base;
    }
}

static void rig_start(struct rig *rig)
{
    assert_int_equal(weft_otlp_http_start(&rig->otlp), 0);
    peer_open(&rig->peer, &rig->loop, weft_otlp_http_port(&rig->otlp));
}

static void rig_open(struct rig *rig)
{
    rig_prepare(rig);
    rig_start(rig);
}

static void rig_close(struct rig *rig)
{
    peer_close(&rig->peer);
    weft_otlp_http_stop(&rig->otlp);
    weft_otlp_http_stop(&rig->otlp);
    assert_int_equal(uv_run(&rig->loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(uv_loop_close(&rig->loop), 0);
    for (int i = 0; i < WEFT_SIGNALS; i++)
        count_sink_release(&rig->sinks[i]);
}

static void reconnect(struct rig *rig)
{
    peer_close(&rig->peer);
    peer_open(&rig->peer, &rig->loop, weft_otlp_http_port(&rig->otlp));
}

/* One request; `headers` are whole lines. */
static struct peer_answer request(struct rig *rig, const char *method, const char *path, const char *headers,
                                  struct weft_slice body)
{
    struct peer_answer a;
    char head[1024];

    if (rig->peer.ended)
        reconnect(rig);
    (void)snprintf(head, sizeof head, "%s %s HTTP/1.1\r\nHost: t\r\n%sContent-Length: %zu\r\n\r\n", method, path, headers,
                   body.len);
    assert_true(peer_send_text(&rig->peer, head));
    (void)peer_send(&rig->peer, body.data, body.len);
    peer_read(&rig->peer, &a);
    return a;
}

#define PROTOBUF "Content-Type: application/x-protobuf\r\n"
#define JSON "Content-Type: application/json\r\n"
#define GZIP "Content-Encoding: gzip\r\n"

static struct weft_slice sample(const char *name, struct weft_buf *into)
{
    char path[512];

    (void)snprintf(path, sizeof path, "%s/tests/samples/%s", WEFT_SOURCE_DIR, name);
    FILE *f = fopen(path, "rb");
    if (!f)
        fail_msg("no sample %s", path);
    weft_buf_reset(into);
    uint8_t *at = weft_buf_reserve(into, 65536);
    into->len = fread(at, 1, 65536, f);
    fclose(f);
    return weft_buf_slice(into);
}

static void every_sample_is_accepted_with_the_typed_answer(void **state)
{
    static const char *const services[] = { "frontend", "order-service", "payment-service", "inventory-service" };
    static const char *const paths[] = { "/v1/traces", "/v1/logs", "/v1/metrics" };
    struct rig rig;
    struct weft_buf file, want;
    (void)state;

    rig_open(&rig);
    weft_buf_init(&file, 1 << 20);
    weft_buf_init(&want, 1 << 20);
    for (int s = 0; s < WEFT_SIGNALS; s++) {
        for (int i = 0; i < 4; i++) {
            char name[128];
            const char *signal = weft_signal_name((enum weft_signal)s);
            if (s == WEFT_LOGS && i == 3)
                continue; /* that service wrote no log */
            (void)snprintf(name, sizeof name, "otlp-proto/%s-%s.pb", signal, services[i]);
            struct weft_slice body = sample(name, &file);
            struct peer_answer a = request(&rig, "POST", paths[s], PROTOBUF, body);
            if (a.status != 200 || a.body_len != 0 || strcmp(peer_header(&a, "Content-Type:"), "application/x-protobuf") != 0)
                fail_msg("%s: %d, %s", name, a.status, a.body);
            assert_true(weft_slice_equal(weft_buf_slice(&rig.sinks[s].last), body));
            assert_int_equal(rig.sinks[s].signal, s);

            (void)snprintf(name, sizeof name, "otlp-json/%s-%s.json", signal, services[i]);
            body = sample(name, &file);
            a = request(&rig, "POST", paths[s], "Content-Type: application/json; charset=utf-8\r\n", body);
            if (a.status != 200 || strcmp(a.body, "{}") != 0 || strcmp(peer_header(&a, "Content-Type:"), "application/json") != 0)
                fail_msg("%s: %d, %s", name, a.status, a.body);
            struct weft_json_error e;
            weft_buf_reset(&want);
            assert_int_equal(weft_otlp_json_read((enum weft_signal)s, body, &want, &e), 0);
            assert_true(weft_slice_equal(weft_buf_slice(&rig.sinks[s].last), weft_buf_slice(&want)));
        }
        assert_true(rig.sinks[s].items >= rig.sinks[s].commits);
        assert_int_equal(rig.sinks[s].commits, s == WEFT_LOGS ? 6 : 8);
    }
    weft_buf_release(&file);
    weft_buf_release(&want);
    rig_close(&rig);
}

static void gzip_bodies_are_unpacked(void **state)
{
    static const char *const names[] = { "traces", "logs", "metrics" };
    struct rig rig;
    struct weft_buf packed, plain;
    (void)state;

    rig_open(&rig);
    weft_buf_init(&packed, 1 << 20);
    weft_buf_init(&plain, 1 << 20);
    for (int s = 0; s < WEFT_SIGNALS; s++) {
        char name[128], path[32];
        (void)snprintf(path, sizeof path, "/v1/%s", names[s]);
        (void)snprintf(name, sizeof name, "otlp-proto/%s-frontend.pb.gz", names[s]);
        struct peer_answer a = request(&rig, "POST", path, PROTOBUF GZIP, sample(name, &packed));
        assert_int_equal(a.status, 200);
        (void)snprintf(name, sizeof name, "otlp-proto/%s-frontend.pb", names[s]);
        assert_int_equal(rig.sinks[s].last.len, sample(name, &plain).len);
    }
    weft_buf_release(&packed);
    weft_buf_release(&plain);
    rig_close(&rig);
}

static void recorded_connections_of_the_js_sdk_are_answered_request_by_request(void **state)
{
    const struct { const char *name; int requests; } files[] = {
        { "http-raw/otlp-http-chunked-0095.http", 1 }, { "http-raw/otlp-http-chunked-0097.http", 2 },
    };
    struct rig rig;
    struct weft_buf file;
    struct peer_answer a;
    (void)state;

    rig_open(&rig);
    weft_buf_init(&file, 1 << 20);
    for (size_t i = 0; i < 2; i++) {
        struct weft_slice bytes = sample(files[i].name, &file);
        for (size_t cut = 1; cut < bytes.len; cut = cut < 40 ? cut + 1 : cut + 97) {
            peer_close(&rig.peer);
            peer_open(&rig.peer, &rig.loop, weft_otlp_http_port(&rig.otlp));
            assert_true(peer_send(&rig.peer, bytes.data, cut));
            peer_settle(&rig.loop);
            assert_true(peer_send(&rig.peer, bytes.data + cut, bytes.len - cut));
            for (int r = 0; r < files[i].requests; r++) {
                peer_read(&rig.peer, &a);
                if (a.status != 200)
                    fail_msg("%s cut at %zu, request %d: %d", files[i].name, cut, r, a.status);
            }
        }
    }
    weft_buf_release(&file);
    rig_close(&rig);
}

/* A varint field 1 of google.rpc.Status comes first: its code. */
static int status_code(const struct peer_answer *a)
{
    if (strcmp(peer_header(a, "Content-Type:"), "application/json") == 0)
        return strncmp(a->body, "{\"code\":", 8) == 0 ? (int)strtol(a->body + 8, NULL, 10) : -1;
    return a->body_len > 2 && a->body[0] == 0x08 ? a->body[1] : -1;
}

static void every_refusal_has_a_status_body_in_the_requests_format(void **state)
{
    const struct { const char *what, *method, *path, *headers, *body; int status, code; enum weft_refusal reason; const char *header, *value; } cases[] = {
        { "an unknown path", "POST", "/v1/nonsense", PROTOBUF, "x", 404, 5, WEFT_REFUSALS, "Content-Type:", "application/x-protobuf" },
        { "the root", "GET", "/", "", "", 404, 5, WEFT_REFUSALS, "Content-Type:", "application/json" },
        { "profiles", "POST", "/v1development/profiles", JSON, "{}", 404, 5, WEFT_REFUSALS, "Content-Type:", "application/json" },
        { "the method GET", "GET", "/v1/traces", PROTOBUF, "", 405, 12, WEFT_REFUSAL_UNSUPPORTED, "Allow:", "POST" },
        { "the method PUT", "PUT", "/v1/traces", JSON, "{}", 405, 12, WEFT_REFUSAL_UNSUPPORTED, "Allow:", "POST" },
        { "OPTIONS without CORS", "OPTIONS", "/v1/traces", "", "", 405, 12, WEFT_REFUSAL_UNSUPPORTED, "Allow:", "POST" },
        { "no media type", "POST", "/v1/traces", "", "x", 415, 12, WEFT_REFUSAL_UNSUPPORTED, "Accept:", "application/x-protobuf, application/json" },
        { "text", "POST", "/v1/traces", "Content-Type: text/plain\r\n", "x", 415, 12, WEFT_REFUSAL_UNSUPPORTED, "", "" },
        { "nearly protobuf", "POST", "/v1/traces", "Content-Type: application/x-protobuffer\r\n", "x", 415, 12, WEFT_REFUSAL_UNSUPPORTED, "", "" },
        { "brotli", "POST", "/v1/traces", JSON "Content-Encoding: br\r\n", "x", 415, 12, WEFT_REFUSAL_UNSUPPORTED, "Accept-Encoding:", "gzip, identity" },
        { "no protobuf", "POST", "/v1/traces", PROTOBUF, "\x0a\x05z", 400, 3, WEFT_REFUSAL_MALFORMED, "", "" },
        { "no JSON", "POST", "/v1/traces", JSON, "{\"resourceSpans\":[", 400, 3, WEFT_REFUSAL_MALFORMED, "", "" },
        { "JSON of the wrong shape", "POST", "/v1/logs", JSON, "[]", 400, 3, WEFT_REFUSAL_MALFORMED, "", "" },
        { "no gzip", "POST", "/v1/metrics", PROTOBUF GZIP, "this is not gzip at all", 400, 3, WEFT_REFUSAL_MALFORMED, "", "" },
    };
    struct rig rig;
    (void)state;

    rig_open(&rig);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        enum weft_signal s = strstr(cases[i].path, "logs") ? WEFT_LOGS : strstr(cases[i].path, "metrics") ? WEFT_METRICS : WEFT_TRACES;
        uint64_t before = cases[i].reason < WEFT_REFUSALS ? rig.sinks[s].refused[cases[i].reason] : 0;
        struct peer_answer a = request(&rig, cases[i].method, cases[i].path, cases[i].headers, weft_slice_str(cases[i].body));
        if (a.status != cases[i].status || status_code(&a) != cases[i].code)
            fail_msg("%s: %d, code %d: %s", cases[i].what, a.status, status_code(&a), a.body);
        if (cases[i].header[0] && strcmp(peer_header(&a, cases[i].header), cases[i].value) != 0)
            fail_msg("%s: %s %s", cases[i].what, cases[i].header, peer_header(&a, cases[i].header));
        if (peer_header(&a, "Retry-After:")[0])
            fail_msg("%s: invites to try again", cases[i].what);
        if (cases[i].reason < WEFT_REFUSALS && rig.sinks[s].refused[cases[i].reason] != before + 1)
            fail_msg("%s: not counted once", cases[i].what);
    }
    for (int s = 0; s < WEFT_SIGNALS; s++)
        assert_int_equal(rig.sinks[s].commits, 0);
    rig_close(&rig);
}

static void what_came_instead_is_told(void **state)
{
    const struct { const char *headers, *words; } cases[] = {
        { "", "the request names no media type; send Content-Type: application/x-protobuf or application/json" },
        { "Content-Type: application/x-www-form-urlencoded\r\n",
          "'application/x-www-form-urlencoded' is not supported; send Content-Type: application/x-protobuf or application/json" },
        { "Content-Type: text/\xc3; charset=x\r\n", "'text/' is not supported; send " },
        { PROTOBUF "Content-Encoding: br\r\n", "Content-Encoding 'br' is not supported; send gzip or identity" },
    };
    struct rig rig;
    (void)state;

    rig_open(&rig);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct peer_answer a = request(&rig, "POST", "/v1/traces", cases[i].headers, weft_slice_str("x"));
        if (a.status != 415 || !memmem(a.body, a.body_len, cases[i].words, strlen(cases[i].words)))
            fail_msg("%s: %d, %s", cases[i].words, a.status, a.body);
    }
    rig_close(&rig);
}

static void what_is_malformed_is_told_where(void **state)
{
    static uint8_t second_span_bad[] = { 0x0a, 13, 0x12, 11, 0x12, 2, 0x2a, 0, 0x12, 5, 0x2a, 9, 'a', 'b', 'c' };
    const struct { const char *what; const char *headers; struct weft_slice body; const char *words; } cases[] = {
        { "a span", PROTOBUF, { second_span_bad, sizeof second_span_bad }, "span 2, at byte 10, is not a valid protobuf message" },
        { "a cut request", PROTOBUF, { (const uint8_t *)"\x0a\x7f", 2 }, "not a valid protobuf message behind byte 0 of 2" },
        { "a JSON value", JSON, WEFT_SLICE("{\"resourceSpans\":[{\"scopeSpans\":7}]}"), "JSON at byte 3" },
        { "a trace id", JSON, WEFT_SLICE("{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{\"traceId\":\"xyz\"}]}]}]}"), "JSON at byte " },
    };
    struct rig rig;
    (void)state;

    rig_open(&rig);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct peer_answer a = request(&rig, "POST", "/v1/traces", cases[i].headers, cases[i].body);
        if (a.status != 400 || !memmem(a.body, a.body_len, cases[i].words, strlen(cases[i].words)))
            fail_msg("%s: %d, %s", cases[i].what, a.status, a.body + 4);
    }
    rig_close(&rig);
}

static void what_the_sink_says_the_client_hears(void **state)
{
    const struct { int err, status, code; const char *retry_after; } cases[] = {
        { WEFT_ERR_FULL, 429, 14, "2" },
        { WEFT_ERR_LIMIT, 503, 14, "1" },
        { WEFT_ERR_DRAINING, 503, 14, "5" },
        { WEFT_ERR_TOO_LARGE, 413, 8, "" },
        { WEFT_ERR_MALFORMED, 400, 3, "" },
        { UV_EIO, 500, 13, "" },
        { 0, 200, -1, "" },
    };
    struct rig rig;
    struct weft_buf file;
    (void)state;

    rig_open(&rig);
    weft_buf_init(&file, 1 << 20);
    struct weft_slice body = sample("otlp-proto/traces-frontend.pb", &file);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rig.sinks[WEFT_TRACES].answer = cases[i].err;
        struct peer_answer a = request(&rig, "POST", "/v1/traces", PROTOBUF, body);
        if (a.status != cases[i].status || status_code(&a) != cases[i].code)
            fail_msg("%s: %d, code %d", weft_err_text(cases[i].err), a.status, status_code(&a));
        if (strcmp(peer_header(&a, "Retry-After:"), cases[i].retry_after) != 0)
            fail_msg("%s: Retry-After %s", weft_err_text(cases[i].err), peer_header(&a, "Retry-After:"));
        bool info = memmem(a.body, a.body_len, "google.rpc.RetryInfo", 20) != NULL;
        if (info != (cases[i].retry_after[0] != '\0'))
            fail_msg("%s: RetryInfo", weft_err_text(cases[i].err));
    }
    for (int reason = 0; reason < WEFT_REFUSALS; reason++)
        assert_int_equal(rig.sinks[WEFT_TRACES].refused[reason], 0); /* the sink counted: not again */
    weft_buf_release(&file);
    rig_close(&rig);
}

static void explain(struct weft_sink *sink, int err, char *words, size_t size)
{
    (void)sink;
    (void)snprintf(words, size, "%s", err == WEFT_ERR_TOO_LARGE ? "larger than half of it" : "for the log");
}

static void the_client_hears_for_what_its_request_is_too_large(void **state)
{
    const struct { int err; const char *words; bool told; } cases[] = {
        { WEFT_ERR_TOO_LARGE, "larger than half of it", true },
        { WEFT_ERR_FULL, "for the log", false },
    };
    struct rig rig;
    struct weft_buf file;
    (void)state;

    rig_open(&rig);
    weft_buf_init(&file, 1 << 20);
    struct weft_slice body = sample("otlp-proto/traces-frontend.pb", &file);
    rig.sinks[WEFT_TRACES].base.explain = explain;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rig.sinks[WEFT_TRACES].answer = cases[i].err;
        struct peer_answer a = request(&rig, "POST", "/v1/traces", PROTOBUF, body);
        if ((memmem(a.body, a.body_len, cases[i].words, strlen(cases[i].words)) != NULL) != cases[i].told)
            fail_msg("%s", cases[i].words);
    }
    weft_buf_release(&file);
    rig_close(&rig);
}

/* What the receiver logs when it starts. */
static void started(struct rig *rig, char *text, size_t size)
{
    struct weft_log log = { .fd = memfd_create("log", 0), .level = WEFT_LOG_INFO };

    rig->otlp.base.log = &log;
    assert_int_equal(weft_receiver_otlp.start(&rig->otlp.base), 0);
    peer_open(&rig->peer, &rig->loop, weft_otlp_http_port(&rig->otlp));
    ssize_t len = pread(log.fd, text, size - 1, 0);
    assert_true(len > 0);
    text[len] = 0;
    rig->otlp.base.log = NULL;
    close(log.fd);
}

static void a_journal_that_takes_less_than_a_body_is_told_at_the_start(void **state)
{
    const struct { uint64_t logs, metrics; const char *words; } cases[] = {
        { 0, 0, NULL },
        { 2 << 20, 1 << 20, NULL },
        { 512 << 10, 256 << 10, "requests of metrics with more than 0.2 MiB when unpacked are refused" },
        { 512 << 10, 0, "requests of logs with more than 0.5 MiB when unpacked are refused" },
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct rig rig;
        char text[4096];
        rig_prepare(&rig);
        rig.sinks[WEFT_LOGS].base.most_bytes = cases[i].logs;
        rig.sinks[WEFT_METRICS].base.most_bytes = cases[i].metrics;
        started(&rig, text, sizeof text);
        if (cases[i].words ? !strstr(text, cases[i].words) : strstr(text, "are refused") != NULL)
            fail_msg("%s", text);
        rig_close(&rig);
    }
}

/* Sends one request without waiting for its answer. */
static void begin_request(struct rig *rig, struct weft_slice body)
{
    unsigned before = rig->sinks[WEFT_TRACES].n_waiting;
    char head[256];

    (void)snprintf(head, sizeof head, "POST /v1/traces HTTP/1.1\r\nHost: t\r\n" PROTOBUF "Content-Length: %zu\r\n\r\n", body.len);
    assert_true(peer_send_text(&rig->peer, head));
    assert_true(peer_send(&rig->peer, body.data, body.len));
    while (rig->sinks[WEFT_TRACES].n_waiting == before)
        (void)uv_run(&rig->loop, UV_RUN_ONCE);
}

static void yes_waits_until_the_sink_says_durable(void **state)
{
    const struct { int err, status; const char *retry_after; } cases[] = { { 0, 200, "" }, { WEFT_ERR_DISK, 503, "2" }, { 0, 200, "" } };
    struct rig rig;
    struct weft_buf file;
    (void)state;

    rig_prepare(&rig);
    struct count_sink *sink = &rig.sinks[WEFT_TRACES];
    count_sink_make_wait(sink);
    rig_start(&rig);
    weft_buf_init(&file, 1 << 20);
    struct weft_slice body = sample("otlp-proto/traces-frontend.pb", &file);
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct peer_answer a;
        begin_request(&rig, body);
        assert_int_equal(weft_otlp_http_in_hand(&rig.otlp), 1);
        count_sink_end(sink, i, cases[i].err);
        peer_read(&rig.peer, &a);
        if (a.status != cases[i].status || strcmp(peer_header(&a, "Retry-After:"), cases[i].retry_after) != 0)
            fail_msg("%s: %d, %s", weft_err_text(cases[i].err), a.status, a.body);
    }
    assert_int_equal(sink->commits, 3);
    begin_request(&rig, body); /* still waits when the receiver stops */
    weft_otlp_http_stop(&rig.otlp);
    assert_int_equal(sink->forgotten, 1);
    for (int reason = 0; reason < WEFT_REFUSALS; reason++)
        assert_int_equal(sink->refused[reason], 0); /* it counts as accepted */
    weft_buf_release(&file);
    weft_receiver_otlp.stop(&rig.otlp.base);
    rig_close(&rig);
}

/* What is durable is never refused, however long its yes was held back. */
static void a_yes_that_was_only_held_back_is_said_when_the_request_has_no_more_time(void **state)
{
    struct rig rig;
    struct weft_buf file;
    struct peer_answer a;
    (void)state;

    for (int durable = 0; durable < 2; durable++) {
        rig_prepare(&rig);
        rig.otlp.http_options.request_timeout_ms = 100;
        struct count_sink *sink = &rig.sinks[WEFT_TRACES];
        count_sink_make_wait(sink);
        sink->durable = durable == 1;
        rig_start(&rig);
        weft_buf_init(&file, 1 << 20);
        begin_request(&rig, sample("otlp-proto/traces-frontend.pb", &file));
        peer_read(&rig.peer, &a);
        assert_int_equal(a.status, durable ? 200 : 503);
        assert_int_equal(sink->forgotten, 1);
        weft_buf_release(&file);
        weft_otlp_http_stop(&rig.otlp);
        weft_receiver_otlp.stop(&rig.otlp.base);
        rig_close(&rig);
    }
}

static void an_empty_request_succeeds_and_commits_nothing(void **state)
{
    const struct { const char *headers; struct weft_slice body; } cases[] = {
        { PROTOBUF, { NULL, 0 } },
        { PROTOBUF, { (const uint8_t *)"\x0a\x00", 2 } },
        { JSON, WEFT_SLICE("{}") },
        { JSON, WEFT_SLICE("{\"resourceLogs\":[]}") },
        { JSON, WEFT_SLICE("{\"resourceLogs\":[{\"resource\":{}}],\"somethingNew\":[1]}") },
    };
    struct rig rig;
    (void)state;

    rig_open(&rig);
    rig.sinks[WEFT_LOGS].answer = WEFT_ERR_FULL; /* nobody is asked */
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct peer_answer a = request(&rig, "POST", "/v1/logs", cases[i].headers, cases[i].body);
        if (a.status != 200)
            fail_msg("case %zu: %d %s", i, a.status, a.body);
    }
    rig_close(&rig);
}

static void a_signal_that_no_pipeline_wants_is_not_found(void **state)
{
    struct rig rig;
    (void)state;

    rig_prepare(&rig);
    rig.otlp.base.sinks[WEFT_METRICS] = NULL;
    rig_start(&rig);
    struct peer_answer a = request(&rig, "POST", "/v1/metrics", JSON, WEFT_SLICE("{}"));
    assert_int_equal(a.status, 404);
    assert_non_null(strstr(a.body, "no pipeline takes metrics"));
    rig_close(&rig);
}

static void a_quiesced_receiver_takes_no_new_request(void **state)
{
    struct rig rig;
    (void)state;

    rig_open(&rig);
    assert_true(peer_send_text(&rig.peer, "POST /v1/logs HTTP/1.1\r\nHost: t\r\n" JSON "Content-Length: 2\r\n\r\n{"));
    peer_settle(&rig.loop);
    rig.otlp.draining = true;
    weft_otlp_http_quiesce(&rig.otlp);
    struct peer_answer a;
    assert_true(peer_send_text(&rig.peer, "}"));
    peer_read(&rig.peer, &a);
    assert_int_equal(a.status, 200);
    peer_wait_end(&rig.peer);
    rig_close(&rig);
}

static void pack(struct weft_slice in, struct weft_buf *out)
{
    struct weft_gzip *z;

    assert_int_equal(weft_gzip_new(&z, 1), 0);
    assert_int_equal(weft_gzip_run(z, &in, 1, out), 0);
    weft_gzip_free(z);
}

static void the_limit_counts_before_and_after_unpacking(void **state)
{
    struct rig rig;
    struct weft_buf packed;
    (void)state;

    rig_open(&rig);
    weft_buf_init(&packed, 1 << 20);
    uint8_t *zeroes = calloc(1, 64u << 20);
    assert_non_null(zeroes);
    struct peer_answer a = request(&rig, "POST", "/v1/traces", PROTOBUF, weft_slice_of(zeroes, (1 << 20) + 1));
    assert_int_equal(a.status, 413);
    assert_int_equal(status_code(&a), 8);
    assert_int_equal(rig.sinks[WEFT_TRACES].refused[WEFT_REFUSAL_TOO_LARGE], 1);

    pack(weft_slice_of(zeroes, 64u << 20), &packed);
    reconnect(&rig);
    a = request(&rig, "POST", "/v1/traces", PROTOBUF GZIP, weft_buf_slice(&packed));
    assert_int_equal(a.status, 413);
    assert_non_null(memmem(a.body, a.body_len, "the decompressed body is larger than 1048576 bytes", 50));
    assert_int_equal(peer_header(&a, "Retry-After:")[0], '\0');
    assert_int_equal(rig.sinks[WEFT_TRACES].refused[WEFT_REFUSAL_TOO_LARGE], 2);
    free(zeroes);
    weft_buf_release(&packed);
    rig_close(&rig);
}

/* With a budget, what does not fit beside others is told to come again; what could not fit alone is not. */
static void a_body_that_fits_only_alone_is_told_to_come_again(void **state)
{
    struct rig rig;
    struct peer other;
    struct weft_buf packed;
    (void)state;

    rig_prepare(&rig);
    rig.otlp.http_options.max_request_body_size = 4u << 20;
    rig.otlp.base.memory_limit = 4u << 20;
    rig_start(&rig);
    weft_buf_init(&packed, 1 << 20);
    uint8_t *spaces = malloc(3u << 20);
    assert_non_null(spaces);
    memset(spaces, ' ', 3u << 20);
    spaces[0] = '{';
    spaces[(3u << 20) - 1] = '}';
    pack(weft_slice_of(spaces, 3u << 20), &packed);

    peer_open(&other, &rig.loop, weft_otlp_http_port(&rig.otlp));
    assert_true(peer_send_text(&other, "POST /v1/logs HTTP/1.1\r\nHost: t\r\n" JSON "Content-Length: 3145728\r\n\r\n"));
    assert_true(peer_send(&other, spaces, 3145727));
    peer_settle(&rig.loop);
    struct peer_answer a = request(&rig, "POST", "/v1/traces", JSON GZIP, weft_buf_slice(&packed));
    assert_int_equal(a.status, 503);
    assert_string_equal(peer_header(&a, "Retry-After:"), "1");
    assert_int_equal(rig.sinks[WEFT_TRACES].refused[WEFT_REFUSAL_MEMORY], 1);
    peer_close(&other);
    peer_settle(&rig.loop);
    a = request(&rig, "POST", "/v1/traces", JSON GZIP, weft_buf_slice(&packed));
    assert_int_equal(a.status, 200);
    weft_buf_release(&packed);
    free(spaces);
    rig_close(&rig);
}

static void json_nested_ten_thousand_deep_is_refused(void **state)
{
    struct rig rig;
    struct weft_buf deep;
    (void)state;

    rig_open(&rig);
    weft_buf_init(&deep, 1 << 20);
    weft_buf_append_str(&deep, "{\"resourceSpans\":");
    for (int i = 0; i < 10000; i++)
        weft_buf_append_byte(&deep, '[');
    struct peer_answer a = request(&rig, "POST", "/v1/traces", JSON, weft_buf_slice(&deep));
    assert_int_equal(a.status, 400);
    weft_buf_reset(&deep);
    weft_buf_append_str(&deep, "{\"unknown\":");
    for (int i = 0; i < 10000; i++)
        weft_buf_append_str(&deep, "{\"a\":");
    a = request(&rig, "POST", "/v1/traces", JSON, weft_buf_slice(&deep));
    assert_int_equal(a.status, 400);
    weft_buf_release(&deep);
    rig_close(&rig);
}

static void a_browser_is_told_what_it_may(void **state)
{
    static char origin[] = "https://*.example.com", exact[] = "http://shop.test", header[] = "x-shop-*";
    char *origins[] = { origin, exact }, *headers[] = { header };
    const struct { const char *what, *headers; const char *origin; } cases[] = {
        { "a wildcard origin", "Origin: https://a.example.com\r\nAccess-Control-Request-Method: POST\r\n", "https://a.example.com" },
        { "an exact origin and headers", "Origin: http://shop.test\r\nAccess-Control-Request-Method: POST\r\n"
                                         "Access-Control-Request-Headers: content-type, X-Shop-Key\r\n", "http://shop.test" },
        { "another origin", "Origin: https://example.org\r\nAccess-Control-Request-Method: POST\r\n", "" },
        { "a header not allowed", "Origin: http://shop.test\r\nAccess-Control-Request-Method: POST\r\n"
                                  "Access-Control-Request-Headers: content-type,authorization\r\n", "" },
        { "another method", "Origin: http://shop.test\r\nAccess-Control-Request-Method: DELETE\r\n", "" },
    };
    struct rig rig;
    (void)state;

    rig_prepare(&rig);
    rig.otlp.http_options.cors_origins = (struct weft_strings){ 2, origins };
    rig.otlp.http_options.cors_headers = (struct weft_strings){ 1, headers };
    rig.otlp.http_options.cors_max_age_s = 600;
    rig_start(&rig);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct peer_answer a = request(&rig, "OPTIONS", "/v1/traces", cases[i].headers, weft_slice_of(NULL, 0));
        if (a.status != 204 || strcmp(peer_header(&a, "Access-Control-Allow-Origin:"), cases[i].origin) != 0)
            fail_msg("%s: %d %s", cases[i].what, a.status, a.head);
        if (cases[i].origin[0] && strcmp(peer_header(&a, "Access-Control-Max-Age:"), "600") != 0)
            fail_msg("%s: no max age", cases[i].what);
    }
    struct peer_answer a = request(&rig, "POST", "/v1/traces", JSON "Origin: http://shop.test\r\n", WEFT_SLICE("{}"));
    assert_int_equal(a.status, 200);
    assert_string_equal(peer_header(&a, "Access-Control-Allow-Origin:"), "http://shop.test");
    assert_string_equal(peer_header(&a, "Vary:"), "Origin");
    a = request(&rig, "POST", "/v1/traces", JSON, WEFT_SLICE("{}"));
    assert_string_equal(peer_header(&a, "Access-Control-Allow-Origin:"), "");
    rig_close(&rig);
}

static void origins_match_with_one_wildcard(void **state)
{
    const struct { const char *pattern, *text; bool match; } cases[] = {
        { "*", "http://anything", true },          { "http://a", "HTTP://A", true },
        { "http://a", "http://ab", false },        { "http://*", "http://", true },
        { "https://*.b", "https://x.b", true },    { "https://*.b", "https://.b.c", false },
        { "aa*aa", "aaa", false },                 { "aa*aa", "aaaa", true },
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (weft_otlp_cors_match(cases[i].pattern, cases[i].text) != cases[i].match)
            fail_msg("%s against %s", cases[i].pattern, cases[i].text);
}

static void a_port_that_is_taken_is_an_error(void **state)
{
    struct rig rig;
    struct weft_otlp second;
    char endpoint[32];
    (void)state;

    rig_open(&rig);
    second = rig.otlp;
    second.http = NULL;
    (void)snprintf(endpoint, sizeof endpoint, "127.0.0.1:%d", weft_otlp_http_port(&rig.otlp));
    second.http_options.endpoint = endpoint;
    assert_int_equal(weft_otlp_http_start(&second), UV_EADDRINUSE);
    weft_otlp_http_quiesce(&second);
    weft_otlp_http_stop(&second);
    rig_close(&rig);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_sample_is_accepted_with_the_typed_answer),
        cmocka_unit_test(gzip_bodies_are_unpacked),
        cmocka_unit_test(recorded_connections_of_the_js_sdk_are_answered_request_by_request),
        cmocka_unit_test(every_refusal_has_a_status_body_in_the_requests_format),
        cmocka_unit_test(what_came_instead_is_told),
        cmocka_unit_test(what_is_malformed_is_told_where),
        cmocka_unit_test(what_the_sink_says_the_client_hears),
        cmocka_unit_test(the_client_hears_for_what_its_request_is_too_large),
        cmocka_unit_test(a_journal_that_takes_less_than_a_body_is_told_at_the_start),
        cmocka_unit_test(yes_waits_until_the_sink_says_durable),
        cmocka_unit_test(a_yes_that_was_only_held_back_is_said_when_the_request_has_no_more_time),
        cmocka_unit_test(an_empty_request_succeeds_and_commits_nothing),
        cmocka_unit_test(a_signal_that_no_pipeline_wants_is_not_found),
        cmocka_unit_test(a_quiesced_receiver_takes_no_new_request),
        cmocka_unit_test(the_limit_counts_before_and_after_unpacking),
        cmocka_unit_test(a_body_that_fits_only_alone_is_told_to_come_again),
        cmocka_unit_test(json_nested_ten_thousand_deep_is_refused),
        cmocka_unit_test(a_browser_is_told_what_it_may),
        cmocka_unit_test(origins_match_with_one_wildcard),
        cmocka_unit_test(a_port_that_is_taken_is_an_error),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

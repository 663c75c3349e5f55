/* SPDX-License-Identifier: Apache-2.0 */
/* test_grpc_connection.c: HTTP/2 and gRPC in memory: nghttp2's own client on one side, the connection on the other;
 * time is a number. */
#include "core/err.h"
#include "core/grpc_connection.h"
#include "core/grpc_frame.h"
#include "core/gzip.h"
#include "tests/support/grpc_caller.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { MAX_MESSAGE = 100000, MAX_INFLIGHT = 400000 };

struct fixture {
    struct weft_grpc_service service;
    struct weft_grpc_connection connection;
    struct grpc_caller peer;
    struct weft_grpc_answer next;      /* what the handler says */
    unsigned calls;
    int last_method, last_err;
    size_t last_len;
    uint32_t last_sum;
    struct weft_buf body;
};

static void on_call(void *ctx, const struct weft_grpc_call *call, struct weft_grpc_answer *answer)
{
    struct fixture *f = ctx;

    f->calls++;
    f->last_method = call->method;
    f->last_len = call->message.len;
    f->last_sum = 0;
    for (size_t i = 0; i < call->message.len; i++)
        f->last_sum = f->last_sum * 31 + call->message.data[i];
    *answer = f->next;
}

static void on_refusal(void *ctx, const struct weft_grpc_call *call, int err, const char *words,
                       struct weft_grpc_answer *answer)
{
    struct fixture *f = ctx;
    (void)words;

    f->last_method = call->method;
    f->last_err = err;
    if (err == WEFT_ERR_LIMIT)
        answer->details = WEFT_SLICE("foo");
}

static const char *const methods[] = {
    "/test.Service/Call",
    "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
    "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
    NULL,
};

static void open_with(struct fixture *f, struct weft_grpc_limits limits)
{
    const struct weft_grpc_handlers handlers = { .ctx = f, .methods = methods, .on_call = on_call, .on_refusal = on_refusal };

    memset(f, 0, sizeof *f);
    limits.max_message_size = MAX_MESSAGE;
    limits.max_inflight = MAX_INFLIGHT;
    assert_int_equal(weft_grpc_service_init(&f->service, &handlers, &limits), 0);
    weft_grpc_connection_init(&f->connection, &f->service, 1000);
    grpc_caller_open(&f->peer, &f->connection, 1000);
    weft_buf_init(&f->body, 1 << 22);
}

static struct fixture *open_fixture(void)
{
    static struct fixture f;

    open_with(&f, (struct weft_grpc_limits){ 0 });
    return &f;
}

static void close_fixture(struct fixture *f)
{
    grpc_caller_close(&f->peer);
    weft_grpc_connection_release(&f->connection);
    assert_int_equal(f->service.pool.used, 0);
    assert_int_equal(f->connection.held, 0);
    weft_grpc_service_release(&f->service);
    weft_buf_release(&f->body);
}

static struct weft_slice message(struct fixture *f, const char *text)
{
    weft_buf_reset(&f->body);
    grpc_caller_message(&f->body, false, weft_slice_str(text));
    return weft_buf_slice(&f->body);
}

static const struct grpc_reply *call(struct fixture *f, struct grpc_request request)
{
    int32_t id = grpc_caller_call(&f->peer, &request);

    grpc_caller_pump(&f->peer);
    return grpc_caller_reply(&f->peer, id);
}

static void tick(struct fixture *f, uint64_t ms)
{
    f->peer.now_ms += ms;
    weft_grpc_connection_tick(&f->connection, f->peer.now_ms);
    grpc_caller_pump(&f->peer);
}

/* ---- calls ---- */

static void a_call_reaches_its_handler_and_gets_its_answer(void **state)
{
    struct fixture *f = open_fixture();
    (void)state;

    f->next = (struct weft_grpc_answer){ .body = WEFT_SLICE("yes") };
    const struct grpc_reply *r = call(f, (struct grpc_request){ .body = message(f, "hello") });
    assert_int_equal(f->calls, 1);
    assert_int_equal(f->last_method, 0);
    assert_int_equal(f->last_len, 5);
    assert_string_equal(r->http_status, "200");
    assert_string_equal(r->grpc_status, "0");
    assert_int_equal(r->body_len, 8);
    assert_memory_equal(r->body, "\0\0\0\0\3yes", 8);
    assert_true(r->closed);
    assert_int_equal(r->reset_code, 0);
    close_fixture(f);
}

static void a_long_answer_goes_out_whole(void **state)
{
    struct fixture *f = open_fixture();
    static uint8_t body[400];
    (void)state;

    memset(body, 'x', sizeof body);
    f->next = (struct weft_grpc_answer){ .body = weft_slice_of(body, sizeof body) };
    const struct grpc_reply *r = call(f, (struct grpc_request){ .body = message(f, "hello") });
    assert_int_equal(r->body_len, WEFT_GRPC_PREFIX + sizeof body);
    assert_string_equal(r->grpc_status, "0");
    close_fixture(f);
}

static void an_error_is_trailers_only_with_words_and_details(void **state)
{
    struct fixture *f = open_fixture();
    (void)state;

    f->next = (struct weft_grpc_answer){ WEFT_GRPC_UNAVAILABLE, "try\nagain", .details = WEFT_SLICE("foob") };
    const struct grpc_reply *r = call(f, (struct grpc_request){ .body = message(f, "hello") });
    assert_string_equal(r->http_status, "200");
    assert_string_equal(r->grpc_status, "14");
    assert_string_equal(r->message, "try%0Aagain");
    assert_string_equal(r->details, "Zm9vYg");
    assert_int_equal(r->body_len, 0);
    close_fixture(f);
}

static void what_is_not_a_call_is_answered_as_such(void **state)
{
    static char long_value[20000];
    memset(long_value, 'x', sizeof long_value - 1);
    const struct {
        const char *what;
        struct grpc_request request;
        const char *http_status, *grpc_status;
    } cases[] = {
        { "unknown method", { .path = "/test.Service/Nope" }, "200", "12" },
        { "POST to the root as gRPC", { .path = "/" }, "200", "12" },
        { "GET of the root", { .path = "/", .method = "GET", .content_type = "text/plain" }, "200", "" },
        { "GET of a method", { .method = "GET" }, "405", "" },
        { "GET of something else", { .path = "/favicon.ico", .method = "GET" }, "404", "" },
        { "JSON", { .content_type = "application/json" }, "415", "" },
        { "gRPC-Web", { .content_type = "application/grpc-web+proto" }, "415", "" },
        { "gRPC with another codec", { .content_type = "application/grpc+json" }, "415", "" },
        { "a content type with a codec", { .content_type = "application/grpc+proto" }, "200", "0" },
        { "a content type with parameters", { .content_type = "application/grpc; charset=x" }, "200", "0" },
        { "an encoding that nobody has", { .encoding = "snappy" }, "200", "12" },
        { "identity", { .encoding = "identity" }, "200", "0" },
        { "malformed timeout", { .timeout = "soon" }, "200", "3" },
        { "no time left", { .timeout = "0n" }, "200", "4" },
        { "enough time", { .timeout = "10S" }, "200", "0" },
        { "headers too long", { .filler = long_value }, "431", "" },
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fixture *f = open_fixture();
        struct grpc_request request = cases[i].request;
        request.body = message(f, "hello");
        const struct grpc_reply *r = call(f, request);
        if (strcmp(r->http_status, cases[i].http_status) != 0 || strcmp(r->grpc_status, cases[i].grpc_status) != 0 ||
            !r->closed || r->reset_code != 0)
            fail_msg("%s: HTTP %s, gRPC %s, closed %d, code %u", cases[i].what, r->http_status, r->grpc_status, r->closed,
                     r->reset_code);
        close_fixture(f);
    }
}

static void an_unknown_encoding_is_told_the_known_ones(void **state)
{
    struct fixture *f = open_fixture();
    (void)state;

    const struct grpc_reply *r = call(f, (struct grpc_request){ .body = message(f, "x"), .encoding = "br" });
    assert_string_equal(r->encodings, "identity,gzip");
    close_fixture(f);
}

static void bodies_that_are_not_one_message_are_refused(void **state)
{
    const struct {
        const char *what;
        struct weft_slice body;
        const char *grpc_status;
    } cases[] = {
        { "nothing", { 0 }, "3" },
        { "half a prefix", WEFT_SLICE("\0\0\0"), "3" },
        { "half a message", WEFT_SLICE("\0\0\0\0\5ab"), "3" },
        { "two messages", WEFT_SLICE("\0\0\0\0\1a\0\0\0\0\1a"), "3" },
        { "unknown flag", WEFT_SLICE("\7\0\0\0\1a"), "3" },
        { "compressed without saying how", WEFT_SLICE("\1\0\0\0\1a"), "3" },
        { "too large by its prefix", WEFT_SLICE("\0\377\0\0\0a"), "8" },
        { "an empty message", WEFT_SLICE("\0\0\0\0\0"), "0" },
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fixture *f = open_fixture();
        const struct grpc_reply *r = call(f, (struct grpc_request){ .body = cases[i].body });
        if (strcmp(r->grpc_status, cases[i].grpc_status) != 0 || !r->closed)
            fail_msg("%s: gRPC %s", cases[i].what, r->grpc_status);
        close_fixture(f);
    }
}

static void gzip(struct weft_slice plain, struct weft_buf *out)
{
    struct weft_gzip *g;

    assert_int_equal(weft_gzip_new(&g, 6), 0);
    assert_int_equal(weft_gzip_run(g, &plain, 1, out), 0);
    weft_gzip_free(g);
}

static void gzip_messages_are_decompressed_up_to_the_limit(void **state)
{
    static uint8_t zeroes[MAX_MESSAGE + 1];
    const struct {
        const char *what;
        size_t len;
        bool cut;
        const char *grpc_status;
    } cases[] = {
        { "small", 10, false, "0" },
        { "as large as allowed", MAX_MESSAGE, false, "0" },
        { "one byte larger", MAX_MESSAGE + 1, false, "8" },
        { "cut short", 1000, true, "3" },
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fixture *f = open_fixture();
        struct weft_buf packed;
        weft_buf_init(&packed, 1 << 20);
        gzip(weft_slice_of(zeroes, cases[i].len), &packed);
        grpc_caller_message(&f->body, true, weft_slice_of(packed.data, packed.len - (cases[i].cut ? 9 : 0)));
        const struct grpc_reply *r = call(f, (struct grpc_request){ .body = weft_buf_slice(&f->body), .encoding = "gzip" });
        if (strcmp(r->grpc_status, cases[i].grpc_status) != 0)
            fail_msg("%s: %s %s", cases[i].what, r->grpc_status, r->message);
        if (*r->grpc_status == '0')
            assert_int_equal(f->last_len, cases[i].len);
        weft_buf_release(&packed);
        close_fixture(f);
    }
}

static void any_slicing_gives_the_same_message(void **state)
{
    const size_t slices[] = { 0, 1, 2, 7, 100, 16393 };
    static uint8_t payload[90000];
    uint32_t sum = 0;
    (void)state;

    for (size_t i = 0; i < sizeof payload; i++) {
        payload[i] = (uint8_t)(i * 13 + i / 256);
        sum = sum * 31 + payload[i];
    }
    for (size_t i = 0; i < sizeof slices / sizeof *slices; i++) {
        struct fixture *f = open_fixture();
        f->peer.slice = slices[i];
        grpc_caller_message(&f->body, false, weft_slice_of(payload, sizeof payload));
        const struct grpc_reply *r = call(f, (struct grpc_request){ .body = weft_buf_slice(&f->body) });
        if (strcmp(r->grpc_status, "0") != 0 || f->last_len != sizeof payload || f->last_sum != sum)
            fail_msg("slices of %zu: status %s, %zu bytes", slices[i], r->grpc_status, f->last_len);
        close_fixture(f);
    }
}

static void a_hundred_calls_at_once_are_all_answered(void **state)
{
    struct fixture *f = open_fixture();
    struct weft_slice body = message(f, "hello");
    int32_t ids[100];
    (void)state;

    grpc_caller_pump(&f->peer);
    for (size_t i = 0; i < 100; i++)
        ids[i] = grpc_caller_call(&f->peer, &(struct grpc_request){ .body = body, .open_end = i == 0 });
    grpc_caller_pump(&f->peer);
    for (size_t i = 1; i < 100; i++)
        if (strcmp(grpc_caller_reply(&f->peer, ids[i])->grpc_status, "0") != 0)
            fail_msg("call %zu: status %s", i, grpc_caller_reply(&f->peer, ids[i])->grpc_status);
    assert_int_equal(f->calls, 99);
    assert_false(grpc_caller_reply(&f->peer, ids[0])->closed);
    close_fixture(f);
}

/* ---- real clients' bytes ---- */

static struct weft_slice read_file(struct weft_buf *into, const char *name)
{
    char path[512];
    FILE *file;

    (void)snprintf(path, sizeof path, WEFT_SOURCE_DIR "/tests/samples/otlp-grpc/%s", name);
    file = fopen(path, "rb");
    assert_non_null(file);
    weft_buf_reset(into);
    into->len = fread(weft_buf_reserve(into, 65536), 1, 65536, file);
    fclose(file);
    return weft_buf_slice(into);
}

static void captured_connections_are_understood_in_any_slices(void **state)
{
    const struct {
        const char *name;
        unsigned calls;
    } cases[] = { { "connection-a.h2c", 7 }, { "connection-b.h2c", 8 }, { "connection-gzip.h2c", 7 } };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (size_t slice = 0; slice < 4; slice++) {
            struct fixture *f = open_fixture();
            struct weft_slice bytes = read_file(&f->body, cases[i].name);
            f->peer.mute = true;
            f->peer.slice = slice;
            grpc_caller_raw(&f->peer, bytes);
            if (f->calls != cases[i].calls || f->service.stats.refused || f->service.stats.protocol_errors)
                fail_msg("%s in slices of %zu: %u calls, %llu refused", cases[i].name, slice, f->calls,
                         (unsigned long long)f->service.stats.refused);
            close_fixture(f);
        }
}

static void captured_messages_arrive_unchanged(void **state)
{
    const char *const names[] = { "traces-frontend.grpcframe", "logs-frontend.grpcframe", "metrics-frontend.grpcframe",
                                  "traces-frontend.gzip.grpcframe", "logs-frontend.gzip.grpcframe" };
    (void)state;

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct fixture *f = open_fixture();
        struct weft_slice frame = read_file(&f->body, names[i]);
        bool packed = strstr(names[i], "gzip") != NULL;
        const struct grpc_reply *r = call(f, (struct grpc_request){ .body = frame, .encoding = packed ? "gzip" : NULL });
        if (strcmp(r->grpc_status, "0") != 0 || (!packed && f->last_len != frame.len - WEFT_GRPC_PREFIX) || f->last_len < 300)
            fail_msg("%s: status %s, %zu bytes", names[i], r->grpc_status, f->last_len);
        close_fixture(f);
    }
}

/* ---- limits ---- */

static void messages_in_flight_have_a_ceiling_and_the_refused_may_try_again(void **state)
{
    struct fixture *f = open_fixture();
    static uint8_t half[90000];
    int32_t ids[8];
    unsigned refused = 0;
    (void)state;

    grpc_caller_message(&f->body, false, weft_slice_of(half, sizeof half));
    struct weft_slice body = weft_slice_of(f->body.data, f->body.len - 10); /* never whole */
    grpc_caller_pump(&f->peer);
    for (size_t i = 0; i < 8; i++)
        ids[i] = grpc_caller_call(&f->peer, &(struct grpc_request){ .body = body, .open_end = true });
    grpc_caller_pump(&f->peer);
    assert_in_range(f->service.pool.used, 1, MAX_INFLIGHT / 2);
    for (size_t i = 0; i < 8; i++) {
        const struct grpc_reply *r = grpc_caller_reply(&f->peer, ids[i]);
        if (!r->closed)
            continue;
        refused++;
        assert_string_equal(r->grpc_status, "14");
        assert_string_equal(r->details, "Zm9v");
    }
    assert_in_range(refused, 6, 7);
    assert_int_equal(f->last_err, WEFT_ERR_LIMIT);
    close_fixture(f);
}

static void a_request_that_drips_is_cut(void **state)
{
    struct fixture *f = open_fixture();
    (void)state;

    struct grpc_request request = { .body = WEFT_SLICE("\0\0\0\0\5ab"), .open_end = true };
    const struct grpc_reply *r = call(f, request);
    tick(f, 59000);
    assert_false(r->closed);
    tick(f, 1001);
    assert_string_equal(r->grpc_status, "4");
    assert_true(r->closed);
    assert_int_equal(f->last_err, WEFT_ERR_TIMEOUT);
    assert_int_equal(f->connection.state, WEFT_GRPC_OPEN);
    close_fixture(f);
}

static void the_clients_own_deadline_cuts_earlier(void **state)
{
    struct fixture *f = open_fixture();
    (void)state;

    struct grpc_request request = { .body = WEFT_SLICE("\0\0\0\0\5ab"), .open_end = true, .timeout = "2S" };
    const struct grpc_reply *r = call(f, request);
    tick(f, 1999);
    assert_false(r->closed);
    tick(f, 1);
    assert_string_equal(r->grpc_status, "4");
    close_fixture(f);
}

static void silence_ends_a_connection_at_each_stage(void **state)
{
    const struct {
        const char *what;
        struct weft_slice said;
        bool goaway;
    } cases[] = {
        { "nothing said", { 0 }, false },
        { "half a preface", WEFT_SLICE("PRI * HTT"), false },
        { "preface without an acknowledgement",
          WEFT_SLICE("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"), true },
        { "half a header block",
          WEFT_SLICE("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0\0\0\0\4\1\0\0\0\0\0\0\1\1\0\0\0\0\1\203"), true },
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fixture *f = open_fixture();
        grpc_caller_raw(&f->peer, cases[i].said);
        weft_grpc_connection_tick(&f->connection, f->peer.now_ms + 9000);
        if (f->connection.state == WEFT_GRPC_DONE)
            fail_msg("%s: over too early", cases[i].what);
        weft_grpc_connection_tick(&f->connection, f->peer.now_ms + 61000);
        grpc_caller_raw(&f->peer, weft_slice_of(NULL, 0));
        if (f->connection.state != WEFT_GRPC_DONE || (f->peer.goaways > 0) != cases[i].goaway)
            fail_msg("%s: state %d, %u goaways", cases[i].what, f->connection.state, f->peer.goaways);
        close_fixture(f);
    }
}

static void who_does_not_speak_http2_is_told(void **state)
{
    const struct {
        const char *what;
        struct weft_slice said;
        bool words;
    } cases[] = {
        { "GET", WEFT_SLICE("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), true },
        { "POST", WEFT_SLICE("POST /v1/traces HTTP/1.1\r\n\r\n"), true },
        { "garbage", WEFT_SLICE("INVALID CONNECTION PREFACE\r\n\r\n"), false },
        { "TLS on a port without", WEFT_SLICE("\x16\x03\x01\x02\x00\x01"), false },
        { "nearly the preface", WEFT_SLICE("PRI * HTTP/2.1\r\n\r\n"), false },
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fixture *f = open_fixture();
        struct weft_buf out;
        weft_buf_init(&out, 1 << 16);
        weft_grpc_connection_input(&f->connection, cases[i].said, 1000);
        weft_grpc_connection_output(&f->connection, &out, 1000);
        bool words = out.len > 12 && memcmp(out.data, "HTTP/1.1 505", 12) == 0;
        if (f->connection.state != WEFT_GRPC_DONE || words != cases[i].words || (!words && out.len > 0))
            fail_msg("%s: %zu bytes", cases[i].what, out.len);
        weft_buf_release(&out);
        close_fixture(f);
    }
}

/* What HTTP/2 holds is bounded: first no further connection gets a session, then no further stream is opened. */
static void sessions_and_streams_are_turned_away_when_memory_is_short(void **state)
{
    struct fixture *f = open_fixture();
    struct weft_slice body = message(f, "hello");
    struct weft_grpc_connection late;
    (void)state;

    assert_string_equal(call(f, (struct grpc_request){ .body = body })->grpc_status, "0");
    f->service.memory.limit = f->service.memory.used;
    weft_grpc_connection_init(&late, &f->service, 1000);
    weft_grpc_connection_input(&late, WEFT_SLICE("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 1000);
    assert_int_equal(late.state, WEFT_GRPC_DONE);
    weft_grpc_connection_release(&late);

    const struct grpc_reply *r = call(f, (struct grpc_request){ .body = body });
    assert_int_equal(r->reset_code, NGHTTP2_REFUSED_STREAM);
    f->service.memory.limit = UINT64_MAX;
    assert_string_equal(call(f, (struct grpc_request){ .body = body })->grpc_status, "0");
    assert_int_equal(f->service.stats.no_room, 2);
    close_fixture(f);
}

/* Sessions share the buffer that frames are packed into; replies that are asked for frame by frame, in turns, stay apart. */
static void sessions_do_not_mix_their_frames(void **state)
{
    struct fixture *f = open_fixture();
    static struct weft_grpc_connection connections[2];
    static struct grpc_caller callers[2];
    struct weft_buf out;
    int32_t ids[2][50];
    bool more = true;
    (void)state;

    f->next = (struct weft_grpc_answer){ .body = WEFT_SLICE("the very same answer for everybody") };
    weft_buf_init(&out, 1 << 20);
    struct weft_slice body = message(f, "hello");
    for (size_t i = 0; i < 2; i++) {
        const uint8_t *data;
        weft_grpc_connection_init(&connections[i], &f->service, 1000);
        grpc_caller_open(&callers[i], &connections[i], 1000);
        for (size_t k = 0; k < 50; k++)
            ids[i][k] = grpc_caller_call(&callers[i], &(struct grpc_request){ .body = body });
        for (ssize_t n; (n = nghttp2_session_mem_send(callers[i].session, &data)) > 0;)
            weft_grpc_connection_input(&connections[i], weft_slice_of(data, (size_t)n), 1000);
    }
    while (more) {
        more = false;
        for (size_t i = 0; i < 2; i++) {
            weft_buf_reset(&out);
            weft_grpc_connection_output(&connections[i], &out, 1);
            assert_true(nghttp2_session_mem_recv(callers[i].session, out.data, out.len) == (ssize_t)out.len);
            more = more || out.len > 0;
        }
    }
    for (size_t i = 0; i < 2; i++) {
        for (size_t k = 0; k < 50; k++) {
            const struct grpc_reply *r = grpc_caller_reply(&callers[i], ids[i][k]);
            if (strcmp(r->grpc_status, "0") != 0 || r->body_len != 5 + 34 || memcmp(r->body + 5, "the very", 8) != 0)
                fail_msg("session %zu, call %zu: status %s, %zu bytes", i, k, r->grpc_status, r->body_len);
        }
        grpc_caller_close(&callers[i]);
        weft_grpc_connection_release(&connections[i]);
    }
    weft_buf_release(&out);
    close_fixture(f);
}

/* ---- floods ---- */

static const char HELLO[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0\0\0\0\4\1\0\0\0\0";

/* Sends a frame pattern over and over; true when the connection was ended for it within `times`. */
static bool floods(struct fixture *f, const uint8_t *frame, size_t len, int times, bool count_streams)
{
    uint8_t copy[64];

    memcpy(copy, frame, len);
    f->peer.mute = true;
    grpc_caller_raw(&f->peer, weft_slice_of(HELLO, sizeof HELLO - 1));
    for (int i = 0; i < times && f->connection.state != WEFT_GRPC_DONE; i++) {
        if (count_streams)
            for (size_t at = 0; at < len; at += 9 + copy[at + 2]) {
                copy[at + 7] = (uint8_t)((2 * i + 1) >> 8);
                copy[at + 8] = (uint8_t)(2 * i + 1);
            }
        grpc_caller_raw(&f->peer, weft_slice_of(copy, len));
    }
    return f->connection.state == WEFT_GRPC_DONE;
}

static void floods_end_the_connection(void **state)
{
    /* HEADERS with :method POST, :scheme http, :path /, :authority x and then RST_STREAM; frames that cost us and bring nothing. */
    static const uint8_t reset[] = { 0, 0, 6, 1, 4, 0, 0, 0, 1, 0x83, 0x86, 0x84, 1, 1, 'x', 0, 0, 4, 3, 0, 0, 0, 0, 1, 0, 0, 0, 8 };
    static const uint8_t ping[] = { 0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8 };
    static const uint8_t settings[] = { 0, 0, 0, 4, 0, 0, 0, 0, 0 };
    static const uint8_t priority[] = { 0, 0, 5, 2, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1 };
    static const uint8_t invalid[] = { 0, 0, 3, 1, 5, 0, 0, 0, 1, 0x82, 0x86, 0x84 }; /* no :authority */
    static const uint8_t goaway[] = { 0, 0x80, 0, 7, 0, 0, 0, 0, 0 };
    const struct {
        const char *what;
        const uint8_t *frame;
        size_t len;
        int at_least, within;
        bool streams;
    } cases[] = {
        { "rapid reset", reset, sizeof reset, 100, 1100, true },
        { "PING", ping, sizeof ping, 500, 3000, false },
        { "SETTINGS", settings, sizeof settings, 500, 3000, false },
        { "PRIORITY", priority, sizeof priority, 500, 3000, false },
        { "requests that are none", invalid, sizeof invalid, 500, 3000, true },
        { "a GOAWAY with long debug data", goaway, sizeof goaway, 0, 1, false },
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fixture *f = open_fixture();
        if (floods(f, cases[i].frame, cases[i].len, cases[i].at_least, cases[i].streams))
            fail_msg("%s: ended too early", cases[i].what);
        close_fixture(f);
        f = open_fixture();
        if (!floods(f, cases[i].frame, cases[i].len, cases[i].within, cases[i].streams))
            fail_msg("%s: never ended", cases[i].what);
        close_fixture(f);
    }
}

static void frames_for_streams_that_the_client_ended_end_the_connection(void **state)
{
    static const uint8_t get[] = { 0, 0, 6, 1, 5, 0, 0, 0, 5, 0x82, 0x86, 0x84, 1, 1, 'x' };
    static const uint8_t again[] = { 0, 0, 6, 1, 5, 0, 0, 0, 5, 0x82, 0x86, 0x84, 1, 1, 'x' };
    static const uint8_t lower[] = { 0, 0, 6, 1, 5, 0, 0, 0, 3, 0x82, 0x86, 0x84, 1, 1, 'x' };
    static const uint8_t early[] = { 0, 0, 6, 1, 4, 0, 0, 0, 5, 0x83, 0x86, 0x85, 1, 1, 'x' }; /* POST /index.html: 415 at once */
    static const uint8_t late_trailers[] = { 0, 0, 0, 1, 5, 0, 0, 0, 5 };
    const struct {
        const char *what;
        struct weft_slice first, second;
        bool ends;
    } cases[] = {
        { "the same stream again", weft_slice_of(get, sizeof get), weft_slice_of(again, sizeof again), true },
        { "a lower one that never was", weft_slice_of(get, sizeof get), weft_slice_of(lower, sizeof lower), true },
        { "trailers for one that we refused", weft_slice_of(early, sizeof early),
          weft_slice_of(late_trailers, sizeof late_trailers), false },
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fixture *f = open_fixture();
        f->peer.mute = true;
        grpc_caller_raw(&f->peer, weft_slice_of(HELLO, sizeof HELLO - 1));
        grpc_caller_raw(&f->peer, cases[i].first);
        grpc_caller_raw(&f->peer, cases[i].second);
        if ((f->connection.state == WEFT_GRPC_DONE) != cases[i].ends)
            fail_msg("%s: state %d", cases[i].what, f->connection.state);
        close_fixture(f);
    }
}

static void a_header_block_without_end_is_cut(void **state)
{
    const size_t lengths[] = { 0, 1, 1000, 16000 };
    (void)state;

    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        struct fixture *f = open_fixture();
        static uint8_t frame[9 + 16384];
        memset(frame, 0, sizeof frame);
        f->peer.mute = true;
        grpc_caller_raw(&f->peer, weft_slice_of(HELLO, sizeof HELLO - 1));
        grpc_caller_raw(&f->peer, WEFT_SLICE("\0\0\1\1\0\0\0\0\1\203")); /* HEADERS without END_HEADERS */
        frame[1] = (uint8_t)(lengths[i] >> 8);
        frame[2] = (uint8_t)lengths[i];
        frame[3] = NGHTTP2_CONTINUATION;
        frame[8] = 1;
        memset(frame + 9, 0x83, lengths[i]); /* :method: POST again and again */
        int n = 0;
        while (f->connection.state != WEFT_GRPC_DONE && n++ < 20000)
            grpc_caller_raw(&f->peer, weft_slice_of(frame, 9 + lengths[i]));
        if (f->connection.state != WEFT_GRPC_DONE)
            fail_msg("CONTINUATION frames of %zu bytes go on for ever", lengths[i]);
        close_fixture(f);
    }
}

static void pings_between_calls_are_no_flood(void **state)
{
    struct fixture *f = open_fixture();
    struct weft_slice body = message(f, "hello");
    (void)state;

    for (int i = 0; i < 500; i++) {
        for (int k = 0; k < 10; k++)
            assert_int_equal(nghttp2_submit_ping(f->peer.session, NGHTTP2_FLAG_NONE, NULL), 0);
        (void)grpc_caller_call(&f->peer, &(struct grpc_request){ .body = body });
        grpc_caller_pump(&f->peer);
    }
    assert_int_equal(f->calls, 500);
    assert_int_equal(f->peer.ping_acks, 5000);
    assert_int_equal(f->connection.state, WEFT_GRPC_OPEN);
    close_fixture(f);
}

/* ---- the end ---- */

static void draining_takes_what_was_under_way_and_then_is_done(void **state)
{
    struct fixture *f = open_fixture();
    (void)state;

    const struct grpc_reply *slow = call(f, (struct grpc_request){ .body = WEFT_SLICE("\0\0\0\0\1a"), .open_end = true });
    weft_grpc_connection_quiesce(&f->connection, 1000);
    f->service.draining = true;
    grpc_caller_pump(&f->peer);
    assert_int_equal(f->peer.goaways, 2);
    assert_int_equal(f->peer.goaway_code, NGHTTP2_NO_ERROR);
    assert_int_equal(f->peer.goaway_last, slow->id);
    assert_int_equal(f->connection.state, WEFT_GRPC_DRAINING);
    assert_int_equal(nghttp2_submit_rst_stream(f->peer.session, NGHTTP2_FLAG_NONE, slow->id, NGHTTP2_CANCEL), 0);
    grpc_caller_pump(&f->peer);
    assert_int_equal(f->connection.state, WEFT_GRPC_DONE);
    close_fixture(f);
}

/* The client answers the drain's PING and begins a call before it has seen the last GOAWAY, which names an earlier one. */
static void a_call_behind_the_answer_to_the_drain_is_not_taken(void **state)
{
    static const uint8_t bytes[] =
        "\0\0\x08\x06\x01\0\0\0\0drain\0\0\0"          /* PING, ACK */
        "\0\0\x39\x01\x04\0\0\0\x01\x83\x86\x01\x01x"     /* HEADERS of stream 1: POST, http, :authority, */
        "\x04\x12/test.Service/Call"                      /* :path, */
        "\x0f\x10\x10" "application/grpc"                 /* content-type, */
        "\0\x02te\x08trailers"                            /* te */
        "\0\0\x05\0\x01\0\0\0\x01\0\0\0\0\0";            /* DATA: an empty message, and the end */
    struct fixture *f = open_fixture();
    (void)state;

    grpc_caller_pump(&f->peer);
    f->peer.mute = true;
    weft_grpc_connection_quiesce(&f->connection, 1000);
    grpc_caller_raw(&f->peer, weft_slice_of(bytes, sizeof bytes - 1));
    assert_int_equal(f->calls, 0);
    assert_int_equal(f->connection.state, WEFT_GRPC_DONE);
    close_fixture(f);
}

static void a_client_that_does_not_answer_the_drain_gets_the_last_goaway_all_the_same(void **state)
{
    struct fixture *f = open_fixture();
    (void)state;

    grpc_caller_pump(&f->peer);
    f->peer.mute = true;
    weft_grpc_connection_quiesce(&f->connection, 1000);
    grpc_caller_pump(&f->peer);
    assert_int_equal(f->connection.state, WEFT_GRPC_DRAINING);
    tick(f, 1000);
    assert_int_equal(f->connection.state, WEFT_GRPC_DONE);
    close_fixture(f);
}

static void idle_old_and_dead_connections_go(void **state)
{
    const struct {
        const char *what;
        struct weft_grpc_limits limits;
        uint64_t not_before_ms, by_ms;
        bool mute;
    } cases[] = {
        { "idle", { .max_idle_ms = 30000 }, 29999, 30000, false },
        { "old", { .max_age_ms = 90000 }, 89999, 90000, false },
        { "dead", { .keepalive_ms = 10000, .keepalive_timeout_ms = 5000 }, 14999, 15001, true },
        { "alive", { .keepalive_ms = 10000, .keepalive_timeout_ms = 5000 }, 900000, 0, false },
        { "neither", { 0 }, 900000, 0, false },
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        static struct fixture f;
        uint64_t at = 0;
        open_with(&f, cases[i].limits);
        grpc_caller_pump(&f.peer);
        f.peer.mute = cases[i].mute;
        for (uint64_t step = 1; at < cases[i].not_before_ms; at += step) {
            step = cases[i].not_before_ms - at < 1000 ? cases[i].not_before_ms - at : 1000;
            tick(&f, step);
        }
        if (f.connection.state != WEFT_GRPC_OPEN)
            fail_msg("%s: gone too early", cases[i].what);
        if (cases[i].by_ms)
            tick(&f, cases[i].by_ms - at);
        if (cases[i].by_ms && f.connection.state != WEFT_GRPC_DONE)
            fail_msg("%s: still there", cases[i].what);
        close_fixture(&f);
    }
}

/* ---- health ---- */

static void health_is_told_for_the_server_and_each_service(void **state)
{
    const struct {
        const char *what;
        struct weft_slice request;
        bool draining;
        const char *grpc_status;
        uint8_t serving;
    } cases[] = {
        { "the server", { 0 }, false, "0", 1 },
        { "a service", WEFT_SLICE("\12\14test.Service"), false, "0", 1 },
        { "an unknown service", WEFT_SLICE("\12\4nope"), false, "5", 0 },
        { "a part of a name", WEFT_SLICE("\12\4test"), false, "5", 0 },
        { "the server while it drains", { 0 }, true, "0", 2 },
        { "garbage", WEFT_SLICE("\12\377"), false, "3", 0 },
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fixture *f = open_fixture();
        f->service.draining = cases[i].draining;
        grpc_caller_message(&f->body, false, cases[i].request);
        const struct grpc_reply *r = call(
            f, (struct grpc_request){ .path = "/grpc.health.v1.Health/Check", .body = weft_buf_slice(&f->body) });
        if (strcmp(r->grpc_status, cases[i].grpc_status) != 0 || (cases[i].serving && r->body[6] != cases[i].serving))
            fail_msg("%s: status %s, answer %d", cases[i].what, r->grpc_status, r->body[6]);
        assert_int_equal(f->calls, 0);
        close_fixture(f);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_reaches_its_handler_and_gets_its_answer),
        cmocka_unit_test(a_long_answer_goes_out_whole),
        cmocka_unit_test(an_error_is_trailers_only_with_words_and_details),
        cmocka_unit_test(what_is_not_a_call_is_answered_as_such),
        cmocka_unit_test(an_unknown_encoding_is_told_the_known_ones),
        cmocka_unit_test(bodies_that_are_not_one_message_are_refused),
        cmocka_unit_test(gzip_messages_are_decompressed_up_to_the_limit),
        cmocka_unit_test(any_slicing_gives_the_same_message),
        cmocka_unit_test(a_hundred_calls_at_once_are_all_answered),
        cmocka_unit_test(captured_connections_are_understood_in_any_slices),
        cmocka_unit_test(captured_messages_arrive_unchanged),
        cmocka_unit_test(messages_in_flight_have_a_ceiling_and_the_refused_may_try_again),
        cmocka_unit_test(a_request_that_drips_is_cut),
        cmocka_unit_test(the_clients_own_deadline_cuts_earlier),
        cmocka_unit_test(silence_ends_a_connection_at_each_stage),
        cmocka_unit_test(who_does_not_speak_http2_is_told),
        cmocka_unit_test(sessions_and_streams_are_turned_away_when_memory_is_short),
        cmocka_unit_test(sessions_do_not_mix_their_frames),
        cmocka_unit_test(floods_end_the_connection),
        cmocka_unit_test(frames_for_streams_that_the_client_ended_end_the_connection),
        cmocka_unit_test(a_header_block_without_end_is_cut),
        cmocka_unit_test(pings_between_calls_are_no_flood),
        cmocka_unit_test(draining_takes_what_was_under_way_and_then_is_done),
        cmocka_unit_test(a_call_behind_the_answer_to_the_drain_is_not_taken),
        cmocka_unit_test(a_client_that_does_not_answer_the_drain_gets_the_last_goaway_all_the_same),
        cmocka_unit_test(idle_old_and_dead_connections_go),
        cmocka_unit_test(health_is_told_for_the_server_and_each_service),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

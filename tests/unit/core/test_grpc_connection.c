/* SPDX-License-Identifier: Apache-2.0 */
/* test_grpc_connection.c: HTTP/2 and gRPC in memory: nghttp2's own client on one side, the connection on the other;
 * time is a number. What it bears from those who mean harm is in test_grpc_limits.c. */
#include "core/err.h"
#include "core/grpc_frame.h"
#include "core/gzip.h"
#include "tests/support/grpc_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

/* ---- calls ---- */

static void a_call_reaches_its_handler_and_gets_its_answer(void **state)
{
    struct grpc_rig *f = grpc_rig_open();
    (void)state;

    f->next = (struct weft_grpc_answer){ .body = WEFT_SLICE("yes") };
    const struct grpc_reply *r = grpc_rig_call(f, (struct grpc_request){ .body = grpc_rig_message(f, "hello") });
    assert_int_equal(f->calls, 1);
    assert_int_equal(f->last_method, 0);
    assert_int_equal(f->last_len, 5);
    assert_string_equal(r->http_status, "200");
    assert_string_equal(r->grpc_status, "0");
    assert_int_equal(r->body_len, 8);
    assert_memory_equal(r->body, "\0\0\0\0\3yes", 8);
    assert_true(r->closed);
    assert_int_equal(r->reset_code, 0);
    grpc_rig_close(f);
}

static void a_long_answer_goes_out_whole(void **state)
{
    struct grpc_rig *f = grpc_rig_open();
    static uint8_t body[400];
    (void)state;

    memset(body, 'x', sizeof body);
    f->next = (struct weft_grpc_answer){ .body = weft_slice_of(body, sizeof body) };
    const struct grpc_reply *r = grpc_rig_call(f, (struct grpc_request){ .body = grpc_rig_message(f, "hello") });
    assert_int_equal(r->body_len, WEFT_GRPC_PREFIX + sizeof body);
    assert_string_equal(r->grpc_status, "0");
    grpc_rig_close(f);
}

static void an_error_is_trailers_only_with_words_and_details(void **state)
{
    struct grpc_rig *f = grpc_rig_open();
    (void)state;

    f->next = (struct weft_grpc_answer){ WEFT_GRPC_UNAVAILABLE, "try\nagain", .details = WEFT_SLICE("foob") };
    const struct grpc_reply *r = grpc_rig_call(f, (struct grpc_request){ .body = grpc_rig_message(f, "hello") });
    assert_string_equal(r->http_status, "200");
    assert_string_equal(r->grpc_status, "14");
    assert_string_equal(r->message, "try%0Aagain");
    assert_string_equal(r->details, "Zm9vYg");
    assert_int_equal(r->body_len, 0);
    grpc_rig_close(f);
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
        struct grpc_rig *f = grpc_rig_open();
        struct grpc_request request = cases[i].request;
        request.body = grpc_rig_message(f, "hello");
        const struct grpc_reply *r = grpc_rig_call(f, request);
        if (strcmp(r->http_status, cases[i].http_status) != 0 || strcmp(r->grpc_status, cases[i].grpc_status) != 0 ||
            !r->closed || r->reset_code != 0)
            fail_msg("%s: HTTP %s, gRPC %s, closed %d, code %u", cases[i].what, r->http_status, r->grpc_status, r->closed,
                     r->reset_code);
        grpc_rig_close(f);
    }
}

static void an_unknown_encoding_is_told_the_known_ones(void **state)
{
    struct grpc_rig *f = grpc_rig_open();
    (void)state;

    const struct grpc_reply *r = grpc_rig_call(f, (struct grpc_request){ .body = grpc_rig_message(f, "x"), .encoding = "br" });
    assert_string_equal(r->encodings, "identity,gzip");
    grpc_rig_close(f);
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
        struct grpc_rig *f = grpc_rig_open();
        const struct grpc_reply *r = grpc_rig_call(f, (struct grpc_request){ .body = cases[i].body });
        if (strcmp(r->grpc_status, cases[i].grpc_status) != 0 || !r->closed)
            fail_msg("%s: gRPC %s", cases[i].what, r->grpc_status);
        grpc_rig_close(f);
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
    static uint8_t zeroes[GRPC_RIG_MESSAGE + 1];
    const struct {
        const char *what;
        size_t len;
        bool cut;
        const char *grpc_status;
    } cases[] = {
        { "small", 10, false, "0" },
        { "as large as allowed", GRPC_RIG_MESSAGE, false, "0" },
        { "one byte larger", GRPC_RIG_MESSAGE + 1, false, "8" },
        { "cut short", 1000, true, "3" },
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct grpc_rig *f = grpc_rig_open();
        struct weft_buf packed;
        weft_buf_init(&packed, 1 << 20);
        gzip(weft_slice_of(zeroes, cases[i].len), &packed);
        grpc_caller_message(&f->body, true, weft_slice_of(packed.data, packed.len - (cases[i].cut ? 9 : 0)));
        const struct grpc_reply *r = grpc_rig_call(f, (struct grpc_request){ .body = weft_buf_slice(&f->body), .encoding = "gzip" });
        if (strcmp(r->grpc_status, cases[i].grpc_status) != 0)
            fail_msg("%s: %s %s", cases[i].what, r->grpc_status, r->message);
        if (*r->grpc_status == '0')
            assert_int_equal(f->last_len, cases[i].len);
        weft_buf_release(&packed);
        grpc_rig_close(f);
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
        struct grpc_rig *f = grpc_rig_open();
        f->peer.slice = slices[i];
        grpc_caller_message(&f->body, false, weft_slice_of(payload, sizeof payload));
        const struct grpc_reply *r = grpc_rig_call(f, (struct grpc_request){ .body = weft_buf_slice(&f->body) });
        if (strcmp(r->grpc_status, "0") != 0 || f->last_len != sizeof payload || f->last_sum != sum)
            fail_msg("slices of %zu: status %s, %zu bytes", slices[i], r->grpc_status, f->last_len);
        grpc_rig_close(f);
    }
}

static void a_hundred_calls_at_once_are_all_answered(void **state)
{
    struct grpc_rig *f = grpc_rig_open();
    struct weft_slice body = grpc_rig_message(f, "hello");
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
    grpc_rig_close(f);
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
            struct grpc_rig *f = grpc_rig_open();
            struct weft_slice bytes = read_file(&f->body, cases[i].name);
            f->peer.mute = true;
            f->peer.slice = slice;
            grpc_caller_raw(&f->peer, bytes);
            if (f->calls != cases[i].calls || f->service.stats.refused || f->service.stats.protocol_errors)
                fail_msg("%s in slices of %zu: %u calls, %llu refused", cases[i].name, slice, f->calls,
                         (unsigned long long)f->service.stats.refused);
            grpc_rig_close(f);
        }
}

static void captured_messages_arrive_unchanged(void **state)
{
    const char *const names[] = { "traces-frontend.grpcframe", "logs-frontend.grpcframe", "metrics-frontend.grpcframe",
                                  "traces-frontend.gzip.grpcframe", "logs-frontend.gzip.grpcframe" };
    (void)state;

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct grpc_rig *f = grpc_rig_open();
        struct weft_slice frame = read_file(&f->body, names[i]);
        bool packed = strstr(names[i], "gzip") != NULL;
        const struct grpc_reply *r = grpc_rig_call(f, (struct grpc_request){ .body = frame, .encoding = packed ? "gzip" : NULL });
        if (strcmp(r->grpc_status, "0") != 0 || (!packed && f->last_len != frame.len - WEFT_GRPC_PREFIX) || f->last_len < 300)
            fail_msg("%s: status %s, %zu bytes", names[i], r->grpc_status, f->last_len);
        grpc_rig_close(f);
    }
}

/* ---- the end ---- */

static void draining_takes_what_was_under_way_and_then_is_done(void **state)
{
    struct grpc_rig *f = grpc_rig_open();
    (void)state;

    const struct grpc_reply *slow = grpc_rig_call(f, (struct grpc_request){ .body = WEFT_SLICE("\0\0\0\0\1a"), .open_end = true });
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
    grpc_rig_close(f);
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
    struct grpc_rig *f = grpc_rig_open();
    (void)state;

    grpc_caller_pump(&f->peer);
    f->peer.mute = true;
    weft_grpc_connection_quiesce(&f->connection, 1000);
    grpc_caller_raw(&f->peer, weft_slice_of(bytes, sizeof bytes - 1));
    assert_int_equal(f->calls, 0);
    assert_int_equal(f->connection.state, WEFT_GRPC_DONE);
    grpc_rig_close(f);
}

static void a_client_that_does_not_answer_the_drain_gets_the_last_goaway_all_the_same(void **state)
{
    struct grpc_rig *f = grpc_rig_open();
    (void)state;

    grpc_caller_pump(&f->peer);
    f->peer.mute = true;
    weft_grpc_connection_quiesce(&f->connection, 1000);
    grpc_caller_pump(&f->peer);
    assert_int_equal(f->connection.state, WEFT_GRPC_DRAINING);
    grpc_rig_tick(f, 1000);
    assert_int_equal(f->connection.state, WEFT_GRPC_DONE);
    grpc_rig_close(f);
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
        static struct grpc_rig f;
        uint64_t at = 0;
        grpc_rig_open_with(&f, cases[i].limits);
        grpc_caller_pump(&f.peer);
        f.peer.mute = cases[i].mute;
        for (uint64_t step = 1; at < cases[i].not_before_ms; at += step) {
            step = cases[i].not_before_ms - at < 1000 ? cases[i].not_before_ms - at : 1000;
            grpc_rig_tick(&f, step);
        }
        if (f.connection.state != WEFT_GRPC_OPEN)
            fail_msg("%s: gone too early", cases[i].what);
        if (cases[i].by_ms)
            grpc_rig_tick(&f, cases[i].by_ms - at);
        if (cases[i].by_ms && f.connection.state != WEFT_GRPC_DONE)
            fail_msg("%s: still there", cases[i].what);
        grpc_rig_close(&f);
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
        struct grpc_rig *f = grpc_rig_open();
        f->service.draining = cases[i].draining;
        grpc_caller_message(&f->body, false, cases[i].request);
        const struct grpc_reply *r = grpc_rig_call(
            f, (struct grpc_request){ .path = "/grpc.health.v1.Health/Check", .body = weft_buf_slice(&f->body) });
        if (strcmp(r->grpc_status, cases[i].grpc_status) != 0 || (cases[i].serving && r->body[6] != cases[i].serving))
            fail_msg("%s: status %s, answer %d", cases[i].what, r->grpc_status, r->body[6]);
        assert_int_equal(f->calls, 0);
        grpc_rig_close(f);
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

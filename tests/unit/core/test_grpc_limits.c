/* SPDX-License-Identifier: Apache-2.0 */
/* test_grpc_limits.c: what a gRPC connection bears from clients that drip, fall silent, speak something else or flood it, and from
 * a want of memory. In memory; time is a number. */
#include "core/err.h"
#include "tests/support/grpc_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

/* ---- limits ---- */

static void messages_in_flight_have_a_ceiling_and_the_refused_may_try_again(void **state)
{
    struct grpc_rig *f = grpc_rig_open();
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
    assert_in_range(f->service.pool.used, 1, GRPC_RIG_INFLIGHT / 2);
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
    grpc_rig_close(f);
}

static void a_request_that_drips_is_cut(void **state)
{
    struct grpc_rig *f = grpc_rig_open();
    (void)state;

    struct grpc_request request = { .body = WEFT_SLICE("\0\0\0\0\5ab"), .open_end = true };
    const struct grpc_reply *r = grpc_rig_call(f, request);
    grpc_rig_tick(f, 59000);
    assert_false(r->closed);
    grpc_rig_tick(f, 1001);
    assert_string_equal(r->grpc_status, "4");
    assert_true(r->closed);
    assert_int_equal(f->last_err, WEFT_ERR_TIMEOUT);
    assert_int_equal(f->connection.state, WEFT_GRPC_OPEN);
    grpc_rig_close(f);
}

static void the_clients_own_deadline_cuts_earlier(void **state)
{
    struct grpc_rig *f = grpc_rig_open();
    (void)state;

    struct grpc_request request = { .body = WEFT_SLICE("\0\0\0\0\5ab"), .open_end = true, .timeout = "2S" };
    const struct grpc_reply *r = grpc_rig_call(f, request);
    grpc_rig_tick(f, 1999);
    assert_false(r->closed);
    grpc_rig_tick(f, 1);
    assert_string_equal(r->grpc_status, "4");
    grpc_rig_close(f);
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
        struct grpc_rig *f = grpc_rig_open();
        grpc_caller_raw(&f->peer, cases[i].said);
        weft_grpc_connection_tick(&f->connection, f->peer.now_ms + 9000);
        if (f->connection.state == WEFT_GRPC_DONE)
            fail_msg("%s: over too early", cases[i].what);
        weft_grpc_connection_tick(&f->connection, f->peer.now_ms + 61000);
        grpc_caller_raw(&f->peer, weft_slice_of(NULL, 0));
        if (f->connection.state != WEFT_GRPC_DONE || (f->peer.goaways > 0) != cases[i].goaway)
            fail_msg("%s: state %d, %u goaways", cases[i].what, f->connection.state, f->peer.goaways);
        grpc_rig_close(f);
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
        struct grpc_rig *f = grpc_rig_open();
        struct weft_buf out;
        weft_buf_init(&out, 1 << 16);
        weft_grpc_connection_input(&f->connection, cases[i].said, 1000);
        weft_grpc_connection_output(&f->connection, &out, 1000);
        bool words = out.len > 12 && memcmp(out.data, "HTTP/1.1 505", 12) == 0;
        if (f->connection.state != WEFT_GRPC_DONE || words != cases[i].words || (!words && out.len > 0))
            fail_msg("%s: %zu bytes", cases[i].what, out.len);
        weft_buf_release(&out);
        grpc_rig_close(f);
    }
}

/* What HTTP/2 holds is bounded: first no further connection gets a session, then no further stream is opened. */
static void sessions_and_streams_are_turned_away_when_memory_is_short(void **state)
{
    struct grpc_rig *f = grpc_rig_open();
    struct weft_slice body = grpc_rig_message(f, "hello");
    struct weft_grpc_connection late;
    (void)state;

    assert_string_equal(grpc_rig_call(f, (struct grpc_request){ .body = body })->grpc_status, "0");
    f->service.memory.limit = f->service.memory.used;
    weft_grpc_connection_init(&late, &f->service, 1000);
    weft_grpc_connection_input(&late, WEFT_SLICE("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 1000);
    assert_int_equal(late.state, WEFT_GRPC_DONE);
    weft_grpc_connection_release(&late);

    const struct grpc_reply *r = grpc_rig_call(f, (struct grpc_request){ .body = body });
    assert_int_equal(r->reset_code, NGHTTP2_REFUSED_STREAM);
    f->service.memory.limit = UINT64_MAX;
    assert_string_equal(grpc_rig_call(f, (struct grpc_request){ .body = body })->grpc_status, "0");
    assert_int_equal(f->service.stats.no_room, 2);
    grpc_rig_close(f);
}

/* Sessions share the buffer that frames are packed into; replies that are asked for frame by frame, in turns, stay apart. */
static void sessions_do_not_mix_their_frames(void **state)
{
    struct grpc_rig *f = grpc_rig_open();
    static struct weft_grpc_connection connections[2];
    static struct grpc_caller callers[2];
    struct weft_buf out;
    int32_t ids[2][50];
    bool more = true;
    (void)state;

    f->next = (struct weft_grpc_answer){ .body = WEFT_SLICE("the very same answer for everybody") };
    weft_buf_init(&out, 1 << 20);
    struct weft_slice body = grpc_rig_message(f, "hello");
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
    grpc_rig_close(f);
}

/* ---- floods ---- */

static const char HELLO[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0\0\0\0\4\1\0\0\0\0";

/* Sends a frame pattern over and over; true when the connection was ended for it within `times`. */
static bool floods(struct grpc_rig *f, const uint8_t *frame, size_t len, int times, bool count_streams)
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
        struct grpc_rig *f = grpc_rig_open();
        if (floods(f, cases[i].frame, cases[i].len, cases[i].at_least, cases[i].streams))
            fail_msg("%s: ended too early", cases[i].what);
        grpc_rig_close(f);
        f = grpc_rig_open();
        if (!floods(f, cases[i].frame, cases[i].len, cases[i].within, cases[i].streams))
            fail_msg("%s: never ended", cases[i].what);
        grpc_rig_close(f);
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
        struct grpc_rig *f = grpc_rig_open();
        f->peer.mute = true;
        grpc_caller_raw(&f->peer, weft_slice_of(HELLO, sizeof HELLO - 1));
        grpc_caller_raw(&f->peer, cases[i].first);
        grpc_caller_raw(&f->peer, cases[i].second);
        if ((f->connection.state == WEFT_GRPC_DONE) != cases[i].ends)
            fail_msg("%s: state %d", cases[i].what, f->connection.state);
        grpc_rig_close(f);
    }
}

static void a_header_block_without_end_is_cut(void **state)
{
    const size_t lengths[] = { 0, 1, 1000, 16000 };
    (void)state;

    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        struct grpc_rig *f = grpc_rig_open();
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
        grpc_rig_close(f);
    }
}

static void pings_between_calls_are_no_flood(void **state)
{
    struct grpc_rig *f = grpc_rig_open();
    struct weft_slice body = grpc_rig_message(f, "hello");
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
    grpc_rig_close(f);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
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
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "core/http_client.h"
#include "tests/support/grpc_peer.h"
#include "tests/support/http_peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

enum { CALLS = 200 };

/* One loop with a gRPC server that the test scripts and a client under test; the requests go through weft_http_call. */
struct fixture {
    uv_loop_t loop;
    uv_timer_t guard;
    struct grpc_peer peer;
    struct weft_http_client *client;
    enum grpc_peer_act acts[8];      /* of the n-th request; the last one goes on */
    unsigned n_acts;
    struct weft_buf seen;
    char head[4096];
    char url[64];
    unsigned done, to_do, failed;
    struct weft_http_result result;
    char status[16], body[64], reason[200];
};

static enum grpc_peer_act on_request(void *ctx, const struct grpc_peer_request *request, struct grpc_peer_answer *answer)
{
    struct fixture *f = ctx;
    unsigned n = request->number < f->n_acts ? request->number : f->n_acts - 1;

    weft_buf_reset(&f->seen);
    weft_buf_append(&f->seen, request->body.data, request->body.len);
    (void)snprintf(f->head, sizeof f->head, "%s", request->head);
    answer->status = "0";
    answer->body = WEFT_SLICE("answer");
    return f->acts[n];
}

static void on_guard(uv_timer_t *timer)
{
    (void)timer;
    fail_msg("no end within 20 s");
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    const struct weft_http_client_options options = { .max_connections = 4, .http2 = true, .user_agent = "weft/test" };

    *state = f;
    assert_int_equal(uv_loop_init(&f->loop), 0);
    assert_int_equal(uv_timer_init(&f->loop, &f->guard), 0);
    uv_timer_start(&f->guard, on_guard, 20000, 0);
    assert_int_equal(grpc_peer_open(&f->peer, &f->loop), 0);
    f->peer.ctx = f;
    f->peer.on_request = on_request;
    f->n_acts = 1;
    weft_buf_init(&f->seen, 64u << 20);
    (void)snprintf(f->url, sizeof f->url, "http://127.0.0.1:%d/pkg.Service/Export", f->peer.port);
    assert_int_equal(weft_http_client_open(&f->client, &f->loop, &options), 0);
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    weft_http_client_close(f->client);
    grpc_peer_close(&f->peer);
    uv_close((uv_handle_t *)&f->guard, NULL);
    while (uv_run(&f->loop, UV_RUN_DEFAULT)) {
    }
    assert_int_equal(uv_loop_close(&f->loop), 0);
    weft_buf_release(&f->seen);
    free(f);
    return 0;
}

static void on_done(void *ctx, const struct weft_http_result *result)
{
    struct fixture *f = ctx;

    f->result = *result;
    (void)snprintf(f->status, sizeof f->status, "%s", result->grpc_status ? result->grpc_status : "none");
    (void)snprintf(f->body, sizeof f->body, "%.*s", (int)result->body.len, (const char *)result->body.data);
    (void)snprintf(f->reason, sizeof f->reason, "%s", result->reason ? result->reason : "");
    f->failed += result->err != 0;
    if (++f->done == f->to_do)
        uv_stop(&f->loop);
}

static struct weft_http_call call_of(struct fixture *f, const struct weft_slice *body, size_t n_body)
{
    return (struct weft_http_call){ .method = "POST", .url = f->url, .body = body, .n_body = n_body,
                                    .timeout_ms = 5000, .response_limit = 100, .ctx = f, .done = on_done };
}

static void run(struct fixture *f, unsigned n)
{
    f->to_do = f->done + n;
    uv_run(&f->loop, UV_RUN_DEFAULT);
}

static void one(struct fixture *f, const struct weft_slice *body, size_t n_body)
{
    const struct weft_http_call call = call_of(f, body, n_body);
    unsigned before = f->done;

    assert_int_equal(weft_http_call(f->client, &call), 0);
    assert_int_equal(f->done, before); /* never from inside weft_http_call */
    run(f, 1);
}

static void assert_answered(const struct fixture *f)
{
    if (f->result.err || f->result.status != 200 || strcmp(f->status, "0") != 0 || strcmp(f->body, "answer") != 0)
        fail_msg("err %d (%s), status %u, grpc-status %s, body '%s'", f->result.err, f->reason, f->result.status,
                 f->status, f->body);
}

static void a_body_arrives_whole_however_it_is_cut_into_slices(void **state)
{
    struct fixture *f = *state;
    static uint8_t big[5 << 20];
    const struct { const char *what; size_t lens[3]; size_t n; } cases[] = {
        { "no body", { 0 }, 0 },
        { "one empty slice", { 0 }, 1 },
        { "three small slices", { 10, 0, 7 }, 3 },
        { "a frame and a bit", { 16384, 1, 0 }, 3 },
        { "more than a window", { 100000, 100000, 100000 }, 3 },
        { "far more than what waits to be written", { 2 << 20, 1 << 20, 2 << 20 }, 3 },
    };

    for (size_t i = 0; i < sizeof big; i++)
        big[i] = (uint8_t)(i * 2654435761u >> 13);
    for (unsigned frame = 0; frame < 2; frame++)
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
            struct weft_slice body[3];
            size_t at = 0;
            for (size_t s = 0; s < cases[i].n; s++) {
                body[s] = weft_slice_of(big + at, cases[i].lens[s]);
                at += cases[i].lens[s];
            }
            one(f, body, cases[i].n);
            assert_answered(f);
            if (!weft_slice_equal(weft_buf_slice(&f->seen), weft_slice_of(big, at)) || f->result.sent_bytes != at)
                fail_msg("%s: %zu bytes of %zu, says it sent %llu", cases[i].what, f->seen.len, at,
                         (unsigned long long)f->result.sent_bytes);
        }
    assert_int_equal(f->peer.n_connections, 1); /* kept all the way */
    assert_int_equal(f->peer.largest_frame, 16384);
}

static void larger_frames_are_used_when_the_server_takes_them(void **state)
{
    struct fixture *f = *state;
    static uint8_t big[1 << 20];
    const struct weft_slice body = weft_slice_of(big, sizeof big);

    f->peer.max_frame = 200000;
    one(f, &body, 1); /* the settings may come too late for the first one */
    one(f, &body, 1);
    assert_answered(f);
    assert_int_equal(f->seen.len, sizeof big);
    assert_in_range(f->peer.largest_frame, 100000, 200000);
}

static void the_head_is_as_asked_for(void **state)
{
    struct fixture *f = *state;
    const char *const headers[] = { "Content-Type: application/grpc", "TE: trailers", "X-Tenant:  Blue", NULL };
    struct weft_http_call call = call_of(f, NULL, 0);
    char authority[64];

    call.headers = headers;
    assert_int_equal(weft_http_call(f->client, &call), 0);
    run(f, 1);
    assert_answered(f);
    (void)snprintf(authority, sizeof authority, ":authority: 127.0.0.1:%d\n", f->peer.port);
    assert_non_null(strstr(f->head, authority));
    assert_non_null(strstr(f->head, ":path: /pkg.Service/Export\n"));
    assert_non_null(strstr(f->head, "content-type: application/grpc\n"));
    assert_non_null(strstr(f->head, "te: trailers\n"));
    assert_non_null(strstr(f->head, "x-tenant: Blue\n"));
    assert_non_null(strstr(f->head, "user-agent: weft/test\n"));
}

static void many_calls_share_a_connection(void **state)
{
    struct fixture *f = *state;
    const struct weft_slice body = WEFT_SLICE("hello");
    const struct weft_http_call call = call_of(f, &body, 1);

    for (int i = 0; i < CALLS; i++)
        assert_int_equal(weft_http_call(f->client, &call), 0);
    run(f, CALLS);
    assert_int_equal(f->failed, 0);
    assert_int_equal(f->peer.n_requests, CALLS);
    assert_int_equal(f->peer.n_connections, 1);
}

static void a_refused_stream_is_put_on_a_fresh_connection_once(void **state)
{
    struct fixture *f = *state;
    const struct weft_slice body[] = { WEFT_SLICE("twice "), WEFT_SLICE("the same") };

    f->acts[0] = GRPC_REFUSE;
    f->acts[1] = GRPC_ANSWER;
    f->n_acts = 2;
    one(f, body, 2);
    assert_answered(f);
    assert_true(weft_slice_is(weft_buf_slice(&f->seen), "twice the same"));
    assert_int_equal(f->peer.n_connections, 2);

    f->acts[1] = GRPC_REFUSE;
    one(f, body, 2);
    assert_int_equal(f->result.err, UV_ECONNRESET);
}

static void a_server_that_goes_away_is_replaced(void **state)
{
    struct fixture *f = *state;
    const struct weft_slice body = WEFT_SLICE("x");

    f->acts[0] = GRPC_GOAWAY;
    for (unsigned i = 1; i <= 3; i++) {
        one(f, &body, 1);
        assert_answered(f);
        assert_int_equal(f->peer.n_connections, i);
    }
}

static void a_kept_connection_that_is_dead_is_replaced_once(void **state)
{
    struct fixture *f = *state;
    const struct weft_slice body = WEFT_SLICE("x");

    f->acts[0] = GRPC_ANSWER;
    f->acts[1] = GRPC_CUT;
    f->acts[2] = GRPC_ANSWER;
    f->acts[3] = GRPC_CUT;
    f->n_acts = 4;
    one(f, &body, 1);
    one(f, &body, 1); /* cut, and answered on a fresh connection */
    assert_answered(f);
    assert_int_equal(f->peer.n_connections, 2);
    one(f, &body, 1); /* cut twice */
    assert_int_equal(f->result.err, UV_ECONNRESET);
    assert_string_not_equal(f->reason, "");
}

static void an_early_answer_ends_the_call(void **state)
{
    struct fixture *f = *state;
    static uint8_t big[4 << 20];
    const struct weft_slice body = weft_slice_of(big, sizeof big);

    f->peer.answer_early = true;
    one(f, &body, 1);
    assert_answered(f);
    assert_true(f->result.sent_bytes < sizeof big);
    f->peer.answer_early = false;
    one(f, &body, 1);
    assert_answered(f);
    assert_int_equal(f->seen.len, sizeof big);
    assert_int_equal(f->peer.n_connections, 1);
}

static void silence_times_out_and_gives_the_connection_up(void **state)
{
    struct fixture *f = *state;
    struct weft_http_call call = call_of(f, NULL, 0);

    f->acts[0] = GRPC_ANSWER;
    f->acts[1] = GRPC_HANG;
    f->acts[2] = GRPC_ANSWER;
    f->n_acts = 3;
    one(f, NULL, 0);
    call.timeout_ms = 100;
    assert_int_equal(weft_http_call(f->client, &call), 0);
    run(f, 1);
    assert_int_equal(f->result.err, UV_ETIMEDOUT);
    one(f, NULL, 0);
    assert_answered(f);
}

static void failures_have_a_code(void **state)
{
    struct fixture *f = *state;
    const struct { const char *what, *url; int err; } cases[] = {
        { "nobody there", "http://127.0.0.1:1/x", UV_ECONNREFUSED },
        { "no such name", "http://no-such-host.invalid:4317/x", 0 /* any */ },
        { "no host", "http:///x", UV_EINVAL },
        { "nobody there by name", "http://localhost:1/x", UV_ECONNREFUSED },
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct weft_http_call call = call_of(f, NULL, 0);
        call.url = cases[i].url;
        int err = weft_http_call(f->client, &call);
        if (!err) {
            run(f, 1);
            err = f->result.err;
        }
        if (err >= 0 || (cases[i].err && err != cases[i].err))
            fail_msg("%s: %d", cases[i].what, err);
    }
}

static enum http_peer_act on_http(void *ctx, const struct http_peer_request *request, struct weft_buf *answer)
{
    (void)ctx;
    (void)request;
    http_peer_say(answer, 400, "", WEFT_SLICE("what?"));
    return PEER_ANSWER;
}

static void a_server_of_another_protocol_is_an_error(void **state)
{
    struct fixture *f = *state;
    static struct http_peer http; /* its handles outlive the test's function */
    struct weft_http_call call = call_of(f, NULL, 0);

    assert_int_equal(http_peer_open(&http, &f->loop), 0);
    http.on_request = on_http;
    (void)snprintf(f->url, sizeof f->url, "http://127.0.0.1:%d/x", http.port);
    assert_int_equal(weft_http_call(f->client, &call), 0);
    run(f, 1);
    assert_int_equal(f->result.err, UV_EPROTO);
    http_peer_close(&http);
}

static void closing_ends_every_call_once(void **state)
{
    struct fixture *f = *state;
    static uint8_t big[4 << 20];
    const struct weft_slice body = weft_slice_of(big, sizeof big);
    const struct weft_http_call call = call_of(f, &body, 1);

    f->acts[0] = GRPC_HANG;
    for (int turns = 0; turns < 6; turns++) { /* closed in every stage of the connection */
        const struct weft_http_client_options options = { .max_connections = 4, .http2 = true };
        unsigned before = f->done;
        for (int i = 0; i < 3; i++)
            assert_int_equal(weft_http_call(f->client, &call), 0);
        for (int i = 0; i < turns; i++)
            uv_run(&f->loop, UV_RUN_NOWAIT);
        weft_http_client_close(f->client);
        assert_int_equal(f->done, before + 3);
        assert_int_equal(f->result.err, UV_ECANCELED);
        assert_int_equal(weft_http_client_open(&f->client, &f->loop, &options), 0);
    }
}

/* A server that offers endless windows and then reads nothing before it is told to; it keeps what it got. */
struct deaf_peer {
    uv_tcp_t listener, tcp;
    uv_write_t write;
    struct weft_buf in;
    size_t at;               /* of the next frame in `in` */
    size_t data_bytes;       /* in DATA frames of stream 1 */
    bool reset;              /* stream 1 was reset */
    int port;
};

static void deaf_alloc(uv_handle_t *handle, size_t hint, uv_buf_t *buf)
{
    struct deaf_peer *p = handle->data;
    uint8_t *room = weft_buf_reserve(&p->in, hint);

    assert_non_null(room);
    *buf = uv_buf_init((char *)room, (unsigned)hint);
}

static void deaf_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    enum { PREFACE = 24, HEAD = 9, DATA = 0, RST_STREAM = 3 };
    struct deaf_peer *p = stream->data;
    (void)buf;

    assert_true(n >= 0);
    p->in.len += (size_t)n;
    p->at = p->at ? p->at : PREFACE;
    while (p->in.len >= p->at + HEAD) {
        const uint8_t *h = p->in.data + p->at;
        size_t len = (size_t)h[0] << 16 | (size_t)h[1] << 8 | h[2];
        if (p->in.len < p->at + HEAD + len)
            break;
        if (h[3] == DATA) {
            assert_false(p->reset);
            for (size_t i = 0; i < len; i += 997)
                assert_int_equal(h[HEAD + i], 'x');
            p->data_bytes += len;
        }
        p->reset = p->reset || h[3] == RST_STREAM;
        p->at += HEAD + len;
    }
    if (p->reset)
        uv_stop(stream->loop);
}

static void deaf_connection(uv_stream_t *listener, int status)
{
    /* SETTINGS with an initial window of 2^30; WINDOW_UPDATE of the connection by 2^30. */
    static const char hello[] = "\0\0\6\4\0\0\0\0\0\0\4\x40\0\0\0" "\0\0\4\x08\0\0\0\0\0\x40\0\0\0";
    struct deaf_peer *p = listener->data;
    uv_buf_t out = uv_buf_init((char *)(uintptr_t)hello, sizeof hello - 1);

    assert_int_equal(status, 0);
    assert_int_equal(uv_tcp_init(listener->loop, &p->tcp), 0);
    p->tcp.data = p;
    assert_int_equal(uv_accept(listener, (uv_stream_t *)&p->tcp), 0);
    assert_int_equal(uv_write(&p->write, (uv_stream_t *)&p->tcp, &out, 1, NULL), 0);
}

static void deaf_open(struct deaf_peer *p, uv_loop_t *loop)
{
    struct sockaddr_in address;
    int len = sizeof address;

    weft_buf_init(&p->in, 64u << 20);
    assert_int_equal(uv_tcp_init(loop, &p->listener), 0);
    p->listener.data = p;
    assert_int_equal(uv_ip4_addr("127.0.0.1", 0, &address), 0);
    assert_int_equal(uv_tcp_bind(&p->listener, (const struct sockaddr *)&address, 0), 0);
    assert_int_equal(uv_listen((uv_stream_t *)&p->listener, 4, deaf_connection), 0);
    assert_int_equal(uv_tcp_getsockname(&p->listener, (struct sockaddr *)&address, &len), 0);
    p->port = ntohs(address.sin_port);
}

/* While the socket is full this fills what waits to be written, so that a frame of the first call stands behind it. */
static void another_call(uv_timer_t *timer)
{
    struct fixture *f = timer->data;
    const struct weft_http_call call = call_of(f, NULL, 0);

    assert_int_equal(weft_http_call(f->client, &call), 0);
}

static void nothing_of_a_body_is_sent_after_its_call_has_timed_out(void **state)
{
    struct fixture *f = *state;
    enum { SIZE = 32 << 20 };
    struct deaf_peer peer = { .port = 0 };
    uint8_t *bytes = malloc(SIZE);
    struct weft_slice body = weft_slice_of(bytes, SIZE);
    uv_timer_t later;

    assert_non_null(bytes);
    memset(bytes, 'x', SIZE);
    deaf_open(&peer, &f->loop);
    (void)snprintf(f->url, sizeof f->url, "http://127.0.0.1:%d/pkg.Service/Export", peer.port);
    struct weft_http_call call = call_of(f, &body, 1);
    call.timeout_ms = 200;
    uv_update_time(&f->loop); /* filling the body took its time */
    assert_int_equal(uv_timer_init(&f->loop, &later), 0);
    later.data = f;
    assert_int_equal(uv_timer_start(&later, another_call, 100, 0), 0);
    assert_int_equal(weft_http_call(f->client, &call), 0);
    run(f, 1);
    assert_int_equal(f->result.err, UV_ETIMEDOUT);
    free(bytes); /* the sanitizer sees who still reads it */
    assert_int_equal(uv_read_start((uv_stream_t *)&peer.tcp, deaf_alloc, deaf_read), 0);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_true(peer.reset);
    assert_true(peer.data_bytes > 0 && peer.data_bytes < SIZE);
    uv_close((uv_handle_t *)&later, NULL);
    uv_close((uv_handle_t *)&peer.tcp, NULL);
    uv_close((uv_handle_t *)&peer.listener, NULL);
    uv_run(&f->loop, UV_RUN_NOWAIT);
    uv_run(&f->loop, UV_RUN_NOWAIT);
    weft_buf_release(&peer.in);
}

static void a_name_is_resolved(void **state)
{
    struct fixture *f = *state;
    struct weft_slice body = WEFT_SLICE("body");

    (void)snprintf(f->url, sizeof f->url, "http://localhost:%d/pkg.Service/Export", f->peer.port);
    for (unsigned i = 0; i < 3; i++) {
        one(f, &body, 1);
        assert_int_equal(f->result.err, 0);
    }
    assert_int_equal(f->peer.n_connections, 1);
}

static void a_name_that_is_none_has_a_code(void **state)
{
    struct fixture *f = *state;

    (void)snprintf(f->url, sizeof f->url, "http://a..b:4317/pkg.Service/Export");
    one(f, NULL, 0);
    assert_true(f->result.err <= UV_EAI_ADDRFAMILY && f->result.err >= UV_EAI_PROTOCOL);
}

static void closing_while_a_name_is_asked_for_ends_the_call(void **state)
{
    struct fixture *f = *state;

    (void)snprintf(f->url, sizeof f->url, "http://localhost:%d/pkg.Service/Export", f->peer.port);
    const struct weft_http_call call = call_of(f, NULL, 0);
    assert_int_equal(weft_http_call(f->client, &call), 0);
    weft_http_client_close(f->client);
    f->client = NULL;
    assert_int_equal(f->done, 1);
    assert_int_equal(f->result.err, UV_ECANCELED);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_body_arrives_whole_however_it_is_cut_into_slices, setup, teardown),
        cmocka_unit_test_setup_teardown(larger_frames_are_used_when_the_server_takes_them, setup, teardown),
        cmocka_unit_test_setup_teardown(the_head_is_as_asked_for, setup, teardown),
        cmocka_unit_test_setup_teardown(many_calls_share_a_connection, setup, teardown),
        cmocka_unit_test_setup_teardown(a_refused_stream_is_put_on_a_fresh_connection_once, setup, teardown),
        cmocka_unit_test_setup_teardown(a_server_that_goes_away_is_replaced, setup, teardown),
        cmocka_unit_test_setup_teardown(a_kept_connection_that_is_dead_is_replaced_once, setup, teardown),
        cmocka_unit_test_setup_teardown(an_early_answer_ends_the_call, setup, teardown),
        cmocka_unit_test_setup_teardown(silence_times_out_and_gives_the_connection_up, setup, teardown),
        cmocka_unit_test_setup_teardown(failures_have_a_code, setup, teardown),
        cmocka_unit_test_setup_teardown(a_server_of_another_protocol_is_an_error, setup, teardown),
        cmocka_unit_test_setup_teardown(nothing_of_a_body_is_sent_after_its_call_has_timed_out, setup, teardown),
        cmocka_unit_test_setup_teardown(a_name_is_resolved, setup, teardown),
        cmocka_unit_test_setup_teardown(a_name_that_is_none_has_a_code, setup, teardown),
        cmocka_unit_test_setup_teardown(closing_while_a_name_is_asked_for_ends_the_call, setup, teardown),
        cmocka_unit_test_setup_teardown(closing_ends_every_call_once, setup, teardown),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

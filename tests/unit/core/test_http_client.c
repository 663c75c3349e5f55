/* SPDX-License-Identifier: Apache-2.0 */
#include "core/http_client.h"
#include "tests/support/http_peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

/* One loop with a server that the test scripts and a client that is under test. */
struct fixture {
    uv_loop_t loop;
    uv_timer_t guard; /* no test may hang */
    struct http_peer peer;
    struct weft_http_client *client;
    enum http_peer_act act;
    unsigned status;
    const char *headers;
    struct weft_slice answer;
    struct weft_buf seen; /* body of the last request */
    char head[4096];
    unsigned last_connection;
    unsigned done, to_do; /* the loop stops when so many are done */
    struct weft_http_result result;
    char body[256], retry_after[64], reason[256];
    char url[64];
    bool close_in_done;
};

static enum http_peer_act on_request(void *ctx, const struct http_peer_request *request, struct weft_buf *answer)
{
    struct fixture *f = ctx;

    weft_buf_reset(&f->seen);
    weft_buf_append(&f->seen, request->body.data, request->body.len);
    (void)snprintf(f->head, sizeof f->head, "%s", request->head);
    f->last_connection = request->connection;
    http_peer_say(answer, f->status, f->headers, f->answer);
    return f->act;
}

static void on_guard(uv_timer_t *timer)
{
    (void)timer;
    fail_msg("no end within 10 s");
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    const struct weft_http_client_options options = { .max_connections = 4, .user_agent = "weft/test" };

    *state = f;
    assert_int_equal(uv_loop_init(&f->loop), 0);
    assert_int_equal(uv_timer_init(&f->loop, &f->guard), 0);
    uv_timer_start(&f->guard, on_guard, 10000, 0);
    assert_int_equal(http_peer_open(&f->peer, &f->loop), 0);
    f->peer.ctx = f;
    f->peer.on_request = on_request;
    f->status = 200;
    f->headers = "";
    weft_buf_init(&f->seen, 64u << 20);
    (void)snprintf(f->url, sizeof f->url, "http://127.0.0.1:%d/path", f->peer.port);
    assert_int_equal(weft_http_client_open(&f->client, &f->loop, &options), 0);
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    weft_http_client_close(f->client);
    http_peer_close(&f->peer);
    uv_close((uv_handle_t *)&f->guard, NULL);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&f->loop), 0);
    weft_buf_release(&f->seen);
    free(f);
    return 0;
}

static void copy_text(char *to, size_t size, const void *from, size_t len)
{
    (void)snprintf(to, size, "%.*s", (int)(from ? len : 0), from ? (const char *)from : "");
}

static void on_done(void *ctx, const struct weft_http_result *result)
{
    struct fixture *f = ctx;

    f->result = *result;
    copy_text(f->body, sizeof f->body, result->body.data, result->body.len);
    copy_text(f->retry_after, sizeof f->retry_after, result->retry_after, SIZE_MAX >> 40);
    copy_text(f->reason, sizeof f->reason, result->reason, SIZE_MAX >> 40);
    f->done++;
    if (f->close_in_done) {
        weft_http_client_close(f->client);
        f->client = NULL;
    }
    if (f->done == f->to_do)
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

static void a_body_arrives_whole_however_it_is_cut_into_slices(void **state)
{
    struct fixture *f = *state;
    static uint8_t big[3 << 20];
    const struct { const char *what; size_t lens[3]; size_t n; } cases[] = {
        { "no body", { 0 }, 0 },
        { "one empty slice", { 0 }, 1 },
        { "one small slice", { 10 }, 1 },
        { "three small slices", { 10, 0, 7 }, 3 },
        { "three slices just under the flat limit", { 20000, 20000, 21440 }, 3 },
        { "three slices just over the flat limit", { 20000, 20000, 21441 }, 3 },
        { "one large slice", { 3 << 20 }, 1 },
        { "large slices", { 1 << 20, 1, 1 << 20 }, 3 },
    };

    for (size_t i = 0; i < sizeof big; i++)
        big[i] = (uint8_t)(i * 2654435761u >> 13);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct weft_slice body[3];
        size_t at = 0;
        for (size_t s = 0; s < cases[i].n; s++) {
            body[s] = weft_slice_of(big + at, cases[i].lens[s]);
            at += cases[i].lens[s];
        }
        one(f, body, cases[i].n);
        if (f->result.err || f->result.status != 200 || !weft_slice_equal(weft_buf_slice(&f->seen), weft_slice_of(big, at)))
            fail_msg("%s: err %d status %u, %zu bytes of %zu", cases[i].what, f->result.err, f->result.status,
                     f->seen.len, at);
        if (f->result.sent_bytes != at)
            fail_msg("%s: says it sent %llu of %zu", cases[i].what, (unsigned long long)f->result.sent_bytes, at);
    }
    assert_int_equal(f->peer.n_connections, 1); /* kept all the way */
}

static void what_the_server_says_is_told(void **state)
{
    struct fixture *f = *state;

    f->status = 429;
    f->headers = "retry-AFTER:  17 \r\nContent-Type: text/plain\r\n";
    f->answer = WEFT_SLICE("slow down");
    one(f, NULL, 0);
    assert_int_equal(f->result.err, 0);
    assert_int_equal(f->result.status, 429);
    assert_string_equal(f->retry_after, "17");
    assert_string_equal(f->body, "slow down");
    assert_false(f->result.body_cut);

    f->status = 200;
    f->headers = "";
    one(f, NULL, 0);
    assert_string_equal(f->retry_after, ""); /* nothing is left of the answer before */
}

static void an_answer_is_kept_up_to_its_limit(void **state)
{
    struct fixture *f = *state;
    static char text[100000];

    memset(text, 'x', sizeof text);
    f->answer = weft_slice_of(text, sizeof text);
    one(f, NULL, 0);
    assert_int_equal(f->result.err, 0);
    assert_true(f->result.body_cut);
    assert_int_equal(f->result.body.len, 100);
    f->answer = WEFT_SLICE("short");
    one(f, NULL, 0);
    assert_string_equal(f->body, "short");
    assert_int_equal(f->peer.n_connections, 1);
}

static void headers_are_sent_as_given_and_nothing_waits_for_100_continue(void **state)
{
    struct fixture *f = *state;
    static uint8_t big[2 << 20];
    const char *const headers[] = { "Content-Type: application/x-protobuf", "X-Tenant: a", NULL };
    const struct weft_slice body = weft_slice_of(big, sizeof big);
    struct weft_http_call call = call_of(f, &body, 1);

    call.headers = headers;
    assert_int_equal(weft_http_call(f->client, &call), 0);
    run(f, 1);
    assert_non_null(strstr(f->head, "POST /path HTTP/1.1\r\n"));
    assert_non_null(strstr(f->head, "Content-Type: application/x-protobuf\r\n"));
    assert_non_null(strstr(f->head, "X-Tenant: a\r\n"));
    assert_non_null(strstr(f->head, "User-Agent: weft/test\r\n"));
    assert_null(strcasestr(f->head, "expect"));
    assert_null(strcasestr(f->head, "urlencoded"));

    call.method = "PUT";
    call.n_body = 0;
    assert_int_equal(weft_http_call(f->client, &call), 0);
    run(f, 1);
    assert_non_null(strstr(f->head, "PUT /path HTTP/1.1\r\n"));
    call.method = "GET";
    assert_int_equal(weft_http_call(f->client, &call), 0);
    run(f, 1);
    assert_non_null(strstr(f->head, "GET /path HTTP/1.1\r\n"));
}

static void failures_have_a_code_and_words(void **state)
{
    struct fixture *f = *state;
    const struct weft_slice body = WEFT_SLICE("x");
    struct weft_http_call call = call_of(f, &body, 1);

    call.timeout_ms = 150;
    f->act = PEER_HANG;
    assert_int_equal(weft_http_call(f->client, &call), 0);
    run(f, 1);
    assert_int_equal(f->result.err, UV_ETIMEDOUT);
    assert_string_not_equal(f->reason, "");

    f->act = PEER_CUT;
    one(f, &body, 1);
    assert_int_equal(f->result.err, UV_ECONNRESET);

    call.url = "http://127.0.0.1:1/";
    assert_int_equal(weft_http_call(f->client, &call), 0);
    run(f, 1);
    assert_int_equal(f->result.err, UV_ECONNREFUSED);

    call.url = "ftp://127.0.0.1/";
    assert_int_equal(weft_http_call(f->client, &call), 0);
    run(f, 1);
    assert_int_not_equal(f->result.err, 0);

    f->act = PEER_ANSWER;
    one(f, &body, 1);
    assert_int_equal(f->result.err, 0);
}

static void the_timeout_is_for_the_whole_request(void **state)
{
    const struct { const char *what; enum http_peer_act act; int err; } cases[] = {
        { "silence after the connection was taken", PEER_HANG,  UV_ETIMEDOUT },
        { "an answer that drips, a byte at a time", PEER_DRIP,  UV_ETIMEDOUT },
        { "half an answer, then the end",           PEER_BREAK, UV_ECONNRESET },
        { "and an answer that drips once more", PEER_DRIP, UV_ETIMEDOUT },
    };
    struct fixture *f = *state;
    const struct weft_slice body = WEFT_SLICE("x");
    struct weft_http_call call = call_of(f, &body, 1);

    call.timeout_ms = 200;
    f->answer = WEFT_SLICE("a body that is long enough to be cut in the middle of it, whatever stands in the head of the answer");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint64_t began = uv_hrtime();
        f->act = cases[i].act;
        assert_int_equal(weft_http_call(f->client, &call), 0);
        run(f, 1);
        uint64_t ms = (uv_hrtime() - began) / 1000000;
        if (f->result.err != cases[i].err || ms > 2000)
            fail_msg("%s: %d after %lu ms", cases[i].what, f->result.err, (unsigned long)ms);
    }
}

static void a_connection_that_the_server_closed_is_replaced(void **state)
{
    struct fixture *f = *state;
    const struct weft_slice body[] = { WEFT_SLICE("first "), WEFT_SLICE("second") };

    f->act = PEER_ANSWER_AND_CLOSE;
    for (int i = 0; i < 5; i++) {
        one(f, body, 2);
        assert_int_equal(f->result.err, 0);
        assert_true(weft_slice_is(weft_buf_slice(&f->seen), "first second"));
    }
    assert_int_equal(f->peer.n_requests, 5);
    assert_int_equal(f->peer.n_connections, 5);
}

static void calls_run_side_by_side(void **state)
{
    struct fixture *f = *state;
    const struct weft_slice body = WEFT_SLICE("x");
    const struct weft_http_call call = call_of(f, &body, 1);

    for (int i = 0; i < 20; i++)
        assert_int_equal(weft_http_call(f->client, &call), 0);
    run(f, 20);
    assert_int_equal(f->peer.n_requests, 20);
    assert_true(f->peer.n_connections <= 4);
}

static void closing_ends_every_call_once(void **state)
{
    struct fixture *f = *state;
    const struct weft_slice body = WEFT_SLICE("x");
    const struct weft_http_call call = call_of(f, &body, 1);

    f->act = PEER_HANG;
    for (int i = 0; i < 3; i++)
        assert_int_equal(weft_http_call(f->client, &call), 0);
    uv_run(&f->loop, UV_RUN_NOWAIT);
    weft_http_client_close(f->client);
    f->client = NULL;
    assert_int_equal(f->done, 3);
    assert_int_equal(f->result.err, UV_ECANCELED);
}

static void a_client_may_be_closed_from_a_done_callback(void **state)
{
    struct fixture *f = *state;
    const struct weft_slice body = WEFT_SLICE("x");
    const struct weft_http_call call = call_of(f, &body, 1);

    f->close_in_done = true;
    assert_int_equal(weft_http_call(f->client, &call), 0);
    run(f, 1);
    assert_int_equal(f->result.err, 0);
    assert_null(f->client);
}

static void a_client_that_never_called_closes_cleanly(void **state)
{
    (void)state; /* setup and teardown are the test */
}

static void loopback_is_told_by_spelling(void **state)
{
    const struct { const char *url; bool loopback; } cases[] = {
        { "http://127.0.0.1:4318", true },     { "localhost:4317", true },
        { "LOCALHOST", true },                 { "https://[::1]:9200/x", true },
        { "http://user:pw@127.9.9.9/", true }, { "http://jaeger:4317", false },
        { "http://127.0.0.1.example.org", false },
        { "http://10.0.0.1/127.0.0.1", false }, { "localhost.example.org:80", false },
        { "http://example.org/?u=a@localhost", false }, { "", false },
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (weft_http_is_loopback(cases[i].url) != cases[i].loopback)
            fail_msg("%s", cases[i].url);
}

/* The name that is asked for is one; the servers behind it are several. */
static void each_url_keeps_its_server_under_one_overriding_name(void **state)
{
    struct fixture *f = *state;
    const struct weft_http_client_options options = { .max_connections = 4, .server_name_override = "es.test" };
    static struct http_peer other; /* its handles close when the loop ends */
    char first[64];

    weft_http_client_close(f->client);
    assert_int_equal(weft_http_client_open(&f->client, &f->loop, &options), 0);
    assert_int_equal(http_peer_open(&other, &f->loop), 0);
    other.ctx = f;
    other.on_request = on_request;
    (void)snprintf(first, sizeof first, "%s", f->url);
    for (unsigned i = 0; i < 4; i++) {
        if (i % 2 == 0)
            (void)snprintf(f->url, sizeof f->url, "%s", first);
        else
            (void)snprintf(f->url, sizeof f->url, "http://127.0.0.1:%d/path", other.port);
        one(f, NULL, 0);
        if (f->result.err || f->result.status != 200 || !strstr(f->head, "Host: es.test"))
            fail_msg("request %u: %s, status %u, %s", i, f->reason, f->result.status, f->head);
    }
    assert_int_equal(f->peer.n_requests, 2);
    assert_int_equal(other.n_requests, 2);
    http_peer_close(&other);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_url_keeps_its_server_under_one_overriding_name, setup, teardown),
        cmocka_unit_test_setup_teardown(a_body_arrives_whole_however_it_is_cut_into_slices, setup, teardown),
        cmocka_unit_test_setup_teardown(what_the_server_says_is_told, setup, teardown),
        cmocka_unit_test_setup_teardown(an_answer_is_kept_up_to_its_limit, setup, teardown),
        cmocka_unit_test_setup_teardown(headers_are_sent_as_given_and_nothing_waits_for_100_continue, setup, teardown),
        cmocka_unit_test_setup_teardown(failures_have_a_code_and_words, setup, teardown),
        cmocka_unit_test_setup_teardown(the_timeout_is_for_the_whole_request, setup, teardown),
        cmocka_unit_test_setup_teardown(a_connection_that_the_server_closed_is_replaced, setup, teardown),
        cmocka_unit_test_setup_teardown(calls_run_side_by_side, setup, teardown),
        cmocka_unit_test_setup_teardown(closing_ends_every_call_once, setup, teardown),
        cmocka_unit_test_setup_teardown(a_client_may_be_closed_from_a_done_callback, setup, teardown),
        cmocka_unit_test_setup_teardown(a_client_that_never_called_closes_cleanly, setup, teardown),
        cmocka_unit_test(loopback_is_told_by_spelling),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

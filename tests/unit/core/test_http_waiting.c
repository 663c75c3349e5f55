/* SPDX-License-Identifier: Apache-2.0 */
/* Requests that are answered later: each waiter comes back once, whatever becomes of its client and of the server. */
#include "core/http_server.h"

#include "core/clock.h"
#include "tests/support/raw_peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { WAITERS = 64 };

/* A waiter is the handle of its request, by number. */
struct rig {
    uv_loop_t loop;
    struct weft_http_server *server;
    void *handles[WAITERS];
    bool back[WAITERS];
    int requests, answers, late, gone;
    char path[32], header[16];
    size_t body_len;
};

static void on_request(void *ctx, const struct weft_http_request *q, struct weft_http_response *r)
{
    struct rig *rig = ctx;

    if (strcmp(q->path, "/now") == 0) {
        r->status = 200;
        r->body = WEFT_SLICE("now");
        return;
    }
    assert_true(rig->requests < WAITERS);
    rig->body_len = q->body.len;
    rig->handles[rig->requests] = q->handle;
    r->waiter = &rig->handles[rig->requests++];
}

static void take_back(struct rig *rig, void *waiter)
{
    size_t i = (size_t)((void **)waiter - rig->handles);

    assert_in_range(i, 0, WAITERS - 1);
    assert_false(rig->back[i]);
    rig->back[i] = true;
}

static void on_answer(void *ctx, const struct weft_http_request *q, void *waiter, bool late, struct weft_http_response *r)
{
    struct rig *rig = ctx;
    const char *header = weft_http_header(q, "x-test");

    take_back(rig, waiter);
    rig->answers++;
    rig->late += late;
    (void)snprintf(rig->path, sizeof rig->path, "%s", q->path);
    (void)snprintf(rig->header, sizeof rig->header, "%s", header ? header : "-");
    assert_int_equal(q->body.len, 0);
    r->status = late ? 503 : 200;
    r->content_type = "text/plain";
    r->body = late ? WEFT_SLICE("late") : WEFT_SLICE("durable");
}

static void on_gone(void *ctx, void *waiter)
{
    struct rig *rig = ctx;

    take_back(rig, waiter);
    rig->gone++;
}

static struct rig *open_rig(uint64_t request_timeout_ms, unsigned max_connections)
{
    static struct rig rig;
    const char *words = NULL;
    struct weft_http_server_options o = {
        .endpoint = "127.0.0.1:0", .max_body_size = 1 << 20, .request_timeout_ms = request_timeout_ms, .ctx = &rig,
        .max_connections = max_connections, .on_request = on_request, .on_answer = on_answer, .on_gone = on_gone,
    };

    memset(&rig, 0, sizeof rig);
    assert_int_equal(uv_loop_init(&rig.loop), 0);
    if (weft_http_server_open(&rig.server, &rig.loop, &o, &words) != 0)
        fail_msg("open: %s", words);
    return &rig;
}

static void close_rig(struct rig *rig)
{
    weft_http_server_close(rig->server);
    assert_int_equal(uv_run(&rig->loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(uv_loop_close(&rig->loop), 0);
    assert_int_equal(rig->answers + rig->gone, rig->requests);
}

static void connect_peer(struct rig *rig, struct peer *p)
{
    peer_open(p, &rig->loop, weft_http_server_port(rig->server));
}

static void post(struct rig *rig, struct peer *p, const char *path, size_t len)
{
    char head[128];
    char *body = malloc(len + 1);

    assert_non_null(body);
    memset(body, 'x', len);
    (void)snprintf(head, sizeof head, "POST %s HTTP/1.1\r\nHost: t\r\nX-Test: here\r\nContent-Length: %zu\r\n\r\n", path, len);
    assert_true(peer_send_text(p, head));
    assert_true(peer_send(p, body, len));
    free(body);
    peer_settle(&rig->loop);
}

/* Turns the loop until that many requests are whole. */
static void await_requests(struct rig *rig, int n)
{
    for (uint64_t end = weft_clock_mono_ms() + PEER_PATIENCE_MS; rig->requests < n && weft_clock_mono_ms() < end;)
        (void)uv_run(&rig->loop, UV_RUN_ONCE);
    assert_int_equal(rig->requests, n);
}

static void expect(struct peer *p, int status, const char *body)
{
    struct peer_answer a;

    peer_read(p, &a);
    if (a.status != status || strcmp(a.body, body) != 0)
        fail_msg("%d '%s', not %d '%s'", a.status, a.body, status, body);
}

static void an_answer_waits_until_it_is_resumed_and_the_connection_lives_on(void **state)
{
    struct rig *rig = open_rig(0, 0);
    struct peer p;
    (void)state;

    connect_peer(rig, &p);
    for (int i = 0; i < 3; i++) {
        post(rig, &p, "/later", i == 1 ? 100000 : 10);
        await_requests(rig, i + 1);
        assert_int_equal(rig->answers, i);
        assert_int_equal(weft_http_server_in_hand(rig->server), 1);
        struct weft_http_server_stats stats;
        weft_http_server_stats(rig->server, &stats);
        assert_true(stats.inflight_bytes <= 16 * 1024); /* a large body is not kept meanwhile */
        weft_http_server_resume(rig->server, rig->handles[i]);
        expect(&p, 200, "durable");
        assert_string_equal(rig->path, "/later");
        assert_string_equal(rig->header, "here");
        peer_settle(&rig->loop);
        assert_int_equal(weft_http_server_in_hand(rig->server), 0);
    }
    post(rig, &p, "/now", 5);
    expect(&p, 200, "now");
    assert_int_equal(rig->gone, 0);
    peer_close(&p);
    close_rig(rig);
}

static void many_wait_and_others_are_answered_meanwhile(void **state)
{
    struct rig *rig = open_rig(0, 0);
    static struct peer peers[40], other;
    (void)state;

    for (size_t i = 0; i < 40; i++) {
        connect_peer(rig, &peers[i]);
        post(rig, &peers[i], "/later", i * 100);
    }
    await_requests(rig, 40);
    assert_int_equal(weft_http_server_in_hand(rig->server), 40);
    connect_peer(rig, &other);
    post(rig, &other, "/now", 5);
    expect(&other, 200, "now");
    for (size_t i = 40; i-- > 0;)
        weft_http_server_resume(rig->server, rig->handles[i]);
    for (size_t i = 0; i < 40; i++) {
        expect(&peers[i], 200, "durable");
        peer_close(&peers[i]);
    }
    peer_close(&other);
    close_rig(rig);
}

static void a_client_that_has_gone_is_noticed_at_the_latest_when_it_would_be_answered(void **state)
{
    struct rig *rig = open_rig(0, 0);
    struct peer p;
    (void)state;

    connect_peer(rig, &p);
    post(rig, &p, "/later", 10);
    await_requests(rig, 1);
    peer_close(&p);
    peer_settle(&rig->loop);
    weft_http_server_resume(rig->server, rig->handles[0]);
    peer_settle(&rig->loop);
    assert_int_equal(rig->answers + rig->gone, 1);
    struct weft_http_server_stats stats;
    weft_http_server_stats(rig->server, &stats);
    assert_int_equal(stats.connections, 0);
    assert_int_equal(stats.inflight_bytes, 0);
    close_rig(rig);
}

static void who_waits_too_long_is_answered_and_not_cut(void **state)
{
    struct rig *rig = open_rig(50, 0);
    struct peer p;
    (void)state;

    connect_peer(rig, &p);
    post(rig, &p, "/later", 10);
    expect(&p, 503, "late");
    assert_int_equal(rig->late, 1);
    post(rig, &p, "/now", 10);
    expect(&p, 200, "now");
    peer_close(&p);
    close_rig(rig);
}

static void a_resume_that_comes_with_the_deadline_answers_once(void **state)
{
    struct rig *rig = open_rig(0, 0);
    struct peer p;
    (void)state;

    connect_peer(rig, &p);
    post(rig, &p, "/later", 10);
    await_requests(rig, 1);
    weft_http_server_resume(rig->server, rig->handles[0]);
    weft_http_server_resume(rig->server, rig->handles[0]);
    expect(&p, 200, "durable");
    assert_int_equal(rig->answers, 1);
    peer_close(&p);
    close_rig(rig);
}

static void those_who_wait_finish_after_quiesce(void **state)
{
    struct rig *rig = open_rig(0, 0);
    struct peer waiting, half;
    (void)state;

    connect_peer(rig, &waiting);
    connect_peer(rig, &half);
    post(rig, &waiting, "/later", 10);
    await_requests(rig, 1);
    assert_true(peer_send_text(&half, "POST /now HTTP/1.1\r\nHost: t\r\nContent-Length: 10\r\n\r\n12345"));
    peer_settle(&rig->loop);
    weft_http_server_quiesce(rig->server);
    peer_settle(&rig->loop);
    assert_int_equal(weft_http_server_in_hand(rig->server), 2);
    weft_http_server_resume(rig->server, rig->handles[0]);
    expect(&waiting, 200, "durable");
    peer_wait_end(&waiting);
    assert_true(peer_send_text(&half, "67890"));
    expect(&half, 200, "now");
    peer_wait_end(&half);
    assert_int_equal(weft_http_server_in_hand(rig->server), 0);
    peer_close(&waiting);
    peer_close(&half);
    close_rig(rig);
}

static void closing_gives_every_waiter_back(void **state)
{
    struct rig *rig = open_rig(0, 0);
    static struct peer peers[10];
    (void)state;

    for (size_t i = 0; i < 10; i++) {
        connect_peer(rig, &peers[i]);
        post(rig, &peers[i], "/later", 10);
    }
    await_requests(rig, 10);
    weft_http_server_resume(rig->server, rig->handles[3]); /* woken, not answered yet */
    weft_http_server_close(rig->server);
    assert_int_equal(rig->gone + rig->answers, 10);
    for (size_t i = 0; i < 10; i++)
        peer_close(&peers[i]);
    close_rig(rig);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_waits_until_it_is_resumed_and_the_connection_lives_on),
        cmocka_unit_test(many_wait_and_others_are_answered_meanwhile),
        cmocka_unit_test(a_client_that_has_gone_is_noticed_at_the_latest_when_it_would_be_answered),
        cmocka_unit_test(who_waits_too_long_is_answered_and_not_cut),
        cmocka_unit_test(a_resume_that_comes_with_the_deadline_answers_once),
        cmocka_unit_test(those_who_wait_finish_after_quiesce),
        cmocka_unit_test(closing_gives_every_waiter_back),
    };

    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

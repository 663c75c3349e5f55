/* SPDX-License-Identifier: Apache-2.0 */
#include "core/http_server.h"

#include "core/clock.h"
#include "core/err.h"
#include "tests/support/raw_peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

/* What the handlers saw, and what they are told to do. */
struct seen {
    int requests, refusals, freed;
    unsigned last_refusal;
    char method[16], path[64], query[64], header[64];
    size_t body_len;
    uint64_t body_sum;
};

struct rig {
    uv_loop_t loop;
    struct weft_http_server *server;
    struct seen seen;
};

static uint64_t sum_of(const uint8_t *p, size_t len)
{
    uint64_t sum = 14695981039346656037u;
    for (size_t i = 0; i < len; i++)
        sum = (sum ^ p[i]) * 1099511628211u;
    return sum;
}

static unsigned on_headers(void *ctx, const struct weft_http_request *q, struct weft_http_response *r)
{
    (void)ctx;
    if (strcmp(q->path, "/none") != 0)
        return 0;
    r->content_type = "text/plain";
    r->body = WEFT_SLICE("no such path");
    return 404;
}

static void count_free(void *data)
{
    int **counter = data;
    (**counter)++;
    free(data);
}

static void answer_big(struct seen *seen, struct weft_http_response *r)
{
    size_t len = 8u << 20;
    char *body = malloc(len);

    assert_non_null(body);
    memset(body, 'x', len);
    int *counter = &seen->freed;
    memcpy(body, &counter, sizeof counter);
    r->body = weft_slice_of(body, len);
    r->body_free = count_free;
}

static void on_request(void *ctx, const struct weft_http_request *q, struct weft_http_response *r)
{
    struct seen *seen = ctx;
    const char *header = weft_http_header(q, "x-test");

    seen->requests++;
    (void)snprintf(seen->method, sizeof seen->method, "%s", q->method);
    (void)snprintf(seen->path, sizeof seen->path, "%s", q->path);
    (void)snprintf(seen->query, sizeof seen->query, "%s", q->query);
    (void)snprintf(seen->header, sizeof seen->header, "%s", header ? header : "-");
    seen->body_len = q->body.len;
    seen->body_sum = sum_of(q->body.data, q->body.len);
    r->status = 200;
    r->content_type = "text/plain";
    r->body = WEFT_SLICE("yes");
    r->headers[0][0] = "X-Extra";
    r->headers[0][1] = "1";
    if (strcmp(q->path, "/big") == 0)
        answer_big(seen, r);
}

static void on_refusal(void *ctx, const struct weft_http_request *q, unsigned status, struct weft_http_response *r)
{
    struct seen *seen = ctx;

    seen->refusals++;
    seen->last_refusal = status;
    (void)snprintf(seen->path, sizeof seen->path, "%s", q->path);
    r->content_type = "text/plain";
    r->body = WEFT_SLICE("refused");
    r->headers[0][0] = "Retry-After";
    r->headers[0][1] = "7";
}

static void rig_open(struct rig *rig, struct weft_http_server_options o)
{
    const char *words = NULL;

    memset(rig, 0, sizeof *rig);
    assert_int_equal(uv_loop_init(&rig->loop), 0);
    o.endpoint = o.endpoint ? o.endpoint : "127.0.0.1:0";
    o.max_body_size = o.max_body_size ? o.max_body_size : 100000;
    o.ctx = &rig->seen;
    o.on_headers = on_headers;
    o.on_request = on_request;
    o.on_refusal = on_refusal;
    if (weft_http_server_open(&rig->server, &rig->loop, &o, &words) != 0)
        fail_msg("open: %s", words);
}

static void rig_close(struct rig *rig)
{
    weft_http_server_close(rig->server);
    assert_int_equal(uv_run(&rig->loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(uv_loop_close(&rig->loop), 0);
}

static void rig_peer(struct rig *rig, struct peer *p)
{
    peer_open(p, &rig->loop, weft_http_server_port(rig->server));
}

static void expect(struct peer *p, int status, const char *what)
{
    struct peer_answer a;

    peer_read(p, &a);
    if (a.status != status)
        fail_msg("%s: %d, not %d: %s", what, a.status, status, a.body);
}

static uint8_t *pattern(size_t len)
{
    uint8_t *p = malloc(len ? len : 1);

    assert_non_null(p);
    for (size_t i = 0; i < len; i++)
        p[i] = (uint8_t)(i * 131 + i / 251);
    return p;
}

static bool send_post(struct peer *p, const char *path, const uint8_t *body, size_t len)
{
    char head[256];

    (void)snprintf(head, sizeof head, "POST %s HTTP/1.1\r\nHost: t\r\nContent-Length: %zu\r\n\r\n", path, len);
    return peer_send_text(p, head) && peer_send(p, body, len);
}

static bool send_chunked(struct peer *p, const char *path, const uint8_t *body, size_t len, size_t chunk)
{
    char line[256];

    (void)snprintf(line, sizeof line, "POST %s HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n", path);
    bool ok = peer_send_text(p, line);
    for (size_t at = 0; ok && at < len; at += chunk) {
        size_t n = len - at < chunk ? len - at : chunk;
        (void)snprintf(line, sizeof line, "%zx\r\n", n);
        ok = peer_send_text(p, line) && peer_send(p, body + at, n) && peer_send_text(p, "\r\n");
    }
    return ok && peer_send_text(p, "0\r\n\r\n");
}

static void a_request_shows_what_was_sent(void **state)
{
    struct rig rig;
    struct peer p;
    struct peer_answer a;
    (void)state;

    rig_open(&rig, (struct weft_http_server_options){ 0 });
    rig_peer(&rig, &p);
    assert_true(peer_send_text(&p, "GET /a%20b?x=%20&y HTTP/1.1\r\nHost: t\r\nX-TEST: here\r\n\r\n"));
    peer_read(&p, &a);
    assert_int_equal(a.status, 200);
    assert_string_equal(a.body, "yes");
    assert_string_equal(peer_header(&a, "Content-Type:"), "text/plain");
    assert_string_equal(peer_header(&a, "X-Extra:"), "1");
    assert_string_equal(rig.seen.method, "GET");
    assert_string_equal(rig.seen.path, "/a b");
    assert_string_equal(rig.seen.query, "x=%20&y");
    assert_string_equal(rig.seen.header, "here");
    peer_close(&p);
    rig_close(&rig);
}

static void bodies_of_every_size_arrive_whole_on_one_connection(void **state)
{
    const size_t sizes[] = { 0, 1, 100, 4095, 16384, 16385, 30000, 65536, 99999, 100000 };
    uint8_t *body = pattern(100000);
    struct rig rig;
    struct peer p;
    (void)state;

    rig_open(&rig, (struct weft_http_server_options){ 0 });
    rig_peer(&rig, &p);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const size_t chunks[] = { 0, 1000, 16000, 200000 };
        for (size_t c = 0; c < sizeof chunks / sizeof *chunks; c++) {
            bool ok = chunks[c] ? send_chunked(&p, "/", body, sizes[i], chunks[c])
                                : send_post(&p, "/", body, sizes[i]);
            assert_true(ok);
            expect(&p, 200, "post");
            if (rig.seen.body_len != sizes[i] || rig.seen.body_sum != sum_of(body, sizes[i]))
                fail_msg("%zu bytes in chunks of %zu: %zu arrived", sizes[i], chunks[c], rig.seen.body_len);
        }
    }
    struct weft_http_server_stats stats;
    peer_settle(&rig.loop);
    weft_http_server_stats(rig.server, &stats);
    assert_int_equal(stats.connections, 1);
    assert_int_equal(stats.inflight_bytes, 0);
    peer_close(&p);
    free(body);
    rig_close(&rig);
}

static void a_request_in_slices_of_one_byte_is_one_request(void **state)
{
    const char *text = "POST /slow HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    struct rig rig;
    struct peer p;
    (void)state;

    rig_open(&rig, (struct weft_http_server_options){ 0 });
    rig_peer(&rig, &p);
    for (size_t i = 0; text[i]; i++) {
        assert_true(peer_send(&p, text + i, 1));
        peer_settle(&rig.loop);
    }
    expect(&p, 200, "in slices");
    assert_int_equal(rig.seen.body_len, 5);
    peer_close(&p);
    rig_close(&rig);
}

static void pipelined_requests_are_answered_in_order(void **state)
{
    struct rig rig;
    struct peer p;
    (void)state;

    rig_open(&rig, (struct weft_http_server_options){ 0 });
    rig_peer(&rig, &p);
    assert_true(peer_send_text(&p, "POST /1 HTTP/1.1\r\nHost: t\r\nContent-Length: 3\r\n\r\nabc"
                                   "GET /none HTTP/1.1\r\nHost: t\r\n\r\n"
                                   "POST /3 HTTP/1.1\r\nHost: t\r\nContent-Length: 1\r\n\r\nz"));
    expect(&p, 200, "first");
    expect(&p, 404, "second");
    expect(&p, 200, "third");
    assert_int_equal(rig.seen.requests, 2);
    peer_close(&p);
    rig_close(&rig);
}

/* The body of a refused request is thrown away, and the connection lives on. */
static void a_refused_request_leaves_the_connection_usable(void **state)
{
    uint8_t *body = pattern(50000);
    struct rig rig;
    struct peer p;
    struct peer_answer a;
    (void)state;

    rig_open(&rig, (struct weft_http_server_options){ 0 });
    rig_peer(&rig, &p);
    assert_true(send_post(&p, "/none", body, 50000));
    peer_read(&p, &a);
    assert_int_equal(a.status, 404);
    assert_string_equal(a.body, "no such path");
    assert_true(send_chunked(&p, "/none", body, 50000, 999));
    expect(&p, 404, "chunked");
    assert_true(send_post(&p, "/", body, 50000));
    expect(&p, 200, "after the refusals");
    assert_int_equal(rig.seen.requests, 1);
    peer_close(&p);
    free(body);
    rig_close(&rig);
}

static void a_body_announced_too_large_is_refused_before_it_is_sent(void **state)
{
    struct rig rig;
    struct peer p;
    struct peer_answer a;
    (void)state;

    rig_open(&rig, (struct weft_http_server_options){ 0 });
    const char *heads[] = {
        "POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 100001\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 18446744073709551610\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 200000\r\nExpect: 100-continue\r\n\r\n",
    };
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        rig_peer(&rig, &p);
        assert_true(peer_send_text(&p, heads[i]));
        peer_read(&p, &a);
        if (a.status != 413 || strcmp(a.body, "refused") != 0)
            fail_msg("%s%d %s", heads[i], a.status, a.body);
        peer_wait_end(&p);
        peer_close(&p);
    }
    assert_int_equal(rig.seen.requests, 0);
    assert_int_equal(rig.seen.refusals, 3);
    rig_close(&rig);
}

/* Who sends it all the same gets to send all of it, and finds the answer whole behind that. */
static void a_body_too_large_is_answered_though_its_sender_does_not_listen(void **state)
{
    uint8_t *body = pattern(8u << 20);
    struct rig rig;
    struct peer p;
    (void)state;

    rig_open(&rig, (struct weft_http_server_options){ 0 });
    for (int chunked = 0; chunked < 2; chunked++) {
        rig_peer(&rig, &p);
        bool sent = chunked ? send_chunked(&p, "/", body, 8u << 20, 60000) : send_post(&p, "/", body, 8u << 20);
        (void)sent;
        expect(&p, 413, chunked ? "chunked" : "with a length");
        peer_wait_end(&p);
        peer_close(&p);
    }
    assert_int_equal(rig.seen.requests, 0);
    free(body);
    rig_close(&rig);
}

static void all_bodies_together_have_a_limit(void **state)
{
    uint8_t *body = pattern(100000);
    struct rig rig;
    struct peer first, second;
    struct peer_answer a;
    struct weft_http_server_stats stats;
    (void)state;

    rig_open(&rig, (struct weft_http_server_options){ .max_inflight = 200000 });
    rig_peer(&rig, &first);
    rig_peer(&rig, &second);
    assert_true(peer_send_text(&first, "POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 100000\r\n\r\n"));
    assert_true(peer_send(&first, body, 99999));
    peer_settle(&rig.loop);
    assert_true(send_post(&second, "/", body, 80000));
    peer_read(&second, &a);
    assert_int_equal(a.status, 503);
    assert_string_equal(peer_header(&a, "Retry-After:"), "7");
    weft_http_server_stats(rig.server, &stats);
    assert_int_equal(stats.inflight_bytes, 100000);
    assert_true(send_post(&second, "/", body, 60000));
    expect(&second, 200, "a small one still fits");

    assert_true(peer_send(&first, body + 99999, 1));
    expect(&first, 200, "the first");
    assert_true(send_post(&second, "/", body, 80000));
    expect(&second, 200, "the second, once there is room");
    peer_close(&first);
    peer_close(&second);
    free(body);
    rig_close(&rig);
}

static void bodies_and_connections_take_from_an_account_and_give_back(void **state)
{
    uint8_t *body = pattern(300000);
    struct weft_ledger *ledger;
    struct rig rig;
    struct peer p;
    struct peer_answer a;
    (void)state;

    assert_int_equal(weft_ledger_open(&ledger, 3 << 19), 0);
    struct weft_account *server = weft_account_open(ledger, NULL, "server", 0, 0), *other = weft_account_open(ledger, NULL, "other", 0, 0);
    rig_open(&rig, (struct weft_http_server_options){ .max_body_size = 400000, .account = server });
    uint64_t paid = atomic_load(&server->used);
    assert_true(paid > 0);
    rig_peer(&rig, &p);
    assert_true(send_post(&p, "/", body, 300000));
    expect(&p, 200, "with room");
    peer_settle(&rig.loop);
    assert_true(atomic_load(&server->peak) >= paid + 300000);
    assert_int_equal(atomic_load(&server->used), paid);

    assert_true(weft_account_take(other, weft_account_room(other) - 100000));
    assert_true(send_post(&p, "/", body, 300000));
    peer_read(&p, &a);
    assert_int_equal(a.status, 503);
    assert_string_equal(peer_header(&a, "Retry-After:"), "7");
    peer_settle(&rig.loop);
    assert_true(atomic_load(&server->used) <= paid + 100000);
    assert_true(send_post(&p, "/", body, 10000));
    expect(&p, 200, "a small one still fits");
    weft_account_give(other, atomic_load(&other->used));
    assert_true(send_post(&p, "/", body, 300000));
    expect(&p, 200, "once there is room again");

    assert_true(peer_send_text(&p, "POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 300000\r\n\r\n"));
    assert_true(peer_send(&p, body, 200000));
    peer_settle(&rig.loop);
    peer_close(&p); /* in the middle of a body */
    rig_close(&rig);
    assert_int_equal(weft_ledger_used(ledger), 0);
    weft_ledger_close(ledger);
    free(body);
}

static void a_body_that_could_never_fit_is_too_large(void **state)
{
    struct rig rig;
    struct peer p;
    (void)state;

    rig_open(&rig, (struct weft_http_server_options){ .max_inflight = 100000 });
    rig_peer(&rig, &p);
    assert_true(peer_send_text(&p, "POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 75001\r\n\r\n"));
    expect(&p, 413, "above three quarters");
    peer_close(&p);
    rig_close(&rig);
}

/* A Content-Length is a claim: what it costs us is in proportion to what has arrived. */
static void a_claim_of_a_large_body_holds_little(void **state)
{
    struct rig rig;
    struct peer p;
    struct weft_http_server_stats stats;
    (void)state;

    rig_open(&rig, (struct weft_http_server_options){ .max_body_size = 20u << 20 });
    rig_peer(&rig, &p);
    assert_true(peer_send_text(&p, "POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 20971520\r\n\r\nabc"));
    peer_settle(&rig.loop);
    weft_http_server_stats(rig.server, &stats);
    assert_int_equal(stats.inflight_bytes, 16384);
    peer_close(&p);
    rig_close(&rig);
}

/* Two that have just been answered: who comes third finds no place, and they go on. */
static void a_full_house_keeps_who_has_just_been_answered(void **state)
{
    struct rig rig;
    struct peer p[2], late;
    struct weft_http_server_stats stats;
    (void)state;

    rig_open(&rig, (struct weft_http_server_options){ .max_connections = 2 });
    for (int i = 0; i < 2; i++) {
        rig_peer(&rig, &p[i]);
        assert_true(peer_send_text(&p[i], "GET / HTTP/1.1\r\nHost: t\r\n\r\n"));
        expect(&p[i], 200, "first");
    }
    rig_peer(&rig, &late);
    peer_wait_end(&late);
    weft_http_server_stats(rig.server, &stats);
    assert_int_equal(stats.evicted, 0);
    assert_int_equal(stats.turned_away, 1);
    for (int i = 0; i < 2; i++) {
        assert_true(peer_send_text(&p[i], "GET / HTTP/1.1\r\nHost: t\r\n\r\n"));
        expect(&p[i], 200, "again");
        peer_close(&p[i]);
    }
    peer_close(&late);
    rig_close(&rig);
}

static void a_full_house_lets_go_of_who_waits_longest(void **state)
{
    struct rig rig;
    struct peer p[4], neighbour;
    struct weft_http_server_stats stats;
    (void)state;

    rig_open(&rig, (struct weft_http_server_options){ .max_connections = 3 });
    rig_peer(&rig, &neighbour);
    assert_true(peer_send_text(&neighbour, "GET / HTTP/1.1\r\nHost: t\r\n\r\n"));
    expect(&neighbour, 200, "neighbour");
    for (int i = 0; i < 4; i++) {
        rig_peer(&rig, &p[i]);
        peer_settle(&rig.loop);
    }
    /* p[0] and p[1] gave way to p[2] and p[3]: they had made no request; the neighbour had. */
    peer_wait_end(&p[0]);
    peer_wait_end(&p[1]);
    weft_http_server_stats(rig.server, &stats);
    assert_int_equal(stats.connections, 3);
    assert_int_equal(stats.evicted, 2);
    assert_true(peer_send_text(&neighbour, "GET / HTTP/1.1\r\nHost: t\r\n\r\n"));
    expect(&neighbour, 200, "neighbour again");
    assert_true(peer_send_text(&p[3], "GET / HTTP/1.1\r\nHost: t\r\n\r\n"));
    expect(&p[3], 200, "the last to come");
    peer_close(&neighbour);
    for (int i = 0; i < 4; i++)
        peer_close(&p[i]);
    rig_close(&rig);
}

static void when_nobody_waits_one_more_is_turned_away(void **state)
{
    struct rig rig;
    struct peer busy, more;
    struct weft_http_server_stats stats;
    (void)state;

    rig_open(&rig, (struct weft_http_server_options){ .max_connections = 1 });
    rig_peer(&rig, &busy);
    assert_true(peer_send_text(&busy, "POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\n\r\na"));
    peer_settle(&rig.loop);
    rig_peer(&rig, &more);
    peer_wait_end(&more);
    weft_http_server_stats(rig.server, &stats);
    assert_int_equal(stats.turned_away, 1);
    assert_true(peer_send_text(&busy, "b"));
    expect(&busy, 200, "the one in hand");
    peer_close(&busy);
    peer_close(&more);
    rig_close(&rig);
}

/* Runs the loop for as long as a peer that drips keeps its connection. */
static uint64_t drip(struct peer *p, const char *drop)
{
    uint64_t since = weft_clock_mono_ms(), next = since;

    while (!p->ended && weft_clock_mono_ms() - since < PEER_PATIENCE_MS) {
        char c;
        (void)uv_run(p->loop, UV_RUN_NOWAIT);
        if (weft_clock_mono_ms() >= next) {
            (void)send(p->fd, drop, 1, MSG_NOSIGNAL | MSG_DONTWAIT);
            next += 20;
        }
        p->ended = recv(p->fd, &c, 1, MSG_DONTWAIT | MSG_PEEK) == 0;
    }
    return weft_clock_mono_ms() - since;
}

static void a_dripped_body_is_cut_with_408_after_request_timeout(void **state)
{
    struct rig rig;
    struct peer p;
    (void)state;

    rig_open(&rig, (struct weft_http_server_options){ .request_timeout_ms = 200 });
    rig_peer(&rig, &p);
    assert_true(peer_send_text(&p, "POST /drip HTTP/1.1\r\nHost: t\r\nContent-Length: 5000\r\n\r\n"));
    expect(&p, 408, "drip");
    peer_wait_end(&p);
    assert_int_equal(rig.seen.last_refusal, 408);
    assert_string_equal(rig.seen.path, "/drip");
    peer_close(&p);
    rig_close(&rig);
}

static void dripped_headers_are_cut_though_never_silent(void **state)
{
    struct rig rig;
    struct peer p;
    (void)state;

    rig_open(&rig, (struct weft_http_server_options){ .request_timeout_ms = 200, .idle_timeout_ms = 1000 });
    rig_peer(&rig, &p);
    assert_true(peer_send_text(&p, "POST / HTTP/1.1\r\nHost: t\r\nX-Drip: "));
    uint64_t lasted = drip(&p, "x");
    if (lasted < 1000 || lasted > 3000)
        fail_msg("cut after %u ms", (unsigned)lasted);
    peer_close(&p);
    rig_close(&rig);
}

static void a_silent_connection_is_cut_after_idle_timeout(void **state)
{
    struct rig rig;
    struct peer fresh, kept;
    (void)state;

    rig_open(&rig, (struct weft_http_server_options){ .idle_timeout_ms = 1000 });
    rig_peer(&rig, &fresh);
    rig_peer(&rig, &kept);
    assert_true(peer_send_text(&kept, "GET / HTTP/1.1\r\nHost: t\r\n\r\n"));
    expect(&kept, 200, "before");
    uint64_t since = weft_clock_mono_ms();
    peer_wait_end(&fresh);
    peer_wait_end(&kept);
    uint64_t lasted = weft_clock_mono_ms() - since;
    if (lasted < 900 || lasted > 3000)
        fail_msg("cut after %u ms", (unsigned)lasted);
    peer_close(&fresh);
    peer_close(&kept);
    rig_close(&rig);
}

static void a_client_that_never_reads_its_answer_is_cut_and_the_answer_freed(void **state)
{
    struct rig rig;
    struct peer p;
    uint64_t since = weft_clock_mono_ms();
    (void)state;

    rig_open(&rig, (struct weft_http_server_options){ .request_timeout_ms = 300 });
    rig_peer(&rig, &p);
    int small = 4096;
    setsockopt(p.fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    assert_true(peer_send_text(&p, "GET /big HTTP/1.1\r\nHost: t\r\n\r\n"));
    while (rig.seen.freed == 0 && weft_clock_mono_ms() - since < PEER_PATIENCE_MS)
        (void)uv_run(&rig.loop, UV_RUN_NOWAIT);
    assert_int_equal(rig.seen.freed, 1);
    peer_close(&p);
    rig_close(&rig);
}

static void quiesce_finishes_what_is_in_hand_and_takes_nothing_new(void **state)
{
    struct rig rig;
    struct peer busy, waiting;
    struct peer_answer a;
    (void)state;

    rig_open(&rig, (struct weft_http_server_options){ 0 });
    rig_peer(&rig, &busy);
    rig_peer(&rig, &waiting);
    assert_true(peer_send_text(&busy, "POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\n\r\na"));
    peer_settle(&rig.loop);
    weft_http_server_quiesce(rig.server);
    weft_http_server_quiesce(rig.server);
    peer_wait_end(&waiting);
    assert_true(peer_send_text(&busy, "b"));
    peer_read(&busy, &a);
    assert_int_equal(a.status, 200);
    assert_string_equal(peer_header(&a, "Connection:"), "close");
    peer_wait_end(&busy);

    struct sockaddr_storage address;
    socklen_t len = sizeof address;
    getpeername(busy.fd, (struct sockaddr *)&address, &len);
    peer_close(&busy);
    peer_close(&waiting);
    rig_close(&rig);
}

/* All of it is there before the server looks: bytes, and the end right behind them. */
static void a_request_whose_client_has_hung_up_is_in_nobodys_hand(void **state)
{
    static const char text[] = "POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 9\r\n\r\na";
    struct rig rig;
    struct peer here, gone;
    (void)state;

    rig_open(&rig, (struct weft_http_server_options){ 0 });
    rig_peer(&rig, &here);
    rig_peer(&rig, &gone);
    assert_true(peer_send_text(&here, text));
    assert_int_equal(send(gone.fd, text, sizeof text - 1, MSG_NOSIGNAL), sizeof text - 1);
    peer_close(&gone);
    peer_settle(&rig.loop);
    assert_int_equal(weft_http_server_in_hand(rig.server), 1);
    peer_close(&here);
    peer_settle(&rig.loop);
    assert_int_equal(weft_http_server_in_hand(rig.server), 0);
    rig_close(&rig);
}

static void closing_in_the_middle_of_everything_leaves_nothing(void **state)
{
    struct rig rig;
    struct peer body, head, idle, unread;
    (void)state;

    rig_open(&rig, (struct weft_http_server_options){ 0 });
    rig_peer(&rig, &body);
    rig_peer(&rig, &head);
    rig_peer(&rig, &idle);
    rig_peer(&rig, &unread);
    assert_true(peer_send_text(&body, "POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 20\r\n\r\na"));
    assert_true(peer_send_text(&head, "POST / HTTP/1.1\r\nHo"));
    assert_true(peer_send_text(&unread, "GET /big HTTP/1.1\r\nHost: t\r\n\r\n"));
    peer_settle(&rig.loop);
    rig_close(&rig);
    assert_int_equal(rig.seen.freed, 1);
    peer_close(&body);
    peer_close(&head);
    peer_close(&idle);
    peer_close(&unread);
}

static void what_is_no_http_is_refused(void **state)
{
    const struct { const char *what, *text; int status; } cases[] = {
        { "no Host", "GET / HTTP/1.1\r\n\r\n", 400 },
        { "a length that is no number", "POST / HTTP/1.1\r\nHost: t\r\nContent-Length: x\r\n\r\n", 400 },
        { "a negative length", "POST / HTTP/1.1\r\nHost: t\r\nContent-Length: -1\r\n\r\n", 400 },
        { "a chunk size that is no number", "POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", 400 },
        { "a chunk too large for a number", "POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n"
                                            "fffffffffffffffff\r\n", 413 },
    };
    struct rig rig;
    struct peer p;
    (void)state;

    rig_open(&rig, (struct weft_http_server_options){ 0 });
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rig_peer(&rig, &p);
        assert_true(peer_send_text(&p, cases[i].text));
        expect(&p, cases[i].status, cases[i].what);
        peer_close(&p);
    }
    assert_int_equal(rig.seen.requests, 0);
    rig_close(&rig);
}

static void what_cannot_be_opened_says_so(void **state)
{
    const struct weft_http_tls missing = { "/nonexistent/cert", "/nonexistent/key", NULL };
    const struct weft_http_tls empty = { "/dev/null", "/dev/null", NULL };
    struct weft_http_server *s = NULL;
    const char *words = NULL;
    uv_loop_t loop;
    (void)state;

    struct rig rig;
    rig_open(&rig, (struct weft_http_server_options){ 0 });
    char taken[32];
    (void)snprintf(taken, sizeof taken, "127.0.0.1:%d", weft_http_server_port(rig.server));
    const struct { const char *endpoint; const struct weft_http_tls *tls; int err; const char *words; } cases[] = {
        { "nonsense", NULL, UV_EINVAL, "cannot resolve the endpoint" },
        { taken, NULL, UV_EADDRINUSE, "cannot listen" },
        { "127.0.0.1:0", &missing, UV_ENOENT, "cannot read a certificate or key file" },
        { "127.0.0.1:0", &empty, WEFT_ERR_CONFIG, "bad certificate or key" },
    };
    uv_loop_init(&loop);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct weft_http_server_options o = { .endpoint = cases[i].endpoint, .tls = cases[i].tls,
                                              .on_request = on_request };
        int err = weft_http_server_open(&s, &loop, &o, &words);
        if (err != cases[i].err || strcmp(words, cases[i].words) != 0)
            fail_msg("%s: %d, %s", cases[i].endpoint, err, words);
    }
    assert_null(s);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
    rig_close(&rig);
    weft_http_server_close(NULL);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_shows_what_was_sent),
        cmocka_unit_test(bodies_of_every_size_arrive_whole_on_one_connection),
        cmocka_unit_test(a_request_in_slices_of_one_byte_is_one_request),
        cmocka_unit_test(pipelined_requests_are_answered_in_order),
        cmocka_unit_test(a_refused_request_leaves_the_connection_usable),
        cmocka_unit_test(a_body_announced_too_large_is_refused_before_it_is_sent),
        cmocka_unit_test(a_body_too_large_is_answered_though_its_sender_does_not_listen),
        cmocka_unit_test(all_bodies_together_have_a_limit),
        cmocka_unit_test(bodies_and_connections_take_from_an_account_and_give_back),
        cmocka_unit_test(a_body_that_could_never_fit_is_too_large),
        cmocka_unit_test(a_claim_of_a_large_body_holds_little),
        cmocka_unit_test(a_full_house_lets_go_of_who_waits_longest),
        cmocka_unit_test(a_full_house_keeps_who_has_just_been_answered),
        cmocka_unit_test(when_nobody_waits_one_more_is_turned_away),
        cmocka_unit_test(a_dripped_body_is_cut_with_408_after_request_timeout),
        cmocka_unit_test(dripped_headers_are_cut_though_never_silent),
        cmocka_unit_test(a_silent_connection_is_cut_after_idle_timeout),
        cmocka_unit_test(a_client_that_never_reads_its_answer_is_cut_and_the_answer_freed),
        cmocka_unit_test(quiesce_finishes_what_is_in_hand_and_takes_nothing_new),
        cmocka_unit_test(a_request_whose_client_has_hung_up_is_in_nobodys_hand),
        cmocka_unit_test(closing_in_the_middle_of_everything_leaves_nothing),
        cmocka_unit_test(what_is_no_http_is_refused),
        cmocka_unit_test(what_cannot_be_opened_says_so),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP server and client, TLS between them, on one loop. */
#include "core/http_client.h"
#include "core/http_server.h"

#include "core/clock.h"
#include "tests/support/certificates.h"
#include "tests/support/raw_peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static struct certificates files;

struct rig {
    uv_loop_t loop;
    struct weft_http_server *server;
    struct weft_http_client *client;
    size_t received;
    bool over;
    int err, status;
    char body[128];
};

static void on_request(void *ctx, const struct weft_http_request *q, struct weft_http_response *r)
{
    struct rig *rig = ctx;

    rig->received = q->body.len;
    r->status = 200;
    r->content_type = "text/plain";
    r->body = WEFT_SLICE("over TLS");
}

static void on_refusal(void *ctx, const struct weft_http_request *q, unsigned status, struct weft_http_response *r)
{
    (void)ctx;
    (void)q;
    (void)status;
    r->content_type = "text/plain";
    r->body = WEFT_SLICE("too much");
}

static void on_done(void *ctx, const struct weft_http_result *result)
{
    struct rig *rig = ctx;

    rig->over = true;
    rig->err = result->err;
    rig->status = (int)result->status;
    (void)snprintf(rig->body, sizeof rig->body, "%.*s", (int)result->body.len, (const char *)result->body.data);
}

static void rig_open(struct rig *rig, const char *client_ca)
{
    struct weft_http_tls tls = { files.server_cert, files.server_key, client_ca };
    struct weft_http_server_options o = { .endpoint = "127.0.0.1:0", .max_body_size = 300000, .tls = &tls, .ctx = rig,
                                          .on_request = on_request, .on_refusal = on_refusal };
    const char *words = NULL;

    memset(rig, 0, sizeof *rig);
    assert_int_equal(uv_loop_init(&rig->loop), 0);
    if (weft_http_server_open(&rig->server, &rig->loop, &o, &words) != 0)
        fail_msg("%s", words);
}

static void rig_close(struct rig *rig)
{
    weft_http_server_close(rig->server);
    assert_int_equal(uv_run(&rig->loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(uv_loop_close(&rig->loop), 0);
}

/* One POST of `len` bytes by a client with these certificates. */
static void post(struct rig *rig, const char *ca, const char *cert, const char *key, size_t len)
{
    struct weft_http_client_options o = { .ca_file = ca, .cert_file = cert, .key_file = key };
    struct weft_slice body = weft_slice_of(calloc(1, len + 1), len);
    char url[64];

    (void)snprintf(url, sizeof url, "https://127.0.0.1:%d/", weft_http_server_port(rig->server));
    assert_int_equal(weft_http_client_open(&rig->client, &rig->loop, &o), 0);
    struct weft_http_call call = { .method = "POST", .url = url, .body = &body, .n_body = 1, .timeout_ms = 5000,
                                   .response_limit = 4096, .ctx = rig, .done = on_done };
    rig->over = false;
    assert_int_equal(weft_http_call(rig->client, &call), 0);
    while (!rig->over)
        (void)uv_run(&rig->loop, UV_RUN_ONCE);
    weft_http_client_close(rig->client);
    free((void *)(uintptr_t)body.data);
}

static void bodies_pass_through_tls(void **state)
{
    struct rig rig;
    (void)state;

    rig_open(&rig, NULL);
    for (size_t len = 0; len <= 300000; len += 75000) {
        post(&rig, files.ca, NULL, NULL, len);
        if (rig.err || rig.status != 200 || rig.received != len || strcmp(rig.body, "over TLS") != 0)
            fail_msg("%zu bytes: %d, %d, %zu received", len, rig.err, rig.status, rig.received);
    }
    rig_close(&rig);
}

static void a_body_too_large_is_answered_at_once_through_tls(void **state)
{
    struct rig rig;
    (void)state;

    rig_open(&rig, NULL);
    post(&rig, files.ca, NULL, NULL, 4u << 20);
    if (rig.err || rig.status != 413 || strcmp(rig.body, "too much") != 0)
        fail_msg("%d, %d, %s", rig.err, rig.status, rig.body);
    rig_close(&rig);
}

static void with_a_client_ca_only_its_clients_get_in(void **state)
{
    const struct { const char *what, *cert, *key; bool welcome; } cases[] = {
        { "a client of the authority", files.client_cert, files.client_key, true },
        { "no certificate", NULL, NULL, false },
        { "a stranger's certificate", files.stranger_cert, files.stranger_key, false },
    };
    struct rig rig;
    (void)state;

    rig_open(&rig, files.ca);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rig.status = 0;
        post(&rig, files.ca, cases[i].cert, cases[i].key, 10);
        if ((rig.err == 0 && rig.status == 200) != cases[i].welcome)
            fail_msg("%s: %d, %d", cases[i].what, rig.err, rig.status);
    }
    rig_close(&rig);
}

static void cleartext_on_a_tls_port_is_closed(void **state)
{
    struct rig rig;
    struct peer p;
    (void)state;

    rig_open(&rig, NULL);
    peer_open(&p, &rig.loop, weft_http_server_port(rig.server));
    assert_true(peer_send_text(&p, "GET / HTTP/1.1\r\nHost: t\r\n\r\n"));
    peer_wait_end(&p);
    peer_close(&p);
    rig_close(&rig);
}

static void count_turn(uv_check_t *check)
{
    (*(unsigned *)check->data)++;
}

/* libmicrohttpd asks to be called at once for as long as a handshake waits for its peer; the loop must sleep all the same. */
static void a_handshake_that_stalls_does_not_keep_the_loop_busy(void **state)
{
    static const unsigned char half_hello[] = { 22, 3, 1, 2, 0, 1, 0, 1 };
    struct rig rig;
    struct peer p;
    uv_check_t check;
    unsigned turns = 0;
    (void)state;

    rig_open(&rig, NULL);
    peer_open(&p, &rig.loop, weft_http_server_port(rig.server));
    assert_true(peer_send(&p, half_hello, sizeof half_hello));
    peer_settle(&rig.loop);
    uv_check_init(&rig.loop, &check);
    check.data = &turns;
    uv_check_start(&check, count_turn);
    for (uint64_t since = weft_clock_mono_ms(); weft_clock_mono_ms() - since < 500;)
        (void)uv_run(&rig.loop, UV_RUN_ONCE);
    uv_close((uv_handle_t *)&check, NULL);
    if (turns > 60)
        fail_msg("%u turns in half a second", turns);
    peer_close(&p);
    rig_close(&rig);
}

static int make_files(void **state)
{
    (void)state;
    certificates_make(&files);
    return 0;
}

static int remove_files(void **state)
{
    (void)state;
    certificates_remove(&files);
    return 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bodies_pass_through_tls),
        cmocka_unit_test(a_body_too_large_is_answered_at_once_through_tls),
        cmocka_unit_test(with_a_client_ca_only_its_clients_get_in),
        cmocka_unit_test(cleartext_on_a_tls_port_is_closed),
        cmocka_unit_test(a_handshake_that_stalls_does_not_keep_the_loop_busy),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, make_files, remove_files);
}

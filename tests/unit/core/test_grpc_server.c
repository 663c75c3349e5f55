/* SPDX-License-Identifier: Apache-2.0 */
/* test_grpc_server.c: the server over real sockets on one loop: accepting, limits, peers that do not read, TLS and the end. */
#include "core/err.h"
#include "core/grpc_server.h"
#include "tests/support/grpc_caller.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

static const char *const methods[] = { "/test.Service/Call", NULL };

struct rig {
    uv_loop_t loop;
    struct weft_grpc_server *server;
    struct weft_grpc_server_options options;
    unsigned calls;
    struct weft_slice answer;
    struct grpc_caller caller;
};

static void on_call(void *ctx, const struct weft_grpc_call *call, struct weft_grpc_answer *answer)
{
    struct rig *rig = ctx;
    (void)call;

    rig->calls++;
    answer->body = rig->answer;
}

static struct rig *prepare(void)
{
    static struct rig rig;

    memset(&rig, 0, sizeof rig);
    assert_int_equal(uv_loop_init(&rig.loop), 0);
    rig.options = (struct weft_grpc_server_options){
        .endpoint = "127.0.0.1:0",
        .limits = { .max_message_size = 1 << 20, .max_inflight = 4 << 20 },
        .handlers = { .ctx = &rig, .methods = methods, .on_call = on_call },
    };
    return &rig;
}

static struct rig *start(struct rig *rig)
{
    const char *error = "";
    int err = weft_grpc_server_open(&rig->server, &rig->loop, &rig->options, &error);

    if (err)
        fail_msg("%s: %s", error, weft_err_text(err));
    return rig;
}

static void finish(struct rig *rig)
{
    weft_grpc_server_close(rig->server);
    assert_int_equal(uv_run(&rig->loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(uv_loop_close(&rig->loop), 0);
}

static int dial(struct rig *rig)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr = { .s_addr = htonl(INADDR_LOOPBACK) },
                                   .sin_port = htons((uint16_t)weft_grpc_server_port(rig->server)) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    (void)uv_run(&rig->loop, UV_RUN_NOWAIT);
    return fd;
}

/* What the server says, turning the loop until it has hung up or `turns` are over; the length, and whether it has. */
static size_t hear(struct rig *rig, int fd, char *into, size_t size, bool *ret_ended)
{
    size_t len = 0;

    *ret_ended = false;
    for (int turn = 0; turn < 200 && !*ret_ended; turn++) {
        (void)uv_run(&rig->loop, UV_RUN_NOWAIT);
        struct pollfd p = { .fd = fd, .events = POLLIN };
        if (poll(&p, 1, 10) <= 0)
            continue;
        ssize_t n = recv(fd, into + len, size - len, MSG_DONTWAIT);
        *ret_ended = n == 0 || (n < 0 && errno != EAGAIN);
        if (n > 0)
            len += (size_t)n;
    }
    return len;
}

static void several_clients_share_a_server(void **state)
{
    struct rig *rig = start(prepare());
    static struct grpc_caller callers[3];
    (void)state;

    for (size_t i = 0; i < 3; i++)
        grpc_caller_connect(&callers[i], &rig->loop, weft_grpc_server_port(rig->server));
    for (size_t i = 0; i < 30; i++) {
        struct grpc_caller *c = &callers[i % 3];
        const struct grpc_reply *r =
            grpc_caller_wait(c, grpc_caller_call(c, &(struct grpc_request){ .body = WEFT_SLICE("\0\0\0\0\1a") }));
        assert_string_equal(r->grpc_status, "0");
    }
    assert_int_equal(rig->calls, 30);
    assert_int_equal(weft_grpc_server_connections(rig->server), 3);
    for (size_t i = 0; i < 3; i++)
        grpc_caller_close(&callers[i]);
    finish(rig);
}

static void one_connection_too_many_is_closed_and_the_others_stay(void **state)
{
    struct rig *rig = prepare();
    char bytes[100];
    bool ended;
    (void)state;

    rig->options.max_connections = 2;
    start(rig);
    int a = dial(rig), b = dial(rig), c = dial(rig);
    assert_int_equal(hear(rig, c, bytes, sizeof bytes, &ended), 0);
    assert_true(ended);
    assert_int_equal(weft_grpc_server_connections(rig->server), 2);
    close(a);
    close(c);
    grpc_caller_connect(&rig->caller, &rig->loop, weft_grpc_server_port(rig->server));
    const struct grpc_reply *r = grpc_caller_wait(
        &rig->caller, grpc_caller_call(&rig->caller, &(struct grpc_request){ .body = WEFT_SLICE("\0\0\0\0\1a") }));
    assert_string_equal(r->grpc_status, "0");
    grpc_caller_close(&rig->caller);
    close(b);
    finish(rig);
}

static void http1_is_answered_and_closed(void **state)
{
    struct rig *rig = start(prepare());
    char bytes[1000];
    bool ended;
    (void)state;

    int fd = dial(rig);
    assert_int_equal(send(fd, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", 27, 0), 27);
    size_t len = hear(rig, fd, bytes, sizeof bytes, &ended);
    assert_true(ended);
    assert_true(len > 12 && memcmp(bytes, "HTTP/1.1 505", 12) == 0);
    close(fd);
    finish(rig);
}

static void silence_is_cut_by_the_clock(void **state)
{
    struct rig *rig = prepare();
    char bytes[1000];
    bool ended;
    (void)state;

    rig->options.limits.handshake_timeout_ms = 1;
    start(rig);
    int fd = dial(rig);
    assert_int_equal(hear(rig, fd, bytes, sizeof bytes, &ended), 0);
    assert_true(ended);
    close(fd);
    finish(rig);
}

/* Sends frames, 200 at a time, until the server stops taking them; the bytes it took. */
static size_t stuff(struct rig *rig, int fd, const uint8_t *frames, size_t len)
{
    size_t taken = 0;

    for (int idle = 0; idle < 50 && taken < len;) {
        const size_t rest = len - taken, chunk = rest < 3000 ? rest : 3000;
        ssize_t n = send(fd, frames + taken, chunk, MSG_DONTWAIT | MSG_NOSIGNAL);
        (void)uv_run(&rig->loop, UV_RUN_NOWAIT);
        idle = n > 0 ? 0 : idle + 1;
        if (n > 0)
            taken += (size_t)n;
        else if (errno != EAGAIN)
            break;
        else
            (void)poll(NULL, 0, 1);
    }
    return taken;
}

/* HEADERS of GET /, END_STREAM, with rising stream ids: each asks for an answer that is never read. */
static size_t make_gets(uint8_t *frames, unsigned n)
{
    static const uint8_t get[] = { 0, 0, 6, 1, 5, 0, 0, 0, 0, 0x82, 0x86, 0x84, 1, 1, 'x' };

    for (unsigned i = 0; i < n; i++) {
        memcpy(frames + i * sizeof get, get, sizeof get);
        frames[i * sizeof get + 6] = (uint8_t)((2 * i + 1) >> 16);
        frames[i * sizeof get + 7] = (uint8_t)((2 * i + 1) >> 8);
        frames[i * sizeof get + 8] = (uint8_t)(2 * i + 1);
    }
    return n * sizeof get;
}

static void who_never_reads_is_not_read_from_and_then_cut(void **state)
{
    enum { GETS = 1000000 };
    static const char hello[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0\0\0\0\4\1\0\0\0\0"
                                "\0\0\4\10\0\0\0\0\0\177\0\0\0";
    struct rig *rig = prepare();
    uint8_t *frames = malloc((size_t)GETS * 15);
    (void)state;

    rig->options.limits.request_timeout_ms = 300;
    rig->options.limits.max_concurrent_streams = 1 << 20;
    start(rig);
    assert_non_null(frames);
    size_t len = make_gets(frames, GETS);
    int fd = dial(rig);
    assert_int_equal(send(fd, hello, sizeof hello - 1, 0), sizeof hello - 1);
    size_t taken = stuff(rig, fd, frames, len);
    assert_in_range(taken, 1, len - 1); /* it was stopped */
    assert_int_equal(weft_grpc_server_stats(rig->server)->protocol_errors, 0);
    for (int turn = 0; turn < 300 && weft_grpc_server_connections(rig->server) > 0; turn++) {
        (void)uv_run(&rig->loop, UV_RUN_NOWAIT);
        (void)poll(NULL, 0, 10);
    }
    assert_int_equal(weft_grpc_server_connections(rig->server), 0);
    close(fd);
    free(frames);
    finish(rig);
}

/* Runs the loop for a while with a limit under which no descriptor can be opened. */
static void turn_without_descriptors(struct rig *rig)
{
    struct rlimit limit, none;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    none = limit;
    none.rlim_cur = 0;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    for (int turn = 0; turn < 3; turn++)
        (void)uv_run(&rig->loop, UV_RUN_NOWAIT);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

/* libuv keeps one descriptor back to turn the first client away with; it cannot open it again for the second. */
static void a_client_that_comes_when_no_descriptor_is_left_is_served_later(void **state)
{
    struct rig *rig = start(prepare());
    static struct grpc_caller unlucky;
    (void)state;

    grpc_caller_connect(&unlucky, &rig->loop, weft_grpc_server_port(rig->server));
    turn_without_descriptors(rig);
    grpc_caller_connect(&rig->caller, &rig->loop, weft_grpc_server_port(rig->server));
    turn_without_descriptors(rig);
    assert_int_equal(weft_grpc_server_connections(rig->server), 0);
    const struct grpc_reply *r = grpc_caller_wait(
        &rig->caller, grpc_caller_call(&rig->caller, &(struct grpc_request){ .body = WEFT_SLICE("\0\0\0\0\1a") }));
    assert_string_equal(r->grpc_status, "0");
    grpc_caller_close(&unlucky);
    grpc_caller_close(&rig->caller);
    finish(rig);
}

static void a_server_that_waits_for_descriptors_can_be_closed(void **state)
{
    struct rig *rig = start(prepare());
    static struct grpc_caller callers[2];
    (void)state;

    for (int i = 0; i < 2; i++) {
        grpc_caller_connect(&callers[i], &rig->loop, weft_grpc_server_port(rig->server));
        turn_without_descriptors(rig);
    }
    weft_grpc_server_quiesce(rig->server);
    for (int i = 0; i < 2; i++)
        grpc_caller_close(&callers[i]);
    finish(rig);
}

static void quiesce_closes_the_listener_and_idle_connections(void **state)
{
    struct rig *rig = start(prepare());
    (void)state;

    grpc_caller_connect(&rig->caller, &rig->loop, weft_grpc_server_port(rig->server));
    const struct grpc_reply *r = grpc_caller_wait(
        &rig->caller, grpc_caller_call(&rig->caller, &(struct grpc_request){ .body = WEFT_SLICE("\0\0\0\0\1a") }));
    assert_string_equal(r->grpc_status, "0");
    weft_grpc_server_quiesce(rig->server);
    weft_grpc_server_quiesce(rig->server);
    assert_true(grpc_caller_wait_hangup(&rig->caller, 10000));
    grpc_caller_close(&rig->caller);
    finish(rig);
}

/* ---- TLS ---- */

static void write_pem(const char *path, const gnutls_datum_t *pem)
{
    FILE *f = fopen(path, "wb");

    assert_non_null(f);
    assert_int_equal(fwrite(pem->data, 1, pem->size, f), pem->size);
    assert_int_equal(fclose(f), 0);
}

/* A certificate that signs itself, made for this run. */
static void make_certificate(const char *cert_path, const char *key_path)
{
    gnutls_x509_privkey_t key;
    gnutls_x509_crt_t crt;
    gnutls_datum_t pem;
    const time_t now = time(NULL);

    assert_int_equal(gnutls_x509_privkey_init(&key), 0);
    assert_int_equal(gnutls_x509_privkey_generate(key, GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0), 0);
    assert_int_equal(gnutls_x509_crt_init(&crt), 0);
    assert_int_equal(gnutls_x509_crt_set_version(crt, 3), 0);
    assert_int_equal(gnutls_x509_crt_set_serial(crt, "\1", 1), 0);
    assert_int_equal(gnutls_x509_crt_set_dn(crt, "CN=localhost", NULL), 0);
    assert_int_equal(gnutls_x509_crt_set_activation_time(crt, now - 60), 0);
    assert_int_equal(gnutls_x509_crt_set_expiration_time(crt, now + 3600), 0);
    assert_int_equal(gnutls_x509_crt_set_basic_constraints(crt, 1, -1), 0);
    assert_int_equal(gnutls_x509_crt_set_key(crt, key), 0);
    assert_int_equal(gnutls_x509_crt_sign2(crt, crt, key, GNUTLS_DIG_SHA256, 0), 0);
    assert_int_equal(gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_PEM, &pem), 0);
    write_pem(cert_path, &pem);
    gnutls_free(pem.data);
    assert_int_equal(gnutls_x509_privkey_export2(key, GNUTLS_X509_FMT_PEM, &pem), 0);
    write_pem(key_path, &pem);
    gnutls_free(pem.data);
    gnutls_x509_crt_deinit(crt);
    gnutls_x509_privkey_deinit(key);
}

struct secure {
    gnutls_session_t session;
    gnutls_certificate_credentials_t credentials;
    int fd;
};

/* Shakes hands while the loop turns. 0, or GnuTLS's code. */
static int shake(struct rig *rig, struct secure *s, const char *alpn, const struct weft_tls_files *own)
{
    const gnutls_datum_t protocol = { (unsigned char *)(uintptr_t)alpn, (unsigned)strlen(alpn) };
    int result = GNUTLS_E_AGAIN;

    s->fd = dial(rig);
    assert_int_equal(fcntl(s->fd, F_SETFL, O_NONBLOCK), 0);
    assert_int_equal(gnutls_certificate_allocate_credentials(&s->credentials), 0);
    if (own)
        assert_int_equal(gnutls_certificate_set_x509_key_file(s->credentials, own->cert_file, own->key_file, GNUTLS_X509_FMT_PEM), 0);
    assert_int_equal(gnutls_init(&s->session, GNUTLS_CLIENT | GNUTLS_NONBLOCK), 0);
    assert_int_equal(gnutls_set_default_priority(s->session), 0);
    assert_int_equal(gnutls_credentials_set(s->session, GNUTLS_CRD_CERTIFICATE, s->credentials), 0);
    assert_int_equal(gnutls_alpn_set_protocols(s->session, &protocol, 1, 0), 0);
    gnutls_transport_set_int(s->session, s->fd);
    for (int turn = 0; turn < 500 && result < 0 && !gnutls_error_is_fatal(result); turn++) {
        struct pollfd p = { .fd = s->fd, .events = POLLIN };
        result = gnutls_handshake(s->session);
        (void)uv_run(&rig->loop, UV_RUN_NOWAIT);
        if (result < 0)
            (void)poll(&p, 1, 5);
    }
    return result;
}

static void part(struct secure *s)
{
    gnutls_deinit(s->session);
    gnutls_certificate_free_credentials(s->credentials);
    close(s->fd);
}

/* The first bytes that the server says over TLS: its SETTINGS, when it took us in. */
static bool greets(struct rig *rig, struct secure *s)
{
    static const char hello[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0";
    uint8_t bytes[100];
    ssize_t n = GNUTLS_E_AGAIN;

    if (gnutls_record_send(s->session, hello, sizeof hello - 1) != sizeof hello - 1)
        return false;
    for (int turn = 0; turn < 500 && n < 0 && !gnutls_error_is_fatal((int)n); turn++) {
        struct pollfd p = { .fd = s->fd, .events = POLLIN };
        (void)uv_run(&rig->loop, UV_RUN_NOWAIT);
        n = gnutls_record_recv(s->session, bytes, sizeof bytes);
        if (n < 0)
            (void)poll(&p, 1, 5);
    }
    return n > 9 && bytes[3] == NGHTTP2_SETTINGS;
}

static void tls_serves_those_it_should(void **state)
{
    char dir[] = "/tmp/weft-grpc-XXXXXX", cert[64], key[64];
    (void)state;

    assert_non_null(mkdtemp(dir));
    (void)snprintf(cert, sizeof cert, "%s/cert.pem", dir);
    (void)snprintf(key, sizeof key, "%s/key.pem", dir);
    make_certificate(cert, key);
    const struct weft_tls_files plain = { cert, key, NULL }, mutual = { cert, key, cert };
    const struct {
        const char *what;
        const struct weft_tls_files *server, *client;
        const char *alpn;
        bool served;
    } cases[] = {
        { "h2", &plain, NULL, "h2", true },
        { "a client that speaks HTTP/1.1 alone", &plain, NULL, "http/1.1", false },
        { "a client with the right certificate", &mutual, &plain, "h2", true },
        { "a client without the certificate", &mutual, NULL, "h2", false },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct rig *rig = prepare();
        struct secure s;
        rig->options.tls = cases[i].server;
        start(rig);
        bool served = shake(rig, &s, cases[i].alpn, cases[i].client) == 0 && greets(rig, &s);
        if (served != cases[i].served)
            fail_msg("%s: served %d", cases[i].what, served);
        part(&s);
        finish(rig);
    }
    (void)unlink(cert);
    (void)unlink(key);
    (void)rmdir(dir);
}

static void garbage_instead_of_a_handshake_is_cut(void **state)
{
    char dir[] = "/tmp/weft-grpc-XXXXXX", cert[64], key[64], bytes[1000];
    struct rig *rig = prepare();
    bool ended;
    (void)state;

    assert_non_null(mkdtemp(dir));
    (void)snprintf(cert, sizeof cert, "%s/cert.pem", dir);
    (void)snprintf(key, sizeof key, "%s/key.pem", dir);
    make_certificate(cert, key);
    const struct weft_tls_files files = { cert, key, NULL };
    rig->options.tls = &files;
    start(rig);
    int fd = dial(rig);
    assert_int_equal(send(fd, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24, 0), 24);
    (void)hear(rig, fd, bytes, sizeof bytes, &ended);
    assert_true(ended);
    close(fd);
    finish(rig);
    (void)unlink(cert);
    (void)unlink(key);
    (void)rmdir(dir);
}

static void bad_options_are_told_in_words(void **state)
{
    const struct weft_tls_files missing = { "/nonexistent/cert.pem", "/nonexistent/key.pem", NULL };
    const struct {
        const char *endpoint;
        const struct weft_tls_files *tls;
        int err;
    } cases[] = { { "127.0.0.1", NULL, UV_EINVAL }, { "127.0.0.1:0", &missing, WEFT_ERR_CONFIG } };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct rig *rig = prepare();
        const char *error = NULL;
        rig->options.endpoint = cases[i].endpoint;
        rig->options.tls = cases[i].tls;
        assert_int_equal(weft_grpc_server_open(&rig->server, &rig->loop, &rig->options, &error), cases[i].err);
        assert_non_null(error);
        rig->server = NULL;
        finish(rig);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(several_clients_share_a_server),
        cmocka_unit_test(one_connection_too_many_is_closed_and_the_others_stay),
        cmocka_unit_test(http1_is_answered_and_closed),
        cmocka_unit_test(silence_is_cut_by_the_clock),
        cmocka_unit_test(who_never_reads_is_not_read_from_and_then_cut),
        cmocka_unit_test(a_client_that_comes_when_no_descriptor_is_left_is_served_later),
        cmocka_unit_test(a_server_that_waits_for_descriptors_can_be_closed),
        cmocka_unit_test(quiesce_closes_the_listener_and_idle_connections),
        cmocka_unit_test(tls_serves_those_it_should),
        cmocka_unit_test(garbage_instead_of_a_handshake_is_cut),
        cmocka_unit_test(bad_options_are_told_in_words),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

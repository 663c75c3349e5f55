/* SPDX-License-Identifier: Apache-2.0 */
/* tls.c: see tls.h. GnuTLS pulls from the slice in hand and pushes into the buffer in hand; both are set for the
 * length of one call only. */
#include "core/tls.h"

#include "core/err.h"

#include <errno.h>
#include <gnutls/gnutls.h>
#include <stdlib.h>
#include <uv.h>

/* HTTP/2 wants TLS 1.2 or newer and none of its old ciphers (RFC 9113, 9.2). */
static const char PRIORITIES[] = "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-CIPHER-ALL:+AES-128-GCM:+AES-256-GCM:"
                                 "+CHACHA20-POLY1305:-RSA:-DHE-RSA";
enum { RECORD = 16 * 1024 };

struct weft_tls_context {
    gnutls_certificate_credentials_t credentials;
    gnutls_priority_t priorities;
    const char *alpn;
    bool want_client;
};

struct weft_tls {
    gnutls_session_t session;
    struct weft_slice in;   /* what GnuTLS may still pull */
    struct weft_buf *out;   /* where it pushes */
    bool ready;
};

/* ---- context ---- */

static const char *load_files(struct weft_tls_context *c, const struct weft_tls_files *files)
{
    if (!files->cert_file || !files->key_file)
        return "cert_file and key_file are both needed";
    if (gnutls_certificate_set_x509_key_file(c->credentials, files->cert_file, files->key_file, GNUTLS_X509_FMT_PEM) < 0)
        return "cannot use cert_file and key_file";
    c->want_client = files->client_ca_file != NULL;
    if (c->want_client &&
        gnutls_certificate_set_x509_trust_file(c->credentials, files->client_ca_file, GNUTLS_X509_FMT_PEM) <= 0)
        return "no certificate in client_ca_file";
    return NULL;
}

int weft_tls_context_new(struct weft_tls_context **ret_context, const struct weft_tls_files *files, const char *alpn,
                         const char **ret_error)
{
    struct weft_tls_context *c = calloc(1, sizeof *c);

    if (!c)
        return UV_ENOMEM;
    c->alpn = alpn;
    if (gnutls_certificate_allocate_credentials(&c->credentials) < 0 ||
        gnutls_priority_init(&c->priorities, PRIORITIES, NULL) < 0) {
        weft_tls_context_free(c);
        return UV_ENOMEM;
    }

    const char *error = load_files(c, files);
    if (error) {
        if (ret_error)
            *ret_error = error;
        weft_tls_context_free(c);
        return WEFT_ERR_CONFIG;
    }
    *ret_context = c;
    return 0;
}

void weft_tls_context_free(struct weft_tls_context *c)
{
    if (!c)
        return;
    if (c->credentials)
        gnutls_certificate_free_credentials(c->credentials);
    if (c->priorities)
        gnutls_priority_deinit(c->priorities);
    free(c);
}

/* ---- session ---- */

static ssize_t pull(gnutls_transport_ptr_t ptr, void *data, size_t size)
{
    struct weft_tls *t = ptr;
    size_t n = size < t->in.len ? size : t->in.len;

    if (n == 0) {
        gnutls_transport_set_errno(t->session, EAGAIN);
        return -1;
    }
    memcpy(data, t->in.data, n);
    t->in = weft_slice_from(t->in, n);
    return (ssize_t)n;
}

static ssize_t push(gnutls_transport_ptr_t ptr, const void *data, size_t size)
{
    struct weft_tls *t = ptr;

    if (t->out)
        weft_buf_append(t->out, data, size);
    if (!t->out || t->out->err) {
        gnutls_transport_set_errno(t->session, EIO);
        return -1;
    }
    return (ssize_t)size;
}

/* Everything that is there has been read: GnuTLS need not ask. */
static int pull_timeout(gnutls_transport_ptr_t ptr, unsigned ms)
{
    struct weft_tls *t = ptr;
    (void)ms;

    return t->in.len > 0;
}

static int set_up(struct weft_tls *t, struct weft_tls_context *context)
{
    const gnutls_datum_t alpn = { (unsigned char *)(uintptr_t)context->alpn, (unsigned)strlen(context->alpn) };

    if (gnutls_priority_set(t->session, context->priorities) < 0 ||
        gnutls_credentials_set(t->session, GNUTLS_CRD_CERTIFICATE, context->credentials) < 0 ||
        gnutls_alpn_set_protocols(t->session, &alpn, 1, GNUTLS_ALPN_MANDATORY) < 0)
        return UV_ENOMEM;
    gnutls_certificate_server_set_request(t->session, context->want_client ? GNUTLS_CERT_REQUIRE : GNUTLS_CERT_IGNORE);
    if (context->want_client)
        gnutls_session_set_verify_cert(t->session, NULL, 0);
    gnutls_handshake_set_timeout(t->session, GNUTLS_INDEFINITE_TIMEOUT);
    gnutls_transport_set_ptr(t->session, t);
    gnutls_transport_set_pull_function(t->session, pull);
    gnutls_transport_set_pull_timeout_function(t->session, pull_timeout);
    gnutls_transport_set_push_function(t->session, push);
    return 0;
}

int weft_tls_new(struct weft_tls **ret_tls, struct weft_tls_context *context)
{
    struct weft_tls *t = calloc(1, sizeof *t);

    if (!t)
        return UV_ENOMEM;
    if (gnutls_init(&t->session, GNUTLS_SERVER | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL) < 0) {
        free(t);
        return UV_ENOMEM;
    }
    int err = set_up(t, context);
    if (err) {
        weft_tls_free(t);
        return err;
    }
    *ret_tls = t;
    return 0;
}

void weft_tls_free(struct weft_tls *t)
{
    if (!t)
        return;
    gnutls_deinit(t->session);
    free(t);
}

bool weft_tls_ready(const struct weft_tls *t)
{
    return t->ready;
}

static int handshake(struct weft_tls *t)
{
    int result;

    do
        result = gnutls_handshake(t->session);
    while (result < 0 && !gnutls_error_is_fatal(result) && t->in.len > 0);
    if (result == 0)
        t->ready = true;
    if (result == 0 || !gnutls_error_is_fatal(result))
        return 0;
    (void)gnutls_alert_send_appropriate(t->session, result);
    return WEFT_ERR_MALFORMED;
}

/* 1: go on. 0: nothing left to read. Else an error. */
static int read_record(struct weft_tls *t, struct weft_buf *plain)
{
    uint8_t *room = weft_buf_reserve(plain, RECORD);

    if (!room)
        return plain->err;
    ssize_t n = gnutls_record_recv(t->session, room, RECORD);
    if (n > 0) {
        plain->len += (size_t)n;
        return 1;
    }
    if (n == 0)
        return WEFT_ERR_CLOSED;
    if (n == GNUTLS_E_AGAIN)
        return 0;
    if (gnutls_error_is_fatal((int)n) || n == GNUTLS_E_REHANDSHAKE) {
        (void)gnutls_alert_send_appropriate(t->session, (int)n);
        return WEFT_ERR_MALFORMED;
    }
    return t->in.len > 0 || gnutls_record_check_pending(t->session) > 0;
}

int weft_tls_input(struct weft_tls *t, struct weft_slice in, struct weft_buf *plain, struct weft_buf *out)
{
    int err = 0;

    t->in = in;
    t->out = out;
    if (!t->ready)
        err = handshake(t);
    if (!err && t->ready) {
        do
            err = read_record(t, plain);
        while (err > 0);
    }
    t->out = NULL;
    return err;
}

int weft_tls_output(struct weft_tls *t, struct weft_slice plain, struct weft_buf *out)
{
    int err = 0;

    t->out = out;
    while (!err && plain.len > 0) {
        ssize_t n = gnutls_record_send(t->session, plain.data, plain.len);
        if (n > 0)
            plain = weft_slice_from(plain, (size_t)n);
        else
            err = out->err ? out->err : WEFT_ERR_MALFORMED;
    }
    t->out = NULL;
    return err;
}

void weft_tls_goodbye(struct weft_tls *t, struct weft_buf *out)
{
    t->out = out;
    (void)gnutls_bye(t->session, GNUTLS_SHUT_WR);
    t->out = NULL;
}

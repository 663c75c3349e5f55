/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/certificates.h"

#include <arpa/inet.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

struct identity { gnutls_x509_privkey_t key; gnutls_x509_crt_t cert; };

enum { CA, SERVER, CLIENT };

static void ok(int code, const char *what)
{
    if (code < 0)
        fail_msg("%s: %s", what, gnutls_strerror(code));
}

static void describe(gnutls_x509_crt_t cert, const char *name, int kind)
{
    static uint8_t serial;
    const uint32_t loopback = htonl(0x7f000001);

    serial++;
    ok(gnutls_x509_crt_set_version(cert, 3), "version");
    ok(gnutls_x509_crt_set_serial(cert, &serial, 1), "serial");
    ok(gnutls_x509_crt_set_activation_time(cert, time(NULL) - 3600), "activation");
    ok(gnutls_x509_crt_set_expiration_time(cert, time(NULL) + 86400), "expiration");
    ok(gnutls_x509_crt_set_dn_by_oid(cert, GNUTLS_OID_X520_COMMON_NAME, 0, name, (unsigned)strlen(name)), "name");
    ok(gnutls_x509_crt_set_basic_constraints(cert, kind == CA, kind == CA ? 1 : -1), "constraints");
    ok(gnutls_x509_crt_set_key_usage(cert, kind == CA ? GNUTLS_KEY_KEY_CERT_SIGN : GNUTLS_KEY_DIGITAL_SIGNATURE), "usage");
    if (kind == SERVER) {
        ok(gnutls_x509_crt_set_subject_alt_name(cert, GNUTLS_SAN_DNSNAME, "localhost", 9, GNUTLS_FSAN_APPEND), "DNS name");
        ok(gnutls_x509_crt_set_subject_alt_name(cert, GNUTLS_SAN_IPADDRESS, &loopback, 4, GNUTLS_FSAN_APPEND), "address");
    }
}

/* `by` NULL: signs itself. */
static struct identity make(const char *name, int kind, const struct identity *by)
{
    struct identity id;

    ok(gnutls_x509_privkey_init(&id.key), "key");
    ok(gnutls_x509_privkey_generate(id.key, GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0), "generate");
    ok(gnutls_x509_crt_init(&id.cert), "certificate");
    describe(id.cert, name, kind);
    ok(gnutls_x509_crt_set_key(id.cert, id.key), "set key");
    const struct identity *signer = by ? by : &id;
    ok(gnutls_x509_crt_sign2(id.cert, signer->cert, signer->key, GNUTLS_DIG_SHA256, 0), "sign");
    return id;
}

static void write_file(const char *path, const gnutls_datum_t *pem)
{
    FILE *f = fopen(path, "wb");

    assert_non_null(f);
    assert_int_equal(fwrite(pem->data, 1, pem->size, f), pem->size);
    fclose(f);
}

static void save(const char *dir, const char *name, const struct identity *id, char *ret_cert, char *ret_key)
{
    gnutls_datum_t pem;

    (void)snprintf(ret_cert, 96, "%s/%s.crt", dir, name);
    ok(gnutls_x509_crt_export2(id->cert, GNUTLS_X509_FMT_PEM, &pem), "export certificate");
    write_file(ret_cert, &pem);
    gnutls_free(pem.data);
    if (!ret_key)
        return;
    (void)snprintf(ret_key, 96, "%s/%s.key", dir, name);
    ok(gnutls_x509_privkey_export2(id->key, GNUTLS_X509_FMT_PEM, &pem), "export key");
    write_file(ret_key, &pem);
    gnutls_free(pem.data);
}

static void release(struct identity *id)
{
    gnutls_x509_crt_deinit(id->cert);
    gnutls_x509_privkey_deinit(id->key);
}

void certificates_make(struct certificates *c)
{
    memset(c, 0, sizeof *c);
    (void)snprintf(c->dir, sizeof c->dir, "/tmp/weft-certificates-XXXXXX");
    assert_non_null(mkdtemp(c->dir));

    struct identity ca = make("Weft test authority", CA, NULL);
    struct identity server = make("localhost", SERVER, &ca);
    struct identity client = make("a client", CLIENT, &ca);
    struct identity stranger = make("a stranger", CLIENT, NULL);
    save(c->dir, "ca", &ca, c->ca, NULL);
    save(c->dir, "server", &server, c->server_cert, c->server_key);
    save(c->dir, "client", &client, c->client_cert, c->client_key);
    save(c->dir, "stranger", &stranger, c->stranger_cert, c->stranger_key);
    release(&ca);
    release(&server);
    release(&client);
    release(&stranger);
}

void certificates_remove(const struct certificates *c)
{
    const char *const files[] = { c->ca, c->server_cert, c->server_key, c->client_cert, c->client_key, c->stranger_cert,
                                  c->stranger_key };

    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        (void)unlink(files[i]);
    (void)rmdir(c->dir);
}

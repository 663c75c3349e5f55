/* SPDX-License-Identifier: Apache-2.0 */
/* tls.h: the server's side of TLS without I/O: GnuTLS between two memory buffers.
 *
 * The context holds certificates and priorities and serves many sessions of one loop; a session turns what
 * was read into plain bytes, and plain bytes into what must be sent. ALPN offers one protocol; a client that
 * names only others is refused, one that names none is served.
 */
#ifndef WEFT_CORE_TLS_H
#define WEFT_CORE_TLS_H

#include "core/buf.h"
#include "core/slice.h"

struct weft_tls_files {
    const char *cert_file, *key_file;
    const char *client_ca_file; /* NULL: clients need no certificate; else they must show one signed by these */
};

struct weft_tls_context;
struct weft_tls;

/* Reads the files. `alpn` ("h2") is a literal. 0; UV_ENOMEM; WEFT_ERR_CONFIG with static words in *ret_error. */
int weft_tls_context_new(struct weft_tls_context **ret_context, const struct weft_tls_files *files, const char *alpn,
                         const char **ret_error);
void weft_tls_context_free(struct weft_tls_context *c); /* accepts NULL; no session may be left */

int weft_tls_new(struct weft_tls **ret_tls, struct weft_tls_context *context);
void weft_tls_free(struct weft_tls *t); /* accepts NULL */

/* Takes received bytes, all of them. Plain bytes are appended to `plain`, what must be sent (handshake, alerts) to
 * `out`. 0; WEFT_ERR_CLOSED: the peer said goodbye; WEFT_ERR_MALFORMED: the handshake or a record failed (an alert
 * may be in `out`); the buffers' errors. `plain` needs room for as many bytes as `in` has. */
int weft_tls_input(struct weft_tls *t, struct weft_slice in, struct weft_buf *plain, struct weft_buf *out);

/* The handshake is over: plain bytes may be sent. */
bool weft_tls_ready(const struct weft_tls *t);

/* Encrypts `plain`, appending to `out`. 0 or a negative code. */
int weft_tls_output(struct weft_tls *t, struct weft_slice plain, struct weft_buf *out);

/* Appends the closing alert. */
void weft_tls_goodbye(struct weft_tls *t, struct weft_buf *out);

#endif

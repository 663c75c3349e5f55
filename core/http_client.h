/* SPDX-License-Identifier: Apache-2.0 */
/* http_client.h: HTTP requests from inside a libuv loop; libcurl's multi interface behind one seam.
 *
 * One client belongs to one loop (an exporter's lane). Connections are kept; easy handles are reused. HTTP/2 with
 * prior knowledge serves gRPC. Opening a client costs a timer; libcurl itself is loaded with work by the first call.
 *
 *   (1) A call's done callback runs exactly once, on the loop, never from inside weft_http_call.
 *   (2) The body slices of a call stay the caller's and must live until done.
 *   (3) An answer's body is kept up to response_limit bytes; the rest is read and thrown away.
 *   (4) A redirect is an answer like any other: it is not followed.
 */
#ifndef WEFT_CORE_HTTP_CLIENT_H
#define WEFT_CORE_HTTP_CLIENT_H

#include "core/buf.h"
#include "core/slice.h"

#include <uv.h>

struct weft_http_client;

/* The strings are borrowed until the client is closed. */
struct weft_http_client_options {
    unsigned max_connections;         /* per client */
    bool http2;                       /* HTTP/2 only: prior knowledge on http://, ALPN on https:// */
    bool insecure_skip_verify;
    const char *ca_file, *cert_file, *key_file, *server_name_override; /* NULL: the system's defaults */
    const char *user_agent;
    struct weft_account *account;     /* buffers of calls and connections take from it; NULL: nobody */
};

struct weft_http_result {
    int err;                          /* 0, or why there was no whole answer (UV_ECONNREFUSED, UV_ETIMEDOUT, ...) */
    const char *reason;               /* words for err; good during the callback */
    unsigned status;
    struct weft_slice body;           /* good during the callback */
    bool body_cut;                    /* the answer was longer than response_limit */
    const char *retry_after;          /* header or NULL */
    const char *content_type;         /* header or NULL */
    const char *grpc_status;          /* header or trailer or NULL */
    const char *grpc_message;         /* percent-encoded as received, or NULL */
    const char *grpc_status_details;  /* grpc-status-details-bin, base64, or NULL */
    uint64_t sent_bytes;              /* of the request's body */
};

/* More header lines than this, or more than 64 KiB of them, make a call fail. */
enum { WEFT_HTTP_MAX_HEADERS = 48 };

struct weft_http_call {
    const char *method, *url;         /* good during weft_http_call */
    const char *const *headers;       /* "Name: value" lines, NULL-terminated; good during weft_http_call */
    const struct weft_slice *body;    /* gathered in order; the array itself must live until done, too */
    size_t n_body;
    uint64_t timeout_ms;
    size_t response_limit;
    void *ctx;
    void (*done)(void *ctx, const struct weft_http_result *result);
};

/* Allocates next to nothing: connections and libcurl's state come with the first call. 0 or a negative code. */
int weft_http_client_open(struct weft_http_client **ret_client, uv_loop_t *loop, const struct weft_http_client_options *options);

/* Begins a request. *call is copied; `body` must live until done. 0 or a negative code (then done is not called). */
int weft_http_call(struct weft_http_client *c, const struct weft_http_call *call);

/* Gives back what calls that have ended keep for the next ones. Connections stay. */
void weft_http_client_trim(struct weft_http_client *c);

/* Ends every call now (done with UV_ECANCELED) and closes; memory goes when the loop has closed the
 * handles. Accepts NULL. */
void weft_http_client_close(struct weft_http_client *c);

/* True when the host of `url` ("http://host:port/path" or "host:port") is this machine by its spelling:
 * localhost, 127.0.0.0/8, ::1. Nothing is resolved. Such hosts are never reached through a proxy. */
bool weft_http_is_loopback(const char *url);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* otlp.h: the OTLP receiver, one instance on each ingest loop: gRPC on 4317 and HTTP on 4318.
 *
 * otlp.c has the options and starts the transports; otlp_http.c and otlp_grpc.c carry bytes; what both decide alike
 * (is it well formed, where does it go, what is the client told) is otlp_accept.c, and the bodies of answers are
 * otlp_answer.c. Outside of these files only `weft_receiver_otlp` is of interest.
 *
 * Everything here runs on the loop of the instance.
 */
#ifndef WEFT_RECEIVERS_OTLP_H
#define WEFT_RECEIVERS_OTLP_H

#include "core/component.h"

extern const struct weft_receiver_type weft_receiver_otlp;

/* ---- shared by the receiver's own files ---- */

struct weft_otlp_tls {
    char *cert_file, *key_file, *client_ca_file; /* NULL: cleartext, or no client certificates asked for */
};

struct weft_otlp_grpc_options {
    char *endpoint;
    int64_t max_recv_msg_size_mib;   /* of one message, compressed and decompressed */
    int64_t max_concurrent_streams;
    uint64_t max_connection_idle_ms; /* keepalive.server_parameters.*; 0: for ever */
    uint64_t max_connection_age_ms, max_connection_age_grace_ms;
    uint64_t keepalive_time_ms, keepalive_timeout_ms;
    int64_t max_connections;
    struct weft_otlp_tls tls;
};

struct weft_otlp_http_options {
    char *endpoint;
    uint64_t max_request_body_size;  /* as sent, and again after decompression */
    uint64_t idle_timeout_ms, request_timeout_ms;
    int64_t max_connections;
    char *paths[WEFT_SIGNALS];       /* traces_url_path, logs_url_path, metrics_url_path */
    struct weft_strings cors_origins, cors_headers;
    int64_t cors_max_age_s;
    struct weft_otlp_tls tls;
};

struct weft_otlp_grpc;
struct weft_otlp_http;
struct weft_otlp_waiter;

struct weft_otlp {
    struct weft_receiver base;
    bool want_grpc, want_http;       /* protocols.grpc, protocols.http are in the configuration */
    bool draining;                   /* quiesce has been called: refuse with WEFT_ERR_DRAINING */
    struct weft_otlp_grpc_options grpc_options;
    struct weft_otlp_http_options http_options;
    struct weft_otlp_grpc *grpc;     /* each transport's own state; NULL when it does not run */
    struct weft_otlp_http *http;
    struct weft_otlp_waiter *free_waiters; /* kept to be used again */
    unsigned n_free_waiters;
    struct weft_log_gate malformed_gate, refused_gate;
};

/* Each transport's half. start: 0 or a negative code after one log line. quiesce: no new work, requests in
 * hand may finish. in_hand: how many there are. stop: closes every handle; idempotent; fine when start failed or was never called. The loop
 * runs on until the handles are closed, and `r` outlives that. */
int weft_otlp_grpc_start(struct weft_otlp *r);
void weft_otlp_grpc_quiesce(struct weft_otlp *r);
unsigned weft_otlp_grpc_in_hand(const struct weft_otlp *r);
void weft_otlp_grpc_stop(struct weft_otlp *r);

int weft_otlp_http_start(struct weft_otlp *r);
void weft_otlp_http_quiesce(struct weft_otlp *r);
unsigned weft_otlp_http_in_hand(const struct weft_otlp *r);
void weft_otlp_http_stop(struct weft_otlp *r);

/* The ports that were bound, or a negative code; for tests and log lines. */
int weft_otlp_grpc_port(const struct weft_otlp *r);
int weft_otlp_http_port(const struct weft_otlp *r);

/* The largest body that is taken; 0 without HTTP. */
uint64_t weft_otlp_http_largest(const struct weft_otlp *r);

/* Bytes that one transport may hold in bodies at once: its part of the instance's memory_limit, which is
 * never less than one body of the largest size. 0: no limit. */
static inline uint64_t weft_otlp_body_budget(const struct weft_otlp *r, uint64_t max_body)
{
    uint64_t share = r->base.memory_limit / (r->want_grpc && r->want_http ? 2 : 1);

    if (r->base.memory_limit == 0)
        return 0;
    return share > max_body ? share : max_body;
}

#endif

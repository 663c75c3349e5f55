/* SPDX-License-Identifier: Apache-2.0 */
/* otlp.c: the OTLP receiver's options, spelled as the Collector's otlpreceiver spells them, and its life: both
 * transports are started, quiesced and stopped together. One instance a loop; runs on that loop. */
#include "receivers/otlp.h"

#include "core/endpoint.h"
#include "core/err.h"
#include "receivers/otlp_accept.h"

#define T struct weft_otlp
#define TLS(protocol, field)                                                                                     \
    WEFT_STRING("protocols." protocol ".tls.cert_file", T, field.tls.cert_file,                                  \
                .help = "the server's certificate chain in PEM; with key_file it turns TLS on"),                 \
    WEFT_STRING("protocols." protocol ".tls.key_file", T, field.tls.key_file, .help = "its private key in PEM"), \
    WEFT_STRING("protocols." protocol ".tls.client_ca_file", T, field.tls.client_ca_file,                        \
                .help = "clients must show a certificate signed by one of these")

static const struct weft_option options[] = {
    WEFT_PRESENT("protocols.grpc", T, want_grpc, .help = "accept OTLP over gRPC; the key alone turns it on"),
    WEFT_STRING("protocols.grpc.endpoint", T, grpc_options.endpoint, .fallback = "127.0.0.1:4317",
                .help = "address and port; an empty host means every address"),
    WEFT_INT("protocols.grpc.max_recv_msg_size_mib", T, grpc_options.max_recv_msg_size_mib, .fallback = "4", .min = 1,
             .max = 256, .help = "largest message in MiB, compressed and decompressed; larger ones get RESOURCE_EXHAUSTED"),
    WEFT_INT("protocols.grpc.max_concurrent_streams", T, grpc_options.max_concurrent_streams, .fallback = "256", .min = 1,
             .max = 65536, .help = "calls in flight on one connection"),
    WEFT_INT("protocols.grpc.max_connections", T, grpc_options.max_connections, .fallback = "1024", .min = 8, .max = 65536,
             .help = "connections over all ingest loops"),
    TLS("grpc", grpc_options),
    WEFT_MSEC("protocols.grpc.keepalive.server_parameters.max_connection_idle", T, grpc_options.max_connection_idle_ms,
              .fallback = "0", .help = "close a connection without calls after this; 0: never"),
    WEFT_MSEC("protocols.grpc.keepalive.server_parameters.max_connection_age", T, grpc_options.max_connection_age_ms,
              .fallback = "0", .help = "send any connection away after this, so that clients spread anew; 0: never"),
    WEFT_MSEC("protocols.grpc.keepalive.server_parameters.max_connection_age_grace", T,
              grpc_options.max_connection_age_grace_ms, .fallback = "0",
              .help = "time for its calls to end after max_connection_age; 0: no limit"),
    WEFT_MSEC("protocols.grpc.keepalive.server_parameters.time", T, grpc_options.keepalive_time_ms, .fallback = "2h",
              .help = "ping a connection that has been silent this long"),
    WEFT_MSEC("protocols.grpc.keepalive.server_parameters.timeout", T, grpc_options.keepalive_timeout_ms, .fallback = "20s",
              .help = "close it when the ping is not answered within this"),
    WEFT_IGNORED("protocols.grpc.keepalive.enforcement_policy.min_time",
                 .help = "2,000 control frames a second without a call end a connection, whatever they are"),
    WEFT_IGNORED("protocols.grpc.keepalive.enforcement_policy.permit_without_stream",
                 .help = "pings are counted the same with and without calls"),
    WEFT_IGNORED("protocols.grpc.transport", .fallback = "tcp", .warns = true, .help = "always tcp"),
    WEFT_IGNORED("protocols.grpc.read_buffer_size", .help = "buffers are shared by all connections of a loop"),
    WEFT_IGNORED("protocols.grpc.write_buffer_size", .help = "buffers are shared by all connections of a loop"),
    WEFT_IGNORED("protocols.grpc.include_metadata", .help = "request metadata is not needed by any processor"),

    WEFT_PRESENT("protocols.http", T, want_http, .help = "accept OTLP over HTTP; the key alone turns it on"),
    WEFT_STRING("protocols.http.endpoint", T, http_options.endpoint, .fallback = "127.0.0.1:4318",
                .help = "address and port; an empty host means every address"),
    WEFT_BYTES("protocols.http.max_request_body_size", T, http_options.max_request_body_size, .fallback = "20MiB",
               .min = 1024, .max = 1u << 30,
               .help = "largest body, as sent and decompressed; larger ones get 413, as do those that memory_limit has no room for"),
    WEFT_MSEC("protocols.http.idle_timeout", T, http_options.idle_timeout_ms, .fallback = "1m", .min = 1000, .max = 86400000,
              .help = "close a connection that has been silent this long"),
    WEFT_MSEC("protocols.http.read_timeout", T, http_options.request_timeout_ms, .fallback = "30s", .min = 100, .max = 3600000,
              .help = "a request must be whole, and its answer taken, within this"),
    WEFT_IGNORED("protocols.http.read_header_timeout", .help = "read_timeout covers the headers"),
    WEFT_IGNORED("protocols.http.write_timeout", .help = "read_timeout covers the answer"),
    WEFT_INT("protocols.http.max_connections", T, http_options.max_connections, .fallback = "1024", .min = 8, .max = 65536,
             .help = "connections over all ingest loops; one more takes the place of the one that has waited longest"),
    WEFT_STRING("protocols.http.traces_url_path", T, http_options.paths[WEFT_TRACES], .fallback = "/v1/traces",
                .help = "path of traces"),
    WEFT_STRING("protocols.http.logs_url_path", T, http_options.paths[WEFT_LOGS], .fallback = "/v1/logs",
                .help = "path of logs"),
    WEFT_STRING("protocols.http.metrics_url_path", T, http_options.paths[WEFT_METRICS], .fallback = "/v1/metrics",
                .help = "path of metrics"),
    WEFT_LIST("protocols.http.cors.allowed_origins", T, http_options.cors_origins,
              .help = "origins whose pages may send, with one * as a wildcard each; empty: no cross-origin requests"),
    WEFT_LIST("protocols.http.cors.allowed_headers", T, http_options.cors_headers,
              .help = "request headers such pages may set besides the usual ones; * allows all"),
    WEFT_INT("protocols.http.cors.max_age", T, http_options.cors_max_age_s, .fallback = "0", .min = 0, .max = 86400,
             .help = "seconds for which a browser may remember the answer to its preflight; 0: its own default"),
    TLS("http", http_options),
    WEFT_IGNORED("protocols.http.include_metadata", .help = "request metadata is not needed by any processor"),
    WEFT_IGNORED("protocols.http.compression_algorithms", .fallback = "gzip", .warns = true, .help = "gzip and none are accepted"),
    WEFT_IGNORED("protocols.http.keep_alives_enabled", .fallback = "true", .warns = true, .help = "connections are kept alive"),
    { .key = NULL },
};

static void check_tls(const struct weft_otlp_tls *tls, const char *protocol, const struct weft_node *where,
                      struct weft_problems *problems)
{
    if (!tls->cert_file != !tls->key_file)
        weft_problem(problems, where, "protocols::%s::tls needs both cert_file and key_file", protocol);
    else if (tls->client_ca_file && !tls->cert_file)
        weft_problem(problems, where, "protocols::%s::tls::client_ca_file needs cert_file and key_file",
                     protocol);
}

static void check_endpoint(const char *endpoint, bool wanted, const char *protocol, const struct weft_node *protocols,
                           struct weft_problems *problems)
{
    const struct weft_node *own = weft_node_get(protocols, protocol);
    const struct weft_node *where = own ? weft_node_get(own, "endpoint") : NULL;

    if (wanted && !weft_endpoint_well_formed(endpoint))
        weft_problem(problems, where ? where : protocols, "protocols::%s::endpoint: '%s' is not host:port", protocol, endpoint);
}

static void check_paths(const struct weft_otlp *r, const struct weft_node *where, struct weft_problems *problems)
{
    for (int i = 0; i < WEFT_SIGNALS; i++)
        if (r->http_options.paths[i][0] != '/')
            weft_problem(problems, where, "protocols::http::%s_url_path must begin with '/'",
                         weft_signal_name((enum weft_signal)i));
}

static int check(struct weft_receiver *self, const struct weft_node *map, struct weft_problems *problems)
{
    struct weft_otlp *r = (struct weft_otlp *)self;
    const struct weft_node *protocols = weft_node_get(map, "protocols");
    const struct weft_node *where = protocols ? protocols : map;
    size_t before = problems->n;

    if (!r->want_grpc && !r->want_http)
        weft_problem(problems, where, "must specify at least one protocol (grpc or http) under 'protocols'");
    check_tls(&r->grpc_options.tls, "grpc", where, problems);
    check_tls(&r->http_options.tls, "http", where, problems);
    check_endpoint(r->grpc_options.endpoint, r->want_grpc, "grpc", protocols, problems);
    check_endpoint(r->http_options.endpoint, r->want_http, "http", protocols, problems);
    check_paths(r, where, problems);
    return problems->n == before ? 0 : WEFT_ERR_CONFIG;
}

static void quiesce(struct weft_receiver *self)
{
    struct weft_otlp *r = (struct weft_otlp *)self;

    r->draining = true;
    weft_otlp_grpc_quiesce(r);
    weft_otlp_http_quiesce(r);
}

static unsigned in_hand(struct weft_receiver *self)
{
    const struct weft_otlp *r = (const struct weft_otlp *)self;

    return weft_otlp_grpc_in_hand(r) + weft_otlp_http_in_hand(r);
}

static void stop(struct weft_receiver *self)
{
    struct weft_otlp *r = (struct weft_otlp *)self;

    weft_otlp_grpc_stop(r);
    weft_otlp_http_stop(r);
    weft_otlp_waiters_release(r);
}

/* Who sends large requests learns of the smaller of two limits before one is refused. */
static void tell_largest(const struct weft_otlp *r)
{
    uint64_t grpc = r->want_grpc ? (uint64_t)r->grpc_options.max_recv_msg_size_mib << 20 : 0, http = weft_otlp_http_largest(r);
    uint64_t taken = grpc > http ? grpc : http, least = taken;
    enum weft_signal signal = WEFT_TRACES;

    for (int i = 0; i < WEFT_SIGNALS; i++)
        if (r->base.sinks[i] && r->base.sinks[i]->most_bytes && r->base.sinks[i]->most_bytes < least) {
            signal = (enum weft_signal)i;
            least = r->base.sinks[i]->most_bytes;
        }
    if (least < taken)
        weft_log(r->base.log, WEFT_LOG_INFO, r->base.id,
                 "requests of %s with more than %.1f MiB when unpacked are refused: half of a journal is the most that one may take, and "
                 "bodies up to %.1f MiB are let in; service.journal.max_size sets it",
                 weft_signal_name(signal), (double)least / (1 << 20), (double)taken / (1 << 20));
}

static int start(struct weft_receiver *self)
{
    struct weft_otlp *r = (struct weft_otlp *)self;
    int err = 0;

    r->malformed_gate = (struct weft_log_gate){ .interval_ms = 10000, .burst = 3 };
    r->refused_gate = (struct weft_log_gate){ .interval_ms = 10000, .burst = 1 };
    if (r->want_grpc)
        err = weft_otlp_grpc_start(r);
    if (!err && r->want_http)
        err = weft_otlp_http_start(r);
    if (err)
        stop(self);
    else if (r->base.loop_index == 0)
        weft_log(r->base.log, WEFT_LOG_INFO, r->base.id, "taking OTLP over %s%s%s%s%s", r->want_grpc ? "gRPC on " : "",
                 r->want_grpc ? r->grpc_options.endpoint : "", r->want_grpc && r->want_http ? ", HTTP on " : "",
                 r->want_http && !r->want_grpc ? "HTTP on " : "", r->want_http ? r->http_options.endpoint : "");
    if (!err && r->base.loop_index == 0)
        tell_largest(r);
    return err;
}

const struct weft_receiver_type weft_receiver_otlp = {
    .name = "otlp",
    .summary = "OTLP over gRPC (4317) and HTTP (4318, protobuf and JSON)",
    .size = sizeof(struct weft_otlp),
    .signals = 1u << WEFT_TRACES | 1u << WEFT_LOGS | 1u << WEFT_METRICS,
    .options = options,
    .check = check,
    .start = start,
    .quiesce = quiesce,
    .in_hand = in_hand,
    .stop = stop,
};

/* SPDX-License-Identifier: Apache-2.0 */
/* otlp.c: the OTLP exporters' options, their start and stop, and their three types; see otlp.h. */
#include "exporters/otlp.h"

#include "core/err.h"
#include "exporters/otlp_exporter.h"

static const char *const compressions[] = { "auto", "gzip", "none", NULL };
static const char *const encodings[] = { "proto", "json", NULL };
static const char *const protocols[] = { "grpc", "otlp_grpc", "otlp_http", "thrift_http", NULL };

#define COMMON_ROWS                                                                                                    \
    WEFT_MAP("headers", struct weft_otlp_exporter, headers, .help = "headers (gRPC: metadata) to send with each request"), \
    WEFT_ENUM("compression", struct weft_otlp_exporter, compression, .fallback = "auto", .words = compressions,        \
              .help = "gzip or none; auto: gzip, but none when the endpoint is this machine"),                         \
    WEFT_INT("compression_params.level", struct weft_otlp_exporter, gzip_level, .fallback = "1", .min = 1, .max = 9,   \
             .help = "from 1 (fast) to 9 (small)"),                                                                    \
    WEFT_MSEC("timeout", struct weft_otlp_exporter, timeout_ms, .fallback = "10s", .min = 1, .max = 600000,            \
              .help = "how long one request may take"),                                                                \
    WEFT_BOOL("tls.insecure_skip_verify", struct weft_otlp_exporter, insecure_skip_verify, .fallback = "false",        \
              .help = "accept any certificate of the server"),                                                         \
    WEFT_STRING("tls.ca_file", struct weft_otlp_exporter, ca_file, .help = "certificates to trust; default: the system's"), \
    WEFT_STRING("tls.cert_file", struct weft_otlp_exporter, cert_file, .help = "our own certificate (mutual TLS)"),    \
    WEFT_STRING("tls.key_file", struct weft_otlp_exporter, key_file, .help = "the key of cert_file"),                  \
    WEFT_STRING("tls.server_name_override", struct weft_otlp_exporter, server_name_override,                           \
                .help = "the name to ask for and to find in the server's certificate"),                                \
    WEFT_IGNORED("tls.min_version", .fallback = "1.2", .warns = true, .help = "TLS 1.2 is the least in any case"),     \
    WEFT_IGNORED("read_buffer_size", .help = "buffers are sized by the batch"),                                        \
    WEFT_IGNORED("write_buffer_size", .help = "buffers are sized by the batch")

#define ENDPOINTS_ROW                                                                                                  \
    WEFT_LIST("endpoints", struct weft_otlp_exporter, endpoints,                                                       \
              .help = "several instead of endpoint: what the first does not take goes to the next; see load_balancing")

#define INSECURE_ROW                                                                                                   \
    WEFT_BOOL("tls.insecure", struct weft_otlp_exporter, insecure, .fallback = "false",                                \
              .help = "no TLS when the endpoint has no scheme")

#define GRPC_ROWS                                                                                                      \
    WEFT_IGNORED("balancer_name", .fallback = "pick_first", .warns = true,                                             \
                 .help = "one connection is kept to each endpoint; see endpoints and load_balancing"),                 \
    WEFT_IGNORED("wait_for_ready", .help = "the lane retries by itself"),                                              \
    WEFT_IGNORED("keepalive", .help = "TCP keep-alive is on")

static const struct weft_option grpc_options[] = {
    WEFT_STRING("endpoint", struct weft_otlp_exporter, endpoint,
                .help = "host:port, or a URL: http:// is without TLS, https:// with"),
    ENDPOINTS_ROW,
    INSECURE_ROW,
    COMMON_ROWS,
    GRPC_ROWS,
    { .key = NULL },
};

static const struct weft_option http_options[] = {
    WEFT_STRING("endpoint", struct weft_otlp_exporter, endpoint,
                .help = "base URL; /v1/traces, /v1/logs and /v1/metrics are added"),
    ENDPOINTS_ROW,
    WEFT_STRING("traces_endpoint", struct weft_otlp_exporter, traces_endpoint, .help = "whole URL for traces"),
    WEFT_STRING("logs_endpoint", struct weft_otlp_exporter, logs_endpoint, .help = "whole URL for logs"),
    WEFT_STRING("metrics_endpoint", struct weft_otlp_exporter, metrics_endpoint, .help = "whole URL for metrics"),
    WEFT_ENUM("encoding", struct weft_otlp_exporter, encoding, .fallback = "proto", .words = encodings,
              .help = "protobuf or OTLP's JSON"),
    INSECURE_ROW,
    COMMON_ROWS,
    WEFT_IGNORED("max_idle_conns", .help = "connections are kept as needed"),
    WEFT_IGNORED("max_idle_conns_per_host", .help = "connections are kept as needed"),
    WEFT_IGNORED("max_conns_per_host", .fallback = "0", .warns = true, .help = "connections are kept as needed; concurrency.max bounds them"),
    WEFT_IGNORED("idle_conn_timeout", .help = "connections are kept as needed"),
    { .key = NULL },
};

static const struct weft_option jaeger_options[] = {
    WEFT_STRING("endpoint", struct weft_otlp_exporter, endpoint,
                .help = "host:port of Jaeger's OTLP port (4317 for grpc, 4318 for otlp_http), or a URL"),
    ENDPOINTS_ROW,
    WEFT_ENUM("protocol", struct weft_otlp_exporter, protocol, .fallback = "grpc", .words = protocols,
              .help = "how to speak to Jaeger: grpc or otlp_http"),
    INSECURE_ROW,
    COMMON_ROWS,
    GRPC_ROWS,
    { .key = NULL },
};

static int start(struct weft_exporter *self)
{
    struct weft_otlp_exporter *o = (struct weft_otlp_exporter *)self;

    o->gate = (struct weft_log_gate){ .interval_ms = 60000, .burst = 3 };
    weft_buf_init(&o->plain, WEFT_OTLP_ANSWER_MAX);
    o->plain.account = self->account;
    int err = weft_otlp_target(o);
    const struct weft_http_client_options options = {
        .max_connections = self->concurrency > 4 ? self->concurrency : 4,
        .http2 = o->grpc,
        .insecure_skip_verify = o->insecure_skip_verify,
        .ca_file = o->ca_file,
        .cert_file = o->cert_file,
        .key_file = o->key_file,
        .server_name_override = o->server_name_override,
        .user_agent = "weft/" WEFT_VERSION,
        .account = self->account,
    };
    if (!err && o->compress)
        err = weft_gzip_new(&o->gzip, (int)o->gzip_level);
    if (!err)
        err = weft_http_client_open(&o->client, self->loop, &options);
    if (err)
        weft_log(self->log, WEFT_LOG_ERROR, self->id, "cannot start: %s", weft_err_text(err));
    return err;
}

static void stop(struct weft_exporter *self)
{
    struct weft_otlp_exporter *o = (struct weft_otlp_exporter *)self;

    weft_http_client_close(o->client); /* ends what is out, which uses the rest of the instance */
    o->client = NULL;
    weft_otlp_requests_free(o);
    weft_gzip_free(o->gzip);
    o->gzip = NULL;
    weft_gunzip_free(o->gunzip);
    o->gunzip = NULL;
    weft_buf_release(&o->plain);
    weft_arena_release(&o->text);
}

/* Below the 4 MiB that gRPC servers accept by default. */
enum { BATCH_BYTES = 2 * 1024 * 1024 };

const struct weft_exporter_type weft_exporter_otlp = {
    .name = "otlp",
    .summary = "OTLP over gRPC to any back end that takes it",
    .size = sizeof(struct weft_otlp_exporter),
    .signals = 1u << WEFT_TRACES | 1u << WEFT_LOGS | 1u << WEFT_METRICS,
    .options = grpc_options,
    .batch_bytes = BATCH_BYTES,
    .concurrency = 4,
    .endpoint = weft_otlp_endpoint,
    .check = weft_otlp_check,
    .start = start,
    .send = weft_otlp_send,
    .trim = weft_otlp_trim,
    .stop = stop,
};

const struct weft_exporter_type weft_exporter_otlphttp = {
    .name = "otlphttp",
    .summary = "OTLP over HTTP, as protobuf or JSON",
    .size = sizeof(struct weft_otlp_exporter),
    .signals = 1u << WEFT_TRACES | 1u << WEFT_LOGS | 1u << WEFT_METRICS,
    .options = http_options,
    .batch_bytes = BATCH_BYTES,
    .concurrency = 4,
    .endpoint = weft_otlp_endpoint,
    .check = weft_otlp_check,
    .start = start,
    .send = weft_otlp_send,
    .trim = weft_otlp_trim,
    .stop = stop,
};

const struct weft_exporter_type weft_exporter_jaeger = {
    .name = "jaeger",
    .summary = "spans to a Jaeger, by OTLP over gRPC or HTTP",
    .size = sizeof(struct weft_otlp_exporter),
    .signals = 1u << WEFT_TRACES,
    .options = jaeger_options,
    .batch_bytes = BATCH_BYTES,
    .concurrency = 4,
    .endpoint = weft_otlp_endpoint,
    .check = weft_otlp_check,
    .start = start,
    .send = weft_otlp_send,
    .trim = weft_otlp_trim,
    .stop = stop,
};

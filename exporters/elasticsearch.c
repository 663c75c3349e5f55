/* SPDX-License-Identifier: Apache-2.0 */
/* elasticsearch.c: the exporter's options, its start and stop, and its type; see elasticsearch.h. */
#include "exporters/elasticsearch.h"

#include "core/err.h"
#include "exporters/elasticsearch_exporter.h"

static const char *const compressions[] = { "auto", "gzip", "none", NULL };
static const char *const modes[] = { "otel", "ecs", NULL };

#define E struct weft_es_exporter

static const struct weft_option options[] = {
    WEFT_LIST("endpoints", E, endpoints, .help = "URLs of the nodes (http://host:9200), used in turn; what one does not take goes to the next"),
    WEFT_STRING("endpoint", E, endpoint, .help = "URL of the only node"),
    WEFT_STRING("user", E, user, .help = "user name for HTTP basic authentication"),
    WEFT_STRING("password", E, password, .help = "password for HTTP basic authentication"),
    WEFT_STRING("api_key", E, api_key, .help = "API key in its encoded form"),
    WEFT_STRING("logs_index", E, logs_index, .help = "one index or data stream for all logs; default: logs-DATASET-NAMESPACE by attributes"),
    WEFT_STRING("traces_index", E, traces_index, .help = "one index or data stream for all spans; default: traces-DATASET-NAMESPACE by attributes"),
    WEFT_STRING("pipeline", E, pipeline, .help = "ingest pipeline that documents go through"),
    WEFT_ENUM("mapping.mode", E, mode, .fallback = "otel", .words = modes,
              .help = "shape of documents: OpenTelemetry's names, or Elastic Common Schema"),
    WEFT_MAP("headers", E, headers, .help = "headers to send with each request"),
    WEFT_ENUM("compression", E, compression, .fallback = "auto", .words = compressions,
              .help = "gzip or none; auto: gzip, but none when all endpoints are this machine"),
    WEFT_INT("compression_params.level", E, gzip_level, .fallback = "1", .min = 1, .max = 9,
             .help = "from 1 (fast) to 9 (small)"),
    WEFT_MSEC("timeout", E, timeout_ms, .fallback = "10s", .min = 1, .max = 600000, .help = "how long one request may take"),
    WEFT_BYTES("flush.bytes", E, flush_bytes, .fallback = "5MB", .min = 65536, .max = 64u << 20,
               .help = "size of one request before compression"),
    WEFT_BOOL("tls.insecure_skip_verify", E, insecure_skip_verify, .fallback = "false", .help = "accept any certificate of the server"),
    WEFT_STRING("tls.ca_file", E, ca_file, .help = "certificates to trust; default: the system's"),
    WEFT_STRING("tls.cert_file", E, cert_file, .help = "our own certificate (mutual TLS)"),
    WEFT_STRING("tls.key_file", E, key_file, .help = "the key of cert_file"),
    WEFT_STRING("tls.server_name_override", E, server_name_override, .help = "the name to ask for and to find in the server's certificate"),
    WEFT_IGNORED("tls.insecure", .help = "the URL's scheme decides"),
    WEFT_IGNORED("tls.min_version", .fallback = "1.2", .warns = true, .help = "TLS 1.2 is the least in any case"),
    WEFT_IGNORED("flush.interval", .help = "what waits is sent at once"),
    WEFT_IGNORED("num_workers", .warns = true, .help = "how many requests are out is found while it runs; concurrency.max bounds it"),
    WEFT_IGNORED("retry", .warns = true, .help = "retry_on_failure of every exporter; single documents are tried again on 429 and 5xx"),
    WEFT_IGNORED("batcher", .warns = true, .help = "the journal is the batcher; see batch.max_items and batch.max_bytes"),
    WEFT_IGNORED("discover", .warns = true, .help = "the endpoints are those that are listed"),
    WEFT_IGNORED("logs_dynamic_index", .help = "always on unless logs_index is set"),
    WEFT_IGNORED("traces_dynamic_index", .help = "always on unless traces_index is set"),
    WEFT_IGNORED("metrics_index", .help = "metrics are not sent to Elasticsearch"),
    WEFT_IGNORED("metrics_dynamic_index", .help = "metrics are not sent to Elasticsearch"),
    WEFT_IGNORED("mapping.allowed_modes", .help = "the mode is the same for all data"),
    WEFT_IGNORED("mapping.dedot", .help = "Elasticsearch expands dotted names by itself"),
    WEFT_IGNORED("mapping.dedup", .help = "a name is never written twice"),
    WEFT_IGNORED("telemetry", .help = "Weft has metrics of its own"),
    { .key = NULL },
};

#undef E

static int start(struct weft_exporter *self)
{
    struct weft_es_exporter *e = (struct weft_es_exporter *)self;

    int err = weft_es_target(e);
    e->max_bytes = e->flush_bytes;
    weft_es_composer_init(&e->composer);
    e->composer.otel = e->mode == WEFT_ES_OTEL;
    e->composer.static_index[WEFT_LOGS] = e->logs_index;
    e->composer.static_index[WEFT_TRACES] = e->traces_index;
    const struct weft_http_client_options client = {
        .max_connections = self->concurrency > 4 ? self->concurrency : 4,
        .insecure_skip_verify = e->insecure_skip_verify,
        .ca_file = e->ca_file,
        .cert_file = e->cert_file,
        .key_file = e->key_file,
        .server_name_override = e->server_name_override,
        .user_agent = "weft/" WEFT_VERSION,
        .account = self->account,
    };
    if (!err && e->compress)
        err = weft_gzip_new(&e->gzip, (int)e->gzip_level);
    if (!err)
        err = weft_http_client_open(&e->client, self->loop, &client);
    if (err)
        weft_log(self->log, WEFT_LOG_ERROR, self->id, "cannot start: %s", weft_err_text(err));
    return err;
}

static void stop(struct weft_exporter *self)
{
    struct weft_es_exporter *e = (struct weft_es_exporter *)self;

    weft_http_client_close(e->client); /* ends what is out, which uses the rest of the instance */
    e->client = NULL;
    weft_es_requests_free(e);
    weft_es_composer_release(&e->composer);
    weft_gzip_free(e->gzip);
    e->gzip = NULL;
    weft_arena_release(&e->text);
}

const struct weft_exporter_type weft_exporter_elasticsearch = {
    .name = "elasticsearch",
    .summary = "logs and spans into Elasticsearch or OpenSearch, exactly once in effect",
    .size = sizeof(struct weft_es_exporter),
    .signals = 1u << WEFT_LOGS | 1u << WEFT_TRACES,
    .options = options,
    .batch_bytes = 1024 * 1024, /* about 2.5 MB of documents */
    .item_percent = 125, /* of text, of which few bytes need an escape */
    .concurrency = 4,
    .round_robin = true,
    .endpoint = weft_es_endpoint,
    .check = weft_es_check,
    .start = start,
    .send = weft_es_send,
    .trim = weft_es_trim,
    .stop = stop,
};

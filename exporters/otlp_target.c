/* SPDX-License-Identifier: Apache-2.0 */
/* otlp_target.c: from the options to URLs and header lines; see otlp_exporter.h.
 *
 * A gRPC endpoint is host:port, or a URL whose scheme decides about TLS; an HTTP endpoint is a base URL to which
 * /v1/traces and so on are added, unless a signal has an endpoint of its own. A configuration of the Collector
 * means the same here.
 */
#include "exporters/otlp.h"
#include "exporters/otlp_exporter.h"

#include "core/err.h"
#include "core/http_lines.h"

#include <inttypes.h>
#include <strings.h>

enum { TEXT_MAX = 64 * 1024 };

static const char *const grpc_paths[WEFT_SIGNALS] = {
    [WEFT_TRACES] = "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    [WEFT_LOGS] = "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
    [WEFT_METRICS] = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
};

static const char *const http_paths[WEFT_SIGNALS] = {
    [WEFT_TRACES] = "/v1/traces", [WEFT_LOGS] = "/v1/logs", [WEFT_METRICS] = "/v1/metrics",
};

/* ---- what an endpoint says ---- */
static bool has_prefix(const char *text, const char *prefix)
{
    return strncasecmp(text, prefix, strlen(prefix)) == 0;
}

static bool is_url(const char *endpoint)
{
    return has_prefix(endpoint, "http://") || has_prefix(endpoint, "https://");
}

/* host:port without a scheme; the resolver prefix of gRPC names is accepted and means nothing here. */
static const char *plain_authority(const char *endpoint)
{
    return has_prefix(endpoint, "dns:///") ? endpoint + 7 : endpoint;
}

static bool is_authority(const char *text)
{
    const char *colon = strrchr(text, ':');

    if (!colon || colon == text || strpbrk(text, "/ \t@?#"))
        return false;
    size_t digits = strspn(colon + 1, "0123456789");
    return digits >= 1 && digits <= 5 && colon[1 + digits] == 0;
}

static bool is_grpc(const struct weft_otlp_exporter *o)
{
    if (o->base.type == &weft_exporter_otlphttp)
        return false;
    return o->base.type == &weft_exporter_otlp || o->protocol != WEFT_OTLP_HTTP;
}

static const char *signal_endpoint(const struct weft_otlp_exporter *o, enum weft_signal signal)
{
    return signal == WEFT_TRACES ? o->traces_endpoint : signal == WEFT_LOGS ? o->logs_endpoint : o->metrics_endpoint;
}

/* ---- check ---- */
static void check_form(const struct weft_otlp_exporter *o, const char *key, const char *value,
                       const struct weft_node *where, struct weft_problems *problems)
{
    if (is_url(value))
        return;
    if (o->base.type == &weft_exporter_otlphttp)
        weft_problem(problems, where, "%s: '%s' is not a URL (http://host:port)", key, value);
    else if (!is_authority(plain_authority(value)))
        weft_problem(problems, where, "%s: '%s' is not host:port", key, value);
}

/* Those of one signal; how many there are. */
static size_t check_signal_endpoints(const struct weft_otlp_exporter *o, const struct weft_node *map,
                                     struct weft_problems *problems)
{
    static const char *const keys[] = { "traces_endpoint", "logs_endpoint", "metrics_endpoint" };
    const char *const values[] = { o->traces_endpoint, o->logs_endpoint, o->metrics_endpoint };
    size_t n = 0;

    for (size_t i = 0; i < 3; i++) {
        if (!values[i])
            continue;
        n++;
        check_form(o, keys[i], values[i], weft_node_get(map, keys[i]), problems);
        if (o->endpoints.n > 0)
            weft_problem(problems, weft_node_get(map, keys[i]), "%s goes with endpoint, not with endpoints", keys[i]);
    }
    return n;
}

static void check_endpoints(const struct weft_otlp_exporter *o, const struct weft_node *map, struct weft_problems *problems)
{
    const struct weft_node *list = weft_node_get(map, "endpoints");
    bool http = o->base.type == &weft_exporter_otlphttp;

    if (o->endpoint)
        check_form(o, "endpoint", o->endpoint, weft_node_get(map, "endpoint"), problems);
    for (size_t i = 0; i < o->endpoints.n; i++)
        check_form(o, "endpoints", o->endpoints.items[i], list, problems);
    if (o->endpoint && o->endpoints.n > 0)
        weft_problem(problems, list, "endpoint and endpoints are both set");
    if (o->endpoints.n > WEFT_OTLP_ENDPOINTS)
        weft_problem(problems, list, "endpoints: more than %d", WEFT_OTLP_ENDPOINTS);
    if (check_signal_endpoints(o, map, problems) == 0 && !o->endpoint && o->endpoints.n == 0)
        weft_problem(problems, map, "%s", http ? "endpoint is missing (or one of traces_endpoint, logs_endpoint, metrics_endpoint)"
                                              : "endpoint is missing");
}

int weft_otlp_check(struct weft_exporter *self, const struct weft_node *map, struct weft_problems *problems)
{
    const struct weft_otlp_exporter *o = (const struct weft_otlp_exporter *)self;
    size_t before = problems->n;

    weft_http_lines_check(&o->headers, map, problems);
    check_endpoints(o, map, problems);
    if (self->type == &weft_exporter_jaeger && o->protocol == WEFT_OTLP_THRIFT)
        weft_problem(problems, weft_node_get(map, "protocol"),
                     "protocol: thrift_http is not built; every Jaeger since 1.35 takes grpc and otlp_http");
    return problems->n == before ? 0 : WEFT_ERR_CONFIG;
}

/* ---- URLs and header lines ---- */
/* Of several, or the only one; an exporter that has endpoints of single signals alone is named by the first of them. */
const char *weft_otlp_endpoint(const struct weft_exporter *self, size_t index)
{
    const struct weft_otlp_exporter *o = (const struct weft_otlp_exporter *)self;

    if (o->endpoints.n > 0)
        return index < o->endpoints.n ? o->endpoints.items[index] : NULL;
    if (index > 0)
        return NULL;
    return o->endpoint          ? o->endpoint
           : o->traces_endpoint ? o->traces_endpoint
           : o->logs_endpoint   ? o->logs_endpoint
                                : o->metrics_endpoint;
}

/* The endpoint as a base URL without a slash at its end. */
static void put_base(const struct weft_otlp_exporter *o, struct weft_buf *line, const char *endpoint)
{
    const char *rest = plain_authority(endpoint);
    size_t len = strlen(rest);

    while (len > 0 && rest[len - 1] == '/')
        len--;
    if (!is_url(rest))
        weft_buf_append_str(line, o->insecure ? "http://" : "https://");
    weft_buf_append(line, rest, len);
}

static int add_target(struct weft_otlp_exporter *o, struct weft_buf *line, const char *endpoint)
{
    struct weft_otlp_endpoint *target = &o->targets[o->n_targets];

    for (enum weft_signal s = 0; s < WEFT_SIGNALS; s++) {
        const char *own = o->grpc ? NULL : signal_endpoint(o, s);
        if (!own && !endpoint)
            continue;
        if (own) {
            weft_buf_append_str(line, own);
        } else {
            put_base(o, line, endpoint);
            weft_buf_append_str(line, (o->grpc ? grpc_paths : http_paths)[s]);
        }
        target->urls[s] = weft_http_lines_keep(&o->text, line);
        if (!target->urls[s])
            return UV_ENOMEM;
    }
    o->n_targets++;
    return 0;
}

static int make_targets(struct weft_otlp_exporter *o, struct weft_buf *line)
{
    int err = 0;

    if (o->endpoints.n == 0)
        return add_target(o, line, o->endpoint);
    if (o->endpoints.n > WEFT_OTLP_ENDPOINTS)
        return WEFT_ERR_TOO_LARGE;
    for (size_t i = 0; i < o->endpoints.n && !err; i++)
        err = add_target(o, line, o->endpoints.items[i]);
    return err;
}

static int add_line(struct weft_otlp_exporter *o, struct weft_buf *line)
{
    return weft_http_lines_add(o->lines, &o->text, line);
}

static int add_text(struct weft_otlp_exporter *o, struct weft_buf *line, const char *text)
{
    weft_buf_append_str(line, text);
    return add_line(o, line);
}

/* gRPC allows eight digits. */
static int add_grpc_timeout(struct weft_otlp_exporter *o, struct weft_buf *line)
{
    bool fits = o->timeout_ms < 100000000;

    weft_buf_printf(line, "grpc-timeout: %" PRIu64 "%c", fits ? o->timeout_ms : o->timeout_ms / 1000, fits ? 'm' : 'S');
    return add_line(o, line);
}

static int make_lines(struct weft_otlp_exporter *o, struct weft_buf *line)
{
    int err;

    if (o->grpc) {
        err = add_text(o, line, "content-type: application/grpc");
        if (!err)
            err = add_text(o, line, "te: trailers");
        if (!err)
            err = add_grpc_timeout(o, line);
        if (!err && o->compress)
            err = add_text(o, line, "grpc-encoding: gzip");
    } else {
        err = add_text(o, line, o->encoding == WEFT_OTLP_JSON ? "Content-Type: application/json"
                                                              : "Content-Type: application/x-protobuf");
        if (!err && o->compress)
            err = add_text(o, line, "Content-Encoding: gzip");
    }
    return err ? err : weft_http_lines_add_pairs(o->lines, &o->text, line, &o->headers);
}

/* All but the one that says gzip: the last of those that we set ourselves. */
static void copy_plain_lines(struct weft_otlp_exporter *o)
{
    size_t n = 0, encoding = o->grpc ? 3 : 1;

    for (size_t i = 0; o->lines[i]; i++)
        if (!o->compress || i != encoding)
            o->plain_lines[n++] = o->lines[i];
}

static bool all_loopback(const struct weft_otlp_exporter *o)
{
    for (unsigned i = 0; i < o->n_targets; i++)
        for (enum weft_signal s = 0; s < WEFT_SIGNALS; s++)
            if (o->targets[i].urls[s] && !weft_http_is_loopback(o->targets[i].urls[s]))
                return false;
    return true;
}

int weft_otlp_target(struct weft_otlp_exporter *o)
{
    struct weft_buf line;

    o->grpc = is_grpc(o);
    weft_arena_init(&o->text, TEXT_MAX);
    weft_buf_init(&line, TEXT_MAX);
    int err = make_targets(o, &line);
    if (!err) {
        o->compress = o->compression == WEFT_OTLP_GZIP || (o->compression == WEFT_OTLP_AUTO && !all_loopback(o));
        err = make_lines(o, &line);
        copy_plain_lines(o);
    }
    weft_buf_release(&line);
    return err;
}

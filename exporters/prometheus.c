/* SPDX-License-Identifier: Apache-2.0 */
/* prometheus.c: metrics in, a page for Prometheus to scrape out.
 *
 * Nothing is sent anywhere: a batch ends in the store (prometheus_store.h) at once, and a scrape reads the store
 * (prometheus_scrape.c). Both happen on the lane's thread, so nothing is locked. Half of the memory that the exporter
 * may have is the store's, half is for pages on their way.
 *
 *   (1) Every data point of a batch is in the store or was told to host->drop with a reason.
 *   (2) send never waits and never retries. */
#include "exporters/prometheus.h"

#include "core/clock.h"
#include "core/endpoint.h"
#include "core/err.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

enum { DEFAULT_MEMORY = 64 << 20, GATE_MS = 10000, GATE_BURST = 5, WORDS_MAX = 120 };

static const char *const strategies[] = { "UnderscoreEscapingWithSuffixes", "UnderscoreEscapingWithoutSuffixes",
                                          "NoUTF8EscapingWithSuffixes", "NoTranslation", NULL };

static const struct weft_option options[] = {
    WEFT_STRING("endpoint", struct weft_prom, endpoint, .fallback = "127.0.0.1:8889",
                .help = "address and port that serve /metrics"),
    WEFT_STRING("namespace", struct weft_prom, space, .help = "put before the name of every metric"),
    WEFT_MAP("const_labels", struct weft_prom, const_labels, .help = "labels put on every series"),
    WEFT_BOOL("send_timestamps", struct weft_prom, send_timestamps, .fallback = "false",
              .help = "give each sample the time of its data point instead of the time of the scrape"),
    WEFT_MSEC("metric_expiration", struct weft_prom, metric_expiration, .fallback = "5m", .min = 1000,
              .max = 30.0 * 86400000, .help = "forget a series that was not updated this long"),
    WEFT_INT("max_series", struct weft_prom, max_series, .fallback = "100000", .min = 1, .max = 10000000,
             .help = "most sample lines on the page; data points of further series are dropped and counted"),
    WEFT_IGNORED("enable_open_metrics", .help = "not needed: the format is negotiated with each scraper"),
    WEFT_BOOL("add_metric_suffixes", struct weft_prom, add_metric_suffixes, .fallback = "true",
              .help = "append unit and type to names; translation_strategy says the same and more"),
    WEFT_ENUM("translation_strategy", struct weft_prom, strategy, .fallback = "UnderscoreEscapingWithSuffixes",
              .words = strategies, .help = "how names of metrics and attributes become names of series and labels"),
    WEFT_BOOL("resource_to_telemetry_conversion.enabled", struct weft_prom, copy_resource, .fallback = "false",
              .help = "turn every resource attribute into a label of its series"),
    WEFT_BOOL("resource_to_telemetry_conversion.exclude_service_attributes", struct weft_prom,
              copy_resource_but_service, .fallback = "false",
              .help = "but for service.name, service.namespace and service.instance.id"),
    WEFT_LIST("resource_constant_labels.included", struct weft_prom, included,
              .help = "patterns of resource attributes that become labels"),
    WEFT_LIST("resource_constant_labels.excluded", struct weft_prom, excluded,
              .help = "patterns of resource attributes that do not"),
    WEFT_BOOL("without_scope_info", struct weft_prom, without_scope_info, .fallback = "false",
              .help = "leave out the labels otel_scope_name, otel_scope_version and their like"),
    WEFT_PRESENT("tls", struct weft_prom, tls, .help = "serve over TLS"),
    WEFT_STRING("tls.cert_file", struct weft_prom, cert_file, .help = "certificate of the server, PEM"),
    WEFT_STRING("tls.key_file", struct weft_prom, key_file, .help = "its private key, PEM"),
    WEFT_STRING("tls.client_ca_file", struct weft_prom, client_ca_file,
                .help = "authorities whose client certificates are accepted; none: no client certificate is asked for"),
    WEFT_STRING("tls.ca_file", struct weft_prom, ca_file, .help = "accepted; a server has no use for it"),
    { .key = NULL },
};

static int check(struct weft_exporter *base, const struct weft_node *map, struct weft_problems *problems)
{
    struct weft_prom *p = (struct weft_prom *)base;

    size_t before = problems->n;

    p->strategy_given = weft_node_get(map, "translation_strategy") != NULL;
    if (!weft_endpoint_well_formed(p->endpoint))
        weft_problem(problems, weft_node_get(map, "endpoint"), "endpoint: '%s' is not host:port", p->endpoint);
    if (p->tls && !(p->cert_file && p->key_file))
        weft_problem(problems, weft_node_get(map, "tls"), "tls needs cert_file and key_file");
    return problems->n == before ? 0 : WEFT_ERR_CONFIG;
}

/* ---- start and stop ---- */

static uint64_t random_seed(void)
{
    uint64_t seed;

    return getrandom(&seed, sizeof seed, 0) == sizeof seed ? seed : weft_clock_mono_ns();
}

static struct weft_prom_settings settings_of(struct weft_prom *p)
{
    static char everything[] = "*", name[] = "service.name", space[] = "service.namespace",
                instance[] = "service.instance.id";
    static char *all[] = { everything }, *service[] = { name, space, instance };
    struct weft_prom_settings s = {
        .strategy = (enum weft_prom_strategy)p->strategy, .space = weft_slice_str(p->space),
        .const_labels = p->const_labels, .included = p->included, .excluded = p->excluded,
        .scope_labels = !p->without_scope_info, .expire_ms = p->metric_expiration, .max_lines = (uint64_t)p->max_series,
        .memory_limit = p->base.memory_limit / 2, .seed = random_seed(),
    };

    if (!p->strategy_given && !p->add_metric_suffixes && s.strategy == WEFT_PROM_UNDERSCORES_SUFFIXES)
        s.strategy = WEFT_PROM_UNDERSCORES;
    if (p->copy_resource && p->included.n + p->excluded.n == 0) {
        s.included = (struct weft_strings){ 1, all };
        if (p->copy_resource_but_service)
            s.excluded = (struct weft_strings){ 3, service };
    }
    return s;
}

static int start(struct weft_exporter *base)
{
    struct weft_prom *p = (struct weft_prom *)base;

    if (base->memory_limit == 0)
        base->memory_limit = DEFAULT_MEMORY;
    p->gate = (struct weft_log_gate){ .interval_ms = GATE_MS, .burst = GATE_BURST };
    struct weft_prom_settings settings = settings_of(p);
    weft_prom_store_init(&p->store, &settings);
    p->store.ledger.account = p->store.scratch.account = p->store.text.account = base->account;
    p->store_open = true;
    return weft_prom_scrape_open(p);
}

static void stop(struct weft_exporter *base)
{
    struct weft_prom *p = (struct weft_prom *)base;

    weft_prom_scrape_close(p);
    if (p->store_open)
        weft_prom_store_release(&p->store);
    p->store_open = false;
}

/* ---- batches ---- */

static void tell_run(struct weft_prom *p)
{
    if (p->run_n > 0)
        p->base.host->drop(&p->base, p->batch, p->run_first, p->run_n, p->run_reason);
    p->run_n = 0;
}

static const char *advice(const char *reason)
{
    if (strcmp(reason, WEFT_PROM_TYPE_CONFLICT) == 0)
        return "its name is another metric's of another type; rename one of them";
    if (strcmp(reason, WEFT_PROM_MAX_SERIES) == 0)
        return "max_series is reached; raise it, or drop attributes with many values";
    if (strcmp(reason, WEFT_PROM_MEMORY) == 0)
        return "the exporter's share of service::memory_limit is used up; raise it";
    if (strcmp(reason, WEFT_PROM_TEMPORALITY) == 0)
        return "a delta that can fall, or no temporality: Prometheus has nothing like it";
    return "see docs/prometheus.md";
}

static void on_drop(void *ctx, uint64_t item, const char *reason, struct weft_slice metric)
{
    struct weft_prom *p = ctx;
    char more[WEFT_LOG_MORE_MAX];
    unsigned silent;

    if (p->run_n == 0 || p->run_reason != reason || item != p->run_first + p->run_n) {
        tell_run(p);
        p->run_first = item;
        p->run_reason = reason;
    }
    p->run_n++;
    if (weft_log_gate_open(&p->gate, p->now_ms, &silent))
        weft_log(p->base.log, WEFT_LOG_WARN, p->base.id, "dropped a data point of %.*s (%s): %s%s",
                 (int)(metric.len < WORDS_MAX ? metric.len : WORDS_MAX), metric.data ? (const char *)metric.data : "",
                 reason, advice(reason), weft_log_more(silent, more));
}

static void send_batch(struct weft_exporter *base, struct weft_batch *batch)
{
    struct weft_prom *p = (struct weft_prom *)base;
    struct weft_prom_drops drops = { p, on_drop };
    uint64_t item = 0;

    p->batch = batch;
    p->now_ms = weft_clock_mono_ms();
    for (size_t i = 0; i < batch->n_records; i++) {
        const struct weft_record *r = &batch->records[i];
        weft_prom_take(&p->store, r->payload, p->now_ms, item, r->n_items, &drops);
        item += r->n_items;
    }
    tell_run(p);
    p->batch = NULL;
    base->host->done(base, batch, WEFT_SENT, NULL, NULL, 0);
}

const struct weft_exporter_type weft_exporter_prometheus = {
    .name = "prometheus",
    .summary = "serves metrics on /metrics: text, OpenMetrics with exemplars, protobuf with native histograms",
    .size = sizeof(struct weft_prom),
    .signals = 1u << WEFT_METRICS,
    .options = options,
    .local = true,
    .check = check,
    .start = start,
    .send = send_batch,
    .stop = stop,
};

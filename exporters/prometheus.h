/* SPDX-License-Identifier: Apache-2.0 */
/* prometheus.h: the exporter's own struct, for prometheus.c (component, options) and prometheus_scrape.c (HTTP). */
#ifndef WEFT_EXPORTERS_PROMETHEUS_H
#define WEFT_EXPORTERS_PROMETHEUS_H

#include "core/component.h"
#include "core/gzip.h"
#include "core/http_server.h"
#include "exporters/prometheus_page.h"
#include "exporters/prometheus_store.h"

/* Memory of pages that the server is still sending. Shared with them, because they may outlive the exporter. */
struct weft_prom_pages {
    unsigned refs;
    uint64_t bytes, limit;
    struct weft_account *account;
};

struct weft_prom {
    struct weft_exporter base;
    /* options */
    char *endpoint, *space;
    struct weft_pairs const_labels;
    bool send_timestamps, add_metric_suffixes, without_scope_info, copy_resource, copy_resource_but_service;
    struct weft_strings included, excluded;
    int strategy;
    uint64_t metric_expiration;         /* ms */
    int64_t max_series;
    char *cert_file, *key_file, *client_ca_file, *ca_file;
    bool tls;
    /* state */
    struct weft_prom_store store;
    struct weft_http_server *server;
    struct weft_http_tls server_tls;
    struct weft_gzip *gzip;
    struct weft_prom_pages *pages;
    struct weft_log_gate gate;
    size_t last_page[2];                /* bytes of the last plain and the last gzipped one, to guess the next one's room */
    bool store_open, strategy_given;
    /* the batch in hand */
    struct weft_batch *batch;
    uint64_t run_first, run_n;          /* items dropped in a row for one reason, not yet told */
    const char *run_reason;
    uint64_t now_ms;
};

extern const struct weft_exporter_type weft_exporter_prometheus;

/* Opens the HTTP server on the exporter's loop. 0 or a negative code, logged. */
int weft_prom_scrape_open(struct weft_prom *p);
void weft_prom_scrape_close(struct weft_prom *p);

/* Writes the page that the headers ask for; for the server, and for tests without one. */
void weft_prom_scrape(struct weft_prom *p, const char *accept, const char *accept_encoding, uint64_t now_ms,
                      struct weft_http_response *response);

#endif

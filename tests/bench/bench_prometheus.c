/* SPDX-License-Identifier: Apache-2.0 */
/* bench_prometheus.c: what 100,000 series cost the prometheus exporter: to take them for the first time, to update
 * them, to keep them, and to write them in each format, beside a memcpy of the same page.
 *
 *   bench_prometheus [SERIES]
 *
 * 100 counters, each series with 3 attributes of its own; CPU time, the best of 7 rounds, since others share the machine. */
#include "exporters/prometheus_page.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { METRICS = 100, ROUNDS = 7 };

static uint64_t cpu_ns(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void on_drop(void *ctx, uint64_t item, const char *reason, struct weft_slice metric)
{
    (void)ctx;
    (void)metric;
    (void)fprintf(stderr, "point %llu was dropped: %s\n", (unsigned long long)item, reason);
    exit(1);
}

static void put_counter(struct weft_buf *b, unsigned metric, unsigned series)
{
    char name[64];

    (void)snprintf(name, sizeof name, "http.server.requests.%u", metric);
    size_t whole = weft_wire_begin_wide(b, WEFT_OTLP_ITEMS);
    weft_wire_put_bytes(b, WEFT_METRIC_NAME, weft_slice_str(name));
    size_t sum = weft_wire_begin_wide(b, WEFT_METRIC_SUM);
    weft_wire_put_varint(b, WEFT_DATA_TEMPORALITY, WEFT_TEMPORALITY_CUMULATIVE);
    weft_wire_put_varint(b, WEFT_DATA_MONOTONIC, 1);
    for (unsigned i = 0; i < series; i++) {
        size_t point = weft_wire_begin(b, WEFT_DATA_POINTS);
        weft_wire_put_fixed64(b, WEFT_NUMBER_POINT_TIME, 1);
        weft_wire_put_double(b, WEFT_NUMBER_POINT_DOUBLE, i * 37.0 + metric);
        weft_attribute_put_string(b, WEFT_NUMBER_POINT_ATTRIBUTES, WEFT_SLICE("http.request.method"), WEFT_SLICE("GET"));
        weft_attribute_put_string(b, WEFT_NUMBER_POINT_ATTRIBUTES, WEFT_SLICE("http.route"), WEFT_SLICE("/api/v1/things"));
        weft_attribute_put_int(b, WEFT_NUMBER_POINT_ATTRIBUTES, WEFT_SLICE("tenant"), i);
        weft_wire_end(b, point);
    }
    weft_wire_end_wide(b, sum);
    weft_wire_end_wide(b, whole);
}

static void put_request(struct weft_buf *b, unsigned series)
{
    struct weft_buf resource;

    weft_buf_init(&resource, 4096);
    weft_attribute_put_string(&resource, WEFT_RESOURCE_ATTRIBUTES, WEFT_SLICE("service.name"), WEFT_SLICE("frontend"));
    weft_attribute_put_string(&resource, WEFT_RESOURCE_ATTRIBUTES, WEFT_SLICE("service.instance.id"), WEFT_SLICE("frontend-0"));
    struct weft_otlp_group group = weft_otlp_group_open(b, weft_buf_slice(&resource), weft_slice_of(NULL, 0));
    for (unsigned m = 0; m < METRICS; m++)
        put_counter(b, m, series / METRICS);
    weft_otlp_group_close(b, group);
    weft_buf_release(&resource);
}

static void report(const char *what, uint64_t ns, unsigned series)
{
    (void)printf("%-44s %8.1f ns/series\n", what, (double)ns / series);
}

static void bench_take(struct weft_prom_store *s, struct weft_slice request, unsigned series)
{
    const struct weft_prom_drops drops = { NULL, on_drop };
    uint64_t best = UINT64_MAX;

    for (int round = 0; round <= ROUNDS; round++) {
        uint64_t start = cpu_ns();
        weft_prom_take(s, request, 1000, 0, series, &drops);
        uint64_t took = cpu_ns() - start;
        if (round == 0)
            report("take, new", took, series);
        else if (took < best)
            best = took;
    }
    report("take, known", best, series);
    (void)printf("%-44s %8.0f bytes/series\n", "memory", (double)s->ledger.used / series);
}

static void bench_page(const struct weft_prom_store *s, enum weft_exposition format, const char *what, unsigned series)
{
    const struct weft_prom_page page = { .choice = { .format = format } };
    uint64_t best = UINT64_MAX, copied = UINT64_MAX;
    struct weft_buf out, copy;

    weft_buf_init(&out, 1u << 30);
    weft_buf_init(&copy, 1u << 30);
    for (int round = 0; round < ROUNDS; round++) {
        weft_buf_reset(&out);
        weft_buf_reset(&copy);
        uint64_t start = cpu_ns();
        weft_prom_write(s, &page, &out);
        uint64_t middle = cpu_ns();
        weft_buf_append(&copy, out.data, out.len);
        uint64_t end = cpu_ns();
        best = middle - start < best ? middle - start : best;
        copied = end - middle < copied ? end - middle : copied;
    }
    report(what, best, series);
    report("  memcpy of that page", copied, series);
    (void)printf("%-44s %8.1f MB\n", "  its size", (double)out.len / 1e6);
    weft_buf_release(&out);
    weft_buf_release(&copy);
}

int main(int argc, char **argv)
{
    const unsigned series = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 100000;
    const struct weft_prom_settings settings = { .scope_labels = true, .expire_ms = 300000, .max_lines = 1u << 30,
                                                 .memory_limit = 1u << 30, .seed = 1 };
    static struct weft_prom_store store;
    struct weft_buf request;

    if (series < METRICS || series % METRICS != 0) {
        (void)fprintf(stderr, "usage: bench_prometheus [SERIES]   (a multiple of %d)\n", METRICS);
        return 2;
    }
    weft_buf_init(&request, 1u << 30);
    weft_prom_store_init(&store, &settings);
    put_request(&request, series);
    bench_take(&store, weft_buf_slice(&request), series);
    bench_page(&store, WEFT_EXPOSITION_TEXT, "page, text 0.0.4", series);
    bench_page(&store, WEFT_EXPOSITION_OPENMETRICS, "page, OpenMetrics", series);
    bench_page(&store, WEFT_EXPOSITION_PROTOBUF, "page, protobuf", series);
    weft_prom_store_release(&store);
    weft_buf_release(&request);
    return 0;
}

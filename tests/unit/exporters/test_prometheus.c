/* SPDX-License-Identifier: Apache-2.0 */
/* From OTLP metrics (written as OTLP/JSON, which is readable) to the exact lines of a page, in each format; and
 * the bounds of the store: series, memory, age. */
#include "core/err.h"
#include "core/otlp_json.h"
#include "exporters/prometheus_exp.h"
#include "exporters/prometheus_page.h"
#include "exporters/prometheus_store.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

enum { ROOM = 32 << 20, MINUTES_5 = 300000, MAX_DROPS = 64 };

/* ---- input ---- */

#define ATTR(key, value)  "{\"key\":\"" key "\",\"value\":{\"stringValue\":\"" value "\"}}"
#define INT(key, value)   "{\"key\":\"" key "\",\"value\":{\"intValue\":" value "}}"
#define GROUP(resource, scope, metrics) \
    "{\"resourceMetrics\":[{\"resource\":{\"attributes\":[" resource "]},\"scopeMetrics\":[{\"scope\":" scope \
    ",\"metrics\":[" metrics "]}]}]}"
#define BARE(metrics)     GROUP("", "{}", metrics)
#define SUM(name, unit, more, points) \
    "{\"name\":\"" name "\",\"unit\":\"" unit "\",\"sum\":{" more ",\"dataPoints\":[" points "]}}"
#define COUNTER(name, points) SUM(name, "", "\"aggregationTemporality\":2,\"isMonotonic\":true", points)
#define DELTA(name, points)   SUM(name, "", "\"aggregationTemporality\":1,\"isMonotonic\":true", points)
#define GAUGE(name, points)   "{\"name\":\"" name "\",\"gauge\":{\"dataPoints\":[" points "]}}"
#define HISTOGRAM(name, temporality, points) \
    "{\"name\":\"" name "\",\"histogram\":{\"aggregationTemporality\":" temporality ",\"dataPoints\":[" points "]}}"
#define EXPONENTIAL(name, temporality, points) \
    "{\"name\":\"" name "\",\"exponentialHistogram\":{\"aggregationTemporality\":" temporality \
    ",\"dataPoints\":[" points "]}}"
#define POINT(value, attributes) "{\"timeUnixNano\":\"1000000000\",\"asDouble\":" value ",\"attributes\":[" attributes "]}"
#define AT(start, time, value) "{\"startTimeUnixNano\":\"" start "\",\"timeUnixNano\":\"" time "\",\"asDouble\":" value "}"

struct fixture {
    struct weft_prom_store store;
    struct weft_buf payload, page;
    uint64_t now_ms;
    size_t n_drops;
    struct { uint64_t item; const char *reason; } drops[MAX_DROPS];
};

static const struct weft_prom_settings defaults = {
    .scope_labels = true, .expire_ms = MINUTES_5, .max_lines = 100000, .memory_limit = ROOM, .seed = 42,
};

static void open_fixture(struct fixture *f, const struct weft_prom_settings *settings)
{
    memset(f, 0, sizeof *f);
    weft_prom_store_init(&f->store, settings);
    weft_buf_init(&f->payload, ROOM);
    weft_buf_init(&f->page, ROOM);
    f->now_ms = 1000000;
}

static void close_fixture(struct fixture *f)
{
    weft_prom_store_release(&f->store);
    if (f->store.ledger.used != 0)
        fail_msg("the store kept %llu bytes", (unsigned long long)f->store.ledger.used);
    weft_buf_release(&f->payload);
    weft_buf_release(&f->page);
}

static void on_drop(void *ctx, uint64_t item, const char *reason, struct weft_slice metric)
{
    struct fixture *f = ctx;
    (void)metric;

    if (f->n_drops < MAX_DROPS) {
        f->drops[f->n_drops].item = item;
        f->drops[f->n_drops].reason = reason;
    }
    f->n_drops++;
}

static void take_bytes(struct fixture *f, struct weft_slice payload)
{
    struct weft_prom_drops drops = { f, on_drop };
    uint32_t items;

    assert_int_equal(weft_otlp_count(WEFT_METRICS, payload, &items), 0);
    weft_prom_take(&f->store, payload, f->now_ms, 0, items, &drops);
}

static void take(struct fixture *f, const char *json)
{
    struct weft_json_error error;

    weft_buf_reset(&f->payload);
    if (weft_otlp_json_read(WEFT_METRICS, weft_slice_str(json), &f->payload, &error))
        fail_msg("%s at %zu: %s", error.reason, error.offset, json);
    take_bytes(f, weft_buf_slice(&f->payload));
}

static const char *page(struct fixture *f, enum weft_exposition format, enum weft_escaping escaping, bool timestamps)
{
    struct weft_prom_page p = { .choice = { format, escaping, "" }, .timestamps = timestamps };

    weft_prom_sweep(&f->store, f->now_ms);
    weft_buf_reset(&f->page);
    weft_prom_write(&f->store, &p, &f->page);
    weft_buf_append_byte(&f->page, 0);
    assert_int_equal(f->page.err, 0);
    f->page.len--;
    return (const char *)f->page.data;
}

static const char *text(struct fixture *f)
{
    return page(f, WEFT_EXPOSITION_TEXT, WEFT_ESCAPE_UNDERSCORES, false);
}

static const char *openmetrics(struct fixture *f)
{
    return page(f, WEFT_EXPOSITION_OPENMETRICS, WEFT_ESCAPE_UNDERSCORES, false);
}

/* ---- tables ---- */

#define EXEMPLAR(time, value, more) "{\"timeUnixNano\":\"" time "\",\"asDouble\":" value more "}"
#define IDS ",\"traceId\":\"0af7651916cd43dd8448eb211c80319c\",\"spanId\":\"b7ad6b7169203331\""
#define IDS_TEXT "trace_id=\"0af7651916cd43dd8448eb211c80319c\",span_id=\"b7ad6b7169203331\""
#define SHOP ATTR("service.name", "cart") "," ATTR("service.namespace", "shop") "," ATTR("service.instance.id", "i-1")

static void each_kind_of_metric_becomes_its_lines(void **state)
{
    const struct { const char *what, *json, *text, *openmetrics; } cases[] = {
        { "a cumulative monotonic sum is a counter",
          BARE(COUNTER("shop.requests", POINT("3", ATTR("code", "200")))),
          "# TYPE shop_requests_total counter\nshop_requests_total{code=\"200\"} 3\n",
          "# TYPE shop_requests counter\nshop_requests_total{code=\"200\"} 3\n# EOF\n" },
        { "a sum that may fall is a gauge",
          BARE(SUM("shop.inflight", "", "\"aggregationTemporality\":2", POINT("-2.5", ""))),
          "# TYPE shop_inflight gauge\nshop_inflight -2.5\n", "# TYPE shop_inflight gauge\nshop_inflight -2.5\n# EOF\n" },
        { "a gauge, with help and unit",
          BARE("{\"name\":\"mem\",\"unit\":\"By\",\"description\":\"In \\\"use\\\".\",\"gauge\":{\"dataPoints\":["
               "{\"timeUnixNano\":\"1\",\"asInt\":\"9007199254740993\"}]}}"),
          "# HELP mem_bytes In \"use\".\n# TYPE mem_bytes gauge\nmem_bytes 9007199254740992\n",
          "# HELP mem_bytes In \\\"use\\\".\n# TYPE mem_bytes gauge\n# UNIT mem_bytes bytes\nmem_bytes 9007199254740992\n# EOF\n" },
        { "a histogram's buckets add up",
          BARE(HISTOGRAM("d", "2", "{\"timeUnixNano\":\"1\",\"count\":\"6\",\"sum\":2.5,\"explicitBounds\":[0.005,200,1e6],"
                                   "\"bucketCounts\":[\"1\",\"2\",\"0\",\"3\"],\"attributes\":[" ATTR("m", "GET") "]}")),
          "# TYPE d histogram\nd_bucket{m=\"GET\",le=\"0.005\"} 1\nd_bucket{m=\"GET\",le=\"200.0\"} 3\n"
          "d_bucket{m=\"GET\",le=\"1e+06\"} 3\nd_bucket{m=\"GET\",le=\"+Inf\"} 6\nd_sum{m=\"GET\"} 2.5\nd_count{m=\"GET\"} 6\n",
          "# TYPE d histogram\nd_bucket{m=\"GET\",le=\"0.005\"} 1\nd_bucket{m=\"GET\",le=\"200.0\"} 3\n"
          "d_bucket{m=\"GET\",le=\"1e+06\"} 3\nd_bucket{m=\"GET\",le=\"+Inf\"} 6\nd_sum{m=\"GET\"} 2.5\nd_count{m=\"GET\"} 6\n"
          "# EOF\n" },
        { "a histogram without buckets or sum",
          BARE(HISTOGRAM("d", "2", "{\"timeUnixNano\":\"1\",\"count\":\"4\"}")),
          "# TYPE d histogram\nd_bucket{le=\"+Inf\"} 4\nd_count 4\n",
          "# TYPE d histogram\nd_bucket{le=\"+Inf\"} 4\nd_count 4\n# EOF\n" },
        { "an exponential histogram in classic buckets",
          BARE(EXPONENTIAL("e", "2", "{\"timeUnixNano\":\"1\",\"count\":\"10\",\"sum\":12.5,\"scale\":0,\"zeroCount\":\"2\","
                                     "\"positive\":{\"offset\":-1,\"bucketCounts\":[\"1\",\"0\",\"4\"]},"
                                     "\"negative\":{\"offset\":1,\"bucketCounts\":[\"1\",\"2\"]}}")),
          "# TYPE e histogram\ne_bucket{le=\"-4.0\"} 2\ne_bucket{le=\"-2.0\"} 3\ne_bucket{le=\"0.0\"} 5\n"
          "e_bucket{le=\"0.5\"} 5\ne_bucket{le=\"1.0\"} 6\ne_bucket{le=\"2.0\"} 6\ne_bucket{le=\"4.0\"} 10\n"
          "e_bucket{le=\"+Inf\"} 10\ne_sum 12.5\ne_count 10\n", NULL },
        { "a summary's quantiles",
          BARE("{\"name\":\"s\",\"summary\":{\"dataPoints\":[{\"timeUnixNano\":\"1\",\"count\":\"7\",\"sum\":3.5,"
               "\"quantileValues\":[{\"quantile\":0,\"value\":0.1},{\"quantile\":0.5,\"value\":0.25},{\"quantile\":1,\"value\":2}]}]}}"),
          "# TYPE s summary\ns{quantile=\"0.0\"} 0.1\ns{quantile=\"0.5\"} 0.25\ns{quantile=\"1.0\"} 2\ns_sum 3.5\ns_count 7\n",
          NULL },
        { "families come in the order of their names, series in the order of birth",
          BARE(GAUGE("b", POINT("1", ATTR("x", "2")) "," POINT("2", ATTR("x", "1"))) "," GAUGE("a", POINT("3", ""))),
          "# TYPE a gauge\na 3\n# TYPE b gauge\nb{x=\"2\"} 1\nb{x=\"1\"} 2\n", NULL },
        { "job, instance, scope and target_info",
          GROUP(SHOP "," ATTR("host.name", "h\\\"1\\\""),
                "{\"name\":\"lib\",\"version\":\"1.2\",\"attributes\":[" ATTR("short.name", "x") "]}", GAUGE("g", POINT("1", ATTR("a", "b")))),
          "# TYPE g gauge\n"
          "g{instance=\"i-1\",job=\"shop/cart\",otel_scope_name=\"lib\",otel_scope_short_name=\"x\",otel_scope_version=\"1.2\",a=\"b\"} 1\n"
          "# HELP target_info Target metadata\n# TYPE target_info gauge\n"
          "target_info{instance=\"i-1\",job=\"shop/cart\",host_name=\"h\\\"1\\\"\",service_instance_id=\"i-1\",service_name=\"cart\",service_namespace=\"shop\"} 1\n",
          "# TYPE g gauge\n"
          "g{instance=\"i-1\",job=\"shop/cart\",otel_scope_name=\"lib\",otel_scope_short_name=\"x\",otel_scope_version=\"1.2\",a=\"b\"} 1\n"
          "# HELP target Target metadata\n# TYPE target info\n"
          "target_info{instance=\"i-1\",job=\"shop/cart\",host_name=\"h\\\"1\\\"\",service_instance_id=\"i-1\",service_name=\"cart\",service_namespace=\"shop\"} 1\n"
          "# EOF\n" },
        { "labels that collide are joined in the order of their keys",
          BARE(GAUGE("g", POINT("1", ATTR("a_b", "3") "," ATTR("a.b", "2") "," ATTR("a-b", "1")))),
          "# TYPE g gauge\ng{a_b=\"1;2;3\"} 1\n", NULL },
        { "names that are taken are exported, and joined with what has that name",
          GROUP(ATTR("service.name", "s"), "{}", GAUGE("g", POINT("1", ATTR("exported_job", "y") "," ATTR("job", "x")))),
          "# TYPE g gauge\ng{job=\"s\",exported_job=\"y;x\"} 1\n"
          "# HELP target_info Target metadata\n# TYPE target_info gauge\ntarget_info{job=\"s\",service_name=\"s\"} 1\n", NULL },
        { "le on a histogram is not ours",
          BARE(HISTOGRAM("d", "2", "{\"timeUnixNano\":\"1\",\"count\":\"1\",\"attributes\":[" ATTR("le", "5") "]}")),
          "# TYPE d histogram\nd_bucket{exported_le=\"5\",le=\"+Inf\"} 1\nd_count{exported_le=\"5\"} 1\n", NULL },
        { "values of every type",
          BARE(GAUGE("g", POINT("1", INT("i", "-7") ",{\"key\":\"b\",\"value\":{\"boolValue\":true}},"
               "{\"key\":\"d\",\"value\":{\"doubleValue\":2.5}},{\"key\":\"e\",\"value\":{}},"
               "{\"key\":\"l\",\"value\":{\"arrayValue\":{\"values\":[{\"intValue\":1},{\"stringValue\":\"x\"}]}}}"))),
          "# TYPE g gauge\ng{b=\"true\",d=\"2.5\",i=\"-7\",l=\"[1,\\\"x\\\"]\"} 1\n", NULL },
        { "special values",
          BARE(GAUGE("g", POINT("\"NaN\"", ATTR("v", "1")) "," POINT("\"Infinity\"", ATTR("v", "2")) "," POINT("\"-Infinity\"", ATTR("v", "3")))),
          "# TYPE g gauge\ng{v=\"1\"} NaN\ng{v=\"2\"} +Inf\ng{v=\"3\"} -Inf\n", NULL },
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fixture f;
        open_fixture(&f, &defaults);
        take(&f, cases[i].json);
        if (f.n_drops > 0)
            fail_msg("%s: dropped for %s", cases[i].what, f.drops[0].reason);
        if (strcmp(text(&f), cases[i].text) != 0)
            fail_msg("%s: text\n%s", cases[i].what, text(&f));
        if (cases[i].openmetrics && strcmp(openmetrics(&f), cases[i].openmetrics) != 0)
            fail_msg("%s: OpenMetrics\n%s", cases[i].what, openmetrics(&f));
        close_fixture(&f);
    }
}

static void exemplars_are_the_newest_of_counters_and_buckets(void **state)
{
    const struct { const char *what, *json, *openmetrics; } cases[] = {
        { "on a counter, with the correlation ID",
          BARE(COUNTER("c", "{\"timeUnixNano\":\"1\",\"asInt\":\"5\",\"exemplars\":["
                       EXEMPLAR("1500000000", "1", IDS ",\"filteredAttributes\":[" ATTR("http.route", "/x") "," ATTR("correlation.id", "c0ffee00-1234-4abc-9def-000000000042") "]") ","
                       EXEMPLAR("1000000000", "9", "") "]}")),
          "# TYPE c counter\nc_total 5 # {" IDS_TEXT ",correlation_id=\"c0ffee00-1234-4abc-9def-000000000042\",http_route=\"/x\"} 1 1.5\n# EOF\n" },
        { "a correlation ID that does not fit is left out, what fits stays",
          BARE(COUNTER("c", "{\"timeUnixNano\":\"1\",\"asInt\":\"5\",\"exemplars\":["
                       EXEMPLAR("1500000000", "1", IDS ",\"filteredAttributes\":[" ATTR("correlation.id", "0123456789012345678901234567890123456789012345678901") "," ATTR("k", "v") "]") "]}")),
          "# TYPE c counter\nc_total 5 # {" IDS_TEXT ",k=\"v\"} 1 1.5\n# EOF\n" },
        { "51 characters fit",
          BARE(COUNTER("c", "{\"timeUnixNano\":\"1\",\"asInt\":\"5\",\"exemplars\":["
                       EXEMPLAR("1500000000", "1", IDS ",\"filteredAttributes\":[" ATTR("correlation.id", "012345678901234567890123456789012345678901234567890") "]") "]}")),
          "# TYPE c counter\nc_total 5 # {" IDS_TEXT ",correlation_id=\"012345678901234567890123456789012345678901234567890\"} 1 1.5\n# EOF\n" },
        { "one of each bucket",
          BARE(HISTOGRAM("d", "2", "{\"timeUnixNano\":\"1\",\"count\":\"3\",\"explicitBounds\":[1,2],\"bucketCounts\":[\"1\",\"1\",\"1\"],\"exemplars\":["
                         EXEMPLAR("1000000000", "1", "") "," EXEMPLAR("2000000000", "0.5", "") "," EXEMPLAR("3000000000", "7", IDS) "]}")),
          "# TYPE d histogram\nd_bucket{le=\"1.0\"} 1 # {} 0.5 2\nd_bucket{le=\"2.0\"} 2\n"
          "d_bucket{le=\"+Inf\"} 3 # {" IDS_TEXT "} 7 3\nd_count 3\n# EOF\n" },
        { "none on gauges",
          BARE(GAUGE("g", "{\"timeUnixNano\":\"1\",\"asInt\":\"5\",\"exemplars\":[" EXEMPLAR("1", "1", IDS) "]}")),
          "# TYPE g gauge\ng 5\n# EOF\n" },
        { "an exponential histogram's on its bucket",
          BARE(EXPONENTIAL("e", "2", "{\"timeUnixNano\":\"1\",\"count\":\"2\",\"scale\":0,\"positive\":{\"offset\":0,\"bucketCounts\":[\"1\",\"1\"]},"
                           "\"exemplars\":[" EXEMPLAR("1000000000", "3", IDS) "]}")),
          "# TYPE e histogram\ne_bucket{le=\"1.0\"} 0\ne_bucket{le=\"2.0\"} 1\ne_bucket{le=\"4.0\"} 2 # {" IDS_TEXT "} 3 1\n"
          "e_bucket{le=\"+Inf\"} 2\ne_count 2\n# EOF\n" },
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fixture f;
        open_fixture(&f, &defaults);
        take(&f, cases[i].json);
        if (strcmp(openmetrics(&f), cases[i].openmetrics) != 0)
            fail_msg("%s:\n%s", cases[i].what, openmetrics(&f));
        assert_null(strstr(text(&f), " # "));
        close_fixture(&f);
    }
}

/* Payloads one after the other; the page that is left, or a drop. */
static void points_follow_each_other_by_the_rules_of_time(void **state)
{
    const struct { const char *what, *json[4], *text; size_t drops; const char *reason; } cases[] = {
        { "cumulative points replace", { BARE(COUNTER("c", AT("1", "10", "5"))), BARE(COUNTER("c", AT("1", "20", "7"))) },
          "# TYPE c_total counter\nc_total 7\n", 0, NULL },
        { "the same cumulative point again is no drop",
          { BARE(COUNTER("c", AT("1", "10", "5"))), BARE(COUNTER("c", AT("1", "10", "5"))) },
          "# TYPE c_total counter\nc_total 5\n", 0, NULL },
        { "a cumulative reset is the sender's own", { BARE(COUNTER("c", AT("1", "10", "5"))), BARE(COUNTER("c", AT("15", "20", "1"))) },
          "# TYPE c_total counter\nc_total 1\n", 0, NULL },
        { "an older cumulative point is dropped", { BARE(COUNTER("c", AT("1", "20", "7"))), BARE(COUNTER("c", AT("1", "10", "5"))) },
          "# TYPE c_total counter\nc_total 7\n", 1, WEFT_PROM_OUT_OF_ORDER },
        { "deltas are added up", { BARE(DELTA("c", AT("1", "10", "5"))), BARE(DELTA("c", AT("10", "20", "2"))), BARE(DELTA("c", AT("30", "40", "1"))) },
          "# TYPE c_total counter\nc_total 8\n", 0, NULL },
        { "a delta seen before is not counted twice", { BARE(DELTA("c", AT("1", "10", "5"))), BARE(DELTA("c", AT("1", "10", "5"))) },
          "# TYPE c_total counter\nc_total 5\n", 1, WEFT_PROM_OUT_OF_ORDER },
        { "a delta below zero is none", { BARE(DELTA("c", AT("1", "10", "5"))), BARE(DELTA("c", AT("10", "20", "-5"))) },
          "# TYPE c_total counter\nc_total 5\n", 1, WEFT_PROM_POINT },
        { "a delta that may fall is dropped", { BARE(SUM("c", "", "\"aggregationTemporality\":1", AT("1", "2", "3"))) },
          "", 1, WEFT_PROM_TEMPORALITY },
        { "no temporality", { BARE(SUM("c", "", "\"isMonotonic\":true", AT("1", "2", "3"))) }, "", 1, WEFT_PROM_TEMPORALITY },
        { "delta histograms are added up",
          { BARE(HISTOGRAM("d", "1", "{\"timeUnixNano\":\"10\",\"count\":\"2\",\"sum\":1.5,\"explicitBounds\":[1],\"bucketCounts\":[\"1\",\"1\"]}")),
            BARE(HISTOGRAM("d", "1", "{\"timeUnixNano\":\"20\",\"count\":\"1\",\"sum\":0.5,\"explicitBounds\":[1],\"bucketCounts\":[\"1\",\"0\"]}")) },
          "# TYPE d histogram\nd_bucket{le=\"1.0\"} 2\nd_bucket{le=\"+Inf\"} 3\nd_sum 2\nd_count 3\n", 0, NULL },
        { "a delta histogram with new bounds begins anew",
          { BARE(HISTOGRAM("d", "1", "{\"timeUnixNano\":\"10\",\"count\":\"2\",\"explicitBounds\":[1],\"bucketCounts\":[\"1\",\"1\"]}")),
            BARE(HISTOGRAM("d", "1", "{\"timeUnixNano\":\"20\",\"count\":\"1\",\"explicitBounds\":[2],\"bucketCounts\":[\"1\",\"0\"]}")) },
          "# TYPE d histogram\nd_bucket{le=\"2.0\"} 1\nd_bucket{le=\"+Inf\"} 1\nd_count 1\n", 0, NULL },
        { "delta exponential histograms of two scales are added up in the coarser one",
          { BARE(EXPONENTIAL("e", "1", "{\"timeUnixNano\":\"10\",\"count\":\"3\",\"sum\":4,\"scale\":1,\"positive\":{\"offset\":0,\"bucketCounts\":[\"1\",\"2\"]}}")),
            BARE(EXPONENTIAL("e", "1", "{\"timeUnixNano\":\"20\",\"count\":\"2\",\"sum\":9,\"scale\":0,\"positive\":{\"offset\":1,\"bucketCounts\":[\"1\",\"1\"]}}")) },
          "# TYPE e histogram\ne_bucket{le=\"1.0\"} 0\ne_bucket{le=\"2.0\"} 3\ne_bucket{le=\"4.0\"} 4\ne_bucket{le=\"8.0\"} 5\n"
          "e_bucket{le=\"+Inf\"} 5\ne_sum 13\ne_count 5\n", 0, NULL },
        { "no recorded value makes a series go at once",
          { BARE(GAUGE("g", POINT("1", ATTR("x", "1")) "," POINT("2", ATTR("x", "2")))),
            BARE(GAUGE("g", "{\"timeUnixNano\":\"2000000000\",\"flags\":1,\"attributes\":[" ATTR("x", "1") "]}")) },
          "# TYPE g gauge\ng{x=\"2\"} 2\n", 0, NULL },
        { "and a counter that comes back begins anew",
          { BARE(DELTA("c", AT("1", "10", "5"))), BARE(DELTA("c", "{\"timeUnixNano\":\"20\",\"flags\":1}")), BARE(DELTA("c", AT("20", "30", "2"))) },
          "# TYPE c_total counter\nc_total 2\n", 0, NULL },
        { "the same labels in another order are the same series",
          { BARE(GAUGE("g", POINT("1", ATTR("a", "1") "," ATTR("b", "2")))), BARE(GAUGE("g", POINT("2", ATTR("b", "2") "," ATTR("a", "1")))) },
          "# TYPE g gauge\ng{a=\"1\",b=\"2\"} 2\n", 0, NULL },
        { "two spellings of the same labels are the same series",
          { BARE(GAUGE("g", POINT("1", ATTR("a.b", "1")))), BARE(GAUGE("g", POINT("2", INT("a_b", "1")))), BARE(GAUGE("g", POINT("3", ATTR("a.b", "1")))) },
          "# TYPE g gauge\ng{a_b=\"1\"} 3\n", 0, NULL },
        { "a restarted process with another pid keeps its series; target_info follows",
          { GROUP(ATTR("service.name", "s") "," INT("process.pid", "1"), "{}", GAUGE("g", POINT("1", ""))),
            GROUP(ATTR("service.name", "s") "," INT("process.pid", "2"), "{}", GAUGE("g", POINT("2", ""))) },
          "# TYPE g gauge\ng{job=\"s\"} 2\n# HELP target_info Target metadata\n# TYPE target_info gauge\n"
          "target_info{job=\"s\",process_pid=\"2\",service_name=\"s\"} 1\n", 0, NULL },
        { "colliding types: the first stays", { BARE(GAUGE("x", POINT("1", ""))), BARE(COUNTER("x", POINT("2", ""))) },
          "# TYPE x gauge\nx 1\n", 1, WEFT_PROM_TYPE_CONFLICT },
        { "colliding sample names too", { BARE(HISTOGRAM("x", "2", "{\"timeUnixNano\":\"1\",\"count\":\"1\"}")), BARE(GAUGE("x.count", POINT("2", ""))) },
          "# TYPE x histogram\nx_bucket{le=\"+Inf\"} 1\nx_count 1\n", 1, WEFT_PROM_TYPE_CONFLICT },
        { "target_info is ours", { BARE(GAUGE("target.info", POINT("2", ""))) }, "", 1, WEFT_PROM_TYPE_CONFLICT },
        { "conflicting help: the first stays",
          { BARE("{\"name\":\"g\",\"description\":\"one\",\"gauge\":{\"dataPoints\":[" POINT("1", "") "]}}"),
            BARE("{\"name\":\"g\",\"description\":\"two\",\"gauge\":{\"dataPoints\":[" POINT("2", "") "]}}") },
          "# HELP g one\n# TYPE g gauge\ng 2\n", 0, NULL },
        { "a point without a value", { BARE(GAUGE("g", "{\"timeUnixNano\":\"1\"}")) }, "", 1, WEFT_PROM_POINT },
        { "buckets that do not match the bounds",
          { BARE(HISTOGRAM("d", "2", "{\"timeUnixNano\":\"1\",\"count\":\"1\",\"explicitBounds\":[1,2],\"bucketCounts\":[\"1\",\"0\"]}")) },
          "", 1, WEFT_PROM_POINT },
        { "bounds that fall",
          { BARE(HISTOGRAM("d", "2", "{\"timeUnixNano\":\"1\",\"count\":\"1\",\"explicitBounds\":[2,1],\"bucketCounts\":[\"1\",\"0\",\"0\"]}")) },
          "", 1, WEFT_PROM_POINT },
        { "a scale that cannot be told", { BARE(EXPONENTIAL("e", "2", "{\"timeUnixNano\":\"1\",\"count\":\"1\",\"scale\":-11,\"positive\":{\"bucketCounts\":[\"1\"]}}")) },
          "", 1, WEFT_PROM_POINT },
        { "a name that is none", { BARE(GAUGE("...", POINT("1", ""))) }, "", 1, WEFT_PROM_NAME },
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fixture f;
        open_fixture(&f, &defaults);
        for (size_t k = 0; k < 4 && cases[i].json[k]; k++)
            take(&f, cases[i].json[k]);
        if (strcmp(text(&f), cases[i].text) != 0)
            fail_msg("%s:\n%s", cases[i].what, text(&f));
        if (f.n_drops != cases[i].drops || (f.n_drops && strcmp(f.drops[0].reason, cases[i].reason) != 0))
            fail_msg("%s: %zu drops, %s", cases[i].what, f.n_drops, f.n_drops ? f.drops[0].reason : "");
        close_fixture(&f);
    }
}

static void options_change_names_and_labels(void **state)
{
    static char n1[] = "zone", v1[] = "eu \"1\"", n2[] = "tier.x", v2[] = "front", host[] = "host.*", name[] = "host.name";
    static struct weft_pair pairs[] = { { n1, v1 }, { n2, v2 } };
    static char *hosts[] = { host }, *names[] = { name };
    static const char input[] = GROUP(ATTR("service.name", "s") "," ATTR("host.name", "h") "," ATTR("host.arch", "arm"),
        "{\"name\":\"lib\"}", COUNTER("a.b", POINT("1", ATTR("c.d", "1"))));
    const struct { const char *what; struct weft_prom_settings settings; enum weft_escaping escaping; const char *line; } cases[] = {
        { "namespace and const_labels", { .space = WEFT_SLICE("ns"), .const_labels = { 2, pairs } }, WEFT_ESCAPE_UNDERSCORES,
          "\nns_a_b_total{job=\"s\",tier_x=\"front\",zone=\"eu \\\"1\\\"\",c_d=\"1\"} 1\n" },
        { "scope labels", { .scope_labels = true }, WEFT_ESCAPE_UNDERSCORES, "\na_b_total{job=\"s\",otel_scope_name=\"lib\",c_d=\"1\"} 1\n" },
        { "no suffixes", { .strategy = WEFT_PROM_UNDERSCORES }, WEFT_ESCAPE_UNDERSCORES, "\na_b{job=\"s\",c_d=\"1\"} 1\n" },
        { "resource attributes by pattern", { .included = { 1, hosts } }, WEFT_ESCAPE_UNDERSCORES,
          "\na_b_total{job=\"s\",host_arch=\"arm\",host_name=\"h\",c_d=\"1\"} 1\n" },
        { "but for one", { .included = { 1, hosts }, .excluded = { 1, names } }, WEFT_ESCAPE_UNDERSCORES,
          "\na_b_total{job=\"s\",host_arch=\"arm\",c_d=\"1\"} 1\n" },
        { "UTF-8 names, wanted", { .strategy = WEFT_PROM_UTF8 }, WEFT_ESCAPE_NONE, "\n{\"a.b\",job=\"s\",\"c.d\"=\"1\"} 1\n" },
        { "UTF-8 names with suffixes, wanted", { .strategy = WEFT_PROM_UTF8_SUFFIXES }, WEFT_ESCAPE_NONE, "\n{\"a.b_total\",job=\"s\",\"c.d\"=\"1\"} 1\n" },
        { "UTF-8 names, not wanted", { .strategy = WEFT_PROM_UTF8 }, WEFT_ESCAPE_UNDERSCORES, "\na_b{job=\"s\",c_d=\"1\"} 1\n" },
        { "UTF-8 names as values", { .strategy = WEFT_PROM_UTF8 }, WEFT_ESCAPE_VALUES, "\nU__a_2E_b{job=\"s\",U__c_2E_d=\"1\"} 1\n" },
        { "UTF-8 names as dots", { .strategy = WEFT_PROM_UTF8 }, WEFT_ESCAPE_DOTS, "\na_dot_b{job=\"s\",c_dot_d=\"1\"} 1\n" },
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct weft_prom_settings settings = cases[i].settings;
        struct fixture f;
        settings.expire_ms = MINUTES_5;
        settings.max_lines = 1000;
        settings.memory_limit = ROOM;
        open_fixture(&f, &settings);
        take(&f, input);
        if (!strstr(page(&f, WEFT_EXPOSITION_TEXT, cases[i].escaping, false), cases[i].line))
            fail_msg("%s:\n%s", cases[i].what, (const char *)f.page.data);
        close_fixture(&f);
    }
}

static void timestamps_are_sent_on_request(void **state)
{
    struct fixture f;
    (void)state;

    open_fixture(&f, &defaults);
    take(&f, BARE(GAUGE("g", "{\"timeUnixNano\":\"1795196810186000000\",\"asInt\":\"1\"}")));
    assert_string_equal(page(&f, WEFT_EXPOSITION_TEXT, WEFT_ESCAPE_UNDERSCORES, true), "# TYPE g gauge\ng 1 1795196810186\n");
    assert_string_equal(page(&f, WEFT_EXPOSITION_OPENMETRICS, WEFT_ESCAPE_UNDERSCORES, true),
                        "# TYPE g gauge\ng 1 1795196810.186\n# EOF\n");
    close_fixture(&f);
}

/* ---- bounds ---- */

static void a_series_that_is_not_updated_vanishes(void **state)
{
    struct fixture f;
    (void)state;

    open_fixture(&f, &defaults);
    take(&f, GROUP(ATTR("service.name", "old"), "{}", GAUGE("a", POINT("1", ""))));
    f.now_ms += MINUTES_5 - 1;
    take(&f, GROUP(ATTR("service.name", "new"), "{}", GAUGE("b", POINT("1", ""))));
    assert_non_null(strstr(text(&f), "a{job=\"old\"} 1\n"));
    f.now_ms += 1;
    assert_string_equal(text(&f), "# TYPE b gauge\nb{job=\"new\"} 1\n# HELP target_info Target metadata\n"
                                  "# TYPE target_info gauge\ntarget_info{job=\"new\",service_name=\"new\"} 1\n");
    take(&f, BARE(COUNTER("a", POINT("2", "")))); /* its name is free again */
    assert_non_null(strstr(text(&f), "a_total 2\n"));
    close_fixture(&f);
}

static void max_series_bounds_lines_and_the_rest_is_counted(void **state)
{
    struct weft_prom_settings settings = defaults;
    struct fixture f;
    char json[512];
    (void)state;

    settings.max_lines = 10;
    open_fixture(&f, &settings);
    for (int i = 0; i < 15; i++) {
        (void)snprintf(json, sizeof json, BARE(GAUGE("g", "{\"timeUnixNano\":\"1\",\"asInt\":\"1\",\"attributes\":[" INT("n", "%d") "]}")), i);
        take(&f, json);
    }
    assert_int_equal(f.n_drops, 5);
    assert_string_equal(f.drops[0].reason, WEFT_PROM_MAX_SERIES);
    assert_int_equal(f.store.lines, 10);
    take(&f, BARE(GAUGE("g", "{\"timeUnixNano\":\"2\",\"asInt\":\"5\",\"attributes\":[" INT("n", "3") "]}"))); /* known ones go on */
    assert_non_null(strstr(text(&f), "g{n=\"3\"} 5\n"));
    take(&f, BARE(HISTOGRAM("d", "2", "{\"timeUnixNano\":\"1\",\"count\":\"1\"}")));
    assert_int_equal(f.n_drops, 6);
    f.now_ms += MINUTES_5; /* room again */
    take(&f, BARE(GAUGE("h", POINT("1", ""))));
    assert_int_equal(f.n_drops, 6);
    assert_string_equal(text(&f), "# TYPE h gauge\nh 1\n");
    close_fixture(&f);
}

/* Whatever the limit, nothing breaks, what is not taken is counted, and everything is given back. */
static void memory_is_bounded_at_every_limit(void **state)
{
    static const char input[] = GROUP(SHOP, "{\"name\":\"lib\"}",
        COUNTER("c", "{\"timeUnixNano\":\"1\",\"asInt\":\"5\",\"exemplars\":[" EXEMPLAR("1", "1", IDS) "]}") ","
        HISTOGRAM("d", "2", "{\"timeUnixNano\":\"1\",\"count\":\"2\",\"explicitBounds\":[1],\"bucketCounts\":[\"1\",\"1\"],\"exemplars\":[" EXEMPLAR("1", "1", IDS) "]}") ","
        EXPONENTIAL("e", "2", "{\"timeUnixNano\":\"1\",\"count\":\"1\",\"scale\":1,\"positive\":{\"bucketCounts\":[\"1\"]}}") ","
        "{\"name\":\"s\",\"summary\":{\"dataPoints\":[{\"timeUnixNano\":\"1\",\"count\":\"1\",\"quantileValues\":[{\"quantile\":0.5,\"value\":1}]}]}}");
    size_t whole = 0;
    (void)state;

    for (uint64_t limit = 0; limit < 40000 && whole < 2; limit += 40) {
        struct weft_prom_settings settings = defaults;
        struct fixture f;
        settings.memory_limit = limit;
        open_fixture(&f, &settings);
        for (int round = 0; round < 2; round++) {
            take(&f, input);
            (void)openmetrics(&f);
            assert_true(f.store.ledger.used <= limit);
        }
        uint64_t series = f.store.n_series;
        if (series + f.n_drops < 4)
            fail_msg("limit %llu: %llu series and %zu drops", (unsigned long long)limit, (unsigned long long)series, f.n_drops);
        whole += f.n_drops == 0;
        close_fixture(&f);
    }
    assert_int_equal(whole, 2);
}

static void a_hundred_thousand_series_stay_within_their_budget(void **state)
{
    struct fixture f;
    struct weft_buf payload;
    (void)state;

    struct weft_prom_settings settings = defaults;
    settings.max_lines = 200000;
    open_fixture(&f, &settings);
    weft_buf_init(&payload, 64 << 20);
    size_t resource = weft_wire_begin_wide(&payload, WEFT_REQUEST_GROUPS);
    size_t scope = weft_wire_begin_wide(&payload, WEFT_RESOURCE_GROUP_SCOPES);
    size_t metric = weft_wire_begin_wide(&payload, WEFT_OTLP_ITEMS);
    weft_wire_put_bytes(&payload, WEFT_METRIC_NAME, WEFT_SLICE("many"));
    size_t gauge = weft_wire_begin_wide(&payload, WEFT_METRIC_GAUGE);
    for (int i = 0; i < 100000; i++) {
        size_t point = weft_wire_begin(&payload, WEFT_DATA_POINTS);
        weft_wire_put_fixed64(&payload, WEFT_NUMBER_POINT_TIME, 1);
        weft_wire_put_double(&payload, WEFT_NUMBER_POINT_DOUBLE, i);
        weft_attribute_put_string(&payload, WEFT_NUMBER_POINT_ATTRIBUTES, WEFT_SLICE("method"), WEFT_SLICE("GET"));
        weft_attribute_put_int(&payload, WEFT_NUMBER_POINT_ATTRIBUTES, WEFT_SLICE("user"), i);
        weft_wire_end(&payload, point);
    }
    weft_wire_end_wide(&payload, gauge);
    weft_wire_end_wide(&payload, metric);
    weft_wire_end_wide(&payload, scope);
    weft_wire_end_wide(&payload, resource);
    take_bytes(&f, weft_buf_slice(&payload));
    assert_int_equal(f.n_drops, 0);
    assert_int_equal(f.store.n_series, 100000);
    double each = (double)f.store.ledger.used / 100000;
    print_message("%.0f bytes a series\n", each);
    assert_true(each < 260);
    take_bytes(&f, weft_buf_slice(&payload));
    assert_int_equal(f.store.n_series, 100000);
    assert_non_null(strstr(text(&f), "many{method=\"GET\",user=\"99999\"} 99999\n"));
    weft_buf_release(&payload);
    close_fixture(&f);
}

static void the_index_finds_what_is_left_after_removals(void **state)
{
    struct weft_prom_ledger ledger = { .limit = ROOM };
    struct weft_prom_index x = { 0 };
    static int values[2000];
    (void)state;

    for (uint64_t i = 0; i < 2000; i++)
        assert_true(weft_prom_index_put(&x, &ledger, i * 37 % 512 + (i << 9), &values[i]));
    for (uint64_t i = 0; i < 2000; i += 3)
        weft_prom_index_remove(&x, i * 37 % 512 + (i << 9), &values[i]);
    for (uint64_t i = 0; i < 2000; i++) {
        const void *got = weft_prom_index_get(&x, i * 37 % 512 + (i << 9));
        if (got != (i % 3 ? &values[i] : NULL))
            fail_msg("key %llu leads to %p", (unsigned long long)i, got);
    }
    weft_prom_index_release(&x, &ledger);
    assert_int_equal(ledger.used, 0);
}

static void coarser_buckets_hold_the_same_observations(void **state)
{
    uint64_t seed = 7;
    (void)state;

    for (int round = 0; round < 500; round++) {
        uint64_t counts[WEFT_PROM_EXP_MAX] = { 0 }, none[WEFT_PROM_EXP_MAX] = { 0 }, total = 0, after = 0;
        struct weft_prom_exp e = { .scale = 8, .positive.counts = counts, .negative.counts = none };
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        e.positive.offset = (int32_t)(seed >> 50) - 8000;
        e.positive.n = 1 + (uint32_t)(seed >> 33) % WEFT_PROM_EXP_MAX;
        for (uint32_t i = 0; i < e.positive.n; i++)
            total += counts[i] = (seed >> (i % 40)) & 7;
        double low = exp2(e.positive.offset * exp2(-8)), high = exp2((e.positive.offset + (double)e.positive.n) * exp2(-8));
        e.count = total;
        struct weft_prom_classic c;
        weft_prom_exp_classic(&e, &c);
        assert_true(c.n > 0 && c.counts[c.n - 1] == total);
        weft_prom_exp_coarsen(&e, 2);
        for (uint32_t i = 0; i < e.positive.n; i++)
            after += counts[i];
        assert_int_equal(after, total);
        assert_true(exp2(e.positive.offset * 0.25) <= low * 1.0000001);
        assert_true(exp2((e.positive.offset + (double)e.positive.n) * 0.25) >= high * 0.9999999);
    }
}

/* ---- protobuf ---- */

static void to_hex(struct weft_slice bytes, char *out)
{
    for (size_t i = 0; i < bytes.len; i++)
        (void)snprintf(out + 2 * i, 3, "%02x", bytes.data[i]);
    out[2 * bytes.len] = 0;
}

/* The one metric of the first family, as bytes. */
static struct weft_slice first_metric(struct fixture *f, struct weft_slice *ret_name, uint64_t *ret_type)
{
    struct weft_slice rest, metric = weft_slice_of(NULL, 0);
    struct weft_field field;
    uint64_t len;

    (void)page(f, WEFT_EXPOSITION_PROTOBUF, WEFT_ESCAPE_UNDERSCORES, false);
    rest = weft_buf_slice(&f->page);
    assert_int_equal(weft_wire_next_varint(&rest, &len), 1);
    assert_true(len <= rest.len);
    rest.len = len;
    while (weft_wire_next(&rest, &field) > 0) {
        if (field.number == 1)
            *ret_name = field.bytes;
        if (field.number == 3)
            *ret_type = field.scalar;
        if (field.number == 4 && !metric.data)
            metric = field.bytes;
    }
    return metric;
}

static void the_protobuf_format_has_native_histograms(void **state)
{
    const struct { const char *what, *json, *name; uint64_t type; const char *hex; } cases[] = {
        { "a counter with its start", BARE(COUNTER("c", AT("1000000000", "2000000000", "3"))), "c_total", 0,
          "1a0f" "090000000000000840" "1a04" "08011000" },
        { "a gauge with a label that has escapes", BARE(GAUGE("g", POINT("2", ATTR("a", "x\\\"y")))), "g", 1,
          "0a08" "0a0161" "1203782279" "1209" "090000000000000040" },
        { "an exponential histogram",
          BARE(EXPONENTIAL("e", "2", "{\"timeUnixNano\":\"1\",\"count\":\"8\",\"sum\":1,\"scale\":3,\"zeroCount\":\"2\",\"zeroThreshold\":0.5,"
                           "\"positive\":{\"offset\":4,\"bucketCounts\":[\"1\",\"0\",\"2\",\"0\",\"0\",\"0\",\"3\"]}}")), "e", 4,
          "3a2c" "0808" "11000000000000f03f" "2806" "31000000000000e03f" "3802"
          "6204" "080a1003" "6204" "08061001" /* spans: offset 5, 3 buckets; gap 3, 1 bucket */
          "6802" "6801" "6804" "6802" },      /* deltas 1 -1 2 1 */
    };
    struct fixture f;
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct weft_slice name = weft_slice_of(NULL, 0);
        uint64_t type = 99;
        char hex[4096];
        open_fixture(&f, &defaults);
        take(&f, cases[i].json);
        to_hex(first_metric(&f, &name, &type), hex);
        if (!weft_slice_is(name, cases[i].name) || type != cases[i].type || strcmp(hex, cases[i].hex) != 0)
            fail_msg("%s: type %llu, %s", cases[i].what, (unsigned long long)type, hex);
        close_fixture(&f);
    }
}

/* ---- samples ---- */

static void take_sample(struct fixture *f, const char *name)
{
    char path[512];

    (void)snprintf(path, sizeof path, "%s/tests/samples/otlp-proto/%s", WEFT_SOURCE_DIR, name);
    FILE *file = fopen(path, "rb");
    if (!file) {
        print_message("%s is not there\n", path);
        skip();
    }
    weft_buf_reset(&f->payload);
    uint8_t *room = weft_buf_reserve(&f->payload, 1 << 20);
    f->payload.len = fread(room, 1, 1 << 20, file);
    (void)fclose(file);
    take_bytes(f, weft_buf_slice(&f->payload));
}

static const char *const samples[] = { "metrics-frontend.pb", "metrics-order-service.pb", "metrics-payment-service.pb",
                                       "metrics-inventory-service.pb" };

static void a_real_clients_metrics_make_the_golden_page(void **state)
{
    struct fixture f;
    char path[512], golden[65536];
    (void)state;

    open_fixture(&f, &defaults);
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++)
        take_sample(&f, samples[i]);
    assert_int_equal(f.n_drops, 0);
    (void)snprintf(path, sizeof path, "%s/tests/unit/exporters/golden/shop.openmetrics.txt", WEFT_SOURCE_DIR);
    const char *lines = openmetrics(&f);
    FILE *file = fopen(path, getenv("WEFT_WRITE_GOLDEN") ? "wb+" : "rb");
    assert_non_null(file);
    if (getenv("WEFT_WRITE_GOLDEN")) { /* look at the difference before it is committed */
        assert_int_equal(fwrite(lines, 1, f.page.len, file), f.page.len);
        rewind(file);
    }
    golden[fread(golden, 1, sizeof golden - 1, file)] = 0;
    (void)fclose(file);
    assert_string_equal(lines, golden);
    close_fixture(&f);
}

static void promtool_finds_nothing_to_say_about_a_page(void **state)
{
    struct fixture f;
    (void)state;

    if (access("/usr/bin/promtool", X_OK) != 0) {
        print_message("promtool is not installed\n");
        skip();
    }
    open_fixture(&f, &defaults);
    take(&f, GROUP(SHOP, "{\"name\":\"lib\"}",
                   "{\"name\":\"made.requests\",\"description\":\"Made.\",\"sum\":{\"aggregationTemporality\":2,\"isMonotonic\":true,"
                   "\"dataPoints\":[" POINT("3", ATTR("code", "2\\\"0\\n0")) "]}},"
                   "{\"name\":\"wait\",\"unit\":\"s\",\"description\":\"Waited.\",\"histogram\":{\"aggregationTemporality\":2,\"dataPoints\":["
                   "{\"timeUnixNano\":\"1\",\"count\":\"1\",\"sum\":1,\"explicitBounds\":[1],\"bucketCounts\":[\"1\",\"0\"]}]}}"));
    const char *lines = text(&f);
    FILE *pipe = popen("/usr/bin/promtool check metrics >&2", "w");
    assert_non_null(pipe);
    assert_int_equal(fwrite(lines, 1, f.page.len, pipe), f.page.len);
    assert_int_equal(WEXITSTATUS(pclose(pipe)), 0);
    close_fixture(&f);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_kind_of_metric_becomes_its_lines),
        cmocka_unit_test(exemplars_are_the_newest_of_counters_and_buckets),
        cmocka_unit_test(points_follow_each_other_by_the_rules_of_time),
        cmocka_unit_test(options_change_names_and_labels),
        cmocka_unit_test(timestamps_are_sent_on_request),
        cmocka_unit_test(a_series_that_is_not_updated_vanishes),
        cmocka_unit_test(max_series_bounds_lines_and_the_rest_is_counted),
        cmocka_unit_test(memory_is_bounded_at_every_limit),
        cmocka_unit_test(a_hundred_thousand_series_stay_within_their_budget),
        cmocka_unit_test(the_index_finds_what_is_left_after_removals),
        cmocka_unit_test(coarser_buckets_hold_the_same_observations),
        cmocka_unit_test(the_protobuf_format_has_native_histograms),
        cmocka_unit_test(a_real_clients_metrics_make_the_golden_page),
        cmocka_unit_test(promtool_finds_nothing_to_say_about_a_page),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The prometheus exporter as the lane sees it: batches in, HTTP out, on one loop. */
#include "core/clock.h"
#include "core/err.h"
#include "exporters/prometheus.h"
#include "tests/support/raw_peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

struct lane {
    uv_loop_t loop;
    struct weft_prom exporter;
    unsigned done;
    uint64_t dropped, dropped_first, drop_calls;
    const char *reason;
};

static struct lane *lane_of(struct weft_exporter *e)
{
    return (struct lane *)((char *)e - offsetof(struct lane, exporter));
}

static void on_done(struct weft_exporter *self, struct weft_batch *batch, enum weft_outcome outcome, const char *reason,
                    const char *detail, uint64_t retry_after_ms)
{
    (void)batch;
    (void)reason;
    (void)detail;
    (void)retry_after_ms;
    assert_int_equal(outcome, WEFT_SENT);
    lane_of(self)->done++;
}

static void on_drop(struct weft_exporter *self, struct weft_batch *batch, uint64_t first, uint64_t n, const char *reason)
{
    struct lane *l = lane_of(self);
    (void)batch;

    l->dropped += n;
    l->dropped_first = first;
    l->drop_calls++;
    l->reason = reason;
}

static const struct weft_exporter_host host = { .done = on_done, .drop = on_drop };

static void open_lane(struct lane *l, uint64_t memory)
{
    static struct weft_arena arena;
    struct weft_problems problems = { .arena = &arena };
    const struct weft_exporter_type *type = &weft_exporter_prometheus;

    memset(l, 0, sizeof *l);
    weft_arena_init(&arena, 1 << 16);
    assert_int_equal(uv_loop_init(&l->loop), 0);
    assert_int_equal(weft_options_load(type->options, "exporters::prometheus", NULL, &l->exporter, &arena, &problems), 0);
    l->exporter.endpoint = (char[]){ "127.0.0.1:0" };
    l->exporter.base = (struct weft_exporter){ .type = type, .id = "prometheus", .loop = &l->loop, .host = &host,
                                               .memory_limit = memory };
    assert_int_equal(type->start(&l->exporter.base), 0);
    weft_arena_release(&arena);
}

static void close_lane(struct lane *l)
{
    weft_exporter_prometheus.stop(&l->exporter.base);
    weft_exporter_prometheus.stop(&l->exporter.base); /* idempotent */
    assert_int_equal(uv_run(&l->loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(uv_loop_close(&l->loop), 0);
}

/* A gauge with `n` series of one attribute each, or of a kind that must be dropped. */
static void put_metric(struct weft_buf *b, const char *name, unsigned n, bool unusable)
{
    size_t metric = weft_wire_begin_wide(b, WEFT_OTLP_ITEMS);
    weft_wire_put_bytes(b, WEFT_METRIC_NAME, weft_slice_str(name));
    size_t data = weft_wire_begin_wide(b, unusable ? WEFT_METRIC_SUM : WEFT_METRIC_GAUGE);
    for (unsigned i = 0; i < n; i++) {
        size_t point = weft_wire_begin(b, WEFT_DATA_POINTS);
        weft_wire_put_fixed64(b, WEFT_NUMBER_POINT_TIME, 1);
        weft_wire_put_double(b, WEFT_NUMBER_POINT_DOUBLE, i);
        weft_attribute_put_int(b, WEFT_NUMBER_POINT_ATTRIBUTES, WEFT_SLICE("n"), i);
        weft_wire_end(b, point);
    }
    weft_wire_end_wide(b, data);
    weft_wire_end_wide(b, metric);
}

static void send_metrics(struct lane *l, unsigned good, unsigned bad, unsigned last)
{
    struct weft_buf b;
    struct weft_record record = { .signal = WEFT_METRICS };
    struct weft_batch batch = { .signal = WEFT_METRICS, .records = &record, .n_records = 1 };

    weft_buf_init(&b, 64 << 20);
    struct weft_otlp_group group = weft_otlp_group_open(&b, weft_slice_of(NULL, 0), weft_slice_of(NULL, 0));
    put_metric(&b, "good", good, false);
    if (bad)
        put_metric(&b, "bad", bad, true);
    if (last)
        put_metric(&b, "last", last, false);
    weft_otlp_group_close(&b, group);
    record.payload = weft_buf_slice(&b);
    assert_int_equal(weft_otlp_count(WEFT_METRICS, record.payload, &record.n_items), 0);
    batch.n_items = record.n_items;
    weft_exporter_prometheus.send(&l->exporter.base, &batch);
    weft_buf_release(&b);
}

static void ask(struct lane *l, const char *request, struct peer_answer *ret_answer)
{
    struct peer p;

    peer_open(&p, &l->loop, weft_http_server_port(l->exporter.server));
    assert_true(peer_send_text(&p, request));
    peer_read(&p, ret_answer);
    peer_close(&p);
}

static void every_request_gets_its_answer(void **state)
{
    const struct { const char *request; int status; const char *header, *value, *body; } cases[] = {
        { "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", 200, "Content-Type:", "text/plain; version=0.0.4; charset=utf-8",
          "# TYPE good gauge\ngood{n=\"0\"} 0\ngood{n=\"1\"} 1\n" },
        { "GET /metrics?x=y HTTP/1.1\r\nHost: x\r\nAccept: application/openmetrics-text; version=1.0.0\r\n\r\n", 200, "Content-Type:",
          "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores",
          "# TYPE good gauge\ngood{n=\"0\"} 0\ngood{n=\"1\"} 1\n# EOF\n" },
        { "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", 200, "Vary:", "Accept, Accept-Encoding", NULL },
        { "GET /metrics HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n", 200, "Content-Encoding:", "", NULL }, /* too small */
        { "GET / HTTP/1.1\r\nHost: x\r\n\r\n", 404, "Content-Type:", "text/plain; charset=utf-8", "not here; metrics are at /metrics\n" },
        { "GET /metrics/ HTTP/1.1\r\nHost: x\r\n\r\n", 404, "Content-Type:", "text/plain; charset=utf-8", NULL },
        { "DELETE /metrics HTTP/1.1\r\nHost: x\r\n\r\n", 405, "Allow:", "GET, HEAD", NULL },
    };
    struct lane l;
    (void)state;

    open_lane(&l, 8 << 20);
    send_metrics(&l, 2, 0, 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct peer_answer a;
        ask(&l, cases[i].request, &a);
        if (a.status != cases[i].status || strcmp(peer_header(&a, cases[i].header), cases[i].value) != 0 ||
            (cases[i].body && strcmp(a.body, cases[i].body) != 0))
            fail_msg("%.30s: %s\n%s", cases[i].request, a.head, a.body);
    }
    close_lane(&l);
}

static void a_page_is_gzipped_when_that_is_asked_for(void **state)
{
    const struct { const char *accept_encoding; bool packed; } cases[] = {
        { NULL, false }, { "", false }, { "gzip", true }, { "GZIP", true }, { "deflate, gzip;q=0.5", true }, { "gzip;q=0", false },
        { "gzip; q=0.000", false }, { "*", true }, { "*;q=0", false }, { "identity", false }, { "br,*", true }, { "*, gzip;q=0", false },
    };
    struct weft_gunzip *gunzip;
    struct lane l;
    (void)state;

    open_lane(&l, 8 << 20);
    send_metrics(&l, 1000, 0, 0);
    assert_int_equal(weft_gunzip_new(&gunzip), 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct weft_http_response plain = { 0 }, r = { 0 };
        struct weft_buf out;
        weft_prom_scrape(&l.exporter, NULL, NULL, weft_clock_mono_ms(), &plain);
        weft_prom_scrape(&l.exporter, NULL, cases[i].accept_encoding, weft_clock_mono_ms(), &r);
        assert_int_equal(r.status, 200);
        if ((r.headers[1][0] != NULL) != cases[i].packed)
            fail_msg("Accept-Encoding: %s", cases[i].accept_encoding ? cases[i].accept_encoding : "none");
        weft_buf_init(&out, 8 << 20);
        if (cases[i].packed) {
            assert_true(r.body.len < plain.body.len / 4);
            assert_int_equal(weft_gunzip_run(gunzip, r.body, &out), 0);
            assert_true(weft_slice_equal(weft_buf_slice(&out), plain.body));
        }
        weft_buf_release(&out);
        r.body_free((void *)(uintptr_t)r.body.data);
        plain.body_free((void *)(uintptr_t)plain.body.data);
    }
    weft_gunzip_free(gunzip);
    assert_int_equal(l.exporter.pages->bytes, 0);
    close_lane(&l);
}

/* 60,000 lines take 1 MB plain, in each of three formats, and the exporter may use half of 24 MB for all pages. */
static void a_page_of_many_chunks_is_whole(void **state)
{
    static const char *const accepts[] = { NULL, "application/openmetrics-text",
        "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited" };
    struct weft_gunzip *gunzip;
    struct lane l;
    (void)state;

    open_lane(&l, 48 << 20);
    send_metrics(&l, 60000, 0, 0);
    assert_int_equal(l.dropped, 0);
    assert_int_equal(weft_gunzip_new(&gunzip), 0);
    for (size_t i = 0; i < sizeof accepts / sizeof *accepts; i++) {
        struct weft_http_response plain = { 0 }, r = { 0 };
        struct weft_buf out;
        weft_prom_scrape(&l.exporter, accepts[i], NULL, weft_clock_mono_ms(), &plain);
        weft_prom_scrape(&l.exporter, accepts[i], "gzip", weft_clock_mono_ms(), &r);
        assert_int_equal(plain.status, 200);
        assert_int_equal(r.status, 200);
        assert_true(plain.body.len > 3 * WEFT_PROM_CHUNK);
        weft_buf_init(&out, 64 << 20);
        assert_int_equal(weft_gunzip_run(gunzip, r.body, &out), 0);
        if (i < 2)
            assert_true(weft_slice_equal(weft_buf_slice(&out), plain.body));
        else /* a few more family headers */
            assert_in_range(out.len, plain.body.len, plain.body.len + 1000);
        weft_buf_release(&out);
        r.body_free((void *)(uintptr_t)r.body.data);
        plain.body_free((void *)(uintptr_t)plain.body.data);
    }
    weft_gunzip_free(gunzip);
    close_lane(&l);
}

/* Twice the memory that pages may take: the plain page is refused, the packed one is served. */
static void a_page_larger_than_memory_is_served_packed(void **state)
{
    struct weft_http_response plain = { 0 }, r = { 0 };
    struct lane l;
    (void)state;

    open_lane(&l, 48 << 20);
    send_metrics(&l, 60000, 0, 0);
    l.exporter.pages->limit = 600 << 10;
    weft_prom_scrape(&l.exporter, NULL, NULL, weft_clock_mono_ms(), &plain);
    assert_int_equal(plain.status, 503);
    weft_prom_scrape(&l.exporter, NULL, "gzip", weft_clock_mono_ms(), &r);
    assert_int_equal(r.status, 200);
    r.body_free((void *)(uintptr_t)r.body.data);
    l.exporter.pages->limit = 4 << 10;
    weft_prom_scrape(&l.exporter, NULL, "gzip", weft_clock_mono_ms(), &r);
    assert_int_equal(r.status, 503);
    close_lane(&l);
}

static void pages_in_flight_are_bounded(void **state)
{
    struct weft_http_response pages[64];
    struct lane l;
    size_t n = 0;
    (void)state;

    open_lane(&l, 1 << 20);
    send_metrics(&l, 1000, 0, 0);
    for (memset(pages, 0, sizeof pages); n < 64; n++) {
        weft_prom_scrape(&l.exporter, NULL, NULL, weft_clock_mono_ms(), &pages[n]);
        if (pages[n].status != 200)
            break;
        assert_true(l.exporter.pages->bytes <= l.exporter.pages->limit);
    }
    assert_in_range(n, 2, 63);
    assert_int_equal(pages[n].status, 503);
    assert_string_equal(pages[n].headers[0][0], "Retry-After");
    pages[0].body_free((void *)(uintptr_t)pages[0].body.data);
    weft_prom_scrape(&l.exporter, NULL, NULL, weft_clock_mono_ms(), &pages[0]); /* room again */
    assert_int_equal(pages[0].status, 200);
    close_lane(&l); /* pages may outlive the exporter */
    for (size_t i = 0; i < n; i++)
        pages[i].body_free((void *)(uintptr_t)pages[i].body.data);
}

static void dropped_points_are_told_in_runs(void **state)
{
    struct lane l;
    (void)state;

    open_lane(&l, 8 << 20);
    send_metrics(&l, 3, 4, 2);
    assert_int_equal(l.done, 1);
    assert_int_equal(l.dropped, 4);
    assert_int_equal(l.dropped_first, 3);
    assert_int_equal(l.drop_calls, 1);
    assert_string_equal(l.reason, WEFT_PROM_TEMPORALITY);
    close_lane(&l);
}

static void what_does_not_fit_into_memory_is_dropped_and_counted(void **state)
{
    struct lane l;
    (void)state;

    open_lane(&l, 1 << 20);
    send_metrics(&l, 20000, 0, 0);
    assert_int_equal(l.done, 1);
    assert_true(l.dropped > 0);
    assert_string_equal(l.reason, WEFT_PROM_MEMORY);
    assert_int_equal(l.exporter.store.n_series + l.dropped, 20000);
    assert_true(l.exporter.store.ledger.used <= 512 << 10);
    close_lane(&l);
}

static void options_are_checked(void **state)
{
    static struct weft_arena arena;
    struct weft_problems problems = { .arena = &arena };
    struct weft_node cert = { .kind = WEFT_NODE_SCALAR, .key = "cert_file", .text = "a.pem", .line = 2 };
    struct weft_node tls = { .kind = WEFT_NODE_MAP, .key = "tls", .child = &cert, .line = 1 };
    struct weft_node map = { .kind = WEFT_NODE_MAP, .child = &tls };
    struct weft_prom p = { 0 };
    (void)state;

    weft_arena_init(&arena, 1 << 16);
    assert_int_equal(weft_options_load(weft_exporter_prometheus.options, "prometheus", &map, &p, &arena, &problems), 0);
    assert_int_equal(weft_exporter_prometheus.check(&p.base, &map, &problems), WEFT_ERR_CONFIG);
    assert_string_equal(problems.first->text, "tls needs cert_file and key_file");
    weft_arena_release(&arena);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_request_gets_its_answer),
        cmocka_unit_test(a_page_is_gzipped_when_that_is_asked_for),
        cmocka_unit_test(a_page_of_many_chunks_is_whole),
        cmocka_unit_test(a_page_larger_than_memory_is_served_packed),
        cmocka_unit_test(pages_in_flight_are_bounded),
        cmocka_unit_test(dropped_points_are_told_in_runs),
        cmocka_unit_test(what_does_not_fit_into_memory_is_dropped_and_counted),
        cmocka_unit_test(options_are_checked),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

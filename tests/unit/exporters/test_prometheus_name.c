/* SPDX-License-Identifier: Apache-2.0 */
/* Names: metrics, units and labels by each translation strategy. */
#include "exporters/prometheus_name.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#define C WEFT_PROM_SHAPE_COUNTER
#define G WEFT_PROM_SHAPE_GAUGE
#define O WEFT_PROM_SHAPE_OTHER

static void metric_names_follow_the_strategy(void **state)
{
    static char long_name[600];
    const struct {
        enum weft_prom_strategy strategy;
        const char *space, *name, *unit;
        enum weft_prom_shape shape;
        const char *out; /* with _total where text has it; NULL: no name */
        const char *words;
    } cases[] = {
        { WEFT_PROM_UNDERSCORES_SUFFIXES, "", "http.server.request.duration", "s", O, "http_server_request_duration_seconds", "seconds" },
        { WEFT_PROM_UNDERSCORES_SUFFIXES, "", "shop.requests", "{request}", C, "shop_requests_total", "" },
        { WEFT_PROM_UNDERSCORES_SUFFIXES, "", "requests.total", "", C, "requests_total", "" },
        { WEFT_PROM_UNDERSCORES_SUFFIXES, "", "memory.usage", "By", G, "memory_usage_bytes", "bytes" },
        { WEFT_PROM_UNDERSCORES_SUFFIXES, "", "memory_bytes", "By", G, "memory_bytes", "bytes" },
        { WEFT_PROM_UNDERSCORES_SUFFIXES, "", "cpu.utilization", "1", G, "cpu_utilization_ratio", "ratio" },
        { WEFT_PROM_UNDERSCORES_SUFFIXES, "", "events", "1", C, "events_total", "" },
        { WEFT_PROM_UNDERSCORES_SUFFIXES, "", "speed", "m/s", G, "speed_meters_per_second", "meters_per_second" },
        { WEFT_PROM_UNDERSCORES_SUFFIXES, "", "network.io", "By/s", C, "network_io_bytes_per_second_total", "bytes_per_second" },
        { WEFT_PROM_UNDERSCORES_SUFFIXES, "", "packets", "{packet}/s", G, "packets_per_second", "per_second" },
        { WEFT_PROM_UNDERSCORES_SUFFIXES, "", "beats", "/m", G, "beats_per_minute", "per_minute" },
        { WEFT_PROM_UNDERSCORES_SUFFIXES, "", "io", "By{read}", C, "io_bytes_total", "bytes" },
        { WEFT_PROM_UNDERSCORES_SUFFIXES, "", "odd", "foo bar", G, "odd_foobar", "foobar" },
        { WEFT_PROM_UNDERSCORES_SUFFIXES, "", "odd", "a/b/c", G, "odd_a_per_b_c", "a_per_b_c" },
        { WEFT_PROM_UNDERSCORES_SUFFIXES, "", "humidity", "%", G, "humidity_percent", "percent" },
        { WEFT_PROM_UNDERSCORES_SUFFIXES, "", "3d.frames", "", G, "_3d_frames", "" },
        { WEFT_PROM_UNDERSCORES_SUFFIXES, "ns", "3d.frames", "", G, "ns_3d_frames", "" },
        { WEFT_PROM_UNDERSCORES_SUFFIXES, "my-space", "a", "", G, "my_space_a", "" },
        { WEFT_PROM_UNDERSCORES_SUFFIXES, "", "a--b__c..d", "", G, "a_b_c_d", "" },
        { WEFT_PROM_UNDERSCORES_SUFFIXES, "", "_private_", "", G, "private", "" },
        { WEFT_PROM_UNDERSCORES_SUFFIXES, "", "rule:rate5m", "", G, "rule:rate5m", "" },
        { WEFT_PROM_UNDERSCORES_SUFFIXES, "", "gr\xc3\xb6\xc3\x9f" "e", "", G, "gr_e", "" },
        { WEFT_PROM_UNDERSCORES_SUFFIXES, "", "", "s", G, NULL, "" },
        { WEFT_PROM_UNDERSCORES_SUFFIXES, "", "...", "s", G, NULL, "" },
        { WEFT_PROM_UNDERSCORES_SUFFIXES, "", "total", "", C, NULL, "" },
        { WEFT_PROM_UNDERSCORES_SUFFIXES, "", long_name, "", C, NULL, "" },
        { WEFT_PROM_UNDERSCORES, "", "http.server.request.duration", "s", O, "http_server_request_duration", "" },
        { WEFT_PROM_UNDERSCORES, "", "shop.requests", "", C, "shop_requests", "" },
        { WEFT_PROM_UNDERSCORES, "", "shop.requests_total", "", C, "shop_requests_total", "" },
        { WEFT_PROM_UNDERSCORES, "", "cpu.utilization", "1", G, "cpu_utilization", "" },
        { WEFT_PROM_UTF8_SUFFIXES, "", "http.server.request.duration", "s", O, "http.server.request.duration_seconds", "seconds" },
        { WEFT_PROM_UTF8_SUFFIXES, "", "shop.requests", "", C, "shop.requests_total", "" },
        { WEFT_PROM_UTF8_SUFFIXES, "", "size_bytes", "By", G, "size_bytes", "bytes" },
        { WEFT_PROM_UTF8_SUFFIXES, "", "net.io", "By/s", C, "net.io_bytes_per_second_total", "bytes_per_second" },
        { WEFT_PROM_UTF8_SUFFIXES, "", "cpu.use", "1", G, "cpu.use_ratio", "ratio" },
        { WEFT_PROM_UTF8, "", "http.server.request.duration", "s", O, "http.server.request.duration", "" },
        { WEFT_PROM_UTF8, "", "a  b", "", G, "a  b", "" },
        { WEFT_PROM_UTF8, "", "", "", G, NULL, "" },
        { WEFT_PROM_UTF8, "ns", "shop.requests", "s", C, "ns_shop.requests", "" },
    };
    struct weft_prom_name n;
    (void)state;

    memset(long_name, 'a', sizeof long_name - 1);
    weft_prom_name_init(&n);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bool ok = weft_prom_metric_name(&n, cases[i].strategy, weft_slice_str(cases[i].space), weft_slice_str(cases[i].name),
                                        weft_slice_str(cases[i].unit), cases[i].shape);
        if (ok && n.total)
            weft_buf_append_str(&n.name, "_total");
        if (ok != (cases[i].out != NULL))
            fail_msg("%s: has %s name", cases[i].name, ok ? "a" : "no");
        if (ok && !weft_slice_is(weft_buf_slice(&n.name), cases[i].out))
            fail_msg("%s: %.*s, not %s", cases[i].name, (int)n.name.len, n.name.data, cases[i].out);
        if (ok && !weft_slice_is(weft_buf_slice(&n.unit), cases[i].words))
            fail_msg("%s: unit %.*s, not %s", cases[i].name, (int)n.unit.len, n.unit.data, cases[i].words);
    }
    weft_prom_name_release(&n);
}

static void label_names_lose_what_a_label_cannot_hold(void **state)
{
    const struct { enum weft_prom_strategy strategy; const char *key, *out; } cases[] = {
        { WEFT_PROM_UNDERSCORES_SUFFIXES, "http.method", "http_method" },
        { WEFT_PROM_UNDERSCORES_SUFFIXES, "a..b--c__d", "a_b_c_d" },
        { WEFT_PROM_UNDERSCORES_SUFFIXES, "123invalid", "key_123invalid" },
        { WEFT_PROM_UNDERSCORES_SUFFIXES, "_private", "_private" },
        { WEFT_PROM_UNDERSCORES_SUFFIXES, "__name__", "_name_" },
        { WEFT_PROM_UNDERSCORES_SUFFIXES, "a:b", "a_b" },
        { WEFT_PROM_UNDERSCORES_SUFFIXES, "\xc3\xa9", "_" },
        { WEFT_PROM_UNDERSCORES_SUFFIXES, "", "" },
        { WEFT_PROM_UNDERSCORES, "http.method", "http_method" },
        { WEFT_PROM_UTF8_SUFFIXES, "http.method", "http.method" },
        { WEFT_PROM_UTF8, "a b", "a b" },
    };
    struct weft_buf b;
    (void)state;

    weft_buf_init(&b, 1024);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        weft_buf_reset(&b);
        weft_prom_label_name(&b, cases[i].strategy, weft_slice_str(cases[i].key));
        if (!weft_slice_is(weft_buf_slice(&b), cases[i].out))
            fail_msg("%s: %.*s, not %s", cases[i].key, (int)b.len, b.data, cases[i].out);
    }
    weft_buf_release(&b);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(metric_names_follow_the_strategy),
        cmocka_unit_test(label_names_lose_what_a_label_cannot_hold),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

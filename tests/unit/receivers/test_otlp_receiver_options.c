/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/yaml.h"
#include "core/err.h"
#include "receivers/otlp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

struct loaded {
    struct weft_arena arena;
    struct weft_problems problems;
    struct weft_otlp otlp;
    int err;
};

/* As `weft check` does it: the table first, then the type's own check. */
static void load(struct loaded *l, const char *text)
{
    struct weft_node *root = NULL;

    memset(l, 0, sizeof *l);
    weft_arena_init(&l->arena, 1 << 20);
    l->problems.arena = &l->arena;
    const struct weft_yaml yaml = { .file = "weft.yaml", .arena = &l->arena, .problems = &l->problems };
    assert_int_equal(weft_yaml_parse(&yaml, weft_slice_str(text), &root), 0);
    l->err = weft_options_load(weft_receiver_otlp.options, "receivers::otlp", root, &l->otlp, &l->arena, &l->problems);
    int err = weft_receiver_otlp.check(&l->otlp.base, root, &l->problems);
    l->err = l->err ? l->err : err;
}

static void release(struct loaded *l)
{
    weft_arena_release(&l->arena);
}

static void the_protocols_stand_on_loopback_by_default(void **state)
{
    const struct { const char *text; bool grpc, http; } cases[] = {
        { "protocols: {grpc: , http: }", true, true },
        { "protocols: {grpc: {}}", true, false },
        { "protocols: {http: }", false, true },
        { "protocols:\n  http:\n    include_metadata: true", false, true },
    };
    struct loaded l;
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        load(&l, cases[i].text);
        if (l.err || l.otlp.want_grpc != cases[i].grpc || l.otlp.want_http != cases[i].http)
            fail_msg("%s: %d, grpc %d, http %d", cases[i].text, l.err, l.otlp.want_grpc, l.otlp.want_http);
        assert_string_equal(l.otlp.grpc_options.endpoint, "127.0.0.1:4317");
        assert_string_equal(l.otlp.http_options.endpoint, "127.0.0.1:4318");
        assert_int_equal(l.otlp.grpc_options.max_recv_msg_size_mib, 4);
        assert_int_equal(l.otlp.http_options.max_request_body_size, 20 << 20);
        assert_true(l.otlp.grpc_options.max_concurrent_streams >= 100);
        assert_string_equal(l.otlp.http_options.paths[WEFT_LOGS], "/v1/logs");
        release(&l);
    }
}

/* A receiver as a gateway's Collector configuration has it. */
static void what_the_collector_spells_is_understood(void **state)
{
    static const char text[] = "protocols:\n"
                               "  grpc:\n"
                               "    endpoint: 0.0.0.0:4317\n"
                               "    max_recv_msg_size_mib: 16\n"
                               "    max_concurrent_streams: 1000\n"
                               "    transport: tcp\n"
                               "    read_buffer_size: 524288\n"
                               "    keepalive:\n"
                               "      server_parameters: {max_connection_idle: 11s, max_connection_age: 12s, "
                               "max_connection_age_grace: 13s, time: 30s, timeout: 5s}\n"
                               "      enforcement_policy: {min_time: 10s, permit_without_stream: true}\n"
                               "    tls: {cert_file: /c, key_file: /k, client_ca_file: /ca}\n"
                               "  http:\n"
                               "    endpoint: ':4318'\n"
                               "    max_request_body_size: 1048576\n"
                               "    traces_url_path: /t\n"
                               "    idle_timeout: 2m\n"
                               "    cors:\n"
                               "      allowed_origins: ['https://*.example.com', 'http://b']\n"
                               "      allowed_headers: ['*']\n"
                               "      max_age: 7200\n";
    struct loaded l;
    (void)state;

    load(&l, text);
    if (l.err)
        fail_msg("%s", l.problems.first->text);
    const struct weft_otlp_grpc_options *g = &l.otlp.grpc_options;
    const struct weft_otlp_http_options *h = &l.otlp.http_options;
    assert_string_equal(g->endpoint, "0.0.0.0:4317");
    assert_int_equal(g->max_recv_msg_size_mib, 16);
    assert_int_equal(g->max_concurrent_streams, 1000);
    assert_int_equal(g->max_connection_idle_ms, 11000);
    assert_int_equal(g->max_connection_age_ms, 12000);
    assert_int_equal(g->max_connection_age_grace_ms, 13000);
    assert_int_equal(g->keepalive_time_ms, 30000);
    assert_int_equal(g->keepalive_timeout_ms, 5000);
    assert_string_equal(g->tls.client_ca_file, "/ca");
    assert_string_equal(h->endpoint, ":4318");
    assert_int_equal(h->max_request_body_size, 1048576);
    assert_string_equal(h->paths[WEFT_TRACES], "/t");
    assert_string_equal(h->paths[WEFT_METRICS], "/v1/metrics");
    assert_int_equal(h->idle_timeout_ms, 120000);
    assert_int_equal(h->cors_origins.n, 2);
    assert_string_equal(h->cors_headers.items[0], "*");
    assert_int_equal(h->cors_max_age_s, 7200);
    assert_null(h->tls.cert_file);
    release(&l);
}

static void what_cannot_be_is_told_in_words(void **state)
{
    const struct { const char *text, *words; } cases[] = {
        { "{}", "must specify at least one protocol (grpc or http)" },
        { "protocols: {}", "must specify at least one protocol (grpc or http)" },
        { "protocols: {thrift: }", "thrift" },
        { "protocols: {grpc: {endpont: ':1'}}", "endpoint" },
        { "protocols: {grpc: {tls: {cert_file: /c}}}", "protocols::grpc::tls needs both cert_file and key_file" },
        { "protocols: {http: {tls: {key_file: /k}}}", "protocols::http::tls needs both cert_file and key_file" },
        { "protocols: {http: {tls: {client_ca_file: /k}}}", "client_ca_file needs cert_file and key_file" },
        { "protocols: {http: {logs_url_path: v1/logs}}", "logs_url_path must begin with '/'" },
        { "protocols: {grpc: {max_recv_msg_size_mib: 0}}", "less than the least allowed" },
        { "protocols: {http: {max_request_body_size: 2GiB}}", "more than the most allowed" },
        { "protocols: {http: {idle_timeout: 60}}", "idle_timeout" },
    };
    struct loaded l;
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        load(&l, cases[i].text);
        if (l.err != WEFT_ERR_CONFIG || !l.problems.first || !strstr(l.problems.first->text, cases[i].words))
            fail_msg("%s: %d, %s", cases[i].text, l.err, l.problems.first ? l.problems.first->text : "no problem");
        release(&l);
    }
}

static void every_row_has_words_for_the_manual(void **state)
{
    (void)state;
    for (const struct weft_option *o = weft_receiver_otlp.options; o->key; o++)
        if (!o->help || !*o->help)
            fail_msg("%s has no help", o->key);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_protocols_stand_on_loopback_by_default),
        cmocka_unit_test(what_the_collector_spells_is_understood),
        cmocka_unit_test(what_cannot_be_is_told_in_words),
        cmocka_unit_test(every_row_has_words_for_the_manual),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "core/err.h"
#include "core/option.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

struct sample {
    char *endpoint;
    bool compress;
    int64_t workers;
    double ratio;
    uint64_t max_size, timeout;
    int mode;
    struct weft_strings hosts;
    struct weft_pairs headers;
    bool grpc, http;
    char *grpc_endpoint;
    const struct weft_node *rules;
};

static const char *const modes[] = { "fast", "safe", NULL };

static const struct weft_option options[] = {
    WEFT_STRING("endpoint", struct sample, endpoint, .required = true, .help = "where"),
    WEFT_BOOL("compress", struct sample, compress, .fallback = "true", .help = "whether"),
    WEFT_INT("workers", struct sample, workers, .fallback = "2", .min = 1, .max = 64, .help = "how many"),
    WEFT_DOUBLE("ratio", struct sample, ratio, .fallback = "0.5", .min = 0, .max = 1, .help = "how much"),
    WEFT_BYTES("max_size", struct sample, max_size, .fallback = "20MiB", .min = 1024, .max = 64 << 20, .help = "how large"),
    WEFT_MSEC("timeout", struct sample, timeout, .fallback = "1m", .min = 1000, .max = 3600000, .help = "how long"),
    WEFT_ENUM("mode", struct sample, mode, .fallback = "safe", .words = modes, .help = "how"),
    WEFT_LIST("hosts", struct sample, hosts, .fallback = "a,b", .help = "whom"),
    WEFT_MAP("headers", struct sample, headers, .help = "what else"),
    WEFT_PRESENT("protocols.grpc", struct sample, grpc, .help = "over gRPC"),
    WEFT_STRING("protocols.grpc.endpoint", struct sample, grpc_endpoint, .fallback = "localhost:4317", .help = "where"),
    WEFT_PRESENT("protocols.http", struct sample, http, .help = "over HTTP"),
    WEFT_NODE("rules", struct sample, rules, .help = "anything"),
    WEFT_IGNORED("sending_queue", .help = "the journal stands in"),
    WEFT_IGNORED("protocols.grpc.transport", .fallback = "tcp", .warns = true, .help = "always tcp"),
    WEFT_BOOL("retry.seldom_wanted", struct sample, compress, .fallback = "true", .help = "whether"),
    WEFT_IGNORED("views", .warns = true, .help = "they are a fixed set"),
    { .key = NULL },
};

struct fixture {
    struct weft_arena arena;
    struct weft_problems problems;
    struct sample sample;
    struct weft_node nodes[32];
    size_t n;
};

static void set_up(struct fixture *f)
{
    memset(f, 0, sizeof *f);
    weft_arena_init(&f->arena, 1 << 20);
    f->problems.arena = &f->arena;
}

/* A scalar, or a map or list when `text` is NULL. Lines are numbers of nodes, which makes places easy to tell. */
static struct weft_node *node(struct fixture *f, enum weft_node_kind kind, const char *key, const char *text)
{
    struct weft_node *n = &f->nodes[f->n++];

    *n = (struct weft_node){ .kind = kind, .key = key, .text = text, .file = "t", .line = (int)f->n, .column = 9,
                             .key_line = key ? (int)f->n : 0, .key_column = key ? 1 : 0 };
    return n;
}

static struct weft_node *put(struct weft_node *parent, struct weft_node *child)
{
    struct weft_node **at = &parent->child;

    while (*at)
        at = &(*at)->next;
    *at = child;
    return child;
}

static int load(struct fixture *f, const struct weft_node *map)
{
    return weft_options_load(options, "x::s", map, &f->sample, &f->arena, &f->problems);
}

static void defaults_go_through_the_same_parser(void **state)
{
    struct fixture f;
    (void)state;

    set_up(&f);
    struct weft_node *map = node(&f, WEFT_NODE_MAP, NULL, NULL);
    put(map, node(&f, WEFT_NODE_SCALAR, "endpoint", "here"));
    assert_int_equal(load(&f, map), 0);
    assert_string_equal(f.sample.endpoint, "here");
    assert_true(f.sample.compress);
    assert_int_equal(f.sample.workers, 2);
    assert_true(f.sample.ratio > 0.49 && f.sample.ratio < 0.51);
    assert_int_equal(f.sample.max_size, 20 << 20);
    assert_int_equal(f.sample.timeout, 60000);
    assert_int_equal(f.sample.mode, 1);
    assert_int_equal(f.sample.hosts.n, 2);
    assert_string_equal(f.sample.hosts.items[1], "b");
    assert_false(f.sample.grpc);
    assert_string_equal(f.sample.grpc_endpoint, "localhost:4317");
    weft_arena_release(&f.arena);
}

static void every_kind_takes_its_value_from_the_tree(void **state)
{
    struct fixture f;
    (void)state;

    set_up(&f);
    struct weft_node *map = node(&f, WEFT_NODE_MAP, NULL, NULL);
    put(map, node(&f, WEFT_NODE_SCALAR, "endpoint", "here"));
    put(map, node(&f, WEFT_NODE_SCALAR, "compress", "False"));
    put(map, node(&f, WEFT_NODE_SCALAR, "workers", "0x10"));
    put(map, node(&f, WEFT_NODE_SCALAR, "hosts", "only"));
    put(map, node(&f, WEFT_NODE_SCALAR, "mode", "FAST"));
    put(map, node(&f, WEFT_NODE_NULL, "timeout", NULL));
    put(map, node(&f, WEFT_NODE_SCALAR, "sending_queue", "whatever"));
    struct weft_node *headers = put(map, node(&f, WEFT_NODE_MAP, "headers", NULL));
    put(headers, node(&f, WEFT_NODE_SCALAR, "X-A", "1"));
    put(headers, node(&f, WEFT_NODE_NULL, "X-B", NULL));
    struct weft_node *protocols = put(map, node(&f, WEFT_NODE_MAP, "protocols", NULL));
    put(protocols, node(&f, WEFT_NODE_NULL, "http", NULL));
    struct weft_node *grpc = put(protocols, node(&f, WEFT_NODE_MAP, "grpc", NULL));
    put(grpc, node(&f, WEFT_NODE_SCALAR, "endpoint", ":1"));
    struct weft_node *rules = put(map, node(&f, WEFT_NODE_LIST, "rules", NULL));
    assert_int_equal(load(&f, map), 0);
    assert_false(f.sample.compress);
    assert_int_equal(f.sample.workers, 16);
    assert_int_equal(f.sample.hosts.n, 1);
    assert_string_equal(f.sample.hosts.items[0], "only");
    assert_int_equal(f.sample.mode, 0);
    assert_int_equal(f.sample.timeout, 60000);
    assert_int_equal(f.sample.headers.n, 2);
    assert_string_equal(f.sample.headers.items[0].value, "1");
    assert_string_equal(f.sample.headers.items[1].value, "");
    assert_true(f.sample.http);
    assert_true(f.sample.grpc);
    assert_string_equal(f.sample.grpc_endpoint, ":1");
    assert_ptr_equal(f.sample.rules, rules);
    weft_arena_release(&f.arena);
}

static void a_bad_value_is_told_with_its_place_and_what_to_write(void **state)
{
    const struct { const char *key, *value, *text; } cases[] = {
        { "compress", "yes", "x::s::compress: 'yes' is not true or false" },
        { "workers", "many", "x::s::workers: 'many' is not a whole number" },
        { "workers", "1.5", "x::s::workers: '1.5' is not a whole number" },
        { "workers", "99999999999999999999", "x::s::workers: '99999999999999999999' is too large" },
        { "workers", "0", "x::s::workers: '0' is less than the least allowed, 1" },
        { "ratio", "nan", "x::s::ratio: 'nan' is not a number" },
        { "ratio", "2", "x::s::ratio: '2' is more than the most allowed, 1" },
        { "max_size", "65MiB", "x::s::max_size: '65MiB' is more than the most allowed, 64MiB" },
        { "max_size", "20 apples", "x::s::max_size: '20 apples' has an unknown unit; sizes end in B, KiB, MiB, GiB, TiB, KB, MB, GB or TB" },
        { "timeout", "10", "x::s::timeout: '10' has no unit; write a duration such as 250ms, 10s or 1m30s" },
        { "timeout", "1d", "x::s::timeout: '1d' has an unknown unit; durations are made of ms, s, m and h (24h is a day)" },
        { "timeout", "soon", "x::s::timeout: 'soon' is not a duration; write one such as 250ms, 10s or 1m30s" },
        { "timeout", "-1s", "x::s::timeout: '-1s' is negative" },
        { "timeout", "10ms", "x::s::timeout: '10ms' is less than the least allowed, 1s" },
        { "mode", "sofe", "x::s::mode: 'sofe' is not one of fast or safe; did you mean 'safe'?" },
        { "headers", "a=b", "x::s::headers: expected a map of text to text, found a single value" },
        { "protocols", "grpc", "x::s::protocols: expected a map, found a single value" },
        { "endpiont", "x", "x::s: unknown key 'endpiont'; did you mean 'endpoint'?" },
        { "grpc", "x", "x::s: unknown key 'grpc'; it belongs under x::s::protocols" },
        { "wanted_retry", "x", "x::s: unknown key 'wanted_retry'; did you mean x::s::retry::seldom_wanted?" },
        { "wanted", "x", "x::s: unknown key 'wanted'; did you mean x::s::retry::seldom_wanted?" },
        { "seldom", "x", "x::s: unknown key 'seldom'" },
        { "protocols.grpc", "x", "x::s: unknown key 'protocols.grpc'; did you mean 'protocols'?" },
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fixture f;
        set_up(&f);
        struct weft_node *map = node(&f, WEFT_NODE_MAP, NULL, NULL);
        put(map, node(&f, WEFT_NODE_SCALAR, "endpoint", "here"));
        put(map, node(&f, WEFT_NODE_SCALAR, cases[i].key, cases[i].value));
        int err = load(&f, map);
        if (err != WEFT_ERR_CONFIG || f.problems.n != 1 || strcmp(f.problems.first->text, cases[i].text) != 0)
            fail_msg("%s: %s: %d, %zu problems, \"%s\"", cases[i].key, cases[i].value, err, f.problems.n,
                     f.problems.n ? f.problems.first->text : "");
        if (f.problems.first->line != 3)
            fail_msg("%s: told at line %d", cases[i].key, f.problems.first->line);
        weft_arena_release(&f.arena);
    }
}

static void all_errors_are_told_and_a_missing_key_is_one(void **state)
{
    struct fixture f;
    (void)state;

    set_up(&f);
    struct weft_node *map = node(&f, WEFT_NODE_MAP, NULL, NULL);
    put(map, node(&f, WEFT_NODE_SCALAR, "workers", "many"));
    put(map, node(&f, WEFT_NODE_SCALAR, "mode", "odd"));
    assert_int_equal(load(&f, map), WEFT_ERR_CONFIG);
    assert_int_equal(f.problems.n, 3);
    assert_string_equal(f.problems.last->text, "x::s::endpoint is required");
    weft_arena_release(&f.arena);
}

static void what_is_ignored_and_would_have_changed_something_is_a_warning(void **state)
{
    const struct { const char *key, *value; bool below, list; const char *text; } cases[] = {
        { "sending_queue", "x", false, false, NULL },
        { "views", "x", false, false, "x::s::views is ignored: they are a fixed set" },
        { "views", "x", false, true, "x::s::views is ignored: they are a fixed set" },
        { "transport", "unix", true, false, "x::s::protocols::grpc::transport is ignored: always tcp" },
        { "transport", "TCP", true, false, NULL },
        { "transport", "tcp", true, true, NULL },
        { "endpoint", ":1", true, false, NULL },
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fixture f;
        set_up(&f);
        struct weft_node *map = node(&f, WEFT_NODE_MAP, NULL, NULL), *at = map;
        if (cases[i].below)
            at = put(map, node(&f, WEFT_NODE_MAP, "protocols", NULL));
        if (cases[i].below)
            at = put(at, node(&f, WEFT_NODE_MAP, "grpc", NULL));
        if (cases[i].list)
            at = put(at, node(&f, WEFT_NODE_LIST, cases[i].key, NULL));
        put(at, node(&f, WEFT_NODE_SCALAR, cases[i].list ? NULL : cases[i].key, cases[i].value));
        const struct weft_option_set set = { options, &f.sample };
        weft_options_warn(&set, 1, "x::s", map, &f.problems);
        const char *told = f.problems.n ? f.problems.first->text : NULL;
        if ((told == NULL) != (cases[i].text == NULL) || (told && strcmp(told, cases[i].text) != 0))
            fail_msg("%s: %s: %s", cases[i].key, cases[i].value, told ? told : "nothing");
        if (told && (f.problems.first->line != (cases[i].below ? 4 : 2) || f.problems.first->column != 1))
            fail_msg("%s: told at %d:%d", cases[i].key, f.problems.first->line, f.problems.first->column);
        weft_arena_release(&f.arena);
    }
}

static void two_tables_share_one_map(void **state)
{
    struct other { uint64_t pause; } other = { 0 };
    static const struct weft_option more[] = {
        WEFT_MSEC("retry.pause", struct other, pause, .fallback = "1s", .help = "a wait"),
        { .key = NULL },
    };
    struct fixture f;
    (void)state;

    set_up(&f);
    struct weft_node *map = node(&f, WEFT_NODE_MAP, NULL, NULL);
    put(map, node(&f, WEFT_NODE_SCALAR, "endpoint", "here"));
    struct weft_node *retry = put(map, node(&f, WEFT_NODE_MAP, "retry", NULL));
    put(retry, node(&f, WEFT_NODE_SCALAR, "pause", "2s"));
    const struct weft_option_set sets[] = { { options, &f.sample }, { more, &other } };
    assert_int_equal(weft_options_load_sets(sets, 2, "x::s", map, &f.arena, &f.problems), 0);
    assert_int_equal(other.pause, 2000);
    weft_arena_release(&f.arena);
}

static void sizes_and_durations_read_as_in_go(void **state)
{
    const struct { const char *text; bool duration; uint64_t value; } good[] = {
        { "0", false, 0 }, { "1000", false, 1000 }, { "1.5KiB", false, 1536 }, { "64Mi", false, 64 << 20 }, { "1GB", false, 1000000000 },
        { "10 kb", false, 10000 }, { "0", true, 0 }, { "250ms", true, 250 }, { "1m30s", true, 90000 }, { "1h", true, 3600000 },
        { "1.5s", true, 1500 }, { "100us", true, 1 }, { "1ms500us", true, 2 }, { "0s", true, 0 }, { ".5s", true, 500 },
    };
    const struct { const char *text; bool duration; } bad[] = {
        { "", false }, { "-1", false }, { "MiB", false }, { "0x10", false }, { "1e3", false }, { "9999999999TiB", false },
        { "inf", false }, { "", true }, { "5", true }, { "s", true }, { "1 s", true }, { "1s 2", true }, { "99999999999999999h", true },
    };
    uint64_t value;
    (void)state;

    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        const char *what = good[i].duration ? weft_parse_msec(good[i].text, &value) : weft_parse_bytes(good[i].text, &value);
        if (what || value != good[i].value)
            fail_msg("%s: %s, %llu", good[i].text, what ? what : "read", (unsigned long long)value);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (!(bad[i].duration ? weft_parse_msec(bad[i].text, &value) : weft_parse_bytes(bad[i].text, &value)))
            fail_msg("'%s' was read as %llu", bad[i].text, (unsigned long long)value);
}

static void quantities_are_written_as_they_are_read(void **state)
{
    char text[WEFT_QUANTITY_MAX];
    (void)state;

    assert_string_equal(weft_format_bytes(64 << 20, text), "64MiB");
    assert_string_equal(weft_format_bytes(1000, text), "1000");
    assert_string_equal(weft_format_msec(90000, text), "1m30s");
    assert_string_equal(weft_format_msec(0, text), "0");
    assert_string_equal(weft_format_msec(3600250, text), "1h250ms");
}

static void the_nearest_word_is_the_one_that_was_meant(void **state)
{
    static const char *const words[] = { "otlp", "otlphttp", "elasticsearch", "debug", "send_batch_size", NULL };
    const struct { const char *word, *nearest; } cases[] = {
        { "otpl", "otlp" }, { "OTLP", "otlp" }, { "otlphtpt", "otlphttp" }, { "elastic", "elasticsearch" }, { "debgu", "debug" },
        { "send-batch-size", "send_batch_size" }, { "kafka", NULL }, { "x", NULL }, { "", NULL },
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *near = weft_nearest(cases[i].word, words);
        if ((near == NULL) != (cases[i].nearest == NULL) || (near && strcmp(near, cases[i].nearest) != 0))
            fail_msg("%s: %s", cases[i].word, near ? near : "nothing");
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_go_through_the_same_parser),
        cmocka_unit_test(every_kind_takes_its_value_from_the_tree),
        cmocka_unit_test(a_bad_value_is_told_with_its_place_and_what_to_write),
        cmocka_unit_test(all_errors_are_told_and_a_missing_key_is_one),
        cmocka_unit_test(what_is_ignored_and_would_have_changed_something_is_a_warning),
        cmocka_unit_test(two_tables_share_one_map),
        cmocka_unit_test(sizes_and_durations_read_as_in_go),
        cmocka_unit_test(quantities_are_written_as_they_are_read),
        cmocka_unit_test(the_nearest_word_is_the_one_that_was_meant),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

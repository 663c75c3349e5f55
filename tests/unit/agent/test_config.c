/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/config.h"
#include "core/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>
#include <cmocka.h>

static const char *no_variable(void *ctx, const char *name)
{
    (void)ctx;
    (void)name;
    return NULL;
}

/* "base.yaml" is a configuration that is valid; "t.yaml" is the case's own text. */
static int file(void *ctx, const char *path, struct weft_buf *out)
{
    if (strcmp(path, "base.yaml") == 0)
        weft_buf_append_str(out, weft_default_config);
    else if (strcmp(path, "t.yaml") == 0)
        weft_buf_append_str(out, ctx);
    else
        return UV_ENOENT;
    return 0;
}

static struct weft_config *load(const char *text, bool over_base)
{
    struct weft_expand expand = { .ctx = (void *)(uintptr_t)text, .variable = no_variable, .file = file };
    struct weft_config_args args = { .configs = { over_base ? "base.yaml" : "t.yaml", "t.yaml" }, .n_configs = over_base ? 2 : 1 };
    struct weft_config *config = NULL;

    (void)weft_config_load(&args, &expand, &config);
    assert_non_null(config);
    return config;
}

/* All problems, one a line. */
static void join(const struct weft_problems *problems, char *out, size_t size)
{
    char line[1200];
    size_t len = 0;

    *out = '\0';
    for (const struct weft_problem *p = problems->first; p && len < size; p = p->next) {
        weft_problem_text(p, line, sizeof line);
        len += (size_t)snprintf(out + len, size - len, "%s%s", len ? "\n" : "", line);
    }
}

static void the_built_in_default_is_valid(void **state)
{
    struct weft_config *config = load(weft_default_config, false);
    (void)state;

    assert_int_equal(config->problems.n, 0);
    assert_int_equal(config->warnings.n, 0);
    assert_int_equal(config->n_pipelines, 3);
    assert_string_equal(config->service.telemetry_endpoint, "127.0.0.1:8888");
    assert_int_equal(config->service.journal_max_size, 32 << 20);
    assert_int_equal(config->service.memory_limit, 64 << 20);
    assert_int_equal(config->service.shutdown_timeout, 30000);
    weft_config_free(config);
}

/* Each text is laid over the built-in default, which has otlp, correlation, prometheus, debug and three pipelines. */
static void a_mistake_is_told_at_its_place_with_what_was_probably_meant(void **state)
{
    const struct { const char *in, *out; } cases[] = {
        { "recievers: {}", "t.yaml:1:1: unknown section 'recievers'; did you mean 'receivers'?" },
        { "tests: {}", "t.yaml:1:1: unknown section 'tests'; there are receivers, processors, exporters, extensions and service" },
        { "receivers: [otlp]", "t.yaml:1:12: receivers: expected a map of ids\n"
                               "base.yaml:14:28: service::pipelines::traces: receiver 'otlp' is not defined; add it under receivers\n"
                               "base.yaml:15:28: service::pipelines::metrics: receiver 'otlp' is not defined; add it under receivers\n"
                               "base.yaml:16:28: service::pipelines::logs: receiver 'otlp' is not defined; add it under receivers" },
        { "receivers:\n  otpl:\n", "t.yaml:2:3: receivers: this build has no receiver 'otpl'; did you mean 'otlp'?" },
        { "receivers:\n  kafka/x:\n",
          "t.yaml:2:3: receivers: this build has no receiver 'kafka'; 'weft components' lists what there is" },
        { "receivers:\n  otlp/: {}\n",
          "t.yaml:2:3: receivers: 'otlp/' is not an id; write the component's name, or name/label" },
        { "receivers:\n  otlp:\n    protocols:\n      grcp: {}\n",
          "t.yaml:4:7: receivers::otlp::protocols: unknown key 'grcp'; did you mean 'grpc'?" },
        { "receivers:\n  otlp:\n    protocols: grpc\n", "t.yaml:3:16: receivers::otlp::protocols: expected a map, found a single value" },
        { "receivers:\n  otlp: {endpoint: x}\n", "t.yaml:2:10: receivers::otlp: unknown key 'endpoint'; known here: protocols" },
        { "processors:\n  batch: {timeout: 1s, send_batch_sise: 1}\nservice: {pipelines: {logs: {processors: [batch]}}}\n",
          "t.yaml:2:24: processors::batch: unknown key 'send_batch_sise'; did you mean 'send_batch_size'?" },
        { "processors:\n  memory_limiter: {check_interval: 1}\nservice: {pipelines: {logs: {processors: [memory_limiter]}}}\n",
          "t.yaml:2:36: processors::memory_limiter::check_interval: '1' has no unit; write a duration such as 250ms, 10s or 1m30s" },
        { "processors:\n  memory_limiter:\nservice: {pipelines: {logs: {processors: [memory_limiter]}}}\n",
          "t.yaml:2:3: processors::memory_limiter: one of limit_mib and limit_percentage is required" },
        { "exporters:\n  debug: {verbosity: detialed}\n", "t.yaml:2:22: exporters::debug::verbosity: 'detialed' is not one of basic, "
                                                          "normal or detailed; did you mean 'detailed'?" },
        { "exporters:\n  otlp: {retry_on_failure: {max_interval: 1ns2}}\nservice: {pipelines: {logs: {exporters: [otlp]}}}\n",
          "t.yaml:2:43: exporters::otlp::retry_on_failure::max_interval: '1ns2' has no unit; write a duration such as 250ms, 10s or "
          "1m30s" },
        { "exporters: {debug: {start: oldest}}", "t.yaml:1:21: exporters::debug: unknown key 'start'; did you mean "
                                                 "exporters::debug::journal_start?" },
        { "exporters: {debug: {adaptive_concurrency: true}}",
          "t.yaml:1:21: exporters::debug: unknown key 'adaptive_concurrency'; did you mean exporters::debug::concurrency::adaptive?" },
        { "exporters:\n  otlp: {}\nservice: {pipelines: {logs: {exporters: [otlp]}}}\n",
          "t.yaml:2:9: exporters::otlp: endpoint is missing" },
        { "exporters:\n  otlp: {endpoints: [a:4317, b]}\nservice: {pipelines: {logs: {exporters: [otlp]}}}\n",
          "t.yaml:2:21: exporters::otlp: endpoints: 'b' is not host:port" },
        { "exporters:\n  jaeger/b: {endpoint: tempo}\nservice: {pipelines: {traces: {exporters: [jaeger/b]}}}\n",
          "t.yaml:2:24: exporters::jaeger/b: endpoint: 'tempo' is not host:port" },
        { "exporters:\n  prometheus: {endpoint: ':99999'}\n", "t.yaml:2:26: exporters::prometheus: endpoint: ':99999' is not host:port" },
        { "receivers:\n  otlp: {protocols: {http: {endpoint: localhost}}}\n",
          "t.yaml:2:39: receivers::otlp: protocols::http::endpoint: 'localhost' is not host:port" },
        { "service: {telemetry: {endpoint: here}}", "t.yaml:1:10: service::telemetry: the endpoint 'here' is not host:port" },
        { "connectors:\n  spanmetrics:\n",
          "t.yaml:2:3: connectors: this build has no connector 'spanmetrics'; 'weft components' lists what there is" },
        { "service: {pipelines: {traces: {exporters: [prometheus]}}}",
          "t.yaml:1:44: service::pipelines::traces: exporter 'prometheus' cannot take traces, only metrics" },
        { "service: {pipelines: {traces: {exporters: [promethues]}}}",
          "t.yaml:1:44: service::pipelines::traces: exporter 'promethues' is not defined; did you mean 'prometheus'?" },
        { "service: {pipelines: {logs: {processors: [debug]}}}",
          "t.yaml:1:43: service::pipelines::logs: 'debug' is defined under exporters, not under processors" },
        { "service: {pipelines: {logs: {exporters: [debug, debug]}}}",
          "t.yaml:1:49: service::pipelines::logs: exporter 'debug' is named twice" },
        { "service: {pipelines: {logs: {exporters: {debug: x}}}}", "t.yaml:1:41: service::pipelines::logs: expected a list of ids" },
        { "service: {pipelines: {logs: {exporter: [debug]}}}",
          "t.yaml:1:30: service::pipelines::logs: unknown key 'exporter'; did you mean 'exporters'?" },
        { "service: {pipelines: {logs: {receivers: []}}}", "t.yaml:1:23: service::pipelines::logs: needs at least one receiver" },
        { "service: {pipelines: {logs: {exporters: []}}}", "t.yaml:1:23: service::pipelines::logs: needs at least one exporter" },
        { "service: {pipelines: {log: {receivers: [otlp], exporters: [debug]}}}",
          "t.yaml:1:23: service::pipelines: 'log' is no signal; a pipeline is named traces, metrics or logs; did you mean 'logs'?" },
        { "service: {pipelines: []}", "t.yaml:1:22: service::pipelines: expected a map of pipelines" },
        { "service: {pipelines: }", "t.yaml:1:11: service::pipelines: needs at least one pipeline" },
        { "service: {extensions: [health_check]}",
          "t.yaml:1:24: service::extensions: extension 'health_check' is not defined; add it under extensions" },
        { "service: {journal: {mode: disc}}",
          "t.yaml:1:27: service::journal::mode: 'disc' is not one of memory or disk; did you mean 'disk'?" },
        { "service: {journal: {mode: disc, max_size: 2GiB, sync: always}}",
          "t.yaml:1:27: service::journal::mode: 'disc' is not one of memory or disk; did you mean 'disk'?" },
        { "service: {journal: {mode: disk, max_size: 3GX, retention: {size: 2GiB}}}",
          "t.yaml:1:43: service::journal::max_size: '3GX' has an unknown unit; sizes end in B, KiB, MiB, GiB, TiB, KB, MB, GB or TB" },
        { "service: {journal: {directory: var/lib/weft}}",
          "t.yaml:1:32: service::journal::directory: 'var/lib/weft' is not an absolute path" },
        { "service: {journal: {mode: disk, retention: {size: 2GiB}}}",
          "t.yaml:1:51: service::journal::retention::size (2GiB) is more than service::journal::max_size (1GiB)" },
        { "service: {journal: {sync_interval: 1ms}}",
          "t.yaml:1:36: service::journal::sync_interval: '1ms' is less than the least allowed, 10ms" },
        { "service: {journal: {on_full: skip}}",
          "t.yaml:1:21: service::journal: unknown key 'on_full'; known here: mode, directory, max_size, sync, sync_interval, max_delay, "
          "retention, on_disk_error, removed_exporter_grace or dead_letters\n"
          "t.yaml:1:21: service::journal::on_full is a key of exporters: set exporters::ID::on_full" },
        { "service: {journal: {max_size: 64MiB}}",
          "t.yaml:1:31: service::journal::max_size (64MiB) must be less than service::memory_limit (64MiB): a journal in memory "
          "counts into the limit" },
        { "service: {journal: {max_size: 2MiB}}",
          "base.yaml:13:3: service::pipelines: 3 pipelines need 1MiB of service::journal::max_size each" },
        { "service: {memory_limit: 8MiB}",
          "t.yaml:1:25: service::memory_limit: '8MiB' is less than the least allowed, 16MiB" },
        { "service: {telemetry: {logs: {level: trace}}}",
          "t.yaml:1:37: service::telemetry::logs::level: 'trace' is not one of debug, info, warn or error" },
        { "service: {telemetry: {metrics: {readers: x}}}", "t.yaml:1:42: service::telemetry::metrics::readers: expected a list" },
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char told[4096];
        struct weft_config *config = load(cases[i].in, true);
        join(&config->problems, told, sizeof told);
        weft_config_free(config);
        /* Told in the order of the text, file by file: compare without regard to which file comes first. */
        const char *line = cases[i].out;
        size_t length = 0;
        for (const char *end; *line; line = *end ? end + 1 : end) {
            char wanted[1200];
            end = line + strcspn(line, "\n");
            (void)snprintf(wanted, sizeof wanted, "%.*s", (int)(end - line), line);
            if (!strstr(told, wanted))
                fail_msg("%s\nwanted: %s\ntold:   %s", cases[i].in, wanted, told);
            length += strlen(wanted) + 1;
        }
        if (strlen(told) + 1 != length)
            fail_msg("%s\ntold more than wanted: %s", cases[i].in, told);
    }
}

static void problems_come_in_the_order_of_the_text(void **state)
{
    struct weft_config *config = load("service:\n  memory_limit: 1\n  pipelines: {x: }\nexporters:\n  debug: {verbosity: x}\n", false);
    char told[4096];
    (void)state;

    join(&config->problems, told, sizeof told);
    assert_string_equal(told,
                        "t.yaml:2:17: service::memory_limit: '1' is less than the least allowed, 16MiB\n"
                        "t.yaml:3:15: service::pipelines: 'x' is no signal; a pipeline is named traces, metrics or logs, or one of "
                        "them with /name behind it\n"
                        "t.yaml:5:22: exporters::debug::verbosity: 'x' is not one of basic, normal or detailed");
    weft_config_free(config);
}

static void what_is_defined_but_not_used_is_a_warning(void **state)
{
    struct weft_config *config = load("exporters:\n  debug/spare:\n", true);
    char told[1024];
    (void)state;

    assert_int_equal(config->problems.n, 0);
    join(&config->warnings, told, sizeof told);
    assert_string_equal(told, "t.yaml:2:3: exporters::debug/spare is defined but not used");
    weft_config_free(config);
}

static void sizes_of_the_journal_depend_on_its_mode_unless_they_are_set(void **state)
{
    enum { MIB = 1 << 20 };
    const struct { const char *in; uint64_t max_size, retention_size, retention_age; } cases[] = {
        { "service: {journal: {mode: memory}}", 32 * MIB, 0, 0 },
        { "service: {journal: {mode: disk}}", 1024 * MIB, 256 * MIB, 86400000 },
        { "service: {journal: {mode: disk, max_size: 64MiB}}", 64 * MIB, 16 * MIB, 86400000 },
        { "service: {journal: {mode: disk, max_size: 64MiB, retention: {size: 0, age: 0}}}", 64 * MIB, 0, 0 },
        { "service: {journal: {max_size: 16MiB, retention: {size: 8MiB, age: 1m}}}", 16 * MIB, 8 * MIB, 60000 },
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char told[1024];
        struct weft_config *config = load(cases[i].in, true);
        const struct weft_service *s = &config->service;
        join(&config->problems, told, sizeof told);
        if (*told || config->warnings.n || s->journal_max_size != cases[i].max_size || s->retention_size != cases[i].retention_size
            || s->retention_age != cases[i].retention_age)
            fail_msg("%s: max_size %llu, retention %llu bytes, %llu ms; %s", cases[i].in, (unsigned long long)s->journal_max_size,
                     (unsigned long long)s->retention_size, (unsigned long long)s->retention_age, told);
        weft_config_free(config);
    }
}

struct warned { const char *in, *out; };

/* These, and nothing is wrong besides. */
static void expect_warnings(const struct warned *cases, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char told[1024];
        struct weft_config *config = load(cases[i].in, true);
        join(&config->warnings, told, sizeof told);
        if (strcmp(told, cases[i].out) != 0 || config->problems.n)
            fail_msg("%s: %s", cases[i].in, told);
        weft_config_free(config);
    }
}

static void an_exporters_keys_that_are_odd_together_are_a_warning(void **state)
{
    const struct warned cases[] = {
        { "exporters: {debug: {retry_on_failure: {initial_interval: 1m}}}",
          "t.yaml:1:21: exporters::debug::retry_on_failure: initial_interval (1m) is more than max_interval (30s)" },
        { "exporters: {debug: {retry_on_failure: {initial_interval: 1m, max_interval: 1m}}}", "" },
        { "exporters: {debug: {concurrency: {initial: 8, max: 4}}}",
          "t.yaml:1:21: exporters::debug::concurrency: initial (8) is more than max (4), which is what counts" },
        { "exporters: {debug: {concurrency: {initial: 8}}}", "" },
    };
    (void)state;

    expect_warnings(cases, sizeof cases / sizeof *cases);
}

static void keys_that_mean_nothing_in_memory_are_a_warning(void **state)
{
    const struct warned cases[] = {
        { "service: {journal: {sync: always}}", "t.yaml:1:21: service::journal::sync means nothing while service::journal::mode is memory" },
        { "service: {journal: {on_disk_error: refuse}}",
          "t.yaml:1:21: service::journal::on_disk_error means nothing while service::journal::mode is memory" },
        { "service: {journal: {mode: disk, sync: always, on_disk_error: memory}}", "" },
    };
    (void)state;

    expect_warnings(cases, sizeof cases / sizeof *cases);
}

/* Laid over the built-in default, whose journals are in memory. */
static void a_queue_with_storage_puts_journals_on_disk_or_is_told_why_not(void **state)
{
#define QUEUE(storage) "exporters: {debug: {sending_queue: {storage: " storage "}}}\n"
#define STORE "extensions: {file_storage: {directory: /var/q}, file_storage/rel: {directory: q}, health_check: }\n"
#define STARTED "service: {extensions: [file_storage, file_storage/rel, health_check]}\n"
#define LOST "what waits lives in memory and dies with the process; set service.journal.mode: disk"
    const struct { const char *in; int mode; const char *directory, *asked_by, *out, *wrong; } cases[] = {
        { QUEUE("file_storage") STORE STARTED, WEFT_SERVICE_DISK, "/var/q", "debug", "", "" },
        { QUEUE("file_storage") STORE STARTED "service::journal::directory: /d\n", WEFT_SERVICE_DISK, "/d", "debug", "", "" },
        { QUEUE("file_storage") STORE STARTED "service::journal::max_size: 64MiB\n"
          "exporters::prometheus::sending_queue::storage: file_storage/rel\n", WEFT_SERVICE_DISK, "/var/q", "debug",
          "t.yaml:5:1: exporters::prometheus::sending_queue::storage is ignored: all journals are on disk in /var/q", "" },
        { QUEUE("file_storage") STORE STARTED "service::journal::mode: disk\n", WEFT_SERVICE_DISK, "/var/lib/weft", NULL, "", "" },
        { QUEUE("file_storage") STORE STARTED "service::journal::mode: memory\n", WEFT_SERVICE_MEMORY, "/var/lib/weft", NULL,
          "t.yaml:1:37: exporters::debug::sending_queue::storage is ignored: service.journal.mode is memory: " LOST, "" },
        { QUEUE("file_storage/rel") STORE STARTED "service::journal::mode: memory\n", WEFT_SERVICE_MEMORY, "/var/lib/weft", NULL,
          "t.yaml:1:37: exporters::debug::sending_queue::storage is ignored: service.journal.mode is memory: " LOST, "" },
        { QUEUE("file_storage/rel") STORE STARTED, WEFT_SERVICE_MEMORY, "/var/lib/weft", NULL, "",
          "t.yaml:1:46: exporters::debug::sending_queue::storage: 'file_storage/rel' has no absolute directory that may be used; set its "
          "directory, or service.journal.mode" },
        { QUEUE("file_storage/rle") STORE STARTED, WEFT_SERVICE_MEMORY, "/var/lib/weft", NULL, "",
          "t.yaml:1:46: exporters::debug::sending_queue::storage: extension 'file_storage/rle' is not defined; did you mean "
          "'file_storage/rel'?" },
        { QUEUE("file_storage/rle") STORE STARTED "service::journal::mode: disk\n", WEFT_SERVICE_DISK, "/var/lib/weft", NULL, "",
          "t.yaml:1:46: exporters::debug::sending_queue::storage: extension 'file_storage/rle' is not defined; did you mean "
          "'file_storage/rel'?" },
        { QUEUE("health_check") STORE STARTED, WEFT_SERVICE_MEMORY, "/var/lib/weft", NULL, "",
          "t.yaml:1:46: exporters::debug::sending_queue::storage: 'health_check' keeps nothing: it has to be a file_storage" },
        { QUEUE("file_storage") STORE "service: {extensions: [file_storage/rel, health_check]}\n", WEFT_SERVICE_MEMORY, "/var/lib/weft", NULL,
          "t.yaml:2:14: extensions::file_storage is defined but not used",
          "t.yaml:1:46: exporters::debug::sending_queue::storage: 'file_storage' is not among service::extensions; add it there" },
        { QUEUE("file_storage"), WEFT_SERVICE_MEMORY, "/var/lib/weft", NULL, "",
          "t.yaml:1:46: exporters::debug::sending_queue::storage: extension 'file_storage' is not defined; add it under extensions" },
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char told[1024], wrong[1024];
        struct weft_config *config = load(cases[i].in, true);
        const struct weft_service *s = &config->service;
        join(&config->problems, wrong, sizeof wrong);
        join(&config->warnings, told, sizeof told);
        if (strcmp(wrong, cases[i].wrong) != 0 || strcmp(told, cases[i].out) != 0 || s->journal_mode != cases[i].mode
            || strcmp(s->journal_directory, cases[i].directory) != 0
            || strcmp(s->journal_asked_by ? s->journal_asked_by : "", cases[i].asked_by ? cases[i].asked_by : "") != 0)
            fail_msg("%s: %s; mode %d, %s, asked by %s; told %s", cases[i].in, wrong, s->journal_mode, s->journal_directory,
                     s->journal_asked_by ? s->journal_asked_by : "nobody", told);
        weft_config_free(config);
    }
}

/* As the Collector's own documentation and charts write it. */
static void a_configuration_of_the_Collector_is_taken_as_it_is(void **state)
{
    static const char text[] =
        "receivers:\n  otlp:\n    protocols:\n      grpc:\n        endpoint: ${env:MY_POD_IP:-0.0.0.0}:4317\n      http:\n"
        "processors:\n  batch: {}\n  memory_limiter: {check_interval: 5s, limit_percentage: 80, spike_limit_percentage: 25}\n"
        "exporters:\n  debug:\n    verbosity: detailed\n    sampling_initial: 5\n    sampling_thereafter: 200\n"
        "  otlp_grpc/upstream:\n    endpoint: gateway:4317\n    tls: {insecure: true}\n"
        "    sending_queue: {enabled: true, num_consumers: 10, queue_size: 1000}\n"
        "    retry_on_failure: {enabled: true, initial_interval: 5s, max_interval: 30s, max_elapsed_time: 300s, multiplier: 1.5}\n"
        "extensions:\n  health_check: {endpoint: \"0.0.0.0:13133\"}\n"
        "service:\n  extensions: [health_check]\n"
        "  telemetry:\n    logs: {level: INFO, encoding: json, output_paths: [stderr]}\n"
        "    metrics: {level: detailed, readers: [{pull: {exporter: {prometheus: {host: \"::\", port: 9999}}}}]}\n"
        "  pipelines:\n    traces:\n      receivers: [otlp]\n      processors: [memory_limiter, batch]\n"
        "      exporters: [debug, otlp_grpc/upstream]\n"
        "    logs/app: {receivers: [otlp], exporters: [debug]}\n";
    struct weft_config *config = load(text, false);
    char told[2048];
    (void)state;

    join(&config->problems, told, sizeof told);
    assert_string_equal(told, "");
    join(&config->warnings, told, sizeof told);
    assert_string_equal(told,
                        "t.yaml:18:55: exporters::otlp_grpc/upstream::sending_queue::queue_size is ignored: the journal stands in for the "
                        "queue; service.journal.max_size bounds it, in bytes and for all pipelines\n"
                        "t.yaml:19:104: exporters::otlp_grpc/upstream::retry_on_failure::multiplier is ignored: the ceiling of the waits "
                        "always doubles");
    assert_string_equal(config->service.telemetry_endpoint, "[::]:9999");
    assert_int_equal(config->service.log_encoding, 1);
    assert_string_equal(config->components[WEFT_KIND_EXPORTER][1].type.name, "otlp");

    struct weft_lane_config lane = { .retry_enabled = false };
    void *instance = weft_config_instance(&config->components[WEFT_KIND_EXPORTER][1], &config->arena, &lane, &config->problems);
    assert_non_null(instance);
    assert_int_equal(lane.initial_interval, 5000);
    assert_int_equal(lane.max_elapsed_time, 300000);
    assert_int_equal(lane.breaker_threshold, 5);
    free(instance);
    weft_config_free(config);
}

/* ---- every registered table ---- */
static void check_row(const char *component, const struct weft_option *o)
{
    if (!o->help || !*o->help || o->help[strlen(o->help) - 1] == '.')
        fail_msg("%s: %s: the help is one sentence without a full stop", component, o->key);
    if (o->kind == WEFT_OPT_ENUM && (!o->words || !o->words[0]))
        fail_msg("%s: %s: an enum without words", component, o->key);
    if (o->min > o->max && o->max != 0)
        fail_msg("%s: %s: least over most", component, o->key);
    if (o->kind != WEFT_OPT_IGNORED && o->warns)
        fail_msg("%s: %s: it is not ignored, so there is nothing to warn of", component, o->key);
    if (o->required && o->fallback)
        fail_msg("%s: %s: required, yet it has a default", component, o->key);
}

static void every_table_has_help_and_defaults_within_bounds(void **state)
{
    struct weft_component c;
    size_t n = 0;
    (void)state;

    for (int kind = 0; kind < WEFT_KINDS; kind++) {
        for (size_t i = 0; weft_registry_at((enum weft_kind)kind, i, &c); i++, n++) {
            struct weft_arena arena;
            weft_arena_init(&arena, 1 << 20);
            struct weft_problems problems = { .arena = &arena };
            void *instance = calloc(1, c.size);
            (void)weft_options_load(c.options, c.name, NULL, instance, &arena, &problems);
            for (const struct weft_problem *p = problems.first; p; p = p->next)
                if (!strstr(p->text, "is required"))
                    fail_msg("%s: %s", c.name, p->text);
            for (const struct weft_option *o = c.options; o->key; o++)
                check_row(c.name, o);
            for (const struct weft_option *o = c.options; o->key; o++)
                for (const struct weft_option *twin = c.options; twin < o; twin++)
                    if (strcmp(o->key, twin->key) == 0)
                        fail_msg("%s: %s stands twice", c.name, o->key);
            assert_true(c.summary && *c.summary);
            free(instance);
            weft_arena_release(&arena);
        }
    }
    assert_true(n > 5);
    for (const struct weft_option *o = weft_lane_options; o->key; o++)
        check_row("every exporter", o);
    for (const struct weft_option *o = weft_service_options; o->key; o++)
        check_row("service", o);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_built_in_default_is_valid),
        cmocka_unit_test(a_mistake_is_told_at_its_place_with_what_was_probably_meant),
        cmocka_unit_test(problems_come_in_the_order_of_the_text),
        cmocka_unit_test(what_is_defined_but_not_used_is_a_warning),
        cmocka_unit_test(sizes_of_the_journal_depend_on_its_mode_unless_they_are_set),
        cmocka_unit_test(an_exporters_keys_that_are_odd_together_are_a_warning),
        cmocka_unit_test(keys_that_mean_nothing_in_memory_are_a_warning),
        cmocka_unit_test(a_queue_with_storage_puts_journals_on_disk_or_is_told_why_not),
        cmocka_unit_test(a_configuration_of_the_Collector_is_taken_as_it_is),
        cmocka_unit_test(every_table_has_help_and_defaults_within_bounds),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* service.c: see service.h. The Collector's telemetry keys are mapped to the one admin endpoint. */
#include "agent/service.h"

#include "agent/directory.h"
#include "core/endpoint.h"
#include "core/err.h"

#include <stdio.h>
#include <string.h>
#include <uv.h>

#define S struct weft_service

enum { RETENTION_SIZE = 256 << 20, RETENTION_AGE_MS = 24 * 3600 * 1000, DIRECTORY_MAX = 3000, FALLBACK_PART = 4 };

static const char *const journal_modes[] = { "memory", "disk", NULL };
static const char *const syncs[] = { "none", "interval", "always", NULL };
static const char *const disk_errors[] = { "refuse", "memory", NULL };
static const char *const log_levels[] = { "debug", "info", "warn", "error", NULL };
static const char *const log_encodings[] = { "console", "json", NULL };
static const char *const metrics_levels[] = { "none", "basic", "normal", "detailed", NULL };

const struct weft_option weft_service_options[] = {
    WEFT_ENUM("journal.mode", S, journal_mode, .fallback = "memory", .words = journal_modes,
              .help = "where the journal lives: memory, or disk, where what was acknowledged survives a crash of the agent"),
    WEFT_STRING("journal.directory", S, journal_directory, .fallback = "/var/lib/weft",
                .help = "an absolute path; journals on disk, dead letters and positions of files live under it; one agent a directory"),
    WEFT_BYTES("journal.max_size", S, journal_max_size, .min = 1 << 20, .max = 0x1p40,
               .help = "all segments of all pipelines together, each gets an equal share; 32MiB in memory, 1GiB on disk unless set"),
    WEFT_ENUM("journal.sync", S, journal_sync, .fallback = "interval", .words = syncs,
              .help = "when a journal on disk is flushed to the device: none leaves it to the system, interval does so behind the "
                      "acknowledgements, always before each (many share one flush)"),
    WEFT_MSEC("journal.sync_interval", S, journal_sync_interval, .fallback = "500ms", .min = 10, .max = 60000,
              .help = "with sync interval: what a power cut may cost; of dead letters with sync always, too"),
    WEFT_MSEC("journal.max_delay", S, journal_max_delay, .fallback = "500ms", .min = 0, .max = 5000,
              .help = "from 80 % fill on the yes to requests of INFO logs and spans that did not fail is held back, up to this at 90 %, "
                      "from where they are refused; keep it far below the timeouts of clients; 0: never"),
    WEFT_BYTES("journal.retention.size", S, retention_size, .min = 0, .max = 0x1p40,
               .help = "kept, while there is room, after every exporter has it, for replay and look-ups; over all pipelines; 256MiB or "
                       "a quarter of max_size on disk, 0 in memory unless set"),
    WEFT_MSEC("journal.retention.age", S, retention_age, .min = 0, .max = 31536000000,
              .help = "nothing older is kept for that; 0 is any age; 24h on disk unless set"),
    WEFT_ENUM("journal.on_disk_error", S, on_disk_error, .fallback = "refuse", .words = disk_errors,
              .help = "while the disk is full or fails: refuse new input with a retryable answer, or take it in memory (up to a quarter of "
                      "memory_limit), where a crash loses it"),
    WEFT_MSEC("journal.removed_exporter_grace", S, removed_exporter_grace, .fallback = "10m", .min = 0, .max = 604800000,
              .help = "how long what waits for an exporter that a pipeline names no more is kept for its return; shorter when the journal "
                      "is 70 % full because of it"),
    WEFT_BYTES("journal.dead_letters.max_size", S, dead_letters_max_size, .min = 1 << 20, .max = 0x1p40,
               .help = "of each exporter: what its back end refused for good is kept up to this, the oldest goes first; 1MiB in memory, "
                       "64MiB on disk unless set"),
    WEFT_BYTES("memory_limit", S, memory_limit, .fallback = "64MiB", .min = 16 << 20, .max = 0x1p40,
               .help = "what the process may use, the journal in memory mode included"),
    WEFT_INT("ingest_loops", S, ingest_loops, .fallback = "0", .min = 0, .max = 64,
             .help = "threads that receive; 0 means one a processor, at most 4"),
    WEFT_MSEC("shutdown_timeout", S, shutdown_timeout, .fallback = "30s", .min = 0, .max = 3600000,
              .help = "how long a stop waits for exporters to send what is left; then the rest is named: it stays in a journal on disk, and "
                      "is dropped from one in memory"),
    WEFT_STRING("telemetry.endpoint", S, telemetry_endpoint, .fallback = "127.0.0.1:8888",
                .help = "address of the admin server: /metrics, /health/live, /health/ready, /api/v1/, the status page"),
    WEFT_ENUM("telemetry.logs.level", S, log_level, .fallback = "info", .words = log_levels,
              .help = "lines below this level are not written; --log-level wins"),
    WEFT_ENUM("telemetry.logs.encoding", S, log_encoding, .fallback = "console", .words = log_encodings,
              .help = "console writes logfmt, json one object a line; --log-format wins"),
    WEFT_IGNORED("telemetry.logs.development", .help = "there is one form of log lines"),
    WEFT_IGNORED("telemetry.logs.disable_caller", .help = "lines name components, not code"),
    WEFT_IGNORED("telemetry.logs.disable_stacktrace", .help = "lines carry no stack traces"),
    WEFT_IGNORED("telemetry.logs.output_paths", .fallback = "stderr", .warns = true, .help = "lines go to stderr"),
    WEFT_IGNORED("telemetry.logs.error_output_paths", .fallback = "stderr", .warns = true, .help = "lines go to stderr"),
    WEFT_IGNORED("telemetry.logs.initial_fields", .warns = true, .help = "lines have a fixed set of fields"),
    WEFT_IGNORED("telemetry.logs.sampling", .help = "each message that a peer can trigger has a rate gate of its own"),
    WEFT_IGNORED("telemetry.logs.processors", .warns = true, .help = "lines go to stderr"),
    WEFT_ENUM("telemetry.metrics.level", S, metrics_level, .fallback = "normal", .words = metrics_levels,
              .help = "none takes /metrics away; all others expose everything"),
    WEFT_STRING("telemetry.metrics.address", S, metrics_address,
                .help = "older spelling of telemetry.endpoint"),
    WEFT_NODE("telemetry.metrics.readers", S, readers,
              .help = "host and port of the first pull.exporter.prometheus reader stand in for telemetry.endpoint"),
    WEFT_IGNORED("telemetry.metrics.views", .warns = true, .help = "own metrics are a fixed set"),
    WEFT_IGNORED("telemetry.traces", .warns = true, .help = "the agent does not trace itself"),
    WEFT_IGNORED("telemetry.resource", .warns = true, .help = "own metrics carry no resource"),
    WEFT_LIST("extensions", S, extensions, .help = "ids of the extensions to start"),
    WEFT_NODE("pipelines", S, pipelines,
              .help = "map of traces, metrics or logs (with /name for several) to receivers, processors and exporters"),
    { .key = NULL },
};

static const struct weft_node *descend(const struct weft_node *n, const char *const *path)
{
    for (; n && *path; path++)
        n = weft_node_get(n, *path);
    return n;
}

static char *join_address(struct weft_arena *arena, const char *host, const char *port)
{
    char text[300];

    (void)snprintf(text, sizeof text, strchr(host, ':') && *host != '[' ? "[%s]:%s" : "%s:%s", host, port);
    return (char *)(uintptr_t)weft_arena_copy(arena, weft_slice_str(text)).data;
}

/* The endpoint that telemetry.metrics.readers asks for, or NULL. */
static char *reader_endpoint(const struct weft_node *readers, struct weft_arena *arena, struct weft_problems *problems,
                             struct weft_problems *warnings)
{
    static const char *const path[] = { "pull", "exporter", "prometheus", NULL };
    char *endpoint = NULL;

    if (readers && readers->kind != WEFT_NODE_LIST && readers->kind != WEFT_NODE_NULL)
        weft_problem(problems, readers, "service::telemetry::metrics::readers: expected a list");
    for (const struct weft_node *r = readers ? readers->child : NULL; r; r = r->next) {
        const struct weft_node *pull = descend(r, path);
        const struct weft_node *host = weft_node_get(pull, "host"), *port = weft_node_get(pull, "port");
        if (!pull || endpoint)
            weft_problem(warnings, r, "service::telemetry::metrics::readers: only the first pull.exporter.prometheus is used");
        else
            endpoint = join_address(arena, host && host->text ? host->text : "localhost", port && port->text ? port->text : "8888");
    }
    return endpoint;
}

static void choose_endpoint(const struct weft_node *section, struct weft_arena *arena, struct weft_problems *problems,
                            struct weft_problems *warnings, struct weft_service *s)
{
    static const char *const own[] = { "telemetry", "endpoint", NULL };
    char *reader = reader_endpoint(s->readers, arena, problems, warnings);

    if (descend(section, own))
        return;
    if (reader)
        s->telemetry_endpoint = reader;
    else if (s->metrics_address && *s->metrics_address)
        s->telemetry_endpoint = s->metrics_address;
}

/* The node of a key of the journal as it was written, or NULL. */
static const struct weft_node *journal_key(const struct weft_node *section, const char *key, const char *below)
{
    const char *path[] = { "journal", key, below, NULL };

    return descend(section, path);
}

static void choose_mode(const struct weft_node *section, const struct weft_service_queue *queue, struct weft_arena *arena,
                        struct weft_service *s)
{
    if (!queue->directory || journal_key(section, "mode", NULL))
        return;
    s->journal_mode = WEFT_SERVICE_DISK;
    s->journal_asked_by = queue->exporter;
    if (!journal_key(section, "directory", NULL))
        s->journal_directory = (char *)(uintptr_t)weft_arena_copy(arena, weft_slice_str(queue->directory)).data;
}

/* Defaults that depend on the mode. */
static void choose_sizes(const struct weft_node *section, struct weft_service *s)
{
    bool disk = s->journal_mode == WEFT_SERVICE_DISK;

    if (!s->journal_max_size)
        s->journal_max_size = disk ? 1 << 30 : 32 << 20;
    if (!s->dead_letters_max_size)
        s->dead_letters_max_size = disk ? 64 << 20 : 1 << 20;
    if (!journal_key(section, "retention", "size"))
        s->retention_size = !disk ? 0 : s->journal_max_size / 4 < RETENTION_SIZE ? s->journal_max_size / 4 : RETENTION_SIZE;
    if (!journal_key(section, "retention", "age"))
        s->retention_age = disk ? RETENTION_AGE_MS : 0;
}

static void check_sizes(const struct weft_node *section, struct weft_problems *problems, const struct weft_service *s)
{
    char size[WEFT_QUANTITY_MAX], limit[WEFT_QUANTITY_MAX];
    const struct weft_node *at = journal_key(section, "max_size", NULL), *kept = journal_key(section, "retention", "size");

    if (s->journal_mode == WEFT_SERVICE_MEMORY && s->journal_max_size >= s->memory_limit)
        weft_problem(problems, at ? at : section,
                     "service::journal::max_size (%s) must be less than service::memory_limit (%s): a journal in memory counts "
                     "into the limit",
                     weft_format_bytes((double)s->journal_max_size, size), weft_format_bytes((double)s->memory_limit, limit));
    if (kept && s->retention_size > s->journal_max_size)
        weft_problem(problems, kept, "service::journal::retention::size (%s) is more than service::journal::max_size (%s)",
                     weft_format_bytes((double)s->retention_size, size), weft_format_bytes((double)s->journal_max_size, limit));
}

static void check_directory(const struct weft_node *section, struct weft_problems *problems, const struct weft_service *s)
{
    const struct weft_node *at = journal_key(section, "directory", NULL);

    if (!s->journal_directory || *s->journal_directory != '/')
        weft_problem(problems, at ? at : section, "service::journal::directory: '%s' is not an absolute path",
                     s->journal_directory ? s->journal_directory : "");
    else if (strlen(s->journal_directory) > DIRECTORY_MAX)
        weft_problem(problems, at ? at : section, "service::journal::directory: longer than %d bytes", DIRECTORY_MAX);
}

/* What to do when the journal is full is looked for here; each exporter says it for itself. */
static void point_at_exporters(const struct weft_node *section, struct weft_problems *problems)
{
    const struct weft_node *at = journal_key(section, "on_full", NULL);

    if (at)
        weft_problem_at_key(problems, at, "service::journal::on_full is a key of exporters: set exporters::ID::on_full");
}

/* Keys that only a journal on disk has. */
static void warn_unused(const struct weft_node *section, struct weft_problems *warnings, const struct weft_service *s)
{
    static const char *const keys[] = { "sync", "sync_interval", "on_disk_error" };

    for (size_t i = 0; s->journal_mode == WEFT_SERVICE_MEMORY && i < sizeof keys / sizeof *keys; i++) {
        const struct weft_node *at = journal_key(section, keys[i], NULL);
        if (at)
            weft_problem_at_key(warnings, at, "service::journal::%s means nothing while service::journal::mode is memory", keys[i]);
    }
}

uint64_t weft_service_fallback_memory(const struct weft_service *s)
{
    return s->journal_mode == WEFT_SERVICE_DISK && s->on_disk_error == WEFT_SERVICE_DISK_MEMORY ? s->memory_limit / FALLBACK_PART : 0;
}

uint64_t weft_service_journal_memory(const struct weft_service *s)
{
    return s->journal_mode == WEFT_SERVICE_MEMORY ? s->journal_max_size : weft_service_fallback_memory(s);
}

void weft_service_check_system(const struct weft_service *s, const struct weft_node *section, struct weft_problems *warnings)
{
    char at[WEFT_DIRECTORY_PATH] = "";
    const struct weft_node *node = journal_key(section, "directory", NULL);

    if (s->journal_mode != WEFT_SERVICE_DISK)
        return;
    int err = weft_directory_check(s->journal_directory, at);
    if (!err)
        return;
    if (err == UV_ENOTDIR) {
        weft_problem(warnings, node ? node : journal_key(section, "mode", NULL), "service::journal::directory: %s is not a directory", at);
        return;
    }
    weft_problem(warnings, node ? node : journal_key(section, "mode", NULL),
                 "service::journal::directory: %s cannot be %s by this user: %s: %s", s->journal_directory,
                 strcmp(at, s->journal_directory) == 0 ? "written" : "made", at, weft_err_text(err));
}

int weft_service_load(const struct weft_node *section, const struct weft_service_queue *queue, struct weft_arena *arena,
                      struct weft_problems *problems, struct weft_problems *warnings, struct weft_service *ret_service)
{
    struct weft_service s = { 0 };
    const struct weft_option_set set = { weft_service_options, &s };
    size_t before = problems->n;

    (void)weft_options_load_sets(&set, 1, "service", section, arena, problems);
    point_at_exporters(section, problems);
    weft_options_warn(&set, 1, "service", section, warnings);
    choose_mode(section, queue, arena, &s);
    choose_sizes(section, &s);
    check_directory(section, problems, &s);
    if (problems->n == before) { /* else they would be told of a default that nobody asked for */
        check_sizes(section, problems, &s);
        warn_unused(section, warnings, &s);
    }
    choose_endpoint(section, arena, problems, warnings, &s);
    if (s.telemetry_endpoint && !weft_endpoint_well_formed(s.telemetry_endpoint))
        weft_problem(problems, section, "service::telemetry: the endpoint '%s' is not host:port", s.telemetry_endpoint);
    if (problems->n > before)
        return WEFT_ERR_CONFIG;
    *ret_service = s;
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_run.c: weft run: the daemon. Signals, reload, the admin server, and the exit code.
 *
 * The main thread runs one loop with signals, the admin server and extensions. Stopping a runtime waits for back ends, so it
 * has a thread of its own while the loop goes on: health and metrics answer during the drain, and further signals are
 * heard. A SIGHUP during a reload changes what will be started, a SIGTERM that anything will.
 *
 * A reload parks the lanes and starts the next runtime on the same journals (shelf.h); nothing is drained for it. When a SIGTERM
 * comes meanwhile, lanes are started once more to send what waits, without receivers.
 *
 * STARTING -> RUNNING (start) <-> RELOADING (on_hangup, after_stop)
 *                     RUNNING, RELOADING -> STOPPING (on_terminate) -> loop ends (after_stop)
 */
#include "agent/admin.h"
#include "agent/cli.h"
#include "agent/farewell.h"
#include "agent/losses.h"
#include "core/clock.h"
#include "core/err.h"

#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
    LAST_ANSWERS_MS = 5000, /* of a reload, for requests that are out */
    TEND_MS = 1000,         /* between looks at what the configuration has no more */
};
enum { SAME_SIGNAL_MS = 100 }; /* timeout(1) and some supervisors tell the process and its group: that is one wish, not two */
enum state { STARTING, RUNNING, RELOADING, STOPPING };

struct run {
    uv_loop_t loop;
    uv_signal_t terminate, interrupt, hangup;
    uv_async_t stopped;               /* the stopper is done */
    uv_thread_t stopper;
    uv_timer_t tend;
    enum state state;
    bool parked;                      /* the stopper parks: what waits is there still */
    int stop_result;                  /* the stopper's */
    uint64_t asked_ms;                /* when the signal to stop came */
    uint64_t patience_ms;             /* from then on: what it may take */
    int exit_code;
    struct weft_config_args args;
    const char *log_format, *log_level;
    struct weft_log log;
    struct weft_config *config, *next; /* next: what a reload changes to */
    struct weft_shelf *shelf;         /* the journals, whichever runtime uses them */
    struct weft_runtime *runtime;
    struct weft_admin *admin;
    char *admin_endpoint;             /* where it listens; ours */
    struct weft_admin_view view;
    struct weft_losses losses;        /* what has been told of those of the runtime */
    struct weft_farewell farewell;    /* of runtimes that are gone */
};

/* ---- configuration ---- */
static bool find_word(const char *word, const char *const *words, int *ret_index)
{
    for (int i = 0; words[i]; i++) {
        if (strcasecmp(word, words[i]) != 0)
            continue;
        *ret_index = i;
        return true;
    }
    return false;
}

/* The command line wins over the configuration. */
static struct weft_log choose_log(const struct run *r, const struct weft_service *service)
{
    static const char *const levels[] = { "debug", "info", "warn", "error", NULL };
    int format = service ? service->log_encoding : WEFT_LOG_LOGFMT, level = service ? service->log_level : WEFT_LOG_INFO;
    static const char *const formats[] = { "logfmt", "json", NULL };

    if (r->log_format)
        (void)find_word(r->log_format, formats, &format);
    if (r->log_level)
        (void)find_word(r->log_level, levels, &level);
    return (struct weft_log){ .fd = 2, .level = (enum weft_log_level)level, .format = (enum weft_log_format)format };
}

static int check_words(const struct weft_command *self, const struct run *r)
{
    static const char *const levels[] = { "debug", "info", "warn", "error", NULL };
    static const char *const formats[] = { "logfmt", "json", NULL };
    int ignored;

    if (r->log_format && !find_word(r->log_format, formats, &ignored))
        return weft_cli_usage(self, "--log-format is logfmt or json, not '%s'", r->log_format);
    if (r->log_level && !find_word(r->log_level, levels, &ignored))
        return weft_cli_usage(self, "--log-level is debug, info, warn or error, not '%s'", r->log_level);
    return 0;
}

static void log_problems(const struct run *r, const struct weft_problems *problems, enum weft_log_level level)
{
    char text[1200];

    for (const struct weft_problem *p = problems->first; p; p = p->next) {
        weft_problem_text(p, text, sizeof text);
        weft_log(&r->log, level, "config", "%s", text);
    }
}

/* NULL after the problems were logged. */
static struct weft_config *load(const struct run *r)
{
    struct weft_config *config = NULL;
    int err = weft_config_load(&r->args, &weft_expand_system, &config);

    if (!config) {
        weft_log(&r->log, WEFT_LOG_ERROR, "config", "%s", weft_err_text(err));
        return NULL;
    }
    log_problems(r, &config->warnings, WEFT_LOG_WARN);
    log_problems(r, &config->problems, WEFT_LOG_ERROR);
    if (!err)
        return config;
    weft_config_free(config);
    return NULL;
}

/* ---- the admin server ---- */
static int open_admin(struct run *r, const char *endpoint)
{
    const char *what = "out of memory";
    char *copy = strdup(endpoint);

    int err = copy ? weft_admin_open(&r->admin, &r->loop, endpoint, &r->view, &what) : UV_ENOMEM;
    if (err) {
        free(copy);
        weft_log(&r->log, WEFT_LOG_ERROR, "agent", "the admin server: %s on %s: %s (service.telemetry.endpoint)", what, endpoint,
                 weft_err_text(err));
        return err;
    }
    free(r->admin_endpoint);
    r->admin_endpoint = copy;
    const char *colon = strrchr(endpoint, ':');
    weft_log(&r->log, WEFT_LOG_INFO, "agent", "status page on http://%.*s:%d/, own metrics on /metrics",
             colon == endpoint ? 9 : (int)(colon - endpoint), colon == endpoint ? "127.0.0.1" : endpoint, weft_admin_port(r->admin));
    return 0;
}

/* After a reload: moves the admin server when its endpoint changed; when that fails it stays where it is, and the next reload
 * tries again. */
static void move_admin(struct run *r, const char *endpoint)
{
    struct weft_admin *before = r->admin;

    if (strcmp(endpoint, r->admin_endpoint) == 0)
        return;
    if (open_admin(r, endpoint) == 0)
        weft_admin_close(before);
    else
        weft_log(&r->log, WEFT_LOG_WARN, "agent", "the admin server stays on %s", r->admin_endpoint);
}

/* ---- runtimes ---- */
static void tell_journals(const struct run *r, const struct weft_service *s)
{
    const char *asked_by = s->journal_asked_by;
    char size[WEFT_QUANTITY_MAX];

    weft_format_bytes((double)s->journal_max_size, size);
    if (s->journal_mode == WEFT_SERVICE_MEMORY)
        weft_log(&r->log, WEFT_LOG_INFO, "agent", "journals are in memory, up to %s: what waits there does not outlive this process", size);
    else
        weft_log(&r->log, WEFT_LOG_INFO, "agent", "journals are on disk in %s, up to %s%s%s%s", s->journal_directory, size,
                 asked_by ? ", since sending_queue.storage of " : "", asked_by ? asked_by : "", asked_by ? " asks for it" : "");
}

static int start_runtime(struct run *r, const struct weft_config *config)
{
    struct weft_runtime *rt = NULL;
    uint64_t began = weft_clock_mono_ns();

    r->log = choose_log(r, &config->service);
    weft_shelf_set_log(r->shelf, &r->log);
    int err = weft_runtime_open(&rt, config, r->shelf, &r->log);
    if (err)
        return err;
    err = weft_runtime_start(rt);
    if (!err)
        err = weft_runtime_start_extensions(rt, &r->loop);
    if (err) {
        weft_runtime_stop_extensions(rt);
        weft_runtime_free(rt);
        return err;
    }
    r->runtime = rt;
    r->view.runtime = rt;
    r->view.metrics = config->service.metrics_level != WEFT_METRICS_NONE;
    tell_journals(r, &config->service);
    bool back = r->state == RELOADING && config == r->config; /* after the next one could not start */
    weft_log(&r->log, WEFT_LOG_INFO, "agent", "weft " WEFT_VERSION " is ready%s: %zu pipeline%s, started in %.1f ms",
             back ? " again, with the configuration before" : "", config->n_pipelines, config->n_pipelines == 1 ? "" : "s",
             (double)(weft_clock_mono_ns() - began) / 1e6);
    return 0;
}

static void drop_runtime(struct run *r)
{
    r->view.runtime = NULL;
    weft_losses_look(&r->losses, r->runtime, uv_now(&r->loop), true);
    weft_losses_clear(&r->losses);
    weft_farewell_add(&r->farewell, r->runtime);
    weft_runtime_stop_extensions(r->runtime);
    weft_runtime_free(r->runtime);
    r->runtime = NULL;
}

static void run_stopper(void *arg)
{
    struct run *r = arg;

    r->stop_result = 0;
    if (r->parked)
        weft_runtime_park(r->runtime, weft_clock_mono_ms() + LAST_ANSWERS_MS);
    else
        r->stop_result = weft_runtime_stop(r->runtime, r->asked_ms + r->patience_ms);
    uv_async_send(&r->stopped);
}

/* Begins to stop the runtime; after_stop goes on. */
static void begin_stop(struct run *r, enum state state)
{
    r->state = state;
    r->parked = state == RELOADING;
    if (uv_thread_create(&r->stopper, run_stopper, r) == 0)
        return;
    r->state = STOPPING;
    weft_log(&r->log, WEFT_LOG_ERROR, "agent", "cannot start a thread; stopping without waiting");
    r->exit_code = WEFT_EXIT_DEADLINE;
    uv_stop(&r->loop);
}

/* ---- signals ---- */
/* A reload that is under way waits for what is out, and that counts. */
static void be_asked_to_stop(struct run *r, uint64_t patience_ms)
{
    r->asked_ms = weft_clock_mono_ms();
    r->patience_ms = patience_ms;
}

static void on_terminate(uv_signal_t *handle, int number)
{
    struct run *r = handle->data;
    const char *name = number == SIGTERM ? "SIGTERM" : "SIGINT";

    switch (r->state) {
    case STARTING:
        break;
    case RUNNING:
        be_asked_to_stop(r, r->config->service.shutdown_timeout);
        weft_log(&r->log, WEFT_LOG_INFO, "agent", "%s: taking no new work, sending what is left (at most %.0f s)", name,
                 (double)r->patience_ms / 1000);
        begin_stop(r, STOPPING);
        break;
    case RELOADING:
        be_asked_to_stop(r, r->config->service.shutdown_timeout < LAST_ANSWERS_MS ? LAST_ANSWERS_MS : r->config->service.shutdown_timeout);
        weft_log(&r->log, WEFT_LOG_INFO, "agent", "%s: stopping instead of reloading, once what is left is sent (at most %.0f s)", name,
                 (double)r->patience_ms / 1000);
        r->state = STOPPING;
        break;
    case STOPPING:
        if (weft_clock_mono_ms() - r->asked_ms < SAME_SIGNAL_MS)
            break;
        weft_log(&r->log, WEFT_LOG_WARN, "agent", "%s again: stopping at once, what is left %s", name,
                 r->config->service.journal_mode == WEFT_SERVICE_DISK ? "stays in the journal" : "is lost");
        _exit(WEFT_EXIT_DEADLINE);
    }
}

static void on_hangup(uv_signal_t *handle, int number)
{
    struct run *r = handle->data;
    (void)number;

    if (r->state != RUNNING && r->state != RELOADING)
        return;
    struct weft_config *next = load(r);
    if (!next) {
        r->view.process.reloads_failed++;
        r->view.process.last_reload_ok = false;
        weft_log(&r->log, WEFT_LOG_ERROR, "config", "SIGHUP: the configuration is not valid; running on with the one before");
        return;
    }
    weft_config_free(r->next);
    r->next = next;
    if (r->state == RELOADING) {
        weft_log(&r->log, WEFT_LOG_INFO, "config", "SIGHUP again: this configuration will be started instead");
        return;
    }
    weft_log(&r->log, WEFT_LOG_INFO, "config",
             "SIGHUP: the configuration is valid; starting it once the requests that are out are answered (at most %.0f s)",
             (double)LAST_ANSWERS_MS / 1000);
    begin_stop(r, RELOADING);
}

/* What was to be started cannot: back to what ran before. */
static void go_back(struct run *r)
{
    weft_log(&r->log, WEFT_LOG_ERROR, "config", "the new configuration cannot start; going back to the one before");
    weft_config_free(r->next);
    r->next = NULL;
    r->view.process.reloads_failed++;
    r->view.process.last_reload_ok = false;
    if (start_runtime(r, r->config) == 0) {
        r->state = RUNNING;
        return;
    }
    r->exit_code = WEFT_EXIT_START;
    uv_stop(&r->loop);
}

/* The old pipelines have stopped. */
static void finish_reload(struct run *r)
{
    drop_runtime(r);
    if (start_runtime(r, r->next)) {
        go_back(r);
        return;
    }
    move_admin(r, r->next->service.telemetry_endpoint);
    weft_config_free(r->config);
    r->config = r->next;
    r->next = NULL;
    r->view.process.reloads_ok++;
    r->view.process.last_reload_ok = true;
    r->state = RUNNING;
}

/* A SIGTERM came while lanes were parked: they run once more, to send what waits. False: it stays as it is. */
static bool drain_parked(struct run *r)
{
    drop_runtime(r);
    if (weft_runtime_open(&r->runtime, r->config, r->shelf, &r->log) || weft_runtime_start_lanes(r->runtime))
        return false;
    r->view.runtime = r->runtime;
    begin_stop(r, STOPPING);
    return true;
}

static void after_stop(uv_async_t *handle)
{
    struct run *r = handle->data;

    uv_thread_join(&r->stopper);
    if (r->state == STOPPING && r->parked) {
        if (drain_parked(r))
            return;
        r->stop_result = r->config->service.journal_mode == WEFT_SERVICE_MEMORY ? WEFT_ERR_TIMEOUT : 0;
    }
    if (r->state == STOPPING) {
        r->exit_code = r->stop_result ? WEFT_EXIT_DEADLINE : WEFT_EXIT_OK;
        uv_stop(&r->loop);
        return;
    }
    finish_reload(r);
}

/* Journals and places that the configuration has no more, what was dropped, and what the heap keeps. Not while a runtime is being built
 * or taken down. */
static void on_tend(uv_timer_t *timer)
{
    struct run *r = timer->data;

    if (r->state != RUNNING)
        return;
    weft_shelf_sweep(r->shelf, uv_now(&r->loop));
    weft_runtime_trim(r->runtime);
    weft_losses_look(&r->losses, r->runtime, uv_now(&r->loop), false);
}

/* ---- start and end ---- */
static void watch(struct run *r, uv_signal_t *handle, uv_signal_cb callback, int number)
{
    (void)uv_signal_init(&r->loop, handle);
    handle->data = r;
    (void)uv_signal_start(handle, callback, number);
}

/* Connections are file descriptors: take as many as the system lets us have. */
static void raise_fd_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

/* What is freed goes back to the system: else glibc keeps every size that was mapped once for itself, and a storm of large
 * bodies leaves it with as much again as all owners hold. */
static void limit_malloc(void)
{
    enum { ARENAS = 2, MAPPED_FROM = 1 << 20, KEPT = 2 << 20 };

    (void)mallopt(M_ARENA_MAX, ARENAS); /* an arena a thread would be memory that nobody uses */
    (void)mallopt(M_MMAP_THRESHOLD, MAPPED_FROM);
    (void)mallopt(M_TRIM_THRESHOLD, KEPT);
}

static int begin(struct run *r)
{
    int err = uv_loop_init(&r->loop);

    if (err)
        return err;
    (void)uv_async_init(&r->loop, &r->stopped, after_stop);
    r->stopped.data = r;
    watch(r, &r->terminate, on_terminate, SIGTERM);
    watch(r, &r->interrupt, on_terminate, SIGINT);
    watch(r, &r->hangup, on_hangup, SIGHUP);
    r->view.process = (struct weft_metrics_process){ .start_wall_ns = weft_clock_wall_ns(), .last_reload_ok = true };
    (void)uv_timer_init(&r->loop, &r->tend);
    r->tend.data = r;
    (void)uv_timer_start(&r->tend, on_tend, TEND_MS, TEND_MS);
    err = weft_shelf_new(&r->shelf, &r->log);
    if (!err) /* before any port: a second agent of the same configuration is to hear whose directory it is */
        err = weft_shelf_hold(r->shelf, &r->config->service);
    if (!err)
        err = open_admin(r, r->config->service.telemetry_endpoint);
    return err ? err : start_runtime(r, r->config);
}

static void end(struct run *r)
{
    if (r->runtime)
        drop_runtime(r);
    weft_shelf_free(r->shelf);
    weft_admin_close(r->admin);
    uv_close((uv_handle_t *)&r->tend, NULL);
    uv_close((uv_handle_t *)&r->terminate, NULL);
    uv_close((uv_handle_t *)&r->interrupt, NULL);
    uv_close((uv_handle_t *)&r->hangup, NULL);
    uv_close((uv_handle_t *)&r->stopped, NULL);
    (void)uv_run(&r->loop, UV_RUN_DEFAULT);
    (void)uv_loop_close(&r->loop);
}

static void say_farewell(struct run *r)
{
    struct weft_buf words;

    weft_buf_init(&words, WEFT_LOG_LINE_MAX);
    bool lossless = weft_farewell_write(&r->farewell, r->config->service.journal_mode == WEFT_SERVICE_DISK, &words);
    weft_log(&r->log, lossless ? WEFT_LOG_INFO : WEFT_LOG_WARN, "agent", "%.*s", (int)words.len, (const char *)words.data);
    weft_buf_release(&words);
}

static int run_daemon(struct run *r)
{
    r->log = choose_log(r, NULL);
    r->config = load(r);
    if (!r->config)
        return WEFT_EXIT_CONFIG;
    r->log = choose_log(r, &r->config->service);
    if (r->args.n_configs == 0)
        weft_log(&r->log, WEFT_LOG_INFO, "config", "no --config: running the built-in default ('weft config print' shows it)");
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGXFSZ, SIG_IGN); /* a limit on the size of files is an error code for the journal, not an end */
    limit_malloc();
    raise_fd_limit();
    if (begin(r)) {
        r->exit_code = WEFT_EXIT_START;
    } else {
        r->state = RUNNING;
        (void)uv_run(&r->loop, UV_RUN_DEFAULT);
        weft_shelf_count_lost(r->shelf);
        if (r->runtime)
            drop_runtime(r);
        if (r->exit_code == WEFT_EXIT_OK || r->exit_code == WEFT_EXIT_DEADLINE)
            say_farewell(r);
    }
    end(r);
    weft_farewell_release(&r->farewell);
    weft_config_free(r->config);
    weft_config_free(r->next);
    free(r->admin_endpoint);
    return r->exit_code;
}

int weft_command_run(const struct weft_command *self, int argc, char **argv)
{
    struct run r = { .state = STARTING };
    const struct weft_flag flags[] = {
        { "--config", WEFT_FLAG_CONFIG, &r.args, "FILE", "several merge in order (also yaml:TEXT, env:NAME); without: the built-in default" },
        { "--set", WEFT_FLAG_SET, &r.args, "KEY=VALUE", "one value laid over the files: exporters.debug.verbosity=detailed" },
        { "--log-level", WEFT_FLAG_TEXT, &r.log_level, "LEVEL", "debug, info, warn or error" },
        { "--log-format", WEFT_FLAG_TEXT, &r.log_format, "FORMAT", "logfmt or json" },
        { .name = NULL },
    };

    int parsed = weft_cli_parse(self, flags, argc, argv, NULL);
    if (parsed)
        return parsed > 0 ? WEFT_EXIT_OK : WEFT_EXIT_USAGE;
    int usage = check_words(self, &r);
    return usage ? usage : run_daemon(&r);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_demo.c: weft demo: acts out the web shop of demo.h against a running agent and tells what it did.
 *
 * WAITING (for the endpoint) -> SELLING (on_tick) -> FINISHING (what is left goes out) -> loop ends
 * A timer drives all of it; one thread.
 */
#include "agent/cli.h"
#include "agent/demo.h"
#include "core/clock.h"
#include "core/err.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    TICK_MS = 50, FLUSH_MS = 200, METRICS_MS = 2000, PROGRESS_MS = 10000, PROBE_MS = 500, WAIT_MS = 60000, FINISH_MS = 10000,
    SPANS_LIMIT = 2 << 20, BODY_LIMIT = 16 << 20, BURST = 2000,
};

enum state { WAITING, SELLING, FINISHING };

struct demo {
    uv_loop_t loop;
    uv_timer_t tick;
    uv_signal_t interrupt, terminate;
    enum state state;
    const char *endpoint, *log_dir;
    double rate;                     /* requests a second */
    uint64_t duration_ms;            /* 0: until a signal */
    uint64_t state_ms, last_tick_ms, flush_ms, metrics_ms, progress_ms, probe_ms, told_ms;
    double credit;                   /* requests that are due */
    struct weft_demo_random random;
    struct weft_demo_sender *sender;
    struct weft_demo_spans spans;
    struct weft_demo_metrics metrics;
    bool metrics_due;
    int logs[WEFT_DEMO_SERVICES];    /* descriptors; -1: no log files */
    struct weft_buf line;
    uint64_t n_requests, n_lines, n_lost, by_outcome[WEFT_DEMO_OUTCOMES];
    char sample[37];
    int exit_code;
};

/* ---- log files ---- */
static int open_logs(struct demo *d)
{
    char path[4096];

    for (int i = 0; i < WEFT_DEMO_SERVICES; i++)
        d->logs[i] = -1;
    if (!d->log_dir)
        return 0;
    if (mkdir(d->log_dir, 0755) && errno != EEXIST) {
        (void)fprintf(stderr, "weft demo: cannot make the directory %s: %s\n", d->log_dir, weft_err_text(-errno));
        return -1;
    }
    for (int i = 0; i < WEFT_DEMO_SERVICES; i++) {
        (void)snprintf(path, sizeof path, "%s/%s.log", d->log_dir, weft_demo_service_name((enum weft_demo_service)i));
        d->logs[i] = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
        if (d->logs[i] < 0) {
            (void)fprintf(stderr, "weft demo: cannot write %s: %s\n", path, weft_err_text(-errno));
            return -1;
        }
    }
    return 0;
}

static void write_lines(struct demo *d, const struct weft_demo_request *q)
{
    for (size_t i = 0; i < q->n_lines; i++) {
        int fd = d->logs[q->spans[q->lines[i].span].service];
        if (fd < 0)
            continue;
        weft_buf_reset(&d->line);
        weft_demo_line_write(q, &q->lines[i], &d->line);
        d->n_lines += write(fd, d->line.data, d->line.len) == (ssize_t)d->line.len;
    }
}

/* ---- selling ---- */
static void sell(struct demo *d)
{
    struct weft_demo_request q;

    weft_demo_request_make(&d->random, weft_clock_wall_ns(), &q);
    d->n_requests++;
    d->by_outcome[q.outcome]++;
    d->n_lost += !weft_demo_spans_add(&d->spans, &q);
    weft_demo_metrics_add(&d->metrics, &q);
    write_lines(d, &q);
    memcpy(d->sample, q.correlation, sizeof d->sample);
}

static void flush(struct demo *d)
{
    struct weft_buf body;

    weft_buf_init(&body, BODY_LIMIT);
    if (d->spans.n_spans && !weft_demo_sender_busy(d->sender, WEFT_DEMO_TRACES)) {
        weft_demo_spans_take(&d->spans, &body);
        weft_demo_sender_send(d->sender, WEFT_DEMO_TRACES, &body);
    }
    if (d->metrics_due && !weft_demo_sender_busy(d->sender, WEFT_DEMO_METRICS)) {
        weft_buf_reset(&body);
        weft_demo_metrics_write(&d->metrics, weft_clock_wall_ns(), &body);
        weft_demo_sender_send(d->sender, WEFT_DEMO_METRICS, &body);
        d->metrics_due = false;
    }
    weft_buf_release(&body);
}

static void tell_progress(const struct demo *d, uint64_t now_ms)
{
    uint64_t seconds = (now_ms - d->state_ms + 500) / 1000;

    printf("%02llu:%02llu  %llu requests: %llu slow, %llu declined, %llu failed; %llu log lines; for example correlation ID %s\n",
           (unsigned long long)(seconds / 60), (unsigned long long)(seconds % 60), (unsigned long long)d->n_requests,
           (unsigned long long)d->by_outcome[WEFT_DEMO_SLOW], (unsigned long long)d->by_outcome[WEFT_DEMO_DECLINED],
           (unsigned long long)d->by_outcome[WEFT_DEMO_BROKEN], (unsigned long long)d->n_lines, d->sample);
    if (weft_demo_sender_busy(d->sender, WEFT_DEMO_TRACES) && d->n_lost)
        printf("       %s does not take the spans (%s); those of %llu requests are lost\n", d->endpoint,
               weft_demo_sender_words(d->sender), (unsigned long long)d->n_lost);
    for (int i = WEFT_DEMO_TRACES; i <= WEFT_DEMO_METRICS; i++)
        if (weft_demo_sender_unwanted(d->sender, (enum weft_demo_signal)i))
            printf("       the agent on %s has no pipeline for %s\n", d->endpoint, i == WEFT_DEMO_TRACES ? "traces" : "metrics");
    (void)fflush(stdout);
}

/* ---- states ---- */
static void enter(struct demo *d, enum state state, uint64_t now_ms)
{
    d->state = state;
    if (state == SELLING) {
        d->state_ms = d->last_tick_ms = d->progress_ms = now_ms;
        d->metrics.start_ns = weft_clock_wall_ns();
        d->credit = 1;
        printf("selling at %g requests a second to %s over %s%s%s\n", d->rate, d->endpoint, weft_demo_sender_words(d->sender),
               d->log_dir ? ", log files in " : "", d->log_dir ? d->log_dir : "");
        (void)fflush(stdout);
    }
    if (state == FINISHING) {
        tell_progress(d, now_ms);
        d->metrics_due = d->n_requests > 0;
        d->state_ms = now_ms;
    }
}

static void stop(struct demo *d, int exit_code)
{
    d->exit_code = exit_code;
    uv_stop(&d->loop);
}

static void wait_for_endpoint(struct demo *d, uint64_t now_ms)
{
    if (weft_demo_sender_ready(d->sender)) {
        enter(d, SELLING, now_ms);
        return;
    }
    if (now_ms - d->state_ms > WAIT_MS) {
        (void)fprintf(stderr, "weft demo: nothing takes OTLP on %s: %s\n", d->endpoint, weft_demo_sender_words(d->sender));
        stop(d, WEFT_EXIT_START);
        return;
    }
    if (now_ms - d->told_ms >= 5000 && now_ms - d->state_ms >= 2 * PROBE_MS) {
        d->told_ms = now_ms;
        (void)fprintf(stderr, "waiting for an agent on %s (%s); 'weft run' starts one\n", d->endpoint, weft_demo_sender_words(d->sender));
    }
    if (now_ms - d->probe_ms >= PROBE_MS || d->probe_ms == 0) {
        d->probe_ms = now_ms;
        weft_demo_sender_probe(d->sender);
    }
}

static void sell_what_is_due(struct demo *d, uint64_t now_ms)
{
    d->credit += d->rate * (double)(now_ms - d->last_tick_ms) / 1000;
    d->last_tick_ms = now_ms;
    if (d->credit > BURST)
        d->credit = BURST; /* the machine was asleep: what was not sold then is not sold now */
    for (; d->credit >= 1; d->credit--)
        sell(d);
    if (now_ms - d->metrics_ms >= METRICS_MS) {
        d->metrics_ms = now_ms;
        d->metrics_due = true;
    }
    if (now_ms - d->flush_ms >= FLUSH_MS) {
        d->flush_ms = now_ms;
        flush(d);
    }
    if (d->duration_ms && now_ms - d->state_ms >= d->duration_ms) {
        enter(d, FINISHING, now_ms);
    } else if (now_ms - d->progress_ms >= PROGRESS_MS) {
        d->progress_ms = now_ms;
        tell_progress(d, now_ms);
    }
}

static void finish(struct demo *d, uint64_t now_ms)
{
    flush(d);
    bool busy = weft_demo_sender_busy(d->sender, WEFT_DEMO_TRACES) || weft_demo_sender_busy(d->sender, WEFT_DEMO_METRICS);

    if (!busy && d->spans.n_spans == 0 && !d->metrics_due) {
        stop(d, WEFT_EXIT_OK);
    } else if (now_ms - d->state_ms > FINISH_MS) {
        (void)fprintf(stderr, "weft demo: %s did not take the last of it: %s\n", d->endpoint, weft_demo_sender_words(d->sender));
        stop(d, WEFT_EXIT_START);
    }
}

static void on_tick(uv_timer_t *timer)
{
    struct demo *d = timer->data;
    uint64_t now_ms = weft_clock_mono_ms();

    switch (d->state) {
    case WAITING:   wait_for_endpoint(d, now_ms); break;
    case SELLING:   sell_what_is_due(d, now_ms); break;
    case FINISHING: finish(d, now_ms); break;
    }
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct demo *d = handle->data;
    (void)number;

    if (d->state == SELLING)
        enter(d, FINISHING, weft_clock_mono_ms());
    else
        stop(d, WEFT_EXIT_OK);
}

/* ---- start and end ---- */
static int begin(struct demo *d)
{
    int err = uv_loop_init(&d->loop);

    if (!err)
        err = weft_demo_sender_open(&d->sender, &d->loop, d->endpoint);
    if (!err)
        err = uv_random(NULL, NULL, &d->random.state, sizeof d->random.state, 0, NULL);
    if (err) {
        (void)fprintf(stderr, "weft demo: cannot start: %s\n", weft_err_text(err));
        return err;
    }
    for (int i = 0; i < WEFT_DEMO_SERVICES; i++)
        weft_buf_init(&d->spans.items[i], SPANS_LIMIT);
    for (int i = 0; i < WEFT_DEMO_SKUS; i++)
        d->metrics.stock[i] = 500;
    weft_buf_init(&d->line, 4096);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)uv_signal_init(&d->loop, &d->interrupt);
    (void)uv_signal_init(&d->loop, &d->terminate);
    (void)uv_timer_init(&d->loop, &d->tick);
    d->interrupt.data = d->terminate.data = d->tick.data = d;
    (void)uv_signal_start(&d->interrupt, on_signal, SIGINT);
    (void)uv_signal_start(&d->terminate, on_signal, SIGTERM);
    (void)uv_timer_start(&d->tick, on_tick, 0, TICK_MS);
    d->state_ms = weft_clock_mono_ms();
    return 0;
}

static void end(struct demo *d)
{
    weft_demo_sender_close(d->sender);
    uv_close((uv_handle_t *)&d->interrupt, NULL);
    uv_close((uv_handle_t *)&d->terminate, NULL);
    uv_close((uv_handle_t *)&d->tick, NULL);
    (void)uv_run(&d->loop, UV_RUN_DEFAULT);
    (void)uv_loop_close(&d->loop);
    for (int i = 0; i < WEFT_DEMO_SERVICES; i++) {
        weft_buf_release(&d->spans.items[i]);
        if (d->logs[i] >= 0)
            close(d->logs[i]);
    }
    weft_buf_release(&d->line);
}

static int read_figures(const struct weft_command *self, struct demo *d, const char *rate, const char *duration)
{
    char *end_of_rate;
    const char *what = weft_parse_msec(duration, &d->duration_ms);

    d->rate = strtod(rate, &end_of_rate);
    if (end_of_rate == rate || *end_of_rate || !(d->rate > 0 && d->rate <= 20000))
        return weft_cli_usage(self, "--rate is a number of requests a second, up to 20000, not '%s'", rate);
    if (what)
        return weft_cli_usage(self, "--duration '%s' %s", duration, what);
    return 0;
}

int weft_command_demo(const struct weft_command *self, int argc, char **argv)
{
    struct demo d = { .endpoint = "127.0.0.1:4317", .state = WAITING };
    const char *rate = "5", *duration = "0";
    const struct weft_flag flags[] = {
        { "--rate", WEFT_FLAG_TEXT, &rate, "N", "requests a second (default 5); each makes 9 spans and about 8 log lines" },
        { "--duration", WEFT_FLAG_TEXT, &duration, "DURATION", "stop after this long, such as 30s; default: at Ctrl-C" },
        { "--endpoint", WEFT_FLAG_TEXT, &d.endpoint, "HOST:PORT", "where OTLP goes, gRPC or HTTP (default 127.0.0.1:4317)" },
        { "--log-dir", WEFT_FLAG_TEXT, &d.log_dir, "DIR", "write log lines to DIR/<service>.log; default: no log files" },
        { .name = NULL },
    };

    int parsed = weft_cli_parse(self, flags, argc, argv, NULL);
    if (parsed)
        return parsed > 0 ? WEFT_EXIT_OK : WEFT_EXIT_USAGE;
    int usage = read_figures(self, &d, rate, duration);
    if (usage)
        return usage;
    if (open_logs(&d) || begin(&d))
        return WEFT_EXIT_START;
    (void)uv_run(&d.loop, UV_RUN_DEFAULT);
    end(&d);
    return d.exit_code;
}

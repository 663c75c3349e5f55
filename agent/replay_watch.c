/* SPDX-License-Identifier: Apache-2.0 */
/* replay_watch.c: see replay_watch.h. */
#include "agent/replay_watch.h"

#include "agent/admin_client.h"
#include "agent/json_find.h"
#include "agent/query.h"
#include "core/err.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum { ANSWER_MAX = 32 << 20, FIRST_WAIT_MS = 20, LONGEST_WAIT_MS = 500, STALLED = 3, PATIENCE_S = 10 };

/* ---- asking ---- */
static int no_agent(const struct weft_remote *r, int err)
{
    (void)fprintf(stderr, "weft %s: no agent answers on %s: %s; is it running, and is that its service.telemetry.endpoint? (--endpoint)\n",
                  r->command, r->endpoint, weft_err_text(err));
    return WEFT_EXIT_START;
}

static int refused(const struct weft_remote *r, int status, struct weft_slice body)
{
    char text[512];

    weft_json_find_text(body, "error", text, sizeof text);
    if (status == 404 && !*text)
        (void)fprintf(stderr, "weft %s: what answers on %s has no dead letters to show: is it an older agent, or another program?\n",
                      r->command, r->endpoint);
    else
        (void)fprintf(stderr, "weft %s: %s%s\n", r->command, *text ? text : "the agent refuses",
                      status == 404 ? " (see 'weft dlq list')" : "");
    return status == 400 || status == 404 ? WEFT_EXIT_USAGE : WEFT_EXIT_START;
}

int weft_remote_ask(const struct weft_remote *r, const char *method, const char *path, struct weft_buf *out)
{
    weft_buf_reset(out);
    int status = weft_admin_ask(r->endpoint, method, path, PATIENCE_S, out);

    if (status < 0)
        return no_agent(r, status);
    return status >= 200 && status < 300 ? WEFT_EXIT_OK : refused(r, status, weft_buf_slice(out));
}

/* ---- watching ---- */
struct progress {
    char state[16];
    bool letters;
    uint64_t total, seen, sent, rejected, dropped, expired, ms, kept_since_ms;
    char error[160];
};

static int read_progress(const struct weft_remote *r, const char *path, struct weft_buf *answer, struct progress *p)
{
    char source[16];
    int code = weft_remote_ask(r, "GET", path, answer);

    if (code)
        return code;
    struct weft_slice body = weft_buf_slice(answer), replay = weft_json_find(body, "replay");
    uint64_t ended = weft_json_find_uint(replay, "ended_ms"), began = weft_json_find_uint(replay, "began_ms");
    weft_json_find_text(replay, "state", p->state, sizeof p->state);
    p->letters = *weft_json_find_text(replay, "source", source, sizeof source) == 'd';
    p->total = weft_json_find_uint(replay, "total_items");
    p->seen = weft_json_find_uint(replay, "seen_items");
    p->sent = weft_json_find_uint(replay, "sent_items");
    p->rejected = weft_json_find_uint(replay, "rejected_items");
    p->dropped = weft_json_find_uint(replay, "dropped_items");
    p->expired = weft_json_find_uint(replay, "expired_items");
    p->kept_since_ms = weft_json_find_uint(replay, "kept_since_ms");
    p->ms = ended > began ? ended - began : 0;
    weft_json_find_text(body, "exporter_error", p->error, sizeof p->error);
    return 0;
}

static void show(const struct progress *p, const char *exporter, bool stalled)
{
    printf("\r\033[K%s: %" PRIu64 " of %" PRIu64 " items looked at, %" PRIu64 " sent", exporter, p->seen, p->total, p->sent);
    if (p->rejected)
        printf(", %" PRIu64 " refused", p->rejected);
    if (stalled && *p->error)
        printf("; waiting: %.60s", p->error);
    (void)fflush(stdout);
}

/* "18:47:01", with the day before it when that was not today. */
static const char *clock_text(uint64_t ms, char out[24])
{
    time_t then = (time_t)(ms / 1000), now = time(NULL);
    struct tm a, b;

    if (!localtime_r(&then, &a) || !localtime_r(&now, &b)
        || strftime(out, 24, a.tm_yday == b.tm_yday && a.tm_year == b.tm_year ? "%H:%M:%S" : "%Y-%m-%d %H:%M:%S", &a) == 0)
        out[0] = 0;
    return out;
}

static int conclude(const struct progress *p, const char *exporter, bool shown)
{
    bool done = strcmp(p->state, "done") == 0;
    char since[24];

    if (shown)
        printf("\r\033[K");
    if (done && p->total == 0 && p->seen == 0) {
        printf("%s: %s\n", exporter, p->letters ? "no dead letters to replay"
                                                : "nothing is kept from that time (service.journal.retention says what is kept)");
        return WEFT_EXIT_OK;
    }
    printf("%s: %" PRIu64 " items sent", exporter, p->sent);
    if (!p->letters && p->seen > p->sent)
        printf(" of %" PRIu64 " looked at", p->seen);
    printf(" in %.1f s", (double)p->ms / 1000);
    if (p->kept_since_ms)
        printf("; only what was kept since %s (service.journal.retention says what is kept)", clock_text(p->kept_since_ms, since));
    if (p->rejected)
        printf("; %" PRIu64 " refused again, kept as dead letters", p->rejected);
    if (p->dropped)
        printf("; %" PRIu64 " given up%s", p->dropped, p->letters ? ", their letters stay" : "");
    if (p->expired)
        printf("; %" PRIu64 " gone before their turn: the journal needed the room", p->expired);
    if (!done)
        printf("; %s before its end", p->state);
    printf("\n");
    if (*p->error && (p->rejected || p->dropped))
        printf("the back end said: %s\n", p->error);
    return done && !p->rejected && !p->dropped && !p->expired ? WEFT_EXIT_OK : WEFT_EXIT_DEADLINE;
}

static void wait_ms(long ms)
{
    const struct timespec t = { ms / 1000, ms % 1000 * 1000000 };
    nanosleep(&t, NULL);
}

int weft_replay_watch(const struct weft_remote *r, const char *exporter)
{
    bool terminal = isatty(STDOUT_FILENO), shown = false;
    struct weft_buf path, answer;
    struct progress p = { .total = 0 };
    uint64_t seen = 0;
    int code, still = 0;

    weft_buf_init(&path, 4096);
    weft_buf_init(&answer, ANSWER_MAX);
    weft_buf_append_str(&path, "/api/v1/replay/");
    weft_query_put(&path, exporter);
    weft_buf_append_byte(&path, 0);
    for (long ms = FIRST_WAIT_MS;; ms = ms * 2 < LONGEST_WAIT_MS ? ms * 2 : LONGEST_WAIT_MS) {
        wait_ms(ms);
        code = read_progress(r, (const char *)path.data, &answer, &p);
        if (code || strcmp(p.state, "running") != 0)
            break;
        still = p.seen == seen ? still + 1 : 0;
        seen = p.seen;
        if (terminal)
            show(&p, exporter, still > STALLED);
        shown = terminal;
    }
    if (!code)
        code = conclude(&p, exporter, shown);
    weft_buf_release(&path);
    weft_buf_release(&answer);
    return code;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_dlq.c: weft dlq: the dead letters of a running agent, or of a directory that no agent uses. Both give the same JSON, which is
 * what is shown; see api_dlq.h for what the agent answers. */
#include "agent/admin_client.h"
#include "agent/directory.h"
#include "agent/json_find.h"
#include "agent/letters_json.h"
#include "agent/query.h"
#include "agent/replay_watch.h"
#include "agent/table.h"
#include "core/clock.h"
#include "core/err.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

enum { ANSWER_MAX = 32 << 20, LIMIT = 20 };

struct dlq {
    const struct weft_command *self;
    struct weft_remote remote;
    const char *directory, *exporter, *reason, *older_than, *limit, *after;
    bool json, no_wait;
    unsigned n_limit;
    uint64_t n_after, before_ns;
    struct weft_buf answer, path;
};

/* ---- showing ---- */
static void reasons_of(struct weft_slice exporter, char *out, size_t size)
{
    struct weft_json_list list;
    struct weft_slice reason;
    char word[80];
    size_t at = 0, more = 0;

    out[0] = 0;
    weft_json_list_init(&list, weft_json_find(exporter, "reasons"));
    while (weft_json_list_next(&list, &reason)) {
        weft_json_find_text(reason, "reason", word, sizeof word);
        int n = snprintf(out + at, size - at, "%s%s %" PRIu64, at ? ", " : "", word, weft_json_find_uint(reason, "items"));
        if (n > 0 && at + (size_t)n < size - 16 && more == 0)
            at += (size_t)n;
        else
            more++;
    }
    out[at] = 0;
    if (more)
        (void)snprintf(out + at, size - at, ", %zu more", more);
    if (!*out)
        (void)snprintf(out, size, "-");
}

static void replay_of(struct weft_slice exporter, char *out, size_t size)
{
    struct weft_slice replay = weft_json_find(exporter, "replay");
    char state[16];

    out[0] = 0;
    if (replay.len && strcmp(weft_json_find_text(replay, "state", state, sizeof state), "running") == 0)
        (void)snprintf(out, size, "  (replay: %" PRIu64 " of %" PRIu64 ")", weft_json_find_uint(replay, "seen_items"),
                       weft_json_find_uint(replay, "total_items"));
}

static bool is_true(struct weft_slice object, const char *key)
{
    return weft_slice_is(weft_json_find(object, key), "true");
}

static void add_exporter(struct weft_table *t, struct weft_slice e)
{
    char id[256], items[24], letters[24], size[16], oldest[16] = "-", evicted[24], lost[24], reasons[160], last[240], replay[64];
    uint64_t oldest_ms = weft_json_find_uint(e, "oldest_ms"), now_ms = weft_clock_wall_ns() / 1000000;

    weft_json_find_text(e, "exporter", id, sizeof id);
    (void)snprintf(items, sizeof items, "%" PRIu64, weft_json_find_uint(e, "items"));
    (void)snprintf(letters, sizeof letters, "%" PRIu64, weft_json_find_uint(e, "letters"));
    (void)snprintf(evicted, sizeof evicted, "%" PRIu64, weft_json_find_uint(e, "evicted_items"));
    (void)snprintf(lost, sizeof lost, "%" PRIu64, weft_json_find_uint(e, "lost_items"));
    weft_format_size(weft_json_find_uint(e, "bytes"), size);
    if (oldest_ms)
        weft_format_age(now_ms > oldest_ms ? now_ms - oldest_ms : 0, oldest);
    else if (is_true(e, "unreadable"))
        (void)snprintf(oldest, sizeof oldest, "?");
    reasons_of(e, reasons, sizeof reasons);
    replay_of(e, replay, sizeof replay);
    (void)snprintf(last, sizeof last, "%s%s", reasons, replay);
    weft_table_add(t, (const char *const[]){ id, items, letters, size, oldest, evicted, lost, last });
}

static void show_list(struct weft_slice answer)
{
    struct weft_json_list list;
    struct weft_slice exporter;
    struct weft_table t;
    uint64_t items = 0;
    bool unreadable = false;
    size_t n = 0;

    weft_table_init(&t, "lrrrrrrl");
    weft_table_add(&t, (const char *const[]){ "EXPORTER", "ITEMS", "LETTERS", "SIZE", "OLDEST", "EVICTED", "LOST", "REASONS" });
    weft_json_list_init(&list, weft_json_find(answer, "exporters"));
    for (; weft_json_list_next(&list, &exporter); n++) {
        items += weft_json_find_uint(exporter, "items");
        unreadable |= is_true(exporter, "unreadable");
        add_exporter(&t, exporter);
    }
    if (n)
        weft_table_print(&t, stdout);
    else
        printf("no exporter has dead letters\n");
    if (unreadable)
        printf("\n?: not all letters can be read at the moment (not enough memory), so these figures do not know of what has rotted.\n");
    if (items)
        printf("\n'weft dlq show --exporter ID' shows what is in them, 'weft dlq replay --exporter ID' sends them again.\n");
    weft_table_release(&t);
}

static const char *clock_text(uint64_t ms, char out[24])
{
    time_t seconds = (time_t)(ms / 1000);
    struct tm tm;

    if (!localtime_r(&seconds, &tm) || strftime(out, 24, "%Y-%m-%d %H:%M:%S", &tm) == 0)
        out[0] = 0;
    return out;
}

static void show_item(struct weft_slice item)
{
    static const struct { const char *key, *before, *after; } parts[] = {
        { "severity", " ", "" }, { "service.name", " ", ":" }, { "name", " ", "" }, { "body", " ", "" }, { "duration_ms", ", ", " ms" },
        { "points", ", ", " data points" },
    };
    char text[200], trace[40], span[24];

    printf("      -");
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (*weft_json_find_text(item, parts[i].key, text, sizeof text))
            printf("%s%s%s", parts[i].before, text, parts[i].after);
    weft_json_find_text(item, "trace_id", trace, sizeof trace);
    weft_json_find_text(item, "span_id", span, sizeof span);
    if (*trace)
        printf("  (trace %s%s%s)", trace, *span ? ", span " : "", span);
    printf("\n");
}

/* "1 span", "5 log records". */
static const char *count_text(uint64_t items, const char *signal, char out[48])
{
    const char *word = *signal == 't' ? "span" : *signal == 'l' ? "log record" : "data point";

    (void)snprintf(out, 48, "%" PRIu64 " %s%s", items, word, items == 1 ? "" : "s");
    return out;
}

static void show_letter(struct weft_slice letter)
{
    char when[24], many[48], signal[16], reason[80], detail[1100], pipeline[260];
    struct weft_json_list list;
    struct weft_slice item;
    uint64_t items = weft_json_find_uint(letter, "items"), shown = 0;

    weft_json_find_text(letter, "signal", signal, sizeof signal);
    printf("#%" PRIu64 "  %s  %s from %s  %s\n", weft_json_find_uint(letter, "sequence"),
           clock_text(weft_json_find_uint(letter, "refused_ms"), when), count_text(items, signal, many),
           weft_json_find_text(letter, "pipeline", pipeline, sizeof pipeline),
           weft_json_find_text(letter, "reason", reason, sizeof reason));
    if (*weft_json_find_text(letter, "detail", detail, sizeof detail))
        printf("    %s\n", detail);
    weft_json_list_init(&list, weft_json_find(letter, "preview"));
    for (; weft_json_list_next(&list, &item); shown++)
        show_item(item);
    if (items > shown && strcmp(signal, "metrics") != 0)
        printf("      - and %" PRIu64 " more\n", items - shown);
}

static void show_page(const struct dlq *d)
{
    struct weft_slice answer = weft_buf_slice(&d->answer), letter;
    struct weft_json_list list;
    uint64_t next = weft_json_find_uint(answer, "next");
    size_t n = 0;

    weft_json_list_init(&list, weft_json_find(answer, "letters"));
    for (; weft_json_list_next(&list, &letter); n++)
        show_letter(letter);
    if (n == 0 && !is_true(answer, "unreadable"))
        printf("%s has no %sdead letters%s\n", d->exporter, d->after ? "further " : "",
               d->reason || d->older_than ? " that match" : "");
    if (is_true(answer, "unreadable"))
        printf("%swhat follows cannot be read at the moment (not enough memory); ask again: --after %" PRIu64 "\n", n ? "\n" : "", next);
    else if (next)
        printf("\nthere are more: --after %" PRIu64 "\n", next);
}

static void show_answer(const struct dlq *d)
{
    printf("%.*s", (int)d->answer.len, (const char *)d->answer.data);
}

/* ---- a running agent ---- */
static void begin_path(struct dlq *d, const char *behind)
{
    weft_buf_reset(&d->path);
    weft_buf_append_str(&d->path, "/api/v1/dlq");
    if (d->exporter) {
        weft_buf_append_byte(&d->path, '/');
        weft_query_put(&d->path, d->exporter);
    }
    weft_buf_append_str(&d->path, behind);
    weft_buf_append_str(&d->path, "?");
}

static void put_parameter(struct dlq *d, const char *key, const char *value)
{
    if (!value)
        return;
    weft_buf_append_str(&d->path, key);
    weft_buf_append_byte(&d->path, '=');
    weft_query_put(&d->path, value);
    weft_buf_append_byte(&d->path, '&');
}

static int ask(struct dlq *d, const char *method, const char *behind)
{
    begin_path(d, behind);
    put_parameter(d, "reason", d->reason);
    put_parameter(d, "older_than", d->older_than);
    put_parameter(d, "limit", d->limit);
    put_parameter(d, "after", d->after);
    weft_buf_append_byte(&d->path, 0);
    if (d->path.err)
        return weft_cli_usage(d->self, "the options are too long");
    return weft_remote_ask(&d->remote, method, (const char *)d->path.data, &d->answer);
}

/* ---- a directory ---- */
static int cannot_open(const struct dlq *d, const char *path, int err)
{
    const char *advice = err == WEFT_ERR_NEWER    ? "; use the version of weft that wrote it"
                         : err == WEFT_ERR_LOCKED ? "; an agent uses it: leave --directory out and ask the agent (--endpoint)"
                                                  : "";

    (void)fprintf(stderr, "weft %s: cannot open %s: %s%s\n", d->remote.command, path, weft_err_text(err), advice);
    return WEFT_EXIT_START;
}

static int open_letters(const struct dlq *d, const char *exporter, struct weft_letters **ret_letters)
{
    char path[WEFT_DIRECTORY_PATH];
    struct weft_journal_options o = { .name = exporter, .mode = WEFT_JOURNAL_DISK, .max_size = UINT64_C(1) << 40, .directory = path };

    if (!weft_directory_path(d->directory, "dead_letters", exporter, path) || access(path, F_OK) != 0) {
        (void)fprintf(stderr, "weft %s: %s has no dead letters of an exporter '%s' (see 'weft dlq list --directory %s')\n",
                      d->remote.command, d->directory, exporter, d->directory);
        return WEFT_EXIT_USAGE;
    }
    int err = weft_letters_open(ret_letters, &o);
    return err ? cannot_open(d, path, err) : 0;
}

static int put_exporter(struct dlq *d, const char *exporter)
{
    struct weft_letters *letters;
    int code = open_letters(d, exporter, &letters);

    if (code)
        return code;
    weft_buf_append_str(&d->answer, d->answer.data[d->answer.len - 1] == '[' ? "{" : ",{");
    weft_letters_put_summary(&d->answer, exporter, letters);
    weft_buf_append_byte(&d->answer, '}');
    weft_letters_close(letters);
    return 0;
}

static int list_directory(struct dlq *d)
{
    char path[WEFT_DIRECTORY_PATH], id[WEFT_DIRECTORY_NAME];
    struct dirent *entry;
    int code = 0;

    (void)snprintf(path, sizeof path, "%s/dead_letters", d->directory);
    DIR *dir = d->exporter ? NULL : opendir(path);
    weft_buf_append_str(&d->answer, "{\"exporters\":[");
    if (d->exporter)
        code = put_exporter(d, d->exporter);
    while (dir && !code && (entry = readdir(dir)) != NULL)
        if (entry->d_name[0] != '.' && weft_directory_unescape(entry->d_name, id))
            code = put_exporter(d, id);
    if (dir)
        (void)closedir(dir);
    weft_buf_append_str(&d->answer, "]}\n");
    return code;
}

static int page_of_directory(struct dlq *d)
{
    struct weft_letters_filter filter = { d->reason, d->before_ns };
    struct weft_letters *letters;
    int code = open_letters(d, d->exporter, &letters);

    if (code)
        return code;
    int err = weft_letters_put_page(&d->answer, d->exporter, letters, &filter, d->n_after, d->n_limit);
    weft_buf_append_byte(&d->answer, '\n');
    weft_letters_close(letters);
    return err ? cannot_open(d, d->directory, err) : 0;
}

static int purge_directory(struct dlq *d)
{
    struct weft_letters_filter filter = { d->reason, d->before_ns };
    struct weft_letters *letters;
    uint64_t items = 0;
    int code = open_letters(d, d->exporter, &letters);

    if (code)
        return code;
    int err = weft_letters_purge(letters, &filter, &items);
    weft_letters_close(letters);
    weft_buf_printf(&d->answer, "{\"purged_items\":%" PRIu64 "}\n", items);
    return err ? cannot_open(d, d->directory, err) : 0;
}

/* Runs `what` while the directory is ours. */
static int with_directory(struct dlq *d, int (*what)(struct dlq *d))
{
    long holder = 0;
    int fd = -1, err = access(d->directory, F_OK) == 0 ? weft_directory_lock(d->directory, &fd, &holder) : UV_ENOENT;

    if (err == UV_EBUSY) {
        (void)fprintf(stderr, "weft %s: an agent (process %ld) is using %s; leave --directory out and ask it (--endpoint)\n",
                      d->remote.command, holder, d->directory);
        return WEFT_EXIT_START;
    }
    if (err)
        return cannot_open(d, d->directory, err);
    weft_buf_reset(&d->answer);
    int code = what(d);
    (void)close(fd);
    return code;
}

/* ---- the commands ---- */
/* Leaves of a list what is said of the exporter that was asked for. */
static void keep_one(struct dlq *d, const char *exporter)
{
    struct weft_json_list list;
    struct weft_slice each;
    struct weft_buf kept;
    char id[256];

    weft_buf_init(&kept, ANSWER_MAX);
    weft_buf_append_str(&kept, "{\"exporters\":[");
    weft_json_list_init(&list, weft_json_find(weft_buf_slice(&d->answer), "exporters"));
    while (weft_json_list_next(&list, &each))
        if (strcmp(weft_json_find_text(each, "exporter", id, sizeof id), exporter) == 0)
            weft_buf_append(&kept, each.data, each.len);
    weft_buf_append_str(&kept, "]}\n");
    weft_buf_release(&d->answer);
    d->answer = kept;
}

/* The agent knows its exporters: asked for the letters of one that it has not, it says so. */
static int ask_list(struct dlq *d)
{
    const char *exporter = d->exporter;
    int code = exporter ? ask(d, "GET", "") : 0;

    d->exporter = NULL;
    if (!code)
        code = ask(d, "GET", "");
    if (!code && exporter)
        keep_one(d, exporter);
    return code;
}

static int list(struct dlq *d)
{
    if (d->reason || d->older_than)
        return weft_cli_usage(d->self, "list counts all letters of an exporter; %s is for show, replay and purge",
                              d->reason ? "--reason" : "--older-than");
    int code = d->directory ? with_directory(d, list_directory) : ask_list(d);
    if (code)
        return code;
    if (d->json)
        show_answer(d);
    else
        show_list(weft_buf_slice(&d->answer));
    return 0;
}

static int show(struct dlq *d)
{
    int code = d->directory ? with_directory(d, page_of_directory) : ask(d, "GET", "");

    if (code)
        return code;
    if (d->json)
        show_answer(d);
    else
        show_page(d);
    return 0;
}

static int purge(struct dlq *d)
{
    int code = d->directory ? with_directory(d, purge_directory) : ask(d, "POST", "/purge");

    if (!code)
        printf("%s: %" PRIu64 " items purged\n", d->exporter, weft_json_find_uint(weft_buf_slice(&d->answer), "purged_items"));
    return code;
}

static int replay(struct dlq *d)
{
    if (d->directory)
        return weft_cli_usage(d->self, "replay needs a running agent: its exporter sends the letters; leave --directory out");
    int code = ask(d, "POST", "/replay");
    if (code)
        return code;
    if (!d->no_wait)
        return weft_replay_watch(&d->remote, d->exporter);
    printf("%s: the replay has begun; 'weft dlq list' shows how it goes\n", d->exporter);
    return 0;
}

static const struct { const char *name, *title; int (*run)(struct dlq *d); } verbs[] = {
    { "list", "dlq list", list }, { "show", "dlq show", show }, { "replay", "dlq replay", replay }, { "purge", "dlq purge", purge },
};

static int read_number(const struct dlq *d, const char *flag, const char *text, uint64_t *ret_value)
{
    char *end;

    if (*text < '0' || *text > '9' || (*ret_value = strtoull(text, &end, 10), *end))
        return weft_cli_usage(d->self, "%s %s: not a number", flag, text);
    return 0;
}

static int check(struct dlq *d, const char *verb)
{
    uint64_t limit = LIMIT, ms;

    if (!d->exporter && strcmp(verb, "list") != 0)
        return weft_cli_usage(d->self, "%s needs --exporter ID, as 'weft dlq list' shows it", verb);
    if ((d->limit && read_number(d, "--limit", d->limit, &limit)) || (d->after && read_number(d, "--after", d->after, &d->n_after)))
        return WEFT_EXIT_USAGE;
    if (limit == 0)
        return weft_cli_usage(d->self, "--limit 0 would show nothing; 'weft dlq list' counts the letters");
    d->n_limit = limit > 1000 ? 1000 : (unsigned)limit;
    if (d->reason && !*d->reason) /* most likely a variable of a shell that is not set: it must not mean all of them */
        return weft_cli_usage(d->self, "--reason is empty; leave it out to mean all letters");
    const char *wrong = d->older_than ? weft_parse_msec(d->older_than, &ms) : NULL;
    if (wrong)
        return weft_cli_usage(d->self, "--older-than %s: %s", d->older_than, wrong);
    if (d->older_than)
        d->before_ns = weft_clock_wall_ns() - ms * 1000000;
    return 0;
}

static int run_verb(struct dlq *d, const struct weft_words *words)
{
    const char *names[sizeof verbs / sizeof *verbs + 1] = { NULL };

    if (words->n != 1)
        return weft_cli_usage(d->self, words->n ? "one of list, show, replay and purge at a time" : "list, show, replay or purge?");
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
        names[i] = verbs[i].name;
        if (strcmp(verbs[i].name, words->items[0]) != 0)
            continue;
        d->remote.command = verbs[i].title;
        int wrong = check(d, verbs[i].name);
        return wrong ? wrong : verbs[i].run(d);
    }
    const char *near = weft_nearest(words->items[0], names);
    return weft_cli_usage(d->self, "'%s' is not list, show, replay or purge%s%s%s", words->items[0], near ? "; did you mean '" : "",
                          near ? near : "", near ? "'?" : "");
}

int weft_command_dlq(const struct weft_command *self, int argc, char **argv)
{
    struct dlq d = { .self = self, .remote = { "dlq", WEFT_ADMIN_ENDPOINT } };
    struct weft_words words;
    const struct weft_flag flags[] = {
        { "--exporter", WEFT_FLAG_TEXT, &d.exporter, "ID", "the exporter whose back end refused the items; list shows all without it" },
        { "--reason", WEFT_FLAG_TEXT, &d.reason, "WORD", "show, replay, purge: only letters with this reason, as list shows it" },
        { "--older-than", WEFT_FLAG_TEXT, &d.older_than, "DURATION", "show, replay, purge: only letters that were refused this long ago or earlier: 24h" },
        { "--limit", WEFT_FLAG_TEXT, &d.limit, "N", "show: at most this many letters (default 20)" },
        { "--after", WEFT_FLAG_TEXT, &d.after, "N", "show: go on behind letter #N" },
        { "--json", WEFT_FLAG_SWITCH, &d.json, NULL, "list, show: what the agent answers, as JSON" },
        { "--no-wait", WEFT_FLAG_SWITCH, &d.no_wait, NULL, "replay: do not watch it to its end" },
        { "--endpoint", WEFT_FLAG_TEXT, &d.remote.endpoint, "HOST:PORT", "the agent's admin address (default " WEFT_ADMIN_ENDPOINT ")" },
        { "--directory", WEFT_FLAG_TEXT, &d.directory, "DIR", "list, show, purge: a service.journal.directory while no agent runs" },
        { .name = NULL },
    };

    int parsed = weft_cli_parse(self, flags, argc, argv, &words);
    if (parsed)
        return parsed > 0 ? WEFT_EXIT_OK : WEFT_EXIT_USAGE;
    weft_buf_init(&d.answer, ANSWER_MAX);
    weft_buf_init(&d.path, 16 << 10);
    int code = run_verb(&d, &words);
    weft_buf_release(&d.answer);
    weft_buf_release(&d.path);
    return code;
}

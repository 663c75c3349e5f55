/* SPDX-License-Identifier: Apache-2.0 */
/* filelog.c: follows log files and turns their lines into log records. Keys and defaults are those of the Collector's filelog
 * receiver; lines in JSON are understood without operators (filelog_line.c).
 *
 *   (1) A line is read once: the position moves with the commit that carries the line, and a refused commit is repeated.
 *   (2) Work is bounded: one chunk of one file a turn of the loop, in turn over all files, so that sockets on the same loop
 *       are served between two chunks.
 *   (3) inotify makes it quick, polling makes it certain: every poll_interval each file is asked for its size and, when the
 *       globs are cheap, the directories for new files.
 *
 *   (4) Positions: while lines are in a journal, it says how far a file is in it (record->source). Beside that, places that are
 *       safe (weft_sink.passed) are saved every few seconds in a file of our own, when there is a directory for it; who a file
 *       is stands there before its first line is committed.
 *
 *   quiet --(poll or event: a file is dirty)--> reading --(nothing dirty)--> quiet
 *   reading --(journal full)--> paused --(PAUSE_MS)--> reading
 *
 * While a journal fills up each file is read more slowly by itself: it is not ready until what the sink asks for is over.
 */
#include "receivers/filelog.h"

#include "receivers/filelog_positions.h"
#include "receivers/filelog_saver.h"
#include "receivers/filelog_set.h"

#include "core/clock.h"
#include "core/err.h"
#include "core/hash.h"

#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum {
    PAUSE_MS = 100,
    EVENT_DELAY_MS = 10,     /* lines written in a burst are read together */
    SCAN_SHARE = 50,         /* a scan may take one part in so many of the time */
    WATCHES_MAX = 256,
    PATH_LEN = 4096,
    LOG_INTERVAL_MS = 60000,
    CHECKPOINT_MS = 1000,    /* between two saves of positions */
    SAVE_AGAIN_MS = 5000,    /* after one that failed */
};

/* Places of weft_sink.mark. */
enum { MARK_CHECKPOINT, MARK_END };

struct filelog;

/* One directory that inotify watches for us. */
struct watch {
    uv_fs_event_t handle; /* first: what uv_close gives back is the watch */
    struct filelog *owner;
    struct watch *next;
    char *directory;
};

struct filelog {
    struct weft_receiver base;
    struct weft_strings include, exclude;
    int start_at, format;
    uint64_t poll_interval, force_flush_period;
    uint64_t max_log_size, fingerprint_size;
    int64_t max_concurrent_files;
    char *encoding, *storage;
    bool include_file_name, include_file_path;
    struct weft_pairs resource, attributes;

    struct weft_filelog_set set;
    struct weft_filelog_reader reader;
    struct weft_buf resource_bytes, attribute_bytes;
    struct weft_filelog_file *turn;  /* whose turn it is; NULL: the first one's */
    struct watch *watches;
    size_t n_watches;
    uint64_t next_scan_ms;
    bool scan_soon;
    uint64_t told_split, told_malformed;
    struct weft_log_gate gate, cut_gate, save_gate;
    struct weft_filelog_saver *saver; /* NULL: positions are kept nowhere */
    struct weft_buf saved_bytes;
    uint64_t last_ticket, tries_at_ms; /* of the last save; when one that failed is tried again, 0: it did not fail */
    bool checkpointing;              /* places have been noted and wait for the mark to pass */
    uint64_t checkpoint_ms, noted_commits; /* when and at what they were noted */
    bool prepared;                   /* there is a table of files */
    bool started, quiet;             /* handles are open; no new work */
    uv_timer_t poll_timer, kick_timer;
    uv_idle_t idle;
};

enum { START_BEGINNING, START_END };
static const char *const starts[] = { "beginning", "end", NULL };
static const char *const formats[] = { "auto", "json", "text", NULL };

static const struct weft_option options[] = {
    WEFT_LIST("include", struct filelog, include, .required = true,
              .help = "globs of files to follow; an element of two stars stands for any directories"),
    WEFT_LIST("exclude", struct filelog, exclude, .help = "globs of files to leave out"),
    WEFT_ENUM("start_at", struct filelog, start_at, .fallback = "end", .words = starts,
              .help = "where to begin in files that are there at the start; later ones are read from their beginning"),
    WEFT_ENUM("format", struct filelog, format, .fallback = "auto", .words = formats,
              .help = "auto: lines that are JSON objects are taken apart, others are text; json: the others count as malformed; "
                      "text: nothing is taken apart"),
    WEFT_MSEC("poll_interval", struct filelog, poll_interval, .fallback = "200ms", .min = 10, .max = 3600000,
              .help = "how often files are looked at when the system does not tell of changes"),
    WEFT_MSEC("force_flush_period", struct filelog, force_flush_period, .fallback = "500ms", .min = 0, .max = 3600000,
              .help = "how long a last line without newline waits before it is taken as it is; 0: for ever"),
    WEFT_BYTES("max_log_size", struct filelog, max_log_size, .fallback = "1MiB", .min = 64, .max = 16u << 20,
               .help = "longest line; a longer one becomes several records"),
    WEFT_INT("max_concurrent_files", struct filelog, max_concurrent_files, .fallback = "1024", .min = 1, .max = 65536,
             .help = "files followed at once; others wait until one of these is gone"),
    WEFT_STRING("encoding", struct filelog, encoding, .fallback = "utf-8",
                .help = "utf-8; what is not becomes U+FFFD in text lines"),
    WEFT_BOOL("include_file_name", struct filelog, include_file_name, .fallback = "true",
              .help = "put the file's name on each record as log.file.name"),
    WEFT_BOOL("include_file_path", struct filelog, include_file_path, .fallback = "false",
              .help = "put the file's path on each record as log.file.path"),
    WEFT_MAP("resource", struct filelog, resource, .help = "resource attributes; service.name here overrules what lines say"),
    WEFT_MAP("attributes", struct filelog, attributes, .help = "attributes put on each record"),
    WEFT_BYTES("fingerprint_size", struct filelog, fingerprint_size, .fallback = "1000", .min = WEFT_FILELOG_PRINT_MIN,
               .max = WEFT_FILELOG_PRINT_MAX,
               .help = "bytes at a file's beginning by which it is known again when its device and inode do not say who it is"),
    WEFT_STRING("storage", struct filelog, storage,
                .help = "id of a file_storage extension that keeps positions; without it service.journal.directory does, "
                        "when it is given or the journal is on disk"),
    WEFT_IGNORED("retry_on_failure", .help = "a refused record is always offered again"),
    { .key = NULL },
};

static int check(struct weft_receiver *self, const struct weft_node *map, struct weft_problems *problems)
{
    static const char *const known[] = { "utf-8", "utf8", "ascii", "us-ascii", "nop" };
    const struct filelog *f = (const struct filelog *)self;
    bool found = false;

    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        found = found || strcasecmp(f->encoding, known[i]) == 0;
    if (!found)
        weft_problem(problems, weft_node_get(map, "encoding"), "encoding '%.40s' is not supported: only utf-8 is", f->encoding);
    if (f->include.n == 0)
        weft_problem(problems, weft_node_get(map, "include"), "include needs at least one glob");
    return found && f->include.n > 0 ? 0 : WEFT_ERR_CONFIG;
}

/* ---- telling ---- */

static void on_problem(void *data, const char *path, int err)
{
    struct filelog *f = data;
    unsigned dropped;

    if (err == UV_ENOENT || !weft_log_gate_open(&f->gate, weft_clock_mono_ms(), &dropped))
        return; /* gone between the glob and the open */
    weft_log(f->base.log, WEFT_LOG_WARN, f->base.id, "not following %s: %s%s", path,
             err == WEFT_ERR_LIMIT ? "max_concurrent_files reached" : weft_err_text(err), dropped ? " (and others)" : "");
}

static void tell_unreadable(struct filelog *f, const char *path, int err)
{
    unsigned dropped;

    if (weft_log_gate_open(&f->gate, weft_clock_mono_ms(), &dropped))
        weft_log(f->base.log, WEFT_LOG_WARN, f->base.id, "cannot read %s: %s; trying again%s", path, weft_err_text(err),
                 dropped ? " (and others)" : "");
}

static void tell_truncated(struct filelog *f, const char *path, uint64_t now_ms)
{
    unsigned dropped;

    if (weft_log_gate_open(&f->cut_gate, now_ms, &dropped))
        weft_log(f->base.log, WEFT_LOG_INFO, f->base.id, "%s was truncated: reading it from its beginning%s", path,
                 dropped ? " (and others)" : "");
}

static void tell_table(struct filelog *f, int err)
{
    if (err == 0)
        weft_log(f->base.log, WEFT_LOG_INFO, f->base.id, "positions of %zu files are known", f->set.known.n);
    else if (err == WEFT_ERR_MALFORMED || err == WEFT_ERR_UNSUPPORTED)
        weft_log(f->base.log, WEFT_LOG_WARN, f->base.id,
                 "the file with positions %s and is put aside; files are matched anew: by what the journal knows, else from start_at",
                 err == WEFT_ERR_MALFORMED ? "is damaged" : "was written by another version");
    else if (err != UV_ENOENT)
        weft_log(f->base.log, WEFT_LOG_WARN, f->base.id,
                 "cannot read the positions %s: %s; files are matched anew: by what the journal knows, else from start_at",
                 f->base.keep_path, weft_err_text(err));
}

static void tell_unsaved(struct filelog *f, int err)
{
    unsigned dropped;

    if (weft_log_gate_open(&f->save_gate, weft_clock_mono_ms(), &dropped))
        weft_log(f->base.log, WEFT_LOG_WARN, f->base.id,
                 "cannot keep positions as %s: %s; trying again. Lines may be read twice after a crash", f->base.keep_path,
                 weft_err_text(err));
}

static void tell_counts(struct filelog *f, uint64_t now_ms)
{
    const struct weft_filelog_reader *r = &f->reader;
    unsigned dropped;

    if (r->split_lines == f->told_split && r->malformed_lines == f->told_malformed)
        return;
    if (!weft_log_gate_open(&f->gate, now_ms, &dropped))
        return;
    weft_log(f->base.log, WEFT_LOG_WARN, f->base.id, "%llu lines that are no JSON were taken as text, %llu were cut at max_log_size",
             (unsigned long long)(r->malformed_lines - f->told_malformed), (unsigned long long)(r->split_lines - f->told_split));
    f->told_split = r->split_lines;
    f->told_malformed = r->malformed_lines;
}

/* ---- inotify ---- */

static void kick(struct filelog *f, uint64_t delay_ms);

static void on_event(uv_fs_event_t *handle, const char *name, int events, int status)
{
    struct watch *w = (struct watch *)handle;

    if (status < 0 || w->owner->quiet)
        return;
    if (events & UV_RENAME)
        w->owner->scan_soon = true;
    for (struct weft_filelog_file *file = w->owner->set.files; file; file = file->next) {
        const char *slash = strrchr(file->path, '/');
        if (!name || strcmp(slash ? slash + 1 : file->path, name) == 0)
            file->dirty = true;
    }
    kick(w->owner, EVENT_DELAY_MS);
}

static void on_watch_closed(uv_handle_t *handle)
{
    struct watch *w = (struct watch *)handle;

    free(w->directory);
    free(w);
}

static void watch_directory(struct filelog *f, const char *directory)
{
    for (struct watch *w = f->watches; w; w = w->next)
        if (strcmp(w->directory, directory) == 0)
            return;
    if (f->n_watches == WATCHES_MAX)
        return; /* polling serves the rest */

    struct watch *w = calloc(1, sizeof *w);
    if (!w)
        return;
    w->owner = f;
    w->directory = strdup(directory);
    if (!w->directory || uv_fs_event_init(f->base.loop, &w->handle) != 0) {
        free(w->directory);
        free(w);
        return;
    }
    w->next = f->watches;
    f->watches = w;
    f->n_watches++;
    (void)uv_fs_event_start(&w->handle, on_event, directory, 0); /* not possible: polling serves it */
}

static void watch_parent(struct filelog *f, const char *path)
{
    char copy[PATH_LEN];

    if (strlen(path) < sizeof copy) {
        memcpy(copy, path, strlen(path) + 1);
        watch_directory(f, dirname(copy));
    }
}

/* Where the files are, and where patterns without a star in their directory will find new ones. */
static void watch_all(struct filelog *f)
{
    for (const struct weft_filelog_file *file = f->set.files; file; file = file->next)
        watch_parent(f, file->path);
    for (size_t i = 0; i < f->include.n; i++) {
        const char *pattern = f->include.items[i], *slash = strrchr(pattern, '/');
        if (slash && strcspn(pattern, "*?[{") > (size_t)(slash - pattern))
            watch_parent(f, pattern);
    }
}

/* ---- reading ---- */

static void on_idle(uv_idle_t *handle);

static void start_reading(struct filelog *f)
{
    if (!f->quiet)
        (void)uv_idle_start(&f->idle, on_idle);
}

static void on_kick(uv_timer_t *timer)
{
    struct filelog *f = timer->data;

    if (f->scan_soon)
        f->next_scan_ms = 0;
    start_reading(f);
}

/* Reads after `delay_ms`, or earlier when that has been asked for already. */
static void kick(struct filelog *f, uint64_t delay_ms)
{
    if (!uv_is_active((uv_handle_t *)&f->kick_timer) && !uv_is_active((uv_handle_t *)&f->idle))
        (void)uv_timer_start(&f->kick_timer, on_kick, delay_ms, 0);
}

static void pause_reading(struct filelog *f)
{
    (void)uv_idle_stop(&f->idle);
    (void)uv_timer_start(&f->kick_timer, on_kick, PAUSE_MS, 0);
}

/* The next file that is dirty and ready, in turn. */
static struct weft_filelog_file *next_dirty(struct filelog *f, uint64_t now_ms)
{
    struct weft_filelog_file *file = f->turn ? f->turn : f->set.files;

    for (size_t i = 0; i < f->set.n_files && file; i++) {
        struct weft_filelog_file *after = file->next ? file->next : f->set.files;
        if (file->dirty && file->hold == WEFT_FILELOG_FREE && file->ready_ms <= now_ms) {
            f->turn = after;
            return file;
        }
        file = after;
    }
    return NULL;
}

/* Nobody is dirty and ready: goes on when the first of the dirty ones is. */
static void rest(struct filelog *f, uint64_t now_ms)
{
    uint64_t ready_ms = UINT64_MAX;

    (void)uv_idle_stop(&f->idle);
    for (const struct weft_filelog_file *file = f->set.files; file; file = file->next)
        if (file->dirty && file->hold == WEFT_FILELOG_FREE && file->ready_ms < ready_ms)
            ready_ms = file->ready_ms;
    if (ready_ms != UINT64_MAX)
        kick(f, ready_ms > now_ms ? ready_ms - now_ms : 0);
}

/* ---- positions ---- */

static int encode(struct filelog *f)
{
    weft_buf_reset(&f->saved_bytes);
    return weft_filelog_positions_encode(&f->set.known, !f->base.sinks[WEFT_LOGS]->on_disk, &f->saved_bytes);
}

/* Hands the table to the saver, and tells files that wait for that which ticket is theirs. */
static void save(struct filelog *f, uint64_t now_ms)
{
    if (!f->saver) {
        f->set.unsaved = false;
        return;
    }
    int err = encode(f);
    f->set.unsaved = err != 0;
    f->tries_at_ms = err ? now_ms + SAVE_AGAIN_MS : 0;
    if (err)
        tell_unsaved(f, err);
    else
        f->last_ticket = weft_filelog_saver_put(f->saver, &f->saved_bytes);
    for (struct weft_filelog_file *file = f->set.files; file; file = file->next) {
        if (file->hold != WEFT_FILELOG_UNSAVED)
            continue;
        if (err)
            file->hold = WEFT_FILELOG_FREE; /* it is read all the same, only not exactly once */
        else if (file->ticket == 0)
            file->ticket = f->last_ticket;
    }
}

/* Whether it went well or not: files do not wait for a disk that takes nothing. */
static void on_saved(void *data, uint64_t ticket, int err)
{
    struct filelog *f = data;

    if (err) {
        tell_unsaved(f, err);
        f->tries_at_ms = weft_clock_mono_ms() + SAVE_AGAIN_MS;
    }
    for (struct weft_filelog_file *file = f->set.files; file; file = file->next)
        if (file->hold == WEFT_FILELOG_UNSAVED && file->ticket && file->ticket <= ticket)
            file->hold = WEFT_FILELOG_FREE;
    start_reading(f);
}

/* One checkpoint after the other: note where the files are, wait until all of that is safe, save it. On disk a journal
 * may lose its last moments in a power cut (service.journal.sync), so what is there is trusted after a while only. */
static void checkpoint(struct filelog *f, uint64_t now_ms)
{
    struct weft_sink *sink = f->base.sinks[WEFT_LOGS];
    const bool old = now_ms - f->checkpoint_ms >= CHECKPOINT_MS;

    if (!f->saver)
        return;
    if (f->checkpointing && (old || !sink->on_disk) && sink->passed(sink, MARK_CHECKPOINT)) {
        weft_filelog_set_keep_noted(&f->set);
        f->checkpointing = false;
        f->set.unsaved = true;
    }
    if (!f->checkpointing && old && f->reader.commits != f->noted_commits) {
        weft_filelog_set_note(&f->set);
        sink->mark(sink, MARK_CHECKPOINT);
        f->noted_commits = f->reader.commits;
        f->checkpointing = true;
        f->checkpoint_ms = now_ms;
    }
}

static void save_when_due(struct filelog *f, uint64_t now_ms)
{
    if (f->set.unsaved || (f->tries_at_ms && now_ms >= f->tries_at_ms))
        save(f, now_ms);
}

/* What the receiver before us left, in the same process. */
static void inherit(struct filelog *f)
{
    struct weft_buf *left = f->base.keep;

    if (!left || left->len == 0)
        return;
    f->set.loaded = weft_filelog_positions_decode(weft_buf_slice(left), &f->set.known, &f->set.settled) == 0;
    weft_buf_release(left);
}

/* Opens what has been kept. Without it the receiver works, and knows no more than the journals over a restart. */
static void load(struct filelog *f)
{
    const char *name;
    int dir_fd;

    if (!f->base.keep_path) {
        inherit(f);
        return;
    }
    int err = weft_filelog_positions_open(f->base.keep_path, &dir_fd, &name);
    if (err) {
        tell_unsaved(f, err);
        return;
    }
    err = weft_filelog_positions_load(dir_fd, name, &f->set.known, &f->set.settled);
    f->set.loaded = err == 0;
    tell_table(f, err);
    if (err == WEFT_ERR_MALFORMED || err == WEFT_ERR_UNSUPPORTED)
        weft_filelog_positions_put_aside(dir_fd, name);
    struct weft_filelog_saver_options saver = { f->base.loop, dir_fd, name, on_saved, f };
    err = weft_filelog_saver_open(&f->saver, &saver);
    if (err) {
        (void)close(dir_fd);
        tell_unsaved(f, err);
    }
    f->set.saves = f->saver != NULL;
    f->set.unsaved = true; /* even an empty table says that files which come later are new ones */
}

static void on_forget(void *data, const struct weft_filelog_entry *e)
{
    struct filelog *f = data;
    struct weft_sink *sink = f->base.sinks[WEFT_LOGS];

    sink->forget_source(sink, e->id);
}

/* ---- looking ---- */

static void scan(struct filelog *f, bool first)
{
    const uint64_t began = weft_clock_mono_ms();

    f->turn = NULL; /* a sweep may close the file whose turn it is */
    f->set.wall_s = weft_clock_wall_ns() / 1000000000u;
    weft_filelog_set_sweep(&f->set, began);
    /* With a table, a file that is not in it has come since it was written. */
    weft_filelog_set_scan(&f->set, first, first && f->start_at == START_END && !f->set.loaded, began);
    save_when_due(f, began);
    watch_all(f);
    const uint64_t now = weft_clock_mono_ms();
    f->next_scan_ms = now + (now - began) * SCAN_SHARE;
    f->scan_soon = false;
}

static void on_idle(uv_idle_t *handle)
{
    struct filelog *f = handle->data;
    const uint64_t now = weft_clock_mono_ms();

    if (f->scan_soon && now >= f->next_scan_ms)
        scan(f, false);
    struct weft_filelog_file *file = next_dirty(f, now);
    if (!file) {
        rest(f, now);
        return;
    }
    int err = weft_filelog_file_step(file, &f->reader, f->base.sinks[WEFT_LOGS], now, weft_clock_wall_ns());
    if (err == WEFT_ERR_FULL || err == WEFT_ERR_LIMIT || err == WEFT_ERR_DRAINING || err == UV_ENOMEM) {
        pause_reading(f);
    } else if (err == WEFT_ERR_SHED) {
        file->dirty = false; /* this file waits for the next poll; others may have what is still taken */
    } else if (err) {
        file->dirty = false; /* until the next poll finds a reason to try again */
        tell_unreadable(f, file->path, err);
    }
}

static void on_poll(uv_timer_t *timer)
{
    struct filelog *f = timer->data;
    const uint64_t now = weft_clock_mono_ms();
    bool dirty = false;

    if (f->quiet)
        return;
    if (now >= f->next_scan_ms)
        scan(f, false);
    for (struct weft_filelog_file *file = f->set.files; file; file = file->next) {
        if (weft_filelog_set_poll(&f->set, file, now, f->force_flush_period))
            tell_truncated(f, file->path, now);
        dirty = dirty || (file->dirty && file->hold == WEFT_FILELOG_FREE);
    }
    weft_filelog_set_judge(&f->set, now);
    checkpoint(f, now);
    save_when_due(f, now);
    tell_counts(f, now);
    if (dirty)
        kick(f, 0);
}

/* ---- life ---- */

static int put_pairs(struct weft_buf *out, uint32_t number, const struct weft_pairs *pairs)
{
    for (size_t i = 0; i < pairs->n; i++)
        weft_attribute_put_string(out, number, weft_slice_str(pairs->items[i].key), weft_slice_str(pairs->items[i].value));
    return out->err;
}

static bool names_service(const struct weft_pairs *pairs)
{
    for (size_t i = 0; i < pairs->n; i++)
        if (strcmp(pairs->items[i].key, "service.name") == 0)
            return true;
    return false;
}

static int prepare(struct filelog *f)
{
    enum { BYTES_MAX = 8 << 10 };

    weft_buf_init(&f->resource_bytes, BYTES_MAX);
    weft_buf_init(&f->attribute_bytes, BYTES_MAX);
    int err = put_pairs(&f->resource_bytes, WEFT_RESOURCE_ATTRIBUTES, &f->resource);
    if (!err)
        err = put_pairs(&f->attribute_bytes, WEFT_LOG_ATTRIBUTES, &f->attributes);
    if (!err)
        err = weft_filelog_reader_init(&f->reader, (size_t)f->max_log_size, f->force_flush_period, weft_buf_slice(&f->resource_bytes));
    if (err)
        return err;
    weft_account_add(f->base.account, f->reader.cap);
    f->reader.line.record.account = f->reader.batch.payload.account = f->base.account;
    f->reader.line.format = (enum weft_filelog_format)f->format;
    f->reader.print_size = (size_t)f->fingerprint_size;
    f->reader.line.fixed_service = names_service(&f->resource);
    f->set = (struct weft_filelog_set){
        .include = &f->include, .exclude = &f->exclude,
        .include_name = f->include_file_name, .include_path = f->include_file_path,
        .attributes = weft_buf_slice(&f->attribute_bytes),
        .max_files = (size_t)f->max_concurrent_files,
        .sink = f->base.sinks[WEFT_LOGS],
        .salt = weft_hash64(weft_slice_str(f->base.id), 0),
        .on_problem = on_problem, .data = f,
    };
    weft_filelog_set_init(&f->set, (size_t)f->fingerprint_size);
    f->prepared = true;
    f->set.known.on_forget = on_forget;
    f->set.known.data = f;
    weft_buf_init(&f->saved_bytes, WEFT_FILELOG_POSITIONS_MAX);
    f->gate = f->cut_gate = f->save_gate = (struct weft_log_gate){ .interval_ms = LOG_INTERVAL_MS, .burst = 5 };
    return 0;
}

static int start(struct weft_receiver *self)
{
    struct filelog *f = (struct filelog *)self;
    int err = prepare(f);

    if (err) {
        weft_log(self->log, WEFT_LOG_ERROR, self->id, "cannot start: %s", weft_err_text(err));
        return err;
    }
    (void)uv_timer_init(self->loop, &f->poll_timer); /* these three cannot fail */
    (void)uv_timer_init(self->loop, &f->kick_timer);
    (void)uv_idle_init(self->loop, &f->idle);
    f->poll_timer.data = f->kick_timer.data = f->idle.data = f;
    f->started = true;
    load(f);
    scan(f, true);
    (void)uv_timer_start(&f->poll_timer, on_poll, 0, f->poll_interval);
    weft_log(self->log, WEFT_LOG_INFO, self->id, "following %zu files", f->set.n_files);
    return 0;
}

static void quiesce(struct weft_receiver *self)
{
    struct filelog *f = (struct filelog *)self;

    f->quiet = true;
    if (!f->started)
        return;
    (void)uv_idle_stop(&f->idle);
    (void)uv_timer_stop(&f->poll_timer);
    (void)uv_timer_stop(&f->kick_timer);
}

static void stop(struct weft_receiver *self)
{
    struct filelog *f = (struct filelog *)self;

    quiesce(self);
    while (f->watches) {
        struct watch *w = f->watches;
        f->watches = w->next;
        uv_close((uv_handle_t *)&w->handle, on_watch_closed);
    }
    if (f->started) {
        self->sinks[WEFT_LOGS]->mark(self->sinks[WEFT_LOGS], MARK_END);
        uv_close((uv_handle_t *)&f->idle, NULL);
        uv_close((uv_handle_t *)&f->poll_timer, NULL);
        uv_close((uv_handle_t *)&f->kick_timer, NULL);
        f->started = false;
    }
    if (f->saver)
        weft_filelog_saver_stop(f->saver);
    weft_filelog_set_close(&f->set);
    if (f->reader.buf)
        weft_account_give(self->account, f->reader.cap);
    weft_filelog_reader_release(&f->reader);
    weft_buf_release(&f->resource_bytes);
    weft_buf_release(&f->attribute_bytes);
}

/* What has become safe since the last checkpoint: all of it, when the lanes have delivered everything. */
static void keep_what_is_safe(struct filelog *f)
{
    struct weft_sink *sink = f->base.sinks[WEFT_LOGS];
    const bool all = sink->passed(sink, MARK_END);

    if (!all && f->checkpointing && sink->passed(sink, MARK_CHECKPOINT))
        weft_filelog_set_keep_noted(&f->set);
    if (all) {
        weft_filelog_set_note(&f->set);
        weft_filelog_set_keep_noted(&f->set);
    }
    int err = encode(f);
    if (!err)
        err = weft_filelog_saver_write(f->saver, weft_buf_slice(&f->saved_bytes));
    if (err)
        tell_unsaved(f, err);
}

/* For a receiver in the same process, which finds the same journals: all that was read, safe or not. */
static void bequeath(struct filelog *f)
{
    weft_filelog_set_note(&f->set);
    weft_filelog_set_keep_noted(&f->set);
    weft_buf_reset(f->base.keep);
    if (weft_filelog_positions_encode(&f->set.known, !f->base.sinks[WEFT_LOGS]->on_disk, f->base.keep) != 0)
        weft_buf_reset(f->base.keep);
}

static void finish(struct weft_receiver *self)
{
    struct filelog *f = (struct filelog *)self;

    if (f->saver)
        keep_what_is_safe(f);
    else if (f->base.keep && f->prepared)
        bequeath(f);
    f->prepared = false;
    weft_filelog_saver_free(f->saver);
    f->saver = NULL;
    weft_buf_release(&f->saved_bytes);
    weft_filelog_set_release(&f->set);
}

const struct weft_receiver_type weft_receiver_filelog = {
    .name = "filelog",
    .summary = "follows log files: JSON lines of any common logger, or text",
    .size = sizeof(struct filelog),
    .signals = 1u << WEFT_LOGS,
    .single = true,
    .options = options,
    .check = check,
    .start = start,
    .quiesce = quiesce,
    .stop = stop,
    .finish = finish,
};

/* SPDX-License-Identifier: Apache-2.0 */
/* shelf.c: see shelf.h. An entry is one open journal; which of them are orphans is decided anew in each round.
 *
 * An orphan is closed only when two sweeps in a row found it settled and without readers: a lane that is just leaving it must be
 * done with it first. */
#include "agent/shelf.h"

#include "agent/directory.h"
#include "agent/parked.h"
#include "agent/pipeline.h"
#include "agent/shelf_kept.h"
#include "agent/shelf_letters.h"
#include "core/clock.h"
#include "core/err.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

enum { RELEASED_MAX = 64 };

static const char room[] = "journal";
static const double FILL_OF_THE_REMOVED = 0.7; /* below that at which input is refused by its worth */

struct entry {
    struct weft_shelf_entry shown; /* first: what others see is ours */
    struct weft_journal_options options;
    bool settled_before;
    struct weft_parked_list parked; /* at the last look; noted: since when nobody has come for a place */
};

/* A directory that is ours while the descriptor is open. */
struct held {
    char *path;
    int fd;
    struct held *next;
};

struct weft_shelf {
    struct weft_log log;
    struct entry *first;
    struct weft_shelf_letters *letters;
    struct held *held;
    struct weft_shelf_kept *kept;
    const struct weft_service *service; /* of the round */
    size_t n_pipelines;
    size_t n_released;
    struct weft_shelf_released released[RELEASED_MAX];
    char released_names[RELEASED_MAX][WEFT_PARKED_NAME];
};

static struct entry *next_of(const struct entry *e)
{
    return (struct entry *)(uintptr_t)e->shown.next;
}

/* ---- places without readers ---- */
struct question {
    const char *exporter;
    bool waits;
};

static void ask_place(void *ctx, const struct weft_parked *parked)
{
    struct question *q = ctx;

    q->waits = q->waits || (parked->waiting_records > 0 && strcmp(parked->name, q->exporter) == 0);
}

bool weft_shelf_waits_for(const struct weft_shelf_entry *e, const char *exporter)
{
    struct question q = { exporter, false };

    weft_journal_parked(e->journal, ask_place, &q);
    return q.waits;
}

/* ---- entries ---- */
static void unlink_entry(struct weft_shelf *s, const struct entry *e)
{
    struct entry *before = NULL;

    for (struct entry *at = s->first; at != e; at = next_of(at))
        before = at;
    if (before)
        before->shown.next = e->shown.next;
    else
        s->first = next_of(e);
}

static void free_entry(struct entry *e)
{
    if (!e)
        return;
    weft_journal_close(e->shown.journal);
    weft_parked_release(&e->parked);
    free((char *)(uintptr_t)e->shown.id);
    free((char *)(uintptr_t)e->shown.path);
    free(e);
}

static struct weft_journal_options choose_options(const struct weft_shelf *s)
{
    const struct weft_service *c = s->service;
    uint64_t n = s->n_pipelines ? s->n_pipelines : 1, memory = weft_service_fallback_memory(c) / n;
    bool disk = c->journal_mode == WEFT_SERVICE_DISK;

    return (struct weft_journal_options){
        .mode = disk ? WEFT_JOURNAL_DISK : WEFT_JOURNAL_MEMORY,
        .max_size = weft_pipeline_share(c->journal_max_size, s->n_pipelines),
        .retain = c->retention_size / n,
        .retain_ms = c->retention_age,
        .sync = (enum weft_sync)c->journal_sync,
        .sync_interval_ms = c->journal_sync_interval,
        .on_disk_error = (enum weft_disk_error)c->on_disk_error,
        .memory_size = memory,
        .log = &s->log,
    };
}

static bool same_options(const struct weft_journal_options *a, const struct weft_journal_options *b)
{
    if (a->max_size != b->max_size || a->retain != b->retain || a->retain_ms != b->retain_ms)
        return false;
    return a->mode == WEFT_JOURNAL_MEMORY
           || (a->sync == b->sync && a->sync_interval_ms == b->sync_interval_ms && a->on_disk_error == b->on_disk_error
               && a->memory_size == b->memory_size);
}

/* What an open could not do, in words that say what to do about it. */
static int explain(const struct weft_shelf *s, const char *id, const char *path, int err)
{
    const char *advice = err == WEFT_ERR_NEWER    ? "; run the version that wrote it, or move the directory away"
                         : err == WEFT_ERR_LOCKED ? "; stop the process that uses it, or set another service.journal.directory"
                         : err == UV_ENOMEM       ? ""
                         : path ? "; make it writable for this user, or set another service.journal.directory"
                                : "";

    weft_log(&s->log, WEFT_LOG_ERROR, id, "cannot open the journal%s%s: %s%s", path ? " in " : "", path ? path : "", weft_err_text(err),
             advice);
    return err;
}

/* What was hurt, the journal has said itself. */
static void tell_recovered(const struct weft_shelf *s, const struct entry *e)
{
    struct weft_journal_stats j;

    weft_journal_stats(e->shown.journal, &j);
    if (j.opened_records)
        weft_log(&s->log, WEFT_LOG_INFO, e->shown.id, "journal recovered from %s in %.1f ms: it holds %llu records with %llu items",
                 e->shown.path, e->shown.opened_ms, (unsigned long long)j.opened_records, (unsigned long long)j.opened_items);
}

static int open_journal(struct weft_shelf *s, struct entry *e)
{
    uint64_t began = weft_clock_mono_ns();
    int err = weft_journal_open(&e->shown.journal, &e->options);

    if (err)
        return err;
    e->shown.opened_ms = (double)(weft_clock_mono_ns() - began) / 1e6;
    if (e->shown.path)
        tell_recovered(s, e);
    return 0;
}

static int new_entry(struct weft_shelf *s, const char *id, enum weft_signal signal, const char *path, struct entry **ret_entry)
{
    struct entry *e = calloc(1, sizeof *e);

    if (!e)
        return UV_ENOMEM;
    e->shown.id = strdup(id);
    e->shown.path = path ? strdup(path) : NULL;
    e->shown.signal = signal;
    e->options = choose_options(s);
    e->options.name = e->shown.id;
    e->options.directory = e->shown.path;
    int err = e->shown.id && (e->shown.path || !path) ? open_journal(s, e) : UV_ENOMEM;
    if (err) {
        free_entry(e);
        return err;
    }
    e->shown.next = s->first ? &s->first->shown : NULL;
    s->first = e;
    *ret_entry = e;
    return 0;
}

static struct entry *find(const struct weft_shelf *s, const char *id, const char *path)
{
    for (struct entry *e = s->first; e; e = next_of(e))
        if (strcmp(e->shown.id, id) == 0 && !e->shown.path == !path && (!path || strcmp(e->shown.path, path) == 0))
            return e;
    return NULL;
}

/* ---- the directory ---- */
static bool is_held(const struct weft_shelf *s, const char *path)
{
    for (const struct held *h = s->held; h; h = h->next)
        if (strcmp(h->path, path) == 0)
            return true;
    return false;
}

static int lock_directory(struct weft_shelf *s, const char *path)
{
    struct held *h = calloc(1, sizeof *h);
    long holder = 0;
    char who[48] = "another process";

    if (!h || !(h->path = strdup(path))) {
        free(h);
        return UV_ENOMEM;
    }
    int err = weft_directory_lock(path, &h->fd, &holder);
    if (!err) {
        h->next = s->held;
        s->held = h;
        return 0;
    }
    free(h->path);
    free(h);
    if (holder)
        (void)snprintf(who, sizeof who, "process %ld", holder);
    if (err == UV_EBUSY)
        weft_log(&s->log, WEFT_LOG_ERROR, "agent", "service.journal.directory: %s is in use by %s; stop it, or set another directory", path,
                 who);
    else
        weft_log(&s->log, WEFT_LOG_ERROR, "agent",
                 "service.journal.directory: cannot lock %s: %s; make it writable for this user, or set another directory", path,
                 weft_err_text(err));
    return err;
}

static int prepare_directory(struct weft_shelf *s, const char *directory)
{
    char path[WEFT_DIRECTORY_PATH];

    (void)snprintf(path, sizeof path, "%s/%s", directory, room);
    int err = weft_directory_make(path);
    if (err) {
        weft_log(&s->log, WEFT_LOG_ERROR, "agent",
                 "service.journal.directory: cannot make %s: %s; %sset another directory", path, weft_err_text(err),
                 err == UV_ENOTDIR ? "" : "make it writable for this user, or ");
        return err;
    }
    return is_held(s, directory) ? 0 : lock_directory(s, directory);
}

int weft_shelf_hold(struct weft_shelf *s, const struct weft_service *service)
{
    return service->journal_mode == WEFT_SERVICE_DISK ? prepare_directory(s, service->journal_directory) : 0;
}

/* Directories that neither the configuration nor an entry needs any more. */
static void let_directories_go(struct weft_shelf *s)
{
    for (struct held **link = &s->held; *link;) {
        struct held *h = *link;
        size_t len = strlen(h->path);
        bool needed = s->service && s->service->journal_mode == WEFT_SERVICE_DISK && strcmp(s->service->journal_directory, h->path) == 0;
        for (const struct entry *e = s->first; e && !needed; e = next_of(e))
            needed = e->shown.path && strncmp(e->shown.path, h->path, len) == 0 && e->shown.path[len] == '/';
        if (needed) {
            link = &h->next;
            continue;
        }
        *link = h->next;
        (void)close(h->fd);
        free(h->path);
        free(h);
    }
}

/* ---- a round ---- */
int weft_shelf_begin(struct weft_shelf *s, const struct weft_service *service, size_t n_pipelines)
{
    s->service = service;
    s->n_pipelines = n_pipelines;
    for (struct entry *e = s->first; e; e = next_of(e))
        e->shown.claimed = e->shown.orphan = e->settled_before = false;
    weft_shelf_letters_begin(s->letters);
    return weft_shelf_hold(s, service);
}

/* A journal in memory changes its size where it is; what does not fit yet keeps the old one. */
static int adjust(struct weft_shelf *s, struct entry *e, const struct weft_journal_options *options)
{
    char had[WEFT_QUANTITY_MAX], wanted[WEFT_QUANTITY_MAX];
    int err = weft_journal_resize(e->shown.journal, options->max_size, options->retain, options->retain_ms);

    if (!err)
        e->options = *options;
    else
        weft_log(&s->log, WEFT_LOG_WARN, e->shown.id,
                 "what waits does not fit into the new size %s of the journal: it keeps %s until the next reload or start",
                 weft_format_bytes((double)options->max_size, wanted), weft_format_bytes((double)e->options.max_size, had));
    return 0;
}

static int reopen(struct weft_shelf *s, struct entry *e, const struct weft_journal_options *options)
{
    struct weft_journal_options before = e->options;

    weft_journal_close(e->shown.journal);
    e->shown.journal = NULL;
    e->options = *options;
    int err = open_journal(s, e);
    if (!err)
        return 0;
    e->options = before;
    unlink_entry(s, e); /* closed: the next round opens it again, or finds it as an orphan */
    (void)explain(s, e->shown.id, e->shown.path, err);
    free_entry(e);
    return err;
}

static int claim(struct weft_shelf *s, struct entry *e)
{
    struct weft_journal_options options = choose_options(s);

    options.name = e->shown.id;
    options.directory = e->shown.path;
    if (same_options(&e->options, &options))
        return 0;
    return e->shown.path ? reopen(s, e, &options) : adjust(s, e, &options);
}

int weft_shelf_take(struct weft_shelf *s, const char *id, enum weft_signal signal, const struct weft_shelf_entry **ret_entry)
{
    char path[WEFT_DIRECTORY_PATH];
    bool disk = s->service->journal_mode == WEFT_SERVICE_DISK;
    int err;

    if (disk && !weft_directory_path(s->service->journal_directory, room, id, path))
        return explain(s, id, s->service->journal_directory, UV_ENAMETOOLONG);
    struct entry *e = find(s, id, disk ? path : NULL);
    if (e) {
        err = claim(s, e);
    } else {
        err = new_entry(s, id, signal, disk ? path : NULL, &e);
        if (err)
            (void)explain(s, id, disk ? path : NULL, err);
    }
    if (err)
        return err;
    e->shown.claimed = true;
    *ret_entry = &e->shown;
    return 0;
}

int weft_shelf_take_letters(struct weft_shelf *s, const char *id, struct weft_letters **ret_letters)
{
    return weft_shelf_letters_take(&s->letters, s->service, &s->log, id, ret_letters);
}

/* ---- orphans ---- */
static bool signal_of(const char *id, enum weft_signal *ret_signal)
{
    size_t len = strcspn(id, "/");

    for (int signal = 0; signal < WEFT_SIGNALS; signal++) {
        const char *name = weft_signal_name((enum weft_signal)signal);
        if (strlen(name) != len || strncmp(id, name, len) != 0)
            continue;
        *ret_signal = (enum weft_signal)signal;
        return true;
    }
    return false;
}

static void open_orphan(struct weft_shelf *s, const char *name)
{
    char id[WEFT_DIRECTORY_NAME], path[WEFT_DIRECTORY_PATH];
    enum weft_signal signal;
    struct entry *e;

    if (!weft_directory_unescape(name, id) || !signal_of(id, &signal)
        || !weft_directory_path(s->service->journal_directory, room, id, path) || find(s, id, path))
        return;
    int err = new_entry(s, id, signal, path, &e);
    if (err)
        weft_log(&s->log, WEFT_LOG_WARN, id,
                 "the configuration has no such pipeline, but its journal is in %s and cannot be opened: %s; it stays as it is", path,
                 weft_err_text(err));
}

static void scan(struct weft_shelf *s)
{
    char path[WEFT_DIRECTORY_PATH];
    struct dirent *at;

    (void)snprintf(path, sizeof path, "%s/%s", s->service->journal_directory, room);
    DIR *dir = opendir(path);
    while (dir && (at = readdir(dir)) != NULL)
        if (*at->d_name != '.')
            open_orphan(s, at->d_name);
    if (dir)
        (void)closedir(dir);
}

static bool has_pipeline(const struct weft_shelf *s, const char *id)
{
    for (const struct entry *e = s->first; e; e = next_of(e))
        if (e->shown.claimed && strcmp(e->shown.id, id) == 0)
            return true;
    return false;
}

const char *weft_shelf_why_orphan(const struct weft_shelf_entry *e)
{
    return e->replaced ? "the pipeline has another journal now" : "the configuration has no such pipeline";
}

void weft_shelf_finish(struct weft_shelf *s)
{
    if (s->service->journal_mode == WEFT_SERVICE_DISK)
        scan(s);
    for (struct entry *e = s->first; e; e = next_of(e)) {
        e->shown.orphan = !e->shown.claimed;
        e->shown.replaced = e->shown.orphan && has_pipeline(s, e->shown.id);
    }
}

/* ---- places that nobody has come for ---- */

/* Records of which nobody has a place (it was lost, or never written) may be wanted by anybody. */
static bool is_settled(const struct entry *e)
{
    struct weft_journal_stats j;

    weft_journal_stats(e->shown.journal, &j);
    if (e->parked.n == 0 && j.opened_records + j.appended_records > 0)
        return false;
    for (size_t i = 0; i < e->parked.n; i++)
        if (e->parked.places[i].waiting_records > 0)
            return false;
    return j.n_cursors == 0;
}

/* On disk, an orphan keeps what it has for ever: somebody renamed something, and will want to know. */
static bool keeps_for_ever(const struct entry *e)
{
    return e->shown.orphan && e->shown.path;
}

static void tell_one(const struct weft_shelf *s, const struct entry *e, const struct weft_parked_place *p)
{
    char grace[WEFT_QUANTITY_MAX];

    if (p->waiting_records == 0)
        return;
    if (keeps_for_ever(e))
        weft_log(&s->log, WEFT_LOG_WARN, e->shown.id,
                 "%s, and no exporter '%s': %llu records with %llu items wait for it in %s; they stay there until an exporter of that id is "
                 "back, or the directory is removed",
                 weft_shelf_why_orphan(&e->shown), p->name, (unsigned long long)p->waiting_records, (unsigned long long)p->waiting_items, e->shown.path);
    else
        weft_log(&s->log, WEFT_LOG_WARN, e->shown.id,
                 "%llu items wait for exporter '%s', which the pipeline does not name any more; they are kept for %s "
                 "(service.journal.removed_exporter_grace)",
                 (unsigned long long)p->waiting_items, p->name, weft_format_msec((double)s->service->removed_exporter_grace, grace));
}

/* Whose places are in use is known. */
static bool has_readers(const struct entry *e)
{
    struct weft_journal_stats j;

    weft_journal_stats(e->shown.journal, &j);
    return j.n_cursors > 0;
}

void weft_shelf_tell_absent(struct weft_shelf *s)
{
    for (struct entry *e = s->first; e; e = next_of(e)) {
        if (e->shown.claimed) /* its exporters have come, and begun with the oldest record */
            (void)weft_journal_release(e->shown.journal, WEFT_LOST_PLACES);
        if (weft_parked_read(&e->parked, e->shown.journal))
            continue;
        for (size_t i = 0; i < e->parked.n; i++)
            tell_one(s, e, &e->parked.places[i]);
        if (e->parked.n == 0 && keeps_for_ever(e) && !has_readers(e) && !is_settled(e))
            weft_log(&s->log, WEFT_LOG_WARN, e->shown.id, "%s, and where the exporters of the journal in %s stood is not known: it stays there",
                     weft_shelf_why_orphan(&e->shown), e->shown.path);
    }
}

bool weft_shelf_tell_lost(struct weft_shelf *s)
{
    bool any = false;

    for (struct entry *e = s->first; e; e = next_of(e)) {
        (void)weft_parked_read(&e->parked, e->shown.journal); /* without memory: what the last look saw */
        for (size_t i = 0; i < e->parked.n && !e->shown.path; i++) {
            const struct weft_parked_place *p = &e->parked.places[i];
            if (p->waiting_records == 0)
                continue;
            weft_log(&s->log, WEFT_LOG_ERROR, e->shown.id, "%llu items wait for exporter '%s', which is not there; they are dropped",
                     (unsigned long long)p->waiting_items, p->name);
            any = true;
        }
    }
    return any;
}

static void count_released(struct weft_shelf *s, const char *exporter, enum weft_signal signal, uint64_t items)
{
    size_t i = 0;

    while (i < s->n_released && !(s->released[i].signal == signal && strcmp(s->released[i].exporter, exporter) == 0))
        i++;
    if (i == s->n_released) {
        if (i >= RELEASED_MAX - WEFT_SIGNALS && strcmp(exporter, "other") != 0) {
            count_released(s, "other", signal, items);
            return;
        }
        (void)snprintf(s->released_names[i], WEFT_PARKED_NAME, "%s", exporter);
        s->released[i] = (struct weft_shelf_released){ s->released_names[i], signal, 0 };
        s->n_released++;
    }
    s->released[i].items += items;
}

void weft_shelf_count_lost(struct weft_shelf *s)
{
    for (const struct entry *e = s->first; e; e = next_of(e))
        for (size_t i = 0; i < e->parked.n && !e->shown.path; i++)
            if (e->parked.places[i].waiting_items > 0)
                count_released(s, e->parked.places[i].name, e->shown.signal, e->parked.places[i].waiting_items);
}

static void release(struct weft_shelf *s, const struct entry *e, const struct weft_parked_place *p, const char *why)
{
    if (weft_journal_release(e->shown.journal, p->name) || p->waiting_records == 0)
        return;
    count_released(s, p->name, e->shown.signal, p->waiting_items);
    weft_log(&s->log, WEFT_LOG_WARN, e->shown.id,
             "exporter '%s' %s: %llu items that waited for it are let go, counted as dropped (removed_exporter)", p->name, why,
             (unsigned long long)p->waiting_items);
}

/* Somebody who was taken out must not make the pipeline refuse what comes for the others. */
static bool is_in_the_way(const struct entry *e, const struct weft_parked_place *p)
{
    return e->shown.claimed && p->hold && p->settled_sequence <= weft_journal_settled(e->shown.journal)
           && weft_journal_fill(e->shown.journal) >= FILL_OF_THE_REMOVED;
}

static void wait_for_absent(struct weft_shelf *s, const struct entry *e, struct weft_parked_place *p, uint64_t now_ms)
{
    if (!p->is_noted)
        p->since_ms = now_ms;
    p->is_noted = true;
    bool over = now_ms - p->since_ms >= s->service->removed_exporter_grace;
    if (!over && !is_in_the_way(e, p))
        return;
    release(s, e, p, over ? "did not come back within service.journal.removed_exporter_grace" : "is gone, and the journal fills up because of it");
    p->is_noted = false;
}

/* ---- closing orphans ---- */
static void close_orphan(struct weft_shelf *s, struct entry *e)
{
    char *path = e->shown.path ? strdup(e->shown.path) : NULL;

    unlink_entry(s, e);
    weft_log(&s->log, WEFT_LOG_INFO, e->shown.id, "%s, and nothing waits any longer in %s%s%s", weft_shelf_why_orphan(&e->shown),
             e->shown.replaced ? "the one before" : "its journal", path ? "; removing " : "", path ? path : "");
    free_entry(e);
    int err = path ? weft_journal_remove(path) : 0;
    if (err)
        weft_log(&s->log, WEFT_LOG_WARN, "agent", "cannot remove %s: %s", path, weft_err_text(err));
    free(path);
}

static void sweep_entry(struct weft_shelf *s, struct entry *e, uint64_t now_ms)
{
    if (weft_parked_read(&e->parked, e->shown.journal)) { /* the next sweep may know better */
        e->settled_before = false;
        return;
    }
    for (size_t i = 0; i < e->parked.n && !keeps_for_ever(e); i++)
        wait_for_absent(s, e, &e->parked.places[i], now_ms);
    bool settled = e->shown.orphan && is_settled(e);
    if (settled && e->settled_before)
        close_orphan(s, e);
    else
        e->settled_before = settled;
}

void weft_shelf_sweep(struct weft_shelf *s, uint64_t now_ms)
{
    struct entry *next;

    for (struct entry *e = s->first; e; e = next) {
        next = next_of(e);
        sweep_entry(s, e, now_ms);
    }
    weft_shelf_letters_close(&s->letters, &s->log, false);
    let_directories_go(s);
}

/* ---- the whole ---- */
int weft_shelf_new(struct weft_shelf **ret_shelf, const struct weft_log *log)
{
    struct weft_shelf *s = calloc(1, sizeof *s);

    if (!s)
        return UV_ENOMEM;
    s->log = *log;
    *ret_shelf = s;
    return 0;
}

void weft_shelf_set_log(struct weft_shelf *s, const struct weft_log *log)
{
    s->log = *log;
}

struct weft_buf *weft_shelf_keep(struct weft_shelf *s, const char *id)
{
    return weft_shelf_kept_get(&s->kept, id);
}

void weft_shelf_free(struct weft_shelf *s)
{
    if (!s)
        return;
    while (s->first) {
        struct entry *e = s->first;
        unlink_entry(s, e);
        free_entry(e);
    }
    weft_shelf_letters_close(&s->letters, &s->log, true);
    weft_shelf_kept_free(&s->kept);
    s->service = NULL;
    let_directories_go(s);
    free(s);
}

const struct weft_shelf_entry *weft_shelf_first(const struct weft_shelf *s)
{
    return s->first ? &s->first->shown : NULL;
}

size_t weft_shelf_n_released(const struct weft_shelf *s)
{
    return s->n_released;
}

const struct weft_shelf_released *weft_shelf_released_at(const struct weft_shelf *s, size_t i)
{
    return &s->released[i];
}

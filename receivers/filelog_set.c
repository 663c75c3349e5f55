/* SPDX-License-Identifier: Apache-2.0 */
/* filelog_set.c: see filelog_set.h. */
#include "receivers/filelog_set.h"

#include "core/err.h"

#include <dirent.h>
#include <fnmatch.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

enum { DEPTH_MAX = 8, PATTERN_MAX = 4096 };

/* ---- patterns ---- */

/* The pattern with its element of two stars replaced by `depth` elements of one. False: no such depth (a pattern without
 * one has depth 0 alone), or too long. */
static bool at_depth(const char *pattern, unsigned depth, char *out)
{
    const char *stars = strstr(pattern, "**/");
    size_t n = stars ? (size_t)(stars - pattern) : 0;

    if (!stars)
        return depth == 0 && (size_t)snprintf(out, PATTERN_MAX, "%s", pattern) < PATTERN_MAX;
    if (depth > DEPTH_MAX || strlen(pattern) + 2 * (size_t)depth + 1 > PATTERN_MAX)
        return false;
    memcpy(out, pattern, n);
    for (unsigned i = 0; i < depth; i++) {
        out[n++] = '*';
        out[n++] = '/';
    }
    (void)snprintf(out + n, PATTERN_MAX - n, "%s", stars + 3);
    return true;
}

bool weft_filelog_match(const char *pattern, const char *path)
{
    char one[PATTERN_MAX];

    for (unsigned depth = 0; at_depth(pattern, depth, one); depth++)
        if (fnmatch(one, path, FNM_PATHNAME) == 0)
            return true;
    return false;
}

static bool excluded(const struct weft_filelog_set *set, const char *path)
{
    for (size_t i = 0; i < set->exclude->n; i++)
        if (weft_filelog_match(set->exclude->items[i], path))
            return true;
    return false;
}

/* ---- files ---- */

void weft_filelog_set_init(struct weft_filelog_set *set, size_t print_size)
{
    weft_filelog_known_init(&set->known, set->max_files + WEFT_FILELOG_KEPT);
    set->scratch = (struct weft_filelog_scratch){ .print_size = print_size };
}

static struct weft_filelog_file *find(const struct weft_filelog_set *set, uint64_t device, uint64_t inode)
{
    const struct weft_filelog_entry *e = weft_filelog_known_find(&set->known, device, inode);

    return e ? e->file : NULL;
}

static int put_attributes(const struct weft_filelog_set *set, struct weft_filelog_file *f)
{
    const char *slash = strrchr(f->path, '/');

    weft_buf_reset(&f->attributes);
    weft_buf_append(&f->attributes, set->attributes.data, set->attributes.len);
    if (set->include_name)
        weft_attribute_put_string(&f->attributes, WEFT_LOG_ATTRIBUTES, WEFT_SLICE("log.file.name"),
                                  weft_slice_str(slash ? slash + 1 : f->path));
    if (set->include_path)
        weft_attribute_put_string(&f->attributes, WEFT_LOG_ATTRIBUTES, WEFT_SLICE("log.file.path"), weft_slice_str(f->path));
    return f->attributes.err;
}

static void append(struct weft_filelog_set *set, struct weft_filelog_file *f)
{
    f->next = NULL;
    *set->last = f;
    set->last = &f->next;
    set->n_files++;
}

/* Opens `path` and follows it, unless its file is followed already. The file, or NULL. */
static struct weft_filelog_file *add(struct weft_filelog_set *set, const char *path, bool first, bool from_end, uint64_t now_ms)
{
    struct weft_filelog_file *f;

    if (set->n_files >= set->max_files) {
        set->on_problem(set->data, path, WEFT_ERR_LIMIT);
        return NULL;
    }
    int err = weft_filelog_file_open(path, &f);
    if (!err && find(set, f->device, f->inode)) {
        weft_filelog_file_close(f);
        return NULL;
    }
    if (!err) {
        f->grown_ms = now_ms;
        err = put_attributes(set, f);
        if (!err)
            err = weft_filelog_meet(set, f, first, from_end, now_ms);
        if (err)
            weft_filelog_file_close(f);
    }
    if (err) {
        set->on_problem(set->data, path, err);
        return NULL;
    }
    f->seen = true;
    append(set, f);
    return f;
}

/* A known file under another path: what has been read keeps the old name, what follows has the new one. */
static void rename_to(struct weft_filelog_set *set, struct weft_filelog_file *f, const char *path)
{
    char *copy = strdup(path);

    if (!copy)
        return;
    free(f->path);
    f->path = copy;
    (void)put_attributes(set, f);
    if (f->entry)
        (void)weft_filelog_known_rename(f->entry, path);
}

/* ---- a scan ---- */

static void remember(struct weft_filelog_set *set, const char *path, const struct stat *st)
{
    if (set->n_found == set->found_room) {
        size_t room = set->found_room ? 2 * set->found_room : 64;
        void *found = realloc(set->found, room * sizeof *set->found);
        if (!found)
            return; /* the next scan will find it again */
        set->found = found;
        set->found_room = room;
    }
    char *copy = strdup(path);
    if (copy)
        set->found[set->n_found++] = (struct weft_filelog_found){ copy, st->st_dev, st->st_ino };
}

static void visit(struct weft_filelog_set *set, const char *path)
{
    struct stat st;

    if (stat(path, &st) < 0 || !S_ISREG(st.st_mode) || excluded(set, path))
        return;
    struct weft_filelog_file *f = find(set, st.st_dev, st.st_ino);
    if (!f) {
        remember(set, path, &st);
        return;
    }
    if (!f->seen && strcmp(f->path, path) != 0)
        rename_to(set, f, path);
    f->seen = true;
    f->gone = false;
}

static void visit_all(struct weft_filelog_set *set)
{
    char pattern[PATTERN_MAX];
    glob_t found;

    for (size_t i = 0; i < set->include->n; i++) {
        for (unsigned depth = 0; at_depth(set->include->items[i], depth, pattern); depth++) {
            if (glob(pattern, GLOB_BRACE, NULL, &found) != 0)
                continue;
            for (size_t k = 0; k < found.gl_pathc; k++)
                visit(set, found.gl_pathv[k]);
            globfree(&found);
        }
    }
}

/* Before new files are compared with those that are followed, these are looked at: one may have been cut, and its
 * new content copied again. Then known inodes, so that it is clear which contents have lost their file, and may be in the others. */
static void add_found(struct weft_filelog_set *set, bool first, bool from_end, uint64_t now_ms)
{
    for (struct weft_filelog_file *f = set->files; f && set->n_found > 0; f = f->next)
        (void)weft_filelog_set_poll(set, f, now_ms, 0);
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < set->n_found; i++) {
            struct weft_filelog_found *found = &set->found[i];
            if (!found->path || (pass == 0 && !weft_filelog_known_find(&set->known, found->device, found->inode)))
                continue;
            (void)add(set, found->path, first, from_end, now_ms);
            free(found->path);
            found->path = NULL;
        }
    }
    set->n_found = 0;
}

static void mark_gone(struct weft_filelog_set *set)
{
    for (struct weft_filelog_file *f = set->files; f; f = f->next) {
        if (!f->seen && !f->gone)
            f->dirty = true; /* what its writer put there last */
        f->gone = f->gone || !f->seen;
    }
}

void weft_filelog_set_scan(struct weft_filelog_set *set, bool first, bool from_end, uint64_t now_ms)
{
    if (!set->last)
        set->last = &set->files;
    for (struct weft_filelog_file *f = set->files; f; f = f->next)
        f->seen = false;
    visit_all(set);
    add_found(set, first, from_end, now_ms);
    mark_gone(set);
    for (size_t i = 0; first && i < set->known.n; i++)
        if (!set->known.entries[i]->file)
            weft_filelog_set_seek(set, set->known.entries[i], now_ms);
    weft_filelog_set_judge(set, now_ms);
}

/* ---- what went somewhere else ---- */

/* A file that is not under its own name: read to its end, and closed when it does not grow any more. */
static bool add_stray(struct weft_filelog_set *set, const char *path, uint64_t now_ms)
{
    struct weft_filelog_file *f = add(set, path, true, false, now_ms);

    if (f)
        f->gone = true;
    return f != NULL;
}

/* Is it what `e` was read from? */
static bool holds(struct weft_filelog_set *set, const struct weft_filelog_entry *e, const char *path)
{
    struct weft_filelog_file *f;
    struct stat st;

    if (stat(path, &st) < 0 || !S_ISREG(st.st_mode) || find(set, st.st_dev, st.st_ino) ||
        weft_filelog_file_open(path, &f) != 0)
        return false;
    const bool same = weft_filelog_meet_has(set, e, f->fd, (uint64_t)st.st_size);
    weft_filelog_file_close(f);
    return same;
}

void weft_filelog_set_seek(struct weft_filelog_set *set, struct weft_filelog_entry *e, uint64_t now_ms)
{
    char path[PATTERN_MAX];
    const char *slash = strrchr(e->path, '/'), *base = slash ? slash + 1 : e->path;
    const size_t directory_len = slash ? (size_t)(slash - e->path) : 0, base_len = strlen(base);

    if (!slash || directory_len >= sizeof path || base_len == 0)
        return;
    (void)snprintf(path, sizeof path, "%.*s/", (int)directory_len, e->path);
    DIR *directory = opendir(path);
    if (!directory)
        return;
    e->heirs++; /* it must stay while it is looked for */
    for (struct dirent *d; (d = readdir(directory)) && !e->file;) {
        const bool own = !e->former && d->d_ino == e->inode;
        const bool named_after = strncmp(d->d_name, base, base_len) == 0 && d->d_name[base_len];
        if ((!own && !named_after) || directory_len + 1 + strlen(d->d_name) >= sizeof path)
            continue;
        memcpy(path + directory_len + 1, d->d_name, strlen(d->d_name) + 1);
        if (holds(set, e, path) && add_stray(set, path, now_ms))
            break;
    }
    e->heirs--;
    closedir(directory);
}

/* ---- over time ---- */

bool weft_filelog_set_poll(struct weft_filelog_set *set, struct weft_filelog_file *f, uint64_t now_ms, uint64_t flush_ms)
{
    if (!weft_filelog_file_poll(f, &set->scratch, now_ms, flush_ms))
        return false;
    if (f->entry)
        weft_filelog_meet_cut(set, f, now_ms);
    else
        weft_filelog_file_restart(f, f->id, now_ms);
    return true;
}

void weft_filelog_set_judge(struct weft_filelog_set *set, uint64_t now_ms)
{
    for (struct weft_filelog_file *f = set->files; f; f = f->next)
        if (f->hold == WEFT_FILELOG_TWIN)
            weft_filelog_meet_twin(set, f, now_ms);
}

void weft_filelog_set_note(struct weft_filelog_set *set)
{
    for (size_t i = 0; i < set->known.n; i++) {
        struct weft_filelog_entry *e = set->known.entries[i];
        if (e->file) {
            e->now = weft_filelog_file_place(e->file);
            e->seen_s = set->wall_s;
        }
        e->noted = e->now;
    }
}

void weft_filelog_set_keep_noted(struct weft_filelog_set *set)
{
    for (size_t i = 0; i < set->known.n; i++)
        set->known.entries[i]->safe = set->known.entries[i]->noted;
}

/* Its entry stays, unless nothing can ever lead to the file again. */
static void let_go(struct weft_filelog_set *set, struct weft_filelog_file *f)
{
    struct weft_filelog_entry *e = f->entry;

    if (f->twin)
        f->twin->heirs--;
    if (e) {
        e->now = weft_filelog_file_place(f);
        e->file = NULL;
        e->seen_s = set->wall_s;
        if (e->provisional || (f->deleted && e->heirs == 0))
            weft_filelog_known_drop(&set->known, e);
    }
    weft_filelog_file_close(f);
}

void weft_filelog_set_sweep(struct weft_filelog_set *set, uint64_t now_ms)
{
    struct weft_filelog_file **at = &set->files;

    while (*at) {
        struct weft_filelog_file *f = *at;
        if (!f->gone || f->dirty || f->pending > 0 || now_ms - f->grown_ms < WEFT_FILELOG_LINGER_MS) {
            at = &f->next;
            continue;
        }
        *at = f->next;
        set->n_files--;
        let_go(set, f);
    }
    set->last = at;
    if (set->wall_s > WEFT_FILELOG_FORGET_S && weft_filelog_known_forget(&set->known, set->wall_s - WEFT_FILELOG_FORGET_S))
        set->unsaved = true;
}

void weft_filelog_set_close(struct weft_filelog_set *set)
{
    while (set->files) {
        struct weft_filelog_file *f = set->files;
        set->files = f->next;
        let_go(set, f);
    }
    set->last = &set->files;
    set->n_files = 0;
}

void weft_filelog_set_release(struct weft_filelog_set *set)
{
    weft_filelog_set_close(set);
    weft_filelog_known_release(&set->known);
    weft_filelog_scratch_release(&set->scratch);
    free(set->found);
    set->found = NULL;
    set->found_room = 0;
}

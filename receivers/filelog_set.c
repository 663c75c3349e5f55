/* SPDX-License-Identifier: Apache-2.0 */
/* filelog_set.c: see filelog_set.h. */
#include "receivers/filelog_set.h"

#include "core/err.h"

#include <fnmatch.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>

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

static struct weft_filelog_file *find(const struct weft_filelog_set *set, uint64_t device, uint64_t inode)
{
    struct weft_filelog_file *f = set->files;

    while (f && (f->inode != inode || f->device != device))
        f = f->next;
    return f;
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

static void add(struct weft_filelog_set *set, const char *path, bool from_end, uint64_t now_ms)
{
    struct weft_filelog_file *f, **last = &set->files;
    struct stat st;

    if (set->n_files >= set->max_files) {
        set->on_problem(set->data, path, WEFT_ERR_LIMIT);
        return;
    }
    int err = weft_filelog_file_open(path, &f);
    if (!err) {
        err = put_attributes(set, f);
        if (err)
            weft_filelog_file_close(f);
    }
    if (err) {
        set->on_problem(set->data, path, err);
        return;
    }
    f->seen = true;
    f->grown_ms = now_ms;
    if (from_end && fstat(f->fd, &st) == 0)
        f->position = (uint64_t)st.st_size;
    while (*last)
        last = &(*last)->next;
    *last = f;
    set->n_files++;
}

/* A known file under another path: what has been read keeps the old name, what follows has the new one. */
static void rename_to(const struct weft_filelog_set *set, struct weft_filelog_file *f, const char *path)
{
    char *copy = strdup(path);

    if (!copy)
        return;
    free(f->path);
    f->path = copy;
    (void)put_attributes(set, f);
}

static void visit(struct weft_filelog_set *set, const char *path, bool from_end, uint64_t now_ms)
{
    struct stat st;

    if (stat(path, &st) < 0 || !S_ISREG(st.st_mode) || excluded(set, path))
        return;
    struct weft_filelog_file *f = find(set, st.st_dev, st.st_ino);
    if (!f) {
        add(set, path, from_end, now_ms);
        return;
    }
    if (!f->seen && strcmp(f->path, path) != 0)
        rename_to(set, f, path);
    f->seen = true;
    f->gone = false;
}

void weft_filelog_set_scan(struct weft_filelog_set *set, bool from_end, uint64_t now_ms)
{
    char pattern[PATTERN_MAX];
    glob_t found;

    for (struct weft_filelog_file *f = set->files; f; f = f->next)
        f->seen = false;
    for (size_t i = 0; i < set->include->n; i++) {
        for (unsigned depth = 0; at_depth(set->include->items[i], depth, pattern); depth++) {
            if (glob(pattern, GLOB_BRACE, NULL, &found) != 0)
                continue;
            for (size_t k = 0; k < found.gl_pathc; k++)
                visit(set, found.gl_pathv[k], from_end, now_ms);
            globfree(&found);
        }
    }
    for (struct weft_filelog_file *f = set->files; f; f = f->next) {
        if (!f->seen && !f->gone)
            f->dirty = true; /* what its writer put there last */
        f->gone = f->gone || !f->seen;
    }
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
        weft_filelog_file_close(f);
    }
}

void weft_filelog_set_close(struct weft_filelog_set *set)
{
    while (set->files) {
        struct weft_filelog_file *f = set->files;
        set->files = f->next;
        weft_filelog_file_close(f);
    }
    set->n_files = 0;
}

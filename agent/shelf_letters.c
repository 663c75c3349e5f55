/* SPDX-License-Identifier: Apache-2.0 */
/* shelf_letters.c: see shelf_letters.h. */
#include "agent/shelf_letters.h"

#include "agent/directory.h"
#include "core/err.h"

#include <stdlib.h>
#include <string.h>
#include <uv.h>

struct weft_shelf_letters {
    struct weft_shelf_letters *next;
    char *id, *path; /* path NULL: in memory */
    uint64_t max_size;
    struct weft_letters *letters;
    bool claimed;
};

void weft_shelf_letters_begin(struct weft_shelf_letters *list)
{
    for (; list; list = list->next)
        list->claimed = false;
}

static int open_letters(struct weft_shelf_letters *l, const struct weft_service *service, const struct weft_log *log)
{
    struct weft_journal_options o = {
        .name = l->id,
        .mode = l->path ? WEFT_JOURNAL_DISK : WEFT_JOURNAL_MEMORY,
        .directory = l->path,
        .max_size = service->dead_letters_max_size,
        .sync = service->journal_sync == WEFT_SERVICE_SYNC_NONE ? WEFT_SYNC_NONE : WEFT_SYNC_INTERVAL,
        .sync_interval_ms = service->journal_sync_interval,
        .log = log,
    };
    int err = weft_letters_open(&l->letters, &o);

    if (err)
        weft_log(log, WEFT_LOG_ERROR, l->id, "cannot open the dead letters%s%s: %s", l->path ? " in " : "", l->path ? l->path : "",
                 weft_err_text(err));
    else
        l->max_size = o.max_size;
    return err;
}

static void free_letters(struct weft_shelf_letters *l)
{
    weft_letters_close(l->letters);
    free(l->id);
    free(l->path);
    free(l);
}

static int add(struct weft_shelf_letters **list, const char *id, const char *path, struct weft_shelf_letters **ret)
{
    struct weft_shelf_letters *l = calloc(1, sizeof *l);

    if (!l)
        return UV_ENOMEM;
    l->id = strdup(id);
    l->path = path ? strdup(path) : NULL;
    if (!l->id || (path && !l->path)) {
        free_letters(l);
        return UV_ENOMEM;
    }
    l->next = *list;
    *list = l;
    *ret = l;
    return 0;
}

static struct weft_shelf_letters *find(struct weft_shelf_letters *l, const char *id, const char *path)
{
    while (l && (strcmp(l->id, id) != 0 || !l->path != !path || (path && strcmp(l->path, path) != 0)))
        l = l->next;
    return l;
}

int weft_shelf_letters_take(struct weft_shelf_letters **list, const struct weft_service *service, const struct weft_log *log, const char *id,
                            struct weft_letters **ret_letters)
{
    char path[WEFT_DIRECTORY_PATH];
    bool disk = service->journal_mode == WEFT_SERVICE_DISK;

    if (disk && !weft_directory_path(service->journal_directory, "dead_letters", id, path))
        return UV_ENAMETOOLONG;
    struct weft_shelf_letters *l = find(*list, id, disk ? path : NULL);
    int err = l ? 0 : add(list, id, disk ? path : NULL, &l);
    if (err)
        return err;
    if (disk && l->letters && l->max_size != service->dead_letters_max_size) { /* in memory, the old size stays: nothing is lost for it */
        weft_letters_close(l->letters);
        l->letters = NULL;
    }
    if (!l->letters)
        err = open_letters(l, service, log);
    if (err)
        return err; /* the entry stays, empty: whoever comes next tries again */
    l->claimed = true;
    *ret_letters = l->letters;
    return 0;
}

static void tell_lost(const struct weft_shelf_letters *l, const struct weft_log *log)
{
    struct weft_letters_stats stats = { 0 };

    if (!l->letters || l->path)
        return;
    weft_letters_stats(l->letters, &stats);
    if (stats.items)
        weft_log(log, WEFT_LOG_WARN, l->id, "%llu items in its dead letters are lost: they were in memory", (unsigned long long)stats.items);
}

void weft_shelf_letters_close(struct weft_shelf_letters **list, const struct weft_log *log, bool all)
{
    while (*list) {
        struct weft_shelf_letters *l = *list;
        if (l->claimed && !all) {
            list = &l->next;
            continue;
        }
        *list = l->next;
        tell_lost(l, log);
        free_letters(l);
    }
}

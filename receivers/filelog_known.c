/* SPDX-License-Identifier: Apache-2.0 */
/* filelog_known.c: see filelog_known.h. A list for walking and a chained hash over (device, inode) for finding. */
#include "receivers/filelog_known.h"

#include "core/hash.h"

#include <stdlib.h>

enum { FIRST_BUCKETS = 64 };

void weft_filelog_known_init(struct weft_filelog_known *k, size_t limit)
{
    *k = (struct weft_filelog_known){ .limit = limit };
}

static void entry_free(struct weft_filelog_entry *e)
{
    free(e->path);
    free(e);
}

void weft_filelog_known_release(struct weft_filelog_known *k)
{
    for (size_t i = 0; i < k->n; i++)
        entry_free(k->entries[i]);
    free(k->entries);
    free(k->buckets);
    k->entries = k->buckets = NULL;
    k->n = k->room = k->n_buckets = 0;
}

/* ---- the hash ---- */

static struct weft_filelog_entry **bucket(const struct weft_filelog_known *k, uint64_t device, uint64_t inode)
{
    const uint64_t names[] = { device, inode };

    return &k->buckets[weft_hash64(weft_slice_of(names, sizeof names), 0) & (k->n_buckets - 1)];
}

static void link_entry(struct weft_filelog_known *k, struct weft_filelog_entry *e)
{
    struct weft_filelog_entry **first = bucket(k, e->device, e->inode);

    e->chain = *first;
    *first = e;
}

static void unlink_entry(struct weft_filelog_known *k, struct weft_filelog_entry *e)
{
    struct weft_filelog_entry **at = bucket(k, e->device, e->inode);

    while (*at && *at != e)
        at = &(*at)->chain;
    if (*at)
        *at = e->chain;
}

static bool grow_buckets(struct weft_filelog_known *k)
{
    size_t n = k->n_buckets ? 2 * k->n_buckets : FIRST_BUCKETS;
    struct weft_filelog_entry **buckets = calloc(n, sizeof(struct weft_filelog_entry *));

    if (!buckets)
        return k->n_buckets > 0; /* longer chains will do */
    free(k->buckets);
    k->buckets = buckets;
    k->n_buckets = n;
    for (size_t i = 0; i < k->n; i++)
        if (!k->entries[i]->former)
            link_entry(k, k->entries[i]);
    return true;
}

struct weft_filelog_entry *weft_filelog_known_find(const struct weft_filelog_known *k, uint64_t device, uint64_t inode)
{
    struct weft_filelog_entry *e = k->n_buckets ? *bucket(k, device, inode) : NULL;

    while (e && (e->inode != inode || e->device != device))
        e = e->chain;
    return e;
}

/* ---- coming and going ---- */

void weft_filelog_known_drop(struct weft_filelog_known *k, struct weft_filelog_entry *e)
{
    if (!e->former)
        unlink_entry(k, e);
    k->entries[e->index] = k->entries[--k->n];
    k->entries[e->index]->index = e->index;
    if (k->on_forget && !e->provisional)
        k->on_forget(k->data, e);
    entry_free(e);
}

static bool may_go(const struct weft_filelog_entry *e)
{
    return !e->file && e->heirs == 0;
}

static bool drop_oldest(struct weft_filelog_known *k)
{
    struct weft_filelog_entry *oldest = NULL;

    for (size_t i = 0; i < k->n; i++)
        if (may_go(k->entries[i]) && (!oldest || k->entries[i]->seen_s < oldest->seen_s))
            oldest = k->entries[i];
    if (oldest)
        weft_filelog_known_drop(k, oldest);
    return oldest != NULL;
}

static bool make_room(struct weft_filelog_known *k)
{
    if (k->n >= k->limit && !drop_oldest(k))
        return false;
    if (k->n >= k->n_buckets && !grow_buckets(k))
        return false;
    if (k->n < k->room)
        return true;
    size_t room = k->room ? 2 * k->room : FIRST_BUCKETS;
    struct weft_filelog_entry **entries = realloc(k->entries, room * sizeof(struct weft_filelog_entry *));
    if (!entries)
        return false;
    k->entries = entries;
    k->room = room;
    return true;
}

struct weft_filelog_entry *weft_filelog_known_add(struct weft_filelog_known *k, uint64_t device, uint64_t inode, const char *path)
{
    struct weft_filelog_entry *e = make_room(k) ? calloc(1, sizeof *e) : NULL;

    if (!e)
        return NULL;
    e->path = strdup(path);
    if (!e->path) {
        free(e);
        return NULL;
    }
    e->device = device;
    e->inode = inode;
    e->index = k->n;
    k->entries[k->n++] = e;
    link_entry(k, e);
    return e;
}

void weft_filelog_known_detach(struct weft_filelog_known *k, struct weft_filelog_entry *e)
{
    if (!e->former)
        unlink_entry(k, e);
    e->former = true;
}

void weft_filelog_known_attach(struct weft_filelog_known *k, struct weft_filelog_entry *e, uint64_t device, uint64_t inode)
{
    weft_filelog_known_detach(k, e);
    e->device = device;
    e->inode = inode;
    e->former = false;
    link_entry(k, e);
}

bool weft_filelog_known_rename(struct weft_filelog_entry *e, const char *path)
{
    char *copy = strcmp(e->path, path) == 0 ? NULL : strdup(path);

    if (!copy)
        return strcmp(e->path, path) == 0;
    free(e->path);
    e->path = copy;
    return true;
}

bool weft_filelog_known_forget(struct weft_filelog_known *k, uint64_t seen_s)
{
    const size_t before = k->n;

    for (size_t i = k->n; i-- > 0;)
        if (may_go(k->entries[i]) && k->entries[i]->seen_s < seen_s)
            weft_filelog_known_drop(k, k->entries[i]);
    return k->n < before;
}

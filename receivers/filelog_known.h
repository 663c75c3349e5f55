/* SPDX-License-Identifier: Apache-2.0 */
/* filelog_known.h: every file that is known, followed at the moment or not: what it is called by in the journal (id), what
 * it can be recognised by, and how far it has been read.
 *
 *   (1) An id names a content that only grows. A file that is cut gets a new id and its former content keeps the old one, so
 *       positions of one id never go back.
 *   (2) At most one entry that is not `former` has a device and inode: find() gives that one. A former entry is content whose
 *       file holds something else by now; a copy of it may turn up elsewhere (copytruncate).
 *   (3) There are never more than `limit` entries: the one that has been out of sight longest goes first.
 *   (4) safe <= noted <= now. `safe` is what a restart may begin from.
 *
 * One thread.
 */
#ifndef WEFT_RECEIVERS_FILELOG_KNOWN_H
#define WEFT_RECEIVERS_FILELOG_KNOWN_H

#include "core/slice.h"

struct weft_filelog_file;

/* How far a file has been read, and what stands right before that. */
struct weft_filelog_place {
    uint64_t offset;
    uint64_t tail;         /* hash of the tail_len bytes before offset; tail_len 0: not known */
    uint32_t tail_len;
};

struct weft_filelog_entry {
    uint64_t id;
    uint64_t device, inode;
    uint64_t born_ns;      /* when the inode was made; 0: the file system does not tell */
    uint64_t print;        /* hash of its first print_len bytes */
    uint32_t print_len;
    uint32_t epoch;        /* how often it has been cut */
    bool former;
    bool provisional;      /* not to be kept: it is not clear yet whose content this is */
    unsigned heirs;        /* provisional files that may turn out to be this one: it must stay */
    struct weft_filelog_place safe, noted, now;
    uint64_t seen_s;       /* wall seconds: when it was last there */
    char *path;
    struct weft_filelog_file *file; /* NULL: not followed */
    struct weft_filelog_entry *chain; /* private, as is index */
    size_t index;
};

struct weft_filelog_known {
    struct weft_filelog_entry **entries;
    size_t n, room, limit;
    struct weft_filelog_entry **buckets;
    size_t n_buckets;
    /* Called when an entry that is not provisional goes. May be NULL. */
    void (*on_forget)(void *data, const struct weft_filelog_entry *e);
    void *data;
};

void weft_filelog_known_init(struct weft_filelog_known *k, size_t limit);
void weft_filelog_known_release(struct weft_filelog_known *k); /* accepts a zeroed one; forgets without a call */

/* The entry of that file, NULL when there is none. Former ones are not found. */
struct weft_filelog_entry *weft_filelog_known_find(const struct weft_filelog_known *k, uint64_t device, uint64_t inode);

/* A new entry, zeroed but for what is given; `path` is copied. NULL: no memory, or `limit` entries are all in use. */
struct weft_filelog_entry *weft_filelog_known_add(struct weft_filelog_known *k, uint64_t device, uint64_t inode, const char *path);

/* Its file holds other content from now on: find() does not give it any more. */
void weft_filelog_known_detach(struct weft_filelog_known *k, struct weft_filelog_entry *e);

/* Its content lies in that file from now on, which must not have another entry. */
void weft_filelog_known_attach(struct weft_filelog_known *k, struct weft_filelog_entry *e, uint64_t device, uint64_t inode);

/* False when there was no memory: then the old path stays. */
bool weft_filelog_known_rename(struct weft_filelog_entry *e, const char *path);

void weft_filelog_known_drop(struct weft_filelog_known *k, struct weft_filelog_entry *e);

/* Drops what nobody follows and has not been seen since `seen_s`. True when there was something. */
bool weft_filelog_known_forget(struct weft_filelog_known *k, uint64_t seen_s);

#endif

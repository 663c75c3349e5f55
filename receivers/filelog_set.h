/* SPDX-License-Identifier: Apache-2.0 */
/* filelog_set.h: which files are followed: the globs, what they lead to at the moment, and what is known of it.
 *
 *   (1) A file is its device and inode, whatever its path: renamed, it is the same file and is read to its end; a new one under
 *       the old path is a new file and is read from its beginning. One that no pattern leads to any more is closed
 *       when it has not grown for WEFT_FILELOG_LINGER_MS.
 *   (2) Its content has a name of its own (the entry's id). A file that is cut, or holds something else all at once, goes on under
 *       a new id, and its former content waits for a while for a copy to turn up (copytruncate), which is then
 *       read from where the original was left.
 *   (3) A new file that begins as one does that is followed may be such a copy while the original has not been cut
 *       yet. It is held until that is clear, for WEFT_FILELOG_TWIN_MS at most: then it is a file like any other.
 *   (4) Whatever is not certain is read: lines may come twice then, they are not lost.
 *
 * One thread. How a file is recognised is in filelog_meet.c.
 */
#ifndef WEFT_RECEIVERS_FILELOG_SET_H
#define WEFT_RECEIVERS_FILELOG_SET_H

#include "receivers/filelog_file.h"

enum {
    WEFT_FILELOG_TWIN_MS = 5000,
    WEFT_FILELOG_PRINT_MIN = 16,     /* a shorter beginning is no evidence */
    WEFT_FILELOG_KEPT = 4096,        /* entries of files that are not there any more */
    WEFT_FILELOG_FORGET_S = 86400,   /* and for how long */
};

struct weft_filelog_set {
    const struct weft_strings *include, *exclude;
    bool include_name, include_path;      /* as attributes log.file.name, log.file.path */
    struct weft_slice attributes;         /* of every record besides: finished KeyValue fields; borrowed */
    size_t max_files;
    struct weft_sink *sink;               /* its journals know how far they are; may be NULL */
    uint64_t salt;                        /* of the ids: the same file may be followed by several receivers */
    bool loaded;                          /* `known` was found at the start */
    bool settled;                         /* it holds positions that every exporter is done with */
    bool saves;                           /* a new entry has to be saved before its file is read */

    struct weft_filelog_file *files, **last;
    size_t n_files;
    struct weft_filelog_known known;
    struct weft_filelog_scratch scratch;
    uint64_t wall_s;                      /* the time, kept by who calls */
    bool unsaved;                         /* an entry has come or changed; made false by who saves */
    struct weft_filelog_found { char *path; uint64_t device, inode; } *found; /* private: of the scan under way */
    size_t n_found, found_room;
    /* Called for each file that cannot be opened, and with WEFT_ERR_LIMIT when there are too many. */
    void (*on_problem)(void *data, const char *path, int err);
    void *data;
};

/* After the fields before `files` have been filled: an empty table. `known` may then be loaded. */
void weft_filelog_set_init(struct weft_filelog_set *set, size_t print_size);

/* Opens what is new, marks what is gone. `first`: the first scan, which looks for known files wherever they went; `from_end`:
 * files that nobody knows are followed from their end. */
void weft_filelog_set_scan(struct weft_filelog_set *set, bool first, bool from_end, uint64_t now_ms);

/* Asks the file system how a file is (weft_filelog_file_poll) and starts it over when it was cut. True when it was. */
bool weft_filelog_set_poll(struct weft_filelog_set *set, struct weft_filelog_file *f, uint64_t now_ms, uint64_t flush_ms);

/* Looks again at the files that may be copies. */
void weft_filelog_set_judge(struct weft_filelog_set *set, uint64_t now_ms);

/* All places that have been reached are noted. */
void weft_filelog_set_note(struct weft_filelog_set *set);

/* What was noted is safe. */
void weft_filelog_set_keep_noted(struct weft_filelog_set *set);

/* Closes what is gone and has been read. */
void weft_filelog_set_sweep(struct weft_filelog_set *set, uint64_t now_ms);

/* Closes all files; `known` stays. */
void weft_filelog_set_close(struct weft_filelog_set *set);
void weft_filelog_set_release(struct weft_filelog_set *set); /* closes too; accepts a zeroed one */

/* ---- between filelog_set.c and filelog_meet.c ---- */

/* Makes out which entry a file belongs to, and where to begin in it. `first`, `from_end`: as in scan. 0, or UV_ENOMEM / WEFT_ERR_LIMIT:
 * it cannot be followed. */
int weft_filelog_meet(struct weft_filelog_set *set, struct weft_filelog_file *f, bool first, bool from_end, uint64_t now_ms);

/* All that was read of `e` stands in the file: its print, its tail and what the journals remember say so, and one of them says
 * enough. */
bool weft_filelog_meet_has(struct weft_filelog_set *set, const struct weft_filelog_entry *e, int fd, uint64_t size);

/* A file of the set was cut: its entry becomes a former one, and it goes on with a new one. */
void weft_filelog_meet_cut(struct weft_filelog_set *set, struct weft_filelog_file *f, uint64_t now_ms);

/* Decides about a file that is held as a twin, when that can be done. */
void weft_filelog_meet_twin(struct weft_filelog_set *set, struct weft_filelog_file *f, uint64_t now_ms);

/* Looks in the directory of `e` for the file that has its content now, under a name that no pattern need match. */
void weft_filelog_set_seek(struct weft_filelog_set *set, struct weft_filelog_entry *e, uint64_t now_ms);

/* True when `path` matches `pattern`, in which a path element of two stars stands for up to eight directories or none. */
bool weft_filelog_match(const char *pattern, const char *path);

#endif

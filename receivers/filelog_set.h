/* SPDX-License-Identifier: Apache-2.0 */
/* filelog_set.h: which files are followed: the globs, and what they lead to at the moment.
 *
 * A file is its device and inode, whatever its path: a file that is renamed is the same file and is read to its end; a new
 * one under the old path is a new file and is read from its beginning. One that no pattern leads to any more is closed when it
 * has not grown for WEFT_FILELOG_LINGER_MS. One thread.
 */
#ifndef WEFT_RECEIVERS_FILELOG_SET_H
#define WEFT_RECEIVERS_FILELOG_SET_H

#include "receivers/filelog_file.h"

struct weft_filelog_set {
    const struct weft_strings *include, *exclude;
    bool include_name, include_path;      /* as attributes log.file.name, log.file.path */
    struct weft_slice attributes;         /* of every record besides: finished KeyValue fields; borrowed */
    size_t max_files;

    struct weft_filelog_file *files;
    size_t n_files;
    /* Called for each file that cannot be opened, and with WEFT_ERR_LIMIT when there are too many. */
    void (*on_problem)(void *data, const char *path, int err);
    void *data;
};

/* Opens what is new, marks what is gone. `from_end`: files found now are followed from their end (only at the start). */
void weft_filelog_set_scan(struct weft_filelog_set *set, bool from_end, uint64_t now_ms);

/* Closes what is gone and has been read. */
void weft_filelog_set_sweep(struct weft_filelog_set *set, uint64_t now_ms);

void weft_filelog_set_close(struct weft_filelog_set *set);

/* True when `path` matches `pattern`, in which a path element of two stars stands for up to eight directories or none. */
bool weft_filelog_match(const char *pattern, const char *path);

#endif

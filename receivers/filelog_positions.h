/* SPDX-License-Identifier: Apache-2.0 */
/* filelog_positions.h: the file in which a receiver's known files outlive the process.
 *
 * One file a receiver (weft_receiver.keep_path), little-endian:
 *
 *   magic "weftpos\n"  version u32  flags u32  entries u32  crc32c u32  body length u64      (the crc covers all but itself)
 *   an entry: id device inode born_ns offset print tail seen_s as u64, print_len tail_len epoch as u32, flags u16,
 *             path length u16, path
 *
 *   (1) It is replaced whole: written beside, fsync, rename, fsync of the directory. Whatever happens, the old or the new
 *       one is there.
 *   (2) What is not whole, garbled or of another version is refused as a whole, and put aside as NAME.unreadable.
 */
#ifndef WEFT_RECEIVERS_FILELOG_POSITIONS_H
#define WEFT_RECEIVERS_FILELOG_POSITIONS_H

#include "receivers/filelog_known.h"

#include "core/buf.h"

enum {
    WEFT_FILELOG_POSITIONS_MAX = 64 << 20, /* bytes of the file */
    WEFT_FILELOG_PRINT_MAX = 1 << 20,      /* bytes that a fingerprint covers at most */
    WEFT_FILELOG_TAIL_MAX = 64,
    WEFT_FILELOG_NAME_MAX = 240,           /* of the file, with the terminator; others are named after it */
};

/* Appends the table to `out`: the safe place of each entry that is not provisional. `settled`: see decode. 0 or the
 * buffer's error. */
int weft_filelog_positions_encode(const struct weft_filelog_known *k, bool settled, struct weft_buf *out);

/* Fills an empty table; each entry's places are its safe one. *ret_settled: positions are those that every exporter is done with
 * (journals in memory); else a journal that knows the source knows better. 0, WEFT_ERR_MALFORMED, WEFT_ERR_UNSUPPORTED (another
 * version), UV_ENOMEM; after an error the table is empty. Never reads outside `bytes`. */
int weft_filelog_positions_decode(struct weft_slice bytes, struct weft_filelog_known *k, bool *ret_settled);

/* Makes the directory of `path` with its parents and opens it. *ret_fd, and *ret_name within `path`; or -errno. */
int weft_filelog_positions_open(const char *path, int *ret_fd, const char **ret_name);

/* Reads `name` in it and decodes. The errors of decode, or -errno (UV_ENOENT: there is none). */
int weft_filelog_positions_load(int dir_fd, const char *name, struct weft_filelog_known *k, bool *ret_settled);

/* Replaces `name` by `bytes`. 0 when it is on disk, or -errno: then the old one is still there. */
int weft_filelog_positions_store(int dir_fd, const char *name, struct weft_slice bytes);

/* Renames `name` to NAME.unreadable, over an older one. */
void weft_filelog_positions_put_aside(int dir_fd, const char *name);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* journal_dir.h: the directory of a journal on disk: whose it is, who has it open, and small files in it.
 *
 *   FORMAT       one line of text: the version that wrote it, and the journal's id
 *   LOCK         locked (flock) by the process that has the journal open
 *   cursors      places of readers (cursor_store.h)
 *   sources      positions of sources (source_store.h)
 *   NNNN.seg     segments by number in hexadecimal (segment_file.h)
 *   spare-N      segments that hold nothing yet, or nothing any more
 *   *.corrupt    what could not be understood: kept for people, never looked at again
 *
 * Private to journal*.c, segment*.c, cursor*.c and source*.c. Calls are made by one thread at a time, or under the journal's lock.
 */
#ifndef WEFT_CORE_JOURNAL_DIR_H
#define WEFT_CORE_JOURNAL_DIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { WEFT_JOURNAL_VERSION = 1 };

struct weft_journal_dir {
    char *path;
    int fd, lock_fd;
    uint64_t journal_id;
    uint64_t boot;       /* names this boot of the system: what was written since is still in its page cache */
    uint64_t next_spare; /* numbers spare files */
};

/* Opens and locks it; made with its parents when missing, then with `fresh_id` as the journal's id. journal_id is 0
 * afterwards when FORMAT is missing and there are segments. The errors of weft_journal_open(). */
int weft_journal_dir_open(struct weft_journal_dir *d, const char *path, uint64_t fresh_id);

/* Gives a directory without a FORMAT the id that its segments bear. 0 or a negative code. */
int weft_journal_dir_adopt(struct weft_journal_dir *d, uint64_t id);

/* Accepts a half-opened one. */
void weft_journal_dir_close(struct weft_journal_dir *d);

/* The directory was removed under us (it has no name any more). */
bool weft_journal_dir_is_gone(const struct weft_journal_dir *d);

/* Makes it again, empty but for FORMAT and LOCK. 0 or a negative code, and then everything is as before. */
int weft_journal_dir_restore(struct weft_journal_dir *d);

/* Replaces a small file in one step: whoever reads it finds the old bytes or the new ones. `sync`: it survives
 * power loss when this returns. */
int weft_journal_dir_write(struct weft_journal_dir *d, const char *name, const void *bytes, size_t len, bool sync);

/* The bytes of a small file; free them. WEFT_ERR_TOO_LARGE when it has more than `max`. */
int weft_journal_dir_read(struct weft_journal_dir *d, const char *name, size_t max, uint8_t **ret_bytes, size_t *ret_len);

/* Calls for every name in it, but for . and .. */
int weft_journal_dir_list(struct weft_journal_dir *d, void (*visit)(void *ctx, const char *name), void *ctx);

#endif

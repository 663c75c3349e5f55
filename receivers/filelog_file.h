/* SPDX-License-Identifier: Apache-2.0 */
/* filelog_file.h: one file that is followed, and the reading of it.
 *
 *   (1) `position` is the first byte that is not committed; it moves in the same step as the commit that carries it.
 *   (2) Nothing of the file is kept between two steps: what was not committed is read again. So a refused commit loses
 *       nothing and repeats nothing, and a thousand idle files cost no buffers.
 *   (3) One step reads one chunk and commits at most once.
 *   (4) A file that is held is not read: who it is has not been made out yet, or is not on disk yet.
 *
 * One thread (the loop of the receiver).
 */
#ifndef WEFT_RECEIVERS_FILELOG_FILE_H
#define WEFT_RECEIVERS_FILELOG_FILE_H

#include "receivers/filelog_batch.h"
#include "receivers/filelog_content.h"
#include "receivers/filelog_line.h"

#include "core/component.h"

#include <sys/stat.h>

/* A file that is gone is done with when it has not grown for so long. */
enum { WEFT_FILELOG_LINGER_MS = 5000 };

enum weft_filelog_hold {
    WEFT_FILELOG_FREE,
    WEFT_FILELOG_UNSAVED,       /* its entry has to be on disk before its first line is committed */
    WEFT_FILELOG_TWIN,          /* it begins as another file does, and may be a copy of it that will take its place */
};

struct weft_filelog_file {
    struct weft_filelog_file *next;
    char *path;
    int fd;
    uint64_t device, inode, born_ns, id;
    struct weft_filelog_entry *entry; /* what is known of it; NULL: it is not in a set */
    uint64_t position;
    uint64_t tail;              /* as in struct weft_filelog_place, of position */
    uint32_t tail_len;
    uint64_t base;              /* where journals stand that do not know the id */
    bool base_is_newer;         /* base may be ahead of what a journal says */
    uint64_t again_until;       /* up to here some journals have what others still lack */
    uint64_t offered_until;     /* lines up to here have been offered to the sink and put off */
    uint64_t pending;           /* bytes behind position that are no whole line yet */
    uint64_t ready_ms;          /* it is not read before: a journal fills up */
    uint64_t grown_ms;          /* when the file was last seen to grow */
    uint64_t looked_size;       /* when its content was last compared with the entry */
    int64_t looked_mtime_ns;
    enum weft_filelog_hold hold;
    uint64_t ticket;            /* UNSAVED: the save that it waits for; 0: not asked for yet */
    struct weft_filelog_entry *twin;  /* TWIN: whose copy it may be */
    struct weft_buf attributes; /* of each record: finished KeyValue fields */
    bool dirty;                 /* there may be something to read */
    bool seen;                  /* by the scan that is under way */
    bool gone;                  /* its path leads somewhere else, or nowhere */
    bool deleted;               /* nothing leads to it any more */
};

/* Opens `path`. *ret_file starts at 0, dirty. 0, -errno, WEFT_ERR_UNSUPPORTED for what is no regular file, UV_ENOMEM. */
int weft_filelog_file_open(const char *path, struct weft_filelog_file **ret_file);
void weft_filelog_file_close(struct weft_filelog_file *f); /* accepts NULL */

/* Asks the file system how the file is; marks it dirty when there is something to do. True when it was cut, or holds other
 * content than the entry says: then it has to be restarted. `flush_ms`: how long the last line waits for its newline; 0: for
 * ever. */
bool weft_filelog_file_poll(struct weft_filelog_file *f, struct weft_filelog_scratch *scratch, uint64_t now_ms, uint64_t flush_ms);

/* From now on the file is read from its beginning, under another id. */
void weft_filelog_file_restart(struct weft_filelog_file *f, uint64_t id, uint64_t now_ms);

/* Puts the file where the journals of the sink (may be NULL) want it: at `base` or where the least of them stands. Journals that
 * do not know the id stand at base, and so do those that are behind it when `base_is_newer`. The furthest place of any. */
uint64_t weft_filelog_file_resume(struct weft_filelog_file *f, struct weft_sink *sink, const struct weft_filelog_place *base,
                                  bool base_is_newer);

/* How far it has been read. */
struct weft_filelog_place weft_filelog_file_place(const struct weft_filelog_file *f);

/* What all files of a receiver share. */
struct weft_filelog_reader {
    struct weft_filelog_line line;
    struct weft_filelog_batch batch;
    uint8_t *buf;
    size_t cap;
    size_t max_log_size;
    size_t print_size;           /* bytes of a file's beginning by which it is known */
    size_t payload_target;       /* no further line is added once the payload has this size */
    uint64_t flush_ms;
    uint32_t n_offered;          /* of the first records in `batch`: the sink has put them off before */
    uint64_t split_lines, malformed_lines; /* counts since the start */
    uint64_t commits;            /* the same */
    uint32_t delay_ms;           /* what the sink asked for behind the last step */
};

int weft_filelog_reader_init(struct weft_filelog_reader *r, size_t max_log_size, uint64_t flush_ms,
                             struct weft_slice resource_attributes);
void weft_filelog_reader_release(struct weft_filelog_reader *r); /* accepts a zeroed one */

/* One step: reads what is there, commits it. 0: done, f->dirty says whether there is more, f->ready_ms when to come for it. WEFT_ERR_FULL, WEFT_ERR_SHED, WEFT_ERR_LIMIT,
 * WEFT_ERR_DRAINING: nothing was taken, come back later. Another error: the file cannot be read. */
int weft_filelog_file_step(struct weft_filelog_file *f, struct weft_filelog_reader *r, struct weft_sink *sink,
                           uint64_t now_ms, uint64_t wall_ns);

#endif

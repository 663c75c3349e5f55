/* SPDX-License-Identifier: Apache-2.0 */
/* filelog_saver.h: a thread that puts a receiver's positions on disk, so that its loop never waits for fsync.
 *
 * The loop hands over the finished bytes; only the newest ones count, since each save has all that the ones before it had. Each
 * gets a ticket, and when a ticket is done everything with a lower one is. `on_done` is called on the loop.
 */
#ifndef WEFT_RECEIVERS_FILELOG_SAVER_H
#define WEFT_RECEIVERS_FILELOG_SAVER_H

#include "core/buf.h"

#include <stdint.h>
#include <uv.h>

struct weft_filelog_saver;

struct weft_filelog_saver_options {
    uv_loop_t *loop;
    int dir_fd;              /* owned by the saver from a successful open on */
    const char *name;        /* of the file in it; copied */
    void (*on_done)(void *data, uint64_t ticket, int err); /* err: the last save failed, the file is as it was */
    void *data;
};

/* 0, UV_ENOMEM, or what the thread could not be started for. */
int weft_filelog_saver_open(struct weft_filelog_saver **ret_saver, const struct weft_filelog_saver_options *options);

/* Takes over the bytes: `bytes` is an empty buffer afterwards. The ticket. */
uint64_t weft_filelog_saver_put(struct weft_filelog_saver *s, struct weft_buf *bytes);

/* What is being written is written, what waits is not; closes the handle on the loop, calls on_done no more. Idempotent. */
void weft_filelog_saver_stop(struct weft_filelog_saver *s);

/* After stop, without the loop: writes now. 0 or -errno. */
int weft_filelog_saver_write(struct weft_filelog_saver *s, struct weft_slice bytes);

/* After stop and when the loop has run its handles out. Accepts NULL. */
void weft_filelog_saver_free(struct weft_filelog_saver *s);

#endif

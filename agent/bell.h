/* SPDX-License-Identifier: Apache-2.0 */
/* bell.h: an eventfd that a loop watches: how other threads wake it.
 *
 * Not uv_async_t: before libuv 1.45 its receiving side may spin for 50 us, and its sending side reads a flag
 * without a fence. Rings that come while the loop is busy melt into one. */
#ifndef WEFT_AGENT_BELL_H
#define WEFT_AGENT_BELL_H

#include <uv.h>

struct weft_bell {
    int fd;
    uv_poll_t poll;
    void (*on_ring)(void *data);
    void *data;
};

/* on_ring(data) runs on the loop's thread after each ring. 0 or a negative code. */
int weft_bell_open(struct weft_bell *b, uv_loop_t *loop, void (*on_ring)(void *data), void *data);

/* Any thread, between open and release. */
void weft_bell_ring(struct weft_bell *b);

/* Stops listening. On the loop's thread, which must run on until the handle is closed. The descriptor stays, so that
 * a late ring is lost and does not reach whoever got its number next. */
void weft_bell_close(struct weft_bell *b);

/* Closes the descriptor, when the handle is closed and nobody can ring any more. */
void weft_bell_release(struct weft_bell *b);

#endif

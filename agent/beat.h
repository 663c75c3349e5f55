/* SPDX-License-Identifier: Apache-2.0 */
/* beat.h: how long a loop's current turn has been running, for others to see, without a timer that proves life.
 *
 * libuv can say how long a loop has waited in the kernel. The rest of the time it was busy: a clock that stands
 * still while the loop waits. Its reading at the beginning of the turn is all that has to be remembered. */
#ifndef WEFT_AGENT_BEAT_H
#define WEFT_AGENT_BEAT_H

#include <stdatomic.h>
#include <uv.h>

struct weft_beat {
    uv_loop_t *loop;
    uv_prepare_t prepare;
    _Atomic uint64_t turn_began_ns; /* on the busy clock */
};

/* Before the loop runs for the first time. The handle does not keep the loop alive. 0 or a negative code. */
int weft_beat_open(struct weft_beat *b, uv_loop_t *loop);

/* On the loop's thread; the loop must run on until the handle is closed. */
void weft_beat_close(struct weft_beat *b);

/* Says that a turn begins now: for what runs before the loop does. On the loop's thread. */
void weft_beat_mark(struct weft_beat *b);

/* Milliseconds for which the turn has been running; 0: the loop waits, or has just begun. Any thread, while the
 * loop is open. */
uint64_t weft_beat_age_ms(const struct weft_beat *b, uint64_t now_mono_ms);

#endif

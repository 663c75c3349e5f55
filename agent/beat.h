/* SPDX-License-Identifier: Apache-2.0 */
/* beat.h: how long a loop's current turn has been running, for others to see.
 *
 * A mark is set when the loop comes out of its wait and cleared before it goes into the next, so a loop
 * that has nothing to do needs no timer to prove that it lives. The handles do not keep the loop alive. */
#ifndef WEFT_AGENT_BEAT_H
#define WEFT_AGENT_BEAT_H

#include <stdatomic.h>
#include <uv.h>

struct weft_beat {
    uv_prepare_t prepare;
    uv_check_t check;
    _Atomic uint64_t since_ms; /* 0: waiting */
};

void weft_beat_open(struct weft_beat *b, uv_loop_t *loop);
void weft_beat_close(struct weft_beat *b);   /* on the loop's thread; the loop must run on until the handles are closed */

/* Says that work begins now: for what runs before the loop does. On the loop's thread. */
void weft_beat_mark(struct weft_beat *b);

/* Milliseconds for which the turn has been running; 0: the loop waits. Any thread. */
uint64_t weft_beat_age_ms(const struct weft_beat *b, uint64_t now_mono_ms);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* loop.h: one ingest thread: its uv loop, its scratch arena and the receivers that live on it.
 *
 *   (1) Receivers are started, quiesced and stopped on the loop's own thread, in order.
 *   (2) When start fails, everything that had been started is stopped and the thread is gone.
 *   (3) After stop no handle is left: uv_loop_close must return 0.
 *   (4) The heart-beat costs no wake-ups: a loop that sleeps in the kernel is healthy, one that is busy
 *       says since when.
 *
 * NEW -> RUNNING (start) -> STOPPED (stop). All functions but those that say so: main thread.
 */
#ifndef WEFT_AGENT_LOOP_H
#define WEFT_AGENT_LOOP_H

#include "core/component.h"

struct weft_loop;

struct weft_loop_options {
    const char *name;            /* of the thread: "ingest-0"; copied, cut at 15 bytes */
    size_t scratch_limit;        /* ceiling of the arena that processors work in */
    struct weft_account *scratch_account; /* its memory; NULL: nobody's */
};

/* A loop that does not run yet. 0 or libuv's code. */
int weft_loop_open(struct weft_loop **ret_loop, const struct weft_loop_options *options);
void weft_loop_free(struct weft_loop *l);  /* after stop, or never started; accepts NULL */

/* For receivers' base (self->loop) and sinks; valid from open to free. */
uv_loop_t *weft_loop_uv(struct weft_loop *l);
struct weft_arena *weft_loop_scratch(struct weft_loop *l);

/* Something on the loop that is woken: on_ring(data) runs on the loop's thread after each ring. The owner's memory, as
 * long as the loop runs. Before start. */
struct weft_loop_listener {
    void (*on_ring)(void *data);
    void *data;
    struct weft_loop_listener *next; /* private */
};
void weft_loop_listen(struct weft_loop *l, struct weft_loop_listener *listener);

/* Any thread, between open and free; a loop that does not run any more does not hear it. */
void weft_loop_ring(struct weft_loop *l);

/* Rings by itself when uv_now is `at_ms`, or earlier when that has been asked for already. On the loop's thread. */
void weft_loop_ring_at(struct weft_loop *l, uint64_t at_ms);

/* Starts the thread and on it the receivers, in order; returns when all have started or one has failed. 0, or the
 * code of what failed (*ret_failed, if not NULL, is that receiver; NULL when it was the thread itself). The array is copied. */
int weft_loop_start(struct weft_loop *l, struct weft_receiver *const *receivers, size_t n,
                    struct weft_receiver **ret_failed);

/* Runs call(data) on the loop's thread and waits for its result. WEFT_ERR_CLOSED when the loop does not run. Listeners hear a
 * ring behind it, and before a call that is made when this one has returned. Any thread but the loop's own. */
int weft_loop_call(struct weft_loop *l, int (*call)(void *data), void *data);

/* Asks every receiver to take no new work; returns when each was asked. */
void weft_loop_quiesce(struct weft_loop *l);

/* Requests that the receivers still have in hand; 0 when the loop does not run. */
unsigned weft_loop_in_hand(struct weft_loop *l);

/* Stops the receivers, lets their handles close, ends and joins the thread. Idempotent. */
void weft_loop_stop(struct weft_loop *l);

/* Milliseconds for which the loop's current turn has been running; 0 when it waits for events or does not run. Any
 * thread, also while another one stops the loop. */
uint64_t weft_loop_age_ms(struct weft_loop *l, uint64_t now_mono_ms);

#endif

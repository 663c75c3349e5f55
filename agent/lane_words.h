/* SPDX-License-Identifier: Apache-2.0 */
/* lane_words.h: what a lane logs: what failed, at which endpoint, why, what happens next and how much waits.
 *
 *   (1) A back end can trigger no more than a few lines in ten seconds, and one a minute while its circuit is open.
 *   (2) What was not written is told all the same: with the line that says that it is over, or when that time has passed, or when
 *       the lane ends.
 *
 * The lane's thread; included by the lane's files only. */
#ifndef WEFT_AGENT_LANE_WORDS_H
#define WEFT_AGENT_LANE_WORDS_H

#include "core/log.h"
#include "core/otlp.h"

#include <uv.h>

struct weft_lane;
struct weft_lane_batch;
struct weft_lane_endpoint;

struct weft_lane_words {
    uv_timer_t timer;                 /* runs while something is held back */
    struct weft_log_gate failures, refusals, letters;
    struct {
        uint64_t items;               /* refused for good, and not told yet */
        enum weft_signal signal;      /* of the first */
        bool other_signals, other_reasons;
        char why[320];                /* of the first */
    } refused;
};

void weft_lane_words_open(struct weft_lane *lane);

/* Says what is held back and closes the timer. */
void weft_lane_words_close(struct weft_lane *lane);

/* A batch was not sent; `next`: what happens to it. */
void weft_lane_log_failure(struct weft_lane *lane, const struct weft_lane_batch *b, const char *reason, const char *detail,
                           const char *next);

/* Items of the batch were refused for good; told by say_refused. */
void weft_lane_note_refused(struct weft_lane *lane, const struct weft_lane_batch *b, uint64_t items, const char *reason,
                            const char *detail);
void weft_lane_say_refused(struct weft_lane *lane);

/* The endpoint answers again. With its breaker open before, or only after failures. */
void weft_lane_say_recovered(struct weft_lane *lane, struct weft_lane_endpoint *e, bool breaker);

/* The endpoint's breaker has opened. */
void weft_lane_say_open(struct weft_lane *lane, struct weft_lane_endpoint *e);

/* " to NAME", or nothing when it has none. */
const char *weft_lane_at(const struct weft_lane_endpoint *e, const char *word, char room[200]);

/* "reason: detail", the reason once even when the detail begins with it. */
void weft_lane_why(char *to, size_t size, const char *reason, const char *detail);

#endif

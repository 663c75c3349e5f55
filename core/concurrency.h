/* SPDX-License-Identifier: Apache-2.0 */
/* concurrency.h: how many requests one endpoint is given at once, as a pure state machine: round trips and outcomes come
 * in, a limit goes out. No clock, no I/O. One thread a machine.
 *
 * A request too many makes each of them wait in the back end's queue, and one too few leaves it idle; where the line is
 * shows in the round trips. Requests are judged in rounds of as many as the limit allows:
 *
 *   (1) 1 <= limit <= max, always.
 *   (2) One more, when a round used the whole limit with more to send, and its round trips were what they usually are. With
 *       nothing more to send fewer and larger requests are cheaper for everybody.
 *   (3) Half, at once, when the back end pushes back: 429, 5xx, a timeout, no connection.
 *   (4) As much less as they were longer, and a fifth, when most round trips of a round were longer than usual.
 *   (5) Requests that were out when the limit was cut say nothing about the new one.
 *
 * What is usual, mean and spread, is learned for each size of request (powers of two): a larger one takes longer, and that is no
 * congestion. It is learned with one request at a time, where there is no congestion of our making, and in the round after a
 * cut, when the back end's queue has just been emptied; never from the rounds in between, lest the machine get used
 * to what it causes.
 */
#ifndef WEFT_CORE_CONCURRENCY_H
#define WEFT_CORE_CONCURRENCY_H

#include <stdbool.h>
#include <stdint.h>

struct weft_concurrency_options {
    bool adaptive;          /* false: the limit is max */
    unsigned initial, max;  /* 0 counts as 1; an initial above max as max */
};

enum { WEFT_CONCURRENCY_SIZES = 16 };

struct weft_concurrency {
    struct weft_concurrency_options options;
    double limit;
    unsigned round;         /* outcomes that make up the current round */
    unsigned ended, longer; /* of them: so far; with a longer round trip than usual */
    double times_usual;     /* sum of their round trips, each as a multiple of what is usual */
    unsigned out;           /* requests */
    unsigned forgiven;      /* outcomes to come of requests from before the last cut */
    bool used;              /* the limit was reached in this round, and more waited */
    bool measuring;         /* the limit has just been cut: what is usual is learned in this round */
    struct weft_concurrency_usual { double mean_us, spread_us; unsigned n; } usual[WEFT_CONCURRENCY_SIZES];
};

/* `options` are copied; it begins with `initial`, or with `max` when it does not adapt. */
void weft_concurrency_init(struct weft_concurrency *c, const struct weft_concurrency_options *options);

/* How many may be out now. */
unsigned weft_concurrency_limit(const struct weft_concurrency *c);

/* A request has gone out, and with it `out` of them are out. `more`: it could not take all that waits. */
void weft_concurrency_on_send(struct weft_concurrency *c, unsigned out, bool more);

/* A request of `bytes` was answered after `round_trip_us`, whatever the answer said of its data. */
void weft_concurrency_on_answer(struct weft_concurrency *c, uint64_t round_trip_us, uint64_t bytes);

/* The back end was not up to a request. */
void weft_concurrency_on_push_back(struct weft_concurrency *c);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* retry.h: when to try one endpoint again, as a pure state machine: time and randomness come in
 * as numbers, a decision goes out. No clock, no timer, no I/O. One thread a machine.
 *
 * Backoff: exponential from `initial_ms` to `max_ms` with full jitter (a uniform pick from 0 to the
 * current ceiling).
 * Breaker: CLOSED -> OPEN after `threshold` failures in a row (on_failure) -> HALF_OPEN when `open_ms`
 * have passed or an early probe is due (wait_ms) -> CLOSED (on_success) or OPEN again (on_failure).
 * Probes: after a failure one request may be out at a time until one succeeds, whatever the breaker's state. Who has
 * nowhere else to go asks for an early one: due between half of `probe_ms` and all of it after the last failure, however
 * long backoff and breaker would wait, so that healing is noticed soon.
 * What the server asked for (Retry-After) is the least wait for all of them.
 */
#ifndef WEFT_CORE_RETRY_H
#define WEFT_CORE_RETRY_H

#include <stdbool.h>
#include <stdint.h>

struct weft_retry_options {
    uint64_t initial_ms, max_ms;   /* 1000, 30000 */
    uint64_t max_elapsed_ms;       /* 0: try for ever */
    unsigned breaker_threshold;    /* 5; 0: no breaker */
    uint64_t breaker_open_ms;      /* 30000 */
    uint64_t probe_ms;             /* 2000; 0: no early probes */
};

enum weft_breaker { WEFT_BREAKER_CLOSED, WEFT_BREAKER_OPEN, WEFT_BREAKER_HALF_OPEN };

struct weft_retry {
    struct weft_retry_options options;
    enum weft_breaker breaker;
    unsigned failures;        /* in a row, over all requests */
    uint64_t ceiling_ms;      /* of the next backoff */
    uint64_t not_before_ms;   /* of the backoff */
    uint64_t asked_ms;        /* the server wants nothing before this */
    uint64_t probe_at_ms;     /* when an early probe is due */
    uint64_t first_failure_ms;
    uint64_t opened_ms;
    bool probing;             /* the one request that is allowed after a failure is out */
};

/* Not a time: the outcome of the probe that is out decides. */
#define WEFT_RETRY_AFTER_PROBE UINT64_MAX

/* CLOSED, nothing to wait for. */
void weft_retry_init(struct weft_retry *r, const struct weft_retry_options *options);

/* 0: send now; when `probing` is set then, this one is the probe. Else: milliseconds to wait before asking again, or
 * WEFT_RETRY_AFTER_PROBE. `early`: an early probe will do. */
uint64_t weft_retry_wait_ms(struct weft_retry *r, uint64_t now_ms, bool early);

/* The same, only to look: takes no probe, changes nothing. */
uint64_t weft_retry_left_ms(const struct weft_retry *r, uint64_t now_ms, bool early);

/* Nothing speaks against sending: the last request went well, and the server has not asked for a pause. */
bool weft_retry_is_well(const struct weft_retry *r, uint64_t now_ms);

/* The probe has ended, before its outcome is told. */
void weft_retry_probe_over(struct weft_retry *r);

/* The back end answered, whatever it said: CLOSED, and the backoff begins anew. A pause that the server asked for on
 * another request stays. */
void weft_retry_on_success(struct weft_retry *r, uint64_t now_ms);

/* A retryable failure. `retry_after_ms` is what the server asked for (0: nothing); `random` is any uniform
 * 64-bit number. False: max_elapsed_ms is over, give the request up (counted by the caller). */
bool weft_retry_on_failure(struct weft_retry *r, uint64_t now_ms, uint64_t retry_after_ms, uint64_t random);

const char *weft_breaker_name(enum weft_breaker b); /* "closed", "open", "half_open" */

/* The value of a Retry-After header (RFC 9110 10.2.3), seconds or an HTTP date, as milliseconds from
 * `now_wall_s`. False: neither. Capped at one hour. */
bool weft_retry_after(const char *value, int64_t now_wall_s, uint64_t *ret_ms);

#endif

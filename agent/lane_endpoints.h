/* SPDX-License-Identifier: Apache-2.0 */
/* lane_endpoints.h: where a lane sends: one retry machine, breaker and concurrency limit for each of its exporter's endpoints.
 *
 *   (1) An endpoint that is not well costs itself only: what it failed to take goes to one that is well, at once, and what a
 *       server asks for (Retry-After) stops that server only.
 *   (2) To an endpoint that failed, one request is out at a time until one succeeds; it begins small (batch->probe).
 *   (3) While another endpoint is well, a failed one is tried again when backoff and breaker say so. While none is, one is
 *       tried every probe_interval, so that healing is noticed soon.
 *
 * Belongs to the lane's thread, but for the figures. */
#ifndef WEFT_AGENT_LANE_ENDPOINTS_H
#define WEFT_AGENT_LANE_ENDPOINTS_H

#include "agent/lane.h"
#include "core/concurrency.h"

#include <stdatomic.h>

struct weft_lane_batch;

/* Not a time: something that is out must end first. */
#define WEFT_LANE_AFTER_OUTCOME UINT64_MAX

struct weft_lane_endpoint {
    char *name;                     /* as configured, without user and password; "": the only one, which has none */
    struct weft_retry retry;
    struct weft_concurrency concurrency;
    unsigned out;                   /* batches */
    double round_trip_us;           /* of what went well lately: mean and spread; 0: nothing yet */
    double spread_us;
    uint64_t failing_since_ms;      /* on the loop's clock; 0: it went well last time */
    bool told;                      /* the log says that it fails */
    bool known_out;                 /* and that its circuit is open */
    unsigned probes;                /* in a row, without success */

    /* figures: the lane's thread writes, anybody reads; `error` under the lane's error_lock */
    _Atomic int breaker;
    _Atomic unsigned failures, limit, in_flight;
    _Atomic uint64_t next_attempt_ms; /* on the loop's clock; 0: nothing speaks against sending */
    char error[WEFT_LANE_ENDPOINT_ERROR_LEN];
};

/* Makes lane->endpoints from the exporter's type and options, and lane->concurrency. 0 or UV_ENOMEM. */
int weft_lane_endpoints_open(struct weft_lane *lane);

/* Accepts a lane whose endpoints were not all made. */
void weft_lane_endpoints_free(struct weft_lane *lane);

/* 0: a batch that is not read yet could go out now. Else milliseconds until that may be so, or WEFT_LANE_AFTER_OUTCOME. */
uint64_t weft_lane_room(const struct weft_lane *lane);

/* 0: the batch may go out now; its endpoint and probe are set, and it must be sent. Else as weft_lane_room. */
uint64_t weft_lane_route(struct weft_lane *lane, struct weft_lane_batch *b);

/* The batch came back, before its outcome is told: the place that it took is free. */
void weft_lane_returned(struct weft_lane *lane, struct weft_lane_batch *b);

/* Its endpoint answered, whatever it said. */
void weft_lane_answered(struct weft_lane *lane, const struct weft_lane_batch *b, uint64_t round_trip_ns);

/* Its endpoint was not up to it. */
void weft_lane_refused(struct weft_lane *lane, const struct weft_lane_batch *b, uint64_t retry_after_ms, const char *reason,
                       const char *detail);

/* The name of another endpoint that would take the batch, which has just failed, now; NULL: there is none. */
const char *weft_lane_stand_in(const struct weft_lane *lane, const struct weft_lane_batch *b);

/* How long until something may be sent somewhere; 0: now, or when what is out ends. */
uint64_t weft_lane_left_ms(const struct weft_lane *lane);

/* No endpoint is well. */
bool weft_lane_is_failing(const struct weft_lane *lane);

/* The figures of all endpoints, and what they say of the lane. Any thread. */
void weft_lane_endpoint_stats(struct weft_lane *lane, struct weft_lane_stats *stats);

#endif

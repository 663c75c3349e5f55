/* SPDX-License-Identifier: Apache-2.0 */
/* lane_rig.h: a lane for tests, its journal, and a back end that does what it is told. */
#ifndef WEFT_TESTS_LANE_RIG_H
#define WEFT_TESTS_LANE_RIG_H

#include "agent/lane.h"

#include <stdatomic.h>
#include <uv.h>

enum { LANE_RIG_HELD = 64, LANE_RIG_SIZE = 1 << 20 };

enum mood {
    SENDS,          /* at once */
    SENDS_LATER,    /* from a timer */
    FAILS,          /* every time */
    FAILS_TWICE,    /* then sends */
    HANGS,          /* keeps the batch until it is stopped */
    FIRST_HANGS,    /* keeps the very first batch until it is released */
    REFUSES,        /* for good */
    JUDGES,         /* item by item: refuses, accepts, puts off; the rest is sent at the second attempt */
    DROPS,          /* leaves the first item out */
    STARVES,        /* has no memory for a request */
    MOODY,          /* any of it */
};

struct moody {
    struct weft_exporter base;
    _Atomic int mood;
    int start_result;
    uv_timer_t timer;
    bool timer_open, stopped;
    struct weft_batch *held[LANE_RIG_HELD];
    size_t n_held;
    unsigned seed;
    _Atomic unsigned n_sends, n_forgotten, max_held;
    _Atomic uint64_t delivered, refused, left_out; /* items, as the back end saw them */
    _Atomic uint64_t largest_items, largest_records;
    _Atomic bool out_of_order;
    uint64_t last_sequence;
    _Atomic bool release;
    char *note;                                    /* exporter_data of any batch */
};

/* Types whose instances are struct moody; local: without a back end. */
extern const struct weft_exporter_type moody_one_at_a_time, moody_four_at_once, moody_local;

/* An instance with the id "es/fake". */
struct moody moody_of(const struct weft_exporter_type *type, enum mood mood);

/* In memory, of LANE_RIG_SIZE bytes. */
struct weft_journal *lane_rig_journal(void);

/* A record of `len` bytes, at most 4096; what the journal says. */
int lane_rig_append(struct weft_journal *j, size_t len, uint32_t n_items);

/* Retries after a few milliseconds, no breaker. */
struct weft_lane_config lane_rig_config(void);

/* A lane that reads `j` as pipeline "logs"; start has its thread running. */
struct weft_lane *lane_rig_open(struct moody *f, struct weft_journal *j, struct weft_lane_config config);
struct weft_lane *lane_rig_start(struct moody *f, struct weft_journal *j, struct weft_lane_config config);

struct weft_lane_stats lane_rig_stats(struct weft_lane *lane);

/* Items lost in that way; `word` NULL: for whatever reason. */
uint64_t lane_rig_lost(const struct weft_lane_stats *s, enum weft_lane_loss loss, const char *word);

/* Sent, failed, dropped and waiting logs together. */
uint64_t lane_rig_accounted(const struct weft_lane_stats *s);

/* Drains and joins; `result` is what join must say. With an error the deadline is at once. */
void lane_rig_finish(struct weft_lane *lane, struct weft_lane_left *ret_left, int result);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* fake_lane.h: what a lane is to its exporter, for tests: one batch made of given payloads, and a record of what the
 * exporter did with it. */
#ifndef WEFT_TESTS_FAKE_LANE_H
#define WEFT_TESTS_FAKE_LANE_H

#include "core/component.h"

enum { FAKE_LANE_RECORDS = 16 };

struct fake_lane {
    uv_loop_t loop;
    uv_timer_t guard;
    struct weft_exporter *exporter;
    struct weft_batch batch;
    struct weft_record records[FAKE_LANE_RECORDS];
    unsigned done;             /* ends so far */
    enum weft_outcome outcome; /* of the last end */
    uint64_t retry_after_ms;
    char reason[64], detail[600];
    unsigned n_rejects;
    char rejects[2048];        /* "first+n reason: detail\n" each */
    struct weft_log log;       /* to nowhere, unless the test sets fd */
};

/* A zeroed instance of `type` on a loop of its own, options unset. Every test is ended after 20 s. */
struct weft_exporter *fake_lane_open(struct fake_lane *l, const struct weft_exporter_type *type, const char *id);

/* Stops the exporter if need be and closes the loop, which must succeed. */
void fake_lane_close(struct fake_lane *l);

/* The batch: `n` payloads of one signal with items counted, all of them waiting. The payloads stay the caller's. */
void fake_lane_batch(struct fake_lane *l, enum weft_signal signal, const struct weft_slice *payloads, size_t n);

/* Sends the batch and runs the loop until it has ended. */
void fake_lane_send(struct fake_lane *l);

/* One character an item: w s r d. Good until the next call. */
const char *fake_lane_states(const struct fake_lane *l);

/* A request of `n` spans (or log records) named "item-<from>", "item-<from + 1>", ... of service `service`. */
void fake_payload(struct weft_buf *out, enum weft_signal signal, const char *service, unsigned from, unsigned n);

/* The names of the items of a request, each followed by a blank. Good until the next call. */
const char *fake_payload_names(enum weft_signal signal, struct weft_slice payload);

#endif

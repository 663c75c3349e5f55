/* SPDX-License-Identifier: Apache-2.0 */
/* lane.h: one exporter behind its own wall: a thread, a loop, a cursor into each journal it reads, retry and breaker.
 *
 *   (1) Ingest never waits for a lane: one that stands still is a cursor that stands still.
 *   (2) Of what a lane has passed, each item was sent, rejected or dropped for a counted reason; with what
 *       waits, that is what waited when the lane opened and what its journals took since.
 *   (3) The cursor settles only what has a final outcome, in order: a retry repeats a request, it never skips one.
 *   (4) The exporter runs on the lane's thread only, from start to stop.
 *   (5) After weft_lane_join() the lane holds no handle, no batch and no cursor: uv_loop_close must return 0.
 *
 * A batch is what is there, up to batch.max_items and batch.max_bytes: under low load it is one record at once,
 * under high load it grows while earlier batches are out. There is no waiting for a batch to fill.
 */
#ifndef WEFT_AGENT_LANE_H
#define WEFT_AGENT_LANE_H

#include "agent/letters.h"
#include "core/component.h"
#include "core/retry.h"

/* The keys that every exporter has beside its own (retry_on_failure, circuit_breaker, concurrency, batch, sending_queue,
 * on_full ...). Rows of weft_lane_options; offsets are into this struct. */
struct weft_lane_config {
    bool retry_enabled;
    uint64_t initial_interval, max_interval, max_elapsed_time; /* ms */
    int64_t breaker_threshold;
    uint64_t breaker_open;       /* ms */
    uint64_t probe_interval;     /* ms; 0: no early probes */
    bool adaptive;               /* concurrency follows the back end */
    int64_t concurrency_initial;
    int64_t concurrency_max;     /* 0: the exporter's own */
    int64_t num_consumers;       /* a fixed number of requests; 0: adaptive */
    int balancing;               /* enum weft_balance */
    int64_t batch_items;         /* 0: the exporter's own, or 8192 */
    uint64_t batch_bytes;        /* 0: the exporter's own, or 1 MiB */
    int on_full;                 /* enum weft_on_full */
    int journal_start;           /* enum weft_cursor_start */
    char *queue_storage;         /* not the lane's: see queue_storage.h */
};

enum weft_balance { WEFT_BALANCE_AUTO, WEFT_BALANCE_ROUND_ROBIN, WEFT_BALANCE_FAILOVER };

enum weft_on_full { WEFT_ON_FULL_REFUSE, WEFT_ON_FULL_SKIP };

extern const struct weft_option weft_lane_options[];

/* One pipeline that names the exporter. */
struct weft_lane_source {
    const char *pipeline;        /* its id; copied */
    struct weft_journal *journal;
    enum weft_signal signal;
    bool lasting;                /* the journal outlives the process: what is not sent at a stop waits there, and is not dropped */
    bool ends;                   /* nothing is appended any more: once all is settled the lane gives its place in it up */
};

struct weft_lane_setup {
    struct weft_exporter *exporter;           /* zeroed, options filled, type, id, log and memory_limit set; the lane
                                                 sets loop, lane and host; the caller frees it after join */
    const struct weft_lane_config *config;    /* copied */
    const struct weft_lane_source *sources;   /* copied */
    size_t n_sources;
    struct weft_letters *letters;             /* where items go that the back end refuses for good; borrowed; NULL: nowhere */
    struct weft_account *account;             /* holds the lists of records in hand; NULL: nobody */
    uint64_t starve_ms;                       /* how long an item may wait for memory alone; 0: 30 s */
    int nice;                                 /* added to the thread's nice value; 0: as the process */
};

struct weft_lane;

/* Opens the loop and the cursors: from now on the journals keep records for this lane. 0, UV_ENOMEM, ... Main thread. */
int weft_lane_open(struct weft_lane **ret_lane, const struct weft_lane_setup *setup);

/* Starts the thread and the exporter on it; returns when the exporter has started, or its error. After an
 * error the thread is gone. Main thread. */
int weft_lane_start(struct weft_lane *lane);

/* What a lane could not deliver before its deadline. */
struct weft_lane_left { uint64_t records, items, bytes; };

/* Begins to stop: the lane runs until its cursors are at the tail and nothing is in flight, or until
 * `deadline_mono_ms`. When all its journals last, it does not wait for a back end that is failing: it ends with the requests that
 * are out. Does not wait, so that all lanes drain at once. Main thread, after the loops are stopped. */
void weft_lane_drain(struct weft_lane *lane, uint64_t deadline_mono_ms);

/* Begins to stop for another lane to go on from here: sends nothing new and ends with the requests that are out, or at
 * `deadline_mono_ms`. What waits is not dropped, whatever the journals; they must outlive the lane. Does not wait. Main thread;
 * receivers may go on meanwhile. */
void weft_lane_park(struct weft_lane *lane, uint64_t deadline_mono_ms);

/* Waits until the drain is over and the thread has ended (begins one with no time left when there was none). Figures may
 * be asked for meanwhile and afterwards. Idempotent. Main thread, before join. */
void weft_lane_wait(struct weft_lane *lane);

/* Waits for the end of the drain (begins one with no time left when there was none), stops the exporter, joins the
 * thread, closes the cursors. 0, or WEFT_ERR_TIMEOUT with *ret_left saying what is lost (also counted as dropped, reason
 * "shutdown"). Idempotent. Main thread. */
int weft_lane_join(struct weft_lane *lane, struct weft_lane_left *ret_left);

/* What waits in journals that last, or for the lane that goes on. After join. */
struct weft_lane_left weft_lane_kept(const struct weft_lane *lane);

void weft_lane_free(struct weft_lane *lane); /* joins first when that has not been done; accepts NULL */

/* The exporter's id; good until free. */
const char *weft_lane_id(const struct weft_lane *lane);

/* ---- figures; any thread, but not beside join or free (beside wait is fine) ---- */
enum { WEFT_LANE_BUCKETS = 13, WEFT_LANE_REASONS = 48, WEFT_LANE_REASON_LEN = 32, WEFT_LANE_ERROR_LEN = 256,
       WEFT_LANE_ENDPOINTS = 32, WEFT_LANE_ENDPOINT_ERROR_LEN = 160 };

/* Upper bounds of the duration histogram, in seconds; one more bucket (+Inf) lies behind them. */
extern const double weft_lane_buckets[WEFT_LANE_BUCKETS];

enum weft_lane_loss { WEFT_LANE_FAILED, WEFT_LANE_DROPPED };

/* Items of one signal that were not delivered: FAILED were rejected by the back end, DROPPED were given up here. */
struct weft_lane_reason {
    enum weft_lane_loss loss;
    enum weft_signal signal;
    char word[WEFT_LANE_REASON_LEN];   /* the label `reason` */
    uint64_t items;
};

/* One of the places that the lane sends to. */
struct weft_lane_endpoint_stats {
    const char *name;                  /* "": the only one, without a name; good until the lane is freed */
    enum weft_breaker breaker;
    unsigned failures;                 /* in a row */
    unsigned limit, in_flight;         /* batches that may be out now, and those that are */
    uint64_t next_attempt_ms;          /* from now; 0: nothing speaks against sending, or an attempt is out */
    char error[WEFT_LANE_ENDPOINT_ERROR_LEN]; /* what it last failed with; "" since it went well again */
};

/* What became of an item that was sent again. */
enum weft_replay_outcome { WEFT_REPLAY_SENT, WEFT_REPLAY_REJECTED, WEFT_REPLAY_DROPPED, WEFT_REPLAY_OUTCOMES };

struct weft_lane_stats {
    bool has_signal[WEFT_SIGNALS];     /* signals that a pipeline brings to this lane */
    uint64_t recovered_items[WEFT_SIGNALS]; /* waited already when the lane opened; what its journals took comes on top */
    uint64_t sent_items[WEFT_SIGNALS], sent_bytes[WEFT_SIGNALS], retries[WEFT_SIGNALS];
    uint64_t replayed_items[WEFT_SIGNALS][WEFT_REPLAY_OUTCOMES]; /* not among the others */
    uint64_t duration_count, duration_sum_ns;
    uint64_t duration_buckets[WEFT_LANE_BUCKETS + 1]; /* not cumulative */
    unsigned in_flight;                /* batches */
    enum weft_breaker breaker;         /* of the endpoint that is best */
    bool has_breaker;
    size_t n_endpoints;                /* at least 1 */
    struct weft_lane_endpoint_stats endpoints[WEFT_LANE_ENDPOINTS];
    uint64_t waiting_records, waiting_items, waiting_bytes; /* over all its journals: read or not, not settled */
    uint64_t lasting_items;            /* of waiting_items: they outlive the process, in journals on disk */
    uint64_t capacity_bytes;           /* max_size of those journals */
    uint64_t busy_ms;                  /* how long the loop's current turn has been running; 0: it waits */
    uint64_t oldest_ms;                /* how long the oldest item that has been read and not settled has been here; 0: none */
    char error[WEFT_LANE_ERROR_LEN];   /* what the last send failed with; "" when it went well */
    size_t n_reasons;                  /* from the start: each signal's "rejected" (FAILED), "shutdown", "skipped", "corrupt" and
                                          "max_elapsed_time" (DROPPED), at 0 */
    struct weft_lane_reason reasons[WEFT_LANE_REASONS];
};

/* Any thread, but not beside join. */
void weft_lane_stats(struct weft_lane *lane, struct weft_lane_stats *ret_stats);

#endif

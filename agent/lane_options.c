/* SPDX-License-Identifier: Apache-2.0 */
/* lane_options.c: the keys that every exporter has beside its own, spelled as the Collector's exporterhelper spells them
 * where it has them (declared in lane.h). */
#include "agent/lane.h"

#define L struct weft_lane_config

static const char *const on_full_words[] = { "refuse", "skip", NULL };

static const char *const start_words[] = { [WEFT_CURSOR_TAIL] = "end", [WEFT_CURSOR_OLDEST] = "oldest", NULL };

static const char *const balance_words[] = { "auto", "round_robin", "failover", NULL };

const struct weft_option weft_lane_options[] = {
    WEFT_BOOL("retry_on_failure.enabled", L, retry_enabled, .fallback = "true",
              .help = "try again what failed for a passing reason; false drops it, counted"),
    WEFT_MSEC("retry_on_failure.initial_interval", L, initial_interval, .fallback = "1s", .min = 1, .max = 3600000,
              .help = "ceiling of the first wait before a retry; the wait is a random part of it"),
    WEFT_MSEC("retry_on_failure.max_interval", L, max_interval, .fallback = "30s", .min = 1, .max = 3600000,
              .help = "the ceiling doubles up to this"),
    WEFT_MSEC("retry_on_failure.max_elapsed_time", L, max_elapsed_time, .fallback = "0", .min = 0, .max = 604800000,
              .help = "give up after this long and drop, counted; 0 tries for ever"),
    WEFT_IGNORED("retry_on_failure.multiplier", .fallback = "2", .warns = true, .help = "the ceiling of the waits always doubles"),
    WEFT_IGNORED("retry_on_failure.randomization_factor", .warns = true, .help = "a wait is always a random part of its ceiling"),
    WEFT_INT("circuit_breaker.threshold", L, breaker_threshold, .fallback = "5", .min = 0, .max = 1000,
             .help = "failures in a row that open the breaker; 0 has no breaker"),
    WEFT_MSEC("circuit_breaker.open_duration", L, breaker_open, .fallback = "30s", .min = 1, .max = 3600000,
              .help = "how long an open breaker waits before one request probes the back end; see probe_interval"),
    WEFT_MSEC("circuit_breaker.probe_interval", L, probe_interval, .fallback = "2s", .min = 0, .max = 3600000,
              .help = "while no endpoint is well, one small request probes after half of this to all of it, however long backoff "
                      "and breaker would wait; 0 leaves it to them"),
    WEFT_ENUM("load_balancing", L, balancing, .fallback = "auto", .words = balance_words,
              .help = "of several endpoints: use all in turn, or the first that is well; auto: round_robin for elasticsearch, else failover"),
    WEFT_BOOL("concurrency.adaptive", L, adaptive, .fallback = "true",
              .help = "find how many requests at once each endpoint takes; false always allows concurrency.max"),
    WEFT_INT("concurrency.initial", L, concurrency_initial, .fallback = "1", .min = 1, .max = 256,
             .help = "how many requests at once to begin with"),
    WEFT_INT("concurrency.max", L, concurrency_max, .fallback = "0", .min = 0, .max = 256,
             .help = "requests at once at most, over all endpoints; 0 is the exporter's own choice"),
    WEFT_INT("sending_queue.num_consumers", L, num_consumers, .fallback = "0", .min = 0, .max = 256,
             .help = "as many requests at once, no more and no less: the Collector's fixed limit in place of concurrency; 0 has none"),
    WEFT_INT("batch.max_items", L, batch_items, .fallback = "0", .min = 0, .max = 1 << 20,
             .help = "items that one request holds at most; 0 is the exporter's own choice"),
    WEFT_BYTES("batch.max_bytes", L, batch_bytes, .fallback = "0", .min = 0, .max = 64 << 20,
               .help = "bytes that one request holds at most; 0 is the exporter's own choice"),
    WEFT_ENUM("on_full", L, on_full, .fallback = "refuse", .words = on_full_words,
              .help = "when the journal is full because of this exporter: refuse new input, or skip its oldest records"),
    WEFT_ENUM("journal_start", L, journal_start, .fallback = "end", .words = start_words,
              .help = "where an exporter begins that a pipeline's journal does not know yet: behind what is there (end), or with the "
                      "oldest record that is kept"),
    WEFT_IGNORED("sending_queue.enabled", .fallback = "true", .warns = true,
                 .help = "the journal stands in for the queue and is always there; a receiver answers when its data is in it, not when "
                         "it is delivered"),
    WEFT_IGNORED("sending_queue.queue_size", .warns = true,
                 .help = "the journal stands in for the queue; service.journal.max_size bounds it, in bytes and for all pipelines"),
    WEFT_STRING("sending_queue.storage", L, queue_storage,
                .help = "a file_storage extension, as in the Collector: unless service.journal.mode is set, all journals are on disk in "
                        "its directory"),
    WEFT_IGNORED("sending_queue.sizer", .help = "the journal is sized in bytes"),
    WEFT_IGNORED("sending_queue.blocking", .fallback = "false", .warns = true,
                 .help = "a full journal makes nobody wait, it refuses with an answer that says when to try again; see on_full"),
    WEFT_IGNORED("sending_queue.block_on_overflow", .fallback = "false", .warns = true,
                 .help = "a full journal makes nobody wait, it refuses with an answer that says when to try again; see on_full"),
    WEFT_IGNORED("sending_queue.wait_for_result", .fallback = "false", .warns = true,
                 .help = "a receiver answers when the journal has its data, not when it is delivered"),
    WEFT_IGNORED("sending_queue.batch", .warns = true,
                 .help = "the journal is the batcher: what waits is sent at once, as much as batch.max_items and batch.max_bytes allow"),
    { .key = NULL },
};

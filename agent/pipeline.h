/* SPDX-License-Identifier: Apache-2.0 */
/* pipeline.h: processors and a journal under one id, and the intakes through which receivers commit into them.
 *
 * An intake is one receiver id for one signal: it knows every pipeline that names the receiver, counts
 * what was accepted and refused, and hands each loop a sink of its own, so that loops share nothing on the
 * hot path but the journal's reservation.
 *
 *   (1) A commit is all or nothing: with several pipelines, room is reserved in every journal before
 *       anything is published in one. After WEFT_ERR_FULL nothing was taken anywhere.
 *   (2) accepted + refused = every item a receiver handed in, by receiver and signal, counted once
 *       however many pipelines took it.
 *   (3) Items that a processor took out are counted by pipeline and processor: what an intake accepted for a pipeline =
 *       items in its journal + items dropped by its processors.
 *   (4) Above 80 % fill of the fullest of its journals a request may be refused by what it is worth (shed.h), before
 *       any work is done for it; or the yes to it may be held back for a while.
 *   (5) Processors of a pipeline run in order, on the committing thread, in that thread's scratch arena.
 */
#ifndef WEFT_AGENT_PIPELINE_H
#define WEFT_AGENT_PIPELINE_H

#include "core/component.h"

struct weft_pipeline;
struct weft_shed;

struct weft_pipeline_options {
    const char *id;                               /* "traces/shop"; copied */
    enum weft_signal signal;
    struct weft_processor *const *processors;     /* in order; started and stopped by the caller; the array is copied */
    size_t n_processors;
    struct weft_journal *journal;                 /* borrowed until close; NULL: one of its own in memory */
    uint64_t journal_size;                        /* bytes, of either; see weft_pipeline_share */
    struct weft_shed *shed;                       /* borrowed until close; NULL: everything is taken until the journal is full */
};

/* What each of `n_pipelines` pipelines gets of service.journal.max_size: an equal share, at least 1 MiB. */
uint64_t weft_pipeline_share(uint64_t max_size, size_t n_pipelines);

/* Opens the pipeline, and its journal if it is to have its own. 0, UV_ENOMEM, UV_EINVAL. Main thread. */
int weft_pipeline_open(struct weft_pipeline **ret_pipeline, const struct weft_pipeline_options *options);

/* The largest record that all exporters of the pipeline can make requests of: more items, or an item (with its resource and scope)
 * of more bytes, is refused as too large. Before the first commit; until then there is no limit. Main thread. */
void weft_pipeline_set_most(struct weft_pipeline *p, uint64_t item_bytes, uint64_t items);

/* After every intake and lane of it is closed. Accepts NULL. */
void weft_pipeline_close(struct weft_pipeline *p);

/* What it was opened with; good until close. */
const char *weft_pipeline_id(const struct weft_pipeline *p);
enum weft_signal weft_pipeline_signal(const struct weft_pipeline *p);
struct weft_journal *weft_pipeline_journal(const struct weft_pipeline *p);

/* Items that processor number `i` took out (whole records and parts of records). Any thread. */
uint64_t weft_pipeline_dropped_items(const struct weft_pipeline *p, size_t i);

/* ---- intakes ---- */
struct weft_intake;

struct weft_intake_options {
    const char *receiver;                         /* the receiver's id; copied */
    enum weft_signal signal;
    struct weft_pipeline *const *pipelines;       /* all that take this signal from this receiver; at least one; copied */
    size_t n_pipelines;
    size_t n_sinks;                               /* one a loop that has an instance of the receiver */
    uint32_t max_delay_ms;                        /* for which a yes is held back at most while a journal fills up; 0: never */
};

/* 0 or UV_ENOMEM. Main thread. */
int weft_intake_open(struct weft_intake **ret_intake, const struct weft_intake_options *options);
void weft_intake_close(struct weft_intake *in); /* accepts NULL; no sink of it may be in use */

/* Sink number `i`, for the thread that owns `scratch` (weft_loop_scratch): give it to that loop's receiver. */
struct weft_sink *weft_intake_sink(struct weft_intake *in, size_t i, struct weft_arena *scratch);

/* Where sink number `i` may make a yes wait: ring(ctx) is called on any thread when weft_intake_look must be called on the sink's
 * loop, alarm(ctx, at_ms) on the loop when it must be called at that time (weft_clock_mono_ms) or earlier. Before its receiver
 * starts. Main thread. */
void weft_intake_set_ring(struct weft_intake *in, size_t i, void (*ring)(void *ctx), void *ctx);
void weft_intake_set_alarm(struct weft_intake *in, size_t i, void (*alarm)(void *ctx, uint64_t at_ms), void *ctx);

/* Ends those of sink number `i` whose record is durable and whose time has come. On its loop. */
void weft_intake_look(struct weft_intake *in, size_t i, uint64_t now_ns);

/* From now on no yes is held back, and the next look ends those that are. Any thread. */
void weft_intake_hurry(struct weft_intake *in);

/* From now on commits answer WEFT_ERR_DRAINING. Any thread. */
void weft_intake_drain(struct weft_intake *in);

struct weft_intake_stats {
    uint64_t accepted_items, accepted_records, accepted_bytes;
    uint64_t delayed_records, delayed_ms; /* of the accepted: whose yes was held back, and how long in all */
    uint64_t refused_items[WEFT_REFUSALS];
};

/* Sums over the sinks. Any thread. */
void weft_intake_stats(const struct weft_intake *in, struct weft_intake_stats *ret_stats);

/* What it was opened with; good until close. */
const char *weft_intake_receiver(const struct weft_intake *in);
enum weft_signal weft_intake_signal(const struct weft_intake *in);

/* The label `reason` of a refusal: "journal_full", ... */
const char *weft_refusal_name(enum weft_refusal reason);

#endif

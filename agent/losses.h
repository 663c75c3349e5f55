/* SPDX-License-Identifier: Apache-2.0 */
/* losses.h: a line for items that were dropped, by exporter, signal and reason: at once for the first, then one in ten seconds with
 * the sum of what was dropped meanwhile; the same for dead letters that made room for newer ones. And one for those that a receiver refused, ten seconds after its own.
 *
 * Whoever drops only counts, on whatever thread; here the counters are looked at now and then, so that the last of a series is
 * told too. Main thread. */
#ifndef WEFT_AGENT_LOSSES_H
#define WEFT_AGENT_LOSSES_H

#include "agent/lane.h"
#include "agent/pipeline.h"
#include "agent/runtime.h"

struct weft_losses_row {
    const char *id;              /* the exporter's, or the receiver's; borrowed */
    bool refused;                /* by a receiver */
    char word[WEFT_LANE_REASON_LEN];
    enum weft_signal signal;
    bool series;                 /* refused: some since told_ms, which are not told yet */
    uint64_t told, told_ms;      /* items in lines, and when the last one was written */
};

struct weft_losses {
    struct weft_losses_row *rows;
    size_t n_rows;
};

/* Tells what exporter `id` has dropped and nobody has told; `last`: all of it, whenever the last line was. */
void weft_losses_note(struct weft_losses *l, const struct weft_log *log, const char *id, const struct weft_lane_stats *stats,
                      uint64_t now_ms, bool last);

/* Tells how many items receiver `id` has refused. */
void weft_losses_note_refused(struct weft_losses *l, const struct weft_log *log, const char *id, enum weft_signal signal,
                              const struct weft_intake_stats *stats, uint64_t now_ms, bool last);

/* Tells how many items of dead letters have been evicted. */
void weft_losses_note_evicted(struct weft_losses *l, const struct weft_log *log, const char *id, uint64_t items, uint64_t now_ms,
                              bool last);

/* The same of all exporters and receivers of a runtime. */
void weft_losses_look(struct weft_losses *l, const struct weft_runtime *rt, uint64_t now_ms, bool last);

/* Counters begin anew: the runtime has ended. */
void weft_losses_clear(struct weft_losses *l);

#endif

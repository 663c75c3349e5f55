/* SPDX-License-Identifier: Apache-2.0 */
/* metrics.h: the agent's own metrics, as a Prometheus page. Names and labels are a stable contract, written down in
 * docs/metrics.md; every series is there at 0 from the start, so that no panel is ever without data.
 *
 * Main thread. Reads counters that other threads write; takes no locks of theirs for longer than a copy.
 */
#ifndef WEFT_AGENT_METRICS_H
#define WEFT_AGENT_METRICS_H

#include "agent/runtime.h"
#include "core/exposition.h"

/* What the runtime does not know: it comes and goes with reloads, the process stays. */
struct weft_metrics_process {
    uint64_t start_wall_ns;
    uint64_t reloads_ok, reloads_failed;
    bool last_reload_ok;
};

/* Appends the page. `rt` may be NULL while nothing runs: then the process's own families alone. */
void weft_metrics_write(const struct weft_runtime *rt, const struct weft_metrics_process *process,
                        enum weft_exposition format, struct weft_buf *out);

/* The families as a table in Markdown, for docs/metrics.md. */
void weft_metrics_document(struct weft_buf *out);

#endif

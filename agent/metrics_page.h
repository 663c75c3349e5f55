/* SPDX-License-Identifier: Apache-2.0 */
/* metrics_page.h: what the files of the metrics page share (metrics*.c), and nobody else includes. One row a family; a row's writer
 * appends all samples of it. */
#ifndef WEFT_AGENT_METRICS_PAGE_H
#define WEFT_AGENT_METRICS_PAGE_H

#include "agent/metrics.h"
#include "agent/metrics_process.h"
#include "agent/runtime_state.h"

/* One scrape. Lane figures are copied once, so that all families of a page agree. */
struct weft_metrics_page {
    const struct weft_runtime *rt;
    const struct weft_metrics_process *process;
    struct weft_process_figures figures;
    struct weft_lane_stats *lanes; /* one an exporter, zeroed for unused ones */
    enum weft_exposition format;
    struct weft_buf *out;
    struct weft_slice name; /* of the family being written */
};

struct weft_metrics_family {
    const char *name; /* without _total or _info */
    const char *type, *unit, *labels;
    const char *help;
    void (*write)(struct weft_metrics_page *p); /* NULL ends a table */
};

/* Of the journals (metrics_journals.c). */
extern const struct weft_metrics_family weft_metrics_journals[];

#define LABEL(name, text) { WEFT_SLICE(name), weft_slice_str(text) }
#define COUNT(labels) (sizeof(labels) / sizeof *(labels))

static inline void put_uint(struct weft_metrics_page *p, const char *suffix, const struct weft_label *labels, size_t n, uint64_t value)
{
    weft_exposition_sample_uint(p->out, p->name, suffix, labels, n, value);
    weft_exposition_newline(p->out);
}

static inline void put_double(struct weft_metrics_page *p, const char *suffix, const struct weft_label *labels, size_t n, double value)
{
    weft_exposition_sample(p->out, p->name, suffix, labels, n, value);
    weft_exposition_newline(p->out);
}

#endif

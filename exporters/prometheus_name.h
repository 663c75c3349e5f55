/* SPDX-License-Identifier: Apache-2.0 */
/* prometheus_name.h: OTLP metric, unit and attribute names as Prometheus spells them, by the rules of
 * OpenTelemetry's "Prometheus and OpenMetrics Compatibility": units become words, what a name cannot hold becomes
 * one '_', counters end in _total and ratios in _ratio. Stateless; any thread.
 */
#ifndef WEFT_EXPORTERS_PROMETHEUS_NAME_H
#define WEFT_EXPORTERS_PROMETHEUS_NAME_H

#include "core/buf.h"
#include "core/slice.h"

/* The Collector's translation_strategy, in the order of its documentation. */
enum weft_prom_strategy {
    WEFT_PROM_UNDERSCORES_SUFFIXES, /* UnderscoreEscapingWithSuffixes, the default */
    WEFT_PROM_UNDERSCORES,          /* UnderscoreEscapingWithoutSuffixes */
    WEFT_PROM_UTF8_SUFFIXES,        /* NoUTF8EscapingWithSuffixes */
    WEFT_PROM_UTF8,                 /* NoTranslation */
};

/* What a metric's name depends on beside itself. */
enum weft_prom_shape { WEFT_PROM_SHAPE_COUNTER, WEFT_PROM_SHAPE_GAUGE, WEFT_PROM_SHAPE_OTHER };

enum { WEFT_PROM_NAME_MAX = 512 };

struct weft_prom_name {
    struct weft_buf name; /* without _total */
    struct weft_buf unit; /* words, for "# UNIT"; may be empty */
    bool total;           /* text formats write _total behind the name (OpenMetrics always does, behind a counter's) */
};

/* Gives both buffers their limits. */
void weft_prom_name_init(struct weft_prom_name *n);
void weft_prom_name_release(struct weft_prom_name *n);

/* Fills *n. False: nothing that could be a name is left, or it is longer than WEFT_PROM_NAME_MAX. `space` (the
 * option namespace) may be empty. */
bool weft_prom_metric_name(struct weft_prom_name *n, enum weft_prom_strategy strategy, struct weft_slice space,
                           struct weft_slice name, struct weft_slice unit, enum weft_prom_shape shape);

/* Appends an attribute's key as a label name. Nothing is appended for an empty key. */
void weft_prom_label_name(struct weft_buf *b, enum weft_prom_strategy strategy, struct weft_slice key);

#endif

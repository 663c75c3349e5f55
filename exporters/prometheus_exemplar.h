/* SPDX-License-Identifier: Apache-2.0 */
/* prometheus_exemplar.h: the exemplars that a page shows: the newest of a counter and of each bucket, with trace_id,
 * span_id, correlation_id and what else fits into OpenMetrics' 128 characters. One thread.
 */
#ifndef WEFT_EXPORTERS_PROMETHEUS_EXEMPLAR_H
#define WEFT_EXPORTERS_PROMETHEUS_EXEMPLAR_H

#include "exporters/prometheus_store.h"

enum { WEFT_PROM_EXEMPLAR_CHARS = 128 };

/* Keeps `from` at *at when it is newer than what is there. Does nothing when there is no memory: an exemplar is
 * an example, not data. */
void weft_prom_exemplar_keep(struct weft_prom_store *s, struct weft_prom_exemplar **at, const struct weft_exemplar *from);

static inline double weft_prom_exemplar_value(const struct weft_exemplar *e)
{
    return e->is_int ? (double)e->integer : e->real;
}

#endif

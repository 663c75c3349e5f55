/* SPDX-License-Identifier: Apache-2.0 */
/* prometheus_exp.h: exponential histograms: read from OTLP, made coarser, added up, and laid out as classic buckets
 * for the formats that know no other.
 *
 * Bucket i of scale s holds (base^i, base^(i+1)] with base = 2^(2^-s); lowering the scale by one merges buckets 2i and
 * 2i+1 into i. Every bound of a coarse scale is a bound of all finer ones, so buckets keep their meaning when
 * a histogram grows. One thread.
 */
#ifndef WEFT_EXPORTERS_PROMETHEUS_EXP_H
#define WEFT_EXPORTERS_PROMETHEUS_EXP_H

#include "exporters/prometheus_store.h"

/* Prometheus' native histograms know these schemas. */
enum { WEFT_PROM_SCALE_MIN = -4, WEFT_PROM_SCALE_MAX = 8 };

/* Reads a point into *e, whose two counts arrays (WEFT_PROM_EXP_MAX long) are the caller's. 0, WEFT_ERR_MALFORMED, or
 * WEFT_ERR_UNSUPPORTED: even the coarsest scale has no room for it, or bucket numbers that no double has. */
int weft_prom_exp_read(const struct weft_exp_histogram_point *point, struct weft_prom_exp *e);

/* Adds `delta` (which is changed on the way) to `e`. False: even the coarsest scale has no room; *e is unchanged. */
bool weft_prom_exp_add(struct weft_prom_exp *e, struct weft_prom_exp *delta);

/* The same data in coarser buckets, in place. */
void weft_prom_exp_coarsen(struct weft_prom_exp *e, int32_t scale);

/* Classic buckets: bounds in rising order with cumulative counts, without +Inf. */
enum { WEFT_PROM_CLASSIC_MAX = 48 };
struct weft_prom_classic {
    size_t n;
    double bounds[WEFT_PROM_CLASSIC_MAX];
    uint64_t counts[WEFT_PROM_CLASSIC_MAX];
};
void weft_prom_exp_classic(const struct weft_prom_exp *e, struct weft_prom_classic *ret_classic);

#endif

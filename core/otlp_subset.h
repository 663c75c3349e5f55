/* SPDX-License-Identifier: Apache-2.0 */
/* otlp_subset.h: an OTLP request holding some of a batch's items: those that still wait, within a run. Only what
 * has been accepted in part, is too large for the back end, or was refused comes here; the usual batch is sent as its own bytes.
 * Stateless; any thread. */
#ifndef WEFT_CORE_OTLP_SUBSET_H
#define WEFT_CORE_OTLP_SUBSET_H

#include "core/buf.h"
#include "core/component.h"

/* Appends to `out` a request with the items [first, end) of the batch that are WAITING; *ret_n is how many. 0,
 * WEFT_ERR_MALFORMED, or the buffer's own error. */
int weft_otlp_subset(const struct weft_batch *batch, uint64_t first, uint64_t end, struct weft_buf *out, uint64_t *ret_n);

/* Runs of one payload, one behind the other: goes on where the last one ended, so that many short runs cost one walk (but for
 * metrics). The payload must live as long. */
struct weft_otlp_cutter {
    enum weft_signal signal;
    struct weft_slice payload;
    struct weft_otlp_walk walk;
    uint64_t at;                /* number of the next item of the walk */
};

/* Before the first item of `payload`. */
void weft_otlp_cutter_begin(struct weft_otlp_cutter *c, enum weft_signal signal, struct weft_slice payload);

/* Appends to `out` a request with the items [first, end), whatever their state. 0, WEFT_ERR_MALFORMED, or the buffer's own error. */
int weft_otlp_cutter_cut(struct weft_otlp_cutter *c, uint64_t first, uint64_t end, struct weft_buf *out);

#endif

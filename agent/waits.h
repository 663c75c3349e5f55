/* SPDX-License-Identifier: Apache-2.0 */
/* waits.h: commits whose receiver waits for the disk, in the order in which they were made.
 *
 * A sink commits one record after the other, and sequences of a journal only rise, so who came first is durable first: a ring
 * of tickets is enough, and looking at its head finds everybody who is done.
 *
 *   (1) A commit is ended once, by done (or whoever stands in for it) or by forget.
 *   (2) No more than `max` wait, and their memory is taken at init: waiting allocates nothing.
 *
 * One thread, the loop's. Knows nothing of journals: whoever looks is asked about each place.
 */
#ifndef WEFT_AGENT_WAITS_H
#define WEFT_AGENT_WAITS_H

#include "core/component.h"

struct weft_waits {
    struct weft_commit **commits; /* by ticket % max; NULL: forgotten */
    uint64_t *sequences;          /* n_places of each */
    size_t n_places, max;
    uint64_t first, next;         /* tickets that wait: [first, next) */
    void (*end)(void *ctx, struct weft_commit *commit, int err); /* told instead of commit->done; NULL: nobody stands in */
    void *end_ctx;
};

/* For commits into `n_places` journals at once. 0 or UV_ENOMEM. */
int weft_waits_init(struct weft_waits *w, size_t n_places, size_t max);
void weft_waits_release(struct weft_waits *w); /* accepts a zeroed one */

static inline bool weft_waits_full(const struct weft_waits *w)
{
    return w->next - w->first == w->max;
}

static inline bool weft_waits_empty(const struct weft_waits *w)
{
    return w->next == w->first;
}

/* Not when full. sequences[i] 0: nothing was appended there. */
void weft_waits_add(struct weft_waits *w, struct weft_commit *commit, const uint64_t *sequences);
void weft_waits_forget(struct weft_waits *w, const struct weft_commit *commit);

/* What the record at `sequence` of place number `place` has come to: 1 durable, 0 not yet, or an error. */
typedef int weft_waits_verdict(void *ctx, size_t place, uint64_t sequence);

/* All places of one commit together: the first error, else 0 when one is not durable yet, else 1. */
int weft_waits_judge(const struct weft_waits *w, const uint64_t *sequences, weft_waits_verdict *verdict, void *ctx);

/* Ends everybody who can be ended, in order. False: somebody still waits. */
bool weft_waits_look(struct weft_waits *w, weft_waits_verdict *verdict, void *ctx);

#endif

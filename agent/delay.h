/* SPDX-License-Identifier: Apache-2.0 */
/* delay.h: commits whose yes is held back for a while, in the order in which their time comes.
 *
 *   (1) A commit is ended once, by done or by forget, and not before its time unless everybody is ended.
 *   (2) No more than WEFT_DELAY_MAX are held back, and that allocates nothing: the commits themselves are the list.
 *
 * One thread, the loop's. Time is a parameter.
 */
#ifndef WEFT_AGENT_DELAY_H
#define WEFT_AGENT_DELAY_H

#include "core/component.h"

/* Of one sink; each is a request of a client whose connection is open. */
enum { WEFT_DELAY_MAX = 4096 };

/* All zeroes: nobody is held back. */
struct weft_delay {
    struct weft_commit *first, *last; /* by due_ns */
    size_t n;
};

static inline bool weft_delay_full(const struct weft_delay *d)
{
    return d->n >= WEFT_DELAY_MAX;
}

/* Until commit->due_ns. Not when full. */
void weft_delay_add(struct weft_delay *d, struct weft_commit *commit);
void weft_delay_forget(struct weft_delay *d, struct weft_commit *commit);

/* Ends, with 0, those whose time has come; UINT64_MAX: everybody. */
void weft_delay_look(struct weft_delay *d, uint64_t now_ns);

/* When the next one's time comes; UINT64_MAX: nobody is held back. */
static inline uint64_t weft_delay_due(const struct weft_delay *d)
{
    return d->first ? d->first->due_ns : UINT64_MAX;
}

#endif

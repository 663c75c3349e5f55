/* SPDX-License-Identifier: Apache-2.0 */
/* delay.c: see delay.h.
 *
 * How long a yes is held back changes slowly, so who comes later is nearly always due later: a list that is searched from its
 * end finds the place at once. While the fill falls quickly it is searched a little, over no more than WEFT_DELAY_MAX. */
#include "agent/delay.h"

#include <assert.h>

void weft_delay_add(struct weft_delay *d, struct weft_commit *commit)
{
    struct weft_commit *before = d->last;

    assert(!weft_delay_full(d));
    while (before && before->due_ns > commit->due_ns)
        before = before->prev;
    commit->prev = before;
    commit->next = before ? before->next : d->first;
    if (commit->next)
        commit->next->prev = commit;
    else
        d->last = commit;
    if (before)
        before->next = commit;
    else
        d->first = commit;
    commit->delayed = true;
    d->n++;
}

void weft_delay_forget(struct weft_delay *d, struct weft_commit *commit)
{
    assert(commit->delayed);
    if (commit->prev)
        commit->prev->next = commit->next;
    else
        d->first = commit->next;
    if (commit->next)
        commit->next->prev = commit->prev;
    else
        d->last = commit->prev;
    commit->delayed = false;
    d->n--;
}

void weft_delay_look(struct weft_delay *d, uint64_t now_ns)
{
    while (d->first && d->first->due_ns <= now_ns) {
        struct weft_commit *commit = d->first;
        weft_delay_forget(d, commit); /* before done, which may hold others back or free this one */
        commit->done(commit, 0);
    }
}

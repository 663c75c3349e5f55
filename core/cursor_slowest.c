/* SPDX-License-Identifier: Apache-2.0 */
/* cursor_slowest.c: who keeps a journal full. */
#include "core/journal_state.h"

#include <stdio.h>

static const struct weft_cursor *slowest(const struct weft_journal *j)
{
    const struct weft_cursor *found = NULL;
    uint64_t least = UINT64_MAX;

    for (const struct weft_cursor *c = j->cursors; c; c = c->next) {
        uint64_t settled = atomic_load_explicit(&c->settled_sequence, memory_order_relaxed);
        if (!c->hold || settled >= least)
            continue;
        least = settled;
        found = c;
    }
    return found;
}

bool weft_journal_slowest(struct weft_journal *j, struct weft_slowest *ret_slowest)
{
    pthread_mutex_lock(&j->lock);
    const struct weft_cursor *c = slowest(j);
    if (c) {
        struct weft_totals waiting = weft_totals_minus(j->totals, weft_cursor_accounted(c));
        *ret_slowest = (struct weft_slowest){ .parked = c->parked, .waiting_items = waiting.items, .waiting_bytes = waiting.bytes };
        (void)snprintf(ret_slowest->name, sizeof ret_slowest->name, "%s", c->name ? c->name : "");
    }
    pthread_mutex_unlock(&j->lock);
    return c != NULL;
}

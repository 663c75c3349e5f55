/* SPDX-License-Identifier: Apache-2.0 */
/* journal_sync.c: see journal_sync.h. */
#include "core/journal_sync.h"

#include "core/err.h"
#include "core/journal_state.h"

bool weft_journal_confirms(const struct weft_journal *j)
{
    return j->sync && j->sync->mode == WEFT_SYNC_ALWAYS;
}

int weft_journal_confirmed(const struct weft_journal *j, uint64_t sequence)
{
    if (!weft_journal_confirms(j))
        return 1;

    const struct weft_journal_sync *s = j->sync;
    uint64_t durable = atomic_load_explicit(&s->durable, memory_order_acquire);
    uint64_t to = atomic_load_explicit(&s->failed_to, memory_order_acquire);
    if (sequence <= to && sequence >= atomic_load_explicit(&s->failed_from, memory_order_relaxed))
        return WEFT_ERR_DISK;
    return sequence <= durable;
}

void weft_journal_hurry(struct weft_journal *j)
{
    (void)j;
}

void weft_journal_watch(struct weft_journal *j, struct weft_journal_watch *w)
{
    if (!j->sync)
        return;
    pthread_mutex_lock(&j->sync->watch_lock);
    w->next = j->sync->watches;
    j->sync->watches = w;
    pthread_mutex_unlock(&j->sync->watch_lock);
}

void weft_journal_unwatch(struct weft_journal *j, struct weft_journal_watch *w)
{
    if (!j->sync)
        return;
    pthread_mutex_lock(&j->sync->watch_lock);
    for (struct weft_journal_watch **link = &j->sync->watches; *link; link = &(*link)->next) {
        if (*link != w)
            continue;
        *link = w->next;
        break;
    }
    pthread_mutex_unlock(&j->sync->watch_lock);
}

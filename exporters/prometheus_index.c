/* SPDX-License-Identifier: Apache-2.0 */
/* prometheus_index.c: see prometheus_index.h. Removal shifts the slots behind back, so there are no tombstones and
 * a table in which series come and go for months stays as fast as a new one. */
#include "exporters/prometheus_index.h"

#include <stdlib.h>

enum { FIRST_CAP = 64, MALLOC_OVERHEAD = 16 };
static const uint64_t STEP = 64 * 1024;

/* A series is small: the account is asked once for hundreds of them. */
static bool cover(struct weft_prom_ledger *l, uint64_t used)
{
    uint64_t need = (used + STEP - 1) / STEP * STEP;

    if (need > l->taken) {
        if (!weft_account_take(l->account, need - l->taken))
            return false;
        l->taken = need;
    } else if (l->taken - need > STEP) {
        weft_account_give(l->account, l->taken - need);
        l->taken = need;
    }
    return true;
}

void *weft_prom_alloc(struct weft_prom_ledger *l, size_t size)
{
    if (size + MALLOC_OVERHEAD > l->limit - l->used || !cover(l, l->used + size + MALLOC_OVERHEAD))
        return NULL;
    void *p = calloc(1, size);
    if (p)
        l->used += size + MALLOC_OVERHEAD;
    return p;
}

void weft_prom_free(struct weft_prom_ledger *l, void *p, size_t size)
{
    if (!p)
        return;
    free(p);
    l->used -= size + MALLOC_OVERHEAD;
    (void)cover(l, l->used);
}

void weft_prom_index_release(struct weft_prom_index *x, struct weft_prom_ledger *l)
{
    weft_prom_free(l, x->slots, x->cap * sizeof *x->slots);
    *x = (struct weft_prom_index){ 0 };
}

/* The slot that holds `key`, or the free one where it would go. cap > n, so there is one. */
static size_t find(const struct weft_prom_index *x, uint64_t key)
{
    size_t at = (size_t)key & (x->cap - 1);

    while (x->slots[at].value && x->slots[at].key != key)
        at = (at + 1) & (x->cap - 1);
    return at;
}

void *weft_prom_index_get(const struct weft_prom_index *x, uint64_t key)
{
    return x->cap ? x->slots[find(x, key)].value : NULL;
}

static bool grow(struct weft_prom_index *x, struct weft_prom_ledger *l)
{
    struct weft_prom_index bigger = { .n = x->n, .cap = x->cap ? x->cap * 2 : FIRST_CAP };

    bigger.slots = weft_prom_alloc(l, bigger.cap * sizeof *bigger.slots);
    if (!bigger.slots)
        return false;
    for (size_t i = 0; i < x->cap; i++)
        if (x->slots[i].value)
            bigger.slots[find(&bigger, x->slots[i].key)] = x->slots[i];
    weft_prom_free(l, x->slots, x->cap * sizeof *x->slots);
    *x = bigger;
    return true;
}

bool weft_prom_index_put(struct weft_prom_index *x, struct weft_prom_ledger *l, uint64_t key, void *value)
{
    if ((x->n + 1) * 4 > x->cap * 3 && !grow(x, l))
        return false;
    x->slots[find(x, key)] = (struct weft_prom_slot){ key, value };
    x->n++;
    return true;
}

void weft_prom_index_remove(struct weft_prom_index *x, uint64_t key, const void *value)
{
    if (x->cap == 0)
        return;
    size_t mask = x->cap - 1, hole = find(x, key);
    if (!x->slots[hole].value || x->slots[hole].value != value)
        return;
    for (size_t at = (hole + 1) & mask; x->slots[at].value; at = (at + 1) & mask) {
        size_t home = (size_t)x->slots[at].key & mask;
        if (((at - home) & mask) >= ((at - hole) & mask)) { /* it may stand in the hole without passing its home */
            x->slots[hole] = x->slots[at];
            hole = at;
        }
    }
    x->slots[hole] = (struct weft_prom_slot){ 0, NULL };
    x->n--;
}

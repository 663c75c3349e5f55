/* SPDX-License-Identifier: Apache-2.0 */
/* ledger.c: see ledger.h.
 *
 * What an account uses beyond its guarantee is taken from the account above first and counted here second, and given back in the
 * other order. So the account above knows of every byte at every instant, or of a few too many for a moment: a take may be
 * refused that would have fitted just then, but the limit is never passed. All counters are relaxed: no other data is
 * published through them. */
#include "core/ledger.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

struct weft_ledger {
    struct weft_account root;
    struct weft_account *first, **last; /* all but the root, in order of opening */
};

static void *make_line(size_t size)
{
    size_t whole = (size + 63) & ~(size_t)63;
    void *p = aligned_alloc(64, whole);

    if (p)
        memset(p, 0, whole);
    return p;
}

int weft_ledger_open(struct weft_ledger **ret_ledger, uint64_t limit)
{
    struct weft_ledger *l = make_line(sizeof *l);

    if (!l)
        return UV_ENOMEM;
    l->root.limit = limit;
    l->last = &l->first;
    *ret_ledger = l;
    return 0;
}

void weft_ledger_close(struct weft_ledger *l)
{
    for (struct weft_account *a = l ? l->first : NULL, *next; a; a = next) {
        next = a->next;
        free(a->name);
        free(a);
    }
    free(l);
}

uint64_t weft_ledger_limit(const struct weft_ledger *l)
{
    return l->root.limit;
}

static uint64_t load(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

struct weft_account *weft_account_open(struct weft_ledger *l, struct weft_account *parent, const char *name,
                                       uint64_t guarantee, uint64_t limit)
{
    struct weft_account *a = make_line(sizeof *a);
    char *copy = strdup(name);

    if (!a || !copy) {
        free(copy);
        free(a);
        return NULL;
    }
    a->parent = parent ? parent : &l->root;
    a->parent->leaf = false;
    a->guarantee = guarantee;
    a->limit = limit ? limit : UINT64_MAX;
    a->name = copy;
    a->leaf = true;
    *l->last = a;
    l->last = &a->next;
    a->parent->promised += guarantee;
    weft_account_add(a->parent, guarantee);
    return a;
}

uint64_t weft_ledger_overbooked(const struct weft_ledger *l)
{
    uint64_t used = load(&l->root.used);

    return used > l->root.limit ? used - l->root.limit : 0;
}

/* ---- taking and giving ---- */

static uint64_t over(const struct weft_account *a, uint64_t used)
{
    return used > a->guarantee ? used - a->guarantee : 0;
}

static void note_peak(struct weft_account *a, uint64_t used)
{
    uint64_t peak = load(&a->peak);

    while (used > peak
           && !atomic_compare_exchange_weak_explicit(&a->peak, &peak, used, memory_order_relaxed, memory_order_relaxed))
        ;
}

static bool exchange(struct weft_account *a, uint64_t *before, uint64_t after)
{
    return atomic_compare_exchange_weak_explicit(&a->used, before, after, memory_order_relaxed, memory_order_relaxed);
}

static void give(struct weft_account *a, uint64_t n)
{
    uint64_t before = load(&a->used);

    do
        assert(before >= n);
    while (!exchange(a, &before, before - n));
    uint64_t extra = over(a, before) - over(a, before - n);
    if (extra && a->parent)
        give(a->parent, extra);
}

/* `forced`: whatever the limits say. */
static bool take(struct weft_account *a, uint64_t n, bool forced)
{
    uint64_t before = load(&a->used);

    for (;;) {
        if (!forced && (before > a->limit || n > a->limit - before))
            return false;
        uint64_t extra = over(a, before + n) - over(a, before);
        if (extra && a->parent && !take(a->parent, extra, forced))
            return false;
        if (exchange(a, &before, before + n))
            break;
        if (extra && a->parent)
            give(a->parent, extra);
    }
    note_peak(a, before + n);
    return true;
}

static struct weft_account *root_of(struct weft_account *a)
{
    while (a->parent)
        a = a->parent;
    return a;
}

bool weft_account_take(struct weft_account *a, uint64_t n)
{
    if (!a || take(a, n, false))
        return true;
    atomic_fetch_add_explicit(&a->refused, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&root_of(a)->refused, 1, memory_order_relaxed);
    return false;
}

void weft_account_give(struct weft_account *a, uint64_t n)
{
    if (a && n)
        give(a, n);
}

void weft_account_add(struct weft_account *a, uint64_t n)
{
    if (a && n)
        (void)take(a, n, true);
}

void weft_account_set(struct weft_account *a, uint64_t n)
{
    uint64_t was = a ? load(&a->used) : n;

    if (n > was)
        weft_account_add(a, n - was);
    else
        weft_account_give(a, was - n);
}

uint64_t weft_account_room(const struct weft_account *a)
{
    if (!a)
        return UINT64_MAX;
    uint64_t used = load(&a->used);
    uint64_t own = a->limit > used ? a->limit - used : 0;
    uint64_t kept = a->guarantee > used ? a->guarantee - used : 0;
    uint64_t above = weft_account_room(a->parent);
    uint64_t both = above > UINT64_MAX - kept ? UINT64_MAX : above + kept;

    return own < both ? own : both;
}

/* ---- questions ---- */

uint64_t weft_account_most(const struct weft_account *a)
{
    if (!a)
        return UINT64_MAX;
    uint64_t above = a->parent ? weft_account_most(a->parent) : a->limit;
    uint64_t free = a->parent && above > a->parent->promised ? above - a->parent->promised : 0;
    uint64_t most = a->parent ? a->guarantee + free : above;

    return most < a->limit ? most : a->limit;
}

uint64_t weft_account_refused_others(const struct weft_account *a)
{
    const struct weft_account *root = a;

    while (root && root->parent)
        root = root->parent;
    return root ? load(&root->refused) - load(&a->refused) : 0;
}

uint64_t weft_account_sure(const struct weft_account *a)
{
    uint64_t used = a ? load(&a->used) : 0;

    return !a ? UINT64_MAX : a->guarantee > used ? a->guarantee - used : 0;
}

void weft_ledger_visit(const struct weft_ledger *l, bool (*visit)(void *ctx, const struct weft_account *a), void *ctx)
{
    for (const struct weft_account *a = l ? l->first : NULL; a; a = a->next)
        if (a->leaf && !visit(ctx, a))
            return;
}

uint64_t weft_ledger_used(const struct weft_ledger *l)
{
    uint64_t sum = 0;

    for (const struct weft_account *a = l ? l->first : NULL; a; a = a->next)
        sum += a->leaf ? load(&a->used) : 0;
    return sum;
}

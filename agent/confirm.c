/* SPDX-License-Identifier: Apache-2.0 */
/* confirm.c: see confirm.h. */
#include "agent/confirm.h"

#include "agent/waits.h"
#include "core/fence.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <uv.h>

enum { WAITERS_MAX = 4096 }; /* of one sink; each is a request of a client whose connection is open */

struct weft_confirm {
    struct weft_waits waits;
    struct weft_journal **journals;
    struct weft_journal_watch *watches;
    size_t n, n_watches;
    void (*ring)(void *ctx);
    void *ring_ctx;
    _Atomic bool armed; /* somebody waits and the bell has not been rung since */
};

/* On the journal's thread. */
static void on_confirmed(void *ctx)
{
    struct weft_confirm *c = ctx;

    weft_fence(); /* what is durable before their mark; pairs with the one in arm() */
    if (atomic_load_explicit(&c->armed, memory_order_relaxed) &&
        atomic_exchange_explicit(&c->armed, false, memory_order_acq_rel))
        c->ring(c->ring_ctx);
}

static bool any_confirms(struct weft_journal *const *journals, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (weft_journal_confirms(journals[i]))
            return true;
    return false;
}

static int fill(struct weft_confirm *c, struct weft_journal *const *journals, size_t n)
{
    c->n = n;
    c->journals = calloc(n, sizeof(struct weft_journal *));
    c->watches = calloc(n, sizeof *c->watches);
    int err = c->journals && c->watches ? weft_waits_init(&c->waits, n, WAITERS_MAX) : UV_ENOMEM;
    if (err)
        return err;
    for (size_t i = 0; i < n; i++) {
        c->journals[i] = journals[i];
        c->watches[i] = (struct weft_journal_watch){ .on_confirmed = on_confirmed, .ctx = c };
        weft_journal_watch(journals[i], &c->watches[i]);
        c->n_watches++;
    }
    return 0;
}

int weft_confirm_new(struct weft_confirm **ret_confirm, struct weft_journal *const *journals, size_t n)
{
    struct weft_confirm *c = NULL;

    if (any_confirms(journals, n)) {
        c = calloc(1, sizeof *c);
        int err = c ? fill(c, journals, n) : UV_ENOMEM;
        if (err) {
            weft_confirm_free(c);
            return err;
        }
    }
    *ret_confirm = c;
    return 0;
}

void weft_confirm_free(struct weft_confirm *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < c->n_watches; i++)
        weft_journal_unwatch(c->journals[i], &c->watches[i]);
    weft_waits_release(&c->waits);
    free(c->journals);
    free(c->watches);
    free(c);
}

void weft_confirm_set_ring(struct weft_confirm *c, void (*ring)(void *ctx), void *ctx)
{
    c->ring = ring;
    c->ring_ctx = ctx;
}

void weft_confirm_set_end(struct weft_confirm *c, void (*end)(void *ctx, struct weft_commit *commit, int err), void *ctx)
{
    c->waits.end = end;
    c->waits.end_ctx = ctx;
}

bool weft_confirm_full(const struct weft_confirm *c)
{
    return weft_waits_full(&c->waits);
}

static int verdict(void *ctx, size_t place, uint64_t sequence)
{
    const struct weft_confirm *c = ctx;

    return weft_journal_confirmed(c->journals[place], sequence);
}

static void arm(struct weft_confirm *c)
{
    atomic_store_explicit(&c->armed, true, memory_order_relaxed);
    weft_fence(); /* our mark before what is durable; pairs with the one in on_confirmed() */
}

bool weft_confirm_await(struct weft_confirm *c, struct weft_commit *commit, const uint64_t *sequences)
{
    assert(c->ring);
    if (weft_waits_empty(&c->waits) && weft_waits_judge(&c->waits, sequences, verdict, c) == 1)
        return false;
    weft_waits_add(&c->waits, commit, sequences);
    for (size_t i = 0; i < c->n; i++)
        if (sequences[i])
            weft_journal_hurry(c->journals[i]);
    arm(c);
    if (weft_waits_judge(&c->waits, sequences, verdict, c) != 0)
        c->ring(c->ring_ctx); /* it came before the mark */
    return true;
}

void weft_confirm_forget(struct weft_confirm *c, const struct weft_commit *commit)
{
    weft_waits_forget(&c->waits, commit);
}

void weft_confirm_look(struct weft_confirm *c)
{
    while (!weft_waits_empty(&c->waits)) {
        if (weft_waits_look(&c->waits, verdict, c))
            return;
        if (atomic_load_explicit(&c->armed, memory_order_relaxed))
            return; /* set before this look */
        arm(c);
    }
}

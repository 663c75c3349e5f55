/* SPDX-License-Identifier: Apache-2.0 */
/* waits.c: see waits.h. */
#include "agent/waits.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

int weft_waits_init(struct weft_waits *w, size_t n_places, size_t max)
{
    *w = (struct weft_waits){ .n_places = n_places, .max = max };
    w->commits = calloc(max, sizeof(struct weft_commit *));
    w->sequences = calloc(max * n_places, sizeof *w->sequences);
    if (w->commits && w->sequences)
        return 0;
    weft_waits_release(w);
    return UV_ENOMEM;
}

void weft_waits_release(struct weft_waits *w)
{
    free(w->commits);
    free(w->sequences);
    *w = (struct weft_waits){ 0 };
}

void weft_waits_add(struct weft_waits *w, struct weft_commit *commit, const uint64_t *sequences)
{
    size_t slot = w->next % w->max;

    assert(!weft_waits_full(w));
    w->commits[slot] = commit;
    memcpy(&w->sequences[slot * w->n_places], sequences, w->n_places * sizeof *sequences);
    commit->ticket = w->next++;
}

void weft_waits_forget(struct weft_waits *w, const struct weft_commit *commit)
{
    assert(commit->ticket >= w->first && commit->ticket < w->next);
    w->commits[commit->ticket % w->max] = NULL;
}

int weft_waits_judge(const struct weft_waits *w, const uint64_t *sequences, weft_waits_verdict *verdict, void *ctx)
{
    int all = 1;

    for (size_t i = 0; i < w->n_places; i++) {
        int one = sequences[i] ? verdict(ctx, i, sequences[i]) : 1;
        if (one < 0)
            return one;
        all = one == 0 ? 0 : all;
    }
    return all;
}

static void end(const struct weft_waits *w, struct weft_commit *commit, int err)
{
    if (w->end)
        w->end(w->end_ctx, commit, err);
    else
        commit->done(commit, err);
}

bool weft_waits_look(struct weft_waits *w, weft_waits_verdict *verdict, void *ctx)
{
    while (w->first < w->next) {
        size_t slot = w->first % w->max;
        int result = weft_waits_judge(w, &w->sequences[slot * w->n_places], verdict, ctx);
        if (result == 0)
            return false;
        struct weft_commit *commit = w->commits[slot];
        w->commits[slot] = NULL;
        w->first++; /* before done, which may make room for others to wait */
        if (commit)
            end(w, commit, result < 0 ? result : 0);
    }
    return true;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* parked.c: see parked.h. Room is taken before the journal's lock is; when places came meanwhile, once more. */
#include "agent/parked.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

enum { SPARE = 16 };

struct copying {
    struct weft_parked_list list;
    size_t room;
    bool is_short;
};

static void copy(void *ctx, const struct weft_parked *parked)
{
    struct copying *c = ctx;

    c->is_short = c->list.n == c->room;
    if (c->is_short)
        return;
    struct weft_parked_place *p = &c->list.places[c->list.n++];
    *p = (struct weft_parked_place){ .hold = parked->hold, .settled_sequence = parked->settled_sequence,
                                     .waiting_records = parked->waiting_records, .waiting_items = parked->waiting_items };
    (void)snprintf(p->name, sizeof p->name, "%s", parked->name);
}

/* Places keep their order, so looking where it was before finds it at once. */
static const struct weft_parked_place *find(const struct weft_parked_list *list, const char *name, size_t near)
{
    for (size_t i = 0; i < list->n; i++) {
        const struct weft_parked_place *p = &list->places[(near + i) % list->n];
        if (strcmp(p->name, name) == 0)
            return p;
    }
    return NULL;
}

static void keep_notes(const struct weft_parked_list *before, struct weft_parked_list *now)
{
    for (size_t i = 0; i < now->n; i++) {
        const struct weft_parked_place *known = find(before, now->places[i].name, i);
        if (!known)
            continue;
        now->places[i].is_noted = known->is_noted;
        now->places[i].since_ms = known->since_ms;
    }
}

int weft_parked_read(struct weft_parked_list *list, struct weft_journal *journal)
{
    struct copying c = { .room = 0 };
    struct weft_journal_stats stats;

    do {
        free(c.list.places);
        weft_journal_stats(journal, &stats);
        c = (struct copying){ .room = stats.n_parked ? stats.n_parked + SPARE : 0 };
        if (c.room == 0)
            break;
        c.list.places = malloc(c.room * sizeof *c.list.places);
        if (!c.list.places)
            return UV_ENOMEM;
        weft_journal_parked(journal, copy, &c);
    } while (c.is_short);
    keep_notes(list, &c.list);
    weft_parked_release(list);
    *list = c.list;
    return 0;
}

void weft_parked_release(struct weft_parked_list *list)
{
    free(list->places);
    *list = (struct weft_parked_list){ .n = 0 };
}

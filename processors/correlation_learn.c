/* SPDX-License-Identifier: Apache-2.0 */
/* correlation_learn.c: what the items of one request teach about each other.
 *
 * An open-addressing table in the request's arena; it starts with the first lesson, so requests that teach nothing pay nothing.
 *
 *   (1) At most half of the places are taken, so a search ends.
 *   (2) The hash is keyed with a number that no peer knows: nobody can make all lessons collide.
 *
 * One request, one thread. */
#include "processors/correlation_parts.h"

#include "core/hash.h"

#include <stdatomic.h>
#include <sys/random.h>

enum { FIRST_PLACES = 64, PLACES_MAX = 1 << 20 };

struct learned {
    struct lesson *places;
    size_t n, n_places; /* lessons; places, a power of two */
};

/* A secret of this process, made on first use; two threads may make it at once, one wins. */
static uint64_t secret(void)
{
    static _Atomic uint64_t value;
    uint64_t seen = atomic_load_explicit(&value, memory_order_relaxed), made = 0;

    if (seen)
        return seen;
    if (getrandom(&made, sizeof made, GRND_NONBLOCK) != (ssize_t)sizeof made)
        made = (uint64_t)(uintptr_t)&made;
    made |= 1;
    return atomic_compare_exchange_strong(&value, &seen, made) ? made : seen;
}

/* The place of `key`, or the free one where it belongs. */
static struct lesson *find(const struct learned *t, struct weft_slice key, uint64_t hash)
{
    for (size_t at = hash;; at++) {
        struct lesson *place = &t->places[at & (t->n_places - 1)];

        if (place->key.len == 0 || (place->hash == hash && weft_slice_equal(place->key, key)))
            return place;
    }
}

static struct lesson *make_places(struct weft_arena *scratch, size_t n)
{
    struct lesson *places = weft_arena_alloc(scratch, n * sizeof *places);

    if (places)
        memset(places, 0, n * sizeof *places);
    return places;
}

static bool make_room(struct work *w, struct learned **table)
{
    struct learned *t = *table;

    if (t && t->n * 2 < t->n_places)
        return true;
    if (t && t->n_places == PLACES_MAX)
        return false;

    struct learned *bigger = weft_arena_alloc(w->scratch, sizeof *bigger);
    if (!bigger)
        return false;
    *bigger = (struct learned){ .n = t ? t->n : 0, .n_places = t ? 2 * t->n_places : FIRST_PLACES };
    bigger->places = make_places(w->scratch, bigger->n_places);
    if (!bigger->places)
        return false;
    for (size_t i = 0; t && i < t->n_places; i++)
        if (t->places[i].key.len > 0)
            *find(bigger, t->places[i].key, t->places[i].hash) = t->places[i];
    *table = bigger;
    return true;
}

static bool same_trace(const uint8_t *a, const uint8_t *b)
{
    return memcmp(a, b, TRACE_ID_LEN) == 0;
}

/* Adds to a lesson that is there already. */
static bool refine(struct lesson *l, struct weft_slice id, enum strength strength, const uint8_t *trace_id)
{
    bool news = false;

    if (strength > l->strength) {
        l->id = id;
        l->strength = (uint8_t)strength;
        news = true;
    }
    if (trace_id && !l->trace_id && !l->torn) {
        l->trace_id = trace_id;
        news = true;
    } else if (trace_id && l->trace_id && !same_trace(trace_id, l->trace_id)) {
        l->trace_id = NULL;
        l->torn = true;
    }
    return news;
}

bool weft_correlation_teach(struct work *w, struct learned **table, struct weft_slice key, struct weft_slice id,
                            enum strength strength, const uint8_t *trace_id)
{
    if (!make_room(w, table))
        return false;

    const uint64_t hash = weft_hash64(key, secret());
    struct lesson *place = find(*table, key, hash);
    if (place->key.len > 0)
        return refine(place, id, strength, trace_id);
    *place = (struct lesson){ .key = key, .id = id, .trace_id = trace_id, .hash = hash, .strength = (uint8_t)strength };
    (*table)->n++;
    return true;
}

const struct lesson *weft_correlation_recall(const struct learned *table, struct weft_slice key)
{
    if (!table)
        return NULL;

    const struct lesson *place = find(table, key, weft_hash64(key, secret()));
    return place->key.len > 0 ? place : NULL;
}

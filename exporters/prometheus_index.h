/* SPDX-License-Identifier: Apache-2.0 */
/* prometheus_index.h: a ledger of memory, and a hash table from 64-bit keys to pointers that stays inside it.
 *
 *   (1) ledger.used never exceeds ledger.limit; an allocation that would is refused like one that failed.
 *   (2) A key is a hash with a random seed of the whole identity, so that two identities meet once in 2^64 and
 *       a sender cannot make them meet: the table compares keys alone.
 *
 * One thread.
 */
#ifndef WEFT_EXPORTERS_PROMETHEUS_INDEX_H
#define WEFT_EXPORTERS_PROMETHEUS_INDEX_H

#include "core/ledger.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct weft_prom_ledger {
    uint64_t used, limit;
    struct weft_account *account; /* holds `taken` bytes: used ones, in steps; NULL: nobody */
    uint64_t taken;
};

/* `size` zeroed bytes, or NULL: over the limit, or out of memory. */
void *weft_prom_alloc(struct weft_prom_ledger *l, size_t size);
/* Accepts NULL. `size` as it was asked for. */
void weft_prom_free(struct weft_prom_ledger *l, void *p, size_t size);

struct weft_prom_slot { uint64_t key; void *value; };

struct weft_prom_index {
    struct weft_prom_slot *slots; /* linear probing; value NULL: free */
    size_t n, cap;                /* cap: 0 or a power of two, at least n * 4 / 3 */
};

void weft_prom_index_release(struct weft_prom_index *x, struct weft_prom_ledger *l);

/* The value under `key`, or NULL. */
void *weft_prom_index_get(const struct weft_prom_index *x, uint64_t key);

/* Adds a key that is not there yet. False: no memory, nothing changed. */
bool weft_prom_index_put(struct weft_prom_index *x, struct weft_prom_ledger *l, uint64_t key, void *value);

/* Removes `key` if it leads to `value`. */
void weft_prom_index_remove(struct weft_prom_index *x, uint64_t key, const void *value);

#endif

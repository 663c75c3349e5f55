/* SPDX-License-Identifier: Apache-2.0 */
/* ledger.h: who holds how many bytes, under one limit.
 *
 * Accounts form a tree. A leaf belongs to an owner of buffers ("exporter/elasticsearch", "scratch"); the nodes above it
 * are budgets that several owners share; the root is the limit. An account has a guarantee, which is set aside for it
 * in the account above whether it is used or not, and may take more as long as the accounts above have room.
 *
 *   (1) Bytes taken under an account never exceed its limit, at no instant: a take that would is refused and changes nothing.
 *       So owners, all together, stay inside the root's limit.
 *   (2) A take inside the guarantee never fails because of others (a bulkhead).
 *   (3) Taking and giving is lock-free and costs one compare-and-swap inside the guarantee, one for each level above it; owners
 *       take in blocks (of an arena, of a growing buffer), never per item.
 *
 * A NULL account takes and gives everything: code that has an account works without one. Any thread, but for open and close.
 */
#ifndef WEFT_CORE_LEDGER_H
#define WEFT_CORE_LEDGER_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Of one owner. The first line holds all that a take touches. */
struct weft_account {
    alignas(64) _Atomic uint64_t used; /* of a node that has accounts under it: their guarantees, and what they took beyond */
    _Atomic uint64_t peak, refused;    /* most that was used; takes that were refused */
    uint64_t guarantee, limit;
    uint64_t promised;                 /* guarantees of the accounts under it; only while they are opened does it change */
    struct weft_account *parent, *next;
    char *name;
    bool leaf;
};

struct weft_ledger;

/* A ledger whose root may hold `limit` bytes. 0 or UV_ENOMEM. */
int weft_ledger_open(struct weft_ledger **ret_ledger, uint64_t limit);

/* Frees the accounts too; nobody may use one any more. Accepts NULL. */
void weft_ledger_close(struct weft_ledger *l);

/* What it was opened with. */
uint64_t weft_ledger_limit(const struct weft_ledger *l);

/* A new account `name` (copied) under `parent` (NULL: the root). `limit` 0: as much as those above give. The guarantee is set aside
 * even when there is no room for it: weft_ledger_overbooked() tells. NULL: no memory. */
struct weft_account *weft_account_open(struct weft_ledger *l, struct weft_account *parent, const char *name,
                                       uint64_t guarantee, uint64_t limit);

/* By how many bytes guarantees pass what the root may hold; 0: they fit. */
uint64_t weft_ledger_overbooked(const struct weft_ledger *l);

/* Takes `n` bytes. False: there is no room, nothing was taken. */
bool weft_account_take(struct weft_account *a, uint64_t n);

/* Gives back what was taken (or added). */
void weft_account_give(struct weft_account *a, uint64_t n);

/* Counts what is there already and cannot be refused, even beyond the limit; bounded by other means. */
void weft_account_add(struct weft_account *a, uint64_t n);

/* The owner counts for itself and holds `n` bytes now. One thread an account, which uses neither take nor give on it. */
void weft_account_set(struct weft_account *a, uint64_t n);

/* What it could hold when nobody else holds more than its guarantee; what is larger will never be granted. After the last open. */
uint64_t weft_account_most(const struct weft_account *a);

/* Takes that were refused to others, under all of the ledger. When it rises, somebody is short of what this owner may have beyond its
 * guarantee. */
uint64_t weft_account_refused_others(const struct weft_account *a);

/* What is left of its guarantee. */
uint64_t weft_account_sure(const struct weft_account *a);

/* What a take could get right now: a hint. */
uint64_t weft_account_room(const struct weft_account *a);

/* Calls `visit` for each owner (leaf), in the order of opening; ends when it says false. */
void weft_ledger_visit(const struct weft_ledger *l, bool (*visit)(void *ctx, const struct weft_account *a), void *ctx);

/* Bytes of all owners. */
uint64_t weft_ledger_used(const struct weft_ledger *l);

#endif

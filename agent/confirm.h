/* SPDX-License-Identifier: Apache-2.0 */
/* confirm.h: the part of a sink that lets a yes wait for the disk: who waits, for which journals, and how the loop hears.
 *
 * A journal's thread makes records durable and tells its watchers. One that has somebody waiting rings its loop's bell, and on
 * the loop everybody who is done is ended. Nobody who waits is missed: the loop sets its mark and then looks, the journal's
 * thread moves what is durable and then looks for the mark, with a fence between on both sides.
 *
 * Everything is called on the loop's thread, but for what says otherwise.
 */
#ifndef WEFT_AGENT_CONFIRM_H
#define WEFT_AGENT_CONFIRM_H

#include "core/component.h"

struct weft_confirm;

/* For commits into these journals, which must live longer. *ret_confirm is NULL when yes waits for none of them. 0 or UV_ENOMEM.
 * Main thread. */
int weft_confirm_new(struct weft_confirm **ret_confirm, struct weft_journal *const *journals, size_t n);

/* Nobody may wait any more. Accepts NULL. Main thread. */
void weft_confirm_free(struct weft_confirm *c);

/* ring(ctx) makes the loop call weft_confirm_look soon; it is called on any thread. Before the first await. Main thread. */
void weft_confirm_set_ring(struct weft_confirm *c, void (*ring)(void *ctx), void *ctx);

/* end(ctx, commit, err) is called where commit->done would be. Before the first await. Main thread. */
void weft_confirm_set_end(struct weft_confirm *c, void (*end)(void *ctx, struct weft_commit *commit, int err), void *ctx);

/* No more can wait: refuse the commit. */
bool weft_confirm_full(const struct weft_confirm *c);

/* sequences[i]: what journal number i gave the record, 0 when it has no part in it. False: durable already. */
bool weft_confirm_await(struct weft_confirm *c, struct weft_commit *commit, const uint64_t *sequences);
void weft_confirm_forget(struct weft_confirm *c, const struct weft_commit *commit);

/* Ends those who can be ended. */
void weft_confirm_look(struct weft_confirm *c);

#endif

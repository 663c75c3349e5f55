/* SPDX-License-Identifier: Apache-2.0 */
/* arena.h: a bump allocator with a ceiling, for what lives and dies together.
 *
 *   (1) used + what is asked for never exceeds the limit given at birth.
 *   (2) Everything allocated is freed at once, by reset or release.
 *   (3) After a reset the largest block of at most 1 MiB is kept, so a steady state allocates nothing.
 *   (4) Where there is an account, it holds the bytes of all blocks; what it refuses is not allocated.
 *
 * An arena belongs to one thread at a time.
 */
#ifndef WEFT_CORE_ARENA_H
#define WEFT_CORE_ARENA_H

#include "core/ledger.h"
#include "core/slice.h"

struct weft_arena_block;

struct weft_arena {
    struct weft_arena_block *blocks; /* newest first; a reset leaves at most one */
    uint8_t *at, *end;               /* free room in the newest block */
    size_t used, limit;              /* bytes handed out since the reset; the ceiling */
    bool refused;                    /* something was over the limit; whoever wants to know makes it false before */
    struct weft_account *account;    /* may be NULL. Set it while the arena has no blocks */
};

/* Makes an empty arena that will never hand out more than `limit` bytes. Allocates nothing yet. */
void weft_arena_init(struct weft_arena *a, size_t limit);

/* Frees all blocks. Accepts a zeroed arena; limit and account stay. */
void weft_arena_release(struct weft_arena *a);

/* Forgets every allocation; keeps one block for the next round. */
void weft_arena_reset(struct weft_arena *a);

/* `size` bytes, aligned for any type, not zeroed. NULL: over the limit, refused by the account, or out of memory. */
void *weft_arena_alloc(struct weft_arena *a, size_t size);

/* A copy of `bytes` in the arena with a NUL behind it (not counted in len). data == NULL: no room. */
struct weft_slice weft_arena_copy(struct weft_arena *a, struct weft_slice bytes);

#endif

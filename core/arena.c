/* SPDX-License-Identifier: Apache-2.0 */
/* arena.c: see arena.h. Blocks form a list; each is at least MIN_BLOCK bytes so that small requests cost one
 * malloc together, and at least twice the one before it (up to KEEP_MAX), so that a steady state comes to one block. */
#include "core/arena.h"

#include <stdalign.h>
#include <stdlib.h>

enum { MIN_BLOCK = 16 * 1024, KEEP_MAX = 1024 * 1024 };

struct weft_arena_block {
    struct weft_arena_block *older;
    size_t size;
    alignas(max_align_t) uint8_t bytes[];
};

void weft_arena_init(struct weft_arena *a, size_t limit)
{
    *a = (struct weft_arena){ .limit = limit };
}

static void free_block(struct weft_arena *a, struct weft_arena_block *b)
{
    weft_account_give(a->account, sizeof *b + b->size);
    free(b);
}

void weft_arena_release(struct weft_arena *a)
{
    for (struct weft_arena_block *b = a->blocks, *older; b; b = older) {
        older = b->older;
        free_block(a, b);
    }
    *a = (struct weft_arena){ .limit = a->limit, .account = a->account };
}

/* The largest block worth keeping; NULL when every one is too large for that. */
static struct weft_arena_block *find_keeper(const struct weft_arena *a)
{
    struct weft_arena_block *keeper = NULL;

    for (struct weft_arena_block *b = a->blocks; b; b = b->older)
        if (b->size <= KEEP_MAX && (!keeper || b->size > keeper->size))
            keeper = b;
    return keeper;
}

void weft_arena_reset(struct weft_arena *a)
{
    struct weft_arena_block *keeper = find_keeper(a);

    for (struct weft_arena_block *b = a->blocks, *older; b; b = older) {
        older = b->older;
        if (b != keeper)
            free_block(a, b);
    }
    if (keeper)
        keeper->older = NULL;
    a->blocks = keeper;
    a->used = 0;
    a->at = keeper ? keeper->bytes : NULL;
    a->end = keeper ? keeper->bytes + keeper->size : NULL;
}

/* Twice the newest block or more, so that what a steady state needs soon fits the one block that a reset keeps. */
static size_t next_size(const struct weft_arena *a, size_t size)
{
    size_t room = a->blocks ? a->blocks->size * 2 : MIN_BLOCK;

    if (room > KEEP_MAX)
        room = KEEP_MAX;
    return size > room ? size : room;
}

static int grow(struct weft_arena *a, size_t size)
{
    size_t room = next_size(a, size);

    if (!weft_account_take(a->account, sizeof(struct weft_arena_block) + room)) {
        room = size;
        if (!weft_account_take(a->account, sizeof(struct weft_arena_block) + room))
            return -1;
    }
    struct weft_arena_block *block = malloc(sizeof *block + room);
    if (!block) {
        weft_account_give(a->account, sizeof *block + room);
        return -1;
    }
    block->older = a->blocks;
    block->size = room;
    a->blocks = block;
    a->at = block->bytes;
    a->end = block->bytes + room;
    return 0;
}

void *weft_arena_alloc(struct weft_arena *a, size_t size)
{
    const size_t align = alignof(max_align_t);

    if (size > a->limit - a->used) {
        a->refused = true;
        return NULL;
    }
    size = (size + align - 1) & ~(align - 1);
    if (size > (size_t)(a->end - a->at) && grow(a, size) < 0)
        return NULL;

    void *p = a->at;
    a->at += size;
    a->used = size < a->limit - a->used ? a->used + size : a->limit;
    return p;
}

struct weft_slice weft_arena_copy(struct weft_arena *a, struct weft_slice bytes)
{
    uint8_t *p = weft_arena_alloc(a, bytes.len + 1);

    if (!p)
        return weft_slice_of(NULL, 0);
    if (bytes.len)
        memcpy(p, bytes.data, bytes.len);
    p[bytes.len] = 0;
    return weft_slice_of(p, bytes.len);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* arena.c: see arena.h. Blocks form a list; each is at least MIN_BLOCK bytes so that
 * small requests cost one malloc together. */
#include "core/arena.h"

#include <stdalign.h>
#include <stdlib.h>

enum { MIN_BLOCK = 16 * 1024 };

struct weft_arena_block {
    struct weft_arena_block *older;
    size_t size;
    alignas(max_align_t) uint8_t bytes[];
};

void weft_arena_init(struct weft_arena *a, size_t limit)
{
    *a = (struct weft_arena){ .limit = limit };
}

static void free_down_to(struct weft_arena *a, struct weft_arena_block *last)
{
    while (a->blocks != last) {
        struct weft_arena_block *older = a->blocks->older;
        free(a->blocks);
        a->blocks = older;
    }
}

void weft_arena_release(struct weft_arena *a)
{
    free_down_to(a, NULL);
    *a = (struct weft_arena){ .limit = a->limit };
}

void weft_arena_reset(struct weft_arena *a)
{
    struct weft_arena_block *oldest = a->blocks;

    while (oldest && oldest->older)
        oldest = oldest->older;
    free_down_to(a, oldest);
    a->used = 0;
    a->at = oldest ? oldest->bytes : NULL;
    a->end = oldest ? oldest->bytes + oldest->size : NULL;
}

static int grow(struct weft_arena *a, size_t size)
{
    size_t room = size > MIN_BLOCK ? size : MIN_BLOCK;
    struct weft_arena_block *block = malloc(sizeof *block + room);

    if (!block)
        return -1;
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

/* SPDX-License-Identifier: Apache-2.0 */
/* grpc_pool.c: see grpc_pool.h. Class k holds blocks of SMALLEST << k bytes; larger ones are never kept. */
#include "core/grpc_pool.h"

#include "core/err.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

static const size_t SMALLEST = 4096;

void weft_grpc_pool_init(struct weft_grpc_pool *p, uint64_t limit, uint64_t keep)
{
    *p = (struct weft_grpc_pool){ .limit = limit ? limit : UINT64_MAX, .keep = keep };
}

void weft_grpc_pool_release(struct weft_grpc_pool *p)
{
    assert(p->used == 0);
    weft_grpc_pool_trim(p);
}

static unsigned class_of(size_t cap)
{
    unsigned k = 0;

    while (k < WEFT_GRPC_POOL_CLASSES && SMALLEST << k < cap)
        k++;
    return k;
}

static uint8_t *take_spare(struct weft_grpc_pool *p, size_t cap)
{
    unsigned k = class_of(cap);

    if (k == WEFT_GRPC_POOL_CLASSES || p->n_spare[k] == 0)
        return NULL;
    p->kept -= cap;
    return p->spare[k][--p->n_spare[k]];
}

static void keep_or_free(struct weft_grpc_pool *p, struct weft_grpc_block block)
{
    unsigned k = class_of(block.cap);

    if (k < WEFT_GRPC_POOL_CLASSES && p->n_spare[k] < WEFT_GRPC_POOL_SPARES && block.cap <= p->keep - p->kept) {
        p->spare[k][p->n_spare[k]++] = block.data;
        p->kept += block.cap;
        return;
    }
    free(block.data);
    weft_account_give(p->account, block.cap);
}

/* Large blocks grow in place where the system can, so that one message never needs its room twice over. */
static int grow_large(struct weft_grpc_pool *p, struct weft_grpc_block *block, size_t cap)
{
    if (!weft_account_take(p->account, cap - block->cap))
        return WEFT_ERR_LIMIT;
    uint8_t *data = realloc(block->data, cap);
    if (!data) {
        weft_account_give(p->account, cap - block->cap);
        return UV_ENOMEM;
    }
    *block = (struct weft_grpc_block){ data, cap };
    return 0;
}

static int grow_small(struct weft_grpc_pool *p, struct weft_grpc_block *block, size_t len, size_t cap)
{
    struct weft_grpc_block bigger = { take_spare(p, cap), cap };

    if (!bigger.data) {
        if (!weft_account_take(p->account, cap))
            return WEFT_ERR_LIMIT;
        bigger.data = malloc(cap);
    }
    if (!bigger.data) {
        weft_account_give(p->account, cap);
        return UV_ENOMEM;
    }
    if (len)
        memcpy(bigger.data, block->data, len);
    if (block->data)
        keep_or_free(p, *block);
    *block = bigger;
    return 0;
}

static size_t rounded(size_t size)
{
    unsigned k = class_of(size);

    return k < WEFT_GRPC_POOL_CLASSES ? SMALLEST << k : size;
}

int weft_grpc_pool_grow(struct weft_grpc_pool *p, struct weft_grpc_block *block, size_t len, size_t size)
{
    size_t cap = rounded(size), had = block->cap;

    if (size <= had)
        return 0;
    if (cap - had > p->limit - p->used)
        return WEFT_ERR_LIMIT;

    int err = class_of(cap) < WEFT_GRPC_POOL_CLASSES ? grow_small(p, block, len, cap) : grow_large(p, block, cap);
    if (!err)
        p->used += cap - had;
    return err;
}

void weft_grpc_pool_give(struct weft_grpc_pool *p, struct weft_grpc_block *block)
{
    if (!block->data)
        return;
    assert(p->used >= block->cap);
    p->used -= block->cap;
    keep_or_free(p, *block);
    *block = (struct weft_grpc_block){ 0 };
}

void weft_grpc_pool_trim(struct weft_grpc_pool *p)
{
    for (unsigned k = 0; k < WEFT_GRPC_POOL_CLASSES; k++)
        while (p->n_spare[k] > 0)
            free(p->spare[k][--p->n_spare[k]]);
    weft_account_give(p->account, p->kept);
    p->kept = 0;
}

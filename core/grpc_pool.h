/* SPDX-License-Identifier: Apache-2.0 */
/* grpc_pool.h: the blocks that messages are gathered in, and the ledger over them.
 *
 *   (1) Bytes of blocks handed out never exceed the limit, nor what the account gives, whatever connections and streams
 *       ask for.
 *   (2) Small sizes are powers of two, so a block fits the next message too; a few are kept for it.
 *   (3) What is kept is bounded as well and given back to the system by a trim.
 *
 * A pool belongs to one loop.
 */
#ifndef WEFT_CORE_GRPC_POOL_H
#define WEFT_CORE_GRPC_POOL_H

#include "core/ledger.h"

#include <stddef.h>
#include <stdint.h>

enum { WEFT_GRPC_POOL_CLASSES = 7, WEFT_GRPC_POOL_SPARES = 16 };

struct weft_grpc_block {
    uint8_t *data;
    size_t cap;
};

struct weft_grpc_pool {
    uint64_t used, limit;     /* bytes of blocks that are out; their ceiling */
    uint64_t kept, keep;      /* bytes of blocks that wait for use; their ceiling */
    struct weft_account *account; /* holds used and kept bytes; NULL: nobody */
    unsigned n_spare[WEFT_GRPC_POOL_CLASSES];
    uint8_t *spare[WEFT_GRPC_POOL_CLASSES][WEFT_GRPC_POOL_SPARES];
};

/* `limit` 0: none. Allocates nothing yet. */
void weft_grpc_pool_init(struct weft_grpc_pool *p, uint64_t limit, uint64_t keep);

/* Frees what is kept; nothing may be out. */
void weft_grpc_pool_release(struct weft_grpc_pool *p);

/* Makes *block hold at least `size` bytes; its first `len` bytes stay. WEFT_ERR_LIMIT or UV_ENOMEM: *block is as it was. */
int weft_grpc_pool_grow(struct weft_grpc_pool *p, struct weft_grpc_block *block, size_t len, size_t size);

/* Takes a block back; accepts an empty one and empties it. */
void weft_grpc_pool_give(struct weft_grpc_pool *p, struct weft_grpc_block *block);

/* Frees what is kept. */
void weft_grpc_pool_trim(struct weft_grpc_pool *p);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* grpc_memory.h: the allocator that nghttp2's sessions of one server use, so that what they hold is known and bounded.
 *
 *   (1) `used` is what all sessions hold. Above three quarters of the limit no session is opened, above the limit no
 *       stream is; sessions that exist go on, and what one may hold besides streams is bounded by HPACK. The same when
 *       the account has no room for a further step.
 *   (2) The buffer that a session packs frames into holds nothing between two calls, so all sessions share one: 16 KB
 *       that an idle connection does not cost.
 *
 * Belongs to one loop.
 */
#ifndef WEFT_CORE_GRPC_MEMORY_H
#define WEFT_CORE_GRPC_MEMORY_H

#include "core/ledger.h"

#include <nghttp2/nghttp2.h>
#include <stdbool.h>
#include <stdint.h>

enum { WEFT_GRPC_MEMORY_STEP = 64 * 1024 };

struct weft_grpc_memory {
    nghttp2_mem mem;
    uint64_t used, limit;
    struct weft_account *account; /* holds `taken` bytes: what is used, in steps of WEFT_GRPC_MEMORY_STEP; NULL: nobody */
    uint64_t taken;
    void *pack_buffer;      /* the shared one */
    bool opening;           /* a session is being made: its large block is the pack buffer */
};

/* `limit` 0: none. 0 or UV_ENOMEM. */
int weft_grpc_memory_init(struct weft_grpc_memory *m, uint64_t limit, struct weft_account *account);
void weft_grpc_memory_release(struct weft_grpc_memory *m); /* no session may be left; accepts a zeroed one */

/* A server session; counts into the memory. WEFT_ERR_LIMIT or UV_ENOMEM. */
int weft_grpc_memory_session(struct weft_grpc_memory *m, nghttp2_session **ret_session,
                             const nghttp2_session_callbacks *callbacks, const nghttp2_option *option, void *user_data);

/* There is room for one more stream. */
static inline bool weft_grpc_memory_room(const struct weft_grpc_memory *m)
{
    return m->used < m->limit && (m->used < m->taken || weft_account_room(m->account) >= WEFT_GRPC_MEMORY_STEP);
}

#endif

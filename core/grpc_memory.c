/* SPDX-License-Identifier: Apache-2.0 */
/* grpc_memory.c: see grpc_memory.h.
 *
 * That the pack buffer can be shared: nghttp2_session_mem_send packs one frame into it and returns a pointer to the frame in the
 * same call; the caller copies it at once, and the next frame is packed from its beginning. A header block
 * that needs more takes further blocks, which are the session's own.
 */
#include "core/grpc_memory.h"

#include "core/err.h"

#include <assert.h>
#include <malloc.h>
#include <stdlib.h>
#include <uv.h>

/* Larger than anything else a new session allocates; nghttp2 asks for 16 KB and the frame header. */
enum { PACK_LEAST = 16 * 1024, PACK_MOST = 20 * 1024 };

/* Brings the account up to date: at most two steps behind, so that it is touched once in hundreds of allocations. */
static void settle(struct weft_grpc_memory *m)
{
    while (m->used > m->taken) {
        weft_account_add(m->account, WEFT_GRPC_MEMORY_STEP);
        m->taken += WEFT_GRPC_MEMORY_STEP;
    }
    while (m->taken - m->used > 2 * WEFT_GRPC_MEMORY_STEP) {
        weft_account_give(m->account, WEFT_GRPC_MEMORY_STEP);
        m->taken -= WEFT_GRPC_MEMORY_STEP;
    }
}

static void *counted(struct weft_grpc_memory *m, void *p)
{
    m->used += malloc_usable_size(p);
    settle(m);
    return p;
}

static void discount(struct weft_grpc_memory *m, void *p)
{
    assert(m->used >= malloc_usable_size(p));
    m->used -= malloc_usable_size(p);
    settle(m);
}

static bool wants_pack_buffer(const struct weft_grpc_memory *m, size_t size)
{
    return m->opening && size >= PACK_LEAST && size <= PACK_MOST;
}

static void *take(size_t size, void *user_data)
{
    struct weft_grpc_memory *m = user_data;

    return wants_pack_buffer(m, size) ? m->pack_buffer : counted(m, malloc(size));
}

static void give(void *p, void *user_data)
{
    struct weft_grpc_memory *m = user_data;

    if (p == m->pack_buffer)
        return;
    discount(m, p);
    free(p);
}

static void *take_zeroed(size_t n, size_t size, void *user_data)
{
    return counted(user_data, calloc(n, size));
}

static void *change(void *p, size_t size, void *user_data)
{
    struct weft_grpc_memory *m = user_data;

    if (!p)
        return take(size, user_data);
    assert(p != m->pack_buffer); /* nghttp2 replaces it, it never grows it */
    const size_t had = malloc_usable_size(p);
    void *q = realloc(p, size);
    if (q)
        m->used = m->used - had + malloc_usable_size(q);
    settle(m);
    return q;
}

int weft_grpc_memory_init(struct weft_grpc_memory *m, uint64_t limit, struct weft_account *account)
{
    *m = (struct weft_grpc_memory){
        .mem = { .malloc = take, .free = give, .calloc = take_zeroed, .realloc = change },
        .limit = limit ? limit : UINT64_MAX,
        .account = account,
        .pack_buffer = malloc(PACK_MOST),
    };
    return m->pack_buffer ? 0 : UV_ENOMEM;
}

void weft_grpc_memory_release(struct weft_grpc_memory *m)
{
    assert(m->used == 0);
    weft_account_give(m->account, m->taken);
    free(m->pack_buffer);
    *m = (struct weft_grpc_memory){ 0 };
}

int weft_grpc_memory_session(struct weft_grpc_memory *m, nghttp2_session **ret_session,
                             const nghttp2_session_callbacks *callbacks, const nghttp2_option *option, void *user_data)
{
    if (m->used > m->limit / 4 * 3 || !weft_grpc_memory_room(m))
        return WEFT_ERR_LIMIT;
    m->mem.mem_user_data = m;
    m->opening = true;
    int err = nghttp2_session_server_new3(ret_session, callbacks, user_data, option, &m->mem);
    m->opening = false;
    return err ? UV_ENOMEM : 0;
}

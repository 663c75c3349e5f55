/* SPDX-License-Identifier: Apache-2.0 */
/* grpc_frame.c: see grpc_frame.h. */
#include "core/grpc_frame.h"

#include "core/err.h"

#include <assert.h>
#include <string.h>

/* A first block of this size serves nearly every message whole; a liar who claims more gets no more for it. */
static const size_t FIRST_BLOCK = 64 * 1024;

static size_t declared(const struct weft_grpc_frame *f)
{
    return (size_t)f->prefix[1] << 24 | (size_t)f->prefix[2] << 16 | (size_t)f->prefix[3] << 8 | f->prefix[4];
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static int take_prefix(struct weft_grpc_frame *f, size_t max, struct weft_slice *in)
{
    size_t n = least(in->len, (size_t)(WEFT_GRPC_PREFIX - f->n_prefix));

    if (n == 0)
        return 0;
    memcpy(f->prefix + f->n_prefix, in->data, n);
    f->n_prefix = (uint8_t)(f->n_prefix + n);
    *in = weft_slice_from(*in, n);
    if (f->n_prefix < WEFT_GRPC_PREFIX)
        return 0;
    if (f->prefix[0] > 1)
        return WEFT_ERR_MALFORMED;
    return declared(f) > max ? WEFT_ERR_TOO_LARGE : 0;
}

static int make_room(struct weft_grpc_frame *f, struct weft_grpc_pool *pool, size_t extra)
{
    size_t need = f->len + extra, size;

    if (need <= f->block.cap)
        return 0;
    size = f->block.cap ? f->block.cap * 2 : FIRST_BLOCK;
    if (size < need)
        size = need;
    return weft_grpc_pool_grow(pool, &f->block, f->len, least(size, declared(f)));
}

int weft_grpc_frame_take(struct weft_grpc_frame *f, struct weft_grpc_pool *pool, size_t max, struct weft_slice in)
{
    int err = take_prefix(f, max, &in);

    if (err || in.len == 0)
        return err;
    if (f->direct.data || in.len > declared(f) - f->len)
        return WEFT_ERR_MALFORMED;
    err = make_room(f, pool, in.len);
    if (err)
        return err;
    memcpy(f->block.data + f->len, in.data, in.len);
    f->len += in.len;
    return 0;
}

int weft_grpc_frame_take_all(struct weft_grpc_frame *f, struct weft_grpc_pool *pool, size_t max, struct weft_slice in)
{
    if (f->n_prefix > 0)
        return weft_grpc_frame_take(f, pool, max, in);

    int err = take_prefix(f, max, &in);
    if (err)
        return err;
    if (f->n_prefix < WEFT_GRPC_PREFIX || in.len != declared(f) || in.len == 0)
        return in.len ? weft_grpc_frame_take(f, pool, max, in) : 0;
    f->direct = in;
    f->len = in.len;
    return 0;
}

bool weft_grpc_frame_whole(const struct weft_grpc_frame *f)
{
    return f->n_prefix == WEFT_GRPC_PREFIX && f->len == declared(f);
}

bool weft_grpc_frame_compressed(const struct weft_grpc_frame *f)
{
    return f->n_prefix > 0 && f->prefix[0] == 1;
}

struct weft_slice weft_grpc_frame_message(const struct weft_grpc_frame *f)
{
    assert(weft_grpc_frame_whole(f));
    return f->direct.data ? f->direct : weft_slice_of(f->block.data, f->len);
}

void weft_grpc_frame_release(struct weft_grpc_frame *f, struct weft_grpc_pool *pool)
{
    weft_grpc_pool_give(pool, &f->block);
    *f = (struct weft_grpc_frame){ 0 };
}

void weft_grpc_frame_prefix(uint8_t prefix[WEFT_GRPC_PREFIX], uint32_t len)
{
    prefix[0] = 0;
    prefix[1] = (uint8_t)(len >> 24);
    prefix[2] = (uint8_t)(len >> 16);
    prefix[3] = (uint8_t)(len >> 8);
    prefix[4] = (uint8_t)len;
}

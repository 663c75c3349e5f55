/* SPDX-License-Identifier: Apache-2.0 */
/* gzip.c: see gzip.h.
 *
 * Both directions are one loop: offer the library the input that is left and the room that is free, let it step, look.
 * At the ceiling it is offered one spare byte outside of the buffer: whatever would be written there is beyond the
 * ceiling, while a stream that ends exactly at it still gets to its trailer. isa-l and zlib differ in their step
 * functions alone; both keep the window that back references need in a state of their own, so the buffer may move.
 */
#include "core/gzip.h"

#include "core/err.h"

#include <stdlib.h>
#include <uv.h>
#include <zlib.h>

#ifdef WEFT_HAVE_ISAL
#include <isa-l.h>
#endif

enum { LEAST_ROOM = 4096, EXPECTED_RATIO = 16, GZIP_WINDOW = 15 + 16, GZIP_MIN_LEN = 18 };
enum { FLAGS_AT = 3, RESERVED_FLAGS = 0xe0 };
static const size_t MOST_AT_ONCE = 1u << 30; /* the libraries count in 32 bits */

/* One call of a library: what it is offered, and what came of it. */
struct step {
    struct weft_slice in;
    uint8_t *out;
    size_t room, produced;
    bool last;     /* no input follows `in` (compressing) */
    bool finished; /* the member is complete */
};

/* Room behind out->len for the next step, or the spare byte when the ceiling is reached. */
static int offer_room(struct weft_buf *out, uint8_t *spare, struct step *s)
{
    size_t left = out->limit - out->len;

    if (left == 0) {
        s->out = spare;
        s->room = 1;
        return 0;
    }
    if (out->cap - out->len == 0 && !weft_buf_reserve(out, left < LEAST_ROOM ? left : LEAST_ROOM))
        return out->err;
    s->out = out->data + out->len;
    s->room = out->cap - out->len < MOST_AT_ONCE ? out->cap - out->len : MOST_AT_ONCE;
    return 0;
}

/* Books what a step wrote. */
static int take_output(struct weft_buf *out, const uint8_t *spare, const struct step *s)
{
    if (s->out != spare)
        out->len += s->produced;
    else if (s->produced > 0)
        return WEFT_ERR_TOO_LARGE;
    return 0;
}

/* ---- decompressing ---- */
struct weft_gunzip {
    enum weft_gzip_library library;
    z_stream zlib;
#ifdef WEFT_HAVE_ISAL
    struct inflate_state isal;
#endif
};

static int inflate_zlib(struct weft_gunzip *g, struct step *s)
{
    size_t offered = s->in.len < MOST_AT_ONCE ? s->in.len : MOST_AT_ONCE;

    g->zlib.next_in = (z_const Bytef *)(uintptr_t)s->in.data;
    g->zlib.avail_in = (uInt)offered;
    g->zlib.next_out = s->out;
    g->zlib.avail_out = (uInt)s->room;
    int code = inflate(&g->zlib, Z_NO_FLUSH);
    s->in = weft_slice_from(s->in, offered - g->zlib.avail_in);
    s->produced = s->room - g->zlib.avail_out;
    s->finished = code == Z_STREAM_END;
    if (code == Z_MEM_ERROR)
        return UV_ENOMEM;
    return code == Z_OK || code == Z_BUF_ERROR || s->finished ? 0 : WEFT_ERR_MALFORMED;
}

#ifdef WEFT_HAVE_ISAL
static int inflate_isal(struct weft_gunzip *g, struct step *s)
{
    size_t offered = s->in.len < MOST_AT_ONCE ? s->in.len : MOST_AT_ONCE;

    g->isal.next_in = (uint8_t *)(uintptr_t)s->in.data;
    g->isal.avail_in = (uint32_t)offered;
    g->isal.next_out = s->out;
    g->isal.avail_out = (uint32_t)s->room;
    int code = isal_inflate(&g->isal);
    s->in = weft_slice_from(s->in, offered - g->isal.avail_in);
    s->produced = s->room - g->isal.avail_out;
    s->finished = g->isal.block_state == ISAL_BLOCK_FINISH;
    return code == ISAL_DECOMP_OK || code == ISAL_END_INPUT || code == ISAL_OUT_OVERFLOW ? 0 : WEFT_ERR_MALFORMED;
}
#endif

static void begin_member(struct weft_gunzip *g)
{
#ifdef WEFT_HAVE_ISAL
    if (g->library == WEFT_GZIP_FASTEST) {
        isal_inflate_reset(&g->isal);
        g->isal.crc_flag = ISAL_GZIP;
        return;
    }
#endif
    (void)inflateReset(&g->zlib);
}

static int inflate_step(struct weft_gunzip *g, struct step *s)
{
#ifdef WEFT_HAVE_ISAL
    if (g->library == WEFT_GZIP_FASTEST)
        return inflate_isal(g, s);
#endif
    return inflate_zlib(g, s);
}

int weft_gunzip_new_with(struct weft_gunzip **ret, enum weft_gzip_library library)
{
    struct weft_gunzip *g = calloc(1, sizeof *g);

    if (!g)
        return UV_ENOMEM;
    g->library = library;
#ifdef WEFT_HAVE_ISAL
    if (library == WEFT_GZIP_FASTEST) {
        isal_inflate_init(&g->isal);
        *ret = g;
        return 0;
    }
#endif
    if (inflateInit2(&g->zlib, GZIP_WINDOW) != Z_OK) {
        free(g);
        return UV_ENOMEM;
    }
    *ret = g;
    return 0;
}

int weft_gunzip_new(struct weft_gunzip **ret)
{
    return weft_gunzip_new_with(ret, WEFT_GZIP_FASTEST);
}

void weft_gunzip_free(struct weft_gunzip *g)
{
    if (!g)
        return;
    (void)inflateEnd(&g->zlib); /* does nothing to a stream that was never begun */
    free(g);
}

/* The trailer's claim of the size, believed as far as such bodies go, so that most are done in one step. */
static int reserve_expected(struct weft_slice in, struct weft_buf *out)
{
    const uint8_t *t = in.data + in.len - 4;
    size_t claim = (size_t)t[0] | (size_t)t[1] << 8 | (size_t)t[2] << 16 | (size_t)t[3] << 24;
    size_t believed = in.len * EXPECTED_RATIO, left = out->limit - out->len;

    if (claim > believed)
        claim = believed;
    if (claim > left)
        claim = left;
    return claim > 0 && !weft_buf_reserve(out, claim) ? out->err : 0;
}

static int run_member(struct weft_gunzip *g, struct weft_slice *in, struct weft_buf *out)
{
    uint8_t spare;

    /* RFC 1952 2.3.1.2: they must be zero. isa-l does not look. */
    if (in->len > FLAGS_AT && (in->data[FLAGS_AT] & RESERVED_FLAGS))
        return WEFT_ERR_MALFORMED;
    begin_member(g);
    for (;;) {
        struct step s = { .in = *in };
        int err = offer_room(out, &spare, &s);
        if (!err)
            err = inflate_step(g, &s);
        if (!err)
            err = take_output(out, &spare, &s);
        if (err)
            return err;
        bool moved = s.in.len != in->len || s.produced > 0;
        *in = s.in;
        if (s.finished)
            return 0;
        if (!moved)
            return WEFT_ERR_MALFORMED; /* truncated */
    }
}

int weft_gunzip_run(struct weft_gunzip *g, struct weft_slice in, struct weft_buf *out)
{
    if (in.len < GZIP_MIN_LEN)
        return WEFT_ERR_MALFORMED;

    int err = reserve_expected(in, out);
    while (!err && in.len > 0)
        err = run_member(g, &in, out);
    return err;
}

/* ---- compressing ---- */
struct weft_gzip {
    int level;
    bool fast; /* isa-l does it */
    z_stream zlib;
#ifdef WEFT_HAVE_ISAL
    struct isal_zstream isal;
    uint8_t *level_buf;
    uint32_t level_buf_size;
#endif
};

static int deflate_zlib(struct weft_gzip *g, struct step *s)
{
    size_t offered = s->in.len < MOST_AT_ONCE ? s->in.len : MOST_AT_ONCE;
    bool last = s->last && offered == s->in.len;

    g->zlib.next_in = (z_const Bytef *)(uintptr_t)s->in.data;
    g->zlib.avail_in = (uInt)offered;
    g->zlib.next_out = s->out;
    g->zlib.avail_out = (uInt)s->room;
    int code = deflate(&g->zlib, last ? Z_FINISH : Z_NO_FLUSH);
    s->in = weft_slice_from(s->in, offered - g->zlib.avail_in);
    s->produced = s->room - g->zlib.avail_out;
    s->finished = code == Z_STREAM_END;
    return code == Z_STREAM_ERROR ? UV_EINVAL : 0;
}

#ifdef WEFT_HAVE_ISAL
enum { ISAL_LEVELS = 3 };

static int deflate_isal(struct weft_gzip *g, struct step *s)
{
    size_t offered = s->in.len < MOST_AT_ONCE ? s->in.len : MOST_AT_ONCE;

    g->isal.next_in = (uint8_t *)(uintptr_t)s->in.data;
    g->isal.avail_in = (uint32_t)offered;
    g->isal.next_out = s->out;
    g->isal.avail_out = (uint32_t)s->room;
    g->isal.end_of_stream = s->last && offered == s->in.len;
    int code = isal_deflate(&g->isal);
    s->in = weft_slice_from(s->in, offered - g->isal.avail_in);
    s->produced = s->room - g->isal.avail_out;
    s->finished = g->isal.internal_state.state == ZSTATE_END;
    return code == COMP_OK ? 0 : UV_EINVAL;
}

static void begin_isal(struct weft_gzip *g)
{
    isal_deflate_init(&g->isal);
    g->isal.level = (uint32_t)g->level;
    g->isal.level_buf = g->level_buf;
    g->isal.level_buf_size = g->level_buf_size;
    g->isal.gzip_flag = IGZIP_GZIP;
}

static int open_isal(struct weft_gzip *g)
{
    static const uint32_t sizes[ISAL_LEVELS] = { ISAL_DEF_LVL1_DEFAULT, ISAL_DEF_LVL2_DEFAULT,
                                                 ISAL_DEF_LVL3_DEFAULT };

    g->level_buf_size = sizes[g->level - 1];
    g->level_buf = malloc(g->level_buf_size);
    g->fast = true;
    return g->level_buf ? 0 : UV_ENOMEM;
}
#endif

static int open_deflate(struct weft_gzip *g)
{
#ifdef WEFT_HAVE_ISAL
    if (g->level <= ISAL_LEVELS)
        return open_isal(g);
#endif
    int code = deflateInit2(&g->zlib, g->level, Z_DEFLATED, GZIP_WINDOW, 8, Z_DEFAULT_STRATEGY);
    return code == Z_OK ? 0 : UV_ENOMEM;
}

int weft_gzip_new(struct weft_gzip **ret, int level)
{
    if (level < 1 || level > 9)
        return UV_EINVAL;

    struct weft_gzip *g = calloc(1, sizeof *g);
    if (!g)
        return UV_ENOMEM;
    g->level = level;
    int err = open_deflate(g);
    if (err) {
        free(g);
        return err;
    }
    *ret = g;
    return 0;
}

void weft_gzip_free(struct weft_gzip *g)
{
    if (!g)
        return;
#ifdef WEFT_HAVE_ISAL
    free(g->level_buf);
#endif
    (void)deflateEnd(&g->zlib);
    free(g);
}

static void begin_deflate(struct weft_gzip *g)
{
#ifdef WEFT_HAVE_ISAL
    if (g->fast) {
        begin_isal(g);
        return;
    }
#endif
    (void)deflateReset(&g->zlib);
}

static int deflate_step(struct weft_gzip *g, struct step *s)
{
#ifdef WEFT_HAVE_ISAL
    if (g->fast)
        return deflate_isal(g, s);
#endif
    return deflate_zlib(g, s);
}

/* Compresses one slice until it is taken in whole; the last one until the member is complete. */
static int run_slice(struct weft_gzip *g, struct weft_slice in, bool last, struct weft_buf *out)
{
    uint8_t spare;

    for (;;) {
        struct step s = { .in = in, .last = last };
        int err = offer_room(out, &spare, &s);
        if (!err)
            err = deflate_step(g, &s);
        if (!err)
            err = take_output(out, &spare, &s);
        if (err)
            return err;
        in = s.in;
        if (last ? s.finished : in.len == 0)
            return 0;
    }
}

int weft_gzip_run(struct weft_gzip *g, const struct weft_slice *in, size_t n, struct weft_buf *out)
{
    int err = 0;

    begin_deflate(g);
    for (size_t i = 0; !err && i < n; i++)
        if (in[i].len > 0)
            err = run_slice(g, in[i], false, out);
    if (!err)
        err = run_slice(g, weft_slice_of("", 0), true, out);
    if (err && !out->err)
        out->err = err;
    return err;
}

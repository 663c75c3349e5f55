/* SPDX-License-Identifier: Apache-2.0 */
/* buf.h: a growable byte buffer, born with a ceiling.
 *
 *   (1) len <= cap <= limit, always.
 *   (2) A failed append changes nothing but `err`, which is sticky: a writer may append
 *       many times and look once at the end.
 *   (3) Where there is an account, it holds `cap` bytes; what it refuses is not allocated.
 *
 * A buffer belongs to one thread at a time.
 */
#ifndef WEFT_CORE_BUF_H
#define WEFT_CORE_BUF_H

#include "core/ledger.h"
#include "core/slice.h"

struct weft_buf {
    uint8_t *data;
    size_t len, cap, limit;
    int err; /* 0, WEFT_ERR_TOO_LARGE, WEFT_ERR_LIMIT (the account) or UV_ENOMEM; sticky until reset */
    struct weft_account *account; /* holds `cap` bytes; may be NULL. Set it while the buffer has no memory */
};

/* An empty buffer that will never hold more than `limit` bytes. Allocates nothing yet. */
void weft_buf_init(struct weft_buf *b, size_t limit);
void weft_buf_release(struct weft_buf *b); /* accepts a zeroed buffer; limit and account stay */

/* Empties the buffer and clears the error; keeps the memory. */
void weft_buf_reset(struct weft_buf *b);

/* What weft_buf_reserve does when the room is not there yet; nobody else calls it. */
uint8_t *weft_buf_grow(struct weft_buf *b, size_t extra);

/* Room for `extra` more bytes behind len: a pointer to it, or NULL with `err` set. */
static inline uint8_t *weft_buf_reserve(struct weft_buf *b, size_t extra)
{
    if (__builtin_expect(!b->err && b->data && extra <= b->cap - b->len, 1))
        return b->data + b->len;
    return weft_buf_grow(b, extra);
}

/* The same, but what must grow becomes just as large as this needs: for what is large and the last to be added. */
uint8_t *weft_buf_reserve_exactly(struct weft_buf *b, size_t extra);

/* These copy what they are given, or set `err` and change nothing; after an error they do nothing. printf writes no NUL. */
void weft_buf_append(struct weft_buf *b, const void *data, size_t len);
void weft_buf_append_str(struct weft_buf *b, const char *text);
void weft_buf_append_byte(struct weft_buf *b, uint8_t byte);
void weft_buf_printf(struct weft_buf *b, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* What is in it; good until the next call that changes it. */
static inline struct weft_slice weft_buf_slice(const struct weft_buf *b)
{
    return weft_slice_of(b->data, b->len);
}

#endif

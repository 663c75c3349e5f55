/* SPDX-License-Identifier: Apache-2.0 */
/* slice.h: a pointer with a length, the way bytes travel through the program.
 *
 * A slice borrows: it never owns what it points to. Whoever hands one out says
 * how long the bytes live. An empty slice may have a NULL pointer.
 */
#ifndef WEFT_CORE_SLICE_H
#define WEFT_CORE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct weft_slice {
    const uint8_t *data;
    size_t len;
};

/* A slice over a string literal, without its terminator. */
#define WEFT_SLICE(literal) \
    ((struct weft_slice){ (const uint8_t *)(literal), sizeof(literal) - 1 })

static inline struct weft_slice weft_slice_of(const void *data, size_t len)
{
    return (struct weft_slice){ data, len };
}

/* `text` may be NULL: the result is then empty. */
static inline struct weft_slice weft_slice_str(const char *text)
{
    return (struct weft_slice){ (const uint8_t *)text, text ? strlen(text) : 0 };
}

static inline bool weft_slice_equal(struct weft_slice a, struct weft_slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static inline bool weft_slice_is(struct weft_slice a, const char *text)
{
    return weft_slice_equal(a, weft_slice_str(text));
}

/* Bytes [from, a.len); an empty slice when `from` lies past the end. */
static inline struct weft_slice weft_slice_from(struct weft_slice a, size_t from)
{
    return from < a.len ? weft_slice_of(a.data + from, a.len - from) : weft_slice_of(NULL, 0);
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* filelog_content.c: see filelog_content.h. */
#include "receivers/filelog_content.h"

#include "receivers/filelog_positions.h"

#include "core/hash.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

void weft_filelog_scratch_release(struct weft_filelog_scratch *s)
{
    free(s->bytes);
    s->bytes = NULL;
    s->cap = 0;
}

static bool has_room(struct weft_filelog_scratch *s, size_t len)
{
    if (len <= s->cap)
        return true;
    uint8_t *bytes = realloc(s->bytes, len);
    if (!bytes)
        return false;
    s->bytes = bytes;
    s->cap = len;
    return true;
}

bool weft_filelog_read_at(struct weft_filelog_scratch *s, int fd, uint64_t offset, size_t len, struct weft_slice *ret_bytes)
{
    size_t have = 0;

    if (!has_room(s, len))
        return false;
    while (have < len) {
        ssize_t n = pread(fd, s->bytes + have, len - have, (off_t)(offset + have));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        have += (size_t)n;
    }
    *ret_bytes = weft_slice_of(s->bytes, len);
    return true;
}

uint64_t weft_filelog_hash(struct weft_slice bytes)
{
    return weft_hash64(bytes, 0);
}

bool weft_filelog_begins_like(struct weft_filelog_scratch *s, const struct weft_filelog_entry *e, int fd, uint64_t size)
{
    struct weft_slice bytes;

    if (e->print_len == 0)
        return true;
    return size >= e->print_len && weft_filelog_read_at(s, fd, 0, e->print_len, &bytes) && weft_filelog_hash(bytes) == e->print;
}

enum weft_filelog_likeness weft_filelog_compare(struct weft_filelog_scratch *s, const struct weft_filelog_entry *e,
                                                const struct weft_filelog_place *place, int fd, uint64_t size)
{
    struct weft_slice bytes;

    if (!weft_filelog_begins_like(s, e, fd, size))
        return WEFT_FILELOG_OTHER;
    if (size < place->offset)
        return WEFT_FILELOG_CUT;
    if (place->tail_len == 0)
        return WEFT_FILELOG_SAME;
    if (!weft_filelog_read_at(s, fd, place->offset - place->tail_len, place->tail_len, &bytes))
        return WEFT_FILELOG_OTHER;
    return weft_filelog_hash(bytes) == place->tail ? WEFT_FILELOG_SAME : WEFT_FILELOG_OTHER;
}

enum { MARK_BITS = 24, END = 256 };

uint64_t weft_filelog_mark(uint64_t offset, uint64_t tail)
{
    return offset << MARK_BITS | (tail & ((1u << MARK_BITS) - 1));
}

uint64_t weft_filelog_mark_offset(uint64_t mark)
{
    return mark >> MARK_BITS;
}

bool weft_filelog_mark_holds(struct weft_filelog_scratch *s, uint64_t mark, int fd, uint64_t size)
{
    const uint64_t offset = weft_filelog_mark_offset(mark);
    const size_t len = offset < WEFT_FILELOG_TAIL_MAX ? (size_t)offset : WEFT_FILELOG_TAIL_MAX;
    struct weft_slice bytes;

    return offset <= size && weft_filelog_read_at(s, fd, offset - len, len, &bytes) &&
           weft_filelog_mark(offset, weft_filelog_hash(bytes)) == mark;
}

bool weft_filelog_print_grow(struct weft_filelog_scratch *s, struct weft_filelog_entry *e, int fd, uint64_t size)
{
    const size_t want = size < s->print_size ? (size_t)size : s->print_size;
    const size_t len = want > e->print_len ? want : e->print_len;
    struct weft_slice bytes;

    if (len == 0)
        return true;
    if (!weft_filelog_read_at(s, fd, 0, len, &bytes))
        return size >= len; /* it cannot be read now: that says nothing */
    if (e->print_len > 0 && weft_filelog_hash(weft_slice_of(bytes.data, e->print_len)) != e->print)
        return false;
    if (len > e->print_len) {
        e->print = weft_filelog_hash(bytes);
        e->print_len = (uint32_t)len;
    }
    return true;
}

bool weft_filelog_ends_within(struct weft_filelog_scratch *s, int a, uint64_t a_size, int b)
{
    const size_t len = a_size < END ? (size_t)a_size : END;
    struct weft_slice bytes;

    if (!weft_filelog_read_at(s, a, a_size - len, len, &bytes))
        return false;
    const uint64_t hash = weft_filelog_hash(bytes);
    return weft_filelog_read_at(s, b, a_size - len, len, &bytes) && weft_filelog_hash(bytes) == hash;
}

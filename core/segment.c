/* SPDX-License-Identifier: Apache-2.0 */
/* segment.c: birth and death of segments, and the backing that gives them anonymous memory.
 *
 * mmap and not malloc: pages are touched only when an append reaches them, and go back to the system the
 * moment they are released, whatever the state of the heap. Called under the journal's lock. */
#include "core/segment.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include <uv.h>

_Static_assert(sizeof(struct weft_entry) == 64, "an entry's head is one cache line");

static size_t page_size(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

static int memory_acquire(struct weft_segment *s, size_t size)
{
    void *base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (base == MAP_FAILED)
        return UV_ENOMEM;
    s->base = base;
    s->size = size;
    return 0;
}

static void memory_release(struct weft_segment *s)
{
    (void)munmap(s->base, s->size);
}

/* One call for all pages costs half of what a fault for each does (0.5 against 1.05 us a page). Where the
 * kernel does not know it, pages come by faults. */
static void memory_warm(struct weft_segment *s)
{
    (void)madvise(s->base, s->size, MADV_POPULATE_WRITE);
}

static void memory_forget(struct weft_segment *s, size_t end)
{
    size_t whole_pages = end & ~(page_size() - 1);

    if (whole_pages)
        (void)madvise(s->base, whole_pages, MADV_DONTNEED);
}

const struct weft_backing weft_backing_memory = {
    .acquire = memory_acquire,
    .release = memory_release,
    .warm = memory_warm,
    .forget = memory_forget,
};

int weft_segment_new(struct weft_segment **ret_segment, const struct weft_backing *backing, struct weft_journal_dir *dir,
                     size_t size)
{
    struct weft_segment *s = calloc(1, sizeof *s);

    if (!s)
        return UV_ENOMEM;
    s->backing = backing;
    s->dir = dir;
    s->fd = s->guard = -1;
    size = (size + page_size() - 1) & ~(page_size() - 1);
    int err = backing->acquire(s, size);
    if (err) {
        free(s);
        return err;
    }
    *ret_segment = s;
    return 0;
}

void weft_segment_free(struct weft_segment *s)
{
    if (!s)
        return;
    s->backing->release(s);
    free(s);
}

void weft_segment_reset(struct weft_segment *s, uint64_t number, uint64_t first_sequence, struct weft_totals before)
{
    s->number = number;
    s->next = NULL;
    s->begin = s->synced = s->rotten_seen = s->backing->head;
    s->room = s->size;
    s->first_sequence = s->end_sequence = first_sequence;
    s->before = before;
    s->totals = (struct weft_totals){ 0 };
    s->entered = s->nameless = false;
    s->stored = 0;
    s->holders = s->pins = s->syncs = 0;
    s->stranded = s->sealed = s->verify = s->recount = false;
    atomic_store_explicit(&s->reserved, s->begin, memory_order_relaxed);
    atomic_store_explicit(&s->closed, false, memory_order_relaxed);
    atomic_store_explicit(&s->writers, 0, memory_order_relaxed);
    atomic_store_explicit(&s->newest_wall_ns, 0, memory_order_relaxed);
}

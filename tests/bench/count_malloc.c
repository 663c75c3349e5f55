/* SPDX-License-Identifier: Apache-2.0 */
/* count_malloc.c: preloaded into a process, counts its allocations (malloc, calloc, realloc, aligned_alloc,
 * posix_memalign). The count is the first 8 bytes of the file that WEFT_COUNT_MALLOC names, so that a bench can read it
 * while the process runs. Any thread. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t size);
void *__libc_memalign(size_t align, size_t size);

static _Atomic uint64_t before_main;
static _Atomic uint64_t *counter = &before_main;

__attribute__((constructor)) static void share_the_counter(void)
{
    const char *path = getenv("WEFT_COUNT_MALLOC");
    int fd = path ? open(path, O_RDWR | O_CREAT, 0600) : -1;

    if (fd < 0 || ftruncate(fd, 4096) < 0)
        return;
    void *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (shared != MAP_FAILED)
        counter = shared;
}

static void count(void)
{
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

void *malloc(size_t size)
{
    count();
    return __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
    count();
    return __libc_calloc(n, size);
}

void *realloc(void *p, size_t size)
{
    count();
    return __libc_realloc(p, size);
}

void *aligned_alloc(size_t align, size_t size)
{
    count();
    return __libc_memalign(align, size);
}

int posix_memalign(void **ret, size_t align, size_t size)
{
    void *p = __libc_memalign(align, size);

    count();
    if (!p)
        return ENOMEM;
    *ret = p;
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* sigbus.c: see sigbus.h. A slot of the table is free (0), being filled (1) or the address of its range. */
#include "core/sigbus.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <uv.h>

enum { FREE = 0, FILLING = 1 };

static struct range {
    _Atomic uintptr_t base;
    _Atomic size_t len;
    _Atomic unsigned hits;
} ranges[WEFT_SIGBUS_RANGES];

static _Atomic int n_used; /* no slot behind it has ever been used */
static struct sigaction before;
static size_t page;
static int install_error;

static struct range *range_of(uintptr_t address)
{
    int n = atomic_load_explicit(&n_used, memory_order_acquire);

    for (int i = 0; i < n; i++) {
        uintptr_t base = atomic_load_explicit(&ranges[i].base, memory_order_acquire);
        if (base > FILLING && address - base < atomic_load_explicit(&ranges[i].len, memory_order_relaxed))
            return &ranges[i];
    }
    return NULL;
}

static bool replace(uintptr_t address)
{
    struct range *r = range_of(address);
    void *at = (void *)(address & ~(uintptr_t)(page - 1));

    if (!r || mmap(at, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
        return false;
    atomic_fetch_add_explicit(&r->hits, 1, memory_order_relaxed);
    return true;
}

/* Not ours: to whoever had the signal before; by default the access is repeated and ends the process. */
static void pass_on(int number, siginfo_t *info, void *context)
{
    if (before.sa_flags & SA_SIGINFO)
        before.sa_sigaction(number, info, context);
    else if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN)
        before.sa_handler(number);
    else
        (void)signal(number, SIG_DFL);
}

/* si_code above 0: a real fault and not somebody's kill(). */
static void on_sigbus(int number, siginfo_t *info, void *context)
{
    int saved = errno;

    if (info->si_code <= 0 || !replace((uintptr_t)info->si_addr))
        pass_on(number, info, context);
    errno = saved;
}

static void install(void)
{
    struct sigaction action = { .sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO | SA_ONSTACK };

    page = (size_t)sysconf(_SC_PAGESIZE);
    sigemptyset(&action.sa_mask);
    if (sigaction(SIGBUS, &action, &before))
        install_error = -errno;
}

static void note_used(int slot)
{
    int n = atomic_load_explicit(&n_used, memory_order_relaxed);

    while (n <= slot && !atomic_compare_exchange_weak_explicit(&n_used, &n, slot + 1, memory_order_release,
                                                               memory_order_relaxed)) {
    }
}

int weft_sigbus_guard(void *base, size_t len)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    (void)pthread_once(&once, install);
    if (install_error)
        return install_error;
    for (int i = 0; i < WEFT_SIGBUS_RANGES; i++) {
        uintptr_t is_free = FREE;
        if (!atomic_compare_exchange_strong_explicit(&ranges[i].base, &is_free, FILLING, memory_order_acquire,
                                                     memory_order_relaxed))
            continue;
        atomic_store_explicit(&ranges[i].len, len, memory_order_relaxed);
        atomic_store_explicit(&ranges[i].hits, 0, memory_order_relaxed);
        atomic_store_explicit(&ranges[i].base, (uintptr_t)base, memory_order_release);
        note_used(i);
        return i;
    }
    return UV_ENOMEM;
}

void weft_sigbus_unguard(int guard)
{
    if (guard >= 0)
        atomic_store_explicit(&ranges[guard].base, FREE, memory_order_release);
}

unsigned weft_sigbus_hits(int guard)
{
    return guard < 0 ? 0 : atomic_load_explicit(&ranges[guard].hits, memory_order_relaxed);
}

void weft_sigbus_block_others(void)
{
    static const int faults[] = { SIGBUS, SIGSEGV, SIGFPE, SIGILL };
    sigset_t set;

    sigfillset(&set);
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
        sigdelset(&set, faults[i]);
    (void)pthread_sigmask(SIG_BLOCK, &set, NULL);
}

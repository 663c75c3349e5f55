/* SPDX-License-Identifier: Apache-2.0 */
/* memory_limiter.c: the Collector's memory_limiter processor: refuses records while the process is above its limit.
 *
 * Weft's memory is bounded by construction (service.memory_limit), so this is a second, independent watch over what the
 * kernel says: resident memory from /proc/self/statm. The senders get a retryable answer.
 *
 *   (1) The kernel is asked at most once per check_interval, by whichever ingest thread is the first to pass.
 *   (2) Refusing begins at limit - spike limit, as in the Collector.
 *
 * Runs on every ingest thread at once; what it changes of itself is atomic.
 */
#include "processors/memory_limiter.h"

#include "core/clock.h"
#include "core/err.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct memory_limiter {
    struct weft_processor base;
    uint64_t check_interval; /* ms */
    int64_t limit_mib, spike_limit_mib, limit_percentage, spike_limit_percentage;
    uint64_t soft_limit;     /* bytes */
    _Atomic uint64_t checked_ms;
    atomic_bool refusing;
};

static const struct weft_option options[] = {
    WEFT_MSEC("check_interval", struct memory_limiter, check_interval, .fallback = "1s", .min = 0, .max = 3600000,
              .help = "how often the resident memory is read"),
    WEFT_INT("limit_mib", struct memory_limiter, limit_mib, .min = 0, .max = 1 << 20,
             .help = "hard limit in MiB; 0 uses limit_percentage"),
    WEFT_INT("spike_limit_mib", struct memory_limiter, spike_limit_mib, .min = 0, .max = 1 << 20,
             .help = "refusing begins this much below the limit; 0 means a fifth of it"),
    WEFT_INT("limit_percentage", struct memory_limiter, limit_percentage, .min = 0, .max = 100,
             .help = "hard limit in percent of the machine's memory, when limit_mib is 0"),
    WEFT_INT("spike_limit_percentage", struct memory_limiter, spike_limit_percentage, .min = 0, .max = 100,
             .help = "refusing begins this much below the limit, in percent of the machine's memory"),
    WEFT_IGNORED("min_gc_interval_when_soft_limited", .help = "there is no garbage collector"),
    WEFT_IGNORED("min_gc_interval_when_hard_limited", .help = "there is no garbage collector"),
    { .key = NULL },
};

static uint64_t machine_bytes(void)
{
    return (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* Where refusing begins; 0: the options name no limit. */
static uint64_t soft_limit_of(const struct memory_limiter *m, uint64_t total)
{
    uint64_t limit = (uint64_t)m->limit_mib << 20, spike = (uint64_t)m->spike_limit_mib << 20;

    if (limit == 0)
        limit = total / 100 * (uint64_t)m->limit_percentage;
    if (spike == 0)
        spike = total / 100 * (uint64_t)m->spike_limit_percentage;
    if (spike == 0)
        spike = limit / 5;
    return spike < limit ? limit - spike : 0;
}

static uint64_t resident_bytes(void)
{
    char text[128], *end;
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return 0;
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    if (n <= 0)
        return 0;
    text[n] = '\0';
    (void)strtoull(text, &end, 10);
    return strtoull(end, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE);
}

static int check(struct weft_processor *self, const struct weft_node *map, struct weft_problems *problems)
{
    const struct memory_limiter *m = (const struct memory_limiter *)self;

    if (m->limit_mib == 0 && m->limit_percentage == 0)
        weft_problem_at_key(problems, map, "one of limit_mib and limit_percentage is required");
    else if (soft_limit_of(m, machine_bytes()) == 0)
        weft_problem_at_key(problems, map, "the spike limit must be less than the limit");
    else
        return 0;
    return WEFT_ERR_CONFIG;
}

static int start(struct weft_processor *self)
{
    struct memory_limiter *m = (struct memory_limiter *)self;

    m->soft_limit = soft_limit_of(m, machine_bytes());
    weft_log(self->log, WEFT_LOG_INFO, self->id,
             "refusing above %llu MiB resident; service.memory_limit bounds memory in any case",
             (unsigned long long)(m->soft_limit >> 20));
    return 0;
}

static void look(struct memory_limiter *m, uint64_t now_ms)
{
    uint64_t before = atomic_load_explicit(&m->checked_ms, memory_order_relaxed);

    if (before && now_ms - before < m->check_interval)
        return;
    if (!atomic_compare_exchange_strong_explicit(&m->checked_ms, &before, now_ms, memory_order_relaxed, memory_order_relaxed))
        return; /* another thread looks */
    bool over = resident_bytes() > m->soft_limit;
    bool was = atomic_exchange_explicit(&m->refusing, over, memory_order_relaxed);
    if (over != was)
        weft_log(m->base.log, over ? WEFT_LOG_WARN : WEFT_LOG_INFO, m->base.id,
                 over ? "resident memory is above %llu MiB: refusing records, senders are told to try again"
                      : "resident memory is below %llu MiB again: taking records",
                 (unsigned long long)(m->soft_limit >> 20));
}

static int process(struct weft_processor *self, struct weft_record *record, struct weft_arena *scratch)
{
    struct memory_limiter *m = (struct memory_limiter *)self;
    (void)record;
    (void)scratch;

    look(m, weft_clock_mono_ms());
    return atomic_load_explicit(&m->refusing, memory_order_relaxed) ? WEFT_ERR_LIMIT : 1;
}

const struct weft_processor_type weft_processor_memory_limiter = {
    .name = "memory_limiter",
    .summary = "refuses records while the process is above a memory limit",
    .size = sizeof(struct memory_limiter),
    .signals = 1u << WEFT_TRACES | 1u << WEFT_LOGS | 1u << WEFT_METRICS,
    .options = options,
    .check = check,
    .start = start,
    .process = process,
};

/* SPDX-License-Identifier: Apache-2.0 */
/* clock.c: see clock.h. */
#include "core/clock.h"

static uint64_t read_clock(clockid_t id)
{
    struct timespec now;

    clock_gettime(id, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t weft_clock_wall_ns(void)
{
    return read_clock(CLOCK_REALTIME);
}

uint64_t weft_clock_mono_ns(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

struct timespec weft_clock_mono_in(uint64_t ms)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_nsec += (long)(ms % 1000) * 1000000;
    t.tv_sec += (time_t)(ms / 1000) + t.tv_nsec / 1000000000;
    t.tv_nsec %= 1000000000;
    return t;
}

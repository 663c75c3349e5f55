/* SPDX-License-Identifier: Apache-2.0 */
/* clock.c: see clock.h. */
#include "core/clock.h"

#include <time.h>

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

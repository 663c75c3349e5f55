/* SPDX-License-Identifier: Apache-2.0 */
/* clock.h: the two clocks, in nanoseconds. Logic takes the time as a parameter; only the
 * edges (loops, lanes, main) read a clock. Any thread. */
#ifndef WEFT_CORE_CLOCK_H
#define WEFT_CORE_CLOCK_H

#include <stdint.h>
#include <time.h>

/* Nanoseconds since the Unix epoch; may step. For timestamps that people see. */
uint64_t weft_clock_wall_ns(void);

/* Nanoseconds since some fixed point; never steps back. For timers and durations. */
uint64_t weft_clock_mono_ns(void);

/* That many milliseconds from now on the same clock, for timed waits. */
struct timespec weft_clock_mono_in(uint64_t ms);

static inline uint64_t weft_clock_mono_ms(void)
{
    return weft_clock_mono_ns() / 1000000;
}

#endif

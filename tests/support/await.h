/* SPDX-License-Identifier: Apache-2.0 */
/* await.h: waiting in a test for what another thread does. */
#ifndef WEFT_TESTS_AWAIT_H
#define WEFT_TESTS_AWAIT_H

#include "core/clock.h"

#include <sched.h>

enum { PATIENCE_MS = 20000 };

/* Looks again and again until `what` holds or patience ends. Behind <cmocka.h>. */
#define AWAIT(what)                                                        \
    do {                                                                   \
        uint64_t give_up = weft_clock_mono_ms() + PATIENCE_MS;             \
        while (!(what)) {                                                  \
            if (weft_clock_mono_ms() > give_up)                            \
                fail_msg("waited in vain for: %s", #what);                 \
            sched_yield();                                                 \
        }                                                                  \
    } while (0)

#endif

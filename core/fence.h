/* SPDX-License-Identifier: Apache-2.0 */
/* fence.h: the fence on both sides of a wake-up. Each side stores and then looks at what the other stores; without a fence between
 * the two, on both sides, each may miss the other. Any thread.
 */
#ifndef WEFT_CORE_FENCE_H
#define WEFT_CORE_FENCE_H

#include <stdatomic.h>

/* gcc warns that TSan does not model fences; so what is looked at must be ordered by itself, or be atomic. */
static inline void weft_fence(void)
{
#if defined(__SANITIZE_THREAD__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wtsan"
#endif
    atomic_thread_fence(memory_order_seq_cst);
#if defined(__SANITIZE_THREAD__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif
}

#endif

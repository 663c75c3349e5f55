/* SPDX-License-Identifier: Apache-2.0 */
/* beat.c: see beat.h. uv_now() is the monotonic clock in milliseconds, read by the loop itself after each wait. */
#include "agent/beat.h"

#include "core/clock.h"

static void on_prepare(uv_prepare_t *prepare)
{
    struct weft_beat *b = prepare->data;

    atomic_store_explicit(&b->since_ms, 0, memory_order_relaxed);
}

static void on_check(uv_check_t *check)
{
    struct weft_beat *b = check->data;

    atomic_store_explicit(&b->since_ms, uv_now(check->loop), memory_order_relaxed);
}

void weft_beat_open(struct weft_beat *b, uv_loop_t *loop)
{
    atomic_init(&b->since_ms, 0);
    (void)uv_prepare_init(loop, &b->prepare); /* these four cannot fail */
    (void)uv_check_init(loop, &b->check);
    b->prepare.data = b->check.data = b;
    (void)uv_prepare_start(&b->prepare, on_prepare);
    (void)uv_check_start(&b->check, on_check);
    uv_unref((uv_handle_t *)&b->prepare);
    uv_unref((uv_handle_t *)&b->check);
}

void weft_beat_close(struct weft_beat *b)
{
    uv_close((uv_handle_t *)&b->prepare, NULL);
    uv_close((uv_handle_t *)&b->check, NULL);
}

void weft_beat_mark(struct weft_beat *b)
{
    atomic_store_explicit(&b->since_ms, weft_clock_mono_ms(), memory_order_relaxed);
}

uint64_t weft_beat_age_ms(const struct weft_beat *b, uint64_t now_mono_ms)
{
    uint64_t since = atomic_load_explicit(&b->since_ms, memory_order_relaxed);

    return since && now_mono_ms > since ? now_mono_ms - since : 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* beat.c: see beat.h. A turn begins where the loop prepares to wait; waiting does not count, so what counts is the
 * callbacks after it. (A mark set after the wait would come too late: libuv calls back from within it.) */
#include "agent/beat.h"

static uint64_t busy_clock_ns(const struct weft_beat *b, uint64_t now_ns)
{
    return now_ns - uv_metrics_idle_time(b->loop);
}

void weft_beat_mark(struct weft_beat *b)
{
    atomic_store_explicit(&b->turn_began_ns, busy_clock_ns(b, uv_hrtime()), memory_order_relaxed);
}

static void on_prepare(uv_prepare_t *prepare)
{
    weft_beat_mark(prepare->data);
}

int weft_beat_open(struct weft_beat *b, uv_loop_t *loop)
{
    int err = uv_loop_configure(loop, UV_METRICS_IDLE_TIME);

    if (err)
        return err;
    b->loop = loop;
    (void)uv_prepare_init(loop, &b->prepare); /* neither of the two can fail */
    (void)uv_prepare_start(&b->prepare, on_prepare);
    b->prepare.data = b;
    uv_unref((uv_handle_t *)&b->prepare);
    weft_beat_mark(b);
    return 0;
}

void weft_beat_close(struct weft_beat *b)
{
    uv_close((uv_handle_t *)&b->prepare, NULL);
}

uint64_t weft_beat_age_ms(const struct weft_beat *b, uint64_t now_mono_ms)
{
    uint64_t began = atomic_load_explicit(&b->turn_began_ns, memory_order_relaxed);
    uint64_t now = busy_clock_ns(b, now_mono_ms * 1000000);

    return now > began && now - began < UINT64_MAX / 2 ? (now - began) / 1000000 : 0;
}

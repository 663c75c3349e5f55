/* SPDX-License-Identifier: Apache-2.0 */
/* loop.c: an ingest thread, and how main makes it do things.
 *
 * Main never touches a receiver while the thread runs: it hangs a call on the list, rings the bell and waits for
 * the answer. The thread takes the whole list under the lock and runs it outside. Stopping is such a call
 * too: it stops the receivers and closes the loop's own handles; the loop then ends by itself when the last
 * handle is closed, which is what uv_loop_close() == 0 proves. */
#include "agent/loop.h"

#include "agent/beat.h"
#include "agent/bell.h"
#include "core/err.h"
#include "core/sigbus.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

struct call {
    int (*function)(void *data);
    void *data;
    int result;
    bool done;
    struct call *next;
};

struct weft_loop {
    char name[16];
    uv_loop_t uv;
    uv_thread_t thread;
    struct weft_arena scratch;
    struct weft_beat beat;
    struct weft_bell bell;
    uv_timer_t alarm;
    uint64_t alarm_ms;           /* when it rings, while it is active */
    struct weft_receiver **receivers;
    struct weft_receiver *failed;
    struct weft_loop_listener *listeners;
    size_t n_receivers;
    bool closed;                 /* the uv loop is closed */

    uv_mutex_t lock;             /* guards the rest */
    bool joined;                 /* the thread is gone, or never was */
    uv_cond_t answered;
    struct call *calls, **last_call;
    bool accepts_calls;
    bool start_answered;
    int start_result;
};

static struct call *take_calls(struct weft_loop *l)
{
    uv_mutex_lock(&l->lock);
    struct call *list = l->calls;
    l->calls = NULL;
    l->last_call = &l->calls;
    uv_mutex_unlock(&l->lock);
    return list;
}

static void answer(struct weft_loop *l, struct call *call, int result)
{
    uv_mutex_lock(&l->lock);
    call->result = result;
    call->done = true; /* the caller may be gone from here on */
    uv_cond_broadcast(&l->answered);
    uv_mutex_unlock(&l->lock);
}

static void tell_listeners(const struct weft_loop *l)
{
    for (const struct weft_loop_listener *listener = l->listeners; listener; listener = listener->next)
        listener->on_ring(listener->data);
}

static void on_ring(void *data)
{
    struct weft_loop *l = data;

    for (struct call *call = take_calls(l), *next; call; call = next) {
        next = call->next;
        answer(l, call, call->function(call->data));
    }
    tell_listeners(l);
}

static void on_alarm(uv_timer_t *timer)
{
    tell_listeners(timer->data);
}

void weft_loop_listen(struct weft_loop *l, struct weft_loop_listener *listener)
{
    listener->next = l->listeners;
    l->listeners = listener;
}

void weft_loop_ring(struct weft_loop *l)
{
    weft_bell_ring(&l->bell);
}

/* Never with 0: libuv 1.44 would run such a timer again and again before it looks at any descriptor. */
void weft_loop_ring_at(struct weft_loop *l, uint64_t at_ms)
{
    uint64_t now_ms = uv_now(&l->uv);

    if (uv_is_active((uv_handle_t *)&l->alarm) && l->alarm_ms <= at_ms)
        return;
    l->alarm_ms = at_ms;
    (void)uv_timer_start(&l->alarm, on_alarm, at_ms > now_ms ? at_ms - now_ms : 1, 0);
}

int weft_loop_open(struct weft_loop **ret_loop, const struct weft_loop_options *options)
{
    struct weft_loop *l = calloc(1, sizeof *l);

    if (!l)
        return UV_ENOMEM;
    int err = uv_loop_init(&l->uv);
    if (err)
        goto fail_memory;
    err = weft_bell_open(&l->bell, &l->uv, on_ring, l);
    if (err)
        goto fail_loop;
    err = weft_beat_open(&l->beat, &l->uv);
    if (err)
        goto fail_bell;
    err = uv_mutex_init(&l->lock);
    if (err)
        goto fail_beat;
    err = uv_cond_init(&l->answered);
    if (err)
        goto fail_lock;

    for (size_t i = 0; i + 1 < sizeof l->name && options->name[i]; i++)
        l->name[i] = options->name[i];
    weft_arena_init(&l->scratch, options->scratch_limit);
    l->scratch.account = options->scratch_account;
    (void)uv_timer_init(&l->uv, &l->alarm); /* cannot fail */
    l->alarm.data = l;
    l->last_call = &l->calls;
    l->joined = true;
    *ret_loop = l;
    return 0;

fail_lock:
    uv_mutex_destroy(&l->lock);
fail_beat:
    weft_beat_close(&l->beat);
fail_bell:
    weft_bell_close(&l->bell);
    (void)uv_run(&l->uv, UV_RUN_DEFAULT);
    weft_bell_release(&l->bell);
fail_loop:
    (void)uv_loop_close(&l->uv);
fail_memory:
    free(l);
    return err;
}

uv_loop_t *weft_loop_uv(struct weft_loop *l)
{
    return &l->uv;
}

struct weft_arena *weft_loop_scratch(struct weft_loop *l)
{
    return &l->scratch;
}

uint64_t weft_loop_age_ms(struct weft_loop *l, uint64_t now_mono_ms)
{
    uv_mutex_lock(&l->lock); /* the uv loop is asked, and whoever joins closes it */
    uint64_t age = l->joined ? 0 : weft_beat_age_ms(&l->beat, now_mono_ms);
    uv_mutex_unlock(&l->lock);
    return age;
}

/* ---- on the thread ---- */

static void stop_receivers(struct weft_loop *l, size_t n)
{
    while (n-- > 0)
        l->receivers[n]->type->stop(l->receivers[n]);
}

static int start_receivers(struct weft_loop *l)
{
    for (size_t i = 0; i < l->n_receivers; i++) {
        int err = l->receivers[i]->type->start(l->receivers[i]);
        if (!err)
            continue;
        l->failed = l->receivers[i];
        stop_receivers(l, i + 1); /* the one that failed accepts a stop when half started */
        return err;
    }
    return 0;
}

static void close_own_handles(struct weft_loop *l)
{
    weft_bell_close(&l->bell);
    weft_beat_close(&l->beat);
    uv_close((uv_handle_t *)&l->alarm, NULL);
}

static void report_start(struct weft_loop *l, int err)
{
    uv_mutex_lock(&l->lock);
    l->start_result = err;
    l->start_answered = true;
    l->accepts_calls = err == 0;
    uv_cond_broadcast(&l->answered);
    uv_mutex_unlock(&l->lock);
}

static void run(void *data)
{
    struct weft_loop *l = data;

    weft_sigbus_block_others(); /* signals are main's */
    (void)pthread_setname_np(pthread_self(), l->name);
    weft_beat_mark(&l->beat);
    int err = start_receivers(l);
    if (err)
        close_own_handles(l);
    report_start(l, err);
    (void)uv_run(&l->uv, UV_RUN_DEFAULT);
}

static int quiesce_here(void *data)
{
    struct weft_loop *l = data;

    for (size_t i = 0; i < l->n_receivers; i++)
        l->receivers[i]->type->quiesce(l->receivers[i]);
    return 0;
}

/* From here on nobody may ring; calls that came too late are answered. */
static int stop_here(void *data)
{
    struct weft_loop *l = data;

    uv_mutex_lock(&l->lock);
    l->accepts_calls = false;
    uv_mutex_unlock(&l->lock);
    for (struct call *call = take_calls(l), *next; call; call = next) {
        next = call->next;
        answer(l, call, WEFT_ERR_CLOSED);
    }
    stop_receivers(l, l->n_receivers);
    close_own_handles(l);
    return 0;
}

/* ---- on main ---- */

static void set_joined(struct weft_loop *l, bool joined)
{
    uv_mutex_lock(&l->lock);
    l->joined = joined;
    uv_mutex_unlock(&l->lock);
}

static void join(struct weft_loop *l)
{
    (void)uv_thread_join(&l->thread);
    set_joined(l, true);
    int err = uv_loop_close(&l->uv);
    assert(err == 0);
    l->closed = err == 0;
}

static int await_start(struct weft_loop *l)
{
    uv_mutex_lock(&l->lock);
    while (!l->start_answered)
        uv_cond_wait(&l->answered, &l->lock);
    int err = l->start_result;
    uv_mutex_unlock(&l->lock);
    return err;
}

int weft_loop_start(struct weft_loop *l, struct weft_receiver *const *receivers, size_t n,
                    struct weft_receiver **ret_failed)
{
    if (ret_failed)
        *ret_failed = NULL;
    l->receivers = calloc(n + 1, sizeof *l->receivers);
    if (!l->receivers)
        return UV_ENOMEM;
    for (size_t i = 0; i < n; i++)
        l->receivers[i] = receivers[i];
    l->n_receivers = n;

    int err = uv_thread_create(&l->thread, run, l);
    if (err)
        return err;
    set_joined(l, false);
    err = await_start(l);
    if (err) {
        join(l);
        if (ret_failed)
            *ret_failed = l->failed;
    }
    return err;
}

int weft_loop_call(struct weft_loop *l, int (*function)(void *data), void *data)
{
    struct call call = { .function = function, .data = data };

    uv_mutex_lock(&l->lock);
    if (!l->accepts_calls) {
        uv_mutex_unlock(&l->lock);
        return WEFT_ERR_CLOSED;
    }
    *l->last_call = &call;
    l->last_call = &call.next;
    weft_bell_ring(&l->bell);
    while (!call.done)
        uv_cond_wait(&l->answered, &l->lock);
    uv_mutex_unlock(&l->lock);
    return call.result;
}

void weft_loop_quiesce(struct weft_loop *l)
{
    (void)weft_loop_call(l, quiesce_here, l);
}

struct in_hand {
    struct weft_loop *loop;
    unsigned n;
};

static int count_in_hand(void *data)
{
    struct in_hand *count = data;

    for (size_t i = 0; i < count->loop->n_receivers; i++) {
        struct weft_receiver *r = count->loop->receivers[i];
        count->n += r->type->in_hand ? r->type->in_hand(r) : 0;
    }
    return 0;
}

unsigned weft_loop_in_hand(struct weft_loop *l)
{
    struct in_hand count = { .loop = l };

    (void)weft_loop_call(l, count_in_hand, &count);
    return count.n;
}

void weft_loop_stop(struct weft_loop *l)
{
    if (l->joined)
        return;
    (void)weft_loop_call(l, stop_here, l);
    join(l);
}

void weft_loop_free(struct weft_loop *l)
{
    if (!l)
        return;
    weft_loop_stop(l);
    if (!l->closed) { /* never started */
        close_own_handles(l);
        (void)uv_run(&l->uv, UV_RUN_DEFAULT);
        (void)uv_loop_close(&l->uv);
    }
    weft_bell_release(&l->bell);
    uv_cond_destroy(&l->answered);
    uv_mutex_destroy(&l->lock);
    weft_arena_release(&l->scratch);
    free(l->receivers);
    free(l);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Ingest loops: start, calls, quiesce and stop happen on the loop's thread, and nothing is left behind. */
#include "agent/loop.h"
#include "core/clock.h"
#include "core/err.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>

#include <cmocka.h>

struct fake {
    struct weft_receiver base;
    uv_timer_t timer;
    bool timer_open, quiesced, stopped;
    int start_result;
    pthread_t started_on, quiesced_on, stopped_on;
    _Atomic unsigned ticks;
};

static void on_timer(uv_timer_t *timer)
{
    struct fake *f = timer->data;

    f->ticks++;
}

static int fake_start(struct weft_receiver *self)
{
    struct fake *f = (struct fake *)self;

    f->started_on = pthread_self();
    (void)uv_timer_init(self->loop, &f->timer);
    f->timer.data = f;
    f->timer_open = true;
    if (f->start_result)
        return f->start_result;
    return uv_timer_start(&f->timer, on_timer, 1, 1);
}

static void fake_quiesce(struct weft_receiver *self)
{
    struct fake *f = (struct fake *)self;

    f->quiesced = true;
    f->quiesced_on = pthread_self();
}

static void fake_stop(struct weft_receiver *self)
{
    struct fake *f = (struct fake *)self;

    f->stopped = true;
    f->stopped_on = pthread_self();
    if (f->timer_open)
        uv_close((uv_handle_t *)&f->timer, NULL);
    f->timer_open = false;
}

static const struct weft_receiver_type fake_type = {
    .name = "fake", .size = sizeof(struct fake), .start = fake_start, .quiesce = fake_quiesce, .stop = fake_stop
};

static struct weft_loop *open_loop(void)
{
    struct weft_loop *l = NULL;

    assert_int_equal(weft_loop_open(&l, &(struct weft_loop_options){ .name = "ingest-0", .scratch_limit = 4096 }), 0);
    return l;
}

static struct fake fake_on(struct weft_loop *l, int start_result)
{
    return (struct fake){ .base = { .type = &fake_type, .id = "fake", .loop = weft_loop_uv(l) },
                          .start_result = start_result };
}

static int answer_of_thread(void *data)
{
    *(pthread_t *)data = pthread_self();
    return 42;
}

static void receivers_live_on_the_thread_from_start_to_stop(void **state)
{
    (void)state;
    struct weft_loop *l = open_loop();
    struct fake a = fake_on(l, 0), b = fake_on(l, 0);
    struct weft_receiver *both[] = { &a.base, &b.base }, *failed = &a.base;
    pthread_t thread;

    assert_int_equal(weft_loop_start(l, both, 2, &failed), 0);
    assert_null(failed);
    assert_int_equal(weft_loop_call(l, answer_of_thread, &thread), 42);
    assert_false(pthread_equal(thread, pthread_self()));
    weft_loop_quiesce(l);
    assert_true(a.quiesced && b.quiesced);
    assert_false(a.stopped);
    weft_loop_stop(l);
    assert_true(a.stopped && b.stopped);
    assert_true(pthread_equal(a.started_on, thread) && pthread_equal(b.started_on, thread));
    assert_true(pthread_equal(a.quiesced_on, thread) && pthread_equal(a.stopped_on, thread));
    weft_loop_stop(l);
    assert_int_equal(weft_loop_call(l, answer_of_thread, &thread), WEFT_ERR_CLOSED);
    weft_loop_free(l);
}

static void a_failed_start_stops_what_was_started_and_names_the_culprit(void **state)
{
    (void)state;
    struct weft_loop *l = open_loop();
    struct fake good = fake_on(l, 0), bad = fake_on(l, UV_EADDRINUSE), never = fake_on(l, 0);
    struct weft_receiver *three[] = { &good.base, &bad.base, &never.base }, *failed = NULL;

    assert_int_equal(weft_loop_start(l, three, 3, &failed), UV_EADDRINUSE);
    assert_ptr_equal(failed, &bad.base);
    assert_true(good.stopped && bad.stopped);
    assert_false(never.timer_open || never.stopped);
    weft_loop_free(l);
}

static void a_loop_that_never_ran_can_be_freed(void **state)
{
    (void)state;
    weft_loop_free(open_loop());
    weft_loop_free(NULL);
}

struct caller {
    struct weft_loop *loop;
    pthread_t thread;
    unsigned answered, closed;
};

static int count_up(void *data)
{
    ++*(unsigned *)data; /* only the loop's thread comes here: no lock */
    return 0;
}

static unsigned shared_count;

static void *call_often(void *data)
{
    struct caller *c = data;

    for (int i = 0; i < 2000; i++)
        if (weft_loop_call(c->loop, count_up, &shared_count) == 0)
            c->answered++;
        else
            c->closed++;
    return NULL;
}

static void calls_of_many_threads_are_all_answered_even_when_the_loop_stops(void **state)
{
    (void)state;
    struct weft_loop *l = open_loop();
    struct caller callers[3];
    unsigned answered = 0;

    shared_count = 0;
    assert_int_equal(weft_loop_start(l, NULL, 0, NULL), 0);
    for (int i = 0; i < 3; i++) {
        callers[i] = (struct caller){ .loop = l };
        assert_int_equal(pthread_create(&callers[i].thread, NULL, call_often, &callers[i]), 0);
    }
    call_often(&(struct caller){ .loop = l });
    weft_loop_stop(l);
    for (int i = 0; i < 3; i++) {
        pthread_join(callers[i].thread, NULL);
        answered += callers[i].answered;
        assert_int_equal(callers[i].answered + callers[i].closed, 2000);
    }
    assert_int_equal(shared_count, answered + 2000);
    weft_loop_free(l);
}

static struct {
    uv_mutex_t lock;
    uv_cond_t changed;
    bool inside, release;
} gate;

static int stay_inside(void *data)
{
    (void)data;
    uv_mutex_lock(&gate.lock);
    gate.inside = true;
    uv_cond_broadcast(&gate.changed);
    while (!gate.release)
        uv_cond_wait(&gate.changed, &gate.lock);
    uv_mutex_unlock(&gate.lock);
    return 0;
}

static void *call_stay_inside(void *loop)
{
    (void)weft_loop_call(loop, stay_inside, NULL);
    return NULL;
}

static void a_turn_that_hangs_shows_in_the_age_and_a_sleeping_loop_has_none(void **state)
{
    (void)state;
    struct weft_loop *l = open_loop();
    pthread_t caller;

    uv_mutex_init(&gate.lock);
    uv_cond_init(&gate.changed);
    assert_int_equal(weft_loop_start(l, NULL, 0, NULL), 0);
    assert_int_equal(pthread_create(&caller, NULL, call_stay_inside, l), 0);
    uv_mutex_lock(&gate.lock);
    while (!gate.inside)
        uv_cond_wait(&gate.changed, &gate.lock);
    assert_true(weft_loop_age_ms(l, weft_clock_mono_ms() + 60000) >= 59000);
    gate.release = true;
    uv_cond_broadcast(&gate.changed);
    uv_mutex_unlock(&gate.lock);
    pthread_join(caller, NULL);

    uint64_t began = weft_clock_mono_ms(), now;
    do
        now = weft_clock_mono_ms();
    while (now < began + 50);
    assert_true(weft_loop_age_ms(l, now) < 40); /* it slept for most of the time */
    weft_loop_free(l);
    uv_cond_destroy(&gate.changed);
    uv_mutex_destroy(&gate.lock);
}

struct asker {
    struct weft_loop *loop;
    atomic_bool enough;
};

static void *ask_for_the_age(void *data)
{
    struct asker *a = data;

    while (!a->enough)
        (void)weft_loop_age_ms(a->loop, weft_clock_mono_ms());
    return NULL;
}

/* A liveness probe comes when it likes, also while the loop is being closed. */
static void the_age_may_be_asked_for_while_the_loop_is_stopped(void **state)
{
    enum { ROUNDS = 200 };
    (void)state;

    for (int i = 0; i < ROUNDS; i++) {
        struct asker a = { .loop = open_loop() };
        struct fake f = fake_on(a.loop, 0);
        struct weft_receiver *one[] = { &f.base };
        pthread_t thread;

        assert_int_equal(weft_loop_start(a.loop, one, 1, NULL), 0);
        assert_int_equal(pthread_create(&thread, NULL, ask_for_the_age, &a), 0);
        weft_loop_stop(a.loop);
        a.enough = true;
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_int_equal(weft_loop_age_ms(a.loop, weft_clock_mono_ms()), 0);
        weft_loop_free(a.loop);
    }
}

/* ---- rings ---- */
struct ear {
    struct weft_loop_listener listener;
    struct weft_loop *loop;
    _Atomic unsigned rings;
    _Atomic uint64_t heard_ms;  /* uv_now of the last one */
    uint64_t asked_ms;
};

static void on_heard(void *data)
{
    struct ear *e = data;

    e->heard_ms = uv_now(weft_loop_uv(e->loop));
    e->rings++;
}

static int ask_for_a_ring(void *data)
{
    struct ear *e = data;

    e->asked_ms = uv_now(weft_loop_uv(e->loop)) + 20;
    weft_loop_ring_at(e->loop, e->asked_ms + 3600000);
    weft_loop_ring_at(e->loop, e->asked_ms); /* earlier counts */
    weft_loop_ring_at(e->loop, e->asked_ms + 60000);
    return 0;
}

/* The test's own bell rings with each call, so only times are looked at. */
static void a_loop_rings_by_itself_at_the_earliest_time_it_was_asked_for(void **state)
{
    struct ear e = { .listener = { .on_ring = on_heard, .data = &e }, .loop = open_loop() };
    (void)state;

    weft_loop_listen(e.loop, &e.listener);
    assert_int_equal(weft_loop_start(e.loop, NULL, 0, NULL), 0);
    assert_int_equal(weft_loop_call(e.loop, ask_for_a_ring, &e), 0);
    while (e.heard_ms < e.asked_ms)
        sched_yield();
    weft_loop_stop(e.loop);
    weft_loop_free(e.loop);
}

static int read_rings(void *data)
{
    return (int)((struct ear *)data)->rings;
}

static void listeners_hear_a_ring_between_two_calls(void **state)
{
    struct ear e = { .listener = { .on_ring = on_heard, .data = &e }, .loop = open_loop() };
    (void)state;

    weft_loop_listen(e.loop, &e.listener);
    assert_int_equal(weft_loop_start(e.loop, NULL, 0, NULL), 0);
    assert_int_equal(weft_loop_call(e.loop, read_rings, &e), 0);
    weft_loop_quiesce(e.loop);
    assert_true(weft_loop_call(e.loop, read_rings, &e) >= 2);
    weft_loop_stop(e.loop);
    weft_loop_free(e.loop);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(receivers_live_on_the_thread_from_start_to_stop),
        cmocka_unit_test(a_failed_start_stops_what_was_started_and_names_the_culprit),
        cmocka_unit_test(a_loop_that_never_ran_can_be_freed),
        cmocka_unit_test(calls_of_many_threads_are_all_answered_even_when_the_loop_stops),
        cmocka_unit_test(a_turn_that_hangs_shows_in_the_age_and_a_sleeping_loop_has_none),
        cmocka_unit_test(the_age_may_be_asked_for_while_the_loop_is_stopped),
        cmocka_unit_test(a_loop_rings_by_itself_at_the_earliest_time_it_was_asked_for),
        cmocka_unit_test(listeners_hear_a_ring_between_two_calls),
    };

    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

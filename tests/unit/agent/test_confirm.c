/* SPDX-License-Identifier: Apache-2.0 */
/* Commits that wait for the disk, with journals in memory whose durability the test moves by hand; and the ring of waiters. */
#include "agent/pipeline.h"
#include "agent/waits.h"
#include "core/err.h"
#include "core/journal_state.h"
#include "core/journal_sync.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

enum { MIB = 1 << 20, LIMIT = 4096 };

struct waiter {
    struct weft_commit commit;
    unsigned done;
    int err;
    struct weft_sink *sink;     /* done commits one more and waits for `then` */
    struct waiter *then;
};

static int commit(struct weft_sink *sink);

static void on_done(struct weft_commit *c, int err)
{
    struct waiter *w = (struct waiter *)c;

    w->done++;
    w->err = err;
    if (!w->then)
        return;
    assert_int_equal(commit(w->sink), 0);
    assert_true(w->sink->await(w->sink, &w->then->commit));
}

static struct waiter new_waiter(void)
{
    return (struct waiter){ .commit = { .done = on_done } };
}

/* ---- the ring ---- */
static int by_limit(void *ctx, size_t place, uint64_t sequence)
{
    const uint64_t *limits = ctx;

    return sequence == 13 ? WEFT_ERR_DISK : sequence <= limits[place];
}

static void waiters_end_in_order_when_every_place_is_durable(void **state)
{
    struct waiter a = new_waiter(), b = new_waiter(), c = new_waiter(), d = new_waiter();
    uint64_t limits[2] = { 0, 0 };
    struct weft_waits w;
    (void)state;

    assert_int_equal(weft_waits_init(&w, 2, 4), 0);
    weft_waits_add(&w, &a.commit, (uint64_t[]){ 1, 1 });
    weft_waits_add(&w, &b.commit, (uint64_t[]){ 2, 0 });
    weft_waits_add(&w, &c.commit, (uint64_t[]){ 13, 2 });
    weft_waits_add(&w, &d.commit, (uint64_t[]){ 14, 3 });
    assert_true(weft_waits_full(&w));
    limits[0] = 5;
    assert_false(weft_waits_look(&w, by_limit, limits));
    assert_int_equal(a.done + b.done + c.done + d.done, 0);
    limits[1] = 1;
    assert_false(weft_waits_look(&w, by_limit, limits));
    assert_int_equal(a.done, 1);
    assert_int_equal(b.done, 1);
    assert_int_equal(b.err, 0);
    assert_int_equal(c.done, 1);
    assert_int_equal(c.err, WEFT_ERR_DISK);
    assert_int_equal(d.done, 0);
    weft_waits_forget(&w, &d.commit);
    limits[0] = 14;
    limits[1] = 3;
    assert_true(weft_waits_look(&w, by_limit, limits));
    assert_true(weft_waits_empty(&w));
    assert_int_equal(d.done, 0);
    for (int i = 0; i < 10; i++) { /* round and round */
        weft_waits_add(&w, &a.commit, (uint64_t[]){ 1, 1 });
        weft_waits_add(&w, &b.commit, (uint64_t[]){ 1, 1 });
        weft_waits_add(&w, &c.commit, (uint64_t[]){ 1, 1 });
        assert_true(weft_waits_look(&w, by_limit, limits));
    }
    assert_int_equal(a.done, 11);
    weft_waits_release(&w);
}

/* ---- sinks ---- */
struct rig {
    struct weft_pipeline *pipelines[2];
    struct weft_journal_sync syncs[2];
    struct weft_intake *intake;
    struct weft_arena scratch;
    struct weft_sink *sink;
    unsigned rings;
};

static void ring(void *ctx)
{
    ((struct rig *)ctx)->rings++;
}

static void open_rig(struct rig *rig, size_t n, bool always)
{
    *rig = (struct rig){ .rings = 0 };
    weft_arena_init(&rig->scratch, MIB);
    for (size_t i = 0; i < n; i++) {
        struct weft_pipeline_options o = { .id = i ? "logs/b" : "logs/a", .signal = WEFT_LOGS, .journal_size = MIB };
        assert_int_equal(weft_pipeline_open(&rig->pipelines[i], &o), 0);
        struct weft_journal *j = weft_pipeline_journal(rig->pipelines[i]);
        rig->syncs[i] = (struct weft_journal_sync){ .journal = j, .mode = always ? WEFT_SYNC_ALWAYS : WEFT_SYNC_INTERVAL };
        assert_int_equal(pthread_mutex_init(&rig->syncs[i].watch_lock, NULL), 0);
        assert_int_equal(pthread_mutex_init(&rig->syncs[i].lock, NULL), 0);
        assert_int_equal(pthread_cond_init(&rig->syncs[i].wake, NULL), 0);
        j->sync = &rig->syncs[i];
    }
    struct weft_intake_options o = { .receiver = "otlp", .signal = WEFT_LOGS, .pipelines = rig->pipelines, .n_pipelines = n,
                                     .n_sinks = 1 };
    assert_int_equal(weft_intake_open(&rig->intake, &o), 0);
    rig->sink = weft_intake_sink(rig->intake, 0, &rig->scratch);
    weft_intake_set_ring(rig->intake, 0, ring, rig);
}

static void close_rig(struct rig *rig)
{
    weft_intake_close(rig->intake);
    for (size_t i = 0; i < 2 && rig->pipelines[i]; i++) {
        assert_null(rig->syncs[i].watches);
        pthread_mutex_destroy(&rig->syncs[i].watch_lock);
        pthread_mutex_destroy(&rig->syncs[i].lock);
        pthread_cond_destroy(&rig->syncs[i].wake);
        weft_pipeline_journal(rig->pipelines[i])->sync = NULL;
        weft_pipeline_close(rig->pipelines[i]);
    }
    weft_arena_release(&rig->scratch);
}

/* What a journal's thread does after a sync. */
static void make_durable(struct rig *rig, size_t i, uint64_t sequence)
{
    struct weft_journal_sync *s = &rig->syncs[i];

    atomic_store(&s->journal->durable, sequence);
    for (struct weft_journal_watch *w = s->watches; w; w = w->next)
        w->on_confirmed(w->ctx);
}

static int commit(struct weft_sink *sink)
{
    struct weft_record r = { .n_items = 1, .payload = WEFT_SLICE("x") };

    return sink->commit(sink, &r);
}

static void yes_does_not_wait_unless_a_journal_confirms(void **state)
{
    struct rig rig;
    (void)state;

    open_rig(&rig, 1, false);
    assert_null(rig.sink->await);
    assert_int_equal(commit(rig.sink), 0);
    close_rig(&rig);
}

static void one_ring_serves_all_who_wait_and_the_next_needs_another(void **state)
{
    struct waiter w[5];
    struct rig rig;
    (void)state;

    open_rig(&rig, 1, true);
    for (size_t i = 0; i < 5; i++) {
        w[i] = new_waiter();
        assert_int_equal(commit(rig.sink), 0);
        assert_true(rig.sink->await(rig.sink, &w[i].commit));
    }
    make_durable(&rig, 0, 1);
    make_durable(&rig, 0, 3);
    assert_int_equal(rig.rings, 1);
    assert_int_equal(w[0].done, 0);
    weft_intake_look(rig.intake, 0, 0);
    assert_int_equal(w[0].done + w[1].done + w[2].done, 3);
    assert_int_equal(w[3].done, 0);
    rig.sink->forget(rig.sink, &w[3].commit);
    make_durable(&rig, 0, 5);
    assert_int_equal(rig.rings, 2);
    weft_intake_look(rig.intake, 0, 0);
    assert_int_equal(w[3].done, 0);
    assert_int_equal(w[4].done, 1);
    make_durable(&rig, 0, 6); /* nobody waits: nobody is woken */
    assert_int_equal(rig.rings, 2);
    assert_int_equal(commit(rig.sink), 0);
    assert_false(rig.sink->await(rig.sink, &w[0].commit)); /* it is durable already */
    close_rig(&rig);
}

static void yes_waits_for_every_pipeline(void **state)
{
    struct waiter w = new_waiter();
    struct rig rig;
    (void)state;

    open_rig(&rig, 2, true);
    assert_int_equal(commit(rig.sink), 0);
    assert_true(rig.sink->await(rig.sink, &w.commit));
    make_durable(&rig, 1, 1);
    weft_intake_look(rig.intake, 0, 0);
    assert_int_equal(w.done, 0);
    make_durable(&rig, 0, 1);
    assert_int_equal(rig.rings, 2);
    weft_intake_look(rig.intake, 0, 0);
    assert_int_equal(w.done, 1);
    close_rig(&rig);
}

static void a_failed_sync_is_an_error_for_those_it_covered_and_nobody_else(void **state)
{
    struct waiter w[3];
    struct rig rig;
    (void)state;

    open_rig(&rig, 1, true);
    for (size_t i = 0; i < 3; i++) {
        w[i] = new_waiter();
        assert_int_equal(commit(rig.sink), 0);
        assert_true(rig.sink->await(rig.sink, &w[i].commit));
    }
    make_durable(&rig, 0, 1);
    atomic_store(&rig.syncs[0].failed_from, 2);
    atomic_store(&rig.syncs[0].failed_to, 2);
    make_durable(&rig, 0, 3); /* the one behind it went into another segment */
    weft_intake_look(rig.intake, 0, 0);
    assert_int_equal(w[0].err, 0);
    assert_int_equal(w[1].err, WEFT_ERR_DISK);
    assert_int_equal(w[2].err, 0);
    assert_int_equal(w[0].done + w[1].done + w[2].done, 3);
    close_rig(&rig);
}

static void the_number_that_may_wait_is_bounded_and_others_are_told_to_come_again(void **state)
{
    static struct waiter w[LIMIT];
    struct rig rig;
    (void)state;

    open_rig(&rig, 1, true);
    for (size_t i = 0; i < LIMIT; i++) {
        w[i] = new_waiter();
        assert_int_equal(commit(rig.sink), 0);
        assert_true(rig.sink->await(rig.sink, &w[i].commit));
    }
    assert_int_equal(commit(rig.sink), WEFT_ERR_LIMIT);
    make_durable(&rig, 0, 1);
    weft_intake_look(rig.intake, 0, 0);
    assert_int_equal(commit(rig.sink), 0);
    for (size_t i = 1; i < LIMIT; i++)
        rig.sink->forget(rig.sink, &w[i].commit);
    close_rig(&rig);
}

static void who_is_answered_may_commit_and_wait_again_at_once(void **state)
{
    struct waiter first = new_waiter(), second = new_waiter();
    struct rig rig;
    (void)state;

    open_rig(&rig, 1, true);
    first.sink = rig.sink;
    first.then = &second;
    assert_int_equal(commit(rig.sink), 0);
    assert_true(rig.sink->await(rig.sink, &first.commit));
    make_durable(&rig, 0, 1);
    weft_intake_look(rig.intake, 0, 0);
    assert_int_equal(first.done, 1);
    assert_int_equal(second.done, 0);
    make_durable(&rig, 0, 2);
    assert_int_equal(rig.rings, 2);
    weft_intake_look(rig.intake, 0, 0);
    assert_int_equal(second.done, 1);
    close_rig(&rig);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(waiters_end_in_order_when_every_place_is_durable),
        cmocka_unit_test(yes_does_not_wait_unless_a_journal_confirms),
        cmocka_unit_test(one_ring_serves_all_who_wait_and_the_next_needs_another),
        cmocka_unit_test(yes_waits_for_every_pipeline),
        cmocka_unit_test(a_failed_sync_is_an_error_for_those_it_covered_and_nobody_else),
        cmocka_unit_test(the_number_that_may_wait_is_bounded_and_others_are_told_to_come_again),
        cmocka_unit_test(who_is_answered_may_commit_and_wait_again_at_once),
    };

    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

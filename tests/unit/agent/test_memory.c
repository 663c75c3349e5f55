/* SPDX-License-Identifier: Apache-2.0 */
/* How memory_limit is shared out, for small and large limits: what is promised fits, and nobody can shut another one out. */
#include "agent/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { MIB = 1 << 20 };

struct rig {
    struct weft_memory m;
    struct weft_account *receivers[2], *exporters[3], *lanes[3];
};

static void rig_open(struct rig *r, const struct weft_memory_plan *plan)
{
    static const char *const ids[] = { "a", "b", "c" };

    assert_int_equal(weft_memory_open(&r->m, plan), 0);
    for (size_t i = 0; i < plan->n_pipelines; i++)
        assert_non_null(weft_memory_journal(&r->m, ids[i]));
    for (size_t i = 0; i < plan->n_receivers; i++)
        assert_non_null(r->receivers[i] = weft_memory_receiver(&r->m, ids[i]));
    for (size_t i = 0; i < plan->n_exporters; i++) {
        assert_non_null(weft_memory_letters(&r->m, ids[i]));
        assert_non_null(r->exporters[i] = weft_memory_exporter(&r->m, ids[i]));
        assert_non_null(r->lanes[i] = weft_memory_lane(&r->m, ids[i]));
    }
}

static struct weft_memory_plan plan_of(uint64_t limit_mib, uint64_t journals_mib, size_t n)
{
    return (struct weft_memory_plan){ .limit = limit_mib * MIB, .journals = journals_mib * MIB, .letters = n * MIB, .n_pipelines = n,
                                      .n_receivers = 1, .n_exporters = n, .largest_record = journals_mib * MIB / n / 2 };
}

static void what_is_promised_fits_and_plans_add_up(void **state)
{
    const struct { const char *what; struct weft_memory_plan plan; bool overbooked; } cases[] = {
        { "the defaults", plan_of(64, 32, 3), false },
        { "one pipeline", plan_of(64, 32, 1), false },
        { "a large machine", plan_of(4096, 1024, 3), false },
        { "a small limit with a small journal", plan_of(24, 3, 3), false },
        { "the least limit", plan_of(16, 3, 3), true },
        { "a journal that leaves nothing", plan_of(64, 63, 3), true },
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct rig r;
        rig_open(&r, &cases[i].plan);
        uint64_t ingest = weft_memory_receiver_budget(&r.m) + weft_memory_scratch_limit(&r.m);
        if ((weft_ledger_overbooked(r.m.ledger) > 0) != cases[i].overbooked)
            fail_msg("%s: overbooked by %lu", cases[i].what, (unsigned long)weft_ledger_overbooked(r.m.ledger));
        if (ingest > weft_memory_ingest_most(&r.m))
            fail_msg("%s: a body and its scratch may want %lu, there are %lu", cases[i].what, (unsigned long)ingest,
                     (unsigned long)weft_memory_ingest_most(&r.m));
        if (!cases[i].overbooked && weft_account_room(r.m.scratch) < weft_memory_scratch_limit(&r.m))
            fail_msg("%s: the scratch cannot have its limit", cases[i].what);
        weft_memory_close(&r.m);
    }
}

static void ingest_and_export_leave_each_other_what_is_theirs(void **state)
{
    const struct weft_memory_plan plan = plan_of(64, 32, 3);
    struct rig r;
    (void)state;

    rig_open(&r, &plan);
    uint64_t body = weft_account_room(r.receivers[0]);
    assert_true(weft_account_take(r.receivers[0], body)); /* all that a receiver can get */
    assert_false(weft_account_take(r.receivers[0], 1));
    assert_true(weft_account_take(r.m.scratch, 2 * MIB));
    for (int i = 0; i < 3; i++)
        assert_true(weft_account_take(r.exporters[i], 900 << 10) && weft_account_take(r.lanes[i], 100 << 10));
    assert_true(weft_ledger_used(r.m.ledger) < 64 * MIB);
    weft_account_give(r.receivers[0], body);

    uint64_t more = weft_account_room(r.exporters[0]);
    assert_true(more > 4 * MIB && weft_account_take(r.exporters[0], more)); /* and the other way round */
    assert_true(weft_account_take(r.receivers[0], 2 * MIB));
    assert_true(weft_account_room(r.receivers[0]) > 4 * MIB);
    weft_account_give(r.receivers[0], 2 * MIB);
    weft_account_give(r.exporters[0], more);
    weft_account_give(r.m.scratch, 2 * MIB);
    for (int i = 0; i < 3; i++) {
        weft_account_give(r.exporters[i], 900 << 10);
        weft_account_give(r.lanes[i], 100 << 10);
    }
    weft_memory_close(&r.m);
}

static void processors_can_work_however_many_exporters_there_are(void **state)
{
    (void)state;

    for (size_t n = 1; n <= 64; n++) {
        const struct weft_memory_plan plan = { .limit = 64 * MIB, .journals = 44 * MIB, .letters = n * MIB, .n_pipelines = 1,
                                               .n_receivers = 1, .n_exporters = n, .largest_record = 20 * MIB };
        struct weft_memory m;
        assert_int_equal(weft_memory_open(&m, &plan), 0);
        if (weft_memory_scratch_limit(&m) < MIB || weft_memory_receiver_budget(&m) < 2 * MIB)
            fail_msg("%zu exporters: %zu bytes of scratch for bodies of %lu", n, weft_memory_scratch_limit(&m),
                     (unsigned long)weft_memory_receiver_budget(&m));
        assert_true(weft_memory_scratch_limit(&m) + weft_memory_receiver_budget(&m) <= weft_memory_ingest_most(&m));
        weft_memory_close(&m);
    }
}

/* With less no connection could be made, and what waits would wait for ever. */
static void every_exporter_is_sure_of_enough_for_a_request(void **state)
{
    const struct weft_memory_plan plans[] = { plan_of(64, 32, 3), plan_of(24, 3, 3), plan_of(16, 3, 3), plan_of(64, 63, 3) };
    (void)state;

    for (size_t i = 0; i < sizeof plans / sizeof *plans; i++) {
        struct rig r;
        rig_open(&r, &plans[i]);
        for (int k = 0; k < 3; k++)
            assert_true(weft_account_take(r.exporters[k], 700 << 10) && weft_account_take(r.lanes[k], 200 << 10));
        for (int k = 0; k < 3; k++) {
            weft_account_give(r.exporters[k], 700 << 10);
            weft_account_give(r.lanes[k], 200 << 10);
        }
        weft_memory_close(&r.m);
    }
}

static void a_zeroed_one_can_be_closed(void **state)
{
    struct weft_memory m = { 0 };
    (void)state;

    weft_memory_close(&m);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_promised_fits_and_plans_add_up),
        cmocka_unit_test(ingest_and_export_leave_each_other_what_is_theirs),
        cmocka_unit_test(processors_can_work_however_many_exporters_there_are),
        cmocka_unit_test(every_exporter_is_sure_of_enough_for_a_request),
        cmocka_unit_test(a_zeroed_one_can_be_closed),
    };

    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The ledger as tables, and with many hands at once: no instant at which a limit is passed, nothing lost or made up. */
#include "core/ledger.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

enum { HANDS = 4, ROUNDS = 20000, HELD = 8 };

static uint64_t used_by(const struct weft_account *a)
{
    return atomic_load(&a->used);
}

/* limit 100: "in" has a guarantee of 40 and two owners, "out" has 30. */
struct rig {
    struct weft_ledger *ledger;
    struct weft_account *in, *a, *b, *out;
};

static struct rig rig_open(void)
{
    struct rig r;

    assert_int_equal(weft_ledger_open(&r.ledger, 100), 0);
    r.in = weft_account_open(r.ledger, NULL, "in", 40, 0);
    r.a = weft_account_open(r.ledger, r.in, "a", 10, 0);
    r.b = weft_account_open(r.ledger, r.in, "b", 0, 50);
    r.out = weft_account_open(r.ledger, NULL, "out", 30, 0);
    assert_non_null(r.in && r.a && r.b ? r.out : NULL);
    return r;
}

static void each_take_is_granted_or_refused_by_the_accounts_above(void **state)
{
    const struct {
        const char *what;
        uint64_t a, b, out; /* held before */
        char who;
        uint64_t n;
        bool granted;
    } cases[] = {
        { "inside the guarantee", 0, 0, 0, 'a', 10, true },
        { "beyond it, from what the group has", 0, 0, 0, 'a', 40, true },
        { "beyond the group's, from the root", 0, 0, 0, 'a', 70, true },
        { "one byte of somebody else's guarantee", 0, 0, 0, 'a', 71, false },
        { "all that the other left", 0, 0, 0, 'o', 60, true },
        { "one byte of the group's guarantee", 0, 0, 0, 'o', 61, false },
        { "its own guarantee when the root is exhausted", 70, 0, 0, 'o', 30, true },
        { "one more than that", 70, 0, 0, 'o', 31, false },
        { "its own limit", 0, 0, 0, 'b', 50, true },
        { "beyond its own limit", 0, 0, 0, 'b', 51, false },
        { "a sibling's guarantee in an exhausted group", 0, 50, 30, 'a', 20, true },
        { "one more than that", 0, 50, 30, 'a', 21, false },
        { "a number that would wrap", 1, 0, 0, 'a', UINT64_MAX, false },
        { "nothing", 70, 0, 30, 'a', 0, true },
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct rig r = rig_open();
        struct weft_account *who = cases[i].who == 'a' ? r.a : cases[i].who == 'b' ? r.b : r.out;
        if (!weft_account_take(r.a, cases[i].a) || !weft_account_take(r.b, cases[i].b) || !weft_account_take(r.out, cases[i].out))
            fail_msg("%s: the case itself does not fit", cases[i].what);
        uint64_t before = used_by(who), room = weft_account_room(who);
        bool granted = weft_account_take(who, cases[i].n);
        if (granted != cases[i].granted || granted != (cases[i].n <= room))
            fail_msg("%s: granted is %d, room was %lu", cases[i].what, granted, (unsigned long)room);
        if (used_by(who) != before + (granted ? cases[i].n : 0) || atomic_load(&who->refused) != !granted)
            fail_msg("%s: %lu used after, %lu before", cases[i].what, (unsigned long)used_by(who), (unsigned long)before);
        weft_account_give(r.a, used_by(r.a));
        weft_account_give(r.b, used_by(r.b));
        weft_account_give(r.out, used_by(r.out));
        if (used_by(r.in) != 10 || weft_ledger_used(r.ledger) != 0 || weft_account_room(r.out) != 60)
            fail_msg("%s: %lu are missing after all was given back", cases[i].what, (unsigned long)used_by(r.in));
        weft_ledger_close(r.ledger);
    }
}

static void the_most_that_an_account_could_hold_leaves_out_what_is_promised_to_others(void **state)
{
    (void)state;
    struct rig r = rig_open();

    assert_int_equal(weft_account_most(r.a), 70);
    assert_int_equal(weft_account_most(r.b), 50);   /* its own limit */
    assert_int_equal(weft_account_most(r.out), 60);
    assert_true(weft_account_take(r.b, 50));
    assert_int_equal(weft_account_most(r.a), 70);   /* what others hold comes back */
    assert_false(weft_account_take(r.a, 70));
    weft_account_give(r.b, 50);
    assert_true(weft_account_take(r.a, 70));
    assert_true(weft_account_most(NULL) == UINT64_MAX);
    weft_account_give(r.a, 70);
    weft_ledger_close(r.ledger);
}

static void without_an_account_everything_is_granted(void **state)
{
    (void)state;
    assert_true(weft_account_take(NULL, UINT64_MAX));
    weft_account_give(NULL, 7);
    weft_account_add(NULL, 7);
    weft_account_set(NULL, 7);
    assert_true(weft_account_room(NULL) == UINT64_MAX);
    weft_ledger_close(NULL);
}

static void what_cannot_be_refused_is_counted_and_leaves_no_room(void **state)
{
    (void)state;
    struct rig r = rig_open();

    weft_account_add(r.out, 90);
    assert_int_equal(weft_ledger_overbooked(r.ledger), 30);
    assert_true(weft_account_take(r.a, 40)); /* the group's guarantee stands */
    assert_false(weft_account_take(r.a, 1));
    assert_int_equal(weft_account_room(r.a), 0);
    weft_account_give(r.out, 90);
    assert_int_equal(weft_ledger_overbooked(r.ledger), 0);
    weft_account_set(r.out, 25);
    weft_account_set(r.out, 5);
    assert_int_equal(used_by(r.out), 5);
    assert_int_equal(atomic_load(&r.out->peak), 90);
    assert_int_equal(weft_ledger_used(r.ledger), 45);
    weft_ledger_close(r.ledger);
}

static bool note_name(void *ctx, const struct weft_account *a)
{
    char *text = ctx;
    size_t at = 0;

    while (text[at])
        at++;
    (void)snprintf(text + at, 64 - at, "%s ", a->name);
    return true;
}

static void owners_are_told_in_order_and_budgets_left_out(void **state)
{
    char names[64] = "";
    (void)state;
    struct rig r = rig_open();

    weft_ledger_visit(r.ledger, note_name, names);
    assert_string_equal(names, "a b out ");
    weft_ledger_close(r.ledger);
}

/* ---- many hands ---- */
struct hand {
    struct weft_account *account;
    uint64_t random, granted, refused;
};

static uint64_t draw(struct hand *h)
{
    h->random ^= h->random << 13;
    h->random ^= h->random >> 7;
    h->random ^= h->random << 17;
    return h->random;
}

static void *take_and_give(void *data)
{
    struct hand *h = data;
    uint64_t held[HELD] = { 0 };

    for (int i = 0; i < ROUNDS; i++) {
        size_t slot = draw(h) % HELD;
        weft_account_give(h->account, held[slot]);
        uint64_t n = 1 + draw(h) % 12;
        bool granted = weft_account_take(h->account, n);
        held[slot] = granted ? n : 0;
        h->granted += granted;
        h->refused += !granted;
    }
    for (size_t i = 0; i < HELD; i++)
        weft_account_give(h->account, held[i]);
    return NULL;
}

static void many_hands_never_pass_the_limit_and_lose_nothing(void **state)
{
    (void)state;
    struct rig r = rig_open();
    struct weft_account *accounts[HANDS] = { r.a, r.a, r.b, r.out };
    struct hand hands[HANDS];
    pthread_t threads[HANDS];
    uint64_t granted = 0, refused = 0;

    for (size_t i = 0; i < HANDS; i++) {
        hands[i] = (struct hand){ .account = accounts[i], .random = 88172645463325252u + i };
        assert_int_equal(pthread_create(&threads[i], NULL, take_and_give, &hands[i]), 0);
    }
    for (size_t i = 0; i < HANDS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        granted += hands[i].granted;
        refused += hands[i].refused;
    }
    assert_true(granted > 0 && refused > 0);
    assert_int_equal(weft_ledger_used(r.ledger), 0);
    assert_int_equal(used_by(r.in), 10);
    assert_true(weft_account_room(r.a) == 70 && weft_account_room(r.out) == 60);
    assert_true(atomic_load(&r.a->peak) <= 70 && atomic_load(&r.b->peak) <= 50 && atomic_load(&r.out->peak) <= 60);
    assert_true(atomic_load(&r.in->parent->peak) <= 100);
    assert_int_equal(atomic_load(&r.a->refused) + atomic_load(&r.b->refused) + atomic_load(&r.out->refused), refused);
    weft_ledger_close(r.ledger);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_take_is_granted_or_refused_by_the_accounts_above),
        cmocka_unit_test(the_most_that_an_account_could_hold_leaves_out_what_is_promised_to_others),
        cmocka_unit_test(without_an_account_everything_is_granted),
        cmocka_unit_test(what_cannot_be_refused_is_counted_and_leaves_no_room),
        cmocka_unit_test(owners_are_told_in_order_and_budgets_left_out),
        cmocka_unit_test(many_hands_never_pass_the_limit_and_lose_nothing),
    };

    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

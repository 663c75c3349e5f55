/* SPDX-License-Identifier: Apache-2.0 */
#include "core/arena.h"
#include "core/buf.h"
#include "core/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static void the_limit_is_never_passed(void **state)
{
    struct weft_arena a;
    (void)state;

    weft_arena_init(&a, 100);
    assert_non_null(weft_arena_alloc(&a, 60));
    assert_null(weft_arena_alloc(&a, 60));
    weft_arena_reset(&a);
    assert_non_null(weft_arena_alloc(&a, 60));
    weft_arena_release(&a);
}

static void a_steady_state_comes_to_one_block_that_is_used_again(void **state)
{
    struct weft_arena a;
    void *first[2] = { NULL, NULL };
    (void)state;

    weft_arena_init(&a, 1 << 20);
    for (int round = 0; round < 8; round++) {
        weft_arena_reset(&a);
        first[round % 2] = weft_arena_alloc(&a, 8);
        for (int i = 0; i < 50; i++)
            assert_non_null(weft_arena_alloc(&a, 2000));
    }
    assert_ptr_equal(first[0], first[1]);
    weft_arena_release(&a);
}

static void a_block_too_large_to_keep_is_given_back(void **state)
{
    struct weft_arena a;
    (void)state;

    weft_arena_init(&a, 64 << 20);
    assert_non_null(weft_arena_alloc(&a, 32 << 20));
    weft_arena_reset(&a);
    assert_null(a.blocks);
    assert_non_null(weft_arena_alloc(&a, 8));
    weft_arena_release(&a);
}

static void an_account_holds_what_blocks_and_buffers_have_and_its_refusal_is_clean(void **state)
{
    struct weft_ledger *ledger;
    struct weft_arena a;
    struct weft_buf b;
    (void)state;

    assert_int_equal(weft_ledger_open(&ledger, 100000), 0);
    weft_arena_init(&a, 1 << 20);
    weft_buf_init(&b, 1 << 20);
    a.account = weft_account_open(ledger, NULL, "arena", 0, 0);
    b.account = weft_account_open(ledger, NULL, "buffer", 0, 0);
    assert_non_null(weft_arena_alloc(&a, 40000));
    assert_true(atomic_load(&a.account->used) >= 40000);
    weft_buf_append(&b, (uint8_t[30000]){ 1 }, 30000);
    assert_int_equal(atomic_load(&b.account->used), b.cap);

    assert_null(weft_arena_alloc(&a, 70000)); /* within its own limit */
    assert_false(a.refused);
    assert_non_null(weft_buf_reserve(&b, 20000)); /* doubling does not fit, what is needed does */
    assert_int_equal(b.cap, 50000);
    assert_null(weft_buf_reserve(&b, 40000));
    assert_int_equal(b.err, WEFT_ERR_LIMIT);
    assert_int_equal(b.cap, 50000);

    weft_arena_reset(&a);
    assert_int_equal(weft_ledger_used(ledger), atomic_load(&a.account->used) + b.cap);
    weft_arena_release(&a);
    weft_buf_release(&b);
    assert_int_equal(weft_ledger_used(ledger), 0);
    weft_buf_append(&b, "again", 5);
    assert_int_equal(weft_ledger_used(ledger), b.cap);
    weft_buf_release(&b);
    weft_ledger_close(ledger);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_limit_is_never_passed),
        cmocka_unit_test(a_steady_state_comes_to_one_block_that_is_used_again),
        cmocka_unit_test(a_block_too_large_to_keep_is_given_back),
        cmocka_unit_test(an_account_holds_what_blocks_and_buffers_have_and_its_refusal_is_clean),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

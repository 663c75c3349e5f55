/* SPDX-License-Identifier: Apache-2.0 */
#include "core/arena.h"

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

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_limit_is_never_passed),
        cmocka_unit_test(a_steady_state_comes_to_one_block_that_is_used_again),
        cmocka_unit_test(a_block_too_large_to_keep_is_given_back),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

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

static void a_reset_arena_uses_its_first_block_again(void **state)
{
    struct weft_arena a;
    (void)state;

    weft_arena_init(&a, 1 << 20);
    void *first = weft_arena_alloc(&a, 8);
    (void)weft_arena_alloc(&a, 100000);
    weft_arena_reset(&a);
    assert_ptr_equal(first, weft_arena_alloc(&a, 8));
    weft_arena_release(&a);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_limit_is_never_passed),
        cmocka_unit_test(a_reset_arena_uses_its_first_block_again),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* test_source_store.c: which of the positions in a snapshot is believed after which end. */
#include "core/source_store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { JOURNAL = 7, SOURCE = 3, ROWS = 4 };

static void note(struct weft_source_table *t, uint64_t position, uint64_t sequence)
{
    weft_source_table_note(t, (struct weft_source){ SOURCE, position }, sequence);
}

/* A snapshot as it lies on the disk. The caller releases it. */
static void snapshot(struct weft_source_table *t, uint64_t covered, struct weft_buf *b)
{
    struct weft_source_row rows[ROWS];
    size_t n = weft_source_table_snapshot(t, rows, ROWS);

    weft_buf_init(b, 4096);
    weft_source_store_put(b, JOURNAL, covered, rows, n);
    assert_int_equal(b->err, 0);
}

static void believed_is(const struct weft_buf *file, uint64_t last, uint64_t position, const char *words)
{
    struct weft_source_table t;
    struct weft_slice rows;
    uint64_t covered = 0, found = 0;

    assert_int_equal(weft_source_table_init(&t), 0);
    assert_int_equal(weft_source_store_check(weft_buf_slice(file), JOURNAL, &rows, &covered), 0);
    weft_source_store_load(rows, covered, last, &t);
    (void)weft_source_table_find(&t, SOURCE, &found);
    if (found != position)
        fail_msg("%s: position %llu, not %llu", words, (unsigned long long)found, (unsigned long long)position);
    weft_source_table_release(&t);
}

static void a_position_whose_record_is_not_published_yet_is_not_believed(void **state)
{
    struct weft_source_table t;
    struct weft_buf file;
    (void)state;

    assert_int_equal(weft_source_table_init(&t), 0);
    note(&t, 10, 5);
    note(&t, 20, 6);
    snapshot(&t, 5, &file); /* record 6 is noted and not published: a kill now leaves it unfinished */
    believed_is(&file, 9, 10, "record 7 to 9 of others stand behind the unfinished one");
    believed_is(&file, 5, 10, "it was the last");
    weft_buf_release(&file);
    snapshot(&t, 6, &file);
    believed_is(&file, 9, 20, "published");
    weft_buf_release(&file);
    weft_source_table_release(&t);
}

static void after_a_loss_of_power_the_newest_that_is_borne_out_counts(void **state)
{
    struct weft_source_table t;
    struct weft_buf file;
    (void)state;

    assert_int_equal(weft_source_table_init(&t), 0);
    note(&t, 10, 5);
    snapshot(&t, 5, &file);
    weft_buf_release(&file);
    note(&t, 20, 6);
    note(&t, 30, 7);
    note(&t, 40, 8);
    snapshot(&t, 8, &file);
    believed_is(&file, 8, 40, "nothing was lost");
    believed_is(&file, 7, 30, "the last record was lost");
    believed_is(&file, 6, 10, "more was lost than the row knows of: the snapshot before");
    believed_is(&file, 4, 0, "all was lost");
    weft_buf_release(&file);
    weft_source_table_release(&t);
}

static void the_first_record_of_a_source_is_not_believed_before_it_is_published(void **state)
{
    struct weft_source_table t;
    struct weft_buf file;
    (void)state;

    assert_int_equal(weft_source_table_init(&t), 0);
    note(&t, 10, 5);
    snapshot(&t, 4, &file);
    believed_is(&file, 9, 0, "nothing is known");
    weft_buf_release(&file);
    weft_source_table_release(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_position_whose_record_is_not_published_yet_is_not_believed),
        cmocka_unit_test(after_a_loss_of_power_the_newest_that_is_borne_out_counts),
        cmocka_unit_test(the_first_record_of_a_source_is_not_believed_before_it_is_published),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The last line of a run, for what may have become of its items. */
#include "agent/farewell.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

struct loss { enum weft_lane_loss loss; const char *word; uint64_t items; };

static struct weft_lane_stats stats_of(uint64_t sent, uint64_t waiting, uint64_t lasting, const struct loss *losses, size_t n)
{
    struct weft_lane_stats s = { .sent_items = { [WEFT_LOGS] = sent }, .waiting_items = waiting, .lasting_items = lasting,
                                .n_reasons = n };

    for (size_t i = 0; i < n; i++) {
        s.reasons[i] = (struct weft_lane_reason){ .loss = losses[i].loss, .signal = WEFT_LOGS, .items = losses[i].items };
        (void)snprintf(s.reasons[i].word, sizeof s.reasons[i].word, "%s", losses[i].word);
    }
    return s;
}

static void the_last_line_says_what_became_of_everything(void **state)
{
    const struct {
        bool on_disk;
        uint64_t sent, waiting, lasting, letters, evicted;
        struct loss losses[3];
        bool lossless;
        const char *text;
    } cases[] = {
        { false, 12000, 0, 0, 0, 0, { { 0 } }, true, "stopped; everything was sent; since the start 12000 items accepted; es: 12000 sent" },
        { true, 11700, 300, 300, 0, 0, { { 0 } }, true,
          "stopped; nothing was lost; since the start 12000 items accepted; es: 11700 sent, 300 wait in the journal" },
        { false, 11700, 300, 0, 0, 0, { { 0 } }, false,
          "stopped; since the start 12000 items accepted; es: 11700 sent, 300 waited in memory, and are gone" },
        { true, 5000, 0, 0, 0, 0, { { WEFT_LANE_DROPPED, "skipped", 7000 } }, false,
          "stopped; since the start 12000 items accepted; es: 5000 sent, 7000 dropped (skipped)" },
        { true, 10900, 0, 0, 0, 0, { { WEFT_LANE_DROPPED, "corrupt", 1000 }, { WEFT_LANE_DROPPED, "max_elapsed_time", 100 } }, false,
          "stopped; since the start 12000 items accepted; es: 10900 sent, 1000 dropped (corrupt), 100 dropped (max_elapsed_time)" },
        { true, 11500, 0, 0, 500, 0, { { WEFT_LANE_FAILED, "mapping", 500 } }, false,
          "stopped; since the start 12000 items accepted; es: 11500 sent, 500 refused by the back end (kept as dead letters)" },
        { true, 0, 0, 0, 3600, 8400, { { WEFT_LANE_FAILED, "http_401", 12000 } }, false,
          "stopped; since the start 12000 items accepted; es: 0 sent, 12000 refused by the back end "
          "(3600 items kept as dead letters, 8400 evicted from them)" },
        { false, 11500, 0, 0, 500, 0, { { WEFT_LANE_FAILED, "mapping", 500 } }, false,
          "stopped; since the start 12000 items accepted; es: 11500 sent, 500 refused by the back end "
          "(dead letters with 500 items were in memory, and are gone)" },
        { false, 11700, 300, 300, 0, 0, { { 0 } }, true,
          "stopped; nothing was lost; since the start 12000 items accepted; es: 11700 sent, 300 wait in the journal" },
        { true, 11700, 300, 1, 0, 0, { { 0 } }, false,
          "stopped; since the start 12000 items accepted; es: 11700 sent, 1 waits in the journal, 299 waited in memory, and are gone" },
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct weft_farewell f = { .accepted = 12000 };
        struct weft_lane_stats lane = stats_of(cases[i].sent, cases[i].waiting, cases[i].lasting, cases[i].losses, 3);
        struct weft_letters_stats letters = { .items = cases[i].letters, .evicted_items = cases[i].evicted };
        struct weft_buf out;
        weft_buf_init(&out, 4096);
        weft_farewell_note(&f, "es", &lane, &letters);
        bool lossless = weft_farewell_write(&f, cases[i].on_disk, &out);
        weft_buf_append_byte(&out, 0);
        assert_string_equal((char *)out.data, cases[i].text);
        assert_int_equal(lossless, cases[i].lossless);
        weft_buf_release(&out);
        weft_farewell_release(&f);
    }
}

static void runs_before_a_reload_are_added_and_what_waits_is_not_counted_twice(void **state)
{
    (void)state;
    struct weft_farewell f = { .accepted = 70 };
    struct weft_buf out;
    const struct loss skipped = { WEFT_LANE_DROPPED, "skipped", 5 };
    struct weft_lane_stats first = stats_of(40, 20, 20, &skipped, 1), second = stats_of(30, 0, 0, &skipped, 1), other = stats_of(10, 0, 0, NULL, 0);

    weft_buf_init(&out, 4096);
    weft_farewell_note(&f, "es", &first, NULL);
    weft_farewell_note(&f, "es", &second, NULL);
    weft_farewell_note(&f, "new", &other, NULL);
    assert_false(weft_farewell_write(&f, true, &out));
    weft_buf_append_byte(&out, 0);
    assert_string_equal((char *)out.data, "stopped; since the start 70 items accepted; es: 70 sent, 10 dropped (skipped); new: 10 sent");
    weft_buf_release(&out);
    weft_farewell_release(&f);
}

/* Taken out with 20 items, 15 of which were let go in two parts; put in again. */
static void what_is_let_go_of_an_exporter_that_was_taken_out_is_a_loss(void **state)
{
    (void)state;
    struct weft_farewell f = { .accepted = 70 };
    struct weft_buf out;
    struct weft_lane_stats first = stats_of(40, 20, 20, NULL, 0), again = stats_of(3, 2, 2, NULL, 0);

    weft_buf_init(&out, 4096);
    weft_farewell_note(&f, "es", &first, NULL);
    weft_farewell_note_removed(&f, "es", WEFT_LOGS, 10);
    weft_farewell_note_removed(&f, "es", WEFT_LOGS, 10);
    weft_farewell_note_removed(&f, "es", WEFT_TRACES, 5);
    assert_false(weft_farewell_write(&f, true, &out));
    weft_buf_append_byte(&out, 0);
    assert_string_equal((char *)out.data, "stopped; since the start 70 items accepted; es: 40 sent, 15 dropped (removed_exporter), "
                        "5 wait in the journal");
    weft_buf_reset(&out);
    weft_farewell_note(&f, "es", &again, NULL);
    assert_false(weft_farewell_write(&f, true, &out));
    weft_buf_append_byte(&out, 0);
    assert_string_equal((char *)out.data, "stopped; since the start 70 items accepted; es: 43 sent, 15 dropped (removed_exporter), "
                        "2 wait in the journal");
    weft_buf_release(&out);
    weft_farewell_release(&f);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_line_says_what_became_of_everything),
        cmocka_unit_test(runs_before_a_reload_are_added_and_what_waits_is_not_counted_twice),
        cmocka_unit_test(what_is_let_go_of_an_exporter_that_was_taken_out_is_a_loss),
    };

    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

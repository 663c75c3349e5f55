/* SPDX-License-Identifier: Apache-2.0 */
/* Lines about dropped items: the first at once, then one in ten seconds, and none is left untold. */
#include "agent/losses.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

/* What was written since the last call, the messages alone, "; " behind each. */
static const char *lines_of(const struct weft_log *log, off_t *at)
{
    static char text[4096];
    char raw[4096];
    size_t n = 0;

    ssize_t len = pread(log->fd, raw, sizeof raw - 1, *at);
    assert_true(len >= 0);
    raw[len] = 0;
    *at += len;
    text[0] = 0;
    for (char *m = raw; (m = strstr(m, "msg=\"")) != NULL; m++)
        n += (size_t)snprintf(text + n, sizeof text - n, "%.*s; ", (int)strcspn(m + 5, "\""), m + 5);
    return text;
}

static void add(struct weft_lane_stats *s, enum weft_lane_loss loss, enum weft_signal signal, const char *word, uint64_t items)
{
    struct weft_lane_reason *r = &s->reasons[s->n_reasons++];

    *r = (struct weft_lane_reason){ .loss = loss, .signal = signal, .items = items };
    (void)snprintf(r->word, sizeof r->word, "%s", word);
}

static void the_first_loss_is_told_at_once_and_the_rest_every_ten_seconds(void **state)
{
    const struct { uint64_t now_ms, skipped; bool last; const char *lines; } steps[] = {
        { 1000, 0, false, "" },
        { 2000, 1, false, "1 log record skipped: the journal was full, and on_full is skip (skipped); " },
        { 3000, 500, false, "" },
        { 11000, 900, false, "" },
        { 12000, 1000, false, "999 log records skipped: the journal was full, and on_full is skip (skipped); " },
        { 13000, 1000, false, "" },
        { 40000, 1000, false, "" },
        { 41000, 1002, false, "2 log records skipped: the journal was full, and on_full is skip (skipped); " },
        { 42000, 1003, true, "1 log record skipped: the journal was full, and on_full is skip (skipped); " },
    };
    (void)state;
    struct weft_losses l = { 0 };
    struct weft_log log = { .fd = memfd_create("log", 0), .level = WEFT_LOG_INFO };
    off_t at = 0;

    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        struct weft_lane_stats s = { 0 };
        add(&s, WEFT_LANE_DROPPED, WEFT_LOGS, "skipped", steps[i].skipped);
        weft_losses_note(&l, &log, "es", &s, steps[i].now_ms, steps[i].last);
        assert_string_equal(lines_of(&log, &at), steps[i].lines);
    }
    weft_losses_clear(&l);
    close(log.fd);
}

static void each_reason_and_signal_has_its_line_and_what_is_told_elsewhere_has_none(void **state)
{
    (void)state;
    struct weft_losses l = { 0 };
    struct weft_log log = { .fd = memfd_create("log", 0), .level = WEFT_LOG_INFO };
    struct weft_lane_stats s = { 0 };
    off_t at = 0;

    add(&s, WEFT_LANE_FAILED, WEFT_LOGS, "mapping", 7);
    add(&s, WEFT_LANE_DROPPED, WEFT_LOGS, "shutdown", 7);
    add(&s, WEFT_LANE_DROPPED, WEFT_TRACES, "corrupt", 7);
    add(&s, WEFT_LANE_DROPPED, WEFT_LOGS, "corrupt", 1);
    add(&s, WEFT_LANE_DROPPED, WEFT_METRICS, "temporality", 3);
    weft_losses_note(&l, &log, "es", &s, 1, false);
    assert_string_equal(lines_of(&log, &at), "7 spans lost: their bytes in the journal had changed on the disk (corrupt); "
                                             "1 log record lost: their bytes in the journal had changed on the disk (corrupt); "
                                             "3 data points left out: the exporter cannot send them (temporality); ");
    weft_losses_note(&l, &log, "es", &s, 1, true);
    assert_string_equal(lines_of(&log, &at), "");
    weft_losses_note(&l, &log, "other", &s, 1, false);
    assert_string_not_equal(lines_of(&log, &at), "");
    weft_losses_clear(&l);
    close(log.fd);
}

/* The receiver tells the first request of a series itself. */
static void what_a_receiver_refuses_is_added_up_over_ten_seconds(void **state)
{
    const struct { uint64_t now_ms, refused; bool last; const char *lines; } steps[] = {
        { 1000, 0, false, "" },
        { 2000, 1, false, "" },
        { 11000, 3, false, "" },
        { 12000, 3, false, "3 log records refused (journal_full); " },
        { 13000, 103, false, "" },
        { 22000, 203, false, "" },
        { 23000, 203, false, "200 log records refused (journal_full); " },
        { 60000, 203, false, "" },
        { 61000, 204, false, "" },
        { 62000, 204, true, "1 log record refused (journal_full); " },
    };
    (void)state;
    struct weft_losses l = { 0 };
    struct weft_log log = { .fd = memfd_create("log", 0), .level = WEFT_LOG_INFO };
    off_t at = 0;

    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        struct weft_intake_stats s = { .refused_items = { [WEFT_REFUSAL_FULL] = steps[i].refused } };
        weft_losses_note_refused(&l, &log, "otlp", WEFT_LOGS, &s, steps[i].now_ms, steps[i].last);
        assert_string_equal(lines_of(&log, &at), steps[i].lines);
    }
    weft_losses_clear(&l);
    close(log.fd);
}

static void requests_that_nobody_read_are_told_as_requests(void **state)
{
    (void)state;
    struct weft_losses l = { 0 };
    struct weft_log log = { .fd = memfd_create("log", 0), .level = WEFT_LOG_INFO };
    struct weft_intake_stats s = { .refused_items = { [WEFT_REFUSAL_UNSUPPORTED] = 1, [WEFT_REFUSAL_MALFORMED] = 2 } };
    off_t at = 0;

    weft_losses_note_refused(&l, &log, "otlp", WEFT_LOGS, &s, 1000, true);
    s.refused_items[WEFT_REFUSAL_UNSUPPORTED] = 4;
    weft_losses_note_refused(&l, &log, "otlp", WEFT_LOGS, &s, 1000, true);
    assert_string_equal(lines_of(&log, &at), "2 log records refused (malformed); 1 request of logs refused (unsupported); "
                                             "3 requests of logs refused (unsupported); ");
    weft_losses_clear(&l);
    close(log.fd);
}

static void letters_that_made_room_are_told_in_the_same_way(void **state)
{
    const struct { uint64_t now_ms, evicted; bool last; unsigned told; } steps[] = {
        { 1000, 0, false, 0 }, { 2000, 40, false, 40 }, { 3000, 90, false, 0 }, { 12000, 140, false, 100 }, { 13000, 141, true, 1 },
    };
    (void)state;
    struct weft_losses l = { 0 };
    struct weft_log log = { .fd = memfd_create("log", 0), .level = WEFT_LOG_INFO };
    off_t at = 0;

    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        weft_losses_note_evicted(&l, &log, "es", steps[i].evicted, steps[i].now_ms, steps[i].last);
        unsigned told = (unsigned)strtoul(lines_of(&log, &at), NULL, 10);
        if (told != steps[i].told)
            fail_msg("step %zu: %u told", i, told);
    }
    weft_losses_clear(&l);
    close(log.fd);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_loss_is_told_at_once_and_the_rest_every_ten_seconds),
        cmocka_unit_test(each_reason_and_signal_has_its_line_and_what_is_told_elsewhere_has_none),
        cmocka_unit_test(what_a_receiver_refuses_is_added_up_over_ten_seconds),
        cmocka_unit_test(requests_that_nobody_read_are_told_as_requests),
        cmocka_unit_test(letters_that_made_room_are_told_in_the_same_way),
    };

    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

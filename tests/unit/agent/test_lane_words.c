/* SPDX-License-Identifier: Apache-2.0 */
/* What a lane says of its back end: enough to act on, not more than a few lines, and nothing kept to itself. */
#include "agent/lane.h"
#include "core/clock.h"
#include "tests/support/fake_lane.h"

#include <fnmatch.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

enum { MIB = 1 << 20, PATIENCE_MS = 20000, LINES = 32 };

/* A back end that does with the n-th request what the n-th letter says, and goes on with the last one: s takes it, f is not up to it,
 * r refuses item by item, w refuses it as a whole. */
struct fake {
    struct weft_exporter base;
    const char *plan;
    size_t at, n_endpoints;
};

static const char *fake_endpoint(const struct weft_exporter *self, size_t index)
{
    static const char *const names[] = { "http://a", "http://b" };

    return index < ((const struct fake *)self)->n_endpoints ? names[index] : NULL;
}

static void fake_send(struct weft_exporter *self, struct weft_batch *b)
{
    struct fake *f = (struct fake *)self;
    char act = f->plan[f->at];

    f->at += f->plan[f->at + 1] != 0;
    for (uint64_t i = 0; act == 'r' && i < b->n_items; i++)
        self->host->reject(self, b, i, 1, "parsing", "parsing: half is wrong");
    if (act == 'f')
        self->host->done(self, b, WEFT_RETRY, "timeout", "no answer", 0);
    else if (act == 'w')
        self->host->done(self, b, WEFT_REJECTED, "http_400", "no such index", 0);
    else
        self->host->done(self, b, WEFT_SENT, NULL, NULL, 0);
}

static void fake_stop(struct weft_exporter *self)
{
    (void)self;
}

static const struct weft_exporter_type type = { .name = "fake", .size = sizeof(struct fake), .endpoint = fake_endpoint,
                                                .send = fake_send, .stop = fake_stop };

struct rig {
    struct fake fake;
    struct weft_log log;
    struct weft_journal *journal;
    struct weft_letters *letters;
    struct weft_lane *lane;
};

static void append(struct rig *r, unsigned n)
{
    struct weft_buf payload;

    weft_buf_init(&payload, MIB);
    fake_payload(&payload, WEFT_LOGS, "shop", 0, n);
    struct weft_record record = { .signal = WEFT_LOGS, .n_items = n, .payload = weft_buf_slice(&payload) };
    assert_int_equal(weft_journal_append(r->journal, &record, NULL), 0);
    weft_buf_release(&payload);
}

/* `n_records` of three items each wait already when it starts; a request holds one. */
static void rig_open(struct rig *r, const char *plan, size_t n_endpoints, unsigned n_records, int64_t threshold)
{
    struct weft_lane_config config = { .retry_enabled = true, .initial_interval = 1, .max_interval = 3, .batch_items = 3,
                                       .breaker_threshold = threshold, .breaker_open = 1, .balancing = WEFT_BALANCE_FAILOVER };

    *r = (struct rig){ .fake = { .base = { .type = &type, .id = "es/fake" }, .plan = plan, .n_endpoints = n_endpoints },
                       .log = { .fd = memfd_create("log", 0), .level = WEFT_LOG_INFO } };
    r->fake.base.log = &r->log;
    assert_int_equal(weft_journal_open(&r->journal, &(struct weft_journal_options){ .name = "logs", .max_size = 8 * MIB }), 0);
    assert_int_equal(weft_letters_open(&r->letters, &(struct weft_journal_options){ .name = "es", .max_size = MIB }), 0);
    struct weft_lane_source source = { .pipeline = "logs", .journal = r->journal, .signal = WEFT_LOGS };
    struct weft_lane_setup setup = { .exporter = &r->fake.base, .config = &config, .sources = &source, .n_sources = 1,
                                     .letters = r->letters };
    assert_int_equal(weft_lane_open(&r->lane, &setup), 0);
    for (unsigned i = 0; i < n_records; i++)
        append(r, 3);
    assert_int_equal(weft_lane_start(r->lane), 0);
}

static void wait_until_settled(struct rig *r)
{
    uint64_t give_up = weft_clock_mono_ms() + PATIENCE_MS;
    struct weft_lane_stats s;

    for (weft_lane_stats(r->lane, &s); s.waiting_items > 0; weft_lane_stats(r->lane, &s)) {
        if (weft_clock_mono_ms() > give_up)
            fail_msg("%s: %d items still wait", r->fake.plan, (int)s.waiting_items);
        sched_yield();
    }
}

/* Ends the lane; the messages of its lines must be those, in order. */
static void expect(struct rig *r, const char *const *want)
{
    char text[16384], *at = text;
    size_t n = 0;

    wait_until_settled(r);
    weft_lane_free(r->lane);
    ssize_t len = pread(r->log.fd, text, sizeof text - 1, 0);
    assert_true(len >= 0);
    text[len] = 0;
    for (char *end; (end = strchr(at, '\n')) != NULL; at = end + 1, n++) {
        *end = 0;
        char *message = strstr(at, "msg=\"");
        assert_non_null(message);
        if (!want[n] || fnmatch(want[n], message + 5, 0) != 0)
            fail_msg("%s: line %zu is %s instead of %s", r->fake.plan, n, message + 5, want[n] ? want[n] : "none");
    }
    if (want[n])
        fail_msg("%s: there is no line like %s", r->fake.plan, want[n]);
    weft_letters_close(r->letters);
    weft_journal_close(r->journal);
    close(r->log.fd);
}

static void a_failure_names_the_endpoint_and_what_waits_and_its_end_is_told(void **state)
{
    const struct { const char *plan; size_t n_endpoints; int64_t threshold; const char *want[6]; } cases[] = {
        { "s", 1, 0, { NULL } },
        { "fs", 1, 0, { "export of 3 log records to http://a failed: timeout: no answer; retry 1 in 0.? s; 6 items wait\"",
                        "sending again to http://a after 0.? s; 6 items wait\"" } },
        { "ffffs", 1, 0, { "export *retry 1 *", "export *retry 2 *", "export *retry 3 *", "* (1 failure not shown); 6 items wait\"" } },
        { "fs", 2, 0, { "export of 3 log records to http://a failed: timeout: no answer; trying http://b instead; 3 items wait\"" } },
        { "ffs", 1, 2, { "export of 3 *", "circuit open at http://a after 2 failures in a row; one request will probe the back end in *; 6 items wait\"",
                         "export of 3 *", "circuit closed; sending again to http://a after 0.? s; 6 items wait\"" } },
        { "fffffs", 1, 2, { "export of 3 *", "circuit open at http://a after 2 failures *", "export of 3 *",
                            "circuit closed; sending again to http://a after 0.? s (3 failures not shown); 6 items wait\"" } },
        { "fffffs", 1, 0, { "export *retry 1 *", "export *retry 2 *", "export *retry 3 *",
                            "sending again to http://a after 0.? s (2 failures not shown); 6 items wait\"" } },
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct rig r;
        rig_open(&r, cases[i].plan, cases[i].n_endpoints, cases[i].n_endpoints == 1 ? 2 : 1, cases[i].threshold);
        expect(&r, cases[i].want);
    }
}

static void one_item_waits(void **state)
{
    static const char *const want[] = { "export of 1 log record to *; retry 1 in 0.? s; 1 item waits\"", "sending again *; 1 item waits\"", NULL };
    struct rig r;
    (void)state;

    rig_open(&r, "fs", 1, 0, 0);
    append(&r, 1);
    expect(&r, want);
}

static void refusals_are_one_line_for_a_while_and_the_rest_comes_when_the_lane_ends_at_the_latest(void **state)
{
    const struct { const char *plan; unsigned n_records; const char *want[4]; } cases[] = {
        { "r", 1, { "3 log records refused for good (parsing: half is wrong), kept as dead letters: weft dlq show --exporter es/fake\"" } },
        { "w", 1, { "3 log records refused for good (http_400: no such index), kept as dead letters: weft dlq show --exporter es/fake\"" } },
        { "r", 100, { "3 log records *", "297 log records refused for good (parsing: half is wrong), kept *" } },
        { "rws", 4, { "3 log records *", "3 log records refused for good (http_400: no such index), kept *" } },
        { "rwrs", 4, { "3 log records *", "6 log records refused for good (http_400: no such index; and for other reasons), kept *" } },
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct rig r;
        rig_open(&r, cases[i].plan, 1, cases[i].n_records, 0);
        expect(&r, cases[i].want);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failure_names_the_endpoint_and_what_waits_and_its_end_is_told),
        cmocka_unit_test(one_item_waits),
        cmocka_unit_test(refusals_are_one_line_for_a_while_and_the_rest_comes_when_the_lane_ends_at_the_latest),
    };

    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "exporters/elasticsearch.h"
#include "core/gzip.h"
#include "exporters/elasticsearch_exporter.h"
#include "tests/support/fake_lane.h"
#include "tests/support/http_peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

enum { DOCS = 4096 };

/* A node that indexes: it knows each _id it has taken, and treats documents as the test tells it. */
struct node {
    struct http_peer peer;
    struct fixture *f;
    unsigned n_requests;
};

struct fixture {
    struct fake_lane lane;
    struct weft_es_exporter *e;
    struct node nodes[2];
    char urls[2][64];
    char *endpoints[2];
    struct weft_buf payload[3];
    char head[4096];
    struct weft_buf body;               /* of the last request, unpacked */
    char ids[DOCS][40];
    unsigned n_ids, n_conflicts;
    struct weft_gunzip *gunzip;
    /* the plan */
    enum http_peer_act act[2];
    unsigned status;                    /* 200: item by item */
    const char *headers;
    const char *raw;                    /* the answer's body, instead of one made of items */
    size_t refuse_above;
    const char *fates;                  /* one letter a document of the next request: d a r; the rest are done */
};

static unsigned index_document(struct fixture *f, const char *id)
{
    for (unsigned i = 0; i < f->n_ids; i++)
        if (strcmp(f->ids[i], id) == 0) {
            f->n_conflicts++;
            return 409;
        }
    assert_true(f->n_ids < DOCS);
    (void)snprintf(f->ids[f->n_ids++], sizeof f->ids[0], "%s", id);
    return 201;
}

static void put_item(struct fixture *f, struct weft_buf *out, const char *action, unsigned n, char fate)
{
    char id[40] = "";
    const char *at = strstr(action, "\"_id\":\"");

    assert_non_null(at);
    (void)sscanf(at, "\"_id\":\"%39[^\"]", id);
    weft_buf_printf(out, "%s{\"create\":{\"status\":", n ? "," : "");
    if (fate == 'a')
        weft_buf_printf(out, "429,\"error\":{\"type\":\"es_rejected_execution_exception\",\"reason\":\"queue is full\"}}}");
    else if (fate == 'r')
        weft_buf_printf(out, "400,\"error\":{\"type\":\"mapper_parsing_exception\",\"reason\":\"not a \\\"long\\\"\"}}}");
    else
        weft_buf_printf(out, "%u}}", index_document(f, id));
}

static void answer_items(struct fixture *f, struct weft_buf *answer)
{
    struct weft_buf out;
    unsigned n = 0;

    weft_buf_init(&out, 16u << 20);
    weft_buf_append_str(&out, "{\"errors\":true,\"items\":[");
    weft_buf_append_byte(&f->body, 0);
    for (char *line = (char *)f->body.data; *line; n++) {
        char fate = f->fates && n < strlen(f->fates) ? f->fates[n] : 'd';
        char *end = strchr(line, '\n');
        assert_non_null(end);
        *end = 0;
        put_item(f, &out, line, n, fate);
        *end = '\n';
        line = strchr(end + 1, '\n'); /* the document */
        assert_non_null(line);
        line++;
    }
    f->fates = NULL;
    weft_buf_append_str(&out, "]}");
    http_peer_say(answer, 200, "Content-Type: application/json\r\n", weft_buf_slice(&out));
    weft_buf_release(&out);
}

static enum http_peer_act on_request(void *ctx, const struct http_peer_request *request, struct weft_buf *answer)
{
    struct node *node = ctx;
    struct fixture *f = node->f;
    bool packed = strstr(request->head, "Content-Encoding: gzip") != NULL;

    node->n_requests++;
    (void)snprintf(f->head, sizeof f->head, "%s", request->head);
    weft_buf_reset(&f->body);
    if (packed)
        assert_int_equal(weft_gunzip_run(f->gunzip, request->body, &f->body), 0);
    else
        weft_buf_append(&f->body, request->body.data, request->body.len);
    if (f->refuse_above && request->body.len > f->refuse_above)
        http_peer_say(answer, 413, "", WEFT_SLICE("too much"));
    else if (f->status != 200 || f->raw)
        http_peer_say(answer, f->status, f->headers ? f->headers : "", weft_slice_str(f->raw));
    else if (f->act[node - f->nodes] <= PEER_ANSWER_AND_CLOSE)
        answer_items(f, answer);
    return f->act[node - f->nodes];
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    f->e = (struct weft_es_exporter *)fake_lane_open(&f->lane, &weft_exporter_elasticsearch, "elasticsearch/test");
    for (int i = 0; i < 2; i++) {
        f->nodes[i].f = f;
        assert_int_equal(http_peer_open(&f->nodes[i].peer, &f->lane.loop), 0);
        f->nodes[i].peer.ctx = &f->nodes[i];
        f->nodes[i].peer.on_request = on_request;
        (void)snprintf(f->urls[i], sizeof f->urls[i], "http://127.0.0.1:%d/", f->nodes[i].peer.port);
        f->endpoints[i] = f->urls[i];
    }
    assert_int_equal(weft_gunzip_new(&f->gunzip), 0);
    weft_buf_init(&f->body, 64u << 20);
    for (int i = 0; i < 3; i++)
        weft_buf_init(&f->payload[i], 64u << 20);
    f->status = 200;
    f->e->endpoints = (struct weft_strings){ 1, f->endpoints };
    f->e->timeout_ms = 5000;
    f->e->gzip_level = 1;
    f->e->flush_bytes = 5000000;
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    for (int i = 0; i < 2; i++)
        http_peer_close(&f->nodes[i].peer);
    fake_lane_close(&f->lane);
    weft_gunzip_free(f->gunzip);
    weft_buf_release(&f->body);
    for (int i = 0; i < 3; i++)
        weft_buf_release(&f->payload[i]);
    free(f);
    return 0;
}

static void start(struct fixture *f)
{
    assert_int_equal(f->e->base.type->start(&f->e->base), 0);
}

static void batch_of(struct fixture *f, unsigned n)
{
    struct weft_slice payloads[3];

    for (unsigned i = 0; i < 3; i++) {
        weft_buf_reset(&f->payload[i]);
        fake_payload(&f->payload[i], WEFT_LOGS, "shop", i * n, n);
        payloads[i] = weft_buf_slice(&f->payload[i]);
    }
    fake_lane_batch(&f->lane, WEFT_LOGS, payloads, 3);
}

static void send_batch(struct fixture *f)
{
    fake_lane_send(&f->lane);
}

static void a_batch_becomes_one_bulk_request(void **state)
{
    struct fixture *f = *state;
    struct weft_pair header = { (char *)"X-Tenant", (char *)"blue" };

    f->e->user = (char *)"elastic";
    f->e->password = (char *)"changeme";
    f->e->pipeline = (char *)"geo";
    f->e->headers = (struct weft_pairs){ 1, &header };
    start(f);
    batch_of(f, 2);
    send_batch(f);
    assert_int_equal(f->lane.outcome, WEFT_SENT);
    assert_int_equal(f->n_ids, 6);
    assert_non_null(strstr(f->head, "POST /_bulk?filter_path=errors,items.*.status,items.*.error.type,"
                                    "items.*.error.reason&pipeline=geo HTTP/1.1\r\n"));
    assert_non_null(strstr(f->head, "Content-Type: application/x-ndjson\r\n"));
    assert_non_null(strstr(f->head, "Authorization: Basic ZWxhc3RpYzpjaGFuZ2VtZQ==\r\n"));
    assert_non_null(strstr(f->head, "X-Tenant: blue\r\n"));
    assert_null(strstr(f->head, "Content-Encoding"));
    assert_non_null(strstr((const char *)f->body.data, "\"severity_text\":\"item-5\""));
}

static void a_compressed_request_unpacks_to_the_same(void **state)
{
    struct fixture *f = *state;

    f->e->compression = WEFT_ES_GZIP;
    f->e->api_key = (char *)"a2V5";
    start(f);
    batch_of(f, 100);
    send_batch(f);
    assert_int_equal(f->lane.outcome, WEFT_SENT);
    assert_int_equal(f->n_ids, 300);
    assert_non_null(strstr(f->head, "Authorization: ApiKey a2V5\r\n"));
    assert_true(f->lane.batch.sent_bytes < f->body.len);
}

static void items_are_judged_one_by_one(void **state)
{
    struct fixture *f = *state;

    start(f);
    batch_of(f, 2);
    f->fates = "dradra";
    send_batch(f);
    assert_int_equal(f->lane.outcome, WEFT_RETRY);
    assert_string_equal(f->lane.reason, "es_rejected_execution_exception");
    assert_string_equal(f->lane.detail, "es_rejected_execution_exception: queue is full");
    assert_string_equal(fake_lane_states(&f->lane), "srwsrw");
    assert_string_equal(f->lane.rejects, "1+1 mapper_parsing_exception: mapper_parsing_exception: not a \"long\"\n"
                                         "4+1 mapper_parsing_exception: mapper_parsing_exception: not a \"long\"\n");
    send_batch(f); /* only those that wait go out again */
    assert_int_equal(f->lane.outcome, WEFT_SENT);
    assert_string_equal(fake_lane_states(&f->lane), "srssrs");
    assert_int_equal(f->n_ids, 4);
    assert_int_equal(f->n_conflicts, 0);
}

static void what_was_stored_before_counts_as_sent(void **state)
{
    struct fixture *f = *state;

    start(f);
    batch_of(f, 3);
    send_batch(f);
    memset(f->lane.batch.item_state, WEFT_ITEM_WAITING, f->lane.batch.n_items); /* as if the answer had been lost */
    send_batch(f);
    assert_int_equal(f->lane.outcome, WEFT_SENT);
    assert_int_equal(f->n_ids, 9);
    assert_int_equal(f->n_conflicts, 9);
}

static void whole_requests_fail_in_every_way(void **state)
{
    struct fixture *f = *state;
    const struct {
        const char *what;
        unsigned status;
        const char *headers, *raw;
        enum http_peer_act act;
        enum weft_outcome outcome;
        const char *reason;
        uint64_t retry_after_ms;
    } cases[] = {
        { "busy", 429, "Retry-After: 2\r\n", "", PEER_ANSWER, WEFT_RETRY, "http_429", 2000 },
        { "broken", 500, NULL, "", PEER_ANSWER, WEFT_RETRY, "http_500", 0 },
        { "leaving", 503, NULL, "", PEER_ANSWER, WEFT_RETRY, "http_503", 0 },
        { "unauthorised", 401, NULL, "{}", PEER_ANSWER, WEFT_REJECTED, "http_401", 0 },
        { "garbage", 200, NULL, "<html>hello</html>", PEER_ANSWER, WEFT_RETRY, "bad_answer", 0 },
        { "an empty answer", 200, NULL, "", PEER_ANSWER, WEFT_RETRY, "bad_answer", 0 },
        { "fewer items than documents", 200, NULL, "{\"errors\":true,\"items\":[]}", PEER_ANSWER, WEFT_RETRY, "short_answer", 0 },
        { "cut", 200, NULL, NULL, PEER_CUT, WEFT_RETRY, "connection", 0 },
        { "silent", 200, NULL, NULL, PEER_HANG, WEFT_RETRY, "timeout", 0 },
    };

    f->e->timeout_ms = 200;
    start(f);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        batch_of(f, 1);
        f->status = cases[i].status;
        f->headers = cases[i].headers;
        f->raw = cases[i].raw;
        f->act[0] = cases[i].act;
        send_batch(f);
        if (f->lane.outcome != cases[i].outcome || strcmp(f->lane.reason, cases[i].reason) != 0 ||
            f->lane.retry_after_ms != cases[i].retry_after_ms)
            fail_msg("%s: %d %s %llu", cases[i].what, (int)f->lane.outcome, f->lane.reason,
                     (unsigned long long)f->lane.retry_after_ms);
    }
    f->act[0] = PEER_ANSWER;
    f->status = 200;
    f->raw = NULL;
    send_batch(f);
    assert_int_equal(f->lane.outcome, WEFT_SENT);
}

static void a_body_that_is_too_large_is_halved_until_it_fits(void **state)
{
    struct fixture *f = *state;

    f->refuse_above = 100000;
    start(f);
    batch_of(f, 600); /* 400 KB */
    send_batch(f);
    assert_int_equal(f->lane.outcome, WEFT_SENT);
    assert_int_equal(f->n_ids, 1800);
    assert_int_equal(f->n_conflicts, 0);
    assert_true(f->e->max_bytes < 100000);

    f->refuse_above = 10; /* whatever it is: not worth halving */
    batch_of(f, 1);
    send_batch(f);
    assert_int_equal(f->lane.outcome, WEFT_REJECTED);
    assert_string_equal(f->lane.reason, "http_413");
}

static void a_body_is_no_larger_than_flush_bytes(void **state)
{
    struct fixture *f = *state;

    f->e->flush_bytes = 65536;
    start(f);
    batch_of(f, 600);
    send_batch(f);
    assert_int_equal(f->lane.outcome, WEFT_SENT);
    assert_int_equal(f->n_ids, 1800);
    assert_true(f->nodes[0].n_requests >= 5);
}

static void each_send_goes_to_the_endpoint_that_the_lane_chose(void **state)
{
    struct fixture *f = *state;

    f->e->endpoints.n = 2;
    assert_string_equal(f->e->base.type->endpoint(&f->e->base, 1), f->urls[1]);
    assert_null(f->e->base.type->endpoint(&f->e->base, 2));
    start(f);
    for (unsigned i = 0; i < 4; i++) {
        batch_of(f, 1);
        f->lane.batch.endpoint = i % 2;
        send_batch(f);
        assert_int_equal(f->lane.outcome, WEFT_SENT);
        assert_int_equal(f->nodes[i % 2].n_requests, i / 2 + 1);
    }
    f->act[1] = PEER_CUT;
    batch_of(f, 1);
    f->lane.batch.endpoint = 1;
    send_batch(f);
    assert_int_equal(f->lane.outcome, WEFT_RETRY); /* where to try it next is the lane's choice */
    assert_string_equal(f->lane.reason, "connection");
    assert_int_equal(f->nodes[0].n_requests, 2);
}

static void a_node_that_is_probed_gets_a_small_body_first(void **state)
{
    struct fixture *f = *state;

    f->e->flush_bytes = 5000000;
    start(f);
    batch_of(f, 1000);
    f->lane.batch.probe = true;
    f->status = 503;
    f->raw = "";
    send_batch(f);
    assert_int_equal(f->lane.outcome, WEFT_RETRY);
    assert_int_equal(f->nodes[0].n_requests, 1);
    assert_in_range(f->body.len, 1, 80 * 1024);

    f->status = 200;
    f->raw = NULL;
    send_batch(f);
    assert_int_equal(f->lane.outcome, WEFT_SENT);
    assert_int_equal(f->nodes[0].n_requests, 3); /* the small one, and the rest in one */
    assert_int_equal(f->n_ids, 3000);
    assert_int_equal(f->n_conflicts, 0);

    batch_of(f, 1);
    f->lane.batch.probe = true;
    f->lane.batch.probe_timeout_ms = 30;
    f->act[0] = PEER_HANG;
    send_batch(f);
    assert_int_equal(f->lane.outcome, WEFT_RETRY);
    assert_string_equal(f->lane.reason, "timeout");
}

static void a_span_is_sent_when_its_events_are(void **state)
{
    struct fixture *f = *state;
    struct weft_buf *b = &f->payload[0];
    const struct { const char *fates, *state; enum weft_outcome outcome; } cases[] = {
        { "ddd", "s", WEFT_SENT }, { "dda", "w", WEFT_RETRY }, { "dar", "r", WEFT_SENT }, { "rdd", "r", WEFT_SENT },
    };

    struct weft_otlp_group g = weft_otlp_group_open(b, weft_slice_of(NULL, 0), weft_slice_of(NULL, 0));
    size_t span = weft_wire_begin(b, WEFT_OTLP_ITEMS);
    for (int i = 0; i < 2; i++) {
        size_t event = weft_wire_begin(b, WEFT_SPAN_EVENTS);
        weft_wire_put_bytes(b, 2, WEFT_SLICE("event"));
        weft_wire_end(b, event);
    }
    weft_wire_end(b, span);
    weft_otlp_group_close(b, g);
    start(f);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct weft_slice payload = weft_buf_slice(b);
        fake_lane_batch(&f->lane, WEFT_TRACES, &payload, 1);
        f->fates = cases[i].fates;
        send_batch(f);
        if (f->lane.outcome != cases[i].outcome || strcmp(fake_lane_states(&f->lane), cases[i].state) != 0)
            fail_msg("%s: %d %s", cases[i].fates, (int)f->lane.outcome, fake_lane_states(&f->lane));
    }
}

static void stopping_gives_back_what_is_out(void **state)
{
    struct fixture *f = *state;

    f->act[0] = PEER_HANG;
    start(f);
    batch_of(f, 1);
    f->e->base.type->send(&f->e->base, &f->lane.batch);
    uv_run(&f->lane.loop, UV_RUN_ONCE);
    f->e->base.type->stop(&f->e->base);
    assert_int_equal(f->lane.done, 1);
    assert_int_equal(f->lane.outcome, WEFT_RETRY);
    assert_string_equal(f->lane.reason, "stopped");
}

static void mistakes_in_the_configuration_are_reported(void **state)
{
    char *two[] = { (char *)"http://a:9200", (char *)"b:9200" };
    const struct { const char *what; struct weft_es_exporter e; const char *words; } cases[] = {
        { "a good one", { .endpoints = { 1, two }, .logs_index = (char *)"my-logs" }, NULL },
        { "none", { .endpoint = NULL }, "endpoints is missing" },
        { "both", { .endpoints = { 1, two }, .endpoint = (char *)"http://a" }, "both set" },
        { "no scheme", { .endpoints = { 2, two } }, "'b:9200' is not a URL" },
        { "a query", { .endpoint = (char *)"http://a/?x" }, "is not a URL" },
        { "upper case", { .endpoints = { 1, two }, .logs_index = (char *)"Logs" }, "not a name that an index may have" },
        { "a user without a password", { .endpoints = { 1, two }, .user = (char *)"u" }, "go together" },
        { "two ways in", { .endpoints = { 1, two }, .user = (char *)"u", .password = (char *)"p", .api_key = (char *)"k" },
          "both set" },
        { "a pipeline with a blank", { .endpoints = { 1, two }, .pipeline = (char *)"a b" }, "is not a name" },
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct weft_arena arena;
        struct weft_es_exporter e = cases[i].e;
        weft_arena_init(&arena, 1u << 20);
        struct weft_problems problems = { .arena = &arena };
        int err = weft_es_check(&e.base, NULL, &problems);
        const char *words = problems.first ? problems.first->text : "";
        if (cases[i].words ? err == 0 || !strstr(words, cases[i].words) : err != 0)
            fail_msg("%s: %d '%s'", cases[i].what, err, words);
        weft_arena_release(&arena);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_batch_becomes_one_bulk_request, setup, teardown),
        cmocka_unit_test_setup_teardown(a_compressed_request_unpacks_to_the_same, setup, teardown),
        cmocka_unit_test_setup_teardown(items_are_judged_one_by_one, setup, teardown),
        cmocka_unit_test_setup_teardown(what_was_stored_before_counts_as_sent, setup, teardown),
        cmocka_unit_test_setup_teardown(whole_requests_fail_in_every_way, setup, teardown),
        cmocka_unit_test_setup_teardown(a_body_that_is_too_large_is_halved_until_it_fits, setup, teardown),
        cmocka_unit_test_setup_teardown(a_body_is_no_larger_than_flush_bytes, setup, teardown),
        cmocka_unit_test_setup_teardown(each_send_goes_to_the_endpoint_that_the_lane_chose, setup, teardown),
        cmocka_unit_test_setup_teardown(a_node_that_is_probed_gets_a_small_body_first, setup, teardown),
        cmocka_unit_test_setup_teardown(a_span_is_sent_when_its_events_are, setup, teardown),
        cmocka_unit_test_setup_teardown(stopping_gives_back_what_is_out, setup, teardown),
        cmocka_unit_test(mistakes_in_the_configuration_are_reported),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

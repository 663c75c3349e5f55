/* SPDX-License-Identifier: Apache-2.0 */
/* Exporters that may hold little: requests get smaller, what is kept for later is given back, and only what could never be sent is
 * refused. One back end for all, which takes everything. */
#include "core/gzip.h"
#include "core/otlp_fields.h"
#include "core/wire.h"
#include "exporters/elasticsearch_exporter.h"
#include "exporters/elasticsearch.h"
#include "exporters/otlp.h"
#include "exporters/otlp_exporter.h"
#include "tests/support/fake_lane.h"
#include "tests/support/http_peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

enum { KIB = 1024, MIB = 1024 * KIB };

struct fixture {
    struct fake_lane lane;
    struct http_peer peer;
    struct weft_ledger *ledger;
    struct weft_account *account, *others;
    struct weft_buf payload;
    char endpoint[64];
    unsigned n_requests, n_packed;
};

static enum http_peer_act on_request(void *ctx, const struct http_peer_request *request, struct weft_buf *answer)
{
    struct fixture *f = ctx;

    f->n_requests++;
    f->n_packed += strstr(request->head, "Content-Encoding: gzip") != NULL;
    http_peer_say(answer, 200, "", WEFT_SLICE("{\"errors\":false}"));
    return PEER_ANSWER;
}

/* The exporter is sure of half of `memory`, and may have the other half while nobody else takes it. */
static void open_fixture(struct fixture *f, const struct weft_exporter_type *type, uint64_t memory, bool gzip)
{
    struct weft_exporter *exporter = fake_lane_open(&f->lane, type, "exporter/test");

    assert_int_equal(http_peer_open(&f->peer, &f->lane.loop), 0);
    f->peer.ctx = f;
    f->peer.on_request = on_request;
    (void)snprintf(f->endpoint, sizeof f->endpoint, "http://127.0.0.1:%d", f->peer.port);
    assert_int_equal(weft_ledger_open(&f->ledger, memory), 0);
    assert_non_null(exporter->account = f->account = weft_account_open(f->ledger, NULL, "exporter", memory / 2, 0));
    assert_non_null(f->others = weft_account_open(f->ledger, NULL, "others", 0, 0));
    weft_buf_init(&f->payload, 64u << 20);
    if (type == &weft_exporter_elasticsearch) {
        struct weft_es_exporter *e = (struct weft_es_exporter *)exporter;
        e->endpoint = f->endpoint;
        e->timeout_ms = 5000;
        e->gzip_level = 1;
        e->flush_bytes = 5000000;
        e->compression = gzip ? WEFT_ES_GZIP : WEFT_ES_NONE;
    } else {
        struct weft_otlp_exporter *o = (struct weft_otlp_exporter *)exporter;
        o->endpoint = f->endpoint;
        o->timeout_ms = 5000;
        o->gzip_level = 1;
        o->compression = gzip ? WEFT_OTLP_GZIP : WEFT_OTLP_NONE;
    }
    assert_int_equal(type->start(exporter), 0);
}

static void close_fixture(struct fixture *f)
{
    http_peer_close(&f->peer);
    fake_lane_close(&f->lane);
    assert_int_equal(weft_ledger_used(f->ledger), 0);
    weft_ledger_close(f->ledger);
    weft_buf_release(&f->payload);
}

/* Text that does not compress to less than five eighths of itself. `odd`: control characters, which JSON writes as six each. */
static void put_text(struct weft_buf *out, size_t len, bool odd)
{
    uint64_t random = 88172645463325252u;
    size_t mark = weft_wire_begin(out, WEFT_LOG_BODY), inner = weft_wire_begin(out, 1);
    uint8_t *at = weft_buf_reserve(out, len);

    assert_non_null(at);
    for (size_t i = 0; i < len; i++) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        at[i] = (uint8_t)(odd ? 1 : ' ' + 3 + random % 32);
    }
    out->len += len;
    weft_wire_end(out, inner);
    weft_wire_end(out, mark);
}

static void batch_of(struct fixture *f, unsigned n, size_t len, bool odd)
{
    struct weft_slice payload;

    weft_buf_reset(&f->payload);
    struct weft_otlp_group group = weft_otlp_group_open(&f->payload, weft_slice_of(NULL, 0), weft_slice_of(NULL, 0));
    for (unsigned i = 0; i < n; i++) {
        size_t mark = weft_wire_begin(&f->payload, WEFT_OTLP_ITEMS);
        put_text(&f->payload, len, odd);
        weft_wire_end(&f->payload, mark);
    }
    weft_otlp_group_close(&f->payload, group);
    assert_int_equal(f->payload.err, 0);
    payload = weft_buf_slice(&f->payload);
    fake_lane_batch(&f->lane, WEFT_LOGS, &payload, 1);
}

static void what_could_fit_is_sent_and_what_never_could_is_refused(void **state)
{
    const struct {
        const char *what;
        const struct weft_exporter_type *type;
        uint64_t memory;
        unsigned n;
        size_t len;
        bool gzip, odd;
        unsigned refused, packed;
    } cases[] = {
        { "many items and next to nothing", &weft_exporter_elasticsearch, 384 * KIB, 1000, 1500, false, false, 0, 0 },
        { "the same, packed", &weft_exporter_elasticsearch, 512 * KIB, 1000, 1500, true, false, 0, 1 },
        { "one item in hardly more than its own size", &weft_exporter_elasticsearch, 2 * MIB, 1, 1500000, false, false, 0, 0 },
        { "one item that cannot be packed as well", &weft_exporter_elasticsearch, 2 * MIB, 1, 1500000, true, false, 0, 0 },
        { "one item that is larger than all there is", &weft_exporter_elasticsearch, MIB, 1, 1500000, false, false, 1, 0 },
        { "one item that JSON makes six times as large", &weft_exporter_elasticsearch, 8 * MIB, 1, 1200000, false, true, 0, 0 },
        { "the same with too little for it", &weft_exporter_elasticsearch, 6 * MIB, 1, 1200000, false, true, 1, 0 },
        { "two that are too large", &weft_exporter_elasticsearch, MIB, 2, 1500000, false, false, 2, 0 },
        { "a batch that is packed in pieces", &weft_exporter_otlphttp, 1536 * KIB, 1000, 1500, true, false, 0, 1 },
        { "one item that goes as it is", &weft_exporter_otlphttp, MIB, 1, 3000000, true, false, 0, 0 },
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fixture f = { 0 };
        open_fixture(&f, cases[i].type, cases[i].memory, cases[i].gzip);
        for (int again = 0; again < 2; again++) { /* the second time with what the first has kept */
            batch_of(&f, cases[i].n, cases[i].len, cases[i].odd);
            fake_lane_send(&f.lane);
            if (f.lane.outcome != WEFT_SENT || f.lane.n_rejects != cases[i].refused || (f.n_packed > 0) != cases[i].packed)
                fail_msg("%s: outcome %d (%s: %s), %u refused: %s, %u of %u packed", cases[i].what, f.lane.outcome, f.lane.reason,
                         f.lane.detail, f.lane.n_rejects, f.lane.rejects, f.n_packed, f.n_requests);
        }
        close_fixture(&f);
    }
}

static void what_others_hold_is_waited_for(void **state)
{
    (void)state;
    struct fixture f = { 0 };

    open_fixture(&f, &weft_exporter_elasticsearch, 4 * MIB, false);
    batch_of(&f, 1, 2500000, false);
    assert_true(weft_account_take(f.others, 2 * MIB));
    fake_lane_send(&f.lane);
    assert_int_equal(f.lane.outcome, WEFT_RETRY);
    assert_string_equal(f.lane.reason, WEFT_REASON_MEMORY);
    assert_int_equal(f.lane.n_rejects, 0);
    weft_account_give(f.others, 2 * MIB);
    (void)uv_run(&f.lane.loop, UV_RUN_NOWAIT); /* the first end came before the loop ran, and would stop it now */
    fake_lane_send(&f.lane);
    assert_int_equal(f.lane.outcome, WEFT_SENT);
    close_fixture(&f);
}

/* What one keeps for later is what another one may be waiting for. */
static void nothing_is_kept_when_it_is_quiet_or_others_are_short(void **state)
{
    (void)state;
    struct fixture f = { 0 };

    open_fixture(&f, &weft_exporter_elasticsearch, 4 * MIB, false);
    batch_of(&f, 2000, 1500, false);
    fake_lane_send(&f.lane);
    assert_int_equal(f.lane.outcome, WEFT_SENT);
    assert_true(atomic_load(&f.account->used) > 0);
    f.lane.exporter->type->trim(f.lane.exporter);
    assert_int_equal(atomic_load(&f.account->used), 0);
    assert_false(weft_account_take(f.others, 3 * MIB)); /* somebody is short */
    unsigned before = f.n_requests;
    batch_of(&f, 2000, 1500, false);
    fake_lane_send(&f.lane);
    assert_int_equal(f.lane.outcome, WEFT_SENT);
    assert_true(f.n_requests - before >= 3);
    assert_true(atomic_load(&f.account->used) <= f.account->guarantee);
    close_fixture(&f);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_could_fit_is_sent_and_what_never_could_is_refused),
        cmocka_unit_test(what_others_hold_is_waited_for),
        cmocka_unit_test(nothing_is_kept_when_it_is_quiet_or_others_are_short),
    };

    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

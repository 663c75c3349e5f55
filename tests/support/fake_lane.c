/* SPDX-License-Identifier: Apache-2.0 */
/* fake_lane.c: see fake_lane.h. */
#include "tests/support/fake_lane.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static struct fake_lane *lane_of(struct weft_exporter *self)
{
    return (struct fake_lane *)self->lane;
}

static void set_text(char *to, size_t size, const char *from)
{
    (void)snprintf(to, size, "%s", from ? from : "");
}

static void on_end(struct weft_exporter *self, struct weft_batch *batch, enum weft_outcome outcome, const char *reason,
                   const char *detail, uint64_t retry_after_ms)
{
    struct fake_lane *l = lane_of(self);

    assert_ptr_equal(batch, &l->batch);
    l->done++;
    l->outcome = outcome;
    l->retry_after_ms = retry_after_ms;
    set_text(l->reason, sizeof l->reason, reason);
    set_text(l->detail, sizeof l->detail, detail);
    for (uint64_t i = 0; i < batch->n_items && outcome != WEFT_RETRY; i++)
        if (batch->item_state[i] == WEFT_ITEM_WAITING)
            batch->item_state[i] = outcome == WEFT_SENT ? WEFT_ITEM_SENT : WEFT_ITEM_REJECTED;
    uv_stop(&l->loop);
}

static void on_reject(struct weft_exporter *self, struct weft_batch *batch, uint64_t first, uint64_t n,
                      const char *reason, const char *detail)
{
    struct fake_lane *l = lane_of(self);
    size_t at = strlen(l->rejects);

    assert_true(first + n <= batch->n_items);
    for (uint64_t i = first; i < first + n; i++) {
        assert_int_equal(batch->item_state[i], WEFT_ITEM_WAITING);
        batch->item_state[i] = WEFT_ITEM_REJECTED;
    }
    l->n_rejects += (unsigned)n;
    (void)snprintf(l->rejects + at, sizeof l->rejects - at, "%llu+%llu %s: %s\n", (unsigned long long)first,
                   (unsigned long long)n, reason, detail ? detail : "");
}

static void on_drop(struct weft_exporter *self, struct weft_batch *batch, uint64_t first, uint64_t n, const char *reason)
{
    (void)self;
    (void)reason;
    for (uint64_t i = first; i < first + n; i++)
        batch->item_state[i] = WEFT_ITEM_DROPPED;
}

static const struct weft_exporter_host host = { .done = on_end, .reject = on_reject, .drop = on_drop };

static void on_guard(uv_timer_t *timer)
{
    (void)timer;
    fail_msg("no end within 20 s");
}

struct weft_exporter *fake_lane_open(struct fake_lane *l, const struct weft_exporter_type *type, const char *id)
{
    *l = (struct fake_lane){ .log = { .fd = -1, .level = WEFT_LOG_DEBUG } };
    assert_int_equal(uv_loop_init(&l->loop), 0);
    assert_int_equal(uv_timer_init(&l->loop, &l->guard), 0);
    uv_timer_start(&l->guard, on_guard, 20000, 0);
    l->exporter = calloc(1, type->size);
    assert_non_null(l->exporter);
    *l->exporter = (struct weft_exporter){ .type = type, .id = id, .log = &l->log, .loop = &l->loop,
                                           .lane = (struct weft_lane *)l, .host = &host, .memory_limit = 16u << 20 };
    return l->exporter;
}

void fake_lane_close(struct fake_lane *l)
{
    l->exporter->type->stop(l->exporter);
    l->exporter->type->stop(l->exporter); /* idempotent */
    uv_close((uv_handle_t *)&l->guard, NULL);
    while (uv_run(&l->loop, UV_RUN_DEFAULT)) { /* an uv_stop of before ends a run early */
    }
    assert_int_equal(uv_loop_close(&l->loop), 0);
    free(l->exporter);
    free(l->batch.item_state);
}

void fake_lane_batch(struct fake_lane *l, enum weft_signal signal, const struct weft_slice *payloads, size_t n)
{
    assert_true(n <= FAKE_LANE_RECORDS);
    free(l->batch.item_state);
    l->batch = (struct weft_batch){ .signal = signal, .pipeline = "test", .journal_id = 0x1122334455667788,
                                    .records = l->records, .n_records = n };
    for (size_t i = 0; i < n; i++) {
        uint32_t items;
        assert_int_equal(weft_otlp_count(signal, payloads[i], &items), 0);
        l->records[i] = (struct weft_record){ .sequence = 7 + i, .signal = signal, .n_items = items,
                                              .payload = payloads[i] };
        l->batch.n_items += items;
        l->batch.n_bytes += payloads[i].len;
    }
    l->batch.item_state = calloc(l->batch.n_items + 1, 1);
    assert_non_null(l->batch.item_state);
    l->rejects[0] = 0;
    l->n_rejects = 0;
}

void fake_lane_send(struct fake_lane *l)
{
    unsigned before = l->done;

    l->exporter->type->send(l->exporter, &l->batch);
    if (l->done == before)
        uv_run(&l->loop, UV_RUN_DEFAULT);
    assert_int_equal(l->done, before + 1);
    l->batch.attempt++;
}

const char *fake_lane_states(const struct fake_lane *l)
{
    static char text[512];
    size_t n = l->batch.n_items < sizeof text - 1 ? l->batch.n_items : sizeof text - 1;

    for (size_t i = 0; i < n; i++)
        text[i] = "wsrd"[l->batch.item_state[i]];
    text[n] = 0;
    return text;
}

void fake_payload(struct weft_buf *out, enum weft_signal signal, const char *service, unsigned from, unsigned n)
{
    struct weft_buf resource;
    char name[32];

    weft_buf_init(&resource, 4096);
    weft_attribute_put_string(&resource, WEFT_RESOURCE_ATTRIBUTES, WEFT_SLICE("service.name"), weft_slice_str(service));
    struct weft_otlp_group group = weft_otlp_group_open(out, weft_buf_slice(&resource), weft_slice_of(NULL, 0));
    for (unsigned i = from; i < from + n; i++) {
        (void)snprintf(name, sizeof name, "item-%u", i);
        size_t mark = weft_wire_begin(out, WEFT_OTLP_ITEMS);
        if (signal == WEFT_TRACES)
            weft_wire_put_bytes(out, WEFT_SPAN_NAME, weft_slice_str(name));
        else
            weft_wire_put_bytes(out, WEFT_LOG_SEVERITY_TEXT, weft_slice_str(name));
        weft_wire_end(out, mark);
    }
    weft_otlp_group_close(out, group);
    weft_buf_release(&resource);
    assert_int_equal(out->err, 0);
}

const char *fake_payload_names(enum weft_signal signal, struct weft_slice payload)
{
    static char text[1 << 20];
    struct weft_otlp_walk w;
    size_t at = 0;

    text[0] = 0;
    weft_otlp_walk_init(&w, payload);
    while (weft_otlp_walk_next(&w) == 1) {
        struct weft_span_view span;
        struct weft_log_view log;
        struct weft_slice name = { 0 };
        if (signal == WEFT_TRACES && weft_span_read(w.item, &span) == 0)
            name = span.name;
        if (signal == WEFT_LOGS && weft_log_read(w.item, &log) == 0)
            name = log.severity_text;
        at += (size_t)snprintf(text + at, sizeof text - at, "%.*s ", (int)name.len, (const char *)name.data);
        assert_true(at < sizeof text);
    }
    return text;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* grpc_rig.c: see grpc_rig.h. */
#include "tests/support/grpc_rig.h"

#include "core/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

static void on_call(void *ctx, const struct weft_grpc_call *call, struct weft_grpc_answer *answer)
{
    struct grpc_rig *f = ctx;

    f->calls++;
    f->last_method = call->method;
    f->last_len = call->message.len;
    f->last_sum = 0;
    for (size_t i = 0; i < call->message.len; i++)
        f->last_sum = f->last_sum * 31 + call->message.data[i];
    *answer = f->next;
}

static void on_refusal(void *ctx, const struct weft_grpc_call *call, int err, const char *words,
                       struct weft_grpc_answer *answer)
{
    struct grpc_rig *f = ctx;
    (void)words;

    f->last_method = call->method;
    f->last_err = err;
    if (err == WEFT_ERR_LIMIT)
        answer->details = WEFT_SLICE("foo");
}

static const char *const methods[] = {
    "/test.Service/Call",
    "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
    "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
    NULL,
};

void grpc_rig_open_with(struct grpc_rig *f, struct weft_grpc_limits limits)
{
    const struct weft_grpc_handlers handlers = { .ctx = f, .methods = methods, .on_call = on_call, .on_refusal = on_refusal };

    memset(f, 0, sizeof *f);
    limits.max_message_size = GRPC_RIG_MESSAGE;
    limits.max_inflight = GRPC_RIG_INFLIGHT;
    assert_int_equal(weft_grpc_service_init(&f->service, &handlers, &limits), 0);
    weft_grpc_connection_init(&f->connection, &f->service, 1000);
    grpc_caller_open(&f->peer, &f->connection, 1000);
    weft_buf_init(&f->body, 1 << 22);
}

struct grpc_rig *grpc_rig_open(void)
{
    static struct grpc_rig f;

    grpc_rig_open_with(&f, (struct weft_grpc_limits){ 0 });
    return &f;
}

void grpc_rig_close(struct grpc_rig *f)
{
    grpc_caller_close(&f->peer);
    weft_grpc_connection_release(&f->connection);
    assert_int_equal(f->service.pool.used, 0);
    assert_int_equal(f->connection.held, 0);
    weft_grpc_service_release(&f->service);
    weft_buf_release(&f->body);
}

struct weft_slice grpc_rig_message(struct grpc_rig *f, const char *text)
{
    weft_buf_reset(&f->body);
    grpc_caller_message(&f->body, false, weft_slice_str(text));
    return weft_buf_slice(&f->body);
}

const struct grpc_reply *grpc_rig_call(struct grpc_rig *f, struct grpc_request request)
{
    int32_t id = grpc_caller_call(&f->peer, &request);

    grpc_caller_pump(&f->peer);
    return grpc_caller_reply(&f->peer, id);
}

void grpc_rig_tick(struct grpc_rig *f, uint64_t ms)
{
    f->peer.now_ms += ms;
    weft_grpc_connection_tick(&f->connection, f->peer.now_ms);
    grpc_caller_pump(&f->peer);
}

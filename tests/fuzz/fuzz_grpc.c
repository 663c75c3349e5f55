/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_grpc.c: bytes into a connection in memory, whole and in slices; what comes out is read but not judged. After each
 * input the ledger must be at zero and the clock may run to every deadline. Seeds: what real clients sent. */
#include "core/grpc_connection.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void on_call(void *ctx, const struct weft_grpc_call *call, struct weft_grpc_answer *answer)
{
    uint8_t *sum = ctx;

    for (size_t i = 0; i < call->message.len; i++)
        *sum = (uint8_t)(*sum + call->message.data[i]); /* the sanitizer sees every byte */
    answer->status = *sum & 1 ? WEFT_GRPC_OK : WEFT_GRPC_UNAVAILABLE;
    answer->message = "half of them";
}

static void drain(struct weft_grpc_connection *c, struct weft_buf *out)
{
    do {
        weft_buf_reset(out);
        weft_grpc_connection_output(c, out, 64 * 1024);
    } while (out->len > 0);
}

static void run(struct weft_grpc_service *service, struct weft_slice in, size_t slice)
{
    struct weft_grpc_connection c;
    struct weft_buf out;
    uint64_t now_ms = 1000;

    weft_buf_init(&out, 256 * 1024);
    weft_grpc_connection_init(&c, service, now_ms);
    for (; in.len > 0 && c.state != WEFT_GRPC_DONE; now_ms++) {
        size_t n = slice < in.len ? slice : in.len;
        weft_grpc_connection_input(&c, weft_slice_of(in.data, n), now_ms);
        drain(&c, &out);
        in = weft_slice_from(in, n);
    }
    weft_grpc_connection_tick(&c, now_ms + 500);
    weft_grpc_connection_quiesce(&c, now_ms + 1000);
    weft_grpc_connection_tick(&c, now_ms + 100000);
    drain(&c, &out);
    weft_grpc_connection_release(&c);
    if (service->pool.used != 0)
        abort();
    weft_buf_release(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const methods[] = {
        "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
        "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
        "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
        NULL,
    };
    uint8_t sum = 0;
    const struct weft_grpc_handlers handlers = { .ctx = &sum, .methods = methods, .on_call = on_call };
    const struct weft_grpc_limits limits = { .max_message_size = 50000, .max_inflight = 80000, .max_concurrent_streams = 10 };
    struct weft_grpc_service service;

    if (weft_grpc_service_init(&service, &handlers, &limits) < 0)
        return 0;
    run(&service, weft_slice_of(data, size), size ? size : 1);
    run(&service, weft_slice_of(data, size), 7);
    weft_grpc_service_release(&service);
    return 0;
}

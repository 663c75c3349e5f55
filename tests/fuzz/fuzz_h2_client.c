/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_h2_client.c: what a server says to three calls of the cleartext HTTP/2 client, whole and in slices, without a
 * socket; half way one call is cancelled and its body freed. Each call must end exactly once. Seeds: answers of servers. */
#include "core/h2_state.h"

#include <stdlib.h>

enum { CALLS = 3, BODY = 100 * 1000 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct ends {
    unsigned n;
    uint8_t sum;
};

static void on_done(void *ctx, const struct weft_http_result *result)
{
    struct ends *ends = ctx;

    for (size_t i = 0; i < result->body.len; i++)
        ends->sum = (uint8_t)(ends->sum + result->body.data[i]); /* the sanitizer sees every byte */
    ends->sum = (uint8_t)(ends->sum + (result->grpc_status ? strlen(result->grpc_status) : 0));
    ends->sum = (uint8_t)(ends->sum + (result->grpc_message ? strlen(result->grpc_message) : 0));
    ends->n++;
}

/* The calls wait for a connection that is not on its way; then it becomes ready without one. */
static struct weft_h2_connection *begin(struct weft_h2_client *c, struct ends *ends, const struct weft_slice *bodies)
{
    struct weft_h2_connection *n = weft_h2_connection_new(c, "127.0.0.1:1");

    if (!n)
        abort();
    n->stage = WEFT_H2_CONNECTING;
    for (size_t i = 0; i < CALLS; i++) {
        const struct weft_http_call call = { .method = "POST", .url = "http://127.0.0.1:1/s/m", .body = &bodies[i],
                                             .n_body = 1, .timeout_ms = 100000, .response_limit = 1000, .ctx = ends,
                                             .done = on_done };
        if (weft_h2_call(c, &call))
            abort();
    }
    n->stage = WEFT_H2_READY;
    if (weft_h2_session_open(n))
        abort();
    for (struct weft_h2_call *call = c->calls, *next; call; call = next) {
        next = call->next;
        call->tries = 1; /* no fresh connection */
        weft_h2_connection_submit(n, call);
    }
    return n;
}

static bool write_out(struct weft_h2_connection *n)
{
    bool ok = weft_h2_session_output(n);

    weft_buf_reset(&n->out);
    n->out_at = 0;
    return ok;
}

static void cancel_one(struct weft_h2_client *c, struct weft_h2_connection *n, uint8_t *body)
{
    struct weft_h2_call *call = c->calls;

    while (call && call->what.body->data != body)
        call = call->next;
    if (call) {
        weft_h2_connection_cancel(n, call);
        weft_h2_call_end(call, UV_ETIMEDOUT, "cancelled");
    }
}

static void run(uv_loop_t *loop, struct weft_h2_client *c, struct weft_slice in, size_t slice)
{
    struct ends ends = { 0 };
    struct weft_slice bodies[CALLS];
    uint8_t *bytes[CALLS];
    const size_t half = in.len / 2;

    for (size_t i = 0; i < CALLS; i++) {
        bytes[i] = calloc(1, BODY);
        if (!bytes[i])
            abort();
        bodies[i] = weft_slice_of(bytes[i], BODY);
    }
    struct weft_h2_connection *n = begin(c, &ends, bodies);
    bool ok = write_out(n), cancelled = false;
    while (ok && in.len > 0) {
        size_t len = slice < in.len ? slice : in.len;
        ok = weft_h2_session_input(n, weft_slice_of(in.data, len));
        in = weft_slice_from(in, len);
        weft_h2_deliver(c);
        if (!cancelled && in.len <= half) {
            cancelled = true;
            (void)weft_h2_session_output(n); /* frames of it wait */
            cancel_one(c, n, bytes[1]);
            weft_h2_deliver(c);
            free(bytes[1]);
            bytes[1] = NULL;
        }
        ok = ok && write_out(n);
    }
    weft_h2_connection_fail(n, UV_ECONNRESET, "the end");
    weft_h2_deliver(c);
    if (ends.n != CALLS)
        abort();
    for (size_t i = 0; i < CALLS; i++)
        free(bytes[i]);
    (void)uv_run(loop, UV_RUN_NOWAIT);
}

static void on_closed(void *ctx)
{
    (void)ctx;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct weft_h2_client *c;
    uv_loop_t loop;

    if (uv_loop_init(&loop) || weft_h2_open(&c, &loop, "weft/fuzz", NULL, NULL, on_closed))
        abort();
    run(&loop, c, weft_slice_of(data, size), size ? size : 1);
    run(&loop, c, weft_slice_of(data, size), 7);
    weft_h2_close(c);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    if (uv_loop_close(&loop))
        abort();
    return 0;
}

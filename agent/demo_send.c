/* SPDX-License-Identifier: Apache-2.0 */
/* demo_send.c: brings the demo's OTLP to an endpoint, over gRPC or HTTP, whichever answers (demo.h).
 *
 * PROBING (probe, in turn over both protocols) -> READY (on_probe)
 * One body of each signal is on its way at a time; one that was not taken is sent again after a second, and a signal for
 * which the agent has no pipeline is not sent any more.
 */
#include "agent/demo.h"

#include "core/err.h"
#include "core/http_client.h"

#include <stdlib.h>
#include <string.h>

enum { RETRY_MS = 1000, TIMEOUT_MS = 5000, SIGNALS = 2 };
enum protocol { GRPC, HTTP };

struct shipment {
    struct weft_demo_sender *sender;
    enum weft_demo_signal signal;
    bool busy;
    bool unwanted;                  /* the agent has no pipeline for this signal */
    struct weft_buf body;
    uint8_t prefix[5];              /* of a gRPC message */
    struct weft_slice parts[2];
    uv_timer_t retry;
};

struct weft_demo_sender {
    uv_loop_t *loop;
    char address[256];              /* host:port */
    bool http_only, ready, probing;
    enum protocol protocol;
    struct weft_http_client *clients[2]; /* by protocol */
    struct shipment shipments[SIGNALS];
    struct shipment probe;
    char words[160];
    unsigned open_timers;
};

static void on_retry(uv_timer_t *timer);

int weft_demo_sender_open(struct weft_demo_sender **ret_sender, uv_loop_t *loop, const char *endpoint)
{
    struct weft_demo_sender *s = calloc(1, sizeof *s);
    static const char scheme[] = "http://";
    int err = 0;

    if (!s)
        return UV_ENOMEM;
    s->loop = loop;
    s->http_only = strncmp(endpoint, scheme, sizeof scheme - 1) == 0;
    s->protocol = s->http_only ? HTTP : GRPC;
    (void)snprintf(s->address, sizeof s->address, "%s", endpoint + (s->http_only ? sizeof scheme - 1 : 0));
    (void)snprintf(s->words, sizeof s->words, "not asked yet");
    for (int i = 0; i < 2 && !err; i++) {
        struct weft_http_client_options options = { .max_connections = 2, .http2 = i == GRPC,
                                                    .user_agent = "weft-demo/" WEFT_VERSION };
        err = weft_http_client_open(&s->clients[i], loop, &options);
    }
    if (err) {
        weft_http_client_close(s->clients[GRPC]);
        free(s);
        return err;
    }
    for (int i = 0; i < SIGNALS; i++) {
        s->shipments[i].sender = s;
        s->shipments[i].signal = (enum weft_demo_signal)i;
        (void)uv_timer_init(loop, &s->shipments[i].retry);
        s->shipments[i].retry.data = &s->shipments[i];
        s->open_timers++;
    }
    s->probe.sender = s;
    *ret_sender = s;
    return 0;
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct shipment *ship = handle->data;
    struct weft_demo_sender *s = ship->sender;

    weft_buf_release(&ship->body);
    if (--s->open_timers == 0)
        free(s);
}

void weft_demo_sender_close(struct weft_demo_sender *s)
{
    if (!s)
        return;
    for (int i = 0; i < 2; i++)
        weft_http_client_close(s->clients[i]);
    for (int i = 0; i < SIGNALS; i++)
        uv_close((uv_handle_t *)&s->shipments[i].retry, on_timer_closed);
}

/* ---- calls ---- */
static int begin_call(struct shipment *ship, void (*done)(void *ctx, const struct weft_http_result *result))
{
    static const char *const paths[2][SIGNALS] = {
        [GRPC] = { "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
                   "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export" },
        [HTTP] = { "/v1/traces", "/v1/metrics" },
    };
    static const char *const grpc_headers[] = { "Content-Type: application/grpc", "TE: trailers", NULL };
    static const char *const http_headers[] = { "Content-Type: application/x-protobuf", NULL };
    struct weft_demo_sender *s = ship->sender;
    bool grpc = s->protocol == GRPC;
    char url[512];

    (void)snprintf(url, sizeof url, "http://%s%s", s->address, paths[s->protocol][ship->signal]);
    for (size_t i = 0; i < 4; i++)
        ship->prefix[1 + i] = (uint8_t)(ship->body.len >> (8 * (3 - i)));
    ship->parts[0] = weft_slice_of(ship->prefix, sizeof ship->prefix);
    ship->parts[1] = weft_buf_slice(&ship->body);
    struct weft_http_call call = {
        .method = "POST", .url = url, .headers = grpc ? grpc_headers : http_headers, .body = grpc ? ship->parts : ship->parts + 1,
        .n_body = grpc ? 2 : 1, .timeout_ms = TIMEOUT_MS, .response_limit = 4096, .ctx = ship, .done = done,
    };
    return weft_http_call(s->clients[s->protocol], &call);
}

/* True when the endpoint took it; else `words` say what it did instead. */
static bool was_taken(struct weft_demo_sender *s, const struct weft_http_result *result)
{
    bool grpc = s->protocol == GRPC;

    if (result->err)
        (void)snprintf(s->words, sizeof s->words, "%s", result->err < 0 ? weft_err_text(result->err) : result->reason);
    else if (result->status != 200)
        (void)snprintf(s->words, sizeof s->words, "status %u", result->status);
    else if (grpc && !result->grpc_status)
        (void)snprintf(s->words, sizeof s->words, "no gRPC answer");
    else if (grpc && strcmp(result->grpc_status, "0") != 0)
        (void)snprintf(s->words, sizeof s->words, "gRPC status %.20s %.80s", result->grpc_status,
                       result->grpc_message ? result->grpc_message : "");
    else
        return true;
    return false;
}

/* ---- probing ---- */
static void on_probe(void *ctx, const struct weft_http_result *result)
{
    struct shipment *ship = ctx;
    struct weft_demo_sender *s = ship->sender;

    s->probing = false;
    s->ready = was_taken(s, result);
    if (s->ready)
        (void)snprintf(s->words, sizeof s->words, s->protocol == GRPC ? "gRPC" : "HTTP");
    else if (!s->http_only)
        s->protocol = s->protocol == GRPC ? HTTP : GRPC;
}

void weft_demo_sender_probe(struct weft_demo_sender *s)
{
    if (s->probing || s->ready)
        return;
    int err = begin_call(&s->probe, on_probe); /* an empty body is a request without spans */
    s->probing = err == 0;
    if (err)
        (void)snprintf(s->words, sizeof s->words, "%s", weft_err_text(err));
}

bool weft_demo_sender_ready(const struct weft_demo_sender *s)
{
    return s->ready;
}

/* ---- sending ---- */
static bool is_unwanted(const struct weft_http_result *result)
{
    static const char unimplemented[] = "12";

    if (result->err)
        return false;
    return result->status == 404 || (result->grpc_status && strcmp(result->grpc_status, unimplemented) == 0);
}

static void on_sent(void *ctx, const struct weft_http_result *result)
{
    struct shipment *ship = ctx;

    ship->unwanted = is_unwanted(result);
    if (was_taken(ship->sender, result) || ship->unwanted) {
        ship->busy = false;
        weft_buf_reset(&ship->body);
    } else if (result->err != UV_ECANCELED) {
        (void)uv_timer_start(&ship->retry, on_retry, RETRY_MS, 0);
    }
}

static void on_retry(uv_timer_t *timer)
{
    struct shipment *ship = timer->data;

    if (begin_call(ship, on_sent))
        (void)uv_timer_start(&ship->retry, on_retry, RETRY_MS, 0);
}

bool weft_demo_sender_busy(const struct weft_demo_sender *s, enum weft_demo_signal signal)
{
    return s->shipments[signal].busy;
}

bool weft_demo_sender_unwanted(const struct weft_demo_sender *s, enum weft_demo_signal signal)
{
    return s->shipments[signal].unwanted;
}

void weft_demo_sender_send(struct weft_demo_sender *s, enum weft_demo_signal signal, struct weft_buf *body)
{
    struct shipment *ship = &s->shipments[signal];
    struct weft_buf before = ship->body;

    if (ship->unwanted) {
        weft_buf_reset(body);
        return;
    }
    ship->body = *body;
    weft_buf_reset(&before);
    before.limit = body->limit;
    *body = before; /* the memory of the last body serves for the next */
    ship->busy = true;
    if (begin_call(ship, on_sent))
        (void)uv_timer_start(&ship->retry, on_retry, RETRY_MS, 0);
}

const char *weft_demo_sender_words(const struct weft_demo_sender *s)
{
    return s->words;
}

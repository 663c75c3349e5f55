/* SPDX-License-Identifier: Apache-2.0 */
/* otlp_grpc.c: OTLP over gRPC: three unary methods of core/grpc_server.h in front of weft_otlp_accept.
 *
 * Only signals that a pipeline wants have a method; the others are UNIMPLEMENTED, and their service is unknown to health
 * checks. The verdict's code is the gRPC status; an error carries google.rpc.Status, with RetryInfo when the client may
 * send the same again.
 *
 *   (1) A refusal is counted once: in weft_otlp_refuse or by the sink.
 *   (2) Messages of all connections together hold at most the instance's budget; HTTP/2 itself half of that.
 *
 * Runs on the instance's loop.
 */
#include "core/err.h"
#include "core/grpc_server.h"
#include "receivers/otlp.h"
#include "receivers/otlp_accept.h"
#include "receivers/otlp_answer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ANSWER_MAX = 4096, LEAST_SESSIONS = 1 << 20 };

struct weft_otlp_grpc {
    struct weft_otlp *receiver;
    struct weft_grpc_server *server;
    struct weft_tls_files tls;
    const char *methods[WEFT_SIGNALS + 1];  /* of the signals below; NULL ends */
    enum weft_signal signals[WEFT_SIGNALS];
    struct weft_otlp_verdict verdict;       /* of the call in hand: the answer points into it */
    struct weft_buf answer;
};

/* ---- calls ---- */
static void answer(struct weft_otlp_grpc *g, enum weft_signal signal, struct weft_grpc_answer *ret_answer)
{
    const struct weft_otlp_verdict *v = &g->verdict;

    weft_buf_reset(&g->answer);
    *ret_answer = (struct weft_grpc_answer){ .status = (enum weft_grpc_status)v->code };
    if (v->code == WEFT_OTLP_OK) {
        weft_otlp_answer_success(&g->answer, WEFT_OTLP_PROTOBUF, signal, v);
        ret_answer->body = weft_buf_slice(&g->answer);
    } else {
        weft_otlp_answer_status(&g->answer, WEFT_OTLP_PROTOBUF, v);
        ret_answer->message = v->message;
        ret_answer->details = weft_buf_slice(&g->answer);
    }
}

static void on_ready(struct weft_otlp_waiter *w)
{
    struct weft_otlp_grpc *g = w->receiver->grpc;
    enum weft_signal signal = w->signal;
    void *handle = w->handle;
    struct weft_grpc_answer a;

    weft_otlp_settle(w, &g->verdict);
    answer(g, signal, &a);
    weft_grpc_server_answer(g->server, handle, &a);
}

static void on_call(void *ctx, const struct weft_grpc_call *call, struct weft_grpc_answer *ret_answer)
{
    struct weft_otlp_grpc *g = ctx;
    enum weft_signal signal = g->signals[call->method];

    struct weft_otlp_waiter *waiter = weft_otlp_accept(g->receiver, signal, call->message, &g->verdict);
    if (!waiter) {
        answer(g, signal, ret_answer);
        return;
    }
    waiter->handle = call->handle;
    waiter->ready = on_ready;
    ret_answer->waiter = waiter;
}

static void on_gone(void *ctx, void *waiter)
{
    (void)ctx;
    weft_otlp_abandon(waiter);
}

/* "traces, logs": what there are methods for. */
static void list_signals(const struct weft_otlp_grpc *g, char *words, size_t size)
{
    size_t at = 0;

    words[0] = '\0';
    for (int i = 0; g->methods[i] && at < size; i++)
        at += (size_t)snprintf(words + at, size - at, "%s%s", i ? ", " : "", weft_signal_name(g->signals[i]));
}

static void on_refusal(void *ctx, const struct weft_grpc_call *call, int err, const char *words,
                       struct weft_grpc_answer *ret_answer)
{
    struct weft_otlp_grpc *g = ctx;
    const bool known = call->method >= 0;
    enum weft_signal signal = known ? g->signals[call->method] : WEFT_SIGNALS;
    char list[64];

    list_signals(g, list, sizeof list);
    if (!known && err == WEFT_ERR_UNSUPPORTED)
        weft_otlp_refuse(g->receiver, signal, err, &g->verdict, "%s; OTLP of %s is taken here", words, list);
    else
        weft_otlp_refuse(g->receiver, signal, err, &g->verdict, "%s", words);
    answer(g, signal, ret_answer);
}

/* ---- life ---- */
static void list_methods(struct weft_otlp_grpc *g)
{
    static const char *const paths[WEFT_SIGNALS] = {
        [WEFT_TRACES] = "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
        [WEFT_LOGS] = "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
        [WEFT_METRICS] = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
    };
    size_t n = 0;

    for (int i = 0; i < WEFT_SIGNALS; i++) {
        if (!g->receiver->base.sinks[i])
            continue;
        g->signals[n] = (enum weft_signal)i;
        g->methods[n++] = paths[i];
    }
}

static struct weft_grpc_server_options server_options(struct weft_otlp_grpc *g)
{
    const struct weft_otlp_grpc_options *o = &g->receiver->grpc_options;
    const unsigned n_loops = g->receiver->base.n_loops ? g->receiver->base.n_loops : 1;
    const uint64_t max_message = (uint64_t)o->max_recv_msg_size_mib << 20;
    const uint64_t budget = weft_otlp_body_budget(g->receiver, max_message);

    g->tls = (struct weft_tls_files){ o->tls.cert_file, o->tls.key_file, o->tls.client_ca_file };
    return (struct weft_grpc_server_options){
        .endpoint = o->endpoint,
        .reuse_port = n_loops > 1,
        .max_connections = ((unsigned)o->max_connections + n_loops - 1) / n_loops,
        .limits = {
            .max_message_size = max_message,
            .max_inflight = budget,
            .max_session_bytes = budget ? budget / 2 + LEAST_SESSIONS : 0,
            .account = g->receiver->base.account,
            .max_concurrent_streams = (unsigned)o->max_concurrent_streams,
            .max_idle_ms = o->max_connection_idle_ms,
            .max_age_ms = o->max_connection_age_ms,
            .max_age_grace_ms = o->max_connection_age_grace_ms,
            .keepalive_ms = o->keepalive_time_ms,
            .keepalive_timeout_ms = o->keepalive_timeout_ms,
        },
        .handlers = { g, g->methods, on_call, on_refusal, on_gone },
        .tls = o->tls.cert_file ? &g->tls : NULL,
    };
}

static void release(struct weft_otlp_grpc *g)
{
    weft_buf_release(&g->answer);
    free(g);
}

int weft_otlp_grpc_start(struct weft_otlp *r)
{
    struct weft_otlp_grpc *g = calloc(1, sizeof *g);
    const char *words = "out of memory";
    int err = UV_ENOMEM;

    if (g) {
        g->receiver = r;
        weft_buf_init(&g->answer, ANSWER_MAX);
        list_methods(g);
        struct weft_grpc_server_options o = server_options(g);
        err = weft_grpc_server_open(&g->server, r->base.loop, &o, &words);
    }
    if (err) {
        weft_log(r->base.log, WEFT_LOG_ERROR, r->base.id, "cannot serve OTLP/gRPC on %s: %s: %s", r->grpc_options.endpoint,
                 words, weft_err_text(err));
        if (g)
            release(g);
        return err;
    }
    r->grpc = g;
    return 0;
}

int weft_otlp_grpc_port(const struct weft_otlp *r)
{
    return r->grpc ? weft_grpc_server_port(r->grpc->server) : UV_ENOTCONN;
}

void weft_otlp_grpc_quiesce(struct weft_otlp *r)
{
    if (r->grpc)
        weft_grpc_server_quiesce(r->grpc->server);
}

unsigned weft_otlp_grpc_in_hand(const struct weft_otlp *r)
{
    return r->grpc ? weft_grpc_server_in_hand(r->grpc->server) : 0;
}

void weft_otlp_grpc_stop(struct weft_otlp *r)
{
    struct weft_otlp_grpc *g = r->grpc;

    if (!g)
        return;
    r->grpc = NULL;
    weft_grpc_server_close(g->server); /* calls nobody any more, though its handles close later */
    release(g);
}

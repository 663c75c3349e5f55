/* SPDX-License-Identifier: Apache-2.0 */
/* otlp_http.c: OTLP over HTTP/1.1, protobuf and JSON, plain or gzip, as opentelemetry-proto docs/specification.md 1.11
 * says in "OTLP/HTTP".
 *
 * The headers decide most refusals before any body is read: path, method, media type, encoding. A whole body is
 * unpacked, translated when it is JSON, and handed to weft_otlp_accept. Every answer has the request's own format; where
 * that is not known, JSON, because a person is reading.
 *
 *   (1) The body as sent, unpacked and translated is each at most max_body, and all that this instance holds
 *       at most its budget. What could not fit even alone gets 413, what does not fit beside others 503.
 *   (2) A refusal is counted once: in weft_otlp_refuse or by the sink.
 *
 * Cross-origin requests (browsers) are answered in otlp_cors.c. Runs on the instance's loop.
 */
#include "core/err.h"
#include "core/gzip.h"
#include "core/http_server.h"
#include "core/otlp_json.h"
#include "receivers/otlp.h"
#include "receivers/otlp_accept.h"
#include "receivers/otlp_answer.h"
#include "receivers/otlp_cors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { ANSWER_MAX = 4096, KEEP_SCRATCH = 256 * 1024, LEAST_BODY = 4 << 20, BODY_STEP = 64 * 1024 };

enum packing { PACKING_NONE, PACKING_GZIP, PACKING_UNKNOWN };

struct weft_otlp_http {
    struct weft_otlp *receiver;
    struct weft_http_server *server;
    struct weft_gunzip *gunzip;
    struct weft_http_tls tls;
    uint64_t max_body, budget;        /* budget 0: none */
    struct weft_buf plain, payload;   /* unpacked; translated from JSON */
    struct weft_buf answer;
    struct weft_otlp_cors cors;
    char retry_after[12];
};

/* ---- what a request is ---- */
static enum weft_signal signal_of(const struct weft_otlp *r, const char *path)
{
    for (int i = 0; i < WEFT_SIGNALS; i++)
        if (strcmp(path, r->http_options.paths[i]) == 0)
            return (enum weft_signal)i;
    return WEFT_SIGNALS;
}

/* The media type without its parameters equals `name`. */
static bool media_is(const char *value, const char *name)
{
    size_t len = strcspn(value, "; \t");
    return len == strlen(name) && strncasecmp(value, name, len) == 0;
}

static bool format_of(const struct weft_http_request *q, enum weft_otlp_format *ret_format)
{
    const char *type = weft_http_header(q, "Content-Type");

    *ret_format = WEFT_OTLP_JSON;
    if (type && media_is(type, "application/x-protobuf"))
        *ret_format = WEFT_OTLP_PROTOBUF;
    return type && (*ret_format == WEFT_OTLP_PROTOBUF || media_is(type, "application/json"));
}

static enum packing packing_of(const struct weft_http_request *q)
{
    const char *coding = weft_http_header(q, "Content-Encoding");

    if (!coding || !*coding || strcasecmp(coding, "identity") == 0 || strcasecmp(coding, "none") == 0)
        return PACKING_NONE;
    if (strcasecmp(coding, "gzip") == 0 || strcasecmp(coding, "x-gzip") == 0)
        return PACKING_GZIP;
    return PACKING_UNKNOWN;
}

/* ---- answers ---- */
static void answer(struct weft_otlp_http *h, const struct weft_http_request *q, enum weft_signal signal,
                   const struct weft_otlp_verdict *v, struct weft_http_response *response)
{
    enum weft_otlp_format format;

    (void)format_of(q, &format);
    weft_buf_reset(&h->answer);
    if (v->code == WEFT_OTLP_OK)
        weft_otlp_answer_success(&h->answer, format, signal, v);
    else
        weft_otlp_answer_status(&h->answer, format, v);
    response->status = v->http_status;
    response->content_type = format == WEFT_OTLP_JSON ? "application/json" : "application/x-protobuf";
    response->body = weft_buf_slice(&h->answer);
    if (v->retry_after_s) {
        (void)snprintf(h->retry_after, sizeof h->retry_after, "%u", v->retry_after_s);
        weft_http_add_header(response, "Retry-After", h->retry_after);
    }
    weft_otlp_cors_answer(&h->cors, q, response);
}

/* ---- headers ---- */

/* How much of a header's value can be shown to anybody: plain ASCII, not too long. */
static int showable(const char *value)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/+-._, ";
    size_t len = strspn(value, plain);

    return len < 80 ? (int)len : 80;
}

static void refuse_type(struct weft_otlp *r, enum weft_signal signal, const char *type, struct weft_otlp_verdict *v)
{
    static const char wanted[] = "send Content-Type: application/x-protobuf or application/json";

    if (type && showable(type) > 0)
        weft_otlp_refuse(r, signal, WEFT_ERR_UNSUPPORTED, v, "'%.*s' is not supported; %s", showable(type), type, wanted);
    else
        weft_otlp_refuse(r, signal, WEFT_ERR_UNSUPPORTED, v, "the request names no media type; %s", wanted);
}

static unsigned on_headers(void *ctx, const struct weft_http_request *q, struct weft_http_response *response)
{
    struct weft_otlp_http *h = ctx;
    struct weft_otlp *r = h->receiver;
    enum weft_signal signal = signal_of(r, q->path);
    struct weft_otlp_verdict v;
    enum weft_otlp_format format;

    if (signal == WEFT_SIGNALS) {
        weft_otlp_refuse(r, signal, WEFT_ERR_NOT_FOUND, &v, "no such path; OTLP is at %s, %s and %s",
                         r->http_options.paths[WEFT_TRACES], r->http_options.paths[WEFT_LOGS], r->http_options.paths[WEFT_METRICS]);
    } else if (!r->base.sinks[signal]) {
        weft_otlp_refuse(r, signal, WEFT_ERR_NOT_FOUND, &v, "no pipeline takes %s from this receiver", weft_signal_name(signal));
    } else if (weft_otlp_cors_preflight(&h->cors, q, response)) {
        return 204;
    } else if (strcmp(q->method, "POST") != 0) {
        weft_otlp_refuse(r, signal, WEFT_ERR_UNSUPPORTED, &v, "the method is POST");
        v.http_status = 405;
        weft_http_add_header(response, "Allow", "POST");
    } else if (!format_of(q, &format)) {
        refuse_type(r, signal, weft_http_header(q, "Content-Type"), &v);
        weft_http_add_header(response, "Accept", "application/x-protobuf, application/json");
    } else if (packing_of(q) == PACKING_UNKNOWN) {
        const char *coding = weft_http_header(q, "Content-Encoding");
        weft_otlp_refuse(r, signal, WEFT_ERR_UNSUPPORTED, &v, "Content-Encoding '%.*s' is not supported; send gzip or identity",
                         showable(coding), coding);
        weft_http_add_header(response, "Accept-Encoding", "gzip, identity");
    } else if (r->draining) {
        weft_otlp_refuse(r, signal, WEFT_ERR_DRAINING, &v, NULL);
    } else {
        return 0;
    }
    answer(h, q, signal, &v, response);
    return v.http_status;
}

/* ---- bodies ---- */

/* What a scratch buffer may grow to, now that `held` bytes are in hand. *ret_alone: nobody else has a part in that. */
static uint64_t scratch_room(const struct weft_otlp_http *h, uint64_t held, uint64_t own)
{
    struct weft_http_server_stats stats;

    if (h->budget == 0)
        return h->max_body;
    weft_http_server_stats(h->server, &stats);
    uint64_t others = stats.inflight_bytes > own ? stats.inflight_bytes - own : 0;
    uint64_t room = h->budget > others + held ? h->budget - others - held : 0;
    return room < h->max_body ? room : h->max_body;
}

/* A scratch buffer was too small for a body of the allowed size: for ever, or for now? */
static int room_error(const struct weft_otlp_http *h, uint64_t room, uint64_t held)
{
    uint64_t alone = h->budget > held ? h->budget - held : 0;
    return room < h->max_body && room < alone ? WEFT_ERR_LIMIT : WEFT_ERR_TOO_LARGE;
}

static void forget(struct weft_buf *b)
{
    if (b->cap > KEEP_SCRATCH)
        weft_buf_release(b);
}

/* Unpacks *body into h->plain and points it there. */
static int unpack(struct weft_otlp_http *h, struct weft_slice *body)
{
    uint64_t room = scratch_room(h, body->len, body->len);

    weft_buf_reset(&h->plain);
    if (h->plain.cap > room)
        weft_buf_release(&h->plain);
    h->plain.limit = room;
    int err = weft_gunzip_run(h->gunzip, *body, &h->plain);
    if (err == WEFT_ERR_TOO_LARGE)
        return room_error(h, room, body->len);
    if (!err)
        *body = weft_buf_slice(&h->plain);
    return err;
}

/* Translates *body from JSON into h->payload and points it there. */
static int translate(struct weft_otlp_http *h, enum weft_signal signal, size_t received, struct weft_slice *body,
                     struct weft_json_error *ret_error)
{
    uint64_t held = received + h->plain.len;
    uint64_t room = scratch_room(h, held, received);

    weft_buf_reset(&h->payload);
    if (h->payload.cap > room)
        weft_buf_release(&h->payload);
    h->payload.limit = room;
    int err = weft_otlp_json_read(signal, *body, &h->payload, ret_error);
    if (err == WEFT_ERR_TOO_LARGE)
        return room_error(h, room, held);
    if (!err)
        *body = weft_buf_slice(&h->payload);
    return err;
}

static void refuse_unpacking(struct weft_otlp_http *h, enum weft_signal signal, int err, struct weft_otlp_verdict *v)
{
    if (err == WEFT_ERR_TOO_LARGE)
        weft_otlp_refuse(h->receiver, signal, err, v, "the decompressed body is larger than %llu bytes",
                         (unsigned long long)h->max_body);
    else if (err == WEFT_ERR_MALFORMED)
        weft_otlp_refuse(h->receiver, signal, err, v, "the body is not gzip, is truncated, or its checksum is wrong");
    else
        weft_otlp_refuse(h->receiver, signal, err, v, NULL);
}

static void refuse_json(struct weft_otlp_http *h, enum weft_signal signal, int err, const struct weft_json_error *e,
                        struct weft_otlp_verdict *v)
{
    if (err == WEFT_ERR_MALFORMED || err == WEFT_ERR_TOO_DEEP)
        weft_otlp_refuse(h->receiver, signal, err, v, "JSON at byte %zu: %s", e->offset,
                         e->reason ? e->reason : weft_err_text(err));
    else
        weft_otlp_refuse(h->receiver, signal, err, v, NULL);
}

static struct weft_otlp_waiter *take(struct weft_otlp_http *h, const struct weft_http_request *q, enum weft_signal signal,
                                     struct weft_otlp_verdict *v)
{
    struct weft_json_error where = { 0 };
    struct weft_slice body = q->body;
    enum weft_otlp_format format;

    (void)format_of(q, &format);
    weft_buf_reset(&h->plain);
    if (packing_of(q) == PACKING_GZIP) {
        int err = unpack(h, &body);
        if (err) {
            refuse_unpacking(h, signal, err, v);
            return NULL;
        }
    }
    if (format == WEFT_OTLP_JSON) {
        int err = translate(h, signal, q->body.len, &body, &where);
        if (err) {
            refuse_json(h, signal, err, &where, v);
            return NULL;
        }
    }
    return weft_otlp_accept(h->receiver, signal, body, v);
}

static void on_ready(struct weft_otlp_waiter *w)
{
    weft_http_server_resume(w->receiver->http->server, w->handle);
}

static void on_request(void *ctx, const struct weft_http_request *q, struct weft_http_response *response)
{
    struct weft_otlp_http *h = ctx;
    enum weft_signal signal = signal_of(h->receiver, q->path);
    struct weft_otlp_verdict v;

    struct weft_otlp_waiter *waiter = take(h, q, signal, &v);
    forget(&h->plain);
    forget(&h->payload);
    if (!waiter) {
        answer(h, q, signal, &v, response);
        return;
    }
    waiter->handle = q->handle;
    waiter->ready = on_ready;
    response->waiter = waiter;
}

static void on_answer(void *ctx, const struct weft_http_request *q, void *waiter, bool late,
                      struct weft_http_response *response)
{
    struct weft_otlp_http *h = ctx;
    struct weft_otlp_verdict v;
    (void)late; /* settle sees whether it still waits */

    weft_otlp_settle(waiter, &v);
    answer(h, q, signal_of(h->receiver, q->path), &v, response);
}

static void on_gone(void *ctx, void *waiter)
{
    (void)ctx;
    weft_otlp_abandon(waiter);
}

/* False: no sink ever makes a request wait. */
static bool may_wait(const struct weft_otlp *r)
{
    for (int i = 0; i < WEFT_SIGNALS; i++)
        if (r->base.sinks[i] && r->base.sinks[i]->await)
            return true;
    return false;
}

static int error_of(unsigned status)
{
    return status == 413 ? WEFT_ERR_TOO_LARGE : status == 408 ? WEFT_ERR_TIMEOUT : WEFT_ERR_LIMIT;
}

static void on_refusal(void *ctx, const struct weft_http_request *q, unsigned status, struct weft_http_response *response)
{
    struct weft_otlp_http *h = ctx;
    enum weft_signal signal = signal_of(h->receiver, q->path);
    struct weft_otlp_verdict v;

    if (status == 413)
        weft_otlp_refuse(h->receiver, signal, WEFT_ERR_TOO_LARGE, &v, "the body is larger than %llu bytes",
                         (unsigned long long)h->max_body);
    else
        weft_otlp_refuse(h->receiver, signal, error_of(status), &v, NULL);
    answer(h, q, signal, &v, response);
}

/* ---- life ---- */

/* The largest body: what was configured, unless the instance's memory has no room for it and some small ones. */
static uint64_t largest_body(const struct weft_otlp *r)
{
    uint64_t wanted = r->http_options.max_request_body_size, memory = r->base.memory_limit;

    uint64_t fits = (memory - memory / 4) & ~(uint64_t)(BODY_STEP - 1);
    fits = fits > LEAST_BODY ? fits : LEAST_BODY;

    if (memory == 0 || wanted <= fits)
        return wanted;
    char limit[WEFT_QUANTITY_MAX], asked[WEFT_QUANTITY_MAX];
    if (r->base.loop_index == 0)
        weft_log(r->base.log, WEFT_LOG_INFO, r->base.id,
                 "HTTP bodies above %s are refused: service.memory_limit has no room for a max_request_body_size of %s",
                 weft_format_bytes((double)fits, limit), weft_format_bytes((double)wanted, asked));
    return fits;
}

static struct weft_http_server_options server_options(struct weft_otlp_http *h)
{
    const struct weft_otlp_http_options *o = &h->receiver->http_options;
    unsigned n_loops = h->receiver->base.n_loops ? h->receiver->base.n_loops : 1;

    h->tls = (struct weft_http_tls){ o->tls.cert_file, o->tls.key_file, o->tls.client_ca_file };
    return (struct weft_http_server_options){
        .endpoint = o->endpoint,
        .reuse_port = n_loops > 1,
        .max_body_size = h->max_body,
        .max_inflight = h->budget,
        .account = h->receiver->base.account,
        .max_connections = (unsigned)(o->max_connections + n_loops - 1) / n_loops,
        .idle_timeout_ms = o->idle_timeout_ms,
        .request_timeout_ms = o->request_timeout_ms,
        .tls = o->tls.cert_file ? &h->tls : NULL,
        .ctx = h,
        .on_headers = on_headers,
        .on_request = on_request,
        .on_answer = may_wait(h->receiver) ? on_answer : NULL,
        .on_gone = on_gone,
        .on_refusal = on_refusal,
    };
}

static void release(struct weft_otlp_http *h)
{
    weft_gunzip_free(h->gunzip);
    weft_buf_release(&h->plain);
    weft_buf_release(&h->payload);
    weft_buf_release(&h->answer);
    free(h);
}

static int open_parts(struct weft_otlp_http *h, const char **words)
{
    *words = "out of memory";
    int err = weft_gunzip_new(&h->gunzip);
    if (err)
        return err;
    struct weft_http_server_options o = server_options(h);
    return weft_http_server_open(&h->server, h->receiver->base.loop, &o, words);
}

int weft_otlp_http_start(struct weft_otlp *r)
{
    struct weft_otlp_http *h = calloc(1, sizeof *h);
    const char *words = "out of memory";
    int err = UV_ENOMEM;

    if (h) {
        h->receiver = r;
        h->max_body = largest_body(r);
        h->budget = weft_otlp_body_budget(r, h->max_body + h->max_body / 3 + 1); /* core/http_server.h (1) */
        h->cors = (struct weft_otlp_cors){ .origins = &r->http_options.cors_origins,
                                           .headers = &r->http_options.cors_headers,
                                           .max_age_s = r->http_options.cors_max_age_s };
        weft_buf_init(&h->answer, ANSWER_MAX);
        h->plain.account = h->payload.account = h->answer.account = r->base.account;
        err = open_parts(h, &words);
    }
    if (err) {
        weft_log(r->base.log, WEFT_LOG_ERROR, r->base.id, "cannot serve OTLP/HTTP on %s: %s: %s", r->http_options.endpoint,
                 words, weft_err_text(err));
        if (h)
            release(h);
        return err;
    }
    r->http = h;
    return 0;
}

uint64_t weft_otlp_http_largest(const struct weft_otlp *r)
{
    return r->http ? r->http->max_body : 0;
}

int weft_otlp_http_port(const struct weft_otlp *r)
{
    return r->http ? weft_http_server_port(r->http->server) : UV_ENOTCONN;
}

void weft_otlp_http_quiesce(struct weft_otlp *r)
{
    if (r->http)
        weft_http_server_quiesce(r->http->server);
}

unsigned weft_otlp_http_in_hand(const struct weft_otlp *r)
{
    return r->http ? weft_http_server_in_hand(r->http->server) : 0;
}

void weft_otlp_http_stop(struct weft_otlp *r)
{
    struct weft_otlp_http *h = r->http;

    if (!h)
        return;
    r->http = NULL;
    weft_http_server_close(h->server); /* calls nobody any more, though its handles close later */
    release(h);
}

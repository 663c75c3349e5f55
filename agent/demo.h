/* SPDX-License-Identifier: Apache-2.0 */
/* demo.h: a web shop of four services, acted out: frontend -> order-service -> inventory-service and payment-service.
 *
 * demo_shop.c makes one request out of time and chance; demo_otlp.c writes its spans and the shop's metrics as OTLP;
 * demo_log.c writes its log lines as pino would; demo_send.c brings OTLP to an endpoint; cmd_demo.c turns the crank. The first three
 * do no I/O and read no clock, but for the files that log lines go to. One thread.
 */
#ifndef WEFT_AGENT_DEMO_H
#define WEFT_AGENT_DEMO_H

#include "core/buf.h"

#include <stdio.h>
#include <uv.h>

enum weft_demo_service { WEFT_DEMO_FRONTEND, WEFT_DEMO_ORDER, WEFT_DEMO_INVENTORY, WEFT_DEMO_PAYMENT, WEFT_DEMO_SERVICES };

/* "frontend", "order-service", ... */
const char *weft_demo_service_name(enum weft_demo_service service);

/* What becomes of a request. SLOW ends well, late. */
enum weft_demo_outcome { WEFT_DEMO_GOOD, WEFT_DEMO_SLOW, WEFT_DEMO_DECLINED, WEFT_DEMO_BROKEN, WEFT_DEMO_OUTCOMES };

enum { WEFT_DEMO_SPANS = 9, WEFT_DEMO_ATTRIBUTES = 8, WEFT_DEMO_LINES = 12, WEFT_DEMO_STATUSES = 3, WEFT_DEMO_SKUS = 3 };

struct weft_demo_attribute { const char *key, *text; int64_t number; }; /* text NULL: the number */

struct weft_demo_span {
    enum weft_demo_service service;
    const char *name;
    int kind;                      /* OTLP's numbers: 1 internal, 2 server, 3 client */
    int parent;                    /* index of a span before it; -1: the root */
    uint8_t id[8];
    uint64_t start_ns, end_ns;
    const char *error;             /* NULL: it went well */
    const char *exception;         /* type of an exception event, or NULL */
    struct weft_demo_attribute attributes[WEFT_DEMO_ATTRIBUTES];
    size_t n_attributes;
};

struct weft_demo_line {
    int span;                      /* whose service and span id it has */
    int level;                     /* pino: 20 debug, 30 info, 40 warn, 50 error */
    uint64_t time_ns;
    const char *message;
    const char *error;             /* type of an "err" object, or NULL */
    const char *key;               /* one more number, or NULL */
    int64_t number;
};

struct weft_demo_request {
    char correlation[37];          /* a UUID */
    uint8_t trace_id[16];
    enum weft_demo_outcome outcome;
    int status;                    /* of the answer to the customer */
    int64_t cents;                 /* what the order costs */
    int sku, pieces;
    struct weft_demo_span spans[WEFT_DEMO_SPANS];
    struct weft_demo_line lines[WEFT_DEMO_LINES];
    size_t n_lines;
};

/* Chance: a stream of numbers from one seed. */
struct weft_demo_random { uint64_t state; };
uint64_t weft_demo_next(struct weft_demo_random *r);

/* One request that has just ended at `now_ns`. Strings in it are static. */
void weft_demo_request_make(struct weft_demo_random *r, uint64_t now_ns, struct weft_demo_request *ret_request);

/* ---- OTLP ---- */
/* Spans that wait to be sent, by service: finished items of a ScopeSpans. */
struct weft_demo_spans { struct weft_buf items[WEFT_DEMO_SERVICES]; size_t n_spans; };

/* Appends the request's spans. False: no room, nothing was appended. */
bool weft_demo_spans_add(struct weft_demo_spans *s, const struct weft_demo_request *request);

/* All of them as one ExportTraceServiceRequest; leaves `s` empty. */
void weft_demo_spans_take(struct weft_demo_spans *s, struct weft_buf *out);

enum { WEFT_DEMO_BOUNDS = 9 };
struct weft_demo_durations {
    uint64_t count, buckets[WEFT_DEMO_BOUNDS + 1];
    double sum;
    double last;                   /* the exemplar: the last request that was counted */
    uint64_t last_ns;
    uint8_t trace_id[16], span_id[8];
    char correlation[37];
};

/* The shop's metrics since `start_ns`, cumulative. */
struct weft_demo_metrics {
    uint64_t start_ns;
    struct weft_demo_durations durations[WEFT_DEMO_SERVICES][WEFT_DEMO_STATUSES]; /* by status: good, refused, broken */
    uint64_t orders[WEFT_DEMO_STATUSES];
    struct weft_demo_durations last_order[WEFT_DEMO_STATUSES];                    /* for its exemplar alone */
    double revenue;
    int64_t stock[WEFT_DEMO_SKUS];
};

void weft_demo_metrics_add(struct weft_demo_metrics *m, const struct weft_demo_request *request);

/* As one ExportMetricsServiceRequest. */
void weft_demo_metrics_write(const struct weft_demo_metrics *m, uint64_t now_ns, struct weft_buf *out);

/* ---- log lines ---- */
/* One line as pino writes it, with its newline. */
void weft_demo_line_write(const struct weft_demo_request *request, const struct weft_demo_line *line, struct weft_buf *out);

/* ---- sending ---- */
enum weft_demo_signal { WEFT_DEMO_TRACES, WEFT_DEMO_METRICS };

struct weft_demo_sender;

/* An endpoint "host:port" (protocol found out: gRPC or HTTP) or "http://host:port" (HTTP). */
int weft_demo_sender_open(struct weft_demo_sender **ret_sender, uv_loop_t *loop, const char *endpoint);
void weft_demo_sender_close(struct weft_demo_sender *s); /* run the loop on until its handles are closed */

/* Asks the endpoint whether it takes OTLP, by one protocol a call, in turn. Answers through weft_demo_sender_ready. */
void weft_demo_sender_probe(struct weft_demo_sender *s);
bool weft_demo_sender_ready(const struct weft_demo_sender *s);

/* Is a body of this signal still on its way? */
bool weft_demo_sender_busy(const struct weft_demo_sender *s, enum weft_demo_signal signal);

/* Did the agent say that it has no pipeline for this signal? Then nothing of it is sent any more. */
bool weft_demo_sender_unwanted(const struct weft_demo_sender *s, enum weft_demo_signal signal);

/* Sends `body` and takes it over (it is left empty); until it was taken it is tried again once a second. Only
 * when not busy. */
void weft_demo_sender_send(struct weft_demo_sender *s, enum weft_demo_signal signal, struct weft_buf *body);

/* What the endpoint did last, in words: "grpc", "http", "connection refused", ... Never NULL. */
const char *weft_demo_sender_words(const struct weft_demo_sender *s);

#endif

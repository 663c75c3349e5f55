/* SPDX-License-Identifier: Apache-2.0 */
/* demo_shop.c: one checkout, from chance to spans and log lines (demo.h).
 *
 *   frontend   POST /checkout
 *     order-service   POST /orders
 *       inventory-service   POST /reservations   -> its database
 *       payment-service     POST /charges, or POST /voids when there is nothing to sell
 *
 * Times are laid out from the leaves: a span lasts as long as what it calls and a little longer, and the whole ends now.
 */
#include "agent/demo.h"

#include <string.h>

enum span { CHECKOUT, TO_ORDER, ORDER, TO_INVENTORY, RESERVE, QUERY, TO_PAYMENT, CHARGE, AUTHORIZE };

#define MS 1000000u

const char *weft_demo_service_name(enum weft_demo_service service)
{
    static const char *const names[] = { "frontend", "order-service", "inventory-service", "payment-service" };
    return names[service];
}

/* splitmix64, by its published constants. */
uint64_t weft_demo_next(struct weft_demo_random *r)
{
    uint64_t z = r->state += 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static uint64_t between(struct weft_demo_random *r, uint64_t low, uint64_t high)
{
    return low + weft_demo_next(r) % (high - low + 1);
}

static void make_ids(struct weft_demo_random *r, struct weft_demo_request *q)
{
    uint64_t a = weft_demo_next(r), b = weft_demo_next(r);

    (void)snprintf(q->correlation, sizeof q->correlation, "%08x-%04x-4%03x-%04x-%012llx", (unsigned)(a >> 32),
                   (unsigned)(a >> 16 & 0xffff), (unsigned)(a & 0xfff), (unsigned)(0x8000 | (b >> 48 & 0x3fff)),
                   (unsigned long long)(b & 0xffffffffffffu));
    for (size_t i = 0; i < 2; i++) {
        uint64_t n = weft_demo_next(r) | 1;
        memcpy(q->trace_id + 8 * i, &n, sizeof n);
    }
    for (size_t i = 0; i < WEFT_DEMO_SPANS; i++) {
        uint64_t n = weft_demo_next(r) | 1;
        memcpy(q->spans[i].id, &n, sizeof n);
    }
}

static enum weft_demo_outcome make_outcome(struct weft_demo_random *r)
{
    uint64_t n = weft_demo_next(r) % 100;

    return n < 82 ? WEFT_DEMO_GOOD : n < 90 ? WEFT_DEMO_SLOW : n < 96 ? WEFT_DEMO_DECLINED : WEFT_DEMO_BROKEN;
}

/* ---- spans ---- */
static void put(struct weft_demo_span *s, const char *key, const char *text, int64_t number)
{
    s->attributes[s->n_attributes++] = (struct weft_demo_attribute){ key, text, number };
}

static void make_shape(struct weft_demo_request *q)
{
    static const struct { enum weft_demo_service service; const char *name; int kind, parent; } shape[] = {
        [CHECKOUT] = { WEFT_DEMO_FRONTEND, "POST /checkout", 2, -1 },
        [TO_ORDER] = { WEFT_DEMO_FRONTEND, "POST", 3, CHECKOUT },
        [ORDER] = { WEFT_DEMO_ORDER, "POST /orders", 2, TO_ORDER },
        [TO_INVENTORY] = { WEFT_DEMO_ORDER, "POST", 3, ORDER },
        [RESERVE] = { WEFT_DEMO_INVENTORY, "POST /reservations", 2, TO_INVENTORY },
        [QUERY] = { WEFT_DEMO_INVENTORY, "SELECT stock", 3, RESERVE },
        [TO_PAYMENT] = { WEFT_DEMO_ORDER, "POST", 3, ORDER },
        [CHARGE] = { WEFT_DEMO_PAYMENT, "POST /charges", 2, TO_PAYMENT },
        [AUTHORIZE] = { WEFT_DEMO_PAYMENT, "authorize card", 1, CHARGE },
    };

    for (size_t i = 0; i < WEFT_DEMO_SPANS; i++) {
        q->spans[i].service = shape[i].service;
        q->spans[i].name = shape[i].name;
        q->spans[i].kind = shape[i].kind;
        q->spans[i].parent = shape[i].parent;
    }
    if (q->outcome == WEFT_DEMO_BROKEN) {
        q->spans[CHARGE].name = "POST /voids";
        q->spans[AUTHORIZE].name = "release card";
    }
}

/* Lengths from the leaves up; then places from the root down. */
static void make_times(struct weft_demo_random *r, struct weft_demo_request *q, uint64_t now_ns)
{
    uint64_t query = q->outcome == WEFT_DEMO_SLOW ? between(r, 700, 2600) * MS : between(r, 2, 12) * MS;
    uint64_t authorize = between(r, 15, 60) * MS, hop = between(r, 200, 900) * 1000;
    uint64_t length[WEFT_DEMO_SPANS];

    length[QUERY] = query;
    length[RESERVE] = query + 2 * MS;
    length[TO_INVENTORY] = length[RESERVE] + 2 * hop;
    length[AUTHORIZE] = authorize;
    length[CHARGE] = authorize + 1 * MS;
    length[TO_PAYMENT] = length[CHARGE] + 2 * hop;
    length[ORDER] = length[TO_INVENTORY] + length[TO_PAYMENT] + 6 * MS;
    length[TO_ORDER] = length[ORDER] + 2 * hop;
    length[CHECKOUT] = length[TO_ORDER] + between(r, 3, 9) * MS;

    uint64_t start[WEFT_DEMO_SPANS];
    start[CHECKOUT] = now_ns - length[CHECKOUT];
    start[TO_ORDER] = start[CHECKOUT] + 2 * MS;
    start[ORDER] = start[TO_ORDER] + hop;
    start[TO_INVENTORY] = start[ORDER] + 2 * MS;
    start[RESERVE] = start[TO_INVENTORY] + hop;
    start[QUERY] = start[RESERVE] + 1 * MS;
    start[TO_PAYMENT] = start[TO_INVENTORY] + length[TO_INVENTORY] + 1 * MS;
    start[CHARGE] = start[TO_PAYMENT] + hop;
    start[AUTHORIZE] = start[CHARGE] + MS / 2;
    for (size_t i = 0; i < WEFT_DEMO_SPANS; i++) {
        q->spans[i].start_ns = start[i];
        q->spans[i].end_ns = start[i] + length[i];
    }
}

static int status_of(const struct weft_demo_request *q, enum span span)
{
    bool payment = span == TO_PAYMENT || span == CHARGE, inventory = span == TO_INVENTORY || span == RESERVE;

    if (payment)
        return q->outcome == WEFT_DEMO_DECLINED ? 402 : 200;
    if (inventory)
        return q->outcome == WEFT_DEMO_BROKEN ? 500 : 200;
    return q->status;
}

static void describe_http(struct weft_demo_request *q)
{
    static const struct { enum span span; const char *route, *peer; } http[] = {
        { CHECKOUT, "/checkout", NULL }, { TO_ORDER, "/orders", "order-service" },
        { ORDER, "/orders", NULL }, { TO_INVENTORY, "/reservations", "inventory-service" },
        { RESERVE, "/reservations", NULL }, { TO_PAYMENT, "/charges", "payment-service" },
        { CHARGE, "/charges", NULL },
    };

    for (size_t i = 0; i < sizeof http / sizeof *http; i++) {
        struct weft_demo_span *s = &q->spans[http[i].span];
        const char *route = http[i].route;
        if (q->outcome == WEFT_DEMO_BROKEN && (http[i].span == CHARGE || http[i].span == TO_PAYMENT))
            route = "/voids";
        put(s, "http.request.method", "POST", 0);
        put(s, s->kind == 2 ? "http.route" : "url.path", route, 0);
        put(s, "http.response.status_code", NULL, status_of(q, http[i].span));
        if (http[i].peer)
            put(s, "server.address", http[i].peer, 0);
        /* A server's own status is an error from 500 on, a caller's from 400 on. */
        if (status_of(q, http[i].span) >= (s->kind == 2 ? 500 : 400))
            s->error = status_of(q, http[i].span) == 402 ? "402 Payment Required" : "500 Internal Server Error";
    }
}

static void describe_rest(struct weft_demo_request *q)
{
    static const char *const skus[] = { "loom-01", "reed-40", "shuttle-7" };

    put(&q->spans[QUERY], "db.system.name", "postgresql", 0);
    put(&q->spans[QUERY], "db.namespace", "stock", 0);
    put(&q->spans[RESERVE], "shop.sku", skus[q->sku], 0);
    put(&q->spans[RESERVE], "shop.pieces", NULL, q->pieces);
    put(&q->spans[ORDER], "shop.order.cents", NULL, q->cents);
    put(&q->spans[AUTHORIZE], "payment.provider", "cardhouse", 0);
    if (q->outcome == WEFT_DEMO_DECLINED) {
        q->spans[AUTHORIZE].error = "card declined";
        q->spans[AUTHORIZE].exception = "CardDeclinedError";
        q->spans[CHARGE].error = "card declined";
    }
    if (q->outcome == WEFT_DEMO_BROKEN) {
        q->spans[QUERY].error = "connection reset by the database";
        q->spans[QUERY].exception = "DatabaseError";
    }
}

/* ---- log lines ---- */
static void say(struct weft_demo_request *q, enum span span, bool at_end, int level, const char *message, const char *key,
                int64_t number)
{
    const struct weft_demo_span *s = &q->spans[span];

    q->lines[q->n_lines++] = (struct weft_demo_line){ .span = (int)span, .level = level, .message = message, .key = key,
                                                      .number = number,
                                                      .time_ns = at_end ? s->end_ns - 100000 : s->start_ns + 100000 };
}

static void say_error(struct weft_demo_request *q, enum span span, const char *type, const char *message)
{
    say(q, span, true, 50, message, NULL, 0);
    q->lines[q->n_lines - 1].error = type;
}

static void make_lines(struct weft_demo_request *q)
{
    int64_t query_ms = (int64_t)((q->spans[QUERY].end_ns - q->spans[QUERY].start_ns) / MS);
    int64_t total_ms = (int64_t)((q->spans[CHECKOUT].end_ns - q->spans[CHECKOUT].start_ns) / MS);

    say(q, CHECKOUT, false, 30, "checkout started", "pieces", q->pieces);
    say(q, ORDER, false, 30, "order received", "cents", q->cents);
    say(q, RESERVE, false, 20, "looking up stock", "pieces", q->pieces);
    if (q->outcome == WEFT_DEMO_SLOW)
        say(q, QUERY, true, 40, "slow query", "duration_ms", query_ms);
    if (q->outcome == WEFT_DEMO_BROKEN)
        say_error(q, QUERY, "DatabaseError", "connection reset by the database");
    else
        say(q, RESERVE, true, 30, "stock reserved", "pieces", q->pieces);
    say(q, CHARGE, false, 20, "calling cardhouse", "cents", q->cents);
    if (q->outcome == WEFT_DEMO_DECLINED)
        say_error(q, CHARGE, "CardDeclinedError", "card declined");
    else
        say(q, CHARGE, true, 30, q->outcome == WEFT_DEMO_BROKEN ? "authorization released" : "card charged", "cents", q->cents);
    if (q->status >= 400)
        say_error(q, ORDER, q->status == 402 ? "PaymentError" : "ReservationError", "order failed");
    else
        say(q, ORDER, true, 30, "order created", "cents", q->cents);
    say(q, CHECKOUT, true, q->status >= 400 ? 50 : 30, q->status >= 400 ? "checkout failed" : "checkout completed", "duration_ms",
        total_ms);
}

void weft_demo_request_make(struct weft_demo_random *r, uint64_t now_ns, struct weft_demo_request *ret_request)
{
    struct weft_demo_request q = { .outcome = make_outcome(r) };

    q.status = q.outcome == WEFT_DEMO_DECLINED ? 402 : q.outcome == WEFT_DEMO_BROKEN ? 500 : 201;
    q.sku = (int)(weft_demo_next(r) % WEFT_DEMO_SKUS);
    q.pieces = (int)between(r, 1, 4);
    q.cents = (int64_t)between(r, 990, 24990) * q.pieces;
    make_ids(r, &q);
    make_shape(&q);
    make_times(r, &q, now_ns);
    describe_http(&q);
    describe_rest(&q);
    make_lines(&q);
    *ret_request = q;
}

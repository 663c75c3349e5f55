/* SPDX-License-Identifier: Apache-2.0 */
/* otlp_send.c: one batch on its way; see otlp_exporter.h.
 *
 *            weft_otlp_send
 *                  |
 *   +--------> send_piece ----(cannot even begin)---------------------------+
 *   |              |                                                        |
 *   |           on_done                                                     |
 *   |   accepted / refused for good   too large   no answer, busy           |
 *   |              |                     |              |                   |
 *   +-- more <- settle_piece          shrink         finish(RETRY) <--------+
 *   |              | no more             |
 *   |          finish(SENT)              |
 *   +------------------------------------+
 *
 * Which endpoint gets it is the lane's choice; one that is being probed gets a small piece first.
 * OTLP's partial success says how many items were refused, not which: the first of the piece are taken for them.
 */
#include "exporters/otlp_exporter.h"

#include "core/clock.h"
#include "core/err.h"
#include "core/otlp_json.h"
#include "exporters/otlp_answer.h"
#include "core/otlp_subset.h"

#include <stdlib.h>

enum {
    PREFIX = 5,                         /* of a gRPC message: compressed flag and length */
    SMALLEST_PIECE = 64 * 1024,         /* what a back end refuses below this is not a matter of size */
    PROBE_PIECE = 64 * 1024,            /* what an endpoint that failed before is tried with */
    RESPONSE_LIMIT = WEFT_OTLP_ANSWER_MAX,
    KEEP_BUFFER = 4 * 1024 * 1024,      /* larger ones are given back after the request */
};
static const size_t BUFFER_MAX = 64u << 20;

struct weft_otlp_request {
    struct weft_otlp_exporter *o;
    struct weft_otlp_request *next;
    struct weft_batch *batch;
    uint64_t first, end;                /* the piece that is out: items [first, end) */
    uint64_t bytes;                     /* of the piece as protobuf, before compression */
    bool whole;                         /* the piece is the batch */
    bool plain;                         /* the piece goes as it is, though pieces are compressed */
    bool bare;                          /* what is kept for later requests has been given back for this piece */
    bool probing;                       /* no piece of this send has gone well yet, and the endpoint failed before */
    uint8_t prefix[PREFIX];
    struct weft_slice *slices;          /* [0] is the prefix */
    size_t slices_cap, n_slices;
    struct weft_buf raw, json, packed;
};

/* ---- requests are kept for their buffers ---- */
static void buffer_init(const struct weft_otlp_exporter *o, struct weft_buf *b)
{
    weft_buf_init(b, o->base.memory_limit > 0 && o->base.memory_limit < BUFFER_MAX ? o->base.memory_limit : BUFFER_MAX);
    b->account = o->base.account;
}

static struct weft_otlp_request *request_take(struct weft_otlp_exporter *o)
{
    struct weft_otlp_request *r = o->free;

    if (r) {
        o->free = r->next;
        return r;
    }
    r = calloc(1, sizeof *r);
    if (!r)
        return NULL;
    r->o = o;
    buffer_init(o, &r->raw);
    buffer_init(o, &r->json);
    buffer_init(o, &r->packed);
    return r;
}

static void buffer_keep(struct weft_buf *b)
{
    if (b->cap > KEEP_BUFFER)
        weft_buf_release(b);
}

static void request_give_back(struct weft_otlp_request *r)
{
    buffer_keep(&r->raw);
    buffer_keep(&r->json);
    buffer_keep(&r->packed);
    r->batch = NULL;
    r->next = r->o->free;
    r->o->free = r;
}

void weft_otlp_requests_free(struct weft_otlp_exporter *o)
{
    while (o->free) {
        struct weft_otlp_request *r = o->free;
        o->free = r->next;
        weft_buf_release(&r->raw);
        weft_buf_release(&r->json);
        weft_buf_release(&r->packed);
        free(r->slices);
        weft_account_give(o->base.account, r->slices_cap * sizeof *r->slices);
        free(r);
    }
}

/* ---- composing a piece ---- */
static bool all_wait(const struct weft_batch *batch)
{
    for (uint64_t i = 0; i < batch->n_items; i++)
        if (batch->item_state[i] != WEFT_ITEM_WAITING)
            return false;
    return true;
}

static int slices_reserve(struct weft_otlp_request *r, size_t n)
{
    if (n <= r->slices_cap)
        return 0;
    const uint64_t more = (n - r->slices_cap) * sizeof *r->slices;
    if (!weft_account_take(r->o->base.account, more))
        return WEFT_ERR_LIMIT;
    struct weft_slice *slices = realloc(r->slices, n * sizeof *slices);
    if (!slices) {
        weft_account_give(r->o->base.account, more);
        return UV_ENOMEM;
    }
    r->slices = slices;
    r->slices_cap = n;
    return 0;
}

static void use_buffer(struct weft_otlp_request *r, const struct weft_buf *b)
{
    r->slices[1] = weft_buf_slice(b);
    r->n_slices = 2;
}

/* The records as they are: requests of one signal put behind each other are one request. */
static void gather(struct weft_otlp_request *r)
{
    const struct weft_batch *batch = r->batch;

    r->bytes = 0;
    r->n_slices = 1;
    for (size_t i = 0; i < batch->n_records; i++) {
        r->slices[r->n_slices++] = batch->records[i].payload;
        r->bytes += batch->records[i].payload.len;
    }
}

static int select_items(struct weft_otlp_request *r)
{
    uint64_t n;

    weft_buf_reset(&r->raw);
    int err = weft_otlp_subset(r->batch, r->first, r->end, &r->raw, &n);
    r->bytes = r->raw.len;
    use_buffer(r, &r->raw);
    return err;
}

static int to_json(struct weft_otlp_request *r)
{
    if (r->n_slices != 2) {
        weft_buf_reset(&r->raw);
        for (size_t i = 1; i < r->n_slices; i++)
            weft_buf_append(&r->raw, r->slices[i].data, r->slices[i].len);
        if (r->raw.err)
            return r->raw.err;
        use_buffer(r, &r->raw);
    }
    weft_buf_reset(&r->json);
    int err = weft_otlp_json_write(r->batch->signal, r->slices[1], &r->json);
    use_buffer(r, &r->json);
    return err;
}

static bool is_memory(int err)
{
    return err == WEFT_ERR_LIMIT || err == UV_ENOMEM;
}

/* What cannot be packed for want of memory goes as it is. */
static int compress(struct weft_otlp_request *r)
{
    weft_buf_reset(&r->packed);
    int err = weft_gzip_run(r->o->gzip, r->slices + 1, r->n_slices - 1, &r->packed);
    r->plain = is_memory(err);
    if (r->plain) {
        weft_buf_release(&r->packed);
        return 0;
    }
    use_buffer(r, &r->packed);
    return err;
}

static void prefix(struct weft_otlp_request *r)
{
    uint64_t len = 0;

    for (size_t i = 1; i < r->n_slices; i++)
        len += r->slices[i].len;
    r->prefix[0] = r->o->compress && !r->plain;
    for (int i = 0; i < 4; i++)
        r->prefix[1 + i] = (uint8_t)(len >> (24 - 8 * i));
    r->slices[0] = weft_slice_of(r->prefix, PREFIX);
}

static int compose(struct weft_otlp_request *r)
{
    struct weft_otlp_exporter *o = r->o;
    int err = slices_reserve(r, r->batch->n_records + 2);

    if (err)
        return err;
    if (r->whole)
        gather(r);
    else
        err = select_items(r);
    if (!err && o->encoding == WEFT_OTLP_JSON)
        err = to_json(r);
    if (!err && o->compress)
        err = compress(r);
    if (!err && o->grpc)
        prefix(r);
    return err;
}

/* ---- ends ---- */
static void finish(struct weft_otlp_request *r, enum weft_outcome outcome, const char *reason, const char *detail,
                   uint64_t retry_after_ms)
{
    struct weft_otlp_exporter *o = r->o;
    struct weft_batch *batch = r->batch;

    request_give_back(r);
    o->base.host->done(&o->base, batch, outcome, reason, detail, retry_after_ms);
}

/* Rejects up to `n` of the piece's items that wait, from its start. */
static void reject(struct weft_otlp_request *r, uint64_t n, const char *reason, const char *detail)
{
    struct weft_batch *batch = r->batch;

    for (uint64_t i = r->first; i < r->end && n > 0;) {
        uint64_t run = 0;
        while (i + run < r->end && run < n && batch->item_state[i + run] == WEFT_ITEM_WAITING)
            run++;
        if (run > 0)
            r->o->base.host->reject(&r->o->base, batch, i, run, reason, detail);
        n -= run;
        i += run > 0 ? run : 1;
    }
}

static uint64_t count_waiting(const struct weft_otlp_request *r, uint64_t first, uint64_t end)
{
    uint64_t n = 0;

    for (uint64_t i = first; i < end; i++)
        n += r->batch->item_state[i] == WEFT_ITEM_WAITING;
    return n;
}

static void mark_sent(struct weft_otlp_request *r)
{
    for (uint64_t i = r->first; i < r->end; i++)
        if (r->batch->item_state[i] == WEFT_ITEM_WAITING)
            r->batch->item_state[i] = WEFT_ITEM_SENT;
}

static void note(struct weft_otlp_exporter *o, const struct weft_otlp_verdict *v)
{
    char what[64] = "accepted a request with a remark", more[WEFT_LOG_MORE_MAX];
    unsigned dropped;

    if (v->detail[0] == 0 && v->rejected == 0)
        return;
    if (!weft_log_gate_open(&o->gate, weft_clock_mono_ms(), &dropped))
        return;
    if (v->rejected > 0)
        (void)snprintf(what, sizeof what, "rejected %llu item%s of a request", (unsigned long long)v->rejected, v->rejected == 1 ? "" : "s");
    weft_log(o->base.log, WEFT_LOG_WARN, o->base.id, "the back end %s: %s%s", what, v->detail[0] ? v->detail : "it does not say why",
             weft_log_more(dropped, more));
}

/* ---- pieces ---- */
static void send_piece(struct weft_otlp_request *r);

/* The items of the next piece: about as many bytes as the back end takes. */
static void choose_piece(struct weft_otlp_request *r, uint64_t first)
{
    const struct weft_batch *batch = r->batch;
    uint64_t limit = r->o->piece_bytes, n = batch->n_items;

    if (r->probing && (limit == 0 || limit > PROBE_PIECE))
        limit = PROBE_PIECE;
    if (limit > 0 && batch->n_bytes > limit)
        n = batch->n_items * limit / batch->n_bytes;
    n = n > 0 ? n : 1;
    r->first = first;
    r->end = batch->n_items - first < n ? batch->n_items : first + n;
    r->whole = first == 0 && r->end == batch->n_items && all_wait(batch);
    r->plain = r->bare = false;
}

/* The next piece that has items waiting; the end when there is none. */
static void next_piece(struct weft_otlp_request *r)
{
    const struct weft_batch *batch = r->batch;
    uint64_t first = r->end;

    while (first < batch->n_items && batch->item_state[first] != WEFT_ITEM_WAITING)
        first++;
    if (first == batch->n_items) {
        finish(r, WEFT_SENT, "sent", NULL, 0);
        return;
    }
    choose_piece(r, first);
    send_piece(r);
}

/* Half of what was too much, for this batch and for those to come. False: it cannot get any smaller. */
static bool shrink(struct weft_otlp_request *r)
{
    uint64_t bytes = r->bytes > 0 ? r->bytes : r->batch->n_bytes;

    if (bytes <= SMALLEST_PIECE || count_waiting(r, r->first, r->end) < 2)
        return false;
    uint64_t items = r->end - r->first;
    r->o->piece_bytes = bytes / 2 > SMALLEST_PIECE ? bytes / 2 : SMALLEST_PIECE;
    choose_piece(r, r->first);
    if (r->end - r->first >= items) { /* the average lies when items differ much in size */
        r->end = r->first + items / 2;
        r->whole = false;
    }
    return true;
}

static void settle_refusal(struct weft_otlp_request *r, const char *reason, const char *detail)
{
    if (r->first == 0 && r->end == r->batch->n_items) {
        finish(r, WEFT_REJECTED, reason, detail, 0);
        return;
    }
    reject(r, r->end - r->first, reason, detail);
    next_piece(r);
}

static void settle(struct weft_otlp_request *r, const struct weft_otlp_verdict *v)
{
    switch (v->outcome) {
    case WEFT_RETRY:
        finish(r, WEFT_RETRY, v->reason, v->detail, v->retry_after_ms);
        return;
    case WEFT_REJECTED:
        if (v->too_large && shrink(r))
            send_piece(r);
        else
            settle_refusal(r, v->reason, v->detail);
        return;
    case WEFT_SENT:
        note(r->o, v);
        reject(r, v->rejected, "partial_success", v->detail);
        if (r->end == r->batch->n_items) {
            finish(r, WEFT_SENT, "sent", NULL, 0);
            return;
        }
        mark_sent(r);
        r->probing = false;
        next_piece(r);
    }
}

/* gRPC servers compress their answer when we compressed our request; what cannot be unpacked stays as it is. */
static struct weft_slice unpack(struct weft_otlp_exporter *o, struct weft_slice body)
{
    static const uint8_t no_prefix[PREFIX];

    if (body.len < PREFIX || body.data[0] != 1 || (!o->gunzip && weft_gunzip_new(&o->gunzip)))
        return body;
    weft_buf_reset(&o->plain);
    weft_buf_append(&o->plain, no_prefix, PREFIX);
    return weft_gunzip_run(o->gunzip, weft_slice_from(body, PREFIX), &o->plain) ? body : weft_buf_slice(&o->plain);
}

static void on_done(void *ctx, const struct weft_http_result *result)
{
    struct weft_otlp_request *r = ctx;
    struct weft_otlp_verdict verdict;
    struct weft_http_result answer = *result;
    int64_t now_wall_s = (int64_t)(weft_clock_wall_ns() / 1000000000);

    r->batch->sent_bytes += answer.sent_bytes;
    if (r->o->grpc) {
        answer.body = unpack(r->o, answer.body);
        weft_otlp_judge_grpc(&answer, now_wall_s, &verdict);
    } else {
        weft_otlp_judge_http(&answer, now_wall_s, &verdict);
    }
    settle(r, &verdict);
}

static const char *reason_of(int err)
{
    return err == UV_ECANCELED ? "stopped" : is_memory(err) ? WEFT_REASON_MEMORY : "local";
}

static void free_buffers(struct weft_otlp_request *r)
{
    weft_buf_release(&r->raw);
    weft_buf_release(&r->json);
    weft_buf_release(&r->packed);
}

void weft_otlp_trim(struct weft_exporter *self)
{
    struct weft_otlp_exporter *o = (struct weft_otlp_exporter *)self;

    for (struct weft_otlp_request *idle = o->free; idle; idle = idle->next)
        free_buffers(idle);
    weft_http_client_trim(o->client);
}

/* Where memory is short: what idle requests keep is given back, then the piece is halved. False: it is one item. */
static bool make_do(struct weft_otlp_request *r)
{
    weft_otlp_trim(&r->o->base);
    free_buffers(r);
    if (!r->bare) {
        r->bare = true;
        return true;
    }
    if (count_waiting(r, r->first, r->end) < 2)
        return false;
    r->end = r->first + (r->end - r->first) / 2;
    r->whole = false;
    return true;
}

/* Composing fails on memory (try less, then again later), on a ceiling of ours (try less), or on what the payload is. */
static void cannot_begin(struct weft_otlp_request *r, int err)
{
    if ((err == WEFT_ERR_TOO_LARGE && shrink(r)) || (is_memory(err) && make_do(r)))
        send_piece(r);
    else if (err == WEFT_ERR_TOO_LARGE || err == WEFT_ERR_MALFORMED || err == WEFT_ERR_TOO_DEEP)
        settle_refusal(r, err == WEFT_ERR_TOO_LARGE ? "too_large" : "malformed", weft_err_text(err));
    else
        finish(r, WEFT_RETRY, reason_of(err), weft_err_text(err), 0);
}

static void send_piece(struct weft_otlp_request *r)
{
    struct weft_otlp_exporter *o = r->o;
    const char *url = o->targets[r->batch->endpoint].urls[r->batch->signal];
    uint64_t probe_ms = r->probing ? r->batch->probe_timeout_ms : 0;

    if (!url) {
        finish(r, WEFT_REJECTED, "no_endpoint", "no endpoint is configured for this signal", 0);
        return;
    }
    int err = compose(r);
    if (!err) {
        size_t skip = o->grpc ? 0 : 1;
        const struct weft_http_call call = {
            .method = "POST",
            .url = url,
            .headers = r->plain ? o->plain_lines : o->lines,
            .body = r->slices + skip,
            .n_body = r->n_slices - skip,
            .timeout_ms = probe_ms && probe_ms < o->timeout_ms ? probe_ms : o->timeout_ms,
            .response_limit = RESPONSE_LIMIT,
            .ctx = r,
            .done = on_done,
        };
        err = weft_http_call(o->client, &call);
    }
    if (err)
        cannot_begin(r, err);
}

void weft_otlp_send(struct weft_exporter *self, struct weft_batch *batch)
{
    struct weft_otlp_exporter *o = (struct weft_otlp_exporter *)self;
    struct weft_otlp_request *r = request_take(o);

    if (!r) {
        self->host->done(self, batch, WEFT_RETRY, WEFT_REASON_MEMORY, weft_err_text(UV_ENOMEM), 0);
        return;
    }
    r->batch = batch;
    r->bytes = 0;
    r->end = 0;
    r->probing = batch->probe;
    next_piece(r);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* elasticsearch_send.c: one batch on its way; see elasticsearch_exporter.h.
 *
 *            weft_es_send
 *                 |
 *   +-------> send_body ---(nothing left)--> finish(SENT, or RETRY when some items must be tried again)
 *   |             |
 *   |          on_done
 *   |   200         413      no answer, busy        refused
 *   |    |           |              |                  |
 *   +- settle     shrink      finish(RETRY)    reject the body's items, or finish(REJECTED)
 *   +----------------+---------------------------------+
 *
 * Where memory is short, bodies are smaller, down to one item; what idle requests keep is given back for it. An item that gets none
 * alone is tried again by the lane; one for which there can never be enough is refused.
 *
 * Which node gets it is the lane's choice. One that is being probed gets a small body first.
 */
#include "exporters/elasticsearch_exporter.h"

#include "core/clock.h"
#include "core/err.h"
#include "exporters/elasticsearch_answer.h"

#include <stdlib.h>

enum {
    SMALLEST_BODY = 64 * 1024,      /* below this a 413 is not a matter of how many */
    KEEP_BUFFER = 8 * 1024 * 1024,  /* larger ones are given back after the request */
    PROBE_BODY = 64 * 1024,         /* what a node that failed before is tried with */
    MODEST_MS = 300, /* a lane that waits for memory asks every 200 */
    ANSWER_MIN = 64 * 1024, ANSWER_PER_DOC = 2048,
};
static const size_t BODY_MAX = 128u << 20; /* address space mostly: room is reserved for the worst case of a document */

struct weft_es_request {
    struct weft_es_exporter *e;
    struct weft_es_request *next;
    struct weft_batch *batch;
    uint64_t first, end;            /* the items of the body that is out */
    struct weft_es_body body;
    struct weft_buf packed;
    struct weft_slice slice;        /* what is sent: body or packed */
    bool probing;                   /* no body of this send has gone well yet, and the node failed before */
    bool plain;                     /* the body goes as it is, though bodies are compressed */
    bool again;                     /* some items must be tried again */
    const char *reason;             /* why, of the first such item */
    char detail[400];
};

/* ---- requests are kept for their buffers ---- */
static struct weft_es_request *request_take(struct weft_es_exporter *e)
{
    struct weft_es_request *r = e->free;

    if (r) {
        e->free = r->next;
        return r;
    }
    r = calloc(1, sizeof *r);
    if (!r)
        return NULL;
    r->e = e;
    weft_es_body_init(&r->body, BODY_MAX);
    weft_buf_init(&r->packed, BODY_MAX);
    r->body.bytes.account = r->packed.account = e->base.account;
    return r;
}

/* Somebody else has asked for memory in vain: for a while we live on what we are sure of. */
static bool is_modest(struct weft_es_exporter *e)
{
    uint64_t refused = weft_account_refused_others(e->base.account), now = uv_now(e->base.loop);

    if (refused != e->refused_others)
        e->modest_until_ms = now + MODEST_MS;
    e->refused_others = refused;
    return now < e->modest_until_ms;
}

static void request_give_back(struct weft_es_request *r)
{
    size_t keep = is_modest(r->e) && weft_account_sure(r->e->base.account) == 0 ? 0 : KEEP_BUFFER;

    if (r->body.bytes.cap > keep)
        weft_es_body_release(&r->body);
    if (r->packed.cap > keep)
        weft_buf_release(&r->packed);
    r->batch = NULL;
    r->next = r->e->free;
    r->e->free = r;
}

void weft_es_requests_free(struct weft_es_exporter *e)
{
    while (e->free) {
        struct weft_es_request *r = e->free;
        e->free = r->next;
        weft_es_body_release(&r->body);
        weft_buf_release(&r->packed);
        free(r);
    }
}

/* ---- ends ---- */
static void finish(struct weft_es_request *r, enum weft_outcome outcome, const char *reason, const char *detail,
                   uint64_t retry_after_ms)
{
    struct weft_es_exporter *e = r->e;
    struct weft_batch *batch = r->batch;

    request_give_back(r);
    e->base.host->done(&e->base, batch, outcome, reason, detail, retry_after_ms);
}

static void finish_all(struct weft_es_request *r)
{
    char detail[sizeof r->detail];

    memcpy(detail, r->detail, sizeof detail); /* the request may be in use again before done returns */
    if (r->again)
        finish(r, WEFT_RETRY, r->reason, detail, 0);
    else
        finish(r, WEFT_SENT, "sent", NULL, 0);
}

static void reject(struct weft_es_request *r, uint64_t item, const char *reason, const char *detail)
{
    if (r->batch->item_state[item] == WEFT_ITEM_WAITING)
        r->e->base.host->reject(&r->e->base, r->batch, item, 1, reason, detail);
}

/* ---- what became of a body's items ---- */
struct fate {
    enum weft_es_fate fate;
    uint32_t item;
    const char *reason;
    char words[sizeof ((struct weft_es_request *)0)->detail];
};

static void settle_item(struct weft_es_request *r, const struct fate *f)
{
    switch (f->fate) {
    case WEFT_ES_DONE:
        r->batch->item_state[f->item] = WEFT_ITEM_SENT;
        break;
    case WEFT_ES_REFUSED:
        reject(r, f->item, f->reason, f->words);
        break;
    case WEFT_ES_AGAIN:
        if (!r->again) {
            r->reason = f->reason;
            memcpy(r->detail, f->words, sizeof f->words);
        }
        r->again = true;
        break;
    }
}

static void send_body(struct weft_es_request *r, uint64_t first);

/* Several documents make one item: the worst of them decides. */
static void settle_items(struct weft_es_request *r, struct weft_es_answer *a)
{
    struct fate f = { .reason = "short_answer", .words = "the answer names fewer documents than were sent" };
    struct weft_es_item item;
    bool more = true;

    for (size_t i = 0; i < r->body.n_docs; i++) {
        bool fresh = i == 0 || r->body.docs[i] != r->body.docs[i - 1];
        if (fresh && i > 0)
            settle_item(r, &f);
        more = more && weft_es_answer_next(a, &item) == 1;
        if (!more)
            item = (struct weft_es_item){ .fate = WEFT_ES_AGAIN, .reason = "short_answer" };
        if (fresh || item.fate > f.fate) {
            f.fate = item.fate;
            f.item = r->body.docs[i];
            f.reason = item.reason;
            weft_es_item_words(&item, f.words, item.fate == WEFT_ES_DONE ? 1 : sizeof f.words);
        }
    }
    if (r->body.n_docs > 0)
        settle_item(r, &f);
}

static void settle_ok(struct weft_es_request *r, const struct weft_http_result *result)
{
    struct weft_es_answer a;
    int more = result->body_cut ? -1 : weft_es_answer_open(&a, result->body);

    if (more < 0) {
        /* Nobody knows what became of the documents; their ids make a second try harmless. */
        finish(r, WEFT_RETRY, "bad_answer", "the answer is not that of a _bulk request", 0);
        return;
    }
    if (more == 1) {
        settle_items(r, &a);
    } else {
        for (size_t i = 0; i < r->body.n_docs; i++)
            r->batch->item_state[r->body.docs[i]] = WEFT_ITEM_SENT;
    }
    r->probing = false;
    send_body(r, r->end);
}

/* The server finds the body too large: half of it, from now on. False: it is one item or small anyway. */
static bool shrink(struct weft_es_request *r)
{
    size_t len = r->body.bytes.len;

    if (len <= SMALLEST_BODY || r->body.docs[0] == r->body.docs[r->body.n_docs - 1])
        return false;
    r->e->max_bytes = len / 2 > SMALLEST_BODY ? len / 2 : SMALLEST_BODY;
    return true;
}

static void settle_refusal(struct weft_es_request *r, const struct weft_es_verdict *v)
{
    if (r->first == 0 && r->end == r->batch->n_items) {
        finish(r, WEFT_REJECTED, v->reason, v->detail, 0);
        return;
    }
    for (size_t i = 0; i < r->body.n_docs; i++)
        reject(r, r->body.docs[i], v->reason, v->detail);
    send_body(r, r->end);
}

static void on_done(void *ctx, const struct weft_http_result *result)
{
    struct weft_es_request *r = ctx;
    struct weft_es_verdict v;

    r->batch->sent_bytes += result->sent_bytes;
    weft_es_judge(result, (int64_t)(weft_clock_wall_ns() / 1000000000), &v);
    if (v.outcome == WEFT_SENT)
        settle_ok(r, result);
    else if (v.outcome == WEFT_RETRY)
        finish(r, WEFT_RETRY, v.reason, v.detail, v.retry_after_ms);
    else if (v.too_large && shrink(r))
        send_body(r, r->first);
    else
        settle_refusal(r, &v);
}

/* ---- bodies ---- */
static int begin(struct weft_es_request *r)
{
    struct weft_es_exporter *e = r->e;
    uint64_t probe_ms = r->probing ? r->batch->probe_timeout_ms : 0;
    const struct weft_http_call call = {
        .method = "POST",
        .url = e->targets[r->batch->endpoint],
        .headers = r->plain ? e->plain_lines : e->lines,
        .body = &r->slice,
        .n_body = 1,
        .timeout_ms = probe_ms && probe_ms < e->timeout_ms ? probe_ms : e->timeout_ms,
        .response_limit = ANSWER_MIN + ANSWER_PER_DOC * r->body.n_docs,
        .ctx = r,
        .done = on_done,
    };
    return weft_http_call(e->client, &call);
}

/* Bytes that the next body should have: fewer where memory is short, so that requests go on, only smaller. */
static size_t body_size(const struct weft_es_request *r)
{
    const struct weft_account *account = r->e->base.account;
    uint64_t room = is_modest(r->e) ? weft_account_sure(account) : weft_account_room(account), half = room / 2 + r->body.bytes.cap / 2;
    uint64_t most = r->probing && r->e->max_bytes > PROBE_BODY ? PROBE_BODY : r->e->max_bytes, size = half < most ? half : most;

    return size > SMALLEST_BODY ? (size_t)size : SMALLEST_BODY;
}

static bool is_memory(int err)
{
    return err == WEFT_ERR_LIMIT || err == UV_ENOMEM;
}

/* Nobody else's bytes: there is not enough for this item even when all others have given back what they can. */
static bool never_fits(const struct weft_es_request *r)
{
    return r->body.n_docs == 0 && r->body.wanted > weft_account_most(r->e->base.account);
}

static void reject_next(struct weft_es_request *r, int err)
{
    if (is_memory(err))
        reject(r, r->end, "too_large", "no request within service.memory_limit can hold it");
    else
        reject(r, r->end, err == WEFT_ERR_MALFORMED ? "malformed" : "too_large", weft_err_text(err));
}

/* Puts a body together; an item that cannot be written is refused and the next one taken. */
static int compose(struct weft_es_request *r, uint64_t first, size_t size)
{
    struct weft_es_exporter *e = r->e;
    int err;

    weft_es_body_reset(&r->body);
    r->first = first;
    while ((err = weft_es_compose(&e->composer, r->batch, first, size, &r->body, &r->end)) != 0) {
        if (is_memory(err) ? !never_fits(r) : err != WEFT_ERR_MALFORMED && err != WEFT_ERR_TOO_LARGE)
            return err;
        reject_next(r, err);
        first = r->end + 1;
        r->body.wanted = 0;
    }
    return 0;
}

/* What cannot be packed for want of memory goes as it is. */
static int pack(struct weft_es_request *r)
{
    r->plain = true;
    r->slice = weft_buf_slice(&r->body.bytes);
    if (!r->e->compress)
        return 0;
    weft_buf_reset(&r->packed);
    int err = weft_gzip_run(r->e->gzip, &r->slice, 1, &r->packed);
    if (is_memory(err)) {
        weft_buf_release(&r->packed);
        return 0;
    }
    r->plain = false;
    r->slice = weft_buf_slice(&r->packed);
    return err;
}

static const char *reason_of(int err)
{
    return err == UV_ECANCELED ? "stopped" : is_memory(err) ? WEFT_REASON_MEMORY : "local";
}

void weft_es_trim(struct weft_exporter *self)
{
    struct weft_es_exporter *e = (struct weft_es_exporter *)self;

    for (struct weft_es_request *idle = e->free; idle; idle = idle->next) {
        weft_es_body_release(&idle->body);
        weft_buf_release(&idle->packed);
    }
    weft_http_client_trim(e->client);
}

/* Gives back what is kept for later requests, this one's buffers too. */
static void give_back_idle(struct weft_es_request *r)
{
    weft_es_trim(&r->e->base);
    weft_es_body_release(&r->body);
    weft_buf_release(&r->packed);
}

/* 1: a body is out. 0: nothing from `first` on waits. Or an error. */
static int try_body(struct weft_es_request *r, uint64_t first, size_t size)
{
    int err = compose(r, first, size);

    if (err || r->body.n_docs == 0)
        return err;
    err = pack(r);
    if (!err)
        err = begin(r);
    return err ? err : 1;
}

/* The next body, from item `first` on; the end of the batch when nothing there waits. */
static void send_body(struct weft_es_request *r, uint64_t first)
{
    static const size_t smaller[] = { SMALLEST_BODY, 1 }; /* the last: one item */
    int more = try_body(r, first, body_size(r));

    for (size_t i = 0; i < sizeof smaller / sizeof *smaller && is_memory(more); i++) {
        give_back_idle(r);
        more = try_body(r, first, smaller[i]);
    }
    if (more == 0)
        finish_all(r);
    else if (more < 0)
        finish(r, WEFT_RETRY, reason_of(more), weft_err_text(more), 0);
}

void weft_es_send(struct weft_exporter *self, struct weft_batch *batch)
{
    struct weft_es_exporter *e = (struct weft_es_exporter *)self;
    struct weft_es_request *r = request_take(e);

    if (!r) {
        self->host->done(self, batch, WEFT_RETRY, WEFT_REASON_MEMORY, weft_err_text(UV_ENOMEM), 0);
        return;
    }
    r->batch = batch;
    r->again = false;
    r->probing = batch->probe;
    r->detail[0] = 0;
    send_body(r, 0);
}

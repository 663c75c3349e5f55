/* SPDX-License-Identifier: Apache-2.0 */
/* h2_client.c: the calls of the cleartext HTTP/2 client: their heads, deadlines and ends. See h2_client.h. */
#include "core/h2_client.h"

#include "core/err.h"
#include "core/h2_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

enum { HEAD_MAX = 64 * 1024, KEEP_ANSWER = 1024 * 1024 };

/* ---- calls are kept for their buffers ---- */
static void call_free(struct weft_h2_call *call)
{
    weft_buf_release(&call->head);
    weft_http_answer_release(&call->answer);
    free(call);
}

static struct weft_h2_call *call_take(struct weft_h2_client *c)
{
    struct weft_h2_call *call = c->free;

    if (call) {
        c->free = call->next;
        return call;
    }
    call = calloc(1, sizeof *call);
    if (!call)
        return NULL;
    call->client = c;
    weft_buf_init(&call->head, HEAD_MAX);
    weft_http_answer_init(&call->answer);
    weft_http_answer_account(&call->answer, c->account);
    call->head.account = c->account;
    return call;
}

static void call_give_back(struct weft_h2_call *call)
{
    struct weft_h2_client *c = call->client;

    if (c->closed) {
        call_free(call);
        return;
    }
    if (call->answer.body.cap > KEEP_ANSWER)
        weft_buf_release(&call->answer.body);
    call->next = c->free;
    c->free = call;
}

static void call_unlink(struct weft_h2_call *call)
{
    struct weft_h2_call **at = &call->client->calls;

    while (*at != call)
        at = &(*at)->next;
    *at = call->next;
}

/* ---- the head of a request ---- */
/* The buffer may move while it grows: a pair holds offsets until all of it is there. */
static void add_pair(struct weft_h2_call *call, struct weft_slice name, struct weft_slice value)
{
    nghttp2_nv *nv = &call->nv[call->n_nv++];
    struct weft_buf *b = &call->head;

    *nv = (nghttp2_nv){ .name = (uint8_t *)(uintptr_t)b->len, .namelen = name.len, .valuelen = value.len };
    weft_buf_append(b, name.data, name.len);
    for (size_t i = b->len - name.len; !b->err && i < b->len; i++)
        if (b->data[i] >= 'A' && b->data[i] <= 'Z')
            b->data[i] |= 0x20;
    nv->value = (uint8_t *)(uintptr_t)b->len;
    weft_buf_append(b, value.data, value.len);
}

static int add_line(struct weft_h2_call *call, const char *line)
{
    const char *colon = strchr(line, ':');

    if (!colon)
        return UV_EINVAL;
    const char *value = colon + 1 + strspn(colon + 1, " \t");
    add_pair(call, weft_slice_of(line, (size_t)(colon - line)), weft_slice_str(value));
    return 0;
}

static int add_lines(struct weft_h2_call *call)
{
    const char *const *h = call->what.headers;
    bool agent = false;

    for (size_t n = 0; h && h[n]; n++) {
        if (n == WEFT_HTTP_MAX_HEADERS)
            return WEFT_ERR_TOO_LARGE;
        agent = agent || strncasecmp(h[n], "user-agent:", 11) == 0;
        int err = add_line(call, h[n]);
        if (err)
            return err;
    }
    if (!agent && call->client->user_agent)
        add_pair(call, WEFT_SLICE("user-agent"), weft_slice_str(call->client->user_agent));
    return 0;
}

static int make_head(struct weft_h2_call *call)
{
    const char *authority = call->what.url + strlen("http://");
    size_t len = strcspn(authority, "/?#");
    const char *path = authority[len] == '/' ? authority + len : "/";

    if (len == 0 || len >= WEFT_H2_AUTHORITY_MAX || memchr(authority, '@', len))
        return UV_EINVAL;
    weft_buf_reset(&call->head);
    call->n_nv = 0;
    weft_buf_append(&call->head, authority, len);
    weft_buf_append_byte(&call->head, 0);
    add_pair(call, WEFT_SLICE(":method"), weft_slice_str(call->what.method));
    add_pair(call, WEFT_SLICE(":scheme"), WEFT_SLICE("http"));
    add_pair(call, WEFT_SLICE(":authority"), weft_slice_of(authority, len));
    add_pair(call, WEFT_SLICE(":path"), weft_slice_str(path));
    int err = add_lines(call);
    if (err || call->head.err)
        return err ? err : call->head.err;
    for (size_t i = 0; i < call->n_nv; i++) {
        call->nv[i].name = call->head.data + (uintptr_t)call->nv[i].name;
        call->nv[i].value = call->head.data + (uintptr_t)call->nv[i].value;
    }
    call->authority = (const char *)call->head.data;
    return 0;
}

/* ---- the one timer ---- */
static void on_timer(uv_timer_t *timer);

static void arm(struct weft_h2_client *c)
{
    uint64_t now = uv_now(c->loop), next = UINT64_MAX;

    if (c->closed)
        return;
    for (const struct weft_h2_call *call = c->calls; call; call = call->next)
        next = call->deadline_ms < next ? call->deadline_ms : next;
    if (c->ended)
        next = now;
    if (next == UINT64_MAX)
        (void)uv_timer_stop(&c->timer);
    else
        (void)uv_timer_start(&c->timer, on_timer, next > now ? next - now : 0, 0);
}

static void time_out(struct weft_h2_call *call)
{
    struct weft_h2_connection *n = call->connection;
    bool dead = n->stage < WEFT_H2_READY || n->last_read_ms < call->started_ms;
    char reason[64];

    (void)snprintf(reason, sizeof reason, "no answer within %llu ms", (unsigned long long)call->what.timeout_ms);
    weft_h2_connection_cancel(n, call);
    weft_h2_call_end(call, UV_ETIMEDOUT, reason);
    if (dead) /* nothing has come from there all the time: more of it would not come either */
        weft_h2_connection_fail(n, UV_ETIMEDOUT, "the server is silent");
    else
        weft_h2_connection_flush(n);
}

static struct weft_h2_call *find_late(const struct weft_h2_client *c, uint64_t now)
{
    struct weft_h2_call *call = c->calls;

    while (call && call->deadline_ms > now)
        call = call->next;
    return call;
}

static void on_timer(uv_timer_t *timer)
{
    struct weft_h2_client *c = timer->data;
    struct weft_h2_call *call;

    while ((call = find_late(c, uv_now(c->loop))) != NULL)
        time_out(call);
    weft_h2_deliver(c);
}

/* ---- ends ---- */
void weft_h2_call_end(struct weft_h2_call *call, int err, const char *reason)
{
    struct weft_h2_call **last = &call->client->ended;

    call_unlink(call);
    call->connection = NULL;
    call->err = err;
    (void)snprintf(call->reason, sizeof call->reason, "%s", reason ? reason : "");
    while (*last)
        last = &(*last)->next;
    call->next = NULL;
    *last = call;
}

static void deliver_one(struct weft_h2_call *call)
{
    struct weft_http_result result = { 0 };

    weft_http_answer_result(&call->answer, &result);
    result.err = call->err;
    result.reason = call->err ? call->reason : NULL;
    result.sent_bytes = call->sent;
    call->what.done(call->what.ctx, &result);
    call_give_back(call);
}

/* Those that have ended by now: a callback that calls again at once must not keep us here. */
static void deliver_all(struct weft_h2_client *c)
{
    struct weft_h2_call *next, *call = c->ended;

    c->ended = NULL;
    for (; call; call = next) {
        next = call->next;
        deliver_one(call);
    }
}

void weft_h2_deliver(struct weft_h2_client *c)
{
    if (c->closed)
        return;
    deliver_all(c);
    arm(c);
}

/* ---- which connection ---- */
/* `fresh`: one that has not served anybody yet. */
static struct weft_h2_connection *find_connection(const struct weft_h2_client *c, const char *authority, bool fresh)
{
    for (struct weft_h2_connection *n = c->connections; n; n = n->next)
        if (n->stage <= (fresh ? WEFT_H2_CONNECTING : WEFT_H2_READY) && strcmp(n->authority, authority) == 0)
            return n;
    return NULL;
}

static void attach(struct weft_h2_call *call, bool fresh)
{
    struct weft_h2_client *c = call->client;
    struct weft_h2_connection *n = find_connection(c, call->authority, fresh);
    bool found = n != NULL;

    if (!n)
        n = weft_h2_connection_new(c, call->authority);
    if (!n) {
        weft_h2_call_end(call, UV_ENOMEM, weft_err_text(UV_ENOMEM));
        return;
    }
    weft_h2_connection_submit(n, call);
    if (!found)
        weft_h2_connection_begin(n); /* may end the call at once, and be gone itself */
    else
        weft_h2_connection_flush(n);
}

static void rewind_call(struct weft_h2_call *call)
{
    call->slice = call->offset = 0;
    call->stream = 0;
    call->answered = false;
    weft_http_answer_reset(&call->answer, call->what.response_limit);
}

void weft_h2_call_again(struct weft_h2_call *call, int err, const char *reason)
{
    if (call->tries++ > 0 || call->client->closed) {
        weft_h2_call_end(call, err, reason);
        return;
    }
    rewind_call(call);
    attach(call, true);
}

/* ---- the client ---- */
int weft_h2_call(struct weft_h2_client *c, const struct weft_http_call *what)
{
    struct weft_h2_call *call = c->closed ? NULL : call_take(c);

    if (!call)
        return c->closed ? UV_ECANCELED : UV_ENOMEM;
    call->what = *what;
    int err = make_head(call);
    if (err) {
        call_give_back(call);
        return err;
    }
    call->sent = 0;
    call->tries = 0;
    call->started_ms = uv_now(c->loop);
    call->deadline_ms = call->started_ms + what->timeout_ms;
    rewind_call(call);
    call->next = c->calls;
    c->calls = call;
    attach(call, false);
    arm(c);
    return 0;
}

int weft_h2_open(struct weft_h2_client **ret_client, uv_loop_t *loop, const char *user_agent, struct weft_account *account,
                 void *ctx, void (*closed)(void *ctx))
{
    struct weft_h2_client *c = calloc(1, sizeof *c);

    if (!c)
        return UV_ENOMEM;
    c->loop = loop;
    c->user_agent = user_agent;
    c->account = account;
    c->ctx = ctx;
    c->on_closed = closed;
    int err = uv_timer_init(loop, &c->timer);
    if (err) {
        free(c);
        return err;
    }
    c->timer.data = c;
    c->handles = 1;
    *ret_client = c;
    return 0;
}

void weft_h2_handle_gone(struct weft_h2_client *c)
{
    if (--c->handles > 0)
        return;
    c->on_closed(c->ctx);
    free(c);
}

static void on_timer_closed(uv_handle_t *handle)
{
    weft_h2_handle_gone(handle->data);
}

void weft_h2_close(struct weft_h2_client *c)
{
    if (c->closed)
        return;
    c->closed = true;
    while (c->connections)
        weft_h2_connection_fail(c->connections, UV_ECANCELED, "the client was closed");
    deliver_all(c);
    while (c->free) {
        struct weft_h2_call *call = c->free;
        c->free = call->next;
        call_free(call);
    }
    uv_close((uv_handle_t *)&c->timer, on_timer_closed);
}

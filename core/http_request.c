/* SPDX-License-Identifier: Apache-2.0 */
/* http_request.c: one request, from its request line to its answer; see http_request.h for its stages.
 *
 * libmicrohttpd takes an answer only before the first byte of a body or after the last. For a refusal this is
 * right when the rest of the body is small: it is thrown away and the connection lives on. A body that is too large is
 * another matter: its sender would have to deliver all of it to learn that none of it was wanted, and a connection
 * closed under his hands is a reset that eats the answer. So the answer is written to the socket here, our direction
 * is shut, and what still comes is read and dropped until the peer has understood (DRAIN_MAX, request_timeout).
 *
 * Buffers grow with what has arrived, not with what was announced: Content-Length is a claim. Exactly when the claim is
 * small, by doubling up to it otherwise, so that a liar holds little. One thread: the loop's.
 */
#include "core/http_request.h"

#include "core/err.h"

#include <assert.h>
#include <gnutls/gnutls.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

enum {
    FIRST_RESERVE = 16 * 1024,
    SMALL_BODY = 64 * 1024,
    LEFT_TO_SMALL = 256 * 1024, /* of what the account has, when a larger body grows */
    KEEP_BUFFER = 128 * 1024,  /* a larger one is freed with its request */
    KEEP_BODIES = 16,
};
static const uint64_t DRAIN_MAX = 1u << 30;

const char *weft_http_header(const struct weft_http_request *request, const char *name)
{
    return MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);
}

/* ---- requests, used again ---- */
static struct weft_http_body *body_take(struct weft_http_server *s)
{
    struct weft_http_body *b = s->free_bodies;

    if (!b)
        return calloc(1, sizeof *b);
    s->free_bodies = b->next_free;
    s->n_free_bodies--;
    b->next_free = NULL;
    return b;
}

static void uncount(struct weft_http_server *s, struct weft_http_body *b)
{
    s->stats.inflight_bytes -= b->counted;
    b->counted = 0;
}

static void body_give_back(struct weft_http_server *s, struct weft_http_body *b)
{
    struct weft_buf bytes = b->bytes;

    uncount(s, b);
    free(b->query);
    if (b->answer)
        MHD_destroy_response(b->answer);
    if (bytes.cap > KEEP_BUFFER || s->n_free_bodies >= KEEP_BODIES)
        weft_buf_release(&bytes);
    if (s->n_free_bodies >= KEEP_BODIES) {
        free(b);
        return;
    }
    *b = (struct weft_http_body){ .next_free = s->free_bodies, .bytes = bytes };
    s->free_bodies = b;
    s->n_free_bodies++;
}

void weft_http_bodies_release(struct weft_http_server *s)
{
    while (s->free_bodies) {
        struct weft_http_body *b = s->free_bodies;
        s->free_bodies = b->next_free;
        weft_buf_release(&b->bytes);
        free(b);
    }
    s->n_free_bodies = 0;
    if (s->last.response)
        MHD_destroy_response(s->last.response);
    s->last.response = NULL;
}

/* ---- answers ---- */
static struct weft_http_request view(const struct weft_http_body *b)
{
    return (struct weft_http_request){
        .method = b->method, .path = b->path, .query = b->query ? b->query : "",
        .connection = b->connection->mhd,
    };
}

static void add_header(struct MHD_Response *m, const char *name, const char *value)
{
    if (name && value)
        (void)MHD_add_response_header(m, name, value);
}

/* NULL: out of memory; a body with body_free has been freed then. */
static struct MHD_Response *make_response(const struct weft_http_server *s, const struct weft_http_response *r)
{
    void *data = (void *)(uintptr_t)r->body.data;
    struct MHD_Response *m =
        r->body_free
            ? MHD_create_response_from_buffer_with_free_callback(r->body.len, data, r->body_free)
            : MHD_create_response_from_buffer(r->body.len, data, MHD_RESPMEM_MUST_COPY);

    if (!m) {
        if (r->body_free)
            r->body_free(data);
        return NULL;
    }
    add_header(m, MHD_HTTP_HEADER_CONTENT_TYPE, r->content_type);
    for (size_t i = 0; i < sizeof r->headers / sizeof *r->headers && r->headers[i][0]; i++)
        add_header(m, r->headers[i][0], r->headers[i][1]);
    if (s->quiesced)
        add_header(m, MHD_HTTP_HEADER_CONNECTION, "close");
    return m;
}

static enum MHD_Result queue(struct weft_http_body *b, unsigned status, struct MHD_Response *m)
{
    enum MHD_Result ok = m ? MHD_queue_response(b->connection->mhd, status, m) : MHD_NO;

    b->stage = WEFT_HTTP_ANSWERED;
    if (m)
        MHD_destroy_response(m);
    return ok;
}

static bool fits_last(const struct weft_http_server *s, const struct weft_http_response *r)
{
    return !s->quiesced && !r->body_free && !r->headers[0][0] && r->body.len <= sizeof s->last.body &&
           r->content_type && strlen(r->content_type) < sizeof s->last.content_type;
}

static bool is_last(const struct weft_http_answer *last, const struct weft_http_response *r)
{
    return last->response && strcmp(last->content_type, r->content_type) == 0 &&
           weft_slice_equal(weft_slice_of(last->body, last->len), r->body);
}

/* Keeps the answer until another one takes its place. NULL: out of memory, nothing is kept. */
static struct MHD_Response *keep_last(struct weft_http_server *s, const struct weft_http_response *r)
{
    struct weft_http_answer *last = &s->last;

    if (last->response)
        MHD_destroy_response(last->response);
    last->response = make_response(s, r);
    (void)snprintf(last->content_type, sizeof last->content_type, "%s", r->content_type);
    last->len = r->body.len;
    if (r->body.len)
        memcpy(last->body, r->body.data, r->body.len);
    return last->response;
}

/* A small plain answer that is the same as the last one costs no allocation. */
static enum MHD_Result respond(struct weft_http_server *s, struct weft_http_body *b, const struct weft_http_response *r)
{
    if (!fits_last(s, r))
        return queue(b, r->status, make_response(s, r));
    struct MHD_Response *m = is_last(&s->last, r) ? s->last.response : keep_last(s, r);
    b->stage = WEFT_HTTP_ANSWERED;
    return m ? MHD_queue_response(b->connection->mhd, r->status, m) : MHD_NO;
}

static void put_header(struct weft_buf *b, const char *name, const char *value)
{
    if (name && value)
        weft_buf_printf(b, "%s: %s\r\n", name, value);
}

/* A whole answer as it goes over the wire. */
static void render(struct weft_buf *b, unsigned status, const struct weft_http_response *r)
{
    const char *phrase = MHD_get_reason_phrase_for(status);

    weft_buf_printf(b, "HTTP/1.1 %u %s\r\nConnection: close\r\nContent-Length: %zu\r\n", status,
                    phrase ? phrase : "Error", r->body.len);
    put_header(b, "Content-Type", r->content_type);
    for (size_t i = 0; i < sizeof r->headers / sizeof *r->headers && r->headers[i][0]; i++)
        put_header(b, r->headers[i][0], r->headers[i][1]);
    weft_buf_append_str(b, "\r\n");
    weft_buf_append(b, r->body.data, r->body.len);
}

static void send_whole(struct weft_http_connection *c, struct weft_slice bytes)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(c->mhd, MHD_CONNECTION_INFO_GNUTLS_SESSION);

    if (info && info->tls_session) {
        (void)gnutls_record_send(info->tls_session, bytes.data, bytes.len);
        (void)gnutls_bye(info->tls_session, GNUTLS_SHUT_WR);
    } else {
        (void)send(c->fd, bytes.data, bytes.len, MSG_DONTWAIT | MSG_NOSIGNAL);
    }
    (void)shutdown(c->fd, SHUT_WR);
}

/* Past libmicrohttpd, while it still reads: see the top of the file. A peer whose window is full gets
 * less than the whole answer, or nothing; he is closed all the same. */
static void answer_at_once(struct weft_http_body *b, unsigned status, const struct weft_http_response *r)
{
    struct weft_buf out;

    weft_buf_init(&out, 16 * 1024);
    render(&out, status, r);
    if (!out.err)
        send_whole(b->connection, weft_buf_slice(&out));
    weft_buf_release(&out);
    if (r->body_free)
        r->body_free((void *)(uintptr_t)r->body.data);
}

/* ---- refusing ---- */
static void drop_bytes(struct weft_http_server *s, struct weft_http_body *b)
{
    uncount(s, b);
    weft_buf_release(&b->bytes);
}

/* A refusal by the server itself, in the words of the protocol above. */
static void ask_refusal(struct weft_http_server *s, const struct weft_http_body *b, unsigned status,
                        struct weft_http_response *ret_response)
{
    struct weft_http_request request = view(b);

    *ret_response = (struct weft_http_response){ .status = status };
    if (s->options.on_refusal)
        s->options.on_refusal(s->options.ctx, &request, status, ret_response);
}

/* The body goes by unread; its refusal is sent behind it. */
static enum MHD_Result discard(struct weft_http_server *s, struct weft_http_body *b, unsigned status,
                               const struct weft_http_response *r)
{
    drop_bytes(s, b);
    b->stage = WEFT_HTTP_DISCARDING;
    b->status = status;
    if (b->answer)
        MHD_destroy_response(b->answer);
    b->answer = make_response(s, r);
    return b->answer ? MHD_YES : MHD_NO;
}

static enum MHD_Result too_large(struct weft_http_server *s, struct weft_http_body *b)
{
    struct weft_http_response response;

    drop_bytes(s, b);
    ask_refusal(s, b, MHD_HTTP_CONTENT_TOO_LARGE, &response);
    answer_at_once(b, MHD_HTTP_CONTENT_TOO_LARGE, &response);
    b->stage = WEFT_HTTP_DRAINING;
    return MHD_YES;
}

/* ---- beginning ---- */
static bool header_is(struct MHD_Connection *mhd, const char *name, const char *value)
{
    const char *got = MHD_lookup_connection_value(mhd, MHD_HEADER_KIND, name);
    return got && strcasecmp(got, value) == 0;
}

/* libmicrohttpd has refused what is no number already. */
static uint64_t content_length(struct MHD_Connection *mhd)
{
    const char *text = MHD_lookup_connection_value(mhd, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);
    return text ? strtoull(text, NULL, 10) : 0;
}

static void learn_length(const struct weft_http_server *s, struct weft_http_body *b, struct MHD_Connection *mhd)
{
    b->has_length = !MHD_lookup_connection_value(mhd, MHD_HEADER_KIND, MHD_HTTP_HEADER_TRANSFER_ENCODING);
    b->declared = b->has_length ? content_length(mhd) : s->options.max_body_size;
}

/* The headers are whole. libmicrohttpd closes a connection that is answered here, so only a peer that waits for
 * "100 Continue" before it sends its body is. */
static enum MHD_Result begin(struct weft_http_server *s, struct weft_http_body *b, struct MHD_Connection *mhd)
{
    struct weft_http_response response = { 0 };
    struct weft_http_request request;

    learn_length(s, b, mhd);
    weft_http_connection_move(s, b->connection, WEFT_HTTP_ACTIVE);
    b->connection->request = b;
    b->stage = WEFT_HTTP_TAKING;
    request = view(b);
    unsigned status = s->options.on_headers ? s->options.on_headers(s->options.ctx, &request, &response) : 0;
    bool waits = header_is(mhd, MHD_HTTP_HEADER_EXPECT, "100-continue");
    bool oversized = b->declared > s->options.max_body_size;

    if (!status && oversized && waits) {
        status = MHD_HTTP_CONTENT_TOO_LARGE;
        ask_refusal(s, b, status, &response);
    }
    if (status && waits)
        return queue(b, status, make_response(s, &response));
    if (status && oversized) {
        answer_at_once(b, status, &response);
        b->stage = WEFT_HTTP_DRAINING;
        return MHD_YES;
    }
    if (status)
        return discard(s, b, status, &response);
    return oversized ? too_large(s, b) : MHD_YES;
}

/* ---- taking the body ---- */

/* The size a buffer should grow to so that it holds `need`. */
static uint64_t next_size(const struct weft_http_body *b, uint64_t need)
{
    uint64_t size = b->bytes.cap < FIRST_RESERVE ? FIRST_RESERVE : 2 * (uint64_t)b->bytes.cap;

    if (size > b->declared)
        size = b->declared;
    return size > need ? size : need;
}

/* Counts a buffer before it grows. False: all bodies together would be too much. */
static bool count(struct weft_http_server *s, struct weft_http_body *b, uint64_t size)
{
    uint64_t others = s->stats.inflight_bytes - b->counted, limit = s->options.max_inflight;

    if (size > SMALL_BODY)
        limit -= limit / 4;
    if (others > limit || size > limit - others)
        return false;
    if (size > SMALL_BODY && weft_account_room(s->options.account) < size - b->bytes.cap + LEFT_TO_SMALL)
        return false;
    s->stats.inflight_bytes = others + size;
    b->counted = size;
    return true;
}

static bool make_room(struct weft_http_server *s, struct weft_http_body *b, size_t n)
{
    uint64_t need = b->bytes.len + n;
    uint64_t size = need <= b->bytes.cap ? b->bytes.cap : next_size(b, need);

    if (b->counted < size && !count(s, b, size))
        return false;
    b->bytes.limit = size;
    return weft_buf_reserve(&b->bytes, size - b->bytes.len) != NULL;
}

static enum MHD_Result take(struct weft_http_server *s, struct weft_http_body *b, const char *data, size_t n)
{
    struct weft_http_response response;

    b->received += n;
    if (b->stage == WEFT_HTTP_DRAINING)
        return b->received <= DRAIN_MAX ? MHD_YES : MHD_NO;
    if (b->received > s->options.max_body_size)
        return too_large(s, b);
    if (b->stage == WEFT_HTTP_DISCARDING)
        return MHD_YES;
    if (!make_room(s, b, n)) {
        ask_refusal(s, b, MHD_HTTP_SERVICE_UNAVAILABLE, &response);
        return discard(s, b, MHD_HTTP_SERVICE_UNAVAILABLE, &response);
    }
    weft_buf_append(&b->bytes, data, n);
    return MHD_YES;
}

/* ---- waiting ---- */

/* The handler has what it wanted of the body. A small buffer stays: it would be needed again at once. */
static enum MHD_Result wait_for_answer(struct weft_http_server *s, struct weft_http_body *b, void *waiter)
{
    assert(s->options.on_answer && s->options.on_gone);
    if (b->bytes.cap > FIRST_RESERVE)
        drop_bytes(s, b);
    b->waiter = waiter;
    b->stage = WEFT_HTTP_WAITING;
    MHD_suspend_connection(b->connection->mhd);
    return MHD_YES;
}

static void wake_up(struct weft_http_body *b, bool late)
{
    if (b->stage != WEFT_HTTP_WAITING)
        return;
    b->stage = WEFT_HTTP_RESUMED;
    b->late = late;
    MHD_resume_connection(b->connection->mhd);
}

void weft_http_server_resume(struct weft_http_server *s, void *handle)
{
    wake_up(handle, false);
    weft_http_server_run_soon(s);
}

void weft_http_request_release(struct weft_http_body *b)
{
    wake_up(b, false);
}

static enum MHD_Result answer_waiting(struct weft_http_server *s, struct weft_http_body *b)
{
    struct weft_http_response response = { 0 };
    struct weft_http_request request = view(b);
    void *waiter = b->waiter;

    b->waiter = NULL;
    s->options.on_answer(s->options.ctx, &request, waiter, b->late, &response);
    return respond(s, b, &response);
}

/* ---- the end ---- */
static enum MHD_Result finish(struct weft_http_server *s, struct weft_http_body *b)
{
    struct weft_http_response response = { 0 };
    struct weft_http_request request;

    if (b->stage == WEFT_HTTP_DRAINING)
        return MHD_NO;
    if (b->stage == WEFT_HTTP_RESUMED)
        return answer_waiting(s, b);
    if (b->stage == WEFT_HTTP_DISCARDING) {
        struct MHD_Response *answer = b->answer;
        b->answer = NULL;
        return queue(b, b->status, answer);
    }
    request = view(b);
    request.body = weft_buf_slice(&b->bytes);
    request.handle = b;
    s->options.on_request(s->options.ctx, &request, &response);
    return response.waiter ? wait_for_answer(s, b, response.waiter) : respond(s, b, &response);
}

bool weft_http_request_expire(struct weft_http_server *s, struct weft_http_connection *c)
{
    struct weft_http_body *b = c->request;
    struct weft_http_response response;

    if (b && b->stage == WEFT_HTTP_WAITING) {
        wake_up(b, true);
        return false;
    }
    if (!b || (b->stage != WEFT_HTTP_TAKING && b->stage != WEFT_HTTP_DISCARDING))
        return true;
    ask_refusal(s, b, MHD_HTTP_REQUEST_TIMEOUT, &response);
    answer_at_once(b, MHD_HTTP_REQUEST_TIMEOUT, &response);
    return true;
}

/* ---- libmicrohttpd's callbacks ---- */
static struct weft_http_connection *connection_of(struct MHD_Connection *mhd)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info ? info->socket_context : NULL;
}

/* The request line is in: the last chance to see the query as it was sent. */
void *weft_http_request_line(void *cls, const char *uri, struct MHD_Connection *mhd)
{
    struct weft_http_server *s = cls;
    struct weft_http_connection *c = connection_of(mhd);
    struct weft_http_body *b = c ? body_take(s) : NULL;
    const char *mark = strchr(uri, '?');

    if (!b)
        return NULL; /* weft_http_access closes such a connection */
    b->connection = c;
    b->bytes.account = s->options.account;
    weft_buf_reset(&b->bytes);
    if (mark)
        b->query = strdup(mark + 1);
    return b;
}

enum MHD_Result weft_http_access(void *cls, struct MHD_Connection *mhd, const char *url, const char *method,
                                 const char *version, const char *data, size_t *size, void **request)
{
    struct weft_http_server *s = cls;
    struct weft_http_body *b = *request;
    (void)version;

    s->progress = true;
    if (!b)
        return MHD_NO;
    if (b->stage == WEFT_HTTP_NEW) {
        b->method = method;
        b->path = url;
        return begin(s, b, mhd);
    }
    if (*size > 0) {
        size_t n = *size;
        *size = 0;
        return take(s, b, data, n);
    }
    return finish(s, b);
}

void weft_http_completed(void *cls, struct MHD_Connection *mhd, void **request,
                         enum MHD_RequestTerminationCode code)
{
    struct weft_http_server *s = cls;
    struct weft_http_body *b = *request;
    (void)mhd;
    (void)code;

    s->progress = true;
    if (!b)
        return;
    if (b->waiter)
        s->options.on_gone(s->options.ctx, b->waiter);
    if (b->connection->request == b)
        b->connection->request = NULL;
    if (b->connection->line != WEFT_HTTP_CUT)
        weft_http_connection_move(s, b->connection, WEFT_HTTP_KEPT);
    body_give_back(s, b);
    *request = NULL;
}

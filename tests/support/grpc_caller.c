/* SPDX-License-Identifier: Apache-2.0 */
/* grpc_caller.c: see grpc_caller.h. */
#include "tests/support/grpc_caller.h"

#include "core/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SENT_LIMIT = 1 << 20, ENOUGH = 64 * 1024 };

struct upload {
    struct weft_slice rest;
    bool open_end;
};

static struct grpc_reply *reply_of(struct grpc_caller *p, int32_t id)
{
    for (unsigned i = 0; i < p->n_replies; i++)
        if (p->replies[i].id == id)
            return &p->replies[i];
    if (p->n_replies == GRPC_CALLER_REPLIES)
        abort();
    p->replies[p->n_replies].id = id;
    return &p->replies[p->n_replies++];
}

static void keep(char *into, size_t size, const uint8_t *value, size_t len)
{
    if (len >= size)
        len = size - 1;
    memcpy(into, value, len);
    into[len] = '\0';
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name, size_t namelen,
                     const uint8_t *value, size_t valuelen, uint8_t flags, void *user_data)
{
    struct grpc_reply *r = reply_of(user_data, frame->hd.stream_id);
    const struct {
        const char *name;
        char *into;
        size_t size;
    } rows[] = {
        { ":status", r->http_status, sizeof r->http_status },
        { "grpc-status", r->grpc_status, sizeof r->grpc_status },
        { "grpc-message", r->message, sizeof r->message },
        { "grpc-status-details-bin", r->details, sizeof r->details },
        { "grpc-accept-encoding", r->encodings, sizeof r->encodings },
        { "allow", r->allow, sizeof r->allow },
    };
    (void)session;
    (void)flags;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (weft_slice_is(weft_slice_of(name, namelen), rows[i].name))
            keep(rows[i].into, rows[i].size, value, valuelen);
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data, size_t len, void *user_data)
{
    struct grpc_reply *r = reply_of(user_data, id);
    (void)session;
    (void)flags;

    if (len > sizeof r->body - r->body_len)
        len = sizeof r->body - r->body_len;
    memcpy(r->body + r->body_len, data, len);
    r->body_len += len;
    return 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user_data)
{
    struct grpc_caller *p = user_data;
    (void)session;

    if (frame->hd.type == NGHTTP2_GOAWAY) {
        p->goaways++;
        p->goaway_code = frame->goaway.error_code;
        p->goaway_last = frame->goaway.last_stream_id;
    }
    if (frame->hd.type == NGHTTP2_PING && frame->hd.flags & NGHTTP2_FLAG_ACK)
        p->ping_acks++;
    return 0;
}

static int on_close(nghttp2_session *session, int32_t id, uint32_t code, void *user_data)
{
    struct grpc_reply *r = reply_of(user_data, id);

    r->closed = true;
    r->reset_code = code;
    free(nghttp2_session_get_stream_user_data(session, id));
    (void)nghttp2_session_set_stream_user_data(session, id, NULL);
    return 0;
}

static ssize_t on_upload(nghttp2_session *session, int32_t id, uint8_t *buf, size_t length, uint32_t *flags,
                         nghttp2_data_source *source, void *user_data)
{
    struct upload *u = source->ptr;
    size_t n = u->rest.len < length ? u->rest.len : length;
    (void)session;
    (void)id;
    (void)user_data;

    if (u->rest.len == 0 && u->open_end)
        return NGHTTP2_ERR_DEFERRED;
    if (n)
        memcpy(buf, u->rest.data, n);
    u->rest = weft_slice_from(u->rest, n);
    if (u->rest.len == 0 && !u->open_end)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)n;
}

void grpc_caller_open(struct grpc_caller *p, struct weft_grpc_connection *server, uint64_t now_ms)
{
    nghttp2_session_callbacks *cb;

    memset(p, 0, sizeof *p);
    p->server = server;
    p->fd = -1;
    p->now_ms = now_ms;
    weft_buf_init(&p->sent, SENT_LIMIT);
    if (nghttp2_session_callbacks_new(&cb) != 0)
        abort();
    nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_close);
    if (nghttp2_session_client_new(&p->session, cb, p) != 0 ||
        nghttp2_submit_settings(p->session, NGHTTP2_FLAG_NONE, NULL, 0) != 0)
        abort();
    nghttp2_session_callbacks_del(cb);
}

void grpc_caller_close(struct grpc_caller *p)
{
    if (!p->session)
        return;
    for (unsigned i = 0; i < p->n_replies; i++)
        free(nghttp2_session_get_stream_user_data(p->session, p->replies[i].id));
    nghttp2_session_del(p->session);
    weft_buf_release(&p->sent);
    if (p->fd >= 0)
        close(p->fd);
}

static nghttp2_nv header(const char *name, const char *value)
{
    return (nghttp2_nv){ (uint8_t *)(uintptr_t)name, (uint8_t *)(uintptr_t)value, strlen(name), strlen(value), 0 };
}

int32_t grpc_caller_call(struct grpc_caller *p, const struct grpc_request *r)
{
    nghttp2_nv nv[12];
    size_t n = 0;
    struct upload *u = malloc(sizeof *u);

    if (!u)
        abort();
    nv[n++] = header(":method", r->method ? r->method : "POST");
    nv[n++] = header(":scheme", "http");
    nv[n++] = header(":path", r->path ? r->path : "/test.Service/Call");
    nv[n++] = header(":authority", "localhost");
    nv[n++] = header("te", "trailers");
    nv[n++] = header("content-type", r->content_type ? r->content_type : "application/grpc");
    if (r->encoding)
        nv[n++] = header("grpc-encoding", r->encoding);
    if (r->timeout)
        nv[n++] = header("grpc-timeout", r->timeout);
    if (r->filler)
        nv[n++] = header("x-filler", r->filler);

    *u = (struct upload){ r->body, r->open_end };
    nghttp2_data_provider provider = { .source = { .ptr = u }, .read_callback = on_upload };
    bool bodyless = r->body.len == 0 && !r->open_end;
    int32_t id = nghttp2_submit_request(p->session, NULL, nv, n, bodyless ? NULL : &provider, u);
    if (id < 0)
        abort();
    (void)reply_of(p, id);
    return id;
}

/* ---- over a socket ---- */

static void hang_up(struct grpc_caller *p)
{
    if (p->fd >= 0)
        close(p->fd);
    p->fd = -1;
}

static void feed_socket(struct grpc_caller *p, struct weft_slice bytes)
{
    while (p->fd >= 0 && bytes.len > 0) {
        ssize_t n = send(p->fd, bytes.data, bytes.len, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n > 0)
            bytes = weft_slice_from(bytes, (size_t)n);
        else if (n < 0 && errno == EAGAIN)
            (void)uv_run(p->loop, UV_RUN_NOWAIT);
        else
            hang_up(p);
    }
}

static bool listen_to_socket(struct grpc_caller *p)
{
    static uint8_t bytes[65536];

    (void)uv_run(p->loop, UV_RUN_NOWAIT);
    if (p->fd < 0)
        return false;
    ssize_t n = recv(p->fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (n == 0 || (n < 0 && errno != EAGAIN)) {
        hang_up(p);
        return false;
    }
    if (n > 0 && !p->mute && nghttp2_session_mem_recv(p->session, bytes, (size_t)n) < 0)
        p->broken = true;
    return n > 0;
}

void grpc_caller_connect(struct grpc_caller *p, uv_loop_t *loop, int port)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port),
                                   .sin_addr = { .s_addr = htonl(INADDR_LOOPBACK) } };

    grpc_caller_open(p, NULL, 0);
    p->loop = loop;
    p->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (p->fd < 0 || connect(p->fd, (struct sockaddr *)&address, sizeof address) < 0)
        abort();
}

static bool wait_for(struct grpc_caller *p, const bool *over, uint64_t ms)
{
    const uint64_t until = weft_clock_mono_ms() + ms;

    while (!(over && *over) && p->fd >= 0 && weft_clock_mono_ms() < until)
        grpc_caller_pump(p);
    return over ? *over : p->fd < 0;
}

const struct grpc_reply *grpc_caller_wait(struct grpc_caller *p, int32_t id)
{
    struct grpc_reply *r = reply_of(p, id);

    (void)wait_for(p, &r->closed, 10000);
    return r;
}

bool grpc_caller_wait_hangup(struct grpc_caller *p, uint64_t ms)
{
    return wait_for(p, NULL, ms);
}

/* ---- carrying bytes ---- */

static void feed(struct grpc_caller *p, struct weft_slice bytes)
{
    if (!p->server) {
        feed_socket(p, bytes);
        return;
    }
    while (bytes.len > 0) {
        size_t n = p->slice && p->slice < bytes.len ? p->slice : bytes.len;
        weft_grpc_connection_input(p->server, weft_slice_of(bytes.data, n), p->now_ms);
        bytes = weft_slice_from(bytes, n);
    }
}

static bool listen_to(struct grpc_caller *p)
{
    if (!p->server)
        return listen_to_socket(p);
    weft_buf_reset(&p->sent);
    weft_grpc_connection_output(p->server, &p->sent, ENOUGH);
    if (p->sent.len == 0)
        return false;
    if (!p->mute && nghttp2_session_mem_recv(p->session, p->sent.data, p->sent.len) < 0)
        p->broken = true;
    return true;
}

static bool speak(struct grpc_caller *p)
{
    const uint8_t *data;
    bool any = false;

    for (ssize_t n; (n = nghttp2_session_mem_send(p->session, &data)) > 0; any = true)
        feed(p, weft_slice_of(data, (size_t)n));
    return any;
}

void grpc_caller_pump(struct grpc_caller *p)
{
    bool more = true;

    while (more) {
        more = speak(p);
        more = listen_to(p) || more;
    }
}

void grpc_caller_raw(struct grpc_caller *p, struct weft_slice bytes)
{
    feed(p, bytes);
    while (listen_to(p))
        ;
}

const struct grpc_reply *grpc_caller_reply(struct grpc_caller *p, int32_t id)
{
    return reply_of(p, id);
}

void grpc_caller_message(struct weft_buf *out, bool compressed, struct weft_slice message)
{
    const uint8_t prefix[5] = { compressed, (uint8_t)(message.len >> 24), (uint8_t)(message.len >> 16),
                                (uint8_t)(message.len >> 8), (uint8_t)message.len };

    weft_buf_append(out, prefix, sizeof prefix);
    weft_buf_append(out, message.data, message.len);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* grpc_peer.c: see grpc_peer.h. */
#include "tests/support/grpc_peer.h"

#include <nghttp2/nghttp2.h>
#include <signal.h>
#include <stdlib.h>

struct grpc_peer_conn {
    uv_tcp_t tcp;
    struct grpc_peer *peer;
    struct grpc_peer_conn *next;
    nghttp2_session *session;
    struct stream *streams;
    uint8_t in[65536];
    bool cut;
};

struct stream {
    struct stream *next, **at; /* in its connection's list */
    struct weft_buf head, body;
    struct grpc_peer_answer answer;
    size_t sent;
};

struct reply {
    uv_write_t write;
    uint8_t bytes[];
};

static void stream_free(struct stream *s)
{
    *s->at = s->next;
    if (s->next)
        s->next->at = s->at;
    weft_buf_release(&s->head);
    weft_buf_release(&s->body);
    free(s);
}

static void on_conn_closed(uv_handle_t *handle)
{
    struct grpc_peer_conn *c = (struct grpc_peer_conn *)handle;

    while (c->streams)
        stream_free(c->streams);
    nghttp2_session_del(c->session);
    free(c);
}

static void conn_close(struct grpc_peer_conn *c)
{
    if (uv_is_closing((uv_handle_t *)&c->tcp))
        return;
    struct grpc_peer_conn **at = &c->peer->conns;
    while (*at && *at != c)
        at = &(*at)->next;
    if (*at)
        *at = c->next;
    uv_close((uv_handle_t *)&c->tcp, on_conn_closed);
}

static void on_written(uv_write_t *write, int status)
{
    (void)status;
    free(write);
}

static void flush(struct grpc_peer_conn *c)
{
    const uint8_t *data;
    ssize_t n;

    while ((n = nghttp2_session_mem_send(c->session, &data)) > 0) {
        struct reply *r = malloc(sizeof *r + (size_t)n);
        if (!r)
            abort();
        memcpy(r->bytes, data, (size_t)n);
        uv_buf_t out = uv_buf_init((char *)r->bytes, (unsigned)n);
        if (uv_write(&r->write, (uv_stream_t *)&c->tcp, &out, 1, on_written))
            abort();
    }
}

static nghttp2_nv pair(const char *name, const char *value)
{
    return (nghttp2_nv){ (uint8_t *)(uintptr_t)name, (uint8_t *)(uintptr_t)value, strlen(name), strlen(value), 0 };
}

static size_t status_pairs(const struct grpc_peer_answer *a, nghttp2_nv *nv)
{
    size_t n = 0;

    if (a->status)
        nv[n++] = pair("grpc-status", a->status);
    if (a->message)
        nv[n++] = pair("grpc-message", a->message);
    if (a->details)
        nv[n++] = pair("grpc-status-details-bin", a->details);
    return n;
}

static ssize_t on_produce(nghttp2_session *session, int32_t id, uint8_t *to, size_t room, uint32_t *flags,
                          nghttp2_data_source *source, void *ctx)
{
    struct stream *s = source->ptr;
    nghttp2_nv nv[3];
    size_t left = s->answer.body.len - s->sent, n = left < room ? left : room;
    (void)ctx;

    if (n > 0)
        memcpy(to, s->answer.body.data + s->sent, n);
    s->sent += n;
    if (n == left) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
        size_t pairs = status_pairs(&s->answer, nv);
        if (pairs > 0) {
            *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
            nghttp2_submit_trailer(session, id, nv, pairs);
        }
    }
    return (ssize_t)n;
}

static void answer(nghttp2_session *session, int32_t id, struct stream *s)
{
    const nghttp2_data_provider body = { .source.ptr = s, .read_callback = on_produce };
    nghttp2_nv nv[5] = { pair(":status", s->answer.http_status ? s->answer.http_status : "200"),
                         pair("content-type", "application/grpc") };
    size_t n = 2;

    if (s->answer.trailers_only)
        n += status_pairs(&s->answer, nv + 2);
    nghttp2_submit_response(session, id, nv, n, s->answer.trailers_only ? NULL : &body);
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *ctx)
{
    struct grpc_peer_conn *c = ctx;
    struct stream *s = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);

    bool head = frame->hd.type == NGHTTP2_HEADERS;
    if (frame->hd.type == NGHTTP2_DATA && frame->hd.length > c->peer->largest_frame)
        c->peer->largest_frame = frame->hd.length;
    if (!s || (c->peer->answer_early ? !head : !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM)))
        return 0;
    weft_buf_append_byte(&s->head, 0);
    const struct grpc_peer_request request = { (const char *)s->head.data, weft_buf_slice(&s->body),
                                               c->peer->n_requests++ };
    switch (c->peer->on_request(c->peer->ctx, &request, &s->answer)) {
    case GRPC_ANSWER:
        answer(session, frame->hd.stream_id, s);
        break;
    case GRPC_CUT:
        c->cut = true;
        break;
    case GRPC_HANG:
        break;
    case GRPC_REFUSE:
        nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id, NGHTTP2_REFUSED_STREAM);
        break;
    case GRPC_GOAWAY:
        answer(session, frame->hd.stream_id, s);
        nghttp2_submit_goaway(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id, NGHTTP2_NO_ERROR, NULL, 0);
        break;
    }
    return 0;
}

static int on_begin(nghttp2_session *session, const nghttp2_frame *frame, void *ctx)
{
    struct grpc_peer_conn *c = ctx;
    struct stream *s = calloc(1, sizeof *s);

    if (!s)
        abort();
    s->next = c->streams;
    s->at = &c->streams;
    if (s->next)
        s->next->at = &s->next;
    c->streams = s;
    weft_buf_init(&s->head, 65536);
    weft_buf_init(&s->body, 256u << 20);
    nghttp2_session_set_stream_user_data(session, frame->hd.stream_id, s);
    return 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name, size_t name_len,
                     const uint8_t *value, size_t value_len, uint8_t flags, void *ctx)
{
    struct stream *s = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    (void)flags;
    (void)ctx;

    weft_buf_printf(&s->head, "%.*s: %.*s\n", (int)name_len, (const char *)name, (int)value_len, (const char *)value);
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data, size_t len, void *ctx)
{
    struct stream *s = nghttp2_session_get_stream_user_data(session, id);
    (void)flags;
    (void)ctx;

    if (s)
        weft_buf_append(&s->body, data, len);
    return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t code, void *ctx)
{
    struct stream *s = nghttp2_session_get_stream_user_data(session, id);
    (void)code;
    (void)ctx;

    if (s)
        stream_free(s);
    return 0;
}

static void on_alloc(uv_handle_t *handle, size_t hint, uv_buf_t *buf)
{
    struct grpc_peer_conn *c = (struct grpc_peer_conn *)handle;
    (void)hint;

    *buf = uv_buf_init((char *)c->in, sizeof c->in);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct grpc_peer_conn *c = (struct grpc_peer_conn *)stream;
    (void)buf;

    if (n < 0 || nghttp2_session_mem_recv(c->session, c->in, (size_t)n) != n || c->cut)
        conn_close(c);
    else
        flush(c);
}

static nghttp2_session *session_new(struct grpc_peer_conn *c)
{
    nghttp2_session_callbacks *cb;
    nghttp2_session *session;
    const nghttp2_settings_entry settings[] = {
        { NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 100 },
        { NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 1 << 20 },
        { NGHTTP2_SETTINGS_MAX_FRAME_SIZE, c->peer->max_frame },
    };

    if (nghttp2_session_callbacks_new(&cb))
        abort();
    nghttp2_session_callbacks_set_on_begin_headers_callback(cb, on_begin);
    nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_stream_close);
    if (nghttp2_session_server_new(&session, cb, c) ||
        nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, settings, c->peer->max_frame ? 3 : 1))
        abort();
    if (c->peer->max_frame)
        (void)nghttp2_session_set_local_window_size(session, NGHTTP2_FLAG_NONE, 0, 16 << 20);
    nghttp2_session_callbacks_del(cb);
    return session;
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct grpc_peer *p = listener->data;
    struct grpc_peer_conn *c = calloc(1, sizeof *c);

    if (!c || status)
        abort();
    c->peer = p;
    p->n_connections++;
    c->next = p->conns;
    p->conns = c;
    c->session = session_new(c);
    (void)uv_tcp_init(listener->loop, &c->tcp);
    if (uv_accept(listener, (uv_stream_t *)&c->tcp) || uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read))
        abort();
    flush(c);
}

int grpc_peer_open(struct grpc_peer *p, uv_loop_t *loop)
{
    (void)signal(SIGPIPE, SIG_IGN); /* libuv writes without MSG_NOSIGNAL */
    struct sockaddr_in address;
    int len = sizeof address;
    int err = uv_tcp_init(loop, &p->listener);

    if (err)
        return err;
    p->listener.data = p;
    (void)uv_ip4_addr("127.0.0.1", 0, &address);
    err = uv_tcp_bind(&p->listener, (const struct sockaddr *)&address, 0);
    if (!err)
        err = uv_listen((uv_stream_t *)&p->listener, 16, on_connection);
    if (!err)
        err = uv_tcp_getsockname(&p->listener, (struct sockaddr *)&address, &len);
    p->port = ntohs(address.sin_port);
    return err;
}

void grpc_peer_close(struct grpc_peer *p)
{
    while (p->conns)
        conn_close(p->conns);
    if (!uv_is_closing((uv_handle_t *)&p->listener))
        uv_close((uv_handle_t *)&p->listener, NULL);
}

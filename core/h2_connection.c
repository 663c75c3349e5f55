/* SPDX-License-Identifier: Apache-2.0 */
/* h2_connection.c: sockets, frames and streams of the cleartext HTTP/2 client; see h2_state.h.
 *
 * nghttp2 is never called from inside one of its own callbacks, and a connection never fails there: callbacks take
 * notes, and whoever called nghttp2 acts on them.
 */
#include "core/h2_state.h"

#include "core/err.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { OUT_MAX = 512 * 1024, OUT_KEEP = 256 * 1024, FRAME_HEAD = 9 };

struct weft_h2_socket {
    uv_poll_t poll; /* first: the handle is the socket */
    struct weft_h2_connection *owner;
    int fd, events;
};

static void connect_next(struct weft_h2_connection *n, int err);

/* ---- life ---- */
static void handle_gone(struct weft_h2_connection *n)
{
    struct weft_h2_client *c = n->client;

    if (--n->handles > 0 || n->stage != WEFT_H2_DEAD)
        return;
    if (n->addresses)
        freeaddrinfo(n->addresses);
    weft_buf_release(&n->out);
    free(n);
    weft_h2_handle_gone(c);
}

static void on_socket_closed(uv_handle_t *handle)
{
    struct weft_h2_socket *s = (struct weft_h2_socket *)handle;
    struct weft_h2_connection *n = s->owner;

    free(s);
    handle_gone(n);
}

static void socket_close(struct weft_h2_connection *n)
{
    struct weft_h2_socket *s = n->socket;

    if (!s)
        return;
    n->socket = NULL;
    uv_close((uv_handle_t *)&s->poll, on_socket_closed);
    close(s->fd);
}

static void unlink_connection(struct weft_h2_connection *n)
{
    struct weft_h2_connection **at = &n->client->connections;

    while (*at && *at != n)
        at = &(*at)->next;
    if (*at)
        *at = n->next;
}

void weft_h2_connection_fail(struct weft_h2_connection *n, int err, const char *reason)
{
    bool kept = n->answered_once;

    if (n->stage == WEFT_H2_DEAD)
        return;
    n->stage = WEFT_H2_DEAD;
    n->handles++; /* keeps it until we are through */
    unlink_connection(n);
    if (n->resolver)
        weft_resolver_cancel(n->resolver);
    n->resolver = NULL;
    socket_close(n);
    for (struct weft_h2_call *call = n->client->calls, *next; call; call = next) {
        next = call->next;
        if (call->connection != n)
            continue;
        call->connection = NULL;
        if (kept && call->answer.status == 0 && err != UV_ECANCELED)
            weft_h2_call_again(call, err, reason);
        else
            weft_h2_call_end(call, err, reason);
    }
    nghttp2_session_del(n->session);
    n->session = NULL;
    handle_gone(n);
}

/* ---- nghttp2's callbacks ---- */
static struct weft_h2_call *call_of(nghttp2_session *session, int32_t stream)
{
    return nghttp2_session_get_stream_user_data(session, stream);
}

static struct weft_slice body_rest(const struct weft_h2_call *call)
{
    return call->slice < call->what.n_body ? weft_slice_from(call->what.body[call->slice], call->offset)
                                           : weft_slice_of(NULL, 0);
}

static uint64_t body_left(const struct weft_h2_call *call)
{
    uint64_t left = body_rest(call).len;

    for (size_t i = call->slice + 1; i < call->what.n_body; i++)
        left += call->what.body[i].len;
    return left;
}

/* How much the next frame holds; the bytes are taken in on_send_data, straight from the body. */
static ssize_t on_produce(nghttp2_session *session, int32_t stream, uint8_t *to, size_t room, uint32_t *flags,
                          nghttp2_data_source *source, void *ctx)
{
    struct weft_h2_call *call = call_of(session, stream);
    (void)source;
    (void)to;
    (void)ctx;

    if (!call) /* cancelled, and its RST_STREAM is on the way */
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    uint64_t left = body_left(call);
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (left <= room)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)(left < room ? left : room);
}

static int on_send_data(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *head, size_t len,
                        nghttp2_data_source *source, void *ctx)
{
    struct weft_h2_connection *n = ctx;
    struct weft_h2_call *call = call_of(session, frame->hd.stream_id);
    (void)source;

    if (!call) /* cancelled while its frame waited for room: its body is not ours any more */
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    if (n->out.len - n->out_at > OUT_MAX - FRAME_HEAD)
        return NGHTTP2_ERR_WOULDBLOCK;
    if (!weft_buf_reserve(&n->out, FRAME_HEAD + len))
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    weft_buf_append(&n->out, head, FRAME_HEAD);
    call->sent += len;
    while (len > 0) {
        struct weft_slice rest = body_rest(call);
        size_t take = rest.len < len ? rest.len : len;
        weft_buf_append(&n->out, rest.data, take);
        len -= take;
        call->offset += take;
        if (take == rest.len) {
            call->slice++;
            call->offset = 0;
        }
    }
    return 0;
}

static ssize_t on_frame_size(nghttp2_session *session, uint8_t type, int32_t stream, int32_t session_window,
                             int32_t stream_window, uint32_t max_frame, void *ctx)
{
    size_t size = max_frame < OUT_MAX / 2 ? max_frame : OUT_MAX / 2;
    (void)session;
    (void)type;
    (void)stream;
    (void)ctx;

    /* nghttp2 cuts it to the windows */
    (void)session_window;
    (void)stream_window;
    return (ssize_t)size;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name, size_t name_len,
                     const uint8_t *value, size_t value_len, uint8_t flags, void *ctx)
{
    struct weft_h2_call *call = call_of(session, frame->hd.stream_id);
    unsigned status = 0;
    (void)flags;
    (void)ctx;

    if (!call)
        return 0;
    if (name_len == 7 && memcmp(name, ":status", 7) == 0) {
        for (size_t i = 0; i < value_len && i < 3; i++)
            status = status * 10 + (unsigned)(value[i] - '0');
        weft_http_answer_status(&call->answer, status);
        return 0;
    }
    return weft_http_answer_header(&call->answer, weft_slice_of(name, name_len), weft_slice_of(value, value_len))
               ? 0 : NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream, const uint8_t *data, size_t len, void *ctx)
{
    struct weft_h2_call *call = call_of(session, stream);
    (void)flags;
    (void)ctx;

    if (call)
        weft_http_answer_body(&call->answer, weft_slice_of(data, len));
    return 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *ctx)
{
    struct weft_h2_connection *n = ctx;
    struct weft_h2_call *call = call_of(session, frame->hd.stream_id);

    if (frame->hd.type == NGHTTP2_GOAWAY && n->stage == WEFT_H2_READY)
        n->stage = WEFT_H2_DRAINING;
    if (!call || !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
        return 0;
    call->answered = n->answered_once = true;
    if (body_left(call) > 0) /* an answer before we were through: the rest of the body interests nobody */
        (void)nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id, NGHTTP2_CANCEL);
    return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t stream, uint32_t code, void *ctx)
{
    struct weft_h2_call *call = call_of(session, stream);
    (void)ctx;

    if (!call)
        return 0;
    call->connection = NULL;
    call->stream = 0;
    if (call->answered)
        weft_h2_call_end(call, 0, NULL);
    else if (code == NGHTTP2_REFUSED_STREAM)
        weft_h2_call_again(call, UV_ECONNRESET, "the server refused the stream");
    else
        weft_h2_call_end(call, UV_ECONNRESET, nghttp2_http2_strerror(code));
    return 0;
}

static int session_new(struct weft_h2_connection *n)
{
    const nghttp2_settings_entry settings[] = { { NGHTTP2_SETTINGS_ENABLE_PUSH, 0 } };
    nghttp2_session_callbacks *cb;

    if (nghttp2_session_callbacks_new(&cb))
        return UV_ENOMEM;
    nghttp2_session_callbacks_set_send_data_callback(cb, on_send_data);
    nghttp2_session_callbacks_set_data_source_read_length_callback(cb, on_frame_size);
    nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_stream_close);
    int err = nghttp2_session_client_new(&n->session, cb, n);
    nghttp2_session_callbacks_del(cb);
    if (err || nghttp2_submit_settings(n->session, NGHTTP2_FLAG_NONE, settings, 1))
        return UV_ENOMEM;
    return 0;
}

/* ---- writing and reading ---- */
static void on_poll(uv_poll_t *poll, int status, int events);

static int watch(struct weft_h2_connection *n, int events)
{
    struct weft_h2_socket *s = n->socket;

    if (s->events == events)
        return 0;
    s->events = events;
    return uv_poll_start(&s->poll, events, on_poll);
}

/* Fills `out` with frames. False: nghttp2 has given the connection up. */
static bool produce(struct weft_h2_connection *n)
{
    const uint8_t *data;
    ssize_t len = 0;

    while (n->out.len - n->out_at < OUT_MAX && (len = nghttp2_session_mem_send(n->session, &data)) > 0)
        weft_buf_append(&n->out, data, (size_t)len);
    return len >= 0 && !n->out.err;
}

/* 1: all is written. 0: the socket is full. < 0: it is broken. */
static int drain(struct weft_h2_connection *n)
{
    while (n->out_at < n->out.len) {
        ssize_t done = send(n->socket->fd, n->out.data + n->out_at, n->out.len - n->out_at, MSG_NOSIGNAL);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return 0;
        if (done < 0)
            return errno == EPIPE ? UV_ECONNRESET : -errno;
        n->out_at += (size_t)done;
    }
    weft_buf_reset(&n->out);
    n->out_at = 0;
    return 1;
}

/* What was written makes room at the front once it is most of the buffer. */
static void compact(struct weft_h2_connection *n)
{
    if (n->out_at < OUT_KEEP)
        return;
    memmove(n->out.data, n->out.data + n->out_at, n->out.len - n->out_at);
    n->out.len -= n->out_at;
    n->out_at = 0;
}

/* nghttp2 is through with the connection: both sides said GOAWAY, or the server broke the protocol. */
static void finish(struct weft_h2_connection *n)
{
    if (n->stage == WEFT_H2_DRAINING)
        weft_h2_connection_fail(n, UV_ECONNRESET, "the server is going away");
    else
        weft_h2_connection_fail(n, UV_EPROTO, "the server does not speak HTTP/2 as it should");
}

void weft_h2_connection_flush(struct weft_h2_connection *n)
{
    int drained = 1;

    if (n->stage != WEFT_H2_READY && n->stage != WEFT_H2_DRAINING)
        return;
    do {
        compact(n);
        if (!produce(n)) {
            weft_h2_connection_fail(n, UV_EPROTO, "the HTTP/2 connection is broken");
            return;
        }
        if (n->out_at == n->out.len)
            break;
        drained = drain(n);
    } while (drained == 1);
    if (drained < 0)
        weft_h2_connection_fail(n, drained, weft_err_text(drained));
    else if (!nghttp2_session_want_read(n->session) && !nghttp2_session_want_write(n->session))
        finish(n);
    else if (watch(n, drained == 0 ? UV_READABLE | UV_WRITABLE : UV_READABLE))
        weft_h2_connection_fail(n, UV_EIO, "cannot watch the socket");
}

static void receive(struct weft_h2_connection *n)
{
    struct weft_h2_client *c = n->client;
    ssize_t len;

    do
        len = recv(n->socket->fd, c->read, sizeof c->read, 0);
    while (len < 0 && errno == EINTR);
    if (len < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return;
    if (len <= 0) {
        int err = len < 0 ? -errno : UV_ECONNRESET;
        weft_h2_connection_fail(n, err, len < 0 ? weft_err_text(err) : "the server closed the connection");
        return;
    }
    n->last_read_ms = uv_now(c->loop);
    if (nghttp2_session_mem_recv(n->session, c->read, (size_t)len) != len)
        weft_h2_connection_fail(n, UV_EPROTO, "the server does not speak HTTP/2 as it should");
}

/* ---- streams ---- */
void weft_h2_connection_submit(struct weft_h2_connection *n, struct weft_h2_call *call)
{
    const nghttp2_data_provider body = { .read_callback = on_produce };

    call->connection = n;
    if (n->stage != WEFT_H2_READY)
        return;
    call->stream = nghttp2_submit_request(n->session, NULL, call->nv, call->n_nv,
                                          call->what.n_body > 0 ? &body : NULL, call);
    if (call->stream >= 0)
        return;
    const bool used_up = call->stream == NGHTTP2_ERR_STREAM_ID_NOT_AVAILABLE;
    call->stream = 0;
    call->connection = NULL;
    if (!used_up) {
        weft_h2_call_end(call, UV_ENOMEM, "cannot open a stream");
        return;
    }
    (void)nghttp2_submit_goaway(n->session, NGHTTP2_FLAG_NONE, 0, NGHTTP2_NO_ERROR, NULL, 0);
    n->stage = WEFT_H2_DRAINING;
    weft_h2_call_again(call, UV_ECONNRESET, "the connection has no streams left");
}

void weft_h2_connection_cancel(struct weft_h2_connection *n, struct weft_h2_call *call)
{
    if (call->stream && n->session) {
        (void)nghttp2_session_set_stream_user_data(n->session, call->stream, NULL);
        (void)nghttp2_submit_rst_stream(n->session, NGHTTP2_FLAG_NONE, call->stream, NGHTTP2_CANCEL);
    }
    call->connection = NULL;
    call->stream = 0;
}

static void become_ready(struct weft_h2_connection *n)
{
    int on = 1;

    (void)setsockopt(n->socket->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    (void)setsockopt(n->socket->fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    n->stage = WEFT_H2_READY;
    n->last_read_ms = uv_now(n->client->loop);
    if (session_new(n)) {
        weft_h2_connection_fail(n, UV_ENOMEM, "no memory for a connection");
        return;
    }
    for (struct weft_h2_call *call = n->client->calls, *next; call; call = next) {
        next = call->next; /* submit may end the call */
        if (call->connection == n)
            weft_h2_connection_submit(n, call);
    }
    weft_h2_connection_flush(n);
}

/* ---- connecting ---- */
/* libuv says EBADF for whatever is wrong with a socket; the socket knows better. */
static int socket_error(const struct weft_h2_connection *n, int status)
{
    int err = 0;
    socklen_t len = sizeof err;

    if (getsockopt(n->socket->fd, SOL_SOCKET, SO_ERROR, &err, &len))
        err = errno;
    return err == EPIPE ? UV_ECONNRESET : err ? -err : status;
}

static void on_connected(struct weft_h2_connection *n, int status)
{
    int err = socket_error(n, status);

    if (err)
        connect_next(n, err);
    else
        become_ready(n);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct weft_h2_connection *n = ((struct weft_h2_socket *)poll)->owner;
    struct weft_h2_client *c = n->client;

    if (n->stage == WEFT_H2_CONNECTING) {
        on_connected(n, status);
    } else if (status < 0) {
        int err = socket_error(n, UV_ECONNRESET);
        weft_h2_connection_fail(n, err, weft_err_text(err));
    } else {
        if (events & UV_READABLE)
            receive(n);
        if (n->stage != WEFT_H2_DEAD)
            weft_h2_connection_flush(n);
    }
    weft_h2_deliver(c);
}

static int socket_open(struct weft_h2_connection *n, const struct addrinfo *address)
{
    struct weft_h2_socket *s = calloc(1, sizeof *s);

    if (!s)
        return UV_ENOMEM;
    s->owner = n;
    s->fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int err = s->fd < 0 ? -errno : uv_poll_init_socket(n->client->loop, &s->poll, s->fd);
    if (err) {
        if (s->fd >= 0)
            close(s->fd);
        free(s);
        return err;
    }
    n->socket = s;
    n->handles++;
    if (address->ai_next) /* about 3 s, then the next one has its turn */
        (void)setsockopt(s->fd, IPPROTO_TCP, TCP_SYNCNT, &(int){ 1 }, sizeof(int));
    if (connect(s->fd, address->ai_addr, address->ai_addrlen) && errno != EINPROGRESS)
        return -errno;
    return watch(n, UV_WRITABLE);
}

/* Tries the next address; `err` is why the last one failed. */
static void connect_next(struct weft_h2_connection *n, int err)
{
    socket_close(n);
    while (n->address) {
        const struct addrinfo *address = n->address;
        n->address = n->address->ai_next;
        err = socket_open(n, address);
        if (!err)
            return;
        socket_close(n);
    }
    weft_h2_connection_fail(n, err, weft_err_text(err));
}

static void use_addresses(struct weft_h2_connection *n, struct addrinfo *addresses)
{
    n->addresses = n->address = addresses;
    n->stage = WEFT_H2_CONNECTING;
    connect_next(n, UV_EAI_NODATA);
}

static void on_resolved(void *ctx, int err, struct addrinfo *addresses)
{
    struct weft_h2_connection *n = ctx;
    struct weft_h2_client *c = n->client;

    n->resolver = NULL;
    if (err)
        weft_h2_connection_fail(n, err, weft_err_text(err));
    else
        use_addresses(n, addresses);
    weft_h2_deliver(c);
}

/* "host:port", "[v6]:port" or a host alone, which means port 80. */
static int split(const char *authority, char host[WEFT_H2_AUTHORITY_MAX], char port[8])
{
    const char *colon = strrchr(authority, ':');
    size_t len = strlen(authority);

    memcpy(port, "80", 3);
    if (colon && strspn(colon + 1, "0123456789") == strlen(colon + 1) && colon[1] && strlen(colon + 1) < 6) {
        memcpy(port, colon + 1, strlen(colon + 1) + 1);
        len = (size_t)(colon - authority);
    }
    if (len >= 2 && authority[0] == '[' && authority[len - 1] == ']') {
        authority++;
        len -= 2;
    }
    if (len == 0)
        return UV_EINVAL;
    memcpy(host, authority, len);
    host[len] = 0;
    return 0;
}

/* An address by its numbers needs nobody to ask. */
static int resolve(struct weft_h2_connection *n)
{
    const struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV };
    struct addrinfo *found;
    char host[WEFT_H2_AUTHORITY_MAX], port[8];
    int err = split(n->authority, host, port);

    if (err)
        return err;
    if (getaddrinfo(host, port, &hints, &found) == 0) {
        use_addresses(n, found);
        return 0;
    }
    return weft_resolver_ask(&n->resolver, n->client->loop, host, port, n, on_resolved);
}

void weft_h2_connection_begin(struct weft_h2_connection *n)
{
    int err = resolve(n);

    if (err)
        weft_h2_connection_fail(n, err, weft_err_text(err));
}

struct weft_h2_connection *weft_h2_connection_new(struct weft_h2_client *c, const char *authority)
{
    struct weft_h2_connection *n = calloc(1, sizeof *n);

    if (!n)
        return NULL;
    n->client = c;
    memcpy(n->authority, authority, strlen(authority) + 1);
    weft_buf_init(&n->out, 2 * OUT_MAX);
    n->next = c->connections;
    c->connections = n;
    c->handles++;
    return n;
}

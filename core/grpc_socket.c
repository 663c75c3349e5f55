/* SPDX-License-Identifier: Apache-2.0 */
/* grpc_socket.c: see grpc_socket.h.
 *
 * Output is written at once as far as the kernel takes it; the rest goes into one buffer with a uv_write, and nothing more
 * is asked from HTTP/2 until that is through. So a peer that does not read holds at most that one buffer here. */
#include "core/grpc_socket.h"

#include "core/err.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum {
    ENOUGH = 64 * 1024,     /* bytes of one write */
    LINGER_MS = 1000,
    TCP_KEEPALIVE_S = 60,
    TLS_SESSION = 40 * 1024,
};

static void flush(struct weft_grpc_socket *s);
static void update_reading(struct weft_grpc_socket *s);

static void unlink_socket(struct weft_grpc_socket *s)
{
    if (s->prev)
        s->prev->next = s->next;
    else
        s->all->first = s->next;
    if (s->next)
        s->next->prev = s->prev;
    s->all->n--;
}

/* ---- answers from outside ---- */

static void on_output(void *owner)
{
    struct weft_grpc_socket *s = owner;

    if (s->dirty)
        return;
    s->dirty = true;
    s->next_dirty = s->all->dirty;
    s->all->dirty = s;
    s->all->on_dirty(s->all->owner);
}

static void make_clean(struct weft_grpc_socket *s)
{
    struct weft_grpc_socket **link = &s->all->dirty;

    if (!s->dirty)
        return;
    while (*link != s)
        link = &(*link)->next_dirty;
    *link = s->next_dirty;
    s->dirty = false;
}

void weft_grpc_sockets_flush(struct weft_grpc_sockets *all)
{
    while (all->dirty) {
        struct weft_grpc_socket *s = all->dirty;
        make_clean(s);
        flush(s);
        update_reading(s);
    }
}

/* What a connection takes before HTTP/2 begins. */
static uint64_t cost(const struct weft_grpc_sockets *all)
{
    return sizeof(struct weft_grpc_socket) + (all->tls ? TLS_SESSION : 0);
}

static void drop_pending(struct weft_grpc_socket *s)
{
    free(s->pending);
    weft_account_give(s->all->service.limits.account, s->n_pending);
    s->pending = NULL;
    s->n_pending = 0;
}

static void on_close(uv_handle_t *handle)
{
    struct weft_grpc_socket *s = handle->data;
    struct weft_grpc_sockets *all = s->all;

    drop_pending(s);
    weft_account_give(all->service.limits.account, cost(all));
    free(s);
    all->on_closed(all->owner);
}

void weft_grpc_socket_close(struct weft_grpc_socket *s)
{
    if (s->state == WEFT_GRPC_SOCKET_CLOSING)
        return;
    s->state = WEFT_GRPC_SOCKET_CLOSING;
    unlink_socket(s);
    make_clean(s);
    weft_grpc_connection_release(&s->http);
    weft_tls_free(s->tls);
    s->tls = NULL;
    uv_close((uv_handle_t *)&s->tcp, on_close);
}

/* ---- writing ---- */

static void on_written(uv_write_t *req, int status)
{
    struct weft_grpc_socket *s = req->data;

    drop_pending(s);
    s->writing = false;
    if (s->state == WEFT_GRPC_SOCKET_CLOSING)
        return;
    if (status < 0) {
        weft_grpc_socket_close(s);
        return;
    }
    flush(s);
    update_reading(s);
}

static int write_rest(struct weft_grpc_socket *s, struct weft_slice rest)
{
    if (!weft_account_take(s->all->service.limits.account, rest.len))
        return WEFT_ERR_LIMIT;
    s->n_pending = rest.len;
    s->pending = malloc(rest.len);
    if (!s->pending)
        return UV_ENOMEM;
    memcpy(s->pending, rest.data, rest.len);

    uv_buf_t buf = uv_buf_init((char *)s->pending, (unsigned)rest.len);
    s->write.data = s;
    s->writing = true;
    s->since_ms = uv_now(s->tcp.loop);
    return uv_write(&s->write, (uv_stream_t *)&s->tcp, &buf, 1, on_written);
}

static int send_bytes(struct weft_grpc_socket *s, struct weft_slice bytes)
{
    uv_buf_t buf = uv_buf_init((char *)(uintptr_t)bytes.data, (unsigned)bytes.len);
    int n = uv_try_write((uv_stream_t *)&s->tcp, &buf, 1);

    if (n < 0 && n != UV_EAGAIN)
        return n;
    bytes = weft_slice_from(bytes, n < 0 ? 0 : (size_t)n);
    return bytes.len > 0 ? write_rest(s, bytes) : 0;
}

/* What has to go out next; empty when nothing has. In TLS, bytes of the handshake come first. */
static int gather(struct weft_grpc_socket *s, struct weft_slice *ret_bytes)
{
    struct weft_grpc_sockets *all = s->all;
    int err = 0;

    weft_buf_reset(&all->out);
    if (!s->tls || weft_tls_ready(s->tls))
        weft_grpc_connection_output(&s->http, &all->out, ENOUGH);
    if (!s->tls) {
        *ret_bytes = weft_buf_slice(&all->out);
        return all->out.err;
    }
    if (all->out.len > 0)
        err = weft_tls_output(s->tls, weft_buf_slice(&all->out), &all->cipher);
    *ret_bytes = weft_buf_slice(&all->cipher);
    return err;
}

static void linger(struct weft_grpc_socket *s)
{
    uv_os_fd_t fd;

    if (s->tls) {
        weft_buf_reset(&s->all->cipher);
        weft_tls_goodbye(s->tls, &s->all->cipher);
        if (send_bytes(s, weft_buf_slice(&s->all->cipher)) < 0 || s->writing) {
            weft_grpc_socket_close(s);
            return;
        }
    }
    if (uv_fileno((uv_handle_t *)&s->tcp, &fd) < 0 || shutdown(fd, SHUT_WR) < 0) {
        weft_grpc_socket_close(s);
        return;
    }
    s->state = WEFT_GRPC_SOCKET_LINGERING;
    s->since_ms = uv_now(s->tcp.loop);
}

/* Sends until nothing is left or the kernel takes no more. s->all->cipher may hold bytes of the handshake. */
static void flush(struct weft_grpc_socket *s)
{
    struct weft_slice bytes;
    int err = 0;

    while (!s->writing && s->state == WEFT_GRPC_SOCKET_OPEN) {
        err = gather(s, &bytes);
        if (err || bytes.len == 0)
            break;
        err = send_bytes(s, bytes);
        weft_buf_reset(&s->all->cipher);
        if (err)
            break;
    }
    weft_buf_reset(&s->all->cipher);
    if (err)
        weft_grpc_socket_close(s);
    else if (!s->writing && s->state == WEFT_GRPC_SOCKET_OPEN && s->http.state == WEFT_GRPC_DONE)
        linger(s);
}

/* ---- reading ---- */

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *ret_buf)
{
    struct weft_grpc_socket *s = handle->data;
    (void)suggested;

    *ret_buf = uv_buf_init((char *)s->all->read, WEFT_GRPC_READ);
}

static void take(struct weft_grpc_socket *s, struct weft_slice bytes)
{
    struct weft_grpc_sockets *all = s->all;
    uint64_t now_ms = uv_now(s->tcp.loop);

    if (!s->tls) {
        weft_grpc_connection_input(&s->http, bytes, now_ms);
        flush(s);
        return;
    }
    weft_buf_reset(&all->plain);
    weft_buf_reset(&all->cipher);
    int err = weft_tls_input(s->tls, bytes, &all->plain, &all->cipher);
    if (all->plain.len > 0)
        weft_grpc_connection_input(&s->http, weft_buf_slice(&all->plain), now_ms);
    flush(s);
    if (err && s->state == WEFT_GRPC_SOCKET_OPEN)
        weft_grpc_socket_close(s);
}

static void on_read(uv_stream_t *stream, ssize_t nread, const uv_buf_t *buf);

/* Reads only while what we have to say gets through: who does not read is not read from. */
static void update_reading(struct weft_grpc_socket *s)
{
    bool want = !s->writing;

    if (s->state == WEFT_GRPC_SOCKET_CLOSING || want == s->reading)
        return;
    s->reading = want;
    if (want && uv_read_start((uv_stream_t *)&s->tcp, on_alloc, on_read) < 0)
        weft_grpc_socket_close(s);
    if (!want)
        uv_read_stop((uv_stream_t *)&s->tcp);
}

static void on_read(uv_stream_t *stream, ssize_t nread, const uv_buf_t *buf)
{
    struct weft_grpc_socket *s = stream->data;

    if (nread == 0 || s->state == WEFT_GRPC_SOCKET_CLOSING)
        return;
    if (nread < 0) {
        weft_grpc_socket_close(s);
        return;
    }
    if (s->state == WEFT_GRPC_SOCKET_LINGERING)
        return;
    take(s, weft_slice_of(buf->base, (size_t)nread));
    update_reading(s);
}

/* ---- life ---- */

static struct weft_grpc_socket *new_socket(struct weft_grpc_sockets *all, uv_loop_t *loop, bool full)
{
    struct weft_account *account = all->service.limits.account;

    if (!weft_account_take(account, cost(all)))
        return NULL;
    struct weft_grpc_socket *s = calloc(1, sizeof *s);
    if (!s || (all->tls && !full && weft_tls_new(&s->tls, all->tls) < 0)) {
        weft_account_give(account, cost(all));
        free(s);
        return NULL;
    }
    (void)uv_tcp_init(loop, &s->tcp); /* cannot fail: it makes no socket */
    s->tcp.data = s;
    s->all = all;
    s->next = all->first;
    if (all->first)
        all->first->prev = s;
    all->first = s;
    all->n++;
    weft_grpc_connection_init(&s->http, &all->service, uv_now(loop));
    s->http.on_output = on_output;
    s->http.owner = s;
    return s;
}

int weft_grpc_socket_accept(struct weft_grpc_sockets *all, uv_stream_t *listener, bool full)
{
    struct weft_grpc_socket *s = new_socket(all, listener->loop, full);

    if (!s)
        return UV_ENOMEM;
    int err = uv_accept(listener, (uv_stream_t *)&s->tcp);
    if (!err && !full) {
        (void)uv_tcp_nodelay(&s->tcp, 1);
        (void)uv_tcp_keepalive(&s->tcp, 1, TCP_KEEPALIVE_S);
        err = uv_read_start((uv_stream_t *)&s->tcp, on_alloc, on_read);
        s->reading = true;
    }
    if (err || full)
        weft_grpc_socket_close(s);
    return err;
}

void weft_grpc_socket_tick(struct weft_grpc_socket *s, uint64_t now_ms)
{
    if (s->state == WEFT_GRPC_SOCKET_LINGERING && now_ms - s->since_ms >= LINGER_MS) {
        weft_grpc_socket_close(s);
        return;
    }
    if (s->writing && now_ms - s->since_ms >= s->all->service.limits.request_timeout_ms) {
        weft_grpc_socket_close(s);
        return;
    }
    if (s->state != WEFT_GRPC_SOCKET_OPEN)
        return;
    weft_grpc_connection_tick(&s->http, now_ms);
    flush(s);
    update_reading(s);
}

void weft_grpc_socket_quiesce(struct weft_grpc_socket *s, uint64_t now_ms)
{
    if (s->state != WEFT_GRPC_SOCKET_OPEN)
        return;
    weft_grpc_connection_quiesce(&s->http, now_ms);
    flush(s);
}

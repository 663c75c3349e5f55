/* SPDX-License-Identifier: Apache-2.0 */
/* grpc_server.c: see grpc_server.h. The listener, the clock of all deadlines, and the end of everything. The timer
 * runs only while there are connections: an idle server never wakes. */
#include "core/grpc_server.h"

#include "core/endpoint.h"
#include "core/err.h"
#include "core/grpc_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    DEFAULT_CONNECTIONS = 10000,
    BACKLOG = 512,
    TICK_MS = 500,
    OUT_LIMIT = 96 * 1024,                              /* one write and a frame behind it */
    PLAIN_LIMIT = WEFT_GRPC_READ + 64 * 1024,
    CIPHER_LIMIT = 2 * OUT_LIMIT,
};

struct weft_grpc_server {
    struct weft_grpc_sockets sockets;
    int listen_fd;           /* the socket; the handle has a copy, so that it can look away without losing who waits */
    uv_tcp_t listener;
    uv_timer_t timer;
    uv_prepare_t prepare;    /* runs while there are answers from outside to send */
    unsigned max_connections;
    unsigned n_handles;      /* not closed yet */
    bool closing, quiet;     /* quiet: the last tick found nothing in hand */
    bool waiting;            /* a connection that there was no memory for */
    bool resting;            /* no descriptor was left; the next tick looks again */
};

static void release(struct weft_grpc_server *s)
{
    weft_grpc_service_release(&s->sockets.service);
    weft_tls_context_free(s->sockets.tls);
    weft_buf_release(&s->sockets.out);
    weft_buf_release(&s->sockets.plain);
    weft_buf_release(&s->sockets.cipher);
    free(s->sockets.read);
    free(s);
}

static void on_handle_closed(void *owner)
{
    struct weft_grpc_server *s = owner;

    if (--s->n_handles == 0)
        release(s);
}

static void on_own_handle_closed(uv_handle_t *handle)
{
    on_handle_closed(handle->data);
}

/* ---- the clock ---- */

/* With nothing in hand for a whole tick, memory that is kept for speed goes back. */
static void trim(struct weft_grpc_server *s)
{
    bool quiet = s->sockets.service.pool.used == 0;

    if (quiet && s->quiet)
        weft_grpc_service_trim(&s->sockets.service);
    s->quiet = quiet;
}

static void accept_one(struct weft_grpc_server *s);
static int watch_listener(struct weft_grpc_server *s);

static void on_tick(uv_timer_t *timer)
{
    struct weft_grpc_server *s = timer->data;
    const uint64_t now_ms = uv_now(timer->loop);

    for (struct weft_grpc_socket *socket = s->sockets.first, *next; socket; socket = next) {
        next = socket->next;
        weft_grpc_socket_tick(socket, now_ms);
    }
    trim(s);
    if (s->waiting)
        accept_one(s);
    if (s->resting && !uv_is_closing((uv_handle_t *)&s->listener))
        s->resting = watch_listener(s) != 0;
    if (s->sockets.n == 0 && !s->waiting && !s->resting)
        uv_timer_stop(&s->timer);
}

/* ---- answers from outside ---- */

static void on_prepare(uv_prepare_t *prepare)
{
    struct weft_grpc_server *s = prepare->data;

    (void)uv_prepare_stop(prepare);
    weft_grpc_sockets_flush(&s->sockets);
}

static void on_dirty(void *owner)
{
    struct weft_grpc_server *s = owner;

    if (!s->closing)
        (void)uv_prepare_start(&s->prepare, on_prepare);
}

void weft_grpc_server_answer(struct weft_grpc_server *s, void *handle, const struct weft_grpc_answer *answer)
{
    (void)s;
    weft_grpc_connection_answer(handle, answer);
}

unsigned weft_grpc_server_in_hand(const struct weft_grpc_server *s)
{
    unsigned n = 0;

    for (const struct weft_grpc_socket *socket = s->sockets.first; socket; socket = socket->next)
        n += weft_grpc_connection_in_hand(&socket->http);
    return n;
}

/* ---- the listener ---- */

static void start_clock(struct weft_grpc_server *s)
{
    if (!uv_is_active((uv_handle_t *)&s->timer))
        (void)uv_timer_start(&s->timer, on_tick, TICK_MS, TICK_MS);
}

static void accept_one(struct weft_grpc_server *s)
{
    const bool full = s->sockets.n >= s->max_connections;
    int err = weft_grpc_socket_accept(&s->sockets, (uv_stream_t *)&s->listener, full);

    /* libuv listens on only when the connection was taken; with no memory it stays for the next tick. */
    s->waiting = err == UV_ENOMEM;
    s->n_handles += !s->waiting;
    start_clock(s);
}

static void on_rest(uv_handle_t *handle)
{
    struct weft_grpc_server *s = handle->data;

    if (s->listen_fd < 0) { /* closed meanwhile */
        on_handle_closed(s);
        return;
    }
    (void)uv_tcp_init(handle->loop, &s->listener);
}

/* With no descriptor left libuv would ask again at once, for ever, and the loop's connections would starve. Closing the handle
 * is the only way out; who waits stays in the socket's backlog. */
static void on_connection(uv_stream_t *listener, int status)
{
    struct weft_grpc_server *s = listener->data;

    if (status == 0) {
        accept_one(s);
    } else if (status == UV_EMFILE || status == UV_ENFILE) {
        s->resting = true;
        uv_close((uv_handle_t *)listener, on_rest);
        start_clock(s);
    }
}

static int watch_listener(struct weft_grpc_server *s)
{
    int fd = fcntl(s->listen_fd, F_DUPFD_CLOEXEC, 0);

    if (fd < 0)
        return -errno;
    int err = uv_tcp_open(&s->listener, fd);
    if (err) {
        close(fd);
        return err;
    }
    return uv_listen((uv_stream_t *)&s->listener, BACKLOG, on_connection);
}

static int listen_on(struct weft_grpc_server *s, const struct weft_grpc_server_options *options)
{
    int fd = weft_endpoint_listen(options->endpoint, options->reuse_port, BACKLOG);

    if (fd < 0)
        return fd;
    s->listen_fd = fd;
    return watch_listener(s);
}

/* ---- life ---- */

static int prepare(struct weft_grpc_server *s, const struct weft_grpc_server_options *options, const char **ret_error)
{
    struct weft_grpc_sockets *all = &s->sockets;

    s->listen_fd = -1;
    s->max_connections = options->max_connections ? options->max_connections : DEFAULT_CONNECTIONS;
    all->owner = s;
    all->on_closed = on_handle_closed;
    all->on_dirty = on_dirty;
    weft_buf_init(&all->out, OUT_LIMIT);
    weft_buf_init(&all->plain, PLAIN_LIMIT);
    weft_buf_init(&all->cipher, CIPHER_LIMIT);
    all->read = malloc(WEFT_GRPC_READ);
    if (!all->read)
        return UV_ENOMEM;

    int err = weft_grpc_service_init(&all->service, &options->handlers, &options->limits);
    if (err || !options->tls)
        return err;
    return weft_tls_context_new(&all->tls, options->tls, "h2", ret_error);
}

int weft_grpc_server_open(struct weft_grpc_server **ret_server, uv_loop_t *loop,
                          const struct weft_grpc_server_options *options, const char **ret_error)
{
    const char *error = "cannot set up gRPC";
    struct weft_grpc_server *s = calloc(1, sizeof *s);
    int err = s ? prepare(s, options, &error) : UV_ENOMEM;

    if (err) {
        if (ret_error)
            *ret_error = error;
        if (s)
            release(s);
        return err;
    }
    (void)uv_tcp_init(loop, &s->listener); /* neither can fail */
    (void)uv_timer_init(loop, &s->timer);
    (void)uv_prepare_init(loop, &s->prepare);
    s->listener.data = s->timer.data = s->prepare.data = s;
    s->n_handles = 3;

    err = listen_on(s, options);
    if (err) {
        if (ret_error)
            *ret_error = "cannot listen";
        weft_grpc_server_close(s);
        return err;
    }
    *ret_server = s;
    return 0;
}

int weft_grpc_server_port(const struct weft_grpc_server *s)
{
    return s->listen_fd < 0 ? UV_EBADF : weft_endpoint_port(s->listen_fd);
}

unsigned weft_grpc_server_connections(const struct weft_grpc_server *s)
{
    return s->sockets.n;
}

const struct weft_grpc_stats *weft_grpc_server_stats(const struct weft_grpc_server *s)
{
    return &s->sockets.service.stats;
}

static void close_listener(struct weft_grpc_server *s)
{
    s->waiting = s->resting = false;
    if (s->listen_fd >= 0)
        (void)close(s->listen_fd);
    s->listen_fd = -1;
    if (!uv_is_closing((uv_handle_t *)&s->listener))
        uv_close((uv_handle_t *)&s->listener, on_own_handle_closed);
}

void weft_grpc_server_quiesce(struct weft_grpc_server *s)
{
    close_listener(s);
    s->sockets.service.draining = true;
    for (struct weft_grpc_socket *socket = s->sockets.first, *next; socket; socket = next) {
        next = socket->next;
        weft_grpc_socket_quiesce(socket, uv_now(s->timer.loop));
    }
}

void weft_grpc_server_close(struct weft_grpc_server *s)
{
    if (!s || s->closing)
        return;
    s->closing = true;
    close_listener(s);
    uv_close((uv_handle_t *)&s->timer, on_own_handle_closed);
    uv_close((uv_handle_t *)&s->prepare, on_own_handle_closed);
    while (s->sockets.first)
        weft_grpc_socket_close(s->sockets.first);
}

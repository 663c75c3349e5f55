/* SPDX-License-Identifier: Apache-2.0 */
/* h2_connection.c: the sockets of the cleartext HTTP/2 client: from a name to bytes sent and received; see h2_state.h.
 * What the bytes mean is h2_session.c's business.
 */
#include "core/h2_state.h"

#include "core/err.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { OUT_KEEP = WEFT_H2_OUT_MAX / 2, SESSION_COST = 64 * 1024 };

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
    weft_account_give(c->account, SESSION_COST);
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
        if (!weft_h2_session_output(n)) {
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
    if (!weft_h2_session_input(n, weft_slice_of(c->read, (size_t)len)))
        weft_h2_connection_fail(n, UV_EPROTO, "the server does not speak HTTP/2 as it should");
}

/* ---- connecting ---- */
static void become_ready(struct weft_h2_connection *n)
{
    int on = 1;

    (void)setsockopt(n->socket->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    (void)setsockopt(n->socket->fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    n->stage = WEFT_H2_READY;
    n->last_read_ms = uv_now(n->client->loop);
    if (weft_h2_session_open(n)) {
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

/* No connection came about: says with whom, since a log line of a dead back end is read without the configuration. */
static void fail_to(struct weft_h2_connection *n, const char *verb, int err)
{
    char words[WEFT_H2_AUTHORITY_MAX + 96];

    (void)snprintf(words, sizeof words, "cannot %s %s: %s", verb, n->authority, weft_err_text(err));
    weft_h2_connection_fail(n, err, words);
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
    fail_to(n, "connect to", err);
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
        fail_to(n, "resolve", err);
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
        fail_to(n, "resolve", err);
}

struct weft_h2_connection *weft_h2_connection_new(struct weft_h2_client *c, const char *authority)
{
    struct weft_h2_connection *n = weft_account_take(c->account, SESSION_COST) ? calloc(1, sizeof *n) : NULL;

    if (!n)
        return NULL;
    n->client = c;
    memcpy(n->authority, authority, strlen(authority) + 1);
    weft_buf_init(&n->out, 2 * WEFT_H2_OUT_MAX);
    n->out.account = c->account;
    n->next = c->connections;
    c->connections = n;
    c->handles++;
    return n;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* http_server.c: libmicrohttpd inside a libuv loop; see http_server.h. What happens to one request is
 * http_request.c; here are the daemon, its descriptor and timer, connections and their deadlines.
 *
 * libmicrohttpd knows one timeout, silence. A peer that sends a byte now and then is never silent, so time is
 * kept here too: each connection stands in one of three lines (http_request.h), each line in order of since_ms, and
 * a look at three heads finds who is due. A connection that waits has idle_timeout to begin a request and request_timeout to
 * bring its headers to an end; one with a request in hand has request_timeout from there until the answer is gone.
 *
 * Memory: libmicrohttpd holds one pool a connection and clears all of it after each request, so an idle
 * connection that was used once costs the whole pool. POOL is therefore small and the number of connections bounded.
 * One thread: the loop's.
 */
#include "core/http_server.h"

#include "core/endpoint.h"
#include "core/err.h"
#include "core/http_request.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <gnutls/gnutls.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    OVERHEAD = 2 * 1024,          /* of a connection beside its pool */
    TLS_SESSION = 40 * 1024,
    PAID_CONNECTIONS = 16,
    POOL = 32 * 1024,             /* also bounds a request's headers: half is the read buffer to begin with */
    BACKLOG = 1024,
    CONNECTIONS_SLACK = 64,       /* cut ones, not closed yet; beyond that libmicrohttpd stops accepting for a moment */
    CONNECTIONS_DEFAULT = 256,
    TLS_FILE_MAX = 1 << 20,
    TIMER_SLACK_MS = 1,
    BACKOFF_MAX_MS = 64,
    VAIN_TURNS_MAX = 8,           /* without a callback, before pauses begin */
    BUSY_MS = 1000,               /* since its last answer a connection is in use, not waiting */
};
static const uint64_t IDLE_DEFAULT_MS = 60000, REQUEST_DEFAULT_MS = 30000;

/* ---- connections ---- */
static void leave_line(struct weft_http_server *s, struct weft_http_connection *c)
{
    struct weft_http_queue *q = &s->lines[c->line];

    if (c->prev)
        c->prev->next = c->next;
    else
        q->head = c->next;
    if (c->next)
        c->next->prev = c->prev;
    else
        q->tail = c->prev;
    c->prev = c->next = NULL;
}

static void join_line(struct weft_http_server *s, struct weft_http_connection *c, enum weft_http_line line)
{
    struct weft_http_queue *q = &s->lines[line];

    c->line = line;
    c->since_ms = uv_now(s->loop);
    c->next = NULL;
    c->prev = q->tail;
    if (q->tail)
        q->tail->next = c;
    else
        q->head = c;
    q->tail = c;
}

void weft_http_connection_move(struct weft_http_server *s, struct weft_http_connection *c, enum weft_http_line line)
{
    leave_line(s, c);
    join_line(s, c, line);
}

void weft_http_connection_cut(struct weft_http_server *s, struct weft_http_connection *c)
{
    s->stats.connections--;
    weft_http_connection_move(s, c, WEFT_HTTP_CUT);
    (void)shutdown(c->fd, SHUT_RDWR);
}

/* Who gives way. A client that has just had an answer is about to come again: cutting it would only trade one for another. */
static struct weft_http_connection *longest_waiting(const struct weft_http_server *s)
{
    struct weft_http_connection *fresh = s->lines[WEFT_HTTP_FRESH].head, *kept = s->lines[WEFT_HTTP_KEPT].head;

    if (fresh)
        return fresh;
    return kept && uv_now(s->loop) - kept->since_ms >= BUSY_MS ? kept : NULL;
}

static uint64_t connection_cost(const struct weft_http_server *s)
{
    return s->tls_files[0] ? POOL + OVERHEAD + TLS_SESSION : POOL + OVERHEAD;
}

/* The first few are paid for when the server opens, so that whoever is refused hears so; the others never take more
 * memory than they leave to bodies. */
static bool has_room(const struct weft_http_server *s)
{
    return s->n_paid < PAID_CONNECTIONS || weft_account_room(s->options.account) / connection_cost(s) > s->stats.connections;
}

static bool pay(struct weft_http_server *s)
{
    if (s->n_paid >= PAID_CONNECTIONS && !weft_account_take(s->options.account, connection_cost(s)))
        return false;
    s->n_paid++;
    return true;
}

static void give_back(struct weft_http_server *s)
{
    if (--s->n_paid >= PAID_CONNECTIONS)
        weft_account_give(s->options.account, connection_cost(s));
}

/* libmicrohttpd asks before it takes a connection in. One that makes room for another leaves its memory to it. */
static enum MHD_Result may_connect(void *cls, const struct sockaddr *address, socklen_t len)
{
    struct weft_http_server *s = cls;
    (void)address;
    (void)len;

    if (has_room(s) && s->stats.connections < s->options.max_connections)
        return MHD_YES;
    struct weft_http_connection *c = longest_waiting(s);
    if (!c) {
        s->stats.turned_away++;
        return MHD_NO;
    }
    weft_http_connection_cut(s, c);
    s->stats.evicted++;
    return MHD_YES;
}

static int verify_peer(gnutls_session_t session)
{
    unsigned status = 0;

    if (gnutls_certificate_verify_peers2(session, &status) < 0)
        return GNUTLS_E_CERTIFICATE_ERROR;
    return status == 0 ? 0 : GNUTLS_E_CERTIFICATE_ERROR;
}

/* A client CA means that clients must show a certificate of it: without this libmicrohttpd only asks. */
static void require_certificate(struct MHD_Connection *mhd)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_GNUTLS_SESSION);
    gnutls_session_t session = info ? info->tls_session : NULL;

    if (!session)
        return;
    gnutls_certificate_server_set_request(session, GNUTLS_CERT_REQUIRE);
    gnutls_session_set_verify_function(session, verify_peer);
}

static void connected(struct weft_http_server *s, struct MHD_Connection *mhd, void **socket_context)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct weft_http_connection *c = calloc(1, sizeof *c);

    if (c && !pay(s)) {
        free(c);
        c = NULL;
    }
    *socket_context = c;
    if (!c) { /* weft_http_access refuses such a connection's first request */
        if (info)
            (void)shutdown(info->connect_fd, SHUT_RDWR);
        return;
    }
    c->mhd = mhd;
    c->fd = info ? info->connect_fd : -1;
    join_line(s, c, WEFT_HTTP_FRESH);
    s->stats.connections++;
    if (s->tls_files[2])
        require_certificate(mhd);
}

static void on_connection(void *cls, struct MHD_Connection *mhd, void **socket_context,
                          enum MHD_ConnectionNotificationCode code)
{
    struct weft_http_server *s = cls;
    struct weft_http_connection *c = *socket_context;

    s->progress = true;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        connected(s, mhd, socket_context);
        return;
    }
    if (!c)
        return;
    if (c->line != WEFT_HTTP_CUT)
        s->stats.connections--;
    leave_line(s, c);
    give_back(s);
    free(c);
    *socket_context = NULL;
}

/* ---- time ---- */
static uint64_t due_of(const struct weft_http_server *s, const struct weft_http_connection *c)
{
    uint64_t request = s->options.request_timeout_ms;
    return c->since_ms + request + (c->line == WEFT_HTTP_ACTIVE ? 0 : s->options.idle_timeout_ms);
}

static void cut_overdue(struct weft_http_server *s)
{
    uint64_t now = uv_now(s->loop);

    for (int line = WEFT_HTTP_FRESH; line <= WEFT_HTTP_ACTIVE; line++) {
        struct weft_http_connection *c;
        while ((c = s->lines[line].head) && due_of(s, c) <= now) {
            s->stats.timed_out++;
            if (line != WEFT_HTTP_ACTIVE || weft_http_request_expire(s, c))
                weft_http_connection_cut(s, c);
            else
                weft_http_connection_move(s, c, WEFT_HTTP_ACTIVE); /* time to take its answer */
        }
    }
}

static void on_timer(uv_timer_t *timer);

static void on_again(uv_idle_t *again);

/* When libmicrohttpd wants to go on although nothing has happened. That is right while requests wait in its buffers, and it
 * shows: callbacks run, if not in each turn. It is not when a TLS handshake waits for its peer, of which libmicrohttpd 0.9.75
 * says the same: then the pauses grow, since word from the peer comes through the descriptor anyway. */
static uint64_t pause_for(struct weft_http_server *s)
{
    s->vain_turns = s->progress ? 0 : s->vain_turns + 1;
    if (s->vain_turns < VAIN_TURNS_MAX) {
        s->backoff_ms = 0;
        (void)uv_idle_start(&s->again, on_again);
        return UINT64_MAX;
    }
    s->backoff_ms = s->backoff_ms == 0 ? 1 : s->backoff_ms < BACKOFF_MAX_MS ? 2 * s->backoff_ms : BACKOFF_MAX_MS;
    return s->backoff_ms;
}

/* Lets the timer fire when the first of the lines, or libmicrohttpd, is due. It is moved only to an earlier time: one
 * that fires early finds nothing to do and is set again, which is cheaper than to move it with every request. It is never set
 * to 0: libuv 1.44 would run it again and again before it looks at any descriptor. */
static void schedule(struct weft_http_server *s)
{
    uint64_t now = uv_now(s->loop), due = UINT64_MAX;
    MHD_UNSIGNED_LONG_LONG wait;

    if (MHD_get_timeout(s->daemon, &wait) == MHD_YES) {
        uint64_t pause = wait ? wait + TIMER_SLACK_MS : pause_for(s);
        due = pause == UINT64_MAX ? due : now + pause;
    }
    if (s->resting && now + BACKOFF_MAX_MS < due)
        due = now + BACKOFF_MAX_MS;
    s->progress = false;
    for (int line = WEFT_HTTP_FRESH; line <= WEFT_HTTP_ACTIVE; line++) {
        const struct weft_http_connection *c = s->lines[line].head;
        if (c && due_of(s, c) < due)
            due = due_of(s, c);
    }
    if (due >= s->due_ms)
        return;
    s->due_ms = due;
    (void)uv_timer_start(&s->timer, on_timer, due > now ? due - now : 1, 0);
}

static bool has_connections(const struct weft_http_server *s)
{
    for (int line = 0; line < WEFT_HTTP_LINES; line++)
        if (s->lines[line].head)
            return true;
    return false;
}

/* When no file descriptor is left, accept() fails and the listening socket stays readable. libmicrohttpd then waits for one of
 * its connections to end; when it has none, it would be called again at once, for ever. So its descriptor is not looked at
 * for a moment. */
static void rest_when_nothing_can_be_accepted(struct weft_http_server *s)
{
    if (s->progress || has_connections(s) || s->quiesced) {
        s->vain_accepts = 0;
    } else if (!s->resting && ++s->vain_accepts >= VAIN_TURNS_MAX) {
        s->resting = uv_poll_stop(&s->poll) == 0;
    }
}

static void pump(struct weft_http_server *s)
{
    cut_overdue(s);
    (void)MHD_run(s->daemon);
    rest_when_nothing_can_be_accepted(s);
    schedule(s);
}

static void on_poll(uv_poll_t *poll, int status, int events);

static void on_timer(uv_timer_t *timer)
{
    struct weft_http_server *s = timer->data;

    s->due_ms = UINT64_MAX;
    if (s->resting)
        s->resting = uv_poll_start(&s->poll, UV_READABLE, on_poll) != 0;
    pump(s);
}

static void on_again(uv_idle_t *again)
{
    (void)uv_idle_stop(again);
    pump(again->data);
}

/* libmicrohttpd's own signal for this does not reach a loop from outside of it. Many resumed in one turn cost one run. */
void weft_http_server_run_soon(struct weft_http_server *s)
{
    s->progress = true;
    if (!s->closing)
        (void)uv_idle_start(&s->again, on_again);
}

/* An error of poll means that the descriptor is gone, which only weft_http_server_close does. */
static void on_poll(uv_poll_t *poll, int status, int events)
{
    (void)events;
    if (status == 0)
        pump(poll->data);
}

/* ---- opening ---- */

/* A whole small file as a string. */
static int read_file(const char *path, char **ret_text)
{
    char *text = malloc(TLS_FILE_MAX);
    size_t len = 0;
    ssize_t n = -1;

    if (!text)
        return UV_ENOMEM;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    while (fd >= 0 && len < TLS_FILE_MAX - 1 && (n = read(fd, text + len, TLS_FILE_MAX - 1 - len)) > 0)
        len += (size_t)n;
    int err = n < 0 ? -errno : n > 0 ? WEFT_ERR_TOO_LARGE : 0;
    if (fd >= 0)
        (void)close(fd);
    if (err) {
        free(text);
        return err;
    }
    text[len] = '\0';
    char *fitting = realloc(text, len + 1);
    *ret_text = fitting ? fitting : text;
    return 0;
}

static int read_tls_files(struct weft_http_server *s, const struct weft_http_tls *tls)
{
    const char *paths[3] = { tls->cert_file, tls->key_file, tls->client_ca_file };

    if (!paths[0] || !paths[1])
        return UV_EINVAL;
    for (int i = 0; i < 3; i++) {
        int err = paths[i] ? read_file(paths[i], &s->tls_files[i]) : 0;
        if (err)
            return err;
    }
    return 0;
}

static int start_daemon(struct weft_http_server *s, int listen_fd)
{
    const struct weft_http_server_options *o = &s->options;
    bool tls = s->tls_files[0] != NULL;
    struct MHD_OptionItem extra[] = {
        { MHD_OPTION_HTTPS_MEM_CERT, 0, s->tls_files[0] },
        { MHD_OPTION_HTTPS_MEM_KEY, 0, s->tls_files[1] },
        { s->tls_files[2] ? MHD_OPTION_HTTPS_MEM_TRUST : MHD_OPTION_END, 0, s->tls_files[2] },
        { MHD_OPTION_END, 0, NULL },
    };
    struct MHD_OptionItem *more = tls ? extra : &extra[3];

    s->daemon = MHD_start_daemon(
        MHD_USE_EPOLL | (tls ? MHD_USE_TLS : 0) | (o->on_answer ? MHD_ALLOW_SUSPEND_RESUME : 0), 0, may_connect, s, weft_http_access, s,
        MHD_OPTION_LISTEN_SOCKET, listen_fd,
        MHD_OPTION_CONNECTION_LIMIT, o->max_connections + CONNECTIONS_SLACK,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)((o->idle_timeout_ms + 999) / 1000),
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)POOL,
        MHD_OPTION_NOTIFY_COMPLETED, weft_http_completed, s,
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, s,
        MHD_OPTION_URI_LOG_CALLBACK, weft_http_request_line, s,
        MHD_OPTION_STRICT_FOR_CLIENT, 1,
        MHD_OPTION_ARRAY, more, MHD_OPTION_END);
    return s->daemon ? 0 : tls ? WEFT_ERR_CONFIG : UV_ENOMEM;
}

static int start_polling(struct weft_http_server *s)
{
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    int err = info ? uv_poll_init(s->loop, &s->poll, info->epoll_fd) : UV_ENOTSUP;

    if (err)
        return err;
    s->poll.data = s;
    (void)uv_timer_init(s->loop, &s->timer);
    s->timer.data = s;
    (void)uv_idle_init(s->loop, &s->again);
    s->again.data = s;
    s->open_handles = 3;
    s->due_ms = UINT64_MAX;
    return uv_poll_start(&s->poll, UV_READABLE, on_poll);
}

static void release(struct weft_http_server *s)
{
    weft_http_bodies_release(s);
    weft_account_give(s->options.account, s->paid);
    for (int i = 0; i < 3; i++)
        free(s->tls_files[i]);
    free(s);
}

static void fill_defaults(struct weft_http_server_options *o)
{
    if (!o->idle_timeout_ms)
        o->idle_timeout_ms = IDLE_DEFAULT_MS;
    if (!o->request_timeout_ms)
        o->request_timeout_ms = REQUEST_DEFAULT_MS;
    if (!o->max_connections)
        o->max_connections = CONNECTIONS_DEFAULT;
    if (!o->max_inflight)
        o->max_inflight = UINT64_MAX;
    if (o->max_body_size > o->max_inflight - o->max_inflight / 4)
        o->max_body_size = o->max_inflight - o->max_inflight / 4;
}

/* The steps of opening, each with the words for its failure. After an error `s` may be half open. */
static int open_steps(struct weft_http_server *s, const char **words)
{
    const struct weft_http_server_options *o = &s->options;
    struct sockaddr_storage address;
    socklen_t len;

    *words = "cannot resolve the endpoint";
    int err = weft_endpoint_parse(o->endpoint, &address, &len);
    if (err)
        return err;
    *words = "cannot read a certificate or key file";
    err = o->tls ? read_tls_files(s, o->tls) : 0;
    if (err)
        return err;
    *words = "cannot listen";
    int fd = weft_endpoint_listen(o->endpoint, o->reuse_port, BACKLOG);
    if (fd < 0)
        return fd;
    s->port = weft_endpoint_port(fd);
    *words = o->tls ? "bad certificate or key" : "cannot start the HTTP server";
    err = start_daemon(s, fd);
    if (err) {
        (void)close(fd);
        return err;
    }
    *words = "cannot watch the HTTP server's descriptor";
    return start_polling(s);
}

int weft_http_server_open(struct weft_http_server **ret_server, uv_loop_t *loop,
                          const struct weft_http_server_options *options, const char **ret_error)
{
    struct weft_http_server *s = calloc(1, sizeof *s);
    const char *words = "out of memory";

    int err = s ? 0 : UV_ENOMEM;
    if (!err) {
        s->options = *options;
        s->loop = loop;
        fill_defaults(&s->options);
        err = open_steps(s, &words);
    }
    if (err) {
        weft_http_server_close(s);
        if (ret_error)
            *ret_error = words;
        return err;
    }
    s->paid = PAID_CONNECTIONS * connection_cost(s);
    weft_account_add(s->options.account, s->paid);
    *ret_server = s;
    return 0;
}

int weft_http_server_port(const struct weft_http_server *s)
{
    return s->port;
}

void weft_http_server_stats(const struct weft_http_server *s, struct weft_http_server_stats *ret_stats)
{
    *ret_stats = s->stats;
}

/* libmicrohttpd 0.9.75 never hears of an end that lies right behind bytes of a body: it takes a short read for the last one, and
 * its edge-triggered epoll says nothing again. Until request_timeout such a request is awaited in vain. */
static bool has_hung_up(const struct weft_http_connection *c)
{
    char byte;
    bool awaited = c->request->stage == WEFT_HTTP_TAKING || c->request->stage == WEFT_HTTP_DISCARDING;

    return awaited && recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

unsigned weft_http_server_in_hand(const struct weft_http_server *s)
{
    unsigned n = 0;

    for (const struct weft_http_connection *c = s->lines[WEFT_HTTP_ACTIVE].head; c; c = c->next)
        n += c->request && c->request->stage != WEFT_HTTP_DRAINING && !has_hung_up(c);
    return n;
}

/* ---- closing ---- */
void weft_http_server_quiesce(struct weft_http_server *s)
{
    if (s->quiesced)
        return;
    s->quiesced = true;
    int fd = MHD_quiesce_daemon(s->daemon);
    if (fd != MHD_INVALID_SOCKET)
        (void)close(fd);
    for (int line = WEFT_HTTP_FRESH; line <= WEFT_HTTP_KEPT; line++)
        while (s->lines[line].head)
            weft_http_connection_cut(s, s->lines[line].head);
    schedule(s);
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct weft_http_server *s = handle->data;

    if (--s->open_handles == 0)
        release(s);
}

void weft_http_server_close(struct weft_http_server *s)
{
    if (!s || s->closing)
        return;
    s->closing = true;
    if (s->open_handles) {
        (void)uv_poll_stop(&s->poll); /* before its descriptor goes */
        (void)uv_timer_stop(&s->timer);
        (void)uv_idle_stop(&s->again);
    }
    for (struct weft_http_connection *c = s->lines[WEFT_HTTP_ACTIVE].head; c; c = c->next)
        if (c->request)
            weft_http_request_release(c->request); /* libmicrohttpd closes no sleeping connection */
    if (s->daemon)
        MHD_stop_daemon(s->daemon);
    if (!s->open_handles) {
        release(s);
        return;
    }
    uv_close((uv_handle_t *)&s->poll, on_handle_closed);
    uv_close((uv_handle_t *)&s->timer, on_handle_closed);
    uv_close((uv_handle_t *)&s->again, on_handle_closed);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* http_peer.c: see http_peer.h. */
#include "tests/support/http_peer.h"

#include <signal.h>
#include <stdlib.h>
#include <strings.h>

struct http_peer_conn {
    uv_tcp_t tcp;
    struct http_peer *peer;
    struct http_peer_conn *next;
    struct weft_buf in;
    unsigned number;
    uv_timer_t drip;          /* opened for PEER_DRIP only */
    struct weft_buf drips;
    size_t dripped;
    bool drip_open;
    unsigned handles;         /* not closed yet */
};

struct reply {
    uv_write_t write;
    struct http_peer_conn *close_after;
    struct weft_buf bytes;
};

static void on_conn_closed(uv_handle_t *handle)
{
    struct http_peer_conn *c = handle->data;

    if (--c->handles > 0)
        return;
    weft_buf_release(&c->in);
    weft_buf_release(&c->drips);
    free(c);
}

static void conn_close(struct http_peer_conn *c)
{
    if (uv_is_closing((uv_handle_t *)&c->tcp))
        return;
    struct http_peer_conn **at = &c->peer->conns;
    while (*at && *at != c)
        at = &(*at)->next;
    if (*at)
        *at = c->next;
    uv_close((uv_handle_t *)&c->tcp, on_conn_closed);
    if (c->drip_open)
        uv_close((uv_handle_t *)&c->drip, on_conn_closed);
}

static void on_written(uv_write_t *write, int status)
{
    struct reply *r = (struct reply *)write;
    (void)status;

    if (r->close_after)
        conn_close(r->close_after);
    weft_buf_release(&r->bytes);
    free(r);
}

static size_t content_length(const char *head)
{
    for (const char *line = head; line; line = strstr(line, "\r\n")) {
        line += line == head ? 0 : 2;
        if (strncasecmp(line, "content-length:", 15) == 0)
            return strtoul(line + 15, NULL, 10);
    }
    return 0;
}

static void on_drip(uv_timer_t *timer)
{
    struct http_peer_conn *c = timer->data;
    uv_buf_t byte = uv_buf_init((char *)c->drips.data + c->dripped, 1);

    if (c->dripped < c->drips.len && uv_try_write((uv_stream_t *)&c->tcp, &byte, 1) == 1)
        c->dripped++;
}

static void drip(struct http_peer_conn *c, const struct weft_buf *answer)
{
    weft_buf_append(&c->drips, answer->data, answer->len);
    if (c->drip_open)
        return;
    c->drip_open = true;
    c->handles++;
    (void)uv_timer_init(c->tcp.loop, &c->drip);
    c->drip.data = c;
    (void)uv_timer_start(&c->drip, on_drip, 20, 20);
}

static void act(struct http_peer_conn *c, const struct http_peer_request *request)
{
    struct reply *r = calloc(1, sizeof *r);

    if (!r)
        abort();
    weft_buf_init(&r->bytes, 64u << 20);
    enum http_peer_act what = c->peer->on_request(c->peer->ctx, request, &r->bytes);
    if (what == PEER_HANG || what == PEER_CUT || what == PEER_DRIP) {
        if (what == PEER_CUT)
            conn_close(c);
        if (what == PEER_DRIP)
            drip(c, &r->bytes);
        weft_buf_release(&r->bytes);
        free(r);
        return;
    }
    r->close_after = what == PEER_ANSWER_AND_CLOSE || what == PEER_BREAK ? c : NULL;
    uv_buf_t out = uv_buf_init((char *)r->bytes.data, (unsigned)(what == PEER_BREAK ? r->bytes.len / 2 : r->bytes.len));
    if (uv_write(&r->write, (uv_stream_t *)&c->tcp, &out, 1, on_written))
        abort();
}

/* Takes one whole request off the input, if there is one. */
static bool take_request(struct http_peer_conn *c)
{
    char *end = memmem(c->in.data, c->in.len, "\r\n\r\n", 4);

    if (!end)
        return false;
    end[2] = 0;
    size_t head = (size_t)(end + 4 - (char *)c->in.data);
    size_t body = content_length((const char *)c->in.data);
    if (c->in.len < head + body) {
        end[2] = '\r';
        return false;
    }
    struct http_peer_request request = {
        .head = (const char *)c->in.data,
        .body = weft_slice_of(c->in.data + head, body),
        .number = c->peer->n_requests++,
        .connection = c->number,
    };
    act(c, &request);
    memmove(c->in.data, c->in.data + head + body, c->in.len - head - body);
    c->in.len -= head + body;
    return true;
}

static void on_alloc(uv_handle_t *handle, size_t hint, uv_buf_t *buf)
{
    struct http_peer_conn *c = (struct http_peer_conn *)handle;
    uint8_t *at = weft_buf_reserve(&c->in, hint);

    *buf = uv_buf_init((char *)at, at ? (unsigned)hint : 0);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct http_peer_conn *c = (struct http_peer_conn *)stream;
    (void)buf;

    if (n < 0) {
        conn_close(c);
        return;
    }
    c->in.len += (size_t)n;
    while (!uv_is_closing((uv_handle_t *)stream) && take_request(c)) {
    }
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct http_peer *p = listener->data;
    struct http_peer_conn *c = calloc(1, sizeof *c);

    if (!c || status)
        abort();
    c->peer = p;
    c->number = p->n_connections++;
    weft_buf_init(&c->in, 256u << 20);
    c->next = p->conns;
    p->conns = c;
    weft_buf_init(&c->drips, 1u << 20);
    (void)uv_tcp_init(listener->loop, &c->tcp);
    c->tcp.data = c;
    c->handles = 1;
    if (uv_accept(listener, (uv_stream_t *)&c->tcp) || uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read))
        abort();
}

int http_peer_open(struct http_peer *p, uv_loop_t *loop)
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

void http_peer_close(struct http_peer *p)
{
    while (p->conns)
        conn_close(p->conns);
    if (!uv_is_closing((uv_handle_t *)&p->listener))
        uv_close((uv_handle_t *)&p->listener, NULL);
}

void http_peer_say(struct weft_buf *answer, unsigned status, const char *headers, struct weft_slice body)
{
    weft_buf_printf(answer, "HTTP/1.1 %u Whatever\r\nContent-Length: %zu\r\n%s\r\n", status, body.len, headers);
    weft_buf_append(answer, body.data, body.len);
}

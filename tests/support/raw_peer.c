/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/raw_peer.h"

#include "core/clock.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

void peer_open(struct peer *p, uv_loop_t *loop, int port)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

    *p = (struct peer){ .loop = loop };
    to.sin_port = htons((uint16_t)port);
    p->fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(p->fd >= 0);
    assert_int_equal(connect(p->fd, (struct sockaddr *)&to, sizeof to), 0);
    weft_buf_init(&p->in, 64u << 20);
}

void peer_close(struct peer *p)
{
    close(p->fd);
    weft_buf_release(&p->in);
}

static void run_once(uv_loop_t *loop)
{
    (void)uv_run(loop, UV_RUN_NOWAIT);
}

/* One turn of both sides. */
static void turn(struct peer *p, uint64_t since_ms)
{
    if (weft_clock_mono_ms() - since_ms > PEER_PATIENCE_MS)
        fail_msg("the server did not answer within %d ms", PEER_PATIENCE_MS);
    run_once(p->loop);

    struct pollfd ready = { .fd = p->fd, .events = POLLIN };
    if (p->ended || poll(&ready, 1, 1) <= 0)
        return;
    uint8_t *at = weft_buf_reserve(&p->in, 65536);
    assert_non_null(at);
    ssize_t n = recv(p->fd, at, 65536, MSG_DONTWAIT);
    if (n > 0)
        p->in.len += (size_t)n;
    else if (n == 0 || (errno != EAGAIN && errno != EINTR))
        p->ended = true;
}

bool peer_send(struct peer *p, const void *data, size_t len)
{
    uint64_t since = weft_clock_mono_ms();
    size_t sent = 0;

    while (sent < len && !p->ended) {
        ssize_t n = send(p->fd, (const char *)data + sent, len - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n > 0) {
            sent += (size_t)n;
            run_once(p->loop);
        } else if (errno == EAGAIN) {
            turn(p, since);
        } else {
            return false;
        }
    }
    return sent == len;
}

bool peer_send_text(struct peer *p, const char *text)
{
    return peer_send(p, text, strlen(text));
}

const char *peer_header(const struct peer_answer *a, const char *name)
{
    static char value[512];

    for (const char *line = a->head; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncasecmp(line, name, strlen(name)) != 0)
            continue;
        const char *from = line + strlen(name) + strspn(line + strlen(name), " ");
        (void)snprintf(value, sizeof value, "%.*s", (int)strcspn(from, "\r\n"), from);
        return value;
    }
    return "";
}

static bool whole(const struct peer *p, struct peer_answer *a, size_t *ret_len)
{
    const char *end = p->in.len ? memmem(p->in.data, p->in.len, "\r\n\r\n", 4) : NULL;

    if (!end)
        return false;
    size_t head = (size_t)(end + 4 - (const char *)p->in.data);
    (void)snprintf(a->head, sizeof a->head, "%.*s", (int)head, (const char *)p->in.data);
    const char *code = strchr(a->head, ' ');
    a->status = code ? (int)strtol(code, NULL, 10) : 0;
    a->body_len = (size_t)strtoul(peer_header(a, "Content-Length:"), NULL, 10);
    *ret_len = head + a->body_len;
    if (p->in.len < *ret_len)
        return false;
    size_t kept = a->body_len < sizeof a->body - 1 ? a->body_len : sizeof a->body - 1;
    memcpy(a->body, p->in.data + head, kept);
    a->body[kept] = '\0';
    return true;
}

void peer_read(struct peer *p, struct peer_answer *ret_answer)
{
    uint64_t since = weft_clock_mono_ms();
    size_t len;

    memset(ret_answer, 0, sizeof *ret_answer);
    while (!whole(p, ret_answer, &len)) {
        if (p->ended) {
            ret_answer->status = 0;
            return;
        }
        turn(p, since);
    }
    memmove(p->in.data, p->in.data + len, p->in.len - len);
    p->in.len -= len;
}

void peer_wait_end(struct peer *p)
{
    uint64_t since = weft_clock_mono_ms();

    while (!p->ended)
        turn(p, since);
}

void peer_settle(uv_loop_t *loop)
{
    struct pollfd events = { .fd = uv_backend_fd(loop), .events = POLLIN };

    do
        run_once(loop);
    while (uv_backend_timeout(loop) == 0 || poll(&events, 1, 2) > 0);
}

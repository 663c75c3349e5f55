/* SPDX-License-Identifier: Apache-2.0 */
/* bench_sink.c: a back end that counts and throws away.
 *
 *   bench_sink PORT
 *
 * POST /v1/... counts OTLP items, POST .../_bulk counts documents and accepts each; GET /count answers
 * "items bytes tagged", where tagged counts the items whose bytes hold the key correlation.id. One thread, epoll. */
#include "core/gzip.h"
#include "core/otlp.h"
#include "tests/bench/http_message.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

struct sink {
    uint64_t items, bytes, tagged;
    struct weft_gunzip *gunzip;
    struct weft_buf plain, answer;
};

struct connection {
    int fd;
    struct message in;
};

static void count_otlp(struct sink *s, struct weft_slice body)
{
    struct weft_otlp_walk walk;

    weft_otlp_walk_init(&walk, body);
    while (weft_otlp_walk_next(&walk) > 0) {
        s->items++;
        if (memmem(walk.item.data, walk.item.len, "correlation.id", 14))
            s->tagged++;
    }
}

/* Two lines a document. */
static uint64_t count_bulk(struct sink *s, struct weft_slice body)
{
    uint64_t lines = 0;
    const uint8_t *at = body.data, *end = body.data + body.len;

    for (const uint8_t *nl; at < end && (nl = memchr(at, '\n', (size_t)(end - at))); at = nl + 1) {
        lines++;
        if (lines % 2 == 0 && memmem(at, (size_t)(nl - at), "correlation_id", 14))
            s->tagged++;
    }
    s->items += lines / 2;
    return lines / 2;
}

static void answer(struct sink *s, int fd, const char *type, const char *body, size_t len)
{
    weft_buf_reset(&s->answer);
    weft_buf_printf(&s->answer, "HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %zu\r\n\r\n", type, len);
    weft_buf_append(&s->answer, body, len);
    message_write(fd, s->answer.data, s->answer.len);
}

static void answer_bulk(struct sink *s, int fd, uint64_t documents)
{
    struct weft_buf items;

    weft_buf_init(&items, 64u << 20);
    weft_buf_append_str(&items, "{\"took\":1,\"errors\":false,\"items\":[");
    for (uint64_t i = 0; i < documents; i++)
        weft_buf_append_str(&items, i ? ",{\"create\":{\"status\":201}}" : "{\"create\":{\"status\":201}}");
    weft_buf_append_str(&items, "]}");
    answer(s, fd, "application/json", (char *)items.data, items.len);
    weft_buf_release(&items);
}

static void handle(struct sink *s, struct connection *c)
{
    struct weft_slice body = weft_slice_of(c->in.data + c->in.head, c->in.body);
    const char *line = (char *)c->in.data;
    char text[96];

    if (strncmp(line, "GET /count", 10) == 0) {
        int n = snprintf(text, sizeof text, "%lu %lu %lu\n", (unsigned long)s->items, (unsigned long)s->bytes,
                         (unsigned long)s->tagged);
        answer(s, c->fd, "text/plain", text, (size_t)n);
        return;
    }
    s->bytes += body.len;
    if (c->in.gzip) {
        weft_buf_reset(&s->plain);
        if (weft_gunzip_run(s->gunzip, body, &s->plain) < 0)
            abort();
        body = weft_buf_slice(&s->plain);
    }
    if (memmem(line, c->in.head, "_bulk", 5)) {
        answer_bulk(s, c->fd, count_bulk(s, body));
    } else {
        count_otlp(s, body);
        answer(s, c->fd, "application/x-protobuf", "", 0);
    }
}

static void serve(struct sink *s, int epoll, struct connection *c)
{
    if (!message_read(&c->in, c->fd)) {
        epoll_ctl(epoll, EPOLL_CTL_DEL, c->fd, NULL);
        close(c->fd);
        free(c->in.data);
        free(c);
        return;
    }
    while (c->in.len && message_whole(&c->in)) {
        handle(s, c);
        message_shift(&c->in);
    }
    if (c->in.head && memmem(c->in.data, c->in.head, "100-continue", 12))
        message_write(c->fd, "HTTP/1.1 100 Continue\r\n\r\n", 25);
}

int main(int argc, char **argv)
{
    struct sink s = { 0 };
    int listener = message_listen(argc > 1 ? (int)strtol(argv[1], NULL, 10) : 0), epoll = epoll_create1(0), one = 1;
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = NULL };

    weft_buf_init(&s.plain, 256u << 20);
    weft_buf_init(&s.answer, 64u << 20);
    if (weft_gunzip_new(&s.gunzip) < 0)
        return 1;
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
    while (epoll_wait(epoll, &event, 1, -1) >= 0) {
        if (event.data.ptr) {
            serve(&s, epoll, event.data.ptr);
            continue;
        }
        struct connection *c = calloc(1, sizeof *c);
        if (!c)
            return 1;
        c->fd = accept(listener, NULL, NULL);
        setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        struct epoll_event add = { .events = EPOLLIN, .data.ptr = c };
        epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &add);
    }
    return 0;
}

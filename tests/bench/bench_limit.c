/* SPDX-License-Identifier: Apache-2.0 */
/* bench_limit.c: what the machine allows, to hold Weft's figures against. Nothing here is robust; it is the least work
 * that does the job.
 *
 *   bench_limit memory FILE          ns per item of memcpy and of the wire scan over an OTLP trace request
 *   bench_limit relay PORT SINK      OTLP/HTTP in, one attribute spliced into each span, OTLP/HTTP out
 *   bench_limit lines FILE SINK      JSON lines read, put between _bulk headers, posted */
#include "core/clock.h"
#include "core/otlp.h"
#include "tests/bench/http_message.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static struct weft_slice read_file(const char *path)
{
    struct stat st;
    int fd = open(path, O_RDONLY);

    if (fd < 0 || fstat(fd, &st) < 0) {
        perror(path);
        exit(1);
    }
    uint8_t *data = malloc((size_t)st.st_size);
    if (!data || read(fd, data, (size_t)st.st_size) != st.st_size)
        exit(1);
    close(fd);
    return weft_slice_of(data, (size_t)st.st_size);
}

static unsigned scan(struct weft_slice body)
{
    struct weft_otlp_walk walk;
    struct weft_span_view span;
    unsigned spans = 0;

    weft_otlp_walk_init(&walk, body);
    while (weft_otlp_walk_next(&walk) > 0)
        spans += weft_span_read(walk.item, &span) == 0;
    return spans;
}

static int memory(const char *path)
{
    enum { ROUNDS = 4000, COPIES = 64 };
    struct weft_slice body = read_file(path);
    uint8_t *from = malloc(body.len * COPIES), *to = malloc(body.len * COPIES);
    unsigned spans = scan(body), sum = 0;

    if (!from || !to || !spans)
        return 1;
    for (int i = 0; i < COPIES; i++)
        memcpy(from + body.len * (size_t)i, body.data, body.len);
    uint64_t t0 = weft_clock_mono_ns();
    for (int i = 0; i < ROUNDS; i++)
        memcpy(to + body.len * (size_t)(i % COPIES), from + body.len * (size_t)(i % COPIES), body.len);
    uint64_t t1 = weft_clock_mono_ns();
    for (int i = 0; i < ROUNDS; i++)
        sum += scan(weft_slice_of(to + body.len * (size_t)(i % COPIES), body.len));
    uint64_t t2 = weft_clock_mono_ns();
    printf("%.1f %.1f\n", (double)(t1 - t0) / ROUNDS / spans, (double)(t2 - t1) / sum);
    return 0;
}

static const char tag[] = "\x4a\x2c\x0a\x0e" "correlation.id" "\x12\x1a\x0a\x18" "0123456789abcdef01234567";

static size_t varint_size(size_t n)
{
    return weft_wire_varint_size(n);
}

static uint8_t *put_varint(uint8_t *at, size_t n)
{
    for (; n >= 128; n >>= 7)
        *at++ = (uint8_t)(n | 128);
    *at++ = (uint8_t)n;
    return at;
}

/* One resource and one scope, as the bench's own request has it. */
static uint8_t *add_tags(struct weft_slice body, uint8_t *out)
{
    struct weft_otlp_walk walk;
    size_t items = 0, scope, resource;

    weft_otlp_walk_init(&walk, body);
    while (weft_otlp_walk_next(&walk) > 0) {
        size_t len = walk.item.len + sizeof tag - 1;
        items += 1 + varint_size(len) + len;
    }
    scope = 1 + varint_size(walk.scope.len) + walk.scope.len + items;
    resource = 1 + varint_size(walk.resource.len) + walk.resource.len + 1 + varint_size(scope) + scope;
    *out++ = 0x0a;
    out = put_varint(out, resource);
    *out++ = 0x0a;
    out = put_varint(out, walk.resource.len);
    out = (uint8_t *)mempcpy(out, walk.resource.data, walk.resource.len);
    *out++ = 0x12;
    out = put_varint(out, scope);
    *out++ = 0x0a;
    out = put_varint(out, walk.scope.len);
    out = (uint8_t *)mempcpy(out, walk.scope.data, walk.scope.len);
    weft_otlp_walk_init(&walk, body);
    while (weft_otlp_walk_next(&walk) > 0) {
        *out++ = 0x12;
        out = put_varint(out, walk.item.len + sizeof tag - 1);
        out = (uint8_t *)mempcpy(out, walk.item.data, walk.item.len);
        out = (uint8_t *)mempcpy(out, tag, sizeof tag - 1);
    }
    return out;
}

static bool post(int sink, struct message *reply, const char *path, const uint8_t *body, size_t len)
{
    char head[160];
    int n = snprintf(head, sizeof head, "POST %s HTTP/1.1\r\nHost: sink\r\nContent-Length: %zu\r\n\r\n", path, len);

    if (!message_write(sink, head, (size_t)n) || !message_write(sink, body, len))
        return false;
    do {
        if (!message_read(reply, sink))
            return false;
    } while (!message_whole(reply));
    message_shift(reply);
    return true;
}

struct peer {
    int fd;
    struct message in;
};

static void relay_one(struct peer *p, int sink, struct message *reply, uint8_t *out)
{
    static const char ok[] = "HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n";

    if (!message_read(&p->in, p->fd)) {
        close(p->fd);
        return;
    }
    while (p->in.len && message_whole(&p->in)) {
        uint8_t *end = add_tags(weft_slice_of(p->in.data + p->in.head, p->in.body), out);
        post(sink, reply, "/v1/traces", out, (size_t)(end - out));
        message_write(p->fd, ok, sizeof ok - 1);
        message_shift(&p->in);
    }
}

static int relay(int port, int sink_port)
{
    int listener = message_listen(port), sink = message_connect(sink_port), epoll = epoll_create1(0), one = 1;
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = NULL };
    struct message reply = { 0 };
    uint8_t *out = malloc(16u << 20);

    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
    while (out && epoll_wait(epoll, &event, 1, -1) >= 0) {
        if (event.data.ptr) {
            relay_one(event.data.ptr, sink, &reply, out);
            continue;
        }
        struct peer *p = calloc(1, sizeof *p);
        if (!p)
            return 1;
        p->fd = accept(listener, NULL, NULL);
        setsockopt(p->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        struct epoll_event add = { .events = EPOLLIN, .data.ptr = p };
        epoll_ctl(epoll, EPOLL_CTL_ADD, p->fd, &add);
    }
    return 1;
}

static int lines(const char *path, int sink_port)
{
    static const char create[] = "{\"create\":{\"_id\":\"0123456789abcdef0123\"}}\n";
    enum { CHUNK = 1 << 20 };
    int fd = open(path, O_RDONLY), sink = message_connect(sink_port);
    uint8_t *in = malloc(CHUNK), *out = malloc(CHUNK * 2);
    struct message reply = { 0 };
    size_t held = 0;

    if (fd < 0 || !in || !out)
        return 1;
    for (ssize_t n; (n = read(fd, in + held, CHUNK - held)) > 0;) {
        uint8_t *at = in, *end = in + held + n, *to = out;
        for (uint8_t *nl; (nl = memchr(at, '\n', (size_t)(end - at))); at = nl + 1) {
            to = (uint8_t *)mempcpy(to, create, sizeof create - 1);
            to = (uint8_t *)mempcpy(to, at, (size_t)(nl + 1 - at));
        }
        held = (size_t)(end - at);
        memmove(in, at, held);
        if (!post(sink, &reply, "/_bulk", out, (size_t)(to - out)))
            return 1;
    }
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "memory") == 0)
        return memory(argv[2]);
    if (argc == 4 && strcmp(argv[1], "relay") == 0)
        return relay((int)strtol(argv[2], NULL, 10), (int)strtol(argv[3], NULL, 10));
    if (argc == 4 && strcmp(argv[1], "lines") == 0)
        return lines(argv[2], (int)strtol(argv[3], NULL, 10));
    fprintf(stderr, "usage: bench_limit memory FILE | relay PORT SINK | lines FILE SINK\n");
    return 2;
}

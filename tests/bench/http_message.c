/* SPDX-License-Identifier: Apache-2.0 */
/* http_message.c: see http_message.h. */
#include "tests/bench/http_message.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

bool message_read(struct message *m, int fd)
{
    if (m->cap - m->len < 65536) {
        m->cap = m->cap ? m->cap * 2 : 262144;
        m->data = realloc(m->data, m->cap);
        if (!m->data)
            abort();
    }
    ssize_t n = read(fd, m->data + m->len, m->cap - m->len);
    if (n > 0)
        m->len += (size_t)n;
    return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

static void parse_head(struct message *m)
{
    for (uint8_t *line = m->data, *end = m->data + m->head; line < end;) {
        uint8_t *next = memchr(line, '\n', (size_t)(end - line));
        if (strncasecmp((char *)line, "content-length:", 15) == 0)
            m->body = strtoul((char *)line + 15, NULL, 10);
        else if (strncasecmp((char *)line, "content-encoding: gzip", 22) == 0)
            m->gzip = true;
        line = next + 1;
    }
}

bool message_whole(struct message *m)
{
    if (!m->head) {
        uint8_t *end = memmem(m->data, m->len, "\r\n\r\n", 4);
        if (!end)
            return false;
        m->head = (size_t)(end - m->data) + 4;
        m->body = 0;
        m->gzip = false;
        parse_head(m);
    }
    return m->len >= m->head + m->body;
}

void message_shift(struct message *m)
{
    size_t used = m->head + m->body;

    memmove(m->data, m->data + used, m->len - used);
    m->len -= used;
    m->head = 0;
}

bool message_write(int fd, const void *data, size_t len)
{
    const uint8_t *at = data;

    while (len > 0) {
        ssize_t n = write(fd, at, len);
        if (n < 0 && errno == EAGAIN) {
            struct pollfd p = { .fd = fd, .events = POLLOUT };
            poll(&p, 1, 1000);
            continue;
        }
        if (n <= 0)
            return false;
        at += n;
        len -= (size_t)n;
    }
    return true;
}

static struct sockaddr_in loopback(int port)
{
    return (struct sockaddr_in){ .sin_family = AF_INET,
                                 .sin_port = htons((uint16_t)port),
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

int message_listen(int port)
{
    struct sockaddr_in address = loopback(port);
    int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;

    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0 || listen(fd, 128) < 0) {
        perror("listen");
        exit(1);
    }
    return fd;
}

int message_connect(int port)
{
    struct sockaddr_in address = loopback(port);
    int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;

    if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0) {
        perror("connect");
        exit(1);
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

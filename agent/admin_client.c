/* SPDX-License-Identifier: Apache-2.0 */
/* admin_client.c: see admin_client.h. HTTP/1.0, so that an answer ends with its connection. */
#include "agent/admin_client.h"

#include "core/endpoint.h"
#include "core/err.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { STEP = 16 << 10 };

static int connect_to(const char *endpoint, unsigned patience_s)
{
    struct sockaddr_storage address;
    socklen_t len;
    const struct timeval wait = { .tv_sec = patience_s };

    int err = weft_endpoint_parse(endpoint, &address, &len);
    if (err)
        return err;
    int fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);
    if (connect(fd, (struct sockaddr *)&address, len) == 0)
        return fd;
    err = -errno;
    close(fd);
    return err;
}

static int send_all(int fd, struct weft_slice bytes)
{
    while (bytes.len > 0) {
        ssize_t n = send(fd, bytes.data, bytes.len, MSG_NOSIGNAL);
        if (n < 0 && errno != EINTR)
            return errno == EAGAIN ? WEFT_ERR_TIMEOUT : -errno;
        bytes = weft_slice_from(bytes, n > 0 ? (size_t)n : 0);
    }
    return 0;
}

static int receive_all(int fd, struct weft_buf *out)
{
    for (;;) {
        uint8_t *room = weft_buf_reserve(out, STEP);
        if (!room)
            return out->err;
        ssize_t n = recv(fd, room, STEP, 0);
        if (n == 0)
            return 0;
        if (n < 0 && errno != EINTR)
            return errno == EAGAIN ? WEFT_ERR_TIMEOUT : -errno;
        out->len += n > 0 ? (size_t)n : 0;
    }
}

/* "HTTP/1.x NNN ..." up to the empty line; the rest is the body. */
static int take_apart(struct weft_slice answer, struct weft_buf *out)
{
    const uint8_t *end = memmem(answer.data, answer.len, "\r\n\r\n", 4);

    if (!end || answer.len < 12 || memcmp(answer.data, "HTTP/1.", 7) != 0)
        return WEFT_ERR_MALFORMED;
    struct weft_slice body = weft_slice_from(answer, (size_t)(end - answer.data) + 4);
    if (body.len)
        weft_buf_append(out, body.data, body.len);
    return out->err ? out->err : (int)strtol((const char *)answer.data + 9, NULL, 10);
}

int weft_admin_ask(const char *endpoint, const char *method, const char *path, unsigned patience_s, struct weft_buf *out)
{
    struct weft_buf request, answer;
    int fd = connect_to(endpoint, patience_s);

    if (fd < 0)
        return fd;
    weft_buf_init(&request, 16 << 10);
    weft_buf_init(&answer, 32 << 20);
    weft_buf_printf(&request, "%s %s HTTP/1.0\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n", method, path);
    int result = request.err ? request.err : send_all(fd, weft_buf_slice(&request));
    if (!result)
        result = receive_all(fd, &answer);
    if (!result)
        result = answer.len ? take_apart(weft_buf_slice(&answer), out) : WEFT_ERR_CLOSED;
    close(fd);
    weft_buf_release(&request);
    weft_buf_release(&answer);
    return result;
}

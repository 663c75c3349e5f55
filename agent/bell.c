/* SPDX-License-Identifier: Apache-2.0 */
/* bell.c: see bell.h. */
#include "agent/bell.h"

#include <errno.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct weft_bell *b = poll->data;
    uint64_t count;

    (void)status;
    (void)events;
    if (read(b->fd, &count, sizeof count) == (ssize_t)sizeof count)
        b->on_ring(b->data);
}

int weft_bell_open(struct weft_bell *b, uv_loop_t *loop, void (*on_ring)(void *data), void *data)
{
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

    if (fd < 0)
        return uv_translate_sys_error(errno);
    *b = (struct weft_bell){ .fd = fd, .on_ring = on_ring, .data = data };
    int err = uv_poll_init(loop, &b->poll, fd);
    if (err) {
        (void)close(fd);
        return err;
    }
    b->poll.data = b;
    return uv_poll_start(&b->poll, UV_READABLE, on_readable); /* cannot fail on a handle that was just made */
}

void weft_bell_ring(struct weft_bell *b)
{
    uint64_t one = 1;
    ssize_t written = write(b->fd, &one, sizeof one);

    (void)written; /* fails only when the counter is full: then it rings already */
}

void weft_bell_close(struct weft_bell *b)
{
    uv_close((uv_handle_t *)&b->poll, NULL);
}

void weft_bell_release(struct weft_bell *b)
{
    (void)close(b->fd);
    b->fd = -1;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_healthcheck.c: weft healthcheck: exit 0 when the running agent is ready. For container health checks, so it needs no
 * other program, waits seconds at most, and says in one line what is wrong. */
#include "agent/cli.h"
#include "core/endpoint.h"
#include "core/err.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

static int connect_to(const char *endpoint)
{
    struct sockaddr_storage address;
    socklen_t len;
    const struct timeval wait = { .tv_sec = 3 };

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

/* The status code of GET /health/ready, or a negative code. */
static int ask(int fd)
{
    static const char request[] = "GET /health/ready HTTP/1.1\r\nHost: weft\r\nConnection: close\r\n\r\n";
    char answer[64];
    size_t len = 0;

    if (send(fd, request, sizeof request - 1, MSG_NOSIGNAL) < 0)
        return -errno;
    while (len < 12) {
        ssize_t n = recv(fd, answer + len, sizeof answer - 1 - len, 0);
        if (n < 0)
            return errno == EAGAIN ? WEFT_ERR_TIMEOUT : -errno;
        if (n == 0)
            return WEFT_ERR_CLOSED;
        len += (size_t)n;
    }
    answer[len] = '\0';
    if (strncmp(answer, "HTTP/1.1 ", 9) != 0)
        return WEFT_ERR_MALFORMED;
    return (int)strtol(answer + 9, NULL, 10);
}

int weft_command_healthcheck(const struct weft_command *self, int argc, char **argv)
{
    const char *endpoint = "127.0.0.1:8888";
    const struct weft_flag flags[] = {
        { "--endpoint", WEFT_FLAG_TEXT, &endpoint, "HOST:PORT", "the agent's admin address (default 127.0.0.1:8888)" },
        { .name = NULL },
    };

    int parsed = weft_cli_parse(self, flags, argc, argv, NULL);
    if (parsed)
        return parsed > 0 ? WEFT_EXIT_OK : WEFT_EXIT_USAGE;
    int fd = connect_to(endpoint), status = fd < 0 ? fd : ask(fd);
    if (fd >= 0)
        close(fd);
    if (status == 200)
        return WEFT_EXIT_OK;
    if (status < 0)
        (void)fprintf(stderr, "weft healthcheck: no agent answers on %s: %s\n", endpoint, weft_err_text(status));
    else
        (void)fprintf(stderr, "weft healthcheck: the agent on %s is not ready (status %d)\n", endpoint, status);
    return WEFT_EXIT_START;
}

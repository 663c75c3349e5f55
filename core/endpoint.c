/* SPDX-License-Identifier: Apache-2.0 */
/* endpoint.c: see endpoint.h.
 *
 * A name may resolve to several addresses; one is taken, IPv4 before IPv6, because "localhost" must mean what
 * clients that were told 127.0.0.1 reach. An empty host means every address of both families where the
 * machine has IPv6, and of IPv4 where it has not.
 */
#include "core/endpoint.h"

#include "core/resolver.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

struct parts {
    char host[256];
    char port[6];
};

static bool is_port(const char *text)
{
    unsigned value = 0;
    size_t n = 0;

    for (; text[n]; n++) {
        if (text[n] < '0' || text[n] > '9' || n == 5)
            return false;
        value = value * 10 + (unsigned)(text[n] - '0');
    }
    return n > 0 && value <= 65535;
}

/* "host:port" or "[v6]:port"; a bare IPv6 address without brackets is refused, since its last group would be
 * taken for a port. */
static int split(const char *text, struct parts *ret_parts)
{
    const char *colon = strrchr(text, ':');
    struct parts p;

    if (!colon || !is_port(colon + 1))
        return UV_EINVAL;
    const char *host = text;
    size_t len = (size_t)(colon - text);
    if (len >= 2 && host[0] == '[' && host[len - 1] == ']') {
        host++;
        len -= 2;
        if (len == 0)
            return UV_EINVAL;
    } else if (memchr(host, ':', len) || memchr(host, '[', len) || memchr(host, ']', len)) {
        return UV_EINVAL;
    }
    if (len >= sizeof p.host)
        return UV_EINVAL;
    memcpy(p.host, host, len);
    p.host[len] = '\0';
    memcpy(p.port, colon + 1, strlen(colon + 1) + 1);
    *ret_parts = p;
    return 0;
}

bool weft_endpoint_well_formed(const char *text)
{
    struct parts p;

    return split(text, &p) == 0;
}

static const struct addrinfo *prefer_ipv4(const struct addrinfo *list)
{
    for (const struct addrinfo *a = list; a; a = a->ai_next)
        if (a->ai_family == AF_INET)
            return a;
    return list;
}

static void any_address(const char *port, struct sockaddr_storage *ret_address, socklen_t *ret_len)
{
    struct sockaddr_in6 any = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_ANY_INIT };
    unsigned value = 0;

    for (; *port; port++)
        value = value * 10 + (unsigned)(*port - '0');
    any.sin6_port = htons((uint16_t)value);
    memset(ret_address, 0, sizeof *ret_address);
    memcpy(ret_address, &any, sizeof any);
    *ret_len = sizeof any;
}

int weft_endpoint_parse(const char *text, struct sockaddr_storage *ret_address, socklen_t *ret_len)
{
    const struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM,
                                    .ai_flags = AI_NUMERICSERV };
    struct addrinfo *list = NULL;
    struct parts p;

    int err = split(text, &p);
    if (err)
        return err;
    if (p.host[0] == '\0') {
        any_address(p.port, ret_address, ret_len);
        return 0;
    }
    int code = getaddrinfo(p.host, p.port, &hints, &list);
    if (code != 0)
        return weft_resolver_err(code);
    const struct addrinfo *chosen = prefer_ipv4(list);
    memset(ret_address, 0, sizeof *ret_address);
    memcpy(ret_address, chosen->ai_addr, chosen->ai_addrlen);
    *ret_len = chosen->ai_addrlen;
    freeaddrinfo(list);
    return 0;
}

static int set(int fd, int level, int name, int value)
{
    return setsockopt(fd, level, name, &value, sizeof value) < 0 ? -errno : 0;
}

/* IPv6's "any" address takes IPv4 connections too, whatever the system's default is. */
static int prepare(int fd, const struct sockaddr_storage *address, bool reuse_port)
{
    int err = set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (!err && reuse_port)
        err = set(fd, SOL_SOCKET, SO_REUSEPORT, 1);
    if (!err && address->ss_family == AF_INET6)
        err = set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0);
    if (!err)
        err = set(fd, IPPROTO_TCP, TCP_NODELAY, 1); /* inherited by what is accepted */
    return err;
}

static int listen_at(const struct sockaddr_storage *address, socklen_t len, bool reuse_port, int backlog)
{
    int fd = socket(address->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;

    int err = prepare(fd, address, reuse_port);
    if (!err && (bind(fd, (const struct sockaddr *)address, len) < 0 || listen(fd, backlog) < 0))
        err = -errno;
    if (err) {
        (void)close(fd);
        return err;
    }
    return fd;
}

int weft_endpoint_listen(const char *text, bool reuse_port, int backlog)
{
    struct sockaddr_storage address;
    socklen_t len;

    int err = weft_endpoint_parse(text, &address, &len);
    if (err)
        return err;
    int fd = listen_at(&address, len, reuse_port, backlog);
    if (fd >= 0 || text[0] != ':' || (fd != UV_EAFNOSUPPORT && fd != UV_EADDRNOTAVAIL))
        return fd;

    /* ":port" on a machine without IPv6. */
    struct sockaddr_in any = { .sin_family = AF_INET };
    any.sin_port = ((struct sockaddr_in6 *)&address)->sin6_port;
    memcpy(&address, &any, sizeof any);
    return listen_at(&address, sizeof any, reuse_port, backlog);
}

int weft_endpoint_port(int fd)
{
    struct sockaddr_storage address;
    socklen_t len = sizeof address;

    if (getsockname(fd, (struct sockaddr *)&address, &len) < 0)
        return -errno;
    switch (address.ss_family) {
    case AF_INET:  return ntohs(((struct sockaddr_in *)&address)->sin_port);
    case AF_INET6: return ntohs(((struct sockaddr_in6 *)&address)->sin6_port);
    default:       return UV_EAFNOSUPPORT;
    }
}

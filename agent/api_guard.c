/* SPDX-License-Identifier: Apache-2.0 */
/* api_guard.c: see api_guard.h. */
#include "agent/api_guard.h"

#include <arpa/inet.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

enum { NAME_MAX_LEN = 256 };

/* The name of "name:port", "[v6]:port" or "name". False: it is too long, or nothing. */
static bool name_of(const char *text, char out[NAME_MAX_LEN])
{
    const char *end = text[0] == '[' ? strchr(text, ']') : strrchr(text, ':');
    size_t len = end ? (size_t)(end - text) : strlen(text);

    if (text[0] == '[') {
        if (!end)
            return false;
        text++;
        len--;
    }
    if (len == 0 || len >= NAME_MAX_LEN)
        return false;
    memcpy(out, text, len);
    out[len] = 0;
    return true;
}

static bool is_address(const char *name)
{
    unsigned char bytes[16];

    return inet_pton(AF_INET, name, bytes) == 1 || inet_pton(AF_INET6, name, bytes) == 1;
}

bool weft_guard_host(const char *host, const char *endpoint)
{
    char name[NAME_MAX_LEN], own[NAME_MAX_LEN];

    if (!host || !name_of(host, name))
        return false;
    return is_address(name) || strcasecmp(name, "localhost") == 0 || (name_of(endpoint, own) && strcasecmp(name, own) == 0);
}

bool weft_guard_origin(const char *origin, const char *site, const char *host)
{
    if (site && strcmp(site, "same-origin") != 0 && strcmp(site, "none") != 0)
        return false;
    if (!origin)
        return true;
    return host && strncasecmp(origin, "http://", 7) == 0 && strcasecmp(origin + 7, host) == 0;
}

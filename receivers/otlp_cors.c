/* SPDX-License-Identifier: Apache-2.0 */
/* otlp_cors.c: see otlp_cors.h. The origin is always named back, never answered with "*": a page's beacon sends
 * credentials, and a browser takes "*" for none then. */
#include "receivers/otlp_cors.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

bool weft_otlp_cors_match(const char *pattern, const char *text)
{
    const char *star = strchr(pattern, '*');
    size_t len = strlen(text);

    if (!star)
        return strcasecmp(pattern, text) == 0;
    size_t before = (size_t)(star - pattern), behind = strlen(star + 1);
    return len >= before + behind && strncasecmp(pattern, text, before) == 0 &&
           strcasecmp(star + 1, text + len - behind) == 0;
}

/* The request's origin when it is allowed, copied to c->origin. */
static bool origin_allowed(struct weft_otlp_cors *c, const struct weft_http_request *q)
{
    const char *origin = c->origins->n ? weft_http_header(q, "Origin") : NULL;

    if (!origin || strlen(origin) >= sizeof c->origin)
        return false;
    for (size_t i = 0; i < c->origins->n; i++) {
        if (!weft_otlp_cors_match(c->origins->items[i], origin))
            continue;
        (void)snprintf(c->origin, sizeof c->origin, "%s", origin);
        return true;
    }
    return false;
}

static bool header_allowed(const struct weft_otlp_cors *c, const char *name, size_t len)
{
    static const char *const always[] = { "accept", "accept-language", "content-type", "content-language",
                                          "content-encoding", "x-requested-with", "origin" };
    char text[128];

    if (len == 0 || len >= sizeof text)
        return false;
    memcpy(text, name, len);
    text[len] = '\0';
    for (size_t i = 0; i < sizeof always / sizeof *always; i++)
        if (strcasecmp(always[i], text) == 0)
            return true;
    for (size_t i = 0; i < c->headers->n; i++)
        if (weft_otlp_cors_match(c->headers->items[i], text))
            return true;
    return false;
}

/* "a, b": every one of them must be allowed. */
static bool headers_allowed(struct weft_otlp_cors *c, const char *list)
{
    if (strlen(list) >= sizeof c->allow_headers)
        return false;
    for (const char *at = list; *at;) {
        at += strspn(at, ", \t");
        size_t len = strcspn(at, ", \t");
        if (len > 0 && !header_allowed(c, at, len))
            return false;
        at += len;
    }
    (void)snprintf(c->allow_headers, sizeof c->allow_headers, "%s", list);
    return true;
}

bool weft_otlp_cors_preflight(struct weft_otlp_cors *c, const struct weft_http_request *q, struct weft_http_response *response)
{
    const char *method = weft_http_header(q, "Access-Control-Request-Method");
    const char *headers = weft_http_header(q, "Access-Control-Request-Headers");

    if (!c->origins->n || !method || strcmp(q->method, "OPTIONS") != 0)
        return false;
    weft_http_add_header(response, "Vary", "Origin, Access-Control-Request-Method, Access-Control-Request-Headers");
    if (strcmp(method, "POST") != 0 || !origin_allowed(c, q) || (headers && !headers_allowed(c, headers)))
        return true;
    weft_http_add_header(response, "Access-Control-Allow-Origin", c->origin);
    weft_http_add_header(response, "Access-Control-Allow-Methods", "POST");
    if (headers)
        weft_http_add_header(response, "Access-Control-Allow-Headers", c->allow_headers);
    weft_http_add_header(response, "Access-Control-Allow-Credentials", "true");
    if (c->max_age_s > 0) {
        (void)snprintf(c->max_age, sizeof c->max_age, "%lld", (long long)c->max_age_s);
        weft_http_add_header(response, "Access-Control-Max-Age", c->max_age);
    }
    return true;
}

void weft_otlp_cors_answer(struct weft_otlp_cors *c, const struct weft_http_request *q, struct weft_http_response *response)
{
    if (!c->origins->n)
        return;
    weft_http_add_header(response, "Vary", "Origin");
    if (!origin_allowed(c, q))
        return;
    weft_http_add_header(response, "Access-Control-Allow-Origin", c->origin);
    weft_http_add_header(response, "Access-Control-Allow-Credentials", "true");
}

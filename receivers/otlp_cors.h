/* SPDX-License-Identifier: Apache-2.0 */
/* otlp_cors.h: what a browser asks before its page may send OTLP to another origin (https://fetch.spec.whatwg.org/#http-cors-protocol).
 * Spellings and defaults are those of the Collector's confighttp. One thread. */
#ifndef WEFT_RECEIVERS_OTLP_CORS_H
#define WEFT_RECEIVERS_OTLP_CORS_H

#include "core/http_server.h"
#include "core/option.h"

struct weft_otlp_cors {
    const struct weft_strings *origins, *headers; /* allowed; no origins: nothing is */
    int64_t max_age_s;
    char origin[256], allow_headers[512], max_age[24]; /* of the current answer */
};

/* `pattern` may have one * that stands for anything. */
bool weft_otlp_cors_match(const char *pattern, const char *text);

/* True: the request is a preflight and `response` holds its answer, to be sent with 204. One whose origin, method or
 * headers are not allowed gets no allowing headers, which is how a browser is told no. */
bool weft_otlp_cors_preflight(struct weft_otlp_cors *c, const struct weft_http_request *q, struct weft_http_response *response);

/* Adds to an answer what lets the page read it. */
void weft_otlp_cors_answer(struct weft_otlp_cors *c, const struct weft_http_request *q, struct weft_http_response *response);

#endif

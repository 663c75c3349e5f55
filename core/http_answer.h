/* SPDX-License-Identifier: Apache-2.0 */
/* http_answer.h: what a server said to one call of the HTTP client: status, the few headers that anybody asks
 * for, and the body up to a limit. Private to the HTTP client; one thread. */
#ifndef WEFT_CORE_HTTP_ANSWER_H
#define WEFT_CORE_HTTP_ANSWER_H

#include "core/buf.h"
#include "core/http_client.h"

#include <curl/curl.h>

enum { WEFT_HTTP_KNOWN_HEADERS = 5 };

struct weft_http_answer {
    unsigned status;
    struct weft_buf body, texts;                 /* texts: header values, NUL after each */
    size_t limit;                                /* of the body kept */
    size_t header_bytes;
    bool body_cut;
    uint32_t at[WEFT_HTTP_KNOWN_HEADERS];        /* offset + 1 in texts; 0: the header was not there */
};

/* An answer of which nothing has come. */
void weft_http_answer_init(struct weft_http_answer *a);

/* Whose memory it is; right after init. */
static inline void weft_http_answer_account(struct weft_http_answer *a, struct weft_account *account)
{
    a->body.account = a->texts.account = account;
}

/* Frees what it holds. */
void weft_http_answer_release(struct weft_http_answer *a);

/* Forgets the last answer; keeps the memory. */
void weft_http_answer_reset(struct weft_http_answer *a, size_t limit);

/* What arrives, in order: a status begins a head, headers and trailers follow, body bytes come in between. False from
 * a header: there are too many of them, the server is to be cut. */
void weft_http_answer_status(struct weft_http_answer *a, unsigned status);
bool weft_http_answer_header(struct weft_http_answer *a, struct weft_slice name, struct weft_slice value);
void weft_http_answer_body(struct weft_http_answer *a, struct weft_slice bytes);

/* Makes an easy handle write its answers here, for good. */
void weft_http_answer_attach(struct weft_http_answer *a, CURL *easy);

/* Fills everything of *result but err and reason. */
void weft_http_answer_result(const struct weft_http_answer *a, struct weft_http_result *result);

/* The nearest code of core/err.h for libcurl's. */
int weft_http_answer_err(CURLcode code);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* http_answer.c: see http_answer.h. Headers and trailers arrive line by line through the same callback; a
 * status line begins anew (an interim answer, a second try on a new connection). */
#include "core/http_answer.h"

#include <stdlib.h>
#include <strings.h>

enum {
    BODY_MAX = 64 * 1024 * 1024, /* above any response_limit that is asked for */
    TEXTS_MAX = 64 * 1024,
    HEADERS_MAX = 256 * 1024,    /* bytes of all header lines: a server that goes on is cut */
};

static const char *const known[WEFT_HTTP_KNOWN_HEADERS] = {
    "retry-after", "content-type", "grpc-status", "grpc-message", "grpc-status-details-bin",
};

void weft_http_answer_init(struct weft_http_answer *a)
{
    *a = (struct weft_http_answer){ 0 };
    weft_buf_init(&a->body, BODY_MAX);
    weft_buf_init(&a->texts, TEXTS_MAX);
}

void weft_http_answer_release(struct weft_http_answer *a)
{
    weft_buf_release(&a->body);
    weft_buf_release(&a->texts);
}

static void forget_head(struct weft_http_answer *a)
{
    weft_buf_reset(&a->texts);
    memset(a->at, 0, sizeof a->at);
    a->status = 0;
}

void weft_http_answer_reset(struct weft_http_answer *a, size_t limit)
{
    forget_head(a);
    weft_buf_reset(&a->body);
    a->limit = limit < BODY_MAX ? limit : BODY_MAX;
    a->body_cut = false;
    a->header_bytes = 0;
}

static size_t on_body(char *data, size_t size, size_t n, void *ctx)
{
    struct weft_http_answer *a = ctx;
    size_t len = size * n, room = a->limit - a->body.len;
    size_t take = len < room ? len : room;

    weft_buf_append(&a->body, data, take);
    if (take < len || a->body.err)
        a->body_cut = true;
    return len;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void keep(struct weft_http_answer *a, size_t which, const char *value, size_t len)
{
    while (len > 0 && is_space(*value)) {
        value++;
        len--;
    }
    while (len > 0 && is_space(value[len - 1]))
        len--;
    size_t at = a->texts.len;
    if (!weft_buf_reserve(&a->texts, len + 1))
        return; /* as if it had not been there */
    weft_buf_append(&a->texts, value, len);
    weft_buf_append_byte(&a->texts, 0);
    a->at[which] = (uint32_t)at + 1;
}

/* "HTTP/1.1 200 OK", "HTTP/2 200 " */
static void read_status(struct weft_http_answer *a, const char *line, size_t len)
{
    const char *space = memchr(line, ' ', len);
    size_t digits = 0;

    forget_head(a);
    if (!space)
        return;
    for (const char *p = space + 1; p < line + len && *p >= '0' && *p <= '9' && digits < 3; p++, digits++)
        a->status = a->status * 10 + (unsigned)(*p - '0');
}

static size_t on_header(char *line, size_t size, size_t n, void *ctx)
{
    struct weft_http_answer *a = ctx;
    size_t len = size * n;

    a->header_bytes += len;
    if (a->header_bytes > HEADERS_MAX)
        return 0;
    if (len > 5 && memcmp(line, "HTTP/", 5) == 0) {
        read_status(a, line, len);
        return len;
    }
    for (size_t i = 0; i < WEFT_HTTP_KNOWN_HEADERS; i++) {
        size_t name = strlen(known[i]);
        if (len > name && line[name] == ':' && strncasecmp(line, known[i], name) == 0)
            keep(a, i, line + name + 1, len - name - 1);
    }
    return len;
}

void weft_http_answer_attach(struct weft_http_answer *a, CURL *easy)
{
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, a);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, a);
}

static const char *text_at(const struct weft_http_answer *a, size_t which)
{
    return a->at[which] ? (const char *)a->texts.data + a->at[which] - 1 : NULL;
}

void weft_http_answer_result(const struct weft_http_answer *a, struct weft_http_result *result)
{
    result->status = a->status;
    result->body = weft_buf_slice(&a->body);
    result->body_cut = a->body_cut;
    result->retry_after = text_at(a, 0);
    result->content_type = text_at(a, 1);
    result->grpc_status = text_at(a, 2);
    result->grpc_message = text_at(a, 3);
    result->grpc_status_details = text_at(a, 4);
}

int weft_http_answer_err(CURLcode code)
{
    switch (code) {
    case CURLE_OK:                      return 0;
    case CURLE_OUT_OF_MEMORY:           return UV_ENOMEM;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:   return UV_EAI_NONAME;
    case CURLE_COULDNT_CONNECT:         return UV_ECONNREFUSED;
    case CURLE_OPERATION_TIMEDOUT:      return UV_ETIMEDOUT;
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_PARTIAL_FILE:            return UV_ECONNRESET;
    case CURLE_URL_MALFORMAT:           return UV_EINVAL;
    default:                            return UV_EPROTO;
    }
}

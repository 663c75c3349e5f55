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

void weft_http_answer_body(struct weft_http_answer *a, struct weft_slice bytes)
{
    size_t room = a->limit - a->body.len, take = bytes.len < room ? bytes.len : room;

    weft_buf_append(&a->body, bytes.data, take);
    if (take < bytes.len || a->body.err)
        a->body_cut = true;
}

static bool is_space(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void keep(struct weft_http_answer *a, size_t which, struct weft_slice value)
{
    size_t at = a->texts.len;

    while (value.len > 0 && is_space(*value.data))
        value = weft_slice_of(value.data + 1, value.len - 1);
    while (value.len > 0 && is_space(value.data[value.len - 1]))
        value.len--;
    if (!weft_buf_reserve(&a->texts, value.len + 1))
        return; /* as if it had not been there */
    weft_buf_append(&a->texts, value.data, value.len);
    weft_buf_append_byte(&a->texts, 0);
    a->at[which] = (uint32_t)at + 1;
}

void weft_http_answer_status(struct weft_http_answer *a, unsigned status)
{
    forget_head(a);
    a->status = status;
}

bool weft_http_answer_header(struct weft_http_answer *a, struct weft_slice name, struct weft_slice value)
{
    a->header_bytes += name.len + value.len;
    for (size_t i = 0; i < WEFT_HTTP_KNOWN_HEADERS; i++)
        if (name.len == strlen(known[i]) && strncasecmp((const char *)name.data, known[i], name.len) == 0)
            keep(a, i, value);
    return a->header_bytes <= HEADERS_MAX;
}

/* ---- libcurl's callbacks ---- */
static size_t on_body(char *data, size_t size, size_t n, void *ctx)
{
    weft_http_answer_body(ctx, weft_slice_of(data, size * n));
    return size * n;
}

/* "HTTP/1.1 200 OK", "HTTP/2 200 " */
static unsigned read_status(const char *line, size_t len)
{
    const char *space = memchr(line, ' ', len), *p = space;
    unsigned status = 0;

    for (size_t digits = 0; p && ++p < line + len && *p >= '0' && *p <= '9' && digits < 3; digits++)
        status = status * 10 + (unsigned)(*p - '0');
    return status;
}

static size_t on_header(char *line, size_t size, size_t n, void *ctx)
{
    struct weft_http_answer *a = ctx;
    size_t len = size * n;
    const char *colon = memchr(line, ':', len);

    if (len > 5 && memcmp(line, "HTTP/", 5) == 0) {
        weft_http_answer_status(a, read_status(line, len));
        return len;
    }
    if (!colon)
        return len;
    size_t name = (size_t)(colon - line);
    return weft_http_answer_header(a, weft_slice_of(line, name), weft_slice_of(colon + 1, len - name - 1)) ? len : 0;
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

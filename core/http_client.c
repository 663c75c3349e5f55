/* SPDX-License-Identifier: Apache-2.0 */
/* http_client.c: see http_client.h.
 *
 * A call owns an easy handle and its buffers, and both go back to the free list when it is done: a steady state
 * allocates nothing beyond what libcurl does itself. A small body made of several slices is put together first, because
 * libcurl sends a small contiguous body in one system call with its head; a larger one is read slice by slice. HTTP/2
 * without TLS goes another way: h2_client.c.
 *
 * FREE -> RUNNING (weft_http_call) -> FREE (finish). Running calls are in `running`, the rest in `free`.
 */
#include "core/http_client.h"

#include "core/curl_loop.h"
#include "core/err.h"
#include "core/h2_client.h"
#include "core/http_answer.h"

#include <stdlib.h>
#include <strings.h>

enum {
    FLAT_MAX = 60 * 1024,          /* libcurl sends smaller bodies together with the head */
    UPLOAD_BUFFER = 512 * 1024,
    SMALL_UPLOAD = 32 * 1024,      /* where memory is short: slower, but it works */
    EASY_COST = 64 * 1024,         /* what libcurl holds for a call beside that, its connection included; kept for the next */
    HEADER_LIMIT = 64 * 1024,
    KEEP_ANSWER = 1024 * 1024,     /* an answer buffer above this is not kept for the next call */
};

struct call {
    struct weft_http_client *client;
    struct call *next;
    CURL *easy;
    uint64_t upload;               /* bytes of libcurl's upload buffer */
    struct weft_http_call what;
    size_t slice, offset;          /* how far the body has been read */
    struct weft_http_answer answer;
    struct weft_buf lines, flat;   /* our own header lines, NUL after each; a small body put together */
    struct curl_slist nodes[WEFT_HTTP_MAX_HEADERS + 1];
    char *url;                     /* what the easy handle is set to now; NULL: nothing that can be relied on */
    struct curl_slist *connect_to; /* where url really leads, with server_name_override */
    char error[CURL_ERROR_SIZE];
};

struct weft_http_client {
    struct weft_http_client_options options;
    struct weft_curl_loop curl;
    struct call *running, *free;
    struct weft_h2_client *h2;     /* for http:// when HTTP/2 is wanted; made by its first call */
    unsigned parts;                /* libcurl's side and h2: what is not closed yet */
    bool closed;
};

/* ---- the request's body ---- */
static uint64_t body_size(const struct weft_http_call *what)
{
    uint64_t size = 0;

    for (size_t i = 0; i < what->n_body; i++)
        size += what->body[i].len;
    return size;
}

static size_t on_read(char *to, size_t size, size_t n, void *ctx)
{
    struct call *call = ctx;
    size_t room = size * n, done = 0;

    while (done < room && call->slice < call->what.n_body) {
        struct weft_slice s = weft_slice_from(call->what.body[call->slice], call->offset);
        size_t take = s.len < room - done ? s.len : room - done;

        if (take > 0)
            memcpy(to + done, s.data, take);
        done += take;
        call->offset += take;
        if (take == s.len) {
            call->slice++;
            call->offset = 0;
        }
    }
    return done;
}

/* libcurl goes back to the start when a kept connection turned out to be dead. */
static int on_seek(void *ctx, curl_off_t offset, int origin)
{
    struct call *call = ctx;

    if (offset != 0 || origin != SEEK_SET)
        return CURL_SEEKFUNC_CANTSEEK;
    call->slice = 0;
    call->offset = 0;
    return CURL_SEEKFUNC_OK;
}

static int set_body(struct call *call)
{
    const struct weft_http_call *what = &call->what;
    uint64_t size = body_size(what);
    const void *whole = what->n_body == 1 ? what->body[0].data : NULL;

    weft_buf_reset(&call->flat);
    if (what->n_body != 1 && size <= FLAT_MAX) {
        for (size_t i = 0; i < what->n_body; i++)
            weft_buf_append(&call->flat, what->body[i].data, what->body[i].len);
        (void)weft_buf_reserve(&call->flat, 1);
        if (call->flat.err)
            return call->flat.err;
        whole = call->flat.data;
    }
    call->slice = 0;
    call->offset = 0;
    curl_easy_setopt(call->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)size);
    curl_easy_setopt(call->easy, CURLOPT_POSTFIELDS, size > 0 ? whole : "");
    curl_easy_setopt(call->easy, CURLOPT_POST, 1L);
    return 0;
}

static int set_method(struct call *call)
{
    const char *method = call->what.method;
    int err = 0;

    if (strcmp(method, "GET") == 0)
        curl_easy_setopt(call->easy, CURLOPT_HTTPGET, 1L);
    else
        err = set_body(call);
    bool plain = strcmp(method, "GET") == 0 || strcmp(method, "POST") == 0;
    curl_easy_setopt(call->easy, CURLOPT_CUSTOMREQUEST, plain ? NULL : method);
    return err;
}

/* ---- the request's head ---- */
static int add_line(struct call *call, size_t *n, const char *line)
{
    if (*n > WEFT_HTTP_MAX_HEADERS)
        return WEFT_ERR_TOO_LARGE;
    /* The buffer may move: for now the node holds an offset. */
    call->nodes[(*n)++].data = (char *)(uintptr_t)call->lines.len;
    weft_buf_append(&call->lines, line, strlen(line) + 1);
    return call->lines.err;
}

static int set_headers(struct call *call)
{
    size_t n = 0;

    weft_buf_reset(&call->lines);
    int err = add_line(call, &n, "Expect:"); /* never wait for 100 Continue */
    for (const char *const *h = call->what.headers; !err && h && *h; h++)
        err = add_line(call, &n, *h);
    if (err)
        return err;
    for (size_t i = 0; i < n; i++) {
        call->nodes[i].data = (char *)call->lines.data + (uintptr_t)call->nodes[i].data;
        call->nodes[i].next = i + 1 < n ? &call->nodes[i + 1] : NULL;
    }
    curl_easy_setopt(call->easy, CURLOPT_HTTPHEADER, call->nodes);
    return 0;
}

/* The connection that stands in for NAME:PORT. NULL: out of memory. */
static struct curl_slist *detour(const char *name, const char *host, const char *port)
{
    struct curl_slist *list = NULL;
    struct weft_buf line;

    weft_buf_init(&line, 4096);
    weft_buf_printf(&line, "%s:%s:%s:%s", name, port, host, port);
    if (!line.err)
        list = curl_slist_append(NULL, (const char *)line.data);
    weft_buf_release(&line);
    return list;
}

/* Asks for server_name_override instead of the URL's host, while connecting to that host all the same. */
static int override_host(struct call *call, const char *url)
{
    const char *name = call->client->options.server_name_override;
    CURLU *u = curl_url();
    char *host = NULL, *port = NULL, *renamed = NULL;
    int err = UV_ENOMEM;

    if (!u || curl_url_set(u, CURLUPART_URL, url, 0) || curl_url_get(u, CURLUPART_HOST, &host, 0) ||
        curl_url_get(u, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) || curl_url_set(u, CURLUPART_HOST, name, 0) ||
        curl_url_get(u, CURLUPART_URL, &renamed, 0))
        goto out;
    curl_slist_free_all(call->connect_to);
    call->connect_to = detour(name, host, port);
    curl_easy_setopt(call->easy, CURLOPT_CONNECT_TO, call->connect_to);
    if (call->connect_to && curl_easy_setopt(call->easy, CURLOPT_URL, renamed) == CURLE_OK)
        err = 0;
out:
    curl_free(host);
    curl_free(port);
    curl_free(renamed);
    curl_url_cleanup(u);
    return err;
}

static int set_url(struct call *call)
{
    const char *url = call->what.url;
    int err = 0;

    if (call->url && strcmp(call->url, url) == 0)
        return 0;
    free(call->url);
    call->url = NULL;
    curl_easy_setopt(call->easy, CURLOPT_PROXY, weft_http_is_loopback(url) ? "" : NULL);
    if (call->client->options.server_name_override)
        err = override_host(call, url);
    else if (curl_easy_setopt(call->easy, CURLOPT_URL, url) != CURLE_OK)
        err = UV_ENOMEM;
    if (!err && !(call->url = strdup(url)))
        err = UV_ENOMEM;
    return err;
}

/* ---- calls ---- */
static void set_tls(CURL *easy, const struct weft_http_client_options *o)
{
    if (o->insecure_skip_verify) {
        curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
        curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
    }
    if (o->ca_file)
        curl_easy_setopt(easy, CURLOPT_CAINFO, o->ca_file);
    if (o->cert_file)
        curl_easy_setopt(easy, CURLOPT_SSLCERT, o->cert_file);
    if (o->key_file)
        curl_easy_setopt(easy, CURLOPT_SSLKEY, o->key_file);
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2);
}

/* What is the same for every request of the client. */
static void set_constants(struct call *call)
{
    const struct weft_http_client_options *o = &call->client->options;
    CURL *easy = call->easy;

    curl_easy_setopt(easy, CURLOPT_PRIVATE, call);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, call->error);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_TCP_NODELAY, 1L);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, (long)call->upload);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, o->http2 ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_PIPEWAIT, o->http2 ? 1L : 0L);
    curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_read);
    curl_easy_setopt(easy, CURLOPT_READDATA, call);
    curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, on_seek);
    curl_easy_setopt(easy, CURLOPT_SEEKDATA, call);
    if (o->user_agent)
        curl_easy_setopt(easy, CURLOPT_USERAGENT, o->user_agent);
    weft_http_answer_attach(&call->answer, easy);
    weft_curl_loop_adopt(&call->client->curl, easy);
    set_tls(easy, o);
}

static void call_free(struct call *call)
{
    curl_easy_cleanup(call->easy);
    weft_account_give(call->client->options.account, EASY_COST + call->upload);
    weft_http_answer_release(&call->answer);
    weft_buf_release(&call->lines);
    weft_buf_release(&call->flat);
    curl_slist_free_all(call->connect_to);
    free(call->url);
    free(call);
}

static struct call *call_new(struct weft_http_client *c)
{
    uint64_t upload = weft_account_room(c->options.account) < 2 * UPLOAD_BUFFER ? SMALL_UPLOAD : UPLOAD_BUFFER;

    if (!weft_account_take(c->options.account, EASY_COST + upload))
        return NULL;

    struct call *call = calloc(1, sizeof *call);
    if (!call) {
        weft_account_give(c->options.account, EASY_COST + upload);
        return NULL;
    }
    call->client = c;
    call->upload = upload;
    weft_http_answer_init(&call->answer);
    weft_buf_init(&call->lines, HEADER_LIMIT);
    weft_buf_init(&call->flat, FLAT_MAX + 1);
    weft_http_answer_account(&call->answer, c->options.account);
    call->lines.account = call->flat.account = c->options.account;
    call->easy = curl_easy_init();
    if (!call->easy) {
        call_free(call);
        return NULL;
    }
    set_constants(call);
    return call;
}

static struct call *call_take(struct weft_http_client *c)
{
    struct call *call = c->free;

    if (!call)
        return call_new(c);
    c->free = call->next;
    return call;
}

static void call_give_back(struct call *call)
{
    if (call->client->closed) {
        call_free(call);
        return;
    }
    if (call->answer.body.cap > KEEP_ANSWER)
        weft_buf_release(&call->answer.body);
    call->next = call->client->free;
    call->client->free = call;
}

static int call_prepare(struct call *call)
{
    weft_http_answer_reset(&call->answer, call->what.response_limit);
    call->error[0] = 0;
    curl_easy_setopt(call->easy, CURLOPT_TIMEOUT_MS, (long)call->what.timeout_ms);
    int err = set_url(call);
    if (!err)
        err = set_headers(call);
    return err ? err : set_method(call);
}

static void on_closed(void *ctx);

static int h2_call(struct weft_http_client *c, const struct weft_http_call *what)
{
    if (!c->h2) {
        int err = weft_h2_open(&c->h2, c->curl.loop, c->options.user_agent, c->options.account, c, on_closed);
        if (err)
            return err;
        c->parts++;
    }
    return weft_h2_call(c->h2, what);
}

int weft_http_call(struct weft_http_client *c, const struct weft_http_call *what)
{
    if (c->closed)
        return UV_ECANCELED;
    if (c->options.http2 && strncasecmp(what->url, "http://", 7) == 0)
        return h2_call(c, what);
    int err = weft_curl_loop_start(&c->curl);
    if (err)
        return err;
    if (!c->running && !c->free)
        curl_multi_setopt(c->curl.multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, (long)c->options.max_connections);

    struct call *call = call_take(c);
    if (!call)
        return UV_ENOMEM;
    call->what = *what;
    err = call_prepare(call);
    if (!err && curl_multi_add_handle(c->curl.multi, call->easy) != CURLM_OK)
        err = UV_ENOMEM;
    if (err) {
        call_give_back(call);
        return err;
    }
    call->next = c->running;
    c->running = call;
    return 0;
}

/* ---- ends ---- */
static void unlink_running(struct weft_http_client *c, struct call *call)
{
    struct call **at = &c->running;

    while (*at != call)
        at = &(*at)->next;
    *at = call->next;
}

/* The callback may begin new calls or close the client: the call is put away only after it. */
static void finish(struct call *call, int err, const char *reason)
{
    struct weft_http_client *c = call->client;
    struct weft_http_result result = { 0 };
    curl_off_t sent = 0;

    curl_easy_getinfo(call->easy, CURLINFO_SIZE_UPLOAD_T, &sent);
    curl_multi_remove_handle(c->curl.multi, call->easy);
    unlink_running(c, call);
    weft_http_answer_result(&call->answer, &result);
    result.err = err;
    result.reason = reason;
    result.sent_bytes = sent > 0 ? (uint64_t)sent : 0;
    call->what.done(call->what.ctx, &result);
    call_give_back(call);
}

static void on_progress(void *ctx)
{
    struct weft_http_client *c = ctx;
    int left;

    while (!c->closed) {
        CURLMsg *msg = curl_multi_info_read(c->curl.multi, &left);
        struct call *call;

        if (!msg)
            return;
        if (msg->msg != CURLMSG_DONE)
            continue;
        CURLcode code = msg->data.result;
        curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, (char **)&call);
        const char *words = call->error[0] ? call->error : curl_easy_strerror(code);
        finish(call, weft_http_answer_err(code), code == CURLE_OK ? NULL : words);
    }
}

static void on_closed(void *ctx)
{
    struct weft_http_client *c = ctx;

    if (--c->parts > 0)
        return;
    free(c);
}

static void free_calls(struct weft_http_client *c)
{
    while (c->free) {
        struct call *call = c->free;
        c->free = call->next;
        call_free(call);
    }
}

void weft_http_client_trim(struct weft_http_client *c)
{
    free_calls(c);
}

int weft_http_client_open(struct weft_http_client **ret_client, uv_loop_t *loop, const struct weft_http_client_options *options)
{
    struct weft_http_client *c = calloc(1, sizeof *c);

    if (!c)
        return UV_ENOMEM;
    c->options = *options;
    int err = weft_curl_loop_open(&c->curl, loop, c, on_progress, on_closed);
    if (err) {
        free(c);
        return err;
    }
    c->parts = 1;
    *ret_client = c;
    return 0;
}

void weft_http_client_close(struct weft_http_client *c)
{
    if (!c || c->closed)
        return;
    c->closed = true;
    while (c->running)
        finish(c->running, UV_ECANCELED, "the client was closed");
    weft_curl_loop_close(&c->curl);
    free_calls(c);
    if (c->h2)
        weft_h2_close(c->h2);
}

/* ---- by its spelling ---- */
bool weft_http_is_loopback(const char *url)
{
    const char *scheme = strstr(url, "://");
    const char *host = scheme ? scheme + 3 : url;
    size_t len = strcspn(host, "/?#");
    const char *at = memchr(host, '@', len);

    if (at) {
        len -= (size_t)(at + 1 - host);
        host = at + 1;
    }
    if (len >= 5 && strncmp(host, "[::1]", 5) == 0)
        return true;
    const char *colon = memchr(host, ':', len);
    if (colon)
        len = (size_t)(colon - host);
    if (len == 9 && strncasecmp(host, "localhost", 9) == 0)
        return true;
    return len > 4 && strncmp(host, "127.", 4) == 0 && strspn(host, "0123456789.") >= len;
}

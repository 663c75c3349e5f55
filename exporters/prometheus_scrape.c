/* SPDX-License-Identifier: Apache-2.0 */
/* prometheus_scrape.c: GET /metrics.
 *
 * A page is written into a buffer of its own and given to the server, which frees it when the scraper has it all. A
 * slow scraper therefore holds a page: all pages out together are bounded, and one more is refused with 503
 * until one is back. A gzipped page is small and exact; the plain one it was made of is freed at once. */
#include "exporters/prometheus.h"

#include "core/clock.h"
#include "core/err.h"

#include <stdlib.h>
#include <strings.h>

enum { MAX_CONNECTIONS = 32, GZIP_LEVEL = 1, GZIP_FROM = 1024 };

/* Stands before the bytes of a page. */
struct head { struct weft_prom_pages *pages; uint64_t size; };

static void unref(struct weft_prom_pages *pages)
{
    if (pages && --pages->refs == 0)
        free(pages);
}

static void page_free(void *body)
{
    struct head *head = (struct head *)((uint8_t *)body - sizeof *head);

    head->pages->bytes -= head->size;
    unref(head->pages);
    free(head);
}

/* Gives the buffer's memory to the response. */
static void hand_over(struct weft_prom *p, struct weft_buf *b, struct weft_http_response *response)
{
    struct head head = { p->pages, b->cap };

    memcpy(b->data, &head, sizeof head);
    p->pages->bytes += b->cap;
    p->pages->refs++;
    response->body = weft_slice_of(b->data + sizeof head, b->len - sizeof head);
    response->body_free = page_free;
    *b = (struct weft_buf){ 0 };
}

static bool begin(struct weft_prom *p, struct weft_buf *b, size_t guess)
{
    static const struct head none;

    weft_buf_init(b, p->pages->limit - p->pages->bytes);
    weft_buf_append(b, &none, sizeof none);
    return b->limit > guess && weft_buf_reserve(b, guess) != NULL;
}

static bool token_is(const char *at, size_t len, const char *word)
{
    return len == strlen(word) && strncasecmp(at, word, len) == 0;
}

/* False for q=0, q=0.0, ...; `at` is what follows the coding's name, up to its comma. */
static bool wanted(const char *at, size_t len)
{
    const char *q = memmem(at, len, "q=", 2);

    if (!q)
        return true;
    for (q += 2; q < at + len; q++)
        if (*q >= '1' && *q <= '9')
            return true;
    return false;
}

static bool accepts_gzip(const char *header)
{
    bool any = false;

    while (header && *header) {
        header += strspn(header, ", \t");
        size_t len = strcspn(header, ","), name = strcspn(header, ",; \t");
        bool ok = wanted(header + name, len - name);
        if (token_is(header, name, "gzip") || token_is(header, name, "x-gzip"))
            return ok;
        if (token_is(header, name, "*"))
            any = ok;
        header += len;
    }
    return any;
}

static void refuse(struct weft_prom *p, struct weft_http_response *response, int err)
{
    unsigned dropped;

    response->status = 503;
    response->content_type = "text/plain; charset=utf-8";
    response->body = WEFT_SLICE("no memory for another page; try again\n");
    response->headers[0][0] = "Retry-After";
    response->headers[0][1] = "1";
    if (weft_log_gate_open(&p->gate, p->now_ms, &dropped))
        weft_log(p->base.log, WEFT_LOG_WARN, p->base.id, "scrape refused: %s (pages in flight hold %llu of %llu bytes)",
                 weft_err_text(err), (unsigned long long)p->pages->bytes, (unsigned long long)p->pages->limit);
}

/* Replaces the plain page in *b by its gzipped form. Keeps the plain one when that fails. */
static bool pack(struct weft_prom *p, struct weft_buf *b)
{
    struct weft_slice plain = weft_slice_of(b->data + sizeof(struct head), b->len - sizeof(struct head));
    struct weft_buf packed;

    p->pages->bytes += b->cap; /* both are there for a while */
    bool ok = begin(p, &packed, plain.len / 16);
    p->pages->bytes -= b->cap;
    if (!ok || weft_gzip_run(p->gzip, &plain, 1, &packed)) {
        weft_buf_release(&packed);
        return false;
    }
    weft_buf_release(b);
    *b = packed;
    return true;
}

void weft_prom_scrape(struct weft_prom *p, const char *accept, const char *accept_encoding, uint64_t now_ms,
                      struct weft_http_response *response)
{
    struct weft_prom_page page = { weft_exposition_choose(accept, true), p->send_timestamps };
    struct weft_buf b;

    p->now_ms = now_ms;
    weft_prom_sweep(&p->store, now_ms);
    if (begin(p, &b, p->last_page))
        weft_prom_write(&p->store, &page, &b);
    if (b.err || b.len < sizeof(struct head)) {
        refuse(p, response, b.err ? b.err : WEFT_ERR_LIMIT);
        weft_buf_release(&b);
        return;
    }
    p->last_page = b.len + b.len / 16;
    response->status = 200;
    response->content_type = page.choice.content_type;
    response->headers[0][0] = "Vary";
    response->headers[0][1] = "Accept, Accept-Encoding";
    if (b.len >= GZIP_FROM && accepts_gzip(accept_encoding) && pack(p, &b)) {
        response->headers[1][0] = "Content-Encoding";
        response->headers[1][1] = "gzip";
    }
    hand_over(p, &b, response);
}

static unsigned on_headers(void *ctx, const struct weft_http_request *request, struct weft_http_response *response)
{
    (void)ctx;

    if (strcmp(request->path, "/metrics") != 0) {
        response->content_type = "text/plain; charset=utf-8";
        response->body = WEFT_SLICE("not here; metrics are at /metrics\n");
        return 404;
    }
    if (strcmp(request->method, "GET") == 0 || strcmp(request->method, "HEAD") == 0)
        return 0;
    response->headers[0][0] = "Allow";
    response->headers[0][1] = "GET, HEAD";
    return 405;
}

static void on_request(void *ctx, const struct weft_http_request *request, struct weft_http_response *response)
{
    weft_prom_scrape(ctx, weft_http_header(request, "Accept"), weft_http_header(request, "Accept-Encoding"),
                     weft_clock_mono_ms(), response);
}

int weft_prom_scrape_open(struct weft_prom *p)
{
    struct weft_http_server_options options = {
        .endpoint = p->endpoint, .max_body_size = 4096, .max_connections = MAX_CONNECTIONS,
        .ctx = p, .on_headers = on_headers, .on_request = on_request,
    };
    const char *what = "cannot listen";

    p->pages = calloc(1, sizeof *p->pages);
    if (!p->pages)
        return UV_ENOMEM;
    p->pages->refs = 1;
    p->pages->limit = p->base.memory_limit - p->store.ledger.limit;
    int err = weft_gzip_new(&p->gzip, GZIP_LEVEL);
    if (err)
        return err;
    if (p->tls) {
        p->server_tls = (struct weft_http_tls){ p->cert_file, p->key_file, p->client_ca_file };
        options.tls = &p->server_tls;
    }
    err = weft_http_server_open(&p->server, p->base.loop, &options, &what);
    if (err)
        weft_log(p->base.log, WEFT_LOG_ERROR, p->base.id, "%s on %s: %s", what, p->endpoint, weft_err_text(err));
    return err;
}

void weft_prom_scrape_close(struct weft_prom *p)
{
    weft_http_server_close(p->server);
    p->server = NULL;
    weft_gzip_free(p->gzip);
    p->gzip = NULL;
    unref(p->pages);
    p->pages = NULL;
}

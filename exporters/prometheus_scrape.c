/* SPDX-License-Identifier: Apache-2.0 */
/* prometheus_scrape.c: GET /metrics.
 *
 * A page is written into a buffer of its own and given to the server, which frees it when the scraper has it all. A
 * slow scraper therefore holds a page: all pages out together are bounded, and one more is refused with 503
 * until one is back. For a scraper that takes gzip, as Prometheus does, the page is written and packed chunk by chunk
 * (each a member of the gzip body), so that only the packed one has to fit: a twentieth of the plain. */
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
    weft_account_give(head->pages->account, head->size);
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
    b->account = p->pages->account;
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
    response->body = WEFT_SLICE("no memory for this page now; try again, and with Accept-Encoding: gzip\n");
    response->headers[0][0] = "Retry-After";
    response->headers[0][1] = "1";
    if (weft_log_gate_open(&p->gate, p->now_ms, &dropped))
        weft_log(p->base.log, WEFT_LOG_WARN, p->base.id, "scrape refused: %s (pages in flight hold %llu of %llu bytes)",
                 weft_err_text(err), (unsigned long long)p->pages->bytes, (unsigned long long)p->pages->limit);
}

/* A page on its way through gzip. */
struct packing {
    struct weft_prom *prom;
    struct weft_buf *packed;
    bool any;
};

static void take_chunk(void *ctx, struct weft_buf *chunk)
{
    struct packing *k = ctx;
    struct weft_slice plain = weft_buf_slice(chunk);

    if (!chunk->err && !k->packed->err && weft_gzip_run(k->prom->gzip, &plain, 1, k->packed) && !k->packed->err)
        k->packed->err = WEFT_ERR_LIMIT;
    k->any = true;
    chunk->len = 0; /* an error stays */
}

/* Fills *b, gzipped unless the page is so small that it is not worth it. 0 or a negative code. */
static int write_packed(struct weft_prom *p, struct weft_prom_page *page, struct weft_buf *b, bool *ret_packed)
{
    struct packing k = { .prom = p, .packed = b };
    struct weft_buf chunk;

    page->take = take_chunk;
    page->ctx = &k;
    weft_buf_init(&chunk, WEFT_PROM_CHUNK_MAX);
    chunk.account = p->pages->account;
    weft_prom_write(&p->store, page, &chunk);
    *ret_packed = k.any || chunk.len >= GZIP_FROM;
    if (*ret_packed)
        take_chunk(&k, &chunk);
    else
        weft_buf_append(b, chunk.data, chunk.len);
    int err = chunk.err ? chunk.err : b->err;
    weft_buf_release(&chunk);
    return err;
}

void weft_prom_scrape(struct weft_prom *p, const char *accept, const char *accept_encoding, uint64_t now_ms,
                      struct weft_http_response *response)
{
    struct weft_prom_page page = { .choice = weft_exposition_choose(accept, true), .timestamps = p->send_timestamps };
    bool packs = accepts_gzip(accept_encoding), packed = false;
    struct weft_buf b;
    int err = 0;

    p->now_ms = now_ms;
    weft_prom_sweep(&p->store, now_ms);
    if (!begin(p, &b, p->last_page[packs]))
        err = b.err ? b.err : WEFT_ERR_LIMIT;
    else if (packs)
        err = write_packed(p, &page, &b, &packed);
    else
        weft_prom_write(&p->store, &page, &b);
    err = err ? err : b.err;
    if (err) {
        p->last_page[packs] = 0;
        refuse(p, response, err);
        weft_buf_release(&b);
        return;
    }
    p->last_page[packs] = b.len + b.len / 16;
    response->status = 200;
    response->content_type = page.choice.content_type;
    response->headers[0][0] = "Vary";
    response->headers[0][1] = "Accept, Accept-Encoding";
    if (packed) {
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
        .account = p->base.account, .ctx = p, .on_headers = on_headers, .on_request = on_request,
    };
    const char *what = "cannot listen";

    p->pages = calloc(1, sizeof *p->pages);
    if (!p->pages)
        return UV_ENOMEM;
    p->pages->refs = 1;
    p->pages->limit = p->base.memory_limit - p->store.ledger.limit;
    p->pages->account = p->base.account;
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

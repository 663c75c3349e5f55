/* SPDX-License-Identifier: Apache-2.0 */
/* admin.c: see admin.h. A table of paths; each answer is built into one buffer that is used again. */
#include "agent/admin.h"

#include "agent/api.h"
#include "agent/api_dlq.h"
#include "agent/page.h"
#include "core/clock.h"
#include "core/err.h"
#include "core/http_server.h"

#include <stdlib.h>
#include <string.h>

enum { ANSWER_MAX = 16 << 20, KEEP_ANSWER = 128 << 10, STUCK_MS = 5000 };

struct weft_admin {
    const struct weft_admin_view *view;
    struct weft_http_server *server;
    char *endpoint;
    struct weft_buf answer;
};

typedef void answer_fn(struct weft_admin *a, const struct weft_http_request *request, struct weft_http_response *response);

/* Live: the ingest loops turn. A loop that has been in one turn for seconds is stuck, and a restart would help. */
static void answer_live(struct weft_admin *a, const struct weft_http_request *request, struct weft_http_response *response)
{
    uint64_t age = weft_runtime_loop_age_ms(a->view->runtime, weft_clock_mono_ms());
    (void)request;

    response->status = age < STUCK_MS ? 200 : 503;
    weft_buf_printf(&a->answer, "{\"status\":\"%s\",\"loop_age_ms\":%llu}\n", age < STUCK_MS ? "live" : "stuck", (unsigned long long)age);
}

static void answer_ready(struct weft_admin *a, const struct weft_http_request *request, struct weft_http_response *response)
{
    bool ready = weft_runtime_is_ready(a->view->runtime);
    (void)request;

    response->status = ready ? 200 : 503;
    weft_buf_append_str(&a->answer, ready ? "{\"status\":\"ready\"}\n" : "{\"status\":\"not ready\"}\n");
}

static void answer_metrics(struct weft_admin *a, const struct weft_http_request *request, struct weft_http_response *response)
{
    enum weft_exposition format = weft_exposition_negotiate(weft_http_header(request, "Accept"), &response->content_type);

    if (!a->view->metrics) {
        response->status = 404;
        response->content_type = "text/plain";
        weft_buf_append_str(&a->answer, "service.telemetry.metrics.level is none\n");
        return;
    }
    weft_metrics_write(a->view->runtime, &a->view->process, format, &a->answer);
}

static void answer_page(struct weft_admin *a, const struct weft_http_request *request, struct weft_http_response *response)
{
    (void)request;
    response->content_type = "text/html; charset=utf-8";
    response->headers[0][0] = "Content-Security-Policy";
    response->headers[0][1] = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'";
    weft_buf_append_str(&a->answer, weft_page_html);
}

/* `show` answers with JSON, whatever was asked; `answer` looks at the request. */
static const struct route {
    const char *path;
    answer_fn *answer;
    void (*show)(const struct weft_admin_view *view, struct weft_buf *out);
} routes[] = {
    { "/", .answer = answer_page },
    { "/metrics", .answer = answer_metrics },
    { "/health/live", .answer = answer_live },
    { "/health/ready", .answer = answer_ready },
    { "/api/v1/components", .show = weft_api_components },
    { "/api/v1/status", .show = weft_api_status },
    { "/api/v1/journals", .show = weft_api_journals },
    { "/api/v1/memory", .show = weft_api_memory },
};

static const struct route *find_route(const char *path)
{
    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++)
        if (strcmp(routes[i].path, path) == 0)
            return &routes[i];
    return NULL;
}

static void take_route(struct weft_admin *a, const struct weft_http_request *request, struct weft_http_response *response)
{
    const struct route *route = find_route(request->path);

    if (route->show)
        route->show(a->view, &a->answer);
    else
        route->answer(a, request, response);
}

static unsigned on_headers(void *ctx, const struct weft_http_request *request, struct weft_http_response *response)
{
    bool may_post = weft_api_dlq_has(request->path);
    (void)ctx;

    if (!may_post && !find_route(request->path))
        return 404;
    if (strcmp(request->method, "GET") == 0 || strcmp(request->method, "HEAD") == 0 || (may_post && strcmp(request->method, "POST") == 0))
        return 0;
    response->headers[0][0] = "Allow";
    response->headers[0][1] = may_post ? "GET, HEAD, POST" : "GET, HEAD";
    return 405;
}

static void on_request(void *ctx, const struct weft_http_request *request, struct weft_http_response *response)
{
    struct weft_admin *a = ctx;

    weft_buf_reset(&a->answer);
    response->status = 200;
    response->content_type = "application/json";
    if (weft_api_dlq_has(request->path))
        response->status = weft_api_dlq(a->view, a->endpoint, request, &a->answer);
    else
        take_route(a, request, response);
    if (a->answer.err) {
        response->status = 500;
        response->body = weft_slice_str(weft_err_text(a->answer.err));
        return;
    }
    response->body = weft_buf_slice(&a->answer);
    if (a->answer.cap <= KEEP_ANSWER)
        return;
    response->body_free = free; /* a large one is not copied, and not kept either */
    weft_buf_init(&a->answer, ANSWER_MAX);
}

int weft_admin_open(struct weft_admin **ret_admin, uv_loop_t *loop, const char *endpoint, const struct weft_admin_view *view,
                    const char **ret_what)
{
    struct weft_admin *a = calloc(1, sizeof *a);
    struct weft_http_server_options options = { .endpoint = endpoint, .max_body_size = 4096, .max_connections = 64, .ctx = a,
                                                .on_headers = on_headers, .on_request = on_request };

    if (!a)
        return UV_ENOMEM;
    a->view = view;
    a->endpoint = strdup(endpoint);
    weft_buf_init(&a->answer, ANSWER_MAX);
    int err = a->endpoint ? weft_http_server_open(&a->server, loop, &options, ret_what) : UV_ENOMEM;
    if (err) {
        free(a->endpoint);
        free(a);
        return err;
    }
    *ret_admin = a;
    return 0;
}

int weft_admin_port(const struct weft_admin *a)
{
    return weft_http_server_port(a->server);
}

void weft_admin_close(struct weft_admin *a)
{
    if (!a)
        return;
    weft_http_server_close(a->server);
    weft_buf_release(&a->answer);
    free(a->endpoint);
    free(a);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* health_check.c: the Collector's health_check extension: 200 on its path when the agent is ready, 503 when not.
 *
 * Deployments probe port 13133 because the Collector answers there; with the same section in the configuration
 * they need no change. Main loop.
 */
#include "agent/extension.h"

#include "core/err.h"
#include "core/http_server.h"

#include <stdio.h>
#include <string.h>

struct health_check {
    struct weft_extension base;
    char *endpoint, *path, *healthy, *unhealthy;
    struct weft_http_server *server;
};

#define H struct health_check
static const struct weft_option options[] = {
    WEFT_STRING("endpoint", H, endpoint, .fallback = "localhost:13133", .help = "address and port to answer on"),
    WEFT_STRING("path", H, path, .fallback = "/", .help = "path to answer on"),
    WEFT_STRING("response_body.healthy", H, healthy, .fallback = "{\"status\":\"Server available\"}",
                .help = "body of the answer 200"),
    WEFT_STRING("response_body.unhealthy", H, unhealthy, .fallback = "{\"status\":\"Server not available\"}",
                .help = "body of the answer 503"),
    WEFT_IGNORED("check_collector_pipeline", .warns = true, .help = "a back end's state is never the agent's health"),
    { .key = NULL },
};

static void answer(void *ctx, const struct weft_http_request *request, struct weft_http_response *response)
{
    struct health_check *h = ctx;
    bool ready = h->base.host->is_ready(h->base.host->ctx);

    response->content_type = "application/json";
    if (strcmp(request->path, h->path) != 0) {
        response->status = 404;
        response->body = WEFT_SLICE("{\"status\":\"not found\"}");
        return;
    }
    response->status = ready ? 200 : 503;
    response->body = weft_slice_str(ready ? h->healthy : h->unhealthy);
}

static int start(struct weft_extension *self)
{
    struct health_check *h = (struct health_check *)self;
    const char *what = "cannot listen";
    struct weft_http_server_options server = { .endpoint = h->endpoint, .max_body_size = 4096, .max_connections = 16,
                                               .ctx = h, .on_request = answer };

    int err = weft_http_server_open(&h->server, self->loop, &server, &what);
    if (err)
        weft_log(self->log, WEFT_LOG_ERROR, self->id, "%s on %s: %s", what, h->endpoint, weft_err_text(err));
    else
        weft_log(self->log, WEFT_LOG_INFO, self->id, "answers on port %d", weft_http_server_port(h->server));
    return err;
}

static void stop(struct weft_extension *self)
{
    struct health_check *h = (struct health_check *)self;

    weft_http_server_close(h->server);
    h->server = NULL;
}

const struct weft_extension_type weft_extension_health_check = {
    .name = "health_check",
    .summary = "answers 200 when the agent is ready and 503 when it is not, where the Collector does",
    .size = sizeof(struct health_check),
    .options = options,
    .start = start,
    .stop = stop,
};

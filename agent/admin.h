/* SPDX-License-Identifier: Apache-2.0 */
/* admin.h: the agent's own address: /metrics, /health/live, /health/ready, /api/v1/.., and the status page.
 *
 * It lives on the main loop, apart from all data, and stays up through reloads. It only reads, but for api_dlq.h.
 */
#ifndef WEFT_AGENT_ADMIN_H
#define WEFT_AGENT_ADMIN_H

#include "agent/metrics.h"
#include "agent/runtime.h"

#include <uv.h>

struct weft_admin;

/* What the server shows; changed by its owner on the main thread only. */
struct weft_admin_view {
    const struct weft_runtime *runtime;  /* NULL while none runs */
    struct weft_metrics_process process;
    bool metrics;                        /* false: /metrics answers 404 */
};

/* Opens on `endpoint` ("127.0.0.1:8888"). `view` is borrowed. 0, or a negative code with *ret_what the static words for it. */
int weft_admin_open(struct weft_admin **ret_admin, uv_loop_t *loop, const char *endpoint, const struct weft_admin_view *view,
                    const char **ret_what);

/* The port that it listens on, which matters when the endpoint said 0. */
int weft_admin_port(const struct weft_admin *a);

/* The loop must run on until its handles are closed. Accepts NULL. */
void weft_admin_close(struct weft_admin *a);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* api_dlq.h: dead letters and replays over the admin server.
 *
 *   GET  /api/v1/dlq                                          each exporter: items, bytes, oldest, reasons, the last replay
 *   GET  /api/v1/dlq/EXPORTER?reason=&older_than=&limit=&after=   its letters
 *   POST /api/v1/dlq/EXPORTER/replay?reason=&older_than=      202: begun; progress is in GET /api/v1/replay/EXPORTER
 *   POST /api/v1/dlq/EXPORTER/purge?reason=&older_than=       200 {"purged_items":N}
 *   GET  /api/v1/replay/EXPORTER                              how the last replay goes or went
 *   POST /api/v1/replay/EXPORTER?since=&until=&match=         202: records that are kept are sent again; since, until: durations ago
 *   POST /api/v1/replay/EXPORTER/cancel
 *
 * Errors are {"error":"..."}. All of it shows or changes data, so api_guard.h stands before it. Main thread. */
#ifndef WEFT_AGENT_API_DLQ_H
#define WEFT_AGENT_API_DLQ_H

#include "agent/admin.h"
#include "core/http_server.h"

/* Is it one of the paths above? */
bool weft_api_dlq_has(const char *path);

/* The status of the answer, whose body is appended to `out`. `endpoint`: where the server listens. */
unsigned weft_api_dlq(const struct weft_admin_view *view, const char *endpoint, const struct weft_http_request *request,
                      struct weft_buf *out);

#endif

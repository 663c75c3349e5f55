/* SPDX-License-Identifier: Apache-2.0 */
/* api.h: the bodies of /api/v1/components, /status, /journals and /memory, as JSON. Main thread. */
#ifndef WEFT_AGENT_API_H
#define WEFT_AGENT_API_H

#include "agent/admin.h"

/* Each configured component: id, kind, type, signals, state, error; exporters with their breaker and backlog. */
void weft_api_components(const struct weft_admin_view *view, struct weft_buf *out);

/* Figures for the status page: pipelines, receivers, exporters, memory. Counters are totals; who wants rates takes
 * two answers and their `now`. */
void weft_api_status(const struct weft_admin_view *view, struct weft_buf *out);

/* Each open journal: its size, its disk, what it recovered, and places that have no reader. */
void weft_api_journals(const struct weft_admin_view *view, struct weft_buf *out);

/* "ok", "refusing", "memory": the label `state`. Static storage. */
const char *weft_disk_state_name(enum weft_disk_state state);

/* GET /api/v1/memory: the limit, what the process has, and each owner of memory. */
void weft_api_memory(const struct weft_admin_view *view, struct weft_buf *out);

#endif

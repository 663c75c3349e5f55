/* SPDX-License-Identifier: Apache-2.0 */
/* config.h: a whole configuration, checked: which components with which ids, wired into which pipelines.
 *
 *   (1) A loaded configuration has no undefined reference, no unknown key, and each pipeline can carry its signal from
 *       at least one receiver to at least one exporter.
 *   (2) All errors are told, each as FILE:LINE:COL: text, in the order of the text.
 *   (3) Loading opens nothing: no socket, no file but the configuration's own.
 *
 * Main thread. Everything hangs on one arena and goes at once with weft_config_free.
 */
#ifndef WEFT_AGENT_CONFIG_H
#define WEFT_AGENT_CONFIG_H

#include "agent/lane.h"
#include "agent/registry.h"
#include "agent/service.h"
#include "agent/sources.h"

/* One entry of receivers, processors, exporters or extensions. */
struct weft_config_component {
    const char *id;                  /* "otlp/internal" */
    struct weft_component type;
    const struct weft_node *node;    /* its keys; may be a null node */
    bool used;
};

struct weft_config_pipeline {
    const char *id;                  /* "traces/shop" */
    enum weft_signal signal;
    size_t n_receivers, n_processors, n_exporters;
    size_t *receivers, *processors, *exporters; /* indices into the components of that kind */
};

struct weft_config {
    struct weft_arena arena;
    const struct weft_node *root;
    struct weft_service service;
    struct weft_config_component *components[WEFT_KINDS];
    size_t n_components[WEFT_KINDS];
    struct weft_config_pipeline *pipelines;
    size_t n_pipelines;
    struct weft_problems problems, warnings;
};

/* 0 with *ret_config whole, or WEFT_ERR_CONFIG with *ret_config holding the problems only; free it either way. UV_ENOMEM:
 * nothing was made. */
int weft_config_load(const struct weft_config_args *args, const struct weft_expand *expand, struct weft_config **ret_config);

void weft_config_free(struct weft_config *config); /* accepts NULL */

/* Makes an instance of a component: zeroed, options filled. Exporters fill *lane too (else NULL). The strings in
 * it live as long as `arena`. free() it. NULL: out of memory, or an error that weft_config_load would have told. */
void *weft_config_instance(const struct weft_config_component *c, struct weft_arena *arena, struct weft_lane_config *lane,
                           struct weft_problems *problems);

/* "FILE:LINE:COL: text" of one problem. */
void weft_problem_text(const struct weft_problem *p, char *out, size_t size);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* sources.h: the command line's --config and --set arguments as one tree.
 *
 *   --config FILE, --config file:FILE     a YAML file
 *   --config env:NAME                     YAML text in an environment variable
 *   --config yaml:TEXT                    YAML text, most often "yaml:receivers::otlp::protocols::grpc::endpoint: :4317"
 *   --set KEY=VALUE                       "--set exporters.debug.verbosity=detailed", laid over all --config
 *
 * They merge in order: maps key by key, anything else replaces what came before. With no --config the built-in
 * default stands in the first place.
 */
#ifndef WEFT_AGENT_SOURCES_H
#define WEFT_AGENT_SOURCES_H

#include "agent/expand.h"
#include "core/node.h"
#include "core/option.h"

enum { WEFT_CONFIG_ARGS_MAX = 64 };

struct weft_config_args {
    const char *configs[WEFT_CONFIG_ARGS_MAX];
    const char *sets[WEFT_CONFIG_ARGS_MAX];
    size_t n_configs, n_sets;
};

/* The configuration that runs when none is given: YAML text. */
extern const char weft_default_config[];

/* 0 with the merged tree (a map or a null node), or WEFT_ERR_CONFIG. Strings of `args` must outlive the tree. */
int weft_sources_load(const struct weft_config_args *args, const struct weft_expand *expand, struct weft_arena *arena,
                      struct weft_problems *problems, const struct weft_node **ret_root);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* yaml.h: YAML text as a weft_node tree. libyaml does the reading; this adds places, limits and advice.
 *
 *   (1) Text, nesting and the number of nodes are bounded; an alias counts all nodes it stands for, so that a few
 *       lines cannot become a million nodes for whoever walks the tree.
 *   (2) A key that stands twice in one map is an error.
 *   (3) Scalars are expanded (expand.h); an expression that is the whole scalar may become a list or a map.
 *
 * Startup and reload only; one thread.
 */
#ifndef WEFT_AGENT_YAML_H
#define WEFT_AGENT_YAML_H

#include "agent/expand.h"
#include "core/node.h"
#include "core/option.h"

enum { WEFT_YAML_MAX_BYTES = 4 << 20, WEFT_YAML_MAX_DEPTH = 64, WEFT_YAML_MAX_NODES = 50000, WEFT_YAML_MAX_KEYS = 4096 };

struct weft_yaml {
    const char *file;                 /* for places; must live as long as the tree */
    const struct weft_expand *expand; /* NULL: scalars are taken as they stand */
    const struct weft_node *at;       /* NULL; or: every place is this one (text that came out of an expression) */
    struct weft_arena *arena;         /* the tree */
    struct weft_problems *problems;
};

/* One document. An empty one is a null node. 0, or WEFT_ERR_CONFIG with what is wrong in `problems`. */
int weft_yaml_parse(const struct weft_yaml *y, struct weft_slice text, struct weft_node **ret_root);

/* `over` laid over `under`: maps merge key by key, anything else replaces. New nodes where the two meet; neither
 * input is changed. NULL: no room in the arena. Either may be NULL. */
struct weft_node *weft_node_merge(struct weft_arena *arena, const struct weft_node *under, const struct weft_node *over);

/* Keys with "::" in them (receivers::otlp::endpoint) become nested maps, as the Collector has it. NULL: no room. */
struct weft_node *weft_node_unfold(struct weft_arena *arena, const struct weft_node *n);

/* The tree as YAML text. Values of keys that sound like secrets, and of headers, are written as [REDACTED] unless `secrets`. */
void weft_yaml_print(const struct weft_node *root, bool secrets, struct weft_buf *out);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* node.h: a configuration as a tree that remembers where each word stood. Built by the reader of
 * the configuration file, consumed by option.h. Lives in one arena; immutable once built. */
#ifndef WEFT_CORE_NODE_H
#define WEFT_CORE_NODE_H

#include <stddef.h>

enum weft_node_kind { WEFT_NODE_NULL, WEFT_NODE_SCALAR, WEFT_NODE_LIST, WEFT_NODE_MAP };

struct weft_node {
    enum weft_node_kind kind;
    const char *key;         /* in a map; else NULL */
    const char *text;        /* of a scalar, after ${env:..} expansion */
    const char *file;        /* where it stands; "yaml:" arguments and defaults have a name too */
    int line, column;        /* from 1 */
    int key_line, key_column;
    struct weft_node *child; /* first of a list or map */
    struct weft_node *next;  /* sibling */
};

/* The entry `key` of a map, or NULL. Accepts NULL and non-maps. */
const struct weft_node *weft_node_get(const struct weft_node *map, const char *key);

#endif

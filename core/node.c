/* SPDX-License-Identifier: Apache-2.0 */
/* node.c: see node.h. */
#include "core/node.h"

#include <string.h>

const struct weft_node *weft_node_get(const struct weft_node *map, const char *key)
{
    if (!map || map->kind != WEFT_NODE_MAP)
        return NULL;
    for (const struct weft_node *n = map->child; n; n = n->next)
        if (strcmp(n->key, key) == 0)
            return n;
    return NULL;
}

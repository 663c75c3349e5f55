/* SPDX-License-Identifier: Apache-2.0 */
/* shelf_kept.c: see shelf_kept.h. A list: there are as many as receivers. */
#include "agent/shelf_kept.h"

#include <stdlib.h>
#include <string.h>

enum { KEPT_MAX = 16 << 20 };

struct weft_shelf_kept {
    struct weft_shelf_kept *next;
    char *id;
    struct weft_buf bytes;
};

struct weft_buf *weft_shelf_kept_get(struct weft_shelf_kept **list, const char *id)
{
    for (struct weft_shelf_kept *k = *list; k; k = k->next)
        if (strcmp(k->id, id) == 0)
            return &k->bytes;

    struct weft_shelf_kept *k = calloc(1, sizeof *k);
    char *copy = strdup(id);
    if (!k || !copy) {
        free(k);
        free(copy);
        return NULL;
    }
    k->id = copy;
    weft_buf_init(&k->bytes, KEPT_MAX);
    k->next = *list;
    *list = k;
    return &k->bytes;
}

void weft_shelf_kept_free(struct weft_shelf_kept **list)
{
    while (*list) {
        struct weft_shelf_kept *k = *list;
        *list = k->next;
        weft_buf_release(&k->bytes);
        free(k->id);
        free(k);
    }
}

/* SPDX-License-Identifier: Apache-2.0 */
/* shelf_kept.h: what receivers leave for their successors over a reload; the shelf's own. Bytes under the receiver's id, as long
 * as the process lives. As many as there were receivers that wanted it, each with a ceiling. Main thread, or the thread of a
 * receiver while it starts. */
#ifndef WEFT_AGENT_SHELF_KEPT_H
#define WEFT_AGENT_SHELF_KEPT_H

#include "core/buf.h"

struct weft_shelf_kept;

/* The bytes of `id`, empty when new. NULL: no memory. */
struct weft_buf *weft_shelf_kept_get(struct weft_shelf_kept **list, const char *id);

/* Empties the list. */
void weft_shelf_kept_free(struct weft_shelf_kept **list);

#endif

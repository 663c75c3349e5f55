/* SPDX-License-Identifier: Apache-2.0 */
/* shelf_letters.h: the dead letters of exporters, which outlive a configuration as journals do. Part of the shelf (shelf.h), which
 * alone includes it. Main thread. */
#ifndef WEFT_AGENT_SHELF_LETTERS_H
#define WEFT_AGENT_SHELF_LETTERS_H

#include "agent/letters.h"
#include "agent/service.h"
#include "core/log.h"

/* A list; NULL is the empty one. */
struct weft_shelf_letters;

/* Nobody has claimed any. */
void weft_shelf_letters_begin(struct weft_shelf_letters *list);

/* Those of exporter `id`, as they stand or opened. 0, or a negative code after one log line. */
int weft_shelf_letters_take(struct weft_shelf_letters **list, const struct weft_service *service, const struct weft_log *log, const char *id,
                            struct weft_letters **ret_letters);

/* Closes what nobody claims: on disk it stays, in memory it is lost, with a log line. `all`: claimed ones, too. */
void weft_shelf_letters_close(struct weft_shelf_letters **list, const struct weft_log *log, bool all);

#endif

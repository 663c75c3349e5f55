/* SPDX-License-Identifier: Apache-2.0 */
/* letters_json.h: dead letters as JSON, for the API, and for 'weft dlq' when no agent runs. Any thread. */
#ifndef WEFT_AGENT_LETTERS_JSON_H
#define WEFT_AGENT_LETTERS_JSON_H

#include "agent/letters.h"

/* Appends the members of one exporter's object, without its braces: id, letters, items, bytes, capacity_bytes, oldest_ms, the
 * totals, and reasons with their counts, the most frequent first. */
void weft_letters_put_summary(struct weft_buf *b, const char *exporter, struct weft_letters *l);

/* Appends {"exporter":..,"letters":[..],"unreadable":..,"next":..}: at most `limit` letters behind sequence `after`, each with what is
 * known of the refusal and a preview of its first items; next: what to ask for as `after` next, or null; unreadable: what follows
 * cannot be read at the moment. 0 or UV_ENOMEM. */
int weft_letters_put_page(struct weft_buf *b, const char *exporter, struct weft_letters *l, const struct weft_letters_filter *filter,
                          uint64_t after, unsigned limit);

#endif

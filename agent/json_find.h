/* SPDX-License-Identifier: Apache-2.0 */
/* json_find.h: picking values out of a JSON text without a tree, for commands that show what the agent answered. A value is its
 * text as written; what is not there is an empty slice. Any thread. */
#ifndef WEFT_AGENT_JSON_FIND_H
#define WEFT_AGENT_JSON_FIND_H

#include "core/json.h"

/* The value of a key of an object; empty: there is none, or it is null. */
struct weft_slice weft_json_find(struct weft_slice object, const char *key);

/* The number, 0 when it is none. */
uint64_t weft_json_find_uint(struct weft_slice object, const char *key);

/* The string of a key, decoded, in `out`, cut at size - 1 bytes, control characters as blanks; "" when there is none. A number
 * or a word is copied as it is. */
const char *weft_json_find_text(struct weft_slice object, const char *key, char *out, size_t size);

/* The elements of an array one by one. */
struct weft_json_list { struct weft_json json; bool open; };
void weft_json_list_init(struct weft_json_list *l, struct weft_slice array);
bool weft_json_list_next(struct weft_json_list *l, struct weft_slice *ret_value);

#endif

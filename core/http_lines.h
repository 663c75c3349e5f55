/* SPDX-License-Identifier: Apache-2.0 */
/* http_lines.h: the header lines that an exporter makes once, from its options, and sends with every request. Their text and that of its
 * URLs lives in an arena of the exporter's; `line` is where a line is written before it is kept. */
#ifndef WEFT_CORE_HTTP_LINES_H
#define WEFT_CORE_HTTP_LINES_H

#include "core/arena.h"
#include "core/buf.h"
#include "core/http_client.h"
#include "core/option.h"

/* The option `headers` of `map`: each a name and a value of one line, and so many that eight lines more find room. */
void weft_http_lines_check(const struct weft_pairs *headers, const struct weft_node *map, struct weft_problems *problems);

/* Copies what is in `line` and empties it. NULL: no memory, or the line was too long. */
const char *weft_http_lines_keep(struct weft_arena *text, struct weft_buf *line);

/* Keeps it as the last of `lines`, of which there are WEFT_HTTP_MAX_HEADERS, zeroed in the beginning; a NULL stays behind them. 0,
 * UV_ENOMEM, or WEFT_ERR_TOO_LARGE: they are full. */
int weft_http_lines_add(const char **lines, struct weft_arena *text, struct weft_buf *line);

/* The same for each of the option. */
int weft_http_lines_add_pairs(const char **lines, struct weft_arena *text, struct weft_buf *line, const struct weft_pairs *headers);

#endif

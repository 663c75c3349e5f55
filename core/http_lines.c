/* SPDX-License-Identifier: Apache-2.0 */
/* http_lines.c: see http_lines.h. */
#include "core/http_lines.h"

#include "core/err.h"

#include <string.h>

enum { OWN_LINES = 8 }; /* that an exporter adds itself, at most */

void weft_http_lines_check(const struct weft_pairs *headers, const struct weft_node *map, struct weft_problems *problems)
{
    const struct weft_node *where = weft_node_get(map, "headers");

    for (size_t i = 0; i < headers->n; i++) {
        const struct weft_pair *h = &headers->items[i];
        if (!*h->key || strpbrk(h->key, ": \t\r\n") || strpbrk(h->value, "\r\n"))
            weft_problem(problems, weft_node_get(where, h->key), "headers: '%s' is not a header of one line", h->key);
    }
    if (headers->n + OWN_LINES > WEFT_HTTP_MAX_HEADERS)
        weft_problem(problems, where, "headers: more than %d", WEFT_HTTP_MAX_HEADERS - OWN_LINES);
}

const char *weft_http_lines_keep(struct weft_arena *text, struct weft_buf *line)
{
    struct weft_slice copy = { 0 };

    if (!line->err)
        copy = weft_arena_copy(text, weft_buf_slice(line));
    weft_buf_reset(line);
    return (const char *)copy.data;
}

int weft_http_lines_add(const char **lines, struct weft_arena *text, struct weft_buf *line)
{
    size_t n = 0;

    while (lines[n])
        n++;
    if (n + 1 >= WEFT_HTTP_MAX_HEADERS)
        return WEFT_ERR_TOO_LARGE;
    lines[n] = weft_http_lines_keep(text, line);
    return lines[n] ? 0 : UV_ENOMEM;
}

int weft_http_lines_add_pairs(const char **lines, struct weft_arena *text, struct weft_buf *line, const struct weft_pairs *headers)
{
    int err = 0;

    for (size_t i = 0; !err && i < headers->n; i++) {
        weft_buf_printf(line, "%s: %s", headers->items[i].key, headers->items[i].value);
        err = weft_http_lines_add(lines, text, line);
    }
    return err;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* table.h: rows of words in columns as wide as they have to be, for people at a terminal. One thread. */
#ifndef WEFT_AGENT_TABLE_H
#define WEFT_AGENT_TABLE_H

#include "core/arena.h"

#include <stdio.h>

enum { WEFT_TABLE_COLUMNS = 10 };

struct weft_table {
    struct weft_arena arena;
    const char *right;           /* one character a column: 'r' sets it flush right */
    struct weft_table_row { const char *cells[WEFT_TABLE_COLUMNS]; struct weft_table_row *next; } *first, *last;
    size_t n_columns;
};

/* `right` is static. Rows beyond a few megabytes are not taken. */
void weft_table_init(struct weft_table *t, const char *right);
void weft_table_add(struct weft_table *t, const char *const *cells); /* strlen(right) of them; copied */
void weft_table_print(const struct weft_table *t, FILE *to);
void weft_table_release(struct weft_table *t);

/* "3m", "2h", "5d": how long ago, for a column. `out` takes 16 bytes. */
const char *weft_format_age(uint64_t ms, char *out);

/* "1.2 MiB". `out` takes 16 bytes. */
const char *weft_format_size(uint64_t bytes, char *out);

#endif

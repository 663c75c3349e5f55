/* SPDX-License-Identifier: Apache-2.0 */
/* table.c: see table.h. */
#include "agent/table.h"

#include <inttypes.h>
#include <string.h>

void weft_table_init(struct weft_table *t, const char *right)
{
    *t = (struct weft_table){ .right = right, .n_columns = strlen(right) };
    weft_arena_init(&t->arena, 4 << 20);
}

void weft_table_add(struct weft_table *t, const char *const *cells)
{
    struct weft_table_row *row = weft_arena_alloc(&t->arena, sizeof *row);

    if (!row)
        return;
    row->next = NULL;
    for (size_t i = 0; i < t->n_columns; i++) {
        row->cells[i] = (const char *)weft_arena_copy(&t->arena, weft_slice_str(cells[i])).data;
        if (!row->cells[i])
            return;
    }
    if (t->last)
        t->last->next = row;
    else
        t->first = row;
    t->last = row;
}

/* In characters, not bytes. */
static int width(const char *text)
{
    int n = 0;

    for (; *text; text++)
        n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

static void print_cell(const char *text, int wide, bool right, bool last, FILE *to)
{
    int pad = wide - width(text);

    if (right)
        (void)fprintf(to, "%*s%s", pad, "", text);
    else if (last)
        (void)fputs(text, to);
    else
        (void)fprintf(to, "%s%*s", text, pad, "");
    (void)fputs(last ? "\n" : "  ", to);
}

void weft_table_print(const struct weft_table *t, FILE *to)
{
    int wide[WEFT_TABLE_COLUMNS] = { 0 };

    for (const struct weft_table_row *r = t->first; r; r = r->next)
        for (size_t i = 0; i < t->n_columns; i++)
            wide[i] = width(r->cells[i]) > wide[i] ? width(r->cells[i]) : wide[i];
    for (const struct weft_table_row *r = t->first; r; r = r->next)
        for (size_t i = 0; i < t->n_columns; i++)
            print_cell(r->cells[i], wide[i], t->right[i] == 'r', i + 1 == t->n_columns, to);
}

void weft_table_release(struct weft_table *t)
{
    weft_arena_release(&t->arena);
}

const char *weft_format_age(uint64_t ms, char *out)
{
    static const struct { uint64_t ms; char unit; } units[] = { { 86400000, 'd' }, { 3600000, 'h' }, { 60000, 'm' }, { 1000, 's' } };
    size_t i = 0;

    while (i < 3 && ms < 2 * units[i].ms)
        i++;
    (void)snprintf(out, 16, "%" PRIu64 "%c", ms / units[i].ms, units[i].unit);
    return out;
}

const char *weft_format_size(uint64_t bytes, char *out)
{
    static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB" };
    double value = (double)bytes;
    size_t i = 0;

    for (; i < 4 && value >= 1024; i++)
        value /= 1024;
    (void)snprintf(out, 16, i && value < 100 ? "%.1f %s" : "%.0f %s", value, units[i]);
    return out;
}

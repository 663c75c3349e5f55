/* SPDX-License-Identifier: Apache-2.0 */
/* source_table.c: see the header. Linear probing over a table at most half full; a removal closes the gap by moving
 * later rows of the run back, so that no tombstones pile up. */
#include "core/source_table.h"

#include "core/hash.h"

#include <stdlib.h>
#include <uv.h>

enum { FIRST_SLOTS = 64 };

int weft_source_table_init(struct weft_source_table *t)
{
    *t = (struct weft_source_table){ 0 };
    return -pthread_mutex_init(&t->lock, NULL);
}

void weft_source_table_release(struct weft_source_table *t)
{
    pthread_mutex_destroy(&t->lock);
    free(t->rows);
    t->rows = NULL;
}

static size_t home(const struct weft_source_table *t, uint64_t id)
{
    return (size_t)weft_hash64(weft_slice_of(&id, sizeof id), 0) & (t->n_slots - 1);
}

/* The row of `id`, or the empty slot where it belongs. */
static struct weft_source_row *slot(const struct weft_source_table *t, uint64_t id)
{
    size_t i = home(t, id);

    while (t->rows[i].source.id != 0 && t->rows[i].source.id != id)
        i = (i + 1) & (t->n_slots - 1);
    return &t->rows[i];
}

static void drop(struct weft_source_table *t, struct weft_source_row *row)
{
    size_t gap = (size_t)(row - t->rows), mask = t->n_slots - 1;

    for (size_t i = (gap + 1) & mask; t->rows[i].source.id != 0; i = (i + 1) & mask) {
        size_t distance = (i - home(t, t->rows[i].source.id)) & mask;
        if (distance < ((i - gap) & mask))
            continue; /* its home lies behind the gap */
        t->rows[gap] = t->rows[i];
        gap = i;
    }
    t->rows[gap] = (struct weft_source_row){ 0 };
    t->n_rows--;
}

static void drop_most_silent(struct weft_source_table *t)
{
    struct weft_source_row *oldest = NULL;

    for (size_t i = 0; i < t->n_slots; i++) {
        struct weft_source_row *row = &t->rows[i];
        if (row->source.id != 0 && (!oldest || row->sequence < oldest->sequence))
            oldest = row;
    }
    if (oldest)
        drop(t, oldest);
}

static bool grow(struct weft_source_table *t)
{
    struct weft_source_table wider = { .n_slots = t->n_slots ? t->n_slots * 2 : FIRST_SLOTS };

    wider.rows = calloc(wider.n_slots, sizeof *wider.rows);
    if (!wider.rows)
        return false;
    for (size_t i = 0; i < t->n_slots; i++)
        if (t->rows[i].source.id != 0)
            *slot(&wider, t->rows[i].source.id) = t->rows[i];
    free(t->rows);
    t->rows = wider.rows;
    t->n_slots = wider.n_slots;
    return true;
}

/* The row of `id`, made when missing. NULL: no memory. Under the lock. */
static struct weft_source_row *row_for(struct weft_source_table *t, uint64_t id)
{
    struct weft_source_row *row = t->rows ? slot(t, id) : NULL;

    if (row && row->source.id == id)
        return row;
    if (t->n_rows == WEFT_SOURCES_MAX)
        drop_most_silent(t);
    if (t->n_rows * 2 >= t->n_slots && !grow(t))
        return NULL;
    row = slot(t, id);
    *row = (struct weft_source_row){ .source = { .id = id } };
    t->n_rows++;
    return row;
}

void weft_source_table_note(struct weft_source_table *t, struct weft_source source, uint64_t sequence)
{
    if (source.id == 0)
        return;
    pthread_mutex_lock(&t->lock);
    struct weft_source_row *row = row_for(t, source.id);
    if (row && sequence >= row->sequence) {
        row->before = row->source;
        row->before_sequence = row->sequence;
        row->source = source;
        row->sequence = sequence;
    }
    pthread_mutex_unlock(&t->lock);
}

void weft_source_table_restore(struct weft_source_table *t, const struct weft_source_row *row)
{
    pthread_mutex_lock(&t->lock);
    struct weft_source_row *mine = row->source.id ? row_for(t, row->source.id) : NULL;
    if (mine)
        *mine = *row;
    pthread_mutex_unlock(&t->lock);
}

bool weft_source_table_find(struct weft_source_table *t, uint64_t id, uint64_t *ret_position)
{
    bool found = false;

    pthread_mutex_lock(&t->lock);
    if (id != 0 && t->rows) {
        const struct weft_source_row *row = slot(t, id);
        found = row->source.id == id;
        if (found)
            *ret_position = row->source.position;
    }
    pthread_mutex_unlock(&t->lock);
    return found;
}

bool weft_source_table_is_empty(struct weft_source_table *t)
{
    pthread_mutex_lock(&t->lock);
    bool empty = t->n_rows == 0;
    pthread_mutex_unlock(&t->lock);
    return empty;
}

void weft_source_table_forget(struct weft_source_table *t, uint64_t id)
{
    pthread_mutex_lock(&t->lock);
    if (id != 0 && t->rows) {
        struct weft_source_row *row = slot(t, id);
        if (row->source.id == id)
            drop(t, row);
    }
    pthread_mutex_unlock(&t->lock);
}

size_t weft_source_table_snapshot(struct weft_source_table *t, struct weft_source_row *rows, size_t max)
{
    size_t n = 0;

    pthread_mutex_lock(&t->lock);
    for (size_t i = 0; i < t->n_slots && n < max; i++) {
        struct weft_source_row *row = &t->rows[i];
        if (row->source.id == 0)
            continue;
        rows[n++] = *row;
        row->saved = row->source;
        row->saved_sequence = row->sequence;
    }
    pthread_mutex_unlock(&t->lock);
    return n;
}

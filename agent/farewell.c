/* SPDX-License-Identifier: Apache-2.0 */
/* farewell.c: see farewell.h. */
#include "agent/farewell.h"

#include "agent/runtime_state.h"

#include <stdlib.h>

void weft_farewell_release(struct weft_farewell *f)
{
    for (size_t i = 0; i < f->n_rows; i++)
        free(f->rows[i].id);
    free(f->rows);
    *f = (struct weft_farewell){ 0 };
}

/* ---- adding up ---- */

static struct weft_farewell_row *row_of(struct weft_farewell *f, const char *id)
{
    for (size_t i = 0; i < f->n_rows; i++)
        if (strcmp(f->rows[i].id, id) == 0)
            return &f->rows[i];

    struct weft_farewell_row *rows = realloc(f->rows, (f->n_rows + 1) * sizeof *rows);
    if (!rows)
        return NULL;
    f->rows = rows;
    rows[f->n_rows] = (struct weft_farewell_row){ .id = strdup(id) };
    return rows[f->n_rows].id ? &rows[f->n_rows++] : NULL;
}

static void add_dropped(struct weft_farewell_row *row, const char *word, uint64_t items)
{
    size_t i = 0;

    while (i < WEFT_FAREWELL_REASONS - 1 && row->dropped[i].items > 0 && strcmp(row->dropped[i].word, word) != 0)
        i++;
    if (row->dropped[i].items == 0)
        (void)snprintf(row->dropped[i].word, sizeof row->dropped[i].word, "%s", i < WEFT_FAREWELL_REASONS - 1 ? word : "other");
    row->dropped[i].items += items;
}

void weft_farewell_note(struct weft_farewell *f, const char *id, const struct weft_lane_stats *lane,
                        const struct weft_letters_stats *letters)
{
    struct weft_farewell_row *row = row_of(f, id);

    if (!row)
        return;
    for (int s = 0; s < WEFT_SIGNALS; s++)
        row->sent += lane->sent_items[s];
    for (size_t i = 0; i < lane->n_reasons; i++) {
        if (lane->reasons[i].loss == WEFT_LANE_FAILED)
            row->refused += lane->reasons[i].items;
        else if (lane->reasons[i].items > 0)
            add_dropped(row, lane->reasons[i].word, lane->reasons[i].items);
    }
    row->waiting = lane->waiting_items; /* what waited at the end of one waits at the beginning of the next */
    row->lasting = lane->lasting_items;
    row->letters = letters ? letters->items : 0;
    row->evicted = letters ? letters->evicted_items : 0;
}

void weft_farewell_note_removed(struct weft_farewell *f, const char *id, enum weft_signal signal, uint64_t items)
{
    struct weft_farewell_row *row = row_of(f, id);

    if (!row || items <= row->removed[signal])
        return;
    uint64_t more = items - row->removed[signal];
    row->removed[signal] = items;
    row->waiting -= more < row->waiting ? more : row->waiting;
    row->lasting = row->lasting < row->waiting ? row->lasting : row->waiting;
    add_dropped(row, "removed_exporter", more);
}

static void add_accepted(struct weft_farewell *f, const struct weft_rt_receiver *r)
{
    for (int s = 0; s < WEFT_SIGNALS; s++) {
        struct weft_intake_stats stats;
        if (!r->intakes[s])
            continue;
        weft_intake_stats(r->intakes[s], &stats);
        f->accepted += stats.accepted_items;
    }
}

/* Before the lanes: who was taken out, let go and put in again has its own idea of what waits. */
static void add_removed(struct weft_farewell *f, const struct weft_shelf *shelf)
{
    for (size_t i = 0; i < weft_shelf_n_released(shelf); i++) {
        const struct weft_shelf_released *r = weft_shelf_released_at(shelf, i);
        weft_farewell_note_removed(f, r->exporter, r->signal, r->items);
    }
}

/* Journals outlive runtimes: each has its own at its last. */
static void note_quarantined(struct weft_farewell *f, const struct weft_shelf *shelf)
{
    uint64_t n = 0;

    for (const struct weft_shelf_entry *e = weft_shelf_first(shelf); e; e = e->next) {
        struct weft_journal_stats stats;
        weft_journal_stats(e->journal, &stats);
        n += stats.recovery.quarantined_segments;
    }
    f->quarantined = n > f->quarantined ? n : f->quarantined;
}

void weft_farewell_add(struct weft_farewell *f, const struct weft_runtime *rt)
{
    add_removed(f, rt->shelf);
    note_quarantined(f, rt->shelf);
    for (size_t i = 0; i < rt->config->n_components[WEFT_KIND_RECEIVER]; i++)
        add_accepted(f, &rt->receivers[i]);
    for (size_t i = 0; i < rt->config->n_components[WEFT_KIND_EXPORTER]; i++) {
        const struct weft_rt_exporter *e = &rt->exporters[i];
        struct weft_lane_stats lane;
        struct weft_letters_stats letters;
        if (!e->lane)
            continue;
        weft_runtime_lane_stats(rt, i, &lane);
        if (e->letters)
            weft_letters_stats(e->letters, &letters);
        weft_farewell_note(f, e->component->id, &lane, e->letters ? &letters : NULL);
    }
}

/* ---- the words ---- */

static bool lost_something(const struct weft_farewell_row *row)
{
    return row->refused > 0 || row->dropped[0].items > 0 || row->evicted > 0 || row->waiting > row->lasting;
}

static void write_refused(const struct weft_farewell_row *row, bool on_disk, struct weft_buf *out)
{
    if (row->refused == 0 && row->evicted == 0)
        return;
    weft_buf_printf(out, ", %llu refused by the back end", (unsigned long long)row->refused);
    if (!on_disk && row->letters > 0)
        weft_buf_printf(out, " (dead letters with %llu items were in memory, and are gone)", (unsigned long long)row->letters);
    else if (row->evicted > 0)
        weft_buf_printf(out, " (%llu items kept as dead letters, %llu evicted from them)", (unsigned long long)row->letters,
                        (unsigned long long)row->evicted);
    else if (row->letters > 0)
        weft_buf_append_str(out, " (kept as dead letters)");
}

static void write_row(const struct weft_farewell_row *row, bool on_disk, struct weft_buf *out)
{
    weft_buf_printf(out, "; %s: %llu sent", row->id, (unsigned long long)row->sent);
    for (size_t i = 0; i < WEFT_FAREWELL_REASONS && row->dropped[i].items > 0; i++)
        weft_buf_printf(out, ", %llu dropped (%s)", (unsigned long long)row->dropped[i].items, row->dropped[i].word);
    write_refused(row, on_disk, out);
    if (row->lasting > 0)
        weft_buf_printf(out, ", %llu wait%s in the journal", (unsigned long long)row->lasting, row->lasting == 1 ? "s" : "");
    if (row->waiting > row->lasting)
        weft_buf_printf(out, ", %llu waited in memory, and are gone", (unsigned long long)(row->waiting - row->lasting));
}

bool weft_farewell_write(const struct weft_farewell *f, bool on_disk, struct weft_buf *out)
{
    bool lossless = f->quarantined == 0, waits = false;

    for (size_t i = 0; i < f->n_rows; i++) {
        lossless = lossless && !lost_something(&f->rows[i]);
        waits = waits || f->rows[i].waiting > 0;
    }
    weft_buf_printf(out, "stopped%s; since the start %llu items accepted",
                    !lossless ? "" : on_disk || waits ? "; nothing was lost" : "; everything was sent", (unsigned long long)f->accepted);
    for (size_t i = 0; i < f->n_rows; i++)
        write_row(&f->rows[i], on_disk, out);
    if (f->quarantined > 0)
        weft_buf_printf(out, "; what only %llu file%s of the journals held is not known: *.corrupt", (unsigned long long)f->quarantined,
                        f->quarantined == 1 ? "" : "s");
    return lossless;
}

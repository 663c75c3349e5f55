/* SPDX-License-Identifier: Apache-2.0 */
/* losses.c: see losses.h. */
#include "agent/losses.h"

#include "agent/runtime_state.h"

#include <stdio.h>
#include <stdlib.h>

enum { INTERVAL_MS = 10000 };

/* NULL: the reason has a line elsewhere. */
static const char *consequence(const char *word)
{
    static const struct { const char *word, *text; } known[] = {
        { "skipped", "skipped: the journal was full, and on_full is skip" },
        { "corrupt", "lost: their bytes in the journal had changed on the disk" },
        { "max_elapsed_time", "given up: they failed for longer than retry_on_failure.max_elapsed_time" },
        { "retry_disabled", "given up: they failed once, and retry_on_failure is off" },
        { "memory_limit", "dropped: there was no memory to list them; raise service.memory_limit" },
        { "dead_letter_not_written", "dropped: refused for good, and their dead letters could not be written" },
        { "dead_letter_too_large", "dropped: refused for good, and larger than a dead letter may be" },
        { "shutdown", NULL },
        { "removed_exporter", NULL },
    };

    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(known[i].word, word) == 0)
            return known[i].text;
    return "left out: the exporter cannot send them";
}

static struct weft_losses_row *row_of(struct weft_losses *l, const char *id, const struct weft_lane_reason *reason)
{
    for (size_t i = 0; i < l->n_rows; i++)
        if (strcmp(l->rows[i].id, id) == 0 && l->rows[i].signal == reason->signal && strcmp(l->rows[i].word, reason->word) == 0)
            return &l->rows[i];

    struct weft_losses_row *rows = realloc(l->rows, (l->n_rows + 1) * sizeof *rows);
    if (!rows)
        return NULL;
    l->rows = rows;
    rows[l->n_rows] = (struct weft_losses_row){ .id = id, .signal = reason->signal };
    memcpy(rows[l->n_rows].word, reason->word, sizeof reason->word);
    return &rows[l->n_rows++];
}

static void note(struct weft_losses *l, const struct weft_log *log, const char *id, const struct weft_lane_reason *reason,
                 uint64_t now_ms, bool last)
{
    const char *words = consequence(reason->word);
    struct weft_losses_row *row = words && reason->items > 0 ? row_of(l, id, reason) : NULL;

    if (!row || reason->items <= row->told || (!last && row->told_ms && now_ms - row->told_ms < INTERVAL_MS))
        return;
    uint64_t items = reason->items - row->told;
    weft_log(log, WEFT_LOG_WARN, id, "%llu %s %s (%s)", (unsigned long long)items, weft_signal_items(reason->signal, items), words,
             reason->word);
    row->told = reason->items;
    row->told_ms = now_ms ? now_ms : 1;
}

void weft_losses_note(struct weft_losses *l, const struct weft_log *log, const char *id, const struct weft_lane_stats *stats,
                      uint64_t now_ms, bool last)
{
    for (size_t i = 0; i < stats->n_reasons; i++)
        if (stats->reasons[i].loss == WEFT_LANE_DROPPED)
            note(l, log, id, &stats->reasons[i], now_ms, last);
}

void weft_losses_look(struct weft_losses *l, const struct weft_runtime *rt, uint64_t now_ms, bool last)
{
    for (size_t i = 0; i < rt->config->n_components[WEFT_KIND_EXPORTER]; i++) {
        struct weft_lane_stats stats;
        if (!rt->exporters[i].lane)
            continue;
        weft_runtime_lane_stats(rt, i, &stats);
        weft_losses_note(l, &rt->log, rt->exporters[i].component->id, &stats, now_ms, last);
    }
}

void weft_losses_clear(struct weft_losses *l)
{
    free(l->rows);
    *l = (struct weft_losses){ 0 };
}

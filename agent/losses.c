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

static struct weft_losses_row *row_of(struct weft_losses *l, const struct weft_losses_row *key)
{
    for (size_t i = 0; i < l->n_rows; i++)
        if (l->rows[i].refused == key->refused && l->rows[i].signal == key->signal && strcmp(l->rows[i].id, key->id) == 0
            && strcmp(l->rows[i].word, key->word) == 0)
            return &l->rows[i];

    struct weft_losses_row *rows = realloc(l->rows, (l->n_rows + 1) * sizeof *rows);
    if (!rows)
        return NULL;
    l->rows = rows;
    rows[l->n_rows] = *key;
    return &rows[l->n_rows++];
}

/* How many of `items` are to be told now. */
static uint64_t due(struct weft_losses_row *row, uint64_t items, uint64_t now_ms, bool last)
{
    bool fresh = !row->told_ms || now_ms - row->told_ms >= INTERVAL_MS;
    uint64_t untold = items > row->told ? items - row->told : 0;

    if (untold == 0 || (!last && !fresh))
        return 0;
    row->told = items;
    row->told_ms = now_ms ? now_ms : 1;
    return untold;
}

static void note(struct weft_losses *l, const struct weft_log *log, const char *id, const struct weft_lane_reason *reason,
                 uint64_t now_ms, bool last)
{
    struct weft_losses_row key = { .id = id, .signal = reason->signal };
    const char *words = consequence(reason->word);

    memcpy(key.word, reason->word, sizeof key.word);
    struct weft_losses_row *row = words && reason->items > 0 ? row_of(l, &key) : NULL;
    uint64_t items = row ? due(row, reason->items, now_ms, last) : 0;
    if (items > 0)
        weft_log(log, WEFT_LOG_WARN, id, "%llu %s %s (%s)", (unsigned long long)items, weft_signal_items(reason->signal, items), words,
                 reason->word);
}

/* The receiver has written a line for the first request of a series; how many items it was in ten seconds is told here. A request
 * that nobody could read counts as one, whatever it held. */
static void note_refused(struct weft_losses *l, const struct weft_log *log, const struct weft_losses_row *key, uint64_t items,
                         uint64_t now_ms, bool last)
{
    struct weft_losses_row *row = items > 0 ? row_of(l, key) : NULL;

    if (!row || items <= row->told)
        return;
    if (!row->series)
        row->told_ms = now_ms ? now_ms : 1;
    uint64_t more = due(row, items, now_ms, last);
    row->series = more == 0;
    if (more == 0)
        return;
    bool unread = strcmp(key->word, weft_refusal_name(WEFT_REFUSAL_UNSUPPORTED)) == 0
                  || strcmp(key->word, weft_refusal_name(WEFT_REFUSAL_TIMEOUT)) == 0;
    const char *what = unread ? weft_log_words(more, "request", "requests") : weft_signal_items(key->signal, more);
    weft_log(log, WEFT_LOG_WARN, key->id, "%llu %s%s%s refused (%s)", (unsigned long long)more, what, unread ? " of " : "",
             unread ? weft_signal_name(key->signal) : "", key->word);
}

void weft_losses_note_refused(struct weft_losses *l, const struct weft_log *log, const char *id, enum weft_signal signal,
                              const struct weft_intake_stats *stats, uint64_t now_ms, bool last)
{
    for (int i = 0; i < WEFT_REFUSALS; i++) {
        struct weft_losses_row key = { .id = id, .refused = true, .signal = signal };
        (void)snprintf(key.word, sizeof key.word, "%s", weft_refusal_name((enum weft_refusal)i));
        note_refused(l, log, &key, stats->refused_items[i], now_ms, last);
    }
}

void weft_losses_note(struct weft_losses *l, const struct weft_log *log, const char *id, const struct weft_lane_stats *stats,
                      uint64_t now_ms, bool last)
{
    for (size_t i = 0; i < stats->n_reasons; i++)
        if (stats->reasons[i].loss == WEFT_LANE_DROPPED)
            note(l, log, id, &stats->reasons[i], now_ms, last);
}

void weft_losses_note_evicted(struct weft_losses *l, const struct weft_log *log, const char *id, uint64_t items, uint64_t now_ms,
                              bool last)
{
    const struct weft_losses_row key = { .id = id, .word = "evicted" };
    struct weft_losses_row *row = items > 0 ? row_of(l, &key) : NULL;
    uint64_t more = row ? due(row, items, now_ms, last) : 0;

    if (more > 0)
        weft_log(log, WEFT_LOG_WARN, id, "%llu %s evicted from the dead letters, and lost: newer ones needed the room "
                 "(service.journal.dead_letters.max_size)", (unsigned long long)more, weft_log_words(more, "item", "items"));
}

static void look_at_exporter(struct weft_losses *l, const struct weft_runtime *rt, size_t i, uint64_t now_ms, bool last)
{
    const struct weft_rt_exporter *e = &rt->exporters[i];
    struct weft_lane_stats lane;
    struct weft_letters_stats letters;

    if (!e->lane)
        return;
    weft_runtime_lane_stats(rt, i, &lane);
    weft_losses_note(l, &rt->log, e->component->id, &lane, now_ms, last);
    if (!e->letters)
        return;
    weft_letters_stats(e->letters, &letters);
    weft_losses_note_evicted(l, &rt->log, e->component->id, letters.evicted_items - e->evicted_before, now_ms, last);
}

static void look_at_receiver(struct weft_losses *l, const struct weft_runtime *rt, const struct weft_rt_receiver *r, uint64_t now_ms,
                             bool last)
{
    for (int i = 0; i < WEFT_SIGNALS; i++) {
        struct weft_intake_stats stats;
        if (!r->intakes[i])
            continue;
        weft_intake_stats(r->intakes[i], &stats);
        weft_losses_note_refused(l, &rt->log, r->component->id, (enum weft_signal)i, &stats, now_ms, last);
    }
}

void weft_losses_look(struct weft_losses *l, const struct weft_runtime *rt, uint64_t now_ms, bool last)
{
    for (size_t i = 0; i < rt->config->n_components[WEFT_KIND_EXPORTER]; i++)
        look_at_exporter(l, rt, i, now_ms, last);
    for (size_t i = 0; i < rt->config->n_components[WEFT_KIND_RECEIVER]; i++)
        look_at_receiver(l, rt, &rt->receivers[i], now_ms, last);
}

void weft_losses_clear(struct weft_losses *l)
{
    free(l->rows);
    *l = (struct weft_losses){ 0 };
}

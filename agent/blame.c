/* SPDX-License-Identifier: Apache-2.0 */
/* blame.c: see blame.h. */
#include "agent/blame.h"

#include "core/err.h"
#include "core/log.h"

#include <stdio.h>

static void blame_reader(struct weft_journal *j, const char *pipeline, int percent, char *words, size_t size)
{
    struct weft_slowest s;

    if (!weft_journal_slowest(j, &s) || s.waiting_items == 0)
        (void)snprintf(words, size, "the journal of pipeline %s is %d %% full", pipeline, percent);
    else if (s.parked)
        (void)snprintf(words, size, "the journal of pipeline %s is %d %% full: %llu %s for exporter %s, which the "
                       "configuration does not name any more", pipeline, percent, (unsigned long long)s.waiting_items,
                       weft_log_words(s.waiting_items, "item waits", "items wait"), s.name);
    else
        (void)snprintf(words, size, "the journal of pipeline %s is %d %% full: exporter %s has %llu %s (%.1f MiB) to go", pipeline,
                       percent, s.name, (unsigned long long)s.waiting_items, weft_log_words(s.waiting_items, "item", "items"), (double)s.waiting_bytes / (1 << 20));
}

void weft_blame(struct weft_journal *j, const char *pipeline, char *words, size_t size)
{
    struct weft_journal_stats stats;

    weft_journal_stats(j, &stats);
    if (stats.disk_state == WEFT_DISK_REFUSING)
        (void)snprintf(words, size, "the journal of pipeline %s cannot be written to disk: %s", pipeline,
                       stats.disk_error ? weft_err_text(stats.disk_error) : "the disk fails");
    else
        blame_reader(j, pipeline, (int)(weft_journal_fill(j) * 100), words, size);
}

void weft_blame_size(const struct weft_journal *j, const char *pipeline, char *words, size_t size)
{
    (void)snprintf(words, size, "larger than half of the journal of pipeline %s (%.1f MiB): raise service.journal.max_size", pipeline,
                   (double)weft_journal_max_payload(j) / (1 << 20));
}

/* SPDX-License-Identifier: Apache-2.0 */
/* metrics_journals.c: the journals on the metrics page: their size, their disk, what they recovered, and what waits for nobody. */
#include "agent/api.h"
#include "agent/metrics_page.h"
#include "agent/parked.h"

static void put_journals(struct weft_metrics_page *p, void (*put)(struct weft_metrics_page *p, const struct weft_shelf_entry *e,
                                                     const struct weft_journal_stats *s))
{
    for (const struct weft_shelf_entry *e = p->rt ? weft_shelf_first(p->rt->shelf) : NULL; e; e = e->next) {
        struct weft_journal_stats stats;
        weft_journal_stats(e->journal, &stats);
        put(p, e, &stats);
    }
}

static void put_of_journal(struct weft_metrics_page *p, const struct weft_shelf_entry *e, const char *suffix, double value)
{
    struct weft_label labels[] = { LABEL("pipeline", e->id) };

    put_double(p, suffix, labels, COUNT(labels), value);
}

static void put_journal_bytes(struct weft_metrics_page *p, const struct weft_shelf_entry *e, const struct weft_journal_stats *s)
{
    put_of_journal(p, e, "", (double)s->segment_bytes);
}

static void put_journal_capacity(struct weft_metrics_page *p, const struct weft_shelf_entry *e, const struct weft_journal_stats *s)
{
    put_of_journal(p, e, "", (double)s->capacity_bytes);
}

static void put_fill(struct weft_metrics_page *p, const struct weft_shelf_entry *e, const struct weft_journal_stats *s)
{
    (void)s;
    put_of_journal(p, e, "", weft_journal_fill(e->journal));
}

static void put_segments(struct weft_metrics_page *p, const struct weft_shelf_entry *e, const struct weft_journal_stats *s)
{
    put_of_journal(p, e, "", s->n_segments);
}

static void put_disk_state(struct weft_metrics_page *p, const struct weft_shelf_entry *e, const struct weft_journal_stats *s)
{
    for (int state = WEFT_DISK_OK; state <= WEFT_DISK_MEMORY; state++) {
        struct weft_label labels[] = { LABEL("pipeline", e->id), LABEL("state", weft_disk_state_name((enum weft_disk_state)state)) };
        put_uint(p, "", labels, COUNT(labels), (int)s->disk_state == state);
    }
}

static void put_disk_errors(struct weft_metrics_page *p, const struct weft_shelf_entry *e, const struct weft_journal_stats *s)
{
    put_of_journal(p, e, "_total", (double)s->disk_errors);
}

static void put_syncs(struct weft_metrics_page *p, const struct weft_shelf_entry *e, const struct weft_journal_stats *s)
{
    put_of_journal(p, e, "_total", (double)s->syncs);
}

static void put_sync_errors(struct weft_metrics_page *p, const struct weft_shelf_entry *e, const struct weft_journal_stats *s)
{
    put_of_journal(p, e, "_total", (double)s->sync_errors);
}

static void put_sync_seconds(struct weft_metrics_page *p, const struct weft_shelf_entry *e, const struct weft_journal_stats *s)
{
    put_of_journal(p, e, "_total", (double)s->sync_ns / 1e9);
}

static void put_corrupt(struct weft_metrics_page *p, const struct weft_shelf_entry *e, const struct weft_journal_stats *s)
{
    put_of_journal(p, e, "_total", (double)s->corrupt_records);
}

static void put_found(struct weft_metrics_page *p, const struct weft_shelf_entry *e, const struct weft_journal_stats *s)
{
    put_of_journal(p, e, "", (double)s->opened_items);
}

static void put_lost(struct weft_metrics_page *p, const struct weft_shelf_entry *e, const struct weft_journal_stats *s)
{
    put_of_journal(p, e, "", (double)s->recovery.lost_items);
}

static void put_quarantined(struct weft_metrics_page *p, const struct weft_shelf_entry *e, const struct weft_journal_stats *s)
{
    put_of_journal(p, e, "", (double)s->recovery.quarantined_segments);
}

static void put_torn(struct weft_metrics_page *p, const struct weft_shelf_entry *e, const struct weft_journal_stats *s)
{
    put_of_journal(p, e, "", (double)s->recovery.torn_bytes);
}

static void put_opened(struct weft_metrics_page *p, const struct weft_shelf_entry *e, const struct weft_journal_stats *s)
{
    (void)s;
    put_of_journal(p, e, "", e->opened_ms / 1000);
}

static void put_durable_lag(struct weft_metrics_page *p, const struct weft_shelf_entry *e, const struct weft_journal_stats *s)
{
    uint64_t durable = weft_journal_durable(e->journal), newest = s->next_sequence - 1;

    put_of_journal(p, e, "", newest > durable ? (double)(newest - durable) : 0);
}

static void put_unclaimed_items(struct weft_metrics_page *p, const char *pipeline, const char *exporter, uint64_t items)
{
    struct weft_label labels[] = { LABEL("pipeline", pipeline), LABEL("exporter", exporter) };

    put_uint(p, "", labels, COUNT(labels), items);
}

/* Those that the configuration names are there. */
static void put_claimed(struct weft_metrics_page *p, const struct weft_shelf_entry *e)
{
    const struct weft_config *config = p->rt->config;

    for (size_t i = 0; i < config->n_pipelines; i++)
        for (size_t k = 0; p->rt->pipelines[i].entry == e && k < config->pipelines[i].n_exporters; k++)
            put_unclaimed_items(p, e->id, config->components[WEFT_KIND_EXPORTER][config->pipelines[i].exporters[k]].id, 0);
}

static void put_unclaimed(struct weft_metrics_page *p, const struct weft_shelf_entry *e, const struct weft_journal_stats *s)
{
    struct weft_parked_list parked = { .n = 0 };
    (void)s;

    if (weft_runtime_is_ready(p->rt)) /* else lanes may be parking */
        put_claimed(p, e);
    (void)weft_parked_read(&parked, e->journal);
    for (size_t i = 0; i < parked.n; i++)
        put_unclaimed_items(p, e->id, parked.places[i].name, parked.places[i].waiting_items);
    weft_parked_release(&parked);
}

static void write_journal_bytes(struct weft_metrics_page *p)    { put_journals(p, put_journal_bytes); }
static void write_journal_capacity(struct weft_metrics_page *p) { put_journals(p, put_journal_capacity); }
static void write_fill(struct weft_metrics_page *p)             { put_journals(p, put_fill); }
static void write_segments(struct weft_metrics_page *p)         { put_journals(p, put_segments); }
static void write_unclaimed(struct weft_metrics_page *p)        { put_journals(p, put_unclaimed); }
static void write_disk_state(struct weft_metrics_page *p)       { put_journals(p, put_disk_state); }
static void write_disk_errors(struct weft_metrics_page *p)      { put_journals(p, put_disk_errors); }
static void write_syncs(struct weft_metrics_page *p)            { put_journals(p, put_syncs); }
static void write_sync_errors(struct weft_metrics_page *p)      { put_journals(p, put_sync_errors); }
static void write_sync_seconds(struct weft_metrics_page *p)     { put_journals(p, put_sync_seconds); }
static void write_durable_lag(struct weft_metrics_page *p)      { put_journals(p, put_durable_lag); }
static void write_corrupt(struct weft_metrics_page *p)          { put_journals(p, put_corrupt); }
static void write_found(struct weft_metrics_page *p)            { put_journals(p, put_found); }
static void write_lost(struct weft_metrics_page *p)             { put_journals(p, put_lost); }
static void write_quarantined(struct weft_metrics_page *p)      { put_journals(p, put_quarantined); }
static void write_torn(struct weft_metrics_page *p)             { put_journals(p, put_torn); }
static void write_opened(struct weft_metrics_page *p)           { put_journals(p, put_opened); }

const struct weft_metrics_family weft_metrics_journals[] = {
    { "weft_journal_bytes", "gauge", "bytes", "pipeline", "Bytes of the segments that a pipeline's journal holds.",
      write_journal_bytes },
    { "weft_journal_capacity_bytes", "gauge", "bytes", "pipeline", "The size that the journal may come to.", write_journal_capacity },
    { "weft_journal_fill_ratio", "gauge", "", "pipeline", "How much of it the slowest exporter keeps, from 0 to 1.", write_fill },
    { "weft_journal_segments", "gauge", "", "pipeline", "Segments that the journal holds.", write_segments },
    { "weft_journal_unclaimed_items", "gauge", "", "pipeline, exporter",
      "Items that wait for an exporter which the pipeline does not name any more, or which is gone with its pipeline.",
      write_unclaimed },
    { "weft_journal_disk_state", "gauge", "", "pipeline, state",
      "1 for the state that a journal on disk is in, 0 for the others: ok, refusing (the disk takes nothing), memory (it takes "
      "nothing, new input is kept in memory).", write_disk_state },
    { "weft_journal_disk_errors", "counter", "", "pipeline", "How often a journal on disk left the state ok.", write_disk_errors },
    { "weft_journal_syncs", "counter", "", "pipeline", "Files of a journal that fdatasync was called for. One call serves every request that waits.",
      write_syncs },
    { "weft_journal_sync_errors", "counter", "", "pipeline", "Syncs that failed; what they covered was never confirmed.", write_sync_errors },
    { "weft_journal_sync_seconds", "counter", "seconds", "pipeline", "Time spent in syncs.", write_sync_seconds },
    { "weft_journal_durable_lag_records", "gauge", "", "pipeline",
      "Records that are published and not yet covered by the flush that service.journal.sync always waits for.", write_durable_lag },
    { "weft_journal_corrupt_records", "counter", "", "pipeline", "Records that were found rotten when they were read.", write_corrupt },
    { "weft_journal_opened_items", "gauge", "", "pipeline", "Items that the journal held when it was opened.", write_found },
    { "weft_journal_opened_lost_items", "gauge", "", "pipeline", "Items that could not be read any more when it was opened.", write_lost },
    { "weft_journal_opened_quarantined_segments", "gauge", "", "pipeline", "Segments set aside when it was opened.", write_quarantined },
    { "weft_journal_opened_torn_bytes", "gauge", "bytes", "pipeline", "Bytes of unfinished records cut off when it was opened.",
      write_torn },
    { "weft_journal_open_seconds", "gauge", "seconds", "pipeline", "How long opening it took.", write_opened },
    { .write = NULL },
};

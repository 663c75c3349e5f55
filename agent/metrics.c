/* SPDX-License-Identifier: Apache-2.0 */
/* metrics.c: see metrics.h. One row a family; a row's writer appends all samples of it. */
#include "agent/metrics_page.h"

#include <stdlib.h>
#include <string.h>

static const char *signal_name(int signal)
{
    return weft_signal_name((enum weft_signal)signal);
}

/* ---- receivers ---- */
static void put_intakes(struct weft_metrics_page *p, void (*put)(struct weft_metrics_page *p, const struct weft_rt_receiver *r, int signal))
{
    for (size_t i = 0; p->rt && i < p->rt->config->n_components[WEFT_KIND_RECEIVER]; i++)
        for (int s = 0; s < WEFT_SIGNALS; s++)
            if (p->rt->receivers[i].intakes[s])
                put(p, &p->rt->receivers[i], s);
}

static void put_accepted(struct weft_metrics_page *p, const struct weft_rt_receiver *r, int signal)
{
    struct weft_intake_stats stats;
    struct weft_label labels[] = { LABEL("receiver", r->component->id), LABEL("signal", signal_name(signal)) };

    weft_intake_stats(r->intakes[signal], &stats);
    put_uint(p, "_total", labels, COUNT(labels), stats.accepted_items);
}

static void put_refused(struct weft_metrics_page *p, const struct weft_rt_receiver *r, int signal)
{
    struct weft_intake_stats stats;

    weft_intake_stats(r->intakes[signal], &stats);
    for (int reason = 0; reason < WEFT_REFUSALS; reason++) {
        struct weft_label labels[] = { LABEL("receiver", r->component->id), LABEL("signal", signal_name(signal)),
                                       LABEL("reason", weft_refusal_name((enum weft_refusal)reason)) };
        put_uint(p, "_total", labels, COUNT(labels), stats.refused_items[reason]);
    }
}

static void put_delayed(struct weft_metrics_page *p, const struct weft_rt_receiver *r, int signal)
{
    struct weft_intake_stats stats;
    struct weft_label labels[] = { LABEL("receiver", r->component->id), LABEL("signal", signal_name(signal)) };

    weft_intake_stats(r->intakes[signal], &stats);
    put_uint(p, "_total", labels, COUNT(labels), stats.delayed_records);
}

static void put_delay(struct weft_metrics_page *p, const struct weft_rt_receiver *r, int signal)
{
    struct weft_intake_stats stats;
    struct weft_label labels[] = { LABEL("receiver", r->component->id), LABEL("signal", signal_name(signal)) };

    weft_intake_stats(r->intakes[signal], &stats);
    put_double(p, "_total", labels, COUNT(labels), (double)stats.delayed_ms / 1000);
}

static void write_accepted(struct weft_metrics_page *p)
{
    put_intakes(p, put_accepted);
}

static void write_refused(struct weft_metrics_page *p)
{
    put_intakes(p, put_refused);
}

static void write_delayed(struct weft_metrics_page *p)
{
    put_intakes(p, put_delayed);
}

static void write_delay(struct weft_metrics_page *p)
{
    put_intakes(p, put_delay);
}

/* ---- processors ---- */
static void write_processor_dropped(struct weft_metrics_page *p)
{
    for (size_t i = 0; p->rt && i < p->rt->config->n_pipelines; i++) {
        const struct weft_rt_pipeline *pl = &p->rt->pipelines[i];
        for (size_t k = 0; k < pl->config->n_processors; k++) {
            struct weft_label labels[] = { LABEL("pipeline", pl->config->id), LABEL("processor", pl->processors[k]->id) };
            put_uint(p, "_total", labels, COUNT(labels), weft_pipeline_dropped_items(pl->pipeline, k));
        }
    }
}

/* Over all pipelines of one signal that use processor `index`; *ret_used: is there one? */
static uint64_t sum_counter(const struct weft_runtime *rt, size_t index, size_t row, int signal, bool *ret_used)
{
    uint64_t sum = 0;

    *ret_used = false;
    for (size_t i = 0; i < rt->config->n_pipelines; i++) {
        const struct weft_rt_pipeline *pl = &rt->pipelines[i];
        for (size_t k = 0; k < pl->config->n_processors; k++) {
            if (pl->config->processors[k] != index || (int)pl->config->signal != signal)
                continue;
            *ret_used = true;
            sum += atomic_load_explicit(&pl->processors[k]->counters[row * WEFT_SIGNALS + (size_t)signal], memory_order_relaxed);
        }
    }
    return sum;
}

static void put_counter_row(struct weft_metrics_page *p, size_t index, size_t row)
{
    const struct weft_config_component *c = &p->rt->config->components[WEFT_KIND_PROCESSOR][index];
    const struct weft_counter *counter = &c->type.processor->counter_rows[row];

    for (int s = 0; s < WEFT_SIGNALS; s++) {
        bool used;
        uint64_t value = sum_counter(p->rt, index, row, s, &used);
        struct weft_label labels[] = { LABEL("processor", c->id), LABEL("signal", signal_name(s)),
                                       { weft_slice_str(counter->label), weft_slice_str(counter->value) } };
        if (used)
            put_uint(p, "_total", labels, counter->label ? 3 : 2, value);
    }
}

/* Calls put for every row called `name` of every used processor; counts the rows before row `row` of processor `index`. */
static size_t each_row(struct weft_metrics_page *p, const char *name, size_t index, size_t row,
                       void (*put)(struct weft_metrics_page *p, size_t index, size_t row))
{
    size_t before = 0;

    for (size_t i = 0; i < p->rt->config->n_components[WEFT_KIND_PROCESSOR]; i++) {
        const struct weft_config_component *c = &p->rt->config->components[WEFT_KIND_PROCESSOR][i];
        for (size_t r = 0; c->used && r < c->type.processor->n_counters; r++) {
            if (strcmp(c->type.processor->counter_rows[r].name, name) != 0)
                continue;
            before += i < index || (i == index && r < row);
            if (put)
                put(p, i, r);
        }
    }
    return before;
}

/* Counters that processors bring themselves: one family a name, whichever processors have it. */
static void write_processor_counters(struct weft_metrics_page *p)
{
    char name[128];

    for (size_t i = 0; p->rt && i < p->rt->config->n_components[WEFT_KIND_PROCESSOR]; i++) {
        const struct weft_config_component *c = &p->rt->config->components[WEFT_KIND_PROCESSOR][i];
        for (size_t r = 0; c->used && r < c->type.processor->n_counters; r++) {
            const struct weft_counter *row = &c->type.processor->counter_rows[r];
            if (each_row(p, row->name, i, r, NULL) > 0)
                continue;
            (void)snprintf(name, sizeof name, "weft_%s", row->name);
            p->name = weft_slice_str(name);
            weft_exposition_family(p->out, p->format, p->name, "counter", weft_slice_str(row->help), WEFT_SLICE(""));
            each_row(p, row->name, 0, 0, put_counter_row);
        }
    }
}

/* ---- exporters ---- */
static void put_lanes(struct weft_metrics_page *p, void (*put)(struct weft_metrics_page *p, const char *exporter, const struct weft_lane_stats *s))
{
    for (size_t i = 0; p->rt && p->lanes && i < p->rt->config->n_components[WEFT_KIND_EXPORTER]; i++)
        if (p->rt->exporters[i].lane)
            put(p, p->rt->exporters[i].component->id, &p->lanes[i]);
}

static void put_by_signal(struct weft_metrics_page *p, const char *exporter, const struct weft_lane_stats *s, const uint64_t *values)
{
    for (int i = 0; i < WEFT_SIGNALS; i++) {
        struct weft_label labels[] = { LABEL("exporter", exporter), LABEL("signal", signal_name(i)) };
        if (s->has_signal[i])
            put_uint(p, "_total", labels, COUNT(labels), values[i]);
    }
}

static void put_sent_items(struct weft_metrics_page *p, const char *exporter, const struct weft_lane_stats *s)
{
    put_by_signal(p, exporter, s, s->sent_items);
}

static void put_sent_bytes(struct weft_metrics_page *p, const char *exporter, const struct weft_lane_stats *s)
{
    put_by_signal(p, exporter, s, s->sent_bytes);
}

static void put_retries(struct weft_metrics_page *p, const char *exporter, const struct weft_lane_stats *s)
{
    put_by_signal(p, exporter, s, s->retries);
}

static void put_reasons(struct weft_metrics_page *p, const char *exporter, const struct weft_lane_stats *s, enum weft_lane_loss loss)
{
    for (size_t i = 0; i < s->n_reasons; i++) {
        struct weft_label labels[] = { LABEL("exporter", exporter), LABEL("signal", weft_signal_name(s->reasons[i].signal)),
                                       LABEL("reason", s->reasons[i].word) };
        if (s->reasons[i].loss == loss)
            put_uint(p, "_total", labels, COUNT(labels), s->reasons[i].items);
    }
}

static void put_failed(struct weft_metrics_page *p, const char *exporter, const struct weft_lane_stats *s)
{
    put_reasons(p, exporter, s, WEFT_LANE_FAILED);
}

static void put_dropped(struct weft_metrics_page *p, const char *exporter, const struct weft_lane_stats *s)
{
    put_reasons(p, exporter, s, WEFT_LANE_DROPPED);
}

static void put_replayed(struct weft_metrics_page *p, const char *exporter, const struct weft_lane_stats *s)
{
    static const char *const outcomes[] = { "sent", "rejected", "dropped" };

    for (int i = 0; i < WEFT_SIGNALS; i++) {
        for (int k = 0; s->has_signal[i] && k < WEFT_REPLAY_OUTCOMES; k++) {
            struct weft_label labels[] = { LABEL("exporter", exporter), LABEL("signal", signal_name(i)), LABEL("outcome", outcomes[k]) };
            put_uint(p, "_total", labels, COUNT(labels), s->replayed_items[i][k]);
        }
    }
}

static void put_gauge(struct weft_metrics_page *p, const char *exporter, uint64_t value)
{
    struct weft_label labels[] = { LABEL("exporter", exporter) };

    put_uint(p, "", labels, COUNT(labels), value);
}

static void put_queue_items(struct weft_metrics_page *p, const char *exporter, const struct weft_lane_stats *s)
{
    put_gauge(p, exporter, s->waiting_items);
}

static void put_queue_bytes(struct weft_metrics_page *p, const char *exporter, const struct weft_lane_stats *s)
{
    put_gauge(p, exporter, s->waiting_bytes);
}

static void put_capacity(struct weft_metrics_page *p, const char *exporter, const struct weft_lane_stats *s)
{
    put_gauge(p, exporter, s->capacity_bytes);
}

/* The labels exporter and endpoint; an exporter without endpoints has no label for them. */
static size_t endpoint_labels(struct weft_label labels[3], const char *exporter, const struct weft_lane_endpoint_stats *e)
{
    labels[0] = (struct weft_label)LABEL("exporter", exporter);
    if (!*e->name)
        return 1;
    labels[1] = (struct weft_label)LABEL("endpoint", e->name);
    return 2;
}

static void put_breaker(struct weft_metrics_page *p, const char *exporter, const struct weft_lane_stats *s)
{
    for (size_t i = 0; i < s->n_endpoints; i++) {
        for (int state = WEFT_BREAKER_CLOSED; state <= WEFT_BREAKER_HALF_OPEN; state++) {
            struct weft_label labels[3];
            size_t n = endpoint_labels(labels, exporter, &s->endpoints[i]);
            labels[n++] = (struct weft_label)LABEL("state", weft_breaker_name((enum weft_breaker)state));
            put_uint(p, "", labels, n, (int)s->endpoints[i].breaker == state);
        }
    }
}

static void put_limit(struct weft_metrics_page *p, const char *exporter, const struct weft_lane_stats *s)
{
    for (size_t i = 0; i < s->n_endpoints; i++) {
        struct weft_label labels[3];
        put_uint(p, "", labels, endpoint_labels(labels, exporter, &s->endpoints[i]), s->endpoints[i].limit);
    }
}

static void put_in_flight(struct weft_metrics_page *p, const char *exporter, const struct weft_lane_stats *s)
{
    for (size_t i = 0; i < s->n_endpoints; i++) {
        struct weft_label labels[3];
        put_uint(p, "", labels, endpoint_labels(labels, exporter, &s->endpoints[i]), s->endpoints[i].in_flight);
    }
}

static void put_durations(struct weft_metrics_page *p, const char *exporter, const struct weft_lane_stats *s)
{
    uint64_t sum = 0;

    for (size_t i = 0; i <= WEFT_LANE_BUCKETS; i++) {
        struct weft_buf bound;
        weft_buf_init(&bound, 64);
        if (i < WEFT_LANE_BUCKETS)
            weft_exposition_bound(&bound, weft_lane_buckets[i]);
        else
            weft_buf_append_str(&bound, "+Inf");
        struct weft_label labels[] = { LABEL("exporter", exporter), { WEFT_SLICE("le"), weft_buf_slice(&bound) } };
        sum += s->duration_buckets[i];
        put_uint(p, "_bucket", labels, COUNT(labels), sum);
        weft_buf_release(&bound);
    }
    struct weft_label labels[] = { LABEL("exporter", exporter) };
    put_double(p, "_sum", labels, COUNT(labels), (double)s->duration_sum_ns / 1e9);
    put_uint(p, "_count", labels, COUNT(labels), sum);
}

static void write_sent_items(struct weft_metrics_page *p)    { put_lanes(p, put_sent_items); }
static void write_sent_bytes(struct weft_metrics_page *p)    { put_lanes(p, put_sent_bytes); }
static void write_failed(struct weft_metrics_page *p)        { put_lanes(p, put_failed); }
static void write_retries(struct weft_metrics_page *p)       { put_lanes(p, put_retries); }
static void write_dropped(struct weft_metrics_page *p)       { put_lanes(p, put_dropped); }
static void write_replayed(struct weft_metrics_page *p)      { put_lanes(p, put_replayed); }
static void write_queue_items(struct weft_metrics_page *p)   { put_lanes(p, put_queue_items); }
static void write_queue_bytes(struct weft_metrics_page *p)   { put_lanes(p, put_queue_bytes); }
static void write_capacity(struct weft_metrics_page *p)      { put_lanes(p, put_capacity); }
static void write_breaker(struct weft_metrics_page *p)       { put_lanes(p, put_breaker); }
static void write_limit(struct weft_metrics_page *p)         { put_lanes(p, put_limit); }
static void write_in_flight(struct weft_metrics_page *p)     { put_lanes(p, put_in_flight); }
static void write_durations(struct weft_metrics_page *p)     { put_lanes(p, put_durations); }

/* ---- dead letters ---- */
static void put_letters(struct weft_metrics_page *p, const char *suffix, uint64_t (*value)(const struct weft_letters_stats *s))
{
    for (size_t i = 0; p->rt && i < p->rt->config->n_components[WEFT_KIND_EXPORTER]; i++) {
        struct weft_letters_stats s;
        if (!p->rt->exporters[i].letters)
            continue;
        struct weft_label labels[] = { LABEL("exporter", p->rt->exporters[i].component->id) };
        weft_letters_stats(p->rt->exporters[i].letters, &s);
        put_uint(p, suffix, labels, COUNT(labels), value(&s));
    }
}

static uint64_t letter_items(const struct weft_letters_stats *s)    { return s->items; }
static uint64_t letter_bytes(const struct weft_letters_stats *s)    { return s->bytes; }
static uint64_t letter_written(const struct weft_letters_stats *s)  { return s->written_items; }
static uint64_t letter_evicted(const struct weft_letters_stats *s)  { return s->evicted_items; }
static uint64_t letter_replayed(const struct weft_letters_stats *s) { return s->replayed_items; }
static uint64_t letter_purged(const struct weft_letters_stats *s)   { return s->purged_items; }
static uint64_t letter_lost(const struct weft_letters_stats *s)     { return s->lost_items; }

static void write_letter_items(struct weft_metrics_page *p)    { put_letters(p, "", letter_items); }
static void write_letter_bytes(struct weft_metrics_page *p)    { put_letters(p, "", letter_bytes); }
static void write_letter_written(struct weft_metrics_page *p)  { put_letters(p, "_total", letter_written); }
static void write_letter_evicted(struct weft_metrics_page *p)  { put_letters(p, "_total", letter_evicted); }
static void write_letter_replayed(struct weft_metrics_page *p) { put_letters(p, "_total", letter_replayed); }
static void write_letter_purged(struct weft_metrics_page *p)   { put_letters(p, "_total", letter_purged); }
static void write_letter_lost(struct weft_metrics_page *p)     { put_letters(p, "_total", letter_lost); }

static void put_recovered(struct weft_metrics_page *p, const char *exporter, const struct weft_lane_stats *s)
{
    put_by_signal(p, exporter, s, s->recovered_items);
}

static void put_oldest(struct weft_metrics_page *p, const char *exporter, const struct weft_lane_stats *s)
{
    struct weft_label labels[] = { LABEL("exporter", exporter) };

    put_double(p, "", labels, COUNT(labels), (double)s->oldest_ms / 1000);
}

static void write_recovered(struct weft_metrics_page *p)     { put_lanes(p, put_recovered); }
static void write_oldest(struct weft_metrics_page *p)        { put_lanes(p, put_oldest); }

/* Exporters that are gone have no lane to count for them. */
static void write_dropped_of_all(struct weft_metrics_page *p)
{
    write_dropped(p);
    for (size_t i = 0; p->rt && i < weft_shelf_n_released(p->rt->shelf); i++) {
        const struct weft_shelf_released *r = weft_shelf_released_at(p->rt->shelf, i);
        struct weft_label labels[] = { LABEL("exporter", r->exporter), LABEL("signal", weft_signal_name(r->signal)),
                                       LABEL("reason", "removed_exporter") };
        put_uint(p, "_total", labels, COUNT(labels), r->items);
    }
}

/* ---- the agent and its process ---- */
static void write_budget(struct weft_metrics_page *p)
{
    put_uint(p, "", NULL, 0, p->rt ? p->rt->config->service.memory_limit : 0);
}

static bool put_owner(void *ctx, const struct weft_account *a)
{
    struct weft_label labels[] = { LABEL("owner", a->name) };

    put_uint(ctx, "", labels, COUNT(labels), atomic_load_explicit(&a->used, memory_order_relaxed));
    return true;
}

static void write_owners(struct weft_metrics_page *p)
{
    if (p->rt)
        weft_ledger_visit(p->rt->memory.ledger, put_owner, p);
}

static bool put_owner_refused(void *ctx, const struct weft_account *a)
{
    struct weft_label labels[] = { LABEL("owner", a->name) };

    put_uint(ctx, "_total", labels, COUNT(labels), atomic_load_explicit(&a->refused, memory_order_relaxed));
    return true;
}

static void write_owners_refused(struct weft_metrics_page *p)
{
    if (p->rt)
        weft_ledger_visit(p->rt->memory.ledger, put_owner_refused, p);
}

static void write_reloads(struct weft_metrics_page *p)
{
    const struct weft_label ok[] = { LABEL("result", "success") }, bad[] = { LABEL("result", "failure") };

    put_uint(p, "_total", ok, 1, p->process->reloads_ok);
    put_uint(p, "_total", bad, 1, p->process->reloads_failed);
}

static void write_last_reload(struct weft_metrics_page *p)
{
    put_uint(p, "", NULL, 0, p->process->last_reload_ok);
}

static void write_build(struct weft_metrics_page *p)
{
    const struct weft_label labels[] = { LABEL("version", WEFT_VERSION) };

    put_uint(p, "_info", labels, 1, 1);
}

static void write_cpu(struct weft_metrics_page *p)        { put_double(p, "_total", NULL, 0, p->figures.cpu_seconds); }
static void write_start_time(struct weft_metrics_page *p) { put_double(p, "", NULL, 0, (double)p->process->start_wall_ns / 1e9); }
static void write_resident(struct weft_metrics_page *p)   { put_uint(p, "", NULL, 0, p->figures.resident_bytes); }
static void write_virtual(struct weft_metrics_page *p)    { put_uint(p, "", NULL, 0, p->figures.virtual_bytes); }
static void write_open_fds(struct weft_metrics_page *p)   { put_uint(p, "", NULL, 0, p->figures.open_fds); }
static void write_max_fds(struct weft_metrics_page *p)    { put_uint(p, "", NULL, 0, p->figures.max_fds); }

static const struct weft_metrics_family families[] = {
    { "weft_receiver_accepted_items", "counter", "", "receiver, signal",
      "Spans, log records or data points that a receiver took and acknowledged.", write_accepted },
    { "weft_receiver_refused_items", "counter", "", "receiver, signal, reason",
      "Items that a receiver refused; the client was told so, as often as it asked. Of a file that has to wait: its lines, once each; they are "
      "read later.", write_refused },
    { "weft_receiver_delayed_requests", "counter", "", "receiver, signal",
      "Requests that a receiver took and answered later, because a journal was filling up; or records of a file behind which it "
      "read on later.", write_delayed },
    { "weft_receiver_delay_seconds", "counter", "seconds", "receiver, signal", "How long these were held back, in all.", write_delay },
    { "weft_processor_dropped_items", "counter", "", "pipeline, processor",
      "Items that a processor took out of a pipeline.", write_processor_dropped },
    { "weft_exporter_sent_items", "counter", "", "exporter, signal", "Items that the back end has taken.", write_sent_items },
    { "weft_exporter_sent_bytes", "counter", "bytes", "exporter, signal", "Bytes of requests that went over the wire.",
      write_sent_bytes },
    { "weft_exporter_failed_items", "counter", "", "exporter, signal, reason",
      "Items that the back end refused for good.", write_failed },
    { "weft_exporter_retries", "counter", "", "exporter, signal", "Requests that were sent again.", write_retries },
    { "weft_dropped_items", "counter", "", "exporter, signal, reason",
      "Items that were given up on before the back end had taken them.", write_dropped_of_all },
    { "weft_recovered_items", "counter", "", "exporter, signal",
      "Items that waited for the exporter already when it was started: from before the last start, or the last reload.", write_recovered },
    { "weft_replayed_items", "counter", "", "exporter, signal, outcome",
      "Items that a replay sent again, by what became of them; they are not among the other figures.", write_replayed },
    { "weft_dead_letter_items", "gauge", "", "exporter", "Items that the back end refused for good and that are kept.",
      write_letter_items },
    { "weft_dead_letter_bytes", "gauge", "bytes", "exporter", "Bytes of the dead letters that are kept.", write_letter_bytes },
    { "weft_dead_letter_written_items", "counter", "", "exporter", "Refused items that were written as dead letters.",
      write_letter_written },
    { "weft_dead_letter_evicted_items", "counter", "", "exporter",
      "Items of dead letters that made room for newer ones: they are lost.", write_letter_evicted },
    { "weft_dead_letter_replayed_items", "counter", "", "exporter",
      "Items of dead letters that a replay has ended: the back end took them, or refused them once more into a new letter.",
      write_letter_replayed },
    { "weft_dead_letter_purged_items", "counter", "", "exporter", "Items of dead letters that somebody purged.", write_letter_purged },
    { "weft_dead_letter_lost_items", "counter", "", "exporter", "Items of dead letters that have rotted on the disk.", write_letter_lost },
    { "weft_queue_items", "gauge", "", "exporter", "Items in the journal that the exporter has not settled yet.", write_queue_items },
    { "weft_queue_bytes", "gauge", "bytes", "exporter", "Bytes in the journal that the exporter has not settled yet.",
      write_queue_bytes },
    { "weft_queue_capacity_bytes", "gauge", "bytes", "exporter", "Size of the journals that the exporter reads.", write_capacity },
    { "weft_queue_oldest_age_seconds", "gauge", "seconds", "exporter",
      "How long ago the oldest item arrived that the exporter has in hand and not delivered.", write_oldest },
    { "weft_circuit_breaker_state", "gauge", "", "exporter, endpoint, state",
      "1 for the state that the circuit breaker of an endpoint is in, 0 for the others. endpoint: as configured, without user "
      "and password; no label where an exporter has none.", write_breaker },
    { "weft_exporter_concurrency_limit", "gauge", "", "exporter, endpoint",
      "Requests that an endpoint may be given at once now.", write_limit },
    { "weft_exporter_requests_in_flight", "gauge", "", "exporter, endpoint", "Requests that wait for an endpoint's answer.",
      write_in_flight },
    { "weft_export_duration_seconds", "histogram", "seconds", "exporter", "How long requests to the back end took.", write_durations },
    { NULL, NULL, NULL, NULL, NULL, write_processor_counters },
    { "weft_memory_budget_bytes", "gauge", "bytes", "", "What the configuration allows the process to use.", write_budget },
    { "weft_memory_limit_bytes", "gauge", "bytes", "", "The same: what all owners of memory may hold together.", write_budget },
    { "weft_memory_bytes", "gauge", "bytes", "owner", "Bytes that an owner holds of service.memory_limit.", write_owners },
    { "weft_memory_refused", "counter", "", "owner", "Times that an owner asked for memory and there was none left for it.",
      write_owners_refused },
    { "weft_config_reloads", "counter", "", "result", "Reloads of the configuration that were asked for.", write_reloads },
    { "weft_config_last_reload_successful", "gauge", "", "", "1 when the last reload was taken, or there was none.",
      write_last_reload },
    { "weft_build", "info", "", "version", "Which build this is.", write_build },
    { "process_cpu_seconds", "counter", "seconds", "", "User and system time of the process.", write_cpu },
    { "process_start_time_seconds", "gauge", "seconds", "", "When the process started, in seconds since 1970.", write_start_time },
    { "process_resident_memory_bytes", "gauge", "bytes", "", "Memory of the process that is in RAM.", write_resident },
    { "process_virtual_memory_bytes", "gauge", "bytes", "", "Address space of the process.", write_virtual },
    { "process_open_fds", "gauge", "", "", "Open file descriptors.", write_open_fds },
    { "process_max_fds", "gauge", "", "", "Most file descriptors that may be open.", write_max_fds },
    { .write = NULL },
};

static const struct weft_metrics_family *const tables[] = { families, weft_metrics_journals };

static struct weft_lane_stats *copy_lanes(const struct weft_runtime *rt)
{
    size_t n = rt ? rt->config->n_components[WEFT_KIND_EXPORTER] : 0;
    struct weft_lane_stats *lanes = n ? calloc(n, sizeof *lanes) : NULL;

    for (size_t i = 0; lanes && i < n; i++)
        if (rt->exporters[i].lane)
            weft_runtime_lane_stats(rt, i, &lanes[i]);
    return lanes;
}

static void write_family(struct weft_metrics_page *p, const struct weft_metrics_family *f)
{
    p->name = weft_slice_str(f->name);
    if (f->name)
        weft_exposition_family(p->out, p->format, p->name, f->type, weft_slice_str(f->help), weft_slice_str(f->unit));
    f->write(p);
}

void weft_metrics_write(const struct weft_runtime *rt, const struct weft_metrics_process *process,
                        enum weft_exposition format, struct weft_buf *out)
{
    struct weft_metrics_page p = { .rt = rt, .process = process, .lanes = copy_lanes(rt), .format = format, .out = out };

    weft_process_figures_read(&p.figures);
    if (rt)
        weft_runtime_count_memory(rt);
    for (size_t i = 0; i < COUNT(tables); i++)
        for (const struct weft_metrics_family *f = tables[i]; f->write; f++)
            write_family(&p, f);
    weft_exposition_end(out, format);
    free(p.lanes);
}

static void document_row(struct weft_buf *out, const char *name, const char *type, const char *labels, const char *help)
{
    const char *suffix = strcmp(type, "counter") == 0 ? "_total" : strcmp(type, "info") == 0 ? "_info" : "";

    weft_buf_printf(out, "| `%s%s` | %s | %s | %s |\n", name, suffix, type, *labels ? labels : "-", help);
}

/* Rows of one name are one family: the first row of each name speaks for all. */
static void document_processor(struct weft_buf *out, const struct weft_processor_type *type)
{
    char name[128], labels[96];

    for (size_t r = 0; r < type->n_counters; r++) {
        const struct weft_counter *row = &type->counter_rows[r];
        size_t first = 0;
        while (strcmp(type->counter_rows[first].name, row->name) != 0)
            first++;
        if (first < r)
            continue;
        (void)snprintf(name, sizeof name, "weft_%s", row->name);
        (void)snprintf(labels, sizeof labels, "processor, signal%s%s", row->label ? ", " : "", row->label ? row->label : "");
        document_row(out, name, "counter", labels, row->help);
    }
}

static void document_family(struct weft_buf *out, const struct weft_metrics_family *f)
{
    struct weft_component c;

    if (f->name)
        document_row(out, f->name, f->type, f->labels, f->help);
    for (size_t k = 0; !f->name && weft_registry_at(WEFT_KIND_PROCESSOR, k, &c); k++)
        document_processor(out, c.processor);
}

void weft_metrics_document(struct weft_buf *out)
{
    weft_buf_append_str(out, "| name | type | labels | what it says |\n|---|---|---|---|\n");
    for (size_t i = 0; i < COUNT(tables); i++)
        for (const struct weft_metrics_family *f = tables[i]; f->write; f++)
            document_family(out, f);
}

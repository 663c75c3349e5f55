/* SPDX-License-Identifier: Apache-2.0 */
/* api.c: see api.h. */
#include "agent/api.h"

#include "agent/api_put.h"
#include "agent/metrics_process.h"
#include "agent/runtime_state.h"
#include "core/clock.h"
#include "core/err.h"
#include "core/json.h"

#include <stdlib.h>

static void put_signals(struct weft_buf *b, unsigned signals)
{
    bool first = true;

    put_key(b, "signals");
    weft_buf_append_byte(b, '[');
    for (int s = 0; s < WEFT_SIGNALS; s++) {
        if (!(signals & 1u << s))
            continue;
        if (!first)
            weft_buf_append_byte(b, ',');
        weft_json_put_string(b, weft_slice_str(weft_signal_name((enum weft_signal)s)));
        first = false;
    }
    weft_buf_append_byte(b, ']');
}

/* ---- components ---- */
static const char *phase_name(const struct weft_runtime *rt)
{
    static const char *const names[] = { "starting", "running", "stopping", "stopped" };
    return names[atomic_load(&rt->phase)];
}

/* An exporter's state is what an operator has to know first: does it deliver? */
static const char *exporter_state(const struct weft_runtime *rt, const struct weft_lane_stats *s)
{
    if (atomic_load(&rt->phase) != WEFT_PHASE_RUNNING)
        return phase_name(rt);
    if (s->breaker == WEFT_BREAKER_OPEN)
        return "failing";
    if (s->breaker == WEFT_BREAKER_HALF_OPEN)
        return "probing";
    for (size_t i = 0; i < s->n_endpoints; i++)
        if (s->endpoints[i].breaker != WEFT_BREAKER_CLOSED)
            return "degraded"; /* another endpoint does its work */
    return *s->error ? "retrying" : "running";
}

static void put_endpoints(struct weft_buf *b, const struct weft_lane_stats *s)
{
    put_key(b, "endpoints");
    weft_buf_append_byte(b, '[');
    for (size_t i = 0; i < s->n_endpoints; i++) {
        const struct weft_lane_endpoint_stats *e = &s->endpoints[i];
        begin_item(b);
        put_text(b, "endpoint", *e->name ? e->name : NULL);
        put_text(b, "breaker", s->has_breaker ? weft_breaker_name(e->breaker) : NULL);
        put_number(b, "failures_in_a_row", e->failures);
        put_number(b, "next_attempt_ms", e->next_attempt_ms);
        put_text(b, "error", *e->error ? e->error : NULL);
        put_number(b, "concurrency_limit", e->limit);
        put_number(b, "in_flight", e->in_flight);
        weft_buf_append_byte(b, '}');
    }
    weft_buf_append_byte(b, ']');
}

static void put_exporter(struct weft_buf *b, const struct weft_runtime *rt, size_t index)
{
    struct weft_lane_stats *s = calloc(1, sizeof *s);

    if (!s)
        return;
    weft_runtime_lane_stats(rt, index, s);
    put_text(b, "state", exporter_state(rt, s));
    put_text(b, "error", *s->error ? s->error : NULL);
    put_text(b, "breaker", s->has_breaker ? weft_breaker_name(s->breaker) : NULL);
    put_number(b, "waiting_items", s->waiting_items);
    put_number(b, "waiting_bytes", s->waiting_bytes);
    put_key(b, "oldest_unsent_age_seconds");
    weft_json_put_double(b, (double)s->oldest_ms / 1000);
    put_number(b, "in_flight", s->in_flight);
    put_endpoints(b, s);
    free(s);
}

static void put_component(struct weft_buf *b, const struct weft_runtime *rt, enum weft_kind kind, size_t index)
{
    const struct weft_config_component *c = &rt->config->components[kind][index];

    begin_item(b);
    put_text(b, "id", c->id);
    put_text(b, "kind", weft_kind_name(kind));
    put_text(b, "type", c->type.name);
    if (c->type.signals)
        put_signals(b, c->type.signals);
    if (kind == WEFT_KIND_EXPORTER && rt->exporters[index].lane) {
        put_exporter(b, rt, index);
    } else {
        put_text(b, "state", c->used ? phase_name(rt) : "unused");
        put_text(b, "error", NULL);
    }
    weft_buf_append_byte(b, '}');
}

void weft_api_components(const struct weft_admin_view *view, struct weft_buf *out)
{
    const struct weft_runtime *rt = view->runtime;

    weft_buf_append_str(out, "{\"version\":\"" WEFT_VERSION "\",\"components\":[");
    for (int kind = 0; rt && kind < WEFT_KINDS; kind++)
        for (size_t i = 0; i < rt->config->n_components[kind]; i++)
            put_component(out, rt, (enum weft_kind)kind, i);
    weft_buf_append_str(out, "]}\n");
}

/* ---- status ---- */
static void put_ids(struct weft_buf *b, const char *key, const struct weft_config_component *components, const size_t *list, size_t n)
{
    put_key(b, key);
    weft_buf_append_byte(b, '[');
    for (size_t i = 0; i < n; i++) {
        if (i)
            weft_buf_append_byte(b, ',');
        weft_json_put_string(b, weft_slice_str(components[list[i]].id));
    }
    weft_buf_append_byte(b, ']');
}

static void put_pipeline(struct weft_buf *b, const struct weft_runtime *rt, const struct weft_rt_pipeline *p)
{
    const struct weft_config_pipeline *config = p->config;
    struct weft_journal *journal = weft_pipeline_journal(p->pipeline);
    struct weft_journal_stats s;

    weft_journal_stats(journal, &s);
    begin_item(b);
    put_text(b, "id", config->id);
    put_text(b, "signal", weft_signal_name(config->signal));
    put_ids(b, "receivers", rt->config->components[WEFT_KIND_RECEIVER], config->receivers, config->n_receivers);
    put_ids(b, "processors", rt->config->components[WEFT_KIND_PROCESSOR], config->processors, config->n_processors);
    put_ids(b, "exporters", rt->config->components[WEFT_KIND_EXPORTER], config->exporters, config->n_exporters);
    put_number(b, "items", s.appended_items);
    put_number(b, "bytes", s.appended_bytes);
    put_number(b, "segment_bytes", s.segment_bytes);
    put_number(b, "capacity_bytes", s.capacity_bytes);
    put_text(b, "mode", p->entry->path ? "disk" : "memory");
    put_text(b, "disk_state", weft_disk_state_name(s.disk_state));
    put_text(b, "disk_error", s.disk_error ? weft_err_text(s.disk_error) : NULL);
    const double fill = weft_journal_fill(journal);
    put_key(b, "fill");
    weft_json_put_double(b, fill);
    put_text(b, "shedding", fill * 1000 >= WEFT_SHED_INFO ? "info" : fill * 1000 >= WEFT_SHED_DEBUG ? "debug" : NULL);
    weft_buf_append_byte(b, '}');
}

struct waiting {
    uint64_t items;
};

static void add_waiting(void *ctx, const struct weft_parked *parked)
{
    struct waiting *w = ctx;

    w->items += parked->waiting_items;
}

/* What waits in journals whose pipeline is gone, for exporters that are there and for those that are not. */
static void put_orphan(struct weft_buf *b, const struct weft_shelf_entry *e)
{
    struct waiting unclaimed = { 0 };
    struct weft_journal_stats s;

    weft_journal_stats(e->journal, &s);
    weft_journal_parked(e->journal, add_waiting, &unclaimed);
    begin_item(b);
    put_text(b, "id", e->id);
    put_text(b, "directory", e->path);
    put_number(b, "readers", s.n_cursors);
    put_number(b, "unclaimed_items", unclaimed.items);
    weft_buf_append_byte(b, '}');
}

static void put_receiver(struct weft_buf *b, const struct weft_rt_receiver *r)
{
    uint64_t accepted = 0, refused = 0;

    for (int s = 0; s < WEFT_SIGNALS; s++) {
        struct weft_intake_stats stats;
        if (!r->intakes[s])
            continue;
        weft_intake_stats(r->intakes[s], &stats);
        accepted += stats.accepted_items;
        for (int reason = 0; reason < WEFT_REFUSALS; reason++)
            refused += stats.refused_items[reason];
    }
    begin_item(b);
    put_text(b, "id", r->component->id);
    put_number(b, "accepted", accepted);
    put_number(b, "refused", refused);
    weft_buf_append_byte(b, '}');
}

/* The counts alone: what is in dead letters is for those whom api_dlq.c lets see it. */
static void put_letters(struct weft_buf *b, struct weft_letters *letters)
{
    struct weft_letters_stats s = { .items = 0 };

    if (letters)
        weft_letters_stats(letters, &s);
    put_number(b, "dead_letter_items", s.items);
    put_number(b, "evicted_items", s.evicted_items);
}

static void put_exporter_status(struct weft_buf *b, const struct weft_runtime *rt, size_t index)
{
    struct weft_lane_stats *s = calloc(1, sizeof *s);
    uint64_t sent = 0, retries = 0, losses[2] = { 0 };

    if (!s)
        return;
    weft_runtime_lane_stats(rt, index, s);
    for (int i = 0; i < WEFT_SIGNALS; i++) {
        sent += s->sent_items[i];
        retries += s->retries[i];
    }
    for (size_t i = 0; i < s->n_reasons; i++)
        losses[s->reasons[i].loss == WEFT_LANE_DROPPED] += s->reasons[i].items;
    begin_item(b);
    put_text(b, "id", rt->exporters[index].component->id);
    put_text(b, "state", exporter_state(rt, s));
    put_text(b, "breaker", s->has_breaker ? weft_breaker_name(s->breaker) : NULL);
    put_text(b, "error", *s->error ? s->error : NULL);
    put_number(b, "oldest_ms", s->oldest_ms);
    put_number(b, "sent", sent);
    put_number(b, "failed", losses[0]);
    put_number(b, "dropped", losses[1]);
    put_letters(b, rt->exporters[index].letters);
    put_number(b, "retries", retries);
    put_number(b, "waiting_items", s->waiting_items);
    put_number(b, "waiting_bytes", s->waiting_bytes);
    put_number(b, "capacity_bytes", s->capacity_bytes);
    put_number(b, "in_flight", s->in_flight);
    put_endpoints(b, s);
    weft_buf_append_byte(b, '}');
    free(s);
}

static void put_runtime(struct weft_buf *b, const struct weft_runtime *rt)
{
    put_number(b, "memory_limit_bytes", rt->config->service.memory_limit);
    put_key(b, "pipelines");
    weft_buf_append_byte(b, '[');
    for (size_t i = 0; i < rt->config->n_pipelines; i++)
        put_pipeline(b, rt, &rt->pipelines[i]);
    weft_buf_append_byte(b, ']');
    put_key(b, "orphans");
    weft_buf_append_byte(b, '[');
    for (const struct weft_shelf_entry *e = weft_shelf_first(rt->shelf); e; e = e->next)
        if (e->orphan)
            put_orphan(b, e);
    weft_buf_append_byte(b, ']');
    put_key(b, "receivers");
    weft_buf_append_byte(b, '[');
    for (size_t i = 0; i < rt->config->n_components[WEFT_KIND_RECEIVER]; i++)
        if (rt->receivers[i].instances)
            put_receiver(b, &rt->receivers[i]);
    weft_buf_append_byte(b, ']');
    put_key(b, "exporters");
    weft_buf_append_byte(b, '[');
    for (size_t i = 0; i < rt->config->n_components[WEFT_KIND_EXPORTER]; i++)
        if (rt->exporters[i].lane)
            put_exporter_status(b, rt, i);
    weft_buf_append_byte(b, ']');
}

void weft_api_status(const struct weft_admin_view *view, struct weft_buf *out)
{
    struct weft_process_figures figures;

    weft_process_figures_read(&figures);
    weft_buf_append_byte(out, '{');
    put_text(out, "version", WEFT_VERSION);
    put_text(out, "phase", view->runtime ? phase_name(view->runtime) : "starting");
    put_bool(out, "ready", weft_runtime_is_ready(view->runtime));
    put_number(out, "now_ms", weft_clock_wall_ns() / 1000000);
    put_number(out, "start_ms", view->process.start_wall_ns / 1000000);
    put_number(out, "resident_bytes", figures.resident_bytes);
    put_key(out, "cpu_seconds");
    weft_json_put_double(out, figures.cpu_seconds);
    put_bool(out, "last_reload_ok", view->process.last_reload_ok);
    if (view->runtime)
        put_runtime(out, view->runtime);
    weft_buf_append_str(out, "}\n");
}

/* ---- memory ---- */
static bool put_owner(void *ctx, const struct weft_account *a)
{
    struct weft_buf *b = ctx;

    begin_item(b);
    put_text(b, "name", a->name);
    put_number(b, "bytes", atomic_load_explicit(&a->used, memory_order_relaxed));
    put_number(b, "peak_bytes", atomic_load_explicit(&a->peak, memory_order_relaxed));
    put_number(b, "guarantee_bytes", a->guarantee);
    put_number(b, "room_bytes", weft_account_room(a));
    put_number(b, "refused", atomic_load_explicit(&a->refused, memory_order_relaxed));
    weft_buf_append_byte(b, '}');
    return true;
}

void weft_api_memory(const struct weft_admin_view *view, struct weft_buf *out)
{
    const struct weft_runtime *rt = view->runtime;
    struct weft_process_figures figures;

    weft_process_figures_read(&figures);
    weft_buf_append_byte(out, '{');
    if (rt && rt->memory.ledger) {
        weft_runtime_count_memory(rt);
        put_number(out, "limit_bytes", weft_ledger_limit(rt->memory.ledger));
        put_number(out, "used_bytes", weft_ledger_used(rt->memory.ledger));
        put_number(out, "overbooked_bytes", weft_ledger_overbooked(rt->memory.ledger));
    }
    put_number(out, "resident_bytes", figures.resident_bytes);
    put_number(out, "anonymous_bytes", figures.anonymous_bytes);
    put_key(out, "owners");
    weft_buf_append_byte(out, '[');
    if (rt)
        weft_ledger_visit(rt->memory.ledger, put_owner, out);
    weft_buf_append_str(out, "]}\n");
}

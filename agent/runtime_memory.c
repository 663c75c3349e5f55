/* SPDX-License-Identifier: Apache-2.0 */
/* runtime_memory.c: a runtime's memory_limit: how it is planned, and the rows of those who count for themselves (memory.h).
 * Main thread. */
#include "agent/runtime_state.h"

#include "agent/table.h"
#include "core/err.h"
#include "core/option.h"

/* Of a journal on disk, what it may keep in memory beside what the kernel can take back at any time. */
enum { DISK_RESIDENT = 4 << 20 };

static size_t count_used(const struct weft_config *config, enum weft_kind kind)
{
    size_t n = 0;

    for (size_t i = 0; i < config->n_components[kind]; i++)
        n += config->components[kind][i].used;
    return n;
}

static struct weft_memory_plan plan_of(const struct weft_runtime *rt)
{
    const struct weft_service *s = &rt->config->service;
    bool disk = s->journal_mode == WEFT_SERVICE_DISK;
    struct weft_memory_plan plan = {
        .limit = s->memory_limit,
        .n_pipelines = rt->config->n_pipelines,
        .n_receivers = count_used(rt->config, WEFT_KIND_RECEIVER),
        .n_exporters = count_used(rt->config, WEFT_KIND_EXPORTER),
    };

    for (size_t i = 0; i < plan.n_pipelines; i++) {
        struct weft_journal *j = weft_pipeline_journal(rt->pipelines[i].pipeline);
        struct weft_journal_stats stats;
        weft_journal_stats(j, &stats);
        plan.journals += disk && stats.capacity_bytes > DISK_RESIDENT ? DISK_RESIDENT : stats.capacity_bytes;
        plan.largest_record = weft_journal_max_payload(j) > plan.largest_record ? weft_journal_max_payload(j) : plan.largest_record;
    }
    plan.journals += weft_service_fallback_memory(s);
    plan.letters = disk ? 0 : s->dead_letters_max_size * plan.n_exporters;
    return plan;
}

static void warn_overbooked(const struct weft_runtime *rt)
{
    char limit[WEFT_QUANTITY_MAX], over[16];
    uint64_t by = weft_ledger_overbooked(rt->memory.ledger);

    if (by > 0)
        weft_log(&rt->log, WEFT_LOG_WARN, "agent",
                 "service.memory_limit (%s) has too little room beside journals and dead letters: up to %s more may be used; "
                 "raise it, or lower service.journal.max_size",
                 weft_format_bytes((double)rt->config->service.memory_limit, limit), weft_format_size(by, over));
}

int weft_runtime_open_memory(struct weft_runtime *rt)
{
    struct weft_memory_plan plan = plan_of(rt);
    int err = weft_memory_open(&rt->memory, &plan);

    for (size_t i = 0; i < plan.n_pipelines && !err; i++) {
        rt->pipelines[i].account = weft_memory_journal(&rt->memory, rt->pipelines[i].config->id);
        err = rt->pipelines[i].account ? 0 : UV_ENOMEM;
    }
    for (size_t i = 0; i < rt->config->n_components[WEFT_KIND_EXPORTER] && !err; i++) {
        const struct weft_config_component *c = &rt->config->components[WEFT_KIND_EXPORTER][i];
        rt->exporters[i].letters_account = c->used ? weft_memory_letters(&rt->memory, c->id) : NULL;
        err = c->used && !rt->exporters[i].letters_account ? UV_ENOMEM : 0;
    }
    if (err)
        weft_log(&rt->log, WEFT_LOG_ERROR, "agent", "cannot share out service.memory_limit: %s", weft_err_text(err));
    else
        warn_overbooked(rt);
    return err;
}

static void lower(uint64_t *most, uint64_t to)
{
    *most = to < *most ? to : *most;
}

static void bound_pipeline(const struct weft_runtime *rt, const struct weft_rt_pipeline *p)
{
    uint64_t bytes = UINT64_MAX, items = UINT64_MAX, largest = weft_memory_receiver_budget(&rt->memory);
    char size[WEFT_QUANTITY_MAX];

    for (size_t i = 0; i < p->config->n_exporters; i++) {
        const struct weft_rt_exporter *e = &rt->exporters[p->config->exporters[i]];
        lower(&bytes, weft_memory_item_most(e->instance->account, e->instance->type->item_percent));
        lower(&items, weft_memory_items_most(e->lane_account));
    }
    weft_pipeline_set_most(p->pipeline, bytes, items);
    lower(&largest, weft_journal_max_payload(weft_pipeline_journal(p->pipeline)));
    if (bytes < largest / 10 * 9)
        weft_log(&rt->log, WEFT_LOG_INFO, p->config->id,
                 "single %s above %s are refused: within service.memory_limit no exporter's request could hold more",
                 weft_signal_items(p->config->signal, 2), weft_format_bytes((double)(bytes >> 10 << 10), size));
}

void weft_runtime_bound_records(const struct weft_runtime *rt)
{
    for (size_t i = 0; i < rt->config->n_pipelines; i++)
        bound_pipeline(rt, &rt->pipelines[i]);
}

static uint64_t held(const struct weft_account *a, uint64_t bytes)
{
    return bytes < a->guarantee ? bytes : a->guarantee; /* on disk the rest is the kernel's to keep or drop */
}

void weft_runtime_count_memory(const struct weft_runtime *rt)
{
    for (size_t i = 0; i < rt->config->n_pipelines; i++) {
        struct weft_journal_stats stats;
        weft_journal_stats(weft_pipeline_journal(rt->pipelines[i].pipeline), &stats);
        weft_account_set(rt->pipelines[i].account, held(rt->pipelines[i].account, stats.segment_bytes));
    }
    for (size_t i = 0; i < rt->config->n_components[WEFT_KIND_EXPORTER]; i++) {
        const struct weft_rt_exporter *e = &rt->exporters[i];
        struct weft_letters_stats stats;
        if (!e->letters)
            continue;
        weft_letters_stats(e->letters, &stats);
        weft_account_set(e->letters_account, held(e->letters_account, stats.bytes));
    }
}

void weft_runtime_trim(struct weft_runtime *rt)
{
    weft_runtime_count_memory(rt);
    weft_memory_trim(&rt->memory);
}

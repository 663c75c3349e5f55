/* SPDX-License-Identifier: Apache-2.0 */
/* runtime_build.c: makes the parts of a runtime and wires them; nothing runs yet (runtime_state.h).
 *
 * Processors: one instance a pipeline. Exporters: one instance and one lane an id, reading every pipeline that names it.
 * Receivers: one instance a loop, or one in all when the type says single.
 */
#include "agent/runtime_state.h"

#include "agent/keep.h"
#include "core/err.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_LOOPS_BY_DEFAULT = 4, ARENA_LIMIT = 16 << 20 };

static int failed(const struct weft_runtime *rt, const char *id, const char *what, int err)
{
    weft_log(&rt->log, WEFT_LOG_ERROR, id, "%s: %s", what, weft_err_text(err));
    return err;
}

static void *make_instance(struct weft_runtime *rt, const struct weft_config_component *c, struct weft_lane_config *lane)
{
    struct weft_problems problems = { .arena = &rt->arena };
    void *instance = weft_config_instance(c, &rt->arena, lane, &problems);

    if (!instance)
        weft_log(&rt->log, WEFT_LOG_ERROR, c->id, "cannot make the %s: %s", weft_kind_name(c->type.kind),
                 problems.first ? problems.first->text : "out of memory");
    return instance;
}

/* ---- pipelines ---- */
static int build_processor(struct weft_runtime *rt, const struct weft_config_component *c, struct weft_processor **ret_processor)
{
    struct weft_processor *p = make_instance(rt, c, NULL);

    if (!p)
        return UV_ENOMEM;
    p->type = c->type.processor;
    p->id = c->id;
    p->log = &rt->log;
    if (p->type->n_counters) {
        p->counters = calloc(p->type->n_counters * WEFT_SIGNALS, sizeof *p->counters);
        if (!p->counters) {
            free(p);
            return UV_ENOMEM;
        }
    }
    *ret_processor = p;
    return 0;
}

static int build_pipeline(struct weft_runtime *rt, size_t index)
{
    struct weft_rt_pipeline *p = &rt->pipelines[index];
    const struct weft_config_pipeline *config = p->config = &rt->config->pipelines[index];
    const struct weft_service *s = &rt->config->service;

    p->processors = calloc(config->n_processors + 1, sizeof(struct weft_processor *));
    p->started = calloc(config->n_processors + 1, sizeof *p->started);
    if (!p->processors || !p->started)
        return UV_ENOMEM;
    for (size_t i = 0; i < config->n_processors; i++) {
        const struct weft_config_component *c = &rt->config->components[WEFT_KIND_PROCESSOR][config->processors[i]];
        int err = build_processor(rt, c, &p->processors[i]);
        if (err)
            return err;
    }
    int err = weft_shelf_take(rt->shelf, config->id, config->signal, &p->entry);
    if (err)
        return err;
    struct weft_pipeline_options options = {
        .id = config->id,
        .signal = config->signal,
        .journal = p->entry->journal,
        .processors = p->processors,
        .n_processors = config->n_processors,
        .journal_size = weft_pipeline_share(s->journal_max_size, rt->config->n_pipelines),
        .shed = rt->shed,
    };
    err = weft_pipeline_open(&p->pipeline, &options);
    return err ? failed(rt, config->id, "cannot make the pipeline", err) : 0;
}

/* ---- exporters ---- */
static bool names(const size_t *list, size_t n, size_t index)
{
    for (size_t i = 0; i < n; i++)
        if (list[i] == index)
            return true;
    return false;
}

static struct weft_lane_source source_of(const struct weft_shelf_entry *e)
{
    return (struct weft_lane_source){ .pipeline = e->id, .journal = e->journal, .signal = e->signal, .lasting = e->path != NULL,
                                      .ends = e->orphan };
}

static bool wants_orphan(const struct weft_shelf_entry *e, const char *exporter)
{
    return e->orphan && weft_shelf_waits_for(e, exporter);
}

/* The pipelines that name the exporter, and what waits for it in journals that have no pipeline any more. `sources` has room
 * for all journals. How many there are. */
static size_t find_sources(const struct weft_runtime *rt, size_t index, struct weft_lane_source *sources)
{
    size_t n = 0;

    for (size_t i = 0; i < rt->config->n_pipelines; i++) {
        const struct weft_config_pipeline *p = &rt->config->pipelines[i];
        if (names(p->exporters, p->n_exporters, index))
            sources[n++] = source_of(rt->pipelines[i].entry);
    }
    for (const struct weft_shelf_entry *e = weft_shelf_first(rt->shelf); e; e = e->next) {
        if (!wants_orphan(e, rt->exporters[index].component->id))
            continue;
        weft_log(&rt->log, WEFT_LOG_INFO, e->id, "%s; sending what waits in %s to '%s'", weft_shelf_why_orphan(e),
                 !e->replaced ? "its journal" : e->path ? e->path : "memory", rt->exporters[index].component->id);
        sources[n++] = source_of(e);
    }
    return n;
}

static size_t count_journals(const struct weft_runtime *rt)
{
    size_t n = 0;

    for (const struct weft_shelf_entry *e = weft_shelf_first(rt->shelf); e; e = e->next)
        n++;
    return n;
}

static int open_lane(struct weft_runtime *rt, struct weft_rt_exporter *e, size_t index)
{
    struct weft_lane_source *sources = calloc(count_journals(rt) + 1, sizeof *sources);

    if (!sources)
        return UV_ENOMEM;
    size_t n = find_sources(rt, index, sources);
    e->lane_account = weft_memory_lane(&rt->memory, e->component->id);
    struct weft_lane_setup setup = { .exporter = e->instance, .config = &e->lane_config, .sources = sources, .n_sources = n,
                                     .letters = e->letters, .account = e->lane_account };
    int err = weft_lane_open(&e->lane, &setup);
    free(sources);
    return err;
}

static int build_exporter(struct weft_runtime *rt, size_t index)
{
    struct weft_rt_exporter *e = &rt->exporters[index];
    const struct weft_config_component *c = e->component = &rt->config->components[WEFT_KIND_EXPORTER][index];

    if (!c->used)
        return 0;
    e->instance = make_instance(rt, c, &e->lane_config);
    if (!e->instance)
        return UV_ENOMEM;
    e->instance->type = c->type.exporter;
    e->instance->id = c->id;
    e->instance->log = &rt->log;
    e->instance->memory_limit = weft_memory_exporter_budget(&rt->memory);
    e->instance->account = weft_memory_exporter(&rt->memory, c->id);
    if (!e->instance->account)
        return UV_ENOMEM;
    int err = weft_runtime_open_letters(rt, e);
    if (err)
        return err;
    err = open_lane(rt, e, index);
    return err ? failed(rt, c->id, "cannot open the exporter's lane", err) : 0;
}

/* ---- receivers ---- */
static int open_intake(struct weft_runtime *rt, struct weft_rt_receiver *r, size_t index, enum weft_signal signal)
{
    struct weft_pipeline **pipelines = calloc(rt->config->n_pipelines, sizeof *pipelines);
    size_t n = 0;
    int err = 0;

    if (!pipelines)
        return UV_ENOMEM;
    for (size_t i = 0; i < rt->config->n_pipelines; i++) {
        const struct weft_config_pipeline *p = &rt->config->pipelines[i];
        if (p->signal == signal && names(p->receivers, p->n_receivers, index))
            pipelines[n++] = rt->pipelines[i].pipeline;
    }
    if (n > 0) {
        struct weft_intake_options options = { r->component->id, signal, pipelines, n, r->n_instances,
                                               (uint32_t)rt->config->service.journal_max_delay };
        err = weft_intake_open(&r->intakes[signal], &options);
    }
    free(pipelines);
    return err;
}

static void on_ring(void *data)
{
    const struct weft_rt_ear *ear = data;

    weft_intake_look(ear->intake, ear->sink, uv_now(weft_loop_uv(ear->loop)) * 1000000);
}

static void ring_loop(void *ctx)
{
    weft_loop_ring(ctx);
}

static void ring_loop_at(void *ctx, uint64_t at_ms)
{
    weft_loop_ring_at(ctx, at_ms);
}

static void listen_to(struct weft_rt_ear *ear, struct weft_intake *intake, size_t sink, struct weft_loop *loop)
{
    *ear = (struct weft_rt_ear){ .listener = { .on_ring = on_ring, .data = ear }, .intake = intake, .sink = sink, .loop = loop };
    weft_intake_set_ring(intake, sink, ring_loop, loop);
    weft_intake_set_alarm(intake, sink, ring_loop_at, loop);
    weft_loop_listen(loop, &ear->listener);
}

static int build_instance(struct weft_runtime *rt, struct weft_rt_receiver *r, size_t i)
{
    struct weft_receiver *instance = make_instance(rt, r->component, NULL);
    struct weft_loop *loop = rt->loops[(r->first_loop + i) % rt->n_loops];

    if (!instance)
        return UV_ENOMEM;
    r->instances[i] = instance;
    instance->type = r->component->type.receiver;
    instance->id = r->component->id;
    instance->log = &rt->log;
    instance->loop = weft_loop_uv(loop);
    instance->loop_index = (unsigned)i;
    instance->n_loops = (unsigned)r->n_instances;
    instance->memory_limit = weft_memory_receiver_budget(&rt->memory);
    instance->account = r->account;
    if (instance->type->finish) {
        instance->keep = weft_shelf_keep(rt->shelf, r->component->id);
        instance->keep_path = weft_keep_path(rt->config, r->component, &rt->arena);
    }
    for (int s = 0; s < WEFT_SIGNALS; s++) {
        if (!r->intakes[s])
            continue;
        instance->sinks[s] = weft_intake_sink(r->intakes[s], i, weft_loop_scratch(loop));
        if (instance->sinks[s]->await)
            listen_to(&r->ears[i * WEFT_SIGNALS + (size_t)s], r->intakes[s], i, loop);
    }
    return 0;
}

static int build_receiver(struct weft_runtime *rt, size_t index)
{
    struct weft_rt_receiver *r = &rt->receivers[index];
    int err = 0;

    r->component = &rt->config->components[WEFT_KIND_RECEIVER][index];
    if (!r->component->used)
        return 0;
    bool single = r->component->type.receiver->single;
    r->account = weft_memory_receiver(&rt->memory, r->component->id);
    if (!r->account)
        return UV_ENOMEM;
    r->n_instances = single ? 1 : rt->n_loops;
    r->first_loop = single ? index % rt->n_loops : 0;
    for (int s = 0; s < WEFT_SIGNALS && !err; s++)
        err = open_intake(rt, r, index, (enum weft_signal)s);
    if (!err && (!(r->instances = calloc(r->n_instances, sizeof(struct weft_receiver *))) ||
                 !(r->ears = calloc(r->n_instances * WEFT_SIGNALS, sizeof *r->ears))))
        err = UV_ENOMEM;
    for (size_t i = 0; i < r->n_instances && !err; i++)
        err = build_instance(rt, r, i);
    return err ? failed(rt, r->component->id, "cannot make the receiver", err) : 0;
}

/* ---- loops ---- */
static size_t choose_loops(const struct weft_config *config)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);

    if (config->service.ingest_loops > 0)
        return (size_t)config->service.ingest_loops;
    return processors < 1 ? 1 : processors > MAX_LOOPS_BY_DEFAULT ? MAX_LOOPS_BY_DEFAULT : (size_t)processors;
}

static int build_loops(struct weft_runtime *rt)
{
    rt->loops = calloc(rt->n_loops, sizeof(struct weft_loop *));
    if (!rt->loops)
        return UV_ENOMEM;
    for (size_t i = 0; i < rt->n_loops; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "ingest-%zu", i % 1000);
        struct weft_loop_options options = { name, weft_memory_scratch_limit(&rt->memory), rt->memory.scratch };
        int err = weft_loop_open(&rt->loops[i], &options);
        if (err)
            return failed(rt, "agent", "cannot open an ingest loop", err);
    }
    return 0;
}

/* ---- the whole ---- */
int weft_runtime_build(struct weft_runtime *rt)
{
    const struct weft_config *config = rt->config;
    int err = 0;

    weft_arena_init(&rt->arena, ARENA_LIMIT);
    rt->n_loops = choose_loops(config);
    rt->pipelines = calloc(config->n_pipelines + 1, sizeof *rt->pipelines);
    rt->exporters = calloc(config->n_components[WEFT_KIND_EXPORTER] + 1, sizeof *rt->exporters);
    rt->receivers = calloc(config->n_components[WEFT_KIND_RECEIVER] + 1, sizeof *rt->receivers);
    rt->extensions = calloc(config->n_components[WEFT_KIND_EXTENSION] + 1, sizeof *rt->extensions);
    if (!rt->pipelines || !rt->exporters || !rt->receivers || !rt->extensions || weft_shed_open(&rt->shed))
        return failed(rt, "agent", "cannot start", UV_ENOMEM);
    err = weft_shelf_begin(rt->shelf, &config->service, config->n_pipelines);
    for (size_t i = 0; i < config->n_pipelines && !err; i++)
        err = build_pipeline(rt, i);
    if (!err)
        err = weft_runtime_open_memory(rt);
    if (!err)
        weft_shelf_finish(rt->shelf);
    for (size_t i = 0; i < config->n_components[WEFT_KIND_EXPORTER] && !err; i++)
        err = build_exporter(rt, i);
    if (!err)
        weft_runtime_bound_records(rt);
    if (!err)
        err = build_loops(rt);
    for (size_t i = 0; i < config->n_components[WEFT_KIND_RECEIVER] && !err; i++)
        err = build_receiver(rt, i);
    return err;
}

/* The lanes have ended, the journals are still open: a receiver may keep what has become safe. */
static void free_instance(struct weft_receiver *instance)
{
    if (instance && instance->type->finish)
        instance->type->finish(instance);
    free(instance);
}

static void free_receivers(struct weft_runtime *rt)
{
    for (size_t i = 0; rt->receivers && i < rt->config->n_components[WEFT_KIND_RECEIVER]; i++) {
        struct weft_rt_receiver *r = &rt->receivers[i];
        for (size_t k = 0; r->instances && k < r->n_instances; k++)
            free_instance(r->instances[k]);
        free(r->instances);
        free(r->ears);
        for (int s = 0; s < WEFT_SIGNALS; s++)
            weft_intake_close(r->intakes[s]);
    }
    free(rt->receivers);
}

static void free_pipelines(struct weft_runtime *rt)
{
    for (size_t i = 0; rt->pipelines && i < rt->config->n_pipelines; i++) {
        struct weft_rt_pipeline *p = &rt->pipelines[i];
        for (size_t k = 0; p->processors && k < p->config->n_processors && p->processors[k]; k++) {
            if (p->started[k] && p->processors[k]->type->stop)
                p->processors[k]->type->stop(p->processors[k]);
            free(p->processors[k]->counters);
            free(p->processors[k]);
        }
        free(p->processors);
        free(p->started);
        weft_pipeline_close(p->pipeline);
    }
    free(rt->pipelines);
}

void weft_runtime_unbuild(struct weft_runtime *rt)
{
    free_receivers(rt);
    for (size_t i = 0; rt->loops && i < rt->n_loops; i++)
        weft_loop_free(rt->loops[i]);
    free(rt->loops);
    for (size_t i = 0; rt->exporters && i < rt->config->n_components[WEFT_KIND_EXPORTER]; i++) {
        weft_lane_free(rt->exporters[i].lane);
        free(rt->exporters[i].instance);
    }
    free(rt->exporters);
    free_pipelines(rt);
    weft_shed_close(rt->shed);
    for (size_t i = 0; rt->extensions && i < rt->config->n_components[WEFT_KIND_EXTENSION]; i++)
        free(rt->extensions[i].instance);
    free(rt->extensions);
    weft_arena_release(&rt->arena);
    weft_memory_close(&rt->memory);
}

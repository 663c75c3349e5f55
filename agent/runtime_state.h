/* SPDX-License-Identifier: Apache-2.0 */
/* runtime_state.h: what a runtime is made of; read by runtime*.c and by who shows its figures (metrics.c, api.c). Arrays
 * are made at open and only freed by free, so reading them needs no lock. */
#ifndef WEFT_AGENT_RUNTIME_STATE_H
#define WEFT_AGENT_RUNTIME_STATE_H

#include "agent/lane.h"
#include "agent/loop.h"
#include "agent/memory.h"
#include "agent/pipeline.h"
#include "agent/runtime.h"
#include "agent/shed.h"

#include <stdatomic.h>

enum weft_phase { WEFT_PHASE_NEW, WEFT_PHASE_RUNNING, WEFT_PHASE_STOPPING, WEFT_PHASE_STOPPED };

struct weft_rt_pipeline {
    const struct weft_config_pipeline *config;
    const struct weft_shelf_entry *entry;   /* its journal */
    struct weft_pipeline *pipeline;
    struct weft_processor **processors;     /* config->n_processors of them */
    struct weft_account *account;           /* the journal's row */
    bool *started;                          /* of the processors */
};

struct weft_rt_exporter {
    const struct weft_config_component *component;
    struct weft_lane_config lane_config;
    struct weft_exporter *instance;
    struct weft_account *letters_account;   /* the dead letters' row */
    struct weft_account *lane_account;      /* the lane's */
    struct weft_letters *letters;           /* what its back end refused for good */
    uint64_t evicted_before;                /* items that had been evicted from them when this runtime began */
    struct weft_lane *lane;                 /* NULL: not used by a pipeline (so are letters) */
};

/* Wakes a sink whose yes waits. */
struct weft_rt_ear {
    struct weft_loop_listener listener;
    struct weft_intake *intake;
    size_t sink;
    struct weft_loop *loop;
};

struct weft_rt_receiver {
    const struct weft_config_component *component;
    struct weft_receiver **instances;       /* NULL: not used by a pipeline */
    size_t n_instances, first_loop;         /* instance i lives on loop first_loop + i */
    struct weft_intake *intakes[WEFT_SIGNALS];
    struct weft_rt_ear *ears;               /* [instance * WEFT_SIGNALS + signal] */
    struct weft_account *account;
};

struct weft_rt_extension {
    const struct weft_config_component *component;
    struct weft_extension *instance;
    bool started;
};

struct weft_runtime {
    const struct weft_config *config;
    struct weft_shelf *shelf;
    struct weft_log log;
    struct weft_arena arena;                /* strings of the instances' options */
    struct weft_rt_pipeline *pipelines;     /* config->n_pipelines */
    struct weft_rt_exporter *exporters;     /* as many as configured, same index */
    struct weft_rt_receiver *receivers;     /* the same */
    struct weft_rt_extension *extensions;   /* the same */
    struct weft_loop **loops;
    size_t n_loops;
    struct weft_extension_host extension_host;
    struct weft_shed *shed;
    struct weft_memory memory;
    uv_mutex_t figures_lock;                /* a lane's figures may not be asked for while it is joined */
    _Atomic int phase;                      /* enum weft_phase */
    bool ran;                               /* lanes were started: what they leave is worth a line */
    int stop_result;
};

/* Brings the ledger's rows of journals and dead letters up to date, which count for themselves. Main thread. */
void weft_runtime_count_memory(const struct weft_runtime *rt);

/* Tells each pipeline what its exporters can make requests of, so that nothing else is taken. After the exporters are built. */
void weft_runtime_bound_records(const struct weft_runtime *rt);

/* Shares memory_limit out; the pipelines' journals must be open (runtime_memory.c). 0 or UV_ENOMEM after a log line. */
int weft_runtime_open_memory(struct weft_runtime *rt);

/* The figures of exporter `index`, which must have a lane: live ones until it has been stopped, then its last. Any thread. */
void weft_runtime_lane_stats(const struct weft_runtime *rt, size_t index, struct weft_lane_stats *ret_stats);

/* Parts of weft_runtime_open, in order (runtime_build.c). Each logs its own failure. */
int weft_runtime_build(struct weft_runtime *rt);
/* The dead-letter journal of a used exporter (runtime_letters.c). */
int weft_runtime_open_letters(struct weft_runtime *rt, struct weft_rt_exporter *e);

/* Frees what build made; nothing of it may run. */
void weft_runtime_unbuild(struct weft_runtime *rt);

#endif

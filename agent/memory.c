/* SPDX-License-Identifier: Apache-2.0 */
/* memory.c: see memory.h. */
#include "agent/memory.h"

#include "agent/metrics_process.h"

#include <assert.h>
#include <malloc.h>
#include <stdio.h>
#include <uv.h>

enum {
    LEAST_RECEIVER_BUDGET = 4 << 20,
    LEAST_EXPORTER_BUDGET = 2 << 20,
    LEAST_EXPORTER_PART = 1 << 20, /* one connection, one small request and a list of records: with less nothing would ever be sent */
    REQUEST_COST = 256 << 10,      /* of a request beside its body */
    LIST_COST = 160 << 10,         /* of a batch beside the states of its items */
    NAME_MAX_LEN = 300,
    TRIM_FROM = 1 << 20,             /* what the heap may keep for itself */
};

static uint64_t share(uint64_t whole, size_t n)
{
    return whole / (n ? n : 1);
}

static struct weft_account *open_named(struct weft_memory *m, struct weft_account *parent, const char *kind, const char *id,
                                       uint64_t guarantee)
{
    char name[NAME_MAX_LEN];

    (void)snprintf(name, sizeof name, "%s/%s", kind, id);
    return weft_account_open(m->ledger, parent, name, guarantee, 0);
}

static uint64_t exporter_part(const struct weft_memory *m)
{
    uint64_t part = share(m->spare / 5, m->plan.n_exporters);

    return part > LEAST_EXPORTER_PART ? part : LEAST_EXPORTER_PART;
}

static uint64_t all_exporters(const struct weft_memory *m)
{
    return m->exporter_part * m->plan.n_exporters;
}

int weft_memory_open(struct weft_memory *m, const struct weft_memory_plan *plan)
{
    const uint64_t fixed = plan->journals + plan->letters + WEFT_MEMORY_PROCESS;

    *m = (struct weft_memory){ .plan = *plan };
    m->spare = plan->limit > fixed + WEFT_MEMORY_LEAST ? plan->limit - fixed : WEFT_MEMORY_LEAST;
    m->exporter_part = exporter_part(m);
    int err = weft_ledger_open(&m->ledger, plan->limit);
    if (err)
        return err;
    struct weft_account *process = weft_account_open(m->ledger, NULL, "process", WEFT_MEMORY_PROCESS, 0);
    m->ingest = weft_account_open(m->ledger, NULL, "ingest", m->spare / 2, 0);
    m->export = weft_account_open(m->ledger, NULL, "export", all_exporters(m), 0);
    m->scratch = m->ingest ? weft_account_open(m->ledger, m->ingest, "scratch", m->spare / 8, 0) : NULL;
    if (!process || !m->scratch || !m->export) {
        weft_memory_close(m);
        return UV_ENOMEM;
    }
    weft_account_set(process, WEFT_MEMORY_PROCESS);
    return 0;
}

/* Whoever took has given back: a difference is a leak, or an owner that counts wrongly. */
static bool is_even(void *ctx, const struct weft_account *a)
{
    const struct weft_memory *m = ctx;
    bool counts = a->parent == m->ingest || a->parent == m->export;

    assert(!counts || atomic_load(&a->used) == 0);
    (void)counts;
    return true;
}

static uint64_t heap_excess(const struct weft_memory *m)
{
    uint64_t anonymous = weft_process_anonymous_bytes(), used = weft_ledger_used(m->ledger);

    return anonymous > used ? anonymous - used : 0;
}

void weft_memory_trim(struct weft_memory *m)
{
    uint64_t excess = m->ledger ? heap_excess(m) : 0;

    if (excess <= TRIM_FROM)
        m->untrimmable = 0;
    if (excess <= m->untrimmable + TRIM_FROM)
        return;
    (void)malloc_trim(0);
    m->untrimmable = heap_excess(m);
}

void weft_memory_close(struct weft_memory *m)
{
    weft_ledger_visit(m->ledger, is_even, m);
    weft_ledger_close(m->ledger);
    *m = (struct weft_memory){ 0 };
}

struct weft_account *weft_memory_journal(struct weft_memory *m, const char *id)
{
    return open_named(m, NULL, "journal", id, share(m->plan.journals, m->plan.n_pipelines));
}

struct weft_account *weft_memory_letters(struct weft_memory *m, const char *id)
{
    return open_named(m, NULL, "letters", id, share(m->plan.letters, m->plan.n_exporters));
}

struct weft_account *weft_memory_receiver(struct weft_memory *m, const char *id)
{
    return open_named(m, m->ingest, "receiver", id, share(m->spare / 8, m->plan.n_receivers));
}

/* Three quarters of an exporter's part are for its requests, one for the lists of records that they are made from. */
struct weft_account *weft_memory_exporter(struct weft_memory *m, const char *id)
{
    return open_named(m, m->export, "exporter", id, m->exporter_part / 4 * 3);
}

struct weft_account *weft_memory_lane(struct weft_memory *m, const char *id)
{
    return open_named(m, m->export, "lane", id, m->exporter_part / 4);
}

uint64_t weft_memory_ingest_most(const struct weft_memory *m)
{
    uint64_t rest = m->spare > all_exporters(m) ? m->spare - all_exporters(m) : 0;

    return rest > m->spare / 2 ? rest : m->spare / 2;
}

size_t weft_memory_scratch_limit(const struct weft_memory *m)
{
    const uint64_t wanted = 4 * (uint64_t)m->plan.largest_record + (1 << 20);
    uint64_t beside = weft_memory_ingest_most(m) - weft_memory_receiver_budget(m);

    return (size_t)(wanted < beside ? wanted : beside);
}

static uint64_t above(const struct weft_account *a, uint64_t fixed)
{
    uint64_t most = weft_account_most(a);

    return most > fixed ? most - fixed : 0;
}

uint64_t weft_memory_item_most(const struct weft_account *exporter, unsigned percent)
{
    return percent ? above(exporter, REQUEST_COST) / percent * 100 : UINT64_MAX;
}

uint64_t weft_memory_items_most(const struct weft_account *lane)
{
    return above(lane, LIST_COST);
}

/* However little there is, a third of it is left for the scratch: without, nothing that a processor changes could be taken. */
uint64_t weft_memory_receiver_budget(const struct weft_memory *m)
{
    uint64_t most = weft_memory_ingest_most(m), part = most / 20 * 9;
    uint64_t least = most / 3 * 2 < LEAST_RECEIVER_BUDGET ? most / 3 * 2 : LEAST_RECEIVER_BUDGET;

    return part > least ? part : least;
}

uint64_t weft_memory_exporter_budget(const struct weft_memory *m)
{
    uint64_t part = m->exporter_part;

    return part > LEAST_EXPORTER_BUDGET ? part : LEAST_EXPORTER_BUDGET;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* memory.h: service.memory_limit, shared out: which owners of memory there are in a runtime, and what each is sure of.
 *
 *   process     what is not counted one by one: code, stacks, libraries, the admin server; a fixed sum
 *   journal/ID  of each pipeline; all of its size is set aside from the start, in memory mode
 *   letters/ID  of each exporter, the same
 *   ingest      half of the rest: receiver/ID and scratch (where processors work)
 *   export      a fifth, but at least 1 MiB for each: exporter/ID and lane/ID
 *
 * and what is left is for whoever comes first. So ingest cannot take what exporters need to empty a journal, nor the
 * other way round, and all of them together cannot pass the limit.
 *
 * Opened before anything that takes from it, closed after. Main thread; the accounts themselves: any thread.
 */
#ifndef WEFT_AGENT_MEMORY_H
#define WEFT_AGENT_MEMORY_H

#include "core/ledger.h"

#include <stddef.h>

struct weft_memory_plan {
    uint64_t limit;              /* service.memory_limit */
    uint64_t journals, letters;  /* of it, set aside for all of each */
    size_t n_pipelines, n_receivers, n_exporters; /* of those that are used */
    size_t largest_record;       /* bytes */
};

struct weft_memory {
    struct weft_memory_plan plan;
    struct weft_ledger *ledger;
    struct weft_account *ingest, *export, *scratch;
    uint64_t untrimmable;        /* what the last trim left of the difference between process and ledger */
    uint64_t spare;              /* what is left beside process, journals and letters; at least WEFT_MEMORY_LEAST */
    uint64_t exporter_part;      /* of it, for each exporter and its lane */
};

enum { WEFT_MEMORY_PROCESS = 10 << 20, WEFT_MEMORY_LEAST = 8 << 20 };

/* 0 or UV_ENOMEM. */
int weft_memory_open(struct weft_memory *m, const struct weft_memory_plan *plan);
void weft_memory_close(struct weft_memory *m); /* all that was taken has been given back; accepts a zeroed one */

/* Gives what the heap keeps between its blocks back to the system when that is much: after a storm of large bodies it can be as much as
 * they were. For once a second; costs a look at the process's figures unless there is something to give. */
void weft_memory_trim(struct weft_memory *m);

/* A new account for one owner. NULL: no memory. */
struct weft_account *weft_memory_journal(struct weft_memory *m, const char *id);
struct weft_account *weft_memory_letters(struct weft_memory *m, const char *id);
struct weft_account *weft_memory_receiver(struct weft_memory *m, const char *id);
struct weft_account *weft_memory_exporter(struct weft_memory *m, const char *id);
struct weft_account *weft_memory_lane(struct weft_memory *m, const char *id);

/* The most that all of ingest can have at once. */
uint64_t weft_memory_ingest_most(const struct weft_memory *m);

/* What a loop's scratch may hold at most, so that a request that is refused for want of memory finds it when nobody else needs
 * any: what would never fit beside the record itself is too large for ever. */
size_t weft_memory_scratch_limit(const struct weft_memory *m);

/* The largest item that an exporter of that account can make a request of, `percent` bytes of memory for 100 of the item's, and the
 * most items of a record that a lane of that account can list, when nobody else needs any memory. */
uint64_t weft_memory_item_most(const struct weft_account *exporter, unsigned percent);
uint64_t weft_memory_items_most(const struct weft_account *lane);

/* What an instance of a receiver, and an exporter, plan with (component.h: memory_limit). */
uint64_t weft_memory_receiver_budget(const struct weft_memory *m);
uint64_t weft_memory_exporter_budget(const struct weft_memory *m);

#endif

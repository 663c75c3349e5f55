/* SPDX-License-Identifier: Apache-2.0 */
/* shed.h: who is held back and who is refused first while a journal fills up.
 *
 * A request is worth what its most important item is worth:
 *
 *   DEBUG  a log record below INFO
 *   INFO   a log record below WARN, or a span that did not fail
 *   VITAL  everything else: errors and warnings, metrics, and whatever carries a trace ID or a correlation.id that an error
 *          carried lately (on a span that failed or a log record of ERROR and above, in any pipeline)
 *
 *   fill of the fullest journal   below 80 %   from 80 %   from 90 %   100 %
 *   refused                       nothing      DEBUG       INFO too    everything: there is no room
 *   held back                     nothing      INFO        nothing     nothing
 *
 * What would be refused next is taken, but its yes is held back, the longer the nearer that step: clients that wait for it slow
 * down. VITAL is never held back: its next step is the end, and slowing it down is what the other steps are there to prevent.
 *
 *   (1) Below WEFT_SHED_LEARN permille a request costs a comparison of numbers; its items are not looked at.
 *   (2) Which IDs erred lately is a table of fixed size without locks: an ID may be forgotten early, which makes its
 *       data no worse than the rest. Ids are kept as keyed hashes.
 *   (3) A refusal is always one that may be tried again; the wait that is asked for grows with the fill.
 *
 * One weft_shed serves all pipelines and loops of a runtime. Any thread.
 */
#ifndef WEFT_AGENT_SHED_H
#define WEFT_AGENT_SHED_H

#include "core/journal.h"

#include <stdatomic.h>

enum weft_worth { WEFT_WORTH_DEBUG, WEFT_WORTH_INFO, WEFT_WORTH_VITAL };

/* Fill in permille at which each step begins. LEARN: errors are noted from here on. */
enum { WEFT_SHED_LEARN = 600, WEFT_SHED_DEBUG = 800, WEFT_SHED_INFO = 900 };

struct weft_shed;

/* 0 or UV_ENOMEM. */
int weft_shed_open(struct weft_shed **ret_shed);
void weft_shed_close(struct weft_shed *s); /* accepts NULL */

/* What a well formed request is worth; notes the IDs of its errors. Malformed bytes are worth INFO. */
enum weft_worth weft_shed_weigh(struct weft_shed *s, enum weft_signal signal, struct weft_slice payload, uint64_t now_ns);

/* Whether a request is refused at that fill. */
static inline bool weft_shed_refuses(enum weft_worth worth, uint32_t permille)
{
    return (worth == WEFT_WORTH_DEBUG && permille >= WEFT_SHED_DEBUG) || (worth == WEFT_WORTH_INFO && permille >= WEFT_SHED_INFO);
}

/* Milliseconds for which the yes to a request that is not refused is held back: from 0 where DEBUG is refused to max_ms where what
 * it is worth is refused, too. */
uint32_t weft_shed_delay_ms(enum weft_worth worth, uint32_t permille, uint32_t max_ms);

/* Seconds that a refused client should wait: 2 at the step's beginning, 10 when the journal is full. */
uint32_t weft_shed_wait_s(enum weft_worth worth, uint32_t permille);

/* ---- how full a journal is, without asking it each time ---- */

/* The fill as it was lately: asked again after WEFT_GAUGE_NS, or after a 64th of the journal's size went in (by one loop). */
enum { WEFT_GAUGE_NS = 5000000, WEFT_GAUGE_PARTS = 64 };

struct weft_gauge {
    _Atomic uint64_t due_ns;
    _Atomic uint32_t permille;
};

/* Asks the journal now. */
uint32_t weft_gauge_ask(struct weft_gauge *g, struct weft_journal *j, uint64_t now_ns);

/* `*unseen`: bytes that the caller's loop has put in since it asked last; `step`: how many are too many. */
static inline uint32_t weft_gauge_read(struct weft_gauge *g, struct weft_journal *j, uint64_t now_ns, uint64_t *unseen,
                                       uint64_t step)
{
    if (*unseen < step && now_ns < atomic_load_explicit(&g->due_ns, memory_order_relaxed))
        return atomic_load_explicit(&g->permille, memory_order_relaxed);
    *unseen = 0;
    return weft_gauge_ask(g, j, now_ns);
}

#endif

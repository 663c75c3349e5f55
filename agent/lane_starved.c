/* SPDX-License-Identifier: Apache-2.0 */
/* lane_starved.c: what a lane does when there is no memory for a request.
 *
 * Nothing was sent, and the back end has nothing to do with it. Exporters make their requests smaller first, down to one item, so
 * it is one item that waits; what others hold comes back, and the lane sends nothing else meanwhile. When the item
 * has waited for `starve_ms` although nothing of this exporter was out, it does not hold up the rest any longer: it is refused for
 * good, counted, and kept as a dead letter. So a lane never waits for ever. */
#include "agent/lane_state.h"

enum { STARVED_MS = 200, STARVE_MS = 30000 };

/* True: it has waited for long enough. Whatever moves begins the wait anew. */
static bool is_patient_no_more(struct weft_lane *lane, struct weft_lane_batch *b)
{
    uint64_t now = uv_now(&lane->loop);

    if (!b->starved_since_ms || b->starved_counted != b->counted || lane->n_out > 0) {
        b->starved_since_ms = now;
        b->starved_counted = b->counted;
    }
    return now - b->starved_since_ms >= (lane->starve_ms ? lane->starve_ms : STARVE_MS);
}

static void refuse_first(struct weft_lane *lane, struct weft_lane_batch *b)
{
    const char *words = "there was none for a request of this item alone; raise service.memory_limit";
    uint64_t first = 0;

    while (first < b->base.n_items && b->base.item_state[first] != WEFT_ITEM_WAITING)
        first++;
    (void)weft_lane_mark(lane, b, first, 1, WEFT_ITEM_REJECTED, WEFT_REASON_MEMORY, words);
    weft_lane_note_refused(lane, b, 1, WEFT_REASON_MEMORY, words);
    weft_lane_end_letters(lane);
}

bool weft_lane_starve(struct weft_lane *lane, struct weft_lane_batch *b, const char *detail)
{
    b->place = WEFT_LANE_READY;
    if (!is_patient_no_more(lane, b)) {
        weft_lane_log_failure(lane, b, WEFT_REASON_MEMORY, detail, "waiting for memory");
        lane->starved_until_ms = uv_now(&lane->loop) + STARVED_MS;
        return false;
    }
    refuse_first(lane, b);
    b->starved_since_ms = 0;
    return b->counted == b->base.n_items;
}

bool weft_lane_starve_unlisted(struct weft_lane *lane, struct weft_lane_batch *b)
{
    const char *detail = "no room for the states of its items";

    if (!is_patient_no_more(lane, b)) {
        weft_lane_log_failure(lane, b, WEFT_REASON_MEMORY, detail, "waiting for memory");
        return false;
    }
    weft_lane_log_failure(lane, b, WEFT_REASON_MEMORY, detail, "giving the items up, counted as dropped");
    weft_lane_count_lost(lane, b, WEFT_ITEM_DROPPED, WEFT_REASON_MEMORY, b->base.n_items - b->counted);
    weft_lane_settle(lane, b);
    return true;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* lane_replay.h: sending again, beside what is delivered: dead letters, or records that the journals still keep.
 *
 *   (1) Live delivery goes first and its cursors are not touched. One batch of a replay is out at most, in a slot that live
 *       batches leave free; under a load that leaves none, every WEFT_LANE_REPLAY_SHARE-th batch is the replay's.
 *   (2) It ends by itself: only what was there when it began is sent, and of records only what the lane had settled already (the
 *       rest is on its way anyway).
 *   (3) A dead letter leaves its journal when each of its items was sent, or was refused once more and written anew.
 *       One that was given up or left out stays, and so does one for which there is no room but that of other letters.
 *   (4) Items keep their names (journal, sequence, number), so Elasticsearch answers 409 to those that it has: fine.
 *   (5) It is counted apart: what the pipelines took = sent + failed + dropped + waiting does not know of it.
 *   (6) Stopping does not wait for a replay: what it has not sent stays where it is. */
#ifndef WEFT_AGENT_LANE_REPLAY_H
#define WEFT_AGENT_LANE_REPLAY_H

#include "agent/lane.h"
#include "core/match.h"

enum { WEFT_LANE_REPLAY_SHARE = 16 };

enum weft_replay_state { WEFT_REPLAY_RUNNING, WEFT_REPLAY_DONE, WEFT_REPLAY_CANCELLED, WEFT_REPLAY_STOPPED };

struct weft_replay_setup {
    bool letters;                          /* dead letters; false: records of the journals */
    char reason[WEFT_LETTER_REASON + 1];   /* letters: only these; "": all */
    uint64_t before_ns;                    /* letters: refused before this; 0: all */
    uint64_t since_ns, until_ns;           /* records: arrived between these; until 0: whenever */
    struct weft_match *match;              /* records: only items that match; taken; NULL: all */
};

struct weft_replay_progress {
    uint64_t number;                       /* 1 for the lane's first replay; 0: there was none */
    enum weft_replay_state state;
    bool letters;
    uint64_t total_items;                  /* what there was to look at when it began */
    uint64_t seen_items;                   /* of those: looked at and done with */
    uint64_t expired_items;                /* of those: gone before their turn came (the journal needed the room) */
    uint64_t sent_items, rejected_items, dropped_items;
    uint64_t kept_since_ns;                /* of what arrived before this, some or all is not kept any more; 0: all of `since` is */
    uint64_t began_ns, ended_ns;           /* wall clock; ended 0: not yet */
};

/* Begins a replay. 0; UV_EBUSY: one is running; WEFT_ERR_DRAINING; UV_ENOMEM; WEFT_ERR_NOT_FOUND: the lane has no dead letters. After an
 * error setup->match is still the caller's. Main thread, as all of these; not beside join or free. */
int weft_lane_replay_begin(struct weft_lane *lane, const struct weft_replay_setup *setup);

/* How the last replay goes or went. */
void weft_lane_replay_progress(const struct weft_lane *lane, struct weft_replay_progress *ret_progress);

/* Ends it after the batch that is out. */
void weft_lane_replay_cancel(struct weft_lane *lane);

/* "running", "done", "cancelled", "stopped" */
const char *weft_replay_state_name(enum weft_replay_state state);

#endif

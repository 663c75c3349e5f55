/* SPDX-License-Identifier: Apache-2.0 */
/* lane_state.h: what the lane's files share, and nobody else includes.
 *
 *   lane.c            the thread, its timers, what is sent next
 *   lane_batch.c      batches: read from a cursor, judged item by item, settled in order
 *   lane_letters.c    refused items on their way into the dead-letter journal
 *   lane_endpoints.c  where a batch goes: breaker, backoff and limit of each endpoint
 *   lane_starved.c    no memory for a request: who waits, and for how long
 *   lane_words.c      lines of the log
 *   lane_replay.c     what is sent again, beside all that
 *   lane_figures.c    counters, losses by reason
 *
 * Everything here belongs to the lane's thread, but for the atomics and what lane_figures.c reads through them. */
#ifndef WEFT_AGENT_LANE_STATE_H
#define WEFT_AGENT_LANE_STATE_H

#include "agent/beat.h"
#include "agent/bell.h"
#include "agent/lane.h"
#include "agent/lane_endpoints.h"
#include "agent/lane_replay.h"
#include "agent/lane_words.h"
#include "core/otlp_subset.h"

#include <stdatomic.h>

enum {
    WEFT_LANE_ITEMS = 8192,        /* of a batch, unless the exporter or the configuration says otherwise */
    WEFT_LANE_BYTES = 1 << 20,
    WEFT_LANE_RECORDS = 1024,      /* at most, whatever their size */
    WEFT_LANE_KEPT_STATES = 65536, /* item states that a batch keeps when it is empty */
};

enum weft_lane_batch_place {
    WEFT_LANE_READY, /* to be sent, for the first time or again */
    WEFT_LANE_OUT,   /* with the exporter */
    WEFT_LANE_LEFT,  /* the lane stops; it will not be sent */
    WEFT_LANE_FINAL, /* every item has its outcome; waits for the batches before it to be settled */
};

struct weft_lane_batch {
    struct weft_batch base;           /* first: the exporter's pointer is ours */
    struct weft_lane_batch *next;     /* in its source's list, or in the list of free ones */
    struct weft_lane_reader *reader;  /* NULL: a batch of the replay */
    struct weft_lane_replay *replay;  /* NULL: a live batch */
    enum weft_lane_batch_place place;
    uint64_t last_sequence;
    uint64_t sent_at_ns;
    uint64_t first_failure_ms;        /* 0: none yet */
    uint64_t starved_since_ms;        /* 0: there was memory, or something has moved since */
    uint64_t starved_counted;         /* `counted` at that time */
    uint64_t counted, counted_sent;   /* items whose outcome is in the counters; those of them that were sent */
    size_t n_state_room;
    struct weft_account *account;     /* the lane's: holds the lists and the states */
    bool prepared;                    /* item_state has room for all items */
};

/* One pipeline that the lane reads. */
struct weft_lane_reader {
    struct weft_lane_source source;
    char *pipeline;                        /* source.pipeline, ours */
    struct weft_cursor *cursor;            /* NULL: the journal has ended and been left */
    struct weft_lane_batch *first, **last; /* unsettled batches, oldest first */
    struct weft_record ahead;              /* read, and did not fit into the last batch */
    bool has_ahead;
    _Atomic uint64_t oldest_wall_ns;       /* arrival of the first record of `first`; 0: none is unsettled */
    _Atomic uint64_t counted_items;        /* have an outcome, and are not settled yet */
    uint64_t skipped_items, lost_items;    /* of the closed cursor; set when it is closed */
    uint64_t recovered_items;              /* waited when it was opened */
    uint64_t capacity_bytes;               /* of the journal */
};

/* Neighbours of one batch that were refused with the same words and are not in a letter yet. */
struct weft_lane_refusal {
    struct weft_lane_batch *batch;         /* NULL: there are none */
    uint64_t first, end;
    char reason[WEFT_LETTER_REASON + 1], detail[WEFT_LETTER_DETAIL + 1];
};

/* One loss by reason; slots are filled once and never change their name. */
struct weft_lane_slot {
    enum weft_lane_loss loss;
    enum weft_signal signal;
    char word[WEFT_LANE_REASON_LEN];
    _Atomic uint64_t items;
};

struct weft_lane {
    char *id;
    struct weft_exporter *exporter;
    struct weft_account *account;
    uint64_t starved_until_ms;  /* nothing is sent before: the exporter had no memory */
    uint64_t starve_ms;         /* how long an item waits for it; 0: 30 s */
    struct weft_lane_config config;
    int nice;
    size_t concurrency;
    uint64_t batch_items, batch_bytes;

    uv_loop_t loop;
    uv_thread_t thread;
    struct weft_bell bell;
    struct weft_beat beat;
    uv_prepare_t pump;          /* looks for work before each wait when `dirty` */
    uv_idle_t more;             /* active while there is work left after a pump: do not wait */
    uv_timer_t backoff, deadline, quiet;
    bool dirty, closing;

    struct weft_lane_reader *readers;
    size_t n_sources;           /* room of readers */
    size_t n_readers, turn;     /* turn: whose records are read next */
    struct weft_lane_batch *free_batches;
    size_t n_held;              /* batches of all readers that are READY or OUT; at most `concurrency` */
    size_t n_out;
    uint64_t sent_ms;           /* when the last batch went out, by the loop's clock */
    uint64_t n_read, n_read_when_quiet_began;

    struct weft_lane_endpoint *endpoints;
    size_t n_endpoints, next_endpoint; /* next_endpoint: whose turn it is */
    bool round_robin;           /* false: the first one that is well */
    uint64_t random;
    struct weft_lane_words words;

    struct weft_letters *letters;
    struct weft_lane_refusal refusal;
    struct weft_buf letter_body;
    struct weft_otlp_cutter cutter;                /* of a record of the batch that is being judged; no payload: of none */

    struct weft_lane_replay *replaying;            /* the one that runs; the lane's thread */
    _Atomic(struct weft_lane_replay *) replay_in;  /* the next one, from main */
    struct weft_lane_replay *replay;               /* the last one that main began; main's */
    uint64_t n_replays;
    bool replay_has_more;                          /* it stopped looking only to let the loop turn */
    bool replay_waits;                             /* what it has to read cannot be read, or listed, at the moment */
    unsigned live_in_a_row;                        /* live batches since the replay's last */
    _Atomic uint64_t replayed[WEFT_SIGNALS][WEFT_REPLAY_OUTCOMES];

    /* from and to main */
    uv_sem_t answer;            /* start has a result */
    int start_result;
    bool loop_open, thread_runs, joined;
    atomic_bool thread_ended;
    int join_result;
    struct weft_lane_left left, kept;
    uint64_t kept_lasting_items; /* of kept.items: in journals on disk */
    _Atomic uint64_t drain_until_ms; /* 0: not draining */
    atomic_bool parking;        /* send nothing new; set before drain_until_ms */
    bool lasting;               /* every journal lasts */
    bool hurried;               /* the deadline was cut to what requests that are out may take */

    /* figures: the lane's thread writes, anybody reads */
    _Atomic uint64_t sent_items[WEFT_SIGNALS], sent_bytes[WEFT_SIGNALS], retries[WEFT_SIGNALS];
    _Atomic uint64_t duration_count, duration_sum_ns, duration_buckets[WEFT_LANE_BUCKETS + 1];
    _Atomic unsigned in_flight;
    atomic_bool has_error;
    uv_mutex_t error_lock;      /* guards `error`, and a reader's cursor against being closed while figures are read */
    char error[WEFT_LANE_ERROR_LEN];
    _Atomic size_t n_slots;
    struct weft_lane_slot slots[WEFT_LANE_REASONS];
};

/* ---- lane_batch.c ---- */

/* A batch of what there is to read, whichever reader's turn it is; it is READY and in its reader's list. 1, 0 when nothing is
 * there, or UV_ENOMEM. */
int weft_lane_read(struct weft_lane *lane, struct weft_lane_batch **ret_batch);

/* Makes room for the state of each item. 0 or UV_ENOMEM: nothing is lost, ask again later. */
int weft_lane_prepare(struct weft_lane_batch *b);

/* The oldest batch that is READY; NULL: none. */
struct weft_lane_batch *weft_lane_ready(const struct weft_lane *lane);

/* Gives all WAITING items of a batch the outcome `state` and counts every item that has none counted yet. */
void weft_lane_judge(struct weft_lane *lane, struct weft_lane_batch *b, enum weft_item_state state, const char *reason,
                     const char *detail);

/* Counts items that the exporter itself has marked as sent. True when no item is WAITING any more. */
bool weft_lane_count_marked(struct weft_lane *lane, struct weft_lane_batch *b);

/* Marks [first, first + n) as `state`, as far as they are WAITING, and counts them (refused ones that go into a letter: at the
 * next flush). How many there were. */
uint64_t weft_lane_mark(struct weft_lane *lane, struct weft_lane_batch *b, uint64_t first, uint64_t n,
                        enum weft_item_state state, const char *reason, const char *detail);

/* Counts items as lost. */
void weft_lane_count_lost(struct weft_lane *lane, struct weft_lane_batch *b, enum weft_item_state state, const char *reason,
                          uint64_t n);

/* The batch is FINAL: settles what can be settled of its reader and frees those batches. */
void weft_lane_settle(struct weft_lane *lane, struct weft_lane_batch *b);

/* An empty batch, or NULL; and back. */
struct weft_lane_batch *weft_lane_get_batch(struct weft_lane *lane);
void weft_lane_put_batch(struct weft_lane *lane, struct weft_lane_batch *b);

/* Frees every batch there is, settled or not. After the exporter has stopped. */
void weft_lane_free_batches(struct weft_lane *lane);

/* ---- lane_letters.c ---- */

/* Items [first, first + n) of the batch, marked REJECTED already, are to be kept as dead letters. */
void weft_lane_refuse(struct weft_lane *lane, struct weft_lane_batch *b, uint64_t first, uint64_t n, const char *reason,
                      const char *detail);

/* Writes and counts what was held back. */
void weft_lane_flush_letters(struct weft_lane *lane);

/* The same, and forgets the records that it was cut from. Before a batch settles or is given up. */
void weft_lane_end_letters(struct weft_lane *lane);

/* ---- lane_starved.c ---- */

/* The exporter had no memory for what it was to send next of the batch. True: every item of the batch has its outcome now. */
bool weft_lane_starve(struct weft_lane *lane, struct weft_lane_batch *b, const char *detail);

/* There was none to prepare the batch. True: it was given up. */
bool weft_lane_starve_unlisted(struct weft_lane *lane, struct weft_lane_batch *b);

/* ---- lane_replay.c ---- */

/* Are they dead letters, one a record? */
bool weft_lane_replay_has_letters(const struct weft_lane_batch *b);

/* The batch's letter of that number stays, whatever becomes of its items. */
void weft_lane_replay_leave_letter(struct weft_lane_batch *b, size_t record);

/* Before each look for work: takes a new replay over, ends one that was cancelled, or whose lane stops. */
void weft_lane_replay_look(struct weft_lane *lane, bool stopping);

/* Live batches have had their share. */
bool weft_lane_replay_is_due(const struct weft_lane *lane);

/* Its batch to send: one that is READY, or a new one. 1; 0: none now. Without memory it waits and holds up nothing else. */
int weft_lane_replay_read(struct weft_lane *lane, struct weft_lane_batch **ret_batch);

/* 1 while a batch of it is with the exporter. */
size_t weft_lane_replay_out(const struct weft_lane *lane);

/* Counts an outcome of items of its batch. */
void weft_lane_replay_count(struct weft_lane *lane, struct weft_lane_batch *b, enum weft_replay_outcome outcome, uint64_t n);

/* Every item of its batch has its outcome. */
void weft_lane_replay_settle(struct weft_lane *lane, struct weft_lane_batch *b);

/* The lane's thread is gone: ends what runs and frees it all, but for the figures, which free takes away. */
void weft_lane_replay_close(struct weft_lane *lane);
void weft_lane_replay_free(struct weft_lane *lane);

/* ---- lane_figures.c ---- */
/* Closes the cursor of a reader that is done; its last figures stay. On the lane's thread. */
void weft_lane_leave(struct weft_lane *lane, struct weft_lane_reader *reader);
void weft_lane_figures_init(struct weft_lane *lane);
/* What the last send came to, in words; reason NULL: it went well. */
void weft_lane_note_error(struct weft_lane *lane, const char *reason, const char *detail);
void weft_lane_add(_Atomic uint64_t *counter, uint64_t n); /* one writer */
void weft_lane_lose(struct weft_lane *lane, enum weft_lane_loss loss, enum weft_signal signal, const char *reason,
                    uint64_t items);
void weft_lane_time(struct weft_lane *lane, uint64_t duration_ns);

#endif

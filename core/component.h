/* SPDX-License-Identifier: Apache-2.0 */
/* component.h: what receivers, processors and exporters are, and the contract of each slot.
 *
 * A component is a constant type and an instance. The type says how big the instance is; the agent allocates
 * and zeroes it, fills its options from the configuration, sets the embedded base (always the first member), and frees
 * it after stop. Components include core/ and nothing else; they never include each other.
 */
#ifndef WEFT_CORE_COMPONENT_H
#define WEFT_CORE_COMPONENT_H

#include "core/arena.h"
#include "core/buf.h"
#include "core/journal.h"
#include "core/ledger.h"
#include "core/log.h"
#include "core/option.h"

#include <uv.h>

/* ---- receivers: their protocol in, OTLP bytes out ---- */

/* Why items were refused or could not be read. Each is a value of the label `reason`. */
#define WEFT_REFUSAL_MAP(X)                                                          \
    X(FULL,        "journal_full")   /* told the client to try again */               \
    X(SHED_DEBUG,  "shed_debug")     /* the same: only TRACE and DEBUG logs */         \
    X(SHED_INFO,   "shed_info")      /* the same: nothing above INFO, no error known */ \
    X(MEMORY,      "memory_limit")   /* told the client to try again */               \
    X(DRAINING,    "shutting_down")  /* told the client to try again */               \
    X(TOO_LARGE,   "too_large")      /* told the client not to try again */           \
    X(MALFORMED,   "malformed")      /* the same */                                   \
    X(UNSUPPORTED, "unsupported")    /* the same: media type, encoding, path */       \
    X(TIMEOUT,     "timeout")        /* the peer was too slow */

enum weft_refusal {
#define X(name, text) WEFT_REFUSAL_##name,
    WEFT_REFUSAL_MAP(X)
#undef X
    WEFT_REFUSALS
};

/* A yes that waits: for the disk, or because a journal fills up. The receiver's own, and must stay where it is until done or
 * forgotten. */
struct weft_commit {
    /* On the sink's loop, once. 0: the record is durable, say yes. An error: the disk has failed, the client must hear a
     * retryable no (the record counts as accepted and may still arrive: what comes again is a duplicate). */
    void (*done)(struct weft_commit *commit, int err);
    /* private to the sink: */
    uint64_t ticket, due_ns;
    struct weft_commit *prev, *next;
    bool delayed;
};

/* Where a receiver delivers one signal; the pipeline implements it. Called on the receiver's loop. */
struct weft_sink {
    /* Runs the processors and appends. *record's payload is borrowed for the call; n_items must be set
     * (weft_otlp_count). Times may be 0: the sink then reads the clocks.
     *   0                   committed to the journal; now the receiver may say yes to its client
     *   WEFT_ERR_FULL       nothing was taken; say 429 / UNAVAILABLE, or stop reading for a while
     *   WEFT_ERR_SHED       the same, though more important data is still taken; retry_after_s says how long to wait
     *   WEFT_ERR_LIMIT      the same, because of memory_limit
     *   WEFT_ERR_DRAINING   the same, because of shutdown
     *   WEFT_ERR_TOO_LARGE  it can never fit; say 413
     *   WEFT_ERR_MALFORMED  a processor could not read it
     * Counts accepted items on 0 and refused items on every error; the receiver must not count again. What comes from a source (a
     * file) is offered again and again until it is taken: of what is put off, record->n_offered says how much has been before, and
     * what is too large with more than one item comes in parts and does not count at all. */
    int (*commit)(struct weft_sink *sink, struct weft_record *record);
    /* Asked right after a commit that returned 0, by a receiver whose clients believe its yes. False: say yes now. True: the
     * record is not durable yet, or its yes is held back (delay_ms), and commit->done follows, never from within this call. How
     * many may wait is bounded: beyond that no yes is held back, and where the disk confirms commit answers WEFT_ERR_LIMIT. NULL:
     * nothing to wait for. */
    bool (*await)(struct weft_sink *sink, struct weft_commit *commit);
    /* Nobody waits for this one any more: done is not called. Not after done. True: the record was durable, only its yes was held
     * back. NULL where await is. */
    bool (*forget)(struct weft_sink *sink, struct weft_commit *commit);
    /* Counts what never got as far as commit. `items` may be 0 when it is not known how many. */
    void (*refuse)(struct weft_sink *sink, enum weft_refusal reason, uint64_t items);
    /* After a commit that ended with WEFT_ERR_FULL or WEFT_ERR_SHED: which journal it is, and because of whom; for the log. After
     * WEFT_ERR_TOO_LARGE: for what; for the client, too. NULL: there is no more to say. */
    void (*explain)(struct weft_sink *sink, int err, char *words, size_t size);
    uint64_t most_bytes;    /* the largest payload that all its journals took when it was made */
    uint32_t retry_after_s; /* set by a commit that ends with WEFT_ERR_SHED */
    uint32_t delay_ms;      /* set by a commit that ends with 0: a journal fills up, and its yes is held back so long. Who has no
                               client (files) reads on that much later. 0: at once */

    /* What follows is for inputs that can be read again from a position (files). Positions of one source only grow, and
     * record->source says where it stands when the record is taken; record->again says that some journals may have the
     * record already: each that stands at its position or further leaves it out. */

    /* How many journals stand behind this sink, and whether they outlive the process. */
    size_t n_journals;
    bool on_disk;
    /* How far journal number `journal` has come with a source. False: it does not know the source. */
    bool (*position)(struct weft_sink *sink, size_t journal, uint64_t source, uint64_t *ret_position);
    /* The source is gone for good: no journal needs to remember it. */
    void (*forget_source)(struct weft_sink *sink, uint64_t source);
    /* Notes, in one of WEFT_SINK_MARKS places, what has been committed through this sink until now. */
    void (*mark)(struct weft_sink *sink, unsigned place);
    /* True when all of that is safe: every journal has it on disk, or has had it settled by each of its exporters. Positions
     * from before the mark may then be kept outside the journals. Also after the lanes have ended. */
    bool (*passed)(struct weft_sink *sink, unsigned place);
};

enum { WEFT_SINK_MARKS = 2 };

struct weft_receiver_type;

struct weft_receiver {
    const struct weft_receiver_type *type;
    const char *id;                        /* "otlp/internal", for logs and metrics */
    const struct weft_log *log;
    uv_loop_t *loop;                       /* the only thread that calls us */
    unsigned loop_index, n_loops;          /* which of the instances this is */
    uint64_t memory_limit;                 /* bytes this instance may hold in buffers of its own */
    struct weft_account *account;          /* of the receiver, all instances: every buffer that grows takes from it; NULL in tests */
    struct weft_buf *keep;                 /* what the receiver leaves in it in finish, the one of its id in the next configuration
                                              finds at start; it ends with the process. NULL: no such room */
    const char *keep_path;                 /* a file for what must outlive the process; the receiver makes it, and its directory
                                              when missing, and may make others beside it that begin with its name; NULL: none */
    struct weft_sink *sinks[WEFT_SIGNALS]; /* NULL: no pipeline wants that signal from us */
};

struct weft_receiver_type {
    const char *name;
    const char *summary;                   /* one line for `weft components` */
    size_t size;                           /* of the struct that embeds weft_receiver first */
    unsigned signals;                      /* 1u << WEFT_TRACES | ... that it can give */
    bool single;                           /* one instance on one loop (files), not one a loop (sockets) */
    const struct weft_option *options;
    /* Checks what the table cannot; reports into `problems`. Called without a loop (weft check). NULL: nothing to check. */
    int (*check)(struct weft_receiver *self, const struct weft_node *map, struct weft_problems *problems);
    /* Opens sockets or files on self->loop; called on that loop's thread before it runs. 0 or a negative code after
     * one log line saying what failed. With reuse_port all instances of a receiver bind the same address. */
    int (*start)(struct weft_receiver *self);
    /* Takes no new work (close listeners, send GOAWAY); requests in hand may finish. On the loop. */
    void (*quiesce)(struct weft_receiver *self);
    /* After quiesce: requests whose clients still send or have not had their answer. On the loop. NULL: never any. */
    unsigned (*in_hand)(struct weft_receiver *self);
    /* Closes every handle; the loop runs on until they are closed. Idempotent; accepts a half-started self. */
    void (*stop)(struct weft_receiver *self);
    /* After stop, when the lanes have delivered what they could and the journals are still open: keeps what must outlive
     * the process and frees the rest. On the main thread. Idempotent; accepts one that was never started. NULL: nothing to do. */
    void (*finish)(struct weft_receiver *self);
};

/* ---- processors: plain functions; a pipeline is a loop over them ---- */
struct weft_processor_type;

struct weft_processor {
    const struct weft_processor_type *type;
    const char *id;
    const struct weft_log *log;
    /* Counters of the processor, read by the agent from other threads: relaxed atomics. */
    _Atomic uint64_t *counters;            /* type->n_counters of them, by signal: [counter * WEFT_SIGNALS + signal] */
};

struct weft_processor_type {
    const char *name;
    const char *summary;
    size_t size;
    unsigned signals;
    const struct weft_option *options;
    int (*check)(struct weft_processor *self, const struct weft_node *map, struct weft_problems *problems);
    int (*start)(struct weft_processor *self);  /* NULL: nothing to prepare */
    void (*stop)(struct weft_processor *self);
    /* 1: keep. 0: drop the record (the caller counts it). < 0: an error of core/err.h. To change the data, build
     * new bytes in `scratch` and point record->payload at them; scratch lives until the commit is over. One instance serves
     * all ingest loops of its pipeline at once: what it changes of itself must be atomic. */
    int (*process)(struct weft_processor *self, struct weft_record *record, struct weft_arena *scratch);
    /* Names of self metrics the processor counts, without the prefix weft_ and the suffix _total; see counters. The labels
     * are `processor`, `signal` and the one given here. */
    const struct weft_counter { const char *name, *label, *value, *help; } *counter_rows;
    size_t n_counters;
};

/* ---- exporters: records in, requests out, on the exporter's own lane ---- */

/* What one item of a batch has come to. */
enum weft_item_state { WEFT_ITEM_WAITING = 0, WEFT_ITEM_SENT, WEFT_ITEM_REJECTED, WEFT_ITEM_DROPPED };

/* Records of one signal that one request should hold: read by the lane from one cursor. The exporter borrows it from
 * send until done. After a RETRY the lane sends the same batch again; items that are no longer WAITING
 * must then be left out. */
struct weft_batch {
    enum weft_signal signal;
    const char *pipeline;
    uint64_t journal_id;         /* with sequence and item index: a stable id of each item */
    struct weft_record *records;
    size_t n_records;
    uint64_t n_items, n_bytes;
    unsigned attempt;            /* 0 for the first */
    unsigned endpoint;           /* where this send goes: an index below what type->endpoint knows */
    bool probe;                  /* the endpoint failed before: begin with a small request, the rest when that went well */
    uint64_t probe_timeout_ms;   /* of that small request; 0: the exporter's own */
    uint8_t *item_state;         /* one enum weft_item_state an item, in order over all records */
    uint64_t sent_bytes;         /* exporter: bytes that went over the wire, for the metric */
    void *exporter_data;         /* exporter's own, per batch; NULL on the first attempt; freed by the exporter before a final done, or in forget */
};

enum weft_outcome {
    WEFT_SENT,     /* all items that were WAITING are sent now */
    WEFT_RETRY,    /* items still WAITING must be sent again */
    WEFT_REJECTED, /* all items that are WAITING are refused for good */
};

struct weft_lane; /* the agent's; opaque here */
struct weft_exporter_type;

struct weft_exporter {
    const struct weft_exporter_type *type;
    const char *id;
    const struct weft_log *log;
    uv_loop_t *loop;
    struct weft_lane *lane;
    const struct weft_exporter_host *host;
    uint64_t memory_limit;       /* bytes this exporter may hold in buffers of its own */
    struct weft_account *account; /* every buffer that grows takes from it; NULL in tests */
    unsigned concurrency;        /* batches that will be out at once at most; set by the lane before start */
};

/* The reason of a RETRY for which there was no memory, so that nothing was sent: the batch comes again after a while, and no
 * breaker hears of it. */
#define WEFT_REASON_MEMORY "memory_limit"

/* What the lane does for its exporter; all on the lane's thread. */
struct weft_exporter_host {
    /* Ends one send, exactly once each, now or later. `reason`: a short stable word for metrics ("sent", "timeout",
     * "connection", "http_503", "mapping") and `detail` free text for the log; both may be NULL when SENT.
     * `retry_after_ms`: what the server asked for, 0 for nothing. */
    void (*done)(struct weft_exporter *self, struct weft_batch *batch, enum weft_outcome outcome,
                 const char *reason, const char *detail, uint64_t retry_after_ms);
    /* Items [first, first + n) of the batch are refused for good by the back end, with its words. Marks them
     * REJECTED, counts and dead-letters them. Before done. */
    void (*reject)(struct weft_exporter *self, struct weft_batch *batch, uint64_t first, uint64_t n,
                   const char *reason, const char *detail);
    /* The exporter itself leaves items out (a delta metric that cannot be told as a counter): marks them
     * DROPPED, counts them by reason. Before done. */
    void (*drop)(struct weft_exporter *self, struct weft_batch *batch, uint64_t first, uint64_t n, const char *reason);
};

struct weft_exporter_type {
    const char *name;
    const char *summary;
    size_t size;
    unsigned signals;
    const struct weft_option *options;
    uint64_t batch_items, batch_bytes;   /* what one request should hold at most; 0: the lane's defaults */
    unsigned item_percent;               /* memory that a request of one item takes of the account, for 100 bytes of the item; 0: none */
    unsigned concurrency;                /* batches in flight at once, unless the configuration says otherwise; 0 means 1 */
    bool local;                          /* keeps no remote back end: no breaker, no backoff (prometheus, debug) */
    bool round_robin;                    /* endpoints take turns by default; false: the first one that is well */
    /* The name of endpoint `index` as configured, NULL past the last one; only reads options, so it may be called before
     * start. Each has a breaker, a backoff and a concurrency limit of its own in the lane, which sets batch->endpoint. NULL:
     * there is one, without a name. */
    const char *(*endpoint)(const struct weft_exporter *self, size_t index);
    int (*check)(struct weft_exporter *self, const struct weft_node *map, struct weft_problems *problems);
    int (*start)(struct weft_exporter *self);
    /* Begins to send a batch; ends with host->done. */
    void (*send)(struct weft_exporter *self, struct weft_batch *batch);
    /* Frees batch->exporter_data of a batch that is not sent again although its last outcome was RETRY (given up, or
     * the lane stops). On the lane's thread. NULL: exporter_data is not used. */
    void (*forget)(struct weft_exporter *self, struct weft_batch *batch);
    /* There has been nothing to send for a while: gives back what is kept for later. NULL: nothing is. */
    void (*trim)(struct weft_exporter *self);
    /* Closes every handle; batches still out are ended with RETRY. Idempotent; accepts a half-started self. */
    void (*stop)(struct weft_exporter *self);
};

/* Options that every exporter has in common with the Collector's exporterhelper are the lane's: retry_on_failure.*,
 * circuit_breaker.*, sending_queue.* (the journal stands in for it). An exporter's own table does not list them; it does
 * list `timeout` when it makes requests. */

#endif

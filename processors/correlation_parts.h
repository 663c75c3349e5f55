/* SPDX-License-Identifier: Apache-2.0 */
/* correlation_parts.h: what the files of the correlation processor share.
 *
 * A request goes through four steps, all over its own bytes and with memory from one arena:
 *
 *   collect (_collect.c)  one pass: a node for each group and item, with the IDs that the item carries (_keys.c)
 *   learn   (_learn.c)    trace ID -> ID and request ID -> ID, from the items that carry both
 *   resolve (_resolve.c)  each item's ID, by the rules of docs/correlation.md
 *   splice  (_splice.c)   new bytes: the tags put in, the lengths around them corrected, all else as it was
 */
#ifndef WEFT_PROCESSORS_CORRELATION_PARTS_H
#define WEFT_PROCESSORS_CORRELATION_PARTS_H

#include "core/arena.h"
#include "core/component.h"
#include "core/otlp.h"

enum {
    CORRELATION_KEYS_MAX = 128,
    CORRELATION_KEY_LEN_MAX = 63,
    CORRELATION_ID_MAX = 128,   /* bytes of an ID */
    TRACE_ID_LEN = 16,
};

/* ---- keys ---- */

/* How much an ID is worth, weakest first: a stronger one is believed when two tell different stories of one trace. */
enum strength { FROM_NOTHING, FROM_INFERRED, FROM_LINK, FROM_RESOURCE, FROM_REQUEST, FROM_CORRELATION };

enum key_kind { KEY_CORRELATION, KEY_REQUEST, KEY_BAGGAGE, KEY_INFERRED };

struct key {
    const char *text;
    uint8_t len, kind;
    uint8_t rank; /* place in the configured order: the lowest one that holds a valid value wins */
};

/* Sorted by length; those of length n are [first[n], first[n + 1]). */
struct keys {
    struct key items[CORRELATION_KEYS_MAX];
    uint8_t first[CORRELATION_KEY_LEN_MAX + 2];
    uint32_t firsts[CORRELATION_KEY_LEN_MAX + 1]; /* of each length: bit c & 31 for each first letter c */
    size_t n;
};

/* Adds one key. false: there are too many, or it is empty or too long. Before weft_correlation_keys_done. */
bool weft_correlation_keys_add(struct keys *keys, const char *text, enum key_kind kind);
void weft_correlation_keys_done(struct keys *keys);

/* What one set of attributes says about its owner's ID. */
struct found {
    struct weft_slice id;      /* the best valid value; empty: none */
    struct weft_slice request; /* the best valid value of a request ID */
    uint8_t id_rank, request_rank;
    uint8_t strength;          /* of id */
    bool present;              /* `correlation.id` is there already, valid or not */
    bool inferred;             /* and another agent has only inferred it */
};

/* One request's state. */
struct work {
    const struct keys *keys;
    struct weft_arena *scratch;
    enum weft_signal signal;
    struct weft_slice payload;
    struct node *nodes; /* in the order of the bytes, a parent before its children */
    size_t n_nodes, nodes_cap;
    size_t n_leaves;    /* how many to expect, so that nodes need not grow; 0: not known */
    struct learned *traces, *requests;
    uint64_t counts[16]; /* by enum counter */
};

/* Looks at one KeyValue message and betters *found by it. 0 or an error. */
int weft_correlation_look(struct work *w, struct weft_slice key_value, struct found *found);

/* The same for all attributes of a message. */
int weft_correlation_look_all(struct work *w, struct weft_slice message, uint32_t number, struct found *found);

/* ---- nodes ---- */
struct node {
    const uint8_t *length_at; /* where its length stands */
    struct weft_slice content;
    uint32_t parent;          /* index; the first node, the request itself, is its own parent */
    bool leaf;                /* an item that can be tagged */
    bool has_links;
    bool inferred;            /* resolve: mark it */
    uint8_t source;           /* resolve: enum source */
    struct found found;       /* of a group: its resource's or scope's */
    const uint8_t *trace_id;  /* valid and the item's own; or NULL */
    const uint8_t *give_trace;/* resolve: a trace ID to put on a log; or NULL */
    struct weft_slice tag;    /* resolve: the ID to put on. data NULL and len > 0: trace_id in hex */
    size_t growth;            /* splice: bytes that its content gains */
};

/* Fills w->nodes. 0, WEFT_ERR_MALFORMED or WEFT_ERR_LIMIT. */
int weft_correlation_collect(struct work *w);

/* ---- learning ---- */
struct lesson {
    struct weft_slice key;   /* a trace ID or a request ID; empty: a free place */
    struct weft_slice id;
    const uint8_t *trace_id; /* of a request ID: its trace, when there is just one; else NULL */
    uint64_t hash;
    uint8_t strength;
    bool torn;               /* of a request ID: seen with several traces */
};

/* Teaches that `key` goes with `id` (may be empty) and `trace_id` (may be NULL). A stronger lesson replaces a weaker one, the first of
 * equal ones stays. true: something new. Out of memory: the lesson is lost, which costs an inference and nothing else. */
bool weft_correlation_teach(struct work *w, struct learned **table, struct weft_slice key, struct weft_slice id,
                            enum strength strength, const uint8_t *trace_id);

/* NULL: nothing is known of `key`. */
const struct lesson *weft_correlation_recall(const struct learned *table, struct weft_slice key);

/* ---- resolving ---- */
enum source { SOURCE_NONE, SOURCE_EXPLICIT, SOURCE_REQUEST, SOURCE_RESOURCE, SOURCE_BATCH, SOURCE_LINK, SOURCE_TRACE_ID };

/* Counters, in the order of the rows in correlation.c. */
enum counter {
    TAGGED_EXPLICIT, TAGGED_REQUEST, TAGGED_RESOURCE, TAGGED_BATCH, TAGGED_LINK, TAGGED_TRACE_ID,
    KEPT, UNTAGGED, INVALID_VALUES, INHERITED_TRACES,
    COUNTERS
};

/* Decides tag, inferred and give_trace of each leaf, and counts. 0 or WEFT_ERR_MALFORMED. */
int weft_correlation_resolve(struct work *w);

/* ---- splicing ---- */

/* *ret_payload: the new bytes in scratch, or the old ones when there is nothing to put in. 0, WEFT_ERR_LIMIT or WEFT_ERR_TOO_LARGE. */
int weft_correlation_splice(struct work *w, struct weft_slice *ret_payload);

#endif

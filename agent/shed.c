/* SPDX-License-Identifier: Apache-2.0 */
/* shed.c: see shed.h.
 *
 * IDs that erred lie in a table of words: 48 bits of a keyed hash and 16 bits of time, in units of 4 s. An ID has
 * WAYS places to be in; a new one takes a free place, or the one whose error is the longest ago. Places are written with one
 * relaxed store: two threads that meet in one place lose one ID, which (2) allows. */
#include "agent/shed.h"

#include "core/hash.h"

#include <stdlib.h>
#include <strings.h>
#include <sys/random.h>
#include <uv.h>

enum {
    PLACES = 8192, WAYS = 4,
    TICK_S = 4,
    FRESH_TICKS = 150,   /* ten minutes */
    ID_MAX = 128,        /* of a correlation.id; a longer one is none */
    WAIT_LEAST_S = 2, WAIT_MOST_S = 10,
};
enum { SEVERITY_INFO = 9, SEVERITY_WARN = 13, SEVERITY_ERROR = 17 };
enum { STATUS_ERROR = 2 };

struct weft_shed {
    uint64_t seed;
    _Atomic uint64_t places[PLACES];
};

int weft_shed_open(struct weft_shed **ret_shed)
{
    struct weft_shed *s = calloc(1, sizeof *s);

    if (!s)
        return UV_ENOMEM;
    if (getrandom(&s->seed, sizeof s->seed, 0) != (ssize_t)sizeof s->seed)
        s->seed = (uint64_t)(uintptr_t)s;
    *ret_shed = s;
    return 0;
}

void weft_shed_close(struct weft_shed *s)
{
    free(s);
}

/* ---- IDs that erred lately ---- */

static uint64_t load(const _Atomic uint64_t *place)
{
    return atomic_load_explicit(place, memory_order_relaxed);
}

static uint64_t tag_of(uint64_t hash)
{
    return (hash | 1ull << 16) & ~0xffffull; /* never 0: a free place is 0 */
}

static _Atomic uint64_t *place_of(struct weft_shed *s, uint64_t hash, size_t way)
{
    return &s->places[(hash + way) % PLACES]; /* the tag leaves out the low bits, which choose the place */
}

static uint16_t tick_of(uint64_t now_ns)
{
    return (uint16_t)(now_ns / 1000000000 / TICK_S);
}

static uint16_t age_of(uint64_t word, uint16_t tick)
{
    return word ? (uint16_t)(tick - (uint16_t)word) : UINT16_MAX;
}

static bool usable(struct weft_slice id)
{
    return id.len > 0 && id.len <= ID_MAX;
}

static void note(struct weft_shed *s, struct weft_slice id, uint16_t tick)
{
    if (!usable(id))
        return;
    uint64_t hash = weft_hash64(id, s->seed);
    _Atomic uint64_t *place = place_of(s, hash, 0);

    for (size_t way = 0; way < WAYS; way++) {
        _Atomic uint64_t *p = place_of(s, hash, way);
        if ((load(p) & ~0xffffull) == tag_of(hash)) {
            place = p;
            break;
        }
        if (age_of(load(p), tick) > age_of(load(place), tick))
            place = p;
    }
    atomic_store_explicit(place, tag_of(hash) | tick, memory_order_relaxed);
}

static bool erred(struct weft_shed *s, struct weft_slice id, uint16_t tick)
{
    if (!usable(id))
        return false;
    uint64_t hash = weft_hash64(id, s->seed);

    for (size_t way = 0; way < WAYS; way++) {
        uint64_t word = load(place_of(s, hash, way));
        if ((word & ~0xffffull) == tag_of(hash) && word && age_of(word, tick) <= FRESH_TICKS)
            return true;
    }
    return false;
}

/* ---- what an item is worth by itself ---- */

/* By the first letters of what frameworks write; anything else is taken for INFO. */
static int32_t severity_of_text(struct weft_slice text)
{
    static const struct { const char *word; int32_t severity; } words[] = {
        { "trace", 1 }, { "debug", 5 }, { "fine", 5 }, { "verbose", 5 }, { "warn", SEVERITY_WARN },
        { "err", SEVERITY_ERROR }, { "crit", SEVERITY_ERROR }, { "fatal", SEVERITY_ERROR }, { "alert", SEVERITY_ERROR },
        { "emerg", SEVERITY_ERROR }, { "panic", SEVERITY_ERROR }, { "severe", SEVERITY_ERROR },
    };

    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        size_t len = strlen(words[i].word);
        if (text.len >= len && strncasecmp((const char *)text.data, words[i].word, len) == 0)
            return words[i].severity;
    }
    return SEVERITY_INFO;
}

struct item {
    enum weft_worth worth;
    bool error;                         /* its IDs are those of an error */
    struct weft_slice message, trace_id;
    uint32_t attributes;                /* field number of its attributes */
};

static int read_log(struct weft_slice message, struct item *ret_item)
{
    struct weft_log_view v;
    int err = weft_log_read(message, &v);

    if (err)
        return err;
    int32_t severity = v.severity_number > 0 ? v.severity_number : severity_of_text(v.severity_text);
    *ret_item = (struct item){
        .worth = severity < SEVERITY_INFO ? WEFT_WORTH_DEBUG : severity < SEVERITY_WARN ? WEFT_WORTH_INFO : WEFT_WORTH_VITAL,
        .error = severity >= SEVERITY_ERROR,
        .message = message, .trace_id = v.trace_id, .attributes = WEFT_LOG_ATTRIBUTES,
    };
    return 0;
}

static int read_span(struct weft_slice message, struct item *ret_item)
{
    struct weft_span_view v;
    int err = weft_span_read(message, &v);

    if (err)
        return err;
    *ret_item = (struct item){
        .worth = v.status_code == STATUS_ERROR ? WEFT_WORTH_VITAL : WEFT_WORTH_INFO,
        .error = v.status_code == STATUS_ERROR,
        .message = message, .trace_id = v.trace_id, .attributes = WEFT_SPAN_ATTRIBUTES,
    };
    return 0;
}

static struct weft_slice correlation_of(const struct item *i)
{
    struct weft_any value;

    return weft_attribute_find(i->message, i->attributes, WEFT_SLICE("correlation.id"), &value) > 0
                   && value.kind == WEFT_ANY_STRING
               ? value.bytes
               : weft_slice_of(NULL, 0);
}

static void note_ids(struct weft_shed *s, const struct item *i, uint16_t tick)
{
    note(s, i->trace_id, tick);
    note(s, correlation_of(i), tick);
}

enum weft_worth weft_shed_weigh(struct weft_shed *s, enum weft_signal signal, struct weft_slice payload, uint64_t now_ns)
{
    enum weft_worth worth = WEFT_WORTH_DEBUG;
    struct weft_otlp_walk walk;
    struct item item;
    uint16_t tick = tick_of(now_ns);
    int result;

    if (signal == WEFT_METRICS)
        return WEFT_WORTH_VITAL;
    weft_otlp_walk_init(&walk, payload);
    while ((result = weft_otlp_walk_next(&walk)) > 0) {
        result = signal == WEFT_LOGS ? read_log(walk.item, &item) : read_span(walk.item, &item);
        if (result < 0)
            break;
        if (item.error)
            note_ids(s, &item, tick);
        if (worth < WEFT_WORTH_VITAL && item.worth < WEFT_WORTH_VITAL
            && (erred(s, item.trace_id, tick) || erred(s, correlation_of(&item), tick)))
            item.worth = WEFT_WORTH_VITAL;
        worth = item.worth > worth ? item.worth : worth;
    }
    return result < 0 && worth < WEFT_WORTH_INFO ? WEFT_WORTH_INFO : worth;
}

uint32_t weft_shed_wait_s(enum weft_worth worth, uint32_t permille)
{
    uint32_t begin = worth == WEFT_WORTH_DEBUG ? WEFT_SHED_DEBUG : WEFT_SHED_INFO;
    uint32_t above = permille < begin ? 0 : permille > 1000 ? 1000 - begin : permille - begin;

    return WAIT_LEAST_S + (WAIT_MOST_S - WAIT_LEAST_S) * above / (1000 - begin);
}

uint32_t weft_shed_delay_ms(enum weft_worth worth, uint32_t permille, uint32_t max_ms)
{
    if (worth != WEFT_WORTH_INFO || permille < WEFT_SHED_DEBUG)
        return 0;
    uint64_t above = (permille < WEFT_SHED_INFO ? permille : WEFT_SHED_INFO) - WEFT_SHED_DEBUG;

    return (uint32_t)(max_ms * above / (WEFT_SHED_INFO - WEFT_SHED_DEBUG));
}

uint32_t weft_gauge_ask(struct weft_gauge *g, struct weft_journal *j, uint64_t now_ns)
{
    uint32_t permille = (uint32_t)(weft_journal_fill(j) * 1000);

    atomic_store_explicit(&g->permille, permille, memory_order_relaxed);
    atomic_store_explicit(&g->due_ns, now_ns + WEFT_GAUGE_NS, memory_order_relaxed);
    return permille;
}

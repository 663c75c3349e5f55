/* SPDX-License-Identifier: Apache-2.0 */
/* pipeline.c: what a receiver's commit comes down to.
 *
 *   weigh     when a journal fills up: is it worth being taken (shed.h)
 *   process   a copy of the record runs through each pipeline's processors; new payloads lie in the loop's scratch
 *   reserve   room in every journal; when one says no, what was reserved is abandoned and the receiver refuses
 *   publish   copy and publish in each; from here on the receiver may say yes
 *   await     unless a journal confirms only later what it has been given (confirm.h), or the yes is held back (delay.h)
 *
 * Nothing is counted as accepted or dropped before the reservations stand, so that a client that is refused and
 * comes again is counted once. A branch that was full last time is asked first next time: as long as
 * it stays full, the others are not burdened with abandoned room. Counters have one writer each. */
#include "agent/pipeline.h"

#include "agent/blame.h"
#include "agent/confirm.h"
#include "agent/delay.h"
#include "agent/shed.h"
#include "core/clock.h"
#include "core/err.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

static const uint64_t NS_PER_MS = 1000000;

struct weft_pipeline {
    char *id;
    enum weft_signal signal;
    struct weft_processor **processors;
    _Atomic uint64_t *dropped_items; /* one a processor */
    size_t n_processors;
    struct weft_journal *journal;
    bool owns_journal;
    struct weft_shed *shed;
    struct weft_gauge gauge;
    uint64_t gauge_step;
    uint64_t most_item_bytes, most_items; /* that its exporters can make requests of */
};

/* One pipeline's part of one commit. */
struct branch {
    struct weft_pipeline *pipeline;
    struct weft_record record;
    struct weft_reservation reservation;
    bool kept;          /* something is left to append, if only the place in its source */
    uint64_t *taken;    /* items that each processor took out */
    uint64_t unseen;    /* bytes since the journal was asked how full it is */
    uint64_t last_sequence;              /* that this sink gave it */
    uint64_t marks[WEFT_SINK_MARKS];
};

enum bound { BOUND_PROCESSORS, BOUND_EXPORTERS, BOUND_JOURNAL };

/* Written by one loop only; a cache line of its own. */
struct sink {
    struct weft_sink base;
    struct weft_intake *intake;
    struct weft_arena *scratch;
    struct branch *branches;
    size_t suspect;     /* the branch that was full last */
    enum bound bound;   /* what the last record was too large for, if it was, and whose */
    const struct weft_pipeline *bound_of;
    struct weft_confirm *confirm; /* NULL: yes never waits for the disk */
    uint64_t *sequences; /* scratch of await: one a branch */
    struct weft_delay delay;
    uint64_t due_ns;     /* until when the yes to the last commit is held back, if at all */
    uint64_t now_ns;     /* of the look that is under way */
    void (*alarm)(void *ctx, uint64_t at_ms);
    void *alarm_ctx;
    _Atomic uint64_t accepted_items, accepted_records, accepted_bytes, delayed_records, delayed_ms;
    _Atomic uint64_t refused_items[WEFT_REFUSALS];
};

struct weft_intake {
    char *receiver;
    enum weft_signal signal;
    struct sink **sinks;
    size_t n_sinks, n_branches;
    uint32_t max_delay_ms;
    _Atomic bool draining, hurried;
};

/* ---- pipelines ---- */

uint64_t weft_pipeline_share(uint64_t max_size, size_t n_pipelines)
{
    uint64_t share = n_pipelines ? max_size / n_pipelines : max_size;

    return share < 1 << 20 ? 1 << 20 : share;
}

static int copy_processors(struct weft_pipeline *p, const struct weft_pipeline_options *o)
{
    p->processors = calloc(o->n_processors + 1, sizeof *p->processors);
    p->dropped_items = calloc(o->n_processors + 1, sizeof *p->dropped_items);
    if (!p->processors || !p->dropped_items)
        return UV_ENOMEM;
    for (size_t i = 0; i < o->n_processors; i++)
        p->processors[i] = o->processors[i];
    p->n_processors = o->n_processors;
    return 0;
}

int weft_pipeline_open(struct weft_pipeline **ret_pipeline, const struct weft_pipeline_options *o)
{
    struct weft_pipeline *p = calloc(1, sizeof *p);

    if (!p)
        return UV_ENOMEM;
    p->signal = o->signal;
    p->shed = o->shed;
    p->gauge_step = o->journal_size / WEFT_GAUGE_PARTS;
    p->most_item_bytes = p->most_items = UINT64_MAX;
    p->id = strdup(o->id);
    int err = p->id ? copy_processors(p, o) : UV_ENOMEM;
    p->journal = o->journal;
    p->owns_journal = !o->journal;
    if (!err && p->owns_journal)
        err = weft_journal_open(&p->journal, &(struct weft_journal_options){ .name = p->id, .max_size = o->journal_size });
    if (err) {
        weft_pipeline_close(p);
        return err;
    }
    *ret_pipeline = p;
    return 0;
}

void weft_pipeline_close(struct weft_pipeline *p)
{
    if (!p)
        return;
    if (p->owns_journal)
        weft_journal_close(p->journal);
    free(p->processors);
    free(p->dropped_items);
    free(p->id);
    free(p);
}

void weft_pipeline_set_most(struct weft_pipeline *p, uint64_t item_bytes, uint64_t items)
{
    p->most_item_bytes = item_bytes;
    p->most_items = items;
}

const char *weft_pipeline_id(const struct weft_pipeline *p)
{
    return p->id;
}

enum weft_signal weft_pipeline_signal(const struct weft_pipeline *p)
{
    return p->signal;
}

struct weft_journal *weft_pipeline_journal(const struct weft_pipeline *p)
{
    return p->journal;
}

uint64_t weft_pipeline_dropped_items(const struct weft_pipeline *p, size_t i)
{
    return atomic_load_explicit(&p->dropped_items[i], memory_order_relaxed);
}

/* ---- counting: one writer, many readers ---- */

static void add(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n, memory_order_relaxed);
}

static void refuse(struct weft_sink *base, enum weft_refusal reason, uint64_t items)
{
    add(&((struct sink *)base)->refused_items[reason], items);
}

/* What a processor or a journal says, in the words of the sink's contract. */
static int verdict(int err, enum weft_refusal *ret_reason)
{
    switch (err) {
    case WEFT_ERR_FULL:
        *ret_reason = WEFT_REFUSAL_FULL;
        return err;
    case WEFT_ERR_DRAINING:
        *ret_reason = WEFT_REFUSAL_DRAINING;
        return err;
    case WEFT_ERR_TOO_LARGE:
        *ret_reason = WEFT_REFUSAL_TOO_LARGE;
        return err;
    case WEFT_ERR_LIMIT:
    case UV_ENOMEM:
        *ret_reason = WEFT_REFUSAL_MEMORY;
        return WEFT_ERR_LIMIT;
    default:
        *ret_reason = WEFT_REFUSAL_MALFORMED;
        return WEFT_ERR_MALFORMED;
    }
}

/* How many items a refusal counts: a client hears of each, a file offers the same lines until they are taken. */
static uint64_t items_refused(const struct weft_record *record, int err)
{
    if (record->source.id == 0 || err == WEFT_ERR_MALFORMED)
        return record->n_items;
    if (err == WEFT_ERR_TOO_LARGE)
        return record->n_items == 1 ? 1 : 0;
    assert(record->n_offered <= record->n_items);
    return record->n_items - record->n_offered;
}

static int refused(struct sink *s, const struct weft_record *record, int err)
{
    enum weft_refusal reason;

    err = verdict(err, &reason);
    refuse(&s->base, reason, items_refused(record, err));
    return err;
}

/* Several loops may commit into one pipeline, so these have many writers. */
static void count_taken(struct branch *b)
{
    struct weft_pipeline *p = b->pipeline;

    for (size_t i = 0; i < p->n_processors; i++)
        if (b->taken[i])
            atomic_fetch_add_explicit(&p->dropped_items[i], b->taken[i], memory_order_relaxed);
}

/* ---- the commit ---- */

/* The scratch is as empty at the next try: what is too much for it now will always be. */
static int what_failed(int err, const struct weft_arena *scratch)
{
    return scratch->refused && (err == WEFT_ERR_LIMIT || err == UV_ENOMEM) ? WEFT_ERR_TOO_LARGE : err;
}

static uint64_t largest_item(struct weft_slice payload)
{
    struct weft_otlp_walk w;
    uint64_t most = 0;

    weft_otlp_walk_init(&w, payload);
    while (weft_otlp_walk_next(&w) == 1) {
        uint64_t len = w.item.len + w.resource.len + w.scope.len;
        most = len > most ? len : most;
    }
    return most;
}

/* What no exporter could ever make a request of would wait for ever. Only large records are looked into. */
static int can_leave(const struct branch *b)
{
    const struct weft_pipeline *p = b->pipeline;
    struct weft_slice payload = b->record.payload;

    if (b->record.n_items > p->most_items || (payload.len > p->most_item_bytes && largest_item(payload) > p->most_item_bytes))
        return WEFT_ERR_TOO_LARGE;
    return 0;
}

static int process(struct sink *s, struct branch *b, const struct weft_record *record)
{
    struct weft_pipeline *p = b->pipeline;
    struct weft_arena *scratch = s->scratch;

    s->bound = BOUND_PROCESSORS;
    s->bound_of = p;
    b->record = *record;
    b->kept = record->n_items > 0;
    memset(b->taken, 0, p->n_processors * sizeof *b->taken);
    for (size_t i = 0; i < p->n_processors && b->kept; i++) {
        struct weft_processor *processor = p->processors[i];
        uint32_t before = b->record.n_items;
        scratch->refused = false;
        int keep = processor->type->process(processor, &b->record, scratch);
        if (keep < 0)
            return what_failed(keep, scratch);
        b->kept = keep > 0 && b->record.n_items > 0;
        uint32_t after = b->kept ? b->record.n_items : 0;
        b->taken[i] = before > after ? before - after : 0;
    }
    s->bound = BOUND_EXPORTERS;
    return b->kept ? can_leave(b) : 0;
}

/* Processors left nothing, but who reads the source again must know how far this journal is. */
static void keep_place_at_least(struct branch *b)
{
    if (b->kept || b->record.source.id == 0 || weft_journal_mode(b->pipeline->journal) != WEFT_JOURNAL_DISK)
        return;
    b->record.n_items = 0;
    b->record.payload = weft_slice_of(NULL, 0);
    b->kept = true;
}

/* True when the journal has the record already: it was appended here before a crash, and not in the others. */
static bool has_it(const struct branch *b, const struct weft_record *record)
{
    uint64_t position;

    return record->again && weft_journal_source(b->pipeline->journal, record->source.id, &position) &&
           position >= record->source.position;
}

static void leave_out(struct branch *b)
{
    memset(b->taken, 0, b->pipeline->n_processors * sizeof *b->taken);
    b->kept = false;
}

static int reserve(struct branch *b)
{
    return b->kept ? weft_journal_reserve(b->pipeline->journal, b->record.payload.len, b->record.n_items,
                                          &b->reservation)
                   : 0;
}

static void abandon(struct branch *b)
{
    if (b->kept)
        weft_journal_abandon(b->pipeline->journal, &b->reservation);
}

static int reserve_all(struct sink *s)
{
    size_t n = s->intake->n_branches, first = s->suspect;

    for (size_t i = 0; i < n; i++) {
        size_t k = (first + i) % n;
        int err = reserve(&s->branches[k]);
        if (!err)
            continue;
        s->suspect = k;
        s->bound = BOUND_JOURNAL;
        s->bound_of = s->branches[k].pipeline;
        while (i-- > 0)
            abandon(&s->branches[(first + i) % n]);
        return err;
    }
    return 0;
}

static void publish(struct branch *b)
{
    if (b->kept) {
        weft_journal_copy(&b->reservation, b->record.payload);
        b->last_sequence = b->reservation.sequence;
        weft_journal_publish(b->pipeline->journal, &b->reservation, &b->record);
    }
    count_taken(b);
}

static void set_times(struct weft_record *record)
{
    if (!record->wall_ns)
        record->wall_ns = weft_clock_wall_ns();
    if (!record->mono_ns)
        record->mono_ns = weft_clock_mono_ns();
}

/* Permille that the fullest of the journals holds. */
static uint32_t fullest(struct sink *s, const struct weft_record *record)
{
    uint32_t most = 0;

    for (size_t i = 0; i < s->intake->n_branches; i++) {
        struct branch *b = &s->branches[i];
        struct weft_pipeline *p = b->pipeline;
        b->unseen += record->payload.len;
        uint32_t permille = weft_gauge_read(&p->gauge, p->journal, record->mono_ns, &b->unseen, p->gauge_step);
        most = permille > most ? permille : most;
    }
    return most;
}

static bool is_hurried(const struct sink *s)
{
    return atomic_load_explicit(&s->intake->hurried, memory_order_relaxed);
}

/* 0: go on. WEFT_ERR_SHED, counted: what is left of the journal is for what is worth more. */
static int weigh(struct sink *s, const struct weft_record *record)
{
    struct weft_shed *shed = s->branches[0].pipeline->shed;
    uint32_t permille = shed ? fullest(s, record) : 0;

    s->base.delay_ms = 0;
    if (permille < WEFT_SHED_LEARN)
        return 0;
    enum weft_worth worth = weft_shed_weigh(shed, record->signal, record->payload, record->mono_ns);
    if (!weft_shed_refuses(worth, permille)) {
        if (!weft_delay_full(&s->delay) && !is_hurried(s))
            s->base.delay_ms = weft_shed_delay_ms(worth, permille, s->intake->max_delay_ms);
        return 0;
    }
    s->base.retry_after_s = weft_shed_wait_s(worth, permille);
    refuse(&s->base, worth == WEFT_WORTH_DEBUG ? WEFT_REFUSAL_SHED_DEBUG : WEFT_REFUSAL_SHED_INFO,
           items_refused(record, WEFT_ERR_SHED));
    return WEFT_ERR_SHED;
}

static void count_accepted(struct sink *s, const struct weft_record *record)
{
    add(&s->accepted_items, record->n_items);
    add(&s->accepted_records, 1);
    add(&s->accepted_bytes, record->payload.len);
    if (s->base.delay_ms == 0)
        return;
    s->due_ns = record->mono_ns + s->base.delay_ms * NS_PER_MS;
    add(&s->delayed_records, 1);
    add(&s->delayed_ms, s->base.delay_ms);
}

static int run(struct sink *s, struct weft_record *record)
{
    struct weft_intake *in = s->intake;

    if (atomic_load_explicit(&in->draining, memory_order_relaxed))
        return refused(s, record, WEFT_ERR_DRAINING);

    if (s->confirm && weft_confirm_full(s->confirm))
        return refused(s, record, WEFT_ERR_LIMIT);

    set_times(record);
    record->signal = in->signal;
    int err = weigh(s, record);
    if (err)
        return err;
    weft_arena_reset(s->scratch);
    for (size_t i = 0; i < in->n_branches; i++) {
        struct branch *b = &s->branches[i];
        if (has_it(b, record)) {
            leave_out(b);
            continue;
        }
        err = process(s, b, record);
        if (err)
            return refused(s, record, err);
        keep_place_at_least(b);
    }
    err = reserve_all(s);
    if (err)
        return refused(s, record, err);

    for (size_t i = 0; i < in->n_branches; i++)
        publish(&s->branches[i]);
    count_accepted(s, record);
    return 0;
}

static int commit(struct weft_sink *base, struct weft_record *record)
{
    enum { KEEP = 1 << 20 };
    struct sink *s = (struct sink *)base;

    int err = run(s, record);
    if (s->scratch->used > KEEP)
        weft_arena_reset(s->scratch); /* somebody else may need what a large request took */
    return err;
}

static void explain_size(const struct sink *s, char *words, size_t size)
{
    const struct weft_pipeline *p = s->bound_of;

    if (s->bound == BOUND_JOURNAL)
        weft_blame_size(p->journal, p->id, words, size);
    else if (s->bound == BOUND_EXPORTERS)
        (void)snprintf(words, size, "more than an exporter of pipeline %s can send in one request", p->id);
    else
        (void)snprintf(words, size, "%s", weft_err_text(WEFT_ERR_TOO_LARGE));
}

/* The journal that was full, or the fullest of those that fill up. */
static void explain(struct weft_sink *base, int err, char *words, size_t size)
{
    const struct sink *s = (const struct sink *)base;
    size_t blamed = s->suspect;

    if (err == WEFT_ERR_TOO_LARGE) {
        explain_size(s, words, size);
        return;
    }
    for (size_t i = 0; err == WEFT_ERR_SHED && i < s->intake->n_branches; i++)
        if (weft_journal_fill(s->branches[i].pipeline->journal) > weft_journal_fill(s->branches[blamed].pipeline->journal))
            blamed = i;
    weft_blame(s->branches[blamed].pipeline->journal, s->branches[blamed].pipeline->id, words, size);
}

/* ---- sources that are read again ---- */

static bool position(struct weft_sink *base, size_t journal, uint64_t source, uint64_t *ret_position)
{
    const struct sink *s = (const struct sink *)base;

    return weft_journal_source(s->branches[journal].pipeline->journal, source, ret_position);
}

static void forget_source(struct weft_sink *base, uint64_t source)
{
    struct sink *s = (struct sink *)base;

    for (size_t i = 0; i < s->intake->n_branches; i++)
        weft_journal_forget_source(s->branches[i].pipeline->journal, source);
}

static void mark(struct weft_sink *base, unsigned place)
{
    struct sink *s = (struct sink *)base;

    for (size_t i = 0; i < s->intake->n_branches; i++)
        s->branches[i].marks[place] = s->branches[i].last_sequence;
}

/* On disk, a record is safe there; when the disk failed and the journal is in memory for a while, it is not. */
static bool is_safe(struct weft_journal *j, uint64_t sequence)
{
    struct weft_journal_stats stats;

    if (weft_journal_settled(j) >= sequence)
        return true;
    if (weft_journal_mode(j) != WEFT_JOURNAL_DISK || weft_journal_durable(j) < sequence)
        return false;
    weft_journal_stats(j, &stats);
    return stats.disk_state != WEFT_DISK_MEMORY;
}

static bool passed(struct weft_sink *base, unsigned place)
{
    struct sink *s = (struct sink *)base;

    for (size_t i = 0; i < s->intake->n_branches; i++)
        if (!is_safe(s->branches[i].pipeline->journal, s->branches[i].marks[place]))
            return false;
    return true;
}

/* ---- yes that waits: for the disk first, then for its time ---- */

static bool await_disk(struct sink *s, struct weft_commit *waiter)
{
    for (size_t i = 0; i < s->intake->n_branches; i++)
        s->sequences[i] = s->branches[i].kept ? s->branches[i].reservation.sequence : 0;
    return weft_confirm_await(s->confirm, waiter, s->sequences);
}

static void set_alarm(struct sink *s)
{
    uint64_t due_ns = weft_delay_due(&s->delay);

    if (due_ns != UINT64_MAX)
        s->alarm(s->alarm_ctx, (due_ns + NS_PER_MS - 1) / NS_PER_MS);
}

static bool await(struct weft_sink *base, struct weft_commit *waiter)
{
    struct sink *s = (struct sink *)base;

    waiter->delayed = false;
    waiter->due_ns = base->delay_ms ? s->due_ns : 0;
    if (s->confirm && await_disk(s, waiter))
        return true;
    if (base->delay_ms == 0)
        return false;
    weft_delay_add(&s->delay, waiter);
    set_alarm(s);
    return true;
}

static bool forget(struct weft_sink *base, struct weft_commit *waiter)
{
    struct sink *s = (struct sink *)base;
    bool durable = waiter->delayed;

    if (durable)
        weft_delay_forget(&s->delay, waiter);
    else
        weft_confirm_forget(s->confirm, waiter);
    return durable;
}

/* The disk has said something; an error is not held back. */
static void on_confirmed(void *ctx, struct weft_commit *waiter, int err)
{
    struct sink *s = ctx;

    if (err || waiter->due_ns <= s->now_ns || weft_delay_full(&s->delay))
        waiter->done(waiter, err);
    else
        weft_delay_add(&s->delay, waiter);
}

static int prepare_waiting(struct sink *s, struct weft_pipeline *const *pipelines)
{
    size_t n = s->intake->n_branches;
    struct weft_journal **journals = calloc(n, sizeof(struct weft_journal *));
    int err = UV_ENOMEM;

    s->sequences = calloc(n, sizeof *s->sequences);
    if (journals && s->sequences) {
        for (size_t i = 0; i < n; i++)
            journals[i] = pipelines[i]->journal;
        err = weft_confirm_new(&s->confirm, journals, n);
    }
    free(journals);
    if (s->confirm)
        weft_confirm_set_end(s->confirm, on_confirmed, s);
    if (s->confirm || s->intake->max_delay_ms) {
        s->base.await = await;
        s->base.forget = forget;
    }
    return err;
}

void weft_intake_set_ring(struct weft_intake *in, size_t i, void (*ring)(void *ctx), void *ctx)
{
    if (in->sinks[i]->confirm)
        weft_confirm_set_ring(in->sinks[i]->confirm, ring, ctx);
}

void weft_intake_set_alarm(struct weft_intake *in, size_t i, void (*alarm)(void *ctx, uint64_t at_ms), void *ctx)
{
    in->sinks[i]->alarm = alarm;
    in->sinks[i]->alarm_ctx = ctx;
}

void weft_intake_look(struct weft_intake *in, size_t i, uint64_t now_ns)
{
    struct sink *s = in->sinks[i];

    s->now_ns = is_hurried(s) ? UINT64_MAX : now_ns;
    if (s->confirm)
        weft_confirm_look(s->confirm);
    weft_delay_look(&s->delay, s->now_ns);
    set_alarm(s);
}

void weft_intake_hurry(struct weft_intake *in)
{
    atomic_store_explicit(&in->hurried, true, memory_order_relaxed);
}

/* ---- intakes ---- */

static void sink_free(struct sink *s)
{
    if (!s)
        return;
    weft_confirm_free(s->confirm);
    free(s->sequences);
    for (size_t i = 0; s->branches && i < s->intake->n_branches; i++)
        free(s->branches[i].taken);
    free(s->branches);
    free(s);
}

static struct sink *sink_new(struct weft_intake *in, struct weft_pipeline *const *pipelines)
{
    size_t size = (sizeof(struct sink) + 63) & ~(size_t)63;
    struct sink *s = aligned_alloc(64, size);

    if (!s)
        return NULL;
    memset(s, 0, size);
    s->base = (struct weft_sink){ .commit = commit, .refuse = refuse, .explain = explain, .n_journals = in->n_branches, .on_disk = true,
                                  .position = position, .forget_source = forget_source, .mark = mark, .passed = passed };
    s->base.most_bytes = UINT64_MAX;
    s->intake = in;
    s->branches = calloc(in->n_branches, sizeof *s->branches);
    for (size_t i = 0; s->branches && i < in->n_branches; i++) {
        s->branches[i].pipeline = pipelines[i];
        s->base.on_disk = s->base.on_disk && weft_journal_mode(pipelines[i]->journal) == WEFT_JOURNAL_DISK;
        uint64_t most = weft_journal_max_payload(pipelines[i]->journal);
        s->base.most_bytes = most < s->base.most_bytes ? most : s->base.most_bytes;
        s->branches[i].taken = calloc(pipelines[i]->n_processors + 1, sizeof(uint64_t));
        if (!s->branches[i].taken) {
            sink_free(s);
            return NULL;
        }
    }
    if (!s->branches || prepare_waiting(s, pipelines)) {
        sink_free(s);
        return NULL;
    }
    return s;
}

int weft_intake_open(struct weft_intake **ret_intake, const struct weft_intake_options *o)
{
    struct weft_intake *in = calloc(1, sizeof *in);

    assert(o->n_pipelines > 0);
    if (!in)
        return UV_ENOMEM;
    in->signal = o->signal;
    in->n_branches = o->n_pipelines;
    in->max_delay_ms = o->max_delay_ms;
    in->receiver = strdup(o->receiver);
    in->sinks = calloc(o->n_sinks + 1, sizeof *in->sinks);
    bool ok = in->receiver && in->sinks;
    for (size_t i = 0; ok && i < o->n_sinks; i++) {
        in->sinks[i] = sink_new(in, o->pipelines);
        ok = in->sinks[i] != NULL;
        in->n_sinks += ok;
    }
    if (!ok) {
        weft_intake_close(in);
        return UV_ENOMEM;
    }
    *ret_intake = in;
    return 0;
}

void weft_intake_close(struct weft_intake *in)
{
    if (!in)
        return;
    for (size_t i = 0; i < in->n_sinks; i++)
        sink_free(in->sinks[i]);
    free(in->sinks);
    free(in->receiver);
    free(in);
}

struct weft_sink *weft_intake_sink(struct weft_intake *in, size_t i, struct weft_arena *scratch)
{
    assert(i < in->n_sinks);
    in->sinks[i]->scratch = scratch;
    return &in->sinks[i]->base;
}

void weft_intake_drain(struct weft_intake *in)
{
    atomic_store_explicit(&in->draining, true, memory_order_relaxed);
}

static uint64_t get(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

void weft_intake_stats(const struct weft_intake *in, struct weft_intake_stats *ret_stats)
{
    struct weft_intake_stats sum = { 0 };

    for (size_t i = 0; i < in->n_sinks; i++) {
        const struct sink *s = in->sinks[i];
        sum.accepted_items += get(&s->accepted_items);
        sum.accepted_records += get(&s->accepted_records);
        sum.accepted_bytes += get(&s->accepted_bytes);
        sum.delayed_records += get(&s->delayed_records);
        sum.delayed_ms += get(&s->delayed_ms);
        for (int reason = 0; reason < WEFT_REFUSALS; reason++)
            sum.refused_items[reason] += get(&s->refused_items[reason]);
    }
    *ret_stats = sum;
}

const char *weft_intake_receiver(const struct weft_intake *in)
{
    return in->receiver;
}

enum weft_signal weft_intake_signal(const struct weft_intake *in)
{
    return in->signal;
}

const char *weft_refusal_name(enum weft_refusal reason)
{
    static const char *const names[] = {
#define X(name, text) text,
        WEFT_REFUSAL_MAP(X)
#undef X
    };

    return names[reason];
}

/* SPDX-License-Identifier: Apache-2.0 */
/* journal_recover.c: from a directory to a journal that goes on.
 *
 *   1  every *.seg by number: one page of each tells what it is (segment_file.h)
 *   2  those without a seal are scanned (segment_scan.h): reserved records that nobody published are stepped over, a tail
 *      in which nothing valid follows is cut; then they are sealed like the others
 *   3  the totals are chained: what a gap between two segments held is the difference
 *   4  places and sources (cursor_store.h, source_store.h), the newest sources from the records themselves
 *
 * Damage is counted and reported, never fatal. Bytes of a sealed segment are not looked at here: whoever reads them checks
 * them (cursor.c). So the time that it takes depends on the number of files and on what was being written at the end.
 *
 * Sequences name items for ever, so none may be given twice: when records may have been lost whose sequence somebody has already seen
 * (power was lost, or files are missing), numbering goes on far behind. */
#include "core/cursor_store.h"
#include "core/err.h"
#include "core/journal_state.h"
#include "core/log.h"
#include "core/segment_file.h"
#include "core/segment_scan.h"
#include "core/source_store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#define SEQUENCE_JUMP ((uint64_t)1 << 32)

enum { NUMBER_DIGITS = 16, MOST_FILES = 1 << 20 };

struct recovery {
    struct weft_journal *j;
    uint64_t *numbers;
    size_t n, cap;
    int err;
    uint64_t last_number;   /* the greatest there was */
    uint64_t next_seen;     /* behind all sequences that anything knows of */
    bool rebooted;          /* a file without a seal is from before this boot */
    bool unsealed;
    bool sequences_lost;    /* somebody has seen records that are not here any more */
    uint64_t *bad;          /* numbers that were quarantined */
    size_t n_bad;
    struct weft_journal_recovery *found;
};

/* ---- 1: files ---- */

static bool parse_number(const char *name, uint64_t *ret_number)
{
    uint64_t number = 0;

    if (strlen(name) != NUMBER_DIGITS + 4 || strcmp(name + NUMBER_DIGITS, ".seg") != 0)
        return false;
    for (size_t i = 0; i < NUMBER_DIGITS; i++) {
        char c = name[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
            return false;
        number = number << 4 | (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    *ret_number = number;
    return number != 0 && number < UINT64_MAX / 2;
}

static void add_number(struct recovery *r, uint64_t number)
{
    if (r->n == r->cap) {
        size_t cap = r->cap ? r->cap * 2 : 64;
        uint64_t *more = cap <= MOST_FILES ? realloc(r->numbers, cap * sizeof *more) : NULL;
        if (!more) {
            r->err = UV_ENOMEM;
            return;
        }
        r->numbers = more;
        r->cap = cap;
    }
    r->numbers[r->n++] = number;
}

static void see_name(void *ctx, const char *name)
{
    struct recovery *r = ctx;
    size_t len = strlen(name);
    uint64_t number;

    if (parse_number(name, &number))
        add_number(r, number);
    else if (strncmp(name, "spare-", 6) == 0 || (len > 4 && strcmp(name + len - 4, ".tmp") == 0))
        (void)unlinkat(r->j->dir.fd, name, 0);
}

static int by_number(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

static void quarantine(struct recovery *r, uint64_t number)
{
    weft_segment_file_quarantine(&r->j->dir, number);
    r->bad[r->n_bad++] = number;
    r->found->quarantined_segments++;
    weft_log(r->j->log, WEFT_LOG_WARN, r->j->name, "segment %016llx in %s cannot be understood: renamed to *.corrupt; what only it held is not sent",
             (unsigned long long)number, r->j->dir.path);
}

static bool was_quarantined(const struct recovery *r, uint64_t behind, uint64_t before)
{
    for (size_t i = 0; i < r->n_bad; i++)
        if (r->bad[i] > behind && r->bad[i] < before)
            return true;
    return false;
}

static bool is_fatal(int err)
{
    return err == UV_ENOMEM || err == UV_EMFILE || err == UV_ENFILE || err == UV_EACCES || err == UV_EPERM || err == UV_EROFS;
}

static void append_segment(struct weft_journal *j, struct weft_segment *s)
{
    if (j->tail)
        j->tail->next = s;
    else
        j->head = s;
    j->tail = s;
}

static int find_one(struct recovery *r, uint64_t number)
{
    struct weft_journal *j = r->j;
    enum weft_segment_found found;
    struct weft_segment *s;
    uint64_t boot = 0, id = 0;
    char name[WEFT_SEGMENT_NAME];

    int err = weft_segment_file_find(&s, &j->dir, number, &found, &boot, &id);
    if (err && is_fatal(err))
        return err;
    if (!err && found == WEFT_SEGMENT_NEWER)
        return WEFT_ERR_NEWER;
    if (!err && found == WEFT_SEGMENT_EMPTY) {
        weft_segment_file_name(name, number);
        (void)unlinkat(j->dir.fd, name, 0);
        return 0;
    }
    if (err || found == WEFT_SEGMENT_CORRUPT || found == WEFT_SEGMENT_FOREIGN) {
        quarantine(r, number);
        return 0;
    }
    append_segment(j, s);
    if (found == WEFT_SEGMENT_OPEN) {
        r->unsealed = true;
        r->rebooted = r->rebooted || boot != j->dir.boot || boot == 0;
    }
    return j->dir.journal_id == 0 ? weft_journal_dir_adopt(&j->dir, id) : 0;
}

static int find_all(struct recovery *r)
{
    int err = weft_journal_dir_list(&r->j->dir, see_name, r);

    if (!err)
        err = r->err;
    if (r->n)
        qsort(r->numbers, r->n, sizeof *r->numbers, by_number);
    r->bad = calloc(r->n + 1, sizeof *r->bad);
    if (!r->bad)
        err = UV_ENOMEM;
    for (size_t i = 0; !err && i < r->n; i++) {
        r->last_number = r->numbers[i];
        err = find_one(r, r->numbers[i]);
    }
    return err;
}

/* ---- 2: what was never sealed ---- */

static void see_nothing(void *ctx, const struct weft_entry *e, uint64_t sequence)
{
    (void)ctx, (void)e, (void)sequence;
}

static uint64_t beyond(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

/* What the gaps in it held: the segment behind it knows the sum, those who are left know theirs. */
static struct weft_totals lost_in(const struct weft_segment *s, const struct weft_scan *scan)
{
    struct weft_totals lost = { .records = scan->missing };
    const struct weft_segment *next = s->next;

    if (scan->missing == 0 || !next || next->number != s->number + 1)
        return lost;
    lost.items = beyond(next->before.items, s->before.items + scan->good.items + scan->rotten.items);
    lost.bytes = beyond(next->before.bytes, s->before.bytes + scan->good.bytes + scan->rotten.bytes);
    return lost;
}

/* 0: *ret_kept says whether there is anything in it. */
static int scan_one(struct recovery *r, struct weft_segment *s, bool *ret_kept)
{
    struct weft_scan scan;
    int err = weft_segment_attach(s);

    if (err)
        return err;
    weft_segment_scan(s, &scan, see_nothing, NULL);
    struct weft_totals lost = weft_totals_plus(lost_in(s, &scan), scan.rotten);
    s->totals = weft_totals_plus(scan.good, lost);
    s->recount = scan.missing > 0 || scan.unpublished > 0 || scan.torn_bytes > 0;
    s->end_sequence = scan.end_sequence;
    atomic_store_explicit(&s->reserved, scan.end, memory_order_relaxed);
    atomic_store_explicit(&s->newest_wall_ns, scan.newest_wall_ns, memory_order_relaxed);
    weft_segment_abandon_unpublished(s);
    r->found->torn_bytes += scan.torn_bytes;
    r->found->stepped_over += scan.unpublished;
    r->found->lost_records += lost.records;
    r->found->lost_items += lost.items;
    *ret_kept = scan.end > s->begin;
    return 0;
}

/* ---- 3: the chain ---- */

/* What was lost between two segments: the second one knows how much there was before it. Where no file was quarantined they
 * were given back, or were in memory only: then the cursors that stand before it know better. */
static void chain(struct recovery *r, const struct weft_segment *prev, uint64_t prev_number, struct weft_segment *s)
{
    struct weft_totals expected = weft_totals_plus(prev->before, prev->totals);

    if (s->number != prev_number + 1 && s->before.records >= expected.records && s->before.items >= expected.items
        && s->before.bytes >= expected.bytes) {
        if (!was_quarantined(r, prev_number, s->number))
            return;
        r->found->lost_records += s->before.records - expected.records;
        r->found->lost_items += s->before.items - expected.items;
        return;
    }
    s->before = expected;
}

/* Sums that cannot be true come from a file that was not written in this order. */
static bool is_sane(const struct weft_segment *prev, const struct weft_segment *s)
{
    return !prev || s->first_sequence >= prev->end_sequence;
}

static void drop(struct weft_segment **link)
{
    struct weft_segment *s = *link;

    *link = s->next;
    weft_segment_free(s);
}

/* What a kill left may not be on the disk yet, and from here on counts as if it were. */
static void sync_found(struct weft_journal *j, const struct weft_segment *s)
{
    if (j->sync_mode != WEFT_SYNC_NONE && fdatasync(s->fd))
        weft_log(j->log, WEFT_LOG_WARN, j->name, "cannot sync what was found in %s: %s; a power cut may take it", j->dir.path,
                 weft_err_text(-errno));
}

/* Scans, seals and chains the list, and drops what has nothing in it. */
static int order_all(struct recovery *r)
{
    struct weft_segment *prev = NULL;
    uint64_t prev_number = 0;

    for (struct weft_segment **link = &r->j->head, *s; (s = *link) != NULL;) {
        bool kept = true, fresh = !s->sealed;
        if (!is_sane(prev, s)) {
            *link = s->next;
            weft_segment_leave(s);
            quarantine(r, s->number);
            free(s);
            continue;
        }
        int err = fresh ? scan_one(r, s, &kept) : 0;
        if (err)
            return err;
        r->next_seen = s->end_sequence > r->next_seen ? s->end_sequence : r->next_seen;
        uint64_t number = s->number;
        if (kept && prev)
            chain(r, prev, prev_number, s);
        prev_number = number;
        if (!kept) {
            drop(link);
            continue;
        }
        if (fresh) {
            weft_segment_seal(s);
            weft_segment_cut(s);
            sync_found(r->j, s);
        }
        s->room = s->synced = atomic_load_explicit(&s->reserved, memory_order_relaxed);
        prev = s;
        link = &s->next;
    }
    r->j->tail = prev;
    return 0;
}

static void sum_up(struct recovery *r)
{
    struct weft_journal *j = r->j;
    struct weft_segment *last = j->tail;

    j->next_number = r->last_number + 1;
    for (struct weft_segment *s = j->head; s; s = s->next) {
        j->in_use += s->size;
        j->n_segments++;
        if (s != last)
            atomic_store_explicit(&s->closed, true, memory_order_relaxed);
        s->end_sequence = s->next ? s->next->first_sequence : s->end_sequence;
    }
    j->next_sequence = r->next_seen > 1 ? r->next_seen : 1;
    if (!last)
        return;
    j->totals = j->opened = weft_totals_plus(last->before, last->totals);
    j->found = weft_totals_minus(j->totals, j->head->before);
    j->published = (struct weft_place){ last, last->room, last->end_sequence };
    j->unsealed = j->sync_from = last;
}

static void jump(struct recovery *r)
{
    bool lost = r->sequences_lost || r->found->quarantined_segments || r->found->lost_records || (r->unsealed && r->rebooted);

    if (lost && r->n > 0)
        r->j->next_sequence += SEQUENCE_JUMP;
}

/* ---- 4: sources and places ---- */

static int note_sources(struct weft_journal *j, struct weft_segment *s)
{
    struct weft_place at = weft_place_start(s);
    bool bad = false;

    int err = weft_segment_attach(s);
    if (err)
        return err;
    for (const struct weft_entry *e; (e = weft_segment_read(s, &at.offset, &at.sequence, &bad)) != NULL;) {
        if (!e->abandoned)
            weft_source_table_note(&j->sources, e->source, at.sequence);
        at.offset += weft_entry_stride(e->length);
        at.sequence++;
    }
    weft_segment_detach(s);
    return 0;
}

static int recover_sources(struct weft_journal *j)
{
    uint8_t *bytes = NULL;
    size_t len = 0;
    struct weft_slice rows;
    uint64_t covered = 0;

    int err = weft_journal_dir_read(&j->dir, "sources", WEFT_SOURCE_STORE_MAX, &bytes, &len);
    if (err && is_fatal(err)) /* it may well be there */
        return err;
    if (!err && weft_source_store_check(weft_slice_of(bytes, len), j->dir.journal_id, &rows, &covered) == 0)
        weft_source_store_load(rows, covered, j->next_sequence - 1, &j->sources);
    free(bytes);
    j->sources_covered = covered;
    err = 0;
    for (struct weft_segment *s = j->head; s && !err; s = s->next)
        if (s->numbered && s->end_sequence > covered + 1) {
            err = note_sources(j, s);
            j->sources_stale = true;
        }
    return err;
}

static void put(struct weft_cursor *c, struct weft_segment *s, size_t offset, uint64_t sequence)
{
    c->read = c->settled = (struct weft_place){ s, offset, sequence };
    atomic_store_explicit(&c->settled_offset, offset, memory_order_relaxed);
    atomic_store_explicit(&c->settled_sequence, sequence - 1, memory_order_relaxed);
}

/* What lay between a place and the segment behind it: given back because it had been settled, or missing. */
static bool is_missing(const struct recovery *r, const struct weft_segment *s)
{
    return s != r->j->head || was_quarantined(r, 0, s->number);
}

/* The totals up to a place, from the records themselves. */
static struct weft_totals counted_up_to(struct weft_segment *s, uint64_t sequence)
{
    struct weft_totals sum = s->before;
    struct weft_place at = weft_place_start(s);
    bool bad = false;

    if (weft_segment_attach(s))
        return sum;
    for (const struct weft_entry *e; (e = weft_segment_read(s, &at.offset, &at.sequence, &bad)) && at.sequence < sequence;) {
        if (!e->abandoned)
            sum = weft_totals_plus(sum, (struct weft_totals){ 1, e->n_items, e->length });
        at.offset += weft_entry_stride(e->length);
        at.sequence++;
    }
    weft_segment_detach(s);
    return sum;
}

/* All that is known of the place is in its segment, which is not there: what is left of that is not known, what came behind it is. */
static struct weft_totals missing_before(const struct weft_journal *j, const struct weft_segment *s,
                                         const struct weft_saved_place *p)
{
    const struct weft_segment *prev = NULL;

    for (const struct weft_segment *at = j->head; at != s; at = at->next)
        prev = at;
    if (!prev || prev->number < p->segment)
        return (struct weft_totals){ .records = s->first_sequence - 1 - p->settled_sequence };
    return weft_totals_minus(s->before, weft_totals_plus(prev->before, prev->totals));
}

/* Where the place is now: in a segment, before one, or behind everything. */
static void locate(struct recovery *r, struct weft_cursor *c, const struct weft_saved_place *p)
{
    struct weft_journal *j = r->j;
    struct weft_segment *s = j->head;
    uint64_t next = p->settled_sequence + 1;

    while (s && next >= s->end_sequence)
        s = s->next;
    if (!s) {
        put(c, j->tail, j->tail->room, next);
        c->base = j->totals;
        r->sequences_lost = r->sequences_lost || next > r->next_seen;
        j->next_sequence = next > j->next_sequence ? next : j->next_sequence;
    } else if (next <= s->first_sequence) {
        put(c, s, s->begin, s->first_sequence);
        c->base = s->before;
        if (c->hold && is_missing(r, s))
            c->found_lost = missing_before(j, s, p);
    } else {
        put(c, s, s->begin, next);
        c->unresolved = true;
        c->base = s->recount || p->segment != s->number ? counted_up_to(s, next) : weft_totals_plus(s->before, p->totals);
    }
}

static int add_place(struct recovery *r, const struct weft_saved_place *p)
{
    struct weft_journal *j = r->j;
    struct weft_cursor *c = calloc(1, sizeof *c);

    if (!c || !(c->name = strndup((const char *)p->name.data, p->name.len))) {
        free(c);
        return UV_ENOMEM;
    }
    c->journal = j;
    c->hold = p->hold;
    c->parked = true;
    c->parked_wall_ns = p->parked_wall_ns ? p->parked_wall_ns : j->wall_clock();
    c->wake_fd = -1;
    locate(r, c, p);
    c->start_sequence = c->settled.sequence;
    c->saved_sequence = c->settled.sequence - 1;
    c->saved_segment = c->settled.segment->number;
    c->saved_totals = weft_totals_minus(c->base, c->settled.segment->before);
    weft_cursor_keep(c);
    c->next = j->cursors;
    j->cursors = c;
    j->n_parked++;
    return 0;
}

static int add_places(struct recovery *r, struct weft_slice rows)
{
    struct weft_saved_place p;
    int got = 0, err = 0;

    while (!err && (got = weft_cursor_store_next(&rows, &p)) > 0)
        err = add_place(r, &p);
    return err ? err : got;
}

/* Nobody knows who had read how far: all of it is kept, under a name that is nobody's, until it is released. */
static int keep_everything(struct recovery *r)
{
    struct weft_journal *j = r->j;
    struct weft_saved_place p = { .name = WEFT_SLICE(WEFT_LOST_PLACES), .hold = true };

    if (!j->head->numbered)
        return 0; /* there is nothing to keep */
    j->recovery.cursors_lost = true;
    weft_log(j->log, WEFT_LOG_WARN, j->name,
             "the places of this journal's readers in %s are lost: all of them begin with the oldest record kept", j->dir.path);
    return add_place(r, &p);
}

static int recover_places(struct recovery *r)
{
    struct weft_journal *j = r->j;
    uint8_t *bytes = NULL;
    size_t len = 0;
    struct weft_slice rows;

    int err = weft_journal_dir_read(&j->dir, "cursors", WEFT_CURSOR_STORE_MAX, &bytes, &len);
    if (err && is_fatal(err)) /* it may well be there */
        return err;
    if (!err)
        err = weft_cursor_store_check(weft_slice_of(bytes, len), j->dir.journal_id, &rows);
    err = err ? keep_everything(r) : add_places(r, rows);
    free(bytes);
    return err == WEFT_ERR_MALFORMED ? keep_everything(r) : err;
}

/* Segments that were given back leave a hole behind those that somebody had in hand; nobody holds these. */
static void strand(const struct recovery *r)
{
    bool held = false;

    for (struct weft_segment *s = r->j->head; s && s->next; s = s->next) {
        held = held || s->holders > 0;
        if (held || s->next->number == s->number + 1 || was_quarantined(r, s->number, s->next->number))
            continue;
        for (struct weft_segment *old = r->j->head; old != s->next; old = old->next)
            old->stranded = true;
    }
}

/* What is not 0 of it. */
static void report(const struct weft_journal *j)
{
    const struct weft_journal_recovery *r = &j->recovery;
    char cut[80] = "", stepped[80] = "", lost[80] = "";

    if (!r->torn_bytes && !r->stepped_over && !r->lost_records)
        return;
    if (r->torn_bytes)
        (void)snprintf(cut, sizeof cut, "; cut %llu bytes that were being written", (unsigned long long)r->torn_bytes);
    if (r->stepped_over)
        (void)snprintf(stepped, sizeof stepped, "; stepped over %llu records that were never published", (unsigned long long)r->stepped_over);
    if (r->lost_records)
        (void)snprintf(lost, sizeof lost, "; lost %llu records with %llu items", (unsigned long long)r->lost_records,
                       (unsigned long long)r->lost_items);
    weft_log(j->log, WEFT_LOG_WARN, j->name, "recovered %llu records from %s%s%s%s", (unsigned long long)j->found.records, j->dir.path, cut,
             stepped, lost);
}

int weft_journal_recover(struct weft_journal *j)
{
    struct recovery r = { .j = j, .found = &j->recovery };

    int err = find_all(&r);
    if (!err)
        err = order_all(&r);
    if (!err && j->dir.journal_id == 0) /* nothing there knew it */
        err = weft_journal_dir_adopt(&j->dir, j->id);
    if (!err) {
        sum_up(&r);
        err = j->head ? 0 : weft_journal_begin_empty(j);
    }
    if (!err)
        err = recover_sources(j);
    if (!err)
        err = recover_places(&r);
    jump(&r);
    strand(&r);
    free(r.numbers);
    free(r.bad);
    report(j);
    return err;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* letters.c: see letters.h.
 *
 * One holding cursor, `keep`, stands before the oldest letter that is there; moving it on is what gives letters back. It and
 * the figures are guarded by `lock`, which is held while a letter is written, so that one cannot leave before it is counted.
 *
 * Letters that left behind it are remembered as ranges of sequences: at most one a letter that is there, however far apart
 * the sequences are (a journal that was hurt goes on 2^32 behind). */
#include "agent/letters.h"

#include "core/clock.h"
#include "core/err.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <uv.h>

enum { HEAD_MAX = WEFT_LETTER_REASON + WEFT_LETTER_DETAIL + WEFT_LETTER_PIPELINE + 128, RANGES_MIN = 16 };

/* Sequences, both ends included. */
struct range {
    uint64_t first, last;
};

struct weft_letters {
    struct weft_journal *journal;
    struct weft_cursor *keep;
    pthread_mutex_t lock;
    struct weft_record head;         /* what keep has read and not settled */
    struct weft_letter head_letter;  /* the same, read; while head_is_read */
    bool has_head, head_is_read;
    uint64_t next;                   /* sequence of the first letter that keep has not settled */
    struct range *gone;              /* crossed out and not settled by keep: sorted, apart from each other */
    size_t n_gone, gone_room;
    uint64_t from, to;               /* crossed out and not written down yet; to 0: nothing */
    bool purging;                    /* these were purged, not sent again */
    struct weft_letters_stats stats;
    uint64_t corrupt_records;        /* that the journal had met when `stats` was counted */
    struct weft_buf text;            /* the head of a letter on its way into the journal */
};

struct weft_letters_reader {
    struct weft_letters *letters;
    struct weft_cursor *cursor;
    uint64_t after, until;
};

/* ---- crossed out ---- */
/* The first range that does not end before it. */
static size_t find_range(const struct weft_letters *l, uint64_t sequence)
{
    size_t low = 0, high = l->n_gone;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (l->gone[middle].last < sequence)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool is_gone(const struct weft_letters *l, uint64_t sequence)
{
    if (sequence < l->next)
        return true;
    size_t at = find_range(l, sequence);
    return at < l->n_gone && l->gone[at].first <= sequence;
}

static void remove_ranges(struct weft_letters *l, size_t at, size_t n)
{
    memmove(l->gone + at, l->gone + at + n, (l->n_gone - at - n) * sizeof *l->gone);
    l->n_gone -= n;
}

/* Ranges in front of `next` are not asked for any more. */
static void forget_passed(struct weft_letters *l)
{
    size_t n = find_range(l, l->next);

    if (n >= RANGES_MIN)
        remove_ranges(l, 0, n);
}

static bool insert_range(struct weft_letters *l, size_t at, uint64_t sequence)
{
    if (l->n_gone == l->gone_room) {
        size_t room = l->gone_room ? l->gone_room + l->gone_room / 2 : RANGES_MIN;
        struct range *gone = realloc(l->gone, room * sizeof *gone);
        if (!gone)
            return false;
        l->gone = gone;
        l->gone_room = room;
    }
    memmove(l->gone + at + 1, l->gone + at, (l->n_gone - at) * sizeof *l->gone);
    l->gone[at] = (struct range){ sequence, sequence };
    l->n_gone++;
    return true;
}

/* False: it was crossed out already, or there is no memory to remember it (then it stays). */
static bool cross_out(struct weft_letters *l, uint64_t sequence)
{
    if (is_gone(l, sequence))
        return false;
    forget_passed(l);
    size_t at = find_range(l, sequence);
    bool follows = at > 0 && l->gone[at - 1].last + 1 == sequence;
    bool leads = at < l->n_gone && sequence + 1 == l->gone[at].first;
    if (!follows && !leads)
        return insert_range(l, at, sequence);
    if (leads)
        l->gone[at].first = follows ? l->gone[at - 1].first : sequence;
    else
        l->gone[at - 1].last = sequence;
    if (follows && leads)
        remove_ranges(l, at - 1, 1);
    return true;
}

/* ---- figures ---- */
static bool has_word(const struct weft_letters_reason *r, struct weft_slice word)
{
    return strlen(r->word) == word.len && memcmp(r->word, word.data, word.len) == 0;
}

/* The slot of a reason; the last one takes what does not fit any more. */
static struct weft_letters_reason *reason_of(struct weft_letters_stats *s, struct weft_slice word)
{
    word.len = word.len > WEFT_LETTER_REASON ? WEFT_LETTER_REASON : word.len;
    for (size_t i = 0; i < s->n_reasons; i++)
        if (has_word(&s->reasons[i], word))
            return &s->reasons[i];
    if (s->n_reasons == WEFT_LETTERS_REASONS)
        return &s->reasons[WEFT_LETTERS_REASONS - 1];
    if (s->n_reasons == WEFT_LETTERS_REASONS - 1)
        word = WEFT_SLICE("other");
    struct weft_letters_reason *r = &s->reasons[s->n_reasons++];
    memset(r, 0, sizeof *r);
    if (word.len > 0)
        memcpy(r->word, word.data, word.len);
    return r;
}

static void count(struct weft_letters_stats *s, const struct weft_letter *letter, size_t bytes)
{
    struct weft_letters_reason *r = reason_of(s, letter->reason);

    s->letters++;
    s->items += letter->n_items;
    s->bytes += bytes;
    r->letters++;
    r->items += letter->n_items;
}

static void uncount(struct weft_letters *l, const struct weft_letter *letter)
{
    struct weft_letters_reason *r = reason_of(&l->stats, letter->reason);

    l->stats.letters--;
    l->stats.items -= letter->n_items;
    l->stats.bytes -= letter->size;
    r->items -= letter->n_items < r->items ? letter->n_items : r->items;
    if (r->letters > 1)
        r->letters--;
    else
        *r = l->stats.reasons[--l->stats.n_reasons];
}

/* ---- the front ---- */
static void settle_head(struct weft_letters *l)
{
    l->has_head = l->head_is_read = false;
    l->next = l->head.sequence + 1;
    weft_cursor_settle(l->keep, l->head.sequence);
}

/* Makes `head` the oldest letter that is there, giving back what was crossed out before it. 1; 0: there is none; UV_ENOMEM: it cannot be
 * read at the moment. */
static int find_head(struct weft_letters *l, struct weft_letter *ret_letter)
{
    for (;;) {
        int found = l->has_head ? 1 : weft_cursor_next(l->keep, &l->head);
        if (found <= 0)
            return found;
        l->has_head = true;
        if (l->head.sequence >= l->next)
            l->next = l->head.sequence;
        if (!l->head_is_read)
            l->head_is_read = weft_letter_read(l->head.payload, &l->head_letter) == 0 && !l->head_letter.gone_last;
        if (l->head_is_read && !is_gone(l, l->head.sequence)) {
            *ret_letter = l->head_letter;
            return 1;
        }
        settle_head(l);
    }
}

static bool evict(struct weft_letters *l)
{
    struct weft_letter letter;

    if (find_head(l, &letter) <= 0)
        return false;
    l->stats.evicted_items += letter.n_items;
    uncount(l, &letter);
    settle_head(l);
    return true;
}

/* ---- writing ---- */
static int append_once(struct weft_letters *l, const struct weft_letter *letter)
{
    struct weft_slice head = weft_buf_slice(&l->text);
    struct weft_record r = { .signal = letter->gone_last ? WEFT_LOGS : letter->signal, .wall_ns = letter->refused_ns,
                             .mono_ns = weft_clock_mono_ns() };
    struct weft_reservation res;

    int err = weft_journal_reserve(l->journal, head.len + letter->body.len, letter->n_items, &res);
    if (err)
        return err;
    memcpy(res.payload, head.data, head.len);
    if (letter->body.len)
        memcpy(res.payload + head.len, letter->body.data, letter->body.len);
    weft_journal_publish(l->journal, &res, &r);
    return 0;
}

/* Is it letters that fill it, and not a disk that takes nothing? A letter is at most a quarter of the whole, so what is less than
 * half full has room enough. */
static bool is_full_of_letters(struct weft_letters *l)
{
    struct weft_journal_stats j;

    weft_journal_stats(l->journal, &j);
    return j.disk_state == WEFT_DISK_OK && weft_journal_fill(l->journal) >= 0.5;
}

/* A journal that is full of letters gives up its oldest, if that is allowed. */
static int append(struct weft_letters *l, const struct weft_letter *letter, bool may_evict)
{
    int err;

    weft_buf_reset(&l->text);
    weft_letter_write_head(&l->text, letter);
    if (l->text.err)
        return l->text.err;
    if (letter->body.len > weft_letters_max_body(l))
        return WEFT_ERR_TOO_LARGE;
    while ((err = append_once(l, letter)) == WEFT_ERR_FULL)
        if (!may_evict || !is_full_of_letters(l) || !evict(l))
            return err;
    return err;
}

size_t weft_letters_max_body(const struct weft_letters *l)
{
    return weft_journal_max_payload(l->journal) / 2 - HEAD_MAX;
}

static int put(struct weft_letters *l, const struct weft_letter *letter, bool may_evict)
{
    pthread_mutex_lock(&l->lock);
    int err = append(l, letter, may_evict);
    if (!err) {
        count(&l->stats, letter, l->text.len + letter->body.len);
        l->stats.written_items += letter->n_items;
    }
    pthread_mutex_unlock(&l->lock);
    return err;
}

int weft_letters_put(struct weft_letters *l, const struct weft_letter *letter)
{
    return put(l, letter, true);
}

int weft_letters_put_again(struct weft_letters *l, const struct weft_letter *letter)
{
    return put(l, letter, false);
}

/* ---- leaving ---- */
/* Writes down what is crossed out, unless it was at the front and is given back already. A loss of this line brings the letters back after
 * a restart: no letter goes to make room for it, unless somebody wanted these gone. */
static void write_down(struct weft_letters *l)
{
    struct weft_letter letter;

    if (!l->to)
        return;
    (void)find_head(l, &letter);
    if (l->to >= l->next) {
        letter = (struct weft_letter){ .gone_first = l->from, .gone_last = l->to, .refused_ns = weft_clock_wall_ns() };
        (void)append(l, &letter, l->purging);
    }
    l->from = l->to = 0;
}

void weft_letters_remove(struct weft_letters *l, uint64_t sequence, const struct weft_letter *letter, enum weft_letters_end end)
{
    pthread_mutex_lock(&l->lock);
    if (cross_out(l, sequence)) {
        uncount(l, letter);
        if (end == WEFT_LETTERS_REPLAYED)
            l->stats.replayed_items += letter->n_items;
        else
            l->stats.purged_items += letter->n_items;
        if (l->to && (sequence != l->to + 1 || l->purging != (end == WEFT_LETTERS_PURGED)))
            write_down(l);
        l->purging = end == WEFT_LETTERS_PURGED;
        l->from = l->to ? l->from : sequence;
        l->to = sequence;
    }
    pthread_mutex_unlock(&l->lock);
}

void weft_letters_flush(struct weft_letters *l)
{
    pthread_mutex_lock(&l->lock);
    write_down(l);
    pthread_mutex_unlock(&l->lock);
}

int weft_letters_purge(struct weft_letters *l, const struct weft_letters_filter *filter, uint64_t *ret_items)
{
    struct weft_letters_reader *r;
    struct weft_letter letter;
    uint64_t sequence, items = 0;

    *ret_items = 0;
    int err = weft_letters_reader_open(l, &r, 0);
    if (err)
        return err;
    while ((err = weft_letters_reader_next(r, filter, &letter, &sequence)) == 1) {
        weft_letters_remove(l, sequence, &letter, WEFT_LETTERS_PURGED);
        weft_letters_reader_settle(r, sequence);
        items += letter.n_items;
    }
    weft_letters_flush(l);
    weft_letters_reader_close(r);
    *ret_items = items;
    return err;
}

/* ---- reading ---- */
int weft_letters_reader_open(struct weft_letters *l, struct weft_letters_reader **ret_reader, uint64_t after)
{
    struct weft_letters_reader *r = calloc(1, sizeof *r);
    struct weft_cursor_options o = { .name = "reader", .start = WEFT_CURSOR_OLDEST, .transient = true, .wake_fd = -1 };
    struct weft_journal_stats j;

    if (!r)
        return UV_ENOMEM;
    weft_journal_stats(l->journal, &j);
    r->letters = l;
    r->after = after;
    r->until = j.next_sequence - 1;
    int err = weft_cursor_open(&r->cursor, l->journal, &o);
    if (err) {
        free(r);
        return err;
    }
    *ret_reader = r;
    return 0;
}

void weft_letters_reader_close(struct weft_letters_reader *r)
{
    if (!r)
        return;
    weft_cursor_close(r->cursor);
    free(r);
}

static bool matches(const struct weft_letters_filter *f, const struct weft_letter *letter)
{
    return !letter->gone_last && (!f->reason || weft_slice_is(letter->reason, f->reason))
           && (!f->before_ns || letter->refused_ns < f->before_ns);
}

static bool is_there(struct weft_letters *l, uint64_t sequence)
{
    pthread_mutex_lock(&l->lock);
    bool there = !is_gone(l, sequence);
    pthread_mutex_unlock(&l->lock);
    return there;
}

int weft_letters_reader_look(struct weft_letters_reader *r, const struct weft_letters_filter *filter,
                             struct weft_letter *ret_letter, uint64_t *ret_sequence)
{
    struct weft_record record;
    struct weft_letter letter;

    int found = weft_cursor_next(r->cursor, &record);
    if (found <= 0 || record.sequence > r->until)
        return found < 0 ? found : 0;
    if (record.sequence <= r->after || !is_there(r->letters, record.sequence) || weft_letter_read(record.payload, &letter)
        || !matches(filter, &letter))
        return WEFT_LETTERS_PASSED_OVER;
    *ret_letter = letter;
    *ret_sequence = record.sequence;
    return 1;
}

int weft_letters_reader_next(struct weft_letters_reader *r, const struct weft_letters_filter *filter,
                             struct weft_letter *ret_letter, uint64_t *ret_sequence)
{
    int found;

    do
        found = weft_letters_reader_look(r, filter, ret_letter, ret_sequence);
    while (found == WEFT_LETTERS_PASSED_OVER);
    return found;
}

void weft_letters_reader_settle(struct weft_letters_reader *r, uint64_t sequence)
{
    weft_cursor_settle(r->cursor, sequence);
}

/* ---- counting anew ---- */
/* Counts what can be read and is not crossed out. With the lock, or alone. */
static int count_all(struct weft_letters *l)
{
    struct weft_cursor_options o = { .name = "count", .start = WEFT_CURSOR_OLDEST, .transient = true, .wake_fd = -1 };
    struct weft_letters_stats s = { .n_reasons = 0 };
    struct weft_letter letter;
    struct weft_journal_stats j;
    struct weft_record record;
    struct weft_cursor *c;

    int found, err = weft_cursor_open(&c, l->journal, &o);
    if (err)
        return err;
    while ((found = weft_cursor_next(c, &record)) > 0) {
        if (!is_gone(l, record.sequence) && weft_letter_read(record.payload, &letter) == 0 && !letter.gone_last)
            count(&s, &letter, letter.size);
        weft_cursor_settle(c, record.sequence);
    }
    weft_cursor_close(c);
    if (found < 0)
        return found;
    weft_journal_stats(l->journal, &j);
    l->corrupt_records = j.corrupt_records;
    l->stats.letters = s.letters;
    l->stats.items = s.items;
    l->stats.bytes = s.bytes;
    l->stats.n_reasons = s.n_reasons;
    memcpy(l->stats.reasons, s.reasons, sizeof s.reasons);
    return 0;
}

/* Somebody has met rotten bytes since the letters were counted; which of them were letters only a new count can tell. */
static int take_away_what_rotted(struct weft_letters *l)
{
    uint64_t before = l->stats.items;
    int err = count_all(l);

    if (!err && before > l->stats.items)
        l->stats.lost_items += before - l->stats.items;
    return err;
}

void weft_letters_stats(struct weft_letters *l, struct weft_letters_stats *ret_stats)
{
    struct weft_letter oldest = { .n_items = 0 };
    struct weft_journal_stats j;

    pthread_mutex_lock(&l->lock);
    int found = find_head(l, &oldest);
    weft_journal_stats(l->journal, &j);
    if (j.corrupt_records != l->corrupt_records || (found == 0 && l->stats.letters > 0))
        found = take_away_what_rotted(l) ? UV_ENOMEM : found;
    *ret_stats = l->stats;
    pthread_mutex_unlock(&l->lock);
    ret_stats->unreadable = found < 0;
    ret_stats->oldest_ns = found > 0 ? oldest.refused_ns : 0;
    ret_stats->capacity_bytes = j.capacity_bytes;
}

/* ---- opening and closing ---- */
/* What a letter's crossing out was written down in comes behind the letter: hence two rounds. */
static int recover(struct weft_letters *l)
{
    struct weft_cursor_options o = { .name = "recovery", .start = WEFT_CURSOR_OLDEST, .transient = true, .wake_fd = -1 };
    struct weft_cursor *c;
    struct weft_record record;
    struct weft_letter letter;

    int found, err = weft_cursor_open(&c, l->journal, &o);
    if (err)
        return err;
    while ((found = weft_cursor_next(c, &record)) > 0) {
        if (record.n_items == 0 && weft_letter_read(record.payload, &letter) == 0 && letter.gone_last < record.sequence)
            for (uint64_t s = letter.gone_first > l->next ? letter.gone_first : l->next; s <= letter.gone_last; s++)
                (void)cross_out(l, s);
        weft_cursor_settle(c, record.sequence);
    }
    weft_cursor_close(c);
    return found < 0 ? found : count_all(l);
}

static int open_keep(struct weft_letters *l)
{
    struct weft_cursor_options o = { .name = "letters", .start = WEFT_CURSOR_OLDEST, .hold = true, .wake_fd = -1 };
    struct weft_cursor_stats c;

    int err = weft_cursor_open(&l->keep, l->journal, &o);
    if (err)
        return err;
    weft_cursor_stats(l->keep, &c);
    l->next = c.settled_sequence + 1;
    return 0;
}

int weft_letters_open(struct weft_letters **ret_letters, const struct weft_journal_options *options)
{
    struct weft_letters *l = calloc(1, sizeof *l);

    if (!l)
        return UV_ENOMEM;
    weft_buf_init(&l->text, HEAD_MAX);
    int err = pthread_mutex_init(&l->lock, NULL) ? UV_ENOMEM : weft_journal_open(&l->journal, options);
    if (!err)
        err = open_keep(l);
    if (!err)
        err = recover(l);
    if (err) {
        weft_letters_close(l);
        return err;
    }
    *ret_letters = l;
    return 0;
}

void weft_letters_close(struct weft_letters *l)
{
    if (!l)
        return;
    if (l->keep)
        weft_letters_flush(l);
    weft_cursor_close(l->keep);
    weft_journal_close(l->journal);
    weft_buf_release(&l->text);
    pthread_mutex_destroy(&l->lock);
    free(l->gone);
    free(l);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* letters.h: the dead-letter journal of one exporter: what its back end refused for good, with the reason.
 *
 *   (1) It never holds more than max_size bytes; the oldest letters go first, counted as evicted. They never go because a
 *       disk is full: then the new one is refused.
 *   (2) A letter that put() took is there until it is evicted, removed, or purged: in disk mode over any crash.
 *   (3) written + found at the opening = waiting + replayed + purged + evicted + lost, in items.
 *   (4) Whoever reads gets only the letters that were there when it began, so a letter that is sent again and refused again
 *       (and so written anew) is not met twice.
 *
 * The journal is append-only, so a letter that leaves from the middle is crossed out: a bit in memory, and one more record
 * that says so for the next start. What is crossed out at the front is given back.
 *
 * put, stats, remove, purge: any thread. A reader belongs to one thread. */
#ifndef WEFT_AGENT_LETTERS_H
#define WEFT_AGENT_LETTERS_H

#include "agent/letter.h"
#include "core/journal.h"

struct weft_letters;

/* Opens the journal and counts what is in it. `options`: as of weft_journal_open; name, max_size and the rest are the
 * caller's. 0, or what weft_journal_open says; UV_ENOMEM also when not all of it can be read. */
int weft_letters_open(struct weft_letters **ret_letters, const struct weft_journal_options *options);

/* Every reader must be closed. Accepts NULL. */
void weft_letters_close(struct weft_letters *l);

/* Writes one letter (a copy); the oldest make room. 0; WEFT_ERR_TOO_LARGE: cut it in two; else it could not be written. */
int weft_letters_put(struct weft_letters *l, const struct weft_letter *letter);

/* The same for what a letter that is being sent again turns into, and without making room: WEFT_ERR_FULL when others would have to go;
 * then the letter should stay as it is. */
int weft_letters_put_again(struct weft_letters *l, const struct weft_letter *letter);

/* The largest body that put takes. */
size_t weft_letters_max_body(const struct weft_letters *l);

enum { WEFT_LETTERS_REASONS = 32 };

struct weft_letters_reason {
    char word[WEFT_LETTER_REASON + 1];
    uint64_t letters, items;
};

struct weft_letters_stats {
    uint64_t letters, items, bytes;     /* waiting; bytes of the messages */
    uint64_t capacity_bytes;
    bool unreadable;                    /* some cannot be read at the moment: what has rotted among them is not known */
    uint64_t oldest_ns;                 /* when the oldest was refused; 0: there is none, or it cannot be read at the moment */
    uint64_t written_items, evicted_items, replayed_items, purged_items; /* since it was opened */
    uint64_t lost_items;                /* rotted on the disk since then */
    size_t n_reasons;                   /* of what waits; the last may be "other" */
    struct weft_letters_reason reasons[WEFT_LETTERS_REASONS];
};

/* Any thread. */
void weft_letters_stats(struct weft_letters *l, struct weft_letters_stats *ret_stats);

/* Which letters are meant. All zero: all of them. */
struct weft_letters_filter {
    const char *reason;                 /* NULL: any */
    uint64_t before_ns;                 /* refused before this; 0: whenever */
};

/* ---- reading ---- */
struct weft_letters_reader;

/* A reader of the letters behind sequence `after` (0: from the oldest) that are there now. 0 or UV_ENOMEM. */
int weft_letters_reader_open(struct weft_letters *l, struct weft_letters_reader **ret_reader, uint64_t after);
void weft_letters_reader_close(struct weft_letters_reader *r); /* accepts NULL */

/* 1: *ret_letter is the next one that matches; 0: there is none left; UV_ENOMEM: there may be, and they cannot be read at the moment.
 * *ret_sequence names the letter. The slices are good until a call of settle passes it. */
int weft_letters_reader_next(struct weft_letters_reader *r, const struct weft_letters_filter *filter,
                             struct weft_letter *ret_letter, uint64_t *ret_sequence);

/* The same, looking at one letter only: WEFT_LETTERS_PASSED_OVER when it does not match or is not there any more. */
enum { WEFT_LETTERS_PASSED_OVER = 2 };
int weft_letters_reader_look(struct weft_letters_reader *r, const struct weft_letters_filter *filter,
                             struct weft_letter *ret_letter, uint64_t *ret_sequence);

/* Letters up to `sequence` are not looked at any more. */
void weft_letters_reader_settle(struct weft_letters_reader *r, uint64_t sequence);

/* ---- leaving ---- */
enum weft_letters_end { WEFT_LETTERS_REPLAYED, WEFT_LETTERS_PURGED };

/* The letter leaves; nothing happens when it has left already. Written down by the next flush at the latest. */
void weft_letters_remove(struct weft_letters *l, uint64_t sequence, const struct weft_letter *letter, enum weft_letters_end end);
void weft_letters_flush(struct weft_letters *l);

/* Removes every letter that matches. UV_ENOMEM: there may be more that cannot be read at the moment. *ret_items were removed in any case. */
int weft_letters_purge(struct weft_letters *l, const struct weft_letters_filter *filter, uint64_t *ret_items);

#endif

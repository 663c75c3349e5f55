/* SPDX-License-Identifier: Apache-2.0 */
/* The journal against a model of it: an array of all records there ever were, and for each cursor two indices.
 *
 * 100,000 random operations a run; the seed is printed, and WEFT_SEED repeats a run. After each step the
 * figures of journal and cursors must be the model's; what a cursor has in hand is compared byte by byte until it is settled. */
#include "core/err.h"
#include "core/journal_state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

enum { STEPS = 100000, CURSORS = 4, OPEN_RESERVATIONS = 4, MAX_SIZE = 1 << 20, SEGMENT = 16 << 10, IN_HAND = 64 };

enum state { RESERVED, PUBLISHED, ABANDONED };

struct entry {
    enum state state;
    uint32_t len, n_items;
};

struct hand {
    struct weft_cursor *cursor; /* NULL: closed */
    bool hold;
    uint64_t start;             /* the first sequence that is its business */
    uint64_t read, settled;     /* the last sequences */
    uint64_t done_items;        /* of what it has settled */
    uint64_t skipped_seen;      /* items in the gaps it has come across */
    struct weft_record in_hand[IN_HAND];
    size_t n_in_hand;
};

static struct {
    struct weft_journal *journal;
    struct entry *entries;      /* by sequence; [0] unused */
    uint64_t n;                 /* the last sequence given */
    struct weft_reservation open[OPEN_RESERVATIONS];
    size_t n_open;
    struct hand hands[CURSORS];
    uint64_t refused;
    unsigned seed;
} m;

static unsigned dice(unsigned sides)
{
    return (unsigned)rand_r(&m.seed) % sides;
}

static uint8_t filling(uint64_t sequence)
{
    return (uint8_t)(sequence * 151 + 7);
}

static size_t random_len(void)
{
    switch (dice(40)) {
    case 0:
        return dice(MAX_SIZE / 2 - 4096); /* mostly a segment of its own */
    case 1:
        return SEGMENT - 64 - dice(20);   /* around a whole segment */
    case 2:
        return 0;
    default:
        return dice(3000);
    }
}

/* ---- operations ---- */

/* A refusal is right when no segment is there that nobody needs, and one more would be over max_size. (The one
 * place where the test looks inside: what a record costs depends on how it came to lie.) */
static void check_that_it_is_full(size_t len)
{
    const struct weft_journal *j = m.journal;
    size_t stride = weft_entry_stride(len), in_use = 0;
    bool held = false;

    for (const struct weft_segment *s = j->head; s; s = s->next) {
        held = held || s->holders > 0 || s == j->tail;
        if (!held && s->pins == 0 && s->writers == 0)
            fail_msg("full although segment %lu is of no use", (unsigned long)s->number);
        in_use += s->size;
    }
    assert_int_equal(in_use, j->in_use);
    assert_true(in_use + (stride > SEGMENT ? stride + 4095 : SEGMENT) > MAX_SIZE);
    assert_true(stride > j->tail->size - j->tail->reserved);
}

static void remember(uint64_t sequence, size_t len, uint32_t n_items)
{
    m.n++;
    assert_int_equal(sequence, m.n);
    m.entries[m.n] = (struct entry){ .state = RESERVED, .len = (uint32_t)len, .n_items = n_items };
}

static void reserve(void)
{
    if (m.n_open == OPEN_RESERVATIONS)
        return;
    struct weft_reservation *res = &m.open[m.n_open];
    size_t len = random_len();
    uint32_t n_items = dice(20);
    int err = weft_journal_reserve(m.journal, len, n_items, res);
    if (err == WEFT_ERR_FULL) {
        m.refused++;
        check_that_it_is_full(len);
        return;
    }
    assert_int_equal(err, 0);
    remember(res->sequence, len, n_items);
    memset(res->payload, filling(res->sequence), len);
    m.n_open++;
}

static void end_reservation(void)
{
    if (m.n_open == 0)
        return;
    size_t i = dice((unsigned)m.n_open);
    struct weft_reservation res = m.open[i];
    m.open[i] = m.open[--m.n_open];
    if (dice(4) == 0) {
        m.entries[res.sequence].state = ABANDONED;
        weft_journal_abandon(m.journal, &res);
        return;
    }
    m.entries[res.sequence].state = PUBLISHED;
    struct weft_record r = { .signal = WEFT_LOGS, .wall_ns = res.sequence * 3, .flags = (uint32_t)res.sequence };
    weft_journal_publish(m.journal, &res, &r);
}

static void append(void)
{
    reserve();
    if (m.n_open > 0 && dice(3) != 0)
        end_reservation();
}

static struct hand *any_hand(void)
{
    struct hand *h = &m.hands[dice(CURSORS)];

    return h->cursor ? h : NULL;
}

static void check_record(const struct weft_record *r)
{
    const struct entry *e = &m.entries[r->sequence];

    if (r->payload.len != e->len || r->n_items != e->n_items || r->wall_ns != r->sequence * 3
        || r->flags != (uint32_t)r->sequence)
        fail_msg("record %lu is not what was written", (unsigned long)r->sequence);
    for (size_t i = 0; i < r->payload.len; i++)
        if (r->payload.data[i] != filling(r->sequence))
            fail_msg("record %lu has changed at byte %zu", (unsigned long)r->sequence, i);
}

/* The next sequence that the cursor must give, or 0: nothing. */
static uint64_t expected_next(const struct hand *h)
{
    for (uint64_t s = h->read + 1; s <= m.n; s++) {
        if (m.entries[s].state == PUBLISHED)
            return s;
        if (m.entries[s].state == RESERVED)
            return 0;
    }
    return 0;
}

/* Items of published records that a cursor which does not hold has been moved over. */
static void step_over(struct hand *h, uint64_t sequence)
{
    for (uint64_t s = h->read + 1; s < sequence; s++) {
        assert_true(m.entries[s].state != RESERVED);
        if (m.entries[s].state == PUBLISHED)
            h->skipped_seen += m.entries[s].n_items;
    }
}

static void read_one(void)
{
    struct hand *h = any_hand();
    struct weft_record r;

    if (!h || h->n_in_hand == IN_HAND)
        return;
    int got = weft_cursor_next(h->cursor, &r);
    uint64_t expected = expected_next(h);
    if (h->hold && (got ? r.sequence : 0) != expected)
        fail_msg("got %lu, expected %lu", got ? (unsigned long)r.sequence : 0ul, (unsigned long)expected);
    if (!got)
        return;
    assert_true(r.sequence >= expected && r.sequence <= m.n);
    step_over(h, r.sequence);
    h->read = r.sequence;
    check_record(&r);
    h->in_hand[h->n_in_hand++] = r;
}

static void settle(void)
{
    struct hand *h = any_hand();

    if (!h || h->n_in_hand == 0)
        return;
    for (size_t i = 0; i < h->n_in_hand; i++)
        check_record(&h->in_hand[i]);
    size_t n = 1 + dice((unsigned)h->n_in_hand);
    for (size_t i = 0; i < n; i++)
        h->done_items += h->in_hand[i].n_items;
    h->settled = h->in_hand[n - 1].sequence;
    weft_cursor_settle(h->cursor, h->settled);
    h->n_in_hand -= n;
    memmove(h->in_hand, h->in_hand + n, h->n_in_hand * sizeof *h->in_hand);
}

static void rewind_one(void)
{
    struct hand *h = any_hand();

    if (!h || !h->hold) /* one that does not hold has gaps behind it: tested in test_journal.c */
        return;
    weft_cursor_rewind(h->cursor);
    h->read = h->settled;
    h->n_in_hand = 0;
}

static void open_or_close(void)
{
    struct hand *h = &m.hands[dice(CURSORS)];

    if (h->cursor) {
        weft_cursor_close(h->cursor);
        *h = (struct hand){ 0 };
        return;
    }
    struct weft_cursor_options o = { .hold = dice(3) != 0, .wake_fd = -1,
                                     .start = dice(2) ? WEFT_CURSOR_OLDEST : WEFT_CURSOR_TAIL };
    struct weft_journal_stats s;
    weft_journal_stats(m.journal, &s);
    *h = (struct hand){ .hold = o.hold };
    assert_int_equal(weft_cursor_open(&h->cursor, m.journal, &o), 0);
    h->start = o.start == WEFT_CURSOR_OLDEST ? s.first_sequence : s.next_sequence;
    h->read = h->settled = h->start - 1;
}

static void arm(void)
{
    struct hand *h = any_hand();

    if (!h)
        return;
    if (weft_cursor_arm(h->cursor) && h->hold)
        assert_int_equal(expected_next(h), 0);
}

/* ---- what must hold after every step ---- */

static void check_figures(void)
{
    struct weft_journal_stats s;

    weft_journal_stats(m.journal, &s);
    assert_int_equal(s.next_sequence, m.n + 1);
    assert_true(s.segment_bytes <= MAX_SIZE);
    assert_int_equal(s.refused_records, m.refused);
    double fill = weft_journal_fill(m.journal);
    assert_true(fill >= 0 && fill <= 1);
}

static void check_cursor(const struct hand *h)
{
    struct weft_cursor_stats s;
    uint64_t items = 0, records = 0, bytes = 0;

    weft_cursor_stats(h->cursor, &s);
    for (uint64_t k = h->settled + 1; k <= m.n; k++) {
        if (m.entries[k].state == ABANDONED)
            continue;
        records++;
        items += m.entries[k].n_items;
        bytes += m.entries[k].len;
    }
    if (h->hold) {
        assert_int_equal(s.waiting_records, records);
        assert_int_equal(s.waiting_items, items);
        assert_int_equal(s.waiting_bytes, bytes);
        assert_int_equal(s.skipped_items, 0);
    } else {
        uint64_t all = 0;
        for (uint64_t k = h->start; k <= m.n; k++)
            all += m.entries[k].state == ABANDONED ? 0 : m.entries[k].n_items;
        assert_int_equal(s.waiting_items + s.skipped_items + h->done_items, all);
        assert_true(s.skipped_items >= h->skipped_seen);
    }
}

/* Everything that is reserved is ended and every cursor reads to the tail: now skipped is what was never seen. */
static void finish(void)
{
    struct weft_cursor_stats s;

    while (m.n_open > 0)
        end_reservation();
    for (struct hand *h = m.hands; h < m.hands + CURSORS; h++) {
        if (!h->cursor)
            continue;
        struct weft_record r;
        if (h->n_in_hand > 0)
            weft_cursor_settle(h->cursor, h->in_hand[h->n_in_hand - 1].sequence);
        while (weft_cursor_next(h->cursor, &r) > 0) {
            step_over(h, r.sequence);
            h->read = r.sequence;
            weft_cursor_settle(h->cursor, r.sequence);
        }
        step_over(h, m.n + 1);
        weft_cursor_stats(h->cursor, &s);
        assert_int_equal(s.waiting_items, 0);
        assert_int_equal(s.skipped_items, h->skipped_seen);
        weft_cursor_close(h->cursor);
    }
    weft_journal_close(m.journal);
    free(m.entries);
}

static void step(void)
{
    unsigned what = dice(100);

    if (what < 40)
        append();
    else if (what < 45)
        end_reservation();
    else if (what < 72)
        read_one();
    else if (what < 90)
        settle();
    else if (what < 93)
        rewind_one();
    else if (what < 95)
        open_or_close();
    else if (what < 99)
        arm();
    else
        weft_journal_trim(m.journal);
}

static void run(unsigned seed, size_t retain)
{
    struct weft_journal_options o = { .name = "model", .max_size = MAX_SIZE, .segment_size = SEGMENT, .retain = retain };

    printf("seed %u\n", seed);
    memset(&m, 0, sizeof m);
    m.seed = seed;
    m.entries = calloc(STEPS + 2, sizeof *m.entries);
    assert_int_equal(weft_journal_open(&m.journal, &o), 0);
    for (int i = 0; i < STEPS; i++) {
        step();
        if (i % 16 == 0)
            check_figures();
        struct hand *h = any_hand();
        if (i % 16 == 0 && h)
            check_cursor(h);
    }
    finish();
}

static void a_hundred_thousand_random_steps_agree_with_the_model(void **state)
{
    const char *given = getenv("WEFT_SEED");

    (void)state;
    run(given ? (unsigned)strtoul(given, NULL, 10) : (unsigned)time(NULL), 0);
}

static void so_they_do_when_segments_are_retained(void **state)
{
    (void)state;
    run(4711, MAX_SIZE / 4);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hundred_thousand_random_steps_agree_with_the_model),
        cmocka_unit_test(so_they_do_when_segments_are_retained),
    };

    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

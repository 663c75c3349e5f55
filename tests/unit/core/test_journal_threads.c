/* SPDX-License-Identifier: Apache-2.0 */
/* The journal under threads: a million wake-ups of which none may be lost, and writers and readers that
 * check every byte. Made to be run under TSan too. */
#include "core/clock.h"
#include "core/err.h"
#include "core/journal.h"

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

enum { MIB = 1 << 20, READERS = 2, WRITERS = 2 };

/* ---- wake-ups ---- */
enum { WAKE_UPS = 1000000, LOST_AFTER_MS = 20000 };

struct sleeper {
    struct weft_cursor *cursor;
    int fd;
    _Atomic uint64_t seen;
    uint64_t wake_ups;
};

static struct {
    struct weft_journal *journal;
    struct sleeper sleepers[READERS];
    _Atomic uint64_t appended, woken;
    _Atomic bool over, lost;
} wakes;

/* Most waits spin on the descriptor, so that the next race is run at once; some really sleep. */
static bool wait_for_wake_up(struct sleeper *s)
{
    uint64_t count, give_up = weft_clock_mono_ms() + LOST_AFTER_MS;

    if (s->wake_ups % 256 == 0) {
        struct pollfd p = { .fd = s->fd, .events = POLLIN };
        (void)poll(&p, 1, 100); /* the end is announced without a wake-up */
    }
    while (read(s->fd, &count, sizeof count) != (ssize_t)sizeof count) {
        if (atomic_load(&wakes.over))
            return false;
        if (weft_clock_mono_ms() > give_up && atomic_load(&wakes.appended) > s->seen) {
            atomic_store(&wakes.lost, true);
            atomic_store(&wakes.over, true);
        }
        sched_yield();
    }
    return true;
}

static void *sleep_and_read(void *data)
{
    struct sleeper *s = data;
    struct weft_record r;

    while (!atomic_load(&wakes.over)) {
        while (weft_cursor_next(s->cursor, &r) > 0) {
            weft_cursor_settle(s->cursor, r.sequence);
            atomic_fetch_add(&s->seen, 1);
        }
        if (!weft_cursor_arm(s->cursor))
            continue;
        if (wait_for_wake_up(s)) {
            s->wake_ups++;
            atomic_fetch_add(&wakes.woken, 1);
        }
    }
    return NULL;
}

/* Nearly everything was seen: the readers are arming right now. */
static bool caught_up(uint64_t slack)
{
    for (int i = 0; i < READERS; i++)
        if (atomic_load(&wakes.sleepers[i].seen) + slack < atomic_load(&wakes.appended))
            return false;
    return true;
}

static void *append_and_wait(void *data)
{
    unsigned seed = (unsigned)(uintptr_t)data;
    struct weft_record r = { .n_items = 1, .payload = WEFT_SLICE("wake up") };

    while (!atomic_load(&wakes.over)) {
        uint64_t slack = (unsigned)rand_r(&seed) % 3;
        while (!caught_up(slack) && !atomic_load(&wakes.over))
            sched_yield();
        for (volatile int spin = rand_r(&seed) % 200; spin > 0;)
            spin = spin - 1;
        if (weft_journal_append(wakes.journal, &r, NULL) == 0)
            atomic_fetch_add(&wakes.appended, 1);
        if (atomic_load(&wakes.woken) >= WAKE_UPS)
            atomic_store(&wakes.over, true);
    }
    return NULL;
}

static void none_of_a_million_wake_ups_is_lost(void **state)
{
    pthread_t readers[READERS], writers[WRITERS];

    (void)state;
    assert_int_equal(weft_journal_open(&wakes.journal, &(struct weft_journal_options){ .max_size = MIB }), 0);
    for (int i = 0; i < READERS; i++) {
        struct sleeper *s = &wakes.sleepers[i];
        s->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        struct weft_cursor_options o = { .hold = true, .wake_fd = s->fd };
        assert_int_equal(weft_cursor_open(&s->cursor, wakes.journal, &o), 0);
    }
    for (int i = 0; i < READERS; i++)
        assert_int_equal(pthread_create(&readers[i], NULL, sleep_and_read, &wakes.sleepers[i]), 0);
    for (uintptr_t i = 0; i < WRITERS; i++)
        assert_int_equal(pthread_create(&writers[i], NULL, append_and_wait, (void *)(i + 1)), 0);
    for (int i = 0; i < WRITERS; i++)
        pthread_join(writers[i], NULL);
    for (int i = 0; i < READERS; i++)
        pthread_join(readers[i], NULL);
    printf("%llu wake-ups for %llu records\n", (unsigned long long)wakes.woken, (unsigned long long)wakes.appended);
    assert_false(wakes.lost);
    assert_true(wakes.woken >= WAKE_UPS);
    for (int i = 0; i < READERS; i++) {
        weft_cursor_close(wakes.sleepers[i].cursor);
        close(wakes.sleepers[i].fd);
    }
    weft_journal_close(wakes.journal);
}

/* ---- contents ---- */
enum { PRODUCERS = 3, RECORDS = 20000, IN_HAND = 8, LARGEST = 20000 };

struct producer {
    struct weft_journal *journal;
    uint32_t number;
    uint32_t published; /* of RECORDS; the others were abandoned */
    pthread_t thread;
};

struct reader {
    struct weft_cursor *cursor;
    bool holds;
    uint64_t seen[PRODUCERS], items;
    uint32_t next[PRODUCERS];
    const char *wrong;
    pthread_t thread;
};

static _Atomic unsigned producers_left;

struct head {
    uint32_t producer, number, len;
};

static void write_payload(uint8_t *to, struct head h)
{
    memset(to, (int)(h.number & 0xff), h.len);
    memcpy(to, &h, sizeof h);
}

static int reserve_patiently(struct weft_journal *j, size_t len, uint32_t n_items, struct weft_reservation *res)
{
    int err;

    while ((err = weft_journal_reserve(j, len, n_items, res)) == WEFT_ERR_FULL)
        sched_yield();
    return err;
}

static void *produce(void *data)
{
    struct producer *p = data;
    unsigned seed = p->number + 5;

    for (uint32_t i = 0; i < RECORDS; i++) {
        struct head h = { .producer = p->number, .number = i };
        unsigned dice = (unsigned)rand_r(&seed);
        h.len = (uint32_t)(sizeof h + (dice % 50 == 0 ? dice % LARGEST : dice % 300));
        struct weft_reservation res;
        if (reserve_patiently(p->journal, h.len, 1 + i % 5, &res))
            break;
        if (dice % 31 == 0) {
            weft_journal_abandon(p->journal, &res);
            continue;
        }
        write_payload(res.payload, h);
        weft_journal_publish(p->journal, &res, &(struct weft_record){ .signal = WEFT_TRACES, .mono_ns = i });
        p->published++;
    }
    atomic_fetch_sub(&producers_left, 1);
    return NULL;
}

static const char *check_payload(struct weft_slice payload)
{
    struct head h;

    memcpy(&h, payload.data, sizeof h);
    if (h.len != payload.len)
        return "length";
    for (size_t i = sizeof h; i < payload.len; i++)
        if (payload.data[i] != (uint8_t)h.number)
            return "contents";
    return NULL;
}

static void check(struct reader *reader, const struct weft_record *r, uint64_t *last_sequence)
{
    struct head h;

    memcpy(&h, r->payload.data, sizeof h);
    if (r->sequence <= *last_sequence)
        reader->wrong = "sequence";
    *last_sequence = r->sequence;
    if (h.producer >= PRODUCERS || h.number < reader->next[h.producer] || r->mono_ns != h.number
        || r->n_items != 1 + h.number % 5) {
        reader->wrong = "head";
        return;
    }
    reader->next[h.producer] = h.number + 1;
    reader->seen[h.producer]++;
    reader->items += r->n_items;
}

/* Keeps some records in hand, looks at them again before it settles them, and now and then goes back. */
static void *read_and_check(void *data)
{
    struct reader *reader = data;
    struct weft_record in_hand[IN_HAND];
    uint64_t last_sequence = 0;
    unsigned n = 0, turns = 0;

    while (!reader->wrong) {
        bool last_look = atomic_load(&producers_left) == 0;
        int got = weft_cursor_next(reader->cursor, &in_hand[n]);
        if (got > 0) {
            check(reader, &in_hand[n], &last_sequence);
            n++;
        }
        if (n < IN_HAND && got > 0)
            continue;
        for (unsigned i = 0; i < n && !reader->wrong; i++)
            reader->wrong = check_payload(in_hand[i].payload);
        if (n > 0) {
            weft_cursor_settle(reader->cursor, in_hand[n - 1].sequence);
            weft_cursor_rewind(reader->cursor); /* everything is settled: must change nothing */
        }
        n = 0;
        if (got == 0 && last_look)
            break;
        if (got == 0 || (!reader->holds && ++turns % 64 == 0))
            sched_yield();
    }
    return NULL;
}

static void writers_and_readers_at_once_see_every_byte_as_it_was_written(void **state)
{
    struct producer producers[PRODUCERS];
    struct reader readers[3] = { { .holds = true }, { .holds = true }, { .holds = false } };
    struct weft_journal *j = NULL;
    uint64_t items = 0;

    (void)state;
    assert_int_equal(weft_journal_open(&j, &(struct weft_journal_options){ .max_size = MIB, .segment_size = 16384 }), 0);
    atomic_store(&producers_left, PRODUCERS);
    for (int i = 0; i < 3; i++) {
        struct weft_cursor_options o = { .hold = readers[i].holds, .wake_fd = -1 };
        assert_int_equal(weft_cursor_open(&readers[i].cursor, j, &o), 0);
        assert_int_equal(pthread_create(&readers[i].thread, NULL, read_and_check, &readers[i]), 0);
    }
    for (uint32_t i = 0; i < PRODUCERS; i++) {
        producers[i] = (struct producer){ .journal = j, .number = i };
        assert_int_equal(pthread_create(&producers[i].thread, NULL, produce, &producers[i]), 0);
    }
    for (int i = 0; i < PRODUCERS; i++)
        pthread_join(producers[i].thread, NULL);
    for (int i = 0; i < 3; i++) {
        pthread_join(readers[i].thread, NULL);
        if (readers[i].wrong)
            fail_msg("reader %d: %s", i, readers[i].wrong);
    }
    for (int i = 0; i < 2; i++)
        for (int k = 0; k < PRODUCERS; k++)
            assert_int_equal(readers[i].seen[k], producers[k].published);
    items = readers[0].items;
    struct weft_cursor_stats s;
    weft_cursor_stats(readers[2].cursor, &s);
    assert_int_equal(readers[2].items + s.skipped_items, items);
    assert_int_equal(s.waiting_items, 0);
    for (int i = 0; i < 3; i++)
        weft_cursor_close(readers[i].cursor);
    weft_journal_close(j);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(none_of_a_million_wake_ups_is_lost),
        cmocka_unit_test(writers_and_readers_at_once_see_every_byte_as_it_was_written),
    };

    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* bench_journal.c: nanoseconds per record of appending to a journal in memory and reading it, beside a memcpy of the
 * same bytes into one warm buffer.
 *
 *   bench_journal
 *
 * The best of 9 rounds, since others share the machine. */
#include "core/clock.h"
#include "core/journal.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { ROUNDS = 9, MIB = 1 << 20, JOURNAL = 32 * MIB, BATCH = 16, WRITERS = 2 };

static uint8_t payload[64 << 10];
static uint8_t target[64 << 10];

static struct weft_journal *open_journal(void)
{
    struct weft_journal *j = NULL;

    if (weft_journal_open(&j, &(struct weft_journal_options){ .name = "bench", .max_size = JOURNAL }))
        exit(1);
    return j;
}

static struct weft_cursor *open_cursor(struct weft_journal *j, int wake_fd)
{
    struct weft_cursor *c = NULL;

    if (weft_cursor_open(&c, j, &(struct weft_cursor_options){ .hold = true, .wake_fd = wake_fd }))
        exit(1);
    return c;
}

static void append(struct weft_journal *j, size_t len)
{
    struct weft_record r = { .n_items = 100, .payload = { payload, len } };

    if (weft_journal_append(j, &r, NULL))
        exit(1);
}

static void read_all(struct weft_cursor *c)
{
    struct weft_record r;
    uint64_t last = 0;

    while (weft_cursor_next(c, &r) > 0)
        last = r.sequence;
    if (last)
        weft_cursor_settle(c, last);
}

/* ---- one round of each; n records of len bytes; nanoseconds in all ---- */

static uint64_t copy(size_t len, unsigned n)
{
    uint64_t began = weft_clock_mono_ns();

    for (unsigned i = 0; i < n; i++) {
        memcpy(target, payload, len);
        __asm__ volatile("" : : "r"(target) : "memory");
    }
    return weft_clock_mono_ns() - began;
}

static uint64_t append_alone(size_t len, unsigned n)
{
    struct weft_journal *j = open_journal();
    uint64_t began = weft_clock_mono_ns();

    for (unsigned i = 0; i < n; i++)
        append(j, len);
    uint64_t took = weft_clock_mono_ns() - began;
    weft_journal_close(j);
    return took;
}

static uint64_t append_and_read(size_t len, unsigned n, int n_cursors)
{
    struct weft_journal *j = open_journal();
    struct weft_cursor *c[2];

    for (int k = 0; k < n_cursors; k++)
        c[k] = open_cursor(j, -1);
    uint64_t began = weft_clock_mono_ns();
    for (unsigned i = 0; i < n; i++) {
        append(j, len);
        for (int k = 0; i % BATCH == BATCH - 1 && k < n_cursors; k++)
            read_all(c[k]);
    }
    uint64_t took = weft_clock_mono_ns() - began;
    for (int k = 0; k < n_cursors; k++)
        weft_cursor_close(c[k]);
    weft_journal_close(j);
    return took;
}

static uint64_t append_and_read_one(size_t len, unsigned n)
{
    return append_and_read(len, n, 1);
}

static uint64_t append_and_read_two(size_t len, unsigned n)
{
    return append_and_read(len, n, 2);
}

/* Nobody reads: every page is touched for the first time. */
static uint64_t fill_fresh(size_t len, unsigned n)
{
    struct weft_journal *j = open_journal();
    struct weft_cursor *c = open_cursor(j, -1);
    uint64_t began = weft_clock_mono_ns();

    for (unsigned i = 0; i < n; i++)
        append(j, len);
    uint64_t took = weft_clock_mono_ns() - began;
    weft_cursor_close(c);
    weft_journal_close(j);
    return took;
}

static uint64_t read_and_settle(size_t len, unsigned n)
{
    struct weft_journal *j = open_journal();
    struct weft_cursor *c = open_cursor(j, -1);

    for (unsigned i = 0; i < n; i++)
        append(j, len);
    uint64_t began = weft_clock_mono_ns();
    read_all(c);
    uint64_t took = weft_clock_mono_ns() - began;
    weft_cursor_close(c);
    weft_journal_close(j);
    return took;
}

/* The reader sleeps each time: the append that wakes pays for the eventfd. */
static uint64_t append_and_wake(size_t len, unsigned n)
{
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    struct weft_journal *j = open_journal();
    struct weft_cursor *c = open_cursor(j, fd);
    uint64_t took = 0;

    for (unsigned i = 0; i < n; i++) {
        read_all(c);
        (void)weft_cursor_arm(c);
        uint64_t began = weft_clock_mono_ns();
        append(j, len);
        took += weft_clock_mono_ns() - began;
    }
    weft_cursor_close(c);
    weft_journal_close(j);
    close(fd);
    return took;
}

struct writer {
    struct weft_journal *journal;
    size_t len;
    unsigned n;
    pthread_t thread;
};

static void *write_many(void *data)
{
    struct writer *w = data;

    for (unsigned i = 0; i < w->n; i++)
        append(w->journal, w->len);
    return NULL;
}

static uint64_t append_from_two(size_t len, unsigned n)
{
    struct weft_journal *j = open_journal();
    struct writer writers[WRITERS];
    uint64_t began = weft_clock_mono_ns();

    for (int i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){ .journal = j, .len = len, .n = n / WRITERS };
        if (pthread_create(&writers[i].thread, NULL, write_many, &writers[i]))
            exit(1);
    }
    for (int i = 0; i < WRITERS; i++)
        pthread_join(writers[i].thread, NULL);
    uint64_t took = weft_clock_mono_ns() - began;
    weft_journal_close(j);
    return took;
}

static void best_of(const char *what, uint64_t (*round)(size_t len, unsigned n), size_t len, unsigned n)
{
    uint64_t best = UINT64_MAX;

    for (int i = 0; i < ROUNDS; i++) {
        uint64_t took = round(len, n);
        best = took < best ? took : best;
    }
    printf("%-44s %8zu B %10.1f ns/record\n", what, len, (double)best / n);
}

int main(void)
{
    const struct { size_t len; unsigned n, n_fresh; } sizes[] = { { 1000, 100000, 20000 }, { 50000, 4000, 500 } };

    memset(payload, 'x', sizeof payload);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        size_t len = sizes[i].len;
        best_of("memcpy into a warm buffer (the limit)", copy, len, sizes[i].n);
        best_of("append, nobody reads (recycled segments)", append_alone, len, sizes[i].n);
        best_of("append, read and settle, one cursor", append_and_read_one, len, sizes[i].n);
        best_of("append, read and settle, two cursors", append_and_read_two, len, sizes[i].n);
        best_of("append from two threads, wall time", append_from_two, len, sizes[i].n);
        best_of("append that wakes a sleeping reader", append_and_wake, len, sizes[i].n_fresh);
        best_of("append into fresh pages (a growing backlog)", fill_fresh, len, sizes[i].n_fresh);
        best_of("read and settle a backlog", read_and_settle, len, sizes[i].n_fresh);
    }
    return 0;
}

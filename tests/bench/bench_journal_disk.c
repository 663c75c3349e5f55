/* SPDX-License-Identifier: Apache-2.0 */
/* bench_journal_disk.c: a journal on disk beside what the same disk gives a plain program, in the same run.
 *
 *   bench_journal_disk append|durable|group|backlog DIRECTORY
 *
 * Each line: a name, our figure, the plain program's. Both sides write over files that are there already, which is what a journal
 * that runs does (its files go round), and take turns, since others share the disk.
 *
 *   append     sync: interval against pwrite with an fdatasync every half second and one at the end, MB/s; and the CPU of both
 *   durable    sync: always, groups of 1 MiB, against pwrite of 1 MiB and fdatasync, MB/s: one client that waits for each group before it
 *              begins the next, and two such clients
 *   group      sync: always, 64 small requests waiting at a time, against one pwrite and fdatasync each, requests/s
 *   backlog    4 GiB that nobody has read: seconds to open them after a kill, and memory of the process that holds them */
#include "core/clock.h"
#include "core/journal.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MIB = 1 << 20, KIB = 1 << 10, ROUNDS = 3, RING = 512, TOTAL = 1024, WAITERS = 64, SMALL = 500, CLIENTS_MAX = 8 };

static uint8_t payload[MIB];
static const char *home;

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static double seconds(void)
{
    return (double)weft_clock_mono_ns() / 1e9;
}

static double cpu(void)
{
    struct rusage u;

    (void)getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

/* ---- the plain program ---- */
static int plain_file(size_t mib)
{
    char name[512];

    (void)snprintf(name, sizeof name, "%s/plain", home);
    int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        fail("open");
    for (size_t i = 0; i < mib; i++)
        if (pwrite(fd, payload, MIB, (off_t)(i * MIB)) != MIB)
            fail("pwrite");
    if (fsync(fd))
        fail("fsync");
    (void)unlink(name);
    return fd;
}

/* Seconds for TOTAL MiB in pieces of `len`. */
static double plain_append(int fd, size_t len)
{
    double began = seconds(), synced = began;
    size_t at = 0;

    for (size_t done = 0; done + len <= (size_t)TOTAL * MIB; done += len) {
        if (pwrite(fd, payload, len, (off_t)at) != (ssize_t)len)
            fail("pwrite");
        at = at + 2 * len <= (size_t)RING * MIB ? at + len : 0;
        if ((done / len) % 64 == 0 && seconds() - synced > 0.5) {
            (void)fdatasync(fd);
            synced = seconds();
        }
    }
    (void)fdatasync(fd);
    return seconds() - began;
}

static double plain_durable(int fd, size_t len, unsigned n)
{
    double began = seconds();

    for (unsigned i = 0; i < n; i++)
        if (pwrite(fd, payload, len, (off_t)((i * len) % ((size_t)RING * MIB))) != (ssize_t)len || fdatasync(fd))
            fail("fdatasync");
    return seconds() - began;
}

/* ---- ours ---- */
static struct weft_journal *open_journal(uint64_t max_size, enum weft_sync sync)
{
    struct weft_journal *j = NULL;
    char name[512];

    (void)snprintf(name, sizeof name, "%s/journal", home);
    if (weft_journal_open(&j, &(struct weft_journal_options){ .name = "bench", .mode = WEFT_JOURNAL_DISK, .directory = name,
                                                              .max_size = max_size, .retain = max_size, .sync = sync }))
        fail("journal");
    return j;
}

static void remove_journal(void)
{
    char name[512];

    (void)snprintf(name, sizeof name, "%s/journal", home);
    if (weft_journal_remove(name))
        fail("remove");
}

static uint64_t append(struct weft_journal *j, size_t len)
{
    struct weft_record r = { .n_items = 1, .wall_ns = 1, .payload = { payload, len } };
    uint64_t sequence = 0;

    if (weft_journal_append(j, &r, &sequence)) {
        (void)fprintf(stderr, "append failed\n");
        exit(1);
    }
    return sequence;
}

/* The newest sequence is synced, whatever the mode. */
static void wait_until_synced(struct weft_journal *j)
{
    struct weft_journal_stats before, now;
    const struct timespec step = { 0, 1000000 };

    weft_journal_hurry(j);
    weft_journal_stats(j, &before);
    do {
        nanosleep(&step, NULL);
        weft_journal_stats(j, &now);
    } while (now.syncs == before.syncs);
}

static double journal_append(struct weft_journal *j, size_t len)
{
    double began = seconds();

    for (size_t done = 0; done + len <= (size_t)TOTAL * MIB; done += len)
        (void)append(j, len);
    wait_until_synced(j);
    return seconds() - began;
}

struct bell {
    pthread_mutex_t lock;
    pthread_cond_t rung;
    unsigned rings;
};

static void ring(void *ctx)
{
    struct bell *b = ctx;

    pthread_mutex_lock(&b->lock);
    b->rings++;
    pthread_cond_broadcast(&b->rung);
    pthread_mutex_unlock(&b->lock);
}

static void wait_for(struct weft_journal *j, struct bell *b, uint64_t sequence)
{
    weft_journal_hurry(j);
    pthread_mutex_lock(&b->lock);
    while (weft_journal_confirmed(j, sequence) == 0)
        pthread_cond_wait(&b->rung, &b->lock);
    pthread_mutex_unlock(&b->lock);
}

struct client {
    struct weft_journal *journal;
    struct bell *bell;
    size_t len;
    unsigned per_group, groups;
    pthread_t thread;
};

/* Each group is durable before the next begins. */
static void *send_groups(void *arg)
{
    const struct client *c = arg;
    uint64_t last = 0;

    for (unsigned i = 0; i < c->groups; i++) {
        for (unsigned k = 0; k < c->per_group; k++)
            last = append(c->journal, c->len);
        wait_for(c->journal, c->bell, last);
    }
    return NULL;
}

static double journal_durable(const struct client *like, unsigned n_clients)
{
    struct client clients[CLIENTS_MAX];
    double began = seconds();

    for (unsigned i = 0; i < n_clients; i++) {
        clients[i] = *like;
        clients[i].groups /= n_clients;
        if (pthread_create(&clients[i].thread, NULL, send_groups, &clients[i]))
            fail("pthread_create");
    }
    for (unsigned i = 0; i < n_clients; i++)
        (void)pthread_join(clients[i].thread, NULL);
    return seconds() - began;
}

/* ---- rows ---- */
static void bench_append(size_t len)
{
    int fd = plain_file(RING);
    struct weft_journal *j = open_journal((uint64_t)RING * MIB, WEFT_SYNC_INTERVAL);
    double ours = 1e9, plain = 1e9, our_cpu = 1e9, plain_cpu = 1e9;

    (void)journal_append(j, len); /* files that are there already */
    for (int i = 0; i < ROUNDS; i++) {
        double c0 = cpu(), took = plain_append(fd, len), c1 = cpu();
        plain = took < plain ? took : plain;
        plain_cpu = c1 - c0 < plain_cpu ? c1 - c0 : plain_cpu;
        took = journal_append(j, len);
        c0 = cpu();
        ours = took < ours ? took : ours;
        our_cpu = c0 - c1 < our_cpu ? c0 - c1 : our_cpu;
    }
    printf("append_%zu_mb_s %.0f %.0f\n", len, TOTAL / ours * 1.048576, TOTAL / plain * 1.048576);
    printf("append_%zu_cpu_ns_kib %.0f %.0f\n", len, our_cpu * 1e9 / TOTAL / KIB, plain_cpu * 1e9 / TOTAL / KIB);
    printf("append_%zu_records_s %.0f %.0f\n", len, (double)TOTAL * MIB / (double)len / ours, (double)TOTAL * MIB / (double)len / plain);
    weft_journal_close(j);
    remove_journal();
    close(fd);
}

struct durable {
    const char *name;
    size_t len;                  /* of a record */
    unsigned per_group, clients;
    size_t plain_len;
    double scale, plain_scale;   /* of a group, and of what the plain program writes at a time, in the row's unit */
};

static void bench_durable(const struct durable *row)
{
    enum { GROUPS = 400 };
    static struct bell bell = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0 };
    int fd = plain_file(RING);
    struct weft_journal *j = open_journal((uint64_t)RING * MIB, WEFT_SYNC_ALWAYS);
    struct weft_journal_watch watch = { .on_confirmed = ring, .ctx = &bell };
    const struct client client = { .journal = j, .bell = &bell, .len = row->len, .per_group = row->per_group, .groups = GROUPS };
    double ours = 1e9, plain = 1e9;

    for (size_t i = 0; i < (size_t)RING * MIB / (64 * KIB); i++)
        (void)append(j, 64 * KIB);
    weft_journal_watch(j, &watch);
    for (int i = 0; i < ROUNDS; i++) {
        double took = plain_durable(fd, row->plain_len, GROUPS);
        plain = took < plain ? took : plain;
        took = journal_durable(&client, row->clients);
        ours = took < ours ? took : ours;
    }
    printf("%s %.0f %.0f\n", row->name, row->scale * GROUPS / ours, row->plain_scale * GROUPS / plain);
    weft_journal_unwatch(j, &watch);
    weft_journal_close(j);
    remove_journal();
    close(fd);
}

static double memory_mib(const char *what)
{
    char line[256];
    unsigned long kib = 0;
    FILE *f = fopen("/proc/self/status", "r");

    while (f && fgets(line, sizeof line, f))
        if (strncmp(line, what, strlen(what)) == 0)
            kib = strtoul(line + strlen(what) + 1, NULL, 10);
    if (f)
        fclose(f);
    return (double)kib / 1024;
}

static struct weft_cursor *open_cursor(struct weft_journal *j)
{
    struct weft_cursor *c = NULL;

    if (weft_cursor_open(&c, j, &(struct weft_cursor_options){ .name = "es", .hold = true, .wake_fd = -1 }))
        fail("cursor");
    return c;
}

enum { BACKLOG = 4096 };

/* Dies as by a kill, with everything in its files and nothing closed. */
static void fill_backlog(void)
{
    struct weft_journal *j = open_journal(5120ull * MIB, WEFT_SYNC_INTERVAL);

    (void)open_cursor(j);
    for (size_t i = 0; i < (size_t)BACKLOG * 16; i++)
        (void)append(j, 64 * KIB - 64);
    wait_until_synced(j);
    printf("backlog_anonymous_mib %.1f 40\n", memory_mib("RssAnon:"));
    printf("backlog_file_mib %.1f 0\n", memory_mib("RssFile:"));
    (void)fflush(stdout);
    _exit(0);
}

static void bench_backlog(void)
{
    int status = 0;
    pid_t child = fork();

    if (child == 0)
        fill_backlog();
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
        fail("the child that fills the journal");
    double began = seconds();
    struct weft_journal *j = open_journal(5120ull * MIB, WEFT_SYNC_INTERVAL);
    double opened = seconds() - began;
    struct weft_journal_stats stats;
    weft_journal_stats(j, &stats);
    printf("recovery_s %.3f 0.5\n", opened);
    printf("recovered_records %llu %d\n", (unsigned long long)stats.opened_records, BACKLOG * 16);

    struct weft_cursor *c = open_cursor(j);
    struct weft_record r;
    uint64_t bytes = 0, n = 0;
    began = seconds();
    while (weft_cursor_next(c, &r) > 0) {
        bytes += r.payload.len;
        if (++n % 16 == 0)
            weft_cursor_settle(c, r.sequence);
    }
    printf("read_back_mb_s %.0f 0\n", (double)bytes / (seconds() - began) / 1e6);
    printf("read_back_anonymous_mib %.1f 40\n", memory_mib("RssAnon:"));
    printf("read_back_file_mib %.1f 0\n", memory_mib("RssFile:"));
    weft_cursor_close(c);
    weft_journal_close(j);
    remove_journal();
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        (void)fprintf(stderr, "usage: bench_journal_disk append|durable|group|backlog DIRECTORY\n");
        return 2;
    }
    memset(payload, 'x', sizeof payload);
    home = argv[2];
    if (strcmp(argv[1], "append") == 0) {
        bench_append(64 * KIB);
        bench_append(1000);
    } else if (strcmp(argv[1], "durable") == 0) {
        struct durable row = { "durable_mb_s", 64 * KIB - 64, 16, 1, MIB, 1.048576, 1.048576 };
        bench_durable(&row);
        row.name = "durable_2_mb_s", row.clients = 2;
        bench_durable(&row);
    } else if (strcmp(argv[1], "group") == 0) {
        bench_durable(&(struct durable){ "group_requests_s", SMALL, WAITERS, 1, SMALL, WAITERS, 1 });
    } else {
        bench_backlog();
    }
    return 0;
}

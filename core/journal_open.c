/* SPDX-License-Identifier: Apache-2.0 */
/* journal_open.c: the beginning and the end of a journal.
 *
 * Two segments of any size always fit beside each other (see choose_sizes): the tail cannot be given back, so
 * otherwise one large record could lock out the next for ever.
 *
 * A journal on disk is opened without a tail to append to: what was found is closed for good, and the first append
 * asks for a segment. So opening needs no room on the disk, and an idle journal takes none. */
#include "core/clock.h"
#include "core/err.h"
#include "core/journal_state.h"
#include "core/journal_sync.h"
#include "core/log.h"
#include "core/segment_file.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>
#include <uv.h>

enum {
    MIN_SIZE = 1 << 20,
    MIN_SEGMENT = 64 << 10,
    MAX_SEGMENT = 1 << 20,         /* larger ones save nothing and cost cache */
    MAX_DISK_SEGMENT = 64 << 20,   /* so few files that each can keep a descriptor */
    DISK_SEGMENTS = 128,
    KEEP = 4,                      /* a KEEP-th of a journal in memory stays warm */
    KEEP_FILES = 2,
    PAGE = 4096,
    SYNC_INTERVAL_MS = 500,
    MEMORY_SIZE = 8 << 20,
};

/* About 32 segments in memory: what is lost at the end of each stays small against max_size, and so does the one
 * segment that an idle journal keeps. */
static size_t chosen_segment(const struct weft_journal_options *o)
{
    bool disk = o->mode == WEFT_JOURNAL_DISK;
    uint64_t parts = disk ? DISK_SEGMENTS : 32, most = disk ? MAX_DISK_SEGMENT : MAX_SEGMENT;
    uint64_t size = MIN_SEGMENT;

    while (size < most && (size * 2 <= o->max_size / parts || (size < MAX_SEGMENT && size * 2 <= o->max_size / 32)))
        size *= 2;
    return (size_t)size;
}

static void choose_sizes(struct weft_journal *j, const struct weft_journal_options *o)
{
    size_t size = o->segment_size ? o->segment_size : chosen_segment(o);
    size_t least = PAGE + j->backing->head;

    size = size < least ? least : size;
    size = (size + PAGE - 1) & ~(size_t)(PAGE - 1);
    j->max_size = (size_t)o->max_size;
    j->segment_size = size < o->max_size / 4 ? size : (o->max_size / 4) & ~(size_t)(PAGE - 1);
    j->keep = j->disk ? KEEP_FILES * j->segment_size : j->max_size / KEEP;
    j->retain = o->retain < o->max_size ? (size_t)o->retain : (size_t)o->max_size;
    j->retain_ns = o->retain_ms < UINT64_MAX / 1000000 ? o->retain_ms * 1000000 : UINT64_MAX;
    j->max_payload = ((j->max_size / 2) & ~(size_t)(PAGE - 1)) - sizeof(struct weft_entry) - j->backing->head;
    if (j->max_payload > UINT32_MAX - 4 * PAGE)
        j->max_payload = UINT32_MAX - 4 * PAGE;
}

static uint64_t draw_id(void)
{
    uint64_t id = 0;

    while (id == 0)
        if (getrandom(&id, sizeof id, 0) != (ssize_t)sizeof id)
            id = 0;
    return id;
}

static void free_list(struct weft_segment *s)
{
    while (s) {
        struct weft_segment *next = s->next;
        weft_segment_free(s);
        s = next;
    }
}

static void free_places(struct weft_journal *j)
{
    while (j->cursors) {
        struct weft_cursor *parked = j->cursors;
        j->cursors = parked->next;
        free(parked->name);
        free(parked);
    }
}

/* Accepts a half-opened one. Files with a number stay where they are. */
static void free_journal(struct weft_journal *j)
{
    free_places(j);
    for (struct weft_segment *s = j->head; s; s = s->next)
        if (s->numbered)
            weft_segment_leave(s);
    free_list(j->head);
    free_list(j->cached);
    weft_source_table_release(&j->sources);
    pthread_mutex_destroy(&j->saving_sources);
    pthread_mutex_destroy(&j->saving);
    pthread_mutex_destroy(&j->lock);
    weft_journal_dir_close(&j->dir);
    free(j->name);
    free(j);
}

static void list_first(struct weft_journal *j, struct weft_segment *s)
{
    j->head = j->tail = j->unsealed = j->sync_from = s;
    j->published = weft_place_start(s);
    j->in_use = s->size;
    j->n_segments = 1;
}

static int open_memory(struct weft_journal *j)
{
    struct weft_segment *s;

    j->id = draw_id();
    int err = weft_segment_new(&s, j->backing, NULL, j->segment_size);
    if (err)
        return err;
    weft_segment_reset(s, j->next_number++, j->next_sequence, j->totals);
    list_first(j, s);
    return 0;
}

int weft_journal_begin_empty(struct weft_journal *j)
{
    struct weft_segment *s;

    int err = weft_segment_new(&s, &weft_backing_memory, NULL, PAGE);
    if (err)
        return err;
    weft_segment_reset(s, j->next_number++, j->next_sequence, j->totals);
    s->begin = s->room = s->size;
    atomic_store_explicit(&s->reserved, s->size, memory_order_relaxed);
    list_first(j, s);
    return 0;
}

static int open_disk(struct weft_journal *j, const struct weft_journal_options *o)
{
    j->id = draw_id();
    int err = weft_journal_dir_open(&j->dir, o->directory, j->id);

    if (!err)
        err = weft_journal_recover(j);
    if (err)
        return err;
    j->id = j->dir.journal_id;
    atomic_store_explicit(&j->durable, j->next_sequence - 1, memory_order_relaxed);
    err = weft_keeper_start(j);
    if (!err && (err = weft_journal_sync_start(j)) != 0)
        weft_keeper_stop(j);
    return err;
}

static void take_options(struct weft_journal *j, const struct weft_journal_options *o)
{
    j->disk = o->mode == WEFT_JOURNAL_DISK;
    j->backing = j->disk ? &weft_backing_file : &weft_backing_memory;
    choose_sizes(j, o);
    j->next_sequence = j->next_number = 1;
    j->wall_clock = o->wall_clock ? o->wall_clock : weft_clock_wall_ns;
    j->log = o->log;
    j->sync_mode = o->sync;
    j->sync_interval_ms = o->sync_interval_ms ? o->sync_interval_ms : SYNC_INTERVAL_MS;
    j->on_durable = o->on_durable;
    j->durable_ctx = o->durable_ctx;
    j->on_disk_error = o->on_disk_error;
    j->memory_size = o->memory_size ? (size_t)o->memory_size : MEMORY_SIZE;
    j->dir = (struct weft_journal_dir){ .fd = -1, .lock_fd = -1 };
}

static int init_locks(struct weft_journal *j)
{
    int err = -pthread_mutex_init(&j->lock, NULL);

    if (err)
        return err;
    err = -pthread_mutex_init(&j->saving, NULL);
    if (err)
        goto fail_lock;
    err = -pthread_mutex_init(&j->saving_sources, NULL);
    if (err)
        goto fail_saving;
    err = weft_source_table_init(&j->sources);
    if (err)
        goto fail_sources;
    return 0;

fail_sources:
    pthread_mutex_destroy(&j->saving_sources);
fail_saving:
    pthread_mutex_destroy(&j->saving);
fail_lock:
    pthread_mutex_destroy(&j->lock);
    return err;
}

int weft_journal_open(struct weft_journal **ret_journal, const struct weft_journal_options *o)
{
    if (o->max_size < MIN_SIZE || (o->mode == WEFT_JOURNAL_DISK && !o->directory))
        return UV_EINVAL;

    struct weft_journal *j = calloc(1, sizeof *j);
    if (!j)
        return UV_ENOMEM;
    take_options(j, o);
    int err = init_locks(j);
    if (err) {
        free(j);
        return err;
    }
    j->name = strdup(o->name ? o->name : "");
    err = !j->name ? UV_ENOMEM : j->disk ? open_disk(j, o) : open_memory(j);
    if (err) {
        free_journal(j);
        return err;
    }
    *ret_journal = j;
    return 0;
}

/* ---- closing ---- */

/* The tail is sealed like any other, and what it did not need goes back to the disk; one with nothing in it goes whole. */
static void end_tail(struct weft_journal *j)
{
    struct weft_segment *s = j->tail;

    if (!s->numbered)
        return;
    s->end_sequence = s->sealed ? s->end_sequence : j->next_sequence;
    if (atomic_load_explicit(&s->reserved, memory_order_relaxed) == s->begin) {
        s->backing->release(s);
        s->numbered = false;
        return;
    }
    if (!s->sealed && weft_segment_attach(s) == 0)
        weft_segment_seal(s);
    weft_segment_cut(s);
}

/* What is only in memory ends with the process: says how much that was. */
static void count_memory(struct weft_journal *j)
{
    uint64_t items = weft_journal_unsaved(j);

    if (items)
        weft_log(j->log, WEFT_LOG_WARN, j->name, "%llu items that the disk did not take, or whose directory was removed, are lost",
                 (unsigned long long)items);
}

static void sync_all(struct weft_journal *j)
{
    struct weft_dirty dirty[WEFT_DIRTY_MAX];
    uint64_t sequence;
    bool hole;
    int err = 0;

    for (size_t n; !err && (n = weft_journal_dirty(j, dirty, WEFT_DIRTY_MAX, &sequence, &hole)) > 0;) {
        for (size_t i = 0; i < n; i++)
            if (fdatasync(dirty[i].fd))
                err = -1;
        (void)weft_journal_synced(j, dirty, n, sequence, err ? UV_EIO : 0);
    }
}

static void close_disk(struct weft_journal *j)
{
    bool sync = j->sync_mode != WEFT_SYNC_NONE;

    weft_journal_sync_stop(j);
    weft_keeper_stop(j);
    pthread_mutex_lock(&j->lock);
    weft_journal_rest(j);
    count_memory(j);
    pthread_mutex_unlock(&j->lock);
    if (weft_journal_dir_is_gone(&j->dir))
        (void)weft_journal_dir_restore(&j->dir);
    (void)weft_journal_save_places(j, sync);
    end_tail(j);
    if (sync)
        sync_all(j);
    (void)weft_journal_save_sources(j, sync);
}

void weft_journal_close(struct weft_journal *j)
{
    if (!j)
        return;
    assert(j->n_cursors == 0);
    if (j->disk)
        close_disk(j);
    free_journal(j);
}

uint64_t weft_journal_id(const struct weft_journal *j)
{
    return j->id;
}

size_t weft_journal_max_payload(const struct weft_journal *j)
{
    return j->max_payload;
}

enum weft_journal_mode weft_journal_mode(const struct weft_journal *j)
{
    return j->disk ? WEFT_JOURNAL_DISK : WEFT_JOURNAL_MEMORY;
}

/* The tail must leave room for another one of its size, or it could lock that out (see choose_sizes). */
static bool fits(const struct weft_journal *j, uint64_t max_size)
{
    return j->in_use <= max_size && j->tail->size <= max_size / 2;
}

int weft_journal_resize(struct weft_journal *j, uint64_t max_size, uint64_t retain, uint64_t retain_ms)
{
    struct weft_journal_options o = { .max_size = max_size, .retain = retain, .retain_ms = retain_ms };
    int err = 0;

    if (max_size < MIN_SIZE)
        return UV_EINVAL;
    if (j->disk)
        return WEFT_ERR_UNSUPPORTED;
    pthread_mutex_lock(&j->lock);
    size_t before = j->retain;
    j->retain = 0;
    weft_journal_reclaim(j);
    if (fits(j, max_size))
        choose_sizes(j, &o);
    else
        err = WEFT_ERR_FULL, j->retain = before;
    pthread_mutex_unlock(&j->lock);
    weft_journal_trim(j); /* segments of the old size are of no more use */
    return err;
}

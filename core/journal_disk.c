/* SPDX-License-Identifier: Apache-2.0 */
/* journal_disk.c: what a journal does about files while it runs: new ones for the tail, seals for the closed ones, mappings for
 * those that are read, and the state of the disk.
 *
 *   OK --a file cannot be had--> REFUSING | MEMORY --one can--> OK
 *
 * While it is not OK the disk is asked again at most every RETRY_MS; each change is one line in the log. When the disk is full,
 * retained segments give way before anything is refused. */
#include "core/clock.h"
#include "core/err.h"
#include "core/journal_state.h"
#include "core/log.h"
#include "core/segment_file.h"

#include <uv.h>

enum { RETRY_MS = 1000, MEMORY_SEGMENT = 1 << 20 };

/* ---- the state of the disk ---- */

void weft_journal_disk_failed(struct weft_journal *j, int err)
{
    bool memory = j->on_disk_error == WEFT_DISK_ERROR_MEMORY;

    j->next_try_ms = weft_clock_mono_ms() + RETRY_MS;
    j->disk_error = err;
    if (j->disk_state != WEFT_DISK_OK)
        return;
    j->disk_state = memory ? WEFT_DISK_MEMORY : WEFT_DISK_REFUSING;
    j->disk_errors++;
    weft_log(j->log, WEFT_LOG_ERROR, j->name, "the journal's directory %s takes no more (%s): %s until it does", j->dir.path,
             weft_err_text(err), memory ? "keeping new records in memory" : "refusing new records");
}

void weft_journal_disk_works(struct weft_journal *j)
{
    if (j->disk_state == WEFT_DISK_OK)
        return;
    j->disk_state = WEFT_DISK_OK;
    j->disk_error = 0;
    weft_log(j->log, WEFT_LOG_INFO, j->name, "the journal's directory %s takes records again", j->dir.path);
}

/* ---- a new tail ---- */

static int new_tail(struct weft_journal *j, const struct weft_backing *backing, size_t size, struct weft_segment **ret_segment)
{
    struct weft_segment *s = backing == j->backing ? weft_journal_uncache(j, size) : NULL;
    int err = s ? 0 : weft_segment_new(&s, backing, &j->dir, size);

    if (err)
        return err;
    weft_segment_reset(s, j->next_number, j->next_sequence, j->totals);
    err = backing->begin ? backing->begin(s) : 0;
    if (err) {
        weft_segment_free(s);
        return err;
    }
    *ret_segment = s;
    return 0;
}

static int file_tail(struct weft_journal *j, size_t size, struct weft_segment **ret_segment)
{
    int err = new_tail(j, j->backing, size, ret_segment);

    if (err == UV_ENOENT)
        weft_journal_note_unsaved(j); /* the directory was removed: the journal's thread makes it again */
    while ((err == UV_ENOSPC || err == -EDQUOT) && weft_journal_retire_oldest(j))
        err = new_tail(j, j->backing, size, ret_segment);
    return err;
}

/* Smaller than a file would be, unless the record needs more. */
static int memory_tail(struct weft_journal *j, size_t size, size_t need, struct weft_segment **ret_segment)
{
    size_t smaller = size == j->segment_size && size > MEMORY_SEGMENT && need <= MEMORY_SEGMENT ? MEMORY_SEGMENT : size;

    if (j->memory_bytes + smaller > j->memory_size)
        return WEFT_ERR_FULL;
    if (new_tail(j, &weft_backing_memory, smaller, ret_segment))
        return WEFT_ERR_LIMIT;
    j->memory_bytes += smaller;
    return 0;
}

int weft_journal_disk_tail(struct weft_journal *j, size_t size, size_t need, struct weft_segment **ret_segment)
{
    if (j->disk_state == WEFT_DISK_OK || weft_clock_mono_ms() >= j->next_try_ms) {
        int err = file_tail(j, size, ret_segment);
        if (!err) {
            weft_journal_disk_works(j);
            return 0;
        }
        weft_journal_disk_failed(j, err);
    }
    return j->on_disk_error == WEFT_DISK_ERROR_MEMORY ? memory_tail(j, size, need, ret_segment) : WEFT_ERR_FULL;
}

/* ---- mappings and seals ---- */

void weft_segment_pin(struct weft_segment *s)
{
    if (s->pins++ == 0 && s->fd >= 0)
        (void)weft_segment_attach(s); /* a reader that finds no mapping tries again; see cursor.c */
}

void weft_segment_unpin(struct weft_segment *s)
{
    if (--s->pins == 0 && s->sealed)
        weft_segment_detach(s);
}

void weft_journal_rest(struct weft_journal *j)
{
    while (j->unsealed != j->tail) {
        struct weft_segment *s = j->unsealed;
        if (atomic_load_explicit(&s->writers, memory_order_acquire) != 0)
            return;
        if (s->numbered && !s->sealed) {
            weft_segment_seal(s);
            j->sources_stale = true;
            weft_journal_note_unsaved(j); /* wakes the thread that saves them */
        }
        if (s->sealed && s->pins == 0)
            weft_segment_detach(s);
        j->unsealed = s->next;
    }
}

/* ---- the seam for who syncs ---- */

size_t weft_journal_dirty(struct weft_journal *j, struct weft_dirty *dirty, size_t max, uint64_t *ret_sequence, bool *ret_hole)
{
    size_t n = 0;

    pthread_mutex_lock(&j->lock);
    weft_journal_rest(j);
    uint64_t sequence = weft_journal_published(j);
    *ret_hole = sequence + 1 < j->next_sequence;
    for (struct weft_segment *s = j->sync_from, *last = j->published.segment; s; s = s == last ? NULL : s->next) {
        size_t end = s == last ? j->published.offset : atomic_load_explicit(&s->reserved, memory_order_relaxed);
        if (s->fd < 0 || s->synced >= end)
            continue;
        if (n == max) {
            sequence = s->first_sequence - 1 < sequence ? s->first_sequence - 1 : sequence;
            break;
        }
        s->syncs++;
        dirty[n++] = (struct weft_dirty){ .segment = s, .fd = s->fd, .from = s->synced, .to = end };
    }
    *ret_sequence = sequence;
    pthread_mutex_unlock(&j->lock);
    return n;
}

static bool is_covered(const struct weft_journal *j, const struct weft_segment *s)
{
    return s != j->tail && atomic_load_explicit(&s->writers, memory_order_acquire) == 0
           && (s->fd < 0 || s->synced >= atomic_load_explicit(&s->reserved, memory_order_relaxed));
}

bool weft_journal_synced(struct weft_journal *j, const struct weft_dirty *dirty, size_t n, uint64_t sequence, int err)
{
    bool moved = false;

    pthread_mutex_lock(&j->lock);
    for (size_t i = 0; i < n; i++) {
        struct weft_segment *s = dirty[i].segment;
        s->syncs--;
        if (!err && dirty[i].to > s->synced)
            s->synced = dirty[i].to;
    }
    while (is_covered(j, j->sync_from))
        j->sync_from = j->sync_from->next;
    if (err) {
        weft_journal_disk_failed(j, err);
    } else if (sequence > atomic_load_explicit(&j->durable, memory_order_relaxed)) {
        atomic_store_explicit(&j->durable, sequence, memory_order_release);
        moved = true;
    }
    pthread_mutex_unlock(&j->lock);
    return moved;
}

struct weft_segment *weft_journal_prepare(struct weft_journal *j)
{
    size_t room = 2 * j->segment_size; /* a roll meanwhile takes one, too */
    struct weft_segment *s = NULL;

    pthread_mutex_lock(&j->lock);
    if (j->disk_state == WEFT_DISK_OK && !(j->cached && j->cached->populated)) {
        while (j->in_use + room > j->max_size && weft_journal_retire_oldest(j)) {
        }
        if (j->in_use + room <= j->max_size)
            s = weft_journal_uncache(j, j->segment_size);
        if (!s && j->in_use + j->cached_bytes + room <= j->max_size && weft_segment_new(&s, j->backing, &j->dir, j->segment_size))
            s = NULL;
    }
    pthread_mutex_unlock(&j->lock);
    return s;
}

void weft_journal_stock(struct weft_journal *j, struct weft_segment *s)
{
    pthread_mutex_lock(&j->lock);
    s->next = j->cached;
    j->cached = s;
    j->cached_bytes += s->size;
    pthread_mutex_unlock(&j->lock);
}

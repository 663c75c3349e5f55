/* SPDX-License-Identifier: Apache-2.0 */
/* filelog_file.c: see filelog_file.h. */
#include "receivers/filelog_file.h"

#include "receivers/filelog_positions.h"

#include "core/err.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum { CHUNK = 256 << 10, PAYLOAD_TARGET = 512 << 10, ATTRIBUTES_MAX = 16 << 10 };

static uint64_t born_ns(int fd)
{
    struct statx sx;

    if (statx(fd, "", AT_EMPTY_PATH, STATX_BTIME, &sx) < 0 || !(sx.stx_mask & STATX_BTIME))
        return 0;
    return (uint64_t)sx.stx_btime.tv_sec * 1000000000u + sx.stx_btime.tv_nsec;
}

int weft_filelog_file_open(const char *path, struct weft_filelog_file **ret_file)
{
    struct weft_filelog_file *f = calloc(1, sizeof *f);
    struct stat st;
    int err;

    if (!f)
        return UV_ENOMEM;
    f->path = strdup(path);
    weft_buf_init(&f->attributes, ATTRIBUTES_MAX);
    f->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    err = !f->path ? UV_ENOMEM : f->fd < 0 || fstat(f->fd, &st) < 0 ? -errno : S_ISREG(st.st_mode) ? 0 : WEFT_ERR_UNSUPPORTED;
    if (err) {
        weft_filelog_file_close(f);
        return err;
    }
    f->device = st.st_dev;
    f->inode = st.st_ino;
    f->born_ns = born_ns(f->fd);
    f->dirty = true;
    *ret_file = f;
    return 0;
}

void weft_filelog_file_close(struct weft_filelog_file *f)
{
    if (!f)
        return;
    if (f->fd >= 0)
        (void)close(f->fd);
    weft_buf_release(&f->attributes);
    free(f->path);
    free(f);
}

/* Has the last line waited long enough for its newline? */
static bool waited(const struct weft_filelog_file *f, uint64_t now_ms, uint64_t flush_ms)
{
    if (flush_ms == 0) /* for ever; nobody writes the end of it in a file that is gone */
        return f->gone && now_ms - f->grown_ms >= WEFT_FILELOG_LINGER_MS;
    return now_ms - f->grown_ms >= flush_ms;
}

/* Whether the content is still the one that is known, once a change. */
static bool is_another(struct weft_filelog_file *f, struct weft_filelog_scratch *scratch, const struct stat *st)
{
    const int64_t mtime_ns = (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;

    if ((uint64_t)st->st_size < f->position)
        return true;
    if (!scratch || !f->entry || ((uint64_t)st->st_size == f->looked_size && mtime_ns == f->looked_mtime_ns))
        return false;
    f->looked_size = (uint64_t)st->st_size;
    f->looked_mtime_ns = mtime_ns;
    return !weft_filelog_print_grow(scratch, f->entry, f->fd, (uint64_t)st->st_size);
}

bool weft_filelog_file_poll(struct weft_filelog_file *f, struct weft_filelog_scratch *scratch, uint64_t now_ms, uint64_t flush_ms)
{
    struct stat st;

    if (fstat(f->fd, &st) < 0)
        return false;
    f->deleted = st.st_nlink == 0;
    f->gone = f->gone || f->deleted;
    if (is_another(f, scratch, &st))
        return true;
    if ((uint64_t)st.st_size != f->position + f->pending || (f->pending > 0 && waited(f, now_ms, flush_ms)))
        f->dirty = true;
    return false;
}

void weft_filelog_file_restart(struct weft_filelog_file *f, uint64_t id, uint64_t now_ms)
{
    f->id = id;
    f->position = f->pending = f->base = f->again_until = f->offered_until = 0;
    f->tail_len = 0;
    f->looked_size = 0;
    f->looked_mtime_ns = 0;
    f->dirty = true;
    f->grown_ms = now_ms;
}

/* ---- where to go on ---- */

/* Where journal number `i` stands. */
static uint64_t stands_at(const struct weft_filelog_file *f, struct weft_sink *sink, size_t i)
{
    uint64_t position;

    if (!sink->position(sink, i, f->id, &position))
        return f->base;
    position = weft_filelog_mark_offset(position);
    return f->base_is_newer && position < f->base ? f->base : position;
}

uint64_t weft_filelog_file_resume(struct weft_filelog_file *f, struct weft_sink *sink, const struct weft_filelog_place *base,
                                  bool base_is_newer)
{
    uint64_t least = UINT64_MAX, most = 0;

    f->base = base->offset;
    f->base_is_newer = base_is_newer;
    for (size_t i = 0; sink && i < sink->n_journals; i++) {
        const uint64_t at = stands_at(f, sink, i);
        least = at < least ? at : least;
        most = at > most ? at : most;
    }
    if (least == UINT64_MAX)
        least = most = base->offset;
    f->position = least;
    f->again_until = most > least ? most : 0;
    f->tail = base->tail;
    f->tail_len = least == base->offset ? base->tail_len : 0;
    return most;
}

/* Where the next record has to end at the latest: the next place at which a journal stands. */
static uint64_t next_stop(const struct weft_filelog_file *f, struct weft_sink *sink)
{
    uint64_t stop = f->again_until;

    if (f->position >= f->again_until)
        return UINT64_MAX;
    for (size_t i = 0; i < sink->n_journals; i++) {
        const uint64_t at = stands_at(f, sink, i);
        if (at > f->position && at < stop)
            stop = at;
    }
    return stop;
}

struct weft_filelog_place weft_filelog_file_place(const struct weft_filelog_file *f)
{
    return (struct weft_filelog_place){ f->position, f->tail, f->tail_len };
}

int weft_filelog_reader_init(struct weft_filelog_reader *r, size_t max_log_size, uint64_t flush_ms,
                             struct weft_slice resource_attributes)
{
    *r = (struct weft_filelog_reader){ .max_log_size = max_log_size, .payload_target = PAYLOAD_TARGET, .flush_ms = flush_ms };
    r->cap = max_log_size >= CHUNK ? max_log_size + 1 : CHUNK; /* one more byte tells that a line is too long */
    weft_filelog_line_init(&r->line, max_log_size + ATTRIBUTES_MAX);
    weft_filelog_batch_init(&r->batch, PAYLOAD_TARGET + 5 * (max_log_size + ATTRIBUTES_MAX) + resource_attributes.len,
                            resource_attributes);
    r->buf = malloc(r->cap);
    return r->buf ? 0 : UV_ENOMEM;
}

void weft_filelog_reader_release(struct weft_filelog_reader *r)
{
    weft_filelog_line_release(&r->line);
    weft_filelog_batch_release(&r->batch);
    free(r->buf);
    r->buf = NULL;
}

/* ---- lines ---- */

/* Where a line that is too long is cut: at most `max`, not within a character. */
static size_t cut_at(const uint8_t *line, size_t max)
{
    size_t at = max;

    while (at > 0 && max - at < 3 && (line[at] & 0xc0) == 0x80)
        at--;
    return at > 0 && (line[at] & 0xc0) != 0x80 ? at : max;
}

/* The next line in `rest`: 1 with *ret_line (without newline) and *ret_taken (with it), or 0 when its end is not there yet.
 * `flush`: what is there is a line. */
static int next_line(struct weft_filelog_reader *r, struct weft_slice rest, bool flush, struct weft_slice *ret_line,
                     size_t *ret_taken)
{
    size_t window = rest.len <= r->max_log_size ? rest.len : r->max_log_size + 1;
    const uint8_t *newline = memchr(rest.data, '\n', window);
    size_t len = newline ? (size_t)(newline - rest.data) : rest.len, taken = len + (newline != NULL);

    if (!newline && rest.len > r->max_log_size) {
        len = taken = cut_at(rest.data, r->max_log_size);
        r->split_lines++;
    } else if (!newline && !flush) {
        return 0;
    }
    if (newline && len > 0 && rest.data[len - 1] == '\r')
        len--;
    *ret_line = weft_slice_of(rest.data, len);
    *ret_taken = taken;
    return 1;
}

/* Puts at most `max_items` lines of `bytes` into the batch. 0 with *ret_taken (what they take up), or a buffer's error. */
static int gather(struct weft_filelog_reader *r, const struct weft_filelog_file *f, struct weft_slice bytes, bool flush,
                  uint64_t wall_ns, uint32_t max_items, size_t *ret_taken)
{
    struct weft_slice rest = bytes, line, attributes = weft_buf_slice(&f->attributes);
    size_t taken;

    weft_filelog_batch_reset(&r->batch);
    r->n_offered = 0;
    while (rest.len > 0 && r->batch.payload.len < r->payload_target && r->batch.n_items < max_items &&
           next_line(r, rest, flush, &line, &taken)) {
        rest = weft_slice_of(rest.data + taken, rest.len - taken);
        if (line.len == 0)
            continue;
        int err = weft_filelog_line_read(&r->line, line, wall_ns, attributes);
        if (!err)
            err = weft_filelog_batch_add(&r->batch, r->line.service, weft_buf_slice(&r->line.record));
        if (err)
            return err;
        r->malformed_lines += r->line.malformed;
        if (f->position + (bytes.len - rest.len) <= f->offered_until)
            r->n_offered = r->batch.n_items;
    }
    *ret_taken = bytes.len - rest.len;
    return weft_filelog_batch_finish(&r->batch);
}

/* ---- a step ---- */

static ssize_t read_at(const struct weft_filelog_file *f, uint8_t *buf, size_t len)
{
    ssize_t n;

    do
        n = pread(f->fd, buf, len, (off_t)f->position);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

/* The bytes before the place `taken` bytes into the buffer, hashed. */
static uint64_t tail_at(const struct weft_filelog_file *f, const struct weft_filelog_reader *r, size_t taken, uint32_t *ret_len)
{
    uint8_t bytes[WEFT_FILELOG_TAIL_MAX];
    const uint64_t offset = f->position + taken;
    const size_t len = offset < sizeof bytes ? (size_t)offset : sizeof bytes;

    *ret_len = (uint32_t)len;
    if (taken >= len)
        return weft_filelog_hash(weft_slice_of(r->buf + taken - len, len));
    const size_t before = len - taken;
    if (pread(f->fd, bytes, before, (off_t)(f->position - before)) != (ssize_t)before)
        *ret_len = 0; /* the file is being cut */
    memcpy(bytes + before, r->buf, taken);
    return weft_filelog_hash(weft_slice_of(bytes, *ret_len));
}

static int commit(const struct weft_filelog_file *f, struct weft_filelog_reader *r, struct weft_sink *sink, size_t taken)
{
    uint32_t tail_len;
    struct weft_record record = {
        .signal = WEFT_LOGS,
        .n_items = r->batch.n_items,
        .source = { f->id, weft_filelog_mark(f->position + taken, tail_at(f, r, taken, &tail_len)) },
        .again = f->position < f->again_until,
        .n_offered = r->n_offered,
        .payload = weft_buf_slice(&r->batch.payload),
    };

    if (r->batch.n_items == 0)
        return 0;
    int err = sink->commit(sink, &record);
    r->delay_ms = err ? 0 : sink->delay_ms;
    return err;
}

static bool is_for_later(int err)
{
    return err == WEFT_ERR_FULL || err == WEFT_ERR_SHED || err == WEFT_ERR_LIMIT || err == WEFT_ERR_DRAINING || err == UV_ENOMEM;
}

/* Commits the lines at the front of `bytes`, fewer of them when a record with all is too large. 0 with *ret_taken: they are
 * settled (committed, or refused for good and counted by the sink). */
static int settle_lines(struct weft_filelog_file *f, struct weft_filelog_reader *r, struct weft_sink *sink, struct weft_slice bytes,
                        bool flush, uint64_t wall_ns, size_t *ret_taken)
{
    const uint64_t split = r->split_lines, malformed = r->malformed_lines;
    uint32_t max_items = UINT32_MAX;
    int err;

    do {
        r->split_lines = split;
        r->malformed_lines = malformed;
        err = gather(r, f, bytes, flush, wall_ns, max_items, ret_taken);
        if (err)
            return err;
        err = commit(f, r, sink, *ret_taken);
        if (err == WEFT_ERR_TOO_LARGE && r->payload_target > r->batch.payload.len / 2)
            r->payload_target = r->batch.payload.len / 2; /* and so from now on */
        max_items = r->batch.n_items / 2;
    } while (err == WEFT_ERR_TOO_LARGE && max_items > 0);
    if (is_for_later(err)) {
        r->split_lines = split;
        r->malformed_lines = malformed;
        if (f->offered_until < f->position + *ret_taken)
            f->offered_until = f->position + *ret_taken;
        return err;
    }
    return 0;
}

/* Moves behind `taken` bytes of the buffer. */
static void advance(struct weft_filelog_file *f, const struct weft_filelog_reader *r, size_t taken)
{
    if (taken == 0)
        return;
    f->tail = tail_at(f, r, taken, &f->tail_len);
    f->position += taken;
}

/* The beginning of a file is what it is known by from its first line on. False: it begins otherwise than it did. */
static bool note_beginning(struct weft_filelog_file *f, const struct weft_filelog_reader *r, size_t n)
{
    struct weft_filelog_entry *e = f->entry;
    const size_t len = n < r->print_size ? n : r->print_size;

    if (!e || f->position > 0)
        return true;
    if (e->print_len > 0 && (n < e->print_len || weft_filelog_hash(weft_slice_of(r->buf, e->print_len)) != e->print))
        return false;
    if (len > e->print_len) {
        e->print = weft_filelog_hash(weft_slice_of(r->buf, len));
        e->print_len = (uint32_t)len;
    }
    return true;
}

int weft_filelog_file_step(struct weft_filelog_file *f, struct weft_filelog_reader *r, struct weft_sink *sink,
                           uint64_t now_ms, uint64_t wall_ns)
{
    const uint64_t left = next_stop(f, sink) - f->position;
    size_t want = left < CHUNK ? (size_t)left : CHUNK, taken = 0;
    ssize_t n = read_at(f, r->buf, want);

    if (n == CHUNK && r->cap > CHUNK && !memchr(r->buf, '\n', CHUNK)) {
        want = left < r->cap ? (size_t)left : r->cap; /* a long line: all of it must be seen at once */
        n = read_at(f, r->buf, want);
    }
    if (n < 0)
        return (int)n;
    if (!note_beginning(f, r, (size_t)n)) {
        f->looked_mtime_ns = 0; /* the next poll will find it cut */
        f->dirty = false;
        return 0;
    }

    const bool full = (size_t)n == want;
    const bool flush = (uint64_t)n == left || (!full && f->pending == (uint64_t)n && waited(f, now_ms, r->flush_ms));
    r->delay_ms = 0;
    int err = settle_lines(f, r, sink, weft_slice_of(r->buf, (size_t)n), flush, wall_ns, &taken);
    if (err)
        return err;
    if (taken > 0 || f->pending != (uint64_t)n)
        f->grown_ms = now_ms;
    advance(f, r, taken);
    r->commits += taken > 0;
    f->ready_ms = now_ms + r->delay_ms;
    f->pending = (uint64_t)n - taken;
    f->dirty = taken > 0 && (full || f->pending > 0);
    return 0;
}

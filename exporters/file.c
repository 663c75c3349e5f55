/* SPDX-License-Identifier: Apache-2.0 */
/* file.c: appends each record to a file: one line of OTLP JSON, or a 4-byte big-endian length and the protobuf body, as the
 * Collector's file exporter does.
 *
 *   (1) A batch is reported as sent after write(2) has taken all of it; nothing stays in a buffer of ours.
 *   (2) When a write fails (disk full, file gone) the file is cut back to where the batch began: no torn line stays, and the
 *       retry repeats the batch whole.
 *   (3) A record that has no JSON form is rejected by itself.
 *
 * With `rotation` the file is renamed to NAME-<UTC time>.EXT once it has reached max_megabytes, and the oldest of those names are
 * deleted; a batch is never split over two files, so a file may pass the limit by one batch. Runs on its lane's thread, which
 * a slow disk may block: that is what the lane is for.
 */
#include "exporters/file.h"

#include "core/buf.h"
#include "core/clock.h"
#include "core/err.h"
#include "core/otlp_json.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { FORMAT_JSON, FORMAT_PROTO };
enum { WRITE_AT = 256 << 10, BUFFER_MIN = 1 << 20, BUFFER_DEFAULT = 64 << 20, NAME_MAX_LEN = 4096 };

struct file {
    struct weft_exporter base;
    char *path;
    bool append;
    bool rotation;
    int64_t max_megabytes, max_days, max_backups;
    int format;

    int fd;
    bool opened;         /* fd is ours to close */
    uint64_t size;       /* of the file, when it is a regular one */
    uint64_t last_stamp; /* ms: of the last rotation, so that two never get one name */
    struct weft_buf buf;
};

static const char *const formats[] = { "json", "proto", NULL };

static const struct weft_option options[] = {
    WEFT_STRING("path", struct file, path, .required = true, .help = "the file to write to"),
    WEFT_BOOL("append", struct file, append, .fallback = "false",
              .help = "keep what the file has at the start, instead of emptying it"),
    WEFT_ENUM("format", struct file, format, .fallback = "json", .words = formats,
              .help = "json: one OTLP JSON request a line; proto: each request behind its length (4 bytes, big endian)"),
    WEFT_PRESENT("rotation", struct file, rotation, .help = "start a new file when the old one is large enough"),
    WEFT_INT("rotation.max_megabytes", struct file, max_megabytes, .fallback = "100", .min = 1, .max = 1 << 20,
             .help = "size at which the file is renamed and a new one begun"),
    WEFT_INT("rotation.max_days", struct file, max_days, .fallback = "0", .min = 0, .max = 36500,
             .help = "days to keep renamed files; 0 keeps them for ever"),
    WEFT_INT("rotation.max_backups", struct file, max_backups, .fallback = "100", .min = 0, .max = 100000,
             .help = "renamed files to keep; 0 keeps all"),
    WEFT_IGNORED("rotation.localtime", .fallback = "false", .warns = true, .help = "renamed files always carry the time in UTC"),
    WEFT_IGNORED("flush_interval", .help = "every batch is written at once"),
    { .key = NULL },
};

static int check(struct weft_exporter *self, const struct weft_node *map, struct weft_problems *problems)
{
    const struct file *f = (const struct file *)self;

    if (f->append && f->rotation) {
        weft_problem(problems, weft_node_get(map, "append"), "append and rotation exclude each other: rotation always appends");
        return WEFT_ERR_CONFIG;
    }
    return 0;
}

/* ---- the file ---- */

static int open_file(struct file *f, bool empty)
{
    struct stat st;
    int fd = open(f->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | (empty ? O_TRUNC : 0), 0640);

    if (fd < 0)
        return -errno;
    if (fstat(fd, &st) < 0) {
        int err = -errno;
        (void)close(fd);
        return err;
    }
    f->fd = fd;
    f->opened = true;
    f->size = S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0;
    return 0;
}

static void close_file(struct file *f)
{
    if (f->opened)
        (void)close(f->fd);
    f->opened = false;
}

static int write_all(struct file *f)
{
    struct weft_slice rest = weft_buf_slice(&f->buf);

    while (rest.len > 0) {
        ssize_t n = write(f->fd, rest.data, rest.len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        f->size += (uint64_t)n;
        rest = weft_slice_from(rest, (size_t)n);
    }
    weft_buf_reset(&f->buf);
    return 0;
}

/* ---- rotation ---- */

/* Splits the path before the extension of its last part: how long the stem is. */
static int stem_len(const char *path)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path, *dot = strrchr(name, '.');

    return (int)(dot && dot > name ? dot - path : (ptrdiff_t)strlen(path));
}

/* NAME-2026-11-20T18-00-00.123.EXT */
static bool backup_name(const struct file *f, uint64_t wall_ms, char *out, size_t size)
{
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm tm;
    char when[32];
    int stem = stem_len(f->path);

    if (!gmtime_r(&seconds, &tm) || strftime(when, sizeof when, "%Y-%m-%dT%H-%M-%S", &tm) == 0)
        return false;
    int len = snprintf(out, size, "%.*s-%s.%03u%s", stem, f->path, when, (unsigned)(wall_ms % 1000), f->path + stem);
    return len > 0 && (size_t)len < size;
}

/* A path as a pattern that matches only itself. */
static size_t escape_glob(const char *text, size_t len, char *out, size_t size)
{
    size_t n = 0;

    for (size_t i = 0; i < len && n + 2 < size; i++) {
        if (strchr("*?[\\", text[i]))
            out[n++] = '\\';
        out[n++] = text[i];
    }
    out[n] = '\0';
    return n;
}

/* Deletes the oldest backups: those over max_backups, and those older than max_days. Their names sort by age. */
static void prune(const struct file *f, uint64_t wall_ms)
{
    char pattern[2 * NAME_MAX_LEN];
    size_t stem = (size_t)stem_len(f->path);
    size_t n = escape_glob(f->path, stem, pattern, NAME_MAX_LEN);
    glob_t found;

    n += (size_t)snprintf(pattern + n, sizeof pattern - n, "-[0-9]*T[0-9]*");
    (void)escape_glob(f->path + stem, strlen(f->path + stem), pattern + n, sizeof pattern - n);
    if (glob(pattern, 0, NULL, &found) != 0)
        return;
    for (size_t i = 0; i < found.gl_pathc; i++) {
        struct stat st;
        bool over = f->max_backups > 0 && found.gl_pathc - i > (size_t)f->max_backups;
        bool old = f->max_days > 0 && stat(found.gl_pathv[i], &st) == 0 &&
                   (uint64_t)st.st_mtime + (uint64_t)f->max_days * 86400 < wall_ms / 1000;
        if (over || old)
            (void)unlink(found.gl_pathv[i]);
    }
    globfree(&found);
}

static int rotate(struct file *f)
{
    char backup[NAME_MAX_LEN];
    uint64_t now = weft_clock_wall_ns() / 1000000;

    if (now <= f->last_stamp)
        now = f->last_stamp + 1;
    if (!backup_name(f, now, backup, sizeof backup))
        return UV_ENAMETOOLONG;
    if (rename(f->path, backup) < 0 && errno != ENOENT)
        return -errno;
    f->last_stamp = now;
    close_file(f);
    prune(f, now);
    return open_file(f, false);
}

/* ---- sending ---- */

static int put_record(struct file *f, const struct weft_record *r)
{
    uint32_t len = (uint32_t)r->payload.len;
    uint8_t prefix[4] = { (uint8_t)(len >> 24), (uint8_t)(len >> 16), (uint8_t)(len >> 8), (uint8_t)len };

    if (f->format == FORMAT_PROTO) {
        weft_buf_append(&f->buf, prefix, sizeof prefix);
        weft_buf_append(&f->buf, r->payload.data, r->payload.len);
        return f->buf.err;
    }
    int err = weft_otlp_json_write(r->signal, r->payload, &f->buf);
    if (!err)
        weft_buf_append_byte(&f->buf, '\n');
    return err ? err : f->buf.err;
}

/* Puts one record into the buffer, which is written out when it is large. A record that cannot be is rejected here.
 * 0 or the error of a write. */
static int add_record(struct file *f, struct weft_batch *batch, const struct weft_record *r, uint64_t first_item)
{
    size_t before = f->buf.len;
    int err = put_record(f, r);

    if (err == WEFT_ERR_TOO_LARGE && before > 0) {
        f->buf.len = before;
        f->buf.err = 0;
        err = write_all(f);
        if (err)
            return err;
        before = 0;
        err = put_record(f, r);
    }
    if (err) {
        weft_buf_reset(&f->buf);
        f->buf.len = before;
        if (err != WEFT_ERR_TOO_LARGE && err != WEFT_ERR_MALFORMED && err != WEFT_ERR_TOO_DEEP)
            return err;
        f->base.host->reject(&f->base, batch, first_item, r->n_items, err == WEFT_ERR_TOO_LARGE ? "too_large" : "malformed",
                             weft_err_text(err));
        return 0;
    }
    batch->sent_bytes += f->buf.len - before;
    return f->buf.len >= WRITE_AT ? write_all(f) : 0;
}

static int send_records(struct file *f, struct weft_batch *batch)
{
    uint64_t item = 0;
    int err = 0;

    if (!f->opened)
        err = open_file(f, false);
    else if (f->rotation && f->size >= (uint64_t)f->max_megabytes << 20)
        err = rotate(f);
    const uint64_t begin = f->size;
    batch->sent_bytes = 0;
    weft_buf_reset(&f->buf);
    for (size_t i = 0; i < batch->n_records && !err; i++) {
        const struct weft_record *r = &batch->records[i];
        if (r->n_items == 0 || batch->item_state[item] == WEFT_ITEM_WAITING)
            err = add_record(f, batch, r, item);
        item += r->n_items;
    }
    if (!err)
        err = write_all(f);
    if (err && f->opened && f->size != begin && ftruncate(f->fd, (off_t)begin) == 0)
        f->size = begin;
    return err;
}

static void send_batch(struct weft_exporter *self, struct weft_batch *batch)
{
    struct file *f = (struct file *)self;
    int err = send_records(f, batch);

    if (!err) {
        self->host->done(self, batch, WEFT_SENT, NULL, NULL, 0);
        return;
    }
    if (err == UV_EBADF || err == UV_EIO || err == -ESTALE)
        close_file(f); /* open it anew for the next attempt */
    const char *reason = err == UV_ENOSPC || err == -EDQUOT ? "disk_full" : err == UV_ENOMEM ? "memory" : "file";
    self->host->done(self, batch, WEFT_RETRY, reason, weft_err_text(err), 0);
}

static int start(struct weft_exporter *self)
{
    struct file *f = (struct file *)self;
    uint64_t limit = self->memory_limit ? self->memory_limit : BUFFER_DEFAULT;

    weft_buf_init(&f->buf, limit > BUFFER_MIN ? (size_t)limit : BUFFER_MIN);
    f->buf.account = self->account;
    int err = open_file(f, !f->append && !f->rotation);
    if (err)
        weft_log(self->log, WEFT_LOG_ERROR, self->id, "cannot open %s: %s", f->path, weft_err_text(err));
    return err;
}

static void stop(struct weft_exporter *self)
{
    struct file *f = (struct file *)self;

    close_file(f);
    weft_buf_release(&f->buf);
}

const struct weft_exporter_type weft_exporter_file = {
    .name = "file",
    .summary = "appends OTLP to a file, as JSON lines or length-prefixed protobuf",
    .size = sizeof(struct file),
    .signals = 1u << WEFT_TRACES | 1u << WEFT_LOGS | 1u << WEFT_METRICS,
    .options = options,
    .local = true,
    .check = check,
    .start = start,
    .send = send_batch,
    .stop = stop,
};

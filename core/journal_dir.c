/* SPDX-License-Identifier: Apache-2.0 */
/* journal_dir.c: see the header.
 *
 * FORMAT is read before anything else is touched, so that a directory of a newer version is left as it is. The lock belongs to an open
 * file description: it goes with the process, however that ends. */
#include "core/journal_dir.h"

#include "core/err.h"
#include "core/hash.h"
#include "core/journal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

enum { FORMAT_MAX = 128, NAME_SIZE = 64, MODE = 0640, DIR_MODE = 0750 };

static const char TMP[] = ".tmp";

/* ---- small files ---- */

static int write_all(int fd, const uint8_t *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, bytes, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : UV_EIO;
        bytes += n;
        len -= (size_t)n;
    }
    return 0;
}

int weft_journal_dir_write(struct weft_journal_dir *d, const char *name, const void *bytes, size_t len, bool sync)
{
    char tmp[NAME_SIZE];

    (void)snprintf(tmp, sizeof tmp, "%s%s", name, TMP);
    int fd = openat(d->fd, tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, MODE);
    if (fd < 0)
        return -errno;
    int err = write_all(fd, bytes, len);
    if (!err && sync && fdatasync(fd))
        err = -errno;
    (void)close(fd);
    if (!err && renameat(d->fd, tmp, d->fd, name))
        err = -errno;
    if (!err && sync && fsync(d->fd))
        err = -errno;
    if (err)
        (void)unlinkat(d->fd, tmp, 0);
    return err;
}

static int read_all(int fd, uint8_t *bytes, size_t len)
{
    for (size_t at = 0; at < len;) {
        ssize_t n = read(fd, bytes + at, len - at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : UV_EIO;
        at += (size_t)n;
    }
    return 0;
}

int weft_journal_dir_read(struct weft_journal_dir *d, const char *name, size_t max, uint8_t **ret_bytes, size_t *ret_len)
{
    struct stat st;
    uint8_t *bytes = NULL;
    int err = 0;

    int fd = openat(d->fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return -errno;
    if (fstat(fd, &st))
        err = -errno;
    else if (!S_ISREG(st.st_mode) || st.st_size < 0 || (uint64_t)st.st_size > max)
        err = WEFT_ERR_TOO_LARGE;
    else if (!(bytes = malloc((size_t)st.st_size + 1)))
        err = UV_ENOMEM;
    else
        err = read_all(fd, bytes, (size_t)st.st_size);
    (void)close(fd);
    if (err) {
        free(bytes);
        return err;
    }
    *ret_bytes = bytes;
    *ret_len = (size_t)st.st_size;
    return 0;
}

int weft_journal_dir_list(struct weft_journal_dir *d, void (*visit)(void *ctx, const char *name), void *ctx)
{
    int fd = openat(d->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;

    if (!dir) {
        int err = -errno;
        if (fd >= 0)
            (void)close(fd);
        return err;
    }
    for (const struct dirent *e; errno = 0, (e = readdir(dir)) != NULL;)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            visit(ctx, e->d_name);
    int err = -errno;
    (void)closedir(dir);
    return err;
}

/* ---- FORMAT ---- */

static int format_text(char text[static FORMAT_MAX], unsigned version, uint64_t id)
{
    int len = snprintf(text, FORMAT_MAX, "weft journal %u id %016llx crc ", version, (unsigned long long)id);

    return len + snprintf(text + len, (size_t)(FORMAT_MAX - len), "%08x\n", weft_crc32c(0, text, (size_t)len));
}

static int write_format(struct weft_journal_dir *d)
{
    char text[FORMAT_MAX];
    int len = format_text(text, WEFT_JOURNAL_VERSION, d->journal_id);

    return weft_journal_dir_write(d, "FORMAT", text, (size_t)len, true);
}

/* The line ends with the sum of all before it, in eight digits: so much is the same in every version. */
static bool sum_is_right(const char *line, size_t len)
{
    enum { SUM = 9 };
    char *end = NULL;

    if (len < SUM || line[len - 1] != '\n')
        return false;
    unsigned long sum = strtoul(line + len - SUM, &end, 16);
    return end == line + len - 1 && sum == weft_crc32c(0, line, len - SUM);
}

/* 0: it says our version and an id. WEFT_ERR_NEWER, whatever else such a line says. WEFT_ERR_NOT_FOUND: there is none, or one that says nothing: its
 * sum is wrong (the heads of segments say all of it again). */
static int read_format(struct weft_journal_dir *d)
{
    uint8_t *bytes = NULL;
    size_t len = 0;
    unsigned version = 0;
    unsigned long long id = 0;
    char again[FORMAT_MAX];

    int err = weft_journal_dir_read(d, "FORMAT", FORMAT_MAX, &bytes, &len);
    if (err)
        return err == UV_ENOENT || err == WEFT_ERR_TOO_LARGE || err == UV_EIO ? WEFT_ERR_NOT_FOUND : err;
    bytes[len] = 0;
    int n = sum_is_right((const char *)bytes, len) ? sscanf((const char *)bytes, "weft journal %u id %llx", &version, &id) : 0;
    bool newer = n >= 1 && version > WEFT_JOURNAL_VERSION;
    bool right = n == 2 && id != 0 && (size_t)format_text(again, version, id) == len && memcmp(again, bytes, len) == 0;
    free(bytes);
    d->journal_id = right && !newer ? id : d->journal_id;
    return newer ? WEFT_ERR_NEWER : right ? 0 : WEFT_ERR_NOT_FOUND;
}

/* ---- opening ---- */

static int make_one(const char *path)
{
    return mkdir(path, DIR_MODE) == 0 || errno == EEXIST ? 0 : -errno;
}

static int make_with_parents(const char *path)
{
    char *copy = strdup(path);
    int err = 0;

    if (!copy)
        return UV_ENOMEM;
    for (char *at = copy + 1; *copy && (at = strchr(at, '/')) != NULL; at++) {
        *at = 0;
        struct stat st;
        if (stat(copy, &st) != 0)
            err = make_one(copy);
        *at = '/';
        if (err)
            break;
    }
    if (!err)
        err = make_one(copy);
    free(copy);
    return err;
}

static int open_and_lock(struct weft_journal_dir *d)
{
    int err = make_with_parents(d->path);

    if (err)
        return err;
    d->fd = open(d->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (d->fd < 0)
        return -errno;
    d->lock_fd = openat(d->fd, "LOCK", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, MODE);
    if (d->lock_fd < 0)
        return -errno;
    if (flock(d->lock_fd, LOCK_EX | LOCK_NB))
        return errno == EWOULDBLOCK ? WEFT_ERR_LOCKED : -errno;
    return 0;
}

static uint64_t boot_of_this_system(void)
{
    char text[64];
    uint64_t boot = 0;
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return 0;
    ssize_t n = read(fd, text, sizeof text);
    if (n > 0)
        boot = weft_hash64(weft_slice_of(text, (size_t)n), 0);
    (void)close(fd);
    return boot;
}

static void see_segment(void *ctx, const char *name)
{
    bool *found = ctx;
    size_t len = strlen(name);

    *found = *found || (len > 4 && strcmp(name + len - 4, ".seg") == 0);
}

int weft_journal_dir_open(struct weft_journal_dir *d, const char *path, uint64_t fresh_id)
{
    bool segments = false;

    *d = (struct weft_journal_dir){ .fd = -1, .lock_fd = -1, .path = strdup(path) };
    if (!d->path)
        return UV_ENOMEM;
    int err = open_and_lock(d);
    if (!err)
        err = read_format(d);
    if (err == WEFT_ERR_NOT_FOUND) {
        d->journal_id = fresh_id;
        err = weft_journal_dir_list(d, see_segment, &segments);
        if (!err && segments)
            d->journal_id = 0; /* the segments know it; see weft_journal_dir_adopt() */
        else if (!err)
            err = write_format(d);
    }
    if (err) {
        weft_journal_dir_close(d);
        return err;
    }
    d->boot = boot_of_this_system();
    return 0;
}

int weft_journal_dir_adopt(struct weft_journal_dir *d, uint64_t id)
{
    d->journal_id = id;
    return write_format(d);
}

void weft_journal_dir_close(struct weft_journal_dir *d)
{
    if (d->fd >= 0)
        (void)close(d->fd);
    if (d->lock_fd >= 0)
        (void)close(d->lock_fd);
    free(d->path);
    *d = (struct weft_journal_dir){ .fd = -1, .lock_fd = -1 };
}

/* ---- when it is gone ---- */

bool weft_journal_dir_is_gone(const struct weft_journal_dir *d)
{
    struct stat st;

    return fstat(d->fd, &st) == 0 && st.st_nlink == 0;
}

int weft_journal_dir_restore(struct weft_journal_dir *d)
{
    struct weft_journal_dir again = *d;

    again.fd = again.lock_fd = -1;
    int err = open_and_lock(&again);
    if (!err)
        err = write_format(&again);
    if (err) {
        if (again.fd >= 0)
            (void)close(again.fd);
        if (again.lock_fd >= 0)
            (void)close(again.lock_fd);
        return err;
    }
    (void)close(d->fd);
    (void)close(d->lock_fd);
    *d = again;
    return 0;
}

/* ---- removing ---- */

static bool ends_with(const char *name, const char *end)
{
    size_t len = strlen(name), n = strlen(end);

    return len >= n && strcmp(name + len - n, end) == 0;
}

static bool is_ours(const char *name)
{
    static const char *const names[] = { "FORMAT", "LOCK", "cursors", "sources" };

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return ends_with(name, ".seg") || ends_with(name, ".corrupt") || ends_with(name, TMP)
           || strncmp(name, "spare-", 6) == 0;
}

static void unlink_ours(void *ctx, const char *name)
{
    const struct weft_journal_dir *d = ctx;

    if (is_ours(name) && strcmp(name, "LOCK") != 0)
        (void)unlinkat(d->fd, name, 0);
}

int weft_journal_remove(const char *directory)
{
    struct weft_journal_dir d = { .fd = -1, .lock_fd = -1 };
    struct stat st;
    int err;

    if (stat(directory, &st))
        return errno == ENOENT ? 0 : -errno;
    d.path = strdup(directory);
    err = d.path ? open_and_lock(&d) : UV_ENOMEM;
    if (!err)
        err = weft_journal_dir_list(&d, unlink_ours, &d);
    if (!err) {
        (void)unlinkat(d.fd, "LOCK", 0);
        err = rmdir(d.path) ? -errno : 0;
    }
    weft_journal_dir_close(&d);
    return err;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* filelog_positions.c: see filelog_positions.h. */
#include "receivers/filelog_positions.h"

#include "core/err.h"
#include "core/hash.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

static const uint8_t magic[8] = { 'w', 'e', 'f', 't', 'p', 'o', 's', '\n' };

enum {
    VERSION = 1,
    HEADER = 32, AT_VERSION = 8, AT_FLAGS = 12, AT_COUNT = 16, AT_CRC = 20, AT_LENGTH = 24,
    ENTRY = 80, AT_ENTRY_FLAGS = 76, AT_PATH_LEN = 78,
    FLAG_SETTLED = 1,
    FLAG_FORMER = 1,
    PATH_LEN_MAX = 4096,
};

/* ---- numbers ---- */

static void put(uint8_t *at, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        at[i] = (uint8_t)(value >> 8 * i);
}

static uint64_t get(const uint8_t *at, unsigned bytes)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < bytes; i++)
        value |= (uint64_t)at[i] << 8 * i;
    return value;
}

/* ---- writing ---- */

static void put_entry(struct weft_buf *out, const struct weft_filelog_entry *e)
{
    const uint64_t wide[] = { e->id, e->device, e->inode, e->born_ns, e->safe.offset, e->print, e->safe.tail, e->seen_s };
    const uint32_t narrow[] = { e->print_len, e->safe.tail_len, e->epoch };
    size_t path_len = strlen(e->path);
    uint8_t bytes[ENTRY];

    path_len = path_len > PATH_LEN_MAX ? PATH_LEN_MAX : path_len;
    for (size_t i = 0; i < 8; i++)
        put(bytes + 8 * i, wide[i], 8);
    for (size_t i = 0; i < 3; i++)
        put(bytes + 64 + 4 * i, narrow[i], 4);
    put(bytes + AT_ENTRY_FLAGS, e->former ? FLAG_FORMER : 0, 2);
    put(bytes + AT_PATH_LEN, path_len, 2);
    weft_buf_append(out, bytes, sizeof bytes);
    weft_buf_append(out, e->path, path_len);
}

static uint32_t checksum(const uint8_t *header, const uint8_t *body, size_t body_len)
{
    uint32_t crc = weft_crc32c(0, header, AT_CRC);

    crc = weft_crc32c(crc, header + AT_LENGTH, HEADER - AT_LENGTH);
    return weft_crc32c(crc, body, body_len);
}

int weft_filelog_positions_encode(const struct weft_filelog_known *k, bool settled, struct weft_buf *out)
{
    const size_t begin = out->len;
    uint8_t header[HEADER] = { 0 };
    uint32_t count = 0;

    weft_buf_append(out, header, sizeof header);
    for (size_t i = 0; i < k->n; i++) {
        if (k->entries[i]->provisional)
            continue;
        put_entry(out, k->entries[i]);
        count++;
    }
    if (out->err)
        return out->err;
    uint8_t *at = out->data + begin;
    const size_t body_len = out->len - begin - HEADER;
    memcpy(at, magic, sizeof magic);
    put(at + AT_VERSION, VERSION, 4);
    put(at + AT_FLAGS, settled ? FLAG_SETTLED : 0, 4);
    put(at + AT_COUNT, count, 4);
    put(at + AT_LENGTH, body_len, 8);
    put(at + AT_CRC, checksum(at, at + HEADER, body_len), 4);
    return 0;
}

/* ---- reading ---- */

/* What no entry of ours holds. */
static bool plausible(const struct weft_filelog_entry *e)
{
    return e->id != 0 && e->print_len <= WEFT_FILELOG_PRINT_MAX && e->safe.tail_len <= WEFT_FILELOG_TAIL_MAX &&
           e->safe.tail_len <= e->safe.offset && e->safe.offset <= INT64_MAX;
}

/* One entry at the front of *rest. 0, WEFT_ERR_MALFORMED, or WEFT_ERR_LIMIT: the table takes no more. */
static int take_entry(struct weft_slice *rest, struct weft_filelog_known *k)
{
    struct weft_filelog_entry found = { 0 };
    char path[PATH_LEN_MAX + 1];
    const uint8_t *at = rest->data;

    if (rest->len < ENTRY)
        return WEFT_ERR_MALFORMED;
    const size_t path_len = (size_t)get(at + AT_PATH_LEN, 2);
    if (path_len > PATH_LEN_MAX || path_len > rest->len - ENTRY || memchr(at + ENTRY, 0, path_len))
        return WEFT_ERR_MALFORMED;
    memcpy(path, at + ENTRY, path_len);
    path[path_len] = 0;
    found.id = get(at, 8);
    found.born_ns = get(at + 24, 8);
    found.print = get(at + 40, 8);
    found.seen_s = get(at + 56, 8);
    found.print_len = (uint32_t)get(at + 64, 4);
    found.epoch = (uint32_t)get(at + 72, 4);
    found.safe = (struct weft_filelog_place){ get(at + 32, 8), get(at + 48, 8), (uint32_t)get(at + 68, 4) };
    if (!plausible(&found))
        return WEFT_ERR_MALFORMED;
    const uint64_t device = get(at + 8, 8), inode = get(at + 16, 8);
    const bool former = get(at + AT_ENTRY_FLAGS, 2) & FLAG_FORMER;
    if (!former && weft_filelog_known_find(k, device, inode))
        return WEFT_ERR_MALFORMED;
    struct weft_filelog_entry *e = k->n < k->limit ? weft_filelog_known_add(k, device, inode, path) : NULL;
    if (!e)
        return WEFT_ERR_LIMIT;
    if (former)
        weft_filelog_known_detach(k, e);
    e->id = found.id;
    e->born_ns = found.born_ns;
    e->print = found.print;
    e->seen_s = found.seen_s;
    e->print_len = found.print_len;
    e->epoch = found.epoch;
    e->safe = e->noted = e->now = found.safe;
    *rest = weft_slice_from(*rest, ENTRY + path_len);
    return 0;
}

static int check_header(struct weft_slice bytes)
{
    if (bytes.len < HEADER || memcmp(bytes.data, magic, sizeof magic) != 0)
        return WEFT_ERR_MALFORMED;
    if (get(bytes.data + AT_VERSION, 4) != VERSION)
        return WEFT_ERR_UNSUPPORTED;
    if (get(bytes.data + AT_LENGTH, 8) != bytes.len - HEADER ||
        get(bytes.data + AT_CRC, 4) != checksum(bytes.data, bytes.data + HEADER, bytes.len - HEADER))
        return WEFT_ERR_MALFORMED;
    return 0;
}

static void empty(struct weft_filelog_known *k)
{
    const size_t limit = k->limit;

    weft_filelog_known_release(k);
    k->limit = limit;
}

int weft_filelog_positions_decode(struct weft_slice bytes, struct weft_filelog_known *k, bool *ret_settled)
{
    int err = check_header(bytes);

    if (err)
        return err;
    struct weft_slice rest = weft_slice_from(bytes, HEADER);
    uint64_t count = get(bytes.data + AT_COUNT, 4);
    for (; count > 0 && !err; count--)
        err = take_entry(&rest, k);
    if (!err && rest.len > 0)
        err = WEFT_ERR_MALFORMED;
    if (err == WEFT_ERR_LIMIT)
        err = k->n < k->limit ? UV_ENOMEM : 0; /* fewer files are allowed now than were known: the rest is matched anew */
    if (err) {
        empty(k);
        return err;
    }
    *ret_settled = get(bytes.data + AT_FLAGS, 4) & FLAG_SETTLED;
    return 0;
}

/* ---- files ---- */

/* mkdir -p. */
static int make_directory(char *path)
{
    for (char *slash = path + 1; (slash = strchr(slash, '/')); slash++) {
        *slash = 0;
        int failed = mkdir(path, 0750) < 0 && errno != EEXIST ? errno : 0;
        *slash = '/';
        if (failed && failed != EROFS && failed != EACCES) /* these two also come for directories that are there */
            return -failed;
    }
    return mkdir(path, 0750) < 0 && errno != EEXIST ? -errno : 0;
}

int weft_filelog_positions_open(const char *path, int *ret_fd, const char **ret_name)
{
    const char *slash = strrchr(path, '/');
    const size_t len = slash ? (size_t)(slash - path) : 0;
    char directory[PATH_LEN_MAX];

    if (len == 0 || !slash[1])
        return UV_EINVAL;
    if (len >= sizeof directory || strlen(slash + 1) >= WEFT_FILELOG_NAME_MAX)
        return UV_ENAMETOOLONG;
    memcpy(directory, path, len);
    directory[len] = 0;
    int err = make_directory(directory);
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return err ? err : -errno;
    *ret_fd = fd;
    *ret_name = slash + 1;
    return 0;
}

/* The whole file, on the heap. */
static int read_file(int fd, uint8_t **ret_bytes, size_t *ret_len)
{
    struct stat st;
    size_t len = 0;

    if (fstat(fd, &st) < 0)
        return -errno;
    if (st.st_size > WEFT_FILELOG_POSITIONS_MAX)
        return WEFT_ERR_MALFORMED;
    uint8_t *bytes = malloc((size_t)st.st_size + 1);
    if (!bytes)
        return UV_ENOMEM;
    while (len < (size_t)st.st_size) {
        ssize_t n = read(fd, bytes + len, (size_t)st.st_size - len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            int err = -errno;
            free(bytes);
            return err;
        }
        if (n == 0)
            break;
        len += (size_t)n;
    }
    *ret_bytes = bytes;
    *ret_len = len;
    return 0;
}

int weft_filelog_positions_load(int dir_fd, const char *name, struct weft_filelog_known *k, bool *ret_settled)
{
    uint8_t *bytes;
    size_t len;
    int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return -errno;
    int err = read_file(fd, &bytes, &len);
    (void)close(fd);
    if (err)
        return err;
    err = weft_filelog_positions_decode(weft_slice_of(bytes, len), k, ret_settled);
    free(bytes);
    return err;
}

static int write_all(int fd, struct weft_slice bytes)
{
    while (bytes.len > 0) {
        ssize_t n = write(fd, bytes.data, bytes.len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        bytes = weft_slice_from(bytes, (size_t)n);
    }
    return 0;
}

int weft_filelog_positions_store(int dir_fd, const char *name, struct weft_slice bytes)
{
    char beside[WEFT_FILELOG_NAME_MAX + 8];

    (void)snprintf(beside, sizeof beside, "%s.new", name);
    int fd = openat(dir_fd, beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    if (fd < 0)
        return -errno;
    int err = write_all(fd, bytes);
    if (!err && fsync(fd) < 0)
        err = -errno;
    if (close(fd) < 0 && !err)
        err = -errno;
    if (!err && renameat(dir_fd, beside, dir_fd, name) < 0)
        err = -errno;
    if (err) {
        (void)unlinkat(dir_fd, beside, 0);
        return err;
    }
    return fsync(dir_fd) < 0 ? -errno : 0;
}

void weft_filelog_positions_put_aside(int dir_fd, const char *name)
{
    char aside[WEFT_FILELOG_NAME_MAX + 16];

    (void)snprintf(aside, sizeof aside, "%s.unreadable", name);
    (void)renameat(dir_fd, name, dir_fd, aside);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* segment_file.c: see the header. */
#include "core/segment_file.h"

#include "core/err.h"
#include "core/hash.h"
#include "core/sigbus.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

enum { MODE = 0640, ZEROS = 64 << 10 };

/* Far more than can ever be given; whatever is beyond was not written by us. */
#define SEQUENCE_MAX (UINT64_MAX / 4)

static const char HEAD_MAGIC[8] = "WEFTSEG", SEAL_MAGIC[8] = "WEFTEND";

_Static_assert(sizeof(struct weft_segment_head) <= WEFT_SEGMENT_SEAL_AT, "the seal has a sector of its own");
_Static_assert(WEFT_SEGMENT_SEAL_AT + sizeof(struct weft_segment_seal) <= WEFT_SEGMENT_HEAD, "both are in the first page");

/* ---- names ---- */

void weft_segment_file_name(char name[static WEFT_SEGMENT_NAME], uint64_t number)
{
    (void)snprintf(name, WEFT_SEGMENT_NAME, "%016llx.seg", (unsigned long long)number);
}

static void name_of(char name[static WEFT_SEGMENT_NAME], const struct weft_segment *s)
{
    if (s->numbered)
        weft_segment_file_name(name, s->file_number);
    else
        (void)snprintf(name, WEFT_SEGMENT_NAME, "spare-%llu", (unsigned long long)s->file_number);
}

/* ---- room ---- */

/* For file systems that cannot allocate ahead: zeros do it too. */
static int fill_with_zeros(int fd, size_t size)
{
    static const uint8_t zeros[ZEROS];

    for (size_t at = 0; at < size;) {
        size_t n = size - at < ZEROS ? size - at : ZEROS;
        ssize_t written = pwrite(fd, zeros, n, (off_t)at);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return written < 0 ? -errno : UV_ENOSPC;
        at += (size_t)written;
    }
    return 0;
}

static int allocate(int fd, size_t size)
{
    int result;

    do
        result = fallocate(fd, 0, 0, (off_t)size);
    while (result && errno == EINTR);
    if (result == 0)
        return 0;
    return errno == EOPNOTSUPP || errno == ENOSYS ? fill_with_zeros(fd, size) : -errno;
}

int weft_segment_attach(struct weft_segment *s)
{
    if (s->base)
        return 0;
    void *base = mmap(NULL, s->size, PROT_READ | PROT_WRITE, MAP_SHARED, s->fd, 0);
    if (base == MAP_FAILED)
        return -errno;
    s->base = base;
    s->guard = weft_sigbus_guard(base, s->size);
    return 0;
}

void weft_segment_detach(struct weft_segment *s)
{
    if (!s->base || s->fd < 0)
        return;
    weft_sigbus_unguard(s->guard);
    (void)munmap(s->base, s->size);
    s->base = NULL;
    s->guard = -1;
    s->populated = false;
    s->verify = true; /* the bytes come from the disk next time */
}

bool weft_segment_write(const struct weft_segment *s, const uint8_t *at, struct weft_slice bytes)
{
    const off_t from = at - s->base;

    for (size_t done = 0; done < bytes.len;) {
        ssize_t n = pwrite(s->fd, bytes.data + done, bytes.len - done, from + (off_t)done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n == 0)
            errno = EIO;
        if (n <= 0)
            return false;
        done += (size_t)n;
    }
    return true;
}

static int file_acquire(struct weft_segment *s, size_t size)
{
    char name[WEFT_SEGMENT_NAME];
    int err;

    s->file_number = s->dir->next_spare++;
    name_of(name, s);
    s->fd = openat(s->dir->fd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, MODE);
    if (s->fd < 0)
        return -errno;
    s->size = size;
    err = allocate(s->fd, size);
    if (!err)
        err = weft_segment_attach(s);
    if (err) {
        (void)unlinkat(s->dir->fd, name, 0);
        (void)close(s->fd);
    }
    return err;
}

void weft_segment_leave(struct weft_segment *s)
{
    weft_segment_detach(s);
    if (s->fd >= 0)
        (void)close(s->fd);
    s->fd = -1;
}

static void file_release(struct weft_segment *s)
{
    char name[WEFT_SEGMENT_NAME];

    if (s->fd < 0)
        return; /* left on purpose */
    name_of(name, s);
    (void)unlinkat(s->dir->fd, name, 0);
    weft_segment_leave(s);
}

static void file_warm(struct weft_segment *s)
{
    (void)s; /* faulting a whole file in takes too long for whoever waits for room; see journal_keep.c */
}

static int rename_to(struct weft_segment *s, bool numbered, uint64_t file_number)
{
    char from[WEFT_SEGMENT_NAME], to[WEFT_SEGMENT_NAME];
    struct weft_segment after = { .numbered = numbered, .file_number = file_number };

    name_of(from, s);
    name_of(to, &after);
    if (renameat(s->dir->fd, from, s->dir->fd, to))
        return -errno;
    s->numbered = numbered;
    s->file_number = file_number;
    return 0;
}

static int file_shelve(struct weft_segment *s)
{
    int err = s->numbered ? rename_to(s, false, s->dir->next_spare++) : 0;

    return err ? err : weft_segment_attach(s);
}

/* ---- head and seal ---- */

static uint32_t crc_of(const void *bytes, size_t len, size_t crc_at)
{
    static const uint32_t zero;
    const uint8_t *at = bytes;
    uint32_t crc = weft_crc32c(0, at, crc_at);

    crc = weft_crc32c(crc, &zero, sizeof zero);
    return weft_crc32c(crc, at + crc_at + sizeof zero, len - crc_at - sizeof zero);
}

static uint32_t head_crc(const struct weft_segment_head *h)
{
    return crc_of(h, sizeof *h, offsetof(struct weft_segment_head, crc));
}

static uint32_t seal_crc(const struct weft_segment_seal *seal)
{
    return crc_of(seal, sizeof *seal, offsetof(struct weft_segment_seal, crc));
}

static void seed(struct weft_segment *s)
{
    const uint64_t name[2] = { s->dir->journal_id, s->number };

    s->seed = weft_crc32c(0, name, sizeof name);
}

static int file_begin(struct weft_segment *s)
{
    struct weft_segment_head h = { .version = WEFT_JOURNAL_VERSION, .journal_id = s->dir->journal_id, .number = s->number,
                                   .first_sequence = s->first_sequence, .boot = s->dir->boot, .before = s->before };

    uint8_t front[WEFT_SEGMENT_HEAD + sizeof(struct weft_entry)] = { 0 };

    memcpy(h.magic, HEAD_MAGIC, sizeof h.magic);
    h.crc = head_crc(&h);
    memcpy(front, &h, sizeof h);
    (void)madvise(s->base, s->size, MADV_RANDOM);
    if (!weft_segment_write(s, s->base, (struct weft_slice){ front, sizeof front }))
        return -errno;
    seed(s);
    return rename_to(s, true, s->number);
}

void weft_segment_seal(struct weft_segment *s)
{
    struct weft_segment_seal seal = {
        .version = WEFT_JOURNAL_VERSION, .journal_id = s->dir->journal_id, .number = s->number,
        .end = atomic_load_explicit(&s->reserved, memory_order_relaxed), .end_sequence = s->end_sequence,
        .newest_wall_ns = atomic_load_explicit(&s->newest_wall_ns, memory_order_relaxed),
        .before = s->before, .totals = s->totals,
    };

    memcpy(seal.magic, SEAL_MAGIC, sizeof seal.magic);
    seal.crc = seal_crc(&seal);
    memcpy(s->base + WEFT_SEGMENT_SEAL_AT, &seal, sizeof seal);
    (void)madvise(s->base, s->size, MADV_NORMAL);
    s->sealed = true;
}

void weft_segment_cut(struct weft_segment *s)
{
    size_t end = atomic_load_explicit(&s->reserved, memory_order_relaxed);
    size_t size = (end + WEFT_SEGMENT_HEAD - 1) & ~(size_t)(WEFT_SEGMENT_HEAD - 1);

    weft_segment_detach(s);
    if (size < s->size && ftruncate(s->fd, (off_t)size) == 0)
        s->size = size;
    s->room = end;
}

/* ---- finding ---- */

static bool all_zero(const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (bytes[i])
            return false;
    return true;
}

static enum weft_segment_found judge(const struct weft_segment_head *h, const uint8_t page[static WEFT_SEGMENT_HEAD],
                                     uint64_t journal_id, uint64_t number)
{
    if (all_zero(page, WEFT_SEGMENT_HEAD))
        return WEFT_SEGMENT_EMPTY;
    if (memcmp(h->magic, HEAD_MAGIC, sizeof h->magic) != 0 || head_crc(h) != h->crc)
        return WEFT_SEGMENT_CORRUPT;
    if (h->version > WEFT_JOURNAL_VERSION)
        return WEFT_SEGMENT_NEWER;
    if (journal_id != 0 && h->journal_id != journal_id)
        return WEFT_SEGMENT_FOREIGN;
    if (h->number != number)
        return WEFT_SEGMENT_EMPTY;
    return h->first_sequence == 0 || h->first_sequence > SEQUENCE_MAX || h->journal_id == 0 ? WEFT_SEGMENT_CORRUPT
                                                                                           : WEFT_SEGMENT_OPEN;
}

static bool seal_is_right(const struct weft_segment_seal *seal, const struct weft_segment_head *h)
{
    return memcmp(seal->magic, SEAL_MAGIC, sizeof seal->magic) == 0 && seal_crc(seal) == seal->crc
           && seal->journal_id == h->journal_id && seal->number == h->number && seal->end >= WEFT_SEGMENT_HEAD
           && seal->end % WEFT_ENTRY_ALIGN == 0 && seal->end_sequence >= h->first_sequence
           && seal->end_sequence <= SEQUENCE_MAX;
}

static void take_seal(struct weft_segment *s, const struct weft_segment_seal *seal)
{
    size_t there = s->size & ~(size_t)(WEFT_ENTRY_ALIGN - 1);
    size_t end = seal->end < there ? (size_t)seal->end : there; /* a file that was cut: the rest is lost */

    s->before = seal->before;
    s->totals = seal->totals;
    s->end_sequence = seal->end_sequence;
    s->sealed = true;
    atomic_store_explicit(&s->reserved, end, memory_order_relaxed);
    atomic_store_explicit(&s->newest_wall_ns, seal->newest_wall_ns, memory_order_relaxed);
}

static struct weft_segment *found_segment(struct weft_journal_dir *dir, int fd, size_t size, uint64_t number,
                                          const struct weft_segment_head *h)
{
    struct weft_segment *s = calloc(1, sizeof *s);

    if (!s)
        return NULL;
    s->backing = &weft_backing_file;
    s->guard = -1;
    s->dir = dir;
    s->fd = fd;
    s->size = size;
    weft_segment_reset(s, number, h->first_sequence, h->before);
    s->numbered = s->verify = true;
    s->file_number = number;
    const uint64_t name[2] = { h->journal_id, number };
    s->seed = weft_crc32c(0, name, sizeof name);
    return s;
}

static bool read_page(int fd, uint8_t page[static WEFT_SEGMENT_HEAD])
{
    size_t at = 0;

    while (at < WEFT_SEGMENT_HEAD) {
        ssize_t n = pread(fd, page + at, WEFT_SEGMENT_HEAD - at, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        at += (size_t)n;
    }
    return true;
}

/* A first page of zeros is one that was never begun, unless there is something behind it. */
static bool has_entries(int fd)
{
    uint8_t bytes[sizeof(struct weft_entry)];

    return pread(fd, bytes, sizeof bytes, WEFT_SEGMENT_HEAD) == (ssize_t)sizeof bytes && !all_zero(bytes, sizeof bytes);
}

int weft_segment_file_find(struct weft_segment **ret_segment, struct weft_journal_dir *dir, uint64_t number,
                           enum weft_segment_found *ret_found, uint64_t *ret_boot, uint64_t *ret_id)
{
    uint8_t page[WEFT_SEGMENT_HEAD];
    char name[WEFT_SEGMENT_NAME];
    struct weft_segment_head h;
    struct weft_segment_seal seal;
    struct stat st;

    weft_segment_file_name(name, number);
    int fd = openat(dir->fd, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return -errno;
    enum weft_segment_found found = WEFT_SEGMENT_CORRUPT;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size == 0)
        found = WEFT_SEGMENT_EMPTY;
    else if (read_page(fd, page)) {
        memcpy(&h, page, sizeof h);
        memcpy(&seal, page + WEFT_SEGMENT_SEAL_AT, sizeof seal);
        found = judge(&h, page, dir->journal_id, number);
        if (found == WEFT_SEGMENT_EMPTY && all_zero(page, sizeof page) && has_entries(fd))
            found = WEFT_SEGMENT_CORRUPT;
    }
    *ret_found = found;
    if (found != WEFT_SEGMENT_OPEN) {
        (void)close(fd);
        return 0;
    }
    struct weft_segment *s = found_segment(dir, fd, (size_t)st.st_size, number, &h);
    if (!s) {
        (void)close(fd);
        return UV_ENOMEM;
    }
    if (seal_is_right(&seal, &h)) {
        take_seal(s, &seal);
        *ret_found = WEFT_SEGMENT_SEALED;
    }
    *ret_boot = h.boot;
    *ret_id = h.journal_id;
    *ret_segment = s;
    return 0;
}

void weft_segment_file_quarantine(struct weft_journal_dir *dir, uint64_t number)
{
    char from[WEFT_SEGMENT_NAME], to[WEFT_SEGMENT_NAME + 16];

    weft_segment_file_name(from, number);
    (void)snprintf(to, sizeof to, "%s.corrupt", from);
    (void)renameat(dir->fd, from, dir->fd, to);
}

const struct weft_backing weft_backing_file = {
    .head = WEFT_SEGMENT_HEAD,
    .checksum = true,
    .acquire = file_acquire,
    .release = file_release,
    .warm = file_warm,
    .begin = file_begin,
    .shelve = file_shelve,
};

/* SPDX-License-Identifier: Apache-2.0 */
/* A journal's directory made of fuzzed bytes: it opens or says why not, its records can be read to the end, and it goes on.
 *
 * The input is cut into files: one byte says which (bit 7: the sums of head and seal are made right, so that what lies behind them is
 * reached), two bytes how long, then the bytes. */
#include "core/hash.h"
#include "core/journal.h"
#include "core/segment_file.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_SIZE = 256, MOST_FILES = 8, ID = 7 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char home[PATH_SIZE];

static void empty_home(void)
{
    char name[PATH_SIZE * 3];
    DIR *dir = opendir(home);

    for (const struct dirent *e; dir && (e = readdir(dir)) != NULL;) {
        (void)snprintf(name, sizeof name, "%s/%s", home, e->d_name);
        if (*e->d_name != '.')
            (void)unlink(name);
    }
    if (dir)
        closedir(dir);
}

static void remove_home(void)
{
    empty_home();
    (void)rmdir(home);
}

static bool make_home(void)
{
    const char *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";

    if (*home)
        return true;
    (void)snprintf(home, sizeof home, "%s/weft-fuzz-XXXXXX", base);
    if (!mkdtemp(home))
        return false;
    (void)atexit(remove_home);
    return true;
}

static uint32_t crc_without(const uint8_t *bytes, size_t len, size_t crc_at)
{
    static const uint32_t zero;
    uint32_t crc = weft_crc32c(weft_crc32c(0, bytes, crc_at), &zero, sizeof zero);

    return weft_crc32c(crc, bytes + crc_at + sizeof zero, len - crc_at - sizeof zero);
}

/* A first page that will be believed: the fuzzed fields with right names and sums. */
static void make_right(uint8_t page[static WEFT_SEGMENT_HEAD], uint64_t number)
{
    struct weft_segment_head h;
    struct weft_segment_seal seal;

    memcpy(&h, page, sizeof h);
    memcpy(&seal, page + WEFT_SEGMENT_SEAL_AT, sizeof seal);
    memcpy(h.magic, "WEFTSEG", sizeof h.magic);
    memcpy(seal.magic, "WEFTEND", sizeof seal.magic);
    h.version = seal.version = WEFT_JOURNAL_VERSION;
    h.journal_id = seal.journal_id = ID;
    h.number = seal.number = number;
    h.crc = crc_without((const uint8_t *)&h, sizeof h, offsetof(struct weft_segment_head, crc));
    seal.crc = crc_without((const uint8_t *)&seal, sizeof seal, offsetof(struct weft_segment_seal, crc));
    memcpy(page, &h, sizeof h);
    if (seal.end % 4 != 3)
        memcpy(page + WEFT_SEGMENT_SEAL_AT, &seal, sizeof seal);
}

static void write_file(const char *name, const uint8_t *bytes, size_t len)
{
    char path[PATH_SIZE * 2];

    (void)snprintf(path, sizeof path, "%s/%s", home, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return;
    ssize_t written = write(fd, bytes, len);
    (void)written;
    close(fd);
}

/* A short piece stands for a whole first page: the head, then the seal, then entries. */
static void write_segment(uint8_t which, const uint8_t *bytes, size_t len)
{
    static uint8_t file[WEFT_SEGMENT_HEAD + 65536];
    const size_t head = sizeof(struct weft_segment_head), seal = sizeof(struct weft_segment_seal);
    char name[WEFT_SEGMENT_NAME];
    uint64_t number = 1 + (which & 3u);
    size_t a = len < head ? len : head, b = len - a < seal ? len - a : seal, rest = len - a - b;

    memset(file, 0, WEFT_SEGMENT_HEAD);
    memcpy(file, bytes, a);
    memcpy(file + WEFT_SEGMENT_SEAL_AT, bytes + a, b);
    memcpy(file + WEFT_SEGMENT_HEAD, bytes + a + b, rest);
    if (which & 0x80)
        make_right(file, number);
    weft_segment_file_name(name, number);
    write_file(name, file, which & 0x40 ? len : WEFT_SEGMENT_HEAD + rest);
}

static void write_files(const uint8_t *data, size_t size)
{
    static const char *const small[] = { "cursors", "sources", "FORMAT", "LOCK" };

    for (int n = 0; n < MOST_FILES && size >= 3; n++) {
        uint8_t which = data[0];
        size_t len = (size_t)(data[1] | data[2] << 8);
        data += 3, size -= 3;
        len = len < size ? len : size;
        if ((which & 0x0c) == 0x0c)
            write_file(small[which & 3], data, len);
        else
            write_segment(which, data, len);
        data += len, size -= len;
    }
}

static void read_all(struct weft_journal *j, const char *name, bool hold)
{
    struct weft_cursor *c;
    struct weft_cursor_options o = { .name = name, .hold = hold, .start = WEFT_CURSOR_OLDEST, .wake_fd = -1 };
    struct weft_record r;
    uint64_t sum = 0;

    if (weft_cursor_open(&c, j, &o))
        return;
    while (weft_cursor_next(c, &r) > 0) {
        for (size_t i = 0; i < r.payload.len; i++)
            sum += r.payload.data[i];
        weft_cursor_settle(c, r.sequence);
    }
    __asm__ volatile("" : : "r"(sum));
    weft_cursor_close(c);
}

static int open_and_use(void)
{
    struct weft_journal *j;
    struct weft_journal_options o = { .name = "fuzz", .mode = WEFT_JOURNAL_DISK, .directory = home, .max_size = 1 << 20,
                                      .segment_size = 16 << 10 };
    struct weft_record r = { .n_items = 1, .payload = WEFT_SLICE("behind it all") };

    int err = weft_journal_open(&j, &o);
    if (err)
        return err;
    read_all(j, NULL, false);
    (void)weft_journal_append(j, &r, NULL);
    read_all(j, "es", true);
    weft_journal_close(j);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char format[] = "weft journal 1 id 0000000000000007 crc ";
    char text[64];

    if (!make_home())
        return 0;
    empty_home();
    int len = snprintf(text, sizeof text, "%s%08x\n", format, weft_crc32c(0, format, sizeof format - 1));
    write_file("FORMAT", (const uint8_t *)text, (size_t)len);
    write_files(data, size);
    if (open_and_use() == 0)
        (void)open_and_use(); /* what it left is a journal again */
    return 0;
}

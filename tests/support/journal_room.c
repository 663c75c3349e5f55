/* SPDX-License-Identifier: Apache-2.0 */
/* journal_room.c: see journal_room.h. */
#include "tests/support/journal_room.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { PATH_SIZE = 1024 };

int journal_room_make(char *path, size_t size)
{
    const char *base = getenv("TMPDIR");

    base = base ? base : access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    int n = snprintf(path, size, "%s/weft-journal-XXXXXX", base);
    return n > 0 && (size_t)n < size && mkdtemp(path) ? 0 : -1;
}

void journal_room_remove(const char *path)
{
    char name[PATH_SIZE];
    DIR *dir = opendir(path);

    if (!dir)
        return;
    for (const struct dirent *e; (e = readdir(dir)) != NULL;) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        (void)snprintf(name, sizeof name, "%s/%s", path, e->d_name);
        if (unlink(name))
            journal_room_remove(name);
    }
    closedir(dir);
    (void)rmdir(path);
}

static void copy_file(const char *from, const char *to)
{
    static char bytes[256 << 10];
    int in = open(from, O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    assert_true(in >= 0 && out >= 0);
    for (ssize_t n; (n = read(in, bytes, sizeof bytes)) > 0;)
        assert_int_equal(write(out, bytes, (size_t)n), n);
    close(in);
    close(out);
}

void journal_room_copy(const char *from, const char *to)
{
    char source[PATH_SIZE], target[PATH_SIZE];
    DIR *dir = opendir(from);

    assert_non_null(dir);
    assert_int_equal(mkdir(to, 0700), 0);
    for (const struct dirent *e; (e = readdir(dir)) != NULL;) {
        if (*e->d_name == '.')
            continue;
        (void)snprintf(source, sizeof source, "%s/%s", from, e->d_name);
        (void)snprintf(target, sizeof target, "%s/%s", to, e->d_name);
        copy_file(source, target);
    }
    closedir(dir);
}

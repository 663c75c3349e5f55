/* SPDX-License-Identifier: Apache-2.0 */
/* directory.c: see directory.h. The lock is flock(2)'s: it goes with the process, however that ends. */
#include "agent/directory.h"

#include <ctype.h>
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

/* ---- names ---- */
static bool is_plain(unsigned char c, bool first)
{
    return isalnum(c) || c >= 0x80 || strchr("_-+@=,~", c) || (c == '.' && !first);
}

bool weft_directory_escape(const char *id, char *out)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t n = 0;

    for (const char *p = id; *p; p++) {
        unsigned char c = (unsigned char)*p;
        if (n + 3 >= WEFT_DIRECTORY_NAME)
            return false;
        if (is_plain(c, p == id)) {
            out[n++] = *p;
            continue;
        }
        out[n++] = '%';
        out[n++] = digits[c >> 4];
        out[n++] = digits[c & 15];
    }
    out[n] = '\0';
    return n > 0;
}

static int digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool weft_directory_unescape(const char *name, char *out)
{
    char again[WEFT_DIRECTORY_NAME];
    size_t n = 0;

    if (strlen(name) >= WEFT_DIRECTORY_NAME)
        return false;
    for (const char *p = name; *p; p++) {
        if (*p != '%') {
            out[n++] = *p;
            continue;
        }
        int high = digit(p[1]), low = high < 0 ? -1 : digit(p[2]);
        if (low < 0 || (high | low) == 0)
            return false;
        out[n++] = (char)(high << 4 | low);
        p += 2;
    }
    out[n] = '\0';
    return weft_directory_escape(out, again) && strcmp(again, name) == 0;
}

bool weft_directory_path(const char *directory, const char *room, const char *id, char *out)
{
    char name[WEFT_DIRECTORY_NAME];

    return weft_directory_escape(id, name)
           && snprintf(out, WEFT_DIRECTORY_PATH, "%s/%s/%s", directory, room, name) < WEFT_DIRECTORY_PATH;
}

/* ---- making, asking, removing ---- */
static int make_one(const char *path)
{
    struct stat st;

    if (mkdir(path, 0750) == 0)
        return 0;
    int err = errno;
    if (err == EEXIST || stat(path, &st) == 0) /* a read-only file system says EROFS first */
        return stat(path, &st) == 0 && S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
    return -err;
}

int weft_directory_make(const char *path)
{
    char part[WEFT_DIRECTORY_PATH];
    size_t len = strlen(path);

    if (len >= sizeof part)
        return -ENAMETOOLONG;
    for (size_t i = 1; i <= len; i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        memcpy(part, path, i);
        part[i] = '\0';
        int err = make_one(part);
        if (err)
            return err;
    }
    return 0;
}

int weft_directory_check(const char *path, char *ret_at)
{
    char part[WEFT_DIRECTORY_PATH], *slash;
    struct stat st;
    int err;

    if (strlen(path) >= sizeof part)
        return -ENAMETOOLONG;
    memcpy(part, path, strlen(path) + 1);
    while ((err = stat(part, &st) == 0 ? 0 : errno) == ENOENT || err == ENOTDIR) {
        slash = strrchr(part, '/');
        if (!slash || !part[1])
            break;
        slash[slash == part] = '\0'; /* not there: whoever makes it needs the one above */
    }
    if (!err && !S_ISDIR(st.st_mode))
        err = ENOTDIR;
    else if (!err && access(part, W_OK | X_OK) != 0)
        err = errno;
    if (err && ret_at)
        memcpy(ret_at, part, strlen(part) + 1);
    return -err;
}

int weft_directory_remove(const char *path)
{
    DIR *dir = opendir(path);
    struct dirent *e;
    int err = 0;

    if (!dir)
        return -errno;
    while ((e = readdir(dir)) != NULL)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 && unlinkat(dirfd(dir), e->d_name, 0) != 0 && !err)
            err = -errno;
    (void)closedir(dir);
    if (rmdir(path) != 0 && !err)
        err = -errno;
    return err;
}

/* ---- the lock ---- */
static long read_holder(int fd)
{
    char text[32] = { 0 };
    ssize_t n = pread(fd, text, sizeof text - 1, 0);

    return n > 0 ? strtol(text, NULL, 10) : 0;
}

static void write_holder(int fd)
{
    char text[32];
    int n = snprintf(text, sizeof text, "%ld\n", (long)getpid());

    if (ftruncate(fd, 0) == 0 && pwrite(fd, text, (size_t)n, 0) < 0)
        return; /* the lock is what counts; the number is for people */
}

int weft_directory_lock(const char *path, int *ret_fd, long *ret_holder)
{
    char file[WEFT_DIRECTORY_PATH];

    if (snprintf(file, sizeof file, "%s/LOCK", path) >= (int)sizeof file)
        return -ENAMETOOLONG;
    int fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    if (fd < 0)
        return -errno;
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        int err = errno;
        *ret_holder = read_holder(fd);
        (void)close(fd);
        return err == EWOULDBLOCK ? UV_EBUSY : -err;
    }
    write_holder(fd);
    *ret_fd = fd;
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* metrics_process.c: see metrics_process.h. */
#include "agent/metrics_process.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

/* A line of /proc/self/status, "VmRSS:	    9664 kB", in bytes. */
static uint64_t read_kilobytes(const char *text, const char *key)
{
    const char *line = strstr(text, key);

    return line ? strtoull(line + strlen(key), NULL, 10) * 1024 : 0;
}

static void read_memory(struct weft_process_figures *f)
{
    char text[4096];
    int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return;
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    if (n <= 0)
        return;
    text[n] = '\0';
    f->virtual_bytes = read_kilobytes(text, "\nVmSize:");
    f->resident_bytes = read_kilobytes(text, "\nVmRSS:");
    f->anonymous_bytes = read_kilobytes(text, "\nRssAnon:");
}

uint64_t weft_process_anonymous_bytes(void)
{
    struct weft_process_figures f = { 0 };

    read_memory(&f);
    return f.anonymous_bytes;
}

static uint64_t count_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    uint64_t n = 0;

    if (!dir)
        return 0;
    for (const struct dirent *e; (e = readdir(dir));)
        n += e->d_name[0] != '.';
    closedir(dir);
    return n ? n - 1 : 0; /* the directory itself was open */
}

void weft_process_figures_read(struct weft_process_figures *ret_figures)
{
    struct weft_process_figures f = { 0 };
    struct timespec cpu;
    struct rlimit limit;

    if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu) == 0)
        f.cpu_seconds = (double)cpu.tv_sec + (double)cpu.tv_nsec / 1e9;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        f.max_fds = limit.rlim_cur;
    read_memory(&f);
    f.open_fds = count_fds();
    *ret_figures = f;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* slow_sync.c: preloaded, makes each fdatasync take 5 ms longer, as on a disk of the slower kind: how many requests share a sync
 * depends on how long it takes, and some disks take so little that few requests come meanwhile. */
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int fdatasync(int fd)
{
    const struct timespec pause = { 0, 5000000L };

    nanosleep(&pause, NULL);
    return (int)syscall(SYS_fdatasync, fd);
}

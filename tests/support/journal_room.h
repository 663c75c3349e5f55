/* SPDX-License-Identifier: Apache-2.0 */
/* journal_room.h: directories in which tests keep journals on disk. */
#ifndef WEFT_TESTS_JOURNAL_ROOM_H
#define WEFT_TESTS_JOURNAL_ROOM_H

#include <stddef.h>

/* Makes a directory of its own in $TMPDIR, else in memory (/dev/shm) where that is there, else in /tmp. Its path goes to `path`. 0, or
 * -1 as setup functions say it. */
int journal_room_make(char *path, size_t size);

/* Removes a directory with all that is in it, if it is there. */
void journal_room_remove(const char *path);

/* Copies the files of a journal into a directory that is not there yet. A crash of the process leaves what the page cache holds, and that is
 * what a copy sees. */
void journal_room_copy(const char *from, const char *to);

#endif

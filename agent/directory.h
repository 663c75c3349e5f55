/* SPDX-License-Identifier: Apache-2.0 */
/* directory.h: the one directory that the agent may write to (service.journal.directory), and the names in it.
 *
 *   DIRECTORY/LOCK               held while an agent uses the directory
 *   DIRECTORY/journal/ID/        a pipeline's journal
 *   DIRECTORY/dead_letters/ID/   what an exporter's back end refused for good
 *   DIRECTORY/positions/ID       how far a receiver has read its files
 *
 * An id becomes a file name by escaping: what is not a letter, a digit or one of ._-+@=,~ and a leading dot are written as
 * %XX, so that traces/shop is traces%2Fshop and no id can leave its directory. Bytes of UTF-8 stay as they are.
 * Nothing here logs; codes are negated errno values. Any thread.
 */
#ifndef WEFT_AGENT_DIRECTORY_H
#define WEFT_AGENT_DIRECTORY_H

#include <stdbool.h>
#include <stddef.h>

enum { WEFT_DIRECTORY_NAME = 256, WEFT_DIRECTORY_PATH = 4096 };

/* The file name of an id, of less than WEFT_DIRECTORY_NAME bytes with its end. False: the id is empty or too long for one. */
bool weft_directory_escape(const char *id, char *out);

/* The id behind a file name; `out` takes WEFT_DIRECTORY_NAME bytes. False: no id is written like that. */
bool weft_directory_unescape(const char *name, char *out);

/* "DIRECTORY/ROOM/escaped id", in WEFT_DIRECTORY_PATH bytes. False: too long. */
bool weft_directory_path(const char *directory, const char *room, const char *id, char *out);

/* Makes a directory and those above it, for the owner and its group alone, as far as they are missing. */
int weft_directory_make(const char *path);

/* Could the process make files there, or make the directory? Changes nothing. 0, or why not, with *ret_at (if not NULL,
 * WEFT_DIRECTORY_PATH bytes) the directory that says no. */
int weft_directory_check(const char *path, char *ret_at);

/* Removes the files in a directory (not what lies deeper), then itself. The first thing that went wrong. */
int weft_directory_remove(const char *path);

/* Takes PATH/LOCK for this process and writes its number into it. 0 with *ret_fd to be closed, UV_EBUSY with *ret_holder the
 * process that has it (0: unknown), or another code. */
int weft_directory_lock(const char *path, int *ret_fd, long *ret_holder);

#endif

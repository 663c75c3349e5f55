/* SPDX-License-Identifier: Apache-2.0 */
/* file_storage.c: the Collector's file_storage extension: a directory for what must outlive the process.
 *
 * It only names the directory; receivers write their own files there (keep.h), and journals lie there when an exporter's queue asks
 * for it (queue_storage.h). The Collector's database has a
 * lock to wait for, a size that only grows and pages to write back; one file a receiver, replaced whole, has none of them,
 * so those keys are accepted and mean nothing. Main loop.
 */
#include "agent/extension.h"

#include "agent/directory.h"
#include "core/err.h"

#include <sys/stat.h>

struct file_storage {
    struct weft_extension base;
    char *directory;
    bool create_directory;
};

#define F struct file_storage
static const struct weft_option options[] = {
    WEFT_STRING("directory", F, directory, .fallback = "/var/lib/otelcol/file_storage", .help = "where the files are kept"),
    WEFT_BOOL("create_directory", F, create_directory, .fallback = "true", .help = "make the directory when it is missing"),
    WEFT_IGNORED("directory_permissions", .fallback = "0750", .warns = true,
                 .help = "directories are made for the owner and its group alone (0750)"),
    WEFT_IGNORED("timeout", .help = "there is no lock to wait for"),
    WEFT_IGNORED("compaction", .help = "files are replaced whole, they hold nothing that could be taken out"),
    WEFT_IGNORED("fsync", .help = "every file is flushed before it takes the place of the one before"),
    WEFT_IGNORED("recreate", .help = "a damaged file is put aside, and a new one is begun"),
    WEFT_IGNORED("max_size", .help = "the number of files that are remembered is bounded"),
    { .key = NULL },
};

static bool is_directory(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

const char *weft_file_storage_directory(const struct weft_extension *self)
{
    const struct file_storage *f = (const struct file_storage *)self;

    return f->directory && *f->directory && (f->create_directory || is_directory(f->directory)) ? f->directory : NULL;
}

static int start(struct weft_extension *self)
{
    const struct file_storage *f = (const struct file_storage *)self;
    int err = f->create_directory ? weft_directory_make(f->directory) : 0;

    if (!err && !is_directory(f->directory))
        err = UV_ENOTDIR;
    if (err)
        weft_log(self->log, WEFT_LOG_ERROR, self->id, "cannot use directory %s: %s", f->directory, weft_err_text(err));
    return err;
}

static void stop(struct weft_extension *self)
{
    (void)self; /* nothing is open */
}

const struct weft_extension_type weft_extension_file_storage = {
    .name = "file_storage",
    .summary = "the directory in which receivers keep positions, and sending_queue.storage journals",
    .size = sizeof(struct file_storage),
    .options = options,
    .start = start,
    .stop = stop,
};

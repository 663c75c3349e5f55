/* SPDX-License-Identifier: Apache-2.0 */
/* shelf.h: the journals that the process has open, whichever configuration uses them.
 *
 * Runtimes come and go with reloads, what waits must not. So a runtime borrows its journals from the shelf, and the next one
 * finds them there, with the places where the lanes stopped. A round of it is:
 *
 *   begin    a configuration is being built; nothing is claimed yet
 *   take     once for each pipeline: its journal, as it stands, or opened (from disk with all that it held)
 *   finish   what nobody has taken is an orphan: its pipeline was renamed or removed. On disk, directories that no pipeline
 *            has are opened as orphans, too. Lanes whose exporter an orphan's places name read it to its end.
 *   sweep    again and again while a runtime runs: closes orphans that are settled and removes their directories, and lets
 *            places of exporters that a pipeline names no more go after service.journal.removed_exporter_grace, or when they
 *            alone fill the journal
 *
 *   (1) A round may be begun anew at any time before the runtime is started, or after it was freed: a start that failed takes
 *       nothing away from the one before.
 *   (2) Nothing that waits on disk is ever deleted by a round or by a start. Only a place that is released loses what it held,
 *       which is logged and counted.
 *   (3) One process at a time uses a directory.
 *
 * Main thread.
 */
#ifndef WEFT_AGENT_SHELF_H
#define WEFT_AGENT_SHELF_H

#include "agent/service.h"
#include "core/buf.h"
#include "core/journal.h"
#include "core/log.h"

struct weft_letters;
struct weft_shelf;

/* One journal. Good until sweep or free closes it; never while its entry is claimed. */
struct weft_shelf_entry {
    const char *id;              /* the pipeline's */
    enum weft_signal signal;
    struct weft_journal *journal;
    const char *path;            /* its directory; NULL: in memory */
    bool claimed;                /* a pipeline of the configuration appends to it */
    bool orphan;                 /* none does; lanes may read it */
    bool replaced;               /* of an orphan: its pipeline is there, with another journal: the mode or the directory has changed */
    double opened_ms;            /* how long opening took */
    const struct weft_shelf_entry *next;
};

/* *log is copied. 0 or UV_ENOMEM. */
int weft_shelf_new(struct weft_shelf **ret_shelf, const struct weft_log *log);

/* Closes every journal; no cursor may be open. Accepts NULL. */
void weft_shelf_free(struct weft_shelf *s);

/* Lines of the shelf go there from now on; *log is copied. */
void weft_shelf_set_log(struct weft_shelf *s, const struct weft_log *log);

/* Takes the directory of `service` for this process before anything else is opened: in disk mode makes and locks it, as begin does.
 * 0, or a negative code after one log line. */
int weft_shelf_hold(struct weft_shelf *s, const struct weft_service *service);

/* Begins a round for a configuration with `n_pipelines`; `service` is borrowed until the next. In disk mode makes and locks the
 * directory. 0, or a negative code after one log line. No cursor may be open. */
int weft_shelf_begin(struct weft_shelf *s, const struct weft_service *service, size_t n_pipelines);

/* The journal of pipeline `id`. 0, or a negative code after one log line that says what to do. */
int weft_shelf_take(struct weft_shelf *s, const char *id, enum weft_signal signal, const struct weft_shelf_entry **ret_entry);

/* The dead letters of exporter `id`; they stay the shelf's. The same. */
int weft_shelf_take_letters(struct weft_shelf *s, const char *id, struct weft_letters **ret_letters);

/* Room in which receiver `id` may leave something to the one of that id in the next configuration. NULL: no memory. */
struct weft_buf *weft_shelf_keep(struct weft_shelf *s, const char *id);

/* Finds the orphans. Those that cannot be opened are left alone, with a log line. */
void weft_shelf_finish(struct weft_shelf *s);

/* Why nobody appends to an orphan, in the words that begin a log line. */
const char *weft_shelf_why_orphan(const struct weft_shelf_entry *e);

/* All entries, linked by `next`; NULL: none. */
const struct weft_shelf_entry *weft_shelf_first(const struct weft_shelf *s);

/* Does the place of `exporter` in it have something to wait for? While no cursor of that name is open. */
bool weft_shelf_waits_for(const struct weft_shelf_entry *e, const char *exporter);

/* Says which places nobody has come for, and forgets that places were lost. Once, after the lanes of a runtime are open. */
void weft_shelf_tell_absent(struct weft_shelf *s);

/* What waits in memory for exporters that are gone ends with the process: one log line each. True: there is some. At a stop, before the
 * lanes end; not beside a round or a sweep. */
bool weft_shelf_tell_lost(struct weft_shelf *s);

/* Counts what that told among what was let go (below). Once, when the lanes have ended; main thread. */
void weft_shelf_count_lost(struct weft_shelf *s);

/* See above. `now_ms` is the monotonic clock. */
void weft_shelf_sweep(struct weft_shelf *s, uint64_t now_ms);

/* What was let go with places of exporters that did not come back. */
struct weft_shelf_released {
    const char *exporter;        /* "other" when there were very many */
    enum weft_signal signal;
    uint64_t items;
};

/* One for each exporter and signal, since the shelf was made; i counts from 0. */
size_t weft_shelf_n_released(const struct weft_shelf *s);
const struct weft_shelf_released *weft_shelf_released_at(const struct weft_shelf *s, size_t i);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* farewell.h: the last line of a run: what has become of all that was taken since its start, over reloads.
 *
 * It claims that nothing was lost only when no exporter dropped an item or had one refused for good, and every file of the journals could be read. Main thread. */
#ifndef WEFT_AGENT_FAREWELL_H
#define WEFT_AGENT_FAREWELL_H

#include "agent/lane.h"
#include "agent/runtime.h"
#include "core/buf.h"

enum { WEFT_FAREWELL_REASONS = 8 };

struct weft_farewell_row {
    char *id;                     /* the exporter's */
    uint64_t sent, refused, waiting;
    uint64_t lasting;             /* of `waiting`: in journals on disk, whatever the mode is by now */
    uint64_t removed[WEFT_SIGNALS]; /* of `dropped`: let go after it was taken out of the configuration */
    uint64_t letters, evicted;    /* items kept as dead letters, and those that made room for others */
    struct { char word[WEFT_LANE_REASON_LEN]; uint64_t items; } dropped[WEFT_FAREWELL_REASONS]; /* the last one takes the rest */
};

struct weft_farewell {
    uint64_t accepted;
    uint64_t quarantined;         /* segment files that nobody could understand at the start: what they held is not known */
    struct weft_farewell_row *rows;
    size_t n_rows;
};

void weft_farewell_release(struct weft_farewell *f); /* accepts a zeroed one */

/* Adds what one exporter's lane came to; `letters` NULL: it has none. Without memory for it the exporter is left out. */
void weft_farewell_note(struct weft_farewell *f, const char *id, const struct weft_lane_stats *lane,
                        const struct weft_letters_stats *letters);

/* Adds what has been let go of an exporter that was taken out; `items` of that signal since the start. */
void weft_farewell_note_removed(struct weft_farewell *f, const char *id, enum weft_signal signal, uint64_t items);

/* Adds a runtime that has stopped, and what its shelf has let go meanwhile. */
void weft_farewell_add(struct weft_farewell *f, const struct weft_runtime *rt);

/* Writes the line; `on_disk`: dead letters are. True: nothing was lost. */
bool weft_farewell_write(const struct weft_farewell *f, bool on_disk, struct weft_buf *out);

#endif

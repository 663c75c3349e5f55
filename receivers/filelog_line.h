/* SPDX-License-Identifier: Apache-2.0 */
/* filelog_line.h: one line of a log file as an OTLP LogRecord.
 *
 * A line that is a JSON object is taken apart: time, severity, message, trace ids and errors go where OTLP has a place for
 * them, whatever logger wrote it; all else becomes attributes with their types. Any other line is the body as text.
 *
 *   (1) Every line gives a record: what cannot be understood stays as text or as an attribute.
 *   (2) No allocation once the buffers have grown to the size of the lines.
 *
 * One thread at a time for each struct weft_filelog_line.
 */
#ifndef WEFT_RECEIVERS_FILELOG_LINE_H
#define WEFT_RECEIVERS_FILELOG_LINE_H

#include "core/buf.h"

enum weft_filelog_format { WEFT_FILELOG_AUTO, WEFT_FILELOG_JSON, WEFT_FILELOG_TEXT };
enum { WEFT_FILELOG_SERVICE_MAX = 255 };

struct weft_filelog_line {
    struct weft_buf record;     /* out: the LogRecord message of the last line */
    struct weft_slice service;  /* out: what the line calls its service, empty: nothing; good until the next line */
    bool malformed;             /* out: the line was meant to be JSON and is not; it became text */
    enum weft_filelog_format format;
    bool fixed_service;         /* the service is configured: the line's word for it stays an attribute */
    struct weft_buf text;       /* private */
};

/* `limit`: the longest line there can be. */
void weft_filelog_line_init(struct weft_filelog_line *l, size_t limit);
void weft_filelog_line_release(struct weft_filelog_line *l); /* accepts a zeroed one */

/* Reads `line` (without its newline, not empty). `attributes` are finished KeyValue fields of a LogRecord, appended as
 * they are. 0, or the error of a buffer. */
int weft_filelog_line_read(struct weft_filelog_line *l, struct weft_slice line, uint64_t observed_ns,
                           struct weft_slice attributes);

#endif

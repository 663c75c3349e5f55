/* SPDX-License-Identifier: Apache-2.0 */
/* gzip.h: compression behind one seam, every output with a ceiling. isa-l when the build found it
 * (levels 1 to 3), zlib for the rest. Streams are kept and reset. One thread an object. */
#ifndef WEFT_CORE_GZIP_H
#define WEFT_CORE_GZIP_H

#include "core/buf.h"
#include "core/slice.h"

struct weft_gunzip;
struct weft_gzip;

/* Which library does the work. FASTEST is isa-l where the build has it. */
enum weft_gzip_library { WEFT_GZIP_FASTEST, WEFT_GZIP_ZLIB };

int weft_gunzip_new(struct weft_gunzip **ret);
/* The same with the library chosen, so that each can be held against the other. */
int weft_gunzip_new_with(struct weft_gunzip **ret, enum weft_gzip_library library);
void weft_gunzip_free(struct weft_gunzip *g); /* accepts NULL */

/* Decompresses a whole gzip body (one or more members) appending to `out`; out->limit is the ceiling.
 * 0; WEFT_ERR_TOO_LARGE: the ceiling was reached (nothing beyond it was produced); WEFT_ERR_MALFORMED:
 * not gzip, truncated, wrong checksum, or garbage behind it; UV_ENOMEM. After an error `out` holds a part of it. */
int weft_gunzip_run(struct weft_gunzip *g, struct weft_slice in, struct weft_buf *out);

/* level 1 (fast) to 9 (small). UV_EINVAL for another. */
int weft_gzip_new(struct weft_gzip **ret, int level);
void weft_gzip_free(struct weft_gzip *g); /* accepts NULL */

/* Compresses the concatenation of `n` slices as one gzip member, appending to `out`. 0 or the buffer's error. */
int weft_gzip_run(struct weft_gzip *g, const struct weft_slice *in, size_t n, struct weft_buf *out);

#endif

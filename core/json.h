/* SPDX-License-Identifier: Apache-2.0 */
/* json.h: RFC 8259, read in a single pass without a tree, and written.
 *
 * The reader is a pull parser: the caller keeps its own loop. Slices point into the input as
 * long as it lives; a string with escapes is decoded on demand. Exactness: the grammar of RFC 8259 with
 * nothing added, strings checked for UTF-8, no byte order mark, nesting limited to WEFT_JSON_MAX_DEPTH.
 * An escape that is half a surrogate pair is within that grammar, and JavaScript's loggers write it when they cut a
 * string: it is accepted and decodes to U+FFFD.
 * Stateless but for the reader itself; any thread.
 */
#ifndef WEFT_CORE_JSON_H
#define WEFT_CORE_JSON_H

#include "core/buf.h"
#include "core/slice.h"

enum { WEFT_JSON_MAX_DEPTH = 128 };

enum weft_json_token {
    WEFT_JSON_END,          /* the document ended cleanly */
    WEFT_JSON_OBJECT_BEGIN,
    WEFT_JSON_OBJECT_END,
    WEFT_JSON_ARRAY_BEGIN,
    WEFT_JSON_ARRAY_END,
    WEFT_JSON_KEY,          /* text: between the quotes, escapes still in it */
    WEFT_JSON_STRING,       /* the same */
    WEFT_JSON_NUMBER,       /* text: as written, checked against the grammar */
    WEFT_JSON_TRUE,
    WEFT_JSON_FALSE,
    WEFT_JSON_NULL,
};

struct weft_json {
    const uint8_t *start, *at, *end;
    const char *reason;         /* why the last call failed; static words */
    const uint8_t *value;       /* where the last value began */
    struct weft_slice text;     /* of the last key, string or number */
    bool escaped;               /* text has backslashes in it */
    unsigned depth;
    uint8_t state;              /* private, as is all that follows */
    const uint8_t *block;       /* 64 bytes of which the bitmap tells where strings may end */
    uint64_t stops;
    uint64_t in_object[WEFT_JSON_MAX_DEPTH / 64]; /* one bit a level */
};

void weft_json_init(struct weft_json *j, struct weft_slice text);

/* The next token (>= 0), or WEFT_ERR_MALFORMED / WEFT_ERR_TOO_DEEP with j->reason and the offset in
 * j->at - j->start. After WEFT_JSON_END or an error, do not call again. */
int weft_json_next(struct weft_json *j);

/* Skips the rest of the value that the last token began (nothing for scalars), or the whole value when the last
 * token was its key. The skipped text is still checked. 0 or an error. *ret_raw (may be NULL) is the whole value as
 * written. */
int weft_json_skip(struct weft_json *j, struct weft_slice *ret_raw);

/* Decodes the escapes of `text` (as handed out by the reader, which has checked them) into `out`, appending.
 * 0 or the buffer's error. */
int weft_json_unescape(struct weft_slice text, struct weft_buf *out);

/* True when the last key or string equals `plain` after decoding. */
bool weft_json_text_is(const struct weft_json *j, const char *plain);

/* Numbers as text, checked against JSON's grammar again (so the text of a string will do): true when it is an integer in
 * range (1e3 and 5.0 are integers), or a double that does not overflow. The locale does not matter. */
bool weft_json_int64(struct weft_slice number, int64_t *ret_value);
bool weft_json_uint64(struct weft_slice number, uint64_t *ret_value);
bool weft_json_double(struct weft_slice number, double *ret_value);

/* ---- writing: commas are the caller's; errors stick in the buffer ---- */
/* A quoted string; invalid UTF-8 becomes U+FFFD, control characters are escaped. */
void weft_json_put_string(struct weft_buf *b, struct weft_slice text);
void weft_json_put_int(struct weft_buf *b, int64_t value);
void weft_json_put_uint(struct weft_buf *b, uint64_t value);
/* The shortest text that reads back as the same double; NaN and infinities as the strings "NaN",
 * "Infinity", "-Infinity" (the protobuf JSON mapping). */
void weft_json_put_double(struct weft_buf *b, double value);
void weft_json_put_base64(struct weft_buf *b, struct weft_slice bytes); /* quoted */

#endif

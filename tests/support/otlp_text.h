/* SPDX-License-Identifier: Apache-2.0 */
/* otlp_text.h: an OTLP request as protobuf's text form, told through the views of core/otlp.h and nothing else, so
 * that a whole request can be compared with what protoc --decode or another reader says of it. */
#ifndef WEFT_TESTS_OTLP_TEXT_H
#define WEFT_TESTS_OTLP_TEXT_H

#include "core/otlp.h"

/* Groups without items are left out, and so are fields that only profiles use. `c_strings`: text ends at its first NUL, as it does
 * for readers that hold it as a C string. 0, or the first error of a view or of the buffer. */
int otlp_text(enum weft_signal signal, struct weft_slice payload, bool c_strings, struct weft_buf *out);

/* ---- the pieces, for other writers of the same form ---- */
struct text {
    struct weft_buf *out;
    int indent;
    bool c_strings;
};

void text_open(struct text *t, const char *name);
void text_close(struct text *t);
void text_string(struct text *t, const char *name, struct weft_slice bytes); /* is_text: see c_strings */
void text_bytes(struct text *t, const char *name, struct weft_slice bytes);
void text_uint(struct text *t, const char *name, uint64_t value);
void text_int(struct text *t, const char *name, int64_t value);
void text_double(struct text *t, const char *name, double value);
void text_word(struct text *t, const char *name, const char *word);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* match.h: an expression that picks items: "severity >= warn and service.name = checkout and body ~ 'time ?out'".
 *
 *   expression  = term { "and" term }
 *   term        = key operator value
 *   operator    = "=" | "!=" | "~" | "!~" | "<" | "<=" | ">" | ">="       (~: a POSIX extended regular expression)
 *   value       = a word without blanks, or text in single or double quotes (\ before a quote or a \ stands for itself)
 *   key         = severity | body | name | status | duration | trace_id | span_id
 *               | service.name, or any attribute: looked for in the item, then in its scope, then in its resource
 *               | attributes.KEY | scope.KEY | resource.KEY                (in one of them only)
 *
 * severity compares numbers 1 to 24 or words (trace, debug, info, warn, error, fatal: each stands for its four numbers);
 * status is unset, ok or error; duration is a number with a unit (ns, us, ms, s, m, h); name is a span's, a metric's, or a
 * log record's event name. Of a metric every data point is an item. What an item does not have equals nothing: = and ~ and the
 * comparisons are false, != and !~ are true. Numbers are compared as numbers when both sides are, else as text.
 *
 * Compiled once, then const: any thread, several at once. Matching allocates nothing of its own and is bounded by the item's
 * size; expressions and regular expressions are bounded when they are compiled. */
#ifndef WEFT_CORE_MATCH_H
#define WEFT_CORE_MATCH_H

#include "core/otlp.h"

enum { WEFT_MATCH_MAX = 1024, WEFT_MATCH_TERMS = 16 };

struct weft_match;

/* What is wrong, and at which byte of the expression (from 1). */
struct weft_match_error {
    unsigned column;
    char text[200];
};

/* 0, UV_ENOMEM, or WEFT_ERR_CONFIG with *ret_error. */
int weft_match_compile(const char *expression, struct weft_match **ret_match, struct weft_match_error *ret_error);
void weft_match_free(struct weft_match *m); /* accepts NULL */

/* Does one span, log record or metric match? `w` stands on it. Of a metric: does any data point? */
bool weft_match_item(const struct weft_match *m, enum weft_signal signal, const struct weft_otlp_walk *w);

/* Calls `visit` with the number of each item of a payload and whether it matches. Stops quietly at what is malformed. */
void weft_match_payload(const struct weft_match *m, enum weft_signal signal, struct weft_slice payload,
                        void (*visit)(void *ctx, uint32_t item, bool matches), void *ctx);

#endif

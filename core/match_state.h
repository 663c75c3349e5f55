/* SPDX-License-Identifier: Apache-2.0 */
/* match_state.h: what a compiled expression is made of; shared by match.c and match_eval.c, and nobody else includes it. */
#ifndef WEFT_CORE_MATCH_STATE_H
#define WEFT_CORE_MATCH_STATE_H

#include "core/match.h"

#include <regex.h>

enum weft_match_op {
    WEFT_MATCH_EQ, WEFT_MATCH_NE, WEFT_MATCH_LIKE, WEFT_MATCH_UNLIKE,
    WEFT_MATCH_LT, WEFT_MATCH_LE, WEFT_MATCH_GT, WEFT_MATCH_GE,
};

enum weft_match_key {
    WEFT_MATCH_SEVERITY, WEFT_MATCH_BODY, WEFT_MATCH_NAME, WEFT_MATCH_STATUS, WEFT_MATCH_DURATION, WEFT_MATCH_TRACE_ID,
    WEFT_MATCH_SPAN_ID, WEFT_MATCH_ATTRIBUTE,
};

enum { WEFT_MATCH_IN_ITEM = 1, WEFT_MATCH_IN_SCOPE = 2, WEFT_MATCH_IN_RESOURCE = 4 };

struct weft_match_term {
    enum weft_match_op op;
    enum weft_match_key key;
    unsigned where;               /* of an attribute: the places to look in */
    struct weft_slice attribute;  /* its key */
    struct weft_slice value;
    bool is_number, is_integer;
    double low, high;             /* a severity word stands for four numbers; else both are the value */
    int64_t integer;
    bool has_regex;
    regex_t regex;
};

struct weft_match {
    char text[WEFT_MATCH_MAX + 1]; /* keys and values point in here */
    struct weft_match_term terms[WEFT_MATCH_TERMS];
    size_t n_terms;
};

/* The lowest severity number of a word in any case ("warn", "Warning"), or 0. */
int weft_match_severity(struct weft_slice word);

#endif

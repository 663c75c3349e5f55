/* SPDX-License-Identifier: Apache-2.0 */
/* option.h: one row per configuration key; the table is the parser, the validator and the manual.
 *
 * Keys are spelled as the OpenTelemetry Collector spells them; a dot descends into a nested map
 * ("protocols.grpc.endpoint"). Defaults are text run through the same parser as user input, so
 * that they cannot be of the wrong unit. The field macros refuse, at compile time, a row whose
 * field has the wrong type.
 *
 * Loading fills a zeroed struct: first all defaults, then what the tree has. Unknown keys are errors with the
 * nearest known spelling. Every error is reported, not just the first. Startup only; one thread.
 */
#ifndef WEFT_CORE_OPTION_H
#define WEFT_CORE_OPTION_H

#include "core/arena.h"
#include "core/node.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum weft_option_kind {
    WEFT_OPT_STRING,   /* char * */
    WEFT_OPT_BOOL,     /* bool */
    WEFT_OPT_INT,      /* int64_t */
    WEFT_OPT_DOUBLE,   /* double */
    WEFT_OPT_BYTES,    /* uint64_t; "20MiB", "1GB", plain numbers are bytes */
    WEFT_OPT_MSEC,     /* uint64_t milliseconds; "10s", "1m30s", "250ms", "1h"; a plain number is an error but for 0 */
    WEFT_OPT_ENUM,     /* int: the index into `words` */
    WEFT_OPT_LIST,     /* struct weft_strings; a scalar is a list of one */
    WEFT_OPT_MAP,      /* struct weft_pairs: string keys to string values, in order (headers) */
    WEFT_OPT_PRESENT,  /* bool: the key is there, whatever is under it, even nothing (protocols.grpc) */
    WEFT_OPT_NODE,     /* const struct weft_node *: taken as it is, the component reads it itself */
    WEFT_OPT_IGNORED,  /* no field: accepted for the Collector's sake; `help` says what stands in for it */
};

struct weft_strings { size_t n; char **items; };
struct weft_pair { char *key, *value; };
struct weft_pairs { size_t n; struct weft_pair *items; };

struct weft_option {
    const char *key;                 /* NULL ends the table */
    enum weft_option_kind kind;
    size_t offset;
    const char *fallback;            /* default as text; NULL: zero / empty. A list: comma-separated. Of an ignored key: what
                                        Weft does in any case */
    double min, max;                 /* of numbers, in the field's unit; both 0: unbounded */
    const char *const *words;        /* of an enum, NULL-terminated */
    bool required;
    bool warns;                      /* of an ignored key: who sets it to anything but `fallback` gets something else than he asked for */
    const char *help;                /* one sentence, lower case, no full stop */
};

#define WEFT__FIELD(T, field, ctype) \
    (offsetof(T, field) + 0 * sizeof(&((T *)0)->field == (ctype *)0))
#define WEFT__ROW(name, k, T, field, ctype, ...) \
    { .key = name, .kind = k, .offset = WEFT__FIELD(T, field, ctype), __VA_ARGS__ }
#define WEFT_STRING(name, T, field, ...)  WEFT__ROW(name, WEFT_OPT_STRING, T, field, char *, __VA_ARGS__)
#define WEFT_BOOL(name, T, field, ...)    WEFT__ROW(name, WEFT_OPT_BOOL, T, field, bool, __VA_ARGS__)
#define WEFT_INT(name, T, field, ...)     WEFT__ROW(name, WEFT_OPT_INT, T, field, int64_t, __VA_ARGS__)
#define WEFT_DOUBLE(name, T, field, ...)  WEFT__ROW(name, WEFT_OPT_DOUBLE, T, field, double, __VA_ARGS__)
#define WEFT_BYTES(name, T, field, ...)   WEFT__ROW(name, WEFT_OPT_BYTES, T, field, uint64_t, __VA_ARGS__)
#define WEFT_MSEC(name, T, field, ...)    WEFT__ROW(name, WEFT_OPT_MSEC, T, field, uint64_t, __VA_ARGS__)
#define WEFT_ENUM(name, T, field, ...)    WEFT__ROW(name, WEFT_OPT_ENUM, T, field, int, __VA_ARGS__)
#define WEFT_LIST(name, T, field, ...)    WEFT__ROW(name, WEFT_OPT_LIST, T, field, struct weft_strings, __VA_ARGS__)
#define WEFT_MAP(name, T, field, ...)     WEFT__ROW(name, WEFT_OPT_MAP, T, field, struct weft_pairs, __VA_ARGS__)
#define WEFT_PRESENT(name, T, field, ...) WEFT__ROW(name, WEFT_OPT_PRESENT, T, field, bool, __VA_ARGS__)
#define WEFT_NODE(name, T, field, ...)    WEFT__ROW(name, WEFT_OPT_NODE, T, field, const struct weft_node *, __VA_ARGS__)
#define WEFT_IGNORED(name, ...)           { .key = name, .kind = WEFT_OPT_IGNORED, __VA_ARGS__ }

/* Collects errors as "FILE:LINE:COL: text" lines. */
struct weft_problems {
    struct weft_arena *arena;
    size_t n;
    struct weft_problem { const char *file; int line, column; const char *text; struct weft_problem *next; } *first, *last;
};

/* Adds one problem at `where` (NULL: no place). */
void weft_problem(struct weft_problems *p, const struct weft_node *where, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The same at the place of the node's key instead of its value. */
void weft_problem_at_key(struct weft_problems *p, const struct weft_node *where, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Fills `into` from `map` (NULL or null node: defaults alone). Strings and lists live in `arena`.
 * `owner` names the component in messages ("receivers::otlp"). 0, or WEFT_ERR_CONFIG with what is wrong in `problems`. */
int weft_options_load(const struct weft_option *options, const char *owner, const struct weft_node *map,
                      void *into, struct weft_arena *arena, struct weft_problems *problems);

/* The same for keys of one map that fill several structs (an exporter's own and its lane's): each set has its
 * table and its struct; a key may stand in one of them only. */
struct weft_option_set { const struct weft_option *options; void *into; };
int weft_options_load_sets(const struct weft_option_set *sets, size_t n_sets, const char *owner,
                           const struct weft_node *map, struct weft_arena *arena, struct weft_problems *problems);

/* Tells at each key of `map` that is ignored and `warns` what happens instead, which is its `help`. The rest of `map` may be wrong. */
void weft_options_warn(const struct weft_option_set *sets, size_t n_sets, const char *owner, const struct weft_node *map,
                       struct weft_problems *warnings);

/* The kind as a manual names it: "duration", "bytes", ... Static storage. */
const char *weft_option_kind_name(enum weft_option_kind kind);

/* "20MiB", "1.5GB", "64Ki", "1000" as bytes; "1m30s", "250ms", "0" as milliseconds (a part of one
 * counts as a whole). NULL when it was read, else static words on what is wrong. *ret_value only on success. */
const char *weft_parse_bytes(const char *text, uint64_t *ret_value);
const char *weft_parse_msec(const char *text, uint64_t *ret_value);

/* A number in the shortest spelling that these parsers read back: "64MiB", "1m30s". `out` takes 32 bytes. */
enum { WEFT_QUANTITY_MAX = 32 };
const char *weft_format_bytes(double value, char *out);
const char *weft_format_msec(double value, char *out);

/* The word of `words` (NULL-terminated) nearest to `word`, or NULL when none is near. */
const char *weft_nearest(const char *word, const char *const *words);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* option.c: see option.h. Defaults first, through the same value parser; then the tree is walked once and each
 * of its keys is looked up as a dotted path in the tables; what the tables do not have is an error with advice.
 *
 *   (1) A field is written only with a value that was parsed whole and is within its bounds.
 *   (2) An error never ends the walk: the person who reads them repairs all of them at once.
 *   (3) Depth and size of the tree were bounded by who built it.
 */
#include "core/option.h"

#include "core/buf.h"
#include "core/err.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { PATH_MAX_LEN = 256, TEXT_MAX = 640, ADVICE_MAX = 320 };

struct load {
    const struct weft_option_set *sets;
    size_t n_sets;
    const char *owner;
    struct weft_arena *arena;
    struct weft_problems *problems;
};

struct row { const struct weft_option *option; void *into; };

/* ---- problems ---- */
static void add_problem(struct weft_problems *p, const char *file, int line, int column, const char *format, va_list args)
{
    char text[TEXT_MAX];

    p->n++;
    (void)vsnprintf(text, sizeof text, format, args);
    struct weft_problem *problem = weft_arena_alloc(p->arena, sizeof *problem);
    struct weft_slice copy = weft_arena_copy(p->arena, weft_slice_str(text));
    if (!problem || !copy.data)
        return;
    *problem = (struct weft_problem){ file, line, column, (const char *)copy.data, NULL };
    *(p->last ? &p->last->next : &p->first) = problem;
    p->last = problem;
}

void weft_problem(struct weft_problems *p, const struct weft_node *where, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    add_problem(p, where ? where->file : NULL, where ? where->line : 0, where ? where->column : 0, format, args);
    va_end(args);
}

void weft_problem_at_key(struct weft_problems *p, const struct weft_node *where, const char *format, ...)
{
    va_list args;
    bool has_key = where && where->key_line > 0;

    va_start(args, format);
    add_problem(p, where ? where->file : NULL, has_key ? where->key_line : where ? where->line : 0,
                has_key ? where->key_column : where ? where->column : 0, format, args);
    va_end(args);
}

/* ---- paths ---- */
/* "protocols.grpc" as people write it in messages: "receivers::otlp::protocols::grpc". */
static const char *spell(const struct load *l, const char *path, char *out)
{
    size_t len = (size_t)snprintf(out, PATH_MAX_LEN, "%s%s", l->owner, *path && *l->owner ? "::" : "");

    for (; *path && len < PATH_MAX_LEN - 3; path++) {
        if (*path == '.')
            out[len++] = ':';
        out[len++] = *path == '.' ? ':' : *path;
    }
    if (len < PATH_MAX_LEN)
        out[len] = '\0';
    return out;
}

static struct row find_row(const struct load *l, const char *path)
{
    for (size_t i = 0; i < l->n_sets; i++)
        for (const struct weft_option *o = l->sets[i].options; o && o->key; o++)
            if (strcmp(o->key, path) == 0)
                return (struct row){ o, l->sets[i].into };
    return (struct row){ NULL, NULL };
}

/* Does `path` lie above other keys? */
static bool is_parent(const struct load *l, const char *path)
{
    size_t len = strlen(path);

    for (size_t i = 0; i < l->n_sets; i++)
        for (const struct weft_option *o = l->sets[i].options; o && o->key; o++)
            if (strncmp(o->key, path, len) == 0 && o->key[len] == '.')
                return true;
    return false;
}

/* ---- values ---- */
static const char *kind_article(enum weft_option_kind kind)
{
    static const char *const names[] = {
        "text", "true or false", "a whole number", "a number", "a size", "a duration", "a word", "a list",
        "a map of text to text", "a map", "a value", "a value",
    };
    return names[kind];
}

const char *weft_option_kind_name(enum weft_option_kind kind)
{
    static const char *const names[] = {
        "string", "bool", "int", "double", "bytes", "duration", "enum", "list", "map", "presence", "tree", "ignored",
    };
    return names[kind];
}

static const char *node_kind_article(const struct weft_node *n)
{
    return n->kind == WEFT_NODE_MAP ? "a map" : n->kind == WEFT_NODE_LIST ? "a list" : n->kind == WEFT_NODE_NULL ? "nothing" : "a single value";
}

static char *copy_text(const struct load *l, const char *text)
{
    return (char *)(uintptr_t)weft_arena_copy(l->arena, weft_slice_str(text)).data;
}

static void bad(const struct load *l, const char *path, const struct weft_node *n, const char *what)
{
    char full[PATH_MAX_LEN];

    weft_problem(l->problems, n, "%s: '%s' %s", spell(l, path, full), n->text, what);
}

static void no_memory(const struct load *l, const char *path, const struct weft_node *n)
{
    char full[PATH_MAX_LEN];

    weft_problem(l->problems, n, "%s: the configuration is too large", spell(l, path, full));
}

static void format_quantity(const struct weft_option *o, double value, char *out)
{
    if (o->kind == WEFT_OPT_BYTES)
        weft_format_bytes(value, out);
    else if (o->kind == WEFT_OPT_MSEC)
        weft_format_msec(value, out);
    else
        (void)snprintf(out, WEFT_QUANTITY_MAX, "%.15g", value);
}

static bool in_bounds(const struct load *l, const struct weft_option *o, const struct weft_node *n, double value)
{
    char bound[WEFT_QUANTITY_MAX], what[80];

    if ((o->min == 0 && o->max == 0) || (value >= o->min && value <= o->max))
        return true;
    bool low = value < o->min;
    format_quantity(o, low ? o->min : o->max, bound);
    (void)snprintf(what, sizeof what, low ? "is less than the least allowed, %s" : "is more than the most allowed, %s", bound);
    bad(l, o->key, n, what);
    return false;
}

static void put_bool(const struct load *l, const struct weft_option *o, const struct weft_node *n, bool *into)
{
    if (strcmp(n->text, "true") == 0 || strcmp(n->text, "True") == 0 || strcmp(n->text, "TRUE") == 0)
        *into = true;
    else if (strcmp(n->text, "false") == 0 || strcmp(n->text, "False") == 0 || strcmp(n->text, "FALSE") == 0)
        *into = false;
    else
        bad(l, o->key, n, "is not true or false");
}

static void put_int(const struct load *l, const struct weft_option *o, const struct weft_node *n, int64_t *into)
{
    const char *digits = n->text + (*n->text == '-' || *n->text == '+');
    char *end;

    errno = 0;
    long long value = strtoll(n->text, &end, strncmp(digits, "0x", 2) == 0 ? 16 : 10);
    if (!isdigit((unsigned char)*digits) || *end)
        bad(l, o->key, n, "is not a whole number");
    else if (errno)
        bad(l, o->key, n, "is too large");
    else if (in_bounds(l, o, n, (double)value))
        *into = value;
}

static void put_double(const struct load *l, const struct weft_option *o, const struct weft_node *n, double *into)
{
    char *end;
    double value = strtod(n->text, &end);

    if (end == n->text || *end || !isfinite(value))
        bad(l, o->key, n, "is not a number");
    else if (in_bounds(l, o, n, value))
        *into = value;
}

static void put_quantity(const struct load *l, const struct weft_option *o, const struct weft_node *n, uint64_t *into)
{
    uint64_t value;
    const char *what = o->kind == WEFT_OPT_BYTES ? weft_parse_bytes(n->text, &value) : weft_parse_msec(n->text, &value);

    if (what)
        bad(l, o->key, n, what);
    else if (in_bounds(l, o, n, (double)value))
        *into = value;
}

/* "a, b or c" */
static void join_words(const char *const *words, char *out, size_t size)
{
    size_t len = 0;

    *out = '\0';
    for (size_t i = 0; words[i] && len < size; i++) {
        const char *glue = i == 0 ? "" : words[i + 1] ? ", " : " or ";
        len += (size_t)snprintf(out + len, size - len, "%s%s", glue, words[i]);
    }
}

static void put_enum(const struct load *l, const struct weft_option *o, const struct weft_node *n, int *into)
{
    char list[ADVICE_MAX / 2], what[ADVICE_MAX];

    for (int i = 0; o->words[i]; i++) {
        if (strcasecmp(o->words[i], n->text) == 0) {
            *into = i;
            return;
        }
    }
    const char *near = weft_nearest(n->text, o->words);
    join_words(o->words, list, sizeof list);
    (void)snprintf(what, sizeof what, "is not one of %s%s%s%s", list, near ? "; did you mean '" : "", near ? near : "",
                   near ? "'?" : "");
    bad(l, o->key, n, what);
}

static void put_scalar(const struct load *l, struct row row, const struct weft_node *n)
{
    void *field = (char *)row.into + row.option->offset;
    char *text;

    switch (row.option->kind) {
    case WEFT_OPT_STRING:
        text = copy_text(l, n->text);
        if (text)
            *(char **)field = text;
        else
            no_memory(l, row.option->key, n);
        break;
    case WEFT_OPT_BOOL:   put_bool(l, row.option, n, field); break;
    case WEFT_OPT_INT:    put_int(l, row.option, n, field); break;
    case WEFT_OPT_DOUBLE: put_double(l, row.option, n, field); break;
    case WEFT_OPT_BYTES:
    case WEFT_OPT_MSEC:   put_quantity(l, row.option, n, field); break;
    case WEFT_OPT_ENUM:   put_enum(l, row.option, n, field); break;
    default:              assert(false); /* lists and maps were told apart before */
    }
}

static void wrong_shape(const struct load *l, const char *path, const struct weft_node *n, const char *wanted)
{
    char full[PATH_MAX_LEN];

    weft_problem(l->problems, n, "%s: expected %s, found %s", spell(l, path, full), wanted, node_kind_article(n));
}

static size_t count_children(const struct weft_node *n)
{
    size_t count = 0;

    for (const struct weft_node *c = n->child; c; c = c->next)
        count++;
    return count;
}

static void put_list(const struct load *l, struct row row, const struct weft_node *n)
{
    struct weft_strings *field = (struct weft_strings *)((char *)row.into + row.option->offset);
    bool one = n->kind == WEFT_NODE_SCALAR;
    size_t count = one ? 1 : count_children(n), i = 0;

    if (n->kind == WEFT_NODE_MAP) {
        wrong_shape(l, row.option->key, n, "a list");
        return;
    }
    char **items = weft_arena_alloc(l->arena, (count + 1) * sizeof *items);
    if (!items) {
        no_memory(l, row.option->key, n);
        return;
    }
    for (const struct weft_node *c = one ? n : n->child; c; c = one ? NULL : c->next) {
        if (c->kind != WEFT_NODE_SCALAR)
            wrong_shape(l, row.option->key, c, "text in this list");
        else if (!(items[i++] = copy_text(l, c->text)))
            i--, no_memory(l, row.option->key, c);
    }
    items[i] = NULL;
    *field = (struct weft_strings){ i, items };
}

static void put_map(const struct load *l, struct row row, const struct weft_node *n)
{
    struct weft_pairs *field = (struct weft_pairs *)((char *)row.into + row.option->offset);
    size_t i = 0;

    if (n->kind != WEFT_NODE_MAP) {
        wrong_shape(l, row.option->key, n, kind_article(WEFT_OPT_MAP));
        return;
    }
    struct weft_pair *items = weft_arena_alloc(l->arena, (count_children(n) + 1) * sizeof *items);
    if (!items) {
        no_memory(l, row.option->key, n);
        return;
    }
    for (const struct weft_node *c = n->child; c; c = c->next) {
        if (c->kind == WEFT_NODE_LIST || c->kind == WEFT_NODE_MAP) {
            wrong_shape(l, row.option->key, c, "text in this map");
            continue;
        }
        items[i] = (struct weft_pair){ copy_text(l, c->key), copy_text(l, c->text ? c->text : "") };
        if (items[i].key && items[i].value)
            i++;
    }
    *field = (struct weft_pairs){ i, items };
}

static void put_value(const struct load *l, struct row row, const struct weft_node *n)
{
    void *field = (char *)row.into + row.option->offset;

    switch (row.option->kind) {
    case WEFT_OPT_IGNORED: return;
    case WEFT_OPT_PRESENT: *(bool *)field = true; return;
    case WEFT_OPT_NODE:    *(const struct weft_node **)field = n; return;
    default:               break;
    }
    if (n->kind == WEFT_NODE_NULL)
        return; /* as if the key were not there: the default stands */
    if (row.option->kind == WEFT_OPT_LIST)
        put_list(l, row, n);
    else if (row.option->kind == WEFT_OPT_MAP)
        put_map(l, row, n);
    else if (n->kind != WEFT_NODE_SCALAR)
        wrong_shape(l, row.option->key, n, kind_article(row.option->kind));
    else
        put_scalar(l, row, n);
}

/* ---- defaults ---- */
static void put_default_list(const struct load *l, struct row row)
{
    struct weft_node items[32] = { 0 }, list = { .kind = WEFT_NODE_LIST, .file = "default", .child = items };
    size_t n = 0;
    char *rest = copy_text(l, row.option->fallback), *word;

    if (!rest) {
        no_memory(l, row.option->key, &list);
        return;
    }
    while ((word = strsep(&rest, ",")) && n < sizeof items / sizeof *items) {
        items[n] = (struct weft_node){ .kind = WEFT_NODE_SCALAR, .file = "default", .text = word };
        if (n > 0)
            items[n - 1].next = &items[n];
        n++;
    }
    put_value(l, row, &list);
}

static void put_defaults(const struct load *l)
{
    for (size_t i = 0; i < l->n_sets; i++) {
        for (const struct weft_option *o = l->sets[i].options; o && o->key; o++) {
            struct row row = { o, l->sets[i].into };
            struct weft_node n = { .kind = WEFT_NODE_SCALAR, .file = "default", .text = o->fallback };
            if (!o->fallback || o->kind == WEFT_OPT_IGNORED)
                continue;
            if (o->kind == WEFT_OPT_PRESENT)
                *(bool *)((char *)row.into + o->offset) = strcmp(o->fallback, "true") == 0;
            else if (o->kind == WEFT_OPT_LIST && *o->fallback)
                put_default_list(l, row);
            else if (o->kind != WEFT_OPT_LIST)
                put_value(l, row, &n);
        }
    }
}

/* ---- unknown keys ---- */
enum { SIBLINGS_MAX = 64 };

/* The keys known right under `parent`, each once, into `names` (room for SIBLINGS_MAX + 1); text lives in `room`. */
static size_t known_under(const struct load *l, const char *parent, const char **names, char *room, size_t size)
{
    size_t n = 0, used = 0, len = strlen(parent);

    for (size_t i = 0; i < l->n_sets; i++) {
        for (const struct weft_option *o = l->sets[i].options; o && o->key; o++) {
            if (len && (strncmp(o->key, parent, len) != 0 || o->key[len] != '.'))
                continue;
            const char *name = o->key + (len ? len + 1 : 0);
            size_t name_len = strcspn(name, "."), j = 0;
            while (j < n && !(strncmp(names[j], name, name_len) == 0 && names[j][name_len] == '\0'))
                j++;
            if (j < n || n == SIBLINGS_MAX || used + name_len + 1 > size)
                continue;
            memcpy(room + used, name, name_len);
            room[used + name_len] = '\0';
            names[n++] = room + used;
            used += name_len + 1;
        }
    }
    names[n] = NULL;
    return n;
}

/* The path above the one row elsewhere in the tables whose last word is `key`, or NULL: none, or several. */
static const char *home_of(const struct load *l, const char *key, char *out)
{
    size_t found = 0;

    for (size_t i = 0; i < l->n_sets; i++) {
        for (const struct weft_option *o = l->sets[i].options; o && o->key; o++) {
            const char *last = strrchr(o->key, '.');
            if (!last || strcmp(last + 1, key) != 0)
                continue;
            (void)snprintf(out, PATH_MAX_LEN, "%.*s", (int)(last - o->key), o->key);
            found++;
        }
    }
    return found == 1 ? out : NULL;
}

/* Is `word` one of those that `path` is made of ("concurrency.max_size": concurrency, max, size)? */
static bool has_word(const char *path, const char *word, size_t len)
{
    for (size_t n; *path; path += n + (path[n] != '\0')) {
        n = strcspn(path, "._");
        if (n == len && strncasecmp(path, word, n) == 0)
            return true;
    }
    return false;
}

/* Are they all in `path`, its last one among them? */
static bool has_all_words(const char *path, const char *key)
{
    size_t last = strlen(path);

    while (last > 0 && !strchr("._", path[last - 1]))
        last--;
    if (!has_word(key, path + last, strlen(path + last)))
        return false;
    for (size_t n; *key; key += n + (key[n] != '\0')) {
        n = strcspn(key, "_");
        if (!has_word(path, key, n))
            return false;
    }
    return true;
}

/* The one row in the tables that is made of all the words of `key`, in whatever order, and of others before, or NULL: none, or
 * several. */
static const struct weft_option *of_same_words(const struct load *l, const char *key)
{
    const struct weft_option *found = NULL;

    for (size_t i = 0; i < l->n_sets; i++)
        for (const struct weft_option *o = l->sets[i].options; o && o->key; o++) {
            if (!has_all_words(o->key, key))
                continue;
            if (found)
                return NULL;
            found = o;
        }
    return found;
}

static void unknown_key(const struct load *l, const char *parent, const struct weft_node *n)
{
    const char *names[SIBLINGS_MAX + 1];
    char room[2048], full[PATH_MAX_LEN], home[PATH_MAX_LEN], home_full[PATH_MAX_LEN], advice[ADVICE_MAX] = "";
    size_t count = known_under(l, parent, names, room, sizeof room);
    const char *near = weft_nearest(n->key, names);
    const struct weft_option *alike = near ? NULL : of_same_words(l, n->key);

    if (near)
        (void)snprintf(advice, sizeof advice, "; did you mean '%s'?", near);
    else if (home_of(l, n->key, home))
        (void)snprintf(advice, sizeof advice, "; it belongs under %s", spell(l, home, home_full));
    else if (alike)
        (void)snprintf(advice, sizeof advice, "; did you mean %s?", spell(l, alike->key, home_full));
    else if (count == 0)
        (void)snprintf(advice, sizeof advice, "; no keys are known here");
    else if (count <= 12) {
        char list[ADVICE_MAX - 32];
        join_words(names, list, sizeof list);
        (void)snprintf(advice, sizeof advice, "; known here: %s", list);
    }
    spell(l, parent, full);
    weft_problem_at_key(l->problems, n, "%s%sunknown key '%.100s'%s", full, *full ? ": " : "", n->key, advice);
}

/* ---- the walk ---- */
static void load_map(const struct load *l, const char *parent, const struct weft_node *map)
{
    char path[PATH_MAX_LEN];

    for (const struct weft_node *n = map->child; n; n = n->next) {
        int len = snprintf(path, sizeof path, "%s%s%s", parent, *parent ? "." : "", n->key);
        bool plain = len < (int)sizeof path && !strchr(n->key, '.') && *n->key;
        struct row row = plain ? find_row(l, path) : (struct row){ NULL, NULL };
        bool above = plain && is_parent(l, path);

        if (row.option)
            put_value(l, row, n);
        if (above && n->kind == WEFT_NODE_MAP)
            load_map(l, path, n);
        else if (above && n->kind != WEFT_NODE_NULL && (!row.option || row.option->kind == WEFT_OPT_PRESENT))
            wrong_shape(l, path, n, "a map");
        if (!row.option && !above)
            unknown_key(l, parent, n);
    }
}

static bool is_empty(struct row row)
{
    void *field = (char *)row.into + row.option->offset;

    switch (row.option->kind) {
    case WEFT_OPT_STRING: return !*(char **)field || !**(char **)field;
    case WEFT_OPT_LIST:   return ((struct weft_strings *)field)->n == 0;
    case WEFT_OPT_MAP:    return ((struct weft_pairs *)field)->n == 0;
    case WEFT_OPT_NODE:   return !*(const struct weft_node **)field;
    default:              return false;
    }
}

/* What was written under the key, or NULL: nothing. */
static const struct weft_node *given(const struct weft_node *map, const char *path)
{
    char word[PATH_MAX_LEN];

    for (;;) {
        size_t len = strcspn(path, ".");
        (void)snprintf(word, sizeof word, "%.*s", (int)len, path);
        map = weft_node_get(map, word);
        if (!map || map->kind == WEFT_NODE_NULL)
            return NULL;
        if (!path[len])
            return map;
        path += len + 1;
    }
}

/* Then whatever is wrong with it was said already. */
static bool is_given(const struct weft_node *map, const char *path)
{
    return given(map, path) != NULL;
}

static void check_required(const struct load *l, const struct weft_node *map)
{
    char full[PATH_MAX_LEN];

    for (size_t i = 0; i < l->n_sets; i++)
        for (const struct weft_option *o = l->sets[i].options; o && o->key; o++)
            if (o->required && is_empty((struct row){ o, l->sets[i].into })) {
                const struct weft_node *at = is_given(map, o->key) ? weft_node_get(map, o->key) : NULL;
                if (at ? at->kind == WEFT_NODE_SCALAR : !is_given(map, o->key))
                    weft_problem_at_key(l->problems, at ? at : map, at ? "%s must not be empty" : "%s is required",
                                        spell(l, o->key, full));
            }
}

/* Is this what Weft does anyway? A list of one is its item. */
static bool is_fallback(const struct weft_option *o, const struct weft_node *n)
{
    if (n->kind == WEFT_NODE_LIST && n->child && !n->child->next)
        n = n->child;
    return o->fallback && n->kind == WEFT_NODE_SCALAR && strcasecmp(n->text, o->fallback) == 0;
}

void weft_options_warn(const struct weft_option_set *sets, size_t n_sets, const char *owner, const struct weft_node *map,
                       struct weft_problems *warnings)
{
    struct load l = { .owner = owner };
    char full[PATH_MAX_LEN];

    for (size_t i = 0; i < n_sets; i++)
        for (const struct weft_option *o = sets[i].options; o && o->key; o++) {
            const struct weft_node *n = o->kind == WEFT_OPT_IGNORED && o->warns ? given(map, o->key) : NULL;
            if (n && !is_fallback(o, n))
                weft_problem_at_key(warnings, n, "%s is ignored: %s", spell(&l, o->key, full), o->help);
        }
}

int weft_options_load_sets(const struct weft_option_set *sets, size_t n_sets, const char *owner,
                           const struct weft_node *map, struct weft_arena *arena, struct weft_problems *problems)
{
    struct load l = { sets, n_sets, owner, arena, problems };
    size_t before = problems->n;

    put_defaults(&l);
    if (map && map->kind == WEFT_NODE_MAP)
        load_map(&l, "", map);
    else if (map && map->kind != WEFT_NODE_NULL)
        wrong_shape(&l, "", map, "a map of its keys");
    if (!map || map->kind == WEFT_NODE_MAP || map->kind == WEFT_NODE_NULL)
        check_required(&l, map);
    return problems->n == before ? 0 : WEFT_ERR_CONFIG;
}

int weft_options_load(const struct weft_option *options, const char *owner, const struct weft_node *map,
                      void *into, struct weft_arena *arena, struct weft_problems *problems)
{
    struct weft_option_set set = { options, into };

    return weft_options_load_sets(&set, 1, owner, map, arena, problems);
}

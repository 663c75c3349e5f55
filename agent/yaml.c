/* SPDX-License-Identifier: Apache-2.0 */
/* yaml.c: see yaml.h. One event is held at a time; nodes are built by recursion of bounded depth. */
#include "agent/yaml.h"

#include "core/err.h"

#include <stdlib.h>
#include <string.h>
#include <yaml.h>

struct anchor {
    const char *name;
    const struct weft_node *node;
    size_t weight; /* nodes it stands for */
    struct anchor *next;
};

struct reader {
    const struct weft_yaml *y;
    yaml_parser_t parser;
    yaml_event_t event; /* the one looked at; owned */
    bool has_event;
    size_t n_nodes;
    struct anchor *anchors;
};

static void place(const struct reader *r, struct weft_node *n, yaml_mark_t mark)
{
    n->file = r->y->at ? r->y->at->file : r->y->file;
    n->line = r->y->at ? r->y->at->line : (int)mark.line + 1;
    n->column = r->y->at ? r->y->at->column : (int)mark.column + 1;
}

static int fail(const struct reader *r, yaml_mark_t mark, const char *what)
{
    struct weft_node where = { 0 };

    place(r, &where, mark);
    weft_problem(r->y->problems, &where, "%s", what);
    return WEFT_ERR_CONFIG;
}

/* ---- events ---- */
/* libyaml says what it met while reading; people ask what to repair. */
static int syntax_error(const struct reader *r)
{
    const yaml_parser_t *p = &r->parser;
    char text[256];
    const char *problem = p->problem ? p->problem : "unreadable";
    const char *advice = "";

    if (p->error == YAML_READER_ERROR) {
        (void)snprintf(text, sizeof text, "not valid YAML: %s at byte %zu", problem, p->problem_offset);
        return fail(r, p->mark, text);
    }
    if (strstr(problem, "cannot start any token"))
        advice = " (a tab cannot indent, and a value that begins with @, ` or % needs quotes)";
    else if (strstr(problem, "mapping values are not allowed"))
        advice = " (quote a value that has ': ' in it; indent keys of one map alike)";
    else if (strstr(problem, "could not find expected ':'"))
        advice = " (a key needs ': ' behind it)";
    else if (strstr(problem, "did not find expected key"))
        advice = " (keys of one map must stand in the same column)";
    (void)snprintf(text, sizeof text, "not valid YAML: %s%s%s%s", p->context ? p->context : "", p->context ? ", " : "", problem,
                   advice);
    return fail(r, p->problem_mark, text);
}

static int next_event(struct reader *r)
{
    if (r->has_event)
        yaml_event_delete(&r->event);
    r->has_event = yaml_parser_parse(&r->parser, &r->event) != 0;
    return r->has_event ? 0 : syntax_error(r);
}

/* ---- nodes ---- */
static struct weft_node *new_node(struct reader *r, enum weft_node_kind kind, yaml_mark_t mark)
{
    struct weft_node *n = NULL;

    if (++r->n_nodes <= WEFT_YAML_MAX_NODES)
        n = weft_arena_alloc(r->y->arena, sizeof *n);
    if (!n) {
        fail(r, mark, "the configuration is too large");
        return NULL;
    }
    *n = (struct weft_node){ .kind = kind };
    place(r, n, mark);
    return n;
}

static const char *keep_text(struct reader *r, yaml_mark_t mark, const void *text, size_t len)
{
    if (memchr(text, '\0', len)) {
        fail(r, mark, "a NUL character cannot stand in a value");
        return NULL;
    }
    const char *copy = (const char *)weft_arena_copy(r->y->arena, weft_slice_of(text, len)).data;
    if (!copy)
        fail(r, mark, "the configuration is too large");
    return copy;
}

static bool is_null_word(const char *text)
{
    static const char *const words[] = { "", "~", "null", "Null", "NULL" };

    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(text, words[i]) == 0)
            return true;
    return false;
}

/* A value that came out of an expression and holds a list or a map is taken as one, as the Collector does;
 * anything else, unreadable YAML included, stays the text that it is. */
static struct weft_node *as_tree(struct reader *r, const struct weft_node *scalar)
{
    size_t used = r->y->arena->used;
    struct weft_problems quiet = { .arena = r->y->arena };
    struct weft_yaml inner = { .file = scalar->file, .at = scalar, .arena = r->y->arena, .problems = &quiet };
    struct weft_node *root;

    if (used > r->y->arena->limit / 2 || !strpbrk(scalar->text, "[{\n:-"))
        return NULL;
    if (weft_yaml_parse(&inner, weft_slice_str(scalar->text), &root) || root->kind == WEFT_NODE_SCALAR)
        return NULL;
    return root;
}

static int expand_scalar(struct reader *r, struct weft_node *n, bool plain)
{
    struct weft_buf text;
    bool whole = false;
    yaml_mark_t mark = r->event.start_mark;

    weft_buf_init(&text, WEFT_EXPAND_MAX_BYTES);
    int err = weft_expand(r->y->expand, n->text, n, r->y->problems, &text, &whole);
    if (!err) {
        n->text = keep_text(r, mark, text.data ? (const void *)text.data : "", text.len);
        err = n->text ? 0 : WEFT_ERR_CONFIG;
    }
    weft_buf_release(&text);
    if (err)
        return err;

    struct weft_node *tree = whole ? as_tree(r, n) : NULL;
    if (tree && tree->kind != WEFT_NODE_NULL) {
        n->kind = tree->kind;
        n->child = tree->child;
        n->text = NULL;
    } else if (plain && is_null_word(n->text)) {
        n->kind = WEFT_NODE_NULL;
        n->text = NULL;
    }
    return 0;
}

static struct weft_node *read_scalar(struct reader *r)
{
    const yaml_event_t *e = &r->event;
    bool plain = e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    struct weft_node *n = new_node(r, WEFT_NODE_SCALAR, e->start_mark);

    if (!n)
        return NULL;
    n->text = keep_text(r, e->start_mark, e->data.scalar.value, e->data.scalar.length);
    if (!n->text)
        return NULL;
    if (r->y->expand && strchr(n->text, '$'))
        return expand_scalar(r, n, plain) ? NULL : n;
    if (plain && is_null_word(n->text)) {
        n->kind = WEFT_NODE_NULL;
        n->text = NULL;
    }
    return n;
}

static struct weft_node *read_alias(struct reader *r)
{
    const char *name = (const char *)r->event.data.alias.anchor;

    for (const struct anchor *a = r->anchors; a; a = a->next) {
        if (strcmp(a->name, name) != 0)
            continue;
        struct weft_node *n = new_node(r, a->node->kind, r->event.start_mark);
        r->n_nodes += a->weight; /* whoever walks the tree visits them again */
        if (n) {
            n->text = a->node->text;
            n->child = a->node->child;
        }
        return n;
    }
    fail(r, r->event.start_mark, "this alias (*name) has no anchor (&name) before it");
    return NULL;
}

static int add_anchor(struct reader *r, const char *name, const struct weft_node *n, size_t weight)
{
    struct anchor *a = weft_arena_alloc(r->y->arena, sizeof *a);

    if (!a)
        return WEFT_ERR_CONFIG;
    *a = (struct anchor){ name, n, weight, r->anchors };
    r->anchors = a;
    return 0;
}

static struct weft_node *read_node(struct reader *r, unsigned depth);

static int read_list(struct reader *r, struct weft_node *list, unsigned depth)
{
    struct weft_node **tail = &list->child;

    for (;;) {
        if (next_event(r))
            return WEFT_ERR_CONFIG;
        if (r->event.type == YAML_SEQUENCE_END_EVENT)
            return 0;
        struct weft_node *n = read_node(r, depth + 1);
        if (!n)
            return WEFT_ERR_CONFIG;
        *tail = n;
        tail = &n->next;
    }
}

/* ---- maps ---- */
static const struct weft_node *find_key(const struct weft_node *map, const char *key)
{
    for (const struct weft_node *n = map->child; n; n = n->next)
        if (strcmp(n->key, key) == 0)
            return n;
    return NULL;
}

/* Entries of `from` that `map` does not have, for the merge key "<<". */
static int take_missing(struct reader *r, struct weft_node *map, const struct weft_node *from, yaml_mark_t mark)
{
    struct weft_node **tail = &map->child;

    while (*tail)
        tail = &(*tail)->next;
    for (const struct weft_node *n = from->child; n; n = n->next) {
        if (find_key(map, n->key))
            continue;
        struct weft_node *copy = new_node(r, n->kind, mark);
        if (!copy)
            return WEFT_ERR_CONFIG;
        *copy = *n;
        copy->next = NULL;
        *tail = copy;
        tail = &copy->next;
    }
    return 0;
}

/* "<<: *defaults" or "<<: [*a, *b]": what the map itself says wins, then the first named. */
static int apply_merges(struct reader *r, struct weft_node *map, const struct weft_node *merges, yaml_mark_t mark)
{
    for (const struct weft_node *m = merges; m; m = m->next) {
        bool list = m->kind == WEFT_NODE_LIST;
        for (const struct weft_node *from = list ? m->child : m; from; from = list ? from->next : NULL) {
            if (from->kind != WEFT_NODE_MAP)
                return fail(r, mark, "the merge key '<<' takes a map or a list of maps");
            int err = take_missing(r, map, from, mark);
            if (err)
                return err;
        }
    }
    return 0;
}

/* The key that the event holds. A duplicate is named with the place of the first. */
static const char *read_key(struct reader *r, const struct weft_node *map)
{
    const yaml_event_t *e = &r->event;
    char text[300];

    if (e->type != YAML_SCALAR_EVENT) {
        fail(r, e->start_mark, "a key must be plain text");
        return NULL;
    }
    const char *key = keep_text(r, e->start_mark, e->data.scalar.value, e->data.scalar.length);
    const struct weft_node *twin = key ? find_key(map, key) : NULL;
    if (!twin)
        return key;
    (void)snprintf(text, sizeof text, "'%.100s' stands twice in this map; the first is in line %d", key, twin->key_line);
    fail(r, e->start_mark, text);
    return NULL;
}

static int read_map(struct reader *r, struct weft_node *map, unsigned depth)
{
    struct weft_node **tail = &map->child, *merges = NULL;
    yaml_mark_t start = r->event.start_mark;
    unsigned n_keys = 0;

    for (;;) {
        if (next_event(r))
            return WEFT_ERR_CONFIG;
        if (r->event.type == YAML_MAPPING_END_EVENT)
            return apply_merges(r, map, merges, start);
        struct weft_node at = { 0 };
        place(r, &at, r->event.start_mark);
        const char *key = read_key(r, map);
        if (!key || next_event(r))
            return WEFT_ERR_CONFIG;
        struct weft_node *n = read_node(r, depth + 1);
        if (!n)
            return WEFT_ERR_CONFIG;
        if (++n_keys > WEFT_YAML_MAX_KEYS)
            return fail(r, start, "too many keys in one map");
        n->key = key;
        n->key_line = at.line;
        n->key_column = at.column;
        if (strcmp(key, "<<") == 0) {
            if (merges)
                return fail(r, start, "'<<' stands twice in this map; give it a list");
            merges = n;
        } else {
            *tail = n;
            tail = &n->next;
        }
    }
}

static struct weft_node *read_collection(struct reader *r, unsigned depth)
{
    bool map = r->event.type == YAML_MAPPING_START_EVENT;
    const yaml_char_t *anchor = map ? r->event.data.mapping_start.anchor : r->event.data.sequence_start.anchor;
    const char *name = NULL;
    size_t before = r->n_nodes;

    if (depth >= WEFT_YAML_MAX_DEPTH) {
        fail(r, r->event.start_mark, "nested too deeply");
        return NULL;
    }
    if (anchor && !(name = keep_text(r, r->event.start_mark, anchor, strlen((const char *)anchor))))
        return NULL;
    struct weft_node *n = new_node(r, map ? WEFT_NODE_MAP : WEFT_NODE_LIST, r->event.start_mark);
    if (!n || (map ? read_map(r, n, depth) : read_list(r, n, depth)))
        return NULL;
    if (name && add_anchor(r, name, n, r->n_nodes - before))
        return NULL;
    return n;
}

/* The node that the current event begins; afterwards the event is the node's last. */
static struct weft_node *read_node(struct reader *r, unsigned depth)
{
    const char *name = NULL;
    struct weft_node *n;

    switch (r->event.type) {
    case YAML_ALIAS_EVENT:
        return read_alias(r);
    case YAML_SCALAR_EVENT:
        if (r->event.data.scalar.anchor)
            name = keep_text(r, r->event.start_mark, r->event.data.scalar.anchor,
                             strlen((const char *)r->event.data.scalar.anchor));
        n = read_scalar(r);
        return n && name && add_anchor(r, name, n, 1) ? NULL : n;
    default:
        return read_collection(r, depth);
    }
}

/* ---- documents ---- */
static int read_document(struct reader *r, struct weft_node **ret_root)
{
    yaml_mark_t start = { 0 };
    struct weft_node *root;

    if (next_event(r) || next_event(r)) /* stream start, document start */
        return WEFT_ERR_CONFIG;
    if (r->event.type == YAML_STREAM_END_EVENT) {
        root = new_node(r, WEFT_NODE_NULL, start);
        if (root)
            *ret_root = root;
        return root ? 0 : WEFT_ERR_CONFIG;
    }
    if (next_event(r) || !(root = read_node(r, 0)) || next_event(r) || next_event(r)) /* .., document end, stream end */
        return WEFT_ERR_CONFIG;
    if (r->event.type != YAML_STREAM_END_EVENT)
        return fail(r, r->event.start_mark, "a second document begins here; a configuration is one document");
    *ret_root = root;
    return 0;
}

int weft_yaml_parse(const struct weft_yaml *y, struct weft_slice text, struct weft_node **ret_root)
{
    struct reader r = { .y = y };
    yaml_mark_t start = { 0 };

    if (text.len > WEFT_YAML_MAX_BYTES)
        return fail(&r, start, "the configuration is too large");
    if (!yaml_parser_initialize(&r.parser))
        return fail(&r, start, "out of memory");
    yaml_parser_set_input_string(&r.parser, text.data ? text.data : (const unsigned char *)"", text.len);
    int err = read_document(&r, ret_root);
    if (r.has_event)
        yaml_event_delete(&r.event);
    yaml_parser_delete(&r.parser);
    return err;
}

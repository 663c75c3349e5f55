/* SPDX-License-Identifier: Apache-2.0 */
/* yaml_tree.c: trees laid over each other and written out (declared in yaml.h). Input trees are never changed: where
 * two meet, new nodes are made; what is not touched is shared. */
#include "agent/yaml.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

static struct weft_node *copy_node(struct weft_arena *arena, const struct weft_node *n)
{
    struct weft_node *copy = weft_arena_alloc(arena, sizeof *copy);

    if (copy)
        *copy = *n;
    if (copy)
        copy->next = NULL;
    return copy;
}

struct weft_node *weft_node_merge(struct weft_arena *arena, const struct weft_node *under, const struct weft_node *over)
{
    const struct weft_node *top = over ? over : under;
    struct weft_node *merged = weft_arena_alloc(arena, sizeof *merged), **tail;

    if (!merged || !top)
        return NULL;
    *merged = *top;
    merged->next = NULL;
    if (!under || !over || under->kind != WEFT_NODE_MAP || over->kind != WEFT_NODE_MAP)
        return merged;

    tail = &merged->child;
    for (const struct weft_node *n = under->child; n; n = n->next) {
        const struct weft_node *other = weft_node_get(over, n->key);
        if (!(*tail = other ? weft_node_merge(arena, n, other) : copy_node(arena, n)))
            return NULL;
        tail = &(*tail)->next;
    }
    for (const struct weft_node *n = over->child; n; n = n->next) {
        if (weft_node_get(under, n->key))
            continue;
        if (!(*tail = copy_node(arena, n)))
            return NULL;
        tail = &(*tail)->next;
    }
    return merged;
}

/* ---- "a::b: c" as "a: {b: c}" ---- */
static struct weft_node *unfold_entry(struct weft_arena *arena, const struct weft_node *n)
{
    struct weft_node *entry = weft_node_unfold(arena, n);
    const char *at, *end = n->key + strlen(n->key);

    /* From the last word to the first, each new map around what there is. */
    for (at = end; entry; end = at) {
        while (at > n->key && !(at >= n->key + 2 && at[-1] == ':' && at[-2] == ':'))
            at--;
        entry->key = (const char *)weft_arena_copy(arena, weft_slice_of(at, (size_t)(end - at))).data;
        entry->key_line = n->key_line;
        entry->key_column = n->key_column;
        if (!entry->key || at == n->key)
            break;
        struct weft_node *outer = copy_node(arena, n);
        if (!outer)
            return NULL;
        *outer = (struct weft_node){ .kind = WEFT_NODE_MAP, .file = n->file, .line = n->key_line, .column = n->key_column,
                                     .child = entry };
        entry = outer;
        at -= 2;
    }
    return entry && entry->key ? entry : NULL;
}

/* Puts `entry` into `map`, merging it with one of the same key. */
static bool put_entry(struct weft_arena *arena, struct weft_node *map, struct weft_node *entry)
{
    struct weft_node **at = &map->child;

    while (*at && strcmp((*at)->key, entry->key) != 0)
        at = &(*at)->next;
    if (!*at) {
        *at = entry;
        return true;
    }
    struct weft_node *merged = weft_node_merge(arena, *at, entry);
    if (!merged)
        return false;
    merged->next = (*at)->next;
    *at = merged;
    return true;
}

struct weft_node *weft_node_unfold(struct weft_arena *arena, const struct weft_node *n)
{
    struct weft_node *out = copy_node(arena, n);

    if (!out || (n->kind != WEFT_NODE_MAP && n->kind != WEFT_NODE_LIST))
        return out;
    out->child = NULL;
    if (n->kind == WEFT_NODE_LIST) {
        struct weft_node **tail = &out->child;
        for (const struct weft_node *c = n->child; c; c = c->next, tail = &(*tail)->next)
            if (!(*tail = weft_node_unfold(arena, c)))
                return NULL;
        return out;
    }
    for (const struct weft_node *c = n->child; c; c = c->next) {
        struct weft_node *entry = unfold_entry(arena, c);
        if (!entry || !put_entry(arena, out, entry))
            return NULL;
    }
    return out;
}

/* ---- printing ---- */
static bool is_plain(const char *text)
{
    static const char *const words[] = { "", "~", "null", "-", "." };

    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcasecmp(text, words[i]) == 0)
            return false;
    if (!isalnum((unsigned char)*text) && !strchr("/._", *text))
        return false;
    for (const char *at = text; *at; at++) {
        bool colon_ends = *at == ':' && (at[1] == '\0' || at[1] == ' ');
        if (colon_ends || (!isalnum((unsigned char)*at) && !strchr("/._-:+=@", *at)))
            return false;
    }
    return true;
}

static void print_text(const char *text, struct weft_buf *out)
{
    if (is_plain(text)) {
        weft_buf_append_str(out, text);
        return;
    }
    weft_buf_append_byte(out, '"');
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '$')
            weft_buf_append_str(out, "$$"); /* or it would be expanded when it is read again */
        else if (c == '"' || c == '\\')
            weft_buf_printf(out, "\\%c", c);
        else if (c < 0x20 || c == 0x7f)
            weft_buf_printf(out, "\\x%02x", c);
        else
            weft_buf_append_byte(out, c);
    }
    weft_buf_append_byte(out, '"');
}

static bool is_secret(const char *key)
{
    static const char *const words[] = { "password", "secret", "token", "api_key", "api-key", "apikey", "authorization", "cookie",
                                         "credential", "private_key" };

    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcasestr(key, words[i]) && !strcasestr(key, "_file"))
            return true;
    return false;
}

/* What of a tree is written out as it is. */
enum show { SHOW_ALL, HIDE_SECRETS, HIDE_VALUES };

/* Headers carry keys of back ends under names that nobody can list. */
static enum show show_below(enum show show, const struct weft_node *n)
{
    return show == HIDE_SECRETS && n->key && strcmp(n->key, "headers") == 0 ? HIDE_VALUES : show;
}

static void print_node(const struct weft_node *n, unsigned indent, enum show show, struct weft_buf *out);

static void print_children(const struct weft_node *n, unsigned indent, enum show show, struct weft_buf *out)
{
    for (const struct weft_node *c = n->child; c; c = c->next) {
        weft_buf_printf(out, "%*s", (int)indent, "");
        if (n->kind == WEFT_NODE_MAP) {
            print_text(c->key, out);
            weft_buf_append_byte(out, ':');
        } else {
            weft_buf_append_byte(out, '-');
        }
        bool secret = show == HIDE_VALUES || (show == HIDE_SECRETS && n->kind == WEFT_NODE_MAP && is_secret(c->key));
        if (secret && c->kind != WEFT_NODE_NULL)
            weft_buf_append_str(out, " \"[REDACTED]\"\n");
        else
            print_node(c, indent + 2, show_below(show, c), out);
    }
}

static void print_node(const struct weft_node *n, unsigned indent, enum show show, struct weft_buf *out)
{
    switch (n->kind) {
    case WEFT_NODE_NULL:
        weft_buf_append_byte(out, '\n');
        break;
    case WEFT_NODE_SCALAR:
        weft_buf_append_byte(out, ' ');
        print_text(n->text, out);
        weft_buf_append_byte(out, '\n');
        break;
    case WEFT_NODE_LIST:
    case WEFT_NODE_MAP:
        weft_buf_append_str(out, n->child ? "\n" : n->kind == WEFT_NODE_MAP ? " {}\n" : " []\n");
        print_children(n, indent, show, out);
    }
}

void weft_yaml_print(const struct weft_node *root, bool secrets, struct weft_buf *out)
{
    enum show show = secrets ? SHOW_ALL : HIDE_SECRETS;

    if (root->kind == WEFT_NODE_MAP || root->kind == WEFT_NODE_LIST)
        print_children(root, 0, show, out);
    else
        print_node(root, 0, show, out);
}

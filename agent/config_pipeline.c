/* SPDX-License-Identifier: Apache-2.0 */
/* config_pipeline.c: see config_pipeline.h. */
#include "agent/config_pipeline.h"

#include <stdio.h>
#include <string.h>

enum { OWNER_MAX = 200, PIPELINES_MAX = 64, REFERENCES_MAX = 256 };

/* The section in which `id` is defined when it was looked for in another one, or NULL. */
static const char *defined_elsewhere(const struct weft_config *c, const char *id)
{
    for (int kind = 0; kind < WEFT_KINDS; kind++)
        for (size_t i = 0; i < c->n_components[kind]; i++)
            if (strcmp(c->components[kind][i].id, id) == 0)
                return weft_kind_section((enum weft_kind)kind);
    return NULL;
}

static void undefined(struct weft_config *c, enum weft_kind kind, const char *owner, const struct weft_node *n)
{
    const char *names[REFERENCES_MAX + 1];
    size_t i = 0;

    for (; i < c->n_components[kind] && i < REFERENCES_MAX; i++)
        names[i] = c->components[kind][i].id;
    names[i] = NULL;
    const char *near = weft_nearest(n->text, names), *elsewhere = near ? NULL : defined_elsewhere(c, n->text);
    if (near)
        weft_problem(&c->problems, n, "%s: %s '%.100s' is not defined; did you mean '%s'?", owner, weft_kind_name(kind), n->text, near);
    else if (elsewhere)
        weft_problem(&c->problems, n, "%s: '%.100s' is defined under %s, not under %s", owner, n->text, elsewhere,
                     weft_kind_section(kind));
    else
        weft_problem(&c->problems, n, "%s: %s '%.100s' is not defined; add it under %s", owner, weft_kind_name(kind), n->text,
                     weft_kind_section(kind));
}

struct weft_config_component *weft_config_refer(struct weft_config *c, enum weft_kind kind, const char *owner,
                                                const struct weft_node *n)
{
    for (size_t i = 0; i < c->n_components[kind]; i++) {
        if (strcmp(c->components[kind][i].id, n->text) != 0)
            continue;
        c->components[kind][i].used = true;
        return &c->components[kind][i];
    }
    undefined(c, kind, owner, n);
    return NULL;
}

/* "traces and logs" */
static const char *spell_signals(unsigned signals, char *out, size_t size)
{
    size_t len = 0;

    *out = '\0';
    for (int s = 0; s < WEFT_SIGNALS; s++) {
        if (!(signals & 1u << s))
            continue;
        bool last = signals >> (s + 1) == 0;
        len += (size_t)snprintf(out + len, size - len, "%s%s", len == 0 ? "" : last ? " and " : ", ",
                                weft_signal_name((enum weft_signal)s));
    }
    return out;
}

struct reading {
    struct weft_config *c;
    struct weft_config_pipeline *pipeline;
    const char *owner; /* "service::pipelines::traces" */
};

static void check_signal(const struct reading *r, const struct weft_config_component *component, const struct weft_node *n)
{
    static const char *const verbs[] = { "give", "process", "connect", "take", "" };
    char signals[64];

    if (!component->type.name || component->type.signals & 1u << r->pipeline->signal)
        return;
    weft_problem(&r->c->problems, n, "%s: %s '%s' cannot %s %s, only %s", r->owner, weft_kind_name(component->type.kind), component->id,
                 verbs[component->type.kind], weft_signal_name(r->pipeline->signal),
                 spell_signals(component->type.signals, signals, sizeof signals));
}

static void read_reference(const struct reading *r, enum weft_kind kind, const struct weft_node *n, size_t *list, size_t *n_list)
{
    if (n->kind != WEFT_NODE_SCALAR) {
        weft_problem(&r->c->problems, n, "%s: expected the id of a %s", r->owner, weft_kind_name(kind));
        return;
    }
    const struct weft_config_component *component = weft_config_refer(r->c, kind, r->owner, n);
    if (!component)
        return;
    size_t index = (size_t)(component - r->c->components[kind]);
    for (size_t i = 0; i < *n_list; i++) {
        if (list[i] != index)
            continue;
        weft_problem(&r->c->problems, n, "%s: %s '%s' is named twice", r->owner, weft_kind_name(kind), n->text);
        return;
    }
    check_signal(r, component, n);
    list[(*n_list)++] = index;
}

static size_t *read_references(const struct reading *r, enum weft_kind kind, const struct weft_node *n, size_t *ret_n)
{
    size_t room = 1;

    *ret_n = 0;
    if (!n || n->kind == WEFT_NODE_NULL)
        return NULL;
    if (n->kind == WEFT_NODE_MAP) {
        weft_problem(&r->c->problems, n, "%s: expected a list of ids", r->owner);
        return NULL;
    }
    for (const struct weft_node *i = n->child; i; i = i->next)
        room++;
    size_t *list = weft_arena_alloc(&r->c->arena, room * sizeof *list);
    if (!list)
        return NULL;
    if (n->kind == WEFT_NODE_SCALAR)
        read_reference(r, kind, n, list, ret_n);
    for (const struct weft_node *i = n->child; i; i = i->next)
        read_reference(r, kind, i, list, ret_n);
    return list;
}

/* The three keys of a pipeline, as the option tables want them. */
struct keys { const struct weft_node *receivers, *processors, *exporters; };

static const struct weft_option key_options[] = {
    WEFT_NODE("receivers", struct keys, receivers, .help = "ids of receivers; at least one"),
    WEFT_NODE("processors", struct keys, processors, .help = "ids of processors, run in this order"),
    WEFT_NODE("exporters", struct keys, exporters, .help = "ids of exporters; at least one"),
    { .key = NULL },
};

static bool read_signal(struct weft_config *c, const struct weft_node *n, enum weft_signal *ret_signal)
{
    static const char *const names[] = { "traces", "logs", "metrics", NULL };
    char type[32];

    (void)snprintf(type, sizeof type, "%.*s", (int)(strcspn(n->key, "/") % 31), n->key);
    for (int s = 0; s < WEFT_SIGNALS; s++) {
        if (strcmp(type, weft_signal_name((enum weft_signal)s)) != 0)
            continue;
        *ret_signal = (enum weft_signal)s;
        return true;
    }
    const char *near = weft_nearest(type, names);
    weft_problem_at_key(&c->problems, n, "service::pipelines: '%.60s' is no signal; a pipeline is named traces, metrics or logs%s%s%s",
                        n->key, near ? "; did you mean '" : ", or one of them with /name behind it", near ? near : "", near ? "'?" : "");
    return false;
}

static bool read_pipeline(struct weft_config *c, const struct weft_node *n, struct weft_config_pipeline *p)
{
    char owner[OWNER_MAX];
    struct keys keys = { 0 };
    size_t before = c->problems.n;
    const char *slash = strchr(n->key, '/');

    *p = (struct weft_config_pipeline){ .id = n->key };
    if (!read_signal(c, n, &p->signal))
        return false;
    if (strlen(n->key) > 100 || (slash && !slash[1]))
        weft_problem_at_key(&c->problems, n, "service::pipelines: '%.100s' is not an id", n->key);
    (void)snprintf(owner, sizeof owner, "service::pipelines::%.100s", n->key);
    (void)weft_options_load(key_options, owner, n, &keys, &c->arena, &c->problems);
    if (c->problems.n > before && n->kind != WEFT_NODE_MAP)
        return false;

    struct reading r = { c, p, owner };
    p->receivers = read_references(&r, WEFT_KIND_RECEIVER, keys.receivers, &p->n_receivers);
    p->processors = read_references(&r, WEFT_KIND_PROCESSOR, keys.processors, &p->n_processors);
    p->exporters = read_references(&r, WEFT_KIND_EXPORTER, keys.exporters, &p->n_exporters);
    if (p->n_receivers == 0 && c->problems.n == before)
        weft_problem_at_key(&c->problems, n, "%s: needs at least one receiver", owner);
    if (p->n_exporters == 0 && c->problems.n == before)
        weft_problem_at_key(&c->problems, n, "%s: needs at least one exporter", owner);
    return c->problems.n == before;
}

void weft_config_load_pipelines(struct weft_config *c)
{
    const struct weft_node *service = weft_node_get(c->root, "service");
    const struct weft_node *map = weft_node_get(service, "pipelines");
    size_t room = 0;

    if (map && map->kind != WEFT_NODE_MAP && map->kind != WEFT_NODE_NULL) {
        weft_problem(&c->problems, map, "service::pipelines: expected a map of pipelines");
        return;
    }
    if (!map || !map->child) {
        const struct weft_node *at = map ? map : service;
        weft_problem_at_key(&c->problems, at ? at : c->root, "service::pipelines: needs at least one pipeline");
        return;
    }
    for (const struct weft_node *n = map->child; n; n = n->next)
        room++;
    if (room > PIPELINES_MAX) {
        weft_problem_at_key(&c->problems, map, "service::pipelines: there are %zu pipelines; %d are the most", room, PIPELINES_MAX);
        return;
    }
    c->pipelines = weft_arena_alloc(&c->arena, room * sizeof *c->pipelines);
    for (const struct weft_node *n = map->child; n && c->pipelines; n = n->next)
        c->n_pipelines += read_pipeline(c, n, &c->pipelines[c->n_pipelines]);
}

void weft_config_check_shares(struct weft_config *c)
{
    const struct weft_node *map = weft_node_get(weft_node_get(c->root, "service"), "pipelines");

    if (c->problems.n == 0 && c->n_pipelines > 0 && c->service.journal_max_size / c->n_pipelines < 1 << 20)
        weft_problem_at_key(&c->problems, map, "service::pipelines: %zu pipelines need 1MiB of service::journal::max_size each",
                            c->n_pipelines);
}

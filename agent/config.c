/* SPDX-License-Identifier: Apache-2.0 */
/* config.c: see config.h. Sections first, then pipelines, which mark what they use, then the service, which looks at what is used. */
#include "agent/config.h"

#include "agent/config_pipeline.h"
#include "agent/keep.h"
#include "agent/queue_storage.h"
#include "core/err.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

enum { ARENA_LIMIT = 64 << 20, ID_MAX = 128 };

/* ---- sections ---- */
static const char *const section_names[] = { "receivers", "processors", "connectors", "exporters", "extensions", "service", NULL };

static void check_sections(struct weft_config *c)
{
    for (const struct weft_node *n = c->root->child; n; n = n->next) {
        size_t i = 0;
        while (section_names[i] && strcmp(section_names[i], n->key) != 0)
            i++;
        if (section_names[i])
            continue;
        const char *near = weft_nearest(n->key, section_names);
        weft_problem_at_key(&c->problems, n, "unknown section '%.100s'%s%s%s", n->key, near ? "; did you mean '" : "",
                            near ? near : "; there are receivers, processors, exporters, extensions and service", near ? "'?" : "");
    }
}

/* ---- ids ---- */
static bool is_id(const char *id)
{
    size_t type = strcspn(id, "/");

    if (!isalpha((unsigned char)*id) || type > 63 || strlen(id) > ID_MAX)
        return false;
    for (size_t i = 0; i < type; i++)
        if (!isalnum((unsigned char)id[i]) && id[i] != '_')
            return false;
    if (id[type] == '/' && id[type + 1] == '\0')
        return false;
    for (const char *at = id + type; *at; at++)
        if ((unsigned char)*at <= ' ' || *at == 0x7f || *at == '"')
            return false;
    return true;
}

static void unknown_component(struct weft_config *c, enum weft_kind kind, const struct weft_node *n, const char *type)
{
    const char *names[64];
    struct weft_component known;
    size_t i = 0;

    while (i < 63 && weft_registry_at(kind, i, &known))
        names[i++] = known.name;
    names[i] = NULL;
    const char *near = weft_nearest(type, names);
    weft_problem_at_key(&c->problems, n, "%s: this build has no %s '%s'%s%s%s", weft_kind_section(kind), weft_kind_name(kind), type,
                        near ? "; did you mean '" : "", near ? near : "; 'weft components' lists what there is", near ? "'?" : "");
}

static bool find_type(struct weft_config *c, enum weft_kind kind, const struct weft_node *n, struct weft_component *ret_type)
{
    char type[64];

    if (!is_id(n->key)) {
        weft_problem_at_key(&c->problems, n, "%s: '%.100s' is not an id; write the component's name, or name/label",
                            weft_kind_section(kind), n->key);
        return false;
    }
    (void)snprintf(type, sizeof type, "%.*s", (int)strcspn(n->key, "/"), n->key);
    if (weft_registry_find(kind, type, ret_type))
        return true;
    unknown_component(c, kind, n, type);
    return false;
}

/* ---- components ---- */
static int check_own(const struct weft_config_component *c, void *instance, struct weft_problems *problems)
{
    if (c->type.receiver) {
        struct weft_receiver *r = instance;
        r->type = c->type.receiver;
        r->id = c->id;
        return r->type->check ? r->type->check(r, c->node, problems) : 0;
    }
    if (c->type.processor) {
        struct weft_processor *p = instance;
        p->type = c->type.processor;
        p->id = c->id;
        return p->type->check ? p->type->check(p, c->node, problems) : 0;
    }
    if (c->type.exporter) {
        struct weft_exporter *e = instance;
        e->type = c->type.exporter;
        e->id = c->id;
        return e->type->check ? e->type->check(e, c->node, problems) : 0;
    }
    return 0;
}

/* A component's own check tells what is wrong with a key; whose key it is gets said here. */
static void name_owner(struct weft_problem *p, const char *owner, struct weft_arena *arena)
{
    for (; p; p = p->next) {
        size_t size = strlen(owner) + strlen(p->text) + 3;
        char *text = weft_arena_alloc(arena, size);
        if (!text)
            return;
        (void)snprintf(text, size, "%s: %s", owner, p->text);
        p->text = text;
    }
}

static bool own_check_passes(const struct weft_config_component *c, void *instance, const char *owner, struct weft_problems *problems)
{
    struct weft_problem *last = problems->last;
    int err = check_own(c, instance, problems);

    name_owner(last ? last->next : problems->first, owner, problems->arena);
    return !err;
}

void *weft_config_instance(const struct weft_config_component *c, struct weft_arena *arena, struct weft_lane_config *lane,
                           struct weft_problems *problems)
{
    char owner[ID_MAX + 32];
    struct weft_lane_config unused = { 0 };
    void *instance = calloc(1, c->type.size);
    struct weft_option_set sets[] = { { c->type.options, instance }, { weft_lane_options, lane ? lane : &unused } };
    size_t n_sets = c->type.kind == WEFT_KIND_EXPORTER ? 2 : 1, before = problems->n;

    if (!instance)
        return NULL;
    (void)snprintf(owner, sizeof owner, "%s::%s", weft_kind_section(c->type.kind), c->id);
    int err = weft_options_load_sets(sets, n_sets, owner, c->node, arena, problems);
    if (!err && !own_check_passes(c, instance, owner, problems) && problems->n == before)
        weft_problem_at_key(problems, c->node, "%s: invalid configuration", owner);
    if (problems->n == before)
        return instance;
    free(instance);
    return NULL;
}

static void load_section(struct weft_config *c, enum weft_kind kind)
{
    const struct weft_node *section = weft_node_get(c->root, weft_kind_section(kind));
    size_t room = 0;

    if (!section || section->kind == WEFT_NODE_NULL)
        return;
    if (section->kind != WEFT_NODE_MAP) {
        weft_problem(&c->problems, section, "%s: expected a map of ids", weft_kind_section(kind));
        return;
    }
    for (const struct weft_node *n = section->child; n; n = n->next)
        room++;
    c->components[kind] = weft_arena_alloc(&c->arena, (room + 1) * sizeof **c->components);
    for (const struct weft_node *n = section->child; n && c->components[kind]; n = n->next) {
        struct weft_config_component *added = &c->components[kind][c->n_components[kind]];
        *added = (struct weft_config_component){ .id = n->key, .node = n };
        if (!find_type(c, kind, n, &added->type))
            added->type = (struct weft_component){ .kind = kind }; /* told; kept, so that references to it are not told again */
        else
            free(weft_config_instance(added, &c->arena, NULL, &c->problems));
        c->n_components[kind]++;
    }
}

static void check_extensions(struct weft_config *c)
{
    const struct weft_node *list = weft_node_get(weft_node_get(c->root, "service"), "extensions");

    for (const struct weft_node *n = list && list->kind == WEFT_NODE_LIST ? list->child : NULL; n; n = n->next)
        if (n->text)
            (void)weft_config_refer(c, WEFT_KIND_EXTENSION, "service::extensions", n);
}

/* What is right key by key and odd together. The Collector takes it, too. */
static void warn_of_lane(struct weft_config *c, const struct weft_config_component *exporter, const char *owner)
{
    char initial[WEFT_QUANTITY_MAX], max[WEFT_QUANTITY_MAX];
    struct weft_problems told = { .arena = &c->arena };
    struct weft_lane_config lane = { .concurrency_max = 0 };

    free(weft_config_instance(exporter, &c->arena, &lane, &told));
    if (told.n > 0)
        return; /* load_section told, too */
    if (lane.initial_interval > lane.max_interval)
        weft_problem_at_key(&c->warnings, weft_node_get(exporter->node, "retry_on_failure"),
                            "%s::retry_on_failure: initial_interval (%s) is more than max_interval (%s)", owner,
                            weft_format_msec((double)lane.initial_interval, initial), weft_format_msec((double)lane.max_interval, max));
    if (lane.concurrency_max && lane.concurrency_initial > lane.concurrency_max)
        weft_problem_at_key(&c->warnings, weft_node_get(exporter->node, "concurrency"),
                            "%s::concurrency: initial (%lld) is more than max (%lld), which is what counts", owner,
                            (long long)lane.concurrency_initial, (long long)lane.concurrency_max);
}

static void warn_of(struct weft_config *c, const struct weft_config_component *component)
{
    const struct weft_option_set sets[] = { { component->type.options, NULL }, { weft_lane_options, NULL } };
    char owner[ID_MAX + 32];

    (void)snprintf(owner, sizeof owner, "%s::%s", weft_kind_section(component->type.kind), component->id);
    if (!component->used) {
        weft_problem_at_key(&c->warnings, component->node, "%s is defined but not used", owner);
        return;
    }
    weft_options_warn(sets, component->type.kind == WEFT_KIND_EXPORTER ? 2 : 1, owner, component->node, &c->warnings);
    if (component->type.kind == WEFT_KIND_EXPORTER)
        warn_of_lane(c, component, owner);
}

static void warn(struct weft_config *c)
{
    for (int kind = 0; kind < WEFT_KINDS; kind++)
        for (size_t i = 0; i < c->n_components[kind]; i++)
            if (c->components[kind][i].type.name)
                warn_of(c, &c->components[kind][i]);
}

/* ---- the order of the text ---- */
static int compare_places(const void *a, const void *b)
{
    const struct weft_problem *x = *(const struct weft_problem *const *)a, *y = *(const struct weft_problem *const *)b;
    int by_file = (x->file && y->file) ? strcmp(x->file, y->file) : !!x->file - !!y->file;

    if (by_file)
        return by_file;
    return x->line != y->line ? x->line - y->line : x->column - y->column;
}

/* Sorts by place; leaves the order of finding when there is no room for the sorting. */
static void sort_problems(struct weft_problems *p)
{
    size_t n = 0;

    for (struct weft_problem *at = p->first; at; at = at->next)
        n++;
    struct weft_problem **all = n > 1 ? weft_arena_alloc(p->arena, n * sizeof(struct weft_problem *)) : NULL;
    if (!all)
        return;
    n = 0;
    for (struct weft_problem *at = p->first; at; at = at->next)
        all[n++] = at;
    qsort(all, n, sizeof *all, compare_places);
    for (size_t i = 0; i < n; i++)
        all[i]->next = i + 1 < n ? all[i + 1] : NULL;
    p->first = all[0];
    p->last = all[n - 1];
}

void weft_problem_text(const struct weft_problem *p, char *out, size_t size)
{
    if (p->file && p->line > 0)
        (void)snprintf(out, size, "%s:%d:%d: %s", p->file, p->line, p->column, p->text);
    else if (p->file)
        (void)snprintf(out, size, "%s: %s", p->file, p->text);
    else
        (void)snprintf(out, size, "%s", p->text);
}

/* ---- the whole ---- */
static void load_tree(struct weft_config *c)
{
    const struct weft_node *service = weft_node_get(c->root, "service");

    check_sections(c);
    for (int kind = 0; kind < WEFT_KINDS; kind++)
        load_section(c, (enum weft_kind)kind);
    check_extensions(c);
    weft_config_load_pipelines(c);
    const struct weft_service_queue queue = weft_queue_storage_find(c);
    if (weft_service_load(service, &queue, &c->arena, &c->problems, &c->warnings, &c->service) == 0) {
        weft_config_check_shares(c);
        weft_queue_storage_check(c);
    }
    weft_keep_check(c);
    warn(c);
}

int weft_config_load(const struct weft_config_args *args, const struct weft_expand *expand, struct weft_config **ret_config)
{
    struct weft_config *c = calloc(1, sizeof *c);
    struct weft_expand with_warnings = *expand;

    if (!c)
        return UV_ENOMEM;
    weft_arena_init(&c->arena, ARENA_LIMIT);
    c->problems.arena = c->warnings.arena = &c->arena;
    with_warnings.warnings = &c->warnings;
    if (weft_sources_load(args, &with_warnings, &c->arena, &c->problems, &c->root) == 0)
        load_tree(c);
    sort_problems(&c->problems);
    sort_problems(&c->warnings);
    *ret_config = c;
    return c->problems.n ? WEFT_ERR_CONFIG : 0;
}

void weft_config_free(struct weft_config *config)
{
    if (!config)
        return;
    weft_arena_release(&config->arena);
    free(config);
}

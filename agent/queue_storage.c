/* SPDX-License-Identifier: Apache-2.0 */
/* queue_storage.c: see queue_storage.h. The key is looked for in the configuration itself, as keep.c does with receivers'. */
#include "agent/queue_storage.h"

#include "agent/keep.h"

#include <stdio.h>
#include <string.h>

static const struct weft_node *storage_of(const struct weft_config_component *exporter)
{
    const struct weft_node *n = exporter->used ? weft_node_get(weft_node_get(exporter->node, "sending_queue"), "storage") : NULL;

    return n && n->kind == WEFT_NODE_SCALAR && n->text && *n->text ? n : NULL;
}

/* The directory that journals can be in, or NULL. */
static const char *directory_of(struct weft_config *c, const struct weft_node *storage)
{
    const char *directory = weft_keep_directory(weft_keep_extension(c, storage), &c->arena);

    return directory && *directory == '/' ? directory : NULL;
}

struct weft_service_queue weft_queue_storage_find(struct weft_config *c)
{
    for (size_t i = 0; i < c->n_components[WEFT_KIND_EXPORTER]; i++) {
        const struct weft_config_component *exporter = &c->components[WEFT_KIND_EXPORTER][i];
        const struct weft_node *storage = storage_of(exporter);
        const char *directory = storage ? directory_of(c, storage) : NULL;
        if (directory)
            return (struct weft_service_queue){ exporter->id, directory };
    }
    return (struct weft_service_queue){ NULL, NULL };
}

static bool mode_is_given(const struct weft_config *c)
{
    return weft_node_get(weft_node_get(weft_node_get(c->root, "service"), "journal"), "mode") != NULL;
}

static void check(struct weft_config *c, const struct weft_config_component *exporter, const struct weft_node *storage)
{
    const struct weft_service *s = &c->service;
    char owner[200];

    (void)snprintf(owner, sizeof owner, "exporters::%s::sending_queue::storage", exporter->id);
    if (!weft_keep_refers(c, owner, storage))
        return;
    const char *directory = directory_of(c, storage);
    if (s->journal_mode == WEFT_SERVICE_MEMORY && !mode_is_given(c))
        weft_problem(&c->problems, storage, "%s: '%.60s' has no absolute directory that may be used; set its directory, or service.journal.mode",
                     owner, storage->text);
    else if (s->journal_mode == WEFT_SERVICE_MEMORY)
        weft_problem_at_key(&c->warnings, storage,
                            "%s is ignored: service.journal.mode is memory: what waits lives in memory and dies with the process; set "
                            "service.journal.mode: disk", owner);
    else if (s->journal_asked_by && strcmp(s->journal_asked_by, exporter->id) != 0
             && (!directory || strcmp(directory, s->journal_directory) != 0))
        weft_problem_at_key(&c->warnings, storage, "%s is ignored: all journals are on disk in %s", owner, s->journal_directory);
}

void weft_queue_storage_check(struct weft_config *c)
{
    for (size_t i = 0; i < c->n_components[WEFT_KIND_EXPORTER]; i++) {
        const struct weft_config_component *exporter = &c->components[WEFT_KIND_EXPORTER][i];
        const struct weft_node *storage = storage_of(exporter);
        if (storage)
            check(c, exporter, storage);
    }
}

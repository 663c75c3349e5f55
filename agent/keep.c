/* SPDX-License-Identifier: Apache-2.0 */
/* keep.c: see keep.h. The key `storage` is looked for in the configuration itself, so that a receiver only lists it. */
#include "agent/keep.h"

#include "agent/config_pipeline.h"
#include "agent/directory.h"
#include "agent/extension.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct weft_node *storage_of(const struct weft_config_component *c)
{
    const struct weft_node *n = c->node && c->node->kind == WEFT_NODE_MAP ? weft_node_get(c->node, "storage") : NULL;

    return n && n->kind == WEFT_NODE_SCALAR && n->text && *n->text ? n : NULL;
}

static const struct weft_config_component *extension_of(const struct weft_config *config, const struct weft_node *storage)
{
    for (size_t i = 0; i < config->n_components[WEFT_KIND_EXTENSION]; i++)
        if (strcmp(config->components[WEFT_KIND_EXTENSION][i].id, storage->text) == 0)
            return &config->components[WEFT_KIND_EXTENSION][i];
    return NULL;
}

bool weft_keep_refers(struct weft_config *config, const char *owner, const struct weft_node *storage)
{
    const struct weft_config_component *extension = extension_of(config, storage);

    if (!extension)
        (void)weft_config_refer(config, WEFT_KIND_EXTENSION, owner, storage);
    else if (extension->type.name && extension->type.extension != &weft_extension_file_storage)
        weft_problem(&config->problems, storage, "%s: '%.60s' keeps nothing: it has to be a file_storage", owner, storage->text);
    else if (!extension->used)
        weft_problem(&config->problems, storage, "%s: '%.60s' is not among service::extensions; add it there", owner, storage->text);
    return extension && extension->used && extension->type.extension == &weft_extension_file_storage;
}

void weft_keep_check(struct weft_config *config)
{
    char owner[200];

    for (size_t i = 0; i < config->n_components[WEFT_KIND_RECEIVER]; i++) {
        const struct weft_config_component *receiver = &config->components[WEFT_KIND_RECEIVER][i];
        const struct weft_node *storage = receiver->used ? storage_of(receiver) : NULL;
        (void)snprintf(owner, sizeof owner, "receivers::%s::storage", receiver->id);
        if (storage)
            (void)weft_keep_refers(config, owner, storage);
    }
}

static bool journal_directory_is_given(const struct weft_config *config)
{
    const struct weft_node *journal = weft_node_get(weft_node_get(config->root, "service"), "journal");
    const struct weft_node *directory = weft_node_get(journal, "directory");

    return directory && directory->kind == WEFT_NODE_SCALAR;
}

const struct weft_config_component *weft_keep_extension(const struct weft_config *config, const struct weft_node *storage)
{
    const struct weft_config_component *extension = extension_of(config, storage);

    return extension && extension->used && extension->type.extension == &weft_extension_file_storage ? extension : NULL;
}

const char *weft_keep_directory(const struct weft_config_component *extension, struct weft_arena *arena)
{
    struct weft_problems problems = { .arena = arena };
    void *instance = extension ? weft_config_instance(extension, arena, NULL, &problems) : NULL;
    const char *directory = instance ? weft_file_storage_directory(instance) : NULL;

    free(instance);
    return directory;
}

const char *weft_keep_path(const struct weft_config *config, const struct weft_config_component *receiver, struct weft_arena *arena)
{
    const struct weft_node *storage = storage_of(receiver);
    const char *directory = NULL;
    char path[WEFT_DIRECTORY_PATH];

    if (storage)
        directory = weft_keep_directory(extension_of(config, storage), arena);
    else if (config->service.journal_mode == WEFT_SERVICE_DISK || journal_directory_is_given(config))
        directory = config->service.journal_directory;
    if (!directory || !weft_directory_path(directory, "positions", receiver->id, path))
        return NULL;
    return (const char *)weft_arena_copy(arena, weft_slice_str(path)).data;
}

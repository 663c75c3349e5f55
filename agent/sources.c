/* SPDX-License-Identifier: Apache-2.0 */
/* sources.c: see sources.h. Every source is read even when an earlier one was wrong, so that all errors are told. */
#include "agent/sources.h"

#include "agent/yaml.h"
#include "core/err.h"

#include <string.h>

const char weft_default_config[] =
    "receivers:\n"
    "  otlp:\n"
    "    protocols:\n"
    "      grpc: { endpoint: 127.0.0.1:4317 }\n"
    "      http: { endpoint: 127.0.0.1:4318 }\n"
    "processors:\n"
    "  correlation: {}\n"
    "exporters:\n"
    "  prometheus: { endpoint: 127.0.0.1:8889 }\n"
    "  debug: { verbosity: basic }\n"
    "service:\n"
    "  telemetry: { endpoint: 127.0.0.1:8888 }\n"
    "  pipelines:\n"
    "    traces:  { receivers: [otlp], processors: [correlation], exporters: [debug] }\n"
    "    metrics: { receivers: [otlp], processors: [correlation], exporters: [prometheus] }\n"
    "    logs:    { receivers: [otlp], processors: [correlation], exporters: [debug] }\n";

struct loading {
    const struct weft_expand *expand;
    struct weft_arena *arena;
    struct weft_problems *problems;
    const struct weft_node *root;
};

static int add_text(struct loading *l, const char *name, struct weft_slice text)
{
    struct weft_yaml y = { .file = name, .expand = l->expand, .arena = l->arena, .problems = l->problems };
    struct weft_node *root;

    int err = weft_yaml_parse(&y, text, &root);
    if (err)
        return err;
    if (root->kind != WEFT_NODE_MAP && root->kind != WEFT_NODE_NULL) {
        weft_problem(l->problems, root, "a configuration is a map with receivers, exporters and service in it");
        return WEFT_ERR_CONFIG;
    }
    if (root->kind == WEFT_NODE_NULL)
        return 0;
    root = weft_node_unfold(l->arena, root);
    l->root = root ? weft_node_merge(l->arena, l->root, root) : NULL;
    if (!l->root) {
        weft_problem(l->problems, NULL, "%s: the configuration is too large", name);
        return WEFT_ERR_CONFIG;
    }
    return 0;
}

static int add_file(struct loading *l, const char *path)
{
    struct weft_buf text;

    weft_buf_init(&text, WEFT_YAML_MAX_BYTES + 1);
    int err = l->expand->file(l->expand->ctx, path, &text);
    if (err)
        weft_problem(l->problems, NULL, "%s: cannot read the configuration: %s", path, weft_err_text(err));
    else
        err = add_text(l, path, weft_buf_slice(&text));
    weft_buf_release(&text);
    return err;
}

static int add_variable(struct loading *l, const char *name)
{
    const char *text = l->expand->variable(l->expand->ctx, name);

    if (text)
        return add_text(l, name, weft_slice_str(text));
    weft_problem(l->problems, NULL, "--config env:%s: this environment variable is not set", name);
    return WEFT_ERR_CONFIG;
}

static int add_config(struct loading *l, const char *arg)
{
    if (strncmp(arg, "yaml:", 5) == 0)
        return add_text(l, "yaml", weft_slice_str(arg + 5));
    if (strncmp(arg, "env:", 4) == 0)
        return add_variable(l, arg + 4);
    if (strncmp(arg, "http:", 5) == 0 || strncmp(arg, "https:", 6) == 0) {
        weft_problem(l->problems, NULL, "--config %s: configurations are not fetched over the network; give a file", arg);
        return WEFT_ERR_CONFIG;
    }
    return add_file(l, strncmp(arg, "file:", 5) == 0 ? arg + 5 : arg);
}

/* "a.b.c=value" as the YAML text "a::b::c: value". */
static int add_set(struct loading *l, const char *arg)
{
    const char *equals = strchr(arg, '=');
    struct weft_buf text;

    if (!equals || equals == arg) {
        weft_problem(l->problems, NULL, "--set %s: write KEY=VALUE, such as exporters.debug.verbosity=detailed", arg);
        return WEFT_ERR_CONFIG;
    }
    weft_buf_init(&text, WEFT_YAML_MAX_BYTES);
    for (const char *at = arg; at < equals; at++)
        weft_buf_append_str(&text, *at == '.' ? "::" : (char[]){ *at, '\0' });
    weft_buf_append_str(&text, ": ");
    weft_buf_append_str(&text, equals + 1);
    int err = text.err ? WEFT_ERR_CONFIG : add_text(l, "--set", weft_buf_slice(&text));
    weft_buf_release(&text);
    return err;
}

int weft_sources_load(const struct weft_config_args *args, const struct weft_expand *expand, struct weft_arena *arena,
                      struct weft_problems *problems, const struct weft_node **ret_root)
{
    static const struct weft_node nothing = { .kind = WEFT_NODE_NULL, .file = "configuration" };
    struct loading l = { expand, arena, problems, NULL };
    size_t before = problems->n;

    if (args->n_configs == 0)
        (void)add_text(&l, "built-in", weft_slice_str(weft_default_config));
    for (size_t i = 0; i < args->n_configs; i++)
        (void)add_config(&l, args->configs[i]);
    for (size_t i = 0; i < args->n_sets; i++)
        (void)add_set(&l, args->sets[i]);
    if (problems->n > before)
        return WEFT_ERR_CONFIG;
    *ret_root = l.root ? l.root : &nothing;
    return 0;
}

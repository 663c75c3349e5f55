/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_check.c: weft check, weft components, weft version: what needs no running agent. */
#include "agent/cli.h"

#include <stdio.h>

/* What is right as a text and would not start here. */
static void warn_of_system(struct weft_config *config)
{
    struct weft_problems warnings = { .arena = &config->arena };

    weft_service_check_system(&config->service, weft_node_get(config->root, "service"), &warnings);
    weft_cli_print_problems(&warnings, "warning: ");
}

int weft_command_check(const struct weft_command *self, int argc, char **argv)
{
    struct weft_config_args args = { .n_configs = 0 };
    const struct weft_flag flags[] = {
        { "--config", WEFT_FLAG_CONFIG, &args, "FILE", "several merge in order (also yaml:TEXT, env:NAME); without: the built-in default" },
        { "--set", WEFT_FLAG_SET, &args, "KEY=VALUE", "one value laid over the files: exporters.debug.verbosity=detailed" },
        { .name = NULL },
    };
    struct weft_words words;

    int parsed = weft_cli_parse(self, flags, argc, argv, &words);
    if (parsed)
        return parsed > 0 ? WEFT_EXIT_OK : WEFT_EXIT_USAGE;
    for (size_t i = 0; i < words.n; i++)
        args.configs[args.n_configs++] = words.items[i];

    struct weft_config *config = weft_cli_load(&args);
    if (!config)
        return WEFT_EXIT_CONFIG;
    warn_of_system(config);
    printf("the %s is valid: pipelines %zu, receivers %zu, processors %zu, exporters %zu\n",
           args.n_configs ? "configuration" : "built-in default (no --config given)", config->n_pipelines,
           config->n_components[WEFT_KIND_RECEIVER], config->n_components[WEFT_KIND_PROCESSOR],
           config->n_components[WEFT_KIND_EXPORTER]);
    if (config->service.journal_asked_by)
        printf("journals are on disk in %s, since sending_queue.storage of %s asks for it\n", config->service.journal_directory,
               config->service.journal_asked_by);
    weft_config_free(config);
    return WEFT_EXIT_OK;
}

static const char *signal_words(unsigned signals)
{
    static const char *const words[] = { "-", "traces", "logs", "traces, logs", "metrics", "traces, metrics", "logs, metrics",
                                         "traces, logs, metrics" };
    return words[signals & 7];
}

int weft_command_components(const struct weft_command *self, int argc, char **argv)
{
    static const struct weft_flag flags[] = { { .name = NULL } };
    struct weft_component c;

    int parsed = weft_cli_parse(self, flags, argc, argv, NULL);
    if (parsed)
        return parsed > 0 ? WEFT_EXIT_OK : WEFT_EXIT_USAGE;
    for (int kind = 0; kind < WEFT_KINDS; kind++) {
        for (size_t i = 0; weft_registry_at((enum weft_kind)kind, i, &c); i++) {
            if (i == 0)
                printf("%s%s:\n", kind ? "\n" : "", weft_kind_section(c.kind));
            printf("  %-16s %-22s %s\n", c.name, signal_words(c.signals), c.summary);
        }
    }
    return WEFT_EXIT_OK;
}

int weft_command_version(const struct weft_command *self, int argc, char **argv)
{
    static const struct weft_flag flags[] = { { .name = NULL } };

    int parsed = weft_cli_parse(self, flags, argc, argv, NULL);
    if (parsed)
        return parsed > 0 ? WEFT_EXIT_OK : WEFT_EXIT_USAGE;
    printf("weft %s\n", WEFT_VERSION);
    return WEFT_EXIT_OK;
}

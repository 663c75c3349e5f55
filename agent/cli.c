/* SPDX-License-Identifier: Apache-2.0 */
/* cli.c: see cli.h. */
#include "agent/cli.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int weft_cli_usage(const struct weft_command *self, const char *format, ...)
{
    va_list args;

    (void)fprintf(stderr, "weft %s: ", self->name);
    va_start(args, format);
    (void)vfprintf(stderr, format, args);
    va_end(args);
    (void)fprintf(stderr, " (see 'weft %s --help')\n", self->name);
    return WEFT_EXIT_USAGE;
}

static void print_help(const struct weft_command *self, const struct weft_flag *flags)
{
    printf("weft %s %s\n\n  %s\n", self->name, self->arguments, self->summary);
    if (flags->name)
        printf("\n");
    for (; flags->name; flags++) {
        char left[48];
        (void)snprintf(left, sizeof left, "%s%s%s", flags->name, flags->value ? " " : "", flags->value ? flags->value : "");
        printf("  %-24s %s\n", left, flags->help);
    }
}

static int add_config_arg(const struct weft_command *self, const struct weft_flag *flag, const char *value)
{
    struct weft_config_args *args = flag->into;
    bool set = flag->kind == WEFT_FLAG_SET;
    size_t *n = set ? &args->n_sets : &args->n_configs;

    if (*n == WEFT_CONFIG_ARGS_MAX)
        return weft_cli_usage(self, "%s is given too often", flag->name), -1;
    (set ? args->sets : args->configs)[(*n)++] = value;
    return 0;
}

static int store(const struct weft_command *self, const struct weft_flag *flag, const char *value)
{
    switch (flag->kind) {
    case WEFT_FLAG_SWITCH:
        *(bool *)flag->into = true;
        return 0;
    case WEFT_FLAG_TEXT:
        *(const char **)flag->into = value;
        return 0;
    default:
        return add_config_arg(self, flag, value);
    }
}

static const struct weft_flag *find_flag(const struct weft_flag *flags, const char *arg, size_t len)
{
    for (; flags->name; flags++)
        if (strlen(flags->name) == len && strncmp(flags->name, arg, len) == 0)
            return flags;
    return NULL;
}

static int unknown_flag(const struct weft_command *self, const struct weft_flag *flags, const char *arg)
{
    const char *names[32];
    size_t n = 0;

    for (; flags->name && n < 31; flags++)
        names[n++] = flags->name;
    names[n] = NULL;
    const char *near = weft_nearest(arg, names);
    weft_cli_usage(self, "unknown option '%s'%s%s%s", arg, near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
    return -1;
}

/* One argument that begins with '-'. `next` is the one behind it, or NULL. 1: `next` was used up. */
static int take_flag(const struct weft_command *self, const struct weft_flag *flags, const char *arg, const char *next)
{
    size_t len = strcspn(arg, "=");
    const struct weft_flag *flag = find_flag(flags, arg, len);
    bool joined = arg[len] == '=';

    if (!flag)
        return unknown_flag(self, flags, arg);
    if (flag->kind == WEFT_FLAG_SWITCH)
        return joined ? weft_cli_usage(self, "%s takes no value", flag->name), -1 : store(self, flag, NULL);
    if (!joined && !next)
        return weft_cli_usage(self, "%s needs a value: %s", flag->name, flag->value), -1;
    int err = store(self, flag, joined ? arg + len + 1 : next);
    return err ? err : !joined;
}

int weft_cli_parse(const struct weft_command *self, const struct weft_flag *flags, int argc, char **argv,
                   struct weft_words *ret_words)
{
    struct weft_words words = { .n = 0 };

    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            print_help(self, flags);
            return 1;
        }
        if (*argv[i] == '-' && argv[i][1]) {
            int used = take_flag(self, flags, argv[i], i + 1 < argc ? argv[i + 1] : NULL);
            if (used < 0)
                return -1;
            i += used;
        } else if (!ret_words || words.n == sizeof words.items / sizeof *words.items) {
            weft_cli_usage(self, "unexpected argument '%s'", argv[i]);
            return -1;
        } else {
            words.items[words.n++] = argv[i];
        }
    }
    if (ret_words)
        *ret_words = words;
    return 0;
}

void weft_cli_print_problems(const struct weft_problems *problems, const char *prefix)
{
    char text[1200];

    for (const struct weft_problem *p = problems->first; p; p = p->next) {
        weft_problem_text(p, text, sizeof text);
        (void)fprintf(stderr, "%s%s\n", prefix, text);
    }
}

struct weft_config *weft_cli_load(const struct weft_config_args *args)
{
    struct weft_config *config = NULL;
    int err = weft_config_load(args, &weft_expand_system, &config);

    if (!config) {
        (void)fprintf(stderr, "weft: out of memory\n");
        return NULL;
    }
    weft_cli_print_problems(&config->warnings, "warning: ");
    weft_cli_print_problems(&config->problems, "");
    if (!err)
        return config;
    weft_config_free(config);
    return NULL;
}

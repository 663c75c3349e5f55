/* SPDX-License-Identifier: Apache-2.0 */
/* main.c: argv to a command. What a command does is in its own file. */
#include "agent/cli.h"

#include <stdio.h>
#include <string.h>

const struct weft_command weft_commands[] = {
    { "run", "[--config FILE]...", "run in the foreground; SIGTERM drains and stops, SIGHUP reloads the configuration",
      weft_command_run },
    { "check", "--config FILE...", "check a configuration: exit 0 when valid, else 1 with FILE:LINE:COL: text on stderr",
      weft_command_check },
    { "config", "print|reference [COMPONENT|service|metrics]",
      "print the effective configuration, or every option (and metric) there is", weft_command_config },
    { "components", "", "list the components of this build", weft_command_components },
    { "healthcheck", "[--endpoint HOST:PORT]", "exit 0 when the running agent is ready", weft_command_healthcheck },
    { "dlq", "list|show|replay|purge [--exporter ID] [--reason WORD] [--older-than DURATION]",
      "dead letters: what back ends refused for good; show it, send it again, throw it away", weft_command_dlq },
    { "replay", "--exporter ID --since DURATION [--until DURATION] [--match EXPR]",
      "send records again that the journals still keep", weft_command_replay },
    { "demo", "[--rate N] [--duration DURATION] [--endpoint HOST:PORT] [--log-dir DIR]",
      "act out a web shop of four services that sends correlated OTLP and writes log files", weft_command_demo },
    { "version", "", "print the version", weft_command_version },
    { .name = NULL },
};

/* Named in the contract of the command line, but not part of this build. */
static const char *const later[] = { "trace", "tail", "top", "test", "setup", NULL };

static int print_help(FILE *to)
{
    (void)fprintf(to, "weft %s: receives logs, metrics and spans, ties them together by correlation ID, and exports them\n\n"
                      "usage: weft COMMAND [OPTION]...\n\n", WEFT_VERSION);
    for (const struct weft_command *c = weft_commands; c->name; c++)
        (void)fprintf(to, "  %-12s %s\n", c->name, c->summary);
    (void)fprintf(to, "\n'weft COMMAND --help' tells the options of a command.\n"
                      "Exit codes: 0 clean, 1 configuration error, 2 usage, 3 cannot start, 4 drain deadline passed.\n");
    return to == stdout ? WEFT_EXIT_OK : WEFT_EXIT_USAGE;
}

static const struct weft_command *find_command(const char *name)
{
    if (strcmp(name, "validate") == 0) /* the Collector's word */
        name = "check";
    if (strcmp(name, "--version") == 0)
        name = "version";
    for (const struct weft_command *c = weft_commands; c->name; c++)
        if (strcmp(c->name, name) == 0)
            return c;
    return NULL;
}

static int unknown_command(const char *name)
{
    const char *names[20];
    size_t n = 0;

    for (const char *const *word = later; *word; word++) {
        if (strcmp(*word, name) != 0)
            continue;
        (void)fprintf(stderr, "weft: '%s' is not in this build\n", name);
        return WEFT_EXIT_USAGE;
    }
    for (const struct weft_command *c = weft_commands; c->name && n < 19; c++)
        names[n++] = c->name;
    names[n] = NULL;
    const char *near = weft_nearest(name, names);
    (void)fprintf(stderr, "weft: unknown command '%s'%s%s%s (see 'weft --help')\n", name, near ? "; did you mean '" : "",
                  near ? near : "", near ? "'?" : "");
    return WEFT_EXIT_USAGE;
}

int main(int argc, char **argv)
{
    if (argc < 2)
        return print_help(stderr);
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0)
        return print_help(stdout);

    const struct weft_command *command = find_command(argv[1]);
    if (command)
        return command->run(command, argc - 2, argv + 2);
    return unknown_command(argv[1]);
}

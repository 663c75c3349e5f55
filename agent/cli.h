/* SPDX-License-Identifier: Apache-2.0 */
/* cli.h: the command line: commands, their flags, and the exit codes that scripts rely on.
 *
 * A flag is one row; the rows are the parser and the help text. Main thread.
 */
#ifndef WEFT_AGENT_CLI_H
#define WEFT_AGENT_CLI_H

#include "agent/config.h"
#include "core/log.h"

enum weft_exit {
    WEFT_EXIT_OK = 0,
    WEFT_EXIT_CONFIG = 1,   /* the configuration is wrong */
    WEFT_EXIT_USAGE = 2,    /* the command line is wrong */
    WEFT_EXIT_START = 3,    /* it cannot start: a port is taken, a directory cannot be written */
    WEFT_EXIT_DEADLINE = 4, /* stopped, but not everything was sent in time */
};

enum weft_flag_kind {
    WEFT_FLAG_SWITCH, /* bool */
    WEFT_FLAG_TEXT,   /* const char * */
    WEFT_FLAG_CONFIG, /* struct weft_config_args: one more --config */
    WEFT_FLAG_SET,    /* struct weft_config_args: one more --set */
};

struct weft_flag {
    const char *name;          /* "--config"; NULL ends the table */
    enum weft_flag_kind kind;
    void *into;
    const char *value;         /* what the help calls it: "FILE" */
    const char *help;
};

struct weft_command {
    const char *name;
    const char *arguments;     /* behind the name in the usage line: "[--config FILE]..." */
    const char *summary;       /* one line */
    int (*run)(const struct weft_command *self, int argc, char **argv); /* argv behind the name; an exit code */
};

/* The commands of this build; NULL name ends. */
extern const struct weft_command weft_commands[];

/* The commands, as `run` of struct weft_command says. */
int weft_command_run(const struct weft_command *self, int argc, char **argv);
int weft_command_check(const struct weft_command *self, int argc, char **argv);
int weft_command_config(const struct weft_command *self, int argc, char **argv);
int weft_command_components(const struct weft_command *self, int argc, char **argv);
int weft_command_healthcheck(const struct weft_command *self, int argc, char **argv);
int weft_command_dlq(const struct weft_command *self, int argc, char **argv);
int weft_command_replay(const struct weft_command *self, int argc, char **argv);
int weft_command_demo(const struct weft_command *self, int argc, char **argv);
int weft_command_version(const struct weft_command *self, int argc, char **argv);

/* What weft_cli_parse found beside flags. */
struct weft_words { const char *items[8]; size_t n; };

/* Reads flags into the rows' fields; other words go to *ret_words (NULL: none are allowed). 0: go on. 1: help was asked
 * for and printed. -1: usage error, told on stderr. */
int weft_cli_parse(const struct weft_command *self, const struct weft_flag *flags, int argc, char **argv,
                   struct weft_words *ret_words);

/* One line on stderr: "weft run: ...", and where help is. Returns WEFT_EXIT_USAGE. */
int weft_cli_usage(const struct weft_command *self, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Loads the configuration; problems and warnings go to stderr as FILE:LINE:COL: text. NULL after an error. */
struct weft_config *weft_cli_load(const struct weft_config_args *args);

/* Each on a line of stderr, behind `prefix`. */
void weft_cli_print_problems(const struct weft_problems *problems, const char *prefix);

#endif

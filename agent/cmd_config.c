/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_config.c: weft config print (the effective configuration) and weft config reference (every option). */
#include "agent/cli.h"
#include "agent/reference.h"
#include "agent/yaml.h"

#include <stdio.h>
#include <string.h>

static int write_out(struct weft_buf *text)
{
    bool ok = !text->err && fwrite(text->data, 1, text->len, stdout) == text->len && fflush(stdout) == 0;

    weft_buf_release(text);
    if (!ok)
        (void)fprintf(stderr, "weft config: cannot write the output\n");
    return ok ? WEFT_EXIT_OK : WEFT_EXIT_START;
}

static int print_effective(const struct weft_config_args *args, bool secrets)
{
    struct weft_config *config = weft_cli_load(args);
    struct weft_buf text;

    if (!config)
        return WEFT_EXIT_CONFIG;
    weft_buf_init(&text, 16 << 20);
    weft_yaml_print(config->root, secrets, &text);
    weft_config_free(config);
    return write_out(&text);
}

static int print_reference(const struct weft_command *self, const char *component, bool markdown)
{
    struct weft_buf text;

    weft_buf_init(&text, 16 << 20);
    if (weft_reference_print(component, markdown, &text))
        return write_out(&text);
    weft_buf_release(&text);
    return weft_cli_usage(self, "this build has no component '%s'; 'weft components' lists what there is, 'weft config reference service' "
                          "the keys of service", component);
}

int weft_command_config(const struct weft_command *self, int argc, char **argv)
{
    struct weft_config_args args = { .n_configs = 0 };
    bool markdown = false, secrets = false;
    const struct weft_flag flags[] = {
        { "--config", WEFT_FLAG_CONFIG, &args, "FILE", "print: a configuration; several merge in order" },
        { "--set", WEFT_FLAG_SET, &args, "KEY=VALUE", "print: one value laid over the files" },
        { "--show-secrets", WEFT_FLAG_SWITCH, &secrets, NULL, "print: passwords, tokens and the like as they are" },
        { "--markdown", WEFT_FLAG_SWITCH, &markdown, NULL, "reference: as a document" },
        { .name = NULL },
    };
    struct weft_words words;

    int parsed = weft_cli_parse(self, flags, argc, argv, &words);
    if (parsed)
        return parsed > 0 ? WEFT_EXIT_OK : WEFT_EXIT_USAGE;
    if (words.n == 1 && strcmp(words.items[0], "print") == 0)
        return print_effective(&args, secrets);
    if (words.n >= 1 && words.n <= 2 && strcmp(words.items[0], "reference") == 0)
        return print_reference(self, words.n == 2 ? words.items[1] : NULL, markdown);
    return weft_cli_usage(self, "say 'print' or 'reference [COMPONENT|service|metrics]'");
}

/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_config.c: any bytes as a configuration file: read, expanded, merged with itself, checked and printed. What was
 * taken as valid must print as text that is valid again. */
#include "agent/config.h"
#include "agent/yaml.h"

#include <stdlib.h>
#include <string.h>
#include <uv.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *variable(void *ctx, const char *name)
{
    (void)ctx;
    return strcmp(name, "X") == 0 ? "{a: [b]}" : NULL;
}

static int file(void *ctx, const char *path, struct weft_buf *out)
{
    const struct weft_slice *text = ctx;

    if (strcmp(path, "fuzz") != 0)
        return UV_ENOENT;
    weft_buf_append(out, text->data, text->len);
    return out->err;
}

static bool load(struct weft_slice text, struct weft_buf *printed)
{
    struct weft_expand expand = { .ctx = &text, .variable = variable, .file = file };
    struct weft_config_args args = { .configs = { "fuzz", "fuzz" }, .sets = { "service.ingest_loops=1" }, .n_configs = 2, .n_sets = 1 };
    struct weft_config *config = NULL;
    char line[1200];

    bool valid = weft_config_load(&args, &expand, &config) == 0;
    for (const struct weft_problem *p = config ? config->problems.first : NULL; p; p = p->next)
        weft_problem_text(p, line, sizeof line);
    if (valid)
        weft_yaml_print(config->root, true, printed);
    weft_config_free(config);
    return valid;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct weft_buf first, second;

    weft_buf_init(&first, 64 << 20);
    weft_buf_init(&second, 64 << 20);
    if (load(weft_slice_of(data, size), &first) && !first.err && !load(weft_buf_slice(&first), &second))
        abort();
    weft_buf_release(&first);
    weft_buf_release(&second);
    return 0;
}

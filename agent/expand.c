/* SPDX-License-Identifier: Apache-2.0 */
/* expand.c: see expand.h. */
#include "agent/expand.h"

#include "core/err.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct expansion {
    const struct weft_expand *from;
    const struct weft_node *where;
    struct weft_problems *problems;
};

static const char *system_variable(void *ctx, const char *name)
{
    (void)ctx;
    return getenv(name);
}

static int system_file(void *ctx, const char *path, struct weft_buf *out)
{
    ssize_t n = 0;
    (void)ctx;

    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    do {
        uint8_t *at = weft_buf_reserve(out, 4096);
        n = at ? read(fd, at, 4096) : -1;
        if (n > 0)
            out->len += (size_t)n;
    } while (n > 0);
    int err = out->err ? out->err : n < 0 ? -errno : 0;
    close(fd);
    return err;
}

const struct weft_expand weft_expand_system = { .variable = system_variable, .file = system_file };

static bool is_variable_name(const char *name, size_t len)
{
    if (len == 0 || isdigit((unsigned char)*name))
        return false;
    for (size_t i = 0; i < len; i++)
        if (!isalnum((unsigned char)name[i]) && name[i] != '_')
            return false;
    return true;
}

/* The '}' that closes the "${" before `text`, or NULL. Nested expressions are stepped over. */
static const char *find_close(const char *text, const char *end)
{
    unsigned depth = 1;

    for (; text < end; text++) {
        if (text[0] == '$' && text + 1 < end && text[1] == '{')
            depth++, text++;
        else if (*text == '}' && --depth == 0)
            return text;
    }
    return NULL;
}

static int expand_span(const struct expansion *x, const char *text, const char *end, unsigned depth, struct weft_buf *out);

static int expand_variable(const struct expansion *x, const char *text, const char *end, unsigned depth, struct weft_buf *out)
{
    char name[256];
    size_t len = (size_t)(end - text);
    const char *fallback = memmem(text, len, ":-", 2);
    size_t name_len = fallback ? (size_t)(fallback - text) : len;

    if (!is_variable_name(text, name_len) || name_len >= sizeof name) {
        weft_problem(x->problems, x->where, "'%.*s' is not the name of an environment variable", (int)name_len, text);
        return WEFT_ERR_CONFIG;
    }
    memcpy(name, text, name_len);
    name[name_len] = '\0';
    const char *value = x->from->variable(x->from->ctx, name);
    if (value)
        weft_buf_append_str(out, value);
    else if (fallback)
        return expand_span(x, fallback + 2, end, depth + 1, out);
    else if (x->from->warnings)
        weft_problem(x->from->warnings, x->where, "the environment variable %s is not set; using nothing in its place", name);
    return 0;
}

static int expand_file(const struct expansion *x, const char *text, const char *end, struct weft_buf *out)
{
    char path[4096];
    size_t len = (size_t)(end - text), before = out->len;

    if (len >= sizeof path) {
        weft_problem(x->problems, x->where, "the file name in ${file:..} is too long");
        return WEFT_ERR_CONFIG;
    }
    memcpy(path, text, len);
    path[len] = '\0';
    int err = x->from->file(x->from->ctx, path, out);
    if (err) {
        weft_problem(x->problems, x->where, "cannot read %s: %s", path, weft_err_text(err));
        return WEFT_ERR_CONFIG;
    }
    if (out->len > before && memchr(out->data + before, '\0', out->len - before)) {
        weft_problem(x->problems, x->where, "%s holds a NUL character", path);
        return WEFT_ERR_CONFIG;
    }
    while (out->len > before && (out->data[out->len - 1] == '\n' || out->data[out->len - 1] == '\r'))
        out->len--;
    return 0;
}

/* What stands between "${" and "}". */
static int expand_expression(const struct expansion *x, const char *text, const char *end, unsigned depth, struct weft_buf *out)
{
    const char *colon = memchr(text, ':', (size_t)(end - text));
    size_t scheme = colon && (colon + 1 == end || colon[1] != '-') ? (size_t)(colon - text) : 0;

    if (scheme == 0)
        return expand_variable(x, text, end, depth, out);
    if (scheme == 3 && memcmp(text, "env", 3) == 0)
        return expand_variable(x, colon + 1, end, depth, out);
    if (scheme == 4 && memcmp(text, "file", 4) == 0)
        return expand_file(x, colon + 1, end, out);
    weft_problem(x->problems, x->where, "'${%.*s:..}' is not known; there are ${env:NAME} and ${file:PATH} (write $${ for a plain ${)",
                 (int)(scheme > 40 ? 40 : scheme), text);
    return WEFT_ERR_CONFIG;
}

static int expand_span(const struct expansion *x, const char *text, const char *end, unsigned depth, struct weft_buf *out)
{
    if (depth > WEFT_EXPAND_MAX_DEPTH) {
        weft_problem(x->problems, x->where, "${..} is nested too deeply");
        return WEFT_ERR_CONFIG;
    }
    while (text < end) {
        const char *dollar = memchr(text, '$', (size_t)(end - text));
        weft_buf_append(out, text, (size_t)((dollar ? dollar : end) - text));
        if (!dollar)
            break;
        text = dollar + 1;
        if (text < end && *text == '{') {
            const char *close = find_close(text + 1, end);
            if (!close) {
                weft_problem(x->problems, x->where, "'${' is never closed by '}' (write $${ for a plain ${)");
                return WEFT_ERR_CONFIG;
            }
            int err = expand_expression(x, text + 1, close, depth, out);
            if (err)
                return err;
            text = close + 1;
        } else {
            weft_buf_append_byte(out, '$');
            text += text < end && *text == '$';
        }
    }
    return 0;
}

int weft_expand(const struct weft_expand *e, const char *text, const struct weft_node *where,
                struct weft_problems *problems, struct weft_buf *out, bool *ret_whole)
{
    struct expansion x = { e, where, problems };
    const char *end = text + strlen(text);

    int err = expand_span(&x, text, end, 0, out);
    if (err)
        return err;
    if (out->err) {
        weft_problem(problems, where, "the value is too large after ${..} was replaced");
        return WEFT_ERR_CONFIG;
    }
    *ret_whole = strncmp(text, "${", 2) == 0 && find_close(text + 2, end) == end - 1;
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/sources.h"
#include "agent/yaml.h"
#include "core/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>
#include <cmocka.h>

struct fixture {
    struct weft_arena arena;
    struct weft_problems problems, warnings;
    struct weft_expand expand;
};

static const char *variable(void *ctx, const char *name)
{
    (void)ctx;
    if (strcmp(name, "HOST") == 0)
        return "db.example";
    if (strcmp(name, "PASSWORD") == 0)
        return "p$$a${x}";
    if (strcmp(name, "LIST") == 0)
        return "[one, two]";
    if (strcmp(name, "EMPTY") == 0)
        return "";
    if (strcmp(name, "CONFIG") == 0)
        return "exporters: {debug: {verbosity: detailed}}";
    return NULL;
}

static int file(void *ctx, const char *path, struct weft_buf *out)
{
    (void)ctx;
    if (strcmp(path, "/token") == 0)
        weft_buf_append_str(out, "secret\n");
    else if (strcmp(path, "/base.yaml") == 0)
        weft_buf_append_str(out, "receivers:\n  a: {x: 1, y: 2}\nservice: {extensions: [h, p]}\n");
    else if (strcmp(path, "/over.yaml") == 0)
        weft_buf_append_str(out, "receivers:\n  a: {x: 9}\n  b:\nservice: {extensions: [z]}\n");
    else
        return UV_ENOENT;
    return 0;
}

static void set_up(struct fixture *f)
{
    memset(f, 0, sizeof *f);
    weft_arena_init(&f->arena, 32 << 20);
    f->problems.arena = f->warnings.arena = &f->arena;
    f->expand = (struct weft_expand){ .variable = variable, .file = file, .warnings = &f->warnings };
}

static int parse(struct fixture *f, const char *text, struct weft_node **ret_root)
{
    struct weft_yaml y = { .file = "t.yaml", .expand = &f->expand, .arena = &f->arena, .problems = &f->problems };

    return weft_yaml_parse(&y, weft_slice_str(text), ret_root);
}

/* The tree as YAML text again, in the arena. */
static const char *printed(struct fixture *f, const struct weft_node *root)
{
    struct weft_buf text;

    weft_buf_init(&text, 1 << 20);
    weft_yaml_print(root, true, &text);
    const char *copy = (const char *)weft_arena_copy(&f->arena, weft_buf_slice(&text)).data;
    weft_buf_release(&text);
    return copy;
}

static void places_are_kept(void **state)
{
    struct fixture f;
    struct weft_node *root;
    (void)state;

    set_up(&f);
    assert_int_equal(parse(&f, "a:\n  b: 1\n  c: [x,\n    y]\n", &root), 0);
    const struct weft_node *b = weft_node_get(weft_node_get(root, "a"), "b");
    assert_int_equal(b->line, 2);
    assert_int_equal(b->column, 6);
    assert_int_equal(b->key_column, 3);
    const struct weft_node *y = weft_node_get(weft_node_get(root, "a"), "c")->child->next;
    assert_int_equal(y->line, 4);
    assert_int_equal(y->column, 5);
    weft_arena_release(&f.arena);
}

static void what_is_read_can_be_printed_and_read_again(void **state)
{
    const struct { const char *what, *in, *out; } cases[] = {
        { "empty document", "", "\n" },
        { "nulls", "a:\nb: ~\nc: null\nd: \"\"\n", "a:\nb:\nc:\nd: \"\"\n" },
        { "nesting", "a: {b: [1, {c: d}], e: {}, f: []}\n", "a:\n  b:\n    - 1\n    -\n      c: d\n  e: {}\n  f: []\n" },
        { "quotes", "a: 'x: y'\nb: \"tab\\there\"\n", "a: \"x: y\"\nb: \"tab\\x09here\"\n" },
        { "anchor and alias", "a: &x {b: 1}\nc: *x\n", "a:\n  b: 1\nc:\n  b: 1\n" },
        { "merge key", "a: &x {b: 1, c: 2}\nd:\n  <<: *x\n  c: 3\n", "a:\n  b: 1\n  c: 2\nd:\n  c: 3\n  b: 1\n" },
        { "variable", "a: ${env:HOST}:9200\n", "a: db.example:9200\n" },
        { "bare name", "a: ${HOST}\n", "a: db.example\n" },
        { "default", "a: ${env:NONE:-x${env:HOST}}\n", "a: xdb.example\n" },
        { "set but empty beats the default, as in the Collector", "a: ${env:EMPTY:-x}\n", "a:\n" },
        { "a value is not expanded again", "a: ${env:PASSWORD}\n", "a: \"p$$$$a$${x}\"\n" },
        { "escape", "a: $$HOME and $${env:HOST} and $1\n", "a: \"$$HOME and $${env:HOST} and $$1\"\n" },
        { "a variable that holds a list", "a: ${env:LIST}\n", "a:\n  - one\n  - two\n" },
        { "the same within text stays text", "a: x${env:LIST}\n", "a: \"x[one, two]\"\n" },
        { "file", "a: ${file:/token}\n", "a: secret\n" },
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fixture f;
        struct weft_node *root = NULL, *again = NULL;
        set_up(&f);
        if (parse(&f, cases[i].in, &root))
            fail_msg("%s: %s", cases[i].what, f.problems.first->text);
        const char *text = printed(&f, root);
        if (strcmp(text, cases[i].out) != 0)
            fail_msg("%s: printed as\n%s", cases[i].what, text);
        if (parse(&f, text, &again) || strcmp(printed(&f, again), text) != 0)
            fail_msg("%s: cannot be read again", cases[i].what);
        weft_arena_release(&f.arena);
    }
}

static void bad_text_is_told_with_its_place(void **state)
{
    const struct { const char *in, *text; int line, column; } cases[] = {
        { "a: 1\nb: 2\na: 3\n", "'a' stands twice in this map; the first is in line 1", 3, 1 },
        { "a: *nobody\n", "this alias (*name) has no anchor (&name) before it", 1, 4 },
        { "a: &x\n  b: *x\n", "this alias (*name) has no anchor (&name) before it", 2, 6 },
        { "? [a]\n: b\n", "a key must be plain text", 1, 3 },
        { "a: 1\n---\nb: 2\n", "a second document begins here; a configuration is one document", 2, 1 },
        { "a: {b: 1\nc: 2\n", "not valid YAML: while parsing a flow mapping, did not find expected ',' or '}'", 2, 2 },
        { "a: b: c\n", "not valid YAML: mapping values are not allowed in this context (quote a value that has ': ' in it; "
                       "indent keys of one map alike)", 1, 5 },
        { "a: \"\\0\"\n", "a NUL character cannot stand in a value", 1, 4 },
        { "x: {<<: 1}\n", "the merge key '<<' takes a map or a list of maps", 1, 4 },
        { "a: ${env:HOST\n", "'${' is never closed by '}' (write $${ for a plain ${)", 1, 4 },
        { "a: ${vault:x}\n", "'${vault:..}' is not known; there are ${env:NAME} and ${file:PATH} (write $${ for a plain ${)", 1, 4 },
        { "a: ${env:1X}\n", "'1X' is not the name of an environment variable", 1, 4 },
        { "a: ${file:/none}\n", "cannot read /none: no such file or directory", 1, 4 },
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fixture f;
        struct weft_node *root;
        set_up(&f);
        if (parse(&f, cases[i].in, &root) != WEFT_ERR_CONFIG || f.problems.n != 1)
            fail_msg("%s: %zu problems", cases[i].in, f.problems.n);
        const struct weft_problem *p = f.problems.first;
        if (strcmp(p->text, cases[i].text) != 0 || p->line != cases[i].line || p->column != cases[i].column)
            fail_msg("%s: told as %d:%d: %s", cases[i].in, p->line, p->column, p->text);
        weft_arena_release(&f.arena);
    }
}

static void an_unset_variable_is_a_warning(void **state)
{
    struct fixture f;
    struct weft_node *root;
    (void)state;

    set_up(&f);
    assert_int_equal(parse(&f, "a: ${env:NONE}\n", &root), 0);
    assert_int_equal(weft_node_get(root, "a")->kind, WEFT_NODE_NULL);
    assert_int_equal(f.warnings.n, 1);
    assert_string_equal(f.warnings.first->text, "the environment variable NONE is not set; using nothing in its place");
    weft_arena_release(&f.arena);
}

/* Each line doubles what the one before stands for: nine lines would be half a billion nodes. */
static void aliases_cannot_multiply_without_bound(void **state)
{
    struct fixture f;
    struct weft_node *root;
    char text[4096];
    size_t len = (size_t)snprintf(text, sizeof text, "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    (void)state;

    for (int i = 1; i < 9; i++)
        len += (size_t)snprintf(text + len, sizeof text - len,
                                "a%d: &a%d [*a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d]\n", i, i, i - 1, i - 1, i - 1,
                                i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1);
    set_up(&f);
    assert_int_equal(parse(&f, text, &root), WEFT_ERR_CONFIG);
    assert_string_equal(f.problems.first->text, "the configuration is too large");
    weft_arena_release(&f.arena);
}

static void nesting_is_bounded(void **state)
{
    struct fixture f;
    struct weft_node *root;
    char text[10001];
    (void)state;

    memset(text, '[', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    set_up(&f);
    assert_int_equal(parse(&f, text, &root), WEFT_ERR_CONFIG);
    assert_string_equal(f.problems.first->text, "nested too deeply");
    weft_arena_release(&f.arena);
}

static const char *merged(struct fixture *f, const struct weft_config_args *args)
{
    const struct weft_node *root;

    if (weft_sources_load(args, &f->expand, &f->arena, &f->problems, &root))
        fail_msg("%s", f->problems.first->text);
    return printed(f, root);
}

static void sources_merge_in_order(void **state)
{
    const struct { const char *what; struct weft_config_args args; const char *out; } cases[] = {
        { "maps merge, lists replace", { .configs = { "/base.yaml", "file:/over.yaml" }, .n_configs = 2 },
          "receivers:\n  a:\n    x: 9\n    y: 2\n  b:\nservice:\n  extensions:\n    - z\n" },
        { "a path of keys", { .configs = { "yaml:receivers::a::x: [1]", "yaml:receivers::a::y: 2" }, .n_configs = 2 },
          "receivers:\n  a:\n    x:\n      - 1\n    y: 2\n" },
        { "two paths in one text", { .configs = { "yaml:{a::b: 1, a::c: 2, a::b::d: 3}" }, .n_configs = 1 },
          "a:\n  b:\n    d: 3\n  c: 2\n" },
        { "--set is laid over all files",
          { .configs = { "/base.yaml" }, .sets = { "receivers.a.x=7", "service.extensions=[q]" }, .n_configs = 1, .n_sets = 2 },
          "receivers:\n  a:\n    x: 7\n    y: 2\nservice:\n  extensions:\n    - q\n" },
        { "a variable that holds a configuration", { .configs = { "env:CONFIG" }, .n_configs = 1 },
          "exporters:\n  debug:\n    verbosity: detailed\n" },
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fixture f;
        set_up(&f);
        const char *text = merged(&f, &cases[i].args);
        if (strcmp(text, cases[i].out) != 0)
            fail_msg("%s:\n%s", cases[i].what, text);
        weft_arena_release(&f.arena);
    }
}

static void a_source_that_cannot_be_read_is_named(void **state)
{
    const struct { struct weft_config_args args; const char *text; } cases[] = {
        { { .configs = { "/none.yaml" }, .n_configs = 1 }, "/none.yaml: cannot read the configuration: no such file or directory" },
        { { .configs = { "env:NONE" }, .n_configs = 1 }, "--config env:NONE: this environment variable is not set" },
        { { .configs = { "https://x/y" }, .n_configs = 1 },
          "--config https://x/y: configurations are not fetched over the network; give a file" },
        { { .configs = { "yaml:[a]" }, .n_configs = 1 }, "a configuration is a map with receivers, exporters and service in it" },
        { { .sets = { "x" }, .n_sets = 1 }, "--set x: write KEY=VALUE, such as exporters.debug.verbosity=detailed" },
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fixture f;
        const struct weft_node *root;
        set_up(&f);
        assert_int_equal(weft_sources_load(&cases[i].args, &f.expand, &f.arena, &f.problems, &root), WEFT_ERR_CONFIG);
        assert_string_equal(f.problems.first->text, cases[i].text);
        weft_arena_release(&f.arena);
    }
}

static void secrets_are_not_printed(void **state)
{
    struct fixture f;
    struct weft_node *root;
    struct weft_buf text;
    (void)state;

    set_up(&f);
    assert_int_equal(parse(&f, "a: {password: x1, api_key: x2, token_file: /f, headers: {Authorization: x3, x-team: x4}, dd-api-key: x5, user: u}\n", &root), 0);
    weft_buf_init(&text, 4096);
    weft_yaml_print(root, false, &text);
    weft_buf_append_byte(&text, '\0');
    assert_string_equal((const char *)text.data, "a:\n  password: \"[REDACTED]\"\n  api_key: \"[REDACTED]\"\n  token_file: /f\n"
                                                 "  headers:\n    Authorization: \"[REDACTED]\"\n    x-team: \"[REDACTED]\"\n"
                                                 "  dd-api-key: \"[REDACTED]\"\n  user: u\n");
    weft_buf_release(&text);
    weft_arena_release(&f.arena);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(places_are_kept),
        cmocka_unit_test(what_is_read_can_be_printed_and_read_again),
        cmocka_unit_test(bad_text_is_told_with_its_place),
        cmocka_unit_test(an_unset_variable_is_a_warning),
        cmocka_unit_test(aliases_cannot_multiply_without_bound),
        cmocka_unit_test(nesting_is_bounded),
        cmocka_unit_test(sources_merge_in_order),
        cmocka_unit_test(a_source_that_cannot_be_read_is_named),
        cmocka_unit_test(secrets_are_not_printed),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

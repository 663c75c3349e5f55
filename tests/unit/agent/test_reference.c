/* SPDX-License-Identifier: Apache-2.0 */
/* The committed documents are what this build writes. */
#include "agent/reference.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void read_document(const char *name, struct weft_buf *out)
{
    char path[1024];

    (void)snprintf(path, sizeof path, "%s/docs/%s", WEFT_SOURCE_DIR, name);
    FILE *f = fopen(path, "r");
    if (!f)
        fail_msg("%s is missing", path);
    uint8_t *at = weft_buf_reserve(out, 1 << 20);
    assert_non_null(at);
    out->len = fread(at, 1, 1 << 20, f);
    (void)fclose(f);
}

/* The number of the line in which the two differ first. */
static unsigned first_difference(struct weft_slice a, struct weft_slice b)
{
    unsigned line = 1;

    for (size_t i = 0; i < a.len && i < b.len && a.data[i] == b.data[i]; i++)
        line += a.data[i] == '\n';
    return line;
}

static void check_document(const char *name, const char *component, const char *command)
{
    struct weft_buf committed, written;

    weft_buf_init(&committed, 4 << 20);
    weft_buf_init(&written, 4 << 20);
    read_document(name, &committed);
    assert_true(weft_reference_print(component, true, &written));
    assert_int_equal(written.err, 0);
    if (!weft_slice_equal(weft_buf_slice(&committed), weft_buf_slice(&written)))
        fail_msg("docs/%s is not current from line %u on; write it anew: %s > docs/%s", name,
                 first_difference(weft_buf_slice(&committed), weft_buf_slice(&written)), command, name);
    weft_buf_release(&committed);
    weft_buf_release(&written);
}

static void the_configuration_reference_is_current(void **state)
{
    (void)state;
    check_document("config.md", NULL, "weft config reference --markdown");
}

static void the_metrics_document_is_current(void **state)
{
    (void)state;
    check_document("metrics.md", "metrics", "weft config reference metrics --markdown");
}

static void an_unknown_component_has_no_reference(void **state)
{
    struct weft_buf out;
    (void)state;

    weft_buf_init(&out, 1 << 20);
    assert_false(weft_reference_print("no_such_thing", false, &out));
    weft_buf_release(&out);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_configuration_reference_is_current),
        cmocka_unit_test(the_metrics_document_is_current),
        cmocka_unit_test(an_unknown_component_has_no_reference),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

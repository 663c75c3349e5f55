/* SPDX-License-Identifier: Apache-2.0 */
/* What real clients sent (tests/samples/otlp-proto), told through our views, is what protoc says of it. */
#include "tests/support/otlp_text.h"

#include "core/err.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define SAMPLES WEFT_SOURCE_DIR "/tests/samples/otlp-proto/"

enum { TEXT_MAX = 1 << 20 };

static void load(const char *name, struct weft_buf *into)
{
    char path[512];
    uint8_t *at = weft_buf_reserve(into, TEXT_MAX);

    (void)snprintf(path, sizeof path, "%s%s", SAMPLES, name);
    FILE *f = fopen(path, "rb");
    if (!f || !at)
        fail_msg("%s: cannot read", path);
    into->len = fread(at, 1, TEXT_MAX, f);
    fclose(f);
}

static enum weft_signal signal_of(const char *name)
{
    return name[0] == 't' ? WEFT_TRACES : name[0] == 'l' ? WEFT_LOGS : WEFT_METRICS;
}

/* How often a line that opens an item (a data point) stands in the text. */
static uint32_t items_in(enum weft_signal signal, struct weft_slice text)
{
    static const char *const lines[] = { "\n    spans {", "\n    log_records {", "\n        data_points {" };
    uint32_t n = 0;
    const uint8_t *at = text.data, *end = text.data + text.len;

    while ((at = memmem(at, (size_t)(end - at), lines[signal], strlen(lines[signal])))) {
        n++;
        at++;
    }
    return n;
}

static void check_sample(const char *stem)
{
    const enum weft_signal signal = signal_of(stem);
    struct weft_buf payload, expected, text;
    char name[256];
    uint32_t items;

    weft_buf_init(&payload, TEXT_MAX);
    weft_buf_init(&expected, TEXT_MAX);
    weft_buf_init(&text, TEXT_MAX);
    (void)snprintf(name, sizeof name, "%s.pb", stem);
    load(name, &payload);
    (void)snprintf(name, sizeof name, "%s.decoded.txt", stem);
    load(name, &expected);

    if (weft_otlp_count(signal, weft_buf_slice(&payload), &items) != 0)
        fail_msg("%s: refused", stem);
    if (items == 0 || items != items_in(signal, weft_buf_slice(&expected)))
        fail_msg("%s: %u items", stem, items);
    if (otlp_text(signal, weft_buf_slice(&payload), false, &text) != 0)
        fail_msg("%s: a view failed", stem);
    if (!weft_slice_equal(weft_buf_slice(&text), weft_buf_slice(&expected)))
        fail_msg("%s: reads as\n%.*s", stem, (int)text.len, (const char *)text.data);
    weft_buf_release(&payload);
    weft_buf_release(&expected);
    weft_buf_release(&text);
}

static void every_sample_reads_as_protoc_reads_it(void **state)
{
    DIR *dir = opendir(SAMPLES);
    int samples = 0;
    (void)state;

    assert_non_null(dir);
    for (struct dirent *e; (e = readdir(dir));) {
        char *dot = strstr(e->d_name, ".pb");

        if (!dot || dot[3] != '\0')
            continue;
        *dot = '\0';
        check_sample(e->d_name);
        samples++;
    }
    closedir(dir);
    assert_int_equal(samples, 11);
}

/* Every prefix of a request is either malformed or ends between two fields of the request itself. */
static void a_cut_sample_is_malformed_wherever_it_is_cut(void **state)
{
    struct weft_buf payload;
    uint32_t items;
    (void)state;

    weft_buf_init(&payload, TEXT_MAX);
    load("metrics-frontend.pb", &payload);
    for (size_t len = 1; len < payload.len; len++) {
        uint8_t *exact = malloc(len); /* so that the sanitizer sees the true end */

        assert_non_null(exact);
        memcpy(exact, payload.data, len);
        if (weft_otlp_count(WEFT_METRICS, weft_slice_of(exact, len), &items) != WEFT_ERR_MALFORMED)
            fail_msg("accepted when cut at %zu", len);
        free(exact);
    }
    weft_buf_release(&payload);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_sample_reads_as_protoc_reads_it),
        cmocka_unit_test(a_cut_sample_is_malformed_wherever_it_is_cut),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

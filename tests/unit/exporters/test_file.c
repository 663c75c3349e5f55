/* SPDX-License-Identifier: Apache-2.0 */
#include "exporters/file.h"

#include "core/err.h"
#include "core/otlp_json.h"
#include "tests/support/exporter_rig.h"

#include <dirent.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>
#include <cmocka.h>

static char directory[64], path[128];

static int make_directory(void **state)
{
    (void)state;
    (void)snprintf(directory, sizeof directory, "/tmp/weft-test-file-XXXXXX");
    assert_non_null(mkdtemp(directory));
    (void)snprintf(path, sizeof path, "%s/out.json", directory);
    return 0;
}

static int remove_directory(void **state)
{
    DIR *dir = opendir(directory);
    (void)state;

    assert_non_null(dir);
    for (struct dirent *e; (e = readdir(dir));)
        if (e->d_name[0] != '.')
            (void)unlinkat(dirfd(dir), e->d_name, 0);
    closedir(dir);
    return rmdir(directory);
}

static unsigned files_in_directory(void)
{
    DIR *dir = opendir(directory);
    unsigned n = 0;

    for (struct dirent *e; (e = readdir(dir));)
        n += e->d_name[0] != '.';
    closedir(dir);
    return n;
}

static struct weft_buf contents(const char *name)
{
    struct weft_buf out;
    FILE *f = fopen(name, "rb");

    weft_buf_init(&out, 64 << 20);
    assert_non_null(f);
    uint8_t *at = weft_buf_reserve(&out, 32 << 20);
    assert_non_null(at);
    out.len = fread(at, 1, 32 << 20, f);
    fclose(f);
    return out;
}

/* A request with one log record whose body is `text`. */
static struct weft_buf log_request(const char *text)
{
    struct weft_buf b;

    weft_buf_init(&b, 16 << 20);
    struct weft_otlp_group g = weft_otlp_group_open(&b, weft_slice_of(NULL, 0), weft_slice_of(NULL, 0));
    size_t item = weft_wire_begin(&b, WEFT_OTLP_ITEMS);
    weft_any_put_string(&b, WEFT_LOG_BODY, weft_slice_str(text));
    weft_wire_end(&b, item);
    weft_otlp_group_close(&b, g);
    return b;
}

#define LINE(text) "{\"resourceLogs\":[{\"scopeLogs\":[{\"logRecords\":[{\"body\":{\"stringValue\":\"" text "\"}}]}]}]}\n"

static void assert_file_is(const char *name, const char *expected)
{
    struct weft_buf got = contents(name);

    if (!weft_slice_is(weft_buf_slice(&got), expected))
        fail_msg("%s has %.*s", name, (int)got.len, (const char *)got.data);
    weft_buf_release(&got);
}

static void send_logs(struct rig *rig, const char *const *texts, size_t n)
{
    struct weft_buf requests[RIG_RECORDS];

    rig_batch(rig, WEFT_LOGS);
    for (size_t i = 0; i < n; i++) {
        requests[i] = log_request(texts[i]);
        rig_add(rig, weft_buf_slice(&requests[i]), 1);
    }
    rig_send(rig);
    assert_int_equal(rig->dones, 1);
    for (size_t i = 0; i < n; i++)
        weft_buf_release(&requests[i]);
}

static void each_record_becomes_a_line(void **state)
{
    const struct rig_option options[] = { { "path", path, NULL }, { 0 } };
    const char *const texts[] = { "one", "two" };
    struct rig rig;
    (void)state;

    assert_int_equal(rig_start(&rig, &weft_exporter_file, options, NULL), 0);
    send_logs(&rig, texts, 2);
    assert_int_equal(rig.outcome, WEFT_SENT);
    assert_file_is(path, LINE("one") LINE("two")); /* before stop: nothing waits in a buffer */
    assert_int_equal(rig.batch.sent_bytes, strlen(LINE("one") LINE("two")));
    rig_stop(&rig);
}

static void a_file_is_emptied_at_the_start_unless_append_is_set(void **state)
{
    static const struct { const char *append; const char *expected; } cases[] = {
        { "false", LINE("new") },
        { "true", LINE("new") LINE("new") },
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct rig_option options[] = { { "path", path, NULL }, { "append", cases[i].append, NULL }, { 0 } };
        const char *const texts[] = { "new" };
        struct rig rig;
        assert_int_equal(rig_start(&rig, &weft_exporter_file, options, NULL), 0);
        send_logs(&rig, texts, 1);
        rig_stop(&rig);
        assert_file_is(path, cases[i].expected);
    }
}

static void protobuf_stands_behind_its_length(void **state)
{
    const struct rig_option options[] = { { "path", path, NULL }, { "format", "proto", NULL }, { 0 } };
    const char *const texts[] = { "one" };
    struct weft_buf request = log_request("one");
    struct rig rig;
    (void)state;

    assert_int_equal(rig_start(&rig, &weft_exporter_file, options, NULL), 0);
    send_logs(&rig, texts, 1);
    struct weft_buf got = contents(path);
    assert_int_equal(got.len, request.len + 4);
    assert_int_equal(got.data[0] << 24 | got.data[1] << 16 | got.data[2] << 8 | got.data[3], request.len);
    assert_memory_equal(got.data + 4, request.data, request.len);
    rig_stop(&rig);
    weft_buf_release(&got);
    weft_buf_release(&request);
}

static void a_full_disk_is_a_retry(void **state)
{
    const struct rig_option options[] = { { "path", "/dev/full", NULL }, { 0 } };
    const char *const texts[] = { "one" };
    struct rig rig;
    (void)state;

    assert_int_equal(rig_start(&rig, &weft_exporter_file, options, NULL), 0);
    send_logs(&rig, texts, 1);
    assert_int_equal(rig.outcome, WEFT_RETRY);
    assert_string_equal(rig.reason, "disk_full");
    assert_int_equal(rig.item_state[0], WEFT_ITEM_WAITING);
    rig_stop(&rig);
}

static void a_write_that_fails_half_way_leaves_no_torn_line(void **state)
{
    const struct rig_option options[] = { { "path", path, NULL }, { 0 } };
    const char *const first[] = { "first" }, *const second[] = { "second", "a longer line that does not fit any more" };
    struct rlimit before, tight;
    struct rig rig;
    (void)state;

    assert_int_equal(rig_start(&rig, &weft_exporter_file, options, NULL), 0);
    send_logs(&rig, first, 1);
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    tight = before;
    tight.rlim_cur = strlen(LINE("first") LINE("second")) + 10; /* within the third line */
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
    send_logs(&rig, second, 2);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(rig.outcome, WEFT_RETRY);
    assert_file_is(path, LINE("first"));
    send_logs(&rig, second, 2); /* and the retry writes it once */
    assert_int_equal(rig.outcome, WEFT_SENT);
    assert_file_is(path, LINE("first") LINE("second") LINE("a longer line that does not fit any more"));
    rig_stop(&rig);
}

static void what_has_no_json_form_is_rejected_and_its_neighbours_are_written(void **state)
{
    const struct rig_option options[] = { { "path", path, NULL }, { 0 } };
    struct weft_buf good = log_request("good");
    struct rig rig;
    (void)state;

    assert_int_equal(rig_start(&rig, &weft_exporter_file, options, NULL), 0);
    rig_batch(&rig, WEFT_LOGS);
    rig_add(&rig, weft_buf_slice(&good), 1);
    rig_add(&rig, WEFT_SLICE("\x0a\xff"), 3);
    rig_add(&rig, weft_buf_slice(&good), 1);
    rig_send(&rig);
    assert_int_equal(rig.dones, 1);
    assert_int_equal(rig.outcome, WEFT_SENT);
    const uint8_t expected[] = { WEFT_ITEM_SENT, WEFT_ITEM_REJECTED, WEFT_ITEM_REJECTED, WEFT_ITEM_REJECTED, WEFT_ITEM_SENT };
    assert_memory_equal(rig.item_state, expected, sizeof expected);
    assert_file_is(path, LINE("good") LINE("good"));
    rig_stop(&rig);
    weft_buf_release(&good);
}

static void a_retried_batch_leaves_out_what_is_settled(void **state)
{
    const struct rig_option options[] = { { "path", path, NULL }, { 0 } };
    struct weft_buf one = log_request("one"), two = log_request("two");
    struct rig rig;
    (void)state;

    assert_int_equal(rig_start(&rig, &weft_exporter_file, options, NULL), 0);
    rig_batch(&rig, WEFT_LOGS);
    rig_add(&rig, weft_buf_slice(&one), 1);
    rig_add(&rig, weft_buf_slice(&two), 1);
    rig.item_state[0] = WEFT_ITEM_REJECTED;
    rig.batch.attempt = 1;
    rig_send(&rig);
    assert_file_is(path, LINE("two"));
    rig_stop(&rig);
    weft_buf_release(&one);
    weft_buf_release(&two);
}

static void a_large_file_is_renamed_and_old_ones_are_deleted(void **state)
{
    const struct rig_option rotation[] = { { "max_megabytes", "1", NULL }, { "max_backups", "2", NULL }, { 0 } };
    const struct rig_option options[] = { { "path", path, NULL }, { "rotation", "", rotation }, { 0 } };
    static char large[600 << 10];
    const char *const texts[] = { large };
    struct rig rig;
    (void)state;

    memset(large, 'x', sizeof large - 1);
    assert_int_equal(rig_start(&rig, &weft_exporter_file, options, NULL), 0);
    for (unsigned i = 0; i < 3; i++)
        send_logs(&rig, texts, 1);
    assert_int_equal(files_in_directory(), 2); /* two batches in the backup, one in the file */
    struct weft_buf now = contents(path);
    assert_in_range(now.len, sizeof large - 1, sizeof large + 200);
    weft_buf_release(&now);
    for (unsigned i = 0; i < 9; i++)
        send_logs(&rig, texts, 1);
    assert_int_equal(files_in_directory(), 3);
    rig_stop(&rig);

    assert_int_equal(rig_start(&rig, &weft_exporter_file, options, NULL), 0); /* a restart keeps what is there */
    now = contents(path);
    assert_true(now.len > sizeof large);
    weft_buf_release(&now);
    rig_stop(&rig);
}

static void append_and_rotation_exclude_each_other(void **state)
{
    const struct rig_option rotation[] = { { 0 } };
    const struct rig_option options[] = { { "path", path, NULL }, { "append", "true", NULL }, { "rotation", "", rotation }, { 0 } };
    struct rig rig;
    (void)state;

    assert_int_equal(rig_start(&rig, &weft_exporter_file, options, NULL), WEFT_ERR_CONFIG);
    rig_stop(&rig);
}

static void a_file_that_cannot_be_opened_is_an_error_at_the_start(void **state)
{
    const struct rig_option options[] = { { "path", "/nonexistent/out.json", NULL }, { 0 } };
    struct rig rig;
    (void)state;

    assert_int_equal(rig_start(&rig, &weft_exporter_file, options, NULL), UV_ENOENT);
    rig_stop(&rig);
}

int main(int argc, char **argv)
{
#define IN_DIRECTORY(name) cmocka_unit_test_setup_teardown(name, make_directory, remove_directory)
    const struct CMUnitTest tests[] = {
        IN_DIRECTORY(each_record_becomes_a_line),
        IN_DIRECTORY(a_file_is_emptied_at_the_start_unless_append_is_set),
        IN_DIRECTORY(protobuf_stands_behind_its_length),
        IN_DIRECTORY(a_full_disk_is_a_retry),
        IN_DIRECTORY(a_write_that_fails_half_way_leaves_no_torn_line),
        IN_DIRECTORY(what_has_no_json_form_is_rejected_and_its_neighbours_are_written),
        IN_DIRECTORY(a_retried_batch_leaves_out_what_is_settled),
        IN_DIRECTORY(a_large_file_is_renamed_and_old_ones_are_deleted),
        IN_DIRECTORY(append_and_rotation_exclude_each_other),
        IN_DIRECTORY(a_file_that_cannot_be_opened_is_an_error_at_the_start),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

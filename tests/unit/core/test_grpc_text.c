/* SPDX-License-Identifier: Apache-2.0 */
/* test_grpc_text.c: grpc_status.c, grpc_frame.c and grpc_pool.c: the parts that know no HTTP/2. */
#include "core/err.h"
#include "core/grpc_frame.h"
#include "core/grpc_status.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>
#include <uv.h>

/* ---- status ---- */

static void timeouts_are_read_in_all_units(void **state)
{
    const struct {
        const char *text;
        int err;
        uint64_t ms;
    } cases[] = {
        { "9985m", 0, 9985 },
        { "10S", 0, 10000 },
        { "1M", 0, 60000 },
        { "2H", 0, 7200000 },
        { "1500u", 0, 2 },
        { "1n", 0, 1 },
        { "0n", 0, 0 },
        { "99999999H", 0, 99999999ull * 3600000 },
        { "", WEFT_ERR_MALFORMED, 0 },
        { "S", WEFT_ERR_MALFORMED, 0 },
        { "10", WEFT_ERR_MALFORMED, 0 },
        { "10s", WEFT_ERR_MALFORMED, 0 },
        { "-1S", WEFT_ERR_MALFORMED, 0 },
        { "123456789S", WEFT_ERR_MALFORMED, 0 },
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint64_t ms = 0;
        int err = weft_grpc_read_timeout(weft_slice_str(cases[i].text), &ms);
        if (err != cases[i].err || ms != cases[i].ms)
            fail_msg("\"%s\": %d, %llu ms", cases[i].text, err, (unsigned long long)ms);
    }
}

static void messages_are_percent_encoded(void **state)
{
    const struct {
        const char *in, *out;
    } cases[] = {
        { "plain words", "plain words" },
        { "100%", "100%25" },
        { "a\nb", "a%0Ab" },
        { "\xc3\xa9", "%C3%A9" },
        { "", "" },
    };
    struct weft_buf out;
    (void)state;

    weft_buf_init(&out, 1000);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        weft_buf_reset(&out);
        weft_grpc_put_message(&out, cases[i].in);
        if (!weft_slice_is(weft_buf_slice(&out), cases[i].out))
            fail_msg("%s: %.*s", cases[i].in, (int)out.len, (const char *)out.data);
    }
    weft_buf_release(&out);
}

static void binary_headers_are_base64_without_padding(void **state)
{
    const struct {
        const char *in, *out;
    } cases[] = {
        { "", "" }, { "f", "Zg" }, { "fo", "Zm8" }, { "foo", "Zm9v" }, { "foob", "Zm9vYg" }, { "\xff\xfe\xfd", "//79" },
    };
    struct weft_buf out;
    (void)state;

    weft_buf_init(&out, 1000);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        weft_buf_reset(&out);
        weft_grpc_put_binary(&out, weft_slice_str(cases[i].in));
        if (!weft_slice_is(weft_buf_slice(&out), cases[i].out))
            fail_msg("case %zu: %.*s", i, (int)out.len, (const char *)out.data);
    }
    weft_buf_release(&out);
}

/* ---- frames ---- */

static struct weft_slice message_of(uint8_t *bytes, uint8_t flag, uint32_t declared, size_t len)
{
    weft_grpc_frame_prefix(bytes, declared);
    bytes[0] = flag;
    for (size_t i = 0; i < len; i++)
        bytes[WEFT_GRPC_PREFIX + i] = (uint8_t)(i * 7);
    return weft_slice_of(bytes, WEFT_GRPC_PREFIX + len);
}

static int take_in_slices(struct weft_grpc_frame *f, struct weft_grpc_pool *pool, size_t max, struct weft_slice in, size_t n)
{
    int err = 0;

    for (size_t at = 0; !err && at < in.len; at += n)
        err = weft_grpc_frame_take(f, pool, max, weft_slice_of(in.data + at, n < in.len - at ? n : in.len - at));
    return err;
}

static void a_message_is_gathered_from_any_pieces(void **state)
{
    static uint8_t bytes[WEFT_GRPC_PREFIX + 300000];
    const size_t lengths[] = { 0, 1, 100, 4096, 65536, 65537, 300000 }, pieces[] = { 1, 3, 1000, 16384, 400000 };
    struct weft_grpc_pool pool;
    (void)state;

    weft_grpc_pool_init(&pool, 1 << 20, 1 << 20);
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
        for (size_t k = 0; k < sizeof pieces / sizeof *pieces; k++) {
            struct weft_grpc_frame f = { 0 };
            struct weft_slice in = message_of(bytes, 1, (uint32_t)lengths[i], lengths[i]);
            int err = take_in_slices(&f, &pool, 300000, in, pieces[k]);
            if (err || !weft_grpc_frame_whole(&f) || !weft_grpc_frame_compressed(&f) ||
                !weft_slice_equal(weft_grpc_frame_message(&f), weft_slice_from(in, WEFT_GRPC_PREFIX)))
                fail_msg("%zu bytes in pieces of %zu: %d", lengths[i], pieces[k], err);
            weft_grpc_frame_release(&f, &pool);
            assert_int_equal(pool.used, 0);
        }
    weft_grpc_pool_release(&pool);
}

static void a_message_in_one_piece_is_not_copied(void **state)
{
    uint8_t bytes[200];
    struct weft_grpc_pool pool;
    struct weft_grpc_frame f = { 0 };
    struct weft_slice in = message_of(bytes, 0, 100, 100);
    (void)state;

    weft_grpc_pool_init(&pool, 1, 0);
    assert_int_equal(weft_grpc_frame_take_all(&f, &pool, 1000, in), 0);
    assert_true(weft_grpc_frame_whole(&f));
    assert_ptr_equal(weft_grpc_frame_message(&f).data, bytes + WEFT_GRPC_PREFIX);
    weft_grpc_frame_release(&f, &pool);
    weft_grpc_pool_release(&pool);
}

static void bad_frames_are_refused(void **state)
{
    const struct {
        const char *what;
        uint8_t flag;
        uint32_t declared;
        size_t len;
        int err;
        bool whole;
    } cases[] = {
        { "unknown flag", 2, 1, 1, WEFT_ERR_MALFORMED, false },
        { "longer than allowed", 0, 1001, 0, WEFT_ERR_TOO_LARGE, false },
        { "four gigabytes", 0, UINT32_MAX, 0, WEFT_ERR_TOO_LARGE, false },
        { "bytes behind the message", 0, 10, 11, WEFT_ERR_MALFORMED, false },
        { "bytes behind an empty message", 0, 0, 1, WEFT_ERR_MALFORMED, true },
        { "less than declared", 0, 10, 9, 0, false },
        { "empty", 0, 0, 0, 0, true },
    };
    uint8_t bytes[2000];
    struct weft_grpc_pool pool;
    (void)state;

    weft_grpc_pool_init(&pool, 0, 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int whole_at_once = 0; whole_at_once < 2; whole_at_once++) {
            struct weft_grpc_frame f = { 0 };
            struct weft_slice in = message_of(bytes, cases[i].flag, cases[i].declared, cases[i].len);
            int err = whole_at_once ? weft_grpc_frame_take_all(&f, &pool, 1000, in)
                                    : take_in_slices(&f, &pool, 1000, in, 1);
            if (err != cases[i].err || (!err && weft_grpc_frame_whole(&f) != cases[i].whole))
                fail_msg("%s: %d", cases[i].what, err);
            weft_grpc_frame_release(&f, &pool);
        }
    weft_grpc_pool_release(&pool);
}

static void memory_follows_what_came_not_what_is_claimed(void **state)
{
    uint8_t bytes[100];
    struct weft_grpc_pool pool;
    struct weft_grpc_frame f = { 0 };
    (void)state;

    weft_grpc_pool_init(&pool, 0, 0);
    assert_int_equal(weft_grpc_frame_take(&f, &pool, 1u << 30, message_of(bytes, 0, 1u << 30, 1)), 0);
    assert_in_range(pool.used, 1, 64 * 1024);
    weft_grpc_frame_release(&f, &pool);
    weft_grpc_pool_release(&pool);
}

/* ---- the pool ---- */

static void the_ledger_has_a_ceiling(void **state)
{
    struct weft_grpc_pool pool;
    struct weft_grpc_block a = { 0 }, b = { 0 };
    (void)state;

    weft_grpc_pool_init(&pool, 1 << 20, 0);
    assert_int_equal(weft_grpc_pool_grow(&pool, &a, 0, 700000), 0);
    assert_int_equal(weft_grpc_pool_grow(&pool, &b, 0, 400000), WEFT_ERR_LIMIT);
    assert_null(b.data);
    assert_int_equal(weft_grpc_pool_grow(&pool, &a, 0, 1 << 20), 0); /* one message may have it all */
    assert_int_equal(pool.used, 1 << 20);
    weft_grpc_pool_give(&pool, &a);
    assert_int_equal(pool.used, 0);
    weft_grpc_pool_release(&pool);
}

static void a_block_is_used_again(void **state)
{
    struct weft_grpc_pool pool;
    struct weft_grpc_block a = { 0 };
    (void)state;

    weft_grpc_pool_init(&pool, 1 << 20, 64 * 1024);
    assert_int_equal(weft_grpc_pool_grow(&pool, &a, 0, 30000), 0);
    const uint8_t *first = a.data;
    weft_grpc_pool_give(&pool, &a);
    assert_int_equal(pool.kept, 32768);
    assert_int_equal(weft_grpc_pool_grow(&pool, &a, 0, 20000), 0);
    assert_ptr_equal(a.data, first);
    weft_grpc_pool_give(&pool, &a);
    weft_grpc_pool_trim(&pool);
    assert_int_equal(pool.kept, 0);
    weft_grpc_pool_release(&pool);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timeouts_are_read_in_all_units),
        cmocka_unit_test(messages_are_percent_encoded),
        cmocka_unit_test(binary_headers_are_base64_without_padding),
        cmocka_unit_test(a_message_is_gathered_from_any_pieces),
        cmocka_unit_test(a_message_in_one_piece_is_not_copied),
        cmocka_unit_test(bad_frames_are_refused),
        cmocka_unit_test(memory_follows_what_came_not_what_is_claimed),
        cmocka_unit_test(the_ledger_has_a_ceiling),
        cmocka_unit_test(a_block_is_used_again),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

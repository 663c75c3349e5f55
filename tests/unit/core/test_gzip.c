/* SPDX-License-Identifier: Apache-2.0 */
#include "core/gzip.h"

#include "core/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <uv.h>
#include <zlib.h>
#include <cmocka.h>

static const enum weft_gzip_library libraries[] = { WEFT_GZIP_FASTEST, WEFT_GZIP_ZLIB };
enum { LIBRARIES = 2 };

static uint64_t seed = 88172645463325252u;

static uint32_t pick(uint32_t below)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)(seed >> 11) % below;
}

/* Text with repeats, as payloads have them, and runs of noise. */
static void fill(uint8_t *p, size_t len)
{
    for (size_t i = 0; i < len;) {
        size_t run = 1 + pick(40);
        bool repeat = i > 64 && pick(3) > 0;
        size_t from = repeat ? pick((uint32_t)i) : 0;
        for (; run > 0 && i < len; run--, i++)
            p[i] = repeat ? p[from++] : (uint8_t)pick(256);
    }
}

/* An oracle of our own: one member by zlib at any level, with any header zlib can write. */
static void zlib_member(struct weft_slice in, int level, struct weft_buf *out)
{
    z_stream z = { 0 };
    gz_header header = { .name = (Bytef *)"body", .comment = (Bytef *)"c", .hcrc = pick(2) ? 1 : 0,
                         .extra = (Bytef *)"xx", .extra_len = 2 };

    assert_int_equal(deflateInit2(&z, level, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY), Z_OK);
    if (pick(2))
        deflateSetHeader(&z, &header);
    uLong bound = deflateBound(&z, in.len) + 64;
    uint8_t *at = weft_buf_reserve(out, bound);
    assert_non_null(at);
    z.next_in = (Bytef *)(uintptr_t)in.data;
    z.avail_in = (uInt)in.len;
    z.next_out = at;
    z.avail_out = (uInt)bound;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    out->len += bound - z.avail_out;
    deflateEnd(&z);
}

static void what_goes_in_comes_out_at_every_level(void **state)
{
    const size_t sizes[] = { 0, 1, 17, 4096, 65535, 65536, 300000 };
    uint8_t *plain = malloc(300000);
    struct weft_buf packed, out;
    (void)state;

    assert_non_null(plain);
    fill(plain, 300000);
    weft_buf_init(&packed, 1 << 20);
    weft_buf_init(&out, 1 << 20);
    for (int level = 1; level <= 9; level++) {
        struct weft_gzip *z;
        assert_int_equal(weft_gzip_new(&z, level), 0);
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            struct weft_slice parts[3] = { weft_slice_of(plain, sizes[i] / 3), weft_slice_of(NULL, 0),
                                           weft_slice_of(plain + sizes[i] / 3, sizes[i] - sizes[i] / 3) };
            weft_buf_reset(&packed);
            assert_int_equal(weft_gzip_run(z, parts, 3, &packed), 0);
            for (int l = 0; l < LIBRARIES; l++) {
                struct weft_gunzip *g;
                assert_int_equal(weft_gunzip_new_with(&g, libraries[l]), 0);
                weft_buf_reset(&out);
                int err = weft_gunzip_run(g, weft_buf_slice(&packed), &out);
                if (err || !weft_slice_equal(weft_buf_slice(&out), weft_slice_of(plain, sizes[i])))
                    fail_msg("level %d, %zu bytes, library %d: %d, %zu bytes", level, sizes[i], l, err, out.len);
                weft_gunzip_free(g);
            }
        }
        weft_gzip_free(z);
    }
    weft_buf_release(&packed);
    weft_buf_release(&out);
    free(plain);
}

static void a_level_out_of_range_is_refused(void **state)
{
    struct weft_gzip *z = NULL;
    (void)state;
    assert_int_equal(weft_gzip_new(&z, 0), UV_EINVAL);
    assert_int_equal(weft_gzip_new(&z, 10), UV_EINVAL);
    assert_null(z);
}

/* For each library: the body fits a ceiling of its own size, and one byte less refuses it with nothing beyond. */
static void the_ceiling_is_exact(void **state)
{
    const size_t sizes[] = { 1, 255, 256, 4096, 40000, 70000 };
    uint8_t *plain = malloc(70000);
    struct weft_buf packed, out;
    (void)state;

    assert_non_null(plain);
    fill(plain, 70000);
    weft_buf_init(&packed, 1 << 20);
    for (int l = 0; l < LIBRARIES; l++) {
        struct weft_gunzip *g;
        assert_int_equal(weft_gunzip_new_with(&g, libraries[l]), 0);
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            weft_buf_reset(&packed);
            zlib_member(weft_slice_of(plain, sizes[i]), 6, &packed);
            weft_buf_init(&out, sizes[i]);
            if (weft_gunzip_run(g, weft_buf_slice(&packed), &out) != 0 || out.len != sizes[i])
                fail_msg("library %d: %zu bytes do not fit a ceiling of the same size", l, sizes[i]);
            weft_buf_release(&out);
            weft_buf_init(&out, sizes[i] - 1);
            int err = weft_gunzip_run(g, weft_buf_slice(&packed), &out);
            if (err != WEFT_ERR_TOO_LARGE || out.len > sizes[i] - 1)
                fail_msg("library %d: %zu bytes under a ceiling one less: %d", l, sizes[i], err);
            weft_buf_release(&out);
        }
        weft_gunzip_free(g);
    }
    weft_buf_release(&packed);
    free(plain);
}

static void compression_stops_at_the_ceiling_too(void **state)
{
    uint8_t noise[8192];
    struct weft_buf out;
    (void)state;

    for (size_t i = 0; i < sizeof noise; i++)
        noise[i] = (uint8_t)pick(256);
    struct weft_slice in = weft_slice_of(noise, sizeof noise);
    for (int level = 1; level <= 9; level += 8) {
        struct weft_gzip *z;
        assert_int_equal(weft_gzip_new(&z, level), 0);
        weft_buf_init(&out, 1 << 20);
        assert_int_equal(weft_gzip_run(z, &in, 1, &out), 0);
        size_t exact = out.len;
        weft_buf_release(&out);
        weft_buf_init(&out, exact);
        assert_int_equal(weft_gzip_run(z, &in, 1, &out), 0);
        weft_buf_release(&out);
        weft_buf_init(&out, exact - 1);
        assert_int_equal(weft_gzip_run(z, &in, 1, &out), WEFT_ERR_TOO_LARGE);
        assert_int_equal(out.err, WEFT_ERR_TOO_LARGE);
        weft_buf_release(&out);
        weft_gzip_free(z);
    }
}

static void members_follow_one_another(void **state)
{
    struct weft_buf packed, out;
    (void)state;

    weft_buf_init(&packed, 1 << 16);
    weft_buf_init(&out, 1 << 16);
    zlib_member(WEFT_SLICE("one "), 9, &packed);
    zlib_member(WEFT_SLICE(""), 1, &packed);
    zlib_member(WEFT_SLICE("two"), 0, &packed);
    for (int l = 0; l < LIBRARIES; l++) {
        struct weft_gunzip *g;
        assert_int_equal(weft_gunzip_new_with(&g, libraries[l]), 0);
        weft_buf_reset(&out);
        assert_int_equal(weft_gunzip_run(g, weft_buf_slice(&packed), &out), 0);
        assert_true(weft_slice_is(weft_buf_slice(&out), "one two"));
        weft_gunzip_free(g);
    }
    weft_buf_release(&packed);
    weft_buf_release(&out);
}

static void what_is_not_a_whole_gzip_body_is_malformed(void **state)
{
    struct weft_buf good, bad, out;
    (void)state;

    weft_buf_init(&good, 1 << 16);
    weft_buf_init(&bad, 1 << 16);
    weft_buf_init(&out, 1 << 16);
    zlib_member(WEFT_SLICE("a body that is long enough to be worth some bytes, bytes, bytes"), 9, &good);
    for (int l = 0; l < LIBRARIES; l++) {
        struct weft_gunzip *g;
        assert_int_equal(weft_gunzip_new_with(&g, libraries[l]), 0);
        for (size_t cut = 0; cut < good.len; cut++) {
            weft_buf_reset(&out);
            if (weft_gunzip_run(g, weft_slice_of(good.data, cut), &out) != WEFT_ERR_MALFORMED)
                fail_msg("library %d: %zu bytes of %zu were taken", l, cut, good.len);
        }
        const char *tails[] = { "x", "\x1f\x8b", "garbage that is longer than a header" };
        for (size_t t = 0; t < sizeof tails / sizeof *tails; t++) {
            weft_buf_reset(&bad);
            weft_buf_append(&bad, good.data, good.len);
            weft_buf_append_str(&bad, tails[t]);
            weft_buf_reset(&out);
            if (weft_gunzip_run(g, weft_buf_slice(&bad), &out) != WEFT_ERR_MALFORMED)
                fail_msg("library %d: \"%s\" behind the body was taken", l, tails[t]);
        }
        for (size_t i = good.len - 8; i < good.len; i++) {
            weft_buf_reset(&bad);
            weft_buf_append(&bad, good.data, good.len);
            bad.data[i] ^= 0x40;
            weft_buf_reset(&out);
            if (weft_gunzip_run(g, weft_buf_slice(&bad), &out) != WEFT_ERR_MALFORMED)
                fail_msg("library %d: trailer byte %zu changed and not seen", l, i);
        }
        weft_buf_reset(&out);
        assert_int_equal(weft_gunzip_run(g, weft_buf_slice(&good), &out), 0); /* as good as new after all that */
        weft_gunzip_free(g);
    }
    weft_buf_release(&good);
    weft_buf_release(&bad);
    weft_buf_release(&out);
}

/* Each body whole or damaged: both libraries must come to the same verdict and the same bytes. */
static void both_libraries_agree_on_ten_thousand_bodies(void **state)
{
    uint8_t plain[3000];
    struct weft_buf packed, out[LIBRARIES];
    struct weft_gunzip *g[LIBRARIES];
    int refused = 0, err[LIBRARIES];
    (void)state;

    weft_buf_init(&packed, 1 << 20);
    for (int l = 0; l < LIBRARIES; l++) {
        weft_buf_init(&out[l], 4000);
        assert_int_equal(weft_gunzip_new_with(&g[l], libraries[l]), 0);
    }
    for (int round = 0; round < 10000; round++) {
        weft_buf_reset(&packed);
        for (uint32_t members = 1 + pick(2); members > 0; members--) {
            size_t len = pick(sizeof plain);
            fill(plain, len);
            zlib_member(weft_slice_of(plain, len), (int)pick(10), &packed);
        }
        for (uint32_t damage = pick(3); damage > 0; damage--)
            packed.data[pick((uint32_t)packed.len)] ^= (uint8_t)(1u << pick(8));
        size_t len = pick(4) ? packed.len : pick((uint32_t)packed.len);
        for (int l = 0; l < LIBRARIES; l++) {
            weft_buf_reset(&out[l]);
            err[l] = weft_gunzip_run(g[l], weft_slice_of(packed.data, len), &out[l]);
        }
        refused += err[0] != 0;
        /* A damaged body that grows past the ceiling may be called either: it depends on what is looked at first. */
        if ((err[0] == 0) != (err[1] == 0))
            fail_msg("round %d: %d and %d", round, err[0], err[1]);
        if (err[0] == 0)
            assert_true(weft_slice_equal(weft_buf_slice(&out[0]), weft_buf_slice(&out[1])));
    }
    assert_true(refused > 1000 && refused < 9000);
    for (int l = 0; l < LIBRARIES; l++) {
        weft_buf_release(&out[l]);
        weft_gunzip_free(g[l]);
    }
    weft_buf_release(&packed);
}

/* 256 MiB of zeroes in 260 KB: the work and the memory are those of the ceiling. */
static void a_bomb_costs_its_ceiling(void **state)
{
    static uint8_t zeroes[1 << 20];
    struct weft_buf bomb, out;
    struct weft_gzip *z;
    struct weft_slice parts[256];
    (void)state;

    for (size_t i = 0; i < 256; i++)
        parts[i] = weft_slice_of(zeroes, sizeof zeroes);
    weft_buf_init(&bomb, 8 << 20);
    assert_int_equal(weft_gzip_new(&z, 1), 0);
    assert_int_equal(weft_gzip_run(z, parts, 256, &bomb), 0);
    for (int l = 0; l < LIBRARIES; l++) {
        struct weft_gunzip *g;
        assert_int_equal(weft_gunzip_new_with(&g, libraries[l]), 0);
        weft_buf_init(&out, 1 << 20);
        assert_int_equal(weft_gunzip_run(g, weft_buf_slice(&bomb), &out), WEFT_ERR_TOO_LARGE);
        assert_true(out.cap <= 1 << 20);
        weft_buf_release(&out);
        weft_gunzip_free(g);
    }
    weft_gzip_free(z);
    weft_buf_release(&bomb);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_goes_in_comes_out_at_every_level),
        cmocka_unit_test(a_level_out_of_range_is_refused),
        cmocka_unit_test(the_ceiling_is_exact),
        cmocka_unit_test(compression_stops_at_the_ceiling_too),
        cmocka_unit_test(members_follow_one_another),
        cmocka_unit_test(what_is_not_a_whole_gzip_body_is_malformed),
        cmocka_unit_test(both_libraries_agree_on_ten_thousand_bodies),
        cmocka_unit_test(a_bomb_costs_its_ceiling),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

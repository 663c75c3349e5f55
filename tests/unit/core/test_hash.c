/* SPDX-License-Identifier: Apache-2.0 */
/* CRC-32C against the values of RFC 3720 B.4, and the instruction against the table. */
#include "core/hash.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void crc32c_gives_the_values_of_the_rfc(void **state)
{
    uint8_t zeroes[32] = { 0 }, ones[32], up[32], down[32];
    const struct { const char *what; const void *data; size_t len; uint32_t crc; } cases[] = {
        { "nothing",         "",          0,  0 },
        { "the check value", "123456789", 9,  0xe3069283 },
        { "32 zeroes",       zeroes,      32, 0x8a9136aa },
        { "32 ones",         ones,        32, 0x62a8ab43 },
        { "counting up",     up,          32, 0x46dd794e },
        { "counting down",   down,        32, 0x113fdb5c },
    };

    (void)state;
    memset(ones, 0xff, sizeof ones);
    for (uint8_t i = 0; i < 32; i++)
        up[i] = i, down[i] = (uint8_t)(31 - i);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (weft_crc32c(0, cases[i].data, cases[i].len) != cases[i].crc
            || weft_crc32c_portable(0, cases[i].data, cases[i].len) != cases[i].crc)
            fail_msg("%s", cases[i].what);
}

static void instruction_and_table_agree_for_every_length_and_split(void **state)
{
    uint8_t bytes[257];

    (void)state;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 167 + 13);
    for (size_t len = 0; len <= sizeof bytes; len++) {
        uint32_t whole = weft_crc32c(7, bytes, len);
        size_t half = len / 3;
        if (whole != weft_crc32c_portable(7, bytes, len)
            || whole != weft_crc32c(weft_crc32c(7, bytes, half), bytes + half, len - half))
            fail_msg("%zu bytes", len);
    }
}

static void equal_bytes_hash_equally_and_the_seed_matters(void **state)
{
    (void)state;
    assert_int_equal(weft_hash64(WEFT_SLICE("abc"), 1), weft_hash64(WEFT_SLICE("abc"), 1));
    assert_int_not_equal(weft_hash64(WEFT_SLICE("abc"), 1), weft_hash64(WEFT_SLICE("abc"), 2));
    assert_int_not_equal(weft_hash64(WEFT_SLICE("abc"), 1), weft_hash64(WEFT_SLICE("abd"), 1));
    assert_int_equal(weft_hash64(weft_slice_of(NULL, 0), 0), weft_hash64(WEFT_SLICE(""), 0));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crc32c_gives_the_values_of_the_rfc),
        cmocka_unit_test(instruction_and_table_agree_for_every_length_and_split),
        cmocka_unit_test(equal_bytes_hash_equally_and_the_seed_matters),
    };

    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

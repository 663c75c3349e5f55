/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a file of positions: refused, or a table that is written as it was read. The first byte says whether the
 * checksum and the length are made right, so that what is behind them is reached. */
#include "receivers/filelog_positions.h"

#include "core/hash.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { HEADER = 32, AT_CRC = 20, AT_LENGTH = 24, LIMIT = 64 };

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void make_right(uint8_t *bytes, size_t len)
{
    for (unsigned i = 0; i < 8; i++)
        bytes[AT_LENGTH + i] = (uint8_t)((uint64_t)(len - HEADER) >> 8 * i);
    uint32_t crc = weft_crc32c(0, bytes, AT_CRC);
    crc = weft_crc32c(crc, bytes + AT_LENGTH, len - AT_LENGTH);
    for (unsigned i = 0; i < 4; i++)
        bytes[AT_CRC + i] = (uint8_t)(crc >> 8 * i);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct weft_filelog_known k;
    struct weft_buf again;
    bool settled = false;

    if (size < 1 || size > 1 << 20)
        return 0;
    uint8_t *bytes = malloc(size);
    check(bytes != NULL);
    memcpy(bytes, data + 1, size - 1);
    if (data[0] % 2 && size - 1 >= HEADER)
        make_right(bytes, size - 1);
    weft_filelog_known_init(&k, LIMIT);
    weft_buf_init(&again, 2 << 20);
    if (weft_filelog_positions_decode(weft_slice_of(bytes, size - 1), &k, &settled) == 0) {
        struct weft_filelog_known twice;
        const size_t n = k.n;
        bool settled_again = !settled;
        check(n <= LIMIT);
        check(weft_filelog_positions_encode(&k, settled, &again) == 0);
        weft_filelog_known_init(&twice, LIMIT);
        check(weft_filelog_positions_decode(weft_buf_slice(&again), &twice, &settled_again) == 0);
        check(twice.n == n && settled_again == settled);
        weft_filelog_known_release(&twice);
    } else {
        check(k.n == 0);
    }
    weft_filelog_known_release(&k);
    weft_buf_release(&again);
    free(bytes);
    return 0;
}

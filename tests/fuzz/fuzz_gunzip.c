/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_gunzip.c: any bytes as a gzip body, through both libraries: never beyond the ceiling, what zlib takes the other
 * takes too, and they agree on what it holds. (isa-l also takes incomplete Huffman codes, which zlib refuses; the
 * checksum still has to be right.) */
#include "core/gzip.h"

#include <stdint.h>
#include <stdlib.h>

enum { CEILING = 100000 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int run(enum weft_gzip_library library, struct weft_slice in, struct weft_buf *out)
{
    struct weft_gunzip *g;

    if (weft_gunzip_new_with(&g, library) != 0)
        abort();
    weft_buf_init(out, CEILING);
    int err = weft_gunzip_run(g, in, out);
    weft_gunzip_free(g);
    if (out->cap > CEILING || out->len > out->cap)
        abort();
    return err;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct weft_buf a, b;
    int err_a = run(WEFT_GZIP_FASTEST, weft_slice_of(data, size), &a);
    int err_b = run(WEFT_GZIP_ZLIB, weft_slice_of(data, size), &b);

    if (err_b == 0 && err_a != 0)
        abort();
    if (err_b == 0 && !weft_slice_equal(weft_buf_slice(&a), weft_buf_slice(&b)))
        abort();
    weft_buf_release(&a);
    weft_buf_release(&b);
    return 0;
}

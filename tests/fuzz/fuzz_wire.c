/* SPDX-License-Identifier: Apache-2.0 */
/* The cursor on any bytes: it ends, it stays inside, and what it reads can be written and read again. */
#include "core/wire.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
    if (!ok)
        abort();
}

static void write_again(struct weft_buf *b, const struct weft_field *f)
{
    switch (f->type) {
    case WEFT_VARINT:
        weft_wire_put_varint(b, f->number, f->scalar);
        break;
    case WEFT_FIXED64:
        weft_wire_put_fixed64(b, f->number, f->scalar);
        break;
    case WEFT_FIXED32:
        weft_wire_put_fixed32(b, f->number, (uint32_t)f->scalar);
        break;
    case WEFT_LENGTH:
        weft_wire_put_bytes(b, f->number, f->bytes);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct weft_slice rest = weft_slice_of(data, size), again, packed = rest;
    struct weft_field f, g;
    struct weft_buf b;
    uint64_t value;

    weft_buf_init(&b, 4 * size + 64);
    while (weft_wire_next(&rest, &f) > 0) {
        must(f.type != WEFT_LENGTH || (f.bytes.data >= data && f.bytes.data + f.bytes.len <= data + size));
        write_again(&b, &f);
    }
    must(b.err == 0 && b.len <= size); /* our own form is the shortest */
    again = weft_buf_slice(&b);
    for (rest = weft_slice_of(data, size); weft_wire_next(&rest, &f) > 0;) {
        must(weft_wire_next(&again, &g) == 1);
        must(f.number == g.number && f.type == g.type);
        must(f.type == WEFT_LENGTH ? weft_slice_equal(f.bytes, g.bytes) : f.scalar == g.scalar);
    }
    must(weft_wire_next(&again, &g) == 0);
    while (weft_wire_next_varint(&packed, &value) > 0)
        continue;
    weft_buf_release(&b);
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The first byte chooses the signal, the rest is a request. What the check accepts comes out of the correlation processor with
 * tags put in and nothing else changed; what it refuses is an error or passes, and never a read out of bounds. */
#include "processors/correlation.h"

#include "core/arena.h"
#include "core/otlp.h"
#include "tests/support/splice_check.c" /* fuzz targets are one file each */

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct weft_processor *make(void)
{
    static struct weft_arena arena;
    struct weft_problems problems = { .arena = &arena };
    struct weft_processor *p = calloc(1, weft_processor_correlation.size);

    weft_arena_init(&arena, 1 << 20);
    if (!p ||
        weft_options_load(weft_processor_correlation.options, "processors::correlation", NULL, p, &arena, &problems) != 0 ||
        weft_processor_correlation.start(p) != 0)
        abort();
    return p;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct weft_processor *processor;
    struct weft_arena scratch;
    uint32_t before, after;

    if (!processor)
        processor = make();
    if (size == 0)
        return 0;
    struct weft_record record = { .signal = (enum weft_signal)(data[0] % WEFT_SIGNALS),
                                  .payload = weft_slice_of(data + 1, size - 1) };
    const struct weft_slice plain = record.payload;
    const bool accepted = weft_otlp_count(record.signal, plain, &before) == 0;

    weft_arena_init(&scratch, 1 << 24);
    const int result = weft_processor_correlation.process(processor, &record, &scratch);
    if (accepted && (result != 1 || splice_check(record.signal, plain, record.payload) ||
                     weft_otlp_count(record.signal, record.payload, &after) != 0 || after != before))
        abort();
    weft_arena_release(&scratch);
    return 0;
}

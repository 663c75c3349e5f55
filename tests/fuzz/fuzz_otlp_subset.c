/* SPDX-License-Identifier: Apache-2.0 */
/* The first byte chooses the signal, the second which items wait, the rest is a request. A subset of what the check of OTLP
 * accepts is accepted too and holds as many items as it says; with its complement it holds all of them. */
#include "core/otlp_subset.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ITEMS_MAX = 4096 };

static void must(bool yes)
{
    if (!yes)
        abort();
}

static uint64_t take(const struct weft_batch *batch, struct weft_buf *out)
{
    uint64_t n;
    uint32_t counted;

    weft_buf_reset(out);
    must(weft_otlp_subset(batch, 0, batch->n_items, out, &n) == 0);
    must(weft_otlp_count(batch->signal, weft_buf_slice(out), &counted) == 0 && counted == n);
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t states[ITEMS_MAX];
    struct weft_record record = { 0 };
    struct weft_batch batch = { .records = &record, .n_records = 1, .item_state = states };
    struct weft_buf out;

    if (size < 2)
        return 0;
    batch.signal = data[0] % WEFT_SIGNALS;
    record.payload = weft_slice_of(data + 2, size - 2);
    if (weft_otlp_count(batch.signal, record.payload, &record.n_items) || record.n_items > ITEMS_MAX)
        return 0;
    batch.n_items = record.n_items;
    weft_buf_init(&out, 32u << 20);
    for (uint32_t i = 0; i < record.n_items; i++)
        states[i] = data[1] >> i % 8 & 1 ? WEFT_ITEM_WAITING : WEFT_ITEM_SENT;
    uint64_t n = take(&batch, &out);
    for (uint32_t i = 0; i < record.n_items; i++)
        states[i] = states[i] == WEFT_ITEM_SENT ? WEFT_ITEM_WAITING : WEFT_ITEM_SENT;
    must(n + take(&batch, &out) == batch.n_items);
    weft_buf_release(&out);
    return 0;
}

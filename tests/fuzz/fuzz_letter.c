/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a dead letter's message: what is read can be written again and reads the same. */
#include "agent/letter.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool yes)
{
    if (!yes)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct weft_letter first, second;
    struct weft_buf b;

    if (weft_letter_read(weft_slice_of(data, size), &first))
        return 0;
    weft_buf_init(&b, 64u << 20);
    weft_letter_write_head(&b, &first);
    if (!first.gone_last && first.body.len)
        weft_buf_append(&b, first.body.data, first.body.len);
    must(!b.err && weft_letter_read(weft_buf_slice(&b), &second) == 0);
    must(first.gone_last == second.gone_last && first.n_items == second.n_items);
    must(first.gone_last || (weft_slice_equal(first.body, second.body) && first.signal == second.signal));
    must(first.gone_last || (first.sequence == second.sequence && first.journal_id == second.journal_id));
    must(second.detail.len <= WEFT_LETTER_DETAIL && second.reason.len <= WEFT_LETTER_REASON);
    weft_buf_release(&b);
    return 0;
}

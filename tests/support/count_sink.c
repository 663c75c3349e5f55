/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/count_sink.h"

static int commit(struct weft_sink *base, struct weft_record *record)
{
    struct count_sink *s = (struct count_sink *)base;

    if (s->answer)
        return s->answer;
    s->commits++;
    s->items += record->n_items;
    s->signal = record->signal;
    weft_buf_reset(&s->last);
    weft_buf_append(&s->last, record->payload.data, record->payload.len);
    return 0;
}

static void refuse(struct weft_sink *base, enum weft_refusal reason, uint64_t items)
{
    struct count_sink *s = (struct count_sink *)base;
    (void)items;
    s->refused[reason]++;
}

void count_sink_init(struct count_sink *s)
{
    *s = (struct count_sink){ .base = { commit, refuse } };
    weft_buf_init(&s->last, 64u << 20);
}

void count_sink_release(struct count_sink *s)
{
    weft_buf_release(&s->last);
}

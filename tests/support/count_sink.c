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

static bool await(struct weft_sink *base, struct weft_commit *commit)
{
    struct count_sink *s = (struct count_sink *)base;

    if (s->n_waiting == sizeof s->waiting / sizeof *s->waiting)
        return false;
    commit->ticket = s->n_waiting;
    s->waiting[s->n_waiting++] = commit;
    return true;
}

static bool forget(struct weft_sink *base, struct weft_commit *commit)
{
    struct count_sink *s = (struct count_sink *)base;

    s->waiting[commit->ticket] = NULL;
    s->forgotten++;
    return s->durable;
}

void count_sink_make_wait(struct count_sink *s)
{
    s->base.await = await;
    s->base.forget = forget;
}

void count_sink_end(struct count_sink *s, unsigned i, int err)
{
    struct weft_commit *commit = s->waiting[i];

    s->waiting[i] = NULL;
    commit->done(commit, err);
}

void count_sink_init(struct count_sink *s)
{
    *s = (struct count_sink){ .base = { .commit = commit, .refuse = refuse } };
    weft_buf_init(&s->last, 64u << 20);
}

void count_sink_release(struct count_sink *s)
{
    weft_buf_release(&s->last);
}

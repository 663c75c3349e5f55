/* SPDX-License-Identifier: Apache-2.0 */
/* lane_letters.c: what a back end has refused for good goes into the exporter's dead-letter journal.
 *
 * Back ends that judge item by item refuse neighbours one by one; a refusal is held back until the next one is
 * known, so that neighbours with the same words share a letter. It is written before the items are counted, and flushed before
 * the batch can settle: a process that dies in between sends the items again, it never forgets them. What
 * cannot be written is dropped, counted by its own reasons; but a letter that is sent again stays as it is rather than cost another. */
#include "agent/lane_state.h"

#include "core/clock.h"
#include "core/err.h"
#include "core/otlp_subset.h"

#include <stdio.h>

enum { KEPT_BUFFER = 64 << 10 };

static void copy_words(char *to, size_t size, const char *from)
{
    (void)snprintf(to, size, "%s", from ? from : "");
}

/* ---- one letter ---- */
static int put_letter(struct weft_lane *lane, const struct weft_lane_batch *b, const struct weft_record *record, uint32_t first,
                      uint32_t end)
{
    const struct weft_lane_refusal *refusal = &lane->refusal;
    struct weft_letter letter = {
        .body = record->payload,
        .signal = b->base.signal,
        .reason = weft_slice_str(refusal->reason),
        .detail = weft_slice_str(refusal->detail),
        .pipeline = weft_slice_str(b->base.pipeline),
        .journal_id = b->base.journal_id,
        .sequence = record->sequence,
        .first_item = record->first_item + first,
        .n_items = end - first,
        .arrived_ns = record->wall_ns,
        .refused_ns = weft_clock_wall_ns(),
        .status = weft_letter_status(refusal->reason),
    };

    if (end - first < record->n_items) {
        weft_buf_reset(&lane->letter_body);
        if (lane->cutter.payload.data != record->payload.data)
            weft_otlp_cutter_begin(&lane->cutter, b->base.signal, record->payload);
        int err = weft_otlp_cutter_cut(&lane->cutter, first, end, &lane->letter_body);
        if (err)
            return err;
        letter.body = weft_buf_slice(&lane->letter_body);
    }
    return (weft_lane_replay_has_letters(b) ? weft_letters_put_again : weft_letters_put)(lane->letters, &letter);
}

static void cannot_write(struct weft_lane *lane, struct weft_lane_batch *b, uint64_t first, uint64_t n, int err)
{
    unsigned more = 0;

    memset(b->base.item_state + first, WEFT_ITEM_DROPPED, (size_t)n);
    weft_lane_count_lost(lane, b, WEFT_ITEM_DROPPED,
                         err == WEFT_ERR_TOO_LARGE ? "dead_letter_too_large" : "dead_letter_not_written", n);
    if (weft_log_gate_open(&lane->words.letters, weft_clock_mono_ms(), &more))
        weft_log(lane->exporter->log, WEFT_LOG_ERROR, lane->id, "%llu refused %s cannot be kept as dead letters: %s; they are dropped",
                 (unsigned long long)n, weft_signal_items(b->base.signal, n), weft_err_text(err));
}

/* Items [first, end) of one record, which begins with the batch's item `base`: as one letter, or as halves when that is too large. */
static void write_run(struct weft_lane *lane, struct weft_lane_batch *b, const struct weft_record *record, uint64_t base,
                      uint32_t first, uint32_t end)
{
    int err = put_letter(lane, b, record, first, end);

    if (err == WEFT_ERR_TOO_LARGE && end - first > 1) {
        write_run(lane, b, record, base, first, first + (end - first) / 2);
        write_run(lane, b, record, base, first + (end - first) / 2, end);
    } else if (err == WEFT_ERR_FULL && weft_lane_replay_has_letters(b)) {
        weft_lane_replay_leave_letter(b, (size_t)(record - b->base.records));
        weft_lane_count_lost(lane, b, WEFT_ITEM_REJECTED, lane->refusal.reason, end - first);
    } else if (err) {
        cannot_write(lane, b, base + first, end - first, err);
    } else {
        weft_lane_count_lost(lane, b, WEFT_ITEM_REJECTED, lane->refusal.reason, end - first);
    }
}

/* ---- the refusal that is held back ---- */
void weft_lane_flush_letters(struct weft_lane *lane)
{
    struct weft_lane_refusal *refusal = &lane->refusal;
    struct weft_lane_batch *b = refusal->batch;
    uint64_t base = 0;

    if (!b)
        return;
    refusal->batch = NULL;
    for (size_t i = 0; i < b->base.n_records && base < refusal->end; i++) {
        const struct weft_record *record = &b->base.records[i];
        uint64_t next = base + record->n_items;
        uint64_t from = refusal->first > base ? refusal->first : base, to = refusal->end < next ? refusal->end : next;
        if (from < to)
            write_run(lane, b, record, base, (uint32_t)(from - base), (uint32_t)(to - base));
        base = next;
    }
}

void weft_lane_end_letters(struct weft_lane *lane)
{
    weft_lane_flush_letters(lane);
    lane->cutter.payload.data = NULL; /* the next record may lie at the same place */
    if (lane->letter_body.cap > KEPT_BUFFER)
        weft_buf_release(&lane->letter_body);
}

static bool goes_on(const struct weft_lane_refusal *r, const struct weft_lane_batch *b, uint64_t first, const char *reason,
                    const char *detail)
{
    return r->batch == b && r->end == first && strncmp(r->reason, reason, sizeof r->reason - 1) == 0
           && strncmp(r->detail, detail ? detail : "", sizeof r->detail - 1) == 0;
}

void weft_lane_refuse(struct weft_lane *lane, struct weft_lane_batch *b, uint64_t first, uint64_t n, const char *reason,
                      const char *detail)
{
    struct weft_lane_refusal *refusal = &lane->refusal;

    if (!goes_on(refusal, b, first, reason, detail)) {
        weft_lane_flush_letters(lane);
        refusal->batch = b;
        refusal->first = first;
        copy_words(refusal->reason, sizeof refusal->reason, reason);
        copy_words(refusal->detail, sizeof refusal->detail, detail);
    }
    refusal->end = first + n;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* letter.c: see letter.h. */
#include "agent/letter.h"

#include "core/err.h"
#include "core/wire.h"

#include <stdlib.h>

enum { BODY = 1, SIGNAL, REASON, DETAIL, PIPELINE, JOURNAL, SEQUENCE, FIRST_ITEM, N_ITEMS, ARRIVED, REFUSED, STATUS,
       GONE_FIRST, GONE_LAST };

/* At most `limit` bytes, not cut within a character. */
static struct weft_slice cut(struct weft_slice text, size_t limit)
{
    if (text.len <= limit)
        return text;
    while (limit > 0 && (text.data[limit] & 0xc0) == 0x80)
        limit--;
    return weft_slice_of(text.data, limit);
}

static void put_text(struct weft_buf *b, uint32_t number, struct weft_slice text, size_t limit)
{
    if (text.len > 0)
        weft_wire_put_bytes(b, number, cut(text, limit));
}

void weft_letter_write_head(struct weft_buf *b, const struct weft_letter *l)
{
    if (l->gone_last) {
        weft_wire_put_varint(b, GONE_FIRST, l->gone_first);
        weft_wire_put_varint(b, GONE_LAST, l->gone_last);
        return;
    }
    weft_wire_put_varint(b, SIGNAL, l->signal);
    put_text(b, REASON, l->reason, WEFT_LETTER_REASON);
    put_text(b, DETAIL, l->detail, WEFT_LETTER_DETAIL);
    put_text(b, PIPELINE, l->pipeline, WEFT_LETTER_PIPELINE);
    weft_wire_put_fixed64(b, JOURNAL, l->journal_id);
    weft_wire_put_varint(b, SEQUENCE, l->sequence);
    weft_wire_put_varint(b, FIRST_ITEM, l->first_item);
    weft_wire_put_varint(b, N_ITEMS, l->n_items);
    weft_wire_put_fixed64(b, ARRIVED, l->arrived_ns);
    weft_wire_put_fixed64(b, REFUSED, l->refused_ns);
    if (l->status)
        weft_wire_put_varint(b, STATUS, l->status);
    weft_wire_put_raw_varint(b, BODY << 3 | WEFT_LENGTH);
    weft_wire_put_raw_varint(b, l->body.len);
}

static enum weft_wire_type type_of(uint32_t number)
{
    switch (number) {
    case BODY: case REASON: case DETAIL: case PIPELINE:
        return WEFT_LENGTH;
    case JOURNAL: case ARRIVED: case REFUSED:
        return WEFT_FIXED64;
    default:
        return WEFT_VARINT;
    }
}

static void take(struct weft_letter *l, const struct weft_field *f)
{
    switch (f->number) {
    case BODY:       l->body = f->bytes; break;
    case SIGNAL:     l->signal = f->scalar < WEFT_SIGNALS ? (enum weft_signal)f->scalar : WEFT_SIGNALS; break;
    case REASON:     l->reason = f->bytes; break;
    case DETAIL:     l->detail = f->bytes; break;
    case PIPELINE:   l->pipeline = f->bytes; break;
    case JOURNAL:    l->journal_id = f->scalar; break;
    case SEQUENCE:   l->sequence = f->scalar; break;
    case FIRST_ITEM: l->first_item = (uint32_t)f->scalar; break;
    case N_ITEMS:    l->n_items = (uint32_t)f->scalar; break;
    case ARRIVED:    l->arrived_ns = f->scalar; break;
    case REFUSED:    l->refused_ns = f->scalar; break;
    case STATUS:     l->status = (uint32_t)f->scalar; break;
    case GONE_FIRST: l->gone_first = f->scalar; break;
    case GONE_LAST:  l->gone_last = f->scalar; break;
    default:         break;
    }
}

static bool is_whole(const struct weft_letter *l)
{
    uint32_t n;

    if (l->gone_last)
        return l->gone_first > 0 && l->gone_first <= l->gone_last;
    return l->signal < WEFT_SIGNALS && l->n_items > 0 && weft_otlp_count(l->signal, l->body, &n) == 0 && n == l->n_items;
}

int weft_letter_read(struct weft_slice message, struct weft_letter *ret_letter)
{
    struct weft_letter l = { .signal = WEFT_SIGNALS, .size = message.len };
    struct weft_field f;
    int more;

    while ((more = weft_wire_next(&message, &f)) == 1) {
        if (f.number <= GONE_LAST && f.type != type_of(f.number))
            return WEFT_ERR_MALFORMED;
        take(&l, &f);
    }
    if (more < 0 || !is_whole(&l))
        return WEFT_ERR_MALFORMED;
    if (l.gone_last) /* says that and nothing else */
        l = (struct weft_letter){ .signal = WEFT_LOGS, .gone_first = l.gone_first, .gone_last = l.gone_last, .size = l.size };
    *ret_letter = l;
    return 0;
}

uint32_t weft_letter_status(const char *reason)
{
    if (strncmp(reason, "http_", 5) != 0 && strncmp(reason, "grpc_", 5) != 0)
        return 0;
    unsigned long status = strtoul(reason + 5, NULL, 10);
    return status < 1000 ? (uint32_t)status : 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* letter.h: a dead letter: items that a back end refused for good, and what is known of the refusal. On its way into the
 * journal it is one protobuf-shaped message:
 *
 *    1 body       bytes    an OTLP request with just these items; last on the wire
 *    2 signal     varint   enum weft_signal
 *    3 reason     string   the word that metrics show: "http_400", "document_parsing_exception"
 *    4 detail     string   the back end's own words, cut at WEFT_LETTER_DETAIL bytes
 *    5 pipeline   string   id of the pipeline that the items came through
 *    6 journal    fixed64  id of that pipeline's journal; with the next two it names each item for ever,
 *    7 sequence   varint     so that a letter that is sent again keeps the items' _id in Elasticsearch
 *    8 first_item varint   number of the first item within its record
 *    9 n_items    varint
 *   10 arrived    fixed64  wall clock, ns
 *   11 refused    fixed64  wall clock, ns
 *   12 status     varint   of HTTP or gRPC; not there when it is not known
 *   13 gone_first varint   instead of all above: the letters with the sequences gone_first to
 *   14 gone_last  varint     gone_last have left the journal (were sent after all, or purged)
 *
 * Slices of what is read point into the message. Stateless; any thread. */
#ifndef WEFT_AGENT_LETTER_H
#define WEFT_AGENT_LETTER_H

#include "core/buf.h"
#include "core/otlp.h"

enum { WEFT_LETTER_REASON = 64, WEFT_LETTER_DETAIL = 1024, WEFT_LETTER_PIPELINE = 256 };

struct weft_letter {
    struct weft_slice body, reason, detail, pipeline;
    enum weft_signal signal;
    uint64_t journal_id, sequence;
    uint32_t first_item, n_items;
    uint64_t arrived_ns, refused_ns;
    uint32_t status;                 /* 0: not known */
    uint64_t gone_first, gone_last;  /* gone_last 0: it is a letter */
    size_t size;                     /* of the message that it was read from */
};

/* Appends all of the message but the bytes of the body, which belong right behind it. Errors stick in `b`. */
void weft_letter_write_head(struct weft_buf *b, const struct weft_letter *letter);

/* 0 or WEFT_ERR_MALFORMED: also for a letter whose body does not hold n_items items. */
int weft_letter_read(struct weft_slice message, struct weft_letter *ret_letter);

/* The status in a reason like "http_400" or "grpc_3"; 0: there is none. */
uint32_t weft_letter_status(const char *reason);

#endif

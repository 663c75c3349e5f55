/* SPDX-License-Identifier: Apache-2.0 */
/* elasticsearch_out.h: JSON written through a bare pointer into room that was reserved for one document.
 *
 *   (1) Nothing is ever written at or behind `end`: whatever is of variable size asks for room first. When there is
 *       none, `full` is set and the document is worthless; the caller reserves more and writes it again.
 *   (2) Literals and numbers between two of those live off the SLACK that each of them leaves behind.
 *
 * One thread.
 */
#ifndef WEFT_EXPORTERS_ELASTICSEARCH_OUT_H
#define WEFT_EXPORTERS_ELASTICSEARCH_OUT_H

#include "core/otlp.h"
#include "core/slice.h"

enum { WEFT_ES_SLACK = 512 };

struct weft_es_out {
    uint8_t *at, *end;
    bool full;
    size_t missing; /* bytes that were not written for want of room, as far as it was looked */
};

/* True when `n` bytes and the slack behind them can be written. */
static inline bool weft_es_room(struct weft_es_out *o, size_t n)
{
    if (__builtin_expect((size_t)(o->end - o->at) < n + WEFT_ES_SLACK, 0)) {
        o->full = true;
        o->missing += n;
    }
    return !o->full;
}

/* Bytes as they are; a literal mostly. At most the slack between two questions for room. */
static inline void weft_es_put(struct weft_es_out *o, struct weft_slice bytes)
{
    memcpy(o->at, bytes.data, bytes.len);
    o->at += bytes.len;
}

static inline void weft_es_put_byte(struct weft_es_out *o, char c)
{
    *o->at++ = (uint8_t)c;
}

/* Bytes as they are, of any length. */
void weft_es_put_long(struct weft_es_out *o, struct weft_slice bytes);

/* A quoted string; invalid UTF-8 becomes U+FFFD. */
void weft_es_put_string(struct weft_es_out *o, struct weft_slice text);

/* The same without the quotes. */
void weft_es_put_text(struct weft_es_out *o, struct weft_slice text);

/* How many bytes that writes. */
size_t weft_es_text_len(struct weft_slice text);

void weft_es_put_uint(struct weft_es_out *o, uint64_t value);
void weft_es_put_int(struct weft_es_out *o, int64_t value);

/* Always recognisable as a floating-point number (1.0); what JSON has no number for is null. */
void weft_es_put_double(struct weft_es_out *o, double value);

/* Quoted lower-case hex of up to 16 bytes. */
void weft_es_put_hex(struct weft_es_out *o, struct weft_slice id);

/* An attribute's value; lists and maps nested deeper than OTLP's reader takes them become null. */
void weft_es_put_any(struct weft_es_out *o, const struct weft_any *value);

/* The same as text without quotes: what a log's body is when it is a number. */
void weft_es_put_any_text(struct weft_es_out *o, const struct weft_any *value);

/* "1705314600000.000001": milliseconds since the epoch with the rest behind the point, quoted. */
void weft_es_put_epoch(struct weft_es_out *o, uint64_t ns);

/* "2024-01-15T10:30:00.000000001Z", quoted. */
void weft_es_put_date(struct weft_es_out *o, uint64_t ns);

/* ---- the keys of one JSON object: Elasticsearch refuses a document that has one twice ---- */
enum { WEFT_ES_KEYS = 256 };

struct weft_es_keys {
    unsigned n;          /* zero: none yet; the rest means nothing then */
    uint64_t seen;       /* one bit for many marks: when it is not set, none of them is there */
    uint64_t marks[WEFT_ES_KEYS];
    struct weft_slice keys[WEFT_ES_KEYS];
};

/* False: the key was there already. Beyond WEFT_ES_KEYS keys nothing is remembered and everything is new. */
bool weft_es_keys_add(struct weft_es_keys *k, struct weft_slice key);

#endif

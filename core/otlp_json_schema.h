/* SPDX-License-Identifier: Apache-2.0 */
/* otlp_json_schema.h: OTLP's messages as a table of JSON keys and kinds, by field number. Private to the files
 * otlp_json*.c: the reader and the writer walk the same rows, so that what one writes the other reads. Constants only.
 */
#ifndef WEFT_CORE_OTLP_JSON_SCHEMA_H
#define WEFT_CORE_OTLP_JSON_SCHEMA_H

#include "core/otlp.h"

enum weft_oj_message {
    WEFT_OJ_TRACES, WEFT_OJ_LOGS, WEFT_OJ_METRICS, /* the requests, in the order of enum weft_signal */
    WEFT_OJ_RESOURCE_SPANS, WEFT_OJ_RESOURCE_LOGS, WEFT_OJ_RESOURCE_METRICS,
    WEFT_OJ_SCOPE_SPANS, WEFT_OJ_SCOPE_LOGS, WEFT_OJ_SCOPE_METRICS,
    WEFT_OJ_RESOURCE, WEFT_OJ_ENTITY_REF, WEFT_OJ_SCOPE, WEFT_OJ_KEYVALUE, WEFT_OJ_ANY, WEFT_OJ_ARRAY, WEFT_OJ_KVLIST,
    WEFT_OJ_SPAN, WEFT_OJ_EVENT, WEFT_OJ_LINK, WEFT_OJ_STATUS, WEFT_OJ_LOG,
    WEFT_OJ_METRIC, WEFT_OJ_GAUGE, WEFT_OJ_SUM, WEFT_OJ_HISTOGRAM, WEFT_OJ_EXP_HISTOGRAM, WEFT_OJ_SUMMARY,
    WEFT_OJ_NUMBER_POINT, WEFT_OJ_HISTOGRAM_POINT, WEFT_OJ_EXP_HISTOGRAM_POINT, WEFT_OJ_BUCKETS,
    WEFT_OJ_SUMMARY_POINT, WEFT_OJ_QUANTILE, WEFT_OJ_EXEMPLAR,
    WEFT_OJ_MESSAGES
};

/* How a value looks in JSON and on the wire. */
enum weft_oj_kind {
    WEFT_OJ_NONE,     /* no such field */
    WEFT_OJ_STRING,
    WEFT_OJ_TRACE_ID, /* hex */
    WEFT_OJ_SPAN_ID,  /* hex */
    WEFT_OJ_BYTES,    /* base64 */
    WEFT_OJ_BOOL,
    WEFT_OJ_INT32,    /* varint; enums too */
    WEFT_OJ_UINT32,   /* varint */
    WEFT_OJ_SINT32,   /* zigzag varint */
    WEFT_OJ_INT64,    /* varint */
    WEFT_OJ_UINT64,   /* varint */
    WEFT_OJ_FIXED32,
    WEFT_OJ_FIXED64,
    WEFT_OJ_SFIXED64,
    WEFT_OJ_DOUBLE,
    WEFT_OJ_CHILD,    /* a message */
};

enum {
    WEFT_OJ_REPEATED = 1,
    WEFT_OJ_PRESENCE = 2, /* a zero is not the same as nothing */
    WEFT_OJ_ONEOF = 4,    /* the message's only oneof; implies presence */
    WEFT_OJ_WIDE = 8,     /* a message that grows large: see weft_wire_begin_wide */
};

enum { WEFT_OJ_FIELD_MAX = 16 };

struct weft_oj_field {
    const char *key;
    uint8_t key_len, kind, message, flags;
};

/* The fields of each message by number; kind NONE where there is none. */
extern const struct weft_oj_field weft_oj_fields[WEFT_OJ_MESSAGES][WEFT_OJ_FIELD_MAX + 1];

#endif

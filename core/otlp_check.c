/* SPDX-License-Identifier: Apache-2.0 */
/* otlp_check.c: weft_otlp_count, the one gate that decides whether a payload is OTLP.
 *
 * A record that protobuf cannot parse would poison the whole request that an exporter makes of it, so the check goes
 * down to the last attribute value. It is one loop over the bytes: a table says for every known field of every message which wire
 * type it must have and what message is inside, and a stack of limited depth takes the place of recursion.
 *
 *   (1) `at` never passes the end of the innermost open message; ends on the stack never grow outwards in.
 *   (2) A message is closed when `at` has come to its end exactly.
 *
 * Stateless; any thread. */
#include "core/otlp.h"

#include "core/wire_inline.h"

enum message {
    OPAQUE, /* unknown: its bytes are not looked at */
    REQUEST_SPANS, REQUEST_LOGS, REQUEST_METRICS,
    RESOURCE_SPANS, RESOURCE_LOGS, RESOURCE_METRICS,
    SCOPE_SPANS, SCOPE_LOGS, SCOPE_METRICS,
    RESOURCE, SCOPE, ENTITY_REF, KEY_VALUE, ANY, ARRAY, KVLIST,
    SPAN, EVENT, LINK, STATUS, LOG,
    METRIC, GAUGE, SUM, HISTOGRAM, EXP_HISTOGRAM, SUMMARY,
    NUMBER_POINT, HISTOGRAM_POINT, EXP_HISTOGRAM_POINT, SUMMARY_POINT, BUCKETS, QUANTILE, EXEMPLAR,
    MESSAGES
};

/* What a field may look like; 0 is an unknown field, of which any wire type will do. */
enum shape { UNKNOWN, IS_VARINT, IS_FIXED64, IS_FIXED32, IS_BYTES, IS_MESSAGE, MANY_FIXED64, MANY_VARINTS };

enum { COUNTED = 1, ONLY_ONCE = 2, METRIC_DATA = 4 };
enum { FIELD_MAX = 16 };

struct rule {
    uint8_t shape, message, flags;
};

#define VARINT { IS_VARINT, OPAQUE, 0 }
#define FIXED64 { IS_FIXED64, OPAQUE, 0 }
#define FIXED32 { IS_FIXED32, OPAQUE, 0 }
#define BYTES { IS_BYTES, OPAQUE, 0 }
#define MESSAGE(m) { IS_MESSAGE, m, 0 }
#define FLAGGED(m, flags) { IS_MESSAGE, m, flags }

static const struct rule rules[MESSAGES][FIELD_MAX + 1] = {
    [REQUEST_SPANS] = { [1] = MESSAGE(RESOURCE_SPANS) },
    [REQUEST_LOGS] = { [1] = MESSAGE(RESOURCE_LOGS) },
    [REQUEST_METRICS] = { [1] = MESSAGE(RESOURCE_METRICS) },
    [RESOURCE_SPANS] = { [1] = FLAGGED(RESOURCE, ONLY_ONCE), [2] = MESSAGE(SCOPE_SPANS), [3] = BYTES },
    [RESOURCE_LOGS] = { [1] = FLAGGED(RESOURCE, ONLY_ONCE), [2] = MESSAGE(SCOPE_LOGS), [3] = BYTES },
    [RESOURCE_METRICS] = { [1] = FLAGGED(RESOURCE, ONLY_ONCE), [2] = MESSAGE(SCOPE_METRICS), [3] = BYTES },
    [SCOPE_SPANS] = { [1] = FLAGGED(SCOPE, ONLY_ONCE), [2] = FLAGGED(SPAN, COUNTED), [3] = BYTES },
    [SCOPE_LOGS] = { [1] = FLAGGED(SCOPE, ONLY_ONCE), [2] = FLAGGED(LOG, COUNTED), [3] = BYTES },
    [SCOPE_METRICS] = { [1] = FLAGGED(SCOPE, ONLY_ONCE), [2] = MESSAGE(METRIC), [3] = BYTES },
    [RESOURCE] = { [1] = MESSAGE(KEY_VALUE), [2] = VARINT, [3] = MESSAGE(ENTITY_REF) },
    [SCOPE] = { [1] = BYTES, [2] = BYTES, [3] = MESSAGE(KEY_VALUE), [4] = VARINT },
    [ENTITY_REF] = { [1] = BYTES, [2] = BYTES, [3] = BYTES, [4] = BYTES },
    [KEY_VALUE] = { [1] = BYTES, [2] = MESSAGE(ANY), [3] = VARINT },
    [ANY] = { [1] = BYTES, [2] = VARINT, [3] = VARINT, [4] = FIXED64, [5] = MESSAGE(ARRAY), [6] = MESSAGE(KVLIST),
              [7] = BYTES, [8] = VARINT },
    [ARRAY] = { [1] = MESSAGE(ANY) },
    [KVLIST] = { [1] = MESSAGE(KEY_VALUE) },
    [SPAN] = { [1] = BYTES, [2] = BYTES, [3] = BYTES, [4] = BYTES, [5] = BYTES, [6] = VARINT, [7] = FIXED64,
               [8] = FIXED64, [9] = MESSAGE(KEY_VALUE), [10] = VARINT, [11] = MESSAGE(EVENT), [12] = VARINT,
               [13] = MESSAGE(LINK), [14] = VARINT, [15] = MESSAGE(STATUS), [16] = FIXED32 },
    [EVENT] = { [1] = FIXED64, [2] = BYTES, [3] = MESSAGE(KEY_VALUE), [4] = VARINT },
    [LINK] = { [1] = BYTES, [2] = BYTES, [3] = BYTES, [4] = MESSAGE(KEY_VALUE), [5] = VARINT, [6] = FIXED32 },
    [STATUS] = { [2] = BYTES, [3] = VARINT },
    [LOG] = { [1] = FIXED64, [2] = VARINT, [3] = BYTES, [5] = MESSAGE(ANY), [6] = MESSAGE(KEY_VALUE), [7] = VARINT,
              [8] = FIXED32, [9] = BYTES, [10] = BYTES, [11] = FIXED64, [12] = BYTES },
    [METRIC] = { [1] = BYTES, [2] = BYTES, [3] = BYTES, [5] = FLAGGED(GAUGE, METRIC_DATA),
                 [7] = FLAGGED(SUM, METRIC_DATA), [9] = FLAGGED(HISTOGRAM, METRIC_DATA),
                 [10] = FLAGGED(EXP_HISTOGRAM, METRIC_DATA), [11] = FLAGGED(SUMMARY, METRIC_DATA),
                 [12] = MESSAGE(KEY_VALUE) },
    [GAUGE] = { [1] = FLAGGED(NUMBER_POINT, COUNTED) },
    [SUM] = { [1] = FLAGGED(NUMBER_POINT, COUNTED), [2] = VARINT, [3] = VARINT },
    [HISTOGRAM] = { [1] = FLAGGED(HISTOGRAM_POINT, COUNTED), [2] = VARINT },
    [EXP_HISTOGRAM] = { [1] = FLAGGED(EXP_HISTOGRAM_POINT, COUNTED), [2] = VARINT },
    [SUMMARY] = { [1] = FLAGGED(SUMMARY_POINT, COUNTED) },
    [NUMBER_POINT] = { [2] = FIXED64, [3] = FIXED64, [4] = FIXED64, [5] = MESSAGE(EXEMPLAR), [6] = FIXED64,
                       [7] = MESSAGE(KEY_VALUE), [8] = VARINT },
    [HISTOGRAM_POINT] = { [2] = FIXED64, [3] = FIXED64, [4] = FIXED64, [5] = FIXED64, [6] = { MANY_FIXED64, OPAQUE, 0 },
                          [7] = { MANY_FIXED64, OPAQUE, 0 }, [8] = MESSAGE(EXEMPLAR), [9] = MESSAGE(KEY_VALUE),
                          [10] = VARINT, [11] = FIXED64, [12] = FIXED64 },
    [EXP_HISTOGRAM_POINT] = { [1] = MESSAGE(KEY_VALUE), [2] = FIXED64, [3] = FIXED64, [4] = FIXED64, [5] = FIXED64,
                              [6] = VARINT, [7] = FIXED64, [8] = MESSAGE(BUCKETS), [9] = MESSAGE(BUCKETS),
                              [10] = VARINT, [11] = MESSAGE(EXEMPLAR), [12] = FIXED64, [13] = FIXED64,
                              [14] = FIXED64 },
    [SUMMARY_POINT] = { [2] = FIXED64, [3] = FIXED64, [4] = FIXED64, [5] = FIXED64, [6] = MESSAGE(QUANTILE),
                        [7] = MESSAGE(KEY_VALUE), [8] = VARINT },
    [BUCKETS] = { [1] = VARINT, [2] = { MANY_VARINTS, OPAQUE, 0 } },
    [QUANTILE] = { [1] = FIXED64, [2] = FIXED64 },
    [EXEMPLAR] = { [2] = FIXED64, [3] = FIXED64, [4] = BYTES, [5] = BYTES, [6] = FIXED64, [7] = MESSAGE(KEY_VALUE) },
};

/* The wire type that each shape must have on the wire; repeated numbers may also be packed. */
static const uint8_t type_of[] = {
    [IS_VARINT] = WEFT_VARINT,   [IS_FIXED64] = WEFT_FIXED64,   [IS_FIXED32] = WEFT_FIXED32,
    [IS_BYTES] = WEFT_LENGTH,    [IS_MESSAGE] = WEFT_LENGTH,    [MANY_FIXED64] = WEFT_FIXED64,
    [MANY_VARINTS] = WEFT_VARINT,
};

struct level {
    const uint8_t *end;
    const struct rule *rules;
    bool seen; /* a field that may come only once */
};

struct check {
    struct level levels[WEFT_OTLP_MAX_DEPTH];
    unsigned depth;
    uint32_t items, items_before_metric;
};

static bool packed_ok(enum shape shape, struct weft_slice packed)
{
    uint64_t value;
    int result;

    if (shape == MANY_FIXED64)
        return packed.len % 8 == 0;
    while ((result = weft_wire_next_varint(&packed, &value)) > 0)
        continue;
    return result == 0;
}

/* Opens the message `bytes` of a field of rule `rule`. */
static bool enter(struct check *c, const struct rule *rule, struct weft_slice bytes)
{
    if (c->depth == WEFT_OTLP_MAX_DEPTH)
        return false;
    if (rule->flags & ONLY_ONCE) {
        if (c->levels[c->depth - 1].seen)
            return false;
        c->levels[c->depth - 1].seen = true;
    }
    if (rule->flags & COUNTED)
        c->items++;
    if (rule->flags & METRIC_DATA)
        c->items = c->items_before_metric; /* of a oneof the last wins */
    if (rule->message == METRIC)
        c->items_before_metric = c->items;
    c->levels[c->depth++] = (struct level){ bytes.data + bytes.len, rules[rule->message], false };
    return true;
}

/* An AnyValue of `len` bytes, less than 128, in one of the forms that nearly all values have. */
static bool usual_value(const uint8_t *at, size_t len)
{
    if (len < 2)
        return len == 0;
    switch (at[0]) {
    case WEFT_KEY(WEFT_VALUE_STRING, WEFT_LENGTH):
        return at[1] == len - 2;
    case WEFT_KEY(WEFT_VALUE_INT, WEFT_VARINT):
    case WEFT_KEY(WEFT_VALUE_BOOL, WEFT_VARINT):
        return len == 2 && at[1] < 0x80;
    case WEFT_KEY(WEFT_VALUE_DOUBLE, WEFT_FIXED64):
        return len == 9;
    default:
        return false;
    }
}

/* True for a KeyValue of one short key and one short value, which is right as it stands: half of what a span is. The loop
 * looks at all others. */
static bool usual_attribute(struct weft_slice key_value)
{
    const uint8_t *at = key_value.data;

    if (key_value.len < 4 || at[0] != WEFT_KEY(WEFT_KEYVALUE_KEY, WEFT_LENGTH) || at[1] >= 0x80 ||
        (size_t)at[1] + 4 > key_value.len)
        return false;

    const uint8_t *value = at + 2 + at[1];
    const size_t value_len = key_value.len - 4 - at[1];
    return value[0] == WEFT_KEY(WEFT_KEYVALUE_VALUE, WEFT_LENGTH) && value[1] < 0x80 && value[1] == value_len &&
           usual_value(value + 2, value_len);
}

/* One field of known shape; its message, when it is one, is left open. */
static bool check_field(struct check *c, const struct rule *rule, uint32_t type, struct weft_slice *rest)
{
    struct weft_slice bytes;
    uint64_t scalar;

    switch (type) {
    case WEFT_LENGTH:
        if (!weft_scan_bytes(rest, &bytes))
            return false;
        if (rule->shape == IS_MESSAGE) {
            if (rule->message == KEY_VALUE && c->depth + 2 <= WEFT_OTLP_MAX_DEPTH && usual_attribute(bytes))
                return true;
            if (!enter(c, rule, bytes))
                return false;
            *rest = bytes;
            return true;
        }
        if (rule->shape >= MANY_FIXED64)
            return packed_ok((enum shape)rule->shape, bytes);
        return rule->shape == UNKNOWN || rule->shape == IS_BYTES;
    case WEFT_VARINT:
        return weft_scan_varint(rest, WEFT_VARINT_MAX, &scalar);
    case WEFT_FIXED64:
        return weft_scan_fixed64(rest, &scalar);
    case WEFT_FIXED32:
        return weft_scan_fixed32(rest, &scalar);
    default:
        return false;
    }
}

static bool type_ok(const struct rule *rule, uint32_t type)
{
    return rule->shape == UNKNOWN || type == type_of[rule->shape] ||
           (type == WEFT_LENGTH && rule->shape >= MANY_FIXED64);
}

int weft_otlp_count(enum weft_signal signal, struct weft_slice payload, uint32_t *ret_items)
{
    static const uint8_t request_of[WEFT_SIGNALS] = { REQUEST_SPANS, REQUEST_LOGS, REQUEST_METRICS };
    static const struct rule unknown = { 0 };
    struct check c;
    struct weft_slice rest = payload;

    if (payload.len == 0) {
        *ret_items = 0;
        return 0;
    }
    c.depth = 1;
    c.items = c.items_before_metric = 0;
    c.levels[0] = (struct level){ payload.data + payload.len, rules[request_of[signal]], false };
    for (;;) {
        const struct level *level = &c.levels[c.depth - 1];
        uint32_t key;

        if (rest.len == 0) {
            if (--c.depth == 0)
                break;
            rest.len = (size_t)(c.levels[c.depth - 1].end - rest.data);
            continue;
        }
        if (!weft_scan_key(&rest, &key))
            return WEFT_ERR_MALFORMED;
        const struct rule *rule = key >> 3 <= FIELD_MAX ? &level->rules[key >> 3] : &unknown;
        if (!type_ok(rule, key & 7) || !check_field(&c, rule, key & 7, &rest))
            return WEFT_ERR_MALFORMED;
    }
    *ret_items = c.items;
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* splice_check.c: see splice_check.h. Goes through both requests in step, written without the code under test's own
 * idea of nodes and growth. One thread. */
#include "tests/support/splice_check.h"

#include <string.h>

enum message { REQUEST, RESOURCE_GROUP, SCOPE_GROUP, METRIC, NUMBERS, HISTOGRAM, EXP_HISTOGRAM, NUMBER_POINT,
               HISTOGRAM_POINT, EXP_HISTOGRAM_POINT, SPAN, LOG, EXEMPLAR, OTHER };

/* What field `number` of a message leads to. */
static enum message below(enum message m, enum weft_signal signal, uint32_t number)
{
    static const enum message items[] = { SPAN, LOG, METRIC };

    switch (m) {
    case REQUEST:
        return number == 1 ? RESOURCE_GROUP : OTHER;
    case RESOURCE_GROUP:
        return number == 2 ? SCOPE_GROUP : OTHER;
    case SCOPE_GROUP:
        return number == 2 ? items[signal] : OTHER;
    case METRIC:
        return number == 5 || number == 7 ? NUMBERS : number == 9 ? HISTOGRAM : number == 10 ? EXP_HISTOGRAM : OTHER;
    case NUMBERS:
        return number == 1 ? NUMBER_POINT : OTHER;
    case HISTOGRAM:
        return number == 1 ? HISTOGRAM_POINT : OTHER;
    case EXP_HISTOGRAM:
        return number == 1 ? EXP_HISTOGRAM_POINT : OTHER;
    case NUMBER_POINT:
        return number == 5 ? EXEMPLAR : OTHER;
    case HISTOGRAM_POINT:
        return number == 8 ? EXEMPLAR : OTHER;
    case EXP_HISTOGRAM_POINT:
        return number == 11 ? EXEMPLAR : OTHER;
    default:
        return OTHER;
    }
}

static const char *check_tags(enum message m, struct weft_slice tags)
{
    const uint32_t attributes = m == SPAN ? WEFT_SPAN_ATTRIBUTES : m == LOG ? WEFT_LOG_ATTRIBUTES
                                                                            : WEFT_EXEMPLAR_ATTRIBUTES;
    struct weft_attribute a;
    struct weft_field f;
    int result, ids = 0;

    while ((result = weft_wire_next(&tags, &f)) > 0) {
        if (m == LOG && f.number == WEFT_LOG_TRACE_ID && f.bytes.len == 16)
            continue;
        if (f.number != attributes || weft_attribute_read(f.bytes, &a) != 0)
            return "something else was put in";
        if (weft_slice_is(a.key, "correlation.id"))
            ids++;
        else if (!weft_slice_is(a.key, "correlation.inferred") || a.value.kind != WEFT_ANY_BOOL || !a.value.integer)
            return "an attribute of another name was put in";
    }
    return result < 0 ? "the tags are malformed" : ids == 1 ? NULL : "not one ID";
}

/* Bytes of the field's length: what lies between the end of its key and its content. */
static size_t length_width(const uint8_t *field, const uint8_t *content)
{
    while (*field & 0x80)
        field++;
    return (size_t)(content - field - 1);
}

static const char *check_message(enum message m, enum weft_signal signal, struct weft_slice plain, struct weft_slice tagged)
{
    const bool leaf = m == SPAN || m == LOG || m == EXEMPLAR;

    if (m == OTHER || leaf) {
        if (tagged.len < plain.len || memcmp(tagged.data, plain.data, plain.len) != 0)
            return "bytes that were there have changed";
        if (tagged.len == plain.len)
            return NULL;
        return leaf ? check_tags(m, weft_slice_from(tagged, plain.len)) : "something grew that is no item";
    }
    for (;;) {
        const uint8_t *p = plain.data, *t = tagged.data;
        struct weft_field old, new;
        const int more = weft_wire_next(&plain, &old), more_tagged = weft_wire_next(&tagged, &new);

        if (more != more_tagged)
            return "another number of fields";
        if (more <= 0)
            return more < 0 ? "malformed" : NULL;
        if (old.number != new.number || old.type != new.type)
            return "fields in another order";
        if (old.type != WEFT_LENGTH) {
            if (plain.data - p != tagged.data - t || memcmp(p, t, (size_t)(plain.data - p)) != 0)
                return "a number has changed";
            continue;
        }
        const size_t width = length_width(p, old.bytes.data), least = weft_wire_varint_size(new.bytes.len);
        if (length_width(t, new.bytes.data) != (least > width ? least : width))
            return "a length has another width";
        const char *wrong = check_message(below(m, signal, old.number), signal, old.bytes, new.bytes);
        if (wrong)
            return wrong;
    }
}

const char *splice_check(enum weft_signal signal, struct weft_slice plain, struct weft_slice tagged)
{
    return check_message(REQUEST, signal, plain, tagged);
}

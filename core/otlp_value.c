/* SPDX-License-Identifier: Apache-2.0 */
/* otlp_value.c: AnyValue, attributes, scopes, and repeated numbers. See otlp.h. Stateless; any thread. */
#include "core/otlp.h"

#include "core/wire_inline.h"

/* Reads the fields of an AnyValue into *value, on top of what is there: two pieces of one message merge, and in a oneof
 * the last field wins. */
static int merge_any(struct weft_slice message, struct weft_any *value)
{
    struct weft_slice bytes;
    uint64_t scalar;
    uint32_t key;
    int result;

    while ((result = weft_scan_field(&message, &key, &scalar, &bytes)) > 0) {
        switch (key) {
        case WEFT_KEY(WEFT_VALUE_STRING, WEFT_LENGTH):
            *value = (struct weft_any){ .kind = WEFT_ANY_STRING, .bytes = bytes };
            break;
        case WEFT_KEY(WEFT_VALUE_BOOL, WEFT_VARINT):
            *value = (struct weft_any){ .kind = WEFT_ANY_BOOL, .integer = scalar != 0 };
            break;
        case WEFT_KEY(WEFT_VALUE_INT, WEFT_VARINT):
            *value = (struct weft_any){ .kind = WEFT_ANY_INT, .integer = (int64_t)scalar };
            break;
        case WEFT_KEY(WEFT_VALUE_DOUBLE, WEFT_FIXED64):
            *value = (struct weft_any){ .kind = WEFT_ANY_DOUBLE };
            memcpy(&value->real, &scalar, sizeof value->real);
            break;
        case WEFT_KEY(WEFT_VALUE_ARRAY, WEFT_LENGTH):
            *value = (struct weft_any){ .kind = WEFT_ANY_ARRAY, .bytes = bytes };
            break;
        case WEFT_KEY(WEFT_VALUE_KVLIST, WEFT_LENGTH):
            *value = (struct weft_any){ .kind = WEFT_ANY_KVLIST, .bytes = bytes };
            break;
        case WEFT_KEY(WEFT_VALUE_BYTES, WEFT_LENGTH):
            *value = (struct weft_any){ .kind = WEFT_ANY_BYTES, .bytes = bytes };
            break;
        case WEFT_KEY(WEFT_VALUE_STRING_INDEX, WEFT_VARINT):
            *value = (struct weft_any){ .kind = WEFT_ANY_EMPTY };
            break;
        default:
            break;
        }
    }
    return result;
}

int weft_any_read(struct weft_slice message, struct weft_any *ret_value)
{
    struct weft_any value = { 0 };
    int result = merge_any(message, &value);

    if (result == 0)
        *ret_value = value;
    return result;
}

/* A KeyValue as everybody writes it: a key of less than 128 bytes, then a value that is one short text and nothing else.
 * False: it is not of that shape, and *ret_attribute is as it was. */
static inline bool read_usual(struct weft_slice message, struct weft_attribute *ret_attribute)
{
    const uint8_t *key = message.data;

    if (message.len < 6 || message.len > 127 || key[0] != WEFT_KEY(WEFT_KEYVALUE_KEY, WEFT_LENGTH) ||
        key[1] > message.len - 6)
        return false;

    const size_t key_len = key[1], left = message.len - 6 - key_len; /* what the text takes */
    const uint8_t *value = key + 2 + key_len;
    if (value[0] != WEFT_KEY(WEFT_KEYVALUE_VALUE, WEFT_LENGTH) || value[1] != left + 2 ||
        value[2] != WEFT_KEY(WEFT_VALUE_STRING, WEFT_LENGTH) || value[3] != left)
        return false;
    *ret_attribute = (struct weft_attribute){ .key = weft_slice_of(key + 2, key_len) };
    ret_attribute->value.kind = WEFT_ANY_STRING;
    ret_attribute->value.bytes = weft_slice_of(value + 4, left);
    return true;
}

/* Any KeyValue: fields in any order and number, as protobuf allows. */
static __attribute__((noinline)) int read_unusual(struct weft_slice message, struct weft_attribute *ret_attribute)
{
    struct weft_attribute attribute = { 0 };
    struct weft_slice bytes;
    uint64_t scalar;
    uint32_t key;
    int result;

    while ((result = weft_scan_field(&message, &key, &scalar, &bytes)) > 0) {
        if (key == WEFT_KEY(WEFT_KEYVALUE_KEY, WEFT_LENGTH)) {
            attribute.key = bytes;
        } else if (key == WEFT_KEY(WEFT_KEYVALUE_VALUE, WEFT_LENGTH)) {
            result = merge_any(bytes, &attribute.value);
            if (result < 0)
                return result;
        }
    }
    if (result == 0)
        *ret_attribute = attribute;
    return result;
}

int weft_attribute_read(struct weft_slice message, struct weft_attribute *ret_attribute)
{
    return read_usual(message, ret_attribute) ? 0 : read_unusual(message, ret_attribute);
}

/* The next attribute of less than 128 bytes, when it stands right here: no other fields before it. */
static inline bool next_here(struct weft_attributes *it, struct weft_slice *ret_message)
{
    const uint8_t *at = it->rest.data;

    if (it->rest.len < 2 || at[0] != WEFT_KEY(it->number, WEFT_LENGTH) || at[1] > 127 || at[1] > it->rest.len - 2)
        return false;
    *ret_message = weft_slice_of(at + 2, at[1]);
    it->rest = weft_slice_of(at + 2 + at[1], it->rest.len - 2 - at[1]);
    return true;
}

int weft_attributes_next(struct weft_attributes *it, struct weft_attribute *ret_attribute)
{
    struct weft_slice message;
    int result = next_here(it, &message) ? 1 : weft_wire_next_bytes(&it->rest, it->number, &message);

    if (result <= 0)
        return result;
    result = weft_attribute_read(message, ret_attribute);
    return result < 0 ? result : 1;
}

int weft_any_array_next(struct weft_slice *rest, struct weft_any *ret_value)
{
    struct weft_slice message;
    int result = weft_wire_next_bytes(rest, WEFT_ARRAY_VALUES, &message);

    if (result <= 0)
        return result;
    result = weft_any_read(message, ret_value);
    return result < 0 ? result : 1;
}

int weft_attribute_find(struct weft_slice message, uint32_t number, struct weft_slice key, struct weft_any *ret_value)
{
    struct weft_attributes it = weft_attributes_of(message, number);
    struct weft_attribute attribute;
    int result, found = 0;
    struct weft_any value;

    while ((result = weft_attributes_next(&it, &attribute)) > 0) {
        if (weft_slice_equal(attribute.key, key)) {
            value = attribute.value;
            found = 1;
        }
    }
    if (result < 0)
        return result;
    if (found)
        *ret_value = value;
    return found;
}

int weft_scope_read(struct weft_slice message, struct weft_scope_view *ret_scope)
{
    struct weft_scope_view scope = { 0 };
    struct weft_slice bytes;
    uint64_t scalar;
    uint32_t key;
    int result;

    while ((result = weft_scan_field(&message, &key, &scalar, &bytes)) > 0) {
        switch (key) {
        case WEFT_KEY(WEFT_SCOPE_NAME, WEFT_LENGTH):
            scope.name = bytes;
            break;
        case WEFT_KEY(WEFT_SCOPE_VERSION, WEFT_LENGTH):
            scope.version = bytes;
            break;
        case WEFT_KEY(WEFT_SCOPE_ATTRIBUTES, WEFT_LENGTH):
            scope.n_attributes++;
            break;
        case WEFT_KEY(WEFT_SCOPE_DROPPED, WEFT_VARINT):
            scope.dropped_attributes = (uint32_t)scalar;
            break;
        default:
            break;
        }
    }
    if (result == 0)
        *ret_scope = scope;
    return result;
}

/* ---- repeated numbers ---- */

/* Puts it->rest on the next piece of the enclosing message, when there is one. 1, 0 or an error. */
static int next_piece(struct weft_repeated *it)
{
    return it->outer_number ? weft_wire_next_bytes(&it->outer, it->outer_number, &it->rest) : 0;
}

/* The next number, whose own wire type is `type`. */
static int next_number(struct weft_repeated *it, enum weft_wire_type type, uint64_t *ret_value)
{
    const uint32_t packed = WEFT_KEY(it->number, WEFT_LENGTH), single = WEFT_KEY(it->number, type);
    struct weft_slice bytes;
    uint64_t scalar;
    uint32_t key;
    int result;

    while (it->packed.len == 0) {
        result = weft_scan_field(&it->rest, &key, &scalar, &bytes);
        if (result == 0) {
            result = next_piece(it);
            if (result > 0)
                continue;
        }
        if (result <= 0)
            return result;
        if (key == single) {
            *ret_value = scalar;
            return 1;
        }
        if (key == packed)
            it->packed = bytes;
    }
    const bool ok = type == WEFT_VARINT ? weft_scan_varint(&it->packed, WEFT_VARINT_MAX, ret_value)
                                        : weft_scan_fixed64(&it->packed, ret_value);
    return ok ? 1 : WEFT_ERR_MALFORMED;
}

int weft_repeated_next_double(struct weft_repeated *it, double *ret_value)
{
    uint64_t bits;
    int result = next_number(it, WEFT_FIXED64, &bits);

    if (result > 0)
        memcpy(ret_value, &bits, sizeof bits);
    return result;
}

int weft_repeated_next_fixed64(struct weft_repeated *it, uint64_t *ret_value)
{
    return next_number(it, WEFT_FIXED64, ret_value);
}

int weft_repeated_next_varint(struct weft_repeated *it, uint64_t *ret_value)
{
    return next_number(it, WEFT_VARINT, ret_value);
}

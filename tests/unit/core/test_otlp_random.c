/* SPDX-License-Identifier: Apache-2.0 */
/* Our OTLP reader against protobuf-c on random messages: the same verdict, the same number of items, the same values.
 *
 * Messages are generated from protobuf-c's own descriptors: every field of every signal, in any order, repeated numbers packed and
 * not, fields twice, unknown fields; then some are cut or get bytes changed. Both readers tell the message as text, and the
 * texts must be equal. Where the verdicts differ, a third, plain look at the bytes (why_refused) must find one of the four
 * reasons for which we refuse what protobuf-c takes. Environment: WEFT_RANDOM_MESSAGES (100000), WEFT_SEED. */
#include "tests/support/otlp_text.h"

#include "core/clock.h"
#include "core/err.h"

#include "otlp_logs_service.pb-c.h"
#include "otlp_metrics_service.pb-c.h"
#include "otlp_trace_service.pb-c.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

enum { MESSAGE_MAX = 1 << 20, TEXT_MAX = 16 << 20, FIELDS_MAX = 200 };

static const ProtobufCMessageDescriptor *request_of(enum weft_signal signal)
{
    switch (signal) {
    case WEFT_TRACES:
        return &opentelemetry__proto__collector__trace__v1__export_trace_service_request__descriptor;
    case WEFT_LOGS:
        return &opentelemetry__proto__collector__logs__v1__export_logs_service_request__descriptor;
    default:
        return &opentelemetry__proto__collector__metrics__v1__export_metrics_service_request__descriptor;
    }
}

/* ---- chance ---- */

static uint64_t chance_state;

static uint64_t chance(void)
{
    chance_state ^= chance_state << 13;
    chance_state ^= chance_state >> 7;
    chance_state ^= chance_state << 17;
    return chance_state * 0x2545f4914f6cdd1dU;
}

static unsigned pick(unsigned n)
{
    return (unsigned)((chance() >> 32) % n);
}

static uint64_t any_number(void)
{
    switch (pick(4)) {
    case 0:
        return pick(3);
    case 1:
        return pick(200);
    case 2:
        return (uint64_t)-(int64_t)pick(1000);
    default:
        return chance() >> pick(64);
    }
}

/* ---- random messages ---- */

static int fields_left;

static void put_any_bytes(struct weft_buf *b, uint32_t number)
{
    uint8_t bytes[40];
    const unsigned len = pick(4) ? pick(12) : pick(sizeof bytes);

    for (unsigned i = 0; i < len; i++)
        bytes[i] = pick(6) ? (uint8_t)('a' + pick(26)) : (uint8_t)(1 + pick(255));
    weft_wire_put_bytes(b, number, weft_slice_of(bytes, len));
}

static void put_unknown(struct weft_buf *b)
{
    const uint32_t number = pick(3) ? 17 + pick(200) : 1000 + pick(100000);

    switch (pick(4)) {
    case 0:
        weft_wire_put_varint(b, number, any_number());
        break;
    case 1:
        weft_wire_put_fixed64(b, number, chance());
        break;
    case 2:
        weft_wire_put_fixed32(b, number, (uint32_t)chance());
        break;
    default:
        put_any_bytes(b, number);
    }
}

static void put_message(struct weft_buf *b, const ProtobufCMessageDescriptor *d);

static bool is_fixed64(ProtobufCType type)
{
    return type == PROTOBUF_C_TYPE_FIXED64 || type == PROTOBUF_C_TYPE_SFIXED64 || type == PROTOBUF_C_TYPE_DOUBLE;
}

static void put_packed(struct weft_buf *b, const ProtobufCFieldDescriptor *f)
{
    const size_t mark = weft_wire_begin(b, f->id);

    for (unsigned n = pick(5); n > 0; n--) {
        uint64_t bits = any_number();

        if (is_fixed64(f->type))
            weft_buf_append(b, &bits, sizeof bits);
        else
            weft_wire_put_raw_varint(b, bits);
    }
    weft_wire_end(b, mark);
}

static void put_one(struct weft_buf *b, const ProtobufCFieldDescriptor *f)
{
    const bool wide = pick(8) == 0;
    size_t mark;

    switch (f->type) {
    case PROTOBUF_C_TYPE_MESSAGE:
        mark = wide ? weft_wire_begin_wide(b, f->id) : weft_wire_begin(b, f->id);
        put_message(b, f->descriptor);
        if (wide)
            weft_wire_end_wide(b, mark);
        else
            weft_wire_end(b, mark);
        break;
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_BYTES:
        put_any_bytes(b, f->id);
        break;
    case PROTOBUF_C_TYPE_FIXED32:
        weft_wire_put_fixed32(b, f->id, (uint32_t)any_number());
        break;
    default:
        if (is_fixed64(f->type))
            weft_wire_put_fixed64(b, f->id, any_number());
        else
            weft_wire_put_varint(b, f->id, any_number());
    }
}

/* The way down to the items is nearly always taken, so that most messages hold some. */
static bool leads_to_items(const ProtobufCFieldDescriptor *f)
{
    static const char *const names[] = { "resource_spans", "resource_logs", "resource_metrics", "scope_spans", "scope_logs",
                                         "scope_metrics",  "spans",         "log_records",      "metrics",     "data_points" };

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(f->name, names[i]) == 0)
            return true;
    return false;
}

static void put_field(struct weft_buf *b, const ProtobufCFieldDescriptor *f)
{
    unsigned times = 1;

    if (f->label == PROTOBUF_C_LABEL_REPEATED)
        times = leads_to_items(f) ? 1 + pick(2) : pick(4);
    else if (pick(25) == 0)
        times = 2;
    while (times-- > 0 && fields_left-- > 0) {
        if (f->label == PROTOBUF_C_LABEL_REPEATED && f->type != PROTOBUF_C_TYPE_MESSAGE &&
            f->type != PROTOBUF_C_TYPE_STRING && pick(2))
            put_packed(b, f);
        else
            put_one(b, f);
    }
}

static void put_message(struct weft_buf *b, const ProtobufCMessageDescriptor *d)
{
    const unsigned first = pick(3) ? 0 : pick(d->n_fields);

    for (unsigned i = 0; i < d->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &d->fields[(first + i) % d->n_fields];

        if (leads_to_items(f) ? pick(20) > 0 : pick(10) < 6)
            put_field(b, f);
        if (pick(40) == 0)
            put_unknown(b);
    }
}

static void damage(struct weft_buf *b)
{
    for (unsigned times = 1 + pick(3); times > 0 && b->len > 0; times--) {
        const unsigned at = pick((unsigned)b->len);

        switch (pick(4)) {
        case 0:
            b->len = at;
            break;
        case 1:
            b->data[at] ^= (uint8_t)(1 << pick(8));
            break;
        case 2:
            memmove(b->data + at, b->data + at + 1, b->len - at - 1);
            b->len--;
            break;
        default:
            b->data[at] = (uint8_t)chance();
        }
    }
}

/* ---- what protobuf-c read, as text ---- */

static const void *member(const ProtobufCMessage *m, unsigned offset)
{
    return (const uint8_t *)m + offset;
}

static size_t count_of(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
    return *(const size_t *)member(m, f->quantifier_offset);
}

/* Spans, log records or data points below `m`; as items of a group, metrics themselves count when `points` is false. */
static uint32_t count_items(const ProtobufCMessage *m, bool points)
{
    uint32_t n = 0;

    for (unsigned i = 0; i < m->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &m->descriptor->fields[i];
        const bool is_item = strcmp(f->name, "spans") == 0 || strcmp(f->name, "log_records") == 0 ||
                             strcmp(f->name, points ? "data_points" : "metrics") == 0;

        if (f->type != PROTOBUF_C_TYPE_MESSAGE || strstr(f->name, "attributes") || strstr(f->name, "metadata"))
            continue;
        if (f->label == PROTOBUF_C_LABEL_REPEATED) {
            ProtobufCMessage *const *list = *(ProtobufCMessage *const *const *)member(m, f->offset);

            for (size_t j = 0; j < count_of(m, f); j++)
                n += is_item ? 1 : count_items(list[j], points);
        } else if (!(f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) ||
                   *(const uint32_t *)member(m, f->quantifier_offset) == f->id) {
            const ProtobufCMessage *sub = *(const ProtobufCMessage *const *)member(m, f->offset);

            n += sub ? count_items(sub, points) : 0;
        }
    }
    return n;
}

static void tell_message(struct text *t, const ProtobufCMessage *m);

static void tell_value(struct text *t, const ProtobufCFieldDescriptor *f, const void *at)
{
    const ProtobufCBinaryData *bytes = at;
    const ProtobufCEnumValue *word;

    switch (f->type) {
    case PROTOBUF_C_TYPE_MESSAGE:
        text_open(t, f->name);
        tell_message(t, *(const ProtobufCMessage *const *)at);
        text_close(t);
        break;
    case PROTOBUF_C_TYPE_STRING:
        text_string(t, f->name, weft_slice_str(*(const char *const *)at));
        break;
    case PROTOBUF_C_TYPE_BYTES:
        text_bytes(t, f->name, weft_slice_of(bytes->data, bytes->len));
        break;
    case PROTOBUF_C_TYPE_DOUBLE:
        text_double(t, f->name, *(const double *)at);
        break;
    case PROTOBUF_C_TYPE_BOOL:
        text_word(t, f->name, *(const protobuf_c_boolean *)at ? "true" : "false");
        break;
    case PROTOBUF_C_TYPE_ENUM:
        word = protobuf_c_enum_descriptor_get_value(f->descriptor, *(const int *)at);
        if (word)
            text_word(t, f->name, word->name);
        else
            text_int(t, f->name, *(const int *)at);
        break;
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
        text_int(t, f->name, *(const int32_t *)at);
        break;
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
        text_uint(t, f->name, *(const uint32_t *)at);
        break;
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SFIXED64:
        text_int(t, f->name, *(const int64_t *)at);
        break;
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        text_uint(t, f->name, *(const uint64_t *)at);
        break;
    default:
        fail_msg("%s: type %d", f->name, f->type);
    }
}

/* Bytes between two elements of a repeated field, as protobuf-c holds them. */
static size_t stride(ProtobufCType type)
{
    return type == PROTOBUF_C_TYPE_MESSAGE || type == PROTOBUF_C_TYPE_STRING ? sizeof(void *) : sizeof(uint64_t);
}

/* True when a field without presence holds what proto3 does not send. */
static bool is_nothing(const ProtobufCFieldDescriptor *f, const void *at)
{
    static const uint64_t zero;

    switch (f->type) {
    case PROTOBUF_C_TYPE_MESSAGE:
        return *(void *const *)at == NULL;
    case PROTOBUF_C_TYPE_STRING:
        return (*(const char *const *)at)[0] == '\0';
    case PROTOBUF_C_TYPE_BYTES:
        return ((const ProtobufCBinaryData *)at)->len == 0;
    default:
        return memcmp(at, &zero, is_fixed64(f->type) ? 8 : 4) == 0;
    }
}

static bool is_group(const ProtobufCFieldDescriptor *f)
{
    return strncmp(f->name, "resource_", 9) == 0 || strncmp(f->name, "scope_", 6) == 0;
}

static void tell_field(struct text *t, const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
    const uint8_t *at = member(m, f->offset);

    if (strstr(f->name, "strindex"))
        return;
    if (f->label == PROTOBUF_C_LABEL_REPEATED) {
        const uint8_t *list = *(const uint8_t *const *)(const void *)at;

        for (size_t i = 0; i < count_of(m, f); i++) {
            const void *element = list + i * stride(f->type);

            if (!is_group(f) || count_items(*(const ProtobufCMessage *const *)element, false) > 0)
                tell_value(t, f, element);
        }
    } else if (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) {
        if (*(const uint32_t *)member(m, f->quantifier_offset) == f->id)
            tell_value(t, f, at);
    } else if (!is_nothing(f, at)) {
        tell_value(t, f, at);
    }
}

static void tell_message(struct text *t, const ProtobufCMessage *m)
{
    for (unsigned i = 0; i < m->descriptor->n_fields; i++)
        tell_field(t, m, &m->descriptor->fields[i]);
}

/* ---- why we refuse what protobuf-c takes ---- */

static bool plain_varint(struct weft_slice *rest, uint64_t *ret)
{
    *ret = 0;
    for (unsigned shift = 0; rest->len > 0; shift += 7) {
        const uint8_t byte = *rest->data++;

        rest->len--;
        if (shift < 64)
            *ret |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return true;
    }
    return false;
}

/* One of our four reasons, or NULL. `d` NULL: a field unknown to protobuf. */
static const char *why_refused(struct weft_slice rest, const ProtobufCMessageDescriptor *d, unsigned depth)
{
    unsigned heads = 0;
    uint64_t key, value;

    if (depth > WEFT_OTLP_MAX_DEPTH)
        return "nested too deeply";
    while (plain_varint(&rest, &key)) {
        const ProtobufCFieldDescriptor *f = protobuf_c_message_descriptor_get_field(d, (unsigned)(key >> 3));

        if (key >> 3 == 0 || key >> 3 > 0x1fffffff)
            return "field number out of range";
        if (f && (strcmp(f->name, "resource") == 0 || strcmp(f->name, "scope") == 0) && ++heads > 1)
            return "two resources or scopes";
        if (f && f->type == PROTOBUF_C_TYPE_BOOL && (key & 7) != WEFT_VARINT)
            return "a bool that is no varint, which protobuf-c 1.4 does not check";
        switch (key & 7) {
        case WEFT_VARINT:
            if (!plain_varint(&rest, &value))
                return NULL;
            break;
        case WEFT_LENGTH:
            if (!plain_varint(&rest, &value) || value > rest.len)
                return NULL;
            if (f && f->type == PROTOBUF_C_TYPE_MESSAGE) {
                const char *why = why_refused(weft_slice_of(rest.data, value), f->descriptor, depth + 1);
                if (why)
                    return why;
            }
            rest = weft_slice_of(rest.data + value, rest.len - value);
            break;
        case WEFT_FIXED64:
        case WEFT_FIXED32:
            value = (key & 7) == WEFT_FIXED64 ? 8 : 4;
            if (value > rest.len)
                return NULL;
            rest = weft_slice_of(rest.data + value, rest.len - value);
            break;
        default:
            return NULL;
        }
    }
    return NULL;
}

/* ---- sub-messages in pieces ---- */

/* protobuf-c 1.4 loses scalars when it merges two pieces of one sub-message. To merge is to put their bytes one behind the
 * other, so this does it before protobuf-c reads them. */
static void join_pieces(struct weft_buf *out, struct weft_slice message, const ProtobufCMessageDescriptor *d);

static void join_field(struct weft_buf *out, struct weft_slice message, const ProtobufCFieldDescriptor *f)
{
    struct weft_slice piece;
    struct weft_buf whole;

    weft_buf_init(&whole, MESSAGE_MAX);
    while (weft_wire_next_bytes(&message, f->id, &piece) > 0)
        weft_buf_append(&whole, piece.data, piece.len);
    join_pieces(out, weft_buf_slice(&whole), f->descriptor);
    weft_buf_release(&whole);
}

static void join_pieces(struct weft_buf *out, struct weft_slice message, const ProtobufCMessageDescriptor *d)
{
    struct weft_slice rest = message;
    struct weft_field field;
    uint32_t joined = 0;

    for (const uint8_t *start = rest.data; weft_wire_next(&rest, &field) > 0; start = rest.data) {
        const ProtobufCFieldDescriptor *f = protobuf_c_message_descriptor_get_field(d, field.number);

        if (!f || f->type != PROTOBUF_C_TYPE_MESSAGE) {
            weft_buf_append(out, start, (size_t)(rest.data - start));
            continue;
        }
        const bool single = f->label != PROTOBUF_C_LABEL_REPEATED && !(f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF);
        if (single && joined & 1u << f->id)
            continue;
        joined |= 1u << f->id;

        const size_t mark = weft_wire_begin_wide(out, f->id);
        if (single)
            join_field(out, message, f);
        else
            join_pieces(out, field.bytes, f->descriptor);
        weft_wire_end_wide(out, mark);
    }
}

/* ---- the comparison ---- */

static struct {
    uint64_t accepted, refused, excused, items;
} tally;

static void complain(const char *what, enum weft_signal signal, struct weft_slice bytes)
{
    fprintf(stderr, "%s of %zu bytes: ", weft_signal_name(signal), bytes.len);
    for (size_t i = 0; i < bytes.len; i++)
        fprintf(stderr, "%02x", bytes.data[i]);
    fprintf(stderr, "\n");
    fail_msg("%s", what);
}

static void compare_values(enum weft_signal signal, struct weft_slice bytes, uint32_t items, struct weft_buf *ours,
                           struct weft_buf *theirs)
{
    struct text t = { theirs, 0, false };
    struct weft_buf joined;

    weft_buf_init(&joined, MESSAGE_MAX);
    join_pieces(&joined, bytes, request_of(signal));
    ProtobufCMessage *oracle = protobuf_c_message_unpack(request_of(signal), NULL, joined.len, joined.data);
    if (!oracle || joined.err)
        complain("the joined message cannot be read", signal, bytes);
    if (items != count_items(oracle, true))
        complain("the number of items differs", signal, bytes);
    weft_buf_reset(ours);
    weft_buf_reset(theirs);
    tell_message(&t, oracle);
    protobuf_c_message_free_unpacked(oracle, NULL);
    weft_buf_release(&joined);
    if (otlp_text(signal, bytes, true, ours) != 0)
        complain("a view refuses what count accepts", signal, bytes);
    if (!weft_slice_equal(weft_buf_slice(ours), weft_buf_slice(theirs))) {
        fprintf(stderr, "--- ours\n%.*s--- protobuf-c\n%.*s", (int)ours->len, (const char *)ours->data,
                (int)theirs->len, (const char *)theirs->data);
        complain("the values differ", signal, bytes);
    }
}

static void compare(enum weft_signal signal, struct weft_slice bytes, struct weft_buf *ours, struct weft_buf *theirs)
{
    ProtobufCMessage *oracle = protobuf_c_message_unpack(request_of(signal), NULL, bytes.len, bytes.data);
    uint32_t items = 0;
    int err = weft_otlp_count(signal, bytes, &items);

    if (!err && !oracle)
        complain("we accept what protobuf-c refuses", signal, bytes);
    if (err && err != WEFT_ERR_MALFORMED)
        complain("an error of another kind", signal, bytes);
    if (err && oracle) {
        if (!why_refused(bytes, request_of(signal), 1))
            complain("we refuse what protobuf-c accepts", signal, bytes);
        tally.excused++;
    }
    if (!err) {
        compare_values(signal, bytes, items, ours, theirs);
        tally.items += items;
        tally.accepted++;
    } else {
        tally.refused++;
    }
    if (oracle)
        protobuf_c_message_free_unpacked(oracle, NULL);
}

static void random_messages_read_as_protobuf_c_reads_them(void **state)
{
    const char *count = getenv("WEFT_RANDOM_MESSAGES"), *seed = getenv("WEFT_SEED");
    const unsigned long messages = count ? strtoul(count, NULL, 10) : 100000;
    struct weft_buf message, ours, theirs;
    (void)state;

    chance_state = seed ? strtoull(seed, NULL, 10) : weft_clock_wall_ns() | 1;
    printf("WEFT_SEED=%llu\n", (unsigned long long)chance_state);
    fflush(stdout);
    weft_buf_init(&message, MESSAGE_MAX);
    weft_buf_init(&ours, TEXT_MAX);
    weft_buf_init(&theirs, TEXT_MAX);
    for (unsigned long i = 0; i < messages; i++) {
        const enum weft_signal signal = (enum weft_signal)pick(WEFT_SIGNALS);

        weft_buf_reset(&message);
        fields_left = 1 + (int)pick(FIELDS_MAX);
        put_message(&message, request_of(signal));
        assert_int_equal(message.err, 0);
        if (pick(5) < 2)
            damage(&message);

        uint8_t *exact = malloc(message.len ? message.len : 1); /* so that the sanitizer sees the true end */
        assert_non_null(exact);
        if (message.len > 0)
            memcpy(exact, message.data, message.len);
        compare(signal, weft_slice_of(exact, message.len), &ours, &theirs);
        free(exact);
    }
    printf("%llu accepted with %llu items, %llu refused, %llu of them for reasons of our own\n",
           (unsigned long long)tally.accepted, (unsigned long long)tally.items, (unsigned long long)tally.refused,
           (unsigned long long)tally.excused);
    assert_true(tally.accepted > messages / 3 && tally.refused > messages / 20);
    weft_buf_release(&message);
    weft_buf_release(&ours);
    weft_buf_release(&theirs);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_messages_read_as_protobuf_c_reads_them),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

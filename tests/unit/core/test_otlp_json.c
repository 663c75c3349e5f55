/* SPDX-License-Identifier: Apache-2.0 */
/* OTLP's JSON form. The oracle is protobuf-c: its descriptors say what keys and kinds there must be, and two payloads mean
 * the same when it packs them to the same bytes. */
#include "core/err.h"
#include "core/json.h"
#include "core/otlp_json.h"
#include "core/otlp_json_schema.h"
#include "tests/support/otlp_text.h"

#include "otlp_logs_service.pb-c.h"
#include "otlp_metrics_service.pb-c.h"
#include "otlp_trace_service.pb-c.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

enum { TEXT_MAX = 16 << 20, FIELDS_MAX = 150, ROUNDS = 3000 };

#define SAMPLES WEFT_SOURCE_DIR "/tests/samples/"

static const ProtobufCMessageDescriptor *request_of(enum weft_signal signal)
{
    return signal == WEFT_TRACES ? &opentelemetry__proto__collector__trace__v1__export_trace_service_request__descriptor
           : signal == WEFT_LOGS ? &opentelemetry__proto__collector__logs__v1__export_logs_service_request__descriptor
                                 : &opentelemetry__proto__collector__metrics__v1__export_metrics_service_request__descriptor;
}

/* What protobuf-c makes of `payload`: fields in order, defaults left out. */
static struct weft_buf repacked(enum weft_signal signal, struct weft_slice payload)
{
    struct weft_buf out;
    ProtobufCMessage *message = protobuf_c_message_unpack(request_of(signal), NULL, payload.len, payload.data);

    assert_non_null(message);
    weft_buf_init(&out, TEXT_MAX);
    uint8_t *at = weft_buf_reserve(&out, protobuf_c_message_get_packed_size(message));
    assert_non_null(at);
    out.len = protobuf_c_message_pack(message, at);
    protobuf_c_message_free_unpacked(message, NULL);
    return out;
}

/* ---- the table ---- */

static void camel_case(const char *name, char *out)
{
    bool up = false;

    for (; *name; name++) {
        if (*name == '_') {
            up = true;
            continue;
        }
        *out++ = (char)(up ? *name - 'a' + 'A' : *name);
        up = false;
    }
    *out = '\0';
}

static bool kind_fits(const struct weft_oj_field *row, const ProtobufCFieldDescriptor *f)
{
    switch (row->kind) {
    case WEFT_OJ_STRING: return f->type == PROTOBUF_C_TYPE_STRING;
    case WEFT_OJ_TRACE_ID: return f->type == PROTOBUF_C_TYPE_BYTES && strcmp(f->name, "trace_id") == 0;
    case WEFT_OJ_SPAN_ID: return f->type == PROTOBUF_C_TYPE_BYTES && strstr(f->name, "span_id");
    case WEFT_OJ_BYTES: return f->type == PROTOBUF_C_TYPE_BYTES && strcmp(f->name, "bytes_value") == 0;
    case WEFT_OJ_BOOL: return f->type == PROTOBUF_C_TYPE_BOOL;
    case WEFT_OJ_INT32: return f->type == PROTOBUF_C_TYPE_ENUM || f->type == PROTOBUF_C_TYPE_INT32;
    case WEFT_OJ_UINT32: return f->type == PROTOBUF_C_TYPE_UINT32;
    case WEFT_OJ_SINT32: return f->type == PROTOBUF_C_TYPE_SINT32;
    case WEFT_OJ_INT64: return f->type == PROTOBUF_C_TYPE_INT64;
    case WEFT_OJ_UINT64: return f->type == PROTOBUF_C_TYPE_UINT64;
    case WEFT_OJ_FIXED32: return f->type == PROTOBUF_C_TYPE_FIXED32;
    case WEFT_OJ_FIXED64: return f->type == PROTOBUF_C_TYPE_FIXED64;
    case WEFT_OJ_SFIXED64: return f->type == PROTOBUF_C_TYPE_SFIXED64;
    case WEFT_OJ_DOUBLE: return f->type == PROTOBUF_C_TYPE_DOUBLE;
    case WEFT_OJ_CHILD: return f->type == PROTOBUF_C_TYPE_MESSAGE;
    default: return false;
    }
}

static bool is_for_profiles(const char *name)
{
    return strstr(name, "strindex") != NULL;
}

/* The .proto files spell an optional scalar as a oneof of one member, for protobuf-c's sake. */
static bool in_oneof(const ProtobufCMessageDescriptor *d, const ProtobufCFieldDescriptor *f)
{
    unsigned members = 0;

    if (!(f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF))
        return false;
    for (unsigned i = 0; i < d->n_fields; i++)
        members += d->fields[i].flags & PROTOBUF_C_FIELD_FLAG_ONEOF &&
                   d->fields[i].quantifier_offset == f->quantifier_offset;
    return members > 1;
}

static void check_rows(enum weft_oj_message message, const ProtobufCMessageDescriptor *d, bool *seen)
{
    unsigned rows = 0, fields = 0;

    if (seen[message])
        return;
    seen[message] = true;
    for (unsigned i = 0; i < d->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &d->fields[i];
        const struct weft_oj_field *row = &weft_oj_fields[message][f->id];
        char key[100];
        if (is_for_profiles(f->name))
            continue;
        fields++;
        camel_case(f->name, key);
        bool oneof = in_oneof(d, f);
        bool optional = f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF && !oneof;
        if (!row->key || strcmp(row->key, key) != 0 || strlen(key) != row->key_len || !kind_fits(row, f) ||
            !(row->flags & WEFT_OJ_REPEATED) != (f->label != PROTOBUF_C_LABEL_REPEATED) ||
            !(row->flags & WEFT_OJ_ONEOF) != !oneof || (!(row->flags & WEFT_OJ_PRESENCE) != !(oneof || optional)))
            fail_msg("%s.%s", d->name, f->name);
        if (row->kind == WEFT_OJ_CHILD)
            check_rows((enum weft_oj_message)row->message, f->descriptor, seen);
    }
    for (unsigned i = 0; i <= WEFT_OJ_FIELD_MAX; i++)
        rows += weft_oj_fields[message][i].kind != WEFT_OJ_NONE;
    if (rows != fields)
        fail_msg("%s has %u fields, the table %u", d->name, fields, rows);
}

static void the_table_says_what_the_proto_files_say(void **state)
{
    bool seen[WEFT_OJ_MESSAGES] = { false };
    (void)state;

    for (int signal = 0; signal < WEFT_SIGNALS; signal++)
        check_rows((enum weft_oj_message)(WEFT_OJ_TRACES + signal), request_of((enum weft_signal)signal), seen);
    for (unsigned i = 0; i < WEFT_OJ_MESSAGES; i++)
        if (!seen[i])
            fail_msg("message %u of the table is not reached", i);
}

/* ---- round trips ---- */

static uint64_t chance_state = 0x9e3779b97f4a7c15u;
static int fields_left;

static uint64_t chance(void)
{
    chance_state ^= chance_state << 13, chance_state ^= chance_state >> 7, chance_state ^= chance_state << 17;
    return chance_state * 0x2545f4914f6cdd1du;
}

static unsigned pick(unsigned n)
{
    return (unsigned)((chance() >> 32) % n);
}

static uint64_t any_number(void)
{
    return pick(3) ? (uint64_t)((int64_t)pick(2000) - 1000) : chance() >> pick(64);
}

static void put_text(struct weft_buf *b, uint32_t number)
{
    static const char *const pieces[] = { "a", "service.name", "\"", "\\", "\n", "\x01", "na\xc3\xafve", "\xf0\x9f\x98\x80", "/", "" };
    size_t mark = weft_wire_begin(b, number);

    for (unsigned n = pick(6); n > 0; n--)
        weft_buf_append_str(b, pieces[pick(sizeof pieces / sizeof *pieces)]);
    weft_wire_end(b, mark);
}

static void put_raw(struct weft_buf *b, uint32_t number, size_t len)
{
    uint8_t bytes[16];

    for (size_t i = 0; i < len; i++)
        bytes[i] = (uint8_t)chance();
    weft_wire_put_bytes(b, number, weft_slice_of(bytes, len));
}

static uint64_t any_bits(const ProtobufCFieldDescriptor *f)
{
    double value = pick(2) ? (double)pick(100000) / 1000 : -(double)chance() * 1e-30;
    uint64_t bits = any_number();

    if (f->type == PROTOBUF_C_TYPE_DOUBLE)
        memcpy(&bits, &value, sizeof bits);
    return bits;
}

static void put_message(struct weft_buf *b, const ProtobufCMessageDescriptor *d);

static void put_one(struct weft_buf *b, const ProtobufCFieldDescriptor *f)
{
    size_t mark;

    switch (f->type) {
    case PROTOBUF_C_TYPE_MESSAGE:
        mark = weft_wire_begin(b, f->id);
        put_message(b, f->descriptor);
        weft_wire_end(b, mark);
        break;
    case PROTOBUF_C_TYPE_STRING:
        put_text(b, f->id);
        break;
    case PROTOBUF_C_TYPE_BYTES:
        put_raw(b, f->id, strcmp(f->name, "trace_id") == 0 ? 16 : strstr(f->name, "span_id") ? 8 : pick(16));
        break;
    case PROTOBUF_C_TYPE_FIXED32:
        weft_wire_put_fixed32(b, f->id, (uint32_t)any_number());
        break;
    case PROTOBUF_C_TYPE_FIXED64: case PROTOBUF_C_TYPE_SFIXED64: case PROTOBUF_C_TYPE_DOUBLE:
        weft_wire_put_fixed64(b, f->id, any_bits(f));
        break;
    case PROTOBUF_C_TYPE_BOOL:
        weft_wire_put_varint(b, f->id, pick(2));
        break;
    case PROTOBUF_C_TYPE_INT32: case PROTOBUF_C_TYPE_ENUM:
        weft_wire_put_varint(b, f->id, (uint64_t)(int64_t)(int32_t)any_number());
        break;
    case PROTOBUF_C_TYPE_UINT32: case PROTOBUF_C_TYPE_SINT32:
        weft_wire_put_varint(b, f->id, (uint32_t)any_number());
        break;
    default:
        weft_wire_put_varint(b, f->id, any_number());
    }
}

/* A valid message: one member of a oneof, no scalar twice; repeated fields in pieces now and then. */
static void put_message(struct weft_buf *b, const ProtobufCMessageDescriptor *d)
{
    const ProtobufCFieldDescriptor *last = NULL;
    bool chosen = false;

    for (unsigned i = 0; i < d->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &d->fields[i];
        bool oneof = in_oneof(d, f);
        if (is_for_profiles(f->name) || pick(10) >= 6 || (oneof && chosen))
            continue;
        chosen = chosen || oneof;
        unsigned times = f->label == PROTOBUF_C_LABEL_REPEATED ? pick(4) : 1;
        while (times-- > 0 && fields_left-- > 0)
            put_one(b, f);
        if (f->label == PROTOBUF_C_LABEL_REPEATED)
            last = f;
    }
    if (last && pick(3) == 0 && fields_left-- > 0)
        put_one(b, last);
}

/* Protobuf to JSON and back means the same. */
static void check_round_trip(enum weft_signal signal, struct weft_slice payload, const char *name)
{
    struct weft_buf json, back;
    struct weft_json_error error = { 0 };

    weft_buf_init(&json, TEXT_MAX);
    weft_buf_init(&back, TEXT_MAX);
    if (weft_otlp_json_write(signal, payload, &json) != 0)
        fail_msg("%s: not written", name);
    assert_null(memchr(json.data, '\n', json.len));
    if (weft_otlp_json_read(signal, weft_buf_slice(&json), &back, &error) != 0)
        fail_msg("%s: %s at %zu of %.*s", name, error.reason, error.offset, (int)json.len, (const char *)json.data);
    struct weft_buf before = repacked(signal, payload), after = repacked(signal, weft_buf_slice(&back));
    if (!weft_slice_equal(weft_buf_slice(&before), weft_buf_slice(&after)))
        fail_msg("%s: not the same: %.*s", name, (int)json.len, (const char *)json.data);
    weft_buf_release(&before);
    weft_buf_release(&after);
    weft_buf_release(&json);
    weft_buf_release(&back);
}

static void random_messages_survive_the_way_through_json(void **state)
{
    struct weft_buf payload;
    (void)state;

    weft_buf_init(&payload, TEXT_MAX);
    for (int i = 0; i < ROUNDS; i++) {
        enum weft_signal signal = (enum weft_signal)(i % WEFT_SIGNALS);
        char name[40];
        weft_buf_reset(&payload);
        fields_left = FIELDS_MAX;
        put_message(&payload, request_of(signal));
        (void)snprintf(name, sizeof name, "round %d", i);
        check_round_trip(signal, weft_buf_slice(&payload), name);
    }
    weft_buf_release(&payload);
}

/* ---- samples ---- */

static struct weft_buf load(const char *directory, const char *stem, const char *suffix)
{
    struct weft_buf into;
    char path[512];

    weft_buf_init(&into, TEXT_MAX);
    (void)snprintf(path, sizeof path, SAMPLES "%s/%s%s", directory, stem, suffix);
    FILE *f = fopen(path, "rb");
    uint8_t *at = weft_buf_reserve(&into, 1 << 20);
    if (!f || !at)
        fail_msg("%s: cannot read", path);
    into.len = fread(at, 1, 1 << 20, f);
    fclose(f);
    return into;
}

/* The request as text, without what differs between two runs of the same program: ids and times. */
static struct weft_buf told(enum weft_signal signal, struct weft_slice payload, const char *name)
{
    struct weft_buf text, out;

    weft_buf_init(&text, TEXT_MAX);
    weft_buf_init(&out, TEXT_MAX);
    if (otlp_text(signal, payload, false, &text) != 0)
        fail_msg("%s: a view failed", name);
    for (size_t at = 0; at < text.len;) {
        const uint8_t *line = text.data + at, *end = memchr(line, '\n', text.len - at);
        size_t len = end ? (size_t)(end - line) + 1 : text.len - at;
        const uint8_t *colon = memchr(line, ':', len);
        bool differs = colon && (memmem(line, len, "_id: ", 5) || memmem(line, len, "unix_nano: ", 11));
        weft_buf_append(&out, line, differs ? (size_t)(colon - line) : len);
        if (differs)
            weft_buf_append_byte(&out, '\n');
        at += len;
    }
    weft_buf_release(&text);
    return out;
}

static const char *const samples[] = {
    "traces-frontend", "traces-order-service", "traces-payment-service", "traces-inventory-service",
    "logs-frontend", "logs-order-service", "logs-payment-service",
    "metrics-frontend", "metrics-order-service", "metrics-payment-service", "metrics-inventory-service",
};

static enum weft_signal signal_of(const char *name)
{
    return name[0] == 't' ? WEFT_TRACES : name[0] == 'l' ? WEFT_LOGS : WEFT_METRICS;
}

static void a_client_says_the_same_in_json_as_in_protobuf(void **state)
{
    (void)state;

    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
        enum weft_signal signal = signal_of(samples[i]);
        struct weft_buf json = load("otlp-json", samples[i], ".json"), proto = load("otlp-proto", samples[i], ".pb"), read;
        struct weft_json_error error;
        weft_buf_init(&read, TEXT_MAX);
        if (weft_otlp_json_read(signal, weft_buf_slice(&json), &read, &error) != 0)
            fail_msg("%s: %s at %zu", samples[i], error.reason, error.offset);
        struct weft_buf a = told(signal, weft_buf_slice(&read), samples[i]);
        struct weft_buf b = told(signal, weft_buf_slice(&proto), samples[i]);
        if (a.len == 0 || !weft_slice_equal(weft_buf_slice(&a), weft_buf_slice(&b)))
            fail_msg("%s\n%.*s\n%.*s", samples[i], (int)a.len, (const char *)a.data, (int)b.len, (const char *)b.data);
        check_round_trip(signal, weft_buf_slice(&read), samples[i]);
        check_round_trip(signal, weft_buf_slice(&proto), samples[i]);
        weft_buf_release(&json);
        weft_buf_release(&proto);
        weft_buf_release(&read);
        weft_buf_release(&a);
        weft_buf_release(&b);
    }
}

/* ---- rules, one by one ---- */

/* The JSON that comes out again when `json` is read and written. */
static void check_normal(enum weft_signal signal, const char *json, const char *expected)
{
    struct weft_buf payload, again;
    struct weft_json_error error;

    weft_buf_init(&payload, TEXT_MAX);
    weft_buf_init(&again, TEXT_MAX);
    int err = weft_otlp_json_read(signal, weft_slice_str(json), &payload, &error);
    if (err)
        fail_msg("%s: %s at %zu", json, error.reason, error.offset);
    assert_int_equal(weft_otlp_json_write(signal, weft_buf_slice(&payload), &again), 0);
    if (!weft_slice_is(weft_buf_slice(&again), expected))
        fail_msg("%s\nbecame %.*s", json, (int)again.len, (const char *)again.data);
    weft_buf_release(&payload);
    weft_buf_release(&again);
}

#define SPAN(s) "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{" s "}]}]}]}"
#define LOG(s) "{\"resourceLogs\":[{\"scopeLogs\":[{\"logRecords\":[{" s "}]}]}]}"
#define POINT(s) "{\"resourceMetrics\":[{\"scopeMetrics\":[{\"metrics\":[{\"gauge\":{\"dataPoints\":[{" s "}]}}]}]}]}"
#define EXP(s) "{\"resourceMetrics\":[{\"scopeMetrics\":[{\"metrics\":[{\"exponentialHistogram\":{\"dataPoints\":[{" s "}]}}]}]}]}"

static void what_encoders_may_write_is_read(void **state)
{
    static const struct { enum weft_signal signal; const char *json, *normal; } cases[] = {
        { WEFT_TRACES, "{}", "{}" },
        { WEFT_TRACES, " { \"resourceSpans\" : [ ] } ", "{}" },
        { WEFT_TRACES, SPAN("\"traceId\":\"0AF7651916cd43dd8448EB211C80319c\",\"parentSpanId\":\"\""),
          SPAN("\"traceId\":\"0af7651916cd43dd8448eb211c80319c\"") },
        { WEFT_TRACES, SPAN("\"kind\":3,\"startTimeUnixNano\":1795196810435000000,\"endTimeUnixNano\":\"1795196810435000001\",\"flags\":257"),
          SPAN("\"kind\":3,\"startTimeUnixNano\":\"1795196810435000000\",\"endTimeUnixNano\":\"1795196810435000001\",\"flags\":257") },
        { WEFT_TRACES, SPAN("\"name\":null,\"attributes\":null,\"status\":null,\"kind\":null,\"traceId\":null"), SPAN("") },
        { WEFT_TRACES, SPAN("\"unknown\":{\"deep\":[1,{\"x\":null}]},\"trace_state\":\"snake case is unknown\",\"name\":\"n\""),
          SPAN("\"name\":\"n\"") },
        { WEFT_TRACES, SPAN("\"status\":{\"code\":2,\"message\":\"a\\\"b\"},\"droppedLinksCount\":4294967295,\"events\":[{\"name\":\"e\"},{}]"),
          SPAN("\"events\":[{\"name\":\"e\"},{}],\"droppedLinksCount\":4294967295,\"status\":{\"message\":\"a\\\"b\",\"code\":2}") },
        { WEFT_TRACES, SPAN("\"n\\u0061me\":\"\\u0061\",\"spanId\":\"\\u0062051122334455667\""),
          SPAN("\"spanId\":\"b051122334455667\",\"name\":\"a\"") },
        { WEFT_LOGS, LOG("\"body\":{\"stringValue\":\"\"},\"eventName\":\"e\""), LOG("\"body\":{\"stringValue\":\"\"},\"eventName\":\"e\"") },
        { WEFT_LOGS, LOG("\"body\":{\"intValue\":-5}"), LOG("\"body\":{\"intValue\":\"-5\"}") },
        { WEFT_LOGS, LOG("\"body\":{\"intValue\":\"0\"}"), LOG("\"body\":{\"intValue\":\"0\"}") },
        { WEFT_LOGS, LOG("\"body\":{\"boolValue\":false}"), LOG("\"body\":{\"boolValue\":false}") },
        { WEFT_LOGS, LOG("\"body\":{}"), LOG("\"body\":{}") },
        { WEFT_LOGS, LOG("\"body\":{\"bytesValue\":\"_-8\"}"), LOG("\"body\":{\"bytesValue\":\"/+8=\"}") },
        { WEFT_LOGS, LOG("\"body\":{\"bytesValue\":\"\\u005ag==\"}"), LOG("\"body\":{\"bytesValue\":\"Zg==\"}") },
        { WEFT_LOGS, LOG("\"body\":{\"arrayValue\":{\"values\":[{\"stringValue\":\"a\"},{\"kvlistValue\":{\"values\":[{\"key\":\"k\",\"value\":{\"doubleValue\":1.5}}]}}]}}"),
          LOG("\"body\":{\"arrayValue\":{\"values\":[{\"stringValue\":\"a\"},{\"kvlistValue\":{\"values\":[{\"key\":\"k\",\"value\":{\"doubleValue\":1.5}}]}}]}}") },
        { WEFT_METRICS, POINT("\"asInt\":\"9223372036854775807\""), POINT("\"asInt\":\"9223372036854775807\"") },
        { WEFT_METRICS, POINT("\"asInt\":0"), POINT("\"asInt\":\"0\"") },
        { WEFT_METRICS, POINT("\"asDouble\":\"NaN\""), POINT("\"asDouble\":\"NaN\"") },
        { WEFT_METRICS, POINT("\"asDouble\":\"-Infinity\""), POINT("\"asDouble\":\"-Infinity\"") },
        { WEFT_METRICS, POINT("\"asDouble\":\"2.5\""), POINT("\"asDouble\":2.5") },
        { WEFT_METRICS, POINT("\"asDouble\":0"), POINT("\"asDouble\":0") },
        { WEFT_METRICS, EXP("\"scale\":-3,\"positive\":{\"offset\":-7,\"bucketCounts\":[\"1\",0,300]},\"sum\":0"),
          EXP("\"sum\":0,\"scale\":-3,\"positive\":{\"offset\":-7,\"bucketCounts\":[\"1\",\"0\",\"300\"]}") },
        { WEFT_METRICS,
          "{\"resourceMetrics\":[{\"resource\":{\"entityRefs\":[{\"type\":\"service\",\"idKeys\":[\"service.name\",\"\"]}]},\"schemaUrl\":\"u\"}]}",
          "{\"resourceMetrics\":[{\"resource\":{\"entityRefs\":[{\"type\":\"service\",\"idKeys\":[\"service.name\",\"\"]}]},\"schemaUrl\":\"u\"}]}" },
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check_normal(cases[i].signal, cases[i].json, cases[i].normal);
}

static void what_no_encoder_may_write_is_refused_with_place_and_reason(void **state)
{
    static const struct { enum weft_signal signal; const char *json, *at, *reason; } cases[] = {
        { WEFT_TRACES, "[]", "[]", "expected an object" },
        { WEFT_TRACES, "", "", "expected a value" },
        { WEFT_TRACES, "{} {}", "{}", "text behind the end" },
        { WEFT_TRACES, "{\"resourceSpans\":{}}", "{}}", "expected an array" },
        { WEFT_TRACES, "{\"resourceSpans\":[1]}", "1]}", "expected an object" },
        { WEFT_TRACES, "{\"resourceSpans\":[null]}", "null]}", "expected an object" },
        { WEFT_TRACES, "{\"unknown\":[}", "}", "expected a value" },
        { WEFT_TRACES, SPAN("\"traceId\":\"abc\""), "\"abc\"", "expected a hex string of 32 digits" },
        { WEFT_TRACES, SPAN("\"spanId\":\"051122334455667x\""), "\"0511", "expected a hex string of 16 digits" },
        { WEFT_TRACES, SPAN("\"traceId\":\"ChAAAAAAAAAAAAAAAAAAAA==\""), "\"ChAA", "expected a hex string of 32 digits" },
        { WEFT_TRACES, SPAN("\"kind\":\"SPAN_KIND_SERVER\""), "\"SPAN", "expected an integer of 32 bits" },
        { WEFT_TRACES, SPAN("\"kind\":2147483648"), "2147", "expected an integer of 32 bits" },
        { WEFT_TRACES, SPAN("\"flags\":-1"), "-1", "expected a natural number of 32 bits" },
        { WEFT_TRACES, SPAN("\"startTimeUnixNano\":1.5"), "1.5", "expected a natural number of 64 bits" },
        { WEFT_TRACES, SPAN("\"name\":1"), "1}", "expected a string" },
        { WEFT_TRACES, SPAN("\"status\":[]"), "[]", "expected an object" },
        { WEFT_LOGS, LOG("\"body\":{\"boolValue\":\"true\"}"), "\"true", "expected true or false" },
        { WEFT_LOGS, LOG("\"body\":{\"bytesValue\":\"a\"}"), "\"a\"", "expected a base64 string" },
        { WEFT_LOGS, LOG("\"body\":{\"bytesValue\":\"ab*d\"}"), "\"ab*", "expected a base64 string" },
        { WEFT_METRICS, POINT("\"asDouble\":\"nan\""), "\"nan", "expected a double" },
        { WEFT_METRICS, POINT("\"asDouble\":1e400"), "1e400", "expected a double" },
        { WEFT_METRICS, EXP("\"positive\":{\"bucketCounts\":[1,null]}"), "null", "expected a number" },
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct weft_buf out;
        struct weft_json_error error = { 0, "" };
        weft_buf_init(&out, TEXT_MAX);
        weft_buf_append_str(&out, "before");
        int err = weft_otlp_json_read(cases[i].signal, weft_slice_str(cases[i].json), &out, &error);
        if (err != WEFT_ERR_MALFORMED || strcmp(error.reason, cases[i].reason) != 0)
            fail_msg("%s: %d %s", cases[i].json, err, error.reason);
        if (strncmp(cases[i].json + error.offset, cases[i].at, strlen(cases[i].at)) != 0 && *cases[i].at)
            fail_msg("%s: at %zu", cases[i].json, error.offset);
        assert_true(weft_slice_is(weft_buf_slice(&out), "before"));
        weft_buf_release(&out);
    }
}

static void ten_thousand_levels_are_too_deep(void **state)
{
    static const char *const heads[] = { "[", "{\"a\":", "{\"resourceLogs\":[", };
    (void)state;

    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        struct weft_buf text, out;
        struct weft_json_error error = { 0 };
        weft_buf_init(&text, TEXT_MAX);
        weft_buf_init(&out, TEXT_MAX);
        weft_buf_append_str(&text, "{\"unknown\":");
        for (int level = 0; level < 10000; level++)
            weft_buf_append_str(&text, heads[i]);
        assert_int_equal(weft_otlp_json_read(WEFT_LOGS, weft_buf_slice(&text), &out, &error), WEFT_ERR_TOO_DEEP);
        assert_non_null(error.reason);
        weft_buf_release(&text);
        weft_buf_release(&out);
    }
}

static void values_in_values_are_too_deep_at_the_same_limit(void **state)
{
    struct weft_buf text, out;
    struct weft_json_error error = { 0 };
    (void)state;

    weft_buf_init(&text, TEXT_MAX);
    weft_buf_init(&out, TEXT_MAX);
    weft_buf_append_str(&text, "{\"resourceLogs\":[{\"scopeLogs\":[{\"logRecords\":[{\"body\":");
    for (int level = 0; level < 10000; level++)
        weft_buf_append_str(&text, "{\"arrayValue\":{\"values\":[");
    assert_int_equal(weft_otlp_json_read(WEFT_LOGS, weft_buf_slice(&text), &out, &error), WEFT_ERR_TOO_DEEP);
    weft_buf_release(&text);

    /* the same built in protobuf, deeper than protobuf itself allows */
    struct weft_buf inner, outer;
    weft_buf_init(&inner, TEXT_MAX);
    weft_buf_init(&outer, TEXT_MAX);
    for (int level = 0; level < 201; level++) { /* from a value's array to a value's array */
        weft_buf_reset(&outer);
        weft_wire_put_bytes(&outer, level % 2 ? WEFT_ARRAY_VALUES : WEFT_VALUE_ARRAY, weft_buf_slice(&inner));
        weft_buf_reset(&inner);
        weft_buf_append(&inner, outer.data, outer.len);
    }
    for (int level = 0; level < 4; level++) {
        static const uint32_t numbers[] = { WEFT_LOG_BODY, WEFT_OTLP_ITEMS, WEFT_RESOURCE_GROUP_SCOPES, WEFT_REQUEST_GROUPS };
        weft_buf_reset(&outer);
        weft_wire_put_bytes(&outer, numbers[level], weft_buf_slice(&inner));
        weft_buf_reset(&inner);
        weft_buf_append(&inner, outer.data, outer.len);
    }
    assert_int_equal(weft_otlp_json_write(WEFT_LOGS, weft_buf_slice(&outer), &out), WEFT_ERR_MALFORMED);
    assert_int_equal(out.len, 0);
    weft_buf_release(&inner);
    weft_buf_release(&outer);
    weft_buf_release(&out);
}

static void of_two_members_of_a_oneof_the_last_is_written(void **state)
{
    struct weft_buf payload, any, out;
    (void)state;

    weft_buf_init(&payload, TEXT_MAX);
    weft_buf_init(&any, TEXT_MAX);
    weft_buf_init(&out, TEXT_MAX);
    struct weft_otlp_group group = weft_otlp_group_open(&payload, weft_slice_of(NULL, 0), weft_slice_of(NULL, 0));
    weft_wire_put_bytes(&any, WEFT_VALUE_STRING, WEFT_SLICE("first"));
    weft_wire_put_varint(&any, WEFT_VALUE_INT, 2);
    weft_wire_put_varint(&any, WEFT_VALUE_BOOL, 1);
    size_t item = weft_wire_begin(&payload, WEFT_OTLP_ITEMS);
    weft_wire_put_bytes(&payload, WEFT_LOG_BODY, weft_buf_slice(&any));
    weft_wire_end(&payload, item);
    weft_otlp_group_close(&payload, group);
    assert_int_equal(weft_otlp_json_write(WEFT_LOGS, weft_buf_slice(&payload), &out), 0);
    if (!weft_slice_is(weft_buf_slice(&out), LOG("\"body\":{\"boolValue\":true}")))
        fail_msg("%.*s", (int)out.len, (const char *)out.data);
    weft_buf_release(&payload);
    weft_buf_release(&any);
    weft_buf_release(&out);
}

static void malformed_protobuf_is_refused_and_leaves_nothing(void **state)
{
    static const struct { const char *bytes; size_t len; } cases[] = {
        { "\x0a\x05\x0a", 3 },                 /* cut */
        { "\x08\x01", 2 },                     /* a varint where groups belong */
        { "\x0a\x06\x12\x04\x12\x02\x0a\x01", 8 }, /* cut inside an item */
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct weft_buf out;
        weft_buf_init(&out, TEXT_MAX);
        weft_buf_append_byte(&out, 'x');
        if (weft_otlp_json_write(WEFT_TRACES, weft_slice_of(cases[i].bytes, cases[i].len), &out) != WEFT_ERR_MALFORMED || out.len != 1)
            fail_msg("case %zu", i);
        weft_buf_release(&out);
    }
}

static void a_buffer_that_is_too_small_is_an_error(void **state)
{
    const char *json = SPAN("\"name\":\"a name that needs some room\",\"attributes\":[{\"key\":\"k\\n\",\"value\":{\"bytesValue\":\"Zm9vYmFy\"}}]");
    struct weft_buf whole;
    struct weft_json_error error = { 0 };
    (void)state;

    weft_buf_init(&whole, TEXT_MAX);
    assert_int_equal(weft_otlp_json_read(WEFT_TRACES, weft_slice_str(json), &whole, &error), 0);
    for (size_t limit = 0; limit < whole.len; limit++) {
        struct weft_buf out;
        weft_buf_init(&out, limit);
        assert_int_equal(weft_otlp_json_read(WEFT_TRACES, weft_slice_str(json), &out, &error), WEFT_ERR_TOO_LARGE);
        weft_buf_reset(&out);
        assert_int_equal(weft_otlp_json_write(WEFT_TRACES, weft_buf_slice(&whole), &out), WEFT_ERR_TOO_LARGE);
        weft_buf_release(&out);
    }
    weft_buf_release(&whole);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_says_what_the_proto_files_say),
        cmocka_unit_test(what_encoders_may_write_is_read),
        cmocka_unit_test(what_no_encoder_may_write_is_refused_with_place_and_reason),
        cmocka_unit_test(ten_thousand_levels_are_too_deep),
        cmocka_unit_test(values_in_values_are_too_deep_at_the_same_limit),
        cmocka_unit_test(of_two_members_of_a_oneof_the_last_is_written),
        cmocka_unit_test(malformed_protobuf_is_refused_and_leaves_nothing),
        cmocka_unit_test(a_buffer_that_is_too_small_is_an_error),
        cmocka_unit_test(a_client_says_the_same_in_json_as_in_protobuf),
        cmocka_unit_test(random_messages_survive_the_way_through_json),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

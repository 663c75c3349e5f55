/* SPDX-License-Identifier: Apache-2.0 */
#include "core/err.h"
#include "core/json.h"
#include "core/otlp_json.h"
#include "exporters/elasticsearch_compose.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

enum { ITEMS = 64 };

struct fixture {
    struct weft_es_composer composer;
    struct weft_es_body body;
    struct weft_buf payload[2];
    struct weft_record records[2];
    struct weft_batch batch;
    uint8_t states[ITEMS];
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    weft_es_composer_init(&f->composer);
    f->composer.otel = true;
    weft_es_body_init(&f->body, 16u << 20);
    for (int i = 0; i < 2; i++)
        weft_buf_init(&f->payload[i], 4u << 20);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    weft_es_composer_release(&f->composer);
    weft_es_body_release(&f->body);
    for (int i = 0; i < 2; i++)
        weft_buf_release(&f->payload[i]);
    free(f);
    return 0;
}

static void take(struct fixture *f, enum weft_signal signal, const char *const *json, size_t n)
{
    f->batch = (struct weft_batch){ .signal = signal, .journal_id = 0x0001020304050607, .records = f->records,
                                    .n_records = n, .item_state = f->states };
    memset(f->states, WEFT_ITEM_WAITING, sizeof f->states);
    for (size_t i = 0; i < n; i++) {
        struct weft_json_error error = { 0 };
        uint32_t items;
        weft_buf_reset(&f->payload[i]);
        int err = weft_otlp_json_read(signal, weft_slice_str(json[i]), &f->payload[i], &error);
        if (err)
            fail_msg("the test's own JSON, at %zu: %s", error.offset, error.reason);
        assert_int_equal(weft_otlp_count(signal, weft_buf_slice(&f->payload[i]), &items), 0);
        f->records[i] = (struct weft_record){ .sequence = 0x090a + i, .wall_ns = 1700000000123456789, .n_items = items,
                                              .payload = weft_buf_slice(&f->payload[i]) };
        f->batch.n_items += items;
    }
}

static const char *compose(struct fixture *f, uint64_t first, size_t max, uint64_t *end)
{
    weft_es_body_reset(&f->body);
    assert_int_equal(weft_es_compose(&f->composer, &f->batch, first, max, &f->body, end), 0);
    weft_buf_append_byte(&f->body.bytes, 0);
    f->body.bytes.len--;
    return (const char *)f->body.bytes.data;
}

static void assert_body(struct fixture *f, const char *what, const char *expected)
{
    uint64_t end;
    const char *body = compose(f, 0, SIZE_MAX, &end);

    assert_int_equal(end, f->batch.n_items);
    if (strcmp(body, expected) != 0)
        fail_msg("%s:\n%s\nexpected\n%s", what, body, expected);
}

#define LOG_IDS "\"traceId\":\"0102030405060708090a0b0c0d0e0f10\",\"spanId\":\"0102030405060708\""
#define TIME "\"timeUnixNano\":\"1705314600000000000\""
#define ACTION(index, id) "{\"create\":{\"_index\":\"" index "\",\"_id\":\"" id "\"}}\n"
#define LOGS_ACTION ACTION("logs-generic.otel-default", "AAECAwQFBgcAAAAACQoAAAAA")
#define LOGS_STREAM ",\"data_stream\":{\"type\":\"logs\",\"dataset\":\"generic.otel\",\"namespace\":\"default\"}"
#define NO_GROUP ",\"resource\":{\"attributes\":{}},\"scope\":{\"attributes\":{}}}\n"

/* One log record in a resource and scope that say nothing. */
#define LOG(record) "{\"resourceLogs\":[{\"scopeLogs\":[{\"logRecords\":[{" record "}]}]}]}"

static void logs_have_the_shape_of_the_golden_documents(void **state)
{
    struct fixture *f = *state;
    const struct { const char *what, *in, *out; } cases[] = {
        { "everything that a log can have",
          "{\"resourceLogs\":[{\"schemaUrl\":\"https://opentelemetry.io/schemas/1.21.0\",\"resource\":{\"attributes\":["
          "{\"key\":\"service.name\",\"value\":{\"stringValue\":\"test-service\"}},"
          "{\"key\":\"host.name\",\"value\":{\"stringValue\":\"prod-server-01\"}}]},"
          "\"scopeLogs\":[{\"schemaUrl\":\"https://opentelemetry.io/schemas/1.21.0\",\"scope\":{\"name\":\"github.com/example/myapp\","
          "\"version\":\"1.0.0\",\"attributes\":[{\"key\":\"scope.attribute\",\"value\":{\"stringValue\":\"example-value\"}}]},"
          "\"logRecords\":[{" TIME ",\"observedTimeUnixNano\":\"1705314600001000000\",\"severityNumber\":9,"
          "\"severityText\":\"INFO\",\"body\":{\"stringValue\":\"Sample log message\"},\"attributes\":["
          "{\"key\":\"http.method\",\"value\":{\"stringValue\":\"GET\"}},"
          "{\"key\":\"http.status_code\",\"value\":{\"intValue\":\"200\"}},"
          "{\"key\":\"event.name\",\"value\":{\"stringValue\":\"user.login\"}},"
          "{\"key\":\"success\",\"value\":{\"boolValue\":true}},"
          "{\"key\":\"correlation.id\",\"value\":{\"stringValue\":\"c0ffee\"}},"
          "{\"key\":\"duration_ms\",\"value\":{\"doubleValue\":45.67}}]," LOG_IDS "}]}]}]}",
          LOGS_ACTION "{\"@timestamp\":\"1705314600000.0\"" LOGS_STREAM ",\"observed_timestamp\":\"1705314600001.0\","
          "\"severity_text\":\"INFO\",\"severity_number\":9,\"trace_id\":\"0102030405060708090a0b0c0d0e0f10\","
          "\"span_id\":\"0102030405060708\",\"attributes\":{\"http.method\":\"GET\",\"http.status_code\":200,"
          "\"event.name\":\"user.login\",\"success\":true,\"correlation.id\":\"c0ffee\",\"duration_ms\":45.67},"
          "\"event_name\":\"user.login\",\"body\":{\"text\":\"Sample log message\"},\"correlation_id\":\"c0ffee\","
          "\"resource\":{\"attributes\":{\"service.name\":\"test-service\",\"host.name\":\"prod-server-01\"},"
          "\"schema_url\":\"https://opentelemetry.io/schemas/1.21.0\"},\"scope\":{\"attributes\":"
          "{\"scope.attribute\":\"example-value\"},\"name\":\"github.com/example/myapp\",\"version\":\"1.0.0\","
          "\"schema_url\":\"https://opentelemetry.io/schemas/1.21.0\"}}\n" },
        { "nanoseconds keep their place", LOG("\"timeUnixNano\":\"1705314600000000001\",\"body\":{\"stringValue\":\"a\"}"),
          LOGS_ACTION "{\"@timestamp\":\"1705314600000.000001\"" LOGS_STREAM ",\"attributes\":{},\"body\":{\"text\":\"a\"}" NO_GROUP },
        { "no time: the observed one", LOG("\"observedTimeUnixNano\":\"5000000\""),
          LOGS_ACTION "{\"@timestamp\":\"5.0\"" LOGS_STREAM ",\"observed_timestamp\":\"5.0\",\"attributes\":{}" NO_GROUP },
        { "no time at all: when it came in", LOG("\"severityNumber\":0"),
          LOGS_ACTION "{\"@timestamp\":\"1700000000123.456789\"" LOGS_STREAM ",\"attributes\":{}" NO_GROUP },
        { "a body that is a number", LOG(TIME ",\"body\":{\"intValue\":\"-7\"}"),
          LOGS_ACTION "{\"@timestamp\":\"1705314600000.0\"" LOGS_STREAM ",\"attributes\":{},\"body\":{\"text\":\"-7\"}" NO_GROUP },
        { "a body that is a map",
          LOG(TIME ",\"body\":{\"kvlistValue\":{\"values\":[{\"key\":\"a\",\"value\":{\"kvlistValue\":{\"values\":["
                   "{\"key\":\"b\",\"value\":{\"boolValue\":false}}]}}}]}}"),
          LOGS_ACTION "{\"@timestamp\":\"1705314600000.0\"" LOGS_STREAM
          ",\"attributes\":{},\"body\":{\"flattened\":{\"a\":{\"b\":false}}}" NO_GROUP },
        { "an event with a map",
          LOG(TIME ",\"eventName\":\"x\",\"body\":{\"kvlistValue\":{\"values\":[{\"key\":\"a\",\"value\":{\"intValue\":1}}]}}"),
          LOGS_ACTION "{\"@timestamp\":\"1705314600000.0\"" LOGS_STREAM
          ",\"attributes\":{},\"event_name\":\"x\",\"body\":{\"structured\":{\"a\":1}}" NO_GROUP },
        { "an event with a list",
          LOG(TIME ",\"eventName\":\"x\",\"body\":{\"arrayValue\":{\"values\":[{\"stringValue\":\"foo\"},{\"boolValue\":false}]}}"),
          LOGS_ACTION "{\"@timestamp\":\"1705314600000.0\"" LOGS_STREAM
          ",\"attributes\":{},\"event_name\":\"x\",\"body\":{\"structured\":{\"value\":[\"foo\",false]}}" NO_GROUP },
        { "values of every kind",
          LOG(TIME ",\"droppedAttributesCount\":2,\"attributes\":["
                   "{\"key\":\"whole\",\"value\":{\"doubleValue\":3}},{\"key\":\"nan\",\"value\":{\"doubleValue\":\"NaN\"}},"
                   "{\"key\":\"none\",\"value\":{}},{\"key\":\"bytes\",\"value\":{\"bytesValue\":\"AQID\"}},"
                   "{\"key\":\"empty\",\"value\":{\"arrayValue\":{}}},{\"key\":\"min\",\"value\":{\"intValue\":\"-9223372036854775808\"}},"
                   "{\"key\":\"q\\\"\\\\\\u0001\",\"value\":{\"stringValue\":\"\\n\\t\\u20ac\\u007f\"}}]"),
          LOGS_ACTION "{\"@timestamp\":\"1705314600000.0\"" LOGS_STREAM
          ",\"attributes\":{\"whole\":3.0,\"nan\":null,\"none\":null,\"bytes\":\"AQID\",\"empty\":[],"
          "\"min\":-9223372036854775808,\"q\\\"\\\\\\u0001\":\"\\n\\t\xe2\x82\xac\x7f\"},\"dropped_attributes_count\":2" NO_GROUP },
        { "a key that comes twice is written once",
          LOG(TIME ",\"attributes\":[{\"key\":\"a\",\"value\":{\"intValue\":1}},{\"key\":\"b\",\"value\":{\"intValue\":2}},"
                   "{\"key\":\"a\",\"value\":{\"intValue\":3}}]"),
          LOGS_ACTION "{\"@timestamp\":\"1705314600000.0\"" LOGS_STREAM ",\"attributes\":{\"a\":1,\"b\":2}" NO_GROUP },
        { "an id of zeroes is none", LOG(TIME ",\"traceId\":\"00000000000000000000000000000000\",\"spanId\":\"0102030405060708\""),
          LOGS_ACTION "{\"@timestamp\":\"1705314600000.0\"" LOGS_STREAM ",\"span_id\":\"0102030405060708\",\"attributes\":{}" NO_GROUP },
        { "a correlation id that is a number", LOG(TIME ",\"attributes\":[{\"key\":\"correlation.id\",\"value\":{\"intValue\":42}}]"),
          LOGS_ACTION "{\"@timestamp\":\"1705314600000.0\"" LOGS_STREAM
          ",\"attributes\":{\"correlation.id\":42},\"correlation_id\":\"42\"" NO_GROUP },
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        take(f, WEFT_LOGS, &cases[i].in, 1);
        assert_body(f, cases[i].what, cases[i].out);
    }
}

#define SPAN_ACTION ACTION("traces-generic.otel-default", "AAECAwQFBgcAAAAACQoAAAAA")
#define SPAN_STREAM ",\"data_stream\":{\"type\":\"traces\",\"dataset\":\"generic.otel\",\"namespace\":\"default\"}"

static const char one_span[] =
    "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{" LOG_IDS ",\"parentSpanId\":\"0001020304050607\","
    "\"traceState\":\"a=b\",\"name\":\"GET /api\",\"kind\":2,\"startTimeUnixNano\":\"1705314600000000000\","
    "\"endTimeUnixNano\":\"1705314600150000000\",\"attributes\":[{\"key\":\"correlation.id\",\"value\":{\"stringValue\":\"c0\"}},"
    "{\"key\":\"db.system\",\"value\":{\"stringValue\":\"postgresql\"}}],"
    "\"events\":[{\"timeUnixNano\":\"1705314600010000000\",\"name\":\"exception\",\"attributes\":["
    "{\"key\":\"exception.message\",\"value\":{\"stringValue\":\"boom\"}}]},"
    "{\"timeUnixNano\":\"1705314600020000000\",\"name\":\"second\"}],"
    "\"links\":[{\"traceId\":\"100f0e0d0c0b0a090807060504030201\",\"spanId\":\"0807060504030201\",\"attributes\":["
    "{\"key\":\"link.type\",\"value\":{\"stringValue\":\"follows_from\"}}]}],"
    "\"status\":{\"code\":2,\"message\":\"no\"}}]}]}]}";

static void a_span_and_its_events_are_documents_of_their_own(void **state)
{
    struct fixture *f = *state;
    const char *in = one_span;

    take(f, WEFT_TRACES, &in, 1);
    assert_body(f, "a span",
        SPAN_ACTION "{\"@timestamp\":\"1705314600000.0\"" SPAN_STREAM
        ",\"trace_id\":\"0102030405060708090a0b0c0d0e0f10\",\"span_id\":\"0102030405060708\",\"trace_state\":\"a=b\","
        "\"parent_span_id\":\"0001020304050607\",\"name\":\"GET /api\",\"kind\":\"Server\",\"duration\":150000000,"
        "\"attributes\":{\"correlation.id\":\"c0\",\"db.system\":\"postgresql\"},"
        "\"links\":[{\"trace_id\":\"100f0e0d0c0b0a090807060504030201\",\"span_id\":\"0807060504030201\","
        "\"attributes\":{\"link.type\":\"follows_from\"}}],\"status\":{\"code\":\"Error\",\"message\":\"no\"},"
        "\"correlation_id\":\"c0\"" NO_GROUP
        ACTION("logs-generic.otel-default", "AAECAwQFBgcAAAAACQoAAAAAAAAB")
        "{\"@timestamp\":\"1705314600010.0\"" LOGS_STREAM
        ",\"trace_id\":\"0102030405060708090a0b0c0d0e0f10\",\"span_id\":\"0102030405060708\",\"event_name\":\"exception\","
        "\"attributes\":{\"exception.message\":\"boom\"},\"correlation_id\":\"c0\"" NO_GROUP
        ACTION("logs-generic.otel-default", "AAECAwQFBgcAAAAACQoAAAAAAAAC")
        "{\"@timestamp\":\"1705314600020.0\"" LOGS_STREAM
        ",\"trace_id\":\"0102030405060708090a0b0c0d0e0f10\",\"span_id\":\"0102030405060708\",\"event_name\":\"second\","
        "\"attributes\":{},\"correlation_id\":\"c0\"" NO_GROUP);
    assert_int_equal(f->body.n_docs, 3);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(f->body.docs[i], 0);
}

static void ecs_documents_use_ecs_names(void **state)
{
    struct fixture *f = *state;
    const struct { const char *what; enum weft_signal signal; const char *in, *out; } cases[] = {
        { "a log", WEFT_LOGS,
          "{\"resourceLogs\":[{\"resource\":{\"attributes\":[{\"key\":\"service.name\",\"value\":{\"stringValue\":\"s\"}},"
          "{\"key\":\"host.name\",\"value\":{\"stringValue\":\"h\"}},{\"key\":\"attr\",\"value\":{\"intValue\":1}},"
          "{\"key\":\"k8s.pod.name\",\"value\":{\"stringValue\":\"p\"}},{\"key\":\"telemetry.sdk.name\",\"value\":{\"stringValue\":\"x\"}},"
          "{\"key\":\"deployment.environment\",\"value\":{\"stringValue\":\"prod\"}}]},"
          "\"scopeLogs\":[{\"scope\":{\"name\":\"n\"},\"logRecords\":[{" TIME ",\"severityText\":\"INFO\",\"severityNumber\":9,"
          "\"body\":{\"stringValue\":\"hello\"}," LOG_IDS ",\"attributes\":["
          "{\"key\":\"event.name\",\"value\":{\"stringValue\":\"user.login\"}},{\"key\":\"attr\",\"value\":{\"intValue\":2}},"
          "{\"key\":\"message\",\"value\":{\"stringValue\":\"not twice\"}},"
          "{\"key\":\"exception.stacktrace\",\"value\":{\"stringValue\":\"at\"}}]}]}]}]}",
          ACTION("logs-generic-default", "AAECAwQFBgcAAAAACQoAAAAA")
          "{\"@timestamp\":\"2024-01-15T10:30:00.000000000Z\",\"data_stream\":{\"type\":\"logs\",\"dataset\":\"generic\","
          "\"namespace\":\"default\"},\"message\":\"hello\",\"log.level\":\"INFO\",\"event.severity\":9,"
          "\"trace.id\":\"0102030405060708090a0b0c0d0e0f10\",\"span.id\":\"0102030405060708\",\"event.action\":\"user.login\","
          "\"attr\":2,\"error.stack_trace\":\"at\",\"service.name\":\"s\",\"host.name\":\"h\",\"host.hostname\":\"h\","
          "\"kubernetes.pod.name\":\"p\",\"service.environment\":\"prod\"}\n" },
        { "a log with a structure for a message", WEFT_LOGS,
          LOG(TIME ",\"body\":{\"kvlistValue\":{\"values\":[{\"key\":\"a\",\"value\":{\"stringValue\":\"b\"}}]}}"),
          ACTION("logs-generic-default", "AAECAwQFBgcAAAAACQoAAAAA")
          "{\"@timestamp\":\"2024-01-15T10:30:00.000000000Z\",\"data_stream\":{\"type\":\"logs\",\"dataset\":\"generic\","
          "\"namespace\":\"default\"},\"message\":\"{\\\"a\\\":\\\"b\\\"}\"}\n" },
        { "a span", WEFT_TRACES,
          "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{" LOG_IDS ",\"parentSpanId\":\"0001020304050607\",\"name\":\"GET\","
          "\"kind\":3,\"startTimeUnixNano\":\"1705314600000000000\",\"endTimeUnixNano\":\"1705314600150000000\","
          "\"attributes\":[{\"key\":\"db.system\",\"value\":{\"stringValue\":\"pg\"}},"
          "{\"key\":\"correlation.id\",\"value\":{\"stringValue\":\"c\"}}],\"status\":{\"code\":1}}]}]}]}",
          ACTION("traces-generic-default", "AAECAwQFBgcAAAAACQoAAAAA")
          "{\"@timestamp\":\"2024-01-15T10:30:00.000000000Z\",\"data_stream\":{\"type\":\"traces\",\"dataset\":\"generic\","
          "\"namespace\":\"default\"},\"trace.id\":\"0102030405060708090a0b0c0d0e0f10\",\"span.id\":\"0102030405060708\","
          "\"parent.id\":\"0001020304050607\",\"span.name\":\"GET\",\"span.kind\":\"CLIENT\",\"event.outcome\":\"success\","
          "\"event.duration\":150000000,\"span.db.type\":\"pg\",\"correlation.id\":\"c\",\"correlation_id\":\"c\"}\n" },
    };

    f->composer.otel = false;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        take(f, cases[i].signal, &cases[i].in, 1);
        assert_body(f, cases[i].what, cases[i].out);
    }
}

#define STR(k, v) "{\"key\":\"" k "\",\"value\":{\"stringValue\":\"" v "\"}}"
#define ROUTED(resource, scope, name, record)                                                                     \
    "{\"resourceLogs\":[{\"resource\":{\"attributes\":[" resource "]},\"scopeLogs\":[{\"scope\":{\"name\":\"" name   \
    "\",\"attributes\":[" scope "]},\"logRecords\":[{" TIME ",\"attributes\":[" record "]}]}]}]}"

static void documents_go_where_their_attributes_say(void **state)
{
    struct fixture *f = *state;
    const struct { const char *what, *in, *fixed; bool otel; const char *index, *stream; } cases[] = {
        { "nothing said", ROUTED("", "", "", ""), NULL, true, "logs-generic.otel-default", "generic.otel" },
        { "the resource says",
          ROUTED(STR("data_stream.dataset", "Shop") "," STR("data_stream.namespace", "prod"), "", "", ""), NULL, true,
          "logs-shop.otel-prod", "shop.otel" },
        { "the scope before the resource",
          ROUTED(STR("data_stream.dataset", "r"), STR("data_stream.dataset", "s"), "", ""), NULL, true,
          "logs-s.otel-default", "s.otel" },
        { "the record before both",
          ROUTED(STR("data_stream.dataset", "r"), STR("data_stream.dataset", "s"), "", STR("data_stream.dataset", "x")),
          NULL, true, "logs-x.otel-default", "x.otel" },
        { "what a name must not have",
          ROUTED(STR("data_stream.dataset", "a-b\\\\/*?\\\"<>| ,#:C") "," STR("data_stream.namespace", "n-1:2"), "", "", ""),
          NULL, false, "logs-a_b____________c-n-1_2", "a_b____________c" },
        { "a receiver's scope",
          ROUTED("", "", "github.com/open-telemetry/opentelemetry-collector-contrib/receiver/hostmetricsreceiver/internal/x", ""),
          NULL, true, "logs-hostmetricsreceiver.otel-default", "hostmetricsreceiver.otel" },
        { "not quite a receiver's scope", ROUTED("", "", "x/receiver/other/y", ""), NULL, true, "logs-generic.otel-default",
          "generic.otel" },
        { "a dataset before the receiver",
          ROUTED(STR("data_stream.dataset", "d"), "", "x/receiver/yreceiver", ""), NULL, true, "logs-d.otel-default", "d.otel" },
        { "a static index", ROUTED(STR("data_stream.dataset", "d"), "", "", ""), "my-logs", true, "my-logs", NULL },
        { "an index by name", ROUTED("", "", "", STR("elasticsearch.index", "special")), "my-logs", true, "special", NULL },
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char index[200], dataset[200];
        uint64_t end;
        f->composer.otel = cases[i].otel;
        f->composer.static_index[WEFT_LOGS] = cases[i].fixed;
        take(f, WEFT_LOGS, &cases[i].in, 1);
        const char *body = compose(f, 0, SIZE_MAX, &end);
        (void)snprintf(index, sizeof index, "\"_index\":\"%s\"", cases[i].index);
        (void)snprintf(dataset, sizeof dataset, "\"dataset\":\"%s\"", cases[i].stream ? cases[i].stream : "");
        if (!strstr(body, index) || !strstr(body, cases[i].stream ? dataset : "") ||
            (!cases[i].stream && strstr(body, "data_stream")))
            fail_msg("%s: %s", cases[i].what, body);
        if (strstr(body, "elasticsearch.index"))
            fail_msg("%s: the routing attribute is in the document", cases[i].what);
    }
}

static void a_document_has_the_same_id_however_the_batch_is_cut(void **state)
{
    struct fixture *f = *state;
    const char *const in[] = {
        "{\"resourceLogs\":[{\"scopeLogs\":[{\"logRecords\":[{\"body\":{\"stringValue\":\"a\"}},"
        "{\"body\":{\"stringValue\":\"b\"}},{\"body\":{\"stringValue\":\"c\"}}]}]}]}",
        "{\"resourceLogs\":[{\"resource\":{\"attributes\":[" STR("service.name", "two") "]},\"scopeLogs\":[{\"logRecords\":["
        "{\"body\":{\"stringValue\":\"d\"}},{\"body\":{\"stringValue\":\"e\"}}]}]}]}",
    };
    char whole[8192], pieces[8192] = "";
    uint64_t end;

    take(f, WEFT_LOGS, in, 2);
    (void)snprintf(whole, sizeof whole, "%s", compose(f, 0, SIZE_MAX, &end));
    assert_int_equal(f->body.n_docs, 5);
    unsigned n = 0;
    for (end = 0; end < 5; n++) {
        uint64_t first = end;
        const char *piece = compose(f, first, 1, &end);
        assert_int_equal(end, first + 1);
        assert_int_equal(f->body.docs[0], first);
        (void)snprintf(pieces + strlen(pieces), sizeof pieces - strlen(pieces), "%s", piece);
    }
    assert_string_equal(whole, pieces);

    f->states[1] = WEFT_ITEM_SENT;
    f->states[3] = WEFT_ITEM_REJECTED;
    (void)compose(f, 0, SIZE_MAX, &end);
    assert_int_equal(f->body.n_docs, 3);
    assert_int_equal(f->body.docs[1], 2);
    assert_int_equal(f->body.docs[2], 4);
    assert_non_null(strstr((const char *)f->body.bytes.data, "\"service.name\":\"two\""));
}

/* What expands six-fold, and what hardly has bytes at all but many names. */
static void documents_that_grow_on_the_way_are_written_whole(void **state)
{
    struct fixture *f = *state;
    static char json[400000];
    size_t at = 0;

    at += (size_t)snprintf(json + at, sizeof json - at, "{\"resourceLogs\":[{\"scopeLogs\":[{\"logRecords\":[{\"body\":{\"stringValue\":\"");
    for (int i = 0; i < 20000; i++)
        at += (size_t)snprintf(json + at, sizeof json - at, "\\u0001");
    at += (size_t)snprintf(json + at, sizeof json - at, "\"},\"attributes\":[");
    for (int i = 0; i < 5000; i++)
        at += (size_t)snprintf(json + at, sizeof json - at, "%s{\"key\":\"%d\"}", i ? "," : "", i);
    (void)snprintf(json + at, sizeof json - at, "]}]}]}]}");

    const char *in = json;
    uint64_t end;
    for (int otel = 0; otel < 2; otel++) {
        struct weft_json j;
        f->composer.otel = otel;
        take(f, WEFT_LOGS, &in, 1);
        const char *body = compose(f, 0, SIZE_MAX, &end);
        const char *document = strchr(body, '\n') + 1;
        int token;
        weft_json_init(&j, weft_slice_str(document));
        while ((token = weft_json_next(&j)) > 0) {
        }
        assert_int_equal(token, WEFT_JSON_END);
        assert_true(strlen(document) > 120000 + 5000 * 10);
    }
}

static void what_cannot_be_written_is_named_and_the_rest_goes_on(void **state)
{
    struct fixture *f = *state;
    const char *const in[] = {
        LOG("\"body\":{\"stringValue\":\"good\"}"),
        "{\"resourceLogs\":[{\"scopeLogs\":[{\"logRecords\":[{\"body\":{\"stringValue\":\"x\"}},{\"body\":{\"stringValue\":\"y\"}}]}]}]}",
    };
    uint64_t end;

    take(f, WEFT_LOGS, in, 2);
    f->payload[1].data[0] = 0x0b; /* no longer protobuf */
    weft_es_body_reset(&f->body);
    assert_int_equal(weft_es_compose(&f->composer, &f->batch, 0, SIZE_MAX, &f->body, &end), WEFT_ERR_MALFORMED);
    assert_int_equal(end, 1);
    assert_int_equal(f->body.n_docs, 1);
    assert_int_equal(weft_es_compose(&f->composer, &f->batch, 2, SIZE_MAX, &f->body, &end), WEFT_ERR_MALFORMED);
    assert_int_equal(end, 2);

    weft_es_body_release(&f->body);
    weft_es_body_init(&f->body, 5000);
    take(f, WEFT_LOGS, in, 1);
    assert_int_equal(weft_es_compose(&f->composer, &f->batch, 0, SIZE_MAX, &f->body, &end), WEFT_ERR_TOO_LARGE);
    assert_int_equal(end, 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(logs_have_the_shape_of_the_golden_documents, setup, teardown),
        cmocka_unit_test_setup_teardown(a_span_and_its_events_are_documents_of_their_own, setup, teardown),
        cmocka_unit_test_setup_teardown(ecs_documents_use_ecs_names, setup, teardown),
        cmocka_unit_test_setup_teardown(documents_go_where_their_attributes_say, setup, teardown),
        cmocka_unit_test_setup_teardown(a_document_has_the_same_id_however_the_batch_is_cut, setup, teardown),
        cmocka_unit_test_setup_teardown(documents_that_grow_on_the_way_are_written_whole, setup, teardown),
        cmocka_unit_test_setup_teardown(what_cannot_be_written_is_named_and_the_rest_goes_on, setup, teardown),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Lines as loggers write them and the records they become, in OTLP's JSON form. */
#include "receivers/filelog_batch.h"
#include "receivers/filelog_line.h"
#include "receivers/filelog_time.h"

#include "core/err.h"
#include "core/otlp_json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

enum { LIMIT = 1 << 20 };

/* One line as a request in JSON, observed at 1 ns, without the frame around the record. */
static void told(struct weft_filelog_line *l, const char *line, struct weft_buf *out)
{
    struct weft_filelog_batch batch;
    uint32_t items = 0;

    weft_filelog_batch_init(&batch, 8 * LIMIT, weft_slice_of(NULL, 0));
    weft_filelog_batch_reset(&batch);
    assert_int_equal(weft_filelog_line_read(l, weft_slice_str(line), 1, weft_slice_of(NULL, 0)), 0);
    assert_int_equal(weft_filelog_batch_add(&batch, l->service, weft_buf_slice(&l->record)), 0);
    assert_int_equal(weft_filelog_batch_finish(&batch), 0);
    assert_int_equal(weft_otlp_count(WEFT_LOGS, weft_buf_slice(&batch.payload), &items), 0);
    assert_int_equal(items, 1);
    weft_buf_reset(out);
    assert_int_equal(weft_otlp_json_write(WEFT_LOGS, weft_buf_slice(&batch.payload), out), 0);
    weft_filelog_batch_release(&batch);
}

#define SERVICE(name) "{\"resourceLogs\":[{\"resource\":{\"attributes\":[{\"key\":\"service.name\",\"value\":{\"stringValue\":\"" name "\"}}]},\"scopeLogs\":[{\"logRecords\":[{"
#define NOBODY "{\"resourceLogs\":[{\"scopeLogs\":[{\"logRecords\":[{"
#define END ",\"observedTimeUnixNano\":\"1\"}]}]}]}"
#define STR(k, v) "{\"key\":\"" k "\",\"value\":{\"stringValue\":\"" v "\"}}"
#define INT(k, v) "{\"key\":\"" k "\",\"value\":{\"intValue\":\"" v "\"}}"
#define DBL(k, v) "{\"key\":\"" k "\",\"value\":{\"doubleValue\":" v "}}"
#define BODY(v) "\"body\":{\"stringValue\":\"" v "\"}"
#define LEVEL(n, t) "\"severityNumber\":" n ",\"severityText\":\"" t "\","
#define TIME(t) "\"timeUnixNano\":\"" t "\","
#define CID "c0ffee00-1234-4abc-9def-000000000042"

static const struct golden { const char *logger, *line, *record; } goldens[] = {
    { "pino, nested object and double",
      "{\"level\":40,\"time\":1795197134467,\"pid\":4242,\"hostname\":\"host-a\",\"name\":\"order-service\",\"correlation_id\":\"" CID "\","
      "\"trace_id\":\"0af7651916cd43dd8448eb211c80319c\",\"span_id\":\"b7ad6b7169203331\",\"order\":{\"id\":\"o-1001\",\"items\":[1,2]},"
      "\"total\":59.9,\"msg\":\"low stock\"}",
      SERVICE("order-service") TIME("1795197134467000000") LEVEL("13", "40") BODY("low stock")
      ",\"attributes\":[" INT("pid", "4242") "," STR("hostname", "host-a") "," STR("correlation_id", CID) ","
      "{\"key\":\"order\",\"value\":{\"kvlistValue\":{\"values\":[" STR("id", "o-1001") ",{\"key\":\"items\",\"value\":{\"arrayValue\":"
      "{\"values\":[{\"intValue\":\"1\"},{\"intValue\":\"2\"}]}}}]}}}," DBL("total", "59.9") "],"
      "\"traceId\":\"0af7651916cd43dd8448eb211c80319c\",\"spanId\":\"b7ad6b7169203331\"" END },
    { "pino, error",
      "{\"level\":50,\"time\":1795197134467,\"name\":\"order-service\",\"err\":{\"type\":\"Error\",\"message\":\"card declined\","
      "\"stack\":\"Error: card declined\\n    at charge (payment.js:42:11)\",\"code\":7},\"msg\":\"card declined\"}",
      SERVICE("order-service") TIME("1795197134467000000") LEVEL("17", "50") BODY("card declined")
      ",\"attributes\":[" STR("exception.type", "Error") "," STR("exception.message", "card declined") ","
      STR("exception.stacktrace", "Error: card declined\\n    at charge (payment.js:42:11)") "," INT("err.code", "7") "]" END },
    { "pino, escapes and a level of its own",
      "{\"level\":35,\"time\":1795197134468.5,\"msg\":\"na\xc3\xafve \\u2713 \\ud83d\\ude00 \\u0001 \\\"quoted\\\" \\\\ back\"}",
      NOBODY TIME("1795197134468500000") LEVEL("9", "35") BODY("na\xc3\xafve \xe2\x9c\x93 \xf0\x9f\x98\x80 \\u0001 \\\"quoted\\\" \\\\ back") END },
    { "bunyan",
      "{\"name\":\"inventory-service\",\"hostname\":\"host-a\",\"pid\":17298,\"level\":50,\"err\":{\"message\":\"lock timeout\","
      "\"name\":\"Error\",\"stack\":\"Error: lock timeout\"},\"msg\":\"reserve failed\",\"time\":\"2026-11-20T17:52:15.014Z\",\"v\":0}",
      SERVICE("inventory-service") TIME("1795197135014000000") LEVEL("17", "50") BODY("reserve failed")
      ",\"attributes\":[" STR("hostname", "host-a") "," INT("pid", "17298") "," STR("exception.message", "lock timeout") ","
      STR("exception.type", "Error") "," STR("exception.stacktrace", "Error: lock timeout") "," INT("v", "0") "]" END },
    { "winston",
      "{\"amount\":59.9,\"level\":\"verbose\",\"message\":\"charge started\",\"service\":\"payment-service\",\"timestamp\":\"2026-11-20T17:52:14.585Z\"}",
      SERVICE("payment-service") TIME("1795197134585000000") LEVEL("7", "verbose") BODY("charge started")
      ",\"attributes\":[" DBL("amount", "59.9") "]" END },
    { "winston, an error that lost its message, and a stack",
      "{\"err\":{\"level\":\"error\",\"service\":\"s\"},\"level\":\"error\",\"message\":\"m\",\"stack\":\"Error: m\"}",
      NOBODY LEVEL("17", "error") BODY("m") ",\"attributes\":[{\"key\":\"err\",\"value\":{\"kvlistValue\":{\"values\":["
      STR("level", "error") "," STR("service", "s") "]}}}," STR("exception.stacktrace", "Error: m") "]" END },
    { "zap, production",
      "{\"level\":\"dpanic\",\"ts\":1795197134.467123,\"logger\":\"http\",\"caller\":\"a/b.go:12\",\"msg\":\"failed\",\"error\":\"EOF\",\"stacktrace\":\"main.main\"}",
      NOBODY TIME("1795197134467123000") LEVEL("18", "dpanic") BODY("failed") ",\"attributes\":[" STR("logger", "http") ","
      STR("caller", "a/b.go:12") "," STR("error", "EOF") "," STR("exception.stacktrace", "main.main") "]" END },
    { "zap, ISO time and level in capitals",
      "{\"level\":\"WARN\",\"ts\":\"2026-11-20T18:52:14.467+0100\",\"msg\":\"slow\"}",
      NOBODY TIME("1795197134467000000") LEVEL("13", "WARN") BODY("slow") END },
    { "zerolog",
      "{\"level\":\"panic\",\"service\":\"api\",\"time\":\"2026-11-20T17:52:14Z\",\"caller\":\"main.go:3\",\"ok\":true,\"message\":\"gone\"}",
      SERVICE("api") TIME("1795197134000000000") LEVEL("19", "panic") BODY("gone") ",\"attributes\":[" STR("caller", "main.go:3")
      ",{\"key\":\"ok\",\"value\":{\"boolValue\":true}}]" END },
    { "zerolog, Unix seconds",
      "{\"level\":\"info\",\"time\":1795197134,\"message\":\"m\"}",
      NOBODY TIME("1795197134000000000") LEVEL("9", "info") BODY("m") END },
    { "log4j JsonLayout",
      "{\"instant\":{\"epochSecond\":1795197134,\"nanoOfSecond\":467000001},\"thread\":\"main\",\"level\":\"FATAL\",\"loggerName\":\"demo.Main\","
      "\"message\":\"out\",\"thrown\":{\"commonElementCount\":0,\"message\":\"no heap\",\"name\":\"java.lang.OutOfMemoryError\",\"extendedStackTrace\":\"at x\"},\"endOfBatch\":false}",
      NOBODY TIME("1795197134467000001") LEVEL("21", "FATAL") BODY("out") ",\"attributes\":[" STR("thread", "main") ","
      STR("loggerName", "demo.Main") "," INT("thrown.commonElementCount", "0") "," STR("exception.message", "no heap") ","
      STR("exception.type", "java.lang.OutOfMemoryError") "," STR("exception.stacktrace", "at x") ",{\"key\":\"endOfBatch\",\"value\":{\"boolValue\":false}}]" END },
    { "log4j JsonLayout, older",
      "{\"timeMillis\":1795197134467,\"level\":\"INFO\",\"message\":\"m\"}",
      NOBODY TIME("1795197134467000000") LEVEL("9", "INFO") BODY("m") END },
    { "log4j JsonTemplateLayout, ECS with dots",
      "{\"@timestamp\":\"2026-11-20T17:52:14.467Z\",\"ecs.version\":\"1.2.0\",\"log.level\":\"ERROR\",\"message\":\"m\",\"process.thread.name\":\"main\","
      "\"log.logger\":\"demo.Main\",\"error.type\":\"java.lang.X\",\"error.message\":\"why\",\"error.stack_trace\":\"at y\",\"trace.id\":\"0AF7651916CD43DD8448EB211C80319C\","
      "\"span.id\":\"b7ad6b7169203331\",\"service.name\":\"shop\"}",
      SERVICE("shop") TIME("1795197134467000000") LEVEL("17", "ERROR") BODY("m") ",\"attributes\":[" STR("ecs.version", "1.2.0") ","
      STR("process.thread.name", "main") "," STR("log.logger", "demo.Main") "," STR("exception.type", "java.lang.X") ","
      STR("exception.message", "why") "," STR("exception.stacktrace", "at y") "],\"traceId\":\"0af7651916cd43dd8448eb211c80319c\",\"spanId\":\"b7ad6b7169203331\"" END },
    { "ECS, nested",
      "{\"@timestamp\":\"2026-11-20T17:52:14.467Z\",\"log\":{\"level\":\"warn\",\"logger\":\"x\",\"origin\":{\"file\":{\"line\":3}}},\"message\":\"m\","
      "\"service\":{\"name\":\"shop\",\"version\":\"1\"},\"trace\":{\"id\":\"0af7651916cd43dd8448eb211c80319c\"},\"span\":{\"id\":\"b7ad6b7169203331\"},"
      "\"error\":{\"type\":\"T\",\"message\":\"why\",\"stack_trace\":\"at z\"}}",
      SERVICE("shop") TIME("1795197134467000000") LEVEL("13", "warn") BODY("m") ",\"attributes\":[" STR("log.logger", "x") ","
      "{\"key\":\"log.origin\",\"value\":{\"kvlistValue\":{\"values\":[{\"key\":\"file\",\"value\":{\"kvlistValue\":{\"values\":[" INT("line", "3") "]}}}]}}},"
      STR("service.version", "1") "," STR("exception.type", "T") "," STR("exception.message", "why") "," STR("exception.stacktrace", "at z")
      "],\"traceId\":\"0af7651916cd43dd8448eb211c80319c\",\"spanId\":\"b7ad6b7169203331\"" END },
    { "Datadog's decimal ids, nested",
      "{\"level\":\"info\",\"message\":\"m\",\"dd\":{\"trace_id\":\"1234567890123456789\",\"span_id\":\"255\",\"service\":\"web\",\"env\":\"prod\"}}",
      SERVICE("web") LEVEL("9", "info") BODY("m") ",\"attributes\":[" STR("dd.env", "prod")
      "],\"traceId\":\"0000000000000000112210f47de98115\",\"spanId\":\"00000000000000ff\"" END },
    { "Google's trace, and flags",
      "{\"severity\":\"NOTICE\",\"message\":\"m\",\"logging.googleapis.com/trace\":\"projects/p/traces/0af7651916cd43dd8448eb211c80319c\","
      "\"logging.googleapis.com/spanId\":\"b7ad6b7169203331\",\"logging.googleapis.com/trace_sampled\":true}",
      NOBODY LEVEL("10", "NOTICE") BODY("m") ",\"flags\":1,\"traceId\":\"0af7651916cd43dd8448eb211c80319c\",\"spanId\":\"b7ad6b7169203331\"" END },
    { "trace flags as text, camel case",
      "{\"message\":\"m\",\"traceId\":\"0af7651916cd43dd8448eb211c80319c\",\"spanId\":\"b7ad6b7169203331\",\"traceFlags\":\"01\"}",
      NOBODY BODY("m") ",\"flags\":1,\"traceId\":\"0af7651916cd43dd8448eb211c80319c\",\"spanId\":\"b7ad6b7169203331\"" END },
    { "ids that are none stay attributes",
      "{\"message\":\"m\",\"trace_id\":\"00000000000000000000000000000000\",\"span_id\":\"xyz\",\"trace_flags\":\"zz\",\"dd.trace_id\":\"0\"}",
      NOBODY BODY("m") ",\"attributes\":[" STR("trace_id", "00000000000000000000000000000000") "," STR("span_id", "xyz") ","
      STR("trace_flags", "zz") "," STR("dd.trace_id", "0") "]" END },
    { "structlog's event is the message when there is no other",
      "{\"event\":\"user.login\",\"level\":\"info\",\"timestamp\":\"2026-11-20 17:52:14,467\"}",
      NOBODY TIME("1795197134467000000") LEVEL("9", "info") BODY("user.login") END },
    { "and an attribute when there is",
      "{\"event\":\"user.login\",\"msg\":\"m\"}",
      NOBODY BODY("m") ",\"attributes\":[" STR("event", "user.login") "]" END },
    { "name is an attribute in what is neither pino nor bunyan",
      "{\"name\":\"root\",\"levelname\":\"WARNING\",\"message\":\"m\"}",
      NOBODY LEVEL("13", "WARNING") BODY("m") ",\"attributes\":[" STR("name", "root") "]" END },
    { "Serilog",
      "{\"@t\":\"2026-11-20T17:52:14.4670000Z\",\"@m\":\"m\",\"@l\":\"Warning\",\"@x\":\"at f\"}",
      NOBODY TIME("1795197134467000000") LEVEL("13", "Warning") BODY("m") ",\"attributes\":[" STR("exception.stacktrace", "at f") "]" END },
    { "GELF has syslog's levels",
      "{\"version\":\"1.1\",\"host\":\"h\",\"short_message\":\"m\",\"timestamp\":1795197134.467,\"level\":3}",
      NOBODY TIME("1795197134467000000") LEVEL("17", "3") BODY("m") ",\"attributes\":[" STR("version", "1.1") "," STR("host", "h") "]" END },
    { "Docker's json-file",
      "{\"log\":\"hello\\n\",\"stream\":\"stdout\",\"time\":\"2026-11-20T18:01:35.849496939Z\"}",
      NOBODY TIME("1795197695849496939") BODY("hello\\n") ",\"attributes\":[" STR("stream", "stdout") "]" END },
    { "a message that is an object, a level and a time that are none",
      "{\"message\":{\"a\":null},\"level\":{\"x\":1},\"time\":\"yesterday\"}",
      NOBODY "\"body\":{\"kvlistValue\":{\"values\":[{\"key\":\"a\",\"value\":{}}]}},\"attributes\":["
      "{\"key\":\"level\",\"value\":{\"kvlistValue\":{\"values\":[" INT("x", "1") "]}}}," STR("time", "yesterday") "]" END },
    { "numbers keep their kind",
      "{\"msg\":\"m\",\"a\":-7,\"b\":5.0,\"c\":1e3,\"d\":9223372036854775807,\"e\":92233720368547758080,\"f\":1e999}",
      NOBODY BODY("m") ",\"attributes\":[" INT("a", "-7") "," DBL("b", "5") "," DBL("c", "1000") "," INT("d", "9223372036854775807") ","
      DBL("e", "9.223372036854776e+19") "," STR("f", "1e999") "]" END },
    { "keys with escapes", "{\"m\\u0073g\":\"m\",\"a\\tb\":1}", NOBODY BODY("m") ",\"attributes\":[" INT("a\\tb", "1") "]" END },
    { "no message at all: the line itself", "{\"a\":1}", NOBODY BODY("{\\\"a\\\":1}") ",\"attributes\":[" INT("a", "1") "]" END },
    { "plain text", "just words", NOBODY BODY("just words") END },
    { "text that is not UTF-8", "a\xff" "b", NOBODY BODY("a\xef\xbf\xbd" "b") END },
    { "JSON that is no object", "[1,2]", NOBODY BODY("[1,2]") END },
};

static void every_logger_is_understood(void **state)
{
    struct weft_filelog_line l;
    struct weft_buf out;
    (void)state;

    weft_filelog_line_init(&l, LIMIT);
    weft_buf_init(&out, 8 * LIMIT);
    for (size_t i = 0; i < sizeof goldens / sizeof *goldens; i++) {
        told(&l, goldens[i].line, &out);
        if (!weft_slice_is(weft_buf_slice(&out), goldens[i].record))
            fail_msg("%s:\n got %.*s\nwant %s", goldens[i].logger, (int)out.len, (const char *)out.data, goldens[i].record);
        if (l.malformed)
            fail_msg("%s: called malformed", goldens[i].logger);
    }
    weft_buf_release(&out);
    weft_filelog_line_release(&l);
}

static void broken_JSON_becomes_text_and_is_told_so(void **state)
{
    static const char *const lines[] = {
        "{\"level\":30,\"service\":\"s\",\"msg\":\"cut", "{\"a\":1}}", "{\"a\":1} trailing", "{\"a\":tru}", "{\"err\":{\"message\":\"x\"",
        "{\"instant\":{\"epochSecond\":1,", "{\"log\":{\"level\":", "{\"a\":\"\xff\"}", "{",
    };
    struct weft_filelog_line l;
    struct weft_buf out;
    (void)state;

    weft_filelog_line_init(&l, LIMIT);
    weft_buf_init(&out, 8 * LIMIT);
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        told(&l, lines[i], &out);
        if (!l.malformed || l.service.len || !memmem(out.data, out.len, "\"body\":{\"stringValue\":\"{", 24) ||
            memmem(out.data, out.len, "attributes", 10) || memmem(out.data, out.len, "severity", 8))
            fail_msg("%s became %.*s", lines[i], (int)out.len, (const char *)out.data);
    }
    weft_buf_release(&out);
    weft_filelog_line_release(&l);
}

static void the_format_can_be_forced(void **state)
{
    struct weft_filelog_line l;
    struct weft_buf out;
    (void)state;

    weft_filelog_line_init(&l, LIMIT);
    weft_buf_init(&out, 8 * LIMIT);
    l.format = WEFT_FILELOG_TEXT;
    told(&l, "{\"msg\":\"m\"}", &out);
    assert_true(weft_slice_is(weft_buf_slice(&out), NOBODY BODY("{\\\"msg\\\":\\\"m\\\"}") END));
    assert_false(l.malformed);
    l.format = WEFT_FILELOG_JSON;
    told(&l, "words", &out);
    assert_true(weft_slice_is(weft_buf_slice(&out), NOBODY BODY("words") END));
    assert_true(l.malformed);
    weft_buf_release(&out);
    weft_filelog_line_release(&l);
}

static void a_configured_service_is_not_overruled(void **state)
{
    struct weft_filelog_line l;
    struct weft_buf out;
    (void)state;

    weft_filelog_line_init(&l, LIMIT);
    weft_buf_init(&out, 8 * LIMIT);
    l.fixed_service = true;
    told(&l, "{\"service\":\"s\",\"msg\":\"m\"}", &out);
    assert_true(weft_slice_is(weft_buf_slice(&out), NOBODY BODY("m") ",\"attributes\":[" STR("service", "s") "]" END));
    weft_buf_release(&out);
    weft_filelog_line_release(&l);
}

static void deep_values_are_kept_as_text_and_stay_readable_for_protobuf(void **state)
{
    char line[400] = "{\"msg\":\"m\",\"deep\":";
    struct weft_filelog_line l;
    struct weft_buf out;
    (void)state;

    for (int i = 0; i < 60; i++)
        memcpy(line + strlen(line), "{\"\":", 5); /* with its NUL */
    memcpy(line + strlen(line), "1", 2);
    for (int i = 0; i < 61; i++)
        memcpy(line + strlen(line), "}", 2);
    weft_filelog_line_init(&l, LIMIT);
    weft_buf_init(&out, 8 * LIMIT);
    told(&l, line, &out); /* told() checks with weft_otlp_count */
    assert_false(l.malformed);
    assert_non_null(memmem(out.data, out.len, "\"stringValue\":\"{\\\"\\\":{", 22));
    weft_buf_release(&out);
    weft_filelog_line_release(&l);
}

static void lines_that_follow_each_other_share_a_resource(void **state)
{
    static const char *const services[] = { "a", "a", "b", "", "", "a" };
    struct weft_filelog_batch batch;
    struct weft_buf out;
    (void)state;

    weft_filelog_batch_init(&batch, LIMIT, weft_slice_of(NULL, 0));
    weft_filelog_batch_reset(&batch);
    weft_buf_init(&out, LIMIT);
    for (size_t i = 0; i < sizeof services / sizeof *services; i++)
        assert_int_equal(weft_filelog_batch_add(&batch, weft_slice_str(services[i]), weft_slice_of(NULL, 0)), 0);
    assert_int_equal(weft_filelog_batch_finish(&batch), 0);
    assert_int_equal(batch.n_items, 6);
    assert_int_equal(weft_otlp_json_write(WEFT_LOGS, weft_buf_slice(&batch.payload), &out), 0);
#define GROUP(name, records) "{\"resource\":{\"attributes\":[" STR("service.name", name) "]},\"scopeLogs\":[{\"logRecords\":[" records "]}]}"
    if (!weft_slice_is(weft_buf_slice(&out), "{\"resourceLogs\":[" GROUP("a", "{},{}") "," GROUP("b", "{}")
                       ",{\"scopeLogs\":[{\"logRecords\":[{},{}]}]}," GROUP("a", "{}") "]}"))
        fail_msg("%.*s", (int)out.len, (const char *)out.data);
    weft_buf_release(&out);
    weft_filelog_batch_release(&batch);
}

static void times_are_read_in_all_their_spellings(void **state)
{
    static const struct { const char *text; uint64_t ns; } cases[] = {
        { "1970-01-01T00:00:00Z", 0 },
        { "2000-02-29T23:59:59.999999999Z", 951868799999999999 },
        { "2026-11-20T17:52:15.013Z", 1795197135013000000 },
        { "2026-11-20t17:52:15z", 1795197135000000000 },
        { "2026-11-20 17:52:15", 1795197135000000000 },
        { "2026-11-20T18:52:15+01:00", 1795197135000000000 },
        { "2026-11-20T12:22:15.5-0530", 1795197135500000000 },
        { "2026-11-20T18:52:15+01", 1795197135000000000 },
        { "2026-11-20T17:52:15.0130000009999Z", 1795197135013000000 },
    };
    static const char *const not_times[] = {
        "", "2026-11-20", "2026-13-20T17:52:15Z", "2026-11-20T24:52:15Z", "2026-11-20T17:52:15X", "2026-11-20T17:52:15+1",
        "2026-11-20T17:52:15+99:00", "2026/11/20T17:52:15Z", "1969-11-20T17:52:15Z", "2026-11-20T17:52:15Z ", "9999-99-99T99:99:99Z",
    };
    static const struct { const char *number; uint64_t ns; } numbers[] = {
        { "1795197134", 1795197134000000000 }, { "1795197134.5", 1795197134500000000 }, { "1795197134467", 1795197134467000000 },
        { "1795197134467.25", 1795197134467250000 }, { "1795197134467123", 1795197134467123000 },
        { "1795197134467123456", 1795197134467123456 }, { "1.795197134e9", 1795197134000000000 }, { "0", 0 },
    };
    uint64_t ns;
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (!weft_filelog_time_text(weft_slice_str(cases[i].text), &ns) || ns != cases[i].ns)
            fail_msg("%s", cases[i].text);
    for (size_t i = 0; i < sizeof not_times / sizeof *not_times; i++)
        if (weft_filelog_time_text(weft_slice_str(not_times[i]), &ns))
            fail_msg("%s is a time", not_times[i]);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (!weft_filelog_time_number(weft_slice_str(numbers[i].number), &ns) || ns != numbers[i].ns)
            fail_msg("%s: %llu", numbers[i].number, (unsigned long long)ns);
    assert_false(weft_filelog_time_number(WEFT_SLICE("-5"), &ns));
    assert_false(weft_filelog_time_number(WEFT_SLICE(""), &ns));
    assert_false(weft_filelog_time_number(WEFT_SLICE("1e30"), &ns));
    assert_false(weft_filelog_time_number(WEFT_SLICE("12x"), &ns));
}

/* The samples of real loggers, against what their lines say of themselves. */
static void samples_of_real_loggers_keep_their_meaning(void **state)
{
    static const struct { const char *file, *service; unsigned lines; } files[] = {
        { "pino.ndjson", "order-service", 5 }, { "bunyan.ndjson", "inventory-service", 4 }, { "winston.ndjson", "payment-service", 5 },
    };
    struct weft_filelog_line l;
    struct weft_buf out;
    char line[4096], path[512];
    (void)state;

    weft_filelog_line_init(&l, LIMIT);
    weft_buf_init(&out, 8 * LIMIT);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        unsigned n = 0;
        (void)snprintf(path, sizeof path, WEFT_SOURCE_DIR "/tests/samples/loglines/%s", files[i].file);
        FILE *f = fopen(path, "r");
        assert_non_null(f);
        while (fgets(line, sizeof line, f)) {
            struct weft_log_view log;
            struct weft_any body;
            line[strcspn(line, "\n")] = '\0';
            told(&l, line, &out);
            assert_int_equal(weft_log_read(weft_buf_slice(&l.record), &log), 0);
            if (l.malformed || !weft_slice_is(l.service, files[i].service) || log.severity_number == 0 || log.time_ns / 1000000000 / 60 != 29919952 ||
                weft_any_read(log.body, &body) != 0 || body.kind != WEFT_ANY_STRING)
                fail_msg("%s became %.*s", line, (int)out.len, (const char *)out.data);
            n++;
        }
        fclose(f);
        assert_int_equal(n, files[i].lines);
    }
    weft_buf_release(&out);
    weft_filelog_line_release(&l);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_logger_is_understood),
        cmocka_unit_test(broken_JSON_becomes_text_and_is_told_so),
        cmocka_unit_test(the_format_can_be_forced),
        cmocka_unit_test(a_configured_service_is_not_overruled),
        cmocka_unit_test(deep_values_are_kept_as_text_and_stay_readable_for_protobuf),
        cmocka_unit_test(lines_that_follow_each_other_share_a_resource),
        cmocka_unit_test(times_are_read_in_all_their_spellings),
        cmocka_unit_test(samples_of_real_loggers_keep_their_meaning),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

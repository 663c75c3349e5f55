/* SPDX-License-Identifier: Apache-2.0 */
/* Expressions that pick items: what they say of a log record, a span and data points, and what is wrong with bad ones. */
#include "core/match.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static const uint8_t trace_id[16] = { 0x0a, 0xf7, 0x65, 0x19, 0x16, 0xcd, 0x43, 0xdd, 0x84, 0x48, 0xeb, 0x21, 0x1c, 0x80, 0x31, 0x9c };

struct fixture {
    struct weft_buf resource, scope, payload;
};

static int setup(void **state)
{
    static struct fixture f;

    weft_buf_init(&f.resource, 1024);
    weft_buf_init(&f.scope, 1024);
    weft_buf_init(&f.payload, 64 << 10);
    weft_attribute_put_string(&f.resource, WEFT_RESOURCE_ATTRIBUTES, WEFT_SLICE("service.name"), WEFT_SLICE("checkout"));
    weft_attribute_put_string(&f.resource, WEFT_RESOURCE_ATTRIBUTES, WEFT_SLICE("zone"), WEFT_SLICE("eu"));
    weft_wire_put_bytes(&f.scope, WEFT_SCOPE_NAME, WEFT_SLICE("lib"));
    weft_attribute_put_string(&f.scope, WEFT_SCOPE_ATTRIBUTES, WEFT_SLICE("lib.tier"), WEFT_SLICE("gold"));
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    weft_buf_release(&f->resource);
    weft_buf_release(&f->scope);
    weft_buf_release(&f->payload);
    return 0;
}

static struct weft_otlp_group open_group(struct fixture *f)
{
    return weft_otlp_group_open(&f->payload, weft_buf_slice(&f->resource), weft_buf_slice(&f->scope));
}

static void put_attributes(struct weft_buf *b, uint32_t number)
{
    weft_attribute_put_string(b, number, WEFT_SLICE("user"), WEFT_SLICE("anna"));
    weft_attribute_put_int(b, number, WEFT_SLICE("http.response.status_code"), 503);
    weft_attribute_put_int(b, number, WEFT_SLICE("big"), INT64_C(9007199254740993));
    weft_attribute_put_double(b, number, WEFT_SLICE("ratio"), 0.25);
    weft_attribute_put_bool(b, number, WEFT_SLICE("retried"), true);
    weft_attribute_put_string(b, number, WEFT_SLICE("count.text"), WEFT_SLICE("12"));
    weft_attribute_put_string(b, number, WEFT_SLICE("zone"), WEFT_SLICE("inner"));
    weft_attribute_put_string(b, number, WEFT_SLICE("empty.text"), WEFT_SLICE(""));
}

static void build_log(struct fixture *f)
{
    struct weft_otlp_group g = open_group(f);
    size_t item = weft_wire_begin(&f->payload, WEFT_OTLP_ITEMS);

    weft_wire_put_varint(&f->payload, WEFT_LOG_SEVERITY_NUMBER, 18);
    weft_wire_put_bytes(&f->payload, WEFT_LOG_SEVERITY_TEXT, WEFT_SLICE("ERROR2"));
    weft_any_put_string(&f->payload, WEFT_LOG_BODY, WEFT_SLICE("payment of 12 EUR timed out"));
    put_attributes(&f->payload, WEFT_LOG_ATTRIBUTES);
    weft_wire_put_bytes(&f->payload, WEFT_LOG_TRACE_ID, weft_slice_of(trace_id, 16));
    weft_wire_put_bytes(&f->payload, WEFT_LOG_EVENT_NAME, WEFT_SLICE("payment.failed"));
    weft_wire_end(&f->payload, item);
    weft_otlp_group_close(&f->payload, g);
}

static void build_span(struct fixture *f)
{
    struct weft_otlp_group g = open_group(f);
    size_t item = weft_wire_begin(&f->payload, WEFT_OTLP_ITEMS);

    weft_wire_put_bytes(&f->payload, WEFT_SPAN_TRACE_ID, weft_slice_of(trace_id, 16));
    weft_wire_put_bytes(&f->payload, WEFT_SPAN_SPAN_ID, weft_slice_of(trace_id, 8));
    weft_wire_put_bytes(&f->payload, WEFT_SPAN_NAME, WEFT_SLICE("GET /cart"));
    weft_wire_put_fixed64(&f->payload, WEFT_SPAN_START, 1000000000);
    weft_wire_put_fixed64(&f->payload, WEFT_SPAN_END, 1250000000);
    put_attributes(&f->payload, WEFT_SPAN_ATTRIBUTES);
    size_t status = weft_wire_begin(&f->payload, WEFT_SPAN_STATUS);
    weft_wire_put_varint(&f->payload, WEFT_STATUS_CODE, 2);
    weft_wire_end(&f->payload, status);
    weft_wire_end(&f->payload, item);
    weft_otlp_group_close(&f->payload, g);
}

/* One gauge with the points path=/a, path=/b. */
static void build_metric(struct fixture *f)
{
    static const char *const paths[] = { "/a", "/b" };
    struct weft_otlp_group g = open_group(f);
    size_t item = weft_wire_begin(&f->payload, WEFT_OTLP_ITEMS);

    weft_wire_put_bytes(&f->payload, WEFT_METRIC_NAME, WEFT_SLICE("requests"));
    size_t data = weft_wire_begin(&f->payload, WEFT_METRIC_GAUGE);
    for (size_t i = 0; i < 2; i++) {
        size_t point = weft_wire_begin(&f->payload, WEFT_DATA_POINTS);
        weft_attribute_put_string(&f->payload, WEFT_NUMBER_POINT_ATTRIBUTES, WEFT_SLICE("path"), weft_slice_str(paths[i]));
        weft_wire_end(&f->payload, point);
    }
    weft_wire_end(&f->payload, data);
    weft_wire_end(&f->payload, item);
    weft_otlp_group_close(&f->payload, g);
}

static struct weft_match *compile(const char *expression)
{
    struct weft_match *m = NULL;
    struct weft_match_error error;

    if (weft_match_compile(expression, &m, &error))
        fail_msg("%s: column %u: %s", expression, error.column, error.text);
    return m;
}

struct seen { char text[16]; size_t n; };

static void visit(void *ctx, uint32_t item, bool matches)
{
    struct seen *s = ctx;

    assert_int_equal(item, s->n);
    if (s->n + 1 < sizeof s->text)
        s->text[s->n++] = matches ? 'y' : 'n';
}

struct row { const char *expression, *verdict; };

static void check(struct fixture *f, enum weft_signal signal, const struct row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct weft_match *m = compile(rows[i].expression);
        struct seen seen = { .n = 0 };
        struct weft_otlp_walk w;
        weft_match_payload(m, signal, weft_buf_slice(&f->payload), visit, &seen);
        if (strcmp(seen.text, rows[i].verdict) != 0)
            fail_msg("%s: %s, not %s", rows[i].expression, seen.text, rows[i].verdict);
        weft_otlp_walk_init(&w, weft_buf_slice(&f->payload));
        assert_int_equal(weft_otlp_walk_next(&w), 1);
        if (weft_match_item(m, signal, &w) != (strchr(rows[i].verdict, 'y') != NULL))
            fail_msg("%s: the item says otherwise", rows[i].expression);
        weft_match_free(m);
    }
}

static void a_log_record_matches_by_its_fields(void **state)
{
    static const struct row rows[] = {
        { "severity = error", "y" }, { "severity=ERROR", "y" }, { "severity = warn", "n" }, { "severity >= warn", "y" },
        { "severity > warn", "y" }, { "severity > error", "n" }, { "severity >= error", "y" }, { "severity < fatal", "y" },
        { "severity < error", "n" }, { "severity <= error", "y" }, { "severity = 18", "y" }, { "severity > 17", "y" },
        { "severity >= 19", "n" }, { "severity != error", "n" }, { "severity ~ ERROR", "y" },
        { "body ~ 'timed? out'", "y" }, { "body ~ \"^payment\"", "y" }, { "body ~ ^EUR", "n" }, { "body !~ EUR", "n" },
        { "body = 'payment of 12 EUR timed out'", "y" }, { "body = payment", "n" }, { "body != payment", "y" },
        { "name = payment.failed", "y" }, { "trace_id = 0af7651916cd43dd8448eb211c80319c", "y" },
        { "trace_id = 0AF7651916CD43DD8448EB211C80319C", "y" }, { "trace_id ~ ^0af7", "y" }, { "span_id = 00", "n" },
        { "duration > 1s", "n" }, { "status = error", "n" }, { "status != error", "y" },
    };
    struct fixture *f = *state;

    build_log(f);
    check(f, WEFT_LOGS, rows, sizeof rows / sizeof *rows);
}

static void attributes_are_found_where_they_are(void **state)
{
    static const struct row rows[] = {
        { "service.name = checkout", "y" }, { "resource.service.name = checkout", "y" }, { "attributes.service.name = checkout", "n" },
        { "attributes.user = anna", "y" }, { "resource.user = anna", "n" }, { "user.name = anna", "n" },
        { "zone = inner", "y" }, { "resource.zone = eu", "y" }, { "zone = eu", "n" },
        { "lib.tier = gold", "y" }, { "scope.lib.tier = gold", "y" },
        { "http.response.status_code = 503", "y" }, { "http.response.status_code >= 500", "y" },
        { "http.response.status_code < 500", "n" }, { "http.response.status_code = 503.0", "y" },
        { "http.response.status_code ~ ^5", "y" }, { "http.response.status_code > 90", "y" },
        { "attributes.big = 9007199254740993", "y" }, { "attributes.big = 9007199254740992", "n" },
        { "ratio = 0.25", "y" }, { "ratio < 0.3", "y" }, { "ratio >= 1", "n" }, { "retried = true", "y" }, { "retried = false", "n" },
        { "count.text > 9", "y" }, { "count.text = 12", "y" }, { "user > aaron", "y" }, { "attributes.user < bert", "y" },
        { "empty.text = ''", "y" }, { "empty.text ~ ^$", "y" }, { "attributes.nothing != x", "y" }, { "attributes.nothing = x", "n" },
        { "attributes.nothing !~ x", "y" }, { "attributes.nothing ~ .", "n" }, { "attributes.nothing < 5", "n" },
        { "severity >= warn and service.name = checkout and body ~ EUR", "y" },
        { "severity >= warn AND service.name = cart", "n" },
    };
    struct fixture *f = *state;

    build_log(f);
    check(f, WEFT_LOGS, rows, sizeof rows / sizeof *rows);
}

static void a_span_matches_by_its_fields(void **state)
{
    static const struct row rows[] = {
        { "name = 'GET /cart'", "y" }, { "name ~ '^(GET|PUT) '", "y" }, { "duration = 250ms", "y" }, { "duration >= 0.25s", "y" },
        { "duration > 250ms", "n" }, { "duration < 1m30s", "y" }, { "duration > 249999us", "y" }, { "status = error", "y" },
        { "status = ok", "n" }, { "status != ok", "y" }, { "status ~ err", "y" }, { "span_id = 0af7651916cd43dd", "y" },
        { "severity = error", "n" }, { "body = x", "n" }, { "http.response.status_code = 503", "y" },
    };
    struct fixture *f = *state;

    build_span(f);
    check(f, WEFT_TRACES, rows, sizeof rows / sizeof *rows);
}

static void each_data_point_is_an_item(void **state)
{
    static const struct row rows[] = {
        { "name = requests", "yy" }, { "path = /a", "yn" }, { "name = requests and path ~ b", "ny" }, { "path = /c", "nn" },
        { "service.name = checkout", "yy" },
    };
    struct fixture *f = *state;

    build_metric(f);
    check(f, WEFT_METRICS, rows, sizeof rows / sizeof *rows);
}

static void a_severity_in_words_alone_counts_too(void **state)
{
    static const struct row rows[] = { { "severity = warn", "y" }, { "severity >= error", "n" }, { "severity ~ Warning", "y" } };
    struct fixture *f = *state;
    struct weft_otlp_group g = open_group(f);
    size_t item = weft_wire_begin(&f->payload, WEFT_OTLP_ITEMS);

    weft_wire_put_bytes(&f->payload, WEFT_LOG_SEVERITY_TEXT, WEFT_SLICE("Warning"));
    weft_wire_end(&f->payload, item);
    weft_otlp_group_close(&f->payload, g);
    check(f, WEFT_LOGS, rows, sizeof rows / sizeof *rows);
}

static void what_is_wrong_is_said_with_its_place(void **state)
{
    static const struct { const char *expression; unsigned column; const char *text; } rows[] = {
        { "", 1, "a key is missing: severity, body, name, status, duration, trace_id, span_id, or an attribute" },
        { "severity", 9, "an operator is missing behind 'severity': one of = != ~ !~ < <= > >=" },
        { "severity is warn", 10, "an operator is missing behind 'severity': one of = != ~ !~ < <= > >=" },
        { "severty = warn", 1, "'severty' is no field; did you mean 'severity'? (an attribute of that name is attributes.severty)" },
        { "body = x and nmae = y", 14, "'nmae' is no field; did you mean 'name'? (an attribute of that name is attributes.nmae)" },
        { "severity = eror", 12, "'eror' is no severity: trace, debug, info, warn, error, fatal, or a number from 1 to 24; did you mean 'error'?" },
        { "severity = 25", 12, "'25' is no severity: trace, debug, info, warn, error, fatal, or a number from 1 to 24" },
        { "status = err", 10, "'err' is no status: unset, ok or error; did you mean 'error'?" },
        { "duration > 5", 12, "'5' is no duration: write a number with a unit, like 250ms or 1.5s" },
        { "duration > 5 s", 12, "'5' is no duration: write a number with a unit, like 250ms or 1.5s" },
        { "body = ", 8, "a value is missing" },
        { "body = x and", 13, "a key is missing: severity, body, name, status, duration, trace_id, span_id, or an attribute" },
        { "name = GET /cart", 12, "expected 'and' before '/cart'; a value with blanks belongs in quotes" },
        { "body = x or body = y", 10, "'or' is not taken; a regular expression can hold alternatives: name ~ 'a|b'" },
        { "body = 'x", 8, "the quote is not closed" },
        { "body ~ '(x'", 8, "the regular expression is not valid: Unmatched ( or \\(" },
        { "body ~ '(a{200}){200}'", 8, "the regular expression is too costly: it repeats too often" },
        { "body ~ '(a)\\1'", 8, "the regular expression is too costly: back references are not taken" },
    };
    (void)state;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct weft_match *m = NULL;
        struct weft_match_error e = { 0 };
        if (weft_match_compile(rows[i].expression, &m, &e) == 0)
            fail_msg("'%s' was taken", rows[i].expression);
        if (e.column != rows[i].column || strcmp(e.text, rows[i].text) != 0)
            fail_msg("'%s': column %u: %s", rows[i].expression, e.column, e.text);
    }
}

static void expressions_are_bounded(void **state)
{
    char text[WEFT_MATCH_MAX + 10];
    struct weft_match *m = NULL;
    struct weft_match_error e;
    (void)state;

    memset(text, 'a', sizeof text);
    text[sizeof text - 1] = 0;
    assert_true(weft_match_compile(text, &m, &e) < 0);
    text[0] = 0;
    for (size_t i = 0; i <= WEFT_MATCH_TERMS; i++)
        (void)snprintf(text + strlen(text), sizeof text - strlen(text), "%sa.b = 1", i ? " and " : "");
    assert_true(weft_match_compile(text, &m, &e) < 0);
    assert_string_equal(e.text, "more than 16 terms");
}

static void quotes_may_hold_quotes(void **state)
{
    struct weft_match *m = compile("body = 'it\\'s \\\\ \"so\"'");
    (void)state;

    weft_match_free(m);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_log_record_matches_by_its_fields, setup, teardown),
        cmocka_unit_test_setup_teardown(attributes_are_found_where_they_are, setup, teardown),
        cmocka_unit_test_setup_teardown(a_span_matches_by_its_fields, setup, teardown),
        cmocka_unit_test_setup_teardown(each_data_point_is_an_item, setup, teardown),
        cmocka_unit_test_setup_teardown(a_severity_in_words_alone_counts_too, setup, teardown),
        cmocka_unit_test(what_is_wrong_is_said_with_its_place),
        cmocka_unit_test(expressions_are_bounded),
        cmocka_unit_test(quotes_may_hold_quotes),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "exporters/otlp_answer.h"
#include "exporters/otlp_status.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#define BYTES(...) { (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }) }
#define TEXT(literal) { (const uint8_t *)(literal), sizeof(literal) - 1 }
#define PROTO "application/x-protobuf"
#define JSON "application/json"

struct expected {
    enum weft_outcome outcome;
    const char *reason, *detail;
    uint64_t retry_after_ms, rejected;
    bool too_large;
};

static void compare(const char *what, const struct weft_otlp_verdict *v, const struct expected *e)
{
    if (v->outcome != e->outcome || strcmp(v->reason, e->reason) != 0 || strcmp(v->detail, e->detail) != 0 ||
        v->retry_after_ms != e->retry_after_ms || v->rejected != e->rejected || v->too_large != e->too_large)
        fail_msg("%s: outcome %d reason '%s' detail '%s' retry %llu rejected %llu too_large %d", what, (int)v->outcome,
                 v->reason, v->detail, (unsigned long long)v->retry_after_ms, (unsigned long long)v->rejected,
                 v->too_large);
}

static void every_http_answer_has_one_verdict(void **state)
{
    static const char strange[] = "accepted, but the body of the answer is not an OTLP response";
    const struct { const char *what; struct weft_http_result in; struct expected out; } cases[] = {
        { "200, empty body", { .status = 200, .content_type = PROTO }, { WEFT_SENT, "sent", "", 0, 0, false } },
        { "200, no content type", { .status = 200, .body = TEXT("ok") }, { WEFT_SENT, "sent", "", 0, 0, false } },
        { "202 of somebody's proxy", { .status = 202, .content_type = "text/html", .body = TEXT("<p>") },
          { WEFT_SENT, "sent", "", 0, 0, false } },
        { "200, partial success in protobuf",
          { .status = 200, .content_type = PROTO, .body = BYTES(0x0a, 7, 0x08, 3, 0x12, 3, 'b', 'a', 'd') },
          { WEFT_SENT, "sent", "bad", 0, 3, false } },
        { "200, a warning: message without rejections",
          { .status = 200, .content_type = PROTO, .body = BYTES(0x0a, 5, 0x12, 3, 'h', 'm', 'm') },
          { WEFT_SENT, "sent", "hmm", 0, 0, false } },
        { "200, a negative count is none",
          { .status = 200, .content_type = PROTO,
            .body = BYTES(0x0a, 11, 0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01) },
          { WEFT_SENT, "sent", "", 0, 0, false } },
        { "200, partial success in JSON, count as text",
          { .status = 200, .content_type = JSON "; charset=utf-8",
            .body = TEXT("{\"partialSuccess\":{\"rejectedSpans\":\"2\",\"errorMessage\":\"a \\\"b\\\"\\n\"},\"x\":[1]}") },
          { WEFT_SENT, "sent", "a \"b\" ", 0, 2, false } },
        { "200, partial success in JSON, count as a number",
          { .status = 200, .content_type = JSON, .body = TEXT("{\"partialSuccess\":{\"rejectedDataPoints\":7}}") },
          { WEFT_SENT, "sent", "", 0, 7, false } },
        { "200, empty JSON object", { .status = 200, .content_type = JSON, .body = TEXT("{}") },
          { WEFT_SENT, "sent", "", 0, 0, false } },
        { "200, garbage for protobuf", { .status = 200, .content_type = PROTO, .body = TEXT("<html>") },
          { WEFT_SENT, "sent", strange, 0, 0, false } },
        { "200, garbage for JSON", { .status = 200, .content_type = JSON, .body = TEXT("{\"partialSuccess\":") },
          { WEFT_SENT, "sent", strange, 0, 0, false } },
        { "200, endless body", { .status = 200, .content_type = PROTO, .body = TEXT(""), .body_cut = true },
          { WEFT_SENT, "sent", strange, 0, 0, false } },
        { "400 with a Status",
          { .status = 400, .content_type = PROTO, .body = BYTES(0x08, 3, 0x12, 4, 'o', 'o', 'p', 's') },
          { WEFT_REJECTED, "http_400", "oops", 0, 0, false } },
        { "400 with a Status in JSON",
          { .status = 400, .content_type = JSON, .body = TEXT("{\"code\":3,\"message\":\"no such thing\"}") },
          { WEFT_REJECTED, "http_400", "no such thing", 0, 0, false } },
        { "401 with plain words", { .status = 401, .content_type = "text/plain", .body = TEXT("who\r\nare you") },
          { WEFT_REJECTED, "http_401", "who  are you", 0, 0, false } },
        { "404", { .status = 404 }, { WEFT_REJECTED, "http_404", "", 0, 0, false } },
        { "408 says nothing against the data", { .status = 408 }, { WEFT_RETRY, "http_408", "", 0, 0, false } },
        { "413", { .status = 413 }, { WEFT_REJECTED, "http_413", "", 0, 0, true } },
        { "429 with seconds", { .status = 429, .retry_after = "17" }, { WEFT_RETRY, "http_429", "", 17000, 0, false } },
        { "429 without", { .status = 429 }, { WEFT_RETRY, "http_429", "", 0, 0, false } },
        { "500 is not retryable", { .status = 500, .retry_after = "5" }, { WEFT_REJECTED, "http_500", "", 0, 0, false } },
        { "502", { .status = 502 }, { WEFT_RETRY, "http_502", "", 0, 0, false } },
        { "503 with a date",
          { .status = 503, .retry_after = "Sun, 06 Nov 1994 08:49:37 GMT" },
          { WEFT_RETRY, "http_503", "", 60000, 0, false } },
        { "503 with nonsense", { .status = 503, .retry_after = "soon" }, { WEFT_RETRY, "http_503", "", 0, 0, false } },
        { "504", { .status = 504 }, { WEFT_RETRY, "http_504", "", 0, 0, false } },
        { "505", { .status = 505 }, { WEFT_REJECTED, "http_505", "", 0, 0, false } },
        { "a redirect is not followed", { .status = 302 }, { WEFT_REJECTED, "http_302", "", 0, 0, false } },
        { "refused connection", { .err = UV_ECONNREFUSED, .reason = "no\nway" },
          { WEFT_RETRY, "connection", "no way", 0, 0, false } },
        { "timeout", { .err = UV_ETIMEDOUT, .reason = "10 s" }, { WEFT_RETRY, "timeout", "10 s", 0, 0, false } },
        { "cut in the middle of a 200", { .err = UV_ECONNRESET, .status = 200, .reason = "cut" },
          { WEFT_RETRY, "connection", "cut", 0, 0, false } },
        { "stopped", { .err = UV_ECANCELED }, { WEFT_RETRY, "stopped", "", 0, 0, false } },
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct weft_otlp_verdict v;
        weft_otlp_judge_http(&cases[i].in, 784111777 - 60, &v);
        compare(cases[i].what, &v, &cases[i].out);
    }
}

/* Status { code 8, message "slow", details Any { RetryInfo { 1.5 s } } } */
#define RETRY_IN_1500_MS "CAgSBHNsb3caNgoodHlwZS5nb29nbGVhcGlzLmNvbS9nb29nbGUucnBjLlJldHJ5SW5mbxIKCggIARCAyrXuAQ"

static void every_grpc_answer_has_one_verdict(void **state)
{
    static const char strange[] = "accepted, but the message of the answer is not an OTLP response";
    const struct { const char *what; struct weft_http_result in; struct expected out; } cases[] = {
        { "OK, empty message", { .status = 200, .grpc_status = "0", .body = BYTES(0, 0, 0, 0, 0) },
          { WEFT_SENT, "sent", "", 0, 0, false } },
        { "OK, partial success",
          { .status = 200, .grpc_status = "0", .body = BYTES(0, 0, 0, 0, 6, 0x0a, 4, 0x08, 2, 0x12, 0) },
          { WEFT_SENT, "sent", "", 0, 2, false } },
        { "OK, no message", { .status = 200, .grpc_status = "0" }, { WEFT_SENT, "sent", strange, 0, 0, false } },
        { "OK, compressed though we did not ask",
          { .status = 200, .grpc_status = "0", .body = BYTES(1, 0, 0, 0, 1, 0) },
          { WEFT_SENT, "sent", strange, 0, 0, false } },
        { "CANCELLED", { .status = 200, .grpc_status = "1" }, { WEFT_RETRY, "grpc_1", "", 0, 0, false } },
        { "UNKNOWN", { .status = 200, .grpc_status = "2", .grpc_message = "a%20b%0Ac%zz" },
          { WEFT_REJECTED, "grpc_2", "a b c%zz", 0, 0, false } },
        { "INVALID_ARGUMENT", { .status = 200, .grpc_status = "3" }, { WEFT_REJECTED, "grpc_3", "", 0, 0, false } },
        { "DEADLINE_EXCEEDED", { .status = 200, .grpc_status = "4" }, { WEFT_RETRY, "grpc_4", "", 0, 0, false } },
        { "PERMISSION_DENIED", { .status = 200, .grpc_status = "7" }, { WEFT_REJECTED, "grpc_7", "", 0, 0, false } },
        { "RESOURCE_EXHAUSTED", { .status = 200, .grpc_status = "8", .grpc_message = "too big" },
          { WEFT_REJECTED, "grpc_8", "too big", 0, 0, true } },
        { "RESOURCE_EXHAUSTED with RetryInfo",
          { .status = 200, .grpc_status = "8", .grpc_status_details = RETRY_IN_1500_MS },
          { WEFT_RETRY, "grpc_8", "", 1500, 0, false } },
        { "RESOURCE_EXHAUSTED with details that are none",
          { .status = 200, .grpc_status = "8", .grpc_status_details = "!!!" },
          { WEFT_REJECTED, "grpc_8", "", 0, 0, true } },
        { "ABORTED", { .status = 200, .grpc_status = "10" }, { WEFT_RETRY, "grpc_10", "", 0, 0, false } },
        { "OUT_OF_RANGE", { .status = 200, .grpc_status = "11" }, { WEFT_RETRY, "grpc_11", "", 0, 0, false } },
        { "UNIMPLEMENTED", { .status = 200, .grpc_status = "12" }, { WEFT_REJECTED, "grpc_12", "", 0, 0, false } },
        { "INTERNAL", { .status = 200, .grpc_status = "13" }, { WEFT_REJECTED, "grpc_13", "", 0, 0, false } },
        { "UNAVAILABLE", { .status = 200, .grpc_status = "14" }, { WEFT_RETRY, "grpc_14", "", 0, 0, false } },
        { "UNAVAILABLE with RetryInfo",
          { .status = 200, .grpc_status = "14", .grpc_status_details = RETRY_IN_1500_MS "==" },
          { WEFT_RETRY, "grpc_14", "", 1500, 0, false } },
        { "DATA_LOSS", { .status = 200, .grpc_status = "15" }, { WEFT_RETRY, "grpc_15", "", 0, 0, false } },
        { "UNAUTHENTICATED", { .status = 200, .grpc_status = "16" }, { WEFT_REJECTED, "grpc_16", "", 0, 0, false } },
        { "a code that is none", { .status = 200, .grpc_status = "0x" }, { WEFT_REJECTED, "grpc_2", "", 0, 0, false } },
        { "a proxy says 503", { .status = 503 }, { WEFT_RETRY, "http_503", "", 0, 0, false } },
        { "a proxy says 503 and when", { .status = 503, .retry_after = "Sun, 06 Nov 1994 08:49:37 GMT" },
          { WEFT_RETRY, "http_503", "", 60000, 0, false } },
        { "a proxy says 404", { .status = 404 }, { WEFT_REJECTED, "http_404", "", 0, 0, false } },
        { "200 and no trailers", { .status = 200 },
          { WEFT_RETRY, "connection", "the answer has no grpc-status", 0, 0, false } },
        { "refused connection", { .err = UV_ECONNREFUSED }, { WEFT_RETRY, "connection", "", 0, 0, false } },
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct weft_otlp_verdict v;
        weft_otlp_judge_grpc(&cases[i].in, 784111777 - 60, &v);
        compare(cases[i].what, &v, &cases[i].out);
    }
}

static void a_retry_info_is_read_within_bounds(void **state)
{
    /* details { type_url ".../google.rpc.RetryInfo", value { retry_delay { seconds } } } */
    uint8_t bytes[] = { 0x1a, 31, 0x0a, 20, 'g', 'o', 'o', 'g', 'l', 'e', '.', 'r', 'p', 'c', '.', 'R', 'e', 't', 'r',
                        'y', 'I', 'n', 'f', 'o', 0x12, 7, 0x0a, 5, 0x08, 0xff, 0xff, 0xff, 0x7f };
    struct weft_otlp_status s;
    (void)state;

    assert_true(weft_otlp_status_read(weft_slice_of(bytes, sizeof bytes), &s));
    assert_true(s.has_retry);
    assert_int_equal(s.retry_ms, 3600 * 1000);
    for (size_t n = 1; n < sizeof bytes; n++)
        (void)weft_otlp_status_read(weft_slice_of(bytes, n), &s); /* no cut is read past */
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_http_answer_has_one_verdict),
        cmocka_unit_test(every_grpc_answer_has_one_verdict),
        cmocka_unit_test(a_retry_info_is_read_within_bounds),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

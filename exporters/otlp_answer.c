/* SPDX-License-Identifier: Apache-2.0 */
/* otlp_answer.c: see otlp_answer.h. */
#include "exporters/otlp_answer.h"

#include "core/retry.h"
#include "exporters/otlp_status.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

enum { UNKNOWN = 2, RESOURCE_EXHAUSTED = 8, JSON_MESSAGE_MAX = 64 * 1024 };

/* ---- words ---- */
static void set_reason(struct weft_otlp_verdict *v, const char *kind, unsigned code)
{
    (void)snprintf(v->reason, sizeof v->reason, "%s_%u", kind, code);
}

static void set_word(struct weft_otlp_verdict *v, const char *word)
{
    (void)snprintf(v->reason, sizeof v->reason, "%s", word);
}

/* A peer's words, made harmless: cut, control characters out. */
static void set_detail(struct weft_otlp_verdict *v, struct weft_slice words)
{
    size_t n = words.len < sizeof v->detail - 1 ? words.len : sizeof v->detail - 1;

    for (size_t i = 0; i < n; i++)
        v->detail[i] = words.data[i] < 0x20 || words.data[i] == 0x7f ? ' ' : (char)words.data[i];
    v->detail[n] = 0;
}

static void no_answer(const struct weft_http_result *result, struct weft_otlp_verdict *v)
{
    v->outcome = WEFT_RETRY;
    set_word(v, result->err == UV_ETIMEDOUT ? "timeout" : result->err == UV_ECANCELED ? "stopped" : "connection");
    set_detail(v, weft_slice_str(result->reason));
}

static void take_partial(struct weft_otlp_verdict *v, const struct weft_otlp_partial *p)
{
    v->rejected = p->rejected;
    set_detail(v, p->message);
}

static bool take_json(struct weft_slice text, struct weft_otlp_verdict *v)
{
    struct weft_otlp_partial p;
    struct weft_buf plain;

    weft_buf_init(&plain, JSON_MESSAGE_MAX);
    bool ok = weft_otlp_json_answer_read(text, &plain, &p);
    if (ok)
        take_partial(v, &p);
    weft_buf_release(&plain);
    return ok;
}

static bool take_response(struct weft_slice bytes, struct weft_otlp_verdict *v)
{
    struct weft_otlp_partial p;

    if (!weft_otlp_partial_read(bytes, &p))
        return false;
    take_partial(v, &p);
    return true;
}

/* ---- HTTP ---- */
static void take_pause(const struct weft_http_result *result, int64_t now_wall_s, struct weft_otlp_verdict *v)
{
    if (v->outcome == WEFT_RETRY && result->retry_after)
        (void)weft_retry_after(result->retry_after, now_wall_s, &v->retry_after_ms);
}

static bool type_is(const char *content_type, const char *wanted)
{
    size_t n = strlen(wanted);

    return content_type && strncasecmp(content_type, wanted, n) == 0 &&
           (content_type[n] == 0 || content_type[n] == ';' || content_type[n] == ' ');
}

static void judge_2xx(const struct weft_http_result *result, struct weft_otlp_verdict *v)
{
    bool understood = true;

    v->outcome = WEFT_SENT;
    set_word(v, "sent");
    if (result->body_cut)
        understood = false;
    else if (result->body.len > 0 && type_is(result->content_type, "application/json"))
        understood = take_json(result->body, v);
    else if (type_is(result->content_type, "application/x-protobuf"))
        understood = take_response(result->body, v);
    if (!understood)
        set_detail(v, WEFT_SLICE("accepted, but the body of the answer is not an OTLP response"));
}

/* The body of a refusal should be a Status; a proxy's page is better than nothing. */
static void take_refusal(const struct weft_http_result *result, struct weft_otlp_verdict *v)
{
    struct weft_otlp_status s = { 0 };

    if (type_is(result->content_type, "application/x-protobuf") && weft_otlp_status_read(result->body, &s))
        set_detail(v, s.message);
    else if (!type_is(result->content_type, "application/json") || !take_json(result->body, v))
        set_detail(v, result->body);
    v->rejected = 0;
    if (s.has_retry && v->outcome == WEFT_RETRY && v->retry_after_ms == 0)
        v->retry_after_ms = s.retry_ms;
}

void weft_otlp_judge_http(const struct weft_http_result *result, int64_t now_wall_s, struct weft_otlp_verdict *ret_verdict)
{
    struct weft_otlp_verdict *v = ret_verdict;
    unsigned status = result->status;

    *v = (struct weft_otlp_verdict){ .outcome = WEFT_REJECTED };
    if (result->err || status < 200) {
        no_answer(result, v);
        return;
    }
    if (status < 300) {
        judge_2xx(result, v);
        return;
    }
    set_reason(v, "http", status);
    v->too_large = status == 413;
    if (status == 408 || status == 429 || status == 502 || status == 503 || status == 504)
        v->outcome = WEFT_RETRY;
    take_pause(result, now_wall_s, v);
    take_refusal(result, v);
}

/* ---- gRPC ---- */
/* What gRPC makes of an answer that is not gRPC's (grpc doc/http-grpc-status-mapping.md). */
static unsigned code_of_http(unsigned status)
{
    switch (status) {
    case 400: return 13; /* INTERNAL */
    case 401: return 16; /* UNAUTHENTICATED */
    case 403: return 7;  /* PERMISSION_DENIED */
    case 404: return 12; /* UNIMPLEMENTED */
    case 429:
    case 502:
    case 503:
    case 504: return 14; /* UNAVAILABLE */
    default:  return UNKNOWN;
    }
}

static bool is_retryable(unsigned code)
{
    /* CANCELLED, DEADLINE_EXCEEDED, ABORTED, OUT_OF_RANGE, UNAVAILABLE, DATA_LOSS */
    return code == 1 || code == 4 || code == 10 || code == 11 || code == 14 || code == 15;
}

static void judge_ok(const struct weft_http_result *result, struct weft_otlp_verdict *v)
{
    struct weft_slice body = result->body;

    v->outcome = WEFT_SENT;
    set_word(v, "sent");
    if (body.len >= 5 && body.data[0] == 0 && !result->body_cut && take_response(weft_slice_from(body, 5), v))
        return;
    set_detail(v, WEFT_SLICE("accepted, but the message of the answer is not an OTLP response"));
}

static void judge_failure(const struct weft_http_result *result, unsigned code, struct weft_otlp_verdict *v)
{
    uint8_t raw[4096], words[sizeof v->detail];
    struct weft_otlp_status s = { 0 };

    set_reason(v, "grpc", code);
    if (result->grpc_message)
        set_detail(v, weft_slice_of(words, weft_otlp_percent_read(result->grpc_message, words, sizeof words)));
    if (result->grpc_status_details) {
        size_t n = weft_otlp_base64_read(result->grpc_status_details, raw, sizeof raw);
        (void)weft_otlp_status_read(weft_slice_of(raw, n), &s);
    }
    v->too_large = code == RESOURCE_EXHAUSTED && !s.has_retry;
    if (!is_retryable(code) && !(code == RESOURCE_EXHAUSTED && s.has_retry))
        return;
    v->outcome = WEFT_RETRY;
    v->retry_after_ms = s.has_retry ? s.retry_ms : 0;
}

static unsigned code_of_text(const char *text)
{
    char *end;
    unsigned long code = strtoul(text, &end, 10);

    return end == text || *end || code > 16 ? UNKNOWN : (unsigned)code;
}

void weft_otlp_judge_grpc(const struct weft_http_result *result, int64_t now_wall_s, struct weft_otlp_verdict *ret_verdict)
{
    struct weft_otlp_verdict *v = ret_verdict;

    *v = (struct weft_otlp_verdict){ .outcome = WEFT_REJECTED };
    if (result->err || result->status < 200) {
        no_answer(result, v);
    } else if (result->grpc_status) {
        unsigned code = code_of_text(result->grpc_status);
        if (code == 0)
            judge_ok(result, v);
        else
            judge_failure(result, code, v);
    } else if (result->status != 200) {
        judge_failure(result, code_of_http(result->status), v);
        set_reason(v, "http", result->status);
        take_pause(result, now_wall_s, v);
    } else {
        /* The stream ended without its trailers: as good as a broken connection. */
        v->outcome = WEFT_RETRY;
        set_word(v, "connection");
        set_detail(v, WEFT_SLICE("the answer has no grpc-status"));
    }
}

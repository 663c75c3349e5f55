/* SPDX-License-Identifier: Apache-2.0 */
/* otlp_status.c: see otlp_status.h. */
#include "exporters/otlp_status.h"

#include "core/base64.h"
#include "core/json.h"
#include "core/otlp.h"
#include "core/otlp_fields.h"
#include "core/wire.h"

enum { MAX_RETRY_MS = 3600 * 1000 };

/* ---- protobuf ---- */
/* RetryInfo { Duration retry_delay = 1 { seconds = 1, nanos = 2 } } */
static bool read_retry_info(struct weft_slice info, uint64_t *ret_ms)
{
    struct weft_field f;
    struct weft_slice delay = { 0 };
    uint64_t seconds = 0, nanos = 0;

    while (weft_wire_next(&info, &f) == 1)
        if (f.number == 1 && f.type == WEFT_LENGTH)
            delay = f.bytes;
    while (weft_wire_next(&delay, &f) == 1) {
        if (f.number == 1 && f.type == WEFT_VARINT)
            seconds = f.scalar;
        if (f.number == 2 && f.type == WEFT_VARINT)
            nanos = f.scalar;
    }
    if ((int64_t)seconds < 0 || nanos >= 1000000000)
        return false;
    uint64_t ms = seconds > MAX_RETRY_MS / 1000 ? MAX_RETRY_MS : seconds * 1000 + (nanos + 999999) / 1000000;
    *ret_ms = ms < MAX_RETRY_MS ? ms : MAX_RETRY_MS;
    return true;
}

/* Any { type_url = 1, value = 2 }. True when it is a RetryInfo. */
static bool read_any(struct weft_slice any, uint64_t *ret_ms)
{
    static const char type[] = "google.rpc.RetryInfo";
    const size_t len = sizeof type - 1;
    struct weft_slice url = { 0 }, value = { 0 };
    struct weft_field f;

    while (weft_wire_next(&any, &f) == 1) {
        if (f.number == 1 && f.type == WEFT_LENGTH)
            url = f.bytes;
        if (f.number == 2 && f.type == WEFT_LENGTH)
            value = f.bytes;
    }
    if (url.len < len || memcmp(url.data + url.len - len, type, len) != 0)
        return false;
    return read_retry_info(value, ret_ms);
}

/* Status { code = 1, message = 2, details = 3 } */
bool weft_otlp_status_read(struct weft_slice bytes, struct weft_otlp_status *ret_status)
{
    struct weft_otlp_status s = { 0 };
    struct weft_field f;
    int more;

    while ((more = weft_wire_next(&bytes, &f)) == 1) {
        if (f.number == 2 && f.type == WEFT_LENGTH)
            s.message = f.bytes;
        if (f.number == 3 && f.type == WEFT_LENGTH && read_any(f.bytes, &s.retry_ms))
            s.has_retry = true;
    }
    if (more < 0)
        return false;
    *ret_status = s;
    return true;
}

bool weft_otlp_partial_read(struct weft_slice bytes, struct weft_otlp_partial *ret_partial)
{
    struct weft_otlp_partial p = { 0 };
    struct weft_slice inner = { 0 };
    struct weft_field f;
    int more;

    while ((more = weft_wire_next(&bytes, &f)) == 1)
        if (f.number == WEFT_RESPONSE_PARTIAL_SUCCESS && f.type == WEFT_LENGTH)
            inner = f.bytes;
    if (more < 0)
        return false;
    while ((more = weft_wire_next(&inner, &f)) == 1) {
        if (f.number == WEFT_PARTIAL_REJECTED && f.type == WEFT_VARINT)
            p.rejected = (int64_t)f.scalar > 0 ? f.scalar : 0;
        if (f.number == WEFT_PARTIAL_MESSAGE && f.type == WEFT_LENGTH)
            p.message = f.bytes;
    }
    if (more < 0)
        return false;
    *ret_partial = p;
    return true;
}

/* ---- JSON ---- */
static bool key_is_one_of(const struct weft_json *j, const char *const *names)
{
    while (*names && !weft_json_text_is(j, *names))
        names++;
    return *names != NULL;
}

static bool take_message(const struct weft_json *j, struct weft_buf *plain, struct weft_otlp_partial *p)
{
    weft_buf_reset(plain);
    if (weft_json_unescape(j->text, plain))
        return false;
    p->message = weft_buf_slice(plain);
    return true;
}

/* One object: takes what it knows of, goes into "partialSuccess", skips the rest. */
static bool read_object(struct weft_json *j, struct weft_buf *plain, struct weft_otlp_partial *p, bool nested)
{
    static const char *const counts[] = { "rejectedSpans", "rejectedLogRecords", "rejectedDataPoints", NULL };
    static const char *const words[] = { "errorMessage", "message", NULL };
    int token;

    while ((token = weft_json_next(j)) == WEFT_JSON_KEY) {
        bool count = key_is_one_of(j, counts), word = key_is_one_of(j, words);
        bool inner = !nested && weft_json_text_is(j, "partialSuccess");
        bool ok = true;
        int64_t n;

        token = weft_json_next(j);
        if (inner && token == WEFT_JSON_OBJECT_BEGIN)
            ok = read_object(j, plain, p, true);
        else if (count && (token == WEFT_JSON_NUMBER || token == WEFT_JSON_STRING) && weft_json_int64(j->text, &n))
            p->rejected = n > 0 ? (uint64_t)n : 0;
        else if (word && token == WEFT_JSON_STRING)
            ok = take_message(j, plain, p);
        else if (token == WEFT_JSON_OBJECT_BEGIN || token == WEFT_JSON_ARRAY_BEGIN)
            ok = weft_json_skip(j, NULL) == 0;
        if (token < 0 || !ok)
            return false;
    }
    return token == WEFT_JSON_OBJECT_END;
}

bool weft_otlp_json_answer_read(struct weft_slice text, struct weft_buf *plain, struct weft_otlp_partial *ret_partial)
{
    struct weft_otlp_partial p = { 0 };
    struct weft_json j;

    weft_json_init(&j, text);
    if (weft_json_next(&j) != WEFT_JSON_OBJECT_BEGIN || !read_object(&j, plain, &p, false))
        return false;
    *ret_partial = p;
    return true;
}

/* ---- header encodings ---- */
size_t weft_otlp_base64_read(const char *text, uint8_t *out, size_t size)
{
    uint32_t bits = 0;
    unsigned have = 0, digit;
    size_t n = 0;

    for (; (digit = weft_base64_digit((uint8_t)*text)) < 64 && n < size; text++) {
        bits = bits << 6 | digit;
        have += 6;
        if (have >= 8) {
            have -= 8;
            out[n++] = (uint8_t)(bits >> have);
        }
    }
    return n;
}

size_t weft_otlp_percent_read(const char *text, uint8_t *out, size_t size)
{
    size_t n = 0;

    while (*text && n < size) {
        bool coded = text[0] == '%' && text[1] && text[2] && weft_hex_read(weft_slice_of(text + 1, 2), out + n, 1);
        if (!coded)
            out[n] = (uint8_t)*text;
        n++;
        text += coded ? 3 : 1;
    }
    return n;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* otlp_answer.c: see otlp_answer.h. The messages are small and their shape is fixed, so both encodings are written
 * side by side, field by field. */
#include "receivers/otlp_answer.h"

#include "core/json.h"
#include "core/otlp_fields.h"
#include "core/wire.h"

/* google/rpc/status.proto, google/rpc/error_details.proto, google/protobuf/any.proto and duration.proto. */
enum { STATUS_CODE = 1, STATUS_MESSAGE = 2, STATUS_DETAILS = 3 };
enum { ANY_TYPE_URL = 1, ANY_VALUE = 2 };
enum { RETRY_DELAY = 1, DURATION_SECONDS = 1 };
#define RETRY_INFO_TYPE "type.googleapis.com/google.rpc.RetryInfo"

static void success_json(struct weft_buf *out, enum weft_signal signal, const struct weft_otlp_verdict *v)
{
    static const char *const keys[WEFT_SIGNALS] = { "rejectedSpans", "rejectedLogRecords", "rejectedDataPoints" };

    weft_buf_append_str(out, "{\"partialSuccess\":{");
    if (v->rejected)
        weft_buf_printf(out, "\"%s\":\"%llu\"", keys[signal], (unsigned long long)v->rejected);
    if (v->rejected && v->message[0])
        weft_buf_append_byte(out, ',');
    if (v->message[0]) {
        weft_buf_append_str(out, "\"errorMessage\":");
        weft_json_put_string(out, weft_slice_str(v->message));
    }
    weft_buf_append_str(out, "}}");
}

static void success_protobuf(struct weft_buf *out, const struct weft_otlp_verdict *v)
{
    size_t mark = weft_wire_begin(out, WEFT_RESPONSE_PARTIAL_SUCCESS);

    if (v->rejected)
        weft_wire_put_varint(out, WEFT_PARTIAL_REJECTED, v->rejected);
    if (v->message[0])
        weft_wire_put_bytes(out, WEFT_PARTIAL_MESSAGE, weft_slice_str(v->message));
    weft_wire_end(out, mark);
}

void weft_otlp_answer_success(struct weft_buf *out, enum weft_otlp_format format, enum weft_signal signal,
                              const struct weft_otlp_verdict *verdict)
{
    bool whole = verdict->rejected == 0 && verdict->message[0] == '\0';

    if (format == WEFT_OTLP_JSON && whole)
        weft_buf_append_str(out, "{}");
    else if (format == WEFT_OTLP_JSON)
        success_json(out, signal, verdict);
    else if (!whole)
        success_protobuf(out, verdict);
}

static void status_json(struct weft_buf *out, const struct weft_otlp_verdict *v)
{
    weft_buf_printf(out, "{\"code\":%d,\"message\":", (int)v->code);
    weft_json_put_string(out, weft_slice_str(v->message));
    if (v->retry_after_s)
        weft_buf_printf(out, ",\"details\":[{\"@type\":\"" RETRY_INFO_TYPE "\",\"retryDelay\":\"%us\"}]", v->retry_after_s);
    weft_buf_append_byte(out, '}');
}

static void retry_info_protobuf(struct weft_buf *out, uint32_t seconds)
{
    size_t detail = weft_wire_begin(out, STATUS_DETAILS);

    weft_wire_put_bytes(out, ANY_TYPE_URL, WEFT_SLICE(RETRY_INFO_TYPE));
    size_t info = weft_wire_begin(out, ANY_VALUE);
    size_t delay = weft_wire_begin(out, RETRY_DELAY);
    weft_wire_put_varint(out, DURATION_SECONDS, seconds);
    weft_wire_end(out, delay);
    weft_wire_end(out, info);
    weft_wire_end(out, detail);
}

static void status_protobuf(struct weft_buf *out, const struct weft_otlp_verdict *v)
{
    weft_wire_put_varint(out, STATUS_CODE, (uint64_t)v->code);
    weft_wire_put_bytes(out, STATUS_MESSAGE, weft_slice_str(v->message));
    if (v->retry_after_s)
        retry_info_protobuf(out, v->retry_after_s);
}

void weft_otlp_answer_status(struct weft_buf *out, enum weft_otlp_format format,
                             const struct weft_otlp_verdict *verdict)
{
    if (format == WEFT_OTLP_JSON)
        status_json(out, verdict);
    else
        status_protobuf(out, verdict);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* demo_log.c: log lines as pino, the Node.js logger, writes them (demo.h). */
#include "agent/demo.h"

#include "core/json.h"
#include "core/otlp.h"

static void put_text(struct weft_buf *b, const char *key, const char *text)
{
    weft_buf_append_byte(b, ',');
    weft_json_put_string(b, weft_slice_str(key));
    weft_buf_append_byte(b, ':');
    weft_json_put_string(b, weft_slice_str(text));
}

static void put_error(struct weft_buf *b, const char *type, const char *message)
{
    char stack[256];

    (void)snprintf(stack, sizeof stack, "%s: %s\n    at handle (server.js:42:11)\n    at process (server.js:17:5)", type, message);
    weft_buf_append_str(b, ",\"err\":{\"type\":");
    weft_json_put_string(b, weft_slice_str(type));
    put_text(b, "message", message);
    put_text(b, "stack", stack);
    weft_buf_append_byte(b, '}');
}

void weft_demo_line_write(const struct weft_demo_request *request, const struct weft_demo_line *line, struct weft_buf *out)
{
    const struct weft_demo_span *span = &request->spans[line->span];
    char trace_id[33], span_id[17];

    weft_hex_write(weft_slice_of(request->trace_id, sizeof request->trace_id), trace_id);
    weft_hex_write(weft_slice_of(span->id, sizeof span->id), span_id);
    weft_buf_printf(out, "{\"level\":%d,\"time\":%llu,\"pid\":%d,\"hostname\":\"shop-0\"", line->level,
                    (unsigned long long)(line->time_ns / 1000000), 4240 + (int)span->service);
    put_text(out, "name", weft_demo_service_name(span->service));
    put_text(out, "correlation_id", request->correlation);
    put_text(out, "trace_id", trace_id);
    put_text(out, "span_id", span_id);
    if (line->key)
        weft_buf_printf(out, ",\"%s\":%lld", line->key, (long long)line->number);
    if (line->error)
        put_error(out, line->error, line->message);
    put_text(out, "msg", line->message);
    weft_buf_append_str(out, "}\n");
}

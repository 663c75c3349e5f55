/* SPDX-License-Identifier: Apache-2.0 */
/* grpc_stream.c: see grpc_stream.h. */
#include "core/grpc_stream.h"

#include <stdlib.h>
#include <string.h>
#include <uv.h>

enum { HPACK_ENTRY_OVERHEAD = 32 }; /* RFC 7541, 4.1 */

struct weft_grpc_stream *weft_grpc_stream_new(int32_t id, uint64_t deadline_ms)
{
    struct weft_grpc_stream *s = calloc(1, sizeof *s);

    if (!s)
        return NULL;
    s->id = id;
    s->deadline_ms = deadline_ms;
    s->method = WEFT_GRPC_METHOD_UNKNOWN;
    return s;
}

void weft_grpc_stream_free(struct weft_grpc_stream *s, struct weft_grpc_pool *pool)
{
    if (!s)
        return;
    weft_grpc_frame_release(&s->frame, pool);
    if (s->reply != s->small)
        free(s->reply);
    free(s);
}

static bool begins_with(struct weft_slice text, const char *prefix)
{
    size_t len = strlen(prefix);

    return text.len >= len && memcmp(text.data, prefix, len) == 0;
}

/* "application/grpc", "application/grpc+proto", each perhaps with parameters. */
static bool is_grpc(struct weft_slice type)
{
    if (!begins_with(type, "application/grpc"))
        return false;
    type = weft_slice_from(type, sizeof "application/grpc" - 1);
    if (begins_with(type, "+proto"))
        type = weft_slice_from(type, sizeof "+proto" - 1);
    return type.len == 0 || type.data[0] == ';' || type.data[0] == ' ';
}

static void take_method(struct weft_grpc_stream *s, struct weft_slice value)
{
    s->post = weft_slice_is(value, "POST");
    s->get = weft_slice_is(value, "GET");
    s->head = weft_slice_is(value, "HEAD");
}

static void take_encoding(struct weft_grpc_stream *s, struct weft_slice value)
{
    s->gzip = weft_slice_is(value, "gzip");
    s->unknown_encoding = !s->gzip && !weft_slice_is(value, "identity");
}

void weft_grpc_stream_header(struct weft_grpc_stream *s, const struct weft_grpc_service *service, struct weft_slice name,
                             struct weft_slice value)
{
    s->header_bytes += name.len + value.len + HPACK_ENTRY_OVERHEAD;

    switch (name.len) {
    case sizeof ":path" - 1:
        if (weft_slice_is(name, ":path"))
            s->method = weft_grpc_service_method(service, value);
        return;
    case sizeof ":method" - 1:
        if (weft_slice_is(name, ":method"))
            take_method(s, value);
        return;
    case sizeof "content-type" - 1: /* and "grpc-timeout" */
        if (weft_slice_is(name, "content-type")) {
            s->grpc = is_grpc(value);
        } else if (weft_slice_is(name, "grpc-timeout")) {
            s->has_timeout = true;
            s->bad_timeout = weft_grpc_read_timeout(value, &s->timeout_ms) != 0;
        }
        return;
    case sizeof "grpc-encoding" - 1:
        if (weft_slice_is(name, "grpc-encoding"))
            take_encoding(s, value);
        return;
    default:
        return;
    }
}

int weft_grpc_stream_reply(struct weft_grpc_stream *s, size_t len)
{
    uint8_t *reply = len <= sizeof s->small ? s->small : malloc(len);

    if (!reply)
        return UV_ENOMEM;
    s->reply = reply;
    s->reply_len = len;
    s->reply_at = 0;
    return 0;
}

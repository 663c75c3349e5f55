/* SPDX-License-Identifier: Apache-2.0 */
/* grpc_answer.c: see grpc_answer.h. */
#include "core/grpc_answer.h"

#include <assert.h>
#include <string.h>

#define NV(n, v) \
    { (uint8_t *)(n), (uint8_t *)(v), sizeof(n) - 1, sizeof(v) - 1, \
      NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE }

static const char ROOT_TEXT[] = "This port speaks OTLP over gRPC (HTTP/2).\n";

/* A header whose value nghttp2 copies. */
static nghttp2_nv copied(const char *name, const uint8_t *value, size_t len)
{
    return (nghttp2_nv){ (uint8_t *)(uintptr_t)name, (uint8_t *)(uintptr_t)value, strlen(name), len,
                         NGHTTP2_NV_FLAG_NO_COPY_NAME };
}

static nghttp2_nv status_header(enum weft_grpc_status status)
{
    static const char *const digits[] = { "0", "1",  "2",  "3",  "4",  "5",  "6",  "7", "8",
                                          "9", "10", "11", "12", "13", "14", "15", "16" };
    const char *text = digits[(size_t)status < sizeof digits / sizeof *digits ? (size_t)status : WEFT_GRPC_UNKNOWN];

    return copied("grpc-status", (const uint8_t *)text, strlen(text));
}

/* nghttp2 pulls the reply as the client's windows allow; behind the last byte come the trailers. */
static ssize_t read_reply(nghttp2_session *session, int32_t stream_id, uint8_t *buf, size_t length, uint32_t *data_flags,
                          nghttp2_data_source *source, void *user_data)
{
    static const nghttp2_nv ok = NV("grpc-status", "0");
    struct weft_grpc_stream *s = source->ptr;
    size_t n = s->reply_len - s->reply_at;
    (void)user_data;

    if (n > length)
        n = length;
    if (n)
        memcpy(buf, s->reply + s->reply_at, n);
    s->reply_at += n;
    if (s->reply_at < s->reply_len)
        return (ssize_t)n;

    *data_flags |= NGHTTP2_DATA_FLAG_EOF;
    if (s->trailers) {
        *data_flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
        if (nghttp2_submit_trailer(session, stream_id, &ok, 1) != 0)
            return NGHTTP2_ERR_CALLBACK_FAILURE;
    }
    return (ssize_t)n;
}

static int submit_message(nghttp2_session *session, struct weft_grpc_stream *s, struct weft_slice body)
{
    static const nghttp2_nv headers[] = { NV(":status", "200"), NV("content-type", "application/grpc") };
    nghttp2_data_provider provider = { .source = { .ptr = s }, .read_callback = read_reply };

    assert(body.len <= UINT32_MAX);
    if (weft_grpc_stream_reply(s, WEFT_GRPC_PREFIX + body.len) < 0)
        return NGHTTP2_ERR_NOMEM;
    weft_grpc_frame_prefix(s->reply, (uint32_t)body.len);
    if (body.len)
        memcpy(s->reply + WEFT_GRPC_PREFIX, body.data, body.len);
    s->trailers = true;
    return nghttp2_submit_response(session, s->id, headers, sizeof headers / sizeof *headers, &provider);
}

/* All of an error in one HEADERS frame. Words or details that are too long for the text buffer are left out. */
static int submit_error(nghttp2_session *session, struct weft_grpc_service *service, struct weft_grpc_stream *s,
                        const struct weft_grpc_answer *answer, bool with_encodings)
{
    nghttp2_nv headers[6] = { NV(":status", "200"), NV("content-type", "application/grpc"), status_header(answer->status) };
    size_t n = 3, mark;

    weft_buf_reset(&service->text);
    if (with_encodings)
        headers[n++] = (nghttp2_nv)NV("grpc-accept-encoding", "identity,gzip");
    if (answer->message)
        weft_grpc_put_message(&service->text, answer->message);
    mark = service->text.len;
    weft_grpc_put_binary(&service->text, answer->details);
    if (mark > 0)
        headers[n++] = copied("grpc-message", service->text.data, mark);
    if (service->text.len > mark && !service->text.err)
        headers[n++] = copied("grpc-status-details-bin", service->text.data + mark, service->text.len - mark);
    return nghttp2_submit_response(session, s->id, headers, n, NULL);
}

int weft_grpc_answer_call(nghttp2_session *session, struct weft_grpc_service *service, struct weft_grpc_stream *s,
                          const struct weft_grpc_answer *answer)
{
    if (answer->status == WEFT_GRPC_OK)
        return submit_message(session, s, answer->body);
    return submit_error(session, service, s, answer, false);
}

int weft_grpc_answer_encoding(nghttp2_session *session, struct weft_grpc_service *service, struct weft_grpc_stream *s,
                              const struct weft_grpc_answer *answer)
{
    return submit_error(session, service, s, answer, true);
}

int weft_grpc_answer_http(nghttp2_session *session, struct weft_grpc_stream *s, const char *status)
{
    const nghttp2_nv headers[] = { copied(":status", (const uint8_t *)status, strlen(status)), NV("allow", "POST") };
    size_t n = strcmp(status, "405") == 0 ? 2 : 1;

    return nghttp2_submit_response(session, s->id, headers, n, NULL);
}

int weft_grpc_answer_root(nghttp2_session *session, struct weft_grpc_stream *s)
{
    static const nghttp2_nv headers[] = { NV(":status", "200"), NV("content-type", "text/plain; charset=utf-8") };
    nghttp2_data_provider provider = { .source = { .ptr = s }, .read_callback = read_reply };

    if (weft_grpc_stream_reply(s, sizeof ROOT_TEXT - 1) < 0)
        return NGHTTP2_ERR_NOMEM;
    memcpy(s->reply, ROOT_TEXT, sizeof ROOT_TEXT - 1);
    return nghttp2_submit_response(session, s->id, headers, sizeof headers / sizeof *headers, s->head ? NULL : &provider);
}

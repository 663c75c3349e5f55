/* SPDX-License-Identifier: Apache-2.0 */
/* h2_session.c: frames and streams of the cleartext HTTP/2 client, without I/O: bytes in, bytes out; see h2_state.h.
 *
 * nghttp2 is never called from inside one of its own callbacks, and a connection never fails there: callbacks take
 * notes, and whoever called nghttp2 acts on them. A stream that is closed or cancelled has no call any more, so that
 * nothing reads a body which its owner may have freed.
 */
#include "core/h2_state.h"

enum { FRAME_HEAD = 9 };

/* ---- nghttp2's callbacks ---- */
static struct weft_h2_call *call_of(nghttp2_session *session, int32_t stream)
{
    return nghttp2_session_get_stream_user_data(session, stream);
}

static struct weft_slice body_rest(const struct weft_h2_call *call)
{
    return call->slice < call->what.n_body ? weft_slice_from(call->what.body[call->slice], call->offset)
                                           : weft_slice_of(NULL, 0);
}

static uint64_t body_left(const struct weft_h2_call *call)
{
    uint64_t left = body_rest(call).len;

    for (size_t i = call->slice + 1; i < call->what.n_body; i++)
        left += call->what.body[i].len;
    return left;
}

/* How much the next frame holds; the bytes are taken in on_send_data, straight from the body. */
static ssize_t on_produce(nghttp2_session *session, int32_t stream, uint8_t *to, size_t room, uint32_t *flags,
                          nghttp2_data_source *source, void *ctx)
{
    struct weft_h2_call *call = call_of(session, stream);
    (void)source;
    (void)to;
    (void)ctx;

    if (!call) /* cancelled, and its RST_STREAM is on the way */
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    uint64_t left = body_left(call);
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (left <= room)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)(left < room ? left : room);
}

static int on_send_data(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *head, size_t len,
                        nghttp2_data_source *source, void *ctx)
{
    struct weft_h2_connection *n = ctx;
    struct weft_h2_call *call = call_of(session, frame->hd.stream_id);
    (void)source;

    if (!call) /* cancelled while its frame waited for room: its body is not ours any more */
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    if (n->out.len - n->out_at > WEFT_H2_OUT_MAX - FRAME_HEAD)
        return NGHTTP2_ERR_WOULDBLOCK;
    if (!weft_buf_reserve(&n->out, FRAME_HEAD + len))
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    weft_buf_append(&n->out, head, FRAME_HEAD);
    call->sent += len;
    while (len > 0) {
        struct weft_slice rest = body_rest(call);
        size_t take = rest.len < len ? rest.len : len;
        weft_buf_append(&n->out, rest.data, take);
        len -= take;
        call->offset += take;
        if (take == rest.len) {
            call->slice++;
            call->offset = 0;
        }
    }
    return 0;
}

static ssize_t on_frame_size(nghttp2_session *session, uint8_t type, int32_t stream, int32_t session_window,
                             int32_t stream_window, uint32_t max_frame, void *ctx)
{
    size_t size = max_frame < WEFT_H2_OUT_MAX / 2 ? max_frame : WEFT_H2_OUT_MAX / 2;
    (void)session;
    (void)type;
    (void)stream;
    (void)ctx;

    /* nghttp2 cuts it to the windows */
    (void)session_window;
    (void)stream_window;
    return (ssize_t)size;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name, size_t name_len,
                     const uint8_t *value, size_t value_len, uint8_t flags, void *ctx)
{
    struct weft_h2_call *call = call_of(session, frame->hd.stream_id);
    unsigned status = 0;
    (void)flags;
    (void)ctx;

    if (!call)
        return 0;
    if (name_len == 7 && memcmp(name, ":status", 7) == 0) {
        for (size_t i = 0; i < value_len && i < 3; i++)
            status = status * 10 + (unsigned)(value[i] - '0');
        weft_http_answer_status(&call->answer, status);
        return 0;
    }
    return weft_http_answer_header(&call->answer, weft_slice_of(name, name_len), weft_slice_of(value, value_len))
               ? 0 : NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream, const uint8_t *data, size_t len, void *ctx)
{
    struct weft_h2_call *call = call_of(session, stream);
    (void)flags;
    (void)ctx;

    if (call)
        weft_http_answer_body(&call->answer, weft_slice_of(data, len));
    return 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *ctx)
{
    struct weft_h2_connection *n = ctx;
    struct weft_h2_call *call = call_of(session, frame->hd.stream_id);

    if (frame->hd.type == NGHTTP2_GOAWAY && n->stage == WEFT_H2_READY)
        n->stage = WEFT_H2_DRAINING;
    if (!call || !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
        return 0;
    call->answered = n->answered_once = true;
    if (body_left(call) > 0) /* an answer before we were through: the rest of the body interests nobody */
        (void)nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id, NGHTTP2_CANCEL);
    return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t stream, uint32_t code, void *ctx)
{
    struct weft_h2_call *call = call_of(session, stream);
    (void)ctx;

    if (!call)
        return 0;
    call->connection = NULL;
    call->stream = 0;
    if (call->answered)
        weft_h2_call_end(call, 0, NULL);
    else if (code == NGHTTP2_REFUSED_STREAM)
        weft_h2_call_again(call, UV_ECONNRESET, "the server refused the stream");
    else
        weft_h2_call_end(call, UV_ECONNRESET, nghttp2_http2_strerror(code));
    return 0;
}

int weft_h2_session_open(struct weft_h2_connection *n)
{
    const nghttp2_settings_entry settings[] = { { NGHTTP2_SETTINGS_ENABLE_PUSH, 0 } };
    nghttp2_session_callbacks *cb;

    if (nghttp2_session_callbacks_new(&cb))
        return UV_ENOMEM;
    nghttp2_session_callbacks_set_send_data_callback(cb, on_send_data);
    nghttp2_session_callbacks_set_data_source_read_length_callback(cb, on_frame_size);
    nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_stream_close);
    int err = nghttp2_session_client_new(&n->session, cb, n);
    nghttp2_session_callbacks_del(cb);
    if (err || nghttp2_submit_settings(n->session, NGHTTP2_FLAG_NONE, settings, 1))
        return UV_ENOMEM;
    return 0;
}

/* ---- bytes ---- */
bool weft_h2_session_output(struct weft_h2_connection *n)
{
    const uint8_t *data;
    ssize_t len = 0;

    while (n->out.len - n->out_at < WEFT_H2_OUT_MAX && (len = nghttp2_session_mem_send(n->session, &data)) > 0)
        weft_buf_append(&n->out, data, (size_t)len);
    return len >= 0 && !n->out.err;
}

bool weft_h2_session_input(struct weft_h2_connection *n, struct weft_slice bytes)
{
    return nghttp2_session_mem_recv(n->session, bytes.data, bytes.len) == (ssize_t)bytes.len;
}

/* ---- streams ---- */
void weft_h2_connection_submit(struct weft_h2_connection *n, struct weft_h2_call *call)
{
    const nghttp2_data_provider body = { .read_callback = on_produce };

    call->connection = n;
    if (n->stage != WEFT_H2_READY)
        return;
    call->stream = nghttp2_submit_request(n->session, NULL, call->nv, call->n_nv,
                                          call->what.n_body > 0 ? &body : NULL, call);
    if (call->stream >= 0)
        return;
    const bool used_up = call->stream == NGHTTP2_ERR_STREAM_ID_NOT_AVAILABLE;
    call->stream = 0;
    call->connection = NULL;
    if (!used_up) {
        weft_h2_call_end(call, UV_ENOMEM, "cannot open a stream");
        return;
    }
    (void)nghttp2_submit_goaway(n->session, NGHTTP2_FLAG_NONE, 0, NGHTTP2_NO_ERROR, NULL, 0);
    n->stage = WEFT_H2_DRAINING;
    weft_h2_call_again(call, UV_ECONNRESET, "the connection has no streams left");
}

void weft_h2_connection_cancel(struct weft_h2_connection *n, struct weft_h2_call *call)
{
    if (call->stream && n->session) {
        (void)nghttp2_session_set_stream_user_data(n->session, call->stream, NULL);
        (void)nghttp2_submit_rst_stream(n->session, NGHTTP2_FLAG_NONE, call->stream, NGHTTP2_CANCEL);
    }
    call->connection = NULL;
    call->stream = 0;
}

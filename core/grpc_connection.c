/* SPDX-License-Identifier: Apache-2.0 */
/* grpc_connection.c: see grpc_connection.h. nghttp2 parses and writes frames; here is what the frames mean for
 * calls, and every limit. Flow control is nghttp2's own: bytes count as consumed when they are in a message block, and
 * those are bounded by the ledger, so windows need not be held back to bound memory. */
#include "core/grpc_connection.h"

#include "core/err.h"
#include "core/grpc_answer.h"
#include "core/grpc_stream.h"

#include <assert.h>
#include <string.h>
#include <uv.h>

enum {
    STREAM_WINDOW = 1 << 20,
    CONNECTION_WINDOW = 16 << 20,
    FRAME_SIZE = 256 * 1024,
    CONTROL_FRAME_SIZE = 16 * 1024,   /* of frames that nghttp2 keeps whole */
    BLOCK_BYTES = 128 * 1024,         /* raw bytes of one header block */
    RESETS_PER_SECOND = 500,
    CONTROLS_PER_SECOND = 2000,       /* between two calls */
    DRAIN_GRACE_MS = 1000,            /* for the PING that follows the first GOAWAY */
};

static const char PREFACE[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
static const uint8_t DRAIN_PING[8] = { 'd', 'r', 'a', 'i', 'n' };
static const char HTTP1_ANSWER[] =
    "HTTP/1.1 505 HTTP Version Not Supported\r\nContent-Type: text/plain; charset=utf-8\r\n"
    "Connection: close\r\n\r\nThis port speaks OTLP over gRPC (HTTP/2). OTLP over HTTP has a port of its own.\n";

/* ---- state ---- */

static void enter(struct weft_grpc_connection *c, enum weft_grpc_connection_state state)
{
    c->state = state;
    c->state_since_ms = c->now_ms;
}

/* Ends the connection with a GOAWAY; open streams are lost. */
static void terminate(struct weft_grpc_connection *c, uint32_t code)
{
    if (c->session)
        (void)nghttp2_session_terminate_session(c->session, code);
    enter(c, WEFT_GRPC_DONE);
}

static void calm_down(struct weft_grpc_connection *c)
{
    if (c->state == WEFT_GRPC_DONE)
        return;
    c->service->stats.floods++;
    terminate(c, NGHTTP2_ENHANCE_YOUR_CALM);
}

static void roll_second(struct weft_grpc_connection *c)
{
    if (c->now_ms - c->second_ms < 1000)
        return;
    c->second_ms = c->now_ms;
    c->resets = 0;
    c->controls = 0;
}

/* ---- streams ---- */

static void add_stream(struct weft_grpc_connection *c, struct weft_grpc_stream *s)
{
    s->connection = c;
    s->next = c->streams;
    if (c->streams)
        c->streams->prev = s;
    c->streams = s;
    c->n_streams++;
}

/* Its handler shall not answer it any more. */
static void take_waiter(struct weft_grpc_connection *c, struct weft_grpc_stream *s)
{
    void *waiter = s->waiter;

    s->waiter = NULL;
    if (waiter)
        c->service->handlers.on_gone(c->service->handlers.ctx, waiter);
}

static void drop_stream(struct weft_grpc_connection *c, struct weft_grpc_stream *s)
{
    take_waiter(c, s);
    if (s->prev)
        s->prev->next = s->next;
    else
        c->streams = s->next;
    if (s->next)
        s->next->prev = s->prev;
    c->n_streams--;
    c->held -= s->frame.block.cap;
    if (c->n_streams == 0)
        c->idle_since_ms = c->now_ms;
    weft_grpc_stream_free(s, &c->service->pool);
}

static void release_message(struct weft_grpc_connection *c, struct weft_grpc_stream *s)
{
    c->held -= s->frame.block.cap;
    weft_grpc_frame_release(&s->frame, &c->service->pool);
}

/* The message's memory goes back as soon as the answer is known; the stream waits for its reply to go out. */
static int answered(struct weft_grpc_connection *c, struct weft_grpc_stream *s, int submitted)
{
    release_message(c, s);
    s->state = WEFT_GRPC_ANSWERED;
    s->deadline_ms = c->now_ms + c->service->limits.request_timeout_ms;
    return submitted == 0 ? 0 : NGHTTP2_ERR_CALLBACK_FAILURE;
}

static int refuse(struct weft_grpc_connection *c, struct weft_grpc_stream *s, int err, const char *words)
{
    struct weft_grpc_answer answer;

    weft_grpc_service_refuse(c->service, s->method, err, words, &answer);
    return answered(c, s, weft_grpc_answer_call(c->session, c->service, s, &answer));
}

static int refuse_http(struct weft_grpc_connection *c, struct weft_grpc_stream *s, const char *status)
{
    struct weft_grpc_answer unused;

    weft_grpc_service_refuse(c->service, s->method, WEFT_ERR_UNSUPPORTED, "not a gRPC request", &unused);
    return answered(c, s, weft_grpc_answer_http(c->session, s, status));
}

static int refuse_encoding(struct weft_grpc_connection *c, struct weft_grpc_stream *s)
{
    struct weft_grpc_answer answer;

    weft_grpc_service_refuse(c->service, s->method, WEFT_ERR_UNSUPPORTED,
                             "grpc-encoding: only gzip and identity are supported", &answer);
    return answered(c, s, weft_grpc_answer_encoding(c->session, c->service, s, &answer));
}

/* GET / and what people and checkers do with it. */
static bool is_root(const struct weft_grpc_stream *s)
{
    return s->method == WEFT_GRPC_METHOD_ROOT && !s->grpc && (s->get || s->head || s->post);
}

/* All headers are in. Answers at once what no message could change. */
static int judge_headers(struct weft_grpc_connection *c, struct weft_grpc_stream *s)
{
    s->state = WEFT_GRPC_MESSAGE;
    if (s->header_bytes > WEFT_GRPC_HEADER_LIST)
        return refuse_http(c, s, "431");
    if (is_root(s))
        return 0;
    if (!s->post)
        return refuse_http(c, s, s->method == WEFT_GRPC_METHOD_UNKNOWN ? "404" : "405");
    if (!s->grpc)
        return refuse_http(c, s, "415");
    if (s->method == WEFT_GRPC_METHOD_UNKNOWN || s->method == WEFT_GRPC_METHOD_ROOT)
        return refuse(c, s, WEFT_ERR_UNSUPPORTED, "unknown service or method");
    if (s->unknown_encoding)
        return refuse_encoding(c, s);
    if (s->bad_timeout)
        return refuse(c, s, WEFT_ERR_MALFORMED, "malformed grpc-timeout");
    if (s->has_timeout && s->timeout_ms < c->service->limits.request_timeout_ms)
        s->deadline_ms = c->now_ms + s->timeout_ms;
    return 0;
}

static const char *frame_words(int err)
{
    switch (err) {
    case WEFT_ERR_TOO_LARGE:
        return "the message is larger than the limit allows";
    case WEFT_ERR_LIMIT:
        return "too many bytes of messages are in flight";
    case WEFT_ERR_MALFORMED:
        return "not one length-prefixed message";
    default:
        return "out of memory";
    }
}

static int take_data(struct weft_grpc_connection *c, struct weft_grpc_stream *s, struct weft_slice chunk, bool last)
{
    struct weft_grpc_service *service = c->service;
    struct weft_grpc_pool *pool = &service->pool;
    const size_t max = (size_t)service->limits.max_message_size, had = s->frame.block.cap;
    int err;

    if (s->state != WEFT_GRPC_MESSAGE || is_root(s))
        return 0;
    if (last && chunk.len == c->frame_len)
        err = weft_grpc_frame_take_all(&s->frame, pool, max, chunk);
    else
        err = weft_grpc_frame_take(&s->frame, pool, max, chunk);
    c->held = c->held - had + s->frame.block.cap;
    if (!err && c->held > max && c->held > pool->limit / 2)
        err = WEFT_ERR_LIMIT;
    return err ? refuse(c, s, err, frame_words(err)) : 0;
}

/* The handler has what it wanted of the message. */
static int wait_for_answer(struct weft_grpc_connection *c, struct weft_grpc_stream *s, void *waiter)
{
    assert(c->service->handlers.on_gone);
    release_message(c, s);
    s->waiter = waiter;
    s->state = WEFT_GRPC_WAITING;
    return 0;
}

/* The client has said everything. */
static int finish_request(struct weft_grpc_connection *c, struct weft_grpc_stream *s)
{
    struct weft_grpc_answer answer;

    if (s->state != WEFT_GRPC_MESSAGE)
        return 0;
    if (is_root(s))
        return answered(c, s, weft_grpc_answer_root(c->session, s));
    if (!weft_grpc_frame_whole(&s->frame))
        return refuse(c, s, WEFT_ERR_MALFORMED, "the request ended before its message was whole");
    if (weft_grpc_frame_compressed(&s->frame) && !s->gzip)
        return refuse(c, s, WEFT_ERR_MALFORMED, "a compressed message without grpc-encoding");
    if (c->now_ms >= s->deadline_ms)
        return refuse(c, s, WEFT_ERR_TIMEOUT, "the deadline has passed");
    c->controls = 0;
    struct weft_grpc_call call = { s->method, weft_grpc_frame_message(&s->frame), s };
    weft_grpc_service_call(c->service, &call, weft_grpc_frame_compressed(&s->frame), &answer);
    if (answer.waiter)
        return wait_for_answer(c, s, answer.waiter);
    return answered(c, s, weft_grpc_answer_call(c->session, c->service, s, &answer));
}

/* ---- what nghttp2 calls ---- */

static struct weft_grpc_stream *stream_of(nghttp2_session *session, int32_t id)
{
    return nghttp2_session_get_stream_user_data(session, id);
}

/* nghttp2 does not remember closed streams here (that would cost 66 KB a busy connection) and ignores what comes for
 * them. That is right while our own reset may not have arrived yet; on streams that the client itself ended it is an
 * error (RFC 9113, 5.1). Streams up to early_id may have been reset by us. */
static void judge_closed_stream(struct weft_grpc_connection *c, const nghttp2_frame_hd *hd)
{
    if ((hd->type != NGHTTP2_DATA && hd->type != NGHTTP2_HEADERS) || hd->stream_id <= c->early_id ||
        hd->stream_id > c->last_id || hd->stream_id % 2 == 0 || nghttp2_session_find_stream(c->session, hd->stream_id))
        return;
    c->service->stats.protocol_errors++;
    terminate(c, hd->type == NGHTTP2_HEADERS && hd->stream_id < c->last_id ? NGHTTP2_PROTOCOL_ERROR
                                                                           : NGHTTP2_STREAM_CLOSED);
}

static void note_reset_by_us(struct weft_grpc_connection *c, int32_t stream_id)
{
    if (stream_id > c->early_id)
        c->early_id = stream_id;
}

/* nghttp2 would keep some other frames whole (the debug data of GOAWAY), so those may not be large. */
static int on_begin_frame(nghttp2_session *session, const nghttp2_frame_hd *hd, void *user_data)
{
    struct weft_grpc_connection *c = user_data;
    (void)session;

    c->frame_len = hd->length;
    judge_closed_stream(c, hd);
    if (hd->type != NGHTTP2_DATA && hd->type != NGHTTP2_HEADERS && hd->length > CONTROL_FRAME_SIZE)
        calm_down(c);
    return 0;
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *user_data)
{
    struct weft_grpc_connection *c = user_data;

    c->in_block = true;
    c->n_blocks++;
    c->block_bytes = 0;
    if (frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0;

    /* The last GOAWAY names the calls that were taken. It may still be on its way out, and a client that reads it sends
     * this one again elsewhere: taking it too would make two of it. */
    if (c->last_goaway) {
        note_reset_by_us(c, frame->hd.stream_id);
        return nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id, NGHTTP2_REFUSED_STREAM);
    }
    if (!weft_grpc_memory_room(&c->service->memory)) {
        c->service->stats.no_room++;
        note_reset_by_us(c, frame->hd.stream_id);
        return nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id, NGHTTP2_REFUSED_STREAM);
    }
    struct weft_grpc_stream *s =
        weft_grpc_stream_new(frame->hd.stream_id, c->now_ms + c->service->limits.request_timeout_ms);
    if (!s)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    add_stream(c, s);
    c->last_id = frame->hd.stream_id;
    (void)nghttp2_session_set_stream_user_data(session, frame->hd.stream_id, s);
    return 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name, size_t namelen,
                     const uint8_t *value, size_t valuelen, uint8_t flags, void *user_data)
{
    struct weft_grpc_connection *c = user_data;
    struct weft_grpc_stream *s = stream_of(session, frame->hd.stream_id);
    (void)flags;

    if (s && s->state == WEFT_GRPC_HEADERS)
        weft_grpc_stream_header(s, c->service, weft_slice_of(name, namelen), weft_slice_of(value, valuelen));
    return 0;
}

static int on_data_chunk(nghttp2_session *session, uint8_t flags, int32_t stream_id, const uint8_t *data, size_t len,
                         void *user_data)
{
    struct weft_grpc_stream *s = stream_of(session, stream_id);

    return s ? take_data(user_data, s, weft_slice_of(data, len), flags & NGHTTP2_FLAG_END_STREAM) : 0;
}

static int on_headers_frame(struct weft_grpc_connection *c, const nghttp2_frame *frame)
{
    struct weft_grpc_stream *s = stream_of(c->session, frame->hd.stream_id);
    int err = 0;

    c->in_block = false;
    if (!s)
        return 0;
    if (s->state == WEFT_GRPC_HEADERS)
        err = judge_headers(c, s);
    if (!err && frame->hd.flags & NGHTTP2_FLAG_END_STREAM)
        err = finish_request(c, s);
    return err;
}

static int on_data_frame(struct weft_grpc_connection *c, const nghttp2_frame *frame)
{
    struct weft_grpc_stream *s = stream_of(c->session, frame->hd.stream_id);

    if (frame->hd.length == 0 && !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
        c->controls++;
    return s && frame->hd.flags & NGHTTP2_FLAG_END_STREAM ? finish_request(c, s) : 0;
}

/* The client has seen the first GOAWAY and what it had sent by then is in: now the last stream is known. */
static void send_last_goaway(struct weft_grpc_connection *c)
{
    if (c->last_goaway)
        return;
    c->last_goaway = true;
    (void)nghttp2_submit_goaway(c->session, NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(c->session),
                                NGHTTP2_NO_ERROR, NULL, 0);
}

static void on_ping_ack(struct weft_grpc_connection *c, const nghttp2_ping *ping)
{
    c->pinged_ms = 0;
    if (c->state == WEFT_GRPC_DRAINING && memcmp(ping->opaque_data, DRAIN_PING, sizeof DRAIN_PING) == 0)
        send_last_goaway(c);
}

static void on_control_frame(struct weft_grpc_connection *c, const nghttp2_frame *frame)
{
    const bool ack = frame->hd.flags & NGHTTP2_FLAG_ACK;

    c->controls++;
    if (frame->hd.type == NGHTTP2_SETTINGS && ack)
        c->settings_acked = true;
    if (frame->hd.type == NGHTTP2_PING && ack)
        on_ping_ack(c, &frame->ping);
    if (frame->hd.type == NGHTTP2_RST_STREAM)
        c->resets++;
}

static void judge_rates(struct weft_grpc_connection *c)
{
    if (c->resets > RESETS_PER_SECOND || c->controls > CONTROLS_PER_SECOND)
        calm_down(c);
}

static int on_frame_recv(nghttp2_session *session, const nghttp2_frame *frame, void *user_data)
{
    struct weft_grpc_connection *c = user_data;
    int err = 0;
    (void)session;

    if (frame->hd.type == NGHTTP2_DATA)
        err = on_data_frame(c, frame);
    else if (frame->hd.type == NGHTTP2_HEADERS)
        err = on_headers_frame(c, frame);
    else if (frame->hd.type != NGHTTP2_WINDOW_UPDATE)
        on_control_frame(c, frame);
    judge_rates(c);
    return err;
}

/* The answer is out, but the client has not finished: tell it that nobody listens (RFC 9113, 8.1). */
static int on_frame_send(nghttp2_session *session, const nghttp2_frame *frame, void *user_data)
{
    const int32_t id = frame->hd.stream_id;

    if (frame->hd.type == NGHTTP2_RST_STREAM)
        note_reset_by_us(user_data, id);
    if ((frame->hd.type == NGHTTP2_DATA || frame->hd.type == NGHTTP2_HEADERS) &&
        frame->hd.flags & NGHTTP2_FLAG_END_STREAM && nghttp2_session_get_stream_remote_close(session, id) == 0)
        return nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, id, NGHTTP2_NO_ERROR);
    return 0;
}

static int on_invalid_frame(nghttp2_session *session, const nghttp2_frame *frame, int error, void *user_data)
{
    struct weft_grpc_connection *c = user_data;
    (void)session;
    (void)error;

    c->service->stats.protocol_errors++;
    c->controls++;
    note_reset_by_us(c, frame->hd.stream_id);
    judge_rates(c);
    return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t stream_id, uint32_t error_code, void *user_data)
{
    struct weft_grpc_connection *c = user_data;
    struct weft_grpc_stream *s = stream_of(session, stream_id);

    if (error_code != NGHTTP2_NO_ERROR)
        c->service->stats.resets++;
    if (s)
        drop_stream(c, s);
    return 0;
}

int weft_grpc_connection_callbacks(nghttp2_session_callbacks **ret_callbacks, nghttp2_option **ret_option)
{
    nghttp2_session_callbacks *cb;
    nghttp2_option *option;

    if (nghttp2_session_callbacks_new(&cb) != 0)
        return UV_ENOMEM;
    if (nghttp2_option_new(&option) != 0) {
        nghttp2_session_callbacks_del(cb);
        return UV_ENOMEM;
    }
    nghttp2_session_callbacks_set_on_begin_frame_callback(cb, on_begin_frame);
    nghttp2_session_callbacks_set_on_begin_headers_callback(cb, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data_chunk);
    nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame_recv);
    nghttp2_session_callbacks_set_on_frame_send_callback(cb, on_frame_send);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(cb, on_invalid_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_stream_close);
    nghttp2_option_set_no_recv_client_magic(option, 1);
    nghttp2_option_set_no_closed_streams(option, 1);
    *ret_callbacks = cb;
    *ret_option = option;
    return 0;
}

/* ---- the connection ---- */

void weft_grpc_connection_init(struct weft_grpc_connection *c, struct weft_grpc_service *service, uint64_t now_ms)
{
    *c = (struct weft_grpc_connection){ .service = service, .now_ms = now_ms, .born_ms = now_ms };
    c->state_since_ms = c->idle_since_ms = c->heard_ms = c->second_ms = now_ms;
}

void weft_grpc_connection_release(struct weft_grpc_connection *c)
{
    /* nghttp2 does not call on_stream_close for what it still has. */
    while (c->streams)
        drop_stream(c, c->streams);
    nghttp2_session_del(c->session);
    c->session = NULL;
    c->state = WEFT_GRPC_DONE;
}

static int open_session(struct weft_grpc_connection *c)
{
    const nghttp2_settings_entry settings[] = {
        { NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, c->service->limits.max_concurrent_streams },
        { NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, STREAM_WINDOW },
        { NGHTTP2_SETTINGS_MAX_FRAME_SIZE, FRAME_SIZE },
        { NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, WEFT_GRPC_HEADER_LIST },
    };

    struct weft_grpc_service *s = c->service;
    int err = weft_grpc_memory_session(&s->memory, &c->session, s->callbacks, s->option, c);
    if (err) {
        s->stats.no_room++;
        return err;
    }
    if (nghttp2_submit_settings(c->session, NGHTTP2_FLAG_NONE, settings, sizeof settings / sizeof *settings) != 0 ||
        nghttp2_session_set_local_window_size(c->session, NGHTTP2_FLAG_NONE, 0, CONNECTION_WINDOW) != 0)
        return UV_ENOMEM;
    enter(c, WEFT_GRPC_OPEN);
    return 0;
}

/* `rest` begins with the first byte that is not the preface's. Somebody with an HTTP/1 client deserves words. */
static bool is_http1(const struct weft_grpc_connection *c, struct weft_slice rest)
{
    static const char *const methods[] = { "GET ", "HEAD ", "POST ", "PUT ", "PATCH ", "DELETE ", "OPTIONS ", "CONNECT " };

    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        const size_t whole = strlen(methods[i]), len = c->preface_seen < whole ? whole - c->preface_seen : 0;
        if (len > 0 && rest.len >= len && memcmp(methods[i], PREFACE, c->preface_seen) == 0 &&
            memcmp(rest.data, methods[i] + c->preface_seen, len) == 0)
            return true;
    }
    return false;
}

static void not_http2(struct weft_grpc_connection *c, struct weft_slice rest)
{
    c->http1_answer = is_http1(c, rest);
    c->service->stats.protocol_errors++;
    enter(c, WEFT_GRPC_DONE);
}

static struct weft_slice take_preface(struct weft_grpc_connection *c, struct weft_slice bytes)
{
    while (bytes.len > 0 && c->preface_seen < sizeof PREFACE - 1) {
        if (*bytes.data != (uint8_t)PREFACE[c->preface_seen]) {
            not_http2(c, bytes);
            return weft_slice_of(NULL, 0);
        }
        c->preface_seen++;
        bytes = weft_slice_from(bytes, 1);
    }
    if (c->preface_seen == sizeof PREFACE - 1 && open_session(c) < 0) {
        enter(c, WEFT_GRPC_DONE);
        return weft_slice_of(NULL, 0);
    }
    return bytes;
}

static void done_when_over(struct weft_grpc_connection *c)
{
    if (c->session && !nghttp2_session_want_read(c->session) && !nghttp2_session_want_write(c->session))
        enter(c, WEFT_GRPC_DONE);
}

/* A header block that was open before these bytes and still is: it grows without end, or nearly. */
static void note_block_bytes(struct weft_grpc_connection *c, unsigned block, size_t len)
{
    if (!c->in_block || c->n_blocks != block)
        return;
    c->block_bytes += len;
    if (c->block_bytes > BLOCK_BYTES)
        calm_down(c);
}

void weft_grpc_connection_input(struct weft_grpc_connection *c, struct weft_slice bytes, uint64_t now_ms)
{
    c->now_ms = c->heard_ms = now_ms;
    roll_second(c);
    if (c->state == WEFT_GRPC_PREFACE)
        bytes = take_preface(c, bytes);
    if (c->state == WEFT_GRPC_DONE || bytes.len == 0)
        return;

    const unsigned block = c->n_blocks;
    if (nghttp2_session_mem_recv(c->session, bytes.data, bytes.len) < 0) {
        /* Protocol errors do not come here: nghttp2 answers them with a GOAWAY. After this the session is unusable. */
        c->service->stats.protocol_errors++;
        weft_grpc_connection_release(c);
        return;
    }
    note_block_bytes(c, block, bytes.len);
    done_when_over(c);
}

void weft_grpc_connection_output(struct weft_grpc_connection *c, struct weft_buf *out, size_t enough)
{
    const uint8_t *data;
    ssize_t n = 0;

    if (c->http1_answer) {
        weft_buf_append(out, HTTP1_ANSWER, sizeof HTTP1_ANSWER - 1);
        c->http1_answer = false;
    }
    while (c->session && out->len < enough && (n = nghttp2_session_mem_send(c->session, &data)) > 0)
        weft_buf_append(out, data, (size_t)n);
    if (n < 0 || out->err)
        enter(c, WEFT_GRPC_DONE);
    done_when_over(c);
}

/* ---- answers from outside ---- */

void weft_grpc_connection_answer(void *handle, const struct weft_grpc_answer *answer)
{
    struct weft_grpc_stream *s = handle;
    struct weft_grpc_connection *c = s->connection;

    s->waiter = NULL;
    if (answered(c, s, weft_grpc_answer_call(c->session, c->service, s, answer)))
        enter(c, WEFT_GRPC_DONE); /* no memory for it: the client sees the connection close */
    if (c->on_output)
        c->on_output(c->owner);
}

unsigned weft_grpc_connection_in_hand(const struct weft_grpc_connection *c)
{
    return c->state == WEFT_GRPC_DONE ? 0 : c->n_streams;
}

/* ---- deadlines ---- */

static void ping(struct weft_grpc_connection *c, const uint8_t *data)
{
    (void)nghttp2_submit_ping(c->session, NGHTTP2_FLAG_NONE, data);
}

void weft_grpc_connection_quiesce(struct weft_grpc_connection *c, uint64_t now_ms)
{
    c->now_ms = now_ms;
    if (c->state == WEFT_GRPC_PREFACE)
        enter(c, WEFT_GRPC_DONE);
    if (c->state != WEFT_GRPC_OPEN)
        return;
    (void)nghttp2_submit_shutdown_notice(c->session);
    ping(c, DRAIN_PING);
    enter(c, WEFT_GRPC_DRAINING);
}

/* True while the stream is in good time. */
static bool tick_stream(struct weft_grpc_connection *c, struct weft_grpc_stream *s)
{
    static const struct weft_grpc_answer too_late = { WEFT_GRPC_UNAVAILABLE, .message = "the answer took too long" };

    if (c->now_ms < s->deadline_ms)
        return true;
    switch (s->state) {
    case WEFT_GRPC_HEADERS:
        return false; /* its header block blocks the whole connection */
    case WEFT_GRPC_MESSAGE:
        return refuse(c, s, WEFT_ERR_TIMEOUT, "the request was not whole in time") == 0;
    case WEFT_GRPC_WAITING:
        take_waiter(c, s);
        return answered(c, s, weft_grpc_answer_call(c->session, c->service, s, &too_late)) == 0;
    case WEFT_GRPC_ANSWERED:
        s->deadline_ms = c->now_ms + c->service->limits.request_timeout_ms;
        return nghttp2_submit_rst_stream(c->session, NGHTTP2_FLAG_NONE, s->id, NGHTTP2_CANCEL) == 0;
    }
    return true;
}

static void tick_streams(struct weft_grpc_connection *c)
{
    for (struct weft_grpc_stream *s = c->streams, *next; s; s = next) {
        next = s->next;
        if (!tick_stream(c, s)) {
            calm_down(c);
            return;
        }
    }
}

static void tick_keepalive(struct weft_grpc_connection *c)
{
    static const uint8_t alive[8] = { 'a', 'l', 'i', 'v', 'e' };
    const struct weft_grpc_limits *l = &c->service->limits;

    if (l->keepalive_ms == 0)
        return;
    if (c->pinged_ms != 0 && c->now_ms - c->pinged_ms >= l->keepalive_timeout_ms) {
        enter(c, WEFT_GRPC_DONE);
    } else if (c->pinged_ms == 0 && c->now_ms - c->heard_ms >= l->keepalive_ms) {
        ping(c, alive);
        c->pinged_ms = c->now_ms;
    }
}

static void tick_open(struct weft_grpc_connection *c)
{
    const struct weft_grpc_limits *l = &c->service->limits;

    if (!c->settings_acked && c->now_ms - c->state_since_ms >= l->handshake_timeout_ms) {
        terminate(c, NGHTTP2_SETTINGS_TIMEOUT);
    } else if (l->max_age_ms && c->now_ms - c->born_ms >= l->max_age_ms) {
        c->aged = true;
        weft_grpc_connection_quiesce(c, c->now_ms);
    } else if (l->max_idle_ms && c->n_streams == 0 && c->now_ms - c->idle_since_ms >= l->max_idle_ms) {
        weft_grpc_connection_quiesce(c, c->now_ms);
    }
}

static void tick_draining(struct weft_grpc_connection *c)
{
    const struct weft_grpc_limits *l = &c->service->limits;
    const uint64_t waited = c->now_ms - c->state_since_ms;

    if (waited >= DRAIN_GRACE_MS)
        send_last_goaway(c);
    if (c->aged && l->max_age_grace_ms && waited >= l->max_age_grace_ms)
        terminate(c, NGHTTP2_NO_ERROR);
}

void weft_grpc_connection_tick(struct weft_grpc_connection *c, uint64_t now_ms)
{
    c->now_ms = now_ms;
    if (c->state == WEFT_GRPC_PREFACE && now_ms - c->born_ms >= c->service->limits.handshake_timeout_ms)
        enter(c, WEFT_GRPC_DONE);
    if (c->state == WEFT_GRPC_OPEN)
        tick_open(c);
    if (c->state == WEFT_GRPC_DRAINING)
        tick_draining(c);
    if (c->state == WEFT_GRPC_OPEN || c->state == WEFT_GRPC_DRAINING) {
        tick_streams(c);
        tick_keepalive(c);
    }
}

/* SPDX-License-Identifier: Apache-2.0 */
/* grpc_service.c: see grpc_service.h. The nghttp2 callbacks are set up by grpc_connection.c, which owns them. */
#include "core/grpc_service.h"

#include "core/err.h"
#include "core/grpc_connection.h"
#include "core/gzip.h"
#include "core/wire.h"

#include <uv.h>

enum {
    DEFAULT_STREAMS = 256,
    DEFAULT_TIMEOUT_MS = 60000,
    DEFAULT_HANDSHAKE_MS = 10000,
    DEFAULT_KEEPALIVE_TIMEOUT_MS = 20000,
    KEEP_BYTES = 512 * 1024,      /* of spare blocks */
    KEEP_PLAIN = 256 * 1024,      /* of the decompression buffer, once it is idle */
    TEXT_LIMIT = 16 * 1024,
    HEALTH_SERVING = 1,           /* grpc.health.v1.HealthCheckResponse.ServingStatus */
    HEALTH_NOT_SERVING = 2,
};

static void set_defaults(struct weft_grpc_limits *l)
{
    if (l->max_concurrent_streams == 0)
        l->max_concurrent_streams = DEFAULT_STREAMS;
    if (l->request_timeout_ms == 0)
        l->request_timeout_ms = DEFAULT_TIMEOUT_MS;
    if (l->handshake_timeout_ms == 0)
        l->handshake_timeout_ms = DEFAULT_HANDSHAKE_MS;
    if (l->keepalive_timeout_ms == 0)
        l->keepalive_timeout_ms = DEFAULT_KEEPALIVE_TIMEOUT_MS;
}

int weft_grpc_service_init(struct weft_grpc_service *s, const struct weft_grpc_handlers *handlers,
                           const struct weft_grpc_limits *limits)
{
    *s = (struct weft_grpc_service){ .handlers = *handlers, .limits = *limits };
    set_defaults(&s->limits);
    weft_grpc_pool_init(&s->pool, limits->max_inflight, KEEP_BYTES);
    s->pool.account = limits->account;
    weft_buf_init(&s->plain, (size_t)limits->max_message_size);
    s->plain.account = limits->account;
    weft_buf_init(&s->text, TEXT_LIMIT);

    int err = weft_grpc_memory_init(&s->memory, limits->max_session_bytes, limits->account);
    if (!err)
        err = weft_grpc_connection_callbacks(&s->callbacks, &s->option);
    if (err)
        weft_grpc_service_release(s);
    return err;
}

void weft_grpc_service_release(struct weft_grpc_service *s)
{
    weft_grpc_pool_release(&s->pool);
    weft_grpc_memory_release(&s->memory);
    weft_gunzip_free(s->gunzip);
    weft_buf_release(&s->plain);
    weft_buf_release(&s->text);
    nghttp2_session_callbacks_del(s->callbacks);
    nghttp2_option_del(s->option);
    *s = (struct weft_grpc_service){ 0 };
}

void weft_grpc_service_trim(struct weft_grpc_service *s)
{
    weft_grpc_pool_trim(&s->pool);
    weft_buf_release(&s->plain);
}

int weft_grpc_service_method(const struct weft_grpc_service *s, struct weft_slice path)
{
    for (int i = 0; s->handlers.methods[i]; i++)
        if (weft_slice_is(path, s->handlers.methods[i]))
            return i;
    if (weft_slice_is(path, "/grpc.health.v1.Health/Check"))
        return WEFT_GRPC_METHOD_HEALTH;
    return weft_slice_is(path, "/") ? WEFT_GRPC_METHOD_ROOT : WEFT_GRPC_METHOD_UNKNOWN;
}

/* ---- health ---- */

/* "/package.Service/Method" belongs to the service `name`; the empty name is the server as a whole. */
static bool serves(const struct weft_grpc_service *s, struct weft_slice name)
{
    if (name.len == 0 || weft_slice_is(name, "grpc.health.v1.Health"))
        return true;
    for (int i = 0; s->handlers.methods[i]; i++) {
        const char *service = s->handlers.methods[i] + 1;
        if (weft_slice_equal(name, weft_slice_of(service, strcspn(service, "/"))))
            return true;
    }
    return false;
}

static int read_health_request(struct weft_slice message, struct weft_slice *ret_name)
{
    struct weft_slice name = { 0 };
    struct weft_field field;
    int more;

    while ((more = weft_wire_next(&message, &field)) > 0)
        if (field.number == 1 && field.type == WEFT_LENGTH)
            name = field.bytes;
    if (more == 0)
        *ret_name = name;
    return more;
}

static void check_health(struct weft_grpc_service *s, struct weft_slice message, struct weft_grpc_answer *ret_answer)
{
    static const uint8_t serving[] = { 1 << 3, HEALTH_SERVING }, not_serving[] = { 1 << 3, HEALTH_NOT_SERVING };
    struct weft_slice name;

    if (read_health_request(message, &name) < 0) {
        *ret_answer = (struct weft_grpc_answer){ WEFT_GRPC_INVALID_ARGUMENT, .message = "malformed HealthCheckRequest" };
    } else if (!serves(s, name)) {
        *ret_answer = (struct weft_grpc_answer){ WEFT_GRPC_NOT_FOUND, .message = "unknown service" };
    } else {
        *ret_answer = (struct weft_grpc_answer){
            .body = s->draining ? weft_slice_of(not_serving, sizeof not_serving) : weft_slice_of(serving, sizeof serving),
        };
    }
}

/* ---- calls ---- */

static int decompress(struct weft_grpc_service *s, struct weft_slice *message)
{
    int err = s->gunzip ? 0 : weft_gunzip_new(&s->gunzip);

    if (err)
        return err;
    if (s->plain.cap > KEEP_PLAIN)
        weft_buf_release(&s->plain);
    weft_buf_reset(&s->plain);
    err = weft_gunzip_run(s->gunzip, *message, &s->plain);
    if (!err)
        *message = weft_buf_slice(&s->plain);
    return err;
}

static const char *gzip_words(int err)
{
    switch (err) {
    case WEFT_ERR_TOO_LARGE:
        return "the decompressed message is larger than the limit allows";
    case UV_ENOMEM:
        return "out of memory";
    default:
        return "the message is not valid gzip";
    }
}

void weft_grpc_service_call(struct weft_grpc_service *s, const struct weft_grpc_call *received, bool compressed,
                            struct weft_grpc_answer *ret_answer)
{
    struct weft_grpc_call call = *received;
    int err = compressed ? decompress(s, &call.message) : 0;

    if (err) {
        weft_grpc_service_refuse(s, call.method, err, gzip_words(err), ret_answer);
        return;
    }
    s->stats.calls++;
    if (call.method == WEFT_GRPC_METHOD_HEALTH) {
        check_health(s, call.message, ret_answer);
        return;
    }

    struct weft_grpc_answer answer = { 0 };
    s->handlers.on_call(s->handlers.ctx, &call, &answer);
    *ret_answer = answer;
}

void weft_grpc_service_refuse(struct weft_grpc_service *s, int method, int err, const char *words,
                              struct weft_grpc_answer *ret_answer)
{
    struct weft_grpc_call call = { .method = method < 0 ? WEFT_GRPC_METHOD_UNKNOWN : method };
    struct weft_grpc_answer answer = { weft_grpc_status_of(err), .message = words };

    s->stats.refused++;
    if (s->handlers.on_refusal && method != WEFT_GRPC_METHOD_HEALTH)
        s->handlers.on_refusal(s->handlers.ctx, &call, err, words, &answer);
    *ret_answer = answer;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* http_server.h: HTTP/1.1 serving inside a libuv loop; libmicrohttpd behind one seam.
 *
 * One server belongs to one loop and runs no thread of its own: libmicrohttpd's epoll descriptor sits in a
 * uv_poll_t, its timeout on a uv_timer_t. A request is handled to completion by one call, or by two: a handler that has to
 * wait for something (the disk) leaves a `waiter` instead of an answer, and gives the answer in on_answer once it has
 * called weft_http_server_resume. Until then the connection sleeps; nothing is read from it.
 *
 *   (1) A body is taken into one contiguous buffer, Content-Length bytes or chunks, never more than
 *       max_body_size (413) nor, over all connections of the server, more than max_inflight (503). The last quarter
 *       of max_inflight is for bodies of at most 64 KiB: a few large ones do not lock everybody else out.
 *   (2) A connection that is silent for idle_timeout is cut; a request must be whole, and its answer taken, within
 *       request_timeout.
 *   (3) At most max_connections at once. One more takes the place of the one that has waited longest for a
 *       request (first among those that never made one), for a second at least; when there is none it is closed at accept.
 *   (4) Each waiter is handed back exactly once, by on_answer or by on_gone, whatever becomes of its client. A body is not
 *       kept while its request waits, unless it is so small that it would be taken again at once.
 *   (5) What is too large is answered at once, while the peer still sends; what it goes on to send is thrown away.
 */
#ifndef WEFT_CORE_HTTP_SERVER_H
#define WEFT_CORE_HTTP_SERVER_H

#include "core/buf.h"
#include "core/slice.h"

#include <uv.h>

struct weft_http_server;

struct weft_http_request {
    const char *method, *path, *query; /* query: after '?', or ""; path is decoded, query is not */
    struct weft_slice body;            /* as received: not decompressed */
    void *connection;                  /* private: for weft_http_header */
    void *handle;                      /* for weft_http_server_resume; NULL before on_request */
};

/* What the handler answers. Filled with zeroes before the call. */
struct weft_http_response {
    unsigned status;
    const char *content_type;          /* static or living in the handler's ctx until the next call; NULL: none */
    struct weft_slice body;            /* copied unless body_free is set */
    void (*body_free)(void *);         /* when set, called with body.data once it has been sent */
    const char *headers[8][2];         /* further headers, name and value; copied; NULL name ends */
    void *waiter;                      /* from on_request alone: the answer comes later, nothing else is looked at */
};

/* Adds a further header to an answer, while there is room for one. */
static inline void weft_http_add_header(struct weft_http_response *response, const char *name, const char *value)
{
    for (size_t i = 0; i < sizeof response->headers / sizeof *response->headers; i++) {
        if (response->headers[i][0])
            continue;
        response->headers[i][0] = name;
        response->headers[i][1] = value;
        return;
    }
}

/* A request header's value, or NULL. Name of any case. Good during the call. */
const char *weft_http_header(const struct weft_http_request *request, const char *name);

struct weft_http_tls { const char *cert_file, *key_file, *client_ca_file; };

struct weft_http_server_options {
    const char *endpoint;              /* "127.0.0.1:4318", "[::1]:0", ":8080", "localhost:4318" */
    bool reuse_port;                   /* several loops share the port */
    uint64_t max_body_size;            /* bytes; never more than three quarters of max_inflight */
    uint64_t max_inflight;             /* bytes of bodies over all connections; 0: no limit of its own */
    unsigned max_connections;          /* 0: 256. Each costs up to 18 KiB while it is open (TLS: 40 KiB more) */
    struct weft_account *account;      /* bodies and connections take from it; refused ones are 503, or closed at accept. NULL: none */
    uint64_t idle_timeout_ms, request_timeout_ms; /* 0: 60 s, 30 s. The first counts in whole seconds */
    const struct weft_http_tls *tls;   /* NULL: cleartext */
    void *ctx;
    /* The request line and headers are in, the body is not. 0: go on. Else the status to refuse with (404, 405,
     * 411, 415, ...); the handler may fill `response` (a body the protocol wants). NULL: always go on. */
    unsigned (*on_headers)(void *ctx, const struct weft_http_request *request, struct weft_http_response *response);
    /* The request is whole. Must fill `response`. */
    void (*on_request)(void *ctx, const struct weft_http_request *request, struct weft_http_response *response);
    /* The answer to a request that waits: after weft_http_server_resume, or, with `late`, because request_timeout is over and
     * the handler must not wait any longer. The request's body is empty here. Must fill `response`; takes the waiter back. NULL:
     * no handler ever waits. */
    void (*on_answer)(void *ctx, const struct weft_http_request *request, void *waiter, bool late,
                      struct weft_http_response *response);
    /* Nobody will be answered any more: the connection broke, or the server is closed. Takes the waiter back. */
    void (*on_gone)(void *ctx, void *waiter);
    /* The server refused by itself (413; 503: max_inflight or out of memory; 408: request_timeout): may give the answer the
     * body its protocol wants. The request's body is empty here. NULL: plain. */
    void (*on_refusal)(void *ctx, const struct weft_http_request *request, unsigned status, struct weft_http_response *response);
};

/* Opens, binds and listens on `loop`. UV_EADDRINUSE and friends. The options are copied, strings are not.
 * `*ret_error`: static words on what failed ("cannot resolve", "cannot listen", "bad certificate"), may be NULL. */
int weft_http_server_open(struct weft_http_server **ret_server, uv_loop_t *loop,
                          const struct weft_http_server_options *options, const char **ret_error);

/* The port that was bound (when the endpoint said 0). */
int weft_http_server_port(const struct weft_http_server *s);

struct weft_http_server_stats {
    unsigned connections;      /* open now */
    uint64_t inflight_bytes;   /* held by bodies now */
    uint64_t evicted;          /* closed while waiting, to make room */
    uint64_t turned_away;      /* closed at accept */
    uint64_t timed_out;        /* cut by request_timeout */
};
void weft_http_server_stats(const struct weft_http_server *s, struct weft_http_server_stats *ret_stats);

/* Requests between the end of their headers and the end of their answer, now, without those whose client has gone. */
unsigned weft_http_server_in_hand(const struct weft_http_server *s);

/* Stops listening and closes connections that wait for a request; requests in hand may finish. */
void weft_http_server_quiesce(struct weft_http_server *s);

/* What the request `handle` waited for is there: on_answer is called for it soon. At most once each, and not after its waiter
 * has been taken back. Never from within one of the callbacks above. */
void weft_http_server_resume(struct weft_http_server *s, void *handle);

/* Closes everything (on_gone is called for those who wait); the memory goes when the loop has closed the handles (run the loop
 * on). Accepts NULL. Never from within one of the callbacks above. */
void weft_http_server_close(struct weft_http_server *s);

#endif

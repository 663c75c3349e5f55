/* SPDX-License-Identifier: Apache-2.0 */
/* h2_state.h: the structs that h2_client.c (calls), h2_connection.c (sockets) and h2_session.c (frames) share. Private to them.
 *
 * A call:        WAITING for its connection -> OPEN as a stream -> ENDED, in the client's list until it is delivered.
 * A connection:  RESOLVING -> CONNECTING (one address after another) -> READY -> DRAINING (GOAWAY: no new streams)
 *                -> DEAD; freed when its last handle has closed.
 */
#ifndef WEFT_CORE_H2_STATE_H
#define WEFT_CORE_H2_STATE_H

#include "core/h2_client.h"
#include "core/http_answer.h"
#include "core/resolver.h"

#include <nghttp2/nghttp2.h>

enum { WEFT_H2_AUTHORITY_MAX = 300, WEFT_H2_READ = 32 * 1024, WEFT_H2_OUT_MAX = 512 * 1024 };

struct weft_h2_connection;

struct weft_h2_call {
    struct weft_h2_client *client;
    struct weft_h2_call *next;              /* in calls, ended or free */
    struct weft_http_call what;
    struct weft_h2_connection *connection;  /* NULL once it has ended */
    int32_t stream;                         /* 0: not opened yet */
    struct weft_buf head;                   /* texts of the request's head */
    nghttp2_nv nv[WEFT_HTTP_MAX_HEADERS + 8];
    size_t n_nv;
    const char *authority;                  /* in head */
    size_t slice, offset;                   /* how far the body has been read */
    uint64_t sent;
    struct weft_http_answer answer;
    bool answered;                          /* the answer is whole */
    unsigned tries;
    uint64_t started_ms, deadline_ms;
    int err;
    char reason[160];
};

enum weft_h2_stage { WEFT_H2_RESOLVING, WEFT_H2_CONNECTING, WEFT_H2_READY, WEFT_H2_DRAINING, WEFT_H2_DEAD };

struct weft_h2_socket;

struct weft_h2_connection {
    struct weft_h2_client *client;
    struct weft_h2_connection *next;
    enum weft_h2_stage stage;
    char authority[WEFT_H2_AUTHORITY_MAX];
    struct weft_resolver *resolver;         /* at work; NULL: not */
    struct addrinfo *addresses, *address;   /* all; the one in use */
    struct weft_h2_socket *socket;          /* NULL: none right now */
    nghttp2_session *session;
    struct weft_buf out;                    /* [out_at, len) waits to be written */
    size_t out_at;
    bool answered_once;                     /* a stream of it got an answer: it is a kept one now */
    uint64_t last_read_ms;
    unsigned handles;                       /* libuv's */
};

struct weft_h2_client {
    uv_loop_t *loop;
    const char *user_agent;
    struct weft_account *account;           /* NULL: nobody's */
    uv_timer_t timer;                       /* the earliest deadline, or now when `ended` must be delivered */
    struct weft_h2_call *calls, *ended, *free;
    struct weft_h2_connection *connections;
    unsigned handles;                       /* the timer and connections that are not freed */
    bool closed;
    void *ctx;
    void (*on_closed)(void *ctx);
    uint8_t read[WEFT_H2_READ];
};

/* ---- h2_connection.c ---- */
/* A new connection to `authority`, not on its way yet. NULL: no memory. */
struct weft_h2_connection *weft_h2_connection_new(struct weft_h2_client *c, const char *authority);

/* Sends it on its way. It may fail at once, which ends its calls, and be gone afterwards. */
void weft_h2_connection_begin(struct weft_h2_connection *n);

/* Writes what can be written. */
void weft_h2_connection_flush(struct weft_h2_connection *n);

/* Closes the connection; calls that it still has are ended with `err`, or go to a fresh one (rule 2). */
void weft_h2_connection_fail(struct weft_h2_connection *n, int err, const char *reason);

/* ---- h2_session.c ---- */
/* Begins to speak HTTP/2. 0 or a negative code. */
int weft_h2_session_open(struct weft_h2_connection *n);

/* Fills `out` with frames, up to WEFT_H2_OUT_MAX bytes. False: nghttp2 has given the connection up. */
bool weft_h2_session_output(struct weft_h2_connection *n);

/* Takes what the server sent; calls may end. False: it does not speak HTTP/2 as it should. */
bool weft_h2_session_input(struct weft_h2_connection *n, struct weft_slice bytes);

/* Opens the call's stream when the connection is ready; else it happens when it is. */
void weft_h2_connection_submit(struct weft_h2_connection *n, struct weft_h2_call *call);

/* Takes a call off its stream; nobody hears of the stream again. */
void weft_h2_connection_cancel(struct weft_h2_connection *n, struct weft_h2_call *call);

/* ---- h2_client.c ---- */
/* The call is over; it is delivered soon. */
void weft_h2_call_end(struct weft_h2_call *call, int err, const char *reason);

/* Puts the call on a fresh connection, or ends it when that has happened before. */
void weft_h2_call_again(struct weft_h2_call *call, int err, const char *reason);

/* Delivers ended calls. Only from callbacks of the loop. */
void weft_h2_deliver(struct weft_h2_client *c);

/* A connection has been freed. */
void weft_h2_handle_gone(struct weft_h2_client *c);

#endif

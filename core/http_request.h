/* SPDX-License-Identifier: Apache-2.0 */
/* http_request.h: private to http_server.c and http_request.c: a connection's place in time, and a request
 * from its request line to its answer. On the server's loop. */
#ifndef WEFT_CORE_HTTP_REQUEST_H
#define WEFT_CORE_HTTP_REQUEST_H

#include "core/http_server.h"

#include <microhttpd.h>

/* Which line a connection stands in. Each is in order of `since_ms`, so that its head is due first. */
enum weft_http_line {
    WEFT_HTTP_FRESH,  /* has made no request yet */
    WEFT_HTTP_KEPT,   /* waits for the next one */
    WEFT_HTTP_ACTIVE, /* a request is in hand: from the end of its headers until its answer is sent */
    WEFT_HTTP_CUT,    /* shut down by us; libmicrohttpd has yet to notice */
    WEFT_HTTP_LINES
};

struct weft_http_connection {
    struct weft_http_connection *prev, *next;
    struct MHD_Connection *mhd;
    struct weft_http_body *request; /* in hand; NULL in the other lines */
    enum weft_http_line line;
    int fd;
    uint64_t since_ms;
};

struct weft_http_queue { struct weft_http_connection *head, *tail; };

/*   NEW -> ANSWERED (begin: refused, nothing follows)
 *   NEW -> TAKING (begin) -> ANSWERED (finish)
 *   TAKING -> WAITING (finish: the handler left a waiter) -> RESUMED (weft_http_server_resume, expire) -> ANSWERED (finish)
 *   NEW -> DISCARDING (begin: on_headers refused) -> ANSWERED (finish)
 *   TAKING -> DISCARDING (take: no room)
 *   NEW, TAKING, DISCARDING -> DRAINING (too large: answered at once) -> closed (finish, or the peer) */
enum weft_http_stage { WEFT_HTTP_NEW, WEFT_HTTP_TAKING, WEFT_HTTP_WAITING, WEFT_HTTP_RESUMED, WEFT_HTTP_DISCARDING,
                       WEFT_HTTP_DRAINING, WEFT_HTTP_ANSWERED };

/* A request in hand. Kept on the server's list and used again, with its buffer when that is not too large. */
struct weft_http_body {
    struct weft_http_body *next_free;
    struct weft_http_connection *connection;
    enum weft_http_stage stage;
    const char *method, *path;   /* libmicrohttpd's, from the end of the headers on */
    char *query;                 /* own copy, or NULL */
    struct weft_buf bytes;
    uint64_t counted;            /* of bytes.cap, in the server's inflight */
    uint64_t declared, received; /* Content-Length, or the most that is allowed when chunked; so far */
    bool has_length;
    bool late;                   /* RESUMED by the clock */
    void *waiter;                /* WAITING, RESUMED: to be handed back */
    struct MHD_Response *answer; /* of a refusal, sent once the body has gone by */
    unsigned status;
};

/* The last small answer, kept to be sent again: most servers say the same to nearly every request. */
struct weft_http_answer {
    struct MHD_Response *response;
    char content_type[64];
    uint8_t body[64];
    size_t len;
};

struct weft_http_server {
    struct weft_http_server_options options;
    struct MHD_Daemon *daemon;
    uv_loop_t *loop;
    uv_poll_t poll;
    uv_timer_t timer;
    uv_idle_t again;             /* runs when libmicrohttpd wants to go on at once */
    unsigned open_handles;
    int port;
    bool quiesced, closing;
    uint64_t due_ms;             /* when the timer fires; UINT64_MAX: not running */
    uint64_t backoff_ms;         /* see pause_for() in http_server.c */
    unsigned vain_turns;
    bool progress;               /* a callback has run since the last look */
    unsigned vain_accepts;       /* turns without a connection and without a callback */
    bool resting;                /* the descriptor is not looked at until the timer fires */
    struct weft_http_queue lines[WEFT_HTTP_LINES];
    struct weft_http_body *free_bodies;
    unsigned n_free_bodies;
    struct weft_http_answer last;
    struct weft_http_server_stats stats;
    unsigned n_paid;             /* connections that are not freed; those cut by us included */
    uint64_t paid;               /* for the first of them, from the account */
    char *tls_files[3];          /* contents of certificate, key and client CA */
};

/* Moves a connection to the end of a line, as of now. */
void weft_http_connection_move(struct weft_http_server *s, struct weft_http_connection *c, enum weft_http_line line);

/* Makes libmicrohttpd close a connection: its socket sees the end in both directions. It counts as gone from here on. */
void weft_http_connection_cut(struct weft_http_server *s, struct weft_http_connection *c);

/* Lets libmicrohttpd run once more before the loop sleeps. */
void weft_http_server_run_soon(struct weft_http_server *s);

/* libmicrohttpd's callbacks; `cls` is the server. */
void *weft_http_request_line(void *cls, const char *uri, struct MHD_Connection *mhd);
enum MHD_Result weft_http_access(void *cls, struct MHD_Connection *mhd, const char *url, const char *method,
                                 const char *version, const char *data, size_t *size, void **request);
void weft_http_completed(void *cls, struct MHD_Connection *mhd, void **request,
                         enum MHD_RequestTerminationCode code);

/* A request is overdue: says 408 when its body is still awaited. True: cut the connection; false: it waited for its handler,
 * and is answered now. */
bool weft_http_request_expire(struct weft_http_server *s, struct weft_http_connection *c);

/* Wakes a connection whose request waits, so that it can be closed. */
void weft_http_request_release(struct weft_http_body *b);

/* Frees the requests that wait to be used again. */
void weft_http_bodies_release(struct weft_http_server *s);

#endif

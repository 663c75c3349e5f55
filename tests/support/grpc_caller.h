/* SPDX-License-Identifier: Apache-2.0 */
/* grpc_caller.h: a gRPC client: nghttp2's client session, its output fed to the connection under test by hand, all at
 * once or in slices (no sockets, no clock), or carried over a real socket while the server's loop turns. */
#ifndef WEFT_TESTS_GRPC_CALLER_H
#define WEFT_TESTS_GRPC_CALLER_H

#include "core/grpc_connection.h"

#include <uv.h>

enum { GRPC_CALLER_REPLIES = 1024, GRPC_CALLER_TEXT = 512 };

struct grpc_reply {
    int32_t id;
    bool closed;
    uint32_t reset_code;              /* why the stream closed; 0 for a clean end */
    char http_status[8], grpc_status[8], allow[16], encodings[32];
    char message[GRPC_CALLER_TEXT], details[GRPC_CALLER_TEXT];
    uint8_t body[GRPC_CALLER_TEXT];
    size_t body_len;
};

struct grpc_caller {
    nghttp2_session *session;
    struct weft_grpc_connection *server; /* in memory; NULL over a socket */
    uv_loop_t *loop;
    int fd;                           /* over a socket; -1 in memory, and when the server has closed it */
    struct weft_buf sent;             /* what the server said last */
    uint64_t now_ms;
    size_t slice;                     /* bytes of each feed; 0: everything at once */
    struct grpc_reply replies[GRPC_CALLER_REPLIES];
    unsigned n_replies;
    unsigned goaways;
    uint32_t goaway_code;
    int32_t goaway_last;
    unsigned ping_acks;
    bool mute;                        /* the server's output is not looked at */
    bool broken;                      /* the server sent what nghttp2 cannot read */
};

/* One call's request. NULL fields take what an exporter sends. */
struct grpc_request {
    const char *method, *path, *content_type, *encoding, *timeout;
    const char *filler;               /* the value of one more header */
    struct weft_slice body;           /* with the five-byte prefix */
    bool open_end;                    /* the stream is not ended */
};

/* A client that has sent its preface and SETTINGS. `server` is initialised by the caller. */
void grpc_caller_open(struct grpc_caller *p, struct weft_grpc_connection *server, uint64_t now_ms);
void grpc_caller_close(struct grpc_caller *p);

/* The same over TCP to 127.0.0.1; the server runs on `loop`, which only turns inside these functions. */
void grpc_caller_connect(struct grpc_caller *p, uv_loop_t *loop, int port);

/* Turns the loop and carries bytes until the call has ended, the server has hung up, or ten seconds are over. */
const struct grpc_reply *grpc_caller_wait(struct grpc_caller *p, int32_t id);

/* Carries bytes for at most `ms`, until the server has hung up. True when it has. */
bool grpc_caller_wait_hangup(struct grpc_caller *p, uint64_t ms);

/* Begins a call; its stream id. The body stays the caller's until the stream is closed. */
int32_t grpc_caller_call(struct grpc_caller *p, const struct grpc_request *request);

/* Carries bytes both ways until both are quiet. */
void grpc_caller_pump(struct grpc_caller *p);

/* Feeds bytes that are not the client session's. */
void grpc_caller_raw(struct grpc_caller *p, struct weft_slice bytes);

/* What is known of a call's answer; never NULL. */
const struct grpc_reply *grpc_caller_reply(struct grpc_caller *p, int32_t id);

/* A message with its five-byte prefix, appended to `out`. */
void grpc_caller_message(struct weft_buf *out, bool compressed, struct weft_slice message);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* grpc_connection.h: one HTTP/2 connection of a gRPC server, without I/O: bytes and the time in, bytes out.
 *
 *   (1) An idle connection that has sent nothing costs this struct and no more: the HTTP/2 session is made when the
 *       client's preface is in.
 *   (2) What a peer can make us hold is bounded: headers by WEFT_GRPC_HEADER_LIST, messages by the service's ledger and
 *       by half of it for one connection, replies by the number of streams, control frames by rates.
 *   (3) Floods (resets, control frames, endless header blocks) end the connection with ENHANCE_YOUR_CALM.
 *
 *   PREFACE -> OPEN (preface is in) -> DRAINING (quiesce, age, idleness) -> DONE
 *      \-> DONE (not HTTP/2)             \-> DONE (error, floods)
 *
 * The owner feeds what it read, then takes output until there is none, and closes the transport once the connection
 * is done and its output is written. It ticks the connection about twice a second. One thread.
 */
#ifndef WEFT_CORE_GRPC_CONNECTION_H
#define WEFT_CORE_GRPC_CONNECTION_H

#include "core/grpc_service.h"

struct weft_grpc_stream;

enum weft_grpc_connection_state { WEFT_GRPC_PREFACE, WEFT_GRPC_OPEN, WEFT_GRPC_DRAINING, WEFT_GRPC_DONE };

struct weft_grpc_connection {
    struct weft_grpc_service *service;
    nghttp2_session *session;            /* NULL before the preface is in */
    struct weft_grpc_stream *streams;
    enum weft_grpc_connection_state state;
    unsigned n_streams;
    uint8_t preface_seen;                /* bytes of the client's preface that are in */
    bool settings_acked, last_goaway, aged, http1_answer, in_block;
    uint64_t now_ms, born_ms, idle_since_ms, heard_ms;
    uint64_t state_since_ms;             /* when it became what it is */
    uint64_t pinged_ms;                  /* a keepalive PING is out since; 0: none */
    uint64_t held;                       /* bytes of message blocks of its streams */
    uint64_t second_ms;                  /* the rates below count since */
    unsigned resets, controls;
    unsigned n_blocks;                   /* header blocks begun */
    size_t block_bytes;                  /* of the header block that is coming in */
    void (*on_output)(void *owner);      /* an answer came from outside of input and tick: take output soon. NULL: nobody */
    void *owner;
    int32_t last_id, early_id;           /* the newest stream; the newest that we may have reset */
    size_t frame_len;                    /* of the frame that is coming in */
};

/* For weft_grpc_service_init: what all sessions share. 0 or UV_ENOMEM. */
int weft_grpc_connection_callbacks(nghttp2_session_callbacks **ret_callbacks, nghttp2_option **ret_option);

void weft_grpc_connection_init(struct weft_grpc_connection *c, struct weft_grpc_service *service, uint64_t now_ms);

/* Frees everything; calls that are not answered are forgotten. Accepts a zeroed connection. */
void weft_grpc_connection_release(struct weft_grpc_connection *c);

/* Takes what was read. Handlers run inside. When the state is DONE afterwards the connection is over, but for its output. */
void weft_grpc_connection_input(struct weft_grpc_connection *c, struct weft_slice bytes, uint64_t now_ms);

/* Appends bytes to send until `out` holds `enough` or nothing is left. The limit of `out` must leave room for one
 * frame (about 17 KiB) behind `enough`. */
void weft_grpc_connection_output(struct weft_grpc_connection *c, struct weft_buf *out, size_t enough);

/* Answers a call whose handler left a waiter; `handle` is the call's. Not after its on_gone. Never from within a handler. */
void weft_grpc_connection_answer(void *handle, const struct weft_grpc_answer *answer);

/* Calls that are not answered, or whose answer is not taken yet. */
unsigned weft_grpc_connection_in_hand(const struct weft_grpc_connection *c);

/* Looks at every deadline. */
void weft_grpc_connection_tick(struct weft_grpc_connection *c, uint64_t now_ms);

/* Announces the end (GOAWAY), answers what is in hand, takes the calls that were under way, then is done. */
void weft_grpc_connection_quiesce(struct weft_grpc_connection *c, uint64_t now_ms);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* raw_peer.h: a client on a raw socket for tests, on the same thread as the loop it talks to: each call runs the loop
 * until its condition holds or PEER_PATIENCE_MS are over (then it fails the test). Knows just enough of HTTP to
 * find the end of an answer that has a Content-Length. */
#ifndef WEFT_TESTS_RAW_PEER_H
#define WEFT_TESTS_RAW_PEER_H

#include "core/buf.h"

#include <uv.h>

enum { PEER_PATIENCE_MS = 10000 };

struct peer {
    uv_loop_t *loop;
    int fd;
    bool ended;          /* the other side closed */
    struct weft_buf in;  /* received, not consumed */
};

struct peer_answer {
    int status;
    char head[2048];     /* status line and headers */
    char body[8192];     /* cut at this size; NUL behind it */
    size_t body_len;
};

void peer_open(struct peer *p, uv_loop_t *loop, int port);
void peer_close(struct peer *p);

/* True: all was sent. False: the other side closed before. */
bool peer_send(struct peer *p, const void *data, size_t len);
bool peer_send_text(struct peer *p, const char *text);

/* Reads one whole answer; status 0 when the other side closed without one. */
void peer_read(struct peer *p, struct peer_answer *ret_answer);

/* Runs the loop until the other side has closed. */
void peer_wait_end(struct peer *p);

/* Runs the loop until it has nothing to do right now. */
void peer_settle(uv_loop_t *loop);

/* The value of a header of the answer, or "" (name with its colon: "Retry-After:"); static storage. */
const char *peer_header(const struct peer_answer *a, const char *name);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* grpc_rig.h: a gRPC connection in memory for tests, its client, and a handler that says what it is told to; time is a number. */
#ifndef WEFT_TESTS_GRPC_RIG_H
#define WEFT_TESTS_GRPC_RIG_H

#include "core/grpc_connection.h"
#include "tests/support/grpc_caller.h"

enum { GRPC_RIG_MESSAGE = 100000, GRPC_RIG_INFLIGHT = 400000 }; /* at most, of each and of all */

struct grpc_rig {
    struct weft_grpc_service service;
    struct weft_grpc_connection connection;
    struct grpc_caller peer;
    struct weft_grpc_answer next;      /* what the handler says */
    unsigned calls;
    int last_method, last_err;
    size_t last_len;
    uint32_t last_sum;
    struct weft_buf body;
};

/* A connection to a service of four methods, the first of which is "/test.Service/Call". open_with: with limits of the test's own
 * beside the two above. */
struct grpc_rig *grpc_rig_open(void);
void grpc_rig_open_with(struct grpc_rig *f, struct weft_grpc_limits limits);

/* Nothing may be held any more. */
void grpc_rig_close(struct grpc_rig *f);

/* The body of a request with one message; good until the next. */
struct weft_slice grpc_rig_message(struct grpc_rig *f, const char *text);

/* One call, carried to its end. */
const struct grpc_reply *grpc_rig_call(struct grpc_rig *f, struct grpc_request request);

/* So much later. */
void grpc_rig_tick(struct grpc_rig *f, uint64_t ms);

#endif

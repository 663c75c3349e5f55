/* SPDX-License-Identifier: Apache-2.0 */
/* grpc_frame.h: gathers the one message of a unary call: a flag byte, a length in four bytes, the message.
 *
 *   (1) The message ends up in one contiguous block, whatever pieces it comes in.
 *   (2) Memory follows the bytes that have come (at most four times as many), never the length that is claimed.
 *   (3) What is longer than the maximum is refused when its length is read.
 *
 * Belongs to one loop, like the pool it draws from.
 */
#ifndef WEFT_CORE_GRPC_FRAME_H
#define WEFT_CORE_GRPC_FRAME_H

#include "core/grpc_pool.h"
#include "core/slice.h"

enum { WEFT_GRPC_PREFIX = 5 };

struct weft_grpc_frame {
    uint8_t prefix[WEFT_GRPC_PREFIX];
    uint8_t n_prefix;               /* bytes of the prefix that are in */
    size_t len;                     /* bytes of the message that are in */
    struct weft_grpc_block block;
    struct weft_slice direct;       /* the whole message, still where it arrived */
};

/* Takes the next bytes of the stream. 0: all of them. WEFT_ERR_TOO_LARGE, WEFT_ERR_LIMIT, UV_ENOMEM; WEFT_ERR_MALFORMED:
 * an unknown flag, or bytes behind the message. A zeroed frame is an empty one. */
int weft_grpc_frame_take(struct weft_grpc_frame *f, struct weft_grpc_pool *pool, size_t max, struct weft_slice in);

/* The same when `in` is all that the stream will ever bring: a message that is whole in it is not copied, and
 * weft_grpc_frame_message then points into `in`. */
int weft_grpc_frame_take_all(struct weft_grpc_frame *f, struct weft_grpc_pool *pool, size_t max, struct weft_slice in);

/* The message is complete. */
bool weft_grpc_frame_whole(const struct weft_grpc_frame *f);

/* The compressed flag is set. */
bool weft_grpc_frame_compressed(const struct weft_grpc_frame *f);

/* The message; only of a whole frame. Good until the frame is released. */
struct weft_slice weft_grpc_frame_message(const struct weft_grpc_frame *f);

/* Gives the block back; the frame is empty again. */
void weft_grpc_frame_release(struct weft_grpc_frame *f, struct weft_grpc_pool *pool);

/* The prefix of an uncompressed message of `len` bytes. */
void weft_grpc_frame_prefix(uint8_t prefix[WEFT_GRPC_PREFIX], uint32_t len);

#endif

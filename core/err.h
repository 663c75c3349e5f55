/* SPDX-License-Identifier: Apache-2.0 */
/* err.h: one int for every failure.
 *
 * 0 is success. libuv's own negative codes (which are negated errno values on
 * Linux) pass through unchanged; ours lie far below them, where the two cannot
 * meet. A code cannot exist without its text: both come from one list.
 */
#ifndef WEFT_CORE_ERR_H
#define WEFT_CORE_ERR_H

#define WEFT_ERR_MAP(X)                                            \
    X(FULL,        "journal is full")                              \
    X(SHED,        "journal is filling up; the least important data waits") \
    X(LIMIT,       "memory limit reached")                         \
    X(MALFORMED,   "malformed payload")                            \
    X(TOO_LARGE,   "larger than the limit allows")                 \
    X(TOO_DEEP,    "nested too deeply")                            \
    X(UNSUPPORTED, "not supported")                                \
    X(CONFIG,      "invalid configuration")                        \
    X(DRAINING,    "shutting down")                                \
    X(NOT_FOUND,   "not found")                                    \
    X(CLOSED,      "closed by the peer")                           \
    X(TIMEOUT,     "timed out")                                    \
    X(LOCKED,      "in use by another process")                    \
    X(NEWER,       "written by a newer version")                   \
    X(DISK,        "the disk has failed")

enum weft_err {
    WEFT_OK = 0,
    WEFT_ERR__BASE = -10100,
#define X(name, text) WEFT_ERR_##name,
    WEFT_ERR_MAP(X)
#undef X
};

/* The words for a code: ours, or libuv's for the rest. Never NULL; static storage. Any thread. */
const char *weft_err_text(int err);

#endif

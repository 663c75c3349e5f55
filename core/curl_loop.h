/* SPDX-License-Identifier: Apache-2.0 */
/* curl_loop.h: a libcurl multi handle driven by a libuv loop: its sockets in uv_poll_t, its one timeout on a
 * uv_timer_t.
 *
 *   (1) `progress` is called after libcurl has done some work, never from inside a libcurl callback, so that it may
 *       call anything of libcurl.
 *   (2) A kept connection stays in the loop's epoll set between two requests: watching it anew costs four system
 *       calls a request. If its peer speaks out of turn, the watch is stopped, not the connection.
 *   (3) After close, `closed` is called exactly once, when no handle is left.
 *
 * Everything happens on the loop's thread.
 */
#ifndef WEFT_CORE_CURL_LOOP_H
#define WEFT_CORE_CURL_LOOP_H

#include <curl/curl.h>
#include <stdbool.h>
#include <uv.h>

struct weft_curl_watch;

struct weft_curl_loop {
    uv_loop_t *loop;
    CURLM *multi;                   /* NULL until weft_curl_loop_start */
    uv_timer_t timer;
    struct weft_curl_watch *watches; /* one a socket */
    unsigned open_handles;
    bool closing;
    void *ctx;
    void (*progress)(void *ctx);
    void (*closed)(void *ctx);
};

/* Fills *l (the caller has set nothing) and prepares the timer. 0 or a negative code. */
int weft_curl_loop_open(struct weft_curl_loop *l, uv_loop_t *loop, void *ctx, void (*progress)(void *),
                        void (*closed)(void *));

/* Makes the multi handle, once; libcurl is initialised by the first start of the process. 0 or UV_ENOMEM. */
int weft_curl_loop_start(struct weft_curl_loop *l);

/* Tells a new easy handle to close its sockets through us. */
void weft_curl_loop_adopt(struct weft_curl_loop *l, CURL *easy);

/* Ends the multi handle (which must have no easy handles any more) and closes every uv handle. */
void weft_curl_loop_close(struct weft_curl_loop *l);

#endif

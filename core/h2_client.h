/* SPDX-License-Identifier: Apache-2.0 */
/* h2_client.h: the HTTP client's cleartext HTTP/2 ("prior knowledge"), which is what gRPC without TLS speaks.
 * nghttp2 on a socket of our own, because libcurl 7.88 (Debian 12) breaks such a connection when it uses it again
 * (curl issue 10634), and sends each 16 KiB frame with a system call of its own. Private to the HTTP client.
 *
 *   (1) One connection an authority is kept; calls share it as streams.
 *   (2) A call whose stream the server refused unprocessed, or whose kept connection turned out dead before anything
 *       came back, is put on a fresh connection once, without the caller noticing.
 *   (3) done runs exactly once a call, from the loop only.
 *   (4) What waits to be written is at most WEFT_H2_OUT_MAX bytes a connection, whatever a body's size.
 *
 * Frames larger than 16 KiB are used when the server allows them. Everything happens on the loop's thread.
 */
#ifndef WEFT_CORE_H2_CLIENT_H
#define WEFT_CORE_H2_CLIENT_H

#include "core/http_client.h"

struct weft_h2_client;

/* `closed` is called once after weft_h2_close, when no handle is left; the memory is gone by then. */
int weft_h2_open(struct weft_h2_client **ret_client, uv_loop_t *loop, const char *user_agent, struct weft_account *account,
                 void *ctx, void (*closed)(void *ctx));

/* As weft_http_call; the URL is http://authority/path. */
int weft_h2_call(struct weft_h2_client *c, const struct weft_http_call *call);

/* Ends every call now (done with UV_ECANCELED) and closes. */
void weft_h2_close(struct weft_h2_client *c);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* grpc_answer.h: hands the answer to one call to nghttp2: headers, the message, trailers; or everything in one
 * HEADERS frame when there is no message. All return 0 or nghttp2's negative code. On the connection's loop. */
#ifndef WEFT_CORE_GRPC_ANSWER_H
#define WEFT_CORE_GRPC_ANSWER_H

#include "core/grpc_stream.h"

/* The answer of a handler or a refusal. */
int weft_grpc_answer_call(nghttp2_session *session, struct weft_grpc_service *service, struct weft_grpc_stream *s,
                          const struct weft_grpc_answer *answer);

/* The client's encoding is none of ours: UNIMPLEMENTED, with the list of those that are. */
int weft_grpc_answer_encoding(nghttp2_session *session, struct weft_grpc_service *service, struct weft_grpc_stream *s,
                              const struct weft_grpc_answer *answer);

/* Plain HTTP for who does not speak gRPC: 404, 405, 415, 431. */
int weft_grpc_answer_http(nghttp2_session *session, struct weft_grpc_stream *s, const char *status);

/* GET / : 200 and a line of text. */
int weft_grpc_answer_root(nghttp2_session *session, struct weft_grpc_stream *s);

#endif

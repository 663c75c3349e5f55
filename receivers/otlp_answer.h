/* SPDX-License-Identifier: Apache-2.0 */
/* otlp_answer.h: the bodies of answers: Export{Trace,Logs,Metrics}ServiceResponse on success, google.rpc.Status with
 * RetryInfo on errors, in protobuf and JSON. Appends to a buffer whose error is sticky. Stateless; any thread. */
#ifndef WEFT_RECEIVERS_OTLP_ANSWER_H
#define WEFT_RECEIVERS_OTLP_ANSWER_H

#include "core/buf.h"
#include "core/otlp.h"
#include "receivers/otlp_accept.h"

enum weft_otlp_format { WEFT_OTLP_PROTOBUF, WEFT_OTLP_JSON };

/* The typed response to a request that succeeded. Full success leaves partial_success unset: no bytes in protobuf, `{}` in
 * JSON. All three response types have the same shape; the JSON key of the count differs. */
void weft_otlp_answer_success(struct weft_buf *out, enum weft_otlp_format format, enum weft_signal signal,
                              const struct weft_otlp_verdict *verdict);

/* google.rpc.Status: the body of HTTP errors, and gRPC's grpc-status-details-bin. A verdict with retry_after_s
 * carries a google.rpc.RetryInfo. */
void weft_otlp_answer_status(struct weft_buf *out, enum weft_otlp_format format,
                             const struct weft_otlp_verdict *verdict);

#endif

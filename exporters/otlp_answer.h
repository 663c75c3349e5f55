/* SPDX-License-Identifier: Apache-2.0 */
/* otlp_answer.h: what an OTLP back end's answer means (opentelemetry-proto docs/specification.md).
 *
 *   answer                                                         verdict
 *   HTTP 2xx, gRPC OK                                              SENT, less what partial success rejects
 *   no whole answer, HTTP 408 429 502 503 504, the retryable gRPC  RETRY, after Retry-After or RetryInfo
 *     codes, RESOURCE_EXHAUSTED with RetryInfo
 *   HTTP 413, RESOURCE_EXHAUSTED without RetryInfo                 too_large: REJECTED, but smaller may do
 *   everything else                                                REJECTED
 *
 * A 2xx or OK whose body cannot be read was accepted all the same: it is SENT with a note for the log.
 * Pure functions of the answer; any thread.
 */
#ifndef WEFT_EXPORTERS_OTLP_ANSWER_H
#define WEFT_EXPORTERS_OTLP_ANSWER_H

#include "core/component.h"
#include "core/http_client.h"

struct weft_otlp_verdict {
    enum weft_outcome outcome;
    bool too_large;
    uint64_t retry_after_ms;
    uint64_t rejected;        /* of a partial success */
    char reason[24];          /* "http_503", "grpc_14", "timeout", "connection"; "sent" */
    char detail[512];         /* the back end's words, or ours; printable, perhaps empty */
};

/* `now_wall_s`: for a Retry-After that is a date. */
void weft_otlp_judge_http(const struct weft_http_result *result, int64_t now_wall_s, struct weft_otlp_verdict *ret_verdict);
void weft_otlp_judge_grpc(const struct weft_http_result *result, int64_t now_wall_s, struct weft_otlp_verdict *ret_verdict);

#endif

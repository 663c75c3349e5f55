/* SPDX-License-Identifier: Apache-2.0 */
/* otlp.h: OTLP out, over gRPC and HTTP: the exporters `otlp`, `otlphttp` and `jaeger`, which are one code under three
 * names. A request of uncompressed protobuf is the records' own bytes, gathered: nothing is decoded or copied.
 *
 * What an answer means is decided by exporters/otlp_answer.h; what is sent again and in which pieces by otlp_send.c.
 * Everything runs on the lane's thread.
 */
#ifndef WEFT_EXPORTERS_OTLP_H
#define WEFT_EXPORTERS_OTLP_H

#include "core/component.h"

extern const struct weft_exporter_type weft_exporter_otlp;     /* gRPC */
extern const struct weft_exporter_type weft_exporter_otlphttp; /* HTTP, protobuf or JSON */
extern const struct weft_exporter_type weft_exporter_jaeger;   /* traces to a Jaeger, by either */

#endif

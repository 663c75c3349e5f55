/* SPDX-License-Identifier: Apache-2.0 */
/* filelog_value.h: values of JSON as OTLP's AnyValue. Stateless; any thread. */
#ifndef WEFT_RECEIVERS_FILELOG_VALUE_H
#define WEFT_RECEIVERS_FILELOG_VALUE_H

#include "core/buf.h"
#include "core/json.h"

/* Containers deeper than this are kept as their JSON text: protobuf readers stop at 100 messages, of which a list of
 * keys and values takes three. */
enum { WEFT_FILELOG_DEPTH = 24 };

/* Appends field `number`, an AnyValue: the value whose first token is `token`; `j` stands behind that token, and behind the
 * whole value afterwards. `depth`: containers around it. 0, an error of the reader, or of the buffer. */
int weft_filelog_put_value(struct weft_buf *out, uint32_t number, struct weft_json *j, int token, unsigned depth);

/* The same as the KeyValue field `number`. */
int weft_filelog_put_attribute(struct weft_buf *out, uint32_t number, struct weft_slice key, struct weft_json *j, int token);

/* Appends `text` with U+FFFD for what is not UTF-8. */
void weft_filelog_put_utf8(struct weft_buf *out, struct weft_slice text);

#endif

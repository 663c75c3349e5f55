/* SPDX-License-Identifier: Apache-2.0 */
/* exposition.h: lines of the Prometheus text format 0.0.4 and of OpenMetrics 1.0, written into a
 * buffer. Used by the prometheus exporter and by Weft's own metrics. Stateless; any thread.
 */
#ifndef WEFT_CORE_EXPOSITION_H
#define WEFT_CORE_EXPOSITION_H

#include "core/buf.h"
#include "core/slice.h"

enum weft_exposition { WEFT_EXPOSITION_TEXT, WEFT_EXPOSITION_OPENMETRICS };

struct weft_label { struct weft_slice name, value; };

/* "# HELP", "# TYPE" (and "# UNIT" in OpenMetrics when unit is not empty) of one family. `name` is the family's
 * name without _total; `type` is "counter", "gauge", "histogram", "summary" or "unknown". In text 0.0.4 a
 * counter family is announced with _total and "unknown" as "untyped". */
void weft_exposition_family(struct weft_buf *b, enum weft_exposition format, struct weft_slice name,
                            const char *type, struct weft_slice help, struct weft_slice unit);

/* name suffix{labels} value; no newline, so that an exemplar can follow. */
void weft_exposition_sample(struct weft_buf *b, struct weft_slice name, const char *suffix,
                            const struct weft_label *labels, size_t n_labels, double value);
void weft_exposition_sample_uint(struct weft_buf *b, struct weft_slice name, const char *suffix,
                                 const struct weft_label *labels, size_t n_labels, uint64_t value);
void weft_exposition_newline(struct weft_buf *b);

/* A float as both formats want it: shortest form, canonical "+Inf", "-Inf", "NaN". */
void weft_exposition_number(struct weft_buf *b, double value);
/* A label value with \\, \" and \n escaped. */
void weft_exposition_label_value(struct weft_buf *b, struct weft_slice value);
/* OpenMetrics ends with "# EOF"; text has no ending. */
void weft_exposition_end(struct weft_buf *b, enum weft_exposition format);

/* Content negotiation for an Accept header (NULL or "": text 0.0.4). *ret_content_type is static. */
enum weft_exposition weft_exposition_negotiate(const char *accept, const char **ret_content_type);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* exposition.h: lines of the Prometheus text format 0.0.4 and of OpenMetrics 1.0, written into a
 * buffer, and the choice between formats that a scraper's Accept header asks for. Used by the prometheus
 * exporter and by Weft's own metrics. Stateless; any thread.
 *
 * What a peer put into a label cannot break a page: bytes that are not UTF-8 become U+FFFD (Prometheus
 * would refuse the whole scrape), quotes, backslashes and newlines are escaped.
 */
#ifndef WEFT_CORE_EXPOSITION_H
#define WEFT_CORE_EXPOSITION_H

#include "core/buf.h"
#include "core/slice.h"

enum weft_exposition { WEFT_EXPOSITION_TEXT, WEFT_EXPOSITION_OPENMETRICS, WEFT_EXPOSITION_PROTOBUF };

/* How a name that is not [a-zA-Z_:][a-zA-Z0-9_:]* is told to a scraper. */
enum weft_escaping { WEFT_ESCAPE_UNDERSCORES, WEFT_ESCAPE_DOTS, WEFT_ESCAPE_VALUES, WEFT_ESCAPE_NONE };

struct weft_label { struct weft_slice name, value; };

/* "# HELP", "# TYPE" (and "# UNIT" in OpenMetrics when unit is not empty and ends the name) of one family. `name` is
 * the family's name without _total (or _info); `type` is "counter", "gauge", "histogram", "summary", "info" or
 * "unknown". In text 0.0.4 a counter family is announced with _total, "info" as a gauge with _info, and "unknown" as
 * "untyped". An empty help writes no HELP line. */
void weft_exposition_family(struct weft_buf *b, enum weft_exposition format, struct weft_slice name,
                            const char *type, struct weft_slice help, struct weft_slice unit);

/* The same with nothing translated: name and type as they stand, and a unit only where the format has one. */
void weft_exposition_announce(struct weft_buf *b, enum weft_exposition format, struct weft_slice name,
                              const char *suffix, const char *type, struct weft_slice help, struct weft_slice unit);

/* name suffix{labels} value; no newline, so that an exemplar can follow. */
void weft_exposition_sample(struct weft_buf *b, struct weft_slice name, const char *suffix,
                            const struct weft_label *labels, size_t n_labels, double value);
void weft_exposition_sample_uint(struct weft_buf *b, struct weft_slice name, const char *suffix,
                                 const struct weft_label *labels, size_t n_labels, uint64_t value);
void weft_exposition_newline(struct weft_buf *b);

/* A float as both formats want it: shortest form that reads back the same, "+Inf", "-Inf", "NaN". */
void weft_exposition_number(struct weft_buf *b, double value);
void weft_exposition_uint(struct weft_buf *b, uint64_t value);
/* A bucket bound or quantile, in OpenMetrics' canonical form ("200.0", "1e+06"), which Prometheus 3 turns every
 * spelling into and Prometheus 2 does not: written alike in all formats, so that series keep their names. */
void weft_exposition_bound(struct weft_buf *b, double value);
/* Nanoseconds since the epoch as OpenMetrics writes time: seconds with as many decimals as it takes. */
void weft_exposition_seconds(struct weft_buf *b, uint64_t ns);
/* A label value with \\, \" and \n escaped. */
void weft_exposition_label_value(struct weft_buf *b, struct weft_slice value);
/* OpenMetrics ends with "# EOF"; text has no ending. */
void weft_exposition_end(struct weft_buf *b, enum weft_exposition format);

/* Content negotiation for an Accept header (NULL or "": text 0.0.4) between the two text formats.
 * *ret_content_type is static. */
enum weft_exposition weft_exposition_negotiate(const char *accept, const char **ret_content_type);

struct weft_exposition_choice {
    enum weft_exposition format;
    enum weft_escaping escaping;
    const char *content_type; /* static */
};

/* The same with the delimited protobuf format offered too when `protobuf` is set. By RFC 9110 12.5.1: the most
 * specific range gives each format its weight, the greatest weight wins, the header's order decides between equals;
 * where nothing fits, text 0.0.4. `escaping=` of the winning range: underscores where there is none. */
struct weft_exposition_choice weft_exposition_choose(const char *accept, bool protobuf);

/* `name` as `escaping` spells it (WEFT_ESCAPE_NONE: unchanged), without quotes. */
void weft_exposition_name(struct weft_buf *b, struct weft_slice name, enum weft_escaping escaping);

/* True for [a-zA-Z_:][a-zA-Z0-9_:]*. */
bool weft_exposition_name_plain(struct weft_slice name);

#endif

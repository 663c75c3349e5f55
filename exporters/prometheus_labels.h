/* SPDX-License-Identifier: Apache-2.0 */
/* prometheus_labels.h: attributes as label text, rendered once per series: name="value",name="value".
 *
 *   (1) Keys that become one label name have their values joined by ';', in the order of the keys.
 *   (2) An empty value is left out: to Prometheus it is the same as no label.
 *   (3) A name that is taken (job, instance, otel_scope_*, le, ...) becomes exported_NAME, as Prometheus does itself.
 *   (4) The key of a set of labels does not depend on their order.
 *
 * One thread.
 */
#ifndef WEFT_EXPORTERS_PROMETHEUS_LABELS_H
#define WEFT_EXPORTERS_PROMETHEUS_LABELS_H

#include "core/arena.h"
#include "core/otlp.h"
#include "exporters/prometheus_name.h"

enum { WEFT_PROM_LABELS_MAX = 256 };

struct weft_prom_label {
    struct weft_slice key, name, value; /* key as the sender wrote it; name translated */
};

/* A set of labels in the making. All text that is not the payload's own lies in `scratch`. */
struct weft_prom_labels {
    struct weft_arena *scratch;
    enum weft_prom_strategy strategy;
    size_t n;
    bool full;                          /* more than WEFT_PROM_LABELS_MAX, or no memory: do not use */
    bool odd;                           /* some name needs quotes (known after end) */
    struct weft_prom_label items[WEFT_PROM_LABELS_MAX];
};

/* `scratch` is reset. */
void weft_prom_labels_begin(struct weft_prom_labels *l, struct weft_arena *scratch, enum weft_prom_strategy strategy);

/* A label whose name needs no translation. */
void weft_prom_labels_add(struct weft_prom_labels *l, struct weft_slice name, struct weft_slice value);

/* An attribute. `prefix` stands before its key. */
void weft_prom_labels_add_attribute(struct weft_prom_labels *l, const char *prefix, const struct weft_attribute *attribute);

/* All attributes of a message. 0 or WEFT_ERR_MALFORMED. */
int weft_prom_labels_add_all(struct weft_prom_labels *l, const char *prefix, struct weft_slice message, uint32_t number);

/* Sorts, joins and appends the text to `out`. `taken` is label text whose names are not free, `reserved` one more such
 * name or "". Returns the key of the labels written (0 for none): the sum of their hashes. */
uint64_t weft_prom_labels_end(struct weft_prom_labels *l, struct weft_slice taken, const char *reserved, uint64_t seed,
                              struct weft_buf *out);

/* Steps over label text as written by end: 1 and the next label, 0 at the end. A quoted name comes without its quotes;
 * escapes are still in both. */
int weft_prom_labels_next(struct weft_slice *rest, struct weft_slice *ret_name, struct weft_slice *ret_value);

/* `text` with the escapes of label text resolved, appended to `out`. */
void weft_prom_unescape(struct weft_buf *out, struct weft_slice text);

/* An attribute's value as text: strings as they are, others by the OpenTelemetry rules (JSON for lists and maps,
 * base64 for bytes). In `scratch` where it has to be made; data NULL: no memory. */
struct weft_slice weft_prom_value_text(struct weft_arena *scratch, const struct weft_any *value);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* prometheus_page.h: the store as a page, in each format a scraper can ask for.
 *
 * Text 0.0.4 and OpenMetrics are written by prometheus_text.c, the delimited protobuf format, which alone has native
 * histograms, by prometheus_proto.c. Both spell names as was negotiated. Sweep the store first. One thread.
 */
#ifndef WEFT_EXPORTERS_PROMETHEUS_PAGE_H
#define WEFT_EXPORTERS_PROMETHEUS_PAGE_H

#include "core/exposition.h"
#include "exporters/prometheus_store.h"

struct weft_prom_page {
    struct weft_exposition_choice choice;
    bool timestamps;
    /* When set: called with `out` between two lines (protobuf: two metrics) once it holds WEFT_PROM_CHUNK bytes, to
     * take them away, so that a page of any size is written in little memory. */
    void (*take)(void *ctx, struct weft_buf *out);
    void *ctx;
};

/* A line or a protobuf metric is never larger than the difference of the two. */
enum { WEFT_PROM_CHUNK = 256 << 10, WEFT_PROM_CHUNK_MAX = 2 << 20 };

static inline void weft_prom_page_check(const struct weft_prom_page *page, struct weft_buf *out)
{
    if (page->take && out->len >= WEFT_PROM_CHUNK)
        page->take(page->ctx, out);
}

/* Appends the page to `out`; its error is the buffer's. */
void weft_prom_write(const struct weft_prom_store *s, const struct weft_prom_page *page, struct weft_buf *out);

/* For weft_prom_write. */
void weft_prom_write_text(const struct weft_prom_store *s, const struct weft_prom_page *page, struct weft_buf *out);
void weft_prom_write_protobuf(const struct weft_prom_store *s, const struct weft_prom_page *page, struct weft_buf *out);

/* How the current names and labels are spelled for this page. Most need no change and are used where they lie. */
struct weft_prom_spelling {
    enum weft_escaping escaping;
    struct weft_buf name, labels, part;
};

void weft_prom_spelling_init(struct weft_prom_spelling *sp, enum weft_escaping escaping);
void weft_prom_spelling_release(struct weft_prom_spelling *sp);

/* A name without quotes; good until the next call. */
struct weft_slice weft_prom_spell_name(struct weft_prom_spelling *sp, struct weft_slice name, bool plain);

/* Whether label text that has (or has not) names in quotes has to be written anew. */
static inline bool weft_prom_respells(const struct weft_prom_spelling *sp, bool odd)
{
    return sp->escaping == WEFT_ESCAPE_DOTS || (odd && sp->escaping != WEFT_ESCAPE_NONE);
}

/* Two pieces of label text written anew as one; good until the next call. */
struct weft_slice weft_prom_spell_labels(struct weft_prom_spelling *sp, struct weft_slice first, struct weft_slice second);

#endif

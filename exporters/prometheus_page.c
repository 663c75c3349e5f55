/* SPDX-License-Identifier: Apache-2.0 */
/* prometheus_page.c: see prometheus_page.h. */
#include "exporters/prometheus_page.h"

enum { LABELS_MAX = 256 << 10, PART_MAX = 16 << 10 };

void weft_prom_spelling_init(struct weft_prom_spelling *sp, enum weft_escaping escaping)
{
    sp->escaping = escaping;
    weft_buf_init(&sp->name, PART_MAX);
    weft_buf_init(&sp->labels, LABELS_MAX);
    weft_buf_init(&sp->part, PART_MAX);
}

void weft_prom_spelling_release(struct weft_prom_spelling *sp)
{
    weft_buf_release(&sp->name);
    weft_buf_release(&sp->labels);
    weft_buf_release(&sp->part);
}

struct weft_slice weft_prom_spell_name(struct weft_prom_spelling *sp, struct weft_slice name, bool plain)
{
    if (!weft_prom_respells(sp, !plain))
        return name;
    weft_buf_reset(&sp->name);
    weft_exposition_name(&sp->name, name, sp->escaping);
    return weft_buf_slice(&sp->name);
}

static void respell(struct weft_prom_spelling *sp, struct weft_slice text)
{
    struct weft_slice name, value;

    while (weft_prom_labels_next(&text, &name, &value) > 0) {
        if (sp->labels.len > 0)
            weft_buf_append_byte(&sp->labels, ',');
        weft_buf_reset(&sp->part);
        weft_prom_unescape(&sp->part, name);
        weft_exposition_name(&sp->labels, weft_buf_slice(&sp->part), sp->escaping);
        weft_buf_append(&sp->labels, "=\"", 2);
        weft_buf_append(&sp->labels, value.data, value.len);
        weft_buf_append_byte(&sp->labels, '"');
    }
}

struct weft_slice weft_prom_spell_labels(struct weft_prom_spelling *sp, struct weft_slice first, struct weft_slice second)
{
    weft_buf_reset(&sp->labels);
    respell(sp, first);
    respell(sp, second);
    return weft_buf_slice(&sp->labels);
}

void weft_prom_write(const struct weft_prom_store *s, const struct weft_prom_page *page, struct weft_buf *out)
{
    if (page->choice.format == WEFT_EXPOSITION_PROTOBUF)
        weft_prom_write_protobuf(s, page, out);
    else
        weft_prom_write_text(s, page, out);
}

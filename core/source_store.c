/* SPDX-License-Identifier: Apache-2.0 */
/* source_store.c: a snapshot of the sources as bytes, and back. See source_store.h. */
#include "core/source_store.h"

#include "core/err.h"
#include "core/hash.h"
#include "core/journal_dir.h"

#include <stdlib.h>
#include <string.h>

struct file_head {
    char magic[8];
    uint32_t version, crc; /* of everything behind the crc */
    uint64_t journal_id, covered;
};

static const char MAGIC[8] = "WEFTSRC";

enum { CRC_FROM = offsetof(struct file_head, journal_id) };

void weft_source_store_put(struct weft_buf *b, uint64_t journal_id, uint64_t covered, const struct weft_source_row *rows,
                           size_t n)
{
    struct file_head h = { .version = WEFT_JOURNAL_VERSION, .journal_id = journal_id, .covered = covered };

    memcpy(h.magic, MAGIC, sizeof h.magic);
    weft_buf_reset(b);
    weft_buf_append(b, &h, sizeof h);
    weft_buf_append(b, rows, n * sizeof *rows);
    if (b->err)
        return;
    uint32_t crc = weft_crc32c(0, b->data + CRC_FROM, b->len - CRC_FROM);
    memcpy(b->data + offsetof(struct file_head, crc), &crc, sizeof crc);
}

int weft_source_store_check(struct weft_slice bytes, uint64_t journal_id, struct weft_slice *ret_rows, uint64_t *ret_covered)
{
    struct file_head h;

    if (bytes.len < sizeof h)
        return WEFT_ERR_MALFORMED;
    memcpy(&h, bytes.data, sizeof h);
    if (memcmp(h.magic, MAGIC, sizeof h.magic) != 0 || h.version != WEFT_JOURNAL_VERSION || h.journal_id != journal_id
        || (bytes.len - sizeof h) % sizeof(struct weft_source_row) != 0
        || weft_crc32c(0, bytes.data + CRC_FROM, bytes.len - CRC_FROM) != h.crc)
        return WEFT_ERR_MALFORMED;
    *ret_rows = weft_slice_of(bytes.data + sizeof h, bytes.len - sizeof h);
    *ret_covered = h.covered;
    return 0;
}

/* The newest thing a row says that is not newer than `newest`. */
static bool settle_row(struct weft_source_row *row, uint64_t newest)
{
    const struct { struct weft_source source; uint64_t sequence; } said[] = {
        { row->source, row->sequence }, { row->before, row->before_sequence }, { row->saved, row->saved_sequence },
    };

    for (size_t i = 0; i < sizeof said / sizeof *said; i++) {
        if (said[i].sequence == 0 || said[i].sequence > newest || said[i].source.id != row->source.id)
            continue;
        row->source = said[i].source;
        row->sequence = said[i].sequence;
        return true;
    }
    return false;
}

void weft_source_store_load(struct weft_slice rows, uint64_t covered, uint64_t last_sequence, struct weft_source_table *t)
{
    struct weft_source_row row;
    uint64_t newest = covered < last_sequence ? covered : last_sequence;

    for (size_t at = 0; at + sizeof row <= rows.len; at += sizeof row) {
        memcpy(&row, rows.data + at, sizeof row);
        if (settle_row(&row, newest))
            weft_source_table_restore(t, &row);
    }
}

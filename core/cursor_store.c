/* SPDX-License-Identifier: Apache-2.0 */
/* cursor_store.c: see the header. Fixed-width fields in the machine's own byte order: the file never leaves it. */
#include "core/cursor_store.h"

#include "core/err.h"
#include "core/hash.h"

#include <string.h>

struct file_head {
    char magic[8];
    uint32_t version, crc; /* of everything behind the crc */
    uint64_t journal_id;
};

struct row {
    uint64_t settled_sequence, segment, parked_wall_ns;
    struct weft_totals totals;
    uint32_t hold, name_len;
};

static const char MAGIC[8] = "WEFTCUR";

enum { CRC_FROM = offsetof(struct file_head, journal_id) };

void weft_cursor_store_begin(struct weft_buf *b, uint64_t journal_id)
{
    struct file_head h = { .version = WEFT_JOURNAL_VERSION, .journal_id = journal_id };

    memcpy(h.magic, MAGIC, sizeof h.magic);
    weft_buf_reset(b);
    weft_buf_append(b, &h, sizeof h);
}

void weft_cursor_store_put(struct weft_buf *b, const struct weft_saved_place *p)
{
    struct row row = { .settled_sequence = p->settled_sequence, .segment = p->segment, .parked_wall_ns = p->parked_wall_ns, .totals = p->totals,
                       .hold = p->hold, .name_len = (uint32_t)p->name.len };

    weft_buf_append(b, &row, sizeof row);
    weft_buf_append(b, p->name.data, p->name.len);
}

void weft_cursor_store_end(struct weft_buf *b)
{
    if (b->err)
        return;
    uint32_t crc = weft_crc32c(0, b->data + CRC_FROM, b->len - CRC_FROM);
    memcpy(b->data + offsetof(struct file_head, crc), &crc, sizeof crc);
}

int weft_cursor_store_check(struct weft_slice bytes, uint64_t journal_id, struct weft_slice *ret_rest)
{
    struct file_head h;

    if (bytes.len < sizeof h)
        return WEFT_ERR_MALFORMED;
    memcpy(&h, bytes.data, sizeof h);
    if (memcmp(h.magic, MAGIC, sizeof h.magic) != 0 || h.version != WEFT_JOURNAL_VERSION || h.journal_id != journal_id
        || weft_crc32c(0, bytes.data + CRC_FROM, bytes.len - CRC_FROM) != h.crc)
        return WEFT_ERR_MALFORMED;
    *ret_rest = weft_slice_of(bytes.data + sizeof h, bytes.len - sizeof h);
    return 0;
}

int weft_cursor_store_next(struct weft_slice *rest, struct weft_saved_place *ret_place)
{
    struct row row;

    if (rest->len == 0)
        return 0;
    if (rest->len < sizeof row)
        return WEFT_ERR_MALFORMED;
    memcpy(&row, rest->data, sizeof row);
    if (row.settled_sequence > UINT64_MAX / 4 || row.name_len == 0 || row.name_len > rest->len - sizeof row)
        return WEFT_ERR_MALFORMED;
    *ret_place = (struct weft_saved_place){
        .name = weft_slice_of(rest->data + sizeof row, row.name_len), .settled_sequence = row.settled_sequence,
        .segment = row.segment, .totals = row.totals, .parked_wall_ns = row.parked_wall_ns, .hold = row.hold != 0,
    };
    *rest = weft_slice_of(rest->data + sizeof row + row.name_len, rest->len - sizeof row - row.name_len);
    return 1;
}

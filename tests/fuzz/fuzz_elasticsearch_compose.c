/* SPDX-License-Identifier: Apache-2.0 */
/* The first byte chooses the signal, the mode and the pieces, the rest is a request. Whatever the check of OTLP accepts
 * becomes lines of JSON, two a document, that the JSON reader takes, with no key twice at the top; pieces put behind
 * each other are the same bytes as the whole. */
#include "core/json.h"
#include "core/utf8.h"
#include "exporters/elasticsearch_compose.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ITEMS_MAX = 4096, BODY_MAX = 32 << 20, KEYS_MAX = 512 };

static void must(bool yes)
{
    if (!yes)
        abort();
}

/* One line is one object; no key of it comes twice, unless it was not UTF-8: then two may look the same. */
static void check_line(struct weft_slice line)
{
    struct weft_slice keys[KEYS_MAX];
    struct weft_json j;
    size_t n = 0;
    int token;

    weft_json_init(&j, line);
    must(weft_json_next(&j) == WEFT_JSON_OBJECT_BEGIN);
    while ((token = weft_json_next(&j)) == WEFT_JSON_KEY) {
        for (size_t i = 0; i < n; i++)
            must(!weft_slice_equal(keys[i], j.text));
        if (n < KEYS_MAX / 4 && !memmem(j.text.data, j.text.len, WEFT_UTF8_REPLACEMENT, 3)) /* the writer remembers no more than so many either */
            keys[n++] = j.text;
        must(weft_json_skip(&j, NULL) == 0);
    }
    must(token == WEFT_JSON_OBJECT_END && weft_json_next(&j) == WEFT_JSON_END);
}

static void check_body(const struct weft_es_body *body)
{
    struct weft_slice rest = weft_buf_slice(&body->bytes);
    size_t lines = 0;

    for (; rest.len > 0; lines++) {
        const uint8_t *end = memchr(rest.data, '\n', rest.len);
        must(end != NULL);
        size_t len = (size_t)(end - rest.data);
        check_line(weft_slice_of(rest.data, len));
        rest = weft_slice_from(rest, len + 1);
    }
    must(lines == 2 * body->n_docs);
    for (size_t i = 1; i < body->n_docs; i++)
        must(body->docs[i] >= body->docs[i - 1]);
}

static void compare_pieces(struct weft_es_composer *c, const struct weft_batch *batch, const struct weft_es_body *whole)
{
    struct weft_es_body piece;
    struct weft_slice rest = weft_buf_slice(&whole->bytes);
    uint64_t end = 0;

    weft_es_body_init(&piece, BODY_MAX);
    while (end < batch->n_items) {
        uint64_t first = end;
        weft_es_body_reset(&piece);
        must(weft_es_compose(c, batch, first, 1, &piece, &end) == 0 && end > first);
        must(rest.len >= piece.bytes.len);
        must(piece.bytes.len == 0 || memcmp(rest.data, piece.bytes.data, piece.bytes.len) == 0);
        rest = weft_slice_from(rest, piece.bytes.len);
    }
    must(rest.len == 0);
    weft_es_body_release(&piece);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct weft_es_composer composer;
    static uint8_t states[ITEMS_MAX];
    struct weft_record record = { .sequence = 5, .wall_ns = 1 };
    struct weft_batch batch = { .records = &record, .n_records = 1, .journal_id = 7, .item_state = states };
    struct weft_es_body body;
    uint64_t end;

    if (size == 0)
        return 0;
    batch.signal = record.signal = data[0] & 1 ? WEFT_TRACES : WEFT_LOGS;
    record.payload = weft_slice_of(data + 1, size - 1);
    if (weft_otlp_count(batch.signal, record.payload, &record.n_items) || record.n_items > ITEMS_MAX)
        return 0;
    batch.n_items = record.n_items;
    weft_es_composer_init(&composer);
    composer.otel = data[0] & 2;
    composer.static_index[WEFT_LOGS] = data[0] & 4 ? "fixed" : NULL;
    weft_es_body_init(&body, BODY_MAX);
    must(weft_es_compose(&composer, &batch, 0, SIZE_MAX, &body, &end) == 0 && end == batch.n_items);
    check_body(&body);
    if (data[0] & 8)
        compare_pieces(&composer, &batch, &body);
    weft_es_body_release(&body);
    weft_es_composer_release(&composer);
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Any metrics payload that a receiver would take, twice, into a small store, then out in every format: bounds hold and
 * every memory comes back. The first byte chooses the options. */
#include "exporters/prometheus_page.h"
#include "exporters/prometheus_store.h"

#include <stdlib.h>

enum { MEMORY = 256 << 10, LINES = 400 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t drops;

static void on_drop(void *ctx, uint64_t item, const char *reason, struct weft_slice metric)
{
    (void)ctx;
    (void)item;
    (void)metric;
    if (!reason || !*reason)
        abort();
    drops++;
}

static void write_all(struct weft_prom_store *s, uint8_t choice)
{
    struct weft_buf out;

    weft_buf_init(&out, 64 << 20);
    for (int format = WEFT_EXPOSITION_TEXT; format <= WEFT_EXPOSITION_PROTOBUF; format++) {
        struct weft_prom_page page = { .choice = { (enum weft_exposition)format, (enum weft_escaping)(choice & 3), "" },
                                       .timestamps = choice & 4 };
        weft_buf_reset(&out);
        weft_prom_write(s, &page, &out);
        if (format == WEFT_EXPOSITION_OPENMETRICS && (out.len < 6 || memcmp(out.data + out.len - 6, "# EOF\n", 6) != 0))
            abort();
    }
    weft_buf_release(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct weft_prom_store s;
    struct weft_prom_drops sink = { NULL, on_drop };
    uint32_t items;

    if (size == 0 || weft_otlp_count(WEFT_METRICS, weft_slice_of(data + 1, size - 1), &items))
        return 0;
    struct weft_prom_settings settings = {
        .strategy = (enum weft_prom_strategy)(data[0] >> 3 & 3), .scope_labels = data[0] & 32, .expire_ms = 1000,
        .max_lines = LINES, .memory_limit = MEMORY, .seed = 1,
    };
    weft_prom_store_init(&s, &settings);
    for (uint64_t now = 5000; now < 8000; now += 700) {
        drops = 0;
        weft_prom_take(&s, weft_slice_of(data + 1, size - 1), now, 0, items, &sink);
        if (drops > items || s.lines > LINES || s.ledger.used > MEMORY)
            abort();
        weft_prom_sweep(&s, now);
        write_all(&s, data[0]);
    }
    weft_prom_store_release(&s);
    if (s.ledger.used != 0 || s.lines != 0)
        abort();
    return 0;
}

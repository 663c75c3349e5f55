/* SPDX-License-Identifier: Apache-2.0 */
/* Any line, read as auto, json and text: it becomes a record that is OTLP, with text that is UTF-8. The first byte picks the
 * format. */
#include "receivers/filelog_batch.h"
#include "receivers/filelog_line.h"

#include "core/err.h"
#include "core/otlp_json.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LIMIT = 1 << 20 };

static void check(bool holds)
{
    if (!holds)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct weft_filelog_line line;
    struct weft_filelog_batch batch;
    struct weft_buf json;
    uint32_t items = 0;

    if (size < 2 || size > LIMIT)
        return 0;
    weft_filelog_line_init(&line, size);
    weft_filelog_batch_init(&batch, 32u << 20, weft_slice_of(NULL, 0));
    weft_buf_init(&json, 64u << 20);
    line.format = (enum weft_filelog_format)(data[0] % 3);
    weft_filelog_batch_reset(&batch);
    check(weft_filelog_line_read(&line, weft_slice_of(data + 1, size - 1), 1, weft_slice_of(NULL, 0)) == 0);
    check(weft_filelog_batch_add(&batch, line.service, weft_buf_slice(&line.record)) == 0);
    check(weft_filelog_batch_finish(&batch) == 0);
    check(weft_otlp_count(WEFT_LOGS, weft_buf_slice(&batch.payload), &items) == 0 && items == 1);
    check(weft_otlp_json_write(WEFT_LOGS, weft_buf_slice(&batch.payload), &json) == 0);
    weft_filelog_line_release(&line);
    weft_filelog_batch_release(&batch);
    weft_buf_release(&json);
    return 0;
}

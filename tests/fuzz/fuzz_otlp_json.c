/* SPDX-License-Identifier: Apache-2.0 */
/* The first byte picks the signal and the direction. JSON that is read comes out as protobuf that can be written as JSON, and
 * that JSON reads back to the same bytes; any protobuf is written as JSON that our own reader of JSON takes, or refused. */
#include "core/err.h"
#include "core/json.h"
#include "core/otlp_json.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LIMIT = 4 << 20 };

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void from_json(enum weft_signal signal, struct weft_slice text)
{
    struct weft_buf first, json, second, again;
    struct weft_json_error error = { 0 };

    weft_buf_init(&first, LIMIT);
    weft_buf_init(&json, LIMIT);
    weft_buf_init(&second, LIMIT);
    weft_buf_init(&again, LIMIT);
    if (weft_otlp_json_read(signal, text, &first, &error) == 0) {
        check(weft_otlp_json_write(signal, weft_buf_slice(&first), &json) == 0);
        check(weft_otlp_json_read(signal, weft_buf_slice(&json), &second, &error) == 0);
        check(weft_otlp_json_write(signal, weft_buf_slice(&second), &again) == 0);
        check(weft_slice_equal(weft_buf_slice(&json), weft_buf_slice(&again)));
    } else {
        check(error.reason && error.offset <= text.len);
    }
    weft_buf_release(&first);
    weft_buf_release(&json);
    weft_buf_release(&second);
    weft_buf_release(&again);
}

static void from_protobuf(enum weft_signal signal, struct weft_slice payload)
{
    struct weft_buf json;
    uint32_t items;

    weft_buf_init(&json, LIMIT);
    int err = weft_otlp_json_write(signal, payload, &json);
    if (weft_otlp_count(signal, payload, &items) == 0)
        check(err == 0 || err == WEFT_ERR_TOO_LARGE); /* whatever is let in can be written */
    if (err == 0) {
        struct weft_json j;
        int token;
        weft_json_init(&j, weft_buf_slice(&json));
        while ((token = weft_json_next(&j)) > 0)
            ;
        check(token == 0 || token == WEFT_ERR_TOO_DEEP);
    }
    weft_buf_release(&json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    enum weft_signal signal = (enum weft_signal)(data[0] % WEFT_SIGNALS);
    struct weft_slice rest = weft_slice_of(data + 1, size - 1);
    if (data[0] & 0x40)
        from_protobuf(signal, rest);
    else
        from_json(signal, rest);
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes: the reader ends, hands out slices inside its input, and agrees with itself: a string that is decoded, written
 * and read again is the same string; a number that is written reads back. */
#include "core/json.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void check_string(struct weft_json *j)
{
    struct weft_buf plain, json, again;
    struct weft_json back;

    weft_buf_init(&plain, j->text.len + 1);
    weft_buf_init(&json, 6 * j->text.len + 2);
    weft_buf_init(&again, 3 * j->text.len + 1);
    check(weft_json_unescape(j->text, &plain) == 0);
    weft_json_put_string(&json, weft_buf_slice(&plain));
    weft_json_init(&back, weft_buf_slice(&json));
    check(weft_json_next(&back) == WEFT_JSON_STRING);
    check(weft_json_unescape(back.text, &again) == 0);
    check(weft_slice_equal(weft_buf_slice(&plain), weft_buf_slice(&again)));
    check(weft_json_next(&back) == WEFT_JSON_END);
    (void)weft_json_text_is(j, "x");
    weft_buf_release(&plain);
    weft_buf_release(&json);
    weft_buf_release(&again);
}

static void check_number(struct weft_slice text)
{
    struct weft_buf out;
    double value, back;
    int64_t integer;
    uint64_t natural;

    weft_buf_init(&out, 64);
    if (weft_json_double(text, &value)) {
        weft_json_put_double(&out, value);
        check(weft_json_double(weft_buf_slice(&out), &back) && back == value);
    }
    if (weft_json_int64(text, &integer) && integer >= 0)
        check(weft_json_uint64(text, &natural) && natural == (uint64_t)integer);
    weft_buf_release(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct weft_json j;
    int token;

    weft_json_init(&j, weft_slice_of(data, size));
    while ((token = weft_json_next(&j)) > 0) {
        check(j.at >= j.start && j.at <= j.end && j.depth <= WEFT_JSON_MAX_DEPTH);
        if (token == WEFT_JSON_KEY || token == WEFT_JSON_STRING)
            check_string(&j);
        else if (token == WEFT_JSON_NUMBER)
            check_number(j.text);
    }
    check(token == 0 || j.reason != NULL);
    return 0;
}

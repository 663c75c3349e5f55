/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_otlp_accept.c: any bytes as the body of an OTLP request, protobuf or JSON: the verdict agrees with the checker,
 * what is committed is well formed, and the answer is valid in both formats. The first byte picks signal and format. */
#include "core/err.h"
#include "core/json.h"
#include "core/otlp_json.h"
#include "receivers/otlp_accept.h"
#include "receivers/otlp_answer.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned commits;

static void must(bool condition)
{
    if (!condition)
        abort();
}

static int commit(struct weft_sink *sink, struct weft_record *record)
{
    uint32_t items = 0;
    (void)sink;

    must(weft_otlp_count(record->signal, record->payload, &items) == 0);
    must(items == record->n_items && items > 0);
    commits++;
    return 0;
}

static void refuse(struct weft_sink *sink, enum weft_refusal reason, uint64_t items)
{
    (void)sink;
    (void)items;
    must(reason == WEFT_REFUSAL_MALFORMED);
}

static void check_answer(enum weft_signal signal, const struct weft_otlp_verdict *v)
{
    struct weft_buf out;
    struct weft_json json;
    int token;

    weft_buf_init(&out, 4096);
    if (v->code == WEFT_OTLP_OK)
        weft_otlp_answer_success(&out, WEFT_OTLP_JSON, signal, v);
    else
        weft_otlp_answer_status(&out, WEFT_OTLP_JSON, v);
    must(out.err == 0);
    weft_json_init(&json, weft_buf_slice(&out));
    while ((token = weft_json_next(&json)) > WEFT_JSON_END)
        continue;
    must(token == WEFT_JSON_END);
    weft_buf_release(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct weft_sink sink = { .commit = commit, .refuse = refuse };
    struct weft_otlp r = { .base = { .id = "otlp", .sinks = { &sink, &sink, &sink } } };
    struct weft_otlp_verdict v;
    struct weft_json_error where;
    struct weft_buf translated;

    if (size == 0)
        return 0;
    enum weft_signal signal = (enum weft_signal)(data[0] % WEFT_SIGNALS);
    struct weft_slice body = weft_slice_of(data + 1, size - 1);
    r.base.loop = uv_default_loop(); /* its clock alone is asked */
    weft_buf_init(&translated, 1 << 20);
    commits = 0;
    if (data[0] & 0x80) {
        if (weft_otlp_json_read(signal, body, &translated, &where) != 0)
            goto out;
        body = weft_buf_slice(&translated);
    }
    weft_otlp_accept(&r, signal, body, &v);
    uint32_t items = 0;
    bool good = weft_otlp_count(signal, body, &items) == 0;
    must(v.http_status == (good ? 200 : 400));
    must(commits == (good && items > 0));
    must(good || v.message[0]);
    check_answer(signal, &v);
out:
    weft_buf_release(&translated);
    return 0;
}

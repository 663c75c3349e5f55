/* SPDX-License-Identifier: Apache-2.0 */
/* The first byte chooses a back end and a status, the rest is the body of its answer (of a gRPC one: its details header, and
 * the body). Every answer has a verdict whose words are printable and end. */
#include "exporters/elasticsearch_answer.h"
#include "exporters/otlp_answer.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool yes)
{
    if (!yes)
        abort();
}

static void check_words(const char *words, size_t size)
{
    must(memchr(words, 0, size) != NULL);
    for (; *words; words++)
        must((uint8_t)*words >= 0x20 && *words != 0x7f);
}

static void judge_otlp(const struct weft_http_result *result, bool grpc)
{
    struct weft_otlp_verdict v;

    if (grpc)
        weft_otlp_judge_grpc(result, 0, &v);
    else
        weft_otlp_judge_http(result, 0, &v);
    must(v.outcome == WEFT_SENT || v.outcome == WEFT_RETRY || v.outcome == WEFT_REJECTED);
    must(v.retry_after_ms <= 3600 * 1000);
    must(v.rejected == 0 || v.outcome == WEFT_SENT);
    check_words(v.reason, sizeof v.reason);
    check_words(v.detail, sizeof v.detail);
}

static void judge_elasticsearch(const struct weft_http_result *result)
{
    struct weft_es_verdict v;
    struct weft_es_answer a;
    struct weft_es_item item;
    char words[100];

    weft_es_judge(result, 0, &v);
    check_words(v.reason, sizeof v.reason);
    check_words(v.detail, sizeof v.detail);
    int more = weft_es_answer_open(&a, result->body);
    while (more == 1 && (more = weft_es_answer_next(&a, &item)) == 1) {
        weft_es_item_words(&item, words, sizeof words);
        check_words(words, sizeof words);
        must(item.reason != NULL);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const unsigned statuses[] = { 200, 400, 413, 429, 503 };
    static const char *const types[] = { "application/x-protobuf", "application/json", "text/html", NULL };

    if (size == 0)
        return 0;
    char *text = malloc(size); /* the body again, as the text of a header */
    must(text != NULL);
    memcpy(text, data + 1, size - 1);
    text[size - 1] = 0;
    struct weft_http_result result = {
        .status = statuses[data[0] % 5],
        .body = weft_slice_of(data + 1, size - 1),
        .content_type = types[data[0] / 5 % 4],
        .retry_after = text,
    };
    judge_otlp(&result, false);
    judge_elasticsearch(&result);
    result.grpc_status = data[0] & 1 ? "0" : "8";
    result.grpc_message = result.grpc_status_details = text;
    judge_otlp(&result, true);
    free(text);
    return 0;
}

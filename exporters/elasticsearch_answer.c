/* SPDX-License-Identifier: Apache-2.0 */
/* elasticsearch_answer.c: see elasticsearch_answer.h. */
#include "exporters/elasticsearch_answer.h"

#include "core/err.h"
#include "core/retry.h"

#include <stdio.h>

/* ---- words ---- */
/* The kinds of refusal that have a name of their own in the metrics; a server must not invent labels. */
static const char *const known_types[] = {
    "mapper_parsing_exception", "document_parsing_exception", "strict_dynamic_mapping_exception",
    "illegal_argument_exception", "index_not_found_exception", "invalid_index_name_exception",
    "cluster_block_exception", "security_exception", "es_rejected_execution_exception",
    "rejected_execution_exception", "circuit_breaking_exception", "unavailable_shards_exception", NULL,
};

static const char *reason_of(struct weft_slice type, unsigned status)
{
    for (const char *const *known = known_types; *known; known++)
        if (weft_slice_is(type, *known))
            return *known;
    return status == 429 ? "item_429" : status >= 500 ? "item_5xx" : "item_4xx";
}

static size_t put_words(char *to, size_t size, size_t at, struct weft_slice raw)
{
    uint8_t plain[1024];
    struct weft_buf b = { .data = plain, .cap = sizeof plain, .limit = sizeof plain };

    if (raw.len > sizeof plain) { /* an escape that is cut in two is left as it is */
        raw.len = sizeof plain;
        weft_buf_append(&b, raw.data, raw.len);
    } else if (raw.len == 0 || weft_json_unescape(raw, &b)) {
        return at;
    }
    for (size_t i = 0; i < b.len && at + 1 < size; i++)
        to[at++] = plain[i] < 0x20 || plain[i] == 0x7f ? ' ' : (char)plain[i];
    to[at] = 0;
    return at;
}

void weft_es_item_words(const struct weft_es_item *item, char *to, size_t size)
{
    to[0] = 0;
    size_t at = put_words(to, size, 0, item->type);
    if (at > 0 && item->words.len > 0)
        at = put_words(to, size, at, WEFT_SLICE(": "));
    (void)put_words(to, size, at, item->words);
}

/* ---- items ---- */
static enum weft_es_fate fate_of(unsigned status, struct weft_slice type)
{
    if ((status >= 200 && status < 300) || status == 409)
        return WEFT_ES_DONE;
    if (status == 429 || status >= 500 || status == 0)
        return WEFT_ES_AGAIN;
    /* A full disk or a closed index says nothing against the document. */
    return weft_slice_is(type, "cluster_block_exception") ? WEFT_ES_AGAIN : WEFT_ES_REFUSED;
}

/* {"type":...,"reason":...}; 0 or an error */
static int read_error(struct weft_json *j, struct weft_slice *type, struct weft_slice *words)
{
    int token;

    while ((token = weft_json_next(j)) == WEFT_JSON_KEY) {
        struct weft_slice *to = weft_json_text_is(j, "type") ? type : weft_json_text_is(j, "reason") ? words : NULL;
        token = weft_json_next(j);
        if (token == WEFT_JSON_STRING && to)
            *to = j->text;
        int err = token < 0 ? token : weft_json_skip(j, NULL);
        if (err)
            return err;
    }
    return token == WEFT_JSON_OBJECT_END ? 0 : WEFT_ERR_MALFORMED;
}

/* {"status":...,"error":{...}}; the object has begun */
static int read_result(struct weft_json *j, struct weft_es_item *item)
{
    int token, err = 0;
    int64_t status;

    while (!err && (token = weft_json_next(j)) == WEFT_JSON_KEY) {
        bool is_status = weft_json_text_is(j, "status"), is_error = weft_json_text_is(j, "error");
        token = weft_json_next(j);
        if (token < 0)
            return token;
        if (is_error && token == WEFT_JSON_OBJECT_BEGIN)
            err = read_error(j, &item->type, &item->words);
        else if (is_status && token == WEFT_JSON_NUMBER && weft_json_int64(j->text, &status))
            item->status = status > 0 && status < 1000 ? (unsigned)status : 0;
        else
            err = weft_json_skip(j, NULL);
    }
    return err ? err : token == WEFT_JSON_OBJECT_END ? 0 : WEFT_ERR_MALFORMED;
}

int weft_es_answer_open(struct weft_es_answer *a, struct weft_slice body)
{
    struct weft_json *j = &a->json;
    int token;

    a->no_errors = a->in_items = false;
    weft_json_init(j, body);
    if (weft_json_next(j) != WEFT_JSON_OBJECT_BEGIN)
        return WEFT_ERR_MALFORMED;
    while ((token = weft_json_next(j)) == WEFT_JSON_KEY) {
        bool errors = weft_json_text_is(j, "errors"), items = weft_json_text_is(j, "items");
        token = weft_json_next(j);
        if (errors && token == WEFT_JSON_FALSE) {
            a->no_errors = true;
            return 0;
        }
        if (items && token == WEFT_JSON_ARRAY_BEGIN) {
            a->in_items = true;
            return 1;
        }
        int err = token < 0 ? token : weft_json_skip(j, NULL);
        if (err)
            return err;
    }
    return WEFT_ERR_MALFORMED; /* an object without items is none of ours */
}

int weft_es_answer_next(struct weft_es_answer *a, struct weft_es_item *ret_item)
{
    struct weft_json *j = &a->json;
    struct weft_es_item item = { 0 };
    int token = weft_json_next(j);

    if (token == WEFT_JSON_ARRAY_END)
        return 0;
    /* {"create":{...}} */
    if (token != WEFT_JSON_OBJECT_BEGIN || weft_json_next(j) != WEFT_JSON_KEY ||
        weft_json_next(j) != WEFT_JSON_OBJECT_BEGIN || read_result(j, &item) != 0 ||
        weft_json_next(j) != WEFT_JSON_OBJECT_END)
        return WEFT_ERR_MALFORMED;
    item.fate = fate_of(item.status, item.type);
    item.reason = reason_of(item.type, item.status);
    *ret_item = item;
    return 1;
}

/* ---- the request as a whole ---- */
/* {"error":{"type":...,"reason":...},"status":...}, or whatever a proxy had to say. */
static void take_words(const struct weft_http_result *result, struct weft_es_verdict *v)
{
    struct weft_es_item item = { 0 };
    struct weft_json j;

    weft_json_init(&j, result->body);
    if (!result->body_cut && weft_json_next(&j) == WEFT_JSON_OBJECT_BEGIN)
        (void)read_result(&j, &item);
    if (item.type.len == 0 && item.words.len == 0) {
        item.words = result->body;
        if (memchr(result->body.data ? (const char *)result->body.data : "", '\\', result->body.len))
            item.words.len = 0; /* not to be taken for escapes */
    }
    weft_es_item_words(&item, v->detail, sizeof v->detail);
}

void weft_es_judge(const struct weft_http_result *result, int64_t now_wall_s, struct weft_es_verdict *ret_verdict)
{
    struct weft_es_verdict *v = ret_verdict;
    unsigned status = result->status;

    *v = (struct weft_es_verdict){ .outcome = WEFT_REJECTED };
    if (result->err || status < 200) {
        v->outcome = WEFT_RETRY;
        (void)snprintf(v->reason, sizeof v->reason, "%s",
                       result->err == UV_ETIMEDOUT   ? "timeout"
                       : result->err == UV_ECANCELED ? "stopped"
                                                     : "connection");
        (void)snprintf(v->detail, sizeof v->detail, "%s", result->reason ? result->reason : "");
        return;
    }
    if (status == 200) {
        v->outcome = WEFT_SENT;
        (void)snprintf(v->reason, sizeof v->reason, "sent");
        return;
    }
    (void)snprintf(v->reason, sizeof v->reason, "http_%u", status);
    v->too_large = status == 413;
    if (status == 408 || status == 429 || status >= 500) {
        v->outcome = WEFT_RETRY;
        if (result->retry_after)
            (void)weft_retry_after(result->retry_after, now_wall_s, &v->retry_after_ms);
    }
    take_words(result, v);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* elasticsearch_answer.h: the answer to a `_bulk` request, read item by item with a pull parser.
 *
 * A 200 says only that the request was read. What became of the n-th document stands in the n-th element of `items`:
 * 2xx and 409 (it was there already, from an earlier try) are done; 429, 5xx and a blocked index may be tried again;
 * anything else is refused for good. Bytes in, verdicts out; any thread.
 */
#ifndef WEFT_EXPORTERS_ELASTICSEARCH_ANSWER_H
#define WEFT_EXPORTERS_ELASTICSEARCH_ANSWER_H

#include "core/component.h"
#include "core/http_client.h"
#include "core/json.h"

/* Parts of the answer that we read; the server leaves the rest out. */
#define WEFT_ES_FILTER_PATH "errors,items.*.status,items.*.error.type,items.*.error.reason"

enum weft_es_fate { WEFT_ES_DONE, WEFT_ES_AGAIN, WEFT_ES_REFUSED }; /* in order of weight */

struct weft_es_item {
    enum weft_es_fate fate;
    unsigned status;
    const char *reason;             /* a short word of a fixed set, for metrics */
    struct weft_slice type, words;  /* error.type and error.reason as written: escapes still in them */
};

struct weft_es_answer {
    struct weft_json json;
    bool no_errors;                 /* "errors": false came before the items: all of them are done */
    bool in_items;
};

/* 1: at the items. 0: no_errors is set and there is no need to look at them. < 0: this is not such an answer. */
int weft_es_answer_open(struct weft_es_answer *a, struct weft_slice body);

/* 1: *ret_item is the next one. 0: no more. < 0: the answer breaks off. */
int weft_es_answer_next(struct weft_es_answer *a, struct weft_es_item *ret_item);

/* What an answer means that is not a 200 (or no answer at all). */
struct weft_es_verdict {
    enum weft_outcome outcome;      /* SENT: look at the items */
    bool too_large;                 /* 413: smaller may do */
    uint64_t retry_after_ms;
    char reason[24];
    char detail[512];
};

/* `now_wall_s` is for a Retry-After that is a date. */
void weft_es_judge(const struct weft_http_result *result, int64_t now_wall_s, struct weft_es_verdict *ret_verdict);

/* "type: reason" of an item, unescaped, printable, cut to `size`. */
void weft_es_item_words(const struct weft_es_item *item, char *to, size_t size);

#endif

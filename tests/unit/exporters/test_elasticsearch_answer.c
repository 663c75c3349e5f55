/* SPDX-License-Identifier: Apache-2.0 */
#include "exporters/elasticsearch_answer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#define TEXT(literal) { (const uint8_t *)(literal), sizeof(literal) - 1 }

static void every_item_of_an_answer_has_a_fate(void **state)
{
    /* the fates as letters: done, again, refused; '!' where the answer breaks off; '=' for errors: false */
    const struct { const char *what; struct weft_slice in; const char *fates; } cases[] = {
        { "no errors", TEXT("{\"took\":3,\"errors\":false,\"items\":[{\"create\":{\"status\":201}}]}"), "=" },
        { "errors, but none", TEXT("{\"errors\":true,\"items\":[{\"create\":{\"status\":201}},{\"create\":{\"status\":200}}]}"), "dd" },
        { "items before errors", TEXT("{\"items\":[{\"create\":{\"status\":201}}],\"errors\":false}"), "d" },
        { "was there already", TEXT("{\"errors\":true,\"items\":[{\"create\":{\"status\":409,\"error\":{\"type\":"
                                    "\"version_conflict_engine_exception\",\"reason\":\"exists\"}}}]}"), "d" },
        { "busy", TEXT("{\"errors\":true,\"items\":[{\"create\":{\"status\":429}},{\"create\":{\"status\":503}},"
                       "{\"create\":{\"status\":500}}]}"), "aaa" },
        { "refused", TEXT("{\"errors\":true,\"items\":[{\"create\":{\"status\":400,\"error\":{\"type\":"
                          "\"mapper_parsing_exception\",\"reason\":\"bad\",\"caused_by\":{\"type\":\"x\"}}}}]}"), "r" },
        { "a blocked index", TEXT("{\"errors\":true,\"items\":[{\"create\":{\"error\":{\"type\":\"cluster_block_exception\"},"
                                  "\"status\":403}}]}"), "a" },
        { "another 403", TEXT("{\"errors\":true,\"items\":[{\"create\":{\"error\":{\"type\":\"security_exception\"},\"status\":403}}]}"), "r" },
        { "no status", TEXT("{\"errors\":true,\"items\":[{\"create\":{}}]}"), "a" },
        { "other operations and unknown keys", TEXT("{\"x\":[1,{}],\"errors\":true,\"items\":[{\"index\":{\"_shards\":{\"total\":2},"
                                                    "\"status\":201}}]}"), "d" },
        { "no items at all", TEXT("{\"errors\":true,\"items\":[]}"), "" },
        { "cut in an item", TEXT("{\"errors\":true,\"items\":[{\"create\":{\"status\":201}},{\"create\":{\"sta"), "d!" },
        { "an item that is none", TEXT("{\"errors\":true,\"items\":[{\"create\":{\"status\":201}},7]}"), "d!" },
        { "not an object", TEXT("[]"), "?" },
        { "an object of somebody else's", TEXT("{\"hello\":\"world\"}"), "?" },
        { "not JSON", TEXT("<html>"), "?" },
        { "nothing", TEXT(""), "?" },
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct weft_es_answer a;
        struct weft_es_item item;
        char fates[16] = "";
        size_t n = 0;
        int more = weft_es_answer_open(&a, cases[i].in);
        if (more == 0)
            fates[n++] = '=';
        if (more < 0)
            fates[n++] = '?';
        while (more == 1 && (more = weft_es_answer_next(&a, &item)) != 0)
            fates[n++] = more < 0 ? '!' : "dar"[item.fate];
        fates[n] = 0;
        if (strcmp(fates, cases[i].fates) != 0)
            fail_msg("%s: %s", cases[i].what, fates);
    }
}

static void refusals_are_told_in_the_servers_words(void **state)
{
    const struct { struct weft_slice in; const char *reason, *words; } cases[] = {
        { TEXT("{\"errors\":true,\"items\":[{\"create\":{\"status\":400,\"error\":{\"type\":\"document_parsing_exception\","
               "\"reason\":\"[1:2] failed to parse field [a] of type \\\"long\\\"\\n\"}}}]}"),
          "document_parsing_exception", "document_parsing_exception: [1:2] failed to parse field [a] of type \"long\" " },
        { TEXT("{\"errors\":true,\"items\":[{\"create\":{\"status\":400,\"error\":{\"type\":\"made_up_by_the_server_0815\"}}}]}"),
          "item_4xx", "made_up_by_the_server_0815" },
        { TEXT("{\"errors\":true,\"items\":[{\"create\":{\"status\":502}}]}"), "item_5xx", "" },
        { TEXT("{\"errors\":true,\"items\":[{\"create\":{\"status\":429,\"error\":{\"reason\":\"full\"}}}]}"), "item_429", "full" },
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct weft_es_answer a;
        struct weft_es_item item;
        char words[200];
        assert_int_equal(weft_es_answer_open(&a, cases[i].in), 1);
        assert_int_equal(weft_es_answer_next(&a, &item), 1);
        weft_es_item_words(&item, words, sizeof words);
        assert_string_equal(item.reason, cases[i].reason);
        assert_string_equal(words, cases[i].words);
        weft_es_item_words(&item, words, 5);
        assert_true(strlen(words) < 5);
    }
}

static void every_whole_answer_has_one_verdict(void **state)
{
    const struct {
        const char *what;
        struct weft_http_result in;
        enum weft_outcome outcome;
        const char *reason, *detail;
        uint64_t retry_after_ms;
        bool too_large;
    } cases[] = {
        { "200", { .status = 200 }, WEFT_SENT, "sent", "", 0, false },
        { "429 with a time", { .status = 429, .retry_after = "3", .body = TEXT("{\"error\":{\"type\":\"es_rejected_execution_exception\","
                                                                               "\"reason\":\"full\"},\"status\":429}") },
          WEFT_RETRY, "http_429", "es_rejected_execution_exception: full", 3000, false },
        { "503 of a node that leaves", { .status = 503 }, WEFT_RETRY, "http_503", "", 0, false },
        { "500", { .status = 500 }, WEFT_RETRY, "http_500", "", 0, false },
        { "408", { .status = 408 }, WEFT_RETRY, "http_408", "", 0, false },
        { "413", { .status = 413 }, WEFT_REJECTED, "http_413", "", 0, true },
        { "401 of a proxy", { .status = 401, .body = TEXT("who\tare you?") }, WEFT_REJECTED, "http_401", "who are you?", 0, false },
        { "a proxy with backslashes", { .status = 400, .body = TEXT("C:\\x") }, WEFT_REJECTED, "http_400", "", 0, false },
        { "400", { .status = 400, .body = TEXT("{\"error\":{\"root_cause\":[{\"type\":\"x\"}],\"type\":\"illegal_argument_exception\",\"reason\":\"no\"}}") },
          WEFT_REJECTED, "http_400", "illegal_argument_exception: no", 0, false },
        { "a redirect", { .status = 301 }, WEFT_REJECTED, "http_301", "", 0, false },
        { "nobody there", { .err = UV_ECONNREFUSED, .reason = "refused" }, WEFT_RETRY, "connection", "refused", 0, false },
        { "silence", { .err = UV_ETIMEDOUT, .reason = "late" }, WEFT_RETRY, "timeout", "late", 0, false },
        { "stopped", { .err = UV_ECANCELED }, WEFT_RETRY, "stopped", "", 0, false },
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct weft_es_verdict v;
        weft_es_judge(&cases[i].in, 0, &v);
        if (v.outcome != cases[i].outcome || strcmp(v.reason, cases[i].reason) != 0 ||
            strcmp(v.detail, cases[i].detail) != 0 || v.retry_after_ms != cases[i].retry_after_ms ||
            v.too_large != cases[i].too_large)
            fail_msg("%s: %d %s '%s' %llu %d", cases[i].what, (int)v.outcome, v.reason, v.detail,
                     (unsigned long long)v.retry_after_ms, v.too_large);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_item_of_an_answer_has_a_fate),
        cmocka_unit_test(refusals_are_told_in_the_servers_words),
        cmocka_unit_test(every_whole_answer_has_one_verdict),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

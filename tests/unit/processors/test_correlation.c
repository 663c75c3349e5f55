/* SPDX-License-Identifier: Apache-2.0 */
#include "processors/correlation.h"

#include "core/arena.h"
#include "core/err.h"
#include "core/otlp.h"
#include "tests/support/splice_check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

enum { SCRATCH = 1 << 24, REQUEST_MAX = 1 << 20, COUNTERS_MAX = 16 };

/* ---- an instance as the agent makes it ---- */

static struct weft_processor *processor;
static struct weft_arena option_arena, scratch;
static _Atomic uint64_t counters[COUNTERS_MAX * WEFT_SIGNALS];

static int make_processor(void **state)
{
    struct weft_problems problems = { .arena = &option_arena };
    (void)state;

    weft_arena_init(&option_arena, 1 << 20);
    weft_arena_init(&scratch, SCRATCH);
    processor = calloc(1, weft_processor_correlation.size);
    if (!processor || weft_options_load(weft_processor_correlation.options, "processors::correlation", NULL, processor,
                                        &option_arena, &problems) != 0)
        return -1;
    processor->type = &weft_processor_correlation;
    processor->counters = counters;
    return weft_processor_correlation.check(processor, NULL, &problems) || weft_processor_correlation.start(processor);
}

static int free_processor(void **state)
{
    (void)state;
    free(processor);
    weft_arena_release(&scratch);
    weft_arena_release(&option_arena);
    return 0;
}

static uint64_t counter_of(enum weft_signal signal, const char *name, const char *value)
{
    for (size_t i = 0; i < weft_processor_correlation.n_counters; i++) {
        const struct weft_counter *row = &weft_processor_correlation.counter_rows[i];

        if (strcmp(row->name, name) == 0 && (!value || strcmp(row->value, value) == 0))
            return atomic_load(&counters[i * WEFT_SIGNALS + signal]);
    }
    fail_msg("no counter %s", name);
    return 0;
}

static struct weft_slice process(enum weft_signal signal, struct weft_slice payload)
{
    struct weft_record record = { .signal = signal, .payload = payload };
    uint32_t before, after;

    weft_arena_reset(&scratch);
    assert_int_equal(weft_otlp_count(signal, payload, &before), 0);
    record.n_items = before;
    assert_int_equal(weft_processor_correlation.process(processor, &record, &scratch), 1);
    assert_int_equal(weft_otlp_count(signal, record.payload, &after), 0);
    assert_int_equal(before, after);
    const char *wrong = splice_check(signal, payload, record.payload);
    if (wrong)
        fail_msg("%s", wrong);
    return record.payload;
}

/* ---- requests from words ---- */

/* One item: its trace ("A" is aa..., "" none), its attributes ("key=value", "key=[value]" for a header), the trace of
 * a link; and what must come of it: the ID ("A": the trace ID in hex; "" no tag), inferred, the trace that it ends with. */
struct item {
    const char *trace, *attributes[3], *link;
    const char *id;
    bool inferred;
    const char *trace_after;
};

static void put_trace(struct weft_buf *b, uint32_t number, const char *trace)
{
    uint8_t id[16];

    if (!trace || !*trace)
        return;
    memset(id, trace[0] - 'A' + 0xa1, sizeof id);
    weft_wire_put_bytes(b, number, weft_slice_of(id, sizeof id));
}

static void put_pair(struct weft_buf *b, uint32_t number, const char *pair)
{
    const char *eq = strchr(pair, '=');
    const struct weft_slice key = weft_slice_of(pair, (size_t)(eq - pair));
    struct weft_slice value = weft_slice_str(eq + 1);
    const bool is_header = value.len > 1 && value.data[0] == '[';

    if (weft_slice_is(value, "true")) {
        weft_attribute_put_bool(b, number, key, true);
        return;
    }
    if (!is_header) {
        weft_attribute_put_string(b, number, key, value);
        return;
    }
    const size_t kv = weft_wire_begin(b, number);
    weft_wire_put_bytes(b, WEFT_KEYVALUE_KEY, key);
    const size_t any = weft_wire_begin(b, WEFT_KEYVALUE_VALUE), array = weft_wire_begin(b, WEFT_VALUE_ARRAY);
    weft_any_put_string(b, WEFT_ARRAY_VALUES, weft_slice_of(value.data + 1, value.len - 2));
    weft_any_put_string(b, WEFT_ARRAY_VALUES, WEFT_SLICE("second-value"));
    weft_wire_end(b, array);
    weft_wire_end(b, any);
    weft_wire_end(b, kv);
}

static const uint32_t trace_field[] = { WEFT_SPAN_TRACE_ID, WEFT_LOG_TRACE_ID, WEFT_EXEMPLAR_TRACE_ID };
static const uint32_t attributes_field[] = { WEFT_SPAN_ATTRIBUTES, WEFT_LOG_ATTRIBUTES, WEFT_EXEMPLAR_ATTRIBUTES };

static void put_item(struct weft_buf *b, enum weft_signal signal, const struct item *item)
{
    size_t marks[3] = { 0 }, leaf;

    if (signal == WEFT_METRICS) {
        marks[0] = weft_wire_begin(b, WEFT_OTLP_ITEMS);
        weft_wire_put_bytes(b, WEFT_METRIC_NAME, WEFT_SLICE("latency"));
        marks[1] = weft_wire_begin(b, WEFT_METRIC_HISTOGRAM);
        marks[2] = weft_wire_begin(b, WEFT_DATA_POINTS);
        leaf = weft_wire_begin(b, WEFT_HISTOGRAM_POINT_EXEMPLARS);
    } else {
        leaf = weft_wire_begin(b, WEFT_OTLP_ITEMS);
    }
    put_trace(b, trace_field[signal], item->trace);
    for (int i = 0; i < 3 && item->attributes[i]; i++)
        put_pair(b, attributes_field[signal], item->attributes[i]);
    if (item->link) {
        const size_t link = weft_wire_begin(b, WEFT_SPAN_LINKS);
        put_trace(b, WEFT_SPAN_LINK_TRACE_ID, item->link);
        weft_wire_end(b, link);
    }
    weft_wire_end(b, leaf);
    for (int i = 3; signal == WEFT_METRICS && i > 0; i--)
        weft_wire_end(b, marks[i - 1]);
}

struct result {
    struct weft_slice id, trace;
    bool inferred;
    int ids;
};

static struct result read_item(enum weft_signal signal, struct weft_slice item)
{
    struct result r = { 0 };
    struct weft_attributes it = weft_attributes_of(item, attributes_field[signal]);
    struct weft_attribute a;
    struct weft_slice rest = item, trace;

    while (weft_attributes_next(&it, &a) > 0) {
        if (weft_slice_is(a.key, "correlation.id")) {
            r.id = a.value.bytes;
            r.ids++;
        }
        r.inferred = r.inferred || (weft_slice_is(a.key, "correlation.inferred") && a.value.integer);
    }
    while (weft_wire_next_bytes(&rest, trace_field[signal], &trace) > 0)
        r.trace = trace;
    return r;
}

/* The n-th item, or the exemplar of the n-th metric. */
static struct result read_nth(enum weft_signal signal, struct weft_slice payload, size_t n)
{
    struct weft_otlp_walk w;
    struct weft_metric_view metric;
    struct weft_slice point, exemplar;

    weft_otlp_walk_init(&w, payload);
    for (size_t i = 0; i <= n; i++)
        assert_int_equal(weft_otlp_walk_next(&w), 1);
    if (signal != WEFT_METRICS)
        return read_item(signal, w.item);
    assert_int_equal(weft_metric_read(w.item, &metric), 0);
    assert_int_equal(weft_metric_point_next(&metric.data, &point), 1);
    assert_int_equal(weft_wire_next_bytes(&point, WEFT_HISTOGRAM_POINT_EXEMPLARS, &exemplar), 1);
    return read_item(signal, exemplar);
}

static void hex_of(const char *trace, char *out)
{
    for (int i = 0; i < 16; i++)
        (void)snprintf(out + 2 * i, 3, "%02x", trace[0] - 'A' + 0xa1);
}

static void check_item(const char *what, size_t n, const struct item *item, struct result r)
{
    char hex[33];
    const char *id = item->id;

    if (id[0] >= 'A' && id[0] <= 'F' && !id[1]) {
        hex_of(id, hex);
        id = hex;
    }
    if (r.ids > 1 || !weft_slice_is(r.id, id) || r.inferred != item->inferred)
        fail_msg("%s: item %zu got %d IDs, the last '%.*s', inferred %d", what, n, r.ids, (int)r.id.len,
                 r.id.len ? (const char *)r.id.data : "", r.inferred);
    const char *trace = item->trace_after ? item->trace_after : item->trace;
    if (trace && *trace ? r.trace.len != 16 || r.trace.data[0] != trace[0] - 'A' + 0xa1 : r.trace.len > 0)
        fail_msg("%s: item %zu has another trace", what, n);
}

#define T WEFT_TRACES
#define L WEFT_LOGS
#define M WEFT_METRICS
#define X128 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef" \
             "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static const struct rule_case {
    const char *what;
    enum weft_signal signal;
    const char *resource; /* an attribute of the resource, or NULL */
    struct item items[4];
} rule_cases[] = {
    { "present stays", T, NULL, { { "A", { "correlation.id=c-1" }, NULL, "c-1", false, NULL } } },
    { "another spelling is explicit", T, NULL, { { "A", { "correlation_id=c-1" }, NULL, "c-1", false, NULL } } },
    { "case does not matter", L, NULL, { { "", { "X-Correlation-ID=c-1" }, NULL, "c-1", false, NULL } } },
    { "a header is an array and its first value counts", T, NULL,
      { { "A", { "http.request.header.x-correlation-id=[c-1]" }, NULL, "c-1", false, NULL } } },
    { "the order of the list decides, not that of the attributes", T, NULL,
      { { "A", { "x-request-id=r-1", "x-correlation-id=c-2", "correlation_id=c-1" }, NULL, "c-1", false, NULL } } },
    { "a request ID when there is nothing better", L, NULL,
      { { "A", { "request_id=r-1" }, NULL, "r-1", false, NULL } } },
    { "baggage in an attribute", T, NULL,
      { { "A", { "http.request.header.baggage=[user=u, correlation.id=c%2D1;p=1]" }, NULL, "c-1", false, NULL } } },
    { "the resource's ID", L, "correlation.id=job-7", { { "A", { "x=y" }, NULL, "job-7", false, NULL } } },
    { "the item's own before the resource's", L, "correlation.id=job-7",
      { { "A", { "request_id=r-1" }, NULL, "r-1", false, NULL } } },
    { "the trace ID at the end", T, NULL, { { "A", { "x=y" }, NULL, "A", true, NULL } } },
    { "nothing to go by", L, NULL, { { "", { "x=y" }, NULL, "", false, NULL } } },
    { "a span teaches its trace, also backwards", T, NULL,
      { { "A", { "x=y" }, NULL, "c-1", true, NULL },
        { "A", { "correlation.id=c-1" }, NULL, "c-1", false, NULL },
        { "A", { NULL }, NULL, "c-1", true, NULL },
        { "B", { NULL }, NULL, "B", true, NULL } } },
    { "a link carries the ID over", T, NULL,
      { { "B", { NULL }, "A", "c-1", true, NULL },
        { "A", { "correlation.id=c-1" }, NULL, "c-1", false, NULL },
        { "B", { NULL }, NULL, "c-1", true, NULL } } },
    { "links in a row, last first", T, NULL,
      { { "C", { NULL }, "B", "c-1", true, NULL },
        { "B", { NULL }, "A", "c-1", true, NULL },
        { "A", { "correlation.id=c-1" }, NULL, "c-1", false, NULL } } },
    { "links in a circle", T, NULL,
      { { "A", { NULL }, "B", "A", true, NULL }, { "B", { NULL }, "A", "B", true, NULL } } },
    { "a correlation ID is stronger than a request ID of the same trace", T, NULL,
      { { "A", { "request_id=r-1" }, NULL, "c-1", true, NULL },
        { "A", { "correlation.id=c-1" }, NULL, "c-1", false, NULL },
        { "A", { NULL }, NULL, "c-1", true, NULL } } },
    { "two IDs in one trace: each keeps its own", T, NULL,
      { { "A", { "correlation_id=c-1" }, NULL, "c-1", false, NULL },
        { "A", { "correlation_id=c-2" }, NULL, "c-2", false, NULL },
        { "A", { NULL }, NULL, "c-1", true, NULL } } },
    { "a log with a request ID alone gets its trace and its ID", L, NULL,
      { { "", { "request_id=r-1" }, NULL, "c-1", true, "A" },
        { "A", { "request_id=r-1", "correlation.id=c-1" }, NULL, "c-1", false, NULL } } },
    { "the ID of the trace that the request ID leads to", L, NULL,
      { { "", { "request_id=r-1" }, NULL, "c-1", true, "A" },
        { "A", { "requestId=r-1" }, NULL, "c-1", true, NULL },
        { "A", { "correlation.id=c-1" }, NULL, "c-1", false, NULL } } },
    { "a request ID of two traces lends neither", L, NULL,
      { { "", { "request_id=r-1" }, NULL, "r-1", false, NULL },
        { "A", { "request_id=r-1" }, NULL, "r-1", false, NULL },
        { "B", { "request_id=r-1" }, NULL, "r-1", false, NULL },
        { "A", { "request_id=r-1" }, NULL, "r-1", false, NULL } } },
    { "an ID that another agent inferred stays, but teaches less than an explicit one", T, NULL,
      { { "A", { "correlation.id=i-1", "correlation.inferred=true" }, NULL, "i-1", true, NULL },
        { "A", { NULL }, NULL, "c-1", true, NULL },
        { "A", { "correlation_id=c-1" }, NULL, "c-1", false, NULL } } },
    { "causation.id is left as it is", L, NULL,
      { { "A", { "causation.id=m-1" }, NULL, "A", true, NULL } } },
    { "128 bytes are an ID", T, NULL, { { "A", { "correlation_id=" X128 }, NULL, X128, false, NULL } } },
    { "129 are none", T, NULL, { { "A", { "correlation_id=" X128 "0" }, NULL, "A", true, NULL } } },
    { "an invalid value gives way to the next key", T, NULL,
      { { "A", { "correlation_id=\x01", "request_id=r-1" }, NULL, "r-1", false, NULL } } },
    { "a present but invalid one stays, and teaches nothing", L, NULL,
      { { "A", { "correlation.id=bad\n" }, NULL, "bad\n", false, NULL }, { "A", { NULL }, NULL, "A", true, NULL } } },
    { "an exemplar gets the trace ID", M, NULL, { { "A", { NULL }, NULL, "A", true, NULL } } },
    { "an exemplar gets what another one teaches", M, NULL,
      { { "A", { NULL }, NULL, "c-1", true, NULL }, { "A", { "correlation.id=c-1" }, NULL, "c-1", false, NULL } } },
    { "an exemplar without a trace stays as it is", M, NULL, { { "", { "x=y" }, NULL, "", false, NULL } } },
};

static void each_rule_gives_the_id_that_it_promises(void **state)
{
    (void)state;

    for (size_t c = 0; c < sizeof rule_cases / sizeof *rule_cases; c++) {
        const struct rule_case *rc = &rule_cases[c];
        struct weft_buf b, resource;
        size_t n = 0;

        weft_buf_init(&b, REQUEST_MAX);
        weft_buf_init(&resource, REQUEST_MAX);
        if (rc->resource)
            put_pair(&resource, WEFT_RESOURCE_ATTRIBUTES, rc->resource);
        const struct weft_otlp_group group = weft_otlp_group_open(&b, weft_buf_slice(&resource), (struct weft_slice){ 0 });
        for (; n < 4 && rc->items[n].id; n++)
            put_item(&b, rc->signal, &rc->items[n]);
        weft_otlp_group_close(&b, group);

        const struct weft_slice out = process(rc->signal, weft_buf_slice(&b));
        for (size_t i = 0; i < n; i++)
            check_item(rc->what, i, &rc->items[i], read_nth(rc->signal, out, i));
        /* Once more: everything is there now, so nothing may change. */
        uint8_t *copy = malloc(out.len);
        assert_non_null(copy);
        memcpy(copy, out.data, out.len);
        const struct weft_slice again = process(rc->signal, weft_slice_of(copy, out.len));
        if (again.data != copy || again.len != out.len)
            fail_msg("%s: a second pass changed it", rc->what);
        free(copy);
        weft_buf_release(&b);
        weft_buf_release(&resource);
    }
}

static void a_field_of_a_structured_body_counts(void **state)
{
    struct weft_buf b;
    (void)state;

    weft_buf_init(&b, REQUEST_MAX);
    const struct weft_otlp_group group = weft_otlp_group_open(&b, (struct weft_slice){ 0 }, (struct weft_slice){ 0 });
    const size_t item = weft_wire_begin(&b, WEFT_OTLP_ITEMS), body = weft_wire_begin(&b, WEFT_LOG_BODY);
    const size_t map = weft_wire_begin(&b, WEFT_VALUE_KVLIST);
    weft_attribute_put_string(&b, WEFT_KVLIST_VALUES, WEFT_SLICE("msg"), WEFT_SLICE("paid"));
    weft_attribute_put_int(&b, WEFT_KVLIST_VALUES, WEFT_SLICE("correlationId"), 4711);
    weft_wire_end(&b, map);
    weft_wire_end(&b, body);
    weft_wire_end(&b, item);
    weft_otlp_group_close(&b, group);
    const struct result r = read_nth(WEFT_LOGS, process(WEFT_LOGS, weft_buf_slice(&b)), 0);
    assert_true(weft_slice_is(r.id, "4711") && !r.inferred);
    weft_buf_release(&b);
}

static void every_item_is_counted_once(void **state)
{
    uint64_t sum = 0;
    (void)state;

    atomic_thread_fence(memory_order_seq_cst);
    memset((void *)counters, 0, sizeof counters);
    each_rule_gives_the_id_that_it_promises(state);
    for (size_t c = 0; c < sizeof rule_cases / sizeof *rule_cases; c++)
        for (size_t n = 0; n < 4 && rule_cases[c].items[n].id; n++)
            sum += 2; /* each case runs twice */
    uint64_t counted = 0;
    for (size_t i = 0; i < weft_processor_correlation.n_counters; i++)
        for (int s = 0; s < WEFT_SIGNALS; s++)
            if (strstr(weft_processor_correlation.counter_rows[i].name, "_records"))
                counted += atomic_load(&counters[i * WEFT_SIGNALS + (size_t)s]);
    assert_int_equal(counted, sum);
    assert_int_equal(counter_of(WEFT_LOGS, "correlation_inherited_trace_ids", NULL), 2);
    assert_int_equal(counter_of(WEFT_TRACES, "correlation_tagged_records", "link"), 4);
    assert_int_equal(counter_of(WEFT_METRICS, "correlation_tagged_records", "trace_id"), 1);
    /* two on the first pass; the present one of the logs is looked at in both */
    assert_int_equal(counter_of(WEFT_LOGS, "correlation_invalid_values", NULL), 2);
}

/* ---- real requests ---- */

static struct weft_slice load(struct weft_buf *into, const char *name)
{
    char path[512];
    uint8_t *at = weft_buf_reserve(into, REQUEST_MAX / 2);

    (void)snprintf(path, sizeof path, "%s/tests/samples/otlp-proto/%s", WEFT_SOURCE_DIR, name);
    FILE *f = fopen(path, "rb");
    if (!f || !at)
        fail_msg("%s: cannot read", path);
    into->len = fread(at, 1, REQUEST_MAX / 2, f);
    fclose(f);
    return weft_buf_slice(into);
}

static void samples_keep_every_other_byte(void **state)
{
    static const char *const names[] = {
        "traces-frontend.pb",  "traces-order-service.pb",  "traces-payment-service.pb", "traces-inventory-service.pb",
        "logs-frontend.pb",    "logs-order-service.pb",    "logs-payment-service.pb",   "metrics-frontend.pb",
        "metrics-order-service.pb",
    };
    static const enum weft_signal signals[] = { ['t'] = WEFT_TRACES, ['l'] = WEFT_LOGS, ['m'] = WEFT_METRICS };
    (void)state;

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct weft_buf b;

        weft_buf_init(&b, REQUEST_MAX);
        process(signals[(unsigned char)names[i][0]], load(&b, names[i])); /* process checks the bytes */
        weft_buf_release(&b);
    }
}

/* A request of spans with long and short names, so that lengths pass 127 and 16383 by being tagged. */
static void lengths_that_grow_by_a_byte_are_right(void **state)
{
    static uint8_t name[20000];
    struct weft_buf b;
    (void)state;

    weft_buf_init(&b, REQUEST_MAX);
    memset(name, 'n', sizeof name);
    for (size_t len = 0; len < 16500; len += len < 300 || len > 16200 ? 1 : 997) {
        weft_buf_reset(&b);
        const size_t resource = weft_wire_begin(&b, WEFT_REQUEST_GROUPS);
        const size_t scope = len % 2 ? weft_wire_begin(&b, WEFT_RESOURCE_GROUP_SCOPES)
                                     : weft_wire_begin_wide(&b, WEFT_RESOURCE_GROUP_SCOPES);
        const size_t span = weft_wire_begin(&b, WEFT_OTLP_ITEMS);
        put_trace(&b, WEFT_SPAN_TRACE_ID, "A");
        weft_wire_put_bytes(&b, WEFT_SPAN_NAME, weft_slice_of(name, len));
        weft_wire_end(&b, span);
        if (len % 2)
            weft_wire_end(&b, scope);
        else
            weft_wire_end_wide(&b, scope);
        weft_wire_end(&b, resource);
        process(WEFT_TRACES, weft_buf_slice(&b));
    }
    weft_buf_release(&b);
}

static void too_little_memory_is_an_error_and_changes_nothing(void **state)
{
    struct weft_buf b;
    int failed = 0;
    (void)state;

    weft_buf_init(&b, REQUEST_MAX);
    const struct weft_slice payload = load(&b, "traces-order-service.pb");
    for (size_t limit = 0;; limit += 64) {
        struct weft_record record = { .signal = WEFT_TRACES, .payload = payload };
        struct weft_arena small;

        weft_arena_init(&small, limit);
        int result = weft_processor_correlation.process(processor, &record, &small);
        if (result == WEFT_ERR_LIMIT) {
            assert_ptr_equal(record.payload.data, payload.data);
            failed++;
        } else {
            assert_int_equal(result, 1);
        }
        weft_arena_release(&small);
        if (result == 1)
            break;
        assert_true(limit < REQUEST_MAX);
    }
    assert_true(failed > 3);
    weft_buf_release(&b);
}

/* ---- allocations ---- */
#if defined(__SANITIZE_ADDRESS__)
/* Of the sanitizer's run time; its header is not installed everywhere. */
int __sanitizer_install_malloc_and_free_hooks(void (*on_malloc)(const volatile void *, size_t),
                                              void (*on_free)(const volatile void *));

static unsigned long allocations;
static void on_malloc(const volatile void *at, size_t size)
{
    (void)at;
    (void)size;
    allocations++;
}
static void on_free(const volatile void *at)
{
    (void)at;
}

static void a_warm_arena_serves_a_request_without_malloc(void **state)
{
    struct weft_buf b;
    struct item item = { "A", { "http.route=/checkout", "x-request-id=r-1" }, NULL, "", false, NULL };
    (void)state;

    weft_buf_init(&b, REQUEST_MAX);
    const struct weft_otlp_group group = weft_otlp_group_open(&b, (struct weft_slice){ 0 }, (struct weft_slice){ 0 });
    for (int i = 0; i < 100; i++)
        put_item(&b, WEFT_TRACES, &item);
    weft_otlp_group_close(&b, group);

    struct weft_record record = { .signal = WEFT_TRACES, .payload = weft_buf_slice(&b) };
    weft_arena_reset(&scratch);
    assert_int_equal(weft_processor_correlation.process(processor, &record, &scratch), 1);
    weft_arena_reset(&scratch);
    record.payload = weft_buf_slice(&b);
    if (!__sanitizer_install_malloc_and_free_hooks(on_malloc, on_free))
        skip();
    allocations = 0;
    assert_int_equal(weft_processor_correlation.process(processor, &record, &scratch), 1);
    const unsigned long n = allocations;
    /* A few blocks of the arena for the request, none for a span. */
    if (n > 6)
        fail_msg("%lu allocations for 100 spans", n);
    weft_buf_release(&b);
}
#else
static void a_warm_arena_serves_a_request_without_malloc(void **state)
{
    (void)state;
    skip(); /* counts through the sanitizer's hooks: the dev preset runs it */
}
#endif

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_rule_gives_the_id_that_it_promises),
        cmocka_unit_test(a_field_of_a_structured_body_counts),
        cmocka_unit_test(every_item_is_counted_once),
        cmocka_unit_test(samples_keep_every_other_byte),
        cmocka_unit_test(lengths_that_grow_by_a_byte_are_right),
        cmocka_unit_test(too_little_memory_is_an_error_and_changes_nothing),
        cmocka_unit_test(a_warm_arena_serves_a_request_without_malloc),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, make_processor, free_processor);
}

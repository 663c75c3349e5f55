/* SPDX-License-Identifier: Apache-2.0 */
/* bench_core.c: nanoseconds per span of the steps that every span goes through, beside a memcpy of the same bytes.
 *
 *   bench_core [REPEATS]
 *
 * 64 requests of 100 spans, each with 10 attributes and about 500 bytes; the best of 15 rounds, since others share the machine. */
#include "core/arena.h"
#include "core/clock.h"
#include "core/otlp.h"
#include "processors/correlation.h"

#include <stdio.h>
#include <stdlib.h>

enum { REQUESTS = 64, SPANS = 100, ATTRIBUTES = 10, ROUNDS = 15, REQUEST_MAX = 1 << 18 };

static struct weft_buf requests[REQUESTS];
static uint8_t target[REQUEST_MAX];
static uint64_t sink; /* what was read goes here, so that it must be read */

/* Which spans carry an ID of their own. */
enum ids { TRACE_ONLY, ONE_IN_TEN, ALL };

static void put_span(struct weft_buf *b, unsigned request, unsigned n, enum ids ids)
{
    static const char *const keys[ATTRIBUTES] = {
        "http.request.method",  "http.route",          "http.response.status_code", "url.scheme",
        "server.address",       "network.peer.address", "user_agent.original",      "session.id",
        "deployment.environment", "thread.name",
    };
    uint8_t id[16];
    char text[64];
    const size_t mark = weft_wire_begin(b, WEFT_OTLP_ITEMS);

    for (size_t i = 0; i < sizeof id; i++)
        id[i] = (uint8_t)(request * 31 + n / 10 * 7 + i + 1);
    weft_wire_put_bytes(b, WEFT_SPAN_TRACE_ID, weft_slice_of(id, 16));
    id[0] = (uint8_t)n;
    weft_wire_put_bytes(b, WEFT_SPAN_SPAN_ID, weft_slice_of(id, 8));
    weft_wire_put_bytes(b, WEFT_SPAN_PARENT_SPAN_ID, weft_slice_of(id + 8, 8));
    weft_wire_put_bytes(b, WEFT_SPAN_NAME, WEFT_SLICE("GET /checkout/{cart}"));
    weft_wire_put_varint(b, WEFT_SPAN_KIND, 2);
    weft_wire_put_fixed64(b, WEFT_SPAN_START, 1795196810163000000 + n);
    weft_wire_put_fixed64(b, WEFT_SPAN_END, 1795196810186000000 + n);
    for (unsigned i = 0; i < ATTRIBUTES; i++) {
        (void)snprintf(text, sizeof text, "value-%u-of-%u", i, n);
        const bool has_id = i == 7 && (ids == ALL || (ids == ONE_IN_TEN && n % 10 == 0));
        if (has_id)
            weft_attribute_put_string(b, WEFT_SPAN_ATTRIBUTES, weft_slice_str(ids == ALL ? "request_id" : "correlationId"),
                                      weft_slice_str(text));
        else if (i == 2)
            weft_attribute_put_int(b, WEFT_SPAN_ATTRIBUTES, weft_slice_str(keys[i]), 200);
        else
            weft_attribute_put_string(b, WEFT_SPAN_ATTRIBUTES, weft_slice_str(keys[i]), weft_slice_str(text));
    }
    weft_wire_put_bytes(b, WEFT_SPAN_STATUS, (struct weft_slice){ (const uint8_t *)"", 0 });
    weft_wire_put_fixed32(b, WEFT_SPAN_FLAGS, 0x101);
    weft_wire_end(b, mark);
}

static void build(enum ids ids)
{
    struct weft_buf resource;

    weft_buf_init(&resource, 4096);
    weft_attribute_put_string(&resource, WEFT_RESOURCE_ATTRIBUTES, WEFT_SLICE("service.name"), WEFT_SLICE("frontend"));
    for (unsigned r = 0; r < REQUESTS; r++) {
        weft_buf_release(&requests[r]);
        weft_buf_init(&requests[r], REQUEST_MAX);
        const struct weft_otlp_group group =
            weft_otlp_group_open(&requests[r], weft_buf_slice(&resource), (struct weft_slice){ 0 });
        for (unsigned n = 0; n < SPANS; n++)
            put_span(&requests[r], r, n, ids);
        weft_otlp_group_close(&requests[r], group);
    }
    weft_buf_release(&resource);
}

/* ---- the steps ---- */

static void copy(struct weft_slice payload)
{
    memcpy(target, payload.data, payload.len);
    sink += target[payload.len / 2];
}

static void walk(struct weft_slice payload)
{
    struct weft_otlp_walk w;

    weft_otlp_walk_init(&w, payload);
    while (weft_otlp_walk_next(&w) > 0)
        sink += w.item.len;
}

static void fields(struct weft_slice payload)
{
    struct weft_otlp_walk w;
    struct weft_span_view span;

    weft_otlp_walk_init(&w, payload);
    while (weft_otlp_walk_next(&w) > 0 && weft_span_read(w.item, &span) == 0)
        sink += span.n_attributes + span.end_ns;
}

static void attributes(struct weft_slice payload)
{
    struct weft_otlp_walk w;
    struct weft_span_view span;
    struct weft_attribute a;

    weft_otlp_walk_init(&w, payload);
    while (weft_otlp_walk_next(&w) > 0 && weft_span_read(w.item, &span) == 0) {
        struct weft_attributes it = weft_attributes_of(w.item, WEFT_SPAN_ATTRIBUTES);

        while (weft_attributes_next(&it, &a) > 0)
            sink += a.key.len + a.value.bytes.len;
    }
}

static void count(struct weft_slice payload)
{
    uint32_t items = 0;

    if (weft_otlp_count(WEFT_TRACES, payload, &items) != 0)
        abort();
    sink += items;
}

/* ---- the correlation processor ---- */

static struct weft_processor *processor;
static struct weft_arena options_arena, scratch;

static void make_processor(void)
{
    struct weft_problems problems = { .arena = &options_arena };

    weft_arena_init(&options_arena, 1 << 20);
    weft_arena_init(&scratch, 1 << 24);
    processor = calloc(1, weft_processor_correlation.size);
    if (!processor ||
        weft_options_load(weft_processor_correlation.options, "processors::correlation", NULL, processor, &options_arena,
                          &problems) != 0 ||
        weft_processor_correlation.start(processor) != 0)
        abort();
}

static void tag(struct weft_slice payload)
{
    struct weft_record record = { .signal = WEFT_TRACES, .payload = payload };

    weft_arena_reset(&scratch);
    if (weft_processor_correlation.process(processor, &record, &scratch) != 1)
        abort();
    sink += record.payload.len;
}

/* ---- */

static void measure(const char *what, void (*step)(struct weft_slice), unsigned repeats)
{
    double best = 1e9;

    for (int round = 0; round < ROUNDS; round++) {
        const uint64_t start = weft_clock_mono_ns();

        for (unsigned i = 0; i < repeats; i++)
            for (unsigned r = 0; r < REQUESTS; r++)
                step(weft_buf_slice(&requests[r]));
        const double ns = (double)(weft_clock_mono_ns() - start) / ((double)repeats * REQUESTS * SPANS);
        best = ns < best ? ns : best;
    }
    printf("%-40s %8.1f ns/span\n", what, best);
}

int main(int argc, char **argv)
{
    const unsigned repeats = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 20;

    build(TRACE_ONLY);
    printf("%zu bytes per span\n", requests[0].len / SPANS);
    measure("memcpy of the request", copy, repeats);
    measure("walk (bounds of each span)", walk, repeats);
    measure("all span fields", fields, repeats);
    measure("all span fields and attributes", attributes, repeats);
    measure("weft_otlp_count", count, repeats);
    make_processor();
    measure("correlation: tag from the trace ID", tag, repeats);
    build(ONE_IN_TEN);
    measure("correlation: one span in ten has an ID", tag, repeats);
    build(ALL);
    measure("correlation: all spans have a request ID", tag, repeats);
    printf("(%llu)\n", (unsigned long long)sink);
    return 0;
}

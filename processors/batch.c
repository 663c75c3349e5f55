/* SPDX-License-Identifier: Apache-2.0 */
/* batch.c: the Collector's batch processor, accepted and transparent.
 *
 * In Weft a batch is made where it is sent: each exporter takes as many records from the journal as its request should
 * hold (the exporter's own batch options). A second queue in the pipeline would only hold data that nobody has acknowledged
 * durably. The keys are read so that a Collector configuration runs unchanged; every record passes as it is.
 */
#include "processors/batch.h"

struct batch {
    struct weft_processor base;
};

static const struct weft_option options[] = {
    WEFT_IGNORED("send_batch_size", .help = "stands in: the exporter's batch options"),
    WEFT_IGNORED("send_batch_max_size", .fallback = "0", .warns = true,
                 .help = "an exporter sizes its requests itself; see its batch.max_items"),
    WEFT_IGNORED("timeout", .help = "an exporter sends at once what is there; nothing waits for a batch to fill"),
    WEFT_IGNORED("metadata_keys", .help = "records are never mixed across requests"),
    WEFT_IGNORED("metadata_cardinality_limit", .help = "records are never mixed across requests"),
    { .key = NULL },
};

static int start(struct weft_processor *self)
{
    weft_log(self->log, WEFT_LOG_INFO, self->id,
             "batching is done by each exporter as it reads the journal; this processor passes everything on unchanged");
    return 0;
}

static int process(struct weft_processor *self, struct weft_record *record, struct weft_arena *scratch)
{
    (void)self;
    (void)record;
    (void)scratch;
    return 1;
}

const struct weft_processor_type weft_processor_batch = {
    .name = "batch",
    .summary = "accepted for the Collector's sake: exporters batch as they read the journal",
    .size = sizeof(struct batch),
    .signals = 1u << WEFT_TRACES | 1u << WEFT_LOGS | 1u << WEFT_METRICS,
    .options = options,
    .start = start,
    .process = process,
};

/* SPDX-License-Identifier: Apache-2.0 */
/* registry.c: see registry.h. Static tables; a component joins by its declaration and one row. */
#include "agent/registry.h"

#include "exporters/debug.h"
#include "exporters/elasticsearch.h"
#include "exporters/file.h"
#include "exporters/otlp.h"
#include "exporters/prometheus.h"
#include "processors/batch.h"
#include "processors/correlation.h"
#include "processors/memory_limiter.h"
#include "receivers/filelog.h"
#include "receivers/otlp.h"

#include <string.h>


static const struct weft_receiver_type *const receivers[] = {
    &weft_receiver_filelog,
    &weft_receiver_otlp,
    NULL,
};

static const struct weft_processor_type *const processors[] = {
    &weft_processor_batch,
    &weft_processor_correlation,
    &weft_processor_memory_limiter,
    NULL,
};

static const struct weft_exporter_type *const exporters[] = {
    &weft_exporter_debug,
    &weft_exporter_elasticsearch,
    &weft_exporter_file,
    &weft_exporter_jaeger,
    &weft_exporter_otlp,
    &weft_exporter_otlphttp,
    &weft_exporter_prometheus,
    NULL,
};

static const struct weft_extension_type *const extensions[] = {
    &weft_extension_file_storage,
    &weft_extension_health_check,
    NULL,
};

/* Names that the Collector has used for the same thing. */
static const struct { enum weft_kind kind; const char *alias, *name; } aliases[] = {
    { WEFT_KIND_RECEIVER, "file_log", "filelog" },
    { WEFT_KIND_EXPORTER, "otlp_grpc", "otlp" },
    { WEFT_KIND_EXPORTER, "otlp_http", "otlphttp" },
    { WEFT_KIND_EXPORTER, "logging", "debug" },
};

const char *weft_kind_name(enum weft_kind kind)
{
    static const char *const names[] = { "receiver", "processor", "connector", "exporter", "extension" };
    return names[kind];
}

const char *weft_kind_section(enum weft_kind kind)
{
    static const char *const names[] = { "receivers", "processors", "connectors", "exporters", "extensions" };
    return names[kind];
}

static struct weft_component of_receiver(const struct weft_receiver_type *t)
{
    return (struct weft_component){ .kind = WEFT_KIND_RECEIVER, .name = t->name, .summary = t->summary, .signals = t->signals,
                                    .size = t->size, .options = t->options, .receiver = t };
}

static struct weft_component of_processor(const struct weft_processor_type *t)
{
    return (struct weft_component){ .kind = WEFT_KIND_PROCESSOR, .name = t->name, .summary = t->summary, .signals = t->signals,
                                    .size = t->size, .options = t->options, .processor = t };
}

static struct weft_component of_exporter(const struct weft_exporter_type *t)
{
    return (struct weft_component){ .kind = WEFT_KIND_EXPORTER, .name = t->name, .summary = t->summary, .signals = t->signals,
                                    .size = t->size, .options = t->options, .exporter = t };
}

static struct weft_component of_extension(const struct weft_extension_type *t)
{
    return (struct weft_component){ .kind = WEFT_KIND_EXTENSION, .name = t->name, .summary = t->summary, .size = t->size,
                                    .options = t->options, .extension = t };
}

static size_t count(enum weft_kind kind)
{
    switch (kind) {
    case WEFT_KIND_RECEIVER:  return sizeof receivers / sizeof *receivers - 1;
    case WEFT_KIND_PROCESSOR: return sizeof processors / sizeof *processors - 1;
    case WEFT_KIND_EXPORTER:  return sizeof exporters / sizeof *exporters - 1;
    case WEFT_KIND_EXTENSION: return sizeof extensions / sizeof *extensions - 1;
    default:                  return 0;
    }
}

bool weft_registry_at(enum weft_kind kind, size_t i, struct weft_component *ret_component)
{
    if (i >= count(kind))
        return false;
    switch (kind) {
    case WEFT_KIND_RECEIVER:  *ret_component = of_receiver(receivers[i]); return true;
    case WEFT_KIND_PROCESSOR: *ret_component = of_processor(processors[i]); return true;
    case WEFT_KIND_EXPORTER:  *ret_component = of_exporter(exporters[i]); return true;
    case WEFT_KIND_EXTENSION: *ret_component = of_extension(extensions[i]); return true;
    default:                  return false;
    }
}

bool weft_registry_find(enum weft_kind kind, const char *name, struct weft_component *ret_component)
{
    struct weft_component c;

    for (size_t i = 0; i < sizeof aliases / sizeof *aliases; i++)
        if (aliases[i].kind == kind && strcmp(aliases[i].alias, name) == 0)
            name = aliases[i].name;
    for (size_t i = 0; weft_registry_at(kind, i, &c); i++) {
        if (strcmp(c.name, name) != 0)
            continue;
        *ret_component = c;
        return true;
    }
    return false;
}

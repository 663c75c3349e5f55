/* SPDX-License-Identifier: Apache-2.0 */
/* reference.c: see reference.h. docs/config.md is this output; a test compares the two. */
#include "agent/reference.h"

#include "agent/lane.h"
#include "agent/metrics.h"
#include "agent/registry.h"
#include "agent/service.h"

#include <stdio.h>
#include <string.h>

static const char *default_text(const struct weft_option *o)
{
    switch (o->kind) {
    case WEFT_OPT_IGNORED:
    case WEFT_OPT_NODE:    return "";
    case WEFT_OPT_BOOL:
    case WEFT_OPT_PRESENT: return o->fallback ? o->fallback : "false";
    case WEFT_OPT_INT:
    case WEFT_OPT_DOUBLE:
    case WEFT_OPT_BYTES:
    case WEFT_OPT_MSEC:    return o->fallback ? o->fallback : o->min > 0 ? "" : "0"; /* out of bounds: it depends, see the help */
    case WEFT_OPT_ENUM:    return o->fallback ? o->fallback : o->words[0];
    default:               return o->fallback ? o->fallback : "";
    }
}

static void put_number(const struct weft_option *o, double value, struct weft_buf *out)
{
    char text[WEFT_QUANTITY_MAX];

    if (o->kind == WEFT_OPT_BYTES)
        weft_buf_append_str(out, weft_format_bytes(value, text));
    else if (o->kind == WEFT_OPT_MSEC)
        weft_buf_append_str(out, weft_format_msec(value, text));
    else
        weft_buf_printf(out, "%.15g", value);
}

static void put_bounds(const struct weft_option *o, struct weft_buf *out)
{
    if (o->kind == WEFT_OPT_ENUM) {
        for (size_t i = 0; o->words[i]; i++)
            weft_buf_printf(out, "%s%s", i ? ", " : "", o->words[i]);
    } else if (o->min != 0 || o->max != 0) {
        put_number(o, o->min, out);
        weft_buf_append_str(out, " to ");
        put_number(o, o->max, out);
    } else if (o->required) {
        weft_buf_append_str(out, "required");
    }
}

static void put_options_text(const struct weft_option *options, struct weft_buf *out)
{
    for (const struct weft_option *o = options; o && o->key; o++) {
        weft_buf_printf(out, "    %s (%s", o->key, weft_option_kind_name(o->kind));
        if (*default_text(o))
            weft_buf_printf(out, ", default %s", default_text(o));
        size_t mark = out->len;
        weft_buf_append_str(out, o->kind == WEFT_OPT_ENUM ? ", one of " : ", ");
        size_t before = out->len;
        put_bounds(o, out);
        if (out->len == before && !out->err)
            out->len = mark;
        weft_buf_printf(out, ")\n        %s\n", o->help);
    }
}

/* Text in a table's cell: a bar would end the cell. */
static void put_cell(const char *text, struct weft_buf *out)
{
    for (; *text; text++) {
        if (*text == '|')
            weft_buf_append_byte(out, '\\');
        weft_buf_append_byte(out, (uint8_t)*text);
    }
}

static void put_options_markdown(const struct weft_option *options, struct weft_buf *out)
{
    if (!options || !options->key) {
        weft_buf_append_str(out, "No options.\n");
        return;
    }
    weft_buf_append_str(out, "| key | type | default | allowed | what it does |\n|---|---|---|---|---|\n");
    for (const struct weft_option *o = options; o->key; o++) {
        const char *fallback = default_text(o);
        weft_buf_printf(out, "| `%s` | %s | %s%s%s | ", o->key, weft_option_kind_name(o->kind), *fallback ? "`" : "", fallback,
                        *fallback ? "`" : "");
        put_bounds(o, out);
        weft_buf_append_str(out, " | ");
        put_cell(o->help, out);
        weft_buf_append_str(out, " |\n");
    }
}

static void put_heading(const char *name, const char *signals, const char *summary, bool markdown, struct weft_buf *out)
{
    if (markdown)
        weft_buf_printf(out, "\n### %s\n\n%s.%s%s%s\n\n", name, summary, *signals ? " Signals: " : "", signals, *signals ? "." : "");
    else
        weft_buf_printf(out, "  %s: %s%s%s%s\n", name, summary, *signals ? " (" : "", signals, *signals ? ")" : "");
}

static void put_signals(unsigned signals, char *out, size_t size)
{
    size_t len = 0;

    *out = '\0';
    for (int s = 0; s < WEFT_SIGNALS; s++)
        if (signals & 1u << s)
            len += (size_t)snprintf(out + len, size - len, "%s%s", len ? ", " : "", weft_signal_name((enum weft_signal)s));
}

static void put_options(const struct weft_option *options, bool markdown, struct weft_buf *out)
{
    if (markdown)
        put_options_markdown(options, out);
    else
        put_options_text(options, out);
}

static void put_section(const char *name, bool markdown, struct weft_buf *out)
{
    weft_buf_printf(out, markdown ? "\n## %s\n" : "\n%s:\n", name);
}

static bool put_components(enum weft_kind kind, const char *only, bool markdown, struct weft_buf *out)
{
    struct weft_component c;
    char signals[64];
    bool any = false;

    for (size_t i = 0; weft_registry_at(kind, i, &c); i++) {
        if (only && strcmp(only, c.name) != 0)
            continue;
        if (!any)
            put_section(weft_kind_section(kind), markdown, out);
        any = true;
        put_signals(c.signals, signals, sizeof signals);
        put_heading(c.name, signals, c.summary, markdown, out);
        put_options(c.options, markdown, out);
    }
    if (any && kind == WEFT_KIND_EXPORTER) {
        put_heading("every exporter", "", "keys that each exporter has beside its own", markdown, out);
        put_options(weft_lane_options, markdown, out);
    }
    return any;
}

static const char introduction[] =
    "<!-- SPDX-License-Identifier: Apache-2.0 -->\n"
    "# Configuration reference\n\n"
    "Written by `weft config reference --markdown` from the tables that parse the configuration; do not edit. A dot in a key\n"
    "descends into a nested map. Durations are written `250ms`, `10s`, `1m30s`; sizes `64MiB`, `1GB` or plain bytes.\n"
    "Keys of type *ignored* are accepted so that a configuration of the OpenTelemetry Collector runs unchanged.\n";

static const char metrics_introduction[] =
    "<!-- SPDX-License-Identifier: Apache-2.0 -->\n"
    "# Own metrics\n\n"
    "Written by `weft config reference metrics --markdown`; do not edit. The agent serves them on `/metrics` of\n"
    "`service.telemetry.endpoint` (default 127.0.0.1:8888), as Prometheus text 0.0.4 or OpenMetrics 1.0, whichever the scraper asks\n"
    "for. Names and labels are a stable contract. Every series of what is configured is there from the start, at 0.\n\n"
    "`receiver`, `processor`, `exporter` and `pipeline` are ids of the configuration (`otlp`, `otlp/internal`, `traces`); `signal` is\n"
    "`traces`, `logs` or `metrics`. An item is a span, a log record or a data point. For each exporter, since it started:\n\n"
    "    recovered + what its pipelines took = sent + failed + dropped + waiting (weft_queue_items)\n\n"
    "A reload begins counters anew; Prometheus takes that for the reset that it is.\n\n";

bool weft_reference_print(const char *component, bool markdown, struct weft_buf *out)
{
    bool any = false;

    if (component && strcmp(component, "metrics") == 0) {
        weft_buf_append_str(out, markdown ? metrics_introduction : "");
        weft_metrics_document(out);
        return true;
    }

    if (markdown && !component)
        weft_buf_append_str(out, introduction);
    for (int kind = 0; kind < WEFT_KINDS; kind++)
        any |= put_components((enum weft_kind)kind, component, markdown, out);
    if (component && strcmp(component, "service") != 0)
        return any;
    put_section("service", markdown, out);
    if (markdown)
        weft_buf_append_byte(out, '\n');
    put_options(weft_service_options, markdown, out);
    return true;
}

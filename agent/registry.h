/* SPDX-License-Identifier: Apache-2.0 */
/* registry.h: which components this build has. registry.c is the only file that names them. */
#ifndef WEFT_AGENT_REGISTRY_H
#define WEFT_AGENT_REGISTRY_H

#include "agent/extension.h"
#include "core/component.h"

enum weft_kind {
    WEFT_KIND_RECEIVER, WEFT_KIND_PROCESSOR, WEFT_KIND_CONNECTOR, WEFT_KIND_EXPORTER, WEFT_KIND_EXTENSION, WEFT_KINDS
};

/* What all component types have in common. One of the pointers behind it is set, by kind. */
struct weft_component {
    enum weft_kind kind;
    const char *name, *summary;
    unsigned signals;                    /* 0: has none (extensions) */
    size_t size;
    const struct weft_option *options;
    const struct weft_receiver_type *receiver;
    const struct weft_processor_type *processor;
    const struct weft_exporter_type *exporter;
    const struct weft_extension_type *extension;
};

/* "receiver", and the section of the configuration: "receivers". */
const char *weft_kind_name(enum weft_kind kind);
const char *weft_kind_section(enum weft_kind kind);

/* The i-th component of a kind. False: there are not that many. */
bool weft_registry_at(enum weft_kind kind, size_t i, struct weft_component *ret_component);

/* By its name or by a second spelling that the Collector has for it. */
bool weft_registry_find(enum weft_kind kind, const char *name, struct weft_component *ret_component);

#endif

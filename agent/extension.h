/* SPDX-License-Identifier: Apache-2.0 */
/* extension.h: what stands beside the pipelines. An extension lives on the main loop and looks at the agent through
 * a few questions; it takes no part in moving data. */
#ifndef WEFT_AGENT_EXTENSION_H
#define WEFT_AGENT_EXTENSION_H

#include "core/component.h"

/* What an extension may ask; answered by the runtime on the main thread. */
struct weft_extension_host {
    bool (*is_ready)(void *ctx);
    void *ctx;
};

struct weft_extension_type;

struct weft_extension {
    const struct weft_extension_type *type;
    const char *id;
    const struct weft_log *log;
    uv_loop_t *loop;
    const struct weft_extension_host *host;
};

struct weft_extension_type {
    const char *name;
    const char *summary;
    size_t size;                       /* of the struct that embeds weft_extension first */
    const struct weft_option *options;
    int (*start)(struct weft_extension *self);   /* 0, or a negative code after one log line */
    void (*stop)(struct weft_extension *self);   /* idempotent; the loop runs on until handles are closed */
};

extern const struct weft_extension_type weft_extension_file_storage;
extern const struct weft_extension_type weft_extension_health_check;

/* The directory of a file_storage extension whose options are filled, started or not; as long as its strings. NULL: it is
 * missing and may not be made. */
const char *weft_file_storage_directory(const struct weft_extension *self);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* expand.h: ${..} in configuration values, as the Collector has them.
 *
 *   ${env:NAME}            the environment variable; when it is not set: nothing, with a warning
 *   ${env:NAME:-default}   the same with a default, which may hold expressions itself
 *   ${NAME}                short for ${env:NAME}
 *   ${file:PATH}           the file's text without its last line ends
 *   $$                     one dollar sign
 *
 * What comes out of a variable or file is not expanded again. Startup and reload only; one thread.
 */
#ifndef WEFT_AGENT_EXPAND_H
#define WEFT_AGENT_EXPAND_H

#include "core/buf.h"
#include "core/node.h"
#include "core/option.h"

enum { WEFT_EXPAND_MAX_DEPTH = 8, WEFT_EXPAND_MAX_BYTES = 256 << 10 };

/* Where values come from; tests bring their own. */
struct weft_expand {
    void *ctx;
    const char *(*variable)(void *ctx, const char *name);                  /* NULL: not set */
    int (*file)(void *ctx, const char *path, struct weft_buf *out);        /* 0 or a negative code */
    struct weft_problems *warnings;                                        /* may be NULL */
};

/* The process's environment and the file system. */
extern const struct weft_expand weft_expand_system;

/* Appends `text` to `out` with its expressions replaced. `where` is the place for messages. *ret_whole: the text was one
 * expression and nothing else. 0, or WEFT_ERR_CONFIG with what is wrong in `problems`. */
int weft_expand(const struct weft_expand *e, const char *text, const struct weft_node *where,
                struct weft_problems *problems, struct weft_buf *out, bool *ret_whole);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* query.h: the query of a URL, "a=1&b=x%20y", read and written. Stateless; any thread. */
#ifndef WEFT_AGENT_QUERY_H
#define WEFT_AGENT_QUERY_H

#include "core/buf.h"

#include <stdbool.h>

/* The decoded value of `key` in `out`, NUL-terminated. 1; 0: it is not there; WEFT_ERR_MALFORMED: a bad code, a NUL, or longer than
 * size - 1. Of equal keys the first counts. */
int weft_query_get(const char *query, const char *key, char *out, size_t size);

/* Appends `text` with everything but letters, digits and -._~ as %XX. */
void weft_query_put(struct weft_buf *b, const char *text);

#endif

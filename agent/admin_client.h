/* SPDX-License-Identifier: Apache-2.0 */
/* admin_client.h: one request to a running agent, for commands. Blocks. */
#ifndef WEFT_AGENT_ADMIN_CLIENT_H
#define WEFT_AGENT_ADMIN_CLIENT_H

#include "core/buf.h"

/* The address that commands ask when none is given. */
#define WEFT_ADMIN_ENDPOINT "127.0.0.1:8888"

/* Appends the body of the answer to `out`. The status code, or a negative code when there was no whole answer; WEFT_ERR_TIMEOUT when
 * nothing came for `patience_s`. */
int weft_admin_ask(const char *endpoint, const char *method, const char *path, unsigned patience_s, struct weft_buf *out);

#endif

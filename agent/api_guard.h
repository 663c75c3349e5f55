/* SPDX-License-Identifier: Apache-2.0 */
/* api_guard.h: who may ask for what shows data or changes something.
 *
 * The admin server listens where its endpoint says, usually on loopback; what gets there nevertheless is a browser of the
 * same machine, on behalf of a page from anywhere. Two ways lead there, and both are closed here:
 *   DNS rebinding   the page's own name has become 127.0.0.1: the Host header names that page. Only addresses, localhost and the
 *                   endpoint's own name are taken.
 *   cross origin    the page posts to us: the browser says so in Origin, or in Sec-Fetch-Site. Only our own page may.
 * Stateless; any thread. */
#ifndef WEFT_AGENT_API_GUARD_H
#define WEFT_AGENT_API_GUARD_H

#include <stdbool.h>

/* `host`: the Host header or NULL. `endpoint`: where the server listens. */
bool weft_guard_host(const char *host, const char *endpoint);

/* `origin`, `site`: the headers Origin and Sec-Fetch-Site or NULL. */
bool weft_guard_origin(const char *origin, const char *site, const char *host);

#endif

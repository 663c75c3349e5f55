/* SPDX-License-Identifier: Apache-2.0 */
/* blame.h: in words, why a journal takes nothing more: how full it is, and who is furthest behind; or what the disk says. Or why
 * it never takes a record. Any thread. */
#ifndef WEFT_AGENT_BLAME_H
#define WEFT_AGENT_BLAME_H

#include "core/journal.h"

/* `pipeline`: whose journal it is. Always ends `words` with a NUL. */
void weft_blame(struct weft_journal *j, const char *pipeline, char *words, size_t size);

/* Why a record was too large for it. */
void weft_blame_size(const struct weft_journal *j, const char *pipeline, char *words, size_t size);

#endif

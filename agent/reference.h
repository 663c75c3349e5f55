/* SPDX-License-Identifier: Apache-2.0 */
/* reference.h: every option of every component, written from the tables that parse them. */
#ifndef WEFT_AGENT_REFERENCE_H
#define WEFT_AGENT_REFERENCE_H

#include "core/buf.h"

#include <stdbool.h>

/* Appends the manual: of one component by its name ("otlp"), of "service", of "metrics" (the agent's own), or of all
 * components and the service when `component` is NULL. False: there is no such component. */
bool weft_reference_print(const char *component, bool markdown, struct weft_buf *out);

#endif

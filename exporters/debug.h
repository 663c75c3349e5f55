/* SPDX-License-Identifier: Apache-2.0 */
/* debug.h: the exporter that tells what passes in the log. See debug.c. */
#ifndef WEFT_EXPORTERS_DEBUG_H
#define WEFT_EXPORTERS_DEBUG_H

#include "core/component.h"

extern const struct weft_exporter_type weft_exporter_debug;

#endif

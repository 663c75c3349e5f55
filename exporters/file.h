/* SPDX-License-Identifier: Apache-2.0 */
/* file.h: the exporter that appends OTLP to a file. See file.c. */
#ifndef WEFT_EXPORTERS_FILE_H
#define WEFT_EXPORTERS_FILE_H

#include "core/component.h"

extern const struct weft_exporter_type weft_exporter_file;

#endif

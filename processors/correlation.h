/* SPDX-License-Identifier: Apache-2.0 */
/* correlation.h: the processor that puts `correlation.id` on every span, log record and exemplar. What it does is told in
 * docs/correlation.md. */
#ifndef WEFT_PROCESSORS_CORRELATION_H
#define WEFT_PROCESSORS_CORRELATION_H

#include "core/component.h"

extern const struct weft_processor_type weft_processor_correlation;

#endif

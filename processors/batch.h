/* SPDX-License-Identifier: Apache-2.0 */
/* batch.h: the Collector's batch processor, accepted and transparent. */
#ifndef WEFT_PROCESSORS_BATCH_H
#define WEFT_PROCESSORS_BATCH_H

#include "core/component.h"

extern const struct weft_processor_type weft_processor_batch;

#endif

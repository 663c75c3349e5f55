/* SPDX-License-Identifier: Apache-2.0 */
/* memory_limiter.h: refuses records while the process is above a memory limit. */
#ifndef WEFT_PROCESSORS_MEMORY_LIMITER_H
#define WEFT_PROCESSORS_MEMORY_LIMITER_H

#include "core/component.h"

extern const struct weft_processor_type weft_processor_memory_limiter;

#endif

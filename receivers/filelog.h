/* SPDX-License-Identifier: Apache-2.0 */
/* filelog.h: the receiver that follows log files. See filelog.c. */
#ifndef WEFT_RECEIVERS_FILELOG_H
#define WEFT_RECEIVERS_FILELOG_H

#include "core/component.h"

extern const struct weft_receiver_type weft_receiver_filelog;

#endif

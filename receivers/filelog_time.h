/* SPDX-License-Identifier: Apache-2.0 */
/* filelog_time.h: the times that loggers write. Pure functions; any thread. */
#ifndef WEFT_RECEIVERS_FILELOG_TIME_H
#define WEFT_RECEIVERS_FILELOG_TIME_H

#include "core/slice.h"

/* "2026-11-20T17:52:15.013Z" and its kin: 'T', 't' or a space between, '.' or ',' before 0 to n digits of fraction (nine
 * count), then 'Z', "+01:00", "+0100", "+01" or nothing, which means UTC. Nanoseconds since 1970; false: not that. */
bool weft_filelog_time_text(struct weft_slice text, uint64_t *ret_ns);

/* A number as JSON has it: seconds, milli-, micro- or nanoseconds since 1970, told apart by size (each is
 * right for the years 1973 to 5138). */
bool weft_filelog_time_number(struct weft_slice number, uint64_t *ret_ns);

#endif

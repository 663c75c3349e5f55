/* SPDX-License-Identifier: Apache-2.0 */
/* splice_check.h: holds a request against the same request with tags put into it. */
#ifndef WEFT_TESTS_SPLICE_CHECK_H
#define WEFT_TESTS_SPLICE_CHECK_H

#include "core/otlp.h"

/* NULL when `tagged` is `plain` with nothing but correlation tags at the ends of items and the lengths around them corrected
 * (in as many bytes as before unless the new one needs more); else what is wrong. */
const char *splice_check(enum weft_signal signal, struct weft_slice plain, struct weft_slice tagged);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* count_sink.h: the end of a receiver under test: counts what it is given, keeps the last payload, and answers what it
 * is told to. One thread. */
#ifndef WEFT_TESTS_COUNT_SINK_H
#define WEFT_TESTS_COUNT_SINK_H

#include "core/component.h"

struct count_sink {
    struct weft_sink base;
    int answer;                      /* what commit returns */
    uint64_t commits, items;         /* accepted */
    uint64_t refused[WEFT_REFUSALS]; /* calls of refuse, by reason */
    enum weft_signal signal;         /* of the last record */
    struct weft_buf last;            /* its payload */
};

void count_sink_init(struct count_sink *s);
void count_sink_release(struct count_sink *s);

#endif

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
    struct weft_commit *waiting[64]; /* those that await was called for, in order; NULL: ended or forgotten */
    unsigned n_waiting, forgotten;
    bool durable;                    /* what forget returns */
    uint64_t refused[WEFT_REFUSALS]; /* calls of refuse, by reason */
    enum weft_signal signal;         /* of the last record */
    struct weft_buf last;            /* its payload */
};

void count_sink_init(struct count_sink *s);
void count_sink_release(struct count_sink *s);

/* From now on every commit waits for count_sink_end. Before the receiver is started. */
void count_sink_make_wait(struct count_sink *s);

/* Ends one of the waiting ones. */
void count_sink_end(struct count_sink *s, unsigned i, int err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* exporter_rig.h: one exporter outside any lane, for unit tests: its options from text, batches from payloads, and what
 * it reported of them. One thread. */
#ifndef WEFT_TESTS_EXPORTER_RIG_H
#define WEFT_TESTS_EXPORTER_RIG_H

#include "core/component.h"

enum { RIG_RECORDS = 16, RIG_ITEMS = 256 };

struct rig {
    struct weft_exporter *exporter;
    struct weft_arena arena;
    struct weft_exporter_host host;
    struct weft_log log;
    struct weft_batch batch;
    struct weft_record records[RIG_RECORDS];
    uint8_t item_state[RIG_ITEMS];
    unsigned dones;              /* how often the batch was ended */
    enum weft_outcome outcome;   /* the last time */
    char reason[64];
};

/* A key with its value ("" and a child: a map). */
struct rig_option { const char *key, *value; const struct rig_option *child; };

/* Makes an exporter of `type` from options (ended by a NULL key) and starts it on `loop` (may be NULL). Fails the test
 * when its options are wrong; returns what start returned. */
int rig_start(struct rig *rig, const struct weft_exporter_type *type, const struct rig_option *options, uv_loop_t *loop);
void rig_stop(struct rig *rig);

/* Begins a new batch; adds a record (payload borrowed); sends it. */
void rig_batch(struct rig *rig, enum weft_signal signal);
void rig_add(struct rig *rig, struct weft_slice payload, uint32_t n_items);
void rig_send(struct rig *rig);

#endif

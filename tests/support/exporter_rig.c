/* SPDX-License-Identifier: Apache-2.0 */
/* exporter_rig.c: see exporter_rig.h. */
#include "tests/support/exporter_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

/* host functions are given the exporter alone: this is whose it is */
static struct rig *current;

static void on_done(struct weft_exporter *self, struct weft_batch *batch, enum weft_outcome outcome, const char *reason,
                    const char *detail, uint64_t retry_after_ms)
{
    (void)detail, (void)retry_after_ms;
    assert_ptr_equal(self, current->exporter);
    assert_ptr_equal(batch, &current->batch);
    current->dones++;
    current->outcome = outcome;
    (void)snprintf(current->reason, sizeof current->reason, "%s", reason ? reason : "");
    for (uint64_t i = 0; i < batch->n_items && outcome == WEFT_SENT; i++)
        if (batch->item_state[i] == WEFT_ITEM_WAITING)
            batch->item_state[i] = WEFT_ITEM_SENT;
}

static void mark(struct weft_batch *batch, uint64_t first, uint64_t n, uint8_t state)
{
    assert_true(first + n <= batch->n_items);
    for (uint64_t i = first; i < first + n; i++)
        batch->item_state[i] = state;
}

static void on_reject(struct weft_exporter *self, struct weft_batch *batch, uint64_t first, uint64_t n, const char *reason,
                      const char *detail)
{
    (void)self, (void)detail;
    (void)snprintf(current->reason, sizeof current->reason, "%s", reason);
    mark(batch, first, n, WEFT_ITEM_REJECTED);
}

static void on_drop(struct weft_exporter *self, struct weft_batch *batch, uint64_t first, uint64_t n, const char *reason)
{
    (void)self;
    (void)snprintf(current->reason, sizeof current->reason, "%s", reason);
    mark(batch, first, n, WEFT_ITEM_DROPPED);
}

static struct weft_node *node_of(struct weft_arena *arena, const struct rig_option *options)
{
    struct weft_node *map = weft_arena_alloc(arena, sizeof *map), **next = &map->child;

    *map = (struct weft_node){ .kind = WEFT_NODE_MAP, .file = "test" };
    next = &map->child;
    for (; options && options->key; options++) {
        struct weft_node *n = options->child ? node_of(arena, options->child) : weft_arena_alloc(arena, sizeof *n);
        if (!options->child)
            *n = (struct weft_node){ .kind = WEFT_NODE_SCALAR, .file = "test", .text = options->value };
        n->key = options->key;
        *next = n;
        next = &n->next;
    }
    return map;
}

int rig_start(struct rig *rig, const struct weft_exporter_type *type, const struct rig_option *options, uv_loop_t *loop)
{
    struct weft_problems problems;

    *rig = (struct rig){ .host = { on_done, on_reject, on_drop }, .log = { .fd = -1, .level = WEFT_LOG_ERROR } };
    current = rig;
    weft_arena_init(&rig->arena, 1 << 20);
    rig->exporter = calloc(1, type->size);
    assert_non_null(rig->exporter);
    problems = (struct weft_problems){ .arena = &rig->arena };
    struct weft_node *map = node_of(&rig->arena, options);
    int err = weft_options_load(type->options, type->name, map, rig->exporter, &rig->arena, &problems);
    rig->exporter->type = type;
    rig->exporter->id = type->name;
    rig->exporter->log = &rig->log;
    rig->exporter->loop = loop;
    rig->exporter->host = &rig->host;
    if (!err && type->check)
        err = type->check(rig->exporter, map, &problems);
    if (err)
        return err;
    return type->start(rig->exporter);
}

void rig_stop(struct rig *rig)
{
    rig->exporter->type->stop(rig->exporter);
    rig->exporter->type->stop(rig->exporter); /* once more must do no harm */
    free(rig->exporter);
    weft_arena_release(&rig->arena);
}

void rig_batch(struct rig *rig, enum weft_signal signal)
{
    current = rig;
    rig->dones = 0;
    memset(rig->item_state, WEFT_ITEM_WAITING, sizeof rig->item_state);
    rig->batch = (struct weft_batch){ .signal = signal, .pipeline = "test", .journal_id = 7, .records = rig->records,
                                      .item_state = rig->item_state };
}

void rig_add(struct rig *rig, struct weft_slice payload, uint32_t n_items)
{
    struct weft_batch *b = &rig->batch;

    assert_true(b->n_records < RIG_RECORDS && b->n_items + n_items <= RIG_ITEMS);
    rig->records[b->n_records] = (struct weft_record){ .sequence = b->n_records + 1, .signal = b->signal, .n_items = n_items,
                                                       .payload = payload };
    b->n_records++;
    b->n_items += n_items;
    b->n_bytes += payload.len;
}

void rig_send(struct rig *rig)
{
    current = rig;
    rig->exporter->type->send(rig->exporter, &rig->batch);
}

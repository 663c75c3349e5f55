/* SPDX-License-Identifier: Apache-2.0 */
/* runtime_letters.c: the dead-letter journals of a runtime's exporters (see letters.h). They are the shelf's and stay there. Main
 * thread. */
#include "agent/runtime_state.h"

int weft_runtime_open_letters(struct weft_runtime *rt, struct weft_rt_exporter *e)
{
    struct weft_letters_stats stats = { 0 };
    int err = weft_shelf_take_letters(rt->shelf, e->component->id, &e->letters);

    if (!err && e->letters)
        weft_letters_stats(e->letters, &stats);
    e->evicted_before = stats.evicted_items;
    return err;
}

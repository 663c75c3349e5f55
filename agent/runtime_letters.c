/* SPDX-License-Identifier: Apache-2.0 */
/* runtime_letters.c: the dead-letter journals of a runtime's exporters (see letters.h). Main thread. */
#include "agent/runtime_state.h"

int weft_runtime_open_letters(struct weft_runtime *rt, struct weft_rt_exporter *e)
{
    const struct weft_service *s = &rt->config->service;
    struct weft_journal_options o = { .name = e->component->id, .mode = WEFT_JOURNAL_MEMORY, .max_size = s->dead_letters_max_size };

    return weft_letters_open(&e->letters, &o);
}

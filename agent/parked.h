/* SPDX-License-Identifier: Apache-2.0 */
/* parked.h: the places of a journal that have no reader, as they stood at one moment. They are copied, because the journal shows them
 * under its lock, where nothing else may be done; and as many as there are, because one that is not looked at may be what waits. */
#ifndef WEFT_AGENT_PARKED_H
#define WEFT_AGENT_PARKED_H

#include "core/journal.h"

enum { WEFT_PARKED_NAME = 129 }; /* the longest id of a component, and its end */

struct weft_parked_place {
    char name[WEFT_PARKED_NAME];
    bool hold;
    uint64_t settled_sequence, waiting_records, waiting_items;
    bool is_noted;               /* for who keeps lists: since when the place has been seen */
    uint64_t since_ms;
};

/* All zero is an empty list. */
struct weft_parked_list {
    size_t n;
    struct weft_parked_place *places;
};

/* Reads the list anew; what was noted of places that are still there is kept. 0, or UV_ENOMEM and nothing has changed. Any
 * thread. */
int weft_parked_read(struct weft_parked_list *list, struct weft_journal *journal);

void weft_parked_release(struct weft_parked_list *list);

#endif

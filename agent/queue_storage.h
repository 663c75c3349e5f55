/* SPDX-License-Identifier: Apache-2.0 */
/* queue_storage.h: the Collector's sending_queue.storage. There it makes one exporter's queue persistent. Here the queue is the
 * journal, which all exporters of a pipeline share, so one such exporter puts all journals on disk, in the directory of the
 * extension that it names: more is kept than was asked for, never less. What service.journal says wins. Main thread.
 */
#ifndef WEFT_AGENT_QUEUE_STORAGE_H
#define WEFT_AGENT_QUEUE_STORAGE_H

#include "agent/config.h"

/* What the first used exporter with such a queue asks for; nothing in it when none does. After all ids are known and the used
 * ones are marked. */
struct weft_service_queue weft_queue_storage_find(struct weft_config *config);

/* Who asks for what outlives the process gets it, or hears why not: a storage that names nothing which can keep anything is a problem,
 * one that service.journal overrules a warning. After the service is loaded. */
void weft_queue_storage_check(struct weft_config *config);

#endif

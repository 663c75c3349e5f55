/* SPDX-License-Identifier: Apache-2.0 */
/* keep.h: where receivers keep what must outlive the process (weft_receiver.keep_path).
 *
 *   the file_storage extension that the receiver's `storage` names, as in the Collector
 *   else service.journal.directory, when the journal is on disk or the directory is given in the configuration
 *   else nowhere
 *
 * In it, positions/ID, ID escaped as in directory.h. */
#ifndef WEFT_AGENT_KEEP_H
#define WEFT_AGENT_KEEP_H

#include "agent/config.h"

/* Tells of receivers whose `storage` names nothing that can keep anything. While a configuration is loaded, after all ids are
 * known and the used ones are marked. */
void weft_keep_check(struct weft_config *config);

/* Does the scalar `storage` name a file_storage that the service starts? Tells when it does not; `owner` begins the message. */
bool weft_keep_refers(struct weft_config *config, const char *owner, const struct weft_node *storage);

/* The file_storage extension that `storage`, a scalar, names and the service starts; NULL: it does not, or it keeps nothing. */
const struct weft_config_component *weft_keep_extension(const struct weft_config *config, const struct weft_node *storage);

/* The directory of such an extension, in `arena`; NULL: it has none that may be used, or no memory. Accepts NULL. */
const char *weft_keep_directory(const struct weft_config_component *extension, struct weft_arena *arena);

/* The file of a receiver, in `arena`; NULL: there is no place for it, or no memory. Main thread. */
const char *weft_keep_path(const struct weft_config *config, const struct weft_config_component *receiver, struct weft_arena *arena);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* config_pipeline.h: service::pipelines of a configuration, and references to components; used while a configuration is loaded. */
#ifndef WEFT_AGENT_CONFIG_PIPELINE_H
#define WEFT_AGENT_CONFIG_PIPELINE_H

#include "agent/config.h"

/* Reads the pipelines into c->pipelines and marks components as used; problems go to c->problems. */
void weft_config_load_pipelines(struct weft_config *c);

/* Tells when there is too little journal for so many. After the service is loaded. */
void weft_config_check_shares(struct weft_config *c);

/* The component that the scalar `n` names, marked as used; NULL after a problem was told. `owner` begins the message. */
struct weft_config_component *weft_config_refer(struct weft_config *c, enum weft_kind kind, const char *owner,
                                                const struct weft_node *n);

#endif

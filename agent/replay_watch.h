/* SPDX-License-Identifier: Apache-2.0 */
/* replay_watch.h: what 'weft dlq' and 'weft replay' share: asking the agent, and watching a replay to its end. Main thread. */
#ifndef WEFT_AGENT_REPLAY_WATCH_H
#define WEFT_AGENT_REPLAY_WATCH_H

#include "agent/cli.h"
#include "core/buf.h"

/* Where a command finds its agent, and how it calls itself in messages. */
struct weft_remote {
    const char *command;    /* "dlq replay" */
    const char *endpoint;
};

/* Asks and puts the body into `out`. WEFT_EXIT_OK, or the exit code after one line on stderr that says what to do. */
int weft_remote_ask(const struct weft_remote *r, const char *method, const char *path, struct weft_buf *out);

/* Watches the replay that was just begun, with progress on a terminal, and tells how it went. WEFT_EXIT_OK when everything was
 * sent, WEFT_EXIT_DEADLINE when something was not, or what weft_remote_ask says. */
int weft_replay_watch(const struct weft_remote *r, const char *exporter);

#endif

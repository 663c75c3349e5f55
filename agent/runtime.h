/* SPDX-License-Identifier: Apache-2.0 */
/* runtime.h: a configuration brought to life: lanes, loops, receivers, extensions on journals that outlive it.
 *
 *   (1) Start goes from the far end: journals, exporters on their lanes, then receivers, so that nothing is taken in before
 *       it can be kept. Stop goes the other way.
 *   (2) After a failed start nothing runs; weft_runtime_free is all that is left to do.
 *   (3) Stopping waits only until its deadline; what is left then is named, and lost (and counted) only when it was in memory.
 *
 * One thread at a time controls a runtime (start, stop, free); the figures may be asked for meanwhile from the main
 * thread.
 */
#ifndef WEFT_AGENT_RUNTIME_H
#define WEFT_AGENT_RUNTIME_H

#include "agent/config.h"
#include "agent/shelf.h"
#include "core/log.h"

#include <uv.h>

struct weft_runtime;

/* Builds everything but starts nothing. The journals are the shelf's, and stay there when the runtime is freed; it begins a
 * round of it. `config` is borrowed until free, and by the shelf until its next round; *log is copied. 0, UV_ENOMEM, or what a
 * journal could not do; one log line says what. */
int weft_runtime_open(struct weft_runtime **ret_runtime, const struct weft_config *config, struct weft_shelf *shelf,
                      const struct weft_log *log);

/* Starts exporters, then receivers. 0, or a negative code after a log line. Main thread. */
int weft_runtime_start(struct weft_runtime *rt);

/* Starts exporters alone, to send what waits and then be stopped. The same. */
int weft_runtime_start_lanes(struct weft_runtime *rt);

/* Extensions live on `loop`, the main one. A failed start is a negative code after a log line. Main thread. */
int weft_runtime_start_extensions(struct weft_runtime *rt, uv_loop_t *loop);
void weft_runtime_stop_extensions(struct weft_runtime *rt); /* run the loop on until their handles are closed */

/* Refuses new work, lets lanes drain until `deadline_mono_ms`, stops. One log line for each exporter that has something
 * left: on disk it stays, in memory it is lost, and then the answer is WEFT_ERR_TIMEOUT; else 0. Idempotent. Any one thread. */
int weft_runtime_stop(struct weft_runtime *rt, uint64_t deadline_mono_ms);

/* Stops for another runtime on the same shelf to go on: lanes end with the requests that are out, until `deadline_mono_ms`, while
 * receivers go on; then receivers stop. Nothing is lost. Any one thread. */
void weft_runtime_park(struct weft_runtime *rt, uint64_t deadline_mono_ms);

/* Parks at once when it still runs. Accepts NULL. */
void weft_runtime_free(struct weft_runtime *rt);

/* Gives what the heap keeps and nobody holds back to the system, when that is much. For once a second. Main thread. */
void weft_runtime_trim(struct weft_runtime *rt);

/* Listeners bound, journals open, not stopping. Never a back end's state. Main thread. */
bool weft_runtime_is_ready(const struct weft_runtime *rt);

/* The longest that a loop's current turn has been running. Any thread. */
uint64_t weft_runtime_loop_age_ms(const struct weft_runtime *rt, uint64_t now_mono_ms);

#endif

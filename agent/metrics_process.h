/* SPDX-License-Identifier: Apache-2.0 */
/* metrics_process.h: what the kernel says of this process. Any thread. */
#ifndef WEFT_AGENT_METRICS_PROCESS_H
#define WEFT_AGENT_METRICS_PROCESS_H

#include <stdint.h>

struct weft_process_figures {
    double cpu_seconds;
    uint64_t resident_bytes, virtual_bytes, open_fds, max_fds;
    uint64_t anonymous_bytes; /* of the resident ones: those that no file backs */
};

/* What cannot be read is 0. */
void weft_process_figures_read(struct weft_process_figures *ret_figures);

/* That one alone, for who asks often. */
uint64_t weft_process_anonymous_bytes(void);

#endif

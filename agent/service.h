/* SPDX-License-Identifier: Apache-2.0 */
/* service.h: the `service` section but for its pipelines: journal, memory, telemetry, threads. */
#ifndef WEFT_AGENT_SERVICE_H
#define WEFT_AGENT_SERVICE_H

#include "core/option.h"

enum weft_service_journal_mode { WEFT_SERVICE_MEMORY, WEFT_SERVICE_DISK };
enum weft_service_sync { WEFT_SERVICE_SYNC_NONE, WEFT_SERVICE_SYNC_INTERVAL, WEFT_SERVICE_SYNC_ALWAYS };
enum weft_service_disk_error { WEFT_SERVICE_DISK_REFUSE, WEFT_SERVICE_DISK_MEMORY };
enum weft_metrics_level { WEFT_METRICS_NONE, WEFT_METRICS_BASIC, WEFT_METRICS_NORMAL, WEFT_METRICS_DETAILED };

struct weft_service {
    int journal_mode;               /* enum weft_service_journal_mode */
    const char *journal_asked_by;   /* the exporter whose queue's storage made the mode disk; NULL: the section says the mode */
    char *journal_directory;
    uint64_t journal_max_size;      /* bytes over all pipelines */
    int journal_sync;               /* enum weft_service_sync */
    uint64_t journal_sync_interval; /* ms */
    uint64_t journal_max_delay;     /* ms */
    uint64_t retention_size;        /* bytes over all pipelines */
    uint64_t retention_age;         /* ms */
    int on_disk_error;              /* enum weft_service_disk_error */
    uint64_t removed_exporter_grace; /* ms */
    uint64_t dead_letters_max_size; /* bytes of each exporter */
    uint64_t memory_limit;          /* bytes, the journal in memory mode included */
    int64_t ingest_loops;           /* 0: one a processor, at most 4 */
    uint64_t shutdown_timeout;      /* ms */
    char *telemetry_endpoint;       /* where the admin server listens */
    int log_level;                  /* enum weft_log_level */
    int log_encoding;               /* enum weft_log_format */
    int metrics_level;              /* enum weft_metrics_level */
    char *metrics_address;          /* the Collector's older spelling of the endpoint */
    const struct weft_node *readers; /* and its newer one */
    struct weft_strings extensions;
    const struct weft_node *pipelines;
};

extern const struct weft_option weft_service_options[];

/* Where journals go when the section does not say: what an exporter's sending_queue.storage asks for. */
struct weft_service_queue { const char *exporter, *directory; };

/* Fills *ret_service from the node of the section (NULL: defaults). `queue` may have no directory. Strings live in `arena`. 0 or
 * WEFT_ERR_CONFIG. */
int weft_service_load(const struct weft_node *section, const struct weft_service_queue *queue, struct weft_arena *arena,
                      struct weft_problems *problems, struct weft_problems *warnings, struct weft_service *ret_service);

/* Bytes of memory_limit that journals on disk may take while the disk fails (on_disk_error memory); else 0. */
uint64_t weft_service_fallback_memory(const struct weft_service *s);

/* What journals take of memory_limit when all is well or, on disk, the disk fails. */
uint64_t weft_service_journal_memory(const struct weft_service *s);

/* Warns when journals on disk could not be made as the system is now. Changes nothing. `section` is the node of `service`. */
void weft_service_check_system(const struct weft_service *s, const struct weft_node *section, struct weft_problems *warnings);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* elasticsearch_exporter.h: the instance behind the exporter and what its files share. Private to them.
 *
 *   (1) A batch is sent as one or more bodies, one after the other, each of at most flush.bytes or so.
 *   (2) An item is marked as soon as its fate is known; what is still WAITING at the end is for the next try.
 *   (3) A batch is ended (host->done) exactly once for each send.
 *
 * One thread: the lane's.
 */
#ifndef WEFT_EXPORTERS_ELASTICSEARCH_EXPORTER_H
#define WEFT_EXPORTERS_ELASTICSEARCH_EXPORTER_H

#include "core/component.h"
#include "core/gzip.h"
#include "core/http_client.h"
#include "exporters/elasticsearch_compose.h"

enum weft_es_compression { WEFT_ES_AUTO, WEFT_ES_GZIP, WEFT_ES_NONE };
enum weft_es_mode { WEFT_ES_OTEL, WEFT_ES_ECS };
enum { WEFT_ES_ENDPOINTS = 32 };

struct weft_es_request;

struct weft_es_exporter {
    struct weft_exporter base;
    /* options */
    char *endpoint;
    struct weft_strings endpoints;
    char *user, *password, *api_key, *pipeline;
    char *logs_index, *traces_index;
    struct weft_pairs headers;
    int compression, mode;
    int64_t gzip_level;
    uint64_t timeout_ms, flush_bytes;
    bool insecure_skip_verify;
    char *ca_file, *cert_file, *key_file, *server_name_override;
    /* running */
    bool compress;
    struct weft_arena text;      /* URLs and header lines */
    const char *targets[WEFT_ES_ENDPOINTS]; /* URLs of _bulk */
    unsigned n_targets;
    const char *lines[WEFT_HTTP_MAX_HEADERS], *plain_lines[WEFT_HTTP_MAX_HEADERS]; /* of a packed body; of one that is not */
    struct weft_http_client *client;
    struct weft_gzip *gzip;
    struct weft_es_composer composer;
    struct weft_es_request *free;
    uint64_t refused_others, modest_until_ms; /* who else was short of memory, and how long we leave it to them */
    uint64_t max_bytes;          /* of one body: flush.bytes, or less when the server found that too large */
};

/* weft_exporter_type.send */
void weft_es_send(struct weft_exporter *self, struct weft_batch *batch);

/* weft_exporter_type.trim: gives back the buffers of requests that are not out, and what the client keeps. */
void weft_es_trim(struct weft_exporter *self);

/* Frees the requests that are not out. */
void weft_es_requests_free(struct weft_es_exporter *e);

/* exporters/elasticsearch_target.c: where requests go and what their heads say. */

/* weft_exporter_type.check */
int weft_es_check(struct weft_exporter *self, const struct weft_node *map, struct weft_problems *problems);

/* weft_exporter_type.endpoint */
const char *weft_es_endpoint(const struct weft_exporter *self, size_t index);

/* Fills text, targets, lines and compress from the options. 0 or a negative code. */
int weft_es_target(struct weft_es_exporter *e);

#endif

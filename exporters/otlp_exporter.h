/* SPDX-License-Identifier: Apache-2.0 */
/* otlp_exporter.h: the instance behind the OTLP exporters and what their files share. Private to them.
 *
 *   (1) A batch is sent as one or more pieces, one after the other; a piece is a run of its items. Nearly always
 *       the first piece is the whole batch; a back end that finds it too large gets it in smaller ones.
 *   (2) A batch is ended (host->done) exactly once for each send.
 *
 * One thread: the lane's.
 */
#ifndef WEFT_EXPORTERS_OTLP_EXPORTER_H
#define WEFT_EXPORTERS_OTLP_EXPORTER_H

#include "core/buf.h"
#include "core/component.h"
#include "core/gzip.h"
#include "core/http_client.h"

enum weft_otlp_protocol { WEFT_OTLP_GRPC, WEFT_OTLP_GRPC_LONG, WEFT_OTLP_HTTP, WEFT_OTLP_THRIFT };
enum weft_otlp_encoding { WEFT_OTLP_PROTO, WEFT_OTLP_JSON };
enum { WEFT_OTLP_ANSWER_MAX = 64 * 1024, WEFT_OTLP_ENDPOINTS = 32 };

enum weft_otlp_compression { WEFT_OTLP_AUTO, WEFT_OTLP_GZIP, WEFT_OTLP_NONE };

struct weft_otlp_request;

/* URLs of one endpoint. NULL: nowhere to send that signal. */
struct weft_otlp_endpoint { const char *urls[WEFT_SIGNALS]; };

struct weft_otlp_exporter {
    struct weft_exporter base;
    /* options */
    char *endpoint, *traces_endpoint, *logs_endpoint, *metrics_endpoint;
    struct weft_strings endpoints;
    struct weft_pairs headers;
    int compression, encoding, protocol;
    int64_t gzip_level;
    uint64_t timeout_ms;
    bool insecure, insecure_skip_verify;
    char *ca_file, *cert_file, *key_file, *server_name_override;
    /* running */
    bool grpc, compress;
    struct weft_arena text;                /* URLs and header lines */
    struct weft_otlp_endpoint targets[WEFT_OTLP_ENDPOINTS];
    unsigned n_targets;
    const char *lines[WEFT_HTTP_MAX_HEADERS];       /* header lines of every request, NULL-terminated */
    const char *plain_lines[WEFT_HTTP_MAX_HEADERS]; /* of one that is not compressed though others are */
    struct weft_http_client *client;
    struct weft_gzip *gzip;
    struct weft_gunzip *gunzip;            /* made for the first compressed answer */
    struct weft_buf plain;                 /* an answer unpacked */
    struct weft_otlp_request *free;        /* what is not out; kept for its buffers */
    uint64_t piece_bytes;                  /* the back end refused more than this; 0: it never did */
    struct weft_log_gate gate;
};

/* Begins to send; weft_exporter_type.send. */
void weft_otlp_send(struct weft_exporter *self, struct weft_batch *batch);

/* Gives back the buffers of requests that are not out, and what the client keeps; weft_exporter_type.trim. */
void weft_otlp_trim(struct weft_exporter *self);

/* Frees the requests that are not out. */
void weft_otlp_requests_free(struct weft_otlp_exporter *o);

/* exporters/otlp_target.c: where requests go and what their heads say. */

/* Reports what is wrong with endpoints, protocol and headers; weft_exporter_type.check. */
int weft_otlp_check(struct weft_exporter *self, const struct weft_node *map, struct weft_problems *problems);

/* weft_exporter_type.endpoint */
const char *weft_otlp_endpoint(const struct weft_exporter *self, size_t index);

/* Fills text, targets, lines, grpc and compress from the options. 0 or a negative code. */
int weft_otlp_target(struct weft_otlp_exporter *o);

#endif

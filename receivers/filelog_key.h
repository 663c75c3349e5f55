/* SPDX-License-Identifier: Apache-2.0 */
/* filelog_key.h: what a key of a log line means, and what a word says of severity. Lookups only; any thread.
 *
 * The spellings are those of pino, bunyan, winston, zap, zerolog, log4j (JsonLayout, JsonTemplateLayout), ECS, structlog, Serilog,
 * Datadog's and Google's tracers, and GELF.
 */
#ifndef WEFT_RECEIVERS_FILELOG_KEY_H
#define WEFT_RECEIVERS_FILELOG_KEY_H

#include "core/slice.h"

enum weft_filelog_role {
    WEFT_ROLE_NONE,          /* an attribute */
    WEFT_ROLE_TIME,
    WEFT_ROLE_INSTANT,       /* log4j's {"epochSecond", "nanoOfSecond"} */
    WEFT_ROLE_LEVEL,
    WEFT_ROLE_MESSAGE,
    WEFT_ROLE_SHORT_MESSAGE, /* the message, and a sign of GELF, whose levels are syslog's */
    WEFT_ROLE_EVENT,         /* the message when there is no other */
    WEFT_ROLE_TRACE_ID,
    WEFT_ROLE_SPAN_ID,
    WEFT_ROLE_DD_TRACE_ID,   /* decimal, or hex of 128 bits */
    WEFT_ROLE_DD_SPAN_ID,    /* decimal */
    WEFT_ROLE_GCP_TRACE,     /* projects/P/traces/HEX */
    WEFT_ROLE_GCP_SAMPLED,
    WEFT_ROLE_TRACE_FLAGS,
    WEFT_ROLE_SERVICE,
    WEFT_ROLE_NAME,          /* the service in pino and bunyan */
    WEFT_ROLE_ERROR,         /* an error as an object */
    WEFT_ROLE_ERROR_TYPE,
    WEFT_ROLE_ERROR_MESSAGE,
    WEFT_ROLE_STACK,
    WEFT_ROLE_LOG,           /* ECS's log.*; Docker's text of the line */
    WEFT_ROLE_PREFIX,        /* an object whose members are dotted keys: {"trace":{"id":..}} is trace.id */
    WEFT_ROLES
};

enum weft_filelog_role weft_filelog_role(struct weft_slice key);

/* 1 to 24, or 0 for a word that says nothing. Any case. */
int weft_filelog_severity_word(struct weft_slice word);

/* Levels of pino and bunyan (10 to 60, rounded down to a decade), and of syslog (0 to 7). 0: not one. */
int weft_filelog_severity_pino(int64_t level);
int weft_filelog_severity_syslog(int64_t level);

#endif

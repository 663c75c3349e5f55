/* SPDX-License-Identifier: Apache-2.0 */
/* filelog_key.c: see filelog_key.h. Both tables are rows by length, so that a lookup compares with few words. */
#include "receivers/filelog_key.h"

enum { KEY_MAX = 36, WORD_MAX = 11, ROW_MAX = 12 };

struct key { const char *text; enum weft_filelog_role role; };

static const struct key keys[KEY_MAX + 1][ROW_MAX] = {
    [2] = { { "ts", WEFT_ROLE_TIME }, { "@t", WEFT_ROLE_TIME }, { "@l", WEFT_ROLE_LEVEL }, { "@m", WEFT_ROLE_MESSAGE },
            { "@x", WEFT_ROLE_STACK }, { "dd", WEFT_ROLE_PREFIX } },
    [3] = { { "msg", WEFT_ROLE_MESSAGE }, { "err", WEFT_ROLE_ERROR }, { "log", WEFT_ROLE_LOG }, { "lvl", WEFT_ROLE_LEVEL },
            { "@mt", WEFT_ROLE_EVENT } },
    [4] = { { "time", WEFT_ROLE_TIME }, { "name", WEFT_ROLE_NAME }, { "span", WEFT_ROLE_PREFIX } },
    [5] = { { "level", WEFT_ROLE_LEVEL }, { "error", WEFT_ROLE_ERROR }, { "stack", WEFT_ROLE_STACK }, { "event", WEFT_ROLE_EVENT },
            { "trace", WEFT_ROLE_PREFIX } },
    [6] = { { "spanId", WEFT_ROLE_SPAN_ID }, { "spanID", WEFT_ROLE_SPAN_ID }, { "thrown", WEFT_ROLE_ERROR } },
    [7] = { { "span_id", WEFT_ROLE_SPAN_ID }, { "message", WEFT_ROLE_MESSAGE }, { "traceId", WEFT_ROLE_TRACE_ID },
            { "service", WEFT_ROLE_SERVICE }, { "span.id", WEFT_ROLE_SPAN_ID }, { "instant", WEFT_ROLE_INSTANT },
            { "asctime", WEFT_ROLE_TIME }, { "traceID", WEFT_ROLE_TRACE_ID } },
    [8] = { { "trace_id", WEFT_ROLE_TRACE_ID }, { "trace.id", WEFT_ROLE_TRACE_ID }, { "severity", WEFT_ROLE_LEVEL },
            { "datetime", WEFT_ROLE_TIME }, { "loglevel", WEFT_ROLE_LEVEL } },
    [9] = { { "timestamp", WEFT_ROLE_TIME }, { "log.level", WEFT_ROLE_LEVEL }, { "levelname", WEFT_ROLE_LEVEL },
            { "exception", WEFT_ROLE_ERROR } },
    [10] = { { "@timestamp", WEFT_ROLE_TIME }, { "stacktrace", WEFT_ROLE_STACK }, { "timeMillis", WEFT_ROLE_TIME },
             { "dd.span_id", WEFT_ROLE_DD_SPAN_ID }, { "error.type", WEFT_ROLE_ERROR_TYPE }, { "traceFlags", WEFT_ROLE_TRACE_FLAGS },
             { "dd.service", WEFT_ROLE_SERVICE } },
    [11] = { { "stack_trace", WEFT_ROLE_STACK }, { "trace_flags", WEFT_ROLE_TRACE_FLAGS }, { "dd.trace_id", WEFT_ROLE_DD_TRACE_ID },
             { "error.stack", WEFT_ROLE_STACK }, { "trace.flags", WEFT_ROLE_TRACE_FLAGS } },
    [12] = { { "service.name", WEFT_ROLE_SERVICE }, { "service_name", WEFT_ROLE_SERVICE } },
    [13] = { { "short_message", WEFT_ROLE_SHORT_MESSAGE }, { "error.message", WEFT_ROLE_ERROR_MESSAGE },
             { "severity_text", WEFT_ROLE_LEVEL } },
    [17] = { { "error.stack_trace", WEFT_ROLE_STACK } },
    [28] = { { "logging.googleapis.com/trace", WEFT_ROLE_GCP_TRACE } },
    [29] = { { "logging.googleapis.com/spanId", WEFT_ROLE_SPAN_ID } },
    [36] = { { "logging.googleapis.com/trace_sampled", WEFT_ROLE_GCP_SAMPLED } },
};

enum weft_filelog_role weft_filelog_role(struct weft_slice key)
{
    if (key.len < 2 || key.len > KEY_MAX)
        return WEFT_ROLE_NONE;
    for (const struct key *k = keys[key.len]; k->text; k++)
        if (k->text[0] == (char)key.data[0] && memcmp(k->text, key.data, key.len) == 0)
            return k->role;
    return WEFT_ROLE_NONE;
}

struct word { const char *text; int severity; };

/* The table of the logs data model's appendix; what it does not have is ours. */
static const struct word words[WORD_MAX + 1][ROW_MAX] = {
    [3] = { { "err", 17 } },
    [4] = { { "info", 9 }, { "warn", 13 }, { "http", 9 }, { "crit", 18 }, { "fine", 5 } },
    [5] = { { "debug", 5 }, { "error", 17 }, { "trace", 1 }, { "fatal", 21 }, { "panic", 19 }, { "alert", 19 }, { "silly", 1 },
            { "emerg", 21 }, { "finer", 1 } },
    [6] = { { "notice", 10 }, { "severe", 17 }, { "dpanic", 18 }, { "finest", 1 }, { "config", 8 } },
    [7] = { { "warning", 13 }, { "verbose", 7 } },
    [8] = { { "critical", 18 } },
    [9] = { { "emergency", 21 } },
    [11] = { { "information", 9 } },
};

int weft_filelog_severity_word(struct weft_slice word)
{
    if (word.len < 3 || word.len > WORD_MAX)
        return 0;
    for (const struct word *w = words[word.len]; w->text; w++) {
        size_t i = 0;
        while (i < word.len && (word.data[i] | 0x20) == (uint8_t)w->text[i])
            i++;
        if (i == word.len)
            return w->severity;
    }
    return 0;
}

int weft_filelog_severity_pino(int64_t level)
{
    static const int decades[] = { 0, 1, 5, 9, 13, 17, 21 };

    if (level < 10)
        return 0;
    return decades[level >= 60 ? 6 : level / 10];
}

int weft_filelog_severity_syslog(int64_t level)
{
    static const int levels[] = { 21, 19, 18, 17, 13, 10, 9, 5 };

    return level >= 0 && level < 8 ? levels[level] : 0;
}

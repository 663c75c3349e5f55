/* SPDX-License-Identifier: Apache-2.0 */
/* log.h: one structured line on stderr per problem.
 *
 *   time=2026-11-20T18:00:00.123Z level=warn component=otlp/internal msg="refusing ..."
 *
 * or the same fields as one JSON object. Only agent/ and the components log, each error once,
 * where its consequence is known: what failed, for which component, why, and what happens next.
 * core/ returns codes. Every line that a peer can trigger goes through a gate.
 *
 *   (1) A line is one write(2) of at most WEFT_LOG_LINE_MAX bytes: lines of threads never mix.
 *   (2) Control characters and quotes are escaped, and what is not UTF-8 is replaced: a peer cannot forge or break a line.
 *   (3) A struct weft_log is const while threads run: any thread may use it.
 */
#ifndef WEFT_CORE_LOG_H
#define WEFT_CORE_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum { WEFT_LOG_LINE_MAX = 4096 };

enum weft_log_level { WEFT_LOG_DEBUG, WEFT_LOG_INFO, WEFT_LOG_WARN, WEFT_LOG_ERROR };
enum weft_log_format { WEFT_LOG_LOGFMT, WEFT_LOG_JSON };

struct weft_log {
    int fd;                       /* where lines go; 2 in the daemon */
    enum weft_log_level level;    /* lines below it are not written */
    enum weft_log_format format;
};

/* Writes one line for component id `component` ("agent" for the daemon itself). The message is
 * `format` with its arguments; it is cut, not split, at WEFT_LOG_LINE_MAX. `log` may be NULL: nothing happens. */
void weft_log(const struct weft_log *log, enum weft_log_level level, const char *component,
              const char *format, ...) __attribute__((format(printf, 4, 5)));

/* At most `burst` lines per `interval_ms`; the next line let through carries the number that were
 * not. The caller passes the time, so tests own it. One thread. */
struct weft_log_gate {
    uint64_t interval_ms;
    unsigned burst, used, dropped;
    uint64_t since_ms;
};

/* True: write the line, and mention *ret_dropped suppressed ones when it is not 0. */
bool weft_log_gate_open(struct weft_log_gate *g, uint64_t now_ms, unsigned *ret_dropped);

/* How that is said at the end of a line: " (7 more such lines were left out)", or nothing of none. */
enum { WEFT_LOG_MORE_MAX = 64 };
const char *weft_log_more(unsigned dropped, char out[WEFT_LOG_MORE_MAX]);

/* The words that go with that number: ("item waits", "items wait"). */
static inline const char *weft_log_words(uint64_t n, const char *one, const char *many)
{
    return n == 1 ? one : many;
}

#endif

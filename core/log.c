/* SPDX-License-Identifier: Apache-2.0 */
/* log.c: see log.h. A line is built on the stack and leaves in one write(2). */
#include "core/log.h"

#include "core/utf8.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct line {
    char text[WEFT_LOG_LINE_MAX];
    size_t len;
};

/* All of it or, when there is no room, nothing: no escape and no character is cut in two. Keeps room for what closes
 * the line: a quote, a brace and the newline. */
static bool put_whole(struct line *l, const void *text, size_t len)
{
    if (len > sizeof l->text - 4 - l->len)
        return false;
    memcpy(l->text + l->len, text, len);
    l->len += len;
    return true;
}

static void put(struct line *l, const char *text)
{
    (void)put_whole(l, text, strlen(text));
}

static bool put_escape(struct line *l, uint8_t c)
{
    static const char hex[] = "0123456789abcdef";
    const char code[] = { '\\', 'u', '0', '0', hex[c >> 4], hex[c & 15] }, pair[] = { '\\', (char)c };

    if (c == '\n')
        return put_whole(l, "\\n", 2);
    return c == '"' || c == '\\' ? put_whole(l, pair, sizeof pair) : put_whole(l, code, sizeof code);
}

/* Messages quote peers: what is not UTF-8 would make the line no JSON. */
static void put_escaped(struct line *l, const char *text)
{
    const uint8_t *at = (const uint8_t *)text, *end = at + strlen(text);
    bool fits = true;

    while (at < end && fits) {
        size_t len = weft_utf8_sequence(at, end);
        if (len == 0)
            fits = put_whole(l, WEFT_UTF8_REPLACEMENT, strlen(WEFT_UTF8_REPLACEMENT));
        else if (*at < 0x20 || *at == 0x7f || *at == '"' || *at == '\\')
            fits = put_escape(l, *at);
        else
            fits = put_whole(l, at, len);
        at += len ? len : 1;
    }
}

static void put_time(struct line *l)
{
    struct timespec now;
    struct tm utc;
    char text[40];

    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    size_t n = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc);
    (void)snprintf(text + n, sizeof text - n, ".%03dZ", (int)(now.tv_nsec / 1000000));
    put(l, text);
}

static void write_line(int fd, struct line *l)
{
    l->text[l->len++] = '\n';
    ssize_t ignored = write(fd, l->text, l->len);
    (void)ignored; /* nobody is left to tell */
}

void weft_log(const struct weft_log *log, enum weft_log_level level, const char *component,
              const char *format, ...)
{
    static const char *const levels[] = { "debug", "info", "warn", "error" };
    struct line l = { .len = 0 };
    char message[WEFT_LOG_LINE_MAX / 2];
    va_list args;

    if (!log || level < log->level)
        return;
    va_start(args, format);
    (void)vsnprintf(message, sizeof message, format, args);
    va_end(args);

    bool json = log->format == WEFT_LOG_JSON;
    put(&l, json ? "{\"time\":\"" : "time=");
    put_time(&l);
    put(&l, json ? "\",\"level\":\"" : " level=");
    put(&l, levels[level]);
    put(&l, json ? "\",\"component\":\"" : " component=");
    put_escaped(&l, component);
    put(&l, json ? "\",\"msg\":\"" : " msg=\"");
    put_escaped(&l, message);
    l.text[l.len++] = '"';
    if (json)
        l.text[l.len++] = '}';
    write_line(log->fd, &l);
}

bool weft_log_gate_open(struct weft_log_gate *g, uint64_t now_ms, unsigned *ret_dropped)
{
    if (now_ms - g->since_ms >= g->interval_ms) {
        g->since_ms = now_ms;
        g->used = 0;
    }
    if (g->used >= g->burst) {
        g->dropped++;
        return false;
    }
    g->used++;
    *ret_dropped = g->dropped;
    g->dropped = 0;
    return true;
}

const char *weft_log_more(unsigned dropped, char out[WEFT_LOG_MORE_MAX])
{
    *out = '\0';
    if (dropped > 0)
        (void)snprintf(out, WEFT_LOG_MORE_MAX, " (%u more such line%s left out)", dropped, dropped == 1 ? " was" : "s were");
    return out;
}

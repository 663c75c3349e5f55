/* SPDX-License-Identifier: Apache-2.0 */
/* retry.c: the state machine of retry.h.
 *
 *            on_failure, `threshold` in a row         wait_ms, open_ms later, or early
 *   CLOSED ---------------------------------> OPEN ---------------------------------> HALF_OPEN
 *     ^                                        ^                                        |  |
 *     |                                        +------------- on_failure ---------------+  |
 *     +------------------------------------- on_success ------------------------------------+
 *
 * Full jitter: waits are spread over [0, ceiling], so that a thousand agents do not come back at one instant;
 * the ceiling doubles with each failure in a row. Requests that were out when the first one failed may end while the
 * probe is out: they count, and the probe stays the only one. */
#include "core/retry.h"

#include <ctype.h>
#include <string.h>
#include <time.h>

enum { HOUR_MS = 3600000 };

void weft_retry_init(struct weft_retry *r, const struct weft_retry_options *options)
{
    *r = (struct weft_retry){ .options = *options, .ceiling_ms = options->initial_ms };
}

static uint64_t until(uint64_t then_ms, uint64_t now_ms)
{
    return then_ms > now_ms ? then_ms - now_ms : 0;
}

static uint64_t later_of(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

uint64_t weft_retry_left_ms(const struct weft_retry *r, uint64_t now_ms, bool early)
{
    uint64_t open = r->breaker == WEFT_BREAKER_OPEN ? until(r->opened_ms + r->options.breaker_open_ms, now_ms) : 0;
    uint64_t ours = later_of(until(r->not_before_ms, now_ms), open);

    if (r->failures > 0 && r->probing)
        return WEFT_RETRY_AFTER_PROBE;
    if (early && r->failures > 0 && r->options.probe_ms && until(r->probe_at_ms, now_ms) < ours)
        ours = until(r->probe_at_ms, now_ms);
    return later_of(ours, until(r->asked_ms, now_ms));
}

uint64_t weft_retry_wait_ms(struct weft_retry *r, uint64_t now_ms, bool early)
{
    uint64_t left = weft_retry_left_ms(r, now_ms, early);

    if (left)
        return left;
    if (r->breaker == WEFT_BREAKER_OPEN)
        r->breaker = WEFT_BREAKER_HALF_OPEN;
    r->probing = r->probing || r->failures > 0;
    return 0;
}

bool weft_retry_is_well(const struct weft_retry *r, uint64_t now_ms)
{
    return r->failures == 0 && r->asked_ms <= now_ms;
}

void weft_retry_probe_over(struct weft_retry *r)
{
    r->probing = false;
}

void weft_retry_on_success(struct weft_retry *r, uint64_t now_ms)
{
    (void)now_ms;
    r->breaker = WEFT_BREAKER_CLOSED;
    r->failures = 0;
    r->ceiling_ms = r->options.initial_ms;
    r->not_before_ms = r->first_failure_ms = 0;
}

static void open_breaker(struct weft_retry *r, uint64_t now_ms)
{
    r->breaker = WEFT_BREAKER_OPEN;
    r->opened_ms = now_ms;
}

static void plan(struct weft_retry *r, uint64_t now_ms, uint64_t retry_after_ms, uint64_t random)
{
    uint64_t wait = r->ceiling_ms == UINT64_MAX ? random : random % (r->ceiling_ms + 1);
    uint64_t half = r->options.probe_ms / 2;

    r->not_before_ms = later_of(r->not_before_ms, now_ms + wait);
    if (retry_after_ms)
        r->asked_ms = later_of(r->asked_ms, now_ms + retry_after_ms);
    r->probe_at_ms = now_ms + r->options.probe_ms - (random >> 32) % (half + 1);
    r->ceiling_ms = r->ceiling_ms < r->options.max_ms / 2 ? r->ceiling_ms * 2 : r->options.max_ms;
}

bool weft_retry_on_failure(struct weft_retry *r, uint64_t now_ms, uint64_t retry_after_ms, uint64_t random)
{
    if (r->failures == 0)
        r->first_failure_ms = now_ms;
    r->failures++;
    plan(r, now_ms, retry_after_ms, random);
    if (r->breaker == WEFT_BREAKER_HALF_OPEN
        || (r->breaker == WEFT_BREAKER_CLOSED && r->options.breaker_threshold
            && r->failures >= r->options.breaker_threshold))
        open_breaker(r, now_ms);

    return r->options.max_elapsed_ms == 0 || now_ms - r->first_failure_ms < r->options.max_elapsed_ms;
}

const char *weft_breaker_name(enum weft_breaker b)
{
    static const char *const names[] = { "closed", "open", "half_open" };

    return names[b];
}

/* ---- Retry-After ---- */

static bool read_seconds(const char *at, uint64_t *ret_ms)
{
    uint64_t seconds = 0;

    if (!isdigit((unsigned char)*at))
        return false;
    for (; isdigit((unsigned char)*at); at++)
        if (seconds < HOUR_MS)
            seconds = seconds * 10 + (uint64_t)(*at - '0');
    at += strspn(at, " \t");
    if (*at)
        return false;
    *ret_ms = seconds < HOUR_MS / 1000 ? seconds * 1000 : HOUR_MS;
    return true;
}

/* The three forms that a recipient must accept (RFC 9110 5.6.7). Names of days and months are English
 * whatever the locale: the program never sets one. */
static bool read_date(const char *at, int64_t now_wall_s, uint64_t *ret_ms)
{
    static const char *const forms[] = { "%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT",
                                         "%a %b %e %H:%M:%S %Y" };

    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        struct tm tm = { 0 };
        const char *end = strptime(at, forms[i], &tm);
        if (!end || end[strspn(end, " \t")])
            continue;
        int64_t wait_s = (int64_t)timegm(&tm) - now_wall_s;
        *ret_ms = wait_s <= 0 ? 0 : wait_s < HOUR_MS / 1000 ? (uint64_t)wait_s * 1000 : HOUR_MS;
        return true;
    }
    return false;
}

bool weft_retry_after(const char *value, int64_t now_wall_s, uint64_t *ret_ms)
{
    if (!value)
        return false;
    value += strspn(value, " \t");
    return read_seconds(value, ret_ms) || read_date(value, now_wall_s, ret_ms);
}

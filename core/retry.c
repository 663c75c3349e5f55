/* SPDX-License-Identifier: Apache-2.0 */
/* retry.c: the state machine of retry.h.
 *
 *            on_failure, `threshold` in a row             wait_ms, open_ms later
 *   CLOSED ---------------------------------> OPEN ---------------------------------> HALF_OPEN
 *     ^                                        ^                                        |  |
 *     |                                        +------------- on_failure ---------------+  |
 *     +------------------------------------- on_success ------------------------------------+
 *
 * Full jitter: waits are spread over [0, ceiling], so that a thousand agents do not come back at one instant;
 * the ceiling doubles with each failure in a row. */
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

/* While a probe is out there is no moment to name: ask again when it is over, or a little later. */
static uint64_t wait_for_probe(const struct weft_retry *r)
{
    return r->options.initial_ms ? r->options.initial_ms : 1;
}

uint64_t weft_retry_left_ms(const struct weft_retry *r, uint64_t now_ms)
{
    uint64_t backoff = until(r->not_before_ms, now_ms);
    uint64_t open = r->breaker == WEFT_BREAKER_OPEN ? until(r->opened_ms + r->options.breaker_open_ms, now_ms) : 0;

    return open > backoff ? open : backoff;
}

uint64_t weft_retry_wait_ms(struct weft_retry *r, uint64_t now_ms)
{
    uint64_t left = weft_retry_left_ms(r, now_ms);

    if (left)
        return left;
    if (r->breaker == WEFT_BREAKER_OPEN)
        r->breaker = WEFT_BREAKER_HALF_OPEN;
    if (r->breaker == WEFT_BREAKER_HALF_OPEN) {
        if (r->probing)
            return wait_for_probe(r);
        r->probing = true;
    }
    return 0;
}

void weft_retry_on_success(struct weft_retry *r, uint64_t now_ms)
{
    (void)now_ms;
    r->breaker = WEFT_BREAKER_CLOSED;
    r->failures = 0;
    r->ceiling_ms = r->options.initial_ms;
    r->not_before_ms = r->first_failure_ms = 0;
    r->probing = false;
}

static void open_breaker(struct weft_retry *r, uint64_t now_ms)
{
    r->breaker = WEFT_BREAKER_OPEN;
    r->opened_ms = now_ms;
    r->probing = false;
}

bool weft_retry_on_failure(struct weft_retry *r, uint64_t now_ms, uint64_t retry_after_ms, uint64_t random)
{
    if (r->failures == 0)
        r->first_failure_ms = now_ms;
    r->failures++;

    uint64_t wait = r->ceiling_ms == UINT64_MAX ? random : random % (r->ceiling_ms + 1);
    if (wait < retry_after_ms)
        wait = retry_after_ms;
    if (now_ms + wait > r->not_before_ms)
        r->not_before_ms = now_ms + wait;
    r->ceiling_ms = r->ceiling_ms < r->options.max_ms / 2 ? r->ceiling_ms * 2 : r->options.max_ms;

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

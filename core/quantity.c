/* SPDX-License-Identifier: Apache-2.0 */
/* quantity.c: sizes and durations as text, in the spellings of Go and the Collector (declared in option.h).
 *
 * Stateless; any thread.
 */
#include "core/option.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct unit { const char *name; double factor; };

/* An unsigned decimal with an optional fraction: where it ends, or NULL when there is none. strtod alone would
 * take "inf", "0x1p3" and signs. */
static const char *take_decimal(const char *text, double *ret_value)
{
    const char *at = text;
    size_t digits = 0;
    char *end;

    for (; isdigit((unsigned char)*at); at++)
        digits++;
    if (*at == '.')
        for (at++; isdigit((unsigned char)*at); at++)
            digits++;
    if (digits == 0 || digits > 40)
        return NULL;

    char copy[48];
    memcpy(copy, text, (size_t)(at - text));
    copy[at - text] = '\0';
    *ret_value = strtod(copy, &end);
    return at;
}

static const struct unit *find_unit(const struct unit *units, const char *name, size_t len, bool blind)
{
    for (; units->name; units++)
        if (strlen(units->name) == len && (blind ? strncasecmp(units->name, name, len) == 0
                                                 : strncmp(units->name, name, len) == 0))
            return units;
    return NULL;
}

const char *weft_parse_bytes(const char *text, uint64_t *ret_value)
{
    static const struct unit units[] = {
        { "", 1 }, { "B", 1 },
        { "K", 1e3 }, { "KB", 1e3 }, { "M", 1e6 }, { "MB", 1e6 }, { "G", 1e9 }, { "GB", 1e9 }, { "T", 1e12 }, { "TB", 1e12 },
        { "Ki", 0x1p10 }, { "KiB", 0x1p10 }, { "Mi", 0x1p20 }, { "MiB", 0x1p20 }, { "Gi", 0x1p30 }, { "GiB", 0x1p30 },
        { "Ti", 0x1p40 }, { "TiB", 0x1p40 }, { NULL, 0 },
    };
    double value;
    const char *at = take_decimal(text, &value);

    if (!at)
        return "is not a size; write a number of bytes, or one such as 64MiB or 1GB";
    while (*at == ' ')
        at++;
    const struct unit *unit = find_unit(units, at, strlen(at), true);
    if (!unit)
        return "has an unknown unit; sizes end in B, KiB, MiB, GiB, TiB, KB, MB, GB or TB";
    if (value * unit->factor >= 0x1p63)
        return "is too large";
    *ret_value = (uint64_t)(value * unit->factor);
    return NULL;
}

const char *weft_parse_msec(const char *text, uint64_t *ret_value)
{
    static const struct unit units[] = {
        { "ns", 1e-6 }, { "us", 1e-3 }, { "\xc2\xb5s", 1e-3 }, { "\xce\xbcs", 1e-3 }, { "ms", 1 }, { "s", 1e3 }, { "m", 6e4 },
        { "h", 3.6e6 }, { NULL, 0 },
    };
    double total = 0, value;
    const char *at = text;

    if (strcmp(text, "0") == 0) {
        *ret_value = 0;
        return NULL;
    }
    do {
        at = take_decimal(at, &value);
        if (!at)
            return *text == '-' ? "is negative" : "is not a duration; write one such as 250ms, 10s or 1m30s";
        size_t len = strcspn(at, "0123456789.");
        if (len == 0)
            return "has no unit; write a duration such as 250ms, 10s or 1m30s";
        const struct unit *unit = find_unit(units, at, len, false);
        if (!unit)
            return "has an unknown unit; durations are made of ms, s, m and h (24h is a day)";
        total += value * unit->factor;
        at += len;
    } while (*at);
    if (total >= 0x1p53)
        return "is too long";
    *ret_value = (uint64_t)ceil(total - 1e-9 < 0 ? total : total - 1e-9);
    return NULL;
}

const char *weft_format_bytes(double value, char *out)
{
    static const char *const names[] = { "B", "KiB", "MiB", "GiB", "TiB" };
    size_t i = 0;

    while (i < 4 && value >= 1024 && fmod(value, 1024) == 0) {
        value /= 1024;
        i++;
    }
    (void)snprintf(out, WEFT_QUANTITY_MAX, "%.0f%s", value, i ? names[i] : "");
    return out;
}

const char *weft_format_msec(double value, char *out)
{
    static const struct { const char *name; double factor; } units[] = {
        { "h", 3.6e6 }, { "m", 6e4 }, { "s", 1e3 }, { "ms", 1 },
    };
    int len = 0;

    (void)snprintf(out, WEFT_QUANTITY_MAX, "0");
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        double n = floor(value / units[i].factor);
        if (n > 0 && len < WEFT_QUANTITY_MAX)
            len += snprintf(out + len, (size_t)(WEFT_QUANTITY_MAX - len), "%.0f%s", n, units[i].name);
        value -= n * units[i].factor;
    }
    return out;
}

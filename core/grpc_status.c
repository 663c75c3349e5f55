/* SPDX-License-Identifier: Apache-2.0 */
/* grpc_status.c: see grpc_status.h. */
#include "core/grpc_status.h"

#include "core/err.h"

#include <uv.h>

enum { TIMEOUT_DIGITS = 8 }; /* the specification's limit; keeps every product within 64 bits */

enum weft_grpc_status weft_grpc_status_of(int err)
{
    switch (err) {
    case WEFT_OK:
        return WEFT_GRPC_OK;
    case WEFT_ERR_MALFORMED:
    case WEFT_ERR_TOO_DEEP:
        return WEFT_GRPC_INVALID_ARGUMENT;
    case WEFT_ERR_TOO_LARGE:
        return WEFT_GRPC_RESOURCE_EXHAUSTED;
    case WEFT_ERR_UNSUPPORTED:
        return WEFT_GRPC_UNIMPLEMENTED;
    case WEFT_ERR_NOT_FOUND:
        return WEFT_GRPC_NOT_FOUND;
    case WEFT_ERR_TIMEOUT:
        return WEFT_GRPC_DEADLINE_EXCEEDED;
    case WEFT_ERR_FULL:
    case WEFT_ERR_SHED:
    case WEFT_ERR_LIMIT:
    case WEFT_ERR_DRAINING:
    case UV_ENOMEM:
        return WEFT_GRPC_UNAVAILABLE;
    default:
        return WEFT_GRPC_INTERNAL;
    }
}

void weft_grpc_put_message(struct weft_buf *out, const char *text)
{
    static const char hex[] = "0123456789ABCDEF";

    for (const char *p = text; *p; p++) {
        uint8_t byte = (uint8_t)*p;
        if (byte >= ' ' && byte <= '~' && byte != '%') {
            weft_buf_append_byte(out, byte);
            continue;
        }
        weft_buf_append_byte(out, '%');
        weft_buf_append_byte(out, (uint8_t)hex[byte >> 4]);
        weft_buf_append_byte(out, (uint8_t)hex[byte & 15]);
    }
}

void weft_grpc_put_binary(struct weft_buf *out, struct weft_slice bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    for (size_t at = 0; at < bytes.len; at += 3) {
        size_t n = bytes.len - at < 3 ? bytes.len - at : 3;
        uint32_t group = (uint32_t)bytes.data[at] << 16;

        if (n > 1)
            group |= (uint32_t)bytes.data[at + 1] << 8;
        if (n > 2)
            group |= bytes.data[at + 2];
        for (size_t digit = 0; digit <= n; digit++)
            weft_buf_append_byte(out, (uint8_t)digits[group >> (18 - 6 * digit) & 63]);
    }
}

/* Nanoseconds of one unit, or 0. */
static uint64_t unit_ns(uint8_t unit)
{
    switch (unit) {
    case 'H':
        return 3600000000000u;
    case 'M':
        return 60000000000u;
    case 'S':
        return 1000000000u;
    case 'm':
        return 1000000u;
    case 'u':
        return 1000u;
    case 'n':
        return 1u;
    default:
        return 0;
    }
}

int weft_grpc_read_timeout(struct weft_slice text, uint64_t *ret_ms)
{
    uint64_t value = 0, unit;

    if (text.len < 2 || text.len > TIMEOUT_DIGITS + 1)
        return WEFT_ERR_MALFORMED;
    for (size_t i = 0; i + 1 < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return WEFT_ERR_MALFORMED;
        value = value * 10 + (text.data[i] - (uint8_t)'0');
    }
    unit = unit_ns(text.data[text.len - 1]);
    if (unit == 0)
        return WEFT_ERR_MALFORMED;
    /* 99999999 hours in nanoseconds pass 64 bits; whole milliseconds do not. */
    *ret_ms = unit >= 1000000 ? value * (unit / 1000000) : (value * unit + 999999) / 1000000;
    return 0;
}

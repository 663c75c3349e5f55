/* SPDX-License-Identifier: Apache-2.0 */
/* base64.h: the alphabet of base64 as readers need it: standard and URL-safe digits mean the same. What a reader does
 * with padding, and with what is no digit, is its own affair. Stateless; any thread.
 */
#ifndef WEFT_CORE_BASE64_H
#define WEFT_CORE_BASE64_H

#include <stdint.h>

/* The six bits of a digit; 64 for what is none. */
static inline unsigned weft_base64_digit(uint8_t c)
{
    if (c >= 'A' && c <= 'Z')
        return (unsigned)(c - 'A');
    if (c >= 'a' && c <= 'z')
        return (unsigned)(c - 'a' + 26);
    if (c >= '0' && c <= '9')
        return (unsigned)(c - '0' + 52);
    return c == '+' || c == '-' ? 62 : c == '/' || c == '_' ? 63 : 64;
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The first byte chooses the signal; up to the first NUL an expression, behind it a payload. An expression that is refused has a
 * place within it; what is compiled visits each item that was counted once, and an item matches just when it is visited so. */
#include "core/match.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool yes)
{
    if (!yes)
        abort();
}

static void visit(void *ctx, uint32_t item, bool matches)
{
    uint32_t *next = ctx;

    (void)matches;
    must(item == *next);
    (*next)++;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *end = size > 1 ? memchr(data + 1, 0, size - 1) : NULL;
    struct weft_match *m = NULL;
    struct weft_match_error error = { 0 };
    uint32_t counted, visited = 0;

    if (!end || end - data > 400)
        return 0;
    const char *expression = (const char *)data + 1;
    if (weft_match_compile(expression, &m, &error)) {
        must(error.text[0] && error.column >= 1 && error.column <= strlen(expression) + 1);
        return 0;
    }
    enum weft_signal signal = data[0] % WEFT_SIGNALS;
    struct weft_slice payload = weft_slice_of(end + 1, size - (size_t)(end + 1 - data));
    if (weft_otlp_count(signal, payload, &counted) == 0) {
        weft_match_payload(m, signal, payload, visit, &visited);
        must(visited == counted);
    }
    weft_match_free(m);
    return 0;
}

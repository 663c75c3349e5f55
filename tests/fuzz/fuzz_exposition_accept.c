/* SPDX-License-Identifier: Apache-2.0 */
/* Any Accept header leads to one of the content types there are. */
#include "core/exposition.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *header = malloc(size + 1);

    if (!header)
        return 0;
    memcpy(header, data, size);
    header[size] = 0;
    struct weft_exposition_choice c = weft_exposition_choose(header, true);
    if (!c.content_type || strpbrk(c.content_type, "\r\n"))
        abort();
    c = weft_exposition_choose(header, false);
    if (c.format == WEFT_EXPOSITION_PROTOBUF)
        abort();
    free(header);
    return 0;
}

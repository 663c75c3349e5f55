/* SPDX-License-Identifier: Apache-2.0 */
/* err.c: the words behind the codes of err.h. Stateless; any thread. */
#include "core/err.h"

#include <uv.h>

const char *weft_err_text(int err)
{
    switch (err) {
    case WEFT_OK:
        return "success";
#define X(name, text)      \
    case WEFT_ERR_##name:  \
        return text;
    WEFT_ERR_MAP(X)
#undef X
    default:
        return uv_strerror(err);
    }
}

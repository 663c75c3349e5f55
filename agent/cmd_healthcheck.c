/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_healthcheck.c: weft healthcheck: exit 0 when the running agent is ready. For container health checks, so it needs no
 * other program, waits seconds at most, and says in one line what is wrong. */
#include "agent/admin_client.h"
#include "agent/cli.h"
#include "core/err.h"

#include <stdio.h>

enum { PATIENCE_S = 3, ANSWER_MAX = 64 << 10 };

int weft_command_healthcheck(const struct weft_command *self, int argc, char **argv)
{
    const char *endpoint = WEFT_ADMIN_ENDPOINT;
    const struct weft_flag flags[] = {
        { "--endpoint", WEFT_FLAG_TEXT, &endpoint, "HOST:PORT", "the agent's admin address (default " WEFT_ADMIN_ENDPOINT ")" },
        { .name = NULL },
    };

    int parsed = weft_cli_parse(self, flags, argc, argv, NULL);
    if (parsed)
        return parsed > 0 ? WEFT_EXIT_OK : WEFT_EXIT_USAGE;
    struct weft_buf answer;
    weft_buf_init(&answer, ANSWER_MAX);
    int status = weft_admin_ask(endpoint, "GET", "/health/ready", PATIENCE_S, &answer);
    weft_buf_release(&answer);
    if (status == 200)
        return WEFT_EXIT_OK;
    if (status < 0)
        (void)fprintf(stderr, "weft healthcheck: no agent answers on %s: %s\n", endpoint, weft_err_text(status));
    else
        (void)fprintf(stderr, "weft healthcheck: the agent on %s is not ready (status %d)\n", endpoint, status);
    return WEFT_EXIT_START;
}

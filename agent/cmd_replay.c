/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_replay.c: weft replay: has a running agent send records again that its journals still keep. */
#include "agent/admin_client.h"
#include "agent/json_find.h"
#include "agent/query.h"
#include "agent/replay_watch.h"

#include <stdio.h>

struct wish {
    const char *exporter, *since, *until, *match;
    bool cancel, no_wait;
};

static void put_parameter(struct weft_buf *b, const char *key, const char *value)
{
    if (!value)
        return;
    weft_buf_append_byte(b, memchr(b->data, '?', b->len) ? '&' : '?');
    weft_buf_append_str(b, key);
    weft_buf_append_byte(b, '=');
    weft_query_put(b, value);
}

static int check(const struct weft_command *self, const struct wish *w)
{
    uint64_t ms;

    if (!w->exporter)
        return weft_cli_usage(self, "--exporter ID is missing, as 'weft dlq list' shows it");
    if (w->cancel)
        return 0;
    if (w->match && !*w->match) /* most likely a variable of a shell that is not set */
        return weft_cli_usage(self, "--match is empty; leave it out to send everything again");
    if (!w->since)
        return weft_cli_usage(self, "--since DURATION is missing: how far to go back, like 15m or 24h");
    const char *wrong = weft_parse_msec(w->since, &ms);
    if (wrong)
        return weft_cli_usage(self, "--since %s: %s", w->since, wrong);
    wrong = w->until ? weft_parse_msec(w->until, &ms) : NULL;
    return wrong ? weft_cli_usage(self, "--until %s: %s", w->until, wrong) : 0;
}

static int tell_cancelled(const struct wish *w, struct weft_slice answer)
{
    char state[16];

    weft_json_find_text(weft_json_find(answer, "replay"), "state", state, sizeof state);
    printf("%s: %s\n", w->exporter,
           strcmp(state, "running") == 0 ? "the replay ends with the request that is out" : "no replay is running");
    return WEFT_EXIT_OK;
}

static int carry_out(const struct weft_remote *remote, const struct wish *w)
{
    struct weft_buf path, answer;

    weft_buf_init(&path, 16 << 10);
    weft_buf_init(&answer, 1 << 20);
    weft_buf_append_str(&path, "/api/v1/replay/");
    weft_query_put(&path, w->exporter);
    if (w->cancel) {
        weft_buf_append_str(&path, "/cancel");
    } else {
        put_parameter(&path, "since", w->since);
        put_parameter(&path, "until", w->until);
        put_parameter(&path, "match", w->match);
    }
    weft_buf_append_byte(&path, 0);
    int code = path.err ? WEFT_EXIT_USAGE : weft_remote_ask(remote, "POST", (const char *)path.data, &answer);
    if (!code && w->cancel)
        code = tell_cancelled(w, weft_buf_slice(&answer));
    else if (!code && w->no_wait)
        printf("%s: the replay has begun; 'weft dlq list' shows how it goes\n", w->exporter);
    else if (!code)
        code = weft_replay_watch(remote, w->exporter);
    weft_buf_release(&path);
    weft_buf_release(&answer);
    return code;
}

int weft_command_replay(const struct weft_command *self, int argc, char **argv)
{
    struct weft_remote remote = { "replay", WEFT_ADMIN_ENDPOINT };
    struct wish w = { .exporter = NULL };
    const struct weft_flag flags[] = {
        { "--exporter", WEFT_FLAG_TEXT, &w.exporter, "ID", "the exporter that sends again; others notice nothing" },
        { "--since", WEFT_FLAG_TEXT, &w.since, "DURATION", "records that arrived this long ago or later: 15m, 24h" },
        { "--until", WEFT_FLAG_TEXT, &w.until, "DURATION", "and this long ago or earlier (default: up to now)" },
        { "--match", WEFT_FLAG_TEXT, &w.match, "EXPR", "only items that match: \"severity >= warn and service.name = shop\"" },
        { "--no-wait", WEFT_FLAG_SWITCH, &w.no_wait, NULL, "do not watch it to its end" },
        { "--cancel", WEFT_FLAG_SWITCH, &w.cancel, NULL, "end the replay that is running" },
        { "--endpoint", WEFT_FLAG_TEXT, &remote.endpoint, "HOST:PORT", "the agent's admin address (default " WEFT_ADMIN_ENDPOINT ")" },
        { .name = NULL },
    };

    int parsed = weft_cli_parse(self, flags, argc, argv, NULL);
    if (parsed)
        return parsed > 0 ? WEFT_EXIT_OK : WEFT_EXIT_USAGE;
    int wrong = check(self, &w);
    return wrong ? wrong : carry_out(&remote, &w);
}

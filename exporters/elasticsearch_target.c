/* SPDX-License-Identifier: Apache-2.0 */
/* elasticsearch_target.c: from the options to URLs and header lines; see elasticsearch_exporter.h. */
#include "exporters/elasticsearch_answer.h"
#include "exporters/elasticsearch_exporter.h"

#include "core/err.h"
#include "core/http_lines.h"
#include "core/json.h"

#include <strings.h>

enum { TEXT_MAX = 64 * 1024, ENCODING_LINE = 1 };

static bool is_url(const char *text)
{
    return (strncasecmp(text, "http://", 7) == 0 || strncasecmp(text, "https://", 8) == 0) && !strpbrk(text, " ?#");
}

/* ---- check ---- */
static void check_endpoints(const struct weft_es_exporter *e, const struct weft_node *map, struct weft_problems *problems)
{
    const struct weft_node *list = weft_node_get(map, "endpoints");

    if (e->endpoint && e->endpoints.n > 0)
        weft_problem(problems, list, "endpoint and endpoints are both set");
    if (!e->endpoint && e->endpoints.n == 0)
        weft_problem(problems, map, "endpoints is missing");
    if (e->endpoint && !is_url(e->endpoint))
        weft_problem(problems, weft_node_get(map, "endpoint"), "endpoint: '%s' is not a URL (http://host:9200)",
                     e->endpoint);
    for (size_t i = 0; i < e->endpoints.n; i++)
        if (!is_url(e->endpoints.items[i]))
            weft_problem(problems, list, "endpoints: '%s' is not a URL (http://host:9200)", e->endpoints.items[i]);
    if (e->endpoints.n > WEFT_ES_ENDPOINTS)
        weft_problem(problems, list, "endpoints: more than %d", WEFT_ES_ENDPOINTS);
}

static void check_index(const char *key, const char *name, const struct weft_node *map, struct weft_problems *problems)
{
    if (!name)
        return;
    bool bad = !*name || strlen(name) > WEFT_ES_INDEX_MAX || strchr("-_+.", *name) || strpbrk(name, "\\/*?\"<>| ,#:");
    for (const char *p = name; *p; p++)
        bad = bad || (*p >= 'A' && *p <= 'Z');
    if (bad)
        weft_problem(problems, weft_node_get(map, key), "%s: '%s' is not a name that an index may have", key, name);
}

int weft_es_check(struct weft_exporter *self, const struct weft_node *map, struct weft_problems *problems)
{
    const struct weft_es_exporter *e = (const struct weft_es_exporter *)self;
    size_t before = problems->n;

    check_endpoints(e, map, problems);
    check_index("logs_index", e->logs_index, map, problems);
    check_index("traces_index", e->traces_index, map, problems);
    weft_http_lines_check(&e->headers, map, problems);
    if (!e->user != !e->password)
        weft_problem(problems, weft_node_get(map, e->user ? "user" : "password"), "user and password go together");
    if (e->user && e->api_key)
        weft_problem(problems, weft_node_get(map, "api_key"), "api_key and user are both set");
    if (e->api_key && strpbrk(e->api_key, "\r\n"))
        weft_problem(problems, weft_node_get(map, "api_key"), "api_key has more than one line");
    if (e->pipeline && strpbrk(e->pipeline, "?&#/ %"))
        weft_problem(problems, weft_node_get(map, "pipeline"), "pipeline: '%s' is not a name", e->pipeline);
    return problems->n == before ? 0 : WEFT_ERR_CONFIG;
}

/* ---- URLs and header lines ---- */
const char *weft_es_endpoint(const struct weft_exporter *self, size_t index)
{
    const struct weft_es_exporter *e = (const struct weft_es_exporter *)self;

    if (e->endpoint)
        return index == 0 ? e->endpoint : NULL;
    return index < e->endpoints.n ? e->endpoints.items[index] : NULL;
}

static int add_target(struct weft_es_exporter *e, struct weft_buf *line, const char *base)
{
    size_t len = strlen(base);

    if (e->n_targets == WEFT_ES_ENDPOINTS)
        return WEFT_ERR_TOO_LARGE;
    while (len > 0 && base[len - 1] == '/')
        len--;
    weft_buf_append(line, base, len);
    weft_buf_append_str(line, "/_bulk?filter_path=" WEFT_ES_FILTER_PATH);
    if (e->pipeline)
        weft_buf_printf(line, "&pipeline=%s", e->pipeline);
    const char *url = weft_http_lines_keep(&e->text, line);
    if (!url)
        return UV_ENOMEM;
    e->targets[e->n_targets++] = url;
    return 0;
}

static int add_line(struct weft_es_exporter *e, struct weft_buf *line)
{
    return weft_http_lines_add(e->lines, &e->text, line);
}

static int add_authorization(struct weft_es_exporter *e, struct weft_buf *line)
{
    struct weft_buf plain;

    if (e->api_key) {
        weft_buf_printf(line, "Authorization: ApiKey %s", e->api_key);
        return add_line(e, line);
    }
    if (!e->user)
        return 0;
    weft_buf_init(&plain, TEXT_MAX);
    weft_buf_printf(&plain, "%s:%s", e->user, e->password ? e->password : "");
    weft_buf_append_str(line, "Authorization: Basic ");
    size_t quoted = line->len;
    weft_json_put_base64(line, weft_buf_slice(&plain));
    if (!line->err && !plain.err) { /* the quotes are JSON's */
        line->len--;
        memmove(line->data + quoted, line->data + quoted + 1, --line->len - quoted);
    }
    int err = plain.err;
    weft_buf_release(&plain);
    return err ? err : add_line(e, line);
}

static int make_lines(struct weft_es_exporter *e, struct weft_buf *line)
{
    weft_buf_append_str(line, "Content-Type: application/x-ndjson");
    int err = add_line(e, line);
    if (!err && e->compress) {
        weft_buf_append_str(line, "Content-Encoding: gzip");
        err = add_line(e, line);
    }
    if (!err)
        err = add_authorization(e, line);
    return err ? err : weft_http_lines_add_pairs(e->lines, &e->text, line, &e->headers);
}

static void copy_plain_lines(struct weft_es_exporter *e)
{
    size_t n = 0;

    for (size_t i = 0; e->lines[i]; i++)
        if (!e->compress || i != ENCODING_LINE)
            e->plain_lines[n++] = e->lines[i];
}

int weft_es_target(struct weft_es_exporter *e)
{
    struct weft_buf line;
    bool loopback = true;
    int err = 0;

    weft_arena_init(&e->text, TEXT_MAX);
    weft_buf_init(&line, TEXT_MAX);
    if (e->endpoint)
        err = add_target(e, &line, e->endpoint);
    for (size_t i = 0; !err && i < e->endpoints.n; i++)
        err = add_target(e, &line, e->endpoints.items[i]);
    for (unsigned i = 0; i < e->n_targets; i++)
        loopback = loopback && weft_http_is_loopback(e->targets[i]);
    e->compress = e->compression == WEFT_ES_GZIP || (e->compression == WEFT_ES_AUTO && !loopback);
    if (!err)
        err = make_lines(e, &line);
    copy_plain_lines(e);
    weft_buf_release(&line);
    return err;
}

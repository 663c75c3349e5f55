/* SPDX-License-Identifier: Apache-2.0 */
/* exposition_accept.c: which format an Accept header asks for; see exposition.h.
 *
 * Every format on offer takes its weight from the most specific range that matches it (RFC 9110 12.5.1). A range
 * may carry parameters that the offer must have too (version, proto, encoding), and `escaping`, which
 * is the scraper's wish and matches always. Rules of the formats' own:
 * https://prometheus.io/docs/instrumenting/content_negotiation/ */
#include "core/exposition.h"

#include <stdlib.h>
#include <strings.h>

enum { MAX_RANGES = 32, OFFERS = 5, ESCAPINGS = 4 };

struct offer {
    enum weft_exposition format;
    const char *type, *subtype, *version;
    const char *content_type[ESCAPINGS]; /* by enum weft_escaping; 0.x versions know underscores alone */
};

/* In our order of preference, which decides within one wildcard. */
static const struct offer offers[OFFERS] = {
    { WEFT_EXPOSITION_TEXT, "text", "plain", "0.0.4", { "text/plain; version=0.0.4; charset=utf-8", NULL, NULL, NULL } },
    { WEFT_EXPOSITION_TEXT, "text", "plain", "1.0.0",
      { "text/plain; version=1.0.0; charset=utf-8; escaping=underscores",
        "text/plain; version=1.0.0; charset=utf-8; escaping=dots",
        "text/plain; version=1.0.0; charset=utf-8; escaping=values",
        "text/plain; version=1.0.0; charset=utf-8; escaping=allow-utf-8" } },
    { WEFT_EXPOSITION_OPENMETRICS, "application", "openmetrics-text", "1.0.0",
      { "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores",
        "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=dots",
        "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=values",
        "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=allow-utf-8" } },
    { WEFT_EXPOSITION_OPENMETRICS, "application", "openmetrics-text", "0.0.1",
      { "application/openmetrics-text; version=0.0.1; charset=utf-8", NULL, NULL, NULL } },
    { WEFT_EXPOSITION_PROTOBUF, "application", "vnd.google.protobuf", NULL,
      { "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited",
        "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited; escaping=dots",
        "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited; escaping=values",
        "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited; "
        "escaping=allow-utf-8" } },
};

struct range {
    struct weft_slice type, subtype, version;
    bool foreign;      /* a proto or encoding that is not ours */
    unsigned thousandths;
    enum weft_escaping escaping;
};

static bool same(struct weft_slice a, const char *word)
{
    return a.len == strlen(word) && strncasecmp((const char *)a.data, word, a.len) == 0;
}

static struct weft_slice trim(struct weft_slice s)
{
    while (s.len > 0 && (*s.data == ' ' || *s.data == '\t' || *s.data == '"')) {
        s.data++;
        s.len--;
    }
    while (s.len > 0 && (s.data[s.len - 1] == ' ' || s.data[s.len - 1] == '\t' || s.data[s.len - 1] == '"'))
        s.len--;
    return s;
}

/* What stands before the next `mark`; *rest goes behind it. */
static struct weft_slice until(struct weft_slice *rest, char mark)
{
    const uint8_t *at = rest->len ? memchr(rest->data, mark, rest->len) : NULL;
    size_t len = at ? (size_t)(at - rest->data) : rest->len;
    struct weft_slice part = weft_slice_of(rest->data, len);

    *rest = at ? weft_slice_of(at + 1, rest->len - len - 1) : weft_slice_of(NULL, 0);
    return trim(part);
}

/* A qvalue in thousandths; what is not one counts as 0, so that nonsense asks for nothing. */
static unsigned weight(struct weft_slice text)
{
    unsigned value = 0, unit = 1000;

    for (size_t i = 0; i < text.len && i < 5; i++) {
        if (i == 1 && text.data[i] == '.')
            continue;
        if (text.data[i] < '0' || text.data[i] > '9')
            return 0;
        value += (unsigned)(text.data[i] - '0') * unit;
        unit /= 10;
    }
    return value < 1000 ? value : 1000;
}

static enum weft_escaping escaping_of(struct weft_slice word)
{
    if (same(word, "allow-utf-8") || same(word, "allow-utf8"))
        return WEFT_ESCAPE_NONE;
    if (same(word, "dots"))
        return WEFT_ESCAPE_DOTS;
    if (same(word, "values"))
        return WEFT_ESCAPE_VALUES;
    return WEFT_ESCAPE_UNDERSCORES;
}

static void read_parameter(struct range *r, struct weft_slice text)
{
    struct weft_slice name = until(&text, '='), value = trim(text);

    if (same(name, "q"))
        r->thousandths = weight(value);
    else if (same(name, "version"))
        r->version = value;
    else if (same(name, "escaping"))
        r->escaping = escaping_of(value);
    else if (same(name, "proto"))
        r->foreign |= !same(value, "io.prometheus.client.MetricFamily");
    else if (same(name, "encoding"))
        r->foreign |= !same(value, "delimited");
}

static struct range read_range(struct weft_slice text)
{
    struct range r = { .thousandths = 1000 };
    struct weft_slice media = until(&text, ';');

    r.type = until(&media, '/');
    r.subtype = trim(media);
    while (text.len > 0)
        read_parameter(&r, until(&text, ';'));
    return r;
}

/* How closely a range names an offer: 0 not at all, 1 by the wildcard, 2 by type, 3 by subtype, 4 by version. */
static unsigned closeness(const struct range *r, const struct offer *o)
{
    if (same(r->type, "*") && same(r->subtype, "*"))
        return 1;
    if (!same(r->type, o->type))
        return 0;
    if (same(r->subtype, "*"))
        return 2;
    if (!same(r->subtype, o->subtype) || r->foreign)
        return 0;
    if (r->version.len == 0)
        return 3;
    return o->version && same(r->version, o->version) ? 4 : 0;
}

/* The index of the range that speaks for an offer, or -1. */
static int speaker(const struct range *ranges, size_t n, const struct offer *o)
{
    int best = -1;
    unsigned closest = 0;

    for (size_t i = 0; i < n; i++) {
        unsigned c = closeness(&ranges[i], o);
        if (c > closest) {
            closest = c;
            best = (int)i;
        }
    }
    return best;
}

static struct weft_exposition_choice choice_of(const struct offer *o, enum weft_escaping escaping)
{
    if (!o->content_type[escaping])
        escaping = WEFT_ESCAPE_UNDERSCORES;
    return (struct weft_exposition_choice){ o->format, escaping, o->content_type[escaping] };
}

struct weft_exposition_choice weft_exposition_choose(const char *accept, bool protobuf)
{
    struct range ranges[MAX_RANGES];
    struct weft_slice rest = weft_slice_str(accept);
    const struct offer *best = NULL;
    int best_range = 0;
    size_t n = 0;

    while (rest.len > 0 && n < MAX_RANGES)
        ranges[n++] = read_range(until(&rest, ','));
    for (size_t i = 0; i < OFFERS; i++) {
        int s = speaker(ranges, n, &offers[i]);
        if (s < 0 || ranges[s].thousandths == 0 || (offers[i].format == WEFT_EXPOSITION_PROTOBUF && !protobuf))
            continue;
        unsigned q = ranges[s].thousandths, beat = best ? ranges[best_range].thousandths : 0;
        if (q > beat || (q == beat && s < best_range)) {
            best = &offers[i];
            best_range = s;
        }
    }
    return best ? choice_of(best, ranges[best_range].escaping) : choice_of(&offers[0], WEFT_ESCAPE_UNDERSCORES);
}

enum weft_exposition weft_exposition_negotiate(const char *accept, const char **ret_content_type)
{
    struct weft_exposition_choice choice = weft_exposition_choose(accept, false);

    *ret_content_type = choice.content_type;
    return choice.format;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* match.c: from the text of an expression to its terms; see match.h. Values are unquoted in place, in a copy of the text. */
#include "core/match_state.h"

#include "core/err.h"
#include "core/json.h"
#include "core/option.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

enum { REPEATS_MAX = 255, GROUPS_MAX = 32 };

struct parser {
    struct weft_match *m;
    char *at;
    struct weft_match_error *error;
};

static const char *const fields[] = {
    [WEFT_MATCH_SEVERITY] = "severity", [WEFT_MATCH_BODY] = "body",         [WEFT_MATCH_NAME] = "name",
    [WEFT_MATCH_STATUS] = "status",     [WEFT_MATCH_DURATION] = "duration", [WEFT_MATCH_TRACE_ID] = "trace_id",
    [WEFT_MATCH_SPAN_ID] = "span_id",   NULL,
};
static const struct { const char *word; int number; } severities[] = {
    { "trace", 1 }, { "debug", 5 }, { "info", 9 }, { "warn", 13 }, { "warning", 13 }, { "error", 17 }, { "fatal", 21 },
};
static const char *const statuses[] = { "unset", "ok", "error", NULL };
static const struct { const char *sign; enum weft_match_op op; } operators[] = { /* longer ones first */
    { "!=", WEFT_MATCH_NE }, { "!~", WEFT_MATCH_UNLIKE }, { "<=", WEFT_MATCH_LE }, { ">=", WEFT_MATCH_GE },
    { "==", WEFT_MATCH_EQ }, { "=~", WEFT_MATCH_LIKE },   { "=", WEFT_MATCH_EQ },  { "~", WEFT_MATCH_LIKE },
    { "<", WEFT_MATCH_LT },  { ">", WEFT_MATCH_GT },
};

static bool same_word(struct weft_slice a, const char *b)
{
    return a.len == strlen(b) && strncasecmp((const char *)a.data, b, a.len) == 0;
}

int weft_match_severity(struct weft_slice word)
{
    for (size_t i = 0; i < sizeof severities / sizeof *severities; i++)
        if (word.len > 0 && same_word(word, severities[i].word))
            return severities[i].number;
    return 0;
}

/* ---- errors ---- */
static int wrong(struct parser *p, const char *at, const char *format, ...) __attribute__((format(printf, 3, 4)));
static int wrong(struct parser *p, const char *at, const char *format, ...)
{
    va_list args;

    p->error->column = (unsigned)(at - p->m->text) + 1;
    va_start(args, format);
    (void)vsnprintf(p->error->text, sizeof p->error->text, format, args);
    va_end(args);
    return WEFT_ERR_CONFIG;
}

/* "; did you mean 'x'?" in `out`, or nothing. */
static const char *suggest(struct weft_slice word, const char *const *words, char out[64])
{
    char copy[65];

    out[0] = 0;
    if (word.len == 0 || word.len >= sizeof copy)
        return out;
    memcpy(copy, word.data, word.len);
    copy[word.len] = 0;
    const char *near = weft_nearest(copy, words);
    if (near)
        (void)snprintf(out, 64, "; did you mean '%s'?", near);
    return out;
}

/* ---- words ---- */
static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static void skip_blanks(struct parser *p)
{
    while (is_blank(*p->at))
        p->at++;
}

static struct weft_slice take_word(struct parser *p, const char *stops)
{
    char *start = p->at;

    while (*p->at && !is_blank(*p->at) && !strchr(stops, *p->at))
        p->at++;
    return weft_slice_of(start, (size_t)(p->at - start));
}

static int take_quoted(struct parser *p, struct weft_slice *ret_text)
{
    char *start = p->at, quote = *p->at++, *to = p->at, *begin = p->at;

    while (*p->at && *p->at != quote) {
        if (*p->at == '\\' && (p->at[1] == quote || p->at[1] == '\\'))
            p->at++;
        *to++ = *p->at++;
    }
    if (!*p->at)
        return wrong(p, start, "the quote is not closed");
    p->at++;
    *ret_text = weft_slice_of(begin, (size_t)(to - begin));
    return 0;
}

/* ---- values ---- */
static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* "250ms", "1m30s", "1.5s" as nanoseconds. */
static bool read_duration(struct weft_slice text, double *ret_ns)
{
    static const struct { const char *unit; double ns; } units[] = { { "ns", 1 }, { "us", 1e3 }, { "ms", 1e6 },
                                                                     { "s", 1e9 }, { "m", 60e9 }, { "h", 3600e9 } };
    const char *at = (const char *)text.data, *end = at + text.len;
    double sum = 0, number;

    if (text.len == 0)
        return false;
    while (at < end) {
        const char *start = at;
        while (at < end && (is_digit(*at) || *at == '.'))
            at++;
        const char *unit = at;
        while (at < end && !is_digit(*at) && *at != '.')
            at++;
        if (!weft_json_double(weft_slice_of(start, (size_t)(unit - start)), &number))
            return false;
        size_t i = 0;
        while (i < sizeof units / sizeof *units && !weft_slice_is(weft_slice_of(unit, (size_t)(at - unit)), units[i].unit))
            i++;
        if (i == sizeof units / sizeof *units)
            return false;
        sum += number * units[i].ns;
    }
    *ret_ns = sum;
    return true;
}

static void set_range(struct weft_match_term *t, double low, double high)
{
    t->is_number = true;
    t->low = low;
    t->high = high;
}

static int set_severity(struct parser *p, struct weft_match_term *t, const char *at)
{
    static const char *const words[] = { "trace", "debug", "info", "warn", "error", "fatal", NULL };
    char near[64];
    int64_t number;
    int low = weft_match_severity(t->value);

    if (low) {
        set_range(t, low, low + 3);
    } else if (weft_json_int64(t->value, &number) && number >= 0 && number <= 24) {
        set_range(t, (double)number, (double)number);
    } else {
        return wrong(p, at, "'%.*s' is no severity: trace, debug, info, warn, error, fatal, or a number from 1 to 24%s",
                     (int)(t->value.len < 40 ? t->value.len : 40), (const char *)t->value.data, suggest(t->value, words, near));
    }
    return 0;
}

static int set_status(struct parser *p, struct weft_match_term *t, const char *at)
{
    char near[64];

    for (int i = 0; statuses[i]; i++) {
        if (!same_word(t->value, statuses[i]))
            continue;
        set_range(t, i, i);
        return 0;
    }
    return wrong(p, at, "'%.*s' is no status: unset, ok or error%s", (int)(t->value.len < 40 ? t->value.len : 40),
                 (const char *)t->value.data, suggest(t->value, statuses, near));
}

static int set_value(struct parser *p, struct weft_match_term *t, const char *at)
{
    double number;

    if (t->key == WEFT_MATCH_SEVERITY)
        return set_severity(p, t, at);
    if (t->key == WEFT_MATCH_STATUS)
        return set_status(p, t, at);
    if (t->key == WEFT_MATCH_DURATION) {
        if (!read_duration(t->value, &number))
            return wrong(p, at, "'%.*s' is no duration: write a number with a unit, like 250ms or 1.5s",
                         (int)(t->value.len < 40 ? t->value.len : 40), (const char *)t->value.data);
        set_range(t, number, number);
        return 0;
    }
    t->is_integer = weft_json_int64(t->value, &t->integer);
    if (weft_json_double(t->value, &number))
        set_range(t, number, number);
    return 0;
}

/* What libc's regular expressions do with these has no bound that is worth having. */
static const char *too_costly(const char *pattern)
{
    unsigned long product = 1;
    unsigned groups = 0;

    for (const char *c = pattern; *c; c++) {
        if (*c == '\\' && c[1] >= '0' && c[1] <= '9')
            return "back references are not taken";
        if (*c == '\\' && c[1])
            c++;
        else if (*c == '(' && ++groups > GROUPS_MAX)
            return "too many groups";
        else if (*c == '{') {
            unsigned long low = strtoul(c + 1, NULL, 10), high = 0;
            const char *comma = c + 1 + strspn(c + 1, "0123456789");
            if (*comma == ',')
                high = strtoul(comma + 1, NULL, 10);
            high = high > low ? high : low;
            product *= high > 1 ? (high < REPEATS_MAX + 1 ? high : REPEATS_MAX + 1) : 1;
            if (product > REPEATS_MAX)
                return "it repeats too often";
        }
    }
    return NULL;
}

static int set_regex(struct parser *p, struct weft_match_term *t, const char *at)
{
    char pattern[WEFT_MATCH_MAX + 1], words[100];

    memcpy(pattern, t->value.data, t->value.len);
    pattern[t->value.len] = 0;
    const char *costly = too_costly(pattern);
    if (costly)
        return wrong(p, at, "the regular expression is too costly: %s", costly);
    int code = regcomp(&t->regex, pattern, REG_EXTENDED | REG_NOSUB);
    if (code == REG_ESPACE)
        return UV_ENOMEM;
    if (code) {
        (void)regerror(code, &t->regex, words, sizeof words);
        return wrong(p, at, "the regular expression is not valid: %s", words);
    }
    t->has_regex = true;
    return 0;
}

/* ---- keys ---- */
static bool has_prefix(struct weft_slice *key, const char *prefix)
{
    size_t n = strlen(prefix);

    if (key->len <= n || memcmp(key->data, prefix, n) != 0)
        return false;
    *key = weft_slice_from(*key, n);
    return true;
}

/* A word without dots that is a letter or two off a field and begins like it. */
static bool is_slip_of(struct weft_slice key, char near[64])
{
    if (memchr(key.data, '.', key.len) || !*suggest(key, fields, near))
        return false;
    for (int i = 0; fields[i]; i++)
        if (strncmp(near + strlen("; did you mean '"), fields[i], strlen(fields[i])) == 0)
            return (key.data[0] | 0x20) == fields[i][0] && key.len + 1 >= strlen(fields[i]) && key.len <= strlen(fields[i]) + 1;
    return false;
}

static int set_key(struct parser *p, struct weft_match_term *t, struct weft_slice key)
{
    char near[64];

    for (int i = 0; fields[i]; i++) {
        t->key = (enum weft_match_key)i;
        if (weft_slice_is(key, fields[i]))
            return 0;
    }
    t->key = WEFT_MATCH_ATTRIBUTE;
    t->where = WEFT_MATCH_IN_ITEM | WEFT_MATCH_IN_SCOPE | WEFT_MATCH_IN_RESOURCE;
    t->attribute = key;
    if (has_prefix(&t->attribute, "attributes."))
        t->where = WEFT_MATCH_IN_ITEM;
    else if (has_prefix(&t->attribute, "scope."))
        t->where = WEFT_MATCH_IN_SCOPE;
    else if (has_prefix(&t->attribute, "resource."))
        t->where = WEFT_MATCH_IN_RESOURCE;
    else if (is_slip_of(key, near))
        return wrong(p, (const char *)key.data, "'%.*s' is no field%s (an attribute of that name is attributes.%.*s)",
                     (int)(key.len < 40 ? key.len : 40), (const char *)key.data, near, (int)(key.len < 40 ? key.len : 40),
                     (const char *)key.data);
    return 0;
}

/* ---- terms ---- */
static int take_operator(struct parser *p, struct weft_match_term *t, struct weft_slice key)
{
    skip_blanks(p);
    for (size_t i = 0; i < sizeof operators / sizeof *operators; i++) {
        if (strncmp(p->at, operators[i].sign, strlen(operators[i].sign)) != 0)
            continue;
        t->op = operators[i].op;
        p->at += strlen(operators[i].sign);
        return 0;
    }
    return wrong(p, p->at, "an operator is missing behind '%.*s': one of = != ~ !~ < <= > >=", (int)(key.len < 40 ? key.len : 40),
                 (const char *)key.data);
}

static int take_term(struct parser *p)
{
    struct weft_match_term *t = &p->m->terms[p->m->n_terms];

    if (p->m->n_terms == WEFT_MATCH_TERMS)
        return wrong(p, p->at, "more than %d terms", WEFT_MATCH_TERMS);
    struct weft_slice key = take_word(p, "=!~<>\"'");
    if (key.len == 0)
        return wrong(p, p->at, "a key is missing: severity, body, name, status, duration, trace_id, span_id, or an attribute");
    int err = set_key(p, t, key);
    if (!err)
        err = take_operator(p, t, key);
    if (err)
        return err;
    skip_blanks(p);
    char *at = p->at;
    if (*at == '"' || *at == '\'')
        err = take_quoted(p, &t->value);
    else if ((t->value = take_word(p, "")).len == 0)
        err = wrong(p, at, "a value is missing");
    if (!err && (t->op == WEFT_MATCH_LIKE || t->op == WEFT_MATCH_UNLIKE))
        err = set_regex(p, t, at);
    else if (!err)
        err = set_value(p, t, at);
    if (!err || t->has_regex)
        p->m->n_terms++;
    return err;
}

static int take_and(struct parser *p)
{
    char *start = p->at;
    struct weft_slice word = take_word(p, "=!~<>");

    if (same_word(word, "and"))
        return 0;
    if (same_word(word, "or"))
        return wrong(p, start, "'or' is not taken; a regular expression can hold alternatives: name ~ 'a|b'");
    return wrong(p, start, "expected 'and' before '%.*s'; a value with blanks belongs in quotes", (int)(word.len < 40 ? word.len : 40),
                 (const char *)word.data);
}

static int parse(struct parser *p)
{
    int err;

    skip_blanks(p);
    while ((err = take_term(p)) == 0) {
        skip_blanks(p);
        if (!*p->at)
            return 0;
        err = take_and(p);
        if (err)
            return err;
        skip_blanks(p);
    }
    return err;
}

int weft_match_compile(const char *expression, struct weft_match **ret_match, struct weft_match_error *ret_error)
{
    struct weft_match *m = calloc(1, sizeof *m);
    size_t len = strnlen(expression, WEFT_MATCH_MAX + 1);

    if (!m)
        return UV_ENOMEM;
    struct parser p = { .m = m, .at = m->text, .error = ret_error };
    memcpy(m->text, expression, len > WEFT_MATCH_MAX ? 0 : len);
    int err = len > WEFT_MATCH_MAX ? wrong(&p, m->text, "longer than %d bytes", WEFT_MATCH_MAX) : parse(&p);
    if (err) {
        weft_match_free(m);
        return err;
    }
    *ret_match = m;
    return 0;
}

void weft_match_free(struct weft_match *m)
{
    if (!m)
        return;
    for (size_t i = 0; i < m->n_terms; i++)
        if (m->terms[i].has_regex)
            regfree(&m->terms[i].regex);
    free(m);
}

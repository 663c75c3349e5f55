/* SPDX-License-Identifier: Apache-2.0 */
/* json.c: the reader of json.h: what may come next is one small state, what we are in is one bit a level.
 *
 *   FIRST_KEY    behind '{'                  a key or '}'
 *   FIRST_VALUE  behind '['                  a value or ']'
 *   VALUE        at the start or behind a key (its colon is eaten with it)
 *   AFTER_VALUE  behind a value              ',' or the closing bracket; the end, when nothing is open
 *
 * The comma is eaten together with what follows it, so each call does the work of one token.
 *
 * Where strings end is read from a bitmap of 64 bytes that several short strings share: finding the next quote is then a
 * shift and a count, and does not wait for a load at an address that the last quote decided (135 ns instead of 230 for a
 * log line of 327 bytes and 29 tokens).
 */
#include "core/json.h"

#include "core/err.h"
#include "core/json_scan.h"
#include "core/utf8.h"

enum { VALUE, FIRST_KEY, FIRST_VALUE, AFTER_VALUE };
enum { BLOCK = 64 };

void weft_json_init(struct weft_json *j, struct weft_slice text)
{
    const uint8_t *start = text.data ? text.data : (const uint8_t *)"";

    *j = (struct weft_json){ .start = start, .at = start, .end = start + text.len, .value = start };
    j->block = j->end; /* covers nothing yet */
}

static __attribute__((noinline, cold)) int fail(struct weft_json *j, const uint8_t *at, const char *reason)
{
    j->at = at;
    j->reason = reason;
    return WEFT_ERR_MALFORMED;
}

static inline const uint8_t *skip_space(const uint8_t *at, const uint8_t *end)
{
    while (at < end && *at <= ' ' && (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t'))
        at++;
    return at;
}

static inline bool in_object(const struct weft_json *j)
{
    unsigned level = j->depth - 1;

    return j->in_object[level / 64] >> (level % 64) & 1;
}

/* Makes the bitmap cover `at`. The block may begin before it, so as not to end behind the text. */
static __attribute__((noinline)) void load_block(struct weft_json *j, const uint8_t *at)
{
    size_t left = (size_t)(j->end - at);

    if (left >= BLOCK) {
        j->block = at;
        j->stops = weft_json_stops64(at);
    } else if (j->end - j->start >= BLOCK) {
        j->block = j->end - BLOCK;
        j->stops = weft_json_stops64(j->block);
    } else {
        uint8_t copy[BLOCK] = { 0 }; /* zero is no plain byte: the search stops at the end */
        memcpy(copy, at, left);
        j->block = at;
        j->stops = weft_json_stops64(copy);
    }
}

/* The first byte from `at` on that is not plain, or the end. */
static inline const uint8_t *plain_end(struct weft_json *j, const uint8_t *at)
{
    for (;;) {
        size_t offset = (size_t)(at - j->block);
        if (offset < BLOCK) {
            uint64_t stops = j->stops >> offset;
            if (stops)
                return at + __builtin_ctzll(stops);
            at = j->block + BLOCK;
        }
        if (at >= j->end)
            return j->end;
        load_block(j, at);
    }
}

/* Behind the escape at `at`, or NULL. A \u escape is checked for its digits alone: see json.h on surrogates. */
static const uint8_t *escape_end(const uint8_t *at, const uint8_t *end)
{
    if (end - at < 2)
        return NULL;
    switch (at[1]) {
    case '"': case '\\': case '/': case 'b': case 'f': case 'n': case 'r': case 't':
        return at + 2;
    case 'u':
        break;
    default:
        return NULL;
    }
    if (end - at < 6)
        return NULL;
    for (int i = 2; i < 6; i++) {
        uint8_t c = at[i];
        if ((uint8_t)(c - '0') > 9 && (uint8_t)((c | 0x20) - 'a') > 5)
            return NULL;
    }
    return at + 6;
}

/* What the string has besides plain bytes, from `at` on: up to its closing quote, which is returned; NULL with the reason. */
static __attribute__((noinline)) const uint8_t *rest_of_string(struct weft_json *j, const uint8_t *at)
{
    for (; at < j->end && *at != '"'; at = plain_end(j, at)) {
        if (*at == '\\') {
            const uint8_t *next = escape_end(at, j->end);
            if (!next)
                return fail(j, at, "bad escape in a string"), NULL;
            j->escaped = true;
            at = next;
        } else if (*at < 0x20) {
            return fail(j, at, "control character in a string"), NULL;
        } else {
            size_t len = weft_utf8_sequence(at, j->end);
            if (len == 0)
                return fail(j, at, "string is not UTF-8"), NULL;
            at += len;
        }
    }
    if (at == j->end)
        return fail(j, at, "string without an end"), NULL;
    return at;
}

/* `at` stands on the opening quote. Behind the closing one, or NULL with the reason. */
static inline const uint8_t *read_string(struct weft_json *j, const uint8_t *at)
{
    const uint8_t *from = at + 1, *quote = plain_end(j, from);

    j->escaped = false;
    if (__builtin_expect(quote == j->end || *quote != '"', 0)) {
        quote = rest_of_string(j, quote);
        if (!quote)
            return NULL;
    }
    j->text = weft_slice_of(from, (size_t)(quote - from));
    return quote + 1;
}

static int read_key(struct weft_json *j, const uint8_t *at)
{
    if (at == j->end || *at != '"')
        return fail(j, at, "expected a key");
    at = read_string(j, at);
    if (!at)
        return WEFT_ERR_MALFORMED;
    at = skip_space(at, j->end);
    if (at == j->end || *at != ':')
        return fail(j, at, "expected a colon");
    j->at = at + 1;
    j->state = VALUE;
    return WEFT_JSON_KEY;
}

static int open_level(struct weft_json *j, const uint8_t *at, bool object)
{
    unsigned level = j->depth;

    if (level == WEFT_JSON_MAX_DEPTH) {
        (void)fail(j, at, "nested too deeply");
        return WEFT_ERR_TOO_DEEP;
    }
    uint64_t bit = (uint64_t)1 << (level % 64);
    uint64_t *word = &j->in_object[level / 64];
    *word = object ? *word | bit : *word & ~bit;
    j->depth = level + 1;
    j->at = at + 1;
    j->state = object ? FIRST_KEY : FIRST_VALUE;
    return object ? WEFT_JSON_OBJECT_BEGIN : WEFT_JSON_ARRAY_BEGIN;
}

static int close_level(struct weft_json *j, const uint8_t *at)
{
    bool object = in_object(j);

    if (at == j->end)
        return fail(j, at, object ? "object without an end" : "array without an end");
    if (*at != (object ? '}' : ']'))
        return fail(j, at, object ? "expected a comma or '}'" : "expected a comma or ']'");
    j->depth--;
    j->at = at + 1;
    j->state = AFTER_VALUE;
    return object ? WEFT_JSON_OBJECT_END : WEFT_JSON_ARRAY_END;
}

static int read_word(struct weft_json *j, const uint8_t *at, const char *word, size_t len, int token)
{
    if ((size_t)(j->end - at) < len || memcmp(at, word, len) != 0)
        return fail(j, at, "expected a value");
    j->at = at + len;
    j->state = AFTER_VALUE;
    return token;
}

static int read_number(struct weft_json *j, const uint8_t *at)
{
    const uint8_t *end = weft_json_number_end(at, j->end);

    if (!end)
        return fail(j, at, "not a number of JSON");
    j->text = weft_slice_of(at, (size_t)(end - at));
    j->escaped = false;
    j->at = end;
    j->state = AFTER_VALUE;
    return WEFT_JSON_NUMBER;
}

static int read_value(struct weft_json *j, const uint8_t *at)
{
    if (at == j->end)
        return fail(j, at, "expected a value");
    j->value = at;
    if (*at == '"') {
        at = read_string(j, at);
        if (!at)
            return WEFT_ERR_MALFORMED;
        j->at = at;
        j->state = AFTER_VALUE;
        return WEFT_JSON_STRING;
    }
    if (*at == '-' || (uint8_t)(*at - '0') < 10)
        return read_number(j, at);
    switch (*at) {
    case '{':
        return open_level(j, at, true);
    case '[':
        return open_level(j, at, false);
    case 't':
        return read_word(j, at, "true", 4, WEFT_JSON_TRUE);
    case 'f':
        return read_word(j, at, "false", 5, WEFT_JSON_FALSE);
    case 'n':
        return read_word(j, at, "null", 4, WEFT_JSON_NULL);
    default:
        return fail(j, at, "expected a value");
    }
}

static int finish(struct weft_json *j, const uint8_t *at)
{
    if (at < j->end)
        return fail(j, at, "text behind the end");
    j->at = at;
    return WEFT_JSON_END;
}

int weft_json_next(struct weft_json *j)
{
    const uint8_t *at = skip_space(j->at, j->end);

    switch (j->state) {
    case AFTER_VALUE:
        if (j->depth == 0)
            return finish(j, at);
        if (at == j->end || *at != ',')
            return close_level(j, at);
        at = skip_space(at + 1, j->end);
        return in_object(j) ? read_key(j, at) : read_value(j, at);
    case FIRST_KEY:
        return at < j->end && *at == '}' ? close_level(j, at) : read_key(j, at);
    case FIRST_VALUE:
        return at < j->end && *at == ']' ? close_level(j, at) : read_value(j, at);
    default:
        return read_value(j, at);
    }
}

int weft_json_skip(struct weft_json *j, struct weft_slice *ret_raw)
{
    if (j->state == VALUE) {
        int token = weft_json_next(j);
        if (token < 0)
            return token;
    }
    const uint8_t *from = j->value;
    if (j->state == FIRST_KEY || j->state == FIRST_VALUE) {
        unsigned outside = j->depth - 1;
        while (j->depth > outside) {
            int token = weft_json_next(j);
            if (token < 0)
                return token;
        }
    }
    if (ret_raw)
        *ret_raw = weft_slice_of(from, (size_t)(j->at - from));
    return 0;
}

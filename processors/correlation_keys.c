/* SPDX-License-Identifier: Apache-2.0 */
/* correlation_keys.c: which attribute holds an ID, and whether the ID is one.
 *
 * Nearly every attribute of nearly every span is none of ours, so the first look is at the length and the first letter
 * of its key alone.
 * Keys are compared without regard to case: header names have none. Any thread; the tables are const after start. */
#include "processors/correlation_parts.h"

#include "core/err.h"
#include "core/wire_inline.h"

#include <stdio.h>
#include <strings.h>

static const struct weft_slice tag_key = { (const uint8_t *)"correlation.id", sizeof "correlation.id" - 1 };

bool weft_correlation_keys_add(struct keys *keys, const char *text, enum key_kind kind)
{
    const size_t len = strlen(text);

    if (len == 0 || len > CORRELATION_KEY_LEN_MAX || keys->n == CORRELATION_KEYS_MAX)
        return false;
    keys->items[keys->n] =
        (struct key){ .text = text, .len = (uint8_t)len, .kind = (uint8_t)kind, .rank = (uint8_t)(keys->n + 1) };
    keys->n++;
    return true;
}

/* The same for a letter in both cases. */
static uint32_t first_bit(uint8_t first)
{
    return (uint32_t)1 << (first & 31);
}

void weft_correlation_keys_done(struct keys *keys)
{
    for (size_t i = 1; i < keys->n; i++) { /* an insertion sort: stable, a few dozen keys, once */
        const struct key key = keys->items[i];
        size_t at = i;

        for (; at > 0 && keys->items[at - 1].len > key.len; at--)
            keys->items[at] = keys->items[at - 1];
        keys->items[at] = key;
    }
    for (size_t len = 0, i = 0; len < sizeof keys->first; len++) {
        while (i < keys->n && keys->items[i].len < len)
            i++;
        keys->first[len] = (uint8_t)i;
    }
    for (size_t i = 0; i < keys->n; i++)
        keys->firsts[keys->items[i].len] |= first_bit((uint8_t)keys->items[i].text[0]);
}

static bool may_match(const struct keys *keys, struct weft_slice text)
{
    return text.len > 0 && text.len <= CORRELATION_KEY_LEN_MAX && keys->firsts[text.len] & first_bit(text.data[0]);
}

static const struct key *match(const struct keys *keys, struct weft_slice text)
{
    if (!may_match(keys, text))
        return NULL;
    for (size_t i = keys->first[text.len]; i < keys->first[text.len + 1]; i++) {
        const struct key *key = &keys->items[i];

        if (strncasecmp(key->text, (const char *)text.data, text.len) == 0)
            return key;
    }
    return NULL;
}

/* ---- values ---- */

/* True when each of eight bytes is printable ASCII. */
static bool eight_printable(uint64_t x)
{
    const uint64_t ones = 0x0101010101010101u, tops = 0x8080808080808080u;
    const uint64_t low = x & ~tops; /* without the top bits, so that no sum carries into the next byte */

    return ((x | (low + ones) | ~(low + ones * 0x60)) & tops) == 0;
}

static bool is_printable(struct weft_slice id)
{
    size_t i = 0;
    uint64_t x;

    for (; i + sizeof x <= id.len; i += sizeof x) {
        memcpy(&x, id.data + i, sizeof x);
        if (!eight_printable(x))
            return false;
    }
    for (; i < id.len; i++)
        if (id.data[i] < 0x20 || id.data[i] > 0x7e)
            return false;
    return true;
}

/* An ID is text; a header is an array of its values, of which the first counts; a number is its digits. Empty: none. */
static struct weft_slice text_of(struct work *w, struct weft_any value)
{
    enum { DIGITS = 24 };
    struct weft_any first;

    if (value.kind == WEFT_ANY_ARRAY && weft_any_array_next(&value.bytes, &first) > 0)
        value = first;
    if (value.kind == WEFT_ANY_STRING)
        return value.bytes;
    if (value.kind == WEFT_ANY_INT) {
        char *digits = weft_arena_alloc(w->scratch, DIGITS);

        if (digits)
            return weft_slice_of(digits, (size_t)snprintf(digits, DIGITS, "%lld", (long long)value.integer));
    }
    return (struct weft_slice){ 0 };
}

static void better(struct work *w, struct found *found, const struct key *key, struct weft_slice id)
{
    if (id.len == 0 || id.len > CORRELATION_ID_MAX || !is_printable(id)) {
        w->counts[INVALID_VALUES]++;
        return;
    }
    if (key->kind == KEY_REQUEST && (!found->request_rank || key->rank < found->request_rank)) {
        found->request = id;
        found->request_rank = key->rank;
    }
    if (!found->id_rank || key->rank < found->id_rank) {
        found->id = id;
        found->id_rank = key->rank;
        found->strength = key->kind == KEY_REQUEST ? FROM_REQUEST : FROM_CORRELATION;
    }
}

/* ---- baggage: "k=v;property, k2=v2", values percent-encoded (W3C Baggage) ---- */

static struct weft_slice trim(struct weft_slice s)
{
    while (s.len > 0 && (s.data[0] == ' ' || s.data[0] == '\t'))
        s = weft_slice_of(s.data + 1, s.len - 1);
    while (s.len > 0 && (s.data[s.len - 1] == ' ' || s.data[s.len - 1] == '\t'))
        s.len--;
    return s;
}

/* The part before the first `mark`, which with the mark is taken off *rest. */
static struct weft_slice take_until(struct weft_slice *rest, char mark)
{
    const uint8_t *at = rest->len ? memchr(rest->data, mark, rest->len) : NULL;
    const size_t len = at ? (size_t)(at - rest->data) : rest->len;
    const struct weft_slice part = weft_slice_of(rest->data, len);

    *rest = weft_slice_from(*rest, at ? len + 1 : len);
    return trim(part);
}

static struct weft_slice percent_decode(struct work *w, struct weft_slice text)
{
    uint8_t *out;
    size_t len = 0;

    if (text.len == 0 || text.len > 3 * CORRELATION_ID_MAX || !memchr(text.data, '%', text.len))
        return text;
    out = weft_arena_alloc(w->scratch, text.len);
    if (!out)
        return (struct weft_slice){ 0 };
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] == '%' && i + 2 < text.len && weft_hex_read(weft_slice_of(text.data + i + 1, 2), out + len, 1))
            i += 2;
        else
            out[len] = text.data[i];
        len++;
    }
    return weft_slice_of(out, len);
}

static void look_into_baggage(struct work *w, struct weft_slice baggage, struct found *found)
{
    while (baggage.len > 0) {
        struct weft_slice member = take_until(&baggage, ',');
        struct weft_slice pair = take_until(&member, ';');
        const struct weft_slice name = take_until(&pair, '=');
        const struct key *key = match(w->keys, name);

        if (key && (key->kind == KEY_CORRELATION || key->kind == KEY_REQUEST))
            better(w, found, key, percent_decode(w, pair));
    }
}

/* ---- attributes ---- */

/* The key of a KeyValue that is written the usual way, one key and then one value; else empty. */
static struct weft_slice usual_key(struct weft_slice key_value)
{
    const uint8_t *at = key_value.data;

    if (key_value.len < 4 || at[0] != WEFT_KEY(WEFT_KEYVALUE_KEY, WEFT_LENGTH) || at[1] >= 0x80 ||
        (size_t)at[1] + 4 > key_value.len)
        return (struct weft_slice){ 0 };

    const uint8_t *value = at + 2 + at[1];
    const size_t left = key_value.len - 2 - at[1];
    if (value[0] != WEFT_KEY(WEFT_KEYVALUE_VALUE, WEFT_LENGTH) || value[1] >= 0x80 || (size_t)value[1] + 2 != left)
        return (struct weft_slice){ 0 };
    return weft_slice_of(at + 2, at[1]);
}

int weft_correlation_look(struct work *w, struct weft_slice key_value, struct found *found)
{
    const struct weft_slice quick = usual_key(key_value);
    struct weft_attribute a;
    int err;

    if (quick.len > 0 && !may_match(w->keys, quick))
        return 0;
    err = weft_attribute_read(key_value, &a);
    if (err)
        return err;

    const struct key *key = match(w->keys, a.key);
    if (weft_slice_equal(a.key, tag_key))
        found->present = true;
    if (!key)
        return 0;
    if (key->kind == KEY_INFERRED)
        found->inferred = a.value.kind == WEFT_ANY_BOOL && a.value.integer;
    else if (key->kind == KEY_BAGGAGE)
        look_into_baggage(w, text_of(w, a.value), found);
    else
        better(w, found, key, text_of(w, a.value));
    return 0;
}

int weft_correlation_look_all(struct work *w, struct weft_slice message, uint32_t number, struct found *found)
{
    struct weft_slice key_value;
    int result;

    while ((result = weft_wire_next_bytes(&message, number, &key_value)) > 0) {
        int err = weft_correlation_look(w, key_value, found);
        if (err)
            return err;
    }
    return result;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* prometheus_name.c: see prometheus_name.h.
 *
 * With underscores a name is a row of words (runs of letters, digits and colons) joined by '_', so that runs of
 * anything else collapse by themselves; a unit's word is appended unless the name has that word already. Without
 * underscores a name stays as it is, and a suffix is appended unless the name ends with it.
 * Rules: https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/ */
#include "exporters/prometheus_name.h"

enum { MAX_WORDS = 128, SIDE_MAX = 64 };

struct words {
    struct weft_slice items[MAX_WORDS];
    size_t n;
};

/* A metric on its way to a name: what the two ways of translating have in common. */
struct source {
    struct weft_slice space, name, main_side, rate; /* main_side and rate: the unit in words */
    bool suffixes, ratio;
    enum weft_prom_shape shape;
};

struct term { const char *code, *word; };

static const struct term units[] = {
    { "d", "days" },          { "h", "hours" },         { "min", "minutes" },    { "s", "seconds" },
    { "ms", "milliseconds" }, { "us", "microseconds" }, { "ns", "nanoseconds" }, { "By", "bytes" },
    { "KiBy", "kibibytes" },  { "MiBy", "mebibytes" },  { "GiBy", "gibibytes" }, { "TiBy", "tebibytes" },
    { "kBy", "kilobytes" },   { "KBy", "kilobytes" },   { "MBy", "megabytes" },  { "GBy", "gigabytes" },
    { "TBy", "terabytes" },   { "m", "meters" },        { "V", "volts" },        { "A", "amperes" },
    { "J", "joules" },        { "W", "watts" },         { "g", "grams" },        { "Cel", "celsius" },
    { "Hz", "hertz" },        { "%", "percent" },       { "1", "" },             { NULL, NULL },
};

/* Behind a slash the unit is one of something, and "m" is a minute. */
static const struct term rates[] = {
    { "s", "second" }, { "m", "minute" }, { "h", "hour" }, { "d", "day" },
    { "w", "week" },   { "mo", "month" }, { "y", "year" }, { NULL, NULL },
};

void weft_prom_name_init(struct weft_prom_name *n)
{
    weft_buf_init(&n->name, WEFT_PROM_NAME_MAX);
    weft_buf_init(&n->unit, WEFT_PROM_NAME_MAX);
    n->total = false;
}

void weft_prom_name_release(struct weft_prom_name *n)
{
    weft_buf_release(&n->name);
    weft_buf_release(&n->unit);
}

static bool digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

static bool word_byte(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || digit(c) || c == ':';
}

static bool add_word(struct words *w, struct weft_slice word)
{
    if (w->n == MAX_WORDS)
        return false;
    w->items[w->n++] = word;
    return true;
}

static bool split(struct weft_slice text, struct words *w)
{
    for (size_t i = 0; i < text.len;) {
        size_t from = i;
        while (i < text.len && word_byte(text.data[i]))
            i++;
        if (i > from && !add_word(w, weft_slice_of(text.data + from, i - from)))
            return false;
        i += i == from;
    }
    return true;
}

static bool has_word(const struct words *w, struct weft_slice word)
{
    for (size_t i = 0; i < w->n; i++)
        if (weft_slice_equal(w->items[i], word))
            return true;
    return false;
}

static void remove_word(struct words *w, const char *word)
{
    size_t kept = 0;

    for (size_t i = 0; i < w->n; i++)
        if (!weft_slice_is(w->items[i], word))
            w->items[kept++] = w->items[i];
    w->n = kept;
}

static void put_slice(struct weft_buf *b, struct weft_slice s)
{
    weft_buf_append(b, s.data, s.len);
}

static void join(struct weft_buf *b, const struct words *w)
{
    for (size_t i = 0; i < w->n; i++) {
        if (i > 0)
            weft_buf_append_byte(b, '_');
        put_slice(b, w->items[i]);
    }
}

/* ---- units ---- */

static const char *word_of(const struct term *terms, struct weft_slice code)
{
    for (; terms->code; terms++)
        if (weft_slice_is(code, terms->code))
            return terms->word;
    return NULL;
}

/* One side of a unit in words: {remarks} are dropped, codes looked up, the rest made fit for a name. */
static void put_side(struct weft_buf *b, struct weft_slice side, const struct term *terms)
{
    uint8_t room[SIDE_MAX];
    struct words w = { .n = 0 };
    size_t len = 0;
    bool remark = false;

    for (size_t i = 0; i < side.len && len < sizeof room; i++) {
        uint8_t c = side.data[i];
        remark = c == '{' || (remark && c != '}');
        if (!remark && c != '}' && c != ' ')
            room[len++] = c;
    }
    const char *word = word_of(terms, weft_slice_of(room, len));
    if (word)
        weft_buf_append_str(b, word);
    else if (split(weft_slice_of(room, len), &w))
        join(b, &w);
}

/* The two sides of a unit: "By/s" is "bytes" and "per_second". */
static void put_unit(struct weft_buf *main_side, struct weft_buf *rate, struct weft_slice unit)
{
    const uint8_t *slash = unit.len ? memchr(unit.data, '/', unit.len) : NULL;
    size_t len = slash ? (size_t)(slash - unit.data) : unit.len;

    put_side(main_side, weft_slice_of(unit.data, len), units);
    if (!slash)
        return;
    weft_buf_append_str(rate, "per_");
    size_t empty = rate->len;
    put_side(rate, weft_slice_from(unit, len + 1), rates);
    if (rate->len == empty)
        weft_buf_reset(rate);
}

static void note_unit(struct weft_prom_name *n, const struct source *s)
{
    put_slice(&n->unit, s->main_side);
    if (s->main_side.len > 0 && s->rate.len > 0)
        weft_buf_append_byte(&n->unit, '_');
    put_slice(&n->unit, s->rate);
    if (s->ratio)
        weft_buf_append_str(&n->unit, "ratio");
}

/* A counter that ends in _total keeps the ending, but apart from its family's name. */
static void take_total_off(struct weft_prom_name *n, enum weft_prom_shape shape)
{
    struct weft_buf *b = &n->name;

    if (shape != WEFT_PROM_SHAPE_COUNTER || b->len <= 6 || memcmp(b->data + b->len - 6, "_total", 6) != 0)
        return;
    b->len -= 6;
    n->total = true;
}

/* ---- with underscores ---- */

static bool add_suffixes(struct words *w, const struct source *s)
{
    if (s->main_side.len > 0 && !has_word(w, s->main_side) && !add_word(w, s->main_side))
        return false;
    if (s->rate.len > 0 && !has_word(w, s->rate) && !add_word(w, s->rate))
        return false;
    if (s->shape == WEFT_PROM_SHAPE_COUNTER)
        remove_word(w, "total");
    if (!s->ratio)
        return true;
    remove_word(w, "ratio");
    return add_word(w, WEFT_SLICE("ratio"));
}

static bool with_underscores(struct weft_prom_name *n, const struct source *s)
{
    struct words w = { .n = 0 }, before = { .n = 0 };

    if (!split(s->name, &w) || w.n == 0 || !split(s->space, &before))
        return false;
    if (s->suffixes && !add_suffixes(&w, s))
        return false;
    if (w.n == 0)
        return false;
    join(&n->name, &before);
    if (before.n > 0 || digit(w.items[0].data[0]))
        weft_buf_append_byte(&n->name, '_');
    join(&n->name, &w);
    return true;
}

/* ---- as they are ---- */

static void add_ending(struct weft_buf *b, struct weft_slice ending)
{
    if (ending.len == 0 || (b->len > ending.len && memcmp(b->data + b->len - ending.len, ending.data, ending.len) == 0))
        return;
    weft_buf_append_byte(b, '_');
    put_slice(b, ending);
}

static bool as_it_is(struct weft_prom_name *n, const struct source *s)
{
    if (s->name.len == 0)
        return false;
    put_slice(&n->name, s->space);
    if (s->space.len > 0)
        weft_buf_append_byte(&n->name, '_');
    put_slice(&n->name, s->name);
    take_total_off(n, s->shape);
    if (!s->suffixes)
        return true;
    add_ending(&n->name, s->main_side);
    add_ending(&n->name, s->rate);
    if (s->ratio)
        add_ending(&n->name, WEFT_SLICE("ratio"));
    return true;
}

bool weft_prom_metric_name(struct weft_prom_name *n, enum weft_prom_strategy strategy, struct weft_slice space,
                           struct weft_slice name, struct weft_slice unit, enum weft_prom_shape shape)
{
    struct source s = { .space = space, .name = name, .shape = shape };
    struct weft_buf main_side, rate;

    weft_buf_reset(&n->name);
    weft_buf_reset(&n->unit);
    weft_buf_init(&main_side, WEFT_PROM_NAME_MAX);
    weft_buf_init(&rate, WEFT_PROM_NAME_MAX);
    s.suffixes = strategy == WEFT_PROM_UNDERSCORES_SUFFIXES || strategy == WEFT_PROM_UTF8_SUFFIXES;
    s.ratio = s.suffixes && shape == WEFT_PROM_SHAPE_GAUGE && weft_slice_is(unit, "1");
    n->total = s.suffixes && shape == WEFT_PROM_SHAPE_COUNTER;
    if (s.suffixes) {
        put_unit(&main_side, &rate, unit);
        s.main_side = weft_buf_slice(&main_side);
        s.rate = weft_buf_slice(&rate);
        note_unit(n, &s);
    }
    bool ok = strategy <= WEFT_PROM_UNDERSCORES ? with_underscores(n, &s) : as_it_is(n, &s);
    if (ok && !s.suffixes)
        take_total_off(n, shape);
    ok = ok && !n->name.err && !n->unit.err && !main_side.err && !rate.err;
    weft_buf_release(&main_side);
    weft_buf_release(&rate);
    return ok;
}

/* ---- labels ---- */

void weft_prom_label_name(struct weft_buf *b, enum weft_prom_strategy strategy, struct weft_slice key)
{
    bool gap = false;

    if (key.len == 0)
        return;
    if (strategy > WEFT_PROM_UNDERSCORES) {
        put_slice(b, key);
        return;
    }
    if (digit(key.data[0]))
        weft_buf_append_str(b, "key_");
    for (size_t i = 0; i < key.len; i++) {
        bool fits = word_byte(key.data[i]) && key.data[i] != ':';
        if (fits)
            weft_buf_append_byte(b, key.data[i]);
        else if (!gap)
            weft_buf_append_byte(b, '_');
        gap = !fits;
    }
}

/* SPDX-License-Identifier: Apache-2.0 */
/* prometheus_exp.c: see prometheus_exp.h. A side is read sparsely: only what lies between its first and last filled
 * bucket takes room, and the scale is lowered until that fits, so what a sender may make us keep is fixed. */
#include "exporters/prometheus_exp.h"

#include "core/err.h"

#include <math.h>

/* Filled buckets of a side, by index; first > last: none. */
struct span { int64_t first, last; };

static struct span side_span(const struct weft_prom_exp_side *s)
{
    return (struct span){ s->offset, (int64_t)s->offset + s->n - 1 };
}

static struct span join(struct span a, struct span b)
{
    if (a.first > a.last)
        return b;
    if (b.first > b.last)
        return a;
    return (struct span){ a.first < b.first ? a.first : b.first, a.last > b.last ? a.last : b.last };
}

/* Whether the span needs at most WEFT_PROM_EXP_MAX buckets once `shift` has been taken off its scale. */
static bool fits(struct span s, int32_t shift)
{
    return s.first > s.last || (s.last >> shift) - (s.first >> shift) < WEFT_PROM_EXP_MAX;
}

/* The greatest scale up to `scale` at which both spans fit. False: none from WEFT_PROM_SCALE_MIN on. */
static bool find_scale(struct span positive, struct span negative, int32_t scale, int32_t *ret_scale)
{
    int32_t to = scale < WEFT_PROM_SCALE_MAX ? scale : WEFT_PROM_SCALE_MAX;

    for (; to >= WEFT_PROM_SCALE_MIN; to--) {
        if (scale - to < 32 && fits(positive, scale - to) && fits(negative, scale - to)) {
            *ret_scale = to;
            return true;
        }
    }
    return false;
}

/* ---- reading ---- */

static int read_span(const struct weft_exp_buckets *b, struct span *ret_span)
{
    struct weft_repeated it = b->counts;
    struct span s = { 0, -1 };
    uint64_t count;
    int verdict;

    for (int64_t i = b->offset; (verdict = weft_repeated_next_varint(&it, &count)) > 0; i++) {
        if (count == 0)
            continue;
        if (s.first > s.last)
            s.first = i;
        s.last = i;
    }
    *ret_span = s;
    return verdict;
}

/* Returns the number of observations in it. */
static uint64_t read_side(const struct weft_exp_buckets *b, struct span span, int32_t shift,
                          struct weft_prom_exp_side *side)
{
    struct weft_repeated it = b->counts;
    uint64_t count, total = 0;

    side->n = 0;
    side->offset = 0;
    if (span.first > span.last)
        return 0;
    side->offset = (int32_t)(span.first >> shift);
    side->n = (uint32_t)((span.last >> shift) - side->offset + 1);
    memset(side->counts, 0, side->n * sizeof *side->counts);
    for (int64_t i = b->offset; weft_repeated_next_varint(&it, &count) > 0; i++) {
        if (count > 0)
            side->counts[(i >> shift) - side->offset] += count;
        total += count;
    }
    return total;
}

int weft_prom_exp_read(const struct weft_exp_histogram_point *point, struct weft_prom_exp *e)
{
    struct span positive, negative;
    int32_t scale;

    if (read_span(&point->positive, &positive) < 0 || read_span(&point->negative, &negative) < 0)
        return WEFT_ERR_MALFORMED;
    if (point->scale > 64 || !find_scale(positive, negative, point->scale, &scale))
        return WEFT_ERR_UNSUPPORTED;
    int32_t shift = point->scale - scale;
    e->count = point->zero_count + read_side(&point->positive, positive, shift, &e->positive) +
               read_side(&point->negative, negative, shift, &e->negative); /* Prometheus wants it to add up */
    e->scale = scale;
    e->sum = point->sum;
    e->has_sum = point->has_sum;
    e->zero_count = point->zero_count;
    e->zero_threshold = point->zero_threshold;
    return 0;
}

/* ---- coarser ---- */

static void coarsen_side(struct weft_prom_exp_side *s, int32_t shift)
{
    struct span span = side_span(s);

    if (s->n == 0)
        return;
    int64_t first = span.first >> shift;
    for (uint32_t i = 0; i < s->n; i++) { /* writes never run ahead of reads */
        uint64_t count = s->counts[i];
        s->counts[i] = 0;
        s->counts[((span.first + i) >> shift) - first] += count;
    }
    s->offset = (int32_t)first;
    s->n = (uint32_t)((span.last >> shift) - first + 1);
}

void weft_prom_exp_coarsen(struct weft_prom_exp *e, int32_t scale)
{
    if (scale >= e->scale)
        return;
    coarsen_side(&e->positive, e->scale - scale);
    coarsen_side(&e->negative, e->scale - scale);
    e->scale = scale;
}

/* ---- adding ---- */

/* The span of a side if it were of a scale lower by `shift`. */
static struct span shifted(const struct weft_prom_exp_side *s, int32_t shift)
{
    struct span span = side_span(s);

    return s->n == 0 ? (struct span){ 0, -1 } : (struct span){ span.first >> shift, span.last >> shift };
}

static void add_side(struct weft_prom_exp_side *to, const struct weft_prom_exp_side *from)
{
    struct span whole = join(shifted(to, 0), shifted(from, 0));

    if (from->n == 0)
        return;
    uint32_t n = (uint32_t)(whole.last - whole.first + 1);
    uint32_t gap = to->n ? (uint32_t)(to->offset - whole.first) : 0;
    memmove(to->counts + gap, to->counts, to->n * sizeof *to->counts);
    memset(to->counts, 0, gap * sizeof *to->counts);
    memset(to->counts + gap + to->n, 0, (n - gap - to->n) * sizeof *to->counts);
    to->offset = (int32_t)whole.first;
    to->n = n;
    for (uint32_t i = 0; i < from->n; i++)
        to->counts[(uint32_t)(from->offset - to->offset) + i] += from->counts[i];
}

bool weft_prom_exp_add(struct weft_prom_exp *e, struct weft_prom_exp *delta)
{
    int32_t common = e->scale < delta->scale ? e->scale : delta->scale, scale;
    int32_t a = e->scale - common, b = delta->scale - common;

    if (!find_scale(join(shifted(&e->positive, a), shifted(&delta->positive, b)),
                    join(shifted(&e->negative, a), shifted(&delta->negative, b)), common, &scale))
        return false;
    weft_prom_exp_coarsen(e, scale);
    weft_prom_exp_coarsen(delta, scale);
    add_side(&e->positive, &delta->positive);
    add_side(&e->negative, &delta->negative);
    e->count += delta->count;
    e->zero_count += delta->zero_count;
    e->sum += delta->sum;
    e->has_sum &= delta->has_sum;
    if (delta->zero_threshold > e->zero_threshold)
        e->zero_threshold = delta->zero_threshold;
    return true;
}

/* ---- as classic buckets ---- */

static double bound(int32_t scale, int64_t index)
{
    return exp2((double)index * exp2(-scale));
}

static void put(struct weft_prom_classic *c, double value, uint64_t count)
{
    if (c->n == WEFT_PROM_CLASSIC_MAX || !isfinite(value) || (c->n > 0 && value <= c->bounds[c->n - 1]))
        return;
    c->bounds[c->n] = value;
    c->counts[c->n++] = count;
}

/* The scale at which both sides together take at most `room` bounds. */
static int32_t classic_scale(const struct weft_prom_exp *e, int64_t room)
{
    int32_t shift = 0;

    for (; shift < 30; shift++) {
        struct span p = shifted(&e->positive, shift), n = shifted(&e->negative, shift);
        if (p.last - p.first + n.last - n.first + 2 <= room)
            break;
    }
    return e->scale - shift;
}

void weft_prom_exp_classic(const struct weft_prom_exp *e, struct weft_prom_classic *ret_classic)
{
    uint64_t positive[WEFT_PROM_EXP_MAX], negative[WEFT_PROM_EXP_MAX], total = 0;
    struct weft_prom_exp copy = *e;
    struct weft_prom_classic *c = ret_classic;

    c->n = 0;
    copy.positive.counts = positive;
    copy.negative.counts = negative;
    memcpy(positive, e->positive.counts, e->positive.n * sizeof *positive);
    memcpy(negative, e->negative.counts, e->negative.n * sizeof *negative);
    weft_prom_exp_coarsen(&copy, classic_scale(e, WEFT_PROM_CLASSIC_MAX - 4));

    for (uint32_t i = copy.negative.n; i > 0; i--) { /* from the most negative up */
        total += negative[i - 1];
        put(c, -bound(copy.scale, (int64_t)copy.negative.offset + i - 1), total);
    }
    total += copy.zero_count;
    if (copy.zero_count > 0 || copy.negative.n > 0)
        put(c, copy.zero_threshold, total);
    if (copy.positive.n > 0)
        put(c, bound(copy.scale, copy.positive.offset), total);
    for (uint32_t i = 0; i < copy.positive.n; i++) {
        total += positive[i];
        put(c, bound(copy.scale, (int64_t)copy.positive.offset + i + 1), total);
    }
}

/* SPDX-License-Identifier: Apache-2.0 */
/* concurrency.c: see concurrency.h. The constants are those that the simulations of test_concurrency settle on a server's
 * capacity with, from 1 to 32 requests at once, with even and with scattered service times. */
#include "core/concurrency.h"

#include <math.h>

static const double CUT_HARD = 0.5, CUT_SOFT = 0.8, CUT_MOST = 0.25;
static const double SHARE = 0.3; /* how far what is usual moves towards the round trips of a round that measures */
static const double SPREADS = 2, LEAST_SHARE = 0.25;     /* what is still usual: so many spreads, or this much more */
static const double LEAST_US = 2000;                       /* less than this is the scheduler's doing */
enum { FAMILIAR = 5 /* round trips of a size; from then on one can be unusual */ };

static double clamp(const struct weft_concurrency *c, double limit)
{
    return limit < 1 ? 1 : limit > (double)c->options.max ? (double)c->options.max : limit;
}

static void begin_round(struct weft_concurrency *c)
{
    c->round = weft_concurrency_limit(c);
    c->ended = c->longer = 0;
    c->times_usual = 0;
    c->measuring = false;
    c->used = false;
}

void weft_concurrency_init(struct weft_concurrency *c, const struct weft_concurrency_options *options)
{
    *c = (struct weft_concurrency){ .options = *options };
    if (c->options.max == 0)
        c->options.max = 1;
    c->limit = clamp(c, c->options.adaptive ? (double)c->options.initial : (double)c->options.max);
    begin_round(c);
}

unsigned weft_concurrency_limit(const struct weft_concurrency *c)
{
    return (unsigned)c->limit;
}

void weft_concurrency_on_send(struct weft_concurrency *c, unsigned out, bool more)
{
    c->out = out;
    c->used = c->used || (more && out >= weft_concurrency_limit(c));
}

static void cut(struct weft_concurrency *c, double factor)
{
    c->forgiven = c->out;
    c->limit = clamp(c, c->limit * factor);
    begin_round(c);
    c->measuring = true;
}

/* ---- what is usual ---- */
static struct weft_concurrency_usual *usual_of(struct weft_concurrency *c, uint64_t bytes)
{
    unsigned size = 0;

    for (uint64_t left = bytes >> 10; left > 0 && size < WEFT_CONCURRENCY_SIZES - 1; left >>= 1)
        size++;
    return &c->usual[size];
}

static double margin(const struct weft_concurrency_usual *u)
{
    return fmax(fmax(SPREADS * u->spread_us, LEAST_SHARE * u->mean_us), LEAST_US);
}

/* The first few make the mean; then it moves by a share. */
static void learn(struct weft_concurrency_usual *u, double us, double share)
{
    double off = us - u->mean_us;

    if (u->n < FAMILIAR)
        share = 1.0 / ++u->n;
    u->spread_us += share * (fabs(off) - u->spread_us);
    u->mean_us += share * off;
}

/* True: longer than usual. Learns from it. */
static bool judge(struct weft_concurrency *c, struct weft_concurrency_usual *u, double us)
{
    bool alone = c->limit < 2;
    bool longer = !alone && us > u->mean_us + margin(u);

    c->times_usual += us / (u->mean_us > 1 ? u->mean_us : 1);
    if (alone || c->measuring || us * 2 < u->mean_us)
        learn(u, us, SHARE / c->round);
    return longer;
}

/* ---- outcomes ---- */
/* An outcome has come in. True: it is not to be judged. */
static bool forgive(struct weft_concurrency *c)
{
    c->out -= c->out > 0;
    if (c->forgiven == 0)
        return false;
    c->forgiven--;
    return true;
}

static void end_round(struct weft_concurrency *c)
{
    if (c->longer * 2 > c->ended) {
        double fits = CUT_SOFT * c->ended / c->times_usual; /* twice the usual time: half of them waited */
        cut(c, fits < CUT_MOST ? CUT_MOST : fits);
        return;
    }
    if (c->used)
        c->limit = clamp(c, floor(c->limit) + 1);
    begin_round(c);
}

void weft_concurrency_on_answer(struct weft_concurrency *c, uint64_t round_trip_us, uint64_t bytes)
{
    if (!c->options.adaptive || forgive(c))
        return;
    struct weft_concurrency_usual *u = usual_of(c, bytes);
    if (u->n < FAMILIAR) {
        learn(u, (double)round_trip_us, 1);
        return;
    }
    c->longer += judge(c, u, (double)round_trip_us);
    if (++c->ended >= c->round)
        end_round(c);
}

void weft_concurrency_on_push_back(struct weft_concurrency *c)
{
    if (!c->options.adaptive || forgive(c))
        return;
    cut(c, CUT_HARD);
}

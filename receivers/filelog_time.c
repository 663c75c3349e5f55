/* SPDX-License-Identifier: Apache-2.0 */
/* filelog_time.c: see filelog_time.h. */
#include "receivers/filelog_time.h"

#include "core/json.h"

enum { NS_DIGITS = 9 };
static const uint64_t second_ns = 1000000000;

/* Exactly `n` digits at `at`. false: others. */
static bool digits(const uint8_t *at, unsigned n, unsigned *ret_value)
{
    unsigned value = 0;

    for (unsigned i = 0; i < n; i++) {
        unsigned digit = (unsigned)at[i] - '0';
        if (digit > 9)
            return false;
        value = value * 10 + digit;
    }
    *ret_value = value;
    return true;
}

/* Days from 1970-01-01 to a date of the Gregorian calendar, years counted from March. */
static int64_t days_since_1970(unsigned year, unsigned month, unsigned day)
{
    const int64_t y = (int64_t)year - (month <= 2), era = y / 400, year_of_era = y - era * 400;
    const int64_t day_of_year = (153 * ((int64_t)month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

    return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719468;
}

/* Takes a fraction of a second from *at. */
static uint64_t take_fraction(const uint8_t **at, const uint8_t *end)
{
    uint64_t ns = 0;
    unsigned n = 0;
    const uint8_t *p = *at;

    if (p == end || (*p != '.' && *p != ','))
        return 0;
    for (p++; p < end && (uint8_t)(*p - '0') < 10; p++) {
        if (n < NS_DIGITS) {
            ns = ns * 10 + (uint64_t)(*p - '0');
            n++;
        }
    }
    for (; n < NS_DIGITS; n++)
        ns *= 10;
    *at = p;
    return ns;
}

/* What stands behind the time of day, to its end: the seconds that local time is ahead of UTC. */
static bool take_zone(const uint8_t *at, const uint8_t *end, int *ret_seconds)
{
    unsigned hours, minutes = 0;
    size_t left = (size_t)(end - at);

    *ret_seconds = 0;
    if (left == 0 || (left == 1 && (*at | 0x20) == 'z'))
        return true;
    if ((*at != '+' && *at != '-') || left < 3 || !digits(at + 1, 2, &hours))
        return false;
    if (left == 6 && at[3] == ':' ? !digits(at + 4, 2, &minutes) : left == 5 ? !digits(at + 3, 2, &minutes) : left != 3)
        return false;
    if (hours > 23 || minutes > 59)
        return false;
    *ret_seconds = (int)(hours * 3600 + minutes * 60) * (*at == '-' ? -1 : 1);
    return true;
}

bool weft_filelog_time_text(struct weft_slice text, uint64_t *ret_ns)
{
    enum { DATE_AND_TIME = 19 };
    const uint8_t *t = text.data;
    unsigned year, month, day, hour, minute, second;
    int ahead;

    if (text.len < DATE_AND_TIME || t[4] != '-' || t[7] != '-' || t[13] != ':' || t[16] != ':' ||
        ((t[10] | 0x20) != 't' && t[10] != ' '))
        return false;
    if (!digits(t, 4, &year) || !digits(t + 5, 2, &month) || !digits(t + 8, 2, &day) || !digits(t + 11, 2, &hour) ||
        !digits(t + 14, 2, &minute) || !digits(t + 17, 2, &second))
        return false;
    if (year < 1970 || month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 || minute > 59 || second > 60)
        return false;

    const uint8_t *at = t + DATE_AND_TIME, *end = t + text.len;
    uint64_t fraction = take_fraction(&at, end);
    if (!take_zone(at, end, &ahead))
        return false;
    int64_t seconds = days_since_1970(year, month, day) * 86400 + hour * 3600 + minute * 60 + second - ahead;
    if (seconds < 0 || (uint64_t)seconds > UINT64_MAX / second_ns - 1)
        return false;
    *ret_ns = (uint64_t)seconds * second_ns + fraction;
    return true;
}

/* Nanoseconds in the unit that a number of this size must be of. */
static uint64_t unit_of(uint64_t value)
{
    return value < 100000000000u ? second_ns : value < 100000000000000u ? 1000000 : value < 100000000000000000u ? 1000 : 1;
}

bool weft_filelog_time_number(struct weft_slice number, uint64_t *ret_ns)
{
    const uint8_t *at = number.data, *end = at + number.len;
    uint64_t whole = 0;
    double real;

    while (at < end && (uint8_t)(*at - '0') < 10 && whole < UINT64_MAX / 100)
        whole = whole * 10 + (uint64_t)(*at++ - '0');
    uint64_t fraction = take_fraction(&at, end);
    if (at < end) { /* an exponent, a sign, or no number at all */
        if (!weft_json_double(number, &real) || real < 0 || real > 1.8e19)
            return false;
        whole = (uint64_t)real;
        fraction = 0;
    }
    const uint64_t unit = unit_of(whole);
    if (number.len == 0 || whole > UINT64_MAX / unit - 1)
        return false;
    *ret_ns = whole * unit + fraction / (second_ns / unit);
    return true;
}

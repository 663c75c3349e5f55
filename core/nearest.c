/* SPDX-License-Identifier: Apache-2.0 */
/* nearest.c: the known word that somebody probably meant (declared in option.h).
 *
 * Optimal string alignment distance (insert, delete, replace, swap two neighbours), blind to case and to
 * '-' against '_'. A word is near when at most a third of it has to change, or when one is the beginning of the other.
 */
#include "core/option.h"

#include <ctype.h>
#include <string.h>

enum { WORD_MAX = 64 };

static char fold(char c)
{
    return c == '-' ? '_' : (char)tolower((unsigned char)c);
}

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* Three rows of the classic table are enough: the current one and the two before it. */
static unsigned distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
    unsigned rows[3][WORD_MAX + 1];
    unsigned *before = rows[0], *last = rows[1], *now = rows[2];

    for (size_t j = 0; j <= b_len; j++)
        last[j] = (unsigned)j;
    memset(before, 0, sizeof rows[0]);
    for (size_t i = 1; i <= a_len; i++) {
        now[0] = (unsigned)i;
        for (size_t j = 1; j <= b_len; j++) {
            char x = fold(a[i - 1]), y = fold(b[j - 1]);
            now[j] = least(least(last[j] + 1, now[j - 1] + 1), last[j - 1] + (x != y));
            if (i > 1 && j > 1 && x == fold(b[j - 2]) && fold(a[i - 2]) == y)
                now[j] = least(now[j], before[j - 2] + 1);
        }
        unsigned *spare = before;
        before = last;
        last = now;
        now = spare;
    }
    return last[b_len];
}

static bool begins_with(const char *word, size_t len, const char *start, size_t start_len)
{
    if (start_len < 3 || start_len >= len)
        return false;
    for (size_t i = 0; i < start_len; i++)
        if (fold(word[i]) != fold(start[i]))
            return false;
    return true;
}

const char *weft_nearest(const char *word, const char *const *words)
{
    const char *best = NULL;
    size_t len = strlen(word);
    unsigned best_distance = ~0u;

    if (len == 0 || len > WORD_MAX)
        return NULL;
    for (; *words; words++) {
        size_t n = strlen(*words);
        if (n == 0 || n > WORD_MAX)
            continue;
        unsigned d = distance(word, len, *words, n);
        size_t longer = n > len ? n : len;
        unsigned allowed = longer < 3 ? 0 : (unsigned)(longer + 1) / 3;
        if (begins_with(*words, n, word, len) || begins_with(word, len, *words, n))
            d = least(d, allowed);
        if (d <= allowed && d < best_distance) {
            best = *words;
            best_distance = d;
        }
    }
    return best;
}

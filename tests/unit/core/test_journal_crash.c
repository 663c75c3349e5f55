/* SPDX-License-Identifier: Apache-2.0 */
/* A journal on disk against a model of it, through random crashes.
 *
 * 100,000 random operations a run; the seed is printed, and WEFT_SEED repeats a run. Every few hundred steps the journal is
 * closed and opened again, or it crashes: the directory is copied as it is, which is what a killed process leaves, and the journal goes on
 * in the copy. Some crashes damage the copy besides: files are cut at any byte, bits are flipped, pages zeroed.
 *
 * What must hold: a record that is read is byte for byte one that was published, in order. Without damage every published record that a
 * cursor had not settled when places were saved last comes, exactly. With damage no more is missing than was damaged, and each
 * holding cursor accounts for every item: given, or counted as lost. */
#include "core/err.h"
#include "core/journal_state.h"
#include "tests/support/journal_room.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum { STEPS = 100000, CURSORS = 4, OPEN_RESERVATIONS = 4, MAX_SIZE = 1 << 20, SEGMENT = 16 << 10, IN_HAND = 64,
       SOURCES = 5, PATH_SIZE = 300, PAGE = 4096 };

/* PASSED_BY: before a hole that segments have left which were given back; only who does not hold and stands there may still see it. */
enum state { RESERVED, PUBLISHED, ABANDONED, LOST, PASSED_BY };

struct entry {
    uint64_t sequence;
    uint32_t id, len, n_items;
    enum state state;
    struct weft_source source;
};

struct hand {
    struct weft_cursor *cursor;   /* NULL: no reader */
    bool known;                   /* parked or open: it has a place */
    bool hold;
    uint64_t read, settled;       /* the last sequences */
    uint64_t saved;               /* settled when places were saved last */
    bool saved_known;
    struct weft_record in_hand[IN_HAND];
    size_t n_in_hand;
};

static struct {
    struct weft_journal *journal;
    struct entry *entries;        /* by sequence */
    size_t n;
    uint32_t next_id;
    struct weft_reservation open[OPEN_RESERVATIONS];
    size_t n_open;
    struct hand hands[CURSORS];
    unsigned seed;
    char room[PATH_SIZE];
    unsigned generation;          /* of the directory */
    bool sources_damaged;
    unsigned crashes, damaged;
    uint64_t lost_records;
    int damage;                   /* the last kind, for messages; -1: none */
} m;

static const char *const names[CURSORS] = { "es", "jaeger", "otlp/2", "recorder" };

static unsigned dice(unsigned sides)
{
    return (unsigned)rand_r(&m.seed) % sides;
}

/* ---- the model ---- */

static uint8_t filling(uint32_t id)
{
    return (uint8_t)(id * 151 + 7);
}

/* The first entry behind `sequence`. */
static size_t behind(uint64_t sequence)
{
    size_t low = 0, high = m.n;

    while (low < high) {
        size_t middle = (low + high) / 2;
        if (m.entries[middle].sequence <= sequence)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct entry *entry_of(uint64_t sequence)
{
    size_t i = sequence ? behind(sequence - 1) : m.n;

    return i < m.n && m.entries[i].sequence == sequence ? &m.entries[i] : NULL;
}

static void check_record(const struct weft_record *r)
{
    const struct entry *e = entry_of(r->sequence);

    if (!e || (e->state != PUBLISHED && e->state != PASSED_BY))
        fail_msg("record %lx was never published", (unsigned long)r->sequence);
    if (r->payload.len != e->len || r->n_items != e->n_items || r->flags != e->id || r->source.id != e->source.id
        || r->source.position != e->source.position)
        fail_msg("record %lx is not what was written", (unsigned long)r->sequence);
    for (size_t i = 0; i < r->payload.len; i++)
        if (r->payload.data[i] != filling(e->id))
            fail_msg("record %lx has changed at byte %zu", (unsigned long)r->sequence, i);
}

static uint64_t expected_next(uint64_t read)
{
    for (size_t i = behind(read); i < m.n; i++) {
        if (m.entries[i].state == PUBLISHED)
            return m.entries[i].sequence;
        if (m.entries[i].state == RESERVED)
            return 0;
    }
    return 0;
}

static void places_saved(void)
{
    for (struct hand *h = m.hands; h < m.hands + CURSORS; h++) {
        h->saved_known = h->known;
        h->saved = h->settled;
    }
}

/* ---- operations ---- */

static size_t random_len(void)
{
    switch (dice(40)) {
    case 0:
        return dice(MAX_SIZE / 8);
    case 1:
        return SEGMENT - PAGE - 64 - dice(20);
    case 2:
        return 0;
    default:
        return dice(2000);
    }
}

static void reserve(void)
{
    size_t len = random_len();
    uint32_t n_items = 1 + dice(20);

    if (m.n_open == OPEN_RESERVATIONS)
        return;
    struct weft_reservation *res = &m.open[m.n_open];
    int err = weft_journal_reserve(m.journal, len, n_items, res);
    if (err == WEFT_ERR_FULL)
        return;
    assert_int_equal(err, 0);
    if (m.n > 0)
        assert_true(res->sequence > m.entries[m.n - 1].sequence);
    m.entries[m.n++] = (struct entry){ .sequence = res->sequence, .id = ++m.next_id, .len = (uint32_t)len, .n_items = n_items };
    memset(res->payload, filling(m.next_id), len);
    m.n_open++;
}

static void end_reservation(void)
{
    if (m.n_open == 0)
        return;
    size_t i = dice((unsigned)m.n_open);
    struct weft_reservation res = m.open[i];
    struct entry *e = entry_of(res.sequence);
    m.open[i] = m.open[--m.n_open];
    if (dice(6) == 0) {
        e->state = ABANDONED;
        weft_journal_abandon(m.journal, &res);
        return;
    }
    e->state = PUBLISHED;
    if (dice(3) == 0)
        e->source = (struct weft_source){ 1 + dice(SOURCES), e->id };
    struct weft_record r = { .signal = WEFT_LOGS, .wall_ns = e->id, .flags = e->id, .source = e->source };
    weft_journal_publish(m.journal, &res, &r);
}

static void append(void)
{
    reserve();
    if (dice(3) != 0)
        end_reservation();
}

static struct hand *any_hand(void)
{
    struct hand *h = &m.hands[dice(CURSORS)];

    return h->cursor ? h : NULL;
}

static void read_one(void)
{
    struct hand *h = any_hand();
    struct weft_record r;

    if (!h || h->n_in_hand == IN_HAND)
        return;
    int got = weft_cursor_next(h->cursor, &r);
    uint64_t expected = expected_next(h->read);
    if (h->hold && (got ? r.sequence : 0) != expected)
        fail_msg("%s got %lx, expected %lx", names[h - m.hands], got ? (unsigned long)r.sequence : 0ul, (unsigned long)expected);
    if (!got)
        return;
    if (r.sequence < expected && entry_of(r.sequence) && entry_of(r.sequence)->state != PASSED_BY)
        fail_msg("%s got %lx again, expected %lx", names[h - m.hands], (unsigned long)r.sequence, (unsigned long)expected);
    check_record(&r);
    h->read = r.sequence;
    h->in_hand[h->n_in_hand++] = r;
}

static void settle(void)
{
    struct hand *h = any_hand();

    if (!h || h->n_in_hand == 0)
        return;
    for (size_t i = 0; i < h->n_in_hand; i++)
        check_record(&h->in_hand[i]);
    size_t n = 1 + dice((unsigned)h->n_in_hand);
    h->settled = h->in_hand[n - 1].sequence;
    weft_cursor_settle(h->cursor, h->settled);
    h->n_in_hand -= n;
    memmove(h->in_hand, h->in_hand + n, h->n_in_hand * sizeof *h->in_hand);
}

static void rewind_one(void)
{
    struct hand *h = any_hand();

    if (!h || !h->hold)
        return;
    weft_cursor_rewind(h->cursor);
    h->read = h->settled;
    h->n_in_hand = 0;
}

/* The oldest one that is kept; a thread of the journal may give it back while the cursor is opened. */
static uint64_t before_the_oldest(const struct hand *h, uint64_t first_before)
{
    struct weft_journal_stats now;
    struct weft_cursor_stats place;

    weft_journal_stats(m.journal, &now);
    weft_cursor_stats(h->cursor, &place);
    assert_in_range(place.settled_sequence + 1, first_before, now.first_sequence);
    return place.settled_sequence;
}

static void open_hand(struct hand *h)
{
    struct weft_cursor_options o = { .name = names[h - m.hands], .hold = h != &m.hands[CURSORS - 1], .wake_fd = -1,
                                     .start = dice(2) ? WEFT_CURSOR_OLDEST : WEFT_CURSOR_TAIL };
    struct weft_journal_stats s;

    weft_journal_stats(m.journal, &s);
    bool lost = weft_journal_find(m.journal, WEFT_LOST_PLACES) != NULL;
    assert_int_equal(weft_cursor_open(&h->cursor, m.journal, &o), 0);
    h->hold = o.hold;
    h->n_in_hand = 0;
    if (!h->known) {
        h->settled = o.start == WEFT_CURSOR_OLDEST || lost ? before_the_oldest(h, s.first_sequence) : s.next_sequence - 1;
        h->known = true;
        places_saved(); /* a new name is saved at once, and all others with it */
    }
    h->read = h->settled;
}

static void close_hand(struct hand *h)
{
    weft_cursor_close(h->cursor);
    h->cursor = NULL;
    h->n_in_hand = 0;
}

static void open_or_close(void)
{
    struct hand *h = &m.hands[dice(CURSORS)];

    if (!h->cursor) {
        open_hand(h);
        return;
    }
    close_hand(h);
    if (dice(8) != 0)
        return;
    assert_int_equal(weft_journal_release(m.journal, names[h - m.hands]), 0);
    *h = (struct hand){ 0 };
    places_saved();
}

static void keep(void)
{
    bool unsaved = m.journal->unsaved;

    weft_journal_keep(m.journal);
    if (unsaved)
        places_saved();
}

/* ---- ends and beginnings ---- */

static void directory(char path[static PATH_SIZE], unsigned generation)
{
    (void)snprintf(path, PATH_SIZE, "%.200s/%u", m.room, generation);
}

static void remove_directory(unsigned generation)
{
    char path[PATH_SIZE];

    directory(path, generation);
    journal_room_remove(path);
}

static void copy_directory(unsigned from, unsigned to)
{
    char source[PATH_SIZE], target[PATH_SIZE];

    directory(source, from);
    directory(target, to);
    journal_room_copy(source, target);
}

static void open_journal(void)
{
    char path[PATH_SIZE];

    directory(path, m.generation);
    struct weft_journal_options o = { .name = "model", .mode = WEFT_JOURNAL_DISK, .directory = path, .max_size = MAX_SIZE,
                                      .segment_size = SEGMENT };
    int err = weft_journal_open(&m.journal, &o);
    if (err)
        fail_msg("generation %u does not open: %s", m.generation, weft_err_text(err));
    weft_keeper_stop(m.journal); /* what it does is one of the random steps */
}

static void close_journal(void)
{
    for (struct hand *h = m.hands; h < m.hands + CURSORS; h++)
        if (h->cursor)
            close_hand(h);
    weft_journal_close(m.journal);
}

/* What had not been published is nothing now, and its sequence may be given again. */
static void forget_unpublished(void)
{
    size_t n = 0;

    for (size_t i = 0; i < m.n; i++)
        if (m.entries[i].state != RESERVED)
            m.entries[n++] = m.entries[i];
    m.n = n;
    m.n_open = 0;
}

static void check_sources(void)
{
    for (uint64_t id = 1; id <= SOURCES; id++) {
        uint64_t position = 0, expected = 0;
        for (size_t i = m.n; i > 0 && !expected; i--)
            if (m.entries[i - 1].state == PUBLISHED && m.entries[i - 1].source.id == id)
                expected = m.entries[i - 1].source.position;
        bool found = weft_journal_source(m.journal, id, &position);
        if (found != (expected != 0) || position != expected)
            fail_msg("source %lu is at %lu, expected %lu", (unsigned long)id, (unsigned long)position, (unsigned long)expected);
    }
}

static void reopen(void)
{
    while (m.n_open > 0)
        end_reservation();
    close_journal();
    open_journal();
    places_saved();
    if (!m.sources_damaged)
        check_sources();
}

static void see_place(void *ctx, const struct weft_parked *parked)
{
    uint64_t *places = ctx;

    for (size_t i = 0; i < CURSORS; i++)
        if (strcmp(parked->name, names[i]) == 0)
            places[i] = parked->settled_sequence + 1;
}

/* Places may have been saved since the model knows of: a cursor goes on somewhere between then and where it was. */
static void back_to_saved_places(bool damaged)
{
    uint64_t places[CURSORS] = { 0 };

    weft_journal_parked(m.journal, see_place, places);
    for (size_t i = 0; i < CURSORS; i++) {
        struct hand *h = &m.hands[i];
        uint64_t place = places[i] - 1, owed = expected_next(h->settled);
        if (h->saved_known && !damaged && (!places[i] || place < h->saved || (owed && h->hold && owed <= place)))
            fail_msg("%s goes on behind %lx, was saved at %lx and had settled %lx", names[i], (unsigned long)place,
                     (unsigned long)h->saved, (unsigned long)h->settled);
        *h = (struct hand){ .known = places[i] != 0, .hold = h->hold, .settled = place, .read = place };
    }
    places_saved();
}

/* A crash is one moment: the journal's threads rename nothing while the directory is copied. */
static void still(bool on)
{
    pthread_mutex_t *const locks[] = { &m.journal->lock, &m.journal->saving, &m.journal->saving_sources };

    for (size_t i = 0; i < 3; i++)
        (void)(on ? pthread_mutex_lock(locks[i]) : pthread_mutex_unlock(locks[2 - i]));
}

/* The journal as it is stays behind, the copy is opened. */
static void leave_a_copy(void)
{
    unsigned old = m.generation++;
    struct hand hands[CURSORS];

    still(true);
    copy_directory(old, m.generation);
    still(false);
    memcpy(hands, m.hands, sizeof hands);
    struct weft_record nothing = { 0 };
    for (size_t i = 0; i < m.n_open; i++)
        weft_journal_publish(m.journal, &m.open[i], &nothing);
    close_journal();
    for (size_t i = 0; i < CURSORS; i++)
        hands[i].cursor = NULL;
    memcpy(m.hands, hands, sizeof hands);
    remove_directory(old);
    forget_unpublished();
}

static void crash(void)
{
    struct weft_journal_stats s;

    m.crashes++;
    leave_a_copy();
    open_journal();
    back_to_saved_places(false);
    weft_journal_stats(m.journal, &s);
    assert_int_equal(s.recovery.lost_records, 0);
    assert_int_equal(s.recovery.quarantined_segments, 0);
    assert_false(s.recovery.cursors_lost && s.opened_records == 0);
    if (m.n > 0)
        assert_true(s.next_sequence > m.entries[m.n - 1].sequence || m.entries[m.n - 1].state == ABANDONED);
    while (m.n > 0 && m.entries[m.n - 1].sequence >= s.next_sequence)
        m.n--; /* abandoned at the very end: as if it had never been */
    if (!m.sources_damaged)
        check_sources();
}

/* ---- damage ---- */

enum damage { CUT_LAST, FLIP_ENTRY, FLIP_HEAD, ZERO_PAGE, SPOIL_PLACES, SPOIL_SOURCES, SPOIL_FORMAT, N_DAMAGES };

static int by_name(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* A random segment file, or the last one. False: there is none. */
static bool pick_segment(char file[static PATH_SIZE * 2], bool last)
{
    static char found[2048][32];
    size_t n = 0;
    char path[PATH_SIZE];

    directory(path, m.generation);
    DIR *dir = opendir(path);
    assert_non_null(dir);
    for (const struct dirent *e; (e = readdir(dir)) != NULL && n < 2048;)
        if (strlen(e->d_name) == 20 && strcmp(e->d_name + 16, ".seg") == 0)
            (void)snprintf(found[n++], sizeof found[0], "%.31s", e->d_name);
    closedir(dir);
    if (n == 0)
        return false;
    qsort(found, n, sizeof found[0], by_name);
    (void)snprintf(file, PATH_SIZE * 2, "%s/%s", path, found[last ? n - 1 : dice((unsigned)n)]);
    return true;
}

static void change(const char *file, enum damage damage)
{
    static const uint8_t zeros[PAGE];
    struct stat st;
    int fd = open(file, O_RDWR);

    if (fd < 0)
        return;
    assert_int_equal(fstat(fd, &st), 0);
    unsigned size = (unsigned)st.st_size;
    if (damage == CUT_LAST || (damage >= SPOIL_PLACES && dice(2))) {
        assert_int_equal(ftruncate(fd, dice(size + 1)), 0);
    } else if (damage == ZERO_PAGE) {
        assert_true(pwrite(fd, zeros, PAGE, (off_t)dice(size / PAGE) * PAGE) == PAGE);
    } else if (size > 0 && (damage != FLIP_ENTRY || size > PAGE)) {
        uint8_t byte;
        off_t at = damage == FLIP_ENTRY ? PAGE + (off_t)dice(size - PAGE) : (off_t)dice(size < PAGE ? size : PAGE);
        assert_int_equal(pread(fd, &byte, 1, at), 1);
        byte ^= (uint8_t)(1u << dice(8));
        assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    }
    close(fd);
}

static bool spoil(enum damage damage)
{
    static const char *const files[] = { "cursors", "sources", "FORMAT" };
    char file[PATH_SIZE * 2], path[PATH_SIZE];

    directory(path, m.generation);
    if (damage >= SPOIL_PLACES)
        (void)snprintf(file, sizeof file, "%s/%s", path, files[damage - SPOIL_PLACES]);
    else if (!pick_segment(file, damage == CUT_LAST))
        return false;
    change(file, damage);
    return true;
}

/* What every holding cursor had settled may have been given back, also from the middle. */
static uint64_t settled_by_all(void)
{
    uint64_t least = UINT64_MAX;

    for (const struct hand *h = m.hands; h < m.hands + CURSORS - 1; h++)
        if (h->known && h->settled < least)
            least = h->settled;
    return least;
}

static uint64_t lose(size_t i, uint64_t owed_from)
{
    if (m.entries[i].state != PUBLISHED)
        return 0;
    m.entries[i].state = LOST;
    return m.entries[i].sequence > owed_from;
}

/* Reads all there is through a cursor of its own: what is missing is lost from now on. Returns how much of that was still owed to
 * somebody. */
static uint64_t find_what_is_lost(uint64_t owed_from)
{
    struct weft_cursor *c = NULL;
    struct weft_cursor_options o = { .start = WEFT_CURSOR_OLDEST, .wake_fd = -1 };
    struct weft_record r;
    struct weft_journal_stats s;
    uint64_t lost = 0, last = 0;

    weft_journal_stats(m.journal, &s);
    assert_int_equal(weft_cursor_open(&c, m.journal, &o), 0);
    size_t i = behind(s.first_sequence - 1);
    while (weft_cursor_next(c, &r) > 0) {
        check_record(&r);
        assert_true(r.sequence > last);
        last = r.sequence;
        for (; i < m.n && m.entries[i].sequence < r.sequence; i++)
            lost += lose(i, owed_from);
        i++;
        weft_cursor_settle(c, r.sequence);
    }
    for (; i < m.n; i++)
        lost += lose(i, owed_from);
    for (i = 0; i < m.n && m.entries[i].sequence < s.first_sequence; i++)
        if (m.entries[i].state == PUBLISHED)
            m.entries[i].state = PASSED_BY; /* or given back, or quarantined at the head */
    weft_cursor_close(c);
    return lost;
}

/* So that every cursor comes out of the last segment that was there, and knows what was lost in it. */
static int append_one(void)
{
    struct weft_record r = { .signal = WEFT_LOGS, .n_items = 1, .flags = ++m.next_id };
    struct entry e = { .id = m.next_id, .n_items = 1, .state = PUBLISHED };
    int err = weft_journal_append(m.journal, &r, &e.sequence);

    if (!err)
        m.entries[m.n++] = e;
    return err;
}

struct account {
    uint64_t waited, given, lost_before;
};

static void read_to_the_end(struct hand *h, struct account *account)
{
    struct weft_cursor_stats s;
    struct weft_record r;

    open_hand(h);
    weft_cursor_stats(h->cursor, &s);
    account->waited = s.waiting_items;
    account->lost_before = s.lost_items;
    while (weft_cursor_next(h->cursor, &r) > 0) {
        assert_int_equal(r.sequence, expected_next(h->read));
        check_record(&r);
        account->given += r.n_items;
        h->read = h->settled = r.sequence;
        if (dice(2))
            weft_cursor_settle(h->cursor, r.sequence);
    }
    assert_int_equal(expected_next(h->read), 0);
    if (account->given)
        weft_cursor_settle(h->cursor, h->read);
}

/* What a holding cursor was given and what it counts as lost is what waited for it. */
static void check_account(struct hand *h, const struct account *a)
{
    struct weft_cursor_stats s;
    struct weft_record r;

    assert_true(weft_cursor_next(h->cursor, &r) > 0);
    assert_int_equal(r.sequence, m.entries[m.n - 1].sequence);
    h->read = h->settled = r.sequence;
    weft_cursor_settle(h->cursor, r.sequence);
    weft_cursor_stats(h->cursor, &s);
    if (s.waiting_items != 0 || a->given + s.lost_items - a->lost_before != a->waited)
        fail_msg("damage %d: %s: %lu items waited, %lu were given, %lu lost, %lu wait still", m.damage, names[h - m.hands], (unsigned long)a->waited,
                 (unsigned long)a->given, (unsigned long)(s.lost_items - a->lost_before), (unsigned long)s.waiting_items);
}

static void check_accounts(void)
{
    struct account accounts[CURSORS] = { 0 };

    for (size_t i = 0; i < CURSORS - 1; i++)
        if (m.hands[i].known && !m.hands[i].cursor)
            read_to_the_end(&m.hands[i], &accounts[i]);
    if (weft_journal_find(m.journal, WEFT_LOST_PLACES))
        assert_int_equal(weft_journal_release(m.journal, WEFT_LOST_PLACES), 0);
    assert_int_equal(append_one(), 0);
    for (size_t i = 0; i < CURSORS - 1; i++)
        if (m.hands[i].known)
            check_account(&m.hands[i], &accounts[i]);
}

static void crash_with_damage(void)
{
    enum damage damage = (enum damage)dice(N_DAMAGES);
    struct weft_journal_stats s;
    uint64_t owed_from = settled_by_all();

    leave_a_copy();
    m.damage = (int)damage;
    bool spoilt = spoil(damage);
    open_journal();
    back_to_saved_places(spoilt);
    if (!spoilt)
        return;
    m.damaged++;
    weft_journal_stats(m.journal, &s);
    m.sources_damaged = true; /* positions of lost records, or all of them */
    if (s.recovery.cursors_lost)
        for (size_t i = 0; i < CURSORS; i++)
            m.hands[i] = (struct hand){ 0 };
    uint64_t lost = find_what_is_lost(owed_from);
    m.lost_records += lost;
    while (m.n > 0 && m.entries[m.n - 1].sequence >= s.next_sequence)
        m.n--;
    if ((damage >= SPOIL_PLACES && lost > 0) || (damage == FLIP_ENTRY && lost > 1))
        fail_msg("damage %d in generation %u has cost %lu records", (int)damage, m.generation, (unsigned long)lost);
    check_accounts();
    for (uint64_t id = 1; id <= SOURCES; id++)
        weft_journal_forget_source(m.journal, id);
    for (size_t i = 0; i < m.n; i++)
        m.entries[i].source.id = m.entries[i].state == PUBLISHED || m.entries[i].state == PASSED_BY ? m.entries[i].source.id : 0;
    places_saved();
    weft_keeper_stop(m.journal);
    m.journal->unsaved = true;
    keep();
}

static void step(unsigned number)
{
    unsigned what = dice(1000);

    if (what < 400)
        append();
    else if (what < 450)
        end_reservation();
    else if (what < 720)
        read_one();
    else if (what < 900)
        settle();
    else if (what < 930)
        rewind_one();
    else if (what < 950)
        open_or_close();
    else if (what < 993)
        keep();
    else if (what < 995)
        weft_journal_trim(m.journal);
    else if (what < 997)
        reopen();
    else if (what < 999 || number < 2000)
        crash();
    else
        crash_with_damage();
}

static int make_room(void **state)
{
    (void)state;
    memset(&m, 0, sizeof m);
    return journal_room_make(m.room, sizeof m.room);
}

static int remove_room(void **state)
{
    (void)state;
    for (unsigned i = 0; i <= m.generation; i++)
        remove_directory(i);
    free(m.entries);
    return rmdir(m.room);
}

static void a_hundred_thousand_random_steps_with_crashes_agree_with_the_model(void **state)
{
    const char *given = getenv("WEFT_SEED");

    (void)state;
    m.seed = given ? (unsigned)strtoul(given, NULL, 10) : (unsigned)time(NULL);
    printf("seed %u\n", m.seed);
    m.entries = calloc(STEPS + 1000, sizeof *m.entries);
    open_journal();
    for (unsigned i = 0; i < STEPS; i++)
        step(i);
    while (m.n_open > 0)
        end_reservation();
    for (size_t i = 0; i < CURSORS; i++)
        if (m.hands[i].cursor)
            close_hand(&m.hands[i]);
    check_accounts();
    close_journal();
    printf("%u crashes, %u more with damage, which cost %lu records\n", m.crashes, m.damaged, (unsigned long)m.lost_records);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_hundred_thousand_random_steps_with_crashes_agree_with_the_model, make_room, remove_room),
    };

    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* filelog_meet.c: who is this file? (what filelog_set.h promises under (2) to (4))
 *
 *   the inode is known   its content is the same: the same file, read on from its place
 *                        it ends before that place, or holds other content: it was cut (or the inode is used again);
 *                        the entry becomes a former one, the file begins anew under another id
 *   the inode is new     an entry without a file has its content: it was moved or copied, the entry goes with it
 *                        a followed file begins as it does: perhaps a copy; held until that is clear
 *                        neither: a new file
 *
 * An id is made from device, inode, birth time and how often the file was cut, so that a journal's position is found again
 * even when the table is lost. One that a journal knows already is never given to new content. */
#include "receivers/filelog_set.h"

#include "core/err.h"
#include "core/hash.h"

#include <uv.h>

enum { EPOCHS_LOOKED_AT = 16 };

static uint64_t size_of(const struct weft_filelog_file *f)
{
    struct stat st;

    return fstat(f->fd, &st) == 0 ? (uint64_t)st.st_size : 0;
}

/* ---- ids ---- */

static uint64_t id_of(const struct weft_filelog_set *set, const struct weft_filelog_file *f, uint32_t epoch)
{
    const uint64_t names[] = { f->device, f->inode, f->born_ns, epoch };

    return weft_hash64(weft_slice_of(names, sizeof names), set->salt) | 1; /* 0 means no source */
}

/* *ret_least: where the journal that is least far stands, of those that know the id. False: none does. */
static bool is_journalled(const struct weft_filelog_set *set, uint64_t id, uint64_t *ret_least)
{
    uint64_t mark, least = UINT64_MAX;

    for (size_t i = 0; set->sink && i < set->sink->n_journals; i++)
        if (set->sink->position(set->sink, i, id, &mark) && weft_filelog_mark_offset(mark) < least)
            least = weft_filelog_mark_offset(mark);
    if (least == UINT64_MAX)
        return false;
    *ret_least = least;
    return true;
}

/* The first epoch from `epoch` on that no journal knows. */
static uint32_t fresh_epoch(const struct weft_filelog_set *set, const struct weft_filelog_file *f, uint32_t epoch)
{
    uint64_t least;

    while (is_journalled(set, id_of(set, f, epoch), &least))
        epoch++;
    return epoch;
}

/* The last epoch that a journal knows, and how far. False: none. */
static bool journalled_epoch(const struct weft_filelog_set *set, const struct weft_filelog_file *f, uint32_t *ret_epoch,
                             uint64_t *ret_least)
{
    bool found = false;
    uint32_t last = 0;

    if (!set->sink || set->sink->n_journals == 0)
        return false;
    for (uint32_t epoch = 0; epoch < last + EPOCHS_LOOKED_AT; epoch++) {
        if (!is_journalled(set, id_of(set, f, epoch), ret_least))
            continue;
        last = epoch;
        found = true;
    }
    if (found)
        *ret_epoch = last;
    return found;
}

/* True when the file has, where the journals stopped reading what is called `id`, the bytes that stood there. *ret_known: a
 * journal knows it well enough to be evidence. */
static bool journals_agree(struct weft_filelog_set *set, uint64_t id, int fd, uint64_t size, bool *ret_known)
{
    uint64_t mark;

    *ret_known = false;
    for (size_t i = 0; set->sink && i < set->sink->n_journals; i++) {
        if (!set->sink->position(set->sink, i, id, &mark))
            continue;
        if (!weft_filelog_mark_holds(&set->scratch, mark, fd, size))
            return false;
        *ret_known = *ret_known || weft_filelog_mark_offset(mark) >= WEFT_FILELOG_PRINT_MIN;
    }
    return true;
}

/* ---- binding ---- */

/* The file is read on as `e` says. */
static void tie(struct weft_filelog_set *set, struct weft_filelog_file *f, struct weft_filelog_entry *e)
{
    f->entry = e;
    f->id = e->id;
    e->file = f;
    e->seen_s = set->wall_s;
    (void)weft_filelog_known_rename(e, f->path);
    (void)weft_filelog_file_resume(f, set->sink, &e->now, set->settled);
}

/* Nothing of the file may be committed before its entry is on disk. */
static void save_first(struct weft_filelog_set *set, struct weft_filelog_file *f)
{
    set->unsaved = true;
    f->hold = set->saves ? WEFT_FILELOG_UNSAVED : WEFT_FILELOG_FREE;
    f->ticket = 0;
}

static void note_all(struct weft_filelog_entry *e, struct weft_filelog_place place)
{
    e->safe = e->noted = e->now = place;
}

/* A new entry for the file, whose device and inode must be free. */
static int make_entry(struct weft_filelog_set *set, struct weft_filelog_file *f, uint32_t epoch, uint64_t offset)
{
    struct weft_filelog_entry *e = weft_filelog_known_add(&set->known, f->device, f->inode, f->path);

    if (!e)
        return WEFT_ERR_LIMIT;
    e->epoch = epoch;
    e->id = id_of(set, f, epoch);
    e->born_ns = f->born_ns;
    note_all(e, (struct weft_filelog_place){ .offset = offset });
    tie(set, f, e);
    (void)weft_filelog_print_grow(&set->scratch, e, f->fd, size_of(f));
    save_first(set, f);
    return 0;
}

/* Its file has lost the content that `e` stands for. */
static void make_former(struct weft_filelog_set *set, struct weft_filelog_entry *e)
{
    weft_filelog_known_detach(&set->known, e);
    e->file = NULL;
    e->seen_s = set->wall_s;
}

/* ---- new inodes ---- */

/* A place in the journals for a file that the table does not know: only when a birth time, or the loss of the
 * table, makes it certain enough that the id means this file. */
static bool meet_in_journal(struct weft_filelog_set *set, struct weft_filelog_file *f, int *ret_err)
{
    uint32_t epoch;
    uint64_t least;
    bool known;

    if ((f->born_ns == 0 && set->loaded) || !journalled_epoch(set, f, &epoch, &least))
        return false;
    *ret_err = make_entry(set, f, epoch, least);
    if (!*ret_err && !journals_agree(set, f->id, f->fd, size_of(f), &known))
        weft_filelog_meet_cut(set, f, f->grown_ms);
    return true;
}

/* What the file's content may be known as. */
struct kin {
    struct weft_filelog_entry *lost;   /* has no file, and all that was read of it stands in this one */
    struct weft_filelog_entry *twin;   /* is followed, and begins the same */
};

static bool may_be_kin(const struct weft_filelog_entry *e, uint64_t size, bool first)
{
    return !e->provisional && e->print_len <= size && (e->file || e->former || first);
}

bool weft_filelog_meet_has(struct weft_filelog_set *set, const struct weft_filelog_entry *e, int fd, uint64_t size)
{
    bool known;

    return weft_filelog_compare(&set->scratch, e, &e->now, fd, size) == WEFT_FILELOG_SAME &&
           journals_agree(set, e->id, fd, size, &known) && (known || e->print_len >= WEFT_FILELOG_PRINT_MIN);
}

static struct kin find_kin(struct weft_filelog_set *set, const struct weft_filelog_file *f, bool first)
{
    const uint64_t size = size_of(f);
    struct kin kin = { NULL, NULL };
    uint64_t hash = 0;
    uint32_t hashed = 0;

    for (size_t i = 0; i < set->known.n; i++) {
        struct weft_filelog_entry *e = set->known.entries[i];
        struct weft_slice bytes;
        if (!may_be_kin(e, size, first))
            continue;
        if (e->print_len > 0 && hashed != e->print_len) {
            if (!weft_filelog_read_at(&set->scratch, f->fd, 0, e->print_len, &bytes))
                continue;
            hash = weft_filelog_hash(bytes);
            hashed = e->print_len;
        }
        if (e->print_len > 0 && hash != e->print)
            continue;
        if (e->file)
            kin.twin = e->print_len >= WEFT_FILELOG_PRINT_MIN ? e : kin.twin;
        else if (weft_filelog_meet_has(set, e, f->fd, size) &&
                 (!kin.lost || e->now.offset > kin.lost->now.offset))
            kin.lost = e;
    }
    return kin;
}

/* The entry, which has no file, goes on in this one. */
static void inherit(struct weft_filelog_set *set, struct weft_filelog_file *f, struct weft_filelog_entry *e)
{
    weft_filelog_known_attach(&set->known, e, f->device, f->inode);
    e->born_ns = f->born_ns;
    f->pending = 0;
    f->dirty = true;
    tie(set, f, e);
    save_first(set, f);
}

static int meet_new(struct weft_filelog_set *set, struct weft_filelog_file *f, bool first, bool from_end, uint64_t now_ms)
{
    struct kin kin = find_kin(set, f, first);
    int err = 0;

    if (kin.twin && weft_filelog_set_poll(set, kin.twin->file, now_ms, 0)) /* it was cut just now: its content is free */
        kin = find_kin(set, f, first);
    if (kin.lost) {
        inherit(set, f, kin.lost);
        return 0;
    }
    if (meet_in_journal(set, f, &err))
        return err;
    err = make_entry(set, f, fresh_epoch(set, f, 0), from_end ? size_of(f) : 0);
    if (err || !kin.twin || (first && !set->loaded)) /* nothing is known of what was there before us */
        return err;
    f->entry->provisional = true;
    f->hold = WEFT_FILELOG_TWIN;
    f->twin = kin.twin;
    kin.twin->heirs++;
    return 0;
}

/* ---- known inodes ---- */

int weft_filelog_meet(struct weft_filelog_set *set, struct weft_filelog_file *f, bool first, bool from_end, uint64_t now_ms)
{
    struct weft_filelog_entry *e = weft_filelog_known_find(&set->known, f->device, f->inode);
    const uint64_t size = size_of(f);

    if (!e)
        return meet_new(set, f, first, from_end, now_ms);
    const bool reborn = e->born_ns && f->born_ns && e->born_ns != f->born_ns;
    bool known;
    if (weft_filelog_compare(&set->scratch, e, &e->now, f->fd, size) == WEFT_FILELOG_SAME && !(reborn && e->print_len == 0) &&
        journals_agree(set, e->id, f->fd, size, &known)) {
        tie(set, f, e);
        return 0;
    }
    make_former(set, e);
    if (reborn)
        return meet_new(set, f, first, false, now_ms);
    return make_entry(set, f, fresh_epoch(set, f, e->epoch + 1), 0);
}

void weft_filelog_meet_cut(struct weft_filelog_set *set, struct weft_filelog_file *f, uint64_t now_ms)
{
    struct weft_filelog_entry *e = f->entry;
    const uint32_t epoch = fresh_epoch(set, f, e->epoch + 1);

    if (f->twin)
        f->twin->heirs--;
    f->twin = NULL;
    e->now = weft_filelog_file_place(f);
    make_former(set, e);
    f->entry = NULL;
    weft_filelog_file_restart(f, id_of(set, f, epoch), now_ms);
    e->heirs++; /* it must outlive the making of another */
    if (make_entry(set, f, epoch, 0) != 0)
        f->hold = WEFT_FILELOG_FREE; /* it is read all the same; after a restart it is a new file */
    e->heirs--;
    if (e->provisional)
        weft_filelog_known_drop(&set->known, e);
    else if (e->now.offset > 0)
        weft_filelog_set_seek(set, e, now_ms);
}

/* ---- twins ---- */

/* The file is read on its own account, from `offset`. */
static void go_alone(struct weft_filelog_set *set, struct weft_filelog_file *f, uint64_t offset)
{
    f->twin->heirs--;
    f->twin = NULL;
    f->pending = 0;
    f->entry->provisional = false;
    note_all(f->entry, (struct weft_filelog_place){ .offset = offset });
    (void)weft_filelog_file_resume(f, set->sink, &f->entry->now, set->settled);
    f->dirty = true;
    save_first(set, f);
}

/* The original has no file any more: this one is all that is left of its content. */
static void succeed(struct weft_filelog_set *set, struct weft_filelog_file *f, struct weft_filelog_entry *e)
{
    const uint64_t size = size_of(f);

    switch (weft_filelog_compare(&set->scratch, e, &e->now, f->fd, size)) {
    case WEFT_FILELOG_SAME:
        f->entry->file = NULL;
        weft_filelog_known_drop(&set->known, f->entry);
        e->heirs--;
        f->twin = NULL;
        inherit(set, f, e);
        return;
    case WEFT_FILELOG_CUT:
        go_alone(set, f, size); /* all of it was read in the original */
        return;
    case WEFT_FILELOG_OTHER:
        go_alone(set, f, 0);
    }
}

void weft_filelog_meet_twin(struct weft_filelog_set *set, struct weft_filelog_file *f, uint64_t now_ms)
{
    struct weft_filelog_entry *e = f->twin;
    const uint64_t size = size_of(f);

    if (size != f->pending) {
        f->pending = size; /* it is not read, so all of it is */
        f->grown_ms = now_ms;
    }
    if (e->file)
        (void)weft_filelog_set_poll(set, e->file, now_ms, 0);
    if (f->hold != WEFT_FILELOG_TWIN)
        return;
    if (!e->file)
        succeed(set, f, e);
    else if (!weft_filelog_ends_within(&set->scratch, f->fd, size, e->file->fd) || now_ms - f->grown_ms >= WEFT_FILELOG_TWIN_MS)
        go_alone(set, f, 0);
}
